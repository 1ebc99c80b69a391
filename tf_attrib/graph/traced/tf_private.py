"""What TensorFlow keeps private and this library cannot do without: the only module that imports it."""

import contextlib
import functools
import itertools
import random
import threading
import weakref
from collections.abc import Callable, Iterator, Set
from typing import Any, cast

import numpy as np
import tensorflow as tf

# The eager context holds every function of the process. `wrap_function` and `prune` register the bodies of loops and branches
# there and never take them out again.
# `execute` calls one by its name. TensorFlow forgets what it compiled for that when the function goes; what it compiled for the
# raw op StatefulPartitionedCall it keeps for ever (5 MB for a small LSTM), and a ConcreteFunction's own call takes 0.7 ms.
from tensorflow.python.eager import context, execute

# What a model that is called, not traced, does with its inputs.
from tensorflow.python.framework import constant_op, op_callbacks
from tensorflow.python.framework import ops as framework

# The gradient of an operation's type, for an operation that is marked with a gradient of ours.
from tensorflow.python.framework.ops import gradient_registry
from tensorflow.python.ops import gen_resource_variable_ops as variable_ops

from ...common.types import present

# What writes a variable.
WRITES = ("assign_variable_op", "assign_add_variable_op", "assign_sub_variable_op")


def caller(function: Any) -> Callable[[list[tf.Tensor]], list[tf.Tensor]]:
    """Calls a ConcreteFunction with flat tensors, those that it captured included, at the least cost there is."""
    running = present(context.context())
    options = running.function_call_options.as_attrs()
    options["config_proto"] = _optimised_once(options["config_proto"])
    attributes = tuple(itertools.chain(*options.items()))
    name, count = function.name.decode(), len(function.outputs)

    def call(tensors: list[tf.Tensor]) -> list[tf.Tensor]:
        try:
            return execute.execute(name, count, tensors, attributes, running)
        except UnicodeDecodeError as error:  # an error of TensorFlow's that quotes the input, such as a tf.Example
            raise tf.errors.InvalidArgumentError(None, None, error.object.decode("utf-8", "backslashreplace")) from None

    return call


def eager(array: np.ndarray) -> tf.Tensor:
    """A copy of `array` as a tensor; `tf.constant` takes as long again to find out that this is all there is to do."""
    return cast(tf.Tensor, constant_op.convert_to_eager_tensor(array, context.context()))


@functools.lru_cache(maxsize=8)
def _optimised_once(options: bytes) -> bytes:
    """Such options of a call, where the graph is rewritten once, unless the user says how often. TensorFlow by itself rewrites
    it twice: a tenth of the first call more, and no net that was measured runs faster for it."""
    config = tf.compat.v1.ConfigProto.FromString(options)
    rewriting = config.graph_options.rewrite_options
    rewriting.meta_optimizer_iterations = rewriting.meta_optimizer_iterations or rewriting.ONE
    return config.SerializeToString(deterministic=True)


def let_go_of_bodies(function: Any) -> Any:
    """Has the bodies that `function`, made by `wrap_function` or `prune`, registered be taken out when it is collected.

    Registrations are counted, so that others who use the same bodies keep them.

    Returns:
        The same `function`.
    """
    graph = function.graph
    if graph._functions:  # a GraphDef of large constants is not written out for nothing
        names = [body.signature.name for body in graph.as_graph_def().library.function]
        weakref.finalize(function, _remove, names).atexit = False
    return function


def registered(definition: Any, owner: Any) -> None:
    """Has TensorFlow know the functions of a GraphDef that is imported into a graph, as long as `owner` is used: a graph
    that runs without them takes the process down."""
    eager = present(context.context())
    for function in definition.library.function:
        eager.add_function_def(function)
    names = [function.signature.name for function in definition.library.function]
    weakref.finalize(owner, _remove, names).atexit = False


def registered_bodies(function: Any) -> Any:
    """Has TensorFlow know the bodies of loops and branches in a traced function, as long as it is used. By itself it knows
    those that were made there, or whose gradient was taken; not others that were imported, as behind `stop_gradient`.

    Returns:
        The same `function`.
    """
    if function.graph._functions:  # a GraphDef of large constants is not written out for nothing
        registered(function.graph.as_graph_def(), function)
    return function


def cut_out(function: Any, feeds: list[tf.Tensor], fetches: list[tf.Tensor], change: Callable[[Any, list, list], None]) -> Any:
    """The part of a wrapped function's graph from `feeds` to `fetches`, as `function.prune` gives it, in a tenth of its time:
    TensorFlow imports in C++ what `prune` copies in Python, an operation after the other.

    Variables stay live. Only what is needed is captured.

    Args:
        change: may change the graph, by its operations and the tensors in it that are fed and fetched.
    """
    new, found = imported(function, feeds, [tensor.shape for tensor in feeds], fetches)
    with new.as_default():
        change(new.get_operations(), new.inputs[: len(feeds)], found)
    new.outputs.extend(found)
    new.structured_outputs, new.structured_input_signature = list(new.outputs), None
    new.variables = function.graph.variables
    cut = type(function)(new, variable_holder=function._variable_holder)
    cut._num_positional_args, cut._arg_keywords = len(feeds), [tensor.op.name for tensor in feeds]
    return cut


def imported(
    function: Any, feeds: list[tf.Tensor], shapes: list[tf.TensorShape], fetches: list[tf.Tensor]
) -> tuple[Any, list[tf.Tensor]]:
    """A graph of its own of that part, whose inputs are of these shapes, from which others follow; and the fetched tensors."""
    graph, fed = function.graph, {tensor.name: tensor for tensor in feeds}
    captured = {inside.name: outside for outside, inside in graph.captures if inside.name not in fed}
    part, used = _part(graph, [tensor.name for tensor in fetches], fed.keys() | captured.keys())
    with graph.as_default():
        new = tf.__internal__.FuncGraph("cut")
    for body in graph._functions.values():
        new._add_function(body)
    with new.as_default():
        handed = {
            name: tf.compat.v1.placeholder(tensor.dtype, shape, f"tf_attrib_fed_{number}")
            for number, ((name, tensor), shape) in enumerate(zip(fed.items(), shapes, strict=True))
        }
        new.inputs.extend(handed.values())
        wanted = used | {tensor.name for tensor in fetches}
        handed |= {name: new.capture(captured[name]) for name in captured if name in wanted}
        inside = list(dict.fromkeys(tensor.name for tensor in fetches if tensor.name not in handed))
        begin = {name: value for name, value in handed.items() if name in used}
        found = tf.graph_util.import_graph_def(part, begin, return_elements=inside, name="")
    handed |= dict(zip(inside, found, strict=True))
    return new, [handed[tensor.name] for tensor in fetches]


def _part(graph: Any, fetches: list[str], stop: Set[str]) -> tuple[Any, set[str]]:
    """What `fetches` are computed from, as a GraphDef without its library, and which of the tensors `stop` they begin at."""
    whole, used, needed = graph.as_graph_def(), set(), set()
    nodes, ends = {node.name: node for node in whole.node}, {name.rpartition(":")[0] for name in stop}
    ahead = [name for name in fetches if name not in stop]
    while ahead:
        name = ahead.pop()
        tensor = name if ":" in name or name[0] == "^" else f"{name}:0"
        if tensor in stop:
            used.add(tensor)
            continue
        node = name.lstrip("^").rpartition(":")[0] if ":" in name else name.lstrip("^")
        if node in needed or (name[0] == "^" and node in ends):
            continue
        needed.add(node)
        ahead.extend(nodes[node].input)
    part = tf.compat.v1.GraphDef(versions=whole.versions)
    part.node.extend(node for node in whole.node if node.name in needed)
    for node in part.node:
        node.attr.pop("_class", None)  # beside operations that may not be here
        kept = [one for one in node.input if one[0] != "^" or one[1:] in needed]
        if len(kept) < len(node.input):
            node.input[:] = kept
    return part, used


def fed_with(operation: tf.Operation, place: int, tensor: tf.Tensor) -> None:
    """Has an operation of a graph take `tensor` as its input of that place."""
    operation._update_input(place, tensor)


def operation_types(graph: Any) -> set[str]:
    """The types of a graph's operations, and of those in the bodies of its loops, branches and functions."""
    found = {operation.type for operation in graph.get_operations()}
    if graph._functions:  # a GraphDef of large constants is not written out for nothing
        found |= {node.op for function in graph.as_graph_def().library.function for node in function.node_def}
    return found


def _remove(names: list[str]) -> None:
    eager = present(context.context())
    for name in names:
        if eager.has_function(name):
            eager.remove_function(name)


def own_gradient(operation: tf.Operation, *upstream: tf.Tensor) -> list[tf.Tensor | None]:
    """The gradients at the inputs of `operation` that TensorFlow has for its type, whatever the operation is marked with."""
    found = gradient_registry.lookup(operation.type)(operation, *upstream)
    return list(found) if isinstance(found, list | tuple) else [found]


@contextlib.contextmanager
def gradients_by(
    derivative: Callable[..., list[tf.Tensor | None]], operations: list[Any], skipped: list[tuple[Any, tuple[int, ...]]]
) -> Iterator[None]:
    """While the context lasts, the gradients of some operations of a graph are made by `derivative`, which gets the operation
    and the gradient at its output; and those of others leave inputs out, by their places, as TensorFlow's tapes have it."""
    before = [operation._gradient_function for operation in operations]
    for operation in operations:
        operation._gradient_function = derivative
    for operation, places in skipped:
        operation.skip_input_indices = places
    try:
        yield
    finally:
        for operation, function in zip(operations, before, strict=True):
            operation._gradient_function = function
        for operation, _ in skipped:
            del operation.skip_input_indices


@contextlib.contextmanager
def operations_noted(note: Callable[[str, tuple[tf.Tensor, ...], tuple[tf.Tensor, ...]], None]) -> Iterator[None]:
    """While the context lasts, `note` gets type, inputs and outputs of each operation that this thread runs eagerly."""

    def callback(kind, inputs, attributes, outputs, op_name=None, graph=None):
        if graph is None:
            note(kind.decode() if isinstance(kind, bytes) else kind, tuple(inputs), tuple(outputs))

    op_callbacks.add_op_callback(callback)
    try:
        yield
    finally:
        op_callbacks.remove_op_callback(callback)


@contextlib.contextmanager
def reads_noted(note: Callable[[tf.Tensor], None]) -> Iterator[None]:
    """While the context lasts, `note` gets each tensor whose values Python reads in this thread: by `.numpy()`, `float`, `if`.

    Not for two threads at a time.
    """
    eager, thread = cast(Any, framework._EagerTensorBase), threading.get_ident()
    original = eager._numpy

    def read(tensor):
        if threading.get_ident() == thread:
            note(tensor)
        return original(tensor)

    eager._numpy = read
    try:
        yield
    finally:
        eager._numpy = original


@contextlib.contextmanager
def writes_noted(note: Callable[[tf.Tensor, tf.DType], None]) -> Iterator[None]:
    """While the context lasts, `note` gets handle and dtype of each variable that this thread is about to write, eagerly.

    Not for two threads at a time.
    """
    thread = threading.get_ident()
    originals = {name: getattr(variable_ops, name) for name in WRITES}

    def watched(original):
        @functools.wraps(original)
        def write(resource, value, *args, **kwargs):
            if threading.get_ident() == thread and tf.executing_eagerly():
                note(resource, tf.convert_to_tensor(value).dtype)
            return original(resource, value, *args, **kwargs)

        return write

    for name, original in originals.items():
        setattr(variable_ops, name, watched(original))
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(variable_ops, name, original)


@contextlib.contextmanager
def drawn_elsewhere() -> Iterator[None]:
    """While the context lasts, operations that are run eagerly draw with other seeds than `tf.random.set_seed` has in store;
    then those come."""
    running = present(context.context())
    own = getattr(running, "_rng", None)
    if own is None:  # nothing in store
        yield
        return
    running._rng = random.Random(0)
    try:
        yield
    finally:
        running._rng = own
