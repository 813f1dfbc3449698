"""`vmapguide.explain` of every `jax.vmap` that real libraries make, in one small run of each.

The calls are seen by what stands in the place of `jax.vmap` in this process, see conftest.py.
"""

import importlib.metadata
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import blackjax
import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import mctx
import mujoco
import numpyro
import numpyro.distributions as dist
import optax
import optimistix as optx
import pytest
from flax import nnx
from mujoco import mjx
from numpyro.infer import MCMC, NUTS, SVI, Predictive, Trace_ELBO, log_likelihood
from numpyro.infer.autoguide import AutoNormal


PENDULUM = """
<mujoco>
  <option timestep="0.005" iterations="2" ls_iterations="4"/>
  <worldbody>
    <geom name="floor" type="plane" size="5 5 .1"/>
    <body pos="0 0 0.4">
      <freejoint/>
      <geom type="sphere" size="0.1"/>
      <body pos="0.2 0 0">
        <joint name="elbow" type="hinge" axis="0 1 0" limited="true" range="-1 1"/>
        <geom type="capsule" size="0.04" fromto="0 0 0 0.3 0 0"/>
      </body>
    </body>
  </worldbody>
  <actuator><motor joint="elbow"/></actuator>
</mujoco>
"""


def mjx_model() -> tuple[Any, Any]:
    """Return a model with contacts, a joint with limits and a motor, and three states of it."""
    model = mjx.put_model(mujoco.MjModel.from_xml_string(PENDULUM))
    data = mjx.make_data(model)
    heights = jnp.array([0.1, 0.2, 0.5])
    return model, jax.vmap(lambda z: data.replace(qpos=data.qpos.at[2].set(z)))(heights)


def run_mjx() -> None:
    """Step three states of a body that falls on a floor."""
    model, batch = mjx_model()
    # Compiling it takes a minute, and every vmap has been made by then.
    jax.jit(jax.vmap(mjx.step, in_axes=(None, 0))).lower(model, batch)


def run_diffrax() -> None:
    """Solve a stiff equation for three stiffnesses, its gradient, and a stochastic one."""
    decay = diffrax.ODETerm(lambda _t, y, k: -k * y)

    def end(k: Any, solver: Any) -> Any:
        controller = diffrax.PIDController(rtol=1e-3, atol=1e-5)
        solution = diffrax.diffeqsolve(
            decay, solver, 0.0, 1.0, 0.1, jnp.ones(2), args=k, stepsize_controller=controller
        )
        return solution.ys[0].sum()

    stiffness = jnp.array([1.0, 10.0, 100.0])
    jax.vmap(lambda k: end(k, diffrax.Tsit5()))(stiffness)
    jax.vmap(lambda k: end(k, diffrax.Kvaerno3()))(stiffness)
    jax.vmap(jax.grad(lambda k: end(k, diffrax.Dopri5())))(stiffness)

    def noisy(key: Any) -> Any:
        noise = diffrax.VirtualBrownianTree(0.0, 1.0, tol=1e-2, shape=(), key=key)
        drift = diffrax.ODETerm(lambda _t, y, _args: -y)
        terms = diffrax.MultiTerm(drift, diffrax.ControlTerm(lambda _t, _y, _args: 0.1, noise))
        saved = diffrax.SaveAt(ts=jnp.linspace(0.0, 1.0, 4))
        return diffrax.diffeqsolve(
            terms, diffrax.Euler(), 0.0, 1.0, 0.1, jnp.array(1.0), saveat=saved
        ).ys

    jax.vmap(noisy)(jax.random.split(jax.random.key(0), 3))


def run_optimistix() -> None:
    """Find roots, a fixed point and minima, for three parameters each."""
    targets = jnp.array([1.0, 2.0, 30.0])

    def residual(y: Any, a: Any) -> Any:
        return y**2 - a

    newton = optx.Newton(rtol=1e-5, atol=1e-5)
    jax.vmap(lambda a: optx.root_find(residual, newton, jnp.array(1.0), a).value)(targets)
    bisection = optx.Bisection(rtol=1e-4, atol=1e-4)
    bounds = {"lower": 0.0, "upper": 100.0}
    jax.vmap(
        lambda a: optx.root_find(residual, bisection, jnp.array(1.0), a, options=bounds).value
    )(targets)
    levenberg = optx.LevenbergMarquardt(rtol=1e-4, atol=1e-4)
    start = jnp.array([1.0, 1.0])
    jax.vmap(lambda a: optx.least_squares(lambda y, a: y**2 - a, levenberg, start, a).value)(
        targets
    )
    bfgs = optx.BFGS(rtol=1e-4, atol=1e-4)
    jax.vmap(lambda a: optx.minimise(lambda y, a: jnp.sum((y - a) ** 2), bfgs, start, a).value)(
        targets
    )
    jax.vmap(jax.grad(lambda a: optx.root_find(residual, newton, jnp.array(1.0), a).value))(targets)


def run_lineax() -> None:
    """Solve three systems by several methods."""
    matrices = jnp.stack([jnp.eye(3) * s + 0.1 for s in (1.0, 2.0, 3.0)])
    vectors = jnp.arange(9.0).reshape(3, 3)
    for solver in (lx.AutoLinearSolver(well_posed=True), lx.QR(), lx.SVD(), lx.LU()):
        jax.vmap(lambda a, b, s=solver: lx.linear_solve(lx.MatrixLinearOperator(a), b, s).value)(
            matrices, vectors
        )
    positive = lx.positive_semidefinite_tag
    for iterative in (lx.CG(rtol=1e-4, atol=1e-4), lx.Cholesky()):
        jax.vmap(
            lambda a, b, s=iterative: (
                lx.linear_solve(lx.MatrixLinearOperator(a @ a.T, positive), b, s).value
            )
        )(matrices, vectors)
    gmres = lx.GMRES(rtol=1e-4, atol=1e-4)
    jax.vmap(
        lambda a, b: lx.linear_solve(lx.MatrixLinearOperator(a), b, gmres).value, in_axes=(None, 0)
    )(matrices[0], vectors)


def run_equinox() -> None:
    """Make and call an ensemble, layers with a state, and attention."""
    keys = jax.random.split(jax.random.key(0), 3)

    @eqx.filter_vmap  # type: ignore[untyped-decorator]
    def ensemble(key: Any) -> Any:
        return eqx.nn.MLP(2, 3, 4, 2, key=key)

    models = ensemble(keys)
    eqx.filter_vmap(lambda model, x: model(x), in_axes=(eqx.if_array(0), None))(models, jnp.ones(2))
    model = eqx.nn.MLP(2, 1, 4, 2, key=keys[0])

    def loss(model: Any, x: Any) -> Any:
        return jnp.mean(jax.vmap(model)(x) ** 2)

    eqx.filter_grad(loss)(model, jnp.ones((5, 2)))
    eqx.filter_jit(eqx.filter_value_and_grad(loss))(model, jnp.ones((5, 2)))
    norm, state = eqx.nn.make_with_state(eqx.nn.BatchNorm)(4, axis_name="batch", mode="batch")
    jax.vmap(norm, axis_name="batch", in_axes=(0, None), out_axes=(0, None))(
        jnp.ones((5, 4)), state
    )
    attention = eqx.nn.MultiheadAttention(2, 4, key=keys[0])
    eqx.filter_vmap(lambda x: attention(x, x, x))(jnp.ones((3, 5, 4)))
    dropout = eqx.nn.Dropout(0.5)
    eqx.filter_vmap(lambda x, key: dropout(x, key=key))(jnp.ones((3, 4)), keys)
    cell = eqx.nn.GRUCell(2, 3, key=keys[0])

    def sequence(xs: Any) -> Any:
        return jax.lax.scan(lambda h, x: (cell(x, h), None), jnp.zeros(3), xs)[0]

    eqx.filter_vmap(sequence)(jnp.ones((4, 6, 2)))

    def checked(x: Any) -> Any:
        return jnp.sqrt(eqx.error_if(x, x < 0, "negative"))

    eqx.filter_vmap(checked)(jnp.ones(3))

    def halved(x: Any) -> Any:
        step = lambda x: x / 2  # noqa: E731
        return eqx.internal.while_loop(lambda x: x > 1, step, x, kind="checkpointed", max_steps=9)

    eqx.filter_vmap(halved)(jnp.arange(3.0))


def run_flax() -> None:
    """Make and call an ensemble, and a model with dropout and running means."""

    class Model(nnx.Module):  # type: ignore[misc]
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.linear = nnx.Linear(2, 4, rngs=rngs)
            self.norm = nnx.BatchNorm(4, rngs=rngs)
            self.dropout = nnx.Dropout(0.5, rngs=rngs)

        def __call__(self, x: Any) -> Any:
            return self.dropout(nnx.relu(self.norm(self.linear(x))))

    @nnx.split_rngs(splits=3)  # type: ignore[untyped-decorator]
    @nnx.vmap  # type: ignore[untyped-decorator]
    def ensemble(rngs: nnx.Rngs) -> Any:
        return Model(rngs)

    models = ensemble(nnx.Rngs(0))
    nnx.vmap(lambda model, x: model(x), in_axes=(0, None))(models, jnp.ones((5, 2)))
    model = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
    nnx.vmap(lambda model, x: model(x), in_axes=(None, 0))(model, jnp.ones((5, 2)))
    axes = nnx.StateAxes({nnx.Param: 0, ...: None})
    weights = nnx.vmap(lambda k: nnx.Linear(2, 3, rngs=nnx.Rngs(k)), in_axes=0, out_axes=0)(
        jax.random.split(jax.random.key(0), 3)
    )
    nnx.vmap(lambda model, x: model(x), in_axes=(axes, 0))(weights, jnp.ones((3, 2)))
    cell = nnx.RNN(nnx.GRUCell(2, 3, rngs=nnx.Rngs(0)))
    nnx.vmap(lambda cell, x: cell(x), in_axes=(None, 0))(cell, jnp.ones((2, 4, 5, 2)))


def run_numpyro() -> None:
    """Sample, predict and fit a linear model, with several chains."""
    x, y = jnp.arange(4.0), jnp.array([0.1, 1.2, 1.9, 3.2])

    def model(x: Any, y: Any = None) -> None:
        slope = numpyro.sample("slope", dist.Normal(0.0, 1.0))
        noise = numpyro.sample("noise", dist.HalfNormal(1.0))
        with numpyro.plate("data", len(x)):
            numpyro.sample("y", dist.Normal(slope * x, noise), obs=y)

    options = {"num_warmup": 3, "num_samples": 3, "num_chains": 2, "progress_bar": False}
    mcmc = MCMC(NUTS(model, max_tree_depth=3), chain_method="vectorized", **options)
    mcmc.run(jax.random.key(0), x, y)
    samples = mcmc.get_samples()
    Predictive(model, samples)(jax.random.key(1), x)
    log_likelihood(model, samples, x, y)
    guide = AutoNormal(model)
    svi = SVI(model, guide, optax.adam(0.1), Trace_ELBO(num_particles=3))
    fitted = svi.run(jax.random.key(2), 2, x, y, progress_bar=False)
    guide.sample_posterior(jax.random.key(3), fitted.params, sample_shape=(3,))
    Predictive(model, guide=guide, params=fitted.params, num_samples=3)(jax.random.key(4), x)

    def mixture() -> None:
        probabilities = numpyro.sample("p", dist.Dirichlet(jnp.ones(3)))
        kind = numpyro.sample(
            "kind", dist.Categorical(probabilities), infer={"enumerate": "parallel"}
        )
        numpyro.sample("value", dist.Normal(kind, 1.0), obs=0.5)
        numpyro.sample("gamma", dist.Gamma(2.0, 1.0))

    Predictive(mixture, num_samples=3)(jax.random.key(5))


def run_blackjax() -> None:
    """Run chains of NUTS and HMC, adapt them, and move particles."""

    def logdensity(x: Any) -> Any:
        return -0.5 * jnp.sum((x - 1.0) ** 2)

    starts = jnp.arange(6.0).reshape(3, 2)
    keys = jax.random.split(jax.random.key(0), 3)
    nuts = blackjax.nuts(
        logdensity, step_size=0.1, inverse_mass_matrix=jnp.ones(2), max_num_doublings=3
    )
    states = jax.vmap(nuts.init)(starts)
    jax.vmap(nuts.step)(keys, states)
    hmc = blackjax.hmc(
        logdensity, step_size=0.1, inverse_mass_matrix=jnp.ones(2), num_integration_steps=3
    )
    jax.vmap(hmc.step)(keys, jax.vmap(hmc.init)(starts))
    adapt = blackjax.window_adaptation(blackjax.nuts, logdensity, max_num_doublings=2)
    jax.vmap(lambda key, start: adapt.run(key, start, num_steps=5)[0].state.position)(keys, starts)
    smc = blackjax.adaptive_tempered_smc(
        lambda x: -0.5 * jnp.sum(x**2),
        logdensity,
        blackjax.hmc.build_kernel(),
        blackjax.hmc.init,
        {
            "step_size": jnp.full((1,), 0.1),
            "inverse_mass_matrix": jnp.ones((1, 2)),
            "num_integration_steps": jnp.full((1,), 2),
        },
        blackjax.smc.resampling.systematic,
        0.5,
        num_mcmc_steps=2,
    )
    smc.step(jax.random.key(1), smc.init(starts))


def run_mctx() -> None:
    """Search a tree for a batch of roots, as MuZero and as Gumbel MuZero do."""
    root = mctx.RootFnOutput(
        prior_logits=jnp.zeros((3, 4)), value=jnp.zeros(3), embedding=jnp.zeros((3, 2))
    )

    def recurrent(params: Any, key: Any, action: Any, embedding: Any) -> Any:
        del key
        output = mctx.RecurrentFnOutput(
            reward=params * action.astype(jnp.float32),
            discount=jnp.full(3, 0.9),
            prior_logits=jnp.zeros((3, 4)),
            value=embedding.sum(-1),
        )
        return output, embedding + 1

    for policy in (mctx.muzero_policy, mctx.gumbel_muzero_policy):
        policy(jnp.float32(0.1), jax.random.key(0), root, recurrent, num_simulations=4)


def run_optax() -> None:
    """Train several models at once, by several optimizers, and clip gradients per example."""
    x, y = jnp.arange(6.0).reshape(3, 2), jnp.arange(3.0)

    def loss(w: Any, x: Any, y: Any) -> Any:
        return optax.huber_loss(x @ w, y).mean()

    weights = jnp.ones((4, 2))
    for optimizer in (optax.adam(0.1), optax.adamw(0.1), optax.lion(0.1), optax.adafactor(0.1)):

        def train(w: Any, optimizer: Any = optimizer) -> Any:
            state = optimizer.init(w)
            updates, state = optimizer.update(jax.grad(loss)(w, x, y), state, w)
            return optax.apply_updates(w, updates), state

        jax.vmap(train)(weights)
    lbfgs = optax.lbfgs()

    def descend(w: Any) -> Any:
        def value(w: Any) -> Any:
            return loss(w, x, y)

        state = lbfgs.init(w)
        known, grad = jax.value_and_grad(value)(w)
        updates, _ = lbfgs.update(grad, state, w, value=known, grad=grad, value_fn=value)
        return optax.apply_updates(w, updates)

    jax.vmap(descend)(weights)
    each = jax.vmap(jax.grad(loss), (None, 0, 0))(weights[0], x[:, None], y[:, None])
    optax.per_example_global_norm_clip(jax.tree.leaves(each), 1.0)
    logits, labels = jnp.ones((2, 5, 4)), jnp.ones((2, 3), int)
    optax.ctc_loss(logits, jnp.zeros((2, 5)), labels, jnp.zeros((2, 3)))
    jax.vmap(optax.projections.projection_simplex)(weights)
    noisy = optax.perturbations.make_perturbed_fun(lambda w: jnp.argmax(w, -1) * 1.0, 3)
    noisy(jax.random.key(0), weights)


RUNS: dict[str, Callable[[], None]] = {
    "mujoco-mjx": run_mjx,
    "diffrax": run_diffrax,
    "optimistix": run_optimistix,
    "lineax": run_lineax,
    "equinox": run_equinox,
    "flax": run_flax,
    "numpyro": run_numpyro,
    "blackjax": run_blackjax,
    "mctx": run_mctx,
    "optax": run_optax,
}


@pytest.mark.parametrize("library", RUNS)
def test_every_vmap_of_a_library(library: str, recorder: Any, totals: dict[str, Any]) -> None:
    """The jaxpr is plain vmap's, all of it is mapped, and each kind is what the primitives say."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # They are the library's business.
        RUNS[library]()
    found = recorder.totals()
    totals[library] = {"version": importlib.metadata.version(library), **found}
    seen = found["explained"] + found["repeated"] + found["not traceable"]
    assert not recorder.faults, "\n".join(f"{n}x {x}" for x, n in Counter(recorder.faults).items())
    assert found["explained"] > 0
    assert seen == found["calls"]
    assert sum(found["reasons"].values()) == found["not traceable"]
