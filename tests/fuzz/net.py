"""A net as plain data: what is generated, shrunk, kept in a report and printed as a program."""

import dataclasses
import json
from typing import Any

# Layers that take a list of tensors; others take one, or several as arguments.
LISTS = frozenset(
    {"Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate", "Dot", "Attention", "AdditiveAttention"}
)
# Layers around another layer.
WRAPPERS = frozenset({"Bidirectional", "TimeDistributed"})


@dataclasses.dataclass(frozen=True)
class Input:
    """An input of the net: `vocabulary` is 0 for floats, else how many tokens there are."""

    name: str
    shape: tuple[int, ...]
    vocabulary: int = 0


@dataclasses.dataclass(frozen=True)
class Step:
    """A call of a layer.

    Attributes:
        name: of the layer and of what it gives.
        layer: its class in keras.layers, or a function of keras.ops such as "ops.sin".
        of: what it is called with: names of inputs and steps.
        arguments: of its constructor; a layer inside a wrapper is the pair [class, arguments].
        again: the step whose layer is called once more, in place of a new one.
    """

    name: str
    layer: str
    of: tuple[str, ...]
    arguments: dict[str, Any] = dataclasses.field(default_factory=dict)
    again: str | None = None


@dataclasses.dataclass(frozen=True)
class Head:
    """An output: a Dense layer of `units` after `of`, then `kind` ("softmax", "sigmoid" or "linear"), in one layer or two."""

    name: str
    of: str
    units: int
    kind: str
    fused: bool = True


@dataclasses.dataclass(frozen=True)
class Net:
    """A net, its weights and data by a seed, and what is asked of it.

    Attributes:
        seed: of weights and data.
        gain, bias, embedding: the spread of kernels (relative to the root of the fan-in), of biases and shifts, of embeddings.
        asked: which of the heads is explained.
        logits: whether its logits are, in place of its probability.
        baseline: "zeros", "noise", "both" (the mean over two) or "input" (another example; for tokens another row).
        examples: how many.
    """

    seed: int
    inputs: tuple[Input, ...]
    steps: tuple[Step, ...]
    heads: tuple[Head, ...]
    gain: float = 1.0
    bias: float = 0.1
    embedding: float = 1.0
    asked: int = 0
    logits: bool = False
    baseline: str = "zeros"
    examples: int = 3

    @property
    def head(self) -> Head:
        """The one that is explained."""
        return self.heads[self.asked]

    def __hash__(self) -> int:
        return hash(self.to_json())

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @staticmethod
    def from_json(text: str) -> "Net":
        values = json.loads(text)
        plain = {key: value for key, value in values.items() if key not in ("inputs", "steps", "heads")}
        return Net(
            inputs=tuple(Input(one["name"], tuple(one["shape"]), one["vocabulary"]) for one in values["inputs"]),
            steps=tuple(Step(**(one | {"of": tuple(one["of"])})) for one in values["steps"]),
            heads=tuple(Head(**one) for one in values["heads"]),
            **plain,
        )


def pruned(net: Net) -> Net:
    """The net without steps that lead to no head, and without inputs that nothing uses."""
    needed = {head.of for head in net.heads}
    for step in reversed(net.steps):
        if step.name in needed:
            needed |= {*step.of, *([step.again] if step.again else [])}
    return dataclasses.replace(
        net,
        steps=tuple(step for step in net.steps if step.name in needed),
        inputs=tuple(one for one in net.inputs if one.name in needed),
    )


def call_words(step: Step) -> str:
    """The step as a line of a program."""
    given = ", ".join(step.of)
    if step.layer.startswith("ops."):
        given = ", ".join([given, *(f"{key}={value!r}" for key, value in step.arguments.items())])
        return f"{step.name} = keras.{step.layer}({given})"
    made = f"{step.again}_layer" if step.again else layer_words(step.layer, step.arguments | {"name": step.name})
    call = f"({'[' + given + ']' if step.layer in LISTS else given})"
    return f"{step.name}_layer = {made}; {step.name} = {step.name}_layer{call}"


def layer_words(layer: str, arguments: dict[str, Any]) -> str:
    """The constructor of a layer as Python."""
    words = [
        f"{key}={layer_words(*value) if layer in WRAPPERS and key == 'layer' else repr(value)}"
        for key, value in arguments.items()
    ]
    return f"layers.{layer}({', '.join(words)})"


def program(net: Net) -> str:
    """A program that builds the net, fills its weights, draws its data and asks the question, to be copied."""
    shown = {
        one.name: f"keras.Input({one.shape}, name={one.name!r}{', dtype=' + repr('int32') if one.vocabulary else ''})"
        for one in net.inputs
    }
    lines = [
        "import keras",
        "from keras import layers",
        "import tf_attrib as ta",
        "from tests.fuzz.build import baselines, data, of, target, weigh",
        "from tests.fuzz.net import Net",
        "",
    ]
    lines += [f"{name} = {made}" for name, made in shown.items()]
    lines += [call_words(step) for step in net.steps]
    for head in net.heads:
        inner = f"{head.name}" if head.fused else f"{head.name}_logits"
        lines.append(
            f"{head.name} = layers.Dense({head.units}, {head.kind if head.fused else 'linear'!r}, name={inner!r})({head.of})"
        )
        if not head.fused:
            lines.append(f"{head.name} = layers.Activation({head.kind!r}, name={head.name!r})({head.name})")
    names, heads = ", ".join(shown), ", ".join(head.name for head in net.heads)
    lines += [
        f"model = keras.Model([{names}], [{heads}])",
        f"net = Net.from_json({net.to_json()!r})",
        "weigh(net, model)",
        "attributor = ta.Attributor(model, of=of(net))",
        "result = attributor.attribute(data(net), target(net, model), baselines(net, model), verbose=False)",
        "print(result)",
    ]
    return "\n".join(lines)
