"""Pay that a member has to ask for: right answers that the settle call did not show, or that only a verdict made right.

Pure; the chain has the last word.
"""

from __future__ import annotations

from dataclasses import dataclass

from nodeagent.chain.doors import Receipt
from nodeagent.protocol.constants import COUNTED_DELAY
from nodeagent.protocol.leaves import Leaf
from nodeagent.protocol.settlement import build_claim_opening, settlement_tree
from nodeagent.protocol.types import Epoch, JobId, Shard
from nodeagent.worker.cases import ShardKey, Standing, standing
from nodeagent.worker.draws import DrawBook
from nodeagent.worker.world import SettledIn, World


@dataclass(frozen=True, slots=True)
class ClaimPlan:
    """A slot of a settled shard that opened the right answer and was not paid. ``until`` is the last epoch for it."""

    job: JobId
    shard: Shard
    slot: int
    receipt: Receipt
    opening: bytes
    until: Epoch

    @property
    def key(self) -> str:
        return f"claim:{self.job}:{self.shard}:{self.slot}"


def receipt_of(where: SettledIn) -> Receipt:
    """Ties a settled shard to its settlement, with the path."""
    leaf = where.leaf
    return Receipt(leaf.attempt, leaf.paid_slots, leaf.root, tuple(settlement_tree(where.leaves).proof(where.index)))


def claims(world: World, book: DrawBook, now: Epoch, settle_grace: int, report_epochs: int) -> list[ClaimPlan]:
    """Own slots that may claim in ``now``."""
    found = []
    for key in world.settled:
        stands = standing(world, key, now, settle_grace, report_epochs)
        if stands is not None and now in stands.window:
            plan = _claim(world, book, key, stands, Epoch(stands.window[-1]))
            if plan is not None:
                found.append(plan)
    return found


def _claim(world: World, book: DrawBook, key: ShardKey, stands: Standing, until: Epoch) -> ClaimPlan | None:
    job_id, shard = key
    where = world.settled[key]
    leaf = where.leaf
    draw = book.get(world.jobs[job_id], shard, leaf.attempt)
    slot = draw.slot_of(world.node) if draw is not None else None
    if draw is None or slot is None or (job_id, shard, slot) in world.claimed:
        return None
    if leaf.root == stands.root and leaf.paid_slots >> slot & 1:
        return None
    batch = world.opened.get(draw.commit, {}).get(world.node)
    own = Leaf(job_id, shard, stands.root)
    if batch is None or batch.delay > COUNTED_DELAY or own not in batch.leaves:
        return None
    return ClaimPlan(job_id, shard, slot, receipt_of(where), build_claim_opening(own, batch.leaves), until)
