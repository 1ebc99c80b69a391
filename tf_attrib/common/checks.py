"""Numbers that a user gives, checked in one place: what must hold, and what came."""

from typing import Any

import numpy as np

from .errors import AttributionError


def is_whole(value: Any, least: float = -np.inf, most: float | None = None) -> bool:
    """Whether `value` is a whole number, and from `least` to `most`; True and False are none."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        return False
    return bool(least <= value and (most is None or value <= most))


def whole(name: str, value: Any, least: int = 1, most: int | None = None) -> int:
    """`value`, where it is a whole number from `least` to `most`.

    Raises:
        AttributionError: it is not.
    """
    if not is_whole(value, least, most):
        bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise AttributionError(f"{name} must be a whole number {bounds}, got {value!r}")
    return int(value)


def whole_or_none(name: str, value: Any, least: int = 1) -> int | None:
    """`value`, where it is None or a whole number of at least `least`.

    Raises:
        AttributionError: it is neither.
    """
    if value is not None and not is_whole(value, least):
        raise AttributionError(f"{name} must be None or a whole number of at least {least}, got {value!r}")
    return None if value is None else int(value)


def is_number(value: Any) -> bool:
    """Whether it is one real number, of Python or NumPy."""
    return isinstance(value, int | float | np.number) and not isinstance(value, bool | np.complexfloating)


def number(name: str, value: Any, above: float = -np.inf) -> float:
    """`value`, where it is a finite number above `above`.

    Raises:
        AttributionError: it is not.
    """
    if not is_number(value) or not above < value < np.inf:
        bound = "" if above == -np.inf else f" above {above:g}"
        raise AttributionError(f"{name} must be a finite number{bound}, got {value!r}")
    return value
