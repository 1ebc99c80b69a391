"""How many gradients integrated gradients take to a stated accuracy, and whether the statement is true.

    python benchmarks/accuracy.py [--quick] [--examples 60] [--nets "digits CNN" ...]

Seven small nets are trained from fixed seeds (`nets.py`). True errors are relative L1 errors against a trapezoid whose steps
are doubled, by gradients that are taken here, until it moves by less than a tenth of the smaller tolerance. Counts are those
of examples whose score differs from the baseline's by at least 0.05, accuracy is that of all. "Best number" is the smallest
that an example turns out to need; "doubled" is 25, 50, 100, ... steps, each run anew, until the vector moves by no more than
the tolerance. Evaluations are gradients; the trapezoid with n steps takes n + 1.

    python benchmarks/accuracy.py --zoo [--families ResNet,RBF] [--seed 0 1] [--examples 6] [--cache DIR] [--json FILE]

judges many families of small nets instead, random and trained, against references in float64 (`zoo.report`; with `--before
FILE`, of an earlier `--json`, gradients are compared), and

    python benchmarks/accuracy.py --bumps [--seed 0 1] [--json FILE]

how narrow a bump of the gradient that no score tells of may be to be seen (`zoo.bumps`). Both end with exit status 1 where too
much is wrong, and take `--quick`.
"""

import argparse
import dataclasses
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import nets
import numpy as np
import tensorflow as tf
from zoo import bumps
from zoo import report as zoo_report

import tf_attrib as ta

TARGETS, TOLERANCES = ("probability", "logits"), (0.05, 0.01)
# The reference moves by less than this when its steps are doubled.
CONVERGED = 0.1 * min(TOLERANCES)
# Steps of the grid whose divisors are the trapezoid's candidates; from there on steps are only doubled.
GRID, FIRST, FIXED = 1600, 25, 50
DIVISORS = [n for n in range(2, GRID + 1) if GRID % n == 0]
LEGENDRE = (
    4,
    5,
    6,
    7,
    8,
    10,
    12,
    14,
    16,
    20,
    24,
    28,
    32,
    40,
    FIXED,
    56,
    64,
    80,
    96,
    112,
    128,
    160,
    192,
    224,
    256,
    320,
    384,
    448,
    512,
    640,
    768,
    896,
    1024,
)
# Rows in a block, and the least difference of scores whose counts are judged.
BLOCK, JUDGED = 256, 0.05
# Most evaluations, median and max, by tolerance, of nets that are convolutional or not.
REACH = {(0.05, False): (15, 30), (0.05, True): (40, 80), (0.01, False): (30, 50), (0.01, True): (170, 340)}
# Least share within the tolerance, and least ratio of doubling's evaluations to ours: everywhere, and on convolutional nets in
# the median at 1% (at 5% doubling itself often ends after 77, and an eighth of that is no more than the first nine nodes).
ACCURATE, FEWER, FEWER_CONVOLUTIONAL = 0.99, 3, 8


class Paths:
    """Straight paths from zeros to examples, and integrals along them by given nodes and weights, without the library."""

    def __init__(self, net: nets.Net, classes: np.ndarray):
        self.selected, self.classes, shape = net.selected, classes.astype(np.int32), net.selected.shape[1:]

        @tf.function(
            input_signature=[tf.TensorSpec([BLOCK, *shape]), tf.TensorSpec([BLOCK]), tf.TensorSpec([BLOCK], tf.int32)],
            autograph=False,
        )
        def block(x, alpha, target):
            rows = x * tf.reshape(alpha, [BLOCK] + [1] * len(shape))
            with tf.GradientTape(persistent=True) as tape:
                tape.watch(rows)
                logits = net.body(rows, training=False)
                logit = tf.gather(logits, target, batch_dims=1)
                others = tf.where(tf.one_hot(target, logits.shape[1]) > 0, tf.constant(-np.inf, logits.dtype), logits)
                odds = logit - tf.reduce_logsumexp(others, 1)
            steep = tf.sigmoid(odds) * tf.sigmoid(-odds)  # of the probability; 1 - p would have lost its digits
            probability = tf.reshape(tape.gradient(odds, rows) * x, [BLOCK, -1]) * steep[:, None]
            return tf.stack([probability, tf.reshape(tape.gradient(logit, rows) * x, [BLOCK, -1])], 1)

        self._block = block

    def integrals(self, examples: np.ndarray, nodes: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Of each of `examples` by several rules with the same nodes: (rules, examples, targets, features), in float64.

        Args:
            nodes: (nodes,), from 0 to 1.
            weights: (rules, nodes).
        """
        count = len(examples) * len(nodes)
        found = np.zeros((len(weights), len(examples), len(TARGETS), int(np.prod(self.selected.shape[1:]))))
        for start in range(0, count, BLOCK):
            which, node = np.divmod(np.minimum(np.arange(start, start + BLOCK), count - 1), len(nodes))
            own = examples[which]
            vectors = self._block(self.selected[own], nodes[node].astype(np.float32), self.classes[own]).numpy()
            real = np.arange(BLOCK) < count - start
            for i in np.unique(which):
                rows = real & (which == i)
                found[:, i] += np.tensordot(weights[:, node[rows]], vectors[rows].astype(np.float64), 1)
        return found


@dataclasses.dataclass(frozen=True, eq=False)
class Fixed:
    """What fixed rules give for a net's examples; arrays are (targets, examples).

    Attributes:
        reference: (targets, examples, features), and `norm`: its L1 norm.
        converged: whether the reference is.
        trapezoid, legendre: errors by number of steps; infinite where a rule with fewer steps was good enough already.
        moves: by number of steps, how far the trapezoid with these is from that with half as many, relative to itself.
    """

    reference: np.ndarray
    norm: np.ndarray
    converged: np.ndarray
    trapezoid: dict[int, np.ndarray]
    legendre: dict[int, np.ndarray]
    moves: dict[int, np.ndarray]

    def errors(self, vectors: np.ndarray, examples=slice(None)) -> np.ndarray:
        """Relative to the reference, of (targets, examples, features)."""
        return np.abs(vectors - self.reference[:, examples]).sum(2) / self.norm[:, examples]

    def best(self, rule: dict[int, np.ndarray], target: int, tolerance: float, more: int = 0) -> np.ndarray:
        """The fewest evaluations that reach the tolerance, infinite where none of the candidates does.

        Args:
            more: evaluations beyond the number of steps.
        """
        fewest = np.full(self.norm.shape[1], np.inf)
        for steps in sorted(rule, reverse=True):
            fewest[rule[steps][target] <= tolerance] = steps + more
        return fewest

    def doubled(self, target: int, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
        """Evaluations until the vector moves by no more than the tolerance: each run anew, and with nodes taken over."""
        spent, kept = np.full((2, self.norm.shape[1]), np.inf)
        ends = [FIRST, *sorted(self.moves)]
        for i in range(len(ends) - 1, 0, -1):
            agrees = self.moves[ends[i]][target] <= tolerance
            spent[agrees], kept[agrees] = sum(ends[: i + 1]) + i + 1, ends[i] + 1
        return spent, kept


def trapezoid(steps: int) -> np.ndarray:
    """The weights of the trapezoid with `steps` steps on the grid: (GRID + 1,)."""
    weights = np.zeros(GRID + 1)
    weights[:: GRID // steps] = 1 / steps
    weights[[0, -1]] /= 2
    return weights


def fixed(net: nets.Net, classes: np.ndarray, most: int, legendre: list[int]) -> Fixed:
    """Runs the fixed rules.

    Args:
        most: steps of the reference, at which it is given up.
        legendre: the numbers of nodes that are tried.
    """
    paths, everyone = Paths(net, classes), np.arange(len(classes))
    grid = [
        paths.integrals(everyone[i : i + 1], np.linspace(0, 1, GRID + 1), np.stack([trapezoid(n) for n in DIVISORS]))
        for i in everyone
    ]
    ladder = dict(zip(DIVISORS, np.concatenate(grid, 1).swapaxes(1, 2), strict=True))
    steps, moves = FIRST, {}
    while steps < GRID:
        steps *= 2
        moves[steps] = _moved(ladder[steps // 2], ladder[steps])
    while steps < most and (pending := np.flatnonzero((moves[steps] > CONVERGED).any(0))).size:
        middles = paths.integrals(pending, (np.arange(steps) + 0.5) / steps, np.full((1, steps), 1 / steps))[0]
        finer = ladder[steps].copy()
        finer[:, pending] = (finer[:, pending] + middles.swapaxes(0, 1)) / 2
        steps *= 2
        ladder[steps], moves[steps] = finer, _moved(ladder[steps // 2], finer)  # those that had converged do not move
    reference = ladder[steps]
    norm = np.maximum(np.abs(reference).sum(2), np.finfo(float).tiny)
    found = Fixed(reference, norm, moves[steps] <= CONVERGED, {}, {}, moves)
    found.trapezoid.update({n: found.errors(vectors) for n, vectors in ladder.items()})
    left = everyone
    for n in legendre:
        nodes, weights = np.polynomial.legendre.leggauss(n)
        errors = np.full(norm.shape, np.inf)
        tried = everyone if n == FIXED else left
        if len(tried):
            vectors = paths.integrals(tried, (nodes + 1) / 2, weights[None] / 2)[0].swapaxes(0, 1)
            errors[:, tried] = found.errors(vectors, tried)
        found.legendre[n] = errors
        left = left[(errors[:, left] > min(TOLERANCES)).any(0)]
    return found


def _moved(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    return np.abs(after - before).sum(2) / np.maximum(np.abs(after).sum(2), np.finfo(float).tiny)


@dataclasses.dataclass(frozen=True, eq=False)
class Reached:
    """What was found of one net, target and tolerance, for examples that count."""

    net: nets.Net
    target: str
    tolerance: float
    evaluations: np.ndarray
    misses: np.ndarray
    doubled: np.ndarray

    @property
    def ratios(self) -> tuple[float, float]:
        """How many times as many evaluations doubling takes: the median over examples, and of all together."""
        return float(median(self.doubled / self.evaluations)), float(self.doubled.sum() / self.evaluations.sum())


def median(values: np.ndarray) -> float:
    return np.quantile(values, 0.5, method="inverted_cdf")


def spread(values: np.ndarray) -> str:
    """Median / p95 / max."""
    found = np.quantile(values, (0.5, 0.95, 1), method="inverted_cdf")
    return "/".join(f"{value:.0f}" if np.isfinite(value) else "more" for value in found)


def share(misses: np.ndarray) -> str:
    return f"{100 * misses.mean():5.1f}%"


def line(words: str, counts: str = "", missed: str = "", remark: str = "") -> None:
    print(f"    {words:44s} {counts:>18s}   {missed:>6s}   {remark}".rstrip(), flush=True)


def report(net: nets.Net, attributor: ta.Attributor, classes: np.ndarray, rules: Fixed, target: str) -> list[Reached]:
    """Prints one net's table for one target."""
    number, found = TARGETS.index(target), []
    known = rules.converged[number]
    for tolerance in TOLERANCES:
        result = attributor.attribute(net.inputs, classes, method=ta.IntegratedGradients(tolerance), verbose=False)
        judged = np.abs(result.difference) >= JUDGED
        error = np.abs(result.attributions.reshape(len(classes), -1) - rules.reference[number]).sum(1) / rules.norm[number]
        misses = ~(error <= tolerance)[known]
        spent, kept = rules.doubled(number, tolerance)
        reached = Reached(net, target, tolerance, result.evaluations[judged], misses, spent[judged])
        found.append(reached)
        print(
            f"\n  {net.name}, {target}, to {tolerance:.0%}: counts of {judged.sum()} examples, accuracy of {known.sum()} "
            f"({(~known).sum()} references not converged)"
        )
        line("", "median/p95/max", "missed")
        worst = (error / tolerance)[known].max(initial=0)
        line(
            f"IntegratedGradients(tolerance={tolerance:g})",
            spread(reached.evaluations),
            share(misses),
            f"worst error {worst:.2f} of the tolerance; {(~result.converged).sum()} flagged",
        )
        line("  forward-only rows beside these", spread(result.forward_evaluations[judged]))
        ours = median(reached.evaluations)
        for name, rule, more in (("trapezoid", rules.trapezoid, 1), ("Gauss-Legendre", rules.legendre, 0)):
            line(f"{name}, {FIXED} steps", str(FIXED + more), share((rule[FIXED][number] > tolerance)[known]))
            best = rules.best(rule, number, tolerance, more)[judged & known]
            line(f"{name}, best number known in advance", spread(best), "", "<- cheaper" if median(best) < ours else "")
        doubled_error = errors_when_doubled(rules, number, tolerance)
        line(
            "trapezoid, doubled until vectors agree",
            spread(reached.doubled),
            share((doubled_error > tolerance)[known]),
            "{:.1f} times ours in the median, {:.1f} times in all".format(*reached.ratios),
        )
        line("  with all nodes taken over", spread(kept[judged]), "", f"{median(kept[judged] / reached.evaluations):.1f} times")
    return found


def errors_when_doubled(rules: Fixed, target: int, tolerance: float) -> np.ndarray:
    """(examples,), the true error where doubling stops; infinite where it does not."""
    error = np.full(rules.norm.shape[1], np.inf)
    for steps in sorted(rules.moves, reverse=True):
        agrees = rules.moves[steps][target] <= tolerance
        error[agrees] = rules.trapezoid[steps][target][agrees]
    return error


def measure(name: str, options: argparse.Namespace) -> list[Reached]:
    """Trains one net and prints its tables."""
    start = time.perf_counter()
    net = nets.make(name, options.examples)
    trained = time.perf_counter()
    classes = np.asarray(net.model(net.inputs, training=False)).argmax(1)
    rules = fixed(net, classes, options.most, [n for n in LEGENDRE if n <= options.legendre])
    print(f"\n{net.name}: right on {net.accuracy:.1%} of those held out; {len(classes)} are explained, at {net.at}", flush=True)
    found = []
    for target in TARGETS:
        found += report(net, ta.Attributor(net.model, at=net.at, of=target), classes, rules, target)
    print(f"  {trained - start:.0f} s for training, {time.perf_counter() - trained:.0f} s for the rest", flush=True)
    return found


def counts(name: str, examples: int) -> None:
    """Trains one net and prints the rule's own gradients alone: median/p95/max of examples that count, by target."""
    net = nets.make(name, examples)
    classes = np.asarray(net.model(net.inputs, training=False)).argmax(1)
    for target in TARGETS:
        for tolerance in TOLERANCES:
            result = ta.Attributor(net.model, at=net.at, of=target).attribute(
                net.inputs, classes, method=ta.IntegratedGradients(tolerance), verbose=False
            )
            line(
                f"{net.name}, {target}, to {tolerance:.0%}",
                spread(result.evaluations[np.abs(result.difference) >= JUDGED]),
                "",
                f"{(~result.converged).sum()} flagged",
            )


def verdict(passed: bool, words: str) -> None:
    print(f"  {'pass' if passed else 'FAIL'}  {words}")


def judge(found: list[Reached]) -> None:
    """Prints a line for each number that is judged."""
    print("\nVerdict on the probability target")
    for one in found:
        if one.target != "probability":
            continue
        most, longest = REACH[one.tolerance, one.net.convolutional]
        middle, largest, name = median(one.evaluations), one.evaluations.max(), f"{one.net.name}, {one.tolerance:.0%}"
        verdict(middle <= most, f"{name}: median {middle} evaluations (at most {most})")
        verdict(largest <= longest, f"{name}: max {largest} evaluations (at most {longest})")
        verdict(min(one.ratios) >= FEWER, f"{name}: doubling takes {min(one.ratios):.1f} times as many (at least {FEWER})")
        if one.net.convolutional and one.tolerance == min(TOLERANCES):
            verdict(
                one.ratios[0] >= FEWER_CONVOLUTIONAL,
                f"{name}: doubling takes {one.ratios[0]:.1f} times as many in the median (at least {FEWER_CONVOLUTIONAL})",
            )
    for target in TARGETS:
        for tolerance in TOLERANCES:
            misses = np.concatenate([one.misses for one in found if (one.target, one.tolerance) == (target, tolerance)])
            verdict(
                1 - misses.mean() >= ACCURATE,
                f"{target}, {tolerance:.0%}: {1 - misses.mean():.2%} of {len(misses)} "
                f"examples within the tolerance (at least {ACCURATE:.0%})",
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, help="of each net: 60 of the seven, 6 of the zoo")
    parser.add_argument("--nets", nargs="+", default=list(nets.NETS), choices=nets.NETS, help="these alone of the seven")
    parser.add_argument("--quick", action="store_true", help="few examples of each net, and fewer candidates of fixed rules")
    other = parser.add_mutually_exclusive_group()
    other.add_argument("--zoo", action="store_true", help="many families of small nets instead")
    parser.add_argument("--exported", action="store_true", help="of the zoo, the rule of exported signatures")
    other.add_argument("--counts", action="store_true", help="of the seven nets the rule's gradients, without references")
    other.add_argument("--bumps", action="store_true", help="a population of bumps instead")
    parser.add_argument(
        "--families",
        type=lambda words: words.split(","),
        default=[],
        metavar="A,B",
        help="these of the zoo, by names or words in them",
    )
    parser.add_argument("--seed", type=int, nargs="+", default=[0], help="of the zoo's weights and data, or of the bumps")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where the zoo's weights and references are kept")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where results of the zoo or of the bumps are written")
    parser.add_argument("--before", type=Path, metavar="FILE", help="such a file of an earlier run of the zoo, to compare with")
    options = parser.parse_args()
    if options.zoo or options.bumps:
        options.examples = 2 if options.quick else options.examples or 6
        raise SystemExit(0 if (zoo_report if options.zoo else bumps).run(options) else 1)
    options.examples = options.examples or 60
    if options.counts:
        for name in options.nets:
            counts(name, options.examples)
        return
    options.most, options.legendre = GRID * 32, max(LEGENDRE)
    if options.quick:
        options.examples, options.most, options.legendre = min(options.examples, 12), GRID * 8, 256
    start = time.perf_counter()
    judge([one for name in options.nets for one in measure(name, options)])
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
