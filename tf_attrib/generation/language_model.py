"""How a language model takes a sequence of token ids, and how long it may be."""

import dataclasses
from typing import Any

import numpy as np

from ..attributor import Attributor
from ..common.errors import AttributionError
from .vocabulary import as_vocabulary


@dataclasses.dataclass(frozen=True, eq=False)
class Sequence:
    """A text and its continuation, as token ids.

    Attributes:
        source: int32 (s,), what an encoder reads; empty where the model has none.
        written: int32 (w,), what the model continues, and the continuation.
        start: from which of `written` on it is the continuation.
    """

    source: np.ndarray
    written: np.ndarray
    start: int

    @property
    def context(self) -> int:
        """How many tokens the model had before the continuation."""
        return len(self.source) + self.start


class LanguageModel:
    """A model of token ids to logits.

    Args:
        model: what `ta.Attributor` takes, or an attributor; a task of keras_hub brings its tokenizer.
        tokenizer: see `as_vocabulary`; None: that of the task.
    """

    def __init__(self, model: Any, tokenizer: Any = None, **settings: Any) -> None:
        self.attributor = model if isinstance(model, Attributor) else Attributor(model, **settings)
        self.task = self.attributor.model if hasattr(self.attributor.model, "backbone") else None
        if any(kind.__name__ == "Backbone" for kind in type(self.attributor.model).__mro__):
            raise AttributionError(
                f"{type(self.attributor.model).__name__} is the backbone of a task, which gives features of each token and no "
                "logits: give the task, such as keras_hub.models.GPT2CausalLM(backbone=..., preprocessor=...)"
            )
        self.preprocessor = getattr(self.task, "preprocessor", None)
        known = tokenizer if tokenizer is not None else getattr(self.preprocessor, "tokenizer", None)
        self._tokenizer, self.vocabulary = known, as_vocabulary(known)
        specs = self.attributor.input_specs
        if specs is not None and len(specs) > 1 and self.attributor.at is None:
            self.attributor = self.attributor.observing("embeddings")  # a mask that becomes float is no token
        self._names = None if specs is None else {str(key): spec for key, spec in specs.items()}
        self.encodes = self._names is not None and {"encoder_token_ids", "decoder_token_ids"} <= set(self._names)
        if self._names is not None:
            self._check_inputs(specs or {})

    def _check_inputs(self, specs: dict) -> None:
        names = [name for name in self._names or {} if "mask" not in name]
        known = {"token_ids", "encoder_token_ids", "decoder_token_ids", "segment_ids"}
        if len(names) > 1 and not set(names) <= known:
            shapes = ", ".join(f"{key!r} {spec.dtype.name} {tuple(spec.shape)}" for key, spec in specs.items())
            raise AttributionError(
                "attribute_generation takes models of one input of token ids, with a mask beside it or none, and tasks of "
                f"keras_hub; this one takes {shapes}: wrap it, lambda ids: model([ids, others])"
            )

    @property
    def key(self) -> Any:
        """The model's own key of what it continues."""
        if self._names is None:
            return None
        keys = [key for key in self.attributor.input_specs or {} if "mask" not in str(key)]
        return next(key for key in keys if not str(key).startswith(("encoder", "segment")))

    @property
    def length(self) -> int | None:
        """The only length of sequences that the model takes; None where it takes several."""
        return None if self._names is None else self._names[str(self.key)].shape[1]

    @property
    def longest(self) -> int | None:
        """How many tokens it takes at most, where that is known."""
        known = getattr(getattr(self.task, "backbone", None), "max_sequence_length", None)
        return self.length or (int(known) if known else None)

    def inputs(
        self, source: np.ndarray, written: np.ndarray, lengths: np.ndarray, read: np.ndarray | None = None
    ) -> dict[Any, np.ndarray]:
        """The model's inputs for rows of tokens, by its own keys.

        Args:
            source: (n, s), what the encoder reads: as many of each row as `read` (n,) says; None: all.
            written: (n, w), filled up behind the `lengths` (n,) of the rows, which nothing looks at.
        """
        if self.length is not None and written.shape[1] < self.length:
            written = np.pad(written, ((0, 0), (0, self.length - written.shape[1])))
        there = np.arange(written.shape[1]) < lengths[:, None]
        if self._names is None or (len(self._names) == 1):
            return {self.key: written}
        found = {}
        for key, spec in (self.attributor.input_specs or {}).items():
            name = str(key)
            rows = source if name.startswith("encoder") else written
            known = np.full(len(source), source.shape[1]) if read is None else read
            mask = np.arange(source.shape[1]) < known[:, None] if name.startswith("encoder") else there
            value = mask if "mask" in name else np.zeros_like(rows) if name == "segment_ids" else rows
            found[key] = value.astype(spec.dtype.as_numpy_dtype)
        return found

    def prompt(self, given: Any) -> tuple[np.ndarray, np.ndarray]:
        """What the encoder reads, and what the model continues, of a prompt as text or as ids."""
        if isinstance(given, str) and self.preprocessor is not None:
            return self._preprocessed(given)
        ids = self.vocabulary.ids(given, "the prompt")
        if not self.encodes:
            return np.zeros(0, np.int32), ids
        return ids, np.array([self._start()], np.int32)

    def _start(self) -> int:
        names = ("start_token_id", "pad_token_id")
        found = next((one for name in names if (one := getattr(self._tokenizer, name, None)) is not None), None)
        if found is None:
            raise AttributionError(
                "the decoder's start token is not known: give tokenizer= with a start_token_id, or text to a task with a "
                "preprocessor"
            )
        return int(found)

    def _preprocessed(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """As the task itself makes them of text, start tokens included."""
        present = self.preprocessor
        assert present is not None
        assert self.vocabulary.encode is not None
        room = len(self.vocabulary.encode(text)) + 8
        sizes = {"encoder_sequence_length": room, "decoder_sequence_length": 8} if self.encodes else {"sequence_length": room}
        made = {key: np.asarray(value) for key, value in present.generate_preprocess([text], **sizes).items()}
        if self.encodes:
            return _there(made, "encoder_"), _there(made, "decoder_")
        return np.zeros(0, np.int32), _there(made, "")

    def check(self, sequence: Sequence, words: int | None) -> None:
        """Raises AttributionError where ids are beyond the vocabulary, or the sequence is longer than the model takes.

        Args:
            words: the size of the vocabulary that the model gives logits for, where it is known.
        """
        for what, ids in (
            ("the prompt", sequence.source),
            ("the prompt", sequence.written[: sequence.start]),
            ("the continuation", sequence.written[sequence.start :]),
        ):
            bad = ids[(ids < 0) | (ids >= (words or np.inf))]
            if len(bad):
                raise AttributionError(
                    f"{what} holds token {bad[0]}, and the model knows tokens 0 to {(words or 1) - 1}: model and tokenizer "
                    "must be of one vocabulary"
                )
        most, given = self.longest, len(sequence.written) - 1
        if most is not None and max(given, len(sequence.source)) > most:
            raise AttributionError(
                f"the model takes {most} tokens at most, and prompt and continuation have "
                f"{max(given, len(sequence.source))}: shorten the prompt ({sequence.context} tokens), or lower max_length"
            )


def _there(made: dict[str, np.ndarray], kind: str) -> np.ndarray:
    """The ids of one text that its mask says are there."""
    return made[f"{kind}token_ids"][made[f"{kind}padding_mask"].astype(bool)].astype(np.int32)
