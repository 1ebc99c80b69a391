"""One signature of a graph that was not loaded: its tensors, what they are computed from, and what uses them."""

import dataclasses
from collections.abc import Iterable
from typing import Any

from ..graphdef import nodes
from ..graphdef.scopes import Instance, Source, Walker
from ..traced.heads_and_lookups import PASS, SHAPES
from .contents import FloatTensor, Signature, TensorInfo

# Operations that hand values on, changed in shape at most.
RESHAPES = frozenset({"Reshape", "Squeeze", "ExpandDims", "IdentityN", "Transpose"})
# Where data comes in besides a signature's inputs.
ORIGINS = frozenset(
    {
        "Argument",
        "Placeholder",
        "PlaceholderWithDefault",
        "IteratorGetNext",
        "IteratorV2",
        "QueueDequeueV2",
        "QueueDequeueManyV2",
        "QueueDequeueUpToV2",
        "QueueDequeue",
        "QueueDequeueMany",
        "QueueDequeueUpTo",
    }
)
# What is read, not computed.
CONSTANT = frozenset({"Const", "ReadVariableOp", "VarHandleOp", "VariableV2", "Variable", "Fill", "HashTableV2"})
# Operations that a frozen graph may end in without giving anything.
GIVE_NOTHING = frozenset(
    {"NoOp", "Const", "Placeholder", "PlaceholderWithDefault", "Assert", "SaveV2", "VarHandleOp", "VariableV2", "Variable"}
)
MAX_ENDS = 100
MAX_TENSORS = 200_000
# The name of what a frozen graph has in place of a signature.
GRAPH = "graph"


@dataclasses.dataclass(frozen=True, eq=False)
class Reading:
    """A signature, walked.

    Attributes:
        name: of the signature.
        walker: what walked.
        inputs: the tensors of each input, several for a sparse one.
        outputs: by the caller's names.
        walked: every operation that the outputs are computed from with its sources, those that come first first.
        consumers: by tensor, the operations that use it and at which of their inputs.
        framed: the operations inside a loop or branch of TensorFlow 1.
    """

    name: str
    walker: Walker
    inputs: dict[str, list[Source]]
    outputs: dict[str, Source]
    walked: dict[Instance, list[Source | None]]
    consumers: dict[tuple, list[tuple[Instance, int]]]
    framed: frozenset[Instance]

    def sources(self, instance: Instance) -> list[Source | None]:
        """What the inputs of an operation are."""
        found = self.walked.get(instance)
        return self.walker.sources(instance) if found is None else found

    def first(self, instance: Instance) -> Source | None:
        """What the first input of an operation is."""
        return next(iter(self.sources(instance)), None)

    def fed_by(self, *starts: Source) -> tuple[str, ...]:
        """The inputs whose values, not whose shapes, a tensor of ids or text comes from; queues and such by their tensors."""
        names = {tuple(source): name for name, sources in self.inputs.items() for source in sources}
        waiting, seen, found = list(starts), set(), {}
        while waiting and not self.walker.exhausted:
            source = waiting.pop()
            if tuple(source) in seen:
                continue
            self.walker.spend()
            seen.add(tuple(source))
            if tuple(source) in names:
                found[names[tuple(source)]] = None
            elif source.instance.operation in ORIGINS:
                found[source.name] = None
            elif self._carries(source):
                waiting.extend(one for one in self.sources(source.instance) if one is not None)
        order = list(self.inputs)
        return tuple(sorted(found, key=lambda name: order.index(name) if name in order else len(order)))

    def tensors(self, further: Iterable[str] = ()) -> list[FloatTensor]:
        """The float tensors that can be fed or fetched: computed from an input, outside of loops, in order of computation.

        Args:
            further: names of tensors that count although no input leads to them, such as embeddings of positions.
        """
        functions, further, found = self.walker.functions, set(further), []
        fed = {source.instance for sources in self.inputs.values() for source in sources}
        dependent: set[Instance] = set()
        for instance, sources in self.walked.items():
            if len(found) >= MAX_TENSORS:
                break
            if (
                instance in fed
                or instance.operation in ORIGINS
                or any(source is not None and source.instance in dependent for source in sources)
            ):
                dependent.add(instance)
            if not instance.scope.addressable or instance in self.framed or instance.operation in CONSTANT:
                continue
            for index, dtype in enumerate(nodes.dtypes(instance.node, functions)):
                name = f"{instance.name}:{index}"
                if nodes.is_floating(dtype) and (instance in dependent or name in further):
                    found.append(FloatTensor(self.name, name, nodes.type_name(dtype), nodes.shape_of(instance.node, index)))
        return found

    def _carries(self, source: Source) -> bool:
        """Whether ids or text may come through an operation: what was computed from float activations is none."""
        operation = source.instance.operation
        if operation in SHAPES:
            return False
        if operation in PASS | RESHAPES:
            return True
        types = nodes.dtypes(source.instance.node, self.walker.functions)
        return source.index >= len(types) or not nodes.is_floating(types[source.index])


def read_signature(walker: Walker, name: str, inputs: dict[str, list[str]], outputs: dict[str, str]) -> Reading:
    """Walks a signature.

    Args:
        walker: of the graph.
        name: of the signature.
        inputs: references in the graph, by the caller's names.
        outputs: the same.
    """

    def resolved(reference: str) -> Source | None:
        return walker.resolve(walker.top, reference)

    ins = {key: [source for source in map(resolved, references) if source is not None] for key, references in inputs.items()}
    outs = {
        key: source for key, source in ((key, resolved(reference)) for key, reference in outputs.items()) if source is not None
    }
    stops = frozenset((source.instance, source.index) for sources in ins.values() for source in sources)
    walked = walker.walk(outs.values(), stops)
    # an input stands at the beginning, and nothing behind it is looked at
    beginning = {source.instance: [] for sources in ins.values() for source in sources if source.instance not in walked}
    walked = beginning | walked
    consumers: dict[tuple, list] = {}
    for instance, sources in walked.items():
        for position, source in enumerate(sources):
            if source is not None:
                consumers.setdefault(tuple(source), []).append((instance, position))
    return Reading(name, walker, ins, outs, walked, consumers, _framed(walked))


def signatures_of(meta_graph: Any, walker: Walker) -> dict[str, Signature]:
    """The signatures of a meta graph by name; of a frozen graph one, from its placeholders to what nothing uses."""
    found = {
        key: Signature(
            {name: _info(info) for name, info in sorted(signature.inputs.items())},
            {name: _info(info) for name, info in sorted(signature.outputs.items())},
        )
        for key, signature in sorted(meta_graph.signature_def.items())
        if not key.startswith("__saved_model")
    }
    if found or meta_graph.HasField("object_graph_def"):
        return found
    graph = meta_graph.graph_def
    used = {nodes.split(reference)[0] for node in graph.node for reference in node.input}
    ends = [node for node in graph.node if node.name not in used and node.op not in GIVE_NOTHING][:MAX_ENDS]
    return {
        GRAPH: Signature(
            {node.name: _described(node, 0, walker) for node in graph.node if node.op == "Placeholder"},
            {
                f"{node.name}:{index}" if index else node.name: _described(node, index, walker)
                for node in ends
                for index in range(len(nodes.dtypes(node, walker.functions)))
            },
        )
    }


def references_of(meta_graph: Any, signature: str, described: Signature) -> tuple[dict[str, list[str]], dict[str, str]]:
    """The references of a signature's inputs, several for a sparse one, and of its outputs."""
    if signature not in meta_graph.signature_def:
        return (
            {name: [info.name] for name, info in described.inputs.items()},
            {name: info.name for name, info in described.outputs.items()},
        )
    written = meta_graph.signature_def[signature]
    return (
        {name: references(info) for name, info in sorted(written.inputs.items())},
        {name: references(info)[0] for name, info in sorted(written.outputs.items()) if references(info)},
    )


def references(info: Any) -> list[str]:
    """The references in a TensorInfo: one, or those of the parts of a sparse or ragged tensor."""
    if info.WhichOneof("encoding") == "coo_sparse":
        parts = info.coo_sparse
        return [parts.values_tensor_name, parts.indices_tensor_name, parts.dense_shape_tensor_name]
    if info.WhichOneof("encoding") == "composite_tensor":
        return [part.name for part in info.composite_tensor.components]
    return [info.name]


def _info(info: Any) -> TensorInfo:
    return TensorInfo(next(iter(references(info)), ""), nodes.type_name(info.dtype), nodes.dimensions(info.tensor_shape))


def _described(node: Any, index: int, walker: Walker) -> TensorInfo:
    types = nodes.dtypes(node, walker.functions)
    return TensorInfo(
        f"{node.name}:{index}", nodes.type_name(types[index]) if index < len(types) else "unknown", nodes.shape_of(node, index)
    )


def _framed(walked: dict[Instance, list[Source | None]]) -> frozenset[Instance]:
    """What is inside the loops and branches of TensorFlow 1, where a value is there more than once or not at all."""
    entries = {"Enter", "RefEnter", "Switch", "RefSwitch"}
    inside, waiting = set(), []
    for instance, sources in walked.items():
        if instance.operation in ("Merge", "RefMerge"):
            waiting.extend(source.instance for source in sources if source is not None)
            if any(source is not None and "NextIteration" in source.instance.operation for source in sources):
                inside.add(instance)  # of a loop; behind a branch it is what the branch gives
        elif instance.operation == "LoopCond" or instance.operation in entries:
            waiting.append(instance)
    while waiting:
        instance = waiting.pop()
        if instance in inside:
            continue
        inside.add(instance)
        if instance.operation not in entries:
            waiting.extend(
                source.instance
                for source in walked.get(instance, ())
                if source is not None and source.instance.operation not in ("Merge", "RefMerge", "Exit", "RefExit")
            )
    return frozenset(inside)
