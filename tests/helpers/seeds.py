"""Seeding that keeps what was compiled: TensorFlow forgets every program that ran whenever its seed is set."""

import random

import tensorflow as tf
from tensorflow.python.eager import context

_forgetting = tf.random.set_seed


def set_seed(seed):
    """As `tf.random.set_seed`, to the same numbers. Programs are forgotten only where a random operation drew since the last
    seeding: their states must begin anew, and those of what drew nothing are as they were."""
    known = context.context()
    begun = random.Random(known._seed).getstate() if isinstance(known._seed, int) else None
    drawing = getattr(known, "_rng", None)  # none before the first seeding
    if not tf.executing_eagerly() or drawing is None or drawing.getstate() != begun:
        _forgetting(seed)
    else:
        known._seed, known._rng = seed, random.Random(seed)
