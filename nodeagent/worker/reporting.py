"""Faults that anyone may prove for a reward: lanes never opened, members that never committed. Pure.

Off by default: a report earns a tenth of a slash, in stake tokens, and costs gas.
"""

from __future__ import annotations

from dataclasses import dataclass

from nodeagent.chain.doors import Receipt
from nodeagent.protocol.settlement import settlement_tree
from nodeagent.protocol.types import Epoch, JobId, NodeId, Shard
from nodeagent.worker.draws import DrawBook
from nodeagent.worker.world import World


@dataclass(frozen=True, slots=True)
class Unrevealed:
    """A lane that is past its grace and still sealed."""

    node: NodeId
    epoch: Epoch

    @property
    def key(self) -> str:
        return f"unrevealed:{self.node}:{self.epoch}"


@dataclass(frozen=True, slots=True)
class Absent:
    """A slot of a settled attempt whose node never committed."""

    job: JobId
    shard: Shard
    slot: int
    node: NodeId
    epoch: Epoch
    receipt: Receipt

    @property
    def key(self) -> str:
        return f"absent:{self.node}:{self.epoch}"


def unrevealed(world: World, now: Epoch, reveal_grace: int) -> list[Unrevealed]:
    """Other nodes' lanes that can be reported in ``now``."""
    return [
        Unrevealed(node, epoch)
        for epoch, nodes in sorted(world.committed.items())
        if epoch + reveal_grace < now
        for node in sorted(nodes)
        if node != world.node and world.is_sealed(node, epoch)
    ]


def absent(world: World, book: DrawBook, now: Epoch, report_epochs: int) -> list[Absent]:
    """Slots of others that can be reported in ``now``; one per node and epoch, since a lane is punished once."""
    found: dict[tuple[NodeId, Epoch], Absent] = {}
    for (job_id, shard), where in world.settled.items():
        job = world.jobs.get(job_id)
        if job is None or now > where.epoch + report_epochs:
            continue
        draw = book.get(job, shard, where.leaf.attempt)
        if draw is None or draw.commit not in world.committed:
            continue
        for slot, node in enumerate(draw.slots):
            if not node or node == world.node or node in world.committed[draw.commit]:
                continue
            leaf = where.leaf
            path = tuple(settlement_tree(where.leaves).proof(where.index))
            receipt = Receipt(leaf.attempt, leaf.paid_slots, leaf.root, path)
            found.setdefault((node, draw.commit), Absent(job_id, shard, slot, node, draw.commit, receipt))
    return [found[key] for key in sorted(found)]
