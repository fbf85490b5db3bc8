"""Which operators a canonical model may use, and what one run of each costs in multiply-accumulates.

The list is part of the runtime id. Left out: randomness, data-dependent shapes, sequences, optionals, maps,
text processing, training, image decoding, spectra; and every domain but ``ai.onnx`` (contrib operators have
no specification to hold anyone to, and ``ai.onnx.ml`` no static shapes to count).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from .errors import ModelFault

Shape = tuple[int, ...]


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


ELEMENTWISE = _names(
    """Abs Acos Acosh Add And Asin Asinh Atan Atanh BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast
    CastLike Ceil Celu Clip Cos Cosh Div Dropout Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual
    HardSigmoid HardSwish IsInf IsNaN LeakyRelu Less LessOrEqual Log Max Mean Min Mish Mod Mul Neg Not Or
    PRelu Pow Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Sub Sum Tan
    Tanh ThresholdedRelu Where Xor DequantizeLinear DynamicQuantizeLinear QuantizeLinear"""
)
MOVEMENT = _names(
    """AffineGrid CenterCropPad Col2Im Concat Constant ConstantOfShape DepthToSpace Expand EyeLike Flatten
    Gather GatherElements GatherND GridSample Identity MaxUnpool OneHot Pad Range Reshape Resize
    ReverseSequence ScatterElements ScatterND Shape Size Slice SpaceToDepth Split Squeeze Tile Transpose
    Trilu Unsqueeze"""
)
REDUCING = _names(
    """ArgMax ArgMin BatchNormalization CumSum GlobalAveragePool GlobalLpPool GlobalMaxPool
    GroupNormalization Hardmax InstanceNormalization LayerNormalization LogSoftmax LpNormalization
    MeanVarianceNormalization ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin
    ReduceProd ReduceSum ReduceSumSquare Softmax TopK"""
)
POOLING = _names("AveragePool LpPool MaxPool")
PRODUCTS = _names(
    """Conv ConvInteger ConvTranspose Einsum GRU Gemm LRN LSTM MatMul MatMulInteger QLinearConv QLinearMatMul
    RNN"""
)
CONTROL = _names("If Loop Scan")
ALLOWED = ELEMENTWISE | MOVEMENT | REDUCING | POOLING | PRODUCTS | CONTROL

FOLDED = _names(
    """Abs Add And Cast Ceil Concat Constant ConstantOfShape Div Equal Expand Flatten Floor Gather Greater
    GreaterOrEqual Identity Less LessOrEqual Max Min Mod Mul Neg Not Or Range ReduceMax ReduceMin ReduceProd
    ReduceSum Reshape Shape Size Slice Split Squeeze Sub Tile Transpose Unsqueeze Where Xor"""
)
"""Shape arithmetic: computed ahead on small tensors, so that shapes which depend on it are static."""

INTEGERS_ONLY = _names("Range ReduceMax ReduceMin ReduceProd ReduceSum")
"""Of these, the ones whose float results may depend on the order a processor adds in."""

_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
_WEIGHT_INPUT = {"Conv": 1, "ConvInteger": 1, "ConvTranspose": 1, "QLinearConv": 3}


def cost(op: str, ins: Sequence[Shape], outs: Sequence[Shape], attributes: Mapping[str, Any]) -> int:
    """Multiply-accumulates of one run from static shapes (``ins`` has ``()`` for an absent optional input).

    Products count exactly; pooling counts its window; reductions one per input element; everything else one
    per output element; nothing costs less than one. Raises ModelFault where no count is defined.
    """
    return max(1, _cost(op, ins, outs, attributes))


def _cost(op: str, ins: Sequence[Shape], outs: Sequence[Shape], attributes: Mapping[str, Any]) -> int:
    out = sum(math.prod(shape) for shape in outs)
    if op in _GATES:
        return _recurrent(op, ins)
    if op in _WEIGHT_INPUT:
        weight = ins[_WEIGHT_INPUT[op]]
        if len(weight) < 3:
            raise ModelFault(f"{op} has weights of shape {weight}, expected at least three dimensions")
        times: int = math.prod(weight[1:])
        return (math.prod(ins[0]) if op == "ConvTranspose" else out) * times
    if op in ("MatMul", "MatMulInteger", "QLinearMatMul"):
        return out * (ins[0][-1] if ins[0] else 1)
    if op == "Gemm":
        inner: int = ins[0][0 if attributes.get("transA") else 1]
        return out * inner
    if op == "Einsum":
        return _einsum(ins, attributes)
    if op == "LRN":
        return out * int(attributes.get("size", 1))
    if op in POOLING:
        window: int = math.prod(attributes.get("kernel_shape", ()))
        return out * window
    if op in REDUCING:
        return max(out, math.prod(ins[0]))
    return out


def _recurrent(op: str, ins: Sequence[Shape]) -> int:
    data, recurrence = ins[0], ins[2]
    if len(data) != 3 or len(recurrence) != 3:
        raise ModelFault(f"{op} has inputs of shapes {data} and {recurrence}, expected three dimensions")
    steps, width = data[0] * data[1], data[2]
    directions, _, hidden = recurrence
    return directions * steps * _GATES[op] * hidden * (width + hidden)


def _einsum(ins: Sequence[Shape], attributes: Mapping[str, Any]) -> int:
    equation = attributes.get("equation", b"").decode("ascii", "replace").replace(" ", "")
    terms = equation.split("->")[0].split(",")
    if "." in equation or [len(term) for term in terms] != [len(shape) for shape in ins]:
        raise ModelFault(f"Einsum equation {equation!r} cannot be counted: expected plain letters, one term per input")
    extents: dict[str, int] = {}
    for term, shape in zip(terms, ins, strict=True):
        for letter, extent in zip(term, shape, strict=True):
            extents[letter] = max(extents.get(letter, 0), extent)
    return math.prod(extents.values()) * max(1, len(ins) - 1)
