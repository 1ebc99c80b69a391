"""Attributions as an endpoint gave them: an Attribution of the API for each explained output of an instance."""

import sys
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..common.errors import AttributionError
from ..common.nested import flatten
from .features import Feature
from .metadata import BAGS


def feature_values(features: Iterable[Feature], leaves: Iterable[np.ndarray], whole: bool) -> dict[str, Any]:
    """`featureAttributions` of one example.

    Args:
        leaves: what is attributed to each feature, in the order of `features`, in the shape of its tensor.
        whole: whether a feature that is a whole tensor has one number, as of sampled Shapley, and not one for each place. Where
            it has one place, it is in the shape of the tensor.
    """
    found: dict[str, Any] = {}
    for feature, leaf in zip(features, leaves, strict=True):
        metadata, values = feature.metadata, np.asarray(leaf, np.float64)
        if metadata.group_name is not None:
            found[metadata.group_name] = found.get(metadata.group_name, 0.0) + float(values.sum())
        elif metadata.encoding in BAGS:
            found |= dict(zip(metadata.index_feature_mapping, _by_place(feature, values), strict=True))
        elif metadata.encoding == "CONCAT_EMBEDDING":
            found[metadata.name] = (values.sum(-1) if feature.encoded else values).tolist()
        elif metadata.encoding == "COMBINED_EMBEDDING" or (whole and values.size > 1):
            found[metadata.name] = float(values.sum())
        else:
            found[metadata.name] = values.tolist()
    return found


def _by_place(feature: Feature, values: np.ndarray) -> list[float]:
    names = feature.metadata.index_feature_mapping
    if values.ndim < 1 or len(values) != len(names):
        raise AttributionError(
            f"{feature.metadata.where}: index_feature_mapping has {len(names)} names, and the tensor has {values.shape} places"
        )
    return values.reshape(len(names), -1).sum(1).tolist()


def region_map(result: Any, example: int) -> np.ndarray:
    """(height, width), of XRAI the mean attribution of the region of each pixel: its sum is that of the attributions."""
    values = result.region_values[example]
    return np.append(values, np.nan)[result.regions[example] - 1]


def approximation_error(result: Any, example: int) -> float | None:
    """The estimated error of the attributions relative to their size, where the method states one; else by how much their sum
    misses the difference of the outputs, as a part of it. None where it is not known."""
    if result.error_estimate is not None and np.isfinite(result.error_estimate[example]):
        return float(result.error_estimate[example])
    if result.error_estimate is not None or result.gap is None:
        return None
    relative = result.relative_gap[example]
    size = max(float(result.magnitudes[example]), sys.float_info.min)
    return abs(float(relative)) if np.isfinite(relative) else min(abs(float(result.gap[example])) / size, 1.0)


def details(result: Any, example: int, features: tuple[Feature, ...], whole: bool) -> dict[str, Any]:
    """What this library knows of an attribution beyond the fields of the API."""
    found: dict[str, Any] = {"method": result.method, "baseline": result.baseline}
    if result.status is not None:
        found["status"] = str(result.status[example])
    if result.gap is not None:
        found["gap"] = float(result.gap[example])
    for name, key in (("evaluations", "gradientEvaluations"), ("forward_evaluations", "forwardEvaluations")):
        if getattr(result, name) is not None:
            found[key] = int(getattr(result, name)[example])
    if result.standard_error is not None:
        errors = [leaf[example] for leaf in flatten(result.standard_error).values()]
        if all(np.isfinite(one).all() for one in errors):
            found["standardErrors"] = feature_values(features, errors, whole)
    if result.notes:
        found["notes"] = list(result.notes)
    return found


def display_name(mapping: Any, index: tuple[int, ...], where: str) -> str:
    """The name of an output, from nested lists in its shape.

    Raises:
        AttributionError: the lists are of another shape, or no strings.
    """
    found = mapping
    for number in index or (0,) * isinstance(mapping, list):
        if not isinstance(found, list) or number >= len(found):
            raise AttributionError(f"{where} has no name for the output at {list(index)}: it must be nested lists in its shape")
        found = found[number]
    if not isinstance(found, str):
        raise AttributionError(f"{where} must hold a string for the output at {list(index)}; got {found!r:.80}")
    return found
