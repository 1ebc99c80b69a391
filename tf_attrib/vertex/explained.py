"""Which outputs of each instance are explained: the highest, so many of the highest, or those that a configuration names."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from ..common.errors import AttributionError
from .parameters import ExplanationParameters


@dataclasses.dataclass(frozen=True, eq=False)
class Explained:
    """One explained output of each instance of a batch.

    Attributes:
        indices: int (n, r), where it is in the output; r is 0 where the output is one number.
    """

    indices: np.ndarray

    def index(self, example: int) -> tuple[int, ...]:
        return tuple(int(number) for number in self.indices[example])

    def values(self, outputs: np.ndarray) -> np.ndarray:
        """(n,), the explained values of an output (n, ...)."""
        return outputs[(np.arange(len(outputs)), *self.indices.T)]

    @property
    def target(self) -> np.ndarray | None:
        """`target` of `Attributor.attribute`."""
        rank = self.indices.shape[1]
        return None if rank == 0 else self.indices[:, 0] if rank == 1 else self.indices


def explained(outputs: np.ndarray, parameters: ExplanationParameters) -> Iterator[Explained]:
    """The outputs that are explained, one for each instance at a time: the highest first, or in the order that was given.

    Args:
        outputs: (n, ...), of all instances.

    Raises:
        AttributionError: an index that the output does not have, or more outputs than there are.
    """
    count, shape = len(outputs), outputs.shape[1:]
    if parameters.output_indices is not None:
        for index in parameters.output_indices:
            if len(index) != len(shape) or any(number >= size for number, size in zip(index, shape, strict=False)):
                raise AttributionError(f"output_indices has {list(index)}, and the output is of shape {shape} for an instance")
            yield Explained(np.tile(np.array(index, int), (count, 1)))
        return
    size = int(np.prod(shape))
    if parameters.top_k > size and parameters.top_k > 1:
        raise AttributionError(f"top_k is {parameters.top_k}, and the output has {size} value(s) for an instance")
    wanted = size if parameters.top_k == -1 else parameters.top_k
    order = np.argsort(-outputs.reshape(count, -1), axis=1, kind="stable")
    for rank in range(wanted):
        yield Explained(np.stack(np.unravel_index(order[:, rank], shape), 1) if shape else np.zeros((count, 0), int))
