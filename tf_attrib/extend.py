"""What those who extend the library need beside `ta.Method`, `ta.Baseline` and `ta.Rule`; docs/extending.md has a recipe each.

Tables by name, `table["mine"] = entry`: METHODS, RULES (of quadrature), METRICS, FINDINGS, and by decorators `deeplift_rule`
(the rule of an operation) and `check` (a check of the doctor).
"""

from .doctor.case import Examination
from .doctor.catalogue import FINDINGS, finding
from .doctor.diagnose import check
from .doctor.entries import Entry
from .engine.integral import points
from .engine.integral.points import Points
from .engine.integral.quadrature import RULES, Rule, make_rule
from .engine.method import METHODS, Method
from .engine.row import GradientIntegrand, Row, RowFunction, per_row, per_row_sum
from .methods.deeplift.rules.added import deeplift_rule
from .methods.deeplift.rules.common import beside, pairs, partner, quotient, unbroadcast, varies
from .metrics.metric import Metric
from .metrics.table import METRICS
from .selection.baselines import Baseline
from .selection.score_function import ScoreFunction

__all__ = [
    "FINDINGS",
    "METHODS",
    "METRICS",
    "RULES",
    "Baseline",
    "Entry",
    "Examination",
    "GradientIntegrand",
    "Method",
    "Metric",
    "Points",
    "Row",
    "RowFunction",
    "Rule",
    "ScoreFunction",
    "beside",
    "check",
    "deeplift_rule",
    "finding",
    "make_rule",
    "pairs",
    "partner",
    "per_row",
    "per_row_sum",
    "points",
    "quotient",
    "unbroadcast",
    "varies",
]
