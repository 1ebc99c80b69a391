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
from fixed_rules import FIXED, GRID, LEGENDRE, TARGETS, TOLERANCES, Fixed, fixed
from zoo import bumps
from zoo import report as zoo_report

import tf_attrib as ta

# The least difference of scores whose counts are judged.
JUDGED = 0.05
# Most evaluations, median and max, by tolerance, of nets that are convolutional or not.
REACH = {(0.05, False): (15, 30), (0.05, True): (40, 80), (0.01, False): (30, 50), (0.01, True): (170, 340)}
# Least share within the tolerance, and least ratio of doubling's evaluations to ours: everywhere, and on convolutional nets in
# the median at 1% (at 5% doubling itself often ends after 77, and an eighth of that is no more than the first nine nodes).
ACCURATE, FEWER, FEWER_CONVOLUTIONAL = 0.99, 3, 8


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
