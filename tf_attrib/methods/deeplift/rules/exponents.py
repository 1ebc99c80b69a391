"""What is an inverse: the exponent to which a tensor is a power of another, by what its operations compute.

`x * rsqrt(v)`, `x * (1 / sqrt(v))`, `x * pow(v, -0.5)`, `x * exp(-0.5 * log(v))` are all the quotient x / √v, whatever stands
between the root and the product: scales, shapes, casts, limits. In the order in which a body computes its tensors, each gets p
where it is a constant times b^p for some tensor b, shapes aside, and 1 where nothing is known: it is a power of itself.
"""

from typing import Any

from ....graph.graphdef.bodies import FlatBody
from ....graph.graphdef.constants import scalar, values
from ....graph.graphdef.nodes import data_inputs

# What one tensor passes without its exponent being another: shapes, copies, limits.
ALIKE = frozenset(
    {
        "Identity",
        "Snapshot",
        "StopGradient",
        "PreventGradient",
        "CheckNumerics",
        "EnsureShape",
        "Cast",
        "Reshape",
        "ExpandDims",
        "Squeeze",
        "StridedSlice",
        "Slice",
        "Transpose",
        "BroadcastTo",
        "Tile",
        "GatherV2",
        "Gather",
        "GatherNd",
        "MatrixDiag",
        "MatrixDiagV2",
        "MatrixDiagV3",
        "Minimum",
        "Maximum",
        "ClipByValue",
        "Neg",
    }
)
PRODUCTS, QUOTIENTS = frozenset({"Mul", "MulNoNan"}), frozenset({"RealDiv", "Div", "DivNoNan"})
CHOICES = frozenset({"Select", "SelectV2"})
OWN = {"Rsqrt": -0.5, "Sqrt": 0.5, "Square": 2.0, "Reciprocal": -1.0, "Inv": -1.0}


def exponents(body: FlatBody, varying: set[str]) -> dict[str, float]:
    """The exponent of each tensor of `body` that varies; what is not in it has 1."""
    powers: dict[str, float] = {}
    logarithms: dict[str, float] = {}  # p of what is log(b^p) and a constant
    for node in body.ordered():
        inputs, output = data_inputs(node), f"{node.name}:0"
        which = [number for number, one in enumerate(inputs) if one in varying]
        if not which or output not in varying:
            continue
        power = logarithms.get(inputs[0]) if node.op == "Exp" else _power(node, inputs, which, powers, body)
        if power not in (None, 1):
            powers[output] = power
        power = powers.get(inputs[0], 1.0) if node.op == "Log" else _factor(node, inputs, which, logarithms, body)
        if power is not None:
            logarithms[output] = power
    return powers


def inverse_among(node: Any, powers: dict[str, float]) -> int | None:
    """The position of the one of the two inputs of `node` that is an inverse; None where neither is, or both are."""
    signs = [powers.get(one, 1.0) < 0 for one in data_inputs(node)[:2]]
    return signs.index(True) if sum(signs) == 1 else None


def own_exponent(node: Any, body: FlatBody) -> float | None:
    """p of an operation that gives v^p of its one input v, element by element; None of any other."""
    inputs = data_inputs(node)
    if node.op in QUOTIENTS:
        return -1.0 if constant(inputs[0], body) == 1 else None
    if node.op == "Pow":
        return constant(inputs[1], body)
    return 1.0 if node.op == "Identity" else OWN.get(node.op)


def _power(node: Any, inputs: list[str], which: list[int], powers: dict[str, float], body: FlatBody) -> float | None:
    """The exponent of what `node` gives."""
    found = [powers.get(inputs[number], 1.0) for number in which]
    if node.op in CHOICES and which[0] == 0:
        found = found[1:]
    if node.op in PRODUCTS | CHOICES and len(found) == 2:
        return max(found) if max(found) < 0 else None  # of two inverses
    if len(found) != 1:
        return None
    if node.op in ALIKE | PRODUCTS | CHOICES or (node.op in QUOTIENTS and which == [0]):
        return found[0]
    if node.op in QUOTIENTS:
        return -found[0]
    own = own_exponent(node, body) if which == [0] else None
    return None if own is None else own * found[0]


def _factor(node: Any, inputs: list[str], which: list[int], logarithms: dict[str, float], body: FlatBody) -> float | None:
    """p of what `node` makes of log(b^p)."""
    if len(which) != 1 or (power := logarithms.get(inputs[which[0]])) is None:
        return None
    if node.op in PRODUCTS | QUOTIENTS:
        factor = constant(inputs[1 - which[0]], body)
        if not factor or (node.op in QUOTIENTS and which == [1]):
            return None
        return power * factor if node.op in PRODUCTS else power / factor
    if node.op == "Neg" or (node.op == "Sub" and which == [1]):
        return -power
    return power if node.op in ALIKE | {"Add", "AddV2", "Sub", "BiasAdd"} else None


def constant(reference: str, body: FlatBody) -> float | None:
    """The number that a tensor is, everywhere; None where that is not known."""
    while (node := body.nodes.get(reference.rpartition(":")[0])) is not None:
        if node.op == "Const":
            found = set(values(node)) or {scalar(node)}
            return float(found.pop()) if len(found) == 1 and None not in found else None
        if node.op not in ALIKE - {"Neg", "Minimum", "Maximum", "ClipByValue"}:
            return None
        reference = data_inputs(node)[0]
    return None
