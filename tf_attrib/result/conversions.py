"""Results as other libraries have them: plain Python, pandas, xarray, shap. Each of these is imported when it is asked for."""

import dataclasses
from typing import Any

import numpy as np

from ..common.errors import AttributionError, missing_extra
from ..common.nested import flatten, rebuild
from ..common.types import present
from .columns import STANDARD_ERROR, columns
from .result import PER_EXAMPLE, Result

STRUCTURED = ("attributions", "positive", "inputs", STANDARD_ERROR)
# What is left of a score beyond this share of its difference gets a column of its own, so that columns add up to the score.
SHORT = 0.01
NOT_ATTRIBUTED = "(not attributed)"
# The second axis of what each example has several of.
INNER = {"baseline_scores": "baseline", "baseline_confidence": "baseline"}
INNER |= dict.fromkeys(("top_classes", "top_scores"), "rank")
INNER |= dict.fromkeys(("alphas", "path_scores", "path_gradients"), "step")


def to_dict(result: Result) -> dict[str, Any]:
    """Every field in plain Python: lists, dicts, numbers, text. What is not finite is None, as JSON has no word for it."""
    found = {}
    for field in dataclasses.fields(result):
        value = getattr(result, field.name)
        if field.name in STRUCTURED and value is not None:
            leaves = {
                key if key is None or isinstance(key, int) else str(key): _plain(leaf) for key, leaf in flatten(value).items()
            }
            found[field.name] = rebuild(leaves)
        else:
            found[field.name] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return None if isinstance(value, float) and not np.isfinite(value) else value


def to_dataframe(result: Result, long: bool = False, categories: bool = False) -> Any:
    """A pandas DataFrame with a row for each example and a column for each feature.

    Args:
        long: a row for each example and feature instead, with the columns example, feature, value (of the input), attribution,
            and standard_error where the result has it.
        categories: whether each category of an encoded column is a feature of its own.

    Raises:
        MissingExtra: pandas is not installed.
        AttributionError: interior gradients.
    """
    try:
        import pandas
    except ImportError:
        raise missing_extra("pandas", "pandas", "to_dataframe") from None
    table = columns(result, categories)
    if not long:
        return pandas.DataFrame(table.attributions, columns=list(table.names))
    count, width = table.attributions.shape
    found = {
        "example": np.repeat(np.arange(count), width),
        "feature": np.tile(np.asarray(table.names, object), count),
        "value": table.values.ravel(),
        "attribution": table.attributions.ravel(),
    }
    if table.errors is not None:
        found["standard_error"] = table.errors.ravel()
    return pandas.DataFrame(found)


def to_xarray(result: Result) -> Any:
    """An `xarray.Dataset`: attributions, inputs, scores and all else that there is one of for each example, with dimensions
    and the names of columns and categories as coordinates; words are attributes.

    Of several tensors each is a variable "attributions:key".

    Raises:
        MissingExtra: xarray is not installed.
    """
    try:
        import xarray
    except ImportError:
        raise missing_extra("xarray", "xarray", "to_xarray") from None
    found, coordinates = {}, {}
    shapes = {key: np.shape(leaf) for key, leaf in flatten(result.attributions).items()}
    for name in STRUCTURED:
        value = getattr(result, name, None)
        for key, leaf in ({} if value is None else flatten(value)).items():
            same = shapes.get(key) == np.shape(leaf)
            dimensions = _dimensions(key, np.ndim(leaf), result.steps and same, "" if same else "input_")
            found[name if key is None else f"{name}:{key}"] = dimensions, np.asarray(leaf)
            names = result.names_of(key) or result.categories.get("" if key is None else str(key), ())
            if same and np.ndim(leaf) > 1 and len(names) == np.shape(leaf)[-1]:
                coordinates[dimensions[-1]] = list(names)
    for name in PER_EXAMPLE:
        if name != "regions" and (value := getattr(result, name)) is not None:
            found[name] = ("example", *([INNER.get(name, f"{name}_axis")] if value.ndim == 2 else [])), value
    if result.regions is not None:
        found["regions"] = _dimensions(next(iter(shapes)), result.regions.ndim, False, ""), result.regions
    texts = {field.name: getattr(result, field.name) for field in dataclasses.fields(result) if field.type is str}
    return xarray.Dataset(found, coordinates, texts | {"notes": list(result.notes), "left_out": list(result.left_out)})


def _dimensions(key: Any, rank: int, steps: bool, kind: str) -> tuple[str, ...]:
    """Names of the axes of a tensor: example, step, and feature or axis_1, axis_2, ..."""
    inner, prefix = rank - 1 - bool(steps), kind if key is None else f"{key}:{kind}"
    own = [f"{prefix}feature"] if inner == 1 else [f"{prefix}axis_{number + 1}" for number in range(inner)]
    return ("example", *(["step"] if steps else []), *own)


def to_shap(result: Result) -> Any:
    """A `shap.Explanation` for the plots of shap: `shap.plots.waterfall(result.to_shap()[0])`.

    Tables (several tensors too) have one feature for each column, and its value beside it; words one for each position;
    one image or signal keeps its shape. Where the attributions miss more than 1% of the difference of scores of some example,
    a feature "(not attributed)" of tables holds what they miss, as shap's plots take their sum for the score.

    Raises:
        MissingExtra: shap is not installed.
        AttributionError: attributions that are no parts of a score that begin at a baseline's; no examples.
    """
    if result.kind not in ("contribution", "") or result.baseline_scores is None or result.steps:
        raise AttributionError(
            "to_shap needs attributions that add up from the score at a baseline to the score, such as those of integrated "
            f"gradients or DeepLIFT; got {result.method} ({result.kind or 'of no kind'})"
        )
    try:
        import shap
    except ImportError:
        raise missing_extra("shap", "shap", "to_shap") from None
    if not len(result):
        raise AttributionError("the result has no examples: there is nothing for shap to explain")
    base = result.scores - present(result.difference)
    leaves = flatten(result.attributions)
    if len(leaves) == 1 and result.place != "encoded" and (only := np.asarray(next(iter(leaves.values())))).ndim > 2:
        return _of_one_tensor(shap, result, only, base)
    if len(leaves) == 1 and result.tokens is not None and (only := np.asarray(next(iter(leaves.values())))).ndim == 2:
        return shap.Explanation(only.astype(np.float64), base, np.asarray(result.tokens))
    table = columns(result)
    values, data, names = table.attributions, table.values, list(table.names)
    missed = result.scores - base - values.sum(1)
    if result.gap is not None and (np.abs(missed) > SHORT * np.abs(result.scores - base)).any():
        values, names = np.column_stack([values, missed]), [*names, NOT_ATTRIBUTED]
        data = np.column_stack([data, np.full(len(result), None, object)])
    numeric = all(isinstance(value, int | float) or value is None for value in data.ravel())
    data = np.array([[np.nan if value is None else value for value in row] for row in data], float if numeric else object)
    return shap.Explanation(values, base, data, feature_names=names)


def _of_one_tensor(shap: Any, result: Result, values: np.ndarray, base: np.ndarray) -> Any:
    """Of words, whose embeddings are summed over their dimensions; of an image or a signal as it is."""
    if result.tokens is not None and np.shape(result.tokens) == values.shape[:2]:
        return shap.Explanation(values.sum(-1, dtype=np.float64), base, np.asarray(result.tokens))
    inputs = list(flatten(result.inputs).values()) if result.inputs is not None else []
    fitting = [np.asarray(leaf) for leaf in inputs if np.shape(leaf) == values.shape]
    words = [np.asarray(leaf) for leaf in inputs if np.shape(leaf) == values.shape[:2] and np.asarray(leaf).dtype.kind in "iu"]
    if not fitting and len(words) == len(inputs) == 1:
        return shap.Explanation(values.sum(-1, dtype=np.float64), base, words[0])
    return shap.Explanation(values.astype(np.float64), base, fitting[0] if len(fitting) == 1 else None)
