"""Whole runs: money, odds, who is slashed, and what each option changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lab.simulate.courts import Courts
from lab.simulate.kinds import RIGHT, BadMix, parse_mix, parse_seats
from lab.simulate.purses import Rules
from lab.simulate.run import Outcome, Party, closed_forms, simulate
from lab.simulate.shards import Shards
from lab.simulate.world import JOB, Options, World
from nodeagent.protocol import payout
from nodeagent.protocol.sortition import draw
from nodeagent.protocol.types import JobId, NodeId, Shard

EVERYBODY = "cartel=0.25,lazy=0.05,withholder=0.05,ghost=0.05,flipflop=0.05"


def options(mix: str, **changes: object) -> Options:
    base = Options(nodes=2_000, shards=20_000, mix=parse_mix(mix), seats=parse_seats("1-4"), price=12_347)
    return replace(base, **changes)  # type: ignore[arg-type]


def party(outcome: Outcome, kind: str) -> Party:
    return next(p for p in outcome.parties if p.kind == kind)


@pytest.mark.parametrize(
    ("mix", "changes"),
    [
        (EVERYBODY, {}),
        (EVERYBODY, {"restock": False}),
        (EVERYBODY, {"appeal_epochs": 0}),
        (EVERYBODY, {"committee": 7, "quorum": 5, "judges": 9, "attempts": 4, "work": 3}),
        (EVERYBODY, {"appeals": 0.4, "requester_appeals": 0.5, "false_appeals": 0.3}),
        ("cartel=0.6", {"false_appeals": 1.0}),
        ("fisher=0.3,cartel=0.1", {}),
        ("withholder=0.5,ghost=0.4", {}),
        (EVERYBODY, {"nodes": 13, "shards": 3_000, "price": 99_999_999, "shard_size": 7}),
    ],
)
def test_simulate__any_mix__loses_no_unit_of_money(mix: str, changes: dict[str, object]) -> None:
    asked = options(mix, **changes)
    outcome = simulate(asked)
    money = outcome.money
    places = ("escrow", "bonds", "matured", "maturing", "owed", "burned")
    assert money["paid_in"] == sum(money[place] for place in places)
    assert money["staked"] == money["stake"] + money["rewards"] + money["burned_stake"]
    assert money["escrow"] == money["bonds"] == 0  # every job and case is closed
    tasks = asked.shards * asked.shard_size
    escrow = payout.escrow(tasks, asked.committee, 1, asked.price, 100).total
    bond = payout.escrow(asked.shard_size, asked.judges, 1, asked.price, 100).total
    assert money["paid_in"] == escrow + bond * outcome.counts.get("appeals", 0)
    assert outcome.counts["settled"] + outcome.counts.get("expired", 0) == outcome.shards
    gained = sum(p.net for p in outcome.parties) + outcome.requester_net
    reporters = money["rewards"] - sum(p.rewards for p in outcome.parties)
    assert gained + reporters + money["burned"] + money["burned_stake"] == 0


@pytest.mark.parametrize(
    ("mix", "changes"),
    [
        ("cartel=0.3", {}),
        (EVERYBODY, {}),
        (EVERYBODY, {"restock": False}),
        ("cartel=0.3", {"appeals": 0.3, "requester_appeals": 0.2, "false_appeals": 0.5}),
        ("cartel=0.4,flipflop=0.2", {"committee": 5, "quorum": 3, "judges": 7}),
        ("cartel=0.3,ghost=0.1", {"nodes": 21}),
        ("fisher=0.2", {}),
        ("fisher=0.3,flipflop=0.1", {"fishing": 0.4, "judges": 7}),
    ],
)
def test_simulate__wrong_results__come_as_often_as_theory_says(mix: str, changes: dict[str, object]) -> None:
    outcome = simulate(options(mix, **changes))
    for count in (outcome.wrong_settled, outcome.wrong_final, outcome.expired):
        assert count.inside, count
    verdicts, expected = outcome.counts.get("wrong_verdicts", 0), outcome.expected_wrong_verdicts
    assert abs(verdicts - expected) <= 4 * np.sqrt(expected) + 1


def test_simulate__great_even_pool__meets_the_closed_forms() -> None:
    outcome = simulate(options("cartel=0.3", nodes=20_000, shards=100_000))
    for field in ("wrong_settled", "wrong_final"):
        rate = getattr(outcome, field).measured / outcome.shards
        assert rate == pytest.approx(outcome.closed[field], rel=0.05)
    assert outcome.closed["wrong_settled"] == pytest.approx(0.216, abs=1e-3)


def test_closed_forms__the_pages_own_numbers__come_out() -> None:
    closed = closed_forms(0.3, options("cartel=0.3"))
    assert closed["wrong_settled"] == pytest.approx(3 * 0.3**2 - 2 * 0.3**3)
    assert closed["court_captured"] == pytest.approx(0.050, abs=5e-4)
    assert closed["wrong_final"] == pytest.approx(0.3**3 + 3 * 0.3**2 * 0.7 * closed["court_captured"])
    silent = closed_forms(0.3, options("cartel=0.3", appeals=0.0))
    assert silent["wrong_final"] == pytest.approx(silent["wrong_settled"])


def test_simulate__only_the_honest__settle_at_once_and_share_all_pay() -> None:
    outcome = simulate(options("", shards=2_000))
    assert outcome.counts == {"attempts": 2_000, "settled": 2_000, "wrong_settled": 0}
    honest = party(outcome, "honest")
    assert honest.duties == 6_000 and honest.slashed == honest.forfeited == 0
    assert honest.net == 6_000 * 12_347 + 2_000 * payout.settle_fee(12_347, 3, 100)
    assert outcome.requester_net == -honest.net


@pytest.mark.parametrize("mix", ["lazy=0.3", "withholder=0.3", "ghost=0.3", "flipflop=0.3", "lazy=0.2,withholder=0.2"])
def test_simulate__no_cartel__nothing_settles_wrong_and_no_honest_node_is_slashed(mix: str) -> None:
    outcome = simulate(options(mix, shards=6_000))
    assert outcome.wrong_settled.measured == outcome.wrong_final.measured == outcome.honest_slashed == 0
    honest = party(outcome, "honest").net_per_seat
    for other in outcome.parties[1:]:
        assert other.net_per_seat < honest


@pytest.mark.parametrize("share", [0.05, 0.15, 0.3])
def test_simulate__a_cartel_under_its_threshold__ends_below_zero_and_below_the_honest(share: float) -> None:
    outcome = simulate(options(f"cartel={share}"))
    cartel, honest = party(outcome, "cartel"), party(outcome, "honest")
    assert cartel.net < 0 < honest.net
    assert cartel.forfeited > 0 and cartel.slashes > 0


def test_simulate__honest_slashed__only_by_wrong_verdicts() -> None:
    captured = simulate(options("cartel=0.45"))
    assert captured.honest_slashed > 0 and captured.counts["wrong_verdicts"] > 0
    few = simulate(options("cartel=0.02"))
    assert few.counts.get("wrong_verdicts", 0) == few.honest_slashed == 0 < few.counts["overturned"]


def test_simulate__no_appeals__wrong_results_stay_and_nobody_is_slashed_for_them() -> None:
    outcome = simulate(options("cartel=0.3", appeal_epochs=0))
    assert outcome.wrong_final.measured == outcome.wrong_settled.measured > 0
    assert party(outcome, "cartel").slashed == 0 and outcome.money["maturing"] == 0


def test_simulate__requester_watches__every_wrong_result_is_appealed() -> None:
    outcome = simulate(options("cartel=0.3", requester_appeals=1.0))
    assert outcome.counts["appeals"] == outcome.wrong_settled.measured
    assert outcome.wrong_final.measured == outcome.counts["wrong_verdicts"]


def test_simulate__false_appeals__cost_the_cartel() -> None:
    quiet, loud = (simulate(options("cartel=0.1", false_appeals=f)) for f in (0.0, 1.0))
    assert loud.counts["upheld"] > quiet.counts.get("upheld", 0)
    assert party(loud, "cartel").appeals_cost > 0
    assert party(loud, "cartel").net < party(quiet, "cartel").net


def test_simulate__fishers__lose_where_courts_are_dear_and_win_where_they_are_cheap() -> None:
    """The bond grows with a shard's pay, the reward with the stake: both sides of the threshold are told."""
    for share, price in ((0.05, 10_000), (0.2, 1_000_000)):
        dear = simulate(options(f"fisher={share}", price=price))
        assert party(dear, "fisher").net_per_seat < 0 < party(dear, "honest").net_per_seat
    cheap = simulate(options("fisher=0.2", price=10_000))
    assert party(cheap, "fisher").net_per_seat > party(cheap, "honest").net_per_seat
    assert cheap.honest_slashed > 2 * cheap.counts["wrong_verdicts"] > 0, "nearly a whole honest committee each time"


def test_simulate__without_restocking__cheats_drop_out_of_the_draw() -> None:
    stays, leaves = (simulate(options("cartel=0.3", restock=r)) for r in (True, False))
    assert leaves.wrong_settled.measured < stays.wrong_settled.measured
    assert leaves.money["staked"] < stays.money["staked"]


def test_simulate__same_seed__same_outcome() -> None:
    first, second = (replace(simulate(options(EVERYBODY, shards=3_000)), seconds=0.0) for _ in range(2))
    assert first == second
    assert replace(simulate(options(EVERYBODY, shards=3_000, seed=2)), seconds=0.0) != first


def test_simulate__progress__is_told_of_every_shard_once() -> None:
    told: list[int] = []
    simulate(options(EVERYBODY, shards=3_001), told.append)
    assert sum(told) == 3_001 and len(told) == 20


def test_shards__every_committee_of_a_run__is_the_protocols_draw() -> None:
    asked = options(EVERYBODY, nodes=300, shards=400)
    world = World.make(asked)
    shards = Shards(world)
    courts = Courts(world, shards)
    shards.on_settled = courts.consider
    shards.schedule()
    tables = {}
    while world.agenda:
        epoch = min(world.agenda)
        tables[epoch] = [NodeId(int(node)) for node in world.table(epoch)]
        for step in world.agenda.pop(epoch):
            step(epoch)
    checked = 0
    for row in range(400):
        for attempt in range(max(0, int(shards.attempt[row])) + 1):
            start = shards.first(row) + attempt * 3
            slots = draw(world.seed(start), JobId(JOB), Shard(row), 3, len(tables[start]), tables[start].__getitem__)
            assert tuple(shards.committees[attempt, row].tolist()) == slots
            checked += 1
    assert checked > 400 and (shards.root == RIGHT).any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nodes": 6}, "need 8 nodes: 2 are missing"),
        ({"quorum": 1}, "quorum 1 is not from 2 to 3"),
        ({"committee": 16}, "committee 16"),
        ({"pace": 60_000, "nodes": 100}, "pace 60000 is over"),
        ({"attempts": 4, "work": 8, "appeal_epochs": 28}, "it must be under 128"),
    ],
)
def test_checked__terms_the_market_refuses__are_refused_with_the_reason(changes: dict[str, int], message: str) -> None:
    with pytest.raises(BadMix, match=message):
        simulate(options("cartel=0.2", **changes))


def test_rules__default__is_a_quorum_of_two_thirds_rounded_up() -> None:
    assert [Rules(judges=j).case_quorum for j in (3, 5, 6, 7, 9)] == [2, 4, 4, 5, 6]
