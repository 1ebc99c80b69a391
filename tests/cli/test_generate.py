"""`tf-attrib generate`: what a saved language model writes, explained."""

import json
import sys
import zipfile

import keras
import numpy as np
import pytest
from keras import layers

import tf_attrib as ta
from tf_attrib.cli import main

from .test_cli import fails

WORDS = ["[pad]", "the", "cat", "dog", "sat", "ran", "."]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The folder of a saved model and its vocabulary, in which nobody writes."""
    tmp_path = tmp_path_factory.mktemp("model")
    keras.utils.set_random_seed(2)
    ids = keras.Input((None,), dtype="int32")
    wide = keras.initializers.RandomNormal(stddev=1.0, seed=1)
    state = layers.Conv1D(6, 3, padding="causal", activation="tanh")(layers.Embedding(7, 5, embeddings_initializer=wide)(ids))
    keras.Model(ids, layers.Dense(7, kernel_initializer=wide)(state)).save(tmp_path / "model.keras")
    (tmp_path / "words.txt").write_text("\n".join(WORDS))
    return tmp_path


def command(model, *more):
    return ["generate", str(model / "model.keras"), "--tokens", str(model / "words.txt"), "--prompt", "the cat sat", *more]


def test_what_is_written_is_explained_and_stored(model, tmp_path, capsys):
    out = ["--html", str(tmp_path / "a.html"), "--picture", str(tmp_path / "a.png"), "--save", str(tmp_path / "a.npz")]
    assert main(command(model, "--max-length", "6", *out)) == 0
    said = capsys.readouterr().out
    expected = ta.attribute_generation(model / "model.keras", "the cat sat", max_length=6, tokenizer=WORDS)
    assert all(f"  {row} p = " in said for row in expected.rows)
    np.testing.assert_allclose(ta.load(tmp_path / "a.npz").attributions, expected.attributions, atol=1e-6)
    assert ">cat</span>" in (tmp_path / "a.html").read_text()
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert "--force" in fails(capsys, *command(model, *out))
    assert main(command(model, *out, "--force", "--continuation", "ran .", "--method", "gradient_times_input")) == 0


def test_options_reach_the_call(model, capsys):
    assert main(command(model, "--continuation", "ran", "--contrast", "sat", "--of", "logits", "--steps", "12")) == 0
    said = capsys.readouterr().out
    assert "ran rather than sat" in said
    assert "n_steps=12" in said
    assert "logit of tokens" in said
    parts = ["--segments", "cat", "--method", "shapley_sampling", "--absent", "0"]
    assert main(command(model, "--continuation", "ran .", *parts)) == 0
    assert "1: the" in capsys.readouterr().out
    ids = ["generate", str(model / "model.keras"), "--prompt", "1,2,4", "--continuation", "5,6", "--method", "ablation"]
    assert main(ids) == 0
    assert "5 p = " in capsys.readouterr().out
    one = ["--prompt", "1,", "--continuation", "5,", "--method", "gradient_times_input"]
    assert main(["generate", str(model / "model.keras"), *one]) == 0
    assert "5 p = " in capsys.readouterr().out
    # behind a text a number is text, too
    assert "'1,000' is no word" in fails(capsys, *command(model, "--continuation", "1,000"))
    assert "'1,000' is no word" in fails(capsys, *command(model, "--continuation", "ran", "--contrast", "1,000"))


def test_errors_are_one_line(model, capsys):
    assert "'mouse'" in fails(capsys, *command(model, "--continuation", "mouse"))
    assert "--sampler" in fails(capsys, *command(model, "--sampler", "greedy"))
    assert "leave max_length out" in fails(capsys, *command(model, "--continuation", "ran", "--max-length", "9"))
    assert "there is no folder" in fails(capsys, *command(model, "--html", str(model / "no" / "a.html")))


def test_a_task_of_keras_hub_names_what_is_missing(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with zipfile.ZipFile(tmp_path / "task.keras", "w") as held:
        config = {"module": "keras_hub.src.models.gpt2.gpt2_causal_lm", "class_name": "GPT2CausalLM"}
        held.writestr("config.json", json.dumps(config))
    said = fails(capsys, "generate", str(tmp_path / "task.keras"), "--prompt", "a")
    assert "pip install 'tf_attrib[language]'" in said
