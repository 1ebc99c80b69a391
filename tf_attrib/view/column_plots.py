"""Pictures of tables: a waterfall for one row, attributions against values, and a heat map of rows by features."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.ticker import MaxNLocator

from ..common.checks import whole
from ..common.errors import AttributionError, nearest
from ..common.types import present
from ..result.columns import Columns, as_text, columns
from ..result.result import Result
from . import captions, colour, draw
from .data_summary import UNKNOWN, VALUES
from .plots import shortened

KINDS = ("waterfall", "scatter", "heatmap")
# What the shown bars miss is drawn as a bar of its own from this part of the difference of scores on.
SHORT = 1e-3
NOT_ATTRIBUTED = "(not attributed)"
# More rows have no room for their numbers, and more categories none for their names.
MOST_LABELS, MOST_CATEGORIES = 30, 20


def table_of(result: Result, names: Sequence[str] | None) -> Columns:
    """The columns of a result, under the names given.

    Raises:
        AttributionError: another number of names, or steps along a path.
    """
    table = columns(result)
    if names is None:
        return table
    if len(names) != len(table.names):
        raise AttributionError(f"{len(names)} names for {len(table.names)} columns: give one for each")
    return Columns(tuple(map(str, names)), table.attributions, table.values, table.errors)


# one row


def waterfall(result: Result, example: int, k: int, names: Sequence[str] | None) -> draw.Panel:
    """From the score at the baseline to the score, one bar for each of the k strongest columns and one for all others.

    Raises:
        AttributionError: attributions that do not begin at a baseline's score.
    """
    whole("k", k)
    if result.baseline_scores is None or result.kind not in ("contribution", ""):
        raise AttributionError(
            "kind='waterfall' leads from the score at the baseline to the score, by attributions that are parts of their "
            f"difference; those of {result.method} are not: take integrated gradients or DeepLIFT, or kind='table'"
        )
    if not np.isfinite([result.scores[example], present(captions.mean_baseline(result, example))]).all():
        raise AttributionError(
            f"the scores of example {example} are not finite, so that no waterfall leads from one to the other: take another "
            "example, or kind='table'"
        )
    bars, sentences = waterfall_bars(result, table_of(result, names), example, k)
    start, end = float(present(captions.mean_baseline(result, example))), float(result.scores[example])

    def paint(part):
        axes = part.subplots()
        below = start
        for row, (_, value, error) in enumerate(bars):
            length = float(colour.finite(value))
            axes.barh(row, length, left=below, height=0.66, color=colour.sign_colours([length])[0])
            if np.isfinite(error):
                axes.errorbar(below + length, row, xerr=error, fmt="none", **draw.ERROR)
            below += length
            if row + 1 < len(bars):
                axes.plot([below, below], [row - 0.33, row + 1.33], color="#999999", linewidth=0.7, zorder=0)
            axes.annotate(
                f"{value:+.3g}", (below, row), xytext=(4 if length >= 0 else -4, 0), textcoords="offset points",
                ha="left" if length >= 0 else "right", va="center", fontsize=7.5,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.8},
            )  # fmt: skip
        for place, style in ((start, ":"), (end, "-")):
            axes.axvline(place, color="#555555", linewidth=0.8, linestyle=style, zorder=0)
        low, high = _span(start, bars)
        axes.set_xlim(low - 0.16 * (high - low), high + 0.16 * (high - low))
        axes.set_yticks(np.arange(len(bars)), labels=[shortened(name) for name, _, _ in bars], parse_math=False)
        axes.set_ylim(len(bars) - 0.4, -0.6)
        axes.set_xlabel(
            f"score ({result.unit}): dotted, {captions.number(start)} at the baseline; line, {captions.number(end)}",
            fontsize=8, parse_math=False,
        )  # fmt: skip
        draw.plain(axes)

    caption = [colour.meaning(result.kind) + ".", *sentences, *captions.numbers(result, example)]
    title = captions.title(result, example, captions.entry_name(result, example))
    return draw.Panel(title, tuple(caption), 0.75 + 0.24 * len(bars), paint)


def waterfall_bars(result: Result, table: Columns, example: int, k: int) -> tuple[list[tuple[str, float, float]], list[str]]:
    """(name, length, standard error or NaN) of each bar, which add up to the difference of scores, but for those that are not
    finite; and what is not shown."""
    given = table.attributions[example]
    values = colour.finite(given)
    order = np.argsort(-np.abs(values), kind="stable")
    shown = order[:k] if len(order) > k + 1 else order  # one column alone needs no "others"
    rest = order[len(shown) :]
    errors = np.full(len(values), np.nan) if table.errors is None else table.errors[example]
    bars = [(_labelled(table, example, column), float(given[column]), float(errors[column])) for column in shown]
    sentences = colour.not_finite(given, "column", "taken as 0")
    difference = float(present(result.difference)[example])
    missed = difference - float(values.sum())
    if len(rest):
        total = max(np.abs(values).sum(), np.finfo(float).tiny)
        bars.append((f"{len(rest)} others", float(values[rest].sum()), np.nan))
        sentences.append(
            f"The {len(shown)} strongest of {len(values)} columns; the others carry "
            f"{captions.percent(np.abs(values[rest]).sum() / total)} of the attribution by magnitude."
        )
    if abs(missed) > SHORT * abs(difference):
        bars.append((NOT_ATTRIBUTED, missed, np.nan))
        sentences.append("What the attributions miss of the difference of scores is the last bar.")
    if any(np.isfinite(error) for _, _, error in bars):
        sentences.append("Lines at the ends of bars: one standard error to either side.")
    return bars, sentences


def _span(start: float, bars: Sequence[tuple]) -> tuple[float, float]:
    ends = start + np.cumsum([0.0, *colour.finite([value for _, value, _ in bars])])
    low, high = float(ends.min()), float(ends.max())
    # where nothing moves, a span that is there next to the score
    return low, high if high > low else low + 1e-3 * max(abs(low), 1e-3)


def _labelled(table: Columns, example: int, column: int) -> str:
    value = table.values[example, column]
    return table.names[column] if value is None else f"{table.names[column]} = {_said(value)}"


def _said(value: Any) -> str:
    return captions.number(value) if isinstance(value, float) else as_text(value)[:24]


# all rows


def scatter(
    result: Result,
    chosen: Sequence[int],
    features: str | Sequence[str] | None,
    by: str | None,
    k: int,
    names: Sequence[str] | None,
) -> draw.Drawing:
    """The attribution of a column against its value, a dot for each example, a panel for each column.

    Args:
        chosen: which examples.
        features: names of columns; default: the k of largest mean magnitude, up to six.
        by: a column whose value colours the dots: where dots of one value and different colours lie apart, the two interact.
    """
    table = table_of(result, names)
    wanted = _strongest(table, chosen, min(whole("k", k), 6)) if features is None else _places(table, features)
    shade = None if by is None else _shade(table, chosen, _places(table, by)[0])
    unit = captions.attribution_unit(result)

    def paint(part):
        width = min(3, len(wanted))
        grid = part.subplots(-(-len(wanted) // width), width, squeeze=False)
        for axes in grid.ravel()[len(wanted) :]:
            axes.set_axis_off()
        for axes, column in zip(grid.ravel(), wanted, strict=False):
            _dots(axes, table, chosen, column, shade)
        for row in grid:
            row[0].set_ylabel(f"attribution ({unit})", fontsize=8, parse_math=False)
        if shade is not None:
            _bar(part, grid, shade, present(by))

    rows = -(-len(wanted) // 3)
    caption = [f"{captions.count(len(chosen), 'example')}, a dot each: the value of a column and its attribution."]
    if by is not None:
        caption.append(f"Colours: the value of {by}. Colours that lie apart at one value are an interaction of the two.")
    if table.errors is not None:
        caption.append("Lines: one standard error to either side.")
    caption += _without_dots(table, chosen, wanted)
    return draw.stack([draw.Panel("", (), 0.4 + 2.6 * rows, paint)], caption)


def _without_dots(table: Columns, chosen: Sequence[int], wanted: Sequence[int]) -> list[str]:
    """The sentence on examples of which no dot can be drawn, and in which columns."""
    found = []
    for column in wanted:
        raw = table.values[list(chosen), column]
        known = np.array([isinstance(value, str) for value in raw]) | np.isfinite(table.numbers[list(chosen), column])
        missing = int((~known | ~np.isfinite(table.attributions[list(chosen), column])).sum())
        found += [f"{captions.count(missing, 'example')} of {table.names[column]}"] if missing else []
    return [f"Without a dot, as value or attribution is not finite: {', '.join(found)}."] if found else []


def _dots(axes, table: Columns, chosen: Sequence[int], column: int, shade: tuple | None) -> None:
    raw, height = table.values[list(chosen), column], table.attributions[list(chosen), column]
    kinds = _categories(raw)
    places = table.numbers[list(chosen), column]
    if kinds is not None:
        # a little to the side, the same for the same example, so that dots of one category are told apart
        aside = 0.3 * (np.modf(np.arange(len(raw)) * 0.61803)[0] - 0.5)
        places = np.array([kinds.index(as_text(value)) for value in raw], float) + aside
        axes.set_xticks(range(len(kinds)), labels=[shortened(kind, 14) for kind in kinds], parse_math=False)
        if len(kinds) > 4:
            axes.tick_params(axis="x", labelrotation=45)
    elif np.isfinite(places).all() and np.array_equal(places, np.round(places)):
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    shades = colour.sign_colours(height) if shade is None else shade[0]
    axes.axhline(0, color="#999999", linewidth=0.7, zorder=0)
    if table.errors is not None:
        axes.errorbar(
            places, height, yerr=np.nan_to_num(table.errors[list(chosen), column]), fmt="none", zorder=1, **draw.ERROR
        )
    axes.scatter(places, height, s=14, c=shades, linewidths=0, zorder=3)
    axes.set_xlabel(shortened(table.names[column]), fontsize=8, parse_math=False)
    draw.plain(axes)


def _categories(raw: np.ndarray) -> list[str] | None:
    """The different texts of a column, in order; None where it holds numbers.

    Raises:
        AttributionError: its values are not known, or it has more texts than there is room for.
    """
    if any(value is None for value in raw):
        raise AttributionError(
            "kind='scatter' needs the values of the column, and the result does not hold them: attribute to inputs, or name "
            "another column, feature="
        )
    if not any(isinstance(value, str) for value in raw):
        return None
    kinds = sorted({as_text(value) for value in raw})
    if len(kinds) > MOST_CATEGORIES:
        raise AttributionError(f"kind='scatter' has room for {MOST_CATEGORIES} categories, and this column has {len(kinds)}")
    return kinds


def _shade(table: Columns, chosen: Sequence[int], column: int) -> tuple[np.ndarray, list[str], float, float]:
    """A colour for each example by the value of a column; its categories; and the ends of the scale."""
    raw = table.values[list(chosen), column]
    kinds = _categories(raw)
    numbers = table.numbers[list(chosen), column] if kinds is None else np.array([kinds.index(as_text(v)) for v in raw], float)
    known = np.isfinite(numbers)
    low, high = (float(numbers[known].min()), float(numbers[known].max())) if known.any() else (0.0, 1.0)
    shades = VALUES(Normalize(low, high if high > low else low + 1)(np.where(known, numbers, low)))
    shades[~known] = colour.to_rgba(UNKNOWN)
    return shades, kinds or [], low, high


def _bar(part, grid, shade: tuple, label: str) -> None:
    _, kinds, low, high = shade
    bar = part.colorbar(ScalarMappable(Normalize(low, high if high > low else low + 1), VALUES), ax=grid, aspect=30, pad=0.02)
    bar.ax.tick_params(labelsize=8)
    if kinds:
        bar.set_ticks(range(len(kinds)), labels=[shortened(kind, 14) for kind in kinds], parse_math=False)
    bar.set_label(shortened(label), fontsize=8, parse_math=False)


def heatmap(result: Result, chosen: Sequence[int], k: int, names: Sequence[str] | None) -> draw.Drawing:
    """Examples from top to bottom by their score, the k columns of largest mean magnitude to the right, on one scale."""
    table = table_of(result, names)
    wanted = _strongest(table, chosen, whole("k", k))
    order = np.asarray(chosen)[np.argsort(-result.scores[list(chosen)], kind="stable")]
    everything = table.attributions[order]
    values, unit = everything[:, wanted], captions.attribution_unit(result)
    limit = float(np.abs(colour.finite(values)).max(initial=0))

    def paint(part):
        axes, beside = part.subplots(1, 2, width_ratios=[12, 1.4], sharey=True)
        pixels = colour.colours(colour.scale(values, limit=limit or None))
        axes.imshow(pixels, aspect="auto", interpolation="nearest")
        axes.set_xticks(range(len(wanted)), labels=[shortened(table.names[column], 22) for column in wanted], parse_math=False)
        axes.tick_params(axis="x", labelrotation=45 if len(wanted) > 4 else 0, labelsize=8)
        for text in axes.get_xticklabels() if len(wanted) > 4 else ():
            text.set(ha="right", rotation_mode="anchor")
        axes.tick_params(axis="y", labelsize=7)
        if len(order) <= MOST_LABELS:
            axes.set_yticks(range(len(order)), labels=[captions.entry_name(result, int(row)) for row in order])
        else:
            axes.set_yticks([])
            axes.set_ylabel(f"{len(order)} examples, by score", fontsize=8)
        beside.plot(result.scores[order], np.arange(len(order)), color="#444444", linewidth=1.2)
        beside.set_xlabel(f"score ({result.unit})", fontsize=8, parse_math=False)
        beside.locator_params(axis="x", nbins=2)
        beside.tick_params(left=False)
        draw.plain(beside)
        draw.colour_bar(part, [axes, beside], limit, False, unit)

    caption = [colour.meaning(result.kind) + "; one scale for all. Examples are ordered by their score, highest on top."]
    if len(wanted) < len(table.names):
        magnitudes = np.abs(colour.finite(everything))
        rest = 1 - magnitudes[:, wanted].sum() / max(magnitudes.sum(), np.finfo(float).tiny)
        caption.append(
            f"The {len(wanted)} strongest of {len(table.names)} columns; the others carry {captions.percent(rest)} of the "
            "attribution by magnitude."
        )
    caption += colour.not_finite(values, "cell")
    height = 1.3 + min(0.2 * len(order), 5.0)
    return draw.stack([draw.Panel("", (), height, paint)], caption)


def _strongest(table: Columns, chosen: Sequence[int], k: int) -> list[int]:
    size = np.abs(colour.finite(table.attributions[list(chosen)])).mean(0)
    return [int(place) for place in np.argsort(-size, kind="stable")[:k]]


def _places(table: Columns, features: str | Sequence[str]) -> list[int]:
    """The columns of these names."""
    wanted = [features] if isinstance(features, str) or not isinstance(features, Iterable) else list(features)
    if not all(isinstance(name, str) for name in wanted):
        raise AttributionError(
            f"feature= is the name of a column, or several; got {features!r}; there are: {nearest('', table.names)}"
        )
    for name in wanted:
        if name not in table.names:
            raise AttributionError(f"no column is called {name!r}; there are: {nearest(str(name), table.names)}")
    if not wanted:
        raise AttributionError(f"feature= names no column; there are: {nearest('', table.names)}")
    return [table.names.index(name) for name in wanted]
