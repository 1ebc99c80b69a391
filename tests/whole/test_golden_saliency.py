"""Figures of saliency 0.2.1 (numpy 2.4.6, scikit-image 0.26.0) on the same functions in float64, with the calls behind."""

import numpy as np
import tensorflow as tf

import tf_attrib as ta
from tf_attrib.methods import ranking, segments

from ..helpers.shared import attributor_for
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
    found = attributor_for(net).attribute(IMAGE, 1, method=method)
    np.testing.assert_allclose(found.attributions[0].sum(-1), saliency, atol=2e-4)
    refined = attributor_for(net).attribute(IMAGE, 1, method=ta.BlurIG(0.002, max_sigma=2, border="zeros"))
    assert refined.converged[0]
    np.testing.assert_allclose(refined.attributions[0].sum(-1), saliency, atol=5e-4)


def test_xrai():
    """XRAI().GetMaskWithDetails(image, None, base_attribution=attributions, extra_parameters=XRAIParameters(
    return_xrai_segments=True)). It takes the largest of the channels of each pixel, where ours are summed."""
    sizes = [191, 112, 297, 86, 62, 123, 80, 50, 132, 85, 152, 175, 154, 73, 59, 56, 106, 59, 104, 59, 50, 39]
    first = [0.5101740957134274, 0.26941901788060857, 0.0705530647492245, 0.06605576302092046, 0.06471717709767291]
    last = [0.0029021773527453253, 0.014992886796953821]  # of what no segment of 50 pixels was left for
    pixels = [
        [0.014992887, 0.047457889, 0.038112438, 0.063068592],
        [0.017679459, 0.070553065, 0.024206632, 0.035731688],
        [0.070553065, 0.070553065, 0.510174096, 0.035731688],
        [0.066055763, 0.016940782, 0.027637693, 0.031308136],
    ]
    i, j = np.mgrid[:48, :48]
    near = (i - 20) ** 2 + (j - 30) ** 2
    image = np.stack([((i // 12 + j // 16) % 3) / 2, near < 150, np.sin(j / 9) * 0.2 + 0.5], -1)
    values = np.sin(i * 0.21) * np.cos(j * 0.13) * (near < 200) + 0.1 * np.sin(i * j * 0.01)
    values = np.stack([values, 0.5 * values - 0.02, values * 0], -1).max(-1)
    masks = ranking.masks_of(segments.at_scales(image), 5)
    found = ranking.ranked(values, masks, 50)
    assert np.bincount(found.labels.ravel())[1:].tolist() == sizes
    np.testing.assert_allclose(np.r_[found.values[:5], found.values[-2:]], [*first, *last], rtol=1e-9)
    np.testing.assert_allclose(found.values[found.labels - 1][::12, ::12], pixels, atol=1e-8)


def test_guided_ig():
    """GuidedIG().GetMask(image, call, x_steps=40, fraction=0.25, max_dist=0.1), summed over channels; with np.quantile's
    interpolation= handed on as method=, which numpy 2.4 calls it."""
    saliency = [
        [0.134621588, -0.037326379, 0.020132279, -0.121161726],
        [0.126537785, 0.007092614, 0.000617135, -0.067531582],
        [0.07175156, 0.079181205, -0.055518264, -0.010391428],
        [-0.000144027, 0.138635015, -0.105774548, 0.014028974],
        [-0.046080619, 0.150981367, -0.119436209, -0.012160066],
    ]
    found = attributor_for(net).attribute(IMAGE, 1, method=ta.GuidedIG(40, fraction=0.25, max_distance=0.1))
    np.testing.assert_allclose(found.attributions[0].sum(-1), saliency, atol=1e-8)
