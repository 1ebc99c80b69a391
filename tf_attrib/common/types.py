"""Types that many rooms speak of, and the step from a type that allows None to what is known to be there."""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

# Keys tell the tensors of a model apart: None for the only one, a position in a list, a name (see `nested.flatten`).
Features = dict[Any, tuple[int, ...]]  # shapes of one example, without the batch
Leaves = dict[Any, np.ndarray]  # arrays (batch, ...)

# Words of each example, or of the only one; by the key of a tensor where there are several.
Tokens = Sequence[Any] | dict[Any, Any]

Present = TypeVar("Present")


def present(value: Present | None) -> Present:
    """`value`, where the caller knows that it is not None although its type allows it: a field that is there with another."""
    assert value is not None
    return value
