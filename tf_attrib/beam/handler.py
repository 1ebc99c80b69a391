"""Attributions by Beam's RunInference."""

import os
from collections.abc import Sequence
from typing import Any

from ..attributor import Attributor
from ..common.errors import AttributionError
from ..datasets.engines.batch_attributor import BatchAttributor
from ..datasets.engines.columns import size_of
from .installed import apache_beam, base  # pyright: ignore[reportAttributeAccessIssue] (of an extra)


class AttributionModelHandler(base.ModelHandler[Any, base.PredictionResult, BatchAttributor]):
    """What `RunInference` attributes by.

        rows | RunInference(AttributionModelHandler("model.keras", ["x"]))

    Elements are dicts of arrays by name, one row each, or the array that is the model's input. Of each comes a
    `PredictionResult`: the element, its attributions as a dict ("attributions", "scores", "status", "reason", ..., as
    `ta.BatchAttributor` has columns), and the path of the model. Elements with keys go through `KeyedModelHandler`.

    A row that cannot be attributed is marked, with the reason, and counted ("failed_rows"): RunInference's own dead letter, by
    `with_exception_handling`, takes the whole batch with it. RunInference makes batches of 1 to 512 rows as it sees fit, so
    that two runs are equal to rounding and not to the last bit; those of `AttributeShards` are.
    """

    def __init__(
        self,
        path: str | os.PathLike | Attributor,
        features: Sequence[str] | None = None,
        *,
        min_batch_size: int | None = None,
        max_batch_size: int | None = None,
        large_model: bool = False,
        model_copies: int | None = None,
        env_vars: dict[str, str] | None = None,
        **settings: Any,
    ) -> None:
        """The model is read once in a process, by a worker.

        Args:
            path: of a model, where every worker finds it; or an `Attributor` made from a path.
            features: the names that are inputs, in order; others come out beside the results.
            min_batch_size, max_batch_size: of the batches that RunInference makes.
            large_model: whether all processes of a machine share one model.
            model_copies: by how many of them, where they share.
            env_vars: of the environment, set before the model is read.
            settings: those of `ta.BatchAttributor`.

        Raises:
            AttributionError: settings that cannot be.
        """
        super().__init__(
            min_batch_size=min_batch_size,
            max_batch_size=max_batch_size,
            large_model=large_model,
            model_copies=model_copies,
            env_vars=env_vars or {},
        )
        self._attribute = BatchAttributor(path, features, **settings)

    def load_model(self) -> BatchAttributor:
        self._attribute.load()
        return self._attribute

    def run_inference(
        self, batch: Sequence[Any], model: BatchAttributor, inference_args: dict[str, Any] | None = None
    ) -> list[base.PredictionResult]:
        """The attributions of a batch, in its order.

        Raises:
            AttributionError: settings that are wrong for every row; with `on_error="raise"` a row that fails.
        """
        found = model.of_elements(list(batch))  # a model that processes share is reached by calls alone
        failed = sum(bool(one["reason"]) for one in found)
        apache_beam.metrics.Metrics.counter(self.get_metrics_namespace(), "failed_rows").inc(failed)
        path = str(self._attribute.path)
        return [base.PredictionResult(element, one, path) for element, one in zip(batch, found, strict=True)]

    def get_num_bytes(self, batch: Sequence[Any]) -> int:
        return size_of(batch)

    def get_metrics_namespace(self) -> str:
        return "BeamML_tf_attrib"

    def validate_inference_args(self, inference_args: dict[str, Any] | None) -> None:
        if inference_args:
            raise AttributionError(
                f"settings are given to the handler, AttributionModelHandler(path, {next(iter(inference_args))}=...), and not "
                f"as inference_args: {inference_args!r}"
            )

    def update_model_path(self, model_path: str | None = None) -> None:
        if model_path:
            self._attribute = self._attribute.of_model(model_path)
