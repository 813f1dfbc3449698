"""The program in examples/scale_out, as its user starts it: in processes, over loopback."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest


# Signals and limits as they are here are not those of Windows.
pytest.importorskip("resource")

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "examples" / "scale_out" / "run.py"
HOLD = Path(__file__).with_name("hold")
PATIENCE = 240.0  # Seconds; a machine may have other things to do.
SMALL = ["--batch", "64", "--save-every", "2"]
TWO = ["--processes", "2", "--devices", "4"]
TEMPORARY = ".orbax-checkpoint-tmp"

# Becomes another program, whose files may not grow beyond a size. (`preexec_fn` would fork this
# process, which may have JAX's threads.)
LIMITED = """
import os, resource, sys
size = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
os.execv(sys.argv[2], sys.argv[2:])
"""


@dataclass
class Started:
    """A run that goes on, and what it has printed."""

    popen: subprocess.Popen[bytes]
    out: Path
    err: Path

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self.out.read_text("utf-8")

    @property
    def errors(self) -> str:
        """What it has said of errors so far."""
        return self.err.read_text("utf-8")

    @property
    def completed(self) -> int:
        """The last step that it has reported as completed."""
        steps = re.findall(r"^(?:\[0\] )?step (\d+) of .*: completed", self.output, re.MULTILINE)
        return int(steps[-1]) if steps else 0

    def pid(self, number: int) -> int:
        """Return the id of the system for one of its processes."""
        return int(self.after(rf"^\[{number}\] process {number}: pid (\d+),"))

    def after(self, pattern: str) -> str:
        """Wait for a line and return its first group."""
        wait_for(lambda: re.search(pattern, self.output, re.MULTILINE) or self.ended)
        found = re.search(pattern, self.output, re.MULTILINE)
        assert found, f"no line {pattern}: {self.output}\n{self.errors}"
        return found[1] if found.groups() else found[0]

    def held(self) -> None:
        """Wait until one of its processes is held."""
        wait_for(lambda: re.search(r"^(\[\d\] )?held$", self.errors, re.MULTILINE) or self.ended)
        assert not self.ended, f"{self.output}\n{self.errors}"

    @property
    def ended(self) -> bool:
        """Whether it runs no more."""
        return self.popen.poll() is not None

    def status(self) -> int:
        """Wait for its end and return its exit status."""
        return self.popen.wait(timeout=PATIENCE)

    @property
    def sentence(self) -> str:
        """The one sentence of an error; nothing else has been said."""
        lines = [line for line in self.errors.splitlines() if not line.startswith(("[", "held"))]
        *usage, last = lines
        assert all(line.startswith(("usage:", " ")) for line in usage), self.errors
        return last.removeprefix("run.py: error: ")


Start = Callable[..., Started]
OneDevice = tuple[Path, float]


def wait_for(holds: Callable[[], object]) -> None:
    """Wait until something holds."""
    until = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < until, "it has not come"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether there is such a process, and it is not one that has ended and was not yet buried."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def here() -> str:
    """Return an address of this machine at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return an environment in which what one run has compiled the next need not."""
    cache = tmp_path_factory.mktemp("compiled")
    return {
        **os.environ,
        "COLUMNS": "200",
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }


@pytest.fixture
def start(tmp_path: Path, environment: dict[str, str]) -> Iterator[Start]:
    """Return a function that starts the program; what it started is ended after the test."""
    runs: list[Started] = []

    def started(*arguments: object, hold: str = "", largest_file: int = 0) -> Started:
        out, err = (tmp_path / f"{len(runs)}.{name}" for name in ("out", "err"))
        path = os.pathsep.join(filter(None, [str(HOLD), os.environ.get("PYTHONPATH")]))
        held = {"HOLD_AT": hold, "PYTHONPATH": path} if hold else {}
        limited = [sys.executable, "-c", LIMITED, str(largest_file)] if largest_file else []
        if largest_file:
            held["JAX_ENABLE_COMPILATION_CACHE"] = "false"  # Its files could not be written either.
        with out.open("wb") as stdout, err.open("wb") as stderr:
            popen = subprocess.Popen(
                [*limited, sys.executable, str(PROGRAM), *map(str, arguments)],
                stdout=stdout,
                stderr=stderr,
                env={**environment, **held},
            )
        runs.append(Started(popen, out, err))
        return runs[-1]

    yield started
    for run in runs:
        run.popen.kill()
        run.popen.wait()


@pytest.fixture(scope="module")
def one_device(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> OneDevice:
    """Return the checkpoints of an uninterrupted run of six steps on one device, and its loss."""
    folder = tmp_path_factory.mktemp("one-device")
    report = folder / "report.json"
    command = [sys.executable, str(PROGRAM), "--devices", "1", *SMALL, "--steps", "6"]
    command += ["--checkpoints", str(folder / "run"), "--json", str(report)]
    subprocess.run(command, check=True, timeout=PATIENCE, capture_output=True, env=environment)
    return folder / "run", json.loads(report.read_text("utf-8"))["loss"]


def test_eight_devices(start: Start, tmp_path: Path, one_device: OneDevice) -> None:
    """One process on eight devices computes what one device does, and says so."""
    report = tmp_path / "report.json"
    run = start("--devices", "8", *SMALL, "--steps", "6", "--check", "--json", report)
    assert run.status() == 0, run.errors
    assert "1 process, 8 devices" in run.output
    assert "check: equal to one device" in run.output
    assert json.loads(report.read_text("utf-8"))["loss"] == pytest.approx(one_device[1], rel=1e-5)


def test_two_processes(start: Start, tmp_path: Path, one_device: OneDevice) -> None:
    """Two processes on four devices each compute what one device does, each a half of the rows."""
    report = tmp_path / "report.json"
    run = start(*TWO, *SMALL, "--steps", "6", "--check", "--json", report, "--verbose")
    assert run.status() == 0, run.errors
    assert "[0] 2 processes, 8 devices" in run.output
    assert "4 devices, rows 0 to 31" in run.output
    assert "4 devices, rows 32 to 63" in run.output
    assert run.output.count("check: equal to one device") == 2
    assert json.loads(report.read_text("utf-8"))["loss"] == pytest.approx(one_device[1], rel=1e-5)


def test_explained(start: Start) -> None:
    """What it maps has nothing in it that runs one example at a time."""
    run = start("--explain")
    assert run.status() == 0, run.errors
    assert "vmap(example_gradient)  in_axes=(None, 0, 0)" in run.output
    assert "findings: nothing found" in run.output


def resume(start: Start, folder: Path, loss: float, at_least: int, how: list[str]) -> None:
    """Go on, and see that no completed step was lost and that the end is the same."""
    report = folder.with_suffix(".json")
    run = start(*how, *SMALL, "--steps", "6", "--checkpoints", folder, "--check", "--json", report)
    assert run.status() == 0, run.errors
    assert (
        int((re.findall(r"^going on after step (\d+)", run.output, re.MULTILINE) or [0])[0])
        >= at_least
    )
    assert "check: equal to one device" in run.output
    assert json.loads(report.read_text("utf-8"))["loss"] == pytest.approx(loss, rel=1e-5)
    assert not [path for path in folder.iterdir() if TEMPORARY in path.name]


def half(step: str) -> str:
    """Return the name of a checkpoint that is not complete."""
    return step + TEMPORARY


def test_killed_before_it_computes(start: Start, tmp_path: Path, one_device: OneDevice) -> None:
    """On two machines, who is left ends within the time-out; together they go on."""
    folder, timeout = tmp_path / "run", 8
    command = [*TWO, *SMALL, "--steps", "6", "--checkpoints", folder, "--verbose"]
    command += ["--coordinator", here(), "--timeout", timeout]
    line = "[1] step 3: computing"
    first, second = (start(*command, "--process-id", number, hold=line) for number in (0, 1))
    second.held()
    first.after(r"^\[0\] step 3: computing")
    os.kill(second.pid(1), signal.SIGKILL)
    killed = time.monotonic()
    assert second.status() == 1
    assert second.sentence.startswith("process 1 of 2 was ended by signal 9 (SIGKILL); start again")
    assert first.status() == 1
    assert time.monotonic() - killed < timeout + 10
    assert first.sentence == (
        "process 0 of 2 has lost another one, which ended or gave no sign of life for 8 s"
        " (--timeout), and JAX ended it; start again with the same command: the run goes on after"
        " step 2"
    )
    assert first.completed == 2
    assert not is_alive(first.pid(0))
    resume(start, folder, one_device[1], at_least=2, how=TWO)


def test_killed_while_it_saves(start: Start, tmp_path: Path, one_device: OneDevice) -> None:
    """A checkpoint that is half written does not count, and the next run removes it."""
    folder = tmp_path / "run"
    command = [*TWO, *SMALL, "--steps", "6", "--checkpoints", folder, "--verbose"]
    # Process 0 is about to write what arrays there are; they are there.
    run = start(*command, hold=f"open {half('4')}/default{TEMPORARY}/_METADATA")
    run.held()
    os.kill(run.pid(1), signal.SIGKILL)
    assert run.status() == 1
    assert run.sentence == (
        "process 1 of 2 was ended by signal 9 (SIGKILL); start again with the same command: the run"
        " goes on after step 2"
    )
    assert not is_alive(run.pid(0))
    assert run.completed == 2
    assert {path.name for path in folder.iterdir()} == {"settings.json", "2", half("4")}
    # And on another number of processes.
    resume(start, folder, one_device[1], at_least=2, how=["--devices", "8"])


@pytest.mark.parametrize(
    "hold",
    [
        f"os.mkdir {half('2')}/default{TEMPORARY}",  # Nothing is there but an empty folder,
        f"os.rename {half('4')}",  # and all is there but its name.
    ],
)
def test_killed_anywhere_in_a_save(
    start: Start, tmp_path: Path, one_device: OneDevice, hold: str
) -> None:
    """Nor does one count of which nothing has been written, or all; also of one process."""
    folder = tmp_path / "run"
    command = ["--devices", "1", *SMALL, "--steps", "6", "--checkpoints", folder]
    run = start(*command, hold=hold)
    run.held()
    run.popen.kill()
    run.popen.wait()
    assert [path for path in folder.iterdir() if TEMPORARY in path.name]
    resume(start, folder, one_device[1], at_least=run.completed, how=["--devices", "8"])


def test_killed_before_it_reports(start: Start, tmp_path: Path, one_device: OneDevice) -> None:
    """A step that was saved but not reported is not lost either."""
    folder, line = tmp_path / "run", "[0] step 4: saved"
    command = [*TWO, *SMALL, "--steps", "6", "--checkpoints", folder, "--verbose"]
    run = start(*command, hold=line)
    run.held()
    os.kill(run.pid(0), signal.SIGKILL)
    assert run.status() == 1
    assert run.sentence.startswith("process 0 of 2 was ended by signal 9 (SIGKILL); start again")
    assert run.sentence.endswith("the run goes on after step 4")
    assert not is_alive(run.pid(1))
    assert run.completed == 2
    resume(start, folder, one_device[1], at_least=4, how=["--devices", "8"])


def test_frozen(start: Start) -> None:
    """A process that gives no sign of life for the time-out ends the run."""
    command = [*TWO, *SMALL, "--steps", "6", "--timeout", "5", "--verbose"]
    run = start(*command, hold="[1] step 2: computing")
    run.held()
    os.kill(run.pid(1), signal.SIGSTOP)
    frozen = time.monotonic()
    assert run.status() == 1
    assert time.monotonic() - frozen < 5 + 10
    assert run.sentence.startswith("process 0 of 2 has lost another one, which ended or gave no")
    assert run.sentence.endswith("start again, with --checkpoints FOLDER to lose less next time")
    assert not is_alive(run.pid(1))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_who_started_it_ends(start: Start, number: int) -> None:
    """Who is ended with a signal leaves no process behind."""
    command = ["--coordinator", here(), "--devices", "1", "--verbose"]
    run = start(*command, hold="[0] 1 process, 1 device (cpu), 512 examples a step")
    worker = run.pid(0)
    run.popen.send_signal(number)
    if number == signal.SIGTERM:
        assert run.status() == 130
        assert run.sentence == "run.py: stopped; the last completed step is 0"
    wait_for(lambda: not is_alive(worker))


def test_nobody_comes(start: Start) -> None:
    """Who waits for processes that do not come says so when the time is over."""
    run = start("--processes", "2", "--process-id", "0", "--wait", "2", "--coordinator", here())
    assert run.status() == 1
    assert "of 2 processes, not all have come to 127.0.0.1:" in run.sentence
    assert run.sentence.startswith("argument --wait: ")
    assert run.sentence.endswith("in 2 s; start those that are missing, or wait longer")


def test_nobody_listens(start: Start) -> None:
    """Who finds no process 0 says where it looked."""
    address = here()
    run = start("--processes", "2", "--process-id", "1", "--wait", "1", "--coordinator", address)
    assert run.status() == 1
    assert run.sentence == (
        f"argument --coordinator: nobody has answered at {address} for 1 s (Connection refused);"
        " start process 0 there, or name where it is"
    )


def test_port_in_use(start: Start) -> None:
    """A port at which another program listens is refused at once."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        run = start("--processes", "2", "--coordinator", f"127.0.0.1:{port}")
        assert run.status() == 1
    assert run.sentence == (
        f"argument --coordinator: port {port} cannot be listened at (Address already in use);"
        " choose another"
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["--coordinator", "127.0.0.1:70000"],
            "argument --coordinator: port 70000 is not between 1 and 65535",
        ),
        (
            ["--coordinator", "here"],
            "argument --coordinator: 'here' is not HOST:PORT, such as 10.0.0.1:1234",
        ),
        (
            ["--devices", "0"],
            "argument --devices: '0' is not a whole number above zero",
        ),
        (
            ["--devices", "3", "--batch", "8"],
            (
                "argument --batch: 8 examples cannot be dealt evenly to 3 devices;"
                " take a multiple of 3"
            ),
        ),
        (
            ["--process-id", "1"],
            "argument --process-id: say also --coordinator HOST:PORT, where process 0 is",
        ),
        (
            ["--process-id", "2", "--processes", "2", "--coordinator", "127.0.0.1:1234"],
            "argument --process-id: 2 is not one of 0 to 1; --processes says how many there are",
        ),
    ],
)
def test_arguments(start: Start, arguments: list[str], sentence: str) -> None:
    """What cannot be meant is refused before anything is started."""
    run = start(*arguments)
    assert run.status() == 2
    assert run.sentence == sentence


def test_folders(start: Start, tmp_path: Path) -> None:
    """A folder that cannot be made, or not be written to, is refused before anything starts."""
    (tmp_path / "file").touch()
    for name, reason in [
        ("none/run", f"there is no folder {tmp_path / 'none'} to make 'run' in; make it, or name"),
        ("file/run", f"{tmp_path / 'file/run'} cannot be written to (Not a directory); mend that"),
        ("file", f"{tmp_path / 'file'} cannot be written to (File exists); mend that, or name"),
    ]:
        run = start("--checkpoints", tmp_path / name)
        assert run.status() == 1
        assert run.sentence.startswith(f"argument --checkpoints: {reason}")


def test_checkpoints_of_another_run(start: Start, tmp_path: Path, one_device: OneDevice) -> None:
    """Checkpoints of another batch size or seed are refused; of other numbers, --check tells."""
    folder = tmp_path / "run"
    shutil.copytree(one_device[0], folder)
    run = start("--checkpoints", folder, "--batch", "32")
    assert run.status() == 1
    assert run.sentence == (
        f"argument --batch: the checkpoints in {folder} are of a run with --batch 64, not 32; say"
        " the same, or name another folder"
    )
    (folder / "settings.json").write_text('{"batch": 64, "seed": 1}')
    run = start("--checkpoints", folder, *SMALL, "--steps", "6", "--seed", "1", "--check")
    assert run.status() == 1
    assert re.match(r"--check: a parameter differs by \S+ from one device's, more", run.sentence)


def test_folders_that_are_not_shared(start: Start, tmp_path: Path) -> None:
    """Processes of which each sees a folder of its own would save halves: they save nothing."""
    command = ["--processes", "2", "--devices", "1", "--coordinator", here(), "--timeout", "10"]
    folders = [tmp_path / "first", tmp_path / "second"]
    runs = [
        start(*command, "--process-id", number, "--checkpoints", folder)
        for number, folder in enumerate(folders)
    ]
    said = set()
    for run, folder in zip(runs, folders, strict=True):
        assert run.status() == 1
        said.add(run.sentence.replace(str(folder), "FOLDER"))
        assert [path.name for path in folder.iterdir()] == ["settings.json"]
    # The slower one may first see that the other has ended.
    assert (
        "argument --checkpoints: the processes see different folders at FOLDER; name one on a disk"
        " that they share"
    ) in said


def test_broken_checkpoint(start: Start, tmp_path: Path, one_device: OneDevice) -> None:
    """What a disk has spoilt is named, and the one before it is still there."""
    folder = tmp_path / "run"
    shutil.copytree(one_device[0], folder)
    for spoilt in (folder / "6" / "default").rglob("*"):
        if spoilt.is_file():
            spoilt.write_bytes(b"")
    run = start("--checkpoints", folder, *SMALL, "--steps", "6", "--devices", "1")
    assert run.status() == 1
    assert run.sentence == (
        f"argument --checkpoints: the checkpoint {folder / '6'} cannot be read; if the model has"
        " changed, name another folder; if not, remove it, and the run goes on after step 4"
    )


def test_fewer_steps(start: Start, tmp_path: Path, one_device: OneDevice) -> None:
    """Who asks for fewer steps than are done is told so."""
    folder = tmp_path / "run"
    shutil.copytree(one_device[0], folder)
    run = start("--checkpoints", folder, *SMALL, "--steps", "4")
    assert run.status() == 1
    assert run.sentence == (
        f"argument --steps: in {folder}, 6 steps are completed, more than 4; ask for more, or name"
        " another folder"
    )


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on a disk of four megabytes, or skip: only root makes disks."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(folder)]
    if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_full_disk(start: Start, small_disk: Path, one_device: OneDevice) -> None:
    """A disk that is full ends the run with a sentence; what was saved before is still there."""
    folder = small_disk / "run"
    shutil.copytree(one_device[0], folder)
    with (small_disk / "rest").open("wb", buffering=0) as rest, contextlib.suppress(OSError):
        while True:
            rest.write(bytes(4096))
    run = start("--devices", "8", *SMALL, "--steps", "8", "--checkpoints", folder)
    assert run.status() == 1
    assert run.sentence == (
        f"argument --checkpoints: step 8 could not be saved, the disk of {folder} is full; make"
        " room, and start again: the run goes on after step 6"
    )
    assert run.completed == 0
    (small_disk / "rest").unlink()
    run = start("--devices", "8", *SMALL, "--steps", "8", "--checkpoints", folder, "--check")
    assert run.status() == 0
    assert "going on after step 6" in run.output
    assert "check: equal to one device" in run.output


def test_limited_files(start: Start, tmp_path: Path, one_device: OneDevice) -> None:
    """The same holds where no disk can be made: files may not grow beyond a size."""
    folder = tmp_path / "run"
    shutil.copytree(one_device[0], folder)
    options = ["--devices", "8", *SMALL, "--steps", "8", "--checkpoints", folder]
    run = start(*options, largest_file=2000)
    assert run.status() == 1
    assert run.sentence.startswith("argument --checkpoints: step 8 could not be saved, the disk of")
    assert not (folder / "8").exists()
    assert (folder / "6" / "_CHECKPOINT_METADATA").exists()
