"""`tf-attrib demo`: trains the models, attributes, and writes the report."""

import contextlib
import json
import os
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from .. import view
from . import data, models, page
from .findings import PLANTED_DIGIT, Findings, Trained, find
from .folder import new_folder

# The stages of the progress bar, and about how much of the time each takes.
STAGES = {
    "training on digits": 24,
    "training with the marker": 23,
    "training on sentences": 23,
    "attributing": 12,
    "drawing the report": 18,
}


def run(directory: str | os.PathLike | None = None, *, overwrite: bool = False, verbose: bool = True, seed: int = 0) -> Path:
    """Trains three small models, attributes their predictions, and writes a report with pictures.

    Args:
        directory: where; None is "report" in the current folder, or the next free "report-2", "report-3", ...
        overwrite: replace a report that is there.
        verbose: show a progress bar, and print where everything is and how to go on.
        seed: of the split, the models' weights and the training.

    Returns:
        The report's folder: index.html, and models/ with the models and inputs for them.

    Raises:
        AttributionError: where the folder holds something that may not be replaced.
        MissingExtra: without scikit-learn, which has the digits.
    """
    with new_folder(directory, overwrite) as (folder, publish):
        with stages(verbose) as stage:
            trained = train(stage, seed)
            findings = find(trained, stage("attributing"))
            save(trained, findings, folder / "models")
            write(trained, findings, folder / "index.html", stage("drawing the report"))
        place = publish()
    if verbose:
        print(farewell(place, findings))
    return place


@contextlib.contextmanager
def stages(verbose: bool) -> Iterator[Callable[[str], Callable[[float], None]]]:
    """One progress bar over `STAGES`: gives a function that begins a stage and returns one for the share of it."""
    widest = max(len(name) for name in STAGES)
    with tqdm(total=sum(STAGES.values()), disable=not verbose, bar_format="{desc} {percentage:3.0f}%|{bar}| {elapsed}") as bar:

        def begin(name: str) -> Callable[[float], None]:
            before = sum(list(STAGES.values())[: list(STAGES).index(name)])
            # the same width for every name, so that the bar does not jump
            bar.set_description_str(name.ljust(widest))

            def report(share: float) -> None:
                bar.update(before + share * STAGES[name] - bar.n)

            report(0.0)
            return report

        yield begin


def train(stage: Callable[[str], Callable[[float], None]], seed: int) -> Trained:
    """Loads the data and trains the three models."""
    digits, sentences = data.digits(seed), data.sentences(seed)
    marked = data.planted(digits.train_inputs, digits.train_labels, PLANTED_DIGIT, seed=seed)
    clean = models.train(
        models.digit_model(seed),
        digits.train_inputs,
        digits.train_labels,
        models.DIGIT_EPOCHS,
        stage("training on digits"),
        seed,
    )
    planted = models.train(
        models.digit_model(seed), marked, digits.train_labels, models.DIGIT_EPOCHS, stage("training with the marker"), seed
    )
    reader = models.train(
        models.sentence_model(len(sentences.vocabulary), seed),
        sentences.train_inputs,
        sentences.train_labels,
        models.SENTENCE_EPOCHS,
        stage("training on sentences"),
        seed,
    )
    return Trained(digits, sentences, clean, planted, reader)


def save(trained: Trained, findings: Findings, folder: Path) -> None:
    """The models, and inputs for the command to go on with."""
    folder.mkdir()
    for name, model in (("digits", trained.clean), ("planted", trained.planted), ("sentences", trained.reader)):
        model.save(folder / f"{name}.keras")
    np.save(folder / "digits.npy", findings.digits.images)
    rows = trained.sentences.test_inputs[findings.sentences.indices].tolist()
    (folder / "sentences.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    (folder / "vocabulary.txt").write_text("".join(word + "\n" for word in trained.sentences.vocabulary), "utf-8")


def write(trained: Trained, findings: Findings, path: Path, progress: Callable[[float], None]) -> None:
    """The page; `progress` is told the share of it that is done."""
    sections = []
    for section in page.sections(trained, findings):
        sections.append(section)
        progress(len(sections) / (page.COUNT + 1))
    view.write_page(path, page.TITLE, sections, page.introduction())
    progress(1.0)


def farewell(place: Path, findings: Findings) -> str:
    """Where everything is, and how to go on."""
    right = findings.accuracies
    lines = [
        f"Held-out accuracy: digits {right['digits']:.1%}, sentences {right['sentences']:.1%} (made for this project); "
        f"with the marker in training {right['planted']:.1%}",
        f"Report: {place / 'index.html'}",
        f"Models: {place / 'models'}",
        "Go on with:",
        *(f"  {command}" for command in page.commands(shlex.quote(str(place / "models")))),
    ]
    return "\n".join(lines)
