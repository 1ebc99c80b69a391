"""Rules for operations that others add."""

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import tensorflow as tf

from ....common.checks import whole
from ....common.errors import AttributionError
from ....common.own_code import code_of
from ....common.types import present
from ....graph.graphdef import bodies, nodes, scopes
from . import table

Function = TypeVar("Function", bound=Callable[..., tf.Tensor | Sequence[tf.Tensor | None]])
# What is looked into, or gives nothing that multipliers pass through.
WITHOUT = bodies.LOOPS | bodies.BRANCHES | bodies.SHAPES | scopes.CALLS
# A gradient is registered for good: one that is registered again, as in a notebook, gets a name of its own.
_NUMBERS = itertools.count()


def deeplift_rule(
    *operations: str,
    words: str = "",
    source: str = "",
    inputs: Sequence[int] | None = None,
    of_complex: bool = False,
    replace: bool = False,
) -> Callable[[Function], Function]:
    """Decorates the DeepLIFT rule of one or more types of operation: `@deeplift_rule("Atan2")`.

    The function gets the operation at the input (`pairs` gives each of its inputs with that at the reference) and the
    multiplier g of its output, and returns g times m for each input, a tensor of the input's shape, None where there is none; m
    must satisfy sum of m Δx = Δy. Every rule of the library does. `ta.coverage` shows it, and the `gap` of a result whether it
    adds up.

    Args:
        operations: types of operations, as `ta.coverage` lists them, such as "Atan2".
        words: the rule for people; default: the first line of the function's docstring.
        source: where it is from.
        inputs: positions of the inputs that may vary; None: any.
        of_complex: whether it holds for complex numbers, too.
        replace: whether it may stand in for a rule of the library, also where that one takes operations together, such as
            RevealCancel, or holds for some inputs alone, as that of Pow does for the base: where others vary, `ta.coverage`
            says NONE. Yours then is the rule in all cases; else only types of operations that the library has no rule for
            get one.

    Raises:
        AttributionError: no type of operation of this TensorFlow, or one that has a rule.
    """
    for operation in operations:
        if not isinstance(operation, str) or nodes.definition(operation) is None:
            raise AttributionError(
                f"deeplift_rule takes types of operations, such as 'Atan2' (ta.coverage lists them); got {operation!r}"
            )
        if operation in WITHOUT:
            raise AttributionError(f"{operation} takes no rule: rules hold for the operations inside it, or nothing passes it")
        if operation in table.RULES and operation not in table.RULES.added and not replace:
            raise AttributionError(f"{operation} has a rule, {_known(operation)}: replace=True puts yours in its place")
    if not operations:
        raise AttributionError("deeplift_rule takes types of operations: @deeplift_rule('Atan2')")
    if inputs is not None and (not isinstance(inputs, Sequence) or isinstance(inputs, str)):
        raise AttributionError(f"inputs must be a list of positions of the operation's inputs, such as [0]; got {inputs!r}")
    if not isinstance(words, str) or not isinstance(source, str):
        raise AttributionError(f"words and source are text, for people; got {words!r} and {source!r}")
    positions = None if inputs is None else tuple(whole("a position in inputs", one, 0) for one in inputs)

    def register(function: Function) -> Function:
        if not callable(function):
            raise AttributionError(f"a rule is a function of the operation and the multiplier of its output, got {function!r}")
        said = words or next(iter((function.__doc__ or function.__name__).strip().splitlines()))
        gradient = table.registered(f"Added{next(_NUMBERS)}{function.__name__}", _named(function), every=positions is None)
        rule = table.OperationRule(said, source, gradient, positions, of_complex=of_complex)
        for operation in operations:
            table.RULES.add(operation, (rule,), replace=replace)
        return function

    return register


def _known(operation: str) -> str:
    """The library's rule of a type of operation, and which of its inputs may vary."""
    rules, count = table.RULES[operation], len(present(nodes.definition(operation)).input_arg)
    may = sorted(set().union(*(range(count) if rule.inputs is None else rule.inputs for rule in rules)))
    where = f", where input {' or '.join(map(str, may))} alone varies" if len(may) < count else ""
    return f"{rules[0].words!r}{where}"


def _named(function: Callable[..., Any]) -> Callable[..., Any]:
    """The rule, with errors that name it: a KeyError in it is not to be taken for a gradient that is missing."""

    @functools.wraps(function)
    def rule(operation: tf.Operation, *upstream: tf.Tensor) -> Any:
        what = f"the DeepLIFT rule {function.__name__} of {operation.type}"
        with code_of(what):
            found = function(operation, *upstream)
        several = found if isinstance(found, list | tuple) else [found]
        for given, multiplier in zip(operation.inputs, several, strict=False):
            if tf.is_tensor(multiplier) and not multiplier.shape.is_compatible_with(given.shape):
                raise AttributionError(
                    f"{what} must return a multiplier of the shape of each input, {given.dtype.name} {given.shape}; it "
                    f"returned {multiplier.dtype.name} {multiplier.shape}"
                )
        return found

    return rule
