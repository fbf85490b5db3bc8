"""appeals

outvoted       drawn in the settled attempt, opened another answer, window open    → what could be appealed
               agreed, passed, not drawn, window over, not appealable              → nothing
decide_appeal  taken by another; the own answer fell                               → rest
               off; too many lost; bond over the limit, the allowance, the purse;
               not worth it                                                        → wait, and nothing is computed
               otherwise                                                           → check, then appeal
spoken_for     an open case, anybody's: pay and lanes; overturned: lanes not slashed yet; upheld, burned → nothing
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from scene import (
    ME,
    OTHER_ROOT,
    ROOT,
    appealed,
    at,
    committed,
    judged,
    pool_of,
    posted,
    resolved,
    revealed,
    seeds,
    settled,
    world,
)

from nodeagent.chain import events as ev
from nodeagent.protocol.settlement import SettledLeaf
from nodeagent.protocol.types import Epoch, JobId, Shard
from nodeagent.worker.appeals import (
    AppealFacts,
    Outvoted,
    Policy,
    Spoken,
    Step,
    decide_appeal,
    expected_return,
    outvoted,
    spoken_for,
)
from nodeagent.worker.draws import DrawBook
from nodeagent.worker.world import World

C = 10
SETTLED_AT = 112


def scene(mine: bytes | None, *, appeal: int = 6, block: int | None = None, node: int = ME) -> tuple[World, DrawBook]:
    """Shard 2 settled with what nodes 2 and 3 opened; node 1 opened ``mine``."""
    w = world([*pool_of(3), posted(1, appeal_epochs=appeal)], node)
    w.apply([revealed(n, C, {(1, 2): ROOT}) for n in (2, 3)])
    w.apply([revealed(1, C, {(1, 2): mine} if mine else {}, block)])
    w.apply([settled(SETTLED_AT * 10 + 5, SettledLeaf(JobId(1), Shard(2), 0, 6, ROOT))])
    committed(w, C, 1, 2, 3)
    return w, DrawBook(w, seeds(*range(9, 30)))


def found(w: World, book: DrawBook, counting: int = SETTLED_AT) -> list[Outvoted]:
    return outvoted(w, book, Epoch(counting))


def test_outvoted__opened_another_answer__with_what_an_appeal_needs() -> None:
    w, book = scene(OTHER_ROOT)
    (one,) = found(w, book)
    assert (one.key, one.own, one.until, one.pay) == ((1, 2), OTHER_ROOT, SETTLED_AT + 6, 24)
    assert one.receipt.result_root == ROOT and one.receipt.paid_slots == 6
    w.apply(appealed(w, 1140, by=2))
    assert found(w, book) == [one], "that somebody appealed is for decide_appeal to know"


@pytest.mark.parametrize("mine", [ROOT, None])
def test_outvoted__agreed_or_passed__nothing(mine: bytes | None) -> None:
    assert found(*scene(mine)) == []


def test_outvoted__window__its_last_counting_epoch_is_in() -> None:
    w, book = scene(OTHER_ROOT)
    assert found(w, book, SETTLED_AT + 6) and not found(w, book, SETTLED_AT + 7)


def test_outvoted__job_without_appeals__nothing() -> None:
    assert found(*scene(OTHER_ROOT, appeal=0)) == []


def test_outvoted__not_of_the_committee__nothing() -> None:
    w, book = scene(OTHER_ROOT, node=4)
    w.apply([revealed(4, C, {(1, 2): OTHER_ROOT})])
    assert found(w, book) == []


def test_outvoted__opened_too_late_to_be_paid__nothing_to_win() -> None:
    w, book = scene(OTHER_ROOT, block=(C + 3) * 10 + 1)
    (one,) = found(w, book)
    assert one.pay == 0
    assert decide_appeal(replace(FRESH, pay=one.pay, reward=73), Policy()).step is Step.WAIT


# --- the decision -----------------------------------------------------------------------------------------------------

GOOD = AppealFacts(
    own=OTHER_ROOT,
    pay=24,
    immature=48,
    reward=100,
    risk=500,
    bond=121,
    allowance=121,
    balance=121,
    again=OTHER_ROOT,
)
FRESH = replace(GOOD, again=None)


def step(facts: AppealFacts, policy: Policy | None = None) -> Step:
    return decide_appeal(facts, policy or Policy()).step


def test_decide_appeal__all_is_well__checks_first_and_then_appeals() -> None:
    assert step(FRESH) is Step.CHECK and step(GOOD) is Step.APPEAL


def test_decide_appeal__own_answer_fell__never() -> None:
    decision = decide_appeal(replace(GOOD, again=ROOT), Policy())
    assert decision.step is Step.REST and "this machine was wrong" in decision.why
    assert step(replace(GOOD, again=b"\x0c" * 32)) is Step.REST, "a third answer does not help either"


def test_decide_appeal__taken__never() -> None:
    assert step(replace(GOOD, taken=True)) is Step.REST


@pytest.mark.parametrize(
    ("facts", "policy", "words"),
    [
        ({}, Policy(auto=False), "off"),
        ({"lost": 1}, Policy(), "appeal_max_lost is 1"),
        ({"at_risk": 1}, Policy(), "appeal_max_lost is 1"),
        ({"lost": 1, "at_risk": 1}, Policy(max_lost=2), "1 appeals were lost of late and 1 are open"),
        ({}, Policy(max_bond=120), "over appeal_max_bond, 120"),
        ({"allowance": 120}, Policy(), "lets the Court take 120"),
        ({"balance": 120}, Policy(), "has 120"),
        ({"reward": 80}, Policy(), "not worth"),
        ({"immature": 20}, Policy(), "not worth"),
        ({"risk": 900}, Policy(), "not worth"),
        ({}, Policy(confidence=0.9), "not worth"),
    ],
)
def test_decide_appeal__policy_or_purse_says_no__waits_without_computing(
    facts: dict[str, int], policy: Policy, words: str
) -> None:
    for base in (GOOD, FRESH):
        decision = decide_appeal(replace(base, **facts), policy)  # type: ignore[arg-type]
        assert decision.step is Step.WAIT and words in decision.why


def test_decide_appeal__limits_met_exactly__goes_on() -> None:
    assert step(GOOD, Policy(max_bond=121)) is Step.APPEAL
    assert step(replace(GOOD, lost=1), Policy(max_lost=2)) is Step.APPEAL
    assert step(replace(GOOD, lost=1, at_risk=1), Policy(max_lost=3)) is Step.APPEAL


def test_decide_appeal__a_right_result_at_a_cost__up_to_the_operators_limit() -> None:
    poor = replace(GOOD, reward=0, immature=0)
    cost = -expected_return(poor, 0.95)
    assert step(poor, Policy(max_cost=int(cost))) is Step.WAIT
    assert step(poor, Policy(max_cost=int(cost) + 1)) is Step.APPEAL


def test_decide_appeal__any_facts__appeals_only_with_everything_in_order() -> None:
    axes = product(
        (None, OTHER_ROOT, ROOT), (False, True), (0, 1), (0, 121), (0, 121), (0, 100), (True, False), (0, 1, 121)
    )
    for again, taken, lost, allowance, balance, reward, auto, most in axes:
        facts = AppealFacts(OTHER_ROOT, 24, 48, reward, 500, 121, allowance, balance, again, taken, lost)
        good = allowance == balance == 121 and not taken and not lost and reward == 100 and auto and most != 1
        assert (step(facts, Policy(auto, most)) is Step.APPEAL) == (good and again == OTHER_ROOT)


def test_expected_return__certain__what_the_waterfall_gives() -> None:
    assert expected_return(GOOD, 1.0) == 24 + 100 + 48 - 121
    assert expected_return(replace(GOOD, immature=10**6), 1.0) == 24 + 100, "never more than the bond comes back"
    assert expected_return(GOOD, 0.0) == -(121 + 500)


def test_outvoted__a_paid_member_was_proven_wrong_for_that_epoch__no_second_reward() -> None:
    w, book = scene(OTHER_ROOT)
    (one,) = found(w, book)
    draw = book.get(w.jobs[JobId(1)], Shard(2), 0)
    assert draw is not None and one.paid == one.unmarked == draw.slots[1:]
    w.apply([ev.WrongMarked(at(1130), one.paid[0], Epoch(C))])
    (one,) = found(w, book)
    assert one.unmarked == one.paid[1:] and len(one.paid) == 2


# --- what is spoken for -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", [ME, 2])
def test_spoken_for__open_case__all_that_its_verdict_will_take(by: int) -> None:
    w, book = scene(OTHER_ROOT)
    (one,) = found(w, book)
    assert spoken_for(w, book) == Spoken()
    w.apply(appealed(w, 1140, by=by))
    assert spoken_for(w, book) == Spoken(set(one.paid), set(one.lanes), at_risk=by == ME)


def test_spoken_for__overturned__the_pay_is_gone_and_each_lane_waits_for_its_report() -> None:
    w, book = scene(OTHER_ROOT)
    w.apply([*appealed(w, 1140), judged(1172, OTHER_ROOT), resolved(1174, OTHER_ROOT, True)])
    (one,) = found(w, book)
    assert spoken_for(w, book) == Spoken(lanes=set(one.lanes))
    w.apply([ev.WrongMarked(at(1175), one.paid[0], one.commit)])
    assert spoken_for(w, book) == Spoken(lanes={one.lanes[1]})


def test_spoken_for__upheld_or_burned__nothing() -> None:
    w, book = scene(OTHER_ROOT)
    w.apply([*appealed(w, 1140), judged(1172, ROOT), resolved(1174, ROOT, False)])
    assert spoken_for(w, book) == Spoken()
    w, book = scene(OTHER_ROOT)
    w.apply([*appealed(w, 1140), ev.EndedWithoutVerdict(at(1400), JobId(1), Shard(2), JobId(9), 600)])
    assert spoken_for(w, book) == Spoken()
