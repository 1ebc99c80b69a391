"""What a call of `attribute` will work on, as `Work`: its examples, their references and targets, and what is left out."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from ..common.types import Leaves, present
from ..graph.traced.states import begins_at_states
from ..selection.baselines import Baseline, Several
from ..selection.channels_last import blurred_along, check_channels_last
from ..selection.each_position import EachPosition
from ..selection.frames import Names
from ..selection.levels import check_of_images
from ..selection.references import References, resolve
from ..selection.targets import read_targets
from .at_baseline import apart_at_baseline
from .baseline_inputs import pushed
from .method import Method
from .omission import Omitted, filled, finite, finite_rows, only
from .program import Tables
from .session import Session
from .work import Work


@dataclasses.dataclass(frozen=True, eq=False)
class Examples:
    """The inputs of a call.

    Attributes:
        given: by the user's keys, as they came.
        arrays: the same, with 0 in place of what is not finite where that is marked.
        good: bool (n,), which examples are finite; None where those that are not are refused.
        ready: by the model's keys, as it takes them, and a score's own rows.
        match: the user's key for each of the model's.
        names: of columns that stand side by side in one of the arrays, by the user's key.
    """

    given: Leaves
    arrays: Leaves
    good: np.ndarray | None
    ready: Leaves
    match: dict[Any, Any]
    names: Names = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.ready.values())))


@dataclasses.dataclass(frozen=True, eq=False)
class _Entries:
    """The entries of the result to be: arrays with a row for each (`arrays`, `ready` and `extra` as in `Work`, `x` the selected
    tensors), their references and targets; where they are positions of examples, which (`placed`); and what was left out."""

    arrays: dict
    ready: dict
    x: dict
    extra: dict
    references: References
    target: Any
    placed: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    omitted: Omitted | None = None

    def of_examples(self, which: np.ndarray, target: Any) -> "_Entries":
        """Those of some of the examples, which have this target."""
        arrays, ready, x, extra = (_rows(values, which) for values in (self.arrays, self.ready, self.x, self.extra))
        return dataclasses.replace(
            self, arrays=arrays, ready=ready, x=x, extra=extra, target=target, references=self.references.of_examples(which)
        )


def usable(given: Leaves, mark: bool) -> tuple[Leaves, np.ndarray | None]:
    """The arrays that a call with these inputs computes with, and which examples are finite: None where those that are not are
    no matter of marking, but errors."""
    good = finite_rows(given) if mark else None
    return (given if good is None or good.all() else finite(given)), good


def planned(
    session: Session,
    method: Method,
    examples: Examples,
    target: Any,
    baselines: Any,
    seed: int | None,
    shared: Callable[[Leaves], np.ndarray] | None = None,
) -> Work:
    """The work of one call; `target`, `baselines` and `seed` are as in `attribute`, `shared` as in `Session.compared`.

    Raises:
        AttributionError: targets or baselines that do not fit.
    """
    examples = dataclasses.replace(examples, ready=session.with_words(examples.ready))
    x, references = _ends(session, method, examples, baselines, seed)
    entries = _Entries(examples.arrays, examples.ready, x, method.row_extras(x, session), references, target)
    entries = _at_positions(session, _finite_alone(session, examples, entries))
    x, ready, references = entries.x, entries.ready, entries.references
    shared = shared if entries.omitted is None else None
    compared = session.compared(x, ready, references, entries.target, method.uses_baseline, shared)
    context = {key: ready[key] for key in session.function.context}
    tables = Tables(x, context, compared.target, compared.scores, references, entries.extra)
    notes = begins_at_states(session.function)
    notes += apart_at_baseline(session, ready, examples.match, references, compared) if method.uses_baseline else ()
    return Work(
        session, entries.arrays, ready, tables, compared, examples.match, entries.placed, entries.omitted, examples.names, notes
    )


def _ends(session: Session, method: Method, examples: Examples, baselines: Any, seed: int | None) -> tuple[dict, References]:
    """The selected tensors at the examples, by the keys that they are handed out under, and their references."""
    match, keys, which = examples.match, session.handed_out(examples.match), _some(examples.good)
    user = {match[key]: examples.ready[key] for key in match}

    def selected(values: dict, own: Leaves | None = None) -> dict:
        session.check_left_out(user, values, match)
        found = session.selected({key: values[match[key]] for key in match} | (own or {}))
        return dict(zip(keys, found.values(), strict=True))

    given, own = user, {key: value for key, value in examples.ready.items() if key not in match}
    given, own = (given, own) if which is None else (_rows(given, which), _rows(own, which))
    x = selected(given, own)
    session.check_of_one_length({key: given[match[key]] for key in match})
    x = x if which is None else filled(x, which, len(examples))
    baselines = method.default_baseline() if baselines is None else baselines
    parts = baselines.parts if isinstance(baselines, Several) else baselines
    recipes = [one for one in (parts if isinstance(parts, list | tuple) else [parts]) if isinstance(one, Baseline)]
    blurred = any(one.channels_last for one in recipes)
    if blurred:
        check_channels_last("ta.blur", session.function)
    if isinstance(baselines, Baseline | Several) or len(x) == 1:  # else each tensor has its own
        check_of_images(recipes, x if session.function.place.kind == "inputs" else user)
    mark, left_out = examples.good is not None, frozenset(session.left_out(match).values())
    push = lambda values: pushed(selected, values, x, user)  # noqa: E731
    references = resolve(baselines, x, user, push, seed, mark, lambda: session.called(match), left_out)
    if blurred:
        references = dataclasses.replace(references, words=references.words + blurred_along(session.function))
    return x, method.references_used(references, seed)


def _finite_alone(session: Session, examples: Examples, entries: _Entries) -> _Entries:
    """The entries whose inputs and references are finite; the others are noted as omitted."""
    good = None if examples.good is None else examples.good & entries.references.finite
    if good is None or good.all():
        return entries
    which, target = present(_some(good)), entries.target
    known = (
        None
        if isinstance(target, EachPosition)
        else read_targets(session.function.output, target, session.shape(examples.ready), len(examples))
    )
    found = entries.of_examples(which, only(target, which) if known is None else known[which])
    return dataclasses.replace(found, omitted=Omitted(good, examples.given, known))


def _at_positions(session: Session, entries: _Entries) -> _Entries:
    """Where every position is asked for, one entry for each example and position."""
    if not isinstance(entries.target, EachPosition):
        return entries
    example, position, target = session.positions(entries.target, entries.ready)
    omitted = entries.omitted and entries.omitted.at_positions(position[example == 0])
    return dataclasses.replace(
        entries.of_examples(example, target), placed={"example": example, "position": position}, omitted=omitted
    )


def _rows(values: dict, which: np.ndarray) -> dict:
    """Some rows of each of `values`."""
    return {key: value[which] for key, value in values.items()}


def _some(good: np.ndarray | None) -> np.ndarray | None:
    """Which examples are computed: those that are good, else the first, to stand for them all; None: every one."""
    if good is None or good.all():
        return None
    return np.flatnonzero(good) if good.any() else np.zeros(1, int)
