"""The table of metrics by name, as `compare(metrics=...)` takes them, to which others may add theirs."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from ..attribution import Attribution
from ..attributor import Attributor
from ..common.errors import AttributionError
from ..common.nested import flatten
from ..common.own_code import code_of
from ..common.registry import Registry
from ..common.types import present
from ..engine.method import RANDOM, Method
from ..selection.inputs import few
from .examples import Examples, case_of, given_of
from .fidelity import LEAST, Aopc, Ranked, aopc_of, deletion_of, insertion_of
from .infidelity import Slope, infidelities
from .metric import Metric
from .pointing import pointing
from .randomisation import randomisation
from .sensitivity import max_sensitivity
from .sparseness import sparseness
from .units import Units


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


@dataclasses.dataclass(frozen=True, eq=False)
class Contest:
    """What is compared, on which examples.

    Attributes:
        attributor: the model.
        case: the examples, with what stands in for what is taken away.
        units: what perturbation curves take away at once; None where no curve is wanted.
        methods: by name, each a method or a result that was given.
        results: by the same names, each method's attribution.
        random: a random attribution, or None.
        settings: the arguments of `compare`.
    """

    attributor: Attributor
    case: Examples
    units: Units | None
    methods: dict[str, Method | Attribution]
    results: dict[str, Attribution]
    random: Attribution | None
    settings: Settings

    @property
    def rows(self) -> dict[str, Attribution]:
        """All results, the random one last."""
        return self.results | ({RANDOM: self.random} if self.random is not None else {})


@dataclasses.dataclass(frozen=True)
class Column:
    """A metric of the table.

    Attributes:
        heading: of its column, for people.
        measure: gives the metric of each row that it has a meaning for, by the row's name.
        curve: whether it is of a perturbation curve, which takes units of the input away.
        of_features: whether attributions must have a number for each feature of the examples.
    """

    heading: str
    measure: Callable[[Contest], dict[str, Metric]]
    curve: bool = False
    of_features: bool = False


def _curve(heading: str, measure: Callable[[Contest, Ranked], Metric]) -> Column:
    """A metric of each row's order of the units."""

    def of_all(contest: Contest) -> dict[str, Metric]:
        units = present(contest.units)
        ranked = {name: Ranked.of(result, contest.case, units) for name, result in contest.rows.items()}
        return {name: measure(contest, one) for name, one in ranked.items()}

    return Column(heading, of_all, curve=True, of_features=True)


def _aopc(contest: Contest, ranked: Ranked) -> Aopc:
    return aopc_of(contest.case, ranked, contest.settings.steps, 1.0, contest.settings.seed)


def _aopc_between(contest: Contest, ranked: Ranked) -> Metric:
    found = _aopc(contest, ranked)
    return Metric(
        "AOPC, area between least and most relevant first",
        found.values - found.areas[LEAST],
        found.method,
        found.unit,
        "higher",
        found.settings,
        found.notes,
    )


def _deletion(contest: Contest, ranked: Ranked) -> Metric:
    return deletion_of(contest.case, ranked, contest.settings.steps, contest.settings.seed)


def _insertion(contest: Contest, ranked: Ranked) -> Metric:
    return insertion_of(contest.case, ranked, contest.settings.steps, contest.settings.seed)


def _infidelity(contest: Contest) -> dict[str, Metric]:
    """That of all rows, of which the first is no random one."""
    settings, rows = contest.settings, contest.rows
    first = next(iter(rows.values()))
    # perturbations and slopes are against the baseline of the attributions, not against what is put in elsewhere
    case = case_of(contest.attributor, given_of(first), first.target, settings.baselines, settings.seed)
    slopes = {name: Slope.of(result, case, settings.normalise) for name, result in rows.items()}
    if RANDOM in slopes:
        values, norm = slopes[RANDOM].values, np.linalg.norm(next(iter(slopes.values())).values, axis=1)
        scaled = values * (norm / np.linalg.norm(values, axis=1))[:, None]
        slopes[RANDOM] = dataclasses.replace(slopes[RANDOM], values=scaled)
    found = infidelities(
        case, list(slopes.values()), settings.perturbation, settings.samples, settings.normalise, settings.seed
    )
    return dict(zip(slopes, found, strict=True))


def _attributed_again(heading: str, measure: Callable[[Contest, str, Method], Metric]) -> Column:
    """A metric for which each method attributes again: a result that was given cannot."""

    def of_methods(contest: Contest) -> dict[str, Metric]:
        return {
            name: measure(contest, name, method)
            for name, method in contest.methods.items()
            if not isinstance(method, Attribution)
        }

    return Column(heading, of_methods)


def _max_sensitivity(contest: Contest, name: str, method: Method) -> Metric:
    result, settings = contest.results[name], contest.settings
    return max_sensitivity(
        contest.attributor,
        given_of(result),
        method=method,
        target=result.target,
        baselines=settings.baselines,
        radius=settings.radius,
        seed=settings.seed,
    )


def _randomisation(contest: Contest, name: str, method: Method) -> Metric:
    settings = contest.settings
    return randomisation(
        contest.attributor,
        contest.results[name],
        method=method,
        baselines=settings.baselines,
        modes="cascading",
        seed=settings.seed,
    )


def _of_results(heading: str, measure: Callable[[Contest, Attribution], Metric]) -> Column:
    """A metric of each row's attribution by itself."""
    return Column(heading, lambda contest: {name: measure(contest, result) for name, result in contest.rows.items()})


def column(name: str, given: Any) -> Column:
    """What was given as the metric `name`: a function of an attributor and a result, as a column of the table.

    Raises:
        AttributionError: it is no function.
    """
    if isinstance(given, Column):
        return given
    if not callable(given):
        raise AttributionError(
            f"the metric {name!r} must be a function (attributor, result) -> a number for each example (n,), or a "
            f"ta.metrics.Metric; got {given!r}"
        )
    words = next(iter((given.__doc__ or "").strip().splitlines()), "")

    def measured(contest: Contest, result: Attribution) -> Metric:
        leaves, several = flatten(result.attributions), not isinstance(result.attributions, np.ndarray)
        with code_of(
            f"the metric {name!r}",
            [*leaves.values(), *flatten(result.inputs).values(), result.scores],
            f" (attributions are a {type(result.attributions).__name__} here, an array for each of {list(leaves)}: "
            "tf.nest.flatten(result.attributions) is a list of them)"
            if several
            else "",
        ):
            found = given(contest.attributor, result)
        return _metric(name, words, found, result)

    return _of_results(heading(name), measured)


def _metric(name: str, words: str, found: Any, result: Attribution) -> Metric:
    """What a function of others gave for one row, as a metric; of numbers alone `words` say what they are."""
    if found is None:
        raise AttributionError(
            f"the metric {name!r} must give a number for each example, ({len(result)},); it gave None: return it"
        )
    if isinstance(found, Metric):
        metric = found
    else:
        try:
            values = np.asarray(found)
            values = values.astype(np.float64, casting="unsafe" if values.dtype.kind in "biufO" else "no")
        except (TypeError, ValueError):
            raise AttributionError(f"the metric {name!r} must give a number for each example, it gave {found!r}") from None
        _check_length(name, values, result)
        metric = Metric(heading(name), values, result.method, "", "", words)
    _check_length(name, metric.values, result)
    infinite, unknown = np.flatnonzero(np.isinf(metric.values)), np.flatnonzero(np.isnan(metric.values))
    if len(infinite):
        raise AttributionError(
            f"the metric {name!r} is infinite for example(s) {few(infinite)} by {result.method}: give NaN where it has no "
            "meaning, which leaves an example out of the mean"
        )
    if len(unknown) and not metric.notes:
        said = f"{name} has no value for {len(unknown)} of {len(result)} examples by {result.method}, which the mean leaves out"
        metric = dataclasses.replace(metric, notes=(said,))
    return metric


def _check_length(name: str, values: np.ndarray, result: Attribution) -> None:
    if values.shape != (len(result),):
        raise AttributionError(
            f"the metric {name!r} must give a number for each example, ({len(result)},); it gave {values.shape}"
        )


# The metrics by name; others add functions, such as METRICS["mine"] = lambda attributor, result: result.gap
METRICS: Registry[Column] = Registry("metric", column)
METRICS.fill(
    {
        "aopc": _curve("AOPC, most first", _aopc),
        "aopc_between": _curve("AOPC, between", _aopc_between),
        "deletion": _curve("deletion", _deletion),
        "insertion": _curve("insertion", _insertion),
        "infidelity": Column("infidelity", _infidelity, of_features=True),
        "max_sensitivity": _attributed_again("max-sensitivity", _max_sensitivity),
        "sparseness": _of_results("sparseness", lambda contest, result: sparseness(result)),
        "randomisation": _attributed_again("randomisation", _randomisation),
        "pointing": _of_results("pointing", lambda contest, result: pointing(result, contest.settings.masks)),
    }
)


def heading(name: str) -> str:
    """What the column of a metric is called."""
    return METRICS[name].heading if name in METRICS else name.replace("_", " ")
