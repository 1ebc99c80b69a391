"""Integrated gradients whose gradients are means over noisy copies of each point of the path."""

import dataclasses
from typing import Any

import numpy as np

from ..common.nested import flatten, rebuild
from ..engine.integral.refined import NOT_FINITE
from ..selection.baselines import Baseline, Several, zeros

# Copies that are done together take one part of so many of the memory of a call.
OF_MEMORY = 8
NOTE = (
    "what adds up are the noisy copies: the gap is that of their mean difference of scores from that of the example itself, "
    "and no error is estimated"
)


def smoothed(
    attributor: Any,
    inputs: dict[str, np.ndarray],
    target: Any,
    baselines: Any,
    method: Any,
    sigmas: dict[str, float],
    samples: int,
    seed: int | None = None,
    **options: Any,
) -> Any:
    """(x - x') · mean over noise e of the integral of dF/dx at x' + alpha (x - x') + e (Smilkov et al. 2017, arXiv:1706.03825,
    at each point of the path).

    Noise that is added to each point of a path moves the path as a whole: each term is the integrated gradients of x + e
    against x' + e. The same noise serves all examples, so that an example has the same numbers in any company.

    Args:
        inputs: (n, ...) by the model's keys.
        target: of x itself.
        baselines: of the inputs in `sigmas`, in their order, by key; or of the only one.
        sigmas: standard deviations of the noise, by key, in units of the input.
        samples: how many times noise is drawn.
    """
    plain = attributor.attribute(inputs, target, baselines, method, seed=seed, **options)
    rng, keys = np.random.default_rng(seed), list(flatten(plain.attributions))
    given = flatten(baselines) if isinstance(baselines, dict) else dict.fromkeys(keys, baselines)
    sums: dict[Any, Any] = dict.fromkeys(keys, 0.0)
    evaluations, count = 0, len(plain)
    drawn = [{key: _drawn(rng, inputs[key], sigma) for key, sigma in sigmas.items()} for _ in range(samples)]
    together = max(1, attributor.memory // OF_MEMORY // sum(value.nbytes for value in inputs.values()))
    for start in range(0, samples, together):
        some = drawn[start : start + together]
        copies = len(some)
        noise = {key: np.stack([one[key] for one in some]) for key in sigmas}
        moved = {
            key: np.concatenate([value + one for one in noise[key]]) if key in noise else np.concatenate([value] * copies)
            for key, value in inputs.items()
        }
        against = {key: _moved(given.get(key), inputs[name], own) for key, (name, own) in zip(keys, noise.items(), strict=True)}
        # an example that is marked has no target, and any will do
        targets = None if plain.target is None else np.concatenate([np.maximum(plain.target, 0)] * copies)
        found = attributor.attribute(moved, targets, rebuild(against), method, seed=seed, **options)
        for key, leaf in flatten(found.attributions).items():
            sums[key] = sums[key] + leaf.reshape(copies, count, *leaf.shape[1:]).sum(0, dtype=np.float64)
        evaluations = evaluations + found.evaluations.reshape(copies, count).sum(0)
    lost = np.zeros(count, bool) if plain.status is None else plain.status == NOT_FINITE
    dtype = next(iter(flatten(plain.attributions).values())).dtype
    found = dataclasses.replace(
        plain,
        attributions=rebuild({key: (leaf / samples).astype(dtype) for key, leaf in sums.items()}),
        method=f"{plain.method}, gradients averaged over {samples} noisy copies of each point",
        evaluations=plain.evaluations + evaluations,
        error_estimate=None,
        format_error=None,
        status=None if plain.status is None or not lost.any() else np.where(lost, plain.status, ""),
        residual=None,
        residual_clipped=None,
        narrow_at=None,
        notes=(*plain.notes, NOTE),
    )
    return dataclasses.replace(found, gap=found.totals - found.difference)


def _drawn(rng: np.random.Generator, x: np.ndarray, sigma: float) -> np.ndarray:
    return rng.normal(0, sigma, x.shape[1:]).astype(x.dtype) if sigma else np.zeros(x.shape[1:], x.dtype)


def _moved(baseline: Any, x: np.ndarray, noise: np.ndarray) -> Any:
    """The references of x (n, ...), for its copies with noise (copies, ...), one copy of all after the other: those of x, and
    noise."""
    if isinstance(baseline, Several):
        return Several(tuple(_moved(part, x, noise) for part in baseline.parts))
    own: Baseline = zeros() if baseline is None else baseline

    def make(moved: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        found = own.make(x, rng)  # drawn once: it is the same for all copies
        found = np.broadcast_to(found, (len(x), *found.shape)) if own.shared else found
        return np.concatenate([found + one for one in noise])

    return Baseline(f"{own.words}, and the noise of the copy", make, shared=False)
