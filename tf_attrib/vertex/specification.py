"""ExplanationSpec: metadata and parameters together, from the files or objects in which people have them."""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

from ..common.checks import is_number
from ..common.errors import AttributionError, plain
from ..common.opening import open_regular, size_of
from .fields import Fields
from .metadata import InputMetadata, OutputMetadata, read_inputs, read_output
from .parameters import ExplanationParameters, read_parameters

FILE, PARAMETERS = "explanation_metadata.json", "explanation_parameters.json"
# Baselines of images are written as nested lists.
MOST_BYTES = 256 * 2**20
FRAMEWORKS = ("tensorflow", "tensorflow2")


@dataclasses.dataclass(frozen=True, eq=False)
class ExplanationSpec:
    """What a configuration asks for.

    Attributes:
        inputs: features, in the order of the file.
        output: what is explained.
        parameters: how.
        notes: sentences about fields that change nothing here, and what was chosen where the configuration says nothing.
    """

    inputs: tuple[InputMetadata, ...]
    output: OutputMetadata
    parameters: ExplanationParameters
    notes: tuple[str, ...] = ()


def load_metadata(path: Any, parameters: Any = None, tolerance: float | None = None) -> ExplanationSpec:
    """Reads the configuration of Vertex Explainable AI, or of the Explainable AI SDK.

    Args:
        path: a JSON file, the folder that holds an `explanation_metadata.json`, or what such a file holds, as a dict: an
            ExplanationMetadata (inputs, outputs), or an ExplanationSpec (metadata, parameters), or what holds one as
            `explanationSpec`. Names of fields in snake_case or camelCase.
        parameters: ExplanationParameters, as a file or a dict; default: those in the ExplanationSpec, or of a folder those in
            its `explanation_parameters.json`, and where there are none integrated gradients, refined until the estimated error
            is 5%.
        tolerance: between 0 and 1: what the estimated error is brought below, however many steps or orders that takes, instead
            of the counts of the configuration.

    Raises:
        AttributionError: not such a file, or a field that is unknown, wrong, or cannot be honoured: none is ignored.
    """
    if tolerance is not None and (not is_number(tolerance) or not 0 < tolerance < 1):
        raise AttributionError(f"tolerance must be a number between 0 and 1, such as 0.01; got {tolerance!r}")
    if parameters is None and isinstance(path, str | os.PathLike) and (Path(path) / PARAMETERS).is_file():
        parameters = Path(path) / PARAMETERS
    notes: list[str] = []
    content, name = _content(path, "the metadata")
    found = Fields(content, name, notes)
    if "explanation_spec" in found:
        content = found.take("explanation_spec")
        found, name = Fields(content, f"{name}.explanationSpec", notes), f"{name}.explanationSpec"
    given = None
    if "metadata" in found:
        given, inner = found.take("parameters"), found.take("metadata")
        found.done()
        found = Fields(inner, f"{name}.metadata", notes)
    inputs, output = read_inputs(found), read_output(found)
    _rest(found)
    if parameters is not None:
        if given is not None:
            notes.append("the parameters of the ExplanationSpec are not used: others were given")
        given, name = _content(parameters, "the parameters")
    else:
        name = f"{name}.parameters"
    chosen = _parameters(given, name, notes, tolerance)
    unknown = {feature for feature, _ in (chosen.noise and chosen.noise.by_feature) or ()} - {one.name for one in inputs}
    if unknown:
        raise AttributionError(
            f"feature_noise_sigma names {min(unknown)!r}, and the inputs are {', '.join(repr(one.name) for one in inputs)}"
        )
    return ExplanationSpec(inputs, output, chosen, tuple(notes))


def _parameters(given: Any, name: str, notes: list[str], tolerance: float | None) -> ExplanationParameters:
    if given is None:
        notes.append("no parameters were given: integrated gradients, refined until the estimated error is small enough")
        return ExplanationParameters(tolerance=0.05 if tolerance is None else tolerance)
    chosen = read_parameters(Fields(given, name, notes))
    if tolerance is None:
        return chosen
    count = "path_count" if chosen.is_shapley else "step_count"
    notes.append(f"{count} {chosen.count} is not used: tolerance={tolerance:g} says how finely is computed")
    return dataclasses.replace(chosen, count=None, tolerance=tolerance)


def _rest(found: Fields) -> None:
    """What metadata hold beside inputs and outputs."""
    framework = found.text("framework")
    if framework is not None and framework.lower() not in FRAMEWORKS:
        raise AttributionError(f"{found.where}: framework must be one of {', '.join(FRAMEWORKS)}; got {framework!r}")
    found.refuse("latent_space_source", "is for example-based explanations, which are no attributions: leave it out")
    found.note("feature_attributions_schema_uri", "is not read: nothing is fetched")
    for name in ("tags", "preparer_version"):
        found.note(name, "says who wrote the file, and changes nothing")
    for name in ("embeddings", "sigdef_inputs"):
        found.note(name, "is not read: the graph itself says what it holds")
    found.done()


def _content(source: Any, what: str) -> tuple[Any, str]:
    """A JSON object from a file or as it is, and what errors call it."""
    if isinstance(source, dict):
        return source, what
    if not isinstance(source, str | os.PathLike):
        raise AttributionError(f"{what} must be a JSON file or a dict; got {type(source).__name__}")
    path = Path(source)
    if path.is_dir():
        path = path / FILE
    shown = repr(plain(path))
    if not path.exists():
        raise AttributionError(f"there is no file {shown}: name {what} as a JSON file, or give them as a dict")
    try:
        with open_regular(path) as file:
            if size_of(file) > MOST_BYTES:
                raise AttributionError(f"{shown} has more than {MOST_BYTES // 2**20} MiB, more than {what} are")
            return json.loads(file.read(MOST_BYTES).decode("utf-8-sig"), object_pairs_hook=_once), path.name
    except AttributionError:
        raise
    except OSError as error:
        raise AttributionError(f"{shown} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise AttributionError(f"{shown} is no JSON: {plain(error)}") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, of whose names none may be there twice: one of them would not be seen."""
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise AttributionError(f"{next(name for name in names if names.count(name) > 1)!r} is there twice in one JSON object")
    return made
