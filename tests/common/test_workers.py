"""Processes that do parts of some work: one that dies is started again, one that says what is wrong ends all."""

import os
import signal
import time

import pytest

import tf_attrib as ta
from tf_attrib.common.workers import TRIES, do_parts

from ..conftest import assert_refused


def count(folder):
    return len(list(folder.glob("done-*")))


def run(work, folder, parts=2, surroundings=None, advance=lambda rows: None):
    do_parts(work, (folder,), surroundings or [{}] * parts, lambda: count(folder), advance, method="fork")


def well(part, folder):
    (folder / f"done-{part}").write_text(os.environ.get("PART", ""))


def dies_on_the_way(part, folder):
    """Kills itself after each of six steps."""
    mine = len(list(folder.glob(f"done-{part}-*")))
    if mine == 6:
        return
    (folder / f"done-{part}-{mine}").write_text("")
    time.sleep(0.3)
    os.kill(os.getpid(), signal.SIGKILL)


def dies_at_once(part, folder):
    with open(folder / f"tries-{part}", "a") as file:
        file.write("x")
    if part == 0:
        os.kill(os.getpid(), signal.SIGKILL)


def says_why(part, folder):
    if part == 1:
        raise ta.AttributionError("the folder is of another run")
    time.sleep(60)


def test_every_part_is_done_in_its_own_surroundings(tmp_path):
    done = []
    run(well, tmp_path, surroundings=[{"PART": "a"}, {"PART": "b"}], advance=done.append)
    assert [(tmp_path / f"done-{part}").read_text() for part in (0, 1)] == ["a", "b"]
    assert "PART" not in os.environ
    assert sum(done) == 2


def test_a_part_that_gets_on_may_die_as_often_as_it_likes(tmp_path):
    run(dies_on_the_way, tmp_path)
    assert count(tmp_path) == 12
    assert TRIES < 6


def test_a_part_that_does_not_get_on_is_given_up(tmp_path):
    assert_refused(lambda: run(dies_at_once, tmp_path), "part 0 of 2", f"{TRIES} times", "-9", "fewer if they lack memory")
    assert (tmp_path / "tries-0").read_text() == "x" * TRIES


def test_what_one_says_ends_all_at_once(tmp_path):
    start = time.monotonic()
    with pytest.raises(ta.AttributionError, match="the folder is of another run"):
        run(says_why, tmp_path)
    assert time.monotonic() - start < 30
