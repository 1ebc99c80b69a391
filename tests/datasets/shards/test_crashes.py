"""Processes that are killed, disks that are full, folders that two processes write: what is there is whole, and is done on."""

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import keras
import numpy as np
import pytest

import tf_attrib as ta
from tf_attrib.common import atomic
from tf_attrib.common.locks import locked
from tf_attrib.datasets.shards import several, storage

from ...conftest import assert_refused

X = np.random.default_rng(0).normal(size=(400, 4)).astype("float32")
FAST = {"method": "gradient_times_input", "batch_size": 8, "shard_size": 20, "verbose": False}
KILLED = """
import sys
import numpy as np
import tf_attrib as ta
folder = sys.argv[1]
attributor, x = ta.Attributor(folder + "/model.keras"), np.load(folder + "/x.npy")
attributor.attribute(x[:8])
print("ready", flush=True)
ta.attribute_dataset(attributor, x, folder + "/killed", batch_size=4, shard_size=8, verbose=False)
"""


def process(folder):
    environment = os.environ | {"PYTHONPATH": str(Path(ta.__file__).parents[1]), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", KILLED, str(folder)]
    started = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert started.stdout.readline() == "ready\n"
    return started


def shards(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name.startswith("shard-")}


def wait_for(folder, count):
    """Until there are so many shards."""
    for _ in range(12_000):
        if len(list(folder.glob("shard-*"))) >= count:
            return
        time.sleep(0.005)
    raise AssertionError(f"no {count} shards within a minute")


def killed(folder, kills, x=X):
    """Processes that are killed at random moments, after each of which every shard that is there is whole, and one that ends.
    Returns how many shards were there after each kill, and how many there are in the end."""
    keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(8, activation="tanh"), keras.layers.Dense(3, activation="softmax")]
    ).save(folder / "model.keras")
    np.save(folder / "x.npy", x)
    attributor, options = ta.Attributor(folder / "model.keras"), {"batch_size": 4, "shard_size": 8, "verbose": False}
    attributor.attribute(X[:8])
    started = time.monotonic()
    ta.attribute_dataset(attributor, x, folder / "whole", **options)
    takes, expected, there = time.monotonic() - started, shards(folder / "whole"), []
    rng = np.random.default_rng()  # other moments each time that the tests run
    for kill in range(kills):
        with process(folder) as run:
            if kill % 2:  # any time from its start on; else while it writes
                time.sleep(rng.uniform(0, 1))
            else:
                wait_for(folder / "killed", min(len(expected), (there or [0])[-1] + 1))
                time.sleep(rng.uniform(0, 2 * takes / len(expected)))
            os.kill(run.pid, signal.SIGKILL)
        found = shards(folder / "killed") if (folder / "killed").exists() else {}
        assert all(expected[name] == data for name, data in found.items())
        there.append(len(found))
    ta.attribute_dataset(attributor, x, folder / "killed", **options)
    assert shards(folder / "killed") == expected
    assert not list((folder / "killed").glob(".*.part"))
    return there, len(expected)


def test_a_run_that_is_killed_is_done_on_to_the_same_bytes(tmp_path):
    ((there,), count) = killed(tmp_path, 1, X[:200])
    assert 0 < there < count


@pytest.mark.slow
def test_a_run_that_is_killed_twenty_times_is_done_on_to_the_same_bytes(tmp_path):
    there, count = killed(tmp_path, 20, np.tile(X, (15, 1)))
    assert there == sorted(there)
    assert sum(0 < found < count for found in there) >= 10  # they were killed at work


def test_a_disk_that_gets_full_leaves_whole_shards(attributor, tmp_path, monkeypatch):
    room, write = [5], storage.write

    def fill(file, blocks, how):
        write(file, blocks, how)
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        room[0] -= 1

    monkeypatch.setattr(storage, "write", fill)
    run = lambda: ta.attribute_dataset(attributor, X, tmp_path, **FAST)  # noqa: E731
    assert_refused(run, "No space left on device", "make room", "call it again")
    assert len(ta.open(tmp_path)) == 5 * 20
    assert not list(tmp_path.glob(".*.part"))
    room[0] = 100
    assert len(run()) == 400


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root mounts a small disk")
def test_a_small_disk_that_is_really_full(attributor, tmp_path):
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        folder = tmp_path / "run"
        assert_refused(lambda: ta.attribute_dataset(attributor, X, folder, **FAST), "No space left on device", "make room")
        found = ta.open(folder)
        assert 0 < len(found) < 400
        assert sum(len(result) for result in found) == len(found)  # all of them can be read
        assert not list(folder.glob(".*.part"))
        subprocess.run(["mount", "-o", "remount,size=10m", str(tmp_path)], check=True)
        assert len(ta.attribute_dataset(attributor, X, folder, **FAST)) == 400
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_folder_in_which_nothing_can_be_renamed_is_refused_at_once(attributor, tmp_path, monkeypatch):
    def refuse(source, target):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(atomic.os, "replace", refuse)
    assert_refused(lambda: ta.attribute_dataset(attributor, X, tmp_path, **FAST), "no folder for shards", "renamed")
    assert not [path for path in tmp_path.iterdir() if not path.name.startswith(".lock")]
    monkeypatch.undo()
    (tmp_path / "file").write_text("")
    assert_refused(lambda: ta.attribute_dataset(attributor, X, tmp_path / "file", **FAST), "'file'"[1:-1], "cannot be made")


def hold(path, shared, ready, stop):
    with locked(path, "another", shared):
        ready.set()
        stop.wait(60)


@pytest.mark.parametrize(
    ("held", "shared", "shard", "refused"),
    [
        (".lock", False, (0, 1), True),
        (".lock", False, (0, 2), True),
        (".lock", True, (0, 1), True),
        (".lock", True, (0, 2), False),
        (".lock-0-2", False, (0, 2), True),
        (".lock-0-2", False, (1, 2), False),
        (".lock-0-3", False, (0, 2), True),
    ],
)
def test_two_processes_do_not_write_the_same_part(held, shared, shard, refused, attributor, tmp_path):
    context = multiprocessing.get_context("fork")
    ready, stop = context.Event(), context.Event()
    other = context.Process(target=hold, args=(tmp_path / held, shared, ready, stop))
    other.start()
    try:
        assert ready.wait(60)
        run = lambda: ta.attribute_dataset(attributor, X[:40], tmp_path, shard=shard, **FAST)  # noqa: E731
        if refused:
            assert_refused(run, "another process", "shard=(")
            assert not shards(tmp_path)
        else:
            assert len(run()) == 20
    finally:
        stop.set()
        other.join()
    ta.attribute_dataset(attributor, X[:40], tmp_path, shard=shard, **FAST)  # the lock ended with its process


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    done = []
    for name in ("fsync", "replace"):
        own = getattr(os, name)
        monkeypatch.setattr(atomic.os, name, lambda *args, own=own, name=name: (done.append(name), own(*args)))
    atomic.write_whole(tmp_path / "x", lambda file: file.write(b"x"), durable=True)
    assert done == ["fsync", "replace", "fsync"]  # the file, its name, the folder
    done.clear()
    atomic.write_whole(tmp_path / "x", lambda file: file.write(b"x"))
    assert done == ["replace"]


@pytest.mark.slow
def test_processes_share_a_run_and_one_that_is_killed_is_started_again(tmp_path, capsys):
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")]).save(tmp_path / "model.keras")
    x, options = np.tile(X, (20, 1)), {"batch_size": 4, "shard_size": 40, "verbose": False}
    ta.attribute_dataset(tmp_path / "model.keras", x, tmp_path / "whole", **options)
    killed = []

    def kill():
        while not killed:
            children = multiprocessing.active_children()
            if len(list((tmp_path / "shared").glob("shard-*"))) > 2 and children:
                killed.append(children[0].pid)
                os.kill(children[0].pid, signal.SIGKILL)
            time.sleep(0.01)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    found = ta.attribute_dataset(tmp_path / "model.keras", x, tmp_path / "shared", processes=2, **options | {"verbose": True})
    assert "8000" in capsys.readouterr().err  # how many rows there are, so that time left is known
    assert killed
    assert len(found) == len(x)
    assert shards(tmp_path / "shared") == shards(tmp_path / "whole")
    refused = lambda: ta.attribute_dataset(  # noqa: E731
        tmp_path / "model.keras", x, tmp_path / "shared", processes=2, **options | {"batch_size": 8}
    )
    assert_refused(refused, "another run", "batch_size")


def test_parts_together_are_the_whole_and_progress_counts_what_is_there(attributor, tmp_path, monkeypatch):
    """As several processes do it, one part after the other in this one."""
    attributor.model.save(tmp_path / "model.keras")
    told = []

    def here(part, arguments, surroundings, done, advance):
        for number in range(len(surroundings)):
            part(number, *arguments)
            told.append(done())

    monkeypatch.setattr(several, "do_parts", here)
    options = {"shard_size": 4, "batch_size": 2, "target": 0, "seed": 0}
    x = X[:64]
    shared = ta.attribute_dataset(tmp_path / "model.keras", x, tmp_path / "shared", processes=2, verbose=False, **options)
    alone = ta.attribute_dataset(tmp_path / "model.keras", x, tmp_path / "alone", verbose=False, **options)
    assert told[-1] == len(shared) == len(alone) == len(x)
    assert 0 < told[0] < len(x)
    for one, other in zip(shared.batches(3), alone.batches(3), strict=True):
        np.testing.assert_array_equal(one.attributions, other.attributions)


def test_what_cannot_be_sent_to_processes_says_what_can(attributor, tmp_path):
    attributor.model.save(tmp_path / "model.keras")
    made, out = ta.Attributor(tmp_path / "model.keras"), tmp_path / "run"
    assert_refused(lambda: ta.attribute_dataset(attributor, X, out, processes=2), "model.save(")
    assert_refused(lambda: ta.attribute_dataset(made, (x for x in [X]), out, processes=2), "cannot be sent", "paths")
    assert_refused(lambda: ta.attribute_dataset(made, X, out, devices="all"), "GPU", "processes=4")
    assert_refused(lambda: ta.attribute_dataset(made, X, out, devices=[0]), "there are 0", "[0]")
    assert_refused(lambda: ta.attribute_dataset(made, X, out, processes=0), "processes")
    assert_refused(lambda: ta.attribute_dataset(made, X, out, processes=2, shard=(0, 2)), "shard=(k, n)")


def test_a_process_sees_its_own_device(monkeypatch):
    monkeypatch.setattr(several.tf.config, "list_physical_devices", lambda kind: ["a", "b"])
    monkeypatch.delenv(several.VISIBLE, raising=False)
    assert several._of_devices("all") == [{several.VISIBLE: "0"}, {several.VISIBLE: "1"}]
    monkeypatch.setenv(several.VISIBLE, "3,5")
    assert several._of_devices("all") == [{several.VISIBLE: "3"}, {several.VISIBLE: "5"}]
    assert several._of_devices([1]) == [{several.VISIBLE: "5"}]
