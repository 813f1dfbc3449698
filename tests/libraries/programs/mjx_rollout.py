"""Let pendulums swing under random torques for some steps, with MJX."""

import jax
import jax.numpy as jnp
import mujoco
from mujoco import mjx


MODEL = """
<mujoco>
  <option timestep="0.01" iterations="2" ls_iterations="4"/>
  <worldbody>
    <geom type="plane" size="5 5 .1"/>
    <body pos="0 0 0.5">
      <joint name="hinge" type="hinge" axis="0 1 0" damping="0.1"/>
      <geom type="capsule" size="0.05" fromto="0 0 0 0 0 -0.4"/>
    </body>
  </worldbody>
  <actuator><motor joint="hinge"/></actuator>
</mujoco>
"""

model = mjx.put_model(mujoco.MjModel.from_xml_string(MODEL))


def start(key):
    """Return a pendulum at a random angle."""
    data = mjx.make_data(model)
    return data.replace(qpos=jax.random.uniform(key, (model.nq,), minval=-1.0))


@jax.vmap
def step(data, torque):
    """Advance one pendulum by one step."""
    return mjx.step(model, data.replace(ctrl=data.ctrl.at[0].set(torque)))


@jax.jit
def rollout(batch, torques):
    """Advance all pendulums, and return their angles after each step."""

    def advance(batch, torques):
        batch = step(batch, torques)
        return batch, batch.qpos[:, 0]

    return jax.lax.scan(advance, batch, torques)[1]


keys = jax.random.split(jax.random.key(0), 8)
batch = jax.jit(jax.vmap(start))(keys)
angles = rollout(batch, 0.1 * jax.random.normal(jax.random.key(1), (20, 8)))
print("angles", angles.shape, "finite", bool(jnp.isfinite(angles).all()))
