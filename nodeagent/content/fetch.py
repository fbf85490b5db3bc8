"""Bring a whole file or folder into a store from sources nobody trusts, block by block.

Blocks are asked for ahead, of several sources at a time. Each comes from the first source that gives the right bytes.
A source that does not in ``hedge_s`` gets the next one beside it; when another is faster, it is given up. A source that
fails goes to the end of the line for the rest of the call; one that lied, flooded or stalled is not asked again in it.
Whoever failed otherwise than by saying that it does not hold the block goes to the end of the line of later calls for
``rest_s``. Only verified blocks reach the store.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from nodeagent.content import tree, unixfs
from nodeagent.content.ahead import WIDTH, Ahead, Window
from nodeagent.content.backends import WithKubo
from nodeagent.content.cid import Cid
from nodeagent.content.errors import (
    AllSourcesFailed,
    BlockMissing,
    BudgetExceeded,
    FetchCancelled,
    SourceFailure,
    SourceLacksBlock,
    SourceSentTooMuch,
    SourceSentWrongBytes,
    SourceStalled,
)
from nodeagent.content.health import NEVER, Health
from nodeagent.content.race import BlockSource, Race, Runner
from nodeagent.content.rate import Rate
from nodeagent.content.transport import DEFAULT_LIMITS, FetchLimits, Transport
from nodeagent.content.unixfs import DEFAULT_BUDGET, DEFAULT_MAX_DEPTH, MIB, Budget, Expect, Load

if TYPE_CHECKING:
    from nodeagent.content.kubo import KuboStore

Cancel = Callable[[], bool]
# each costs a block or a deadline to find out
_COSTLY: Final = (SourceSentTooMuch, SourceSentWrongBytes, SourceStalled)
_FAILED: Final = 1_000  # requests: a source that failed is asked after all others for the rest of the call
_LOOK_S: Final = 1.0  # how often ``cancel`` is asked while nothing comes

log = structlog.get_logger(__name__)


class Walk(Protocol):
    """Passes the blocks below a root, got from ``load``; ``expect`` is told which come next."""

    def __call__(self, *, load: Load, expect: Expect) -> Iterable[object]: ...


class BlockStore(Protocol):
    """What a fetcher needs of a store: ``load`` verified blocks (or ``BlockMissing``), ``keep`` verified ones."""

    def load(self, cid: Cid) -> bytes: ...
    def keep(self, cid: Cid, block: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class FetchReport:
    """What a fetch did: blocks already here, blocks and bytes fetched, and every source failure on the way."""

    blocks_held: int
    blocks_fetched: int
    bytes_fetched: int
    failures: tuple[SourceFailure, ...]


class Fetcher:
    """Fetches into ``store``; one instance may serve several threads, and remembers for all who failed or dawdled."""

    def __init__(
        self,
        store: BlockStore,
        limits: FetchLimits = DEFAULT_LIMITS,
        *,
        transport: BlockSource | None = None,
        kubo: KuboStore | None = None,
        rate: Rate | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store, self.limits, self.clock = store, limits, clock
        self.transport = transport or (WithKubo(Transport(limits), kubo) if kubo else Transport(limits))
        self.rate = rate or Rate()
        self.health = Health(limits.slow_s, limits.rest_s, clock)
        self.running = 0  # requests of all fetches: they share one line
        self._lock = threading.Lock()

    def count(self, change: int) -> None:
        """Tells that requests began (1) or ended (-1)."""
        with self._lock:
            self.running += change

    def fetch(
        self,
        cid: Cid,
        sources: Sequence[str],
        *,
        max_bytes: int,
        max_depth: int = DEFAULT_MAX_DEPTH,
        cancel: Cancel | None = None,
    ) -> FetchReport:
        """Make every block of ``cid`` present and intact in the store.

        ``sources`` are base URLs (or ``KUBO``), asked in this order, but for those that failed or cost much of late;
        none is needed when all is here. Blocks already here are verified as they are passed, so a rotten one is
        fetched again. Raises ``AllSourcesFailed``, ``BudgetExceeded``, ``MalformedBlock``, ``FetchCancelled``,
        ``StoreFull``; what was stored before that stays.
        """
        budget = Budget(max_bytes=max_bytes, max_depth=max_depth)
        return self._fetch(partial(unixfs.walk, cid, budget=budget), sources, cancel)

    def fetch_tree(
        self, root: Cid, sources: Sequence[str], budget: Budget = DEFAULT_BUDGET, *, cancel: Cancel | None = None
    ) -> FetchReport:
        """As ``fetch``, of a file or of a folder with all that is in it."""
        return self._fetch(partial(tree.walk, root, budget=budget), sources, cancel)

    def fetch_digest(
        self, sha256: bytes, sources: Sequence[str], *, max_bytes: int = MIB, cancel: Cancel | None = None
    ) -> bytes:
        """A one-block document (job or batch manifest) by its sha256, 32 bytes; it is stored too.

        Raises as ``fetch`` does; ``BudgetExceeded`` when the true document is larger than ``max_bytes``.
        """
        call = _Call(self, sources, cancel, max_block=max_bytes)
        return unixfs.read_all(Cid.from_digest(sha256), call.obtain, max_bytes)

    def _fetch(self, walk: Walk, sources: Sequence[str], cancel: Cancel | None) -> FetchReport:
        call = _Call(self, sources, cancel)
        ahead = Ahead(call.obtain, call.window)
        try:
            for _ in walk(load=ahead.take, expect=ahead.expect):
                pass
        finally:
            call.stop()
            ahead.close()
        return call.report()


class _Call:
    """The state of one fetch, shared by its threads: who is still asked, in what order, and what happened."""

    def __init__(
        self, fetcher: Fetcher, sources: Sequence[str], cancel: Cancel | None, max_block: int | None = None
    ) -> None:
        self._fetcher, self._cancel, self._max_block = fetcher, cancel, max_block
        self.window = Window(fetcher.limits.hedge_s / 2)
        self._lock = threading.Lock()
        self._line = list(dict.fromkeys(source.rstrip("/") for source in sources))
        self._load: Counter[str] = Counter()  # requests under way, and far more for each that failed
        self._last: dict[str, SourceFailure] = {}
        self._failures: list[SourceFailure] = []
        self._held = self._fetched = self._bytes = 0
        self._stopped = False

    def obtain(self, cid: Cid) -> bytes:
        """One verified block, from the store or else from the line of sources (then stored)."""
        self._check_cancel(cid)
        try:
            block = self._fetcher.store.load(cid)
        except BlockMissing:
            pass
        else:
            with self._lock:
                self._held += 1
            return block
        begun = self._fetcher.clock()
        block = self._fetch_block(cid)
        self.window.note(self._fetcher.clock() - begun)
        self._fetcher.rate.take(len(block), self._over)
        self._check_cancel(cid)
        if self._max_block is not None and len(block) > self._max_block:
            raise BudgetExceeded("bytes", self._max_block, len(block))
        self._fetcher.store.keep(cid, block)
        with self._lock:
            self._fetched += 1
            self._bytes += len(block)
        return block

    def stop(self) -> None:
        """Ends what is still under way."""
        self._stopped = True

    def report(self) -> FetchReport:
        return FetchReport(self._held, self._fetched, self._bytes, tuple(self._failures))

    def _fetch_block(self, cid: Cid) -> bytes:
        """The first verified answer of a race; every source runs in it once."""
        fetcher = self._fetcher
        with self._lock:
            waiting = deque(fetcher.health.order(self._line, self._load))
            # who shares the line with others may take longer
            hedge_s = fetcher.limits.hedge_s * (1 + min(WIDTH, fetcher.running))
        race = Race(fetcher.transport, cid, fetcher.limits.parallel, hedge_s, fetcher.clock)
        try:
            while waiting or race.running:
                if waiting and not race.wait_s():
                    self._check_cancel(cid)
                    self._ask(race, waiting.popleft())
                found = race.arrival(min(_LOOK_S, race.wait_s()) if waiting else _LOOK_S)
                if found is None:
                    self._check_cancel(cid)
                    continue
                runner, outcome = found
                self._left(runner)
                if isinstance(outcome, bytes):
                    fetcher.health.note(runner.source, race.age(runner))
                    for loser in tuple(race.running):
                        self._give_up(race, loser)
                    return outcome
                if not isinstance(outcome, SourceFailure):
                    raise outcome
                cost = race.age(runner) if isinstance(outcome, SourceLacksBlock) else NEVER
                self._demote(runner.source, outcome, cost, again=not isinstance(outcome, _COSTLY))
            raise AllSourcesFailed(str(cid), tuple(self._last.values()))
        finally:
            for runner in tuple(race.running):  # nobody was quicker: that says nothing about them
                race.cut(runner)
                self._left(runner)

    def _ask(self, race: Race, source: str) -> None:
        """Starts a request to ``source``, unless another block showed meanwhile that it is not worth one."""
        with self._lock:
            if source not in self._line:
                return
            self._load[source] += 1
        self._fetcher.count(1)
        if race.full:
            self._give_up(race, race.running[0])
        race.start(source)

    def _left(self, runner: Runner) -> None:
        with self._lock:
            self._load[runner.source] -= 1
        self._fetcher.count(-1)

    def _give_up(self, race: Race, runner: Runner) -> None:
        """Ends a request. It counts as a stall when it had its time."""
        race.cut(runner)
        self._left(runner)
        age = race.age(runner)
        if age >= race.hedge_s:
            stalled = SourceStalled(runner.source, f"given up after {age:.1f} s")
            self._demote(runner.source, stalled, NEVER, again=True)  # asked again only when the others have failed

    def _demote(self, source: str, failure: SourceFailure, cost: float, *, again: bool) -> None:
        log.info("content.source_failed", source=source, reason=failure.reason)
        self._fetcher.health.note(source, cost)
        with self._lock:
            self._failures.append(failure)
            self._last[source] = failure
            self._load[source] += _FAILED
            if source in self._line:
                self._line.remove(source)
                if again:
                    self._line.append(source)

    def _over(self) -> bool:
        return self._stopped or bool(self._cancel and self._cancel())

    def _check_cancel(self, cid: Cid) -> None:
        if self._over():
            raise FetchCancelled(f"fetch stopped before block {cid}")
