"""The same as `benchmarks/language.py` measures, by captum's LayerIntegratedGradients on the same net in torch.

    python benchmarks/language.py --torch PYTHON     # an interpreter that has torch and captum; runs this file with it

It reads the weights that `language.py` wrote, and prints processor seconds, peak memory and the sum of magnitudes as JSON.
"""

import json
import resource
import sys
import time

import numpy as np
import torch
from captum.attr import LayerIntegratedGradients
from torch.nn import functional

BLOCKS, STEPS, TARGETS, REPEATS, EPSILON = 4, 16, 4, 2, 1e-3


class Net(torch.nn.Module):
    """The GPT of `language.py`, which gives the logits at one position of each row."""

    def __init__(self, weights):
        super().__init__()
        self.w = {name: torch.from_numpy(value) for name, value in weights.items()}
        self.words = torch.nn.Embedding.from_pretrained(self.w["words_0"])

    def norm(self, name, x):
        return functional.layer_norm(x, x.shape[-1:], self.w[f"{name}_0"], self.w[f"{name}_1"], EPSILON)

    def heads(self, name, i, y):
        return torch.einsum("bld,dhk->bhlk", y, self.w[f"{name}_{2 * i}"]) + self.w[f"{name}_{2 * i + 1}"][:, None]

    def forward(self, ids, position):
        x = self.words(ids) + self.w["positions_0"][: ids.shape[1]]
        for i in range(BLOCKS):
            name = f"attention_{i}"
            query, key, value = (self.heads(name, part, self.norm(f"norm_{i}", x)) for part in range(3))
            seen = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
            x = x + torch.einsum("bhlk,hkd->bld", seen, self.w[f"{name}_6"]) + self.w[f"{name}_7"]
            y = self.norm(f"norm_mlp_{i}", x) @ self.w[f"up_{i}_0"] + self.w[f"up_{i}_1"]
            x = x + functional.gelu(y) @ self.w[f"down_{i}_0"] + self.w[f"down_{i}_1"]
        x = self.norm("final", x[torch.arange(len(x)), position])
        return torch.log_softmax(x @ self.w["logits_0"] + self.w["logits_1"], -1)


def main():
    """Measures what the first argument, an .npz file, holds, in blocks of so many rows as the second says."""
    held = dict(np.load(sys.argv[1]))
    ids, block = torch.from_numpy(held.pop("ids").astype("int64")), int(sys.argv[2])
    torch.set_num_threads(2)
    net = Net(held).eval()
    # captum's baseline of a layer is what the layer gives for other ids: a row of zeros stands for the zero vector
    zeros = torch.zeros(1, net.words.weight.shape[1])
    net.words = torch.nn.Embedding.from_pretrained(torch.cat([net.words.weight, zeros]))
    integrated = LayerIntegratedGradients(net, net.words)
    length = len(ids) - 1
    positions = torch.arange(length - TARGETS, length)
    rows = ids[None, :-1].repeat(TARGETS, 1)
    nothing = torch.full_like(rows, len(net.words.weight) - 1)

    def call():
        found = integrated.attribute(
            rows,
            nothing,
            ids[positions + 1],
            (positions,),
            n_steps=STEPS,
            method="gausslegendre",
            internal_batch_size=block,
        )
        return found.sum(-1).numpy()

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    seconds = []
    for _ in range(REPEATS + 1):
        start = time.process_time()
        found = call()
        seconds.append(time.process_time() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    print(json.dumps({"first": seconds[0], "again": min(seconds[1:]), "peak": peak, "found": float(np.abs(found).sum())}))


if __name__ == "__main__":
    main()
