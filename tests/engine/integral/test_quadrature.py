import numpy as np
import pytest

from tf_attrib.common.errors import AttributionError
from tf_attrib.engine.integral.quadrature import RULES, Rule, make_rule


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("n_steps", [1, 2, 5, 50])
def test_weights_sum_to_one_and_nodes_lie_in_the_interval(name, n_steps):
    rule = make_rule(name, n_steps)
    assert rule.weights.sum() == pytest.approx(1, abs=1e-12)
    assert rule.nodes.min() >= 0
    assert rule.nodes.max() <= 1


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("n_steps", [1, 3, 6])
def test_each_monomial_up_to_the_degree_is_exact_and_the_next_is_not(name, n_steps):
    rule = make_rule(name, n_steps)
    for power in range(rule.degree + 1):
        assert (rule.weights * rule.nodes**power).sum() == pytest.approx(1 / (power + 1), abs=1e-12), power
    beyond = rule.degree + 1
    assert abs((rule.weights * rule.nodes**beyond).sum() - 1 / (beyond + 1)) > 1e-12


@pytest.mark.parametrize(("name", "order"), [("left", 1), ("right", 1), ("midpoint", 2), ("trapezoid", 2)])
def test_order_of_convergence(name, order):
    errors = [abs((rule.weights * np.exp(rule.nodes)).sum() - (np.e - 1)) for rule in (make_rule(name, n) for n in (40, 80))]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.05)


def test_end_points_are_where_they_belong():
    ends = {name: (rule.nodes[0] == 0, rule.nodes[-1] == 1) for name, rule in ((name, make_rule(name, 4)) for name in RULES)}
    assert ends == {
        "left": (True, False),
        "right": (False, True),
        "midpoint": (False, False),
        "trapezoid": (True, True),
        "gauss_legendre": (False, False),
    }
    assert len(make_rule("trapezoid", 4)) == 5


def test_bad_rules_are_refused():
    with pytest.raises(AttributionError, match=r"sum to 1, these sum to 0\.98"):
        Rule("short", np.arange(50) / 49, np.r_[0.5, np.ones(48), 0.5] / 50)
    with pytest.raises(AttributionError, match="as many weights as nodes"):
        Rule("odd", np.zeros(2), np.ones(3) / 3)
    with pytest.raises(AttributionError, match=r"lie in \[0, 1\]"):
        Rule("outside", np.array([0.0, 1.5]), np.array([0.5, 0.5]))
    with pytest.raises(AttributionError, match="gauss_legendre"):
        make_rule("gaus_legendre", 10)
    with pytest.raises(AttributionError, match="at least 1"):
        make_rule("left", 0)


def test_numbers_that_are_none_are_refused():
    for nodes, weights in (([0.0, np.nan], [0.5, 0.5]), ([0.0, 1.0], [np.nan, 1.0])):
        with pytest.raises(AttributionError, match="finite"):
            Rule("odd", nodes, weights)


def simpson(n_steps):
    """The ends and middles of `n_steps` equal steps."""
    weights = np.ones(2 * n_steps + 1)
    weights[1::2], weights[2:-1:2] = 4, 2
    return Rule("simpson", np.linspace(0, 1, 2 * n_steps + 1), weights / weights.sum(), degree=3)


def test_others_may_add_rules_by_name_and_a_new_one_takes_the_place_of_the_old():
    RULES["mine"] = simpson
    try:
        assert len(make_rule("mine", 3)) == 7
        RULES["mine"] = RULES["midpoint"]
        assert len(make_rule("mine", 3)) == 3
    finally:
        del RULES["mine"]
    with pytest.raises(AttributionError, match="no rule is called 'mine'"):
        make_rule("mine", 3)


def test_what_is_no_rule_is_refused():
    with pytest.raises(AttributionError, match=r"'midpoint'.*replace=True"):
        RULES["midpoint"] = simpson
    for wrong in (simpson(2), 3, [0.5]):
        with pytest.raises(AttributionError, match="function from n_steps"):
            RULES["mine"] = wrong
    with pytest.raises(AttributionError, match=r"own 5 nodes.*n_steps=9"):
        make_rule(simpson(2), 9)
    with pytest.raises(AttributionError, match="no rule is called"):
        make_rule(["midpoint"], 9)
    RULES["mine"] = lambda n_steps: np.ones(n_steps)
    try:
        with pytest.raises(AttributionError, match=r"must return a ta\.Rule"):
            make_rule("mine", 3)
    finally:
        del RULES["mine"]


@pytest.mark.parametrize("n", [1, 2, 3, 10, 51, 400])
def test_gauss_legendre_is_that_of_numpy(n):
    nodes, weights = np.polynomial.legendre.leggauss(n)
    found = make_rule("gauss_legendre", n)
    np.testing.assert_allclose(found.nodes, (nodes + 1) / 2, atol=2e-16)
    np.testing.assert_allclose(found.weights, weights / 2, atol=1e-13)


def test_more_nodes_than_numpy_finds_in_time():
    found = make_rule("gauss_legendre", 3000)
    for degree in (1, 40, 5999):
        np.testing.assert_allclose(found.weights @ found.nodes**degree, 1 / (degree + 1), rtol=1e-10)
