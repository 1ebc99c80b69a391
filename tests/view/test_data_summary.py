"""Pictures, text and pages of a summary."""

import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgba

import tf_attrib as ta
from tf_attrib.view.colour import GREEN, RED
from tf_attrib.view.data_summary import UNKNOWN, VALUES, Swarm, _dot_colours, swarm_offsets

from ..conftest import assert_refused
from ..datasets.test_summarise import data, result_of
from ..datasets.test_words import WORDS, examples


def axes_of(figure):
    return [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]


def names_on(axes):
    return [label.get_text() for label in axes.get_yticklabels()]


@pytest.fixture(scope="module")
def summary():
    attributions, inputs, target = data(features=6)
    return ta.summarise(result_of(attributions, inputs, target), names=list("abcdef"), classes=["no", "maybe", "yes"])


@pytest.fixture(scope="module")
def word_summary():
    ids, attributions, target, _ = examples()
    return ta.summarise(result_of(attributions, ids, target, predicted=target), tokens=WORDS, min_precision=0.5)


def test_dots_of_a_swarm_do_not_hide_each_other():
    attributions = np.random.default_rng(0).normal(size=500)
    limits = (attributions.min(), attributions.max())
    offsets = swarm_offsets(attributions, limits)
    bins = np.floor(120 * (attributions - limits[0]) / (limits[1] - limits[0])).astype(int)
    assert len(set(zip(bins.tolist(), offsets.round(9).tolist(), strict=True))) == 500
    assert np.abs(offsets).max() <= 0.42
    same = swarm_offsets(np.zeros(1000), (-1, 1))
    assert len(set(same.round(9))) == 1000
    assert np.abs(same).max() <= 0.42
    assert same.mean() == pytest.approx(0, abs=0.01)
    assert swarm_offsets(np.zeros(0), (-1, 1)).shape == (0,)
    assert not swarm_offsets(np.zeros(1), (0, 0)).any()


def test_dots_are_coloured_by_value_between_percentiles():
    values = np.append(np.arange(101.0), np.nan)
    shades = _dot_colours(Swarm("x", np.zeros(102), values))
    np.testing.assert_allclose(shades[0], VALUES(0.0))
    np.testing.assert_allclose(shades[3], VALUES(0.0))  # beneath the 5th percentile
    np.testing.assert_allclose(shades[99], VALUES(1.0))
    np.testing.assert_allclose(shades[50], VALUES(0.5), atol=0.01)
    np.testing.assert_allclose(shades[101], to_rgba(UNKNOWN))
    rare = _dot_colours(Swarm("bit", np.zeros(100), 0.1 * np.eye(100)[0]))
    assert to_hex(rare[0]) == to_hex(VALUES(1.0))  # though the 95th percentile is 0
    assert to_hex(rare[1]) == to_hex(VALUES(0.0))
    assert _dot_colours(Swarm("word", np.array([0.1, -0.1]), None)) == [GREEN, RED]


def test_a_beeswarm_has_a_dot_for_each_example(summary):
    figure = summary.plot(kind="beeswarm", k=3)
    panels = axes_of(figure)
    assert len(panels) == 3
    top = [summary.names[place] for place in summary.top(3)]
    for group, axes in enumerate(panels):
        assert names_on(axes) == [*top, "3 other features"]
        dots = [collection.get_offsets() for collection in axes.collections]
        assert [len(one) for one in dots] == [summary.examples[group]] * 4
        own = summary.sample["group"] == group
        attributions = summary.sample["attributions"][own]
        np.testing.assert_allclose(sorted(dots[0][:, 0]), sorted(attributions[:, summary.top(1)[0]]))
        np.testing.assert_allclose(sorted(dots[3][:, 0]), sorted(attributions[:, summary.top(6)[3:]].sum(1)))
    assert "5th to the 95th percentile" in figure.caption
    assert len(axes_of(summary.plot(kind="beeswarm", group="maybe"))) == 1
    assert len(axes_of(summary.plot(kind="beeswarm", group=2))) == 1
    assert names_on(axes_of(summary.plot(kind="beeswarm", k=6))[0])[-1] != "0 other features"


def test_auto_is_what_suits(summary, word_summary):
    assert "dot is an example" in summary.plot().caption
    assert "Mean over all examples" in word_summary.plot().caption
    images = ta.summarise(result_of(np.ones((4, 8, 8, 1)), np.ones((4, 8, 8, 1))))
    assert "means" in images.plot().caption


def test_bars_add_up_to_the_importance(summary):
    figure = summary.plot(kind="bar", k=4)
    axes = axes_of(figure)[0]
    bars = axes.containers
    assert len(bars) == 3
    ends = [bar.get_x() + bar.get_width() for bar in bars[-1]]
    ranked = np.sort(summary.importance)[::-1]
    np.testing.assert_allclose(ends, [*ranked[:4], ranked[4:].sum()])
    assert names_on(axes)[-1] == "2 other features"
    own = axes_of(summary.plot(kind="bar", k=6, group="yes"))[0].containers
    np.testing.assert_allclose([bar.get_width() for bar in own[0]], summary.share_by_group[2, summary.top(6)])


def test_others_that_would_dwarf_the_rest_are_told_in_words():
    attributions = np.ones((10, 50))
    figure = ta.summarise(result_of(attributions)).plot(kind="bar", k=5)
    assert len(names_on(axes_of(figure)[0])) == 5
    assert "Not drawn: 45 other features, 45 in all, 90% of the magnitude" in figure.caption
    assert "zero" not in ta.summarise(result_of(np.zeros((3, 9)))).plot(kind="bar", k=3).caption


def test_many_classes_are_told_apart_or_put_together():
    attributions, inputs, _ = data(300)
    found = ta.summarise(result_of(attributions, inputs, np.arange(300) % 12))
    bars = axes_of(found.plot(kind="bar", k=2))[0].containers
    assert len(bars) == 8
    ends = [bar.get_x() + bar.get_width() for bar in bars[-1]]
    assert ends[0] == pytest.approx(found.importance.max())
    figure = found.plot(kind="beeswarm")
    assert len(axes_of(figure)) == 4
    assert "8 more groups are not drawn" in figure.caption
    assert "... 12 in all" in repr(found)


def test_means_are_signed_and_coloured(summary):
    figure = summary.plot(kind="mean", k=6, group="no")
    bars = axes_of(figure)[0].patches
    np.testing.assert_allclose([bar.get_width() for bar in bars], summary.mean[0, summary.top(6)])
    assert [to_hex(bar.get_facecolor()) for bar in bars] == [
        GREEN if width > 0 else RED for width in summary.mean[0, summary.top(6)]
    ]


def test_maps_of_images():
    random = np.random.default_rng(0)
    found = ta.summarise(result_of(random.normal(size=(30, 8, 8, 3)), random.uniform(size=(30, 8, 8, 3)), np.arange(30) % 2))
    figure = found.plot(kind="map")
    pictures = [axes.images[0] for axes in figure.axes if axes.images]
    assert len(pictures) == 4
    np.testing.assert_allclose(pictures[1].get_array(), found.mean_magnitude[0].reshape(8, 8, 3).sum(-1))
    assert "The 3 channels are summed" in figure.caption
    rows = found.plot(kind="beeswarm", k=5).axes[0]
    assert len(names_on(rows)) == 6  # never a row for each of 192


def test_words_have_a_dot_for_each_occurrence(word_summary):
    ids, attributions, target, _ = examples()
    figure = word_summary.plot(kind="beeswarm", k=4)
    for group, axes in enumerate(axes_of(figure)):
        for place, name in enumerate(names_on(axes)):
            here = (ids == WORDS.index(name)) & (target == group)[:, None]
            dots = axes.collections[place].get_offsets()
            np.testing.assert_allclose(sorted(dots[:, 0]), sorted(attributions.sum(-1)[here]))


def test_a_sample_that_is_not_all_is_said():
    attributions, inputs, target = data()
    figure = ta.summarise(result_of(attributions, inputs, target), sample=50).plot(kind="beeswarm")
    assert "50 of 200 examples, drawn at random" in figure.caption


def test_pages_are_escaped_and_never_overwritten(tmp_path):
    ids, attributions, target, _ = examples()
    hostile = [word if word != "film" else "<script>alert(1)</script>" for word in WORDS]
    found = ta.summarise(
        result_of(attributions, ids, target, predicted=target), tokens=hostile, min_precision=0.3, classes=["<b>no</b>", "yes"]
    )
    path = found.save_html(tmp_path / "summary.html")
    page = path.read_text()
    for text in (page, found._repr_html_()):  # which is `to_html`
        assert "<script>" not in text
        assert "<b>no</b>" not in text
        assert "&lt;script&gt;" in text
        assert "Trigger words of yes" in text
    assert page.count("data:image/png") == 3
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("tf_attrib.datasets.figures.sections", None)  # it is refused before anything is drawn
        assert_refused(lambda: found.save_html(path), "exists", "overwrite=True")
    assert found.save_html(path, overwrite=True) == path


def test_names_that_would_act_on_a_terminal_are_escaped():
    attributions, inputs, _ = data()
    text = repr(ta.summarise(result_of(attributions, inputs), names=["\x1b[2J", "$x$", "b\nc", "d" * 300]))
    assert "\x1b" not in text
    assert "b\\nc" in text
    assert max(map(len, text.split("\n"))) < 400


def test_the_text_of_words(word_summary):
    text = repr(word_summary)
    assert "trigger words of class 1" in text
    first = next(one for one in word_summary.trigger_words if one.target == 1)
    assert f"{first.count}" in text
    assert first.examples[0].text[:20] in text
    if word_summary.rules:
        assert str(word_summary.rules[0]) in text
