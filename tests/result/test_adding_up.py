"""What a column comes to: the sum of its parts, where these add up; of what all channels of a position have in full, that."""

import keras
import numpy as np
import pytest

import tf_attrib as ta

L = keras.layers


@pytest.fixture(scope="module")
def model():
    """Two ids in a column, a vector of three for each, beside a number."""
    ids, price = keras.Input((2,), dtype="int32", name="ids"), keras.Input((1,), name="price")
    joined = L.Concatenate()([L.Flatten()(L.Embedding(5, 3, name="vectors")(ids)), price])
    return keras.Model({"ids": ids, "price": price}, L.Dense(1, name="score")(joined))


@pytest.mark.parametrize("method", ["occlusion", "ablation", "integrated_gradients", "lime"])
def test_a_column_counts_once_and_not_for_each_dimension_of_its_embedding(model, method):
    """Taking both ids away loses what the score has of them: it was three times as much as that of the number beside them."""
    x = {"ids": np.array([[1, 4], [2, 2]]), "price": np.array([[2.0], [-1.0]], "float32")}
    weights = model.get_layer("score").kernel.numpy()[:, 0]
    result = ta.Attributor(model).attribute(x, method=method, seed=0, verbose=False)
    rows = model.get_layer("vectors").embeddings.numpy()[x["ids"]].reshape(2, 6)
    tolerance = {"atol": 0.02} if method == "lime" else {"atol": 1e-5}  # LIME has a penalty on its coefficients
    np.testing.assert_allclose(result.by_column["ids"], rows @ weights[:6], **tolerance)
    np.testing.assert_allclose(result.by_column["price"], x["price"][:, 0] * weights[6], **tolerance)
    table = result.to_dataframe()
    np.testing.assert_allclose(table["ids"], result.by_column["ids"])


def test_a_group_counts_once_and_not_for_each_of_its_features():
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.ops.sum(inputs * np.float32([2, 3, 4]), 1, keepdims=True))
    for groups in ([0, 1, 1], np.array([[0, 1, 1]])):
        result = ta.Attributor(model).attribute(np.ones((1, 3), "float32"), method=ta.Ablation(groups), verbose=False)
        np.testing.assert_allclose(result.attributions, [[2, 7, 7]], rtol=1e-5)
        np.testing.assert_allclose(result.by_column[""], [9], rtol=1e-5)
    assert repr(ta.Ablation([0, 1, 1])) == "Ablation(groups of shape (3,))"
