"""The result: reductions, ranking, selection, words and files, on results made by hand."""

import dataclasses
import io
import zipfile

import numpy as np
import pytest

import tf_attrib as ta
from tf_attrib.result.result import PER_EXAMPLE

RNG = np.random.default_rng(4)
VALUES = RNG.normal(size=(3, 4, 5))
DIFFERENCE = VALUES.reshape(3, -1).sum(1) - [0.01, -0.02, 0.0]


def made(values=VALUES, **more):
    """A complete result, but for a gap of 0.01, -0.02 and 0."""
    scores = np.array([0.9, 0.8, 0.7])
    fields = {
        "inputs": np.zeros((3, 4, 5)),
        "baseline_scores": scores - DIFFERENCE,
        "gap": np.array([0.01, -0.02, 0.0]),
        "error_estimate": np.array([0.1, 0.2, 0.3]),
        "status": np.array(["converged", "max_evaluations", "converged"]),
        "evaluations": np.array([50, 60, 70]),
        "target": np.array([1, 0, 1]),
        "unit": "probability",
        "method": "IntegratedGradients(rule='gauss_legendre', n_steps=50)",
        "of": "probability at 'head'",
        "at": "inputs",
        "baseline": "zeros: black, inputs lie in [0, 1]",
    }
    return ta.Attribution(values, scores, **(fields | more))


FIXED = {"error_estimate": None, "status": None}


def norms(result):
    return np.abs(result.attributions).reshape(3, -1).sum(1)


# reductions


def test_sums_keep_the_total_and_the_gap():
    for axis, shape in ((-1, (3, 4)), (1, (3, 5)), ((1, 2), (3,)), ((-2, -1), (3,))):
        result = made().sum(axis)
        np.testing.assert_allclose(result.attributions, VALUES.sum(axis))
        assert result.attributions.shape == shape
        np.testing.assert_allclose(result.gap, [0.01, -0.02, 0.0], atol=1e-12)
        np.testing.assert_allclose(result.totals, VALUES.sum((1, 2)))
        np.testing.assert_array_equal(result.scores, made().scores)


def test_the_error_estimate_follows_a_sum():
    """The absolute error stays, at most; the norm that it is relative to shrinks where signs cancel."""
    result = made().sum(-1)
    np.testing.assert_allclose(result.error_estimate * norms(result), [0.1, 0.2, 0.3] * norms(made()))
    assert np.all(result.error_estimate > [0.1, 0.2, 0.3])


def test_a_mean_is_a_sum_scaled_down():
    total, mean = made().sum(-1), made().mean(-1)
    np.testing.assert_allclose(mean.attributions, total.attributions / 5)
    np.testing.assert_allclose(mean.gap, VALUES.sum((1, 2)) / 5 - DIFFERENCE)
    # numbers and errors are divided by 5 alike
    np.testing.assert_allclose(mean.error_estimate, total.error_estimate)


def test_a_norm_and_magnitudes_lose_the_sign():
    norm, magnitude = made().norm(-1), made().abs()
    np.testing.assert_allclose(norm.attributions, np.linalg.norm(VALUES, axis=-1))
    np.testing.assert_allclose(norm.gap, np.linalg.norm(VALUES, axis=-1).sum(1) - DIFFERENCE)
    np.testing.assert_allclose(norm.error_estimate * norms(norm), [0.1, 0.2, 0.3] * norms(made()))
    np.testing.assert_array_equal(magnitude.attributions, np.abs(VALUES))
    np.testing.assert_allclose(magnitude.gap, np.abs(VALUES).sum((1, 2)) - DIFFERENCE)
    np.testing.assert_array_equal(magnitude.error_estimate, [0.1, 0.2, 0.3])


def test_reductions_of_several_tensors():
    result = made({"a": VALUES, "b": 2 * VALUES}).sum(-1)
    np.testing.assert_allclose(result.attributions["b"], 2 * VALUES.sum(-1))
    np.testing.assert_allclose(result.gap, 3 * VALUES.sum((1, 2)) - DIFFERENCE)


def test_reductions_leave_the_first_result_alone():
    first = made()
    first.sum(-1), first.abs(), first.mean(1)
    np.testing.assert_array_equal(first.attributions, VALUES)
    np.testing.assert_array_equal(first.error_estimate, [0.1, 0.2, 0.3])
    with pytest.raises(dataclasses.FrozenInstanceError):
        first.scores = None


@pytest.mark.parametrize("axis", [0, -3, 3, (1, 0), (0, 1, 2), -4])
def test_the_batch_cannot_be_summed_away(axis):
    for reduction in ("sum", "mean", "norm"):
        with pytest.raises(ValueError, match="axis 0 is the batch"):
            getattr(made(), reduction)(axis)


def test_a_reduction_without_a_gap_or_an_error():
    result = made(gap=None, error_estimate=None, baseline_scores=None).sum(-1)
    assert (result.gap, result.error_estimate, result.difference) == (None, None, None)


# ranking


def test_top():
    values = np.array([[0.5, -3.0, 1.5], [0.0, 1.0, -1.0], [2.0, 0.0, 0.0]])
    first, second, third = made(values).top(2)
    assert first == [(1, -3.0, 0.6), (2, 1.5, 0.3)]
    assert [feature.name for feature in second] == [1, 2]  # of equals the first
    assert third[0] == ta.Feature(0, 2.0, 1.0)
    assert first[0].attribution == -3.0
    assert first[0].share == 0.6
    assert [len(features) for features in made(values).top(10)] == [3, 3, 3]


def test_top_says_where():
    places = [feature.name for feature in made().top(20)[0]]
    assert sorted(places) == [(i, j) for i in range(4) for j in range(5)]
    i, j = places[0]
    assert abs(VALUES[0, i, j]) == np.abs(VALUES[0]).max()
    assert sum(feature.share for feature in made().top(20)[0]) == pytest.approx(1)


def test_top_with_names_words_and_keys():
    values = np.array([[1.0, -2.0]] * 3)
    assert [feature.name for feature in made(values).top(2, ["age", "fare"])[0]] == ["fare", "age"]
    words = made(values, tokens=np.array([["good", "film"], ["bad", "film"], ["a", "b"]]))
    assert [[feature.name for feature in features] for features in words.top(2)][:2] == [["film", "good"], ["film", "bad"]]
    several = made({"a": values, "b": 3 * values}).top(1)
    assert several[0] == [(("b", 1), -6.0, 0.5)]
    assert made([values, values[:, :1] * 9]).top(1)[0][0].name == (1, 0)
    with pytest.raises(ValueError, match="3 names for 2 features"):
        made(values).top(1, ["a", "b", "c"])
    with pytest.raises(ValueError, match="at least 1"):
        made(values).top(0)


# examples


def test_length_and_indices():
    result = made(inputs={"a": np.arange(3), "b": np.arange(6).reshape(3, 2)})
    assert len(result) == 3
    for index, kept in (
        (1, [1]),
        (-1, [2]),
        (np.int64(0), [0]),
        (slice(1, None), [1, 2]),
        ([2, 0], [2, 0]),
        (np.array([True, False, True]), [0, 2]),
    ):
        part = result[index]
        assert len(part) == len(kept)
        np.testing.assert_array_equal(part.attributions, VALUES[kept])
        np.testing.assert_array_equal(part.gap, result.gap[kept])
        assert part.status.tolist() == result.status[kept].tolist()
        np.testing.assert_array_equal(part.inputs["b"], result.inputs["b"][kept])
        assert part.unit == "probability"
    assert [one.target.tolist() for one in result] == [[1], [0], [1]]
    for outside in (3, -4):
        with pytest.raises(IndexError, match="of 3"):
            result[outside]


def test_every_array_of_a_result_is_selected_with_it():
    arrays = {name: np.arange(3) for name in PER_EXAMPLE if name != "scores"}
    part = made(**arrays)[2]
    for name in arrays:
        assert getattr(part, name).tolist() == [2], name
    fields = {field.name for field in dataclasses.fields(ta.Attribution)}
    words = {
        "method",
        "at",
        "of",
        "unit",
        "baseline",
        "notes",
        "attribution_unit",
        "class_zero",
        "format",
        "eager",
        "batch_dependence",
    }
    typed = {"kind", "steps", "place", "path_at", "baseline_is_zero", "taken_away", "left_out", "columns", "categories"}
    typed |= {"feature_names", "class_names"}
    assert fields == {*PER_EXAMPLE, *typed, "attributions", "positive", "standard_error", "inputs", *words}


# words


def test_the_three_lines():
    lines = repr(
        made(baseline_confidence=np.array([0.3, 0.4, 0.5]), gradient_share=np.array([0.2, 0.3, 0.4]), **FIXED)
    ).splitlines()
    assert len(lines) == 3
    assert "3 examples" in lines[0]
    assert "probability at 'head'" in lines[0]
    assert "(4, 5)" in lines[0]
    assert "score 0.7 to 0.9" in lines[1]
    worst = np.argmax(np.abs(made().gap / DIFFERENCE))
    assert f"gap {made().gap[worst] / DIFFERENCE[worst]:+.2%} of the difference" in lines[1]
    assert f"example {worst}" in lines[1]
    assert "zeros: black" in lines[2]
    assert "0.3 to 0.5" in lines[2]
    assert "20% to 40%" in lines[2]


def test_what_to_do_is_said_where_there_is_something_to_do():
    few = made(**FIXED | {"status": np.array(["too_few_steps", "", ""])})
    assert "TOO FEW STEPS: 1 of 3 (too_few_steps; example 0)" in repr(few)
    assert "raise n_steps" in repr(few)
    assert "raise n_steps" not in repr(made(**FIXED))
    assert "saturated" in repr(made(gradient_share=np.array([0.001, 0.5, 0.5])))
    assert "1 of 3" in repr(made(gradient_share=np.array([0.001, 0.5, 0.5])))
    assert "saturated" not in repr(made(gradient_share=np.array([0.1, 0.5, 0.5])))
    assert "note: chosen" in repr(made(notes=("chosen",)))


def test_the_line_on_accuracy_and_the_one_on_what_did_not_converge():
    lines = repr(made(forward_evaluations=np.full(3, 17))).splitlines()
    assert lines[2] == (
        "  estimated error 30.00% at most (2 of 3 converged), 50 to 70 gradient and 17 forward evaluations an example"
    )
    assert lines[3] == ("  NOT CONVERGED: 1 of 3 (max_evaluations; example 1): estimated error 20.00%; raise max_evaluations")
    many = repr(ta.Attribution(np.zeros((20, 2)), np.zeros(20), status=np.full(20, "not_finite")))
    assert "NOT FINITE: 20 of 20 (not_finite; examples 0, 1, 2, 3, 4, 5, 6, 7, ...): a NaN or an infinity came up" in many


def test_the_words_round_nothing_to_a_certainty():
    result = dataclasses.replace(
        made(), scores=np.array([0.99999, 0.99998, 0.9999999]), error_estimate=np.full(3, 3e-6), status=np.full(3, "converged")
    )
    text = repr(result)
    assert "score 0.99998 to 0.9999999" in text
    assert "estimated error below 0.01% at most" in text


def test_the_words_count_positions_as_positions():
    at = {"example": np.array([0, 0, 1]), "position": np.array([2, 3, 2])}
    text = repr(made(forward_evaluations=np.ones(3, int), **at))
    assert text.startswith("Attribution of 3 positions of 2 examples: ")
    assert "(max_evaluations; entry 1)" in text
    assert "forward evaluations an entry" in text
    assert "(example 0, position 3)" in repr(made(gap=np.array([0.0, 9.0, 0.0]), **at))


def test_words_for_a_gradient_and_for_one_example():
    local = repr(made(baseline_scores=None, gap=None, **FIXED))
    assert len(local.splitlines()) == 3
    assert "no baseline" in local
    assert "gap" not in local
    one = repr(made(**FIXED)[0])
    assert "1 example:" in one
    assert "class 1" in one
    assert "at most" not in one


@pytest.mark.filterwarnings("error")
def test_words_where_the_scores_do_not_differ():
    """A baseline that equals the input: nothing to divide by, and no NaN in the text."""
    text = repr(made(baseline_scores=np.array([0.9, 0.8, 0.7]), gradient_share=np.full(3, np.nan)))
    assert "do not differ" in text
    assert "nan" not in text


# files

STRUCTURES = {"array": VALUES, "list": [VALUES, VALUES[:, 0]], "dict": {"a b/c": VALUES, "words": VALUES[:, 0]}}


@pytest.mark.parametrize("name", STRUCTURES)
def test_saved_and_loaded(name, tmp_path):
    values = STRUCTURES[name]
    first = made(
        values,
        inputs=values,
        notes=("one", "two"),
        tokens=np.array([["ä", ""], ["b", "c"], ["d", "e"]]),
        alphas=np.ones((3, 2)),
    )
    path = first.save(tmp_path / "result")
    assert path == tmp_path / "result.npz"
    second = ta.load(path)
    for field in dataclasses.fields(first):
        one, two = getattr(first, field.name), getattr(second, field.name)
        assert type(one) is type(two), field.name
        if field.name in ("attributions", "inputs") and name != "array":
            assert (list(one) if name == "dict" else len(one)) == (list(two) if name == "dict" else len(two))
            for key in one if name == "dict" else range(len(one)):
                np.testing.assert_array_equal(one[key], two[key])
        elif isinstance(one, np.ndarray):
            np.testing.assert_array_equal(one, two)
            assert one.dtype == two.dtype
        else:
            assert one == two
    assert repr(first) == repr(second)
    assert ta.Attribution.load(path).status.tolist() == first.status.tolist()


def test_text_inputs_are_saved(tmp_path):
    inputs = np.array(["good", "film", "ärger"], object)
    path = made(inputs=inputs).save(tmp_path / "text.npz")
    assert ta.load(path).inputs.tolist() == inputs.tolist()
    bytes_path = made(inputs=np.array([b"good", b"film", "ärger".encode()], object)).save(tmp_path / "bytes.npz")
    assert ta.load(bytes_path).inputs.tolist() == inputs.tolist()


def test_bytes_that_are_no_text_are_saved_as_they_are(tmp_path):
    """A model that takes pictures as their files had its inputs back with other bytes, and without the zeros at their ends."""
    inputs = np.empty((3, 1), object)
    inputs[:, 0] = [b"\x89PNG\xff\x00\x00", b"", "ä\0"]
    found = ta.load(made(inputs={"image_bytes": inputs}).save(tmp_path / "result")).inputs["image_bytes"]
    assert found.tolist() == [[b"\x89PNG\xff\x00\x00"], [b""], ["ä\0".encode()]]


def test_a_file_holds_no_pickle(tmp_path):
    path = made(inputs=np.array(["a", "b", "c"], object)).save(tmp_path / "result.npz")
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            array = np.lib.format.read_array(io.BytesIO(archive.read(name)), allow_pickle=False)
            assert not array.dtype.hasobject


def test_an_existing_file_is_kept(tmp_path):
    path = made().save(tmp_path / "result.npz")
    before = path.read_bytes()
    with pytest.raises(ta.AttributionError, match="overwrite=True"):
        made(2 * VALUES).save(path)
    assert path.read_bytes() == before
    made(2 * VALUES).save(path, overwrite=True)
    np.testing.assert_array_equal(ta.load(path).attributions, 2 * VALUES)


@pytest.mark.parametrize("existing", [False, True])
def test_a_file_is_written_whole_or_not_at_all(existing, tmp_path, monkeypatch):
    path = tmp_path / "result.npz"
    if existing:
        made().save(path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    def fails(file, **arrays):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez_compressed", fails)
    with pytest.raises(OSError, match="disk full"):
        made(2 * VALUES).save(path, overwrite=True)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_files_that_are_no_results(tmp_path):
    path = made().save(tmp_path / "result.npz")
    (tmp_path / "cut.npz").write_bytes(path.read_bytes()[:300])
    (tmp_path / "text.npz").write_text("hello")
    np.savez(tmp_path / "other.npz", x=VALUES)
    np.savez(tmp_path / "odd.npz", header=np.asarray('{"words": {}}'))
    for name in ("cut.npz", "text.npz", "other.npz", "odd.npz", "none.npz"):
        with pytest.raises(ta.AttributionError, match=name):
            ta.load(tmp_path / name)


def test_a_folder_that_does_not_exist(tmp_path):
    with pytest.raises(ta.AttributionError, match="nowhere"):
        made().save(tmp_path / "nowhere" / "result.npz")


def test_an_empty_slice_is_printed_and_ranked():
    baseline = np.zeros((3, 2))
    empty = made(baseline_scores=baseline, gap=np.zeros(3))[3:]
    assert len(empty) == 0
    assert empty.difference.shape == (0,)
    assert empty.top(1) == []
    assert repr(empty) == repr(empty).partition("\n")[0]  # scores and gaps of none are no NaN
    assert "0 examples" in repr(empty)


def ranked(**more):
    classes = np.array([[7, 2, 0], [2, 7, 1], [1, 0, 7]])
    return made(top_classes=classes, top_scores=np.array([[0.9, 0.06, 0.01], [0.8, 0.1, 0.0], [0.7, 0.2, 0.1]]), **more)


def test_the_top_classes_are_told_with_their_names_and_scores():
    text = repr(ranked(class_names={7: "espresso"}))
    assert "  top classes of example 0: 7 (espresso): 0.9, 2: 0.06, 0: 0.01" in text
    assert "  top classes of example 2: 1: 0.7, 0: 0.2, 7 (espresso): 0.1" in text
    assert "  top classes: 2: 0.8, 7: 0.1, 1: 0" in repr(ranked()[1])
    assert "top classes" not in repr(made(top_classes=np.array([[0, 1]] * 3), top_scores=np.array([[0.9, 0.1]] * 3)))


def test_the_top_classes_go_through_a_file_and_an_older_file_has_none(tmp_path):
    loaded = ta.load(ranked().save(tmp_path / "new"))
    np.testing.assert_array_equal(loaded.top_classes, ranked().top_classes)
    assert repr(loaded) == repr(ranked())
    assert ta.load(made().save(tmp_path / "old")).top_classes is None


def test_regions_do_not_outlive_their_positions():
    regions = np.zeros((3, 4), int)
    assert made(regions=regions).sum(-1).regions is regions
    assert made(regions=regions).sum(1).regions is None


def test_words_of_positions_that_are_summed_away_name_nothing():
    """Of four positions and four dimensions, those that are left are no words."""
    tokens, ids = np.array([["not", "a", "bad", "film"]] * 3), np.array([[5, 2, 4, 3]] * 3)
    result = made(np.ones((3, 4, 4)), tokens=tokens, inputs=ids, gap=None, baseline_scores=None)
    assert result.sum(-1).top(1)[0][0].name == "not"
    assert result.sum(-1).inputs is result.inputs
    assert result.sum(1).top(1)[0][0].name == 0
    assert result.sum(1).tokens is result.mean(1).tokens is result.sum((1, 2)).tokens is None
    assert result.sum(1).inputs is None
