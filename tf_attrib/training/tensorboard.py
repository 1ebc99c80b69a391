"""Attributions in TensorBoard: pictures, texts and numbers of a result, for any training loop."""

import html
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ..attribution import Attribution
from ..common.checks import is_whole
from ..common.class_names import ClassNames, as_class_names, class_name
from ..common.digits import hundredths, short
from ..common.errors import AttributionError
from ..common.types import present
from ..result.similarity import cosine, rank_correlation
from . import event_files

# short, or TensorBoard breaks them in the middle of a word
COLUMNS = ("sample", "label", "predicted", "explained", "score", "baseline", "gap", "error", "status")
# words in a text, each with a bar of at most this many squares
BAR = 5


def log_attributions(
    result: Attribution,
    writer: tf.summary.SummaryWriter,
    step: int,
    *,
    labels: Any = None,
    class_names: Any = None,
    tokens: Sequence[Sequence[str]] | None = None,
    previous: Attribution | None = None,
    seconds: float | None = None,
    prefix: str = "attribution",
    pictures: bool = True,
) -> dict[str, float]:
    """Writes a result to TensorBoard's event files; the tensorboard package is needed to look at them only.

    Pictures `prefix/sample_0`, ...: image, overlay and symmetric map, or coloured words, with label, predicted class, numbers.
    Texts: `prefix/samples`, a table of all samples, and for words `prefix/words_0`, .... Scalars:
    `prefix/mean_error_estimate`, `prefix/share_converged`, `prefix/gradient_evaluations`, `prefix/seconds`; with `previous`
    also drift, how alike each sample's attribution is to that of the evaluation before: `prefix_drift/rank_correlation_0`,
    `prefix_drift/cosine_0`, ... and their means.

    Args:
        result: any result; what its method does not state is left out.
        writer: of `tf.summary.create_file_writer(folder)`.
        step: where on TensorBoard's slider and axes this is.
        labels: (batch,), the true classes or values, to be shown.
        class_names: names of the classes, as `Attributor(class_names=)` takes them; default: those that the result has.
        tokens: a list of words for each sample; default: those that the result knows, else token ids.
        previous: the result for the same samples before.
        seconds: that the attribution took.
        prefix: of all tags.
        pictures: whether there are any, and texts of words; the numbers of what cannot be drawn are logged without them.

    Returns:
        The scalars by tag.

    Raises:
        AttributionError: no such writer, labels, tokens or a previous result of other samples, a result that cannot be drawn.
    """
    if not isinstance(writer, tf.summary.SummaryWriter):
        raise AttributionError(f"writer must be tf.summary.create_file_writer(folder), got {type(writer).__name__}")
    if not isinstance(result, Attribution):
        raise AttributionError(
            f"log_attributions takes a result, such as attributor.attribute(inputs); got {type(result).__name__}"
        )
    known = as_class_names(class_names) or ClassNames(result.class_names, all=False)
    for part in (result.target, result.predicted):
        if known is not None and part is not None and part.size:
            known.check_known(int(np.max(part[..., -1:])))
    for name, values in (("labels", labels), ("tokens", tokens), ("previous", previous)):
        if values is not None and len(values) != len(result):
            raise AttributionError(f"{name} for {len(values)} samples; the result has {len(result)}")
    if not is_whole(step) and not tf.is_tensor(step):
        raise AttributionError(f"step must be a whole number, got {step!r}")
    scalars = numbers(result, previous, seconds, prefix)
    drawings = drawn(result, labels, known, tokens) if pictures else ()
    # TensorBoard keeps one description of a tag for all steps
    meaning = escaped(f"{_colours_mean(result)}, in reading order.")
    with event_files.writing(writer):
        for tag, value in scalars.items():
            event_files.scalar(tag, value, step)
        table = [_row(result, i, labels, known) for i in range(len(result))]
        event_files.text(f"{prefix}/samples", _table(COLUMNS, table), step, f"Scores: {result.unit}. {_about(result)}")
        for i, (png, size) in enumerate(drawings):
            event_files.picture(f"{prefix}/sample_{i}", png, size, step, _about(result))
            told = _words(result, i, None if tokens is None else tokens[i])
            if told:
                event_files.text(f"{prefix}/words_{i}", told, step, meaning)
    return scalars


def drawn(
    result: Attribution,
    labels: Any = None,
    class_names: Any = None,
    tokens: Sequence[Sequence[str]] | None = None,
) -> Iterator[tuple[bytes, tuple[int, int]]]:
    """A PNG of each sample, with what is known of it above, and its size; arguments as in `log_attributions`."""
    from ..view.thumbnail import board

    for i in range(len(result)):
        heading = _heading(_row(result, i, labels, as_class_names(class_names)), result.unit)
        yield board(result, i, heading, None if tokens is None else tokens[i])


def numbers(
    result: Attribution, previous: Attribution | None = None, seconds: float | None = None, prefix: str = "attribution"
) -> dict[str, float]:
    """Accuracy, cost and drift by tag; arguments as in `log_attributions`.

    Drift is of samples whose explained class is the same as before.
    """
    found = {}
    if result.error_estimate is not None:
        known = result.error_estimate[np.isfinite(result.error_estimate)]
        found[f"{prefix}/mean_error_estimate"] = float(known.mean()) if known.size else float("nan")
        found[f"{prefix}/share_converged"] = float(present(result.converged).mean())
    if result.evaluations is not None:
        found[f"{prefix}/gradient_evaluations"] = float(result.evaluations.sum())
    if seconds is not None:
        found[f"{prefix}/seconds"] = float(seconds)
    if previous is None:
        return found
    if (result.of, result.at) != (previous.of, previous.at):
        raise AttributionError(
            f"the previous result is of {previous.of}, at {previous.at}, and this one of {result.of}, at "
            f"{result.at}: drift compares like with like"
        )
    same = (
        np.full(len(result), True)
        if result.target is None or previous.target is None
        else (result.target == previous.target).reshape(len(result), -1).all(1)
    )
    for name, values in (("rank_correlation", rank_correlation(result, previous)), ("cosine", cosine(result, previous))):
        known = np.flatnonzero(np.isfinite(values) & same)
        if known.size:
            found[f"{prefix}_drift/mean_{name}"] = float(values[known].mean())
        found |= {f"{prefix}_drift/{name}_{i}": float(values[i]) for i in known}
    return found


def _row(result: Attribution, i: int, labels, class_names: ClassNames | None) -> tuple[str, ...]:
    """What is known of one sample, in the order of COLUMNS; "" where nothing is."""

    def named(values) -> str:
        return "" if values is None else class_name(values[i], class_names)

    target = result.target
    if target is not None and result.position is not None and target.ndim == 2 and target.shape[1] == 2:
        target = target[:, 1]  # the sample says which position it is
    predicted, explained = named(result.predicted), named(target)
    baseline = "" if result.baseline_scores is None else f"{np.mean(result.baseline_scores[i]):.4g}"
    error = "" if result.error_estimate is None else hundredths(result.error_estimate[i])
    sample = str(i) if result.position is None else f"{present(result.example)[i]}, position {result.position[i]}"
    return (
        sample,
        named(labels),
        predicted,
        explained if explained != predicted else "",
        short(result.scores[i]),
        baseline,
        _gap(result, i),
        error,
        "" if result.status is None else str(result.status[i]),
    )


def _gap(result: Attribution, i: int) -> str:
    """The gap in percent of the difference of scores, or as it is where these hardly differ."""
    if result.gap is None:
        return ""
    share = present(result.relative_gap)[i]
    return f"{result.gap[i]:.2g}" if np.isnan(share) else "<0.01%" if abs(share) < 1e-4 else f"{share:.2%}"


def _heading(row: tuple[str, ...], unit: str) -> list[str]:
    """Lines above a picture: classes, scores, accuracy."""
    told = dict(zip(COLUMNS, row, strict=True))
    classes = [f"{name} {told[name]}" for name in ("label", "predicted", "explained") if told[name]]
    scores = [f"{unit} {told['score']}", *([f"baseline {told['baseline']}"] if told["baseline"] else [])]
    accuracy = [f"{name} {told[name]}" for name in ("gap", "error") if told[name]] + [told["status"]] * bool(told["status"])
    return [", ".join(part) for part in (classes, scores, accuracy) if part]


def _about(result: Attribution) -> str:
    against = f", against {result.baseline}" if result.baseline else ""
    return escaped(f"{result.explained}, at {result.at}, by {result.method}{against}")


def _colours_mean(result: Attribution) -> str:
    from ..view.colour import meaning

    return meaning(result.kind)


def _words(result: Attribution, i: int, tokens: Sequence[str] | None) -> str:
    """The words of one sample with squares as long as their attributions: TensorBoard's texts have no colours of their own.
    Beneath them stands what was summed or left out."""
    from ..view import captions, colour
    from ..view.coloured_words import words_of
    from ..view.kinds import blocks

    textual = [block for block in blocks(result) if block.kind == "words"]
    if len(textual) != 1:
        return ""
    shown = words_of(result, textual[0], i, tokens)
    largest = np.abs(colour.finite(shown.values)).max(initial=0)
    rows = []
    for token, value in zip(shown.tokens, shown.values, strict=True):
        length = round(BAR * abs(value) / largest) if largest > 0 and np.isfinite(value) else 0
        rows.append((token, f"{value:+.3g}", ("🟩" if value > 0 else "🟥") * length))
    bad = colour.not_finite(shown.values, "word", "no square")
    table = _table(("word", f"attribution ({captions.attribution_unit(result)})", ""), rows)
    return "\n\n".join([table, *map(escaped, [*shown.notes, *bad])])


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, without columns that are empty."""
    kept = [j for j in range(len(columns)) if any(row[j] for row in rows)]
    head, *lines = ([escaped(line[j]) for j in kept] for line in (columns, *rows))
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(kept), *lines))


def escaped(text: str) -> str:
    """`text` as Markdown shows it, whatever it holds."""
    plain = "".join(letter if letter.isprintable() else " " for letter in str(text))
    return re.sub(r"([\\`*_{}\[\]()#+.!|~>-])", r"\\\1", html.escape(plain, quote=False))
