"""What led to each token of a continuation: what is shown of it, and a map with a scale for each row."""

import dataclasses

import numpy as np

from ..common.errors import legible
from ..result.result import Result
from . import captions, colour, draw

# Inches of a row of a map, and of a map without its rows; of more columns than this every so many bears its word.
ROW, FRAME, MOST_WORDS = 0.27, 1.0, 60
# Letters of a label.
LABEL = 28


@dataclasses.dataclass(frozen=True, eq=False)
class Told:
    """What is shown of a continuation.

    Attributes:
        rows: the text of what each entry explains.
        columns: the text of each token, word or part that has a part in it.
        values: float64 (rows, columns).
        row_column: (rows,) of int, the column that an entry explains itself, or -1.
        context, read: how many columns come before the continuation, and how many of those an encoder reads.
        probabilities: (rows,), NaN where an entry has none.
        result: the entries, with their scores, gaps and status.
        parts: whether columns are parts of a prompt instead of its text.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: np.ndarray
    row_column: np.ndarray
    context: int
    read: int
    probabilities: np.ndarray
    result: Result
    parts: bool

    @property
    def limits(self) -> np.ndarray:
        """(rows,), the magnitude in full colour: each row has a scale of its own, or one large row would gray all others."""
        return np.abs(colour.finite(self.values)).max(1, initial=0)


def visible(piece: str) -> str:
    """A piece of text as a label: without the blanks around it, and line breaks as marks."""
    shown = legible(piece.strip(" ").replace("\n", "⏎").replace("\t", "⇥")) or "␣"
    return shown if len(shown) <= LABEL else f"{shown[: LABEL - 1]}…"


def unit_of(told: Told) -> str:
    """The unit of the numbers, for people."""
    return captions.attribution_unit(told.result).replace("_", "-")


def sentences(told: Told, zero: str) -> list[str]:
    """What colours mean, `zero` among them, and what did not come out well."""
    unit, result = unit_of(told), told.result
    words = [
        f"{colour.meaning(result.kind)}; each row has a scale of its own, in full colour at its largest magnitude, in {unit}; "
        f"{zero}."
    ]
    words += colour.not_finite(told.values, "number")
    if result.gap is not None and np.isfinite(result.gap).any():
        worst = int(np.nanargmax(np.abs(result.gap)))
        words.append(f"Largest gap {captions.number(result.gap[worst])}, at {visible(told.rows[worst])!r}.")
    told_of = ((visible(told.rows[i]), captions.status_words(result, i)) for i in range(len(result)))
    words += [f"{name!r}: {status}." for name, status in told_of if status]
    return words


def show(told: Told) -> draw.Drawing:
    """A map: a row for each entry, from top to bottom, and a column for each token in their order."""
    limits = told.limits
    scaled = np.ma.masked_invalid(told.values / np.where(limits > 0, limits, 1)[:, None])

    def paint(part):
        axes = part.subplots()
        axes.imshow(scaled, cmap=colour.DIVERGING, norm=colour.norm(1.0), aspect="auto", interpolation="nearest")
        columns, rows = (np.arange(0, len(one), -(-len(one) // MOST_WORDS)) for one in (told.columns, told.rows))
        axes.set_xticks(
            columns,
            labels=[visible(told.columns[i]) for i in columns],
            rotation=60,
            ha="right",
            rotation_mode="anchor",
            fontsize=8,
            parse_math=False,
        )
        axes.set_yticks(rows, labels=[_row(told, int(i)) for i in rows], fontsize=8, parse_math=False)
        if 0 < told.context < len(told.columns):
            axes.axvline(told.context - 0.5, color="#333333", linewidth=0.8)
        right = axes.secondary_yaxis("right")
        right.set_yticks(rows, labels=[f"±{captions.number(limits[i])}" for i in rows], fontsize=8)
        right.set_ylabel(f"full colour ({unit_of(told)})", fontsize=8, parse_math=False)
        for one in (axes, right):
            one.tick_params(length=0)
            one.spines[:].set_visible(False)

    height = FRAME + ROW * len(told.rows) + 0.055 * max(len(visible(column)) for column in told.columns)
    title = f"What led to each of {len(told.rows)} tokens" if len(told.rows) > 1 else visible("".join(told.rows))
    behind = ["The line parts prompt and continuation."] if 0 < told.context < len(told.columns) else []
    return draw.stack([draw.Panel(title, (*sentences(told, "gray is zero"), *behind), height, paint)])


def _row(told: Told, row: int) -> str:
    known = "" if np.isnan(told.probabilities[row]) else f" ({captions.number(told.probabilities[row])})"
    return f"{visible(told.rows[row])}{known}"
