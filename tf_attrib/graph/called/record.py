"""What a model does when it is called: every operation, call of a layer, and value that Python reads.

A record tells what leads where, although no graph holds the model; where probability heads and embedding lookups are; which
formats the model computes in; and whether it looks at the values of a batch.
"""

import contextlib
import dataclasses
import re
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from ...common.types import present
from ..traced.heads_and_lookups import HEADS, PASS, SHAPES
from ..traced.layer_calls import around_calls, handed_on, identities
from ..traced.tf_private import operations_noted, reads_noted, writes_noted
from ..traced.trace import TRACING
from .running import Name, Runner, State

HANDLES = (tf.resource, tf.variant)
# Operations that call a function of Python's.
PYTHON = frozenset({"PyFunc", "PyFuncStateless", "EagerPyFunc"})
# Operations through which ids come as they are.
CARRIERS = PASS | {"Reshape", "ExpandDims", "Squeeze"}
# Of what no operation made, those with more entries are weights.
LARGEST = 10**6


@dataclasses.dataclass(frozen=True, eq=False)
class Made:
    """An operation: its place among all, its type, and its tensors."""

    place: int
    kind: str
    inputs: tuple[tf.Tensor, ...]
    outputs: tuple[tf.Tensor, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class LayerCall:
    """A call of a layer: its outputs by key, and the whole numbers that it was given, if any."""

    layer: Any
    path: str
    number: int
    outputs: dict[Any, tf.Tensor]
    ids: tf.Tensor | None


@dataclasses.dataclass(eq=False)
class Record:
    """One run. Tensors are told apart by `id`; all are kept.

    Attributes:
        inputs, outputs: by key.
        made, calls, reads: in their order; of each read, how many operations had been run.
        maker: of each tensor, by its id.
        written: by the id of a variable's handle, what wrote it.
        fed: what stood in for outputs of layers.
        carried: the ids of tensors that no operation made, and that differ with the inputs: Python made them from these.
    """

    inputs: dict[Any, tf.Tensor]
    outputs: dict[Any, tf.Tensor] = dataclasses.field(default_factory=dict)
    made: list[Made] = dataclasses.field(default_factory=list)
    calls: list[LayerCall] = dataclasses.field(default_factory=list)
    reads: list[tuple[int, tf.Tensor]] = dataclasses.field(default_factory=list)
    maker: dict[int, Made] = dataclasses.field(default_factory=dict)
    written: dict[int, list[Made]] = dataclasses.field(default_factory=dict)
    fed: tuple[tf.Tensor, ...] = ()
    carried: frozenset[int] = frozenset()

    def note(self, kind: str, inputs: tuple, outputs: tuple) -> None:
        """An operation that was run."""
        one = Made(len(self.made), kind, inputs, outputs)
        self.made.append(one)
        self.maker.update((id(tensor), one) for tensor in outputs)
        if kind.startswith("Assign") and kind.endswith("VariableOp"):
            self.written.setdefault(id(inputs[0]), []).append(one)

    def tensor(self, name: Name) -> tf.Tensor:
        """The tensor of that name."""
        if name[0] == "input":
            return self.inputs[name[1]]
        if name[0] in ("output", "logits"):
            head = self.head(name[1])
            return self.outputs[name[1]] if name[0] == "output" or head is None else head[1]
        (call,) = (one for one in self.calls if (one.path, one.number) == name[1:3])
        return present(call.ids) if name[0] == "ids" else call.outputs[name[3]]

    def names(self) -> dict[Name, tf.Tensor]:
        """The outputs of layers, and what else can be fetched of a run."""
        found: dict[Name, tf.Tensor] = {("output", key): tensor for key, tensor in self.outputs.items()}
        found |= {("logits", key): head[1] for key in self.outputs if (head := self.head(key)) is not None}
        for call in self.calls:
            found |= {("layer", call.path, call.number, key): tensor for key, tensor in call.outputs.items()}
            if call.ids is not None:
                found["ids", call.path, call.number] = call.ids
        return found

    def head(self, key: Any) -> tuple[str, tf.Tensor] | None:
        """The type of the operation that makes probabilities at an output, and the logits."""
        tensor = self.outputs[key]
        while id(tensor) in self.maker:
            one = self.maker[id(tensor)]
            if one.kind in HEADS:
                return one.kind, one.inputs[0]
            if one.kind not in PASS:
                return None
            tensor = one.inputs[0]
        return None

    def behind(
        self, tensor: tf.Tensor, stop: Iterable[tf.Tensor] = (), without: frozenset[str] = frozenset(), by_python: bool = True
    ) -> set[int]:
        """The ids of all that `tensor` is computed from, itself among them, not going past any tensor in `stop`, nor through
        operations `without`. What Python carried comes from all inputs, and from what stands in for layers; that counts
        `by_python`."""
        stopped, seen, waiting = {id(one) for one in stop}, set(), [tensor]
        while waiting:
            one = waiting.pop()
            if id(one) in seen or id(one) in stopped:
                continue
            seen.add(id(one))
            maker = self.maker.get(id(one))
            if maker is not None and maker.kind not in without:
                waiting.extend(maker.inputs)
            elif maker is None and one.dtype in HANDLES:
                waiting.extend(source for write in self.written.get(id(one), ()) for source in write.inputs[1:])
            elif by_python and id(one) in self.carried:
                waiting.extend([*self.inputs.values(), *self.fed])
        return seen

    def foreign(self) -> list[tf.Tensor]:
        """What no operation made: constants, and what went through Python."""
        own = {id(tensor) for tensor in [*self.inputs.values(), *self.fed]}
        found: dict[int, tf.Tensor] = {}
        for tensor in [*(source for one in self.made for source in one.inputs), *self.outputs.values()]:
            if id(tensor) not in self.maker and id(tensor) not in own and tensor.dtype not in HANDLES:
                found[id(tensor)] = tensor
        return [tensor for tensor in found.values() if tensor.shape.num_elements() <= LARGEST]

    @property
    def by_python(self) -> bool:
        """Whether values went through Python, or may have, in a function that TensorFlow calls."""
        return bool(self.carried) or any(one.kind in PYTHON for one in self.made)

    def differing(self, other: "Record") -> list[tf.Tensor] | None:
        """Of what no operation made, what was another in `other`; None where that took other operations."""
        mine, theirs = self.foreign(), other.foreign()
        if [one.kind for one in self.made] != [one.kind for one in other.made] or len(mine) != len(theirs):
            return None
        return [one for one, two in zip(mine, theirs, strict=True) if not _equal(one, two)]

    @property
    def reads_values(self) -> bool:
        """Whether Python reads what the inputs' values decide; their shapes do not count."""
        own = {id(tensor) for tensor in self.inputs.values()}
        for _, tensor in self.reads:
            if id(tensor) not in self.maker and tensor.dtype.is_floating:
                return True  # inside a function of Python's that TensorFlow calls, tensors are new ones
            if self.behind(tensor, without=SHAPES) & own:
                return True
        return False

    def ids_of(self, tensor: tf.Tensor) -> set[int]:
        """The ids of the tensors that `tensor` got whole numbers from, not going through what computes floats."""
        seen, waiting = set(), [tensor]
        while waiting:
            one = waiting.pop()
            if id(one) in seen:
                continue
            seen.add(id(one))
            maker = self.maker.get(id(one))
            if maker is not None and maker.kind not in SHAPES and (not one.dtype.is_floating or maker.kind in CARRIERS):
                waiting.extend(maker.inputs)
        return seen

    def gathered(self, tensor: tf.Tensor) -> tuple | None:
        """The table's shape, as (rows, dimension), where `tensor` is rows of a float table, handed on as they are."""
        while (maker := self.maker.get(id(tensor))) is not None and maker.kind in PASS:
            tensor = maker.inputs[0]
        if maker is None or maker.kind not in ("GatherV2", "ResourceGather"):
            return None
        if maker.kind == "ResourceGather":
            return None, tensor.shape[-1]
        table = maker.inputs[0]
        return tuple(table.shape) if table.dtype.is_floating and table.shape.rank == 2 else None

    def only_ids(self, key: Any) -> bool:
        """Whether a float input serves as ids: it is cast to whole numbers, and nothing else; a mask may compare it."""
        users = [one for one in self.made if any(source is self.inputs[key] for source in one.inputs)]
        users = [one for one in users if one.kind not in SHAPES]
        casts = [one for one in users if one.kind == "Cast" and one.outputs[0].dtype.is_integer]
        return bool(casts) and all(one in casts or one.kind in ("Equal", "NotEqual") for one in users)

    def formats(self) -> frozenset[tf.DType]:
        """The half-precision formats that anything is in."""
        found = {tensor.dtype for one in self.made for tensor in one.outputs}
        return frozenset(found & {tf.float16, tf.bfloat16})

    def activation_bytes(self) -> int:
        """Of all floats that were computed."""
        return sum(
            tensor.dtype.size * int(tensor.shape.num_elements())
            for one in self.made
            if one.kind not in PASS | {"ReadVariableOp"}
            for tensor in one.outputs
            if tensor.dtype.is_floating and tensor.shape.rank
        )

    def kinds(self) -> tuple[str, ...]:
        """The types of the operations that the outputs were computed by."""
        behind = set().union(*(self.behind(tensor) for tensor in self.outputs.values()))
        return tuple(one.kind for one in self.made if any(id(tensor) in behind for tensor in one.outputs))

    def variables(self, names: dict[int, str]) -> tuple[State, ...]:
        """The floats that were read from variables; `names` as in `states`."""
        found = {}
        for one in self.made:
            if one.kind in ("ReadVariableOp", "ResourceGather") and one.outputs[0].dtype.is_floating:
                handle = one.inputs[0]
                found[id(handle)] = State(_name(handle, names), handle, one.outputs[0].dtype)
        return tuple(found.values())

    def states(self, names: dict[int, str]) -> tuple[State, ...]:
        """The variables that were written; what random numbers are drawn from counts on.

        Args:
            names: of variables, by the id of their handle.
        """
        found = {}
        for writes in self.written.values():
            handle, value = writes[0].inputs[:2]
            name = _name(handle, names)
            if "seed_generator" not in name:
                found[id(handle)] = State(name, handle, value.dtype)
        return tuple(found.values())


def recorded(runner: Runner, sources: list[tf.Tensor], fed: dict[Name, tf.Tensor] | None = None) -> Record:
    """The record of one call.

    Args:
        sources: the inputs.
        fed: what stands in for outputs of layers.
    """
    # new ones: Keras notes masks on the tensors that it sees
    fed = {name: tf.identity(tensor) for name, tensor in (fed or {}).items()}
    record, numbers = Record(dict(zip(runner.keys, sources, strict=True)), fed=tuple(fed.values())), {}

    def around(layer, path, run, given):
        if layer is runner.model or not tf.executing_eagerly():  # a function of TensorFlow's is being traced
            return run()
        number = numbers[path] = numbers.get(path, -1) + 1
        passed, noted = identities(run(), layer.name)
        if ("layer", path, number, None) in fed:
            passed, noted = handed_on(passed, fed["layer", path, number, None])
        ids = given[0] if given and isinstance(given[0], tf.Tensor) and _may_be_ids(layer, given[0]) else None
        record.calls.append(LayerCall(layer, path, number, noted, ids))
        return passed

    def read(tensor):
        record.reads.append((len(record.made), tensor))

    with TRACING, _all_kept(), reads_noted(read), operations_noted(record.note):
        if runner.is_keras:
            with around_calls(runner.model, around):
                record.outputs = runner.called(sources)
        else:
            record.outputs = runner.called(sources)
    return record


@contextlib.contextmanager
def _all_kept() -> Iterator[None]:
    """While the context lasts, variables may be written; then all are as they were."""
    kept: dict[int, tuple[State, tf.Tensor]] = {}

    def keep(handle, dtype):
        if id(handle) not in kept:
            state = State("", handle, dtype)
            kept[id(handle)] = state, state.read()

    try:
        with writes_noted(keep):
            yield
    finally:
        for state, value in kept.values():
            state.write(value)


def _equal(one: tf.Tensor, two: tf.Tensor) -> bool:
    return one.dtype == two.dtype and np.array_equal(one.numpy(), two.numpy(), equal_nan=one.dtype.is_floating)


def _name(handle: tf.Tensor, names: dict[int, str]) -> str:
    """The name of a variable: of the model's, else as TensorFlow shows it."""
    shown = re.search(r'ResourceHandle\(name="([^"]+)"', repr(handle))
    return names.get(id(handle)) or (shown[1] if shown else "a variable")


def _may_be_ids(layer: Any, given: tf.Tensor) -> bool:
    return given.dtype.is_integer or (given.dtype.is_floating and hasattr(layer, "input_dim"))
