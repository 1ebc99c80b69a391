"""Numbers that a user gives, checked in one place: what must hold, and what came."""

from typing import Any

import numpy as np

from .errors import AttributionError


def whole(name: str, value: Any, least: int = 1, most: int | None = None) -> int:
    """`value`, where it is a whole number from `least` to `most`.

    Raises:
        AttributionError: it is not.
    """
    fits = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not fits or value < least or (most is not None and value > most):
        bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise AttributionError(f"{name} must be a whole number {bounds}, got {value!r}")
    return int(value)


def number(name: str, value: Any, above: float = -np.inf) -> float:
    """`value`, where it is a finite number above `above`.

    Raises:
        AttributionError: it is not.
    """
    fits = isinstance(value, int | float | np.number) and not isinstance(value, bool | np.complexfloating)
    if not fits or not above < value < np.inf:
        bound = "" if above == -np.inf else f" above {above:g}"
        raise AttributionError(f"{name} must be a finite number{bound}, got {value!r}")
    return value
