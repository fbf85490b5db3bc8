"""Bulk draws against the protocol's own draw, and a list's tables against the agent's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lab.simulate.draws import Seats, draw_committees, heads, seed_of, stream
from nodeagent.protocol.constants import OPEN_ENDED
from nodeagent.protocol.keccak import keccak, words
from nodeagent.protocol.sortition import SeatList, draw
from nodeagent.protocol.types import Epoch, JobId, NodeId, Shard

SEED = keccak(b"a seed")


def table_of(nodes: int, seats: int, holes: float, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    table = rng.integers(1, nodes + 1, seats).astype(np.uint32)
    table[rng.random(seats) < holes] = 0
    return table


@pytest.mark.parametrize(
    ("nodes", "seats", "holes", "size"),
    [(40, 100, 0.0, 3), (40, 100, 0.6, 3), (20, 60, 0.3, 15), (5, 11, 0.5, 7), (2, 4, 0.0, 3), (90, 250, 0.1, 9)],
)
def test_draw_committees__any_pool__equals_the_protocols_draw_shard_by_shard(
    nodes: int, seats: int, holes: float, size: int
) -> None:
    table = table_of(nodes, seats, holes)
    shards = list(range(400))
    bulk = draw_committees(SEED, [7] * len(shards), shards, size, table)
    plain = [NodeId(int(node)) for node in table]
    for shard in shards:
        assert tuple(bulk[shard].tolist()) == draw(SEED, JobId(7), Shard(shard), size, seats, plain.__getitem__)


def test_draw_committees__thousands_of_case_jobs__equals_the_protocols_draw() -> None:
    table = table_of(500, 1_300, 0.05)
    jobs = list(range(2, 3_002))
    bulk = draw_committees(SEED, jobs, [0] * len(jobs), 5, table)
    plain = [NodeId(int(node)) for node in table]
    for row, job in enumerate(jobs):
        assert tuple(bulk[row].tolist()) == draw(SEED, JobId(job), Shard(0), 5, len(table), plain.__getitem__)


def test_draw_committees__excluded_nodes__are_redrawn_as_if_their_seats_were_holes() -> None:
    table = table_of(12, 40, 0.1)
    excluded = np.random.default_rng(3).integers(0, 13, (300, 3)).astype(np.uint32)
    bulk = draw_committees(SEED, [9] * 300, list(range(300)), 5, table, excluded)
    for row in range(300):
        gone = set(excluded[row].tolist())
        plain = [NodeId(0 if int(node) in gone else int(node)) for node in table]
        assert tuple(bulk[row].tolist()) == draw(SEED, JobId(9), Shard(row), 5, len(table), plain.__getitem__)


def test_draw_committees__nobody_to_draw__is_void() -> None:
    assert draw_committees(SEED, [1], [0], 3, np.zeros(0, np.uint32)).tolist() == [[0, 0, 0]]
    assert draw_committees(SEED, [1], [0], 3, np.zeros(9, np.uint32)).tolist() == [[0, 0, 0]]
    assert draw_committees(SEED, [], [], 3, table_of(4, 9, 0)).shape == (0, 3)


def test_stream__head_and_block__are_the_hashes_of_section_4() -> None:
    (head,) = heads(SEED, [5], [6])
    assert head == keccak(words(SEED, 5, 6))
    for block in range(3):
        expected = keccak(words(head, block))
        assert stream([head], block)[0].tolist() == [
            int.from_bytes(expected[i : i + 4], "big") for i in range(0, 32, 4)
        ]


def vector_seats(vectors: dict[str, Any], pool: int) -> Seats:
    """A pool of the golden vectors that Solidity and Python share."""
    low = sum(vectors["poolSeats"][:pool])
    part = slice(low, low + vectors["poolSeats"][pool])
    size = vectors["poolSeats"][pool]
    columns = (np.array(vectors[name][part], np.int64) for name in ("seatNode", "seatSince", "seatUntil"))
    seats = Seats(np.arange(size), *columns)
    low = sum(vectors["poolPauses"][:pool])
    for i in range(low, low + vectors["poolPauses"][pool]):
        seats.pause(vectors["pauseNode"][i], vectors["pauseStart"][i], vectors["pauseEnd"][i])
    return seats


def test_draw_committees__the_golden_vectors__agree() -> None:
    vectors = json.loads((Path(__file__).parents[2] / "vectors" / "sortition.json").read_text())
    assert len(vectors["drawPool"]) > 50
    offset = 0
    for i, pool in enumerate(vectors["drawPool"]):
        table = vector_seats(vectors, pool).table(vectors["drawEpoch"][i])
        length = vectors["tableLength"][i]
        assert table.tolist() == vectors["table"][offset : offset + length]
        offset += length
        seed, size = bytes.fromhex(vectors["drawSeed"][i][2:]), vectors["drawSize"][i]
        drawn = draw_committees(seed, [int(vectors["drawJob"][i], 16)], [vectors["drawShard"][i]], size, table)
        assert drawn[0].tolist() == vectors["slots"][15 * i : 15 * i + size]


def test_draw_committees__the_golden_vectors_of_judges__agree() -> None:
    vectors = json.loads((Path(__file__).parents[2] / "vectors" / "court.json").read_text())
    names = ("seatNode", "seatSince", "seatUntil", "seatHeldSince")
    assert len(vectors["drawList"]) >= 40
    offset = 0
    for i, listed in enumerate(vectors["drawList"]):
        low = sum(vectors["listSeats"][:listed])
        count = vectors["listSeats"][listed]
        seats = Seats(np.arange(count), *(np.array(vectors[name][low : low + count], np.int64) for name in names))
        table = seats.table(vectors["drawEpoch"][i], vectors["drawHeldBefore"][i])
        length = vectors["tableLength"][i]
        assert table.tolist() == vectors["table"][offset : offset + length]
        offset += length
        packed = bytes.fromhex(vectors["barredLow"][i][2:] + vectors["barredHigh"][i][2:])
        barred = np.frombuffer(packed, ">u4").astype(np.uint32)[None, :]
        seed, size = bytes.fromhex(vectors["drawSeed"][i][2:]), vectors["drawSize"][i]
        drawn = draw_committees(seed, [vectors["drawJob"][i]], [0], size, table, barred)
        assert drawn[0].tolist() == vectors["slots"][15 * i : 15 * i + size]


def test_seed_of__another_name_or_epoch__is_another_seed() -> None:
    assert len({seed_of(name, epoch) for name in (1, 2) for epoch in (3, 4)}) == 4
    assert seed_of(1, 3) == seed_of(1, 3)


# --- seats ----------------------------------------------------------------------------------------------------


def both_lists() -> tuple[Seats, SeatList]:
    """The same history: three nodes, one leaves, its hole is taken again, the list grows, one pauses."""
    theirs = SeatList()
    for seat, node in ((0, 1), (1, 2), (2, 2), (3, 3)):
        theirs.seat_taken(NodeId(node), seat, Epoch(5))
    theirs.resized(4, Epoch(5))
    theirs.seat_ended(1, Epoch(9))
    theirs.seat_taken(NodeId(4), 1, Epoch(20))
    theirs.seat_taken(NodeId(4), 4, Epoch(20))
    theirs.resized(5, Epoch(20))
    theirs.paused(NodeId(3), Epoch(12))
    theirs.resumed(NodeId(3), Epoch(15))
    rows = [
        (0, 1, 5, OPEN_ENDED), (1, 2, 5, 9), (2, 2, 5, OPEN_ENDED), (3, 3, 5, OPEN_ENDED),
        (1, 4, 20, OPEN_ENDED), (4, 4, 20, OPEN_ENDED),
    ]  # fmt: skip
    ours = Seats(*(np.array(column) for column in zip(*rows, strict=True)))
    ours.resize([(5, 4), (20, 5)])
    ours.pause(3, 12, 15)
    return ours, theirs


@pytest.mark.parametrize("epoch", [4, 5, 8, 9, 11, 12, 14, 15, 19, 20, 40])
def test_table__every_kind_of_change__equals_the_agents_list(epoch: int) -> None:
    ours, theirs = both_lists()
    assert ours.table(epoch).tolist() == list(theirs.table(Epoch(epoch)))


def test_table__held_before__leaves_out_seats_taken_since() -> None:
    ours, _ = both_lists()
    assert ours.table(20, held_before=20).tolist() == [1, 0, 2, 3, 0]
    assert ours.table(20, held_before=21).tolist() == [1, 4, 2, 3, 4]


def test_filled__seats_per_node__are_in_a_row() -> None:
    assert Seats.filled(np.array([2, 1, 3])).table(100).tolist() == [1, 1, 2, 3, 3, 3]
