"""`AttributionCallback`: attribution maps of the same samples at each evaluation while a model trains."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ..attribution import Attribution
from ..common.checks import whole
from ..common.class_names import as_class_names
from ..common.errors import AttributionError
from ..common.types import present
from ..methods import Method, as_method
from ..selection.at_and_of import as_at, as_of
from .samples import take
from .undisturbed import undisturbed
from .watch import LOGGER, PREDICTED, Plan, Watch, warn


class AttributionCallback(keras.callbacks.Callback):
    """Attributes the same samples at each evaluation, and logs maps, words and numbers for TensorBoard.

        model.fit(train, validation_data=val, callbacks=[ta.AttributionCallback(samples, log_dir="logs")])
        model.evaluate(test, callbacks=[ta.AttributionCallback(samples, log_dir="logs")])

    It fires at each `model.evaluate`; in `model.fit` at the first validation and every `freq`-th after it, or, where there is
    no validation data (or none yet), at the end of the first epoch and every `freq`-th after it. In `fit` steps are epochs,
    and tags begin with "attribution", as Keras's `epoch_loss`; in `evaluate` steps are the optimizer's iterations, and tags
    begin with "attribution_vs_iterations", as Keras's `evaluation_loss_vs_iterations`. For models of Keras 3 and tf_keras.
    Neither the model nor its metrics, random state or training results are changed. It sees the weights that the model has when
    its turn comes: in `callbacks` it stands in front of those that put others back at the end of a validation, such as
    `keras.callbacks.SwapEMAWeights`.

    Args:
        samples: what is watched: arrays, a list or dict of them, (x, y), or a batched tf.data.Dataset, of which the first `n`
            examples are taken once. Labels of several outputs are a list or dict; those of the output `of` names count.
        log_dir: TensorBoard's folder; events go to `log_dir/name`. None writes none.
        method, at, of, baselines, batch_size, seed: as in `Attributor` and its `attribute`. Random baselines keep their seed.
        target: None: the samples' labels where these are classes, else the class predicted at the first evaluation, kept from
            then on, so that drift does not compare different classes. "predicted": the class predicted at each evaluation. An
            int or array: as in `attribute`. `ta.each_position(...)`: an entry, with its picture, for each sample and position,
            of the class predicted there at each evaluation unless classes are given.
        freq: of validations (or epochs) in `fit`.
        tokens: a list of words for each sample; default: those that the model knows.
        class_names: names of the classes, as `Attributor(class_names=)` takes them.
        save_dir: a folder for one `.npz`, and one picture a sample, for each evaluation; nothing in it is overwritten.
        on_error: what becomes of a failure inside an evaluation (a full disk, gradients that are NaN): "warn" logs it, warns,
            and lets the training go on; "raise" stops it. What is configured wrongly always fails when training starts.
        n: how many examples are taken, the first; default: all of arrays, 16 of a tf.data.Dataset.
        name: of the run, a folder beside Keras's "train" and "validation": two callbacks with one `log_dir` need two names.

    Raises:
        AttributionError: arguments that mean nothing; when training or evaluation starts: samples that do not fit, layers that
            do not exist, targets out of range, folders that cannot be written to.
    """

    # tf_keras would bring every batch's logs to the host for a callback that does not say this
    _supports_tf_logs = True

    def __init__(
        self,
        samples: Any,
        log_dir: str | os.PathLike | None = "logs",
        method: str | Method = "integrated_gradients",
        at: Any = None,
        of: Any = None,
        target: Any = None,
        baselines: Any = None,
        freq: int = 1,
        tokens: Sequence[Sequence[str]] | None = None,
        class_names: Any = None,
        save_dir: str | os.PathLike | None = None,
        batch_size: int | None = None,
        seed: int = 0,
        on_error: str = "warn",
        n: int | None = None,
        name: str = "attribution",
    ) -> None:
        super().__init__()
        for argument, value in (("freq", freq), ("n", 1 if n is None else n)):
            whole(argument, value)
        if on_error not in ("warn", "raise"):
            raise AttributionError(f"on_error must be 'warn' or 'raise', got {on_error!r}")
        if isinstance(target, str) and target != PREDICTED:
            raise AttributionError(f"target must be None, 'predicted', an int, an array or ta.each_position(), got {target!r}")
        watched = take(samples, n)
        if tokens is not None and len(tokens) != len(watched):
            raise AttributionError(f"tokens for {len(tokens)} samples; there are {len(watched)}: give a list of words for each")
        self._watch = Watch(
            Plan(
                watched,
                as_method(method),
                as_at(at),
                as_of(of),
                target,
                baselines,
                batch_size,
                _drawn_once(seed),
                tokens,
                as_class_names(class_names),
                _folder(log_dir, name),
                None if save_dir is None else Path(save_dir).expanduser(),
            )
        )
        self._freq, self._on_error = freq, on_error
        self._epoch = self._ends = self._evaluations = 0
        self._validates = False
        self._alone = True  # whether the next test is a run of its own, and no validation of `fit`

    @property
    def results(self) -> Attribution | None:
        """The newest result; None before the first evaluation."""
        return self._watch.result

    @property
    def scalars(self) -> dict[str, float]:
        """The newest numbers by tag, as they were logged: accuracy, cost and drift."""
        return dict(self._watch.scalars)

    def set_model(self, model: Any) -> None:
        """A run of `fit` or `evaluate` begins, the latter perhaps inside of the former: Keras says with which model."""
        super().set_model(model)
        self._alone = True
        if not model.built:  # tf_keras builds some models at their first batch: what is wrong with them can be told after it
            self.on_train_batch_end = self._after_first_batch

    def _after_first_batch(self, batch: int, logs: dict | None = None) -> None:
        self._prepare()
        del self.on_train_batch_end

    def _implements_train_batch_hooks(self) -> bool:
        return "on_train_batch_end" in vars(self)

    def _implements_test_batch_hooks(self) -> bool:
        return False

    def _implements_predict_batch_hooks(self) -> bool:
        return False

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Fails now where something is configured wrongly."""
        self._alone, self._epoch, self._ends, self._validates = False, 0, 0, False
        self._watch.start()
        self._prepare()

    def on_test_begin(self, logs: dict | None = None) -> None:
        """Fails now where something is configured wrongly."""
        if self._alone:
            self._watch.start()
            self._prepare()

    def _prepare(self) -> None:
        if present(self.model).built:
            with undisturbed(self.model):
                self._watch.prepare(self.model)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Notes the step of what is logged in this epoch."""
        self._epoch = epoch

    def on_test_end(self, logs: dict | None = None) -> None:
        """Fires: at the end of `evaluate`, and of every `freq`-th validation in `fit`."""
        if self._alone:
            step = self._iterations()
            self._evaluate(step, "attribution_vs_iterations", f"iteration-{step:06d}")
            self._alone = False
            return
        if not self._validates:  # epochs before the first validation do not count
            self._validates, self._ends = True, 0
        self._every(self._epoch)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Fires where `fit` does not validate."""
        if not self._validates:
            self._every(epoch)

    def on_train_end(self, logs: dict | None = None) -> None:
        """The run is over."""
        self._alone = True

    def _every(self, epoch: int) -> None:
        if self._ends % self._freq == 0:
            self._evaluate(epoch, "attribution", f"epoch-{epoch:06d}")
        self._ends += 1

    def _iterations(self) -> int:
        """The step of an evaluation outside of `fit`: the optimizer's iterations, where there is one."""
        iterations = getattr(getattr(self.model, "optimizer", None), "iterations", None)
        return self._evaluations if iterations is None else int(np.asarray(iterations))

    def _evaluate(self, step: int, prefix: str, name: str) -> None:
        """Attributes and logs, and takes no random number from the training."""
        self._evaluations += 1
        with undisturbed(self.model):
            self._attribute(step, prefix, name)

    def _attribute(self, step: int, prefix: str, name: str) -> None:
        """Attributes and logs; a failure stops the training only where that was asked for."""
        if not self._watch.ready:  # a model that only just was built: what is configured wrongly fails
            self._watch.prepare(self.model)
        try:
            self._watch.evaluate(self.model, step, prefix, name)
            broken = self._watch.broken()
            if broken:
                raise AttributionError(broken)
        except Exception as error:
            if self._on_error == "raise":
                raise
            LOGGER.debug("attribution failed at %s", name, exc_info=True)
            warn(f"attribution failed at {name}: {error}")


def _folder(log_dir: str | os.PathLike | None, name: str) -> str | None:
    """Where events go; TensorFlow writes to remote folders too, such as gs://bucket/logs."""
    if log_dir is None:
        return None
    if not isinstance(log_dir, str | os.PathLike) or not str(log_dir) or not isinstance(name, str) or not name:
        raise AttributionError(f"log_dir must be a folder or None, and name that of a run; got {log_dir!r} and {name!r}")
    return tf.io.gfile.join(os.path.expanduser(log_dir), name)


def _drawn_once(seed: int | None) -> int:
    """The seed; where there is none, one that stays: drift must not be that of random baselines."""
    return int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed
