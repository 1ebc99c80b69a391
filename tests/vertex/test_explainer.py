"""Responses of a configured SavedModel: against `attribute`, brute force, and what the model itself predicts."""

import copy
import functools
import itertools
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_attrib as ta

from ..conftest import assert_refused
from ..helpers import vertex_models as models
from ..helpers.vertex_models import COLUMN_METADATA, INSTANCES

GRADIENTS = {"integratedGradientsAttribution": {"stepCount": 40}}
SHAPLEY = {"sampledShapleyAttribution": {"pathCount": 10}}
# rewritten by Keras each time it exports, so that only its end is known
WORDS = "words_1/GatherV2:0"


@pytest.fixture(scope="module")
def columns(tmp_path_factory):
    keras.utils.set_random_seed(0)
    return models.columns(tmp_path_factory.mktemp("models") / "columns")


def explainer(path, parameters, metadata=COLUMN_METADATA, **options):
    return _made(str(path), json.dumps(parameters), json.dumps(metadata), **options)


@functools.cache
def _made(path, parameters, metadata, **options):
    """One for all who ask for the same: what was loaded and compiled for one test serves the next."""
    return ta.Attributor.from_explanation_metadata(path, json.loads(metadata), json.loads(parameters), **options)


def changed(**inputs):
    """COLUMN_METADATA with further fields of its inputs; None leaves an input out."""
    made = copy.deepcopy(COLUMN_METADATA)
    for name, fields in inputs.items():
        if fields is None:
            del made["inputs"][name]
        else:
            made["inputs"][name] |= fields
    return made


def attributions(response):
    return [explanation["attributions"] for explanation in response["explanations"]]


def total(attribution):
    return sum(float(np.sum(value)) for value in attribution["featureAttributions"].values())


# the numbers


def test_integrated_gradients_are_those_of_attribute(columns):
    path, model = columns
    found = explainer(path, GRADIENTS)
    response = json.loads(json.dumps(found.explain(INSTANCES), allow_nan=False))
    batch = models.arrays(INSTANCES)
    predictions = model(batch).numpy()
    np.testing.assert_allclose(response["predictions"], predictions, rtol=1e-6)
    at = [ta.inputs("numbers"), ta.inputs("place"), ta.tensor(WORDS)]
    result = ta.Attributor(path, at, ta.output("output_0")).attribute(batch, method=ta.IntegratedGradients(n_steps=40))
    numbers, place, words = result.attributions.values()
    for i, (one,) in enumerate(attributions(response)):
        winner = int(predictions[i].argmax())
        assert one["outputIndex"] == [winner]
        assert one["outputDisplayName"] == ["no", "maybe", "yes"][winner]
        assert one["outputName"] == "scores"
        np.testing.assert_allclose(one["instanceOutputValue"], predictions[i, winner], rtol=1e-6)
        np.testing.assert_allclose(one["baselineOutputValue"], result.baseline_scores[i], rtol=1e-6)
        values = one["featureAttributions"]
        assert list(values) == [*models.COLUMNS, "place", "words"]
        np.testing.assert_allclose([values[name] for name in models.COLUMNS], numbers[i], rtol=1e-5)
        np.testing.assert_allclose(values["place"], place[i], rtol=1e-5)
        np.testing.assert_allclose(values["words"], words[i].sum(-1), rtol=1e-5)
        assert np.isclose(total(one), one["instanceOutputValue"] - one["baselineOutputValue"], atol=1e-4)
        assert 0 <= one["approximationError"] < 1e-3
    few = explainer(path, {"integratedGradientsAttribution": {"stepCount": 1}}).explain(INSTANCES)
    for (rough,), (fine,) in zip(attributions(few), attributions(response), strict=True):
        missed = abs(total(rough) - (rough["instanceOutputValue"] - rough["baselineOutputValue"]))
        part = missed / abs(rough["instanceOutputValue"] - rough["baselineOutputValue"])
        assert np.isclose(rough["approximationError"], part, rtol=1e-3)
        assert rough["approximationError"] > 10 * fine["approximationError"]


def test_an_instance_that_is_its_baseline_has_zeros(columns):
    path, _ = columns
    found = explainer(path, GRADIENTS, changed(place=None, words=None))
    ((one,),) = attributions(found.explain([INSTANCES[0] | {"numbers": [0, 0, 0]}]))
    assert one["featureAttributions"] == dict.fromkeys(models.COLUMNS, 0)
    assert one["instanceOutputValue"] == one["baselineOutputValue"]
    assert one["approximationError"] == 0


def shapley_by_hand(score, x, base, players):
    """The mean over all orders. Players: for each a list of (key, place)."""

    @functools.cache
    def value(there):
        now = {key: value.copy() for key, value in base.items()}
        for player in there:
            for key, place in players[player]:
                now[key][place] = x[key][place]
        return score(now)

    found = np.zeros(len(players))
    orders = list(itertools.permutations(range(len(players))))
    for order in orders:
        for i, player in enumerate(order):
            found[player] += (value(frozenset(order[: i + 1])) - value(frozenset(order[:i]))) / len(orders)
    return found


def test_sampled_shapley_of_columns_a_group_and_a_whole_input(columns):
    """Players: each named column; place and tokens as one by their group."""
    path, model = columns
    metadata = changed(
        table={"input_baselines": [[0.5, 0.5, 0.5]]},
        place={"group_name": "rest", "input_baselines": [0.25]},
        words={"group_name": "rest", "encoding": "IDENTITY", "input_baselines": [7]},
    )
    found = explainer(path, SHAPLEY, metadata)
    response = found.explain(INSTANCES, details=True)
    players = [[("numbers", i)] for i in range(3)] + [[("place", 0), *(("tokens", i) for i in range(4))]]
    base = {"numbers": np.full(3, 0.5, "float32"), "place": np.full(1, 0.25, "float32"), "tokens": np.full(4, 7, "int32")}
    for instance, (one,) in zip(INSTANCES, attributions(response), strict=True):
        x = {key: value[0] for key, value in models.arrays([instance]).items()}
        score = lambda row, one=one: float(model({k: v[None] for k, v in row.items()})[0, one["outputIndex"][0]])  # noqa: E731
        expected = shapley_by_hand(score, x, base, players)
        assert list(one["featureAttributions"]) == [*models.COLUMNS, "rest"]
        np.testing.assert_allclose(list(one["featureAttributions"].values()), expected, atol=1e-6)
        assert one["approximationError"] == 0
        assert set(one["details"]["standardErrors"].values()) == {0.0}
    assert any("path_count 10" in note and "all their coalitions" in note for note in found.notes)


def test_sampled_shapley_says_how_far_it_may_be_off(tmp_path):
    """Of more columns than are enumerated: as many orders as configured, and the standard error of each."""
    keras.utils.set_random_seed(4)
    x = keras.Input((14,), name="x")
    wide = keras.initializers.RandomNormal(stddev=1.0, seed=0)
    model = keras.Model(x, keras.layers.Dense(1)(keras.layers.Dense(6, "tanh", kernel_initializer=wide)(x)))
    model.export(tmp_path / "wide", verbose=False)
    names = [f"c{i}" for i in range(14)]
    metadata = {
        "inputs": {"x": {"encoding": "BAG_OF_FEATURES", "index_feature_mapping": names}},
        "outputs": {"y": {"output_tensor_name": "output_0"}},
    }
    instance = np.random.default_rng(0).normal(size=14).round(3).tolist()
    found = explainer(tmp_path / "wide", SHAPLEY, metadata)
    (one,) = attributions(found.explain([instance], details=True))[0]
    exact = explainer(tmp_path / "wide", SHAPLEY, metadata, tolerance=0.04).explain([{"x": instance}], details=True)
    (sure,) = attributions(exact)[0]
    assert one["details"]["forwardEvaluations"] == 10 * 13 + 2
    assert sure["details"]["forwardEvaluations"] > 1000
    errors = one["details"]["standardErrors"]
    assert all(errors[name] > 0 for name in names)
    assert all(sure["details"]["standardErrors"][name] < errors[name] for name in names)
    off = [abs(one["featureAttributions"][name] - sure["featureAttributions"][name]) / errors[name] for name in names]
    assert max(off) < 6
    assert sure["approximationError"] <= 0.04 < one["approximationError"]
    assert one["details"]["status"] == "max_evaluations"
    again = attributions(found.explain([instance], details=True))[0]
    assert again == [one]  # the seed is fixed: a request is answered alike


def test_indicators_and_sparse_bags(columns):
    """Names as of other bags, no attribution to what is not there; other values than 0 and 1 are no indicators."""
    path, _ = columns
    there = INSTANCES[0] | {"numbers": [1.0, 0.0, 1.0]}
    for encoding in ("INDICATOR", "BAG_OF_FEATURES_SPARSE"):
        found = explainer(path, SHAPLEY, changed(table={"encoding": encoding}))
        (one,) = attributions(found.explain([there]))[0]
        assert one["featureAttributions"]["height"] == 0
        assert one["featureAttributions"]["age"] != 0 != one["featureAttributions"]["weight"]
        other = explainer(path, SHAPLEY, changed(table={"encoding": encoding, "input_baselines": [1]}))
        assert any("the baseline is not 0" in note for note in other.notes)
        if encoding == "INDICATOR":
            assert_refused(lambda found=found: found.explain([there, INSTANCES[0]]), "instance 1", "INDICATOR", "2.0")
        else:
            assert found.explain([INSTANCES[0]])


def test_baselines_of_inputs_and_of_encoded_tensors(columns):
    path, model = columns
    table = tf.cast(model.get_layer("words").embeddings, tf.float32).numpy()
    several = {"table": {"input_baselines": [0, [1, 1, 1]]}, "place": {"input_baselines": [0.5]}}
    at_ids = explainer(path, GRADIENTS, changed(**several, words={"input_baselines": [7]})).explain(INSTANCES)
    ends = [np.zeros(3), np.ones(3)]
    for (one,) in attributions(at_ids):
        rows = [{"numbers": end.tolist(), "place": [0.5], "tokens": [7] * 4} for end in ends]
        expected = model(models.arrays(rows)).numpy()[:, one["outputIndex"][0]].mean()
        np.testing.assert_allclose(one["baselineOutputValue"], expected, rtol=1e-5)
    # a baseline at the encoded tensor: the row of that token, for each token
    encoded = {"encoded_baselines": [np.tile(table[7], (4, 1)).tolist()], "input_baselines": [3]}
    found = explainer(path, GRADIENTS, changed(**several, words=encoded))
    for (one,), (other,) in zip(attributions(found.explain(INSTANCES)), attributions(at_ids), strict=True):
        np.testing.assert_allclose(total(one), total(other), rtol=1e-4)
        np.testing.assert_allclose(one["featureAttributions"]["words"], other["featureAttributions"]["words"], atol=1e-6)
    assert any("input_baselines are not used: encoded_baselines are" in note for note in found.notes)
    combined = explainer(path, GRADIENTS, changed(words={"encoding": "COMBINED_EMBEDDING"})).explain(INSTANCES)
    plain = explainer(path, GRADIENTS).explain(INSTANCES)
    for (one,), (other,) in zip(attributions(combined), attributions(plain), strict=True):
        assert np.isclose(one["featureAttributions"]["words"], np.sum(other["featureAttributions"]["words"]), atol=1e-6)


def test_features_that_are_not_in_the_metadata_stay_as_they_are(columns):
    path, model = columns
    found = explainer(path, GRADIENTS, changed(words=None, place=None))
    for instance, (one,) in zip(INSTANCES, attributions(found.explain(INSTANCES)), strict=True):
        assert list(one["featureAttributions"]) == list(models.COLUMNS)
        row = models.arrays([instance | {"numbers": [0.0, 0.0, 0.0]}])
        np.testing.assert_allclose(one["baselineOutputValue"], model(row)[0, one["outputIndex"][0]], rtol=1e-5)
    assert sum("stays as it is in the instance" in note for note in found.notes) == 2


# which outputs


def test_top_k_and_output_indices(columns):
    path, model = columns
    predictions = model(models.arrays(INSTANCES)).numpy()
    order = np.argsort(-predictions, axis=1)
    for parameters, expected in (
        ({"topK": 2}, order[:, :2]),
        ({"topK": -1}, order),
        ({"outputIndices": [2, 0]}, np.tile([2, 0], (2, 1))),
    ):
        response = explainer(path, GRADIENTS | parameters).explain(INSTANCES)
        indices = [[one["outputIndex"][0] for one in each] for each in attributions(response)]
        np.testing.assert_array_equal(indices, expected)
        for i, each in enumerate(attributions(response)):
            for one in each:
                np.testing.assert_allclose(one["instanceOutputValue"], predictions[i, one["outputIndex"][0]], rtol=1e-6)
                assert np.isclose(total(one), one["instanceOutputValue"] - one["baselineOutputValue"], atol=1e-4)
    assert_refused(lambda: explainer(path, GRADIENTS | {"topK": 4}).explain(INSTANCES), "top_k is 4", "3 value")
    assert_refused(lambda: explainer(path, GRADIENTS | {"outputIndices": [3]}).explain(INSTANCES), "output_indices", "(3,)")


@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_one_unit_is_explained_as_it_is(tmp_path, activation):
    """A probability below one half too: the output of the model, not that of the other class."""
    path, model = models.columns(tmp_path / "one", 1, activation)
    metadata = changed() | {"outputs": {"chance": {"output_tensor_name": "output_0"}}}
    response = explainer(path, GRADIENTS, metadata).explain(INSTANCES)
    predictions = model(models.arrays(INSTANCES)).numpy()
    assert activation is None or (predictions < 0.5).any()
    for i, (one,) in enumerate(attributions(response)):
        assert one["outputIndex"] == [0]
        assert "outputDisplayName" not in one
        np.testing.assert_allclose(one["instanceOutputValue"], predictions[i, 0], rtol=1e-6)
        assert np.isclose(total(one), one["instanceOutputValue"] - one["baselineOutputValue"], atol=1e-4)
    result = explainer(path, GRADIENTS, metadata).attribute(models.arrays(INSTANCES))
    np.testing.assert_allclose(result.scores, predictions[:, 0], rtol=1e-6)


def test_names_from_an_output_and_outputs_of_two_axes(tmp_path):
    path = models.named(tmp_path / "named")
    metadata = {
        "inputs": {"x": {}},
        "outputs": {"p": {"output_tensor_name": "probabilities", "display_name_mapping_key": "classes"}},
    }
    response = explainer(path, GRADIENTS, metadata).explain([[1.0, -2.0, 0.5]])
    (prediction,), ((one,),) = response["predictions"], attributions(response)
    assert prediction["classes"] == ["a", "b", "c", "d"]
    assert one["outputDisplayName"] == "abcd"[int(np.argmax(prediction["probabilities"]))]
    wrong = {
        "inputs": {"x": {}},
        "outputs": {"p": {"output_tensor_name": "probabilities", "display_name_mapping_key": "names"}},
    }
    assert_refused(lambda: explainer(path, GRADIENTS, wrong), "display_name_mapping_key 'names'", "'classes'")
    grid = models.named(tmp_path / "grid", grid=True)
    names = {"output_tensor_name": "grid", "index_display_name_mapping": [["nw", "ne"], ["sw", "se"]]}
    metadata = {"inputs": {"x": {}}, "outputs": {"g": names}}
    response = explainer(grid, GRADIENTS | {"outputIndices": [[1, 0], [0, 1]]}, metadata).explain([[1.0, -2.0, 0.5]])
    first, second = attributions(response)[0]
    assert (first["outputIndex"], first["outputDisplayName"]) == ([1, 0], "sw")
    assert (second["outputIndex"], second["outputDisplayName"]) == ([0, 1], "ne")
    for one in (first, second):
        row, column = one["outputIndex"]
        assert np.isclose(one["instanceOutputValue"], response["predictions"][0][row][column], rtol=1e-6)
        assert np.isclose(total(one), one["instanceOutputValue"] - one["baselineOutputValue"], atol=1e-4)


def test_the_attribution_itself_and_its_notes(columns):
    path, _ = columns
    found = explainer(path, GRADIENTS, seed=3)
    result = found.attribute(models.arrays(INSTANCES), target=1)
    assert isinstance(result, ta.Attribution)
    assert list(result.target) == [1, 1]
    assert result.method == "IntegratedGradients(rule='gauss_legendre', n_steps=40)"
    assert isinstance(found.notes, tuple)
    assert sum("has no baseline: zeros" in note for note in found.notes) == 3
    assert any("modality 'text' changes nothing" in note for note in found.notes)
    refined = explainer(path, GRADIENTS, tolerance=0.01)
    assert refined.method.tolerance == 0.01
    assert all(one[0]["approximationError"] <= 0.01 for one in attributions(refined.explain(INSTANCES)))
    shapley = explainer(path, SHAPLEY)
    assert shapley.method.n_permutations == 10
    assert any("encoded_tensor_name is not used" in note for note in shapley.notes)


def test_texts_of_any_length(tmp_path):
    """Tokens are players, at the ids as at their embeddings, and each text has as many as it is long; or the text is one."""
    keras.utils.set_random_seed(0)
    ids = keras.Input((None,), dtype="int32", name="ids")
    wide = keras.initializers.RandomNormal(stddev=1.0, seed=0)
    embedded = keras.layers.Embedding(20, 3, name="words", embeddings_initializer=wide)(ids)
    hidden = keras.layers.Dense(4, activation="tanh", kernel_initializer=wide)(keras.layers.GlobalAveragePooling1D()(embedded))
    model = keras.Model(ids, keras.layers.Dense(2, activation="softmax")(hidden))
    model.export(tmp_path / "text", verbose=False)
    texts = [[1, 2, 3], [4, 5], list(range(1, 13))]

    def found(parameters, **fields):
        metadata = {
            "inputs": {"text": {"input_tensor_name": "ids", **fields}},
            "outputs": {"c": {"output_tensor_name": "output_0"}},
        }
        return attributions(explainer(tmp_path / "text", parameters, metadata).explain(texts))

    encoded = {"encoding": "CONCAT_EMBEDDING", "encoded_tensor_name": WORDS}
    zero = {"encoded_baselines": [model.get_layer("words").embeddings.numpy()[0].tolist()]}  # broadcasts: the row of id 0
    at_ids, at_rows = found(SHAPLEY, **encoded), found(SHAPLEY, **encoded | zero)
    for response in (found(GRADIENTS, **encoded), at_ids, at_rows, found(GRADIENTS, **encoded | zero)):
        for text, (one,) in zip(texts, response, strict=True):
            assert len(one["featureAttributions"]["text"]) == len(text)
            assert np.isclose(total(one), one["instanceOutputValue"] - one["baselineOutputValue"], atol=1e-4)
    for (one,), (other,) in zip(at_ids[:2], at_rows[:2], strict=True):
        np.testing.assert_allclose(one["featureAttributions"]["text"], other["featureAttributions"]["text"], atol=1e-6)
    for (whole,), (parts,) in zip(found(SHAPLEY), at_ids, strict=True):
        assert np.isclose(whole["featureAttributions"]["text"], total(parts), atol=1e-5)
