"""Settle calls, built from what was revealed. Pure; the chain has the last word.

A shard is settled with the earliest attempt that has a quorum of equal, timely openings. In the epoch right after the
commit that needs every drawn slot's lane listed and none sealed; from the second on only the lanes that are paid.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nodeagent.protocol.constants import COUNTED_DELAY, MAX_ENTRIES, MAX_LANES
from nodeagent.protocol.epochs import last_epoch
from nodeagent.protocol.leaves import Leaf
from nodeagent.protocol.settlement import (
    LaneKey,
    OpenBatch,
    SettleCall,
    SettleEntry,
    build_settle,
)
from nodeagent.protocol.types import Epoch, JobId, NodeId, Shard
from nodeagent.worker.draws import Draw, DrawBook, starting_in
from nodeagent.worker.world import Job, ShardKey, World

MAX_CALLDATA = 96 * 1024  # public mempools take transactions up to 128 KiB


@dataclass(frozen=True, slots=True)
class Candidate:
    """A shard that can be settled now: its draw, the root with a quorum, and the slots that opened it."""

    draw: Draw
    root: bytes
    agreeing: tuple[NodeId, ...]
    early: bool  # in the epoch right after the commit

    def entry(self) -> SettleEntry:
        shown = self.draw.slots if self.early else self.agreeing
        slots = tuple(LaneKey(n, self.draw.commit) if n and n in shown else None for n in self.draw.slots)
        return SettleEntry(self.draw.job, self.draw.shard, self.draw.attempt, self.root, slots)


@dataclass(frozen=True, slots=True)
class Chunk:
    """One settle call and what it settles."""

    candidates: tuple[Candidate, ...]
    call: SettleCall

    @property
    def starts(self) -> set[Epoch]:
        """Epochs whose seeds the contract must know."""
        return {c.draw.start for c in self.candidates}


def openings_of(world: World, draw: Draw) -> dict[NodeId, bytes]:
    """Result roots that the committee's members opened in time, by node."""
    found: dict[NodeId, bytes] = {}
    for node, batch in world.opened.get(draw.commit, {}).items():
        if node in draw.slots and 1 <= batch.delay <= COUNTED_DELAY:
            root = root_in(batch.leaves, draw.job, draw.shard)
            if root is not None:
                found[node] = root
    return found


def root_in(leaves: Sequence[Leaf], job: JobId, shard: Shard) -> bytes | None:
    """What a batch answers to a shard; None where it passes."""
    low, high = 0, len(leaves)
    while low < high:
        middle = (low + high) // 2
        if leaves[middle][:2] < (job, shard):
            low = middle + 1
        else:
            high = middle
    return leaves[low].root if low < len(leaves) and leaves[low][:2] == (job, shard) else None


def quorum_in(world: World, job: Job, draw: Draw) -> tuple[bytes, tuple[NodeId, ...]] | None:
    """The root that enough members of a draw agree on, and who they are; None without one."""
    roots = openings_of(world, draw)
    if len(roots) < job.terms.quorum:
        return None
    root, votes = max(Counter(roots.values()).items(), key=lambda item: (item[1], item[0]))
    if votes < job.terms.quorum:
        return None
    return root, tuple(node for node in draw.slots if roots.get(node) == root)


def candidates(world: World, book: DrawBook, now: Epoch, settle_grace: int) -> list[Candidate]:
    """Every unsettled shard of the pool that a settle call sent in ``now`` would settle, ascending by (job, shard)."""
    found: dict[ShardKey, Candidate] = {}
    for commit in sorted(epoch for epoch in world.opened if epoch < now):  # earlier attempts come first
        for job in world.jobs.values():
            if job.closed:
                continue
            for shard, attempt in starting_in(job.terms, Epoch(commit - job.terms.work + 1)):
                key = job.id, shard
                if key in world.settled or key in found or now > last_epoch(job.terms, shard, settle_grace):
                    continue
                candidate = _candidate(world, book, job, shard, attempt, now)
                if candidate is not None:
                    found[key] = candidate
    return [found[key] for key in sorted(found)]


def _candidate(world: World, book: DrawBook, job: Job, shard: Shard, attempt: int, now: Epoch) -> Candidate | None:
    draw = book.get(job, shard, attempt)
    if draw is None:
        return None
    agreed = quorum_in(world, job, draw)
    early = now == draw.commit + 1
    if agreed is None or (early and any(world.is_sealed(n, draw.commit) for n in draw.slots if n)):
        return None
    return Candidate(draw, agreed[0], agreed[1], early)


def has_quorum_before(world: World, book: DrawBook, job: Job, shard: Shard, attempt: int) -> bool:
    """Whether an earlier attempt already has a quorum, so that computing this one would be for nothing."""
    for earlier in range(attempt):
        draw = book.get(job, shard, earlier)
        if draw is not None and quorum_in(world, job, draw) is not None:
            return True
    return False


def chunks(world: World, found: Sequence[Candidate], max_entries: int = MAX_ENTRIES) -> list[Chunk]:
    """Settle calls that fit in a transaction, as few as can be."""
    built: list[Chunk] = []
    queue = [tuple(found[i : i + max_entries]) for i in range(0, len(found), max_entries)]
    while queue:
        part = queue.pop(0)
        call = _build(world, part)
        if call is not None:
            built.append(Chunk(part, call))
        elif len(part) > 1:
            middle = len(part) // 2
            queue[:0] = [part[:middle], part[middle:]]
    return built


def _build(world: World, part: Sequence[Candidate]) -> SettleCall | None:
    entries = [c.entry() for c in part]
    lanes = {lane for entry in entries for lane in entry.slots if lane is not None}
    if len(lanes) >= MAX_LANES:
        return None
    paying = {LaneKey(node, c.draw.commit) for c in part for node in c.agreeing}
    batches = [OpenBatch(lane, world.opened[lane.epoch][lane.node].leaves) for lane in sorted(paying)]
    try:
        call = build_settle(entries, batches)
    except ValueError:  # more segments than one opening can have
        return None
    size = len(call.entries) + len(call.lanes) + len(call.openings)
    return call if size <= MAX_CALLDATA else None


def rank(world: World, commit: Epoch) -> int:
    """Whose turn it is: nodes that committed in ``commit`` go round by epoch; others come after all of them."""
    members = sorted(world.committed.get(commit) or set(world.opened.get(commit, {})))
    if world.node not in members:
        return len(members)
    return (members.index(world.node) - commit) % len(members)


def seeds_due(world: World, book: DrawBook, now: Epoch, settle_grace: int) -> list[tuple[Epoch, Epoch]]:
    """(commit, start) epochs of attempts that may settle soon and whose seed the ledger does not know.

    An attempt counts once as many of its members committed as its quorum needs.
    """
    found: set[tuple[Epoch, Epoch]] = set()
    for commit, committed in world.committed.items():
        if not commit < now <= commit + settle_grace:
            continue
        for job in world.jobs.values():
            start = Epoch(commit - job.terms.work + 1)
            if job.closed or start in world.seeds_on_chain or (commit, start) in found:
                continue
            for shard, attempt in starting_in(job.terms, start):
                draw = None if (job.id, shard) in world.settled else book.get(job, shard, attempt)
                if draw is not None and len(committed.intersection(draw.slots)) >= job.terms.quorum:
                    found.add((commit, start))
                    break
    return sorted(found)


def ready_block(world: World, commit: Epoch, now: Epoch, epoch_blocks: int) -> int:
    """Block from which the first in line may settle: when the last committed lane was opened, else the second epoch."""
    lanes = world.opened.get(commit, {})
    if now == commit + 1 and any(world.is_sealed(node, commit) for node in world.committed.get(commit, ())):
        return (commit + 2) * epoch_blocks
    last = max((batch.block for batch in lanes.values()), default=0)
    return min(last, (commit + 2) * epoch_blocks)


def my_turn(world: World, found: Iterable[Candidate], block: int, epoch_blocks: int, stagger: int) -> list[Candidate]:
    """Those whose turn this node has at ``block``: ``stagger`` blocks pass from one in line to the next."""
    now = Epoch(block // epoch_blocks)
    opens: dict[Epoch, bool] = {}
    for commit in {c.draw.commit for c in found}:
        wait = rank(world, commit) * stagger
        opens[commit] = block >= ready_block(world, commit, now, epoch_blocks) + wait
    return [c for c in found if opens[c.draw.commit]]
