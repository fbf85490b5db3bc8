"""What a node does next: a pure, total function of what it has on disk, what the chain says, and the clock.

A restart is no special case: nothing here remembers anything. Every action is idempotent by its key, so that deciding
the same thing twice does it once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from nodeagent.protocol.types import Epoch, JobId, Shard

ShardKey = tuple[JobId, Shard]


class Lane(Enum):
    """The own lane of an epoch, as the chain has it. ``OPEN`` also stands for one that was punished: nothing to do."""

    NONE = "none"
    SEALED = "sealed"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Duty:
    """A shard this node is drawn for. ``wanted`` is false when its own filter passes on it."""

    job: JobId
    shard: Shard
    commit: Epoch
    wanted: bool = True

    @property
    def key(self) -> ShardKey:
        return self.job, self.shard


@dataclass(frozen=True, slots=True)
class Clock:
    """The head's block, and how blocks make epochs. ``margin`` is blocks kept free before an epoch ends."""

    block: int
    epoch_blocks: int
    margin: int
    reveal_depth: int
    reveal_grace: int

    @property
    def epoch(self) -> Epoch:
        return Epoch(self.block // self.epoch_blocks)

    def first(self, epoch: Epoch) -> int:
        return epoch * self.epoch_blocks

    def last(self, epoch: Epoch) -> int:
        return self.first(Epoch(epoch + 1)) - 1

    def safe(self, epoch: Epoch) -> int:
        """Last block at which a transaction for ``epoch`` is still sent with ease."""
        return max(self.first(epoch) + 1, self.last(epoch) - self.margin)


@dataclass(frozen=True, slots=True)
class State:
    """What is on disk: results by shard, shards given up, epochs with a sealed batch, keys in flight."""

    done: frozenset[ShardKey] = frozenset()
    given_up: frozenset[ShardKey] = frozenset()
    batches: frozenset[Epoch] = frozenset()
    in_flight: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Facts:
    """What the chain says. ``duties`` of epochs that are not over; ``draws_known`` once this epoch's seed is.

    ``commit_blocks`` are the blocks in which own commits were mined.
    """

    duties: tuple[Duty, ...] = ()
    draws_known: bool = True
    lanes: Mapping[Epoch, Lane] = field(default_factory=dict)
    commit_blocks: Mapping[Epoch, int] = field(default_factory=dict)
    paused_for_fault: bool = False
    auto_resume: bool = True


@dataclass(frozen=True, slots=True)
class Compute:
    """Fetch and run a shard; its answer is of use until ``deadline`` (a block)."""

    job: JobId
    shard: Shard
    deadline: int


@dataclass(frozen=True, slots=True)
class Seal:
    """Write the batch of an epoch: the shards named, in order, with a fresh salt. Nothing leaves yet."""

    epoch: Epoch
    shards: tuple[ShardKey, ...]


@dataclass(frozen=True, slots=True)
class Commit:
    epoch: Epoch
    deadline: int


@dataclass(frozen=True, slots=True)
class Reveal:
    epoch: Epoch
    deadline: int


@dataclass(frozen=True, slots=True)
class Turn:
    """Open ``epoch - 1`` and seal ``epoch`` in one transaction."""

    epoch: Epoch
    deadline: int


@dataclass(frozen=True, slots=True)
class Resume:
    """Join the draw again after a pause the chain imposed."""

    epoch: Epoch


Action = Compute | Seal | Commit | Reveal | Turn | Resume


def decide(state: State, facts: Facts, now: Clock) -> list[Action]:
    """Actions in order of urgency. Total: any combination of arguments has an answer."""
    return [*_openings(state, facts, now), *_work(state, facts, now), *_resume(facts, now, state)]


def _work(state: State, facts: Facts, now: Clock) -> list[Compute]:
    """Shards still to compute, earliest deadline first."""
    wanted = [
        Compute(duty.job, duty.shard, now.safe(duty.commit))
        for duty in facts.duties
        if duty.wanted
        and duty.key not in state.done
        and duty.key not in state.given_up
        and duty.commit not in state.batches
        and now.block < now.safe(duty.commit)
    ]
    return sorted(wanted, key=lambda c: (c.deadline, c.job, c.shard))


def _openings(state: State, facts: Facts, now: Clock) -> list[Action]:
    """Reveals of older epochs, then this epoch's commit, joined to the last epoch's reveal where both are due."""
    actions: list[Action] = []
    epoch, previous = now.epoch, Epoch(now.epoch - 1)
    for older in sorted(e for e in state.batches if now.epoch - now.reveal_grace <= e < previous):
        if facts.lanes.get(older) is Lane.SEALED and not _busy(state, older):
            actions.append(Reveal(older, now.last(Epoch(older + now.reveal_grace))))
    to_open = facts.lanes.get(previous) is Lane.SEALED and previous in state.batches and not _busy(state, previous)
    to_seal, sealing = _sealing(state, facts, now)
    actions.extend(sealing)
    deep = now.block >= facts.commit_blocks.get(previous, 0) + now.reveal_depth
    late = now.block >= now.safe(epoch)
    if to_seal is Sealing.READY and not _busy(state, epoch):
        if to_open and (deep or late):
            actions.append(Turn(epoch, now.last(epoch)))
        elif not to_open:
            actions.append(Commit(epoch, now.last(epoch)))
    elif to_open and to_seal is Sealing.NOTHING and (deep or late):
        actions.append(Reveal(previous, now.last(Epoch(previous + now.reveal_grace))))
    return actions


class Sealing(Enum):
    """Whether this epoch's batch can leave: nothing to seal, still waiting for work, or on disk."""

    NOTHING = "nothing"
    WAITING = "waiting"
    READY = "ready"


def _sealing(state: State, facts: Facts, now: Clock) -> tuple[Sealing, list[Action]]:
    epoch = now.epoch
    if facts.lanes.get(epoch, Lane.NONE) is not Lane.NONE:
        return Sealing.NOTHING, []
    if epoch in state.batches:
        return Sealing.READY, []
    if not facts.draws_known:
        return Sealing.WAITING, []
    due = [duty for duty in facts.duties if duty.commit == epoch]
    if not due:
        return Sealing.NOTHING, []
    open_work = [d for d in due if d.wanted and d.key not in state.done and d.key not in state.given_up]
    if open_work and now.block < now.safe(epoch):
        return Sealing.WAITING, []
    shards = tuple(sorted({d.key for d in due if d.wanted and d.key in state.done}))
    return Sealing.READY, [Seal(epoch, shards)]


def _resume(facts: Facts, now: Clock, state: State) -> list[Action]:
    if facts.paused_for_fault and facts.auto_resume and resume_key(now.epoch) not in state.in_flight:
        return [Resume(now.epoch)]
    return []


def _busy(state: State, epoch: Epoch) -> bool:
    """Whether a transaction that seals or opens this epoch's lane is under way."""
    keys = {commit_key(epoch), reveal_key(epoch), turn_key(epoch), turn_key(Epoch(epoch + 1))}
    return not keys.isdisjoint(state.in_flight)


def commit_key(epoch: Epoch) -> str:
    return f"commit:{epoch}"


def reveal_key(epoch: Epoch) -> str:
    return f"reveal:{epoch}"


def turn_key(epoch: Epoch) -> str:
    return f"turn:{epoch}"


def resume_key(epoch: Epoch) -> str:
    return f"resume:{epoch}"
