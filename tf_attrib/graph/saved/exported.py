"""A model without its Python source: a signature of a SavedModel (Keras 3, tf_keras, tf.Module, TensorFlow 1), or a frozen
graph. It is flattened, with its variables and tables live, into what the trace of a Keras model gives."""

import dataclasses
import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from ...common.errors import AttributionError, nearest, plain
from ...common.types import present
from ..graphdef import flatten
from ..graphdef.scopes import CALLS, Walker
from ..traced.gradients import LOOPS
from ..traced.states import deterministic
from ..traced.tf_private import let_go_of_bodies
from ..traced.trace import TRACING, Traced
from . import custom_gradients, security
from .export_copy import ExportCopy
from .file import find, read
from .signature import GRAPH, signatures_of

# Each takes TensorFlow some milliseconds; the largest models have some ten thousands.
MAX_OPERATIONS = 50_000
DEFAULT_SIGNATURES = ("serving_default", "serve")
# Where examples come from inside a graph of TensorFlow 1: their outputs are fed instead.
QUEUES = frozenset(
    {
        "IteratorGetNext",
        "IteratorGetNextSync",
        "QueueDequeueV2",
        "QueueDequeueManyV2",
        "QueueDequeueUpToV2",
        "QueueDequeue",
        "QueueDequeueMany",
        "QueueDequeueUpTo",
    }
)

_NUMBERS = itertools.count()


@dataclasses.dataclass(frozen=True, eq=False)
class Exported:
    """A model without its Python source.

    Attributes:
        name: of the file, and the signature.
        specs: what it takes, by name; the shape of an input of a TensorFlow 1 graph may be unknown.
        graph: a GraphDef with its functions.
        inputs, outputs: references in it, by name.
        live: the variables, tables and constants that stand for references in it.
        gradients: those that an author wrote, and the file holds.
        alive: what must not be collected as long as this is used.
        loaded: a graph of TensorFlow 1 as TensorFlow loaded it, with what it knows of loops.
        copied: the files that it was loaded from, which stay as long as this is used.
    """

    name: str
    specs: dict[str, tf.TensorSpec]
    graph: Any
    inputs: dict[str, str]
    outputs: dict[str, str]
    live: dict[str, tf.Tensor]
    gradients: dict[str, custom_gradients.SavedGradient]
    alive: Any
    loaded: Any = None
    copied: ExportCopy | None = None

    def narrowed(self, arrays: dict[Any, Any], match: dict[str, Any]) -> dict[str, tf.TensorSpec]:
        """`specs`, with those of unknown shape narrowed to the inputs at hand, any number of them.

        Args:
            arrays: the inputs, by the user's keys.
            match: those keys, by the names of `specs`.

        Raises:
            AttributionError: several inputs without names: a signature knows no order.
        """
        if len(self.specs) > 1 and not all(isinstance(key, str) for key in arrays):
            raise AttributionError(f"{self.name} takes its inputs by name: a dict of {', '.join(map(repr, self.specs))}")
        return {
            name: spec
            if spec.shape.rank is not None
            else tf.TensorSpec([None, *arrays[match[name]].shape[1:]], spec.dtype, spec.name)
            for name, spec in self.specs.items()
        }

    def trace(self, specs: dict[str, tf.TensorSpec], preprocess: Callable | None = None) -> Traced:
        """The flat graph, for inputs of `specs`, which must be those of this model or narrower.

        Args:
            preprocess: applied to the input, or to the dict of several, first and inside the graph.

        Raises:
            AttributionError: the graph is broken, holds unknown operations, or computes nothing that is float.
        """
        flattening = flatten.Flattening(
            self.graph, [*self.inputs.values(), *self.live], custom_gradients.locate(self.gradients)
        )
        rename = f"_flat_{next(_NUMBERS)}"
        flat = flattening.flat(self.outputs.values(), rename)
        if self.loaded is not None and preprocess is None and any(node.op in LOOPS for node in flat.graph.node):
            return self._as_loaded()

        def forward(*arguments):
            given = dict(zip(specs, arguments, strict=True))
            if preprocess:
                given = preprocess(given) if len(given) > 1 else {name: preprocess(value) for name, value in given.items()}
            graph = tf.compat.v1.get_default_graph()
            fed = {self.inputs[name]: given[name] for name in self.inputs}
            fed |= {
                reference: graph.capture(tensor, name=_node_name(reference))
                for reference, tensor in self.live.items()
                if reference in flat.sources
            }
            if flat.custom:
                names = {reference: tensor.name for reference, tensor in fed.items()}
                known = custom_gradients.Gradients(flattening, self.gradients, flat.custom, names, rename)
                custom_gradients.remember(graph, known)
            return [tf.identity(tensor) for tensor in flatten.add_flat(flat, fed)]

        signature = [tf.TensorSpec(spec.shape, spec.dtype, _node_name(self.inputs[name])) for name, spec in specs.items()]
        with TRACING:
            try:
                function = let_go_of_bodies(tf.compat.v1.wrap_function(forward, signature))
            except AttributionError:
                raise
            except Exception as error:
                raise AttributionError(f"{self.name} could not be read into a flat graph: {plain(error, 300)}") from error
        inputs = dict(zip(specs, function.inputs[: len(specs)], strict=True))
        traced = self._traced(function, inputs, dict(zip(self.outputs, function.structured_outputs, strict=True)))
        late = [one.name for one in deterministic(traced.outputs.values()) if one.name in flat.late]
        if late:
            raise AttributionError(
                f"{self.name} writes a variable and then reads it, in {late[0]!r}, so that its output depends on how often it "
                "was called; attributions run nothing that writes, and would be those of another score: save the model "
                "without that, or attribute to it as a Keras model or function, which is then called eagerly"
            )
        return traced

    def _as_loaded(self) -> Traced:
        """The graph with loops of TensorFlow 1, which have a gradient where TensorFlow itself loaded them alone."""
        graph = self.loaded.graph
        inputs = {name: graph.get_tensor_by_name(reference) for name, reference in self.inputs.items()}
        outputs = {name: graph.get_tensor_by_name(reference) for name, reference in self.outputs.items()}
        return self._traced(self.loaded.prune.__self__, inputs, outputs)  # the wrapped function that was loaded

    def _traced(self, function: Any, inputs: dict[str, tf.Tensor], outputs: dict[str, tf.Tensor]) -> Traced:
        floats = {name: tensor for name, tensor in outputs.items() if tensor.dtype.is_floating}
        if not floats:
            kinds = ", ".join(f"{name!r} ({tensor.dtype.name})" for name, tensor in outputs.items())
            raise AttributionError(f"{self.name} has no float output to explain: {kinds}")
        return Traced(function, inputs, floats, {name: name for name in floats}, calls=(), loss_heads={}, alive=self)


def load_exported(path: str | os.PathLike, signature: str | None = None, allow_unsafe: bool = False) -> Exported:
    """A SavedModel, by one of its signatures, or a frozen graph.

    Args:
        path: the folder of a SavedModel, its `saved_model.pb`, or a frozen GraphDef `.pb`.
        signature: default: "serving_default", else the only one.
        allow_unsafe: load a file that holds operations which reach out of the graph; loading may run them.

    Raises:
        AttributionError: not readable, unsafe, or no such signature.
    """
    found = find(Path(path))
    copied = ExportCopy(found.parent, allow_unsafe) if found.name == "saved_model.pb" else None
    export = read(copied.folder if copied else found, called=found)
    security.check_export(export, path, allow_unsafe)
    if export.operations > MAX_OPERATIONS and not allow_unsafe:
        raise AttributionError(
            f"{plain(path)!r} has {export.operations:,} operations; up to {MAX_OPERATIONS:,} are loaded, "
            "which takes minutes; more: Attributor(path, allow_unsafe=True), or --allow-unsafe"
        )
    meta_graph = export.serving
    if export.folder is None:
        if signature not in (None, GRAPH):
            raise AttributionError(f"{str(path)!r} is a frozen graph, without signatures; leave signature={signature!r} out")
        return _frozen(path, meta_graph)
    name = chosen_signature(meta_graph, signature, path)
    chosen = meta_graph.signature_def[name]
    try:
        loaded = tf.saved_model.load(str(export.folder), list(meta_graph.meta_info_def.tags) or None)
    except Exception as error:
        raise AttributionError(f"TensorFlow could not load the SavedModel {str(path)!r}: {plain(error, 300)}") from error
    is_v2 = bool(meta_graph.object_graph_def.nodes)
    if is_v2:
        graph, live, numbers = _calls(meta_graph, loaded, chosen, name)
        gradients = custom_gradients.read_gradients(meta_graph, numbers)
    else:
        # TensorFlow gave its resources names of their own when it loaded them: the graph is taken from there
        graph, gradients = loaded.graph.as_graph_def(add_shapes=True), {}
        live = {inner.name: outer for outer, inner in loaded.graph.captures}
    inputs = {key: _name(info, key) for key, info in sorted(chosen.inputs.items())}
    specs = {
        key: tf.TensorSpec(tf.TensorShape(info.tensor_shape), info.dtype, key) for key, info in sorted(chosen.inputs.items())
    }
    outputs = {key: _name(info, key) for key, info in sorted(chosen.outputs.items())}
    shown = f"signature {name!r} of {str(path)!r}"
    model = Exported(shown, specs, graph, inputs, outputs, live, gradients, loaded, None if is_v2 else loaded, copied)
    return _with_sources(model)


def chosen_signature(meta_graph: Any, name: str | None, path: str | os.PathLike) -> str:
    """The name of the signature that is meant."""
    names = [key for key, signature in meta_graph.signature_def.items() if signature.outputs and not key.startswith("__")]
    if not names:
        raise AttributionError(
            f"the SavedModel {str(path)!r} has no signature to call; save it with one: "
            "tf.saved_model.save(module, path, signatures=module.__call__.get_concrete_function(spec))"
        )
    if name is not None:
        if name not in names:
            raise AttributionError(f"no signature is called {name!r}; there are: {nearest(name, names)}")
        return name
    known = [default for default in DEFAULT_SIGNATURES if default in names]
    if not known and len(names) > 1:
        raise AttributionError(
            f"the SavedModel has {len(names)} signatures, say which, such as signature={names[0]!r}: "
            f"{nearest('', sorted(names))}"
        )
    return (known or names)[0]


def _calls(meta_graph: Any, loaded: Any, chosen: Any, name: str) -> tuple[Any, dict[str, tf.Tensor], dict[int, str]]:
    """The graph of a TensorFlow 2 SavedModel, the live objects for references in it, and those references by their numbers in
    the object graph.

    In the graph each signature is one call of a function, whose last arguments are what the function captured.
    """
    call_name = next(iter(chosen.outputs.values())).name.split(":")[0]
    call = next((node for node in meta_graph.graph_def.node if node.name == call_name), None)
    captured = loaded.signatures[name].captured_inputs
    if call is None or call.op not in CALLS:
        raise AttributionError(f"signature {name!r} is not the call of a function, as TensorFlow saves one")
    given = [reference for reference in call.input if not reference.startswith("^")]
    references = [reference if ":" in reference else reference + ":0" for reference in given[len(given) - len(captured) :]]
    saved = meta_graph.object_graph_def.concrete_functions[call.attr["f"].func.name]
    numbers = dict(zip(saved.bound_inputs, references, strict=False))
    return meta_graph.graph_def, dict(zip(references, captured, strict=True)), numbers


def _node_name(reference: str) -> str:
    """A name for what stands for a reference: that of the node, with the number of an output that is not its first."""
    name, _, index = reference.rpartition(":")
    return name if index == "0" else f"{name}_{index}"


def _name(info: Any, key: str) -> str:
    """The reference of a signature's tensor."""
    if info.WhichOneof("encoding") != "name":
        raise AttributionError(
            f"{key!r} of the signature is a sparse or composite tensor; save a signature of dense tensors "
            "that makes it inside: tf.sparse.from_dense(x)"
        )
    return info.name if ":" in info.name else info.name + ":0"


def _frozen(path: str | os.PathLike, meta_graph: Any) -> Exported:
    """A frozen GraphDef: its inputs are its placeholders, its outputs what nothing else uses."""
    graph = meta_graph.graph_def
    outputs = {name: info.name for name, info in signatures_of(meta_graph, Walker(graph))[GRAPH].outputs.items()}
    if not outputs:
        raise AttributionError(f"the graph in {str(path)!r} computes nothing")
    variables = [node.name for node in graph.node if node.op in ("VarHandleOp", "VariableV2", "Variable")]
    if variables:
        raise AttributionError(
            f"the graph in {str(path)!r} is not frozen: the variable {variables[0]!r} is without a value; "
            "freeze it, or save a SavedModel"
        )
    return _with_sources(Exported(f"the graph in {str(path)!r}", {}, graph, {}, outputs, {}, {}, None))


def _with_sources(model: Exported) -> Exported:
    """`model` with placeholders that its signature leaves out, queues and iterators as further inputs."""
    stops = [*model.inputs.values(), *model.live]
    nodes = {node.name: node for node in model.graph.node}
    flat = flatten.Flattening(model.graph, stops).flat(model.outputs.values())
    placeholders = [node.name for node in flat.graph.node if node.op == "Placeholder" and node.name in nodes]
    queues = {node.name for node in flat.graph.node if node.op in QUEUES and node.name in nodes}
    used = {reference for node in flat.graph.node for reference in node.input} | set(flat.references)
    inputs = {name: f"{name}:0" for name in placeholders}
    inputs |= {reference: reference for reference in sorted(used) if reference.rpartition(":")[0] in queues}
    specs = {
        name: _spec(nodes[reference.rpartition(":")[0]], int(reference.rpartition(":")[2]), name)
        for name, reference in inputs.items()
    }
    return dataclasses.replace(model, inputs=model.inputs | inputs, specs=model.specs | specs)


def _spec(node: Any, index: int, name: str) -> tf.TensorSpec:
    """The TensorSpec of an output of a placeholder, a queue or an iterator."""

    def attribute(*keys: str):
        return next((node.attr[key] for key in keys if key in node.attr), None)

    types, shapes = attribute("output_types", "component_types"), attribute("_output_shapes", "output_shapes")
    if node.op == "Placeholder":
        shape = attribute("shape")
        return tf.TensorSpec(_shape(shape.shape if shape else None), node.attr["dtype"].type, name)
    shape = shapes.list.shape[index] if shapes and len(shapes.list.shape) > index else None
    return tf.TensorSpec(_shape(shape), present(types).list.type[index], name)


def _shape(proto: Any) -> tf.TensorShape:
    """Of a TensorShapeProto; None where nothing is known of it, not even the rank."""
    return tf.TensorShape(proto)
