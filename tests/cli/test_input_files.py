"""Files as they come from other systems: marks in front, line ends of Windows, letters that Python takes for line ends."""

import numpy as np
import pytest

from tf_attrib.cli.input_files import read_inputs, read_labels, read_lines
from tf_attrib.common.class_names import as_class_names

from ..conftest import assert_refused


@pytest.fixture
def written(tmp_path):
    """Writes text to a file, and gives its path."""

    def write(name: str, text: str) -> str:
        (tmp_path / name).write_bytes(text.encode())
        return str(tmp_path / name)

    return write


def test_only_a_line_feed_ends_a_word(written):
    """Vocabularies hold U+2028, U+0085 and their kind as words: split there, every word behind has the number of another."""
    words = ["[PAD]", "\u2028", "a\u0085b", "\x0c", "", "last"]
    path = written("words.txt", "\n".join(words) + "\n")
    assert read_lines(path) == words
    assert as_class_names(written("classes.txt", "one\u2028two\nthree\n")).of == {0: "one\u2028two", 1: "three"}


def test_marks_and_line_ends_of_windows_are_no_text(written):
    assert read_lines(written("words.txt", "\ufeff[PAD]\r\nthe\r\n")) == ["[PAD]", "the"]
    assert read_labels(written("labels.txt", "\ufeff0\r\n1\r\n")).tolist() == [0, 1]
    assert read_inputs([written("ids.jsonl", "\ufeff[1, 2]\r\n[3, 4]\r\n")], None).tolist() == [[1, 2], [3, 4]]


def test_what_is_padded_is_said(written):
    path, notes = written("ids.jsonl", "[1, 2]\n[3]\n"), []
    assert read_inputs([path], (None,), notes=notes).tolist() == [[1, 2], [3, 0]]
    assert notes == ["1 of 2 lines is shorter than 2 token ids: padded with 0 at the end"]
    read_inputs([written("even.jsonl", "[1, 2]\n[3, 4]\n")], (None,), notes=notes)
    assert len(notes) == 1


def test_a_blank_line_among_labels_is_refused(written):
    """Left out, it gave every example behind it the label of the next."""
    assert read_labels(written("labels.txt", "0\n1\n\n\n")).tolist() == [0, 1]
    assert_refused(lambda: read_labels(written("gap.txt", "0\n\n1\n")), "line 2 is blank")


def test_a_blank_line_among_token_ids_is_said(written):
    notes = []
    assert read_inputs([written("ids.jsonl", "[1, 2]\n\n[3, 4]\n\n")], None, notes=notes).tolist() == [[1, 2], [3, 4]]
    assert [note.partition(": ")[2] for note in notes] == ["line 2 is blank, and no example"]


def test_arrays_by_name_stand_alone(tmp_path):
    np.save(tmp_path / "one.npy", np.ones((1, 2)))
    np.savez(tmp_path / "two.npz", a=np.ones((1, 2)))
    for names in (("one.npy", "two.npz"), ("two.npz", "one.npy")):
        assert_refused(lambda names=names: read_inputs([str(tmp_path / name) for name in names], (2,)), "give one .npz")


def test_token_ids_for_a_model_of_images_are_refused_as_such(written):
    assert_refused(lambda: read_inputs([written("ids.jsonl", "[1, 2]\n")], (8, 8, 1)), "token ids", "(8, 8, 1)")
