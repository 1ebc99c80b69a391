"""What TensorFlow keeps private and this library cannot do without: the only module that imports it."""

import weakref
from typing import Any

# The eager context holds every function of the process. `wrap_function` and `prune` register the bodies of loops and branches
# there and never take them out again.
from tensorflow.python.eager import context


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


def _remove(names: list[str]) -> None:
    eager = context.context()
    for name in names:
        if eager.has_function(name):
            eager.remove_function(name)
