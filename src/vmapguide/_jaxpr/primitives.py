"""One table with what is known of each of JAX's primitives.

Start with `traits`, which returns the row of a primitive, or `with_role`, which returns the names
of all primitives with a role. Here is only data, and it is the only place for it: every set of
primitives in the package is a role or a field of this table. What needs code has a rule elsewhere,
by name: `_measure/flops.py` has the formulas of the rows that say `rule`, and `views.py` those for
what only moves axes.

`tests/test_primitives.py` holds the table against the list of test calls that JAX carries, and
against what the operations compute.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


# What a primitive costs. `arithmetic`: one FLOP for each element of its result. `transcendental`:
# one such function for each. `moves`: nothing is computed, but memory is read and written. `free`:
# not even that. `rule`: what a formula says. `inside`: what is nested in it. `unknown`: nobody
# knows, unless something is nested in it.
Work = Literal["arithmetic", "transcendental", "moves", "free", "rule", "inside", "unknown"]

# What a primitive is to somebody who looks at a program.
#
# - `layout`: it only moves, adds or drops axes, or copies.
# - `call`: it calls a function once. A listing may fold it away if the function is a library's.
# - `loop`: it runs what is nested in it again and again.
# - `callback`: it calls Python, for a result.
# - `print`: it calls Python, for what that does.
# - `random`: it makes random bits.
# - `product`: it multiplies and adds, and an accelerator may do so with fewer bits than its
#   operands have: it has a parameter `precision`.
# - `kernel`: it is one call of a library for the whole batch, which on a CPU is a loop over the
#   matrices around LAPACK (jaxlib/cpu/lapack_kernels.cc), and on a GPU for many sizes one around
#   cuSOLVER (jaxlib/gpu/solver_kernels_ffi.cc). That `vmap` makes these no faster then, JAX's
#   developers say in https://github.com/jax-ml/jax/issues/10180.
Role = Literal["", "layout", "call", "loop", "callback", "print", "random", "product", "kernel"]


@dataclass(frozen=True)
class Traits:
    """What is known of a primitive. The defaults are right for one of which nothing is known.

    Attributes:
        work: what it costs.
        role: what it is in a program; empty if it is none of those.
        elementwise: whether each element of its one result is made from the elements of the
            operands in the same place.
        commutative: whether its two operands may change places.
        reduction: whether it reduces the axes that its parameter `axes` names, in any order.
        applies: whether it holds a function that it applies to elements, so that the cost of the
            function is part of its own.
        reads_part: whether it reads no more of its first operand than it returns.
        written: of an operation that changes its first operand in place, which operand says what
            is written there.
        body: of a call that computes what is in it and nothing else, the parameter that has the
            program.
        joins: whether it puts the elements of all its operands side by side, or orders those of
            one by those of another.
        consumes_key: whether it draws random bits or new keys from the random key that is its
            first operand, so that nothing else may be drawn from this key.
        keeps_key: of a random key, or of the words of one, what it returns: the `whole`, or `part`
            of an array of them.
        smaller: of a comparison, which operand is the smaller one where it holds.
        formula: of a kernel, how many rows a matrix may have for which what it computes can be
            written out, in a few terms that are as accurate. 0 if it cannot be.
        stands_alone: whether XLA computes it apart from what is around it, so that its operands
            and its results are held in memory, on a CPU at least. The others it can fuse: a chain
            of them into a reduction holds none of its values.
        fused_on_gpu: of such a one, whether XLA fuses it on a GPU.
    """

    work: Work = "unknown"
    role: Role = ""
    elementwise: bool = False
    commutative: bool = False
    reduction: bool = False
    applies: bool = False
    reads_part: bool = False
    written: int | None = None
    body: str | None = None
    joins: bool = False
    consumes_key: bool = False
    keeps_key: Literal["", "whole", "part"] = ""
    smaller: int | None = None
    formula: int = 0
    stands_alone: bool = False
    fused_on_gpu: bool = False


def traits(name: str) -> Traits:
    """Return what is known of a primitive by its name."""
    return PRIMITIVES.get(name, _UNKNOWN)


def with_role(*roles: Role) -> frozenset[str]:
    """Return the names of the primitives that have one of these roles."""
    return frozenset(name for name, row in PRIMITIVES.items() if row.role in roles)


_UNKNOWN = Traits()
_ARITHMETIC = Traits("arithmetic", elementwise=True)
_COMMUTATIVE = Traits("arithmetic", elementwise=True, commutative=True)
_TRANSCENDENTAL = Traits("transcendental", elementwise=True)
_MOVES = Traits("moves")
_FREE = Traits("free")
_RULE = Traits("rule")
_REDUCTION = Traits("rule", reduction=True)
_ALONE = Traits("rule", stands_alone=True)
# On a GPU cumsum was measured. Of the others, no more is said there than of it.
_CUMULATIVE = Traits("rule", stands_alone=True, fused_on_gpu=True)
_PRODUCT = Traits("rule", role="product", stands_alone=True)
_KERNEL = Traits("rule", role="kernel", stands_alone=True)
_SHORT_KERNEL = Traits("rule", role="kernel", stands_alone=True, formula=3)
_INSIDE = Traits("inside")
_LESS = Traits("arithmetic", elementwise=True, smaller=0)
_GREATER = Traits("arithmetic", elementwise=True, smaller=1)

PRIMITIVES: dict[str, Traits] = {
    "abs": _ARITHMETIC,
    "acos": _TRANSCENDENTAL,
    "acosh": _TRANSCENDENTAL,
    "add": _COMMUTATIVE,
    "add_any": _COMMUTATIVE,
    "addupdate": Traits("rule", written=1),
    "after_all": _UNKNOWN,
    "all_gather": _UNKNOWN,
    "all_to_all": _UNKNOWN,
    "and": _COMMUTATIVE,
    "approx_top_k": _ALONE,
    "argmax": _RULE,
    "argmin": _RULE,
    "asin": _TRANSCENDENTAL,
    "asinh": _TRANSCENDENTAL,
    "atan": _TRANSCENDENTAL,
    "atan2": _TRANSCENDENTAL,
    "atanh": _TRANSCENDENTAL,
    "axis_index": _FREE,
    "bessel_i0e": _TRANSCENDENTAL,
    "bessel_i1e": _TRANSCENDENTAL,
    "bitcast_convert_type": _MOVES,
    "broadcast_in_dim": Traits("moves", role="layout"),
    "call": _INSIDE,
    "cbrt": _TRANSCENDENTAL,
    "ceil": _ARITHMETIC,
    "checkpoint": Traits("inside", body="jaxpr"),
    "cholesky": _SHORT_KERNEL,
    "clamp": _ARITHMETIC,
    "closed_call": Traits("inside", body="call_jaxpr"),
    "clz": _ARITHMETIC,
    "complex": _ARITHMETIC,
    "concatenate": Traits("moves", joins=True),
    "cond": Traits("inside", stands_alone=True),
    "conj": _ARITHMETIC,
    "conv_general_dilated": _PRODUCT,
    "convert_element_type": _ARITHMETIC,
    "copy": Traits("moves", role="layout", keeps_key="whole"),
    "copy_p": Traits("moves", keeps_key="whole"),
    "copy_to_host": _MOVES,
    "core_call": Traits("inside", body="call_jaxpr"),
    "cos": _TRANSCENDENTAL,
    "cosh": _TRANSCENDENTAL,
    "create_token": _FREE,
    "cumlogsumexp": _CUMULATIVE,
    "cummax": _CUMULATIVE,
    "cummin": _CUMULATIVE,
    "cumprod": _CUMULATIVE,
    "cumsum": _CUMULATIVE,
    "custom_jvp_call": Traits("inside", role="call", body="call_jaxpr"),
    "custom_lin": _INSIDE,
    "custom_linear_solve": _INSIDE,
    "custom_vjp_call": Traits("inside", role="call", body="call_jaxpr"),
    "custom_vmap_call": _INSIDE,
    "dce_sink": _FREE,
    "debug_callback": Traits("unknown", role="print"),
    "debug_print": Traits("unknown", role="print"),
    "device_put": _MOVES,
    "digamma": _TRANSCENDENTAL,
    "div": _ARITHMETIC,
    "dot_general": _PRODUCT,
    "dynamic_slice": Traits("moves", reads_part=True, keeps_key="part"),
    "dynamic_update_slice": Traits("moves", written=1, stands_alone=True, fused_on_gpu=True),
    "eig": _KERNEL,
    "eigh": Traits("rule", role="kernel", stands_alone=True, formula=2),
    "empty": _FREE,
    "empty2": _UNKNOWN,
    "eq": _COMMUTATIVE,
    "eq_to": _COMMUTATIVE,
    "erf": _TRANSCENDENTAL,
    "erf_inv": _TRANSCENDENTAL,
    "erfc": _TRANSCENDENTAL,
    "eval_jaxpr": Traits("inside", body="jaxpr"),
    "exp": _TRANSCENDENTAL,
    "exp2": _TRANSCENDENTAL,
    "expm1": _TRANSCENDENTAL,
    "fft": _ALONE,
    "floor": _ARITHMETIC,
    "freeze": _FREE,
    "gather": Traits("moves", reads_part=True, keeps_key="part"),
    "ge": _GREATER,
    "geqp3": _KERNEL,
    "geqrf": _KERNEL,
    "get": Traits("moves", reads_part=True),
    "gt": _GREATER,
    "hessenberg": _KERNEL,
    "householder_product": _KERNEL,
    "igamma": _TRANSCENDENTAL,
    "igamma_grad_a": _TRANSCENDENTAL,
    "igammac": _TRANSCENDENTAL,
    "imag": Traits("moves", elementwise=True),
    "integer_pow": Traits("rule", elementwise=True),
    "io_callback": Traits("unknown", role="callback", stands_alone=True),
    "iota": _MOVES,
    "iota_2x32_shape": _RULE,
    "is_finite": _ARITHMETIC,
    "jit": Traits("inside", role="call", body="jaxpr"),
    "le": _LESS,
    "le_to": _LESS,
    "lgamma": _TRANSCENDENTAL,
    "log": _TRANSCENDENTAL,
    "log1p": _TRANSCENDENTAL,
    "log2": _TRANSCENDENTAL,
    "logistic": _TRANSCENDENTAL,
    "lt": _LESS,
    "lt_to": _LESS,
    "lu": _SHORT_KERNEL,
    "lu_pivots_to_permutation": _RULE,
    "max": _COMMUTATIVE,
    "min": _COMMUTATIVE,
    "mul": _COMMUTATIVE,
    "name": Traits("free", elementwise=True),
    "ne": _COMMUTATIVE,
    "neg": _ARITHMETIC,
    "new_ref": _MOVES,
    "nextafter": _ARITHMETIC,
    "not": _ARITHMETIC,
    "one_minus_square": Traits("rule", elementwise=True),
    "optimization_barrier": Traits("free", keeps_key="whole"),
    "or": _COMMUTATIVE,
    "ormqr": _KERNEL,
    "pad": _MOVES,
    "pallas_call": Traits("unknown", applies=True, stands_alone=True),
    "platform_index": _FREE,
    "pmax": _UNKNOWN,
    "pmin": _UNKNOWN,
    "polygamma": _TRANSCENDENTAL,
    "polynomial": _RULE,
    "population_count": _ARITHMETIC,
    "pow": _TRANSCENDENTAL,
    "ppermute": _UNKNOWN,
    "psum": _UNKNOWN,
    "pure_callback": Traits("unknown", role="callback", stands_alone=True),
    "pvary": _FREE,
    "qr": _KERNEL,
    "ragged_all_to_all": _UNKNOWN,
    "ragged_dot_general": _PRODUCT,
    "random_bits": Traits("rule", role="random", consumes_key=True, stands_alone=True),
    "random_clone": _MOVES,
    "random_fold_in": _RULE,
    "random_gamma": Traits("unknown", role="random", consumes_key=True, stands_alone=True),
    "random_seed": _RULE,
    "random_split": Traits("rule", consumes_key=True),
    "random_unwrap": Traits("free", keeps_key="whole"),
    "random_wrap": Traits("free", keeps_key="whole"),
    "real": Traits("moves", elementwise=True),
    "reduce": Traits("rule", applies=True),
    "reduce_and": _REDUCTION,
    "reduce_max": _REDUCTION,
    "reduce_min": _REDUCTION,
    "reduce_or": _REDUCTION,
    "reduce_precision": _ARITHMETIC,
    "reduce_prod": _REDUCTION,
    "reduce_sum": _REDUCTION,
    "reduce_window": Traits("rule", applies=True),
    "reduce_window_max": _RULE,
    "reduce_window_min": _RULE,
    "reduce_window_sum": _RULE,
    "reduce_xor": _REDUCTION,
    "regularized_incomplete_beta": _TRANSCENDENTAL,
    "rem": _ARITHMETIC,
    "remat2": Traits("inside", body="jaxpr"),
    "reshard": _MOVES,
    "reshape": Traits("free", role="layout", keeps_key="part"),
    "rev": _MOVES,
    "rng_bit_generator": Traits("unknown", role="random", consumes_key=True, stands_alone=True),
    "rng_uniform": _UNKNOWN,
    "round": _ARITHMETIC,
    "rsqrt": _TRANSCENDENTAL,
    "run_state": _INSIDE,
    "scan": Traits("inside", role="loop", stands_alone=True),
    "scatter": Traits("moves", applies=True, written=2, stands_alone=True),
    "scatter-add": Traits("rule", applies=True, written=2, stands_alone=True),
    "scatter-max": Traits("rule", applies=True, written=2, stands_alone=True),
    "scatter-min": Traits("rule", applies=True, written=2, stands_alone=True),
    "scatter-mul": Traits("rule", applies=True, written=2, stands_alone=True),
    "scatter-sub": Traits("rule", applies=True, written=2, stands_alone=True),
    "schur": _KERNEL,
    "select_and_gather_add": Traits("rule", applies=True),
    "select_and_scatter": Traits("unknown", applies=True, stands_alone=True),
    "select_and_scatter_add": Traits("rule", applies=True, stands_alone=True),
    "select_n": _ARITHMETIC,
    "shard_map": _INSIDE,
    "sharding_constraint": _FREE,
    "shift_left": _ARITHMETIC,
    "shift_right_arithmetic": _ARITHMETIC,
    "shift_right_logical": _ARITHMETIC,
    "sign": _ARITHMETIC,
    "sin": _TRANSCENDENTAL,
    "sinh": _TRANSCENDENTAL,
    "slice": Traits("moves", reads_part=True, keeps_key="part"),
    "sort": Traits("rule", joins=True, stands_alone=True),
    "split": Traits("moves", keeps_key="part"),
    "sqrt": _TRANSCENDENTAL,
    "square": _ARITHMETIC,
    "squeeze": Traits("free", role="layout", keeps_key="part"),
    "stack": Traits("moves", joins=True),
    "stop_gradient": Traits("free", elementwise=True, keeps_key="whole"),
    "sub": _ARITHMETIC,
    "svd": _KERNEL,
    "swap": Traits("moves", written=1),
    "tan": _TRANSCENDENTAL,
    "tanh": _TRANSCENDENTAL,
    "threefry2x32": _ALONE,
    "tile": _MOVES,
    "top_k": _ALONE,
    "transpose": Traits("moves", role="layout", keeps_key="part"),
    "triangular_solve": _SHORT_KERNEL,
    "tridiagonal": _KERNEL,
    "tridiagonal_solve": _KERNEL,
    "unstack": Traits("moves", keeps_key="part"),
    "while": Traits("inside", role="loop", stands_alone=True),
    "xor": _COMMUTATIVE,
    "zeta": _TRANSCENDENTAL,
}
