"""How long `vmapguide.explain` takes beside the `jax.vmap` it explains: `nox -s bench`.

For each program three calls are timed, in turns, round after round, in one process:

- (a) `jax.make_jaxpr(jax.vmap(f))(*args)`, which is what JAX itself needs to make the program;
- (b) `vmapguide.explain(f)(*args)`, the explanation as data;
- (c) the same with `_repr_html_()`, what a notebook shows.

The table has the median seconds of (a) with half the distance of its quartiles, the ratios (b)/(a)
and (c)/(a), each the median of the ratios within a round, and the equations per second of (b). The
equations are those of the batched program; those nested in an equation count once. A second
measurement is what `import vmapguide` adds to `import jax`, in fresh processes. Nothing is
asserted: times depend on the machine. The aim is at most 3 times for the data, 6 times with HTML,
and 30 ms for the import.

(b) is the value: its steps with their sources, kinds and axes. The texts of equations are made
when it is first shown, and so belong to (c).

What is cached and what is not: every call gets a function made anew, so neither side finds a trace
of it in JAX's caches. The first round is thrown away. So what does not depend on `f` is warm on
both sides: compiled bytecode, JAX's traces of its own functions (`jnp.where`, `jax.nn.gelu`), and
vmapguide's notes on source lines and on defaults of parameters. One thing is warm for (a) only:
JAX keeps how it batched the trace of one of its own functions, and (b) batches a tagged copy.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from machine import surroundings

import vmapguide
from vmapguide import _jaxpr


Array = Any  # Abstract or traced, seldom an array.
Function = Callable[..., Any]

IMPORTS = 7


@dataclass(frozen=True)
class Case:
    """A program: `make()` returns the function anew, `args` may be abstract."""

    name: str
    make: Callable[[], Function]
    args: tuple[Any, ...]
    in_axes: Any = 0


@dataclass(frozen=True)
class Result:
    """What was measured of a case; `spread` is half the distance of the quartiles of `seconds`."""

    case: str
    equations: int
    seconds: float
    spread: float
    data_ratio: float
    html_ratio: float
    equations_per_second: float


def abstract(*shape: int) -> jax.ShapeDtypeStruct:
    """Return an argument of which only the shape is known."""
    return jax.ShapeDtypeStruct(shape, jnp.float32)


# -- The programs -----------------------------------------------------------


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
)


# -- Measuring --------------------------------------------------------------


def seconds(call: Callable[[], object]) -> float:
    """Return how long a call takes; rubbish of the calls before it is not counted."""
    gc.collect()
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def measure(case: Case, rounds: int) -> Result:
    """Time the three calls in turns."""

    def plain() -> object:
        return jax.make_jaxpr(jax.vmap(case.make(), case.in_axes))(*case.args)

    def data() -> object:
        return vmapguide.explain(case.make(), case.in_axes)(*case.args)

    def html() -> object:
        return vmapguide.explain(case.make(), case.in_axes)(*case.args)._repr_html_()

    times = [[seconds(call) for call in (plain, data, html)] for _ in range(rounds + 1)][1:]
    batched = jax.make_jaxpr(jax.vmap(case.make(), case.in_axes))(*case.args)
    equations = sum(len(jaxpr.eqns) for jaxpr in _jaxpr.walk(batched))
    low, median, high = statistics.quantiles([a for a, _, _ in times], method="inclusive")
    return Result(
        case=case.name,
        equations=equations,
        seconds=median,
        spread=(high - low) / 2,
        data_ratio=statistics.median(b / a for a, b, _ in times),
        html_ratio=statistics.median(c / a for a, _, c in times),
        equations_per_second=equations / statistics.median(b for _, b, _ in times),
    )


def measure_import() -> tuple[float, float]:
    """Return the milliseconds of `import jax` and what `import vmapguide` adds, as medians."""
    program = (
        "import time; start = time.perf_counter(); import jax; middle = time.perf_counter(); "
        "import vmapguide; end = time.perf_counter(); print(middle - start, end - middle)"
    )
    command = [sys.executable, "-c", program]
    # An installed package is compiled, so this one may be, too: the first run does it.
    env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    runs = [
        subprocess.run(command, check=True, capture_output=True, text=True, env=env)  # noqa: S603
        for _ in range(IMPORTS + 1)
    ]
    times = [[1000 * float(number) for number in run.stdout.split()] for run in runs[1:]]
    jax_alone, added = (statistics.median(column) for column in zip(*times, strict=True))
    return jax_alone, added


def table(results: list[Result]) -> str:
    """Return the results in columns."""
    widths = (24, 10, 21, 9, 9, 17)
    rows = [("case", "equations", "(a) seconds", "(b)/(a)", "(c)/(a)", "(b) equations/s")]
    rows += [
        (
            r.case,
            f"{r.equations:,}",
            f"{r.seconds:.4f} ± {r.spread:.4f}",
            f"{r.data_ratio:.2f}",
            f"{r.html_ratio:.2f}",
            f"{r.equations_per_second:,.0f}",
        )
        for r in results
    ]
    return "\n".join(
        f"{case:<{widths[0]}}"
        + "".join(f"{entry:>{width}}" for entry, width in zip(rest, widths[1:], strict=True))
        for case, *rest in rows
    )


def main() -> None:
    """Measure every case and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7, help="rounds of each case (default: 7)")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose name holds this")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the numbers there, too")
    options = parser.parse_args()
    results = []
    for case in CASES:
        if options.only in case.name:
            sys.stderr.write(f"{case.name} …\n")
            results.append(measure(case, max(options.rounds, 2)))
    sys.stderr.write("import …\n")
    jax_alone, added = measure_import()
    python = ".".join(map(str, sys.version_info[:3]))
    sys.stdout.write(
        f"Python {python}, JAX {jax.__version__}, vmapguide {vmapguide.__version__}\n\n"
        f"{table(results)}\n\n"
        f"import jax: {jax_alone:.0f} ms; import vmapguide adds {added:.1f} ms\n"
    )
    if options.json:
        report = {
            **surroundings(),
            "rounds": options.rounds,
            "cases": [asdict(result) for result in results],
            "import": {"jax_ms": jax_alone, "added_ms": added},
        }
        options.json.write_text(json.dumps(report, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
