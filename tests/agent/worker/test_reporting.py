"""Faults that may be reported: whose, from when, and until when."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from scene import (
    EB,
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
from nodeagent.protocol.leaves import Leaf, leaves_root, pack_leaves
from nodeagent.protocol.openings import ParsedEntry, opening_root, parse_claim_opening
from nodeagent.protocol.settlement import SettledLeaf
from nodeagent.protocol.trees import root_from_proof
from nodeagent.protocol.types import Epoch, JobId, NodeId, Shard
from nodeagent.worker.draws import DrawBook
from nodeagent.worker.lanewatch import read_lanes
from nodeagent.worker.lifecycle import Clock
from nodeagent.worker.reporting import Unrevealed, Wrong, absent, unrevealed, wrong
from nodeagent.worker.world import World

C = 10
RING = 128
LEAF = SettledLeaf(JobId(1), Shard(0), 0, 3, ROOT)


def scene(*nodes: int) -> tuple[World, DrawBook]:
    """A settled shard of a committee of three, of whom ``nodes`` committed and opened."""
    w = world([*pool_of(3), posted(1), settled(1125, LEAF)])
    w.apply([revealed(node, C, {(1, 0): ROOT}) for node in nodes])
    committed(w, C, *nodes)
    return w, DrawBook(w, seeds(*range(9, 30)))


def test_unrevealed__past_its_grace__others_only() -> None:
    w, _ = scene(2)
    committed(w, C, 1, 3)
    assert unrevealed(w, Epoch(C + 8), 8) == []
    assert unrevealed(w, Epoch(C + 9), 8) == [Unrevealed(NodeId(3), Epoch(C))], "its own lane is not its business"


def test_absent__never_committed__a_slot_with_a_path_that_proves() -> None:
    w, book = scene(1, 2)
    (found,) = absent(w, book, Epoch(112), RING)
    draw = book.get(w.jobs[JobId(1)], Shard(0), 0)
    assert draw is not None and draw.slots[found.slot] == found.node == 3 and found.epoch == C
    assert root_from_proof(LEAF.hash(), found.receipt.path) == LEAF.hash()


def test_absent__lanes_not_read_or_window_over_or_oneself__none() -> None:
    w, book = scene(1, 2)
    draw = book.get(w.jobs[JobId(1)], Shard(0), 0)
    assert draw is not None
    last = draw.start + RING - 2
    assert absent(w, book, Epoch(last), RING) and not absent(w, book, Epoch(last + 1), RING)
    w, book = scene(2, 3)
    assert absent(w, book, Epoch(112), RING) == [] and w.node == ME
    w.committed.clear()
    assert absent(w, book, Epoch(112), RING) == []


def test_unrevealed_and_absent__reported_already__not_again() -> None:
    w, book = scene(2)
    committed(w, C, 1, 3)
    w.apply([ev.UnrevealedReported(at(1200), NodeId(3), Epoch(C), "0x")])
    assert unrevealed(w, Epoch(C + 9), 8) == []
    w, book = scene(1, 2)
    w.apply([ev.AbsentMarked(at(1126), NodeId(3), Epoch(C))])
    assert absent(w, book, Epoch(112), RING) == []


def test_absent__a_node_missed_two_epochs__the_older_first() -> None:
    w, book = scene(1, 2)
    w.apply([revealed(node, C + 3, {(1, 1): ROOT}) for node in (1, 2)])
    committed(w, C + 3, 1, 2)
    w.apply([settled(1155, SettledLeaf(JobId(1), Shard(1), 1, 3, ROOT))])
    assert [(f.node, f.epoch) for f in absent(w, book, Epoch(115), RING)] == [(3, C), (3, C + 3)]


# --- wrong ------------------------------------------------------------------------------------------------------------


def judged_wrong(answers: dict[int, bytes], verdict: bytes | None, attempt: int = 0, late: bool = False) -> list[Wrong]:
    """What may be reported of shard 2, settled in attempt 0, when nodes opened ``answers`` in an attempt."""
    w = world([*pool_of(3), posted(1, appeal_epochs=6)])
    commit = C + 3 * attempt
    block = (commit + 7) * 10 if late else None
    w.apply([revealed(node, commit, {(1, 2): root, (1, 3): ROOT}, block) for node, root in answers.items()])
    w.apply([settled(1125, SettledLeaf(JobId(1), Shard(2), 0, 7, ROOT))])
    w.apply(appealed(w, 1140))
    if verdict is not None:
        w.apply([judged(1175, verdict), resolved(1180, verdict, verdict != ROOT)])
    return wrong(w, DrawBook(w, seeds(*range(9, 30))), w.cases[JobId(1), Shard(2)])


def test_wrong__verdict__every_other_answer_of_others_with_its_slot() -> None:
    found = judged_wrong({1: OTHER_ROOT, 2: ROOT, 3: OTHER_ROOT}, OTHER_ROOT)
    assert [(f.node, f.root, f.epoch, f.start) for f in found] == [(2, ROOT, C, C)]
    w = world([*pool_of(3), posted(1)])
    draw = DrawBook(w, seeds(C)).get(w.jobs[JobId(1)], Shard(2), 0)
    assert draw is not None and draw.slots[found[0].slot] == 2


def test_wrong__opening__proves_the_leaf_to_the_lane() -> None:
    (one,) = judged_wrong({2: ROOT}, OTHER_ROOT)
    leaves = pack_leaves([Leaf(JobId(1), Shard(2), ROOT), Leaf(JobId(1), Shard(3), ROOT)])
    entry = ParsedEntry(JobId(1), Shard(2), 0, ROOT, (0,))
    assert opening_root(parse_claim_opening(one.opening), [entry]) == leaves_root(leaves)[:27]


@pytest.mark.parametrize("attempt", [0, 2])
def test_wrong__a_court_contradicts_the_own_answer__who_gave_the_same_is_not_reported(attempt: int) -> None:
    """Such a court was captured, or this node computes wrongly: either way it has nothing to prove against others."""
    assert judged_wrong({1: ROOT, 2: ROOT}, OTHER_ROOT, attempt) == []
    third = b"\x03" * 32
    assert [f.node for f in judged_wrong({1: ROOT, 2: ROOT, 3: third}, OTHER_ROOT, attempt)] == [3]


def test_wrong__a_judge_outvoted_in_court__does_not_report_who_answered_as_it_did() -> None:
    w = world([*pool_of(3), posted(1, appeal_epochs=6)])
    w.apply([revealed(node, C, {(1, 2): ROOT}) for node in (2, 3)])
    w.apply([settled(1125, SettledLeaf(JobId(1), Shard(2), 0, 7, ROOT))])
    w.apply([*appealed(w, 1140), judged(1175, OTHER_ROOT), resolved(1180, OTHER_ROOT, True)])
    case = w.cases[JobId(1), Shard(2)]
    book = DrawBook(w, seeds(*range(9, 30)))
    assert {f.node for f in wrong(w, book, case)} == {2, 3}
    w.apply([revealed(int(ME), C + 3, {(int(case.case_job), 0): ROOT})])
    assert wrong(w, book, case) == []


def test_wrong__upheld__who_answered_otherwise() -> None:
    assert [f.node for f in judged_wrong({2: ROOT, 3: OTHER_ROOT}, ROOT)] == [3]


def test_wrong__opened_late_or_in_another_attempt__just_the_same() -> None:
    assert [f.node for f in judged_wrong({2: ROOT}, OTHER_ROOT, late=True)] == [2]
    (other,) = judged_wrong({2: ROOT}, OTHER_ROOT, attempt=2)
    assert (other.attempt, other.epoch, other.start) == (2, C + 6, C + 6)


def test_wrong__no_verdict_or_marked__none() -> None:
    assert judged_wrong({2: ROOT}, None) == []
    w = world([*pool_of(3), posted(1, appeal_epochs=6), revealed(2, C, {(1, 2): ROOT})])
    w.apply([settled(1125, SettledLeaf(JobId(1), Shard(2), 0, 7, ROOT))])
    w.apply([*appealed(w, 1140), judged(1175, OTHER_ROOT), resolved(1180, OTHER_ROOT, True)])
    w.apply([ev.WrongMarked(at(1181), NodeId(2), Epoch(C))])
    assert wrong(w, DrawBook(w, seeds(*range(9, 30))), w.cases[JobId(1), Shard(2)]) == []


def lanes_of(words: dict[tuple[int, int], int]) -> Any:
    return SimpleNamespace(lanes=lambda pairs: [words.get(pair, 0) for pair in pairs])


def test_faults__reporter_started_after_the_shards_settled__are_found_just_the_same() -> None:
    """Node 3 never committed in epoch 10, node 2 never opened."""
    w = world([*pool_of(3), posted(1)])
    w.apply([settled(115, *[SettledLeaf(JobId(1), Shard(s), 0, 3, ROOT) for s in range(4)])])
    book = DrawBook(w, seeds(10), settled=True)
    book.update(Epoch(10))
    sealed = lanes_of({(n, 10): 10 << 224 | 77 for n in (1, 2)})
    read_lanes(sealed, w, book, Clock(116, EB, 2, 2, 8), 126)
    assert [(f.node, f.epoch) for f in absent(w, book, Epoch(12), 128)] == [(3, 10)]
    assert [(f.node, f.epoch) for f in unrevealed(w, Epoch(30), 8)] == [(2, 10)]
