"""The engine's interface, tried on what the methods table does not use yet: a rule that refines, and a paired reference."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from scipy.integrate import trapezoid

import tf_attrib as ta
from tf_attrib.engine.integral.integrator import Batch, Fixed
from tf_attrib.engine.program import MOST_ROWS, Program, Tables, block_rows, run
from tf_attrib.engine.row import GradientIntegrand, per_row_sum
from tf_attrib.selection.references import resolve


def tables_of(attributor, x):
    """Session and tables for inputs `x` of a function of one tensor, against zero."""
    session, ready, _ = attributor.prepare({None: x})
    references = resolve(None, ready, ready, session.selected, 0)
    compared = session.compared(ready, ready, references, None, True)
    return session, Tables(ready, {}, compared.target, compared.scores, references), compared


class Doubling:
    """Trapezoids, refined for each example by itself until its vector moves by less than the tolerance."""

    def __init__(self, examples, tolerance):
        self.tolerance, self.kept, self.last, self.done = tolerance, [{} for _ in range(examples)], {}, {}

    def _rows(self, wanted):
        example = np.concatenate([np.full(len(alphas), i) for i, alphas in wanted.items()])
        alpha = np.concatenate(list(wanted.values()))
        rows = np.arange(len(alpha))
        return Batch(example, np.zeros(len(rows), int), alpha, np.ones(len(rows)), rows, rows)

    def first(self):
        return self._rows({i: np.array([0.0, 0.5, 1.0]) for i in range(len(self.kept))})

    def accept(self, rows, slots, sums, scores, slopes):
        for i, alpha, integrand in zip(rows.example, rows.alpha, sums[0], strict=True):
            self.kept[i][alpha] = integrand

    def refine(self):
        wanted = {}
        for i, kept in enumerate(self.kept):
            if i in self.done:
                continue
            alphas = np.array(sorted(kept))
            value = trapezoid(np.stack([kept[a] for a in alphas]), alphas, axis=0)
            if i in self.last and np.abs(value - self.last[i]).sum() < self.tolerance:
                self.done[i] = value
            else:
                self.last[i] = value
                wanted[i] = (alphas[1:] + alphas[:-1]) / 2
        return self._rows(wanted) if wanted else None


@pytest.mark.parametrize("block", [4, 64])
def test_a_rule_that_refines_each_example_until_it_is_good(block):
    attributor = ta.Attributor(lambda x: tf.reduce_sum(x**4, 1))
    x = np.array([[0.1, 0.2], [2.0, 1.0], [0.5, 0.0]], "float32")
    session, tables, _ = tables_of(attributor, x)
    rule, rows = Doubling(3, 1e-3), []
    program = Program(session.function, GradientIntegrand())
    run(lambda forward_only: program, tables, rule, block, rows.append)
    np.testing.assert_allclose(np.stack([rule.done[i] for i in range(3)]), x**4, atol=2e-3)
    counts = [len(kept) for kept in rule.kept]
    assert counts[1] > counts[0]  # the steeper example took more
    assert sum(rows) == sum(counts)


@dataclasses.dataclass(frozen=True)
class Secant:
    """A row that needs x and its reference at once: the difference of scores, shared out by |x - x'|."""

    def __call__(self, function, row):
        at_x = function.select(function.values(row.x, row.context), row.target)
        below = function.select(function.values(row.reference, row.context), row.target)
        (difference,) = (tf.abs(d) for d in row.difference().values())
        share = difference / per_row_sum(difference)[:, None]
        return at_x, at_x - below, {None: share * (at_x - below)[:, None]}


def test_a_row_function_of_paired_references():
    x = np.array([[1.0, 3.0], [2.0, 2.0]], "float32")
    session, tables, compared = tables_of(ta.Attributor(lambda x: tf.reduce_sum(x, 1) ** 2), x)
    points = ta.IntegratedGradients(rule="right", n_steps=1).points(1, None, {}, "inputs")
    totals = session.run(Secant(), tables, Fixed([points] * 2, {None: (2,)}, "float32")).totals[None]
    np.testing.assert_allclose(totals[:, 0], [[4, 12], [8, 8]])
    np.testing.assert_allclose(totals.sum((1, 2)), compared.scores - compared.baseline_scores[:, 0])


def test_rows_of_weight_zero_are_looked_at_and_not_summed():
    """The gradient of sqrt at 0 is infinite; as a row of weight 0 it must not spoil the sum."""
    attributor = ta.Attributor(lambda x: tf.reduce_sum(tf.sqrt(x), 1))
    x = np.zeros((1, 2), "float32")
    result = attributor.attribute(x, baselines=np.full(2, 0.25, "float32"), method=ta.IntegratedGradients(n_steps=400))
    np.testing.assert_allclose(result.attributions, [[-0.5, -0.5]], rtol=0.01)


def test_even_blocks_and_the_largest_that_pays(cnn, images):
    attributor = ta.Attributor(cnn, batch_size=32)
    fixed = ta.IntegratedGradients(n_steps=50)
    attributor.attribute(images[:1], method=fixed)
    (session,) = attributor._sessions.values()
    (key,) = session._programs
    program, sizes = session._programs[key], []
    session._programs[key] = lambda tables, rows: sizes.append(len(rows)) or program(tables, rows)
    session._programs[key].__dict__.update(function=session.function, padded=False, gives_slope=True)
    attributor.attribute(images[:1], method=fixed)
    assert sizes == [26, 25]
    assert block_rows(session.function, {"image": images}, 2**31) == (MOST_ROWS, MOST_ROWS)  # a small net


def test_a_block_takes_no_more_than_the_memory_that_is_stated(cnn, images):
    plenty = ta.Attributor(cnn)
    row = plenty.prepare(images[:1])[0].function.row_sizes.of(dict.fromkeys(plenty.input_specs, images[:1]))[0]
    small = ta.Attributor(cnn, memory=5 * row + row // 2)
    assert small.prepare(images[:1])[0].block == 5
    assert ta.Attributor(cnn, memory=1).prepare(images[:1])[0].block == 1
    assert ta.Attributor(cnn, memory=1, batch_size=7).prepare(images[:1])[0].block == 7
    method = ta.IntegratedGradients(n_steps=12)
    found, expected = (one.attribute(images[:2], 1, method=method).attributions for one in (small, plenty))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
