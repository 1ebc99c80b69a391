"""What the numbers of a run depend on stands in its manifest: shards of two ways of computing are never mixed."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tf_attrib as ta
from tf_attrib.datasets.shards import manifest

from ...conftest import assert_refused

X = np.random.default_rng(3).normal(size=(6, 4)).astype("float32")
OPTIONS = {"method": "gradient", "target": 0, "shard_size": 3, "batch_size": 3, "verbose": False}


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("jit_compile", {"jit_compile": True}),
        ("eager", {"eager": True}),
        ("block", {"batch_size": 2}),
        ("preprocess", {"preprocess": lambda x: 2 * x}),
        ("of", {"of": "logits"}),
        ("at", {"at": "hidden"}),
    ],
)
def test_an_attributor_that_computes_otherwise_goes_on_with_no_other_s_shards(table, tmp_path, name, setting):
    ta.attribute_dataset(ta.Attributor(table), X, tmp_path, **OPTIONS)
    (tmp_path / next(path.name for path in tmp_path.glob("shard-*"))).unlink()  # as if it had been killed
    other = ta.Attributor(table, **setting)
    assert_refused(lambda: ta.attribute_dataset(other, X, tmp_path, **OPTIONS), "another run", f"{name}: ")
    assert len(ta.attribute_dataset(ta.Attributor(table), X, tmp_path, **OPTIONS)) == 6


def test_shards_that_nobody_says_what_they_are_of_are_let_be(attributor, tmp_path):
    ta.attribute_dataset(attributor, X, tmp_path, **OPTIONS)
    (tmp_path / "manifest.json").unlink()
    next(tmp_path.glob("shard-*")).unlink()
    again = lambda: ta.attribute_dataset(attributor, X, tmp_path, **OPTIONS | {"method": "gradient_times_input"})  # noqa: E731
    assert_refused(again, "holds shards and no manifest.json", "another folder")


def test_two_that_begin_at_once_with_other_settings_are_not_mixed(attributor, tmp_path, monkeypatch):
    def slow(path, fill, durable):
        began.set()
        time.sleep(0.3)  # the other looks for a manifest now
        return whole(path, fill, durable)

    def one(method, part):
        options = OPTIONS | {"method": method, "shard": (part, 2)}
        return ta.attribute_dataset(attributor, X, tmp_path, **options)

    whole, began = manifest.write_whole, threading.Event()
    monkeypatch.setattr(manifest, "write_whole", slow)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(one, "gradient", 0)
        began.wait(60)
        assert_refused(pool.submit(one, "gradient_times_input", 1).result, "another run", "method")
        assert len(first.result()) == 3
