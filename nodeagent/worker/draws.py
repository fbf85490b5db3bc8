"""Which shards this node was drawn for, computed off chain from seeds and the seat list. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from nodeagent.protocol.epochs import commit_epoch, first_epoch, stride
from nodeagent.protocol.types import Epoch, JobId, JobTerms, NodeId, Shard
from nodeagent.worker.cases import NOBODY
from nodeagent.worker.world import Job, World


@dataclass(frozen=True, slots=True)
class Draw:
    """A committee: slots of one attempt of a shard, which starts in ``start`` and commits in ``commit``."""

    job: JobId
    shard: Shard
    attempt: int
    start: Epoch
    commit: Epoch
    slots: tuple[NodeId, ...]

    def slot_of(self, node: NodeId) -> int | None:
        return self.slots.index(node) if node in self.slots else None


def starting_in(terms: JobTerms, epoch: Epoch) -> Iterator[tuple[Shard, int]]:
    """(shard, attempt) pairs whose attempt starts in ``epoch``: the inverse of ``attempt_start``."""
    for attempt in range(terms.max_attempts):
        wave = epoch - attempt * stride(terms) - terms.post_epoch - 1
        if wave < 0:
            return
        first = wave * terms.pace
        for shard in range(first, min(first + terms.pace, terms.shards)):
            yield Shard(shard), attempt


def committee(world: World, job: Job, shard: Shard, attempt: int, seed: bytes) -> Draw:
    """The committee of one attempt. ``seed`` is that of the epoch in which it starts."""
    terms = job.terms
    start = Epoch(first_epoch(terms, shard) + attempt * stride(terms))
    barred = job.barred or NOBODY
    slots = world.seats.committee(
        seed, job.id, shard, terms.committee, start, excluded=barred.nodes, held_before=barred.held_before
    )
    return Draw(job.id, shard, attempt, start, commit_epoch(terms, shard, attempt), slots)


def draws_in(world: World, epoch: Epoch, seed: bytes, settled: bool = False) -> list[Draw]:
    """Every committee of the pool that is drawn in ``epoch``; with ``settled`` those of settled shards, too, up to the
    attempt that settled."""
    found = []
    for job in world.jobs.values():
        for shard, attempt in starting_in(job.terms, epoch):
            where = world.settled.get((job.id, shard))
            if where is None or (settled and attempt <= where.leaf.attempt):
                found.append(committee(world, job, shard, attempt, seed))
    return found


class DrawBook:
    """Draws by epoch, computed once a seed is known and kept until ``forget``.

    ``seeds`` maps epochs to 32-byte seeds; the caller fills it from headers. ``settled``: draw settled shards as well,
    for who reports faults and starts, or sees a reorganisation, after they settled.
    """

    def __init__(self, world: World, seeds: Mapping[Epoch, bytes], settled: bool = False) -> None:
        self._world, self._seeds, self._settled = world, seeds, settled
        self._by_epoch: dict[Epoch, dict[tuple[JobId, Shard], Draw]] = {}

    def update(self, epoch: Epoch) -> list[Draw]:
        """Computes the draws of ``epoch`` if its seed is known and they are not; returns the new ones."""
        seed = self._seeds.get(epoch)
        if seed is None or epoch in self._by_epoch:
            return []
        found = draws_in(self._world, epoch, seed, self._settled)
        self._by_epoch[epoch] = {(d.job, d.shard): d for d in found}
        return found

    def get(self, job: Job, shard: Shard, attempt: int) -> Draw | None:
        """The committee of an attempt, computed if need be; None while its seed is unknown."""
        start = Epoch(first_epoch(job.terms, shard) + attempt * stride(job.terms))
        known = self._by_epoch.get(start, {}).get((job.id, shard))
        if known is not None:
            return known
        seed = self._seeds.get(start)
        return committee(self._world, job, shard, attempt, seed) if seed is not None else None

    def mine(self, since: Epoch) -> list[Draw]:
        """Draws that have this node, of attempts that commit in ``since`` or later."""
        node = self._world.node
        return [
            draw
            for draws in self._by_epoch.values()
            for draw in draws.values()
            if draw.commit >= since and node in draw.slots
        ]

    def drawn(self, commit: Epoch) -> set[NodeId]:
        """Nodes in committees of attempts that commit in an epoch."""
        draws = (draw for draws in self._by_epoch.values() for draw in draws.values() if draw.commit == commit)
        return {node for draw in draws for node in draw.slots if node}

    def commits(self) -> set[Epoch]:
        """Epochs in which some attempt commits."""
        return {draw.commit for draws in self._by_epoch.values() for draw in draws.values()}

    def forget(self, before: Epoch) -> None:
        for epoch in [e for e in self._by_epoch if e < before]:
            del self._by_epoch[epoch]

    def clear(self) -> None:
        """Drops everything, after a reorganisation."""
        self._by_epoch.clear()
