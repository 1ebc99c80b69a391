"""Whether the stated accuracy of conductance and internal influence is true, on the nets of `nets.py`.

    python benchmarks/layers.py [--examples 24] [--nets "digits CNN" ...]
    python benchmarks/layers.py --cost

Paths run at the inputs (or embeddings), and three layers of each net are looked at: one early, one in the middle, one late.
True errors are relative L1 errors against the midpoint rule, whose steps are tripled until it moves by less than a tenth of
the smaller tolerance. Evaluations are gradients. `--cost` prints what 50 of them take, in turn, beside integrated gradients of
50 steps, on the demo's digits CNN, untrained.
"""

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import nets
import numpy as np

import tf_attrib as ta
from tf_attrib.demo import models

METHODS, TARGETS, TOLERANCES = (ta.Conductance, ta.InternalInfluence), ("probability", "logits"), (0.05, 0.01)
FIRST, MOST, CONVERGED = 100, 8100, 0.1 * min(TOLERANCES)
# Gradients of each method whose time is measured.
STEPS = 50
# The share of all attributions that must be within the tolerance, and within their own estimate.
TRUE = 0.99


def looked_at(body: keras.Model) -> list[keras.layers.Layer]:
    """Three layers with weights, or activations, from front to back; the logits are not among them."""
    found = [layer for layer in body.layers[1:-1] if layer.weights or isinstance(layer, keras.layers.ReLU)]
    found = found or [body.layers[1]]
    return list(dict.fromkeys([found[0], found[len(found) // 2], found[-1]]))


def difference(values: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """(n,), the relative L1 error of each example."""
    axes = tuple(range(1, exact.ndim))
    norm = np.abs(exact).sum(axes, dtype=np.float64)
    return np.abs(values.astype(np.float64) - exact).sum(axes) / np.maximum(norm, np.finfo(float).tiny)


def reference(attributor: ta.Attributor, method: type, inputs: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Attributions by the midpoint rule, with as many steps as are needed."""
    steps, values = FIRST, None
    while True:
        last = values
        values = attributor.attribute(inputs, target, method=method(rule="midpoint", n_steps=steps), verbose=False).attributions
        if last is not None and (difference(last, values).max() <= CONVERGED or steps >= MOST):
            return values
        steps *= 3


def line(words: str, result: ta.Attribution, error: np.ndarray) -> str:
    """What one method took and gave."""
    return (
        f"  {words}: {np.median(result.evaluations):5.0f} gradients (at most {result.evaluations.max()}), "
        f"{result.converged.mean():4.0%} converged; error {np.median(error):.2%}, at most {error.max():.2%}"
    )


def measure(name: str, examples: int) -> list[np.ndarray]:
    """Prints a line for each layer, method, target and tolerance; returns errors in units of the tolerance and the estimate."""
    start, found = time.perf_counter(), []
    net = nets.make(name, examples)
    target = np.asarray(net.model(net.inputs, training=False)).argmax(1)
    print(f"\n{name}: {len(target)} examples, path at {net.at}", flush=True)
    for layer in looked_at(net.body):
        for of in TARGETS:
            attributor = ta.Attributor(net.model, at=layer, of=of)
            for method in METHODS:
                exact = reference(attributor, lambda **rule: method(path=net.at, **rule), net.inputs, target)  # noqa: B023
                for tolerance in TOLERANCES:
                    result = attributor.attribute(net.inputs, target, method=method(tolerance, path=net.at), verbose=False)
                    error = difference(result.attributions, exact)
                    judged = result.converged & (np.abs(exact).reshape(len(exact), -1).sum(1) > 0)
                    if judged.any():
                        found.append(np.stack([error[judged] / tolerance, error[judged] / result.error_estimate[judged]]))
                    print(line(f"{layer.name:24s} {of:12s} {method.__name__:18s} {tolerance:4.0%}", result, error), flush=True)
    print(f"  {time.perf_counter() - start:.0f} s")
    return found


def cost(rounds: int = 15) -> None:
    """Prints the time of 32 attributions by each method as a multiple of that of integrated gradients, medians over rounds."""
    model = models.digit_model()
    x = np.random.default_rng(0).uniform(size=(32, 8, 8, 1)).astype("float32")
    layer = model.layers[4].name
    at_input, at_layer = ta.Attributor(model), ta.Attributor(model, at=layer)
    runs = {
        "integrated gradients": (at_input, ta.IntegratedGradients(n_steps=STEPS)),
        "SmoothGrad": (at_input, ta.SmoothGrad(n_samples=STEPS)),
        "conductance of a layer": (at_layer, ta.Conductance(n_steps=STEPS)),
        "internal influence": (at_layer, ta.InternalInfluence(n_steps=STEPS)),
        "conductance through a channel": (at_input, ta.Conductance(n_steps=STEPS, through=ta.layer(layer, unit=(..., 3)))),
    }
    taken = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, (attributor, method) in runs.items():
            start = time.perf_counter()
            attributor.attribute(x, 0, method=method, seed=0, verbose=False)
            if number:  # the first call builds what is run
                taken[name].append(time.perf_counter() - start)
    unit = np.array(taken["integrated gradients"])
    for name, seconds in taken.items():
        print(f"  {name:32s} {np.median(np.array(seconds) / unit):5.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=24, help="of each net")
    parser.add_argument("--nets", nargs="+", default=list(nets.NETS), choices=nets.NETS, help="these alone")
    parser.add_argument("--cost", action="store_true", help="measure time instead")
    options = parser.parse_args()
    if options.cost:
        cost()
        return
    errors = np.concatenate([part for name in options.nets for part in measure(name, options.examples)], 1)
    print(f"\nOf {errors.shape[1]} attributions that are said to have converged:")
    for words, parts in zip(("the tolerance", "their own estimate"), errors, strict=True):
        share = (parts <= 1).mean()
        print(
            f"  {'pass' if share >= TRUE else 'FAIL'}  {share:.2%} are within {words} (at least {TRUE:.0%}); the worst is "
            f"{parts.max():.2f} of it"
        )


if __name__ == "__main__":
    main()
