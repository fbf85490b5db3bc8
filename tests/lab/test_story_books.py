"""The money of one appeal: only what its own transactions moved, whoever else appeals meanwhile."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from lab.story import appeal
from lab.story.account import Account, faults
from lab.story.books import BURNED, Money, Purse, money_of, moves_of
from lab.story.telling import tell
from nodeagent.chain import events as ev
from nodeagent.client.cases import Case
from nodeagent.protocol.settlement import SettledLeaf
from nodeagent.protocol.types import JobId, NodeId, Shard
from tests.agent.client.conftest import TERMS as CASE_TERMS

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
        "judge_pay": {},
        "settler": 0,
        "settling": 0,
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


# --- the whole account ---------------------------------------------------------------------------------------


def settled(tx: str, payee: int, fee: int, *leaves: SettledLeaf) -> ev.Settled:
    return ev.Settled(at(tx), ROOT, 9, NodeId(payee), fee, leaves)  # type: ignore[arg-type]


def test_money_of__a_judge_did_not_agree__is_not_among_the_paid() -> None:
    leaf = SettledLeaf(JobId(100), Shard(0), 0, 0b101, ROOT)
    settlement: Any = SimpleNamespace(entry=leaf)
    case = Case(JobId(100), 2, CASE_TERMS, at("z"), ACCUSER, 75, settlement=settlement)
    events = [settled("y", 6, 9, SettledLeaf(OTHER, Shard(0), 0, 1, ROOT)), settled("x", 4, 0, leaf)]
    money = money_of(JOB, case, REQUESTER, events, (NodeId(3), NodeId(4), NodeId(5)), 500)
    assert money.judge_pay == {3: 24, 5: 24}, "two tasks at twelve units each"
    assert (money.settler, money.settling) == (4, 2)


def test_moves_of__events_of_all_kinds__counts_what_came_to_the_operator_and_its_node() -> None:
    none: Any = None
    mine, foreign = SettledLeaf(OTHER, Shard(0), 0, 1, ROOT), SettledLeaf(OTHER, Shard(1), 0, 2, ROOT)
    events = [
        ev.Appealed(at("a"), JOB, Shard(2), JobId(100), ACCUSER.lower(), 60, ROOT, none, none),
        ev.Appealed(at("a"), OTHER, Shard(2), JobId(101), REQUESTER, 61, ROOT, none, none),
        assigned("b", ACCUSER, 50), assigned("b", ACCUSER, 5), assigned("b", REQUESTER, 7), forfeited("b", 8, 99),
        ev.Claimed(at("c"), JOB, Shard(2), NodeId(3), 1, 12), ev.Claimed(at("c"), JOB, Shard(2), NodeId(4), 1, 13),
        settled("d", 3, 4, mine, foreign), settled("d", 9, 5, foreign),
    ]  # fmt: skip
    moves = moves_of(NodeId(3), ACCUSER, events, lambda leaf: 30 * (leaf == mine))
    assert moves == {
        "the bond": -60,
        "came back by the case": 55,
        "claimed for having been right": 12,
        "pay for other shards": 30,
        "fees for settling": 4,
    }


MONEY = Money(
    bond=60, judge_pay={4: 11, 5: 11, 6: 11, 7: 11}, settler=5, settling=2, forfeited={8: 50, 9: 40}, returned=46,
    refunded=24, burned=20, claimed={3: 12}, slashed={8: 400, 9: 400}, reward=80,
)  # fmt: skip
ACCOUNT = Account(
    MONEY, 3, Purse(1_000, 5_000), Purse(998, 5_080), {"the bond": -60, "came back by the case": 46, "claimed": 12},
    held=14, closed=None, closable=77, honest_slashed=0,
)  # fmt: skip


def test_faults__it_adds_up__none() -> None:
    assert faults(ACCOUNT) == []
    assert faults(replace(ACCOUNT, held=0, closed=14, money=replace(MONEY, returned=60))) == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"held": 13}, "the bond was 60: 59 of it can be accounted for"),
        ({"money": replace(MONEY, burned=21)}, "the case took 90 and gave out 91"),
        ({"after": Purse(999, 5_080)}, "the accuser's payment tokens were 1000, -2 came, and they are 999"),
        ({"after": Purse(998, 5_000)}, "the accuser's stake tokens were 5000, +80 came, and they are 5000"),
    ],
)
def test_faults__one_amount_is_off__says_which(changed: dict[str, Any], words: str) -> None:
    assert faults(replace(ACCOUNT, **changed)) == [words]


def told(account: Account) -> str:
    return "\n".join(
        " ".join(line.split()) for line in tell(account, lambda a: f"{a} c", lambda a: f"{a} s", lambda n: f"node {n}")
    )


def test_tell__a_case_still_open__every_amount_that_adds_up_is_there() -> None:
    text = told(ACCOUNT)
    for line in (
        "paid by the accuser 60 c",
        *(f"to node {judge}, a judge that agreed - 11 c" for judge in (4, 5, 6, 7)),
        "to node 5, who settled the case - 2 c",
        "not earned; stays in the case until it is closed (epoch 77) = 14 c",
        "node 8 forfeited + 50 c",
        "node 9 forfeited + 40 c",
        "in all = 90 c",
        "to the accuser first, until the bond is back - 46 c",
        "to the requester, up to what the wrong shard cost - 24 c",
        "to nobody: burned = 20 c",
        "before the appeal 1000 c",
        "the bond - 60 c",
        "came back by the case + 46 c",
        "claimed + 12 c",
        "at the end = 998 c",
        "in all = 800 s",
        "of that to the accuser, a tenth - 80 s",
        "and to nobody: burned = 720 s",
        "honest nodes were slashed 0 s",
    ):
        assert line in text.splitlines()


def test_tell__a_closed_case__what_judges_did_not_earn_is_given_out_with_the_rest() -> None:
    text = told(replace(ACCOUNT, held=0, closed=14))
    assert "not earned; came back when the case was closed, below = 14 c" in text
    assert "and not earned by judges + 14 c\nin all = 104 c" in text


def test_report__of_a_told_story__has_its_fields_and_no_faults() -> None:
    case: Any = Case(JobId(100), 2, CASE_TERMS, at("z"), ACCUSER, 60, b"\x01" * 32, verdict=b"\x02" * 32)
    history: Any = SimpleNamespace(posted=SimpleNamespace(job=JOB), cases={2: case})
    found = appeal._report(appeal.Told(history, 2, (8, 9), (3, 8, 9), (4, 5, 6, 7, 1), ACCOUNT, 2))
    assert (found["members"], found["judges"], found["liars"]) == ([3, 8, 9], [4, 5, 6, 7, 1], [8, 9])
    assert (found["judge_pay"], found["unearned"], found["held"]) == ({"4": 11, "5": 11, "6": 11, "7": 11}, 0, 14)
    assert (found["slashed"], found["accuser_before"]) == ({"8": 400, "9": 400}, {"payment": 1_000, "stake": 5_000})
    assert appeal.faults(found) == []
    assert appeal.faults(found | {"does_not_add_up": ["the bond was 60"], "slashed": {"8": 1}}) == [
        "slashed were {'8': 1}, the liars are [8, 9]",
        "the bond was 60",
    ]
