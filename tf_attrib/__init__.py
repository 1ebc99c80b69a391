"""Which parts of an input a TensorFlow/Keras prediction came from, how sure that answer is, and a picture of it."""

from ._version import __version__
from .attribution import Attribution, Feature
from .attributor import Attributor
from .baselines import at_input, black, blur, constant, dataset, gaussian, several, token, uniform, white, zeros
from .errors import AttributionError, MissingExtra
from .methods import (
    METHODS,
    ExpectedGradients,
    Gradient,
    GradientTimesInput,
    IntegratedGradients,
    InteriorGradients,
    Occlusion,
)
from .quadrature import Rule
from .select import embeddings, inputs, layer, logits, output, probability, score, softmax


load = Attribution.load
