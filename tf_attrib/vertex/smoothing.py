"""Integrated gradients whose gradients are means over noisy copies of each point of the path."""

import dataclasses
from typing import Any

import numpy as np

from ..common.nested import flatten, rebuild
from ..selection.baselines import Baseline, Several, zeros

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
    evaluations = 0
    target = plain.target if target is None else target
    for _ in range(samples):
        noise = {key: _drawn(rng, inputs[key], sigma) for key, sigma in sigmas.items()}
        moved = {key: value + noise[key] if key in noise else value for key, value in inputs.items()}
        against = {key: _moved(given.get(key), one) for key, one in zip(keys, noise.values(), strict=True)}
        one = attributor.attribute(moved, target, rebuild(against), method, seed=seed, **options)
        sums = {key: sums[key] + leaf.astype(np.float64) for key, leaf in flatten(one.attributions).items()}
        evaluations = evaluations + one.evaluations
    dtype = next(iter(flatten(plain.attributions).values())).dtype
    found = dataclasses.replace(
        plain,
        attributions=rebuild({key: (leaf / samples).astype(dtype) for key, leaf in sums.items()}),
        method=f"{plain.method}, gradients averaged over {samples} noisy copies of each point",
        evaluations=plain.evaluations + evaluations,
        error_estimate=None,
        format_error=None,
        status=None,
        residual=None,
        residual_clipped=None,
        narrow_at=None,
        notes=(*plain.notes, NOTE),
    )
    return dataclasses.replace(found, gap=found.totals - found.difference)


def _drawn(rng: np.random.Generator, x: np.ndarray, sigma: float) -> np.ndarray:
    return rng.normal(0, sigma, x.shape[1:]).astype(x.dtype) if sigma else np.zeros(x.shape[1:], x.dtype)


def _moved(baseline: Any, noise: np.ndarray) -> Any:
    """The references of x, for x + noise: those of x, and noise."""
    if isinstance(baseline, Several):
        return Several(tuple(_moved(part, noise) for part in baseline.parts))
    own: Baseline = zeros() if baseline is None else baseline

    def make(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return own.make(x - noise, rng) + noise

    return Baseline(f"{own.words}, and the noise of the copy", make, shared=own.shared)
