"""Draws in bulk: the stream of protocol section 4 for many shards at once, and the seats it falls on.

Equal to :func:`nodeagent.protocol.sortition.draw` shard by shard. The hashes are the same keccak, one after the
other (about 0.6 million draws a second on one core); all that follows them is numpy.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sha3 import keccak_256

from nodeagent.protocol.constants import MAX_PROBES, OPEN_ENDED
from nodeagent.protocol.keccak import keccak
from nodeagent.protocol.sortition import seed_from_randao
from nodeagent.protocol.types import Epoch

Nodes = NDArray[np.uint32]
Ints = NDArray[np.int64]
WORDS = 8
"""32-bit words in one hash of the stream."""


def seed_of(name: int, epoch: int) -> bytes:
    """Seed of an epoch of a simulated chain, whose randomness is a hash of the run's seed and the epoch."""
    return seed_from_randao(Epoch(epoch), keccak(f"quorate simulate {name} {epoch}".encode()))


def heads(seed: bytes, jobs: Sequence[int], shards: Sequence[int]) -> list[bytes]:
    """``keccak(abi.encode(seed, job, shard))`` of every pair."""
    digest = keccak_256
    return [
        digest(seed + job.to_bytes(32, "big") + shard.to_bytes(32, "big")).digest()
        for job, shard in zip(jobs, shards, strict=True)
    ]


def stream(of: Sequence[bytes], block: int) -> NDArray[np.uint64]:
    """Hash number ``block`` of every head's stream, as ``(len(of), 8)`` words."""
    digest, tail = keccak_256, block.to_bytes(32, "big")
    joined = b"".join([digest(head + tail).digest() for head in of])
    return np.frombuffer(joined, ">u4").astype(np.uint64).reshape(-1, WORDS)


def draw_committees(
    seed: bytes, jobs: Sequence[int], shards: Sequence[int], size: int, table: Nodes, excluded: Nodes | None = None
) -> Nodes:
    """Committees of shards whose attempts start in one epoch: ``(len(shards), size)`` node ids, 0 for void.

    :param table: node at every seat of the list, 0 where nobody can be drawn
    :param excluded: ``(len(shards), any)`` nodes that must not be drawn for that row; 0 excludes nobody
    """
    out: Nodes = np.zeros((len(shards), size), np.uint32)
    if not len(table) or not size or not len(shards):
        return out
    found = np.zeros(len(shards), np.int64)
    active = np.arange(len(shards))
    of = heads(seed, jobs, shards)
    length = np.uint64(len(table))
    for block in range(MAX_PROBES // WORDS):
        words = stream([of[i] for i in active] if block else of, block)
        for column in range(WORDS):
            node = table[(words[:, column] * length) >> np.uint64(32)]
            fresh = (node != 0) & (out[active] != node[:, None]).all(axis=1)
            if excluded is not None:
                fresh &= (excluded[active] != node[:, None]).all(axis=1)
            rows = active[fresh]
            out[rows, found[rows]] = node[fresh]
            found[rows] += 1
            if column + 1 >= size or block:
                left = found[active] < size
                active, words = active[left], words[left]
                if not len(active):
                    return out
    return out


class Seats:
    """A pool's list over time: who holds which seat from when until when, and who is paused when.

    Mutable only by pauses that begin in the future, so that a past table never changes.
    """

    def __init__(self, seat: Ints, node: Ints, since: Ints, until: Ints, held_since: Ints | None = None) -> None:
        self._seat, self._node, self._since, self._until = seat, node, since, until
        self._held_since = since if held_since is None else held_since
        self._lengths: list[tuple[int, int]] = [(0, int(seat.max()) + 1 if len(seat) else 0)]
        self._pauses: dict[int, list[tuple[int, int]]] = {}

    @classmethod
    def filled(cls, seats: Ints) -> Seats:
        """A list without holes: node ``i + 1`` holds ``seats[i]`` of them, for ever."""
        node = np.repeat(np.arange(1, len(seats) + 1), seats)
        return cls(np.arange(len(node)), node, np.zeros_like(node), np.full_like(node, OPEN_ENDED))

    def resize(self, lengths: Sequence[tuple[int, int]]) -> None:
        """Takes ``(from epoch, length)`` of the list, oldest first, instead of the highest seat ever held."""
        self._lengths = sorted(lengths)

    def pause(self, node: int, start: int, end: int = OPEN_ENDED) -> None:
        """Keeps a node out of draws of ``start <= epoch < end``."""
        self._pauses.setdefault(node, []).append((start, end))

    def paused(self, epoch: int) -> list[int]:
        """Nodes paused in an epoch."""
        return [n for n, spans in self._pauses.items() if any(start <= epoch < end for start, end in spans)]

    def table(self, epoch: int, held_before: int | None = None) -> Nodes:
        """Node that a draw of ``epoch`` finds at each seat, 0 for none.

        ``held_before``: only seats held before that epoch, here or elsewhere in the list (judges).
        """
        length, listed = 0, epoch if held_before is None else held_before  # judges: over the list as it was
        for start, value in self._lengths:
            if start <= listed:
                length = value
        alive = (self._since <= epoch) & (epoch < self._until) & (self._seat < length)
        if held_before is not None:
            alive &= self._held_since < held_before
        table: Nodes = np.zeros(length, np.uint32)
        table[self._seat[alive]] = self._node[alive]
        out = self.paused(epoch)
        if out:
            table[np.isin(table, np.array(out, np.uint32))] = 0
        return table
