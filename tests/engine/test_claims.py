"""What a method of others says of itself: held against itself, and against what its rows give."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

import tf_attrib as ta
from tf_attrib import extend
from tf_attrib.engine.method import as_method

from ..conftest import assert_refused

X = np.array([[1.0, 2.0, -1.0], [0.5, -2.0, 3.0]], "float32")


@pytest.fixture(autouse=True)
def _as_before():
    yield
    for name in list(extend.METHODS.added):
        del extend.METHODS[name]


@pytest.fixture(scope="module")
def cubes():
    return ta.Attributor(lambda x: tf.reduce_sum(x**3, 1))


@dataclasses.dataclass(frozen=True)
class Slope(ta.Method):
    """The gradient at the input."""

    takes_baselines = uses_baseline = in_score_units = False
    kind = "slope"

    def points(self, references, rng, features, kind):
        return extend.points.at_input()

    def row(self, features, kind):
        return extend.GradientIntegrand("one")


def saying(base=Slope, **said):
    return type("Mine", (base,), {"__module__": __name__, **said})


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"complete": True, "kind": "contribution", "in_score_units": True}, "complete = True and uses_baseline = False"),
        ({"takes_baselines": True}, "takes_baselines = True and uses_baseline = False"),
        ({"needs_data": True}, "needs_data = True and takes_baselines = False"),
        ({"kind": "contribution"}, 'kind = "contribution" and in_score_units = False'),
        ({"in_score_units": True}, 'kind = "slope" and in_score_units = True'),
        ({"kind": "effect", "in_score_units": True}, 'kind = "effect" and in_score_units = True'),
    ],
)
def test_what_a_method_cannot_say_together(cubes, said, words):
    assert_refused(lambda: cubes.attribute(X, method=saying(**said)()), "Mine says", words)
    assert_refused(lambda: extend.METHODS.add("mine", saying(**said)), words)


@pytest.mark.parametrize("name", list(ta.METHODS))
def test_methods_of_the_library_do_not_contradict_themselves(name):
    method = ta.METHODS[name]()
    assert as_method(method) is method


def test_a_method_is_not_called_as_the_random_attribution_is():
    assert_refused(lambda: extend.METHODS.add("random", Slope), "the random attribution")


# slopes


def zeros_for_slopes(function, row):
    score, gradients = function.gradients(row.point(), row.context, row.target)
    return score, tf.zeros_like(score), {key: gradient * row.x[key] for key, gradient in gradients.items()}


@pytest.mark.parametrize("jit_compile", [False, True])
def test_zeros_do_not_pass_for_slopes_along_the_path(jit_compile):
    cubes = ta.Attributor(lambda x: tf.reduce_sum(x**3, 1), jit_compile=jit_compile)
    said = {"on_path": True, "uses_baseline": True, "in_score_units": True, "kind": "contribution"}
    said["row"] = lambda self, features, kind: zeros_for_slopes
    assert_refused(lambda: cubes.attribute(X, method=saying(**said)()), "on_path = True", "row.difference()")
    found = cubes.attribute(X, method=saying(**said | {"on_path": False})())
    np.testing.assert_allclose(found.attributions, 3 * X**3, rtol=1e-5)
    assert found.gradient_share is None
    # slopes that happen to be zero are slopes: a saturated score says so
    said["row"] = lambda self, features, kind: extend.GradientIntegrand("input")
    saturated = ta.Attributor(lambda x: tf.reduce_sum(tf.minimum(x, 1.0), 1), jit_compile=jit_compile)
    np.testing.assert_array_equal(saturated.attribute(np.full((1, 2), 2.0), method=saying(**said)()).gradient_share, [0])


# what is not finite


def broken(function, row):
    """Finite scores and slopes of zero, and a division by zero in the second example alone."""
    score, gradients = function.gradients(row.point(), row.context, row.target)
    return score, tf.zeros_like(score), {key: gradient / tf.nn.relu(row.x[key]) for key, gradient in gradients.items()}


def test_attributions_that_are_not_finite_are_no_attributions(cubes):
    x, method = np.array([[1.0, 2.0, 3.0], [1.0, -2.0, 3.0]], "float32"), saying(row=lambda self, features, kind: broken)()
    assert_refused(lambda: cubes.attribute(x, method=method), "attribution is NaN or infinite for example(s) 1;")
    found = cubes.attribute(x, method=method, on_error="mark")
    assert list(found.status) == ["", "not_finite"]
    np.testing.assert_allclose(found.attributions[0], 3 * x[0], rtol=1e-5)
    assert np.isnan(found.attributions[1]).all()


def test_nor_are_those_of_noisy_copies(cubes):
    method = ta.SmoothGrad(saying(row=lambda self, features, kind: broken)(), n_samples=2, stddev=1e-3)
    assert_refused(lambda: cubes.attribute(-np.abs(X), method=method), "NaN or infinite for example(s) 0, 1")


# fields


class Undecorated(ta.IntegratedGradients):
    rule: object = "trapezoid"
    n_steps: object = 2


class Behind(Undecorated):
    """Of one that says it."""


class Bare(ta.IntegratedGradients):
    n_steps = 2


@dataclasses.dataclass(frozen=True)
class DecoratedBare(ta.IntegratedGradients):
    n_steps = 2


@pytest.mark.parametrize(
    ("method", "words"),
    [
        (Undecorated, "Undecorated says rule, n_steps and is no dataclass"),
        (Behind, "Undecorated says rule, n_steps and is no dataclass"),
        (Bare, "Bare says n_steps = 2 of a field without its type"),
        (DecoratedBare, "write n_steps: int = 2"),
    ],
)
def test_defaults_that_a_dataclass_would_not_take_are_refused(cubes, method, words):
    assert_refused(lambda: cubes.attribute(X, method=method()), words, "@dataclasses.dataclass(frozen=True)")
    assert_refused(lambda: extend.METHODS.add("mine", method), words)


@dataclasses.dataclass(frozen=True)
class Trapezoid(ta.IntegratedGradients):
    """Integrated gradients by the trapezoid rule."""

    rule: str = "trapezoid"
    n_steps: int = 2


@dataclasses.dataclass(frozen=True)
class Coarser(Trapezoid):
    """The same with one step."""

    n_steps: int = 1


def test_defaults_of_a_dataclass_are_taken_and_told_as_they_are(cubes):
    found = cubes.attribute(X, method=Trapezoid())
    np.testing.assert_array_equal(found.evaluations, 3)
    assert found.method == "Trapezoid(rule='trapezoid', n_steps=2)"
    assert repr(Coarser()) == "Coarser(rule='trapezoid', n_steps=1)"


def test_a_class_that_says_nothing_of_fields_needs_no_decorator(cubes):
    np.testing.assert_allclose(cubes.attribute(X, method=saying(linear=False)()).attributions, 3 * X**2, rtol=1e-5)
