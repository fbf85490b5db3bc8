"""Money to the last unit: escrow, pay that matures, bonds, forfeits, slashes, refunds.

The amounts come from :mod:`nodeagent.protocol.payout`; here is who they go to (protocol sections 6, 7, 9, 10).
Payment and stake are whole numbers without bound. ``check`` says whether everything paid in is somewhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lab.simulate.draws import Ints, Nodes
from lab.simulate.purses import WRONG, Purses, Rules
from nodeagent.errors import Fatal
from nodeagent.protocol import payout
from nodeagent.protocol.epochs import accuser_until
from nodeagent.protocol.jobword import case_terms
from nodeagent.protocol.types import Epoch, JobTerms, Shard


class Unbalanced(Fatal):
    """Money came from nowhere or went nowhere: a fault in this program."""


@dataclass(slots=True)
class Job:
    """A posted job and what is left of its escrow."""

    terms: JobTerms
    requester: Hashable
    held: int
    protocol_fee_bps: int = 0


@dataclass(slots=True)
class Case:
    """An appeal and what is left of its bond. ``root``: the appealed answer, ``paid``: who was paid for it, ``ended``:
    the epoch in which the verdict settled."""

    job: int
    shard: int
    accuser: Hashable
    root: Hashable
    paid: tuple[int, ...]
    terms: JobTerms
    held: int
    accuser_due: int
    requester_due: int = 0
    verdict: Hashable = None
    ended: int = 0


class Books(Purses):
    """Every account. Node arrays are indexed by node id; other accounts have any name."""

    def __init__(self, nodes: int, rules: Rules, fee_recipient: Hashable = "protocol") -> None:
        super().__init__(nodes, rules)
        self.fee_recipient = fee_recipient
        self.jobs: dict[int, Job] = {}
        self.cases: list[Case] = []
        self.owed: defaultdict[Hashable, int] = defaultdict(int)
        self.burned = self.paid_in = self.collected = 0

    # --- jobs ---------------------------------------------------------------------------------------------------

    def post(self, job: int, terms: JobTerms, requester: Hashable, protocol_fee_bps: int = 0) -> None:
        """Takes a job's escrow."""
        total = self._escrow(terms, terms.tasks, protocol_fee_bps)
        self.jobs[job] = Job(terms, requester, total, protocol_fee_bps)
        self._pay_in(requester, total)

    def cancel(self, job: int, terms: JobTerms) -> None:
        """Lowers a job to ``terms`` and returns the rest."""
        stored = self.jobs[job]
        refund = self._escrow(stored.terms, stored.terms.tasks, stored.protocol_fee_bps) - self._escrow(
            terms, terms.tasks, stored.protocol_fee_bps
        )
        stored.terms = terms
        self._refund(stored, refund)

    def close(self, job: int) -> None:
        """Returns what is left of a job's escrow."""
        self._refund(self.jobs[job], self.jobs[job].held)

    def _refund(self, job: Job, amount: int) -> None:
        job.held -= amount
        self.owe(job.requester, amount)

    def _escrow(self, terms: JobTerms, tasks: int, protocol_fee_bps: int) -> int:
        return payout.escrow(
            tasks, terms.committee, terms.task_price, 1, self.rules.settle_fee_bps, protocol_fee_bps
        ).total

    def settle(self, job: int, tasks: Ints, committees: Nodes, paid: NDArray[np.bool_], payees: Nodes) -> None:
        """Pays the slots of settled shards, and who settled them.

        :param tasks: tasks of each shard, ``(n,)``
        :param committees: ``(n, c)`` nodes
        :param paid: ``(n, c)`` whose answer settled
        :param payees: ``(n,)`` node that earns each shard's settle fee
        """
        stored = self.jobs[job]
        matures = stored.terms.appeal_epochs > 0
        slots = paid.sum(axis=1)
        for size in np.unique(tasks):
            pay = stored.terms.task_price * int(size)
            rows = tasks == size
            self.credit(committees[rows][paid[rows]], pay, matures)
            for count in np.unique(slots[rows]):
                here = payees[rows & (slots == count)]
                fee, protocol = self._fees(pay, int(count), stored.protocol_fee_bps)
                self.credit(here, fee, False, self.tally.fees)
                self.owe(self.fee_recipient, protocol * len(here))
                stored.held -= (pay * int(count) + fee + protocol) * len(here)

    def settle_one(self, holder: Job | Case, tasks: int, nodes: Iterable[int], payee: Hashable) -> None:
        """Pays one shard's members and its settler: ``payee`` is a node id, or the name of an account."""
        pay = holder.terms.task_price * tasks
        count = 0
        for count, node in enumerate(nodes, 1):  # noqa: B007
            self.credit_one(node, pay, holder.terms.appeal_epochs > 0)
        fee, protocol = self._fees(pay, count, holder.protocol_fee_bps if isinstance(holder, Job) else 0)
        if isinstance(payee, int):
            self.credit_fee(payee, fee)
        else:
            self.owe(payee, fee)
        self.owe(self.fee_recipient, protocol)
        holder.held -= pay * count + fee + protocol

    def _fees(self, pay: int, count: int, protocol_fee_bps: int) -> tuple[int, int]:
        return payout.settle_fee(pay, count, self.rules.settle_fee_bps), payout.share(pay * count, protocol_fee_bps)

    def claim(self, holder: Job | Case, tasks: int, node: int) -> None:
        """Pays a member that was not paid when its shard settled; at once."""
        pay = holder.terms.task_price * tasks
        holder.held -= pay
        self.credit_one(node, pay, False)

    # --- court --------------------------------------------------------------------------------------------------

    def appeal(
        self, job: int, shard: int, epoch: int, accuser: Hashable, root: Hashable, paid: tuple[int, ...]
    ) -> Case:
        """Takes the bond of an appeal that counts for ``epoch``."""
        terms = self.jobs[job].terms
        bond = payout.bond(terms, Shard(shard), self.rules.judges, self.rules.settle_fee_bps)
        self._pay_in(accuser, bond)
        judged = case_terms(terms, Shard(shard), Epoch(epoch), self.rules.judges)
        case = Case(job, shard, accuser, root, paid, judged, bond, bond)
        self.cases.append(case)
        return case

    def resolve(self, case: Case, verdict: Hashable, ended: int) -> bool:
        """Moves the money of a verdict that settled in epoch ``ended``. Whether it overturns the settled answer."""
        case.verdict, case.ended = verdict, ended
        if verdict == case.root:
            return False
        case.requester_due = payout.shard_price(
            payout.member_pay(case.terms, Shard(0)), len(case.paid), self.rules.settle_fee_bps,
            self.jobs[case.job].protocol_fee_bps,
        )  # fmt: skip
        self._pour(case, sum(self.forfeit(node) for node in case.paid))
        return True

    def no_verdict(self, case: Case) -> None:
        """Burns the bond of a case that came to no end."""
        self.burned += case.held
        case.held = case.accuser_due = 0

    def close_case(self, case: Case) -> None:
        """Passes on what the judges did not earn."""
        amount, case.held = case.held, 0
        self._pour(case, amount)

    def report_wrong(self, case: Case, node: int, commit: int, reporter: Hashable, epoch: int) -> int:
        """Punishes in ``epoch`` an opening that is not the verdict, for whom the tenth is then. Returns the penalty, 0
        when that lane paid before."""
        overturned = case.verdict != case.root
        late = epoch > accuser_until(overturned, Epoch(case.ended), self.rules.report_epochs)
        amount = self.punish(node, commit, WRONG, reporter if late else case.accuser)
        if amount:
            forfeited = self.forfeit(node)
            if overturned:
                self._pour(case, forfeited)
            else:
                self.burned += forfeited
        return amount

    def _pour(self, case: Case, amount: int) -> None:
        poured = payout.pour(amount, case.accuser_due, case.requester_due)
        case.accuser_due -= poured.accuser
        case.requester_due -= poured.requester
        self.owe(case.accuser, poured.accuser)
        self.owe(self.jobs[case.job].requester, poured.requester)
        self.burned += poured.burned

    # --- in and out ---------------------------------------------------------------------------------------------

    def owe(self, account: Hashable, amount: int) -> None:
        """Puts an amount on an account that can take it out at once."""
        if amount:
            self.owed[account] += amount
            self.tally.received[account] += amount

    def collect(self, account: Hashable) -> int:
        """Pays out what an account is owed."""
        amount = self.owed.pop(account, 0)
        self.collected += amount
        return amount

    def _pay_in(self, account: Hashable, amount: int) -> None:
        self.paid_in += amount
        self.tally.spent[account] += amount

    def holdings(self) -> dict[str, int]:
        """Where all payment and all stake is."""
        return {
            "paid_in": self.paid_in,
            "escrow": sum(job.held for job in self.jobs.values()),
            "bonds": sum(case.held for case in self.cases),
            "matured": int(self.matured.sum()),
            "maturing": int(self.current.sum() + self.previous.sum()),
            "owed": sum(self.owed.values()),
            "paid_out": self.collected + self.withdrawn,
            "burned": self.burned,
            "staked": self.staked,
            "stake": int(self.stake.sum() + self.unbonding.sum()),
            "unstaked": self.unstaked,
            "rewards": sum(self.rewards.values()),
            "burned_stake": self.burned_stake,
        }

    def check(self) -> dict[str, int]:
        """The holdings. Raises Unbalanced unless both tokens add up and nothing is below zero."""
        held = self.holdings()
        payment = ("escrow", "bonds", "matured", "maturing", "owed", "paid_out", "burned")
        stake = ("stake", "unstaked", "rewards", "burned_stake")
        for total, parts in (("paid_in", payment), ("staked", stake)):
            if held[total] != sum(held[part] for part in parts) or min(held[part] for part in parts) < 0:
                raise Unbalanced(f"{total} {held[total]} is not the sum of { ({p: held[p] for p in parts}) }")
        if min(min(self.stake), min(self.matured), min(self.current), min(job.held for job in self.jobs.values())) < 0:
            raise Unbalanced("an account is below zero")
        return held
