"""Makes small models and runs them as shards."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from nodeagent.runtimes.host import Executor
from nodeagent.runtimes.inputs import write_inputs
from nodeagent.runtimes.tensors import decode_outputs
from nodeagent.runtimes.types import CANONICAL, ShardSpec, TaskResult, TensorSpec

Array = np.ndarray[Any, np.dtype[Any]]
FLOAT = TensorProto.FLOAT
node = helper.make_node


def value(name: str, elem: int, shape: Sequence[int | str | None]) -> Any:
    """A graph input or output."""
    return helper.make_tensor_value_info(name, elem, shape)


def model(
    nodes: Sequence[NodeProto],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    weights: Mapping[str, Array] | None = None,
    *,
    opset: int = 17,
    imports: Mapping[str, int] | None = None,
) -> ModelProto:
    """A model of one graph; ``imports`` adds operator sets of other domains."""
    tensors = [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()]
    graph = helper.make_graph(list(nodes), "graph", list(inputs), list(outputs), tensors)
    sets = [helper.make_opsetid("", opset)]
    sets += [helper.make_opsetid(domain, version) for domain, version in (imports or {}).items()]
    made = helper.make_model(graph, opset_imports=sets)
    made.ir_version = 8
    return made


def doubler(elem: int = FLOAT, shape: Sequence[int | str | None] = ("n", 3), opset: int = 17) -> ModelProto:
    """``y = x + x``."""
    return model([node("Add", ["x", "x"], ["y"])], [value("x", elem, shape)], [value("y", elem, shape)], opset=opset)


def short_weight() -> ModelProto:
    """``y = x @ w`` whose ``w`` lacks most of its bytes: too big for the checker to look into, not for the runtime."""
    made = model(
        [node("MatMul", ["x", "w"], ["y"])],
        [value("x", FLOAT, ["n", 3])],
        [value("y", FLOAT, ["n", 2000])],
        {"w": np.zeros((3, 2000), np.float32)},
    )
    made.graph.initializer[0].raw_data = bytes(4)
    return made


@dataclass(frozen=True, slots=True)
class Bench:
    """Runs a model on arrays (leading axis: tasks) as one shard."""

    executor: Executor
    folder: Path

    def spec(
        self, made: ModelProto | bytes, arrays: Mapping[str, Array], outputs: Sequence[str] = ("y",), **changes: Any
    ) -> ShardSpec:
        data = made if isinstance(made, bytes) else made.SerializeToString()
        digest = hashlib.sha256(data)
        path = self.folder / f"{digest.hexdigest()[:12]}.onnx"
        path.write_bytes(data)
        inputs = self.folder / "inputs.npz"
        write_inputs(inputs, arrays)
        fields: dict[str, Any] = {
            "runtime": CANONICAL,
            "model_path": path,
            "model_sha256": digest.digest(),
            "inputs_path": inputs,
            "first": 0,
            "count": len(next(iter(arrays.values()))),
            "inputs": tuple(TensorSpec(name, a.dtype.name, a.shape[1:]) for name, a in arrays.items()),
            "outputs": tuple(outputs),
            "units": 1000,
            "max_output_bytes": 1 << 20,
        }
        return ShardSpec(**{**fields, **changes})

    def run(
        self, made: ModelProto | bytes, arrays: Mapping[str, Array], outputs: Sequence[str] = ("y",), **changes: Any
    ) -> list[TaskResult]:
        return self.executor.run(self.spec(made, arrays, outputs, **changes))

    def statuses(
        self, made: ModelProto | bytes, arrays: Mapping[str, Array], outputs: Sequence[str] = ("y",), **changes: Any
    ) -> list[int]:
        results = self.run(made, arrays, outputs, **changes)
        assert all(bool(result.data) == (result.status == 0) for result in results)
        return [result.status for result in results]


def decoded(results: Sequence[TaskResult]) -> list[list[Array]]:
    """Outputs of every task; all must have succeeded."""
    assert [result.status for result in results] == [0] * len(results)
    return [decode_outputs(result.data) for result in results]


def floats(*shape: int, seed: int = 1) -> Array:
    """Repeatable float32 test data."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
