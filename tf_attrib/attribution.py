"""`Attribution`: the result that a user gets, with the doors through which it is printed, kept and drawn."""

import dataclasses
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from .common.errors import AttributionError, nearest, printed
from .common.types import Tokens
from .result import conversions, files
from .result.regions import Regions, by_region
from .result.result import Result
from .result.words import summary

if TYPE_CHECKING:
    from .view.draw import Drawing


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Attribution(Result):  # noqa: D101 -- the fields are described once, in Result
    __doc__ = Result.__doc__

    @printed
    def __repr__(self) -> str:
        return summary(self)

    def save(self, path: str | os.PathLike, overwrite: bool = False) -> Path:
        """Writes everything to one `.npz` file (no pickle), whole or not at all. Returns its path."""
        return files.save(self, path, overwrite)

    @staticmethod
    def load(path: str | os.PathLike) -> "Attribution":
        """Reads what `save` wrote."""
        return load(path)

    def to_dict(self) -> dict[str, Any]:
        """Every field in plain Python, which `json.dumps` takes; what is not finite is None."""
        return conversions.to_dict(self)

    def to_dataframe(self, long: bool = False, categories: bool = False) -> Any:
        """A pandas DataFrame with a row for each example and a column for each feature; needs pandas.

        Args:
            long: a row for each example and feature instead: example, feature, value, attribution.
            categories: whether each category of an encoded column is a feature of its own.
        """
        return conversions.to_dataframe(self, long, categories)

    def to_xarray(self) -> Any:
        """An `xarray.Dataset` with named dimensions and coordinates; needs the extra `xarray`."""
        return conversions.to_xarray(self)

    def to_shap(self) -> Any:
        """A `shap.Explanation`, for `shap.plots.waterfall(result.to_shap()[0])` and the others; needs the extra `shap`.

        Raises:
            AttributionError: attributions that do not add up from the score at a baseline to the score.
        """
        return conversions.to_shap(self)

    def by_region(self, regions: npt.ArrayLike | None = None) -> list[Regions]:
        """What each region of an example is worth: labels, values and sizes of the regions of each example.

        Values are sums over the positions and channels of a region, so that they add up to what the attributions do; of effects
        (occlusion, ablation, LIME), squares and maps (Grad-CAM), which do not add up, they are means.

        Args:
            regions: whole numbers, (height, width) for all examples or (batch, height, width) with one map for each, such as
                `ta.superpixels(images)`, `ta.tiles(shape, size)` or a segmentation of yours; default: what the method itself
                took away together (`regions`).

        Raises:
            AttributionError: several tensors, or regions that are missing or do not fit.
        """
        return by_region(self, regions)

    def plot(self, **options: Any) -> "Drawing":
        """A matplotlib figure that suits the kind of data: images, words, signals, tables. See `tf_attrib.view.show`."""
        from .view import show

        return show(self, **_known("plot", show, options))

    def grid(self, **options: Any) -> "Drawing":
        """All examples in few pixels: each image under its class and score, and what is attributed. See `ta.grid`, which sets
        several methods side by side, too."""
        from .view import grid

        return grid(self, **_known("grid", grid, options))

    def to_html(self, tokens: Tokens | None = None) -> str:
        """The words of each example, coloured green (raised the score) to red (lowered it), as escaped HTML.

        Args:
            tokens: a list of words for each example; default: the model's own vocabulary where it has one, else the
                token ids.
        """
        from .view import to_html

        return to_html(self, tokens)

    def _repr_html_(self) -> str:
        from .view import notebook

        return notebook(self)


def load(path: str | os.PathLike) -> Attribution:
    """Reads what `Attribution.save` wrote.

    Raises:
        AttributionError: not such a file, or truncated.
    """
    return files.load(path, Attribution)


def _known(method: str, function: Callable[..., Any], options: dict[str, Any]) -> dict[str, Any]:
    """The options, all of which `function` takes beside the result.

    Raises:
        AttributionError: it knows one of them not.
    """
    _, *known = inspect.signature(function).parameters
    for name in options:
        if name not in known:
            raise AttributionError(
                f"{method} has no option {name!r}; it takes {nearest(name, known)}. What else a figure of matplotlib can be "
                "asked for is done with the one that it returns: figure.suptitle(...), figure.axes"
            )
    return options
