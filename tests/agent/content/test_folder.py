"""Folders on disk: what goes in comes out, what cannot go in pins nothing, nothing is written over or outside.

put_folder
├── files and folders, hidden too        → Kubo's CID, pinned, whole
├── link, pipe, socket, bad name, too deep, unreadable → UnreadableFile with its path, no block, no pin
└── exchanged while it is read           → UnreadableFile, no pin
export
├── new or empty target                  → the same files
├── anything else there                  → TargetInUse, untouched
└── missing or malformed block           → raises, nothing left beside the target
import_car, has_all, collect             → as for files, of all that is below
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from directory_cases import CASES, LARGE, LONG, SAME_HASH, VECTORS, Files, built, read, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nodeagent.content import Budget, Cid, LocalStore, folder, open_content
from nodeagent.content.cid import DAG_PB
from nodeagent.content.dagpb import encode_link
from nodeagent.content.directory import Entry, encode_directory
from nodeagent.content.errors import BlockMissing, BudgetExceeded, MalformedBlock, TargetInUse, UnreadableFile
from nodeagent.errors import Fatal, JobFault


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "content")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write(tmp_path / "source", CASES["nested"])


def filled(store: LocalStore, files: Files) -> Cid:
    """The root of ``files``, whose blocks are in the store, unpinned; far faster than from disk."""
    root, blocks = built(files)
    for cid, block in blocks.items():
        store.put_block(cid, block)
    return root


def place(store: LocalStore, block: bytes) -> Cid:
    cid = Cid.of(block, DAG_PB)
    store.put_block(cid, block)
    return cid


def path_of(store: LocalStore, cid: Cid) -> Path:
    (found,) = (store.root / "blocks").rglob(str(cid))
    return found


# --- in ---


@pytest.mark.parametrize("name", [name for name in CASES if name not in LARGE])
def test_put_folder__kubo_vector__has_kubos_cid_and_comes_back(store: LocalStore, tmp_path: Path, name: str) -> None:
    source = write(tmp_path / "source", CASES[name])
    cid = store.put_folder(source)
    assert str(cid) == VECTORS[name] == str(folder.folder_cid(source))
    assert store.pins() == {cid: [""]} and store.has_all(cid)
    store.export(cid, tmp_path / "target")
    assert read(tmp_path / "target") == read(source)
    assert store.file_size(cid) == sum(len(data or b"") for data in CASES[name].values())


def test_put_folder__sharded__has_kubos_cid(store: LocalStore, tmp_path: Path) -> None:
    source = write(tmp_path / "source", CASES["eight levels"])
    assert str(folder.folder_cid(source)) == VECTORS["eight levels"]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.from_regex(r"[a-cé.]?/?[a-cé]{1,3}", fullmatch=True), st.binary(max_size=9), max_size=6))
def test_put_folder__what_was_exported__has_the_same_cid(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    wanted: Files = {
        path: data
        for path, data in files.items()
        if not path.startswith(("/", "./")) and not any(other.startswith(path + "/") for other in files)
    }
    base = tmp_path_factory.mktemp("round")
    store, (root, blocks) = LocalStore(base / "content"), built(wanted)
    for cid, block in blocks.items():
        store.put_block(cid, block)
    store.export(root, base / "out")
    assert read(base / "out") == wanted
    assert store.put_folder(base / "out") == root


def test_put_folder__named_by_a_link__is_followed(store: LocalStore, source: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(source)
    assert str(store.put_folder(tmp_path / "link")) == VECTORS["nested"]


def linked(place: Path) -> None:
    place.symlink_to("/etc/passwd")


def listening(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(place))


REFUSED: dict[str, tuple[Callable[[Path], None], bytes, str]] = {
    "link to a file": (linked, b"y", "it is a symbolic link"),
    "link to a folder": (lambda place: place.symlink_to("/tmp"), b"y", "it is a symbolic link"),
    "link to nothing": (lambda place: place.symlink_to("nowhere"), b"y", "it is a symbolic link"),
    "pipe": (os.mkfifo, b"y", "it is a pipe"),
    "socket": (listening, b"y", "it is a socket"),
    "name that is not UTF-8": (lambda place: place.write_bytes(b""), b"\xff\xfe", "its name is not UTF-8"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_put_folder__something_that_cannot_be_added__no_block_and_no_pin(
    store: LocalStore, source: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, name, reason = REFUSED[kind]
    monkeypatch.chdir(source / "a" / "b")  # a socket's path may not be long
    make(Path(os.fsdecode(name)))
    with pytest.raises(UnreadableFile) as caught:
        store.put_folder(source)
    assert caught.value.reason == reason and isinstance(caught.value, JobFault)
    assert caught.value.path == f"{source}/a/b/" + name.decode(errors="backslashreplace")
    assert caught.value.message.isascii()
    assert store.pins() == {} and list(store.block_cids()) == []


@pytest.mark.parametrize(("kind", "reason"), [("absent", "No such file"), ("file", "Not a directory")])
def test_put_folder__no_folder__is_refused(store: LocalStore, tmp_path: Path, kind: str, reason: str) -> None:
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(UnreadableFile, match=reason) as caught:
        store.put_folder(tmp_path / kind)
    assert caught.value.path == str(tmp_path / kind)


def test_put_folder__65_folders_deep__is_refused_and_64_are_not(store: LocalStore, tmp_path: Path) -> None:
    deepest = tmp_path / "deep" / "/".join(["d"] * 64)
    deepest.mkdir(parents=True)
    assert store.has_all(store.put_folder(tmp_path / "deep"))
    (deepest / "d").mkdir()
    with pytest.raises(UnreadableFile, match="more than 64 folders deep"):
        store.put_folder(tmp_path / "deep")


def test_grow__exchanged_for_a_link_after_the_survey__is_not_followed(tmp_path: Path) -> None:
    source = write(tmp_path / "source", {"a": b"a", "b/c": b"c"})
    write(tmp_path / "outside", {"c": b"secret"})
    blocks = folder.grow(source)
    assert next(blocks) == (Cid.of(b"a"), b"a")
    (source / "b").rename(tmp_path / "gone")
    (source / "b").symlink_to(tmp_path / "outside")
    with pytest.raises(UnreadableFile) as caught:
        list(blocks)
    assert (caught.value.path, caught.value.reason) == (f"{source}/b", "it is a symbolic link")


def test_put_folder__two_names_of_one_hash__is_refused_and_pins_nothing(store: LocalStore, tmp_path: Path) -> None:
    source = write(
        tmp_path / "source", {"in/" + name: data for name, data in {**LONG, **CASES["same hash in one block"]}.items()}
    )
    with pytest.raises(UnreadableFile, match="same murmur3 hash") as caught:
        folder.folder_cid(source)
    assert caught.value.path == f"{source}/in/{SAME_HASH[0]}"


@pytest.mark.filterwarnings("ignore:The 'strict' parameter:FutureWarning")
def test_put_folder__layered_with_a_daemon_away__keeps_the_local_copy(source: Path, tmp_path: Path) -> None:
    store = open_content(tmp_path, "http://127.0.0.1:9")
    assert str(store.put_folder(source)) == VECTORS["nested"]
    assert [str(cid) for cid in store.local.pins()] == [VECTORS["nested"]]


# --- out ---


def test_export__sharded__all_files(tmp_path: Path) -> None:
    root, blocks = built(CASES["eight levels"])
    folder.export(root, tmp_path / "out", blocks.__getitem__)
    assert read(tmp_path / "out") == CASES["eight levels"]


def test_export__empty_folder_there__is_replaced(store: LocalStore, source: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    store.export(store.put_folder(source), tmp_path / "out")
    assert read(tmp_path / "out") == read(source)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("file", "no folder"), ("full", "not empty"), ("link", "no folder"), ("dangling", "no folder")],
)
def test_export__something_there__is_refused_and_untouched(
    store: LocalStore, source: Path, tmp_path: Path, kind: str, reason: str
) -> None:
    out = write(tmp_path / "out", {"file": b"precious", "full/x": b"precious", "empty": None})
    (out / "link").symlink_to(out / "empty")
    (out / "dangling").symlink_to(out / "absent")
    before = read(out)
    with pytest.raises(TargetInUse, match=reason) as caught:
        store.export(store.put_folder(source), out / kind)
    assert caught.value.path == str(out / kind) and isinstance(caught.value, Fatal)
    assert read(out) == before and (out / "link").is_symlink() and len(list(out.iterdir())) == 5


@pytest.mark.parametrize("name", ["..", ".", "a/b", "/abs", "../../escaped", "a\0b", ""])
def test_export__name_that_leads_outside__is_refused_and_nothing_stays(
    store: LocalStore, tmp_path: Path, name: str
) -> None:
    leaf = store.put_bytes(b"evil")
    block = encode_link(leaf, 4, name.encode()) + encode_directory([])
    inner = Entry("in", place(store, block), len(block) + 4)
    root = place(store, encode_directory([Entry("fine", leaf, 4), inner]))
    (tmp_path / "base").mkdir()
    with pytest.raises(MalformedBlock, match="the name of link 0"):
        store.export(root, tmp_path / "base" / "out")
    assert list((tmp_path / "base").iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} == {"base", "content"}


def test_export__block_missing_or_over_budget__nothing_stays(store: LocalStore, source: Path, tmp_path: Path) -> None:
    cid = store.put_folder(source)
    with pytest.raises(BudgetExceeded):
        store.export(cid, tmp_path / "out", Budget(max_bytes=8))
    path_of(store, Cid.of(b"x")).unlink()
    with pytest.raises(BlockMissing):
        store.export(cid, tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"content", "source"}


# --- stores ---


@pytest.mark.parametrize("name", ["empty", "nested", "equal", "eight levels"])
def test_export_car__of_a_folder__another_store_has_it_whole(store: LocalStore, tmp_path: Path, name: str) -> None:
    cid, other = filled(store, CASES[name]), LocalStore(tmp_path / "other")
    store.export_car(cid, tmp_path / "folder.car")
    with (tmp_path / "folder.car").open("rb") as car:
        assert other.import_car(car) == (cid,)
    assert other.pins() == {cid: [""]} and set(other.block_cids()) == set(store.block_cids())


def test_import_car__folder_without_all_its_blocks__is_not_pinned(store: LocalStore, tmp_path: Path) -> None:
    from nodeagent.content.car import header, section

    root, blocks = built(CASES["nested"])
    blocks.pop(Cid.of(b"x"))
    (tmp_path / "car").write_bytes(header([root]) + b"".join(section(cid, block) for cid, block in blocks.items()))
    with (tmp_path / "car").open("rb") as car, pytest.raises(BlockMissing):
        store.import_car(car)
    assert store.pins() == {}


def test_has_all__one_block_gone__is_false(store: LocalStore) -> None:
    cid = filled(store, CASES["eight levels"])
    assert store.has_all(cid)
    for gone in (Cid.of(b"c"), next(block for block in store.block_cids() if not block.is_raw and block != cid)):
        kept = store.load(gone)
        path_of(store, gone).unlink()
        assert not store.has_all(cid)
        store.put_block(gone, kept)
    assert store.has_all(cid)


def test_collect__folders_that_share_files__spares_what_a_pinned_one_uses(store: LocalStore) -> None:
    kept, gone = filled(store, CASES["nested"]), filled(store, {**LONG, "a/b/c/d": b"deep", "own": b"own"})
    store.pin(kept)
    store.collect()
    assert len(list(store.block_cids())) == 7  # five directories, two files
    assert store.has_all(kept) and not store.has(Cid.of(b"own")) and store.has(Cid.of(b"deep"))
    store.unpin(kept)
    store.collect()
    assert list(store.block_cids()) == [] and not store.has(gone)
