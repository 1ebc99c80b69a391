"""Factors of channels, such as those of batch normalisation at inference, multiplied into the weights beside them.

    (x * W) v = x * (W v)        forward: into the weights of the convolution in front of the factor
    (g v) * W' = g * (W v)'      backward: into those of the transpose that follows it

W v has the size of the weights and is computed once for a block of rows; what is saved is a pass over the activations of all
its rows, forward and backward. Exact but for rounding. Variables stay live: the product is taken in the graph.
"""

import dataclasses
from collections.abc import Iterable

import numpy as np
import tensorflow as tf

from .same import Same
from .tf_private import fed_with

# What reads the shape of a tensor, and none of its values.
SHAPES = frozenset(("Shape", "ShapeN"))
# Where linear operations have their weights and their rows, and which axis of the weights counts the channels of what they
# give, and of what they take.
FORWARD, TRANSPOSED = (1, 0, -1, -2), (1, 2, -2, -1)
LINEAR = {
    "Conv2D": FORWARD,
    "Conv3D": FORWARD,
    "DepthwiseConv2dNative": FORWARD,
    "Conv2DBackpropInput": TRANSPOSED,
    "Conv3DBackpropInputV2": TRANSPOSED,
    "DepthwiseConv2dNativeBackpropInput": TRANSPOSED,
}
NORMS = frozenset(("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"))
NORM_GRADIENTS = frozenset(("FusedBatchNormGrad", "FusedBatchNormGradV2", "FusedBatchNormGradV3"))
# Between which a product of weights and factors lies that neither overflows nor vanishes, with room for training.
RANGE = 1e-25, 1e25
# A product is worth it where weights are no larger than so many rows of activations.
ROWS = 8


def fold(operations: list[tf.Operation], fed: Iterable[tf.Tensor], fetched: Iterable[tf.Tensor]) -> None:
    """Folds all that is worth it into the weights, in the graph at hand.

    Args:
        operations: those of the graph.
        fed: the tensors that differ from row to row.
        fetched: those that are handed out: they stay what they are.
    """
    if not any(operation.type in LINEAR for operation in operations):
        return
    folding = Folding(Same(fed), {one.ref() for one in fetched})
    for operation in operations:
        if operation.type in LINEAR:
            folding.backward(operation)
    for operation in operations:
        if operation.type == "Mul" or operation.type in NORMS:
            folding.forward(operation)


@dataclasses.dataclass(frozen=True, eq=False)
class Factor:
    """A tensor that is `inner` times a vector of channels that is the same for every row, plus such a vector.

    Attributes:
        vector: its factors are these, (channels,) or that of rank 1 after reshaping.
        norm: the operation, where it is a batch normalisation at inference, whose factors are computed when they are wanted.
    """

    inner: tf.Tensor
    vector: tf.Tensor
    norm: tf.Operation | None = None

    def factors(self) -> tf.Tensor:
        """(channels,)."""
        if self.norm is None:
            return tf.reshape(self.vector, [-1])
        variance = self.norm.inputs[4]
        return self.vector * tf.math.rsqrt(variance + tf.cast(self.norm.get_attr("epsilon"), variance.dtype))

    def shift(self, factors: tf.Tensor) -> tf.Tensor | None:
        """(channels,), what is added."""
        if self.norm is None or self.norm.type not in NORMS:
            return None
        return self.norm.inputs[2] - self.norm.inputs[3] * factors


class Folding:
    """One graph: which of its tensors are the same for every row, and which are handed out."""

    def __init__(self, same: Same, fetched: set) -> None:
        self._is_same, self._fetched = same, fetched
        self._dead: set[tf.Operation] = set()
        self._products: dict = {}

    def backward(self, linear: tf.Operation) -> None:
        """Folds a factor of what a linear operation is given."""
        weights, rows, _, axis = LINEAR[linear.type]
        product = linear.inputs[rows]
        factor = self._factor(product)
        if factor is None or product.op.type in NORMS or self._users(product) != [linear]:
            return
        if not self._worth(linear, axis, factor.vector, product) or not self._in_range(linear, axis, factor):
            return
        fed_with(linear, weights, self._scaled(linear, axis, factor))
        fed_with(linear, rows, factor.inner)
        if not any(self._users(other) for other in product.op.outputs[1:]):  # such as the gradient of the scale
            self._dead.add(product.op)

    def forward(self, operation: tf.Operation) -> None:
        """Folds a factor of what a linear operation gives, past a bias."""
        product = operation.outputs[0]
        factor = self._factor(product)
        if factor is None or any(self._users(other) for other in operation.outputs[1:]):
            return
        # a bias along another axis is none of channels, and TensorFlow takes it for one where it follows a convolution
        if any(user.type == "BiasAdd" and not _channels_last(user) for user in self._consumers(product)):
            return
        found = self._linear_in_front(operation, factor.inner)
        if found is None:
            return
        linear, biases = found
        weights, _, axis, _ = LINEAR[linear.type]
        if not self._worth(linear, axis, factor.vector, linear.outputs[0]) or not self._in_range(linear, axis, factor):
            return
        factors = factor.factors()
        shift, operation = self._shifted(operation, factor.shift(factors))
        fed_with(linear, weights, self._scaled(linear, axis, factor))
        for bias in biases:
            fed_with(bias, 1, bias.inputs[1] * factors)
        if shift is not None and biases:
            fed_with(biases[0], 1, biases[0].inputs[1] + shift)
        instead = factor.inner
        if shift is not None and not biases:  # what TensorFlow fuses with a convolution is this operation, and no other sum
            instead = tf.nn.bias_add(factor.inner, shift)
        self._replace(operation, instead)

    def _shifted(self, operation: tf.Operation, shift: tf.Tensor | None) -> tuple[tf.Tensor | None, tf.Operation]:
        """A vector of channels that is added to the product of an operation, and the operation that gives the sum: that which
        takes the product, where it is the only one."""
        product = operation.outputs[0]
        users = self._consumers(product)
        if shift is not None or len(users) != 1 or users[0].type not in ("Add", "AddV2", "BiasAdd"):
            return shift, operation
        others = [one for one in users[0].inputs if one is not product]
        if len(others) != 1 or not self._is_of_channels(others[0], product) or users[0].outputs[0].ref() in self._fetched:
            return None, operation
        self._dead.add(operation)
        return tf.reshape(others[0], [-1]), users[0]

    def _replace(self, operation: tf.Operation, instead: tf.Tensor) -> None:
        """Has all who take what an operation gives take `instead`."""
        given = operation.outputs[0]
        for user in self._consumers(given):
            for place, source in enumerate(user.inputs):
                if source is given:
                    fed_with(user, place, instead)
        self._dead.add(operation)

    def _linear_in_front(self, user: tf.Operation, tensor: tf.Tensor) -> tuple[tf.Operation, list[tf.Operation]] | None:
        """The linear operation that gives `tensor`, and the biases added on the way, where only `user` takes any of it."""
        biases: list[tf.Operation] = []
        while self._users(tensor) == [user]:
            user = tensor.op
            if user.type in LINEAR:
                return user, biases
            if user.type == "BiasAdd" and self._is_same(user.inputs[1]) and _channels_last(user):
                biases.append(user)
            elif user.type != "Identity":
                return None
            tensor = user.inputs[0]
        return None

    def _factor(self, tensor: tf.Tensor) -> Factor | None:
        operation = tensor.op
        if tensor.ref() in self._fetched or tensor.shape.rank is None or tensor.value_index:
            return None
        if operation.type in NORMS or operation.type in NORM_GRADIENTS:
            if operation.get_attr("is_training") or not _channels_last(operation):
                return None
            inner, vector = operation.inputs[0], operation.inputs[1 if operation.type in NORMS else 2]
            if operation.type in NORM_GRADIENTS:
                return Factor(inner, vector, operation) if self._is_same(operation.inputs[4]) else None
            return Factor(inner, vector, operation) if all(map(self._is_same, operation.inputs[1:5])) else None
        if operation.type != "Mul":
            return None
        for inner, vector in (operation.inputs, reversed(operation.inputs)):
            if self._is_of_channels(vector, inner):
                return None if self._is_same(inner) else Factor(inner, vector)
        return None

    def _is_of_channels(self, vector: tf.Tensor, rows: tf.Tensor) -> bool:
        """Whether a tensor has one value for each channel of `rows`, the same for every row."""
        channels, rank = vector.shape.num_elements(), vector.shape.rank
        of_channels = bool(rank) and channels is not None and channels == vector.shape[-1] == rows.shape[-1:].num_elements()
        return of_channels and rank <= (rows.shape.rank or 0) and self._is_same(vector)

    def _worth(self, linear: tf.Operation, axis: int, vector: tf.Tensor, given: tf.Tensor) -> bool:
        """Whether weights can be multiplied by a vector along an axis, and are small enough beside the activations `given`."""
        weights = linear.inputs[LINEAR[linear.type][0]]
        shape, channels = weights.shape, vector.shape.num_elements()
        wide = weights.dtype in (tf.float32, tf.float64)  # a product may leave the range of half precision
        if not wide or not shape.is_fully_defined() or not self._is_same(weights) or not _channels_last(linear):
            return False
        counted = shape[-2:].num_elements() if _counted_by_both(linear, axis) else shape[axis]
        if channels != counted:
            return False
        positions = given.shape[1:-1].num_elements()
        return positions is None or ROWS * positions * channels >= shape.num_elements()

    def _in_range(self, linear: tf.Operation, axis: int, factor: Factor) -> bool:
        """Whether the products of weights and factors are numbers of a usual size, or 0, as they are now: where channels are
        small and factors large, the rows in between may be of a usual size and what they are multiplied by is not."""
        weights, vector = self._is_same.now(linear.inputs[LINEAR[linear.type][0]]), self._is_same.now(factor.vector)
        if factor.norm is not None and vector is not None:
            variance = self._is_same.now(factor.norm.inputs[4])
            vector = None if variance is None else vector / np.sqrt(variance + factor.norm.get_attr("epsilon"))
        if weights is None or vector is None:
            return True
        if _counted_by_both(linear, axis):
            largest = np.abs(weights).reshape(-1, vector.size).max(0)
        else:
            largest = np.abs(weights).max(axis=tuple(one for one in range(weights.ndim) if one != axis % weights.ndim))
        with np.errstate(all="ignore"):
            sizes = largest.astype(np.float64) * np.abs(vector.reshape(-1)).astype(np.float64)
        low, high = RANGE
        return bool(np.all((sizes == 0) | ((sizes >= low) & (sizes <= high))))

    def _scaled(self, linear: tf.Operation, axis: int, factor: Factor) -> tf.Tensor:
        """The weights of a linear operation times the factors along one of their axes."""
        weights = linear.inputs[LINEAR[linear.type][0]]
        into = list(weights.shape[-2:]) if _counted_by_both(linear, axis) else [-1] if axis == -1 else [-1, 1]
        norm = None if factor.norm is None else factor.norm.inputs[4].ref()
        key = weights.ref(), factor.vector.ref(), norm, tuple(into)
        if key not in self._products:
            self._products[key] = weights * tf.reshape(factor.factors(), into)
        return self._products[key]

    def _consumers(self, tensor: tf.Tensor) -> list[tf.Operation]:
        return [user for user in tensor.consumers() if user not in self._dead]

    def _users(self, tensor: tf.Tensor) -> list[tf.Operation | None]:
        """Who takes a tensor's values; None is who calls the graph."""
        users = dict.fromkeys(user for user in self._consumers(tensor) if user.type not in SHAPES)
        return [*users, *([None] if tensor.ref() in self._fetched else [])]


def _counted_by_both(linear: tf.Operation, axis: int) -> bool:
    """Whether channels are counted by the last two axes of the weights together: what a depthwise convolution gives."""
    return linear.type.startswith("Depthwise") and axis == -1


def _channels_last(operation: tf.Operation) -> bool:
    return operation.get_attr("data_format") in (b"NHWC", b"NDHWC")
