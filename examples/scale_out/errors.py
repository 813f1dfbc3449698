"""The one error of this program: a sentence for its user."""


class RunError(Exception):
    """What ends a run, said in one sentence that names the argument and the remedy."""
