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
from nodeagent.protocol.constants import COUNTED_DELAY
from nodeagent.protocol.epochs import epoch_of
from nodeagent.protocol.leaves import parse_leaves
from nodeagent.protocol.types import Epoch, ShardStatus
from nodeagent.worker.appealbook import recorded
from nodeagent.worker.start import NotRegistered, open_chain

KINDS = ("CasePosted", "Appealed", "Resolved", "EndedWithoutVerdict", "CaseClosed", "WrongReported", "Claimed")
Key = tuple[int, int, int]
"""Commit epoch, job and shard."""


class NoCourt(Fatal):
    """The deployment has no Court: nothing can be appealed."""


@dataclass(frozen=True, slots=True)
class Records:
    """What the file says: the Court's events, own sealed answers, and shards in which it was outvoted.

    ``opened`` has the commit epochs of own batches that were opened, and how many epochs later; None where the event is
    over a ring old and was dropped.
    """

    events: tuple[ev.Event, ...] = ()
    answers: dict[Key, bytes] = field(default_factory=dict)
    opened: dict[int, int | None] = field(default_factory=dict)
    outvoted: tuple[dict[str, Any], ...] = ()


def read_records(home: Home, node: int, epoch_blocks: int) -> Records:
    """Empty where no agent has run yet."""
    if not home.database.exists():
        return Records()
    with closing(sqlite3.connect(f"file:{home.database}?mode=ro", uri=True)) as connection:
        opened = _openings(connection, node, epoch_blocks)
        events, answers = tuple(_events(connection)), dict(_answers(connection))
    found = ({"job": a.job, "shard": a.shard, "state": a.state, "why": a.why} for a in recorded(home.database))
    return Records(events, answers, opened, tuple(found))


def _events(connection: sqlite3.Connection) -> Iterator[ev.Event]:
    kinds = ",".join("?" * len(KINDS))
    query = f"SELECT block, idx, tx, topics, data FROM events WHERE kind IN ({kinds}) ORDER BY block, idx"  # noqa: S608
    for row in _rows(connection, query, KINDS):
        event = decode_at(ev.At(*row))
        if event is not None:
            yield event


def _answers(connection: sqlite3.Connection) -> Iterator[tuple[Key, bytes]]:
    for epoch, leaves in _rows(connection, "SELECT epoch, leaves FROM batches"):
        for leaf in parse_leaves(leaves):
            yield (epoch, leaf.job, leaf.shard), leaf.root


def _openings(connection: sqlite3.Connection, node: int, epoch_blocks: int) -> dict[int, int | None]:
    lanes = _rows(connection, "SELECT epoch FROM lanes WHERE opened")
    found: dict[int, int | None] = dict.fromkeys(epoch for (epoch,) in lanes)
    kinds = "kind IN ('Revealed', 'UnrevealedReported', 'AbsentMarked')"
    query = f"SELECT block, idx, tx, topics, data FROM events WHERE {kinds} AND substr(topics, 33, 32) = ?"  # noqa: S608
    for row in _rows(connection, query, (node.to_bytes(32, "big"),)):
        match decode_at(ev.At(*row)):
            case ev.Revealed(at=at, epoch=epoch):
                found[epoch] = epoch_of(at.block, epoch_blocks) - epoch
            case ev.UnrevealedReported(epoch=epoch) | ev.AbsentMarked(epoch=epoch):
                found.pop(epoch, None)  # a lane that was punished counts as opened among ``lanes``
    return found


def _rows(connection: sqlite3.Connection, query: str, values: tuple[str | bytes, ...] = ()) -> list[Any]:
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
    records = read_records(home, node, deployment.epoch_blocks)
    return {
        "node": node,
        "operator": operator,
        "epoch": now,
        "court": doors.court.address,
        "appeal": config.appeal,
        "max_bond": config.appeal_max_bond,
        "allowance": doors.payment_token.allowance(operator, doors.court.address),
        "owed": doors.market.owed_to(operator),
        "cases": list(cases_of(records, doors.court, deployment, node, operator, now)),
        "outvoted": list(records.outvoted),
    }


def cases_of(
    records: Records, court: CourtDoor, deployment: Deployment, node: int, operator: str, now: Epoch
) -> Iterator[dict[str, Any]]:
    """The cases in which the node or its operator has a part, in the order of their appeals."""
    terms = {e.case_job: e.terms for e in records.events if isinstance(e, ev.CasePosted)}
    answered = {key[1:] for key in records.answers}
    for opened in records.events:
        if not isinstance(opened, ev.Appealed):
            continue
        key, case = (opened.job, opened.shard), terms.get(opened.case_job)
        opening = opening_of(records, opened, case.work, node) if case is not None else None
        own = opening.root if opening is not None else None
        roles = roles_of(opened, own, (opened.case_job, 0) in answered, operator)
        view = court.case_of(*key) if roles else None
        if view is None:
            continue
        claimed = any(isinstance(e, ev.Claimed) and (e.job, e.shard, e.node) == (*key, node) for e in records.events)
        closed = any(isinstance(e, ev.CaseClosed) and (e.job, e.shard) == key for e in records.events)
        payable = opening is not None and opening.timely and not claimed and not paid_at_once(view, opened, own, node)
        pay = case.task_price * case.tasks if case is not None and payable else 0
        state = "closed" if closed else state_of(view, court.status(*key)[0])
        yield {
            "job": opened.job,
            "shard": opened.shard,
            "case": opened.case_job,
            "roles": roles,
            "accuser": opened.accuser,
            "bond": opened.bond,
            "state": state,
            "overturned": view.verdict is not None and view.verdict != view.settled_root,
            "wrong": sorted(
                e.node for e in records.events if isinstance(e, ev.WrongReported) and (e.job, e.shard) == key
            ),
            **dues(view, state, roles, own, pay, deployment, now),
        }


@dataclass(frozen=True, slots=True)
class Own:
    """What a node opened in the appealed attempt. Late, it can still be proven wrong, but not be paid for."""

    root: bytes
    timely: bool


def opening_of(records: Records, opened: ev.Appealed, work: int, node: int) -> Own | None:
    """None unless the node sat on the appealed committee and opened an answer for its commit epoch.

    That attempt started in ``held_before``; ``work`` is the job's, and its case's.
    """
    commit = opened.held_before + work - 1
    root = records.answers.get((commit, opened.job, opened.shard))
    if root is None or node not in opened.committee or commit not in records.opened:
        return None
    delay = records.opened[commit]
    return Own(root, delay is not None and delay <= COUNTED_DELAY)


def roles_of(opened: ev.Appealed, own: bytes | None, judged: bool, operator: str) -> list[str]:
    """What a node has to do with a case: accuser, judge, accused (it opened the settled answer), outvoted (another)."""
    found = ["accuser"] if opened.accuser.lower() == operator.lower() else []
    found += ["judge"] if judged else []
    if own is not None:
        found.append("accused" if own == opened.settled_root else "outvoted")
    return found


def paid_at_once(view: CaseView, opened: ev.Appealed, own: bytes | None, node: int) -> bool:
    """Whether the settle call paid the node for the appealed answer; a member it left out has to claim."""
    paid = {member for slot, member in enumerate(opened.committee) if view.paid_slots >> slot & 1}
    return own == view.settled_root and node in paid


def state_of(view: CaseView, status: ShardStatus) -> str:
    """One word: open, over (it can settle no more), upheld, overturned, or burned."""
    if view.burned:
        return "burned"
    if view.verdict is not None:
        return "upheld" if view.verdict == view.settled_root else "overturned"
    return "over" if status is ShardStatus.CONTESTED else "open"


def dues(
    view: CaseView, state: str, roles: list[str], own: bytes | None, pay: int, deployment: Deployment, now: Epoch
) -> dict[str, Any]:
    """``due``: what may still come to this node or its operator, in payment-token units; ``deadline``: the next epoch
    in which something about the case ends or begins, and ``then`` what, in words.

    ``pay`` is what an answer of the node's in the appealed attempt earns if it is the one that stands: claimed once the
    case has a verdict, or can have none any more (``state`` over or burned).
    """
    contested = state in ("over", "burned")  # the bond is lost, whether resolve has burned it yet or not
    accuser_due = view.accuser_due if "accuser" in roles and not contested else 0
    if state == "open":
        then = "the last epoch in which the judges' answer may settle"
        return {"due": accuser_due, "deadline": view.last, "then": then}
    stands, ended = (view.settled_root, view.last) if contested else (view.verdict, view.ended or view.last)
    claim_until = ended + deployment.report_epochs
    if state != "closed" and pay and own == stands and now <= claim_until:
        return {"due": pay + accuser_due, "deadline": claim_until, "then": "the last epoch for its claim"}
    if state != "closed" and accuser_due:
        closable = view.last + deployment.report_epochs + 1
        return {"due": accuser_due, "deadline": closable, "then": "what the judges did not earn comes back"}
    return {"due": 0, "deadline": None, "then": None}
