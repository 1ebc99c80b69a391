"""DeepLIFT on one of each family of keras.applications, and on exports of four of them.

Weights are random, and statistics of batch normalisation those of one pass in training mode, without which values explode. All
are marked `slow`: together they take some ten minutes. What they are made of is in the nets of `test_models`.
"""

import keras
import numpy as np
import pytest
from keras import layers

import tf_attrib as ta

# The smallest of each family, and the smallest images that it takes without losing all of their area.
FAMILIES = {
    "MobileNet": 32,
    "MobileNetV3Small": 32,
    "MobileNetV2": 32,
    "VGG16": 32,
    "ResNet50": 32,
    "ResNet50V2": 32,
    "InceptionV3": 75,
    "InceptionResNetV2": 75,
    "Xception": 71,
    "DenseNet121": 32,
    "NASNetMobile": 32,
    "EfficientNetB0": 32,
    "EfficientNetV2B0": 32,
    "ConvNeXtTiny": 32,
}
EXPORTED = ("MobileNetV2", "ResNet50", "EfficientNetB0", "ConvNeXtTiny")


def application(name):
    """A net with calibrated normalisation, and two images."""
    keras.utils.set_random_seed(3)
    size = FAMILIES[name]
    model = getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3), classes=10)
    images = np.random.default_rng(0).uniform(-1, 1, (8, size, size, 3)).astype("float32")
    if any(isinstance(layer, layers.Rescaling) for layer in model.layers):  # they take pixels from 0 to 255
        images = (images + 1) * 127.5
    for layer in model._flatten_layers():
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.0
    model(images, training=True)
    return model, images[:2], images[7]


def assert_complete(result):
    size = np.maximum(np.abs(result.difference), result.magnitudes)
    assert np.abs(result.difference).min() > 0
    # where a score hardly differs from the reference's, what is left is the rounding of the two scores themselves
    rounding = 16 * np.finfo(np.float32).eps * np.abs(result.scores)
    assert np.all(np.abs(result.gap) <= np.maximum(1e-5 * size, rounding)), result.gap / size
    assert np.isin(result.status, ["", "cancelling"]).all()  # untrained nets have logits next to nothing


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_completeness(name):
    model, images, reference = application(name)
    attributor = ta.Attributor(model, of="logits")
    assert ta.coverage(attributor).uncovered == ()
    result = attributor.attribute(images, baselines=reference, method="deeplift")
    assert_complete(result)
    assert result.attributions.shape == images.shape


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPORTED)
def test_exports_are_as_the_model(name, tmp_path):
    model, images, reference = application(name)
    model.export(tmp_path / name, verbose=False)
    first, second = (
        ta.Attributor(one, of="logits").attribute(images, 3, reference, "deeplift") for one in (model, tmp_path / name)
    )
    assert_complete(second)
    # not to the last bit: a different order of summation turns a maximum or a rectifier here and there
    assert np.abs(first.attributions - second.attributions).sum() <= 1e-3 * first.magnitudes.sum()
