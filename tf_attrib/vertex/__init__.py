"""Explanations as Vertex Explainable AI was configured to give them: its metadata and parameters read, its responses written.

`ta.Attributor.from_explanation_metadata(saved_model_dir)` gives an `Explainer`; `ta.vertex.load_metadata(path)` reads the
configuration alone.
"""

from .explainer import Explainer
from .metadata import InputMetadata, OutputMetadata
from .parameters import ExplanationParameters
from .specification import ExplanationSpec, load_metadata

__all__ = ["Explainer", "ExplanationParameters", "ExplanationSpec", "InputMetadata", "OutputMetadata", "load_metadata"]
