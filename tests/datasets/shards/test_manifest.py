"""What the numbers of a run depend on stands in its manifest: shards of two ways of computing are never mixed."""

import numpy as np
import pytest

import tf_attrib as ta

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
