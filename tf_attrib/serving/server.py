"""The server itself: an address, and what is bound there."""

import ipaddress
import os
import socket
from collections.abc import Callable

from ..common.checks import number, whole
from ..common.errors import AttributionError
from .app import Limits, application
from .connections import Connection
from .installed import uvicorn
from .models import Models, read_models

# Connections beyond those that wait, such as of health checks.
SPARE = 32
IDLE = 15  # seconds that a connection stays open without a request


def serve(
    folder: str | os.PathLike,
    host: str = "127.0.0.1",
    port: int = 8501,
    limits: Limits | None = None,
    tolerance: float | None = None,
    seed: int = 0,
    ready: Callable[[str, Models], object] = lambda address, models: None,
) -> None:
    """Serves the models of a folder until it is interrupted.

    Args:
        folder: as `read_models` takes it.
        host: the address to listen at. Whoever reaches it is answered: on any other than loopback put a proxy in front that
            knows who may.
        port: 0 for any that is free.
        limits: what one client may ask for.
        tolerance, seed: as of `Attributor.from_explanation_metadata`.
        ready: called with the address and the models, once all is loaded and the port is open.

    Raises:
        AttributionError: models that cannot be read, or limits that are none.
        OSError: the address is taken.
    """
    limits = _checked(limits or Limits())
    whole("port", port, 0, 65535)
    models = read_models(folder, tolerance=tolerance, seed=seed)
    with _listening(host, port) as listening:
        named = f"[{host}]" if ":" in host else host
        hosts = frozenset({"localhost", "127.0.0.1", "[::1]", named.lower()}) if _is_loopback(host) else None
        server = uvicorn.Server(configured(models, limits, hosts))
        ready(f"http://{named}:{listening.getsockname()[1]}", models)
        server.run(sockets=[listening])


def configured(models: Models, limits: Limits, hosts: frozenset[str] | None) -> uvicorn.Config:
    """How uvicorn runs the application; the arguments are those of `application`."""
    return uvicorn.Config(
        application(models, limits, hosts),
        http=Connection,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        limit_concurrency=limits.waiting + SPARE,
        timeout_keep_alive=IDLE,
        timeout_graceful_shutdown=int(limits.timeout) + 1,
    )


def _checked(limits: Limits) -> Limits:
    for name in ("max_bytes", "max_instances", "waiting"):
        whole(name, getattr(limits, name))
    number("timeout (in seconds)", limits.timeout, above=0)
    return limits


def _listening(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise AttributionError(f"cannot listen at {host!r}, port {port}: {error.strerror or error}") from error


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
