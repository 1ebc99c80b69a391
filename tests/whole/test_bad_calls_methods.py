"""Calls that a user gets wrong: methods and baselines. One clear error each."""

import numpy as np
import tensorflow as tf

import tf_attrib as ta
from tf_attrib.engine.integral.quadrature import Rule

from ..helpers.bad_calls import IDS, IMAGES, PIXELS, X, cases, refuses


def by(method, baselines=None, at="table", x=X):
    """A call of `attribute` by the method that `method()` makes."""
    return lambda kit: getattr(kit, at).attribute(x, None, baselines, method() if callable(method) else method)


def against(make, at="table", x=X):
    """A call of `attribute` against the baseline that `make()` makes."""
    return lambda kit: getattr(kit, at).attribute(x, baselines=make() if callable(make) else make)


METHODS = [
    ("misspelt", by("integrated_gradient"), ["'integrated_gradient'", "'integrated_gradients'"]),
    ("none", by(None), ["None", "'gradient'"]),
    ("a number", by(3), ["no method is called 3", "'integrated_gradients'"]),
    ("a class", lambda kit: kit.table.attribute(X, method=ta.IntegratedGradients), ["'gradient'", "an instance"]),
    ("a method of another library", by("shap"), ["'shap'", "'deepshap'"]),
    ("a rule that is none", by(lambda: ta.IntegratedGradients(rule="trapez")), ["'trapez'", "'trapezoid'"]),
    ("a rule for a tolerance", by(lambda: ta.IntegratedGradients("trapezoid")), ["tolerance", "rule='trapezoid'"]),
    ("no steps", by(lambda: ta.IntegratedGradients(n_steps=0)), ["n_steps", "at least 1", "0"]),
    ("half a step", by(lambda: ta.IntegratedGradients(n_steps=2.5)), ["n_steps", "2.5"]),
    ("steps in words", by(lambda: ta.IntegratedGradients(n_steps="50")), ["n_steps", "'50'"]),
    ("millions of nodes", by(lambda: ta.IntegratedGradients(n_steps=10**7)), ["n_steps=10000000", "5000", "tolerance=0.001"]),
    ("millions of trapezoids", by(lambda: ta.IntegratedGradients(rule="trapezoid", n_steps=10**7)), ["1000000", "tolerance"]),
    ("steps and a tolerance", by(lambda: ta.IntegratedGradients(0.01, n_steps=50)), ["leave one or the other out"]),
    ("a tolerance of none", by(lambda: ta.IntegratedGradients(0)), ["tolerance", "between 0 and 1", "0"]),
    ("a tolerance of percent", by(lambda: ta.IntegratedGradients(5)), ["tolerance", "between 0 and 1", "5"]),
    ("a tolerance that is no number", by(lambda: ta.IntegratedGradients(float("nan"))), ["tolerance", "nan"]),
    ("one evaluation", by(lambda: ta.IntegratedGradients(0.01, 1)), ["max_evaluations", "at least 2", "1"]),
    ("half an evaluation", by(lambda: ta.IntegratedGradients(0.01, 2.5)), ["max_evaluations", "2.5"]),
    (
        "weights that do not sum to one",
        by(lambda: ta.IntegratedGradients(rule=Rule("mine", [0.0, 1.0], [0.5, 0.4]))),
        ["sum to 1", "0.9"],
    ),
    ("nodes beyond the path", by(lambda: ta.IntegratedGradients(rule=Rule("mine", [0.0, 2.0], [0.5, 0.5]))), ["[0, 1]"]),
    ("more nodes than weights", by(lambda: ta.IntegratedGradients(rule=Rule("mine", [0.0, 1.0], [1.0]))), ["as many weights"]),
    ("interior steps of none", by(lambda: ta.InteriorGradients(0)), ["n_steps", "at least 1"]),
    ("interior steps in words", by(lambda: ta.InteriorGradients("9")), ["n_steps", "'9'"]),
    ("interior to several", by(lambda: ta.InteriorGradients(3), ta.uniform(2, 0, 1)), ["one path", "2 baselines"]),
    ("expected of no data", by("expected_gradients"), ["baselines=ta.dataset(samples)"]),
    ("no samples", by(lambda: ta.ExpectedGradients(0), ta.zeros()), ["n_samples", "at least 1"]),
    ("samples in words", by(lambda: ta.ExpectedGradients("9"), ta.zeros()), ["n_samples", "'9'"]),
    ("smooth of none", by(lambda: ta.SmoothGrad(n_samples=0)), ["n_samples", "at least 1"]),
    ("smooth of half", by(lambda: ta.SmoothGrad(n_samples=1.5)), ["n_samples", "1.5"]),
    ("smooth without noise", by(lambda: ta.SmoothGrad(stddev=0)), ["stddev", "above 0"]),
    ("smooth with noise in words", by(lambda: ta.SmoothGrad(stddev="0.1")), ["stddev", "'0.1'"]),
    ("smooth of a mask", by(lambda: ta.SmoothGrad("occlusion")), ["inner must be a method that takes gradients", "Occlusion"]),
    ("smooth of smooth", by(lambda: ta.SmoothGrad("smoothgrad")), ["inner must be", "SmoothGrad"]),
    ("smooth of a number", by(lambda: ta.SmoothGrad(50)), ["inner must be", "50"]),
    ("smooth misspelt", by(lambda: ta.VarGrad("gradients")), ["'gradients'", "'gradient'"]),
    ("a window in words", by(lambda: ta.Occlusion("3"), at="image", x=IMAGES), ["window", "'3'"]),
    ("a window of none", by(lambda: ta.Occlusion(0), at="image", x=IMAGES), ["window", "at least 1"]),
    ("a window too large", by(lambda: ta.Occlusion((7, 2)), at="image", x=IMAGES), ["(7, 2)", "larger", "(6, 6)"]),
    ("a window of three axes", by(lambda: ta.Occlusion((1, 1, 1)), at="image", x=IMAGES), ["window", "(1, 1, 1)"]),
    ("a window of fractions", by(lambda: ta.Occlusion((2.0, 2.0)), at="image", x=IMAGES), ["window", "2.0"]),
    ("a stride of none", by(lambda: ta.Occlusion(2, 0), at="image", x=IMAGES), ["stride", "at least 1"]),
    ("a stride in words", by(lambda: ta.Occlusion(2, "1"), at="image", x=IMAGES), ["stride", "'1'"]),
    ("a stride past the window", by(lambda: ta.Occlusion(1, 4), at="image", x=IMAGES), ["stride", "window"]),
    ("a value in words", by(lambda: ta.Occlusion(2, value="gray"), at="image", x=IMAGES), ["value", "'gray'"]),
    ("a value and baselines", by(lambda: ta.Occlusion(2, value=0.5), ta.zeros(), "image", IMAGES), ["takes no baselines"]),
    ("a window over two inputs", by(lambda: ta.Occlusion((1, 1)), at="pair", x=[X, X[:, :2]]), ["2 axes", "ta.inputs(name)"]),
    ("groups of another size", by(lambda: ta.Ablation(np.zeros((5, 5), int)), at="image", x=IMAGES), ["(5, 5)", "(6, 6)"]),
    ("groups of fractions", by(lambda: ta.Ablation(np.zeros((6, 6))), at="image", x=IMAGES), ["whole numbers", "float64"]),
    ("negative groups", by(lambda: ta.Ablation(np.full((6, 6), -1)), at="image", x=IMAGES), ["at least 0", "-1"]),
    ("ragged groups", by(lambda: ta.Ablation([[0, 1], [2]])), ["group", "ragged"]),
    ("groups in words", by(lambda: ta.Ablation("columns")), ["groups", "whole numbers"]),
    ("groups of two inputs", by(lambda: ta.Ablation([0, 1, 2, 3]), at="pair", x=[X, X[:, :2]]), ["groups for each"]),
    ("a rule of DeepLIFT that is none", by(lambda: ta.DeepLift("linear")), ["'rescale'", "'reveal_cancel'", "'linear'"]),
    ("classes to normalise in words", by(lambda: ta.DeepLift(normalise_classes="yes")), ["True or False", "'yes'"]),
    ("classes that are none", by(lambda: ta.DeepLift(normalise_classes=True), at="single"), ["no classes", "of='logits'"]),
    ("DeepSHAP of no data", by("deepshap"), ["baselines=ta.dataset(samples)"]),
    ("DeepSHAP of none", by(lambda: ta.DeepShap(n_references=0), ta.dataset(X)), ["n_references", "at least 1"]),
    ("DeepSHAP of too many", by(lambda: ta.DeepShap(n_references=9), ta.dataset(X)), ["n_references=9", "3 baselines"]),
    ("conductance of a path behind", by(lambda: ta.Conductance(path="head")), ["front of", "attributions are"]),
    ("conductance of a path that is none", by(lambda: ta.Conductance(path=3)), ["path= says where", "3"]),
    ("conductance through a name", by(lambda: ta.Conductance(through="hidden")), ["through must be ta.layer", "'hidden'"]),
    (
        "conductance through what is not there",
        by(lambda: ta.Conductance(through=ta.layer("hiden", unit=1))),
        ["'hiden'", "'hidden'"],
    ),
    (
        "conductance through with a path",
        by(lambda: ta.Conductance(through=ta.layer("hidden"), path="inputs")),
        ["leave path out"],
    ),
    ("influence of a path behind", by(lambda: ta.InternalInfluence(path="hidden")), ["front of"]),
    ("Grad-CAM of a table", by("grad_cam"), ["positions and channels", "ta.GradCam(layer=...)"]),
    ("Grad-CAM of a layer that is none", by(lambda: ta.GradCam("cnv"), at="image", x=IMAGES), ["'cnv'", "'conv'"]),
    ("Grad-CAM of a flat layer", by(lambda: ta.GradCam("hidden")), ["positions and channels", "(5,)"]),
    ("Grad-CAM of a number", by(lambda: ta.GradCam(7), at="image", x=IMAGES), ["at must be", "7"]),
    ("baselines of a gradient", by("gradient", ta.zeros()), ["takes no baselines", "'integrated_gradients'"]),
    ("baselines of a cloud", by("smoothgrad", ta.zeros()), ["takes no baselines", "ta.SmoothGrad('integrated_gradients')"]),
    ("coverage of a model", lambda kit: ta.coverage(kit.models.table), ["ta.Attributor(model)"]),
    ("coverage of a path", lambda kit: ta.coverage(kit.table, "file.keras"), ["'file.keras'"]),
    ("coverage of gradients", lambda kit: ta.coverage(kit.table, "gradient"), ["no rules", "'deeplift'"]),
    ("coverage of a function", lambda kit: ta.coverage(ta.Attributor(lambda x: x[:, 0])), ["inputs=examples"]),
]

BASELINES = [
    ("in words", against("zeros"), ["baseline must be of shape", "ta.zeros()"]),
    ("0", against(0), ["ta.zeros()", "ta.constant(value)"]),
    ("a function's name", against(lambda: ta.zeros), ["function", "'zeros'", "ta.zeros()"]),
    ("too narrow", against(np.zeros(3)), ["(4,)", "(3,)"]),
    ("of other examples", against(np.zeros((2, 4))), ["(3, 4)", "(2, 4)"]),
    ("NaN", against(np.full(4, np.nan)), ["NaN or infinity"]),
    ("ragged", against([[1.0, 2.0], [1.0]]), ["baseline", "ragged", "equal rows"]),
    ("ragged in a list", against([np.zeros(4), [[1.0], [1.0, 2.0]]]), ["baseline", "ragged"]),
    ("masked", against(np.ma.masked_array(np.zeros(4), [1, 0, 0, 0])), ["baseline", "masked"]),
    ("complex", against(np.zeros(4, complex)), ["complex128"]),
    ("nothing in a list", against([]), ["baselines"]),
    ("none in a list", against([None, ta.zeros()]), ["baseline", "NoneType"]),
    ("a dict of another name", against({"nobody": ta.zeros()}), ["dict of baselines", "the baseline itself"]),
    ("a dataset itself", against(lambda: tf.data.Dataset.from_tensor_slices(X)), ["baseline", "Dataset", "next(iter("]),
    ("a wrong key", against({"lft": ta.zeros()}, "pair", [X, X[:, :2]]), ["['lft']"]),
    ("one array for two inputs", against(np.zeros(4), "pair", [X, X[:, :2]]), ["one array for 2", "by key"]),
    (
        "two numbers of baselines",
        against([ta.uniform(2, 0, 1), ta.uniform(3, 0, 1)], "pair", [X, X[:, :2]]),
        ["2 and 3 baselines"],
    ),
    ("low above high", against(lambda: ta.uniform(2, 1, 0)), ["low < high", "1 and 0"]),
    ("no uniform noise", against(lambda: ta.uniform(0, 0, 1)), ["n must be", "0"]),
    ("uniform to NaN", against(lambda: ta.uniform(2, 0, float("nan"))), ["high", "nan"]),
    ("uniform in words", against(lambda: ta.uniform(2, "0", "1")), ["low", "'0'"]),
    ("a negative deviation", against(lambda: ta.gaussian(2, -1)), ["stddev", "above 0", "-1"]),
    ("a deviation of none", against(lambda: ta.gaussian(2, 0)), ["stddev", "above 0"]),
    ("half a draw", against(lambda: ta.gaussian(1.5, 1)), ["n must be", "1.5"]),
    ("a mean in words", against(lambda: ta.gaussian(2, 1, "x")), ["mean", "'x'"]),
    ("no blur", against(lambda: ta.blur(0), "image", IMAGES), ["sigma", "above 0", "0"]),
    ("a negative blur", against(lambda: ta.blur(-1), "image", IMAGES), ["sigma", "-1"]),
    ("a blur in words", against(lambda: ta.blur("2"), "image", IMAGES), ["sigma", "'2'"]),
    ("an endless blur", against(lambda: ta.blur(1e9), "image", IMAGES), ["ta.blur(1e+09)", "at most 6"]),
    ("an infinite blur", against(lambda: ta.blur(float("inf")), "image", IMAGES), ["sigma", "inf"]),
    ("a token in words", against(lambda: ta.token("the"), "words", IDS), ["ta.token", "'the'"]),
    ("a negative token", against(lambda: ta.token(-1), "words", IDS), ["ta.token", "at least 0", "-1"]),
    ("half a token", against(lambda: ta.token(1.5), "words", IDS), ["ta.token", "1.5"]),
    ("a token beyond the table", against(lambda: ta.token(99), "words", IDS), ["99", "20"]),
    ("a token beyond the integers", against(lambda: ta.token(2**40), "words", IDS), ["1099511627776", "int32"]),
    ("a token for numbers", against(lambda: ta.token(0), x=X + 0.25), ["ta.token", "integer inputs", "float32"]),
    ("a constant in words", against(lambda: ta.constant("gray")), ["ta.constant", "'gray'"]),
    ("a constant of another shape", against(lambda: ta.constant([1.0, 2.0, 3.0])), ["ta.constant", "(3,)", "(4,)"]),
    ("a constant of NaN", against(lambda: ta.constant(float("nan"))), ["NaN"]),
    ("black of a number", against(lambda: ta.black(255), "image", IMAGES), ["value_range", "(0, 255)", "255"]),
    ("white upside down", against(lambda: ta.white((1, 0)), "image", IMAGES), ["low < high", "(1, 0)"]),
    ("black of words", against(lambda: ta.black("ab"), "image", IMAGES), ["value_range", "'ab'"]),
    ("black of tokens", against(lambda: ta.black((0, 1)), "words", IDS), ["ta.black is for images", "ta.token(0)"]),
    ("half a white of integers", against(lambda: ta.white((0, 0.5)), "quantity", PIXELS), ["0.5", "uint8"]),
    (
        "samples in a dataset",
        against(lambda: ta.dataset(tf.data.Dataset.from_tensor_slices(X))),
        ["ta.dataset", "Dataset", "next(iter("],
    ),
    ("samples of a generator", against(lambda: ta.dataset(x for x in X)), ["ta.dataset", "generator"]),
    ("no samples at all", against(lambda: ta.dataset(X[:0])), ["no samples"]),
    ("a number of samples", against(lambda: ta.dataset(7)), ["ta.dataset", "()"]),
    ("more than there are", against(lambda: ta.dataset(X, 9)), ["from 1 to 3", "9"]),
    ("half a sample", against(lambda: ta.dataset(X, 1.5)), ["whole number", "1.5"]),
    ("samples of another shape", against(lambda: ta.dataset(X[:, :3])), ["(k, 4)", "(3, 3)"]),
    ("samples of other inputs", against(lambda: ta.dataset({"a": X, "b": X})), ["['a', 'b']"]),
    ("samples of unequal inputs", against(lambda: ta.dataset([X, X[:2]]), "pair", [X, X[:, :2]]), ["(3, 4)", "(2, 4)"]),
    ("fractions of pixels", against(lambda: ta.dataset(PIXELS / 255), "quantity", PIXELS), ["uint8", "fractions"]),
    ("an input of another shape", against(lambda: ta.at_input(np.zeros(3))), ["(4,)", "(3,)"]),
    ("an input that is a stream", against(lambda: ta.at_input(iter([X]))), ["ta.at_input", "list_iterator"]),
    ("several of none", against(lambda: ta.several([])), ["ta.several"]),
    ("several of a number", against(lambda: ta.several(3)), ["ta.several", "3"]),
    ("several of another shape", against(lambda: ta.several(np.zeros((2, 3)))), ["(k, 4)", "(2, 3)"]),
]


@cases(METHODS)
def test_methods(kit, row):
    refuses(row[1], kit, *row[2:])


@cases(BASELINES)
def test_baselines(kit, row):
    refuses(row[1], kit, *row[2:])
