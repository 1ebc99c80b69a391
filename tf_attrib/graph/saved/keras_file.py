"""A Keras model file opened with the library that wrote it: `.keras` or `.h5`, of Keras 3 or of tf_keras."""

import contextlib
import os
from pathlib import Path
from typing import Any

from ...common.errors import AttributionError, missing_extra, plain
from . import config as configuration
from . import sizes
from .container import Container, opened


def load_model(path: str | os.PathLike, allow_unsafe: bool = False) -> Any:
    """The model in a `.keras` or `.h5` file.

    Keras 3 cannot read a tf_keras `.keras` file and misreads its `.h5`, so the file is asked first which one wrote it. It is
    copied to where nobody else can change it, and what was checked there is what is loaded. Of how it was compiled the losses
    of Keras's own are kept, which may say what an output is, and no optimiser or metric.

    Args:
        path: the file.
        allow_unsafe: load what is not known to compute and do nothing else: Lambda layers, which run Python code that the file
            brings along, classes of others, functions, links and sizes.

    Raises:
        AttributionError: no such file, not a model, truncated, or with anything in it that is not known.
    """
    path = Path(path)
    shown = repr(plain(path))
    if not os.path.lexists(path):
        raise AttributionError(f"there is no model at {shown}")
    if path.is_dir():
        raise AttributionError(
            f"{shown} is a folder; a model file ends in .keras or .h5; a SavedModel is read by Attributor(path)"
        )
    try:
        with opened(path, allow_unsafe) as (container, folder):
            return _load(container, folder, allow_unsafe)
    except _Refused as error:
        raise AttributionError(
            f"{shown} {error}; if you trust the file: Attributor(path, allow_unsafe=True), or "
            "--allow-unsafe; or load it yourself, and give Attributor the model"
        ) from None
    except AttributionError as error:
        raise AttributionError(str(error) if str(error).startswith(shown) else f"{shown} {error}") from None
    except _Failed as error:
        raise AttributionError(
            f"{shown} could not be loaded as a Keras model: {error}; a model of classes of your own: "
            "load it yourself, and give Attributor the model"
        ) from None
    except Exception as error:
        raise AttributionError(
            f"{shown} is not a readable Keras model file (.keras or .h5), or is truncated: {_first_line(error)}"
        ) from None


class _Refused(Exception):
    """What a file holds is not known to be harmless; the message goes behind its name."""


class _Failed(Exception):
    """Keras could not load a file."""


def _load(container: Container, folder: Path, allow_unsafe: bool) -> Any:
    config = configuration.without_compilation(container.config)
    bound = contextlib.nullcontext()
    if not allow_unsafe:
        try:
            configuration.check(config)
            bound = sizes.bounded(container.stored_bytes(folder))
        except AttributionError as error:
            raise _Refused(str(error)) from None
    load = _loader(container.version)
    with container.for_loading(folder, config) as copy:
        try:
            with bound:
                model = load(copy, compile=False, safe_mode=not allow_unsafe)
        except AttributionError as error:
            raise _Refused(str(error)) from None
        except Exception as error:
            raise _Failed(_first_line(error)) from None
    _compile(model, container)
    return model


def _compile(model: Any, container: Container) -> None:
    """Gives a model the loss that it was saved with, where that is Keras's own."""
    compiled = (
        container.training
        if container.training is not None
        else (container.config.get("compile_config") if isinstance(container.config, dict) else None)
    )
    loss = compiled.get("loss") if isinstance(compiled, dict) else None
    if loss is None or not configuration.is_known_loss(loss):
        return
    with contextlib.suppress(Exception):  # explanations do not need it
        model.compile(loss=_made(_library(model).losses, loss))


def _made(losses: Any, loss: Any) -> Any:
    """Losses from their configuration, in the structure of the outputs."""
    if isinstance(loss, list):
        return [_made(losses, part) for part in loss]
    if isinstance(loss, dict) and "class_name" not in loss:
        return {name: _made(losses, part) for name, part in loss.items()}
    return losses.get(loss)


def _library(model: Any) -> Any:
    """The Keras that a model is of."""
    import importlib

    return importlib.import_module(type(model).__module__.partition(".")[0])


def _loader(version: str) -> Any:
    if version.startswith("3"):
        import keras

        return keras.models.load_model
    try:
        import tf_keras
    except ImportError:
        raise missing_extra("tf_keras", "tf_keras", f"a model written by Keras {plain(version, 40)}") from None
    return tf_keras.models.load_model


def _first_line(error: Exception) -> str:
    lines = (str(error).strip() or type(error).__name__).splitlines()
    # Keras says first that something failed, and further down which class it does not know
    unknown = next((line for line in lines if "Could not locate" in line or "Unknown layer" in line), None)
    return plain(unknown or lines[0], 300)
