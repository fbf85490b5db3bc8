"""Verification by anyone who holds ``receipts.json`` and ``results.bin``: proofs here, finality from the chain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nodeagent.chain.abi import as_revert
from nodeagent.chain.deployment import Deployment
from nodeagent.chain.doors import Market
from nodeagent.chain.errors import Reverted, RpcError
from nodeagent.chain.rpc import Rpc, to_bytes
from nodeagent.errors import JobFault
from nodeagent.protocol.receipts import Receipts, ShardReceipt, TaskReceipt, check_task, parse_receipts, unhex_path
from nodeagent.protocol.results import TaskResult
from nodeagent.protocol.types import JobId, Malformed, Shard, ShardStatus, Task

BATCH = 100
_NOT_FINAL = {
    ShardStatus.NONE: "the market says that this is not a verified answer",
    ShardStatus.SETTLED: "settled, and not final: it can still be appealed",
    ShardStatus.APPEALED: "settled, and not final: an appeal is open",
    ShardStatus.CONTESTED: "contested: its appeal ended without verdict, so it never becomes final",
}


class BadReceipts(JobFault):
    """The receipts or the results beside them cannot be read, or are for another market."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """:param problem: None when the task's answer is proven and final on chain"""

    task: int
    shard: int
    problem: str | None


def load_receipts(path: Path) -> tuple[Receipts, dict[int, TaskResult]]:
    """The receipts, and every task's exact result from the file they name.

    :raises BadReceipts: a file is missing or cut short
    :raises Malformed: the document breaks its schema
    """
    try:
        receipts = parse_receipts(path.read_bytes())
        data = (path.parent / receipts.results).read_bytes()
    except OSError as error:
        raise BadReceipts(
            f"cannot read {error.filename}: {error.strerror}", hint="quorate job fetch --out writes both files"
        ) from None
    results: dict[int, TaskResult] = {}
    at = 0
    for item in receipts.tasks:
        head = data[at : at + 5]
        length = int.from_bytes(head[1:5], "big")
        body = data[at + 5 : at + 5 + length]
        if len(head) < 5 or len(body) != length:
            raise BadReceipts(f"{receipts.results} ends inside task {item.task}", hint="fetch the job again")
        results[item.task] = TaskResult(head[0], body)
        at += 5 + length
    if at != len(data):
        raise BadReceipts(f"{receipts.results} has {len(data) - at} bytes after its last task")
    return receipts, results


def check_offline(receipts: Receipts, results: dict[int, TaskResult], only: int | None = None) -> Iterator[Verdict]:
    """Recomputes every hash and path; says nothing about the chain. Raises Malformed for an unknown ``only``."""
    job = JobId(receipts.job)
    wanted: Sequence[TaskReceipt] = receipts.tasks if only is None else [receipts.task(Task(only))]
    shards = {shard.shard: shard for shard in receipts.shards}
    leads = {number: shard.leads_to_settlement(job) for number, shard in shards.items()}
    for item in wanted:
        problem: str | None = None
        try:
            check_task(item, shards[item.shard], results[item.task])
        except Malformed as error:
            problem = error.message
        if problem is None and not leads[item.shard]:
            problem = f"the path of shard {item.shard} does not lead to its settlement root"
        yield Verdict(item.task, item.shard, problem)


def verify(
    rpc: Rpc, deployment: Deployment, receipts: Receipts, results: dict[int, TaskResult], only: int | None = None
) -> Iterator[Verdict]:
    """Proofs, then ``taskStatus`` of the market for each task whose proofs hold: only FINAL counts.

    :raises BadReceipts: the receipts are for another chain or market
    """
    if (receipts.chain_id, receipts.market.lower()) != (deployment.chain_id, deployment.market.lower()):
        raise BadReceipts(
            f"the receipts are for market {receipts.market} on chain {receipts.chain_id}: "
            f"this deployment is {deployment.market} on chain {deployment.chain_id}",
            hint="pass the --deployment they were made with",
        )
    market = Market(rpc, deployment.market)
    pending: list[Verdict] = []
    for verdict in check_offline(receipts, results, only):
        pending.append(verdict)
        if len(pending) == BATCH:
            yield from _ask(rpc, market, receipts, results, pending)
            pending = []
    yield from _ask(rpc, market, receipts, results, pending)


def _ask(
    rpc: Rpc, market: Market, receipts: Receipts, results: dict[int, TaskResult], verdicts: Sequence[Verdict]
) -> Iterator[Verdict]:
    proven = [v for v in verdicts if v.problem is None]
    calls = [_call(market, receipts, results[v.task], v) for v in proven]
    answers = dict(zip((v.task for v in proven), rpc.batch(calls), strict=True))
    for verdict in verdicts:
        if verdict.problem is not None:
            yield verdict
            continue
        yield Verdict(verdict.task, verdict.shard, _problem(market, answers[verdict.task]))


def _call(market: Market, receipts: Receipts, result: TaskResult, verdict: Verdict) -> tuple[str, list[object]]:
    shard: ShardReceipt = receipts.shard(Shard(verdict.shard))
    receipt = (shard.attempt, shard.paid_slots, bytes.fromhex(shard.result_root[2:]), unhex_path(shard.path))
    proof = (receipt, unhex_path(receipts.task(Task(verdict.task)).path))
    data = market.abi.encode("taskStatus", receipts.job, verdict.task, (result.status, result.data), proof)
    return "eth_call", [{"to": market.address, "data": "0x" + data.hex()}, "latest"]


def _problem(market: Market, answer: object) -> str | None:
    if isinstance(answer, RpcError):
        fault = as_revert(answer, "taskStatus")
        if isinstance(fault, Reverted):
            return f"the market refuses: {fault.message}"
        raise fault
    status = ShardStatus(market.abi.decode("taskStatus", to_bytes(str(answer))))
    return None if status is ShardStatus.FINAL else _NOT_FINAL.get(status, _NOT_FINAL[ShardStatus.NONE])
