"""See what `jax.vmap` makes of your function, line by line of your own code."""

from vmapguide._cost_data import Choice as Choice
from vmapguide._cost_data import CostStep as CostStep
from vmapguide._cost_data import Loop as Loop
from vmapguide._cost_data import Work as Work
from vmapguide._cost_data import XlaCost as XlaCost
from vmapguide._numbers import LeafResult as LeafResult
from vmapguide._program import Source as Source
from vmapguide._reasons import Reason as Reason
from vmapguide._steps import Step as Step
from vmapguide._steps import Variant as Variant
from vmapguide._timing import Timing as Timing
from vmapguide.benchmark import Benchmark as Benchmark
from vmapguide.benchmark import benchmark as benchmark
from vmapguide.check import Check as Check
from vmapguide.check import check as check
from vmapguide.compare import Comparison as Comparison
from vmapguide.compare import Side as Side
from vmapguide.compare import compare as compare
from vmapguide.cost import Cost as Cost
from vmapguide.cost import cost as cost
from vmapguide.diagram import Block as Block
from vmapguide.diagram import Diagram as Diagram
from vmapguide.diagram import diagram as diagram
from vmapguide.explain import Explanation as Explanation
from vmapguide.explain import explain as explain
from vmapguide.listing import Listing as Listing
from vmapguide.listing import listing as listing


__version__ = "0.1.0.dev0"
