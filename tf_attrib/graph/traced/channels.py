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
    return bool(_behind(tensor) or (_behind(tensor) is None and _ahead(tensor)))


def to_last(value: tf.Tensor) -> tf.Tensor:
    """(rows, ..., channels) of (rows, channels, ...)."""
    return tf.transpose(value, [0, *range(2, value.shape.rank), 1])


def _behind(tensor: tf.Tensor) -> bool | None:
    """What the nearest operation on the way to the tensor says; None: nothing."""
    level, seen = [tensor.op], {tensor.op.name}
    while level:
        for operation in level:
            said = _said(operation)
            if said is not None:
                return said
        level = [
            one.op for operation in level for one in operation.inputs if not (one.op.name in seen or seen.add(one.op.name))
        ]
    return None


def _ahead(tensor: tf.Tensor) -> bool | None:
    """What the nearest operation that the tensor goes to says; None: nothing."""
    level, seen = [tensor], set()
    while level:
        users = [op for one in level for op in one.consumers() if not (op.name in seen or seen.add(op.name))]
        for operation in users:
            said = _said(operation)
            if said is not None:  # a transposition says what it makes of the tensor
                return not said if operation.type == "Transpose" else said
        level = [one for operation in users for one in operation.outputs]
    return None


def _said(operation: tf.Operation) -> bool | None:
    """Whether the output of an operation has its channels first, if the operation tells."""
    if operation.type.startswith(SAY) and "data_format" in operation.node_def.attr:
        return operation.node_def.attr["data_format"].s.startswith(b"NC")
    if operation.type == "Transpose":
        order = tf.get_static_value(operation.inputs[1])
        rank = 0 if order is None else len(order)
        if rank > 2 and list(order) == [0, rank - 1, *range(1, rank - 1)]:
            return True
        if rank > 2 and list(order) == [0, *range(2, rank), 1]:
            return False
    return None


def _of_layers(traced: Traced, tensor: tf.Tensor) -> bool:
    """The same of a model that is called, whose operations are not in the graph: what its layer says, else what any does."""
    own = [call.layer for _, call, _, output in named_outputs(traced) if output is tensor]
    said = [getattr(layer, "data_format", None) for layer in own or [call.layer for call in traced.calls]]
    said = [one for one in said if one] or [getattr(call.layer, "data_format", None) for call in traced.calls]
    return "channels_first" in said
