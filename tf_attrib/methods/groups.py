"""Groups of features that are taken away together, as whole numbers in the shape of the selected tensors."""

from typing import Any

import numpy as np

from ..common.errors import AttributionError
from ..common.nested import flatten, is_nested_list
from ..result.channels import channels_in_front
from ..selection.inputs import as_array

# Under which name rows find how many groups their example has; its numbers for tensor i are under ("group", i).
COUNT = "count"


def positions(shape: tuple) -> tuple:
    """The axes of one example's `shape` that count positions: all, but for the channels or dimensions behind others."""
    return tuple(shape[:-1]) if len(shape) > 1 else tuple(shape)


def group_count(groups: Any, features: dict[Any, tuple]) -> int:
    """How many groups there are; where each example has its own, of the one that has most.

    Args:
        groups: as `grouped` takes them.
        features: shapes of one example by key.
    """
    if groups is None:
        return sum(int(np.prod(positions(shape))) for shape in features.values())
    given = list(zip(_ordered(groups, features), features.values(), strict=True))
    count = max([len(value) for value, shape in given if not _is_shared(value, shape)], default=1)
    return max(
        len(np.unique(np.concatenate([(value if _is_shared(value, shape) else value[i]).ravel() for value, shape in given])))
        for i in range(count)
    )


def grouped(groups: Any, x: dict[Any, np.ndarray]) -> dict[Any, np.ndarray]:
    """What rows need of each example: its number of groups (n,), and the group of each feature, (n, ..., 1), from 0.

    Args:
        groups: whole numbers in the shape of one example's positions (see `positions`) or of all its features, or (n, ...)
            such; with several tensors a list or dict; None: every position is a group.
        x: (n, ...), the selected tensors by key.

    Raises:
        AttributionError: groups that do not fit.
    """
    count = len(next(iter(x.values())))
    if groups is None:
        return _each_alone(x, count)
    arrays = [_checked(value, key, leaf) for value, (key, leaf) in zip(_ordered(groups, x), x.items(), strict=True)]
    shared = all(_is_shared(value, leaf.shape[1:]) for value, leaf in zip(arrays, x.values(), strict=True))
    if shared:
        numbers, most = _numbered(arrays)
        numbers = [np.broadcast_to(one, (count, *one.shape)) for one in numbers]
        counts = np.full(count, most)
    else:
        whole = [
            np.broadcast_to(value, (count, *value.shape)) if _is_shared(value, leaf.shape[1:]) else value
            for value, leaf in zip(arrays, x.values(), strict=True)
        ]
        each = [_numbered([value[i] for value in whole]) for i in range(count)]
        numbers = [np.stack([one[0][place] for one in each]) for place in range(len(whole))]
        counts = np.full(count, max(one[1] for one in each))  # rows beyond an example's own groups change nothing
    return {COUNT: counts.astype(np.int32)} | {
        ("group", i): _full_rank(one, leaf.ndim) for i, (one, leaf) in enumerate(zip(numbers, x.values(), strict=True))
    }


def label_map(groups: Any, made: dict[Any, np.ndarray]) -> np.ndarray | None:
    """(n, *positions), the group of each position as `grouped` made them of `groups`; None where there are none, of several
    tensors, or where channels of one position are in groups of their own."""
    if groups is None or ("group", 1) in made:
        return None
    numbers = made["group", 0]
    return numbers[..., 0] if numbers.ndim > 2 and numbers.shape[-1] == 1 else numbers if numbers.ndim < 4 else None


def _ordered(groups: Any, like: dict) -> list[np.ndarray]:
    """The groups of each tensor of `like`, in its order."""
    given: dict[Any, Any] = {None: groups} if list(like) == [None] and is_nested_list(groups) else flatten(groups)
    if len(given) != len(like) or (set(given) != set(like) and list(given) != list(range(len(like)))):
        wanted = "one array of groups is" if list(like) == [None] else f"groups for each of {list(like)} are"
        raise AttributionError(
            f"{wanted} needed, {'' if list(like) == [None] else 'as a list or dict; '}got "
            f"{len(given)}: {', '.join(map(str, list(given)[:8]))}"
        )
    return [as_array(given[key] if key in given else given[i], "groups") for i, key in enumerate(like)]


def _each_alone(x: dict[Any, np.ndarray], count: int) -> dict[Any, np.ndarray]:
    found, start = {}, 0
    for i, leaf in enumerate(x.values()):
        shape = positions(leaf.shape[1:])
        size = int(np.prod(shape))
        numbers = np.arange(start, start + size, dtype=np.int32).reshape(shape)
        found["group", i] = _full_rank(np.broadcast_to(numbers, (count, *shape)), leaf.ndim)
        start += size
    return {COUNT: np.full(count, start, np.int32)} | found


def _is_shared(groups: np.ndarray, shape: tuple) -> bool:
    """Whether `groups` are those of one example of `shape`, and so of all."""
    return groups.ndim >= len(positions(shape)) and groups.shape == tuple(shape[: groups.ndim])


def _checked(value: Any, key: Any, x: np.ndarray) -> np.ndarray:
    array, shape, named = np.asarray(value), x.shape[1:], "" if key is None else f" of {key!r}"
    if array.dtype.kind not in "iu" or (array.size and array.min() < 0):
        raise AttributionError(
            f"groups{named} must be whole numbers of at least 0, got {array.dtype}"
            + (f" down to {array.min()}" if array.dtype.kind == "i" and array.size else "")
        )
    each = array.ndim > len(positions(shape)) and array.shape == (len(x), *shape[: array.ndim - 1])
    if _is_shared(array, shape) and each:
        raise AttributionError(
            f"groups{named} of shape {array.shape} may be those of one example or one for each: give them "
            f"for each in full, {(len(x), *shape)}, as np.broadcast_to does"
        )
    if not _is_shared(array, shape) and not each:
        fitting = positions(shape)
        raise AttributionError(
            f"groups{named} of shape {array.shape} for examples of shape {tuple(shape)}: give {fitting}, or "
            f"one for each of the {len(x)} examples, {(len(x), *fitting)}"
            + (f"; where channels come first, np.broadcast_to(groups, {shape})" if channels_in_front(x.shape) else "")
        )
    return array


def _numbered(arrays: list[np.ndarray]) -> tuple[list[np.ndarray], int]:
    """The same groups, numbered from 0 without a gap over all of `arrays`, and how many there are."""
    found, numbers = np.unique(np.concatenate([one.ravel() for one in arrays]), return_inverse=True)
    parts = np.split(numbers.ravel(), np.cumsum([one.size for one in arrays])[:-1])
    return [part.reshape(one.shape).astype(np.int32) for part, one in zip(parts, arrays, strict=True)], len(found)


def _full_rank(numbers: np.ndarray, rank: int) -> np.ndarray:
    """`numbers` with axes of size 1 for the channels that are taken away together."""
    return numbers.reshape(*numbers.shape, *[1] * (rank - numbers.ndim))
