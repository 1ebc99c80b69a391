"""TensorFlow Model Analysis: attributions for those of its metrics that take some. Needs the extra `tfma`."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .attributor import Attributor
from .common.errors import AttributionError, missing_extra, nearest
from .datasets.engines.batch_attributor import BatchAttributor

try:
    import apache_beam  # pyright: ignore[reportMissingImports] (it runs where neither is installed)
    import tensorflow_model_analysis  # pyright: ignore[reportMissingImports] (of an extra)
except ImportError:
    raise missing_extra("tensorflow-model-analysis", "tfma", "tf_attrib.tfma") from None

STAGE = "ExtractAttributions"


def AttributionExtractor(
    path: str | os.PathLike | Attributor,
    features: Sequence[str] | None = None,
    *,
    model_name: str = "",
    output_name: str = "",
    on_error: str = "raise",
    **settings: Any,
) -> tensorflow_model_analysis.extractors.Extractor:
    """An extractor that adds "attributions" to extracts: for `TotalAttributions`, `MeanAbsoluteAttributions` and their kin.

        extractors = [FeaturesExtractor(config), AttributionExtractor("model.keras", ["age"]), UnbatchExtractor(), ...]

    It stands behind what reads features, and before what takes batches apart.

    Each number of a feature has an attribution of its own: "age", or "x/0", "x/1", ... of a feature of several. TFMA would take
    one that is an array for numbers by class, while these are all of one class: the predicted one, or `target`.

    Args:
        path: of a model, where every worker finds it; or an `Attributor` made from a path.
        features: which features are the model's inputs, in order; default: all, labels among them.
        model_name, output_name: under which TFMA looks for them, where it evaluates several models or outputs.
        on_error: "raise", or "mark": a row that cannot be attributed is NaN, and so is what TFMA sums over it.
        settings: others of `ta.BatchAttributor`.

    Raises:
        AttributionError: settings that cannot be.
    """
    attribute = Extracting(BatchAttributor(path, features, on_error=on_error, **settings), model_name, output_name)
    return tensorflow_model_analysis.extractors.Extractor(STAGE, apache_beam.Map(attribute))


class Extracting:
    """From a batch of extracts to the same with attributions."""

    def __init__(self, attribute: BatchAttributor, model_name: str, output_name: str) -> None:
        self._attribute, self._names = attribute, [name for name in (model_name, output_name) if name]

    def __call__(self, extracts: dict[str, Any]) -> dict[str, Any]:
        """A copy of the extracts.

        Raises:
            AttributionError: features that are missing, or are no arrays; or as `ta.BatchAttributor`.
        """
        given = extracts.get(tensorflow_model_analysis.FEATURES_KEY)
        if not isinstance(given, Mapping):
            raise AttributionError("extracts hold no features: put the AttributionExtractor behind the FeaturesExtractor")
        wanted = self._attribute.features or tuple(given)
        for name in wanted:
            if not isinstance(given.get(name), np.ndarray):
                came = type(given[name]).__name__ if name in given else f"none; there are: {nearest(name, given)}"
                raise AttributionError(f"the feature {name!r} must be an array, (batch, ...), got {came}")
        columns = {name: given[name] for name in wanted}
        if len(wanted) > 1:  # one number a row comes as (batch, 1), which may be a column of an input or an input
            columns = {name: one[:, 0] if one.shape[1:] == (1,) else one for name, one in columns.items()}
        found: Any = _by_feature(self._attribute(columns), wanted)
        for name in reversed(self._names):
            found = {name: found}
        return {**extracts, tensorflow_model_analysis.ATTRIBUTIONS_KEY: found}


def _by_feature(columns: dict[str, np.ndarray], names: Sequence[str]) -> dict[str, np.ndarray]:
    """(batch,) for each number of each feature."""
    found = {}
    for key, values in columns.items():
        if key.partition("/")[0] != "attributions":
            continue
        flat = values.reshape(len(values), -1)
        own = key.partition("/")[2] or (names[0] if len(names) == 1 else "")
        if not own and flat.shape[1] == len(names):  # columns side by side
            found |= {name: flat[:, place] for place, name in enumerate(names)}
        else:
            found |= {f"{own}/{place}" if flat.shape[1] > 1 else own: flat[:, place] for place in range(flat.shape[1])}
    return found
