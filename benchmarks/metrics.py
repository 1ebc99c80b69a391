"""What metrics cost beside the bare forward passes that they need: `python benchmarks/metrics.py` (about three minutes).

Each metric of held-out digits, and of sentences, takes turns with a `tf.function` of the model that scores as many rows in the
best of some block sizes; the median of their ratios is printed, of calls after the first.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf

import tf_attrib as ta
from tf_attrib.demo import data, models

ROUNDS, EXAMPLES, STEPS, SAMPLES = 7, 64, 32, 200
BLOCKS = (64, 256, 1024)


def seconds(call: Callable) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def raw(model, like: np.ndarray, rows: int) -> Callable:
    """Scores `rows` rows in the fastest of the block sizes."""
    forward = tf.function(lambda x: model(x, training=False), autograph=False)

    def run(block: int) -> None:
        for start in range(0, rows, block):
            forward(tf.constant(np.resize(like, (min(block, rows - start), *like.shape[1:]))))

    timed = {}
    for block in BLOCKS:
        run(block)
        timed[block] = min(seconds(lambda block=block: run(block)) for _ in range(3))
    best = min(timed, key=timed.get)
    return lambda: run(best)


def measure(name: str, call: Callable, bare: Callable, rows: int) -> None:
    first = seconds(call)
    pairs = np.array([(seconds(call), seconds(bare)) for _ in range(ROUNDS)])
    ours, theirs = np.median(pairs, axis=0)
    print(
        f"{name:34} {rows:6} rows  first {first:6.2f} s  then {ours:6.3f} s  forward passes alone {theirs:6.3f} s  "
        f"ratio {np.median(pairs[:, 0] / pairs[:, 1]):5.2f}",
        flush=True,
    )


def main() -> None:
    digits, sentences = data.digits(), data.sentences()
    picture = models.digit_model()
    models.train(picture, digits.train_inputs, digits.train_labels, models.DIGIT_EPOCHS)
    reader = models.sentence_model(len(sentences.vocabulary))
    models.train(reader, sentences.train_inputs, sentences.train_labels, models.SENTENCE_EPOCHS)
    for title, model, inputs, options in (
        ("digits CNN", picture, digits.test_inputs[:EXAMPLES], {"steps": STEPS}),
        ("text CNN, tokens", reader, sentences.test_inputs[:EXAMPLES], {}),
    ):
        attributor = ta.Attributor(model)
        result = attributor.attribute(inputs)
        count = len(inputs)
        steps = STEPS if options else inputs.shape[1]
        for name, call, rows in (
            ("deletion", lambda a=attributor, r=result, o=options: ta.metrics.deletion(a, r, **o), count * steps),
            ("aopc, three orders", lambda a=attributor, r=result, o=options: ta.metrics.aopc(a, r, **o), 3 * count * steps),
            ("infidelity", lambda a=attributor, r=result: ta.metrics.infidelity(a, r, samples=SAMPLES), count * SAMPLES),
        ):
            measure(f"{title}: {name}", call, raw(model, inputs, rows), rows)
    attributor, images = ta.Attributor(picture), digits.test_inputs[:EXAMPLES]
    apart = [
        lambda name=name, method=method: getattr(ta.metrics, name)(attributor, images, method=method, steps=STEPS)
        for method in ("integrated_gradients", "gradient")
        for name in ("aopc", "deletion", "insertion")
    ]
    together = lambda: ta.metrics.compare(  # noqa: E731
        attributor,
        images,
        ("integrated_gradients", "gradient"),
        ("aopc", "deletion", "insertion"),
        steps=STEPS,
        random=False,
    )
    together()
    pairs = np.array([(seconds(together), sum(map(seconds, apart))) for _ in range(ROUNDS)])
    print(
        f"compare, two methods by three metrics: {np.median(pairs[:, 0]):.3f} s, one at a time {np.median(pairs[:, 1]):.3f} "
        f"s, ratio {np.median(pairs[:, 0] / pairs[:, 1]):.2f}"
    )
    print(ta.metrics.compare(attributor, digits.test_inputs))


if __name__ == "__main__":
    main()
