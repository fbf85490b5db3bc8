"""World: events in, the same facts out, whatever the batches they come in."""

from __future__ import annotations

from scene import (
    ME,
    POOL,
    ROOT,
    appealed,
    at,
    committed,
    judged,
    operator,
    pool_of,
    posted,
    registered,
    resolved,
    revealed,
    settled,
    world,
)

from nodeagent.chain import events as ev
from nodeagent.protocol.settlement import SettledLeaf
from nodeagent.protocol.types import Epoch, JobId, NodeId, PoolId, Shard


def test_apply__seats_and_pauses__the_seat_list_of_each_epoch() -> None:
    w = world([*pool_of(3), ev.NodePaused(at(40), NodeId(2), Epoch(5)), ev.NodeResumed(at(70), NodeId(2), Epoch(8))])
    assert [w.seats.nodes_at(Epoch(e)) for e in (1, 2, 5, 8)] == [set(), {1, 2, 3}, {1, 3}, {1, 2, 3}]


def test_apply__other_pool__ignored() -> None:
    w = world(pool_of(2))
    w.apply(
        [
            ev.SeatTaken(at(9), PoolId(2), NodeId(9), 0, Epoch(2), Epoch(2)),
            posted(7, pool=PoolId(2)),
            revealed(9, 100, {}),
        ]
    )
    assert w.seats.nodes_at(Epoch(3)) == {1, 2} and not w.jobs and not w.opened


def test_apply__cancelled__fewer_tasks_but_the_manifests_number_stays() -> None:
    w = world([posted(1, tasks=8), ev.JobCancelled(at(95), JobId(1), 4, 0)])
    assert (w.jobs[JobId(1)].terms.tasks, w.jobs[JobId(1)].posted_tasks) == (4, 8)


def test_is_sealed__committed_then_opened() -> None:
    w = world(pool_of(2))
    assert w.is_sealed(ME, Epoch(100)), "until the lanes were read anybody may have committed"
    committed(w, 100, 1)
    assert w.is_sealed(ME, Epoch(100)) and not w.is_sealed(NodeId(2), Epoch(100))
    w.apply([revealed(1, 100, {(1, 0): ROOT})])
    assert not w.is_sealed(ME, Epoch(100)) and w.opened[Epoch(100)][ME].delay == 1


def test_apply__revealed_late__delay_in_epochs() -> None:
    w = world([*pool_of(1), revealed(1, 100, {}, block=1030)])
    assert w.opened[Epoch(100)][ME].delay == 3 and w.opened[Epoch(100)][ME].leaves == ()


def test_paused_for_fault__only_when_the_chain_did_it() -> None:
    w = world([*pool_of(2), ev.NodePaused(at(40), ME, Epoch(5))])
    assert w.paused and not w.paused_for_fault, "its operator paused it"
    w.apply([ev.NodeResumed(at(60), ME, Epoch(7))])
    tx = "0x" + "77" * 32
    w.apply([ev.AbsentMarked(at(80, tx), ME, Epoch(6)), ev.NodePaused(at(80, tx), ME, Epoch(9))])
    assert w.paused_for_fault


def test_apply__settled__each_shard_knows_its_call() -> None:
    leaves = (SettledLeaf(JobId(1), Shard(0), 0, 7, ROOT), SettledLeaf(JobId(1), Shard(1), 0, 3, ROOT))
    w = world([posted(1), settled(1025, *leaves)])
    where = w.settled[JobId(1), Shard(1)]
    assert (where.index, where.epoch, where.leaf) == (1, 102, leaves[1])


def test_prune__old_epochs_and_dead_jobs__gone() -> None:
    w = world([*pool_of(2), posted(1), posted(2), ev.SeedRecorded(at(1), Epoch(90), ROOT)])
    committed(w, 90, 1)
    committed(w, 100, 1)
    w.apply([settled(1025, SettledLeaf(JobId(1), Shard(0), 0, 7, ROOT))])
    w.prune(Epoch(95), [JobId(1)])
    assert set(w.committed) == {100} and set(w.jobs) == {2} and not w.settled and not w.seeds_on_chain


def test_over__closable_or_closed() -> None:
    w = world([posted(1)])
    job = w.jobs[JobId(1)]
    assert not w.over(job, Epoch(20), 8, 4) and w.over(job, Epoch(100), 8, 4)
    w.apply([ev.JobClosed(at(999), JobId(1), 0)])
    assert w.over(w.jobs[JobId(1)], Epoch(20), 8, 4)


def test_apply__endpoints_and_key__latest_counts() -> None:
    w = world(
        [
            *registered(1),
            ev.NodeAnnounced(at(6), ME, "http://a", bytes(32)),
            ev.NodeAnnounced(at(7), ME, "http://b", bytes(32)),
        ]
    )
    assert w.node_endpoints[ME] == "http://b" and w.key == "0xkey1" and w.pool == POOL
    w.apply([ev.KeyReplaced(at(8), ME, "0xkey1", "0xnew")])
    assert w.key == "0xnew"


def test_finished__own_case_outlives_its_job__no_fault() -> None:
    w = world([*pool_of(8), posted(1, appeal_epochs=6, tasks=2000, pace=1)])
    w.apply([settled(125, SettledLeaf(JobId(1), Shard(0), 0, 3, ROOT))])
    w.apply([*appealed(w, 140, shard=0), judged(175, ROOT), resolved(178, ROOT, False, shard=0)])
    now = Epoch(14 + 3 * 3 + 8 + 4 + 2 + 128)
    dead = w.finished(now, 8, 4, 128)
    assert dead == [9]
    w.prune(Epoch(now - 130), dead)
    assert w.finished(Epoch(now + 1), 8, 4, 128) == []


def test_rank__nodes_of_one_operator__their_place_among_them() -> None:
    events = [e for e in pool_of(4) if not isinstance(e, ev.NodeRegistered)]
    for node, by in ((1, 1), (2, 3), (3, 1), (4, 1)):
        events.append(ev.NodeRegistered(at(5), NodeId(node), operator(by).upper(), POOL, f"0xkey{node}"))
    assert [world(events, node).rank for node in (1, 2, 3, 4)] == [0, 0, 1, 2]
    assert world(events).nodes_of(operator(1)) == [1, 3, 4]
