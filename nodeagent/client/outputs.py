"""What ``--out`` receives: ``outputs.npz``, ``results.bin`` and ``receipts.json``.

``outputs.npz`` has the model's outputs by name and ``__status__`` (uint8), all with the job's tasks as leading axis.
A task without a computed answer keeps its place: its ``__status__`` is its answer's status, or ``NOT_SETTLED`` (255)
where no committee agreed in time or an appeal ended without verdict, and its rows are zero. An output that every task
gives with a leading size of 1, the model's own batch axis, is joined along that axis; any other is stacked.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nodeagent.chain.deployment import Deployment
from nodeagent.client.fetching import ShardResults, tasks_of
from nodeagent.client.history import History
from nodeagent.client.inputs import Array, BadInputs, npz_bytes
from nodeagent.content.disk import replacing
from nodeagent.errors import Fatal
from nodeagent.protocol.manifest import JobManifest
from nodeagent.protocol.receipts import Receipts, ShardReceipt, TaskReceipt, encode_receipts, hex_path
from nodeagent.protocol.results import TaskResult
from nodeagent.protocol.types import Malformed, Task, TaskStatus
from nodeagent.runtimes.errors import EncodingFault
from nodeagent.runtimes.tensors import decode_outputs

STATUS = "__status__"
NOT_SETTLED = 255
OUTPUTS, RESULTS, RECEIPTS, SOURCES = "outputs.npz", "results.bin", "receipts.json", "tasks.jsonl"


class OutFailed(Fatal):
    """The results cannot be written."""


def collect_outputs(manifest: JobManifest, tasks: int, results: dict[int, TaskResult]) -> dict[str, Array]:
    """Arrays by output name, and ``__status__``. Raises Malformed where a result is not what the manifest says."""
    status = np.full(tasks, NOT_SETTLED, np.uint8)
    rows: dict[str, dict[int, Array]] = {output.name: {} for output in manifest.outputs}
    for task, result in results.items():
        status[task] = result.status
        if result.status != TaskStatus.OK:
            continue
        for output, array in zip(manifest.outputs, _decode(manifest, task, result), strict=True):
            rows[output.name][task] = array
    out: dict[str, Array] = {STATUS: status}
    for output in manifest.outputs:
        out.update(_joined(output.name, output.dtype, tasks, rows[output.name]))
    return out


def _decode(manifest: JobManifest, task: int, result: TaskResult) -> list[Array]:
    try:
        arrays: list[Array] = decode_outputs(result.data)
    except EncodingFault as error:
        raise Malformed(f"task {task}: {error.message}") from None
    if len(arrays) != len(manifest.outputs):
        raise Malformed(f"task {task} has {len(arrays)} outputs, the manifest names {len(manifest.outputs)}")
    return arrays


def _joined(name: str, dtype: str, tasks: int, rows: dict[int, Array]) -> dict[str, Array]:
    """One array over all tasks; one array per task where their shapes differ."""
    shapes = {array.shape for array in rows.values()}
    if len(shapes) > 1:
        return {f"{name}[{task}]": array for task, array in rows.items()}
    shape: tuple[int, ...] = shapes.pop() if shapes else ()
    if shape[:1] == (1,):
        shape = shape[1:]
    out: Array = np.zeros((tasks, *shape), dtype)
    for task, array in rows.items():
        out[task] = array.reshape(shape)
    return {name: out}


def make_receipts(deployment: Deployment, history: History, shards: Sequence[ShardResults]) -> tuple[Receipts, bytes]:
    """The receipts of fetched shards, and the bytes of ``results.bin`` they speak of.

    :raises Malformed: a settlement's leaves do not have the root the chain stored
    """
    posted, terms = history.posted, history.terms
    tasks: list[TaskReceipt] = []
    rows: list[ShardReceipt] = []
    for shard in sorted(shards, key=lambda s: s.shard):
        settlement = shard.settlement
        receipt = settlement.receipt()
        rows.append(
            ShardReceipt(
                shard=shard.shard,
                attempt=receipt.attempt,
                paid_slots=receipt.paid_slots,
                result_root="0x" + receipt.result_root.hex(),
                verdict_root="0x" + shard.root.hex() if shard.root != receipt.result_root else None,
                path=hex_path(list(receipt.path)),
                settlement_root="0x" + settlement.root.hex(),
                settled_epoch=settlement.epoch,
                tx=settlement.at.tx,
            )
        )
        for task, result in zip(tasks_of(terms, shard.shard), shard.results, strict=True):
            tasks.append(
                TaskReceipt(
                    task=task,
                    shard=shard.shard,
                    status=result.status,
                    sha256="0x" + hashlib.sha256(result.data).hexdigest(),
                    bytes=len(result.data),
                    path=hex_path(shard.tree.proof(Task(task))),
                )
            )
    receipts = Receipts(
        chain_id=deployment.chain_id,
        market=deployment.market,
        job=int(posted.job),
        manifest="0x" + posted.manifest.hex(),
        tasks=tuple(tasks),
        shards=tuple(rows),
        outputs=OUTPUTS,
        results=RESULTS,
    )
    return receipts, b"".join(s.file for s in sorted(shards, key=lambda s: s.shard))


def write_out(
    folder: Path, deployment: Deployment, history: History, manifest: JobManifest, shards: Sequence[ShardResults]
) -> Receipts:
    """Writes the three files, each complete or not at all, ``receipts.json`` last. Raises OutFailed, Malformed."""
    results: dict[int, TaskResult] = {}
    for shard in shards:
        results.update(zip(tasks_of(history.terms, shard.shard), shard.results, strict=True))
    arrays = collect_outputs(manifest, history.posted.terms.tasks, results)
    receipts, file = make_receipts(deployment, history, shards)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _replace(folder / OUTPUTS, npz_bytes(arrays))
        _replace(folder / RESULTS, file)
        _replace(folder / RECEIPTS, encode_receipts(receipts))
    except OSError as error:
        raise _not_writable(folder, error) from None
    return receipts


def write_sources(folder: Path, sources: Sequence[str]) -> None:
    """``tasks.jsonl``: what each task was made of. Raises OutFailed."""
    lines = (json.dumps({"task": task, "source": source}) + "\n" for task, source in enumerate(sources))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _replace(folder / SOURCES, "".join(lines).encode())
    except OSError as error:
        raise _not_writable(folder, error) from None


def write_outputs(path: Path, arrays: dict[str, Array]) -> None:
    """Writes one ``outputs.npz``. Raises OutFailed."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, npz_bytes(arrays))
    except OSError as error:
        raise OutFailed(f"cannot write {path}: {error.strerror}", hint="pass a path of yours") from None


def read_outputs(path: Path) -> dict[str, Array]:
    """The arrays of an ``outputs.npz``. Raises BadInputs when it is none."""
    try:
        with np.load(path, allow_pickle=False) as loaded:
            arrays: dict[str, Array] = {name: loaded[name] for name in loaded.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise BadInputs(f"{path} is not a readable .npz file: {error}") from None
    if STATUS not in arrays:
        raise BadInputs(f"{path} has no {STATUS}: expected an outputs.npz of quorate")
    return arrays


def _not_writable(folder: Path, error: OSError) -> OutFailed:
    return OutFailed(f"cannot write to {folder}: {error.strerror}", hint="pass --out with a folder of yours")


def _replace(path: Path, data: bytes) -> None:
    with replacing(path) as out:
        out.write(data)
