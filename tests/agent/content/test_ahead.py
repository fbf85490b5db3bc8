"""Blocks before their turn: how many are under way, in what order, and what becomes of failures."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from nodeagent.content import Cid
from nodeagent.content.ahead import READY, WIDTH, Ahead, Window

CIDS = [Cid.of(b"%d" % n) for n in range(64)]
WAIT = 30.0


def test_window__quick_and_slow_blocks__widens_to_the_most_and_narrows_to_one() -> None:
    window = Window(1.0)
    for _ in range(WIDTH):
        window.note(1.0)
    assert window.width == WIDTH
    for _ in range(WIDTH + 2):
        window.note(1.1)
    assert window.width == 1


class Line:
    """Notes what is asked for; each answer waits until ``let`` lets it go."""

    def __init__(self) -> None:
        self.asked: list[Cid] = []
        self.begun, self.let = threading.Semaphore(0), threading.Semaphore(0)

    def obtain(self, cid: Cid) -> bytes:
        self.asked.append(cid)
        self.begun.release()
        assert self.let.acquire(timeout=WAIT)
        return str(cid).encode()

    def wait(self, count: int) -> None:
        for _ in range(count):
            assert self.begun.acquire(timeout=WAIT)


@pytest.fixture
def line() -> Line:
    return Line()


def test_expect__more_than_the_window__so_many_run_and_the_next_follows_each(line: Line) -> None:
    ahead = Ahead(line.obtain, Window(1.0, most=2))
    ahead.expect(CIDS[:5])
    line.wait(2)
    assert set(line.asked) == set(CIDS[:2])
    line.let.release(5)
    assert [ahead.take(cid) for cid in CIDS[:5]] == [str(cid).encode() for cid in CIDS[:5]]
    assert sorted(line.asked) == sorted(CIDS[:5]), "each once"
    ahead.close()


def test_expect__nobody_takes__few_blocks_wait_in_memory(line: Line) -> None:
    ahead = Ahead(line.obtain, Window(1.0))
    line.let.release(len(CIDS))
    ahead.expect(CIDS)
    line.wait(READY)
    assert [ahead.take(cid) for cid in CIDS[:2]] and line.wait(2) is None
    assert len(line.asked) == READY + 2
    ahead.close()


def test_expect__a_node_s_children__come_before_what_was_expected_earlier(line: Line) -> None:
    ahead = Ahead(line.obtain, Window(1.0, most=1))
    line.let.release(len(CIDS))
    ahead.expect(CIDS[:2])
    ahead.take(CIDS[0])
    ahead.expect(CIDS[10:12])
    for cid in [*CIDS[10:12], CIDS[1]]:
        ahead.take(cid)
    assert line.asked.index(CIDS[10]) < line.asked.index(CIDS[11])
    assert sorted(line.asked) == sorted([*CIDS[:2], *CIDS[10:12]])
    ahead.close()


def test_take__a_block_used_many_times__is_obtained_at_each_turn(line: Line) -> None:
    ahead = Ahead(line.obtain, Window(1.0))
    line.let.release(len(CIDS))
    ahead.expect([CIDS[0]] * 8 + [CIDS[1]])
    assert [ahead.take(CIDS[0]) for _ in range(8)] == [str(CIDS[0]).encode()] * 8
    assert ahead.take(CIDS[1]) == str(CIDS[1]).encode()
    ahead.close()


def failing(at: Cid) -> Callable[[Cid], bytes]:
    def obtain(cid: Cid) -> bytes:
        if cid == at:
            raise LookupError(str(cid))
        return b""

    return obtain


def test_take__a_later_block_failed_before_its_turn__is_raised_at_its_turn() -> None:
    ahead = Ahead(failing(CIDS[2]), Window(1.0))
    ahead.expect(CIDS[:4])
    assert (ahead.take(CIDS[0]), ahead.take(CIDS[1])) == (b"", b"")
    with pytest.raises(LookupError, match=str(CIDS[2])):
        ahead.take(CIDS[2])
    ahead.close()


def test_close__blocks_expected__ends_its_threads_and_begins_nothing_more(line: Line) -> None:
    ahead = Ahead(line.obtain, Window(1.0, most=2))
    ahead.expect(CIDS)
    line.let.release(len(CIDS))
    ahead.close()
    asked = len(line.asked)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]
    ahead.expect([])
    assert len(line.asked) == asked <= READY
