"""What every method has, and the table of methods by name, to which others may add theirs."""

import dataclasses
import difflib
import functools
import inspect
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from ..common.errors import AttributionError, nearest
from ..common.registry import Registry
from ..common.types import Features, Leaves
from ..result.completeness import INCOMPLETE
from ..selection import baselines
from ..selection.at_and_of import At
from ..selection.references import References
from ..selection.score_function import ScoreFunction
from .copies import Cloud
from .integral import points
from .integral.integrator import Integrator
from .integral.refined import Control
from .row import RowFunction
from .session import Session
from .work import Work

# What `ta.metrics.compare` calls the random attribution, beside which it puts methods.
RANDOM = "random"
# What the numbers of a method may be: see `Result.kind`.
KINDS = ("contribution", "slope", "effect", "map", "expectation", "square")


@dataclasses.dataclass(frozen=True)
class Method:
    """What every method has. A method of your own is a frozen dataclass of this class that says `points` and `row`, and of
    what follows whatever is not as it is here; `METHODS["mine"] = Mine` gives it a name.

    Attributes:
        takes_baselines: whether a user may choose x'; then `uses_baseline`, too.
        needs_data: whether x' must be drawn from data, so that nothing stands in where no baselines are given.
        uses_baseline: whether the score at x' says something about the attribution.
        baseline_of_input: whether x' is made of x, so that noisy copies of x would need others.
        complete: whether the attributions claim to sum to F(x) - F(x'); then `uses_baseline`, too.
        exact: whether they do to rounding, so that a gap says that something is wrong.
        linear: whether the attribution of a weighted sum of functions is the weighted sum of theirs.
        symmetric: whether features that the function treats alike, equal in x and x', get the same; not only in the mean over
            what is drawn, where there are few of them.
        dummies: whether a feature that the function does not depend on gets exactly nothing, where there are few.
        at_features: whether there is a number for each feature of the selected tensors; Grad-CAM gives one for each position.
        needs_layer: whether it looks at a layer that has positions, so that a plain function has nothing for it.
        needs_images: whether it is for images alone, (height, width, channels) for each example.
        kind: what the attributions are, as `Result.kind` has it: contribution, slope, effect, map, expectation, or square
            (without sign).
        in_score_units: whether their sum is in the unit of the score, so that a gap has a meaning: of contributions it is, of
            other kinds not.
        on_path: whether rows lie on the path from x' to x, x among them, and give the slope of the score along it: that at x
            says how much the gradient there accounts for (`Result.gradient_share`). False where they give zeros for it.
        forward_only: whether rows need no gradient.
        random: whether points are drawn.
        measured_format: whether rows are gradients at the input or summed along a path, or say how they are computed in float32
            (`in_float32`), so that what a half-precision format leaves open can be measured (`formats`).
        tells_signs: whether what is due to positive differences from the reference is told apart.
        rules: of which set its row function hands multipliers down (see `methods.deeplift.multipliers`); None: gradients.
        control: what a rule that refines each path aims at; None for rules that do not refine.
        cloud: the noisy copies of each example that its attributions are taken over; None: the example itself.
    """

    takes_baselines: ClassVar[bool] = True
    needs_data: ClassVar[bool] = False
    uses_baseline: ClassVar[bool] = True
    baseline_of_input: ClassVar[bool] = False
    complete: ClassVar[bool] = False
    exact: ClassVar[bool] = False
    linear: ClassVar[bool] = True
    symmetric: ClassVar[bool] = True
    dummies: ClassVar[bool] = True
    at_features: ClassVar[bool] = True
    needs_layer: ClassVar[bool] = False
    needs_images: ClassVar[bool] = False
    kind: ClassVar[str] = "contribution"
    in_score_units: ClassVar[bool] = True
    on_path: ClassVar[bool] = False
    forward_only: ClassVar[bool] = False
    random: ClassVar[bool] = False
    measured_format: ClassVar[bool] = False
    tells_signs: ClassVar[bool] = False
    rules: ClassVar[str | None] = None
    control: ClassVar[Control | None] = None
    cloud: ClassVar[Cloud | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Keeps a repr that a method wrote itself, such as one without what is not in force: a dataclass that is made of it
        would write one of all fields in its place."""
        super().__init_subclass__(**kwargs)
        own = cls.__repr__
        made = inspect.isfunction(own) and own.__globals__["__name__"] in ("dataclasses", "reprlib")
        if inspect.isfunction(own) and not made:
            cls.__repr__ = own

    def points(self, references: int, rng: np.random.Generator | None, features: Features, kind: str) -> points.Points:
        """The rows of one example, see `ta.extend.points`.

        Args:
            references: how many references the example has.
            rng: where the method is `random`, a generator seeded by the seed and the example's own values; else None.
            features: shapes of one example of the selected tensors, by key.
            kind: of the selected tensors: inputs, embeddings, layer or tensor.
        """
        raise AttributionError(f"{type(self).__name__} says no points(self, references, rng, features, kind)")

    def integrator(self, work: Work, seed: int | None) -> Integrator | None:
        """What decides which rows are evaluated, where these are not the rows of `points`; None where they are."""
        return None

    @property
    def has_integrator(self) -> bool:
        """Whether `integrator` gives one."""
        return type(self).integrator is not Method.integrator

    def path_lengths(self, work: Work) -> np.ndarray | None:
        """(n · k, cells), where curved paths run far (`curves.lengths`), after a check that they lead where they must; None of
        straight ones, and of those that are known to run evenly."""
        return None

    def row(self, features: Features, kind: str) -> RowFunction:
        """What is computed at each row, such as `ta.extend.GradientIntegrand()`; the arguments are as in `points`."""
        raise AttributionError(f"{type(self).__name__} says no row(self, features, kind)")

    def placed_at(self, at: At | None, function: ScoreFunction) -> At | None:
        """Where attributions are wanted, given where the user wants them, and the function from there."""
        return at

    def session_for(self, session: Session) -> Session:
        """What rows run on, given the session of that place."""
        return session

    def sum_shapes(self, features: Features, work: Work) -> Features:
        """Shapes of one example of what rows give, by key, for selected tensors of shapes `features`."""
        return features

    def row_extras(self, x: Leaves, session: Session) -> Leaves:
        """What rows need of each example beside the selected tensors `x` (n, ...), by name."""
        return {}

    def shares_residual(self, function: ScoreFunction) -> bool:
        """Whether what rows give sums to the slope of the score, so that a residual of the quadrature may be shared out."""
        return self.complete

    def when_incomplete(self, function: ScoreFunction) -> str | None:
        """The status of an example whose attributions miss the difference of scores by more than the method can explain; None
        where it does not claim that they sum to it."""
        return INCOMPLETE if self.complete and self.shares_residual(function) else None

    def default_baseline(self) -> baselines.Baseline:
        """What stands in where no baselines are given.

        Raises:
            AttributionError: the method needs data.
        """
        if self.needs_data:
            raise AttributionError(f"{self!r} needs references drawn from data: baselines=ta.dataset(samples)")
        return baselines.zeros()

    def references_used(self, references: References, seed: int | None) -> References:
        """Those of the references that are used."""
        return references

    def fields(self, work: Work) -> dict[str, Any]:
        """What this method alone knows of its result: fields of `Result`, by name. Its `notes`, which the examples tell, come
        behind those of `notes`."""
        return {}

    def afterwards(self, attributions: Any, work: Work) -> dict[str, Any]:
        """What follows from the attributions: fields of `Result`, by name."""
        return {}

    @property
    def gives_more(self) -> bool:
        """Whether it goes on from its attributions."""
        return type(self).afterwards is not Method.afterwards

    def unit(self, of_score: str) -> str:
        """The unit of the attributions, given that of the score."""
        return of_score

    def words(self, function: ScoreFunction) -> str:
        """Where attributions are, for people."""
        return function.place.words

    def notes(self, function: ScoreFunction) -> tuple[str, ...]:
        """What a reader should know of how the numbers came about."""
        return ()


# What a method says of itself with True or False.
FLAGS = tuple(name for name, value in vars(Method).items() if isinstance(value, bool))

# What a method cannot say of itself together: each would be dropped without a word, or make a number that means nothing.
CONTRADICTIONS: tuple[tuple[Callable[[Method], bool], str], ...] = (
    (
        lambda method: method.exact and not method.complete,
        "exact = True, which only attributions that are complete can be: complete = True",
    ),
    (
        lambda method: method.complete and not method.uses_baseline,
        "complete = True and uses_baseline = False, but what is complete sums to F(x) - F(x'): uses_baseline = True",
    ),
    (
        lambda method: method.takes_baselines and not method.uses_baseline,
        "takes_baselines = True and uses_baseline = False, so that a user's baselines would count for nothing: say both, or "
        "takes_baselines = False",
    ),
    (
        lambda method: method.needs_data and not method.takes_baselines,
        "needs_data = True and takes_baselines = False, but data is given as baselines: takes_baselines = True",
    ),
    (
        lambda method: method.kind == "contribution" and not method.in_score_units,
        'kind = "contribution" and in_score_units = False, but contributions are parts of the score in its unit: '
        'in_score_units = True, or kind = "slope" (score per unit of the input) or "map" (how much, in its own unit)',
    ),
    (
        lambda method: method.kind != "contribution" and method.in_score_units,
        'kind = "{kind}" and in_score_units = True, but of contributions alone the sum is in the unit of the score: '
        'in_score_units = False, or kind = "contribution"',
    ),
)


def _made(name: str, method: Any) -> type[Method]:
    """`method`, where it can be the method called `name`."""
    if name == RANDOM:
        raise AttributionError(f"{name!r} is the random attribution of ta.metrics.compare: take another name")
    if not (isinstance(method, type) and issubclass(method, Method)):
        raise AttributionError(f"METHODS[{name!r}] takes a class of methods, a subclass of ta.Method; got {method!r}")
    for part in ("row",) if method.integrator is not Method.integrator else ("points", "row"):
        if getattr(method, part) is getattr(Method, part):
            raise AttributionError(f"{method.__name__} must say {part}: {getattr(Method, part).__doc__.splitlines()[0]}")
    try:
        made = method()
    except TypeError as error:
        raise AttributionError(f"METHODS[{name!r}] is made without arguments, so each field needs a default: {error}") from None
    _consistent(made)
    return method


def _consistent(method: Method) -> Method:
    """`method`, where what it says of itself can be."""
    name = type(method).__name__
    if method.kind not in KINDS:
        raise AttributionError(f"the kind of {name} must be one of {', '.join(KINDS)}; got {method.kind!r}")
    for flag in FLAGS:
        if not isinstance(getattr(method, flag), bool):
            raise AttributionError(f"{flag} of {name} must be True or False, got {getattr(method, flag)!r}")
    for contradicts, words in CONTRADICTIONS:
        if contradicts(method):
            raise AttributionError(f"{name} says {words.format(kind=method.kind)}")
    _check_fields(type(method))
    own = [part for part, value in vars(type(method)).items() if isinstance(value, bool) and part not in FLAGS]
    for part in own:
        if meant := difflib.get_close_matches(part, FLAGS, 1, 0.85):
            raise AttributionError(f"{name} says {part}, which no method is asked for; {meant[0]} is")
    return method


@functools.lru_cache(maxsize=64)  # each call of `attribute` asks
def _check_fields(method: type[Method]) -> None:
    """Raises where a class says a default that its instances would not have, since `dataclass` was not told of it."""
    for base in method.__mro__[: method.__mro__.index(Method)]:
        said = inspect.get_annotations(base)
        missed = [name for name, kind in said.items() if "ClassVar" not in str(kind)]
        if missed and "__dataclass_fields__" not in vars(base):
            raise AttributionError(
                f"{base.__name__} says {', '.join(missed)} and is no dataclass, so that it would be ignored: write "
                f"@dataclasses.dataclass(frozen=True) above class {base.__name__}"
            )
        parents = [one for one in base.__mro__[1:] if dataclasses.is_dataclass(one)]
        known = {field.name for one in parents for field in dataclasses.fields(one)}
        bare = [name for name in vars(base) if name in known and name not in said and not hasattr(vars(base)[name], "__get__")]
        for name in bare:
            value = vars(base)[name]
            raise AttributionError(
                f"{base.__name__} says {name} = {value!r} of a field without its type, which a dataclass ignores: write "
                f"{name}: {type(value).__name__} = {value!r}, and @dataclasses.dataclass(frozen=True) above the class"
            )


# The table of methods by name, as `attribute(method=...)` takes them; `methods` fills it, and others may add theirs.
METHODS: Registry[type[Method]] = Registry("method", _made)


def as_method(method: str | Method) -> Method:
    """A method as a user may write it: its name, or a row of the table."""
    if isinstance(method, Method):
        return _consistent(method)
    if isinstance(method, str) and method in METHODS:
        return METHODS[method]()
    if isinstance(method, type) and issubclass(method, Method):
        raise AttributionError(
            f"method is the class {method.__name__}: give an instance, method={method.__name__}(), or a name such as 'gradient'"
        )
    raise AttributionError(
        f"no method is called {method!r}; there are: {_some(method)}, or an instance such as "
        "ta.IntegratedGradients(tolerance=0.01)"
    )


def _some(method: Any) -> str:
    """Names of methods: those that are nearest, or of what is no name all."""
    return nearest(method, METHODS) if isinstance(method, str) else ", ".join(map(repr, METHODS))
