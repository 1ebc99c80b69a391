"""`feature_permutation`: how much worse a model gets on a data set when a column is shuffled among its examples."""

import collections
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..attributor import Attributor, as_attributor
from ..common.checks import whole
from ..common.errors import AttributionError, nearest, printed
from ..common.types import Leaves
from ..engine.session import Session
from ..graph.traced.cut import Port
from ..methods.groups import COUNT, grouped
from ..selection.at_and_of import At
from ..selection.frames import Names
from ..selection.inputs import as_array
from .batches import as_labels

if TYPE_CHECKING:
    from ..view.draw import Drawing

# A probability of 0 costs no more than this, in natural logarithms.
MOST_CROSS_ENTROPY = 50.0
# So many features are listed.
LISTED = 20


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Importance:
    """What `feature_permutation` found.

    Attributes:
        names: of the columns or groups that were shuffled.
        importance: float64 (features,), the mean loss with the feature shuffled less that of the data as they are.
        standard_error: (features,), of `importance`: over examples, where the loss is one number for each; else over repeats.
        loss: the mean loss of the data as they are.
        loss_name: which loss.
        examples, repeats: how many.
    """

    names: tuple[str, ...]
    importance: np.ndarray
    standard_error: np.ndarray
    loss: float
    loss_name: str
    examples: int
    repeats: int

    def __len__(self) -> int:
        return len(self.names)

    def top(self, k: int = 10) -> list[tuple[str, float, float]]:
        """The k features of largest importance: name, importance, standard error."""
        order = np.argsort(-self.importance, kind="stable")[: whole("k", k)]
        return [(self.names[i], float(self.importance[i]), float(self.standard_error[i])) for i in order]

    def plot(self, k: int = LISTED) -> "Drawing":
        """Bars of the k features of largest importance, with one standard error to either side, as a matplotlib figure."""
        from ..view.data_summary import draw_importance

        found = self.top(k)
        more = [f"{len(self) - len(found)} more features are not drawn."] if len(found) < len(self) else []
        caption = [
            f"How much {self.loss_name} rises above {self.loss:.4g} when the feature is shuffled among {self.examples} "
            f"examples, {self.repeats} times; lines: one standard error to either side.",
            *more,
        ]
        names, values, errors = [one[0] for one in found], [one[1] for one in found], [one[2] for one in found]
        return draw_importance(names, values, errors, f"rise of {self.loss_name}", caption)

    @printed
    def __repr__(self) -> str:
        lines = [
            f"Importance of {len(self)} features by permutation: {self.loss_name} {self.loss:.4g} over {self.examples} "
            f"examples, {self.repeats} repeats; how much it rises"
        ]
        lines += [f"  {name}: {value:.4g} ± {error:.2g}" for name, value, error in self.top(LISTED)]
        return "\n".join(lines + ([f"  ... {len(self) - LISTED} more"] if len(self) > LISTED else []))


def feature_permutation(
    attributor: Attributor,
    data: tuple[Any, Any],
    loss: str | Callable | None = None,
    *,
    groups: Any = None,
    repeats: int = 5,
    names: Sequence[str] | None = None,
    seed: int | None = None,
) -> Importance:
    """How much the loss rises when a feature is shuffled among the examples, so that it says nothing of its own (Breiman 2001,
    10.1023/A:1010933404324, section 10; as a difference: Fisher, Rudin & Dominici 2019, arXiv:1801.01489, section 3).

    It is about the model on a data set, not about a prediction, and needs no gradient: inputs may be of any type. Features that
    go together hide each other, as the model finds in one what the other has lost: give them as one group.

    Args:
        attributor: whose explained output is compared with the labels.
        data: (inputs, labels), arrays with a row for each of at least two examples. Labels are classes (n,) or one-hot; of
            other outputs numbers, as the output has them.
        loss: "cross_entropy" (of probabilities), "error" (the share of wrong classes), "squared_error", "absolute_error", or
            a function of outputs and labels that gives one number for each example (n,), or one for all: lower is better.
            Default: cross entropy where the output is a probability, errors of other classes, else the squared error.
        groups: as `ta.Ablation` takes them, the same for all examples. Default: every column of an input (n, columns), and
            inputs of other shapes as a whole.
        repeats: how many times each feature is shuffled.
        names: one for each feature or group; default: those of inputs and of a frame's columns, else the number of the
            column.
        seed: of what is drawn.

    Raises:
        AttributionError: labels, loss, groups or names that do not fit.
    """
    attributor = as_attributor(attributor, "feature_permutation")
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise AttributionError(f"feature_permutation takes data=(inputs, labels), got {type(data).__name__}")
    observing, labels = attributor.observing(At("inputs", raw=True)), as_array(data[1], "labels")
    given = observing.read(data[0])
    session, ready, match = observing.prepare(given)
    count = len(next(iter(ready.values())))
    if count < 2 or len(np.atleast_1d(labels)) != count:
        raise AttributionError(f"feature_permutation needs two examples and a label for each; got {count}, {labels.shape}")
    whole("repeats", repeats)
    name, measure = _loss(session, loss, labels)

    def losses(changed: Leaves) -> np.ndarray:
        inputs = ready | {key: changed[match[key]] for key in match}
        return measure(session.fetch("explained", {None: Port(session.function.explained)}, inputs)[None])

    user = {match[key]: ready[key] for key in match}
    before, rng = losses(user), np.random.default_rng(seed)
    if not before.ndim and repeats < 2:
        raise AttributionError(f"{name} is one number for all examples, so its error is that over repeats: give at least 2")
    called, found, errors = [], [], []
    for own, places in _features(user, groups, given.names):
        orders = [rng.permutation(count) for _ in range(repeats)]
        rises = np.stack([losses(_shuffled(user, places, order)) for order in orders]) - before
        found.append(rises.mean())
        errors.append(_standard_error(rises, orders))
        called.append(own)
    if names is not None and len(names) != len(called):
        raise AttributionError(f"{len(names)} names for {len(called)} features: {', '.join(called[:8])}")
    return Importance(
        tuple(map(str, names)) if names is not None else tuple(called),
        np.array(found),
        np.array(errors),
        float(before.mean()),
        name,
        count,
        int(repeats),
    )


def _features(inputs: Leaves, groups: Any, names: Names) -> Iterator[tuple[str, dict[Any, np.ndarray]]]:
    """The name of each feature, and where it is in one example of each input: bool, of the shape of that example.

    Args:
        names: of the columns of inputs that came as frames.
    """
    if groups is None:
        known = collections.Counter(name for own in names.values() for name in own)
        for key, leaf in inputs.items():
            said = "input" if key is None else str(key)
            if leaf.ndim != 2 or leaf.shape[1] == 1:
                yield said, {key: np.ones(leaf.shape[1:], bool)}
                continue
            usual = [f"column {column}" if key is None else f"{key}[{column}]" for column in range(leaf.shape[1])]
            for column, own in enumerate(names.get(key, usual)):
                # two tables may each have a column of that name
                yield f"{said}[{own}]" if known[own] > 1 else own, {key: np.arange(leaf.shape[1]) == column}
        return
    made = grouped(groups, inputs)
    parts = [made["group", i] for i in range(len(inputs))]
    if any(np.any(part != part[:1]) for part in parts):
        raise AttributionError(
            "feature_permutation shuffles a group among examples, so groups must be the same for all of them"
        )
    for group in range(int(made[COUNT].max())):
        yield (
            f"group {group}",
            {
                key: np.broadcast_to(part[0] == group, leaf.shape[1:])
                for (key, leaf), part in zip(inputs.items(), parts, strict=True)
            },
        )


def _standard_error(rises: np.ndarray, orders: list[np.ndarray]) -> float:
    """Of the mean of rises, (repeats, n), or (repeats,) where the loss is one number for all.

    An example counts twice, where it gets another's value and where another gets its own: this is a U-statistic of pairs, whose
    error comes of the sum of both (Hoeffding 1948, 10.1214/aoms/1177730196).
    """
    if rises.ndim == 1:
        return float(rises.std(ddof=1) / np.sqrt(len(rises)))
    given = np.stack([rise[np.argsort(order)] for rise, order in zip(rises, orders, strict=True)])
    return float((rises + given).mean(0).std(ddof=1) / np.sqrt(rises.shape[1]))


def _shuffled(inputs: Leaves, places: dict[Any, np.ndarray], order: np.ndarray) -> Leaves:
    """The inputs with those of other examples at `places`."""
    return inputs | {key: np.where(place, inputs[key][order], inputs[key]) for key, place in places.items()}


def _loss(session: Session, loss: str | Callable | None, labels: np.ndarray) -> tuple[str, Callable[[np.ndarray], np.ndarray]]:
    """The name of the loss, and the loss (n,) or () of the explained output."""
    output = session.function.output
    if callable(loss):
        return getattr(loss, "__name__", "loss"), lambda outputs: _checked(loss(outputs, labels), len(labels))
    probability = output.unit == "probability"
    if loss is None:
        loss = "cross_entropy" if probability else "error" if output.has_classes else "squared_error"
    known = {"cross_entropy": _cross_entropy, "error": _error, "squared_error": _squared, "absolute_error": _absolute}
    if loss not in known:
        raise AttributionError(f"no loss is called {loss!r}; there are: {nearest(str(loss), known)}, or give a function")
    if loss == "cross_entropy" and not probability:
        raise AttributionError(f"cross_entropy is of probabilities, and {output.words} is none: explain of='probability'")
    true = as_labels(labels) if loss in ("cross_entropy", "error") else labels
    return loss, lambda outputs: known[loss](outputs.astype(np.float64), true)


def _checked(found: Any, count: int) -> np.ndarray:
    array = np.asarray(found, np.float64)
    if array.shape not in ((), (count,)):
        raise AttributionError(
            f"the loss must give one number for each of the {count} examples, or one for all; it gave shape {array.shape}"
        )
    return array


def _classes(outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(n, classes), with both classes of a single unit; labels must be among them."""
    outputs = outputs.reshape(len(outputs), -1) if outputs.ndim < 3 else outputs
    if outputs.ndim > 2:
        raise AttributionError(f"the output has positions, {outputs.shape[1:]}: give the loss as a function")
    outputs = np.hstack([1 - outputs, outputs]) if outputs.shape[1] == 1 else outputs
    if labels.min() < 0 or labels.max() >= outputs.shape[1]:
        raise AttributionError(f"labels go from {labels.min()} to {labels.max()}, the output has {outputs.shape[1]} classes")
    return outputs


def _cross_entropy(outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    of_label = np.take_along_axis(_classes(outputs, labels), labels[:, None], 1)[:, 0]
    return -np.log(np.maximum(of_label, np.exp(-MOST_CROSS_ENTROPY)))


def _error(outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return (_classes(outputs, labels).argmax(1) != labels).astype(float)


def _difference(outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    flat, true = outputs.reshape(len(outputs), -1), np.asarray(labels, np.float64).reshape(len(labels), -1)
    if flat.shape != true.shape:
        raise AttributionError(f"labels of shape {np.shape(labels)} for outputs of shape {outputs.shape}")
    return flat - true


def _squared(outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return (_difference(outputs, labels) ** 2).mean(1)


def _absolute(outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return np.abs(_difference(outputs, labels)).mean(1)
