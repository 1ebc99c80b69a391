"""Attributions reduced over feature axes, and what of a result stays true then."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from ..common.checks import is_whole
from ..common.errors import AttributionError
from ..common.nested import flatten, map_leaves
from ..common.types import present

# Of a result of any class; the class itself is made of these functions.
AnyResult: TypeAlias = Any


def reduced(
    result: AnyResult, reduce: Callable, axis: int | Sequence[int], scaled: bool = False, linear: bool = False
) -> AnyResult:
    """The result with its attributions reduced over feature axes by `reduce`, as its methods `sum`, `mean` and `norm` are.

    Args:
        scaled: whether an error shrinks with the number of features, as that of a mean does.
        linear: whether parts, such as the positive ones, may be reduced by themselves.
    """
    axes = _axes(axis)
    shares = [1.0]

    def apply(leaf: np.ndarray) -> np.ndarray:
        bad = [a for a in axes if not -leaf.ndim < a < leaf.ndim or a == 0]
        if bad:
            raise AttributionError(
                f"axis {bad[0]} of attributions of shape {leaf.shape}: feature axes are "
                f"1 to {leaf.ndim - 1} (or -1 to {1 - leaf.ndim}); axis 0 is the batch"
            )
        if len({a % leaf.ndim for a in axes}) < len(axes):
            raise AttributionError(f"axis {axes} names one axis of attributions of shape {leaf.shape} twice")
        shares.append(1 / np.prod([leaf.shape[a] for a in axes]))
        return reduce(leaf, axis=axes)

    leaves = list(flatten(result.attributions).values())
    reduced = map_leaves(apply, result.attributions)
    # a mean scales the error down with the sum; with several tensors by the least of them, to stay a bound
    scale = max(shares[1:]) if scaled else 1.0
    positive = map_leaves(apply, result.positive) if linear and result.positive is not None else None
    error = map_leaves(apply, result.standard_error) if linear and result.standard_error is not None else None
    new = with_numbers(result, reduced, scale, positive, error)
    kept = {
        named(key)
        for key, leaf in flatten(result.attributions).items()
        if not any(a % leaf.ndim == leaf.ndim - 1 for a in axes)
    }
    names = {
        name: {key: value for key, value in getattr(result, name).items() if key in kept}
        for name in ("categories", "feature_names")
    }
    regions = result.regions
    if regions is not None and any(np.shape(leaf)[: regions.ndim] != regions.shape for leaf in flatten(reduced).values()):
        regions = None  # their positions are no more
    gone = min(a % leaf.ndim for leaf in leaves for a in axes)
    after = list(flatten(reduced).values())
    tokens = None if gone == 1 + bool(result.steps) else result.tokens
    inputs = {} if result.inputs is None else flatten(result.inputs)
    return dataclasses.replace(
        new,
        steps=result.steps and not any(a % leaf.ndim == 1 for leaf in leaves for a in axes),
        regions=regions,
        tokens=tokens,
        inputs=None if any(_by_chance(leaf, gone, after) for leaf in inputs.values()) else result.inputs,
        **names,
    )


def _axes(axis: Any) -> tuple[int, ...]:
    """The axes that are asked for."""
    axes = tuple(axis) if isinstance(axis, list | tuple | np.ndarray) else (axis,)
    if not axes or not all(map(is_whole, axes)):
        raise AttributionError(f"name the feature axes, such as axis=-1 or axis=(1, 2); axis 0 is the batch; got {axis!r}")
    return tuple(map(int, axes))


def _by_chance(ids: np.ndarray, gone: int, after: list[np.ndarray]) -> bool:
    """Whether inputs at positions that are summed away would be taken for those of what is left, being as many.

    Args:
        gone: the first axis that is no more.
        after: the attributions that are left.
    """
    return gone < np.ndim(ids) and any(np.shape(leaf)[: np.ndim(ids)] == np.shape(ids) for leaf in after)


def with_numbers(
    result: AnyResult, attributions: Any, scale: float = 1.0, positive: Any = None, error: Any = None
) -> AnyResult:
    """The same result with other numbers: the gap anew, and the same absolute error times `scale` over the new norm."""
    new = dataclasses.replace(result, attributions=attributions, positive=positive, standard_error=error)
    gap = None if result.gap is None else new.totals - present(result.difference)
    relative = scale * result.magnitudes / np.maximum(new.magnitudes, np.finfo(float).tiny)
    errors = {
        name: None if (error := getattr(result, name)) is None else error * relative
        for name in ("error_estimate", "format_error")
    }
    return dataclasses.replace(new, gap=gap, **errors)


def named(key: Any) -> str:
    """The key of a tensor as words of a result have it."""
    return "" if key is None else str(key)
