"""Which parts of an input a TensorFlow/Keras prediction came from, how sure that answer is, and a picture of it.

Names are loaded when they are first used: `tf-attrib --help` need not wait for TensorFlow.
"""

import importlib

from ._version import __version__

_PUBLIC = {
    "attribution": ("Attribution", "load"),
    "attributor": ("Attributor",),
    "baselines": ("at_input", "black", "blur", "constant", "dataset", "gaussian", "several", "token", "uniform", "white",
                  "zeros"),
    "callback": ("AttributionCallback",),
    "differentiable": ("integrated_gradients",),
    "doctor.diagnose": ("diagnose",),
    "doctor.findings": ("Finding",),
    "doctor.misclassified": ("misclassified",),
    "doctor.numbers": ("check_attributions",),
    "doctor.saturation": ("saturation",),
    "errors": ("AttributionError", "MissingExtra"),
    "graph.load": ("load_model",),
    "inspection": ("Inspection", "inspect"),
    "log": ("log_attributions",),
    "methods": ("METHODS", "Ablation", "Conductance", "DeepLift", "DeepShap", "ExpectedGradients", "GradCam", "Gradient",
                "GradientTimesInput", "GuidedBackprop", "InteriorGradients", "IntegratedGradients", "InternalInfluence",
                "Occlusion", "SmoothGrad", "SmoothGradSquared", "VarGrad"),
    "overview.result": ("DataSummary",),
    "overview.summarise": ("summarise",),
    "positions": ("each_position",),
    "quadrature": ("Rule",),
    "result": ("Feature",),
    "rule_coverage": ("Coverage", "coverage"),
    "select": ("embeddings", "inputs", "layer", "logits", "output", "probability", "score", "softmax", "tensor"),
    "vocabularies": ("vocabulary",),
}
_HOMES = {name: module for module, names in _PUBLIC.items() for name in names}

# Loaded as they are: `ta.metrics.aopc`.
_PACKAGES = ("metrics",)

__all__ = ["__version__", *_HOMES, *_PACKAGES]


def __getattr__(name: str):
    if name in _PACKAGES:
        return importlib.import_module(f".{name}", __name__)
    if name not in _HOMES:
        raise AttributeError(f"module 'tf_attrib' has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted(__all__)
