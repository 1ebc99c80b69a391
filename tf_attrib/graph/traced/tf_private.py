"""What TensorFlow keeps private and this library cannot do without: the only module that imports it."""

import contextlib
import functools
import itertools
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any, cast

import tensorflow as tf

# The eager context holds every function of the process. `wrap_function` and `prune` register the bodies of loops and branches
# there and never take them out again.
# `execute` calls one by its name. TensorFlow forgets what it compiled for that when the function goes; what it compiled for the
# raw op StatefulPartitionedCall it keeps for ever (5 MB for a small LSTM), and a ConcreteFunction's own call takes 0.7 ms.
from tensorflow.python.eager import context, execute

# What a model that is called, not traced, does with its inputs.
from tensorflow.python.framework import op_callbacks
from tensorflow.python.framework import ops as framework

# The gradient of an operation's type, for an operation that is marked with a gradient of ours.
from tensorflow.python.framework.ops import gradient_registry
from tensorflow.python.ops import gen_resource_variable_ops as variable_ops

from ...common.types import present

# What writes a variable.
WRITES = ("assign_variable_op", "assign_add_variable_op", "assign_sub_variable_op")


def caller(function: Any) -> Callable[[list[tf.Tensor]], list[tf.Tensor]]:
    """Calls a ConcreteFunction with flat tensors, those that it captured included, at the least cost there is."""
    eager = present(context.context())
    attributes = tuple(itertools.chain(*eager.function_call_options.as_attrs().items()))
    name, count = function.name.decode(), len(function.outputs)
    return lambda tensors: execute.execute(name, count, tensors, attributes, eager)


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
