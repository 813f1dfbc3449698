"""A layer, mapped by jax.vmap and by Equinox."""

import equinox as eqx
import jax


layer = eqx.nn.Linear(5, 2, key=jax.random.key(0))
X = jax.random.normal(jax.random.key(1), (3, 5))
mapped = {
    "jax.vmap": jax.vmap(layer),
    "jax.vmap of a method": jax.vmap(layer.__call__),
    "eqx.filter_vmap": eqx.filter_vmap(layer),
}


def arrays(tree):
    return [leaf.shape for leaf in jax.tree.leaves(tree) if eqx.is_array(leaf)]


def total(f):
    return f(X).sum()


for name, f in mapped.items():
    print(name, "returns a", "function" if type(f).__name__ == "function" else "module")
    print("  arrays in it:       ", arrays(f))
    print("  arrays in its slope:", arrays(eqx.filter_grad(total)(f)))
    assert (f(X) == mapped["jax.vmap"](X)).all()
    if name.startswith("jax"):
        assert arrays(f) == arrays(eqx.filter_grad(total)(f)) == []
    else:
        assert arrays(f) == arrays(eqx.filter_grad(total)(f)) == arrays(layer)


def scaled(x, *, by):
    return x * by


assert (jax.vmap(scaled)(X, by=X[:, 0]) == X * X[:, :1]).all()
try:
    eqx.filter_vmap(scaled)(X, by=X[:, 0])
except RuntimeError as error:
    print(error)
else:
    raise AssertionError("a keyword was taken")
