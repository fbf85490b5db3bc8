"""What a report makes of an outcome: the numbers that are published, and what a run must not come out as."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from lab.expected import Chances
from lab.report import entry, report, show, summary
from lab.run import Outcome
from lab.scenario import Basis
from lab.scenarios import find
from lab.stage import Purse
from lab.tally import COIN, Party, Results, worth

ZERO = Fraction(0)
CLEAN = Results(120, 120, 10, 0, 0, 10, 10, 0, 0, 0, 0)


def party(name: str, seats: int, coins: float, drawn: int = 80, **changes: int) -> Party:
    made = Party(name, nodes=seats // 2, seats=seats, drawn=drawn, earned=int(coins * COIN))
    made.change = Purse(int(coins * COIN), 0, 0)
    for field, value in changes.items():
        setattr(made, field, value)
    return made


def outcome(
    name: str = "cartel-below", results: Results = CLEAN, bad: float = 10, good: float = 140, **more: Any
) -> Outcome:
    chances = Chances(Fraction(1, 12), ZERO, ZERO, ZERO)
    scenario = find(name)
    other = scenario.roles[0].name
    parties = [party("honest", 14, good, **more), party(other, 4, bad)]
    shares = {"honest": 1 / 6, other: 1 / 6}
    return Outcome(scenario, 1, 20, chances, shares, parties, results, 1.0, {"events and balances agree": True}, None)  # type: ignore[arg-type]


def failed(found: Outcome) -> list[str]:
    return [what for what, ok in entry(found)["checks"].items() if not ok]


def test_entry__a_clean_run__has_the_published_fields_and_passes() -> None:
    found = entry(outcome())
    assert found["adversary_net"] == 2.5
    assert found["honest_net"] == 10.0
    assert (found["wrong_settled"], found["expected_wrong_settled"]) == (10, 10.0)
    assert found["interval_wrong_settled"] == [5, 16]
    assert (found["wrong_final"], found["expected_wrong_final"], found["honest_slashed"]) == (0, 0.0, 0)
    assert found["passed"]


def test_entry__an_adversary_at_the_honest_return__fails() -> None:
    assert failed(outcome(bad=40)) == ["the adversary ends below honest"]


def test_entry__an_honest_node_was_slashed__fails() -> None:
    assert failed(outcome(slashes=1)) == ["no honest node was slashed"]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"wrong_settled": 40}, "wrong settled as often as expected"),
        ({"wrong_final": 1}, "wrong final as often as expected"),
        ({"contested": 1}, "contested as often as expected"),
        ({"unclaimed": 1}, "whoever gave the right answer was paid where it stands"),
    ],
)
def test_entry__results_that_theory_excludes__fail(changes: dict[str, int], what: str) -> None:
    assert failed(outcome(results=replace(CLEAN, **changes))) == [what]


def test_entry__a_cartel_above_its_threshold__is_held_to_its_rate_alone() -> None:
    rich = outcome("cartel-above", bad=4_000, good=-10)
    assert rich.scenario.basis is Basis.ABOVE
    assert failed(rich) == []


def test_entry__a_censor__is_held_against_the_fees_it_gave_up() -> None:
    none = replace(CLEAN, wrong_settled=0)
    fair = replace(outcome("censor", none), expected=Chances(ZERO, ZERO, ZERO, ZERO))
    assert failed(fair) == ["the censor left members out", "the adversary ends below honest"]
    others = replace(fair, results=replace(none, left_out=10))
    assert failed(others) == failed(fair), "honest settlers leave out who is late"
    censored = replace(fair, results=replace(none, forgone_fees=400_000, left_out=14, left_out_by_adversary=10))
    assert failed(censored) == []
    found = entry(censored)
    assert found["honest_net"] - found["adversary_net"] == pytest.approx(0.1)
    assert (found["left_out"], found["left_out_by_adversary"], found["honest_seat_net"]) == (14, 10, 10.0)
    shown = show(censored)
    assert (
        "net coins of a seat: the adversary's 2.50; the same party, had it played fair in the same draws: 2.60;"
        in shown
    )
    assert "a real honest seat of this pool: 10.00" in shown
    assert "left out 10 members" in shown and "Calls of all left out 14" in shown


INERT = {
    "lazy": "the lazy opened what the others did not",
    "flip-flopper": "the flipflopper opened what the others did not",
    "withholder": "the withholder was punished for what it never opened",
    "ghost": "the ghost was punished for being away",
    "copier": "the copier sent what was refused, and opened nothing",
    "enumerator": "the enumerator was punished for what did not open",
    "cartel-below": "the cartel sold its answer, or tried to",
    "false-accuser": "the accuser put bonds on right answers",
    "hole-maker": "the hole-maker worked until it left",
}


@pytest.mark.parametrize("name", INERT)
def test_entry__an_adversary_that_did_nothing__fails_whatever_it_earned(name: str) -> None:
    none = replace(CLEAN, wrong_settled=0, appeals=0, overturned=0)
    found = replace(outcome(name, none), expected=Chances(ZERO, ZERO, ZERO, ZERO))
    assert failed(found) == [INERT[name]]


@pytest.mark.parametrize(
    ("name", "other", "own"),
    [
        ("withholder", {"slashes": 3, "absent": 3}, {"slashes": 3, "unrevealed": 3}),
        ("ghost", {"slashes": 3, "unrevealed": 3}, {"slashes": 3, "absent": 3}),
        ("copier", {"slashes": 3, "absent": 3, "gas": 10**15}, {"refused": 1}),
        ("enumerator", {"slashes": 3, "absent": 3}, {"slashes": 1, "unrevealed": 1}),
    ],
)
def test_entry__an_adversary_punished_for_something_else__shows_nothing(
    name: str, other: dict[str, int], own: dict[str, int]
) -> None:
    """A node that is merely away is slashed too, and pays gas to come back."""
    still = replace(CLEAN, wrong_settled=0, appeals=0, overturned=0)
    found = replace(outcome(name, still), expected=Chances(ZERO, ZERO, ZERO, ZERO))
    bad = found.parties[1]
    bad.change = Purse(bad.change.payment, 0, -other.pop("gas", 0))
    for field, value in other.items():
        setattr(bad, field, value)
    assert failed(found) == [INERT[name]]
    for field, value in own.items():
        setattr(bad, field, value)
    assert failed(found) == []
    bad.opened = 0 if name == "enumerator" else 1
    assert failed(found) == ([] if name == "enumerator" else [INERT[name]])


@pytest.mark.parametrize(
    ("settled", "final", "chances", "share", "expected", "words"),
    [
        (8, 2, (6, 3), 0.25, 0.5, "2 of 8 wrong results became final: 25.0%, expected 50.0% of them"),
        (0, 0, (6, 3), None, 0.5, "no wrong result settled, 0 became final: expected 50.0% of them"),
        (0, 0, (0, 0), None, None, "no wrong result settled, 0 became final: none were expected to be wrong"),
    ],
)
def test_entry__wrong_results__says_what_share_became_final(
    settled: int, final: int, chances: tuple[int, int], share: float | None, expected: float | None, words: str
) -> None:
    found = replace(
        outcome(results=replace(CLEAN, wrong_settled=settled, wrong_final=final)),
        expected=Chances(Fraction(chances[0], 100), Fraction(chances[1], 100), ZERO, ZERO),
    )
    made = entry(found)
    assert (made["wrong_final_share"], made["expected_wrong_final_share"]) == (share, expected)
    assert words in show(found)


def test_show__a_griefing_requester__is_no_seat() -> None:
    griefed = outcome("censor")
    griefed.grief_cost = -3.5
    assert "the requester gained -3.50 coins in all; a real honest seat of this pool: 10.00" in show(griefed)


def test_adds_up__an_event_that_no_balance_shows__is_noticed() -> None:
    good = party("honest", 2, 5)
    assert good.adds_up
    good.fees = 1
    assert not good.adds_up


def test_worth__all_three_balances__count() -> None:
    assert worth(Purse(2 * COIN, 3 * 10**18, -(10**15))) == pytest.approx(2 + 3 - 2)


def test_summary__every_scenario__is_a_row() -> None:
    found = report([outcome(), outcome("cartel-above")])
    text = summary(found["scenarios"])
    assert len(text.splitlines()) == 3
    head = [name for name in text.splitlines()[0].split("  ") if name.strip()]
    assert [name.strip() for name in head][2:5] == ["adversary net", "held against", "honest seat"]
    assert "FAILED" not in text
    assert "expected 10.0 (5 to 16 in 95 % of runs)" in show(outcome())
