"""Running a model on this machine, in the Executor, for a requester's own check. Never a node's business."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from nodeagent.client.gathering import Gathered, How, gather
from nodeagent.client.inputs import Array, npz_bytes
from nodeagent.client.outputs import STATUS, collect_outputs
from nodeagent.client.plan import canonical_runtime, check_model, inspecting
from nodeagent.protocol.documents import Content
from nodeagent.protocol.manifest import InputTensor, JobManifest, OutputTensor, Runtime
from nodeagent.protocol.results import TaskResult
from nodeagent.runtimes.types import CANONICAL, MAX_OUTPUT_BYTES, ShardSpec

NOWHERE = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"  # the empty file: nothing is addressed here


@dataclass(frozen=True, slots=True)
class LocalRun:
    """:param outputs: by name, and ``__status__``, as ``outputs.npz`` of a job has them
    :param task_seconds: from one task to the next, starting and loading left out; 0 for a single task
    """

    outputs: dict[str, Array]
    task_seconds: float
    gathered: Gathered


def run_here(home: Path, runtimes: Path, model: Path, inputs: Path, runtime: str, how: How) -> LocalRun:
    """Computes every task of ``inputs``.

    :raises BadInputs: the inputs do not fit
    :raises BadModel: nodes would refuse the model
    :raises Pass: this machine cannot compute it
    """
    if runtime == CANONICAL:
        canonical_runtime(runtimes)
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (
        TemporaryDirectory(dir=home, prefix="check-") as folder,
        inspecting(home, runtimes, Path(folder)) as executor,
    ):
        gathered = gather(inputs, executor.inspect(model).inputs, how)
        arrays = gathered.inputs
        facts = executor.inspect(model, {s.name: s.shape for s in arrays.specs()})
        check_model(facts, arrays)
        shard = Path(folder) / "inputs.npz"
        shard.write_bytes(npz_bytes(arrays.arrays))
        spec = ShardSpec(
            runtime=runtime,
            model_path=model,
            model_sha256=hashlib.sha256(model.read_bytes()).digest(),
            inputs_path=shard,
            first=0,
            count=arrays.tasks,
            inputs=arrays.specs(),
            outputs=tuple(o.name for o in facts.outputs),
            units=facts.units,
            max_output_bytes=facts.output_bytes or MAX_OUTPUT_BYTES,
        )
        ticks: list[float] = []
        answers = executor.run(spec, lambda *_: ticks.append(time.monotonic()))
    nothing = Content(cid=NOWHERE, bytes=0)
    manifest = JobManifest(
        runtime=Runtime(name=runtime, id="0x" + "00" * 32),
        model=nothing,
        inputs=tuple(
            InputTensor.model_validate({"name": s.name, "dtype": s.dtype, "shape": s.shape}) for s in arrays.specs()
        ),
        outputs=tuple(OutputTensor.model_validate({"name": o.name, "dtype": o.dtype}) for o in facts.outputs),
        tasks=arrays.tasks,
        shard_size=arrays.tasks,
        units=facts.units,
        max_output_bytes=spec.max_output_bytes,
        shards=(nothing,),
    )
    results = {a.index: TaskResult(a.status, a.data) for a in answers}
    outputs = collect_outputs(manifest, arrays.tasks, results)
    return LocalRun(outputs, (ticks[-1] - ticks[0]) / max(1, len(ticks) - 1), gathered)


def compare(ours: dict[str, Array], theirs: dict[str, Array], tolerance: float) -> int:
    """Tasks whose status and every output agree within ``tolerance`` (NaN equals NaN)."""
    tasks = len(ours[STATUS])
    if set(ours) != set(theirs) or len(theirs[STATUS]) != tasks:
        return 0
    equal = ours[STATUS] == theirs[STATUS]
    for name, array in ours.items():
        other = theirs[name]
        if array.shape != other.shape or array.dtype != other.dtype:
            return 0
        if array.dtype.kind == "f":
            close = np.isclose(array, other, rtol=0, atol=tolerance, equal_nan=True)
        else:
            close = array == other
        equal &= np.asarray(close).reshape(tasks, -1).all(axis=1)
    return int(equal.sum())
