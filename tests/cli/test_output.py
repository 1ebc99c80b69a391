"""What the commands print, where the other end cannot take it: no work is lost on its account."""

import gc
import io
import os
import sys

import numpy as np
import pytest

import tf_attrib as ta
from tf_attrib.cli import _Printable, _uncollected
from tf_attrib.cli.attribute import _print_examples
from tf_attrib.result.result import Result


def test_letters_that_an_encoding_lacks_become_escapes():
    """A console of Windows, or a pipe there, has no letters but those of one country."""
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, "cp1252", write_through=True) as output:
        print("class 0 (猫): 3 ± 1\x1b[31m", file=_Printable(output))
        assert raw.getvalue() == "class 0 (\\u732b): 3 ± 1\\x1b[31m\n".encode("cp1252")


def test_a_reader_that_is_gone_ends_no_work():
    """As `tf-attrib attribute ... | head -1`, whose result was not written."""
    reads, writes = os.pipe()
    os.close(reads)
    with open(writes, "w", encoding="utf-8", buffering=1) as output, open(os.devnull, "wb") as nowhere:
        for _ in range(3):
            print("a line", file=_Printable(output), flush=True)
        assert os.path.sameopenfile(output.fileno(), nowhere.fileno())


def test_tensorflow_is_read_without_a_look_for_garbage_and_what_it_made_stays(monkeypatch):
    frozen = []
    monkeypatch.setattr("gc.freeze", lambda: frozen.append(gc.isenabled()))
    with _uncollected():
        assert gc.isenabled()  # a process that has it already is left as it is
    monkeypatch.delitem(sys.modules, "tensorflow")
    with pytest.raises(ImportError), _uncollected():
        raise ImportError
    assert gc.isenabled()
    assert frozen == []
    with _uncollected():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert frozen == [False]


def test_sums_over_all_examples_are_taken_once(monkeypatch, capsys):
    """Once for each line they took seven of the eight minutes of a hundred thousand rows."""
    calls, totals = [], Result.totals.fget
    monkeypatch.setattr(Result, "totals", property(lambda self: calls.append(1) or totals(self)))
    fields = {"baseline_scores": np.zeros(9), "gap": np.zeros(9)}
    _print_examples(ta.Attribution(np.full((9, 2), 0.5), np.ones(9), **fields))
    assert capsys.readouterr().out.count("sum 1, gap 0%") == 9
    assert len(calls) == 1
