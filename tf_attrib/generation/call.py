"""`attribute_generation`: which tokens led to each token that a language model wrote."""

import dataclasses
from typing import Any

import numpy as np

from ..attributor import Attributor
from ..common.checks import is_whole, whole_or_none
from ..common.errors import AttributionError
from ..common.failures import plain_failures
from ..common.progress import progress
from ..methods import Method, as_method
from ..selection.token_scores import UNITS
from . import contrasting
from .attributing import Rows, attribute_rows
from .continuing import continued
from .explained import GenerationAttribution
from .joining import text_of
from .language_model import LanguageModel, Sequence
from .parts import Parts, each_token, filled, parts_of
from .perturbing import Remaining, as_result, attribute_parts, takes_parts
from .scoring import causal_scores, log_chances, vocabulary_size


@plain_failures()
def attribute_generation(
    model: Any,
    prompt: Any,
    continuation: Any = None,
    *,
    max_length: int | None = None,
    method: str | Method = "integrated_gradients",
    of: str = "log_probability",
    targets: Any = None,
    contrast: Any = None,
    segments: Any = None,
    absent: int | None = None,
    baselines: Any = None,
    tokenizer: Any = None,
    sampler: Any = None,
    seed: int | None = None,
    batch_size: int | None = None,
    memory: int | None = None,
    verbose: str | bool = "auto",
    on_error: str = "raise",
) -> GenerationAttribution:
    r"""Attributes each token of a continuation to the tokens before it.

    What is explained is the token that stands there, sampled or given, and not the most probable one. Tokens behind it were not
    yet written, and get exactly 0: that the model sees none of them is looked at first.

    Args:
        model: a task of keras_hub (a CausalLM or Seq2SeqLM), any model that `ta.Attributor` takes of token ids (batch, length)
            to logits or their softmax (batch, length, vocabulary), or an attributor of one, which keeps what was compiled.
        prompt: text, or token ids (length,).
        continuation: what follows, as text or ids; None: what the model writes now.
        max_length: of prompt and continuation, in tokens, where it is written now; None: 16 tokens more than the prompt.
        method: as of `ta.Attributor.attribute`. "ablation", "shapley_sampling", "kernel_shap" and "lime" leave `segments` out
            of the prompt (or single tokens) and need no gradient.
        of: "log_probability", "logits" or "probability" of each token.
        targets: which tokens of the continuation are explained: None (each), whole numbers (negative ones from the end), or
            "sum" (all of them as one score, at the cost of one).
        contrast: what is not there, as text or ids. One token in the place of one that is there: the score of that one less its
            own is explained. Else the score of the continuation less that of the contrast, to the context that both have.
        segments: parts of the prompt, which get one number each: a separator of text, such as "\n\n"; a dict from names to
            texts, to (start, stop) of tokens, or to the fields of `prompt`, "Context: {context} Question: {question}".
        absent: what stands in place of each token of a part that is left out, a token id; None: it is taken out, and what
            follows moves up.
        baselines: as of `ta.Attributor.attribute`, at the embeddings: None (zero vectors), `ta.token(id)`, ...
        tokenizer: of models that bring none: a tokenizer of keras_hub, a TextVectorization layer, a list of words, or a
            function from text to ids.
        sampler: of models other than tasks: a function (what the model gives to each token, rng) -> token id; None: the most
            probable. Tasks have theirs, `task.compile(sampler="top_p")`.
        seed: of the sampler, and of random baselines and methods; None draws anew.
        batch_size, memory: as of `ta.Attributor`.
        verbose, on_error: as of `ta.Attributor.attribute`.

    Returns:
        A `GenerationAttribution`: `.attributions` (generated, tokens), `.plot()`, `.to_html()`.

    Raises:
        AttributionError: ids beyond the vocabulary, a prompt that is too long, text that is split otherwise where prompt and
            continuation meet, a model that gives no logits or sees what comes after, and whatever else does not fit.
    """
    method = as_method(method)
    whole_or_none("max_length", max_length)
    whole_or_none("seed", seed, 0)
    if verbose not in ("auto", True, False) or on_error not in ("raise", "mark"):
        raise AttributionError(
            f"verbose must be 'auto', True or False, and on_error 'raise' or 'mark'; got {verbose!r} and {on_error!r}"
        )
    if of not in UNITS:
        raise AttributionError(f"of must be {', '.join(map(repr, UNITS))}; got {of!r}")
    language = LanguageModel(model, tokenizer, **_settings(model, batch_size, memory))
    prompt, segments = filled(prompt, segments)
    source, begun = language.prompt(prompt)
    if not len(begun):
        raise AttributionError("the prompt holds no token: the first token that is explained follows one; give a start token")
    language.check(Sequence(source, np.append(begun, begun[:1]), len(begun)), vocabulary_size(language))
    if continuation is None:
        written = continued(language, source, begun, max_length, sampler, seed)
    else:
        _refuse_unused(max_length, sampler)
        written = _following(language, prompt, begun, continuation, "the continuation")
    sequence = Sequence(source, np.concatenate([begun, written]), len(begun))
    language.check(sequence, vocabulary_size(language))
    which, total = _targets(targets, len(written), of)
    asked = _Asked(language, sequence, which, total, of, method, baselines, absent, segments, prompt)
    options = {"seed": seed, "verbose": verbose, "on_error": on_error}
    if absent is not None and not takes_parts(method):
        raise AttributionError(
            "absent= is for methods that leave parts out, such as 'shapley_sampling'; this one takes baselines="
        )
    if contrast is not None:
        return _contrasted(asked, _following(language, prompt, begun, contrast, "the contrast"), targets, options)
    return _explained(asked, options)


@dataclasses.dataclass(frozen=True, eq=False)
class _Asked:
    """What a call asks for."""

    model: LanguageModel
    sequence: Sequence
    which: np.ndarray
    total: bool
    of: str
    method: Method
    baselines: Any
    absent: int | None
    segments: Any
    prompt: Any

    @property
    def pieces(self) -> list[str]:
        """The text of each token, what an encoder reads first."""
        return self.model.vocabulary.pieces([*self.sequence.source.tolist(), *self.sequence.written.tolist()])

    @property
    def text(self) -> str | None:
        """The prompt, where it was given as text, and the text of its tokens is known."""
        return self.prompt if isinstance(self.prompt, str) and self.model.vocabulary.told else None

    @property
    def prompted(self) -> int:
        """How many of the tokens are the prompt's."""
        return len(self.sequence.source) or self.sequence.start

    def parts(self) -> Parts:
        """The parts of the prompt; where none are given, each token, but for the first where tokens are taken out."""
        pieces = self.pieces[: self.prompted]
        if self.segments is not None:
            return parts_of(self.segments, self.text, pieces)
        return each_token(pieces, 0 if self.absent is not None or len(self.sequence.source) else 1)


def _settings(model: Any, batch_size: int | None, memory: int | None) -> dict[str, Any]:
    given = {name: value for name, value in (("batch_size", batch_size), ("memory", memory)) if value is not None}
    if given and isinstance(model, Attributor):
        raise AttributionError(
            f"give {', '.join(given)} to the attributor itself: ta.Attributor(model, {next(iter(given))}=...)"
        )
    return given


def _refuse_unused(max_length: int | None, sampler: Any) -> None:
    for name, value in (("max_length", max_length), ("sampler", sampler)):
        if value is not None:
            raise AttributionError(f"{name} is for a continuation that is written now, and one is given: leave {name} out")


def _following(model: LanguageModel, prompt: Any, begun: np.ndarray, given: Any, what: str) -> np.ndarray:
    """The ids of a continuation.

    Raises:
        AttributionError: it holds none, or the tokenizer joins its beginning with the prompt's end.
    """
    found = model.vocabulary.ids(given, what)
    if isinstance(given, str) and isinstance(prompt, str) and not model.encodes:
        texts = (prompt, prompt + model.vocabulary.between + given)
        alone, joined = (model.vocabulary.ids(text, what) for text in texts)
        if not np.array_equal(joined[: len(alone)], alone):
            at = int((joined[: len(alone)] != alone[: len(joined)]).argmax()) if len(joined) >= len(alone) else len(joined) - 1
            pieces = model.vocabulary.pieces(joined[max(at - 1, 0) : at + 2].tolist())
            raise AttributionError(
                f"{what} is split differently behind the prompt: the tokenizer makes {pieces} of where they meet, so no token "
                f"begins with {given[:20]!r}. Begin it with a blank, end the prompt before one, or give both as token ids"
            )
        found = joined[len(alone) :]
    if not len(found):
        raise AttributionError(f"{what} holds no token")
    return found


def _targets(targets: Any, count: int, of: str) -> tuple[np.ndarray, bool]:
    """Which tokens of the continuation are explained, and whether their sum is."""
    if isinstance(targets, str):
        if targets != "sum":
            raise AttributionError(f"targets must be None, whole numbers, or 'sum'; got {targets!r}")
        if of == "probability":
            raise AttributionError(
                "a sum of probabilities means nothing: of='log_probability' sums to that of the continuation"
            )
        return np.arange(count), True
    if targets is None:
        return np.arange(count), False
    several = isinstance(targets, list | tuple | range | np.ndarray)
    given = list(targets) if several else [targets]
    if not given or not all(is_whole(one, -count, count - 1) for one in given):
        raise AttributionError(
            f"targets must be whole numbers from 0 to {count - 1} (or from the end), 'sum' or None; got {targets!r}"
        )
    return np.unique(np.array(given, int) % count), False


def _explained(asked: _Asked, options: dict[str, Any]) -> GenerationAttribution:
    sequence, which = asked.sequence, asked.which
    scores = causal_scores(asked.model, sequence, asked.of)
    logs = log_chances(asked.model, sequence, scores, asked.of)
    chance = np.exp(logs.sum(keepdims=True) if asked.total else logs[which])
    if takes_parts(asked.method):
        return _by_leaving_out(asked, chance, **options)
    count = 1 if asked.total else len(which)
    positions, tokens = sequence.start + which - 1, sequence.written[sequence.start + which]
    position, token = (one[None] if asked.total else one[:, None] for one in (positions, tokens))
    rows = Rows(
        np.repeat(sequence.source[None], count, 0),
        np.repeat(sequence.written[None, :-1], count, 0),
        np.full(count, len(sequence.written) - 1),
        position,
        token,
        np.ones(token.shape, np.float32),
    )
    return _of_tokens(asked, attribute_rows(asked.model, rows, asked.of, asked.method, asked.baselines, options), chance)


def _of_tokens(asked: _Asked, result: Any, chance: np.ndarray, rows: tuple[str, ...] | None = None) -> GenerationAttribution:
    """The result for tokens, or for the parts that they are in."""
    sequence, pieces, count = asked.sequence, asked.pieces, len(result)
    values = np.pad(result.attributions, ((0, 0), (0, len(pieces) - result.attributions.shape[1])))
    own = asked.which + sequence.context if rows is None and not asked.total else np.full(count, -1)
    result = dataclasses.replace(
        result,
        attributions=values,
        inputs=None,
        tokens=np.array([pieces] * count),
        position=own if (own >= 0).all() else None,
        example=np.zeros(count, int) if (own >= 0).all() else None,
    )
    found = GenerationAttribution(
        result, tuple(pieces), rows or _rows(asked, pieces), own, sequence.context, len(sequence.source), chance, asked.text
    )
    return found if asked.segments is None else found.by_segment(asked.segments)


def _rows(asked: _Asked, pieces: list[str]) -> tuple[str, ...]:
    if asked.total:
        return (text_of(pieces[asked.sequence.context :]),)
    return tuple(pieces[asked.sequence.context + one] for one in asked.which)


def _by_leaving_out(
    asked: _Asked, chance: np.ndarray, seed: int | None, verbose: str | bool, on_error: str
) -> GenerationAttribution:
    if asked.baselines is not None:
        raise AttributionError(
            "baselines= are at the embeddings; what stands for parts that are left out is absent=, a token id"
        )
    most = vocabulary_size(asked.model)
    if asked.absent is not None and not is_whole(asked.absent, 0, None if most is None else most - 1):
        known = "" if most is None else f" from 0 to {most - 1}"
        raise AttributionError(f"absent must be a token id{known}, or None, got {asked.absent!r}")
    parts = asked.parts()
    remaining = Remaining(asked.model, asked.sequence, parts, asked.which, asked.of, asked.absent, asked.total)
    words = f"{UNITS[asked.of].replace('_', '-')} of tokens"
    with progress(verbose, lambda: None) as advance:
        fields = attribute_parts(remaining, asked.method, seed, advance)
    result = as_result(fields, asked.method, remaining, UNITS[asked.of], words, on_error == "mark")
    pieces, count = asked.pieces, len(result)
    if asked.segments is None:
        own = asked.which + asked.sequence.context if not asked.total else np.full(count, -1)
        values = np.zeros((count, len(pieces)))
        values[:, np.flatnonzero(parts.of_token >= 0)] = result.attributions
        errors = result.standard_error
        if errors is not None:
            errors = np.zeros_like(values)
            errors[:, np.flatnonzero(parts.of_token >= 0)] = result.standard_error
        result = dataclasses.replace(result, attributions=values, standard_error=errors)
        columns, context, read = tuple(pieces), asked.sequence.context, len(asked.sequence.source)
    else:
        own, columns, context, read = np.full(count, -1), parts.names, None, 0
    return GenerationAttribution(result, columns, _rows(asked, pieces), own, context, read, chance, asked.text)


def _contrasted(asked: _Asked, foil: np.ndarray, targets: Any, options: dict[str, Any]) -> GenerationAttribution:
    sequence, of = asked.sequence, asked.of
    if takes_parts(asked.method):
        raise AttributionError(f"contrast= is for methods of gradients, such as 'integrated_gradients'; got {asked.method!r}")
    other = dataclasses.replace(sequence, written=np.concatenate([sequence.written[: sequence.start], foil]))
    asked.model.check(other, vocabulary_size(asked.model))
    logs = causal_scores(asked.model, sequence, "log_probability")
    single = len(foil) == 1 and not asked.total and (len(logs) == 1 or targets is not None)
    if not single and targets is not None and not isinstance(targets, str):
        raise AttributionError(
            "targets= with a contrast of several tokens: it is the continuation as a whole that is contrasted then; leave "
            "targets out, or give one token to be contrasted with"
        )
    if not single and of == "probability":
        raise AttributionError("continuations of several tokens are contrasted by of='log_probability', or 'logits'")
    if not single and not asked.method.takes_baselines:
        raise AttributionError(
            "continuations of several tokens stay as they are at the baseline, which this method does not have: take "
            f"method='integrated_gradients', or contrast single tokens; got {asked.method!r}"
        )
    less = f" rather than {text_of(asked.model.vocabulary.pieces(foil.tolist())).strip()}"
    if single:
        if (sequence.written[sequence.start + asked.which] == foil[0]).any():
            raise AttributionError("the contrast is the token itself that stands there: nothing sets them apart")
        rows = contrasting.pair(sequence, asked.which, int(foil[0]))
        result = attribute_rows(asked.model, rows, of, asked.method, asked.baselines, options)
        names = tuple(asked.pieces[sequence.context + one] + less for one in asked.which)
        return _of_tokens(asked, result, np.exp(logs[asked.which]), names)
    start = sequence.start + _shared(sequence.written[sequence.start :], foil)
    causal_scores(asked.model, other, of)
    one, two = (dataclasses.replace(each, start=start) for each in (sequence, other))
    rows = contrasting.both(one, two)
    result = contrasting.difference(attribute_rows(asked.model, rows, of, asked.method, asked.baselines, options))
    result = dataclasses.replace(result, attributions=result.attributions[:, : one.context])
    return _of_tokens(asked, result, np.full(1, np.nan), (text_of(asked.pieces[one.context :]) + less,))


def _shared(one: np.ndarray, other: np.ndarray) -> int:
    """How many tokens both begin with; one of each is left that sets them apart."""
    least = min(len(one), len(other))
    differs = np.flatnonzero(one[:least] != other[:least])
    shared = int(differs[0]) if len(differs) else least
    if shared == max(len(one), len(other)):
        raise AttributionError("the contrast is the continuation itself: nothing sets them apart")
    if shared == least:
        raise AttributionError(
            "one of continuation and contrast begins with the whole of the other, so that their scores differ by what is "
            "longer alone: contrast continuations that part at some token"
        )
    return shared
