"""What the command line can say, and what of it cannot be meant. JAX is not imported here."""

import argparse
import importlib.util
from dataclasses import dataclass
from pathlib import Path


LAST_PORT = 65535
EPILOG = """
one process, eight devices of this machine's processor:
  run.py --devices 8
two processes, each with four such devices:
  run.py --processes 2 --devices 4
two machines, each with its own devices; one command on each:
  run.py --processes 2 --coordinator first-machine:1234 --process-id 0
  run.py --processes 2 --coordinator first-machine:1234 --process-id 1
"""


@dataclass(frozen=True)
class Arguments:
    """The command line, read and checked."""

    steps: int
    batch: int
    seed: int
    devices: int | None
    processes: int
    process_id: int | None
    coordinator: str | None
    wait: int
    timeout: int
    checkpoints: Path | None
    save_every: int
    check: bool
    json: Path | None
    explain: bool
    verbose: bool

    @property
    def host_devices(self) -> int | None:
        """How many devices each process makes of the processor, or None: those that JAX finds."""
        starts_all = self.processes > 1 and self.process_id is None
        # Processes of one machine would all take the same accelerator.
        return self.devices or (1 if starts_all else None)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the coordinator."""
        host, _, port = (self.coordinator or "").rpartition(":")
        return host, int(port)


def positive(text: str) -> int:
    """Read a whole number above zero."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above zero")
    return int(text)


def address(text: str) -> str:
    """Read HOST:PORT."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT, such as 10.0.0.1:1234")
    if not 1 <= int(port) <= LAST_PORT:
        raise argparse.ArgumentTypeError(f"port {port} is not between 1 and {LAST_PORT}")
    return text


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    made = argparse.ArgumentParser(
        prog="run.py",
        description="Apply one per-example function on one device, on many, and in many processes.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = made.add_argument
    add("--devices", type=positive, metavar="N", help="devices a process makes of the processor")
    add("--processes", type=positive, default=1, metavar="N", help="processes in all; default 1")
    add("--coordinator", type=address, metavar="HOST:PORT", help="where process 0 is reached")
    add(
        "--process-id", type=int, metavar="I", help="start this process alone; others are elsewhere"
    )
    add(
        "--wait",
        type=positive,
        default=300,
        metavar="SECONDS",
        help="how long to wait for all processes to come; default 300",
    )
    add(
        "--timeout",
        type=positive,
        default=60,
        metavar="SECONDS",
        help="how long a process may give no sign of life before the others end; default 60",
    )
    add("--steps", type=positive, default=20, metavar="N", help="steps in all; default 20")
    add("--batch", type=positive, default=512, metavar="N", help="examples a step; default 512")
    add("--seed", type=int, default=0, metavar="N", help="another data set, another start")
    add(
        "--checkpoints",
        type=Path,
        metavar="FOLDER",
        help="save here, and go on from what is here; all processes must see it",
    )
    add("--save-every", type=positive, default=5, metavar="N", help="steps a checkpoint; default 5")
    add("--check", action="store_true", help="compute all again on one device, and compare")
    add("--json", type=Path, metavar="FILE", help="write what was measured here")
    add("--explain", action="store_true", help="show what jax.vmap makes of the function, and end")
    add("--verbose", action="store_true", help="every process says what it does, and what JAX logs")
    return made


def parse(argv: list[str]) -> Arguments:
    """Read the command line; end with status 2 and one sentence about what cannot be meant."""
    made = parser()
    args = Arguments(**vars(made.parse_args(argv)))
    if args.process_id is not None and args.coordinator is None:
        made.error("argument --process-id: say also --coordinator HOST:PORT, where process 0 is")
    if args.process_id is not None and not 0 <= args.process_id < args.processes:
        made.error(
            f"argument --process-id: {args.process_id} is not one of 0 to {args.processes - 1};"
            f" --processes says how many there are"
        )
    shares = args.processes * (args.host_devices or 1)
    if args.batch % shares:
        made.error(
            f"argument --batch: {args.batch} examples cannot be dealt evenly to {shares} devices;"
            f" take a multiple of {shares}"
        )
    if args.json and not args.json.absolute().parent.is_dir():
        made.error(f"argument --json: there is no folder {args.json.parent} to write it in")
    if args.checkpoints and importlib.util.find_spec("orbax") is None:
        made.error("argument --checkpoints: this needs a package: pip install orbax-checkpoint")
    if args.explain and importlib.util.find_spec("vmapguide") is None:
        made.error("argument --explain: this needs this repository's package: pip install -e .")
    return args
