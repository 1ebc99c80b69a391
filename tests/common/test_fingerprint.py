"""Fingerprints tell apart what differs, and are the same in another process."""

import functools
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_attrib as ta
from tf_attrib.common import fingerprint as module
from tf_attrib.common.fingerprint import fingerprint, of_files, of_model

SCALE = 2.0


def scaled(x):
    return x * SCALE


def by(factor):
    return lambda x: x * factor


def calling(x):
    return [scaled(one) for one in x]


A, B = np.arange(6.0), np.arange(3.0)
DIFFERENT = [
    None,
    1,
    1.0,
    True,
    "1",
    b"1",
    (1, 2),
    (2, 1),
    {"a": 1},
    {"b": 1},
    A,
    A.reshape(2, 3),
    A.astype("float32"),
    A + 1e-9,
    np.array(["a", "b"]),
    np.array(["a", "c"], object),
    ta.dataset(A[:, None]),
    ta.dataset(A[:, None] + 1),
    ta.IntegratedGradients(tolerance=0.01),
    ta.IntegratedGradients(tolerance=0.02),
    by(2),
    by(3),
    by(A),
    by(A + 1),
    [A, B, A],
    [A, B, B],
    functools.partial(scaled, 1),
    functools.partial(scaled, 2),
    scaled,
]


def test_what_differs_has_another():
    found = [fingerprint(value) for value in DIFFERENT]
    twins = [(i, j) for i, one in enumerate(found) for j, other in enumerate(found[:i]) if one == other]
    assert not twins


def test_what_is_the_same_has_the_same(monkeypatch):
    assert fingerprint(by(A)) == fingerprint(by(A.copy()))
    assert fingerprint([A, A]) == fingerprint([A, A.copy()][:1] * 2)
    assert fingerprint(ta.dataset(A[:, None])) == fingerprint(ta.dataset(A[:, None]))
    before, of_caller = fingerprint(scaled), fingerprint(calling)
    monkeypatch.setitem(globals(), "SCALE", 3.0)  # what a function finds outside of it
    assert fingerprint(scaled) != before
    assert fingerprint(calling) != of_caller  # and what it calls
    own = [1]
    own.append(own)
    fingerprint(own)  # ends


def test_another_process_finds_the_same():
    code = (
        "import dataclasses, numpy as np; from tf_attrib.common.fingerprint import fingerprint as f\n"
        "def by(factor):\n    return lambda x: x * factor\n"
        "made = dataclasses.make_dataclass('Made', ['make', 'words'])(by(np.arange(3)), 'x')\n"
        "print(f(made), f(by(np.ones((2, 3)))), f({'a', 'b', 'c'}), f([object(), len, dict]))"
    )
    environment = {"PYTHONPATH": str(Path(ta.__file__).parents[1]), "TF_CPP_MIN_LOG_LEVEL": "3"}
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], env=environment | {"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1]


def test_models_differ_by_weights_and_files_by_contents(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    before = fingerprint(model)
    assert fingerprint(model) == before
    model.layers[0].kernel.assign_add(np.full((3, 2), 1e-3, "float32"))
    assert fingerprint(model) != before
    (tmp_path / "variables").mkdir()
    (tmp_path / "variables" / "data").write_bytes(bytes(3 * module.ENDS))
    (tmp_path / "model.pb").write_bytes(b"graph")
    whole, ends = of_model(tmp_path), of_files([tmp_path / "variables" / "data"])
    changed = bytearray(3 * module.ENDS)
    changed[3 * module.ENDS // 2] = 1
    (tmp_path / "variables" / "data").write_bytes(bytes(changed))
    assert of_model(tmp_path) != whole  # of a model all bytes count
    assert of_files([tmp_path / "variables" / "data"]) == ends  # of data the ends
    changed[-1] = 1
    (tmp_path / "variables" / "data").write_bytes(bytes(changed))
    assert of_files([tmp_path / "variables" / "data"]) != ends


class Module(tf.Module):
    def __init__(self):
        super().__init__()
        self.parts = {"deep": [tf.Variable(A)]}

    def __call__(self, x):
        return x * self.parts["deep"][0]


NAMED = Module()


def named(x):
    return NAMED(x)


@pytest.mark.parametrize("value", [NAMED, NAMED.__call__, named, tf.function(named), [lambda x: named(x)]])
def test_variables_are_found_wherever_they_are(value):
    before = fingerprint(value)
    assert fingerprint(value) == before
    NAMED.parts["deep"][0].assign_add(A + 1)
    assert fingerprint(value) != before


@pytest.mark.parametrize("place", [0, -1])
def test_of_large_arrays_some_rows_are_looked_at(monkeypatch, place):
    monkeypatch.setattr(module, "WHOLE", 100)
    monkeypatch.setattr(module, "ROWS", 5)
    array = np.zeros((1000, 3))
    before = fingerprint(array)
    array[place] = 1
    assert fingerprint(array) != before
    assert fingerprint(array[:999]) != before
