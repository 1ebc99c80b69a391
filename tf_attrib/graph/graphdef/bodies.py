"""A graph or the body of a loop or branch, with references that are written in one way, and what depends on what in it."""

import dataclasses
from typing import Any

from . import nodes
from .constants import scalar

LOOPS = frozenset({"While", "StatelessWhile"})
BRANCHES = frozenset({"If", "StatelessIf", "Case", "StatelessCase"})
# Tell of shapes, or are the same whatever the values are.
SHAPES = frozenset({"Shape", "ShapeN", "Rank", "Size", "ZerosLike", "OnesLike", "TensorListLength", "TensorListElementShape"})
# Operations that ask whether numbers are finite.
FINITE = frozenset({"IsNan", "IsInf", "IsFinite"})


@dataclasses.dataclass(eq=False)
class FlatBody:
    """Nodes by name, with flat references; `returns` are references, `arguments` names."""

    nodes: dict[str, Any]
    arguments: tuple[str, ...] = ()
    returns: tuple[str, ...] = ()

    def ordered(self) -> list[Any]:
        """The nodes, each behind those it needs."""
        order, state = [], {}
        for start in self.nodes:
            waiting = [start]
            while waiting:
                name = waiting[-1]
                if state.get(name) == "done" or name not in self.nodes:
                    waiting.pop()
                elif state.get(name) == "open":
                    waiting.pop()
                    state[name] = "done"
                    order.append(self.nodes[name])
                else:
                    state[name] = "open"
                    waiting.extend(
                        owner
                        for reference in nodes.data_inputs(self.nodes[name])
                        if (owner := reference.rpartition(":")[0]) in self.nodes and owner not in state
                    )
        return order


def body_of(function: Any, library: dict[str, Any]) -> FlatBody:
    """A FunctionDef as a body."""
    inside = {node.name: node for node in function.node_def}

    def flat(reference: str) -> str:
        owner, output, number = nodes.split(reference)
        if owner in inside:
            number = nodes.output_number(inside[owner], output, number, library)
        return f"{owner}:{number}"

    copies = {}
    for node in function.node_def:
        copies[node.name] = type(node)()
        copies[node.name].CopyFrom(node)
        copies[node.name].input[:] = [flat(reference) for reference in nodes.data_inputs(node)]
    return FlatBody(
        copies,
        tuple(argument.name for argument in function.signature.input_arg),
        tuple(flat(function.ret[output.name]) for output in function.signature.output_arg),
    )


def arguments_behind(body: FlatBody) -> list[set[int]]:
    """For each result of a body, the positions of the arguments that it is computed from."""
    position = {f"{name}:0": number for number, name in enumerate(body.arguments)}
    behind: dict[str, set[int]] = {}
    for node in body.ordered():
        behind[node.name] = set().union(*(_behind(reference, position, behind) for reference in nodes.data_inputs(node)))
    return [_behind(reference, position, behind) for reference in body.returns]


def _behind(reference: str, position: dict[str, int], behind: dict[str, set[int]]) -> set[int]:
    return {position[reference]} if reference in position else behind.get(reference.rpartition(":")[0], set())


def without(body: FlatBody, dropped: set[int], results: list[int]) -> FlatBody:
    """`body` with what these results need, where arguments at these positions are dropped."""
    if not dropped:
        return body
    kept, waiting = {}, [body.returns[number].rpartition(":")[0] for number in results]
    while waiting:
        name = waiting.pop()
        if name in body.nodes and name not in kept:
            kept[name] = body.nodes[name]
            waiting.extend(reference.rpartition(":")[0] for reference in nodes.data_inputs(body.nodes[name]))
    return FlatBody(kept, body.arguments, body.returns)


def counts_rounds(body: FlatBody) -> bool:
    """Whether a loop's first variable goes up by one in each round, as that of `tf.while_loop` does: TensorFlow's gradient of a
    loop takes it for the number of rounds, and goes round no time where it counts down (the loop of `tf.nn.ctc_loss`)."""
    counter = body.nodes.get(body.returns[0].rpartition(":")[0])
    while counter is not None and counter.op == "Identity":
        counter = body.nodes.get(nodes.data_inputs(counter)[0].rpartition(":")[0])
    if counter is None or counter.op not in ("AddV2", "Add"):
        return False
    inputs = nodes.data_inputs(counter)
    steps = [scalar(body.nodes.get(reference.rpartition(":")[0])) for reference in inputs]
    return f"{body.arguments[0]}:0" in inputs and 1 in steps


class Dependence:
    """Which tensors of a flat graph depend on the values of others, in the bodies of its loops and branches, too.

    Args:
        library: its functions by name.
    """

    def __init__(self, library: dict[str, Any]) -> None:
        self.library = library
        self._bodies: dict[str, FlatBody] = {}
        self._returned: dict[tuple, tuple[bool, ...]] = {}

    def body(self, name: str) -> FlatBody:
        """A function of the library with flat references."""
        if name not in self._bodies:
            self._bodies[name] = body_of(self.library[name], self.library)
        return self._bodies[name]

    def dependent(self, body: FlatBody, starts: set[str], finite: bool = False) -> set[str]:
        """References of all tensors of `body` that depend on those in `starts`, these included.

        Args:
            finite: whether those in `starts` are finite numbers, wherever they are: that one is missing depends on nothing.
        """
        found, known = set(starts), set(starts) if finite else set()
        for node in body.ordered():
            inputs = [reference in found for reference in nodes.data_inputs(node)]
            if not any(inputs) or node.op in SHAPES:
                continue
            if nodes.data_inputs(node)[0] in known:
                if node.op in FINITE:
                    continue
                if node.op == "Identity":
                    known.add(f"{node.name}:0")
            if node.op in LOOPS:
                outputs = self.loop(node, inputs)
            elif node.op in BRANCHES:
                outputs = self.branches(node, inputs)
            else:
                outputs = [True] * len(nodes.dtypes(node, self.library))
            found.update(f"{node.name}:{number}" for number, depends in enumerate(outputs) if depends)
        return found

    def loop(self, node: Any, inputs: list[bool]) -> list[bool]:
        """Which variables of a loop depend: those that do when it begins, and those that come to."""
        while True:
            returned = self.returned(node.attr["body"].func.name, tuple(inputs))
            more = [before or after for before, after in zip(inputs, returned, strict=True)]
            if more == inputs:
                return inputs
            inputs = more

    def branches(self, node: Any, inputs: list[bool]) -> list[bool]:
        """Which results of a branch depend: those that do in any of its functions, or all, with its condition."""
        returned = [self.returned(name, tuple(inputs[1:])) for _, name in nodes.functions_of(node)]
        return [inputs[0] or any(depends) for depends in zip(*returned, strict=True)]

    def returned(self, function: str, arguments: tuple[bool, ...]) -> tuple[bool, ...]:
        """Which results of a function depend where these of its arguments do."""
        if (function, arguments) not in self._returned:
            body = self.body(function)
            found = self.dependent(body, starts(body.arguments, arguments))
            self._returned[function, arguments] = tuple(reference in found for reference in body.returns)
        return self._returned[function, arguments]


def starts(arguments: tuple[str, ...], which: tuple[bool, ...]) -> set[str]:
    """References of those arguments that are marked."""
    return {f"{name}:0" for name, yes in zip(arguments, which, strict=True) if yes}
