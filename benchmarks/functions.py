# ruff: noqa: PLW0108 - a lambda has a line of its own, and so it is called as users call it.
"""Functions of JAX and of libraries, called as their users call them: a corpus of precision.py.

Each is a call for one example; `calls` yields them with the types of one example's arguments. Most
are the kind of program that `vmap` does well, so what is found here is found rightly or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.scipy as jsp
import jax.scipy.optimize
import jax.scipy.spatial.transform
import numpyro.distributions as dist
import optax
from jax import lax
from jax.experimental import ode


Call = tuple[str, Callable[..., Any], tuple[Any, ...]]


def f32(*shape: int) -> jax.ShapeDtypeStruct:
    """Return the type of an array of floats."""
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def i32(*shape: int) -> jax.ShapeDtypeStruct:
    """Return the type of an array of integers."""
    return jax.ShapeDtypeStruct(shape, jnp.int32)


KEY = jax.eval_shape(lambda: jax.random.key(0))
V, M, W, S = f32(64), f32(16, 16), f32(16, 8), f32()
IMAGE = f32(28, 28, 3)

OF_VECTORS: dict[str, Callable[[Any], Any]] = {
    "jnp.sort": lambda x: jnp.sort(x),
    "jnp.argsort": lambda x: x[jnp.argsort(x)],
    "jnp.median": lambda x: jnp.median(x),
    "jnp.quantile": lambda x: jnp.quantile(x, jnp.array([0.1, 0.9])),
    "jnp.unique": lambda x: jnp.unique(x, size=8),
    "jnp.nonzero": lambda x: jnp.nonzero(x, size=8),
    "jnp.histogram": lambda x: jnp.histogram(x, bins=10),
    "jnp.bincount": lambda x: jnp.bincount(jnp.clip(x, 0, 9).astype(int), length=10),
    "jnp.searchsorted": lambda x: jnp.searchsorted(jnp.sort(x), x),
    "jnp.digitize": lambda x: jnp.digitize(x, jnp.linspace(0.0, 1.0, 9)),
    "jnp.interp": lambda x: jnp.interp(x, jnp.arange(9.0), jnp.arange(9.0) ** 2),
    "jnp.roll": lambda x: jnp.roll(x, 3),
    "jnp.repeat": lambda x: jnp.repeat(x, 2),
    "jnp.pad": lambda x: jnp.pad(x, 3, mode="reflect"),
    "jnp.outer": lambda x: jnp.outer(x, x),
    "jnp.diag": lambda x: jnp.diag(x),
    "jnp.vander": lambda x: jnp.vander(x, 4),
    "jnp.polyfit": lambda x: jnp.polyfit(jnp.arange(64.0), x, 3),
    "jnp.convolve": lambda x: jnp.convolve(x, jnp.ones(5), mode="same"),
    "jnp.fft.rfft": lambda x: jnp.abs(jnp.fft.rfft(x)),
    "jnp.gradient": lambda x: jnp.gradient(x),
    "jnp.trapezoid": lambda x: jnp.trapezoid(x),
    "jnp.take": lambda x: jnp.take(x, jnp.array([1, 5, 9])),
    "x[::-1]": lambda x: x[::-1] * x,
    "x[mask]": lambda x: jnp.where(x > 0, x, 0.0).sum() / jnp.maximum((x > 0).sum(), 1),
    "x.at[3]": lambda x: x.at[3].set(1.0),
    "x.at[i:j]": lambda x: x.at[3:9].add(1.0),
    "argmax": lambda x: x[jnp.argmax(x)],
    "distances": lambda x: jnp.linalg.norm(x[:, None] - x[None], axis=-1).mean(),
    "jax.nn.softmax": lambda x: jax.nn.softmax(x),
    "jax.nn.gelu": lambda x: jax.nn.gelu(x),
    "jax.nn.selu": lambda x: jax.nn.selu(x),
    "jax.nn.standardize": lambda x: jax.nn.standardize(x),
    "jax.nn.logsumexp": lambda x: jax.nn.logsumexp(x),
    "jax.nn.glu": lambda x: jax.nn.glu(x),
    "lax.top_k": lambda x: lax.top_k(x, 5),
    "lax.associative_scan": lambda x: lax.associative_scan(jnp.add, x),
    "lax.map": lambda x: lax.map(jnp.sin, x),
    "lax.scan": lambda x: lax.scan(lambda c, y: (0.9 * c + y, c), 0.0, x),
    "lax.fori_loop": lambda x: lax.fori_loop(0, 64, lambda i, c: c + x[i] ** 2, 0.0),
    "lax.cumlogsumexp": lambda x: lax.cumlogsumexp(x),
    "lax.reduce_window": lambda x: lax.reduce_window(x, 0.0, lax.add, (4,), (4,), "VALID"),
    "jsp.stats.norm": lambda x: jsp.stats.norm.logpdf(x, 0.0, 2.0).sum(),
    "jsp.stats.t": lambda x: jsp.stats.t.logpdf(x, 3.0).sum(),
    "jsp.stats.beta": lambda x: jsp.stats.beta.cdf(x, 2.0, 3.0),
    "jsp.stats.gamma": lambda x: jsp.stats.gamma.logpdf(x, 2.0),
    "jsp.stats.kde": lambda x: jsp.stats.gaussian_kde(x)(jnp.arange(4.0)),
    "jsp.stats.rankdata": lambda x: jsp.stats.rankdata(x),
    "jsp.special.erfinv": lambda x: jsp.special.erfinv(x),
    "jsp.special.digamma": lambda x: jsp.special.digamma(x),
    "jsp.special.i0": lambda x: jsp.special.i0(x),
    "jsp.special.gammainc": lambda x: jsp.special.gammainc(2.0, x),
    "jsp.special.betainc": lambda x: jsp.special.betainc(2.0, 3.0, x),
    "jsp.special.zeta": lambda x: jsp.special.zeta(x, 1.5),
    "jsp.special.expi": lambda x: jsp.special.expi(x),
    "jsp.special.hyp1f1": lambda x: jsp.special.hyp1f1(1.0, 2.0, x),
    "jsp.signal.detrend": lambda x: jsp.signal.detrend(x),
    "jsp.signal.stft": lambda x: jsp.signal.stft(x, nperseg=16)[2],
    "jsp.signal.welch": lambda x: jsp.signal.welch(x, nperseg=16)[1],
    "jsp.signal.fftconvolve": lambda x: jsp.signal.fftconvolve(x, jnp.ones(9)),
    "jsp.linalg.toeplitz": lambda x: jsp.linalg.toeplitz(x[:8]),
    "jsp.ndimage": lambda x: jsp.ndimage.map_coordinates(x, [jnp.arange(9.0) / 2], order=1),
    "jsp.optimize": lambda x: (
        jsp.optimize.minimize(lambda y: ((y - x) ** 2).sum(), x, method="BFGS").x
    ),
    "jax.hessian": lambda x: jax.hessian(lambda y: jnp.tanh(y).sum() ** 2)(x[:8]),
    "jax.jacfwd": lambda x: jax.jacfwd(lambda y: jnp.tanh(y[:, None] * y).sum(0))(x[:8]),
    "odeint": lambda x: ode.odeint(lambda y, _t: -y, x, jnp.linspace(0.0, 1.0, 4)),
    "optax.projection_simplex": lambda x: optax.projections.projection_simplex(x),
    "optax.projection_l1_ball": lambda x: optax.projections.projection_l1_ball(x),
    "optax.softmax_cross_entropy": lambda x: optax.softmax_cross_entropy_with_integer_labels(x, 3),
    "optax.sigmoid_focal_loss": lambda x: optax.sigmoid_focal_loss(x, jnp.ones(64)),
    "optax.kl_divergence": lambda x: optax.kl_divergence(jax.nn.log_softmax(x), jnp.ones(64) / 64),
}

OF_MATRICES: dict[str, Callable[[Any], Any]] = {
    "det": lambda a: jnp.linalg.det(a),
    "slogdet": lambda a: jnp.linalg.slogdet(a)[1],
    "inv": lambda a: jnp.linalg.inv(a),
    "solve": lambda a: jnp.linalg.solve(a, jnp.ones(16)),
    "cholesky": lambda a: jnp.linalg.cholesky(a @ a.T + jnp.eye(16)),
    "qr": lambda a: jnp.linalg.qr(a),
    "svd": lambda a: jnp.linalg.svd(a, full_matrices=False),
    "eigh": lambda a: jnp.linalg.eigh(a),
    "pinv": lambda a: jnp.linalg.pinv(a),
    "lstsq": lambda a: jnp.linalg.lstsq(a, jnp.ones(16))[0],
    "matrix_power": lambda a: jnp.linalg.matrix_power(a, 5),
    "norm": lambda a: jnp.linalg.norm(a, ord=2),
    "expm": lambda a: jsp.linalg.expm(a),
    "sqrtm": lambda a: jsp.linalg.sqrtm(a),
    "lu": lambda a: jsp.linalg.lu(a),
    "cho_solve": lambda a: jsp.linalg.cho_solve(jsp.linalg.cho_factor(a @ a.T + jnp.eye(16)), a),
    "solve_triangular": lambda a: jsp.linalg.solve_triangular(a, jnp.ones(16)),
    "block_diag": lambda a: jsp.linalg.block_diag(a, a),
    "cg": lambda a: jsp.sparse.linalg.cg(a, jnp.ones(16))[0],
    "gmres": lambda a: jsp.sparse.linalg.gmres(a, jnp.ones(16))[0],
    "einsum": lambda a: jnp.einsum("ij,kj,kl->il", a, a, a),
    "kron": lambda a: jnp.kron(a, a),
    "cov": lambda a: jnp.cov(a),
    "corrcoef": lambda a: jnp.corrcoef(a),
    "tril": lambda a: jnp.tril(a).sum(0),
    "trace": lambda a: jnp.trace(a @ a),
    "a.T @ a": lambda a: a.T @ a,
    "lower entries": lambda a: a[jnp.tril_indices(16)],
    "take_along_axis": lambda a: jnp.take_along_axis(a, jnp.argsort(a, 1), 1),
    "convolve2d": lambda a: jsp.signal.convolve2d(a, jnp.ones((3, 3)), mode="same"),
    "multivariate_normal": lambda a: jsp.stats.multivariate_normal.logpdf(
        a[0], a[1], a @ a.T + jnp.eye(16)
    ),
    "rotation": lambda a: jsp.spatial.transform.Rotation.from_rotvec(a[0, :3]).apply(a[1, :3]),
    "interpolator": lambda a: jsp.interpolate.RegularGridInterpolator(
        (jnp.arange(16.0), jnp.arange(16.0)), jnp.ones((16, 16))
    )(a[:, :2]),
    "vq": lambda a: jsp.cluster.vq.vq(a, jnp.ones((4, 16))),
    "attention": lambda a: jax.nn.dot_product_attention(
        a.reshape(4, 8, 8), a.reshape(4, 8, 8), a.reshape(4, 8, 8)
    ),
    "softmax attention": lambda a: jax.nn.softmax(a @ a.T / 4.0) @ a,
    "rnn": lambda a: lax.scan(lambda h, x: (jnp.tanh(h + x), h), jnp.zeros(16), a),
    "viterbi": lambda a: lax.scan(
        lambda s, x: ((s[:, None] + jnp.ones((16, 16))).max(0) + x, s.argmax()), a[0], a[1:]
    ),
    "dynamic programme": lambda a: lax.scan(
        lambda row, x: (lax.associative_scan(jnp.minimum, row + x), row.min()), a[0], a[1:]
    ),
    "power iteration": lambda a: lax.fori_loop(
        0, 20, lambda _, v: a @ v / jnp.linalg.norm(a @ v), jnp.ones(16)
    ),
    "inv of 2x2": lambda a: jnp.linalg.inv(a[:2, :2]),
    "inv of 3x3": lambda a: jnp.linalg.inv(a[:3, :3]),
    "eigh of 2x2": lambda a: jnp.linalg.eigh(a[:2, :2]),
    "cholesky of 3x3": lambda a: jnp.linalg.cholesky(a[:3, :3] @ a[:3, :3].T + jnp.eye(3)),
    "solve of 3x3": lambda a: jnp.linalg.solve(a[:3, :3], a[3, :3]),
    "solve of 1x1": lambda a: jnp.linalg.solve(a[:1, :1], a[3, :1]),
    "density in 2d": lambda a: jsp.stats.multivariate_normal.logpdf(
        a[0, :2], a[1, :2], a[:2, :2] @ a[:2, :2].T + jnp.eye(2)
    ),
    "kalman": lambda a: lax.scan(_kalman, (jnp.zeros(4), jnp.eye(4)), a[:, :2]),
    "newton": lambda a: lax.fori_loop(
        0, 5, lambda _, x: x - jnp.linalg.solve(jnp.eye(16) + a, x), a[0]
    ),
}

OF_KEYS: dict[str, Callable[[Any], Any]] = {
    "normal": lambda k: jax.random.normal(k, (8,)),
    "uniform": lambda k: jax.random.uniform(k, (8,)),
    "randint": lambda k: jax.random.randint(k, (8,), 0, 9),
    "bernoulli": lambda k: jax.random.bernoulli(k, 0.3, (8,)),
    "gamma": lambda k: jax.random.gamma(k, 2.0, (8,)),
    "beta": lambda k: jax.random.beta(k, 2.0, 3.0),
    "dirichlet": lambda k: jax.random.dirichlet(k, jnp.ones(4)),
    "poisson": lambda k: jax.random.poisson(k, 3.0),
    "binomial": lambda k: jax.random.binomial(k, 9, 0.3),
    "categorical": lambda k: jax.random.categorical(k, jnp.zeros(5)),
    "choice": lambda k: jax.random.choice(k, 10, (3,), replace=False),
    "choice with p": lambda k: jax.random.choice(k, 5, p=jnp.ones(5) / 5),
    "permutation": lambda k: jax.random.permutation(k, 10),
    "multivariate_normal": lambda k: jax.random.multivariate_normal(k, jnp.zeros(4), jnp.eye(4)),
    "truncated_normal": lambda k: jax.random.truncated_normal(k, -1.0, 1.0, (8,)),
    "t": lambda k: jax.random.t(k, 3.0, (8,)),
    "gumbel": lambda k: jax.random.gumbel(k, (8,)),
    "laplace": lambda k: jax.random.laplace(k, (8,)),
    "exponential": lambda k: jax.random.exponential(k, (8,)),
    "geometric": lambda k: jax.random.geometric(k, 0.3),
    "wald": lambda k: jax.random.wald(k, 1.0),
    "ball": lambda k: jax.random.ball(k, 4),
    "orthogonal": lambda k: jax.random.orthogonal(k, 4),
    "rademacher": lambda k: jax.random.rademacher(k, (8,)),
    "random walk": lambda k: jnp.cumsum(jax.random.normal(k, (64,))),
    "split": lambda k: jax.vmap(jax.random.normal)(jax.random.split(k, 5)),
    "fold_in": lambda k: jax.random.normal(jax.random.fold_in(k, 3)),
    "two draws": lambda k: sum(jax.random.normal(each) for each in jax.random.split(k)),
    "markov chain": lambda k: lax.scan(
        lambda x, k: (x + jax.random.normal(k), x), 0.0, jax.random.split(k, 20)
    ),
    "metropolis": lambda k: lax.scan(_metropolis, 0.0, jax.random.split(k, 20)),
    "mlp": lambda k: eqx.nn.MLP(8, 2, 16, 2, key=k).layers[0].weight,
    "initializer": lambda k: jax.nn.initializers.glorot_normal()(k, (16, 8)),
}

DISTRIBUTIONS: dict[str, Callable[[Any], dist.Distribution]] = {
    "Normal": lambda a: dist.Normal(a, 1.0),
    "HalfNormal": lambda a: dist.HalfNormal(jnp.exp(a)),
    "LogNormal": lambda a: dist.LogNormal(a, 1.0),
    "StudentT": lambda a: dist.StudentT(3.0, a, 1.0),
    "Cauchy": lambda a: dist.Cauchy(a, 1.0),
    "Laplace": lambda a: dist.Laplace(a, 1.0),
    "Gamma": lambda a: dist.Gamma(jnp.exp(a), 1.0),
    "InverseGamma": lambda a: dist.InverseGamma(jnp.exp(a), 1.0),
    "Beta": lambda a: dist.Beta(jnp.exp(a), 2.0),
    "Exponential": lambda a: dist.Exponential(jnp.exp(a)),
    "Uniform": lambda a: dist.Uniform(a, a + 1.0),
    "Bernoulli": lambda a: dist.Bernoulli(logits=a),
    "Binomial": lambda a: dist.Binomial(10, logits=a),
    "Poisson": lambda a: dist.Poisson(jnp.exp(a)),
    "Geometric": lambda a: dist.Geometric(logits=a),
    "NegativeBinomial": lambda a: dist.NegativeBinomial2(jnp.exp(a), 2.0),
    "Categorical": lambda a: dist.Categorical(logits=a * jnp.arange(4.0)),
    "Dirichlet": lambda a: dist.Dirichlet(jnp.exp(a) * jnp.ones(4)),
    "Multinomial": lambda a: dist.Multinomial(10, logits=a * jnp.arange(4.0)),
    "MultivariateNormal": lambda a: dist.MultivariateNormal(a * jnp.ones(4), jnp.eye(4)),
    "LKJCholesky": lambda a: dist.LKJCholesky(4, jnp.exp(a)),
    "VonMises": lambda a: dist.VonMises(a, 2.0),
    "TruncatedNormal": lambda a: dist.TruncatedNormal(a, 1.0, low=-1.0),
    "GaussianRandomWalk": lambda a: dist.GaussianRandomWalk(jnp.exp(a), 20),
    "Mixture": lambda a: dist.MixtureSameFamily(
        dist.Categorical(probs=jnp.ones(3) / 3), dist.Normal(a * jnp.arange(3.0), 1.0)
    ),
}

OPTIMIZERS: dict[str, optax.GradientTransformation] = {
    "sgd": optax.sgd(0.1, momentum=0.9),
    "adam": optax.adam(0.1),
    "adamw": optax.adamw(0.1),
    "adafactor": optax.adafactor(0.1),
    "adagrad": optax.adagrad(0.1),
    "lamb": optax.lamb(0.1),
    "lion": optax.lion(0.1),
    "rmsprop": optax.rmsprop(0.1),
    "schedule": optax.adam(optax.warmup_cosine_decay_schedule(0.0, 0.1, 10, 100)),
    "clipped": optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.1)),
    "finite": optax.apply_if_finite(optax.adam(0.1), 3),
    "many steps": optax.MultiSteps(optax.adam(0.1), 4).gradient_transformation(),
    "noisy": optax.noisy_sgd(0.1),
}


def _kalman(state: Any, y: Any) -> Any:
    """Take one measurement of a point and its speed in the plane."""
    step = jnp.eye(4) + 0.1 * jnp.eye(4, k=2)
    seen = jnp.eye(2, 4)
    mean, cov = state
    mean, cov = step @ mean, step @ cov @ step.T + 0.01 * jnp.eye(4)
    gain = jnp.linalg.solve(seen @ cov @ seen.T + jnp.eye(2), seen @ cov).T
    return (mean + gain @ (y - seen @ mean), cov - gain @ seen @ cov), mean


def _metropolis(x: Any, key: Any) -> Any:
    propose, accept = jax.random.split(key)
    new = x + jax.random.normal(propose)
    return jnp.where(jnp.log(jax.random.uniform(accept)) < (x**2 - new**2) / 2, new, x), x


def _train(optimizer: optax.GradientTransformation) -> Callable[..., Any]:
    def train(w: Any, x: Any) -> Any:
        def loss(w: Any) -> Any:
            return jnp.mean((jnp.tanh(x @ w) - 1.0) ** 2)

        state = optimizer.init(w)
        updates, state = optimizer.update(jax.grad(loss)(w), state, w)
        return optax.apply_updates(w, updates), state

    return train


def _layers() -> Iterator[Call]:
    """Yield layers with weights that all examples share, and ensembles of them."""
    key = jax.random.key(0)
    layers: dict[str, tuple[Callable[[Any], Any], Any]] = {
        "Linear": (lambda k: eqx.nn.Linear(64, 32, key=k), V),
        "MLP": (lambda k: eqx.nn.MLP(64, 8, 32, 2, key=k), V),
        "Conv1d": (lambda k: eqx.nn.Conv1d(16, 8, 3, key=k), M),
        "Conv2d": (lambda k: eqx.nn.Conv2d(8, 4, 3, key=k), f32(8, 16, 16)),
        "ConvTranspose1d": (lambda k: eqx.nn.ConvTranspose1d(16, 8, 3, key=k), M),
        "LayerNorm": (lambda _: eqx.nn.LayerNorm(64), V),
        "GroupNorm": (lambda _: eqx.nn.GroupNorm(4, 16), M),
        "RMSNorm": (lambda _: eqx.nn.RMSNorm(64), V),
        "AvgPool2d": (lambda _: eqx.nn.AvgPool2d(2, 2), f32(3, 16, 16)),
        "MaxPool2d": (lambda _: eqx.nn.MaxPool2d(2, 2), f32(3, 16, 16)),
        "AdaptiveAvgPool1d": (lambda _: eqx.nn.AdaptiveAvgPool1d(4), M),
        "Embedding": (lambda k: eqx.nn.Embedding(1000, 32, key=k), i32()),
        "PReLU": (lambda _: eqx.nn.PReLU(), V),
    }
    for name, (make, one) in layers.items():
        layer = make(key)
        yield f"eqx.nn.{name}", lambda x, layer=layer: layer(x), (one,)
        many = jax.eval_shape(lambda make=make: eqx.filter(make(key), eqx.is_array))
        static = eqx.filter(layer, eqx.is_array, inverse=True)

        def ensemble(params: Any, x: Any, static: Any = static) -> Any:
            return eqx.combine(params, static)(x)

        def step(params: Any, x: Any, ensemble: Any = ensemble) -> Any:
            return jax.grad(lambda params: (ensemble(params, x) ** 2).sum())(params)

        if jax.tree.leaves(many):
            yield f"ensemble of eqx.nn.{name}", ensemble, (many, one)
            yield f"gradient of eqx.nn.{name}", step, (many, one)
    cell = eqx.nn.GRUCell(16, 16, key=key)
    yield "eqx.nn.GRUCell", lambda xs: lax.scan(lambda h, x: (cell(x, h), h), xs[0], xs), (M,)
    lstm = eqx.nn.LSTMCell(16, 16, key=key)
    start = (jnp.zeros(16), jnp.zeros(16))
    yield (
        "eqx.nn.LSTMCell",
        lambda xs: lax.scan(lambda h, x: (lstm(x, h), None), start, xs)[0],
        (M,),
    )
    attention = eqx.nn.MultiheadAttention(2, 16, key=key)
    yield "eqx.nn.MultiheadAttention", lambda x: attention(x, x, x), (M,)
    dropout = eqx.nn.Dropout(0.5)
    yield "eqx.nn.Dropout", lambda x, key: dropout(x, key=key), (V, KEY)


def calls() -> Iterator[Call]:
    """Yield what is called: a name, the function of one example, and its arguments' types."""
    for name, f in OF_VECTORS.items():
        yield name, f, (V,)
    for name, f in OF_MATRICES.items():
        yield f"matrix: {name}", f, (M,)
    for name, f in OF_KEYS.items():
        yield f"random: {name}", f, (KEY,)
    for name, f in (OF_VECTORS | OF_MATRICES).items():
        one = V if name in OF_VECTORS else M

        def gradient(x: Any, f: Any = f) -> Any:
            def total(x: Any) -> Any:
                leaves = jax.tree.leaves(f(x))
                return sum(
                    jnp.sum(jnp.abs(y) ** 2) for y in leaves if jnp.issubdtype(y.dtype, jnp.inexact)
                )

            return jax.grad(total)(x)

        yield f"gradient: {name}", gradient, (one,)
    for name, make in DISTRIBUTIONS.items():
        yield f"sample: {name}", lambda a, k, make=make: make(a).sample(k), (S, KEY)

        def density(a: Any, k: Any, make: Any = make) -> Any:
            return jax.grad(
                lambda a: make(a).log_prob(lax.stop_gradient(make(0.5).sample(k))).sum()
            )(a)

        yield f"gradient of log_prob: {name}", density, (S, KEY)
    for name, optimizer in OPTIMIZERS.items():
        yield f"optax: {name}", _train(optimizer), (W, f32(32, 16))
    yield from _layers()
    yield "jax.image.resize", lambda x: jax.image.resize(x, (14, 14, 3), "linear"), (IMAGE,)
    yield (
        "augment: flip",
        lambda x, k: jnp.where(jax.random.bernoulli(k), x[:, ::-1], x),
        (IMAGE, KEY),
    )
    yield "augment: crop", _crop, (IMAGE, KEY)
    yield "augment: noise", lambda x, k: x + jax.random.normal(k, x.shape), (IMAGE, KEY)
    yield (
        "augment: rotate",
        lambda x, a: jsp.ndimage.map_coordinates(x[:, :, 0], _turned(a), order=1),
        (IMAGE, S),
    )


def _crop(x: Any, key: Any) -> Any:
    row, column = jax.random.randint(key, (2,), 0, 4)
    return lax.dynamic_slice(x, (row, column, 0), (24, 24, 3))


def _turned(angle: Any) -> Any:
    rows, columns = jnp.meshgrid(jnp.arange(28.0), jnp.arange(28.0), indexing="ij")
    sine, cosine = jnp.sin(angle), jnp.cos(angle)
    return [rows * cosine - columns * sine, rows * sine + columns * cosine]
