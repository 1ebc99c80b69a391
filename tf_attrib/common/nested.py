"""One array, a list of arrays or a dict of arrays: taken apart, and put together again in the same shape."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any


def is_array(value: Any) -> bool:
    """Whether `value` is one array (or tensor, or number) rather than a list or dict of them."""
    return not isinstance(value, Mapping | tuple | list)


def flatten(value: Any) -> dict[Any, Any]:
    """The leaves by key: {None: value} for one array, positions for a list or tuple, names for a dict."""
    if is_array(value):
        return {None: value}
    if isinstance(value, Mapping):
        return dict(value)
    return dict(enumerate(value))


def rebuild(leaves: Mapping[Any, Any]) -> Any:
    """The inverse of `flatten`: one array, a list, or a dict, as the keys say."""
    keys = list(leaves)
    if keys == [None]:
        return leaves[None]
    if keys == list(range(len(keys))):
        return [leaves[key] for key in keys]
    return dict(leaves)


def map_leaves(function: Callable, value: Any) -> Any:
    """`function` of each array, in the structure that came."""
    return rebuild({key: function(leaf) for key, leaf in flatten(value).items()})


def is_nested_list(value: Any) -> bool:
    """Whether `value` is plain nested lists of numbers or strings, which mean one array and not several."""
    if not isinstance(value, Sequence) or isinstance(value, str | bytes) or not len(value):
        return False
    first = value[0]
    return isinstance(first, int | float | str | bytes) or is_nested_list(first)
