"""Attribution to tokens: what `Attributor.attribute` gives for rows of tokens, as one number for each of them."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..attribution import Attribution
from ..attributor import Attributor
from ..common.errors import AttributionError
from ..common.nested import flatten
from ..common.types import Leaves
from ..engine.work import Work
from ..methods import Method
from ..result.adding_up import over_channels
from ..result.channels import without_channels
from ..result.joined import joined
from ..result.reductions import with_numbers
from ..selection.baselines import Baseline
from ..selection.token_scores import token_score
from .language_model import LanguageModel
from .scoring import values_at

# Tokens that are attributed at once: of each there is a vector for each row, and they are summed before the next come.
TOGETHER = 16384
# A token that was not yet written when another was has no part in it; what rounding leaves there, relative to the largest.
LEFT = 1e-3


@dataclasses.dataclass(frozen=True, eq=False)
class Rows:
    """What is explained: a weighted sum of tokens of each row.

    Attributes:
        source: int32 (n, s), what an encoder reads.
        written: int32 (n, w), what the model is given of what is written.
        lengths: (n,), how many of `written` each row has.
        position, token, weight: (n, k).
        kept: (n, w) of bool, which tokens stay as they are where the baseline is; None: none.
    """

    source: np.ndarray
    written: np.ndarray
    lengths: np.ndarray
    position: np.ndarray
    token: np.ndarray
    weight: np.ndarray
    kept: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.written)

    def part(self, which: slice) -> "Rows":
        """Some of them."""
        given = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        some: dict[str, Any] = {name: value[which] for name, value in given.items() if value is not None}
        return Rows(**some)


def attribute_rows(
    model: LanguageModel, rows: Rows, of: str, method: Method, baselines: Any, options: dict[str, Any]
) -> Attribution:
    """One number for each token of each row, (n, s + w): what the methods of `ta.METHODS` give at the embeddings.

    Args:
        options: seed, verbose and on_error of `attribute`.

    Raises:
        AttributionError: as `attribute`; or tokens behind the last that is explained have a part in it.
    """
    step = max(8, TOGETHER // max(rows.written.shape[1] + rows.source.shape[1], 1))
    found = [
        _attributed(model, rows.part(slice(start, start + step)), of, method, baselines, options)
        for start in range(0, len(rows), step)
    ]
    return joined(found)


def _attributed(
    model: LanguageModel, rows: Rows, of: str, method: Method, baselines: Any, options: dict[str, Any]
) -> Attribution:
    attributor = model.attributor.explaining(token_score(rows.position, rows.token, rows.weight, of))
    inputs = model.inputs(rows.source, rows.written, rows.lengths)
    names = _names(attributor, inputs, model)
    if rows.kept is not None:
        baselines = _kept(rows.kept, names[-1], attributor.work(inputs, None, baselines, method))
    seed, on_error = options["seed"], options["on_error"]
    work = attributor.work(inputs, None, baselines, method, seed, on_error, _shared(model, rows, of, inputs))
    result = attributor.attributed(work, method, seed, options["verbose"], on_error)
    if result.steps:
        raise AttributionError(f"{result.method} gives a number for each step along the path: take 'integrated_gradients'")
    whole = _by_token(result.attributions, names, rows, result.kind)
    visible = rows.position.max(1) + rows.source.shape[1]
    behind = np.arange(whole.shape[1]) > visible[:, None]
    largest = np.abs(whole).max(1, initial=0, where=np.isfinite(whole))
    if (np.abs(whole) > LEFT * largest[:, None])[behind & np.isfinite(whole)].any():
        raise AttributionError(
            f"{result.method} gives tokens a part in what was written before them: it does not follow the model's mask; "
            "take 'integrated_gradients'"
        )
    if any(np.ndim(leaf) == 3 for leaf in flatten(result.attributions).values()):
        result = without_channels(result)
    errors = None if result.standard_error is None else _by_token(result.standard_error, names, rows, result.kind)
    whole[behind & np.isfinite(whole)] = 0
    return dataclasses.replace(
        with_numbers(result, whole, error=errors),
        inputs=None,
        place="embeddings",
        left_out=tuple(one for one in result.left_out if "mask" not in one),
    )


def _shared(model: LanguageModel, rows: Rows, of: str, inputs: dict) -> Callable[[Leaves], np.ndarray] | None:
    """The scores (points, rows) of all rows at points of the embeddings, where all are of one text; else None."""
    if not all((one == one[:1]).all() for one in (rows.source, rows.written, rows.lengths)):
        return None

    def scores(points: Leaves) -> np.ndarray:
        found = values_at(model, inputs, points, rows.position.reshape(-1), rows.token.reshape(-1), of)
        return (found.reshape(len(found), *rows.token.shape) * rows.weight).sum(-1)

    return scores


def _names(attributor: Attributor, inputs: dict, model: LanguageModel) -> list:
    """The keys of the attributions to what an encoder reads, if there is one, and to what is written."""
    if not model.encodes:
        return [None]
    session, _, match = attributor.prepare(inputs)
    called = session.called(match)
    wanted = ("encoder_token_ids", "decoder_token_ids")
    if any(name not in called for name in wanted):
        raise AttributionError(f"attributions of {wanted} cannot be told apart among {list(called)}")
    return [called[name] for name in wanted]


def _by_token(values: Any, names: list, rows: Rows, kind: str) -> np.ndarray:
    """(n, s + w) float64, of the selected tensors in their structure, (n, length) or (n, length, dimension)."""
    leaves, widths = flatten(values), [rows.source.shape[1], rows.written.shape[1]][-len(names) :]
    if len(leaves) != len(names):
        raise AttributionError(
            f"attributions are wanted to one tensor of tokens, and there are {len(leaves)}: {', '.join(map(str, leaves))}; "
            "choose one, ta.Attributor(model, at=ta.embeddings(name))"
        )
    names = list(leaves) if names == [None] else names
    found = []
    for name, width in zip(names, widths, strict=True):
        leaf = np.asarray(leaves[name], np.float64)
        if leaf.ndim not in (2, 3) or leaf.shape[1] < width:
            raise AttributionError(f"attributions of shape {leaf.shape} are not one for each of {width} tokens: leave at= out")
        found.append((leaf if leaf.ndim == 2 else over_channels(leaf, kind))[:, :width])
    return np.concatenate(found, 1)


def _kept(kept: np.ndarray, written: Any, work: Work) -> Any:
    """Baselines at the embeddings: those of `work`, and the example's own where tokens of what is written, (n, w), stay.

    Args:
        written: under which key the embeddings of what is written are; None: they are the only ones.
    """
    references, found = work.tables.references, {}
    if references.count != 1 or (written is None and len(work.tables.x) != 1):
        raise AttributionError(
            "a contrast of continuations takes one tensor of embeddings for each text and one baseline, such as ta.zeros()"
        )
    for key, x in work.tables.x.items():
        values = references.tables[key][references.index[key][:, 0]]
        if written is None or key == written:
            stays = np.zeros(x.shape[:2], bool)
            stays[:, : kept.shape[1]] = kept
            values = np.where(stays[..., None], x, values)
        words = f"{references.words}; the continuation as it is"
        found[key] = Baseline(words, functools.partial(_given, values), shared=False)
    return found if written is not None else next(iter(found.values()))


def _given(values: np.ndarray, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """References that are known, one of each example."""
    return values[:, None]
