"""Rules of quadrature on [0, 1], as tables of nodes and weights. NumPy and SciPy alone."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import scipy.special

from ...common.checks import whole
from ...common.errors import AttributionError, nearest
from ...common.own_code import code_of
from ...common.registry import Registry

# What a fixed rule is unless told otherwise.
DEFAULT_RULE, DEFAULT_STEPS = "gauss_legendre", 50
# Up to this degree a rule is held to what it says.
MOST_CHECKED = 20


@dataclasses.dataclass(frozen=True, eq=False)
class Rule:
    """Nodes in [0, 1], ascending, and weights that sum to one: the integral of f is about sum(weights * f(nodes)).

    Attributes:
        name: for people.
        nodes, weights: float64 of shape (n,).
        degree: the highest degree of polynomials that are integrated exactly; it is checked.

    Raises:
        AttributionError: it is no such rule.
    """

    name: str
    nodes: np.ndarray
    weights: np.ndarray
    degree: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise AttributionError(f"a rule has a name, for people; got {self.name!r}")
        nodes, weights = (_numbers(f"the {what} of the rule {self.name!r}", given) for what, given in self._given())
        if nodes.ndim != 1 or nodes.shape != weights.shape or not len(nodes):
            raise AttributionError(
                f"a rule needs as many weights as nodes, got nodes of shape {nodes.shape} and weights of shape {weights.shape}"
            )
        if not (np.isfinite(nodes).all() and np.isfinite(weights).all()):
            raise AttributionError("the nodes and weights of a rule must be finite numbers, some are NaN or infinite")
        if nodes.min() < 0 or nodes.max() > 1 or np.any(np.diff(nodes) < 0):
            raise AttributionError(
                f"the nodes of a rule must lie in [0, 1] and ascend; those of {self.name!r} go from {nodes[0]:.6g} to "
                f"{nodes[-1]:.6g}" + (", and not all of them ascend" if np.any(np.diff(nodes) < 0) else "")
            )
        if abs(weights.sum() - 1) > 1e-9:
            raise AttributionError(
                f"the weights of a rule must sum to 1, these sum to {weights.sum():.9g}: constants would "
                "not be integrated exactly"
            )
        self._check_degree(nodes, weights)
        object.__setattr__(self, "nodes", nodes)
        object.__setattr__(self, "weights", weights)

    def _given(self) -> tuple[tuple[str, Any], ...]:
        return ("nodes", self.nodes), ("weights", self.weights)

    def _check_degree(self, nodes: np.ndarray, weights: np.ndarray) -> None:
        """Shifted Legendre polynomials, which have no integral but the first, tell a degree without cancellation."""
        whole("degree", self.degree, 0)
        for degree in range(1, min(self.degree, MOST_CHECKED) + 1):
            found = float(weights @ scipy.special.eval_sh_legendre(degree, nodes))
            if abs(found) > 1e-9:
                raise AttributionError(
                    f"the rule {self.name!r} says degree={self.degree}, and does not integrate a polynomial of degree {degree} "
                    f"exactly (by {abs(found):.2g}): degree={degree - 1}"
                )

    def __len__(self) -> int:
        return len(self.nodes)


def _numbers(what: str, given: Any) -> np.ndarray:
    """A copy, so that what the caller does with an array later changes no rule."""
    try:
        array = np.array(given, np.float64) if np.asarray(given).dtype.kind in "biuf" else None
    except ValueError:
        array = None
    if array is None:
        raise AttributionError(f"{what} must be an array of real numbers, got {given!r}")
    array.flags.writeable = False
    return array


def left(n_steps: int) -> Rule:
    """Riemann sum over the left ends of `n_steps` equal steps: the baseline is a node, the input is not."""
    return Rule("left", np.arange(n_steps) / n_steps, np.full(n_steps, 1 / n_steps))


def right(n_steps: int) -> Rule:
    """Riemann sum over the right ends of `n_steps` equal steps: the input is a node (Sundararajan et al. 2017, eq. 3)."""
    return Rule("right", np.arange(1, n_steps + 1) / n_steps, np.full(n_steps, 1 / n_steps))


def midpoint(n_steps: int) -> Rule:
    """The middles of `n_steps` equal steps."""
    return Rule("midpoint", (np.arange(n_steps) + 0.5) / n_steps, np.full(n_steps, 1 / n_steps), degree=1)


def trapezoid(n_steps: int) -> Rule:
    """The n_steps + 1 ends of `n_steps` equal steps, the outermost with half the weight."""
    weights = np.full(n_steps + 1, 1 / n_steps)
    weights[[0, -1]] /= 2
    return Rule("trapezoid", np.arange(n_steps + 1) / n_steps, weights, degree=1)


def gauss_legendre(n_steps: int) -> Rule:
    """Gauss-Legendre with `n_steps` nodes, all inside: the best for smooth functions."""
    nodes, weights = _legendre(n_steps)
    return Rule("gauss_legendre", (nodes + 1) / 2, weights / weights.sum(), degree=2 * n_steps - 1)


def _legendre(n: int) -> tuple[np.ndarray, np.ndarray]:
    """The zeros of the Legendre polynomial of degree n in [-1, 1], ascending, and their weights.

    Newton's method from Tricomi's estimate: the eigenvalues that NumPy takes for it would want n² numbers at once.
    """
    k = np.arange(1, (n + 1) // 2 + 1)
    x = (1 - (n - 1) / (8 * n**3)) * np.cos(np.pi * (k - 0.25) / (n + 0.5))

    def slope() -> np.ndarray:
        return n * (scipy.special.eval_legendre(n - 1, x) - x * scipy.special.eval_legendre(n, x)) / (1 - x * x)

    for _ in range(3):
        x = x - scipy.special.eval_legendre(n, x) / slope()
    x[k == (n + 1) / 2] = 0  # the middle one of an odd number
    weights = 2 / ((1 - x * x) * slope() ** 2)
    rest = slice(n % 2, None)
    return np.concatenate([-x, x[::-1][rest]]), np.concatenate([weights, weights[::-1][rest]])


def _known(name: str, rule: Any) -> Callable[[int], Rule]:
    if isinstance(rule, Rule):
        raise AttributionError(
            f"RULES[{name!r}] takes a function from n_steps to a Rule; one Rule alone is IntegratedGradients(rule=it)"
        )
    if not callable(rule):
        raise AttributionError(f"RULES[{name!r}] takes a function from n_steps to a ta.Rule, got {rule!r}")
    return cast(Callable[[int], Rule], rule)


# The most steps of a rule: the zeros of Legendre's polynomials take time that grows with the square of their number.
MOST_STEPS, MOST_LEGENDRE = 10**6, 5000
# Functions from a number of steps to a rule, by the name that `rule=` takes. Others may add theirs.
RULES: Registry[Callable[[int], Rule]] = Registry("rule of quadrature", _known)
RULES.fill({rule.__name__: rule for rule in (left, right, midpoint, trapezoid, gauss_legendre)})


def make_rule(rule: str | Rule | None = None, n_steps: int | None = None) -> Rule:
    """The rule called `rule` (a key of `RULES`; None: Gauss-Legendre) with `n_steps` steps (None: 50); a Rule as it is.

    Raises:
        AttributionError: no rule of that name, fewer than one step, or a number of steps for a Rule, which has its own nodes.
    """
    if isinstance(rule, Rule):
        if n_steps is not None:
            raise AttributionError(f"the rule {rule.name!r} has its own {len(rule)} nodes: leave n_steps={n_steps!r} out")
        return rule
    rule, n_steps = DEFAULT_RULE if rule is None else rule, DEFAULT_STEPS if n_steps is None else n_steps
    if not isinstance(rule, str) or rule not in RULES:
        hint = ", or a function in the table: ta.extend.RULES['mine'] = it" if callable(rule) else ""
        raise AttributionError(f"no rule is called {rule!r}; there are: {nearest(rule, RULES)}, or give a ta.Rule{hint}")
    function = RULES[rule]
    if whole("n_steps", n_steps) > (most := MOST_LEGENDRE if function is gauss_legendre else MOST_STEPS):
        raise AttributionError(
            f"n_steps={n_steps} of the rule {rule!r}: at most {most} nodes are made; without n_steps, "
            "tolerance=0.001 finds as many as each path needs"
        )
    made = _made(rule, function, int(n_steps))
    if not isinstance(made, Rule):
        raise AttributionError(f"RULES[{rule!r}]({n_steps}) must return a ta.Rule, it returned {made!r}")
    return made


@functools.lru_cache(maxsize=32)
def _made(name: str, function: Callable[[int], Rule], n_steps: int) -> Rule:
    with code_of(f"RULES[{name!r}]({n_steps})"):
        return function(n_steps)  # the nodes of Gauss-Legendre take longer to find than a small net's gradients
