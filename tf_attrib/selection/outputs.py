"""Which output is explained: what `of` means in a traced graph, as values for each example."""

import contextlib
import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from ..common.errors import AttributionError, nearest
from ..common.nested import rebuild
from ..common.types import present
from ..graph.traced.heads_and_lookups import TracedHead, find_head, find_tensor, head_at, is_tensor_name
from ..graph.traced.layers import float_outputs, layer_outputs, of_unit, unit_index, written
from ..graph.traced.positionwise import of_each_row
from ..graph.traced.trace import Traced
from .at_and_of import Of
from .own_rows import handed

# What may be asked of a head, in words.
HEADED = {"probability": "probability", "logits": "logits", "log_probability": "log-probability"}

# What to do with outputs of shape (batch, batch), as of models of images and texts.
OWN_PAIRS = (
    "where it compares each example with all of its batch, (batch, batch), wrap the model in a function that picks each "
    "one's own: ta.Attributor(lambda inputs: tf.linalg.diag_part(model(inputs)[name]))"
)


@dataclasses.dataclass(frozen=True, eq=False)
class Output:
    """The output that `of` selected.

    Attributes:
        words: for people, such as "probability at 'digits'".
        unit: probability, log_probability, logit or raw.
        fetches: the tensors to fetch, by key.
        finish: from the fetched tensors to the values of shape (batch,), (batch, classes) or (batch, ..., classes).
        has_classes: whether the last axis holds classes, of which one is predicted.
        with_target: whether a target selects one of the values.
        choose: from values and targets (rows, r) to one value for each row; default: by indexing.
        log_odds: of a probability whose logits are known, the output that gives its log-odds.
        distribution: whether the values of an example sum to one by construction (softmax, or a sigmoid unit's two classes).
        data: placeholders of the graph for what a score needs of each example beside the model's outputs, by key; and tensors
            that are made once of all examples (`settled_words`).
        one_unit: whether each position has one unit, whose axis is left out of the values.
        at_places: whether it is a score of some places of an output, such as pixels or boxes, each by itself.
        other: of one sigmoid unit, how class 0 follows from it, in words; "" elsewhere.
        behind: where it can be computed at less than all positions, the same output from the tensors that are given, in front
            of which nothing else may be picked.
    """

    words: str
    unit: str
    fetches: dict[Any, tf.Tensor]
    finish: Callable[[dict], tf.Tensor]
    has_classes: bool = False
    with_target: bool = True
    choose: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] = of_each_row
    log_odds: "Output | None" = None
    distribution: bool = False
    data: dict[Any, tf.Tensor] = dataclasses.field(default_factory=dict)
    one_unit: bool = False
    at_places: bool = False
    other: str = ""
    behind: "Callable[[list[tf.Tensor]], Output] | None" = None


def resolve_of(traced: Traced, of: Of | None) -> Output:
    """The output that `of` means; None means the probability head where there is one, else the output as it is.

    Raises:
        AttributionError: several outputs and none named, no such output, or no head where one was asked for.
    """
    if of is not None and of.kind == "score":
        return _scored(traced, of)
    if of is not None and of.kind == "tokens":
        return present(of.function)(traced, *handed(traced, of))
    if of is not None and (
        of.kind == "layer" or (of.kind == "named" and of.name not in traced.outputs and layer_outputs(traced, of.name))
    ):
        return _of_layer(traced, of)
    if of is not None and (
        of.kind == "tensor" or (of.kind == "named" and of.name not in traced.outputs and is_tensor_name(of.name))
    ):
        tensor = find_tensor(traced, of.name)
        if not tensor.dtype.is_floating:
            raise AttributionError(f"tensor {tensor.name!r} is {tensor.dtype.name}: explain a float tensor")
        return _raw(head_at(tensor), tensor.name)
    name = _output_name(traced, of)
    head = find_head(traced, name)
    kind = "probability" if of is None or of.kind == "named" else of.kind
    asked = of is not None and of.kind in HEADED
    if head.kind is None and asked:
        what = head.output.op.type if head.output.op.type != "Identity" else "no softmax or sigmoid"
        raise AttributionError(
            f"output {name!r} has no softmax or sigmoid head ({what} stands there), so its {HEADED[kind]} is not "
            f"known; explain the output itself, of=ta.output({name!r}), or of=ta.score(function)"
        )
    if kind == "output" or head.kind is None:
        return _raw(head, name)
    if kind in ("logits", "log_probability") and head.logits is None:
        raise AttributionError(
            f"the {head.kind} at {name!r} is inside a layer that holds an export: its logits cannot be "
            "reached; explain its probability, or the export itself: ta.Attributor(path, of='logits')"
        )
    return {"logits": _logits, "log_probability": _log_probability}.get(kind, _probability)(head, name)


def _of_layer(traced: Traced, of: Of) -> Output:
    """The output of a layer as what is explained, or one unit of it."""
    if layer_outputs(traced, of.name) or not isinstance(of.name, str) or (traced.calls and not is_tensor_name(of.name)):
        found = float_outputs(traced, of.name)
        if len(found) > 1:
            raise AttributionError(
                f"layer {getattr(of.name, 'name', of.name)!r} has {len(found)} outputs: name one, such as "
                f"ta.layer({next(iter(found))!r}): {', '.join(found)}"
            )
        ((name, tensor),) = found.items()
    else:
        name, tensor = of.name, find_tensor(traced, of.name)
    unit = of.unit
    if unit is None:
        return _raw(head_at(tensor), name)
    batch = {source.shape[0] for source in traced.inputs.values() if source.shape.rank}
    if tensor.shape.rank and tensor.shape[0] is not None and batch == {None}:
        raise AttributionError(
            f"of=ta.layer({name!r}, unit=...) needs an output whose axis 0 is the batch; this is of shape "
            f"{tuple(tensor.shape)}: explain a layer behind it"
        )
    unit_index(tensor.shape[1:], unit)  # units that do not exist fail here
    head = head_at(tensor).kind in ("softmax", "sigmoid") and Ellipsis not in unit
    return Output(
        f"unit {written(unit)} of layer {name!r}",
        "probability" if head else "raw",
        {None: tensor},
        lambda values: of_unit(values[None], unit),
        with_target=False,
    )


def _output_name(traced: Traced, of: Of | None) -> str:
    names = list(traced.outputs)
    if of is not None and of.name is not None:
        if of.name not in names:
            listed = {name: tuple(tensor.shape) for name, tensor in traced.outputs.items()}
            raise AttributionError(f"no output is called {of.name!r}; there are: {nearest(of.name, listed)}")
        return of.name
    if len(names) > 1:
        listed = ", ".join(f"{name!r} {tuple(tensor.shape)}" for name, tensor in traced.outputs.items())
        call = f"ta.{of.kind}({names[0]!r})" if of is not None and of.kind != "named" else repr(names[0])
        raise AttributionError(f"the model has {len(names)} outputs, say which is explained, such as of={call}: {listed}")
    return names[0]


def _raw(head: TracedHead, name: str) -> Output:
    if head.kind is not None and head.applied and head.kind != "log_softmax":
        return _probability(head, name)  # the output is the probability

    def finish(values):
        value = values[None]
        return tf.squeeze(value, -1) if (value.shape.rank or 0) > 1 and value.shape[-1] == 1 else value

    one_unit = (head.output.shape.rank or 0) > 2 and head.output.shape[-1] == 1
    return Output(f"output {name!r}", "raw", {None: head.output}, finish, one_unit=one_unit)


def _logits(head: TracedHead, name: str) -> Output:
    def finish(values):
        return _classes(head, values[None], lambda value: -value)

    logits = present(head.logits)
    single = head.kind == "sigmoid" and _is_single(logits)
    return Output(
        f"logit beneath the {head.kind} at {name!r}",
        "logit",
        {None: logits},
        finish,
        True,
        other="minus the logit of the one unit" if single else "",
    )


def _log_probability(head: TracedHead, name: str) -> Output:
    found = _logits(head, name)
    ending = tf.math.log_sigmoid if head.kind == "sigmoid" else tf.nn.log_softmax
    return dataclasses.replace(
        found,
        words=f"log-probability at {name!r}",
        unit="log_probability",
        finish=lambda values: ending(found.finish(values)),
        other="log(1 - p) of the one unit" if found.other else "",
    )


def _probability(head: TracedHead, name: str) -> Output:
    def finish(values):
        value = values[None]
        if not head.applied:
            value = tf.nn.softmax(value) if head.kind == "softmax" else tf.sigmoid(value)
        value = tf.exp(value) if head.kind == "log_softmax" else value
        return _classes(head, value, lambda value: 1 - value)

    words = f"probability at {name!r}" + ("" if head.applied else f" ({head.kind} of the compiled loss)")
    single = head.kind == "sigmoid" and _is_single(head.output)
    return Output(
        words,
        "probability",
        {None: head.output},
        finish,
        True,
        log_odds=_log_odds(head, name),
        distribution=single or head.kind != "sigmoid",
        other="1 - p of the one unit" if single else "",
    )


def _log_odds(head: TracedHead, name: str) -> Output | None:
    """log(p / (1 - p)) of a class, from the logits: that of a sigmoid is the logit itself."""
    if head.logits is None or (head.kind != "sigmoid" and head.logits.shape[-1] in (None, 1)):
        return None

    def choose(values, target):
        found = of_each_row(values, target[:, :-1]) if target.shape[-1] > 1 else values
        own = tf.one_hot(target[:, -1], found.shape[-1], on_value=True, off_value=False, dtype=tf.bool)
        rest = tf.reduce_logsumexp(tf.where(own, tf.constant(-np.inf, found.dtype), found), -1)
        return of_each_row(values, target) - rest

    found = dataclasses.replace(_logits(head, name), words=f"log-odds at {name!r}", unit="log-odds")
    return found if head.kind == "sigmoid" else dataclasses.replace(found, choose=choose)


def _classes(head: TracedHead, value: tf.Tensor, other: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    """`value`, or for a single sigmoid unit both its classes: class 1 has `value`, class 0 `other(value)`."""
    if head.kind != "sigmoid" or not _is_single(value):
        return value
    value = value[:, None] if value.shape.rank == 1 else value
    return tf.concat([other(value), value], -1)


def _is_single(value: tf.Tensor) -> bool:
    """Whether it has one unit for each example, or position."""
    return value.shape.rank == 1 or value.shape[-1] == 1


def _scored(traced: Traced, of: Of) -> Output:
    called = getattr(of.function, "words", None) or f"ta.score({getattr(of.function, '__name__', 'function')})"
    data, own = handed(traced, of)

    def finish(values):
        ordered = {traced.output_keys[name]: value for name, value in values.items() if name not in own}
        beside = [rebuild({key[1]: values[key] for key in own})] if own else []
        try:
            value = present(of.function)(rebuild(ordered), *beside)
            value = None if value is None else tf.convert_to_tensor(value)
        except AttributionError:
            raise
        except Exception as error:
            shown = ", ".join(f"{one.dtype.name} {one.shape}" for one in [*ordered.values(), *(values[key] for key in own)])
            text = " ".join(str(error).split())[:300]
            raise AttributionError(
                f"{called} failed on {shown}: {type(error).__name__}: {text}; it is called as "
                f"function(outputs{', data' if own else ''}), and must be made of TensorFlow's "
                "operations: tf.reduce_sum, not np.sum"
            ) from error
        if value is None:
            raise AttributionError(f"{called} returned None: it must return one number for each example, shape (batch,)")
        if value.shape.rank != 1 or not (value.dtype.is_floating or value.dtype.is_integer):
            raise AttributionError(
                f"ta.score(function) must return one number for each example, shape (batch,); it returned "
                f"{value.dtype.name} {value.shape}: select a class, such as lambda outputs: outputs[:, 0]"
            )
        return value

    places = bool(getattr(of.function, "at_places", False))
    return Output(called, "raw", dict(traced.outputs) | own, finish, with_target=False, data=data, at_places=places)


def centred(output: Output) -> Output:
    """`output` less its mean over classes (Shrikumar et al. 2017, arXiv:1704.02685, section 3.6).

    Raises:
        AttributionError: it has no classes.
    """
    if not output.has_classes:
        raise AttributionError(
            f"{output.words} has no classes whose mean could be subtracted: normalise_classes=True is for "
            "of='logits' of a model with a softmax or sigmoid head"
        )

    def finish(values):
        found = output.finish(values)
        return found - tf.reduce_mean(found, -1, keepdims=True)

    return dataclasses.replace(output, words=f"{output.words} less its mean over classes", finish=finish, log_odds=None)


def check_each_alone(output: Output, fetch: Callable[[dict], dict], examples: dict[Any, np.ndarray], rows: int | None) -> None:
    """Raises AttributionError where a score gives an example another number in other company, as one does that refers to an
    array with a row for each example: blocks hold rows of any examples in any number and order.

    Args:
        fetch: from examples to the values that the score is made of.
        examples: inputs and the score's own rows, by key; the first three are tried.
        rows: how many a call must have, where the model takes no other number.
    """
    some = np.arange(rows or 3) % min(len(next(iter(examples.values()))), 3)
    fetched = fetch({key: value[some] for key, value in examples.items()})
    finish = tf.function(
        lambda *values: output.finish(dict(zip(fetched, values, strict=True))),
        autograph=False,
        input_signature=[tf.TensorSpec([None, *value.shape[1:]], value.dtype) for value in fetched.values()],
    )
    whole = np.arange(len(some))
    orders = [np.roll(whole, 1)] + ([] if rows else [whole[:2], whole[:1], whole[2:]])

    def scores(order: np.ndarray) -> np.ndarray:
        return finish(*(tf.constant(value[order]) for value in fetched.values())).numpy()

    with contextlib.suppress(tf.errors.OpError):
        found = scores(whole)
        if len(found) == len(whole) and (
            not np.array_equal(found, scores(whole), equal_nan=True)
            or all(_same(scores(order), found[order]) for order in orders)
        ):
            return
    pairs = any((tensor.shape.rank or 0) > 1 and tensor.shape[1] is None for tensor in output.fetches.values())
    raise AttributionError(
        f"{output.words} depends on how many examples it is given, or on their order: it must return shape "
        "(batch,), each number from the outputs of its own example alone. If the function refers to arrays "
        "with a row for each example, give them as ta.score(lambda outputs, data: ..., data=rows): row i "
        f"follows example i{'; ' + OWN_PAIRS if pairs else ''}"
    )


def _same(values: np.ndarray, expected: np.ndarray) -> bool:
    """Whether scores are the same but for the order of sums."""
    size = np.abs(expected[np.isfinite(expected)]).max(initial=0.0)
    return values.shape == expected.shape and np.allclose(values, expected, rtol=1e-3, atol=1e-3 * float(size), equal_nan=True)
