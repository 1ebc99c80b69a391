"""Finds where RevealCancel applies: a linear operation, shifts, scales and reshapes, and the activation behind them."""

from typing import Any

from ..graph.bodies import Body
from ..graph.nodes import data_inputs
from .reveal_cancel import ACTIVATIONS, LINEAR, RESHAPES, SCALES, SHIFTS


def find_chains(body: Body, varying: set[str]) -> dict[str, list[str]]:
    """For each linear operation that qualifies, the names of what follows it, the activation last.

    The linear operation varies in its first input alone, and each tensor on the way to the activation is used once.
    """
    users: dict[str, list[Any]] = {reference: [] for reference in body.returns}
    for reference in body.returns:
        users[reference].append(None)
    for node in body.nodes.values():
        for reference in data_inputs(node):
            users.setdefault(reference, []).append(node)
    found, taken = {}, set()
    for node in body.nodes.values():
        if node.op in LINEAR and [reference in varying for reference in data_inputs(node)] == [True, False]:
            chain = _chain(node, users, varying)
            if chain and not taken & set(chain):
                found[node.name] = chain
                taken.update(chain)
    return found


def _chain(node: Any, users: dict[str, list[Any]], varying: set[str]) -> list[str]:
    """What follows `node` up to its activation; nothing where that is not found."""
    chain = []
    while True:
        behind = users.get(f"{node.name}:0", [])
        if len(behind) != 1 or behind[0] is None:
            return []
        node = behind[0]
        chain.append(node.name)
        if node.op in ACTIVATIONS:
            return chain
        inputs = [reference in varying for reference in data_inputs(node)]
        if node.op not in RESHAPES | SHIFTS | SCALES or sum(inputs) != 1 or (node.op not in SHIFTS | {"Mul"} and not inputs[0]):
            return []
        if node.op.startswith("FusedBatchNorm") and ("is_training" not in node.attr or node.attr["is_training"].b):
            return []
