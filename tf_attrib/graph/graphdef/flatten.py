"""A graph of function calls, flattened: every call is replaced by the body it calls, back from the tensors asked for.

The operation `x` of the body that the node `call` calls becomes `call/x`. Bodies of loops and branches stay functions, flat
ones. What is not needed for the tensors asked for is left out, and so are devices and, outside of TensorFlow 1's loops,
control edges: assertions, assignments and prints do not run.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import tensorflow as tf

from ...common.errors import AttributionError
from ...common.types import present
from . import nodes
from .scopes import Instance, Scope, Source, Walker
from .writes import written_before

# Of TensorFlow 1's loops and branches, where control edges say in which frame an operation runs.
FRAMES = frozenset(
    {
        "Enter",
        "Exit",
        "NextIteration",
        "Switch",
        "Merge",
        "LoopCond",
        "RefEnter",
        "RefExit",
        "RefNextIteration",
        "RefSwitch",
        "RefMerge",
    }
)
# The name under which operations with a gradient of their author's are found when gradients are taken (`saved_gradients`).
CUSTOM = "TfAttribSavedGradient"
# Steps of the walk; a hostile file of functions that call each other twice each would have no end.
LIMIT = 20_000_000


@dataclasses.dataclass(frozen=True, eq=False)
class Custom:
    """An operation whose gradient its author wrote.

    Attributes:
        gradient: the name that it has in the file.
        captured: where the tensors that the gradient needs of the forward pass are, None where that is not known.
    """

    gradient: str
    captured: tuple[str, ...] | None


@dataclasses.dataclass(frozen=True, eq=False)
class Flat:
    """A flat graph.

    Attributes:
        graph: a GraphDef.
        references: where the tensors that were asked for are in it.
        sources: references, used in it, of what is fed: those at which it stops, and arguments of a function.
        custom: operations with a gradient of their author's, by name.
        late: operations that read a variable which, in the graph as it was, had been written before, and here has not.
    """

    graph: Any
    references: tuple[str, ...]
    sources: tuple[str, ...]
    custom: dict[str, Custom]
    late: frozenset[str] = frozenset()


class Flattening:
    """How one GraphDef is flattened.

    Args:
        graph: a GraphDef with its library of functions.
        stops: references in the graph itself where flattening stops: what will be fed, such as "tokens:0".
        captured: from the name of a gradient that an author wrote, and the scope of the operation, to the tensors which that
            gradient needs, as (scope, reference) pairs, or to None where they are not known.
    """

    def __init__(
        self, graph: Any, stops: Iterable[str] = (), captured: Callable[[str, Scope], list | None] = lambda *_: None
    ) -> None:
        self._graph = graph
        self._stops = frozenset(stops)
        self._captured = captured
        self._walker = Walker(graph, LIMIT)
        self._written = {entry.function_name for entry in graph.library.gradient}
        self._framed: dict[Scope, bool] = {}

    def flat(self, references: Iterable[str], rename: str = "") -> Flat:
        """The flat graph of the tensors at `references`.

        Args:
            rename: a suffix for the names of functions, which are global in TensorFlow.

        Raises:
            AttributionError: the graph is broken, or holds operations that this TensorFlow does not know.
        """
        return self._flat(references, self._walker.top, rename)

    def flat_function(self, name: str, rename: str = "") -> Flat:
        """The flat graph of what the function `name` returns; its arguments are sources."""
        scope = self._walker.function_scope(name)
        return self._flat(scope.body.returns, scope, rename)

    def _flat(self, references: Iterable[str], scope: Scope, rename: str) -> Flat:
        result = tf.compat.v1.GraphDef()
        result.versions.CopyFrom(self._graph.versions)
        custom: dict[str, Custom] = {}
        late: set[str] = set()
        found = self._collect(references, scope, result.node, rename, custom, late)
        bodies, waiting = set(), list(_bodies(result.node))
        while waiting:
            name = waiting.pop().removesuffix(rename)
            if name in self._walker.functions and name not in bodies:
                bodies.add(name)
                body = self._body(name, rename, result.library.function.add())
                waiting.extend(_bodies(body.node_def))
        used = dict.fromkeys(reference for node in result.node for reference in nodes.data_inputs(node))
        made = {node.name for node in result.node}
        # of an operation with several outputs one may be fed while others are used as they are
        stops = self._stops if scope is self._walker.top else ()
        sources = tuple(reference for reference in used if reference in stops or reference.rpartition(":")[0] not in made)
        return Flat(result, found, sources, custom, frozenset(late))

    def _collect(self, references, scope, result, rename, custom, late) -> tuple[str, ...]:
        """Adds to `result` the nodes that the tensors at `references` need; returns where these tensors are."""
        names: dict[Instance, str] = {}
        taken: set[str] = set()
        waiting: list[Instance] = []

        def visit(scope: Scope, reference: str) -> str:
            source = self._resolve(scope, reference)
            instance = source.instance
            if instance.operation == "Argument" or (instance.scope is self._walker.top and source.name in self._stops):
                return source.name
            if instance not in names:
                name = instance.name
                while name in taken:  # a call `a` with a node `b` in its body, beside a node `a/b`
                    name += "_"
                taken.add(name)
                names[instance] = name
                waiting.append(instance)
            return f"{names[instance]}:{source.index}"

        found = tuple(visit(scope, reference) for reference in references)
        while waiting:
            instance = waiting.pop()
            node = result.add()
            node.CopyFrom(instance.node)
            node.name, node.device = names[instance], ""
            _rename_bodies(node, self._walker.functions, rename)
            if "_class" in node.attr:  # colocation with a node that may be gone
                del node.attr["_class"]
            if written_before(self._walker, instance):
                late.add(node.name)
            if "_gradient_op_type" in node.attr:
                gradient = node.attr["_gradient_op_type"].s.decode()
                captured = self._captured(gradient, instance.scope)
                found_there = None if captured is None else tuple(visit(*pair) for pair in captured)
                custom[node.name] = Custom(gradient, found_there)
                node.attr["_gradient_op_type"].s = CUSTOM.encode()
            node.input[:] = [visit(instance.scope, reference) for reference in nodes.data_inputs(instance.node)]
            node.input.extend(
                "^" + visit(instance.scope, reference).rpartition(":")[0] for reference in self._controls(instance)
            )
        return found

    def _resolve(self, scope: Scope, reference: str) -> Source:
        source = self._walker.resolve(scope, reference)
        if source is None:
            raise AttributionError(
                "the functions of the graph call each other without end"
                if self._walker.exhausted
                else f"the graph is broken: {scope.prefix + reference!r} is used and does not exist"
            )
        inside = source.instance.scope
        while inside is not None:
            if inside.body.function is not None and inside.body.function.signature.name in self._written:
                raise AttributionError(
                    f"the function {inside.body.function.signature.name!r} has a gradient that its author "
                    "wrote, which a flat graph would lose; attribute to a tensor behind it, "
                    "at=ta.tensor(name), or through the Keras model or function itself"
                )
            inside = inside.caller[0] if self._written and inside.caller else None
        if nodes.definition(source.instance.operation) is None and source.instance.operation != "Argument":
            raise AttributionError(
                f"the operation {source.instance.name!r} is of the type {source.instance.operation!r}, "
                "which this TensorFlow does not know: import the library that defines it first"
            )
        return source

    def _controls(self, instance: Instance) -> list[str]:
        """The nodes that control `instance` in the frames of TensorFlow 1's loops and branches, and nowhere else."""
        scope, inside = instance.scope, instance.scope.body.nodes
        names = [reference[1:] for reference in instance.node.input if reference.startswith("^")]
        if names and scope not in self._framed:
            self._framed[scope] = any(node.op in FRAMES for node in inside.values())
        if not names or not self._framed[scope]:
            return []
        # what a call or a source would control needs nothing of it
        return [
            name
            for name in names
            if name in inside and f"{name}:0" not in self._stops and self._resolve(scope, name).instance.node is inside[name]
        ]

    def _body(self, name: str, rename: str, result: Any) -> Any:
        """The function `name` with all that it calls in its place, written to the FunctionDef `result`."""
        function, scope = self._walker.functions[name], self._walker.function_scope(name)
        result.signature.CopyFrom(function.signature)
        result.signature.name = name + rename
        del result.signature.control_output[:]
        for key, value in function.attr.items():
            result.attr[key].CopyFrom(value)
        for key, value in function.arg_attr.items():
            result.arg_attr[key].CopyFrom(value)
        found = self._collect(scope.body.returns, scope, result.node_def, rename, {}, set())
        made = {node.name: node for node in result.node_def}
        for output, reference in zip(function.signature.output_arg, found, strict=True):
            result.ret[output.name] = nested(made, reference)
        for node in result.node_def:
            node.input[:] = [nested(made, reference) for reference in node.input]
        return result


def add_flat(flat: Flat, fed: dict[str, tf.Tensor], name: str = "") -> list[tf.Tensor]:
    """Adds a flat graph to the graph at hand, with `fed` in the place of its sources; returns the tensors asked for."""
    inner = [reference for reference in flat.references if reference not in fed]
    found = tf.graph_util.import_graph_def(flat.graph, {source: fed[source] for source in flat.sources}, inner, name)
    found = dict(zip(inner, found or [], strict=True))
    return [fed[reference] if reference in fed else found[reference] for reference in flat.references]


def nested(made: dict[str, Any], reference: str) -> str:
    """A flat reference in the way that functions write it, an argument's name as it is."""
    name, _, index = reference.rpartition(":")
    if reference.startswith("^") or name not in made:
        return reference if reference.startswith("^") else name
    rest = int(index)
    for output in present(nodes.definition(made[name].op)).output_arg:
        count = _count(output, made[name])
        if rest < count:
            return f"{name}:{output.name}:{rest}"
        rest -= count
    raise AttributionError(f"the graph is broken: {name!r} has no output {index}")


def _count(output: Any, node: Any) -> int:
    """How many tensors an output is."""
    if output.number_attr:
        return node.attr[output.number_attr].i if output.number_attr in node.attr else 0
    if output.type_list_attr:
        return len(node.attr[output.type_list_attr].list.type) if output.type_list_attr in node.attr else 0
    return 1


def _functions_of(node: Any) -> Iterator[Any]:
    for value in node.attr.values():
        if value.WhichOneof("value") == "func":
            yield value.func
        elif value.WhichOneof("value") == "list":
            yield from value.list.func


def _bodies(nodes: Iterable[Any]) -> Iterator[str]:
    """Names of the functions that `nodes` hold: bodies of loops and branches."""
    for node in nodes:
        for function in _functions_of(node):
            yield function.name


def _rename_bodies(node: Any, functions: Mapping[str, Any], suffix: str) -> None:
    for function in _functions_of(node):
        if function.name in functions:
            function.name += suffix
