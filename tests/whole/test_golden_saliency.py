"""Figures of saliency 0.2.1 (numpy 2.4.6, scikit-image 0.26.0) on the same functions in float64, with the calls behind."""

import numpy as np
import tensorflow as tf

import tf_attrib as ta

from .test_golden import weights

IMAGE = (np.cos(np.arange(40) * 0.9) * 0.5 + 0.5).reshape(1, 5, 4, 2)


def net(x):
    """softmax(tanh(x A + a) B + b) of the image's values in order"""
    hidden = tf.tanh(tf.reshape(x, [-1, 40]) @ weights(40, 6) + weights(6) * 0.3)
    return tf.nn.softmax(hidden @ weights(6, 3) + weights(3) * 0.2)


def test_blur_ig():
    """BlurIG().GetMask(image, call, max_sigma=2, steps=20000, grad_step=1e-5), summed over channels. It sums gradients at the
    left end of steps of equal sigma times a finite difference of the blur, whose kernel is cut off at 4 sigma: ours is not, and
    that is what is left. With its 100 steps by default it is off by 0.3%."""
    saliency = [
        [0.187158483, -0.082242694, 0.041554813, -0.137075747],
        [0.148950928, -0.018031143, -0.007439792, -0.049538115],
        [0.056328928, 0.0854436, -0.095786084, 0.041650206],
        [-0.029768403, 0.160902683, -0.162707819, 0.06843853],
        [-0.056820387, 0.163716783, -0.157415875, 0.012563044],
    ]
    method = ta.BlurIG(max_sigma=2, border="zeros", n_steps=200)
    found = ta.Attributor(net).attribute(IMAGE, 1, method=method)
    np.testing.assert_allclose(found.attributions[0].sum(-1), saliency, atol=2e-4)
    refined = ta.Attributor(net).attribute(IMAGE, 1, method=ta.BlurIG(0.002, max_sigma=2, border="zeros"))
    assert refined.converged[0]
    np.testing.assert_allclose(refined.attributions[0].sum(-1), saliency, atol=5e-4)
