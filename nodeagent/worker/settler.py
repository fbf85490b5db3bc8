"""Settling, claiming and withdrawing, once a block. What is worth sending is tried on the chain first."""

from __future__ import annotations

from dataclasses import dataclass, field

import structlog

from nodeagent.chain.doors import simulate
from nodeagent.chain.errors import Reverted
from nodeagent.protocol.epochs import first_block
from nodeagent.protocol.keccak import keccak
from nodeagent.protocol.types import Epoch
from nodeagent.worker import settling
from nodeagent.worker.claims import claims
from nodeagent.worker.draws import DrawBook
from nodeagent.worker.hands import Hands
from nodeagent.worker.sender import Sender
from nodeagent.worker.settling import Candidate
from nodeagent.worker.world import ShardKey, World

TIMES_ITS_GAS = 10  # a reward waits for more of them until it is worth this many times its call

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Settler:
    """``stagger`` blocks pass between members' turns. Settle fees are earned by the node, with its pay.

    ``stake_price`` is what one whole stake token is worth, in ether; at 0 rewards are left to ``nodeagent withdraw``.
    """

    hands: Hands
    sender: Sender
    stagger: int
    withdraw_above: int
    stake_price: float
    settle: bool = True
    _epoch: int = -1
    _skip: set[ShardKey] = field(default_factory=set)  # refused in this epoch

    def tick(self, world: World, book: DrawBook, block: int) -> None:
        """One round at the head ``block``."""
        deployment = self.hands.deployment
        now = Epoch(block // deployment.epoch_blocks)
        if now != self._epoch:
            self._epoch = now
            self._skip.clear()
            self._money(world)
        if self.settle:
            self._seeds(world, book, now, block)
            if not any(i.what == "settle" for i in self.hands.outbox.pending()):
                self._settle(world, book, now, block)
        self._claim(world, book, now)

    def _seeds(self, world: World, book: DrawBook, now: Epoch, block: int) -> None:
        """Records seeds that settling will need, as soon as it is clear that it will."""
        due = settling.seeds_due(world, book, now, self.hands.deployment.settle_grace)
        for commit, start in due:
            wait = settling.rank(world, commit) * self.stagger
            if block >= (commit + 1) * self.hands.deployment.epoch_blocks + wait:
                self.hands.record_seed(start)

    def _settle(self, world: World, book: DrawBook, now: Epoch, block: int) -> None:
        deployment = self.hands.deployment
        found = [
            c
            for c in settling.candidates(world, book, now, deployment.settle_grace)
            if (c.draw.job, c.draw.shard) not in self._skip and c.draw.start in world.seeds_on_chain
        ]
        mine = settling.my_turn(world, found, block, deployment.epoch_blocks, self.stagger)
        for chunk in settling.chunks(world, mine):
            self._send(world, chunk, now)

    def _send(self, world: World, chunk: settling.Chunk, now: Epoch) -> None:
        """Sends a call that the chain accepts; one it refuses is halved until the culprit is alone."""
        market = self.hands.doors.market
        call = market.settle(chunk.call.entries, chunk.call.lanes, chunk.call.openings, self.hands.node)
        try:
            simulate(self.hands.rpc, call, self.hands.outbox.address)
        except Reverted as fault:
            self._refused(world, chunk.candidates, fault, now)
            return
        key = f"settle:{now}:{keccak(call.data)[:8].hex()}"
        self.hands.submit(key, call, None)
        log.info("settle_sent", shards=len(chunk.candidates), epoch=now)

    def _refused(self, world: World, part: tuple[Candidate, ...], fault: Reverted, now: Epoch) -> None:
        if len(part) == 1:
            draw = part[0].draw
            self._skip.add((draw.job, draw.shard))
            log.warning("settle_refused", job=draw.job, shard=draw.shard, reason=str(fault))
            return
        middle = len(part) // 2
        for half in (part[:middle], part[middle:]):
            for chunk in settling.chunks(world, half):
                self._send(world, chunk, now)

    def _claim(self, world: World, book: DrawBook, now: Epoch) -> None:
        deployment, market = self.hands.deployment, self.hands.doors.market
        for plan in claims(world, book, now, deployment.settle_grace, deployment.report_epochs):
            call = market.claim(plan.job, plan.shard, plan.receipt, plan.slot, plan.opening)
            self.sender.send(plan.key, call, deadline=first_block(Epoch(plan.until + 1), deployment.epoch_blocks) - 1)

    def _money(self, world: World) -> None:
        """Sends matured earnings, and what is owed and rewarded to the operator, to it once they are worth the gas."""
        market, registry = self.hands.doors.market, self.hands.doors.registry
        waiting = {intent.what for intent in self.hands.outbox.pending()}  # a second one would find nothing to pay
        matured, _ = market.earnings_of(self.hands.node)
        if matured > self.withdraw_above and "withdraw" not in waiting:
            self.hands.submit(f"withdraw:{self._epoch}", market.call("withdraw", self.hands.node), None)
        own = world.nodes_of(world.operator)
        if not own or own[self._epoch % len(own)] != self.hands.node:  # its nodes take turns
            return
        if "collect" not in waiting and market.owed_to(world.operator) > self.withdraw_above:
            self.sender.send(f"collect:{self._epoch}", market.collect(world.operator))
        if self.stake_price and "collectReward" not in waiting:
            reward = registry.reward_of(world.operator)
            if reward:
                worth = self.hands.stake_in_wei(reward, self.stake_price) // TIMES_ITS_GAS
                self.sender.send(f"reward:{self._epoch}", registry.collect_reward(world.operator), worth)
