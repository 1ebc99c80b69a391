"""What takes the last axis of images for their channels, and images that have none, or have them first."""

from ..common.errors import AttributionError
from ..graph.traced.channels import channels_first
from ..result.channels import is_signal
from .score_function import ScoreFunction

# What gives images (height, width) an axis of channels.
WITH_CHANNELS = "attribute images[..., None] with ta.Attributor(model, preprocess=lambda x: x[..., 0])"


def check_channels_last(who: str, function: ScoreFunction) -> None:
    """Raises where images or volumes are selected whose channels come first, as the operations around them tell.

    Args:
        who: takes the last axis for channels, which are one together, and the others for positions.
    """
    for port in function.place.ports.values():
        rank = port.tensor.shape.rank or 0
        if rank < 4 or not channels_first(function.traced, port.tensor):
            continue
        order = (0, rank - 1, *range(1, rank - 1))
        remedy = (
            f"give np.moveaxis(images, 1, -1) to ta.Attributor(model, preprocess=lambda x: tf.transpose(x, {order}))"
            if function.place.kind == "inputs"
            else "take what does not ask for positions, such as 'integrated_gradients'"
        )
        raise AttributionError(
            f"{who} takes the last axis for channels, and {function.place.words}, {tuple(port.tensor.shape[1:])}, has them "
            f"first, by the model's operations: rows would be positions, and columns channels; {remedy}"
        )


def width_as_channels(function: ScoreFunction) -> tuple[str, ...]:
    """A note where the width of what seem to be images is taken for channels, which come and go together: each row of pixels
    gets one number then."""
    return tuple(
        f"the last axis of inputs {shape} is taken for channels, which are one together: where it is the width of images, "
        f"{WITH_CHANNELS}"
        for shape in _widths(function)
    )


def blurred_along(function: ScoreFunction) -> str:
    """Along which axes inputs are blurred where that is not plain, to be said behind the words of a blurred baseline: of what
    seem to be images without channels, and of videos and volumes; "" of others."""
    found = [
        f", along the first axis of {shape} alone, as the last is taken for channels: where it is the width of images, "
        f"{WITH_CHANNELS}"
        for shape in _widths(function)
    ]
    shapes = [tuple(shape) for shape in function.features().values() if len(shape) == 4]
    found += [f", along the first three axes of {shape}: of a video in time, too" for shape in shapes]
    return "".join(found)


def _widths(function: ScoreFunction) -> list[tuple[int, ...]]:
    """The shapes of selected inputs that seem to be images (height, width)."""
    if function.place.kind != "inputs":
        return []
    shapes = [tuple(shape) for shape in function.features().values() if len(shape) == 2 and None not in shape]
    return [shape for shape in shapes if not is_signal(*shape)]
