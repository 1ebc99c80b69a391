"""How much does an attribution change when the input hardly does?"""

from typing import Any

import numpy as np
import tensorflow as tf

from ..attribution import Attribution
from ..attributor import Attributor, as_attributor
from ..common.checks import number, whole
from ..common.digits import count
from ..common.errors import AttributionError
from ..common.nested import flatten
from ..engine.method import Method
from ..graph.traced.heads_and_lookups import only_ids
from ..selection.frames import Given
from .examples import attributed, case_of, each_alone
from .metric import Metric

# The radius is this part of the range of the examples, unless told otherwise.
RADIUS = 0.02


def max_sensitivity(
    attributor: Attributor,
    inputs: Any,
    *,
    method: str | Method = "integrated_gradients",
    target: Any = None,
    baselines: Any = None,
    radius: float | None = None,
    samples: int = 10,
    relative: bool = True,
    seed: int = 0,
) -> Metric:
    """The most that an attribution changes within a small box around the input: lower is better.

    max over |y - x| <= r of ||phi(y) - phi(x)||, divided by ||phi(x)|| where `relative`, in the Euclidean norm. Yeh et al.
    2019 (arXiv:1901.09392), definition 3, estimated by the greatest of `samples` uniform draws of y: with many features far
    from below, so that only numbers of the same `samples` and `radius` compare. The class that is explained is that of x.
    Methods that draw at random (expected gradients) add their own noise; `seed` is the same for all y.

    Args:
        attributor: the model, with `at` and `of`.
        inputs: (n, ...), or a list or dict of such; float inputs are moved, others and ids (given as floats, too) stay.
        method, target, baselines: as for `attribute`; a baseline that is made of the input, such as `ta.blur`, moves along.
        radius: r, in the unit of the inputs, the same along every axis; default: 2% of the range of these inputs.
        samples: draws for each example.
        relative: whether to divide by the norm of the attribution; NaN where that is zero.
        seed: of the draws, and of random baselines and methods.

    Returns:
        A `Metric`: `values` (n,), a ratio, or in the unit of the attributions; NaN where `radius` is so small beside the
            numbers of an example that rounding left it where it was.
    """
    whole("samples", samples)
    if isinstance(inputs, Attribution):
        raise AttributionError(
            "max_sensitivity attributes anew, so it takes inputs and method=: "
            "max_sensitivity(attributor, result.inputs, method=...)"
        )
    as_attributor(attributor, "max_sensitivity")
    inputs, target, baselines = each_alone(attributor, inputs, target, baselines)
    given = attributor.read(inputs)
    arrays = given.arrays
    movable = _movable(attributor, given)
    result = attributed(attributor, given, method, target, baselines, seed)
    radii = {key: _radius(value, radius) for key, value in arrays.items() if key in movable}
    if not any(radii.values()):
        raise AttributionError(
            "these inputs have one value only, of whose range the default radius is 2%: nothing would be moved; give "
            "radius=, in the unit of the inputs"
        )
    norm = _norm(result.attributions)
    worst, case = np.zeros(len(result)), case_of(attributor, given, result.target, None, seed)
    changed, ready = np.zeros(len(result), bool), attributor.prepare(given)[1]
    generators = list(case.generators(seed))
    for _ in range(samples):
        moved = dict(arrays)
        for key, reach in radii.items():
            noise = np.stack([rng.uniform(-reach, reach, arrays[key].shape[1:]) for rng in generators])
            moved[key] = (arrays[key] + noise).astype(arrays[key].dtype)
        near = Given(moved, given.names)
        other = attributed(attributor, near, method, result.target, baselines, seed)
        worst = np.maximum(worst, _norm(other.attributions, result.attributions))
        changed |= _differ(attributor.prepare(near)[1], ready)
    worst = np.where(changed, worst, np.nan)  # of what stayed where it was nothing is known, and 0 would be perfect
    values = np.divide(worst, norm, out=np.full(len(worst), np.nan), where=norm > 0) if relative else worst
    reach = ", ".join(f"{'' if key is None else f'{key!r} '}{reach:.3g}" for key, reach in radii.items())
    return Metric(
        "max-sensitivity",
        values,
        result.method,
        "relative" if relative else "of the attributions",
        "lower",
        f"{samples} draws within radius {reach}",
        (*case.notes, *_unmoved(changed)),
    )


def _movable(attributor: Attributor, given: Given) -> list:
    """The keys of float inputs, but for those that the model makes ids of: a cast turns an id that is moved into another."""
    session, _, match = attributor.prepare(given)
    arrays, inputs = given.arrays, session.function.traced.inputs
    ids = {match[key] for key, tensor in inputs.items() if key in match and not _is_quantity(tensor)}
    floats = [key for key, value in arrays.items() if value.dtype.kind == "f" and key not in ids]
    if not floats or (session.function.place.kind == "embeddings" and len(arrays) == 1):
        kinds = ", ".join(str(value.dtype) for value in arrays.values())
        raise AttributionError(
            "max_sensitivity moves float inputs a little, and tokens have no small changes; these are "
            f"{kinds}, attributed at {session.function.place.words}"
        )
    return floats


def _is_quantity(tensor: tf.Tensor) -> bool:
    """Whether an input is a number, such as one that is put into bins, and no id."""
    binned = [user for user in tensor.consumers() if user.type == "Bucketize"]
    return tensor.dtype.is_floating and (bool(binned) or not only_ids(tensor))


def _differ(one: dict, other: dict) -> np.ndarray:
    """(n,), which examples differ, as the model is given them: in its own types."""
    return np.any([(one[key] != other[key]).reshape(len(one[key]), -1).any(1) for key in one], axis=0)


def _unmoved(changed: np.ndarray) -> tuple[str, ...]:
    if changed.all():
        return ()
    return (f"the radius is lost to rounding in {count(int((~changed).sum()), 'example')}, which no draw moved: no value",)


def _radius(values: np.ndarray, radius: float | None) -> float:
    return (
        float(RADIUS * np.ptp(values))
        if radius is None
        else float(number("radius (in the unit of the inputs)", radius, above=0))
    )


def _norm(attributions: Any, less: Any = None) -> np.ndarray:
    """(n,), the Euclidean norm over all tensors, of a difference where another attribution is given."""
    leaves, others = flatten(attributions), flatten(less) if less is not None else {}
    squares = [
        ((np.asarray(leaf, np.float64) - others.get(key, 0)).reshape(len(leaf), -1) ** 2).sum(1) for key, leaf in leaves.items()
    ]
    return np.sqrt(sum(squares))
