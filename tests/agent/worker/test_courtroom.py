"""The courtroom: what leaves the node, when, and that neither a restart nor a rival makes it leave twice.

outvoted → compute again → appeal       each step on disk before the next
restart    at any point                 goes on where it stopped
many       shards, one purse            money of the wrong members, bonds and losses are counted once
rival      appealed first               nothing is sent, or what was sent fails and is not sent again
the end    resolve, by the accuser at once and by others in turn; the rest comes back when claims are over
"""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from courtscene import RING, Chain, room
from eth_abi.abi import encode
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
from nodeagent.chain.abi import load_abi
from nodeagent.chain.errors import RpcError
from nodeagent.protocol.keccak import keccak
from nodeagent.protocol.settlement import SettledLeaf
from nodeagent.protocol.types import Epoch, JobId, NodeId, Shard
from nodeagent.worker.appealbook import LOST, OUTVOTED, SENT, TAKEN, WON, Appeal, AppealBook
from nodeagent.worker.appeals import Policy
from nodeagent.worker.courtroom import Courtroom, Recheck, ready_block, resolve_rank
from nodeagent.worker.draws import DrawBook
from nodeagent.worker.ledger import Ledger
from nodeagent.worker.world import World

KEY = (JobId(1), Shard(2))
CASE = JobId(9)
COURT = "0x" + "44" * 20
NOW = 1130  # a block in which an appeal counts


def scene(mine: bytes = OTHER_ROOT) -> tuple[World, DrawBook]:
    """Shard 2 settled in epoch 112 with what nodes 2 and 3 opened; this node opened ``mine``."""
    w = world([*pool_of(8), posted(1, appeal_epochs=6, committee=8, quorum=5)])
    w.apply([revealed(n, 10, {(1, 2): mine if n == ME else ROOT}) for n in range(1, 9)])
    w.apply([settled(1125, SettledLeaf(*KEY, 0, 6, ROOT))])
    committed(w, 10, *range(1, 9))
    return w, DrawBook(w, seeds(*range(9, 30)))


def tick(r: Courtroom, w: World, book: DrawBook, block: int = NOW) -> list[Recheck]:
    r.sender.turn(Epoch(block // EB), 7)
    found = r.tick(w, book, block)
    r.hands.outbox.tick(0, 7)
    return found


# --- appeal -----------------------------------------------------------------------------------------------------------


def test_tick__outvoted__computes_again_and_appeals_once(tmp_path: Path) -> None:
    chain, (w, book) = Chain(), scene()
    r = room(chain, tmp_path)
    assert tick(r, w, book) == [Recheck(*KEY, 1185)], "the last block that counts for epoch 118"
    assert chain.sent() == []
    r.computed(KEY, OTHER_ROOT)
    for block in (NOW, NOW + 1, NOW + EB):
        assert tick(r, w, book, block) == []
    assert chain.sent() == ["appeal"]
    w.apply(appealed(w, 1140))
    tick(r, w, book, 1141)
    assert chain.sent() == ["appeal"]
    found = r.book.get(KEY)
    assert found is not None and (found.state, found.own, found.again) == (SENT, OTHER_ROOT, OTHER_ROOT)


def test_tick__restarted_after_every_step__forgets_nothing_and_appeals_once(tmp_path: Path) -> None:
    chain, (w, book) = Chain(), scene()
    assert tick(room(chain, tmp_path), w, book)
    assert tick(room(chain, tmp_path), w, book), "not computed yet: asked for again"
    room(chain, tmp_path).computed(KEY, OTHER_ROOT)
    assert tick(room(chain, tmp_path), w, book) == [], "computed: not asked for again"
    for block in (NOW, NOW + EB, NOW + 2 * EB):
        assert tick(room(chain, tmp_path), w, book, block) == []
    assert chain.sent() == ["appeal"]


def test_tick__killed_between_the_decision_and_the_call__appeals_after_the_restart(tmp_path: Path) -> None:
    chain, (w, book) = Chain(), scene()
    room(chain, tmp_path).book.put(Appeal(*KEY, OTHER_ROOT, OTHER_ROOT, SENT, "the answer stands"))
    tick(room(chain, tmp_path), w, book)
    assert chain.sent() == ["appeal"]


def test_tick__own_answer_falls__never_appeals(tmp_path: Path) -> None:
    chain, (w, book) = Chain(), scene()
    r = room(chain, tmp_path)
    tick(r, w, book)
    r.computed(KEY, ROOT)
    for block in (NOW, NOW + EB):
        assert tick(r, w, book, block) == []
    found = r.book.get(KEY)
    assert chain.sent() == [] and found is not None and "this machine was wrong" in found.why


def test_tick__no_allowance_yet__waits_and_goes_on_when_there_is_one(tmp_path: Path) -> None:
    chain, (w, book) = Chain(), scene()
    chain.says["allowance(address,address)"] = 0
    r = room(chain, tmp_path)
    assert tick(r, w, book) == []
    found = r.book.get(KEY)
    assert found is not None and found.state == OUTVOTED and "lets the Court take 0" in found.why
    chain.says["allowance(address,address)"] = 121
    assert tick(r, w, book, NOW + 1) == [], "looked at once an epoch"
    assert tick(r, w, book, NOW + EB) == [Recheck(*KEY, 1185)]


def test_tick__wrong_members_have_nothing_to_lose__not_worth_it(tmp_path: Path) -> None:
    chain, (w, book) = Chain(), scene()
    chain.stake = 0
    r = room(chain, tmp_path)
    assert tick(r, w, book) == []
    found = r.book.get(KEY)
    assert found is not None and found.why == "not worth a bond of 121: on average an appeal brings -53"


def test_tick__agreed__nothing_is_written(tmp_path: Path) -> None:
    chain, (w, book) = Chain(), scene(ROOT)
    r = room(chain, tmp_path)
    assert tick(r, w, book) == [] and r.book.all() == {}


# --- many at once -----------------------------------------------------------------------------------------------------

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
    r = room(chain, tmp_path, replace(FREE, confidence=1.0))
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
    assert (r.book.lost(Epoch(117)), r.book.lost(Epoch(118))) == (1, 0)


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
        assert book.get(KEY) == Appeal(*KEY, OTHER_ROOT, None, LOST) and book.lost(Epoch(1)) == 0
    book.put(Appeal(*KEY, OTHER_ROOT, None, LOST, "", Epoch(9)))
    assert book.lost(Epoch(9)) == 1 and book.get((JobId(1), Shard(3))) is None


# --- rivals -----------------------------------------------------------------------------------------------------------


def test_tick__a_rival_appealed__nothing_is_computed_or_sent(tmp_path: Path) -> None:
    chain, (w, book) = Chain(), scene()
    w.apply(appealed(w, 1129, by=2))
    r = room(chain, tmp_path)
    assert tick(r, w, book) == [] and chain.sent() == []


def test_tick__a_rival_is_faster__the_refused_call_is_not_sent_again(tmp_path: Path) -> None:
    chain, (w, book) = Chain(), scene()
    r = room(chain, tmp_path)
    tick(r, w, book)
    r.computed(KEY, OTHER_ROOT)
    refusal = load_abi("Court")  # AlreadyAppealed(job, shard, case)
    data = keccak(b"AlreadyAppealed(uint64,uint32,uint64)")[:4] + encode(["uint64", "uint32", "uint64"], [1, 2, 9])
    assert any(entry.get("name") == "AlreadyAppealed" for entry in refusal.entries)
    chain.gas_estimate = RpcError("eth_estimateGas", 3, "execution reverted", "0x" + data.hex())
    assert tick(r, w, book) == [] and chain.sent() == []
    chain.gas_estimate = 50_000
    w.apply(appealed(w, 1131, by=2))
    assert tick(r, w, book, NOW + EB) == [] and chain.sent() == []
    found = r.book.get(KEY)
    assert found is not None and found.state == TAKEN


def test_tick__refused_for_now__tried_again_next_epoch(tmp_path: Path) -> None:
    chain, (w, book) = Chain(), scene()
    r = room(chain, tmp_path)
    tick(r, w, book)
    r.computed(KEY, OTHER_ROOT)
    chain.gas_estimate = RpcError("eth_estimateGas", 3, "execution reverted", "0x")
    tick(r, w, book)
    chain.gas_estimate = 50_000
    tick(r, w, book, NOW + 1)
    assert chain.sent() == [], "once an epoch is enough"
    tick(r, w, book, NOW + EB)
    assert chain.sent() == ["appeal"]


# --- the end ----------------------------------------------------------------------------------------------------------


def with_case(tmp_path: Path, by: int = ME) -> tuple[Chain, World, DrawBook, Courtroom]:
    chain, (w, book) = Chain(), scene()
    r = room(chain, tmp_path)
    if by == ME:
        r.book.put(Appeal(*KEY, OTHER_ROOT, OTHER_ROOT, SENT))
    w.apply(appealed(w, 1140, by=by))
    return chain, w, book, r


def test_tick__verdict_settled__the_accuser_resolves_at_once_and_once(tmp_path: Path) -> None:
    chain, w, book, r = with_case(tmp_path)
    tick(r, w, book, 1170)
    assert chain.sent() == []
    w.apply([judged(1172, OTHER_ROOT)])
    for block in (1172, 1173, 1182):
        tick(r, w, book, block)
    assert chain.sent() == ["resolve"]


@pytest.mark.parametrize(("verdict", "state"), [(OTHER_ROOT, WON), (ROOT, LOST), (b"\x0c" * 32, LOST)])
def test_tick__resolved__written_down_and_losses_counted(tmp_path: Path, verdict: bytes, state: str) -> None:
    chain, w, book, r = with_case(tmp_path)
    w.apply([judged(1172, verdict), resolved(1174, verdict, verdict != ROOT)])
    tick(r, w, book, 1175)
    found = AppealBook(Ledger(tmp_path / "agent.db").connection).get(KEY)
    assert found is not None and found.state == state and r.book.lost(Epoch(0)) == (state == LOST)
    assert chain.sent() == []


def test_tick__no_verdict__resolved_only_when_it_can_settle_no_more(tmp_path: Path) -> None:
    chain, w, book, r = with_case(tmp_path)
    end = (w.cases[KEY].last(8) + 1) * EB
    tick(r, w, book, end - 1)
    assert chain.sent() == []
    tick(r, w, book, end)
    assert chain.sent() == ["resolve"]
    w.apply([ev.EndedWithoutVerdict(at(end + 1), *KEY, CASE, 600)])
    tick(r, w, book, end + 2)
    assert r.book.lost(Epoch(0)) == 1 and chain.sent() == ["resolve"]


def test_tick__claims_over__the_accuser_closes_the_case(tmp_path: Path) -> None:
    chain, w, book, r = with_case(tmp_path)
    w.apply([judged(1172, OTHER_ROOT), resolved(1174, OTHER_ROOT, True)])
    due = (w.cases[KEY].last(8) + 4 + 1) * EB
    tick(r, w, book, due - 1)
    assert chain.sent() == []
    tick(r, w, book, due)
    assert chain.sent() == ["closeCase"]
    w.apply([ev.CaseClosed(at(due + 1), *KEY, CASE, 9)])
    tick(r, w, book, due + EB)
    assert chain.sent() == ["closeCase"]


def test_tick__anothers_case__resolved_in_turn_when_he_does_not_and_never_closed(tmp_path: Path) -> None:
    chain, w, book, r = with_case(tmp_path, by=2)
    w.apply([judged(1172, OTHER_ROOT)])
    turn = 1172 + 2 * resolve_rank(w, w.cases[KEY])
    tick(r, w, book, turn - 1)
    assert chain.sent() == []
    tick(r, w, book, turn)
    assert chain.sent() == ["resolve"]
    w.apply([resolved(turn, OTHER_ROOT, True)])
    tick(r, w, book, 3_000)
    assert chain.sent() == ["resolve"]


def test_tick__node_that_does_not_settle__leaves_others_cases_alone(tmp_path: Path) -> None:
    chain, w, book, _ = with_case(tmp_path, by=2)
    w.apply([judged(1172, OTHER_ROOT)])
    tick(room(chain, tmp_path, serve=False), w, book, 1999)
    assert chain.sent() == []


def test_resolve_rank__every_node__another_turn_and_the_accuser_first() -> None:
    ranks = {}
    for node in range(1, 9):
        w = scene()[0]
        w.node, w.operator = node, f"0x{node:02x}" + "bb" * 19  # type: ignore[assignment]
        w.apply(appealed(w, 1140, by=3))
        ranks[node] = resolve_rank(w, w.cases[KEY])
        assert ready_block(w, w.cases[KEY], 8, EB) == (w.cases[KEY].last(8) + 1) * EB
    assert ranks[3] == 0 and len(set(ranks.values())) == 8 and max(ranks.values()) == 8
