"""Guided backpropagation (Springenberg et al. 2014, arXiv:1412.6806, section 3.4)."""

import tensorflow as tf

from .common import first_gradient

# Rectifiers: what the paper has of ReLU is done at these.
RECTIFIERS = frozenset({"Relu", "Relu6", "LeakyRelu", "Elu", "Selu"})


def guided(operation: tf.Operation, upstream: tf.Tensor) -> tf.Tensor:
    """max(g, 0) times the rectifier's own derivative, which is 1[x > 0] for ReLU."""
    return first_gradient(operation, tf.nn.relu(upstream))
