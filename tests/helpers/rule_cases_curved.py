"""The entries of the table of rules that are not linear, each with the same and its contributions in NumPy."""

import numpy as np
import tensorflow as tf
from scipy import special

from .rule_cases import HALF, SIZE, WEIGHTS, Case, alone, complex_of, halves, in_turn, of_two, shaped
from .rule_cases_linear import SECOND, SINGLE, image, made, patches, single

raw = tf.raw_ops
MASK = SECOND > 0


def at(function, plain, scale=1.0, shift=0.0, **names):
    """A function of each element, at `scale` x + `shift`."""
    (name,) = names or ("x",)
    return [Case(lambda x: function(**{name: scale * x + shift}), lambda v: plain(scale * v + shift), alone)]


def selu(v):
    return np.where(v > 0, 1.0507009873554805 * v, 1.7580993408473766 * np.expm1(v))


OF_ONE = {
    **{
        name: at(getattr(raw, name), plain, *domain)
        for name, plain, *domain in (
            ("Sigmoid", special.expit, 3),
            ("Tanh", np.tanh, 3),
            ("Erf", special.erf, 2),
            ("Erfc", special.erfc, 2),
            ("Exp", np.exp, 3),
            ("Expm1", np.expm1, 3),
            ("Sin", np.sin, 5),
            ("Cos", np.cos, 5),
            ("Atan", np.arctan, 5),
            ("Sinh", np.sinh, 3),
            ("Cosh", np.cosh, 3),
            ("Asinh", np.arcsinh, 5),
            ("BesselI0e", special.i0e, 3),
            ("BesselI1e", special.i1e, 3),
            ("Log", np.log, 1, 1.2),
            ("Log1p", np.log1p, 0.9),
            ("Lgamma", special.gammaln, 2, 2.5),
            ("Digamma", special.digamma, 2, 2.5),
            ("Tan", np.tan),
            ("Asin", np.arcsin, 0.9),
            ("Acos", np.arccos, 0.9),
            ("Acosh", np.arccosh, 1, 2.2),
            ("Atanh", np.arctanh, 0.9),
            ("Ndtri", special.ndtri, 0.4, 0.5),
            ("Erfinv", special.erfinv, 0.9),
            ("Abs", np.abs),
            ("Sign", np.sign),
            ("Round", np.round, 4),
            ("Rint", np.rint, 4),
            ("Floor", np.floor, 4),
            ("Ceil", np.ceil, 4),
            ("Square", np.square, 2),
            ("Sqrt", np.sqrt, 1, 1.2),
            ("Rsqrt", lambda v: v**-0.5, 1, 1.2),
            ("Inv", np.reciprocal, 1, 1.2),
            ("Reciprocal", np.reciprocal, -1, -1.2),
        )
    },
    "Softplus": at(raw.Softplus, lambda v: np.log1p(np.exp(v)), 3, features=None),
    "Softsign": at(raw.Softsign, lambda v: v / (1 + np.abs(v)), 3, features=None),
    "Relu": at(raw.Relu, lambda v: np.maximum(v, 0), features=None),
    "Relu6": at(raw.Relu6, lambda v: np.clip(v, 0, 6), 4, 3, features=None),
    "LeakyRelu": at(
        lambda features: raw.LeakyRelu(features=features, alpha=0.25), lambda v: np.where(v > 0, v, 0.25 * v), features=None
    ),
    "Elu": at(raw.Elu, lambda v: np.where(v > 0, v, np.expm1(v)), 2, features=None),
    "Selu": at(raw.Selu, selu, 2, features=None),
    "ClipByValue": at(
        lambda t: raw.ClipByValue(
            t=t, clip_value_min=tf.constant(-0.5, tf.float64), clip_value_max=tf.constant(0.3, tf.float64)
        ),
        lambda v: np.clip(v, -0.5, 0.3),
        t=None,
    ),
    "Pow": [
        *at(lambda x: raw.Pow(x=x, y=tf.constant(1.7, tf.float64)), lambda v: v**1.7, 1, 1.2),
        Case(
            lambda x: raw.Pow(x=x[..., None] + 1.2, y=tf.constant([1.7, -0.5], tf.float64)),
            lambda v: (v[:, None] + 1.2) ** [1.7, -0.5],
            alone,
        ),
    ],
}
PASSING = {
    "IdentityN": lambda x: raw.IdentityN(input=[x, x])[1],
    "Snapshot": lambda x: raw.Snapshot(input=x),
    "StopGradient": lambda x: raw.StopGradient(input=x),
    "PreventGradient": lambda x: raw.PreventGradient(input=x),
    "CheckNumerics": lambda x: raw.CheckNumerics(tensor=x, message="no"),
    "CheckNumericsV2": lambda x: raw.CheckNumericsV2(tensor=x, message="no"),
    "DebugIdentityV2": lambda x: raw.DebugIdentityV2(input=x),
}


def by_quotient(f, x, reference):
    """y = a / b where b has one sign, as y b = a at the midpoint: 2 Δa / (b + b'), and -(y + y') Δb / (b + b')."""
    (a, b), (r, s) = halves(x), halves(reference)
    b, s = b + 1.2, s + 1.2
    return np.r_[WEIGHTS[:HALF] * 2 * (a - r) / (b + s), -WEIGHTS[:HALF] * (a / b + r / s) * (b - s) / (b + s)]


def of_positive(name):
    """An operation of the first half, and of the second where that is positive."""
    return lambda x: getattr(raw, name)(x=x[:, :HALF], y=x[:, HALF:] + 1.2)


def both(name):
    return lambda x: getattr(raw, name)(x=x[:, :HALF, None], y=x[:, None, HALF:])


def between(plain):
    """The same for one row, each of the first half with each of the second."""
    return lambda v: plain(v[:HALF, None], v[None, HALF:])


def matrices(name, **more):
    """A product of a (2, 6) and a (6, 2) matrix."""
    return lambda x: getattr(raw, name)(x=shaped(x[:, :HALF], 2, 6), y=shaped(x[:, HALF:], 6, 2), **more)


def of_matrices(v):
    return v[:HALF].reshape(2, 6) @ v[HALF:].reshape(6, 2)


def quarters(v):
    """Two complex numbers in the place of each half."""
    both = [(part[..., :6], part[..., 6:]) for part in halves(v)]
    return [real + 1j * other if isinstance(v, np.ndarray) else tf.complex(real, other) for real, other in both]


def matmul_of_rows(x):
    """One matrix product of all rows: of each row's first half with a block of its own of the second matrix."""
    n = tf.shape(x)[0]
    blocks = tf.reshape(tf.transpose(shaped(x[:, HALF:], 6, 2), [1, 0, 2]), [6, 2 * n])
    found = tf.reshape(raw.MatMul(a=tf.reshape(x[:, :HALF], [2 * n, 6]), b=blocks), [n, 2, n, 2])
    return tf.transpose(tf.linalg.diag_part(tf.transpose(found, [1, 3, 0, 2])), [2, 0, 1])


OF_TWO = {
    "Mul": [
        Case(both("Mul"), between(np.multiply), of_two, 1),
        Case(lambda x: raw.Mul(x=quarters(x)[0], y=quarters(x)[1]), lambda v: np.multiply(*quarters(v)), of_two, 1),
    ],
    "MulNoNan": [Case(both("MulNoNan"), between(np.multiply), of_two, 1)],
    **{
        name: [Case(matrices(name, **more), of_matrices, of_two, 1)]
        for name, more in (("BatchMatMul", {}), ("BatchMatMulV2", {}), ("BatchMatMulV3", {"Tout": tf.float64}))
    },
    "MatMul": [Case(matmul_of_rows, of_matrices, of_two, 1)],
    "Einsum": [
        Case(
            lambda x: raw.Einsum(inputs=[shaped(x[:, :HALF], 2, 6), shaped(x[:, HALF:], 6, 2)], equation="bij,bjk->bki"),
            lambda v: of_matrices(v).T,
            of_two,
            1,
        )
    ],
    **{
        name: [Case(of_positive(name), lambda v: v[:HALF] / (v[HALF:] + 1.2), by_quotient, 1)]
        for name in ("RealDiv", "Div", "DivNoNan", "Xdivy")
    },
    "Xlogy": [Case(of_positive("Xlogy"), lambda v: v[:HALF] * np.log(v[HALF:] + 1.2), of_two, 1)],
    "Xlog1py": [Case(of_positive("Xlog1py"), lambda v: v[:HALF] * np.log1p(v[HALF:] + 1.2), of_two, 1)],
    "SquaredDifference": [Case(both("SquaredDifference"), between(lambda a, b: (a - b) ** 2), of_two)],
    "Maximum": [Case(both("Maximum"), between(np.maximum), of_two)],
    "Minimum": [Case(both("Minimum"), between(np.minimum), of_two)],
    "Select": [
        Case(
            lambda x: raw.Select(condition=tf.tile(MASK[None, :HALF], [tf.shape(x)[0], 1]), x=x[:, :HALF], y=x[:, HALF:]),
            lambda v: np.where(MASK[:HALF], *halves(v)),
            alone,
        )
    ],
    "SelectV2": [
        Case(
            lambda x: raw.SelectV2(condition=MASK[:HALF], t=x[:, :HALF, None], e=x[:, None, HALF:]),
            lambda v: np.where(MASK[:HALF], v[:HALF, None], v[None, HALF:]),
            alone,
        ),
        Case(
            lambda x: raw.SelectV2(condition=MASK[:HALF], t=complex_of(x), e=tf.zeros([], tf.complex128)),
            lambda v: np.where(MASK[:HALF], complex_of(v), 0),
            alone,
        ),
    ],
}


def extreme_of(windows, sign=1):
    """What rose is due to the element that is the extreme at x, what fell to the one at x'."""

    def shared(f, x, reference):
        found = np.zeros(SIZE)
        for weight, window in zip(WEIGHTS, windows.reshape(-1, windows.shape[-1]), strict=False):
            there, before = sign * x[window], sign * reference[window]
            rise = there.max() - before.max()
            found[window[there.argmax() if rise > 0 else before.argmax()]] += sign * weight * rise
        return found

    return shared


def mean(a, b):
    """The logarithmic mean."""
    return (a - b) / np.log(a / b)


def of_softmax(logarithm):
    """Rescale of exp(x - log Σ exp x), or of its logarithm."""

    def shared(f, x, reference):
        share = mean(np.exp(x), np.exp(reference)) / mean(np.exp(x).sum(), np.exp(reference).sum())
        g = WEIGHTS[:SIZE] if logarithm else WEIGHTS[:SIZE] * mean(special.softmax(x), special.softmax(reference))
        return (g - share * g.sum()) * (x - reference)

    return shared


def of_magnitude(f, x, reference):
    """√s with s = u² + v²: (u + u') Δu / (√s + √s'), and v likewise."""
    total = np.tile(np.abs(complex_of(x)) + np.abs(complex_of(reference)), 2)
    return np.tile(WEIGHTS[:HALF], 2) * (x**2 - reference**2) / total


def of_complex_square(f, x, reference):
    """(z + z') Δz, of which Δu and i Δv are the parts."""
    slope, change = complex_of(x) + complex_of(reference), x - reference
    parts = [slope * change[:HALF], slope * 1j * change[HALF:]]
    return np.concatenate([WEIGHTS[:HALF] * part.real + WEIGHTS[HALF:SIZE] * part.imag for part in parts])


PLACES = np.arange(SIZE)
WINDOWS = patches(PLACES.reshape(4, 6), (2, 3)).reshape(3, 4, 6)
POOL = {"ksize": [1, 2, 3, 1], "strides": [1] * 4, "padding": "VALID"}


def pooled(v):
    return v[WINDOWS].max(-1)


def folded(x):
    return shaped(x, 4, 6)


OF_ROWS = {
    "Max": [Case(lambda x: raw.Max(input=folded(x), axis=[2]), lambda v: folded(v).max(1), extreme_of(PLACES.reshape(4, 6)))],
    "Min": [
        Case(lambda x: raw.Min(input=folded(x), axis=[1]), lambda v: folded(v).min(0), extreme_of(PLACES.reshape(4, 6).T, -1))
    ],
    "MaxPool": [Case(lambda x: raw.MaxPool(input=image(x), **POOL), pooled, extreme_of(WINDOWS))],
    "MaxPoolV2": [Case(lambda x: raw.MaxPoolV2(input=image(x), **POOL), pooled, extreme_of(WINDOWS))],
    "MaxPool3D": [
        Case(
            lambda x: raw.MaxPool3D(
                input=shaped(single(x), 2, 3, 4, 1), ksize=[1, 2, 2, 2, 1], strides=[1] * 5, padding="VALID"
            ),
            lambda v: patches(v.reshape(2, 3, 4), (2, 2, 2)).max((3, 4, 5)),
            extreme_of(patches(PLACES.reshape(2, 3, 4), (2, 2, 2)).reshape(-1, 8)),
            0,
            SINGLE,
        )
    ],
    "Prod": [
        Case(lambda x: raw.Prod(input=folded(x), axis=[1]), lambda v: folded(v).prod(0), in_turn),
        Case(lambda x: raw.Prod(input=folded(x), axis=[-1]), lambda v: folded(v).prod(1), in_turn),
    ],
    "Cumprod": [
        Case(lambda x: raw.Cumprod(x=folded(x), axis=2), lambda v: folded(v).cumprod(1), in_turn),
        Case(lambda x: raw.Cumprod(x=folded(x), axis=-2, reverse=True), lambda v: folded(v)[::-1].cumprod(0)[::-1], in_turn),
        Case(
            lambda x: raw.Cumprod(x=folded(x), axis=2, exclusive=True),
            lambda v: np.pad(folded(v)[:, :-1].cumprod(1), ((0, 0), (1, 0)), constant_values=1),
            in_turn,
        ),
        Case(lambda x: raw.Cumprod(x=tf.round(x), axis=1), lambda v: np.round(v).cumprod(), in_turn),
    ],
    "Softmax": [Case(lambda x: raw.Softmax(logits=x), special.softmax, of_softmax(False))],
    "LogSoftmax": [Case(lambda x: raw.LogSoftmax(logits=x), special.log_softmax, of_softmax(True))],
    "ComplexAbs": [
        Case(lambda x: raw.ComplexAbs(x=complex_of(x), Tout=tf.float64), lambda v: np.abs(complex_of(v)), of_magnitude)
    ],
    "Square": [Case(lambda x: raw.Square(x=complex_of(x)), lambda v: complex_of(v) ** 2, of_complex_square)],
}
NORMAL = {
    "scale": np.float32([0.5, 2, 1.5]),
    "offset": np.float32([1, 2, 3]),
    "mean": np.float32([0.2, 0.1, -0.3]),
    "variance": np.float32([0.5, 1.5, 2]),
    "epsilon": 0.01,
    "is_training": False,
}
STORED = {
    name: [
        (
            lambda x, name=name: getattr(raw, name)(x=shaped(single(x), 2, 4, 3), **NORMAL).y,
            lambda v: (
                (v.reshape(8, 3) - NORMAL["mean"]) * NORMAL["scale"] / np.sqrt(NORMAL["variance"] + 0.01) + NORMAL["offset"]
            ),
            0,
            SINGLE,
        )
    ]
    for name in ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
}

CASES = [OF_ONE, made({name: [(function, lambda v: v)] for name, function in PASSING.items()}), OF_TWO, OF_ROWS, made(STORED)]
