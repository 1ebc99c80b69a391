"""`tf_attrib.tfma`: what TFMA's own metrics make of attributions; `.ci/beam tfma` runs these."""

import keras
import numpy as np
import pytest

import tf_attrib as ta

from ..conftest import assert_refused

tfma = pytest.importorskip(
    "tensorflow_model_analysis", reason="needs the extra tfma: .ci/beam tfma makes an environment of its own for it"
)

import apache_beam as beam  # noqa: E402
import tensorflow as tf  # noqa: E402
from google.protobuf import text_format  # noqa: E402
from tensorflow_model_analysis.api import model_eval_lib  # noqa: E402
from tensorflow_model_analysis.extractors import materialized_predictions_extractor  # noqa: E402
from tensorflow_model_analysis.proto import config_pb2  # noqa: E402
from tfx_bsl.public import tfxio  # noqa: E402

from tf_attrib.tfma import AttributionExtractor  # noqa: E402

X = np.random.default_rng(0).normal(size=(40, 4)).astype("float32")
CONFIG = """
    model_specs { label_key: "y" prediction_key: "p" }
    slicing_specs {}
    slicing_specs { feature_keys: ["side"] }
    metrics_specs {
      metrics { class_name: "ExampleCount" }
      metrics { class_name: "TotalAttributions" }
      metrics { class_name: "MeanAbsoluteAttributions" }
    }
"""


@pytest.fixture(scope="module")
def path(table, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "model.keras"
    table.save(path)
    return str(path)


def serialized():
    for i, row in enumerate(X):
        features = {name: tf.train.Feature(float_list=tf.train.FloatList(value=[row[k]])) for k, name in enumerate("abcd")}
        features |= {"y": tf.train.Feature(float_list=tf.train.FloatList(value=[i % 2]))}
        features |= {"p": tf.train.Feature(float_list=tf.train.FloatList(value=[0.5]))}
        features |= {"side": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"left" if i < 10 else b"right"]))}
        yield tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def test_the_metrics_of_tfma_are_sums_of_attributions(path, tmp_path):
    config = text_format.Parse(CONFIG, config_pb2.EvalConfig())
    names = tfma.extractors
    extractors = [
        names.FeaturesExtractor(config),
        names.LabelsExtractor(config),
        names.ExampleWeightsExtractor(config),
        materialized_predictions_extractor.MaterializedPredictionsExtractor(config),
        AttributionExtractor(path, list("abcd"), target=1, method="gradient_times_input"),
        names.UnbatchExtractor(),
        names.SliceKeyExtractor(eval_config=config),
    ]
    specs = {name: tf.io.FixedLenFeature([], tf.float32) for name in "abcdyp"} | {"side": tf.io.FixedLenFeature([], tf.string)}
    source = tfxio.TFExampleBeamRecord("test", raw_record_column_name=tfma.ARROW_INPUT_COLUMN, schema=schema(specs))
    with beam.Pipeline() as p:
        _ = (
            p
            | beam.Create(list(serialized()))
            | source.BeamSource()
            | tfma.ExtractEvaluateAndWriteResults(
                eval_config=config,
                extractors=extractors,
                evaluators=[tfma.evaluators.MetricsPlotsAndValidationsEvaluator(config)],
                output_path=str(tmp_path),
            )
        )
    expected = ta.Attributor(path).attribute(X, 1, method="gradient_times_input").attributions
    found = {tuple(key): value for key, value in model_eval_lib.load_eval_result(str(tmp_path)).attributions}
    for slice_key, rows in (((), slice(None)), ((("side", "left"),), slice(10)), ((("side", "right"),), slice(10, None))):
        metrics = found[slice_key][""][""]
        for name, values in (
            ("total_attributions", expected[rows].sum(0)),
            ("mean_absolute_attributions", np.abs(expected[rows]).mean(0)),
        ):
            given = metrics[name]
            assert sorted(given) == list("abcd")
            np.testing.assert_allclose([given[one]["doubleValue"] for one in "abcd"], values, rtol=1e-4)


def test_no_extractor_of_tfma_makes_attributions():
    assert len(tfma.extractors.__all__) > 5
    assert not [name for name in tfma.extractors.__all__ if "ttribut" in name]


def schema(specs):
    from tensorflow_metadata.proto.v0 import schema_pb2

    made = schema_pb2.Schema()
    for name, spec in specs.items():
        feature = made.feature.add(name=name, type=schema_pb2.BYTES if spec.dtype == tf.string else schema_pb2.FLOAT)
        feature.shape.SetInParent()
        feature.presence.min_fraction = 1
        feature.value_count.min = feature.value_count.max = 1
    return made


def batch(path, extracts, **options):
    (found,) = [AttributionExtractor(path, **options).ptransform.fn.process(extracts)]
    return next(iter(found))["attributions"]


def test_features_of_several_numbers_and_several_inputs(path, pair, tmp_path):
    expected = ta.Attributor(path).attribute(X).attributions
    found = batch(path, {"features": {"x": X}})
    assert list(found) == ["x/0", "x/1", "x/2", "x/3"]
    np.testing.assert_allclose(np.stack(list(found.values()), 1), expected, rtol=1e-5)
    nested = batch(path, {"features": {"x": X, "y": X[:, 0]}}, features=["x"], model_name="m", output_name="o")
    np.testing.assert_array_equal(nested["m"]["o"]["x/2"], found["x/2"])
    pair.save(tmp_path / "pair.keras")
    two = batch(tmp_path / "pair.keras", {"features": {"left": X, "right": X[:, :2]}}, of="kind")
    assert list(two) == ["left/0", "left/1", "left/2", "left/3", "right/0", "right/1"]


def test_what_cannot_be_is_refused(path):
    spoiled = X.copy()
    spoiled[3] = np.nan
    assert_refused(lambda: batch(path, {"features": {"x": spoiled}}), "example(s) 3")
    assert np.isnan(batch(path, {"features": {"x": spoiled}}, on_error="mark")["x/0"][3])
    assert_refused(lambda: batch(path, {}), "FeaturesExtractor")
    assert_refused(lambda: batch(path, {"features": {"x": X}}, features=["z"]), "'z'", "'x'")
    assert_refused(lambda: batch(path, {"features": {"x": [1]}}), "array", "list")
    assert_refused(lambda: AttributionExtractor(keras.Sequential()), "model.save('model.keras')")
