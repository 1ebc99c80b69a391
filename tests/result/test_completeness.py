"""Whoever claims that attributions add up has a status where they do not, and none where they do but for rounding."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_attrib as ta
from tf_attrib.result.completeness import CANCELLING, INCOMPLETE, MOST_CANCELLED, judged

RNG = np.random.default_rng(12)
FEATURES = RNG.normal(size=(6, 5)).astype("float32")


def status(gap, difference, magnitude, scale, exact=True):
    return str(judged(*(np.array([value], float) for value in (gap, difference, magnitude, scale)), exact, "short")[0])


@pytest.mark.parametrize(
    ("gap", "difference", "magnitude", "scale", "wanted"),
    [
        (1e-7, 1, 2, 1, ""),
        (0.01, 1, 2, 1, "short"),  # 0.5% of what was attributed
        (1e-6, 1e-6, 2, 1, ""),  # the same class on both sides: difference and gap are rounding
        (4e-6, 1e-6, 3, 1, ""),
        (1e-5, 1e-5, 20, 1, ""),  # rounding of larger terms
        (0.037, 1, 250, 1, ""),  # 3.7%: rounding of such terms, and it is stated
        (0.37, 1, 2e5, 1, "short"),  # a sizeable part of the difference, and next to nothing of terms that exploded
        (6.37, 1, 4e7, 1, "short"),
        (1e-4, 1, 4e5, 1, CANCELLING),
        (1e-4, 1e-3, 2 * MOST_CANCELLED, 1, CANCELLING),
        (1e-9, 1e-3, 5, 1, ""),  # small by chance: other classes tell the scale
        (1e-6, 0.5, 100, 0.5, ""),
        (0, 0, 0, 0, ""),
    ],
)
def test_what_is_exact(gap, difference, magnitude, scale, wanted):
    assert status(gap, difference, magnitude, scale) == wanted
    assert status(-gap, -difference, magnitude, scale) == wanted


@pytest.mark.parametrize(
    ("gap", "difference", "magnitude", "scale", "wanted"),
    [
        (0.04, 1, 2, 1, ""),
        (1e-3, 1e-3, 0.05, 1, "short"),
        (0.06, 1, 2, 1, "short"),
        (0.06, 1, 7, 1, ""),
        (1e-6, 1e-6, 1e-5, 1, ""),
    ],
)
def test_what_is_an_integral(gap, difference, magnitude, scale, wanted):
    assert status(gap, difference, magnitude, scale, exact=False) == wanted


@tf.custom_gradient
def rounded(x):
    """Rounds, and says that it does nothing of the kind."""
    return tf.round(2 * x), lambda upstream: 0.5 * upstream


def steep(x):
    return tf.sigmoid(40 * (tf.reduce_sum(x, 1) - 0.4))


def turning(x):
    """What is chosen depends on whether a logarithm is infinite, which rules do not know."""
    return tf.where(tf.math.is_finite(tf.math.log(tf.abs(x[:, 0]))), x[:, 1] + 1, 3 * (x[:, 1] + 1))


ONES = np.full((2, 5), 0.5, "float32")
INCOMPLETE_CALLS = {
    "integrated_gradients, steps": (steep, ta.IntegratedGradients(rule="left", n_steps=2), None, "too_few_steps"),
    "integrated_gradients": (lambda x: tf.reduce_sum(rounded(x), 1), ta.IntegratedGradients(), None, None),
    "blur_ig, steps": (steep, ta.BlurIG(rule="left", n_steps=2, max_sigma=100, border="zeros"), None, "too_few_steps"),
    "guided_ig": (steep, ta.GuidedIG(2), None, "too_few_steps"),
    "expected_gradients": (steep, ta.ExpectedGradients(1), ta.dataset(np.zeros((1, 5), "float32")), "too_few_samples"),
    "deeplift": (turning, "deeplift", None, INCOMPLETE),
    "deepshap": (turning, "deepshap", ta.dataset(np.zeros((2, 5), "float32")), INCOMPLETE),
}


@pytest.mark.parametrize("name", INCOMPLETE_CALLS)
def test_what_does_not_add_up_has_a_status_and_a_sentence(name):
    function, method, baselines, wanted = INCOMPLETE_CALLS[name]
    result = ta.Attributor(function).attribute(ONES, method=method, baselines=baselines, seed=0)
    assert (np.abs(result.relative_gap) > 0.05).all()
    assert not set(result.status) & {"", "converged"}
    assert wanted is None or set(result.status) == {wanted}
    assert f"2 of 2 ({result.status[0]}; examples 0, 1)" in repr(result)


@pytest.fixture(scope="module")
def layered():
    keras.utils.set_random_seed(3)
    return keras.Sequential([keras.Input((5,)), keras.layers.Dense(8, "tanh", name="hidden"), keras.layers.Dense(1)])


@pytest.mark.parametrize("conductance", [ta.Conductance(rule="left", n_steps=1), ta.Conductance(n_steps=20)])
def test_conductance_by_a_fixed_rule(layered, conductance):
    result = ta.Attributor(layered, at="hidden").attribute(3 * FEATURES, method=conductance)
    few = (np.abs(result.gap) > 0.05 * np.abs(result.difference)) & (np.abs(result.gap) > 0.01 * result.magnitudes)
    assert result.status.tolist() == ["too_few_steps" if one else "" for one in few]
    assert few.any() == (conductance.n_steps == 1)


def test_every_method_that_claims_completeness_is_here():
    # scores alone add up whatever the gradients are
    claimed = {name for name, method in ta.METHODS.items() if method.complete and not method.forward_only}
    claimed |= {"expected_gradients", "guided_ig"}
    assert claimed == {name.partition(",")[0] for name in INCOMPLETE_CALLS} | {"conductance"}


def test_what_leads_around_a_layer_is_no_fault():
    inputs = keras.Input((5,))
    hidden = keras.layers.Dense(5, "tanh", name="hidden")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Add()([inputs, hidden])))
    result = ta.Attributor(model, at="hidden").attribute(FEATURES, method=ta.Conductance(n_steps=20))
    assert np.abs(result.relative_gap).max() > 0.05
    assert result.status is None or set(result.status) == {""}


def stack(blocks):
    """Blocks as in a transformer with post-normalisation, without attention."""
    rng = np.random.default_rng(0)
    kernels = [tf.constant(rng.normal(size=(16, 16)) / 4, tf.float32) for _ in range(blocks)]
    head = tf.constant(rng.normal(size=(16, 3)) / 4, tf.float32)

    def net(x):
        for kernel in kernels:
            x = x + tf.tanh(x @ kernel)
            x = x - tf.reduce_mean(x, -1, keepdims=True)
            x = x * tf.math.rsqrt(tf.reduce_mean(x * x, -1, keepdims=True) + 1e-6)
        return x @ head

    return net


def test_stacked_normalisations_against_zeros_are_told():
    x = RNG.normal(size=(6, 16)).astype("float32")
    attributors = [ta.Attributor(stack(blocks), batch_size=12) for blocks in (1, 9, 20)]
    sound, cancelling, gone = (attributor.attribute(x, 1, method="deeplift") for attributor in attributors)
    assert set(sound.status) == {""}
    assert set(cancelling.status) == {CANCELLING}
    assert "CANCELLING: 6 of 6" in repr(cancelling)
    assert np.abs(cancelling.relative_gap).max() < 0.05
    assert (cancelling.cancellation > MOST_CANCELLED).all()
    assert (np.abs(gone.relative_gap) > 0.05).any()
    assert set(gone.status) <= {CANCELLING, INCOMPLETE}
    assert ((gone.status == INCOMPLETE) == (np.abs(gone.relative_gap) > 0.05)).all()
    mended = attributors[1].attribute(x, 1, x[::-1].copy(), "deeplift")
    assert set(mended.status) == {""}


def test_examples_that_are_like_their_baselines_are_not_accused():
    """Five hundred pairs, of which many have next to the same score."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [keras.Input((5,)), *[keras.layers.Dense(32, "relu") for _ in range(4)], keras.layers.Dense(4, "softmax")]
    )
    x = RNG.normal(size=(500, 5)).astype("float32")
    near = x + 1e-5 * RNG.normal(size=x.shape).astype("float32")
    for of, rule in (("probability", "rescale"), ("logits", "reveal_cancel")):
        attributor = ta.Attributor(model, of=of)
        for baselines in (None, near, x[::-1].copy(), x):
            assert set(attributor.attribute(x, baselines=baselines, method=ta.DeepLift(rule)).status) == {""}


def test_the_doctor_finds_attributions_that_cancel():
    attributor = ta.Attributor(lambda x: 1000 * (x[:, 0] - x[:, 1]) + tf.tanh(x[:, 2]))
    report = ta.diagnose(attributor, np.array([[1, 1, 0.5], [1, 1, 0.7]], "float32"))
    assert report["cancellation"].evidence["largest_multiple"] > MOST_CANCELLED
    assert report["cancellation"].examples == (0, 1)
    other = ta.diagnose(attributor, np.array([[1, 0.5, 0.5]], "float32"))
    assert "cancellation" not in {one.name for one in other.findings}
