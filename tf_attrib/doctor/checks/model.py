"""Checks of the model: does it answer the same twice, is it connected, are its numbers finite, do its units live?"""

import numpy as np

from ...attributor import Attributor
from ...engine.integral.refined import NOT_FINITE
from ...engine.session import Session
from ...graph.traced.cut import Port
from ...graph.traced.trace import named_outputs
from .. import remedies
from ..case import EXAMPLES, Examination, leaf_of, values_within
from ..catalogue import finding
from ..report import Finding
from . import operations

# Two calls on the same batch are the same but for the order of sums; an example alone takes other kernels than in company.
SAME, ALIKE, ALIKE_FLOAT16 = 1e-5, 1e-3, 2e-2
# A layer in which more units than this are dead along the paths hardly lets any gradient through.
DEAD = 0.9
LARGEST_FLOAT16, NEAR = 65504.0, 0.75 * 65504
# Beyond this gap a gradient that the model defines itself is not that of its function.
GAP = 0.05
REST = "Nothing else is examined until that is mended."


def check_repeatable(attributor: Attributor, session: Session, inputs: dict) -> list[Finding]:
    """Whether two calls agree, and an example alone gives what it gives in company, in another place of the batch.

    Random numbers whose seed the trace has frozen are the same in every call, and yet others in each row.
    """
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


def check_connected(case: Examination) -> list[Finding]:
    """Whether each selected tensor moves the score, and its gradient shows it."""
    found = []
    for key, x in case.x.items():
        moved = any((case.reference(key, number) != x).any() for number in range(case.references))
        if moved and not np.nan_to_num(leaf_of(case.result, key), nan=1).any():
            found.append(_unmoved(case, key))
    return found


def _unmoved(case: Examination, key) -> Finding:
    m, name = case.few, "the input" if key is None else f"input {key!r}"
    swapped = {other: (case.reference(key, 0) if other == key else x)[:m] for other, x in case.x.items()}
    at = dict(zip(case.place.ports, swapped.values(), strict=True))
    values = values_within(case.session, at, {one: value[:m] for one, value in case.work.ready.items()})
    before = case.values[:m]
    change = float(np.abs(values - before).max())
    if change <= 1e-6 * max(np.abs(before).max(), 1e-12):
        return finding(
            "disconnected_input",
            "warning",
            {"change_of_output": change},
            f"The output does not depend on {name}: "
            "with its baseline in its place the output stays the same. Its attributions are zero.",
            _without(case, key),
        )
    stops = operations.without_gradient(case.session)
    more = f"; in between there is {', '.join(stops[:3])}" if stops else ""
    return finding(
        "gradient_missing",
        "error",
        {"change_of_output": change, "operations": stops[:6]},
        f"The output changes by {change:.3g} when {name} is replaced by its baseline, but its gradient is zero "
        f"along the whole path{more}: what it contributes is not attributed to it.",
        remedies.without_gradient(case),
    )


def _without(case: Examination, key) -> str:
    """A call that leaves an input out, or, where it is the only one, shows what leads to the output."""
    others, specs = [other for other in case.x if other != key], case.attributor.input_specs
    if not others or case.place.kind != "inputs":
        return remedies.listing(case)
    other = others[0]
    if not isinstance(other, str):  # by position: at= takes the model's own names
        other = list(specs.values())[other].name if specs else str(other)
    return remedies.another(case.attributor, f"at=ta.inputs({other!r})")


def check_integers(case: Examination) -> list[Finding]:
    """Which integer inputs are attributed at their embeddings, and which are left out."""
    function = case.session.function
    whole = {
        key: tensor
        for key, tensor in function.traced.inputs.items()
        if not tensor.dtype.is_floating and key not in function.output.data and key not in function.place.stand_ins.values()
    }
    if not whole:
        return []
    kinds = {str("input" if key is None else key): tensor.dtype.name for key, tensor in whole.items()}
    if case.place.left_out:
        names = ", ".join(map(repr, case.place.left_out))
        return [
            finding(
                "integer_inputs",
                "warning",
                {"inputs": kinds, "left_out": list(case.place.left_out)},
                f"Some inputs get no attribution, neither float nor looked up in an embedding: {names}. "
                "Quantities have to reach the model as floats; for what is looked up, at= names the layer behind it.",
                remedies.listing(case),
            )
        ]
    return [
        finding(
            "integer_inputs",
            "note",
            {"inputs": kinds},
            "Integers have no gradient: attributions are at "
            f"{case.place.words}, one for each dimension; their sum over dimensions is the word's.",
            f"{remedies.attribute(case)}.sum(-1)",
        )
    ]


def check_finite(case: Examination) -> list[Finding]:
    """Scores and gradients that are NaN or infinite, along the path and at its ends."""
    status = case.result.status
    bad = np.flatnonzero(status == NOT_FINITE) if status is not None else np.zeros(0, int)
    if len(bad):
        return [_not_finite(case, bad)]
    for word, gradients in zip(("baseline", "input"), case.end_gradients, strict=True):
        count = sum(int((~np.isfinite(value)).sum()) for value in gradients.values())
        if count:
            return [
                finding(
                    "infinite_gradient_at_an_end",
                    "note",
                    {"entries": count, "end": word},
                    "The gradient at the "
                    f"{word} itself is infinite or NaN in {count} entries, such as that of a square root at zero. The "
                    "integral was taken up to it; a rule with a node there would fail.",
                    remedies.attribute(case, baselines="ta.constant(1e-3)") if word == "baseline" else "",
                )
            ]
    return []


def _not_finite(case: Examination, bad: np.ndarray) -> Finding:
    """What is not finite: weights, or values on the path, and at which end of it."""
    said = (
        f"A score or gradient is NaN or infinite along the path of {len(bad)} of {case.count} examples: they have no "
        "attribution"
    )
    evidence = {"examples": len(bad), "of": case.count}
    weights = operations.weights_not_finite(case.session)
    if weights:
        return finding(
            "not_finite",
            "error",
            {**evidence, "weights": weights},
            f"{said}. The model itself holds such weights "
            f"({', '.join(weights[:3])}): it was broken in training, or when it was saved.",
            remedies.listing(case),
            bad,
        )
    where = _not_finite_where(case)
    alphas = where.get("alphas_of_output", np.zeros(1))
    away = {"baselines": "ta.constant(1e-3)"} if alphas[0] == 0 and alphas[-1] < 1 else {}
    return finding(
        "not_finite",
        "error",
        {**evidence, **where},
        f"{said}" + (": the output is so at the baseline already." if away and "alphas_of_output" in where else "."),
        remedies.attribute(case, **away, more='on_error="mark"'),
        bad,
    )


def _not_finite_where(case: Examination) -> dict:
    """Where on the paths of the first examples the output is not finite."""
    rows = values_within(case.session, *case.path)
    finite = np.isfinite(rows.reshape(case.few, 9, -1)).all(-1)
    return {"alphas_of_output": np.linspace(0, 1, 9)[~finite.all(0)]} if not finite.all() else {"output_is_finite": True}


def check_units(case: Examination) -> list[Finding]:
    """ReLU units that are zero along all the paths of the first examples, and at the inputs of the others."""
    if not any((case.reference(key, 0) != x).any() for key, x in case.x.items()):
        return []  # there are no paths
    alive = operations.alive_units(case, case.path)
    if any(np.mean(one) < 1 - DEAD for one in alive.values()) and case.count > case.few:
        more = operations.alive_units(case, case.rest)
        alive = {name: one | more[name] for name, one in alive.items()}
    shares = {name: float(1 - np.mean(one)) for name, one in alive.items()}
    if not shares:
        return []
    worst, count = max(shares, key=lambda name: shares[name]), min(case.count, case.few)
    dead = [name for name, share in shares.items() if share > DEAD]
    total = float(np.mean(~np.concatenate(list(alive.values()))))
    where = f"the whole path of {count} example{'s' if count > 1 else ''}"
    said = (
        f"{total:.0%} of the ReLU units ({shares[worst]:.0%} of those in {worst!r}) are zero along {where}"
        if total
        else f"None of the ReLU units is zero along {where}"
    )
    evidence = {"share_of_units": total, "by_layer": dict(sorted(shares.items(), key=lambda pair: -pair[1]))}
    if dead:
        # of one example many units have nothing to say in a healthy net
        return [
            finding(
                "dead_units",
                "warning" if case.count > 1 else "note",
                evidence,
                f"{said}"
                f"{', and at the other inputs' if case.count > case.few else ''}: hardly any gradient flows through "
                f"{', '.join(map(repr, dead))}.",
                f"{remedies.examine(case, baselines=remedies.other_baseline(case))}  # if "
                "they stay dead, and with more inputs: retrain with a lower learning rate",
            )
        ]
    return [finding("dead_units", "passed", evidence, f"{said}: no layer is dead.")]


def check_custom_gradients(case: Examination) -> list[Finding]:
    """Operations whose gradient the model defines itself."""
    names = operations.custom_gradients(case.session)
    if not names:
        return []
    gaps = case.result.relative_gap
    gap = float(np.nanmax(np.abs(gaps), initial=0)) if gaps is not None else float("nan")
    evidence = {"operations": names[:6], "count": len(names), "largest_gap": gap}
    said = f"The gradient of {len(names)} operation{'s' if len(names) > 1 else ''} is the model's own ({', '.join(names[:3])})"
    if gap > GAP:
        return [
            finding(
                "custom_gradients",
                "warning",
                evidence,
                f"{said}, and the attributions miss the difference of scores "
                f"by {gap:.0%}: it is not the derivative of what the operation computes (straight-through, clipped).",
                remedies.without_gradient(case),
            )
        ]
    return [
        finding(
            "custom_gradients",
            "note",
            evidence,
            f"{said}. The attributions add up (gap {gap:.2%}), as they do where it is the derivative written in another way.",
        )
    ]


def check_called(case: Examination) -> list[Finding]:
    """That the model is called and not in a graph, what a gradient misses in it, and what is not looked at."""
    called = case.session.function.traced.called
    if called is None:
        return []
    rows = f"one example at a time: {called.alone}" if called.alone else "in blocks of rows"
    said = (
        f"The model is called eagerly ({called.why}), {rows}. What it does inside is not in a graph: dead units, overflow of "
        "float16, gradients of the model's own and norms of embeddings are not examined."
    )
    evidence = {"why": called.why, "one_at_a_time": bool(called.alone)}
    remedy = remedies.without_gradient(case) if called.notes else ""
    return [
        finding(
            "called_eagerly",
            "warning" if called.notes else "note",
            evidence,
            " ".join([said, *map(_sentence, called.notes)]),
            remedy,
        )
    ]


def _sentence(note: str) -> str:
    return f"{note[0].upper()}{note[1:]}."


def check_float16(case: Examination) -> list[Finding]:
    """float16 values along the path that overflow, or are about to."""
    largest = operations.largest_float16(case)
    if not largest:
        return []
    name = max(largest, key=lambda name: largest[name])
    value = largest[name]
    evidence = {"largest_magnitude": value, "where": name, "largest_float16": LARGEST_FLOAT16}
    remedy = remedies.float32_copy(case)
    if not np.isfinite(value):
        return [
            finding(
                "float16_overflow", "error", evidence, f"float16 values overflow along the path, first at {name!r}.", remedy
            )
        ]
    if value > NEAR:
        return [
            finding(
                "float16_overflow",
                "warning",
                evidence,
                f"float16 values reach {value:,.0f} at {name!r}, of at most 65,504: gradients and other inputs may overflow.",
                remedy,
            )
        ]
    return [
        finding("float16_overflow", "passed", evidence, f"float16 values reach {value:,.3g} of at most 65,504 along the path.")
    ]
