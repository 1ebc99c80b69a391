"""The demonstration: how examples are chosen, where the report goes, and the whole of it, run once."""

import json
import re

import keras
import numpy as np
import pytest

import tf_attrib as ta
from tf_attrib.common.errors import AttributionError, MissingExtra
from tf_attrib.demo import choose, data, models
from tf_attrib.demo.folder import new_folder
from tf_attrib.demo.page import COUNT

# choosing


def test_most_confident_takes_correct_examples_only():
    probabilities = np.array([[0.6, 0.4], [0.9, 0.1], [0.99, 0.01], [0.2, 0.8]])
    labels = np.array([0, 0, 1, 1])
    assert choose.most_confident(probabilities, labels) == {0: 1, 1: 3}
    assert choose.most_confident(probabilities, labels, rank=1) == {0: 0}
    np.testing.assert_array_equal(choose.misclassified(probabilities, labels), [2])


def test_most_divided_and_most_saturated():
    assert choose.most_divided(np.array([0.9, -0.5, 0.1]), np.array([0.01, 0.4, 0.9])) == 1
    assert choose.most_saturated(np.array([0.2, -0.01, 0.03])) == 1


@pytest.mark.parametrize(("word", "expected"), [("not", True), ("won't", True), ("note", False), ("good", False)])
def test_negations_are_known(word, expected):
    assert choose.is_negation(word) == expected


SENTENCES = [  # text, label, probability of positive, effect of the second word
    ("so good", 1, 0.90, 0),
    ("so great", 1, 0.95, 0),
    ("so bad", 0, 0.10, 0),
    ("so [unk] [unk] poor", 0, 0.01, 0),
    ("is not bad", 1, 0.80, 0.3),
    ("is never bad", 1, 0.99, 0.1),
    ("is hardly bad", 1, 0.55, 0.5),
    ("is not good", 0, 0.20, -0.2),
    ("is never good", 0, 0.10, 0.2),
    ("was not well", 0, 0.97, 0),
    ("was ill", 1, 0.04, 0),
]


def chosen_of(rows):
    texts, labels, positive, effects = zip(*rows, strict=True)
    attributions = np.zeros((len(rows), 4))
    attributions[:, 1] = effects
    found = choose.sentences([text.split() for text in texts], np.array(labels), np.array(positive), attributions, "[unk]")
    return [texts[index] for index in found]


def test_sentences_are_of_every_kind():
    assert chosen_of(SENTENCES) == ["so great", "so bad", "is not bad", "is not good", "was not well", "was ill"]


def test_sentences_fall_back_where_a_kind_is_missing():
    right = SENTENCES[:9]
    found = chosen_of(right)
    assert found[:4] == ["so great", "so bad", "is not bad", "is not good"]
    assert len(set(found)) == 6
    assert len(chosen_of(SENTENCES[:3])) == 3


# where the report goes


def write(directory, overwrite=False, name="index.html"):
    with new_folder(directory, overwrite) as (folder, publish):
        (folder / name).write_text("new")
        return publish()


def test_the_next_free_name_is_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert [str(write(None)) for _ in range(3)] == ["report", "report-2", "report-3"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report", "report-2", "report-3"]
    assert (tmp_path / "report").stat().st_mode & 0o777 == 0o755


def interrupted():
    with new_folder(None, False) as (folder, _):
        (folder / "index.html").write_text("half")
        raise KeyboardInterrupt


def test_an_interrupted_run_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_a_named_folder_is_not_overwritten_unless_asked(tmp_path):
    place = tmp_path / "deep" / "mine"
    assert write(place) == place
    with pytest.raises(AttributionError, match="exists"):
        write(place)
    (place / "index.html").write_text("old")
    assert write(place, overwrite=True) == place
    assert (place / "index.html").read_text() == "new"
    assert [path.name for path in place.parent.iterdir()] == ["mine"]


def test_an_empty_folder_will_do(tmp_path):
    assert write(tmp_path) == tmp_path


def test_other_files_are_never_replaced(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(AttributionError, match=r"thesis\.tex"):
        write(tmp_path, overwrite=True)
    with pytest.raises(AttributionError, match="no folder"):
        write(tmp_path / "thesis.tex", overwrite=True)
    assert (tmp_path / "thesis.tex").read_text() == "mine"


def test_without_scikit_learn_nothing_is_left(tmp_path, monkeypatch):
    from tf_attrib.demo.run import run

    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "sklearn.datasets", None)
    with pytest.raises(MissingExtra, match=r"tf_attrib\[demo\]"):
        run(verbose=False)
    assert list(tmp_path.iterdir()) == []


# the whole of it


FEWER_EPOCHS = {"DIGIT_EPOCHS": 7, "SENTENCE_EPOCHS": 6}


@pytest.fixture(scope="module", params=["short", pytest.param("as it is", marks=pytest.mark.slow)])
def report(request, tmp_path_factory):
    """The demonstration, run once beside a report that is there: (its folder, what it printed and its progress bar).

    By default with fewer epochs, which do for all that is said of it here.
    """
    pytest.importorskip("sklearn")
    import contextlib
    import io

    from tf_attrib.demo.run import run

    place = tmp_path_factory.mktemp("demo")
    (place / "report").mkdir()
    (place / "report" / "index.html").write_text("an older report")
    printed, bar = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patched, contextlib.chdir(place):
        for name, epochs in FEWER_EPOCHS.items() if request.param == "short" else ():
            patched.setattr(models, name, epochs)
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(bar):
            folder = run()
    assert str(folder) == "report-2"
    assert (place / "report" / "index.html").read_text() == "an older report"
    return place / folder, printed.getvalue(), bar.getvalue()


@pytest.fixture(scope="module")
def page(report):
    return (report[0] / "index.html").read_text("utf-8")


@pytest.fixture(scope="module")
def digits(report):
    return data.digits()


def test_everything_is_printed_and_nothing_else_is_left(report):
    folder, printed, bar = report
    assert sorted(path.name for path in folder.parent.iterdir()) == ["report", "report-2"]
    models = "report-2/models"
    for text in (
        "report-2/index.html",
        "digits 9",
        f"tf-attrib attribute {models}/digits.keras {models}/digits.npy",
        f"tf-attrib attribute {models}/sentences.keras {models}/sentences.jsonl --tokens {models}/vocabulary.txt",
    ):
        assert text in printed
    assert "100%" in bar
    assert "attributing:" not in bar  # the library's own bars stay silent: there is one


def test_the_page_stands_alone_and_is_whole(page):
    assert len(page) < 5_000_000
    assert not re.search(r"<(script|link|iframe|object|embed)\b", page)
    assert set(re.findall(r"\b(?:src|href)=(.{6})", page)) == {'"data:', '"#sect'}
    assert not re.search(r"@import|url\(", page)
    assert page.count("<section") == COUNT
    assert page.count('src="data:image/png;base64,') >= 6
    for title in (
        "The models and their data",
        "Each digit",
        "A misclassified digit",
        "Saturation",
        "A planted marker",
        "Words",
        "Every number",
        "Going on",
    ):
        assert re.search(rf"<h2>{title}", page), title
    for text in ("UCI", "scikit-learn", "written for this project"):
        assert text in page


def test_held_out_accuracies(page, report, digits, request):
    least = 0.95 if "short" in request.node.name else 0.97  # fewer epochs depend more on where the last steps lead
    model = keras.models.load_model(report[0] / "models" / "digits.keras")
    accuracy = models.accuracy(model, digits.test_inputs, digits.test_labels)
    assert accuracy > least
    assert f"<td>{accuracy:.1%}</td>" in page


def test_gaps_are_small(page):
    rows = re.findall(r"<tr>(.*?)</tr>", page[page.index("<th>gap</th>") :], re.DOTALL)
    cells = [re.findall(r"<td>(.*?)</td>", row) for row in rows if "<td>" in row]
    gaps = [row[-3] for row in cells]
    assert len(gaps) >= 10 + 10 + 2 + 6 + 6
    assert gaps.count("–") == 1  # a 7 against a 7
    assert all(float(gap.rstrip("%").removeprefix("&lt;")) < 5 for gap in gaps if gap != "–")
    # the estimated error: a word is the sum of its embedding's dimensions, of which the same error is a larger share
    assert not [row for row in cells if not 0 <= float(row[-2].rstrip("%")) <= (20 if "sentence" in row[0] else 5)]
    assert not [row for row in cells if not 9 <= int(row[-1]) <= 200]  # gradients


def test_the_marker_is_caught(report, digits):
    eights = digits.test_inputs[digits.test_labels == 8]
    marked, shares = data.plant(eights), {}
    for name in ("planted", "digits"):
        attributor = ta.Attributor(report[0] / "models" / f"{name}.keras")
        result = attributor.attribute(marked, target=8, verbose=False)
        shares[name] = np.abs(result.attributions[:, 0, 0, 0]) / result.magnitudes
        if name == "planted":
            assert all(features[0].name == (0, 0, 0) for features in result.top(1))
    assert shares["planted"].mean() > 0.4
    assert shares["planted"].mean() > 5 * shares["digits"].mean()


def test_the_saved_inputs_can_be_attributed(report):
    folder = report[0] / "models"
    images = np.load(folder / "digits.npy")
    result = ta.Attributor(folder / "digits.keras").attribute(images, verbose=False)
    np.testing.assert_array_equal(result.target, np.arange(10))
    ids = np.array([json.loads(line) for line in (folder / "sentences.jsonl").read_text().splitlines()], np.int32)
    result = ta.Attributor(folder / "sentences.keras").attribute(ids, verbose=False)
    assert result.attributions.shape == (6, data.LENGTH, 64)
    vocabulary = (folder / "vocabulary.txt").read_text("utf-8").splitlines()
    words = {vocabulary[token] for token in ids.ravel()}
    assert vocabulary[0] == data.PAD
    assert any(choose.is_negation(word) for word in words)


def test_the_words_are_coloured_and_some_are_misread(page):
    part = page[page.index("<h2>Words") : page.index("<h2>Every number")]
    assert part.count("the model is right") == 4
    assert part.count("the model is wrong") == 2
    assert len(re.findall(r"background:#[0-9a-f]{6}", part)) >= 24
    assert any(choose.is_negation(word) for word in re.findall(r">([^<>]+)</span>", part))
