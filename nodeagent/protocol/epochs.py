"""The clock: which epoch it is, when attempts start, commit, reveal and end, and where that leaves a shard.

Mirror of ``contracts/libraries/Epochs.sol``. Everything is in epochs unless a name says blocks. Nothing of
this is stored anywhere: a shard's status is a function of the job's terms, of whether it is settled, and of
the clock.
"""

from __future__ import annotations

from .constants import OPEN_ENDED
from .types import AnswerClass, Epoch, JobTerms, Shard, ShardStatus

# --- blocks -------------------------------------------------------------------------------------------------


def epoch_of(block: int, epoch_blocks: int) -> Epoch:
    """Epoch that a block belongs to."""
    return Epoch(block // epoch_blocks)


def counting_epoch(block: int, epoch_blocks: int, lead: int) -> Epoch:
    """Epoch that a post, seat, pause, resume or cancel in ``block`` counts for; it takes effect in the one
    after.
    """
    return Epoch((block + lead) // epoch_blocks)


def first_block(epoch: Epoch, epoch_blocks: int) -> int:
    """First block of an epoch."""
    return epoch * epoch_blocks


def seed_block(epoch: Epoch, epoch_blocks: int) -> int:
    """Block whose header carries the randomness of an epoch's draws: its second."""
    return epoch * epoch_blocks + 1


# --- attempts -----------------------------------------------------------------------------------------------


def stride(job: JobTerms) -> int:
    """Epochs from the start of one attempt to the start of the next."""
    return job.work + (4 if job.answer_class is AnswerClass.TOLERANT else 2)


def first_epoch(job: JobTerms, shard: Shard) -> Epoch:
    """Epoch in which attempt 0 of a shard starts."""
    return Epoch(job.post_epoch + 1 + shard // job.pace)


def attempt_start(job: JobTerms, shard: Shard, attempt: int) -> Epoch:
    """Epoch ``A`` whose seed draws the committee of an attempt."""
    return Epoch(first_epoch(job, shard) + attempt * stride(job))


def commit_epoch(job: JobTerms, shard: Shard, attempt: int) -> Epoch:
    """Epoch ``C`` in which the members of an attempt commit."""
    return Epoch(attempt_start(job, shard, attempt) + job.work - 1)


def last_epoch(job: JobTerms, shard: Shard, settle_grace: int) -> Epoch:
    """Last epoch in which a shard may still be settled."""
    return Epoch(first_epoch(job, shard) + job.max_attempts * stride(job) - 1 + settle_grace)


def attempt_at(job: JobTerms, shard: Shard, now: Epoch) -> int | None:
    """Attempt that runs in ``now`` (working, revealing or settling), or None before the first and after the
    last.
    """
    since = now - first_epoch(job, shard)
    if since < 0:
        return None
    attempt = since // stride(job)
    return attempt if attempt < job.max_attempts else None


def settle_from(job: JobTerms, shard: Shard, attempt: int) -> Epoch:
    """First epoch in which an attempt can be settled, if none of its slots is still sealed; else one later."""
    return Epoch(commit_epoch(job, shard, attempt) + 1)


# --- status -------------------------------------------------------------------------------------------------


def shard_status(
    job: JobTerms,
    shard: Shard,
    now: Epoch,
    settle_grace: int,
    settled_at: Epoch | None = None,
    case: ShardStatus = ShardStatus.NONE,
) -> ShardStatus:
    """Status of a shard in epoch ``now``.

    ``settled_at`` is the epoch of the settlement that holds the shard, None while it is not settled. With
    ``appeal_epochs`` the shard is final when ``now > settled_at + appeal_epochs``, else at once; a ``case`` (see
    :func:`case_status`) overrides that.
    """
    if settled_at is not None:
        if case is not ShardStatus.NONE:
            return case
        final = job.appeal_epochs == 0 or now > settled_at + job.appeal_epochs
        return ShardStatus.FINAL if final else ShardStatus.SETTLED
    if shard >= job.shards:
        return ShardStatus.CANCELLED
    since = now - first_epoch(job, shard)
    if since < 0:
        return ShardStatus.SCHEDULED
    attempt, phase = divmod(since, stride(job))
    if attempt < job.max_attempts:
        if phase < job.work:
            return ShardStatus.WORKING
        return ShardStatus.REVEALING if phase == job.work else ShardStatus.SETTLING
    if now <= last_epoch(job, shard, settle_grace):
        return ShardStatus.SETTLEABLE
    return ShardStatus.EXPIRED


# --- appeal -------------------------------------------------------------------------------------------------


def appeal_until(job: JobTerms, settled_at: Epoch) -> Epoch:
    """Last counting epoch in which a shard settled in ``settled_at`` can be appealed. No shard of a job with
    ``appeal_epochs`` 0 can."""
    return Epoch(settled_at + job.appeal_epochs)


def case_status(case: JobTerms, now: Epoch, settle_grace: int, settled: bool, resolved: bool) -> ShardStatus:
    """What a case makes of its shard, as ``Court.status`` says it.

    FINAL once resolved with a verdict; APPEALED while its job may settle, or has; CONTESTED for ever when it can no
    more, whether ``resolve`` has burned the bond yet or not.
    """
    if resolved:
        return ShardStatus.FINAL
    if settled or now <= last_epoch(case, Shard(0), settle_grace):
        return ShardStatus.APPEALED
    return ShardStatus.CONTESTED


def claims_open(
    job: JobTerms,
    report_epochs: int,
    settled_at: Epoch,
    case: ShardStatus = ShardStatus.NONE,
    ended: Epoch | None = None,
) -> range:
    """Epochs in which members of the settled attempt may claim; empty while a case is open.

    Without a case from the end of the appeal window; after a verdict from ``ended``, the epoch in which it settled (and
    not before ``resolve``); without one from ``ended``, the last epoch in which it could have settled.
    """
    if case is ShardStatus.APPEALED:
        return range(0)
    until = appeal_until(job, settled_at) if ended is None else ended
    first = until if case is ShardStatus.FINAL or job.appeal_epochs == 0 else until + 1
    return range(first, until + report_epochs + 1)


def accuser_until(overturned: bool, ended: Epoch, report_epochs: int) -> Epoch:
    """Last epoch in which a report of a wrong answer earns for the accuser, whoever sends it; later it earns for the
    sender. ``ended``: when the verdict settled. OPEN_ENDED where the settled answer stood: it stays the accuser's."""
    return Epoch(ended + report_epochs) if overturned else Epoch(OPEN_ENDED)


# --- life of a job ------------------------------------------------------------------------------------------


def shards_kept(job: JobTerms, counting: Epoch) -> int:
    """Shards that stay when the job is cancelled in a block that counts for ``counting``.

    Those that start after the next epoch end; the others run on.
    """
    return min(job.shards, max(0, counting + 1 - job.post_epoch) * job.pace)


def closable_from(job: JobTerms, settle_grace: int, report_epochs: int, settled: bool = True) -> Epoch:
    """First epoch in which the rest of the escrow can be refunded: no deadline of any shard is left.

    A case that never ``settled`` has nothing to claim and is closed (by ``resolve``) that much earlier.
    """
    if job.is_case and not settled:
        return Epoch(last_epoch(job, Shard(0), settle_grace) + 1)
    last = last_epoch(job, Shard(job.shards - 1), settle_grace)
    case = job.max_attempts * (job.work + 2) + settle_grace if job.appeal_epochs else 0
    return Epoch(last + job.appeal_epochs + report_epochs + 1 + case)


def job_life(job: JobTerms, settle_grace: int, report_epochs: int) -> int:
    """Epochs from a shard's first attempt until nothing about it can be proven; ``post`` wants it under
    ``RING``.
    """
    case_work = job.work
    attempts = job.max_attempts * (stride(job) + case_work + 2)
    return attempts + 2 * settle_grace + job.appeal_epochs + report_epochs
