"""The mix in words, the population in seats, the answers."""

from __future__ import annotations

import numpy as np
import pytest

from lab.simulate.kinds import (
    CARTEL_ROOT,
    JUDGE_ROOT,
    NOTHING,
    OWN_ROOT,
    RIGHT,
    BadMix,
    Kind,
    Population,
    parse_mix,
    parse_seats,
)


def people(mix: str, nodes: int = 5_000, every: int = 5) -> Population:
    return Population.make(nodes, parse_mix(mix), parse_seats("1-4"), every, np.random.default_rng(4))


def test_parse_mix__shares__leave_the_rest_honest() -> None:
    assert parse_mix("cartel=0.2, lazy=0.1") == pytest.approx({Kind.HONEST: 0.7, Kind.CARTEL: 0.2, Kind.LAZY: 0.1})
    assert parse_mix("honest=0.8,ghost=0.2") == pytest.approx({Kind.HONEST: 0.8, Kind.GHOST: 0.2})
    assert parse_mix("") == {Kind.HONEST: 1.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("spy=0.1", "unknown kind 'spy'"),
        ("cartel=x", "share 'x' of cartel"),
        ("cartel=1.2", "share '1.2'"),
        ("cartel=0.7,lazy=0.7", r"add up to 1\.4"),
        ("cartel=0.6,lazy=0.6", r"add up to 1\.2"),
        ("honest=0.5,cartel=0.2", r"add up to 0\.7"),
        ("honest=0.5,cartel=1", r"add up to 1\.5"),
        ("cartel=0.1, cartel=0.2", "cartel is twice"),
        ("honest=0.5,honest=0.5", "honest is twice"),
    ],
)
def test_parse_mix__nonsense__says_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(BadMix, match=message):
        parse_mix(text)


def test_parse_seats__ranges_and_weights__are_distributions() -> None:
    assert parse_seats("1-3") == {1: 1, 2: 1, 3: 1}
    assert parse_seats("4") == {4: 1}
    assert parse_seats("1:3,4:1") == {1: 3, 4: 1}


@pytest.mark.parametrize("text", ["0-3", "x", "4-1", "9", "1:0", "1:x"])
def test_parse_seats__nonsense__raises(text: str) -> None:
    with pytest.raises(BadMix, match="not a distribution"):
        parse_seats(text)


def test_make__shares__are_of_seats_within_one_nodes() -> None:
    crowd = people("cartel=0.23,lazy=0.31,ghost=0.02")
    total = crowd.seats.sum()
    for kind, share in ((Kind.CARTEL, 0.23), (Kind.LAZY, 0.31), (Kind.GHOST, 0.02), (Kind.HONEST, 0.44)):
        assert abs(crowd.seats[crowd.of(kind)].sum() - share * total) <= 4
    assert crowd.kinds[0] == Kind.NOBODY and crowd.seats[0] == 0
    assert set(crowd.seats[1:].tolist()) == {1, 2, 3, 4}


def test_answers__each_kind__is_equal_exactly_when_roots_would_be() -> None:
    kinds = np.array([0, *(int(k) for k in Kind if k), 3], np.uint8)
    crowd = Population(kinds, np.ones(9, np.int64), np.zeros(9, np.int64), 2)
    codes = crowd.answers(np.array([[1, 2, 3, 4, 5, 7, 8, 0]], np.uint32), OWN_ROOT)
    assert codes.tolist() == [[RIGHT, OWN_ROOT + 1, CARTEL_ROOT, NOTHING, NOTHING, RIGHT, CARTEL_ROOT, NOTHING]]
    lazies = crowd.answers(np.full((1, 3), 2, np.uint32), OWN_ROOT)
    assert len(set(lazies[0].tolist())) == 3


@pytest.mark.parametrize(
    ("fishers", "answer"), [(1, RIGHT), (2, NOTHING), (3, NOTHING), (4, CARTEL_ROOT), (5, CARTEL_ROOT)]
)
def test_answers__fishers_as_judges__lie_in_their_own_court_and_block_where_they_can(fishers: int, answer: int) -> None:
    crowd = Population(np.array([0, 1, 7], np.uint8), np.ones(3, np.int64), np.zeros(3, np.int64), 2)
    court = np.array([[2] * fishers + [1] * (5 - fishers)], np.uint32)
    assert crowd.answers(court, JUDGE_ROOT, 4).tolist() == [[answer] * fishers + [RIGHT] * (5 - fishers)]
    assert (crowd.answers(court, OWN_ROOT) == RIGHT).all(), "as members"


def test_answers__a_flipflop__is_wrong_on_every_nth_across_calls() -> None:
    crowd = Population(np.array([0, 6, 6], np.uint8), np.ones(3, np.int64), np.array([0, 0, 1]), 3)
    first = crowd.answers(np.array([[1, 2], [1, 0]], np.uint32), OWN_ROOT)
    second = crowd.answers(np.array([[1, 2], [2, 1]], np.uint32), OWN_ROOT)
    assert (first == RIGHT).tolist() == [[True, True], [True, False]]
    assert (second == RIGHT).tolist() == [[False, False], [True, True]]
    assert crowd.turn.tolist() == [0, 4, 4]
