"""What to type next: calls that run as they are printed.

`attributor`, `inputs`, `target`, `baselines` and `vocabulary` in them stand for what `diagnose` was given.
"""

from typing import Any

import numpy as np

from ..attributor import Attributor
from ..graph.traced.keras_model import is_keras
from ..selection import baselines as recipes
from ..selection.baselines import Baseline
from ..selection.frames import is_frame
from .case import Examination

# Of real examples and of noise, so many are averaged over.
SEVERAL = 8
# A table of so many examples gives baselines of its own.
ENOUGH = 4


def attribute(
    case: Examination, *, of: str = "", target: str = "", baselines: str = "", method: str = "", more: str = ""
) -> str:
    """`attributor.attribute(...)` with what was given, but for what is named here in Python's words."""
    who = f"attributor.explaining({of})" if of else "attributor"
    return f"{who}.attribute({_arguments(case, target, baselines, method)}{', ' if more else ''}{more})"


def examine(case: Examination, *, baselines: str = "", default_class: float | int | None = None) -> str:
    """`ta.diagnose(attributor, ...)` with what was given, but for what is named here."""
    chosen = case.default_class if default_class is None else default_class
    more = [] if chosen is None else [f"default_class={chosen}"]
    more += [] if case.known_words is None else ["vocabulary=vocabulary"]
    return f"ta.diagnose(attributor, {', '.join([_arguments(case, '', baselines, ''), *more])})"


def another(attributor: Attributor, changed: str) -> str:
    """`ta.Attributor(...)` of the same model, with one argument changed."""
    kept = {"at": attributor.at, "of": attributor.of, "preprocess": attributor.preprocess}
    words = [f"{name}=attributor.{name}" for name, value in kept.items() if value is not None and not changed.startswith(name)]
    return f"ta.Attributor({', '.join(['attributor.model', *words, changed])})"


def float32_copy(case: Examination) -> str:
    """The same Keras model without half precision; "" for another kind of model."""
    copy = (
        "copy = keras.models.clone_model(attributor.model, clone_function=lambda layer: type(layer).from_config({"
        '**layer.get_config(), "dtype": "float32"})); copy.set_weights(attributor.model.get_weights())'
    )
    return copy if is_keras(case.attributor.model) else ""


def listing(case: Examination) -> str:
    """A call that lists what `at=` can name in a Keras model; "" for another kind of model."""
    known = is_keras(case.attributor.model)
    return "ta.inspect(attributor.model)  # lists the layers and tensors that at= can name" if known else ""


def without_gradient(case: Examination) -> str:
    """The call that attributes where the model has no gradient."""
    return f"{attribute(case, method=quoted('occlusion'))}  # needs no gradient"


def logits(case: Examination) -> str:
    """`of=` for the logits beneath the explained probability, "" where none are known."""
    if case.output.unit != "probability" or case.output.log_odds is None:
        return ""
    name = getattr(case.attributor.of, "name", None)
    known = name is None or name in case.session.function.traced.outputs
    return "" if not known else quoted("logits") if name is None else f"ta.logits({name!r})"


def quoted(word: str) -> str:
    """The word as a string of Python."""
    return f'"{word}"'


def _arguments(case: Examination, target: str, baselines: str, method: str) -> str:
    target = target or _target(case)
    baselines = baselines or ("" if case.baselines is None else "baselines")
    named = (("target", target), ("baselines", baselines), ("method", method))
    return ", ".join(["inputs", *(f"{name}={value}" for name, value in named if value)])


def _target(case: Examination) -> str:
    """The target in Python's words: written out where it is one for all, "" where it was left to the model."""
    if not case.target_given:
        return "" if case.target is None else literal(case.target[0])
    return literal(case.target) if np.ndim(case.target) == 0 or isinstance(case.target, tuple) else "target"


def literal(index: Any) -> str:
    """A class, or (position, class), as it is typed."""
    numbers = [int(i) for i in np.ravel(index)]
    return str(numbers[0]) if len(numbers) == 1 else str(tuple(numbers))


def other_baseline(case: Examination) -> str:
    """A baseline that suits the data, and is not one value everywhere: noise in the range of the inputs, or real examples."""
    if case.place.kind == "embeddings":
        (values, *_) = case.x.values()
        return f"ta.gaussian({SEVERAL}, {float(values.std()):.3g})"
    tables = all(value.ndim == 2 for value in case.x.values())
    if tables and case.count >= ENOUGH:
        return some_inputs(case)
    noise = {key: _noise(value) for key, value in case.x.items()}
    if list(noise) == [None]:
        return noise[None]
    return "{" + ", ".join(f"{key!r}: {call}" for key, call in noise.items()) + "}"


def some_inputs(case: Examination) -> str:
    """Real examples, those at hand."""
    return f"ta.dataset(inputs, {min(SEVERAL, case.count)})"


def _noise(values: np.ndarray) -> str:
    low, high = float(values.min()), float(values.max())
    return (
        f"ta.uniform({SEVERAL}, {low:.3g}, {high:.3g})"
        if f"{low:.3g}" != f"{high:.3g}"
        else f"ta.gaussian({SEVERAL}, {max(abs(high), 1):.3g})"
    )


def mean_input(case: Examination) -> tuple[str, Any] | None:
    """The mean of the inputs at hand, as a call and a baseline; None where it says nothing, or inputs are no numbers."""
    given, left_out = case.work.arrays, case.session.left_out(case.work.match).values()
    own = [key for key in given if key not in left_out]
    if case.count < 2 or any(given[key].dtype.kind not in "fiu" for key in own):
        return None
    if case.place.kind == "inputs" and (set(case.x) == set(own) or (list(case.x) == [None] and len(own) == 1)):
        sources = dict(zip(case.x, own, strict=True)) if len(own) == 1 else {key: key for key in case.x}
        calls = {key: f"ta.constant({_mean(source, given)})" for key, source in sources.items()}
        made = {key: recipes.constant(value.mean(0).astype(value.dtype)) for key, value in case.x.items()}
        if list(calls) == [None]:
            return calls[None], made[None]
        return "{" + ", ".join(f"{key!r}: {call}" for key, call in calls.items()) + "}", made
    if left_out or any(value.dtype.kind != "f" for value in given.values()):
        return None
    means = {key: value.mean(0).astype(value.dtype) for key, value in given.items()}
    if is_frame(case.inputs):
        return "ta.at_input(inputs.mean())", recipes.at_input(means)
    if list(means) == [None]:
        return f"ta.at_input({_mean(None, given)})", recipes.at_input(means[None])
    words = "{" + ", ".join(f"{key!r}: {_mean(key, given)}" for key in means) + "}"
    return f"ta.at_input({words})", recipes.at_input(means)


def _mean(key: Any, given: dict) -> str:
    return "np.mean(inputs, 0)" if list(given) == [None] else f"np.mean(inputs[{key!r}], 0)"


def token(case: Examination, token: int) -> tuple[str, Baseline]:
    """One word in place of every word, as a call and a baseline: an id, or of a model that takes strings the word."""
    given = case.work.arrays
    if any(value.dtype.kind in "OSU" for value in given.values()):
        word = case.words.get(token, "")
        shape = next(iter(given.values())).shape[1:]
        filled = np.full(shape, word) if len(given) == 1 else None
        if filled is None:
            return "ta.zeros()", recipes.zeros()
        return f"ta.at_input(np.full({shape}, {word!r}))", recipes.at_input(filled)
    return f"ta.token({token})", recipes.token(token)
