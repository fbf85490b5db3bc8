"""From world, records and clock to the plain values that ``decide`` takes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import structlog

from nodeagent.protocol.lanes import unpack_lane
from nodeagent.protocol.types import Epoch, JobId, NodeId, Shard
from nodeagent.worker.admission import Admission
from nodeagent.worker.compute import payload_label, results_label
from nodeagent.worker.draws import DrawBook
from nodeagent.worker.ledger import Result
from nodeagent.worker.lifecycle import Duty, Lane, ShardKey
from nodeagent.worker.settling import has_quorum_before
from nodeagent.worker.world import Job, World

MAX_TRIES = 5
RETRY_BLOCKS = 2
PASSED_SHOWN = 20
log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Passes:
    """Shards that could not be answered: when to try again, and which are given up. Lost on a restart, on purpose."""

    tries: dict[ShardKey, int] = field(default_factory=dict)
    retry_at: dict[ShardKey, int] = field(default_factory=dict)
    until: dict[ShardKey, int] = field(default_factory=dict)  # given up before this block
    final: dict[ShardKey, str] = field(default_factory=dict)

    def add(self, key: ShardKey, reason: str, final: bool, block: int, deadline: int) -> None:
        """Notes a pass; ``deadline`` is when the attempt it was for is over, after which tries count anew."""
        if final:
            self.final[key] = reason
        if block >= deadline:
            self.tries.pop(key, None)
            return
        self.tries[key] = self.tries.get(key, 0) + 1
        self.retry_at[key] = block + RETRY_BLOCKS * self.tries[key]
        if self.tries[key] >= MAX_TRIES:
            self.until[key] = deadline
            self.tries.pop(key)

    def given_up(self, block: int) -> frozenset[ShardKey]:
        """Shards not worth another try at ``block``."""
        return frozenset(self.final) | {key for key, until in self.until.items() if block < until}

    def resting(self, key: ShardKey, block: int) -> bool:
        return block < self.retry_at.get(key, 0)

    def forget(self, jobs: Iterable[JobId]) -> None:
        dead = set(jobs)
        for table in (self.tries, self.retry_at, self.until, self.final):
            for key in [k for k in table if k[0] in dead]:
                del table[key]


class PassLog:
    """Why jobs and shards are not answered: each reason is logged once, the last few are shown in the status."""

    def __init__(self) -> None:
        self._reasons: dict[tuple[JobId, Shard | None], str] = {}

    def note(self, key: tuple[JobId, Shard | None], reason: str) -> None:
        """A shard's reason, or with None a whole job's."""
        job, shard = key
        if self._reasons.pop(key, None) != reason:
            log.warning("job_passed" if shard is None else "shard_passed", job=job, shard=shard, reason=reason)
        self._reasons[key] = reason
        while len(self._reasons) > PASSED_SHOWN:
            del self._reasons[next(iter(self._reasons))]

    def shown(self) -> list[dict[str, int | str | None]]:
        """The last few, oldest first."""
        return [{"job": job, "shard": shard, "reason": reason} for (job, shard), reason in self._reasons.items()]


def duties(world: World, book: DrawBook, now: Epoch, admission: Admission) -> tuple[Duty, ...]:
    """Shards this node is drawn for and whose commit epoch is not over; settled ones are none any more."""
    found = []
    for draw in book.mine(now):
        job = world.jobs.get(draw.job)
        if job is None or (draw.job, draw.shard) in world.settled or draw.shard >= job.terms.shards:
            continue
        useful = not has_quorum_before(world, book, job, draw.shard, draw.attempt)
        found.append(Duty(draw.job, draw.shard, draw.commit, useful and admission.job(job) is None))
    return tuple(found)


def answered(world: World, results: Mapping[ShardKey, Result]) -> frozenset[ShardKey]:
    """Shards whose computed answer is to what they ask now: a number that was reorganised may be another job's."""
    return frozenset(
        (job, shard)
        for (job, shard), result in results.items()
        if job in world.jobs and world.jobs[job].question(shard) == result.question
    )


def own_lanes(words: Mapping[Epoch, int]) -> dict[Epoch, Lane]:
    """What the own lane words, by the epoch they were asked for, say of those epochs."""
    found = {}
    for epoch, word in words.items():
        lane = unpack_lane(word)
        if lane.sealed_for(epoch):
            found[epoch] = Lane.SEALED
        elif lane.epoch == epoch and not lane.empty:
            found[epoch] = Lane.OPEN
    return found


def sources(world: World, job: Job, own_url: str) -> tuple[str, ...]:
    """Where a job's payload may be found: its requester, then the pool's seated nodes, then all the others.

    Nodes come in a circle that begins after this one, so that no address is the first for everybody, and who has no
    stake here comes last. A case has the requester of the job that was appealed, after the accuser's nodes and those of
    the appealed committee that opened an answer: the outvoted first, since they need its judges most.
    """
    nodes = [node for node in world.node_endpoints if node != world.node]
    nodes.sort(key=lambda node: (node < world.node, node))
    opened = _opened(world, job)
    seated = world.seats.nodes_at(Epoch(job.terms.post_epoch + 1))
    nodes.sort(key=lambda node: node not in seated)
    first = [world.node_endpoints.get(node, "") for node in opened]
    requester = world.requester_endpoints.get(job.requester, "")
    found = (*first, requester, *(world.node_endpoints[node] for node in nodes))
    return tuple(dict.fromkeys(url for url in found if url and url != own_url))


def _opened(world: World, case: Job) -> list[NodeId]:
    """The accuser's nodes and who of the appealed committee opened an answer to the shard, the outvoted first; nobody
    where no case is."""
    if case.about is None or case.barred is None:
        return []
    job, shard = case.about
    where, appeal = world.settled.get((job.id, shard)), world.cases.get((job.id, shard))
    voted = {
        node: leaf.root
        for batches in world.opened.values()
        for node in case.barred.nodes & batches.keys() - {world.node}
        for leaf in batches[node].leaves
        if (leaf.job, leaf.shard) == (job.id, shard)
    }
    own = world.nodes_of(appeal.accuser) if appeal is not None else []
    others = sorted(voted, key=lambda node: (where is not None and voted[node] == where.leaf.root, node))
    return [*own, *others]


def spent(world: World, dead: Iterable[JobId]) -> frozenset[bytes]:
    """Manifests of dead jobs that no job which is left, nor a case about one, is computed from."""
    gone = set(dead)
    left = {job.manifest for job in world.jobs.values() if job.id not in gone}
    return frozenset(world.jobs[job].manifest for job in gone) - left


def needed(world: World) -> frozenset[str]:
    """Labels of the pins of everything that a job which is not over may need: its payload, and what was published."""
    jobs = world.jobs.values()
    return frozenset({payload_label(job.manifest) for job in jobs} | {results_label(job.id) for job in jobs})


class Pace:
    """How long a block takes, from when heads were seen. ``margin`` turns seconds into blocks."""

    def __init__(self, block_s: float = 1.0) -> None:
        self.block_s = block_s
        self._last: tuple[int, float] | None = None
        self._seen = 0

    def saw(self, block: int, at: float) -> None:
        """Tells that ``block`` was the head at monotonic time ``at``, in seconds."""
        if self._last is not None and block > self._last[0]:
            sample = (at - self._last[1]) / (block - self._last[0])
            self._seen += 1
            weight = max(0.2, 1 / self._seen)
            self.block_s = max(0.01, (1 - weight) * self.block_s + weight * sample)
        if self._last is None or block != self._last[0]:
            self._last = block, at

    def margin(self, blocks: int, seconds: float, epoch_blocks: int) -> int:
        """Blocks kept free at an epoch's end: enough for both, but never so many that none is left to work in."""
        wanted_blocks = max(blocks, -int(-seconds // self.block_s))
        return max(1, min(wanted_blocks, epoch_blocks - 4))

    def poll(self, configured: float) -> float:
        """Seconds between looks at the chain."""
        return configured or min(2.0, max(0.03, self.block_s / 4))
