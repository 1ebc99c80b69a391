"""Which rule of quadrature numbers are by where it is no accurate one: one side of the steps, or weights that sum to no one."""

import dataclasses

import numpy as np

from ...common.types import present
from .given import Fit, GivenNumbers, flat, relative

# Weights that sum to (n - 1) / n or (n + 1) / n are recognised for numbers of nodes n in this range.
NODES = (3, 2000)
SUM_OF_WEIGHTS = "divide by the sum of the weights: n points have n - 1 intervals"


def wrong_rule(given: GivenNumbers) -> Fit | str | None:
    """a = the sum over the left (or right) ends of n steps, or over a trapezoid whose weights sum to n / (n + 1).

    Where n is not known: to first order a one-sided sum is off by -(f(1) - f(0)) / (2 n), or plus that, with f the integrand.
    That gives about which n, and the rule itself then decides.
    """
    reference, by_rule = given.reduced(np.sum), given.exact
    if reference is None or by_rule is None:
        return "the gradients at both ends of the path are not known: that takes attributor="
    found, right = flat(given.attributions), flat(reference)

    def exact(rule: str, steps: int) -> np.ndarray:
        return flat(present(dataclasses.replace(given, reference=by_rule(rule, steps)).reduced(np.sum)))

    if given.n_steps:
        # n steps have n + 1 ends, and n points n - 1 steps: people mean either
        tried = {
            (rule, steps): relative(found, exact(rule, steps) * (steps / (steps + 1) if rule == "trapezoid" else 1))
            for steps in range(max(1, given.n_steps - 1), given.n_steps + 1)
            for rule in ("left", "right", "trapezoid")
        }
    else:
        slope = exact("right", 1) - exact("left", 1)
        share = float(((found - right) * slope).sum() / max((slope * slope).sum(), np.finfo(float).tiny))
        if abs(share) < 1 / (2 * NODES[1]):
            return None
        rule, about = "left" if share < 0 else "right", max(1, round(1 / (2 * abs(share))))
        tried = {(rule, steps): relative(found, exact(rule, steps)) for steps in range(max(1, about - 2), about + 3)}
    rule, steps = min(tried, key=lambda one: tried[one])
    name, words = _rule_words(rule, steps)
    remedy = (
        SUM_OF_WEIGHTS if rule == "trapezoid" else "take more steps, or a rule of higher order: method=ta.IntegratedGradients()"
    )
    return Fit(name, tried[rule, steps], words, remedy, {"steps": float(steps)}, elementwise=True, exact=True)


def _rule_words(rule: str, steps: int) -> tuple[str, str]:
    if rule == "trapezoid":
        return "weights_do_not_sum_to_one", (
            f"they are the trapezoid over {steps} steps, with weights that sum to {steps} / "
            f"{steps + 1}: divided by the number of points instead of that of steps"
        )
    if rule == "left":
        return "end_point_left_out", (
            f"they are the sum over the left ends of {steps} steps, which never looks at the input itself"
        )
    return "too_few_steps", (
        f"they are the sum over the right ends of {steps} steps, too few for this model"
        if steps > 1
        else "they are the gradient at the input alone, times (x - x'): a path of one step"
    )
