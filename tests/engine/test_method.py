"""Methods that others write: the table takes them, and what they give is checked before anything is summed."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_attrib as ta
from tf_attrib.extend import METHODS, GradientIntegrand, Points, per_row_sum, points

from ..conftest import assert_refused

X = np.array([[1.0, 2.0, -1.0], [0.5, -2.0, 3.0]], "float32")


@dataclasses.dataclass(frozen=True)
class Squared:
    """The squared gradient."""

    def __call__(self, function, row):
        score, gradients = function.gradients(row.point(), row.context, row.target)
        return score, tf.zeros_like(score), {key: tf.square(value) for key, value in gradients.items()}


@dataclasses.dataclass(frozen=True)
class Saliency(ta.Method):
    """(dF/dx)² at the input."""

    takes_baselines = False
    uses_baseline = False
    linear = False
    kind = "square"
    in_score_units = False

    def points(self, references, rng, features, kind):
        return points.at_input()

    def row(self, features, kind):
        return Squared()


@pytest.fixture(autouse=True)
def _as_before():
    yield
    for name in list(METHODS.added):
        del METHODS[name]


@pytest.fixture(scope="module")
def cubes():
    return ta.Attributor(lambda x: tf.reduce_sum(x**3, 1))


def test_a_method_of_ones_own_by_instance_and_by_name(cubes):
    wanted = (3 * X**2) ** 2
    np.testing.assert_allclose(cubes.attribute(X, method=Saliency()).attributions, wanted, rtol=1e-5)
    METHODS["saliency"] = Saliency
    result = cubes.attribute(X, method="saliency")
    np.testing.assert_allclose(result.attributions, wanted, rtol=1e-5)
    assert (result.kind, result.gap) == ("square", None)
    smooth = cubes.attribute(X, method=ta.SmoothGrad("saliency", n_samples=3, stddev=1e-4), seed=0)
    np.testing.assert_allclose(smooth.attributions, wanted, rtol=0.01)
    assert_refused(lambda: cubes.attribute(X, method="salience"), "'saliency'")


def test_integrands_are_summed_by_their_keys_in_whichever_order():
    def turned(function, row):
        score, slope, found = GradientIntegrand()(function, row)
        return score, slope, dict(reversed(found.items()))

    class Turned(ta.IntegratedGradients):
        def row(self, features, kind):
            return turned

    attributor = ta.Attributor(lambda inputs: tf.reduce_sum(inputs["a"] * 2 + inputs["b"] ** 2, 1))
    x = {"a": X, "b": 3 * X}
    straight, other = (
        attributor.attribute(x, method=method(n_steps=4)).attributions for method in (ta.IntegratedGradients, Turned)
    )
    for key in x:
        np.testing.assert_array_equal(straight[key], other[key])


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (lambda f, r: r.x, ["score (rows,)", "dict"]),
        (lambda f, r: (r.score, r.score, {"x": r.alpha}), ["keys [None]", "['x']"]),
        (lambda f, r: (r.score[:, None], r.score, r.x), ["the score", "(None, 1)"]),
        (lambda f, r: (r.score, r.x[None], r.x), ["the slope", "per_row_sum"]),
        (lambda f, r: (r.score, r.score, {None: r.alpha}), ["float32 (rows, 3)", "(None,)"]),
        (lambda f, r: (r.score, r.score, {None: tf.cast(r.x[None], tf.float64)}), ["float32 (rows, 3)", "float64"]),
        (lambda f, r: (r.score, r.score, {None: r.x[None][:, :2]}), ["float32 (rows, 3)", "(None, 2)"]),
        ([1], ["a function or a frozen dataclass", "[1]"]),
    ],
)
def test_row_functions_that_give_something_else_are_refused(cubes, row, words):
    class Odd(Saliency):
        def row(self, features, kind):
            return row

    assert_refused(lambda: cubes.attribute(X, method=Odd()), *words)


ONE, ZERO = np.ones(1), np.zeros(1, int)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (None, ["ta.extend.Points", "None"]),
        (Points(np.ones(2), ONE, ZERO, ZERO), ["one number for each row", "(2,)"]),
        (Points(ONE * np.nan, ONE, ZERO, ZERO), ["must be finite"]),
        (Points(ONE, ONE, ZERO + 1, ZERO), ["reference", "0 to 0"]),
        (Points(ONE, ONE, ZERO, ZERO + 1), ["slot", "0 to 0"]),
        (Points(np.ones(2), np.ones(2), np.zeros(2, int), np.array([1, 0]), 2), ["slot", "ascend"]),
    ],
)
def test_points_that_cannot_be_summed_are_refused(cubes, found, words):
    class Odd(Saliency):
        def points(self, references, rng, features, kind):
            return found

    assert_refused(lambda: cubes.attribute(X, method=Odd()), *words)


@dataclasses.dataclass(frozen=True)
class Reversed:
    """Gradients by key, in an order of its own."""

    def __call__(self, function, row):
        score, gradients = function.gradients(row.point(), row.context, row.target)
        return score, tf.zeros_like(score), dict(reversed(gradients.items()))


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("given", ["list", "dict"])
def test_several_inputs_are_handed_over_by_place_or_name_whatever_the_models_own_keys_are(named, given):
    class Slope(Saliency):
        kind = "slope"

        def row(self, features, kind):
            return Reversed()

    a, b = keras.Input((2,), name="a"), keras.Input((2,), name="b")
    score = keras.layers.Dense(1, kernel_initializer=lambda shape, dtype: tf.reshape(tf.range(1.0, 5), shape))
    model = keras.Model({"a": a, "b": b} if named else [a, b], score(keras.layers.Concatenate()([a, b])))
    x, y = np.ones((3, 2), "float32"), np.ones((3, 2), "float32")
    for method in (Slope(), "gradient", "deeplift", ta.IntegratedGradients(n_steps=2)):
        found = ta.Attributor(model).attribute([x, y] if given == "list" else {"b": y, "a": x}, method=method).attributions
        first, second = (found["a"], found["b"]) if given == "dict" else found
        np.testing.assert_allclose(first, [[1, 2]] * 3, rtol=1e-5)
        np.testing.assert_allclose(second, [[3, 4]] * 3, rtol=1e-5)


def test_the_share_of_the_gradient_is_said_by_those_alone_that_give_slopes(cubes):
    """What gives zeros for slopes, as it may, would be called saturated."""

    class WithBaseline(Saliency):
        takes_baselines = uses_baseline = True

    class OnPath(WithBaseline):
        on_path = True

        def row(self, features, kind):
            return GradientIntegrand("one")

    assert cubes.attribute(X, method=WithBaseline()).gradient_share is None
    np.testing.assert_allclose(cubes.attribute(X, method=OnPath()).gradient_share, 3, rtol=1e-5)  # of x³, from zero


def test_what_is_no_method_is_refused(cubes):
    class Unfinished(ta.Method):
        def points(self, references, rng, features, kind):
            return points.at_input()

    @dataclasses.dataclass(frozen=True)
    class Asks(Saliency):
        level: int = dataclasses.field(kw_only=True)

    class Odd(Saliency):
        kind = "colour"

    for entry, words in (
        (Saliency(), ["a subclass of ta.Method", "Saliency"]),
        (dict, ["a subclass of ta.Method"]),
        (Unfinished, ["Unfinished must say row"]),
        (Asks, ["each field needs a default", "level"]),
        (Odd, ["contribution, slope", "'colour'"]),
    ):
        assert_refused(lambda entry=entry: METHODS.update(mine=entry), *words)
    assert_refused(lambda: METHODS.update(gradient=Saliency), "has a method 'gradient'")
    assert_refused(lambda: cubes.attribute(X, method=Saliency), "is the class Saliency", "method=Saliency()")
    assert_refused(lambda: cubes.attribute(X, method=Unfinished()), "Unfinished says no row")


def test_a_method_that_needs_data_says_so():
    class FromData(Saliency):
        takes_baselines, needs_data = True, True

    assert_refused(lambda: FromData().default_baseline(), "drawn from data", "ta.dataset(samples)")


def test_sums_of_a_row_are_over_all_axes_but_the_first():
    np.testing.assert_array_equal(per_row_sum(tf.ones((2, 3, 4))), [12, 12])
