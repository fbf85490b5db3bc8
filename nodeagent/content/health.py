"""What sources cost of late. Whoever failed is asked last for a while, whoever is slow after the quick."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

MAX_KNOWN: Final = 1024
NEVER: Final = float("inf")  # the cost of a failure


@dataclass(frozen=True, slots=True)
class _Mark:
    cost: float  # seconds for one block
    until: float


class Health:
    """Shared by threads. Answers within ``slow_s`` seconds leave no mark; every other mark is gone after ``rest_s``."""

    def __init__(self, slow_s: float, rest_s: float, clock: Callable[[], float]) -> None:
        self._slow_s, self._rest_s, self._clock = slow_s, rest_s, clock
        self._marks: dict[str, _Mark] = {}
        self._lock = threading.Lock()

    def order(self, sources: Iterable[str], busy: Mapping[str, int] | None = None) -> list[str]:
        """The cheapest first; among equals, those with fewer pairs of requests under way, then as given."""
        now, pairs = self._clock(), {source: count // 2 for source, count in (busy or {}).items()}
        with self._lock:
            return sorted(sources, key=lambda source: (self._cost(source, now), pairs.get(source, 0)))

    def note(self, source: str, cost: float) -> None:
        """Tells what a block from ``source`` cost: seconds, or ``NEVER``. No answer makes up for a failure."""
        now = self._clock()
        with self._lock:
            if self._cost(source, now) == NEVER and cost < NEVER:
                return
            self._marks.pop(source, None)
            if cost > self._slow_s:
                self._make_room(now)
                self._marks[source] = _Mark(cost, now + self._rest_s)

    def failed(self, source: str) -> bool:
        """Whether it failed of late."""
        with self._lock:
            return self._cost(source, self._clock()) == NEVER

    def _cost(self, source: str, now: float) -> float:
        mark = self._marks.get(source)
        return mark.cost if mark is not None and now < mark.until else 0.0

    def _make_room(self, now: float) -> None:
        """Addresses are strangers' words: only so many are remembered, the oldest go first."""
        if len(self._marks) >= MAX_KNOWN:
            self._marks = {source: mark for source, mark in self._marks.items() if now < mark.until}
        while len(self._marks) >= MAX_KNOWN:
            del self._marks[next(iter(self._marks))]
