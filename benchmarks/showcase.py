"""Uniform steps against a stated accuracy, on a net that begins with LayerNormalization.

    python benchmarks/showcase.py [--picture FILE]

The net compares a digit with ten templates after LayerNormalization (epsilon 1e-6). Against a baseline of zeros its gradient
lives in the first two thousandths of the path, where uniform steps have one node or two.
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "agg")

# The standard deviation of a template's pixels.
CONTRAST = 2.1
STEPS = (10, 30, 100, 300, 1000, 3000)
RULES = {"left": "left sum", "trapezoid": "trapezoid"}


def matched_filters():
    """The net, and the mean digit of each class as its input, (10, 64)."""
    import keras
    import numpy as np

    from tf_attrib.demo.data import digits

    found = digits()
    flat = found.train_inputs.reshape(-1, 64)
    templates = np.stack([flat[found.train_labels == digit].mean(0) for digit in range(10)])
    templates *= CONTRAST / templates.std(1, keepdims=True)
    model = keras.Sequential([keras.Input((64,)), keras.layers.LayerNormalization(epsilon=1e-6), keras.layers.Dense(10)])
    centred = templates - templates.mean(1, keepdims=True)
    model.layers[1].set_weights([centred.T / 64 / CONTRAST, np.zeros(10)])
    return model, templates.astype("float32")


def measure():
    """Median relative L1 errors by rule and number of steps, and (evaluations, error) by tolerance."""
    import numpy as np

    import tf_attrib as ta

    model, x = matched_filters()
    attributor, target = ta.Attributor(model), np.arange(10)

    def attributions(**options):
        return attributor.attribute(x, target, method=ta.IntegratedGradients(**options), verbose=False)

    truth = attributions(rule="midpoint", n_steps=100000).attributions

    def error(result):
        return float(np.median(np.abs(result.attributions - truth).sum(1) / np.abs(truth).sum(1)))

    fixed = {rule: [error(attributions(rule=rule, n_steps=steps)) for steps in STEPS] for rule in RULES}
    stated = {}
    for tolerance in (0.05, 0.01):
        result = attributions(tolerance=tolerance)
        stated[tolerance] = (int(result.evaluations.max()), error(result))
    return fixed, stated


def draw(fixed, stated, path):
    """The picture: error against gradient evaluations, both logarithmic."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7.2, 3.4), layout="constrained")
    placed = {"left": ("#b2182b", 1150, 1.5, "left"), "trapezoid": ("#d6604d", 850, 0.55, "right")}
    for rule, errors in fixed.items():
        colour, x, height, side = placed[rule]
        axes.loglog(STEPS, errors, "o-", color=colour, label=f"uniform steps, {RULES[rule]}")
        at = STEPS.index(1000)
        axes.text(x, errors[at] * height, f"1000 steps: {errors[at]:.0%} wrong", color=colour, ha=side)
    for tolerance, (evaluations, _) in stated.items():
        axes.plot(
            evaluations,
            tolerance,
            "*",
            markersize=15,
            color="#1b7837",
            label="to a stated accuracy" if tolerance == 0.05 else None,
        )
        axes.text(evaluations * 1.2, tolerance, f"{tolerance:.0%} with {evaluations} gradients", color="#1b7837", va="center")
    axes.set(xlabel="gradient evaluations an example", ylabel="relative L1 error", xlim=(8, 9000), ylim=(3e-3, 400))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=130)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--picture", metavar="FILE", help="draw errors against evaluations to this file")
    options = parser.parse_args()
    fixed, stated = measure()
    for rule, errors in fixed.items():
        print(f"{RULES[rule]:12s}", ", ".join(f"{steps} steps {error:.1%}" for steps, error in zip(STEPS, errors, strict=True)))
    for tolerance, (evaluations, error) in stated.items():
        print(f"to {tolerance:.0%}: {evaluations} gradients at most, {error:.2%} wrong")
    if options.picture:
        draw(fixed, stated, options.picture)


if __name__ == "__main__":
    main()
