"""A progress bar that shows by itself when a call takes long."""

import contextlib
from collections.abc import Callable, Iterator

# Seconds before a bar shows by itself.
DELAY = 2.0


@contextlib.contextmanager
def progress(verbose: str | bool | int, total: int) -> Iterator[Callable[[int], None]]:
    """A function that takes how many rows were done since the last call. `verbose`: "auto", or whether to show a bar."""
    if verbose != "auto" and not verbose:
        yield lambda rows: None
        return
    from tqdm.auto import tqdm

    with tqdm(total=total, desc="attributing", unit="row", delay=DELAY if verbose == "auto" else 0, leave=False) as bar:
        yield bar.update
