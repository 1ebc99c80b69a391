"""A net that fails, made smaller as long as it fails the same way."""

import dataclasses
from collections.abc import Callable, Iterator

from .net import LISTS, WRAPPERS, Net, Step, pruned


def without(net: Net, step: Step, instead: str) -> Net:
    """The net with one of the step's inputs in its place."""

    def moved(name: str) -> str:
        return instead if name == step.name else name

    steps = tuple(dataclasses.replace(one, of=tuple(map(moved, one.of))) for one in net.steps if one is not step)
    heads = tuple(dataclasses.replace(head, of=moved(head.of)) for head in net.heads)
    return dataclasses.replace(net, steps=steps, heads=heads)


def simpler(step: Step) -> Iterator[Step]:
    """The step with less in it."""
    if step.layer in LISTS and len(step.of) > 2:
        for name in step.of:
            yield dataclasses.replace(step, of=tuple(other for other in step.of if other != name))
    if step.arguments.get("activation", "linear") != "linear":
        yield dataclasses.replace(step, arguments=step.arguments | {"activation": "linear"})
    if step.layer in WRAPPERS:
        layer, arguments = step.arguments["layer"]
        yield dataclasses.replace(step, layer=layer, arguments=arguments)


def smaller(net: Net) -> Iterator[Net]:
    """Nets with one thing less; not all of them can be built."""
    if len(net.heads) > 1:
        yield dataclasses.replace(net, heads=(net.head,), asked=0)
    called = {step.again for step in net.steps}
    for step in reversed(net.steps):
        if step.layer != "Embedding" and step.name not in called:
            for instead in dict.fromkeys(step.of):
                yield without(net, step, instead)
    for number, step in enumerate(net.steps):
        for other in simpler(step):
            yield dataclasses.replace(net, steps=(*net.steps[:number], other, *net.steps[number + 1 :]))
    for plain in ({"baseline": "zeros"}, {"logits": False}, {"gain": 1.0}, {"bias": 0.0}, {"embedding": 1.0}):
        if dataclasses.replace(net, **plain) != net:
            yield dataclasses.replace(net, **plain)


def shrink(net: Net, fails: Callable[[Net], bool], most: int = 60) -> Net:
    """The smallest net that was found.

    Args:
        fails: whether a net still fails; it is asked at most `most` times, never twice of one net, and never of a net that is
            not smaller than one that fails.
    """
    tried = {net}
    while True:
        for candidate in map(pruned, smaller(net)):
            if candidate in tried or not candidate.inputs:
                continue
            if len(tried) > most:
                return net
            tried.add(candidate)
            if fails(candidate):
                net = candidate
                break
        else:
            return net
