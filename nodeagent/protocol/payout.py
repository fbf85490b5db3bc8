"""Money: what a job costs, what a slot earns, when earnings can be taken.

Mirror of ``contracts/libraries/Payout.sol``. Amounts are integers in payment-token units; shares round down,
and what is rounded away stays in the job's escrow, so that it goes back to the requester.
"""

from __future__ import annotations

from dataclasses import dataclass

from .constants import BPS, REPORTER_BPS
from .types import Epoch, JobTerms, Shard


@dataclass(frozen=True, slots=True)
class Escrow:
    """What ``post`` pulls: pay of every slot of every task, settle fees, protocol fee."""

    gross: int
    settle_fee: int
    protocol_fee: int

    @property
    def total(self) -> int:
        """The whole pull."""
        return self.gross + self.settle_fee + self.protocol_fee


def share(amount: int, bps: int) -> int:
    """``amount * bps / 10,000``, rounded down."""
    return amount * bps // BPS


def escrow(
    tasks: int, committee: int, units: int, unit_price: int, settle_fee_bps: int, protocol_fee_bps: int = 0
) -> Escrow:
    """Escrow of a job of ``tasks`` tasks, or of the part of it that many tasks make up."""
    gross = tasks * committee * units * unit_price
    return Escrow(gross, share(gross, settle_fee_bps), share(gross, protocol_fee_bps))


def member_pay(job: JobTerms, shard: Shard) -> int:
    """What one paid slot earns for a shard."""
    return job.task_price * job.tasks_in(shard)


def settle_fee(pay: int, paid_slots: int, settle_fee_bps: int) -> int:
    """What settling one shard earns when ``paid_slots`` slots earn ``pay`` each."""
    return share(pay * paid_slots, settle_fee_bps)


def bond(job: JobTerms, shard: Shard, judges: int, settle_fee_bps: int) -> int:
    """What an appeal of a shard pulls: the escrow of its case, which pays every judge and the settle fee."""
    gross = member_pay(job, shard) * judges
    return gross + share(gross, settle_fee_bps)


def shard_price(pay: int, paid_slots: int, settle_fee_bps: int, protocol_fee_bps: int) -> int:
    """What a settled shard took out of its job's escrow: the most that its requester gets back from a verdict."""
    gross = pay * paid_slots
    return gross + share(gross, settle_fee_bps) + share(gross, protocol_fee_bps)


@dataclass(frozen=True, slots=True)
class Poured:
    """Where money of a case went."""

    accuser: int
    requester: int
    burned: int


def pour(amount: int, accuser_due: int, requester_due: int) -> Poured:
    """Divides what a case takes or gets back: to the accuser until he is whole, then to the requester until he is,
    the rest to nobody. The dues shrink by what this gives; the next call is made with the rest of them.
    """
    accuser = min(amount, accuser_due)
    requester = min(amount - accuser, requester_due)
    return Poured(accuser, requester, amount - accuser - requester)


def penalty(stake: int, bps: int) -> tuple[int, int]:
    """What a fault costs (a share of the whole stake, rounded up) and the reporter's tenth of it (rounded down)."""
    amount = -(-stake * bps // BPS)
    return amount, share(amount, REPORTER_BPS)


# --- maturity -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Buckets:
    """Earnings that mature: what was credited in bucket ``index`` and in the one before it.

    A bucket is ``epoch // maturity``. Its credits can be withdrawn once it is two behind.
    """

    index: int = 0
    current: int = 0
    previous: int = 0

    @property
    def maturing(self) -> int:
        """All that cannot be withdrawn yet, as of the last touch."""
        return self.current + self.previous

    def pack(self) -> int:
        """The market's word: ``index << 224 | current << 112 | previous``."""
        return self.index << 224 | self.current << 112 | self.previous


def unpack_buckets(word: int) -> Buckets:
    """Buckets from the market's word."""
    low = (1 << 112) - 1
    return Buckets(word >> 224, word >> 112 & low, word & low)


def roll(buckets: Buckets, now: Epoch, maturity: int) -> tuple[Buckets, int]:
    """Buckets as of ``now``, and how much matured by it. Every touch rolls first."""
    index = now // maturity
    behind = index - buckets.index
    if behind <= 0:
        return buckets, 0
    if behind == 1:
        return Buckets(index, 0, buckets.current), buckets.previous
    return Buckets(index, 0, 0), buckets.current + buckets.previous


def credit(buckets: Buckets, amount: int, now: Epoch, maturity: int) -> tuple[Buckets, int]:
    """Buckets after a credit in ``now``, and how much matured by the roll before it."""
    rolled, matured = roll(buckets, now, maturity)
    return Buckets(rolled.index, rolled.current + amount, rolled.previous), matured


def forfeit(buckets: Buckets, now: Epoch, maturity: int) -> tuple[Buckets, int, int]:
    """Takes all that has not matured: buckets after it, amount taken, and how much matured by the roll before it.

    Never fails for having too little: what matured before cannot be taken.
    """
    rolled, matured = roll(buckets, now, maturity)
    return Buckets(rolled.index), rolled.maturing, matured
