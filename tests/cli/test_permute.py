"""`tf-attrib permute`: what `ta.feature_permutation` gives, of files."""

import json

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

import tf_attrib as ta
from tf_attrib.cli import main

RNG = np.random.default_rng(4)
TABLE = RNG.normal(size=(40, 3)).astype("float32")
LABELS = (TABLE[:, 1] > 0).astype(int)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model that reads one column of three, one of images that reads a corner, their data, and files that do not fit."""
    place = tmp_path_factory.mktemp("permuted")
    table = keras.Sequential([keras.Input((3,)), layers.Dense(1, activation="sigmoid")])
    table.layers[0].set_weights([np.array([[0.0], [5.0], [0.0]]), np.zeros(1)])
    table.save(place / "table.keras")
    corner = np.zeros((16, 1))
    corner[0] = 1
    images = keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(1)])
    images.layers[1].set_weights([corner, np.zeros(1)])
    images.save(place / "images.keras")
    pixels = RNG.uniform(size=(10, 4, 4, 1)).astype("float32")
    np.save(place / "table.npy", TABLE)
    np.save(place / "images.npy", pixels)
    np.save(place / "corner.npy", pixels[:, :1, :1].reshape(10, 1))
    np.savez(place / "two.npz", a=LABELS, b=LABELS)
    (place / "labels.txt").write_text("\n".join(map(str, LABELS)))
    (place / "columns.txt").write_text("age\nincome\nheight")
    (place / "words.txt").write_text("yes\nno")
    return place


def permuted(folder, capsys, *arguments):
    assert main(["permute", *(str(folder / one) if "." in one else one for one in arguments)]) == 0
    return capsys.readouterr().out


def test_it_is_what_the_library_finds(folder, capsys):
    asked = ("table.keras", "table.npy", "--labels", "labels.txt", "--names", "columns.txt", "--seed", "3")
    expected = ta.feature_permutation(
        ta.Attributor(str(folder / "table.keras")), (TABLE, LABELS), names=["age", "income", "height"], seed=3
    )
    assert permuted(folder, capsys, *asked) == f"{expected}\n"
    found = json.loads(permuted(folder, capsys, *asked, "--json"))
    assert found["names"] == ["age", "income", "height"]
    assert found["loss_name"] == "cross_entropy"
    assert found["importance"] == expected.importance.tolist()
    assert found["standard_error"] == expected.standard_error.tolist()
    assert found["importance"][1] > 1
    assert found["importance"][0] == found["importance"][2] == 0
    other = json.loads(permuted(folder, capsys, *asked, "--json", "--loss", "error", "--repeats", "2"))
    assert (other["loss_name"], other["repeats"], other["loss"]) == ("error", 2, 0.0)


def test_patches_of_images_and_a_figure(folder, capsys, tmp_path):
    figure = tmp_path / "importance.png"
    asked = ["permute", *(str(folder / one) for one in ("images.keras", "images.npy")), "--labels", str(folder / "corner.npy")]
    assert main([*asked, "--patch", "2", "--json", "--figure", str(figure)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["loss_name"] == "squared_error"
    assert found["names"] == [f"rows {rows}, columns {columns}" for rows in ("0-1", "2-3") for columns in ("0-1", "2-3")]
    assert found["importance"][0] > 0
    assert found["importance"][1:] == [0, 0, 0]
    assert Image.open(figure).size[0] > 300
    assert main([*asked, "--figure", str(figure)]) == 2
    assert "--force" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("table.npy --labels gone.txt", ["there is no file", "gone.txt"]),
        ("table.npy --labels words.txt", ["a number a line", "yes"]),
        ("table.npy --labels two.npz", ["2 arrays", "a, b"]),
        ("table.npy --labels corner.npy", ["a label for each", "40"]),
        ("table.npy --labels labels.txt --patch 2", ["--patch needs images", "(40, 3)"]),
        ("table.npy --labels labels.txt --names words.txt", ["2 names for 3 features"]),
        ("table.npy --labels labels.txt --repeats 0", ["repeats", "0"]),
        ("table.npy --labels labels.txt --of layer", ["'layer'"]),
    ],
)
def test_what_does_not_fit_is_one_line(folder, capsys, arguments, words):
    capsys.readouterr()
    given = [str(folder / one) if "." in one else one for one in arguments.split()]
    assert main(["permute", str(folder / "table.keras"), *given]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("tf-attrib: ")
    assert all(word in line for word in words), line
