"""The money of one appeal: only what its own transactions moved, whoever else appeals meanwhile."""

from __future__ import annotations

from typing import Any

from lab.story.books import BURNED, money_of
from nodeagent.chain import events as ev
from nodeagent.client.cases import Case
from nodeagent.protocol.types import JobId, NodeId, Shard

ACCUSER, REQUESTER, COURT = "0xAa", "0xbb", "0xcc"
JOB, OTHER = JobId(7), JobId(8)
ROOT = bytes(32)
TERMS: Any = None  # of no interest to the money


def at(tx: str) -> ev.At:
    return ev.At(1, 0, tx)


def resolved(tx: str, job: JobId, shard: int) -> ev.Resolved:
    return ev.Resolved(at(tx), job, Shard(shard), JobId(100), ROOT, True, 0)


def forfeited(tx: str, node: int, amount: int) -> ev.Forfeited:
    return ev.Forfeited(at(tx), NodeId(node), amount)


def assigned(tx: str, to: str, amount: int) -> ev.Assigned:
    return ev.Assigned(at(tx), COURT, to, amount)


def wrong(tx: str, job: JobId, shard: int, node: int) -> ev.WrongReported:
    return ev.WrongReported(at(tx), job, Shard(shard), NodeId(node), 0, "0xdd", 0)


def test_money_of__two_cases_at_once__each_has_its_own() -> None:
    events: list[ev.Event] = [
        forfeited("a", 1, 50), assigned("a", ACCUSER.lower(), 30), assigned("a", REQUESTER, 15),
        assigned("a", BURNED, 5), resolved("a", JOB, 2),
        forfeited("b", 1, 70), assigned("b", ACCUSER, 70), resolved("b", JOB, 3),
        forfeited("c", 2, 90), assigned("c", ACCUSER, 90), resolved("c", OTHER, 2),
        forfeited("d", 2, 8), assigned("d", ACCUSER, 8), wrong("d", JOB, 2, 2),
        ev.Slashed(at("d"), NodeId(2), 500, ACCUSER.lower(), 50),
        ev.Slashed(at("e"), NodeId(2), 400, ACCUSER, 40), wrong("e", JOB, 3, 2),
        ev.Slashed(at("f"), NodeId(2), 1, ACCUSER, 0),
        ev.Claimed(at("g"), JOB, Shard(2), NodeId(3), 1, 12), ev.Claimed(at("h"), OTHER, Shard(2), NodeId(3), 1, 13),
        assigned("i", ACCUSER, 4), ev.CaseClosed(at("i"), JOB, Shard(2), JobId(100), 4),
    ]  # fmt: skip
    case = Case(JobId(100), 2, TERMS, at("z"), ACCUSER, 60)
    money = money_of(JOB, case, REQUESTER, events)
    assert money.as_json() == {
        "bond": 60,
        "forfeited": {1: 50, 2: 8},
        "returned": 30 + 8 + 4,
        "refunded": 15,
        "burned": 5,
        "claimed": {3: 12},
        "slashed": {2: 500},
        "reward": 50,
    }


def test_money_of__slash_reported_by_another__is_no_reward_of_the_accusers() -> None:
    events = [ev.Slashed(at("d"), NodeId(2), 500, "0xdd", 50), wrong("d", JOB, 2, 2)]
    money = money_of(JOB, Case(JobId(100), 2, TERMS, at("z"), ACCUSER, 60), REQUESTER, events)
    assert (money.slashed, money.reward) == ({2: 500}, 0)
