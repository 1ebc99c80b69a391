"""One thread that does what requests ask for, in order, and a bound on how much may wait for it."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class Busy(Exception):
    """As much waits as may."""


class Work:
    """TensorFlow takes all cores for one request: others wait.

    Args:
        waiting: how many requests may be in hand, those that wait and the one that is done.
        timeout: seconds after which a request is given up. One that has not begun is never begun; one that has begun is done to
            its end, and counts as in hand until then.
    """

    def __init__(self, waiting: int, timeout: float) -> None:
        self._most, self._timeout, self._in_hand = waiting, timeout, 0
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tf_attrib")

    async def do(self, function: Callable[..., Any], *args: Any) -> Any:
        """What the function returns, called in the thread.

        Raises:
            Busy: too much waits.
            TimeoutError: it took too long.
        """
        with self._lock:
            if self._in_hand >= self._most:
                raise Busy
            self._in_hand += 1
        future = self._thread.submit(function, *args)
        future.add_done_callback(self._done)
        return await asyncio.wait_for(asyncio.wrap_future(future), self._timeout)

    def _done(self, _: Future) -> None:
        with self._lock:
            self._in_hand -= 1

    def close(self) -> None:
        """What waits is not begun."""
        self._thread.shutdown(wait=False, cancel_futures=True)
