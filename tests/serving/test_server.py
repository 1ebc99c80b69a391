"""The server over loopback: what an endpoint answers, and what a client gets that sends what it should not."""

import asyncio
import concurrent.futures
import http.client
import io
import json
import os
import shutil
import signal
import socket
import sys
import threading
import time

import keras
import numpy as np
import pytest

import tf_attrib as ta
from tf_attrib.cli import main

from ..conftest import assert_refused
from ..helpers import vertex_models
from ..helpers.vertex_models import COLUMN_METADATA, INSTANCES

pytest.importorskip("starlette")
uvicorn = pytest.importorskip("uvicorn")
from tf_attrib.serving.app import Limits  # noqa: E402
from tf_attrib.serving.models import read_models  # noqa: E402
from tf_attrib.serving.server import configured, serve  # noqa: E402
from tf_attrib.serving.work import Busy, Work  # noqa: E402

LIMITS = Limits(max_bytes=20_000, max_instances=4, waiting=16, timeout=20)
PARAMETERS = {"integratedGradientsAttribution": {"stepCount": 20}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of models: one by itself, one in versions, one without metadata, and what is none."""
    keras.utils.set_random_seed(0)
    root = tmp_path_factory.mktemp("served")
    path, _ = vertex_models.columns(root / "columns")
    (root / "plain").mkdir()
    shutil.copytree(path, root / "plain" / "1")
    with open(f"{path}/explanation_metadata.json", "w") as file:
        json.dump({"metadata": COLUMN_METADATA, "parameters": PARAMETERS}, file)
    shutil.copytree(path, root / "versions" / "9")
    (root / "versions" / "10").mkdir()
    for part in ("saved_model.pb", "variables", "fingerprint.pb"):
        source = root / "columns" / part
        if source.exists():
            (shutil.copytree if source.is_dir() else shutil.copy)(source, root / "versions" / "10" / part)
    metadata = {"inputs": {"place": {"input_tensor_name": "place"}}, "outputs": {"s": {"output_tensor_name": "output_0"}}}
    with open(root / "versions" / "10" / "explanation_metadata.json", "w") as file:
        json.dump({"metadata": metadata, "parameters": {"sampledShapleyAttribution": {"pathCount": 2}}}, file)
    (root / "notes.txt").write_text("no model")
    return root


@pytest.fixture(scope="module")
def address(folder):
    """Of a server in a thread of this process."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(configured(read_models(folder), LIMITS, frozenset({"localhost", "127.0.0.1"})))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield listening.getsockname()
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


def call(address, path, body=None, method=None, headers=None, **connection):
    """Status, headers and JSON of one request."""
    link = http.client.HTTPConnection(*address, timeout=30, **connection)
    given = {"Content-Type": "application/json"} | (headers or {})
    link.request(method or ("GET" if body is None else "POST"), path, body if body is None else json.dumps(body), given)
    response = link.getresponse()
    text = response.read()
    link.close()
    return response.status, dict(response.getheaders()), json.loads(text)


def refused(answer, code, *words):
    status, _, found = answer
    assert status == found["error"]["code"] == code, found
    assert found["error"]["status"].isupper()
    for word in words:
        assert word in found["error"]["message"]


def test_the_folder_is_read(folder, tmp_path):
    models = read_models(folder)
    assert list(models.explainers) == ["columns", "versions"]
    assert models.left_out == {"plain": "it has no explanation_metadata.json"}
    assert models.explainers["versions"].spec.parameters.is_shapley  # 10 is above 9
    assert_refused(lambda: read_models(tmp_path / "none"), "no folder", "none")
    assert_refused(lambda: read_models(tmp_path), "holds no SavedModel", "explanation_metadata.json")
    shutil.copytree(folder / "columns", tmp_path / "columns")
    (tmp_path / "columns" / "explanation_metadata.json").write_text("{}")
    assert_refused(lambda: read_models(tmp_path), "model 'columns'", "inputs")


def test_a_model_that_reaches_out_of_its_graph_is_not_served(tmp_path):
    import tensorflow as tf

    made = tf.Module()

    def serve_and_write(x):
        tf.io.write_file(str(tmp_path / "written"), "was here")
        return {"y": tf.reduce_sum(x, 1)}

    made.serve = tf.function(serve_and_write, input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x")])
    tf.saved_model.save(made, str(tmp_path / "models" / "evil"), signatures={"serving_default": made.serve})
    (tmp_path / "written").unlink(missing_ok=True)
    metadata = {"inputs": {"x": {}}, "outputs": {"y": {}}}
    (tmp_path / "models" / "evil" / "explanation_metadata.json").write_text(json.dumps(metadata))
    assert_refused(lambda: read_models(tmp_path / "models"), "model 'evil'", "WriteFile")
    assert not (tmp_path / "written").exists()


def test_both_routes_give_what_the_library_gives(folder, address):
    explainer = ta.Attributor.from_explanation_metadata(folder / "columns")
    expected = explainer.explain(INSTANCES)
    for path in ("/v1/models/columns", "/v1/projects/p/locations/us-central1/endpoints/columns"):
        status, headers, found = call(address, f"{path}:explain", {"instances": INSTANCES})
        assert (status, headers["content-type"]) == (200, "application/json")
        assert found["deployedModelId"] == "columns"
        np.testing.assert_allclose(found["predictions"], expected["predictions"], rtol=1e-6)
        for one, other in zip(found["explanations"], expected["explanations"], strict=True):
            (one,), (other,) = one["attributions"], other["attributions"]
            assert list(one) == list(other)
            for name, value in other["featureAttributions"].items():
                np.testing.assert_allclose(one["featureAttributions"][name], value, rtol=1e-5, atol=1e-8)
        status, _, predicted = call(address, f"{path}:predict", {"instances": INSTANCES})
        assert status == 200
        np.testing.assert_allclose(predicted["predictions"], found["predictions"], rtol=1e-6)
    _, _, other = call(address, "/v1/models/versions:explain", {"instances": INSTANCES})
    (one,) = other["explanations"][0]["attributions"]
    difference = one["instanceOutputValue"] - one["baselineOutputValue"]
    assert one["featureAttributions"] == {"place": [pytest.approx(difference, abs=1e-6)]}


def test_what_is_served_is_said(address):
    assert call(address, "/v1/models")[2] == {"models": [{"name": "columns"}, {"name": "versions"}]}
    status, _, found = call(address, "/v1/models/columns")
    assert status == 200
    assert found["model_version_status"][0]["state"] == "AVAILABLE"
    assert found["inputs"]["numbers"] == {"dtype": "float32", "shape": [None, 3]}
    assert found["method"] == "IntegratedGradients(rule='gauss_legendre', n_steps=20)"
    assert any("has no baseline" in note for note in found["notes"])


def test_what_is_asked_wrongly(address):
    path = "/v1/models/columns:explain"
    good = {"instances": INSTANCES}
    refused(call(address, "/v1/models/colums:explain", good), 404, "'colums'", "'columns'")
    refused(call(address, "/v1/models/columns:train", good), 404, "NAME:predict", "'columns:train'")
    refused(call(address, "/v1/models/plain"), 404, "'plain'")
    refused(call(address, "/metrics"), 404)
    refused(call(address, "/v1/models", good), 405)
    refused(call(address, path, good, "PUT"), 405)
    refused(call(address, path, {"inputs": []}), 400, "instances")
    refused(call(address, path, {"instances": [INSTANCES[0], 3]}), 400, "instance 1", "'numbers'")
    refused(call(address, path, {"instances": INSTANCES * 3}), 400, "4 instances", "6")
    refused(call(address, path, good | {"parameters": {"a": 1}}), 400, "parameters")
    refused(call(address, path, {"instances": [INSTANCES[0] | {"numbers": [1, 2, 10**30]}]}), 400, "64 bits")
    refused(call(address, path, {"instances": "x" * 20_000}), 413, "20,000 bytes")
    refused(call(address, path, good, headers={"Content-Type": "text/plain"}), 415, "application/json", "text/plain")
    refused(call(address, path, good, headers={"Host": "attacker.example"}), 403, "attacker.example", "localhost")
    assert call(address, path, good, headers={"Host": "localhost:8501"})[0] == 200
    deep = http.client.HTTPConnection(*address, timeout=30)
    deep.request("POST", path, "[" * 15_000, {"Content-Type": "application/json"})
    assert deep.getresponse().status == 400
    deep.close()


def test_a_body_without_a_length_is_read_no_further_than_it_may_be_long(address):
    link = http.client.HTTPConnection(*address, timeout=30)
    link.putrequest("POST", "/v1/models/columns:explain")
    link.putheader("Content-Type", "application/json")
    link.putheader("Transfer-Encoding", "chunked")
    link.endheaders()
    sent = 0
    try:
        while sent < 2**21:
            link.send(b"1000\r\n" + b" " * 4096 + b"\r\n")
            sent += 4096
    except (BrokenPipeError, ConnectionResetError):
        pass
    assert sent < 2**21 or link.getresponse().status == 413
    link.close()


def test_many_at_once_and_none_is_lost(folder, address):
    """Each gets the answer to its own request; what came when too much waited gets 503, and the answer when it tries again."""
    count, explainer = 60, ta.Attributor.from_explanation_metadata(folder / "columns")

    def ask(number):
        instance = INSTANCES[0] | {"place": [number / count]}
        for _ in range(200):
            status, headers, found = call(address, "/v1/models/columns:explain", {"instances": [instance]})
            if status == 200:
                return number, found
            refused((status, headers, found), 503, "16 requests")
            assert headers["retry-after"] == "1"
            time.sleep(0.05)
        raise AssertionError("never served")

    with concurrent.futures.ThreadPoolExecutor(24) as clients:
        answers = dict(clients.map(ask, range(count)))
    assert set(answers) == set(range(count))
    together = explainer.explain([INSTANCES[0] | {"place": [number / count]} for number in range(count)])
    for number, expected in enumerate(together["explanations"]):
        (one,), (other,) = answers[number]["explanations"][0]["attributions"], expected["attributions"]
        for name in ("place", "words", "age"):
            found, right = one["featureAttributions"][name], other["featureAttributions"][name]
            np.testing.assert_allclose(found, right, rtol=1e-4, atol=1e-7)


def test_the_queue_is_bounded_and_what_takes_too_long_is_given_up():
    done, gate = [], threading.Event()

    def wait(name):
        gate.wait(10)
        done.append(name)
        return name

    async def run():
        work = Work(2, 0.2)
        first = asyncio.create_task(work.do(wait, "first"))
        second = asyncio.create_task(work.do(wait, "second"))
        await asyncio.sleep(0.05)
        with pytest.raises(Busy):
            await work.do(wait, "third")
        for late in (first, second):
            with pytest.raises(TimeoutError):
                await late
        # the first has begun and is still in hand; the second never begins, and leaves its place
        late = asyncio.create_task(work.do(wait, "fourth"))
        await asyncio.sleep(0.05)
        with pytest.raises(Busy):
            await work.do(wait, "fifth")
        gate.set()
        assert await late == "fourth"
        assert await work.do(wait, "sixth") == "sixth"
        work.close()

    asyncio.run(run())
    assert done == ["first", "fourth", "sixth"]


def test_a_body_that_does_not_come_is_given_up(folder):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(configured(read_models(folder), Limits(timeout=0.3), None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        link = http.client.HTTPConnection(*listening.getsockname(), timeout=30)
        link.putrequest("POST", "/v1/models/columns:explain")
        for name, value in (("Content-Type", "application/json"), ("Content-Length", "1000")):
            link.putheader(name, value)
        link.endheaders(b"{")
        response = link.getresponse()
        assert response.status == 408
        assert "0.3 seconds" in json.loads(response.read())["error"]["message"]
        link.close()
        server.should_exit = True
        thread.join(20)


def test_a_head_that_does_not_come_is_given_up_and_a_request_that_has_begun_is_not(folder):
    config = configured(read_models(folder), LIMITS, None)
    config.timeout_keep_alive = 0.2  # pyright: ignore[reportAttributeAccessIssue] (whole seconds for its users)
    body = json.dumps({"instances": INSTANCES}).encode()
    head = "POST /v1/models/columns:predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            silent, half, slow = (socket.create_connection(listening.getsockname(), timeout=20) for _ in range(3))
            half.send(b"POST /v1/models")
            slow.send(head.format(len(body)).encode())
            assert (silent.recv(100), half.recv(100)) == (b"", b"")
            slow.send(body)
            assert slow.recv(100).startswith(b"HTTP/1.1 200")
            slow.send(b"POST /v1/models")  # a second one, on the same connection
            while slow.recv(10_000):
                pass
        finally:
            server.should_exit = True
            thread.join(20)


def test_errors_of_nobodys_foresight_tell_the_client_nothing(folder, monkeypatch):
    from tf_attrib.vertex.explainer import Explainer

    monkeypatch.setattr(Explainer, "predict", lambda self, instances: {}["a secret"])
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(configured(read_models(folder), LIMITS, None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        status, _, found = call(listening.getsockname(), "/v1/models/columns:predict", {"instances": INSTANCES})
        server.should_exit = True
        thread.join(20)
    assert status == 500
    assert "secret" not in str(found)
    assert found["error"]["status"] == "INTERNAL"


class Said(io.StringIO):
    """Standard output, of which another thread waits for a word."""

    def __init__(self):
        super().__init__()
        self.there = threading.Event()

    def write(self, text):
        count = super().write(text)
        if "Ctrl-C" in self.getvalue():
            self.there.set()
        return count


def test_the_command_serves_until_it_is_interrupted(folder, monkeypatch, capsys):
    """In the main thread of this process, as it has that of its own; the client is another thread, and types Ctrl-C."""
    said, answers, ended = Said(), [], threading.Event()

    def client():
        try:
            assert said.there.wait(60)
            address = said.getvalue().rsplit("http://", 1)[1].partition("/")[0].split(":")
            answers.append(call((address[0], int(address[1])), "/v1/models/columns:explain", {"instances": INSTANCES}))
        finally:
            if not ended.is_set():
                os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(sys, "stdout", said)
    thread = threading.Thread(target=client)
    thread.start()
    code = main(["serve", str(folder), "--port", "0", "--details", "--tolerance", "0.02"])
    ended.set()
    thread.join(60)
    assert code in (0, 130), capsys.readouterr().err
    assert "left out: 'plain': it has no explanation_metadata.json" in said.getvalue()
    assert "note: " in said.getvalue()
    assert "at http://127.0.0.1:" in said.getvalue()
    ((status, _, found),) = answers
    assert status == 200
    (one,) = found["explanations"][0]["attributions"]
    assert one["details"]["method"] == "IntegratedGradients(tolerance=0.02)"


def test_commands_that_cannot_serve(folder, tmp_path, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for arguments, words in (
            ([str(tmp_path)], "holds no SavedModel"),
            ([str(folder), "--port", port], f"port {port}"),
            ([str(folder), "--port", "70000"], "port must be"),
            ([str(folder), "--queue", "0"], "waiting must be"),
            ([str(folder), "--timeout", "0"], "timeout"),
            ([str(folder), "--tolerance", "3"], "tolerance"),
        ):
            assert main(["serve", *arguments]) == 2
            assert words in capsys.readouterr().err
    assert_refused(lambda: serve(folder, limits=Limits(max_bytes=-1)), "max_bytes")


def test_without_the_extra_the_command_says_what_to_install(tmp_path, monkeypatch, capsys):
    for name in [name for name in sys.modules if name.startswith("tf_attrib.serving")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["serve", str(tmp_path)]) == 2
    assert "pip install 'tf_attrib[serve]'" in capsys.readouterr().err
