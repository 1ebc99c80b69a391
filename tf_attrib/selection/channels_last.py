"""What takes the last axis of images for their channels, and images whose channels come first."""

from ..common.errors import AttributionError
from ..graph.traced.channels import channels_first
from .score_function import ScoreFunction


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
