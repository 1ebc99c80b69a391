"""The models of a folder, each with its configuration."""

import dataclasses
import os
import re
from pathlib import Path
from typing import Any

from ..attributor import Attributor
from ..common.errors import AttributionError, plain
from ..vertex.explainer import Explainer
from ..vertex.specification import FILE

# What stands in an address as it is.
NAME = re.compile(r"[\w.-]+", re.ASCII)
SAVED_MODEL = "saved_model.pb"


@dataclasses.dataclass(frozen=True, eq=False)
class Models:
    """What is served.

    Attributes:
        explainers: by the name of the model, that of its folder.
        left_out: folders that are not served, and why.
    """

    explainers: dict[str, Explainer]
    left_out: dict[str, str]


def read_models(folder: str | os.PathLike, **options: Any) -> Models:
    """The SavedModels in a folder, `folder/NAME/` or the highest number of `folder/NAME/1/`, each with its
    `explanation_metadata.json` beside it; never one whose file holds what is not known to be harmless.

    Args:
        options: of `Attributor.from_explanation_metadata`.

    Raises:
        AttributionError: no such folder, no model in it, or one that cannot be read or explained as it is configured.
    """
    root = Path(folder)
    if not root.is_dir():
        raise AttributionError(f"there is no folder {plain(root)!r} of models to serve")
    explainers, left_out = {}, {}
    for place in sorted(root.iterdir()):
        model = _model_in(place)
        if model is None:
            continue
        if not NAME.fullmatch(place.name):
            left_out[place.name] = "its name is not of letters, digits, '_', '-' and '.' alone"
        elif not (model / FILE).is_file():
            left_out[place.name] = f"it has no {FILE}"
        else:
            try:
                explainers[place.name] = Attributor.from_explanation_metadata(model, **options)
            except AttributionError as error:
                raise AttributionError(f"model {place.name!r}: {error}") from error
    if not explainers:
        why = "".join(f"; {plain(name)!r} is left out: {reason}" for name, reason in left_out.items())
        raise AttributionError(f"{plain(root)!r} holds no SavedModel with an {FILE}, as NAME/ or NAME/1/{why}")
    return Models(explainers, left_out)


def _model_in(place: Path) -> Path | None:
    """The SavedModel of a folder: itself, or that of its highest version."""
    if (place / SAVED_MODEL).is_file():
        return place
    if not place.is_dir():
        return None
    versions = [one for one in place.iterdir() if one.name.isdecimal() and (one / SAVED_MODEL).is_file()]
    return max(versions, key=lambda one: int(one.name), default=None)
