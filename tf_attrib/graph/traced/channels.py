"""Whether a tensor has its channels in front of its positions, as far as the operations around it tell."""

import tensorflow as tf

from .trace import Traced, named_outputs

# Operations that say where they have their channels.
SAY = ("Conv", "Depthwise", "MaxPool", "AvgPool", "FusedBatchNorm")


def channels_first(traced: Traced, tensor: tf.Tensor) -> bool:
    """Whether `tensor` is (batch, channels, ...) and not (batch, ..., channels): what the nearest convolution, pooling,
    normalisation or transposition says of it, the one that it comes from, else the one that it goes to; False where none does.
    """
    if tensor.shape.rank is None or tensor.shape.rank < 3:
        return False
    if traced.called is not None:
        return _of_layers(traced, tensor)
    said = _behind(tensor)
    return bool(_ahead(tensor) if said is None else said)


def to_last(value: tf.Tensor) -> tf.Tensor:
    """(rows, ..., channels) of (rows, channels, ...)."""
    return tf.transpose(value, [0, *range(2, value.shape.rank), 1])


def _behind(tensor: tf.Tensor) -> bool | None:
    """What the nearest operation on the way to the tensor says; None: nothing."""
    rank, level, seen = tensor.shape.rank, [(tensor.op, False)], {tensor.op.name}
    while level:
        further = []
        for operation, turned in level:
            said = _said(operation, rank)
            if said is not None:
                return said != turned
            turned ^= _turns(operation)
            further += [(one.op, turned) for one in operation.inputs]
        level = [pair for pair in further if not (pair[0].name in seen or seen.add(pair[0].name))]
    return None


def _ahead(tensor: tf.Tensor) -> bool | None:
    """What the nearest operation that the tensor goes to says; None: nothing."""
    rank, level, seen = tensor.shape.rank, [(tensor, False)], set()
    while level:
        users = [(op, turned) for one, turned in level for op in one.consumers()]
        users = [pair for pair in users if not (pair[0].name in seen or seen.add(pair[0].name))]
        further = []
        for operation, turned in users:
            said = _said(operation, rank)
            if said is not None:  # a transposition says what it makes of the tensor
                return (said != turned) if operation.type != "Transpose" else (said == turned)
            further += [(one, turned ^ _turns(operation)) for one in operation.outputs]
        level = further
    return None


def _said(operation: tf.Operation, rank: int) -> bool | None:
    """Whether the output of an operation has its channels first, if the operation tells; transpositions do of images and
    volumes of the rank in question, since those of other ranks are of something else, such as the heads of attention."""
    if operation.type.startswith(SAY) and "data_format" in operation.node_def.attr:
        return operation.node_def.attr["data_format"].s.startswith(b"NC")
    order = _order(operation)
    if rank > 3 and order == [0, rank - 1, *range(1, rank - 1)]:
        return True
    if rank > 3 and order == [0, *range(2, rank), 1]:
        return False
    return None


def _turns(operation: tf.Operation) -> bool:
    """Whether it changes places of the two axes of a signal, which may be either way round."""
    return _order(operation) == [0, 2, 1]


def _order(operation: tf.Operation) -> list[int]:
    """That of a transposition; [] of another operation, and where it is not known."""
    order = tf.get_static_value(operation.inputs[1]) if operation.type == "Transpose" else None
    return [] if order is None else [int(axis) for axis in order]


def _of_layers(traced: Traced, tensor: tf.Tensor) -> bool:
    """The same of a model that is called, whose operations are not in the graph: what its layer says, else what any does."""
    own = [call.layer for _, call, _, output in named_outputs(traced) if output is tensor]
    said = [getattr(layer, "data_format", None) for layer in own]
    return "channels_first" in (
        [one for one in said if one] or [getattr(call.layer, "data_format", None) for call in traced.calls]
    )
