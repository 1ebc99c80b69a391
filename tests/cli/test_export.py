"""The command `tf-attrib export`."""

import keras
import numpy as np
import pytest

import tf_attrib as ta
from tests.conftest import make_plain_cnn
from tf_attrib.cli import main


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    keras.utils.set_random_seed(1)
    path = tmp_path_factory.mktemp("model") / "model.keras"
    make_plain_cnn().save(path)
    return str(path)


def test_it_writes_what_was_asked_for_and_says_so(model, tmp_path, capsys):
    served = str(tmp_path / "served" / "1")
    options = ["--method", "deeplift", "--of", "logits", "--baseline", "0.5", "--batch-size", "16", "--seed", "3"]
    assert main(["export", model, served, *options]) == 0
    said = capsys.readouterr().out
    assert f"wrote {served}, with the signature explain:" in said
    assert "output  attributions  float32 (None, 8, 8, 1)" in said
    assert "explains  logit beneath the softmax at 'head' by DeepLift(rule='rescale'" in said
    found = ta.inspect(served).explanation
    assert (found["batch_size"], found["seed"], found["baseline"]) == (16, 3, "constant 0.5")


def test_examples_say_what_a_model_takes_that_does_not(model, tmp_path, capsys):
    np.save(tmp_path / "two.npy", np.zeros((2, 8, 8, 1), "float32"))
    asked = ["export", model, str(tmp_path / "m"), "--method", "gradient", "--examples", str(tmp_path / "two.npy")]
    assert main(asked) == 0
    assert main(asked) == 2
    assert "there is something at" in capsys.readouterr().err


def test_what_cannot_be_exported_is_one_line(model, tmp_path, capsys):
    assert main(["export", model, str(tmp_path / "m"), "--method", "lime"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("tf-attrib: ")
    assert "cannot be exported" in said
    assert not (tmp_path / "m").exists()
