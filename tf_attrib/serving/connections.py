"""Connections on which no request comes."""

import asyncio
from typing import Any

from .installed import HTTPProtocol

# which of uvicorn's two it is, h11 or httptools, is known when it runs
# pyright: reportAttributeAccessIssue=false


class Connection(HTTPProtocol):
    """uvicorn's connection, closed where no request has begun within `timeout_keep_alive` seconds: uvicorn closes one that is
    silent after a request, and waits for ever for a first byte, or for the rest of a head. As many of these as it may have in
    hand would keep all others out."""

    _until: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    @property
    def _has_request(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait(self) -> None:
        """Counts the seconds from the first moment without a request; bytes that trickle in do not begin anew."""
        if self._has_request:
            self._stop()
        elif self._until is None:
            self._until = self.loop.call_later(self.timeout_keep_alive, self._give_up)

    def _stop(self) -> None:
        if self._until is not None:
            self._until.cancel()
            self._until = None

    def _give_up(self) -> None:
        self._until = None
        if not self._has_request:
            self.transport.close()
