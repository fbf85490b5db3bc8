"""Static shapes and multiply-accumulates of a graph, node by node, without running it.

Every value's shape must follow from the task's input shapes alone; what depends on data is refused. Small
integer tensors that only describe shapes are computed ahead (:data:`operators.FOLDED`), so exported models
that reshape by ``Shape → Gather → Concat`` are fine. Bounds keep a few bytes of model from declaring
gigabytes of work space.
"""

from __future__ import annotations

import math
from collections import ChainMap
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, TypeProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from . import control, operators
from .errors import ModelFault

MAX_VALUE_BYTES = 512 << 20
MAX_TOTAL_BYTES = 4 << 30
MAX_NODES = 50_000
MAX_DEPTH = 8
MAX_FOLDED = 4096
MAX_RANK = 16
_WIDE_ELEMENT = 16
_WIDEST = float(1 << 31)
_FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16)
_CASTS = (TensorProto.BOOL, TensorProto.INT32, TensorProto.INT64, TensorProto.FLOAT, TensorProto.DOUBLE)


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor in the graph: ONNX element type, shape and, for small known ones, its contents."""

    elem: int
    shape: tuple[int, ...]
    const: TensorProto | None = None

    @property
    def nbytes(self) -> int:
        """Bytes the value takes; strings and exotic types count 16 an element."""
        try:
            width = helper.tensor_dtype_to_np_dtype(self.elem).itemsize
        except KeyError:
            width = _WIDE_ELEMENT
        return math.prod(self.shape) * (width or _WIDE_ELEMENT)

    @property
    def type(self) -> TypeProto:
        """The same as an ONNX type."""
        return helper.make_tensor_type_proto(self.elem, self.shape)


Scope = ChainMap[str, Value]


class Walk:
    """One pass over a model. ``total`` counts bytes of all values; nodes and nesting are bounded."""

    def __init__(self, opset: int, ir_version: int) -> None:
        self.opset = opset
        self.ir_version = ir_version
        self.total = 0
        self.nodes = 0
        self._imports = [helper.make_opsetid("", opset)]

    def graph(
        self, graph: onnx.GraphProto, scope: MutableMapping[str, Value], depth: int = 0
    ) -> tuple[list[Value], int]:
        """Values of the graph's outputs and the multiply-accumulates of one run.

        ``scope`` holds the graph's inputs and, for a subgraph, what its outer graphs define.
        """
        if depth > MAX_DEPTH:
            raise ModelFault(f"subgraphs are nested deeper than {MAX_DEPTH}")
        local: Scope = ChainMap({}, scope)
        own: set[str] = {item.name for item in graph.input}
        for tensor in graph.initializer:
            self._define(local, own, tensor.name, constant(tensor), shadow=depth == 0)
        macs = 0
        for node in graph.node:
            outs, spent = self._node(node, local, depth)
            macs += spent
            for name, value in zip(node.output, outs, strict=False):
                if name:
                    self._define(local, own, name, value)
        missing = [item.name for item in graph.output if item.name not in local]
        if missing:
            raise ModelFault(f"graph outputs {missing} are computed by no node")
        return [local[item.name] for item in graph.output], macs

    @staticmethod
    def value(elem: int, shape: tuple[int, ...], const: TensorProto | None = None) -> Value:
        """Make a value (for control flow, which cannot import this module)."""
        return Value(elem, shape, const)

    def _define(self, local: Scope, own: set[str], name: str, value: Value, *, shadow: bool = False) -> None:
        if name in own and not shadow:
            raise ModelFault(f"value {name!r} is defined twice")
        size = value.nbytes
        self.total += size
        if size > MAX_VALUE_BYTES or self.total > MAX_TOTAL_BYTES or len(value.shape) > MAX_RANK:
            raise ModelFault(
                f"value {name!r} of shape {value.shape} passes the work space of {MAX_RANK} dimensions, "
                f"{MAX_VALUE_BYTES} bytes a value and {MAX_TOTAL_BYTES} in all"
            )
        own.add(name)
        local[name] = value

    def _node(self, node: NodeProto, scope: Scope, depth: int) -> tuple[list[Value], int]:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise ModelFault(f"the model has more than {MAX_NODES} nodes")
        unknown = [name for name in node.input if name and name not in scope]
        if unknown:
            raise ModelFault(f"{node.op_type} reads {unknown}, which nothing before it defines")
        ins = [scope[name] if name else None for name in node.input]
        if node.op_type in operators.CONTROL:
            return control.run(self, node, ins, scope, depth)
        attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
        _refuse_training(node, ins)
        outs = self._fold(node, ins) or self._infer(node, ins)
        shapes = [value.shape if value else () for value in ins]
        return outs, operators.cost(node.op_type, shapes, [value.shape for value in outs], attributes)

    def _infer(self, node: NodeProto, ins: Sequence[Value | None]) -> list[Value]:
        schema = onnx.defs.get_schema(node.op_type, self.opset, "")
        if schema.deprecated:
            raise ModelFault(f"operator {node.op_type} is not in opset {self.opset}")
        named = {name: value for name, value in zip(node.input, ins, strict=True) if value is not None}
        types = onnx.shape_inference.infer_node_outputs(
            schema,
            node,
            {name: value.type for name, value in named.items()},
            {name: value.const for name, value in named.items() if value.const is not None},
            opset_imports=self._imports,
            ir_version=self.ir_version,
        )
        return [_static(node, name, types.get(name)) for name in node.output]

    def _fold(self, node: NodeProto, ins: Sequence[Value | None]) -> list[Value]:
        """The node's outputs with their contents, or nothing when it is not small, known shape arithmetic."""
        if node.op_type not in operators.FOLDED:
            return []
        if node.op_type in ("Shape", "Size") and ins[0] is not None:
            return [self._shape_of(node, ins[0])]
        consts = [value.const if value else None for value in ins]
        if any(value is not None and const is None for value, const in zip(ins, consts, strict=True)):
            return []
        if not _repeatable(node, [const for const in consts if const is not None]):
            return []
        inferred = [] if node.op_type == "Constant" else self._infer(node, ins)
        if any(math.prod(value.shape) > MAX_FOLDED for value in inferred):
            return inferred
        feeds = {name: numpy_helper.to_array(c) for name, c in zip(node.input, consts, strict=True) if c is not None}
        arrays: Any = ReferenceEvaluator(node, opsets={"": self.opset}).run(None, feeds)
        outs = [constant(numpy_helper.from_array(array)) for array in arrays]
        if inferred and [(v.elem, v.shape) for v in outs] != [(v.elem, v.shape) for v in inferred]:
            return inferred
        return outs

    def _shape_of(self, node: NodeProto, value: Value) -> Value:
        if node.op_type == "Size":
            return constant(helper.make_tensor("", TensorProto.INT64, [], [math.prod(value.shape)]))
        bounds = {item.name: item.i for item in node.attribute}
        dims = list(value.shape)[slice(bounds.get("start", 0), bounds.get("end"))]
        return constant(helper.make_tensor("", TensorProto.INT64, [len(dims)], dims))


def _repeatable(node: NodeProto, consts: Sequence[TensorProto]) -> bool:
    """Whether every processor folds the node to the same bits."""
    if node.op_type == "Cast":
        return any(item.name == "to" and item.i in _CASTS for item in node.attribute)
    return node.op_type not in operators.INTEGERS_ONLY or all(c.data_type not in _FLOATS for c in consts)


def _plain(tensor: TensorProto) -> bool:
    """Whether float contents stay clear of what processors convert to integers each in their own way."""
    if tensor.data_type not in _FLOATS:
        return True
    sizes = np.abs(numpy_helper.to_array(tensor).astype(np.float64))
    return bool(np.all((sizes == 0) | ((sizes > 1 / _WIDEST) & (sizes < _WIDEST))))


def constant(tensor: TensorProto) -> Value:
    """A tensor as a value; its contents are kept when it is small and shapes may safely depend on it."""
    shape = tuple(tensor.dims)
    if any(dim < 0 for dim in shape):
        raise ModelFault(f"tensor {tensor.name!r} has a negative dimension in {shape}")
    keep = math.prod(shape) <= MAX_FOLDED and _plain(tensor)
    return Value(tensor.data_type, shape, tensor if keep else None)


def _static(node: NodeProto, name: str, kind: TypeProto | None) -> Value:
    if not name:
        return Value(TensorProto.FLOAT, ())
    tensor = kind.tensor_type if kind is not None and kind.HasField("tensor_type") else None
    if tensor is None or not tensor.elem_type or not tensor.HasField("shape"):
        raise ModelFault(f"the type or shape of {name!r} ({node.op_type}) does not follow from the input shapes")
    dims: list[int] = []
    for dim in tensor.shape.dim:
        if not dim.HasField("dim_value") or dim.dim_value < 0:
            raise ModelFault(f"the shape of {name!r} ({node.op_type}) does not follow from the input shapes")
        dims.append(dim.dim_value)
    return Value(tensor.elem_type, tuple(dims))


def _refuse_training(node: NodeProto, ins: Sequence[Value | None]) -> None:
    if node.op_type != "Dropout" or len(ins) < 3 or ins[2] is None:
        return
    mode: Any = None if ins[2].const is None else numpy_helper.to_array(ins[2].const)
    if mode is None or bool(mode.any()):
        raise ModelFault("Dropout in training mode is random")
