"""Command lines that a user gets wrong: one line that says what, exit code 2, and nothing written."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_attrib.cli import main


@pytest.fixture(scope="module")
def folder(kit, tmp_path_factory):
    """Models and inputs, good and bad, that all command lines find in the folder they run in."""
    place = tmp_path_factory.mktemp("commands")
    kit.models.image.save(place / "image.keras")
    kit.models.words.save(place / "text.keras")
    kit.models.table.save(place / "table.keras")
    kit.models.pair.save(place / "pair.keras")
    tf.saved_model.save(tf.Module(), str(place / "empty"))
    np.save(place / "batch.npy", np.random.default_rng(0).uniform(size=(2, 6, 6, 1)).astype("float32"))
    np.save(place / "wide.npy", np.ones((2, 9, 9, 1), "float32"))
    np.save(place / "nan.npy", np.full((2, 6, 6, 1), np.nan, "float32"))
    np.save(place / "none.npy", np.ones((0, 6, 6, 1), "float32"))
    np.save(place / "objects.npy", np.array([{}], object), allow_pickle=True)
    np.save(place / "row.npy", np.ones((2, 4), "float32"))
    np.savez(place / "two.npz", a=np.ones((2, 4)), b=np.ones((2, 2)))
    Image.new("L", (6, 6)).save(place / "small.png")
    Image.new("L", (9, 9)).save(place / "large.png")
    Image.new("1", (20_000, 20_000)).save(place / "huge.png", compress_level=1)
    Image.new("1", (12_000, 12_000)).save(place / "big.png", compress_level=1)
    texts = {
        "ids.jsonl": "[1, 2, 3]\n[4, 5]\n",
        "long.jsonl": f"{[1] * 9}\n",
        "beyond.jsonl": "[99]\n",
        "words.jsonl": '["the"]\n',
        "empty.jsonl": "\n",
        "broken.jsonl": "[1, 2\n",
        "fractions.jsonl": "[1.5]\n",
        "deep.jsonl": "[" * 100_000 + "\n",
        "number.jsonl": f"[{10**30}]\n",
        "digits.jsonl": f"[{'9' * 10_000}]\n",
        "vocabulary.txt": "a\nb\n",
        "notes.txt": "?",
        "text.png": "no image",
        "text.npy": "no array",
        "text.keras.txt": "no model",
        "broken.keras": "no model",
    }
    for name, text in texts.items():
        (place / name).write_text(text)
    (place / "latin.jsonl").write_bytes("[1] é\n".encode("latin-1"))
    (place / "latin.txt").write_bytes("é\n".encode("latin-1"))
    (place / "taken").mkdir()
    (place / "taken" / "attribution.npz").write_text("")
    (place / "taken.html").write_text("")
    return place


ATTRIBUTE = [
    ("attribute gone.keras batch.npy", ["gone.keras"]),
    ("attribute broken.keras batch.npy", ["broken.keras"]),
    ("attribute text.keras.txt batch.npy", ["text.keras.txt"]),
    ("attribute taken batch.npy", ["taken"]),
    ("attribute empty batch.npy", ["signature"]),
    ("attribute image.keras gone.npy", ["no input file", "gone.npy"]),
    ("attribute image.keras taken", ["taken", "images", ".npy"]),
    ("attribute image.keras notes.txt", ["notes.txt", "images", ".npy"]),
    ("attribute image.keras batch.npy small.png", ["several kinds"]),
    ("attribute image.keras text.npy", ["text.npy", "not a readable array"]),
    ("attribute image.keras objects.npy", ["objects.npy", "without pickle"]),
    ("attribute image.keras wide.npy", ["(batch, 6, 6, 1)", "(2, 9, 9, 1)"]),
    ("attribute image.keras batch.npy row.npy", ["do not fit together"]),
    ("attribute image.keras nan.npy", ["NaN or infinity"]),
    ("attribute image.keras none.npy", ["the batch is empty"]),
    ("attribute image.keras two.npz", ["takes 1 input", "got 2"]),
    ("attribute pair.keras two.npz", ["2 outputs", "kind"]),
    ("attribute pair.keras two.npz --of kind", ["takes 2 input", "'left'"]),
    ("attribute image.keras text.png", ["text.png", "not a readable image"]),
    ("attribute image.keras large.png", ["9×9 pixels", "6×6", "--resize"]),
    ("attribute image.keras huge.png", ["huge.png", "pixels"]),
    ("attribute image.keras huge.png --resize", ["huge.png", "100,000,000"]),
    ("attribute image.keras big.png --resize", ["12000×12000", "100,000,000"]),
    ("attribute image.keras small.png --value-range 1 0", ["--value-range", "LOW < HIGH"]),
    ("attribute text.keras long.jsonl", ["9 token ids", "takes 6"]),
    ("attribute text.keras beyond.jsonl", ["99", "20"]),
    ("attribute text.keras words.jsonl", ["list of token ids", "'the'"]),
    ("attribute text.keras empty.jsonl", ["no token ids"]),
    ("attribute text.keras broken.jsonl", ["line 1", "not JSON"]),
    ("attribute text.keras fractions.jsonl", ["list of token ids", "1.5"]),
    ("attribute text.keras deep.jsonl", ["line 1", "too deep"]),
    ("attribute text.keras number.jsonl", ["number.jsonl", "beyond the range of token ids"]),
    ("attribute text.keras digits.jsonl", ["digits.jsonl", "line 1"]),
    ("attribute text.keras latin.jsonl", ["latin.jsonl", "UTF-8"]),
    ("attribute text.keras batch.npy", ["int32 (batch, 6)"]),
    ("attribute text.keras ids.jsonl --tokens gone.txt", ["no file at", "gone.txt"]),
    ("attribute text.keras ids.jsonl --tokens taken", ["taken", "folder"]),
    ("attribute text.keras ids.jsonl --tokens latin.txt", ["latin.txt", "UTF-8"]),
    ("attribute image.keras batch.npy --tokens vocabulary.txt", ["--tokens", "token ids", "float32 (2, 6, 6, 1)"]),
    ("attribute image.keras batch.npy --target cat", ["--target", "'cat'"]),
    ("attribute image.keras batch.npy --target 7", ["target 7", "from 0 to 1"]),
    ("attribute image.keras batch.npy --target 1,0,1", ["(3,)", "from 0 to 1"]),
    ("attribute image.keras batch.npy --target each", ["needs an output with positions"]),
    ("attribute image.keras batch.npy --at cnv", ["'cnv'", "'conv'"]),
    ("attribute image.keras batch.npy --of hed", ["'hed'", "'head'"]),
    ("attribute image.keras batch.npy --signature serve", ["'serve'", "SavedModel"]),
    ("attribute image.keras batch.npy --method gradients", ["'gradients'", "'gradient'"]),
    ("attribute image.keras batch.npy --method gradient --steps 9", ["no steps", "--steps out"]),
    ("attribute image.keras batch.npy --steps 0", ["n_steps", "at least 1"]),
    ("attribute image.keras batch.npy --steps 10000000", ["n_steps=10000000", "5000"]),
    ("attribute image.keras batch.npy --steps 9 --tolerance 0.1", ["leave one or the other out"]),
    ("attribute image.keras batch.npy --tolerance 5", ["tolerance", "between 0 and 1"]),
    ("attribute image.keras batch.npy --max-evaluations 1", ["max_evaluations", "at least 2"]),
    ("attribute image.keras batch.npy --batch-size 0", ["batch_size", "at least 1"]),
    ("attribute image.keras batch.npy --seed -1", ["seed", "-1"]),
    ("attribute image.keras batch.npy --baseline gray", ["gray"]),
    ("attribute image.keras batch.npy --baseline gone.npy", ["gone.npy"]),
    ("attribute image.keras batch.npy --baseline wide.npy", ["6, 6, 1)", "(2, 9, 9, 1)"]),
    ("attribute image.keras batch.npy --baseline nan", ["NaN"]),
    ("attribute image.keras batch.npy --method expected_gradients", ["--baseline FILE"]),
    ("attribute image.keras batch.npy --out taken", ["exists", "--force"]),
    ("attribute image.keras batch.npy --out notes.txt", ["notes.txt", "is a file"]),
    ("attribute image.keras batch.npy --out notes.txt/out", ["notes.txt", "is a file"]),
    ("attribute image.keras batch.npy --pictures -1", ["--pictures", "-1"]),
]

OTHERS = [
    ("diagnose gone.keras batch.npy", ["gone.keras"]),
    ("diagnose image.keras gone.npy", ["gone.npy"]),
    ("diagnose image.keras batch.npy --html taken.html", ["exists", "--force"]),
    ("diagnose image.keras batch.npy --html no/page.html", ["no folder"]),
    ("diagnose image.keras batch.npy --html taken", ["folder"]),
    ("diagnose image.keras batch.npy --default-class 9", ["default_class", "9"]),
    ("diagnose text.keras ids.jsonl --tokens gone.txt", ["gone.txt"]),
    ("diagnose image.keras batch.npy --tokens vocabulary.txt", ["--tokens", "token ids"]),
    ("compare gone.keras batch.npy", ["gone.keras"]),
    ("compare image.keras batch.npy --methods gradients", ["'gradients'", "'gradient'"]),
    ("compare image.keras batch.npy --methods ,", ["method"]),
    ("compare image.keras batch.npy --metrics aupc", ["'aupc'", "'aopc'"]),
    ("compare image.keras batch.npy --units words", ["units", "'words'"]),
    ("compare image.keras batch.npy --patch 0", ["patch", "0"]),
    ("compare image.keras batch.npy --curve-steps 0", ["steps", "0"]),
    ("compare image.keras batch.npy --replacement gray", ["--replacement", "'gray'"]),
    ("compare image.keras batch.npy --methods gradient --tolerance 0.1", ["--tolerance out"]),
    ("compare image.keras batch.npy --html taken.html", ["exists", "--force"]),
    ("compare image.keras batch.npy --html no/page.html", ["no folder"]),
    ("compare image.keras batch.npy --figure taken", ["folder"]),
    ("inspect gone", ["gone"]),
    ("inspect notes.txt", ["notes.txt"]),
    ("inspect broken.keras", ["broken.keras"]),
    ("inspect taken", ["saved_model.pb"]),
    ("inspect image.keras --signature serve", ["'serve'"]),
    ("inspect image.keras --allow-unsafe", ["--rules"]),
    ("inspect image.keras --rules --json", ["--json out"]),
]

# What argparse itself refuses: its words, and exit code 2 too.
UNKNOWN = [
    ("", "COMMAND"),
    ("atribute image.keras batch.npy", "invalid choice"),
    ("attribute", "MODEL"),
    ("attribute image.keras", "INPUT"),
    ("attribute image.keras batch.npy --steps many", "invalid int value: 'many'"),
    ("attribute image.keras batch.npy --colour red", "--colour"),
    ("attribute image.keras batch.npy --tolerance 5%", "invalid float value"),
    ("inspect", "PATH"),
    ("demo here", "here"),
]


def contents(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize(("line", "parts"), ATTRIBUTE + OTHERS, ids=[line for line, _ in ATTRIBUTE + OTHERS])
def test_wrong_command_lines(folder, monkeypatch, capsys, line, parts):
    monkeypatch.chdir(folder)
    before = contents(folder)
    assert main(line.split()) == 2
    printed = capsys.readouterr()
    lines = printed.err.strip().splitlines()
    assert lines[-1].startswith("tf-attrib: "), printed.err
    assert len(lines) == 1, printed.err
    for part in parts:
        assert part in printed.err, printed.err
    assert "Traceback" not in printed.err
    assert printed.out == ""
    assert contents(folder) == before


@pytest.mark.parametrize(("line", "part"), UNKNOWN, ids=[line or "nothing" for line, _ in UNKNOWN])
def test_options_that_there_are_not(folder, monkeypatch, capsys, line, part):
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit) as stopped:
        main(line.split())
    assert stopped.value.code == 2
    printed = capsys.readouterr().err
    assert part in printed
    assert "Traceback" not in printed
