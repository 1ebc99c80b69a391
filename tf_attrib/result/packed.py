"""Bytes that are no text, such as those of a picture, as an array of numbers: a file of text would lose some of them."""

from typing import Any

import numpy as np

# Bytes in front of each item, which say how many are its own.
LENGTH = 8


def is_inexact(array: np.ndarray) -> bool:
    """Whether an array of text would not come back as it is: NumPy cuts zeros off its end, and bytes need be none in UTF-8."""
    return array.dtype == object and any(_changes(item) for item in array.ravel())


def _changes(item: Any) -> bool:
    if isinstance(item, str):
        return item.endswith("\0")
    return isinstance(item, bytes) and item.decode("utf-8", "replace").rstrip("\0").encode() != item


def packed(array: np.ndarray) -> np.ndarray:
    """uint8 (..., width) of an object array (...) of bytes and text: how long each is, its bytes, and zeros."""
    items = [item if isinstance(item, bytes) else str(item).encode("utf-8", "surrogatepass") for item in array.ravel()]
    found = np.zeros((len(items), LENGTH + max(map(len, items), default=0)), np.uint8)
    for row, item in zip(found, items, strict=True):
        row[:LENGTH] = np.frombuffer(len(item).to_bytes(LENGTH, "little"), np.uint8)
        row[LENGTH : LENGTH + len(item)] = np.frombuffer(item, np.uint8)
    return found.reshape(*array.shape, -1)


def unpacked(numbers: np.ndarray) -> np.ndarray:
    """The object array (...) of bytes that `packed` took apart."""
    rows = numbers.reshape(-1, numbers.shape[-1])
    found = np.empty(len(rows), object)
    for place, row in enumerate(rows):
        length = int.from_bytes(row[:LENGTH].tobytes(), "little")
        found[place] = row[LENGTH : LENGTH + length].tobytes()
    return found.reshape(numbers.shape[:-1])
