"""One fetch of one file or folder: who is still asked, in what order, and what happened. Shared by its threads.

Blocks come one by one, each from the first source that gives it, or, from sources that are quick and serve it,
eight leaves in one answer (a CAR of some bytes of their node). What does not come so is asked for one by one.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from nodeagent.content.ahead import LOOK_S, WIDTH, Run, Window, stretches
from nodeagent.content.backends import KUBO
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
    SourceServesNone,
    SourceStalled,
)
from nodeagent.content.flow import Flow, Leaf
from nodeagent.content.health import NEVER
from nodeagent.content.race import Race, Runner
from nodeagent.content.unixfs import Coming

if TYPE_CHECKING:
    from nodeagent.content.fetch import Fetcher

Cancel = Callable[[], bool]
# each costs a block or a deadline to find out
_COSTLY: Final = (SourceSentTooMuch, SourceSentWrongBytes, SourceStalled)
_FAILED: Final = 1_000  # requests: a source that failed is asked after all others for the rest of the call
_MIN_RUN_BYTES: Final = 262_144  # smaller leaves are asked for one by one

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FetchReport:
    """What a fetch did: blocks already here, blocks and bytes fetched, and every source failure on the way."""

    blocks_held: int
    blocks_fetched: int
    bytes_fetched: int
    failures: tuple[SourceFailure, ...]


class Call:
    """The state of one fetch."""

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

    def obtain(self, blocks: Sequence[Coming]) -> Iterator[tuple[Cid, bytes]]:
        """Each of these, verified, from the store or else from sources (then stored), in one answer if that can be."""
        left: dict[Cid, Coming] = {}
        for coming in blocks:
            block = self._held_here(coming.cid)
            if block is None:
                left[coming.cid] = coming
            else:
                yield coming.cid, block
        for stretch in stretches(tuple(left.values())):
            for cid, block in self._run(stretch):
                if left.pop(cid, None):
                    self._store(cid, block)
                    yield cid, block
        for cid in left:
            yield cid, self.load(cid)

    def load(self, cid: Cid) -> bytes:
        """One verified block, from the store or else from the line of sources (then stored)."""
        block = self._held_here(cid)
        if block is None:
            begun = self._fetcher.clock()
            block = self._fetch_block(cid)
            self.window.note(self._fetcher.clock() - begun)
            self._store(cid, block)
        return block

    def _held_here(self, cid: Cid) -> bytes | None:
        self.check_cancel(cid)
        try:
            block = self._fetcher.store.load(cid)
        except BlockMissing:
            return None
        with self._lock:
            self._held += 1
        return block

    def _store(self, cid: Cid, block: bytes) -> None:
        self._fetcher.rate.take(len(block), self._over)
        self.check_cancel(cid)
        if self._max_block is not None and len(block) > self._max_block:
            raise BudgetExceeded("bytes", self._max_block, len(block))
        self._fetcher.store.keep(cid, block)
        with self._lock:
            self._fetched += 1
            self._bytes += len(block)

    def stop(self) -> None:
        """Ends what is still under way."""
        self._stopped = True

    def report(self) -> FetchReport:
        return FetchReport(self._held, self._fetched, self._bytes, tuple(self._failures))

    def _run(self, blocks: Sequence[Coming]) -> Iterator[tuple[Cid, bytes]]:
        """What of these leaves the first source in line gives in one answer; none when that is not worth a try.

        Whatever does not come so is to be asked for block by block: here nobody is asked beside another, and one that
        dawdles, lies or floods pays for it as it does there.
        """
        fetcher, source = self._fetcher, self._server_of_runs()
        if source is None or len(blocks) == 1 or (run := Run.of(blocks)).size < _MIN_RUN_BYTES:
            return
        self._count(source, 1)
        patience_s = self._patience_s()
        flow, left = Flow(fetcher.transport, source, run, patience_s, fetcher.clock), set(run.leaves)
        try:
            while (leaf := self._next_leaf(flow, run.node, source, patience_s)) is not None:
                cid, block, took = leaf
                left.discard(cid)
                quick = self.window.note(took)
                fetcher.health.note(source, took)
                yield cid, block
                if not quick:
                    return  # one by one again, each with others to ask beside
            if left:
                raise SourceServesNone(source, f"an answer without {len(left)} of the leaves that were asked for")
        except SourceFailure as failure:
            if isinstance(failure, _COSTLY):
                self._demote(source, failure, NEVER, again=isinstance(failure, SourceStalled))
            else:
                log.info("content.no_run", source=source, reason=failure.reason)
                fetcher.runless.note(source, NEVER)
        finally:
            flow.close()
            self._count(source, -1)

    def _next_leaf(self, flow: Flow, node: Cid, source: str, patience_s: float) -> Leaf | None:
        """What comes next; none at the end."""
        until = self._fetcher.clock() + patience_s
        while (left_s := until - self._fetcher.clock()) > 0:
            try:
                return flow.take(min(LOOK_S, left_s))
            except TimeoutError:
                self.check_cancel(node)
        raise SourceStalled(source, f"no leaf within {patience_s:.1f} s")

    def _server_of_runs(self) -> str | None:
        """Who is asked first at the moment, if that one may serve several leaves in one answer."""
        fetcher = self._fetcher
        with self._lock:
            line = fetcher.health.order(self._line, self._load)
        if not line or line[0] == KUBO or fetcher.health.failed(line[0]) or fetcher.runless.failed(line[0]):
            return None
        return line[0]

    def _patience_s(self) -> float:
        """How long a block may take before the next source is asked: longer for who shares the line with others."""
        return self._fetcher.limits.hedge_s * (1 + min(WIDTH, self._fetcher.running))

    def _fetch_block(self, cid: Cid) -> bytes:
        """The first verified answer of a race; every source runs in it once."""
        fetcher = self._fetcher
        with self._lock:
            waiting = deque(fetcher.health.order(self._line, self._load))
        race = Race(fetcher.transport, cid, fetcher.limits.parallel, self._patience_s(), fetcher.clock)
        try:
            while waiting or race.running:
                if waiting and not race.wait_s():
                    self.check_cancel(cid)
                    self._ask(race, waiting.popleft())
                found = race.arrival(min(LOOK_S, race.wait_s()) if waiting else LOOK_S)
                if found is None:
                    self.check_cancel(cid)
                    continue
                runner, outcome = found
                self._count(runner.source, -1)
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
                self._count(runner.source, -1)

    def _ask(self, race: Race, source: str) -> None:
        """Starts a request to ``source``, unless another block showed meanwhile that it is not worth one."""
        with self._lock:
            if source not in self._line:
                return
        self._count(source, 1)
        if race.full:
            self._give_up(race, race.running[0])
        race.start(source)

    def _count(self, source: str, change: int) -> None:
        """Tells that a request to ``source`` began (1) or ended (-1)."""
        with self._lock:
            self._load[source] += change
        self._fetcher.count(change)

    def _give_up(self, race: Race, runner: Runner) -> None:
        """Ends a request. It counts as a stall when it had its time."""
        race.cut(runner)
        self._count(runner.source, -1)
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

    def check_cancel(self, cid: Cid) -> None:
        """Raises ``FetchCancelled`` when it is over."""
        if self._over():
            raise FetchCancelled(f"fetch stopped before block {cid}")
