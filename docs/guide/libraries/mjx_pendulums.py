"""Three pendulums, with MJX."""

import jax
import jax.numpy as jnp
import mujoco
from mujoco import mjx

import vmapguide


PENDULUM = """
<mujoco>
  <option timestep="0.01" iterations="4" ls_iterations="4"/>
  <worldbody>
    <body>
      <joint name="hinge" type="hinge" axis="0 1 0" limited="true" range="-90 90"/>
      <geom type="capsule" size="0.05" fromto="0 0 0 0 0 -0.4" contype="0" conaffinity="0"/>
    </body>
  </worldbody>
</mujoco>
"""
model = mjx.put_model(mujoco.MjModel.from_xml_string(PENDULUM))
start = mjx.make_data(model)
angles = jnp.array([0.1, 0.2, 0.3])
batch = jax.vmap(lambda angle: start.replace(qpos=start.qpos.at[0].set(angle)))(angles)
print("angles:", batch.qpos.shape, " time:", batch.time.shape)

axes = jax.tree.map(lambda _: None, model).tree_replace({"opt.gravity": 0})
worlds = jnp.array([[0, 0, -9.81], [0, 0, -1.62], [0, 0, 0]])
models = model.tree_replace({"opt.gravity": worlds})
own = jax.jit(jax.vmap(mjx.step, in_axes=(axes, 0)))(models, batch)
print("gravity:", models.opt.gravity.shape, " mass, for all:", models.body_mass.shape)
print("falls:", (own.qvel[:, 0] != 0).tolist())
assert (own.qvel[:, 0] != 0).tolist() == [True, True, False]

explained = vmapguide.explain(mjx.step, in_axes=(None, 0))(model, batch)
loops = {step.kind for step in explained.steps if step.equation.primitive.name == "while"}
print("loops of one step:", *loops)
print("findings:", sorted({finding.code for finding in explained.findings}))
assert "slowest example" in loops
