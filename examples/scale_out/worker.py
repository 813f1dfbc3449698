"""One process of a run: it joins the others, takes its part of every batch, and saves.

run.py calls it, or starts it as a program of its own where there is more than one process.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import statistics
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import arguments
import data
import folder
import jax
import model
import numpy as np
from arguments import Arguments
from errors import RunError
from jax import Array
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec


EXPLAINED = 4  # The status of a process that has said itself, in one sentence, why it ended.
TOLERANCE = 1e-4  # Sums over other numbers of devices add in another order.
SECONDS_BETWEEN_LINES = 5


def explained(sentence: object) -> None:
    """End this process at once, whatever its threads wait for, with one sentence."""
    sys.stdout.flush()
    print(f"run.py: error: {sentence}", file=sys.stderr, flush=True)
    os._exit(EXPLAINED)


@contextlib.contextmanager
def deadline(seconds: float, sentence: str) -> Iterator[None]:
    """End this process with a sentence if what is done within takes longer."""
    timer = threading.Timer(seconds, explained, [sentence])
    timer.daemon = True
    timer.start()
    yield
    timer.cancel()


def join(args: Arguments) -> None:
    """Choose this process's devices and, if there are others, meet them; raise no JAX error."""
    if args.host_devices:
        jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_num_cpu_devices", args.host_devices)
    if args.coordinator is None:
        return
    host, port = args.address
    here = f"{host}:{port}" if host in ("127.0.0.1", "localhost") else None
    sentence = (
        f"argument --wait: of {args.processes} processes, not all have come to"
        f" {args.coordinator} in {args.wait} s; start those that are missing, or wait longer"
    )
    with deadline(args.wait, sentence):
        jax.distributed.initialize(
            args.coordinator,
            args.processes,
            args.process_id,
            # JAX ends a process that has waited as long, but not with a sentence.
            initialization_timeout=args.wait + 10,
            heartbeat_timeout_seconds=args.timeout,
            shutdown_timeout_seconds=args.wait,
            # What is meant for this machine alone is not open to others.
            coordinator_bind_address=here,
            cluster_detection_method="deactivate",
        )
        jax.devices()


class Run:
    """A run's state on all devices of all processes, and what one process says of it."""

    def __init__(self, args: Arguments) -> None:
        """Make the mesh, and the state as it is before the first step."""
        self.args = args
        # By process: the rows of each follow one another.
        devices = sorted(jax.devices(), key=lambda device: (device.process_index, device.id))
        self.mesh = Mesh(np.asarray(devices), ("examples",))
        self.dealt = NamedSharding(self.mesh, PartitionSpec("examples"))
        self.everywhere = NamedSharding(self.mesh, PartitionSpec())
        if args.batch % jax.device_count():
            raise RunError(
                f"argument --batch: {args.batch} examples cannot be dealt evenly to"
                f" {jax.device_count()} devices; take a multiple of {jax.device_count()}"
            )
        self.compute = jax.jit(model.step, out_shardings=(self.everywhere, self.everywhere))
        self.state = jax.tree.map(self._copied, model.initial_state(args.seed))
        self.seconds: list[float] = []
        self.loss = float("nan")

    def _copied(self, leaf: Array) -> Array:
        copied: Array = jax.make_array_from_process_local_data(self.everywhere, np.asarray(leaf))
        return copied

    @property
    def rows(self) -> range:
        """The rows of a batch that lie on this process's devices."""
        indices = self.dealt.addressable_devices_indices_map((self.args.batch,)).values()
        slices = [index[0].indices(self.args.batch) for index in indices if index]
        return range(min(low for low, _, _ in slices), max(high for _, high, _ in slices))

    @property
    def speed(self) -> float | None:
        """Examples a second, of all processes together, in the usual step; the first compiles."""
        later = self.seconds[1:]
        return self.args.batch / statistics.median(later) if later else None

    def say(self, text: str, *, always: bool = True) -> None:
        """Print a line: process 0 for all; with --verbose, each for itself."""
        if self.args.verbose:
            print(f"[{jax.process_index()}] {text}", flush=True)
        elif always and jax.process_index() == 0:
            print(text, flush=True)

    def step(self, number: int) -> None:
        """Do one step."""
        started = time.perf_counter()
        local = data.load(self.args.seed, number, self.rows)
        x, y = (jax.make_array_from_process_local_data(self.dealt, part) for part in local)
        self.state, loss = self.compute(self.state, x, y)
        self.loss = float(loss)  # Waits for the devices.
        self.seconds.append(time.perf_counter() - started)

    def all_steps(self) -> None:
        """Do the steps that are not done; say one is completed when it cannot be lost any more."""
        args, spoken, saver = self.args, time.monotonic(), None
        done = self.last_saved()
        if args.checkpoints:
            import checkpoints  # Who saves nothing needs no Orbax.

            saver = checkpoints.manager(args.checkpoints)
        if saver and done:
            self.state = checkpoints.restore(saver, done, self.state)
            self.say(f"going on after step {done}")
        for number in range(done + 1, args.steps + 1):
            self.say(f"step {number}: computing", always=False)
            self.step(number)
            at = f"of {args.steps}, loss {self.loss:.4f}"
            at += f", {self.speed:,.0f} examples/s" if self.speed else ""
            if saver and (number % args.save_every == 0 or number == args.steps):
                self.say(f"step {number}: saving", always=False)
                checkpoints.save(saver, number, self.state)
                self.say(f"step {number}: saved", always=False)
                self.say(f"step {number} {at}: completed, saved")
            elif time.monotonic() - spoken < SECONDS_BETWEEN_LINES and number < args.steps:
                continue
            else:
                self.say(f"step {number} {at}: {'not yet saved' if saver else 'completed'}")
            spoken = time.monotonic()

    def last_saved(self) -> int:
        """Return the step after which to go on; raise RunError if not all see the same folder."""
        path = self.args.checkpoints
        done = folder.last(path)
        if path and jax.process_count() > 1:
            mine = np.array([done, folder.identity(path)])
            if (multihost_utils.process_allgather(mine) != mine).any():
                raise RunError(
                    f"argument --checkpoints: the processes see different folders at {path};"
                    f" name one on a disk that they share"
                )
        return done

    def check(self) -> None:
        """Do all steps again on one device of this process; raise RunError if they differ."""
        state, compute = model.initial_state(self.args.seed), jax.jit(model.step)
        for number in range(1, self.args.steps + 1):
            state, _ = compute(state, *data.load(self.args.seed, number, range(self.args.batch)))
        apart = jax.tree.map(
            lambda here, one: np.abs(here.addressable_data(0) - np.asarray(one)).max(),
            self.state,
            state,
        )
        largest = max(jax.tree.leaves(apart))
        if not largest <= TOLERANCE:
            raise RunError(
                f"--check: a parameter differs by {largest:.1e} from one device's, more than"
                f" {TOLERANCE:.0e}; the checkpoints may be of another program"
            )
        self.say(f"check: equal to one device, the largest difference is {largest:.1e}")

    def record(self) -> dict[str, Any]:
        """Return what was measured."""
        return {
            "processes": jax.process_count(),
            "devices": jax.device_count(),
            "device": jax.devices()[0].device_kind,
            "batch": self.args.batch,
            "steps": len(self.seconds),
            "loss": self.loss if self.seconds else None,
            "examples_per_second": round(self.speed) if self.speed else None,
        }


def work(args: Arguments) -> None:
    """Do one process's part of a run; raise RunError for what its user can mend."""
    if not args.verbose:
        # What Orbax logs of an error, it also raises.
        logging.getLogger("absl").setLevel(logging.CRITICAL)
    join(args)
    run = Run(args)
    run.say(
        f"process {jax.process_index()}: pid {os.getpid()}, {jax.local_device_count()} devices,"
        f" rows {run.rows.start} to {run.rows.stop - 1}",
        always=False,
    )
    run.say(
        f"{jax.process_count()} process{'es' if jax.process_count() > 1 else ''},"
        f" {jax.device_count()} device{'s' if jax.device_count() > 1 else ''}"
        f" ({jax.devices()[0].device_kind}), {args.batch} examples a step"
    )
    run.all_steps()
    if args.check:
        run.check()
    if args.json and jax.process_index() == 0:
        args.json.write_text(json.dumps(run.record(), indent=1) + "\n", "utf-8")
    jax.distributed.shutdown()


def ends_at_once(
    kind: type[BaseException], error: BaseException, where: TracebackType | None
) -> None:
    """End after an error of which nobody thought: not in peace, since the others wait for this."""
    traceback.print_exception(kind, error, where)
    os._exit(1)


def ends_with_its_parent() -> None:
    """End this process when the one that started it is gone: its end of standard input closes."""

    def wait() -> None:
        sys.stdin.read()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    ends_with_its_parent()
    sys.excepthook = ends_at_once
    try:
        work(arguments.parse(sys.argv[1:]))
    except RunError as error:
        explained(error)
