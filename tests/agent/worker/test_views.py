"""Passes, filters, sources and the pace of blocks."""

from __future__ import annotations

from dataclasses import replace

import pytest
import structlog
from scene import ME, ROOT, appealed, at, pool_of, posted, revealed, seeds, settled, world

from nodeagent.chain import events as ev
from nodeagent.protocol.settlement import SettledLeaf
from nodeagent.protocol.types import Epoch, JobId, NodeId, Shard
from nodeagent.worker.admission import Admission
from nodeagent.worker.draws import DrawBook
from nodeagent.worker.ledger import Result
from nodeagent.worker.lifecycle import Lane
from nodeagent.worker.views import MAX_TRIES, Pace, Passes, PassLog, answered, duties, own_lanes, sources, spent

KEY = (JobId(1), Shard(0))


def test_passes__transient__rests_then_tries_again() -> None:
    passes = Passes()
    passes.add(KEY, "no source", False, block=100, deadline=107)
    assert passes.resting(KEY, 101) and not passes.resting(KEY, 102) and KEY not in passes.given_up(101)


def test_passes__tried_often__given_up_until_the_attempt_is_over() -> None:
    passes = Passes()
    for _ in range(MAX_TRIES):
        passes.add(KEY, "no source", False, block=100, deadline=107)
    assert KEY in passes.given_up(106) and KEY not in passes.given_up(107)


def test_passes__out_of_time__a_later_attempt_is_not_harmed() -> None:
    passes = Passes()
    for _ in range(2 * MAX_TRIES):
        passes.add(KEY, "its time is over", False, block=107, deadline=107)
    assert passes.given_up(107) == frozenset() and not passes.resting(KEY, 108)


def test_passes__job_at_fault__given_up_for_good_until_the_job_is_forgotten() -> None:
    passes = Passes()
    passes.add(KEY, "manifest", True, block=100, deadline=107)
    assert KEY in passes.given_up(10**9)
    passes.forget([JobId(1)])
    assert passes.given_up(100) == frozenset()


def test_pass_log__reasons__each_is_said_once_and_the_last_are_shown() -> None:
    told = PassLog()
    with structlog.testing.capture_logs() as logs:
        told.note((JobId(1), None), "requester")
        told.note((JobId(1), None), "requester")
        told.note((JobId(2), Shard(3)), "hours")
        told.note((JobId(2), Shard(3)), "battery")
    assert [(e["event"], e["job"], e["shard"], e["reason"]) for e in logs] == [
        ("job_passed", 1, None, "requester"),
        ("shard_passed", 2, 3, "hours"),
        ("shard_passed", 2, 3, "battery"),
    ]
    assert told.shown() == [
        {"job": 1, "shard": None, "reason": "requester"},
        {"job": 2, "shard": 3, "reason": "battery"},
    ]
    for job in range(100):
        told.note((JobId(job), None), "requester")
    assert [row["job"] for row in told.shown()] == list(range(80, 100))


def test_duties__cheap_job__unwanted_but_still_a_duty() -> None:
    w = world([*pool_of(3), posted(1, price=1)])
    book = DrawBook(w, seeds(10))
    book.update(Epoch(10))
    assert [d.wanted for d in duties(w, book, Epoch(10), Admission(2))] == [False] * 4
    assert [d.wanted for d in duties(w, book, Epoch(10), Admission(1))] == [True] * 4


def test_duties__settled_meanwhile__none_left() -> None:
    w = world([*pool_of(3), posted(1)])
    book = DrawBook(w, seeds(10))
    book.update(Epoch(10))
    w.apply([settled(105, *(SettledLeaf(JobId(1), Shard(s), 0, 7, ROOT) for s in range(4)))])
    assert duties(w, book, Epoch(10), Admission()) == ()


def test_duties__earlier_attempt_has_a_quorum__passed_on() -> None:
    w = world([*pool_of(3), posted(1)])
    w.apply([revealed(node, 10, {(1, 0): ROOT}) for node in (1, 2)])
    book = DrawBook(w, seeds(10, 13))
    book.update(Epoch(13))
    assert {d.shard: d.wanted for d in duties(w, book, Epoch(13), Admission())} == {0: False, 1: True, 2: True, 3: True}


def test_own_lanes__words__only_those_of_their_epoch() -> None:
    words = {
        Epoch(8): 8 << 224 | 2 << 216 | 1,  # opened two epochs later
        Epoch(9): 9 << 224 | 0x10 << 216 | 1,  # reported as unrevealed: it cannot be opened any more
        Epoch(10): 10 << 224 | 1,
        Epoch(11): 3 << 224 | 1,  # the ring slot still holds another epoch
        Epoch(12): 0,
    }
    assert own_lanes(words) == {8: Lane.OPEN, 9: Lane.OPEN, 10: Lane.SEALED}


def test_sources__requester_first_never_oneself() -> None:
    w = world([*pool_of(3), posted(1)])
    job = w.jobs[JobId(1)]
    w.apply([ev.NodeAnnounced(at(1), NodeId(n), f"http://n{n}", bytes(32)) for n in (1, 2, 3)])
    w.apply([ev.EndpointAnnounced(at(1), job.requester, "http://req")])
    assert sources(w, job, "http://n1") == ("http://req", "http://n2", "http://n3") and w.node == ME


def test_sources__any_node__a_circle_that_begins_after_it_and_who_has_no_seat_last() -> None:
    named = [ev.NodeAnnounced(at(1), NodeId(n), f"http://n{n}", bytes(32)) for n in (90, 1, 2, 3, 4, 91)]
    found = {}
    for node in (1, 3):
        w = world([*pool_of(4), posted(1), *named], node=node)
        found[node] = sources(w, w.jobs[JobId(1)], f"http://n{node}")
    assert found[1] == ("http://n2", "http://n3", "http://n4", "http://n90", "http://n91")
    assert found[3] == ("http://n4", "http://n1", "http://n2", "http://n90", "http://n91")


def test_spent__dead_jobs__their_manifests_unless_a_job_that_is_left_has_the_same() -> None:
    again = replace(posted(3), manifest=bytes([1]) * 32)
    w = world([posted(1), posted(2), again])
    assert spent(w, [JobId(1), JobId(2)]) == {bytes([2]) * 32}
    assert spent(w, [JobId(1), JobId(3)]) == {bytes([1]) * 32} and spent(w, []) == frozenset()


def test_pace__steady_blocks__learns_their_length() -> None:
    pace = Pace()
    for n in range(30):
        pace.saw(n, 0.25 * n)
    assert pace.block_s == pytest.approx(0.25) and pace.poll(0.0) == pytest.approx(0.0625)
    assert pace.poll(3.0) == 3.0


@pytest.mark.parametrize(
    ("block_s", "blocks", "seconds", "expected"),
    [(12.0, 2, 0.5, 2), (0.1, 2, 0.5, 5), (0.01, 2, 0.5, 6), (1.0, 1, 0.0, 1)],
)
def test_margin__fast_blocks__more_of_them_but_never_the_whole_epoch(
    block_s: float, blocks: int, seconds: float, expected: int
) -> None:
    assert Pace(block_s).margin(blocks, seconds, 10) == expected


def test_answered__number_that_is_another_job_after_a_reorganisation__is_computed_anew() -> None:
    before = world([posted(1)])
    result = Result(*KEY, ROOT, before.jobs[KEY[0]].question(KEY[1]), "bafk", 10, 2)
    assert answered(before, {KEY: result}) == {KEY}
    assert answered(world([replace(posted(1), manifest=b"\x77" * 32)]), {KEY: result}) == frozenset()
    assert answered(world(), {KEY: result}) == frozenset()


def test_question__case__asks_what_the_appealed_shard_asked() -> None:
    w = world([*pool_of(8), posted(1, appeal_epochs=6), settled(125, SettledLeaf(JobId(1), Shard(2), 0, 3, ROOT))])
    w.apply(appealed(w, 130))
    job, case = w.jobs[JobId(1)], w.jobs[JobId(9)]
    assert case.question(Shard(0)) == job.question(Shard(2)) != job.question(Shard(0))
