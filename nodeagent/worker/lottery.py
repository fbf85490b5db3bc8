"""Seeds from headers, draws from seeds, and a check of both against the registry."""

from __future__ import annotations

import structlog

from nodeagent.chain.deployment import Deployment
from nodeagent.chain.doors import Registry
from nodeagent.chain.errors import RpcBehind, RpcError
from nodeagent.chain.headers import prev_randao
from nodeagent.chain.rpc import RpcLike
from nodeagent.errors import Fatal, Transient
from nodeagent.protocol.epochs import epoch_of, seed_block
from nodeagent.protocol.sortition import draw_words, parse_slots, seed_from_randao
from nodeagent.protocol.types import Epoch
from nodeagent.worker.draws import Draw, DrawBook, starting_in
from nodeagent.worker.world import World

CHECKED_DRAWS = 64
log = structlog.get_logger(__name__)


class DrawMismatch(Fatal):
    """The registry draws another committee than this program computes: it must not go on."""


class Lottery:
    """Knows the seed of every epoch in which an attempt of a known job starts, and the committees drawn by it.

    ``settled`` as ``DrawBook`` has it.
    """

    def __init__(
        self, rpc: RpcLike, registry: Registry, deployment: Deployment, world: World, settled: bool = False
    ) -> None:
        self._rpc, self._registry, self._deployment, self._settled = rpc, registry, deployment, settled
        self.seeds: dict[Epoch, bytes] = {}
        self._doubted: Draw | None = None
        self.restart(world)

    def restart(self, world: World) -> None:
        """Draws anew over another world; seeds stay."""
        self._world = world
        self.book = DrawBook(world, self.seeds, self._settled)

    def rewind(self, block: int) -> None:
        """Forgets seeds of blocks above ``block``."""
        for epoch in [e for e in self.seeds if self._seed_block(e) > block]:
            del self.seeds[epoch]

    def forget(self, before: Epoch) -> None:
        """Drops what is older than an epoch."""
        self.book.forget(before)
        for epoch in [e for e in self.seeds if e < before]:
            del self.seeds[epoch]

    def update(self, block: int) -> bool:
        """Takes in what is known at the head ``block``. Whether the draws of its epoch are known.

        Raises Transient when the endpoint lags, DrawMismatch when the registry draws otherwise, twice.
        """
        now = epoch_of(block, self._deployment.epoch_blocks)
        self._learn(now, block)
        fresh = [draw for epoch in sorted(self.seeds) for draw in self.book.update(epoch)]
        if fresh:
            self._check(fresh[-CHECKED_DRAWS:])
            mine = sum(self._world.node in draw.slots for draw in fresh)
            log.info("drawn", epoch=now, committees=len(fresh), mine=mine)
        return self._seed_block(now) <= block

    def _learn(self, now: Epoch, block: int) -> None:
        oldest = max(0, now - self._deployment.ring + 2)  # older draws are not allowed any more
        wanted = [
            Epoch(epoch)
            for epoch in range(oldest, now + 1)
            if epoch not in self.seeds and self._seed_block(Epoch(epoch)) <= block and self._starts_in(Epoch(epoch))
        ]
        asked = [("eth_getBlockByNumber", [hex(self._seed_block(epoch)), False]) for epoch in wanted]
        for epoch, header in zip(wanted, self._rpc.batch(asked) if asked else (), strict=True):
            if isinstance(header, RpcError):
                raise header
            if header is None:
                raise RpcBehind(f"the endpoint has no block {self._seed_block(epoch)} yet")
            self.seeds[epoch] = seed_from_randao(epoch, prev_randao(header))

    def _check(self, draws: list[Draw]) -> None:
        words: list[int] = []
        for draw in draws:
            size, pool, case = len(draw.slots), self._world.pool, self._world.jobs[draw.job].terms.is_case
            words.extend(draw_words(self.seeds[draw.start], draw.job, draw.shard, draw.start, pool, size, case))
        answer = self._registry.committees(words)
        for index, draw in enumerate(draws):
            slots = parse_slots(answer[2 * index : 2 * index + 2], len(draw.slots))
            if slots != draw.slots:
                self._differ(draw, slots)
        self._doubted = None

    def _differ(self, draw: Draw, slots: tuple[int, ...]) -> None:
        """Once it may be a reorganisation that was not seen yet; twice it is a fault."""
        self.book.clear()
        if self._doubted == draw:
            raise DrawMismatch(
                f"the registry draws {slots} for job {draw.job}, shard {draw.shard}, attempt {draw.attempt},"
                f" this program {draw.slots}",
                hint="stop the node and report this with its agent.db",
            )
        self._doubted = draw
        raise Transient(f"the registry's draw for job {draw.job}, shard {draw.shard} differs; looking again")

    def _starts_in(self, epoch: Epoch) -> bool:
        return any(next(starting_in(job.terms, epoch), None) is not None for job in self._world.jobs.values())

    def _seed_block(self, epoch: Epoch) -> int:
        return seed_block(epoch, self._deployment.epoch_blocks)
