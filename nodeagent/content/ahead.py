"""Blocks asked for before their turn, so that sources and the disk are at work while others are checked."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from nodeagent.content.cid import Cid

WIDTH: Final = 4  # blocks under way at most
READY: Final = 16  # blocks under way or waiting for their turn: this many may lie in memory
_START: Final = 2


class Window:
    """How many blocks may be under way: one more after each that came in ``quick_s``, one fewer after each other.

    So a thin line carries one block after the other, and none of them looks like a stall.
    """

    def __init__(self, quick_s: float, most: int = WIDTH) -> None:
        self.width, self.most, self._quick_s = min(_START, most), most, quick_s

    def note(self, seconds: float) -> None:
        """Tells how long a block took."""
        self.width = min(self.most, self.width + 1) if seconds <= self._quick_s else max(1, self.width - 1)


class Ahead:
    """``take`` gives blocks in the walk's order; those that ``expect`` named are obtained beside it, in that order.

    ``obtain(cid)`` gives a block or raises; it is called in several threads. What it raised is raised when that
    block's turn comes. Belongs to one thread.
    """

    def __init__(self, obtain: Callable[[Cid], bytes], window: Window) -> None:
        self._obtain, self._window = obtain, window
        self._next: deque[Cid] = deque()
        self._begun: dict[Cid, Future[bytes]] = {}
        self._running, self._closed = 0, False
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(window.most, thread_name_prefix="ahead")

    def expect(self, cids: Sequence[Cid]) -> None:
        """These come next, before what was expected earlier."""
        with self._lock:
            self._next.extendleft(reversed(cids))
        self._fill()

    def take(self, cid: Cid) -> bytes:
        """The block ``cid``, whose turn it is; raises what ``obtain`` raised."""
        with self._lock:
            begun = self._begun.pop(cid, None)
            if begun is None and self._next and self._next[0] == cid:
                self._next.popleft()
        self._fill()
        return begun.result() if begun is not None else self._obtain(cid)

    def close(self) -> None:
        """Begins nothing more and waits for what is under way."""
        with self._lock:
            self._closed = True
        self._threads.shutdown(cancel_futures=True)

    def _fill(self) -> None:
        while True:
            with self._lock:
                while self._next and self._next[0] in self._begun:
                    self._next.popleft()  # a block used twice: at its second turn it is in the store
                if self._closed or not self._next or self._running >= self._window.width or len(self._begun) >= READY:
                    return
                cid = self._next.popleft()
                self._running += 1
                begun = self._begun[cid] = self._threads.submit(self._obtain, cid)
            begun.add_done_callback(self._ended)

    def _ended(self, _: Future[bytes]) -> None:
        with self._lock:
            self._running -= 1
        self._fill()
