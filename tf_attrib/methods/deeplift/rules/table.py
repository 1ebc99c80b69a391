"""The table of DeepLIFT's rules: from a type of operation to the gradient that stands in for its own.

An operation without an entry, or that varies in an input which its entry does not allow (an index, a kernel), has no rule.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from ....common.errors import AttributionError
from ....common.registry import Registry
from . import choosing, elementwise, linear, products, reveal_cancel, softmax, spectra
from .guided import deconvolved, guided

# Of arXiv:1704.02685 (version 2).
LINEAR, RESCALE, MULTIPLIERS = "section 3.5.1", "section 3.5.2", "section 3.2"


@dataclasses.dataclass(frozen=True)
class OperationRule:
    """What stands in for an operation's own gradient.

    Attributes:
        words: for people, such as "Rescale: Δy / Δx".
        source: where it is from.
        gradient: the name that it is registered under; None: the operation's own gradient.
        inputs: positions of the inputs that may vary; None: any.
        most: how many inputs may vary at once; None: any number.
        of_complex: whether it holds for complex numbers, too; an operation's own gradient does.
    """

    words: str
    source: str
    gradient: str | None = None
    inputs: tuple[int, ...] | None = None
    most: int | None = None
    of_complex: bool = False

    def fits(self, varying: list[int], of_complex: bool = False) -> bool:
        """Whether it holds where the inputs at these positions vary."""
        if of_complex and self.gradient is not None and not self.of_complex:
            return False
        return (self.inputs is None or set(varying) <= set(self.inputs)) and (self.most is None or len(varying) <= self.most)


def registered(name: str, function: Callable, every: bool = False) -> str:
    """Registers `function` as a gradient under a name of ours, and gives that name.

    Args:
        every: whether it must give something for every input; else nothing reaches the last ones that it leaves out.
    """
    name = f"TfAttrib{name}"

    @tf.RegisterGradient(name)
    def gradient(operation: tf.Operation, *upstream: Any) -> list[tf.Tensor | None]:
        # behind a gather there are slices; of an output that is whole numbers there is nothing
        given = [None if one is None else tf.convert_to_tensor(one) for one in upstream]
        returned = function(operation, *given)
        found = list(returned) if isinstance(returned, list | tuple) else [returned]
        fits = len(found) == len(operation.inputs) or (len(found) < len(operation.inputs) and not every)
        if not fits or any(one is not None and not tf.is_tensor(one) for one in found):
            raise AttributionError(
                f"the rule {function.__name__} of {operation.type} must return a list of {len(operation.inputs)}, a tensor or "
                f"None for each of its inputs; it returned {_said(returned)}"
            )
        return found + [None] * (len(operation.inputs) - len(found))

    return name


def _said(returned: Any) -> str:
    """What a rule returned, in a word for each part."""
    if isinstance(returned, list | tuple):
        return f"a list of {len(returned)}: [{', '.join(map(_said, returned))}]"
    return "a tensor" if tf.is_tensor(returned) else repr(returned)


def _pass(operation: tf.Operation, *upstream: tf.Tensor | None) -> list[tf.Tensor | None]:
    return list(upstream)


PASS = registered("Pass", _pass)
STEP = registered("Step", elementwise.step)
VARYING_SELECT = registered("SelectByVarying", choosing.select_by_varying)
GUIDED = registered("Guided", guided)
DECONVOLVED = registered("Deconvolved", deconvolved)
REVEAL_CANCEL = registered("RevealCancel", reveal_cancel.reveal_cancel)
HAND_ON = registered("HandOn", reveal_cancel.hand_on)
_SECANT = registered("Secant", elementwise.secant)
_EXTREME = registered("Extreme", choosing.extreme)

# Products that sum over an axis of both factors.
CONTRACTIONS = ("MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum")
# Linear in each of these inputs while the others stay as they are: the operation's own gradient is exact.
_ANY = """Add AddV2 AddN Sub Neg BiasAdd ConcatV2 Pack Unpack Identity Conj Real Imag Complex EnsureShape
    TensorListPushBack DynamicStitch ParallelDynamicStitch"""
_FIRST = """Reshape Transpose StridedSlice Slice Squeeze ExpandDims Pad MirrorPad Sum Mean Tile SplitV BroadcastTo Cumsum
    ReverseV2 Reverse ReverseSequence GatherV2 Gather GatherNd Cast Conv2D Conv3D DepthwiseConv2dNative AvgPool AvgPool3D
    SpaceToBatchND BatchToSpaceND SpaceToDepth DepthToSpace ResizeBilinear ResizeNearestNeighbor ResizeBicubic ScaleAndTranslate
    MatrixDiag MatrixDiagV2 MatrixDiagV3 MatrixDiagPart MatrixDiagPartV2 MatrixDiagPartV3 DiagPart Diag MatrixBandPart Roll
    ExtractImagePatches ExtractVolumePatches UnsortedSegmentSum SegmentSum SegmentMean CropAndResize FFT FFT2D FFT3D
    IFFT IFFT2D IFFT3D ImageProjectiveTransformV3 TensorListFromTensor TensorListStack
    TensorListGetItem TensorListConcatV2 TensorListGather TensorListResize SparseSegmentSum SparseSegmentSumWithNumSegments
    SparseSegmentMean SparseSegmentMeanWithNumSegments SparseSegmentSqrtN SparseSegmentSqrtNWithNumSegments"""
_OTHER = {
    "Split": (1,),
    "PadV2": (0,),
    "Fill": (1,),
    "ScatterNd": (1,),
    "TensorScatterUpdate": (0, 2),
    "TensorScatterAdd": (0, 2),
    "TensorScatterSub": (0, 2),
    "Conv2DBackpropInput": (2,),
    "Conv3DBackpropInputV2": (2,),
    "DepthwiseConv2dNativeBackpropInput": (2,),
    "TensorListSetItem": (0, 2),
    "TensorListPopBack": (0,),
    "MatrixSetDiagV3": (0, 1),
    "SparseToDense": (2,),
}


def _linear(inputs: tuple[int, ...] | None, gradient: str | None = None, most: int | None = None) -> OperationRule:
    words = "linear: its own gradient" if gradient is None else "linear"
    return OperationRule(words, LINEAR, gradient, inputs, most, of_complex=True)


def _table() -> dict[str, tuple[OperationRule, ...]]:
    table = {name: (_linear(None),) for name in _ANY.split()}
    table |= {name: (_linear((0,)),) for name in _FIRST.split()}
    table |= {name: (_linear(positions),) for name, positions in _OTHER.items()}
    shift = _linear(None, registered("Shift", linear.shift), most=1)
    table |= {name: (shift, _linear(None)) for name in ("Add", "AddV2")}
    table |= dict.fromkeys(linear.CONVOLUTIONS, (_linear((0,), registered("Convolve", linear.convolve)),))
    for axes, name in enumerate(("RFFT", "RFFT2D", "RFFT3D"), 1):
        table[name] = (_linear((0,), registered(f"FromReal{axes}", spectra.from_real(axes))),)
        table[f"I{name}"] = (_linear((0,), registered(f"ToReal{axes}", spectra.to_real(axes))),)
    table["OneHot"] = (_linear((2, 3), registered("OneHot", linear.one_hot)),)
    passing = OperationRule("hands the multiplier on", MULTIPLIERS, PASS, of_complex=True)
    table |= dict.fromkeys(
        ("IdentityN", "Snapshot", "StopGradient", "PreventGradient", "CheckNumerics", "CheckNumericsV2", "DebugIdentityV2"),
        (passing,),
    )
    normal = registered("Normalise", products.normalise)
    table |= dict.fromkeys(
        ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"),
        (OperationRule("linear, by stored statistics", LINEAR, normal, (0,)),),
    )
    table |= _of_one_variable() | _of_two_variables() | _of_rows()
    return table


def _of_one_variable() -> dict[str, tuple[OperationRule, ...]]:
    rescale = OperationRule("Rescale: Δy / Δx", RESCALE, _SECANT, (0,))
    kinds = elementwise.SMOOTH | elementwise.SCALED | elementwise.PIECES | elementwise.STEPS | elementwise.KINKED
    table = dict.fromkeys(kinds, (rescale,))
    exact = {
        "Square": ("x + x'", elementwise.square),
        "Sqrt": ("1 / (y + y')", elementwise.square_root),
        "Rsqrt": ("-y² y'² / (y + y')", elementwise.inverse_square_root),
    }
    for name, (words, function) in exact.items():
        table[name] = (
            OperationRule(
                f"Rescale: Δy / Δx = {words}", RESCALE, registered(name, function), (0,), of_complex=name == "Square"
            ),
        )
    inverse = OperationRule("Rescale: Δy / Δx = -y y'", RESCALE, registered("Inverse", elementwise.inverse), (0,))
    table |= {"Inv": (inverse,), "Reciprocal": (inverse,)}
    table["ComplexAbs"] = (
        OperationRule(
            "Rescale of the root of u² + v²", RESCALE, registered("Magnitude", spectra.magnitude), (0,), of_complex=True
        ),
    )
    table["Pow"] = (OperationRule("Rescale: Δy / Δx", RESCALE, registered("Power", products.power), (0,)),)
    return table


def _of_two_variables() -> dict[str, tuple[OperationRule, ...]]:
    table = {}
    middle = "product, at the midpoint of x and x'"
    multiply = OperationRule(middle, MULTIPLIERS, registered("Multiply", products.multiply), of_complex=True)
    contract = OperationRule(middle, MULTIPLIERS, registered("Contract", products.contract), (0, 1), of_complex=True)
    table["Mul"] = (_linear(None, registered("Scale", linear.scale), most=1), multiply)
    table["MulNoNan"] = (_linear(None, most=1), multiply)
    table |= dict.fromkeys(CONTRACTIONS, (_linear(None, most=1), contract))
    divide = OperationRule("quotient y = a / b: y b = a, at the midpoint", MULTIPLIERS, registered("Divide", products.divide))
    table |= dict.fromkeys(("RealDiv", "Div", "DivNoNan", "Xdivy"), (_linear((0,)), divide))
    logarithm = OperationRule(
        "the product of a and log b, at the midpoint", MULTIPLIERS, registered("TimesLogarithm", products.times_logarithm)
    )
    table |= dict.fromkeys(("Xlogy", "Xlog1py"), (_linear((0,)), logarithm))
    table["SquaredDifference"] = (
        OperationRule("Rescale of u² at u = a - b", RESCALE, registered("SquaredDifference", products.squared_difference)),
    )
    shapley = OperationRule(
        "Shapley values of the two",
        "section 3.5.3, note on Shapley values",
        registered("GreaterOrLess", choosing.greater_or_less),
    )
    table |= dict.fromkeys(("Maximum", "Minimum"), (shapley,))
    table |= dict.fromkeys(
        ("Select", "SelectV2"),
        (OperationRule("a fixed choice: linear", LINEAR, registered("Select", choosing.select), (1, 2), of_complex=True),),
    )
    return table


def _of_rows() -> dict[str, tuple[OperationRule, ...]]:
    extreme = OperationRule("the element that rose to the maximum, or fell from it", MULTIPLIERS, _EXTREME, (0,))
    table: dict[str, tuple[OperationRule, ...]] = dict.fromkeys(("Max", "Min", "MaxPool", "MaxPoolV2", "MaxPool3D"), (extreme,))
    table["Prod"] = (
        OperationRule("one factor at a time, in both orders", MULTIPLIERS, registered("Product", products.product), (0,)),
    )
    table["Cumprod"] = (
        OperationRule(
            "one factor at a time, in both orders",
            MULTIPLIERS,
            registered("CumulativeProduct", products.cumulative_product),
            (0,),
        ),
    )
    table["Softmax"] = (
        OperationRule("Rescale of exp(x - log Σ exp x), row by row", RESCALE, registered("Softmax", softmax.softmax), (0,)),
    )
    table["LogSoftmax"] = (
        OperationRule("Rescale of x - log Σ exp x, row by row", RESCALE, registered("LogSoftmax", softmax.log_softmax), (0,)),
    )
    return table


def _checked(operation: str, rules: Any) -> tuple[OperationRule, ...]:
    if not isinstance(rules, tuple) or not rules or not all(isinstance(one, OperationRule) for one in rules):
        raise AttributionError(
            f"the rule of {operation} is registered with ta.extend.deeplift_rule({operation!r}), got {rules!r}"
        )
    return rules


# By type of operation the rules that it may have, of which the first that fits holds. Others add theirs by `deeplift_rule`.
RULES: Registry[tuple[OperationRule, ...]] = Registry("DeepLIFT rule for the operation", _checked)
RULES.fill(_table())
LOOP = OperationRule("a loop: rules hold in its body", MULTIPLIERS)
BRANCH = OperationRule("a branch: rules hold in it", MULTIPLIERS)
# Comparisons, as steps of the difference of what they compare.
COMPARISONS = frozenset({"Greater", "GreaterEqual", "Less", "LessEqual"})
# Conditions that tell of a broken number, which are taken as they are at the input.
SANITY = frozenset({"IsFinite", "IsNan", "IsInf"})
STEPS = OperationRule("Rescale of a step: Δy / Δ(u - v)", RESCALE, STEP)


def _with_inverse() -> dict[str, tuple[OperationRule | None, ...]]:
    """Products with an inverse, by its position among the inputs, and what is divided by one."""
    words = "quotient written as a product with 1 / b: y b = a, at the midpoint"
    factor, contracted = (
        tuple(
            OperationRule(words, MULTIPLIERS, registered(f"{name}{position}", function(position)), (0, 1))
            for position in (0, 1)
        )
        for name, function in (("Normalised", products.normalised), ("Scaled", products.scaled))
    )
    product = OperationRule(
        "product of a and 1 / b, at the midpoint",
        MULTIPLIERS,
        registered("DivideByInverse", products.divide_by_inverse),
        (0, 1),
    )
    return (  # pyright: ignore[reportReturnType] (it does not widen what it reads as literals)
        dict.fromkeys(("Mul", "MulNoNan"), factor)
        | dict.fromkeys(CONTRACTIONS, contracted)
        | dict.fromkeys(("RealDiv", "Div"), (None, product))
    )


WITH_INVERSE = _with_inverse()
# The inverse of a root that goes into a minimum alone, and the minimum.
LIMITED = OperationRule(
    "Rescale with the minimum behind it: Δz / Δx", RESCALE, registered("LimitedRoot", elementwise.limited_root)
)
OF_ROOT = OperationRule("Rescale, with the inverse of a root before it", RESCALE, HAND_ON)
CHOICE = OperationRule("choice by a condition that varies: a product, at the midpoint", MULTIPLIERS, VARYING_SELECT)
# Of a linear operation that an activation follows, and of what is between the two and the activation itself.
CANCEL = OperationRule("RevealCancel with the activation behind it", "sections 3.5.3 and 3.5.1", REVEAL_CANCEL, (0,))
WITHIN = OperationRule("RevealCancel, with the linear operation before it", "section 3.5.3", HAND_ON)
# Rules that stand in at rectifiers alone, everything else keeps its own gradient: by the name that methods know them by.
AT_RECTIFIERS = {
    "guided": OperationRule("guided: max(g, 0) times its own derivative", "arXiv:1412.6806, section 3.4", GUIDED),
    "deconvolution": OperationRule("deconvolution: max(g, 0)", "arXiv:1311.2901, section 2.1", DECONVOLVED),
}


def rule_for(operation: str, varying: list[int], of_complex: bool) -> OperationRule | None:
    """The rule of an operation whose inputs vary at these positions, None where there is none."""
    return next((rule for rule in RULES.get(operation, ()) if rule.fits(varying, of_complex)), None)
