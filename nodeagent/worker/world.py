"""The chain as this node needs it, folded from events in order. Pure: the same events always give the same world."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from nodeagent.chain import events as ev
from nodeagent.protocol.epochs import closable_from, epoch_of
from nodeagent.protocol.leaves import Leaf, parse_leaves
from nodeagent.protocol.settlement import SettledLeaf
from nodeagent.protocol.sortition import SeatList
from nodeagent.protocol.types import Epoch, JobId, JobTerms, NodeId, PoolId, Shard
from nodeagent.worker import cases
from nodeagent.worker.cases import Barred, Case

ShardKey = tuple[JobId, Shard]


@dataclass(frozen=True, slots=True)
class Job:
    """A job of the own pool. ``terms.tasks`` is lowered by a cancellation.

    A case of the Court is a job too: ``about`` is what was appealed, ``barred`` who may not judge it.
    """

    id: JobId
    requester: str
    manifest: bytes
    terms: JobTerms
    units: int
    unit_price: int
    posted_tasks: int
    closed: bool = False
    about: tuple[Job, Shard] | None = None
    barred: Barred | None = None

    def payload(self, shard: Shard) -> tuple[Job, Shard]:
        """The job whose manifest a shard is computed from, and the shard of it: the one thing a case does otherwise."""
        return self.about or (self, shard)

    def question(self, shard: Shard) -> bytes:
        """What a shard asks: the manifest, which fixes everything but the shard's place in it, and that place."""
        job, place = self.payload(shard)
        return job.manifest + int(place).to_bytes(4, "big")


@dataclass(frozen=True, slots=True)
class Opened:
    """A revealed batch. ``delay`` is epochs from commit to reveal, ``manifest`` the sha256 of its batch manifest."""

    leaves: tuple[Leaf, ...]
    manifest: bytes
    delay: int
    block: int


@dataclass(frozen=True, slots=True)
class SettledIn:
    """Where a shard was settled: the whole call's leaves, and this shard's place among them."""

    leaves: tuple[SettledLeaf, ...]
    index: int
    root: bytes
    epoch: Epoch
    tx: str
    block: int

    @property
    def leaf(self) -> SettledLeaf:
        return self.leaves[self.index]


@dataclass(slots=True)
class World:
    """``node`` is this one, ``pool`` its pool. Mutable; fed by ``apply`` in chain order, rebuilt after a rewind.

    ``punished`` has (event, node, epoch) of every lane that was reported already.
    """

    node: NodeId
    pool: PoolId
    epoch_blocks: int
    seats: SeatList = field(default_factory=SeatList)
    members: dict[NodeId, str] = field(default_factory=dict)  # nodes of the pool and their operators
    jobs: dict[JobId, Job] = field(default_factory=dict)
    node_endpoints: dict[NodeId, str] = field(default_factory=dict)
    requester_endpoints: dict[str, str] = field(default_factory=dict)
    committed: dict[Epoch, set[NodeId]] = field(default_factory=dict)  # from lanes, once an epoch is over
    opened: dict[Epoch, dict[NodeId, Opened]] = field(default_factory=dict)
    seeds_on_chain: set[Epoch] = field(default_factory=set)
    settled: dict[ShardKey, SettledIn] = field(default_factory=dict)
    claimed: set[tuple[JobId, Shard, int]] = field(default_factory=set)
    cases: dict[ShardKey, Case] = field(default_factory=dict)  # by what was appealed
    punished: set[tuple[type[ev.Event], NodeId, Epoch]] = field(default_factory=set)
    key: str = ""
    operator: str = ""
    paused: bool = False
    paused_tx: str = ""
    fault_txs: set[str] = field(default_factory=set)

    @property
    def paused_for_fault(self) -> bool:
        """Whether the chain paused this node, as opposed to its operator."""
        return self.paused and self.paused_tx in self.fault_txs

    def nodes_of(self, operator: str) -> list[NodeId]:
        """The pool's nodes of an operator, ascending."""
        return sorted(node for node, of in self.members.items() if of.lower() == operator.lower())

    @property
    def rank(self) -> int:
        """This node's place among its operator's nodes, which should not all do the same thing at once."""
        own = self.nodes_of(self.operator)
        return own.index(self.node) if self.node in own else 0

    def apply(self, events: Iterable[ev.Event]) -> None:
        """Takes events in. Those of other pools and unknown kinds change nothing."""
        for event in events:
            self._one(event)

    def is_sealed(self, node: NodeId, epoch: Epoch) -> bool:
        """Whether the node committed for ``epoch`` and has not opened it; who did is unknown until lanes are read."""
        if node in self.opened.get(epoch, {}):
            return False
        return epoch not in self.committed or node in self.committed[epoch]

    def over(self, job: Job, now: Epoch, settle_grace: int, report_epochs: int) -> bool:
        """Whether nothing about a job can happen any more, but for refunds."""
        return job.closed or now >= closable_from(job.terms, settle_grace, report_epochs)

    def finished(self, now: Epoch, settle_grace: int, report_epochs: int, ring: int) -> list[JobId]:
        """Jobs that may be forgotten. One that this node's operator appealed waits a ring for the rest of its bond."""
        own = [case for case in self.cases.values() if case.by(self.operator) and not case.closed]
        ends = {
            job: closable_from(case.terms, settle_grace, report_epochs) + ring
            for case in own
            for job in (case.job, case.case_job)
        }
        over = [job.id for job in self.jobs.values() if self.over(job, now, settle_grace, report_epochs)]
        return [job for job in over if now >= ends.get(job, now)]

    def _one(self, event: ev.Event) -> None:
        for part in (self._market, self._court, self._seats, self._nodes, self._ledger):
            if part(event):
                return

    def _market(self, event: ev.Event) -> bool:
        match event:
            case ev.JobPosted() if event.terms.pool == self.pool:
                self.jobs[event.job] = Job(
                    event.job,
                    event.requester,
                    event.manifest,
                    event.terms,
                    event.units,
                    event.unit_price,
                    event.terms.tasks,
                )
            case ev.JobCancelled() if event.job in self.jobs:
                job = self.jobs[event.job]
                self.jobs[event.job] = replace(job, terms=replace(job.terms, tasks=event.tasks_left))
            case ev.JobClosed() if event.job in self.jobs:
                self.jobs[event.job] = replace(self.jobs[event.job], closed=True)
            case ev.EndpointAnnounced():
                self.requester_endpoints[event.requester] = event.endpoint
            case ev.Settled():
                for index, leaf in enumerate(event.shards):
                    self.settled[leaf.job, leaf.shard] = SettledIn(
                        event.shards, index, event.root, event.epoch, event.at.tx, event.at.block
                    )
            case ev.Claimed():
                self.claimed.add((event.job, event.shard, event.slot))
            case _:
                return False
        return True

    def _court(self, event: ev.Event) -> bool:
        match event:
            case ev.CasePosted() if event.job in self.jobs:
                job = self.jobs[event.job]
                self.jobs[event.case_job] = replace(
                    job, id=event.case_job, terms=event.terms, closed=False, about=(job, event.shard)
                )
            case ev.Appealed() if event.case_job in self.jobs:
                job = self.jobs[event.case_job]
                self.jobs[event.case_job] = replace(job, barred=Barred(frozenset(event.committee), event.held_before))
                self.cases[event.job, event.shard] = cases.appealed(event, job.terms)
            case ev.Resolved() | ev.EndedWithoutVerdict() | ev.CaseClosed() if (event.job, event.shard) in self.cases:
                case = self.cases[event.job, event.shard]
                settled = self.settled.get(case.case_key)
                now = epoch_of(event.at.block, self.epoch_blocks)
                self.cases[case.key] = cases.after(case, event, settled.epoch if settled else cases.NEVER, now)
            case _:
                return False
        return True

    def _seats(self, event: ev.Event) -> bool:
        match event:
            case ev.SeatTaken() if event.pool == self.pool:
                self.seats.seat_taken(event.node, event.seat, event.since, event.held_since)
            case ev.SeatEnded() if event.pool == self.pool:
                self.seats.seat_ended(event.seat, event.until)
            case ev.ListResized() if event.pool == self.pool:
                self.seats.resized(event.length, event.from_epoch)
            case ev.NodePaused():
                self.seats.paused(event.node, event.from_epoch)
                if event.node == self.node:
                    self.paused, self.paused_tx = True, event.at.tx
            case ev.NodeResumed():
                self.seats.resumed(event.node, event.from_epoch)
                if event.node == self.node:
                    self.paused = False
            case _:
                return False
        return True

    def _nodes(self, event: ev.Event) -> bool:
        match event:
            case ev.NodeRegistered() if event.pool == self.pool:
                self.members[event.node] = event.operator
                if event.node == self.node:
                    self.key, self.operator = event.key, event.operator
            case ev.NodeAnnounced():
                self.node_endpoints[event.node] = event.endpoint
            case ev.KeyReplaced() if event.node == self.node:
                self.key = event.new
            case ev.Slashed() if event.node == self.node:
                self.fault_txs.add(event.at.tx)
            case ev.AbsentMarked() | ev.UnrevealedReported() | ev.WrongMarked():
                self.punished.add((type(event), event.node, event.epoch))
                if event.node == self.node:
                    self.fault_txs.add(event.at.tx)
            case _:
                return False
        return True

    def _ledger(self, event: ev.Event) -> bool:
        match event:
            case ev.SeedRecorded():
                self.seeds_on_chain.add(event.epoch)
            case ev.Revealed() if event.node in self.members:
                delay = epoch_of(event.at.block, self.epoch_blocks) - event.epoch
                batch = Opened(parse_leaves(event.leaves), event.manifest, delay, event.at.block)
                self.opened.setdefault(event.epoch, {})[event.node] = batch
            case _:
                return False
        return True

    def prune(self, before: Epoch, dead_jobs: Iterable[JobId]) -> None:
        """Forgets batches, seeds and settlements older than ``before``, and jobs that are over."""
        self.committed = {e: nodes for e, nodes in self.committed.items() if e >= before}
        self.opened = {e: batches for e, batches in self.opened.items() if e >= before}
        self.seeds_on_chain = {e for e in self.seeds_on_chain if e >= before}
        dead = set(dead_jobs)
        self.jobs = {i: job for i, job in self.jobs.items() if i not in dead}
        self.settled = {k: s for k, s in self.settled.items() if s.epoch >= before and k[0] not in dead}
        self.claimed = {c for c in self.claimed if c[:2] in self.settled}
        # own appeals that were lost count for a ring, whatever became of their jobs
        self.cases = {
            k: c for k, c in self.cases.items() if k[0] not in dead or (c.by(self.operator) and c.resolved >= before)
        }
        self.punished = {p for p in self.punished if p[2] >= before}
