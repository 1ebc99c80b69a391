"""A small net from a seed: layers of all common kinds, branches, shared layers, several inputs and outputs, masks."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .net import Head, Input, Net, Step, pruned

ACTIVATIONS = (
    "relu",
    "relu",
    "relu",
    "tanh",
    "sigmoid",
    "swish",
    "gelu",
    "elu",
    "selu",
    "softplus",
    "softsign",
    "hard_sigmoid",
    "leaky_relu",
    "mish",
    "relu6",
    "hard_silu",
)


class Value(NamedTuple):
    """What an input or a step gives: its name and shape without the batch."""

    name: str
    shape: tuple[int, ...]


class Draft:
    """A net as it grows."""

    def __init__(self, rng: np.random.Generator):
        self.rng, self.steps, self.inputs = rng, [], []

    def add(
        self, layer: str, /, of: Value | list[Value], shape: tuple[int, ...], again: str | None = None, **arguments: Any
    ) -> Value:
        of = of if isinstance(of, list) else [of]
        name = f"s{len(self.steps)}_{layer.rsplit('.', maxsplit=1)[-1].lower()}"
        self.steps.append(Step(name, layer, tuple(value.name for value in of), arguments, again))
        return Value(name, tuple(shape))

    def choice(self, options) -> Any:
        return options[int(self.rng.integers(len(options)))]

    def often(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def size(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def activation(self) -> str:
        return self.choice(ACTIVATIONS)


# of any rank


def dense(draft: Draft, x: Value) -> Value:
    units = draft.size(3, 8)
    return draft.add(
        "Dense",
        x,
        (*x.shape[:-1], units),
        units=units,
        activation=draft.choice((*ACTIVATIONS, "linear")),
        use_bias=draft.often(0.7),
    )


def nonlinearity(draft: Draft, x: Value) -> Value:
    kind = draft.size(0, 5)
    if kind == 0:
        return draft.add(draft.choice(("ops.sin", "ops.tanh", "ops.square", "ops.softplus")), x, x.shape)
    if kind == 1:
        return draft.add(draft.choice(("ReLU", "LeakyReLU", "ELU", "PReLU")), x, x.shape)
    return draft.add("Activation", x, x.shape, activation=draft.activation())


def normalisation(draft: Draft, x: Value) -> Value:
    if x.shape[-1] == 1:  # the norm of one number is its sign
        return draft.add("BatchNormalization", x, x.shape)
    kind = draft.choice(
        (
            "LayerNormalization",
            "LayerNormalization",
            "BatchNormalization",
            "UnitNormalization",
            "GroupNormalization",
            "RMSNormalization",
        )
    )
    arguments = {}
    if kind == "LayerNormalization":
        arguments = {"epsilon": draft.choice((1e-3, 1e-3, 1e-5, 1e-6)), "center": draft.often(0.8), "scale": draft.often(0.8)}
    if kind == "RMSNormalization":
        arguments = {"epsilon": draft.choice((1e-3, 1e-6))}
    if kind == "GroupNormalization":
        arguments = {"groups": draft.choice([g for g in (1, 2, 3, 4, -1) if g < 0 or x.shape[-1] % g == 0])}
    return draft.add(kind, x, x.shape, **arguments)


def dropout(draft: Draft, x: Value) -> Value:
    return draft.add(draft.choice(("Dropout", "GaussianDropout")), x, x.shape, rate=0.3)


def residual(draft: Draft, x: Value) -> Value:
    inside = normalisation(draft, x) if draft.often(0.4) else x
    inside = draft.add("Dense", inside, (*x.shape[:-1], 6), units=6, activation=draft.activation())
    inside = draft.add("Dense", inside, x.shape, units=x.shape[-1])
    added = draft.add("Add", [x, inside], x.shape)
    return normalisation(draft, added) if draft.often(0.4) else added


def gate(draft: Draft, x: Value) -> Value:
    opened = draft.add("Dense", x, x.shape, units=x.shape[-1], activation=draft.choice(("sigmoid", "hard_sigmoid", "softmax")))
    return draft.add("Multiply", [x, opened], x.shape)


def branches(draft: Draft, x: Value) -> Value:
    left, right = dense(draft, x), dense(draft, x)
    return draft.add("Concatenate", [left, right], (*x.shape[:-1], left.shape[-1] + right.shape[-1]))


def shared(draft: Draft, x: Value) -> Value:
    once = draft.add("Dense", x, x.shape, units=x.shape[-1], activation=draft.activation())
    twice = draft.add("Dense", once, x.shape, again=once.name)
    return draft.add(draft.choice(("Add", "Subtract", "Maximum", "Average")), [once, twice], x.shape)


ANY = (dense, dense, nonlinearity, normalisation, normalisation, dropout, residual, residual, gate, branches, shared)


# sequences: (length, channels)


def convolution(draft: Draft, x: Value) -> Value:
    filters, kernel = draft.size(3, 8), draft.size(2, 4)
    padding = draft.choice(("same", "causal", "valid")) if x.shape[0] > 4 else "same"
    stride = 2 if padding == "same" and x.shape[0] > 5 and draft.often(0.3) else 1
    length = x.shape[0] - kernel + 1 if padding == "valid" else math.ceil(x.shape[0] / stride)
    return draft.add(
        "Conv1D",
        x,
        (length, filters),
        filters=filters,
        kernel_size=kernel,
        padding=padding,
        strides=stride,
        activation=draft.activation(),
    )


def separated(draft: Draft, x: Value) -> Value:
    if draft.often(0.5):
        return draft.add("DepthwiseConv1D", x, x.shape, kernel_size=3, padding="same", activation=draft.activation())
    filters = draft.size(3, 8)
    return draft.add(
        "SeparableConv1D",
        x,
        (x.shape[0], filters),
        filters=filters,
        kernel_size=3,
        padding="same",
        activation=draft.activation(),
    )


def longer(draft: Draft, x: Value) -> Value:
    if draft.often(0.5):
        return draft.add("UpSampling1D", x, (2 * x.shape[0], x.shape[1]), size=2)
    return draft.add(
        "Conv1DTranspose",
        x,
        (2 * x.shape[0], 4),
        filters=4,
        kernel_size=3,
        strides=2,
        padding="same",
        activation=draft.activation(),
    )


def shorter(draft: Draft, x: Value) -> Value:
    if x.shape[0] < 4:
        return dense(draft, x)
    return draft.add(draft.choice(("MaxPooling1D", "AveragePooling1D")), x, (x.shape[0] // 2, x.shape[1]), pool_size=2)


def recurrent(draft: Draft, x: Value, sequences: bool = True) -> Value:
    units, kind = draft.size(3, 6), draft.choice(("LSTM", "GRU", "SimpleRNN"))
    arguments = {"units": units, "return_sequences": sequences}
    both = draft.often(0.4)
    shape = (*x.shape[:1], units * (1 + both)) if sequences else (units * (1 + both),)
    if both:
        return draft.add("Bidirectional", x, shape, layer=[kind, arguments])
    return draft.add(kind, x, shape, **arguments)


def attention(draft: Draft, x: Value) -> Value:
    if draft.often(0.3):
        query, value = (draft.add("Dense", x, (x.shape[0], 6), units=6) for _ in range(2))
        attended = draft.add(draft.choice(("Attention", "AdditiveAttention")), [query, value], (x.shape[0], 6))
        return draft.add("Concatenate", [query, attended], (x.shape[0], 12))
    before = normalisation(draft, x) if draft.often(0.4) else x
    attended = draft.add("MultiHeadAttention", [before, before], x.shape, num_heads=2, key_dim=3)
    added = draft.add("Add", [x, attended], x.shape)
    return draft.add("LayerNormalization", added, x.shape) if draft.often(0.6) else added


SEQUENCE = (convolution, convolution, separated, longer, shorter, recurrent, recurrent, attention, attention)


# images: (height, width, channels)


def convolution_2d(draft: Draft, x: Value) -> Value:
    filters = draft.size(3, 6)
    stride = 2 if min(x.shape[:2]) > 4 and draft.often(0.3) else 1
    return draft.add(
        "Conv2D",
        x,
        (math.ceil(x.shape[0] / stride), math.ceil(x.shape[1] / stride), filters),
        filters=filters,
        kernel_size=3,
        padding="same",
        strides=stride,
        activation=draft.activation(),
        use_bias=draft.often(0.7),
    )


def separated_2d(draft: Draft, x: Value) -> Value:
    if draft.often(0.6):
        return draft.add("DepthwiseConv2D", x, x.shape, kernel_size=3, padding="same", activation=draft.activation())
    return draft.add(
        "SeparableConv2D", x, (*x.shape[:2], 4), filters=4, kernel_size=3, padding="same", activation=draft.activation()
    )


def larger_2d(draft: Draft, x: Value) -> Value:
    if x.shape[0] > 6:
        return convolution_2d(draft, x)
    shape = (2 * x.shape[0], 2 * x.shape[1])
    if draft.often(0.4):
        return draft.add("UpSampling2D", x, (*shape, x.shape[2]), interpolation=draft.choice(("nearest", "bilinear")))
    return draft.add("Conv2DTranspose", x, (*shape, 3), filters=3, kernel_size=3, strides=2, padding="same")


def smaller_2d(draft: Draft, x: Value) -> Value:
    if min(x.shape[:2]) < 4:
        return convolution_2d(draft, x)
    return draft.add(
        draft.choice(("MaxPooling2D", "AveragePooling2D")), x, (x.shape[0] // 2, x.shape[1] // 2, x.shape[2]), pool_size=2
    )


def squeezed(draft: Draft, x: Value) -> Value:
    pooled = draft.add("GlobalAveragePooling2D", x, (1, 1, x.shape[2]), keepdims=True)
    gates = draft.add("Dense", pooled, pooled.shape, units=x.shape[2], activation=draft.choice(("sigmoid", "hard_sigmoid")))
    return draft.add("Multiply", [x, gates], x.shape)


def block_2d(draft: Draft, x: Value) -> Value:
    inside = draft.add("Conv2D", x, x.shape, filters=x.shape[2], kernel_size=3, padding="same", use_bias=False)
    inside = draft.add("BatchNormalization", inside, x.shape)
    inside = draft.add("Activation", inside, x.shape, activation=draft.activation())
    return draft.add("Add", [x, inside], x.shape)


IMAGE = (
    convolution_2d,
    convolution_2d,
    convolution_2d,
    separated_2d,
    larger_2d,
    smaller_2d,
    smaller_2d,
    squeezed,
    block_2d,
    block_2d,
)
BLOCKS: dict[int, tuple[Callable, ...]] = {1: ANY, 2: (*ANY, *SEQUENCE, *SEQUENCE), 3: (*ANY, *IMAGE, *IMAGE, *IMAGE)}


def reduced(draft: Draft, x: Value) -> Value:
    """`x` as one vector."""
    if len(x.shape) == 1:
        return x
    kind = draft.size(0, 3)
    if kind == 0 and math.prod(x.shape) <= 200:
        return draft.add("Flatten", x, (math.prod(x.shape),))
    if kind == 1 and len(x.shape) == 2:
        return recurrent(draft, x, sequences=False)
    if kind == 2 and len(x.shape) == 2:  # attention pooling
        shares = draft.add("Dense", x, (x.shape[0], 1), units=1)
        shares = draft.add("ops.softmax", shares, shares.shape, axis=1)
        pooled = draft.add("Dot", [shares, x], (1, x.shape[1]), axes=1)
        return draft.add("Flatten", pooled, x.shape[1:])
    word = draft.choice(("GlobalAveragePooling", "GlobalAveragePooling", "GlobalMaxPooling"))
    return draft.add(f"{word}{len(x.shape) - 1}D", x, x.shape[-1:])


def entrance(draft: Draft, number: int, table: Value | None) -> tuple[Value, str | None]:
    """An input, tokens with their embedding, and the name of the embedding."""
    kind = draft.choice((1, 2, 3, "tokens", "tokens"))
    if kind == "tokens":
        made = Input(f"x{number}", (draft.size(4, 6) + 3 * number,), vocabulary=20)
        draft.inputs.append(made)
        ids = Value(made.name, made.shape)
        if table is not None and draft.often(0.5):
            return draft.add("Embedding", ids, (*made.shape, table.shape[1]), again=table.name), None
        width = draft.size(4, 8)
        return draft.add(
            "Embedding", ids, (*made.shape, width), input_dim=20, output_dim=width, mask_zero=draft.often(0.5)
        ), "Embedding"
    shape = {1: (draft.size(3, 8),), 2: (draft.size(5, 9), draft.size(2, 5)), 3: (6, 6, draft.size(1, 3))}[kind]
    draft.inputs.append(Input(f"x{number}", shape))
    return Value(f"x{number}", shape), None


def merged(draft: Draft, parts: list[Value]) -> Value:
    """Several vectors as one."""
    if len(parts) == 1:
        return parts[0]
    if draft.often(0.3):  # two towers
        towers = [draft.add("Dense", part, (5,), units=5) for part in parts]
        return draft.add(draft.choice(("Add", "Multiply", "Maximum")), towers, (5,))
    return draft.add("Concatenate", parts, (sum(part.shape[0] for part in parts),))


def head(draft: Draft, number: int, x: Value) -> Head:
    kind = draft.choice(("softmax", "softmax", "softmax", "sigmoid", "linear"))
    units = draft.size(2, 5) if kind == "softmax" or draft.often(0.4) else 1
    return Head(f"head{number}", x.name, units, kind, draft.often(0.7))


def make(seed: int) -> Net:
    """The net of this seed."""
    draft = Draft(np.random.default_rng([seed, 14]))
    count, parts, table = draft.choice((1, 1, 1, 1, 1, 2, 2, 3)), [], None
    for number in range(count):
        x, made = entrance(draft, number, table)
        table = x if made else table
        if draft.often(0.2):
            x = normalisation(draft, x)
        for _ in range(draft.size(1, 3) if count == 1 else 1):
            x = draft.choice(BLOCKS[len(x.shape)])(draft, x)
        # a head at every position, for a single sequence
        parts.append(x if count == 1 and len(x.shape) == 2 and draft.often(0.2) else reduced(draft, x))
    x = merged(draft, parts)
    for _ in range(draft.size(0, 1)):
        x = draft.choice(ANY)(draft, x)
    heads = [head(draft, 0, x)]
    if draft.often(0.15):
        heads.append(head(draft, 1, draft.choice(ANY)(draft, x)))
    return pruned(
        Net(
            seed,
            tuple(draft.inputs),
            tuple(draft.steps),
            tuple(heads),
            gain=draft.choice((1.0, 1.0, 1.5, 2.5)),
            bias=draft.choice((0.0, 0.1, 0.1, 0.5)),
            embedding=draft.choice((0.05, 1.0, 1.0)),
            asked=draft.size(0, len(heads) - 1),
            logits=draft.often(0.3),
            baseline=draft.choice(("zeros", "zeros", "zeros", "noise", "both", "input")),
        )
    )
