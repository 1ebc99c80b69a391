"""Attributors that write themselves into a SavedModel."""

import os
from pathlib import Path
from typing import Any

from ..engine.method import Method, as_method
from ..engine.preparing import Preparing
from .plan import predicts
from .writing import stand_ins, write


class Exporting(Preparing):
    """What is prepared can be exported."""

    def export(
        self,
        path: str | os.PathLike,
        method: str | Method = "integrated_gradients",
        baselines: Any = None,
        *,
        examples: Any = None,
        batch_size: int | None = None,
        seed: int = 0,
    ) -> Path:
        """Writes a SavedModel that explains itself, where this package is not installed: in TensorFlow Serving, in C++, Java
        or Go.

        It has the signatures that the model had, and `explain`: from the model's inputs, and where they are given `target`
        (int32, -1: the predicted class, which is the default) and `baseline` (one row for all examples, or one for each; the
        default is `baselines`), to `attributions`, `scores`, `baseline_scores`, `target`, `gap`, `error_estimate`,
        `evaluations` (rows of each example) and `status`. With several selected tensors there are `attributions_NAME` and
        `baseline_NAME` for each. What they are, the file assets.extra/tf_attrib.json in the folder says, and `ta.inspect`
        shows.

        Methods with rows that are known beforehand give the numbers of `attribute`; integrated gradients to a tolerance are
        refined by a rule of their own (`export.refining`), which takes more gradients (docs/benchmarks.md says how many).
        Shapley values are exact or drawn by orders that are the same for all examples.

        Args:
            path: a folder that does not exist.
            method: as `attribute` takes it; those that decide in Python what is evaluated next are refused.
            baselines: as `attribute` takes them, the same for all examples.
            examples: two or more, as `attribute` takes them: for models that do not say what they take, or where what is
                selected depends on it. Default: made up by the shapes of the model's inputs.
            batch_size: rows that are evaluated together, which bounds the memory; default: by the size of the activations.
            seed: of noise and of orders.

        Raises:
            AttributionError: there is something at `path`; the model or the method cannot be part of a graph.
        """
        method, specs = as_method(method), None if self.preprocess is not None else self._specs
        given = self.read(stand_ins(specs) if examples is None else examples)
        function = self.prepare(given)[0].function
        target = None if predicts(function) else 0 if function.target_rank == 1 else (0,) * function.target_rank
        work = self.work(given, target, baselines, method, seed)
        return write(path, self.model, method, work, batch_size, seed)
