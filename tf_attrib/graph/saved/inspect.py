"""`inspect(model_or_path)`: what is inside a model, with the reason for each finding, and what loading it would do.

An export is read and never loaded; a Keras model in memory is traced, and the same is looked for in its graph.
"""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

from ...common.errors import AttributionError, nearest, plain, printed
from ..graphdef.nodes import data_inputs, dimensions, functions_of, split, type_name
from ..graphdef.scopes import LIMIT, Walker
from ..traced import keras_model
from . import assets, computed_tables, heads_and_embeddings, listing, security, text_and_tables
from .contents import Embedding, FloatTensor, Loading, Preprocessing, SavedHead, Signature, UnsafeOperation, Variable
from .explanation import EXPLAIN, read_explanation
from .file import is_export, read
from .keras_as_saved import CALL, keras_graph
from .keras_file import load_model
from .signature import Reading, read_signature, references_of, signatures_of

# Exports have a handful; of a hostile file no more than these are walked.
MAX_SIGNATURES = 50


@dataclasses.dataclass(frozen=True)
class Inspection:
    """What was found in a model; printed, it is a report.

    Attributes:
        source: the path, or the name of the model.
        kind: SavedModel, frozen graph or Keras model, with the version that wrote it.
        signatures: by name, inputs and outputs; "graph" for a frozen graph, "call" for a Keras model.
        heads: probability heads at the outputs, with the logits beneath them.
        embeddings: lookups in float tables.
        preprocessing: text operations and tables of keys.
        tensors: the float tensors that attributions can be had at or of. The operation `x` of a function that the operation
            `call` calls is `call/x`; ":0" is its first output.
        variables: those that the signatures read.
        unsafe_ops: operations that reach out of the graph, expected ones left out.
        loading: what runs at load time.
        explanation: what the export says of its signature `explain` (`Attributor.export`), where it has one.
        notes: what was left out, and why.
    """

    source: str
    kind: str
    signatures: dict[str, Signature]
    heads: tuple[SavedHead, ...]
    embeddings: tuple[Embedding, ...]
    preprocessing: tuple[Preprocessing, ...]
    tensors: tuple[FloatTensor, ...]
    variables: tuple[Variable, ...]
    unsafe_ops: tuple[UnsafeOperation, ...]
    loading: tuple[Loading, ...]
    explanation: dict[str, Any] | None = None
    notes: tuple[str, ...] = ()

    @printed
    def __repr__(self) -> str:
        return listing.listing(self)

    def to_json(self) -> str:
        """The same as JSON: each list as its count and its first items."""
        return json.dumps(listing.as_plain(self), indent=2)


def inspect(model_or_path: Any, signature: str | None = None) -> Inspection:
    """What is inside a model, found without running it.

    Args:
        model_or_path: a SavedModel's folder, its `saved_model.pb`, a frozen graph `.pb`, a `.keras` or `.h5` file, or a Keras
            model. Exports are parsed and never loaded; Keras files are loaded where all that they name
            is known to compute and do nothing else.
        signature: look at this one alone.

    Raises:
        AttributionError: not a model, broken, or larger than any model is; no such signature.
    """
    if isinstance(model_or_path, str | os.PathLike):
        path = Path(model_or_path)
        if is_export(path):
            return _inspect_export(path, signature)
        return _inspect_keras(load_model(path), str(path), signature)
    if not keras_model.is_keras(model_or_path):
        raise AttributionError(
            "inspect takes a path or a Keras model, got "
            f"{type(model_or_path).__name__}; save a function with tf.saved_model.save, and give that path"
        )
    return _inspect_keras(model_or_path, model_or_path.name, signature)


def _inspect_export(path: Path, signature: str | None) -> Inspection:
    export = read(path)
    meta_graph = export.serving
    walker = Walker(meta_graph.graph_def)
    signatures, notes = _chosen(signatures_of(meta_graph, walker), signature)
    explanation, unread = (None, "") if export.folder is None else read_explanation(export.folder)
    notes += [unread] if unread else []
    readings = [
        read_signature(walker, name, *references_of(meta_graph, name, found))
        for name, found in signatures.items()
        if explanation is None or name != EXPLAIN  # which holds the model again, and its gradients
    ]
    tables = text_and_tables.read_tables(walker, assets.assets_of(meta_graph, export.folder))
    version = meta_graph.meta_info_def.tensorflow_version
    tags = ", ".join(repr(plain(tag)) for tag in meta_graph.meta_info_def.tags)
    written_by = f" of TensorFlow {plain(version, 40)}" if version else ""
    kind = "frozen graph" if export.folder is None else "SavedModel" + written_by
    if len(export.meta_graphs) > 1:
        notes.append(f"the file holds {len(export.meta_graphs)} graphs; this is the one tagged {tags}")
    if not signatures:
        notes.append(
            "the model was saved without a signature, so nothing says what its inputs and outputs are; save it with "
            "tf.saved_model.save(module, path, signatures=module.__call__.get_concrete_function(spec))"
        )
    trainable = _trainable(meta_graph)
    found = _inspection(
        str(path),
        kind,
        signatures,
        readings,
        tables,
        notes,
        trainable,
        security.unsafe_operations(export),
        security.loading(meta_graph),
    )
    return dataclasses.replace(found, explanation=explanation)


def _inspect_keras(model: Any, source: str, signature: str | None) -> Inspection:
    traced = keras_graph(model)
    described = {CALL: Signature(traced.inputs, traced.outputs)}
    signatures, notes = _chosen(described, signature)
    walker = Walker(traced.meta_graph.graph_def)
    references = (
        {name: [info.name] for name, info in traced.inputs.items()},
        {name: info.name for name, info in traced.outputs.items()},
    )
    readings = [read_signature(walker, CALL, *references)]
    found = _inspection(
        source,
        f"Keras model of {type(model).__module__.split('.')[0]}",
        signatures,
        readings,
        {},
        notes,
        traced.trainable,
        security.unsafe_in_graph(traced.meta_graph),
        (),
    )
    named = tuple(dataclasses.replace(one, name=traced.lookups.get(one.name, one.name)) for one in found.embeddings)
    words = keras_model.vocabulary(model)
    filled = tuple(
        dataclasses.replace(one, keys=tuple(words), count=len(words), reason=one.reason.partition(",")[0])
        if words and one.kind == "lookup table"
        else one
        for one in found.preprocessing
    )
    layered = tuple(dataclasses.replace(one, layer=traced.layers.get(one.name)) for one in found.tensors)
    heads = (
        *found.heads,
        *(
            SavedHead(
                CALL,
                output,
                kind,
                traced.outputs[output].name,
                traced.outputs[output].name,
                traced.outputs[output].shape,
                "the compiled loss takes logits",
                applied=False,
            )
            for output, kind in traced.loss_heads.items()
        ),
    )
    return dataclasses.replace(found, embeddings=named, preprocessing=filled, tensors=layered, heads=heads)


def _chosen(signatures: dict[str, Signature], name: str | None) -> tuple[dict[str, Signature], list[str]]:
    """The signatures to look at, and a note where they are not all."""
    if name is not None:
        if name not in signatures:
            raise AttributionError(f"no signature is called {name!r}; there are: {nearest(name, signatures)}")
        return {name: signatures[name]}, []
    notes = (
        [f"only the first {MAX_SIGNATURES} of {len(signatures)} signatures were looked at"]
        if len(signatures) > MAX_SIGNATURES
        else []
    )
    return dict(list(signatures.items())[:MAX_SIGNATURES]), notes


def _inspection(source, kind, signatures, readings: list[Reading], tables, notes, trainable, unsafe, loading) -> Inspection:
    """All findings of the signatures that were walked."""
    embeddings = [found for reading in readings for found in heads_and_embeddings.find_lookups(reading)]
    of_tables = {found.tensor for found in embeddings}
    found = Inspection(
        source,
        kind,
        signatures,
        heads=tuple(found for reading in readings for found in heads_and_embeddings.find_heads(reading)),
        embeddings=tuple(embeddings),
        preprocessing=tuple(found for reading in readings for found in text_and_tables.find_preprocessing(reading, tables)),
        tensors=tuple(found for reading in readings for found in reading.tensors(of_tables)),
        variables=_variables(readings, trainable),
        unsafe_ops=tuple(unsafe),
        loading=tuple(loading),
        notes=(),
    )
    if readings and readings[0].walker.exhausted:
        notes = [
            *notes,
            f"the search was stopped after {LIMIT:,} steps: the graph is larger, or its functions call each other "
            "more often, than those of any model; there may be more in it",
        ]
    return dataclasses.replace(found, notes=tuple(notes))


def _variables(readings: list[Reading], trainable: dict[str, bool]) -> tuple[Variable, ...]:
    """The variables that the signatures read, each once."""
    found = {}
    for reading in readings:
        for instance in reading.walked:
            node = instance.node
            if node.op in computed_tables.VARIABLES:
                name = computed_tables.variable_name(node)
                shape = dimensions(node.attr["shape"].shape) if "shape" in node.attr else None
                dtype = type_name(node.attr["dtype"].type) if "dtype" in node.attr else "unknown"
                found[node.name] = Variable(name, shape, dtype, trainable.get(node.name, trainable.get(name)))
    return tuple(found.values())


def _trainable(meta_graph: Any) -> dict[str, bool]:
    """Whether each variable is trainable, by the name of its node, as far as the file says."""
    objects, found = meta_graph.object_graph_def, {}
    for node in meta_graph.graph_def.node:
        called = [objects.concrete_functions[name] for _, name in functions_of(node) if name in objects.concrete_functions]
        for saved in called:  # the last inputs of a call are what the object graph binds to its function
            for reference, number in zip(reversed(data_inputs(node)), reversed(saved.bound_inputs), strict=False):
                if 0 <= number < len(objects.nodes) and objects.nodes[number].WhichOneof("kind") == "variable":
                    found[split(reference)[0]] = objects.nodes[number].variable.trainable
    for collection, value in (("variables", False), ("trainable_variables", True)):
        for variable in security.collected_variables(meta_graph, collection):
            found[variable.variable_name.split(":")[0]] = value
    return found
