"""The pictures of the pages: `python docs/pictures.py` runs the pages' own code and draws what it leaves behind (a minute)."""

import os
import re
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "agg")

import matplotlib.pyplot as plt
import numpy as np

import tf_attrib as ta
from tf_attrib import view
from tf_attrib.view.pixels import per_pixel

DOCS = Path(__file__).parent
FROM_DATA = ("expected_gradients", "deepshap")
AT_LAYER = ("conductance", "internal_influence")
WITHOUT_SIGN = ("smoothgrad_squared", "vargrad")
# where the default would be a single pixel
INSTANCES = {
    "rise": ta.RISE(4000, grid=4),
    "occlusion": ta.Occlusion(window=2, stride=1),
    "shapley_sampling": ta.ShapleySampling(ta.tiles((8, 8), 2)),
    "kernel_shap": ta.KernelSHAP(ta.tiles((8, 8), 2)),
    "lime": ta.LIME(ta.tiles((8, 8), 2)),
    "ablation": ta.Ablation(np.kron(np.arange(16).reshape(4, 4), np.ones((2, 2), int))),
}


def after(page: str, count: int, namespace: dict | None = None, first: int = 0) -> dict:
    """What the first `count` blocks of a page, from `first` on, leave behind, on top of what is there already."""
    namespace = {"ta": ta} if namespace is None else namespace
    for code in re.findall(r"^```python\n(.*?)^```$", (DOCS / page).read_text("utf-8"), re.M | re.S)[first:count]:
        exec(code, namespace)
    return namespace


def save(figure, name: str) -> None:
    path = DOCS / name
    figure.savefig(path, dpi=110, bbox_inches="tight", pad_inches=0.05)
    plt.close("all")
    print(f"{path.stat().st_size // 1000:5d} kB  {name}")


def maps(images: np.ndarray, result: ta.Attribution, signed: bool):
    """Each image beside its map: colours are symmetric about zero, each on a scale of its own, which is written beneath."""
    figure, axes = plt.subplots(1, 2 * len(images), figsize=(7.4, 1.55), layout="constrained")
    for example, (image, values) in enumerate(zip(images, result.attributions, strict=True)):
        values, least, _ = per_pixel(values, result.kind)
        limit = np.abs(values).max()
        scale = f"{least:.2g} to {least + limit:.2g}" if least else f"{'±' if signed else '0 to '}{limit:.2g}"
        axes[2 * example].imshow(image[..., 0], cmap="gray_r")
        axes[2 * example + 1].imshow(values, cmap=view.DIVERGING, vmin=-limit, vmax=limit)
        axes[2 * example + 1].set_xlabel(scale, fontsize=7)
    for axis in axes:
        axis.set_xticks([])
        axis.set_yticks([])
    return figure


def heat(images: np.ndarray, result: ta.Attribution, area: float):
    """Each image beside its regions of the highest attribution per pixel, which cover no more than that part of it."""
    figure, axes = plt.subplots(1, 2 * len(images), figsize=(7.4, 1.55), layout="constrained")
    for example, (image, top) in enumerate(zip(images, ta.top_regions(result, area), strict=True)):
        values = result.region_values[example][result.regions[example] - 1]
        axes[2 * example].imshow(image[..., 0], cmap="gray_r")
        axes[2 * example + 1].imshow(image[..., 0], cmap="gray_r", alpha=0.3)
        shown = axes[2 * example + 1].imshow(np.where(top, values, np.nan), cmap="cividis", vmin=0, vmax=values.max())
        figure.colorbar(shown, ax=axes[2 * example + 1], orientation="horizontal", fraction=0.06).ax.tick_params(labelsize=5)
    for axis in axes:
        axis.set_xticks([])
        axis.set_yticks([])
    return figure


def methods(start: dict) -> None:
    """One picture for each row of the table of methods."""
    model, images = start["model"], start["images"]
    shown = images[1500:1503]
    for name in ta.METHODS:
        attributor = ta.Attributor(model, at="conv") if name in AT_LAYER else start["attributor"]
        baselines = ta.dataset(images[:50]) if name in FROM_DATA else None
        result = attributor.attribute(shown, baselines=baselines, method=INSTANCES.get(name, name), seed=0, verbose=False)
        if name == "interior_gradients":
            figure = result.plot(kind="steps", example=1)
        elif name == "xrai":
            figure = heat(shown, result, 0.3)
        else:
            figure = maps(shown, result, name not in WITHOUT_SIGN)
        save(figure, f"methods/pictures/{name}.png")


def start_pictures(start: dict) -> None:
    attributor, images = start["attributor"], start["images"]
    few = images[1500:1504]
    save(start["result"].plot(example=[0, 1]), "pictures/start.png")
    gradients = attributor.attribute(few, method="interior_gradients")
    saturated = int(np.nanargmin(np.abs(start["result"].gradient_share)))
    save(gradients.plot(kind="saturation", example=saturated), "pictures/saturation.png")


def task_pictures() -> None:
    image = after("tasks/images.md", 2)
    save(image["result"].plot(example=0, outlined=0.5), "pictures/image.png")
    after("tasks/images.md", 5, image, first=2)
    save(image["result"].plot(kind="regions", regions=image["parts"], example=0), "pictures/regions.png")
    save(ta.grid({"integrated gradients": image["found"], "Grad-CAM": image["cam"]}), "pictures/grid.png")
    text = after("tasks/text.md", 2)
    save(text["result"].plot(kind="bars", tokens=text["in_words"], example=0), "pictures/words.png")
    (DOCS / "pictures" / "words.html").write_text(text["coloured"] + "\n", "utf-8")
    save(after("tasks/datasets.md", 1, text)["summary"].plot(), "pictures/summary.png")
    table = after("tasks/tables.md", 2)
    save(table["result"].plot(k=8, example=0), "pictures/table.png")
    signal = after("tasks/signals.md", 3)
    save(signal["in_wave"].plot(kind="signal", times=signal["time"], example=0), "pictures/signal.png")


def main() -> int:
    start = after("index.md", 2)
    start_pictures(start)
    methods(start)
    task_pictures()
    return 0


if __name__ == "__main__":
    sys.exit(main())
