"""Which operations read a variable that was written before within the same call: by control edges, which a flat graph lacks."""

from typing import Any

from .scopes import CALLS, Instance, Scope, Source, Walker

READS = frozenset({"ReadVariableOp", "ResourceGather"})


def writes_variable(operation: str) -> bool:
    """Whether operations of this type write the variable that is their first input."""
    return operation.startswith("Assign") and operation.endswith("VariableOp")


def written_before(walker: Walker, instance: Instance) -> bool:
    """Whether `instance` reads a variable that is written by what has to run before it, or before a call that it is in."""
    if instance.operation not in READS:
        return False
    handle = next(iter(walker.sources(instance)), None)
    scope, node = instance.scope, instance.node
    while handle is not None and node is not None and not walker.exhausted:
        before = [scope.body.nodes.get(reference[1:]) for reference in node.input if reference.startswith("^")]
        if any(one is not None and _writes(walker, scope, one, handle) for one in before):
            return True
        if scope.caller is None:
            return False
        outer = scope.caller[0]
        called = scope.prefix.removeprefix(outer.prefix).removesuffix("/")
        node = outer.body.nodes.get(called) or outer.body.nodes.get(called.rpartition("/")[0])
        scope = outer
    return False


def _writes(walker: Walker, scope: Scope, node: Any, handle: Source) -> bool:
    """Whether a node, or one in the function that it calls, writes the variable of `handle`."""
    walker.spend()
    if writes_variable(node.op):
        found = walker.resolve(scope, node.input[0])
        return found is not None and found.instance is handle.instance
    called = node.attr["f"].func.name if node.op in CALLS and "f" in node.attr else ""
    if called not in walker.functions or walker.exhausted:
        return False
    inner = walker.enter(scope, node, "f", called)
    return any(_writes(walker, inner, one, handle) for one in inner.body.nodes.values())
