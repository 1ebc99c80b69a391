"""A rule for every operation that the layers of Keras put on the path, and completeness of each (marked `slow`)."""

import keras
import numpy as np
import pytest
from keras import layers

import tf_attrib as ta

from ...conftest import assert_refused


def sequence(*stack):
    """A model of layers on sequences of 6 vectors of 4."""
    return keras.Sequential([keras.Input((6, 4)), *stack, layers.Flatten(), layers.Dense(3, "softmax")]), (6, 4)


def image(*stack):
    return keras.Sequential([keras.Input((8, 8, 4)), *stack, layers.Flatten(), layers.Dense(3, "softmax")]), (8, 8, 4)


def volume(*stack):
    return keras.Sequential([keras.Input((4, 4, 4, 2)), *stack, layers.Flatten(), layers.Dense(3, "softmax")]), (4, 4, 4, 2)


def merged(layer):
    """Two branches of a sequence, merged."""
    inputs = keras.Input((6, 4))
    both = [layers.Dense(4, "tanh")(inputs), layers.Dense(4, "sigmoid")(inputs)]
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(layer(both)))), (6, 4)


def attention(make):
    inputs = keras.Input((6, 4))
    query, value = layers.Dense(4)(inputs), layers.Dense(4)(inputs)
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(make(query, value)))), (6, 4)


ACTIVATIONS = (
    "celu",
    "elu",
    "exponential",
    "gelu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "squareplus",
    "tanh",
    "tanh_shrink",
)
ACTIVATION_LAYERS = ("ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax")
NORMALISATIONS = ("BatchNormalization", "LayerNormalization", "RMSNormalization", "UnitNormalization")
MERGING = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate")
LAYERS = {
    **{f"activation {name}": lambda name=name: sequence(layers.Dense(4), layers.Activation(name)) for name in ACTIVATIONS},
    **{f"{name} layer": lambda name=name: sequence(layers.Dense(4), getattr(layers, name)()) for name in ACTIVATION_LAYERS},
    **{f"{name}": lambda name=name: sequence(getattr(layers, name)(3)) for name in ("LSTM", "GRU", "SimpleRNN")},
    **{f"{name} unrolled": lambda name=name: sequence(getattr(layers, name)(3, unroll=True)) for name in ("LSTM", "GRU")},
    "GRU as in Keras 1": lambda: sequence(layers.GRU(3, reset_after=False)),
    "Bidirectional": lambda: sequence(layers.Bidirectional(layers.LSTM(3, return_sequences=True))),
    "stacked cells": lambda: sequence(layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)])),
    "activation glu": lambda: sequence(layers.Dense(4), layers.Lambda(keras.ops.glu)),
    "activation threshold": lambda: sequence(layers.Dense(4), layers.Lambda(lambda x: keras.ops.threshold(x, 0.1, 0.0))),
    "TimeDistributed": lambda: sequence(layers.TimeDistributed(layers.Dense(2, "relu"))),
    "ConvLSTM1D": lambda: (keras.Sequential([keras.Input((3, 6, 2)), layers.ConvLSTM1D(2, 3), layers.Flatten()]), (3, 6, 2)),
    "ConvLSTM2D": lambda: (
        keras.Sequential([keras.Input((3, 6, 6, 2)), layers.ConvLSTM2D(2, 3), layers.Flatten()]),
        (3, 6, 6, 2),
    ),
    **{name: lambda name=name: image(getattr(layers, name)()) for name in NORMALISATIONS},
    "GroupNormalization": lambda: image(layers.GroupNormalization(2)),
    "SpectralNormalization": lambda: sequence(layers.SpectralNormalization(layers.Dense(3))),
    "normalisation of axis 1": lambda: image(layers.BatchNormalization(axis=1), layers.LayerNormalization(axis=[1, 2])),
    **{
        f"{name}Pooling{rank}D": lambda name=name, rank=rank: (sequence, image, volume)[rank - 1](
            getattr(layers, f"{name}Pooling{rank}D")(3, 1, padding="same")
            if not name.startswith("Global")
            else getattr(layers, f"{name}Pooling{rank}D")()
        )
        for name in ("Max", "Average", "GlobalMax", "GlobalAverage")
        for rank in (1, 2, 3)
    },
    **{name: lambda name=name: merged(getattr(layers, name)()) for name in MERGING},
    "Dot": lambda: merged(layers.Dot(2, normalize=True)),
    "Attention": lambda: attention(lambda query, value: layers.Attention(use_scale=True)([query, value])),
    "AdditiveAttention": lambda: attention(lambda query, value: layers.AdditiveAttention()([query, value])),
    "MultiHeadAttention": lambda: attention(
        lambda query, value: layers.MultiHeadAttention(2, 3)(query, value, use_causal_mask=True)
    ),
    "GroupQueryAttention": lambda: attention(lambda query, value: layers.GroupQueryAttention(3, 4, 2)(query, value)),
    "Conv1D": lambda: sequence(layers.Conv1D(3, 2, padding="causal", dilation_rate=2)),
    "Conv1DTranspose": lambda: sequence(layers.Conv1DTranspose(3, 2, strides=2)),
    "SeparableConv1D": lambda: sequence(layers.SeparableConv1D(3, 2), layers.DepthwiseConv1D(2)),
    "Conv2D": lambda: image(layers.Conv2D(4, 3, strides=2, groups=2, padding="same")),
    "Conv2DTranspose": lambda: image(layers.Conv2DTranspose(3, 3, strides=2), layers.Cropping2D(1), layers.ZeroPadding2D(1)),
    "SeparableConv2D": lambda: image(layers.SeparableConv2D(3, 2, dilation_rate=2), layers.DepthwiseConv2D(2, strides=2)),
    "Conv3D": lambda: volume(layers.Conv3D(2, 2), layers.Conv3DTranspose(2, 2), layers.UpSampling3D(2)),
    "UpSampling": lambda: image(layers.UpSampling2D(2), layers.UpSampling2D(2, interpolation="bicubic"), layers.Resizing(5, 5)),
    "reshaping": lambda: image(
        layers.Permute((2, 1, 3)), layers.Reshape((16, 16)), layers.UpSampling1D(2), layers.Cropping1D(1)
    ),
    "Rescaling": lambda: image(layers.Rescaling(1 / 255, 0.5), layers.Normalization(mean=0.2, variance=1.5)),
    "EinsumDense": lambda: sequence(layers.EinsumDense("abc,cd->abd", output_shape=(6, 5))),
    "regularisation": lambda: sequence(layers.Dropout(0.5), layers.GaussianNoise(1), layers.SpatialDropout1D(0.3)),
}
if hasattr(layers, "AdaptiveMaxPooling2D"):  # since Keras 3.13
    LAYERS["AdaptivePooling"] = lambda: image(layers.AdaptiveAveragePooling2D(3), layers.AdaptiveMaxPooling2D(2))


# One after the other in one net: which layers, and how many operations these are at least.
TOGETHER = {
    "activations": (lambda: sequence(layers.Dense(4), *(layers.Activation(name) for name in ACTIVATIONS)), len(ACTIVATIONS)),
    **{
        f"poolings over {rank} axes": (
            lambda rank=rank: (sequence, image, volume)[rank - 1](
                *(getattr(layers, f"{name}Pooling{rank}D")(3, 1, padding="same") for name in ("Max", "Average")),
            ),
            3,
        )
        for rank in (1, 2, 3)
    },
    "merging layers": (lambda: merged(merged_by_all), len(MERGING)),
    "activation layers": (lambda: sequence(layers.Dense(4), *(getattr(layers, name)() for name in ACTIVATION_LAYERS)), 5),
    "recurrent layers": (
        lambda: sequence(*(getattr(layers, name)(3, return_sequences=True) for name in ("LSTM", "GRU", "SimpleRNN"))),
        3,
    ),
    "normalisations": (
        lambda: image(*(getattr(layers, name)() for name in NORMALISATIONS), layers.GroupNormalization(2)),
        len(NORMALISATIONS) + 1,
    ),
    "convolutions of sequences": (
        lambda: sequence(
            layers.Conv1D(3, 2, padding="causal", dilation_rate=2),
            layers.Conv1DTranspose(3, 2, strides=2),
            layers.SeparableConv1D(3, 2),
            layers.DepthwiseConv1D(2),
            layers.EinsumDense("abc,cd->abd", output_shape=(10, 5)),
            layers.SpectralNormalization(layers.Dense(3)),
            layers.TimeDistributed(layers.Dense(2, "relu")),
        ),
        7,
    ),
    "convolutions of images": (
        lambda: image(
            layers.Conv2D(4, 3, strides=2, groups=2, padding="same"),
            layers.Conv2DTranspose(3, 3, strides=2),
            layers.Cropping2D(1),
            layers.ZeroPadding2D(1),
            layers.SeparableConv2D(3, 2, dilation_rate=2),
            layers.DepthwiseConv2D(2, strides=2),
            layers.UpSampling2D(2),
            layers.UpSampling2D(2, interpolation="bicubic"),
            layers.Resizing(5, 5),
            layers.Rescaling(1 / 255, 0.5),
            layers.Normalization(mean=0.2, variance=1.5),
        ),
        8,
    ),
}


def merged_by_all(both):
    for name in MERGING:
        both = [getattr(layers, name)()(both), both[0]]
    return both[0]


@pytest.mark.parametrize("kinds", TOGETHER)
def test_every_operation_of_kindred_layers_of_keras_has_a_rule(kinds):
    make, least = TOGETHER[kinds]
    covered = ta.coverage(ta.Attributor(make()[0]))
    assert covered.uncovered == (), covered
    assert sum(row.count for row in covered.rows) > least


def is_in_company(name):
    """Whether a layer is among those of TOGETHER, or the same over another number of axes is looked at by itself."""
    return (
        name in (*MERGING, *NORMALISATIONS, *IN_COMPANY)
        or name.removesuffix(" layer") in ACTIVATION_LAYERS
        or name[11:] in ACTIVATIONS
        or ("Pooling" in name and name[-1] == "D" and name not in ALONE)
    )


ALONE = ("GlobalMaxPooling1D", "GlobalAveragePooling1D")
IN_COMPANY = (
    *("LSTM", "GRU", "SimpleRNN"),
    *("GroupNormalization", "SpectralNormalization", "TimeDistributed", "EinsumDense"),
    *("Conv1D", "Conv1DTranspose", "SeparableConv1D", "Conv2D", "Conv2DTranspose", "SeparableConv2D"),
    *("UpSampling", "Rescaling"),
)
ONE_BY_ONE = [pytest.param(name, marks=pytest.mark.slow) if is_in_company(name) else name for name in LAYERS]


@pytest.mark.parametrize("name", ONE_BY_ONE)
def test_every_operation_of_the_layers_of_keras_has_a_rule(name):
    model, _ = LAYERS[name]()
    covered = ta.coverage(ta.Attributor(model))
    assert covered.uncovered == (), covered
    assert sum(row.count for row in covered.rows) > 2


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYERS)
def test_completeness_of_the_layers_of_keras(name):
    keras.utils.set_random_seed(1)
    model, shape = LAYERS[name]()
    x, reference = np.random.default_rng(5).normal(size=(2, 2, *shape)).astype("float32")
    result = ta.Attributor(model).attribute(x, 1, reference, "deeplift")
    size = np.maximum(np.abs(result.difference), result.magnitudes)
    assert np.all(np.abs(result.gap) <= 1e-5 * size), result.gap / size
    assert np.abs(result.difference).min() > 0


def test_a_mask_that_is_read_off_the_selected_inputs_is_refused_by_name():
    """Which steps count is then another question at the reference than at the input, and no product says who is to blame."""
    model, shape = sequence(layers.Masking(), layers.LSTM(3))
    attributor = ta.Attributor(model)
    rows = ta.coverage(attributor).uncovered
    reasons = {row.operation: row.reason for row in rows}  # in Keras before 3.14 of the mask's cast, too
    assert reasons["SelectV2"] == "its input 0 depends on the selected tensors"
    assert_refused(
        lambda: attributor.attribute(np.ones((1, *shape), "float32"), method="deeplift"),
        "no rule",
        "SelectV2",
        "lstm",
        "integrated_gradients",
    )
