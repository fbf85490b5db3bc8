"""The courtroom with many shards and one purse: money of the wrong members, bonds and losses are counted once.

money      of the wrong members, by open cases of anybody and by appeals on their way
bonds      on their way, until they were pulled
losses     and open cases, for a ring of epochs
"""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from courtscene import CASE, KEY, NOW, RING, Chain, room, scene, tick, with_case
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
from nodeagent.protocol.settlement import SettledLeaf
from nodeagent.protocol.types import Epoch, JobId, NodeId, Shard
from nodeagent.worker.appealbook import LOST, Appeal, AppealBook
from nodeagent.worker.appeals import Policy
from nodeagent.worker.courtroom import Courtroom, Recheck
from nodeagent.worker.draws import DrawBook
from nodeagent.worker.world import World

LIARS = 7, 8
FREE = Policy(max_lost=1_000)


def many(shards: int, pace: int) -> tuple[World, DrawBook]:
    """``shards`` shards, ``pace`` an epoch, all settled with what the two liars opened."""
    w = world([*pool_of(8), posted(1, appeal_epochs=6, committee=8, quorum=5, tasks=2 * shards, pace=pace)])
    book = DrawBook(w, seeds(*range(9, 30)))
    leaves = []
    for shard in range(shards):
        draw = book.get(w.jobs[JobId(1)], Shard(shard), 0)
        assert draw is not None
        slots = sum(1 << draw.slots.index(NodeId(n)) for n in LIARS)
        leaves.append(SettledLeaf(JobId(1), Shard(shard), 0, slots, ROOT))
    for commit in range(10, 10 + -(-shards // pace)):
        mine = {(1, s): OTHER_ROOT for s in range(shards) if 10 + s // pace == commit}
        w.apply([revealed(ME, commit, mine)])
        committed(w, commit, *range(1, 9))
    w.apply([settled(1125, *leaves)])
    return w, book


def appeal_all(r: Courtroom, w: World, book: DrawBook) -> None:
    for again in tick(r, w, book):
        r.computed((again.job, again.shard), OTHER_ROOT)
    assert len(r.book.all()) > 1
    tick(r, w, book)


def test_tick__ten_shards_of_one_lane_against_two_liars__their_money_is_counted_once(tmp_path: Path) -> None:
    chain, (w, book) = Chain(), many(10, pace=10)
    r = room(chain, tmp_path, FREE)
    appeal_all(r, w, book)
    assert chain.sent() == ["appeal"], "a second would win 24 of pay for a bond of 121"
    w.apply(appealed(w, 1140, shard=0))
    for block in (1141, 1151):
        tick(r, w, book, block)
    assert chain.sent() == ["appeal"], "nor once the case is open"
    found = r.book.get((JobId(1), Shard(9)))
    assert found is not None and "not worth a bond of 121" in found.why


def test_tick__ten_shards_of_ten_lanes__counts_no_more_than_the_slashes_leave(tmp_path: Path) -> None:
    chain, (w, book) = Chain(), many(10, pace=1)
    chain.stake = 20_000
    r = room(chain, tmp_path, replace(FREE, confidence=1.0, ether_price=0.0))
    appeal_all(r, w, book)
    # the lanes bring 2,000, 1,000, 500, 250, 124, 62 … of what is left of two stakes; each appeal has to beat 121 - 24
    assert chain.sent() == ["appeal"] * 5


def test_tick__a_rivals_case_takes_the_liars_money__no_appeal_of_another_shard(tmp_path: Path) -> None:
    chain, (w, book) = Chain(), many(2, pace=2)
    w.apply(appealed(w, 1129, shard=0, by=2))
    r = room(chain, tmp_path, FREE)
    assert tick(r, w, book) == [], "it is not even computed"
    w.apply([ev.EndedWithoutVerdict(at(1131), JobId(1), Shard(0), CASE, 600)])
    assert tick(r, w, book, NOW + EB) == [Recheck(JobId(1), Shard(1), 1185)]


@pytest.mark.parametrize("purse", ["allowance(address,address)", "balanceOf(address)"])
def test_tick__purse_for_one_bond__one_appeal_leaves(tmp_path: Path, purse: str) -> None:
    chain, (w, book) = Chain(), many(3, pace=1)
    chain.says[purse] = 2 * 121 - 1
    r = room(chain, tmp_path, FREE)
    appeal_all(r, w, book)
    assert chain.sent() == ["appeal"]
    tick(room(chain, tmp_path, FREE), w, book, NOW + EB)
    assert chain.sent() == ["appeal"], "still in flight, after a restart too"
    chain.says[purse] = 2 * 121
    tick(r, w, book, NOW + 2 * EB)
    assert chain.sent() == ["appeal"] * 2


def test_tick__bond_was_pulled__no_longer_kept_back(tmp_path: Path) -> None:
    chain, (w, book) = Chain(), many(2, pace=1)
    chain.says["allowance(address,address)"] = 121
    r = room(chain, tmp_path, FREE)
    appeal_all(r, w, book)
    w.apply(appealed(w, 1131, shard=0))
    tick(r, w, book, NOW + EB)
    assert chain.sent() == ["appeal"] * 2


@pytest.mark.parametrize("most", [1, 2])
def test_tick__open_cases__count_towards_the_limit(tmp_path: Path, most: int) -> None:
    chain, (w, book) = Chain(), many(3, pace=1)
    r = room(chain, tmp_path, Policy(max_lost=most, confidence=1.0))
    appeal_all(r, w, book)
    assert chain.sent() == ["appeal"] * most
    w.apply(appealed(w, 1131, shard=0))
    tick(r, w, book, NOW + EB)
    assert chain.sent() == ["appeal"] * most
    w.apply([judged(1142, OTHER_ROOT), resolved(1145, OTHER_ROOT, True, shard=0)])
    tick(r, w, book, NOW + 2 * EB)
    assert chain.sent() == ["appeal"] * (most + 1), "a won one counts no more"


@pytest.mark.parametrize("verdict", [ROOT, None])
def test_tick__lost_by_verdict_or_without__counts_for_a_ring_of_epochs(tmp_path: Path, verdict: bytes | None) -> None:
    _, w, book, r = with_case(tmp_path)
    if verdict is None:
        w.apply([ev.EndedWithoutVerdict(at(1174), *KEY, CASE, 600)])
    else:
        w.apply([judged(1172, verdict), resolved(1174, verdict, False)])
    for block in (1175, 1185):  # written down once
        tick(r, w, book, block)
    assert (r.book.lost(Epoch(117)), r.book.lost(Epoch(118))) == ({KEY}, set())


@pytest.mark.parametrize(("age", "sent"), [(RING - 1, []), (RING, ["appeal"])])
def test_tick__an_old_loss__is_forgiven_after_a_ring(tmp_path: Path, age: int, sent: list[str]) -> None:
    chain, (w, book) = Chain(), scene()
    r = room(chain, tmp_path)
    r.book.put(Appeal(JobId(7), Shard(0), OTHER_ROOT, OTHER_ROOT, LOST, "", Epoch(NOW // EB - age)))
    tick(r, w, book)
    r.computed(KEY, OTHER_ROOT)
    tick(r, w, book)
    assert chain.sent() == sent


def test_tick__shards_weighed_in_epochs_past__are_forgotten(tmp_path: Path) -> None:
    chain, (w, book) = Chain(), scene()
    r = room(chain, tmp_path)
    tick(r, w, book)
    assert r._weighed == {KEY: NOW // EB}
    tick(r, w, book, 2_000)
    assert r._weighed == {}


def test_book__of_an_older_agent__gets_its_column_and_its_losses_are_long_ago(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "agent.db")
    connection.execute(
        "CREATE TABLE appeals(job INTEGER NOT NULL, shard INTEGER NOT NULL, own BLOB NOT NULL, again BLOB,"
        " state TEXT NOT NULL, why TEXT NOT NULL, PRIMARY KEY(job, shard))"
    )
    connection.execute("INSERT INTO appeals VALUES (1, 2, ?, NULL, 'lost', '')", (OTHER_ROOT,))
    for _ in range(2):
        book = AppealBook(connection)
        assert book.get(KEY) == Appeal(*KEY, OTHER_ROOT, None, LOST) and not book.lost(Epoch(1))
    book.put(Appeal(*KEY, OTHER_ROOT, None, LOST, "", Epoch(9)))
    assert book.lost(Epoch(9)) == {KEY} and book.get((JobId(1), Shard(3))) is None


def test_tick__ten_shards_of_one_lane_and_an_operator_who_pays__all_are_appealed(tmp_path: Path) -> None:
    chain, (w, book) = Chain(), many(10, pace=10)
    appeal_all(room(chain, tmp_path, replace(FREE, max_cost=10**12, confidence=1.0)), w, book)
    assert chain.sent() == ["appeal"] * 10


@pytest.mark.parametrize(("ether", "sent"), [(1e-30, []), (0.0, ["appeal"]), (1.0, ["appeal"])])
def test_tick__gas_against_the_expected_return__only_what_brings_more(
    tmp_path: Path, ether: float, sent: list[str]
) -> None:
    """The dearer ether is in stake, the more an appeal must bring; without a price it is not compared."""
    chain, (w, book) = Chain(), scene()
    r = room(chain, tmp_path, Policy(ether_price=ether))
    for again in tick(r, w, book):
        r.computed((again.job, again.shard), OTHER_ROOT)
    tick(r, w, book)
    assert chain.sent() == sent
    known = r.book.get(KEY)
    assert known is not None and ("its gas" in known.why) == (not sent)


def test_tick__gas_falls__the_appeal_leaves_in_a_later_epoch(tmp_path: Path) -> None:
    chain, (w, book) = Chain(), scene()
    r = room(chain, tmp_path, Policy(ether_price=1e-30))
    for again in tick(r, w, book):
        r.computed((again.job, again.shard), OTHER_ROOT)
    tick(r, w, book)
    assert chain.sent() == []
    r.policy = Policy(ether_price=1.0)
    tick(r, w, book, NOW + EB)
    assert chain.sent() == ["appeal"]


def siblings(node: int, shards: int) -> tuple[World, DrawBook]:
    """``many``, where nodes 1 and 2 are one operator's and were outvoted alike, as ``node`` sees it."""
    w, _ = many(shards, pace=1)
    for commit in range(10, 10 + shards):
        w.apply([revealed(2, commit, {(1, commit - 10): OTHER_ROOT})])
    w.members[NodeId(2)], w.operator, w.node = w.operator, w.members[ME], NodeId(node)
    return w, DrawBook(w, seeds(*range(9, 30)))


def outvoted_and_sure(r: Courtroom, w: World, book: DrawBook, block: int = NOW) -> None:
    for again in tick(r, w, book, block):
        r.computed((again.job, again.shard), OTHER_ROOT)
    tick(r, w, book, block)


def test_tick__two_nodes_of_one_operator__one_appeals_and_the_other_sees_it(tmp_path: Path) -> None:
    chains = Chain(), Chain()
    first, second = (room(chain, tmp_path / str(n), Policy(confidence=1.0)) for n, chain in enumerate(chains))
    outvoted_and_sure(first, *siblings(1, 3))
    w, book = siblings(2, 3)
    outvoted_and_sure(second, w, book)
    tick(second, w, book, NOW + 1)
    assert chains[0].sent() == ["appeal"] and chains[1].sent() == []
    w.apply(appealed(w, NOW + 1))
    outvoted_and_sure(second, w, book, NOW + 2)
    assert chains[1].sent() == [], "its sibling's is open, and appeal_max_lost is 1"


def test_tick__sibling_is_away__its_turn_comes(tmp_path: Path) -> None:
    chain, (w, book) = Chain(), siblings(2, 1)
    r = room(chain, tmp_path)
    outvoted_and_sure(r, w, book)
    assert chain.sent() == []
    tick(r, w, book, NOW + 2)
    assert chain.sent() == ["appeal"]


def test_tick__sibling_lost_of_late__counts_for_a_ring_here_too(tmp_path: Path) -> None:
    chain, (w, book) = Chain(), siblings(1, 3)
    w.apply([*appealed(w, NOW - 8), judged(NOW - 4, ROOT), resolved(NOW - 2, ROOT, False)])
    r = room(chain, tmp_path, Policy(confidence=1.0))
    assert r.book.lost(Epoch(0)) == set()
    outvoted_and_sure(r, w, book)
    assert chain.sent() == []
    outvoted_and_sure(room(chain, tmp_path / "two", Policy(confidence=1.0, max_lost=2)), w, book)
    assert chain.sent() == ["appeal"]
