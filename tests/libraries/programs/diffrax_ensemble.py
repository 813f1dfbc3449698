"""Solve an oscillator of Van der Pol for a grid of stiffnesses and starts, with Diffrax."""

import diffrax
import jax
import jax.numpy as jnp


def field(t, y, mu):
    """Return the derivative of position and velocity."""
    del t
    position, velocity = y
    return velocity, mu * (1 - position**2) * velocity - position


def solve(start, mu):
    """Return position and velocity at eight times, and the number of steps."""
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(field),
        diffrax.Tsit5(),
        t0=0.0,
        t1=5.0,
        dt0=0.05,
        y0=(start, jnp.zeros(())),
        args=mu,
        saveat=diffrax.SaveAt(ts=jnp.linspace(0.0, 5.0, 8)),
        stepsize_controller=diffrax.PIDController(rtol=1e-4, atol=1e-6),
    )
    return solution.ys, solution.stats["num_steps"]


starts, stiffnesses = jnp.linspace(0.5, 2.0, 4), jnp.array([0.1, 1.0, 5.0])
grid = jax.jit(jax.vmap(jax.vmap(solve, in_axes=(0, None)), in_axes=(None, 0)))
(positions, _), steps = grid(starts, stiffnesses)
print("positions", positions.shape, positions[:, 0, -1].round(3))
print("steps", steps.tolist())

gradient = jax.vmap(jax.grad(lambda mu: solve(jnp.float32(1.0), mu)[0][0][-1]))
print("gradients", gradient(stiffnesses).round(2))
