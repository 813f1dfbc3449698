"""`vmapguide run`: a program gets what it would get from Python, whatever it does."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest
from processes import REPORT, Ran, by_python, by_vmapguide, written


NOTHING = "The program called no jax.vmap."


def assert_same(folder: Path, *arguments: str, flags: tuple[str, ...] = ()) -> Ran:
    """Run a program both ways: its output, its errors and its status are the same."""
    expected = by_python(folder, *arguments, flags=flags)
    ran = by_vmapguide(folder, *arguments, flags=flags)
    assert (expected.output, expected.errors) == (ran.output, ran.errors)
    assert expected.status == ran.status
    assert ran.report.startswith("jax.vmap in ")
    return ran


FACTS = """
    import os, pickle, sys
    import __main__
    import neighbour
    from dataclasses import dataclass

    @dataclass
    class Point:
        x: int
        y: "int"

    if __name__ == "__main__":
        print(sys.argv, sys.path, os.getcwd())
        print(__file__, __package__, __spec__ and __spec__.name, __doc__, type(__loader__))
        print(sorted(globals()))
        print(__main__.__dict__ is globals(), type(__builtins__), __main__ is sys.modules[__name__])
        print(Point.__annotations__, pickle.loads(pickle.dumps(Point(1, 2))))
        print(neighbour.NAME)
"""


class TestFacts:
    """What a program finds when it starts."""

    @pytest.mark.parametrize(
        ("flags", "arguments"),
        [
            ((), ("program.py", "--html", "a b", "--", "-m")),
            ((), ("folder/../folder/inner.py",)),
            ((), ("link.py", "--help")),
            ((), ("-m", "inner_package", "--version")),
            ((), ("-m", "inner_package.part", "x")),
            ((), ("folder", "x")),
            ((), ("app.zip", "x")),
            (("-P",), ("folder", "x")),
        ],
    )
    def test_they_are_pythons(
        self, flags: tuple[str, ...], arguments: tuple[str, ...], tmp_path: Path
    ) -> None:
        """Arguments, paths, names, `__main__` and its neighbours are as Python has them."""
        neighbour = "NAME = 'a neighbour of ' + __file__"
        written(
            tmp_path,
            program=FACTS,
            neighbour=neighbour,
            folder___inner=FACTS,
            folder___neighbour=neighbour,
            folder_____main__=FACTS,
            inner_package_____init__="",
            inner_package_____main__=FACTS + "\n    from . import part",
            inner_package___part="from . import __name__ as name; print('part of', name, __name__)",
        )
        (tmp_path / "link.py").symlink_to(tmp_path / "folder" / "inner.py")
        with zipfile.ZipFile(tmp_path / "app.zip", "w") as archive:
            archive.writestr("__main__.py", textwrap.dedent(FACTS))
            archive.writestr("neighbour.py", neighbour)
        ran = assert_same(tmp_path, *arguments, flags=flags)
        assert ran.status == 0, ran.errors
        assert ran.output


ENDINGS = {
    "falls off": "print(1)",
    "exit status": "import sys; print(1); sys.exit(3)",
    "exit without": "raise SystemExit",
    "exit by a bool": "import sys; sys.exit(True)",
    "exit by a text": "import sys; print(1); sys.exit('the text')",
    "exit by a tuple": "raise SystemExit((1, 2))",
    "exit below zero": "import sys; sys.exit(-1)",
    "a large exit": "import sys; sys.exit(300)",
    "at once": "import os, sys; print(1); sys.stdout.flush(); os._exit(5)",
    "syntax": "x = 1\nx = = 2\n",
    "a wrong name": """
        def outer():
            inner()

        def inner():
            colour = 1
            return color

        outer()
    """,
    "a chain": """
        def first():
            raise ValueError("first")

        try:
            first()
        except ValueError as error:
            raise KeyError("second") from error
    """,
    "a group": "raise ExceptionGroup('several', [ValueError(1), TypeError(2)])",
    "a hook": """
        import sys

        def hook(kind, error, trace):
            print(kind, error, trace.tb_frame.f_code.co_name, trace.tb_next)

        sys.excepthook = hook
        raise ValueError("x")
    """,
    "a wrong hook": """
        import sys

        def hook(kind, error, trace):
            raise RuntimeError("hook")

        sys.excepthook = hook
        raise ValueError("x")
    """,
    "warnings": """
        import warnings

        for _ in range(3):
            warnings.warn("once")
    """,
    "a thread": """
        import threading, time

        def work():
            time.sleep(0.2)
            print("worked")
            raise ValueError("in a thread")

        threading.Thread(target=work).start()
        print("started")
    """,
    "a pool": """
        from concurrent.futures import ThreadPoolExecutor

        pool = ThreadPoolExecutor(2)
        print([*pool.map(abs, [-1, -2])])
    """,
    "at exit": """
        import atexit, sys
        import __main__

        NAME = "a name"

        def last():
            print(NAME, __main__.NAME, sys.argv, sys.modules["__main__"].__file__)

        atexit.register(last)
        raise SystemExit(4)
    """,
    "no output": "import sys; print(1); sys.stdout.close()",
    "no errors": "import sys; sys.stderr.close(); raise ValueError",
    "no streams": "import sys; sys.stdout = sys.stderr = None; print(1); raise ValueError",
    "a closed descriptor": "import os; print(1); os.close(1)",
    "another stream": "import io, sys; sys.stdout = io.StringIO(); print(1)",
    "a fork": """
        import os, sys

        print("before", flush=True)
        child = os.fork()
        if child == 0:
            print("child", flush=True)
            sys.exit(7)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """,
    "a spawned process": """
        import multiprocessing

        def square(x):
            return x * x

        if __name__ == "__main__":
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                print(pool.map(square, [1, 2]))
    """,
    "another folder": """
        import os, shutil

        os.makedirs("gone")
        os.chdir("gone")
        shutil.rmtree("../gone")
        print(1)
    """,
}


class TestEndings:
    """How a program may end."""

    @pytest.mark.parametrize("name", ENDINGS)
    def test_it_ends_as_in_python(self, name: str, tmp_path: Path) -> None:
        """Its output, its errors and its exit status are the same, whatever it leaves behind."""
        written(tmp_path, program=ENDINGS[name])
        expected = by_python(tmp_path, "program.py")
        ran = by_vmapguide(tmp_path, "program.py")
        assert expected.output == ran.output
        assert expected.errors == ran.errors
        assert expected.status == ran.status
        # Whoever ends by `os._exit` leaves nobody who could report.
        assert ran.report == ("" if name == "at once" else f"jax.vmap in program.py\n\n{NOTHING}\n")

    @pytest.mark.parametrize(
        "arguments",
        [
            ("absent.py",),
            ("empty",),
            ("-m", "absent"),
            ("-m", "package"),
            ("-m", "package.absent"),
            ("-m", "broken"),
            ("-m", "broken.part"),
            ("-m", "program.py"),
        ],
    )
    def test_what_is_not_there(self, arguments: tuple[str, ...], tmp_path: Path) -> None:
        """Python's own message and status are told, and that nothing was found."""
        written(tmp_path, program="", package_____init__="", broken_____init__="1 / 0")
        (tmp_path / "empty").mkdir()
        assert assert_same(tmp_path, *arguments).status != 0

    def test_an_interrupt(self, tmp_path: Path) -> None:
        """Ctrl-C ends the program, with the traceback of its own code, and what ran is told of."""
        written(
            tmp_path,
            program="""
                import signal, time
                import jax, jax.numpy as jnp

                def wait():
                    # In one line, since nobody knows when the signal comes.
                    print("ready", flush=True); time.sleep(100)

                # What a shell runs in the background is told to ignore it.
                signal.signal(signal.SIGINT, signal.default_int_handler)
                jax.vmap(jnp.sin)(jnp.ones(3))
                wait()
            """,
        )
        command = [sys.executable, "-m", "vmapguide", "run", "program.py"]
        with subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as program:
            assert program.stdout is not None
            assert program.stdout.readline() == "ready\n"
            program.send_signal(signal.SIGINT)
            _, errors = program.communicate(timeout=60)
        trace, _, report = errors.partition("jax.vmap in ")
        assert re.findall(r'File ".*?([^/]*)", line (\d+)', trace) == [
            ("program.py", "12"),
            ("program.py", "7"),
        ]
        assert trace.endswith("\nKeyboardInterrupt\n")
        assert "program.py:11" in report
        assert program.returncode == 130

    @pytest.mark.parametrize("text", ["print(1)", "print(1, flush=True)", "print(1); 1 / 0"])
    def test_a_reader_that_has_gone(self, text: str, tmp_path: Path) -> None:
        """Python says so of the program, with its own status."""
        (tmp_path / "program.py").write_text(text)
        found = []
        for more in ([], ["-m", "vmapguide", "run"]):
            reader, writer = os.pipe()
            os.close(reader)
            result = subprocess.run(
                [sys.executable, *more, "program.py"],
                check=False,
                cwd=tmp_path,
                env={name: value for name, value in os.environ.items() if name[:8] != "PYTHONUN"},
                stdout=writer,
                stderr=subprocess.PIPE,
                text=True,
            )
            os.close(writer)
            found.append((result.returncode, REPORT.sub("", result.stderr)))
        assert found[0] == found[1]
        assert found[0][0] in (1, 120)
