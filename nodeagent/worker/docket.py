"""The cases a node has a part in, from its records (read-only) and the Court, whether or not its agent runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from nodeagent.chain import events as ev
from nodeagent.chain.court import CaseView, CourtDoor
from nodeagent.chain.decoding import decode_at
from nodeagent.chain.deployment import Deployment
from nodeagent.config import Home, NodeConfig
from nodeagent.errors import Fatal
from nodeagent.keys import keystore_address
from nodeagent.protocol.epochs import epoch_of
from nodeagent.protocol.leaves import parse_leaves
from nodeagent.protocol.types import Epoch, ShardStatus
from nodeagent.worker.start import NotRegistered, open_chain

KINDS = ("CasePosted", "Appealed", "Resolved", "EndedWithoutVerdict", "CaseClosed", "WrongReported", "Claimed")
Key = tuple[int, int]


class NoCourt(Fatal):
    """The deployment has no Court: nothing can be appealed."""


@dataclass(frozen=True, slots=True)
class Records:
    """What the file says: the Court's events, own answers by (job, shard), and shards in which it was outvoted."""

    events: tuple[ev.Event, ...] = ()
    answers: dict[Key, bytes] = field(default_factory=dict)
    outvoted: tuple[dict[str, Any], ...] = ()


def read_records(home: Home) -> Records:
    """Empty where no agent has run yet."""
    if not home.database.exists():
        return Records()
    with closing(sqlite3.connect(f"file:{home.database}?mode=ro", uri=True)) as connection:
        return Records(tuple(_events(connection)), dict(_answers(connection)), tuple(_outvoted(connection)))


def _events(connection: sqlite3.Connection) -> Iterator[ev.Event]:
    kinds = ",".join("?" * len(KINDS))
    query = f"SELECT block, idx, tx, topics, data FROM events WHERE kind IN ({kinds}) ORDER BY block, idx"  # noqa: S608
    for row in _rows(connection, query, KINDS):
        event = decode_at(ev.At(*row))
        if event is not None:
            yield event


def _answers(connection: sqlite3.Connection) -> Iterator[tuple[Key, bytes]]:
    for (leaves,) in _rows(connection, "SELECT leaves FROM batches ORDER BY epoch"):
        for leaf in parse_leaves(leaves):
            yield (leaf.job, leaf.shard), leaf.root


def _outvoted(connection: sqlite3.Connection) -> Iterator[dict[str, Any]]:
    for row in _rows(connection, "SELECT job, shard, state, why FROM appeals ORDER BY job, shard"):
        yield dict(zip(("job", "shard", "state", "why"), row, strict=True))


def _rows(connection: sqlite3.Connection, query: str, values: tuple[str, ...] = ()) -> list[Any]:
    try:
        return connection.execute(query, values).fetchall()
    except sqlite3.OperationalError:  # a home whose agent never got far enough to make its tables
        return []


def docket(home: Home, config: NodeConfig) -> dict[str, Any]:
    """A JSON-able summary: the allowance for bonds, cases with this node's part in them, shards it was outvoted in.

    Raises NoCourt, NotRegistered, and Transient faults of the endpoint.
    """
    rpc, deployment, doors = open_chain(home, config)
    if doors.court is None:
        raise NoCourt("this deployment has no Court", hint="its results are final at once")
    key = keystore_address(home.key)
    node = doors.ledger.node_of(key)
    if not node:
        raise NotRegistered(f"the key {key} acts for no node", hint="run: nodeagent seats take")
    operator = str(doors.registry.node_view(node)["operator"])
    now = epoch_of(rpc.block_number(), deployment.epoch_blocks)
    records = read_records(home)
    return {
        "node": node,
        "operator": operator,
        "epoch": now,
        "court": doors.court.address,
        "appeal": config.appeal,
        "max_bond": config.appeal_max_bond,
        "allowance": doors.payment_token.allowance(operator, doors.court.address),
        "owed": doors.market.owed_to(operator),
        "cases": list(_cases(records, doors.court, deployment, node, operator, now)),
        "outvoted": list(records.outvoted),
    }


def _cases(
    records: Records, court: CourtDoor, deployment: Deployment, node: int, operator: str, now: Epoch
) -> Iterator[dict[str, Any]]:
    prices = {
        (e.job, e.shard): e.terms.task_price * e.terms.tasks for e in records.events if isinstance(e, ev.CasePosted)
    }
    for opened in records.events:
        if not isinstance(opened, ev.Appealed):
            continue
        key = (opened.job, opened.shard)
        own = records.answers.get(key)
        roles = roles_of(opened, own, (opened.case_job, 0) in records.answers, operator)
        view = court.case_of(*key) if roles else None
        if view is None:
            continue
        claimed = any(isinstance(e, ev.Claimed) and (e.job, e.shard, e.node) == (*key, node) for e in records.events)
        closed = any(isinstance(e, ev.CaseClosed) and (e.job, e.shard) == key for e in records.events)
        pay = 0 if claimed or own is None else prices.get(key, 0)
        state = state_of(view, court.status(*key)[0])
        yield {
            "job": opened.job,
            "shard": opened.shard,
            "case": opened.case_job,
            "roles": roles,
            "accuser": opened.accuser,
            "bond": opened.bond,
            "state": "closed" if closed else state,
            "overturned": view.verdict is not None and view.verdict != view.settled_root,
            "wrong": sorted(
                e.node for e in records.events if isinstance(e, ev.WrongReported) and (e.job, e.shard) == key
            ),
            **dues(view, roles, own, pay, closed, deployment, now),
        }


def roles_of(opened: ev.Appealed, own: bytes | None, judged: bool, operator: str) -> list[str]:
    """What a node has to do with a case: accuser, judge, accused (it gave the settled answer), outvoted."""
    found = ["accuser"] if opened.accuser.lower() == operator.lower() else []
    found += ["judge"] if judged else []
    if own is not None:
        found.append("accused" if own == opened.settled_root else "outvoted")
    return found


def state_of(view: CaseView, status: ShardStatus) -> str:
    """One word: open, over (it can settle no more), upheld, overturned, or burned."""
    if view.burned:
        return "burned"
    if view.verdict is not None:
        return "upheld" if view.verdict == view.settled_root else "overturned"
    return "over" if status is ShardStatus.CONTESTED else "open"


def dues(
    view: CaseView, roles: list[str], own: bytes | None, pay: int, closed: bool, deployment: Deployment, now: Epoch
) -> dict[str, Any]:
    """``due``: what may still come to this node or its operator, in payment-token units; ``deadline``: the next epoch
    in which something about the case ends or begins, and ``then`` what, in words."""
    if view.burned or closed:
        return {"due": 0, "deadline": None, "then": None}
    if view.ended is None or view.verdict is None:
        due = view.accuser_due if "accuser" in roles else 0
        return {"due": due, "deadline": view.last, "then": "the last epoch in which the judges' answer may settle"}
    claimable = pay if own == view.verdict != view.settled_root and now <= view.ended + deployment.report_epochs else 0
    if claimable:
        due = claimable + (view.accuser_due if "accuser" in roles else 0)
        return {"due": due, "deadline": view.ended + deployment.report_epochs, "then": "the last epoch for its claim"}
    if "accuser" in roles and view.accuser_due:
        closable = view.last + deployment.report_epochs + 1
        return {"due": view.accuser_due, "deadline": closable, "then": "what the judges did not earn comes back"}
    return {"due": 0, "deadline": None, "then": None}
