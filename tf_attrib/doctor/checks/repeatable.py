"""Whether a model gives the same scores again, and to the same example in other company."""

import numpy as np

from ...attributor import Attributor
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
REST = "Nothing else is examined until that is mended."


def check_repeatable(attributor: Attributor, session: Session, inputs: dict) -> list[Finding]:
    """Whether two calls agree, and an example alone gives what it gives in company, in another place of the batch.

    Random numbers whose seed the trace has frozen are the same in every call, and yet others in each row.
    """
    session = session.in_company()
    first, second = (_logits(session, inputs) for _ in range(2))
    scale = max(float(np.abs(first).max(initial=0)), 1e-12)
    twice = float(np.abs(first - second).max(initial=0)) / scale
    if twice > SAME:
        whole = (inputs, slice(None))
        return [_unrepeatable(attributor, session, whole, whole, twice, "Two calls on the same inputs differ")]
    here, there = _companies(inputs)
    one, other = ((first if values is inputs else _logits(session, values))[rows] for values, rows in (here, there))
    # the length of an output may follow the longest example
    apart = float(np.abs(one - other).max(initial=0)) / scale if one.shape == other.shape else 0.0
    if apart > (ALIKE_FLOAT16 if operations.has_float16(session) else ALIKE):
        words = "The same example in other company gives another output"
        return [_unrepeatable(attributor, session, here, there, apart, words)]
    return [
        finding(
            "repeatable",
            "passed",
            {"two_calls": twice, "in_other_company": apart},
            "Two calls agree, and an example gives the same in any company.",
        )
    ]


def _logits(session: Session, inputs: dict) -> np.ndarray:
    """(n, ...), the explained output, beneath its head where that is known: a saturated head would hide differences."""
    output = session.function.output.log_odds or session.function.output
    fetched = session.fetch("logits", {key: Port(tensor) for key, tensor in output.fetches.items()}, inputs)
    return np.concatenate([np.nan_to_num(value.astype(np.float64)).reshape(len(value), -1) for value in fetched.values()], 1)


def _companies(inputs: dict) -> tuple:
    """The same examples in two batches, at other places in each: for each batch the inputs, and which rows they are."""
    count = len(next(iter(inputs.values())))
    if count == 1:
        return (inputs, slice(None)), ({key: np.concatenate([_shuffled(value), value]) for key, value in inputs.items()}, [1])
    last = np.arange(count - 1, count - 1 - min(EXAMPLES, count // 2), -1)
    return ({key: value[last] for key, value in inputs.items()}, slice(None)), (inputs, last)


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
