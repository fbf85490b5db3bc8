"""Appeals as the Court's events tell them, and what they make of a settled shard. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nodeagent.chain import events as ev
from nodeagent.protocol.epochs import case_status, claims_open, last_epoch
from nodeagent.protocol.types import Epoch, JobId, JobTerms, NodeId, Shard

if TYPE_CHECKING:
    from nodeagent.worker.world import World

ShardKey = tuple[JobId, Shard]
NEVER = Epoch(0)


@dataclass(frozen=True, slots=True)
class Barred:
    """Who may not judge a case: the appealed committee, and whoever held no seat before an epoch."""

    nodes: frozenset[NodeId] = frozenset()
    held_before: Epoch | None = None


NOBODY = Barred()


@dataclass(frozen=True, slots=True)
class Case:
    """An appeal about one shard. ``terms`` are the case job's; ``ended`` is when its verdict settled.

    ``verdict`` stays None until somebody resolves the case; ``burned`` says that it ended without one; ``resolved`` is
    when somebody said so.
    """

    job: JobId
    shard: Shard
    case_job: JobId
    terms: JobTerms
    accuser: str
    bond: int
    settled_root: bytes
    verdict: bytes | None = None
    ended: Epoch = NEVER
    resolved: Epoch = NEVER
    burned: bool = False
    closed: bool = False

    @property
    def key(self) -> ShardKey:
        return self.job, self.shard

    @property
    def case_key(self) -> ShardKey:
        """The shard that its judges serve."""
        return self.case_job, Shard(0)

    def by(self, operator: str) -> bool:
        """Whether an account is the accuser."""
        return self.accuser.lower() == operator.lower()

    @property
    def open(self) -> bool:
        """Whether it still has to be resolved."""
        return self.verdict is None and not self.burned

    @property
    def overturned(self) -> bool:
        return self.verdict is not None and self.verdict != self.settled_root

    def last(self, settle_grace: int) -> Epoch:
        """Last epoch in which its judges' answer may settle."""
        return last_epoch(self.terms, Shard(0), settle_grace)


def appealed(event: ev.Appealed, terms: JobTerms) -> Case:
    return Case(event.job, event.shard, event.case_job, terms, event.accuser, event.bond, event.settled_root)


def after(case: Case, event: ev.Event, settled: Epoch, now: Epoch) -> Case:
    """The case after one more event of the Court about it, in epoch ``now``; ``settled`` is when its job settled."""
    match event:
        case ev.Resolved():
            return replace(case, verdict=event.verdict, ended=settled, resolved=now)
        case ev.EndedWithoutVerdict():
            return replace(case, burned=True, closed=True, resolved=now)
        case ev.CaseClosed():
            return replace(case, closed=True)
    return case


@dataclass(frozen=True, slots=True)
class Standing:
    """What a settled shard came to, and the epochs in which claims on it are open: none while it may change."""

    root: bytes
    window: range


def standing(world: World, key: ShardKey, now: Epoch, settle_grace: int, report_epochs: int) -> Standing | None:
    """None for a shard of no known job, or one that is not settled."""
    where, job = world.settled.get(key), world.jobs.get(key[0])
    if where is None or job is None:
        return None
    case = world.cases.get(key)
    if case is None:
        return Standing(where.leaf.root, claims_open(job.terms, report_epochs, where.epoch))
    settled = case.case_key in world.settled
    status = case_status(case.terms, now, settle_grace, settled, case.verdict is not None)
    ended = case.last(settle_grace) if case.verdict is None else case.ended
    window = claims_open(job.terms, report_epochs, where.epoch, status, ended)
    return Standing(case.verdict or where.leaf.root, window)
