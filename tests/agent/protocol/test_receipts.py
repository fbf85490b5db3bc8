"""Receipts: a task's bytes lead to a settlement root, and nothing else does."""

from __future__ import annotations

import hashlib
import json

import pytest

from nodeagent.protocol.documents import canonical_json
from nodeagent.protocol.receipts import (
    Receipts,
    ShardReceipt,
    TaskReceipt,
    check_task,
    encode_receipts,
    hex_path,
    parse_receipts,
)
from nodeagent.protocol.results import ResultTree, TaskResult
from nodeagent.protocol.settlement import SettledLeaf, settlement_tree
from nodeagent.protocol.types import JobId, Malformed, Shard, Task

JOB = JobId(4)
RESULTS = [TaskResult(0, bytes(2000)), TaskResult(2, b""), TaskResult(0, b"three")]
TREE = ResultTree(Task(0), RESULTS)


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


def receipts() -> Receipts:
    settled = [SettledLeaf(JobId(3), Shard(8), 0, 7, bytes(32)), SettledLeaf(JOB, Shard(0), 1, 5, TREE.root)]
    record = settlement_tree(settled)
    shard = ShardReceipt(
        shard=0, attempt=1, paid_slots=5, result_root=_hex(TREE.root), path=hex_path(record.proof(1)),
        settlement_root=_hex(record.root), settled_epoch=105, tx=_hex(bytes(32)),
    )  # fmt: skip
    tasks = tuple(
        TaskReceipt(
            task=i, shard=0, status=result.status, sha256=_hex(hashlib.sha256(result.data).digest()),
            bytes=len(result.data), path=hex_path(TREE.proof(Task(i))),
        )
        for i, result in enumerate(RESULTS)
    )  # fmt: skip
    return Receipts(
        version="quorate/receipts/1", chain_id=31337, market="0x" + "11" * 20, job=JOB, manifest=_hex(bytes(32)),
        tasks=tasks, shards=(shard,), outputs="outputs.npz", results="results.bin",
    )  # fmt: skip


def test_parse_receipts__encoded__is_the_same_with_the_published_names() -> None:
    data = encode_receipts(receipts())
    assert parse_receipts(data) == receipts()
    document = json.loads(data)
    assert set(document) == {"version", "chainId", "market", "job", "manifest", "tasks", "shards", "outputs", "results"}
    assert set(document["tasks"][0]) == {"task", "shard", "status", "sha256", "bytes", "path"}
    assert set(document["shards"][0]) == {
        "shard", "attempt", "paidSlots", "resultRoot", "path", "settlementRoot", "settledEpoch", "tx",
    }  # fmt: skip


def test_parse_receipts__indented__is_accepted() -> None:
    assert parse_receipts(json.dumps(json.loads(encode_receipts(receipts())), indent=2).encode()) == receipts()


def test_check_task__each_result__leads_to_the_settlement() -> None:
    kept = receipts()
    shard = kept.shard(Shard(0))
    for i, result in enumerate(RESULTS):
        check_task(kept.task(Task(i)), shard, result)
    assert shard.leads_to_settlement(JOB)
    assert not shard.leads_to_settlement(JobId(5))
    assert not shard.model_copy(update={"paid_slots": 7}).leads_to_settlement(JOB)


@pytest.mark.parametrize(("change", "result", "message"), [
    ({}, TaskResult(1, RESULTS[0].data), "task 0: receipt says status 0, the result has 1"),
    ({}, TaskResult(0, bytes(1999)), "task 0: receipt says 2000 bytes, the result has 1999"),
    ({}, TaskResult(0, bytes(1999) + b"x"), "task 0: the result's bytes do not have the receipt's sha256"),
    ({"path": ()}, RESULTS[0], "task 0: its path does not lead to the result root of shard 0"),
    ({"task": 1}, RESULTS[0], "task 1: its path does not lead to the result root of shard 0"),
])  # fmt: skip
def test_check_task__anything_different__says_what(change: dict[str, object], result: TaskResult, message: str) -> None:
    kept = receipts()
    with pytest.raises(Malformed) as caught:
        check_task(kept.tasks[0].model_copy(update=change), kept.shards[0], result)
    assert message in str(caught.value)


def test_receipts__task_or_shard_missing__says_so() -> None:
    with pytest.raises(Malformed, match="job 4 hold no task 9"):
        receipts().task(Task(9))
    with pytest.raises(Malformed, match="job 4 hold no shard 9"):
        receipts().shard(Shard(9))


@pytest.mark.parametrize(("key", "value", "message"), [
    ("shards", [], "tasks name shard 0, which has no receipt"),
    ("outputs", "../outputs.npz", "field outputs"),
    ("results", "/etc/passwd", "field results"),
    ("market", "0x12", "field market"),
    ("note", 1, "field note: Extra inputs"),
])  # fmt: skip
def test_parse_receipts__broken_field__names_it(key: str, value: object, message: str) -> None:
    document = json.loads(encode_receipts(receipts())) | {key: value}
    with pytest.raises(Malformed) as caught:
        parse_receipts(canonical_json(document))
    assert message in str(caught.value)


def test_parse_receipts__task_twice__is_refused() -> None:
    document = json.loads(encode_receipts(receipts()))
    document["tasks"].append(document["tasks"][0])
    with pytest.raises(Malformed, match="tasks do not ascend"):
        parse_receipts(canonical_json(document))
