"""Identifiers, enums and the terms of a job.

Identifiers are plain ``int`` at run time and distinct types under mypy, like the user-defined types of the
contracts.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NewType

from nodeagent.errors import JobFault

JobId = NewType("JobId", int)
"""uint64, counted from 1 by the market."""
NodeId = NewType("NodeId", int)
"""uint32, counted from 1 by the registry; 0 is nobody, a void slot."""
PoolId = NewType("PoolId", int)
"""uint16, chosen by who creates the pool."""
Epoch = NewType("Epoch", int)
"""uint32, ``block // EPOCH_BLOCKS``."""
Shard = NewType("Shard", int)
"""uint32, counted from 0 within a job."""
Task = NewType("Task", int)
"""uint32, counted from 0 within a job (not within its shard)."""

VOID = NodeId(0)
"""What a slot holds that no node was found for."""


class Malformed(JobFault):
    """Bytes or a document from outside break the format they must have."""


class AnswerClass(IntEnum):
    """What a mismatch between answers means. Only ``EXACT`` can be posted today."""

    EXACT = 0
    INT = 1
    TOLERANT = 2
    OPAQUE = 3


class ShardStatus(IntEnum):
    """Where a shard stands; derived from stored facts and the clock, never stored."""

    NONE = 0
    SCHEDULED = 1
    WORKING = 2
    REVEALING = 3
    SETTLING = 4
    SETTLEABLE = 5
    SETTLED = 6
    APPEALED = 7
    CONTESTED = 8
    FINAL = 9
    EXPIRED = 10
    CANCELLED = 11


class TaskStatus(IntEnum):
    """First byte of a task's answer. All but ``OK`` are answers about a faulty payload, the same on every
    machine.
    """

    OK = 0
    MODEL_REFUSED = 1
    INPUT_REFUSED = 2
    TRAP = 3
    OUTPUT_REFUSED = 4


@dataclass(frozen=True, slots=True)
class JobTerms:
    """The terms of a job as the market stores them.

    ``tasks`` is lowered when the job is cancelled. ``task_price`` is ``units * unit_price``: what one member
    earns for one task, in payment-token units. ``post_epoch`` is the counting epoch of the post. ``is_case`` says
    that the Court posted it: its one shard is a shard of another job, computed again.
    """

    task_price: int
    tasks: int
    shard_size: int
    post_epoch: Epoch
    pace: int
    pool: PoolId
    committee: int
    quorum: int
    work: int
    max_attempts: int
    answer_class: AnswerClass
    appeal_epochs: int
    has_rare_word: bool = False
    is_case: bool = False

    @property
    def shards(self) -> int:
        """Number of shards: ``ceil(tasks / shard_size)``."""
        return -(-self.tasks // self.shard_size)

    def tasks_in(self, shard: Shard) -> int:
        """Tasks of one shard: ``shard_size``, fewer in the last. Raises ``ValueError`` for a shard beyond the
        job.
        """
        first = shard * self.shard_size
        if not 0 <= first < self.tasks:
            raise ValueError(f"shard {shard} is not one of {self.shards} shards")
        return min(self.shard_size, self.tasks - first)

    def shard_of(self, task: Task) -> Shard:
        """Shard that holds a task."""
        return Shard(task // self.shard_size)
