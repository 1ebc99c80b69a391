"""The features of largest magnitude, ranked, and as an HTML table."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from ..common.errors import AttributionError, legible
from ..common.types import present
from ..result.result import Result
from . import captions, colour
from .kinds import Block, blocks


def ranked(found: Sequence[Block], example: int, k: int, names: Sequence[str] | None = None) -> tuple[list[tuple], list[str]]:
    """The k features of largest magnitude over several tensors, and a sentence on what they leave out.

    Args:
        found: tensors whose features are ranked together.
        example: which example.
        k: how many, at least 1.
        names: one for each feature, over all tensors in order; default: key and index.

    Returns:
        Rows (name, value or None, attribution, standard error or None, share of the sum of magnitudes), largest first;
        sentences.

    Raises:
        AttributionError: for k below 1 or another number of names.
    """
    if not isinstance(k, int | np.integer) or k < 1:
        raise AttributionError(f"k is how many features to show, at least 1; got {k!r}")
    rows = [row for block in found for row in _features(block, example)]
    if names is not None:
        if len(names) != len(rows):
            raise AttributionError(f"{len(names)} names for {len(rows)} features: give one for each, or sum over axes first")
        rows = [(str(name), *row[1:]) for name, row in zip(names, rows, strict=True)]
    magnitudes = np.abs(colour.finite([row[2] for row in rows]))
    total = max(magnitudes.sum(), np.finfo(float).tiny)
    order = np.argsort(-magnitudes, kind="stable")
    chosen = [(*rows[place], float(magnitudes[place] / total)) for place in order[:k]]
    rest = magnitudes[order[k:]]
    sentences = (
        []
        if not rest.size
        else [
            f"The {len(chosen)} strongest of {len(rows)} features; the others carry {captions.percent(rest.sum() / total)} of "
            "the "
            "attribution by magnitude."
        ]
    )
    return chosen, sentences


def _features(block: Block, example: int):
    values = block.values[example]
    same = block.inputs is not None and block.inputs.shape == block.values.shape
    for index in np.ndindex(values.shape):
        value = present(block.inputs)[example][index] if same else None
        error = None if block.errors is None else float(block.errors[example][index])
        yield block.feature(index), value, float(values[index]), error


def table_html(rows: Sequence[tuple]) -> Markup:
    """Rows (name, value, attribution, error, share) as an HTML table, escaped, attributions in their colours."""
    limit = max((abs(row[2]) for row in rows if np.isfinite(row[2])), default=0.0)
    backgrounds = colour.hex_colours(colour.scale([row[2] for row in rows], limit=limit))
    cell = Markup('<td style="text-align:right;padding:0.15em 0.7em">{}</td>')
    coloured = Markup('<td style="text-align:right;padding:0.15em 0.7em;background:{};color:{}">{}</td>')
    line = Markup('<tr><td style="text-align:left;padding:0.15em 0.7em">{}</td>{}{}{}</tr>')
    body = [
        line.format(
            legible(str(name)),
            cell.format("" if value is None else legible(_value(value))),
            coloured.format(
                background, colour.text_colour(background), f"{attribution:+.3g}" + ("" if error is None else f" ± {error:.2g}")
            ),
            cell.format(captions.percent(share)),
        )
        for (name, value, attribution, error, share), background in zip(rows, backgrounds, strict=True)
    ]
    return Markup(
        '<table style="border-collapse:collapse;font-family:sans-serif;font-size:0.9em"><thead><tr>'
        '<th style="text-align:left;padding:0.15em 0.7em">feature</th><th>value</th><th>attribution</th>'
        "<th>share</th></tr></thead><tbody>{}</tbody></table>"
    ).format(Markup("").join(body))


def _value(value) -> str:
    if isinstance(value, bytes | str):
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return captions.number(value) if isinstance(value, float | np.floating) else str(value)


def features_html(result: Result, k: int = 10, names: Sequence[str] | None = None) -> Markup:
    """For each example the top features as an HTML table: value, attribution, share of the sum of magnitudes.

    Args:
        result: any result; of several tensors, all features are ranked together.
        k: how many features.
        names: a name for each feature; default: key and index.
    """
    parts = []
    for example in range(len(result)):
        found = blocks(result)
        rows, left_out = ranked(found, example, k, names)
        everything = np.concatenate([np.ravel(block.values[example]) for block in found])
        bad = colour.not_finite(everything, "feature", "ranked last")
        caption = " ".join([*left_out, *bad, *captions.numbers(result, example)])
        parts.append(
            Markup(
                '<div class="tf-attrib" style="font-family:sans-serif;margin:0.6em 0;max-width:60em"><b>{}</b>{}'
                '<div style="font-size:0.82em">{}</div></div>'
            ).format(legible(captions.title(result, example)), table_html(rows), caption)
        )
    return Markup("\n").join(parts)
