"""`vmapguide run` on programs that call `jax.vmap` through libraries, in other processes."""

import json
from collections import Counter
from pathlib import Path

import pytest
from processes import by_python, by_vmapguide, written


PROGRAMS = {
    "equinox": """
        import equinox as eqx
        import jax
        import jax.numpy as jnp

        model = eqx.nn.MLP(3, 2, 8, 2, key=jax.random.key(0))
        loss = eqx.filter_jit(lambda model, X: eqx.filter_vmap(model)(X).sum())
        print(loss(model, jnp.ones((16, 3))))
    """,
    "flax.nnx": """
        import jax.numpy as jnp
        from flax import nnx

        @nnx.vmap(in_axes=(None, 0))
        def forward(model, x):
            return model(x)

        model = nnx.Linear(3, 2, rngs=nnx.Rngs(0))
        print(nnx.jit(forward)(model, jnp.ones((16, 3))).sum())
    """,
    "flax.linen": """
        import flax.linen as nn
        import jax
        import jax.numpy as jnp

        options = {"variable_axes": {"params": None}, "split_rngs": {"params": False}}
        Model = nn.vmap(nn.Dense, **options)
        model, X = Model(2), jnp.ones((16, 3))
        print(model.apply(model.init(jax.random.key(0), X), X).sum())
    """,
}


@pytest.mark.parametrize("library", PROGRAMS)
def test_a_library_calls_it(library: str, tmp_path: Path) -> None:
    """The program does what it does, and the call is found at the line of the program's."""
    written(tmp_path, program=PROGRAMS[library])
    expected = by_python(tmp_path, "program.py")
    ran = by_vmapguide(tmp_path, "--json", "out.json", "program.py")
    assert (expected.status, expected.output) == (ran.status, ran.output)
    assert ran.status == 0, ran.errors
    records = json.loads((tmp_path / "out.json").read_text())["records"]
    (record, *_) = [r for r in records if r["batch_size"] == 16]
    assert Path(record["place"]["file"]) == tmp_path / "program.py"
    assert library.partition(".")[0] in Path(record["via"]["file"]).parts
    assert {record["reason"] for record in records} == {""}


# Written as the libraries' own documentation does it.
EXAMPLES = sorted(Path(__file__).with_name("programs").glob("*.py"))


@pytest.mark.parametrize("program", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_of_a_library(program: Path, tmp_path: Path) -> None:
    """Its result is its own, and each call that the interpreter sees is in the report."""
    counter = str(program.parent.with_name("count_calls.py"))
    expected = by_python(tmp_path, counter, "counted.json", str(program))
    ran = by_vmapguide(tmp_path, "--json", "out.json", str(program))
    assert (expected.status, expected.output) == (ran.status, ran.output)
    assert (ran.status, ran.errors) == (0, expected.errors)
    records = json.loads((tmp_path / "out.json").read_text())["records"]
    calls: Counter[str] = Counter()
    for record in records:
        caller = record["via"] or record["place"]
        calls[f"{record['place']['line']} {caller['file']}:{caller['line']}"] += record["calls"]
    assert calls == json.loads((tmp_path / "counted.json").read_text())
    assert len(calls) >= 2
    assert {record["reason"] for record in records} == {""}
