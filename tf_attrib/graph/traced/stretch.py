"""The affine stretch that a traced graph begins with: a straight path is straight behind it, too.

    F(x) = G(A x + b)        A x(alpha) + b = (1 - alpha) (A x' + b) + alpha (A x + b)        dF/dx = A' dG/dh

So the ends of each path are brought behind it once, rows begin there, and the transpose A' is applied to the sum of their
gradients. Exact but for rounding. Variables stay live: A and b are what the graph computes.
"""

from collections.abc import Iterable
from typing import Any

import tensorflow as tf

from .affine import Layout, layouts, multiplications, numbers
from .cut import Cut, Port
from .folding import SHAPES
from .gradients import gradients
from .heads_and_lookups import ancestors
from .same import Same
from .trace import TRACING, Traced

# What a number of a row costs to be interpolated, handed back and summed, in multiplications of linear operations.
NUMBER = 200
# What must be saved of each row: less is what blocks cost more.
LEAST = 50_000


class Stretch:
    """The part of a graph from selected tensors to where an affine stretch ends.

    Args:
        ports: the selected tensors, all of them with the examples along their first axis.
        ends: what `ends_of` found.

    Attributes:
        ends: the tensors where it ends, by number.
        narrows: whether they have half as many numbers as the selected ones, or fewer.
    """

    def __init__(self, traced: Traced, ports: dict[Any, Port], ends: list[tf.Tensor]) -> None:
        self.ends = {number: Port(tensor) for number, tensor in enumerate(ends)}
        self.narrows = 2 * sum(map(numbers, ends)) <= sum(numbers(port.tensor) for port in ports.values())
        self._forward = Cut(traced, ports, self.ends)
        with TRACING, traced.function.graph.as_default():
            arriving = [tf.compat.v1.placeholder(tensor.dtype, tensor.shape) for tensor in ends]
            selected = [port.tensor for port in ports.values()]
            found = gradients(ends, selected, "an affine stretch has no gradient", arriving)
            handed = [
                tf.zeros_like(tensor) if one is None else tf.convert_to_tensor(one)
                for tensor, one in zip(selected, found, strict=True)
            ]
        feeds = {("at", key): port for key, port in ports.items()}
        feeds |= {("end", number): Port(tensor) for number, tensor in enumerate(arriving)}
        self._transpose = Cut(traced, feeds, {key: Port(one) for key, one in zip(ports, handed, strict=True)})

    def __call__(self, at: dict[Any, tf.Tensor]) -> dict[Any, tf.Tensor]:
        """The tensors where it ends, (rows, ...) by number, for rows of the selected ones by key."""
        return self._forward(at)

    def transposed(self, arriving: dict[Any, tf.Tensor], at: dict[Any, tf.Tensor]) -> dict[Any, tf.Tensor]:
        """What arrives at its ends, (rows, ...) by number, handed back to the selected tensors, by key.

        Args:
            at: as many rows of these: their shapes are what counts.
        """
        feeds = {("at", key): value for key, value in at.items()} | {("end", key): value for key, value in arriving.items()}
        return self._transpose(feeds)


def ends_of(traced: Traced, selected: list[tf.Tensor], fetches: Iterable[tf.Tensor]) -> list[tf.Tensor] | None:
    """Where rows may as well begin: tensors that are affine in the selected ones, example by example, and through which alone
    these lead to `fetches`. Of all that are met on the way, those from which the rest costs least; None where that is the
    selected tensors themselves.
    """
    fetches = list(fetches)
    search = _Search(traced, selected, fetches)
    best, least = None, search.price
    for operation in search.ahead():
        if search.step(operation) and search.begins_rows and search.price <= least:
            best, least = list(search.cut.values()), search.price
    return best if least < search.dearest - LEAST else None


class _Search:
    """Goes through the affine operations of a graph, one by one.

    Attributes:
        cut: by reference, the tensors where the stretch ends so far.
    """

    def __init__(self, traced: Traced, selected: list[tf.Tensor], fetches: list[tf.Tensor]) -> None:
        self._graph, self._dtype = traced.function.graph, selected[0].dtype
        self._between = {operation.name for operation in ancestors(fetches, selected)}
        self._fetched = {tensor.ref() for tensor in fetches}
        self._same = Same([*traced.inputs.values(), *selected])
        self._layouts: dict[Any, Layout] = {}
        self._left: dict[Any, int] = {}
        self._saved = 0
        self.cut: dict[Any, tf.Tensor] = {}
        for tensor in selected:
            self._reach(tensor, Layout.of(tensor))
        self.dearest = self.price

    def ahead(self) -> list[tf.Operation]:
        """The operations that may belong to it, each behind those whose outputs it takes."""
        return [operation for operation in self._graph.get_operations() if operation.name in self._between]

    def step(self, operation: tf.Operation) -> bool:
        """Takes an operation into the stretch, where it is affine in what is in it."""
        given = [self._layouts.get(tensor.ref()) for tensor in operation.inputs]
        if not any(given) or any(output.dtype != self._dtype for output in operation.outputs[:1]):
            return False
        found = layouts(operation, given, self._same)
        if found is None:
            return False
        self._saved += multiplications(operation, found[0])
        for tensor in {tensor.ref(): tensor for tensor in operation.inputs if tensor.ref() in self._layouts}:
            self._left[tensor] -= 1
            if not self._left[tensor]:
                del self.cut[tensor]
        for output, layout in zip(operation.outputs, found, strict=False):
            self._reach(output, layout)
        return True

    def _reach(self, tensor: tf.Tensor, layout: Layout) -> None:
        users = {user.name for user in tensor.consumers() if user.name in self._between and user.type not in SHAPES}
        self._layouts[tensor.ref()], self._left[tensor.ref()] = layout, len(users) + (tensor.ref() in self._fetched)
        if self._left[tensor.ref()]:
            self.cut[tensor.ref()] = tensor

    @property
    def begins_rows(self) -> bool:
        """Whether each tensor of the cut has one entry of its first axis for each example."""
        return all(self._layouts[one].entries == 1 and tensor.shape[0] is None for one, tensor in self.cut.items())

    @property
    def price(self) -> int:
        """What a row costs that begins at the cut, less what the rest costs in any case, in multiplications."""
        return NUMBER * sum(map(numbers, self.cut.values())) - self._saved
