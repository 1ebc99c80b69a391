"""A device that has no memory for a block: halves go on, nothing is lost or done twice."""

import numpy as np
import pytest
import tensorflow as tf

import tf_attrib as ta
from tf_attrib.engine.blocks import ACTIVATION_BYTES, OF_WHAT_IS_LEFT, WITHOUT_ONEDNN, activation_bytes, in_blocks
from tf_attrib.engine.program import Program
from tf_attrib.graph.traced.compiled import Compiled

from ..conftest import assert_refused, make_plain_cnn
from ..helpers.shared import anew

OUT = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")


def test_blocks_are_halved_and_go_on_from_where_they_were():
    seen, given = [], []

    def evaluate(part):
        seen.append((part.start, part.stop))
        if part.stop - part.start > 3:
            raise OUT
        return list(range(part.start, part.stop))

    for part, found in in_blocks(20, 16, evaluate):
        assert found == list(range(part.start, part.stop))
        given += found
    assert given == list(range(20))
    assert seen[:4] == [(0, 16), (0, 8), (0, 4), (0, 2)]
    assert all(stop - start == 2 for start, stop in seen[3:])


def test_the_least_block_is_the_last_try():
    tried = []

    def evaluate(part):
        tried.append(part.stop - part.start)
        raise OUT

    with pytest.raises(tf.errors.ResourceExhaustedError):
        list(in_blocks(20, 16, evaluate, least=4))
    assert tried == [16, 8, 4]


class Small:
    """A device with room for so many rows: everything that is compiled for more runs out of memory."""

    def __init__(self, monkeypatch, kind, rows):
        self.sizes, call = [], kind.__call__

        def called(this, *arrays):
            count = len(arrays[-1])
            self.sizes.append(count)
            if count > rows:
                raise OUT
            return call(this, *arrays)

        monkeypatch.setattr(kind, "__call__", called)


@pytest.fixture(scope="module")
def cnn():
    return make_plain_cnn()


@pytest.fixture(scope="module")
def with_room(cnn):
    return anew(cnn)


@pytest.mark.parametrize("method", ["integrated_gradients", ta.IntegratedGradients(n_steps=50), "occlusion", "deeplift"])
def test_attributions_are_those_of_a_device_with_room(cnn, with_room, images, monkeypatch, method):
    expected = with_room.attribute(images, 1, method=method)
    attributor = anew(cnn)
    device = Small(monkeypatch, Program, 3)  # its last argument is a batch of rows
    found = attributor.attribute(images, 1, method=method)
    np.testing.assert_allclose(found.attributions, expected.attributions, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(found.forward_evaluations, expected.forward_evaluations)
    assert max(device.sizes) > 3  # it was tried
    device.sizes.clear()
    again = attributor.attribute(images, 1, method=method)
    np.testing.assert_allclose(again.attributions, found.attributions, rtol=1e-4, atol=1e-8)  # rounded in other blocks
    assert max(device.sizes) <= 3  # and is not tried again


def test_scores_go_on_in_halves_too(cnn, with_room, images, monkeypatch):
    expected = with_room.attribute(images, 1, method="gradient")
    attributor = anew(cnn)
    attributor.check(images, 1)
    Small(monkeypatch, Compiled, 3)
    found = attributor.attribute(images, 1, method="gradient")
    np.testing.assert_allclose(found.attributions, expected.attributions, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5)


def test_no_room_for_one_row_is_an_error(cnn, images, monkeypatch):
    attributor = anew(cnn)
    attributor.check(images, 1)
    Small(monkeypatch, Program, 0)
    assert_refused(lambda: attributor.attribute(images, 1), "more memory than there is", "OOM")


@pytest.mark.parametrize(
    ("limit", "used", "left"),
    [(None, 0, None), (16 * 1024, 2**30, None), (512, 100 * 2**20, 412 * 2**20), (512, 600 * 2**20, 0)],
)
def test_blocks_fit_what_a_gpu_has_left_where_tensorflow_tells(monkeypatch, limit, used, left):
    config = tf.config
    monkeypatch.setattr(config, "get_visible_devices", lambda kind=None: ["a GPU"] if kind == "GPU" else [])
    monkeypatch.setattr("tf_attrib.engine.blocks.runs_groups", lambda: True)
    limits = [config.LogicalDeviceConfiguration(memory_limit=limit)]
    monkeypatch.setattr(config, "get_logical_device_configuration", {"a GPU": limits}.__getitem__)
    monkeypatch.setattr(config.experimental, "get_memory_info", {"GPU:0": {"current": used, "peak": used}}.__getitem__)
    assert activation_bytes() == (ACTIVATION_BYTES if left is None else int(OF_WHAT_IS_LEFT * left))


@pytest.mark.parametrize(("onednn", "most"), [(True, ACTIVATION_BYTES), (False, WITHOUT_ONEDNN)])
def test_without_a_gpu_blocks_are_those_of_the_processor(monkeypatch, onednn, most):
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind=None: [])
    monkeypatch.setattr("tf_attrib.engine.blocks.runs_groups", lambda: onednn)
    assert activation_bytes() == most
    assert activation_bytes(2**20) == 2**20
    assert activation_bytes(2**40) == most
