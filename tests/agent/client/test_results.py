"""From a settled job to outputs, receipts and their verification, tampered with in every field."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nodeagent.chain.deployment import Deployment
from nodeagent.chain.errors import RpcError
from nodeagent.client.fetching import ResultFetcher, ResultsUnavailable, ShardResults, holders
from nodeagent.client.history import History
from nodeagent.client.outputs import NOT_SETTLED, STATUS, collect_outputs, make_receipts, write_out
from nodeagent.client.verifying import BadReceipts, check_offline, load_receipts, verify
from nodeagent.content import LocalStore
from nodeagent.content.fetch import Fetcher
from nodeagent.protocol.documents import Content
from nodeagent.protocol.keccak import keccak
from nodeagent.protocol.manifest import (
    BatchLeaf,
    BatchManifest,
    InputTensor,
    JobManifest,
    OutputTensor,
    Runtime,
    encode_manifest,
)
from nodeagent.protocol.receipts import encode_receipts
from nodeagent.protocol.results import ResultTree, TaskResult, encode_results
from nodeagent.protocol.types import Malformed, Task
from nodeagent.runtimes.tensors import encode_outputs
from tests.agent.client.conftest import Chain, results_of

FINAL, SETTLED, NONE = (f"0x{n:064x}" for n in (9, 6, 0))  # ShardStatus as the market answers it


def manifest_of(store: LocalStore, outputs: tuple[tuple[str, str], ...] = (("y", "float32"),)) -> JobManifest:
    blob = Content(cid=str(store.put_bytes(b"x")), bytes=1)
    return JobManifest(
        runtime=Runtime(name="onnx-canonical", id="0x" + "00" * 32),
        model=blob,
        inputs=(InputTensor.model_validate({"name": "x", "dtype": "float32", "shape": (4,)}),),
        outputs=tuple(OutputTensor.model_validate({"name": n, "dtype": d}) for n, d in outputs),
        tasks=5,
        shard_size=2,
        units=4,
        max_output_bytes=65_536,
        shards=(blob, blob, blob),
    )


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "content")


@pytest.fixture
def shards(history: History) -> list[ShardResults]:
    out = []
    for shard, settlement in history.settled.items():
        results = results_of(shard)
        tree = ResultTree(Task(shard * 2), results)
        out.append(
            ShardResults(shard, settlement, settlement.entry.root, encode_results(results), results, tree, 1, ())
        )
    return out


def publish(store: LocalStore, history: History, files: dict[int, dict[int, bytes]]) -> History:
    """Puts batch manifests and results files of nodes into ``store``; files by node, then shard."""
    by_batch: dict[tuple[int, int], list[BatchLeaf]] = {}
    for answer in history.answers:
        if answer.shard in files.get(int(answer.node), {}):
            data = files[int(answer.node)][answer.shard]
            results = Content(cid=str(store.put_bytes(data)), bytes=len(data))
            leaf = BatchLeaf(job=7, shard=answer.shard, root="0x" + answer.root.hex(), results=results)
            by_batch.setdefault((int(answer.node), answer.epoch), []).append(leaf)
    digests = {}
    for (node, epoch), leaves in by_batch.items():
        document, digest = encode_manifest(BatchManifest(node=node, epoch=epoch, leaves=tuple(leaves)))
        store.put_bytes(document)
        digests[node, epoch] = digest
    answers = tuple(replace(a, manifest=digests.get((int(a.node), a.epoch), a.manifest)) for a in history.answers)
    return replace(history, answers=answers)


def test_holders__three_openings__are_those_with_the_settled_root_in_order(history: History) -> None:
    assert [(job, int(a.node)) for job, a in holders(history, 0)] == [(7, 1), (7, 2)]


def test_shard__first_holder_lies__is_refused_and_the_next_is_used(history: History, store: LocalStore) -> None:
    right = encode_results(results_of(0))
    wrong = right[:-1] + bytes([right[-1] ^ 1])
    told = publish(store, history, {1: {0: wrong}, 2: {0: right}})
    found = ResultFetcher(store, Fetcher(store), {}).shard(told, manifest_of(store), 0)
    assert found.source == 2
    assert found.file == right
    assert "node 1: the results lead to root" in found.rejected[0]


def test_shard__nobody_holds_it__names_every_reason(history: History, store: LocalStore) -> None:
    told = publish(store, history, {1: {0: b"\x00"}})
    with pytest.raises(ResultsUnavailable, match=r"node 1: results file ends before.*node 2: block") as caught:
        ResultFetcher(store, Fetcher(store), {}).shard(told, manifest_of(store), 0)
    assert caught.value.shard == 0


def test_shard__batch_manifest_promises_too_many_bytes__is_not_fetched(history: History, store: LocalStore) -> None:
    told = publish(store, history, {1: {0: b"\x00" * (2 * (65_536 + 5) + 1)}})
    with pytest.raises(ResultsUnavailable, match="at most 131082 are possible"):
        ResultFetcher(store, Fetcher(store), {}).shard(told, manifest_of(store), 0)


def test_collect_outputs__failed_and_unsettled_tasks__keep_their_place(store: LocalStore) -> None:
    manifest = manifest_of(store, (("y", "float32"), ("k", "int64")))
    row = encode_outputs([np.array([[1.5, 2.5]], np.float32), np.array([7], np.int64)])
    arrays = collect_outputs(manifest, 5, {0: TaskResult(0, row), 1: TaskResult(2, b""), 4: TaskResult(0, row)})
    assert arrays[STATUS].tolist() == [0, 2, NOT_SETTLED, NOT_SETTLED, 0]
    assert arrays["y"].tolist() == [[1.5, 2.5], [0, 0], [0, 0], [0, 0], [1.5, 2.5]]
    assert arrays["k"].tolist() == [7, 0, 0, 0, 7]


@pytest.mark.parametrize("data", [b"\x63\x00", b""])
def test_collect_outputs__bytes_break_the_manifest__are_refused(store: LocalStore, data: bytes) -> None:
    with pytest.raises(Malformed, match="task 0"):
        collect_outputs(manifest_of(store), 5, {0: TaskResult(0, data)})


def saved(folder: Path, deployment: Deployment, history: History, shards: list[ShardResults]) -> Path:
    receipts, results = make_receipts(deployment, history, shards)
    (folder / "receipts.json").write_bytes(encode_receipts(receipts))
    (folder / "results.bin").write_bytes(results)
    return folder / "receipts.json"


def test_receipts__untouched__every_proof_holds(
    tmp_path: Path, deployment: Deployment, history: History, shards: list[ShardResults]
) -> None:
    receipts, results = load_receipts(saved(tmp_path, deployment, history, shards))
    assert [(v.task, v.problem) for v in check_offline(receipts, results)] == [(t, None) for t in range(5)]
    assert [v.task for v in check_offline(receipts, results, 3)] == [3]
    with pytest.raises(Malformed, match="no task 9"):
        list(check_offline(receipts, results, 9))


def test_receipts__shards_missing__cover_the_rest(
    tmp_path: Path, deployment: Deployment, history: History, shards: list[ShardResults]
) -> None:
    receipts, results = load_receipts(saved(tmp_path, deployment, history, [shards[2], shards[0]]))
    assert [(v.task, v.problem) for v in check_offline(receipts, results)] == [(0, None), (1, None), (4, None)]


def flip(text: str) -> str:
    return text[:-1] + ("0" if text[-1] != "0" else "1")


TAMPERED: dict[str, Callable[[dict[str, Any]], None]] = {
    "status": lambda d: d["tasks"][2].update(status=1),
    "sha256": lambda d: d["tasks"][2].update(sha256=flip(d["tasks"][2]["sha256"])),
    "bytes": lambda d: d["tasks"][2].update(bytes=1),
    "task path": lambda d: d["tasks"][2].update(path=[flip(d["tasks"][2]["path"][0])]),
    "result root": lambda d: d["shards"][1].update(resultRoot=flip(d["shards"][1]["resultRoot"])),
    "shard path": lambda d: d["shards"][1].update(path=d["shards"][1]["path"][:-1]),
    "paid slots": lambda d: d["shards"][1].update(paidSlots=7),
    "attempt": lambda d: d["shards"][1].update(attempt=1),
    "settlement root": lambda d: d["shards"][1].update(settlementRoot=flip(d["shards"][1]["settlementRoot"])),
    "job": lambda d: d.update(job=8),
}


@pytest.mark.parametrize("what", sorted(TAMPERED))
def test_receipts__one_field_tampered__the_task_is_not_verified(
    tmp_path: Path, deployment: Deployment, history: History, shards: list[ShardResults], what: str
) -> None:
    path = saved(tmp_path, deployment, history, shards)
    document = json.loads(path.read_text())
    TAMPERED[what](document)
    path.write_text(json.dumps(document))
    receipts, results = load_receipts(path)
    verdict = next(iter(check_offline(receipts, results, 2)))
    assert verdict.problem is not None


def test_receipts__a_byte_of_a_result_flipped__only_that_task_fails(
    tmp_path: Path, deployment: Deployment, history: History, shards: list[ShardResults]
) -> None:
    path = saved(tmp_path, deployment, history, shards)
    raw = bytearray((tmp_path / "results.bin").read_bytes())
    raw[-1] ^= 1
    (tmp_path / "results.bin").write_bytes(raw)
    receipts, results = load_receipts(path)
    assert [v.task for v in check_offline(receipts, results) if v.problem] == [4]


@pytest.mark.parametrize(("change", "words"), [(b"", "ends inside task 4"), (b"\x00\x00", "1 bytes after")])
def test_load_receipts__results_cut_or_longer__are_refused(
    tmp_path: Path, deployment: Deployment, history: History, shards: list[ShardResults], change: bytes, words: str
) -> None:
    path = saved(tmp_path, deployment, history, shards)
    raw = (tmp_path / "results.bin").read_bytes()
    (tmp_path / "results.bin").write_bytes(raw[:-1] + change)
    with pytest.raises(BadReceipts, match=words):
        load_receipts(path)


def test_verify__the_chain_says_no_or_reverts__is_a_problem_per_task(
    tmp_path: Path, deployment: Deployment, history: History, shards: list[ShardResults]
) -> None:
    receipts, results = load_receipts(saved(tmp_path, deployment, history, shards))
    refusal = keccak(b"UnknownJob(uint64)")[:4] + (7).to_bytes(32, "big")
    chain = Chain(calls=[FINAL, NONE, RpcError("eth_call", 3, "execution reverted", refusal), SETTLED, FINAL])
    problems = {v.task: v.problem for v in verify(chain, deployment, receipts, results)}
    assert problems[0] is None
    assert "not a verified answer" in str(problems[1])
    assert "UnknownJob(job=7)" in str(problems[2])
    assert "can still be appealed" in str(problems[3])
    assert problems[4] is None


def test_verify__unsound_proof__is_not_even_asked(
    tmp_path: Path, deployment: Deployment, history: History, shards: list[ShardResults]
) -> None:
    receipts, results = load_receipts(saved(tmp_path, deployment, history, shards))
    results[1] = TaskResult(0, b"other")
    chain = Chain(calls=[FINAL] * 4)
    assert [v.task for v in verify(chain, deployment, receipts, results) if v.problem] == [1]
    assert chain.calls == []


def test_verify__another_market__is_refused(
    tmp_path: Path, deployment: Deployment, history: History, shards: list[ShardResults]
) -> None:
    receipts, results = load_receipts(saved(tmp_path, deployment, history, shards))
    with pytest.raises(BadReceipts, match="chain 31337: this deployment is"):
        list(verify(Chain(), replace(deployment, chain_id=1), receipts, results))


def test_write_out__results__leaves_three_files_that_load(
    tmp_path: Path, deployment: Deployment, history: History, store: LocalStore
) -> None:
    row = encode_outputs([np.arange(3, dtype=np.float32).reshape(1, 3)])
    results = (TaskResult(0, row), TaskResult(3, b""))
    tree = ResultTree(Task(0), results)
    leaf = history.settled[0].entry._replace(root=tree.root)
    from nodeagent.protocol.settlement import settlement_tree

    settlement = replace(history.settled[0], entry=leaf, peers=(leaf,), root=settlement_tree([leaf]).root)
    shard = ShardResults(0, settlement, tree.root, encode_results(results), results, tree, 1, ())
    write_out(tmp_path / "out", deployment, history, manifest_of(store), [shard])
    with np.load(tmp_path / "out" / "outputs.npz", allow_pickle=False) as arrays:
        assert arrays["__status__"].tolist() == [0, 3, 255, 255, 255]
        assert arrays["y"][0].tolist() == [0, 1, 2]
    receipts, loaded = load_receipts(tmp_path / "out" / "receipts.json")
    assert all(v.problem is None for v in check_offline(receipts, loaded))
