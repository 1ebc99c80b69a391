"""Features whose attribution does not heed their value: cases whose kind is known."""

import numpy as np
import pytest

import tf_attrib as ta

from .test_summarise import cut, data, result_of


def degenerate_case(count=60):
    """(name, attribution, value) of features whose kind is known."""
    random = np.random.default_rng(3)
    value = random.uniform(1, 3, count)
    bit = (np.arange(count) % 2).astype(float)
    near = random.uniform(0.95, 1.05, count)
    return {
        "follows": (0.2 * value, value, None),
        "constant": (0.4 + 0.004 * random.normal(size=count), value, "constant"),
        "constant but for zeros": (np.where(bit, -0.3, 0), np.where(bit, value, 0), "constant"),
        "unused": (np.zeros(count), value, "unused"),
        "rounding": (1e-9 * random.normal(size=count), value, "unused"),
        "bit": (0.1 * bit, bit, "switch"),
        "bit that depends": (bit * random.uniform(0.05, 0.15, count), bit, None),
        "both signs": (np.where(bit, 0.2, -0.2), value, None),
        "steady value": (0.3 * near, near, None),  # the attribution varies as little as the value does
        "one value": (np.full(count, 0.3), np.ones(count), None),
        "zero at one value": (np.zeros(count), np.ones(count), None),
        "noisy": (random.uniform(0.2, 0.6, count), value, None),
    }


@pytest.mark.parametrize("sizes", [[60], [1] * 60, [13] * 5])
def test_degenerate_features_are_those_of_the_definition(sizes):
    case = degenerate_case()
    attributions = np.stack([a for a, _, _ in case.values()], 1)
    values = np.stack([x for _, x, _ in case.values()], 1)
    found = ta.summarise(cut(result_of(attributions, values), sizes), names=list(case))
    assert {one.name: one.kind for one in found.degenerate} == {name: kind for name, (_, _, kind) in case.items() if kind}
    by_name = {one.name: one for one in found.degenerate}
    steady = case["constant"][0]
    assert by_name["constant"].mean == pytest.approx(steady.mean())
    assert by_name["constant"].variation == pytest.approx(steady.std() / steady.mean())
    assert (by_name["constant but for zeros"].mean, by_name["constant but for zeros"].examples) == (-0.3, 30)
    assert (by_name["unused"].mean, by_name["unused"].examples) == (0, 60)
    assert "same sign and size, whatever the value" in repr(found)


def test_degenerate_features_need_examples_and_heed_the_threshold():
    case = degenerate_case()
    result = result_of(np.stack([a for a, _, _ in case.values()], 1), np.stack([x for _, x, _ in case.values()], 1))
    kinds = lambda **options: {one.name for one in ta.summarise(result, names=list(case), **options).degenerate}  # noqa: E731
    assert "noisy" in kinds(variation=1.2)
    assert "constant" not in kinds(variation=0.001)
    assert kinds(min_support=61) == set()
    assert kinds(min_support=31) == {"constant", "unused", "rounding"}  # the others are not zero in 30 only


def test_one_attribution_of_the_other_sign_is_enough():
    value = np.random.default_rng(0).uniform(1, 3, 400)
    attributions = np.full((400, 2), 0.5)
    attributions[7, 1] = -0.001  # the coefficient of variation stays at 5%
    found = ta.summarise(result_of(attributions, np.stack([value, value], 1)), names=["same", "other"])
    assert [one.name for one in found.degenerate] == ["same"]


def test_degenerate_is_said_by_class():
    target = np.arange(80) % 2
    value = np.random.default_rng(0).uniform(1, 3, 80)
    attribution = np.where(target == 1, 0.4, 0.1 * value)[:, None]
    found = ta.summarise(result_of(attribution, value[:, None], target))
    assert [(one.name, one.group, one.kind) for one in found.degenerate] == [("0", 1, "constant")]


def test_values_that_are_missing_are_left_out_of_correlations():
    attributions, inputs, _ = data()
    inputs[::3, 1] = np.nan
    found = ta.summarise(cut(result_of(attributions, inputs), [50, 3]))
    known = np.isfinite(inputs[:, 1])
    for place, which in ((0, np.ones(200, bool)), (1, known)):
        expected = np.corrcoef(attributions[which, place].astype(float), inputs[which, place].astype(float))[0, 1]
        assert found.correlation[0, place] == pytest.approx(expected)
    np.testing.assert_allclose(found.mean[0], attributions.astype(float).mean(0))
    found.plot(kind="beeswarm")


def test_without_values_nothing_is_called_degenerate():
    found = ta.summarise(result_of(np.full((30, 2), 0.5)))
    assert found.degenerate == ()
    assert found.correlation is None
    assert "values" not in found.sample
    assert "values of the features are not known" in repr(found)
