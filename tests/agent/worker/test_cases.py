"""A case in the agent's world: an ordinary job with another job's payload, and who may not judge it."""

from __future__ import annotations

from typing import Any

from scene import (
    ME,
    OTHER_ROOT,
    ROOT,
    appealed,
    at,
    judged,
    operator,
    pool_of,
    posted,
    registered,
    resolved,
    revealed,
    seeds,
    settled,
    world,
)

from nodeagent.chain import events as ev
from nodeagent.protocol.epochs import closable_from
from nodeagent.protocol.settlement import SettledLeaf
from nodeagent.protocol.types import Epoch, JobId, NodeId, Shard
from nodeagent.worker import settling
from nodeagent.worker.admission import Admission
from nodeagent.worker.compute import Order, Warm
from nodeagent.worker.draws import DrawBook, draws_in
from nodeagent.worker.views import duties, sources, spent
from nodeagent.worker.world import World

CASE = JobId(9)
START = Epoch(115)  # of the case's first attempt: appealed in a block that counts for 114


def court(pool: int = 8, **terms: Any) -> World:
    """Shard 2 of job 1 was settled by nodes 1 to 3 and appealed by node 1 in block 1140."""
    w = world([*pool_of(pool), posted(1, appeal_epochs=6, **terms)])
    w.apply([settled(1125, SettledLeaf(JobId(1), Shard(2), 0, 7, ROOT))])
    w.apply(appealed(w, 1140))
    return w


# --- payload ----------------------------------------------------------------------------------------------------------


def test_payload__of_a_case__the_appealed_shard_with_its_own_task_numbers() -> None:
    w = court(tasks=7, shard_size=2)
    case, original = w.jobs[CASE], w.jobs[JobId(1)]
    order = Order(case, Shard(0), 1, ())
    assert order.payload == (original, 2) and order.first == 4
    assert (case.manifest, case.units, case.unit_price) == (original.manifest, original.units, original.unit_price)
    assert (case.terms.tasks, case.terms.shards, case.terms.committee, case.terms.quorum) == (2, 1, 5, 4)
    assert Warm(case, 1, ()).payload[0] == original


def test_payload__of_a_case_about_the_last_shard__is_as_short() -> None:
    w = world([*pool_of(8), posted(1, appeal_epochs=6, tasks=7, shard_size=2)])
    w.apply([settled(1125, SettledLeaf(JobId(1), Shard(3), 0, 7, ROOT))])
    w.apply(appealed(w, 1140, shard=3))
    assert w.jobs[CASE].terms.tasks_in(Shard(0)) == 1 and Order(w.jobs[CASE], Shard(0), 1, ()).first == 6


def test_payload__of_an_ordinary_job__itself() -> None:
    w = court()
    job = w.jobs[JobId(1)]
    assert Order(job, Shard(3), 1, ()).payload == (job, 3) and Order(job, Shard(3), 1, ()).first == 6


def test_sources__of_a_case__the_requester_of_the_appealed_job_first() -> None:
    w = court()
    w.apply([ev.EndpointAnnounced(at(91), "0x" + "aa" * 20, "http://requester")])
    w.apply([ev.NodeAnnounced(at(92), NodeId(2), "http://two", bytes(32))])
    assert sources(w, w.jobs[CASE], "http://own") == ("http://requester", "http://two")


def test_sources__of_a_case__accuser_and_outvoted_first_then_who_outvoted_it() -> None:
    w = court()
    w.apply([ev.NodeAnnounced(at(91), NodeId(n), f"http://n{n}", bytes(32)) for n in range(1, 8)])
    w.apply([ev.EndpointAnnounced(at(91), "0x" + "aa" * 20, "http://requester")])
    w.apply([revealed(node, 110, {(1, 2): root}) for node, root in ((1, ROOT), (2, ROOT), (3, OTHER_ROOT))])
    w.apply([revealed(7, 110, {(1, 2): OTHER_ROOT})])
    w.node = NodeId(4)
    order = ("n1", "n3", "n2", "requester", "n5", "n6", "n7")  # the accuser is node 1's operator
    assert sources(w, w.jobs[CASE], "http://n4") == tuple(f"http://{name}" for name in order)
    assert sources(w, w.jobs[JobId(1)], "http://n4")[0] == "http://requester", "other orders have no sides"


def test_spent__a_case_is_left__the_appealed_jobs_payload_is_still_needed() -> None:
    w = court()
    manifest = w.jobs[JobId(1)].manifest
    assert spent(w, [JobId(1)]) == spent(w, [CASE]) == frozenset() and spent(w, [JobId(1), CASE]) == {manifest}


# --- draw -------------------------------------------------------------------------------------------------------------


def test_draws_in__a_case__nobody_of_the_appealed_committee() -> None:
    w = court()
    for seed in seeds(*range(20)).values():
        (draw,) = draws_in(w, START, seed)
        assert set(draw.slots) == {4, 5, 6, 7, 8} and (draw.job, draw.shard, draw.commit) == (CASE, 0, START)


def test_draws_in__a_case__nobody_who_took_the_seat_once_the_attempt_had_begun() -> None:
    w = court()
    w.apply([*registered(9, since=9), *registered(10, since=10)])
    drawn: set[int] = set()
    for seed in seeds(*range(40)).values():
        drawn |= set(draws_in(w, START, seed)[0].slots)
    assert drawn == {4, 5, 6, 7, 8, 9}, "attempt 0 began in epoch 10"


def test_draws_in__a_moved_seat__is_as_old_as_before_the_move() -> None:
    w = court()
    moved = Epoch(40)
    w.apply(
        [ev.SeatEnded(at(200), w.pool, NodeId(7), 6, Epoch(20)), ev.SeatEnded(at(300), w.pool, NodeId(8), 7, moved)]
    )
    w.apply([ev.SeatTaken(at(300), w.pool, NodeId(8), 6, moved, Epoch(2)), ev.ListResized(at(300), w.pool, 7, moved)])
    drawn: set[int] = set()
    for seed in seeds(*range(20)).values():
        drawn |= set(draws_in(w, START, seed)[0].slots)
    assert drawn == {0, 4, 5, 6, 8}, "the fifth slot is void: node 7 has left"


def test_draws_in__seats_taken_since__do_not_dilute_the_court() -> None:
    w = court()
    w.apply([event for node in range(9, 200) for event in registered(node, since=11)])
    for seed in seeds(*range(20)).values():
        assert set(draws_in(w, START, seed)[0].slots) == {4, 5, 6, 7, 8}


def test_duties__drawn_as_judge__like_any_other() -> None:
    w = court()
    w.node = NodeId(4)
    book = DrawBook(w, seeds(START))
    book.update(START)
    (duty,) = duties(w, book, START, Admission())
    assert (duty.key, duty.commit, duty.wanted) == ((CASE, 0), START, True)
    assert not duties(w, book, START, Admission(2))[0].wanted, "its own price filter counts here too"


def test_candidates__judges_agree__the_case_is_settled_like_any_shard() -> None:
    w = court()
    book = DrawBook(w, seeds(START))
    w.apply([revealed(n, START, {(9, 0): ROOT}) for n in (4, 5, 6)])
    assert settling.candidates(w, book, Epoch(START + 2), 8) == []
    w.apply([revealed(7, START, {(9, 0): ROOT})])
    (one,) = settling.candidates(w, book, Epoch(START + 2), 8)
    assert (one.draw.job, one.root, set(one.agreeing)) == (CASE, ROOT, {4, 5, 6, 7})


# --- what became of it ------------------------------------------------------------------------------------------------


def test_apply__resolved__verdict_and_the_epoch_in_which_it_settled() -> None:
    w = court()
    case = w.cases[JobId(1), Shard(2)]
    assert case.open and case.by(operator(ME).upper().replace("0X", "0x")) and not case.by(operator(2))
    w.apply([judged(1175, OTHER_ROOT), resolved(1201, OTHER_ROOT, True)])
    case = w.cases[JobId(1), Shard(2)]
    assert (case.verdict, case.ended, case.open, case.overturned) == (OTHER_ROOT, 117, False, True)


def test_apply__no_verdict_then_closed__not_open_and_not_overturned() -> None:
    w = court()
    w.apply([ev.EndedWithoutVerdict(at(1400), JobId(1), Shard(2), CASE, 600)])
    case = w.cases[JobId(1), Shard(2)]
    assert not case.open and case.burned and not case.overturned and case.verdict is None


def test_apply__case_about_an_unknown_job__ignored() -> None:
    w, other = world(pool_of(8)), court()
    w.apply(appealed(other, 1140))
    assert not w.jobs and not w.cases


def test_finished__own_case_not_closed__its_jobs_wait_a_ring_for_the_rest_of_the_bond() -> None:
    w, ring = court(), 40
    last = closable_from(w.jobs[CASE].terms, 8, 4)
    assert w.finished(Epoch(last + ring - 1), 8, 4, ring) == []
    assert w.finished(Epoch(last + ring), 8, 4, ring) == [JobId(1), CASE]
    w.operator = operator(2)
    assert w.finished(last, 8, 4, ring) == [JobId(1), CASE], "nobody else waits"


def test_prune__the_appealed_job_is_over__its_case_goes_with_it() -> None:
    w = court()
    w.prune(Epoch(90), [CASE])
    assert (JobId(1), Shard(2)) in w.cases, "the accuser still has to close it"
    w.prune(Epoch(90), [JobId(1)])
    assert not w.cases
