"""What a model gives at rows of any number: values of its tensors, scores and gradients, in blocks."""

import copy
from collections.abc import Callable
from typing import Any, Self

import numpy as np
import tensorflow as tf

from ..common.errors import AttributionError
from ..common.types import Leaves
from ..graph.traced.compiled import Compiled
from ..graph.traced.cut import Cut, Port
from ..graph.traced.heads_and_lookups import connected
from ..graph.traced.trace import TRACING
from ..selection.outputs import OWN_PAIRS
from ..selection.score_function import ScoreFunction
from ..selection.settled import WORDS
from . import program
from .blocks import in_blocks
from .company import ONE_LENGTH, Company


class Fetching:
    """Evaluates tensors of a function's graph at inputs, and the function itself at rows of the selected tensors; each cut and
    each compiled pass is made when it is first asked for, and kept.

    Attributes:
        function: from the selected tensors to scores.
        block: how many rows a block holds, for inputs of the shapes that it was made or `sized` for; `whole_block`: where the
            whole output of each row is held, at every position.
        company: whether rows may share a block.
    """

    def __init__(self, function: ScoreFunction, batch_size: int | None, memory: int) -> None:
        self.function, self._memory = function, memory
        self._cuts: dict[Any, Cut] = {}
        self._passes: dict[str, Compiled] = {}
        self._batch_size = function.together or batch_size
        self.company = Company(function.rows or batch_size)
        self._held: program.Held | program.Stated = program.Stated((self._batch_size or 1, self._batch_size or 1))

    @property
    def block(self) -> int:
        return 1 if self.company.alone else self._held.rows[0]

    @property
    def whole_block(self) -> int:
        return 1 if self.company.alone else self._held.rows[1]

    def sized(self, examples: dict) -> Self:
        """The same for inputs of other shapes. What is compiled is shared; how many rows a block holds is not."""
        other = copy.copy(self)
        other._held = self._held_for({key: value[:1].copy() for key, value in examples.items()})
        return other

    def in_company(self) -> Self:
        """The same, whose rows share blocks whatever was found: for a look at what they do to each other."""
        other = copy.copy(self)
        other.company = Company(self.company.batch_size)
        return other

    def _held_for(self, one: dict) -> program.Held | program.Stated:
        """How many rows a block holds of inputs of the shapes of this example."""
        stated = self._batch_size
        return program.Stated((stated, stated)) if stated else program.Held(self.function, one, self._memory)

    def fetch(self, name: str, ports: dict[Any, Port], inputs: dict, fill: bool = True) -> dict[Any, np.ndarray]:
        """Values of tensors at `inputs`, in blocks.

        Args:
            name: under which the cut to `ports` is kept for further calls.
            fill: whether those of a block that are shorter may be filled up.
        """
        inputs = self.with_words(inputs)
        if name not in self._cuts:
            self._cuts[name] = self._from_inputs(ports)
        count = len(next(iter(inputs.values())))
        size = self.function.together or (self.whole_block if count > 1 else 1)

        def evaluate(part: slice) -> dict[Any, np.ndarray]:
            filled = {key: self._filled(value[part]) for key, value in inputs.items()}
            fetched, fed = self._cuts[name].evaluate(filled), len(next(iter(filled.values())))
            for value in fetched.values():
                if not value.ndim or len(value) != fed:
                    raise AttributionError(
                        f"the model must return one entry for each example, shape (batch, ...); for {fed} "
                        f"examples it returned shape {tuple(value.shape)}: do not sum over the batch"
                    )
            return {key: value[: part.stop - part.start] for key, value in fetched.items()}

        parts = [found for _, found in in_blocks(count, size, evaluate, self.function.rows or 1)]
        if not fill and any(part[key].shape[1:] != parts[0][key].shape[1:] for part in parts for key in ports):
            raise AttributionError(
                "the examples are of different lengths, the score depends on how far one is filled up, and "
                f"{size} of them at a time are evaluated: give those of one length together, or {ONE_LENGTH}"
            )
        return {key: _joined([part[key] for part in parts]) for key in ports}

    def with_words(self, inputs: Leaves) -> Leaves:
        """`inputs`, and what goes with them of the words of texts (`settled_words`), made of all examples together."""
        traced, data = self.function.traced, self.function.output.data
        words = {key: Port(tensor) for key, tensor in data.items() if key[0] == WORDS}
        if all(key in inputs for key in words):
            return inputs
        if WORDS not in self._cuts:
            made = [port.tensor for port in words.values()]
            texts = {key: Port(one) for key, one in traced.inputs.items() if key not in data and connected(one, made)}
            self._cuts[WORDS] = Cut(traced, texts, words)
        return inputs | self._cuts[WORDS].evaluate({key: inputs[key] for key in self._cuts[WORDS].feeds})

    def _from_inputs(self, ports: dict[Any, Port]) -> Cut:
        """The cut from the model's inputs, and from a score's own rows where they are needed, to `ports`."""
        traced, tensors = self.function.traced, [port.tensor for port in ports.values()]
        return Cut(
            traced,
            {
                key: Port(tensor)
                for key, tensor in traced.inputs.items()
                if key not in self.function.output.data or connected(tensor, tensors)
            },
            ports,
        )

    def each(self, tensors: dict[str, tf.Tensor], inputs: dict[Any, np.ndarray]) -> list[dict[str, np.ndarray]] | None:
        """Values of tensors for each example alone, since they need not have a batch axis; None where the model's batch is
        fixed and they have none."""
        count, rows = len(next(iter(inputs.values()))), self.function.rows
        axis = None if rows in (None, 1) else 0
        if axis == 0 and any(not tensor.shape.rank or tensor.shape[0] != rows for tensor in tensors.values()):
            return None
        ports, size = {key: Port(tensor, axis) for key, tensor in tensors.items()}, 1 if axis is None else count
        parts = [
            self.fetch(f"each of {', '.join(ports)}", ports, {key: value[i : i + size] for key, value in inputs.items()})
            for i in range(0, count, size)
        ]
        return [{key: part[key][i] for key in ports} for part in parts for i in range(size)]

    def within(self, name: str, make: Callable[[], dict[Any, Port]], at: dict, inputs: dict) -> list[dict[Any, np.ndarray]]:
        """Values of tensors of the graph, one dict for each block of rows of the selected tensors.

        Args:
            name: under which the cut is kept for further calls.
            make: the tensors to fetch, when they are first asked for.
            at: (rows, ...), the selected tensors by key.
            inputs: (rows, ...), by the model's keys.
        """
        key, found = ("within", name), []
        if key not in self._cuts:
            self._cuts[key] = self.function.cut(make(), trimmed={})
        for start in range(0, len(next(iter(at.values()))), self.whole_block):
            part = slice(start, start + self.whole_block)
            feeds = {("at", one): self._filled(value[part]) for one, value in at.items()}
            feeds |= {("input", one): self._filled(inputs[one][part]) for one in self.function.context}
            found.append(self._cuts[key].evaluate(feeds))
        return found

    def gradients(self, at: dict, inputs: dict, target: np.ndarray) -> dict[Any, np.ndarray]:
        """Gradients of the score, (rows, ...) by key, for rows of the selected tensors and the first so many of the others."""

        def evaluate(part: slice) -> dict[Any, np.ndarray]:
            found = self.function.gradients_now(
                {key: self._filled(value[part]) for key, value in at.items()},
                {key: self._filled(inputs[key][part]) for key in self.function.context},
                self._filled(target[part]),
            )
            return {key: value[: part.stop - part.start] for key, value in found.items()}

        count = len(next(iter(at.values())))
        parts = [found for _, found in in_blocks(count, self.block if count > 1 else 1, evaluate, self.function.rows or 1)]
        return {key: np.concatenate([part[key] for part in parts]) for key in at}

    def predicted(self, inputs: dict) -> np.ndarray:
        """The class with the highest value, (batch, ...), of an explained output (batch, ..., classes), at `inputs`."""
        if "predicted" not in self._cuts:
            with TRACING, self.function.traced.function.graph.as_default():
                ports = {None: Port(tf.argmax(self.function.explained, -1, tf.int32))}
            self._cuts["predicted"] = self._from_inputs(ports)
        return self.fetch("predicted", self._cuts["predicted"].fetches, inputs)[None]

    def shape(self, inputs: dict) -> tuple:
        """The shape of the explained output for one example. It may follow the length of a sequence."""
        static = self.function.value_shape
        return static if None not in static else self._finished({key: value[:1] for key, value in inputs.items()})[1:]

    def _finished(self, examples: dict) -> tuple:
        """The shape of the explained output at `examples`, the rows of the batch included."""
        if "shape" not in self._cuts:
            with TRACING, self.function.traced.function.graph.as_default():
                self._cuts["shape"] = self._from_inputs({None: Port(tf.shape(self.function.explained))})
        filled = {key: self._filled(value) for key, value in examples.items()}
        shape = tuple(self._cuts["shape"].evaluate(filled)[None].tolist())
        self.check_number(shape, len(next(iter(filled.values()))))
        return shape

    def check_number(self, shape: tuple, count: int) -> None:
        """Raises AttributionError where an output of this shape has not one entry for each of so many examples."""
        if shape[:1] != (count,):
            raise AttributionError(
                f"{self.function.output.words} must have one entry for each example, shape (batch, ...); for {count} "
                f"examples it is of shape {shape}: do not sum or average over the batch"
            )

    def check_classes(self, one: dict, repeated: dict) -> None:
        """Raises AttributionError where an example in company of its copies has another number of values than alone: those of
        a retrieval model score it with each example of the batch."""
        if self.function.target_rank != 1 or None not in self.function.value_shape:
            return
        alone, together = self._finished(one), self._finished(repeated)
        if alone[1:] != together[1:]:
            raise AttributionError(
                f"{self.function.output.words} is of shape {alone} for {alone[0]} and {together} for {together[0]} examples, "
                f"which are scored with each other; {OWN_PAIRS}"
            )

    def values(self, at: Leaves, inputs: Leaves) -> np.ndarray:
        """(n, classes), the explained output where the selected tensors are `at`, (n, ...) by key.

        Args:
            inputs: (n, ...), by the model's keys: those that are needed beside `at` are read.
        """
        rows = np.arange(len(next(iter(at.values()))))
        return self._values(lambda part: {key: value[part] for key, value in at.items()}, rows, inputs, None)

    def _values(
        self, at: Callable[[np.ndarray], dict], example: np.ndarray, inputs: dict, targets: np.ndarray | None
    ) -> np.ndarray:
        """Values of the explained output, (rows, classes), or (rows, 1) where an output of higher rank needs its target.

        Args:
            at: the selected tensors of some of the rows, given their numbers.
            example: the example that each row belongs to.
        """
        targets = np.zeros((len(example), 0), np.int32) if targets is None else targets

        def evaluate(part: slice) -> np.ndarray:
            rows = self._filled(np.arange(part.start, part.stop))
            context = [inputs[key][example[rows]] for key in self.function.context]
            chosen = [targets[example[rows]]] if self.function.target_rank > 1 else []
            return self._forward(*at(rows).values(), *context, *chosen)[0][: part.stop - part.start]

        count = len(example)
        parts = in_blocks(count, self.block if count > 1 else 1, evaluate, self.function.rows or 1)
        return np.concatenate([found for _, found in parts])

    def _filled(self, value: np.ndarray) -> np.ndarray:
        """`value` with its last row repeated up to the number of rows that a model of fixed batch size takes."""
        missing = (self.function.rows or 0) - len(value)
        return np.concatenate([value, np.repeat(value[-1:], missing, 0)]) if missing > 0 else value

    @property
    def _forward(self) -> Compiled:
        """The compiled forward pass."""
        return self.compiled("forward", _forward)

    def compiled(self, name: str, make: Callable[[ScoreFunction], Compiled]) -> Compiled:
        """What `make` gives, made once and kept under `name`."""
        if name not in self._passes:
            self._passes[name] = make(self.function)
        return self._passes[name]


def _forward(function: ScoreFunction) -> Compiled:
    """From rows of the selected tensors, those beside them, and targets where one is needed, to values or scores."""
    keys, rank = list(function.place.ports), function.target_rank
    signature = function.signature()[: None if rank > 1 else -1]

    def values(*tensors):
        at = dict(zip(keys, tensors, strict=False))
        context = dict(zip(function.context, tensors[len(keys) :], strict=False))
        found = function.scores(at, context, tensors[-1]) if rank > 1 else function.values(at, context)
        return found if found.shape.rank == 2 else found[:, None]

    return Compiled(values, signature)


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    """`parts` along their first axis; the other axes of shorter ones are filled with 0, indices with -1.

    Rows of a sparse lookup differ in number from one example to the next, and those that fill up are used by none.
    """
    sizes = np.max([part.shape[1:] for part in parts], axis=0)
    filled = [
        np.pad(
            part,
            [(0, 0), *((0, size - axis) for size, axis in zip(sizes, part.shape[1:], strict=True))],
            constant_values=-1 if part.dtype.kind == "i" else 0,
        )
        if tuple(sizes) != part.shape[1:]
        else part
        for part in parts
    ]
    return np.concatenate(filled)
