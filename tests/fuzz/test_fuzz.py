"""Random nets with fixed seeds, and the fuzzer itself: it sees planted faults, shrinks them and prints them."""

import collections
import dataclasses

import numpy as np
import pytest

from tf_attrib.common.nested import map_leaves

from . import checks, generate, reference
from .checks import CHECKS, Case, due, examine
from .net import Net, Step, program
from .run import read, table
from .shrink import shrink

# a convolution, words and numbers, for every check; the last begins with a norm, and is compared with zeros
SEEDS = (0, 10, 293)
MORE = (43, 142, 149, 179, 14, 21, 28, 210, *range(300, 310))


@pytest.fixture(scope="module", params=[SEEDS, pytest.param(MORE, marks=pytest.mark.slow)], ids=["some", "more"])
def found(request):
    """The findings of every net, by seed."""
    return {seed: examine(generate.make(seed), due(seed, list(CHECKS))) for seed in request.param}


def test_nothing_is_violated(found):
    wrong = [
        (seed, one.check, one.violations or one.refused)
        for seed, findings in found.items()
        for one in findings
        if one.check != "integrated_gradients" and (one.violations or one.refused)
    ]
    assert not wrong
    assert {one.check for findings in found.values() for one in findings} == set(CHECKS)


def test_integrated_gradients_of_converged_examples_are_within_the_tolerance(found):
    counted = collections.Counter()
    for findings in found.values():
        counted.update(next(one.figures for one in findings if one.check == "integrated_gradients"))
    assert counted["judged"] > 0.9 * counted["examples"]
    assert counted["missed"] <= 0.005 * counted["judged"]
    assert counted["beyond twice"] == 0
    assert counted["stated beyond"] == 0


# the fuzzer itself


def small(**changes) -> Net:
    """Two dense layers on five numbers, with what is asked changed."""
    net = generate.make(0)
    steps = (
        Step("s0_dense", "Dense", ("x0",), {"units": 6, "activation": "tanh"}),
        Step("s1_dense", "Dense", ("s0_dense",), {"units": 4, "activation": "relu"}),
    )
    head = dataclasses.replace(net.head, of="s1_dense", units=3, kind="softmax")
    inputs = (dataclasses.replace(net.inputs[0], name="x0", shape=(5,), vocabulary=0),)
    return dataclasses.replace(net, inputs=inputs, steps=steps, heads=(head,), asked=0, baseline="zeros", **changes)


def spoiled(attribute):
    """`Case.attribute` with attributions that are 10% too large, more so for other examples, and scores off by 1%."""

    def attributed(case, method, examples=None, attributor=None):
        result = attribute(case, method, examples, attributor)
        factor = 1.1 if examples is None and attributor is None else 1.3
        return dataclasses.replace(
            result,
            attributions=map_leaves(lambda leaf: leaf * factor, result.attributions),
            scores=result.scores + 0.01 * factor,
        )

    return attributed


def test_every_check_passes_a_right_net_and_sees_a_fault(monkeypatch):
    assert not [one for one in examine(small(), list(CHECKS)) if one.violations or one.refused]
    monkeypatch.setattr(Case, "attribute", spoiled(Case.attribute))
    assert [one.check for one in examine(small(), list(CHECKS)) if one.violations] == list(CHECKS)


def test_a_failure_of_the_library_is_a_violation_and_a_refusal_is_kept(monkeypatch):
    def fail(case):
        raise ZeroDivisionError("planted")

    monkeypatch.setitem(CHECKS, "score", (fail, 1))
    monkeypatch.setitem(CHECKS, "gradient", (lambda case: case.attributor.attribute("nonsense"), 1))
    score, gradient = examine(small(), ["score", "gradient"])
    assert score.violations == ("ZeroDivisionError: planted",)
    assert gradient.refused
    assert not gradient.violations


def test_the_reference_finds_any_scale_and_any_kink():
    scale = np.array([1e-30, 1e-12, 0.2])

    def slopes(path, alpha):  # of log(1 + alpha / scale) and of |alpha - 0.3137| times 5
        return np.stack([1 / (alpha + scale[path]), 5 * np.sign(alpha - 0.3137)], 1)

    whole = np.stack([np.log(1 + 1 / scale), 5 * (1 - 2 * 0.3137) * np.ones(3)], 1)
    truth = reference.integrate(slopes, whole.sum(1), np.zeros(3))
    np.testing.assert_allclose(truth.values, whole, rtol=3e-4)
    assert (truth.disagreement < checks.PROVEN).all()
    jump = reference.integrate(slopes, whole.sum(1) + np.array([0, 1, 0]), np.zeros(3))
    assert list(jump.disagreement < checks.PROVEN) == [True, False, True]


def test_the_program_of_a_net_gives_its_numbers():
    several = [net for net in map(generate.make, range(100)) if len(net.heads) == 2 and len(net.inputs) == 2]
    net = min(several, key=lambda net: len(net.steps))
    assert Net.from_json(net.to_json()) == net
    case, made = Case(net), {}
    exec(program(net), made)
    np.testing.assert_allclose(made["result"].scores, case.integrated.scores, rtol=1e-6)
    for mine, its in zip(case.model.get_weights(), made["model"].get_weights(), strict=True):
        np.testing.assert_array_equal(mine, its)


def test_shrinking_keeps_what_fails_and_no_more():
    net = next(
        net
        for net in map(generate.make, range(200))
        if len(net.steps) > 8 and len(net.inputs) > 1 and any(step.layer == "LayerNormalization" for step in net.steps)
    )

    def fails(one):
        return any(step.layer == "LayerNormalization" for step in one.steps)

    least = shrink(net, fails, most=1000)
    assert [step.layer for step in least.steps if step.layer != "Embedding"] == ["LayerNormalization"]
    assert len(least.inputs) == len(least.heads) == 1
    assert (least.baseline, least.bias) == ("zeros", 0.0)
    assert fails(shrink(net, fails, most=1))


def test_nets_are_of_all_kinds():
    nets = [generate.make(seed) for seed in range(400)]
    layers = {step.layer for net in nets for step in net.steps}
    assert layers >= {
        "Dense",
        "Conv1D",
        "Conv2D",
        "DepthwiseConv2D",
        "Conv2DTranspose",
        "MaxPooling1D",
        "LSTM",
        "GRU",
        "Bidirectional",
        "MultiHeadAttention",
        "Attention",
        "LayerNormalization",
        "BatchNormalization",
        "GroupNormalization",
        "UnitNormalization",
        "RMSNormalization",
        "Embedding",
        "Dropout",
        "Activation",
        "ops.sin",
        "Add",
        "Concatenate",
        "Multiply",
        "GlobalMaxPooling2D",
        "PReLU",
    }
    assert any(step.again for net in nets for step in net.steps)
    assert {net.head.kind for net in nets} == {"softmax", "sigmoid", "linear"}
    assert {net.baseline for net in nets} == {"zeros", "noise", "both", "input"}
    assert {len(net.inputs) for net in nets} == {1, 2, 3}
    assert {len(net.heads) for net in nets} == {1, 2}
    assert generate.make(5) == generate.make(5)


def test_a_report_goes_on_after_a_line_that_was_cut_off(tmp_path):
    path = tmp_path / "report.jsonl"
    whole = '{"seed": 1, "findings": [{"check": "score", "figures": {}, "violations": ["wrong"], "refused": ""}]}'
    path.write_text(f"{whole}\n{whole[:60]}\n{whole[:-1]}")
    assert [one["seed"] for one in read(path)] == [1]
    assert "1 violated" in table(read(path))
