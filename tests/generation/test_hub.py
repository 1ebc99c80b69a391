"""Tasks of keras_hub, tiny and with random weights: sums, causality, their samplers and tokenizers.

`pip install keras_hub tensorflow-text`, then `pytest -m real tests/generation/test_hub.py`: minutes, nothing fetched.
"""

import string

import keras
import numpy as np
import pytest

import tf_attrib as ta

from ..conftest import assert_refused

pytestmark = [pytest.mark.real, pytest.mark.filterwarnings("ignore")]

hub = pytest.importorskip("keras_hub", reason="pip install keras_hub tensorflow-text")

SMALL = {"vocabulary_size": 50, "num_layers": 2, "hidden_dim": 16, "intermediate_dim": 32}
GROUPED = SMALL | {"num_query_heads": 4, "num_key_value_heads": 2}
HEADS = SMALL | {"num_heads": 2}
FAMILIES = {
    "GPT2": HEADS | {"max_sequence_length": 24},
    "OPT": HEADS | {"max_sequence_length": 24},
    "Bloom": HEADS | {"max_sequence_length": 24},
    "GPTNeoX": HEADS | {"max_sequence_length": 24},
    "Llama": GROUPED,
    "Mistral": GROUPED | {"sliding_window": 12},
    "Gemma": GROUPED | {"head_dim": 4},
    "Gemma3": GROUPED | {"head_dim": 4, "image_size": 16, "vision_encoder": None},
    "Qwen": GROUPED,
    "Qwen3": GROUPED | {"head_dim": 4},
    "Phi3": GROUPED | {"max_sequence_length": 24},
    "Falcon": {"vocabulary_size": 50, "num_layers": 2, "hidden_dim": 16, "intermediate_dim": 32, "num_attention_heads": 2},
}
PROMPT, NEXT = [3, 17, 4, 9, 30, 22], [5, 41, 7, 8]


def strengthened(model):
    """`model` with weights as large as trained ones: those it starts with make it all but linear."""
    for variable in model.trainable_variables:
        if variable.path.rpartition("/")[2] in ("kernel", "embeddings"):
            variable.assign(3 * variable)
    return model


def task(family):
    keras.utils.set_random_seed(3)
    backbone = getattr(hub.models, f"{family}Backbone")(**FAMILIES[family])
    return strengthened(getattr(hub.models, f"{family}CausalLM")(backbone=backbone, preprocessor=None))


@pytest.mark.parametrize("family", FAMILIES)
def test_sums_and_causality(family):
    model = task(family)
    found = ta.attribute_generation(model, PROMPT, NEXT, method=ta.IntegratedGradients(0.01))
    ids = np.array([PROMPT + NEXT])
    logits = keras.ops.convert_to_numpy(model.predict({"token_ids": ids, "padding_mask": np.ones_like(ids)}, verbose=0))[0]
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    np.testing.assert_allclose(found.scores, logs[np.arange(5, 9), NEXT], rtol=1e-3)
    assert np.abs(found.gap).max() < 0.02 * np.abs(found.attributions).sum(1).min()
    assert np.abs(found.scores - found.attribution.baseline_scores).min() > 1e-3
    later = np.arange(10) >= len(PROMPT) + np.arange(4)[:, None]
    assert np.all(found.attributions[later] == 0)
    assert (found.attributions[~later] != 0).mean() > 0.9


@pytest.mark.parametrize("sampler", ["greedy", "top_k", "top_p", "beam"])
def test_what_the_sampler_writes_is_explained(sampler):
    model = task("GPT2")
    model.compile(sampler=sampler)
    options = {"max_length": 12, "method": "gradient_times_input"}
    one, same, other = (ta.attribute_generation(model, PROMPT, seed=seed, **options) for seed in (1, 1, 2))
    assert len(one) == 6
    assert one.rows == same.rows
    ids = np.array([PROMPT + [int(row) for row in one.rows]])
    logits = model.predict({"token_ids": ids, "padding_mask": np.ones_like(ids)}, verbose=0)[0]
    chances = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    np.testing.assert_allclose(one.probabilities, chances[range(5, 11), ids[0, 6:]], rtol=1e-3)
    if sampler == "greedy":
        np.testing.assert_array_equal(ids[0, 6:], logits[5:-1].argmax(-1))
    if sampler.startswith("top"):
        assert one.rows != other.rows
        before = [np.array(state) for state in model.sampler.variables]
        ta.attribute_generation(model, PROMPT, seed=3, **options)
        np.testing.assert_array_equal(before, [np.array(state) for state in model.sampler.variables])


@pytest.fixture(scope="module")
def spoken():
    """GPT-2 with a byte-pair tokenizer of a few merges."""
    merges = ["Ġ t", "h e", "Ġt he", "Ġ c", "a t", "Ġc at", "Ġ s", "Ġs at", "Ġ o", "Ġo n"]
    letters = [*string.ascii_letters, *string.punctuation, "Ġ", "Ċ", "Ã", "©"]
    pieces = ["!pad", *letters, *(merge.replace(" ", "") for merge in merges), "<|endoftext|>"]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = hub.models.GPT2Tokenizer(vocabulary=vocabulary, merges=merges)
    preprocessor = hub.models.GPT2CausalLMPreprocessor(tokenizer, sequence_length=24)
    keras.utils.set_random_seed(3)
    backbone = hub.models.GPT2Backbone(**FAMILIES["GPT2"] | {"vocabulary_size": len(vocabulary)})
    return strengthened(hub.models.GPT2CausalLM(backbone=backbone, preprocessor=preprocessor))


def test_text_becomes_the_pieces_of_the_tokenizer(spoken):
    found = ta.attribute_generation(spoken, "the cat sat", " on the cat", method="gradient_times_input")
    assert found.columns == ("<|endoftext|>", "t", "he", " cat", " sat", " on", " the", " cat")
    assert found.rows == (" on", " the", " cat")
    words = found.words()
    assert words.columns == ("<|endoftext|>", "the", " cat", " sat", " on", " the", " cat")
    np.testing.assert_allclose(words.attributions[:, 1], found.attributions[:, 1:3].sum(1))
    written = ta.attribute_generation(spoken, "the cat sat", max_length=12, seed=0, method="gradient_times_input")
    assert len(written) == 7 or written.rows[-1] == "<|endoftext|>"
    parts = ta.attribute_generation(spoken, "{who} sat{where}", " the", segments={"who": "the cat", "where": " on the cat"})
    assert parts.columns == ("who", "where", "(rest)")


def test_text_that_does_not_fit_is_refused(spoken):
    assert_refused(lambda: ta.attribute_generation(spoken, "the cat sa", "t"), "split differently", "' sat'", "token ids")
    assert_refused(lambda: ta.attribute_generation(spoken, "the cat " * 20, " sat"), "24 tokens at most", "max_length")
    assert_refused(lambda: ta.attribute_generation(spoken, "the", [9999]), "9999", "one vocabulary")
    assert_refused(lambda: ta.attribute_generation(spoken, "the", sampler=lambda values, rng: 0), "model.compile")


@pytest.mark.parametrize("family", ["Bart", "T5"])
def test_an_encoder_and_a_decoder(family):
    """Attributions to what is read and to what was written: by a tokenizer of words, sums and causality."""
    keras.utils.set_random_seed(3)
    sizes = HEADS | ({"max_sequence_length": 24} if family == "Bart" else {})
    backbone = getattr(hub.models, f"{family}Backbone")(**sizes)
    model = strengthened(getattr(hub.models, f"{family}Seq2SeqLM")(backbone=backbone, preprocessor=None))

    class Tokenizer:
        start_token_id, end_token_id, pad_token_id = 1, 2, 0

        def __call__(self, text):
            return [int(word) for word in text.split()]

        def id_to_token(self, number):
            return f"▁{number}"

    def call(*rest, **options):
        return ta.attribute_generation(model, PROMPT, *rest, tokenizer=Tokenizer(), **options)

    found = call(NEXT, method=ta.IntegratedGradients(0.01))
    assert found.attributions.shape == (4, 11)
    assert (found.read, found.context) == (6, 7)
    assert np.abs(found.gap).max() < 0.02 * np.abs(found.attributions).sum(1).min()
    assert np.all(found.attributions[np.arange(11) >= 7 + np.arange(4)[:, None]] == 0)
    assert (np.abs(found.attributions[:, :6]) > 0).all()
    parts = call(NEXT, method="shapley_sampling", segments={"a": (0, 3), "b": (3, 6)})
    assert np.abs(parts.gap).max() < 1e-5
    rather = call(NEXT, contrast=[9, 11], method=ta.IntegratedGradients(0.01))
    other = call([9, 11], method="gradient_times_input")
    np.testing.assert_allclose(rather.scores, found.scores.sum() - other.scores.sum(), atol=1e-4)
    assert abs(rather.gap[0]) < 0.02 * np.abs(rather.attributions).sum()
    assert rather.attributions[0, :7].all()
    assert not rather.attributions[0, 7:].any()
    written = call(max_length=8, method="gradient_times_input", seed=1)
    assert len(written) <= 7


def test_masked_models_and_classifiers_are_explained_by_the_attributor():
    keras.utils.set_random_seed(3)
    backbone = hub.models.BertBackbone(**HEADS | {"max_sequence_length": 24})
    ids = np.array([PROMPT])
    inputs = {"token_ids": ids, "padding_mask": np.ones_like(ids), "segment_ids": np.zeros_like(ids)}
    masked = strengthened(hub.models.BertMaskedLM(backbone=backbone, preprocessor=None))
    at = {"mask_positions": np.array([[2, 4]])}
    attributor = ta.Attributor(masked, at=ta.embeddings("token_embedding"), of=ta.token_score([[1]], [[17]], [[1.0]]))
    found = attributor.attribute(inputs | at)
    logits = masked.predict(inputs | at, verbose=0)[0, 1]
    np.testing.assert_allclose(found.scores[0], logits[17] - np.log(np.exp(logits).sum()), rtol=1e-3)
    assert found.unit == "log_probability"
    assert abs(found.gap[0]) < 0.02 * np.abs(found.attributions).sum()
    classifier = strengthened(hub.models.BertTextClassifier(backbone=backbone, num_classes=3, preprocessor=None))
    found = ta.Attributor(classifier, at=ta.embeddings("token_embedding"), of="log_probability").attribute(inputs, 1)
    logits = classifier.predict(inputs, verbose=0)[0]
    np.testing.assert_allclose(found.scores[0], logits[1] - np.log(np.exp(logits).sum()), rtol=1e-3)
    assert abs(found.gap[0]) < 0.02 * np.abs(found.attributions).sum()
