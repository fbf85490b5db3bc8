"""How much the blocks of a store may take. When more comes in, what nobody needs goes, least recently used first."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import structlog

from nodeagent.content.errors import StoreFull

_LOW: Final = 0.9  # of the limit: how far a collection goes down, so that not every block asks for one

log = structlog.get_logger(__name__)


class Allowance:
    """``max_bytes`` 0 is no limit. Safe for several threads.

    ``count()`` tells the bytes of all blocks; ``collect(most)`` removes what nobody needs until they are at most so
    many, as far as that goes, and returns how many bytes went.
    """

    def __init__(self, max_bytes: int, count: Callable[[], int], collect: Callable[[int], int]) -> None:
        self._max, self._count, self._collect = max_bytes, count, collect
        self._counting, self._collecting = threading.Lock(), threading.Lock()
        self._taken: int | None = None  # counted at the first need

    def ask(self, size: int) -> None:
        """Returns when ``size`` more bytes may come; raises ``StoreFull`` when everything that is here is needed."""
        if not self._max:
            return
        with self._collecting:
            if self._now() + size <= self._max:
                return
            gone = self._collect(max(0, int(self._max * _LOW) - size))
            with self._counting:
                self._taken = self._count()
                taken = self._taken
            log.info("content.collected", bytes=gone, left=taken)
            if taken + size > self._max:
                raise StoreFull(self._max, taken, size)

    def note(self, size: int) -> None:
        """Tells that ``size`` more bytes are here."""
        with self._counting:
            if self._taken is not None:
                self._taken += size

    def _now(self) -> int:
        with self._counting:
            if self._taken is None:
                self._taken = self._count()
            return self._taken
