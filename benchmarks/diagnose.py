"""What the doctor costs, in attributions of the same inputs: `python benchmarks/diagnose.py` (about two minutes).

Attribution and examination take turns, and the median of their ratios is printed; `first call` is that of a new attributor, in
which the model is traced and compiled.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import time
from collections.abc import Callable

import numpy as np

import tf_attrib as ta
from tf_attrib.demo import data, models

ROUNDS = 9


def seconds(call: Callable) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def measure(name: str, model, inputs: np.ndarray, baselines=None) -> None:
    """Prints seconds of both and their ratio, for the first call of a new attributor and for later ones."""

    def pair(attributor: ta.Attributor) -> tuple[float, float]:
        return (
            seconds(lambda: attributor.attribute(inputs, baselines=baselines, verbose=False)),
            seconds(lambda: ta.diagnose(attributor, inputs, baselines=baselines)),
        )

    # each is first in its own attributor: neither finds what the other compiled
    first = (
        seconds(lambda: ta.Attributor(model).attribute(inputs, baselines=baselines, verbose=False)),
        seconds(lambda: ta.diagnose(ta.Attributor(model), inputs, baselines=baselines)),
    )
    attributor = ta.Attributor(model)
    pair(attributor)
    later = np.array([pair(attributor) for _ in range(ROUNDS)])
    for when, (attribution, doctor) in (("first call", first), ("later", np.median(later, axis=0))):
        ratio = doctor / attribution if when == "first call" else np.median(later[:, 1] / later[:, 0])
        print(
            f"{name:24} {len(inputs):3} examples  {when:10}  attribution {attribution:7.3f} s  doctor {doctor:7.3f} s  "
            f"ratio {ratio:5.2f}",
            flush=True,
        )


def main() -> None:
    digits, sentences = data.digits(), data.sentences()
    picture = models.digit_model()
    models.train(picture, digits.train_inputs, digits.train_labels, models.DIGIT_EPOCHS)
    reader = models.sentence_model(len(sentences.vocabulary))
    models.train(reader, sentences.train_inputs, sentences.train_labels, models.SENTENCE_EPOCHS)
    padding = ta.token(sentences.vocabulary.index(data.PAD))
    for count in (32, 8, 1):
        measure("digits CNN", picture, digits.test_inputs[:count])
        measure("text CNN", reader, sentences.test_inputs[:count], padding)


if __name__ == "__main__":
    main()
