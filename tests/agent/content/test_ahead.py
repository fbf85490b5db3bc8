"""Blocks before their turn: how many are under way, in what order, and what becomes of failures."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import pytest

from nodeagent.content import Cid
from nodeagent.content.ahead import READY, WIDTH, Ahead, Obtain, Run, Window, stretches
from nodeagent.content.unixfs import Coming

CIDS = [Cid.of(b"%d" % n) for n in range(64)]
ALONE = [Coming(cid) for cid in CIDS]
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

    def obtain(self, blocks: Sequence[Coming]) -> Iterator[tuple[Cid, bytes]]:
        ((cid, *_),) = blocks
        self.asked.append(cid)
        self.begun.release()
        assert self.let.acquire(timeout=WAIT)
        yield cid, str(cid).encode()

    def wait(self, count: int) -> None:
        for _ in range(count):
            assert self.begun.acquire(timeout=WAIT)


@pytest.fixture
def line() -> Line:
    return Line()


def test_expect__more_than_the_window__so_many_run_and_the_next_follows_each(line: Line) -> None:
    ahead = Ahead(line.obtain, Window(1.0, most=2))
    ahead.expect(ALONE[:5])
    line.wait(2)
    assert set(line.asked) == set(CIDS[:2])
    line.let.release(5)
    assert [ahead.take(cid) for cid in CIDS[:5]] == [str(cid).encode() for cid in CIDS[:5]]
    assert sorted(line.asked) == sorted(CIDS[:5]), "each once"
    ahead.close()


def test_expect__nobody_takes__few_blocks_wait_in_memory(line: Line) -> None:
    ahead = Ahead(line.obtain, Window(1.0))
    line.let.release(len(CIDS))
    ahead.expect(ALONE)
    line.wait(READY)
    assert [ahead.take(cid) for cid in CIDS[:2]] and line.wait(2) is None
    assert len(line.asked) == READY + 2
    ahead.close()


def test_expect__a_node_s_children__come_before_what_was_expected_earlier(line: Line) -> None:
    ahead = Ahead(line.obtain, Window(1.0, most=1))
    line.let.release(len(CIDS))
    ahead.expect(ALONE[:2])
    ahead.take(CIDS[0])
    ahead.expect(ALONE[10:12])
    for cid in [*CIDS[10:12], CIDS[1]]:
        ahead.take(cid)
    assert line.asked.index(CIDS[10]) < line.asked.index(CIDS[11])
    assert sorted(line.asked) == sorted([*CIDS[:2], *CIDS[10:12]])
    ahead.close()


def test_take__a_block_used_many_times__is_obtained_at_each_turn(line: Line) -> None:
    ahead = Ahead(line.obtain, Window(1.0))
    line.let.release(len(CIDS))
    ahead.expect([ALONE[0]] * 8 + [ALONE[1]])
    assert [ahead.take(CIDS[0]) for _ in range(8)] == [str(CIDS[0]).encode()] * 8
    assert ahead.take(CIDS[1]) == str(CIDS[1]).encode()
    ahead.close()


def failing(at: Cid) -> Obtain:
    def obtain(blocks: Sequence[Coming]) -> Iterator[tuple[Cid, bytes]]:
        for block in blocks:
            if block.cid == at:
                raise LookupError(str(at))
            yield block.cid, b""

    return obtain


def test_take__a_later_block_failed_before_its_turn__is_raised_at_its_turn() -> None:
    ahead = Ahead(failing(CIDS[2]), Window(1.0))
    ahead.expect(ALONE[:4])
    assert (ahead.take(CIDS[0]), ahead.take(CIDS[1])) == (b"", b"")
    with pytest.raises(LookupError, match=str(CIDS[2])):
        ahead.take(CIDS[2])
    ahead.close()


def test_close__blocks_expected__ends_its_threads_and_begins_nothing_more(line: Line) -> None:
    ahead = Ahead(line.obtain, Window(1.0, most=2))
    ahead.expect(ALONE)
    line.let.release(len(CIDS))
    ahead.close()
    asked = len(line.asked)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]
    ahead.expect([])
    assert len(line.asked) == asked <= READY


# --- leaves that follow each other ------------------------------------------------------------------------------------


NODE = Cid.of(b"node", 0x70)


def leaves(count: int) -> list[Coming]:
    return [Coming(CIDS[n], NODE, n * 10, 10) for n in range(count)]


class Batches:
    def __init__(self) -> None:
        self.asked: list[list[Cid]] = []
        self.begun = threading.Semaphore(0)

    def obtain(self, blocks: Sequence[Coming]) -> Iterator[tuple[Cid, bytes]]:
        self.asked.append([block.cid for block in blocks])
        self.begun.release()
        for block in reversed(blocks):  # in whatever order
            yield block.cid, str(block.cid).encode()

    def taken(self, window: Window, coming: Sequence[Coming]) -> list[list[Cid]]:
        ahead = Ahead(self.obtain, window)
        ahead.expect(coming)
        assert self.begun.acquire(timeout=WAIT)
        assert [ahead.take(block.cid) for block in coming] == [str(block.cid).encode() for block in coming]
        ahead.close()
        return sorted(self.asked, key=lambda cids: CIDS.index(cids[0]))


def quick(most: int = WIDTH) -> Window:
    window = Window(1.0, most)
    window.width = most
    return window


def test_expect__leaves_and_all_is_quick__eight_are_obtained_together() -> None:
    assert Batches().taken(quick(), leaves(18)) == [CIDS[0:8], CIDS[8:16], CIDS[16:18]]


def test_expect__line_is_thin__one_by_one() -> None:
    assert Batches().taken(Window(1.0), leaves(10)) == [[cid] for cid in CIDS[:10]]


def test_expect__another_node_a_gap_a_node_or_a_block_twice__begins_anew() -> None:
    other = [Coming(CIDS[n], Cid.of(b"other", 0x70), n * 10, 10) for n in (2, 3)]
    gap = [Coming(CIDS[n], Cid.of(b"other", 0x70), n * 10 + 1, 10) for n in (4, 5)]
    node = Coming(Cid.of(b"below", 0x70), Cid.of(b"other", 0x70), 61, 500)
    batches = Batches()
    ahead = Ahead(batches.obtain, quick(1))
    ahead.expect([*leaves(2), *other, *gap, node, *leaves(1), *leaves(1)])
    for _ in range(4):
        assert batches.begun.acquire(timeout=WAIT)
    for block in (*leaves(2), *other, *gap, node, *leaves(1), *leaves(1)):
        ahead.take(block.cid)
    ahead.close()
    assert batches.asked[:4] == [CIDS[0:2], CIDS[2:4], CIDS[4:6], [node.cid]]
    assert all(asked == [CIDS[0]] for asked in batches.asked[4:])


def test_expect__many_leaves_and_nobody_takes__few_wait_in_memory() -> None:
    given = threading.Semaphore(0)

    def obtain(blocks: Sequence[Coming]) -> Iterator[tuple[Cid, bytes]]:
        for block in blocks:
            given.release()
            yield block.cid, b""

    ahead = Ahead(obtain, quick())
    ahead.expect(leaves(len(CIDS)))
    for _ in range(READY):
        assert given.acquire(timeout=WAIT)
    assert not given.acquire(timeout=0.1)
    ahead.close()


def test_take__only_some_came_before_the_failure__those_are_given() -> None:
    ahead = Ahead(failing(CIDS[2]), quick())
    ahead.expect(leaves(4))
    assert (ahead.take(CIDS[0]), ahead.take(CIDS[1])) == (b"", b"")
    for cid in CIDS[2:4]:
        with pytest.raises(LookupError, match=str(CIDS[2])):
            ahead.take(cid)
    ahead.close()


def test_take__nothing_comes__somebody_may_look_and_end_it(monkeypatch: pytest.MonkeyPatch, line: Line) -> None:
    monkeypatch.setattr("nodeagent.content.ahead.LOOK_S", 0.01)
    looks = iter([None, None, LookupError("enough")])

    def look(cid: Cid) -> None:
        if found := next(looks):
            raise found

    ahead = Ahead(line.obtain, Window(1.0), look)
    ahead.expect(ALONE[:1])
    with pytest.raises(LookupError, match="enough"):
        ahead.take(CIDS[0])
    line.let.release()
    ahead.close()


def test_stretches__leaves_that_are_here_already__lie_between_them() -> None:
    blocks = leaves(9)
    del blocks[5], blocks[2]
    assert [[CIDS.index(block.cid) for block in stretch] for stretch in stretches(blocks)] == [
        [0, 1],
        [3, 4],
        [6, 7, 8],
    ]


def test_run__leaves_of_a_node__their_bytes() -> None:
    run = Run.of(leaves(8)[3:6])
    assert (run.first, run.last, run.size, run.leaves) == (30, 59, 30, frozenset(CIDS[3:6]))
