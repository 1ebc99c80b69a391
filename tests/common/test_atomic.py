"""Files that are written whole: under which name, and who may read them."""

import os
import stat

import pytest

from tf_attrib.common.atomic import write_whole


@pytest.mark.skipif(os.name == "nt", reason="files have no modes there")
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_those_may_read_a_file_who_may_read_new_ones(tmp_path, mask, mode):
    """Whatever the process was told, everybody could."""
    before = os.umask(mask)
    try:
        path = write_whole(tmp_path / "new", lambda file: file.write(b"x"))
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    path.chmod(0o600)
    write_whole(path, lambda file: file.write(b"y"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes() == b"y"


@pytest.mark.parametrize("name", ["x" * 251 + ".npz", "猫" * 83 + ".npz"])
def test_a_name_may_be_as_long_as_the_system_takes(tmp_path, name):
    write_whole(tmp_path / name, lambda file: file.write(b"x"))
    assert [path.name for path in tmp_path.iterdir()] == [name]
