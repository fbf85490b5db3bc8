"""A job small enough to be computed hundreds of times, and what its right answers are."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from nodeagent.client.inputs import TaskInputs, cut_shards, task_inputs
from nodeagent.client.plan import JobPlan, canonical_runtime, make_plan
from nodeagent.content import ContentStore
from nodeagent.protocol.results import ResultTree, TaskResult
from nodeagent.protocol.types import Task
from nodeagent.runtimes.host import Executor
from nodeagent.runtimes.types import CANONICAL, ShardSpec, TensorSpec

FEATURES, CLASSES = 8, 3
SHARD_SIZE = 2


@dataclass(frozen=True, slots=True)
class Payload:
    """A plan whose content is in the store. ``right`` has the result root of every shard, as this machine finds it."""

    plan: JobPlan
    right: tuple[bytes, ...]


def make_model(path: Path, seed: int, hidden: int = 0) -> None:
    """Matrix products and a softmax: float32 [N, 8] to [N, 3].

    :param hidden: columns of two products in between; with a thousand a task takes more than one unit
    """
    rng = np.random.default_rng(seed)
    widths = (FEATURES, *((hidden, hidden) if hidden else ()), CLASSES)
    weights = [rng.standard_normal(shape).astype(np.float32) for shape in pairwise(widths)]
    names = ["x", *(f"h{at}" for at in range(1, len(weights))), "z"]
    steps = [
        helper.make_node("MatMul", [before, f"w{at}"], [after]) for at, (before, after) in enumerate(pairwise(names))
    ]
    graph = helper.make_graph(
        [*steps, helper.make_node("Softmax", ["z"], ["y"], axis=-1)],
        "lab",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", FEATURES])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", CLASSES])],
        [numpy_helper.from_array(weight, f"w{at}") for at, weight in enumerate(weights)],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 8
    onnx.save(made, path)


def make_payload(folder: Path, runtimes: Path, store: ContentStore, shards: int, seed: int) -> Payload:
    """Model, inputs and manifest into ``store``; the right answers by an executor of this process's own."""
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / "model.onnx"
    make_model(model, seed)
    rows = np.random.default_rng(seed + 1).standard_normal((shards * SHARD_SIZE, FEATURES)).astype(np.float32)
    inputs = task_inputs({"x": rows})
    runtime = canonical_runtime(runtimes)
    with TemporaryDirectory() as scratch, Executor(runtimes, None, Path(scratch), payload=[folder]) as executor:
        facts = executor.inspect(model, {s.name: s.shape for s in inputs.specs()}, runtime=CANONICAL)
        plan = make_plan(model, inputs, facts, runtime, store, shard_size=SHARD_SIZE)
        return Payload(plan, _right(executor, model, inputs, plan, folder / "shard.npz"))


def _right(executor: Executor, model: Path, inputs: TaskInputs, plan: JobPlan, file: Path) -> tuple[bytes, ...]:
    roots = []
    for shard, blob in enumerate(cut_shards(inputs, SHARD_SIZE)):
        file.write_bytes(blob)
        first = Task(shard * SHARD_SIZE)
        spec = ShardSpec(
            runtime=CANONICAL,
            model_path=model,
            model_sha256=hashlib.sha256(model.read_bytes()).digest(),
            inputs_path=file,
            first=first,
            count=min(SHARD_SIZE, inputs.tasks - first),
            inputs=tuple(TensorSpec(t.name, t.dtype, t.shape) for t in plan.manifest.inputs),
            outputs=tuple(t.name for t in plan.manifest.outputs),
            units=plan.manifest.units,
            max_output_bytes=plan.manifest.max_output_bytes,
        )
        answers = executor.run(spec)
        roots.append(ResultTree(first, [TaskResult(a.status, a.data) for a in answers]).root)
    return tuple(roots)
