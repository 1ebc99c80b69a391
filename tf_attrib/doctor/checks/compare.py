"""Two attributions of the same example compared: ranks, directions and signs; and against other baselines."""

import numpy as np

from ...attribution import Attribution
from ...common.nested import flatten, rebuild
from ...result.similarity import rank_correlation_of
from ...selection import baselines as recipes
from .. import remedies
from ..case import Examination
from ..catalogue import finding
from ..report import Finding
from .embeddings import padding

# A feature is strong where it has at least this part of the largest magnitude.
STRONG = 0.1
# Median rank correlations: above the first the story is the same, below the second it is turned round;
# so may the signs of the strong features be.
ALIKE, UNLIKE, SIGNS = 0.5, -0.3, 0.3


def summed(case: Examination, result: Attribution, example: int) -> np.ndarray:
    """The attributions of an example as one vector; of embeddings, one number for each token."""
    parts = []
    for leaf in flatten(result.attributions).values():
        one = np.asarray(leaf[example], np.float64)
        parts.append((one.sum(-1) if case.place.kind == "embeddings" and one.ndim > 1 else one).ravel())
    return np.concatenate(parts)


def rows(case: Examination, other: Attribution) -> tuple[np.ndarray, np.ndarray]:
    """(m, features) each, the attributions of the first examples in both: those that are finite, and not zero throughout."""
    pairs = [(summed(case, case.result, i), summed(case, other, i)) for i in range(case.few)]
    pairs = [pair for pair in pairs if all(np.isfinite(one).all() and one.any() for one in pair)]
    if not pairs:
        return np.zeros((0, 0)), np.zeros((0, 0))
    return np.stack([own for own, _ in pairs]), np.stack([theirs for _, theirs in pairs])


def sign_changes(a: np.ndarray, b: np.ndarray) -> float:
    """The share of the features that are strong in both whose sign is another."""
    strong = (np.abs(a) >= STRONG * np.abs(a).max()) & (np.abs(b) >= STRONG * np.abs(b).max())
    return float(np.mean(np.sign(a[strong]) != np.sign(b[strong]))) if strong.any() else 0.0


def check_baselines(case: Examination) -> list[Finding]:
    """The same examples against one or two other baselines."""
    measured = {}
    # few examples are compared with one other baseline: two would cost more than they do themselves
    for words, call, baseline in _others(case)[: 1 if case.count <= case.few else 2]:
        found = case.coarsely(baselines=baseline)
        mine, its = rows(case, found)
        ranks = rank_correlation_of(mine, its) if len(mine) else np.zeros(0)
        if np.isfinite(ranks).any():
            measured[words] = (float(np.nanmedian(ranks)), float(np.mean(list(map(sign_changes, mine, its)))), call)
    if not measured:
        return []
    evidence = {
        "rank_correlation": {words: one[0] for words, one in measured.items()},
        "share_that_changes_sign": {words: one[1] for words, one in measured.items()},
    }
    worst = min(measured, key=lambda words: measured[words][0] - measured[words][1])
    said = "; ".join(
        f"against {words} {ranks:.2f} ({signs:.0%} of the strong features change sign)"
        for words, (ranks, signs, _) in measured.items()
    )
    said = f"Rank correlation of these attributions with those {said}"
    lowest = min(one[0] for one in measured.values())
    if lowest >= ALIKE and max(one[1] for one in measured.values()) <= SIGNS:
        return [finding("baselines_compared", "passed", evidence, f"{said}: much the same story.")]
    remedy = remedies.attribute(case, baselines=measured[worst][2])
    if lowest >= UNLIKE:
        return [
            finding(
                "baselines_compared",
                "note",
                evidence,
                f"{said}: what is seen depends on the baseline, that is, on the question. Say which one it is.",
                remedy,
            )
        ]
    return [finding("baselines_compared", "warning", evidence, f"{said}: another baseline turns the story round.", remedy)]


def _others(case: Examination) -> list[tuple[str, str, object]]:
    """(words, call, baseline) of baselines that suit the data, other than the given one."""
    if case.place.kind == "embeddings":
        return _of_embeddings(case)
    x = case.x
    spread = min(float(value.std()) for value in x.values())
    (_, values), *more = x.items()
    if not more and case.place.kind == "inputs" and values.ndim == 4 and min(values.shape[1:3]) >= 4:
        low, high = float(values.min()), float(values.max())
        sigma = max(min(values.shape[1:3]) / 8, 1)
        blurred = recipes.blur(sigma)
        own = np.array_equal(blurred.make(values, np.random.default_rng(0))[:, 0], case.reference(next(iter(x)), 0))
        found: list[tuple[str, str, object]]
        found = [] if own else [(f"the image blurred (sigma {sigma:g})", f"ta.blur({sigma:g})", blurred)]
        noise = (f"uniform noise in [{low:.3g}, {high:.3g}]", remedies.other_baseline(case), recipes.uniform(1, low, high))
        return [*found, noise] if high > low else found
    mean = remedies.mean_input(case) if spread > 0 else None
    if mean is None or (case.place.kind == "inputs" and not _differs(case)):
        return []
    return [("the mean of these inputs", *mean)]


def _differs(case: Examination) -> bool:
    """Whether the given baseline is not the mean of these inputs."""
    return any((case.reference(key, 0) != value.mean(0).astype(value.dtype)).any() for key, value in case.x.items())


def _of_embeddings(case: Examination) -> list[tuple[str, str, object]]:
    """Padding, where its id is known, and the mean of the embeddings at hand."""
    found, zero = [], all(not case.reference(key, 0).any() for key in case.x)
    token = padding(case)
    texts = any(value.dtype.kind in "OSU" for value in case.work.arrays.values())
    # a text of padding has not as many words as others, where the longest of a batch tells how many these have
    fits = not texts or all(None not in port.tensor.shape[1:] for port in case.place.ports.values())
    if token is not None and zero and fits:
        found.append((f"padding (token {token})", *remedies.token(case, token)))
    if not zero:
        found.append(("the zero vector", "ta.zeros()", recipes.zeros()))
    means = {key: recipes.constant(value.reshape(-1, value.shape[-1]).mean(0)) for key, value in case.x.items()}
    call = remedies.some_inputs(case) if case.count >= remedies.ENOUGH else remedies.other_baseline(case)
    found.append(("the mean of these embeddings", call, rebuild(means)))
    return found
