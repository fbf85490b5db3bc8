"""The courtroom: what leaves the node, when, and that neither a restart nor a rival makes it leave twice.

outvoted → compute again → appeal       each step on disk before the next
restart    at any point                 goes on where it stopped
rival      appealed first               nothing is sent, or what was sent fails and is not sent again
the end    resolve, by the accuser at once and by others in turn; the rest comes back when claims are over
"""

from __future__ import annotations

from pathlib import Path

import pytest
from courtscene import CASE, KEY, NOW, Chain, room, scene, tick, with_case
from eth_abi.abi import encode
from scene import (
    EB,
    OTHER_ROOT,
    ROOT,
    appealed,
    at,
    judged,
    resolved,
)

from nodeagent.chain import events as ev
from nodeagent.chain.abi import load_abi
from nodeagent.chain.errors import RpcError
from nodeagent.protocol.keccak import keccak
from nodeagent.protocol.types import Epoch
from nodeagent.worker.appealbook import LOST, OUTVOTED, SENT, TAKEN, WON, Appeal, AppealBook
from nodeagent.worker.courtroom import Recheck, ready_block, resolve_rank
from nodeagent.worker.ledger import Ledger

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
    assert found is not None and found.state == state and r.book.lost(Epoch(0)) == ({KEY} if state == LOST else set())
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
    assert r.book.lost(Epoch(0)) == {KEY} and chain.sent() == ["resolve"]


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
