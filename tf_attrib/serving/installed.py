"""Starlette and uvicorn, or the command that installs them."""

from ..common.errors import missing_extra

# pyright runs where they are not installed
# pyright: reportMissingImports=false
try:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.requests import ClientDisconnect, Request
    from starlette.responses import Response
    from starlette.routing import Route
    from uvicorn.protocols.http.auto import AutoHTTPProtocol as HTTPProtocol
except ImportError:
    raise missing_extra("starlette or uvicorn", "serve", "tf-attrib serve") from None

__all__ = ["ClientDisconnect", "HTTPException", "HTTPProtocol", "Request", "Response", "Route", "Starlette", "uvicorn"]
