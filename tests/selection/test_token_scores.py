"""Scores of tokens at positions that are settled beforehand."""

import numpy as np
import pytest
import tensorflow as tf

import tf_attrib as ta

from ..conftest import assert_refused
from ..helpers.shared import attributor_for
from ..helpers.small_gpt import ids_of, small_gpt

IDS = np.stack([ids_of(6), ids_of(6, seed=1)])


@pytest.fixture(scope="module")
def model():
    return small_gpt(dense=False)


@pytest.mark.parametrize(
    ("of", "eager"),
    [("logits", False), ("log_probability", True), ("probability", False)]
    + [
        pytest.param(*case, marks=pytest.mark.slow)
        for case in (("logits", True), ("log_probability", False), ("probability", True))
    ],
)
def test_the_score_is_the_weighted_sum_of_the_tokens(model, of, eager):
    position, token, weight = [[2, 3], [4, 1]], [[5, 2], [1, 6]], [[1.0, -1.0], [0.5, 2.0]]
    attributor = attributor_for(model, eager=eager).explaining(ta.token_score(position, token, weight, of=of))
    found = attributor.attribute(IDS, method="ablation", verbose=False)
    logits = np.asarray(model(IDS), np.float64)
    values = {
        "logits": logits,
        "log_probability": tf.nn.log_softmax(logits).numpy(),
        "probability": tf.nn.softmax(logits).numpy(),
    }
    expected = [
        sum(values[of][i, p, t] * w for p, t, w in zip(*row, strict=True))
        for i, row in enumerate(zip(position, token, weight, strict=True))
    ]
    np.testing.assert_allclose(found.scores, expected, atol=1e-5)


def test_what_it_takes(model):
    assert_refused(lambda: ta.token_score([[1]], [[2]], of="loss"), "'log_probability'", "'loss'")
    assert_refused(lambda: ta.token_score([[1, 2]], [[2]]), "of one shape", "(1, 2)")
    assert_refused(lambda: ta.token_score([[1]], [[-2]]), "token must hold whole numbers of at least 0")
    assert_refused(lambda: ta.token_score([[1.5]], [[2]]), "position must hold whole numbers of at least 0")
    other = ta.token_score([[1]], [[2]], output="other")
    assert_refused(lambda: ta.Attributor(model, of=other).attribute(IDS[:1]), "output='other' must name the output")
