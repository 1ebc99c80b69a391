"""DeepLIFT on keras_hub's BERT and GPT-2, tiny and made by hand, at their token embeddings.

`pip install keras_hub tensorflow-text`, then `pytest -m real tests/methods/deeplift/test_hub.py`: a minute, nothing fetched.
"""

import keras
import numpy as np
import pytest

import tf_attrib as ta

pytestmark = pytest.mark.real

RNG = np.random.default_rng(6)
IDS = RNG.integers(1, 50, (3, 10))
MASK = np.arange(10) < np.array([[10], [6], [8]])  # two examples are padded
# One token of the output that is explained, and the word there.
POSITION, WORD = 4, 7
EMBEDDINGS = ta.embeddings("token_embedding")


@pytest.fixture(scope="module")
def hub():
    return pytest.importorskip("keras_hub", reason="pip install keras_hub tensorflow-text")


def strengthened(model):
    """`model` with weights as large as trained ones: those it starts with make it all but linear."""
    for variable in model.trainable_variables:
        if variable.path.rpartition("/")[2] in ("kernel", "embeddings"):
            variable.assign(5 * variable)
    return model


@pytest.fixture(scope="module")
def bert(hub):
    """BERT's backbone with a head on its pooled output."""
    keras.utils.set_random_seed(3)
    backbone = hub.models.BertBackbone(
        vocabulary_size=50, num_layers=2, num_heads=2, hidden_dim=16, intermediate_dim=32, max_sequence_length=12
    )
    head = keras.layers.Dense(3, "softmax", name="head")
    return strengthened(keras.Model(backbone.input, head(backbone.output["pooled_output"])))


@pytest.fixture(scope="module")
def gpt2(hub):
    """GPT-2 with its language model's head: the token embedding once more, transposed."""
    keras.utils.set_random_seed(3)
    backbone = hub.models.GPT2Backbone(
        vocabulary_size=50, num_layers=2, num_heads=2, hidden_dim=16, intermediate_dim=32, max_sequence_length=12
    )
    return strengthened(hub.models.GPT2CausalLM(backbone=backbone, preprocessor=None))


@pytest.fixture
def of_bert():
    segments = np.repeat(np.arange(2), 5)[None].repeat(3, 0)
    return {"token_ids": IDS, "segment_ids": segments, "padding_mask": MASK.astype("int32")}


@pytest.fixture
def of_gpt2():
    return {"token_ids": IDS, "padding_mask": MASK.astype("int32")}


def assert_complete(result):
    size = np.maximum(np.abs(result.difference), result.magnitudes)
    assert np.abs(result.gap).max() <= 1e-5 * size.min(), result.gap / size
    assert np.abs(result.difference).min() > 1e-3
    assert (result.status == "").all()


@pytest.mark.parametrize("rule", ["rescale", "reveal_cancel"])
@pytest.mark.parametrize("of", ["probability", "logits"])
def test_bert(bert, of_bert, rule, of):
    attributor = ta.Attributor(bert, at=EMBEDDINGS, of=of)
    assert ta.coverage(attributor, ta.DeepLift(rule), of_bert).uncovered == ()
    result = attributor.attribute(of_bert, 1, method=ta.DeepLift(rule))
    assert_complete(result)
    assert result.attributions.shape == (3, 10, 16)
    assert not result.attributions[~MASK].any()  # nobody attends to padding
    assert result.attributions[MASK].any(-1).all()


def test_reveal_cancel_finds_the_pooler_of_bert(bert, of_bert):
    """Dense, bias, tanh."""
    attributor = ta.Attributor(bert, at=EMBEDDINGS)
    found = ta.coverage(attributor, ta.DeepLift("reveal_cancel"), of_bert)
    assert [row.layer for row in found.rows if row.rule.startswith("RevealCancel with")] == ["pooled_dense"]
    rescale, cancel = (attributor.attribute(of_bert, 1, method=ta.DeepLift(rule)) for rule in ("rescale", "reveal_cancel"))
    assert np.abs(rescale.attributions - cancel.attributions).sum() > 0.01 * rescale.magnitudes.sum()


def test_both_embeddings_of_bert(bert, of_bert):
    """Tokens and segments, each with its own attributions; together they are complete."""
    result = ta.Attributor(bert, of="logits").attribute(of_bert, 1, method="deeplift")
    assert set(result.attributions) == {"token_embedding", "segment_embedding"}
    assert_complete(result)


@pytest.mark.parametrize("rule", ["rescale", "reveal_cancel"])
def test_gpt2(gpt2, of_gpt2, rule):
    attributor = ta.Attributor(gpt2, at=EMBEDDINGS, of="logits")
    assert ta.coverage(attributor, ta.DeepLift(rule), of_gpt2).uncovered == ()
    result = attributor.attribute(of_gpt2, (POSITION, WORD), method=ta.DeepLift(rule))
    assert_complete(result)
    assert not result.attributions[:, POSITION + 1 :].any()  # it does not look ahead
    assert result.attributions[:, : POSITION + 1].any(-1).all()


def test_the_export_of_bert_is_as_the_model(bert, of_bert, tmp_path):
    bert.export(tmp_path / "bert", verbose=False)
    exported = ta.Attributor(tmp_path / "bert", at="embeddings", of="logits")
    result = exported.attribute(of_bert, 1, method="deeplift")
    assert_complete(result)
    own = ta.Attributor(bert, at="embeddings", of="logits").attribute(of_bert, 1, method="deeplift")
    assert len(result.attributions) == len(own.attributions) == 2
    for name, wanted in own.attributions.items():
        (key,) = (key for key in result.attributions if f"/{name}_" in key)  # the export names them by their operations
        np.testing.assert_allclose(result.attributions[key], wanted, atol=1e-5 * np.abs(wanted).max())
