"""What each node has: pay that matures, what it can withdraw, stake; and what a fault takes from it.

Node arrays are indexed by node id and hold Python integers: amounts have no bound.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab.simulate.draws import Nodes
from nodeagent.protocol import payout
from nodeagent.protocol.constants import (
    DEFAULT_ABSENT_BPS,
    DEFAULT_JUDGES,
    DEFAULT_REPORT_EPOCHS,
    DEFAULT_REVEAL_GRACE,
    DEFAULT_RING,
    DEFAULT_SETTLE_FEE_BPS,
    DEFAULT_SETTLE_GRACE,
    DEFAULT_UNREVEALED_BPS,
    DEFAULT_WRONG_BPS,
)
from nodeagent.protocol.jobword import case_quorum

Money = NDArray[Any]
"""Python integers, one per node id."""
UNREVEALED, ABSENT, WRONG = 0, 1, 2
"""Rows of protocol section 7: a lane is punished at most once for each."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a deployment chooses; graces in epochs, shares in hundredths of a percent."""

    ring: int = DEFAULT_RING
    reveal_grace: int = DEFAULT_REVEAL_GRACE
    settle_grace: int = DEFAULT_SETTLE_GRACE
    report_epochs: int = DEFAULT_REPORT_EPOCHS
    settle_fee_bps: int = DEFAULT_SETTLE_FEE_BPS
    absent_bps: int = DEFAULT_ABSENT_BPS
    unrevealed_bps: int = DEFAULT_UNREVEALED_BPS
    wrong_bps: int = DEFAULT_WRONG_BPS
    judges: int = DEFAULT_JUDGES

    @property
    def case_quorum(self) -> int:
        """Equal answers that make a verdict."""
        return case_quorum(self.judges)


def _zeros(nodes: int) -> Money:
    return np.array([0] * (nodes + 1), dtype=object)


@dataclass(slots=True)
class Tally:
    """What happened to each node's money since the start, for tables."""

    earned: Money
    fees: Money
    slashed: Money
    forfeited: Money
    spent: defaultdict[Hashable, int] = field(default_factory=lambda: defaultdict(int))
    received: defaultdict[Hashable, int] = field(default_factory=lambda: defaultdict(int))


class Purses:
    """The accounts of nodes, in both tokens."""

    def __init__(self, nodes: int, rules: Rules) -> None:
        self.rules = rules
        self.matured, self.current, self.previous = _zeros(nodes), _zeros(nodes), _zeros(nodes)
        self.stake, self.unbonding = _zeros(nodes), _zeros(nodes)
        self.rewards: defaultdict[Hashable, int] = defaultdict(int)
        self.burned_stake = self.staked = self.unstaked = self.withdrawn = 0
        self.tally = Tally(_zeros(nodes), _zeros(nodes), _zeros(nodes), _zeros(nodes))
        self._bucket = 0
        self._punished: set[tuple[int, int, int]] = set()

    # --- clock --------------------------------------------------------------------------------------------------

    def at(self, epoch: int) -> None:
        """Moves every node's buckets to an epoch."""
        bucket = epoch // self.rules.ring
        behind, self._bucket = bucket - self._bucket, max(bucket, self._bucket)
        if behind <= 0:
            return
        self.matured = self.matured + self.previous
        if behind == 1:
            self.previous = self.current
        else:
            self.matured = self.matured + self.current
            self.previous = _zeros(len(self.current) - 1)
        self.current = _zeros(len(self.current) - 1)

    # --- pay ----------------------------------------------------------------------------------------------------

    def credit(self, nodes: Nodes, pay: int, matures: bool, tally: Money | None = None) -> None:
        """Adds ``pay`` for every mention of a node, into the current bucket or at once."""
        counts = np.bincount(nodes, minlength=len(self.current))
        touched = np.flatnonzero(counts)
        amounts = counts[touched].astype(object) * pay
        purse = self.current if matures else self.matured
        purse[touched] += amounts
        tally = self.tally.earned if tally is None else tally
        tally[touched] += amounts

    def credit_one(self, node: int, pay: int, matures: bool) -> None:
        """Adds pay to one node."""
        if matures:
            self.current[node] += pay
        else:
            self.matured[node] += pay
        self.tally.earned[node] += pay

    def credit_fee(self, node: int, fee: int) -> None:
        """Adds a settle fee, at once."""
        self.matured[node] += fee
        self.tally.fees[node] += fee

    def forfeit(self, node: int) -> int:
        """Takes all immature pay of a node. Returns it."""
        amount: int = self.current[node] + self.previous[node]
        self.current[node] = self.previous[node] = 0
        self.tally.forfeited[node] += amount
        return amount

    def withdraw(self, node: int) -> int:
        """Pays out what has matured."""
        amount: int = self.matured[node]
        self.matured[node] = 0
        self.withdrawn += amount
        return amount

    # --- stake --------------------------------------------------------------------------------------------------

    def add_stake(self, node: int, amount: int) -> None:
        """Stake that an operator puts on a node."""
        self.stake[node] += amount
        self.staked += amount

    def unbond(self, node: int, amount: int) -> None:
        """Stake that begins to leave; it can still be slashed."""
        self.stake[node] -= amount
        self.unbonding[node] += amount

    def unstake(self, node: int) -> None:
        """Pays out all that was leaving."""
        self.unstaked += self.unbonding[node]
        self.unbonding[node] = 0

    def collect_reward(self, account: Hashable) -> None:
        """Pays out what an account earned by reporting."""
        self.unstaked += self.rewards.pop(account, 0)

    def was_punished(self, node: int, epoch: int, row: int) -> bool:
        """Whether a lane paid for a row of the table of faults."""
        return (node, epoch, row) in self._punished

    def punish(self, node: int, epoch: int, row: int, reporter: Hashable) -> int:
        """Slashes for the lane of a commit epoch, once per row of the table of faults. Returns the penalty."""
        if (node, epoch, row) in self._punished:
            return 0
        self._punished.add((node, epoch, row))
        bps = (self.rules.unrevealed_bps, self.rules.absent_bps, self.rules.wrong_bps)[row]
        amount, reward = payout.penalty(self.stake[node] + self.unbonding[node], bps)
        leaving = min(amount, self.unbonding[node])
        self.unbonding[node] -= leaving
        self.stake[node] -= amount - leaving
        self.rewards[reporter] += reward
        self.burned_stake += amount - reward
        self.tally.slashed[node] += amount
        return amount
