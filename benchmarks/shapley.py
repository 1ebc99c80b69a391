"""How many evaluations of a model Shapley values take to the same standard error, by each way of drawing coalitions:

    python benchmarks/shapley.py [--seeds 12] [--evaluations 2000]

A dense net of 30 columns (breast cancer, as scikit-learn ships it) against the average row, and a convolutional net of digits
whose 16 tiles play against black. What is measured is the spread over seeds of each player's value, not what methods say, with
about as many evaluations for each; the table has the evaluations that would bring its root mean square over players to 1% of
the difference of scores, as variance falls with their number. Of shap and captum, where they are installed, the estimators for
any function are called on the same score with the same baseline.
"""

import argparse
import contextlib
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits

import tf_attrib as ta

layers = keras.layers


def table():
    """A net of 30 columns, an example, the baseline, and its players."""
    data = load_breast_cancer()
    x = ((data.data - data.data.mean(0)) / data.data.std(0)).astype("float32")
    model = keras.Sequential([keras.Input((30,)), layers.Dense(16, activation="relu"), layers.Dense(2, activation="softmax")])
    return trained(model, x, data.target), x[:1], np.zeros(30, "float32"), np.arange(30)


def digits():
    """A net of digits, one of them, black, and 16 tiles."""
    data = load_digits()
    x = (data.images / 16).astype("float32")[..., None]
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(16, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )
    return trained(model, x, data.target), x[4:5], np.zeros((8, 8, 1), "float32"), ta.tiles((8, 8), 2)


def trained(model, x, y):
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x, y, epochs=10, verbose=0)
    return model


class Game:
    """The score of one example as a function of who is present, counting how often it is asked."""

    def __init__(self, model, x, baseline, groups):
        self.model, self.x, self.baseline = model, x, baseline
        self.groups = np.broadcast_to(groups.reshape(groups.shape + (1,) * (baseline.ndim - groups.ndim)), baseline.shape)
        self.players = int(groups.max()) + 1
        self.target = int(model.predict(x, verbose=0)[0].argmax())
        self.count = 0

    def __call__(self, present):
        present = np.asarray(present) > 0.5
        self.count += len(present)
        rows = np.where(present[:, self.groups], self.x, self.baseline)
        return np.concatenate([self.model(rows[i : i + 256]).numpy()[:, self.target] for i in range(0, len(rows), 256)])


def ours(game, method, evaluations):
    attributor = ta.Attributor(game.model)

    def values(seed):
        made = method(game.groups[..., 0] if game.x.ndim > 2 else game.groups, evaluations)
        result = attributor.attribute(game.x, game.target, game.baseline, made, seed=seed, verbose=False)
        flat = np.bincount(game.groups.ravel(), result.attributions[0].ravel(), game.players)
        return flat, int(result.forward_evaluations[0])

    return values


def of_shap(game, explainer, evaluations):
    import shap

    def values(seed):
        np.random.seed(seed)  # noqa: NPY002 (shap draws from it)
        game.count = 0
        background, one = np.zeros((1, game.players)), np.ones((1, game.players))
        if explainer == "KernelExplainer":
            found = shap.KernelExplainer(game, background).shap_values(one, nsamples=evaluations, l1_reg=False, silent=True)
            return np.asarray(found)[0], game.count
        made = shap.PermutationExplainer(game, background, seed=seed)
        found = made(one, max_evals=evaluations, silent=True)
        return found.values[0], game.count

    return values


def of_captum(game, evaluations):
    import torch
    from captum.attr import ShapleyValueSampling

    def values(seed):
        torch.manual_seed(seed)
        game.count = 0
        score = lambda z: torch.from_numpy(game(z.numpy()).astype("float64"))  # noqa: E731
        made = ShapleyValueSampling(score)
        draws = max(1, evaluations // game.players)
        found = made.attribute(torch.ones(1, game.players, dtype=torch.float64), n_samples=draws, perturbations_per_eval=1)
        return found[0].numpy(), game.count

    return values


def ways(game, evaluations):
    """Each way by name: from a seed to the values of players and the evaluations that they took."""
    fixed = {"exact_up_to": 0, "tolerance": 1e-9}

    def way(kind, **options):
        return ours(game, lambda groups, most: kind(groups, max_evaluations=most, **fixed, **options), evaluations)

    found = {
        "ta.ShapleySampling()": way(ta.ShapleySampling),
        "ta.ShapleySampling(antithetic=False)": way(ta.ShapleySampling, antithetic=False),
        "ta.KernelSHAP()": way(ta.KernelSHAP),
        "ta.KernelSHAP(paired=False)": way(ta.KernelSHAP, paired=False),
    }
    with contextlib.suppress(ImportError):
        import shap

        for name in ("KernelExplainer", "PermutationExplainer"):
            found[f"shap {shap.__version__} {name}"] = of_shap(game, name, evaluations)
    with contextlib.suppress(ImportError):
        import captum

        found[f"captum {captum.__version__} ShapleyValueSampling"] = of_captum(game, evaluations)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--evaluations", type=int, default=2000)
    given = parser.parse_args()
    keras.utils.set_random_seed(0)
    for make in (table, digits):
        game = Game(*make())
        moves = abs(float(np.diff(game(np.stack([np.zeros(game.players), np.ones(game.players)])))[0]))
        print(f"{make.__name__}: {game.players} players, the score differs by {moves:.3g}")
        for name, values in ways(game, given.evaluations).items():
            runs = [values(seed) for seed in range(given.seeds)]
            spread = np.sqrt(np.var([found for found, _ in runs], 0, ddof=1).mean())
            used = np.mean([count for _, count in runs])
            needed = used * (spread / (0.01 * moves)) ** 2
            print(f"  {name:44s} {used:6.0f} evaluations, spread {spread / moves:.3%}: {needed:8.0f} for 1%", flush=True)


if __name__ == "__main__":
    main()
