"""Theory against brute force over every ordered committee of small pools, and against the endless pool."""

from __future__ import annotations

from itertools import permutations
from math import comb

import numpy as np
import pytest

from lab.simulate.expected import Theory, binomial_interval, compositions
from lab.simulate.kinds import Kind
from nodeagent.client.odds import wrong_shard_binomial

Node = tuple[Kind, int]


def orders(pool: list[Node], size: int) -> dict[tuple[int, ...], float]:
    """Chance of every ordered committee, as indexes into the pool."""
    found = {}
    for order in permutations(range(len(pool)), size):
        chance, left = 1.0, sum(seats for _, seats in pool)
        for index in order:
            chance *= pool[index][1] / left
            left -= pool[index][1]
        found[order] = chance
    return found


def counted(pool: list[Node]) -> dict[Node, int]:
    return {node: pool.count(node) for node in pool}


def theory(**changes: float) -> Theory:
    terms = {
        "committee": 3, "quorum": 2, "judges": 3, "case_quorum": 2, "attempts": 2, "flip": 0.2, "appeals": True,
        "honest_appeals": 1.0, "requester_appeals": 0.0, "false_appeals": 0.0,
        "fishing": 0.0,
    }  # fmt: skip
    return Theory(**{**terms, **changes})  # type: ignore[arg-type]


SMALL: list[Node] = [(Kind.HONEST, s) for s in (1, 2, 2, 4)] + [(Kind.CARTEL, s) for s in (1, 3, 3)] + [(Kind.GHOST, 2)]


def test_compositions__small_pool__equals_brute_force() -> None:
    pool = [(Kind.HONEST, 1), (Kind.HONEST, 4), (Kind.HONEST, 2), (Kind.CARTEL, 3), (Kind.CARTEL, 1), (Kind.LAZY, 2)]
    types: list[dict[int, float]] = [{1: 1, 4: 1, 2: 1}, {3: 1, 1: 1}, {2: 1}]
    chosen, chances = compositions(types, 3)
    brute: dict[tuple[int, ...], float] = {}
    place = {Kind.HONEST: 0, Kind.CARTEL: 1, Kind.LAZY: 2}
    for order, chance in orders(pool, 3).items():
        key = tuple(np.bincount([place[pool[i][0]] for i in order], minlength=3).tolist())
        brute[key] = brute.get(key, 0) + chance
    for row, chance in zip(chosen.tolist(), chances.tolist(), strict=True):
        assert chance == pytest.approx(brute.get(tuple(row), 0.0), abs=1e-12)


@pytest.mark.parametrize("scale", [1, 40, 100, 5_000])
@pytest.mark.parametrize("size", [3, 7, 15])
def test_compositions__any_size_of_pool__add_up_to_one(scale: int, size: int) -> None:
    types: list[dict[int, float]] = [{1: 4 * scale, 4: 2 * scale}, {2: 3 * scale}, {1: 6 * scale}]
    assert compositions(types, size)[1].sum() == pytest.approx(1.0, abs=1e-9)


def test_compositions__both_ways_to_integrate__agree_where_they_meet() -> None:
    below, above = ([{1: 500.0}, {1: n}] for n in (299.0, 300.0))  # 799 and 800 seats
    chance = [compositions(types, 3)[1] for types in (below, above)]
    exact = [comb(500, 3) / comb(n, 3) for n in (799, 800)]
    assert [float(c.max()) for c in chance] == pytest.approx(
        [max(e, float(c.max())) for e, c in zip(exact, chance, strict=True)]
    )
    for (types, c), e in zip(((below, chance[0]), (above, chance[1])), exact, strict=True):
        rows = compositions(types, 3)[0]
        assert float(c[(rows == [3, 0]).all(axis=1)][0]) == pytest.approx(e, rel=1e-9)


def test_chances__great_pool__approaches_the_closed_form_from_below() -> None:
    pool = {(Kind.HONEST, s): 10_500 for s in (1, 2, 3, 4)} | {(Kind.CARTEL, s): 4_500 for s in (1, 2, 3, 4)}
    chances = theory().chances(pool)
    assert chances.wrong == pytest.approx(wrong_shard_binomial(0.3, 3, 2), rel=2e-4)
    assert chances.wrong < wrong_shard_binomial(0.3, 3, 2)
    assert chances.unappealed == pytest.approx(0.3**3, rel=5e-4)
    assert chances.failed == pytest.approx(0.0, abs=1e-9)


def test_chances__small_pool__equals_brute_force_with_its_courts() -> None:
    found = theory().chances(counted(SMALL))
    wrong = unappealed = overturned_not = 0.0
    for order, chance in orders(SMALL, 3).items():
        kinds = [SMALL[i][0] for i in order]
        if kinds.count(Kind.CARTEL) >= 2:
            wrong += chance
            if Kind.HONEST not in kinds:
                unappealed += chance
                continue
            rest = [node for i, node in enumerate(SMALL) if i not in order]
            overturned_not += chance * sum(
                c for court, c in orders(rest, 3).items() if [rest[i][0] for i in court].count(Kind.CARTEL) >= 2
            )
    assert found.wrong == pytest.approx(wrong, abs=1e-12)
    assert found.unappealed == pytest.approx(unappealed, abs=1e-12)
    courts = sum(weight * theory().court(counted(SMALL), who)[0] for who, weight in found.appealed)
    assert courts == pytest.approx(overturned_not, abs=1e-12)


def test_chances__flipflops__are_right_but_for_their_share() -> None:
    pool = [(Kind.HONEST, 1), (Kind.FLIPFLOP, 2), (Kind.FLIPFLOP, 1), (Kind.LAZY, 1)]
    found = theory(flip=0.25).chances(counted(pool))
    right = 0.0
    for order, chance in orders(pool, 3).items():
        kinds = [pool[i][0] for i in order]
        sure, flips = kinds.count(Kind.HONEST), kinds.count(Kind.FLIPFLOP)
        good = sum(comb(flips, k) * 0.75**k * 0.25 ** (flips - k) for k in range(flips + 1) if sure + k >= 2)
        right += chance * good
    assert found.right == pytest.approx(right, abs=1e-12)
    assert found.wrong == 0


def test_chances__appeals_by_chance__split_what_settles_wrong() -> None:
    pool = {(Kind.HONEST, 1): 700, (Kind.CARTEL, 1): 300}
    certain = theory().chances(pool)
    half = theory(honest_appeals=0.5).chances(pool)
    watched = theory(requester_appeals=1.0).chances(pool)
    assert half.unappealed == pytest.approx(certain.unappealed + (certain.wrong - certain.unappealed) / 2)
    assert watched.unappealed == 0
    assert theory(appeals=False).chances(pool).unappealed == pytest.approx(certain.wrong)
    false = theory(false_appeals=1.0).chances(pool)
    assert sum(weight for _, weight in false.appealed) > sum(weight for _, weight in certain.appealed)


@pytest.mark.parametrize(("n", "p"), [(40, 0.1), (1_000, 0.003), (200_000, 0.2), (10, 0.95)])
def test_binomial_interval__any__leaves_at_most_the_tails_outside(n: int, p: float) -> None:
    low, high = binomial_interval(n, p, 0.95)
    logs = np.array([0.0, *np.cumsum([np.log((n - k) / (k + 1)) + np.log(p / (1 - p)) for k in range(n)])])
    mass = np.exp(logs - logs.max())
    mass /= mass.sum()
    assert mass[:low].sum() <= 0.025 < mass[: low + 1].sum()
    assert mass[high + 1 :].sum() <= 0.025 + 1e-9 and mass[high:].sum() > 0.025


def test_binomial_interval__certain__is_a_point() -> None:
    assert binomial_interval(10, 0.0) == (0, 0)
    assert binomial_interval(10, 1.0) == (10, 10)
    assert binomial_interval(0, 0.5) == (0, 0)
