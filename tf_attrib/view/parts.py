"""What is drawn of a result: one example of one tensor, and how it was asked for."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..common.types import present
from ..result.result import Result
from . import captions, draw
from .kinds import Block
from .pixels import infer_range


@dataclasses.dataclass(frozen=True)
class ShowOptions:
    """What `show` takes besides result, example and kind; see there, where the defaults are, too."""

    sign: str
    clip: float | None
    keep: float | None
    clean: int
    outlined: float | None
    value_range: tuple[float, float] | None
    percentile: float
    common_scale: bool
    style: str
    k: int
    names: Sequence[str] | None
    tokens: Any
    baseline: Any
    columns: int
    limit: int
    feature: str | Sequence[str] | None = None
    colour_by: str | None = None
    sigma: float | None = None
    regions: Any = None
    width: float = draw.WIDTH


@dataclasses.dataclass(frozen=True)
class Part:
    """One example of one tensor (of several, for tables) that is to be drawn.

    Attributes:
        result: what it is a part of.
        group: the tensors.
        example: which example.
        name: what the title begins with.
        options: as given to `show`.
        drawn: all examples of the figure, for a common scale.
    """

    result: Result
    group: Sequence[Block]
    example: int
    name: str
    options: ShowOptions
    drawn: Sequence[int]

    @property
    def block(self) -> Block:
        return self.group[0]

    @property
    def values(self) -> np.ndarray:
        return self.block.values[self.example]

    @property
    def given(self) -> np.ndarray | None:
        """The example's input, or None."""
        return None if self.block.inputs is None else self.block.inputs[self.example]

    @property
    def unit(self) -> str:
        return captions.attribution_unit(self.result)

    @property
    def value_range(self) -> tuple[float, float]:
        # from all examples: one dark image alone would be mistaken for another range
        return self.options.value_range if self.options.value_range is not None else infer_range(present(self.block.inputs))

    def panel(self, caption: Sequence[str], height: float, paint: Callable) -> draw.Panel:
        """A panel with this example's title."""
        return draw.Panel(captions.title(self.result, self.example, self.name), tuple(caption), height, paint)
