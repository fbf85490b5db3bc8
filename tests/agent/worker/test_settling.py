"""settling

candidates
├── C+1: every drawn lane open or never committed → all non-void slots are listed
│        one drawn lane sealed                     → not yet
├── C+2: a quorum is enough                        → only the paid slots are shown
├── late by three epochs, or another root          → does not count
├── settled, expired, closed                       → left alone
└── attempt 0 without quorum, attempt 1 with       → attempt 1
chunks    as few calls as fit; what they pack parses back to the same
turns     members go round by epoch, then anyone
"""

from __future__ import annotations

import pytest
from scene import EB, ME, OTHER_ROOT, ROOT, at, committed, pool_of, posted, revealed, seeds, settled, world

from nodeagent.chain import events as ev
from nodeagent.protocol.leaves import leaves_root, pack_leaves
from nodeagent.protocol.openings import opening_root, parse_settle
from nodeagent.protocol.settlement import SettledLeaf
from nodeagent.protocol.types import Epoch, JobId, NodeId, Shard
from nodeagent.worker import settling
from nodeagent.worker.draws import DrawBook
from nodeagent.worker.world import World

C = 10  # commit epoch of the first attempt: posted in 9, one work epoch
SHARDS = [(1, s) for s in range(4)]


def scene(*events: ev.Event, sealed: tuple[int, ...] = (), node: int = ME, **job: object) -> tuple[World, DrawBook]:
    """Nodes that opened have committed; ``sealed`` did too and have not opened, in epoch C."""
    w = world([*pool_of(3), posted(1, **job), *events], node)
    for epoch, opened in w.opened.items():
        committed(w, epoch, *opened)
    committed(w, C, *sealed)
    return w, DrawBook(w, seeds(*range(9, 30)))


def answers(nodes: tuple[int, ...], root: bytes = ROOT, epoch: int = C, block: int | None = None) -> list[ev.Event]:
    return [revealed(node, epoch, dict.fromkeys(SHARDS, root), block) for node in nodes]


def found(w: World, book: DrawBook, now: int) -> list[settling.Candidate]:
    return settling.candidates(w, book, Epoch(now), settle_grace=8)


# --- candidates -------------------------------------------------------------------------------------------------------


def test_candidates__all_open_in_the_next_epoch__every_slot_listed() -> None:
    w, book = scene(*answers((1, 2, 3)))
    some = found(w, book, C + 1)
    assert [(c.draw.job, c.draw.shard) for c in some] == SHARDS and all(c.early for c in some)
    assert all(None not in c.entry().slots for c in some)


def test_candidates__one_never_committed__does_not_hold_the_others_up() -> None:
    w, book = scene(*answers((1, 2)))
    some = found(w, book, C + 1)
    assert len(some) == 4 and all(c.early and len(c.agreeing) == 2 for c in some)
    assert all(sum(s is not None for s in c.entry().slots) == 3 for c in some), "the absent one is listed too"


def test_candidates__one_still_sealed__only_from_the_epoch_after() -> None:
    w, book = scene(*answers((1, 2)), sealed=(3,))
    assert found(w, book, C + 1) == []
    later = found(w, book, C + 2)
    assert len(later) == 4 and not any(c.early for c in later)
    assert all(sum(s is not None for s in c.entry().slots) == 2 for c in later)


def test_candidates__in_the_commit_epoch__none() -> None:
    w, book = scene(*answers((1, 2, 3)))
    assert found(w, book, C) == []


def test_candidates__answers_differ__the_root_with_a_quorum() -> None:
    w, book = scene(*answers((1, 2)), *answers((3,), OTHER_ROOT))
    assert {c.root for c in found(w, book, C + 1)} == {ROOT}
    assert all(NodeId(3) not in c.agreeing for c in found(w, book, C + 1))


def test_candidates__no_two_agree__none() -> None:
    w, book = scene(*answers((1,)), *answers((2,), OTHER_ROOT), *answers((3,), b"\x0c" * 32))
    assert found(w, book, C + 2) == []


@pytest.mark.parametrize(("delay", "counts"), [(1, True), (2, True), (3, False)])
def test_candidates__opened_late__counts_up_to_two_epochs(delay: int, counts: bool) -> None:
    block = (C + delay) * EB + 1
    w, book = scene(*answers((1, 2, 3), block=block))
    assert bool(found(w, book, C + delay)) is counts


def test_candidates__settled_closed_or_expired__left_alone() -> None:
    w, book = scene(*answers((1, 2, 3)))
    w.apply([settled(1125, SettledLeaf(JobId(1), Shard(1), 0, 7, ROOT))])
    assert [c.draw.shard for c in found(w, book, C + 1)] == [0, 2, 3]
    last = C + 3 * 3 - 1 + 8
    assert found(w, book, last) and not found(w, book, last + 1)
    w.apply([ev.JobClosed(at(1130), JobId(1), 0)])
    assert found(w, book, C + 1) == []


def test_candidates__first_attempt_failed__second_counts() -> None:
    w, book = scene(*answers((1,)), *answers((1, 2), epoch=C + 3))
    assert {(c.draw.attempt, c.draw.commit) for c in found(w, book, C + 5)} == {(1, C + 3)}


def test_candidates__both_attempts_have_a_quorum__the_earlier() -> None:
    w, book = scene(*answers((1, 2)), *answers((2, 3), epoch=C + 3))
    assert {c.draw.attempt for c in found(w, book, C + 5)} == {0}
    assert settling.has_quorum_before(w, book, w.jobs[JobId(1)], Shard(0), 1)
    assert not settling.has_quorum_before(w, book, w.jobs[JobId(1)], Shard(0), 0)


def test_candidates__opened_by_someone_not_drawn__does_not_count() -> None:
    w, book = scene(*answers((1,)))
    w.apply([*answers((99,))])
    assert found(w, book, C + 2) == []


# --- chunks -----------------------------------------------------------------------------------------------------------


def test_chunks__all_candidates__one_call_that_parses_back() -> None:
    w, book = scene(*answers((1, 2, 3)))
    some = found(w, book, C + 1)
    (chunk,) = settling.chunks(w, some)
    call = parse_settle(chunk.call, lambda job: 3)
    assert [(e.job, e.shard, e.attempt, e.root) for e in call.entries] == [(1, s, 0, ROOT) for s in range(4)]
    assert call.lanes == ((1, C), (2, C), (3, C)) and len(call.openings) == 3
    for opening in call.openings:
        node = call.lanes[opening.lane].node
        leaves = w.opened[Epoch(C)][node].leaves
        assert opening_root(opening, call.entries) == leaves_root(pack_leaves(leaves))[:27]
    assert chunk.starts == {C}


def test_chunks__dissenter__its_lane_is_listed_and_not_opened() -> None:
    w, book = scene(*answers((1, 2)), *answers((3,), OTHER_ROOT))
    (chunk,) = settling.chunks(w, found(w, book, C + 1))
    call = parse_settle(chunk.call, lambda job: 3)
    assert len(call.lanes) == 3 and {call.lanes[o.lane].node for o in call.openings} == {1, 2}


def test_chunks__more_than_a_call_takes__split_without_loss() -> None:
    w, book = scene(*answers((1, 2, 3)))
    some = found(w, book, C + 1)
    parts = settling.chunks(w, some, max_entries=3)
    assert [len(p.candidates) for p in parts] == [3, 1]
    assert [c for p in parts for c in p.candidates] == some


def test_chunks__calldata_too_large__halved(monkeypatch: pytest.MonkeyPatch) -> None:
    shards = dict.fromkeys([(1, s) for s in range(16)], ROOT)
    opened = [revealed(node, C, shards) for node in (1, 2, 3)]
    w, book = scene(*opened, tasks=32, pace=16)
    some = found(w, book, C + 1)
    monkeypatch.setattr(settling, "MAX_CALLDATA", 600)
    parts = settling.chunks(w, some)
    assert [len(p.candidates) for p in parts] == [8, 8]
    assert [c for p in parts for c in p.candidates] == some


# --- turns ------------------------------------------------------------------------------------------------------------


def test_rank__members__go_round_by_epoch_and_strangers_come_last() -> None:
    def ranks(epoch: int) -> list[int]:
        events = answers((1, 2, 3), epoch=epoch)
        return [settling.rank(scene(*events, node=node)[0], Epoch(epoch)) for node in (1, 2, 3)]

    assert [ranks(epoch) for epoch in (30, 31, 32)] == [[0, 1, 2], [2, 0, 1], [1, 2, 0]]
    assert settling.rank(scene(*answers((2, 3)))[0], Epoch(C)) == 2


def test_my_turn__later_in_line__waits_its_blocks() -> None:
    events = answers((1, 2, 3), block=(C + 1) * EB + 3)
    first = next(n for n in (1, 2, 3) if settling.rank(scene(*events, node=n)[0], Epoch(C)) == 0)
    second = next(n for n in (1, 2, 3) if settling.rank(scene(*events, node=n)[0], Epoch(C)) == 1)
    for node, opens in ((first, 113), (second, 115)):
        w, book = scene(*events, node=node)
        some = found(w, book, C + 1)
        assert settling.my_turn(w, some, opens - 1, EB, 2) == []
        assert settling.my_turn(w, some, opens, EB, 2) == some


def test_ready_block__a_member_withholds__the_second_epoch() -> None:
    w, _ = scene(*answers((1, 2)), sealed=(3,))
    assert settling.ready_block(w, Epoch(C), Epoch(C + 1), EB) == (C + 2) * EB
    assert settling.ready_block(w, Epoch(C), Epoch(C + 2), EB) == (C + 1) * EB + 2


def test_seeds_due__enough_committed__the_attempts_start() -> None:
    w, book = scene(sealed=(1,))
    assert settling.seeds_due(w, book, Epoch(C + 1), 8) == [], "one commit can make no quorum"
    committed(w, C, 2)
    assert settling.seeds_due(w, book, Epoch(C), 8) == [], "too early"
    assert settling.seeds_due(w, book, Epoch(C + 1), 8) == [(C, C)]
    w.apply([ev.SeedRecorded(at(1), Epoch(C), ROOT)])
    assert settling.seeds_due(w, book, Epoch(C + 1), 8) == []
