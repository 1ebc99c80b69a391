"""Rows of class activation maps: activations of a layer, weighed by what gradients say of them, and summed over channels."""

import dataclasses
from typing import Any

import tensorflow as tf

from ..common.types import present
from ..engine.row import Row
from ..graph.traced.channels import channels_first, to_last
from ..graph.traced.cut import Port
from ..selection.score_function import ScoreFunction
from .conductance_rows import Ends, evaluated
from .deeplift.multipliers import multipliers
from .masked_rows import over_channels, sizes_of
from .upsampling import enlarged

# How a map comes from activations and their gradients.
POOLED, PLUS_PLUS, EACH = "pooled", "plus_plus", "each"


@dataclasses.dataclass(frozen=True)
class MapIntegrand:
    """Activations of the selected layer, weighed by their gradients and summed over channels.

    Attributes:
        weights: "pooled" (Grad-CAM: a channel's mean gradient), "plus_plus" (Grad-CAM++) or "each" (LayerCAM: the positive
            part of each activation's own gradient).
    """

    weights: str

    def __call__(self, function: ScoreFunction, row: Row) -> tuple[tf.Tensor, tf.Tensor, dict]:
        """Score (rows,), zeros (rows,), and (rows, *positions) by key."""
        score, gradients = function.gradients(row.x, row.context, row.target)
        maps = {}
        for key, gradient in gradients.items():
            first = channels_first(function.traced, function.place.ports[key].tensor)
            activation, gradient = (to_last(one) if first else one for one in (row.x[key], gradient))
            maps[key] = class_map(self.weights, activation, gradient)
        return score, tf.zeros_like(score), maps


def class_map(weights: str, activation: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
    """(rows, *positions) of activations and gradients (rows, *positions, channels)."""
    positions = list(range(1, gradient.shape.rank - 1))
    if weights == POOLED:
        weight = tf.reduce_mean(gradient, positions, keepdims=True)
    elif weights == EACH:
        weight = tf.nn.relu(gradient)
    else:
        # alpha = g² / (2 g² + g³ Σ A) without the powers, which leave the range of float32 long before g does; A is rectified,
        # as the paper has it, since with other activations there is a pole where g Σ A comes near -2
        rising = tf.nn.relu(gradient)
        alpha = 1 / (2 + rising * tf.reduce_sum(tf.nn.relu(activation), positions, keepdims=True))
        weight = tf.reduce_sum(alpha * rising, positions, keepdims=True)
    return tf.reduce_sum(weight * activation, -1)


@dataclasses.dataclass(frozen=True)
class GuidedCamIntegrand:
    """Guided backpropagation at the selected tensors, times the positive part of Grad-CAM at the observed layer, enlarged."""

    def __call__(self, function: ScoreFunction, row: Row) -> tuple[tf.Tensor, tf.Tensor, dict]:
        """Score (rows,), zeros (rows,), and products by key of the selected tensors."""
        (port,) = present(function.observed).ports.values()

        def fetches(graph: Ends) -> dict[Any, Port]:
            (tensor,), (slope,) = graph.observed, graph.inner()
            return {"activation": Port(tensor, port.batch_axis), "gradient": Port(slope, port.batch_axis)}

        found = evaluated(function, row, fetches, ("activation",))
        pair = found["activation"], found["gradient"]
        if channels_first(function.traced, port.tensor):
            pair = to_last(pair[0]), to_last(pair[1])
        coarse = tf.nn.relu(class_map(POOLED, *pair))
        score, guided = multipliers(function, row, "guided")
        products = {}
        for key, value in guided.items():
            first = channels_first(function.traced, function.place.ports[key].tensor)
            products[key] = value * over_channels(enlarged(coarse, sizes_of(value, first)), first)
        return score, tf.zeros_like(score), products
