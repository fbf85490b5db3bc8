"""Reads an ONNX model that nobody vouches for, and decides whether it is an answerable question.

Runs in the executor process only. Every refusal is a :class:`ModelFault` and depends on the bytes, the
manifest and the pinned ``onnx`` release alone, so every node refuses the same models.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import onnx
from onnx import AttributeProto, GraphProto, ModelProto, TensorProto, ValueInfoProto

from . import operators
from .errors import ModelFault
from .shapes import MAX_DEPTH, Value, Walk
from .tensors import CODES, NAMES, encoded_size
from .types import ModelFacts, TensorSpec, ValueFacts

OPSETS = range(7, 25)
MACS_PER_UNIT = 1_000_000
_DOMAINS = ("", "ai.onnx")
_TENSORS = (AttributeProto.TENSOR, AttributeProto.TENSORS)
_REFUSED = (
    AttributeProto.SPARSE_TENSOR,
    AttributeProto.SPARSE_TENSORS,
    AttributeProto.TYPE_PROTO,
    AttributeProto.TYPE_PROTOS,
)


@dataclass(frozen=True, slots=True)
class Feed:
    """One input as it is fed: dtype name, dims of one run, whether they start with a batch axis of one."""

    name: str
    dtype: str
    dims: tuple[int, ...]
    batched: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """A model bound to its manifest: what to feed, what to fetch and what one task costs.

    ``dtypes`` has the outputs' dtype names, None where tensor encoding 1 has none; ``shapes`` are the
    static ones.
    """

    feeds: tuple[Feed, ...]
    fetches: tuple[str, ...]
    dtypes: tuple[str | None, ...]
    shapes: tuple[tuple[int, ...], ...]
    macs: int

    @property
    def units(self) -> int:
        """Price units of one task: millions of multiply-accumulates, rounded up, at least one."""
        return max(1, -(-self.macs // MACS_PER_UNIT))


def load(data: bytes) -> ModelProto:
    """Parse and check the structure. Raises ModelFault."""
    try:
        model = onnx.load_model_from_string(data)
    except MemoryError:
        raise
    except Exception as error:
        raise ModelFault("the model file is not an ONNX protobuf") from error
    if not model.HasField("graph") or not model.graph.node:
        raise ModelFault("the model has no graph with nodes")
    if len(model.functions) or len(model.training_info):
        raise ModelFault("the model carries functions or training data; export it with everything inlined")
    opset(model)
    for graph, depth in _graphs(model.graph):
        _check_graph(graph, depth)
    return model


def opset(model: ModelProto) -> int:
    """Version of the standard operator set. Raises ModelFault unless exactly one, in OPSETS, is imported."""
    versions = [item.version for item in model.opset_import if item.domain in _DOMAINS]
    if len(versions) != 1 or versions[0] not in OPSETS:
        raise ModelFault(f"the model imports ai.onnx opsets {versions}, expected one of {OPSETS[0]}..{OPSETS[-1]}")
    return int(versions[0])


def plan(model: ModelProto, inputs: Sequence[TensorSpec], outputs: Sequence[str]) -> Plan:
    """Bind a loaded model to declared inputs and outputs. Raises ModelFault where they contradict."""
    declared = {item.name: item for item in graph_inputs(model)}
    specs = {spec.name: spec for spec in inputs}
    if len(specs) != len(inputs) or set(specs) != set(declared):
        raise ModelFault(f"the model takes inputs {sorted(declared)}, the manifest declares {sorted(specs)}")
    feeds = tuple(_feed(declared[spec.name], spec) for spec in inputs)
    given = [item.name for item in model.graph.output]
    strange = [name for name in outputs if name not in given]
    if strange or not outputs or len(set(outputs)) != len(outputs) or len(set(given)) != len(given):
        raise ModelFault(f"the model gives outputs {given}, the manifest declares {list(outputs)}")
    values, macs = _walk(model, feeds)
    hidden = [n for n, v in zip(given, values, strict=True) if n not in outputs and v.elem not in NAMES]
    if hidden:
        raise ModelFault(f"outputs {hidden} have types that the runtime cannot hand out")
    chosen = [values[given.index(name)] for name in outputs]
    return Plan(
        feeds,
        tuple(outputs),
        tuple(NAMES.get(value.elem) for value in chosen),
        tuple(value.shape for value in chosen),
        macs,
    )


def count_units(model: ModelProto, shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Units of one task of a loaded model whose inputs have these per-task shapes. Raises ModelFault."""
    specs = [TensorSpec(item.name, _dtype(item), shapes[item.name]) for item in graph_inputs(model)]
    return plan(model, specs, [item.name for item in model.graph.output]).units


def inspect(data: bytes, digest: bytes, shapes: Mapping[str, tuple[int, ...]] | None) -> ModelFacts:
    """Facts for a requester; ``shapes`` are per task, by default the declared ones minus a batch axis."""
    facts = ModelFacts(digest, (), (), (), 0, 0, 0, ())
    try:
        model = load(data)
    except ModelFault as fault:
        return replace(facts, problems=(fault.message,))
    declared = tuple(ValueFacts(item.name, _name(item), _dims(item)) for item in graph_inputs(model))
    given = tuple(ValueFacts(item.name, _name(item), _dims(item)) for item in model.graph.output)
    facts = replace(facts, inputs=declared, outputs=given, opset=opset(model))
    try:
        specs = tuple(_guess(item, (shapes or {}).get(item.name)) for item in declared)
        bound = plan(model, specs, [item.name for item in given])
    except ModelFault as fault:
        return replace(facts, problems=(fault.message,))
    kinds = tuple(zip(given, bound.dtypes, bound.shapes, strict=True))
    missing = tuple(f"output {v.name} has a type without an encoding" for v, dtype, _ in kinds if dtype is None)
    numeric = all(dtype not in (None, "string") for dtype in bound.dtypes)
    return replace(
        facts,
        outputs=tuple(ValueFacts(v.name, dtype or v.dtype, shape) for v, dtype, shape in kinds),
        task_inputs=specs,
        units=bound.units,
        output_bytes=sum(encoded_size(str(dtype), shape) for _, dtype, shape in kinds) if numeric else 0,
        problems=missing,
    )


def graph_inputs(model: ModelProto) -> list[ValueInfoProto]:
    """Inputs a caller must feed: those that no initializer already gives."""
    inner = {tensor.name for tensor in model.graph.initializer}
    return [item for item in model.graph.input if item.name not in inner]


def _walk(model: ModelProto, feeds: Sequence[Feed]) -> tuple[list[Value], int]:
    walk = Walk(opset(model), model.ir_version)
    scope = {feed.name: Value(CODES[feed.dtype], feed.dims) for feed in feeds}
    try:
        return walk.graph(model.graph, scope)
    except (ModelFault, MemoryError):
        raise
    except Exception as error:
        raise ModelFault(f"the shapes of the model do not fit together: {_first_line(error)}") from error


def _check_graph(graph: GraphProto, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ModelFault(f"subgraphs are nested deeper than {MAX_DEPTH}")
    if len(graph.sparse_initializer):
        raise ModelFault("sparse initializers are not supported")
    for tensor in graph.initializer:
        _check_tensor(tensor)
    for node in graph.node:
        if node.domain not in _DOMAINS or node.op_type not in operators.ALLOWED:
            raise ModelFault(f"operator {node.domain or 'ai.onnx'}:{node.op_type} is not allowed in this runtime")
        for attribute in node.attribute:
            if attribute.ref_attr_name or attribute.type in _REFUSED:
                raise ModelFault(f"attribute {attribute.name} of {node.op_type} has a kind that is not allowed")
            for tensor in (attribute.t, *attribute.tensors) if attribute.type in _TENSORS else ():
                _check_tensor(tensor)


def _check_tensor(tensor: TensorProto) -> None:
    if tensor.data_location != TensorProto.DEFAULT or len(tensor.external_data):
        raise ModelFault(f"tensor {tensor.name!r} has external data; save the model as one file")
    if tensor.HasField("segment"):
        raise ModelFault(f"tensor {tensor.name!r} is stored in segments")


def _graphs(graph: GraphProto, depth: int = 0) -> Iterator[tuple[GraphProto, int]]:
    yield graph, depth
    if depth > MAX_DEPTH:
        return
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _graphs(inner, depth + 1)


def _feed(declared: ValueInfoProto, spec: TensorSpec) -> Feed:
    dtype, dims, task = _dtype(declared), _dims(declared), spec.shape
    if dtype != spec.dtype:
        raise ModelFault(f"input {spec.name} is {dtype} in the model and {spec.dtype} in the manifest")
    batched = len(dims) == len(task) + 1 and dims[0] in (None, 1)
    wanted = dims[1:] if batched else dims
    fits = len(wanted) == len(task) and all(w in (None, t) for w, t in zip(wanted, task, strict=True))
    if not fits or any(dim < 0 for dim in task):
        raise ModelFault(f"input {spec.name} has shape {dims} in the model, which no task of shape {task} fits")
    return Feed(spec.name, dtype, (1, *task) if batched else task, batched)


def _guess(item: ValueFacts, shape: tuple[int, ...] | None) -> TensorSpec:
    if shape is None:
        dims = item.shape[1:] if item.shape and item.shape[0] in (None, 1) else item.shape
        if any(dim is None for dim in dims):
            raise ModelFault(f"input {item.name} has shape {item.shape}; give the shape of one task")
        shape = tuple(dim for dim in dims if dim is not None)
    return TensorSpec(item.name, item.dtype, shape)


def _dtype(item: ValueInfoProto) -> str:
    name = _name(item)
    if name not in CODES or name == "string":
        raise ModelFault(f"input {item.name} is of type {name}; numbers and bools can be fed")
    return name


def _name(item: ValueInfoProto) -> str:
    if not item.type.HasField("tensor_type"):
        return str(item.type.WhichOneof("value"))
    elem = item.type.tensor_type.elem_type
    return NAMES.get(elem, f"onnx type {elem}")


def _dims(item: ValueInfoProto) -> tuple[int | None, ...]:
    dims = item.type.tensor_type.shape.dim
    return tuple(dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else None for dim in dims)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:300]
