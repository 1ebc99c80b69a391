"""A Keras model file opened with the library that wrote it: `.keras` or `.h5`, of Keras 3 or of tf_keras."""

import json
import os
import zipfile
from pathlib import Path
from typing import Any

from ..errors import AttributionError, missing_extra


def load_model(path: str | os.PathLike, allow_unsafe: bool = False) -> Any:
    """The model in a `.keras` or `.h5` file.

    Keras 3 cannot read a tf_keras `.keras` file and misreads its `.h5`, so the file is asked first which one wrote it.

    Args:
        path: the file.
        allow_unsafe: load Lambda layers, which run Python code that the file brings along.

    Raises:
        AttributionError: no such file, not a model, truncated, or with a Lambda layer.
    """
    path = Path(path)
    if not path.exists():
        raise AttributionError(f"there is no model at {str(path)!r}")
    if path.is_dir():
        raise AttributionError(f"{str(path)!r} is a folder; a model file ends in .keras or .h5; a SavedModel is read by "
                               "Attributor(path)")
    config, version = _read_config(path)
    lambdas = list(_lambda_layers(config))
    if lambdas and not allow_unsafe:
        raise AttributionError(f"{str(path)!r} holds the Lambda layer {lambdas[0]!r}, Python code that would run here; "
                               "if you trust the file: Attributor(path, allow_unsafe=True), or --allow-unsafe")
    load = _loader(version)
    options = {"safe_mode": not allow_unsafe}
    try:
        try:
            return load(path, **options)
        except Exception:  # a loss or metric of the author's own: not needed to explain the outputs
            return load(path, compile=False, **options)
    except Exception as error:
        raise AttributionError(f"{str(path)!r} could not be loaded as a Keras model: {_first_line(error)}; a model of classes "
                               "of your own: load it yourself, and give Attributor the model") from error


def _read_config(path: Path) -> tuple[Any, str]:
    """The model's configuration and the version of the Keras that wrote it."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                metadata = json.loads(archive.read("metadata.json"))
                return json.loads(archive.read("config.json")), str(metadata.get("keras_version", "3"))
        import h5py  # a dependency of Keras

        with h5py.File(path, "r") as file:
            if "model_config" not in file.attrs:
                raise AttributionError(f"{str(path)!r} holds weights without a model; save with model.save()")
            return json.loads(file.attrs["model_config"]), str(file.attrs.get("keras_version", "2"))
    except AttributionError:
        raise
    except Exception as error:
        raise AttributionError(f"{str(path)!r} is not a readable Keras model file (.keras or .h5), or is truncated: "
                               f"{_first_line(error)}") from error


def _lambda_layers(config: Any):
    """Names of Lambda layers anywhere in a configuration."""
    if isinstance(config, dict):
        if config.get("class_name") == "Lambda":
            yield (config.get("config") or {}).get("name", "lambda")
        config = list(config.values())
    if isinstance(config, list):
        for part in config:
            yield from _lambda_layers(part)


def _loader(version: str):
    if version.startswith("3"):
        import keras

        return keras.models.load_model
    try:
        import tf_keras
    except ImportError:
        raise missing_extra("tf_keras", "tf_keras", f"a model written by Keras {version}") from None
    return tf_keras.models.load_model


def _first_line(error: Exception) -> str:
    lines = (str(error).strip() or type(error).__name__).splitlines()
    # Keras says first that something failed, and further down which class it does not know
    unknown = next((line for line in lines if "Could not locate" in line or "Unknown layer" in line), None)
    return (unknown or lines[0])[:300]
