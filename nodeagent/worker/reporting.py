"""Faults that anyone may prove: lanes never opened, members that never committed, answers other than a verdict. Pure.

A report earns a tenth of the slash, in stake tokens, and costs gas. One a lane and kind, the oldest first: a node that
comes back is not chased for every epoch that it missed once it has been paused for the first.
"""

from __future__ import annotations

from dataclasses import dataclass

from nodeagent.chain import events as ev
from nodeagent.chain.doors import Receipt
from nodeagent.protocol.leaves import Leaf
from nodeagent.protocol.settlement import build_claim_opening
from nodeagent.protocol.types import Epoch, JobId, NodeId, Shard
from nodeagent.worker.cases import Case
from nodeagent.worker.claims import receipt_of
from nodeagent.worker.draws import DrawBook
from nodeagent.worker.settling import root_in
from nodeagent.worker.world import Job, SettledIn, World


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
    """A slot of a settled attempt, which started in ``start``, whose node never committed."""

    job: JobId
    shard: Shard
    slot: int
    node: NodeId
    start: Epoch
    epoch: Epoch
    where: SettledIn

    @property
    def key(self) -> str:
        return f"absent:{self.node}:{self.epoch}"

    @property
    def receipt(self) -> Receipt:
        return receipt_of(self.where)


@dataclass(frozen=True, slots=True)
class Wrong:
    """A slot of any attempt, which started in ``start``, whose node opened another answer than the verdict."""

    job: JobId
    shard: Shard
    attempt: int
    slot: int
    node: NodeId
    start: Epoch
    epoch: Epoch
    root: bytes
    opening: bytes

    @property
    def key(self) -> str:
        return f"wrong:{self.node}:{self.epoch}"


def unrevealed(world: World, now: Epoch, reveal_grace: int) -> list[Unrevealed]:
    """Other nodes' lanes that can be reported in ``now``."""
    return [
        Unrevealed(node, epoch)
        for epoch, nodes in sorted(world.committed.items())
        if epoch + reveal_grace < now
        for node in sorted(nodes)
        if node != world.node
        and world.is_sealed(node, epoch)
        and (ev.UnrevealedReported, node, epoch) not in world.punished
    ]


def absent(world: World, book: DrawBook, now: Epoch, ring: int) -> list[Absent]:
    """Slots of others that can be reported in ``now``: one a node and epoch, since a lane is punished once.

    The registry draws a committee again for ``ring - 2`` epochs.
    """
    found: dict[tuple[Epoch, NodeId], Absent] = {}
    for (job_id, shard), where in world.settled.items():
        job = world.jobs.get(job_id)
        draw = book.get(job, shard, where.leaf.attempt) if job is not None else None
        if draw is None or now > draw.start + ring - 2 or draw.commit not in world.committed:
            continue
        for slot, node in enumerate(draw.slots):
            if not node or node == world.node or node in world.committed[draw.commit]:
                continue
            key = draw.commit, node
            if key not in found and (ev.AbsentMarked, node, draw.commit) not in world.punished:
                found[key] = Absent(job_id, shard, slot, node, draw.start, draw.commit, where)
    return [found[key] for key in sorted(found)]


def wrong(world: World, book: DrawBook, case: Case) -> list[Wrong]:
    """Other nodes' openings of any attempt of an appealed shard that are not its verdict; none without a verdict.

    Whoever answered as this node did is not reported: a court that upheld something else was captured.
    """
    job = world.jobs.get(case.job)
    if job is None or case.verdict is None:
        return []
    own = own_answers(world, case)
    found = [fault for attempt in range(job.terms.max_attempts) for fault in _wrong_in(world, book, job, case, attempt)]
    return [fault for fault in found if fault.root not in own]


def own_answers(world: World, case: Case) -> frozenset[bytes]:
    """What this node opened for an appealed shard, as its member or as a judge."""
    batches = [lanes[world.node].leaves for lanes in world.opened.values() if world.node in lanes]
    answers = {root_in(leaves, *key) for leaves in batches for key in (case.key, case.case_key)}
    return frozenset(answer for answer in answers if answer is not None)


def _wrong_in(world: World, book: DrawBook, job: Job, case: Case, attempt: int) -> list[Wrong]:
    draw = book.get(job, case.shard, attempt)
    if draw is None:
        return []
    found = []
    for slot, node in enumerate(draw.slots):
        batch = world.opened.get(draw.commit, {}).get(node)
        if batch is None or node == world.node or (ev.WrongMarked, node, draw.commit) in world.punished:
            continue
        root = root_in(batch.leaves, case.job, case.shard)
        if root is not None and root != case.verdict:
            opening = build_claim_opening(Leaf(case.job, case.shard, root), batch.leaves)
            found.append(Wrong(case.job, case.shard, attempt, slot, node, draw.start, draw.commit, root, opening))
    return found
