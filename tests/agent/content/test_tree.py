"""Reading folders: every file is found, and nothing a block says about another is believed.

walk, contents
├── any folder             → every block once a use, nodes first; every file and folder with its size
├── a lie about what is below (Tsize, kind, slot, a shard that need not be) → MalformedBlock
├── more than the budget   → BudgetExceeded, before leaves are loaded
└── a file                 → as unixfs.walk, NotAFolder
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from content_faults import blocks_of, numbers
from directory_cases import CASES, LONG, Files, built
from hypothesis import given, settings
from hypothesis import strategies as st

from nodeagent.content import Budget, Cid, tree, unixfs
from nodeagent.content.car import CarReader, sections
from nodeagent.content.cid import DAG_PB
from nodeagent.content.dagpb import Child, encode_link, encode_node
from nodeagent.content.directory import Entry, encode_directory, name_fault
from nodeagent.content.errors import BlockMissing, BudgetExceeded, MalformedBlock, NotAFolder, WrongBytes
from nodeagent.content.hamt import Slot, decode_shard, encode_shard
from nodeagent.content.tree import Item

Blocks = dict[Cid, bytes]
NAMES = st.text(max_size=20).filter(lambda name: name_fault(name.encode(errors="surrogatepass")) is None)
FOLDERS = st.dictionaries(
    NAMES,
    st.recursive(st.binary(max_size=20), lambda below: st.dictionaries(NAMES, below, max_size=4), max_leaves=12),
    max_size=6,
)


def flat(folder: dict[str, object], prefix: str = "") -> Iterator[tuple[str, bytes | None]]:
    for name, found in folder.items():
        if isinstance(found, bytes):
            yield prefix + name, found
        elif found:
            yield from flat(found, f"{prefix}{name}/")  # type: ignore[arg-type]
        else:
            yield prefix + name, None


def placed(blocks: Blocks, block: bytes) -> Cid:
    cid = Cid.of(block, DAG_PB)
    blocks[cid] = block
    return cid


def folder_of(blocks: Blocks, *entries: Entry) -> Cid:
    return placed(blocks, encode_directory(entries))


def load_from(blocks: Blocks) -> Callable[[Cid], bytes]:
    def load(cid: Cid) -> bytes:
        if cid not in blocks:
            raise BlockMissing(str(cid))
        return blocks[cid]

    return load


def walked(root: Cid, blocks: Blocks, budget: Budget = unixfs.DEFAULT_BUDGET) -> list[Cid]:
    return [cid for cid, _ in tree.walk(root, load_from(blocks), budget)]


# --- what is there ---


@settings(max_examples=60)
@given(FOLDERS)
def test_contents__any_folder__every_file_and_folder_and_every_block(wanted: dict[str, object]) -> None:
    files = dict(flat(wanted))
    root, blocks = built(files)
    load = load_from(blocks)
    items = list(tree.contents(root, load))
    found = {item.path: None if item.is_folder else unixfs.read_all(item.cid, load, 99) for item in items}
    assert {path: found[path] for path in files} == files
    assert all(any(file.startswith(path + "/") for file in files) for path in found.keys() - files.keys())
    order = walked(root, blocks)
    assert order[0] == root and set(order) == set(blocks) == tree.reachable([root], load)
    assert tree.size_of(root, load) == sum(len(data or b"") for data in files.values())


@pytest.mark.parametrize("name", ["5000 files", "eight levels", "sharded in sharded", "several blocks"])
def test_contents__large_folders__all_names_and_sizes(name: str) -> None:
    files = CASES[name]
    root, blocks = built(files)
    found = {item.path: item.size for item in tree.contents(root, load_from(blocks)) if not item.is_folder}
    assert found == {path: len(data) for path, data in files.items() if data is not None}
    assert set(walked(root, blocks)) == set(blocks)


def test_contents__not_deep__only_the_folder_itself_and_no_leaf_is_loaded() -> None:
    root, blocks = built(CASES["nested"])
    nodes = {cid: block for cid, block in blocks.items() if not cid.is_raw}
    items = list(tree.contents(root, load_from(nodes), deep=False))
    assert [(item.path, item.size) for item in items] == [("a", None), ("z", 4)]
    assert [item.path for item in tree.contents(root, load_from(nodes))] == [
        "a",
        "a/b",
        "a/b/c",
        "a/b/c/d",
        "a/b/x",
        "a/empty",
        "z",
    ]


def test_walk__equal_files__come_once_for_each_use_and_once_in_a_car() -> None:
    root, blocks = built(CASES["equal"])
    assert len(walked(root, blocks)) == 6 and len(blocks) == 3
    car = CarReader(io.BytesIO(b"".join(sections(root, load_from(blocks)))))
    assert car.roots == (root,) and dict(car) == blocks


def test_walk__a_file__is_that_of_unixfs_and_no_folder() -> None:
    root, blocks = blocks_of(numbers(100))
    assert walked(root, blocks) == [cid for cid, _ in unixfs.walk(root, load_from(blocks))]
    assert tree.size_of(root, load_from(blocks)) == 100
    for file in (root, Cid.of(numbers(16))):
        with pytest.raises(NotAFolder) as caught:
            list(tree.contents(file, load_from(blocks)))
        assert caught.value.cid == str(file)


def test_reachable__missing_and_malformed_blocks__goes_on_with_the_others() -> None:
    root, blocks = built(CASES["nested"])
    bad = placed(blocks, encode_link(Cid.of(b"seen"), 4, b"x") + b"\x0a\x7f")
    torn = placed(blocks, b"\x12\x7f")
    del blocks[next(cid for cid in blocks if cid.is_raw)]
    found = tree.reachable([root, bad, torn, Cid.of(b"absent")], load_from(blocks))
    assert found >= {root, bad, torn, Cid.of(b"seen"), Cid.of(b"absent")} and found >= set(blocks)


# --- lies ---


@pytest.mark.parametrize("by", [-1, 1])
def test_walk__tsize_of_a_file_or_folder_is_a_lie__is_refused(by: int) -> None:
    blocks: Blocks = {Cid.of(b"leaf"): b"leaf"}
    leaf = Entry("leaf", Cid.of(b"leaf"), 4)
    block = encode_node([Child(leaf.cid, 4, 4), Child(leaf.cid, 4, 4)])
    below = encode_directory([leaf])
    honest = [
        leaf,
        Entry("nodes", placed(blocks, block), len(block) + 8),
        Entry("folder", placed(blocks, below), len(below) + 4),
    ]
    assert len(walked(folder_of(blocks, *honest), blocks)) == 7
    for entry in honest:
        lie = replace(entry, tsize=entry.tsize + by)
        with pytest.raises(MalformedBlock, match=rf"{entry.cid} has Tsize {entry.tsize}"):
            list(sections(folder_of(blocks, entry, replace(lie, name="z")), load_from(blocks)))
        with pytest.raises(MalformedBlock, match=rf"{entry.cid} has .*{entry.tsize}") as caught:
            walked(folder_of(blocks, lie), blocks)
        assert caught.value.reason.endswith(f" {entry.tsize + by}") and "its directory declares" in caught.value.reason


def test_walk__wrong_or_too_large_bytes__are_refused() -> None:
    root, blocks = built(CASES["nested"])
    inner = next(cid for cid in blocks if not cid.is_raw and cid != root)
    for cid in (inner, root):
        with pytest.raises(WrongBytes):
            walked(root, {**blocks, cid: b"evil"})
    large = placed(blocks, bytes(unixfs.MAX_BLOCK_BYTES + 1))
    with pytest.raises(MalformedBlock, match="at most 2097152"):
        walked(folder_of(blocks, Entry("large", large, 0)), blocks)


@pytest.mark.parametrize("data", [b"\x08\x04\x12\x01a", b"\x08\x00\x12\x01a\x18\x01", b"\x08\x03", b""])
def test_walk__entry_is_a_symlink_or_no_unixfs__is_refused(data: bytes) -> None:
    blocks: Blocks = {}
    strange = placed(blocks, b"\x0a" + bytes([len(data)]) + data)
    with pytest.raises(MalformedBlock, match=r"UnixFS type"):
        walked(folder_of(blocks, Entry("strange", strange, 2 + len(data))), blocks)


def test_walk__block_missing__says_which() -> None:
    root, blocks = built(CASES["nested"])
    for gone in blocks:
        with pytest.raises(BlockMissing) as caught:
            walked(root, {cid: block for cid, block in blocks.items() if cid != gone})
        assert caught.value.cid == str(gone)


# --- shards ---


def changed(files: Files, change: Callable[[tuple[Slot, ...], Blocks], list[Slot]]) -> tuple[Cid, Blocks]:
    """A sharded folder whose root shard holds something else."""
    root, blocks = built(files)
    return placed(blocks, encode_shard(change(decode_shard(blocks[root]), blocks))), blocks


def shard_in(slots: tuple[Slot, ...]) -> int:
    return next(at for at, slot in enumerate(slots) if slot.is_shard)


def swapped(slots: tuple[Slot, ...], blocks: Blocks) -> list[Slot]:
    one, other = [slot for slot in slots if not slot.is_shard][:2]
    exchanged = {one.index: other.entry, other.index: one.entry}
    return [replace(slot, entry=exchanged.get(slot.index, slot.entry)) for slot in slots]


def with_a_lonely_entry(slots: tuple[Slot, ...], blocks: Blocks) -> list[Slot]:
    at = next(at for at, slot in enumerate(slots) if not slot.is_shard)
    entry = slots[at].entry
    block = encode_shard([Slot(0, entry)])
    lonely = Entry("", placed(blocks, block), len(block) + entry.tsize)
    return [*slots[:at], replace(slots[at], entry=lonely), *slots[at + 1 :]]


def with_a_directory_as_shard(slots: tuple[Slot, ...], blocks: Blocks) -> list[Slot]:
    at = shard_in(slots)
    block = encode_directory([Entry("00a", Cid.of(b""), 0)])
    return [*slots[:at], replace(slots[at], entry=Entry("", placed(blocks, block), len(block))), *slots[at + 1 :]]


def with_a_raw_shard(slots: tuple[Slot, ...], blocks: Blocks) -> list[Slot]:
    at = shard_in(slots)
    blocks[Cid.of(b"raw")] = b"raw"
    return [*slots[:at], replace(slots[at], entry=Entry("", Cid.of(b"raw"), 3)), *slots[at + 1 :]]


def with_wrong_tsize(slots: tuple[Slot, ...], blocks: Blocks) -> list[Slot]:
    wrong = slots[shard_in(slots)].entry
    return [replace(s, entry=replace(wrong, tsize=wrong.tsize + 1)) if s.entry is wrong else s for s in slots]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (swapped, "not in the slot of its hash"),
        (with_a_lonely_entry, "a shard of one entry, .*: it belongs into the shard above"),
        (with_a_directory_as_shard, r"type 1 \(directory\), expected 5 \(HAMT directory\)"),
        (with_a_raw_shard, "truncated|absent"),
        (with_wrong_tsize, r"Tsize \d+, its directory declares \d+"),
        (lambda slots, _: list(slots[:200]), r"sharded directory that fits in one block of \d+ bytes"),
    ],
)
def test_walk__shard_that_no_encoder_writes__is_refused(
    change: Callable[[tuple[Slot, ...], Blocks], list[Slot]], reason: str
) -> None:
    root, blocks = changed(LONG, change)
    with pytest.raises(MalformedBlock, match=reason):
        walked(root, blocks)
    assert set(walked(built(LONG)[0], blocks)) == set(built(LONG)[1])


# --- budgets ---


@pytest.mark.parametrize(
    ("budget", "what", "limit", "found"),
    [
        (Budget(max_bytes=8), "bytes", 8, 9),
        (Budget(max_entries=6), "entries", 6, 7),
        (Budget(max_blocks=7), "blocks", 7, 8),
        (Budget(max_folders=2), "depth", 2, 3),
    ],
)
def test_walk__over_one_limit__is_refused(budget: Budget, what: str, limit: int, found: int) -> None:
    root, blocks = built(CASES["nested"])  # 9 bytes in 3 files, 4 folders below the root, 8 blocks as they are walked
    assert len(walked(root, blocks, Budget(9, max_blocks=8, max_entries=7, max_folders=3))) == 8
    with pytest.raises(BudgetExceeded) as caught:
        walked(root, blocks, budget)
    assert (caught.value.what, caught.value.limit, caught.value.found) == (what, limit, found)


def test_walk__folders_that_hold_the_same_twice__end_by_the_budget_or_are_walked_once() -> None:
    blocks: Blocks = {}
    block = encode_directory([])
    cid, tsize = placed(blocks, block), len(block)
    for _ in range(40):  # 2^40 paths in 41 blocks
        block = encode_directory([Entry("a", cid, tsize), Entry("b", cid, tsize)])
        cid, tsize = placed(blocks, block), len(block) + 2 * tsize
    with pytest.raises(BudgetExceeded) as caught:
        walked(cid, blocks, Budget(max_entries=1000))
    assert caught.value.what == "entries"
    car = b"".join(sections(cid, load_from(blocks), Budget(max_entries=80)))
    assert dict(CarReader(io.BytesIO(car))) == blocks


def test_contents__file_larger_than_the_budget__no_leaf_is_asked_for() -> None:
    blocks: Blocks = {}
    block = encode_node([Child(Cid.of(b"absent"), 1 << 40, 1 << 40)] * 2)
    root = folder_of(blocks, Entry("huge", placed(blocks, block), len(block) + (1 << 41)))
    found = list(tree.contents(root, load_from(blocks), Budget(max_bytes=1 << 41)))
    assert found == [Item("huge", Cid.of(block, DAG_PB), 1 << 41)]
    for folder in (root, folder_of(blocks, Entry("huge", Cid.of(b"absent"), 1 << 40))):
        with pytest.raises(BudgetExceeded):
            walked(folder, blocks)
