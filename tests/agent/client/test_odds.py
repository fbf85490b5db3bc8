"""Odds against brute force over every ordered committee of small pools."""

from __future__ import annotations

import math
from itertools import permutations

import pytest

from nodeagent.client import odds
from nodeagent.protocol.jobword import case_quorum


def brute_force(honest: list[int], dishonest: list[int], committee: int, quorum: int) -> float:
    nodes = [(w, False) for w in honest] + [(w, True) for w in dishonest]
    total = 0.0
    for order in permutations(range(len(nodes)), committee):
        chance, left = 1.0, sum(w for w, _ in nodes)
        for index in order:
            chance *= nodes[index][0] / left
            left -= nodes[index][0]
        if sum(nodes[index][1] for index in order) >= quorum:
            total += chance
    return total


@pytest.mark.parametrize(
    ("honest", "dishonest", "committee", "quorum"),
    [
        ([1, 2, 4], [1, 3], 3, 2),
        ([4, 4], [4, 4, 1], 4, 3),
        ([1] * 5, [1, 1], 3, 2),
        ([8, 1], [2], 3, 2),
        ([3, 2], [2, 2], 1, 1),
        ([1, 1, 1], [5, 5, 5], 3, 2),
        ([], [1, 2, 3], 3, 2),
    ],
)
def test_wrong_shard__small_pools__equals_brute_force(
    honest: list[int], dishonest: list[int], committee: int, quorum: int
) -> None:
    expected = brute_force(honest, dishonest, committee, quorum)
    assert odds.wrong_shard(honest, dishonest, committee, quorum) == pytest.approx(expected, abs=1e-12)


def test_wrong_shard__large_even_pool__approaches_the_binomial() -> None:
    exact = odds.wrong_shard([1] * 7000, [1] * 3000, 3, 2)
    assert exact == pytest.approx(odds.wrong_shard_binomial(0.3, 3, 2), abs=1e-4)
    assert exact < odds.wrong_shard_binomial(0.3, 3, 2)  # without replacement a minority wins less often


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, 1.0])
def test_wrong_shard_binomial__three_members_quorum_two__is_the_protocols_formula(share: float) -> None:
    assert odds.wrong_shard_binomial(share, 3, 2) == pytest.approx(3 * share**2 - 2 * share**3)


def test_wrong_shard__fewer_nodes_than_members__raises() -> None:
    with pytest.raises(ValueError, match="committee of 3"):
        odds.wrong_shard([1], [1], 3, 2)


def test_any_wrong__many_shards__compounds() -> None:
    assert odds.any_wrong(0.1, 3) == pytest.approx(1 - 0.9**3)
    assert odds.any_wrong(1.0, 2) == 1.0
    assert odds.any_wrong(0.0, 100) == 0.0


def test_seats_to_corrupt__even_pool__is_the_smallest_that_reaches_the_chance() -> None:
    honest = [4] * 12
    seats = odds.seats_to_corrupt(honest, 3, 2)
    assert odds.wrong_shard(honest, [1] * seats, 3, 2) >= 0.5
    assert odds.wrong_shard(honest, [1] * (seats - 1), 3, 2) < 0.5


def test_wrong_final_binomial__three_and_five__is_the_protocols_formula() -> None:
    a = 0.3
    captured, honest = 5 * a**4 - 4 * a**5, 5 * 0.7**4 - 4 * 0.7**5
    again = 1 - captured - honest
    court = captured * (1 + again + again**2)
    assert court == pytest.approx(0.050, abs=5e-4)  # the number of the design, over three attempts
    expected = a**3 + 3 * a**2 * (1 - a) * court
    assert odds.wrong_final_binomial(a, 3, 2, 5, 3) == pytest.approx(expected)


def test_wrong_final__no_judges__is_what_settles() -> None:
    assert odds.wrong_final([1] * 5, [1] * 3, 3, 2, 0, 3) == odds.wrong_shard([1] * 5, [1] * 3, 3, 2)
    assert odds.wrong_final_binomial(0.2, 3, 2, 0, 3) == odds.wrong_shard_binomial(0.2, 3, 2)


def test_wrong_final__a_cartel_that_cannot_fill_a_committee_or_win_the_court__is_never_final() -> None:
    assert odds.wrong_final([1] * 20, [1, 1], 3, 2, 5, 3) == 0.0
    assert odds.wrong_shard([1] * 20, [1, 1], 3, 2) > 0


def test_wrong_final__large_even_pool__approaches_the_binomial() -> None:
    exact = odds.wrong_final([1] * 7000, [1] * 3000, 3, 2, 5, 3)
    assert exact == pytest.approx(odds.wrong_final_binomial(0.3, 3, 2, 5, 3), abs=1e-4)


@pytest.mark.parametrize(("judges", "need"), [(1, 1), (3, 2), (4, 3), (5, 4), (6, 4), (15, 10)])
def test_case_quorum__any_court__is_two_thirds_rounded_up(judges: int, need: int) -> None:
    assert case_quorum(judges) == need


@pytest.mark.parametrize("pool", [800, 20_000, 135_000])
@pytest.mark.parametrize("share", [0.02, 0.11, 0.3, 0.5])
def test_wrong_shard__pools_of_any_size__follow_the_binomial(pool: int, share: float) -> None:
    bad = round(pool * share)
    exact = odds.wrong_shard([1] * (pool - bad), [1] * bad, 3, 2)
    hypergeometric = (math.comb(bad, 2) * (pool - bad) + math.comb(bad, 3)) / math.comb(pool, 3)
    assert exact == pytest.approx(hypergeometric, rel=1e-9)


def test_captured__no_dishonest_majority_possible__never() -> None:
    assert odds.captured([1] * 20, [1, 1, 1], 5, 3) == 0.0
    assert odds.captured([1] * 5, [1] * 4, 5, 1) == odds.wrong_shard([1] * 5, [1] * 4, 5, 4)


def test_captured__large_even_pool__approaches_the_binomial() -> None:
    exact = odds.captured([1] * 7000, [1] * 3000, 5, 3)
    assert exact == pytest.approx(odds.captured_binomial(0.3, 5, 3), abs=1e-4)
    assert 0.03 < exact < 0.06
