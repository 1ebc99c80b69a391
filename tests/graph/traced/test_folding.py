"""Batch normalisation in the weights of what stands before it: the same numbers, and no pass over activations."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_attrib as ta
from tf_attrib.graph.traced import cut
from tf_attrib.graph.traced.folding import LINEAR
from tf_attrib.graph.traced.heads_and_lookups import ancestors

layers = keras.layers
RNG = np.random.default_rng(5)
NETS = {
    "bias": lambda: [layers.Conv2D(4, 3)],
    "no bias": lambda: [layers.Conv2D(4, 3, use_bias=False)],
    "depthwise": lambda: [layers.DepthwiseConv2D(3, depth_multiplier=2)],
    "transposed": lambda: [layers.Conv2DTranspose(4, 3, strides=2)],
    "grouped": lambda: [layers.Conv2D(6, 3, groups=3)],
    "strided": lambda: [layers.Conv2D(4, 3, strides=2, padding="same", dilation_rate=1)],
    "volume": lambda: [layers.Reshape((6, 6, 2, 3)), layers.Conv3D(4, 2)],
    "no scale": lambda: [layers.Conv2D(4, 3), layers.Conv2D(4, 1)],
}
SHAPE = (6, 12, 3)


def net(parts, norm=layers.BatchNormalization):
    """The parts, each followed by a normalisation with statistics of its own and an activation."""
    return beside({"": parts}, norm)


def beside(branches, norm=layers.BatchNormalization):
    """Several such branches from one input to one head."""
    given, found = keras.Input(SHAPE), []
    for name, parts in branches.items():
        x = given
        for part in parts:
            x = part(x)
            if not isinstance(part, layers.Reshape):
                x = layers.Activation("gelu")((norm(scale=False) if name == "no scale" else norm())(x))
        found.append(layers.Flatten()(x))
    model = keras.Model(given, layers.Dense(3)(layers.Concatenate()(found) if len(found) > 1 else found[0]))
    moved(model)
    return model


def moved(model):
    """Every weight another one: of variances a positive one."""
    for variable in model.variables:
        low, high = (0.5, 1.5) if "variance" in variable.name or "gamma" in variable.name else (-0.6, 0.6)
        variable.assign(RNG.uniform(low, high, variable.shape))


def images(model, count=2):
    return RNG.uniform(size=(count, *SHAPE)).astype(model.compute_dtype)


def by_tape(model, x):
    """Scores and their gradients for class 1, as TensorFlow has them."""
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        score = model(x, training=False)[:, 1]
    return score.numpy(), tape.gradient(score, x).numpy()


def assert_as_by_tape(attributor, x, rounding):
    found = attributor.attribute(x, 1, method="gradient")
    scores, gradients = by_tape(attributor.model, x)
    np.testing.assert_allclose(found.scores, scores, rtol=rounding, atol=rounding)
    np.testing.assert_allclose(found.attributions, gradients, rtol=0, atol=rounding * np.abs(gradients).max())


def kernels(attributor):
    """How many linear operations of the gradients' graph have weights that are a product, and how many there are."""
    (session,) = attributor._sessions.values()
    found = [one for one in session.function._backward._function.graph.get_operations() if one.type in LINEAR]
    return sum(one.inputs[LINEAR[one.type][0]].op.type == "Mul" for one in found), len(found)


@pytest.fixture
def as_written(monkeypatch):
    """Cuts that fold nothing."""

    def use():
        monkeypatch.setattr(cut, "fold", lambda *graph: None)

    return use


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("grouped", [False, True])
def test_numbers_are_those_of_the_model_as_it_is_written(grouped):
    """Every kind of linear operation, each in a branch of its own."""
    branches = {name: parts() for name, parts in NETS.items() if (name == "grouped") == grouped}
    model = beside(branches)
    attributor = ta.Attributor(model)
    assert_as_by_tape(attributor, images(model), 1e-12)
    folded, count = kernels(attributor)
    linear = [part for parts in branches.values() for part in parts if not isinstance(part, layers.Reshape)]
    # Keras hides grouped convolutions on a CPU in a function that is compiled by XLA
    assert folded == count == (0 if grouped else 2 * len(linear))
    assert grouped or len(linear) == 8


@pytest.mark.usefixtures("double")
def test_every_kind_of_attribution_is_as_without_folding(as_written):
    model = net([layers.Conv2D(4, 3), layers.DepthwiseConv2D(3)])
    x = images(model)
    methods = ["integrated_gradients", ta.IntegratedGradients(n_steps=7), "occlusion", "deeplift", "grad_cam"]
    attributor = ta.Attributor(model)
    found = [attributor.attribute(x, 0, method=method) for method in methods]
    assert kernels(attributor)[0]
    as_written()
    plain = ta.Attributor(model)
    for method, one in zip(methods, found, strict=True):
        other = plain.attribute(x, 0, method=method)
        np.testing.assert_allclose(one.attributions, other.attributions, rtol=1e-10, atol=1e-13, err_msg=str(method))
        np.testing.assert_array_equal(one.evaluations, other.evaluations)
    assert not kernels(plain)[0]


def test_variables_stay_live():
    model = net([layers.Conv2D(4, 3), layers.DepthwiseConv2D(3)])
    attributor = ta.Attributor(model)
    for _ in range(2):
        assert_as_by_tape(attributor, images(model), 1e-5)
        moved(model)
    assert kernels(attributor) == (4, 4)


def test_the_fused_operation_of_older_models():
    import tf_keras

    given = tf_keras.Input(SHAPE)
    inner = tf_keras.layers.BatchNormalization()(tf_keras.layers.Conv2D(4, 3)(given))
    inner = tf_keras.layers.BatchNormalization()(tf_keras.layers.DepthwiseConv2D(3, use_bias=False)(tf.nn.relu(inner)))
    model = tf_keras.Model(given, tf_keras.layers.Dense(3)(tf_keras.layers.Flatten()(tf.nn.relu(inner))))
    for variable in model.variables:
        variable.assign(RNG.uniform(0.5, 1.5, variable.shape))
    attributor = ta.Attributor(model)
    for _ in range(2):
        assert_as_by_tape(attributor, images(model), 1e-5)
        model.variables[2].assign(RNG.uniform(0.5, 1.5, model.variables[2].shape))
    assert kernels(attributor) == (4, 4)
    (session,) = attributor._sessions.values()
    graph = session.function._backward._function.graph
    assert not [one.type for one in ancestors(graph.outputs, graph.inputs) if "BatchNorm" in one.type]


def gradient_of_a_scale(x):
    """Scores of a net that takes a gradient itself: at a convolution, and at the scale of the normalisation behind it."""
    rng = np.random.default_rng(0)
    kernel, scale, mean = (tf.constant(rng.normal(size=size), tf.float32) for size in ((3, 3, 2, 4), 4, 4))
    variance = tf.constant([1.0, 2.0, 3.0, 0.5])
    inner = tf.nn.conv2d(x, kernel, 1, "SAME")
    norm = tf.raw_ops.FusedBatchNormV3(
        x=inner, scale=scale, offset=mean, mean=mean, variance=variance, epsilon=0.1, is_training=False
    )
    back = tf.raw_ops.FusedBatchNormGradV3(
        y_backprop=tf.cos(norm.y),
        x=inner,
        scale=scale,
        reserve_space_1=mean,
        reserve_space_2=variance,
        reserve_space_3=norm.reserve_space_3,
        epsilon=0.1,
        is_training=False,
    )
    given = tf.nn.conv2d_transpose(back.x_backprop, kernel, tf.shape(x), 1, "SAME")
    return tf.reduce_sum(tf.sin(given), [1, 2, 3]) + tf.reduce_sum(back.scale_backprop)


class Excite(layers.Layer):
    """Channels times factors of the example's own."""

    def call(self, x):
        return x * tf.sigmoid(tf.reduce_mean(x, [1, 2], keepdims=True))


class Twice(layers.Layer):
    """A convolution whose output is taken in front of the normalisation too."""

    def __init__(self):
        super().__init__()
        self.linear, self.norm = layers.Conv2D(4, 3), layers.BatchNormalization()

    def call(self, x):
        x = self.linear(x)
        return tf.nn.relu(x) + self.norm(x)


def test_what_other_operations_take_and_what_rows_change_stays():
    for parts, backward in (([layers.Conv2D(4, 3), Excite()], 0), ([Twice()], 0)):
        model = net(parts, layers.Identity)
        attributor = ta.Attributor(model)
        assert_as_by_tape(attributor, images(model), 1e-5)
        assert kernels(attributor)[0] == backward


def test_a_convolution_stays_that_a_gradient_of_a_scale_takes():
    """The transpose that follows that gradient is scaled; the convolution in front is not, which it takes too."""
    x = RNG.normal(size=(1, 5, 5, 2)).astype("float32")
    found = ta.Attributor(gradient_of_a_scale).attribute(x, method=ta.Occlusion((5, 5)))
    expected = gradient_of_a_scale(tf.constant(x)) - gradient_of_a_scale(tf.zeros_like(x))
    np.testing.assert_allclose(found.attributions, np.broadcast_to(expected[0], x.shape), rtol=1e-4)


def test_a_bias_along_another_axis_that_is_as_long_is_none_of_channels():
    shapes = (3, 3, 3, 6), (6,), (6,), (12, 2)  # of constants TensorFlow makes that mistake itself
    kernel, factor, bias, head = (tf.Variable(RNG.normal(size=shape), dtype=tf.float32) for shape in shapes)

    def model(x, training=False):
        seen = tf.nn.conv2d(x, kernel, 1, "SAME") * factor
        return tf.reduce_sum(tf.nn.gelu(tf.nn.bias_add(seen, bias, data_format="NCHW")), [1, 3]) @ head

    x = RNG.uniform(size=(2, *SHAPE)).astype("float32")
    assert_as_by_tape(ta.Attributor(model), x, 1e-4)


def test_an_output_in_front_of_the_factor_can_be_selected_and_explained():
    model = net([layers.Conv2D(4, 3, name="inner")])
    x = images(model)
    inner = keras.Model(model.input, model.get_layer("inner").output)
    found = ta.Attributor(model, of=ta.layer("inner", unit=(..., 2))).attribute(x, method="gradient", target=None)
    np.testing.assert_allclose(found.scores, inner(x).numpy()[..., 2].sum((1, 2)), rtol=1e-4)
    found = ta.Attributor(model, at="inner").attribute(x, 1, method=ta.IntegratedGradients(n_steps=300))
    assert np.all(np.abs(found.gap) < 1e-2 * np.abs(found.difference).max())


def test_weights_larger_than_what_is_saved_are_left():
    model = net([layers.Conv2D(64, (6, 12), use_bias=False)])  # one position
    attributor = ta.Attributor(model)
    assert_as_by_tape(attributor, images(model), 1e-5)
    assert kernels(attributor)[0] == 0


def test_half_precision_is_left():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = net([layers.Conv2D(4, 3)])
    finally:
        keras.config.set_dtype_policy("float32")
    attributor = ta.Attributor(model)
    attributor.attribute(images(model).astype("float32"), 1, method="gradient")
    assert kernels(attributor)[0] == 0


@pytest.mark.parametrize(("size", "scale"), [(1e-25, 1e-22), (1e20, 1e20)], ids=["vanish", "overflow"])
def test_weights_and_factors_whose_product_no_float_holds_stay_apart(size, scale):
    """What they are multiplied by in between is of a usual size."""
    given = keras.Input((4, 4, 2))
    convolution, norm, head = layers.Conv2D(3, 2), layers.BatchNormalization(center=False), layers.Dense(1)
    hidden = layers.GlobalAveragePooling2D()(norm(convolution(given)))
    model = keras.Model(given, head(hidden))
    for variable, factor in ((convolution.kernel, size), (norm.gamma, scale), (head.kernel, 1e17 if size < 1 else 1.0)):
        variable.assign(variable * factor)
    x = (RNG.uniform(0.5, 1, (2, 4, 4, 2)) * (1e30 if size < 1 else 1e-37)).astype("float32")
    result = ta.Attributor(model).attribute(x, method="occlusion", verbose=False)
    assert np.abs(result.scores).min() > 1e-4
    np.testing.assert_allclose(result.scores, model(x)[:, 0], rtol=1e-4)
