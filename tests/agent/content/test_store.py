"""The block store: round trips, rot, hostile folders, deletion that spares what is shared, many writers."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from content_faults import SMALL, blocks_of, files_under, numbers

from nodeagent.content import Budget, Cid, LocalStore
from nodeagent.content.errors import BlockMissing, BudgetExceeded, StoreFailed, UnreadableFile, WrongBytes
from nodeagent.errors import Fatal, JobFault, Transient


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "content", layout=SMALL)


def path_of(store: LocalStore, cid: Cid) -> Path:
    (found,) = (store.root / "blocks").rglob(str(cid))
    return found


def flip(path: Path, at: int = 0) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


# --- files ---


@pytest.mark.parametrize("size", [0, 1, 16, 17, 64, 65, 257])
def test_put_bytes__any_size__reads_back(store: LocalStore, size: int) -> None:
    cid = store.put_bytes(numbers(size))
    assert cid == blocks_of(numbers(size))[0]
    assert store.get_bytes(cid, size) == numbers(size)
    assert store.file_size(cid) == size
    assert store.has_all(cid)


def test_put_file__larger_than_a_chunk__streams_and_exports_the_same(store: LocalStore, tmp_path: Path) -> None:
    profile = LocalStore(tmp_path / "profile")
    source, target = tmp_path / "in.bin", tmp_path / "out.bin"
    source.write_bytes(numbers(2_500_000))
    cid = profile.put_file(source)
    profile.export(cid, target)
    assert target.read_bytes() == source.read_bytes()
    assert sorted(len(block) for block in profile.read(cid)) == [402_848, 1 << 20, 1 << 20]


@pytest.mark.parametrize("kind", ["absent", "folder", "pipe", "unreachable"])
def test_put_file__not_a_readable_file__is_refused(store: LocalStore, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "thing"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "unreachable":
        path = path / "below" / ("x" * 300)
    with pytest.raises(UnreadableFile) as caught:
        store.put_file(path)
    assert caught.value.path == str(path)
    assert isinstance(caught.value, JobFault)
    assert list(store.block_cids()) == []


def test_export__block_missing_midway__leaves_the_old_file_and_no_partial(store: LocalStore, tmp_path: Path) -> None:
    data = numbers(100)
    cid = store.put_bytes(data)
    path_of(store, Cid.of(data[48:64])).unlink()
    out = tmp_path / "out"
    out.mkdir()
    (out / "file").write_bytes(b"old")
    with pytest.raises(BlockMissing):
        store.export(cid, out / "file")
    assert files_under(out) == {"file": b"old"}


def test_export__target_is_a_link__replaces_the_link_and_spares_what_it_points_to(
    store: LocalStore, tmp_path: Path
) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / "link").symlink_to(tmp_path / "victim")
    store.export(store.put_bytes(b"new"), tmp_path / "link")
    assert (tmp_path / "victim").read_bytes() == b"precious"
    assert (tmp_path / "link").read_bytes() == b"new"


def test_export__folder_absent__is_a_typed_error(store: LocalStore, tmp_path: Path) -> None:
    with pytest.raises(StoreFailed, match="export to"):
        store.export(store.put_bytes(b"x"), tmp_path / "no" / "where")


def test_get_bytes__over_the_limit__is_refused(store: LocalStore) -> None:
    cid = store.put_bytes(numbers(100))
    with pytest.raises(BudgetExceeded):
        store.get_bytes(cid, 99)
    with pytest.raises(BudgetExceeded):
        list(store.read(cid, Budget(max_depth=1)))


# --- rot ---


@pytest.mark.parametrize("at", [0, -1])
def test_load__flipped_byte_on_disk__is_removed_told_and_missing(tmp_path: Path, at: int) -> None:
    told: list[Cid] = []
    store = LocalStore(tmp_path, layout=SMALL, on_corrupt=told.append)
    cid = store.put_bytes(b"precious bytes")
    flip(path_of(store, cid), at)
    assert store.has(cid)
    with pytest.raises(BlockMissing) as caught:
        store.load(cid)
    assert caught.value.cid == str(cid) and isinstance(caught.value, Transient)
    assert told == [cid]
    assert not store.has(cid) and not store.has_all(cid)
    assert b"".join(files_under(tmp_path).values()) == b""


def test_load__truncated_or_grown_block__is_missing(store: LocalStore) -> None:
    for data in (b"to be cut", b"to be grown"):
        cid = store.put_bytes(data)
        path_of(store, cid).write_bytes(data[:3] if b"cut" in data else bytes(3 << 20))
        with pytest.raises(BlockMissing):
            store.load(cid)
        assert not store.has(cid)


def test_put_bytes__over_a_rotten_block__heals_it(store: LocalStore) -> None:
    cid = store.put_bytes(b"precious bytes")
    flip(path_of(store, cid))
    assert store.put_bytes(b"precious bytes") == cid
    assert store.load(cid) == b"precious bytes"


def test_has_all__one_leaf_rotten__is_false(store: LocalStore) -> None:
    data = numbers(100)
    cid = store.put_bytes(data)
    flip(path_of(store, Cid.of(data[80:96])))
    assert store.has(cid)
    assert not store.has_all(cid)


def test_put_block__wrong_bytes__writes_nothing(store: LocalStore) -> None:
    with pytest.raises(WrongBytes):
        store.put_block(Cid.of(b"good"), b"evil")
    assert files_under(store.root) == {}


def test_put_block__over_two_mebibytes__is_refused(store: LocalStore) -> None:
    block = bytes((2 << 20) + 1)
    with pytest.raises(ValueError, match="at most 2097152"):
        store.put_block(Cid.of(block), block)


# --- hostile folders ---


@pytest.mark.parametrize("data", [b"secret of another", b""])
def test_load__block_is_a_link__is_never_followed(store: LocalStore, tmp_path: Path, data: bytes) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(data)
    cid = store.put_bytes(data)
    path = path_of(store, cid)
    path.unlink()
    path.symlink_to(outside)
    with pytest.raises(BlockMissing):
        store.load(cid)
    assert not path.is_symlink()
    assert outside.read_bytes() == data


def test_put_bytes__block_is_a_link__replaces_the_link(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"precious")
    cid = store.put_bytes(b"mine")
    path = path_of(store, cid)
    path.unlink()
    path.symlink_to(tmp_path / "outside")
    store.put_bytes(b"mine")
    assert (tmp_path / "outside").read_bytes() == b"precious"
    assert store.load(cid) == b"mine" and not path.is_symlink()


def test_load__block_is_a_pipe__does_not_hang(store: LocalStore) -> None:
    cid = store.put_bytes(b"x")
    path = path_of(store, cid)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(BlockMissing):
        store.load(cid)


def test_put_bytes__shard_folder_is_a_link__is_refused(store: LocalStore, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    name = str(Cid.of(b"x"))
    (store.root / "blocks" / name[-3:-1]).symlink_to(elsewhere)
    with pytest.raises(StoreFailed, match="symbolic link"):
        store.put_bytes(b"x")
    assert files_under(elsewhere) == {}


@pytest.mark.parametrize("name", ["blocks", "pins", "tmp"])
def test_init__own_folder_is_a_link__is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "away").mkdir()
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / name).symlink_to(tmp_path / "away")
    with pytest.raises(StoreFailed) as caught:
        LocalStore(tmp_path / "store")
    assert isinstance(caught.value, Fatal) and caught.value.hint


def test_init__root_is_a_file__is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "store").write_bytes(b"")
    with pytest.raises(StoreFailed, match="open the store"):
        LocalStore(tmp_path / "store")


def test_init__left_over_partial__is_swept_when_old_and_kept_when_young(tmp_path: Path) -> None:
    LocalStore(tmp_path)
    for name in ("old", "young"):
        (tmp_path / "tmp" / name).write_bytes(b"half")
    os.utime(tmp_path / "tmp" / "old", (0, 0))
    LocalStore(tmp_path)
    assert sorted(p.name for p in (tmp_path / "tmp").iterdir()) == ["young"]


def test_block_cids__foreign_files__are_passed_over(store: LocalStore) -> None:
    cid = store.put_bytes(b"x")
    (store.root / "blocks" / "README").write_bytes(b"hello")
    (path_of(store, cid).parent / "notes.txt").write_bytes(b"hello")
    (store.root / "pins" / "notes.txt").write_bytes(b"hello")
    assert list(store.block_cids()) == [cid]
    assert store.pins() == {cid: [""]}
    assert store.total_bytes() == 1


# --- concurrency ---


def test_put_bytes__many_threads_on_the_same_files__all_read_back(store: LocalStore) -> None:
    files = [numbers(40 + i % 5) for i in range(40)]
    with ThreadPoolExecutor(8) as threads:
        cids = list(threads.map(store.put_bytes, files))
        assert list(threads.map(lambda c: store.get_bytes(c, 100), cids)) == files
    assert list((store.root / "tmp").iterdir()) == []


PUT_AND_COLLECT = """
import pathlib, sys
from nodeagent.content import LocalStore
from nodeagent.content.unixfs import Layout

root, seed = pathlib.Path(sys.argv[1]), sys.argv[2].encode()
shared = bytes(range(64))
store = LocalStore(root, layout=Layout(chunk_bytes=16, max_links=4))
kept = store.put_bytes(shared + b"kept by " + seed)
for turn in range(10):
    store.unpin(store.put_bytes(shared + seed + b" in turn %d" % turn))
    store.collect()
print(store.has_all(kept))
"""


def test_collect__several_processes_share_blocks__no_pinned_file_is_hurt(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PUT_AND_COLLECT, str(tmp_path)]
    working = [subprocess.Popen([*command, str(seed)], stdout=subprocess.PIPE, text=True) for seed in range(3)]
    assert [process.communicate()[0] for process in working] == ["True\n"] * 3
    store = LocalStore(tmp_path, layout=SMALL)
    assert len(store.pins()) == 3
    assert all(store.has_all(cid) for cid in store.pins())
    assert list((tmp_path / "tmp").iterdir()) == []


def test_load__good_block_replaces_a_rotten_one_meanwhile__is_kept(store: LocalStore) -> None:
    cid = store.put_bytes(b"precious bytes")
    path = path_of(store, cid)
    assert store._expel(cid, path) == b"precious bytes"  # what a racing writer's good block meets
    assert store.load(cid) == b"precious bytes"
