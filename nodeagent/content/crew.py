"""Threads kept for the next piece of work: starting one costs as much as a small request."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Final


class Crew:
    """Threads that run one piece of work after the other; a new one only when none is idle.

    None holds up the end of the program. One that had nothing to do for ``idle_s`` ends.
    """

    def __init__(self, idle_s: float = 10.0) -> None:
        self._idle_s, self._lock = idle_s, threading.Lock()
        self._idle: list[queue.SimpleQueue[Callable[[], None]]] = []  # the one that was busy last is asked first

    @property
    def idle(self) -> int:
        """How many threads wait for work."""
        return len(self._idle)

    def do(self, work: Callable[[], None]) -> None:
        with self._lock:
            inbox = self._idle.pop() if self._idle else None
        if inbox is None:
            threading.Thread(target=self._serve, args=(work,), name="block", daemon=True).start()
        else:
            inbox.put(work)

    def _serve(self, work: Callable[[], None]) -> None:
        inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        while True:
            work()
            with self._lock:
                self._idle.append(inbox)
            try:
                work = inbox.get(timeout=self._idle_s)
            except queue.Empty:
                with self._lock:
                    if inbox in self._idle:
                        self._idle.remove(inbox)
                        return
                work = inbox.get()  # it was asked just now


CREW: Final = Crew()  # of all fetches
