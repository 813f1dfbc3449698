"""`vmapguide run`: what it reports of a program, as text, as a page and for other tools."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hostile_names import HOSTILE, assert_is_text
from markup_tree import Tree
from processes import by_python, by_vmapguide, written


NOTHING = "The program called no jax.vmap."

# A branch on a mapped value, which two places call, a call of a library, and one that is clean.
PROGRAM = '''
    import sysconfig, sys
    import jax
    import jax.numpy as jnp
    from jax import lax

    LIBRARY = """
    def of_the_library(x):
        return x * 2


    def mapped(x):
        import jax
        return jax.vmap(of_the_library)(x)
    """
    names = {}
    exec(compile(LIBRARY, sysconfig.get_path("purelib") + "/library.py", "exec"), names)


    def branching(x):
        return lax.cond(x.sum() > 0, lambda x: jnp.exp(x) @ x, jnp.sum, x)


    X = jnp.ones((8, 500))
    jax.jit(lambda X: jax.vmap(branching)(X))(X)
    jax.jit(lambda X: jax.vmap(branching, axis_size=8)(X))(X)
    jax.jit(names["mapped"])(X)
    jax.jit(jax.jacfwd(jnp.sin))(X[0, :3])
    print("done")
    if len(sys.argv) > 1:
        sys.exit(int(sys.argv[1]))
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the program in it."""
    written(tmp_path, program=PROGRAM)
    return tmp_path


class TestText:
    """What stands on the error stream."""

    def test_the_table(self, folder: Path) -> None:
        """A row says where, on whose behalf, what, how many, how dear, and what was found."""
        report = by_vmapguide(folder, "program.py").report
        rows = [line.split() for line in report.splitlines()[2:7]]
        assert rows[0] == ["place", "function", "batch", "equations", "cost", "findings"]
        assert rows[1][:3] == ["program.py:25", "branching", "8"]
        assert rows[2][:3] == ["program.py:26", "branching", "8"]
        assert rows[1][-1] == rows[2][-1] == "VG101"
        assert rows[3][:4] == ["program.py:27", "(library.py:8)", "of_the_library", "8"]
        assert rows[4][:4] == ["program.py:28", "(jacfwd)", "sin", "3"]
        shares = [row[row.index("8" if i < 3 else "3") + 2] for i, row in enumerate(rows[1:])]
        assert sum(int(share.removesuffix("%")) for share in shares) in range(98, 103)

    def test_a_finding_stands_there_once(self, folder: Path) -> None:
        """Two places call the function that it is in."""
        report = by_vmapguide(folder, "program.py").report
        assert report.count("VG101  program.py:21: ") == 1
        assert report.endswith("\n4 places called jax.vmap.\n")

    def test_nothing_found(self, tmp_path: Path) -> None:
        """It says so, and of calls with several types how many places there are."""
        written(
            tmp_path,
            program="""
                import jax
                for n in (2, 3):
                    jax.jit(jax.vmap(abs))(jax.numpy.ones(n))
            """,
        )
        report = by_vmapguide(tmp_path, "program.py").report
        assert report.endswith("1 place called jax.vmap, in 2 ways. findings: nothing found\n")

    def test_annotations(self, folder: Path) -> None:
        """`--format github` prints commands, each finding once."""
        errors = by_vmapguide(folder, "--format", "github", "program.py").errors
        (line,) = errors.splitlines()
        assert line.startswith("::notice title=VG101")
        assert ",file=program.py,line=21,endLine=21::" in line

    def test_it_reaches_who_waits_for_it(self, tmp_path: Path) -> None:
        """It does so if the program has closed or replaced the streams, and works elsewhere."""
        for text in (
            "sys.stderr.close()",
            "sys.stdout.close(); sys.stderr.close()",
            "sys.stderr = None",
            "sys.stderr = open('log', 'w')",
            "os.close(2)",
            "os.mkdir('x'); os.chdir('x')",
        ):
            program = f"import os, sys, jax\njax.vmap(abs)(jax.numpy.ones(2))\n{text}\n"
            (tmp_path / "program.py").write_text(program)
            ran = by_vmapguide(tmp_path, "program.py")
            assert "\n  program.py:2   abs " in ran.report, text
            assert ran.status == 0


class TestStatus:
    """The exit status: the program's, if that is not 0."""

    @pytest.mark.parametrize(
        ("arguments", "status"),
        [
            (["program.py"], 0),
            (["program.py", "3"], 3),
            (["--fail-on", "VG102", "program.py"], 0),
            (["--fail-on", "VG3, VG101", "program.py"], 1),
            (["--fail-on", "VG1", "program.py", "3"], 3),
            (["--fail-on", "VG999", "program.py"], 2),
            (["--html", "absent/out.html", "program.py"], 2),
            (["--json", ".", "program.py"], 2),
            (["--sarif", "vanishing/x.sarif", "program.py", "0"], 2),
            (["--sarif", "vanishing/x.sarif", "program.py", "4"], 4),
        ],
    )
    def test_it(self, arguments: list[str], status: int, folder: Path) -> None:
        """It says what a call of the command came to."""
        (folder / "vanishing").mkdir()
        program = folder / "program.py"
        text = program.read_text().replace("print(", "__import__('os').rmdir('vanishing'); print(")
        program.write_text(text)
        ran = by_vmapguide(folder, *arguments)
        assert status == ran.status
        # A call that cannot be right does not run the program.
        assert ran.output == ("" if status == 2 and "vanishing" not in str(arguments) else "done\n")
        assert "Traceback" not in ran.errors
        if status == 2:
            assert ran.errors.startswith("vmapguide: error: ")


class TestFiles:
    """Reports that are written."""

    def test_a_page(self, folder: Path) -> None:
        """Each row of it opens to the explanation; it loads nothing, and repeats no finding."""
        (folder / "elsewhere").mkdir()
        with (folder / "program.py").open("a") as program:
            program.write("import os; os.chdir('elsewhere')\n")
        ran = by_vmapguide(folder, "--html", "out.html", "program.py")
        assert ran.report == f"wrote {folder}/out.html\n"
        page = (folder / "out.html").read_text("utf-8")
        tree = Tree(page)
        rows = [e for e in tree.elements if "vg-call-line" in e.attributes.get("class", "")]
        assert len(rows) == 1 + 4
        assert tree.counts["style"] == 2
        assert tree.counts["script"] == 1
        assert page.count("runs each of its 2 branches") == 2
        assert "place program.py:28 (jacfwd)" in tree.text
        assert not [e for e in tree.elements if {"src", "href"} & e.attributes.keys()]

    def test_sarif(self, folder: Path) -> None:
        """It has each finding once, with the file from here."""
        by_vmapguide(folder, "--sarif", "out.sarif", "program.py")
        (run,) = json.loads((folder / "out.sarif").read_text())["runs"]
        (result,) = run["results"]
        place = result["locations"][0]["physicalLocation"]
        assert result["ruleId"] == "VG101"
        assert place["artifactLocation"]["uri"] == "program.py"
        assert place["region"]["startLine"] == 21

    def test_data(self, folder: Path) -> None:
        """It has what the table has, and more."""
        by_vmapguide(folder, "--json", "out.json", "program.py")
        data = json.loads((folder / "out.json").read_text())
        first, second, third, fourth = data["records"]
        assert data["name"] == "program.py"
        assert first["place"] == {
            "file": str(folder / "program.py"),
            "line": 25,
            "function": "<lambda>",
        }
        assert (first["via"], first["maker"], first["is_inner"]) == (None, "", False)
        assert first["findings"] == second["findings"]
        assert Path(third["via"]["file"]).name == "library.py"
        assert (third["via"]["line"], third["via"]["function"]) == (8, "mapped")
        assert (fourth["maker"], fourth["function"], fourth["batch_size"]) == ("jacfwd", "sin", 3)
        assert sum(record["share"] for record in data["records"]) == pytest.approx(1)

    def test_hostile_names(self, tmp_path: Path) -> None:
        """What a program calls its files and functions is text in every report."""
        name = "<img src=x onerror=alert(1)>\n\x1b[31m'\".py"
        program = f"""if True:
            import jax

            def f(x):
                return jax.lax.cond(x > 0, lambda x: x, lambda x: -x, x)

            for name in {HOSTILE!r}:
                f.__name__ = f.__qualname__ = name
                jax.vmap(f)(jax.numpy.ones(2))
        """
        (tmp_path / name).write_text(program)
        ran = by_vmapguide(tmp_path, "--html", "out.html", name)
        assert ran.status == 0, ran.errors
        for hostile in HOSTILE:
            assert_is_text(hostile, (tmp_path / "out.html").read_text("utf-8"))
        errors = by_vmapguide(tmp_path, name).report
        assert "\x1b" not in errors
        assert "\\x1b[31m" in errors
        annotated = by_vmapguide(tmp_path, "--format", "github", name).errors
        assert all(line.startswith("::") for line in annotated.splitlines())

    @pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the name of a file is text")
    def test_names_that_are_no_text(self, tmp_path: Path) -> None:
        """A file may have any name that the system lets it have."""
        name = os.fsdecode(b"\xff.py")
        # JAX itself traces nothing that such a file calls.
        (tmp_path / name).write_text("print(1)")
        assert by_vmapguide(tmp_path, name).report == f"jax.vmap in \\udcff.py\n\n{NOTHING}\n"
        for option in ("--html", "--json", "--sarif"):
            ran = by_vmapguide(tmp_path, option, "out", name)
            assert (ran.report, ran.status) == (f"wrote {tmp_path}/out\n", 0)
            assert "udcff" in (tmp_path / "out").read_text("utf-8") or option == "--sarif"


def test_as_a_script(folder: Path) -> None:
    """Who calls `main` from a script of another name gets the same."""
    script = folder / "vmapguide"
    script.write_text("import sys\nfrom vmapguide._cli.main import main\nsys.exit(main())\n")
    result = subprocess.run(
        [sys.executable, str(script), "run", "program.py", "3"],
        check=False,
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert by_python(folder, "program.py", "3").output == result.stdout
    assert result.returncode == 3
    assert "program.py:25" in result.stderr
