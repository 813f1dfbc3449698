"""See what `jax.vmap` makes of your function, line by line of your own code.

What is public is imported when it is asked for. Pygments and pytest load modules of this package by
themselves, to colour a listing or to know of an option: they do not wait for JAX.
"""

import importlib
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from vmapguide._benchmark import Benchmark as Benchmark
    from vmapguide._benchmark import benchmark as benchmark
    from vmapguide._check import Check as Check
    from vmapguide._check import check as check
    from vmapguide._compare import Comparison as Comparison
    from vmapguide._compare import Side as Side
    from vmapguide._compare import compare as compare
    from vmapguide._cost import Cost as Cost
    from vmapguide._cost import cost as cost
    from vmapguide._data import Block as Block
    from vmapguide._data import Choice as Choice
    from vmapguide._data import CostStep as CostStep
    from vmapguide._data import Finding as Finding
    from vmapguide._data import LeafResult as LeafResult
    from vmapguide._data import Loop as Loop
    from vmapguide._data import Sharded as Sharded
    from vmapguide._data import Source as Source
    from vmapguide._data import Work as Work
    from vmapguide._data import XlaCost as XlaCost
    from vmapguide._diagram import Diagram as Diagram
    from vmapguide._diagram import diagram as diagram
    from vmapguide._explain import explain as explain
    from vmapguide._explanation import Explanation as Explanation
    from vmapguide._findings import findings as findings
    from vmapguide._ipython import load_ipython_extension as load_ipython_extension
    from vmapguide._listing import Listing as Listing
    from vmapguide._listing import listing as listing
    from vmapguide._measure.causes.evidence import Reason as Reason
    from vmapguide._measure.causes.evidence import ReasonCode as ReasonCode
    from vmapguide._measure.timing import Timing as Timing
    from vmapguide._trace.steps import Step as Step
    from vmapguide._trace.steps import Variant as Variant
    from vmapguide._vmap import Vmapped as Vmapped
    from vmapguide._vmap import vmap as vmap


__version__ = "0.1.0.dev0"

# The same once more: where each public name is.
_PLACES = {
    "Benchmark": "vmapguide._benchmark",
    "benchmark": "vmapguide._benchmark",
    "Check": "vmapguide._check",
    "check": "vmapguide._check",
    "Comparison": "vmapguide._compare",
    "Side": "vmapguide._compare",
    "compare": "vmapguide._compare",
    "Cost": "vmapguide._cost",
    "cost": "vmapguide._cost",
    "Block": "vmapguide._data",
    "Choice": "vmapguide._data",
    "CostStep": "vmapguide._data",
    "Finding": "vmapguide._data",
    "LeafResult": "vmapguide._data",
    "Loop": "vmapguide._data",
    "Sharded": "vmapguide._data",
    "Source": "vmapguide._data",
    "Work": "vmapguide._data",
    "XlaCost": "vmapguide._data",
    "Diagram": "vmapguide._diagram",
    "diagram": "vmapguide._diagram",
    "explain": "vmapguide._explain",
    "Explanation": "vmapguide._explanation",
    "findings": "vmapguide._findings",
    "load_ipython_extension": "vmapguide._ipython",
    "Listing": "vmapguide._listing",
    "listing": "vmapguide._listing",
    "Reason": "vmapguide._measure.causes.evidence",
    "ReasonCode": "vmapguide._measure.causes.evidence",
    "Timing": "vmapguide._measure.timing",
    "Step": "vmapguide._trace.steps",
    "Variant": "vmapguide._trace.steps",
    "Vmapped": "vmapguide._vmap",
    "vmap": "vmapguide._vmap",
}


def _public(name: str) -> Any:
    """Return what is public under a name, and keep it."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_PLACES[name]), name)
    return value


# A checker of types is to complain of names that there are not.
if not TYPE_CHECKING:
    __getattr__ = _public


def __dir__() -> list[str]:
    """Return the public names, whether they have been asked for or not."""
    return sorted({*_PLACES, *(name for name in globals() if name.startswith("__"))})
