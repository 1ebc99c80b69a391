"""Which rule holds for an operation of a flat graph, as far as the operation and what feeds it tell."""

import collections
import dataclasses
from collections.abc import Iterable
from typing import Any

import tensorflow as tf

from ...common.types import present
from ...graph.graphdef import nodes
from ...graph.graphdef.bodies import LOOPS, Dependence, FlatBody, counts_rounds
from ...graph.graphdef.flatten import FRAMES, Flat
from .rules import table
from .rules.exponents import constant, own_exponent
from .rules.guided import RECTIFIERS

# Why a rectifier is passed by its own gradient where a rule stands in at rectifiers.
WRITTEN_OUT = "a rectifier that is written as a maximum with 0"
# Why a loop has no rule.
COUNTED_OTHERWISE = "a loop with no gradient of its own: its first variable does not count its rounds up, as in tf.nn.ctc_loss"


@dataclasses.dataclass(frozen=True)
class Marked:
    """An operation on the path, by its name in the flat graph (in a loop: behind the names of the loop and its body).

    `rule` says what holds for it in words, with its source; None where it has none, and `reason` says why it has
    none, or none of those at hand, if that is known.
    """

    name: str
    operation: str
    rule: str | None
    source: str = ""
    reason: str = ""


def carries(node: Any, library: dict) -> bool:
    """Whether multipliers pass through what `node` gives: floats, complex numbers, lists of tensors."""
    kinds = [tf.as_dtype(number).base_dtype for number in nodes.dtypes(node, library)]
    return any(kind.is_floating or kind.is_complex or kind == tf.variant for kind in kinds)


def source_of(node: Any, body: FlatBody) -> Any | None:
    """The node that gives the first input of `node`, copies left out."""
    while True:
        node = body.nodes.get(nodes.data_inputs(node)[0].rpartition(":")[0])
        if node is None or node.op != "Identity":
            return node


def _is_number(kind: int) -> bool:
    return nodes.is_floating(kind) or tf.as_dtype(kind).is_complex


def reason_for(node: Any, varying: list[int], rule: table.OperationRule | None) -> str:
    """Why an operation has no rule, as far as it is known."""
    if node.op in FRAMES:
        return "it is part of a loop of TensorFlow 1"
    if node.op == "Cast" and not _is_number(node.attr["SrcT"].type):
        return "it turns a condition or an index that depends on the selected tensors into a number"
    if node.op.startswith("FusedBatchNorm") and ("is_training" not in node.attr or node.attr["is_training"].b):
        return "it normalises by the batch's own statistics"
    if rule is None and node.op in table.RULES:
        if table.rule_for(node.op, varying, False) is not None:
            return "it is of complex numbers"
        wrong = next((one for one in varying if not any(each.fits([one]) for each in table.RULES[node.op])), varying[-1])
        return f"its input {wrong} depends on the selected tensors"
    return ""


def limited_roots(body: FlatBody, varying: set[str]) -> dict[str, tuple[str, ...]]:
    """From operations that begin an inverse of a root, 1 / √v, to those behind them, the last of which is a minimum with a
    constant; each is used by the next alone. Where v is 0 the inverse is infinite, and they have multipliers only together."""
    users = collections.Counter(reference for node in body.nodes.values() for reference in nodes.data_inputs(node))
    users.update(body.returns)
    found = {}
    for node in body.nodes.values():
        if node.op != "Minimum":
            continue
        behind, exponent = (node.name,), 1.0
        while (node := _alone_before(node, varying, body)) is not None and users[f"{node.name}:0"] == 1:
            exponent *= own_exponent(node, body) or 0
            if exponent == -0.5:
                found[node.name] = behind
            if exponent in (0, -0.5):
                break
            behind = (node.name, *behind)
    return found


def _alone_before(node: Any, varying: set[str], body: FlatBody) -> Any | None:
    """The node that gives the one input of `node` that varies; None where two do, or one constant beside it is no number."""
    inputs = nodes.data_inputs(node)
    which = [one for one in inputs if one in varying]
    owners = [body.nodes.get(one.rpartition(":")[0]) for one in (*which, *(one for one in inputs if one not in which))]
    if len(which) != 1 or any(owner is None or owner.op != "Const" or nodes.shape_of(owner) != () for owner in owners[1:]):
        return None
    return owners[0]


def at_rectifiers(flat: Flat, selected: Iterable[str], name: str) -> list[Marked]:
    """Marks the rectifiers of a flat graph with the rule of this name (`table.AT_RECTIFIERS`), those in loops and branches too;
    returns all on the path, with a `reason` where one is a rectifier to a reader and none to the rule."""
    depends = Dependence({function.signature.name: function for function in flat.graph.library.function})
    found = depends.dependent(FlatBody({node.name: node for node in flat.graph.node}), set(selected), finite=True)
    marked = []
    for where, inside in [("", flat.graph.node)] + [
        (function.signature.name + "/", function.node_def) for function in flat.graph.library.function
    ]:
        body = FlatBody({node.name: node for node in inside})
        for node in inside:
            if "_gradient_op_type" in node.attr:
                del node.attr["_gradient_op_type"]
            rule = table.AT_RECTIFIERS[name] if node.op in RECTIFIERS else None
            if rule is not None:
                node.attr["_gradient_op_type"].s = present(rule.gradient).encode()
            reached = where or any(reference in found for reference in nodes.data_inputs(node))
            if reached and node.op in LOOPS and not counts_rounds(depends.body(node.attr["body"].func.name)):
                marked.append(Marked(where + node.name, node.op, None, "", COUNTED_OTHERWISE))
            elif reached:
                words, source = (rule.words, rule.source) if rule else ("its own gradient", "")
                marked.append(Marked(where + node.name, node.op, words, source, WRITTEN_OUT if _cuts(node, body) else ""))
    return marked


def _cuts(node: Any, body: FlatBody) -> bool:
    """Whether an operation is max(x, 0)."""
    return node.op == "Maximum" and any(constant(one, body) == 0 for one in nodes.data_inputs(node))
