"""The numbers by which attributions are judged and methods compared: `ta.metrics`."""

from .compare import compare
from .comparison import Comparison
from .fidelity import Aopc, aopc, deletion, insertion
from .infidelity import infidelity
from .metric import Curves, Metric
from .perturbations import Gaussian, NoisyBaseline, Squares
from .pointing import pointing
from .randomisation import Randomisation, randomisation
from .sensitivity import max_sensitivity
from .sparseness import sparseness

__all__ = [
    "Aopc",
    "Comparison",
    "Curves",
    "Gaussian",
    "Metric",
    "NoisyBaseline",
    "Randomisation",
    "Squares",
    "aopc",
    "compare",
    "deletion",
    "infidelity",
    "insertion",
    "max_sensitivity",
    "pointing",
    "randomisation",
    "sparseness",
]
