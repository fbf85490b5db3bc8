"""Appealing a settled shard as anybody: the bond, the call, the verdict."""

from __future__ import annotations

from dataclasses import dataclass

from nodeagent.amounts import priced
from nodeagent.chain.decoding import decode_log
from nodeagent.chain.deployment import Deployment
from nodeagent.chain.doors import Call, CourtDoor, Doors, Receipt
from nodeagent.chain.events import CasePosted
from nodeagent.chain.rpc import Rpc
from nodeagent.client.cases import Case
from nodeagent.client.history import History
from nodeagent.client.payments import judges_wages
from nodeagent.client.wallet import Sent, Wallet
from nodeagent.client.why import gather
from nodeagent.errors import Fatal, JobFault
from nodeagent.protocol.epochs import appeal_until, closable_from, counting_epoch, epoch_of
from nodeagent.protocol.types import Epoch, ShardStatus


class NotAppealable(JobFault):
    """The shard cannot be appealed (any more). Says why."""


class NothingToResolve(JobFault):
    """The shard has no case that could be ended now. Says why."""


@dataclass(frozen=True, slots=True)
class Appeal:
    """What an appeal would be. Money in payment-token units.

    :param until: last counting epoch in which it may be made
    :param covered: what the paid members would forfeit now, out of which a bond comes back after an overturn; None
        where the committee can no longer be drawn. A case about another shard of theirs that ends first takes it.
    """

    shard: int
    bond: int
    judges: int
    until: int
    receipt: Receipt
    covered: int | None


class Appellant:
    """Appeals and resolves for one account."""

    def __init__(self, rpc: Rpc, deployment: Deployment) -> None:
        self._rpc, self._deployment = rpc, deployment
        self._doors = Doors.of(rpc, deployment)

    @property
    def court(self) -> CourtDoor:
        """Raises NotAppealable where there is none."""
        if self._doors.court is None:
            raise NotAppealable("this deployment has no court: results are final when they settle")
        return self._doors.court

    def plan(self, history: History, shard: int) -> Appeal:
        """What appealing a shard takes. Raises NoSuchShard, NotAppealable."""
        history.check_shard(shard)
        court, terms = self.court, history.posted.terms
        settlement, case = history.settled.get(shard), history.cases.get(shard)
        if settlement is None:
            raise NotAppealable(f"shard {shard} of job {history.posted.job} is not settled: there is nothing to appeal")
        if terms.appeal_epochs == 0:
            raise NotAppealable(f"job {history.posted.job} was posted without appeals: its results were final at once")
        if case is not None:
            raise NotAppealable(
                f"shard {shard} was appealed already, as job {case.job}",
                hint=f"quorate job why {history.posted.job} {shard}",
            )
        until = appeal_until(terms, Epoch(settlement.epoch))
        now = counting_epoch(history.head.block + 1, self._deployment.epoch_blocks, self._deployment.lead)
        if now > until:
            raise NotAppealable(f"the window for appeals of shard {shard} closed with epoch {until}: it is epoch {now}")
        bond = court.bond_of(history.posted.job, shard)
        covered = self._immature(history, shard, settlement.entry.paid_slots)
        return Appeal(shard, bond, court.judges(), until, settlement.receipt(), covered)

    def _immature(self, history: History, shard: int, paid_slots: int) -> int | None:
        members = gather(self._rpc, self._deployment, history, shard).attempts[-1].members
        if members is None:
            return None
        paid = [m.node for m in members if paid_slots >> m.slot & 1]
        return sum(self._doors.market.earnings_of(node)[1] for node in paid)

    def appeal(self, history: History, plan: Appeal, wallet: Wallet) -> tuple[int, list[Sent]]:
        """Allows the Court exactly the bond where it may not take it yet, and appeals; the case's job number.

        :raises Fatal: the account holds less than the bond
        :raises Reverted: the Court refuses; nothing was paid
        """
        token, sent = self._doors.payment_token, []
        held = token.balance_of(wallet.address)
        if held < plan.bond:
            has = token.describe()
            raise Fatal(
                f"{wallet.address} holds {priced(held, has)}: the bond is {priced(plan.bond, has)}",
                hint=f"send {priced(plan.bond - held, has)} to it",
            )
        if token.allowance(wallet.address, self.court.address) < plan.bond:
            sent.append(wallet.send(token.call("approve", self.court.address, plan.bond)))
        done = wallet.send(self.court.appeal(history.posted.job, plan.shard, plan.receipt))
        case = next(e.case_job for e in map(decode_log, done.logs) if isinstance(e, CasePosted))
        return int(case), [*sent, done]

    def resolve(self, history: History, shard: int, wallet: Wallet) -> Sent:
        """Ends a shard's case; once resolved, takes back what its judges did not earn.

        Raises NoSuchShard, NothingToResolve, Reverted.
        """
        history.check_shard(shard)
        case = history.cases.get(shard)
        if case is None:
            raise NothingToResolve(f"shard {shard} of job {history.posted.job} was not appealed")
        if case.burned is not None:
            raise NothingToResolve(f"the case about shard {shard} ended without a verdict: its bond is burned")
        if case.verdict is not None:
            closing = self._closing(history, case)
            return wallet.send(closing)
        if case.settlement is None:
            self._refuse_open(history, case)
        verdict = case.settlement.receipt() if case.settlement else None
        return wallet.send(self.court.resolve(history.posted.job, shard, verdict))

    def _closing(self, history: History, case: Case) -> Call:
        job, shard = history.posted.job, case.shard
        if case.refund is not None:
            raise NothingToResolve(f"the case about shard {shard} is resolved and closed already")
        wages = judges_wages(case, (), self._deployment.settle_fee_bps)
        if wages is not None and wages.total >= case.bond:
            raise NothingToResolve(f"the case about shard {shard} is resolved; its judges earned the whole bond")
        now = epoch_of(history.head.block, self._deployment.epoch_blocks)
        since = closable_from(case.terms, self._deployment.settle_grace, self._deployment.report_epochs)
        if now < since:
            raise NothingToResolve(
                f"the case about shard {shard} is resolved already",
                hint=f"what its judges did not earn comes back by the same command from epoch {since} on: it is {now}",
            )
        return self.court.close_case(job, shard)

    def _refuse_open(self, history: History, case: Case) -> None:
        now = epoch_of(history.head.block, self._deployment.epoch_blocks)
        if case.status(now, self._deployment.settle_grace) is ShardStatus.APPEALED:
            raise NothingToResolve(
                f"the judges of job {case.job} have not agreed yet",
                hint=f"quorate job why {history.posted.job} {case.shard}",
            )
