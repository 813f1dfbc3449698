"""Two chains, one after the other and together, with NumPyro."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.infer import MCMC, NUTS

import vmapguide


def model(y):
    mean = numpyro.sample("mean", dist.Normal(0, 1))
    numpyro.sample("y", dist.Normal(mean, 1), obs=y)


y = jnp.array([0.5, 1.0, 1.5])
options = {"num_warmup": 5, "num_samples": 5, "num_chains": 2, "progress_bar": False}
samples = {}
for method in "sequential", "vectorized":
    mcmc = MCMC(NUTS(model), chain_method=method, **options)
    mcmc.run(jax.random.key(0), y=y, extra_fields=("num_steps",))
    samples[method] = mcmc.get_samples(group_by_chain=True)["mean"]
    print(f"{method}: samples {samples[method].shape}, keys {mcmc.last_state.rng_key.shape}")
np.testing.assert_allclose(samples["vectorized"], samples["sequential"], rtol=1e-3)
assert not (samples["vectorized"][0] == samples["vectorized"][1]).any()

lengths = mcmc.get_extra_fields(group_by_chain=True)["num_steps"]
print("steps in which the chains' trees differ in length:", bool((lengths[0] != lengths[1]).any()))
assert (lengths[0] != lengths[1]).any()

kernel = NUTS(model)
start = kernel.init(jax.random.key(0), 5, None, model_args=(y,), model_kwargs={})
starts = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), start)
explained = vmapguide.explain(lambda state: kernel.sample(state, (y,), {}))(starts)
loops = {step.kind for step in explained.steps if step.equation.primitive.name == "while"}
print("loops of one step:", *loops)
print("findings:", [finding.code for finding in explained.findings])
assert "slowest example" in loops
