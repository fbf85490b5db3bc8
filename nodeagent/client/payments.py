"""Who was paid for a shard, and where the bond of a case went. Pure; amounts in the payment token's smallest unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nodeagent.chain.events import Claimed
from nodeagent.client.attempts import Attempt
from nodeagent.client.cases import ONLY, Case, Settlement
from nodeagent.protocol.payout import Poured, member_pay, pour, settle_fee, shard_price
from nodeagent.protocol.types import JobTerms, NodeId, Shard


@dataclass(frozen=True, slots=True)
class Paid:
    """A slot that the settle call paid; ``node`` is None where the committee can no longer be drawn."""

    slot: int
    node: NodeId | None
    amount: int


@dataclass(frozen=True, slots=True)
class Wages:
    """What computing a settled shard earned so far.

    :param settler: the node that earned ``fee``; VOID where it went to the account that sent the settle call
    :param claims: members that were not paid at once and asked for it later
    """

    paid: tuple[Paid, ...]
    settler: NodeId
    fee: int
    claims: tuple[Claimed, ...]

    @property
    def total(self) -> int:
        return sum(p.amount for p in self.paid) + self.fee + sum(c.amount for c in self.claims)


def wages(
    terms: JobTerms,
    shard: Shard,
    settled: Settlement,
    attempts: Sequence[Attempt],
    claims: Sequence[Claimed],
    settle_fee_bps: int,
) -> Wages:
    """``attempts`` name the members; those that are not there leave their nodes unknown."""
    drawn = next((a.members for a in attempts if a.number == settled.entry.attempt), None)
    nodes = {member.slot: member.node for member in drawn or ()}
    pay = member_pay(terms, shard)
    slots = [slot for slot in range(terms.committee) if settled.entry.paid_slots >> slot & 1]
    fee = settle_fee(pay, len(slots), settle_fee_bps)
    return Wages(tuple(Paid(slot, nodes.get(slot), pay) for slot in slots), settled.settler, fee, tuple(claims))


def judges_wages(case: Case, trials: Sequence[Attempt], settle_fee_bps: int) -> Wages | None:
    """None before the judges agreed."""
    if case.settlement is None:
        return None
    return wages(case.terms, ONLY, case.settlement, trials, case.claims, settle_fee_bps)


@dataclass(frozen=True, slots=True)
class Bond:
    """Where the money of a case went, and goes.

    :param earned: by judges and settler, out of the bond
    :param price: what the shard cost its requester, who gets back no more; 0 unless the answer was overturned
    :param returned: what came back so far, of forfeited pay and of what the judges did not earn
    :param to_come: what comes back when the case is closed, unless judges that were left out claim it before
    """

    earned: int
    price: int
    returned: Poured
    to_come: Poured


def bond(case: Case, terms: JobTerms, shard_wages: Wages, judging: Wages | None, fees_bps: tuple[int, int]) -> Bond:
    """``terms`` are the appealed job's; ``fees_bps`` its settle and its protocol fee."""
    price = 0
    if case.overturned:
        price = shard_price(member_pay(terms, Shard(case.shard)), len(shard_wages.paid), *fees_bps)
    taken = case.forfeited + sum(w.forfeited for w in case.wrong) if case.overturned else 0  # else it is burned
    returned = pour(taken + (case.refund or 0), case.bond, price)
    earned = judging.total if judging is not None else 0
    left = case.bond - earned if judging is not None and case.refund is None else 0
    to_come = pour(left, case.bond - returned.accuser, price - returned.requester)
    return Bond(earned, price, returned, to_come)
