"""A model as a user gives it: an object, a function, or the path of one."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..common.errors import AttributionError
from ..graph.saved.exported import Exported, load_exported
from ..graph.saved.file import is_export
from ..graph.saved.keras_file import load_model
from ..graph.traced import keras_model


def as_model(model: Any, signature: str | None = None, allow_unsafe: bool = False) -> Callable | Exported:
    """What can be traced or called: what was given, or what is at the path that was given.

    Raises:
        AttributionError: it is no model, cannot be read, or holds what is not known to be harmless.
    """
    if isinstance(model, str | os.PathLike):
        exported = is_export(Path(model))
        model = load_exported(model, signature, allow_unsafe) if exported else load_model(model, allow_unsafe)
    if signature is not None and not isinstance(model, Exported):
        raise AttributionError(f"signature={signature!r} is for the path of a SavedModel; leave it out")
    owner: Any = getattr(model, "__self__", None)
    if keras_model.is_keras(owner):
        raise AttributionError(
            f"model is the method {getattr(model, '__name__', '')!r} of a Keras model: "
            f"give the model itself, ta.Attributor({owner.name})"
        )
    if not callable(model) and not isinstance(model, Exported):
        raise AttributionError(f"model must be a Keras model, a path to one, or a function; got {type(model).__name__}")
    return model


def check_ways(model: Callable | Exported, preprocess: Any, eager: Any, jit_compile: Any = False) -> None:
    """Raises AttributionError where the model cannot be preprocessed for, or called, in this way."""
    if preprocess is not None and not callable(preprocess):
        raise AttributionError(
            f"preprocess must be a function of the inputs, such as that of keras.applications; got {preprocess!r}"
        )
    if eager not in (None, True, False):
        raise AttributionError(f"eager must be None, True or False, got {eager!r}")
    if jit_compile not in (True, False):
        raise AttributionError(f"jit_compile must be True or False, got {jit_compile!r}")
    if eager and jit_compile:
        raise AttributionError("XLA compiles graphs, and eager=True asks for none: leave jit_compile or eager out")
    if eager and isinstance(model, Exported):
        raise AttributionError("eager=True is for Keras models and functions; what is exported is a graph: leave it out")
