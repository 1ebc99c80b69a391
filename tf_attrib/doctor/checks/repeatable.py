"""Whether a model gives the same scores again, and to the same example in other company."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from ...attributor import Attributor
from ...common.errors import AttributionError
from ...engine.company import companies
from ...engine.session import Session
from ...graph.traced.cut import Port
from ...graph.traced.trace import named_outputs
from .. import remedies
from ..case import EXAMPLES
from ..catalogue import finding
from ..report import Finding
from . import operations

# Two calls on the same batch are the same but for the order of sums; an example alone takes other kernels than in company.
SAME, ALIKE, ALIKE_FLOAT16 = 1e-5, 1e-3, 2e-2
# So many rows at least are evaluated twice where a model holds operations that draw.
MANY = 32
REST = "Nothing else is examined until that is mended."


def check_repeatable(attributor: Attributor, session: Session, inputs: dict) -> list[Finding]:
    """Whether two calls agree, and an example alone gives what it gives in company, in another place of the batch and beside
    examples far from it.

    Random numbers whose seed the trace has frozen are the same in every call, and yet others in each row.
    """
    session = session.in_company()
    several = _many(inputs) if operations.random_operations(session) else inputs
    first, second = (_logits(session, several) for _ in range(2))
    scale = max(float(np.abs(first).max(initial=0)), 1e-12)
    twice = float(np.abs(first - second).max(initial=0)) / scale
    if twice > SAME:
        whole = (several, slice(None))
        return [_unrepeatable(attributor, session, whole, whole, twice, "Two calls on the same inputs differ")]
    alike, most = (ALIKE_FLOAT16 if operations.has_float16(session) else ALIKE), 0.0
    for here, there, apart in _apart(session, inputs, several, scale):
        if apart > alike:
            words = "The same example in other company gives another output"
            return [_unrepeatable(attributor, session, here, there, apart, words)]
        most = max(most, apart)
    return [
        finding(
            "repeatable",
            "passed",
            {"two_calls": twice, "in_other_company": most},
            "Two calls agree, and an example gives the same in any company that was tried.",
        )
    ]


def _logits(session: Session, inputs: dict) -> np.ndarray:
    """(n, ...), the explained output, beneath its head where that is known: a saturated head would hide differences."""
    output = session.function.output.log_odds or session.function.output
    fetched = session.fetch("logits", {key: Port(tensor) for key, tensor in output.fetches.items()}, inputs)
    return np.concatenate([np.nan_to_num(value.astype(np.float64)).reshape(len(value), -1) for value in fetched.values()], 1)


def _apart(session: Session, inputs: dict, several: dict, scale: float) -> Iterator[tuple]:
    """The same examples in two batches each, and how far apart their outputs are."""
    for here, there in _companies(inputs, several):
        try:
            one, other = (_logits(session, values)[rows] for values, rows in (here, there))
        except (tf.errors.OpError, AttributionError):  # an entry that a model has none for, in rows that were made up
            continue
        # the length of an output may follow the longest example
        yield here, there, float(np.abs(one - other).max(initial=0)) / scale if one.shape == other.shape else 0.0


def _companies(inputs: dict, several: dict) -> Iterator[tuple]:
    """The same examples in two batches, at other places in each: for each batch the inputs, and which rows they are."""
    count, many = (len(next(iter(values.values()))) for values in (inputs, several))
    shuffled = {key: np.concatenate([_shuffled(value), value]) for key, value in inputs.items()}
    last = np.arange(count - 1, count - 1 - min(EXAMPLES, count // 2), -1)
    if count == 1:
        yield (inputs, slice(None)), (shuffled, [1])
    else:
        yield ({key: value[last] for key, value in inputs.items()}, slice(None)), (inputs, last)
    yield from (((inputs, slice(None)), (several, slice(start, start + count))) for start in range(count, many, count))
    one = {key: value[-1:] for key, value in inputs.items()}
    other = {key: (inputs if count > 1 else shuffled)[key][:1] for key in inputs}
    # what follows from the largest value of a batch is the same in most of them
    yield from (((one, [0]), (rows, [place])) for moved in (True, False) for place, rows in companies(one, other, moved))


def _many(inputs: dict) -> dict:
    """The examples again and again: a draw that changes one unit in a hundred is seen in many of them."""
    times = max(MANY // len(next(iter(inputs.values()))), 1)
    return {key: np.concatenate([value] * times) for key, value in inputs.items()}


def _shuffled(value: np.ndarray) -> np.ndarray:
    return np.random.default_rng(0).permutation(value.reshape(-1)).reshape(value.shape)


def _unrepeatable(
    attributor: Attributor, session: Session, here: tuple, there: tuple, difference: float, words: str
) -> Finding:
    """What makes the output differ, by the first layer that does."""
    name, kind = _first_difference(session, here, there) or ("", "")
    evidence = {"relative_difference": difference, **({"first_layer": name, "kind": kind} if name else {})}
    words = f"{words}, by {difference:.2g} of the largest value" + (f", first at {name!r} ({kind})" if name else "")
    remedy = f"self.{name}(x)  # in the model's call: without training=True"
    if "Dropout" in kind or "Noise" in kind:
        return finding(
            "dropout_in_training_mode",
            "error",
            evidence,
            f"{words}: it is active when the model is explained, so "
            f"that scores and gradients are those of another network at every point of the path. {REST}",
            remedy,
        )
    if "Normalization" in kind:
        return finding(
            "batch_normalisation_in_training_mode",
            "error",
            evidence,
            f"{words}: it uses the mean and variance of the batch, here of the points of a path. {REST}",
            remedy,
        )
    shape = tuple(next(iter(here[0].values())).shape[1:])
    if here[0] is there[0] or operations.random_operations(session):
        return finding(
            "stochastic_output",
            "error",
            evidence,
            f"{words}: the attribution integrates noise. {REST}",
            f"tf.random.stateless_normal({shape}, seed=(0, 0))  # one draw for all rows, or leave the noise out",
        )
    return finding(
        "depends_on_company",
        "error",
        evidence,
        f"{words}: scores along a path depend on which points share a block. {REST}",
        remedies.another(attributor, "batch_size=1"),
    )


def _first_difference(session: Session, here: tuple, there: tuple) -> tuple[str, str] | None:
    """Name and kind of the first layer whose output is not the same in two calls, each given by its inputs and rows."""
    traced = session.function.traced
    fed = {tensor.shape[0] for tensor in traced.inputs.values() if tensor.shape.rank}
    layers = {
        name: (call, tensor)
        for name, call, _, tensor in named_outputs(traced)
        if tensor.dtype.is_floating and tensor.shape.rank and tensor.shape[0] in fed
    }
    ports = {name: Port(tensor) for name, (_, tensor) in layers.items()}
    if not ports:
        return None
    first, second = ((session.fetch("layers", ports, inputs), rows) for inputs, rows in (here, there))
    for name, (call, _) in layers.items():
        a, b = (np.nan_to_num(values[name][rows].astype(np.float64)) for values, rows in (first, second))
        if a.shape == b.shape and np.abs(a - b).max(initial=0) > ALIKE * max(np.abs(a).max(initial=0), 1e-12):
            return name, type(call.layer).__name__
    return None
