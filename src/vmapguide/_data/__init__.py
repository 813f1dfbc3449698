"""Plain data that layers hand to each other: types (printed as `f32[2,5]`), programs, lines, costs.

Nothing here knows JAX. Start with `Program`, which is a jaxpr as data; `Source` is a piece of the
user's code, `CostStep` what an equation costs, and `Finding` what a rule found. Fields hold facts,
never layout: whether a parameter is at its default is a fact, whether to hide it is for `_show` to
choose.
"""

from vmapguide._data.annotated import AnnotatedFunction as AnnotatedFunction
from vmapguide._data.annotated import AnnotatedLine as AnnotatedLine
from vmapguide._data.costs import Choice as Choice
from vmapguide._data.costs import CostStep as CostStep
from vmapguide._data.costs import Gap as Gap
from vmapguide._data.costs import GapCode as GapCode
from vmapguide._data.costs import Loop as Loop
from vmapguide._data.costs import Work as Work
from vmapguide._data.costs import XlaCost as XlaCost
from vmapguide._data.findings import Bytes as Bytes
from vmapguide._data.findings import Finding as Finding
from vmapguide._data.findings import Limits as Limits
from vmapguide._data.findings import Rule as Rule
from vmapguide._data.findings import Severity as Severity
from vmapguide._data.findings import page_of as page_of
from vmapguide._data.kinds import WEIGHTS as WEIGHTS
from vmapguide._data.kinds import Kind as Kind
from vmapguide._data.programs import Equation as Equation
from vmapguide._data.programs import Literal as Literal
from vmapguide._data.programs import Pair as Pair
from vmapguide._data.programs import Param as Param
from vmapguide._data.programs import Program as Program
from vmapguide._data.programs import Relation as Relation
from vmapguide._data.programs import Type as Type
from vmapguide._data.programs import Variable as Variable
from vmapguide._data.sources import Source as Source
from vmapguide._data.values import Block as Block
from vmapguide._data.values import LeafResult as LeafResult
from vmapguide._data.values import Sharded as Sharded
