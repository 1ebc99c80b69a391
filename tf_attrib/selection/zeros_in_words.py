"""What a baseline of zeros is for the inputs at hand."""

from typing import Any

import numpy as np

# What stands for nothing of each kind that is not float.
NOTHING = {"O": "'' for text", "b": "False for booleans", "i": "0 for ids", "u": "0 for ids"}


def describe_zeros(x: dict[Any, np.ndarray], kind: str) -> str:
    """What a baseline of zeros is for this model, in words, judged by the examples at hand."""
    if kind == "embeddings":
        return "zeros: the zero vector in place of every token's embedding"
    if kind == "encoded":
        return "zeros: 0 for numbers, and none of the categories of what is encoded"
    others = {what for value in x.values() if (what := NOTHING.get(value.dtype.kind))}
    if others:
        numbers = {"0 for numbers"} if any(value.dtype.kind == "f" for value in x.values()) else set()
        return f"zeros: {', '.join(sorted(others | numbers))}"
    if kind == "layer" or len(x) > 1:
        return "zeros"
    (values,) = x.values()
    low, high = float(values.min()), float(values.max())
    image = values.ndim == 4 and values.shape[-1] in (1, 3, 4)
    if high < 0 or (low > 0 and not image):
        shade = "above the range" if high < 0 else "below the range"
    elif low >= 0:
        shade = "black" if image else "the low end"
    elif low >= -1 and high <= 1:
        low, high, shade = -1.0, 1.0, "gray" if image else "the middle"
    else:
        shade = "gray, about the middle" if image else "inside the range"
    return f"zeros: {shade}, inputs lie in [{low:.4g}, {high:.4g}]"
