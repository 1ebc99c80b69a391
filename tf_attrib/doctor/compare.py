"""Two attributions of the same example compared: ranks, directions and signs; and against other baselines."""

import numpy as np

from .. import baselines as recipes
from ..attribution import Attribution
from ..structure import flatten, rebuild
from .case import Case
from .catalogue import finding
from .findings import Finding
from .words import padding

# A feature is strong where it has at least this part of the largest magnitude.
STRONG = 0.1
# Median rank correlations: above the first the story is the same, below the second it is turned round;
# so may the signs of the strong features be.
ALIKE, UNLIKE, SIGNS = 0.5, -0.3, 0.3


def summed(case: Case, result: Attribution, example: int) -> np.ndarray:
    """The attributions of an example as one vector; of embeddings, one number for each token."""
    parts = []
    for leaf in flatten(result.attributions).values():
        one = np.asarray(leaf[example], np.float64)
        parts.append((one.sum(-1) if case.place.kind == "embeddings" and one.ndim > 1 else one).ravel())
    return np.concatenate(parts)


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's: the correlation of the ranks, equal values sharing theirs; 0 where one of them is constant."""
    a, b = (_ranks(values) for values in (a, b))
    a, b = a - a.mean(), b - b.mean()
    norm = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / norm) if norm else 0.0


def _ranks(values: np.ndarray) -> np.ndarray:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts - 1) / 2)[inverse]


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """The cosine of the angle between two vectors; 0 where one is zero."""
    norm = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / norm) if norm else 0.0


def sign_changes(a: np.ndarray, b: np.ndarray) -> float:
    """The share of the features that are strong in both whose sign is another."""
    strong = (np.abs(a) >= STRONG * np.abs(a).max()) & (np.abs(b) >= STRONG * np.abs(b).max())
    return float(np.mean(np.sign(a[strong]) != np.sign(b[strong]))) if strong.any() else 0.0


def check_baselines(case: Case) -> list[Finding]:
    """The same examples against one or two other baselines."""
    measured = {}
    # one example is compared with one other baseline: two would cost more than it does itself
    for words, call, baseline in _others(case)[:min(case.count, 2)]:
        found = case.coarsely(baselines=baseline)
        pairs = [(summed(case, case.result, i), summed(case, found, i)) for i in range(case.few)]
        pairs = [(a, b) for a, b in pairs if np.isfinite(a).all() and np.isfinite(b).all() and a.any() and b.any()]
        if pairs:
            measured[words] = (float(np.median([rank_correlation(*pair) for pair in pairs])),
                               float(np.mean([sign_changes(*pair) for pair in pairs])), call)
    if not measured:
        return []
    evidence = {"rank_correlation": {words: one[0] for words, one in measured.items()},
                "share_that_changes_sign": {words: one[1] for words, one in measured.items()}}
    worst = min(measured, key=lambda words: measured[words][0] - measured[words][1])
    said = "; ".join(f"against {words} {ranks:.2f} ({signs:.0%} of the strong features change sign)"
                     for words, (ranks, signs, _) in measured.items())
    said = f"Rank correlation of these attributions with those {said}"
    lowest = min(one[0] for one in measured.values())
    if lowest >= ALIKE and max(one[1] for one in measured.values()) <= SIGNS:
        return [finding("baselines_compared", "passed", evidence, f"{said}: much the same story.")]
    remedy = f"attributor.attribute(inputs, baselines={measured[worst][2]})"
    if lowest >= UNLIKE:
        return [finding("baselines_compared", "note", evidence, f"{said}: what is seen depends on the baseline, that is, on "
                        "the question. Say which one it is.", remedy)]
    return [finding("baselines_compared", "warning", evidence, f"{said}: another baseline turns the story round.", remedy)]


def _others(case: Case) -> list[tuple[str, str, object]]:
    """(words, call, baseline) of baselines that suit the data, other than the given one."""
    if case.place.kind == "embeddings":
        return _of_embeddings(case)
    x = case.x
    means = {key: value.mean(0).astype(value.dtype) for key, value in x.items()}
    spread = min(float(value.std()) for value in x.values())
    (_, values), *more = x.items()
    if not more and values.ndim == 4 and min(values.shape[1:3]) >= 4:
        low, high = float(values.min()), float(values.max())
        sigma = max(min(values.shape[1:3]) / 8, 1)
        found = [(f"the image blurred (sigma {sigma:g})", f"ta.blur({sigma:g})", recipes.blur(sigma))]
        noise = (f"uniform noise in [{low:.3g}, {high:.3g}]", f"ta.uniform(8, {low:.3g}, "
                                                              f"{high:.3g})", recipes.uniform(1, low, high))
        return [*found, noise] if high > low else found
    if case.count > 1 and spread > 0:
        mean = {key: recipes.constant(value) for key, value in means.items()}
        differs = any((case.reference(key, 0) != means[key]).any() for key in x)
        return [("the mean of these inputs", "ta.constant(inputs.mean(0))", rebuild(mean))] if differs else []
    return []


def _of_embeddings(case: Case) -> list[tuple[str, str, object]]:
    """Padding, where its id is known, and the mean of the embeddings at hand."""
    found, zero = [], all(not case.reference(key, 0).any() for key in case.x)
    token = padding(case)
    if token is not None and zero:
        found.append((f"padding (token {token})", f"ta.token({token})", recipes.token(token)))
    if not zero:
        found.append(("the zero vector", "ta.zeros()", recipes.zeros()))
    means = {key: recipes.constant(value.reshape(-1, value.shape[-1]).mean(0)) for key, value in case.x.items()}
    found.append(("the mean of these embeddings", "ta.constant(embeddings.mean((0, 1)))", rebuild(means)))
    return found
