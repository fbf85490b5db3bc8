"""Where a job stands, shard by shard: derived from its history and the clock, for people to look at. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from nodeagent.chain.deployment import Deployment
from nodeagent.client.cases import standing
from nodeagent.client.history import History
from nodeagent.protocol.epochs import attempt_at, commit_epoch, epoch_of
from nodeagent.protocol.types import Shard, ShardStatus

GLYPHS = {
    ShardStatus.SCHEDULED: ".",
    ShardStatus.WORKING: "w",
    ShardStatus.REVEALING: "r",
    ShardStatus.SETTLING: "s",
    ShardStatus.SETTLEABLE: "s",
    ShardStatus.SETTLED: "+",
    ShardStatus.APPEALED: "a",
    ShardStatus.CONTESTED: "!",
    ShardStatus.FINAL: "#",
    ShardStatus.EXPIRED: "x",
    ShardStatus.CANCELLED: "-",
}
ENDED = frozenset((ShardStatus.FINAL, ShardStatus.CONTESTED, ShardStatus.EXPIRED, ShardStatus.CANCELLED))
CELLS = 60


@dataclass(frozen=True, slots=True)
class ShardProgress:
    """:param attempt: the one that runs, or that settled; None between and before attempts
    :param answers: openings of the running attempt that count so far
    """

    shard: int
    status: ShardStatus
    attempt: int | None
    answers: int


@dataclass(frozen=True, slots=True)
class Progress:
    """One look at a job."""

    job: int
    epoch: int
    tasks: int
    shards: tuple[ShardProgress, ...]
    closed: bool

    @property
    def counts(self) -> dict[ShardStatus, int]:
        """Shards by status."""
        return dict(Counter(s.status for s in self.shards))

    @property
    def ended(self) -> bool:
        """Whether nothing will change any more."""
        return all(s.status in ENDED for s in self.shards)

    @property
    def final(self) -> int:
        return self.counts.get(ShardStatus.FINAL, 0)


def progress_of(history: History, deployment: Deployment) -> Progress:
    """The state of every shard that is left, as of the history's tip."""
    terms = history.terms
    now = epoch_of(history.head.block, deployment.epoch_blocks)
    heard = Counter((a.shard, a.epoch) for a in history.answers)
    rows = []
    for number in range(terms.shards):
        shard, settled = Shard(number), history.settled.get(number)
        status = standing(terms, number, now, deployment.settle_grace, settled, history.cases.get(number))
        attempt = settled.entry.attempt if settled else attempt_at(terms, shard, now)
        answers = 0 if attempt is None else heard[number, commit_epoch(terms, shard, attempt)]
        rows.append(ShardProgress(number, status, attempt, answers))
    return Progress(int(history.posted.job), now, terms.tasks, tuple(rows), history.closed is not None)


def bar(progress: Progress) -> str:
    """One line: a character per shard (or per group of shards), then counts in words."""
    shards = progress.shards
    group = -(-len(shards) // CELLS) or 1
    cells = "".join(GLYPHS.get(_slowest(shards[at : at + group]), "?") for at in range(0, len(shards), group))
    counts = ", ".join(
        f"{count} {status.name.lower()}" for status, count in sorted(progress.counts.items(), key=_by_status)
    )
    return f"[{cells}] epoch {progress.epoch}: {counts}"


def _slowest(shards: tuple[ShardProgress, ...]) -> ShardStatus:
    """What a group of shards shows: the least advanced, unless one of them expired."""
    statuses = [s.status for s in shards]
    return ShardStatus.EXPIRED if ShardStatus.EXPIRED in statuses else min(statuses)


def _by_status(item: tuple[ShardStatus, int]) -> int:
    return int(item[0])
