"""If, Loop and Scan: shapes and cost when the number of rounds follows from the input shapes."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from onnx import NodeProto, TensorProto, helper, numpy_helper

from .errors import ModelFault

if TYPE_CHECKING:
    from .shapes import Scope, Value, Walk

Outcome = tuple[list["Value"], int]


def run(walk: Walk, node: NodeProto, ins: Sequence[Value | None], scope: Scope, depth: int) -> Outcome:
    """Outputs and cost of a control-flow node. Raises ModelFault when either depends on data."""
    attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    handler = {"If": _branch, "Loop": _loop, "Scan": _scan}[node.op_type]
    return handler(walk, attributes, ins, scope, depth)


def _branch(walk: Walk, attributes: dict[str, Any], ins: Sequence[Value | None], scope: Scope, depth: int) -> Outcome:
    known = _scalar(ins[0])
    names = ("then_branch", "else_branch")
    if known is not None:
        return walk.graph(attributes[names[0] if known else names[1]], scope, depth + 1)
    (outs, macs), (others, other_macs) = (walk.graph(attributes[name], scope, depth + 1) for name in names)
    if [(v.elem, v.shape) for v in outs] != [(v.elem, v.shape) for v in others]:
        raise ModelFault("the branches of an If that depends on data give outputs of different types or shapes")
    return [_unknown(value) for value in outs], max(macs, other_macs) + 1


def _loop(walk: Walk, attributes: dict[str, Any], ins: Sequence[Value | None], scope: Scope, depth: int) -> Outcome:
    body = attributes["body"]
    trips, first = _scalar(ins[0]), True if ins[1] is None else _scalar(ins[1])
    if trips is None or trips < 0:
        raise ModelFault("a Loop's trip count does not follow from the input shapes")
    carried = [_unknown(_given(value, "Loop")) for value in ins[2:]]
    if len(body.input) != len(carried) + 2:
        raise ModelFault(f"a Loop body has {len(body.input)} inputs, expected {len(carried) + 2}")
    inner: Scope = ChainMap({}, scope)
    inner[body.input[0].name] = _value(walk, TensorProto.INT64, ())
    inner[body.input[1].name] = _true(walk) if first else _value(walk, TensorProto.BOOL, ())
    inner.update(zip((item.name for item in body.input[2:]), carried, strict=True))
    outs, macs = walk.graph(body, inner, depth + 1)
    state, stacked = outs[1 : 1 + len(carried)], outs[1 + len(carried) :]
    _same(carried, state, "Loop")
    if stacked and not (first and _scalar(outs[0])):
        raise ModelFault("a Loop that may end early stacks outputs, so their shapes depend on data")
    return [_unknown(value) for value in state] + [_stack(walk, value, trips, 0) for value in stacked], trips * macs + 1


def _scan(walk: Walk, attributes: dict[str, Any], ins: Sequence[Value | None], scope: Scope, depth: int) -> Outcome:
    if walk.opset < 9:
        raise ModelFault("Scan before opset 9 is not supported; export the model with a newer opset")
    body, count = attributes["body"], int(attributes["num_scan_inputs"])
    values = [_given(value, "Scan") for value in ins]
    if len(body.input) != len(values) or not 0 < count <= len(values):
        raise ModelFault(f"a Scan body has {len(body.input)} inputs for {len(values)} given")
    carried, scanned = [_unknown(v) for v in values[:-count]], values[-count:]
    axes = list(attributes.get("scan_input_axes") or [0] * count)
    lengths = {value.shape[axis] for value, axis in zip(scanned, axes, strict=True)}
    if len(lengths) != 1:
        raise ModelFault(f"a Scan's inputs have different lengths {sorted(lengths)}")
    trips = lengths.pop()
    inner: Scope = ChainMap({}, scope)
    inner.update(zip((item.name for item in body.input), carried, strict=False))
    for item, value, axis in zip(body.input[len(carried) :], scanned, axes, strict=True):
        at = axis % len(value.shape)
        inner[item.name] = _value(walk, value.elem, value.shape[:at] + value.shape[at + 1 :])
    outs, macs = walk.graph(body, inner, depth + 1)
    state, stacked = outs[: len(carried)], outs[len(carried) :]
    _same(carried, state, "Scan")
    out_axes = list(attributes.get("scan_output_axes") or [0] * len(stacked))
    stacks = [_stack(walk, value, trips, axis) for value, axis in zip(stacked, out_axes, strict=True)]
    return [_unknown(value) for value in state] + stacks, trips * macs + 1


def _value(walk: Walk, elem: int, shape: tuple[int, ...]) -> Value:
    return walk.value(elem, shape)


def _true(walk: Walk) -> Value:
    return walk.value(TensorProto.BOOL, (), helper.make_tensor("", TensorProto.BOOL, [], [1]))


def _unknown(value: Value) -> Value:
    return type(value)(value.elem, value.shape)


def _stack(walk: Walk, value: Value, trips: int, axis: int) -> Value:
    at = axis % (len(value.shape) + 1)
    return walk.value(value.elem, (*value.shape[:at], trips, *value.shape[at:]))


def _given(value: Value | None, op: str) -> Value:
    if value is None:
        raise ModelFault(f"a {op} leaves out a carried input")
    return value


def _same(before: Sequence[Value], after: Sequence[Value], op: str) -> None:
    if [(v.elem, v.shape) for v in before] != [(v.elem, v.shape) for v in after]:
        raise ModelFault(f"a {op} changes the type or shape of what it carries from round to round")


def _scalar(value: Value | None) -> int | None:
    if value is None or value.const is None:
        return None
    array = numpy_helper.to_array(value.const)
    return int(array.reshape(-1)[0]) if array.size == 1 else None
