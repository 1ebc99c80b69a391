"""Processes that each do a part of some work: started, watched, and started again where one dies."""

import contextlib
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.process import BaseProcess
from typing import Any

from .errors import AttributionError

# A process that dies so many times without getting on is given up. Seconds between two looks.
TRIES, PAUSE = 3, 0.2


def do_parts(
    work: Callable[..., None],
    arguments: tuple,
    surroundings: Sequence[Mapping[str, str]],
    done: Callable[[], int],
    advance: Callable[[int], None] = lambda rows: None,
    method: str = "spawn",
) -> None:
    """`work(part, *arguments)` for each part, in a process of its own.

    Args:
        work: a function that another process can import; an error that it raises ends all, one of its process does not.
        surroundings: for each part what is added to the environment of its process.
        done: how much is done by now, of all: a process that gets on may die as often as it likes.
        advance: takes how much was done since the last call.
        method: how processes are started.

    Raises:
        AttributionError: `work` raises one, or a process dies again and again.
    """
    context = multiprocessing.get_context(method)
    said, before = context.Queue(), done()
    alive = {part: _start(context, work, part, arguments, said, own) for part, own in enumerate(surroundings)}
    tries = dict.fromkeys(alive, 0)
    try:
        while alive:
            time.sleep(PAUSE)
            now = done()
            advance(now - before)
            if now > before:
                tries = dict.fromkeys(tries, 0)
            before = now
            for part, process in list(alive.items()):
                if process.exitcode is None:
                    continue
                _raise_what_was_said(said)
                del alive[part]
                if process.exitcode != 0:
                    tries[part] += 1
                    if tries[part] >= TRIES:
                        raise AttributionError(
                            f"the process of part {part} of {len(surroundings)} died {TRIES} times without getting on (exit "
                            f"code {process.exitcode}); what is done stays: call it again, with fewer if they lack memory"
                        )
                    alive[part] = _start(context, work, part, arguments, said, surroundings[part])
        advance(done() - before)
    finally:
        for process in alive.values():
            process.terminate()
            process.join()


def _start(
    context: Any, work: Callable[..., None], part: int, arguments: tuple, said: Any, surrounding: Mapping[str, str]
) -> BaseProcess:
    process = context.Process(target=_run, args=(work, part, arguments, said), daemon=True)
    with _surrounded(surrounding):  # a process that is spawned reads the environment as it begins
        process.start()
    return process


def _run(work: Callable[..., None], part: int, arguments: tuple, said: Any) -> None:
    """What a process does."""
    try:
        work(part, *arguments)
    except (AttributionError, ImportError) as error:
        said.put(f"{error}")
        said.close()
        said.join_thread()
        raise SystemExit(1) from None


def _raise_what_was_said(said: Any) -> None:
    """Raises the error that a part ended with: it would end the same way again."""
    if not said.empty():
        raise AttributionError(said.get())


@contextlib.contextmanager
def _surrounded(surrounding: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in surrounding}
    os.environ.update(surrounding)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
