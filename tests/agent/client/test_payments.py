"""Who was paid for a shard, where the bond of its case went, and how a person and a program are told."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from nodeagent.amounts import priced
from nodeagent.chain.deployment import Deployment
from nodeagent.chain.events import CaseClosed, Claimed, Event, WrongReported
from nodeagent.cli.requester_why import why
from nodeagent.client import why as reading
from nodeagent.client.appealing import Appellant, NothingToResolve
from nodeagent.client.cases import fold_cases, standing
from nodeagent.client.history import History
from nodeagent.client.payments import Paid, bond, judges_wages, wages
from nodeagent.client.why import Facts, tell
from nodeagent.protocol.payout import Poured
from nodeagent.protocol.types import VOID, Epoch, NodeId, Shard
from tests.agent.client.conftest import LIE
from tests.agent.client.courtscene import (
    ACCUSER,
    CASE,
    GRACE,
    JOB,
    SHARD,
    at,
    committee,
    court,
    judged,
    opening,
    resolved,
    right,
    with_cases,
)

LEFT_OUT = Claimed(at(1_108), JOB, SHARD, NodeId(3), 2, 24)
JUDGE_LEFT_OUT = Claimed(at(1_070), CASE, Shard(0), NodeId(9), 4, 24)
CLOSED = CaseClosed(at(1_300), JOB, SHARD, CASE, 25)


def reported(forfeited: int) -> WrongReported:
    return WrongReported(at(1_065), JOB, SHARD, NodeId(3), 0, ACCUSER, forfeited)


def facts_of(history: History, deployment: Deployment, tail: list[Event], now: int = 107) -> Facts:
    found = with_cases(history, [*opening(history), *tail]) if tail else history
    status = standing(found.terms, 1, Epoch(now), GRACE, found.settled[1], found.cases.get(1))
    return Facts(found, 1, Epoch(now), status, (committee(),), (court(),), deployment, ("TUSD", 6))


@pytest.mark.parametrize(("amount", "text"), [(3_777, "0.003777 TUSD"), (5 * 10**6, "5 TUSD"), (-1, "-0.000001 TUSD")])
def test_priced__any_amount__in_whole_tokens_with_the_symbol(amount: int, text: str) -> None:
    assert priced(amount, ("TUSD", 6)) == text


# --- wages --------------------------------------------------------------------------------------------------------


def test_wages__settled__nodes_by_slot_the_fee_and_claims(appealable: History) -> None:
    settled = replace(appealable.settled[1], settler=NodeId(2))
    found = wages(appealable.terms, SHARD, settled, [committee()], [LEFT_OUT], 500)
    assert found.paid == (Paid(0, NodeId(1), 24), Paid(1, NodeId(2), 24))
    assert (found.settler, found.fee, found.total) == (2, 2, 24 + 24 + 2 + 24)


def test_wages__draw_is_lost__amounts_without_nodes(appealable: History) -> None:
    lost = replace(committee(), members=None)
    found = wages(appealable.terms, SHARD, appealable.settled[1], [lost], [], 500)
    assert found.paid == (Paid(0, None, 24), Paid(1, None, 24)) and found.settler == VOID


def test_wages__last_shard_is_shorter__earns_for_its_tasks(appealable: History) -> None:
    found = wages(appealable.terms, Shard(2), appealable.settled[2], [], [], 500)
    assert [paid.amount for paid in found.paid] == [12, 12]


# --- bond ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tail", "earned", "returned", "to_come"),
    [
        ([], 0, (0, 0), (0, 0)),
        (judged(LIE), 96, (0, 0), (25, 0)),  # four of five judges at 24; the hundredth of that for settling rounds to 0
        ([*judged(LIE), resolved(LIE, False)], 96, (0, 0), (25, 0)),
        ([*judged(LIE), JUDGE_LEFT_OUT, resolved(LIE, False)], 120, (0, 0), (1, 0)),
        ([*judged(LIE), resolved(LIE, False), reported(30)], 96, (0, 0), (25, 0)),  # burned
        ([*judged(LIE), resolved(LIE, False), CLOSED], 96, (25, 0), (0, 0)),
        ([*judged(right()), resolved(right(), True)], 96, (48, 0), (25, 0)),
        ([*judged(right()), resolved(right(), True), reported(60)], 96, (108, 0), (13, 12)),
        ([*judged(right()), resolved(right(), True), reported(80)], 96, (121, 7), (0, 25)),
        ([*judged(right()), resolved(right(), True), reported(80), CLOSED], 96, (121, 32), (0, 0)),
        ([*judged(right()), resolved(right(), True), reported(200)], 96, (121, 52), (0, 0)),
    ],
)
def test_bond__every_end__to_the_accuser_then_the_requester_and_no_more(
    appealable: History,
    tail: list[Event],
    earned: int,
    returned: tuple[int, int],
    to_come: tuple[int, int],
) -> None:
    """The shard cost 48 and a protocol fee of a tenth."""
    case = fold_cases(JOB, [*opening(appealable), *tail])[1]
    shard = wages(appealable.terms, SHARD, appealable.settled[1], [committee()], [], 100)
    found = bond(case, appealable.terms, shard, judges_wages(case, [court()], 100), (100, 1_000))
    assert (found.earned, found.price) == (earned, 52 if case.overturned else 0)
    assert (found.returned.accuser, found.returned.requester) == returned
    assert (found.to_come.accuser, found.to_come.requester) == to_come


def test_resolve__judges_earned_the_whole_bond__nothing_is_sent(appealable: History, deployment: Deployment) -> None:
    """Closing such a case would revert: nothing is held for it."""
    events = [*opening(appealable), *judged(LIE), JUDGE_LEFT_OUT, resolved(LIE, False)]
    history = with_cases(appealable, events)
    case = replace(history.cases[1], bond=120)
    history = replace(history, cases={1: case}, head=replace(history.head, block=1_400))
    with pytest.raises(NothingToResolve, match="its judges earned the whole bond"):
        Appellant(SimpleNamespace(), replace(deployment, court="0x" + "05" * 20)).resolve(  # type: ignore[arg-type]
            history,
            1,
            None,  # type: ignore[arg-type]
        )


# --- telling ------------------------------------------------------------------------------------------------------


def test_tell__settled__who_was_paid_how_much(appealable: History, deployment: Deployment) -> None:
    told = tell(facts_of(appealable, deployment, []))
    to = "0 TUSD to the account that sent it for settling it"
    assert f"  Paid: nodes 1 (slot 0), 2 (slot 1): 0.000024 TUSD each; {to}." in told
    lost = replace(facts_of(appealable, deployment, []), attempts=(replace(committee(), members=None),))
    assert any(
        "Paid: slots 0, 1, whose nodes can no longer be drawn: 0.000024 TUSD each" in line for line in tell(lost)
    )


def test_tell__upheld__what_the_judges_earned_and_what_comes_back(appealable: History, deployment: Deployment) -> None:
    told = tell(facts_of(appealable, deployment, [*judged(LIE), resolved(LIE, False)]))
    assert any(
        line.startswith("  Paid: nodes 4 (slot 0), 5 (slot 1), 6 (slot 2), 8 (slot 3): 0.000024") for line in told
    )
    assert "Of the bond of 0.000121 TUSD, judges and settler earned 0.000096 TUSD." in told
    coming = "0.000025 TUSD can come back from epoch 126 on: quorate job resolve 7 1"
    assert told[-1] == f"The accuser got back nothing so far; {coming}."
    closed = tell(facts_of(appealable, deployment, [*judged(LIE), resolved(LIE, False), CLOSED]))
    assert closed[-2:] == ["The accuser got back 0.000025 TUSD.", "The case is closed."]
    assert not any("requester" in line for line in [*told, *closed])


def test_tell__overturned__what_came_back_to_whom(appealable: History, deployment: Deployment) -> None:
    told = tell(facts_of(appealable, deployment, [*judged(right()), resolved(right(), True), reported(80)]))
    assert "Members that were paid for the other root forfeited 0.000048 TUSD of immature pay." in told
    assert any("attempt 0 and slashed; it forfeited 0.00008 TUSD of immature pay." in line for line in told)
    assert "The accuser got back 0.000121 TUSD." in told
    assert any(
        line.startswith("The requester, who paid 0.000048 TUSD, got back 0.000007 TUSD so far; 0.000025")
        for line in told
    )


@pytest.mark.parametrize(
    ("tail", "why_unpaid"),
    [
        ([], "had given that answer too and was left out"),
        ([*judged(right()), resolved(right(), True)], "had given the verdict's answer"),
    ],
)
def test_tell__claim__says_why_it_was_not_paid_before(
    appealable: History, deployment: Deployment, tail: list[Event], why_unpaid: str
) -> None:
    told = tell(facts_of(replace(appealable, claims=(LEFT_OUT,)), deployment, tail))
    assert f"Node 3 {why_unpaid}: it claimed its pay for slot 2, 0.000024 TUSD." in told


def test_tell__any_story__counts_no_money_in_units(appealable: History, deployment: Deployment) -> None:
    history = replace(appealable, claims=(LEFT_OUT,))
    told = tell(facts_of(history, deployment, [*judged(right()), JUDGE_LEFT_OUT, resolved(right(), True), CLOSED]))
    assert "  Judge 9 was left out and claimed its pay, 0.000024 TUSD." in told
    assert not any("unit" in line for line in told)


# --- JSON ---------------------------------------------------------------------------------------------------------


def asked(monkeypatch: pytest.MonkeyPatch, facts: Facts) -> dict[str, Any]:
    monkeypatch.setattr(reading, "gather", lambda *_: facts)
    session = SimpleNamespace(rpc=None, deployment=None, history=lambda _: facts.history)
    done = CliRunner().invoke(why, ["7", "1", "--json"], obj=session, catch_exceptions=False)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_why__json__has_the_money_as_integers(
    appealable: History, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = replace(appealable, claims=(LEFT_OUT,))
    tail = [*judged(right()), JUDGE_LEFT_OUT, resolved(right(), True), reported(80)]
    found = asked(monkeypatch, facts_of(history, deployment, tail))
    assert found["settled"] == {
        "epoch": 103, "attempt": 0, "root": "0x" + LIE.hex(), "tx": "0x" + "33" * 32, "settler": 0, "settle_fee": 0,
        "paid": [{"slot": 0, "node": 1, "amount": 24}, {"slot": 1, "node": 2, "amount": 24}],
    }  # fmt: skip
    assert found["claims"] == [{"node": 3, "slot": 2, "amount": 24}]
    case = found["case"]
    assert case["settled"]["root"] == case["verdict"] and case["settled"]["settler"] == 4
    assert [paid["node"] for paid in case["settled"]["paid"]] == [4, 5, 6, 8]
    assert case["claims"] == [{"node": 9, "slot": 4, "amount": 24}]
    assert (case["bond"], case["earned"], case["forfeited"], case["refund"]) == (121, 120, 48, None)
    assert case["reports"] == [{"node": 3, "attempt": 0, "reporter": ACCUSER, "forfeited": 80}] and case["wrong"] == [3]
    assert case["returned"] == {"accuser": 121, "requester": 7} and case["to_come"] == {"accuser": 0, "requester": 1}
    assert case["closable_from"] == 126


def test_why__json_neither_settled_nor_appealed__says_null(
    history: History, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = facts_of(history, deployment, [])
    found = asked(monkeypatch, replace(facts, history=replace(history, settled={})))
    assert (found["settled"], found["claims"], found["case"]) == (None, [], None)


def test_bond__poured__leaves_nothing_unaccounted(appealable: History) -> None:
    case = fold_cases(JOB, [*opening(appealable), *judged(right()), resolved(right(), True), reported(200)])[1]
    shard = wages(appealable.terms, SHARD, appealable.settled[1], [committee()], [], 100)
    found = bond(case, appealable.terms, shard, judges_wages(case, [court()], 100), (100, 1_000))
    assert found.returned == Poured(121, 52, 248 - 121 - 52)
    assert found.to_come == Poured(0, 0, 25), "both are whole: the rest is burned"
