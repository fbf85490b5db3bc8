"""CAR v1: what is written is read back, by Kubo too; what is no CAR, or lies, is refused before it is stored.

sections
├── any file            → header, then every block once, a node before its children
└── block missing       → raises, the target file is not made
CarReader
├── own, Kubo's         → roots and verified blocks
├── empty, cut short, other version or CIDs, too long, wrong bytes → MalformedCar, nothing unverified stored
└── import_car          → pinned and whole; a CAR without all of its root's blocks → BlockMissing, unpinned
"""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from content_faults import SMALL, blocks_of, numbers
from hypothesis import given
from hypothesis import strategies as st

from nodeagent.content import Cid, LocalStore, varint
from nodeagent.content.car import MAX_ROOTS, CarReader, header, sections
from nodeagent.content.cid import DAG_PB
from nodeagent.content.errors import BlockMissing, MalformedCar
from nodeagent.content.unixfs import MAX_BLOCK_BYTES

ROOT, BLOCKS = blocks_of(numbers(100))
CAR = b"".join(sections(ROOT, BLOCKS.__getitem__))
ONE = Cid.of(b"one block")
TOO_LONG = 36 + MAX_BLOCK_BYTES + 1


def read(data: bytes) -> tuple[tuple[Cid, ...], dict[Cid, bytes]]:
    reader = CarReader(io.BytesIO(data))
    return reader.roots, {cid: bytes(block) for cid, block in reader}


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "content", layout=SMALL)


# --- round trips ---


@pytest.mark.parametrize("size", [0, 1, 16, 17, 64, 65, 257])
def test_sections__any_size__every_block_once_and_nodes_first(size: int) -> None:
    root, blocks = blocks_of(numbers(size))
    reader = CarReader(io.BytesIO(b"".join(sections(root, blocks.__getitem__))))
    order = [cid for cid, _ in reader]
    assert reader.roots == (root,) and order[0] == root and sorted(order) == sorted(blocks)


def test_sections__one_leaf_many_times__is_written_once() -> None:
    root, blocks = blocks_of(bytes(160))
    assert len(blocks) < 10
    assert read(b"".join(sections(root, blocks.__getitem__)))[1] == blocks


def test_header__several_roots__are_read_in_order() -> None:
    roots = [Cid.of(bytes([n]), DAG_PB if n % 2 else 0x55) for n in range(MAX_ROOTS)]
    assert CarReader(io.BytesIO(header(roots))).roots == tuple(roots)
    for wrong in ([], [*roots, ONE]):
        with pytest.raises(ValueError, match="roots, expected 1 to 16"):
            header(wrong)


def test_header__known_bytes__as_the_specification_has_them() -> None:
    head = header([ONE])
    assert head[:8] == b"\x3a\xa2\x65roots" and head[8:14] == b"\x81\xd8\x2a\x58\x25\x00" and head[14:50] == ONE.binary
    assert head[50:] == b"\x67version\x01"


def test_export_and_import__another_store__same_file_pinned(store: LocalStore, tmp_path: Path) -> None:
    cid = store.put_bytes(numbers(300))
    store.export_car(cid, tmp_path / "file.car")
    other = LocalStore(tmp_path / "other")
    with (tmp_path / "file.car").open("rb") as stream:
        assert other.import_car(stream) == (cid,)
    assert other.get_bytes(cid, 300) == numbers(300) and other.pins() == {cid: [""]}


def test_export__block_missing__leaves_what_was_there(store: LocalStore, tmp_path: Path) -> None:
    cid, target = store.put_bytes(numbers(300)), tmp_path / "file.car"
    target.write_bytes(b"older")
    leaf = next(cid for cid in store.block_cids() if cid.is_raw)
    next((store.root / "blocks").rglob(str(leaf))).unlink()
    with pytest.raises(BlockMissing):
        store.export_car(cid, target)
    assert target.read_bytes() == b"older" and [p.name for p in tmp_path.iterdir() if ".car" in p.name] == ["file.car"]


# --- what is refused ---


def test_read__cut_anywhere__refused_unless_between_blocks() -> None:
    whole = []
    for cut in range(len(CAR)):
        try:
            _, blocks = read(CAR[:cut])
        except MalformedCar:
            continue
        assert blocks.items() < BLOCKS.items()
        whole.append(len(blocks))
    assert whole == list(range(len(BLOCKS))), "after the header and after each block but the last"


@given(st.integers(0, len(CAR) - 1), st.integers(1, 255))
def test_read__any_byte_changed__refused_or_other_roots(at: int, change: int) -> None:
    data = bytearray(CAR)
    data[at] ^= change
    try:
        roots, blocks = read(bytes(data))
    except MalformedCar:
        return
    assert blocks.items() <= BLOCKS.items() and (roots != (ROOT,) or blocks != BLOCKS)


@given(st.binary(max_size=200))
def test_read__any_bytes__refused(data: bytes) -> None:
    with pytest.raises(MalformedCar):
        read(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is empty"),
        (header([ONE]).replace(b"version\x01", b"version\x02"), "not that of version 1"),
        (header([ONE]).replace(b"\x01\x55\x12\x20", b"\x01\x71\x12\x20"), "root: codec 0x71"),
        (b"\x80\x80\x80\x80\x80\x01", "longer than 5 bytes"),
        (b"\xff\xff\xff\x07", "header has"),
        (header([ONE]) + varint.encode(TOO_LONG), f"block 0 has {TOO_LONG} bytes"),
        (header([ONE]) + b"\x03abc", "block 0: "),
        (header([ONE]) + bytes([36 + 4]) + ONE.binary + b"evil", f"block 0 are not those of {ONE}"),
    ],
)
def test_read__no_car_of_ours__says_why(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedCar) as caught:
        read(data)
    assert reason in caught.value.reason


def test_import__wrong_bytes_after_good_ones__keeps_only_what_was_verified(store: LocalStore) -> None:
    lie = varint.encode(36 + 4) + ONE.binary + b"evil"
    with pytest.raises(MalformedCar):
        store.import_car(io.BytesIO(CAR + lie))
    assert set(store.block_cids()) == set(BLOCKS) and store.pins() == {}


def test_import__without_a_leaf__says_which_and_pins_nothing(store: LocalStore) -> None:
    leaf = next(cid for cid in BLOCKS if cid.is_raw)
    rest = [varint.encode(36 + len(b)) + cid.binary + b for cid, b in BLOCKS.items() if cid != leaf]
    with pytest.raises(BlockMissing):
        store.import_car(io.BytesIO(header([ROOT]) + b"".join(rest)))
    assert store.pins() == {}
