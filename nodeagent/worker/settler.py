"""Settling, claiming and withdrawing, once a block. What is worth sending is tried with ``eth_call`` first."""

from __future__ import annotations

from dataclasses import dataclass, field

import structlog

from nodeagent.chain.doors import Call, simulate
from nodeagent.chain.errors import Reverted
from nodeagent.protocol.keccak import keccak
from nodeagent.protocol.types import Epoch, JobId, Shard
from nodeagent.worker import reporting, settling
from nodeagent.worker.draws import DrawBook
from nodeagent.worker.hands import Hands
from nodeagent.worker.settling import Candidate
from nodeagent.worker.world import ShardKey, World

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Settler:
    """``stagger`` blocks pass between members' turns. Settle fees are earned by the node, with its pay."""

    hands: Hands
    stagger: int
    withdraw_above: int
    settle: bool = True
    report: bool = False
    _epoch: int = -1
    _skip: set[ShardKey] = field(default_factory=set)  # refused in this epoch
    _asked: set[str] = field(default_factory=set)  # in this epoch

    def tick(self, world: World, book: DrawBook, block: int) -> None:
        """One round at the head ``block``."""
        deployment = self.hands.deployment
        now = Epoch(block // deployment.epoch_blocks)
        if now != self._epoch:
            self._epoch = now
            self._skip.clear()
            self._asked.clear()
            self._money()
        if self.settle:
            self._seeds(world, book, now, block)
            if not any(i.what == "settle" for i in self.hands.outbox.pending()):
                self._settle(world, book, now, block)
        self._claim(world, book, now)
        if self.report:
            self._report(world, book, now)

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
        for plan in settling.claims(world, book, now, self.hands.deployment.report_epochs):
            key = claim_key(plan.job, plan.shard, plan.slot)
            market = self.hands.doors.market
            self._try(key, market.claim(plan.job, plan.shard, plan.receipt, plan.slot, plan.opening))

    def _report(self, world: World, book: DrawBook, now: Epoch) -> None:
        deployment, doors = self.hands.deployment, self.hands.doors
        for lane in reporting.unrevealed(world, now, deployment.reveal_grace):
            self._try(lane.key, doors.ledger.call("reportUnrevealed", lane.node, lane.epoch))
        for slot in reporting.absent(world, book, now, deployment.report_epochs):
            receipt = slot.receipt.as_tuple()
            self._try(slot.key, doors.market.call("reportAbsent", slot.job, slot.shard, receipt, slot.slot))

    def _try(self, key: str, call: Call) -> None:
        """Sends a call once, if the chain accepts it now; one that it refuses is asked about again next epoch."""
        if key in self._asked or self.hands.outbox.get(key) is not None:
            return
        self._asked.add(key)
        try:
            simulate(self.hands.rpc, call, self.hands.outbox.address)
        except Reverted as fault:
            log.info("call_refused", call=key, reason=str(fault))
            return
        self.hands.submit(key, call, None)

    def _money(self) -> None:
        """Sends matured earnings to the operator once they are worth the gas."""
        market = self.hands.doors.market
        matured, _ = market.earnings_of(self.hands.node)
        if matured > self.withdraw_above:
            self.hands.submit(f"withdraw:{self._epoch}", market.call("withdraw", self.hands.node), None)


def claim_key(job: JobId, shard: Shard, slot: int) -> str:
    return f"claim:{job}:{shard}:{slot}"
