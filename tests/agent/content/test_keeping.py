"""What a store keeps and what goes: pins and their labels, the least recently used, the limit.

LocalStore.collect ....... nothing pinned goes; the least recently used first; no more than must
LocalStore.put_block ..... within the limit; over it what nobody needs goes; a typed error when all is needed
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest
from content_faults import SMALL, blocks_of, numbers
from hypothesis import given
from hypothesis import strategies as st

from nodeagent.content import Cid, LocalStore
from nodeagent.content.disk import locked
from nodeagent.content.errors import StoreFull
from nodeagent.content.sweep import Held, victims
from nodeagent.errors import Transient


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "content", layout=SMALL)


def used(store: LocalStore, cid: Cid, at: float) -> None:
    (path,) = (store.root / "blocks").rglob(str(cid))
    os.utime(path, (at, at))


def fetched(store: LocalStore, data: bytes) -> Cid:
    """A file whose blocks came one by one, unpinned."""
    root, blocks = blocks_of(data)
    for cid, block in blocks.items():
        store.put_block(cid, block)
    return root


# --- pins -------------------------------------------------------------------------------------------------------------


def test_pin__twice_and_unpin_twice__changes_nothing_more(store: LocalStore) -> None:
    cid = store.put_bytes(b"x")
    store.pin(cid)
    assert store.pins() == {cid: [""]}
    store.unpin(cid)
    store.unpin(cid)
    assert store.pins() == {} and store.has(cid)


def test_keep_labels__some_are_needed__others_end_and_what_has_no_pin_left_is_told(store: LocalStore) -> None:
    ours, both, theirs, free = (store.put_bytes(data, "job-1") for data in (b"ours", b"both", b"theirs", b"free"))
    store.pin(both, "job-2")
    store.pin(theirs)
    store.unpin(free, "job-1")
    assert store.pins() == {ours: ["job-1"], both: ["job-1", "job-2"], theirs: ["", "job-1"]}
    assert store.keep_labels({"job-2", "job-3"}) == {ours}
    assert store.pins() == {both: ["job-2"], theirs: [""]}
    assert store.keep_labels({"job-2"}) == frozenset()


@pytest.mark.parametrize("label", ["../job", "Job", "a.b", "a" * 81, "a/b"])
def test_pin__a_label_that_is_no_name__is_refused(store: LocalStore, label: str) -> None:
    with pytest.raises(ValueError, match="label"):
        store.put_bytes(b"x", label)
    assert store.pins() == {}


# --- collecting -------------------------------------------------------------------------------------------------------


def test_collect__blocks_shared_with_a_pinned_file__stay(store: LocalStore) -> None:
    first, second = store.put_bytes(numbers(64) + b"tail one"), store.put_bytes(numbers(64) + b"tail two")
    store.unpin(first)
    alone = store.total_bytes() - sum(len(block) for block in blocks_of(numbers(64) + b"tail two")[1].values())
    assert store.collect() == alone > 0
    assert not store.has(first) and store.has_all(second)
    store.unpin(second)
    store.collect()
    assert store.total_bytes() == 0


def test_collect__pinned_file_with_a_block_absent__what_is_known_of_it_stays(store: LocalStore) -> None:
    data = numbers(100)
    blocks = blocks_of(data)[1]
    store.put_bytes(data)
    (path,) = (store.root / "blocks").rglob(str(Cid.of(data[:16])))
    path.unlink()
    assert store.collect() == 0 and len(list(store.block_cids())) == len(blocks) - 1


def test_collect__node_that_is_no_file__goes_and_is_no_error_when_pinned(store: LocalStore) -> None:
    block = b"no node"
    cid = Cid(0x70, Cid.of(block).digest)
    store.put_block(cid, block)
    store.pin(cid)
    assert store.collect() == 0
    store.unpin(cid)
    assert store.collect() == len(block) and store.total_bytes() == 0


def test_collect__more_than_may_stay__the_least_recently_used_goes_and_no_more(store: LocalStore) -> None:
    cids = [fetched(store, bytes([n]) * 10) for n in range(5)]
    for turn, n in enumerate([3, 0, 4, 1, 2]):
        used(store, cids[n], 1_000 + turn)
    assert store.collect(30) == 20
    assert [store.has(cid) for cid in cids] == [False, True, True, False, True]


def test_load__long_unused__is_the_most_recently_used_then(store: LocalStore) -> None:
    old, older = fetched(store, b"old"), fetched(store, b"older")
    used(store, old, 2_000)
    used(store, older, 1_000)
    store.load(older)
    store.collect(5)
    assert store.has(older) and not store.has(old)


def test_spare__so_many_bytes__goes_at_least_so_much(store: LocalStore) -> None:
    for n in range(5):
        fetched(store, bytes([n]) * 10)
    assert store.spare(11) == 20
    assert store.spare(1_000) == 30 and store.spare(1) == 0


CIDS = [Cid.of(b"%d" % n) for n in range(12)]


@given(
    st.lists(st.tuples(st.floats(0, 9), st.integers(1, 9)), max_size=12),
    st.sets(st.sampled_from(CIDS)),
    st.integers(0, 60),
)
def test_victims__any_store__only_what_nobody_needs_and_only_as_much_as_must(
    blocks: list[tuple[float, int]], kept: set[Cid], most: int
) -> None:
    held = [Held(at, size, cid) for (at, size), cid in zip(blocks, CIDS, strict=False)]
    gone = victims(held, frozenset(kept), most)
    left = sum(block.size for block in held) - sum(block.size for block in gone)
    free = {block for block in held if block.cid not in kept}
    assert set(gone) <= free and gone == sorted(gone)
    assert left <= most or set(gone) == free
    assert not gone or left + gone[-1].size > most, "the last one had to go"
    assert all(max(gone) < block for block in free - set(gone)) if gone else True


def test_collect__others_are_writing_files__waits_or_gives_up(store: LocalStore) -> None:
    fetched(store, b"x" * 10)
    with locked(store.root / "lock", fcntl.LOCK_SH):
        assert store.spare(1) == 0
    assert store.spare(1) == 10


# --- the limit --------------------------------------------------------------------------------------------------------


def test_put_block__over_the_limit__what_nobody_needs_makes_room(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, layout=SMALL, max_bytes=100)
    kept = store.put_bytes(b"k" * 16)
    for n in range(40):
        fetched(store, bytes([n]) * 10)
        assert store.total_bytes() <= 100
    assert store.has(kept) and store.has(Cid.of(bytes([39]) * 10))


def test_put_block__all_is_needed__is_a_typed_error_and_nothing_is_lost(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, layout=SMALL, max_bytes=20)
    kept = store.put_bytes(b"k" * 16)
    with pytest.raises(StoreFull) as caught:
        fetched(store, b"seven b")
    assert (caught.value.limit, caught.value.taken, caught.value.size) == (20, 16, 7)
    assert isinstance(caught.value, Transient)
    assert store.has(kept) and store.total_bytes() == 16
    store.put_block(kept, b"k" * 16)
    assert fetched(store, b"four") and store.total_bytes() == 20


def test_put_block__limit_met_by_an_earlier_process__counts_what_is_there(tmp_path: Path) -> None:
    fetched(LocalStore(tmp_path, layout=SMALL), b"x" * 15)
    store = LocalStore(tmp_path, layout=SMALL, max_bytes=20)
    fetched(store, b"y" * 15)
    assert store.total_bytes() == 15
