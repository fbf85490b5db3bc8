"""Bring a whole file or folder into a store from sources nobody trusts, block by block.

Blocks are asked for ahead, of several sources at a time. Each comes from the first source that gives the right bytes;
where all is quick, leaves come eight in an answer.
A source that does not in ``hedge_s`` gets the next one beside it; when another is faster, it is given up. A source that
fails goes to the end of the line for the rest of the call; one that lied, flooded or stalled is not asked again in it.
Whoever failed otherwise than by saying that it does not hold the block goes to the end of the line of later calls for
``rest_s``. Only verified blocks reach the store.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol

from nodeagent.content import tree, unixfs
from nodeagent.content.ahead import Ahead
from nodeagent.content.backends import WithKubo
from nodeagent.content.call import Call, Cancel, FetchReport
from nodeagent.content.cid import Cid
from nodeagent.content.health import Health
from nodeagent.content.race import BlockSource
from nodeagent.content.rate import Rate
from nodeagent.content.transport import DEFAULT_LIMITS, FetchLimits, Transport
from nodeagent.content.unixfs import DEFAULT_BUDGET, DEFAULT_MAX_DEPTH, MIB, Budget, Expect, Load

if TYPE_CHECKING:
    from nodeagent.content.kubo import KuboStore


class Walk(Protocol):
    """Passes the blocks below a root, got from ``load``; ``expect`` is told which come next."""

    def __call__(self, *, load: Load, expect: Expect) -> Iterable[object]: ...


class BlockStore(Protocol):
    """What a fetcher needs of a store: ``load`` verified blocks (or ``BlockMissing``), ``keep`` verified ones."""

    def load(self, cid: Cid) -> bytes: ...
    def keep(self, cid: Cid, block: bytes) -> None: ...


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
        self.runless = Health(limits.slow_s, limits.rest_s, clock)  # who gives no run of leaves fails here
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
        return self._fetch(partial(tree.walk, root, budget=budget, once=True), sources, cancel)

    def fetch_digest(
        self, sha256: bytes, sources: Sequence[str], *, max_bytes: int = MIB, cancel: Cancel | None = None
    ) -> bytes:
        """A one-block document (job or batch manifest) by its sha256, 32 bytes; it is stored too.

        Raises as ``fetch`` does; ``BudgetExceeded`` when the true document is larger than ``max_bytes``.
        """
        call = Call(self, sources, cancel, max_block=max_bytes)
        return unixfs.read_all(Cid.from_digest(sha256), call.load, max_bytes)

    def _fetch(self, walk: Walk, sources: Sequence[str], cancel: Cancel | None) -> FetchReport:
        call = Call(self, sources, cancel)
        ahead = Ahead(call.obtain, call.window, call.check_cancel)
        try:
            for _ in walk(load=ahead.take, expect=ahead.expect):
                pass
        finally:
            call.stop()
            ahead.close()
        return call.report()
