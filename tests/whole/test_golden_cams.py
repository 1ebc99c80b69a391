"""Figures of tf-keras-vis 0.8.7 (TensorFlow 2.21.0, Keras 3.15.1) and captum 0.9.0 (torch 2.13.0) on the same nets, with the
calls that gave them. Where a library does something else than the paper, what it does is done here a second time."""

import keras
import numpy as np
import pytest
from keras import layers

import tf_attrib as ta

pytestmark = pytest.mark.usefixtures("double")


def weights(*shape):
    """The same numbers on both sides."""
    return np.sin(np.arange(np.prod(shape)) * 1.7 + 0.3).reshape(shape) * 0.8


X = weights(2, 6, 6, 2) + 0.2 * np.cos(np.arange(144) * 0.37).reshape(2, 6, 6, 2)
TARGETS = [1, 0]
# of tf-keras-vis: penultimate_layer="seen", expand_cam=False, normalize_cam=False, score=CategoricalScore([1, 0])
HERE = np.s_[:, :3, :3]


def softmax_net():
    """A layer called "seen", as large as the input: nothing is enlarged."""
    image = keras.Input((6, 6, 2))
    seen = layers.Conv2D(3, 3, padding="same", activation="relu", name="seen")(image)
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="relu")(seen))
    model = keras.Model(image, layers.Dense(3, activation="softmax")(pooled))
    parts = [weights(3, 3, 2, 3), weights(3) * 0.1, weights(3, 3, 3, 4), weights(4) * 0.2, weights(4, 3), weights(3) * 0.2]
    model.set_weights(parts)
    return model


def of_softmax_net(method, of=None):
    return ta.Attributor(softmax_net(), at="seen", of=of).attribute(X, TARGETS, method=method)


def test_grad_cam():
    """Gradcam(model)(score, X): after its ReLU."""
    theirs = [
        [
            [0.001677299, 0.007918937, 0.002634324],
            [0.008292997, 0.011212684, 0.009462158],
            [0.008070975, 0.004099364, 0.009020483],
        ],
        [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
    ]
    found = np.maximum(of_softmax_net("grad_cam").attributions, 0)
    np.testing.assert_allclose(found[HERE], theirs, atol=1e-9)
    np.testing.assert_allclose(found.sum((1, 2)), [0.255504082, 0], atol=1e-8)


def test_layer_cam():
    """Layercam(model)(score, X)"""
    theirs = [
        [[0.004172873, 0.023998261, 0.0], [0.026709458, 0.052127192, 0.011110323], [0.0, 0.006607552, 0.015911018]],
        [[0.0, 0.000170566, 0.006125909], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
    ]
    found = of_softmax_net("layer_cam").attributions
    np.testing.assert_allclose(found[HERE], theirs, atol=1e-9)
    np.testing.assert_allclose(found.sum((1, 2)), [0.43369469, 0.106329459], atol=1e-8)


def test_grad_cam_plus_plus():
    """GradcamPlusPlus(model)(score, X), which divides the alphas of each channel by their sum over positions, which the paper's
    formula does not, and keeps the factor exp(F)."""
    theirs = [
        [
            [0.005320056, 0.024513719, 0.008355549],
            [0.026303729, 0.038430794, 0.030012075],
            [0.024984366, 0.014960954, 0.027923647],
        ],
        [
            [0.002405408, 0.000661394, 0.002538547],
            [0.003220613, 0.004717512, 0.003818668],
            [0.00106673, 0.004835196, 0.00114364],
        ],
    ]
    slopes = of_softmax_net("gradient")
    a, g = np.asarray(softmax_net().get_layer("seen")(X)), slopes.attributions
    alpha = np.divide(g**2, 2 * g**2 + g**3 * a.sum((1, 2), keepdims=True), out=np.zeros_like(g), where=g != 0)
    ours = (np.maximum(g, 0) * alpha).sum((1, 2))
    np.testing.assert_allclose(
        of_softmax_net("grad_cam_plus_plus").attributions, np.einsum("nk,nijk->nij", ours, a), atol=1e-12
    )
    other = ours / alpha.sum((1, 2)) * np.exp(slopes.scores)[:, None]
    found = np.einsum("nk,nijk->nij", other, a)
    np.testing.assert_allclose(found[HERE], theirs, atol=1e-9)
    np.testing.assert_allclose(found.sum((1, 2)), [0.83483669, 0.109174371], atol=1e-8)


def test_score_cam():
    """Scorecam(model)(score, X), float32, which takes a softmax of what the model gives, here of probabilities, and does not
    subtract the score at the baseline."""
    theirs = [
        [[0.22452518, 1.0672406, 0.35263368], [1.1101104, 1.7262332, 1.2666159], [1.0877309, 0.6837508, 1.2156968]],
        [[0.60644096, 0.18686303, 0.63844347], [0.92553306, 0.91870147, 1.0966545], [0.32042193, 1.1213166, 0.34352377]],
    ]
    model = softmax_net()
    twice = keras.Model(model.inputs, layers.Softmax()(model.output))
    result = ta.Attributor(twice, at="seen").attribute(X, TARGETS, method="score_cam")
    a = np.asarray(model.get_layer("seen")(X))
    found = result.attributions + result.baseline_scores[:, None, None] * a.sum(-1)
    np.testing.assert_allclose(found[HERE], theirs, rtol=2e-6)
    np.testing.assert_allclose(found.sum((1, 2)), [36.487484, 26.304623], rtol=1e-6)


def logit_net():
    """Convolution c, ReLU, maximum, convolution, ReLU, mean over positions, logits."""
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(3, 3, name="c"),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.Conv2D(4, 2, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3),
        ]
    )
    parts = [weights(3, 3, 2, 3), weights(3) * 0.1, weights(2, 2, 3, 4), weights(4) * 0.2, weights(4, 3), weights(3) * 0.2]
    model.set_weights(parts)
    return model


THERE = np.s_[:, 2:4, 1:4, 0]
GUIDED = {
    "deconvolution": (  # Deconvolution(net).attribute(x, target=[2, 0])
        [
            [[0.44133144, -0.535083587, 0.408898973], [0.107256322, -0.097085199, -0.254773208]],
            [[-0.136050473, 0.197901488, -0.346615171], [-0.083729751, 0.146072183, -0.14278]],
        ],
        [18.811628244, 6.733561583],
    ),
    "guided_backprop": (  # GuidedBackprop(net).attribute(x, target=[2, 0])
        [
            [[0.56635498, -0.690578134, 0.478789874], [-0.073765429, -0.555823846, 0.001599306]],
            [[-0.136050473, 0.197901488, -0.346615171], [-0.083729751, 0.146072183, -0.14278]],
        ],
        [18.754431357, 6.733561583],
    ),
    "guided_grad_cam": (  # GuidedGradCam(net, net.c).attribute(x, target=[2, 0], interpolate_mode="bilinear")
        [
            [[8.507097190e-04, -1.351064159e-03, 5.821427995e-04], [-1.748710276e-04, -6.758055405e-04, 6.982670619e-06]],
            [[-3.892989231e-05, 5.745547919e-05, -2.718205944e-04], [-8.626448350e-05, 5.946250105e-05, -2.715532756e-04]],
        ],
        [0.042373114, 0.005096603],
    ),
}


@pytest.mark.parametrize("name", GUIDED)
def test_gradients_through_rectifiers(name):
    captum, total = GUIDED[name]
    method = ta.GuidedGradCam("c") if name == "guided_grad_cam" else name
    found = ta.Attributor(logit_net()).attribute(X, [2, 0], method=method).attributions
    np.testing.assert_allclose(found[THERE], captum, atol=2e-9)
    np.testing.assert_allclose(np.abs(found).sum((1, 2, 3)), total, rtol=1e-6)
