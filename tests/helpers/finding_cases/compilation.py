"""Cases of the rules about calls. These are programs, which are run and recorded."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from finding_cases import Case
from vmapguide._recording.recorder import Recorder
from vmapguide._recording.recording import Recording


X = jnp.ones((4, 3))

# From so many rounds on, a function that is traced in each of them is one too many.
ROUNDS = 8


def recorded(program: Callable[[], Any]) -> Recording:
    """Return the recording of a program, which is run."""
    with Recorder() as recorder:
        program()
    return Recording.of("a program", [*recorder.records.values()])


def neuron(x: jax.Array) -> Any:
    """Compute the neuron of the guide's first page."""
    return jnp.tanh(jnp.ones((2, 3)) @ x + 1).sum()


def one_by_one() -> None:
    """Send off the operations of each round one by one."""
    batched = jax.vmap(neuron)
    for _ in range(2):
        batched(X)


def once_by_itself() -> None:
    """Do so once, as where parameters are made."""
    jax.vmap(neuron)(X)


def compiled() -> None:
    """Compile it, once."""
    batched = jax.jit(jax.vmap(neuron))
    for _ in range(2):
        batched(X)


def made_anew(rounds: int = ROUNDS) -> None:
    """Compile a new function in each round."""
    for _ in range(rounds):
        jax.jit(jax.vmap(neuron))(X)


def layers() -> None:
    """Call a new function for each layer, in one program."""

    def network(batch: jax.Array) -> jax.Array:
        for _ in range(2 * ROUNDS):
            batch = jax.vmap(lambda x: x + neuron(x))(batch)
        return batch

    jax.jit(network)(X)


def made_once() -> None:
    """Compile a function before the first round."""
    batched = jax.jit(jax.vmap(neuron))
    for _ in range(ROUNDS):
        batched(X)


CASES = (
    Case(
        "VG701",
        firing=lambda: recorded(one_by_one),
        line="batched = jax.vmap(neuron)",
        twin=lambda: recorded(once_by_itself),
        fix=lambda: recorded(compiled),
    ),
    Case(
        "VG702",
        firing=lambda: recorded(made_anew),
        line="jax.jit(jax.vmap(neuron))(X)",
        twin=lambda: recorded(layers),
        fix=lambda: recorded(made_once),
    ),
)
