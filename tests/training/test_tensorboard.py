"""What is logged: pictures, texts and numbers, readable by TensorBoard; that none is needed is held in test_imports."""

import dataclasses
import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from scipy.stats import spearmanr

import tf_attrib as ta
from tf_attrib.result.similarity import cosine, rank_correlation
from tf_attrib.training import tensorboard
from tf_attrib.view.thumbnail import board

from ..conftest import assert_refused

RNG = np.random.default_rng(8)


def made(values, inputs, **more):
    count = len(values)
    fields = {
        "inputs": inputs,
        "baseline_scores": np.full(count, 0.1),
        "gap": np.full(count, 0.002),
        "unit": "probability",
        "error_estimate": np.array([0.01, 0.03, 0.2][:count]),
        "of": "probability at 'head'",
        "at": "inputs",
        "status": np.array(["converged", "converged", "max_evaluations"][:count]),
        "target": np.arange(count),
        "predicted": np.full(count, 1),
        "evaluations": np.array([5, 9, 11][:count]),
        "method": "IntegratedGradients(tolerance=0.05)",
        "baseline": "zeros",
    }
    return ta.Attribution(values, np.array([0.9, 0.8, 0.7][:count]), **(fields | more))


def images(count=3):
    return made(RNG.normal(size=(count, 8, 8, 1)), RNG.uniform(size=(count, 8, 8, 1)))


def words(tokens):
    values = np.array([[0.5, -0.25, 0.0, 0.01]])
    return made(values, np.array([[4, 5, 6, 7]]), tokens=np.array([tokens]))


def events(folder):
    """Of each tag the plugin, and of each step the value as TensorFlow wrote it."""
    found = {}
    for path in sorted(folder.glob("events.*")):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                steps = found.setdefault(value.tag, (value.metadata.plugin_data.plugin_name, {}))[1]
                steps[event.step] = tf.make_ndarray(value.tensor)
    return found


def logged(folder, result, step=3, **more):
    writer = tf.summary.create_file_writer(str(folder))
    scalars = ta.log_attributions(result, writer, step, **more)
    return scalars, events(folder)


def test_numbers_are_those_of_the_result(tmp_path):
    scalars, found = logged(tmp_path, images(), seconds=1.5)
    expected = {
        "attribution/mean_error_estimate": 0.08,
        "attribution/share_converged": 2 / 3,
        "attribution/gradient_evaluations": 25,
        "attribution/seconds": 1.5,
    }
    assert scalars == pytest.approx(expected)
    for tag, value in expected.items():
        plugin, steps = found[tag]
        assert plugin == "scalars"
        assert steps[3] == pytest.approx(value)


def test_pictures_are_in_pixels_and_of_the_size_they_say(tmp_path):
    _, found = logged(tmp_path, images(), prefix="run")
    tags = [tag for tag, (plugin, _) in found.items() if plugin == "images"]
    assert tags == ["run/sample_0", "run/sample_1", "run/sample_2"]
    for tag in tags:
        width, height, png = found[tag][1][3]
        assert Image.open(io.BytesIO(png)).size == (int(width), int(height))


def test_a_table_tells_of_each_sample(tmp_path):
    _, found = logged(tmp_path, images(), labels=[2, 1, 0], class_names=["cat", "dog|x", "<b>fish"])
    plugin, steps = found["attribution/samples"]
    assert plugin == "text"
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in steps[3].item().decode().splitlines()]
    assert rows[0] == list(tensorboard.COLUMNS)
    assert rows[2] == ["0", "&lt;b&gt;fish", "dog\\|x", "cat", "0\\.9", "0\\.1", "0\\.25%", "1\\.00%", "converged"]
    assert rows[3][3] == ""  # explained is what is predicted
    assert rows[4][-1] == "max\\_evaluations"


def at_positions(attributions, **more):
    """A result of positions 0 and 1 of an example 3."""
    at = {"target": np.array([[0, 2], [1, 0]]), "example": np.array([3, 3]), "position": np.array([0, 1])}
    return ta.Attribution(attributions, np.array([0.5, 0.6]), **at, **more)


def test_a_class_at_a_position_is_told_as_a_class(tmp_path):
    _, found = logged(tmp_path, at_positions(np.zeros((2, 3))), labels=[1, 0], class_names=["cat", "dog", "fish"])
    head, _, *rows = found["attribution/samples"][1][3].item().decode().splitlines()
    assert head == "| sample | label | explained | score |"
    assert [row.split(" | ")[:3] for row in rows] == [["| 3, position 0", "dog", "fish"], ["| 3, position 1", "cat", "cat"]]


def drawn(result):
    return [np.asarray(Image.open(io.BytesIO(png))) for png, _ in tensorboard.drawn(result)]


@pytest.mark.parametrize("several", [False, True])
def test_an_entry_at_a_position_is_drawn_by_itself(several):
    """And not the map of all positions of the example that has the number of the entry."""
    values = np.random.default_rng(0).normal(size=(2, 12, 3))
    values = {"left": values, "right": values[:, 0]} if several else values
    pictures = drawn(at_positions(values))
    assert len(pictures) == 2
    if several:
        return
    changed = values.copy()
    changed[1] *= -1
    again = drawn(at_positions(changed))
    np.testing.assert_array_equal(pictures[0], again[0])
    assert not np.array_equal(pictures[1], again[1])


def test_words_are_told_and_drawn(tmp_path):
    _, found = logged(tmp_path, words(["great", "<script>", "the", "*end*"]))
    text = found["attribution/words_0"][1][3].item().decode()
    lines = text.splitlines()[2:]
    assert lines[0] == "| great | \\+0\\.5 | 🟩🟩🟩🟩🟩 |"
    assert lines[1].startswith("| &lt;script&gt; | \\-0\\.25 | 🟥🟥 |")
    assert "🟩" not in lines[2]
    assert "🟥" not in lines[2]
    assert lines[3].startswith("| \\*end\\* |")
    assert found["attribution/sample_0"][0] == "images"


def test_words_have_the_unit_and_the_meaning_of_their_attributions(tmp_path):
    """Of a gradient squared nothing is green for raising the score, and what is padding or not finite is said."""
    result = words(["great", "bad", "[pad]", "[pad]"])
    result.attributions[:] = [[0.5, np.nan, 0, 0]]
    result = dataclasses.replace(result, attribution_unit="squared probability per unit", kind="square", inputs=None)
    _, found = logged(tmp_path, result)
    text = found["attribution/words_0"][1][3].item().decode()
    assert text.startswith("| word | attribution \\(squared probability per unit\\) |")
    assert "2 padding tokens at the end, with attribution 0, not shown" in text
    assert text.endswith("1 word not finite \\(no square\\)\\.")
    (file,) = tmp_path.glob("events.*")
    records = [tf.compat.v1.Event.FromString(one.numpy()) for one in tf.data.TFRecordDataset(str(file))]
    told = {value.tag: value.metadata.summary_description for one in records for value in one.summary.value}
    assert "the sign is lost" in told["attribution/words_0"]


def test_drift_is_told_of_each_sample_and_on_the_mean(tmp_path):
    one, other = images(), images()
    scalars, _ = logged(tmp_path, one, previous=other)
    flat = [np.reshape(result.attributions, (3, -1)) for result in (one, other)]
    for i in range(3):
        a, b = flat[0][i], flat[1][i]
        assert scalars[f"attribution_drift/rank_correlation_{i}"] == pytest.approx(spearmanr(a, b).statistic)
        assert scalars[f"attribution_drift/cosine_{i}"] == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    assert scalars["attribution_drift/mean_cosine"] == pytest.approx(np.mean(cosine(one, other)))


def test_likeness_has_its_known_values():
    values = np.array([[1.0, 2.0, 3.0, 4.0]] * 4)
    other = np.array([[1.0, 4.0, 9.0, 16.0], [-1, -2, -3, -4], [0, 0, 0, 0], [1, np.nan, 2, 3]])
    one, other = made(values[:3], values[:3]), made(other[:3], other[:3])
    np.testing.assert_allclose(rank_correlation(one, other), [1, -1, np.nan], atol=1e-12)
    np.testing.assert_allclose(cosine(one, other), [100 / np.sqrt(30 * 354), -1, np.nan])
    parts = {"a": values[:1], "b": -values[:1]}
    turned = dict(reversed(parts.items()))  # keys in another order are the same tensors
    np.testing.assert_allclose(cosine(ta.Attribution(parts, np.zeros(1)), ta.Attribution(turned, np.zeros(1))), 1)
    broken = made(np.array([[1.0, np.nan, 2.0, 3.0]]), values[:1])
    assert np.isnan([*rank_correlation(one[0], broken), *cosine(one[0], broken)]).all()


def test_methods_that_state_nothing_are_logged_without_it(tmp_path):
    plain = ta.Attribution(RNG.normal(size=(2, 5)), np.array([0.9, 0.8]), inputs=RNG.normal(size=(2, 5)), method="Gradient()")
    scalars, found = logged(tmp_path, plain)
    assert scalars == {}
    assert set(found) == {"attribution/samples", "attribution/sample_0", "attribution/sample_1"}


def test_what_does_not_fit_is_refused(tmp_path):
    writer = tf.summary.create_file_writer(str(tmp_path))
    assert_refused(lambda: ta.log_attributions(images(), str(tmp_path), 0), "create_file_writer", "str")
    assert_refused(lambda: ta.log_attributions(images(), writer, 0, labels=[1]), "labels for 1", "3")
    assert_refused(lambda: ta.log_attributions(images(), writer, 0, previous=images(2)), "previous for 2", "3")
    other = made(RNG.normal(size=(3, 4)), RNG.normal(size=(3, 4)))
    assert_refused(lambda: ta.log_attributions(images(), writer, 0, previous=other), "(3, 8, 8, 1)", "(3, 4)")


# pictures made quickly


def pixels(result, example=0, **more):
    png, size = board(result, example, **more)
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    assert picture.size == size
    return np.asarray(picture).astype(int)


def test_colours_say_the_sign_and_zero_is_gray():
    values = np.zeros((1, 8, 8, 1))
    values[0, 2, 3], values[0, 5, 6] = 0.5, -0.5
    drawn = pixels(made(values, np.zeros((1, 8, 8, 1))))
    # without a heading: 8 white, then the image, the overlay and the map, of 8 × 13 pixels each, with 8 white between
    assert drawn.shape[1] == 350  # as TensorBoard shows it, pixel by pixel
    alone = drawn[8:112, 8 + 2 * 112 : 8 + 2 * 112 + 104]
    assert alone[2 * 13 + 6, 3 * 13 + 6].tolist() == [0x3C, 0xC7, 0x3C]
    assert alone[5 * 13 + 6, 6 * 13 + 6].tolist() == [0xB0, 0x08, 0x46]
    assert alone[0, 0].tolist() == [0xE4] * 3
    assert (drawn[8:112, 8:112] == 0).all()  # the image is black


def test_padding_is_one_box_with_its_sum():
    padded = words(["good", "[pad]", "[pad]", "[pad]"])
    same = words(["good", "[pad] × 3", "", ""])
    same = dataclasses.replace(
        same, attributions=np.array([[0.5, -0.24]]), inputs=np.array([[4, 5]]), tokens=np.array([["good", "[pad] × 3"]])
    )
    np.testing.assert_array_equal(pixels(padded), pixels(same))


@pytest.mark.parametrize(
    "result",
    [
        made(RNG.normal(size=(1, 4, 4)), RNG.uniform(size=(1, 16, 16, 3))),  # a layer's coarser map
        made(RNG.normal(size=(1, 16, 16, 3)), RNG.integers(0, 255, (1, 16, 16, 3)).astype("uint8")),
        made(RNG.normal(size=(1, 300, 300, 3)), RNG.uniform(-1, 1, (1, 300, 300, 3))),
        made(RNG.normal(size=(1, 30)), RNG.normal(size=(1, 30))),
        made(RNG.normal(size=(1, 40, 2)), RNG.normal(size=(1, 40, 2))),
        words(["ordinary", "ünïcode", "строка", "."]),
        words(["日本語", "x", "\u0007", ""]),
    ],
    ids=range(7),
)
def test_every_kind_is_drawn(result):
    drawn = pixels(result, heading=["label 3, predicted 5", "score 0.9 probability, gap 0.01"])
    assert drawn.shape[1] >= 350
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) > 20


def test_long_headings_are_wrapped_and_many_words_take_lines():
    many = made(RNG.normal(size=(1, 90)), np.arange(90)[None])
    assert pixels(many).shape[0] > pixels(made(RNG.normal(size=(1, 9)), np.arange(9)[None])).shape[0] + 40
    short, long = (pixels(images(1), heading=[text]).shape[0] for text in ("a", "a heading that goes on and on " * 6))
    assert long > short


def test_markdown_is_shown_as_it_is():
    assert tensorboard.escaped("a|b <i>*x*</i> [y](z)\n# q") == "a\\|b &lt;i&gt;\\*x\\*&lt;/i&gt; \\[y\\]\\(z\\) \\# q"
