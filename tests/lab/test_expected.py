"""The lab's expectations against every ordered committee of small pools, and against the simulation's theory."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import permutations
from math import comb

import pytest

from lab.expected import HONEST, LIAR, MUTE, Chances, Drawn, Rules, Type, camp, chances, committees, forgone_fee
from lab.expected import slots_per_node as slots
from lab.simulate.expected import Theory
from lab.simulate.kinds import Kind

NINE = {(HONEST, 2): 7, (LIAR, 2): 2}
MIXED = {(HONEST, 1): 3, (HONEST, 3): 2, (LIAR, 2): 2, (MUTE, 4): 1}


def by_orders(pool: dict[Type, int], size: int) -> dict[Drawn, Fraction]:
    """The same chances from every order in which nodes can be drawn."""
    nodes = [kind for kind, count in pool.items() for _ in range(count)]
    found: Counter[Drawn] = Counter()
    for order in permutations(range(len(nodes)), size):
        chance, left = Fraction(1), sum(seats for _, seats in nodes)
        for index in order:
            chance *= Fraction(nodes[index][1], left)
            left -= nodes[index][1]
        drawn = tuple(sorted(Counter(nodes[index] for index in order).items()))
        found[drawn] += chance  # type: ignore[assignment]
    return dict(found)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_committees__seats_differ__are_what_every_order_adds_up_to(size: int) -> None:
    assert {tuple(sorted(d)): p for d, p in committees(MIXED, size).items()} == by_orders(MIXED, size)


def test_committees__equal_seats__are_hypergeometric() -> None:
    found = committees(NINE, 3)
    for liars in range(3):
        chance = sum(p for drawn, p in found.items() if camp(drawn, LIAR) == liars)
        assert chance == Fraction(comb(2, liars) * comb(7, 3 - liars), comb(9, 3))


def test_committees__fewer_nodes_than_slots__leave_slots_void() -> None:
    assert committees({(HONEST, 2): 2}, 3) == {(((HONEST, 2), 2),): Fraction(1)}


@pytest.mark.parametrize("pool", [NINE, MIXED])
def test_slots_per_node__any_pool__fill_the_committee(pool: dict[Type, int]) -> None:
    assert sum(slots(pool, 3)[kind] * count for kind, count in pool.items()) == 3


def test_slots_per_node__split_over_small_nodes__get_a_little_more_per_seat() -> None:
    found = slots({(HONEST, 1): 4, (HONEST, 2): 5}, 3)
    assert found[HONEST, 1] > found[HONEST, 2] / 2 > found[HONEST, 1] * Fraction(9, 10)


def test_chances__two_liars_of_nine__settle_one_in_twelve_and_never_keep_it() -> None:
    assert chances(NINE, Rules()) == Chances(Fraction(1, 12), Fraction(0), Fraction(0), Fraction(0))


def test_chances__no_appeals__what_settles_wrong_stays_wrong() -> None:
    found = chances(NINE, Rules(appeals=False))
    assert found.wrong_final == found.wrong_settled == Fraction(1, 12)


def test_chances__six_liars_of_nine__win_courts_as_counted_by_hand() -> None:
    """Three liars (20 of 84): nobody appeals. Two (45): four liars and two honest are left, and five of them judge."""
    found = chances({(HONEST, 2): 3, (LIAR, 2): 6}, Rules())
    blocked = Fraction(2, 3) ** 3
    assert found.wrong_settled == Fraction(65, 84)
    assert found.wrong_final == Fraction(20, 84) + Fraction(45, 84) * (1 - blocked)
    assert found.contested == Fraction(45, 84) * blocked


def test_chances__liars_pass_as_judges__contest_and_win_no_court() -> None:
    found = chances({(HONEST, 2): 5, (LIAR, 2): 4}, Rules(liars_judge=False))
    assert found.wrong_final == Fraction(4, 84)
    assert found.contested == Fraction(30, 84) * Fraction(2, 3) ** 3


def test_chances__mute_members__leave_more_attempts_to_the_liars() -> None:
    pool = {(HONEST, 2): 4, (LIAR, 2): 2, (MUTE, 2): 3}
    once, thrice = chances(pool, Rules(attempts=1)), chances(pool, Rules(attempts=3))
    assert thrice.wrong_settled > once.wrong_settled
    assert thrice.expired == once.expired**3
    assert thrice.wrong_settled == once.wrong_settled * (1 + once.expired + once.expired**2)


@pytest.mark.parametrize("liars", [2, 3, 4, 6])
def test_chances__equal_seats__are_the_simulations(liars: int) -> None:
    theory = Theory(
        committee=3, quorum=2, judges=5, case_quorum=4, attempts=1, flip=0.2, appeals=True, honest_appeals=1.0,
        requester_appeals=0.0, false_appeals=0.0, fishing=0.0,
    )  # fmt: skip
    pool = {(Kind.HONEST, 2): 9 - liars, (Kind.CARTEL, 2): liars}
    theirs = theory.chances(pool)
    final = theirs.unappealed + sum(p * theory.court(pool, who)[0] for who, p in theirs.appealed)
    ours = chances({(HONEST, 2): 9 - liars, (LIAR, 2): liars}, Rules(attempts=1))
    assert theirs.wrong == pytest.approx(float(ours.wrong_settled))
    assert final == pytest.approx(float(ours.wrong_final))


def test_forgone_fee__one_of_three_left_out__is_its_share() -> None:
    assert forgone_fee(4_000_000, 3, 2, 100) == 40_000
    assert forgone_fee(4_000_000, 3, 3, 100) == 0
