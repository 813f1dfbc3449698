"""Apply one per-example function on one device, on many, and in many processes.

`python run.py --help` says how; README.md says more.
"""

import signal
import sys
from types import FrameType

import arguments
import folder
import supervisor
from arguments import Arguments
from errors import RunError


def explain(args: Arguments) -> None:
    """Print what jax.vmap makes of the per-example function."""
    import data
    import model

    import vmapguide

    parameters = model.initial_state(args.seed)["parameters"]
    x, y = data.load(args.seed, 1, range(args.batch))
    print(vmapguide.explain(model.example_gradient, in_axes=(None, 0, 0))(parameters, x, y))


def main(argv: list[str]) -> int:
    """Do what the command line says, and return the exit status."""
    args = arguments.parse(argv)

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    try:
        if args.explain:
            explain(args)
            return 0
        if args.checkpoints:
            folder.prepare(args.checkpoints, args)
        if args.processes > 1 or args.coordinator:
            supervisor.supervise(args, argv)
        else:
            from worker import work

            work(args)
    except RunError as error:
        print(f"run.py: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        done = folder.last(args.checkpoints)
        print(f"run.py: stopped; the last completed step is {done}", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
