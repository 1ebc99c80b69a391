"""The rule of an exported signature in place of that of `attribute`: the same nets, in this process, without a file between."""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

import tf_attrib as ta
from tf_attrib.export.explaining import Explaining
from tf_attrib.export.plan import planned
from tf_attrib.methods import as_method


@dataclasses.dataclass(frozen=True, eq=False)
class Explained:
    """What the zoo asks of a result, from a signature."""

    attributions: np.ndarray
    status: np.ndarray
    error_estimate: np.ndarray
    evaluations: np.ndarray
    forward_evaluations: np.ndarray

    def __len__(self) -> int:
        return len(self.status)


def explained(attributor: ta.Attributor, inputs: Any, target: Any, baselines: Any, seed: int, method: ta.Method) -> Explained:
    """What the signature that `Attributor.export` writes would give for these arguments of `attribute`."""
    work = attributor.work(inputs, target, baselines, method, seed, "mark")
    explaining = Explaining(planned(as_method(method), work, None, seed), work.session.input_names)
    parameters = explaining.parameters()
    given = {name: tf.constant(work.ready[key]) for key, name in explaining.names.items()}
    if "target" in parameters and target is not None:
        given["target"] = tf.constant(target, tf.int32)
    for name, (_, default) in parameters.items():
        given.setdefault(name, default)
    found = {name: value.numpy() for name, value in explaining.function()(*(given[name] for name in parameters)).items()}
    status = np.array([one.decode() for one in found["status"]])
    scanned = np.zeros(len(status), int)  # as many for all: see tf_attrib.export.nested
    return Explained(found["attributions"], status, found["error_estimate"], found["evaluations"], scanned)
