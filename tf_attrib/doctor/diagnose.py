"""`diagnose(attributor, inputs)`: is this attribution to be believed? All checks, sharing one attribution."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..attributor import Attributor, as_attributor
from ..common.errors import AttributionError
from ..common.failures import plain_failures
from ..common.registry import Registry
from ..methods import IntegratedGradients, Method, as_method
from ..selection.each_position import EachPosition
from ..selection.streams import in_memory
from . import remedies
from .case import Examination, as_default_class, chosen_target
from .catalogue import FINDINGS, finding
from .checks import baseline, baseline_values, compare, embeddings, integral, model, output, repeatable
from .checks.own import Check, as_check, found_by, given_checks
from .entries import Entry
from .report import Finding, Report

# Each takes a case. What can be seen without a gradient comes first.
FORWARD = (model.check_called, model.check_integers, output.check_shape)
CHECKS = (
    model.check_finite,
    model.check_connected,
    model.check_units,
    model.check_custom_gradients,
    model.check_float16,
    output.check_saturation,
    output.check_target,
    output.check_unit,
    baseline.check_classes,
    baseline.check_score,
    baseline_values.check_distance,
    baseline_values.check_range,
    baseline_values.check_equal_features,
    embeddings.check_words,
    compare.check_baselines,
    integral.check_accuracy,
    integral.check_steps,
    integral.check_gap,
    integral.check_cancellation,
)


def _own_check(name: str, given: Any) -> Check:
    if name in (one.__name__ for one in (repeatable.check_repeatable, *FORWARD, *CHECKS)):
        raise AttributionError(f"the library has a check {name!r}, which runs beside yours: give your function another name")
    return as_check(name, given)


# Those that others add by name, with `check`: each report has what they find.
ADDED: Registry[Check] = Registry("check", _own_check)


@plain_failures()
def diagnose(
    attributor: Attributor,
    inputs: Any,
    target: Any = None,
    baselines: Any = None,
    *,
    default_class: float | None = None,
    seed: int = 0,
    method: str | Method = "integrated_gradients",
    vocabulary: Sequence[str] | None = None,
    checks: Sequence[Check] = (),
) -> Report:
    """Examines whether integrated gradients of these inputs are to be believed, and says what to type where they are not.

    It attributes the inputs once, looks at both ends of the paths, and attributes a few of them again against other baselines
    and of the logit. It costs at most about three attributions.

    Args:
        attributor: of the model, with its `at` and `of`.
        inputs, target, baselines: as for `Attributor.attribute`. Where the output needs a target and none is given, the entry
            with the highest value is looked at, and a finding says so.
        default_class: the class that means "nothing there", which the baseline should have: 0 for a detector, whose score
            without a signal is 0.0; 0.5 where both classes need a signal, so that the baseline should lie between them. None:
            the baseline is judged by the entropy of its classes.
        seed: of random baselines.
        method: integrated gradients, with a stated accuracy or a fixed rule, such as `ta.IntegratedGradients(n_steps=20)`.
        vocabulary: a word for each token id, such as `ta.vocabulary(path)` gives; default: the model's own.
        checks: of your own, beside the library's and those that `ta.extend.check` added: functions of a `ta.extend.Examination`
            that return findings, made with `ta.extend.finding` or as `ta.Finding`. They run last, and not where there is no
            attribution, or the model does not answer twice the same.

    Returns:
        A `Report`: printed, it is text; in a notebook it is shown; `.findings`, `.healthy`, `["gap"]`, `.to_json()`,
        `.save_html(path)`. The calls that it proposes run as they stand where `attributor`, `inputs`, `target`, `baselines`
        and `vocabulary` are what was given here, `ta` is tf_attrib and `np` NumPy.

    Raises:
        AttributionError: arguments that do not fit. What is wrong with model, baseline or numbers is a finding.
    """
    as_attributor(attributor, "diagnose")
    if isinstance(target, EachPosition):
        raise AttributionError(
            "diagnose examines one position at a time, and target is ta.each_position(): "
            "target=(position, class), such as ta.diagnose(attributor, inputs, target=(0, 1)), or the "
            "position alone where the output has one value at each"
        )
    method, default_class = as_method(method), as_default_class(default_class)
    if not isinstance(method, IntegratedGradients):
        raise AttributionError(
            f"diagnose examines integrated gradients; got {method!r}: leave method out, or give one such "
            "as ta.IntegratedGradients(n_steps=20)"
        )
    if method.path is not None:
        raise AttributionError(
            f"diagnose examines straight paths, which its findings are about; got {method!r}: leave path out"
        )
    own = {id(one): one for one in (*ADDED.values(), *given_checks(checks))}  # each once
    inputs = in_memory(inputs, attributor.input_specs)
    session, ready, _ = attributor.prepare(inputs)
    chosen = chosen_target(session, ready) if target is None else None
    given, target = target is not None, target if chosen is None else chosen
    work = attributor.work(inputs, target, baselines, method, seed)
    case = Examination(
        attributor,
        inputs,
        target,
        given,
        baselines,
        method,
        seed,
        default_class,
        None if vocabulary is None else [str(word) for word in vocabulary],
        work,
    )
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        findings = repeatable.check_repeatable(attributor, session, ready)
        sound = all(one.severity == "passed" for one in findings)
        findings += [one for check in FORWARD for one in check(case)]
        # what is measured of a model that does not answer the same twice means nothing
        findings += _checked(case, list(own.values())) if sound else []
    return Report(
        tuple(findings), f"{case.count} example{'s' if case.count > 1 else ''}, {case.output.words} at {case.place.words}"
    )


def _checked(case: Examination, own: Sequence[Check]) -> list[Finding]:
    """What the checks that need an attribution find; one finding where there cannot be any."""
    try:
        _ = case.result
    except AttributionError as error:  # the arguments fit, as the forward passes have shown
        return [finding("cannot_attribute", "error", {}, f"There is no attribution: {error}.", remedies.without_gradient(case))]
    return [one for check in CHECKS for one in check(case)] + [one for check in own for one in found_by(check, case)]


def check(*entries: Entry) -> Callable[[Check], Check]:
    """Decorates a check of your own, so that `diagnose` runs it from now on: `@check(entry)`.

    A check is a function of an `Examination` that returns a list of findings; it is known by its name: defined again, it takes
    the place of the first.

    Args:
        entries: of the catalogue, one for each finding that it may give.

    Raises:
        AttributionError: an entry or a name that is the library's, or what is no check.
    """
    for entry in entries:
        if not isinstance(entry, Entry):
            raise AttributionError(
                "check takes the entries of its findings: @ta.extend.check(ta.extend.Entry(name, topic, disease, evidence, "
                f"remedy)); got {entry!r}"
            )

    if not entries:
        raise AttributionError("check takes the entries of its findings, one at least: @ta.extend.check(ta.extend.Entry(...))")

    def register(function: Check) -> Check:
        ADDED[getattr(as_check("", function), "__name__", "")] = function
        for entry in entries:
            FINDINGS[entry.name] = entry
        return function

    return register
