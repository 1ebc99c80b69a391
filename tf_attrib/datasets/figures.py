"""What a summary's figures and pages show, prepared for `tf_attrib.view`, which draws it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..common.errors import AttributionError, nearest
from ..result.channels import in_words
from .text import SHOWN, degenerate_lines, headline, legend, targets, top_rows, trigger_rows

if TYPE_CHECKING:
    from ..view.draw import Drawing

KINDS = ("beeswarm", "bar", "mean", "map", "heatmap", "scatter")
# Features that a scatter has panels for, and the part of the values that colours of a heat map may leave beyond their ends.
SCATTERS, BEYOND = 6, 0.01
# Columns of a heat map: their order takes the square of so many numbers.
COLUMNS = 1000
# Panels of one figure, and groups that bars tell apart; the others are one piece.
PANELS, PIECES = 4, 7
# All others together are a bar of their own unless that is more than this many times as long as the longest.
DWARFED = 4


def draw_summary(summary: Any, kind: str, k: int, group: Any) -> "Drawing":
    """The figure of `DataSummary.plot`."""
    if kind not in ("auto", *KINDS):
        raise AttributionError(f"kind is one of {nearest(str(kind), ('auto', *KINDS))}; got {kind!r}")
    is_image = _is_image(summary)
    if kind == "map" and not is_image:
        raise AttributionError(
            f"kind='map' is for images, (h, w), (h, w, 1) or (h, w, 3); these attributions are of "
            f"{summary.kind if summary.shape is None else summary.shape}: kind='bar'"
        )
    if kind == "auto":
        kind = "map" if is_image else "beeswarm" if "values" in summary.sample else "bar"
    chosen = [summary.place(group)] if group is not None else _largest(summary)
    places = summary.top(min(k, SCATTERS) if kind == "scatter" else k)
    if kind == "bar":
        return _bars(summary, places, chosen if group is not None else range(len(summary.groups)))
    left_out = len(summary.groups) - len(chosen)
    more = [f"{left_out} more groups are not drawn: group= draws one."] if left_out and group is None else []
    caption = _caption(summary, more)
    if kind == "map":
        return _maps(summary, chosen, caption)
    if kind in ("heatmap", "scatter"):
        return (_heat_map if kind == "heatmap" else _scatter)(summary, places, chosen, caption)
    return _means(summary, places, chosen, caption) if kind == "mean" else _beeswarm(summary, places, chosen, caption)


def _is_image(summary: Any) -> bool:
    from ..view.kinds import feature_kind

    if summary.shape is None or len(summary.shape) not in (2, 3):
        return False
    return feature_kind((1, *summary.shape), None) == "image"


def _largest(summary: Any) -> list[int]:
    order = np.argsort(-summary.examples, kind="stable")[:PANELS]
    return sorted(int(place) for place in order)


def _caption(summary: Any, more: Sequence[str] = ()) -> list[str]:
    return [f"{summary.subject}.", *(f"{note[:1].upper()}{note[1:]}." for note in summary.notes), *more]


def _title(summary: Any, place: int) -> str:
    number = int(summary.examples[place])
    return f"{summary.group_name(place)}, {number:,} example{'' if number == 1 else 's'}"


def _rest(summary: Any, places: Sequence[int]) -> str:
    noun = "word" if summary.kind == "words" else "feature"
    number = len(summary.names) - len(places)
    return f"{number:,} other {noun}{'' if number == 1 else 's'}"


def _bars(summary: Any, places: Sequence[int], groups: Sequence[int]):
    from ..view import captions
    from ..view.data_summary import draw_stacked

    shares = summary.share_by_group
    names = [summary.names[place] for place in places]
    rest = shares.sum(1, keepdims=True) - shares[:, places].sum(1, keepdims=True)
    left, largest = len(summary.names) - len(places), float(shares[:, places].sum(0).max(initial=0))
    has_rest = left > 0 and float(rest.sum()) <= DWARFED * largest
    rows = np.concatenate([shares[:, places], rest], 1) if has_rest else shares[:, places]
    ranked = sorted(groups, key=lambda place: -summary.examples[place])
    shown, others = sorted(ranked[:PIECES]), ranked[PIECES:]
    parts = [(summary.group_name(place), rows[place]) for place in shown]
    parts += [(f"{len(others)} others", rows[others].sum(0))] if others else []
    what = [
        "Mean over all examples"
        + (", 0 where a word is absent" if summary.kind == "words" else "")
        + ("; pieces add up to it." if len(parts) > 1 else ".")
    ]
    if has_rest:
        what.append("The last bar is the sum of the others.")
    elif left > 0:
        share = captions.percent(rest.sum() / max(shares.sum(), np.finfo(float).tiny))
        what.append(f"Not drawn: {_rest(summary, places)}, {captions.number(rest.sum())} in all, {share} of the magnitude.")
    return draw_stacked([*names, *([_rest(summary, places)] if has_rest else [])], parts, summary.unit, _caption(summary, what))


def _means(summary: Any, places: Sequence[int], chosen: Sequence[int], caption: Sequence[str]):
    from ..view.colour import meaning
    from ..view.data_summary import draw_means

    names = [summary.names[place] for place in places]
    parts = [(_title(summary, group), names, np.nan_to_num(summary.mean[group, places])) for group in chosen]
    over = "occurrences" if summary.kind == "words" else "examples"
    left_out = len(summary.names) - len(places)
    more = [f"{_rest(summary, places)} not drawn."] if left_out else []
    return draw_means(parts, summary.unit, [*caption, f"Means over {over}. {meaning(summary.attribution_kind)}.", *more])


def _maps(summary: Any, chosen: Sequence[int], caption: Sequence[str]):
    from ..view.colour import meaning
    from ..view.data_summary import draw_maps

    parts = [
        (
            _title(summary, group),
            summary.mean[group].reshape(summary.shape),
            summary.mean_magnitude[group].reshape(summary.shape),
        )
        for group in chosen
    ]
    kind = summary.attribution_kind
    summed = [in_words(summary.shape[2], kind)] if summary.shape[2:] not in ((), (1,)) else []
    scales = f"{meaning(summary.attribution_kind)}; one scale for all means, one for all magnitudes."
    return draw_maps(parts, summary.unit, [*caption, scales, *summed], kind)


def _beeswarm(summary: Any, places: Sequence[int], chosen: Sequence[int], caption: Sequence[str]):
    from ..view.colour import meaning
    from ..view.data_summary import HIGH, LOW, draw_beeswarm

    if not len(summary.sample["group"]):
        raise AttributionError("no examples were kept for a beeswarm: summarise with sample=1000, or kind='bar'")
    rows_of = _word_rows if summary.kind == "words" else _feature_rows
    parts = [
        (_title(summary, group), rows_of(summary, places, np.flatnonzero(summary.sample["group"] == group))) for group in chosen
    ]
    if summary.kind == "words":
        dots = f"A dot is an occurrence of a word. {meaning(summary.attribution_kind)}"
    elif "values" in summary.sample:
        dots = f"A dot is an example; its colour is the feature's value, from the {LOW}th to the {HIGH}th percentile of the row"
    else:
        dots = "A dot is an example"
    kept, total = len(summary.sample["group"]), len(summary)
    dots += f"; {kept:,} of {total:,} examples, drawn at random." if kept < total else "."
    is_words = summary.kind == "words"
    ranked = "Rows are ranked by the mean magnitude over all examples" + (", 0 where a word is absent." if is_words else ".")
    summed = not is_words and len(summary.names) > len(places)
    others = ["The last row is the sum of the other features."] if summed else []
    return draw_beeswarm(parts, summary.unit, [*caption, dots, ranked, *others])


def _sampled(summary: Any, kind: str) -> None:
    """Raises where there is no sample of features."""
    if summary.kind == "words":
        raise AttributionError(f"kind={kind!r} is for features, and these attributions are of words: kind='beeswarm', or 'bar'")
    if not len(summary.sample["group"]):
        raise AttributionError(f"no examples were kept for kind={kind!r}: summarise with sample=1000")


def _heat_map(summary: Any, places: Sequence[int], chosen: Sequence[int], caption: Sequence[str]):
    from ..view.captions import number, percent
    from ..view.colour import meaning
    from ..view.over_examples import draw_heat_map

    _sampled(summary, "heatmap")
    # the first of a sample are a sample: they were drawn in the order of random numbers
    group, values = summary.sample["group"][:COLUMNS], summary.sample["attributions"][:COLUMNS]
    rows = [values[group == one][:, places] for one in chosen]
    shown = [(_title(summary, one), _ordered(own).T) for one, own in zip(chosen, rows, strict=True) if len(own)]
    magnitudes = np.abs(np.concatenate(rows))
    # of what is nearly everywhere 0 the largest: no colour is left for the others else
    limit = float(np.quantile(magnitudes, 1 - BEYOND)) or float(magnitudes.max())
    beyond = (magnitudes > limit).mean()
    told = (
        f"A column is an example, beside those that are like it. {meaning(summary.attribution_kind)}; colours end at ±"
        f"{number(limit)}, beyond which {percent(beyond) if beyond else 'none'} of the values lie. "
        f"{sum(map(len, rows)):,} of {len(summary):,} examples."
    )
    more = [f"{_rest(summary, places)} not drawn."] if len(summary.names) > len(places) else []
    return draw_heat_map(shown, [summary.names[place] for place in places], limit, summary.unit, [*caption, told, *more])


def _ordered(rows: np.ndarray) -> np.ndarray:
    """The rows in an order in which those that are alike stand together: the leaves of a tree of Ward's clusters."""
    from scipy.cluster.hierarchy import leaves_list, linkage  # not needed before: the import takes long

    return rows[leaves_list(linkage(rows, "ward"))] if len(rows) > 2 else rows


def _scatter(summary: Any, places: Sequence[int], chosen: Sequence[int], caption: Sequence[str]):
    from ..view.over_examples import draw_scatters

    _sampled(summary, "scatter")
    if "values" not in summary.sample:
        raise AttributionError("kind='scatter' needs the values of the features: keep=('attributions', 'inputs') keeps them")
    own = np.flatnonzero(np.isin(summary.sample["group"], chosen))
    values, attributions = summary.sample["values"][own], summary.sample["attributions"][own]
    parts = [(summary.names[place], values[:, place], attributions[:, place]) for place in places]
    group = np.searchsorted(chosen, summary.sample["group"][own])
    told = f"A dot is an example; {len(own):,} of {len(summary):,}."
    missing = {summary.names[place]: int((~np.isfinite(values[:, place])).sum()) for place in places}
    if any(missing.values()):
        which = ", ".join(f"{count} of {name}" for name, count in missing.items() if count)
        told += f" Without a dot, as its value is not finite: {which}."
    return draw_scatters(parts, [summary.group_name(place) for place in chosen], group, summary.unit, [*caption, told])


def _feature_rows(summary: Any, places: Sequence[int], own: np.ndarray) -> list:
    from ..view.data_summary import Swarm

    attributions = summary.sample["attributions"][own]
    values = summary.sample.get("values")
    unknown = np.full(len(own), np.nan)
    rows = [
        Swarm(summary.names[place], attributions[:, place], unknown if values is None else values[own, place])
        for place in places
    ]
    if len(places) < len(summary.names):
        rows.append(Swarm(_rest(summary, places), attributions.sum(1) - attributions[:, places].sum(1), unknown))
    return rows


def _word_rows(summary: Any, places: Sequence[int], own: np.ndarray) -> list:
    from ..view.data_summary import Swarm

    found: dict[str, list[float]] = {summary.names[place]: [] for place in places}
    for example in own:
        for word, value in zip(summary.sample["words"][example], summary.sample["attributions"][example], strict=True):
            if word in found:
                found[word].append(float(value))
    return [Swarm(name, np.array(values), None) for name, values in found.items()]


# Pages

RULE_COLUMNS = ("if ... occurs", "class", "precision", "95% interval", "of", "class share")


def tables(summary: Any) -> list[tuple[str, Sequence[str], list[list[str]], list[str]]]:
    """Title, header, rows, and lines beneath, of each table that there is something for."""
    found: list[tuple[str, Sequence[str], list[list[str]], list[str]]]
    found = [("Most important", *top_rows(summary), [legend(summary)])]
    for target in targets(summary)[:SHOWN]:
        found.append(
            (
                f"Trigger words of {summary.class_name(target)}",
                ["word", "trigger in", "of", "attribution", "an example"],
                trigger_rows(summary, target, 2 * SHOWN),
                [],
            )
        )
    if summary.rules:
        rows = [
            [
                f'"{rule.phrase}"',
                summary.class_name(rule.target),
                f"{rule.precision:.2f}",
                f"{rule.low:.2f} to {rule.high:.2f}",
                f"{rule.hits:,} of {rule.support:,}",
                f"{rule.class_share:.2f}",
            ]
            for rule in summary.rules[: 3 * SHOWN]
        ]
        found.append(("Rules", RULE_COLUMNS, rows, [f"Precision is measured on {summary.rules[0].measured_on}."]))
    return found


def sections(summary: Any) -> list:
    """The parts of a page: figures, tables, degenerate features."""
    from ..view.page import Section, Table

    kinds = ["bar", *(["beeswarm"] if len(summary.sample["group"]) else []), *(["map"] if _is_image(summary) else ["mean"])]
    found = [Section("Figures", [draw_summary(summary, kind, 15, None) for kind in kinds])]
    found += [Section(title, [Table(header, rows), *below]) for title, header, rows, below in tables(summary)]
    named = degenerate_lines(summary)
    return [*found, *([Section("Degenerate features", [line.strip() for line in named[1:]])] if named else [])]


def fragment(summary: Any) -> str:
    """Tables as HTML without a page, all escaped."""
    from markupsafe import Markup

    from ..view.curves import table_and_lines

    parts = [Markup("<p>{}</p>").format(headline(summary))]
    parts += [Markup(table_and_lines(title, header, rows, below)) for title, header, rows, below in tables(summary)]
    parts += [
        Markup("<p>{}</p>").format(Markup("<br>").join(lines))
        for lines in (degenerate_lines(summary), [f"note: {note}" for note in summary.notes])
        if lines
    ]
    return str(Markup("\n").join(parts))
