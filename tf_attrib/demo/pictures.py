"""The report's own figures: rows of images with their attributions, on scales that the captions state."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from .. import view
from ..attribution import Attribution
from ..common.types import present
from ..view.captions import number, percent
from .data import CORNER
from .findings import Digits, Marker, Mistake

INK = (0.0, 1.0)  # value range of the digits: paper is drawn black, ink white
WIDTH, LABEL, HEADING = 9.0, 0.9, 0.5  # inches: of the figures, their first column, their first row
DPI = 144
FRAME = "#808890"
SMALL, MEDIUM, LARGE = 8, 9.5, 20  # points
# Scores that differ by less are not worth a percentage.
DIFFERENCE = 0.01


def largest(*results: Attribution) -> float:
    """The largest magnitude in several results: one scale for all of them."""
    return max(float(np.abs(result.attributions).max()) for result in results)


def gap_percent(result: Attribution, example: int) -> str:
    """The gap in percent of the difference of scores; a dash where these hardly differ."""
    difference = present(result.difference)[example]
    return percent(abs(present(result.gap)[example] / difference)) if abs(difference) >= DIFFERENCE else "–"


def sum_and_gap(result: Attribution, example: int) -> str:
    """Two lines beneath a map: the scores, and sum and gap."""
    gap = gap_percent(result, example)
    return (
        f"score {number(result.scores[example])} from {number(present(result.baseline_scores)[example])}\n"
        f"sum {number(result.totals[example])}" + (f", gap {gap}" if gap != "–" else "")
    )


def digit_rows(digits: Digits) -> Markup:
    """A row for each digit: image, gradient, integrated gradients against zero and against the 7."""
    limit = largest(digits.against_zero, digits.against_seven)
    headings = ["image", "gradient", "integrated gradients,\nagainst zero", "integrated gradients,\nagainst the 7"]
    figure, rows = _rows(len(digits.labels), headings, 1.45)
    for example, axes in enumerate(rows):
        _label(axes[0], str(digits.labels[example]), f"score\n{number(digits.against_zero.scores[example])}")
        _image(axes[1], digits.images[example])
        own = _map(axes[2], digits.gradient, example)
        _note(axes[2], f"full colour ±{own:.1e}\nprobability per unit of ink")
        for place, result in ((3, digits.against_zero), (4, digits.against_seven)):
            _map(axes[place], result, example, limit)
            _note(axes[place], sum_and_gap(result, example))
    caption = (
        f"Both columns of integrated gradients are on one scale, full colour at ±{number(limit)} probability: green "
        "raises the digit's probability, red lowers it, gray is zero. Each gradient has its own scale, with its number "
        "beneath: on the scale of the others all of them would be gray."
    )
    return framed(figure, caption, "Ten digits, each with gradient and integrated gradients against two baselines")


def baseline_picture(seven: np.ndarray) -> Markup:
    """The 7 that serves as baseline, alone."""
    figure = view.Drawing(figsize=(1.5, 1.5), layout="constrained", facecolor="white")
    _image(figure.subplots(), seven)
    return framed(figure, "The 7 that the last column takes as baseline.", "A handwritten 7", wide=False)


def mistake_row(mistake: Mistake) -> Markup:
    """The misclassified image, and its attribution to the class the model chose and to its label."""
    limit = largest(mistake.wrong, mistake.right)
    headings = [
        "image",
        f"attribution to {mistake.predicted},\nwhich the model says",
        f"attribution to {mistake.label},\nwhich it is",
    ]
    figure, rows = _rows(1, headings, 2.1)
    _label(rows[0][0], str(mistake.label), f"taken\nfor a {mistake.predicted}")
    _image(rows[0][1], mistake.image)
    for place, result in ((2, mistake.wrong), (3, mistake.right)):
        _map(rows[0][place], result, 0, limit)
        _note(rows[0][place], sum_and_gap(result, 0))
    caption = (
        f"Integrated gradients against zero, both on one scale, full colour at ±{number(limit)} probability: green "
        "raises the probability of the class named above, red lowers it, gray is zero."
    )
    return framed(figure, caption, "A misclassified digit attributed to two classes")


def marker_rows(planted: Marker, clean: Marker, labels: np.ndarray) -> Markup:
    """Marked images with the attribution of the model that was trained with the marker, and of the one that was not."""
    images = planted.shown.inputs
    # the marker alone is several times as strong as all else: on its scale the strokes would be invisible
    limit = largest(clean.shown)
    headings = ["image with the marker\n(top left)", "model trained\nwith the marker", "model trained\nwithout it"]
    figure, rows = _rows(len(images), headings, 1.9, note=0.6)
    for example, axes in enumerate(rows):
        _label(axes[0], str(labels[example]), "with the\nmarker")
        _image(axes[1], images[example])
        for place, result in ((2, planted.shown), (3, clean.shown)):
            _map(axes[place], result, example, limit)
            _note(
                axes[place],
                f"says {result.target[example]}: {sum_and_gap(result, example)}\n"
                f"marker {result.attributions[example, *CORNER].sum():+.2f}",
            )
    caption = (
        f"Integrated gradients of each model's own prediction against zero, all on one scale, full colour from "
        f"±{number(limit)} probability on: green raises the predicted class's probability, red lowers it, gray is zero. "
        f"The marker's attribution, up to {number(largest(planted.shown))}, is beyond the scale; it stands beneath."
    )
    return framed(figure, caption, "Digits with a marker pixel, attributed for two models")


def sentence(heading: str, about: str, words: Sequence[str], values: np.ndarray, limit: float) -> Markup:
    """A heading, the coloured words, and a line of numbers."""
    return Markup(
        '<figure><div><b>{}</b></div><div style="overflow-wrap:anywhere;margin:0.3rem 0">{}</div>'
        "<figcaption>{}</figcaption></figure>"
    ).format(heading, view.word_spans(words, values, limit), about)


def framed(figure: view.Drawing, caption: str, description: str, wide: bool = True) -> Markup:
    """A figure as HTML, its caption as text beneath, so that it can be read on any width."""
    width, height = (round(side * 96) for side in figure.get_size_inches())
    # a page's pictures keep a readable width on a phone, and scroll there; a small one need not
    narrow = "" if wide else ' style="min-width:0;width:auto"'
    return Markup('<figure><img src="{}" width="{}" height="{}" alt="{}"{}><figcaption>{}</figcaption></figure>').format(
        view.data_uri(figure, DPI), width, height, description, Markup(narrow), caption
    )


def _rows(count: int, headings: list[str], side: float, note: float = 0.42) -> tuple[view.Drawing, list[list]]:
    """A figure of `count` rows of axes: a narrow one for a label, then squares of `side` inches, one under each heading.

    Args:
        note: inches beneath each square, for text.
    """
    pitch, height = (WIDTH - LABEL) / len(headings), side + note
    size = (WIDTH, HEADING + count * height)
    figure = view.Drawing(figsize=size, facecolor="white")

    def place(left: float, top: float, width: float):
        axes = figure.add_axes((left / size[0], 1 - (top + side) / size[1], width / size[0], side / size[1]))
        axes.set_axis_off()
        return axes

    tops = [HEADING + row * height for row in range(count)]
    rows = [
        [
            place(0, top, LABEL),
            *(place(LABEL + column * pitch + (pitch - side) / 2, top, side) for column in range(len(headings))),
        ]
        for top in tops
    ]
    for axes, heading in zip(rows[0][1:], headings, strict=True):
        axes.set_title(heading, fontsize=MEDIUM)
    return figure, rows


def _label(axes, large: str, small: str) -> None:
    axes.text(0.5, 0.62, large, ha="center", va="bottom", fontsize=LARGE, transform=axes.transAxes)
    axes.text(0.5, 0.52, small, ha="center", va="top", fontsize=SMALL, transform=axes.transAxes)


def _image(axes, image: np.ndarray) -> None:
    """Draws the image in a frame: a white pixel at its edge would be lost on the white page."""
    axes.set_axis_on()
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_color(FRAME)
    axes.imshow(view.to_display(image, INK)[0], interpolation="nearest")


def _map(axes, result: Attribution, example: int, limit: float | None = None) -> float:
    """Draws the symmetric map and returns the magnitude in full colour."""
    picture = view.diverging(result.attributions[example], limit=limit)
    axes.imshow(picture.pixels, interpolation="nearest")
    return present(picture.limit)


def _note(axes, text: str) -> None:
    axes.text(0.5, -0.03, text, ha="center", va="top", fontsize=SMALL, transform=axes.transAxes)
