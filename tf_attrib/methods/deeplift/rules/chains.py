"""Finds where RevealCancel applies: a linear operation, shifts, scales and reshapes, and the activation behind them."""

from typing import Any

from ....graph.graphdef.bodies import FlatBody
from ....graph.graphdef.nodes import data_inputs, shape_of
from .elementwise import KINKED, PIECES, SCALED, SMOOTH, STEPS
from .reveal_cancel import ACTIVATIONS, LINEAR, RESHAPES, SCALES, SHIFTS, SUMS

# Of shifts and scales, those that may vary in either input.
EITHER = frozenset({"Add", "AddV2", "Mul"})
# What formulas of one variable are made of, such as that of GELU with tanh.
ELEMENTWISE = (
    SMOOTH
    | SCALED
    | PIECES
    | STEPS
    | KINKED
    | {"Square", "Sqrt", "Rsqrt", "Neg", "Identity", "Add", "AddV2", "Sub", "Mul", "RealDiv"}
)


def find_chains(body: FlatBody, varying: set[str]) -> dict[str, list[str]]:
    """For each linear operation that qualifies, the names of what follows it, the activation last.

    The linear operation varies in its first input alone, a sum in both, which are not one variable and a function of it; each
    tensor on the way to the activation is used once.
    """
    users: dict[str, list[Any]] = {reference: [] for reference in body.returns}
    for reference in body.returns:
        users[reference].append(None)
    for node in body.nodes.values():
        for reference in data_inputs(node):
            users.setdefault(reference, []).append(node)
    found, taken = {}, set()
    for node in body.nodes.values():
        inputs = [reference in varying for reference in data_inputs(node)]
        if (node.op in LINEAR and inputs == [True, False]) or (
            node.op in SUMS and inputs == [True, True] and not _of_one_variable(node, body)
        ):
            chain = _chain(node, users, varying)
            if chain and not taken & set(chain):
                found[node.name] = chain
                taken.update(chain)
    return found


def _of_one_variable(node: Any, body: FlatBody) -> bool:
    """Whether one term of a sum is made, element by element, of the other."""
    first, second = data_inputs(node)
    return _made_of(first, second, body) or _made_of(second, first, body)


def _made_of(reference: str, other: str, body: FlatBody) -> bool:
    waiting, seen = [reference], set()
    while waiting:
        one = waiting.pop()
        if one == other:
            return True
        owner = body.nodes.get(one.rpartition(":")[0])
        if owner is not None and owner.op in ELEMENTWISE and one not in seen:
            seen.add(one)
            waiting.extend(data_inputs(owner))
    return False


def _chain(node: Any, users: dict[str, list[Any]], varying: set[str]) -> list[str]:
    """What follows `node` up to its activation; nothing where that is not found."""
    chain = []
    while True:
        behind = users.get(f"{node.name}:0", [])
        if len(behind) != 1 or behind[0] is None:
            return []
        before, node = node, behind[0]
        chain.append(node.name)
        if node.op in ACTIVATIONS:
            return chain
        inputs = [reference in varying for reference in data_inputs(node)]
        if node.op not in RESHAPES | SHIFTS | SCALES or sum(inputs) != 1 or (node.op not in EITHER and not inputs[0]):
            return []
        if node.op not in RESHAPES and shape_of(before) != shape_of(node):
            return []  # it is broadcast: each of its elements has several activations
        if node.op.startswith("FusedBatchNorm") and ("is_training" not in node.attr or node.attr["is_training"].b):
            return []
