"""`Place`: the tensors that are attributed to, as ports of the graph, and what to say of them."""

import dataclasses
from typing import Any

import tensorflow as tf

from ..graph.saved.id_sources import origins
from ..graph.traced.cut import Port, probe_batch_axis
from ..graph.traced.heads_and_lookups import Lookup, connected, hidden_lookups
from ..graph.traced.trace import Traced


@dataclasses.dataclass(frozen=True, eq=False)
class Place:
    """The tensors that `at` selected, by the key they are handed out under, and what to say of them.

    Attributes:
        ports: by key; None is the key of the only one.
        kind: inputs, embeddings, encoded (inputs, some of them as the vectors that they are encoded to) or layer.
        words: for people.
        notes: what was chosen for the user.
        columns: by port, the name of the input behind it (or of those that were crossed), where each is known.
        categories: by port, what the places of the last axis stand for, where that is an encoding.
        left_out: the names of inputs that cannot be attributed to, and are not.
        indices: the token indices, where one lookup was selected whose ids come from text, or which has no batch axis.
        indices_axis: their batch axis.
        stand_ins: keys of the model's inputs by the key of the port that stands for them: integers that are quantities are
            selected behind their cast to float.
    """

    ports: dict[Any, Port]
    kind: str
    words: str
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    columns: dict[Any, str] = dataclasses.field(default_factory=dict)
    categories: dict[Any, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    indices: tf.Tensor | None = None
    indices_axis: int | None = 0
    stand_ins: dict[Any, Any] = dataclasses.field(default_factory=dict)

    @property
    def encodes(self) -> dict[Any, str]:
        """By port, the column that it encodes: that of its input, where it is not that input itself."""
        return {
            key: column
            for key, column in self.columns.items()
            if self.ports[key].tensor.op.type != "Placeholder" and key not in self.stand_ins
        }


def unused(tensors: dict, names: dict, fetches: list) -> list[str]:
    """A note for inputs that the output does not depend on: they get zeros."""
    unused = [repr(names[key]) for key, tensor in tensors.items() if not connected(tensor, fetches)]
    return [f"the output does not depend on {', '.join(unused)}: zeros"] if unused else []


def indices(traced: Traced, lookup: Lookup | None) -> tuple[tf.Tensor | None, int | None]:
    """The token indices of the only lookup, where they say something that the inputs do not, and their batch axis."""
    if lookup is None or not (lookup.sparse or _is_text(traced, lookup)):
        return None, 0
    return lookup.indices, None if lookup.sparse or lookup.ragged else 0


def _is_text(traced: Traced, lookup: Lookup) -> bool:
    """Whether a lookup's ids come from text, or through a table or hash buckets inside the model."""
    return any(traced.inputs[key].dtype == tf.string for key in lookup.inputs) or bool(origins(lookup.indices))


def hidden(traced: Traced) -> str:
    """What to say of lookups that cannot be selected."""
    hidden = hidden_lookups(traced)
    return (
        f"; the lookup {hidden[0]!r} is inside a loop or a branch, whose tensors cannot be fed: attribute to a float "
        "tensor in front of it or behind it, at=ta.tensor(name)"
        if hidden
        else ""
    )


def port(traced: Traced, tensor: tf.Tensor, examples: dict) -> Port:
    """`tensor` with the axis that counts examples."""
    sizes = {source.shape[0] for source in traced.inputs.values() if source.shape.rank}
    if sizes != {None}:  # a model of fixed batch size cannot be probed with another
        return Port(tensor, 0 if tensor.shape.rank and tensor.shape[0] in sizes else None)
    return Port(tensor, probe_batch_axis(traced, tensor, examples))


def lookup_port(traced: Traced, lookup: Lookup, examples: dict) -> Port:
    """The rows of a lookup with the axis that counts examples."""
    # one example with one id would look like a batch axis
    return Port(lookup.tensor, None) if lookup.sparse or lookup.ragged else port(traced, lookup.tensor, examples)


def single(ports: dict) -> dict:
    """The only tensor needs no name."""
    return {None: next(iter(ports.values()))} if len(ports) == 1 else ports
