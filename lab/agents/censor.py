"""Settles before its turn, and leaves out members who answered right, down to a bare quorum."""

from __future__ import annotations

from dataclasses import replace

from lab.agents.plug import orders, start, swap
from nodeagent.protocol.types import Epoch, NodeId, Shard
from nodeagent.worker import settling
from nodeagent.worker.draws import DrawBook
from nodeagent.worker.settling import Candidate
from nodeagent.worker.world import Job, World

honest = settling._candidate


def censored(world: World, book: DrawBook, job: Job, shard: Shard, attempt: int, now: Epoch) -> Candidate | None:
    """The honest candidate with no more members than its quorum needs; the party's own come first."""
    found = honest(world, book, job, shard, attempt, now)
    if found is None:
        return None
    members = set(orders()["members"])
    chosen: list[NodeId] = sorted(found.agreeing, key=lambda node: node not in members)[: job.terms.quorum]
    return replace(found, agreeing=tuple(node for node in found.agreeing if node in chosen))


def first(world: World, commit: Epoch) -> int:
    """Always first in line."""
    del world, commit
    return 0


if __name__ == "__main__":
    swap(settling, "_candidate", censored)
    swap(settling, "rank", first)
    start()
