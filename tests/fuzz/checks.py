"""What must hold of every net: each check gives the figures that were judged, and what was violated."""

import dataclasses
import functools
import tempfile
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import tf_attrib as ta

from . import build, reference
from .net import Net

# The reference proves itself to this, or its example is not judged.
PROVEN = 1e-3
# Of float32 numbers that should be the same, relative to their L1 norm.
SAME = 1e-3
# Of a gradient, which float32 carries less well.
GRADIENT = 0.01
# A gradient whose L1 norm is below this part of the score is rounding: there is none, and it depends on how rows are blocked.
NO_GRADIENT = 1e-3
# A gap that a status must name: a part of the difference of scores, and of the scores.
INCOMPLETE, ROUNDING = 0.01, 1e-4


@dataclasses.dataclass(frozen=True)
class Finding:
    """What a check came to.

    Attributes:
        check: its name.
        figures: counts and sizes; those of several nets are added.
        violations: what was wrong, with numbers, one for each kind.
        refused: the library's own words, where it refused what was asked.
    """

    check: str
    figures: dict[str, float]
    violations: tuple[str, ...] = ()
    refused: str = ""


class Case:
    """A net that is built once and looked at by several checks."""

    def __init__(self, net: Net):
        self.net, self.model = net, build.build(net)
        self.inputs, self.target = build.data(net), build.target(net, self.model)
        self.attributor = ta.Attributor(self.model, of=build.of(net))

    @functools.cached_property
    def twin(self) -> build.Twin:
        return build.twin(self.net, self.model)

    @functools.cached_property
    def points(self) -> dict[str, np.ndarray]:
        return build.points(self.net, self.model)

    @functools.cached_property
    def references(self) -> list[dict[str, np.ndarray]]:
        return build.references(self.net, self.model)

    @functools.cached_property
    def integrated(self) -> ta.Attribution:
        """Integrated gradients to 5%, and on every third net to 1%."""
        return self.attribute(ta.IntegratedGradients(self.tolerance))

    @property
    def tolerance(self) -> float:
        return 0.01 if self.net.seed % 3 == 0 else 0.05

    def attribute(self, method: Any, examples: Any = None, attributor: ta.Attributor | None = None) -> ta.Attribution:
        """The result of `method`, for some of the examples."""
        rows = np.arange(self.net.examples) if examples is None else np.asarray(examples)
        inputs = tf.nest.map_structure(lambda value: value[rows], self.inputs)
        baselines = None if ta.METHODS.get(method) is not None and not ta.METHODS[method].takes_baselines else self._of(rows)
        target = None if self.target is None else self.target[rows]
        attributor = attributor or self.attributor
        return attributor.attribute(inputs, target, baselines, method, seed=0, verbose=False, on_error="mark")

    def _of(self, rows: np.ndarray) -> Any:
        """The baselines of some of the examples."""
        if self.net.baseline == "zeros":
            return None
        chosen = [{name: value[rows] for name, value in one.items()} for one in self.references]
        return build.as_argument(self.net, chosen)

    def flat(self, result: ta.Attribution) -> np.ndarray:
        """(examples, features), the attributions to all inputs side by side."""
        return reference.flat(build.ordered(self.net, result.attributions))

    def score(self, points: dict[str, np.ndarray], target: np.ndarray | None) -> np.ndarray:
        """The score in float64."""
        rows = np.arange(len(next(iter(points.values()))))
        given = {name: tf.constant(value, tf.float64) for name, value in points.items()}
        return self.twin.score(given, rows, target).numpy()


def apart(found: np.ndarray, true: np.ndarray, least: float | np.ndarray = 0.0) -> np.ndarray:
    """(n,), the L1 distance relative to the L1 norm of `true`, or to `least` where that is more."""
    return np.abs(found - true).sum(1) / np.maximum(np.abs(true).sum(1), np.maximum(least, 1e-30))


def worst(kind: str, error: np.ndarray, bound: Any, judged: Any = True) -> tuple[str, ...]:
    """A violation for the examples whose error is above its bound or NaN."""
    wrong = np.flatnonzero(~(error <= bound) & judged)
    if not len(wrong):
        return ()
    most = wrong[np.argmax(np.nan_to_num(error[wrong], nan=np.inf))]
    return (f"{kind}: {error[most]:.3g} in example {most} ({len(wrong)} of {len(error)})",)


def integrated_gradients(case: Case) -> Finding:
    """Integrated gradients against float64: an example called converged is within the tolerance."""
    result = case.integrated
    truth = reference.integrated_gradients(case.twin, case.points, case.references, result.target)
    proven, converged = truth.disagreement <= PROVEN, result.status == "converged"
    error = np.abs(case.flat(result) - truth.values).sum(1) / truth.norm
    judged = proven & converged
    bad = ~(error <= case.tolerance) & judged
    violations = worst(f"error of a converged example, in tolerances of {case.tolerance:g}", error / case.tolerance, 1, judged)
    violations += worst("error estimate of a converged example", result.error_estimate, case.tolerance, converged)
    figures = {
        "examples": len(error),
        "converged": converged.sum(),
        "judged": judged.sum(),
        "unproven": (~proven).sum(),
        "missed": bad.sum(),
        "beyond twice": (bad & ~(error <= 2 * case.tolerance)).sum(),
        "stated beyond": (converged & ~(result.error_estimate <= case.tolerance)).sum(),
    }
    return Finding("integrated_gradients", {key: float(value) for key, value in figures.items()}, violations)


def deeplift(case: Case, rule: str, name: str) -> Finding:
    """DeepLIFT adds up to the difference of scores, or its status says that it does not."""
    result = case.attribute(ta.DeepLift(rule))
    below = np.mean([case.score(one, result.target) for one in case.references], 0)
    difference = case.score(case.points, result.target) - below
    gap = np.abs(case.flat(result).sum(1) - difference)
    marked = np.asarray(result.status) != ""
    allowed = INCOMPLETE * np.abs(difference) + ROUNDING * np.abs(result.scores)
    figures = {"examples": len(gap), "marked": marked.sum()}
    violations = worst("gap of an example without a status, in what is allowed", gap / np.maximum(allowed, 1e-30), 1, ~marked)
    return Finding(name, {key: float(value) for key, value in figures.items()}, violations)


def batch(case: Case) -> Finding:
    """One example alone and a permuted batch give what the batch gave: to rounding, or to the tolerance where it refines."""
    order = np.random.default_rng(case.net.seed).permutation(case.net.examples)
    violations = ()
    for method, bound in (("gradient", SAME), (ta.IntegratedGradients(case.tolerance), case.tolerance)):
        whole = case.integrated if bound != SAME else case.attribute(method)
        least = (NO_GRADIENT if bound == SAME else reference.RESOLVED) * np.abs(whole.scores)
        for words, rows in (("one example alone", [case.net.examples - 1]), ("permuted", order)):
            other = case.attribute(method, rows)
            violations += worst(f"{method} {words}", apart(case.flat(other), case.flat(whole)[rows], least[rows]), bound)
            if bound != SAME:
                moved = np.abs(other.scores - whole.scores[rows])
                violations += worst(f"score {words}", moved, 1e-5 + 1e-5 * np.abs(other.scores))
    return Finding("batch", {}, violations)


def export(case: Case) -> Finding:
    """The SavedModel gives the numbers of the object, with the same baselines by the same keys."""
    method = ta.IntegratedGradients(n_steps=4)
    with tempfile.TemporaryDirectory() as folder:
        case.model.export(folder, verbose=False)
        exported = ta.Attributor(folder, of=build.of_export(case.net))
        other = case.attribute(method, attributor=exported)
    result = case.attribute(method)
    least = reference.RESOLVED * np.abs(result.scores)
    return Finding(
        "export",
        {},
        worst("attributions of the export", apart(case.flat(other), case.flat(result), least), SAME)
        + worst("score of the export", np.abs(other.scores - result.scores), 1e-5 + 1e-5 * np.abs(result.scores)),
    )


def score(case: Case) -> Finding:
    """The stated scores are what model.predict gives."""
    result = case.integrated
    outputs = case.model.predict(case.inputs, verbose=0)
    output = np.asarray(outputs[case.net.asked] if len(case.net.heads) > 1 else outputs, np.float64)
    true = case.score(case.points, result.target)
    violations = worst("score against float64", np.abs(result.scores - true), 1e-3 * (1 + np.abs(true)))
    if not case.net.logits or case.net.head.kind == "linear":
        predicted = _chosen(output, case.net, result.target)
        violations += worst("score against predict", np.abs(result.scores - predicted), 1e-5 + 1e-4 * np.abs(predicted))
    return Finding("score", {}, violations)


def _chosen(output: np.ndarray, net: Net, target: np.ndarray | None) -> np.ndarray:
    """Of a head's output the numbers of the target; a single sigmoid unit has two classes."""
    target = np.zeros((len(output), 0), int) if target is None else np.asarray(target).reshape(len(output), -1)
    if net.head.kind == "sigmoid" and net.head.units == 1:
        output = np.concatenate([1 - output, output], -1)
    if target.shape[1] < output.ndim - 1:
        output = output[..., 0]
    return output[(np.arange(len(output)), *target.T)]


def gradient(case: Case) -> Finding:
    """The gradient is that of a plain tf.GradientTape, but for what the rounding of float32 does to it."""
    result, rows = case.attribute("gradient"), np.arange(case.net.examples)
    rng = np.random.default_rng(case.net.seed)
    rounded = {name: value * (1 + 1e-6 * rng.uniform(-1, 1, value.shape)) for name, value in case.points.items()}
    true, other = (
        reference.flat(reference.gradient(case.twin, points, rows, result.target)) for points in (case.points, rounded)
    )
    least = reference.RESOLVED * np.abs(result.scores)
    return Finding(
        "gradient",
        {},
        worst("gradient against a tape", apart(case.flat(result), true, least), GRADIENT + apart(other, true, least)),
    )


def occlusion(case: Case) -> Finding:
    """Occlusion of one feature is the difference of two predictions."""
    if len(case.net.inputs) > 1 or len(case.references) > 1:
        return Finding("occlusion", {"left out": 1.0})
    (name,) = case.points
    result = case.attribute(ta.Occlusion(window=1, stride=1))
    x, rng = case.points[name], np.random.default_rng(case.net.seed)
    spatial = x.shape[1:-1] if x.ndim > 2 else x.shape[1:]
    position = tuple(int(rng.integers(size)) for size in spatial)
    hidden = x.copy()
    hidden[(slice(None), *position)] = case.references[0][name][(slice(None), *position)]
    lost = case.score({name: x}, result.target) - case.score({name: hidden}, result.target)
    found = result.attributions[(slice(None), *position)].reshape(len(x), -1)[:, 0]
    return Finding(
        "occlusion",
        {},
        worst(f"occlusion at {position}", np.abs(found - lost), 1e-4 * np.abs(result.scores) + 1e-3 * np.abs(lost) + 1e-5),
    )


# name -> the check, and one of how many nets it is made of by default
CHECKS: dict[str, tuple[Callable[[Case], Finding], int]] = {
    "integrated_gradients": (integrated_gradients, 1),
    "deeplift": (lambda case: deeplift(case, "rescale", "deeplift"), 3),
    "reveal_cancel": (lambda case: deeplift(case, "reveal_cancel", "reveal_cancel"), 5),
    "batch": (batch, 4),
    "export": (export, 7),
    "score": (score, 3),
    "gradient": (gradient, 3),
    "occlusion": (occlusion, 4),
}


def due(seed: int, names: list[str]) -> list[str]:
    """Which of the checks the net of this seed is for: costly ones are made of a part of the nets."""
    return [name for number, name in enumerate(names) if (seed + number) % CHECKS[name][1] == 0]


def examine(net: Net, names: list[str]) -> list[Finding]:
    """The findings of these checks; what the library refuses is kept in its words, any other failure is a violation."""
    keras.backend.clear_session()
    with build.quiet():
        case, found = Case(net), []
        for name in names:
            try:
                found.append(CHECKS[name][0](case))
            except ta.AttributionError as error:
                found.append(Finding(name, {}, refused=str(error)))
            except Exception as error:
                found.append(Finding(name, {}, (f"{type(error).__name__}: {str(error)[:300]}",)))
    return found
