"""A model with what was made of it for each kind of inputs: traced, selected in, compiled."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from ..common.errors import AttributionError
from ..common.failures import plain_failures
from ..graph.called.route import Route, signature_of
from ..graph.saved.exported import Exported
from ..graph.traced.states import check_stateless
from ..graph.traced.trace import Traced
from ..selection.at_and_of import At, Of
from ..selection.frames import Given, Specs
from ..selection.inputs import matched, prepared, raw_specs, read, specs_of
from ..selection.own_rows import own_rows
from .session import Session

# Sessions that are kept, of which there is one for each shape of inputs: a server meets ever new ones. What was traced and
# compiled is that of all sessions of a kind, so that a shape which comes again costs little.
MOST_SESSIONS = 256


class Preparing:
    """Reads inputs as users give them, and finds or makes the session that serves their kind.

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
    _specs: dict[Any, tf.TensorSpec] | None
    _sessions: dict[tuple, Session]

    @plain_failures()
    def read(self, inputs: Any) -> Given:
        """Inputs as a user gives them (or as they were read before), as arrays."""
        return read(inputs, *self._takes)

    @property
    def _takes(self) -> tuple[Specs, bool]:
        """The specs of the model's inputs where it says them, and whether inputs may be of other shapes."""
        return self.model.specs if isinstance(self.model, Exported) else self._specs, self.preprocess is not None

    def prepare(self, inputs: Any) -> tuple[Session, dict, dict]:
        """The session for inputs of this kind (as a user gives them, or as `read` made them); the inputs by the model's keys,
        and beside them a score's own rows; and the user's key for each of the model's."""
        given = self.read(inputs)
        arrays = given.arrays
        specs = self._specs_for(arrays)
        match = matched(arrays, specs, given.pictures)
        ready = prepared(given, specs, match)
        rows = own_rows(self.of, len(next(iter(ready.values()))))
        signature = signature_of(specs), tuple((key, leaf.dtype, leaf.shape[1:]) for key, leaf in rows.items())
        shapes = tuple(ready[key].shape[1:] for key in specs)
        ready |= rows
        session = self._sessions.get((signature, shapes))
        if session is None:
            # one trace serves inputs of all shapes, but how many rows are worth a block follows these
            alike = next((one for (kind, _), one in self._sessions.items() if kind == signature and one.any_shape), None)
            session = alike.sized(ready) if alike else self._session(specs, ready, given)
            while len(self._sessions) >= MOST_SESSIONS:
                self._sessions.pop(next(iter(self._sessions)), None)
            self._sessions[signature, shapes] = session
        check_stateless(session.function)
        return session, ready, match

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
