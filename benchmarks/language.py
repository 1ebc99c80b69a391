"""What attribution to each token of a continuation costs, by length: processor time and peak memory beside a raw loop.

    python benchmarks/language.py                      # 128, 512, 1024 and 2048 tokens
    python benchmarks/language.py --lengths 128 512    # fewer
    python benchmarks/language.py --torch PYTHON       # beside captum, by an interpreter that has torch and captum
    python benchmarks/language.py --memory 256         # MiB that tf_attrib is told to keep to
    python benchmarks/language.py --first              # what one token costs, beside two plain gradients
    python benchmarks/language.py --of tf_attrib 512   # one measurement, in this process

A GPT of four blocks (width 256, a vocabulary of 8192, random weights), integrated gradients by 16 nodes of Gauss-Legendre for
each of the last four tokens of the sequence. The raw loop takes as many gradients, in blocks of the same number of rows, in one
`tf.function` that picks the positions in front of the vocabulary, as `tf_attrib` does; that of `every` has the logits of all
positions. tf_attrib takes a 17th gradient, at the text itself, which says how saturated the score is there, and looks at five
rows forward: the text, others behind two places of it, which tell whether the model is causal, and both ends of the paths.
Each measurement is a process of its own: processor seconds of all threads, of the first call and of a later one, and the peak
of what the process holds, less what it held when the model was ready.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

BLOCKS, WIDTH, WORDS, STEPS, TARGETS = 4, 256, 8192, 16, 4
LENGTHS = (128, 512, 1024, 2048)
KINDS = ("tf_attrib", "raw", "every")
FIRST = ("tf_attrib", "raw")
REPEATS = 2


def gpt(length):
    """The model, and its parts by name."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    ids = keras.Input((None,), dtype="int32", name="ids")
    x = layers.Embedding(WORDS, WIDTH, name="words")(ids)
    x = x + layers.Embedding(length, WIDTH, name="positions")(keras.ops.cumsum(keras.ops.ones_like(ids), 1) - 1)
    for i in range(BLOCKS):
        y = layers.LayerNormalization(name=f"norm_{i}")(x)
        x = x + layers.MultiHeadAttention(4, WIDTH // 4, flash_attention=False, name=f"attention_{i}")(
            y, y, use_causal_mask=True
        )
        y = layers.LayerNormalization(name=f"norm_mlp_{i}")(x)
        x = x + layers.Dense(WIDTH, name=f"down_{i}")(layers.Dense(4 * WIDTH, activation="gelu", name=f"up_{i}")(y))
    return keras.Model(ids, layers.Dense(WORDS, name="logits")(layers.LayerNormalization(name="final")(x)))


def raw_loop(model, ids, block, every, nodes=None):
    """Integrated gradients of the last tokens, written by hand; returns a function that gives the attributions. Where `nodes`
    are given, gradients there, of the last token alone."""
    import numpy as np
    import tensorflow as tf

    targets = TARGETS if nodes is None else 1
    nodes, weights = np.polynomial.legendre.leggauss(STEPS) if nodes is None else (nodes, np.ones(len(nodes)))
    alphas, weights = ((nodes + 1) / 2).astype("float32"), (weights / 2).astype("float32")
    layer = model.get_layer
    length = len(ids) - 1
    places = layer("positions")(tf.range(length)[None])
    embedded = layer("words")(ids[None, :-1])

    @tf.function(reduce_retracing=True)
    def gradients(alpha, position, token):
        points = alpha[:, None, None] * embedded
        with tf.GradientTape() as tape:
            tape.watch(points)
            x = points + places
            for i in range(BLOCKS):
                y = layer(f"norm_{i}")(x)
                x = x + layer(f"attention_{i}")(y, y, use_causal_mask=True)
                x = x + layer(f"down_{i}")(layer(f"up_{i}")(layer(f"norm_mlp_{i}")(x)))
            x = layer("final")(x)
            if every:
                logits = tf.gather(layer("logits")(x), position, batch_dims=1)
            else:
                logits = layer("logits")(tf.gather(x, position, batch_dims=1))
            score = tf.gather(tf.nn.log_softmax(logits), token, batch_dims=1)
        return tape.gradient(score, points)

    def attributions():
        target = np.repeat(np.arange(length - targets, length), len(alphas))
        alpha, weight = np.tile(alphas, targets), np.tile(weights, targets)
        found = np.zeros((targets, length))
        for start in range(0, len(alpha), block):
            part = slice(start, start + block)
            gradient = gradients(tf.constant(alpha[part]), tf.constant(target[part]), tf.constant(ids[target[part] + 1]))
            values = tf.reduce_sum(gradient * embedded, -1).numpy() * weight[part, None]
            np.add.at(found, target[part] - (length - targets), values)
        return found

    return attributions


def block_of(attributor, ids):
    """How many rows tf_attrib puts into a block at this length."""
    import numpy as np

    import tf_attrib as ta

    rows = np.ones((1, 1), int)
    session, _, _ = attributor.explaining(ta.token_score(rows, rows, rows)).prepare(ids[None, :-1])
    return session.block


def first(kind, length):
    """Processor seconds of gradient × input for the last token, from the model to the result and once more; "raw": of two plain
    gradients in its place."""
    import numpy as np

    import tf_attrib as ta

    model = gpt(length)
    ids = np.random.default_rng(0).integers(0, WORDS, length + 1).astype("int32")
    model(ids[None, :8])
    start = time.process_time()
    if kind == "tf_attrib":
        attributor = ta.Attributor(model)

        def call():
            return ta.attribute_generation(attributor, ids[:-1], ids[-1:], method="gradient_times_input", verbose=False)
    else:
        call = raw_loop(model, ids, 1, False, np.array([0.0, 1.0]))
    return timed(call, start)


def timed(call, start):
    """What `call` gave, and processor seconds of the first call, from `start`, and of the quickest of those that follow."""
    seconds = []
    for _ in range(REPEATS + 1):
        found = call()
        seconds.append(time.process_time() - start)
        start = time.process_time()
    return {"first": seconds[0], "again": min(seconds[1:]), "found": found}


def measure(kind, length, memory=None):
    """Processor seconds of the first and of a later call, and the peak in bytes, of this process."""
    import numpy as np

    import tf_attrib as ta

    model = gpt(length)
    ids = np.random.default_rng(0).integers(0, WORDS, length + 1).astype("int32")
    attributor = ta.Attributor(model, memory=memory)
    block = block_of(attributor, ids)
    if kind == "tf_attrib":
        method = ta.IntegratedGradients(rule="gauss_legendre", n_steps=STEPS)

        def call():
            options = {"targets": range(TARGETS), "method": method, "verbose": False}
            return ta.attribute_generation(attributor, ids[:-TARGETS], ids[-TARGETS:], **options).attributions
    else:
        call = raw_loop(model, ids, block, kind == "every")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    told = timed(call, time.process_time())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    return told | {"peak": peak, "block": block, "found": float(np.abs(told["found"]).sum())}


def written(length, path):
    """Writes the ids and the weights of the model by layer, for `language_torch.py`."""
    import numpy as np

    model = gpt(length)
    weights = {f"{layer.name}_{i}": value for layer in model.layers for i, value in enumerate(layer.get_weights())}
    np.savez(path, ids=np.random.default_rng(0).integers(0, WORDS, length + 1), **weights)


def measured(command):
    """What a process of its own printed last, or None where it failed."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None


def row(length, python, memory):
    """The measurements of one length, by kind."""
    more = [] if memory is None else ["--memory", memory]
    found = {kind: measured([sys.executable, __file__, "--of", kind, length, *more]) for kind in KINDS}
    if python:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "weights.npz"
            written(length, path)
            script = Path(__file__).with_name("language_torch.py")
            found["captum"] = measured([python, script, path, found["tf_attrib"]["block"] if found["tf_attrib"] else 1])
    return found


def main():
    """Prints a line for each length."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS)
    parser.add_argument("--torch", metavar="PYTHON")
    parser.add_argument("--memory", type=int, metavar="MIB")
    parser.add_argument("--first", action="store_true")
    parser.add_argument("--of", nargs=2, metavar=("KIND", "LENGTH"))
    options = parser.parse_args()
    if options.of:
        kind, length = options.of[0], int(options.of[1])
        told = first(kind, length) if options.first else measure(kind, length, options.memory and options.memory * 2**20)
        print(json.dumps({name: value for name, value in told.items() if not (options.first and name == "found")}))
        return
    if options.first:
        print("tokens: one token explained by gradient x input, from the model on and later; two plain gradients; the ratio")
        for length in options.lengths:
            ours, raw = (measured([sys.executable, __file__, "--first", "--of", kind, length]) for kind in FIRST)
            print(
                f"{length:>6} {ours['first']:.1f} s {ours['again']:.3f} s   {raw['first']:.1f} s {raw['again']:.3f} s   "
                f"{ours['first'] / raw['first']:.1f} {ours['again'] / raw['again']:.2f}",
                flush=True,
            )
        return
    print("tokens, rows of a block; for each: first call, later call, peak memory; and the later call beside that of tf_attrib")
    for length in options.lengths:
        found = row(length, options.torch, options.memory)
        ours = found["tf_attrib"]
        cells = [f"{length:>6} {ours['block'] if ours else '':>4}"]
        for kind, one in found.items():
            ratio = f"{one['again'] / ours['again']:.2f}" if one and ours else ""
            told = f"{one['first']:.1f} s {one['again']:.2f} s {one['peak'] / 2**20:.0f} MiB" if one else "failed"
            cells.append(f"{kind} {told} ({ratio})")
            if one and ours and abs(one["found"] - ours["found"]) > 1e-2 * ours["found"]:
                raise SystemExit(f"{kind} gives other numbers: {one['found']} in place of {ours['found']}")
        print("   ".join(cells), flush=True)


if __name__ == "__main__":
    main()
