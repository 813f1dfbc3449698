"""The programs that `nox -s bench` explains; those that other libraries make are at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import mujoco
from jax import lax
from mujoco import mjx


Array = Any  # Abstract or traced, seldom an array.
Function = Callable[..., Any]


@dataclass(frozen=True)
class Case:
    """A program: `make()` returns the function anew, `args` may be abstract."""

    name: str
    make: Callable[[], Function]
    args: tuple[Any, ...]
    in_axes: Any = 0


def abstract(*shape: int) -> jax.ShapeDtypeStruct:
    """Return an argument of which only the shape is known."""
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def make_neuron() -> Function:
    """The first program of the guide."""

    def neuron(weights: Array, bias: Array, x: Array) -> Array:
        return jnp.sum(jnp.tanh(weights @ x + bias))

    return neuron


LAYERS, TOKENS, WIDTH, HEADS = 12, 16, 32, 4


def transformer_params() -> list[dict[str, jax.ShapeDtypeStruct]]:
    """Return the parameters of every layer, abstract."""
    layer = {
        "norm_1": abstract(2, WIDTH),
        "qkv": abstract(WIDTH, 3, HEADS, WIDTH // HEADS),
        "out": abstract(HEADS, WIDTH // HEADS, WIDTH),
        "norm_2": abstract(2, WIDTH),
        "up": abstract(WIDTH, 4 * WIDTH),
        "up_bias": abstract(4 * WIDTH),
        "down": abstract(4 * WIDTH, WIDTH),
        "down_bias": abstract(WIDTH),
    }
    return [layer] * LAYERS


def make_transformer() -> Function:
    """Attention and a perceptron, each behind a layer norm, twelve times."""

    def norm(x: Array, scale_shift: Array) -> Array:
        mean = x.mean(axis=-1, keepdims=True)
        variance = jnp.square(x - mean).mean(axis=-1, keepdims=True)
        scale, shift = scale_shift
        return (x - mean) * lax.rsqrt(variance + 1e-5) * scale + shift

    def attention(x: Array, layer: Any) -> Array:
        q, k, v = jnp.einsum("td,dchk->chtk", x, layer["qkv"])
        scores = jnp.einsum("htk,hsk->hts", q, k) / jnp.sqrt(WIDTH / HEADS)
        causal = jnp.tril(jnp.ones((TOKENS, TOKENS), bool))
        weights = jax.nn.softmax(jnp.where(causal, scores, -1e9))
        return jnp.einsum("hts,hsk,hkd->td", weights, v, layer["out"])

    def perceptron(x: Array, layer: Any) -> Array:
        hidden = jax.nn.gelu(x @ layer["up"] + layer["up_bias"])
        return hidden @ layer["down"] + layer["down_bias"]

    def transformer(params: Any, x: Array) -> Array:
        for layer in params:
            x = x + attention(norm(x, layer["norm_1"]), layer)
            x = x + perceptron(norm(x, layer["norm_2"]), layer)
        return x

    return transformer


# Dormand and Prince's method of order 5: each row of a tableau, and the error of order 4.
STAGES = (
    (),
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
ERRORS = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)


def lotka_volterra(y: Array, rates: Array) -> Array:
    """Hares and lynxes."""
    hares, lynxes = y
    birth, catch, growth, death = rates
    return jnp.stack([birth * hares - catch * hares * lynxes, growth * hares * lynxes - death])


def make_solve() -> Function:
    """An adaptive solver: the step of every example has its own length."""

    def solve(y: Array, rates: Array) -> Array:
        def unfinished(state: Any) -> Array:
            time, _, _ = state
            return time < 1.0

        def step(state: Any) -> Any:
            time, length, y = state
            slopes: list[Array] = []
            for row in STAGES:
                inner = y + length * sum(a * k for a, k in zip(row, slopes, strict=True))
                slopes.append(lotka_volterra(inner, rates))
            new = y + length * sum(a * k for a, k in zip(STAGES[-1], slopes[:-1], strict=True))
            error = length * sum(e * k for e, k in zip(ERRORS, slopes, strict=True))
            scale = 1e-6 + 1e-3 * jnp.maximum(jnp.abs(y), jnp.abs(new))
            norm = jnp.sqrt(jnp.mean((error / scale) ** 2))
            accepted = norm < 1.0
            factor = jnp.clip(0.9 * jnp.where(norm == 0.0, 1e-5, norm) ** -0.2, 0.2, 10.0)
            return (
                jnp.where(accepted, time + length, time),
                jnp.minimum(length * factor, 1.0),
                jnp.where(accepted, new, y),
            )

        return lax.while_loop(unfinished, step, (0.0, 0.01, y))[2]

    return solve


def make_solve_gradient() -> Function:
    """The gradient of a solve in steps of one length, as one fits the rates of an equation."""

    def loss(y: Array, rates: Array) -> Array:
        def step(y: Array, _: None) -> tuple[Array, Array]:
            length = 0.01
            k_1 = lotka_volterra(y, rates)
            k_2 = lotka_volterra(y + length / 2 * k_1, rates)
            k_3 = lotka_volterra(y + length / 2 * k_2, rates)
            k_4 = lotka_volterra(y + length * k_3, rates)
            y = y + length / 6 * (k_1 + 2 * k_2 + 2 * k_3 + k_4)
            return y, y

        _, path = lax.scan(step, y, None, length=100)
        return jnp.mean(jnp.square(path - 1.0))

    return jax.grad(loss, argnums=(0, 1))


def make_long(equations: int) -> Callable[[], Function]:
    """Return a maker of a program of that many elementwise equations, one after the other."""

    def make() -> Function:
        def long(x: Array, y: Array) -> Array:
            for _ in range(equations // 4):
                x = x * y
                x = lax.sin(x)
                x = x + 0.5
                x = lax.max(x, y)
            return x

        return long

    return make


# A ball that falls on a floor, with an arm that a motor turns.
BALL = """
<mujoco>
  <option iterations="2" ls_iterations="4"/>
  <worldbody>
    <geom type="plane" size="5 5 .1"/>
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


def make_mjx_step() -> Function:
    """One step of a simulated body, by MuJoCo MJX."""

    def step(model: Any, data: Any) -> Any:
        return mjx.step(model, data)

    return step


def mjx_args() -> tuple[Any, ...]:
    """Return a model, and 64 of its states, which are abstract."""
    model = mjx.put_model(mujoco.MjModel.from_xml_string(BALL))
    data = mjx.make_data(model)
    batch = jax.eval_shape(lambda: jax.vmap(lambda _: data)(jnp.zeros(64)))
    return model, batch


def make_diffrax_solve() -> Function:
    """An adaptive and implicit solve by Diffrax."""

    def solve(y: Array, rates: Array) -> Array:
        solution: Any = diffrax.diffeqsolve(
            diffrax.ODETerm(lambda _time, y, rates: lotka_volterra(y, rates)),
            diffrax.Kvaerno3(),
            t0=0.0,
            t1=1.0,
            dt0=0.01,
            y0=y,
            args=rates,
            stepsize_controller=diffrax.PIDController(rtol=1e-3, atol=1e-6),
        )
        return solution.ys[0]

    return solve


CASES = (
    Case("neuron", make_neuron, (abstract(2, 5), abstract(2), abstract(64, 5)), (None, None, 0)),
    Case(
        f"transformer, {LAYERS} layers",
        make_transformer,
        (transformer_params(), abstract(64, TOKENS, WIDTH)),
        (None, 0),
    ),
    Case("ODE solve, adaptive", make_solve, (abstract(64, 2), abstract(64, 4))),
    Case("ODE solve, gradient", make_solve_gradient, (abstract(64, 2), abstract(64, 4))),
    Case("5,000 equations", make_long(5_000), (abstract(64, 3), abstract(64, 3))),
    Case("20,000 equations", make_long(20_000), (abstract(64, 3), abstract(64, 3))),
    Case("MuJoCo MJX, one step", make_mjx_step, mjx_args(), (None, 0)),
    Case("Diffrax, implicit solve", make_diffrax_solve, (abstract(64, 2), abstract(64, 4))),
)
