"""What the checks look at: one batch, attributed once, and the values of the output at both ends of its paths."""

import dataclasses
import functools
from typing import Any

import numpy as np
import tensorflow as tf

from ..attribution import Attribution
from ..attributor import Attributor
from ..common.class_names import numbered
from ..common.errors import AttributionError
from ..common.nested import flatten, map_leaves, rebuild
from ..common.types import present
from ..engine.session import Session
from ..engine.work import Work
from ..graph.traced.cut import Port
from ..graph.traced.keras_model import vocabulary
from ..methods import IntegratedGradients
from ..selection.at_and_of import Of
from ..selection.baselines import several
from ..selection.outputs import Output
from ..selection.places import Place

# What is asked of some examples, or of some of many references, is asked of the first ones.
EXAMPLES, REFERENCES = 4, 8
# Of as many others, where that is cheap.
MORE = 64
# Of a second attribution ranks and signs are compared: few steps will do, unless the sum is off by more than this.
COARSE, FINER, OFF = IntegratedGradients(rule="midpoint", n_steps=10), IntegratedGradients(tolerance=0.2), 0.2


@dataclasses.dataclass(frozen=True, eq=False)
class Examination:
    """One batch under examination, as a check gets it: it is attributed once, and each check reads `result`.

    A check of your own reads what was given, `result` (the attribution, whose scores and gaps may be NaN for examples that are
    not finite), `x` and `reference` (the selected tensors at both ends of the paths), `values` and `below` (the whole output
    there), `count` and `few` (how many examples there are, and how many to look at where more would cost), and asks for other
    attributions with `again` and `coarsely`.

    Attributes:
        attributor, inputs, baselines: as they were given.
        target: as it was given, or what was chosen for an output that needs one.
        target_given: whether it was.
        method: of the attribution, integrated gradients.
        seed: of random baselines.
        default_class: the class that stands for "nothing there", 0.5 for none, None where nothing is known.
        known_words: words by token id, as they were given, or None.
        work: the session, the selected tensors, references, targets and scores.
    """

    attributor: Attributor
    inputs: Any
    target: Any
    target_given: bool
    baselines: Any
    method: IntegratedGradients
    seed: int
    default_class: float | int | None
    known_words: list[str] | None
    work: Work

    @property
    def session(self) -> Session:
        return self.work.session

    @property
    def place(self) -> Place:
        """The tensors that attributions are wanted at."""
        return self.session.function.place

    @property
    def output(self) -> Output:
        """The output that is explained."""
        return self.session.function.output

    @property
    def x(self) -> dict[Any, np.ndarray]:
        """The selected tensors (n, ...) by key."""
        return self.work.tables.x

    @property
    def count(self) -> int:
        return len(self.work.compared.scores)

    @property
    def few(self) -> int:
        """How many examples are looked at where not all are."""
        return min(self.count, EXAMPLES)

    @functools.cached_property
    def result(self) -> Attribution:
        """The attribution under examination."""
        return self.attributor.attributed(self.work, self.method, self.seed, on_error="mark")

    @property
    def references(self) -> int:
        """How many references of an example are looked at."""
        return min(self.work.tables.references.count, REFERENCES)

    def reference(self, key: Any, number: int) -> np.ndarray:
        """(n, ...), one of each example's references at a tensor, by its number."""
        references = self.work.tables.references
        return references.tables[key][references.index[key][:, number]]

    def class_words(self, number: int) -> str:
        """ "class 3", with its name where the attributor knows it."""
        names = self.attributor.class_names
        return numbered(number, {} if names is None else names.of)

    def again(
        self, method: IntegratedGradients, which: np.ndarray, attributor: Attributor | None = None, baselines: Any = None
    ) -> Attribution:
        """Another attribution of some of the examples, by default against the same baselines.

        Args:
            which: their numbers.
            attributor: one that explains something else.
            baselines: others, the same for all examples or drawn from each.
        """
        inputs = map_leaves(lambda leaf: leaf[which], rebuild(self.work.arrays))
        target = self.work.tables.target[which]
        return (
            (attributor or self.attributor)
            .of_examples(which)
            .attribute(
                inputs,
                target if target.shape[1] else None,
                self._references(which) if baselines is None else baselines,
                method,
                self.seed,
                False,
                on_error="mark",
            )
        )

    def coarsely(self, attributor: Attributor | None = None, baselines: Any = None) -> Attribution:
        """The same of the first examples, as accurate as a comparison of ranks needs."""
        first = np.arange(self.few)
        if attributor is None and self.method.control is not None:  # by the program that `result` was computed by
            return self.again(FINER, first, baselines=baselines)
        found = self.again(COARSE, first, attributor, baselines)
        if (np.nan_to_num(np.abs(present(found.relative_gap))) > OFF).any():
            found = self.again(FINER, first, attributor, baselines)
        return found

    def _references(self, which: np.ndarray) -> Any:
        """The references of some examples as arrays, so that nothing is drawn again."""
        references, found = self.work.tables.references, {}
        for key, index in references.index.items():
            parts = [references.tables[key][index[which, number]] for number in range(references.count)]
            found[key] = parts[0] if len(parts) == 1 else several(parts)
        return rebuild(found)

    @functools.cached_property
    def values(self) -> np.ndarray:
        """(n, ...), the whole explained output at the inputs."""
        return values_at_inputs(self.session, self.work.ready)

    @functools.cached_property
    def below(self) -> np.ndarray:
        """(n, k, ...), the whole explained output at the first references."""
        return self._below(self.session)

    def _below(self, session: Session) -> np.ndarray:
        references, n, k = self.work.tables.references, self.count, self.references
        shared = references.shared and not session.function.context
        rows = 1 if shared else n
        at = {key: table[references.index[key][:rows, :k].ravel()] for key, table in references.tables.items()}
        inputs = {key: np.repeat(value[:rows], k, axis=0) for key, value in self.work.ready.items()}
        found = values_within(
            session, {key: at[own] for key, own in zip(session.function.place.ports, self.x, strict=True)}, inputs
        )
        found = found.reshape(rows, k, *found.shape[1:])
        return np.broadcast_to(found, (n, *found.shape[1:]))

    @functools.cached_property
    def _explained_probabilities(self) -> tuple[np.ndarray | None, bool]:
        """`probabilities` and `of_one_unit`."""
        output, below = self.output, self.below
        if output.unit == "logit":
            other = self.attributor.explaining(Of("probability", getattr(self.attributor.of, "name", None)))
            session = other.prepare(self.inputs)[0]
            output, below = session.function.output, self._below(session)
        elif output.unit != "probability" and not self.work.compared.distributions:
            return None, False
        below = self._at_position(below)
        if output.distribution or output.unit != "probability":
            return below, False
        own = np.take_along_axis(below, self.work.tables.target[:, None, -1:], 2)
        return np.concatenate([1 - own, own], -1), True

    @property
    def probabilities(self) -> np.ndarray | None:
        """(n, k, classes), the distribution over classes at the references; None where the output has no probabilities."""
        return self._explained_probabilities[0]

    @property
    def of_one_unit(self) -> bool:
        """Whether `probabilities` are those of the explained one of several sigmoid units: off (0) and on (1)."""
        return self._explained_probabilities[1]

    @property
    def explained_class(self) -> np.ndarray:
        """(n,), the explained class as an index into `probabilities`."""
        return np.ones(self.count, int) if self.of_one_unit else self.work.tables.target[:, -1]

    def _at_position(self, values: np.ndarray) -> np.ndarray:
        """(n, k, classes): of an output with positions, the explained one."""
        target = self.work.tables.target
        if target.shape[1] < 2:
            return values
        return np.stack([values[(i, slice(None), *target[i, :-1])] for i in range(len(values))])

    @functools.cached_property
    def path(self) -> tuple[dict, dict]:
        """Rows along the paths of the first examples (to the first reference): selected tensors, and model inputs."""
        alphas = np.linspace(0, 1, 9)
        at = {}
        for own, (key, x) in zip(self.place.ports, self.x.items(), strict=True):
            start, end = self.reference(key, 0)[: self.few, None], x[: self.few, None]
            steps = alphas.reshape(1, -1, *[1] * (x.ndim - 1)).astype(x.dtype)
            with np.errstate(invalid="ignore", over="ignore"):
                at[own] = ((1 - steps) * start + steps * end).reshape(-1, *x.shape[1:])
        return at, {key: np.repeat(value[: self.few], len(alphas), axis=0) for key, value in self.work.ready.items()}

    @property
    def rest(self) -> tuple[dict, dict]:
        """The selected tensors and model inputs of the examples whose paths are not looked at, of some of them."""
        part = slice(self.few, self.few + MORE)
        at = dict(zip(self.place.ports, (x[part] for x in self.x.values()), strict=True))
        return at, {key: value[part] for key, value in self.work.ready.items()}

    @functools.cached_property
    def end_gradients(self) -> tuple[dict, dict]:
        """Gradients of the score at the first reference and at the input of the first examples, (m, ...) by key of `x`."""
        ends = [np.concatenate([self.reference(key, 0)[: self.few], x[: self.few]]) for key, x in self.x.items()]
        inputs = {key: np.concatenate([value[: self.few]] * 2) for key, value in self.work.ready.items()}
        target = np.concatenate([self.work.tables.target[: self.few]] * 2)
        found = self.session.gradients(dict(zip(self.place.ports, ends, strict=True)), inputs, target)
        by_key = dict(zip(self.x, found.values(), strict=True))
        return {key: both[: self.few] for key, both in by_key.items()}, {key: both[self.few :] for key, both in by_key.items()}

    @functools.cached_property
    def words(self) -> dict[int, str]:
        """Words by token id, as far as they are known: from the caller, the model, or the batch at hand."""
        known = self.known_words if self.known_words is not None else vocabulary(self.attributor.model)
        if known is not None:
            return dict(enumerate(known))
        if self.result.tokens is None:
            return {}
        ids = self.session.indices(self.work.ready)
        return dict(zip(present(ids).ravel().tolist(), self.result.tokens.ravel().tolist(), strict=True))


def values_at_inputs(session: Session, inputs: dict) -> np.ndarray:
    """(n, ...), the whole explained output at the model's inputs."""
    output = session.function.output
    fetched = session.fetch("output", {key: Port(tensor) for key, tensor in output.fetches.items()}, inputs)
    return _finished(output, fetched)


def values_within(session: Session, at: dict, inputs: dict) -> np.ndarray:
    """(rows, ...), the whole explained output for rows of the selected tensors."""
    output, rows = session.function.output, len(next(iter(at.values())))
    blocks = session.within("output", lambda: {key: Port(tensor) for key, tensor in output.fetches.items()}, at, inputs)
    return np.concatenate([_finished(output, block) for block in blocks])[:rows]


def _finished(output, fetched: dict) -> np.ndarray:
    return output.finish({key: tf.constant(value) for key, value in fetched.items()}).numpy().astype(np.float64)


def chosen_target(session: Session, inputs: dict) -> np.ndarray | None:
    """The entry with the highest value, (n, r), of an output for which no class is predicted; None where one is."""
    output, shape = session.function.output, session.shape(inputs)
    if not output.with_target or not shape or (len(shape) == 1 and (output.has_classes or shape[0] == 1)):
        return None
    values = values_at_inputs(session, inputs)
    flat = values.reshape(len(values), -1).argmax(1)
    return np.stack(np.unravel_index(flat, values.shape[1:]), 1).astype(np.int32)


def as_default_class(value: Any) -> float | int | None:
    """`default_class` as a class, or 0.5.

    Raises:
        AttributionError: neither.
    """
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if value is None or (number and (value == 0.5 or (value >= 0 and value == int(value)))):
        return None if value is None else 0.5 if value == 0.5 else int(value)
    raise AttributionError(
        "default_class is the class that stands for nothing there (0 for a detector, whose score is 0.0 "
        f"without a signal), 0.5 for two symmetric classes, or None; got {value!r}"
    )


def leaf_of(result: Attribution, key: Any) -> np.ndarray:
    """The attributions to one selected tensor."""
    return np.asarray(flatten(result.attributions)[key])
