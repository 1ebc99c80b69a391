"""Integrated gradients on every family against references in float64: is what is called converged within its tolerance?

Each net is attributed for each of its targets (probability and logit, or its score), against zeros, the data's mean and noise
(averaged over its draws), to 5% and to 1%. The error is L1(attributions - reference) / L1(reference). References are proven
(`references`); those that are not are counted, and judge nothing.
"""

import argparse
import dataclasses
import itertools
import json
import time
import warnings
from pathlib import Path

import numpy as np

import tf_attrib as ta

from . import pictures, series, tables, text
from .exported import Explained, explained
from .family import BASELINES, TARGETS, Family, Net, make
from .references import Reference, references

TOLERANCES = (0.05, 0.01)
# What the whole zoo is judged by: the share of converged rows beyond their tolerance, and how far beyond it any may be.
BEYOND, FAR = 0.005, 2.0
# Raised when references are made otherwise, so that older files are not read.
VERSION = 2


def families() -> dict[str, Family]:
    """All of them by name."""
    found = [one for module in (text, pictures, series, tables) for one in module.families()]
    return {one.name: one for one in found}


@dataclasses.dataclass(frozen=True)
class Row:
    """What was found of one example, target, baseline and tolerance.

    Attributes:
        error: the true error; None where the reference was not accepted, or attributions are not finite. `multiple`: of the
            tolerance. What is not finite is infinitely wrong.
        estimate: None where it is not finite.
        accepted, gap, change: whether there is a reference, and what proves it (see `Reference`).
        finite: whether attributions are.
    """

    family: str
    seed: int
    target: str
    baseline: str
    tolerance: float
    example: int
    status: str
    error: float | None
    estimate: float | None
    evaluations: int
    forward: int
    accepted: bool
    gap: float | None
    change: float | None
    finite: bool

    @property
    def multiple(self) -> float:
        return self.error / self.tolerance if self.finite else np.inf

    @property
    def hidden(self) -> bool:
        """Whether attributions that are not finite stand beside a finite estimate."""
        return not self.finite and self.estimate is not None

    @property
    def key(self) -> tuple:
        """What is the same in another run."""
        return self.family, self.seed, self.target, self.baseline, self.tolerance, self.example

    @property
    def judged(self) -> bool:
        return self.accepted and self.status == "converged"


def measure(net: Net, found: dict[tuple[str, str], Reference], exported: bool = False) -> list[Row]:
    """Runs the library on one net, or what it exports."""
    rows, first = [], ta.Attributor(net.model, at=net.at)
    for target in TARGETS[net.family.head]:
        attributor = first if target == "score" else first.explaining(target)
        for baseline in BASELINES:
            reference = found[target, baseline]
            for tolerance in TOLERANCES:
                method = ta.IntegratedGradients(tolerance)
                result = (
                    explained(attributor, net.inputs, net.target, net.baselines[baseline], net.seed, method)
                    if exported
                    else attributor.attribute(
                        net.inputs,
                        net.target,
                        net.baselines[baseline],
                        seed=net.seed,
                        verbose=False,
                        method=method,
                        on_error="mark",
                    )
                )
                rows += _rows(net, target, baseline, tolerance, result, reference)
    return rows


def _rows(
    net: Net, target: str, baseline: str, tolerance: float, result: ta.Attribution | Explained, reference: Reference
) -> list[Row]:
    vectors = np.asarray(result.attributions, np.float64).reshape(len(result), -1)
    finite = np.isfinite(vectors).all(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.abs(vectors - reference.vectors).sum(1) / np.abs(reference.vectors).sum(1)
    known = reference.accepted & finite
    return [
        Row(
            net.family.name,
            net.seed,
            target,
            baseline,
            tolerance,
            i,
            str(result.status[i]),
            float(error[i]) if known[i] else None,
            _known(result.error_estimate[i]),
            int(result.evaluations[i]),
            int(result.forward_evaluations[i]),
            bool(reference.accepted[i]),
            _known(reference.gap[i]),
            _known(reference.change[i]),
            bool(finite[i]),
        )
        for i in range(len(result))
    ]


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def prepared(family: Family, seed: int, examples: int, cache: Path | None) -> tuple[Net, dict[tuple[str, str], Reference]]:
    """A net and its references, from the cache where it has them and they are of the same net."""
    words = "".join(letter if letter.isalnum() else "-" for letter in family.name)
    file = cache / f"{words}-{seed}-{examples}-v{VERSION}.npz" if cache else None
    if file and file.exists() and (kept := _read(file, family, seed, examples)):
        return kept
    net = make(family, seed, examples)
    found = references(net)
    if file:
        cache.mkdir(parents=True, exist_ok=True)
        arrays = {"/".join((*key, name)): value for key, one in found.items() for name, value in vars(one).items()}
        arrays |= {f"weight{i}": value for i, value in enumerate(net.model.get_weights())}
        np.savez(file, fingerprint=_fingerprint(net), **arrays)
    return net, found


def _read(file: Path, family: Family, seed: int, examples: int) -> tuple[Net, dict[tuple[str, str], Reference]] | None:
    """What was kept; None where the family's layers or data are others by now."""
    with np.load(file) as kept:
        weights = [kept[f"weight{i}"] for i in range(sum(name.startswith("weight") for name in kept.files))]
        try:
            net = make(family, seed, examples, weights)
        except ValueError:  # weights of other shapes
            return None
        now, before = _fingerprint(net), kept["fingerprint"]
        if now.shape != before.shape or not np.allclose(now, before, rtol=1e-4, atol=1e-6):
            return None
        names = [field.name for field in dataclasses.fields(Reference)]
        return net, {
            (target, baseline): Reference(*(kept[f"{target}/{baseline}/{name}"] for name in names))
            for target in TARGETS[family.head]
            for baseline in BASELINES
        }


def _fingerprint(net: Net) -> np.ndarray:
    """What a reference depends on: examples, baselines, and what the net makes of the former."""
    parts = [net.selected, *net.references.values(), net.model(net.inputs, training=False)]
    return np.concatenate([np.asarray(part).ravel() for part in parts])


HEADINGS = f"{'':50s} rows  conv beyond twice  worst   gradients narrow  max  bad  no ref     seconds"


def line(name: str, rows: list[Row], remark: str = "") -> str:
    """One line of the report."""
    judged = [row for row in rows if row.judged]
    beyond = [row for row in judged if row.multiple > 1]
    worst = max((row.multiple for row in judged), default=np.nan)
    spent = [row.evaluations for row in rows]
    count = {status: sum(row.status == status for row in rows) for status in ("converged", "too_narrow", "max_evaluations")}
    return (
        f"{name[:50]:50s} {len(rows):4d} {count['converged']:5d} {len(beyond):6d} "
        f"{sum(row.multiple > FAR for row in beyond):5d} {worst:6.2f} {np.median(spent):6.0f}/{max(spent):<5d}"
        f"{count['too_narrow']:6d} {count['max_evaluations']:4d} {sum(row.hidden for row in rows):4d} "
        f"{sum(not row.accepted for row in rows):6d}  {remark}"
    ).rstrip()


def worst_of(rows: list[Row]) -> str:
    """Where a family's worst row beyond its tolerance lies, in words."""
    beyond = [row for row in rows if row.judged and row.multiple > 1]
    if not beyond:
        return ""
    row = max(beyond, key=lambda row: row.multiple)
    error, estimate = ("not finite" if value is None else f"{value:.1%}" for value in (row.error, row.estimate))
    return (
        f"    worst: {row.target} against {row.baseline} to {row.tolerance:.0%}, example {row.example}: {error} "
        f"where {estimate} is stated, after {row.evaluations} gradients"
    )


def unproven(rows: list[Row]) -> str:
    """Of which references no row could be judged, in words."""
    left = [row for row in rows if not row.accepted]
    places = sorted({f"{row.target} against {row.baseline}" for row in left})
    gap, change = (
        max((value for row in left if (value := getattr(row, name)) is not None), default=np.nan) for name in ("gap", "change")
    )
    return f"    no reference: {', '.join(places)} (gap up to {gap:.1e}, change when halved up to {change:.1e})" if left else ""


def compared(rows: list[Row], before: list[Row]) -> str:
    """How many gradients the same rows took before, in words."""
    earlier = {row.key: row.evaluations for row in before}
    pairs = [(row.evaluations, earlier[row.key]) for row in rows if row.key in earlier]
    now, then = np.sum(pairs, 0) if pairs else (0, 0)
    return f"  gradients {now / then - 1:+.1%}" if then else ""


def verdict(rows: list[Row]) -> bool:
    """Prints the totals; whether they are as they should be."""
    judged = [row for row in rows if row.judged]
    beyond, far = (sum(row.multiple > limit for row in judged) for limit in (1, FAR))
    total, hidden = max(len(judged), 1), sum(row.hidden for row in rows)
    passed = beyond <= BEYOND * total and far == 0 and hidden == 0
    for baseline in BASELINES:
        some = [row for row in judged if row.baseline == baseline]
        print(
            f"  against {baseline}: {sum(row.multiple > 1 for row in some)} of {len(some)} beyond, "
            f"{sum(row.multiple > FAR for row in some)} beyond twice"
        )
    print(
        f"  {np.mean([row.status == 'converged' for row in rows]):.1%} converged, with "
        f"{sum(row.evaluations for row in rows)} gradients in all; {sum(not row.accepted for row in rows)} have no reference"
    )
    print(
        f"{'pass' if passed else 'FAIL'}: of {len(rows)} rows {len(judged)} are converged with a reference; beyond the "
        f"tolerance {beyond} ({beyond / total:.2%}, at most {BEYOND:.1%}), beyond {FAR:g} times {far} ({far / total:.2%}, "
        f"none); {hidden} not finite beside a finite estimate"
    )
    return passed


def chosen(words: list[str]) -> list[Family]:
    """The families of these names, or whose names hold these words; all where there are none."""
    known = families()
    if not words:
        return list(known.values())
    for word in words:
        if not any(word.lower() in name.lower() for name in known):
            raise SystemExit(f"no family {word!r}; there are: {', '.join(known)}")
    return [
        family
        for name, family in known.items()
        if name in words or any(word not in known and word.lower() in name.lower() for word in words)
    ]


def run(options: argparse.Namespace) -> bool:
    """Measures the families that are asked for and prints the report; whether it is as it should be."""
    rows, failed, start = [], 0, time.perf_counter()
    before = [Row(**row) for row in json.loads(options.before.read_text())] if options.before else []
    print(HEADINGS)
    for seed, family in itertools.product(options.seed, chosen(options.families)):
        began = time.perf_counter()
        net, found = prepared(family, seed, options.examples, options.cache)
        ready = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # what becomes of an overflow is counted
            try:
                some = measure(net, found, options.exported)
            except ta.AttributionError as error:
                failed += 1
                print(f"{family.name}: FAIL: {error}", flush=True)
                continue
        rows += some
        words = compared(some, before) + ("" if family.complete else "  (the score jumps: no sum proves these references)")
        print(line(family.name, some, f"{ready - began:5.0f} + {time.perf_counter() - ready:.0f}{words}"), flush=True)
        for words in (worst_of(some), unproven(some)):
            if words:
                print(words, flush=True)
        if options.json:
            options.json.write_text(json.dumps([dataclasses.asdict(row) for row in rows], indent=0))
    if not rows:
        return False
    print(line(f"all in {time.perf_counter() - start:.0f} s", rows, compared(rows, before)))
    return verdict(rows) and not failed
