"""One block, asked of several sources beside each other, so that one that dawdles holds up nobody for long."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from nodeagent.content.ahead import Run
from nodeagent.content.cid import Cid
from nodeagent.content.crew import CREW
from nodeagent.content.watch import Cut


class BlockSource(Protocol):
    """``block`` gives one verified block from one source, ``run`` several leaves, of which some may not come.

    Both raise a ``SourceFailure``; ``cut`` may end them early.
    """

    def block(self, source: str, cid: Cid, cut: Cut | None = None) -> bytes: ...
    def run(self, source: str, run: Run, patience_s: float, cut: Cut | None = None) -> Iterator[tuple[Cid, bytes]]: ...


@dataclass(eq=False, slots=True)
class Runner:
    """One request under way."""

    source: str
    started: float
    cut: Cut = field(default_factory=Cut)


class Race:
    """At most ``most`` requests, another every ``hedge_s``. Belongs to one thread; ``running`` has the oldest first."""

    def __init__(self, transport: BlockSource, cid: Cid, most: int, hedge_s: float, clock: Callable[[], float]) -> None:
        self._transport, self._cid, self._most, self._clock = transport, cid, most, clock
        self.hedge_s = hedge_s
        self._arrivals: queue.SimpleQueue[tuple[Runner, bytes | Exception]] = queue.SimpleQueue()
        self._next = clock()
        self.running: list[Runner] = []

    @property
    def full(self) -> bool:
        return len(self.running) >= self._most

    def wait_s(self) -> float:
        """Seconds until another source may be asked as well."""
        return max(0.0, self._next - self._clock())

    def start(self, source: str) -> None:
        runner = Runner(source, self._clock())
        self.running.append(runner)
        self._next = runner.started + self.hedge_s
        CREW.do(partial(self._run, runner))

    def arrival(self, seconds: float) -> tuple[Runner, bytes | Exception] | None:
        """What came of a request, a block or why there is none; None when nothing did within ``seconds``."""
        try:
            runner, outcome = self._arrivals.get(timeout=seconds)
        except queue.Empty:
            return None
        if runner not in self.running:  # it was cut
            return None
        self.running.remove(runner)
        self._next = self._clock()
        return runner, outcome

    def age(self, runner: Runner) -> float:
        """Seconds since a request began."""
        return self._clock() - runner.started

    def cut(self, runner: Runner) -> None:
        """Ends a request; nothing it still brings counts."""
        self.running.remove(runner)
        runner.cut()

    def _run(self, runner: Runner) -> None:
        try:
            outcome: bytes | Exception = self._transport.block(runner.source, self._cid, runner.cut)
        except Exception as error:
            outcome = error
        self._arrivals.put((runner, outcome))
