"""`vmapguide run`: every `jax.vmap` of a program is seen, and the program is none the wiser."""

import json
from pathlib import Path
from typing import Any

import pytest
from processes import by_python, by_vmapguide, written


# Each line that calls `jax.vmap`, itself or by a function of JAX, says how often it does so.
PROGRAM = """
import functools
import threading
import jax
import jax.numpy as jnp
from jax import lax, vmap
from neighbour import mapped_by_neighbour, vmap as another_vmap

X = jnp.arange(12.0).reshape(3, 4)


@jax.vmap  # 1
def decorated(x):
    return x * 2


@functools.partial(jax.vmap, in_axes=1)  # 1
def by_column(x):
    return x.sum()


def outer(x):
    return jax.vmap(jnp.sin)(x).sum()  # 1


def loss(w, x):
    return ((w @ x) ** 2).sum()


class Model:
    def __init__(self):
        self.call = vmap(self.one)  # 1

    def one(self, x):
        return x + 1


decorated(X)
by_column(X)
jax.vmap(outer)(X)  # 1
vmap(jnp.cos)(X)  # 1
another_vmap(jnp.tan)(X)  # 1
jax.vmap(fun=jnp.exp, in_axes=0)(X)  # 1
Model().call(X)
mapped_by_neighbour(X)
jax.jit(lambda X: jax.vmap(jnp.tanh)(X))(X)  # 1
jax.grad(lambda w: jax.vmap(loss, (None, 0))(w, X).sum())(jnp.ones((4, 4)))  # 1
jax.vmap(jax.vmap(jnp.sqrt))(X)  # 2
jax.jacfwd(jnp.sin)(X[0])  # 1
jax.jacrev(jnp.sin)(X[0])  # 1
jax.hessian(lambda x: (x**2).sum())(X[0])  # 2
jnp.vectorize(loss, signature="(i,j),(j)->()")(jnp.ones((4, 4)), X)  # 1
jnp.apply_along_axis(jnp.sum, 0, X)  # 1
jnp.fromfunction(lambda i: i + 1, (3,))  # 1
lax.map(lambda x: x + 1, X, batch_size=3)  # 1
lax.scan(lambda c, x: (c, jax.vmap(jnp.sin)(x)), 0.0, X)  # 1
thread = threading.Thread(target=lambda: jax.vmap(jnp.cosh)(X))  # 1
thread.start()
thread.join()
for n in (2, 3):
    jax.vmap(jnp.sinh)(X[:n])  # 2
for f in (jnp.sin, jnp.cos, loss):
    try:
        jax.vmap(f)(X)  # 2
    except TypeError:
        pass
for scale in (0.5, 0.25):
    jax.vmap(lambda x, scale: x * scale, in_axes=(0, None))(X, scale)  # 1
jax.random.split(jax.random.key(0), 3)
jnp.linalg.solve(jnp.eye(4), X.T)
"""

NEIGHBOUR = """
from jax import vmap


def mapped_by_neighbour(x):
    return vmap(lambda x: -x)(x)  # 1
"""


def recorded(folder: Path, *arguments: str, **variables: str) -> list[dict[str, Any]]:
    """Run a program, and return the records of its report."""
    ran = by_vmapguide(folder, "--json", "out.json", *arguments, **variables)
    assert ran.status == 0, ran.errors
    data = json.loads((folder / "out.json").read_text())
    assert data["schema"] == "vmapguide.recording/1"
    records: list[dict[str, Any]] = data["records"]
    return records


def places(folder: Path, records: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """Return the file and the line of each record, sorted."""
    found = ((record["place"]["file"], record["place"]["line"]) for record in records)
    return sorted((Path(file).relative_to(folder).as_posix(), line) for file, line in found)


def marked(folder: Path) -> list[tuple[str, int]]:
    """Return the lines of the programs that say how often they call `jax.vmap`."""
    return sorted(
        (path.name, number)
        for path in folder.glob("*.py")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        for _ in range(int(line.partition("  # ")[2] or 0))
    )


class TestPlaces:
    """Which calls are seen."""

    def test_every_call_of_vmap(self, tmp_path: Path) -> None:
        """Each is, once for its place and types: in transformations, libraries and threads."""
        written(tmp_path, program=PROGRAM, neighbour=NEIGHBOUR)
        records = recorded(tmp_path, "program.py")
        assert marked(tmp_path) == places(tmp_path, records)
        assert {record["reason"] for record in records} == {""}
        assert {record["batch_size"] for record in records} == {1, 2, 3, 4}

    def test_once_compiled_nothing_is_called(self, tmp_path: Path) -> None:
        """A compiled function calls Python no more, and so nothing of the recorder's."""
        written(
            tmp_path,
            program="""
                import jax, jax.numpy as jnp

                step = jax.jit(lambda x: jax.vmap(jnp.sin)(x))
                for _ in range(20):
                    step(jnp.ones(3))
                for _ in range(5):
                    jax.vmap(jnp.cos)(jnp.ones(3))
            """,
        )
        compiled, eager = sorted(recorded(tmp_path, "program.py"), key=lambda r: r["calls"])
        assert (compiled["calls"], compiled["eager_calls"], compiled["functions"]) == (1, 0, 1)
        assert (eager["calls"], eager["eager_calls"], eager["functions"]) == (5, 5, 5)

    def test_only_some_files(self, tmp_path: Path) -> None:
        """`--only` takes patterns of files, from here or from the root."""
        written(
            tmp_path,
            program="import jax, src.deep.model\njax.vmap(abs)(jax.numpy.ones(2))",
            src_____init__="",
            src___deep_____init__="",
            src___deep___model="import jax\njax.vmap(abs)(jax.numpy.ones(2))",
        )
        for pattern in ("src/**", "*/model.py", f"{tmp_path}/src/*"):
            records = recorded(tmp_path, "--only", pattern, "program.py")
            assert places(tmp_path, records) == [("src/deep/model.py", 2)]
        both = recorded(tmp_path, "--only", "src/**", "--only", "program.py", "program.py")
        assert len(both) == 2

    def test_what_cannot_be_explained(self, tmp_path: Path) -> None:
        """It is in the report all the same, with the reason; the program does not notice."""
        written(
            tmp_path,
            program="""
                import jax, jax.numpy as jnp

                seen = []

                def once(x):
                    seen.append(x)
                    if len(seen) > 1:
                        raise RuntimeError("not again")
                    return x

                @jax.tree_util.register_pytree_node_class
                class Pair:
                    def __init__(self, one, other):
                        if isinstance(one, jax.ShapeDtypeStruct):
                            raise TypeError("a pair of types")
                        self.both = one, other

                    def tree_flatten(self):
                        return self.both, None

                    @classmethod
                    def tree_unflatten(cls, _, both):
                        return cls(*both)

                    def __repr__(self):
                        raise ValueError("no text")

                def first(pair):
                    return pair.both[0]

                jax.vmap(once)(jnp.ones(3))
                jax.jit(lambda x: jax.vmap(first)(Pair(x, x)))(jnp.ones(3))
                print(jax.vmap(first, in_axes=(Pair(0, 1),))(Pair(jnp.ones(2), jnp.ones((1, 2)))))
            """,
        )
        assert by_python(tmp_path, "program.py").output == "[1. 1.]\n"
        records = recorded(tmp_path, "program.py")
        assert sorted((record["function"], record["reason"]) for record in records) == [
            ("first", "TypeError: a pair of types"),
            ("first", "ValueError: no text"),
            ("once", "RuntimeError: not again"),
        ]


NOTICED = """
    import logging, random, sys, threading, time, warnings
    import jax
    import jax.numpy as jnp
    import numpy as np

    logging.basicConfig(stream=sys.stdout, format="%(message)s")
    np.random.seed(0)
    random.seed(0)
    out = sys.stdout


    @jax.jit
    def inner(x):
        print("inner is traced")
        return x * 2


    def f(x):
        print("f is traced", x.shape)
        print("on the error stream", file=sys.stderr)
        out.flush()
        logging.warning("logged")
        warnings.warn("warned")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            warnings.warn("caught")
        print(len(caught))
        noise = np.random.normal() + random.random()
        return inner(x) + noise


    for _ in range(3):
        warnings.warn("outside")
        print(jax.vmap(f)(jnp.ones(2)))
    print(inner(jnp.float32(1)))
    step = jax.jit(lambda x: jax.vmap(f)(x))
    for _ in range(3):
        print(step(jnp.ones(3)))
    print(np.random.normal(), random.random())
    print(jax.make_jaxpr(jax.vmap(lambda x: jnp.sin(x) * 2, in_axes=1))(jnp.ones((2, 3))))
    print(jax.jit(jax.vmap(jnp.cos)).lower(jnp.ones(3)).as_text())
    print(jax.vmap.__name__, jax.vmap(f).__name__, jax.vmap.__doc__[:20])


    def talk():
        for i in range(200):
            print("talking", i)
            time.sleep(0.001)


    def slow(x):
        time.sleep(0.05)
        return x


    thread = threading.Thread(target=talk)
    thread.start()
    jax.vmap(slow)(jnp.ones(2))
    thread.join()
"""


class TestUnnoticed:
    """What a program that calls `jax.vmap` notices of it."""

    def test_what_a_function_does_is_done_once(self, tmp_path: Path) -> None:
        """Prints, logs, warnings and random numbers of a traced function are as without."""
        written(tmp_path, program=NOTICED)
        expected = by_python(tmp_path, "program.py")
        ran = by_vmapguide(tmp_path, "program.py")
        assert expected.status == 0, expected.errors
        assert expected.output == ran.output
        assert expected.errors == ran.errors
        assert "5 places called jax.vmap" in ran.report

    @pytest.mark.parametrize(
        "call",
        [
            "jax.vmap(wrong)(jnp.ones(3))",
            "jax.jit(jax.vmap(wrong))(jnp.ones(3))",
            "jax.vmap(lambda x: jax.vmap(wrong)(x))(jnp.ones((2, 3)))",
            "jax.grad(lambda x: jax.vmap(wrong)(x).sum())(jnp.ones(3))",
            "jax.jacfwd(wrong)(jnp.ones(3))",
            "jax.vmap(wrong, in_axes=(0, 0))(jnp.ones(3))",
            "jax.vmap(wrong)(jnp.ones(3), jnp.ones(4))",
            "jax.vmap(3)",
            "jax.vmap()",
            "jax.vmap(wrong, no_such_argument=1)",
            "jax.vmap(branching)(jnp.ones(3))",
            "jax.vmap(exiting)(jnp.ones(3))",
            "[].pop(jax.vmap(jnp.sin)(jnp.ones(3)).size)",
        ],
    )
    def test_errors_are_the_programs_own(self, call: str, tmp_path: Path) -> None:
        """Their tracebacks have the frames that they have without, and no other."""
        written(
            tmp_path,
            program=f"""
                import sys
                import jax
                import jax.numpy as jnp

                def wrong(x, y=0):
                    return {{}}["no key"]

                def branching(x):
                    return x if x > 0 else -x

                def exiting(x):
                    sys.exit("that is all")

                {call}
            """,
        )
        expected, ran = by_python(tmp_path, "program.py"), by_vmapguide(tmp_path, "program.py")
        assert expected.errors == ran.errors
        assert expected.status == ran.status == 1

    def test_no_tracer_is_kept(self, tmp_path: Path) -> None:
        """JAX finds none that has leaked, whatever the calls lie in."""
        written(tmp_path, program=PROGRAM, neighbour=NEIGHBOUR)
        records = recorded(tmp_path, "program.py", JAX_CHECK_TRACER_LEAKS="1")
        assert marked(tmp_path) == places(tmp_path, records)
        assert {record["reason"] for record in records} == {""}
