"""A continuation that the model writes now: by the sampler of a keras_hub task, seeded, or token by token."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from ..common.errors import AttributionError
from ..graph.traced.cut import Port
from ..selection.at_and_of import output
from .language_model import LanguageModel

# So many tokens are written where nothing else is asked for.
USUAL = 16


def continued(
    model: LanguageModel, source: np.ndarray, begun: np.ndarray, max_length: int | None, sampler: Any, seed: int | None
) -> np.ndarray:
    """int32 (t,), what the model writes after `begun`, up to the first token that ends a text, that one included.

    Args:
        source: what an encoder reads.
        max_length: of `begun` and what follows; None: 16 tokens more, or what the model has room for.
        sampler: None: that of the task, or the most probable token; a function (values, rng) -> id for other models.
        seed: of what is drawn; None draws anew.

    Raises:
        AttributionError: there is no room for a token.
    """
    most = model.longest
    room = len(begun) + USUAL if max_length is None else max_length
    room = room if most is None else min(room, most + 1 if model.task is None else most)
    if room <= len(begun):
        raise AttributionError(
            f"there is no room to continue {len(begun)} tokens: max_length={max_length}, and the model takes "
            f"{'any number' if most is None else most}; max_length counts the prompt's tokens, too"
        )
    if model.task is not None and hasattr(model.task, "make_generate_function"):
        if sampler is not None:
            raise AttributionError(
                "the task has a sampler of its own: choose it with model.compile(sampler='greedy'), and leave sampler out"
            )
        return _by_task(model, source, begun, room, seed)
    return _step_by_step(model, begun, room, sampler, np.random.default_rng(seed))


def _by_task(model: LanguageModel, source: np.ndarray, begun: np.ndarray, room: int, seed: int | None) -> np.ndarray:
    task, stops = model.task, model.vocabulary.stops
    assert task is not None
    # what is still to be written must hold no token that ends a text, or nothing is
    filler = next(one for one in range(len(stops) + 1) if one not in stops)
    written = np.pad(begun, (0, room - len(begun)), constant_values=filler)[None]
    there = (np.arange(room) < len(begun))[None]
    inputs: dict[str, Any] = {"token_ids": written, "padding_mask": there}
    if model.encodes:
        inputs = {f"decoder_{key}": value for key, value in inputs.items()}
        inputs |= {"encoder_token_ids": source[None], "encoder_padding_mask": np.ones((1, len(source)), bool)}
    inputs = {key: tf.constant(value) for key, value in inputs.items()}
    with _seeded(task.sampler, seed):
        made = task.make_generate_function()(inputs, stop_token_ids=list(stops) or None)
    found = np.asarray(made["decoder_token_ids" if model.encodes else "token_ids"])[0, len(begun) :].astype(np.int32)
    ends = np.flatnonzero(np.isin(found, stops))
    return found[: ends[0] + 1] if len(ends) else found


@contextlib.contextmanager
def _seeded(sampler: Any, seed: int | None) -> Iterator[None]:
    """The sampler draws from `seed`, and as before afterwards."""
    states = [] if seed is None else list(getattr(sampler, "variables", ()))
    before = [np.asarray(state) for state in states]
    try:
        for state in states:
            state.assign(np.array([seed, 0], np.asarray(state).dtype))
        yield
    finally:
        for state, value in zip(states, before, strict=True):
            state.assign(value)


def _step_by_step(
    model: LanguageModel, begun: np.ndarray, room: int, sampler: Callable | None, rng: np.random.Generator
) -> np.ndarray:
    written = begun
    attributor = model.attributor.explaining(output())
    while len(written) < room:
        inputs = model.inputs(np.zeros((1, 0), np.int32), written[None], np.array([len(written)]))
        session, ready, _ = attributor.prepare(inputs)
        found = session.fetch("next", {None: Port(session.function.explained)}, ready)[None]
        if found.ndim != 3 or found.shape[1] < len(written):
            raise AttributionError(
                "attribute_generation takes a model of token ids (batch, length) to logits or their softmax (batch, length, "
                f"vocabulary); this one gives {found.shape} of {len(written)} ids. A classifier: "
                "ta.Attributor(model).attribute(ids)"
            )
        values = found[0, len(written) - 1]
        chosen = int(values.argmax()) if sampler is None else int(sampler(values, rng))
        written = np.append(written, np.int32(chosen))
        if chosen in model.vocabulary.stops:
            break
    return written[len(begun) :]
