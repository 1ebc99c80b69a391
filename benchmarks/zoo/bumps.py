"""How wide a bump of the gradient must be to be seen, where its two halves cancel in the sum and no score tells of it.

Half of the features have a gradient that rises and falls along the path, the other half the same with the opposite sign. A
carrier moves the score: evenly, late, early or in the middle. Integrals are known from the formula, so a whole population is
one call: what a bump is like are further columns of the input, the same at both ends of the path.
"""

import argparse
import dataclasses
import json

import keras
import numpy as np
import tensorflow as tf

import tf_attrib as ta

# Widths are those of exp(-(distance / width)²), places are where it is highest, both as parts of the path.
WIDTHS = (0.01, 0.015, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.25)
PLACES = np.arange(1, 20) / 20
CARRIERS, TOLERANCES, FEATURES = ("even", "late", "early", "middle"), (0.05, 0.01), 4
# One bump; or one of each sign, mirrored on the path, each in features of its own.
KINDS = ("one", "both signs")
# Missed: called converged at a true error of more than this many tolerances. From this width on none may be.
MISSED, SEEN = 2, 0.05
# The logit of a probability moves by this much, around nothing.
STEEP = 8.0
ROOT = np.sqrt(np.pi)


@dataclasses.dataclass(frozen=True)
class Missed:
    """What became of the bumps of one width, for one target and tolerance."""

    target: str
    tolerance: float
    width: float
    bumps: int
    converged: int
    beyond: int
    missed: int
    worst: float
    gradients: float


def population(seed: int, widths=WIDTHS) -> np.ndarray:
    """(n, 4): width, place, carrier and kind of each bump; places are jittered by the seed."""
    rows = np.array(
        [
            (width, place, carrier, kind)
            for width in widths
            for place in PLACES
            for carrier in range(len(CARRIERS))
            for kind in range(len(KINDS))
        ]
    )
    rows[:, 1] += np.random.default_rng(seed).uniform(-0.025, 0.025, len(rows))
    return rows


def carried(alpha, carrier, exp, where):
    """How far the score has moved, from 0 to 1, for arrays or tensors."""
    middle = 1 / (1 + exp(-(alpha - 0.5) * 25))
    return where(carrier < 0.5, alpha, where(carrier < 1.5, alpha**12, where(carrier < 2.5, 1 - (1 - alpha) ** 12, middle)))


def score(x: tf.Tensor) -> tf.Tensor:
    """(n,) of (n, FEATURES + 4)."""
    values, (width, place, carrier, kind) = x[:, :FEATURES], tf.unstack(x[:, FEATURES:], axis=1)
    alpha = tf.reduce_mean(values, 1)
    first, second = values[:, 0] - values[:, 1], values[:, 2] - values[:, 3]

    def bump(place):
        return tf.exp(-(((alpha - place) / width) ** 2)) / (2 * ROOT * width)

    there = bump(place)
    return carried(alpha, carrier, tf.exp, tf.where) + first * there + second * tf.where(kind < 0.5, there, -bump(1 - place))


class Logits(keras.layers.Layer):
    """Two logits that differ by the score, made steep."""

    def call(self, x):
        odds = STEEP * (score(x) - 0.5)
        return tf.stack([tf.zeros_like(odds), odds], 1)


def exact(rows: np.ndarray, probability: bool, panels: int = 400) -> np.ndarray:
    """(n, FEATURES): the integrals, by Gauss-Legendre nodes in many panels of the one-dimensional formula."""
    nodes, weights = np.polynomial.legendre.leggauss(8)
    alpha = ((np.arange(panels)[:, None] + (nodes + 1) / 2) / panels).ravel()
    weights = np.tile(weights / (2 * panels), panels)
    width, place, carrier, kind = (column[:, None] for column in rows.T)

    def slope(step=1e-6):
        there = [carried(np.clip(alpha + side, -1, 2)[None], carrier, np.exp, np.where) for side in (step, -step)]
        return (there[0] - there[1]) / (2 * step)

    def bump(place):
        return np.exp(-(((alpha - place) / width) ** 2)) / (2 * ROOT * width)

    first = bump(place)
    second = np.where(kind < 0.5, first, -bump(1 - place))
    if probability:
        odds = STEEP * (carried(alpha[None], carrier, np.exp, np.where) - 0.5)
        chance = 1 / (1 + np.exp(-odds))
        weights = weights * STEEP * chance * (1 - chance)
    even = slope() / FEATURES
    return np.stack([((even + side) * weights).sum(1) for side in (first, -first, second, -second)], 1)


def measured(rows: np.ndarray, target: str, tolerance: float) -> list[Missed]:
    """Runs the library on a population."""
    x = np.concatenate([np.ones((len(rows), FEATURES)), rows], 1).astype(np.float32)
    base = np.where(np.arange(x.shape[1]) < FEATURES, 0, x).astype(np.float32)
    inputs = keras.Input(x.shape[1:])
    model = keras.Model(inputs, keras.layers.Softmax()(Logits()(inputs))) if target == "probability" else score
    result = ta.Attributor(model).attribute(
        x, 1 if target == "probability" else None, base, verbose=False, method=ta.IntegratedGradients(tolerance)
    )
    wanted = exact(x[:, FEATURES:].astype(np.float64), target == "probability")
    multiple = np.abs(result.attributions[:, :FEATURES] - wanted).sum(1) / np.abs(wanted).sum(1) / tolerance
    found = []
    for width in np.unique(rows[:, 0]):
        some = rows[:, 0] == width
        wrong = multiple[some & result.converged]
        beyond, missed = (int((wrong > limit).sum()) for limit in (1, MISSED))
        found.append(
            Missed(
                target,
                tolerance,
                float(width),
                int(some.sum()),
                len(wrong),
                beyond,
                missed,
                float(wrong.max(initial=0)),
                float(np.median(result.evaluations[some])),
            )
        )
    return found


def run(options: argparse.Namespace) -> bool:
    """Prints the shares that are missed; whether none is at the widths that have to be seen."""
    rows = np.concatenate([population(seed) for seed in options.seed])
    if options.quick:
        rows = rows[::7]
    found = [
        one for target in ("score", "probability") for tolerance in TOLERANCES for one in measured(rows, target, tolerance)
    ]
    print("target      tolerance  width  bumps  converged   beyond   missed  worst multiple  gradients")
    for one in found:
        print(
            f"{one.target:12s}{one.tolerance:8.0%}  {one.width:6.3f} {one.bumps:6d} {one.converged:10d} "
            f"{one.beyond / max(one.converged, 1):7.1%} {one.missed / max(one.converged, 1):8.1%} {one.worst:15.2f} "
            f"{one.gradients:10.0f}"
        )
    if options.json:
        options.json.write_text(json.dumps([dataclasses.asdict(one) for one in found], indent=0))
    wide = sum(one.missed for one in found if one.width >= SEEN)
    print(
        f"{'FAIL' if wide else 'pass'}: {wide} of {sum(one.converged for one in found if one.width >= SEEN)} converged bumps "
        f"as wide as {SEEN:.0%} of the path or wider are missed (beyond {MISSED} tolerances)"
    )
    return not wide
