"""Checks of the model: is it connected, are its numbers finite, do its units live?"""

import numpy as np

from ...engine.integral.refined import NOT_FINITE
from .. import remedies
from ..case import Examination, leaf_of, values_within
from ..catalogue import finding
from ..report import Finding
from . import operations

# A layer in which more units than this are dead along the paths hardly lets any gradient through.
DEAD = 0.9
LARGEST_FLOAT16, NEAR = 65504.0, 0.75 * 65504
# Beyond this gap a gradient that the model defines itself is not that of its function.
GAP = 0.05


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
            f"The output of these examples does not depend on {name}: "
            "with its baseline in its place it stays the same. Its attributions are zero.",
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
    """Which inputs are attributed at their embeddings or encodings, and which, such as masks, are left out."""
    function = case.session.function
    whole = {
        key: tensor
        for key, tensor in function.traced.inputs.items()
        if not tensor.dtype.is_floating and key not in function.output.data and key not in function.place.stand_ins.values()
    }
    if not whole and not case.place.left_out:
        return []
    kinds = {str("input" if key is None else key): tensor.dtype.name for key, tensor in whole.items()}
    if case.place.left_out:
        names = ", ".join(map(repr, case.place.left_out))
        return [
            finding(
                "integer_inputs",
                "warning",
                {"inputs": kinds, "left_out": list(case.place.left_out)},
                f"Some inputs get no attribution, for they are masks or no gradient leads to them: {names}. "
                "Quantities have to reach the model as floats; for what is looked up, at= names the layer behind it.",
                remedies.listing(case),
            )
        ]
    if case.place.kind == "encoded":
        return [
            finding(
                "integer_inputs",
                "note",
                {"inputs": kinds},
                f"Categories have no gradient: attributions are at {case.place.words}, a part for each category; their "
                "sum over categories is the column's.",
                f"{remedies.attribute(case)}.by_column",
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
