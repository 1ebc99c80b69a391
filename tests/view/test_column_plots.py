"""Waterfalls add up, dots lie at the values of their columns, heat maps have the colours of their numbers."""

import dataclasses

import matplotlib.colors
import numpy as np
import pytest

import tf_attrib as ta
from tf_attrib.result.columns import columns
from tf_attrib.view import colour, features_html
from tf_attrib.view.column_plots import NOT_ATTRIBUTED, waterfall_bars

from ..conftest import assert_refused

RNG = np.random.default_rng(2)
CITIES = np.array([["Bern"], ["Genf"], ["Bern"], ["Basel"]])
AGES = np.array([[25.0], [45.0], [61.0], [33.0]], "float32")


def made(**changes):
    """Two columns, one of them encoded, and attributions that add up."""
    attributions = {"age": RNG.normal(size=(4, 1)), "city": RNG.normal(size=(4, 1, 3))}
    totals = attributions["age"].sum(1) + attributions["city"].sum((1, 2))
    fields = {
        "attributions": attributions,
        "scores": 2 + totals,
        "baseline_scores": np.full(4, 2.0),
        "gap": np.zeros(4),
        "inputs": {"age": AGES, "city": CITIES},
        "columns": {"age": "age", "city": "city"},
        "categories": {"city": ("Bern", "Genf", "Basel")},
        "place": "encoded",
        "kind": "contribution",
    }
    return ta.Attribution(**fields | changes)


def wide(count=5, width=9, **changes):
    values = RNG.normal(size=(count, width))
    fields = {"scores": values.sum(1) + 1, "baseline_scores": np.ones(count), "gap": np.zeros(count), "kind": "contribution"}
    names = {"feature_names": {"": tuple(f"column {number}" for number in range(width))}, "place": "inputs"}
    return ta.Attribution(values, **{"inputs": RNG.normal(size=values.shape)} | fields | names | changes)


def axes_of(figure):
    """The axes with data, without colour bars."""
    found = dict.fromkeys(axes for part in (figure, *figure.subfigs) for axes in part.axes)
    return [axes for axes in found if axes.axison and (axes.collections or axes.patches or axes.images)]


# waterfall


@pytest.mark.parametrize("k", [1, 3, 8, 20])
def test_bars_lead_from_the_score_at_the_baseline_to_the_score(k):
    result = wide()
    axes = axes_of(result.plot(kind="waterfall", example=2, k=k))[0]
    bars = axes.patches
    assert len(bars) == min(k + 1, 9)
    ends = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in bars]
    starts = [1.0]
    for bar, (left, right) in zip(bars, ends, strict=True):
        raises = bar.get_facecolor() == matplotlib.colors.to_rgba(colour.GREEN)
        assert np.isclose(left if raises else right, starts[-1]) or np.isclose(left, starts[-1])
        starts.append(starts[-1] + bar.get_width())
    np.testing.assert_allclose(starts[-1], result.scores[2])
    labels = [text.get_text() for text in axes.get_yticklabels()]
    strongest = int(np.abs(result.attributions[2]).argmax())
    assert labels[0].startswith(f"column {strongest} = ")
    assert (f"{9 - k} others" in labels) == (k < 8)


def test_what_is_missed_is_a_bar():
    result = wide(gap=np.full(5, -0.5))
    result = dataclasses.replace(result, scores=result.scores + 0.5)
    bars, sentences = waterfall_bars(result, columns(result), 0, 3)
    assert bars[-1][0] == NOT_ATTRIBUTED
    np.testing.assert_allclose(bars[-1][1], 0.5)
    np.testing.assert_allclose(sum(value for _, value, _ in bars), result.difference[0])
    assert "miss" in " ".join(sentences)
    whole = wide()
    assert "miss" not in " ".join(waterfall_bars(whole, columns(whole), 0, 3)[1])


def test_a_category_stands_with_its_column():
    result = made()
    labels = {text.get_text() for text in axes_of(result.plot(kind="waterfall", example=3))[0].get_yticklabels()}
    assert labels == {"age = 33", "city = Basel"}


def test_a_waterfall_needs_parts_of_a_score():
    assert_refused(lambda: made(kind="effect").plot(kind="waterfall"), "score at the baseline", "kind='table'")
    assert_refused(lambda: made(baseline_scores=None).plot(kind="waterfall"), "score at the baseline")
    assert_refused(lambda: wide().plot(kind="waterfall", names=["a"]), "1 names for 9 columns")


# scatter


def test_dots_lie_at_the_values_and_the_attributions():
    result = wide(count=30)
    axes = axes_of(result.plot(kind="scatter", feature=["column 4", "column 1"]))
    assert [one.get_xlabel() for one in axes] == ["column 4", "column 1"]
    dots = np.asarray(axes[0].collections[-1].get_offsets())
    np.testing.assert_allclose(dots, np.stack([result.inputs[:, 4], result.attributions[:, 4]], 1))
    assert len(axes_of(result.plot(kind="scatter"))) == 6
    few = axes_of(result.plot(kind="scatter", feature="column 4", example=[3, 5]))[0]
    np.testing.assert_allclose(np.asarray(few.collections[-1].get_offsets())[:, 1], result.attributions[[3, 5], 4])


def test_dots_of_a_category_lie_above_its_name():
    result = made()
    axes = axes_of(result.plot(kind="scatter", feature="city", colour_by="age"))[0]
    labels = [text.get_text() for text in axes.get_xticklabels()]
    assert labels == ["Basel", "Bern", "Genf"]
    dots = np.asarray(axes.collections[-1].get_offsets())
    assert [labels[round(place)] for place in dots[:, 0]] == CITIES[:, 0].tolist()
    np.testing.assert_allclose(dots[:, 1], result.by_column["city"])
    shades = axes.collections[-1].get_facecolors()
    assert len(np.unique(shades, axis=0)) == 4
    by_city = axes_of(result.plot(kind="scatter", feature="age", colour_by="city"))[0].collections[-1].get_facecolors()
    np.testing.assert_array_equal(by_city[0], by_city[2])
    assert not np.array_equal(by_city[0], by_city[1])


def test_a_scatter_needs_columns_and_values():
    assert_refused(lambda: wide().plot(kind="scatter", feature="column"), "no column is called 'column'", "'column 1'")
    assert_refused(lambda: wide().plot(kind="scatter", feature=0), "name of a column", "got 0", "'column 1'")
    assert_refused(lambda: wide(inputs=None).plot(kind="scatter"), "needs the values")
    many = made(inputs={"age": AGES, "city": CITIES})
    assert_refused(lambda: many.plot(kind="scatter", tokens=[["a"]]), "tokens=", "means nothing")
    assert_refused(lambda: many.plot(kind="table", colour_by="age"), "colour_by=", "means nothing")


# heat map


def test_a_heat_map_is_ordered_by_score_and_has_one_scale():
    result = wide(count=7)
    figure = result.plot(kind="heatmap", k=4)
    axes = next(one for one in axes_of(figure) if one.images)
    pixels = axes.images[0].get_array()
    assert pixels.shape[:2] == (7, 4)
    order = np.argsort(-result.scores)
    strongest = np.argsort(-np.abs(result.attributions).mean(0))[:4]
    assert [text.get_text() for text in axes.get_xticklabels()] == [f"column {place}" for place in strongest]
    shown = result.attributions[order][:, strongest]
    np.testing.assert_allclose(pixels, colour.colours(colour.scale(shown)))
    assert [text.get_text() for text in axes.get_yticklabels()] == [f"example {row}" for row in order]
    rest = 1 - np.abs(shown).sum() / np.abs(result.attributions).sum()
    assert f"others carry {round(100 * rest)}%" in figure.caption


def test_many_rows_have_no_numbers():
    axes = next(one for one in axes_of(wide(count=60).plot(kind="heatmap")) if one.images)
    assert not axes.get_yticklabels()
    assert "60 examples" in axes.get_ylabel()


# standard errors


def test_standard_errors_are_drawn_where_there_are_some():
    plain = wide()
    fields = {field.name: getattr(plain, field.name) for field in dataclasses.fields(plain)}
    result = ta.Attribution(**fields | {"standard_error": np.full(plain.attributions.shape, 0.25)})
    np.testing.assert_array_equal(columns(result).errors, np.full((5, 9), 0.25))
    for kind, more in (("waterfall", {"example": 0}), ("scatter", {"feature": "column 1"})):
        figure = result.plot(kind=kind, **more)
        assert "one standard error" in figure.caption
        lengths = [
            np.ptp(segment[:, 0 if kind == "waterfall" else 1])
            for axes in axes_of(figure)
            for lines in axes.collections
            if hasattr(lines, "get_segments")
            for segment in lines.get_segments()
        ]
        assert lengths
        np.testing.assert_allclose(lengths, 0.5)
        assert "one standard error" not in plain.plot(kind=kind, **more).caption


@pytest.mark.parametrize("kind", ["waterfall", "scatter", "heatmap"])
def test_steps_along_a_path_are_refused(kind):
    steps = ta.Attributor(lambda x: x[:, 0] ** 2).attribute(
        np.ones((2, 3), "float32"), method=ta.InteriorGradients(n_steps=4), verbose=False
    )
    result = dataclasses.replace(steps, kind="contribution")
    assert_refused(lambda: result.plot(kind=kind), "result.sum(1)")


@pytest.mark.parametrize("kind", ["waterfall", "scatter", "heatmap"])
def test_numbers_that_are_not_finite_do_not_break_a_picture(kind):
    result = wide()
    values = result.attributions.copy()
    values[1, 2] = np.nan
    picture = dataclasses.replace(result, attributions=values).plot(kind=kind)._repr_png_()
    assert picture.startswith(b"\x89PNG")


def test_bars_tables_and_captions_have_standard_errors_too():
    plain = wide()
    result = dataclasses.replace(plain, standard_error=np.full(plain.attributions.shape, 0.25))
    figure = result.plot(kind="table", example=0, k=3)
    (bars,) = (axes for axes in axes_of(figure) if axes.patches)
    (lines,) = (one for one in bars.collections if hasattr(one, "get_segments"))
    np.testing.assert_allclose([np.ptp(segment[:, 0]) for segment in lines.get_segments()], [0.5] * 3)
    assert "one standard error to either side" in figure.caption
    assert "standard error 0.25 of a feature at most" in figure.caption
    assert "± 0.25" in features_html(result)
    assert "standard error" not in plain.plot(kind="table", example=0).caption
    assert "±" not in features_html(plain)


def test_no_waterfall_of_scores_that_are_not_finite():
    plain = wide()
    bad = dataclasses.replace(plain, scores=np.where(np.arange(len(plain)) == 1, np.nan, plain.scores))
    assert_refused(lambda: bad.plot(kind="waterfall", example=1), "example 1 are not finite", "kind='table'")
    assert bad.plot(kind="waterfall", example=0).caption


def test_categories_are_no_formulas():
    """A price in dollars was read as mathematics, and failed where it is none."""
    names = np.array([["$\\frac$"], ["$2$"], ["$\\frac$"], ["b_c"]])
    result = made(inputs={"age": AGES, "city": names})
    figure = result.plot(kind="scatter", colour_by="city")
    figure.draw_without_rendering()
    assert {"$\\frac$", "$2$"} <= {
        text.get_text() for part in figure.subfigs for axes in part.axes for text in axes.get_yticklabels()
    }
