"""Random draws of a model that is attributed while it trains, kept apart from those of its training."""

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..graph.traced import keras_model
from ..graph.traced.tf_private import drawn_elsewhere

# How far off the seeds are that tf_keras's layers count on from meanwhile: an operation that gets a seed a second time goes on
# where it stood, so that a seed that is used now gives the training other draws, though the count is put back.
ELSEWHERE = 2**30


@contextlib.contextmanager
def undisturbed(model: Any) -> Iterator[None]:
    """While the context lasts, the Python of `model` may draw at random; then the training draws as it would have without.

    A graph keeps its draws to itself. A model that is called draws from where its training does, and so does the Python that a
    trace runs through.
    """
    ours, numpys = random.getstate(), np.random.get_state()  # noqa: NPY002 (what a model may draw from)
    kept = [(state, np.asarray(state).copy()) for state in keras_model.seed_states(model)]
    counting = keras_model.counted_seeds(model)
    counts = [generator._seed for generator in counting]
    for generator in counting:
        generator._seed += ELSEWHERE
    try:
        with drawn_elsewhere():
            yield
    finally:
        for generator, count in zip(counting, counts, strict=True):
            generator._seed = count
        for state, value in kept:
            state.assign(value)
        np.random.set_state(numpys)  # noqa: NPY002
        random.setstate(ours)
