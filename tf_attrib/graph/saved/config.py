"""The configuration in a Keras model file: whether all that it names is known to compute and do nothing else, and how much.

Keras looks names up in its own modules, in other installed ones and in TensorFlow, and calls what it finds: what is not on the
lists in `known` is refused.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from ...common.errors import AttributionError, plain
from .known import FUNCTIONS, LAYERS, LOSSES, OP_LAYERS, OPERATION_MODULES, OPERATIONS, PARTS, RAGGED, is_pure
from .operations import KNOWN

# Values that JSON has no form for, as Keras writes them.
VALUES = frozenset(
    {"__tuple__", "__ellipsis__", "__slice__", "__numpy__", "__tensor__", "__bytes__", "__keras_tensor__", "TensorShape"}
)
# Of a ragged or sparse input.
SPECS = frozenset({"TensorSpec", "RaggedTensorSpec", "SparseTensorSpec"})
# Options that hold words as a list, and as a text the name of a file to read them from.
FILES = frozenset(
    {
        "vocabulary",
        "merges",
        "proto",
        "filepath",
        "file_path",
        "filename",
        "file",
        "path",
        "directory",
        "vocabulary_file",
        "vocab_file",
    }
)
# Libraries of layers whose classes compute alike, where they are installed.
LIBRARIES = ("keras_hub", "keras_nlp")
NOT_KNOWN = "which is not known to compute and do nothing else"
PYTHON = frozenset({"Lambda", "__lambda__"})
# Layers that build a part for each of a number: the option with that number.
REPEATING = {
    "UpSampling1D": "size",
    "UpSampling2D": "size",
    "UpSampling3D": "size",
    "RandAugment": "num_ops",
    "AugMix": "num_chains",
    "SpectralNormalization": "power_iterations",
    "Split": "indices_or_sections",
    "ArraySplit": "indices_or_sections",
    "Unstack": "num",
}
# The functions of TensorFlow that do, by the end of their names.
PARTING = ("split", "unstack")
# The largest model of keras.applications calls 1,100 layers.
MAX_CALLS = 20_000
# Sizes of an input's axes, those that vary left out, multiplied.
MAX_INPUT = 2**28


def check(config: Any) -> None:
    """Raises AttributionError where a configuration names what is not known, or asks for more than any model does.

    Args:
        config: as JSON is read.

    Raises:
        AttributionError: with what was found, to be put behind the name of the file.
    """
    try:
        for entry in _objects(config):
            _check_object(entry)
            _check_op_calls(entry.get("config"))
        calls = _calls(config, {}, _longest(config))
    except RecursionError:
        raise AttributionError("is nested deeper than any model is") from None
    if calls > MAX_CALLS:
        raise AttributionError(f"calls {calls:,} layers, nested and shared ones counted; up to {MAX_CALLS:,} are built")


def without_compilation(config: Any) -> Any:
    """A configuration without optimisers, losses and metrics, of inner models neither."""
    if isinstance(config, dict):
        return {key: without_compilation(value) for key, value in config.items() if key != "compile_config"}
    return [without_compilation(value) for value in config] if isinstance(config, list) else config


def is_known_loss(loss: Any) -> bool:
    """Whether a loss, or each of several, is one of Keras's own."""
    if loss is None or isinstance(loss, str):
        return loss is None or loss in LOSSES
    if isinstance(loss, dict) and "class_name" in loss:
        name = loss.get("config") if loss["class_name"] == "function" else loss["class_name"]
        inner = (
            [value for key, value in (loss.get("config") or {}).items() if key != "name"]
            if isinstance(loss.get("config"), dict)
            else []
        )
        return name in LOSSES and _is_of_keras(loss) and not any(isinstance(value, dict | list) for value in inner)
    parts = loss.values() if isinstance(loss, dict) else loss if isinstance(loss, list) else [False]
    return all(is_known_loss(part) for part in parts)


def _objects(config: Any, key: str = "") -> Iterator[dict]:
    """Every dict that Keras may make an object of; options that are texts are checked on the way."""
    if isinstance(config, dict):
        if "class_name" in config:
            yield config
        for name, value in config.items():
            yield from _objects(value, name)
    elif isinstance(config, list):
        for value in config:
            if isinstance(value, dict | list):
                yield from _objects(value, key)
            elif isinstance(value, str):
                _check_list_item(key, value)
    elif isinstance(config, str):
        _check_text(key, config)


def _check_text(key: str, text: str) -> None:
    """Options whose texts name a function or a file."""
    if key in FILES:
        raise AttributionError(f"has a layer that reads the file {plain(text, 80)!r}, its {key}, of this machine")
    if key.endswith(("activation", "_initializer", "_regularizer", "_constraint")) and text not in FUNCTIONS | PARTS:
        raise AttributionError(f"names the function {plain(text, 80)!r} as {plain(key, 40)}, which is not one of Keras's")


def _check_list_item(key: str, text: str) -> None:
    if key.endswith(("_initializer", "_regularizer", "_constraint")):
        _check_text(key, text)


def _check_object(entry: dict) -> None:
    name, inner = entry["class_name"], entry.get("config")
    if not isinstance(name, str):
        raise AttributionError(f"names a class by {plain(name, 80)!r}, which is no name")
    if name in PYTHON:
        raise AttributionError(f"holds the Lambda layer {_name(entry)!r}, Python code that would run here")
    if name in VALUES:
        _check_value(entry)
    elif name in ("TypeSpec", "__typespec__"):
        kind = str(entry.get("type_spec") if name == "TypeSpec" else entry.get("spec_name")).removeprefix("tf.")
        module = str(entry.get("module") or "tensorflow")
        if kind not in SPECS or module.partition(".")[0] != "tensorflow":
            raise AttributionError(f"names the type {plain(kind, 80)!r} of {plain(module, 80)!r}, which is not known")
    elif name == "function":
        _check_function(entry, inner)
    elif name in OP_LAYERS and _is_of_keras(entry):
        _check_op_layer(entry, inner if isinstance(inner, dict) else {})
    elif not _is_known(entry, name):
        module = f" of {plain(entry['module'], 80)!r}" if entry.get("module") else ""
        raise AttributionError(f"names the class {plain(name, 80)!r}{module}, {NOT_KNOWN}")


def _is_known(entry: dict, name: str) -> bool:
    module, registered = entry.get("module"), entry.get("registered_name")
    if str(module).partition(".")[0] in LIBRARIES:
        return str(registered or name).rpartition(">")[0] in (*LIBRARIES, "") and name.isidentifier()
    return _is_of_keras(entry) and (name in LAYERS | PARTS or (name in OPERATIONS and module in OPERATION_MODULES))


def _is_of_keras(entry: dict) -> bool:
    """Whether Keras finds a class or function in its own modules alone."""
    module, registered = entry.get("module"), entry.get("registered_name")
    own = (
        module is None
        or module == "builtins"
        or (isinstance(module, str) and module.partition(".")[0] in ("keras", "tf_keras"))
    )
    return own and registered in (
        None,
        "",
        entry["class_name"],
        entry.get("config") if isinstance(entry.get("config"), str) else None,
    )


def _check_function(entry: dict, name: Any) -> None:
    if str(entry.get("module")).partition(".")[0] in LIBRARIES and str(entry.get("registered_name")).startswith(
        tuple(f"{library}>" for library in LIBRARIES)
    ):
        return
    if name not in FUNCTIONS or not _is_of_keras(entry):
        raise AttributionError(f"names the function {plain(name, 80)!r} of {plain(entry.get('module'), 80)!r}, {NOT_KNOWN}")


def _check_value(entry: dict) -> None:
    """Arrays in a configuration: of numbers or texts, whose type does not ask for more room than they take."""
    inner = entry.get("config")
    dtype = inner.get("dtype") if isinstance(inner, dict) else None
    if dtype is not None and not (
        isinstance(dtype, str)
        and re.fullmatch(
            r"bool|string|str|(<U|\|S|<|\||=)?[biufcUS]?\d{1,4}|u?int\d{1,2}|b?float\d{1,3}\w{0,8}|complex\d{1,3}", dtype
        )
    ):
        raise AttributionError(f"has a value of the type {plain(dtype, 80)!r}, which is not known")


def _check_op_layer(entry: dict, inner: dict) -> None:
    """A layer of tf_keras that calls a function of TensorFlow by its name."""
    name = entry["class_name"]
    if name in ("TFOpLambda", "SlicingOpLambda"):
        called, known = inner.get("function"), is_pure(inner.get("function"))
    elif name == "ClassMethod":
        called = f"{inner.get('cls_symbol')}.{inner.get('method_name')}"
        known = re.fullmatch(r"RaggedTensor\.from_[a-z_]+", called) is not None
    elif name == "TensorFlowOpLayer":
        try:
            node = inner["node_def"]
            called = (json.loads(node) if isinstance(node, str) else node)["op"]
        except (ValueError, TypeError, KeyError):
            called = None
        known = called in KNOWN
    else:
        called = inner.get("attr_name")
        known = called in RAGGED
    if not known:
        raise AttributionError(f"has the layer {_name(entry)!r} that calls TensorFlow's {plain(called, 80)!r}, {NOT_KNOWN}")


def _check_op_calls(config: Any) -> None:
    """Each call of a function of TensorFlow is given a layer's output: one of constants alone would run at once."""
    layers = config.get("layers") if isinstance(config, dict) else None
    layers = [layer for layer in layers if isinstance(layer, dict)] if isinstance(layers, list) else []
    names = {_name(layer) for layer in layers}
    for layer in layers:
        nodes = layer.get("inbound_nodes")
        for node in nodes if layer.get("class_name") in OP_LAYERS and isinstance(nodes, list) else []:
            if not _refers(node, names):
                raise AttributionError(f"has the layer {_name(layer)!r} that calls TensorFlow with constants alone")


def _refers(node: Any, names: set[str]) -> bool:
    """Whether a call has an output of one of the layers among its arguments: [name, number of call, number of output]."""
    if isinstance(node, dict):
        return any(_refers(part, names) for part in node.values())
    if not isinstance(node, list):
        return False
    head = node[:3]
    if len(head) == 3 and isinstance(head[0], str) and head[0] in names and all(isinstance(one, int) for one in head[1:]):
        return True
    return any(_refers(part, names) for part in node if isinstance(part, dict | list))


def _calls(config: Any, shared: dict, longest: int) -> int:
    """How many layers are called while a model is built, inner models once for each call of them.

    Args:
        config: a part of a configuration.
        shared: the calls of objects that are written once and used in several places, by their number.
        longest: the steps that a recurrent layer may be unrolled over.
    """
    if isinstance(config, list):
        return sum(_calls(part, shared, longest) for part in config)
    if not isinstance(config, dict):
        return 0
    inner = config.get("config")
    count = sum(_calls(part, shared, longest) for key, part in config.items() if key != "inbound_nodes")
    if isinstance(config.get("class_name"), str) and config["class_name"] not in PARTS | VALUES:
        options = inner if isinstance(inner, dict) else {}
        repeated = _largest(options.get(REPEATING.get(config["class_name"], "")))
        if str(options.get("function")).endswith(PARTING):
            repeated = _largest(config.get("inbound_nodes"))
        if options.get("unroll"):
            repeated = longest
        count = (count + 1) * max(repeated, 1)
    nodes = config.get("inbound_nodes")
    if isinstance(nodes, list):
        count *= max(len(nodes), 1)
    number = config.get("shared_object_id")
    if isinstance(number, int | str):
        count = shared[number] = max(count, shared.get(number, 0))
    return count


def _longest(config: Any) -> int:
    """The longest axis of an input; raises AttributionError where inputs are larger than any are."""
    if isinstance(config, list):
        return max((_longest(part) for part in config if isinstance(part, dict | list)), default=1)
    if not isinstance(config, dict):
        return 1
    longest = 1
    for key, value in config.items():
        if key in ("batch_shape", "batch_input_shape") and isinstance(value, list):
            sizes = [size for size in value if isinstance(size, int | float) and size > 1]
            product = 1
            for size in sizes:
                product *= size
            if product > MAX_INPUT:
                raise AttributionError(f"has an input of {product:,} numbers; up to {MAX_INPUT:,} are built")
            longest = max([longest, *map(int, sizes)])
        elif isinstance(value, dict | list):
            longest = max(longest, _longest(value))
    return longest


def _largest(value: Any) -> int:
    """The largest whole number in an option."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return max((_largest(one) for one in value), default=0)
    return int(value) if isinstance(value, int | float) and abs(value) < 2**62 else 0


def _name(entry: dict) -> str:
    inner = entry.get("config")
    found = entry.get("name") or (inner.get("name") if isinstance(inner, dict) else None)
    return plain(found or entry["class_name"].strip("_").lower(), 80)
