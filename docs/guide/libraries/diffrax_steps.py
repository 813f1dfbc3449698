"""Three decays, one system or three, with Diffrax."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np

import vmapguide


def solve(rate, start):
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(lambda t, y, rate: -rate * y),
        diffrax.Dopri5(),
        t0=0.0,
        t1=1.0,
        dt0=0.1,
        y0=start,
        args=rate,
        stepsize_controller=diffrax.PIDController(rtol=1e-4, atol=1e-6),
    )
    return solution.ys[0], solution.stats["num_steps"]


rates, starts = jnp.array([1.0, 10.0, 100.0]), jnp.ones(3)
alone = [int(jax.jit(solve)(rate, start)[1]) for rate, start in zip(rates, starts, strict=True)]
ends, steps = jax.jit(jax.vmap(solve))(rates, starts)
stacked_ends, stacked_steps = jax.jit(solve)(rates, starts)
print("one after the other:", alone)
print("vmap, three solves: ", steps.tolist())
print("one stacked system: ", int(stacked_steps))
assert steps.tolist() == alone
assert stacked_steps.shape == ()
for values in ends, stacked_ends:
    np.testing.assert_allclose(values, np.exp(-np.asarray(rates)), atol=1e-3)

explained = vmapguide.explain(solve)(rates, starts)
loops = {step.kind for step in explained.steps if step.equation.primitive.name == "while"}
print("loops:", *loops)
print("findings:", [finding.code for finding in explained.findings])
assert loops == {"slowest example"}
