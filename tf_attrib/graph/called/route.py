"""Which way a model goes: traced into a graph where it can be, else called by operations of one."""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import tensorflow as tf

from ...common.errors import AttributionError
from ..saved.exported import Exported
from ..traced import keras_model
from ..traced.states import reads_what_it_wrote
from ..traced.trace import Traced, trace
from .trace import call_as_graph

# The batch that a function is traced with where it cannot be traced for any.
FIXED_ROWS = 16
CALLS_PYTHON = "it calls Python, tf.py_function"


class Route:
    """The graphs of `model(preprocess(inputs))`, one for each kind of inputs, made when they are first asked for.

    Attributes:
        specs: the TensorSpec of each input by key, as of the last `look`; None where the model does not say them.
        changes: how many times a `look` found a Keras model to have other layers, activations, variables or losses than before.

    Args:
        batch_size: as its user says, or None.
        eager: True calls the model, False traces it, None traces it where that can be done.
    """

    def __init__(
        self, model: Callable | Exported, preprocess: Callable | None, batch_size: int | None, eager: bool | None
    ) -> None:
        self._model, self._preprocess, self._batch_size, self._eager = model, preprocess, batch_size, eager
        self._traces: dict[tuple, Traced | str] = {}
        self._called: dict[tuple, Traced] = {}
        self._parts, self.changes = self._parts_now(), 0
        self.specs = _specs_of(model)

    def look(self) -> None:
        """Forgets what was traced of a Keras model that has other layers, activations, variables or losses than before. New
        values of the same variables are no change, since graphs read them."""
        parts = self._parts_now()
        if not keras_model.same(parts, self._parts):
            self._traces, self._called = {}, {}
            self._parts, self.changes = parts, self.changes + 1
            self.specs = _specs_of(cast(Callable, self._model))  # a Sequential may have been built anew, of other inputs

    def _parts_now(self) -> list:
        return keras_model.parts(self._model) if keras_model.is_keras(self._model) else []

    def graph(self, specs: dict[Any, tf.TensorSpec], examples: dict[Any, np.ndarray]) -> Traced:
        """The graph for inputs of these specs; for those of the examples' sizes where it needs to know them, as an enlarging
        layer may; one that calls the model where it is not, or cannot be, traced.

        Args:
            examples: by the model's keys.

        Raises:
            AttributionError: the model can be neither traced nor called.
        """
        traced = self.traced(specs)
        if isinstance(traced, Traced):
            return traced
        sized = {key: _sized(spec, examples[key].shape) for key, spec in specs.items()}
        if not self._eager and signature_of(sized) != signature_of(specs):
            same = self.traced(sized)
            if isinstance(same, Traced):
                return same
        key = signature_of(specs), tuple(examples[key].shape[1:] for key in specs)
        if key not in self._called:
            own = {key: examples[key] for key in specs}
            # no finite number of calls shows that examples do not see each other: its user may say how many may
            together = bool(self._batch_size)
            self._called[key] = call_as_graph(cast(Callable, self._model), specs, own, self._preprocess, traced, together)
        return self._called[key]

    def traced(self, specs: dict[Any, tf.TensorSpec]) -> Traced | str:
        """The model traced for inputs of these specs, or why it is to be called instead, "" where that was asked for.

        Raises:
            AttributionError: it cannot be traced, and must not be called.
        """
        if self._eager:
            return ""
        key, bound = signature_of(specs), self._eager is False or isinstance(self._model, Exported)
        if key not in self._traces:
            try:
                traced = self._traced_now(specs)
                self._traces[key] = traced if bound else _why_to_call(traced) or traced
            except AttributionError as error:
                # with the sizes of examples it may be otherwise
                if bound and (isinstance(self._model, Exported) or not any(map(_leaves_open, specs.values()))):
                    raise
                self._traces[key] = str(error)
        return self._traces[key]

    def _traced_now(self, specs: dict) -> Traced:
        model, before = self._model, self._preprocess
        if isinstance(model, Exported):
            return model.trace(specs, before)
        try:
            return trace(model, specs, before)
        except AttributionError as error:
            if keras_model.is_keras(model):
                raise
            # a function may need to know its batch: then every block has that many rows
            rows = self._batch_size or FIXED_ROWS
            fixed = {key: tf.TensorSpec([rows, *spec.shape[1:]], spec.dtype) for key, spec in specs.items()}
            try:
                return trace(model, fixed, before)
            except AttributionError:
                wide = any(spec.dtype == tf.float64 for spec in specs.values())
                hint = "; the inputs are float64, perhaps it wants inputs.astype('float32')" if wide else ""
                raise AttributionError(f"{error}{hint}") from error


def _specs_of(model: Callable | Exported) -> dict[Any, tf.TensorSpec] | None:
    if isinstance(model, Exported):
        return model.specs if all(spec.shape.rank is not None for spec in model.specs.values()) else None
    return keras_model.input_specs(model) if keras_model.is_keras(model) else None


def _sized(spec: tf.TensorSpec, shape: tuple[int, ...]) -> tf.TensorSpec:
    """`spec` with the sizes of examples of this shape where it leaves them open, but for their number."""
    first, *rest = spec.shape if spec.shape.rank == len(shape) else [None] * len(shape)
    sizes = [own or size for own, size in zip(rest, shape[1:], strict=True)]
    return tf.TensorSpec([first, *sizes], spec.dtype, spec.name)


def _leaves_open(spec: tf.TensorSpec) -> bool:
    """Whether a size of each example is open."""
    return not spec.shape.rank or not spec.shape[1:].is_fully_defined()


def _why_to_call(traced: Traced) -> str:
    """Why a model that can be traced is called all the same, or ""."""
    if traced.calls_python:
        return CALLS_PYTHON  # of a Python function without a gradient, a graph takes zeros for one
    if wrote := reads_what_it_wrote(traced):
        return f"it reads {wrote!r} after it has written it, and a graph would read what was there before"
    lost = [name for name, tensor in traced.outputs.items() if tensor.shape.rank is None]
    return f"how many axes its output {lost[0]!r} has is known only when it runs" if lost else ""


def signature_of(specs: dict[Any, tf.TensorSpec]) -> tuple:
    """What tells one kind of inputs from another."""
    return tuple((key, spec.dtype, tuple(spec.shape)) for key, spec in specs.items())
