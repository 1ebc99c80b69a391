"""The same samples attributed again and again while their model changes: what the Keras callback does, without Keras."""

import dataclasses
import logging
import os
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from ..attribution import Attribution
from ..attributor import Attributor
from ..common.atomic import write_whole
from ..common.class_names import ClassNames
from ..common.errors import AttributionError, NotFinite
from ..common.types import present
from ..graph.traced import keras_model
from ..methods import Method
from .samples import Samples, classes_of, each_entry, labels_at
from .tensorboard import drawn, log_attributions, numbers

LOGGER = logging.getLogger("tf_attrib")
PREDICTED = "predicted"


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """What is attributed, how, and where it goes: see `AttributionCallback`."""

    samples: Samples
    method: Method
    at: Any
    of: Any
    target: Any
    baselines: Any
    batch_size: int | None
    seed: int
    tokens: Sequence[Sequence[str]] | None
    class_names: ClassNames | None
    events: str | None
    files: Path | None


class Watch:
    """The samples of one plan, over all evaluations.

    Attributes:
        result: the newest, None before the first.
        scalars: the newest numbers by tag.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.result: Attribution | None = None
        self.scalars: dict[str, float] = {}
        self._kept: np.ndarray | None = None  # the classes predicted at the first evaluation
        self._attributor: Attributor | None = None
        self._traced: list = []
        self._writer: tf.summary.SummaryWriter | None = None
        self._drawable = True

    @property
    def ready(self) -> bool:
        """Whether some model was traced and checked."""
        return self._attributor is not None

    def start(self) -> None:
        """Makes the folders of a run.

        Raises:
            AttributionError: one cannot be written to.
        """
        self._forget_cleared()
        for folder in (self.plan.events, self.plan.files):
            _check_writable(folder)

    def _forget_cleared(self) -> None:
        """Somebody may have cleared the logs, while a model trains, too: what is written to the old file is lost then."""
        if self.plan.events is not None and not tf.io.gfile.exists(self.plan.events):
            self._writer = None

    def prepare(self, model: Any) -> None:
        """Traces `model`, unless that was done, and checks all that can be checked before the first evaluation.

        Raises:
            AttributionError: what does not fit the model.
        """
        plan, parts = self.plan, keras_model.parts(model)
        if keras_model.same(parts, self._traced):
            return
        # of another model, or a changed one: neither its classes nor its attributions are those of before
        self._kept = self.result = None
        attributor = Attributor(model, plan.at, plan.of, plan.batch_size)
        try:
            first = attributor.check(plan.samples.inputs, self._targets(attributor), plan.baselines, plan.method, plan.seed)
        except NotFinite as error:
            raise AttributionError(f"{error.alone} {error.where} of the samples: watch others") from error
        self._check_names(attributor)
        self._drawable = self._draws(first)
        self._attributor, self._traced = attributor, parts

    def _check_names(self, attributor: Attributor) -> None:
        """Raises AttributionError where the explained output has another number of classes than there are names."""
        names = self.plan.class_names
        session, ready, _ = attributor.prepare(self.plan.samples.inputs)
        if names is None or not session.function.output.has_classes:
            return
        names.check(session.shape(ready)[-1])

    def _draws(self, first: Attribution) -> bool:
        """Whether results can be drawn, tried on the first sample where there will be pictures; words that do not fit are an
        error in any case."""
        tokens = None if self.plan.tokens is None else self.plan.tokens[:1]
        if tokens is None and self.plan.events is None and self.plan.files is None:
            return True
        try:
            list(drawn(first, None, self.plan.class_names, tokens))
        except AttributionError as error:
            if tokens is not None:
                raise
            warnings.warn(f"numbers are logged without pictures: {error}", RuntimeWarning, stacklevel=2)
            return False
        return True

    def evaluate(self, model: Any, step: int, prefix: str, name: str) -> None:
        """Attributes, saves and logs.

        Args:
            step: on TensorBoard's axes.
            prefix: of the tags.
            name: of the files, without a suffix.
        """
        self.prepare(model)
        plan, previous, start = self.plan, self.result, time.perf_counter()
        self.result = present(self._attributor).attribute(
            plan.samples.inputs,
            self._targets(present(self._attributor)),
            plan.baselines,
            plan.method,
            plan.seed,
            verbose=False,
            on_error="mark",
        )
        seconds = time.perf_counter() - start
        if self._kept is None and self.result.predicted is not None and not self.broken():
            self._kept = self.result.predicted
        self.scalars = numbers(self.result, previous, seconds, prefix)
        example, position = self.result.example, self.result.position
        shape = present(self._attributor).output_shape(plan.samples.inputs)
        labels = labels_at(self._labels(present(self._attributor)), example, position, shape)
        tokens = each_entry(plan.tokens, example)
        try:
            if plan.files is not None:
                self._save(name, labels, tokens)
        finally:  # a folder that is full, or gone, takes nothing from the other
            if plan.events is not None:
                self._log(step, labels, tokens, previous, seconds, prefix)

    def _log(
        self,
        step: int,
        labels: np.ndarray | None,
        tokens: Sequence[Sequence[str]] | None,
        previous: Attribution | None,
        seconds: float,
        prefix: str,
    ) -> None:
        """Writes the newest result to TensorBoard's events."""
        plan = self.plan
        self._forget_cleared()
        if self._writer is None:
            self._writer = tf.summary.create_file_writer(present(plan.events))
        log_attributions(
            present(self.result),
            self._writer,
            step,
            labels=labels,
            class_names=plan.class_names,
            tokens=tokens,
            previous=previous,
            seconds=seconds,
            prefix=prefix,
            pictures=self._drawable,
        )

    def broken(self) -> str:
        """What is NaN or infinite in the newest result; "" where all is well."""
        result = self.result
        if result is None or result.status is None:
            return ""
        bad = np.flatnonzero(result.status == "not_finite")
        if len(bad) and result.example is not None:
            bad = np.unique(result.example[bad])
        return f"scores or gradients are NaN or infinite in sample(s) {', '.join(map(str, bad))}" if len(bad) else ""

    def _labels(self, attributor: Attributor) -> np.ndarray | None:
        """The labels of the explained output, as classes where they are such."""
        names = list(getattr(attributor.model, "output_names", None) or [])
        labels = self.plan.samples.labels_of(getattr(self.plan.of, "name", None), names)
        classes = classes_of(labels, attributor.output_shape(self.plan.samples.inputs))
        return labels if classes is None else classes

    def _targets(self, attributor: Attributor) -> Any:
        if isinstance(self.plan.target, str):
            return None
        if self.plan.target is not None:
            return self.plan.target
        labels = self._labels(attributor)
        classes = classes_of(labels, attributor.output_shape(self.plan.samples.inputs))
        return self._kept if classes is None else classes

    def _save(self, name: str, labels: np.ndarray | None, tokens: Sequence[Sequence[str]] | None) -> None:
        """One `.npz`, and a picture of each sample, under a name that is free."""
        plan, taken, number = self.plan, self.plan.files, 1
        while (present(taken) / f"{name}.npz").exists():
            number += 1
            name = f"{name.partition('_')[0]}_{number}"
        present(self.result).save(present(taken) / f"{name}.npz")
        for i, (png, _) in enumerate(drawn(present(self.result), labels, plan.class_names, tokens) if self._drawable else ()):
            write_whole(present(taken) / f"{name}-sample-{i}.png", lambda file, png=png: file.write(png))


def warn(message: str) -> None:
    """Notes a failure in the log and shows it, where the training goes on."""
    LOGGER.warning(message)
    warnings.warn(f"{message}; the training goes on", RuntimeWarning, stacklevel=2)


def _check_writable(folder: Path | str | None) -> None:
    """Makes the folder, and raises AttributionError where no file can be written in it."""
    if folder is None:
        return
    probe = tf.io.gfile.join(str(folder), f"probe-{os.getpid()}")
    try:
        tf.io.gfile.makedirs(str(folder))
        with tf.io.gfile.GFile(probe, "w") as file:
            file.write("?")
        tf.io.gfile.remove(probe)
    except (OSError, tf.errors.OpError) as error:
        raise AttributionError(f"{str(folder)!r} cannot be written to ({error}): name another log_dir= or save_dir=") from error
