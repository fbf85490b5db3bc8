"""Claims

without a case   the slot that was left out, with a path that proves; once the appeal window is over; for a while
overturned       a member of the settled attempt that opened the verdict, and nobody else
upheld           the slot that was left out
no verdict       the settled answer stands: the slot that was left out, once the case can settle no more
case open        nobody
"""

from __future__ import annotations

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
from nodeagent.protocol.trees import root_from_proof
from nodeagent.protocol.types import Epoch, JobId, Shard
from nodeagent.worker.claims import ClaimPlan, claims
from nodeagent.worker.draws import DrawBook
from nodeagent.worker.world import World

C = 10
KEY = (JobId(1), Shard(2))


def found(w: World, book: DrawBook, now: int) -> list[ClaimPlan]:
    return claims(w, book, Epoch(now), settle_grace=8, report_epochs=4)


def claimable(
    paid: int, *, appeal: int = 0, block: int = 1125, mine: bytes = ROOT, root: bytes = ROOT
) -> tuple[World, DrawBook, SettledLeaf]:
    leaf = SettledLeaf(*KEY, 0, paid, root)
    other = SettledLeaf(JobId(1), Shard(1), 0, 7, ROOT)
    opened = [revealed(n, C, {(1, s): mine if n == ME else root for s in range(4)}) for n in (1, 2, 3)]
    w = world([*pool_of(3), posted(1, appeal_epochs=appeal), *opened, settled(block, other, leaf)])
    committed(w, C, 1, 2, 3)
    return w, DrawBook(w, seeds(*range(9, 30))), leaf


def my_slot(w: World, book: DrawBook) -> int:
    draw = book.get(w.jobs[JobId(1)], Shard(2), 0)
    assert draw is not None
    slot = draw.slot_of(ME)
    assert slot is not None
    return slot


def test_claims__left_out__a_plan_whose_path_proves() -> None:
    w, book, _ = claimable(0)
    slot = my_slot(w, book)
    w, book, leaf = claimable(0b111 & ~(1 << slot))
    (plan,) = found(w, book, 112)
    assert (plan.job, plan.shard, plan.slot) == (1, 2, slot)
    root = root_from_proof(leaf.hash(), plan.receipt.path)
    assert root == root_from_proof(SettledLeaf(JobId(1), Shard(1), 0, 7, ROOT).hash(), [leaf.hash()])


def test_claims__paid_or_claimed_or_too_late__none() -> None:
    w, book, _ = claimable(0b111)
    assert found(w, book, 112) == []
    slot = my_slot(w, book)
    w, book, _ = claimable(0b111 & ~(1 << slot))
    assert found(w, book, 116) and not found(w, book, 117)
    w.apply([ev.Claimed(at(1126), JobId(1), Shard(2), ME, slot, 5)])
    assert found(w, book, 112) == []


def test_claims__appeal_window_open__not_before_it_ends() -> None:
    w, book, _ = claimable(0, appeal=6)
    assert [bool(found(w, book, now)) for now in (118, 119, 122, 123)] == [False, True, True, False]


def test_claims__answered_otherwise__none() -> None:
    w, book, _ = claimable(0, root=OTHER_ROOT)
    assert found(w, book, 112) == []


# --- after an appeal --------------------------------------------------------------------------------------------------

VERDICT = 120  # epoch in which the case settled


def dissent(verdict: bytes | None, mine: bytes = OTHER_ROOT) -> tuple[World, DrawBook]:
    """This node answered otherwise than the two that were paid; the case was resolved with ``verdict``."""
    probe, book, _ = claimable(0, appeal=6)
    w, book, _ = claimable(0b111 & ~(1 << my_slot(probe, book)), appeal=6, mine=mine)
    w.apply(appealed(w, 1140))
    if verdict is not None:
        w.apply([judged(VERDICT * 10 + 5, verdict)])
    return w, book


def test_claims__overturned_to_the_own_answer__from_resolve_until_the_window_ends() -> None:
    w, book = dissent(OTHER_ROOT)
    assert found(w, book, VERDICT) == [], "not before resolve"
    w.apply([resolved(VERDICT * 10 + 7, OTHER_ROOT, True)])
    (plan,) = found(w, book, VERDICT)
    assert plan.slot == my_slot(w, book) and plan.receipt.result_root == ROOT and plan.until == VERDICT + 4
    assert found(w, book, VERDICT + 4) and not found(w, book, VERDICT + 5)
    w.apply([ev.Claimed(at(1230), *KEY, ME, plan.slot, 5)])
    assert found(w, book, VERDICT) == []


def test_claims__overturned_to_a_third_answer__none() -> None:
    w, book = dissent(b"\x0c" * 32)
    w.apply([resolved(VERDICT * 10 + 7, b"\x0c" * 32, True)])
    assert found(w, book, VERDICT) == []


@pytest.mark.parametrize(("mine", "some"), [(ROOT, True), (OTHER_ROOT, False)])
def test_claims__upheld__only_who_answered_so_and_was_left_out(mine: bytes, some: bool) -> None:
    w, book = dissent(ROOT, mine)
    w.apply([resolved(VERDICT * 10 + 7, ROOT, False)])
    assert bool(found(w, book, VERDICT)) is some


def test_claims__paid_for_what_was_overturned__cannot_claim_as_well() -> None:
    w, book, _ = claimable(0b111, appeal=6, mine=ROOT)
    w.apply([*appealed(w, 1140), judged(1205, OTHER_ROOT), resolved(1207, OTHER_ROOT, True)])
    assert found(w, book, VERDICT) == []


def test_claims__no_verdict__the_settled_answer_once_the_case_is_over() -> None:
    w, book = dissent(None, ROOT)
    last = w.cases[KEY].last(8)
    assert last == 114 + 1 + 3 * 3 - 1 + 8
    assert [bool(found(w, book, now)) for now in (last, last + 1, last + 4, last + 5)] == [False, True, True, False]
