"""`tf-attrib run`: a data set in files, as one process or as several."""

import numpy as np
import pandas
import pytest
from PIL import Image

import tf_attrib as ta
from tf_attrib.cli import main
from tf_attrib.result.joined import joined

from ..conftest import make_mlp, make_plain_cnn
from .test_cli import fails

X = np.random.default_rng(0).normal(size=(30, 5)).astype("float32")


@pytest.fixture
def files(tmp_path):
    make_mlp().save(tmp_path / "model.keras")
    for number in range(2):
        rows = slice(15 * number, 15 * number + 15)
        frame = pandas.DataFrame(X[rows], columns=list("abcde")).assign(
            name=[f"r{i}" for i in range(30)[rows]], y=np.arange(15) % 3
        )
        frame.to_parquet(tmp_path / f"{number}.parquet")
    return tmp_path


def command(files, *more):
    given = [str(files / "model.keras"), str(files / "*.parquet"), "--out", str(files / "run"), "--target", "0"]
    options = ["--method", "gradient_times_input", "--ids", "name", "--labels", "y", "--shard-size", "8", "--rows", "4"]
    return ["run", *given, *options, *more]


def test_a_data_set_in_files_is_attributed_by_name(files, capsys):
    assert main(command(files, "--target", "label")) == 0
    assert "AttributionSet of 30 rows in 4 shards" in capsys.readouterr().out
    found = ta.open(files / "run")
    assert found.ids.tolist() == [f"r{i}" for i in range(30)]
    expected = ta.Attributor(files / "model.keras").attribute(X, np.tile(np.arange(15) % 3, 2), method="gradient_times_input")
    np.testing.assert_allclose(joined(list(found)).attributions, expected.attributions, rtol=1e-5, atol=1e-7)
    assert found[0].feature_names == {"": tuple("abcde")}


def test_parts_are_done_by_several_processes_and_options_reach_the_run(files, capsys):
    options = ["--keep", "attributions,inputs", "--reduce", "abs()", "--dtype", "float64"]
    assert main(command(files, "--shard", "1/2", *options)) == 0
    assert len(ta.open(files / "run")) == 15
    assert main(command(files, "--shard", "0/2", *options)) == 0
    found = ta.open(files / "run")
    assert len(found) == 30
    assert (found[3].attributions >= 0).all()
    np.testing.assert_array_equal(found[3].inputs, X[3:4])
    assert "dtype" in fails(capsys, *command(files, "--keep", "attributions,inputs", "--reduce", "abs()"))


def test_rows_that_failed_are_listed(files, capsys):
    spoiled = X.copy()
    spoiled[:7] = np.nan
    np.save(files / "rows.npy", spoiled)
    rows = ["run", str(files / "model.keras"), str(files / "rows.npy"), "--target", "0", "--out"]
    assert main([*rows, str(files / "run")]) == 0
    printed = capsys.readouterr().out
    assert "7 not_finite" in printed
    assert "  0: not_finite: its inputs hold NaN" in printed
    assert "2 more" in printed
    assert "NaN" in fails(capsys, *rows, str(files / "other"), "--stop-at-errors")


def test_images_are_resized_and_their_folders_are_labels(tmp_path, capsys):
    make_plain_cnn().save(tmp_path / "cnn.keras")
    for name in ("a", "b"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        Image.new("L", (16, 16), 99).save(tmp_path / "photos" / name / "x.png")
    arguments = ["--resize", "--value-range", "0", "1", "--out", str(tmp_path / "run")]
    assert main(["run", str(tmp_path / "cnn.keras"), str(tmp_path / "photos"), "--keep", "inputs", *arguments]) == 0
    frame = ta.open(tmp_path / "run").to_pandas()
    assert frame["id"].tolist() == ["a/x.png", "b/x.png"]
    assert frame["label"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--shard", "3"], ["--shard", "0/8", "'3'"]),
        (["--shard", "8/8"], ["(8, 8)"]),
        (["--keep", "gaps"], ["'gaps'", "'gap"]),
        (["--target", "third"], ["--target"]),
        (["--features", "a,q"], ["'q'", "'a'"]),
        (["--rows", "0"], ["batch_size"]),
    ],
)
def test_what_is_asked_wrongly_is_one_line(files, arguments, words, capsys):
    line = fails(capsys, *command(files, *arguments))
    for word in words:
        assert word in line
