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

from .attribution import Attribution
from .attributor import Attributor
from .errors import AttributionError
from .graph import keras_model
from .log import drawn, log_attributions
from .methods import Method
from .samples import Samples
from .whole import write_whole

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
    class_names: Sequence[str] | None
    events: Path | None
    files: Path | None


class Watch:
    """The samples of one plan, over all evaluations.

    Attributes:
        result: the newest, None before the first.
        scalars: the newest numbers by tag, as they were logged.
    """

    def __init__(self, plan: Plan):
        self.plan = plan
        self.result: Attribution | None = None
        self.scalars: dict[str, float] = {}
        self._kept: np.ndarray | None = None  # the classes predicted at the first evaluation
        self._attributor: Attributor | None = None
        self._traced: list = []
        self._writer: tf.summary.SummaryWriter | None = None

    def prepare(self, model: Any) -> None:
        """Traces `model`, unless that was done, and checks all that can be checked before the first evaluation.

        Raises:
            AttributionError: what does not fit the model, or a folder that cannot be written to.
        """
        plan, parts = self.plan, _parts(model)
        if len(parts) == len(self._traced) and all(one is other for one, other in zip(parts, self._traced, strict=True)):
            return
        for folder in (plan.events, plan.files):
            _check_writable(folder)
        attributor = Attributor(model, plan.at, plan.of, plan.batch_size)
        attributor.check(plan.samples.inputs, self._targets(attributor), plan.baselines, plan.method, plan.seed)
        # of another model, or one with other layers: what was attributed before is not to be compared with
        self._attributor, self._traced, self.result = attributor, parts, None

    def evaluate(self, model: Any, step: int, prefix: str, name: str) -> None:
        """Attributes, logs and saves.

        Args:
            step: on TensorBoard's axes.
            prefix: of the tags.
            name: of the files, without a suffix.
        """
        self.prepare(model)
        plan, previous, start = self.plan, self.result, time.perf_counter()
        self.result = self._attributor.attribute(plan.samples.inputs, self._targets(self._attributor), plan.baselines,
                                                 plan.method, plan.seed, verbose=False, on_error="mark")
        seconds = time.perf_counter() - start
        if self._kept is None and self.result.predicted is not None:
            self._kept = self.result.predicted
        if plan.events is not None:
            if self._writer is None:
                self._writer = tf.summary.create_file_writer(str(plan.events))
            self.scalars = log_attributions(
                self.result, self._writer, step, labels=plan.samples.labels, class_names=plan.class_names,
                tokens=plan.tokens, previous=previous, seconds=seconds, prefix=prefix)
        if plan.files is not None:
            self._save(name)

    def broken(self) -> str:
        """What is NaN or infinite in the newest result; "" where all is well."""
        status = None if self.result is None else self.result.status
        bad = np.flatnonzero(status == "not_finite") if status is not None else []
        return f"scores or gradients are NaN or infinite in sample(s) {', '.join(map(str, bad))}" if len(bad) else ""

    def _targets(self, attributor: Attributor) -> Any:
        plan = self.plan
        if isinstance(plan.target, str):
            return None
        if plan.target is not None:
            return plan.target
        labels = plan.samples.targets(attributor.output_shape(plan.samples.inputs))
        return self._kept if labels is None else labels

    def _save(self, name: str) -> None:
        plan = self.plan
        self.result.save(plan.files / f"{name}.npz", overwrite=True)
        for i, (png, _) in enumerate(drawn(self.result, plan.samples.labels, plan.class_names, plan.tokens)):
            write_whole(plan.files / f"{name}-sample-{i}.png", lambda file, png=png: file.write(png))


def warn(message: str) -> None:
    """Notes a failure in the log and shows it, where the training goes on."""
    LOGGER.warning(message)
    warnings.warn(f"{message}; the training goes on", RuntimeWarning, stacklevel=2)


def _parts(model: Any) -> list:
    """What a trace is made of: the model, its layers and its variables."""
    return [model, *keras_model.layers(model), *model.weights]


def _check_writable(folder: Path | None) -> None:
    """Makes the folder, and raises AttributionError where no file can be written in it."""
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / f"probe-{os.getpid()}", lambda file: file.write(b"?")).unlink()
    except OSError as error:
        raise AttributionError(f"{str(folder)!r} cannot be written to ({error}): name another log_dir= or save_dir=") from error
