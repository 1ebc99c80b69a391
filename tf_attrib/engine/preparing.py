"""A model with what was made of it for each kind of inputs: traced, selected in, compiled; and the work of a call on it."""

import copy
import dataclasses
from collections.abc import Callable
from typing import Any, Self

import numpy as np
import tensorflow as tf

from ..common.checks import whole_or_none
from ..common.errors import AttributionError
from ..common.failures import plain_failures
from ..common.types import Leaves
from ..graph.called.route import Route, signature_of
from ..graph.saved.exported import Exported
from ..graph.traced.states import check_stateless
from ..graph.traced.trace import Traced
from ..selection.at_and_of import At, Of, OwnRows, as_at, as_of, for_any_type
from ..selection.frames import Given, Specs, without_frames
from ..selection.inputs import matched, prepared, raw_specs, read, specs_of
from ..selection.own_rows import own_rows
from ..selection.references import of_frames
from .method import Method, as_method
from .planning import Examples, planned, usable
from .session import Session
from .work import Work

# Sessions that are kept, of which there is one for each shape of inputs: a server meets ever new ones. What was traced and
# compiled is that of all sessions of a kind, so that a shape which comes again costs little.
MOST_SESSIONS = 256


class Preparing:
    """Reads inputs as users give them, finds or makes the session that serves their kind, and plans what a call does.

    Attributes:
        model, at, of, batch_size, memory, jit_compile, preprocess: as in `Attributor`.
    """

    model: Any
    at: At | None
    of: Of | None
    batch_size: int | None
    memory: int
    jit_compile: bool
    preprocess: Callable | None
    _route: Route
    _sessions: dict[tuple, Session]
    _others: dict[Any, Any]

    @property
    def _specs(self) -> dict[Any, tf.TensorSpec] | None:
        """Of the model's inputs; None where it does not say them."""
        return self._route.specs

    @plain_failures()
    def read(self, inputs: Any) -> Given:
        """Inputs as a user gives them (or as they were read before), as arrays."""
        self._route.look()
        return read(inputs, *self._takes)

    @property
    def _takes(self) -> tuple[Specs, bool]:
        """The specs of the model's inputs where it says them, and whether inputs may be of other shapes."""
        return self.model.specs if isinstance(self.model, Exported) else self._specs, self.preprocess is not None

    def prepare(self, inputs: Any) -> tuple[Session, dict, dict]:
        """The session for inputs of this kind (as a user gives them, or as `read` made them); the inputs by the model's keys,
        and beside them a score's own rows; and the user's key for each of the model's."""
        return self._prepared(self.read(inputs))

    def _prepared(self, given: Given) -> tuple[Session, dict, dict]:
        """The same for inputs that were just `read`."""
        arrays = given.arrays
        specs = self._specs_for(arrays)
        match = matched(arrays, specs, given.pictures)
        ready = prepared(given, specs, match)
        rows = own_rows(self.of, len(next(iter(ready.values()))))
        signature = (
            self._route.changes,
            signature_of(specs),
            tuple((key, leaf.dtype, leaf.shape[1:]) for key, leaf in rows.items()),
        )
        shapes = tuple(ready[key].shape[1:] for key in specs)
        ready |= rows
        session = self._sessions.get((signature, shapes))
        if session is None:
            for old in [key for key in self._sessions if key[0][0] != signature[0]]:
                del self._sessions[old]  # of the model as it was
            # one trace serves inputs of all shapes, but how many rows are worth a block follows these
            alike = next((one for (kind, _), one in self._sessions.items() if kind == signature and one.any_shape), None)
            session = alike.sized(alike.with_words(ready)) if alike else self._session(specs, ready, given)
            while len(self._sessions) >= MOST_SESSIONS:
                self._sessions.pop(next(iter(self._sessions)), None)
            self._sessions[signature, shapes] = session
        check_stateless(session.function)
        return session, session.with_words(ready), match

    @plain_failures()
    def work(
        self,
        inputs: Any,
        target: Any = None,
        baselines: Any = None,
        method: str | Method = "integrated_gradients",
        seed: int | None = None,
        on_error: str = "raise",
        shared: Callable[[Leaves], np.ndarray] | None = None,
    ) -> Work:
        """What `attribute` would do, with the scores at both ends of the paths; the arguments are those of `attribute`, and
        `shared` is that of `Session.compared`, at the tensors that this attributor selects."""
        method = as_method(method)
        if not tf.executing_eagerly():
            raise AttributionError("attribute works in eager mode: call it outside tf.function and tf.Graph")
        whole_or_none("seed", seed, 0)
        if baselines is not None and not method.takes_baselines:
            other = "ta.SmoothGrad('integrated_gradients')" if method.cloud else "'integrated_gradients'"
            raise AttributionError(f"{method!r} takes no baselines: leave them out, or take method={other}")
        given = self.read(inputs)
        if method.forward_only and not (self.at and self.at.raw) and self._takes_others(given.arrays):
            raw = self.observing(for_any_type(self.at))
            return raw.work(inputs, target, baselines, method, seed, on_error)
        arrays, good = usable(given.arrays, on_error == "mark")
        session, ready, match = self._prepared(dataclasses.replace(given, arrays=arrays))
        baselines = of_frames(baselines, lambda value: without_frames(value, *self._takes, given.names)[0], given.names)
        at = method.placed_at(self.at, session.function)
        if at != self.at:
            return self.observing(at).work(inputs, target, baselines, method, seed, on_error)
        own = method.session_for(session)
        return planned(
            own,
            method,
            Examples(given.arrays, arrays, good, ready, match, given.names),
            target,
            baselines,
            seed,
            shared if own is session else None,
        )

    def explaining(self, of: Any) -> Self:
        """The same attributor of another output or score (`of` as in the constructor); what was traced is shared."""
        return self._other(self.at, as_of(of))

    def observing(self, at: Any) -> Self:
        """The same attributor at another place (`at` as in the constructor); what was traced is shared."""
        return self._other(as_at(at), self.of)

    def of_examples(self, which: np.ndarray) -> Self:
        """The same attributor for these of the examples: of a score's own rows, theirs."""
        if self.of is None or self.of.data is None:
            return self
        rows = OwnRows({key: leaf[which] for key, leaf in self.of.data.leaves.items()})
        return self._other(self.at, dataclasses.replace(self.of, data=rows))

    def _other(self, at: At | None, of: Of | None) -> Self:
        kind = at, _kind(of)
        found = self if kind == (self.at, _kind(self.of)) else self._others.get(kind)
        if found is None:
            found = self._others[kind] = copy.copy(self)
            found.at, found.of, found._sessions, found._others = at, of, {}, {}
        if found.of != of:  # other rows of the same score: nothing is compiled anew
            found = copy.copy(found)
            found.of = of
        return found

    def _session(self, specs: dict, ready: dict, given: Given) -> Session:
        names = {key: spec.name or str("input" if key is None else key) for key, spec in specs.items()}
        traced = self._traced_for(specs, ready, given)
        return Session(traced, self.at, self.of, names, ready, self.batch_size, self.memory, self.jit_compile)

    def _specs_for(self, arrays: dict) -> dict:
        """What the model takes, given inputs by the user's keys."""
        specs = self._specs if self._specs is not None else specs_of(arrays)
        if isinstance(self.model, Exported):
            specs = self.model.narrowed(arrays, matched(arrays, self.model.specs))
        return raw_specs(arrays, specs) if self.preprocess is not None and self._specs is not None else specs

    def _takes_others(self, arrays: dict) -> bool:
        """Whether any of the inputs is not float."""
        return any(not spec.dtype.is_floating for spec in self._specs_for(arrays).values())

    def _traced_for(self, specs: dict, ready: dict, given: Given) -> Traced:
        """The graph for inputs of these specs, or an error that knows of frames."""
        try:
            return self._route.graph(specs, ready)
        except AttributionError as error:
            if None not in given.names or self._specs is not None:
                raise
            raise AttributionError(
                f"{error}; the frame went in as one array, (batch, columns); where the model takes columns by name, give "
                "{name: frame[name] for name in frame.columns}"
            ) from error


def _kind(of: Of | None) -> Of | None:
    """`of` without the rows that a score has of its own."""
    return None if of is None else dataclasses.replace(of, data=None)
