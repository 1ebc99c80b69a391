"""Heat maps and scatters of a summary: a column, or a dot, for each example that was sampled."""

import numpy as np
import pytest

import tf_attrib as ta
from tf_attrib.datasets import figures

from ..conftest import assert_refused
from ..datasets.test_summarise import data, result_of
from .test_data_summary import axes_of, names_on, word_summary  # noqa: F401 -- a fixture

ATTRIBUTIONS, INPUTS, classes_of = data(features=6)
CLASSES = ["no", "maybe", "yes"]


@pytest.fixture(scope="module")
def summary():
    return ta.summarise(result_of(ATTRIBUTIONS, INPUTS, classes_of), names=list("abcdef"), classes=CLASSES)


def test_a_heat_map_has_a_row_for_each_feature_and_a_column_for_each_example(summary):
    figure = summary.plot(kind="heatmap", k=4)
    panels = axes_of(figure)
    assert len(panels) == 3
    names = [summary.names[place] for place in summary.top(4)]
    for group, axes in enumerate(panels):
        shown = np.asarray(axes.images[0].get_array())
        own = ATTRIBUTIONS[classes_of == group][:, summary.top(4)]
        assert names_on(axes) == names
        assert shown.shape == own.T.shape
        np.testing.assert_allclose(np.sort(shown, 1), np.sort(own.T, 1), rtol=1e-6)  # the same, in another order
    limits = {(axes.images[0].norm.vmin, axes.images[0].norm.vmax) for axes in panels}
    end = np.quantile(np.abs(ATTRIBUTIONS[:, summary.top(4)]), 0.99)
    np.testing.assert_allclose(list(limits), [(-end, end)], rtol=1e-6)
    assert "2 other features not drawn" in figure.caption
    assert len(axes_of(summary.plot(kind="heatmap", group="maybe"))) == 1


def test_columns_that_are_alike_stand_together():
    two = np.random.default_rng(0).integers(0, 2, 60)
    attributions = np.where(two[:, None] == 1, 1.0, -1.0) + np.random.default_rng(1).normal(0, 0.1, (60, 3))
    shown = axes_of(ta.summarise(result_of(attributions)).plot(kind="heatmap"))[0].images[0].get_array()
    assert np.count_nonzero(np.diff(np.sign(shown[0]))) == 1


def test_the_colours_of_a_heat_map_end_where_it_says():
    """Of what is nearly everywhere 0 they ended at 1, and the caption said at 0; and of few values 1% is not beyond."""
    sparse = np.zeros((60, 4))
    sparse[3, 1], sparse[7, 2] = 0.25, -0.125
    figure = ta.summarise(result_of(sparse)).plot(kind="heatmap")
    assert axes_of(figure)[0].images[0].norm.vmax == 0.25
    assert "colours end at ±0.25, beyond which none of the values lie" in figure.caption
    few = ta.summarise(result_of(np.arange(1.0, 11)[:, None])).plot(kind="heatmap").caption
    assert "beyond which 10% of the values lie" in few


def test_what_is_not_there_is_said_beneath_the_picture():
    inputs, attributions = INPUTS.astype(float), ATTRIBUTIONS.copy()
    inputs[:3, 2], attributions[7, 1] = np.nan, np.inf
    found = ta.summarise(result_of(attributions, inputs), names=list("abcdef"))
    left_out = "1 of 200 examples have attributions that are not finite, and are left out."
    assert all(left_out in found.plot(kind=kind).caption for kind in ("beeswarm", "bar", "mean", "heatmap"))
    assert f"{left_out} A dot is an example; 199 of 199. Without a dot, as its value is not finite: 3 of c." in " ".join(
        found.plot(kind="scatter").caption.split()
    )


def test_of_many_examples_as_many_are_drawn_as_can_be_put_in_order(monkeypatch):
    monkeypatch.setattr(figures, "COLUMNS", 50)
    figure = ta.summarise(result_of(ATTRIBUTIONS)).plot(kind="heatmap")
    assert axes_of(figure)[0].images[0].get_array().shape == (6, 50)
    assert "50 of 200 examples" in figure.caption


def test_a_scatter_has_a_panel_for_each_feature_and_a_dot_for_each_example(summary):
    figure = summary.plot(kind="scatter")
    panels = axes_of(figure)
    assert [axes.get_xlabel() for axes in panels] == [summary.names[place] for place in summary.top(6)]
    for axes, place in zip(panels, summary.top(6), strict=True):
        for group, dots in enumerate(axes.collections):
            own = classes_of == group
            expected = np.stack([INPUTS[own, place], ATTRIBUTIONS[own, place]], 1)
            order = [np.lexsort(np.asarray(points).T) for points in (dots.get_offsets(), expected)]
            np.testing.assert_allclose(np.asarray(dots.get_offsets())[order[0]], expected[order[1]], rtol=1e-6)
    assert [text.get_text() for legend in _legends(figure) for text in legend.get_texts()] == CLASSES
    assert len(axes_of(summary.plot(kind="scatter", k=2))) == 3  # a place that is empty
    assert len(axes_of(summary.plot(kind="scatter", group="yes"))[0].collections) == 1


def _legends(figure):
    return [legend for part in (figure, *figure.subfigs) for legend in part.legends]


def test_what_cannot_be_drawn_says_what_can(summary, word_summary):  # noqa: F811 -- the fixture
    assert_refused(lambda: word_summary.plot(kind="heatmap"), "words", "'beeswarm'")
    assert_refused(lambda: word_summary.plot(kind="scatter"), "words")
    assert_refused(lambda: ta.summarise(result_of(ATTRIBUTIONS)).plot(kind="scatter"), "keep=('attributions', 'inputs')")
    empty = ta.summarise(result_of(ATTRIBUTIONS, INPUTS), sample=0)
    assert_refused(lambda: empty.plot(kind="heatmap"), "sample=1000")
    assert_refused(lambda: summary.plot(kind="heat"), "'heatmap'")
