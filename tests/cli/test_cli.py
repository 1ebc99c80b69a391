"""The command line, in this process; one test starts it as a user would."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image

import tf_attrib as ta
from tf_attrib.cli import main

from ..conftest import make_plain_cnn
from ..helpers.sick import averaging_text


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    keras.utils.set_random_seed(7)
    path = tmp_path_factory.mktemp("models") / "cnn.keras"
    make_plain_cnn().save(path)
    return str(path)


@pytest.fixture
def batch(tmp_path, images):
    np.save(tmp_path / "batch.npy", images)
    return str(tmp_path / "batch.npy")


def fails(capsys, *arguments):
    """The one line that is printed where the command exits with 2."""
    capsys.readouterr()  # a progress bar of what ran before
    assert main(list(arguments)) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("tf-attrib: ")
    return lines[0]


def test_arrays_give_numbers_and_pictures(model_file, batch, images, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["attribute", model_file, batch, "--target", "2", "--out", str(out), "--pictures", "2"]) == 0
    printed = capsys.readouterr().out
    assert "example 4: probability of class 2" in printed
    assert sorted(path.name for path in out.iterdir()) == ["attribution.npz", "example-0.png", "example-1.png"]
    result = ta.load(out / "attribution.npz")
    expected = ta.Attributor(keras.models.load_model(model_file)).attribute(images, target=2)
    np.testing.assert_allclose(result.attributions, expected.attributions, atol=1e-6)
    assert Image.open(out / "example-0.png").size[0] > 300


def test_options_reach_the_library(model_file, batch, tmp_path):
    def run(name, *options):
        assert main(["attribute", model_file, batch, "--pictures", "0", "--out", str(tmp_path / name), *options]) == 0
        return ta.load(tmp_path / name / "attribution.npz")

    plain = run("plain")
    layer = run("layer", "--at", "conv", "--of", "logits", "--method", "gradient")
    assert (layer.attributions.shape, layer.unit) == ((5, 6, 6, 6), "logit")
    assert run("steps", "--steps", "7").method.endswith("n_steps=7)")
    assert (
        run("accuracy", "--tolerance", "0.01", "--max-evaluations", "300").method
        == "IntegratedGradients(tolerance=0.01, max_evaluations=300)"
    )
    assert run("method", "--method", "occlusion").method.startswith("Occlusion")
    number = run("baseline", "--baseline", "0.5")
    assert not np.allclose(number.baseline_scores, plain.baseline_scores)
    np.save(tmp_path / "b.npy", np.full((8, 8, 1), 0.5, "float32"))
    np.testing.assert_allclose(run("file", "--baseline", str(tmp_path / "b.npy")).baseline_scores, number.baseline_scores)
    options = ["--method", "expected_gradients", "--baseline", batch, "--steps", "5"]
    seeds = [run(f"seed{number}", *options, "--seed", seed).attributions for number, seed in enumerate("112")]
    assert np.array_equal(seeds[0], seeds[1])
    assert not np.array_equal(seeds[0], seeds[2])
    np.testing.assert_allclose(run("blocks", "--batch-size", "3").attributions, plain.attributions, atol=1e-6)


def test_what_did_not_converge_is_said_of_each_example(model_file, batch, tmp_path, capsys):
    assert (
        main(
            [
                "attribute",
                model_file,
                batch,
                "--tolerance",
                "0.000001",
                "--max-evaluations",
                "12",
                "--pictures",
                "0",
                "--out",
                str(tmp_path),
            ]
        )
        == 0
    )
    said = capsys.readouterr().out
    assert "NOT CONVERGED: 5 of 5 (max_evaluations; examples 0, 1, 2, 3, 4)" in said
    assert said.count("; NOT CONVERGED: ESTIMATED ERROR") == 5
    assert main(["attribute", model_file, batch, "--pictures", "0", "--out", str(tmp_path), "--force"]) == 0
    assert capsys.readouterr().out.count(", estimated error ") == 5


def test_images_are_scaled_and_resized_only_when_asked(model_file, tmp_path, capsys):
    pixels = np.arange(64, dtype="uint8").reshape(8, 8) * 4
    Image.fromarray(pixels).save(tmp_path / "small.png")
    Image.fromarray(pixels).resize((16, 16)).convert("RGB").save(tmp_path / "large.jpg")
    out, quick = str(tmp_path / "out"), ["--method", "gradient", "--pictures", "0"]
    assert main(["attribute", model_file, str(tmp_path / "small.png"), "--value-range", "0", "1", "--out", out, *quick]) == 0
    np.testing.assert_allclose(ta.load(f"{out}/attribution.npz").inputs[0, ..., 0], pixels / 255, atol=1e-6)
    assert "16×16 pixels and the model takes 8×8" in fails(
        capsys, "attribute", model_file, str(tmp_path / "large.jpg"), "--out", str(tmp_path / "other")
    )
    resized = ["--resize", "--out", str(tmp_path / "other")]
    assert main(["attribute", model_file, str(tmp_path / "large.jpg"), *resized, *quick]) == 0


def test_token_ids_become_words(tmp_path):
    averaging_text().save(tmp_path / "text.keras")
    (tmp_path / "ids.jsonl").write_text("[3, 4, 5]\n[6, 7, 8, 9]\n")
    (tmp_path / "words.txt").write_text("\n".join(["[pad]", "[unk]", *(f"word{i}" for i in range(2, 29)), "<b>&"]))
    out = tmp_path / "out"
    assert (
        main(
            [
                "attribute",
                str(tmp_path / "text.keras"),
                str(tmp_path / "ids.jsonl"),
                "--tokens",
                str(tmp_path / "words.txt"),
                "--out",
                str(out),
            ]
        )
        == 0
    )
    page = (out / "words.html").read_text()
    assert "word9" in page
    found = ta.load(out / "attribution.npz")
    assert found.inputs.tolist()[0] == [3, 4, 5, 0, 0, 0, 0, 0, 0, 0]
    assert "2 of 2 lines are shorter than 10 token ids: padded with 0 at the end" in found.notes


def test_positions_are_told_of_their_example_and_ids_without_a_word_as_such(tmp_path, capsys):
    """They were called "example 2" of two lines, and 3, an id beyond the vocabulary, looked like the word of it."""
    ids = keras.Input((None,), dtype="int32")
    vectors = keras.layers.Embedding(4, 2, embeddings_initializer=keras.initializers.RandomNormal(seed=1))(ids)
    keras.Model(ids, keras.layers.Dense(3, activation="softmax")(vectors)).save(tmp_path / "tags.keras")
    (tmp_path / "ids.jsonl").write_text("[1, 3]\n[2, 1]\n")
    (tmp_path / "words.txt").write_text("pad\nthe\n3\n")
    files = [str(tmp_path / name) for name in ("tags.keras", "ids.jsonl")]
    options = ["--tokens", str(tmp_path / "words.txt"), "--out", str(tmp_path / "out"), "--pictures", "0"]
    assert main(["attribute", *files, "--target", "each", *options, "--method", "gradient"]) == 0
    lines = [line.split(": ")[0] for line in capsys.readouterr().out.splitlines() if line.startswith("  example")]
    assert lines == [f"  example {example}, position {position}" for example in (0, 1) for position in (0, 1)]
    assert ">[3]<" in (tmp_path / "out" / "words.html").read_text()
    assert main(["attribute", *files, "--target", "1,2", *options, "--method", "gradient", "--force"]) == 0
    assert "example 1: probability of target (1, 2) " in capsys.readouterr().out


def test_wrong_requests_are_one_line_and_exit_code_2(model_file, batch, tmp_path, capsys):
    out = ["--out", str(tmp_path / "out")]
    assert "no model at" in fails(capsys, "attribute", str(tmp_path / "none.keras"), batch, *out)
    assert "no input file" in fails(capsys, "attribute", model_file, str(tmp_path / "none.npy"), *out)
    assert "out of range" in fails(capsys, "attribute", model_file, batch, "--target", "99", *out)
    assert "'conv'" in fails(capsys, "attribute", model_file, batch, "--at", "covn", *out)
    assert "position,class" in fails(capsys, "attribute", model_file, batch, "--target", "three", *out)
    assert "no steps" in fails(capsys, "attribute", model_file, batch, "--method", "gradient", "--steps", "5", *out)
    assert "no tolerance: leave --tolerance out" in fails(
        capsys, "attribute", model_file, batch, "--method", "gradient", "--tolerance", "0.1", *out
    )
    assert "between 0 and 1" in fails(capsys, "attribute", model_file, batch, "--tolerance", "5", *out)
    assert "integrated_gradients" in fails(capsys, "attribute", model_file, batch, "--method", "ig", *out)
    (tmp_path / "broken.keras").write_bytes(b"PK\x03\x04 cut off")
    assert "truncated" in fails(capsys, "attribute", str(tmp_path / "broken.keras"), batch, *out)
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    assert "without pickle" in fails(capsys, "attribute", model_file, str(tmp_path / "objects.npy"), *out)
    (tmp_path / "ids.jsonl").write_text("[1, 2]\n[3, 'x']\n")
    assert "line 2" in fails(capsys, "attribute", model_file, str(tmp_path / "ids.jsonl"), *out)
    assert "several kinds" in fails(capsys, "attribute", model_file, batch, str(tmp_path / "ids.jsonl"), *out)
    (tmp_path / "x.txt").write_text("")
    (tmp_path / "x.csv").write_text("a,b")
    assert "inputs are images" in fails(capsys, "attribute", model_file, str(tmp_path / "x.txt"), *out)
    assert "tf-attrib run reads Parquet" in fails(capsys, "attribute", model_file, str(tmp_path / "x.csv"), *out)
    assert "to_parquet" in fails(capsys, "run", model_file, str(tmp_path / "x.csv"), *out)
    assert not (tmp_path / "out").exists()


def test_outputs_are_overwritten_only_by_force(model_file, batch, tmp_path, capsys):
    out = ["--out", str(tmp_path / "out"), "--pictures", "1"]
    assert main(["attribute", model_file, batch, "--target", "0", "--method", "gradient", *out]) == 0
    before = (tmp_path / "out" / "attribution.npz").read_bytes()
    assert "--force" in fails(capsys, "attribute", model_file, batch, "--target", "1", *out)
    assert (tmp_path / "out" / "attribution.npz").read_bytes() == before
    assert main(["attribute", model_file, batch, "--target", "1", "--method", "gradient", "--force", *out]) == 0
    assert ta.load(tmp_path / "out" / "attribution.npz").target.tolist() == [1] * 5


def test_pictures_of_an_earlier_run_do_not_stay_beside_other_numbers(model_file, batch, tmp_path, capsys):
    out, run = tmp_path / "out", ["attribute", model_file, batch, "--method", "gradient"]
    out.mkdir()
    (out / "example-0.png").write_bytes(b"mine")
    (out / "example-of-mine.png").write_bytes(b"mine")
    assert "example-0.png" in fails(capsys, *run, "--out", str(out), "--pictures", "1")  # was overwritten without a word
    assert (out / "example-0.png").read_bytes() == b"mine"
    for name in ("example-7.png", "words.html"):
        (out / name).write_bytes(b"of an earlier run")
    assert main([*run, "--out", str(out), "--pictures", "1", "--force"]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["attribution.npz", "example-0.png", "example-of-mine.png"]
    assert (out / "example-0.png").read_bytes() != b"mine"


def test_lambda_layers_need_a_word(tmp_path, batch, capsys):
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Lambda(lambda x: 2 * x), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    model.save(tmp_path / "lambda.keras")
    arguments = ["attribute", str(tmp_path / "lambda.keras"), batch, "--target", "0", "--out", str(tmp_path / "out")]
    assert "--allow-unsafe" in fails(capsys, *arguments)
    assert main([*arguments, "--allow-unsafe", "--method", "gradient", "--pictures", "0"]) == 0


def test_inputs_of_several_names_from_npz(tmp_path):
    a, b = keras.Input((2,), name="a"), keras.Input((3,), name="b")
    keras.Model([a, b], keras.layers.Dense(1)(keras.layers.Concatenate()([a, b]))).save(tmp_path / "two.keras")
    np.savez(tmp_path / "inputs.npz", a=np.ones((4, 2), "float32"), b=np.ones((4, 3), "float32"))
    assert main(["attribute", str(tmp_path / "two.keras"), str(tmp_path / "inputs.npz"), "--out", str(tmp_path / "out")]) == 0
    result = ta.load(tmp_path / "out" / "attribution.npz")
    assert {key: value.shape for key, value in result.attributions.items()} == {"a": (4, 2), "b": (4, 3)}


def test_started_as_a_user_would(model_file, tmp_path, capsys):
    (tmp_path / "ids.jsonl").write_text(json.dumps([1, 2]))
    done = subprocess.run(
        [sys.executable, "-m", "tf_attrib", "attribute", model_file, str(tmp_path / "ids.jsonl")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr
    with pytest.raises(SystemExit) as stopped:
        main(["attribute", "--help"])
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    for option in ("--target", "--at", "--of", "--method", "--out", "--force", "--tokens", "--allow-unsafe"):
        assert option in shown


MINE = """
import dataclasses
import tf_attrib as ta

@dataclasses.dataclass(frozen=True)
class Mine(ta.Gradient):
    pass

def twice_the_gap(attributor, result):
    return 2 * result.scores

ta.extend.METHODS["mine"] = Mine
ta.extend.METRICS["twice_the_score"] = twice_the_gap
"""


def test_what_a_file_adds_is_there(model_file, batch, tmp_path, capsys):
    extension = tmp_path / "mine.py"
    extension.write_text(MINE)
    added = ["--import", str(extension)]
    try:
        assert "'mine'" in fails(capsys, "attribute", model_file, batch, "--method", "mine")
        out = str(tmp_path / "out")
        assert main(["attribute", model_file, batch, "--method", "mine", "--pictures", "0", "--out", out, *added]) == 0
        assert ta.load(tmp_path / "out" / "attribution.npz").method == "Mine()"
        capsys.readouterr()
        assert main(["compare", model_file, batch, "--methods", "mine", "--metrics", "twice_the_score", *added]) == 0
        assert "twice the score" in capsys.readouterr().out
    finally:
        for table in (ta.extend.METHODS, ta.extend.METRICS):
            for name in list(table.added):
                del table[name]
    extension.write_text("1 / 0")
    assert "raised ZeroDivisionError" in fails(capsys, "attribute", model_file, batch, *added)
    assert "no such Python file" in fails(capsys, "attribute", model_file, batch, "--import", str(tmp_path / "none.py"))


def test_the_demo_writes_where_it_is_told(monkeypatch, tmp_path):
    written = []
    monkeypatch.setattr("tf_attrib.demo.run.run", written.append)
    assert main(["demo", "--out", str(tmp_path / "report")]) == 0
    assert main(["demo"]) == 0
    assert written == [str(tmp_path / "report"), None]
