"""The books of one appeal, read off the chain, and whether they add up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lab.chainlog import ChainLog
from lab.story.books import Money, Purse, events_since, money_of, moves_of, purse_at
from lab.story.cast import Cast
from nodeagent.client.history import History
from nodeagent.errors import Fatal
from nodeagent.protocol.epochs import closable_from
from nodeagent.protocol.payout import member_pay
from nodeagent.protocol.settlement import SettledLeaf
from nodeagent.protocol.types import NodeId


@dataclass(frozen=True, slots=True)
class Account:
    """The whole of it. Amounts as in ``Money``.

    :param accuser: node whose operator put the bond
    :param before: the accuser's purse in the block before the appeal, ``after`` at the end
    :param moves: what became of the payment tokens in between, by what for
    :param held: what is left in the case's escrow
    :param closed: what came out of it, once the case is closed; None before
    :param closable: first epoch in which it can be closed
    """

    money: Money
    accuser: int
    before: Purse
    after: Purse
    moves: dict[str, int]
    held: int
    closed: int | None
    closable: int
    honest_slashed: int

    @property
    def unearned(self) -> int:
        """Of the bond, what no judge and no settler earned."""
        return self.held if self.closed is None else self.closed


def faults(account: Account) -> list[str]:
    """Where it does not add up."""
    money, found = account.money, []
    spent = sum(money.judge_pay.values()) + money.settling + account.unearned
    if spent != money.bond:
        found.append(f"the bond was {money.bond}: {spent} of it can be accounted for")
    taken = sum(money.forfeited.values()) + (account.closed or 0)
    given = money.returned + money.refunded + money.burned
    if taken != given:
        found.append(f"the case took {taken} and gave out {given}")
    for what, before, moved, after in (
        ("payment", account.before.payment, sum(account.moves.values()), account.after.payment),
        ("stake", account.before.stake, money.reward, account.after.stake),
    ):
        if before + moved != after:
            found.append(f"the accuser's {what} tokens were {before}, {moved:+} came, and they are {after}")
    return found


def account_of(cast: Cast, history: History, shard: int, judges: Sequence[NodeId], honest_slashed: int) -> Account:
    """The books of the case up to the block that the history was read at."""
    case, head, deployment = history.cases[shard], history.head.block, cast.deployment
    node = cast.node_of(case.accuser)
    if node is None:
        raise Fatal(f"the accuser {case.accuser} is none of the nine operators", hint="see the agents' logs")
    log = ChainLog(cast.rpc, deployment, history.terms.pool)

    def pay_of(leaf: SettledLeaf) -> int:
        job = log.world.jobs[leaf.job]
        slots = log.draw(job, leaf.shard, leaf.attempt).slots
        paid = node in slots and leaf.paid_slots >> slots.index(node) & 1
        return member_pay(job.terms, leaf.shard) if paid else 0

    events = [e for e in events_since(cast.rpc, deployment, case.at.block) if e.at.block <= head]
    return Account(
        money=money_of(history.posted.job, case, history.posted.requester, events, judges, deployment.settle_fee_bps),
        accuser=node,
        before=purse_at(cast.doors, node, case.accuser, case.at.block - 1),
        after=purse_at(cast.doors, node, case.accuser, head),
        moves=moves_of(node, case.accuser, events, pay_of),
        held=int(cast.doors.market.job_view(case.job, head)["held"]),
        closed=case.refund,
        closable=closable_from(case.terms, deployment.settle_grace, deployment.report_epochs),
        honest_slashed=honest_slashed,
    )
