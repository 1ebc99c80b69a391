"""What clients send: the body of a request for predictions or explanations, or a file with one on each line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from ..common.errors import AttributionError, nearest, one_line, plain
from .explainer import Explainer

# Instances on lines of their own that are explained together.
TOGETHER = 64
# Bytes of one line.
MOST_LINE = 256 * 2**20
FIELDS = ("instances", "parameters", "deployedModelId", "explanationSpecOverride", "signature_name")


def instances_in(body: Any, explainer: Explainer, name: str) -> list:
    """The instances of a request.

    Args:
        body: as JSON has it.
        name: of the model.

    Raises:
        AttributionError: no instances, or a field that asks for what is not done: none is ignored.
    """
    if not isinstance(body, dict) or "instances" not in body:
        raise AttributionError('a request must be a JSON object {"instances": [...]}')
    for field in body:
        if field not in FIELDS:
            raise AttributionError(
                f"the request has a field {field!r} that is not known; it may be one of {nearest(field, FIELDS)}"
            )
    for field in ("parameters", "explanationSpecOverride"):
        if body.get(field):
            raise AttributionError(f"{field} of a request is not offered: what is explained and how, the metadata say")
    if body.get("deployedModelId", name) != name:
        raise AttributionError(f"deployedModelId is {body['deployedModelId']!r}, and this model is {name!r}")
    if body.get("signature_name", explainer.signature) != explainer.signature:
        raise AttributionError(f"signature_name is {body['signature_name']!r}, and {explainer.signature!r} is served")
    if not isinstance(body["instances"], list) or not body["instances"]:
        raise AttributionError("instances must be a list of at least one")
    return body["instances"]


def answered(lines: BinaryIO, explainer: Explainer, name: str, details: bool = False) -> Iterator[dict[str, Any]]:
    """The response to each line of a file, in order: a request {"instances": [...]}, or one instance by itself. Blank lines are
    passed over; what is wrong with a line is its response, {"error": why}, and of an instance its explanation."""
    waiting: list[Any] = []
    for value in _values(lines):
        is_instance = not isinstance(value, AttributionError) and not (isinstance(value, dict) and "instances" in value)
        if is_instance:
            waiting.append(value)
        if waiting and (not is_instance or len(waiting) == TOGETHER):
            yield from _singly(explainer.explain(waiting, details=details, on_error="mark"), name)
            waiting = []
        if not is_instance:
            yield _response(value, explainer, name, details)
    if waiting:
        yield from _singly(explainer.explain(waiting, details=details, on_error="mark"), name)


def _response(value: Any, explainer: Explainer, name: str, details: bool) -> dict[str, Any]:
    try:
        if isinstance(value, AttributionError):
            raise value
        found = explainer.explain(instances_in(value, explainer, name), details=details, on_error="mark")
    except AttributionError as error:
        return {"error": one_line(error)}
    return found | {"deployedModelId": name}


def _singly(response: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    """The responses to instances on lines of their own."""
    for prediction, explanation in zip(response["predictions"], response["explanations"], strict=True):
        if "error" in explanation:  # it is instance 0 of its line
            explanation = {"error": explanation["error"].partition(": ")[2]}
        yield {"predictions": [prediction], "explanations": [explanation], "deployedModelId": name}


def _values(lines: BinaryIO) -> Iterator[Any]:
    """What each line holds; an error in its place where it is no JSON."""
    number = 0
    while line := lines.readline(MOST_LINE + 1):
        number += 1
        if len(line) > MOST_LINE:
            raise AttributionError(f"line {number} has more than {MOST_LINE // 2**20} MiB")
        if not line.strip():
            continue
        try:
            yield json.loads(line)
        except (ValueError, RecursionError) as error:
            yield AttributionError(f"line {number} is no JSON: {plain(error)}")


def model_name(path: Any) -> str:
    """What a model is called in responses: its folder."""
    return Path(path).absolute().name
