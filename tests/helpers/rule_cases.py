"""What a case of the table of rules is, and how contributions follow in NumPy from what an operation computes.

A case has an operation as a function of x (n, 24), row by row, and the same in NumPy for one row; how its contributions follow
from that is one of the functions below, which know nothing of multipliers.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf

SIZE = 24
HALF = SIZE // 2
IMAGE = (4, 6, 1)
WEIGHTS = np.cos(np.arange(1.0, 2000))


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """An operation in the table of rules.

    Attributes:
        function: from x (n, SIZE) float64 to its outputs (n, ...).
        plain: from one row to the outputs of that row.
        shared: from `score`, x and x' of one row to the contributions, where `score` is of a row in NumPy.
        rule: which of the entry's rules holds.
        part: what counts as rounding, as a part of the L1 norm: more for operations that float32 alone has.
    """

    function: Callable
    plain: Callable
    shared: Callable
    rule: int = 0
    part: float = 1e-12


def score(case: Case, row: np.ndarray) -> float:
    """Σ weights · outputs of one row, in NumPy; of complex numbers the real parts, then the imaginary ones."""
    value = np.asarray(case.plain(row))
    parts = [value.real, value.imag] if np.iscomplexobj(value) else [value]
    flat = np.concatenate([part.reshape(-1) for part in parts])
    return float(WEIGHTS[: flat.size] @ flat)


def flattened(case: Case, x: tf.Tensor) -> list[tf.Tensor]:
    """The outputs of all rows in TensorFlow, each (n, size): of complex numbers the real parts, then the imaginary ones."""
    value = case.function(x)
    parts = [tf.math.real(value), tf.math.imag(value)] if value.dtype.is_complex else [value]
    size = value.shape[1:].num_elements()  # where it is known, so is the shape: hundreds of cases share a graph
    rows = [tf.shape(x)[0], -1] if size is None else [-1, size]
    return [tf.reshape(tf.cast(part, tf.float64), rows) for part in parts]


def scores(outputs: list[list[tf.Tensor]]) -> tf.Tensor:
    """(n, cases), the scores of the outputs of several cases: one product for all whose sizes are known, which are hundreds."""
    sizes = [sum(part.shape[1] or 0 for part in parts) for parts in outputs]
    of_known = [one for one, parts in enumerate(outputs) if all(part.shape[1] for part in parts)]
    weights, begin = np.zeros((sum(sizes[one] for one in of_known), len(of_known))), 0
    for column, one in enumerate(of_known):
        weights[begin : begin + sizes[one], column] = WEIGHTS[: sizes[one]]
        begin += sizes[one]
    found = dict.fromkeys(range(len(outputs)))
    if of_known:
        product = tf.concat([part for one in of_known for part in outputs[one]], 1) @ weights
        found |= dict(zip(of_known, tf.unstack(product, axis=1), strict=True))
    for one in found.keys() - set(of_known):
        flat = tf.concat(outputs[one], 1)
        found[one] = tf.linalg.matvec(flat, tf.constant(WEIGHTS)[: tf.shape(flat)[1]])
    return tf.stack(list(found.values()), 1)


def alone(f: Callable, x: np.ndarray, reference: np.ndarray, at: np.ndarray | None = None) -> np.ndarray:
    """What f changes by when one feature alone goes from x' to x, the others staying at `at` (x' by default): right for what is
    linear, and for functions of each element."""
    at = reference if at is None else at
    found = np.zeros(SIZE)
    for i in range(SIZE):
        low, high = at.copy(), at.copy()
        low[i], high[i] = reference[i], x[i]
        found[i] = f(high) - f(low)
    return found


def of_two(f: Callable, x: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Shapley values of two tensors, the first and the second half of the features, in each of which f is linear or goes
    element by element."""
    first = np.arange(SIZE) < HALF
    found = np.zeros(SIZE)
    for part in (first, ~first):
        both = [alone(f, x, reference, np.where(part, reference, other)) for other in (x, reference)]
        found[part] = np.mean(both, 0)[part]
    return found


def in_turn(f: Callable, x: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """One feature after the other from x' to x, first to last and last to first, halved."""
    found = np.zeros(SIZE)
    for order in (range(SIZE), range(SIZE)[::-1]):
        at = reference.copy()
        for i in order:
            before = f(at)
            at[i] = x[i]
            found[i] += (f(at) - before) / 2
    return found


def rows(function: Callable) -> Callable:
    """`function` of one row, for each row by itself: for operations that know no batch."""
    return lambda x: tf.map_fn(function, x)


def elements(function: Callable) -> Callable:
    """`function` of x (SIZE, n), for operations along the first axis; from (m, ..., n) to (n, m, ...)."""

    def turned(x):
        found = function(tf.transpose(x))
        rank = found.shape.rank
        return tf.transpose(found, [rank - 1, *range(rank - 1)])

    return turned


def halves(x):
    """The two halves of the features, of all rows or of one."""
    return x[..., :HALF], x[..., HALF:]


def complex_of(x):
    """The two halves as one complex tensor."""
    first, second = halves(x)
    return tf.complex(first, second) if isinstance(x, tf.Tensor) else first + 1j * second


def shaped(x, *shape):
    """x in this shape, the batch left alone where there is one."""
    return tf.reshape(x, [-1, *shape]) if isinstance(x, tf.Tensor) else x.reshape(shape)
