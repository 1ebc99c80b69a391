"""The real thing: a digits CNN trains with the callback, and a TensorBoard server gives back what was logged."""

import io
import json
import time
import urllib.error
import urllib.parse
import urllib.request

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image
from sklearn.datasets import load_digits

import tf_attrib as ta

pytest.importorskip("tensorboard")
SAMPLES = 3


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    """The folder and the callback of three epochs, with Keras's own callback beside it."""
    folder = tmp_path_factory.mktemp("logs")
    keras.utils.set_random_seed(4)
    digits = load_digits()
    x, y = digits.images[..., None].astype("float32") / 16, digits.target
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(8, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)  # else the first step makes its variables, and is traced twice
    callback = ta.AttributionCallback((x[-SAMPLES:], y[-SAMPLES:]), folder, class_names=[f"digit {i}" for i in range(10)])
    model.fit(
        x[:600],
        y[:600],
        validation_data=(x[600:900], y[600:900]),
        epochs=3,
        verbose=0,
        callbacks=[keras.callbacks.TensorBoard(folder), callback],
    )
    return folder, callback


@pytest.fixture(scope="module")
def server(logs):
    """The address of a TensorBoard server on loopback: a thread of this process, which has TensorFlow imported already."""
    from tensorboard import program

    board = program.TensorBoard()
    board.configure(logdir=str(logs[0]), host="127.0.0.1", port=0, load_fast="false", reload_interval=0)
    return board.launch().rstrip("/")


def get(server, path, **query):
    with urllib.request.urlopen(f"{server}{path}?{urllib.parse.urlencode(query)}", timeout=30) as answer:
        return answer.read()


@pytest.fixture(scope="module")
def ready(server):
    """Waits until the server has read all runs."""
    for _ in range(240):
        try:
            tags = json.loads(get(server, "/data/plugin/scalars/tags"))
            if "attribution_drift/cosine_0" in tags.get("attribution", {}):
                return server
        except (urllib.error.URLError, ConnectionError):
            pass
        time.sleep(0.5)
    raise AssertionError("TensorBoard did not show the run")


def test_scalars_come_back_with_the_steps_of_keras(ready, logs):
    tags = json.loads(get(ready, "/data/plugin/scalars/tags"))
    assert {"train", "validation", "attribution"} <= set(tags)
    own = [step for _, step, _ in json.loads(get(ready, "/data/plugin/scalars/scalars", run="train", tag="epoch_loss"))]
    found = json.loads(get(ready, "/data/plugin/scalars/scalars", run="attribution", tag="attribution/mean_error_estimate"))
    assert [step for _, step, _ in found] == own == [0, 1, 2]
    assert found[-1][2] == pytest.approx(logs[1].results.error_estimate.mean(), rel=1e-4)
    drift = json.loads(get(ready, "/data/plugin/scalars/scalars", run="attribution", tag="attribution_drift/cosine_1"))
    assert [step for _, step, _ in drift] == [1, 2]
    assert drift[-1][2] == pytest.approx(logs[1].scalars["attribution_drift/cosine_1"], rel=1e-4)


def test_images_come_back_one_for_each_epoch(ready, logs):
    tags = json.loads(get(ready, "/data/plugin/images/tags"))["attribution"]
    assert set(tags) == {f"attribution/sample_{i}" for i in range(SAMPLES)}
    assert "IntegratedGradients" in tags["attribution/sample_0"]["description"]
    listed = json.loads(get(ready, "/data/plugin/images/images", run="attribution", tag="attribution/sample_1", sample=0))
    assert [image["step"] for image in listed] == [0, 1, 2]
    pictures = [
        np.asarray(Image.open(io.BytesIO(get(ready, "/data/plugin/images/individualImage", **query))))
        for query in (dict(urllib.parse.parse_qsl(image["query"])) for image in listed)
    ]
    assert all(picture.shape[1] == 350 for picture in pictures)
    assert pictures[0].shape != pictures[-1].shape or (pictures[0] != pictures[-1]).any()  # the slider shows something


def test_texts_come_back_as_a_table(ready, logs):
    assert json.loads(get(ready, "/data/plugin/text/tags"))["attribution"] == ["attribution/samples"]
    found = json.loads(get(ready, "/data/plugin/text/text", run="attribution", tag="attribution/samples", markdown="true"))
    assert [text["step"] for text in found] == [0, 1, 2]
    result = logs[1].results
    for i in range(SAMPLES):
        explained = f"digit {result.target[i]}" if result.target[i] != result.predicted[i] else ""
        row = "".join(f"<td>{cell}</td>\n" for cell in (f"digit {result.target[i]}", f"digit {result.predicted[i]}", explained))
        assert row in found[-1]["text"]
    assert "<td>converged</td>" in found[-1]["text"]
