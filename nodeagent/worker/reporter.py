"""Sends reports of faults, where they are worth their gas."""

from __future__ import annotations

from dataclasses import dataclass

from nodeagent.protocol.epochs import accuser_until, first_block
from nodeagent.protocol.payout import penalty
from nodeagent.protocol.types import Epoch, NodeId
from nodeagent.worker import reporting
from nodeagent.worker.draws import DrawBook
from nodeagent.worker.hands import Hands
from nodeagent.worker.sender import Sender
from nodeagent.worker.world import World

SEED_AND_REPORT_GAS = 43_000 + 175_000
"""Of the two calls that prove a wrong answer whose seed nobody recorded: only the first can be estimated."""


@dataclass(slots=True)
class Reporter:
    """``watch``: report every node's faults where the reward is the sender's. ``public``: report wrong answers for
    other accusers, too, whatever it costs. Those of its own operator's cases are reported in any case.

    ``stake_price`` is what one whole stake token is worth, in ether, by the operator's own judgement.
    """

    hands: Hands
    sender: Sender
    stake_price: float
    watch: bool = False
    public: bool = False

    def tick(self, world: World, book: DrawBook, block: int) -> None:
        """One round at the head ``block``."""
        deployment, doors = self.hands.deployment, self.hands.doors
        now = Epoch(block // deployment.epoch_blocks)
        if self.watch:
            for lane in reporting.unrevealed(world, now, deployment.reveal_grace):
                if self.sender.open(lane.key, world.rank):
                    call = doors.ledger.report_unrevealed(lane.node, lane.epoch)
                    self.sender.send(lane.key, call, self.worth(lane.node, deployment.parameters["UNREVEALED_BPS"]))
            for slot in reporting.absent(world, book, now, deployment.ring):
                if self.sender.open(slot.key, world.rank):
                    call = doors.market.report_absent(slot.job, slot.shard, slot.receipt, slot.slot)
                    worth = self.worth(slot.node, deployment.parameters["ABSENT_BPS"])
                    self.sender.send(slot.key, call, worth, deadline=self._last_block(slot.start))
        self._wrong(world, book, now)

    def _wrong(self, world: World, book: DrawBook, now: Epoch) -> None:
        court, first = self.hands.doors.court, self.hands.deployment.report_epochs
        for case in list(world.cases.values()):
            if court is None or case.verdict is None:
                continue
            anybodys = now > accuser_until(case.overturned, case.ended, first)
            if not (case.by(world.operator) or (self.watch and anybodys) or self.public):
                continue
            for fault in reporting.wrong(world, book, case):
                if not self.sender.open(fault.key, world.rank):
                    continue
                worth = None if self.public else self.worth(fault.node, self.hands.deployment.parameters["WRONG_BPS"])
                if fault.start not in world.seeds_on_chain:  # the Court draws the committee again
                    if worth is None or worth > SEED_AND_REPORT_GAS * self.sender.price:
                        self.hands.record_seed(fault.start)
                    continue
                call = court.report_wrong(fault.job, fault.shard, fault.attempt, fault.slot, fault.root, fault.opening)
                self.sender.send(fault.key, call, worth, deadline=self._last_block(fault.start))

    def _last_block(self, start: Epoch) -> int:
        """The last block in which the registry draws the committee of an attempt that started in ``start``."""
        deployment = self.hands.deployment
        return first_block(Epoch(start + deployment.ring - 1), deployment.epoch_blocks) - 1

    def worth(self, node: NodeId, bps: int) -> int:
        """The reporter's part of a penalty of ``bps`` on what a node has at stake now, in wei."""
        view = self.hands.doors.registry.node_view(node)
        reward = penalty(view["stake"] + view["unbonding"], bps)[1]
        return self.hands.stake_in_wei(reward, self.stake_price)
