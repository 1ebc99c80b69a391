"""`Attributor(model, at=, of=)`: the one class that a user meets."""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .attribution import Attribution
from .common.checks import whole_or_none
from .common.class_names import as_class_names
from .common.errors import AttributionError, printed
from .common.failures import plain_failures
from .common.progress import progress
from .engine.assemble import assemble
from .engine.compared import check_finite
from .engine.formats import with_format
from .engine.model import as_model, check_ways
from .engine.omission import put_back
from .engine.run import row_count, run
from .engine.session import Session
from .engine.tokens import tokens
from .engine.work import Work
from .export.exporting import Exporting
from .graph.called.route import Route
from .graph.traced import keras_model
from .graph.traced.trace import Traced
from .methods import Method, as_method
from .selection.at_and_of import as_at, as_of
from .selection.outputs import resolve_of
from .vertex.configured import configured
from .vertex.explainer import Explainer

# Bytes that a call takes beside the model, what it is given and what it gives: half of them gradients on the host.
MEMORY = 2**31


class Attributor(Exporting):
    """Says which parts of an input a model's prediction came from.

    Args:
        model: a Keras model (of Keras 3 or tf_keras; functional, Sequential, subclassed), a path to its `.keras` or `.h5`
            file, to the folder of a SavedModel or to a frozen `.pb`, or any differentiable function of the inputs (in the
            structure they come in: a tensor, list or dict).
        at: where attributions are wanted: "inputs", "embeddings", a layer (object or name), or `ta.inputs(name)`,
            `ta.embeddings(name)`, `ta.layer(x)`; or a list of those, none of which lies behind another.
            Default: the inputs; for those that are token ids, their embeddings; for categories and bins their encodings, or by
            methods that need no gradient the inputs themselves, of any type.
        of: what is explained: "probability", "logits", "log_probability", the name of an output, or
            `ta.probability(output)`, `ta.logits(output)`, `ta.log_probability(output)`, `ta.output(name)`,
            `ta.score(function)`. Default: the probability head, where there is one, else the output as it is.
        batch_size: gradient rows in a block; default: by the size of the model's activations.
        jit_compile: whether XLA compiles what rows are run by, for blocks of a few sizes. The first call takes longer, numbers
            differ by rounding. On a CPU it seldom pays; loops such as those of recurrent layers are refused.
        preprocess: a differentiable function applied to the inputs before the model, such as keras.applications'
            `preprocess_input`: path, baselines and pictures then live in raw pixels.
        memory: bytes that a call may take beside the model, what it is given and what it gives: half of them for gradients and
            noisy copies that are kept on the host, which bounds how many examples are in flight; the rest for a block, which
            then holds fewer rows. One path is always kept whole, and one row evaluated. Default: 2 GiB.
        signature: of a SavedModel; default: "serving_default", else the only one.
        eager: how a Keras model or function is evaluated. None: traced once into a graph, and where that fails (Python that
            branches on values, `.numpy()`, layers that need eager tensors) called under a `tf.GradientTape`. True: called.
            False: traced, or an error. `result.eager` says why a model was called, where it was.
        class_names: of the classes of the explained output, for prints, pictures and reports: a list with a name for each, a
            dict from some to their names, a file with one name a line, or "imagenet" (the list of Keras where it is on disk).
        allow_unsafe: load a model file that holds what is not known to compute and do nothing else: Lambda layers, which run
            its author's Python code, classes of others, operations that reach out of the graph.

    Raises:
        AttributionError: the model cannot be read or traced, or `of` does not exist in it.
    """

    def __init__(
        self,
        model: Any,
        at: Any = None,
        of: Any = None,
        batch_size: int | None = None,
        *,
        jit_compile: bool = False,
        preprocess: Callable | None = None,
        memory: int | None = None,
        signature: str | None = None,
        eager: bool | None = None,
        class_names: Any = None,
        allow_unsafe: bool = False,
    ) -> None:
        self.path = Path(model).absolute() if isinstance(model, str | os.PathLike) else None
        self._opened = {"signature": signature, "allow_unsafe": allow_unsafe}
        model = as_model(model, signature, allow_unsafe)
        check_ways(model, preprocess, eager, jit_compile)
        whole_or_none("batch_size", batch_size)
        whole_or_none("memory (in bytes)", memory)
        self.model, self.batch_size, self.preprocess = model, batch_size, preprocess
        self.eager = None if eager is None else bool(eager)
        self.jit_compile = bool(jit_compile)
        self.memory = MEMORY if memory is None else int(memory)
        self.at, self.of = as_at(at), as_of(of)
        self.class_names = as_class_names(class_names)
        if keras_model.is_keras(model):
            keras_model.check(model)
        self._route = Route(model, preprocess, batch_size, self.eager)
        self._sessions: dict[tuple, Session] = {}
        self._others: dict[Any, Attributor] = {}
        if self._specs is not None and preprocess is None:
            traced = self._route.traced(self._specs)
            if isinstance(traced, Traced):  # a model that is called waits for the first examples
                resolve_of(traced, self.of)  # a name that does not exist fails here, not at the first call

    @printed
    def __repr__(self) -> str:
        name = getattr(self.model, "name", getattr(self.model, "__name__", type(self.model).__name__))
        return f"Attributor({name!r}, at={self.at}, of={self.of})"

    def __copy__(self) -> "Attributor":
        found = object.__new__(type(self))
        found.__dict__.update(self.__dict__)
        return found

    def __reduce__(self) -> tuple:
        """The path of the model and the settings: what is unpickled, or copied deeply, reads the model anew."""
        if self.path is None:
            raise AttributionError(
                "an Attributor of a model in memory cannot be pickled or copied deeply: save the model, "
                "model.save('model.keras'), and make it from the path, ta.Attributor('model.keras')"
            )
        settings = {name: getattr(self, name) for name in ("jit_compile", "preprocess", "memory", "eager", "class_names")}
        made = functools.partial(type(self), **settings, **self._opened)
        return made, (str(self.path), self.at, self.of, self.batch_size)

    @classmethod
    def from_explanation_metadata(
        cls,
        saved_model_dir: str | os.PathLike,
        metadata: Any = None,
        parameters: Any = None,
        *,
        tolerance: float | None = None,
        signature: str | None = None,
        seed: int = 0,
        batch_size: int | None = None,
        allow_unsafe: bool = False,
    ) -> "Explainer":
        """A SavedModel as Vertex Explainable AI was configured to explain it, from the files that its users have.

        Args:
            saved_model_dir: the folder of the SavedModel.
            metadata, parameters, tolerance: as of `ta.vertex.load_metadata`; default: the `explanation_metadata.json` in the
                folder, and its parameters.
            signature: that instances are for; default: "serving_default", else the only one.
            seed: of random methods.
            batch_size, allow_unsafe: as of `Attributor`.

        Returns:
            A `ta.vertex.Explainer`: `explain(instances)` gives what an endpoint answered, `attribute(inputs)` an `Attribution`.

        Raises:
            AttributionError: a field that is unknown, wrong, or cannot be honoured, or that does not fit the model.
        """
        options = {"batch_size": batch_size, "allow_unsafe": allow_unsafe}
        return configured(cls, saved_model_dir, metadata, parameters, tolerance, signature, seed, **options)

    @property
    def input_shape(self) -> tuple | None:
        """The shape of one example of a model with one input, None for any size; None where the model does not say."""
        specs = self.input_specs
        if specs is None or len(specs) != 1:
            return None
        (spec,) = specs.values()
        return tuple(spec.shape[1:])

    @property
    def input_specs(self) -> dict | None:
        """The TensorSpec of each input by key; None where the model does not say what it takes."""
        self._route.look()
        return self._specs

    @plain_failures()
    def output_shape(self, inputs: Any) -> tuple:
        """The shape of the explained output for one example such as `inputs`: () for one number, (classes,), (length, classes).

        A single sigmoid unit has two classes.
        """
        session, ready, _ = self.prepare(inputs)
        return session.shape(ready)

    @plain_failures()
    def attribute(
        self,
        inputs: Any,
        target: Any = None,
        baselines: Any = None,
        method: str | Method = "integrated_gradients",
        seed: int | None = None,
        verbose: str | bool = "auto",
        *,
        on_error: str = "raise",
    ) -> Attribution:
        """Attributes the explained score of each example to the selected tensors.

        Args:
            inputs: (batch, ...), or a list or dict of such, as the model takes them; or a DataFrame (pandas, polars), whose
                columns are the model's inputs by name, or side by side the features of its only one; or a `tf.data.Dataset` of
                them, with labels or without, which is read into memory (`ta.attribute_dataset` takes larger ones).
            target: None (the predicted class), an int, one for each example (1-D); for outputs with positions a tuple
                (position, class), an (n, 2) array of those, or `ta.each_position()`: one attribution for each position.
            baselines: None (zeros), an array (...) for all or (n, ...) one for each, one of `ta.zeros`, `ta.constant`,
                `ta.uniform`, `ta.gaussian`, `ta.blur`, `ta.token`, `ta.dataset`, `ta.typical`, `ta.black`,
                `ta.white`, `ta.at_input`; a list of those, or `ta.several`, is averaged. With several selected tensors:
                a list or dict, one for each.
            method: "gradient", "gradient_times_input", "interior_gradients", "integrated_gradients",
                "expected_gradients", "occlusion", "deeplift", ... (all are in `ta.METHODS`), or an instance such as
                `ta.IntegratedGradients(tolerance=0.01)`.
            seed: of random baselines and methods; None draws anew.
            verbose: "auto" shows a progress bar when the call takes over two seconds; True always, False never.
            on_error: what becomes of examples with inputs, baselines of their own, scores or gradients that are NaN or
                infinite: "raise", or "mark": they get the status "not_finite" and attributions of NaN, and the others are done,
                to the last bit as without those whose inputs or baselines are.

        Returns:
            An `Attribution`, in the structure and shape of the selected tensors.

        Raises:
            AttributionError: inputs, target or baselines that do not fit, scores or gradients that are not finite, or a
                model that fails on these inputs.
        """
        if verbose not in ("auto", True, False):
            raise AttributionError(f"verbose must be 'auto', True or False, got {verbose!r}")
        if on_error not in ("raise", "mark"):
            raise AttributionError(f"on_error must be 'raise' or 'mark', got {on_error!r}")
        method = as_method(method)
        work = self.work(inputs, target, baselines, method, seed, on_error)
        return self.attributed(work, method, seed, verbose, on_error)

    @plain_failures()
    def attributed(
        self, work: "Work", method: Method, seed: int | None = None, verbose: str | bool = False, on_error: str = "raise"
    ) -> Attribution:
        """What `attribute` makes of its work; the arguments are those of `attribute`."""
        if on_error == "raise":
            check_finite("score", work.compared.scores[:, None])
            check_finite("score at the baseline", work.compared.baseline_scores, work.not_finite_alone)
        with progress(verbose, lambda: row_count(method, work)) as advance:
            outcome = run(method, work, seed, max(self.memory // 2, 1), advance)
        if on_error == "raise":
            check_finite("score, gradient or attribution", np.where(outcome.finite, 0, np.nan)[:, None])
        function = work.session.function
        fields = assemble(method, function, outcome, work, self._tokens(work.session, work.ready))
        if self.class_names is not None and function.output.has_classes:
            self.class_names.check(work.session.shape(work.ready)[-1])
            top = fields["top_classes"]
            fields["class_names"] = self.class_names.among(fields["target"], None if top is None else top.ravel())
        result = with_format(method, work, Attribution(**fields))
        return result if work.omitted is None else put_back(result, work.omitted)

    @plain_failures()
    def check(
        self,
        inputs: Any,
        target: Any = None,
        baselines: Any = None,
        method: str | Method = "integrated_gradients",
        seed: int | None = None,
    ) -> Attribution:
        """Raises what `attribute` would of these arguments, at the cost of a forward pass and the gradients of one example.

        For those that attribute later and want to fail now, such as a callback. The arguments are those of `attribute`;
        scores that are not finite are no failure.

        Returns:
            The result for the first example.

        Raises:
            AttributionError: as `attribute`.
        """
        method = as_method(method)
        work = self.work(inputs, target, baselines, method, seed).of_examples(np.arange(1))
        return self.attributed(work, method, seed, on_error="mark")

    def _tokens(self, session: Session, ready: dict) -> np.ndarray | None:
        """(n, length), the words behind one lookup's indices, where the model knows them."""
        known = keras_model.vocabulary(self.model) if session.function.place.indices is not None else None
        return tokens(session, ready, known)


def as_attributor(value: Any, who: str) -> Attributor:
    """`value`, where it is an attributor; people give `who`, a function of this library, the model itself.

    Raises:
        AttributionError: it is none.
    """
    if not isinstance(value, Attributor):
        raise AttributionError(f"{who} takes an attributor, such as ta.Attributor(model); got {type(value).__name__}")
    return value
