"""Several leaves from one source, read by a thread of the crew, so that nobody waits longer than he wants to."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Callable

from nodeagent.content.ahead import LOOK_S, Run
from nodeagent.content.cid import Cid
from nodeagent.content.crew import CREW
from nodeagent.content.race import BlockSource
from nodeagent.content.watch import Cut

Leaf = tuple[Cid, bytes, float]  # and how many seconds the source took for it


class Flow:
    """The answer to one run. One leaf waits to be taken while the source sends the next."""

    def __init__(
        self, transport: BlockSource, source: str, run: Run, patience_s: float, clock: Callable[[], float]
    ) -> None:
        self._cut, self._clock = Cut(), clock
        self._arrivals: queue.Queue[Leaf | Exception | None] = queue.Queue(1)
        CREW.do(lambda: self._read(transport, source, run, patience_s))

    def take(self, seconds: float) -> Leaf | None:
        """The next leaf; none at the end. Raises what the transport raised, and ``TimeoutError``."""
        try:
            found = self._arrivals.get(timeout=seconds)
        except queue.Empty:
            raise TimeoutError from None
        if isinstance(found, Exception):
            raise found
        return found

    def close(self) -> None:
        """Ends it, wherever its thread is."""
        self._cut()

    def _read(self, transport: BlockSource, source: str, run: Run, patience_s: float) -> None:
        end: Exception | None = None
        begun = self._clock()
        try:
            for cid, block in transport.run(source, run, patience_s, self._cut):
                if not self._give((cid, block, self._clock() - begun)):
                    return
                begun = self._clock()
        except Exception as error:
            end = error
        self._give(end)

    def _give(self, found: Leaf | Exception | None) -> bool:
        while not self._cut.done:
            with contextlib.suppress(queue.Full):
                self._arrivals.put(found, timeout=LOOK_S)
                return True
        return False
