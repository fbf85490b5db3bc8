"""The reporter: whom it reports, and that it never pays more gas than a report brings."""

from __future__ import annotations

from pathlib import Path

import pytest
from courtscene import Chain, room
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
from nodeagent.protocol.types import Epoch, JobId, Shard
from nodeagent.worker.draws import DrawBook
from nodeagent.worker.reporter import Reporter
from nodeagent.worker.world import World

C = 10
COST = 50_000 * 7  # gas and base fee of the fake chain


def reporter(chain: Chain, home: Path, *, price: float = 1.0, watch: bool = False, public: bool = False) -> Reporter:
    r = room(chain, home)
    return Reporter(r.hands, r.sender, price, watch, public)


def tick(r: Reporter, w: World, book: DrawBook, block: int) -> None:
    r.sender.turn(block, 7)
    r.tick(w, book, block)
    r.hands.outbox.tick(0, 7)


def faults() -> tuple[World, DrawBook]:
    """Node 3 never committed in epoch 10; node 2 never opened what it committed in epoch 12."""
    w = world([*pool_of(3), posted(1), settled(205, SettledLeaf(JobId(1), Shard(0), 0, 3, ROOT))])
    w.apply([revealed(node, C, {(1, 0): ROOT}) for node in (1, 2)])
    committed(w, C, 1, 2)
    committed(w, C + 2, 2)
    return w, DrawBook(w, seeds(*range(9, 30)))


def verdict(by: int, overturned: bool = True) -> tuple[World, DrawBook]:
    """Node 2 opened what the verdict calls wrong, in an attempt whose seed the chain knows."""
    opened, stands = (ROOT, OTHER_ROOT) if overturned else (OTHER_ROOT, ROOT)
    w = world([*pool_of(3), posted(1, appeal_epochs=6), revealed(2, C, {(1, 2): opened})])
    w.apply([settled(1125, SettledLeaf(JobId(1), Shard(2), 0, 7, ROOT)), ev.SeedRecorded(at(1120), Epoch(C), ROOT)])
    w.apply([*appealed(w, 1140, by=by), judged(1175, stands), resolved(1180, stands, overturned)])
    return w, DrawBook(w, seeds(*range(9, 30)))


NOW = 211  # epoch 21: the grace of epoch 12 is over, the settlement of epoch 20 is fresh


def test_tick__not_asked_to_watch__reports_nobody(tmp_path: Path) -> None:
    chain = Chain()
    tick(reporter(chain, tmp_path), *faults(), NOW)
    assert chain.sent() == []


def test_tick__watching__both_faults_once_and_not_again_after_a_restart(tmp_path: Path) -> None:
    chain, (w, book) = Chain(), faults()
    r = reporter(chain, tmp_path, watch=True)
    for block in (NOW, NOW + 1, NOW + EB):
        tick(r, w, book, block)
    tick(reporter(chain, tmp_path, watch=True), w, book, NOW + EB)
    assert sorted(chain.sent()) == ["reportAbsent", "reportUnrevealed"]


def test_worth__share_of_the_stake_now__in_wei(tmp_path: Path) -> None:
    chain = Chain()
    r = reporter(chain, tmp_path, price=0.001)
    assert r.worth(ME, 1_000) == 10**15, "a tenth of ten of a hundred tokens, at a thousandth of an ether each"
    chain.stake = 0
    assert r.worth(ME, 1_000) == 0


@pytest.mark.parametrize(("reward", "sent"), [(COST, []), (COST + 1, ["reportUnrevealed"])])
def test_tick__reward_against_gas__only_what_is_more(tmp_path: Path, reward: int, sent: list[str]) -> None:
    chain, (w, book) = Chain(), faults()
    chain.stake = reward * 100  # a tenth of a tenth of it is the reward; absences earn a hundredth of that
    tick(reporter(chain, tmp_path, watch=True), w, book, NOW)
    assert chain.sent() == sent


def test_tick__verdict_in_the_own_operators_case__reports_who_was_wrong(tmp_path: Path) -> None:
    chain = Chain()
    tick(reporter(chain, tmp_path), *verdict(ME), 1181)
    assert chain.sent() == ["reportWrong"]


def test_tick__verdict_in_anothers_case__only_in_public(tmp_path: Path) -> None:
    chain = Chain()
    tick(reporter(chain, tmp_path), *verdict(2), 1181)
    assert chain.sent() == []
    tick(reporter(chain, tmp_path / "b", public=True), *verdict(2), 1181)
    assert chain.sent() == ["reportWrong"]


@pytest.mark.parametrize(("epoch", "sent"), [(121, []), (122, ["reportWrong"])])
def test_tick__another_accuser_let_his_epochs_pass__a_watcher_reports_for_itself(
    tmp_path: Path, epoch: int, sent: list[str]
) -> None:
    """The verdict settled in epoch 117."""
    chain, (w, book) = Chain(), verdict(2)
    assert next(iter(w.cases.values())).ended == 117
    tick(reporter(chain, tmp_path, watch=True), w, book, epoch * EB + 1)
    assert chain.sent() == sent
    chain.stake = 0
    tick(reporter(chain, tmp_path / "b", watch=True), w, book, epoch * EB + 1)
    assert chain.sent() == sent, "not for nothing"


@pytest.mark.parametrize(("by", "sent"), [(2, []), (ME, ["reportWrong"])])
def test_tick__verdict_that_changed_nothing__only_its_accuser_reports(tmp_path: Path, by: int, sent: list[str]) -> None:
    """It may be a captured court's: nobody hunts who was outvoted."""
    chain = Chain()
    tick(reporter(chain, tmp_path, watch=True), *verdict(by, overturned=False), 1250)
    assert chain.sent() == sent


def test_tick__another_accuser_let_his_epochs_pass__nobody_who_does_not_watch(tmp_path: Path) -> None:
    chain = Chain()
    tick(reporter(chain, tmp_path), *verdict(2), 1250)
    assert chain.sent() == []


def test_tick__own_case_but_not_worth_the_gas__only_in_public(tmp_path: Path) -> None:
    chain = Chain()
    chain.stake = 0
    tick(reporter(chain, tmp_path), *verdict(ME), 1181)
    assert chain.sent() == []
    tick(reporter(chain, tmp_path / "b", public=True), *verdict(ME), 1181)
    assert chain.sent() == ["reportWrong"]
