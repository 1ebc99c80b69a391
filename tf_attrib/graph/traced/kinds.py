"""Kinds of operations, by what they do to the axes of a tensor."""

# Operations of one tensor that work on each entry, or along the last axis alone.
ALONE = frozenset(
    {
        "Identity",
        "Cast",
        "StopGradient",
        "Softmax",
        "LogSoftmax",
        "Sigmoid",
        "Tanh",
        "Relu",
        "Relu6",
        "LeakyRelu",
        "Elu",
        "Selu",
        "Softplus",
        "Softsign",
        "Exp",
        "Expm1",
        "Log",
        "Log1p",
        "Neg",
        "Square",
        "Sqrt",
        "Rsqrt",
        "Reciprocal",
        "Erf",
        "Erfc",
        "Abs",
        "Sin",
        "Cos",
    }
)
# Operations of two tensors that work on each entry.
BESIDE = frozenset(
    {"BiasAdd", "Add", "AddV2", "Sub", "Mul", "RealDiv", "DivNoNan", "Maximum", "Minimum", "SquaredDifference", "Pow"}
)
# Operations that reduce axes; of those that keep the last one as 1, as layers of normalization do.
REDUCING = frozenset({"Mean", "Sum", "Max", "Min"})
