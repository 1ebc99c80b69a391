"""What is exported, called in this process."""

import numpy as np
import tensorflow as tf

from tf_attrib.export.explaining import Explaining
from tf_attrib.export.plan import planned, predicts
from tf_attrib.methods import as_method


def explain(attributor, inputs, method, baselines=None, batch_size=None, seed=0):
    """The signature that `attributor.export` writes, without a file between: a function of inputs like these, and of baselines
    and targets that come with the call, by their names."""
    method = as_method(method)
    function = attributor.prepare(inputs)[0].function
    target = None if predicts(function) else 0 if function.target_rank == 1 else (0,) * function.target_rank
    work = attributor.work(inputs, target, baselines, method, seed, "mark")
    explaining = Explaining(planned(method, work, batch_size, seed), work.session.input_names)
    function, parameters = explaining.function(), explaining.parameters()

    def call(values, **given):
        inputs = values if isinstance(values, dict) else dict.fromkeys(explaining.names, values)
        found = {name: tf.constant(inputs[name if name in inputs else key]) for key, name in explaining.names.items()}
        found |= {name: tf.constant(value) for name, value in given.items()}
        arguments = [found.get(name, default) for name, (_, default) in parameters.items()]
        return {name: value.numpy() for name, value in function(*arguments).items()}

    return call


def relative(found, wanted):
    """The L1 distance relative to what is wanted."""
    return np.abs(found - wanted).sum() / np.abs(wanted).sum()
