"""A graph with its functions, walked backwards as if every call were replaced by the body it calls, which is not done.

Names are those that flattening gives: the operation `x` of the body that `call` calls is `call/x`. Files may be hostile, so
every walk has a limit of steps; a graph in which each function calls the next one twice has no end otherwise.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tensorflow.core.framework import node_def_pb2

from . import nodes

CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
# For loops and branches: how many inputs of the operation come before the arguments of its functions.
ARGUMENTS_FROM = {"While": 0, "StatelessWhile": 0, "If": 1, "StatelessIf": 1, "Case": 1, "StatelessCase": 1}
# Of steps: a large model takes some ten thousands for each signature.
LIMIT = 200_000


@dataclasses.dataclass(frozen=True, eq=False)
class FunctionBody:
    """The nodes of the graph or of a function: arguments by name with their position, and what a function returns."""

    nodes: dict[str, Any]
    arguments: dict[str, int]
    returns: tuple[str, ...]
    function: Any = None


@dataclasses.dataclass(frozen=True, eq=False)
class Scope:
    """A body where it is used.

    Attributes:
        body: the body.
        prefix: what the names of its operations begin with.
        caller: the scope that uses it, and the references given there for its arguments, none where that is not known; None
            for the graph itself, and for a function that is looked at alone.
        addressable: whether its tensors can be fed from outside: not those of a loop's body, or a branch.
    """

    body: FunctionBody
    prefix: str
    caller: tuple["Scope", list[str]] | None = None
    addressable: bool = True
    inner: dict[tuple[str, str], "Scope"] = dataclasses.field(default_factory=dict)
    instances: dict[str, "Instance"] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, eq=False)
class Instance:
    """A node in a scope; an argument that comes from nowhere counts as one, of the type `Argument`."""

    scope: Scope
    node: Any

    @property
    def operation(self) -> str:
        return self.node.op

    @property
    def name(self) -> str:
        return self.scope.prefix + self.node.name


class Source(NamedTuple):
    """A tensor: output `index` of an instance."""

    instance: Instance
    index: int  # pyright: ignore[reportIncompatibleMethodOverride] (nobody looks for a member of it)

    @property
    def name(self) -> str:
        return f"{self.instance.name}:{self.index}"


class Walker:
    """Follows references through calls, loops and branches of a GraphDef.

    When `limit` steps are used up (default: `LIMIT`), `exhausted` is True and nothing more is found.
    """

    def __init__(self, graph: Any, limit: int | None = None) -> None:
        self.functions: Mapping[str, Any] = {function.signature.name: function for function in graph.library.function}
        self.top = Scope(FunctionBody({node.name: node for node in graph.node}, {}, ()), "")
        self._bodies: dict[str, FunctionBody] = {}
        self._called_by: dict[str, list] | None = None
        self._left = LIMIT if limit is None else limit

    @property
    def exhausted(self) -> bool:
        return self._left <= 0

    def spend(self) -> None:
        """Counts a step that somebody else took."""
        self._left -= 1

    def function_scope(self, name: str) -> Scope:
        """The scope of a function that is looked at alone."""
        return Scope(self._body(name), "")

    def instance(self, scope: Scope, node: Any) -> Instance:
        """The one instance of a node in a scope."""
        found = scope.instances.get(node.name)
        if found is None:
            found = scope.instances[node.name] = Instance(scope, node)
        return found

    def enter(self, scope: Scope, node: Any, key: str, function: str) -> Scope:
        """The scope of the function that `node` has under the attribute `key`."""
        inner = scope.inner.get((node.name, key))
        if inner is None:
            self.spend()
            is_call = self._called(node) is not None
            offset = 0 if is_call else ARGUMENTS_FROM.get(node.op)
            given = [] if offset is None else nodes.data_inputs(node)[offset:]
            # as flattening does: only a call's body has a place of its own in the flat graph
            prefix = f"{scope.prefix}{node.name}/" if is_call else f"{scope.prefix}{node.name}/{key}/"
            inner = Scope(self._body(function), prefix, (scope, given), scope.addressable and is_call)
            scope.inner[node.name, key] = inner
        return inner

    def resolve(self, scope: Scope, reference: str) -> Source | None:
        """Where the tensor that is called `reference` in `scope` really comes from; None where the graph is broken."""
        while not self.exhausted:
            self._left -= 1
            name, output, number = nodes.split(reference)
            node = scope.body.nodes.get(name)
            if node is None:
                position = scope.body.arguments.get(name)
                if position is None:
                    return None
                outer = self._passed(scope, position)
                if outer is None:
                    return Source(self.instance(scope, _argument(scope.body, name, position)), 0)
                scope, reference = outer
                continue
            called = self._called(node)
            number = nodes.output_number(node, output, number, self.functions)
            if called is None:
                return Source(self.instance(scope, node), number)
            scope = self.enter(scope, node, "f", called)
            if number >= len(scope.body.returns):
                return None
            reference = scope.body.returns[number]
        return None

    def sources(self, instance: Instance) -> list[Source | None]:
        """What the data inputs of an instance are, in their order."""
        return [self.resolve(instance.scope, reference) for reference in nodes.data_inputs(instance.node)]

    def bodies(self, instance: Instance) -> list[Source]:
        """What the functions of an instance return: the bodies of a loop, the branches."""
        found = []
        for key, function in nodes.functions_of(instance.node):
            if function in self.functions:
                inner = self.enter(instance.scope, instance.node, key, function)
                found.extend(self.resolve(inner, reference) for reference in inner.body.returns)
        return [source for source in found if source is not None]

    def uses(self, function: str) -> list[Scope]:
        """Every scope of `function` within the graph itself, through whatever calls lead there; as many as the limit allows."""
        callers = self._callers()
        found: list[Scope] = []
        waiting: list[tuple[str, tuple[tuple[Any, str, str], ...]]] = [(function, ())]
        while waiting and not self.exhausted:
            name, path = waiting.pop()
            for body, node, key in callers.get(name, ()):
                self._left -= 1
                step = ((node, key, name), *path)
                if body is None:
                    scope = self.top
                    for entered, at, called in step:
                        self.spend()
                        scope = self.enter(scope, entered, at, called)
                    found.append(scope)
                else:
                    waiting.append((body, step))
        return found

    def walk(
        self, starts: Iterable[Source], stops: frozenset[tuple[Instance, int]] = frozenset()
    ) -> dict[Instance, list[Source | None]]:
        """What `starts` are computed from: each instance with its sources, those that come first first.

        Args:
            stops: tensors that are not looked behind.
        """
        done: dict[Instance, list[Source | None]] = {}
        opened: dict[Instance, list[Source | None]] = {}
        waiting = [source.instance for source in starts if tuple(source) not in stops]
        while waiting:
            instance = waiting[-1]
            if instance in done:
                waiting.pop()
            elif instance in opened:
                waiting.pop()
                done[instance] = opened[instance]
            else:
                self._left -= 1
                opened[instance] = self.sources(instance) if not self.exhausted else []
                behind = [*opened[instance], *self.bodies(instance)] if not self.exhausted else []
                waiting.extend(
                    source.instance
                    for source in behind
                    if source is not None and source.instance not in opened and tuple(source) not in stops
                )
        return done

    def _callers(self) -> dict[str, list[tuple[str | None, Any, str]]]:
        """For each function, the nodes that have it: the function they are in (None for the graph), node and attribute."""
        if self._called_by is None:
            self._called_by = {}
            bodies = [
                (None, self.top.body.nodes.values()),
                *((name, function.node_def) for name, function in self.functions.items()),
            ]
            for body, inside in bodies:
                for node in inside:
                    if node.op in self.functions:
                        self._called_by.setdefault(node.op, []).append((body, node, "f"))
                    for key, name in nodes.functions_of(node):
                        self._called_by.setdefault(name, []).append((body, node, key))
        return self._called_by

    def _called(self, node: Any) -> str | None:
        """The function that `node` calls in its own place."""
        if node.op in self.functions:  # TensorFlow 1's way
            return node.op
        if node.op in CALLS and "f" in node.attr and node.attr["f"].func.name in self.functions:
            return node.attr["f"].func.name
        return None

    def _passed(self, scope: Scope, position: int) -> tuple[Scope, str] | None:
        """The caller's scope and the reference it passes for an argument."""
        if scope.caller is None or position >= len(scope.caller[1]):
            return None
        outer, given = scope.caller
        return outer, given[position]

    def _body(self, name: str) -> FunctionBody:
        if name not in self._bodies:
            function = self.functions[name]
            arguments = {argument.name: position for position, argument in enumerate(function.signature.input_arg)}
            outputs = [output.name for output in function.signature.output_arg]
            returns = tuple(function.ret[name] for name in outputs if name in function.ret)
            self._bodies[name] = FunctionBody({node.name: node for node in function.node_def}, arguments, returns, function)
        return self._bodies[name]


def _argument(body: FunctionBody, name: str, position: int) -> Any:
    """A node that stands for an argument."""
    node = node_def_pb2.NodeDef(name=name, op="Argument")  # pyright: ignore[reportAttributeAccessIssue] (made at run time)
    node.attr["dtype"].type = body.function.signature.input_arg[position].type
    shapes = body.function.arg_attr.get(position)
    if shapes is not None and "_output_shapes" in shapes.attr:
        node.attr["_output_shapes"].CopyFrom(shapes.attr["_output_shapes"])
    return node
