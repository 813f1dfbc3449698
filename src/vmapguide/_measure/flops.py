"""What one equation costs: floating-point operations, transcendental functions, bytes.

Start with `amount`. `_jaxpr.primitives` says how a primitive is counted; those that need a formula
of their own have it in `RULES`, below.

The conventions are those of XLA's own count: an operation of arithmetic is one FLOP for each
element of its result, a division like an addition; functions like `exp` are counted apart; a
product of matrices is `2·m·n·k`. Linear algebra is counted by the leading terms in Golub and Van
Loan, Matrix Computations (4th edition, 2013), products with Householder's reflectors by those in
LAPACK Working Note 41 (Anderson and Dongarra, 1994), a Fourier transform by the customary
`5·n·log2(n)` (Frigo and Johnson, The Design and Implementation of FFTW3, 2005). Complex numbers are
counted like real ones. Integers are counted like floats.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.extend.core as jec

from vmapguide._data import Work
from vmapguide._jaxpr import primitives
from vmapguide._jaxpr.walk import nested


# A block of the threefry generator: 20 rounds of add, rotate (two shifts and an or) and xor; the
# key is added to both words first, and then five times more, with the number of the time. It makes
# two words of 32 bits (Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3, 2011).
_THREEFRY_BLOCK = 20 * 5 + 2 + 5 * 3
_THREEFRY = "key<fry>"


def amount(eqn: jec.JaxprEqn) -> Work | None:
    """Return what one run of an equation costs, without what is nested in it, None if unknown."""
    counted: Count = None
    match primitives.traits(eqn.primitive.name).work:
        case "free":
            return Work()
        case "moves":
            counted = 0
        case "arithmetic":
            counted = sum(map(_size, eqn.outvars))
        case "transcendental":
            counted = 0, sum(map(_size, eqn.outvars))
        case "rule":
            counted = RULES[eqn.primitive.name](eqn)
    if counted is None:
        return None
    flops, transcendentals = counted if isinstance(counted, tuple) else (counted, 0)
    return Work(round(flops), round(transcendentals), _bytes(eqn))


def _size(atom: Any) -> int:
    return math.prod(_shape(atom))


def _shape(atom: Any) -> tuple[int, ...]:
    return tuple(getattr(atom.aval, "shape", ()))


def _bytes(eqn: jec.JaxprEqn) -> int:
    """Return how many bytes an equation reads and writes if it runs on its own."""
    operands, results = [*map(_held, eqn.invars)], [*map(_held, eqn.outvars)]
    traits = primitives.traits(eqn.primitive.name)
    if traits.reads_part:
        operands[0] = sum(results)
    if traits.written is not None:
        # The operand is changed in place. A swap is how a reference is assigned to, and what was
        # there before is hardly ever wanted: it is not read.
        written = _size(eqn.invars[traits.written]) * _itemsize(eqn.invars[0])
        operands[0], results = 0, [written]
    return sum(operands) + sum(results)


def _held(atom: Any) -> int:
    """Return how many bytes a value takes. A number written into the program takes none."""
    if isinstance(atom, jec.Literal):
        return 0
    return _size(atom) * _itemsize(atom)


def _itemsize(atom: Any) -> int:
    return int(getattr(getattr(atom.aval, "dtype", None), "itemsize", 0))


# -- Rules: FLOPs, or FLOPs and transcendental functions; None if not known ----

Count = float | tuple[float, float] | None


def _of_result(flops: int) -> Callable[[jec.JaxprEqn], Count]:
    """Return a rule by what each element of the result takes."""
    return lambda eqn: flops * _size(eqn.outvars[0])


def _of_operand(number: int) -> Callable[[jec.JaxprEqn], Count]:
    """Return the rule that counts one for each element of an operand."""
    return lambda eqn: _size(eqn.invars[number])


def _dot_general(eqn: jec.JaxprEqn) -> Count:
    (contracted, _), _ = eqn.params["dimension_numbers"]
    left = _shape(eqn.invars[0])
    inner: int = math.prod(left[axis] for axis in contracted)
    return 2 * _size(eqn.outvars[0]) * inner


def _ragged_dot(eqn: jec.JaxprEqn) -> Count:
    """Count every row in one group. That is all there can be: rows in no group cost nothing."""
    numbers = eqn.params["ragged_dot_dimension_numbers"]
    (contracted, _), _ = numbers.dot_dimension_numbers
    left = _shape(eqn.invars[0])
    inner: int = math.prod(left[axis] for axis in contracted)
    # Along a ragged axis that is summed over, the groups share the terms of the sum.
    shared = numbers.lhs_ragged_dimensions[0] in contracted
    groups = _shape(eqn.invars[2])[-1] if shared else 1
    return 2 * _size(eqn.outvars[0]) * inner // max(groups, 1)


def _conv(eqn: jec.JaxprEqn) -> Count:
    """Count a multiplication and an addition for each output and each weight that goes into it."""
    kernel = _shape(eqn.invars[1])
    outputs: int = kernel[eqn.params["dimension_numbers"].rhs_spec[0]]
    return 2 * _size(eqn.outvars[0]) * (math.prod(kernel) // max(outputs, 1))


def _reduction(eqn: jec.JaxprEqn) -> int:
    # The sum of nothing is there without an addition.
    return max(_size(eqn.invars[0]) - _size(eqn.outvars[0]), 0)


def _reduction_by_function(eqn: jec.JaxprEqn) -> Count:
    return _reduction(eqn) * _length(eqn)


def _window(eqn: jec.JaxprEqn) -> Count:
    window: int = math.prod(eqn.params["window_dimensions"])
    return _size(eqn.outvars[0]) * (window - 1) * _length(eqn)


def _select_and_scatter(eqn: jec.JaxprEqn) -> Count:
    window: int = math.prod(eqn.params["window_dimensions"])
    return _size(eqn.invars[0]) * window


def _length(eqn: jec.JaxprEqn) -> int:
    """Return how many operations the function has that is applied to each element."""
    return max(1, sum(len(jaxpr.eqns) for jaxpr in nested(eqn)))


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


def _polynomial(eqn: jec.JaxprEqn) -> Count:
    """Count Horner's rule: a multiplication and an addition for each coefficient but the first."""
    _, *coefficients = eqn.invars
    return 2 * _size(eqn.outvars[0]) * max(len(coefficients) - 1, 0)


def _random_bits(eqn: jec.JaxprEqn) -> Count:
    """Count the blocks, and in JAX's partitionable way how the two words of each become one."""
    if not _is_threefry(eqn):
        return None
    numbers, width = _size(eqn.outvars[0]), int(eqn.params["bit_width"])
    if jax.config.jax_threefry_partitionable:  # type: ignore[attr-defined]
        # 64 bits are one word shifted and the other put beside it, fewer are the two in one.
        joining = 2 if width > 32 else 1  # noqa: PLR2004 - bits of a word.
        return numbers * (_THREEFRY_BLOCK + joining)
    words = math.ceil(numbers * width / 32)
    return math.ceil(words / 2) * _THREEFRY_BLOCK


def _new_keys(eqn: jec.JaxprEqn) -> Count:
    """Count a block for each key."""
    return _size(eqn.outvars[0]) * _THREEFRY_BLOCK if _is_threefry(eqn) else None


def _is_threefry(eqn: jec.JaxprEqn) -> bool:
    """Say whether an equation's key is of the default kind. What others take is not known."""
    return str(getattr(eqn.invars[0].aval, "dtype", "")) == _THREEFRY


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
    """Count Householder's R, and the columns of Q that JAX returns."""
    batch, m, n = _matrix(eqn)
    rows, columns = _shape(eqn.invars[0])[-2:]
    kept = rows if eqn.params.get("full_matrices", False) else min(rows, columns)
    return batch * (2 * m * n**2 - 2 * n**3 / 3 + _reflected(rows, kept, n))


def _householder_product(eqn: jec.JaxprEqn) -> Count:
    *batch, rows, columns = _shape(eqn.invars[0])
    return math.prod(batch) * _reflected(rows, columns, _shape(eqn.invars[1])[-1])


def _reflected(rows: int, columns: int, k: int) -> float:
    """Return what it takes to write k reflectors out as the columns of a matrix."""
    return 4 * rows * columns * k - 2 * (rows + columns) * k**2 + 4 * k**3 / 3


def _ormqr(eqn: jec.JaxprEqn) -> Count:
    """Count the application of k reflectors to a matrix, from its left or right."""
    *batch, m, n = _shape(eqn.invars[2])
    k = _shape(eqn.invars[1])[-1]
    across = n if eqn.params["left"] else m
    return math.prod(batch) * (4 * m * n * k - 2 * across * k**2)


def _eig(eqn: jec.JaxprEqn) -> Count:
    """Count the QR algorithm: 25n³ with vectors, 10n³ for the eigenvalues alone."""
    batch, n, _ = _matrix(eqn)
    flags = ("compute_left_eigenvectors", "compute_right_eigenvectors", "compute_schur_vectors")
    has_vectors = any(eqn.params.get(flag, False) for flag in flags)
    return batch * (25 if has_vectors else 10) * n**3


def _svd(eqn: jec.JaxprEqn) -> Count:
    """Count the R-SVD: singular values alone, or with both sets of vectors."""
    batch, m, n = _matrix(eqn)
    if not eqn.params.get("compute_uv", True):
        return batch * (2 * m * n**2 + 2 * n**3)
    full = eqn.params.get("full_matrices", False)
    return batch * (4 * m**2 * n + 22 * n**3 if full else 6 * m * n**2 + 20 * n**3)


RULES: dict[str, Callable[[jec.JaxprEqn], Count]] = {
    "addupdate": _of_operand(1),
    "approx_top_k": _top_k,
    "argmax": _of_operand(0),
    "argmin": _of_operand(0),
    "cholesky": _of_matrices(lambda m, n: m * n**2 / 3),
    "conv_general_dilated": _conv,
    "cumlogsumexp": lambda eqn: (3 * _size(eqn.outvars[0]), 2 * _size(eqn.outvars[0])),
    "cummax": _of_result(1),
    "cummin": _of_result(1),
    "cumprod": _of_result(1),
    "cumsum": _of_result(1),
    "dot_general": _dot_general,
    "eig": _eig,
    # The symmetric QR algorithm with its vectors.
    "eigh": _of_matrices(lambda n, _: 9 * n**3),
    "fft": _fft,
    "geqp3": _of_matrices(lambda m, n: 2 * m * n**2 - 2 * n**3 / 3),
    "geqrf": _of_matrices(lambda m, n: 2 * m * n**2 - 2 * n**3 / 3),
    "hessenberg": _of_matrices(lambda m, _: 10 * m**3 / 3),
    "householder_product": _householder_product,
    "integer_pow": _power,
    "iota_2x32_shape": lambda _: 0,
    "lu": _of_matrices(lambda m, n: m * n**2 - n**3 / 3),
    "lu_pivots_to_permutation": lambda _: 0,
    "one_minus_square": _of_result(2),
    "ormqr": _ormqr,
    "polynomial": _polynomial,
    "qr": _qr,
    "ragged_dot_general": _ragged_dot,
    "random_bits": _random_bits,
    "random_fold_in": _new_keys,
    "random_seed": _of_result(1),
    "random_split": _new_keys,
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
    "scatter-add": _of_operand(2),
    "scatter-max": _of_operand(2),
    "scatter-min": _of_operand(2),
    "scatter-mul": _of_operand(2),
    "scatter-sub": _of_operand(2),
    "schur": _eig,
    "select_and_gather_add": _window,
    "select_and_scatter_add": _select_and_scatter,
    "sort": _sort,
    "svd": _svd,
    "threefry2x32": _of_result(_THREEFRY_BLOCK),
    "top_k": _top_k,
    "triangular_solve": _triangular_solve,
    "tridiagonal": _of_matrices(lambda m, _: 4 * m**3 / 3),
    # Thomas' algorithm, for each right-hand side.
    "tridiagonal_solve": _of_result(8),
}
