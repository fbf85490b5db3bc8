"""Threads that fetch and run shards, earliest deadline first, so that the chain loop never waits for either."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from nodeagent.errors import Fatal, JobFault, QuorateError
from nodeagent.protocol.manifest import JobManifest
from nodeagent.protocol.types import JobId, Shard
from nodeagent.runtimes.errors import Pass
from nodeagent.runtimes.host import Executor
from nodeagent.worker.compute import Order, Over, Prepared, Warm, run_again, run_shard, warm_up
from nodeagent.worker.ledger import Result
from nodeagent.worker.pantry import Pantry
from nodeagent.worker.shelf import NoRoom

FETCHERS = {"judge": 2, "drawn": 4, "ahead": 2}  # threads by kind of work: sources that stall one hold up no other
QUEUE_LIMIT = 4096
T = TypeVar("T")
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Done:
    """A shard's answer. ``ran`` counts tasks the runtime computed."""

    result: Result
    ran: int


@dataclass(frozen=True, slots=True)
class Loadable:
    """A model that was brought ahead, and whose it is."""

    manifest: JobManifest
    model: Path
    owner: str


@dataclass(frozen=True, slots=True)
class Again:
    """What a second computation of a shard came to: its result root."""

    job: JobId
    shard: Shard
    root: bytes


@dataclass(frozen=True, slots=True)
class Passed:
    """No answer. With ``final`` trying again is of no use; ``fatal`` is for a person. ``deadline`` is the order's."""

    job: JobId
    shard: Shard
    reason: str
    deadline: int
    final: bool = False
    fatal: Fatal | None = None
    again: bool = False


Outcome = Done | Again | Passed


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
    """Takes orders, gives outcomes. ``executors`` has one entry per computing thread; ``wake`` is set by an outcome.

    ``fresh`` makes the executor of a second computation, which is closed after it.
    """

    def __init__(
        self,
        pantry: Pantry,
        executors: list[Executor],
        pending: Path,
        wake: threading.Event | None = None,
        fresh: Callable[[], Executor] | None = None,
    ) -> None:
        self._pantry, self._executors, self._pending, self._fresh = pantry, executors, pending, fresh
        self._wake = wake or threading.Event()
        pending.mkdir(parents=True, exist_ok=True)
        self._to_fetch: dict[str, EdfQueue[Order | Warm | Over]] = {kind: EdfQueue(QUEUE_LIMIT) for kind in FETCHERS}
        self._to_run: EdfQueue[Prepared | Loadable] = EdfQueue(QUEUE_LIMIT)
        self._outcomes: queue.Queue[Outcome] = queue.Queue()
        self._known: set[tuple[JobId, Shard, bool]] = set()
        self._block = 0
        self._block_s = 1.0
        self._closed = False
        self._warming = True
        self._threads = [
            threading.Thread(target=self._fetch, args=(self._to_fetch[kind],), name=f"fetch-{kind}", daemon=True)
            for kind, count in FETCHERS.items()
            for _ in range(count)
        ]
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
        key = order.job.id, order.shard, order.again
        if key in self._known:
            return True
        kind = "judge" if order.again or order.job.about is not None else "drawn"
        if not self._to_fetch[kind].put(order.deadline, order):
            return False
        self._known.add(key)
        return True

    def warm(self, order: Warm) -> None:
        """Brings a job's model ahead of its draw; nothing is lost when that fails."""
        self._to_fetch["ahead"].put(order.deadline, order)

    def forget(self, manifests: frozenset[bytes], needed: frozenset[str]) -> None:
        """Has payloads of jobs that are over given up, by their manifests' sha256, and pins but for ``needed`` labels.

        Told again and again: what a full queue or a restart loses is made up for by the next time.
        """
        self._to_fetch["ahead"].put(0, Over(manifests, needed))

    def tick(self, block: int, block_s: float) -> list[Outcome]:
        """Tells the time; returns what was finished since the last call."""
        self._block, self._block_s = block, block_s
        found: list[Outcome] = []
        while True:
            try:
                outcome = self._outcomes.get_nowait()
            except queue.Empty:
                return found
            self._known.discard(_key(outcome))
            found.append(outcome)

    def close(self) -> None:
        """Stops taking work and ends the executors; unfinished shards are passes."""
        self._closed = True
        for orders in self._to_fetch.values():
            orders.close()
        self._to_run.close()
        for executor in self._executors:
            executor.close()
        limit = time.monotonic() + 5.0
        for thread in self._threads:
            thread.join(max(0.0, limit - time.monotonic()))

    def _late(self, order: Order | Warm) -> bool:
        return self._closed or self._block >= order.deadline

    def _fetch(self, orders: EdfQueue[Order | Warm | Over]) -> None:
        while (order := orders.get()) is not None:
            if isinstance(order, Order):
                self._guard(order, partial(self._fetch_one, order))
                continue
            try:
                self._fetch_ahead(order) if isinstance(order, Warm) else self._pantry.forget(order)
            except Exception:
                log.exception("pantry_failed")

    def _fetch_one(self, order: Order) -> None:
        prepared = self._pantry.prepare(order, lambda: self._late(order))
        if not self._to_run.put(order.deadline, prepared):
            prepared.free()
            raise Pass("no room on the bench")

    def _fetch_ahead(self, order: Warm) -> None:
        try:
            with self._pantry.model(order, lambda: self._late(order)) as (manifest, model, _):
                for _ in self._executors:
                    self._to_run.put(order.deadline, Loadable(manifest, model, order.payload[0].requester))
            self._warming = True
        except NoRoom as fault:
            if self._warming:  # said once, until there is room again
                log.warning("warming_stopped", job=order.job.id, reason=fault.reason)
            self._warming = False
        except QuorateError as fault:
            log.info("model_not_ahead", job=order.job.id, reason=str(fault))

    def _run(self, executor: Executor) -> None:
        with contextlib.suppress(QuorateError, OSError):  # what keeps it from starting is told by the first shard
            executor.start()
        while (prepared := self._to_run.get()) is not None:
            if isinstance(prepared, Prepared):
                self._guard(prepared.order, partial(self._run_one, prepared, executor))
            elif executor.owner in (None, prepared.owner):  # what is ahead of its time ends no other's process
                try:
                    executor.turn_to(prepared.owner)
                    warm_up(prepared.manifest, prepared.model, executor)
                except Exception as fault:
                    log.info("model_not_loaded", model=prepared.model.name, reason=str(fault))

    def _run_one(self, prepared: Prepared, executor: Executor) -> None:
        try:
            outcome = self._outcome(prepared, executor)
        finally:
            prepared.free()  # before the outcome is known: the same shard may be ordered again at once
        self._put(outcome)

    def _outcome(self, prepared: Prepared, executor: Executor) -> Outcome:
        blocks = prepared.order.deadline - self._block
        if blocks <= 0:
            raise Pass("its time is over")
        started, seconds = time.monotonic(), max(0.5, blocks * self._block_s)
        if prepared.order.again:
            return self._again(prepared, seconds)
        executor.turn_to(prepared.order.payload[0].requester)
        result, ran = run_shard(prepared, executor, self._pending, seconds)
        spent = round(time.monotonic() - started, 3)
        log.info("shard_computed", job=result.job, shard=result.shard, tasks=result.tasks, ran=ran, seconds=spent)
        return Done(result, ran)

    def _again(self, prepared: Prepared, seconds: float) -> Again:
        if self._fresh is None:
            raise Pass("this bench has no second executor")
        order = prepared.order
        with contextlib.closing(self._fresh()) as executor:
            return Again(order.job.id, order.shard, run_again(prepared, executor, seconds))

    def _guard(self, order: Order, work: Callable[[], None]) -> None:
        """Turns whatever goes wrong into a pass: a job must never stop the node."""
        try:
            work()
        except Fatal as fault:
            self._pass(order, str(fault), fatal=fault)
        except JobFault as fault:
            self._pass(order, str(fault), final=True)
        except (QuorateError, OSError) as fault:  # the second is this machine's trouble, never the job's
            self._pass(order, str(fault))
        except Exception as fault:
            log.exception("shard_failed", job=order.job.id, shard=order.shard)
            self._pass(order, f"{type(fault).__name__}: {fault}", final=True)

    def _pass(self, order: Order, reason: str, final: bool = False, fatal: Fatal | None = None) -> None:
        self._put(Passed(order.job.id, order.shard, reason, order.deadline, final, fatal, order.again))

    def _put(self, outcome: Outcome) -> None:
        self._outcomes.put(outcome)
        self._wake.set()


def _key(outcome: Outcome) -> tuple[JobId, Shard, bool]:
    if isinstance(outcome, Done):
        return outcome.result.job, outcome.result.shard, False
    return outcome.job, outcome.shard, isinstance(outcome, Again) or outcome.again
