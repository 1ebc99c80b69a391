"""Several methods by several metrics, on the same examples: a table with bootstrap intervals, and a figure."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..attribution import Attribution
from ..attributor import Attributor, as_attributor
from ..common.errors import AttributionError, nearest
from ..common.nested import flatten, rebuild
from ..common.types import present
from ..engine.method import Method
from ..methods import as_method
from ..selection.inputs import as_arrays
from .comparison import Comparison
from .examples import Examples, attributed, case_of, each_alone, fitting
from .fidelity import LEAST, Ranked, aopc_of, deletion_of, insertion_of, stand_in
from .infidelity import Slope, check_kind, check_measurable, infidelities
from .metric import Metric
from .pointing import pointing
from .randomisation import randomisation
from .sensitivity import max_sensitivity
from .sparseness import sparseness
from .units import Units, units_of

CURVES = ("aopc", "aopc_between", "deletion", "insertion")
METRICS = (*CURVES, "infidelity", "max_sensitivity", "sparseness", "randomisation", "pointing")
DEFAULT = ("aopc", "aopc_between", "deletion", "insertion", "infidelity", "sparseness")
RANDOM = "random"


@dataclasses.dataclass(frozen=True)
class Settings:
    """How `compare` measures; the fields are its arguments."""

    baselines: Any
    replacement: Any
    units: str | None
    patch: Any
    steps: int | None
    perturbation: Any
    samples: int | None
    normalise: bool
    radius: float | None
    masks: Any
    seed: int


def compare(
    attributor: Attributor,
    inputs: Any,
    methods: Any = ("integrated_gradients", "gradient_times_input", "gradient"),
    metrics: Sequence[str] = DEFAULT,
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
        inputs: (n, ...), or a list or dict of such.
        methods: names or instances, or a dict from names of your own to those, or to a result of your own for these inputs.
        metrics: names of functions in `ta.metrics`: "aopc", "deletion", "insertion", "infidelity", "max_sensitivity",
            "sparseness", "randomisation", "pointing"; and "aopc_between", the area between least and most relevant first.
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
    metrics = _known(metrics, masks)
    inputs, target, baselines = each_alone(attributor, inputs, target, baselines)
    settings = Settings(baselines, replacement, units, patch, steps, perturbation, samples, normalise, radius, masks, seed)
    as_attributor(attributor, "compare")
    named = _named(methods)
    _check_methods(attributor, inputs, target, named, metrics, seed)
    results = {}
    for name, method in named.items():
        shared = next(iter(results.values())).target if results else target
        given = isinstance(method, Attribution)
        results[name] = attributed(
            attributor, method if given else inputs, "gradient" if given else method, None if given else shared, baselines, seed
        )
        _check_result(results[name], metrics, baselines)
    first = next(iter(results.values()))
    _check_same(results, first)
    case = case_of(attributor, inputs, first.target, stand_in(baselines, replacement), seed)
    drawn = _random(case, first, seed) if random else None
    found: dict[str, dict[str, Metric]] = {name: {} for name in [*results, *([RANDOM] if random else [])]}
    divided = units_of(case, units, patch) if set(metrics) & set(CURVES) else None
    for metric in metrics:
        for name, value in _measured(metric, attributor, case, divided, named, results, drawn, settings).items():
            found[name][metric] = value
    return Comparison(found, metrics, f"{len(case)} examples: {first.of}, at {first.at}, target {_targets(first)}")


def _measured(
    metric: str,
    attributor: Attributor,
    case: Examples,
    units: Units | None,
    methods: dict,
    results: dict,
    drawn: Attribution | None,
    settings: Settings,
) -> dict[str, Metric]:
    """One metric of all methods."""
    rows = results | ({RANDOM: drawn} if drawn is not None else {})
    if metric in CURVES:
        return {name: _curve(metric, case, Ranked.of(result, case, present(units)), settings) for name, result in rows.items()}
    if metric == "infidelity":
        return _infidelity(attributor, rows, settings)
    if metric == "sparseness":
        return {name: sparseness(result) for name, result in rows.items()}
    if metric == "pointing":
        return {name: pointing(result, settings.masks) for name, result in rows.items()}
    found = {}
    for name, method in methods.items():
        if isinstance(method, Attribution):
            continue  # a result of one's own cannot be made again
        inputs, target = results[name].inputs, results[name].target
        if metric == "max_sensitivity":
            found[name] = max_sensitivity(
                attributor,
                inputs,
                method=method,
                target=target,
                baselines=settings.baselines,
                radius=settings.radius,
                seed=settings.seed,
            )
        else:
            found[name] = randomisation(
                attributor, results[name], method=method, baselines=settings.baselines, modes="cascading", seed=settings.seed
            )
    return found


def _curve(metric: str, case: Examples, ranked: Ranked, settings: Settings) -> Metric:
    if metric == "deletion":
        return deletion_of(case, ranked, settings.steps, settings.seed)
    if metric == "insertion":
        return insertion_of(case, ranked, settings.steps, settings.seed)
    found = aopc_of(case, ranked, settings.steps, 1.0, settings.seed)
    if metric == "aopc":
        return found
    return Metric(
        "AOPC, area between least and most relevant first",
        found.values - found.areas[LEAST],
        found.method,
        found.unit,
        "higher",
        found.settings,
        found.notes,
    )


def _infidelity(attributor: Attributor, rows: dict, settings: Settings) -> dict[str, Metric]:
    """That of all rows, of which the first is no random one."""
    first = next(iter(rows.values()))
    # perturbations and slopes are against the baseline of the attributions, not against what is put in elsewhere
    case = case_of(attributor, first.inputs, first.target, settings.baselines, settings.seed)
    slopes = {name: Slope.of(result, case) for name, result in rows.items()}
    if RANDOM in slopes:
        values, norm = slopes[RANDOM].values, np.linalg.norm(next(iter(slopes.values())).values, axis=1)
        scaled = values * (norm / np.linalg.norm(values, axis=1))[:, None]
        slopes[RANDOM] = dataclasses.replace(slopes[RANDOM], values=scaled)
    found = infidelities(
        case, list(slopes.values()), settings.perturbation, settings.samples, settings.normalise, settings.seed
    )
    return dict(zip(slopes, found, strict=True))


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


def _known(metrics: Sequence[str], masks: Any) -> tuple[str, ...]:
    metrics = (metrics,) if isinstance(metrics, str) else tuple(metrics)
    for metric in metrics:
        if metric not in METRICS:
            raise AttributionError(f"no metric is called {metric!r}; there are: {nearest(str(metric), METRICS, len(METRICS))}")
    if not metrics or len(set(metrics)) < len(metrics):
        raise AttributionError(f"metrics must be different, at least one; got {metrics!r}")
    if ("pointing" in metrics) != (masks is not None):
        raise AttributionError("the metric 'pointing' and masks= go together: masks (n, height, width), not zero on the object")
    return metrics


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


def _check_methods(attributor: Attributor, inputs: Any, target: Any, named: dict, metrics: Sequence[str], seed: int) -> None:
    """Raises, before anything is attributed, where one of the methods cannot be measured by these metrics."""
    for method in named.values():
        given = isinstance(method, Attribution)
        if "infidelity" in metrics:
            check_kind(method.method if given else repr(method), method.kind)
        # a map at a layer's own positions may be coarser than the examples
        if set(metrics) & {*CURVES, "infidelity"} and (given or method.kind == "map"):
            session, ready, _ = attributor.prepare(as_arrays(inputs))
            one = method if given else attributor.check(inputs, target, None, method, seed)
            fitting(one, session.selected({key: value[:1] for key, value in ready.items()}))


def _check_result(result: Attribution, metrics: Sequence[str], baselines: Any) -> None:
    """Raises where a result cannot be measured by these metrics, or means other baselines than the rest."""
    if "infidelity" in metrics:
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
