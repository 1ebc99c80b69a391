"""A small HTTP server that predicts and explains by the models of a folder, as an endpoint did. Needs the extra `serve`."""

from .server import Limits, serve

__all__ = ["Limits", "serve"]
