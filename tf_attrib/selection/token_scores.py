"""Scores of language models: what a model gives to tokens at positions that are settled beforehand.

The output is (batch, length, vocabulary), and of it a few entries count. They are picked in front of the layers that treat each
position by itself, so that no other position meets the vocabulary.
"""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from ..common.errors import AttributionError
from ..graph.traced.heads_and_lookups import TracedHead, find_head
from ..graph.traced.positionwise import at_position
from ..graph.traced.trace import TRACING, Traced
from .at_and_of import Of, OwnRows
from .outputs import Output

# What may be asked of a token, by the name that `of` has, and its unit.
UNITS = {"logits": "logit", "log_probability": "log_probability", "probability": "probability"}


def token_score(position: Any, token: Any, weight: Any = None, of: str = "log_probability", output: str | None = None) -> Of:
    """Explain what a language model gives to tokens at positions of its output, (batch, length, vocabulary).

    As `of`: `ta.Attributor(model, of=ta.token_score(positions, tokens))`. An output without a softmax holds logits.

    Args:
        position, token: whole numbers (n, s): row i goes with example i, which has s tokens, each at its position.
        weight: (n, s); the score is the weighted sum, such as 1 and -1 for the contrast of two. None: each token is a score of
            its own, which the `target` of `attribute` chooses.
        of: "logits", "log_probability" or "probability".
        output: its name, where there are several.

    Raises:
        AttributionError: what does not fit.
    """
    if of not in UNITS:
        raise AttributionError(f"of must be {', '.join(map(repr, UNITS))}; got {of!r}")
    leaves = {"position": np.asarray(position), "token": np.asarray(token)}
    leaves |= {} if weight is None else {"weight": np.asarray(weight, np.float32)}
    shapes = {name: leaf.shape for name, leaf in leaves.items()}
    if len(set(shapes.values())) > 1 or leaves["token"].ndim != 2:
        raise AttributionError(f"position, token and weight must be numbers of one shape, (n, s); got shapes {shapes}")
    for name in ("position", "token"):
        if leaves[name].dtype.kind not in "iu" or leaves[name].min(initial=0) < 0:
            raise AttributionError(f"{name} must hold whole numbers of at least 0, got {leaves[name]!r}")
        leaves[name] = leaves[name].astype(np.int32)
    return Of("tokens", output, TokenScore(of, output, weight is not None), data=OwnRows(leaves))


@dataclasses.dataclass(frozen=True)
class TokenScore:
    """The score of `token_score` in a traced graph; `summed` where tokens are weighed."""

    of: str
    output: str | None
    summed: bool
    __name__ = "token_score"

    def __call__(self, traced: Traced, data: dict, own: dict) -> Output:
        """The score as an output.

        Args:
            data: placeholders of its own rows, by key.
            own: copies of them.
        """
        name = self._name(traced)
        head = find_head(traced, name)
        source = _before_head(head, name)
        if source.shape.rank != 3:
            raise AttributionError(
                "a language model gives (batch, length, vocabulary), logits for each token at each position; output "
                f"{name!r} is of shape {tuple(source.shape)}"
            )
        words = f"{UNITS[self.of].replace('_', '-')} of tokens at {name!r}"
        logs = head.logits is None and head.kind == "softmax"

        def finish(values):
            return self._score(values["source"], {key[1]: values[key] for key in own}, logs, [])

        found = Output(words, UNITS[self.of], {"source": source} | own, finish, with_target=not self.summed, data=data)
        if traced.called is not None:  # what is behind an operation that calls the model cannot be moved in front of it
            return found

        def behind(stop: list[tf.Tensor]) -> Output:
            with TRACING, traced.function.graph.as_default():
                score = self._score(source, {key[1]: value for key, value in own.items()}, logs, stop)
            return dataclasses.replace(found, fetches={None: score}, finish=lambda values: values[None])

        return dataclasses.replace(found, behind=behind)

    def _name(self, traced: Traced) -> str:
        names = list(traced.outputs)
        if self.output not in (None, *names) or (self.output is None and len(names) > 1):
            raise AttributionError(
                f"output={self.output!r} must name the output of the language model: {', '.join(map(repr, names))}"
            )
        return names[0] if self.output is None else self.output

    def _score(self, source: tf.Tensor, data: dict, logs: bool, stop: list) -> tf.Tensor:
        """(rows,), or (rows, s), from logits, or from probabilities, whose logarithms are then taken (`logs`)."""
        position, token = data["position"], data["token"]
        picked = at_position(source, position[..., None], stop) if source.shape.rank == 3 else source
        picked = tf.cast(picked, tf.float64 if picked.dtype == tf.float64 else tf.float32)
        picked = tf.math.log(picked) if logs else picked
        value = tf.gather(picked, token, batch_dims=2)
        if self.of != "logits":
            value -= tf.reduce_logsumexp(picked, -1)
        value = tf.exp(value) if self.of == "probability" else value
        return tf.reduce_sum(value * tf.cast(data["weight"], value.dtype), 1) if self.summed else value


def _before_head(head: TracedHead, name: str) -> tf.Tensor:
    """The logits; an output without a head holds them, and of a head inside an export there are its probabilities."""
    if head.kind == "sigmoid":
        raise AttributionError(
            f"output {name!r} ends in a sigmoid: its units are no tokens of which one follows. A language model gives "
            "logits, or their softmax, (batch, length, vocabulary); others: ta.Attributor(model).attribute(...)"
        )
    if head.logits is not None:
        return head.logits
    return head.output
