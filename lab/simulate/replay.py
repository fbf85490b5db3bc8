"""Plays a recorded run through the simulation's draws and books, and says where the chain came out otherwise.

Committees are drawn again from the recorded seeds and seats; openings count by the recorded batches; money moves by
:mod:`lab.simulate.books`. Of the recorded transactions only what a sender chose is believed: which slots it paid,
whom it named. A transaction that the rules do not allow is refused with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lab.simulate import acts as a
from lab.simulate import record as r
from lab.simulate.books import Books, Case, Job
from lab.simulate.draws import Seats, draw_committees
from lab.simulate.purses import ABSENT, UNREVEALED
from nodeagent.protocol.constants import COUNTED_DELAY
from nodeagent.protocol.epochs import attempt_start, commit_epoch, shards_kept
from nodeagent.protocol.jobword import unpack_job_word
from nodeagent.protocol.types import Epoch, JobTerms, Shard

Question = tuple[int, int]
"""Job and shard."""


@dataclass(frozen=True, slots=True)
class Settled:
    """How a shard settled."""

    attempt: int
    root: str
    paid: tuple[int, ...]
    epoch: int


class Replay:
    """The state of a run while its acts are played."""

    def __init__(self, record: r.Record) -> None:
        self.record = record
        nodes = [s.node for pool in record.pools for s in pool.seats] + [b.node for b in record.batches]
        nodes += [act.node for act in record.acts if isinstance(act, a.Stake)]
        self.books = Books(max(nodes, default=0), record.rules.rules(), record.fee_recipient)
        self.committees: dict[tuple[int, int, int], tuple[int, ...]] = {}
        self.settled: dict[Question, Settled] = {}
        self._seats = {pool.pool: _seats(pool, record.pauses) for pool in record.pools}
        self._jobs = {job.job: job for job in record.jobs}
        self._batches = {(b.node, b.epoch): b for b in record.batches}
        self._cases: dict[Question, Case] = {}
        self._case_jobs: dict[int, tuple[Case, int, tuple[int, ...]]] = {}
        self._claimed: set[tuple[int, int, int]] = set()

    def play(self) -> Replay:
        """Plays every act and moves on to the epoch of the final balances. Raises BadRecord, Unbalanced."""
        for number, act in enumerate(self.record.acts):
            self.books.at(act.epoch)
            try:
                step: Callable[[Any], None] = getattr(self, f"_{act.act}")
                step(act)
            except r.BadRecord as fault:
                raise r.BadRecord(f"act {number} ({act.act}, epoch {act.epoch}): {fault.message}") from None
        self.books.at(self.record.balances.epoch)
        self.books.check()
        return self

    def case_money(self) -> dict[Hashable, int]:
        """What is left of each case's bond, by case job."""
        return {number: case.held for number, (case, _, _) in self._case_jobs.items()}

    # --- draws --------------------------------------------------------------------------------------------------

    def committee(self, job: int, shard: int, attempt: int) -> tuple[int, ...]:
        """Slots of an attempt of a job's or case's shard. Raises BadRecord when its seed is not recorded."""
        key = (job, shard, attempt)
        if key not in self.committees:
            terms, held_before, excluded = self._drawn(job)
            start = attempt_start(terms, Shard(shard), attempt)
            if start not in self.record.seeds:
                raise r.BadRecord(f"the seed of epoch {start} is missing: job {job} was drawn by it")
            table = self._seats[terms.pool].table(start, held_before)
            drawn = draw_committees(
                bytes.fromhex(self.record.seeds[start][2:]), [job], [shard], terms.committee, table,
                np.array([excluded], np.uint32) if excluded else None,
            )  # fmt: skip
            self.committees[key] = tuple(drawn[0].tolist())
        return self.committees[key]

    def _drawn(self, job: int) -> tuple[JobTerms, int | None, tuple[int, ...]]:
        if job in self._case_jobs:
            case, held_before, excluded = self._case_jobs[job]
            return case.terms, held_before, excluded
        return self._terms(job), None, ()

    def _terms(self, job: int) -> JobTerms:
        if job not in self.books.jobs:
            raise r.BadRecord(f"job {job} was not posted before")
        return self.books.jobs[job].terms

    def _holder(self, job: int) -> Job | Case:
        """A job, or the case that a job is; with what is left of its money."""
        if job in self._case_jobs:
            return self._case_jobs[job][0]
        self._terms(job)
        return self.books.jobs[job]

    def _opened(self, node: int, epoch: int, question: Question, within: int | None = COUNTED_DELAY) -> str | None:
        """The root that a node opened for a shard in its batch of an epoch, at most ``within`` epochs late."""
        batch = self._batches.get((node, epoch))
        if not node or batch is None or batch.delay is None or (within is not None and batch.delay > within):
            return None
        return next((leaf.root.lower() for leaf in batch.leaves if (leaf.job, leaf.shard) == question), None)

    # --- jobs ---------------------------------------------------------------------------------------------------

    def _post(self, act: a.Post) -> None:
        job = self._jobs.get(act.job)
        if job is None or act.job in self.books.jobs:
            raise r.BadRecord(f"job {act.job} is not in the record, or was posted twice")
        self.books.post(job.job, unpack_job_word(job.word), job.requester, job.protocol_fee_bps)

    def _cancel(self, act: a.Cancel) -> None:
        terms = self._terms(act.job)
        kept = shards_kept(terms, Epoch(act.counting))
        self.books.cancel(act.job, replace(terms, tasks=min(terms.tasks, kept * terms.shard_size)))

    def _close(self, act: a.Close) -> None:
        self._terms(act.job)
        self.books.close(act.job)

    def _settle(self, act: a.Settle) -> None:
        payee = act.payee or act.sender
        for entry in act.entries:
            holder = self._holder(entry.job)
            nodes = self._quorum(entry, holder.terms)
            self.settled[entry.job, entry.shard] = Settled(
                entry.attempt, entry.root.lower(), tuple(entry.paid), act.epoch
            )
            self.books.settle_one(holder, holder.terms.tasks_in(Shard(entry.shard)), nodes, payee)

    def _quorum(self, entry: a.EntryRecord, terms: JobTerms) -> list[int]:
        """Nodes in the paid slots: drawn, with equal openings in time, and enough of them."""
        if (entry.job, entry.shard) in self.settled:
            raise r.BadRecord(f"shard {entry.shard} of job {entry.job} settles a second time")
        drawn = self.committee(entry.job, entry.shard, entry.attempt)
        commit = commit_epoch(terms, Shard(entry.shard), entry.attempt)
        where = f"shard {entry.shard} of job {entry.job}"
        for slot in entry.paid:
            node = drawn[slot] if slot < len(drawn) else 0
            if self._opened(node, commit, (entry.job, entry.shard)) != entry.root.lower():
                raise r.BadRecord(f"slot {slot} of {where} did not open the root that it is paid for")
        if len(set(entry.paid)) < max(terms.quorum, len(entry.paid)):
            raise r.BadRecord(f"slots {entry.paid} settle {where}: {terms.quorum} different ones must")
        return [drawn[slot] for slot in entry.paid]

    def _claim(self, act: a.Claim) -> None:
        settled, node, commit = self._member(act.job, act.shard, act.slot)
        case = self._cases.get((act.job, act.shard))
        root = str(case.verdict) if case is not None and case.verdict is not None else settled.root
        paid = root == settled.root and act.slot in settled.paid
        if paid or (act.job, act.shard, act.slot) in self._claimed:
            raise r.BadRecord(f"slot {act.slot} of shard {act.shard} of job {act.job} is paid already")
        if self._opened(node, commit, (act.job, act.shard)) != root:
            raise r.BadRecord(f"node {node} claims for another answer than the result")
        self._claimed.add((act.job, act.shard, act.slot))
        holder = self._holder(act.job)
        self.books.claim(holder, holder.terms.tasks_in(Shard(act.shard)), node)

    def _member(self, job: int, shard: int, slot: int) -> tuple[Settled, int, int]:
        settled = self.settled.get((job, shard))
        if settled is None:
            raise r.BadRecord(f"shard {shard} of job {job} is not settled")
        terms = self._drawn(job)[0]
        node = self.committee(job, shard, settled.attempt)[slot]
        return settled, node, commit_epoch(terms, Shard(shard), settled.attempt)

    # --- faults -------------------------------------------------------------------------------------------------

    def _absent(self, act: a.Absent) -> None:
        _, node, commit = self._member(act.job, act.shard, act.slot)
        if not node or (node, commit) in self._batches:
            raise r.BadRecord(f"node {node} was not absent in epoch {commit}")
        self._punish(node, commit, ABSENT, act.reporter)

    def _unrevealed(self, act: a.Unrevealed) -> None:
        batch = self._batches.get((act.node, act.commit_epoch))
        over = act.commit_epoch + self.books.rules.reveal_grace
        if batch is None or batch.delay is not None or act.epoch <= over:
            raise r.BadRecord(f"node {act.node} did not withhold its batch of epoch {act.commit_epoch} beyond {over}")
        self._punish(act.node, act.commit_epoch, UNREVEALED, act.reporter)

    def _punish(self, node: int, epoch: int, row: int, reporter: str) -> None:
        if self.books.was_punished(node, epoch, row):
            raise r.BadRecord(f"node {node} was punished for its lane of epoch {epoch} before")
        self.books.punish(node, epoch, row, reporter)

    # --- court --------------------------------------------------------------------------------------------------

    def _appeal(self, act: a.Appeal) -> None:
        question = (act.job, act.shard)
        settled = self.settled.get(question)
        if settled is None or question in self._cases:
            raise r.BadRecord(f"shard {act.shard} of job {act.job} is not settled, or was appealed before")
        terms = self._terms(act.job)
        drawn = self.committee(act.job, act.shard, settled.attempt)
        paid = tuple(drawn[slot] for slot in settled.paid)
        case = self.books.appeal(act.job, act.shard, act.counting, act.accuser, settled.root, paid)
        self._cases[question] = case
        self._case_jobs[act.case_job] = (case, attempt_start(terms, Shard(act.shard), settled.attempt), drawn)

    def _case(self, job: int, shard: int) -> tuple[Case, int]:
        if (job, shard) not in self._cases:
            raise r.BadRecord(f"shard {shard} of job {job} has no case")
        case = self._cases[job, shard]
        return case, next(number for number, (found, _, _) in self._case_jobs.items() if found is case)

    def _resolve(self, act: a.Resolve) -> None:
        case, number = self._case(act.job, act.shard)
        verdict = self.settled.get((number, 0))
        if verdict is None:
            self.books.no_verdict(case)
        else:
            self.books.resolve(case, verdict.root, verdict.epoch)

    def _close_case(self, act: a.CloseCase) -> None:
        self.books.close_case(self._case(act.job, act.shard)[0])

    def _wrong(self, act: a.ReportWrong) -> None:
        case, _ = self._case(act.job, act.shard)
        commit = commit_epoch(self._terms(act.job), Shard(act.shard), act.attempt)
        node = self.committee(act.job, act.shard, act.attempt)[act.slot]
        opened = self._opened(node, commit, (act.job, act.shard), None)
        if case.verdict is None or opened is None or opened == case.verdict:
            raise r.BadRecord(f"node {node} opened nothing in epoch {commit} that a verdict calls wrong")
        if not self.books.report_wrong(case, node, commit, act.reporter, act.epoch):
            raise r.BadRecord(f"node {node} was punished for its lane of epoch {commit} before")

    # --- in and out ---------------------------------------------------------------------------------------------

    def _stake(self, act: a.Stake) -> None:
        self.books.add_stake(act.node, act.amount)

    def _unbond(self, act: a.Unbond) -> None:
        self.books.unbond(act.node, act.amount)

    def _unstake(self, act: a.Unstake) -> None:
        self.books.unstake(act.node)

    def _withdraw(self, act: a.Withdraw) -> None:
        self.books.withdraw(act.node)

    def _collect(self, act: a.Collect) -> None:
        self.books.collect(act.account)

    def _collect_reward(self, act: a.CollectReward) -> None:
        self.books.collect_reward(act.account)


def _seats(pool: r.PoolRecord, pauses: list[r.PauseRecord]) -> Seats:
    columns = [[getattr(s, name) for s in pool.seats] for name in ("seat", "node", "since", "until", "held_since")]
    seats = Seats(*(np.array(column, np.int64) for column in columns))
    seats.resize(pool.lengths)
    for pause in pauses:
        seats.pause(pause.node, pause.start, pause.end)
    return seats
