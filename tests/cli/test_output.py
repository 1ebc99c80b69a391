"""What the commands print, where the other end cannot take it: no work is lost on its account."""

import io
import os

from tf_attrib.cli import _Printable


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
    with open(writes, "w", encoding="utf-8", buffering=1) as output:
        for _ in range(3):
            print("a line", file=_Printable(output), flush=True)
