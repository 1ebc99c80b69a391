"""What is computed ahead of rows changes no number: the same run with and without."""

import contextlib

import numpy as np
import tensorflow as tf

from tf_attrib.engine.ahead import Ahead


@contextlib.contextmanager
def as_written():
    """While the context lasts, nothing is computed ahead of rows."""
    usual = Ahead.of
    Ahead.of = lambda function, *given: Ahead(function)
    try:
        yield
    finally:
        Ahead.of = usual


def assert_same(found, expected, dtype):
    """That two outcomes are the same but for rounding."""
    rounding = 1e-12 if dtype == tf.float64 else 1e-5
    sizes = max((np.abs(total).max() for total in expected.totals.values()), default=0)
    for key, total in expected.totals.items():
        np.testing.assert_allclose(found.totals[key], total, rtol=0, atol=rounding * np.abs(total).max())
    for name in ("path_scores", "path_slopes", "end_slopes", "residual", "error_estimate"):
        one, other = getattr(found, name), getattr(expected, name)
        assert (one is None) == (other is None), name
        if other is not None:
            # the error is relative to the attributions, and the residual is a part of their sum
            size = {"error_estimate": 1, "residual": sizes}.get(name, np.abs(other[np.isfinite(other)]).max(initial=0))
            np.testing.assert_allclose(one, other, rtol=0, atol=10 * rounding * size, err_msg=name)
    for name in ("evaluations", "forward_evaluations", "finite", "alphas", "status", "residual_clipped", "narrow_at"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
