"""A progress bar that shows by itself when a call takes long."""

import contextlib
import time
from collections.abc import Callable, Iterator

# Seconds before a bar shows by itself.
DELAY = 2.0


@contextlib.contextmanager
def progress(verbose: str | bool | int, total: Callable[[], int | None]) -> Iterator[Callable[[int], None]]:
    """A function that takes how many rows were done since the last call.

    Args:
        verbose: "auto", or whether to show a bar.
        total: tells how many there will be, or None where nobody knows; it is asked when a bar is made.
    """
    bar, done, start = None, 0, time.monotonic()
    delay = DELAY if verbose == "auto" else 0

    def advance(rows: int) -> None:
        nonlocal bar, done
        done += rows
        if bar is not None:
            bar.update(rows)
        elif verbose and time.monotonic() - start >= delay:
            from tqdm.auto import tqdm  # made only now: making a bar takes longer than explaining a small net

            bar = tqdm(total=total(), initial=done, desc="attributing", unit="row", leave=False)

    try:
        yield advance
    finally:
        if bar is not None:
            bar.close()
