"""Calls that a user gets wrong: what is done with an attributor and its results. One clear error each."""

import keras
import numpy as np
import tensorflow as tf

import tf_attrib as ta
from tf_attrib import metrics

from ..helpers.bad_calls import IDS, IMAGES, X, cases, refuses

Y = np.array([0, 1, 2])


def written(kit, name, **arrays):
    np.savez(kit.folder / name, **arrays)
    return kit.folder / f"{name}.npz"


DOCTOR = [
    ("diagnose a model", lambda kit: ta.diagnose(kit.models.table, X), ["ta.Attributor(model)", "Functional"]),
    ("diagnose nothing", lambda kit: ta.diagnose(kit.table, None), ["no inputs"]),
    (
        "diagnose a dataset",
        lambda kit: ta.diagnose(kit.table, tf.data.Dataset.from_tensor_slices(X).repeat()),
        ["never ends", "dataset.take("],
    ),
    ("diagnose a target", lambda kit: ta.diagnose(kit.table, X, 9), ["target 9", "from 0 to 2"]),
    ("diagnose a gradient", lambda kit: ta.diagnose(kit.table, X, method="gradient"), ["integrated gradients"]),
    ("diagnose by default", lambda kit: ta.diagnose(kit.table, X, default_class="none"), ["default_class", "'none'"]),
    ("diagnose each position", lambda kit: ta.diagnose(kit.sequence, X[None], ta.each_position()), ["position"]),
    ("saturation of a model", lambda kit: ta.saturation(kit.models.table, X), ["ta.Attributor(model)", "Functional"]),
    ("saturation of nothing", lambda kit: ta.saturation(kit.table, None), ["NoneType"]),
    ("saturation of no batches", lambda kit: ta.saturation(kit.table, iter([])), ["empty", "at least one batch"]),
    ("saturation of a layer", lambda kit: ta.saturation(kit.table, X, "hiden"), ["'hiden'", "'hidden'"]),
    ("saturation near", lambda kit: ta.saturation(kit.table, X, near=2), ["near", "2"]),
    ("saturation flat", lambda kit: ta.saturation(kit.table, X, flat="a"), ["flat", "'a'"]),
    (
        "misclassified by a model",
        lambda kit: ta.misclassified(kit.models.table, (X, Y)),
        ["ta.Attributor(model)", "Functional"],
    ),
    ("misclassified without labels", lambda kit: ta.misclassified(kit.table, X), ["label"]),
    ("misclassified of fewer", lambda kit: ta.misclassified(kit.table, (X, Y[:2])), ["3", "2"]),
    ("misclassified of none", lambda kit: ta.misclassified(kit.table, (X, Y), 0), ["n ", "0"]),
    ("misclassified of classes", lambda kit: ta.misclassified(kit.table, (X, Y + 7)), ["from 0 to 2", "7 to 9"]),
    ("misclassified by names", lambda kit: ta.misclassified(kit.table, (X, Y), classes=["a"]), ["classes", "3"]),
    ("misclassified without classes", lambda kit: ta.misclassified(kit.single, (X, Y)), ["class"]),
    ("check of nothing", lambda kit: ta.check_attributions(None), ["no attributions were given"]),
    ("check of words", lambda kit: ta.check_attributions("all"), ["attributions"]),
    ("check without scores", lambda kit: ta.check_attributions(X), ["scores"]),
    ("check of fewer scores", lambda kit: ta.check_attributions(X, [1.0], [0.0]), ["3", "1"]),
    (
        "check of other inputs",
        lambda kit: ta.check_attributions(X, Y, Y, inputs=X[:2], baselines=ta.zeros()),
        ["(2, 4)", "same examples"],
    ),
    ("check of a tolerance", lambda kit: ta.check_attributions(X, Y, Y + 1, tolerance=-1), ["tolerance", "-1"]),
    ("check by a model", lambda kit: ta.check_attributions(X, inputs=X, attributor=kit.models.table), ["ta.Attributor(model)"]),
    ("check by an attributor alone", lambda kit: ta.check_attributions(X, attributor=kit.table), ["inputs="]),
]

METRICS = [
    ("aopc of a model", lambda kit: metrics.aopc(kit.models.table, X), ["ta.Attributor(model)", "Functional"]),
    ("aopc of nothing", lambda kit: metrics.aopc(kit.table, None), ["no inputs"]),
    ("aopc of a method", lambda kit: metrics.aopc(kit.table, X, method="gradients"), ["'gradients'", "'gradient'"]),
    ("aopc of a result's target", lambda kit: metrics.aopc(kit.table, kit.result, target=1), ["knows its target"]),
    (
        "aopc of steps of a path",
        lambda kit: metrics.aopc(kit.table, kit.interior),
        ["interior gradients", "integrated_gradients"],
    ),
    ("aopc of no steps", lambda kit: metrics.aopc(kit.table, X, steps=0), ["steps", "0"]),
    ("aopc of a share", lambda kit: metrics.aopc(kit.table, X, share=2.0), ["share", "2"]),
    ("aopc of units", lambda kit: metrics.aopc(kit.table, X, units="words"), ["units", "'words'"]),
    ("aopc of patches of a table", lambda kit: metrics.aopc(kit.table, X, patch=2), ["patch"]),
    ("aopc of no patches", lambda kit: metrics.aopc(kit.image, IMAGES, patch=0), ["patch", "0"]),
    ("aopc with a replacement", lambda kit: metrics.aopc(kit.table, X, replacement="gray"), ["gray"]),
    ("deletion of another model", lambda kit: metrics.deletion(kit.image, kit.result), ["(batch, 6, 6, 1)"]),
    ("insertion of a result", lambda kit: metrics.insertion(kit.result, X), ["ta.Attributor(model)", "Attribution"]),
    ("infidelity of no samples", lambda kit: metrics.infidelity(kit.table, X, samples=0), ["samples", "0"]),
    (
        "infidelity of a perturbation",
        lambda kit: metrics.infidelity(kit.table, X, perturbation="noise"),
        ["perturbation must be Gaussian(stddev)", "<U5"],
    ),
    ("sensitivity of a radius", lambda kit: metrics.max_sensitivity(kit.table, X, radius=-1), ["radius", "-1"]),
    ("sensitivity of no samples", lambda kit: metrics.max_sensitivity(kit.table, X, samples=0), ["samples", "0"]),
    ("sensitivity of a model", lambda kit: metrics.max_sensitivity(kit.models.table, X), ["ta.Attributor(model)"]),
    ("sparseness of inputs", lambda kit: metrics.sparseness(X), ["of a result", "attributor.attribute(inputs)"]),
    ("pointing of inputs", lambda kit: metrics.pointing(X, X), ["of a result"]),
    ("pointing at masks of another size", lambda kit: metrics.pointing(kit.picture, np.ones((2, 5, 5))), ["(2, 5, 5)"]),
    (
        "pointing within nothing",
        lambda kit: metrics.pointing(kit.picture, np.ones((2, 6, 6)), tolerance=-1),
        ["tolerance", "-1"],
    ),
    ("randomisation of a function", lambda kit: metrics.randomisation(kit.single, X), ["Keras model"]),
    ("randomisation of layers", lambda kit: metrics.randomisation(kit.table, X, layers=["hiden"]), ["'hiden'", "'hidden'"]),
    ("randomisation in modes", lambda kit: metrics.randomisation(kit.table, X, modes="all"), ["'cascading'", "'all'"]),
    ("compare models", lambda kit: metrics.compare(kit.models.table, X), ["ta.Attributor(model)", "Functional"]),
    ("compare no methods", lambda kit: metrics.compare(kit.table, X, []), ["method"]),
    ("compare a misspelt method", lambda kit: metrics.compare(kit.table, X, ["gradients"]), ["'gradients'", "'gradient'"]),
    ("compare by a metric", lambda kit: metrics.compare(kit.table, X, metrics=["aupc"]), ["'aupc'", "'aopc'"]),
    ("compare by no metric", lambda kit: metrics.compare(kit.table, X, metrics=[]), ["metric"]),
    ("compare numbers", lambda kit: metrics.compare(kit.table, X, 3), ["3"]),
]

RESULTS = [
    ("summarise a path", lambda kit: ta.summarise("results"), ["Attribution", "str"]),
    ("summarise arrays", lambda kit: ta.summarise([X]), ["Attribution", "ndarray"]),
    ("summarise nothing", lambda kit: ta.summarise([]), ["no "]),
    ("summarise by", lambda kit: ta.summarise(kit.result, by="class"), ["by is one of", "'class'"]),
    ("summarise as", lambda kit: ta.summarise(kit.result, kind="pixels"), ["kind is one of", "'pixels'"]),
    ("summarise fewer labels", lambda kit: ta.summarise(kit.result, labels=[1]), ["1 labels", "3 examples"]),
    ("summarise other names", lambda kit: ta.summarise(kit.result, names=["a"]), ["names", "4"]),
    ("summarise unlike results", lambda kit: ta.summarise([kit.result, kit.picture]), ["differ"]),
    ("summarise steps of a path", lambda kit: ta.summarise(kit.interior), ["nterior"]),
    ("summarise other classes", lambda kit: ta.summarise(kit.result, classes=["a"]), ["classes"]),
    ("load nothing", lambda kit: ta.load(kit.folder / "none.npz"), ["there is no file", "none.npz"]),
    ("load a folder", lambda kit: ta.load(kit.folder), ["not a saved attribution"]),
    ("load arrays", lambda kit: ta.load(written(kit, "arrays", x=X)), ["not a saved attribution", "header"]),
    ("load another header", lambda kit: ta.load(written(kit, "other", header="{}")), ["not a saved attribution"]),
    (
        "load another format",
        lambda kit: ta.load(written(kit, "later", header='{"format": 9, "words": {}, "keys": {}}')),
        ["format 9"],
    ),
    (
        "load an empty header",
        lambda kit: ta.load(written(kit, "bare", header='{"format": 1, "words": {}, "keys": {}}')),
        ["no whole saved attribution", "attributions"],
    ),
    (
        "load a header without keys",
        lambda kit: ta.load(written(kit, "keyless", header='{"format": 1, "words": {}}')),
        ["no whole", "keys"],
    ),
    (
        "load a header of lists",
        lambda kit: ta.load(written(kit, "lists", header='{"format": 1, "words": [], "keys": []}')),
        ["no whole"],
    ),
    (
        "load unknown words",
        lambda kit: ta.load(written(kit, "words", header='{"format": 1, "words": {"colour": "red"}, "keys": {}}', scores=Y)),
        ["no whole", "colour"],
    ),
    (
        "load missing arrays",
        lambda kit: ta.load(
            written(kit, "missing", header='{"format": 1, "words": {}, "keys": {"attributions": [null]}}', scores=Y)
        ),
        ["no whole", "attributions/0"],
    ),
    (
        "load unequal arrays",
        lambda kit: ta.load(
            written(
                kit,
                "unequal",
                scores=Y,
                **{"attributions/0": X[:2]},
                header=('{"format": 1, "words": {}, "keys": {"attributions": [null]}}'),
            )
        ),
        ["no whole", "2 examples"],
    ),
    (
        "load words that are numbers",
        lambda kit: ta.load(
            written(
                kit,
                "numbers",
                scores=Y,
                **{"attributions/0": X},
                header=('{"format": 1, "words": {"method": 3}, "keys": {"attributions": [null]}}'),
            )
        ),
        ["no whole", "method"],
    ),
    (
        "save over another",
        lambda kit: [kit.result.save(kit.folder / "twice.npz") for _ in range(2)],
        ["exists", "overwrite=True"],
    ),
    ("save in no folder", lambda kit: kit.result.save(kit.folder / "no" / "r.npz"), ["no folder"]),
    ("an example beyond the end", lambda kit: kit.result[9], ["example 9 of 3"], IndexError),
    ("a sum over the batch", lambda kit: kit.result.sum(0), ["axis 0", "the batch"], ValueError),
    ("a sum over no axis", lambda kit: kit.result.sum(None), ["feature axes"]),
    ("a sum over an empty list", lambda kit: kit.result.sum(()), ["feature axes", "()"]),
    ("a sum over an axis twice", lambda kit: kit.result.sum((1, -1)), ["(1, -1)", "twice"]),
    ("the best of no number", lambda kit: kit.result.top(None), ["k must be at least 1", "None"]),
    ("the best one and a half", lambda kit: kit.result.top(1.5), ["k must be at least 1", "1.5"]),
    ("a mean over too many", lambda kit: kit.result.mean(5), ["axis 5", "(3, 4)"], ValueError),
    ("the best none", lambda kit: kit.result.top(0), ["k must be at least 1"], ValueError),
    ("the best by other names", lambda kit: kit.result.top(2, names=["a"]), ["1 names for 4"], ValueError),
    ("plot an example", lambda kit: kit.result.plot(example=9), ["9", "3"], ValueError),
    ("plot no example", lambda kit: kit.result.plot(example=[]), ["example is the number", "[]"]),
    ("plot half an example", lambda kit: kit.result.plot(example=1.5), ["example is the number", "1.5"]),
    ("plot by an option of others", lambda kit: kit.result.plot(tokns=[["a"]]), ["plot", "'tokns'", "takes 'tokens'"]),
    ("a grid by an option of others", lambda kit: kit.picture.grid(cmap="jet"), ["grid", "'cmap'", "'kind'"]),
    ("plot as", lambda kit: kit.result.plot(kind="pie"), ["'pie'"], ValueError),
    ("plot a table as an image", lambda kit: kit.result.plot(kind="image"), ["image"], ValueError),
    ("plot a sign", lambda kit: kit.picture.plot(sign="plus"), ["sign", "'plus'"], ValueError),
    ("plot clipped", lambda kit: kit.picture.plot(clip=2.0), ["clip", "2"], ValueError),
    ("plot outlined", lambda kit: kit.picture.plot(outlined=3), ["3"], ValueError),
    ("plot a range", lambda kit: kit.picture.plot(value_range=(1, 0)), ["value_range", "(1, 0)"], ValueError),
    ("plot other names", lambda kit: kit.result.plot(names=["a"]), ["names", "4"], ValueError),
    ("plot other words", lambda kit: kit.text.plot(tokens=[["a"]]), ["2"], ValueError),
    ("pages of other words", lambda kit: kit.text.to_html([["a"] * 6]), ["2"], ValueError),
    (
        "pages of a table",
        lambda kit: kit.picture.to_html([["a"]]),
        ["cannot be drawn as kind='words'", "(2, 6, 6, 1)"],
        ValueError,
    ),
]

LOGS = [
    ("log to a folder", lambda kit: ta.log_attributions(kit.result, "logs", 0), ["create_file_writer", "str"]),
    ("log arrays", lambda kit: ta.log_attributions(X, kit.writer, 0), ["attributor.attribute(inputs)", "ndarray"]),
    ("log no step", lambda kit: ta.log_attributions(kit.result, kit.writer, "first"), ["step", "'first'"]),
    ("log fewer labels", lambda kit: ta.log_attributions(kit.result, kit.writer, 0, labels=[1]), ["1", "3"]),
    (
        "log other class names",
        lambda kit: ta.log_attributions(
            kit.table.attribute(X, 2, method="gradient", verbose=False), kit.writer, 0, class_names=["a", "b"]
        ),
        ["class_names", "2 names", "3 classes"],
    ),
    (
        "log class names as a word",
        lambda kit: ta.log_attributions(kit.result, kit.writer, 0, class_names="abc"),
        ["class_names", "'abc'"],
    ),
    ("log beside others", lambda kit: ta.log_attributions(kit.result, kit.writer, 0, previous=kit.picture), ["previous"]),
    ("log other words", lambda kit: ta.log_attributions(kit.text, kit.writer, 0, tokens=[["a"]]), ["tokens"]),
    ("watch nothing", lambda kit: ta.AttributionCallback(None, kit.folder), ["samples", "NoneType"]),
    ("watch a number", lambda kit: ta.AttributionCallback(3, kit.folder), ["samples", "int"]),
    ("watch no examples", lambda kit: ta.AttributionCallback(X[:0], kit.folder), ["at least one"]),
    ("watch fewer labels", lambda kit: ta.AttributionCallback((X, Y[:2]), kit.folder), ["as many labels"]),
    ("watch three parts", lambda kit: ta.AttributionCallback((X, Y, Y), kit.folder), ["tuple (x, y)"]),
    ("watch never", lambda kit: ta.AttributionCallback(X, kit.folder, freq=0), ["freq", "0"]),
    ("watch by a method", lambda kit: ta.AttributionCallback(X, kit.folder, method="gradients"), ["'gradients'"]),
    ("watch at a number", lambda kit: ta.AttributionCallback(X, kit.folder, at=3), ["at must be"]),
    ("watch and fail", lambda kit: ta.AttributionCallback(X, kit.folder, on_error="ignore"), ["on_error", "'ignore'"]),
    ("watch by class names", lambda kit: ta.AttributionCallback(X, kit.folder, class_names="ab"), ["class_names", "'ab'"]),
    (
        "watch another layer",
        lambda kit: compiled(kit).evaluate(
            X, Y, callbacks=[ta.AttributionCallback(X, kit.folder, at="hiden", on_error="raise")], verbose=0
        ),
        ["'hiden'", "'hidden'"],
    ),
    (
        "watch other class names",
        lambda kit: compiled(kit).evaluate(
            X, Y, callbacks=[ta.AttributionCallback((X, Y), kit.folder, class_names=["a"], on_error="raise")], verbose=0
        ),
        ["class_names", "3 classes"],
    ),
]

FILES = [
    ("inspect a number", lambda kit: ta.inspect(3), ["a path or a Keras model", "int"]),
    ("inspect nothing", lambda kit: ta.inspect(kit.folder / "none"), ["none"]),
    ("inspect a folder", lambda kit: ta.inspect(kit.folder), ["saved_model.pb"]),
    ("inspect a signature", lambda kit: ta.inspect(kit.models.table, "serve"), ["'serve'"]),
    ("words of a table", lambda kit: ta.vocabulary(kit.models.table), ["no vocabulary"]),
    ("words of nothing", lambda kit: ta.vocabulary(kit.folder / "none"), ["none"]),
    ("words of a number", lambda kit: ta.vocabulary(3), ["a Keras model or a path", "int"]),
    ("load a model from nothing", lambda kit: ta.load_model(kit.folder / "none.keras"), ["none.keras"]),
    ("load a model from a result", lambda kit: ta.load_model(kit.result.save(kit.folder / "model.npz", True)), ["model.npz"]),
]

DIFFERENTIABLE = [
    ("integrate a name", lambda kit: ta.integrated_gradients("model", X), ["function", "'model'"]),
    ("integrate over no steps", lambda kit: ta.integrated_gradients(lambda x: x[:, 0], X, n_steps=0), ["n_steps", "0"]),
    (
        "integrate by a rule",
        lambda kit: ta.integrated_gradients(lambda x: x[:, 0], X, rule="simpson"),
        ["'simpson'", "'trapezoid'"],
    ),
    ("integrate from another shape", lambda kit: ta.integrated_gradients(lambda x: x[:, 0], X, np.zeros(3)), ["(3,)"]),
    ("integrate each class", lambda kit: ta.integrated_gradients(lambda x: x, X), ["(batch,)"]),
    ("integrate integers", lambda kit: ta.integrated_gradients(lambda x: x[:, 0], IDS), ["int32", "float"]),
    ("integrate a number", lambda kit: ta.integrated_gradients(lambda x: x, 3.0), ["batch"]),
]


def compiled(kit):
    kit.models.table.compile(loss=keras.losses.SparseCategoricalCrossentropy())
    return kit.models.table


@cases(DOCTOR)
def test_doctor(kit, row):
    refuses(row[1], kit, *row[2:])


@cases(METRICS)
def test_metrics(kit, row):
    refuses(row[1], kit, *row[2:])


@cases(RESULTS)
def test_results(kit, row):
    refuses(row[1], kit, *row[2:])


@cases(LOGS)
def test_logs(kit, row):
    refuses(row[1], kit, *row[2:])


@cases(FILES + DIFFERENTIABLE)
def test_files_and_gradients(kit, row):
    refuses(row[1], kit, *row[2:])
