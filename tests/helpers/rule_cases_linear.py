"""The entries of the table of rules that are linear, each with the same in NumPy."""

import numpy as np
import tensorflow as tf

from .rule_cases import HALF, IMAGE, SIZE, Case, alone, complex_of, elements, halves, rows, shaped

raw = tf.raw_ops
RNG = np.random.default_rng(17)
SECOND = RNG.normal(size=SIZE)
COMPLEX = RNG.normal(size=HALF) + 1j * RNG.normal(size=HALF)
MATRIX = RNG.normal(size=(6, 3))
KERNEL, DEEP_KERNEL = RNG.normal(size=(2, 3, 1, 2)), RNG.normal(size=(2, 2, 2, 1, 1))
# Of an operation that float32 alone has.
SINGLE = 1e-5


def image(x):
    return shaped(x, *IMAGE)


def volume(x):
    return shaped(x, 2, 3, 4, 1)


def cube(x):
    return shaped(x, 2, 3, 4)


def single(x):
    return tf.cast(x, tf.float32)


def segments(x, name, **options):
    """The rows 5 and 1 together, and 2 alone."""
    return getattr(raw, f"SparseSegment{name}")(data=x[:6], indices=[5, 1, 2], segment_ids=[0, 0, 1], **options)


def patches(value, window):
    """(*positions, *window) of an array of as many axes: each window that lies within it."""
    return np.lib.stride_tricks.sliding_window_view(value, window)


def back_from(value, kernel):
    """The transpose of a convolution without padding, whose kernel this is, one channel each."""
    found = np.zeros(tuple(a + b - 1 for a, b in zip(value.shape, kernel.shape, strict=True)))
    for place in np.ndindex(value.shape):
        found[tuple(slice(a, a + b) for a, b in zip(place, kernel.shape, strict=True))] += value[place] * kernel
    return found


def lines(positions, size, kernel, outside):
    """A matrix that samples `size` values at `positions` by a kernel of the distance; `outside` "edge" repeats the ends, "less"
    leaves out what lies outside, "zero" has zeros there."""
    found = np.zeros((len(positions), size))
    for i, position in enumerate(positions):
        for j in range(int(np.floor(position)) - 2, int(np.floor(position)) + 4):
            if outside == "edge" or 0 <= j < size:
                found[i, min(max(j, 0), size - 1)] += kernel(position - j)
    return found / found.sum(1, keepdims=True) if outside == "less" else found


def triangle(distance):
    return max(1 - abs(distance), 0)


def keys(distance):
    """Keys's cubic, a = -1/2."""
    d = abs(distance)
    return 1.5 * d**3 - 2.5 * d**2 + 1 if d < 1 else -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2 if d < 2 else 0


def nearest(distance):
    return float(-0.5 <= distance < 0.5)


def centres(count, scale, shift=0.0):
    """Where the centres of `count` pixels are among those before."""
    return (np.arange(count) + 0.5) / scale - 0.5 + shift


def sampled(v, down, across):
    return down @ v.reshape(4, 6) @ across.T


def listed(function):
    """`function` of a list of the 24 features, each (n,)."""
    return elements(lambda x: function(raw.TensorListFromTensor(tensor=x, element_shape=[-1])))


def stacked(handle, count):
    return raw.TensorListStack(input_handle=handle, element_shape=[-1], element_dtype=tf.float64, num_elements=count)


def popped(handle):
    rest, last = raw.TensorListPopBack(input_handle=handle, element_shape=[-1], element_dtype=tf.float64)
    return tf.concat([stacked(rest, SIZE - 1), 3 * last[None]], 0)


BETWEEN = {  # of any of their inputs
    "Add": [
        (lambda x: raw.Add(x=x, y=SECOND), lambda v: v + SECOND),
        (lambda x: raw.Add(x=x[:, :HALF, None], y=x[:, None, HALF:]), lambda v: v[:HALF, None] + v[None, HALF:], 1),
    ],
    "AddV2": [
        (lambda x: raw.AddV2(x=SECOND, y=x), lambda v: v + SECOND),
        (lambda x: raw.AddV2(x=x[..., None], y=SECOND[:3]), lambda v: v[:, None] + SECOND[:3]),
        (lambda x: raw.AddV2(x=x[:, :HALF], y=x[:, HALF:]), lambda v: v[:HALF] + v[HALF:], 1),
    ],
    "AddN": [(lambda x: raw.AddN(inputs=halves(x)), lambda v: v[:HALF] + v[HALF:])],
    "Sub": [(lambda x: raw.Sub(x=x[:, :HALF, None], y=x[:, None, HALF:]), lambda v: v[:HALF, None] - v[None, HALF:])],
    "Neg": [(lambda x: raw.Neg(x=x), lambda v: -v)],
    "BiasAdd": [
        (lambda x: raw.BiasAdd(value=x, bias=SECOND), lambda v: v + SECOND),
        (
            rows(lambda v: raw.BiasAdd(value=shaped(v[:HALF], 4, 3)[0], bias=v[HALF : HALF + 3])),
            lambda v: v[:HALF].reshape(4, 3) + v[HALF : HALF + 3],
        ),
    ],
    "ConcatV2": [(lambda x: raw.ConcatV2(values=halves(x)[::-1], axis=1), lambda v: np.roll(v, HALF))],
    "Pack": [(lambda x: raw.Pack(values=halves(x), axis=2), lambda v: v.reshape(2, HALF).T)],
    "Unpack": [(lambda x: raw.Unpack(value=shaped(x, 2, HALF), num=2, axis=1)[1], lambda v: v[HALF:])],
    "Identity": [(lambda x: raw.Identity(input=x), lambda v: v)],
    "EnsureShape": [(lambda x: raw.EnsureShape(input=x, shape=[None, SIZE]), lambda v: v)],
    "Conj": [(lambda x: raw.Conj(input=complex_of(x)), lambda v: complex_of(v).conj())],
    "Real": [(lambda x: raw.Real(input=complex_of(x), Tout=tf.float64), lambda v: v[:HALF])],
    "Imag": [(lambda x: raw.Imag(input=complex_of(x), Tout=tf.float64), lambda v: v[HALF:])],
    "Complex": [(lambda x: raw.Complex(real=x[:, :HALF], imag=x[:, HALF:], Tout=tf.complex128), complex_of)],
    "DynamicStitch": [
        (elements(lambda x: raw.DynamicStitch(indices=[[2, 0], [1]], data=[x[:2], x[4:5]])), lambda v: v[[1, 4, 0]])
    ],
    "ParallelDynamicStitch": [
        (elements(lambda x: raw.ParallelDynamicStitch(indices=[[2, 0], [1]], data=[x[:2], x[4:5]])), lambda v: v[[1, 4, 0]])
    ],
    "TensorListPushBack": [
        (
            listed(lambda one: stacked(raw.TensorListPushBack(input_handle=one, tensor=2 * stacked(one, SIZE)[3]), SIZE + 1)),
            lambda v: np.append(v, 2 * v[3]),
        )
    ],
}
SHAPES = {
    "Reshape": [(lambda x: raw.Reshape(tensor=x, shape=[-1, 4, 6]), lambda v: v)],
    "Transpose": [(lambda x: raw.Transpose(x=cube(x), perm=[0, 3, 1, 2]), lambda v: cube(v).transpose(2, 0, 1))],
    "StridedSlice": [(lambda x: cube(x)[:, 1, ::-2, None, 1:], lambda v: cube(v)[1, ::-2, 1:])],
    "Slice": [(lambda x: raw.Slice(input=x, begin=[0, 3], size=[-1, 7]), lambda v: v[3:10])],
    "Squeeze": [(lambda x: raw.Squeeze(input=image(x), axis=[3]), lambda v: v)],
    "ExpandDims": [(lambda x: raw.ExpandDims(input=x, axis=1), lambda v: v)],
    "Pad": [(lambda x: raw.Pad(input=x, paddings=[[0, 0], [2, 1]]), lambda v: np.pad(v, (2, 1)))],
    "MirrorPad": [
        (lambda x: raw.MirrorPad(input=x, paddings=[[0, 0], [2, 3]], mode="REFLECT"), lambda v: np.pad(v, (2, 3), "reflect"))
    ],
    "Tile": [(lambda x: raw.Tile(input=x, multiples=[1, 3]), lambda v: np.tile(v, 3))],
    "SplitV": [(lambda x: raw.SplitV(value=x, size_splits=[4, 15, 5], axis=1, num_split=3)[1], lambda v: v[4:19])],
    "BroadcastTo": [(lambda x: raw.BroadcastTo(input=x[:, None], shape=[tf.shape(x)[0], 3, SIZE]), lambda v: np.tile(v, 3))],
    "ReverseV2": [(lambda x: raw.ReverseV2(tensor=x, axis=[1]), lambda v: v[::-1])],
    "Reverse": [(lambda x: raw.Reverse(tensor=x, dims=[False, True]), lambda v: v[::-1])],
    "ReverseSequence": [
        (
            lambda x: raw.ReverseSequence(input=x, seq_lengths=tf.fill([tf.shape(x)[0]], 7), seq_dim=1),
            lambda v: np.r_[v[:7][::-1], v[7:]],
        )
    ],
    "Roll": [(lambda x: raw.Roll(input=x, shift=5, axis=1), lambda v: np.roll(v, 5))],
    "Cast": [
        (lambda x: raw.Cast(x=x, DstT=tf.float32), lambda v: v.astype("float32").astype("float64"), 0, SINGLE),
        (lambda x: raw.Cast(x=complex_of(x), DstT=tf.float64), lambda v: v[:HALF]),
        (lambda x: raw.Cast(x=x, DstT=tf.complex128), lambda v: v + 0j),
    ],
    "GatherV2": [(lambda x: raw.GatherV2(params=x, indices=[5, 0, 5], axis=1), lambda v: v[[5, 0, 5]])],
    "Gather": [(elements(lambda x: raw.Gather(params=x, indices=[5, 0, 5])), lambda v: v[[5, 0, 5]])],
    "GatherNd": [(elements(lambda x: raw.GatherNd(params=x, indices=[[5], [0], [5]])), lambda v: v[[5, 0, 5]])],
    "SpaceToBatchND": [
        (
            lambda x: tf.transpose(
                tf.reshape(raw.SpaceToBatchND(input=image(x), block_shape=[2, 3], paddings=[[0, 0], [0, 0]]), [6, -1, 4]),
                [1, 0, 2],
            ),
            lambda v: v.reshape(2, 2, 2, 3).transpose(1, 3, 0, 2),
        )
    ],
    "BatchToSpaceND": [
        (
            lambda x: raw.BatchToSpaceND(
                input=tf.reshape(tf.transpose(shaped(x, 6, 4), [1, 0, 2]), [-1, 2, 2, 1]),
                block_shape=[2, 3],
                crops=[[0, 0], [0, 1]],
            ),
            lambda v: v.reshape(2, 3, 2, 2).transpose(2, 0, 3, 1).reshape(4, 6)[:, :5],
        )
    ],
    "SpaceToDepth": [
        (lambda x: raw.SpaceToDepth(input=image(x), block_size=2), lambda v: v.reshape(2, 2, 3, 2).transpose(0, 2, 1, 3))
    ],
    "DepthToSpace": [
        (
            lambda x: raw.DepthToSpace(input=shaped(x, 2, 3, 4), block_size=2),
            lambda v: v.reshape(2, 3, 2, 2).transpose(0, 2, 1, 3),
        )
    ],
    "Split": [(lambda x: raw.Split(axis=1, value=x, num_split=3)[1], lambda v: v[8:16])],
    "PadV2": [
        (
            lambda x: raw.PadV2(input=x, paddings=[[0, 0], [2, 1]], constant_values=tf.constant(0.3, tf.float64)),
            lambda v: np.pad(v, (2, 1), constant_values=0.3),
        )
    ],
    "Fill": [(rows(lambda v: raw.Fill(dims=[5], value=v[3])), lambda v: np.full(5, v[3]))],
    "OneHot": [
        (
            rows(lambda v: raw.OneHot(indices=[1, 3], depth=4, on_value=v[0], off_value=v[1], axis=0)),
            lambda v: np.where(np.eye(4)[[1, 3]] == 1, v[0], v[1]).T,
        ),
        (
            rows(lambda v: raw.OneHot(indices=[1, 3], depth=4, on_value=v[0], off_value=v[1])),
            lambda v: np.where(np.eye(4)[[1, 3]] == 1, v[0], v[1]),
        ),
    ],
    "TensorListFromTensor": [(listed(lambda one: stacked(one, SIZE)), lambda v: v)],
    "TensorListStack": [(listed(lambda one: stacked(one, SIZE)[::-1]), lambda v: v[::-1])],
    "TensorListGetItem": [
        (
            listed(
                lambda one: raw.TensorListGetItem(input_handle=one, index=4, element_shape=[-1], element_dtype=tf.float64)[None]
            ),
            lambda v: v[4],
        )
    ],
    "TensorListSetItem": [
        (
            listed(lambda one: stacked(raw.TensorListSetItem(input_handle=one, index=4, item=3 * stacked(one, SIZE)[7]), SIZE)),
            lambda v: np.r_[v[:4], 3 * v[7], v[5:]],
        )
    ],
    "TensorListPopBack": [(listed(popped), lambda v: np.r_[v[:-1], 3 * v[-1]])],
    "TensorListGather": [
        (
            listed(
                lambda one: raw.TensorListGather(
                    input_handle=one, indices=[5, 0, 2], element_shape=[-1], element_dtype=tf.float64
                )
            ),
            lambda v: v[[5, 0, 2]],
        )
    ],
    "TensorListConcatV2": [
        (
            elements(
                lambda x: (
                    raw.TensorListConcatV2(
                        input_handle=raw.TensorListFromTensor(tensor=tf.reshape(x, [4, 6, -1]), element_shape=[6, -1]),
                        element_shape=[6, -1],
                        leading_dims=tf.zeros([0], tf.int64),
                        element_dtype=tf.float64,
                    ).tensor
                )
            ),
            lambda v: v,
        )
    ],
    "TensorListResize": [
        (listed(lambda one: stacked(raw.TensorListResize(input_handle=one, size=SIZE - 4), SIZE - 4)), lambda v: v[:-4])
    ],
}
SUMS = {
    "Sum": [(lambda x: raw.Sum(input=cube(x), axis=[1, 3]), lambda v: cube(v).sum((0, 2)))],
    "Mean": [(lambda x: raw.Mean(input=cube(x), axis=[2], keep_dims=True), lambda v: cube(v).mean(1))],
    "Cumsum": [(lambda x: raw.Cumsum(x=x, axis=1, exclusive=True, reverse=True), lambda v: np.cumsum(v[::-1])[::-1] - v)],
    "UnsortedSegmentSum": [
        (
            elements(lambda x: raw.UnsortedSegmentSum(data=x[:4], segment_ids=[2, 0, 2, 1], num_segments=3)),
            lambda v: [v[1], v[3], v[0] + v[2]],
        )
    ],
    "SegmentSum": [
        (
            elements(lambda x: tf.ensure_shape(raw.SegmentSum(data=x[:4], segment_ids=[0, 0, 1, 1]), [2, None])),
            lambda v: [v[0] + v[1], v[2] + v[3]],
        )
    ],
    "SegmentMean": [
        (
            elements(lambda x: tf.ensure_shape(raw.SegmentMean(data=x[:4], segment_ids=[0, 0, 0, 1]), [2, None])),
            lambda v: [v[:3].mean(), v[3]],
        )
    ],
    **{
        f"SparseSegment{name}": [
            (
                elements(lambda x, name=name: tf.ensure_shape(segments(x, name), [2, None])),
                lambda v, divided=divided: [(v[5] + v[1]) / divided, v[2]],
            )
        ]
        for name, divided in {"Sum": 1, "Mean": 2, "SqrtN": np.sqrt(2)}.items()
    },
    **{
        f"SparseSegment{name}WithNumSegments": [
            (
                elements(lambda x, name=name: segments(x, name + "WithNumSegments", num_segments=4)),
                lambda v, divided=divided: [(v[5] + v[1]) / divided, v[2], 0, 0],
            )
        ]
        for name, divided in {"Sum": 1, "Mean": 2, "SqrtN": np.sqrt(2)}.items()
    },
    "ScatterNd": [
        (
            elements(lambda x: raw.ScatterNd(indices=[[3], [0], [3]], updates=x[:3], shape=[5, tf.shape(x)[1]])),
            lambda v: [v[1], 0, 0, v[0] + v[2], 0],
        )
    ],
    **{
        f"TensorScatter{name}": [
            (
                elements(
                    lambda x, name=name: getattr(raw, f"TensorScatter{name}")(tensor=x[:5], indices=[[3], [0]], updates=x[5:7])
                ),
                plain,
            )
        ]
        for name, plain in {
            "Update": lambda v: [v[6], v[1], v[2], v[5], v[4]],
            "Add": lambda v: [v[0] + v[6], v[1], v[2], v[3] + v[5], v[4]],
            "Sub": lambda v: [v[0] - v[6], v[1], v[2], v[3] - v[5], v[4]],
        }.items()
    },
    "SparseToDense": [
        (
            rows(
                lambda v: raw.SparseToDense(
                    sparse_indices=[[1], [3]], output_shape=[5], sparse_values=v[:2], default_value=tf.constant(0.3, tf.float64)
                )
            ),
            lambda v: [0.3, v[0], 0.3, v[1], 0.3],
        )
    ],
    "MatMul": [(lambda x: raw.MatMul(a=x, b=SECOND[:, None]), lambda v: SECOND @ v)],
    **{
        name: [
            (
                lambda x, name=name, more=more: getattr(raw, name)(x=shaped(x, 4, 6), y=tf.constant(MATRIX)[None], **more),
                lambda v: v.reshape(4, 6) @ MATRIX,
            )
        ]
        for name, more in {"BatchMatMulV2": {}, "BatchMatMulV3": {"Tout": tf.float64}}.items()
    },
    "BatchMatMul": [
        (
            lambda x: raw.BatchMatMul(x=shaped(x, 4, 6), y=tf.tile(tf.constant(MATRIX)[None], [tf.shape(x)[0], 1, 1])),
            lambda v: v.reshape(4, 6) @ MATRIX,
        )
    ],
    "Einsum": [
        (lambda x: raw.Einsum(inputs=[shaped(x, 4, 6), MATRIX], equation="bij,jk->bki"), lambda v: (v.reshape(4, 6) @ MATRIX).T)
    ],
    "Mul": [
        (lambda x: raw.Mul(x=SECOND, y=x), lambda v: v * SECOND),
        (lambda x: raw.Mul(x=x[..., None], y=SECOND[:3]), lambda v: v[:, None] * SECOND[:3]),
        (lambda x: raw.Mul(x=complex_of(x), y=COMPLEX), lambda v: complex_of(v) * COMPLEX),
    ],
    "MulNoNan": [(lambda x: raw.MulNoNan(x=x, y=SECOND), lambda v: v * SECOND)],
    **{
        name: [(lambda x, name=name: getattr(raw, name)(x=x, y=SECOND), lambda v: v / SECOND)]
        for name in ("RealDiv", "Div", "DivNoNan", "Xdivy")
    },
    "Xlogy": [(lambda x: raw.Xlogy(x=x, y=np.abs(SECOND)), lambda v: v * np.log(np.abs(SECOND)))],
    "Xlog1py": [(lambda x: raw.Xlog1py(x=x, y=np.abs(SECOND)), lambda v: v * np.log1p(np.abs(SECOND)))],
    "FFT": [(lambda x: raw.FFT(input=complex_of(x)), lambda v: np.fft.fft(complex_of(v)))],
    "IFFT": [(lambda x: raw.IFFT(input=complex_of(x)), lambda v: np.fft.ifft(complex_of(v)))],
    "FFT2D": [(lambda x: raw.FFT2D(input=shaped(complex_of(x), 3, 4)), lambda v: np.fft.fft2(complex_of(v).reshape(3, 4)))],
    "IFFT2D": [(lambda x: raw.IFFT2D(input=shaped(complex_of(x), 3, 4)), lambda v: np.fft.ifft2(complex_of(v).reshape(3, 4)))],
    "FFT3D": [
        (lambda x: raw.FFT3D(input=shaped(complex_of(x), 2, 3, 2)), lambda v: np.fft.fftn(complex_of(v).reshape(2, 3, 2)))
    ],
    "IFFT3D": [
        (lambda x: raw.IFFT3D(input=shaped(complex_of(x), 2, 3, 2)), lambda v: np.fft.ifftn(complex_of(v).reshape(2, 3, 2)))
    ],
    "RFFT": [
        (lambda x, n=n: raw.RFFT(input=x, fft_length=[n], Tcomplex=tf.complex128), lambda v, n=n: np.fft.rfft(v, n))
        for n in (SIZE, 9)
    ],
    "IRFFT": [
        (
            lambda x, n=n: raw.IRFFT(input=complex_of(x), fft_length=[n], Treal=tf.float64),
            lambda v, n=n: np.fft.irfft(complex_of(v), n),
        )
        for n in (22, 9)
    ],
    "RFFT2D": [
        (
            lambda x, n=n: raw.RFFT2D(input=shaped(x, 4, 6), fft_length=n, Tcomplex=tf.complex128),
            lambda v, n=n: np.fft.rfft2(v.reshape(4, 6), n),
        )
        for n in ((4, 6), (3, 5))
    ],
    "IRFFT2D": [
        (
            lambda x, n=n: raw.IRFFT2D(input=shaped(complex_of(x), 3, 4), fft_length=n, Treal=tf.float64),
            lambda v, n=n: np.fft.irfft2(complex_of(v).reshape(3, 4), n),
        )
        for n in ((3, 6), (2, 5))
    ],
    "RFFT3D": [
        (
            lambda x, n=n: raw.RFFT3D(input=cube(x), fft_length=n, Tcomplex=tf.complex128),
            lambda v, n=n: np.fft.rfftn(cube(v), n, (0, 1, 2)),
        )
        for n in ((2, 3, 4), (2, 2, 3))
    ],
    "IRFFT3D": [
        (
            lambda x, n=n: raw.IRFFT3D(input=shaped(complex_of(x), 2, 2, 3), fft_length=n, Treal=tf.float64),
            lambda v, n=n: np.fft.irfftn(complex_of(v).reshape(2, 2, 3), n, (0, 1, 2)),
        )
        for n in ((2, 2, 4), (1, 2, 5))
    ],
}
VALID = {"padding": "VALID", "strides": [1] * 4}
DEEP = {"padding": "VALID", "strides": [1] * 5}
DIAGONALS = {"k": [-1, 1], "num_rows": 4, "num_cols": 5, "padding_value": tf.constant(0.3, tf.float64)}


def bands(diagonals):
    """(4, 5), the diagonals 1, 0 and -1 of this, each aligned left, and 0.3 elsewhere."""
    found = np.full((4, 5), 0.3)
    for diagonal, values in zip((1, 0, -1), diagonals, strict=True):
        for i in range(min(4 + min(diagonal, 0), 5 - max(diagonal, 0))):
            found[i - min(diagonal, 0), i + max(diagonal, 0)] = values[i]
    return found


def unbanded(matrix):
    """(3, 4), the diagonals 1, 0 and -1 of a (4, 6) matrix, each aligned left, with 0.3 behind."""
    return np.array(
        [np.pad(np.diagonal(matrix, k), (0, 4 - len(np.diagonal(matrix, k))), constant_values=0.3) for k in (1, 0, -1)]
    )


def with_diagonal(v):
    found = v.reshape(4, 6).copy()
    found[range(3), range(1, 4)] = 2 * v[:3]
    found[3, 4] = 2 * v[3]
    return found


WINDOWS = {
    "Conv2D": [
        (
            lambda x: raw.Conv2D(input=image(x), filter=KERNEL, **VALID),
            lambda v: np.einsum("ijkl,klo->ijo", patches(v.reshape(4, 6), (2, 3)), KERNEL[:, :, 0]),
        )
    ],
    "DepthwiseConv2dNative": [
        (
            lambda x: raw.DepthwiseConv2dNative(input=image(x), filter=KERNEL, **VALID),
            lambda v: np.einsum("ijkl,klo->ijo", patches(v.reshape(4, 6), (2, 3)), KERNEL[:, :, 0]),
        )
    ],
    "Conv3D": [
        (
            lambda x: raw.Conv3D(input=volume(x), filter=DEEP_KERNEL, **DEEP),
            lambda v: np.einsum("abcijk,ijk->abc", patches(cube(v), (2, 2, 2)), DEEP_KERNEL[..., 0, 0]),
        )
    ],
    "Conv2DBackpropInput": [
        (
            lambda x: raw.Conv2DBackpropInput(
                input_sizes=[tf.shape(x)[0], 5, 8, 1], filter=KERNEL[..., :1], out_backprop=image(x), **VALID
            ),
            lambda v: back_from(v.reshape(4, 6), KERNEL[..., 0, 0]),
        )
    ],
    "DepthwiseConv2dNativeBackpropInput": [
        (
            lambda x: raw.DepthwiseConv2dNativeBackpropInput(
                input_sizes=[tf.shape(x)[0], 5, 8, 1], filter=KERNEL[..., :1], out_backprop=image(x), **VALID
            ),
            lambda v: back_from(v.reshape(4, 6), KERNEL[..., 0, 0]),
        )
    ],
    "Conv3DBackpropInputV2": [
        (
            lambda x: raw.Conv3DBackpropInputV2(
                input_sizes=[tf.shape(x)[0], 3, 4, 5, 1], filter=DEEP_KERNEL, out_backprop=volume(x), **DEEP
            ),
            lambda v: back_from(cube(v), DEEP_KERNEL[..., 0, 0]),
        )
    ],
    "AvgPool": [
        (
            lambda x: raw.AvgPool(value=image(x), ksize=[1, 2, 3, 1], strides=[1, 1, 2, 1], padding="VALID"),
            lambda v: patches(v.reshape(4, 6), (2, 3))[:, ::2].mean((2, 3)),
        )
    ],
    "AvgPool3D": [
        (
            lambda x: raw.AvgPool3D(input=single(volume(x)), ksize=[1, 2, 2, 2, 1], **DEEP),
            lambda v: patches(cube(v), (2, 2, 2)).mean((3, 4, 5)),
            0,
            SINGLE,
        )
    ],
    "ExtractImagePatches": [
        (
            lambda x: raw.ExtractImagePatches(images=image(x), ksizes=[1, 2, 3, 1], rates=[1] * 4, **VALID),
            lambda v: patches(v.reshape(4, 6), (2, 3)),
        )
    ],
    "ExtractVolumePatches": [
        (
            lambda x: raw.ExtractVolumePatches(input=volume(x), ksizes=[1, 2, 2, 2, 1], **DEEP),
            lambda v: patches(cube(v), (2, 2, 2)),
        )
    ],
    "ResizeBilinear": [
        (
            lambda x: raw.ResizeBilinear(images=image(x), size=[7, 4], half_pixel_centers=True),
            lambda v: sampled(v, lines(centres(7, 7 / 4), 4, triangle, "edge"), lines(centres(4, 4 / 6), 6, triangle, "edge")),
            0,
            SINGLE,
        )
    ],
    "ResizeNearestNeighbor": [
        (
            lambda x: raw.ResizeNearestNeighbor(images=image(x), size=[7, 4], half_pixel_centers=True),
            lambda v: sampled(v, lines(centres(7, 7 / 4), 4, nearest, "edge"), lines(centres(4, 4 / 6), 6, nearest, "edge")),
        )
    ],
    "ResizeBicubic": [
        (
            lambda x: raw.ResizeBicubic(images=image(x), size=[8, 12], half_pixel_centers=True),
            lambda v: sampled(v, lines(centres(8, 2), 4, keys, "less"), lines(centres(12, 2), 6, keys, "less")),
            0,
            SINGLE,
        )
    ],
    "ScaleAndTranslate": [
        (
            lambda x: raw.ScaleAndTranslate(
                images=single(image(x)),
                size=[6, 8],
                scale=[1.5, 1.25],
                translation=[0.25, 0.5],
                kernel_type="triangle",
                antialias=False,
            ),
            lambda v: sampled(
                v,
                lines(centres(6, 1.5, -0.25 / 1.5), 4, triangle, "less"),
                lines(centres(8, 1.25, -0.5 / 1.25), 6, triangle, "less"),
            ),
            0,
            SINGLE,
        )
    ],
    "CropAndResize": [
        (
            lambda x: raw.CropAndResize(
                image=image(x),
                boxes=tf.tile([[0.1, 0.2, 0.9, 0.7]], [tf.shape(x)[0], 1]),
                box_ind=tf.range(tf.shape(x)[0]),
                crop_size=[3, 5],
            ),
            lambda v: sampled(
                v, lines(np.linspace(0.3, 2.7, 3), 4, triangle, "edge"), lines(np.linspace(1.0, 3.5, 5), 6, triangle, "edge")
            ),
            0,
            SINGLE,
        )
    ],
    "ImageProjectiveTransformV3": [
        (
            lambda x: raw.ImageProjectiveTransformV3(
                images=image(x),
                transforms=[[1.0, 0.0, 0.25, 0.0, 1.0, -0.5, 0.0, 0.0]],
                output_shape=[4, 6],
                fill_value=0.0,
                interpolation="BILINEAR",
            ),
            lambda v: sampled(
                v, lines(np.arange(4) - 0.5, 4, triangle, "zero"), lines(np.arange(6) + 0.25, 6, triangle, "zero")
            ),
            0,
            SINGLE,
        )
    ],
    "MatrixDiag": [(lambda x: raw.MatrixDiag(diagonal=shaped(x, 4, 6)), lambda v: v.reshape(4, 6)[:, :, None] * np.eye(6))],
    **{
        name: [
            (
                lambda x, name=name, more=more: getattr(raw, name)(diagonal=shaped(x[:, :HALF], 3, 4), **DIAGONALS, **more),
                lambda v: bands(v[:HALF].reshape(3, 4)),
            )
        ]
        for name, more in {"MatrixDiagV2": {}, "MatrixDiagV3": {"align": "LEFT_LEFT"}}.items()
    },
    "MatrixDiagPart": [(lambda x: raw.MatrixDiagPart(input=shaped(x, 4, 6)), lambda v: np.diagonal(v.reshape(4, 6)))],
    **{
        name: [
            (
                lambda x, name=name, more=more: getattr(raw, name)(
                    input=shaped(x, 4, 6), k=[-1, 1], padding_value=tf.constant(0.3, tf.float64), **more
                ),
                lambda v: unbanded(v.reshape(4, 6)),
            )
        ]
        for name, more in {"MatrixDiagPartV2": {}, "MatrixDiagPartV3": {"align": "LEFT_LEFT"}}.items()
    },
    "MatrixSetDiagV3": [(lambda x: raw.MatrixSetDiagV3(input=shaped(x, 4, 6), diagonal=2 * x[:, :4], k=1), with_diagonal)],
    "MatrixBandPart": [
        (
            lambda x: raw.MatrixBandPart(input=shaped(x, 4, 6), num_lower=1, num_upper=2),
            lambda v: np.triu(np.tril(v.reshape(4, 6), 2), -1),
        )
    ],
    "Diag": [(rows(lambda v: raw.Diag(diagonal=v)), np.diag)],
    "DiagPart": [(rows(lambda v: raw.DiagPart(input=tf.reshape(tf.tile(v, [SIZE]), [SIZE, SIZE]))), lambda v: v)],
}


def made(entries):
    return {name: [Case(function, plain, alone, *more) for function, plain, *more in forms] for name, forms in entries.items()}


CASES = made(BETWEEN | SHAPES | SUMS | WINDOWS)
