"""The HTTP server under load on loopback: requests answered in a second, how long each took, what was refused, and the memory
of the server, request after request; and what it does with bodies that it must refuse.

    python benchmarks/serving.py                    # 2,000 requests by 8 clients, of one instance each
    python benchmarks/serving.py --requests 10000 --clients 32

A server in a process of its own serves a small table model; the number of requests is bounded. Of answers it is looked at
whether each is the one to that request: nothing may be lost or mixed up.
"""

import argparse
import concurrent.futures
import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

JSON = {"Content-Type": "application/json"}
WIDE = 8


def write_model(folder):
    """A SavedModel of a table of eight columns, with its metadata and parameters."""
    import keras

    x = keras.Input((WIDE,), name="x")
    hidden = keras.layers.Dense(32, activation="tanh")(keras.layers.Dense(32, activation="tanh")(x))
    model = keras.Model(x, keras.layers.Dense(3, activation="softmax")(hidden))
    model.export(folder, verbose=False)
    columns = [f"c{i}" for i in range(WIDE)]
    metadata = {
        "inputs": {"x": {"encoding": "BAG_OF_FEATURES", "index_feature_mapping": columns}},
        "outputs": {"y": {"output_tensor_name": "output_0"}},
    }
    parameters = {"integratedGradientsAttribution": {"stepCount": 50}}
    (Path(folder) / "explanation_metadata.json").write_text(json.dumps({"metadata": metadata, "parameters": parameters}))


def memory(process):
    """Resident mebibytes of a process, where the system says them."""
    try:
        pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    except OSError:
        return float("nan")
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class Client:
    """Requests over one connection, made anew where the server closed it."""

    def __init__(self, port):
        self._port, self._link = port, None

    def ask(self, path, body):
        """Status and body of the answer."""
        for _ in range(2):
            if self._link is None:
                self._link = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
            try:
                self._link.request("POST", path, body, JSON)
                response = self._link.getresponse()
                return response.status, response.read()
            except (http.client.HTTPException, OSError):
                self._link.close()
                self._link = None
        raise ConnectionError("the server does not answer")


def load(port, path, bodies, clients, look=None):
    """Sends all bodies; (statuses, seconds of each, seconds of all). What is refused as too much is sent again."""
    local, refused = threading.local(), []

    def one(number):
        client = local.__dict__.setdefault("client", Client(port))
        began = time.perf_counter()
        while True:
            status, answer = client.ask(path, bodies[number])
            if status != 503:
                break
            refused.append(number)
            time.sleep(0.05)
        took = time.perf_counter() - began
        if look is not None:
            look(number, status, answer)
        return status, took

    began = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        found = list(pool.map(one, range(len(bodies))))
    return [status for status, _ in found], sorted(took for _, took in found), time.perf_counter() - began, len(refused)


def started(folder):
    """The server's process, and its port."""
    command = [sys.executable, "-m", "tf_attrib", "serve", str(folder), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if "serving" in line:
            return process, int(line.split("://")[1].split("/")[0].split(":")[1])
    raise SystemExit("the server did not start")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--clients", type=int, default=8)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_model(Path(folder) / "table")
        process, port = started(folder)
        try:
            measure(process, port, options.requests, options.clients)
        finally:
            process.terminate()
            process.wait(60)


def measure(process, port, count, clients):
    import numpy as np

    rows = np.random.default_rng(0).normal(size=(count, WIDE)).round(4)
    bodies = [json.dumps({"instances": [row.tolist()]}) for row in rows]
    path = "/v1/models/table:explain"
    load(port, path, bodies[:50], clients)  # compiled, and warm
    predictions = {}

    def look(number, status, answer):
        if status == 200:
            predictions[number] = json.loads(answer)["predictions"][0]

    print(f"{count} requests by {clients} clients, one instance each, 50 steps")
    parts = 5
    for part in range(parts):
        chosen = range(part * count // parts, (part + 1) * count // parts)

        def noted(number, status, answer, first=chosen.start):
            look(first + number, status, answer)

        statuses, took, seconds, again = load(port, path, [bodies[i] for i in chosen], clients, noted)
        assert statuses == [200] * len(chosen), set(statuses)
        print(
            f"  {len(chosen) / seconds:6.0f} a second; {1000 * took[len(took) // 2]:.1f} ms half of them, "
            f"{1000 * took[int(0.99 * len(took))]:.1f} ms 99%; {again} times 503 and again; server {memory(process):.0f} MiB"
        )
    single = [
        json.loads(Client(port).ask("/v1/models/table:predict", bodies[i])[1])["predictions"][0] for i in range(0, count, 97)
    ]
    np.testing.assert_allclose([predictions[i] for i in range(0, count, 97)], single, rtol=1e-5)
    print(f"  answers {len(predictions)} of {count}: none lost, each that of its own request")
    wide = [json.dumps({"instances": rows[:32].tolist()})] * (count // 32)
    statuses, _, seconds, again = load(port, path, wide, clients)
    assert set(statuses) <= {200}
    print(
        f"of 32 instances each: {32 * len(wide) / seconds:.0f} instances a second; {again} times 503 and again; "
        f"server {memory(process):.0f} MiB"
    )
    bad = ["{", json.dumps({"instances": [[1, 2]]}), json.dumps({"instances": [["a"] * WIDE]}), " " * (17 * 2**20)] * (
        count // 40
    )
    statuses, _, seconds, _ = load(port, path, bad, clients)
    assert set(statuses) == {400, 413}, set(statuses)
    print(f"bad ones, a quarter of 17 MiB: {len(bad) / seconds:.0f} a second, all refused; server {memory(process):.0f} MiB")


if __name__ == "__main__":
    main()
