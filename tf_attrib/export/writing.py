"""From a method and the work of a call to a folder that holds the model and its explanation."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from .._version import __version__
from ..common.checks import whole, whole_or_none
from ..common.errors import AttributionError
from ..common.types import Leaves
from ..engine.method import Method
from ..engine.work import Work
from .explaining import Explaining, as_name
from .plan import Plan, planned
from .saving import save

# The size of an example along an axis that the model leaves open.
OPEN = 8


def write(path: str | os.PathLike, model: Any, method: Method, work: Work, batch_size: int | None, seed: int) -> Path:
    """Writes `model` with a signature `explain`; the arguments are those of `Attributor.export`.

    Args:
        work: that of a call with some examples.
    """
    whole_or_none("batch_size", batch_size)
    whole("seed", seed, 0)
    plan = planned(method, work, batch_size, seed)
    names = {key: as_name(name) for key, name in work.session.input_names.items()}
    explaining = Explaining(plan, names)
    description = described(plan, explaining)
    if work.session.by_xla:
        description["notes"].append("jit_compile=True is for calls of attribute: XLA does not compile this signature")
    return save(Path(path), model, explaining, description)


def described(plan: Plan, explaining: Explaining) -> dict[str, Any]:
    """What `explain` does, as it is kept beside the model."""
    method, function = plan.method, plan.function
    found: dict[str, Any] = {"tf_attrib": __version__, "tensorflow": tf.__version__, "method": repr(method)}
    found |= {"kind": method.kind, "at": method.words(function), "of": function.output.words, "unit": function.output.unit}
    found |= {"attribution_unit": method.unit(function.output.unit), "baseline": plan.words or None}
    found["baseline_input"] = plan.asks_baseline
    if plan.control is not None:
        found |= {"tolerance": plan.control.tolerance, "max_evaluations": plan.control.max_evaluations}
    if plan.game is not None:
        found |= {"tolerance": plan.game.tolerance, "max_evaluations": plan.game.max_evaluations, "exact": plan.game.exact}
    if plan.points is not None:
        found["evaluations"] = len(plan.points.alpha) * (1 if method.cloud is None else method.cloud.n_samples)
    found |= {"batch_size": plan.block, "examples_at_a_time": plan.chunk, "seed": plan.seed}
    found["inputs"] = {name: _shown(spec) for name, (spec, _) in explaining.parameters().items()}
    found["outputs"] = {name: _shown(spec) for name, spec in explaining.outputs().items()}
    notes = [*function.place.notes, *method.notes(function)]
    if function.place.left_out:
        notes.insert(0, f"left out, since nothing float leads from it to the output: {', '.join(function.place.left_out)}")
    if method.cloud is not None or (plan.game is not None and not plan.game.exact):
        notes.append("what is drawn is the same for all examples")
    return found | {"notes": notes}


def _shown(spec: tf.TensorSpec) -> dict[str, Any]:
    return {"dtype": spec.dtype.name, "shape": list(spec.shape)}


def stand_ins(specs: dict[Any, tf.TensorSpec] | None) -> Any:
    """Two examples such as a model takes, for a model that says what that is.

    Raises:
        AttributionError: it does not.
    """
    if specs is None or any(spec.shape.rank is None for spec in specs.values()):
        raise AttributionError(
            "the model does not say what it takes: give two examples, attributor.export(path, examples=inputs[:2])"
        )
    rng = np.random.default_rng(0)
    found: Leaves = {}
    for key, spec in specs.items():
        shape = [spec.shape[0] or 2, *(OPEN if size is None else size for size in spec.shape[1:])]
        if spec.dtype == tf.string:
            found[key] = np.full(shape, b"", object)
        elif spec.dtype.is_floating or spec.dtype.is_complex:
            found[key] = rng.random(shape).astype(spec.dtype.as_numpy_dtype)
        else:
            found[key] = np.ones(shape, spec.dtype.as_numpy_dtype)
    return found
