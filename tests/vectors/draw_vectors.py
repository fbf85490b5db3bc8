"""Vectors of the draw: nine pools with holes, seats that come and go and pauses, and many draws in each.

A pool is a flat table of seat entries and of pause intervals; a draw names its pool. ``table`` gives, per
draw, the node that each index of the list has in the draw's epoch (0 for none), for tests of the library
alone.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from nodeagent.protocol.constants import OPEN_ENDED
from nodeagent.protocol.keccak import keccak, words
from nodeagent.protocol.sortition import SeatList, draw_words
from nodeagent.protocol.types import Epoch, JobId, NodeId, PoolId, Shard

EPOCH = 200
SLOTS = 15


@dataclass
class Pool:
    """Seat entries (node, since, until) by index, and pauses (node, start, end)."""

    seats: list[tuple[int, int, int]]
    pauses: list[tuple[int, int, int]] = field(default_factory=list)

    def seat_list(self) -> SeatList:
        """The same as a model fed by events; the length counts from epoch 1."""
        model = SeatList()
        model.resized(len(self.seats), Epoch(1))
        for index, (node, since, until) in enumerate(self.seats):
            if node:
                model.seat_taken(NodeId(node), index, Epoch(since))
                if until != OPEN_ENDED:
                    model.seat_ended(index, Epoch(until))
        for node, start, end in sorted(self.pauses):
            model.paused(NodeId(node), Epoch(start))
            if end != OPEN_ENDED:
                model.resumed(NodeId(node), Epoch(end))
        return model


def _open(*nodes: int) -> list[tuple[int, int, int]]:
    return [(node, 1 if node else 0, OPEN_ENDED if node else 0) for node in nodes]


def pools() -> list[Pool]:
    """Every shape a list can have; draws are of epochs 198 to 202."""
    rng = random.Random("Quorate sortition vectors")
    churn = [
        (
            rng.randrange(1, 31),
            rng.randrange(150, 203),
            rng.choice([OPEN_ENDED, OPEN_ENDED, rng.randrange(196, 210)]),
        )
        for _ in range(97)
    ]
    return [
        Pool(_open(1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3)),
        Pool(_open(1, 0, 2, 0, 0, 3, 4, 0)),
        Pool(
            _open(1, 2, 3, 4, 5),
            [(1, 199, 201), (2, 200, OPEN_ENDED), (3, 100, 150), (3, 199, 200), (3, 202, 203), (5, 201, 201)],
        ),
        Pool(_open(9)),
        Pool(_open(*(i % 60 + 1 for i in range(240)))),
        Pool([]),
        Pool(_open(*([0] * 40), 7, *([0] * 22), 8)),
        Pool(_open(*range(1, 17))),
        Pool(
            [(node, min(since, until), until) for node, since, until in churn],
            [(n, 198, 201) for n in (4, 5, 6)],
        ),
        Pool([(1, 1, EPOCH), (2, EPOCH, OPEN_ENDED), (3, 1, EPOCH + 1), (4, EPOCH + 1, OPEN_ENDED)]),
    ]


def cases() -> list[tuple[int, int, int, int, int]]:
    """Draws as (pool, epoch, job, shard, size)."""
    sizes = {0: 3, 1: 3, 2: 3, 3: 3, 4: 15, 5: 3, 6: 2, 7: 15, 8: 5, 9: 3}
    result = []
    for pool, size in sizes.items():
        for i in range(8):
            result.append((pool, EPOCH - 2 + i % 5, 1 + i * 977, i * i, size))
    result += [
        (4, EPOCH, 2**64 - 1, 2**32 - 1, 3),
        (4, EPOCH, 1, 0, 1),
        (7, EPOCH, 5, 0, 15),
        (4, EPOCH, 5, 0, 8),
    ]
    result += [(4, EPOCH, 5, 0, 9), (0, EPOCH, 77, 3, 0)]
    return result


def build() -> dict[str, object]:
    """Flat arrays; ``slots`` has 15 numbers per draw, ``drawWords`` and ``slotWords`` two words per draw."""
    all_pools = pools()
    models = [pool.seat_list() for pool in all_pools]
    drawn = []
    asked: list[int] = []
    tables: list[list[NodeId]] = []
    for pool, epoch, job, shard, size in cases():
        seed = seed_of(epoch)
        drawn.append(models[pool].committee(seed, JobId(job), Shard(shard), size, Epoch(epoch)))
        asked += draw_words(seed, JobId(job), Shard(shard), Epoch(epoch), PoolId(pool + 1), size)
        tables.append(list(models[pool].table(Epoch(epoch))))
    padded = [[*slots, *[0] * (SLOTS - len(slots))] for slots in drawn]
    return {
        "poolSeats": [len(pool.seats) for pool in all_pools],
        "seatNode": [node for pool in all_pools for node, _, _ in pool.seats],
        "seatSince": [since for pool in all_pools for _, since, _ in pool.seats],
        "seatUntil": [until for pool in all_pools for _, _, until in pool.seats],
        "poolPauses": [len(pool.pauses) for pool in all_pools],
        "pauseNode": [node for pool in all_pools for node, _, _ in pool.pauses],
        "pauseStart": [start for pool in all_pools for _, start, _ in pool.pauses],
        "pauseEnd": [end for pool in all_pools for _, _, end in pool.pauses],
        "drawPool": [case[0] for case in cases()],
        "drawEpoch": [case[1] for case in cases()],
        "drawSeed": ["0x" + seed_of(case[1]).hex() for case in cases()],
        "drawJob": [f"0x{case[2]:x}" for case in cases()],
        "drawShard": [case[3] for case in cases()],
        "drawSize": [case[4] for case in cases()],
        "drawWords": [f"0x{word:064x}" for word in asked],
        "tableLength": [len(table) for table in tables],
        "table": [node for table in tables for node in table],
        "slots": [node for slots in padded for node in slots],
        "slotWords": [f"0x{word:064x}" for slots in padded for word in _pack(slots)],
    }


def seed_of(epoch: int) -> bytes:
    """Seed of an epoch whose randomness is the hash of a text."""
    return keccak(words(epoch, keccak(b"Quorate sortition vectors: epoch %d" % epoch)))


def _pack(slots: list[int]) -> tuple[int, int]:
    packed = b"".join(node.to_bytes(4, "big") for node in [*slots, 0])
    return int.from_bytes(packed[:32], "big"), int.from_bytes(packed[32:], "big")
