"""Start the processes of a run on this machine, and end them all when one ends badly.

JAX ends a process that has lost the others with a signal and a page of its own messages; here is
who says in one sentence what happened. JAX is not imported here.
"""

from __future__ import annotations

import dataclasses
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import IO

import folder
from arguments import Arguments
from errors import RunError


WORKER = Path(__file__).with_name("worker.py")
EXPLAINED = 4  # As in worker.py.
LINES_KEPT = 40
SECONDS_FOR_A_BETTER_REASON = 2.0
INNOCENT = "[Gloo]"  # The library of collectives greets each of its peers.


class Process:
    """A worker that was started, and what it printed."""

    def __init__(self, number: int, argv: list[str], *, verbose: bool) -> None:
        """Start it."""
        self.number, self.verbose = number, verbose
        self.errors: deque[str] = deque(maxlen=LINES_KEPT)
        self.popen = subprocess.Popen(
            [sys.executable, str(WORKER), *argv],
            stdin=subprocess.PIPE,  # It ends when this closes.
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
        self.threads = [
            threading.Thread(target=self._pass_on, args=[self.popen.stdout], daemon=True),
            threading.Thread(target=self._keep, args=[self.popen.stderr], daemon=True),
        ]
        for thread in self.threads:
            thread.start()

    def _pass_on(self, stream: IO[str]) -> None:
        for line in stream:
            if self.verbose or not line.startswith(INNOCENT):
                sys.stdout.write(line)
                sys.stdout.flush()

    def _keep(self, stream: IO[str]) -> None:
        for line in stream:
            self.errors.append(line.rstrip())
            if self.verbose:
                sys.stderr.write(f"[{self.number}] {line}")
                sys.stderr.flush()

    @property
    def status(self) -> int | None:
        """Its exit status, negative for a signal, or None while it runs."""
        return self.popen.poll()

    def end(self) -> None:
        """End it, if it runs, and read what it has still to say."""
        self.popen.kill()
        self.popen.wait()
        for thread in self.threads:
            thread.join(timeout=5)


def free_port() -> int:
    """Return a port of this machine that nobody uses now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def can_be_reached(args: Arguments) -> None:
    """See that process 0 can listen, or that it listens; raise RunError if not."""
    host, port = args.address
    if not args.process_id:
        listener = socket.socket()
        # As gRPC does; a port that was used a moment ago is free.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1" if host in ("127.0.0.1", "localhost") else "", port))
        except OSError as error:
            raise RunError(
                f"argument --coordinator: port {port} cannot be listened at ({error.strerror});"
                f" choose another"
            ) from None
        finally:
            listener.close()
        return
    until = time.monotonic() + args.wait
    while True:
        try:
            socket.create_connection((host, port), timeout=1).close()
        except OSError as error:
            if time.monotonic() > until:
                raise RunError(
                    f"argument --coordinator: nobody has answered at {args.coordinator} for"
                    f" {args.wait} s ({error.strerror or error}); start process 0 there, or name"
                    f" where it is"
                ) from None
            time.sleep(0.2)
        else:
            return


def supervise(args: Arguments, argv: list[str]) -> None:
    """Start this machine's processes and wait for them; raise RunError if one ends badly."""
    if args.coordinator is None:
        args = dataclasses.replace(args, coordinator=f"127.0.0.1:{free_port()}")
    can_be_reached(args)
    numbers = range(args.processes) if args.process_id is None else [args.process_id]
    devices = ["--devices", str(args.host_devices)] if args.host_devices else []
    common = [*argv, "--coordinator", str(args.coordinator), *devices]
    processes: list[Process] = []
    try:
        for number in numbers:
            own = [*common, "--process-id", str(number)]
            processes.append(Process(number, own, verbose=args.verbose))
        while any(process.status is None for process in processes):
            if any(process.status for process in processes):
                _wait_for_reason(processes)
                break
            time.sleep(0.05)
    finally:
        # Those that still run did nothing wrong: what they say of this end does not count.
        left = {process for process in processes if process.status is None}
        for process in processes:
            process.end()
    failed = [process for process in processes if process not in left and process.status]
    if failed:
        raise RunError(_sentence(min(failed, key=_rank), args))


def _rank(process: Process) -> int:
    """Order ends by how near they are to the cause."""
    if process.status == EXPLAINED:
        return 0
    if process.status == -signal.SIGABRT:
        return 3  # JAX's, for the end of another.
    return 1 if process.status and process.status < 0 else 2


def _wait_for_reason(processes: list[Process]) -> None:
    """Wait a little for who ended first, if those that have ended did so for another's end."""
    until = time.monotonic() + SECONDS_FOR_A_BETTER_REASON
    while time.monotonic() < until and any(process.status is None for process in processes):
        if any(process.status and _rank(process) <= 1 for process in processes):
            return
        time.sleep(0.05)


def _sentence(process: Process, args: Arguments) -> str:
    """Say in one sentence how a process ended and what can be done."""
    own = [line for line in process.errors if line.startswith("run.py: error: ")]
    if process.status == EXPLAINED and own:
        return own[-1].removeprefix("run.py: error: ")
    status = process.status or 0
    who = f"process {process.number} of {args.processes}"
    if status == -signal.SIGABRT:
        what = (
            f"{who} has lost another one, which ended or gave no sign of life for {args.timeout} s"
            f" (--timeout), and JAX ended it"
        )
    elif status < 0:
        what = f"{who} was ended by signal {-status} ({signal.Signals(-status).name})"
    else:
        print("\n".join(process.errors), file=sys.stderr)
        what = f"{who} ended with status {status}; what it said is above"
    if args.checkpoints is None:
        return f"{what}; start again, with --checkpoints FOLDER to lose less next time"
    done = folder.last(args.checkpoints)
    return f"{what}; start again with the same command: the run goes on after step {done}"
