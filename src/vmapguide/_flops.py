"""What one equation costs: floating-point operations, transcendental functions, bytes.

The conventions are those of XLA's own count: an operation on every element of its result is one
FLOP an element, whatever it is; functions like `exp` are counted apart; a product of matrices is
`2·m·n·k`. Linear algebra is counted by the leading terms in Golub and Van Loan, Matrix Computations
(4th edition, 2013), a Fourier transform by the customary `5·n·log2(n)`. Complex numbers are counted
like real ones. Integers are counted like floats.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.extend.core as jec

from vmapguide import _jaxpr


@dataclass(frozen=True)
class Amount:
    """An amount of work: FLOPs, transcendental functions, bytes read and written."""

    flops: int = 0
    transcendentals: int = 0
    bytes: int = 0

    def __add__(self, other: Amount) -> Amount:
        """Return both together."""
        return Amount(
            self.flops + other.flops,
            self.transcendentals + other.transcendentals,
            self.bytes + other.bytes,
        )

    def times(self, number: int) -> Amount:
        """Return so many of it."""
        return Amount(self.flops * number, self.transcendentals * number, self.bytes * number)


# One for each element of the result.
_ARITHMETIC = frozenset(
    {
        *("abs", "add", "add_any", "and", "ceil", "clamp", "clz", "complex", "conj"),
        *("convert_element_type", "div", "eq", "floor", "ge", "gt", "is_finite", "le", "lt", "max"),
        *("min", "mul", "ne", "neg", "nextafter", "not", "or", "population_count"),
        *("reduce_precision", "rem", "round", "select_n", "shift_left", "shift_right_arithmetic"),
        *("shift_right_logical", "sign", "square", "sub", "xor"),
    }
)
_TRANSCENDENTAL = frozenset(
    {
        *("acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "bessel_i0e", "bessel_i1e"),
        *("cbrt", "cos", "cosh", "digamma", "erf", "erf_inv", "erfc", "exp", "exp2", "expm1"),
        *("igamma", "igamma_grad_a", "igammac", "lgamma", "log", "log1p", "log2", "logistic"),
        *("polygamma", "pow", "regularized_incomplete_beta", "rsqrt", "sin", "sinh", "sqrt", "tan"),
        *("tanh", "zeta"),
    }
)

# Nothing is computed. Of these, the last set does not even touch the memory.
_MOVES = frozenset(
    {
        *("bitcast_convert_type", "broadcast_in_dim", "concatenate", "copy", "copy_p"),
        *("copy_to_host", "device_put", "dynamic_slice", "dynamic_update_slice", "gather", "imag"),
        *("iota", "pad", "random_clone", "real", "rev", "scatter", "slice", "split", "stack"),
        *("tile", "transpose", "unstack"),
    }
)
_FREE = frozenset(
    {
        *("axis_index", "name", "optimization_barrier", "pvary", "random_unwrap", "random_wrap"),
        *("reshape", "sharding_constraint", "squeeze", "stop_gradient", "create_token"),
    }
)

# These read no more of their first operand than they return.
_PARTIAL_READS = frozenset({"dynamic_slice", "gather", "slice"})

# These write no more than what they are given to write.
_PARTIAL_WRITES = frozenset({"dynamic_update_slice", "scatter", "scatter-add", "scatter-mul"})

# A block of the threefry generator: 20 rounds of add, rotate (two shifts and an or) and xor, and
# five injections of the key, three additions each. It makes two words of 32 bits
# (Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3, 2011).
_THREEFRY_BLOCK = 20 * 5 + 5 * 3


def amount(eqn: jec.JaxprEqn) -> Amount | None:
    """Return what one run of an equation costs, without what is nested in it, None if unknown."""
    name = eqn.primitive.name
    size = sum(_size(var) for var in eqn.outvars)
    if name in _FREE:
        return Amount()
    moved = _bytes(eqn)
    if name in _ARITHMETIC:
        return Amount(size, 0, moved)
    if name in _TRANSCENDENTAL:
        return Amount(0, size, moved)
    if name in _MOVES:
        return Amount(0, 0, moved)
    rule = _RULES.get(name)
    if rule is None:
        return None
    counted = rule(eqn)
    flops, transcendentals = counted if isinstance(counted, tuple) else (counted, 0)
    return Amount(round(flops), round(transcendentals), moved)


def _size(atom: Any) -> int:
    return math.prod(_shape(atom))


def _shape(atom: Any) -> tuple[int, ...]:
    return tuple(getattr(atom.aval, "shape", ()))


def _bytes(eqn: jec.JaxprEqn) -> int:
    """Return how many bytes an equation reads and writes if it runs on its own."""
    operands, results = [*map(_held, eqn.invars)], [*map(_held, eqn.outvars)]
    name = eqn.primitive.name
    if name in _PARTIAL_READS:
        operands[0] = sum(results)
    if name in _PARTIAL_WRITES:
        # The operand is changed in place.
        updates = _held(eqn.invars[1 if name == "dynamic_update_slice" else 2])
        operands[0], results = 0, [updates]
    return sum(operands) + sum(results)


def _held(atom: Any) -> int:
    """Return how many bytes a value takes. A number written into the program takes none."""
    if isinstance(atom, jec.Literal):
        return 0
    return _size(atom) * int(getattr(getattr(atom.aval, "dtype", None), "itemsize", 0))


# -- Rules: FLOPs, or FLOPs and transcendental functions -----------------------

Count = float | tuple[float, float]


def _dot_general(eqn: jec.JaxprEqn) -> Count:
    (contracted, _), _ = eqn.params["dimension_numbers"]
    left = _shape(eqn.invars[0])
    inner: int = math.prod(left[axis] for axis in contracted)
    return 2 * _size(eqn.outvars[0]) * inner


def _conv(eqn: jec.JaxprEqn) -> Count:
    """Count a multiplication and an addition for each output and each weight that goes into it."""
    kernel = _shape(eqn.invars[1])
    outputs: int = kernel[eqn.params["dimension_numbers"].rhs_spec[0]]
    return 2 * _size(eqn.outvars[0]) * (math.prod(kernel) // max(outputs, 1))


def _reduction(eqn: jec.JaxprEqn) -> int:
    return _size(eqn.invars[0]) - _size(eqn.outvars[0])


def _reduction_by_function(eqn: jec.JaxprEqn) -> Count:
    return _reduction(eqn) * _length(eqn)


def _window(eqn: jec.JaxprEqn) -> Count:
    window: int = math.prod(eqn.params["window_dimensions"])
    return _size(eqn.outvars[0]) * (window - 1) * _length(eqn)


def _scatter(eqn: jec.JaxprEqn) -> Count:
    return _size(eqn.invars[2])


def _select_and_scatter(eqn: jec.JaxprEqn) -> Count:
    window: int = math.prod(eqn.params["window_dimensions"])
    return _size(eqn.invars[0]) * window


def _length(eqn: jec.JaxprEqn) -> int:
    """Return how many operations the function has that is applied to each element."""
    return max(1, sum(len(jaxpr.eqns) for jaxpr in _jaxpr.nested(eqn)))


def _scan_along(eqn: jec.JaxprEqn) -> Count:
    return _size(eqn.outvars[0])


def _cumulative_logsumexp(eqn: jec.JaxprEqn) -> Count:
    return 3 * _size(eqn.outvars[0]), 2 * _size(eqn.outvars[0])


def _argument(eqn: jec.JaxprEqn) -> Count:
    return _size(eqn.invars[0])


def _sort(eqn: jec.JaxprEqn) -> Count:
    """Count the comparisons of a merge sort."""
    length: int = _shape(eqn.invars[0])[eqn.params["dimension"]]
    return _size(eqn.invars[0]) * math.ceil(math.log2(max(length, 2)))


def _top_k(eqn: jec.JaxprEqn) -> Count:
    kept = max(*_shape(eqn.outvars[0])[-1:], 2)
    return _size(eqn.invars[0]) * math.ceil(math.log2(kept))


def _fft(eqn: jec.JaxprEqn) -> Count:
    length: int = math.prod(eqn.params["fft_lengths"])
    size = max(_size(eqn.invars[0]), _size(eqn.outvars[0]))
    # A transform of real numbers takes half of one of complex numbers.
    half = 2 if "RFFT" in eqn.params["fft_type"].name else 1
    return 5 * size * math.log2(max(length, 1)) / half


def _power(eqn: jec.JaxprEqn) -> Count:
    """Count the multiplications of repeated squaring, and the division of a negative power."""
    exponent = int(eqn.params["y"])
    bits = f"{abs(exponent):b}"
    return _size(eqn.outvars[0]) * (max(len(bits) - 2 + bits.count("1"), 0) + (exponent < 0))


def _random_bits(eqn: jec.JaxprEqn) -> Count:
    words: float = _size(eqn.outvars[0]) * max(eqn.params["bit_width"], 32) / 32
    return words * _THREEFRY_BLOCK / 2


def _key_words(eqn: jec.JaxprEqn) -> Count:
    return _size(eqn.outvars[0]) * _THREEFRY_BLOCK


def _matrix(eqn: jec.JaxprEqn) -> tuple[int, int, int]:
    """Return how many matrices the first operand holds, and their long and short side."""
    *batch, rows, columns = _shape(eqn.invars[0])
    return math.prod(batch), max(rows, columns), min(rows, columns)


def _of_matrices(count: Callable[[int, int], float]) -> Callable[[jec.JaxprEqn], Count]:
    """Return a rule by the long side m and the short side n of each matrix."""

    def rule(eqn: jec.JaxprEqn) -> Count:
        batch, m, n = _matrix(eqn)
        return batch * count(m, n)

    return rule


def _triangular_solve(eqn: jec.JaxprEqn) -> Count:
    """Count n² for each right-hand side."""
    _, n, _ = _matrix(eqn)
    return _size(eqn.invars[1]) * n


def _qr(eqn: jec.JaxprEqn) -> Count:
    """Count Householder's R, and as much again for the Q that JAX returns, too."""
    batch, m, n = _matrix(eqn)
    return batch * 2 * (2 * m * n**2 - 2 * n**3 / 3)


def _eigh(eqn: jec.JaxprEqn) -> Count:
    """Count the symmetric QR algorithm with its vectors: 9n³."""
    batch, n, _ = _matrix(eqn)
    return batch * 9 * n**3


def _svd(eqn: jec.JaxprEqn) -> Count:
    """Count the R-SVD: singular values alone, or with both sets of vectors."""
    batch, m, n = _matrix(eqn)
    if not eqn.params.get("compute_uv", True):
        return batch * (2 * m * n**2 + 2 * n**3)
    full = eqn.params.get("full_matrices", False)
    return batch * (4 * m**2 * n + 22 * n**3 if full else 6 * m * n**2 + 20 * n**3)


_RULES: dict[str, Callable[[jec.JaxprEqn], Count]] = {
    "argmax": _argument,
    "argmin": _argument,
    "cholesky": _of_matrices(lambda m, n: m * n**2 / 3),
    "conv_general_dilated": _conv,
    "cumlogsumexp": _cumulative_logsumexp,
    "cummax": _scan_along,
    "cummin": _scan_along,
    "cumprod": _scan_along,
    "cumsum": _scan_along,
    "dot_general": _dot_general,
    "eig": _of_matrices(lambda m, _: 25 * m**3),
    "eigh": _eigh,
    "fft": _fft,
    "geqrf": _of_matrices(lambda m, n: 2 * m * n**2 - 2 * n**3 / 3),
    "hessenberg": _of_matrices(lambda m, _: 10 * m**3 / 3),
    "householder_product": _of_matrices(lambda m, n: 2 * m * n**2 - 2 * n**3 / 3),
    "integer_pow": _power,
    "iota_2x32_shape": lambda _: 0,
    "lu": _of_matrices(lambda m, n: m * n**2 - n**3 / 3),
    "lu_pivots_to_permutation": lambda _: 0,
    "one_minus_square": lambda eqn: 2 * _size(eqn.outvars[0]),
    "qr": _qr,
    "random_bits": _random_bits,
    "random_fold_in": _key_words,
    "random_seed": lambda eqn: _size(eqn.outvars[0]),
    "random_split": _key_words,
    "reduce": _reduction_by_function,
    "reduce_and": _reduction,
    "reduce_max": _reduction,
    "reduce_min": _reduction,
    "reduce_or": _reduction,
    "reduce_prod": _reduction,
    "reduce_sum": _reduction,
    "reduce_window": _window,
    "reduce_window_max": _window,
    "reduce_window_min": _window,
    "reduce_window_sum": _window,
    "reduce_xor": _reduction,
    "scatter-add": _scatter,
    "scatter-max": _scatter,
    "scatter-min": _scatter,
    "scatter-mul": _scatter,
    "scatter-sub": _scatter,
    "schur": _of_matrices(lambda m, _: 25 * m**3),
    "select_and_gather_add": _window,
    "select_and_scatter_add": _select_and_scatter,
    "sort": _sort,
    "svd": _svd,
    "threefry2x32": lambda eqn: _size(eqn.outvars[0]) * _THREEFRY_BLOCK,
    "top_k": _top_k,
    "triangular_solve": _triangular_solve,
    "tridiagonal": _of_matrices(lambda m, _: 4 * m**3 / 3),
    # Thomas' algorithm, for each right-hand side.
    "tridiagonal_solve": lambda eqn: 8 * _size(eqn.outvars[0]),
}
