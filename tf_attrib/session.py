"""A model traced for one kind of inputs: what was selected in it, and everything compiled for it so far."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from . import engine, points
from .baselines import References
from .errors import AttributionError
from .graph.cut import Cut, Port
from .graph.trace import Traced
from .prepare import few
from .rows import PredictRow, ScoreRow
from .scoring import ScoreFunction, resolve_of
from .select import At, Of, resolve_at

# Examples in a block when only values of inner tensors are wanted.
FORWARD_ROWS = 64


class Session:
    """What a call of `attribute` works on.

    Attributes:
        function: from the selected tensors to scores.
        shape: of the explained output for one example.
    """

    def __init__(self, traced: Traced, at: At | None, of: Of | None, names: dict, examples: dict, batch_size: int | None):
        output = resolve_of(traced, of)
        one = {key: value[:1] for key, value in examples.items()}
        place = resolve_at(traced, at, list(output.fetches.values()), names, {k: tf.constant(v) for k, v in one.items()})
        self.function = ScoreFunction(traced, place, output)
        self.block = self.function.rows or batch_size or engine.block_rows(self.function)
        self._inputs = {tensor.ref(): key for key, tensor in traced.inputs.items()}
        self._cuts: dict[Any, Cut] = {}
        self._programs: dict[Callable, engine.Program] = {}
        self.shape = self._value_shape(one)

    def _value_shape(self, examples: dict) -> tuple:
        output = self.function.output
        ports = {key: Port(tensor) for key, tensor in output.fetches.items()}
        fetched = self._fetch("output", ports, examples)
        finished = output.finish({key: tf.constant(value) for key, value in fetched.items()})
        return tuple(finished.shape[1:])

    def selected(self, inputs: dict[Any, np.ndarray]) -> dict[Any, np.ndarray]:
        """The selected tensors at `inputs` (by the model's keys), (n, ...) by key, in the dtype of paths."""
        ports = self.function.place.ports
        source = {key: self._inputs.get(port.tensor.ref(), self) for key, port in ports.items()}
        inner = {key: port for key, port in ports.items() if source[key] is self}
        values = self._fetch("selected", inner, inputs) if inner else {}
        values |= {key: inputs[name] for key, name in source.items() if name is not self}
        return {key: values[key].astype(self.function.dtype.as_numpy_dtype, copy=False) for key in ports}

    def handed_out(self, match: dict) -> list:
        """The keys under which attributions to the selected tensors are handed out: for inputs the user's own."""
        place = self.function.place
        if place.kind != "inputs":
            return list(place.ports)
        if len(match) > 1 and list(place.ports) == [None]:  # one of several, by name: no structure to keep
            return [None]
        return [match[self._inputs[port.tensor.ref()]] for port in place.ports.values()]

    def indices(self, inputs: dict[Any, np.ndarray]) -> np.ndarray | None:
        """The token indices of the one lookup that was selected, (n, length), or None."""
        tensor = self.function.place.indices
        return None if tensor is None else self._fetch("indices", {None: Port(tensor)}, inputs)[None]

    def _fetch(self, name: str, ports: dict[Any, Port], inputs: dict) -> dict[Any, np.ndarray]:
        """Values of tensors at `inputs`, in blocks."""
        traced, rows = self.function.traced, self.function.rows
        if name not in self._cuts:
            self._cuts[name] = Cut(traced, {key: Port(tensor) for key, tensor in traced.inputs.items()}, ports)
        count, size = len(next(iter(inputs.values()))), rows or FORWARD_ROWS
        parts = []
        for start in range(0, count, size):
            part = {key: value[start:start + size] for key, value in inputs.items()}
            real = min(size, count - start)
            if rows and real < rows:  # a model of fixed batch size: the last example fills the block
                part = {key: np.concatenate([value, np.repeat(value[-1:], rows - real, 0)]) for key, value in part.items()}
            fetched = self._cuts[name]({key: tf.convert_to_tensor(value) for key, value in part.items()})
            parts.append({key: value.numpy()[:real] for key, value in fetched.items()})
        return {key: np.concatenate([part[key] for part in parts]) for key in ports}

    def run(self, row: Callable, tables: engine.Tables, chosen: list[points.Points], features: dict,
            advance: Callable[[int], None] = lambda rows: None) -> engine.FixedRule:
        """Evaluates `row` at the chosen points of each example. Nothing is traced twice."""
        if row not in self._programs:
            self._programs[row] = engine.Program(self.function, row)
        rule = engine.FixedRule(chosen, features, self.function.dtype.as_numpy_dtype)
        engine.run(self._programs[row], tables, rule, self.block, advance)
        return rule

    def tables(self, x: dict, inputs: dict, references: References, target: Any) -> engine.Tables:
        """What the engine needs: the target of each example, and the score there.

        Raises:
            AttributionError: targets that do not fit, or scores that are not finite.
        """
        count = len(next(iter(x.values())))
        targets = self.function.targets(target, self.shape, count)
        blank = np.zeros((count, len(self.shape)), np.int32)
        tables = engine.Tables(x, {key: inputs[key] for key in self.function.context},
                               blank if targets is None else targets, np.zeros(count), references)
        # the class that is predicted and its score take one pass, not two
        rule = self.run(PredictRow() if targets is None else ScoreRow(), tables, [points.at_input()] * count, {})
        check_finite("score", rule.scores)
        found = rule.slopes.astype(np.int32) if targets is None else targets
        return dataclasses.replace(tables, target=found, score=rule.scores[:, 0])

    def baseline_scores(self, tables: engine.Tables) -> tuple[np.ndarray, np.ndarray]:
        """Scores and highest values at the references, (n, k) each."""
        references = tables.references
        which = again = np.arange(len(tables.target))
        if references.shared and not self.function.context:
            # nothing of the example's own enters: one row for each class that is explained
            _, which, again = np.unique(tables.target, axis=0, return_index=True, return_inverse=True)
            again = again.reshape(-1)
        part = engine.Tables({key: value[which] for key, value in tables.x.items()},
                             {key: value[which] for key, value in tables.context.items()}, tables.target[which],
                             tables.score[which], references.of_examples(which))
        rule = self.run(ScoreRow(), part, [points.at_references(references.count)] * len(which), {})
        check_finite("score at the baseline", rule.scores[again])
        return rule.scores[again], rule.slopes[again]


def check_finite(what: str, values: np.ndarray) -> None:
    """Raises AttributionError naming the examples whose `values` (n, rows) hold NaN or infinity."""
    bad = np.flatnonzero(~np.isfinite(values).all(1))
    if len(bad):
        raise AttributionError(f"the {what} is NaN or infinite for example(s) {few(bad)}; look at these inputs, at the model's "
                               "weights, and for float16 at overflow")
