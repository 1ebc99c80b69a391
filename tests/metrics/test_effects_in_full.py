"""Effects that all dimensions of a position have in full, beside tensors of other sizes: a part is ranked by them once."""

import keras
import numpy as np

import tf_attrib as ta

L = keras.layers


def test_an_effect_counts_once_in_the_ranking_whatever_the_dimensions():
    """The ids lose 1 and the number 3: by sums over its eight dimensions the column of ids came first."""
    ids, price = keras.Input((1,), dtype="int32", name="ids"), keras.Input((1,), name="price")
    rows = L.Flatten()(L.Embedding(3, 8, embeddings_initializer="ones")(ids))
    model = keras.Model({"ids": ids, "price": price}, keras.ops.mean(rows, 1, keepdims=True) + 3 * price)
    x = {"ids": np.array([[1], [2]]), "price": np.ones((2, 1), "float32")}
    found = ta.metrics.compare(ta.Attributor(model), x, ["occlusion", "ablation", "integrated_gradients"], ["deletion", "aopc"])
    for metric in ("deletion", "aopc"):
        values = [found.table[name][metric].values for name in ("occlusion", "ablation", "integrated_gradients")]
        np.testing.assert_allclose(values[0], values[2], rtol=1e-5)
        np.testing.assert_allclose(values[1], values[2], rtol=1e-5)
