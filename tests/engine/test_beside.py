"""What follows from inputs beside the path alone is computed once for each example of a block, and the numbers are the same."""

import dataclasses
import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_attrib as ta
from tf_attrib import extend
from tf_attrib.graph.traced import beside
from tf_attrib.graph.traced.beside import Beside
from tf_attrib.graph.traced.cut import Port

from ..conftest import assert_refused
from ..helpers.run_twice import as_written
from ..helpers.shared import anew

layers = keras.layers
RNG = np.random.default_rng(9)
FIXED, REFINED = ta.IntegratedGradients(n_steps=20), ta.IntegratedGradients(0.02)
X = {"image": RNG.uniform(size=(6, 16, 16, 3)).astype("float32"), "table": RNG.normal(size=(6, 8)).astype("float32")}


def towers(mixed=lambda image: image):
    """A convolutional net over an image, and a table of eight columns; what they have in common."""
    keras.utils.set_random_seed(2)
    image, table = keras.Input((16, 16, 3), name="image"), keras.Input((8,), name="table")
    seen = layers.Conv2D(8, 3, activation="relu", name="conv")(mixed(image))
    seen = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3, activation="relu")(seen))
    both = layers.Concatenate()([seen, layers.Dense(6, activation="tanh")(table)])
    return keras.Model([image, table], layers.Dense(3, activation="softmax")(layers.Dense(8, activation="tanh")(both)))


@functools.cache
def usual():
    """Those that nobody changes."""
    return towers()


def of_table(model=None):
    """The attributor of a model at its table, of which nothing is compiled; the usual one is traced once."""
    return anew(usual(), at=ta.inputs("table")) if model is None else ta.Attributor(model, at=ta.inputs("table"))


@pytest.fixture(scope="module")
def plain():
    """One for runs as they are written, and no others: what is compiled for one stays so."""
    return of_table()


def ran(attributor):
    """The programs of an attributor, and those of the same with other paths."""
    (one,) = attributor._sessions.values()
    return [program for session in (one, *one._others.values()) for program in session._programs.values()]


@pytest.fixture
def examples_seen(monkeypatch):
    """How many rows went through what lies beside when the graph ran."""
    found, usual = [], Beside.__call__

    def counting(self, context):
        rows = tf.shape(next(iter(context.values())))[0]
        with tf.control_dependencies(
            [tf.numpy_function(lambda count: found.append(int(count)) or np.int32(0), [rows], tf.int32)]
        ):
            return usual(self, {key: tf.identity(value) for key, value in context.items()})

    monkeypatch.setattr(Beside, "__call__", counting)
    return found


@pytest.mark.parametrize(
    "method",
    [
        FIXED,
        REFINED,
        ta.IntegratedGradients(n_steps=9, path=lambda baseline, x, alpha: baseline + alpha**2 * (x - baseline)),
        pytest.param("interior_gradients", marks=pytest.mark.slow),  # rows of a path, as those above
        ta.ExpectedGradients(30),
        ta.Occlusion(),
        pytest.param(ta.Ablation(), marks=pytest.mark.slow),  # scores of what is hidden, as occlusion
        ta.ShapleySampling(exact_up_to=2, n_permutations=10),
        pytest.param(ta.KernelSHAP(exact_up_to=2), marks=pytest.mark.slow),  # scores of coalitions, as the line above
        ta.RISE(n_masks=40, grid=4),
    ],
    ids=str,
)
def test_a_tower_beside_a_table_is_run_once_for_each_example_of_a_block(method, examples_seen, plain):
    attributor = of_table()
    two = ta.Baseline("two", lambda x, rng: x[:2]) if isinstance(method, ta.ExpectedGradients) else None
    result = attributor.attribute(X, 1, two, method, seed=0)
    rows = result.evaluations.sum() + result.forward_evaluations.sum()
    assert 0 < sum(examples_seen) < rows / 3
    with as_written():
        expected = plain.attribute(X, 1, two, method, seed=0)
    size = np.abs(expected.attributions).max()
    np.testing.assert_allclose(result.attributions, expected.attributions, rtol=0, atol=1e-5 * size)
    np.testing.assert_array_equal(result.evaluations, expected.evaluations)
    for program in ran(attributor):
        assert program.ahead.function.context == (("beside", 0),)
    graph = ran(attributor)[0].ahead.function._forward._function.graph
    assert not any(operation.type == "Conv2D" for operation in graph.get_operations())


def test_one_row_for_each_example_is_run_as_it_is():
    attributor = of_table()
    for method in ("gradient", "deeplift", ta.SmoothGrad(n_samples=3)):
        attributor.attribute(X, 1, method=method, seed=0)
        assert not any(program.ahead.beside for program in ran(attributor)), method


@dataclasses.dataclass(frozen=True)
class Squares:
    """The squares of gradients along the path, by a row function that says, or does not, that it shares."""

    shares: bool

    def __call__(self, function, row):
        score, gradients = function.gradients(row.point(), row.context, row.target)
        return score, tf.zeros_like(score), {key: tf.square(gradient) for key, gradient in gradients.items()}


@dataclasses.dataclass(frozen=True)
class MeanSquare(ta.Method):
    shares: bool = True
    kind = "square"
    in_score_units = False

    def points(self, references, rng, features, kind):
        return extend.points.path(extend.make_rule("midpoint", 10), references)

    def row(self, features, kind):
        return Squares(self.shares)


def test_a_row_function_of_ones_own_says_whether_it_shares():
    attributor = of_table()
    found = [attributor.attribute(X, 1, method=MeanSquare(shares)).attributions for shares in (True, False)]
    assert [program.ahead.beside is not None for program in ran(attributor)] == [True, False]
    np.testing.assert_allclose(*found, rtol=0, atol=1e-5 * found[1].max())


def test_a_changed_weight_is_heeded():
    model = towers()
    attributor = of_table(model)
    before = attributor.attribute(X, 1, method=FIXED)
    model.get_layer("conv").kernel.assign(3 * model.get_layer("conv").kernel)
    after = attributor.attribute(X, 1, method=FIXED)
    with as_written():
        expected = of_table(model).attribute(X, 1, method=FIXED)
    assert ran(attributor)[0].ahead.beside
    np.testing.assert_allclose(
        after.attributions, expected.attributions, rtol=0, atol=1e-5 * np.abs(expected.attributions).max()
    )
    assert not np.allclose(before.attributions, after.attributions, rtol=0.05)


@pytest.mark.usefixtures("everywhere")
def test_recurrent_nets_masks_and_positions(compared):
    """Ids lead to a state that the words are joined with, to their mask, and to positions that no axis of examples counts."""
    embedding, rnn, attention, head = (
        layers.Embedding(20, 6),
        layers.SimpleRNN(5),
        layers.MultiHeadAttention(1, 3),
        layers.Dense(3),
    )
    places = tf.Variable(RNG.normal(size=(50, 4)).astype("float32"))

    def model(x):
        ids, mask = x["ids"], x["ids"] != 0
        words = x["words"] + tf.gather(places, tf.range(tf.shape(ids)[1]))[None]
        seen = tf.reduce_mean(attention(words, words, attention_mask=mask[:, None]), 1)
        return tf.nn.softmax(head(tf.concat([seen, rnn(embedding(ids), mask=mask)], 1)))

    attributor = ta.Attributor(model, at=ta.inputs("words"))
    x = {"ids": RNG.integers(0, 20, (5, 7)), "words": RNG.normal(size=(5, 7, 4)).astype("float32")}
    model(x)
    for method in (FIXED, REFINED):
        attributor.attribute(x, 1, method=method)
    assert compared == [2, 2]
    assert all(program.ahead.beside for program in ran(attributor))
    assert not any("While" in operation.type for operation in _operations(attributor))


def _operations(attributor):
    return [one for program in ran(attributor) for one in program.ahead.function._forward._function.graph.get_operations()]


@pytest.mark.parametrize(
    "mixed",
    [
        lambda image: image - tf.reduce_mean(image, 0),  # of all examples
        lambda image: image[::-1],
        lambda image: image + tf.random.normal((16, 16, 3)),
    ],
)
def test_what_is_not_of_each_example_alone_is_left_where_it_is(mixed):
    class Mixing(layers.Layer):
        def call(self, image):
            return mixed(image)

    attributor = of_table(towers(Mixing()))
    session, ready, _ = attributor.prepare(X)
    found = session.function.beside
    assert found is None or not found.holds_examples({"image": ready["image"]} if "image" in ready else {0: ready[0]})


def test_steps_are_not_taken_for_examples():
    """Of two steps each: as many as the examples that it is looked at by."""

    def model(x):
        steps = tf.transpose(x["steps"] + 1, (1, 0, 2))  # (steps, examples, 8)
        highest = tf.reduce_max(x["steps"], [0, 2])[:, None, None]  # (steps, 1, 1), of all examples
        return tf.reduce_sum(tf.tanh(steps + highest + x["at"][None]), [0, 2])

    x = {"steps": np.repeat(RNG.normal(size=(1, 2, 8)), 3, 0).astype("float32"), "at": X["table"][:3]}
    session, ready, _ = ta.Attributor(model, at=ta.inputs("at")).prepare(x)
    steps = session.function.traced.inputs["steps"]
    made = {one.type: one for one in steps.graph.get_operations()}

    def holds(tensor):
        return Beside(session.function.traced, {"steps": Port(steps)}, [tensor]).holds_examples({"steps": ready["steps"]})

    assert holds(made["Transpose"].inputs[0])
    assert not holds(made["Transpose"].outputs[0])
    assert not holds(made["Max"].outputs[0])


@pytest.mark.usefixtures("everywhere")
def test_numbers_of_rows_are_not_taken_for_what_examples_have():
    """They are the same in any company, and not in any place."""
    kernel = RNG.normal(size=(4, 8)).astype("float32")

    def model(x):
        row = tf.cast(tf.cumsum(x["kind"][:, 0] * 0 + 1, exclusive=True), tf.int32)
        return tf.reduce_sum(tf.gather(tf.tanh(x["at"]), row) * (x["kind"] @ kernel), 1)

    x = {"kind": RNG.normal(size=(3, 4)).astype("float32"), "at": X["table"][:3]}
    found = ta.Attributor(model, at=ta.inputs("at")).attribute(x, method=FIXED).attributions
    np.testing.assert_allclose(found, np.tanh(x["at"]) * (x["kind"] @ kernel), rtol=1e-4, atol=1e-6)


TABLE, KERNEL = RNG.normal(size=(7, 3)).astype("float32"), RNG.normal(size=(3, 8)).astype("float32")


def of_words(x):
    """Of ids that are not 0, one after the other, as many as a batch has."""
    ids, number = x["ids"], tf.shape(x["at"])[0]
    words = tf.tanh(tf.gather(TABLE, tf.boolean_mask(ids, ids > 0)) @ KERNEL)
    example = tf.repeat(tf.range(number), tf.reduce_sum(tf.cast(ids > 0, tf.int32), 1))
    return tf.reduce_sum(tf.math.unsorted_segment_sum(words, example, number) * tf.tanh(x["at"]), 1)


ONE_WORD_EACH, SEVERAL = np.array([[1, 0, 0], [2, 0, 0]]), np.array([[1, 2, 3], [4, 0, 0], [5, 6, 0]])


@pytest.mark.usefixtures("everywhere")
def test_as_many_words_as_examples_are_not_taken_for_these():
    attributor = ta.Attributor(of_words, at=ta.inputs("at"))
    for ids in (ONE_WORD_EACH, SEVERAL):
        at = X["table"][: len(ids)]
        found = attributor.attribute({"ids": ids, "at": at}, method=FIXED).attributions
        words = np.tanh(TABLE @ KERNEL)[ids] * (ids > 0)[..., None]
        np.testing.assert_allclose(found, np.tanh(at) * words.sum(1), rtol=1e-4, atol=1e-6)


@pytest.mark.usefixtures("everywhere")
def test_another_number_of_entries_than_of_examples_is_an_error(monkeypatch):
    """As of an operation that nobody knows to be sized by values."""
    monkeypatch.setattr(beside, "COUNTED", frozenset())
    attributor = ta.Attributor(of_words, at=ta.inputs("at"))
    attributor.attribute({"ids": ONE_WORD_EACH, "at": X["table"][:2]}, method=FIXED)
    assert any(program.ahead.beside for program in ran(attributor))
    later = {"ids": SEVERAL, "at": X["table"][:3]}
    assert_refused(lambda: attributor.attribute(later, method=FIXED), "one entry for each example", "eager=True")


def test_what_is_worth_little_is_left_where_it_is(monkeypatch):
    monkeypatch.setattr(beside, "LEAST", 10**9)
    attributor = of_table()
    attributor.attribute(X, 1, method=FIXED)
    assert not any(program.ahead.beside for program in ran(attributor))
