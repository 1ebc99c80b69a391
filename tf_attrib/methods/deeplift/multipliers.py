"""DeepLIFT, guided backpropagation and deconvolution: row functions whose gradients pass operations by a rule."""

import dataclasses
import itertools
import weakref
from typing import Any

import tensorflow as tf

from ...common.errors import AttributionError
from ...engine.row import Row, per_row_sum
from ...graph.graphdef.flatten import Flat, Flattening, add_flat
from ...graph.traced.gradients import gradients
from ...graph.traced.grouped import runnable
from ...graph.traced.heads_and_lookups import ancestors, needs_graph
from ...graph.traced.trace import TRACING, Traced
from ...graph.traced.widening import wide, widened
from ...selection.score_function import ScoreFunction
from .marking import WRITTEN_OUT, Marked, at_rectifiers
from .pairing import Pairing
from .rules.common import REFERENCE, SCOPE
from .rules.guided import RECTIFIERS
from .rules.table import AT_RECTIFIERS, RULES

_NUMBERS = itertools.count()
# How many gradients of an author's are on the path of a score function, counted once.
_AUTHORED: weakref.WeakKeyDictionary[ScoreFunction, int] = weakref.WeakKeyDictionary()
# The rules of others that the multipliers of a score function pass, in words, as they were compiled last.
_ADDED: weakref.WeakKeyDictionary[ScoreFunction, tuple[str, ...]] = weakref.WeakKeyDictionary()
# Score functions without a rectifier at which a rule of `AT_RECTIFIERS` would hold, as they were compiled last.
_WITHOUT: weakref.WeakSet[ScoreFunction] = weakref.WeakSet()
# How many rectifiers such a rule does not know as ones.
_MISSED: weakref.WeakKeyDictionary[ScoreFunction, int] = weakref.WeakKeyDictionary()
# What methods are called, by their rule; DeepLIFT has several.
NAMES = {"guided": "guided backpropagation", "deconvolution": "deconvolution"}
# What a user can do about an operation without a rule.
ELSEWHERE = (
    "ta.coverage(attributor) lists them all; choose a tensor behind it with at=ta.layer(name) or ta.tensor(name), or "
    "method='integrated_gradients', which needs no rules"
)


@dataclasses.dataclass(frozen=True, eq=False)
class Ruled:
    """A score function as a flat graph with rules.

    Attributes:
        flat: the graph; its one reference is the score at the input.
        fed: for each reference that is fed, what it is fed with: ("at", key), ("reference", key), ("input", key), "target", or
            a tensor that the graph captured.
        marked: every operation on the path, with its rule.
    """

    flat: Flat
    fed: dict[str, Any]
    marked: tuple[Marked, ...]

    def uncovered(self) -> tuple[Marked, ...]:
        """The operations without a rule."""
        return tuple(one for one in self.marked if one.rule is None)


def ruled(function: ScoreFunction, rule: str, in_float32: bool = False) -> Ruled:
    """The graph from the selected tensors to the score.

    Args:
        rule: "rescale" or "reveal_cancel" (both once at the input and once at the reference), "guided" or "deconvolution".
        in_float32: whether what is half precision is computed in float32.
    """
    if function.traced.called is not None:
        raise AttributionError(
            needs_graph(function.traced, "a method that hands multipliers down by rules (DeepLIFT, guided, deconvolution)")
        )
    graph, ports = function.traced.function.graph, function.place.ports
    score, target = function.chosen()
    with TRACING, graph.as_default():
        definition = graph.as_graph_def(add_shapes=rule == "reveal_cancel")  # which wants to know what is broadcast
        fed: dict[str, Any] = {inner.name: outer for outer, inner in graph.captures} | {target.name: "target"}
    _write_numbers(definition, fed)
    fed |= {function.traced.inputs[key].name: ("input", key) for key in function.context}
    fed |= {port.tensor.name: ("at", key) for key, port in ports.items()}
    flat = Flattening(definition, fed).flat([score.name], f"_rules_{next(_NUMBERS)}")
    flat = widened(flat) if in_float32 else flat
    selected = [port.tensor.name for port in ports.values()]
    if rule in AT_RECTIFIERS:
        return Ruled(flat, fed, tuple(at_rectifiers(flat, selected, rule)))
    pairing = Pairing(flat, selected, rule == "reveal_cancel")
    fed |= {REFERENCE + name: ("reference", fed[name][1]) for name in selected}
    made = {node.name for node in pairing.graph.node}
    used = dict.fromkeys(reference for node in pairing.graph.node for reference in node.input)
    sources = tuple(reference for reference in used if reference in selected or reference.rpartition(":")[0] not in made)
    return Ruled(Flat(pairing.graph, pairing.references, sources, {}), fed, tuple(pairing.marked))


def _write_numbers(definition: Any, fed: dict[str, Any]) -> None:
    """Writes floats that the graph captured as constants, as if they had been typed there: an exponent has its sign then."""
    placed = {node.name: node for node in definition.node}
    for reference, value in list(fed.items()):
        if not hasattr(value, "numpy") or not value.dtype.is_floating or value.shape.num_elements() != 1:
            continue
        node = placed[reference.removesuffix(":0")]
        node.CopyFrom(tf.compat.v1.NodeDef(name=node.name, op="Const"))
        node.attr["dtype"].type = value.dtype.as_datatype_enum
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value.numpy()))
        del fed[reference]


def multipliers(
    function: ScoreFunction, row: Row, rule: str, in_float32: bool = False
) -> tuple[tf.Tensor, dict[Any, tf.Tensor]]:
    """Scores (rows,) and multipliers at the selected tensors by key, added to the graph at hand; the arguments are those of
    `ruled`.

    Raises:
        AttributionError: an operation on the path has no rule.
    """
    ports, found = function.place.ports, ruled(function, rule, in_float32)
    kept = wide if in_float32 else tf.identity
    refuse(function, found.uncovered(), NAMES.get(rule, "DeepLIFT"))
    _ADDED[function] = tuple(
        dict.fromkeys(f"{one.operation} ({one.rule})" for one in found.marked if one.operation in RULES.added)
    )

    if rule in AT_RECTIFIERS and not any(one.operation in RECTIFIERS for one in found.marked):
        _WITHOUT.add(function)
    _MISSED[function] = sum(one.reason == WRITTEN_OUT for one in found.marked)

    def backward(scale: tf.Tensor | None) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        graph = tf.compat.v1.get_default_graph()
        x = {key: tf.identity(kept(port.to_graph(row.x[key]))) for key, port in ports.items()}
        reference = {("at", key): tf.identity(kept(port.to_graph(row.reference[key]))) for key, port in ports.items()}
        beside = {("input", key): value for key, value in row.context.items()}
        given = function.trim({("at", key): value for key, value in x.items()}, beside) | {"target": tf.identity(row.target)}
        given |= {("reference", key): value for (_, key), value in function.trim(reference, beside).items()}
        given |= {
            ("input", key): tf.identity(kept(tf.cast(row.context[key], function.traced.inputs[key].dtype)))
            for key in function.context
        }
        needed = {*found.flat.sources, *found.flat.references}
        fed = {
            reference: given[source] if isinstance(source, str | tuple) else kept(graph.capture(source))
            for reference, source in found.fed.items()
            if reference in needed
        }
        with TRACING:
            (score,) = add_flat(found.flat, fed, SCOPE)
            slopes = gradients(
                score,
                list(x.values()),
                f"{function.output.words} has no multipliers at {function.place.words}",
                None if scale is None else [scale],
            )
        slopes = [
            tf.zeros_like(value) if slope is None else tf.convert_to_tensor(slope)
            for value, slope in zip(x.values(), slopes, strict=True)
        ]
        runnable(list(ancestors([score, *slopes])), slopes)
        return [score], [port.from_graph(slope) for port, slope in zip(ports.values(), slopes, strict=True)]

    (score,), slopes = function.whole_range(backward, row.target)
    return score, {key: tf.cast(slope, function.dtype) for key, slope in zip(ports, slopes, strict=True)}


def refuse(function: ScoreFunction, uncovered: tuple[Marked, ...], method: str) -> None:
    """Raises AttributionError where there are operations without a rule, with their types, names and layers."""
    if not uncovered:
        return
    shown = []
    for one in uncovered[:3]:
        layer = layer_of(function.traced, one.name)
        shown.append(
            f"{one.operation} {one.name!r}"
            + (f" in the layer {layer!r}" if layer else "")
            + (f" ({one.reason})" if one.reason else "")
        )
    more = f" and {len(uncovered) - 3} more" if len(uncovered) > 3 else ""
    raise AttributionError(f"{method} has no rule for {'; '.join(shown)}{more}; {ELSEWHERE}")


def layer_of(traced: Traced, name: str) -> str:
    """The innermost layer that made the operation `name` of the flat graph; "" where none is known."""
    parts, graph = name.split("/"), traced.function.graph
    known = {operation.name: number for number, operation in enumerate(graph.get_operations())} if traced.calls else {}
    position = next((known[head] for end in range(len(parts), 0, -1) if (head := "/".join(parts[:end])) in known), None)
    around = [call for call in traced.calls if position is not None and position in call.operations]
    return min(around, key=lambda call: len(call.operations)).name if around else ""


@dataclasses.dataclass(frozen=True)
class DeepLiftIntegrand:
    """DeepLIFT's multipliers for an example and one reference, times the difference of the two.

    Attributes:
        rule: "rescale" or "reveal_cancel".
        version: of the table of rules: what was compiled before a rule was added or replaced is not used after.
        wide: whether half precision is computed in float32.
    """

    rule: str
    version: int = 0
    wide: bool = False

    @property
    def in_float32(self) -> "DeepLiftIntegrand":
        """The same, computed in float32: what half precision leaves open is known by it."""
        return dataclasses.replace(self, wide=True)

    def __call__(self, function: ScoreFunction, row: Row) -> tuple[tf.Tensor, tf.Tensor, dict]:
        """Score and sum of contributions (rows,), contributions by key, and those due to x > x' by ("positive", key)."""
        score, found = multipliers(function, row, self.rule, self.wide)
        difference = row.difference()
        products = {key: multiplier * difference[key] for key, multiplier in found.items()}
        positive = {
            ("positive", key): tf.where(difference[key] > 0, product, tf.zeros_like(product))
            for key, product in products.items()
        }
        return score, tf.add_n([per_row_sum(product) for product in products.values()]), products | positive


@dataclasses.dataclass(frozen=True)
class RectifierIntegrand:
    """Gradients at the input that pass rectifiers by a rule of `AT_RECTIFIERS`, in float32 where they are `wide`."""

    rule: str
    wide: bool = False

    @property
    def in_float32(self) -> "RectifierIntegrand":
        """The same, computed in float32."""
        return dataclasses.replace(self, wide=True)

    def __call__(self, function: ScoreFunction, row: Row) -> tuple[tf.Tensor, tf.Tensor, dict]:
        """Score (rows,), zeros (rows,), and gradients by key."""
        score, found = multipliers(function, row, self.rule, self.wide)
        return score, tf.zeros_like(score), found


def added_rules(function: ScoreFunction) -> tuple[str, ...]:
    """A note where multipliers passed rules of others: whether these add up nobody has tested."""
    rules = _ADDED.get(function)
    if not rules:
        return ()
    return (f"by rules that were added with deeplift_rule: {', '.join(rules)}; where a gap is left, look at these first",)


def at_rectifiers_only(function: ScoreFunction) -> tuple[str, ...]:
    """Notes where rules stand in at rectifiers: where there are none, or some that are not known as ones, and of gradients that
    are not used."""
    plain = (
        "no rectifier that is one operation of TensorFlow's (ReLU, ReLU6, leaky ReLU, ELU, SELU) is met: these are gradients"
    )
    missed = _MISSED.get(function, 0)
    which = f"{missed} rectifiers" if missed > 1 else "1 rectifier"
    beside = (
        f"{which} written as tf.maximum(x, 0): passed by the gradient, and not by the rule; tf.nn.relu(x) is the same, "
        "and known"
    )
    notes = (plain,) if function in _WITHOUT else ()
    return notes + ((beside,) if missed else ()) + replaced_gradients(function)


def replaced_gradients(function: ScoreFunction) -> tuple[str, ...]:
    """A note where gradients that an author wrote lie on the path: rules do not use them."""
    if function not in _AUTHORED:
        selected = [port.tensor for port in function.place.ports.values()]
        _AUTHORED[function] = sum(
            operation.type == "IdentityN" and "_gradient_op_type" in operation.node_def.attr
            for operation in ancestors(function.output.fetches.values(), selected)
        )
    count = _AUTHORED[function]
    if not count:
        return ()
    return (
        f"{count} gradient{'s' if count > 1 else ''} written by an author (tf.custom_gradient; TensorFlow's silu has "
        "one) not used: rules hold for the operations that the forward pass is made of",
    )
