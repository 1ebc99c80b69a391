"""The signature `explain`: from a model's inputs, a target and a baseline to attributions, as one function of TensorFlow."""

import dataclasses
import inspect
import keyword
import re
from typing import Any

import numpy as np
import tensorflow as tf

from ..common.errors import AttributionError
from ..common.types import present
from .chunk import Chunk, Scoring
from .detached import detached
from .fixed import Found, fixed
from .judging import judged
from .loops import gathered
from .plan import Plan, predicts
from .refining import refined
from .shapley import shapley

# TensorFlow's stubs know fewer operators and arguments of tensors than there are.
# pyright: reportOperatorIssue=false, reportArgumentType=false

TARGET, BASELINE, ATTRIBUTIONS = "target", "baseline", "attributions"
PREDICTED = -1


@dataclasses.dataclass(frozen=True, eq=False)
class Explaining:
    """The function to be, of one tensor for each of its parameters.

    Attributes:
        plan: what it computes.
        names: of the model's inputs, by their keys.
    """

    plan: Plan
    names: dict[Any, str]

    def function(self) -> Any:
        """The tf.function, with defaults for what need not be given."""
        specs = self.parameters()
        parameters = [
            inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default)
            for name, (_, default) in specs.items()
        ]
        signature = inspect.Signature(parameters)

        wanted = [spec for spec, _ in specs.values()]

        def made(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
            return self.explained(dict(zip(specs, tensors, strict=True)))

        call = detached(tf.function(made, input_signature=wanted, autograph=False).get_concrete_function())

        def explain(*args: tf.Tensor, **named: tf.Tensor) -> dict[str, tf.Tensor]:
            bound = signature.bind(*args, **named)
            bound.apply_defaults()
            return call(*bound.args)

        explain.__signature__ = signature  # pyright: ignore[reportFunctionMemberAccess] (inspect reads it)
        return tf.function(explain, input_signature=wanted, autograph=False)

    def parameters(self) -> dict[str, tuple[tf.TensorSpec, Any]]:
        """What each takes, and its default: those that have one come last."""
        plan, function, empty = self.plan, self.plan.function, inspect.Parameter.empty
        found: dict[str, tuple[tf.TensorSpec, Any]] = {}
        for key, name in self.names.items():
            tensor = function.traced.inputs[key]
            found[name] = tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype, name), empty
        rank = function.target_rank if function.output.with_target else 0
        if rank == 1:
            default = tf.constant([PREDICTED], tf.int32) if predicts(function) else empty
            found[TARGET] = tf.TensorSpec([None], tf.int32, TARGET), default
        elif rank:
            found[TARGET] = tf.TensorSpec([None, rank], tf.int32, TARGET), empty
        if plan.asks_baseline:
            shapes, dtypes = function.features(), function.dtypes
            for (key, table), handed in zip(plan.tables.items(), plan.keys, strict=True):
                name = named(BASELINE, handed)
                default = tf.constant(table.astype(dtypes[key].as_numpy_dtype) if dtypes[key] != tf.string else table)
                found[name] = tf.TensorSpec([None, *shapes[key]], dtypes[key], name), default
        if len(found) < len(self.names) + bool(rank) + (len(plan.tables) if plan.asks_baseline else 0):
            raise AttributionError(
                f"two inputs of the signature would have one name: those of the model are {list(self.names.values())}, and "
                f"{TARGET!r} and {BASELINE!r} come beside them; export a model that calls this one with other names"
            )
        return found

    def explained(self, given: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """What the signature gives, chunk by chunk."""
        plan, function = self.plan, self.plan.function
        inputs = {key: given[name] for key, name in self.names.items()}
        count = tf.shape(next(iter(inputs.values())))[0]
        target = self._targets(given.get(TARGET), count)
        baselines = {
            key: self._one_each(given[named(BASELINE, handed)], count, named(BASELINE, handed))
            for key, handed in zip(plan.tables, plan.keys, strict=True)
            if plan.asks_baseline
        }
        select = Scoring(function, plan.block).selecting()

        def evaluate(index: tf.Tensor) -> list[tf.Tensor]:
            some = {key: tf.gather(value, index) for key, value in inputs.items()}
            others = {key: tf.gather(value, index) for key, value in baselines.items()}
            return list(self._explained(select(some), some, others, tf.gather(target, index)).values())

        specs = self.outputs()
        return dict(zip(specs, gathered(count, plan.chunk, None, evaluate, list(specs.values())), strict=True))

    def outputs(self) -> dict[str, tf.TensorSpec]:
        """What the signature gives, by name."""
        plan, dtype = self.plan, self.plan.function.dtype
        slots = [] if plan.points is None or plan.points.slots == 1 else [plan.points.slots]
        shapes = list(plan.sums.values())[: len(plan.keys)]
        found = {
            named(ATTRIBUTIONS, key): tf.TensorSpec([None, *slots, *shape], dtype)
            for key, shape in zip(plan.keys, shapes, strict=True)
        }
        target = [None] if plan.function.target_rank < 2 else [None, plan.function.target_rank]
        found |= {"scores": tf.TensorSpec([None], dtype), "baseline_scores": tf.TensorSpec([None], dtype)}
        found |= {TARGET: tf.TensorSpec(target, tf.int32), "gap": tf.TensorSpec([None], dtype)}
        found |= {"error_estimate": tf.TensorSpec([None], dtype), "evaluations": tf.TensorSpec([None], tf.int32)}
        return found | {"status": tf.TensorSpec([None], tf.string)}

    def _targets(self, given: tf.Tensor | None, count: tf.Tensor) -> tf.Tensor:
        """(n, r)."""
        rank = self.plan.function.target_rank
        if given is None:
            return tf.zeros([count, rank], tf.int32)
        given = given[:, None] if rank == 1 else given
        return self._one_each(given, count, TARGET)

    def _one_each(self, given: tf.Tensor, count: tf.Tensor, name: str) -> tf.Tensor:
        """`given` for each example, where it is one for all."""
        number = tf.shape(given)[0]
        fits = tf.debugging.Assert((number == 1) | (number == count), [f"{name} must have one row, or one for each example"])
        with tf.control_dependencies([fits]):
            return tf.gather(given, tf.where(number == 1, tf.zeros([count], tf.int32), tf.range(count)))

    def _explained(self, x: dict, inputs: dict, baselines: dict, target: tf.Tensor) -> dict[str, tf.Tensor]:
        """The outputs for the examples of a chunk, by name."""
        plan = self.plan
        chunk, largest = self._chunk(x, inputs, baselines, target)
        found = self._found(chunk)
        own = dataclasses.replace(found, totals=dict(list(found.totals.items())[: len(plan.keys)]))
        method, function = plan.method, plan.function
        sums, short = method.in_score_units and method.uses_baseline, method.when_incomplete(function)
        given = [*inputs.values(), *baselines.values()]
        said = judged(chunk, own, given, largest, sums, short if sums else None, method.exact)
        slotted = plan.points is not None and plan.points.slots > 1
        outputs = {}
        for key, total in zip(plan.keys, own.totals.values(), strict=True):
            value = total if slotted else total[:, 0]
            mask = tf.reshape(said["finite"], [-1] + [1] * (value.shape.rank - 1))
            outputs[named(ATTRIBUTIONS, key)] = tf.where(mask, value, tf.constant(np.nan, value.dtype))
        none = tf.fill(tf.shape(chunk.score), tf.constant(np.nan, chunk.score.dtype))
        return outputs | {
            "scores": chunk.score,
            "baseline_scores": tf.reduce_mean(chunk.below, 1) if method.uses_baseline else none,
            TARGET: chunk.target if function.target_rank > 1 else tf.reduce_sum(chunk.target, 1),
            "gap": said["gap"],
            "error_estimate": said["error_estimate"],
            "evaluations": found.evaluations,
            "status": said["status"],
        }

    def _found(self, chunk: Chunk) -> Found:
        plan = self.plan
        if plan.game is not None:
            return shapley(chunk, plan.game)
        if plan.control is not None:
            complete = plan.method.shares_residual(plan.function)
            return refined(chunk, present(plan.row), plan.control, plan.rounding, complete)
        return fixed(chunk, present(plan.row), present(plan.points), plan.sums, plan.method.cloud, plan.seed)

    def _chunk(self, x: dict, inputs: dict, baselines: dict, target: tf.Tensor) -> tuple[Chunk, tf.Tensor]:
        """The examples of a chunk with their scores, and the largest magnitude of their output there and at their
        references."""
        plan, function, count = self.plan, self.plan.function, tf.shape(target)[0]
        context = {key: inputs[key] for key in function.context}
        tables, reference = baselines, tf.range(count)[:, None]
        if not baselines:
            tables = {key: tf.constant(table) for key, table in plan.tables.items()}
            reference = tf.tile(tf.range(plan.references)[None], tf.stack([count, 1]))
        target, score, largest = self._scored(x, context, target)
        below = tf.zeros([count, plan.references], score.dtype)
        if plan.method.uses_baseline:
            below, lowest = self._below(x, context, tables, reference, target)
            largest = tf.maximum(largest, lowest)
        extra = {name: tf.constant(value) for name, value in plan.extra.items()}
        return Chunk(function, plan.block, x, context, tables, reference, target, score, below, extra), largest

    def _scored(self, at: dict, context: dict, target: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Targets (rows, r), scores and largest magnitudes (rows,) of rows of the selected tensors."""
        function, scoring = self.plan.function, Scoring(self.plan.function, self.plan.block)
        if function.target_rank > 1:
            score = scoring.scores(at, context, target)
            return target, score, tf.abs(score)
        values = scoring.values(at, context)
        target = self._chosen(values, target)
        return target, function.select(self._as_given(values), target), tf.reduce_max(tf.abs(values), 1)

    def _below(
        self, x: dict, context: dict, tables: dict, reference: tf.Tensor, target: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Scores (c, k) at the references, and the largest magnitude (c,) of the output there."""
        count, k = tf.unstack(tf.shape(reference))
        every = {
            key: tf.broadcast_to(
                tf.gather(table, tf.reshape(reference, [-1])), tf.concat([[count * k], tf.shape(x[key])[1:]], 0)
            )
            for key, table in tables.items()
        }
        beside = {key: tf.repeat(value, k, 0) for key, value in context.items()}
        _, score, largest = self._scored(every, beside, tf.repeat(target, k, 0))
        return tf.reshape(score, [count, k]), tf.reduce_max(tf.reshape(largest, [count, k]), 1)

    def _as_given(self, values: tf.Tensor) -> tf.Tensor:
        """Values (rows, classes) as the output has them: (rows,) where it has no classes."""
        return values[:, 0] if self.plan.function.target_rank == 0 else values

    def _chosen(self, values: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        """(c, r), with the class of the highest value where none was asked for.

        Raises:
            tf.errors.InvalidArgumentError: when it runs, a target that is no class.
        """
        if self.plan.function.target_rank == 0:
            return target
        classes = present(values.shape[1])
        least, words = (PREDICTED, f", or {PREDICTED} for the predicted class") if predicts(self.plan.function) else (0, "")
        fits = tf.debugging.Assert(
            tf.reduce_all((target >= least) & (target < classes)),
            [f"{TARGET} must be from 0 to {classes - 1}{words}; got", target],
        )
        with tf.control_dependencies([fits]):
            return tf.where(target == PREDICTED, tf.argmax(values, 1, tf.int32)[:, None], target)


def named(what: str, key: Any) -> str:
    """The name in the signature of what belongs to the selected tensor `key`."""
    return what if key is None else as_name(f"{what}_{key}")


def as_name(name: str) -> str:
    """`name` as a signature may have it, of letters, digits and _."""
    found = re.sub(r"\W", "_", name.removesuffix(":0"))
    return found if found.isidentifier() and not keyword.iskeyword(found) else f"_{found}"
