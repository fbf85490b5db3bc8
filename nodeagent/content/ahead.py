"""Blocks asked for before their turn, so that sources and the disk are at work while others are checked."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from nodeagent.content.cid import Cid
from nodeagent.content.unixfs import Coming

WIDTH: Final = 4  # obtained beside each other at most
READY: Final = 32  # blocks under way or waiting for their turn: this many may lie in memory
_RUN: Final = 8  # blocks obtained together at most
LOOK_S: Final = 1.0  # how often somebody looks whether to go on while nothing comes
_START: Final = 2
Obtain = Callable[[Sequence[Coming]], Iterable[tuple[Cid, bytes]]]


@dataclass(frozen=True, slots=True)
class Run:
    """Leaves of ``node``, and the first and the last of the bytes below it that they are."""

    node: Cid
    first: int
    last: int
    leaves: frozenset[Cid]

    @classmethod
    def of(cls, blocks: Sequence[Coming]) -> Run:
        """Leaves that follow each other."""
        begin, end = blocks[0], blocks[-1]
        if begin.node is None:
            raise ValueError(f"{begin.cid} is no leaf of a node")
        return cls(begin.node, begin.start, end.start + end.size - 1, frozenset(block.cid for block in blocks))

    @property
    def size(self) -> int:
        return self.last - self.first + 1


def follows(before: Coming, block: Coming) -> bool:
    """Whether a leaf is the next one of the same node."""
    joined = before.node is not None and before.node == block.node and before.start + before.size == block.start
    return joined and before.cid.is_raw and block.cid.is_raw


def stretches(blocks: Iterable[Coming]) -> list[list[Coming]]:
    """The blocks in lists of those that follow each other."""
    found: list[list[Coming]] = []
    for block in blocks:
        if found and follows(found[-1][-1], block):
            found[-1].append(block)
        else:
            found.append([block])
    return found


class Window:
    """How many blocks may be under way: one more after each that came in ``quick_s``, one fewer after each other.

    So a thin line carries one block after the other, and none of them looks like a stall.
    """

    def __init__(self, quick_s: float, most: int = WIDTH) -> None:
        self.width, self.most, self._quick_s = min(_START, most), most, quick_s

    def note(self, seconds: float) -> bool:
        """Tells how long a block took; returns whether that was quick."""
        quick = seconds <= self._quick_s
        self.width = min(self.most, self.width + 1) if quick else max(1, self.width - 1)
        return quick


class Ahead:
    """``take`` gives blocks in the walk's order; those that ``expect`` named are obtained beside it, in that order.

    ``obtain(blocks)`` gives each of one or more blocks, in any order, or raises; it is called in several threads, with
    more than one only when they are leaves that follow each other. What it raised is raised when the turn comes of a
    block that it did not give. ``look(cid)`` is called while one does not come, and may raise. Belongs to one thread.
    """

    def __init__(self, obtain: Obtain, window: Window, look: Callable[[Cid], None] = lambda _: None) -> None:
        self._obtain, self._window, self._look = obtain, window, look
        self._next: deque[Coming] = deque()
        self._begun: dict[Cid, Future[bytes]] = {}
        self._running, self._closed = 0, False
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(window.most, thread_name_prefix="ahead")

    def expect(self, blocks: Sequence[Coming]) -> None:
        """These come next, before what was expected earlier."""
        with self._lock:
            self._next.extendleft(reversed(blocks))
        self._fill()

    def take(self, cid: Cid) -> bytes:
        """The block ``cid``, whose turn it is; raises what ``obtain`` raised."""
        with self._lock:
            begun = self._begun.get(cid)
            if begun is None:
                if len(self._begun) >= READY:  # of blocks that were passed over: they are in the store
                    self._begun = {ahead: block for ahead, block in self._begun.items() if not block.done()}
                self._begun[cid] = Future()  # so that no thread obtains it as well
                if self._next and self._next[0].cid == cid:
                    self._next.popleft()
        try:
            if begun is None:
                self._fill()
                ((_, block),) = self._obtain([Coming(cid)])
                return block
            while True:
                with contextlib.suppress(TimeoutError):
                    return begun.result(LOOK_S)
                if begun.done():  # it is what was raised
                    return begun.result()
                self._look(cid)
        finally:
            with self._lock:
                self._begun.pop(cid, None)
            self._fill()

    def close(self) -> None:
        """Begins nothing more and waits for what is under way."""
        with self._lock:
            self._closed = True
        self._threads.shutdown(cancel_futures=True)

    def _fill(self) -> None:
        while True:
            with self._lock:
                if self._closed or self._running >= self._window.width or not (blocks := self._batch()):
                    return
                self._running += 1
                begun = {block.cid: Future[bytes]() for block in blocks}
                self._begun |= begun
                self._threads.submit(self._work, blocks, begun)

    def _batch(self) -> list[Coming]:
        """What to obtain next: one block, or, once everything is quick, the leaves after it, too."""
        most = _RUN if self._window.width == self._window.most else 1
        blocks: list[Coming] = []
        while self._next and len(blocks) < most and len(self._begun) + len(blocks) < READY:
            if self._next[0].cid in self._begun or any(self._next[0].cid == block.cid for block in blocks):
                self._next.popleft()  # a block used twice: at its second turn it is in the store
            elif blocks and not follows(blocks[-1], self._next[0]):
                break
            elif not self._next[0].cid.is_raw and sum(not cid.is_raw for cid in self._begun) >= self._window.most:
                break  # what is below the first of them comes before the others
            else:
                blocks.append(self._next.popleft())
        return blocks

    def _work(self, blocks: Sequence[Coming], begun: dict[Cid, Future[bytes]]) -> None:
        try:
            for cid, block in self._obtain(blocks):
                begun.pop(cid).set_result(block)
        except BaseException as error:
            for waiting in begun.values():
                waiting.set_exception(error)
        with self._lock:
            self._running -= 1
        self._fill()
