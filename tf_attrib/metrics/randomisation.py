"""Does an attribution depend on what the model has learned? Weights are randomised, layer by layer."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..attribution import Attribution
from ..attributor import Attributor
from ..common.digits import count
from ..common.errors import AttributionError
from ..common.nested import flatten
from ..engine.method import Method
from ..graph.traced import keras_model
from ..result.similarity import rank_correlation
from .examples import attributed, given_of
from .metric import Curves

CASCADING, INDEPENDENT = "cascading", "independent"
# Of the largest number: what differs by less is the same, summed in another order.
ROUNDING = 1e-6


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Randomisation(Curves):
    """Rank correlations with the original attribution; `values` is the mean over the layers, of the first mode.

    `along` names the layers, that nearest the output first, without those of which a note says that shuffling them changes
    nothing; `curves` has (n, layers) by mode.
    """

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers, that nearest the output first."""
        return tuple(self.along)


def randomisation(
    attributor: Attributor,
    result: Any,
    *,
    method: str | Method = "integrated_gradients",
    target: Any = None,
    baselines: Any = None,
    modes: str | tuple[str, ...] = (CASCADING, INDEPENDENT),
    signed: bool = True,
    layers: list[str] | None = None,
    seed: int = 0,
) -> Randomisation:
    """How much an attribution is still like the original when layers of the model are randomised: lower is better.

    Spearman's rank correlation between the attributions of the trained model and of one in which the weights of a layer are
    shuffled, each weight tensor within itself, so that their distribution stays as it is (trained statistics of batch
    normalisation too). "cascading": from the output down, each layer with all above it; "independent": each layer alone.
    Adebayo et al. 2018 (arXiv:1810.03292), the model parameter randomisation test; they draw initial weights anew instead.
    The class that is explained stays that of the trained model. The model's weights are put back, after an exception too.
    A layer that leaves scores and attributions as they are, because its weights are all alike or the score does not depend on
    them, says nothing of the method: it is left out of the mean, and a note names it. Which layer is nearer the output is told
    by the order in which they are called, of a model that is called eagerly by that of `model.layers`.

    Args:
        attributor: of a Keras model.
        result: inputs (n, ...), or the `Attribution` of the trained model by the same `method`, `baselines` and `seed`.
        modes: "cascading", "independent", or both.
        signed: whether signed attributions are ranked, or their magnitudes.
        layers: names of layers to randomise; default: all that have weights of their own.
        seed: of the shuffling, and of random baselines and methods.

    Returns:
        A `Randomisation`: `values` (n,), between -1 and 1; NaN where an attribution is constant.

    Raises:
        AttributionError: a model that is no Keras model, a layer that it does not have, a result of another method, or no layer
            whose shuffling changes anything.
    """
    modes = (modes,) if isinstance(modes, str) else tuple(modes)
    if not modes or any(mode not in (CASCADING, INDEPENDENT) for mode in modes):
        raise AttributionError(f"modes are 'cascading' and 'independent', got {modes!r}")
    chosen = _chosen(attributor.model, layers)
    seed = int(np.random.SeedSequence().entropy % 2**32) if seed is None else seed
    original = attributed(attributor, result, method, target, baselines, seed)
    chosen = _last_called_first(chosen, attributor.prepare(given_of(original))[0].function.traced.calls)

    def again() -> Attribution:
        found = attributed(attributor, given_of(original), method, original.target, baselines, seed)
        if found.method != original.method:
            raise AttributionError(
                f"the result is by {original.method}, and method= is {found.method}: pass the method= of the result"
            )
        return found

    runs = {mode: _run(chosen, again, original, mode, signed, seed) for mode in modes}
    tells = np.any([run.changed for run in runs.values()], axis=0)
    names = np.array([layer.name for layer in chosen], object)
    if not tells.any():
        raise AttributionError(f"{_nothing(names)}: nothing can be said of {original.method}")
    curves = {mode: run.similarity[:, tells] for mode, run in runs.items()}
    signs = "signed attributions" if signed else "magnitudes"
    return Randomisation(
        "randomised layers, rank correlation with the original",
        _mean(curves[modes[0]]),
        original.method,
        "-1 to 1",
        "lower",
        f"{modes[0]}, mean over {count(int(tells.sum()), 'layer')}; {signs}; weights shuffled",
        (
            *([original.batch_dependence] if original.batch_dependence else []),
            *([] if tells.all() else [f"{_nothing(names[~tells])}: left out"]),
        ),
        list(names[tells]),
        curves,
        ("layer that is randomised, from the output down", "rank correlation"),
        {mode: _mean(curves[mode]) for mode in modes[1:]},
    )


def _nothing(names: np.ndarray) -> str:
    return (
        f"shuffling the weights of {', '.join(map(repr, names))} changes neither scores nor attributions here: they are all "
        "alike, or the score does not depend on them"
    )


@dataclasses.dataclass(frozen=True, eq=False)
class _Run:
    """What came of one mode.

    Attributes:
        similarity: (n, layers), rank correlations after each layer was randomised.
        changed: (layers,), whether anything changed then.
    """

    similarity: np.ndarray
    changed: np.ndarray


def _run(layers: list, again: Callable[[], Attribution], original: Attribution, mode: str, signed: bool, seed: int) -> _Run:
    similarity, changed, before = [], [], original
    with _restored(layers) as restore:
        for number, layer in enumerate(layers):
            if mode == INDEPENDENT:
                restore()
            rng = np.random.default_rng([seed, number])
            for weight in _weights(layer):
                weight.assign(_shuffled(weight.numpy(), rng))
            found = again()
            one, other = (original, found) if signed else (original.abs(), found.abs())
            similarity.append(rank_correlation(one, other))
            # where all above killed the net, nothing below it changes anything: there the correlation is NaN, and stays
            changed.append(not _alike(found, before) or bool(np.isnan(similarity[-1]).all()))
            before = found if mode == CASCADING else original
    return _Run(np.stack(similarity, 1), np.array(changed))


def _alike(one: Attribution, other: Attribution) -> bool:
    """Whether scores and attributions are the same but for rounding."""
    pairs = [(one.scores, other.scores)]
    others = flatten(other.attributions)
    pairs += [(leaf, others[key]) for key, leaf in flatten(one.attributions).items()]
    return all(np.allclose(a, b, rtol=0, atol=ROUNDING * np.abs(b).max(initial=0)) for a, b in pairs)


def _last_called_first(layers: list, calls: Sequence[Any]) -> list:
    """Layers by their last calls; those of which none was recorded come last, as a model's own weights do."""
    last = {id(call.layer): number for number, call in enumerate(calls)}
    return sorted(layers, key=lambda layer: -last.get(id(layer), -1)) if calls else layers


@contextlib.contextmanager
def _restored(layers: list) -> Iterator:
    """Keeps a copy of the weights and puts them back at the end, whatever happens; gives the call that does so before."""
    kept = [(weight, np.array(weight.numpy())) for layer in layers for weight in _weights(layer)]

    def restore() -> None:
        for weight, value in kept:
            weight.assign(value)

    try:
        yield restore
    finally:
        restore()


def _shuffled(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.permutation(values.ravel()).reshape(values.shape)


def _mean(similarity: np.ndarray) -> np.ndarray:
    """(n,), over the layers where there is a value."""
    known = ~np.isnan(similarity)
    return np.divide(
        np.where(known, similarity, 0).sum(1), known.sum(1), out=np.full(len(similarity), np.nan), where=known.any(1)
    )


def _weights(layer: Any) -> list:
    return [weight for weight in layer.weights if "float" in str(weight.dtype)]


def _chosen(model: Any, names: list[str] | None) -> list:
    """The layers with weights of their own, that nearest the output first."""
    if not keras_model.is_keras(model):
        raise AttributionError(
            f"randomisation shuffles the weights of a Keras model's layers; this model is a "
            f"{type(model).__name__}, whose layers are not known: load the .keras file it came from"
        )
    found = list({id(layer): layer for layer in _layers(model)}.values())[::-1]
    if names is None:
        chosen = found
    else:
        known = {layer.name: layer for layer in found}
        missing = [name for name in names if name not in known]
        if missing:
            raise AttributionError(f"no layer with weights is called {missing[0]!r}; there are: {', '.join(map(repr, known))}")
        chosen = [layer for layer in found if layer.name in names]
    if not chosen:
        raise AttributionError(f"model {model.name!r} has no layer with weights, so nothing can be randomised")
    return chosen


@dataclasses.dataclass(frozen=True, eq=False)
class _OwnWeights:
    """What a model has beside its layers, such as positions that are added to the input."""

    name: str
    weights: list


def _layers(model: Any) -> list:
    """Layers with weights in the order of `model.layers`, nested models opened, weights of a model's own first; wrappers count
    as one layer."""
    inner = getattr(model, "layers", None)
    if not inner:
        return [model] if _weights(model) else []
    found = [one for layer in inner for one in _layers(layer)]
    of_layers = {id(weight) for one in found for weight in one.weights}
    own = [weight for weight in _weights(model) if id(weight) not in of_layers]
    return [_OwnWeights(model.name, own), *found] if own else found
