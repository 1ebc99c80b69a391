"""No file runs: whatever is done with a hostile one, nothing outside of it changes, is read, or grows without end."""

import hashlib
import resource
import sys
import time

import pytest

import tf_attrib as ta

from ...helpers import hostile

FILES = hostile.files()
# The stated limit is 20 s on a quiet machine.
SECONDS = 60
GROWTH = 700  # MB
UNIT = 2**20 if sys.platform == "darwin" else 2**10


def state(folder):
    """Every file in a folder with what is in it and when it was changed."""
    return {
        str(path): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "")
        for path in sorted(folder.rglob("*"))
    }


def used(path):
    """What comes of a file in all ways of reading it: texts of results and errors."""
    ways = (ta.load,) if path.suffix == ".npz" else (ta.inspect, ta.vocabulary, ta.Attributor)
    said = []
    for way in ways:
        try:
            found = way(path)
            said.append(repr(found))
            if way is ta.Attributor and hasattr(found.model, "get_weights"):  # a file's letters as numbers
                said += [bytes(array.ravel().astype("uint8")).decode("latin-1") for array in found.model.get_weights()]
        except ta.AttributionError as error:
            said.append(f"{error} {error.__cause__!r}")
    return said


@pytest.mark.parametrize("name", FILES)
@pytest.mark.filterwarnings("ignore")
def test_no_file_runs(name, tmp_path, monkeypatch):
    canary, folder = tmp_path / "canary", tmp_path / "given"
    canary.mkdir()
    folder.mkdir()
    (canary / "secret.txt").write_text(hostile.SECRET)
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    monkeypatch.chdir(folder)
    path = FILES[name](folder, canary)
    before, grown, start = state(canary), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    kept = sorted(one.name for one in tmp_path.iterdir())
    said = used(path)
    assert time.monotonic() - start < SECONDS
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - grown) * UNIT < GROWTH * 2**20
    assert state(canary) == before
    assert sorted(one.name for one in tmp_path.iterdir()) == kept
    assert "imported_by_a_file" not in sys.modules
    assert not any(hostile.SECRET in text for text in said)
    assert len(FILES) >= 30


def test_what_is_trusted_is_loaded(tmp_path):
    """The same files run where that is asked for: the test above would see it."""
    (tmp_path / "canary").mkdir()
    path = hostile.edit_h5(hostile.base(hostile.tf_keras, tmp_path / "m.h5"), hostile.with_lambda(tmp_path / "canary" / "ran"))
    ta.Attributor(path, allow_unsafe=True)
    assert (tmp_path / "canary" / "ran").exists()
