"""A chain that answers from memory, and a settled job in real bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from nodeagent.chain.deployment import Deployment
from nodeagent.chain.events import At, JobPosted
from nodeagent.chain.rpc import Rpc
from nodeagent.chain.scan import Head
from nodeagent.client.cases import Answer, Settlement
from nodeagent.client.history import History
from nodeagent.protocol.jobword import pack_job_word
from nodeagent.protocol.keccak import keccak
from nodeagent.protocol.results import ResultTree, TaskResult
from nodeagent.protocol.settlement import SettledLeaf, settlement_tree
from nodeagent.protocol.types import AnswerClass, Epoch, JobId, JobTerms, NodeId, PoolId, Shard, Task

REQUESTER = "0x" + "ab" * 20
MANIFEST = bytes(range(32))
LIE = b"\x66" * 32
POSTED = keccak(b"JobPosted(uint64,address,bytes32,uint256,uint32,uint64)")
CASE_POSTED = keccak(b"CasePosted(uint64,uint64,uint32,uint256)")

TERMS = JobTerms(
    task_price=12,
    tasks=5,
    shard_size=2,
    post_epoch=Epoch(100),
    pace=2,
    pool=PoolId(1),
    committee=3,
    quorum=2,
    work=1,
    max_attempts=3,
    answer_class=AnswerClass.EXACT,
    appeal_epochs=0,
)


@pytest.fixture
def deployment() -> Deployment:
    parameters = {
        "EPOCH_BLOCKS": 10,
        "RING": 128,
        "LEAD": 4,
        "SETTLE_GRACE": 8,
        "REPORT_EPOCHS": 4,
        "SETTLE_FEE_BPS": 100,
    }
    addresses = [f"0x{n:040x}" for n in range(1, 6)]
    return Deployment(31337, "local", 1, *addresses, parameters=parameters)


@dataclass
class Chain(Rpc):
    """Answers what was put in; anything else fails the test by name."""

    block_at: int = 1_030
    logs: list[dict[str, Any]] = field(default_factory=list)
    receipts: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[Any] = field(default_factory=list)  # answers to eth_call, in order

    def batch(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        return [self._answer(method, list(params)) for method, params in calls]

    def _answer(self, method: str, params: list[Any]) -> Any:
        match method:
            case "eth_blockNumber":
                return hex(self.block_at)
            case "eth_getLogs":
                return [log for log in self.logs if _matches(log, params[0])]
            case "eth_getTransactionReceipt":
                return self.receipts.get(params[0])
            case "eth_getTransactionByHash":
                return None
            case "eth_call":
                return self.calls.pop(0)
        raise AssertionError(f"unexpected {method}")


def _matches(log: dict[str, Any], query: dict[str, Any]) -> bool:
    for index, wanted in enumerate(query["topics"]):
        options = wanted if isinstance(wanted, list) else [wanted]
        if wanted is not None and log["topics"][index] not in options:
            return False
    return int(query["fromBlock"], 16) <= int(log["blockNumber"], 16) <= int(query["toBlock"], 16)


def posted_log(
    job: int, *, requester: str = REQUESTER, manifest: bytes = MANIFEST, terms: JobTerms = TERMS
) -> dict[str, Any]:
    """A ``JobPosted`` log as an endpoint gives it, with 4 units at price 3."""
    data = manifest + b"".join(v.to_bytes(32, "big") for v in (pack_job_word(terms), 4, 3))
    topics = [POSTED, job.to_bytes(32, "big"), bytes(12) + bytes.fromhex(requester[2:])]
    return {
        "topics": ["0x" + t.hex() for t in topics],
        "data": "0x" + data.hex(),
        "blockNumber": "0x3eb",
        "logIndex": "0x0",
        "transactionHash": f"0x{job:064x}",
        "blockHash": "0x" + "11" * 32,
    }


def case_log(case_job: int, job: int, shard: int, *, terms: JobTerms = TERMS) -> dict[str, Any]:
    """A ``CasePosted`` log as an endpoint gives it."""
    topics = [CASE_POSTED, *(v.to_bytes(32, "big") for v in (case_job, job, shard))]
    packed = pack_job_word(replace(terms, tasks=terms.shard_size, pace=1, appeal_epochs=0, is_case=True))
    return {**posted_log(case_job), "topics": ["0x" + t.hex() for t in topics], "data": f"0x{packed:064x}"}


def results_of(shard: int) -> tuple[TaskResult, ...]:
    """The right answers of a shard of the settled job; task 3 is an answer about a faulty payload."""
    tasks = range(shard * 2, min(5, shard * 2 + 2))
    return tuple(TaskResult(3, b"") if t == 3 else TaskResult(0, bytes([t]) * (1500 * t + 10)) for t in tasks)


@pytest.fixture
def history() -> History:
    """Job 7: three shards, all settled by one call together with a shard of job 6; nodes 1 and 2 agreed."""
    posted = JobPosted(At(1_003, 0, "0x" + "22" * 32), JobId(7), REQUESTER, MANIFEST, TERMS, 4, 3)
    leaves = [SettledLeaf(JobId(6), Shard(9), 0, 3, b"\x09" * 32)]
    answers = []
    for shard in range(3):
        root = ResultTree(Task(shard * 2), results_of(shard)).root
        leaves.append(SettledLeaf(JobId(7), Shard(shard), 0, 0b011, root))
        epoch = Epoch(101 + shard // 2)
        answers += [
            Answer(NodeId(n), epoch, shard, root if n < 3 else b"\x66" * 32, bytes([n]) * 32) for n in (3, 1, 2)
        ]
    root = settlement_tree(leaves).root
    at = At(1_031, 1, "0x" + "33" * 32)
    settled = {int(leaf.shard): Settlement(leaf, root, 103, tuple(leaves), at) for leaf in leaves[1:]}
    return History(posted, 5, settled, tuple(answers), (), None, Head(1_035, "0x" + "44" * 32, 0, 0))


@pytest.fixture
def appealable(history: History) -> History:
    """Job 7 with a window of seven epochs, whose shard 1 settled with a lie by nodes 2 and 3; node 1 was right."""
    posted = replace(history.posted, terms=replace(history.posted.terms, appeal_epochs=7))
    leaf = history.settled[1].entry._replace(root=LIE)
    lie = Settlement(leaf, settlement_tree([leaf]).root, 103, (leaf,), history.settled[1].at)
    answers = tuple(
        replace(a, root=history.settled[1].entry.root if a.node == 1 else LIE) if a.shard == 1 else a
        for a in history.answers
    )
    return replace(history, posted=posted, settled={**history.settled, 1: lie}, answers=answers)
