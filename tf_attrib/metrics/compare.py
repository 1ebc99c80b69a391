"""Several methods by several metrics, on the same examples: a table with bootstrap intervals, and a figure."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..attribution import Attribution
from ..attributor import Attributor, as_attributor
from ..common.digits import count
from ..common.errors import AttributionError, nearest
from ..common.nested import flatten, rebuild
from ..common.types import present
from ..engine.method import Method
from ..methods import as_method
from ..selection.streams import in_memory
from .comparison import Comparison
from .examples import Examples, attributed, case_of, check_scores, each_alone, fitting
from .fidelity import stand_in
from .infidelity import check_measurable, check_method
from .metric import Metric
from .table import METRICS, RANDOM, Column, Contest, Settings, column
from .units import units_of

DEFAULT = ("aopc", "aopc_between", "deletion", "insertion", "infidelity", "sparseness")


def compare(
    attributor: Attributor,
    inputs: Any,
    methods: Any = ("integrated_gradients", "gradient_times_input", "gradient"),
    metrics: str | Callable | Sequence[str | Callable] = DEFAULT,
    *,
    target: Any = None,
    baselines: Any = None,
    replacement: Any = None,
    units: str | None = None,
    patch: Any = None,
    steps: int | None = None,
    perturbation: Any = None,
    samples: int | None = None,
    normalise: bool = True,
    radius: float | None = None,
    masks: Any = None,
    random: bool = True,
    seed: int = 0,
) -> Comparison:
    """Measures several methods by several metrics on the same examples, with a random attribution beside them.

    Forward passes are shared: metrics that ask for the same curve evaluate it once, perturbations of `infidelity` are the
    same for all methods, and targets are those of the first. The random attribution is drawn for each example, from a
    normal distribution; as a slope it has the norm of the first method's.

    Args:
        attributor: the model, with `at` and `of`.
        inputs: (n, ...), or a list or dict of such, or a `tf.data.Dataset` of them.
        methods: names or instances, or a dict from names of your own to those, or to a result of your own for these inputs.
        metrics: names of functions in `ta.metrics`: "aopc", "deletion", "insertion", "infidelity", "max_sensitivity",
            "sparseness", "randomisation", "pointing"; and "aopc_between", the area between least and most relevant first.
            Or functions of your own, of the attributor and a result, that give a number for each example, (n,), or a
            `ta.metrics.Metric`; their columns have their names. The random attribution is a result of theirs, too.
        target, baselines, seed: as for `attribute`; `baselines` go to the methods that take them. With `ta.each_position()`
            every position of an example is measured as an example of its own.
        replacement, units, patch, steps: as for `aopc`, of "aopc", "aopc_between", "deletion" and "insertion".
        perturbation, samples, normalise: as for `infidelity`; here `normalise` is on, since scales of methods differ.
        radius: as for `max_sensitivity`.
        masks: as for `pointing`.
        random: whether the random attribution is a row; "max_sensitivity" and "randomisation" have none.

    Returns:
        A `Comparison`: `table[method][metric]` is a `Metric`; printed or shown in a notebook, it is a table.

    Raises:
        AttributionError: unknown metrics, nothing to compare, or what a metric needs is missing.
    """
    columns = _columns(metrics, masks)
    as_attributor(attributor, "compare")
    inputs = in_memory(inputs, attributor.input_specs)
    inputs, target, baselines = each_alone(attributor, inputs, target, baselines)
    settings = Settings(baselines, replacement, units, patch, steps, perturbation, samples, normalise, radius, masks, seed)
    named = _named(methods)
    _check_methods(attributor, inputs, target, named, columns, seed)
    results = {}
    for name, method in named.items():
        shared = next(iter(results.values())).target if results else target
        given = isinstance(method, Attribution)
        results[name] = attributed(
            attributor, method if given else inputs, "gradient" if given else method, None if given else shared, baselines, seed
        )
        _check_result(results[name], columns, baselines)
    first = next(iter(results.values()))
    _check_same(results, first)
    case = case_of(attributor, inputs, first.target, stand_in(baselines, replacement), seed)
    check_scores(first, case)
    drawn = _random(case, first, seed) if random else None
    found: dict[str, dict[str, Metric]] = {name: {} for name in [*results, *([RANDOM] if random else [])]}
    divided = units_of(case, units, patch) if any(one.curve for one in columns.values()) else None
    contest = Contest(attributor, case, divided, named, results, drawn, settings)
    for metric, one in columns.items():
        for name, value in one.measure(contest).items():
            found[name][metric] = value
    subject = f"{count(len(case), 'example')}: {first.of}, at {first.at}, target {_targets(first)}"
    return Comparison(found, tuple(columns), subject)


def _random(case: Examples, first: Attribution, seed: int) -> Attribution:
    """Normal numbers in the shape of the first method's attributions, in the unit of no method."""
    # another stream than that of the random orders, which are drawn from the seed alone
    generators = list(case.generators(seed + 1))
    drawn = {
        key: np.stack([rng.normal(size=np.shape(leaf)[1:]) for rng in generators])
        for key, leaf in flatten(first.attributions).items()
    }
    return Attribution(
        rebuild(drawn),
        first.scores,
        first.inputs,
        target=first.target,
        method="random numbers",
        at=first.at,
        of=first.of,
        unit=first.unit,
    )


def _named(methods: Any) -> dict[str, Any]:
    if isinstance(methods, str | Method):
        methods = [methods]
    if not isinstance(methods, list | tuple | dict):
        raise AttributionError(f"methods are names or instances in a list, or a dict of such; got {methods!r}")
    items = (
        methods.items()
        if isinstance(methods, dict)
        else [
            (one if isinstance(one, str) else one.method if isinstance(one, Attribution) else repr(one), one) for one in methods
        ]
    )
    named = [(str(name), one if isinstance(one, Attribution) else as_method(one)) for name, one in items]
    names = [name for name, _ in named]
    if not named or len(set(names)) < len(names) or RANDOM in names:
        raise AttributionError(
            f"methods must have different names, at least one, and none 'random'; got {names}: name them "
            "in a dict, such as {'coarse': ta.IntegratedGradients(n_steps=5)}"
        )
    return dict(named)


def _columns(metrics: Any, masks: Any) -> dict[str, Column]:
    """The metrics by name, in order."""
    metrics = (metrics,) if isinstance(metrics, str) or callable(metrics) else tuple(metrics)
    names = [_name(metric) for metric in metrics]
    if not metrics or len(set(names)) < len(names):
        raise AttributionError(f"metrics must be different, at least one; got {names!r}")
    if ("pointing" in names) != (masks is not None):
        raise AttributionError("the metric 'pointing' and masks= go together: masks (n, height, width), not zero on the object")
    return {
        name: METRICS[name] if isinstance(metric, str) else column(name, metric)
        for name, metric in zip(names, metrics, strict=True)
    }


def _name(metric: Any) -> str:
    """The name of a metric that was given by it, or as a function."""
    if isinstance(metric, str) or not callable(metric):
        if not isinstance(metric, str) or metric not in METRICS:
            known = nearest(str(metric), METRICS, len(METRICS))
            raise AttributionError(f"no metric is called {metric!r}; there are: {known}, or a function of yours")
        return metric
    name = getattr(metric, "__name__", "")
    if not name.isidentifier():
        raise AttributionError(f"the column of a metric has its function's name, and {metric!r} has none: write it with def")
    if name in METRICS and name not in METRICS.added:
        raise AttributionError(f"the library has a metric {name!r}: give that name, or rename your function")
    return name


def _check_same(results: dict[str, Attribution], first: Attribution) -> None:
    for name, result in results.items():
        same = (
            len(result) == len(first)
            and np.allclose(result.scores, first.scores, rtol=1e-4, atol=1e-6)
            and (result.target is None) == (first.target is None)
            and (result.target is None or np.array_equal(result.target, present(first.target)))
        )
        if not same:
            raise AttributionError(
                f"the attributions compared must be of the same examples, output and target; {name!r} is of "
                "others than the first"
            )


def _check_methods(
    attributor: Attributor, inputs: Any, target: Any, named: dict, columns: dict[str, Column], seed: int
) -> None:
    """Raises, before anything is attributed, where one of the methods cannot be measured by these metrics."""
    for method in named.values():
        given = isinstance(method, Attribution)
        if "infidelity" in columns:
            check_measurable(method) if given else check_method(method)
        # a map at a layer's own positions may be coarser than the examples
        if any(one.of_features for one in columns.values()) and (given or method.kind in ("map", "expectation")):
            session, ready, _ = attributor.prepare(inputs)
            one = method if given else attributor.check(inputs, target, None, method, seed)
            selected = session.selected({key: value[:1] for key, value in ready.items()})
            fitting(one, selected, session.function.place.encodes)


def _check_result(result: Attribution, columns: dict[str, Column], baselines: Any) -> None:
    """Raises where a result cannot be measured by these metrics, or means other baselines than the rest."""
    if "infidelity" in columns:
        check_measurable(result)
    if result.path_at and baselines is not None:
        raise AttributionError(
            f"{result.method} takes its baselines at {result.path_at} and attributes at {result.at}, where those of "
            "other methods and what stands in are: leave baselines out (replacement= is what stands in), or "
            "compare without it"
        )


def _targets(result: Attribution) -> str:
    if result.target is None:
        return "the only one"
    classes = np.unique(result.target, axis=0)
    return str(classes[0].tolist()) if len(classes) == 1 else f"{len(classes)} classes"
