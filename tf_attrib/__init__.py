"""Which parts of an input a TensorFlow/Keras prediction came from, how sure that answer is, and a picture of it.

Names are loaded when they are first used: `tf-attrib --help` need not wait for TensorFlow.
"""

import importlib
from typing import Any

from ._version import __version__

_PUBLIC = {
    "attribution": ("Attribution", "load"),
    "attributor": ("Attributor",),
    "common.errors": ("AttributionError", "MissingExtra"),
    "datasets.compare_runs": ("compare_runs",),
    "datasets.engines.batch_attributor": ("BatchAttributor",),
    "datasets.feature_permutation": ("feature_permutation",),
    "datasets.misclassified": ("misclassified",),
    "datasets.most_confident": ("most_confident",),
    "datasets.saturation": ("saturation",),
    "datasets.shards.folder": ("AttributionSet", "open"),
    "datasets.shards.run": ("attribute_dataset",),
    "datasets.summarise": ("summarise",),
    "datasets.summary": ("DataSummary",),
    "doctor.coverage": ("Coverage", "coverage"),
    "doctor.diagnose": ("diagnose",),
    "doctor.numbers.check": ("check_attributions",),
    "doctor.report": ("Finding",),
    "engine.integral.quadrature": ("Rule",),
    "engine.method": ("Method",),
    "generation.call": ("attribute_generation",),
    "generation.explained": ("GenerationAttribution",),
    "graph.saved.inspect": ("Inspection", "inspect"),
    "graph.saved.keras_file": ("load_model",),
    "graph.saved.vocabulary": ("vocabulary",),
    "methods": (
        "Ablation",
        "BlurIG",
        "Conductance",
        "Deconvolution",
        "DeepLift",
        "DeepShap",
        "ExpectedGradients",
        "GradCam",
        "GradCamPlusPlus",
        "Gradient",
        "GradientTimesInput",
        "GuidedBackprop",
        "GuidedGradCam",
        "GuidedIG",
        "IntegratedGradients",
        "InteriorGradients",
        "InternalInfluence",
        "KernelSHAP",
        "LIME",
        "LayerCam",
        "METHODS",
        "Occlusion",
        "RISE",
        "ScoreCam",
        "ShapleySampling",
        "SmoothGrad",
        "SmoothGradSquared",
        "VarGrad",
        "XRAI",
    ),
    "methods.segments": ("superpixels", "tiles"),
    "result.ranking": ("Feature",),
    "result.top_regions": ("top_regions",),
    "selection.at_and_of": (
        "embeddings",
        "inputs",
        "layer",
        "log_probability",
        "logits",
        "output",
        "probability",
        "score",
        "softmax",
        "tensor",
    ),
    "selection.baselines": (
        "Baseline",
        "at_input",
        "blur",
        "constant",
        "dataset",
        "gaussian",
        "several",
        "token",
        "typical",
        "uniform",
        "zeros",
    ),
    "selection.each_position": ("each_position",),
    "selection.levels": ("black", "white"),
    "selection.scores": ("box_score", "segmentation_score"),
    "selection.token_scores": ("token_score",),
    "training.callback": ("AttributionCallback",),
    "training.in_a_loss": ("integrated_gradients",),
    "training.tensorboard": ("log_attributions",),
    "view.grid": ("grid",),
}
_HOMES = {name: module for module, names in _PUBLIC.items() for name in names}

# Loaded as they are: `ta.metrics.aopc`, `ta.extend.METHODS`.
_PACKAGES = ("extend", "metrics", "vertex")

__all__ = ["__version__", *_HOMES, *_PACKAGES]  # pyright: ignore[reportUnsupportedDunderAll] (one list, the table above)


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return importlib.import_module(f".{name}", __name__)
    if name not in _HOMES:
        raise AttributeError(f"module 'tf_attrib' has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
