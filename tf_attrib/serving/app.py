"""The routes: models by name, `:predict` and `:explain`; what comes back where something is wrong."""

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator
from typing import Any

from ..common.errors import AttributionError, nearest, one_line
from ..vertex.explainer import Explainer
from ..vertex.requests import instances_in
from .installed import ClientDisconnect, HTTPException, Request, Response, Route, Starlette
from .models import Models
from .work import Busy, Work

VERBS = ("predict", "explain")
# The status that the API gives beside the number.
STATUS = {
    400: "INVALID_ARGUMENT",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    413: "INVALID_ARGUMENT",
    415: "INVALID_ARGUMENT",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


@dataclasses.dataclass(frozen=True)
class Limits:
    """What one client may ask for.

    Attributes:
        max_bytes: of the body of a request.
        max_instances: of one request.
        waiting: requests that are in hand at once; further ones get 503.
        timeout: seconds until a request is given up, and within which its body must have come.
        details: whether responses hold what `Explainer.explain(details=True)` adds.
    """

    max_bytes: int = 16 * 2**20
    max_instances: int = 64
    waiting: int = 32
    timeout: float = 60.0
    details: bool = False


def application(models: Models, limits: Limits, hosts: frozenset[str] | None = None) -> Starlette:
    """The ASGI application.

    Args:
        hosts: names that a request may have in its header `Host`; None: any. A server on loopback that heeds no other than its
            own is not reached by web pages whose address was made to point to it.
    """
    work = Work(limits.waiting, limits.timeout)

    async def listed(request: Request) -> Response:
        _check_host(request, hosts)
        return _json({"models": [{"name": name} for name in models.explainers]})

    async def described(request: Request) -> Response:
        _check_host(request, hosts)
        name = request.path_params["call"]
        return _json(_described(_explainer(models, name)))

    async def called(request: Request) -> Response:
        _check_host(request, hosts)
        name, _, verb = request.path_params["call"].partition(":")
        if verb not in VERBS:
            raise HTTPException(404, f"a model is called as NAME:predict or NAME:explain; got {request.path_params['call']!r}")
        explainer = _explainer(models, name)
        body = await _body(request, limits)
        answer = _predicted if verb == "predict" else _explained
        try:
            return Response(await work.do(answer, body, explainer, name, limits), media_type="application/json")
        except Busy:
            raise HTTPException(503, f"{limits.waiting} requests are in hand: try again", {"Retry-After": "1"}) from None
        except TimeoutError:
            raise HTTPException(504, f"the request took more than {limits.timeout:g} seconds: send fewer instances") from None
        except AttributionError as error:
            raise HTTPException(400, one_line(error)) from None

    @contextlib.asynccontextmanager
    async def while_it_runs(_: Starlette) -> AsyncIterator[None]:
        yield
        work.close()

    endpoint = "/v1/projects/{project}/locations/{location}/endpoints/{call}"
    return Starlette(
        routes=[
            Route("/v1/models", listed, methods=["GET"]),
            Route("/v1/models/{call}", described, methods=["GET"]),
            Route("/v1/models/{call}", called, methods=["POST"]),
            Route(endpoint, called, methods=["POST"]),
        ],
        exception_handlers={HTTPException: _refused, Exception: _failed},
        lifespan=while_it_runs,
    )


def _predicted(body: bytes, explainer: Explainer, name: str, limits: Limits) -> bytes:
    return _answer(explainer.predict(_instances(body, explainer, name, limits)), name)


def _explained(body: bytes, explainer: Explainer, name: str, limits: Limits) -> bytes:
    return _answer(explainer.explain(_instances(body, explainer, name, limits), details=limits.details), name)


def _answer(found: dict[str, Any], name: str) -> bytes:
    return json.dumps(found | {"deployedModelId": name}, allow_nan=False).encode()


def _instances(body: bytes, explainer: Explainer, name: str, limits: Limits) -> list:
    try:
        read = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise AttributionError(f"the body of the request is no JSON: {error}") from error
    found = instances_in(read, explainer, name)
    if len(found) > limits.max_instances:
        raise AttributionError(f"a request may have {limits.max_instances} instances, this one has {len(found)}: send several")
    return found


def _explainer(models: Models, name: str) -> Explainer:
    if name not in models.explainers:
        raise HTTPException(404, f"no model is called {name!r}; there are: {nearest(name, models.explainers)}")
    return models.explainers[name]


def _described(explainer: Explainer) -> dict[str, Any]:
    """What is known of a model: that it is there, as TensorFlow Serving says it, and how it is explained."""
    available = {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    inputs = {key: {"dtype": spec.dtype.name, "shape": spec.shape.as_list()} for key, spec in explainer.specs.items()}
    return {
        "model_version_status": [available],
        "inputs": inputs,
        "output": explainer.output,
        "method": repr(explainer.method),
        "notes": list(explainer.notes),
    }


async def _body(request: Request, limits: Limits) -> bytes:
    """What the request holds, read no further than it may be long."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":  # a web page cannot send that to another's address without being asked
        raise HTTPException(415, f"the header Content-Type must be application/json; got {kind or 'none'!r}")
    length = request.headers.get("content-length", "")
    large = HTTPException(413, f"a request may have {limits.max_bytes:,} bytes: send fewer instances")
    if length.isdecimal() and int(length) > limits.max_bytes:
        raise large
    found = bytearray()
    try:
        async with asyncio.timeout(limits.timeout):
            async for chunk in request.stream():
                found += chunk
                if len(found) > limits.max_bytes:
                    raise large
    except TimeoutError:
        raise HTTPException(408, f"the request did not come within {limits.timeout:g} seconds") from None
    except ClientDisconnect:
        raise HTTPException(400, "the request broke off") from None
    return bytes(found)


def _check_host(request: Request, hosts: frozenset[str] | None) -> None:
    host = request.headers.get("host", "")
    name = host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
    if hosts is not None and name.lower() not in hosts:
        raise HTTPException(403, f"the header Host is {host!r}, and this server answers to {', '.join(sorted(hosts))}")


def _json(value: Any, code: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(value), code, headers, "application/json")


async def _refused(request: Request, error: Exception) -> Response:
    """{"error": {"code": ..., "message": ..., "status": ...}}, as the API has it."""
    assert isinstance(error, HTTPException)
    code = error.status_code
    found = {"code": code, "message": error.detail, "status": STATUS.get(code, "UNKNOWN")}
    return _json({"error": found}, code, dict(error.headers or {}))


async def _failed(request: Request, error: Exception) -> Response:
    """What nobody foresaw is in the server's log, and not told to the client."""
    return await _refused(request, HTTPException(500, "the server failed on this request; its log says why"))
