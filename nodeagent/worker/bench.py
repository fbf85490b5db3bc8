"""Threads that fetch and run shards, earliest deadline first, so that the chain loop never waits for either."""

from __future__ import annotations

import heapq
import itertools
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from nodeagent.errors import Fatal, JobFault, QuorateError
from nodeagent.protocol.types import JobId, Shard
from nodeagent.runtimes.errors import Pass
from nodeagent.runtimes.host import Executor
from nodeagent.worker.compute import Order, Pantry, Prepared, run_shard
from nodeagent.worker.ledger import Result

FETCHERS = 4
QUEUE_LIMIT = 4096
T = TypeVar("T")
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Done:
    """A shard's answer. ``ran`` counts tasks the runtime computed."""

    result: Result
    ran: int


@dataclass(frozen=True, slots=True)
class Passed:
    """No answer. With ``final`` trying again is of no use; ``fatal`` is for a person."""

    job: JobId
    shard: Shard
    reason: str
    final: bool
    fatal: Fatal | None = None


Outcome = Done | Passed


class EdfQueue(Generic[T]):
    """A bounded queue that hands out the earliest deadline first. Thread-safe."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._heap: list[tuple[int, int, T]] = []
        self._ticket = itertools.count()
        self._ready = threading.Condition()
        self._closed = False

    def put(self, deadline: int, item: T) -> bool:
        """False when the queue is full or closed."""
        with self._ready:
            if self._closed or len(self._heap) >= self._limit:
                return False
            heapq.heappush(self._heap, (deadline, next(self._ticket), item))
            self._ready.notify()
            return True

    def get(self) -> T | None:
        """Waits for an item; None once closed."""
        with self._ready:
            while not self._heap and not self._closed:
                self._ready.wait()
            return None if self._closed else heapq.heappop(self._heap)[2]

    def close(self) -> None:
        with self._ready:
            self._closed = True
            self._heap.clear()
            self._ready.notify_all()

    def __len__(self) -> int:
        return len(self._heap)


class Bench:
    """Takes orders, gives outcomes. ``executors`` has one entry per computing thread; ``wake`` is set by an outcome."""

    def __init__(
        self, pantry: Pantry, executors: list[Executor], pending: Path, wake: threading.Event | None = None
    ) -> None:
        self._pantry, self._executors, self._pending = pantry, executors, pending
        self._wake = wake or threading.Event()
        pending.mkdir(parents=True, exist_ok=True)
        self._to_fetch: EdfQueue[Order] = EdfQueue(QUEUE_LIMIT)
        self._to_run: EdfQueue[Prepared] = EdfQueue(QUEUE_LIMIT)
        self._outcomes: queue.Queue[Outcome] = queue.Queue()
        self._known: set[tuple[JobId, Shard]] = set()
        self._block = 0
        self._block_s = 1.0
        self._closed = False
        self._threads = [threading.Thread(target=self._fetch, name="fetch", daemon=True) for _ in range(FETCHERS)]
        self._threads += [
            threading.Thread(target=self._run, args=(executor,), name="compute", daemon=True) for executor in executors
        ]
        for thread in self._threads:
            thread.start()

    @property
    def open_work(self) -> int:
        """Shards on the bench."""
        return len(self._known)

    def offer(self, order: Order) -> bool:
        """Takes an order unless it is on the bench already. False when there is no room."""
        key = order.job.id, order.shard
        if key in self._known:
            return True
        if not self._to_fetch.put(order.deadline, order):
            return False
        self._known.add(key)
        return True

    def tick(self, block: int, block_s: float) -> list[Outcome]:
        """Tells the time; returns what was finished since the last call."""
        self._block, self._block_s = block, block_s
        found: list[Outcome] = []
        while True:
            try:
                outcome = self._outcomes.get_nowait()
            except queue.Empty:
                return found
            key = (outcome.result.job, outcome.result.shard) if isinstance(outcome, Done) else _key(outcome)
            self._known.discard(key)
            found.append(outcome)

    def close(self) -> None:
        """Stops taking work and ends the executors; unfinished shards are passes."""
        self._closed = True
        self._to_fetch.close()
        self._to_run.close()
        for executor in self._executors:
            executor.close()
        limit = time.monotonic() + 5.0
        for thread in self._threads:
            thread.join(max(0.0, limit - time.monotonic()))

    def _late(self, order: Order) -> bool:
        return self._closed or self._block >= order.deadline

    def _fetch(self) -> None:
        while (order := self._to_fetch.get()) is not None:
            item = order
            self._guard(item, lambda item=item: self._fetch_one(item))  # type: ignore[misc]

    def _fetch_one(self, order: Order) -> None:
        prepared = self._pantry.prepare(order, lambda: self._late(order))
        if not self._to_run.put(order.deadline, prepared):
            raise Pass("no room on the bench")

    def _run(self, executor: Executor) -> None:
        while (prepared := self._to_run.get()) is not None:
            item = prepared
            self._guard(item.order, lambda item=item: self._run_one(item, executor))  # type: ignore[misc]

    def _run_one(self, prepared: Prepared, executor: Executor) -> None:
        blocks = prepared.order.deadline - self._block
        if blocks <= 0:
            raise Pass("its time is over")
        started = time.monotonic()
        result, ran = run_shard(prepared, executor, self._pending, max(0.5, blocks * self._block_s))
        spent = round(time.monotonic() - started, 3)
        log.info("shard_computed", job=result.job, shard=result.shard, tasks=result.tasks, ran=ran, seconds=spent)
        self._put(Done(result, ran))

    def _guard(self, order: Order, work: Callable[[], None]) -> None:
        """Turns whatever goes wrong into a pass: a job must never stop the node."""
        try:
            work()
        except Fatal as fault:
            self._put(Passed(order.job.id, order.shard, str(fault), False, fault))
        except JobFault as fault:
            self._put(Passed(order.job.id, order.shard, str(fault), True))
        except QuorateError as fault:
            self._put(Passed(order.job.id, order.shard, str(fault), self._late(order)))
        except Exception as fault:
            log.exception("shard_failed", job=order.job.id, shard=order.shard)
            self._put(Passed(order.job.id, order.shard, f"{type(fault).__name__}: {fault}", True))

    def _put(self, outcome: Outcome) -> None:
        self._outcomes.put(outcome)
        self._wake.set()


def _key(outcome: Passed) -> tuple[JobId, Shard]:
    return outcome.job, outcome.shard
