"""See what `jax.vmap` makes of your function, line by line of your own code."""

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
