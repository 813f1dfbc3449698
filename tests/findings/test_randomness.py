"""The rules about random numbers: relatives of their cases, and what must not raise them."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax import lax, random

import vmapguide
from vmapguide import Explanation, Finding


X = jnp.array([[1.0, 2.0, 3.0], [0.5, 0.25, 4.0]])
RATES = jnp.array([0.5, 2.0])
KEY = random.key(0)
KEYS = random.split(KEY, 2)
LEGACY = random.split(random.PRNGKey(0), 2)

One = Callable[[jax.Array, jax.Array], Any]


def about_random(explanation: Explanation) -> list[Finding]:
    """Return the findings about random numbers."""
    return [finding for finding in explanation.findings if finding.code.startswith("VG5")]


def codes(explanation: Explanation) -> list[str]:
    """Return their codes."""
    return [finding.code for finding in about_random(explanation)]


def shared(f: One, key: jax.Array = KEY, xs: jax.Array = X) -> list[str]:
    """Return the codes for one key and a batch."""
    return codes(vmapguide.explain(f, in_axes=(None, 0))(key, xs))


def own(f: One, keys: jax.Array = KEYS, xs: jax.Array = X) -> list[str]:
    """Return the codes for a batch of keys."""
    return codes(vmapguide.explain(f)(keys, xs))


def noisy(key: jax.Array, x: jax.Array) -> Any:
    """Add noise."""
    return x + random.normal(key, x.shape)


def drawing_while(key: jax.Array, x: jax.Array) -> Any:
    """Add noise until it is enough."""

    def body(state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        key, x = state
        key, now = random.split(key)
        return key, x + random.uniform(now)

    return lax.while_loop(lambda state: state[1].sum() < 10, body, (key, x))[1]


def halves(key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Split a key."""
    first, second = random.split(key)
    return first, second


DRAWING: dict[str, One] = {
    "mask": lambda k, x: jnp.where(random.bernoulli(k, 0.5, x.shape), x, 0),
    "index": lambda k, x: x[random.randint(k, (), 0, 3)],
    "start of a slice": lambda k, x: lax.dynamic_slice(x, (random.randint(k, (), 0, 2),), (2,)),
    "decision": lambda k, x: lax.cond(random.bernoulli(k), lambda x: x[::-1], lambda x: x, x),
    "written": lambda k, x: x.at[0].set(random.normal(k)),
    "joined": lambda k, x: jnp.concatenate([x, random.normal(k, (2,))]),
    "shuffled": random.permutation,
    "shuffled rows": lambda k, x: random.permutation(k, jnp.outer(x, x)),
    "category": random.categorical,
    "gamma": random.gamma,
    "poisson": random.poisson,
    "bounds": lambda k, x: random.truncated_normal(k, -x, x),
    "scan": lambda k, x: lax.scan(lambda c, k: (noisy(k, c), 0), x, random.split(k, 4))[0],
    "branch": lambda k, x: lax.cond(x[0] > 0, noisy, lambda _, x: x, k, x),
    "gradient": lambda k, x: jax.grad(lambda x: (x * random.normal(k, x.shape)).sum())(x),
    "jit": jax.jit(noisy),
    "checkpoint": jax.checkpoint(noisy),
    "while": drawing_while,
}

NO_DRAW: dict[str, One] = {
    "matrix": lambda k, x: random.normal(k, (4, 3)) @ x,
    "layer": lambda k, x: jnp.tanh(random.normal(k, (3, 3)) @ x + 1) * 2,
    "table": lambda k, x: random.normal(k, (5, 2))[jnp.int32(x[0])],
    "unused": lambda k, x: (x, random.normal(k, (3,))),
    "new key": lambda k, x: (x, random.split(k)[0]),
    "key of an example": lambda _, x: noisy(random.key(x[0].astype(int)), x),
}

TWICE: dict[str, One] = {
    "two kinds": lambda k, x: x + random.normal(k) + random.uniform(k),
    "two shapes": lambda k, x: x + random.normal(k) + random.normal(k, (3,)),
    "part of a split": lambda k, x: (
        x + random.bits(random.split(k)[0]) + random.bits(random.split(k)[0], (3,))
    ),
    "after a call": lambda k, x: noisy(halves(k)[1], x) + random.gamma(k, 2.0),
    "in a call": lambda k, x: jax.jit(noisy)(k, x) + random.uniform(k),
    "in a branch": lambda k, x: lax.cond(x[0] > 0, noisy, lambda _, x: x, k, x) + random.uniform(k),
    "in a loop": lambda k, x: lax.fori_loop(0, 3, lambda _, x: noisy(k, x), x) + random.uniform(k),
    "split twice": lambda k, x: (
        noisy(random.split(k)[0], x) + random.uniform(random.split(k, 3)[2])
    ),
    "folded": lambda k, x: noisy(random.fold_in(k, 1), x) + random.uniform(random.fold_in(k, 1)),
}

ONCE: dict[str, One] = {
    "two folded": lambda k, x: (
        noisy(random.fold_in(k, 1), x) + random.uniform(random.fold_in(k, 2))
    ),
    "folded and drawn": lambda k, x: noisy(random.fold_in(k, 1), x) + random.uniform(k),
    "either branch": lambda k, x: lax.cond(
        x[0] > 0, noisy, lambda k, x: x + random.uniform(k), k, x
    ),
    "scan over keys": lambda k, x: lax.scan(lambda x, k: (noisy(k, x), 0), x, random.split(k, 3))[
        0
    ],
    "one place": lambda k, x: noisy(k, noisy(k, x)),
    "poisson": lambda k, x: random.poisson(k, jnp.exp(x)),
    "binomial": lambda k, x: random.binomial(k, 9.0, x / 8),
    "value and gradient": lambda k, x: jax.value_and_grad(lambda x: noisy(k, jnp.sin(x)).sum())(x),
    "checkpoint": lambda k, x: jax.grad(jax.checkpoint(lambda x: jnp.sin(noisy(k, x)).sum()))(x),
    "clone": lambda k, x: noisy(random.clone(k), x) + random.uniform(k),
}


class TestOneKey:
    """VG501."""

    @pytest.mark.parametrize("key", [KEY, random.PRNGKey(0)], ids=["typed", "legacy"])
    def test_wherever_the_key_is_from(self, key: jax.Array) -> None:
        """The key may be passed with None, be captured, or be made in the function."""
        assert shared(noisy, key) == ["VG501"]
        assert codes(vmapguide.explain(lambda x: noisy(key, x))(X)) == ["VG501"]
        made = random.key if key is KEY else random.PRNGKey
        assert codes(vmapguide.explain(lambda x: noisy(made(1), x))(X)) == ["VG501"]

    @pytest.mark.parametrize("f", DRAWING.values(), ids=DRAWING.keys())
    def test_what_draws(self, f: One) -> None:
        """Noise, masks, indices, decisions: one key gives all examples the same, own keys do not.

        The draw may be in a loop whose carry vmap copies for each example.
        """
        assert "VG501" in shared(f)
        assert own(f) == []

    @pytest.mark.parametrize("f", NO_DRAW.values(), ids=NO_DRAW.keys())
    def test_what_is_no_draw_of_an_example(self, f: One) -> None:
        """Parameters, a table of them, what no example uses, and a key made of an example."""
        assert shared(f) == []

    def test_a_layer_and_its_bias(self) -> None:
        """What is added to a product with drawn parameters is drawn as they are."""

        def layer(key: jax.Array, x: jax.Array) -> Any:
            return random.normal(key, (3, 3)) @ x + random.uniform(random.fold_in(key, 1), (3,))

        assert shared(layer) == []

    def test_nothing_but_draws(self) -> None:
        """A function that returns draws alone returns them once for each example."""
        explain = vmapguide.explain(lambda _: random.normal(KEY, (3,)))
        assert codes(explain(X)) == ["VG501"]
        once = vmapguide.explain(lambda _: random.normal(KEY, (3,)), out_axes=None)
        assert codes(once(X)) == []

    def test_the_number_of_the_example(self) -> None:
        """A key into which the number of the example is folded is its own."""

        def numbered(key: jax.Array, x: jax.Array) -> Any:
            return noisy(random.fold_in(key, lax.axis_index("i")), x)

        assert codes(vmapguide.explain(numbered, in_axes=(None, 0), axis_name="i")(KEY, X)) == []

    def test_a_batch_of_one(self) -> None:
        """One example shares with nobody."""
        assert shared(noisy, xs=X[:1]) == []

    def test_in_a_nest(self) -> None:
        """The outer vmap is explained: its examples have their own keys, or they do not."""
        groups = jnp.stack([X, X, X])
        inner_shares = jax.vmap(noisy, in_axes=(None, 0))
        assert codes(vmapguide.explain(inner_shares)(random.split(KEY, 3), groups)) == []
        outer_shares = vmapguide.explain(lambda x: jax.vmap(noisy, in_axes=(None, 0))(KEY, x))
        assert codes(outer_shares(groups)) == ["VG501"]

    def test_in_a_grid(self) -> None:
        """Each setting with each of several keys: that is a grid, and meant."""
        grid = jax.vmap(noisy, in_axes=(0, None))
        assert codes(vmapguide.explain(grid, in_axes=(None, 0))(KEYS, X)) == []

    def test_how_bad_it_is(self) -> None:
        """Who passes a key with None has said that it is shared; who captures it has not."""
        (passed,) = about_random(vmapguide.explain(noisy, in_axes=(None, 0))(KEY, X))
        (captured,) = about_random(vmapguide.explain(lambda x: noisy(KEY, x))(X))
        (made,) = about_random(vmapguide.explain(lambda x: noisy(random.key(0), x))(X))
        severities = [finding.severity for finding in (passed, captured, made)]
        assert severities == ["note", "warning", "warning"]

    def test_a_key_for_some(self) -> None:
        """Of two draws the one with the one key is named, also if both call one function."""

        def both(keys: tuple[jax.Array, jax.Array], x: jax.Array) -> Any:
            x = x + random.normal(keys[0], x.shape)
            return x * random.normal(keys[1], x.shape)

        explanation = vmapguide.explain(both, in_axes=((0, None), 0))((KEYS, KEY), X)
        (finding,) = about_random(explanation)
        assert finding.source is not None
        assert finding.source.expression == "random.normal(keys[1], x.shape)"

    def test_a_key_of_a_library(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where a library makes its own key, the user has none to split."""

        def start(x: jax.Array) -> Any:
            return x + random.normal(random.key(7), x.shape)

        assert codes(vmapguide.explain(start)(X)) == ["VG501"]
        monkeypatch.setattr("vmapguide._jaxpr.source_lines.whose", lambda _: "library")
        assert codes(vmapguide.explain(start)(X)) == []


class TestFirstKey:
    """VG502."""

    @pytest.mark.parametrize("kind", ["rbg", "unsafe_rbg"])
    def test_it_is_so(self, kind: str) -> None:
        """It fires where vmap differs from the loop, and says nothing of threefry."""
        keys = random.split(random.key(0, impl=kind), 2)
        assert not (jax.vmap(random.bits)(keys) == jnp.stack([*map(random.bits, keys)])).all()
        assert own(noisy, keys) == ["VG502"]
        assert own(noisy) == []

    def test_new_keys(self) -> None:
        """Of the two kinds only the unsafe one draws new keys together."""
        halves = lambda k, _: random.key_data(random.split(k))  # noqa: E731
        rbg, unsafe = (random.split(random.key(0, impl=i), 2) for i in ("rbg", "unsafe_rbg"))
        assert (own(halves, rbg), own(halves, unsafe)) == ([], ["VG502"])

    def test_one_key(self) -> None:
        """A shared key is VG501, also of that kind, and a batch of one draws as the loop."""
        assert shared(noisy, random.key(0, impl="rbg")) == ["VG501"]
        assert own(noisy, random.split(random.key(0, impl="rbg"), 1), X[:1]) == []

    def test_bits_without_keys(self) -> None:
        """The operation below is not better."""
        f = lambda k, x: x + lax.rng_bit_generator(k, (3,))[1]  # noqa: E731
        assert own(f, jnp.arange(8, dtype=jnp.uint32).reshape(2, 4)) == ["VG502"]


class TestUsedAgain:
    """VG503."""

    @pytest.mark.parametrize("keys", [KEYS, LEGACY], ids=["typed", "legacy"])
    def test_after_a_split(self, keys: jax.Array) -> None:
        """A key that was split is used up; the second use is named, and the first one's line."""

        def f(key: jax.Array, x: jax.Array) -> Any:
            first, _ = random.split(key)
            return noisy(first, x) * random.uniform(key)

        (finding,) = about_random(vmapguide.explain(f)(keys, X))
        assert finding.source is not None
        assert finding.source.expression == "random.uniform(key)"
        assert f"`random.split(key)` in line {finding.source.line - 1} " in finding.message

    @pytest.mark.parametrize("f", TWICE.values(), ids=TWICE.keys())
    @pytest.mark.parametrize("keys", [KEYS, LEGACY], ids=["typed", "legacy"])
    def test_other_second_uses(self, f: One, keys: jax.Array) -> None:
        """It is found through calls, branches, loops and parts of a split."""
        assert set(own(f, keys)) == {"VG503"}

    @pytest.mark.parametrize("f", ONCE.values(), ids=ONCE.keys())
    @pytest.mark.parametrize("keys", [KEYS, LEGACY], ids=["typed", "legacy"])
    def test_what_is_no_second_use(self, f: One, keys: jax.Array) -> None:
        """Other keys, exclusive branches, and what one place of the code draws again."""
        assert own(f, keys) == []

    def test_what_nobody_looks_at(self) -> None:
        """A draw whose result is not used is none."""

        def f(key: jax.Array, x: jax.Array) -> Any:
            random.split(key)
            return noisy(key, x)

        assert own(f) == []

    def test_a_library_that_draws_twice(self) -> None:
        """JAX draws twice with a key where one of the draws counts: that is not the user's."""
        assert codes(vmapguide.explain(random.poisson)(KEYS, RATES)) == []

    def test_many_draws(self) -> None:
        """A long program has the findings of a short one."""

        def f(key: jax.Array, x: jax.Array) -> Any:
            for _ in range(200):
                key, now = random.split(key)
                x = noisy(now, x)
            return x

        assert own(f) == []
        assert shared(f) == ["VG501"]
