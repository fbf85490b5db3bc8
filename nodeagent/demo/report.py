"""``report.json``: every number the demo claims, and whether they agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nodeagent.chain.deployment import Deployment
from nodeagent.client.history import History
from nodeagent.demo.files import FoundFile
from nodeagent.demo.ledgerbook import Committees, Transaction, gas_by_step
from nodeagent.devnet.state import AgentState
from nodeagent.protocol.types import Shard

DISTINCT = ("pid", "home", "content_root", "operator", "id")


@dataclass(frozen=True, slots=True)
class Answered:
    """One file. ``task`` is None for one that was not sent; ``local`` says whether this machine agrees."""

    file: FoundFile
    task: int | None
    label: str | None
    score: float | None
    verified: bool = False
    local: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """What a demo did, before it is written down. Seconds are wall time."""

    deployment: Deployment
    history: History
    found: Sequence[Transaction]
    committees: Committees
    agents: Sequence[AgentState]
    statuses: Sequence[Mapping[str, Any]]
    answers: Sequence[Answered]
    receipts: Path
    setup_s: float
    wall_s: float
    block_time: float


def node_rows(run: Run) -> list[dict[str, Any]]:
    """A row per node, from its own ``nodeagent status`` and, for what it was drawn for, from the registry."""
    drawn = run.committees.tasks_drawn(run.history)
    terms = run.history.terms
    rows = []
    for agent, status in zip(run.agents, run.statuses, strict=True):
        node = agent.node or 0
        paid = [Shard(shard) for shard, nodes in run.committees.paid.items() if node in nodes]
        rows.append(
            {
                "id": node,
                "operator": status["operator"],
                "key": status["key"],
                "pid": status["pid"],
                "home": status["home"],
                "content_root": status["content_root"],
                "inferences": status["inferences"],
                "drawn": drawn.get(node, 0),
                "paid_tasks": sum(
                    len(range(s * terms.shard_size, min(terms.tasks, (s + 1) * terms.shard_size))) for s in paid
                ),
                "earned": status["earned"],
                "committed": status["committed"],
                "revealed": status["revealed"],
                "gateway": status["gateway"],
            }
        )
    return sorted(rows, key=lambda row: int(row["id"]))


def file_rows(run: Run) -> list[dict[str, Any]]:
    """A row per file, sent or not."""
    size = run.history.terms.shard_size
    rows = []
    for answer in run.answers:
        row: dict[str, Any] = {"path": answer.file.path, "label": answer.label, "score": answer.score}
        if answer.task is None:
            rows.append({**row, "sent": False, "note": answer.file.note})
            continue
        shard = answer.task // size
        attempt = run.history.settled[shard].entry.attempt if shard in run.history.settled else None
        computed = run.committees.drawn.get((shard, attempt), ()) if attempt is not None else ()
        rows.append(
            {
                **row,
                "sent": True,
                "task": answer.task,
                "shard": shard,
                "attempt": attempt,
                "committee": list(computed),
                "paid": list(run.committees.paid.get(shard, ())),
                "verified": answer.verified,
                "matches_local": answer.local,
            }
        )
    return rows


def make_report(run: Run) -> dict[str, Any]:
    """The report as JSON-able values."""
    history, deployment = run.history, run.deployment
    tasks = sum(1 for a in run.answers if a.task is not None)
    settled = [s.epoch for s in history.settled.values()]
    return {
        "tasks": tasks,
        "verified": sum(1 for a in run.answers if a.verified),
        "matches_local_onnxruntime": sum(1 for a in run.answers if a.local),
        "wall_s": round(run.wall_s, 2),
        "setup_s": round(run.setup_s, 2),
        "epochs": max(settled, default=0) - int(history.posted.terms.post_epoch) if settled else 0,
        "block_time_s": run.block_time,
        "appeal_epochs": history.terms.appeal_epochs,
        "gas": gas_by_step(run.found, history.terms.shards, tasks),
        "chain_id": deployment.chain_id,
        "addresses": {
            "JobMarket": deployment.market,
            "NodeRegistry": deployment.registry,
            "CommitLedger": deployment.ledger,
            "QuorateToken": deployment.stake_token,
            "PaymentToken": deployment.payment_token,
        },
        "job_ids": [int(history.posted.job)],
        "shards": history.terms.shards,
        "transactions": [asdict(tx) for tx in run.found],
        "receipts": str(run.receipts),
        "nodes": node_rows(run),
        "files": file_rows(run),
    }


def empty_report(answers: Sequence[Answered]) -> dict[str, Any]:
    """The report where no file had to be sent: nothing was posted, and no chain was started."""
    gas: dict[str, object] = {step: [] for step in ("turn", "commit", "reveal", "record_seed", "settle", "claim")}
    return {
        "tasks": 0,
        "verified": 0,
        "matches_local_onnxruntime": 0,
        "wall_s": 0.0,
        "epochs": 0,
        "gas": {**gas, "post": 0, "per_shard": 0, "per_task": 0},
        "chain_id": None,
        "addresses": {},
        "job_ids": [],
        "transactions": [],
        "receipts": None,
        "nodes": [],
        "files": [
            {"path": a.file.path, "label": a.label, "score": a.score, "sent": False, "note": a.file.note}
            for a in answers
        ],
    }


def disagreements(report: Mapping[str, Any]) -> list[str]:
    """What does not add up; empty when all is well."""
    said = []
    for key in ("verified", "matches_local_onnxruntime"):
        if report[key] != report["tasks"]:
            said.append(f"{key} is {report[key]}, tasks are {report['tasks']}")
    for field in DISTINCT:
        values = [node[field] for node in report["nodes"]]
        if len(set(values)) != len(values):
            said.append(f"two nodes share their {field}")
    for node in report["nodes"]:
        if node["inferences"] > node["drawn"]:
            said.append(f"node {node['id']} ran {node['inferences']} tasks and was drawn for {node['drawn']}")
    return said


def passes(report: Mapping[str, Any]) -> list[str]:
    """Nodes that gave no answer to some of what they were drawn for: unpaid, and no fault."""
    return [
        f"node {n['id']} passed on {n['drawn'] - n['inferences']} of {n['drawn']} tasks"
        for n in report["nodes"]
        if n["inferences"] < n["drawn"]
    ]
