"""What guided backpropagation and the deconvolution network do at rectifiers."""

import tensorflow as tf

from .common import first_gradient

# Rectifiers: what the paper has of ReLU is done at these.
RECTIFIERS = frozenset({"Relu", "Relu6", "LeakyRelu", "Elu", "Selu"})


def guided(operation: tf.Operation, upstream: tf.Tensor) -> tf.Tensor:
    """max(g, 0) times the rectifier's own derivative, which is 1[x > 0] for ReLU (Springenberg et al. 2014, arXiv:1412.6806,
    section 3.4)."""
    return first_gradient(operation, tf.nn.relu(upstream))


def deconvolved(operation: tf.Operation, upstream: tf.Tensor) -> tf.Tensor:
    """max(g, 0), whatever x was (Zeiler & Fergus 2014, arXiv:1311.2901, section 2.1)."""
    return tf.nn.relu(upstream)
