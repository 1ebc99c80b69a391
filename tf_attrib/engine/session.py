"""A model traced for one kind of inputs: what was selected in it, and everything compiled for it so far."""

import copy
import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from ..common.errors import AttributionError
from ..common.types import Features, Leaves, present
from ..graph.traced.cut import Port
from ..graph.traced.heads_and_lookups import connected, find_lookups, layer_names
from ..graph.traced.trace import Traced
from ..selection.at_and_of import At, Of
from ..selection.each_position import EachPosition, expanded
from ..selection.frames import Names
from ..selection.outputs import Output, centred, check_each_alone, resolve_of
from ..selection.place import Place
from ..selection.places import resolve_at
from ..selection.references import References
from ..selection.score_function import ScoreFunction
from ..selection.settled import function_with_words
from ..selection.targets import read_targets
from .compared import Compared, of_one
from .evaluating import Evaluating
from .program import Stated

# So many classes of the highest values are kept.
TOP = 5
# By how much the sum of probabilities may differ from one.
ABOUT_ONE = 1e-3


class Session(Evaluating):
    """What a call of `attribute` works on: the tensors that were selected, the rows that are run, and what is compared.

    Args:
        memory: bytes that a block and what is kept beside it may take together.
        by_xla: whether XLA compiles what rows are run by.
    """

    def __init__(
        self,
        traced: Traced,
        at: At | None,
        of: Of | None,
        names: dict,
        examples: dict,
        batch_size: int | None,
        memory: int,
        by_xla: bool = False,
    ) -> None:
        if by_xla and traced.called is not None:
            raise AttributionError(
                f"jit_compile=True: XLA compiles graphs, and this model is called eagerly ({traced.called.why}): leave it out"
            )
        output = resolve_of(traced, of)
        self._one, self._names, self._traced = {key: value[:1].copy() for key, value in examples.items()}, names, traced
        place = self._resolved(at, list(output.fetches.values()))
        super().__init__(function_with_words(traced, place, output), batch_size, memory, by_xla)
        examples = self.with_words(examples)
        self._one = {key: value[:1].copy() for key, value in examples.items()}
        self._inputs = {tensor.ref(): key for key, tensor in traced.inputs.items()}
        self._others: dict[Any, Session] = {}
        if of is not None and of.kind == "score":
            check_each_alone(
                output, functools.partial(self.fetch, "output", _ports(self.function.output)), examples, self.function.rows
            )
        self._check_number(examples)
        self._held = self._held_for(self._one)

    @property
    def any_shape(self) -> bool:
        """Whether it serves inputs of other shapes: what is called, or traced for theirs, is known for those at hand."""
        return self._traced.called is None and not all(one.shape[1:].is_fully_defined() for one in self._traced.inputs.values())

    @property
    def input_names(self) -> dict[Any, str]:
        """What each of the model's inputs is called, by its key."""
        return self._names

    def _resolved(self, at: At | None, fetches: list[tf.Tensor]) -> Place:
        examples = {key: tf.constant(self._one[key]) for key in self._traced.inputs}
        return resolve_at(self._traced, at, fetches, self._names, examples)

    def positions(self, asked: EachPosition, inputs: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For each entry of a result for each position its example, its position, and its target (r,)."""
        output, shape = self.function.output, (len(next(iter(inputs.values()))), *self.shape(inputs))
        return expanded(asked, shape, lambda: self.predicted(inputs), output.has_classes, output.words)

    def _check_number(self, examples: dict) -> None:
        """Raises AttributionError where another number of examples than came does not give one entry for each, as of a function
        that refers to an array with a row for each: blocks hold rows of any examples in any number."""
        count = self.function.rows or (3 if len(next(iter(examples.values()))) == 2 else 2)
        repeated = {key: np.repeat(value, count, axis=0) for key, value in self._one.items()}
        try:
            self._pass(repeated)
        except (tf.errors.OpError, AttributionError) as error:
            try:
                if 0 in self.shape(self._one):  # too short for any position to score
                    self._finished(repeated)
                    return
                self._pass(examples)
            except (tf.errors.OpError, AttributionError):
                raise error from None
            raise AttributionError(
                "the model works on these examples, and not on another number of them: an array that it "
                "refers to may have a row for each. Give such an array as an input beside the others, "
                "Attributor(lambda inputs: f(inputs['x'], inputs['rows']), at=ta.inputs('x')), or as "
                "ta.score(function, data=rows)"
            ) from error
        self.check_classes(self._one, repeated)

    def _pass(self, examples: dict) -> None:
        """A forward pass over all of these in one block."""
        filled = {key: self._filled(value) for key, value in examples.items()}
        count = len(next(iter(filled.values())))
        self._held = Stated((count, count))
        at, context = self.selected(filled, look=False).values(), [filled[key] for key in self.function.context]
        target = [np.zeros((count, self.function.target_rank), np.int32)] if self.function.target_rank > 1 else []
        self.check_number(self._forward(*at, *context, *target)[0].shape[:1], count)

    def centred(self) -> "Session":
        """The same of the output less its mean over classes."""
        return self._other("centred", lambda function: dataclasses.replace(function, output=centred(function.output)))

    def along(self, path: At | None) -> "Session":
        """The same with paths at another place; the selected tensors are then what rows look at (`ScoreFunction.observed`)."""

        def moved(function: ScoreFunction) -> ScoreFunction:
            seen = function.place
            try:
                place = self._resolved(path, [port.tensor for port in seen.ports.values()])
            except AttributionError as error:
                shown = "its default" if path is None else f"path={path.name or path.kind!r}"
                raise AttributionError(
                    f"the path must run in front of {seen.words}, where attributions are; {shown} does not: {error}"
                ) from error
            found = function_with_words(self._traced, place, function.output)
            return dataclasses.replace(found, observed=seen)

        return self._other(("along", path), moved)

    def through(self, layer: At) -> "Session":
        """The same, with a layer observed behind the selected tensors."""

        def observing(function: ScoreFunction) -> ScoreFunction:
            fetches = list(function.output.fetches.values())
            seen = self._resolved(dataclasses.replace(layer, unit=None), fetches)
            tensors = [port.tensor for port in seen.ports.values()]
            if len(tensors) > 1:
                raise AttributionError(
                    f"{seen.words}: one of them is to be passed through, name it, such as ta.layer({next(iter(seen.ports))!r})"
                )
            if not any(connected(port.tensor, tensors) for port in function.place.ports.values()):
                raise AttributionError(f"{seen.words} does not depend on {function.place.words}: choose a layer behind it")
            return dataclasses.replace(function, observed=seen)

        return self._other(("through", layer.name), observing)

    def _other(self, name: Any, change: Callable[[ScoreFunction], ScoreFunction]) -> "Session":
        """The same of another function, kept under `name`."""
        if name not in self._others:
            other = copy.copy(self)
            other.function, other._cuts, other._programs, other._passes, other._others = change(self.function), {}, {}, {}, {}
            self._others[name] = other
        if self._others[name]._held is self._held:
            return self._others[name]
        other = copy.copy(self._others[name])
        other._held = self._held
        return other

    def observed(self, inputs: dict, match: dict) -> Features:
        """The shapes of one example of the observed tensors, by the key that they are handed out under. They may follow the
        length of a sequence."""
        place = present(self.function.observed)
        shapes = self.function.features(place)
        if any(None in shape for shape in shapes.values()):
            found = self.fetch("observed", place.ports, {key: value[:1] for key, value in inputs.items()})
            shapes = {key: value.shape[1:] for key, value in found.items()}
        return dict(zip(self.handed_out(match, place), map(tuple, shapes.values()), strict=True))

    def selected(self, inputs: Leaves, look: bool = True) -> Leaves:
        """The selected tensors at `inputs` (by the model's keys), (n, ...) by key, in the dtype of paths; of what is not float
        in its own, and text as bytes.

        Args:
            look: whether to look, once, if they are those of each example alone.
        """
        ports = self.function.place.ports
        source = {key: self._inputs.get(port.tensor.ref(), self) for key, port in ports.items()}
        inner = {key: port for key, port in ports.items() if source[key] is self}
        count = len(next(iter(inputs.values())))
        if look and inner and count > 1 and not self.company.seen_ahead and self.function.rows is None:
            self._look_ahead(inner, inputs, self._scored)
        values = self.fetch("selected", inner, inputs, not self.company.filled) if inner else {}
        values |= {key: inputs[name] for key, name in source.items() if name is not self}
        return self.function.as_rows(values)

    def _scored(self, found: Leaves, inputs: Leaves) -> np.ndarray:
        """The explained output where selected tensors that the model computes are `found`."""
        own = {key: self._inputs.get(port.tensor.ref()) for key, port in self.function.place.ports.items() if key not in found}
        return self.values(self.function.as_rows(found | {key: inputs[name] for key, name in own.items()}), inputs)

    def check_left_out(self, given: dict, other: dict, match: dict) -> None:
        """Raises where `other` values of the inputs, by the user's keys, change one that is left out, and would stay."""
        for name, key in self.left_out(match).items():
            if given is not other and not np.all(np.asarray(other[key] == given[key])):
                raise AttributionError(
                    f"the baseline has another {name!r} than the examples, and {name!r} is left out of the attribution: "
                    "a mask, or no gradient leads to it. Give the examples' own, or at='inputs', or at=ta.layer(name)"
                )

    def left_out(self, match: dict) -> dict[str, Any]:
        """The user's keys of inputs that are no part of the attribution, by the model's names of them."""
        return {self._names[key]: match[key] for key in match if self._names[key] in self.function.place.left_out}

    def handed_out(self, match: dict, place: Place | None = None) -> list:
        """The keys under which attributions to the selected tensors, or another place's, are handed out: an input's own."""
        place = self.function.place if place is None else place
        if place.kind != "inputs":
            return list(place.ports)
        if len(match) > 1 and list(place.ports) == [None]:  # one of several, by name: no structure to keep
            return [None]
        return [match[place.stand_ins.get(own, self._inputs.get(port.tensor.ref()))] for own, port in place.ports.items()]

    def feature_names(self, names: Names, match: dict) -> dict[str, tuple[str, ...]]:
        """The names of columns of a frame as a result has them: by the key of the input, and of the tensor that stands for it.

        Args:
            names: by the user's key.
            match: the user's key for each of the model's.
        """
        found = {"" if key is None else str(key): own for key, own in names.items()}
        sources = self.sources
        for key in self.function.place.ports:
            if key not in sources:  # what an input becomes has other features
                found.pop("" if key is None else str(key), None)
            elif self.function.place.kind == "encoded" and match[sources[key]] in names:
                found["" if key is None else str(key)] = names[match[sources[key]]]
        return found

    @property
    def sources(self) -> dict[Any, Any]:
        """By the key of each selected tensor that is an input itself, or its numbers as floats: the key of that input."""
        place = self.function.place
        inputs = {key: self._inputs.get(port.tensor.ref(), self) for key, port in place.ports.items()}
        return {key: source for key, source in (inputs | place.stand_ins).items() if source is not self}

    def called(self, match: dict) -> dict[str, Any]:
        """For each name that means one selected tensor and no other, the key that it is handed out under: that key, the name of
        the input that it is or is looked up by (the model's and the user's own), or that of its layer, which an export keeps
        inside the names of operations.

        Args:
            match: the user's key for each of the model's inputs.
        """
        ports, keys = self.function.place.ports, self.handed_out(match)
        lookups = {lookup.tensor.ref(): lookup for lookup in find_lookups(self.function.traced)}
        found: dict[str, list] = {}
        for key, port in zip(keys, ports.values(), strict=True):
            ref = port.tensor.ref()
            source = (self._inputs[ref],) if ref in self._inputs else lookups[ref].inputs if ref in lookups else ()
            names = {str(name) for one in source for name in (one, self._names[one], match[one]) if len(source) == 1}
            names |= layer_names(lookups[ref].name) | layer_names(port.tensor.op.name) if ref in lookups else set()
            for name in names:
                found.setdefault(name, []).append(key)
        alone = {name: those[0] for name, those in found.items() if len(those) == 1}
        return alone | {key: key for key in keys if isinstance(key, str)}

    def indices(self, inputs: Leaves) -> np.ndarray | None:
        """The token indices of the one lookup that was selected, (n, length), or None."""
        place = self.function.place
        if place.indices is None:
            return None
        return self.fetch("indices", {None: Port(place.indices, place.indices_axis)}, inputs)[None]

    def compared(
        self,
        x: dict,
        inputs: dict,
        references: References,
        target: Any,
        with_baseline: bool,
        shared: Callable[[Leaves], np.ndarray] | None = None,
    ) -> Compared:
        """Targets, and scores at the examples and at their references, in one forward pass over all of them.

        Args:
            shared: where all examples are the same but for their scores: what these are, (points, examples), at points of the
                selected tensors, which one forward pass of each then serves.

        Raises:
            AttributionError: targets that do not fit.
        """
        count, k = len(next(iter(x.values()))), references.count if with_baseline else 0
        rank = self.function.target_rank
        targets = read_targets(self.function.output, target, self.shape(inputs), count)
        once = references.shared and not self.function.context and rank < 2
        # where nothing of the example's own enters, the references are evaluated once for all
        rows = k if once else count * k
        example = np.concatenate([np.arange(count), np.zeros(rows, int) if once else np.repeat(np.arange(count), k)])

        def at(part: np.ndarray) -> dict:
            own, other = part[part < count], part[part >= count] - count
            of, which = (np.zeros_like(other), other) if once else np.divmod(other, max(k, 1))
            return {
                key: np.concatenate([value[own], references.tables[key][references.index[key][of, which]]])
                for key, value in x.items()
            }

        alike = shared is not None and not once and all((one == one[:1]).all() for one in references.index.values())
        once_more = self.block < 2 and self.company.seen_twice
        looked_at = alike and (self.company.seen or once_more) and not self.company.alone
        values = np.zeros((0, 0)) if looked_at else self._values_in_company(at, example, inputs, targets)
        if alike and not self.company.alone:  # the first call gives what later ones do
            values = of_one(present(shared)(at(np.r_[0, count : count + k])))
        highest = values[:count].argmax(1).astype(np.int32)
        classes = values.shape[1] > 1 and self.function.output.has_classes
        ranked = np.argsort(-values[:count], axis=1, kind="stable")[:, :TOP].astype(np.int32) if classes else None
        targets = highest[:, None] if targets is None else targets
        column = targets[:, 0] if rank == 1 else np.zeros(count, int)
        own = np.arange(count)
        scores = values[own, column].astype(np.float64)
        below = values[count:].reshape(1 if once else count, k, values.shape[1])
        below = np.broadcast_to(below, (count, *below.shape[1:])) if once else below
        baseline_scores = below[own[:, None], np.arange(k), column[:, None]].astype(np.float64)
        distributions = values.shape[1] > 1 and values.min() >= 0 and np.abs(values.sum(1) - 1).max() <= ABOUT_ONE
        largest = np.maximum(np.abs(values[:count]).max(1), np.abs(below).max((1, 2), initial=0))
        return Compared(
            targets,
            scores,
            baseline_scores,
            below.max(2),
            largest,
            bool(distributions),
            highest if classes else None,
            ranked,
            None if ranked is None else values[own[:, None], ranked].astype(np.float64),
        )


def _ports(output: Output) -> dict[Any, Port]:
    """What the explained output is made of."""
    return {key: Port(tensor) for key, tensor in output.fetches.items()}
