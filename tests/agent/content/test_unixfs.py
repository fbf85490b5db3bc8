"""File trees: Kubo's CIDs, round trips, and a reader that believes nothing a block says about another."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from content_faults import SMALL, blocks_of, numbers
from hypothesis import given, settings
from hypothesis import strategies as st

from nodeagent.content import unixfs
from nodeagent.content.cid import DAG_PB, Cid
from nodeagent.content.dagpb import MAX_LINKS, Child, decode_node, encode_node
from nodeagent.content.errors import BudgetExceeded, MalformedBlock, WrongBytes
from nodeagent.content.unixfs import Budget, Layout

VECTORS = json.loads((Path(__file__).parent / "cid_vectors.json").read_text())["vectors"]
LEAF = Child(Cid.of(b"leaf"), 4, 4)


def input_chunks(kind: str, size: int, chunk: int) -> Iterator[bytes]:
    if kind == "seq":
        return unixfs.cut(io.BytesIO(numbers(size)), chunk)
    full = (b"quorate\n" * (chunk // 8 + 1))[:chunk]  # chunks are multiples of 8: all full ones are equal
    return itertools.chain(itertools.repeat(full, size // chunk), [full[: size % chunk]] if size % chunk else [])


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: f"{v['bytes']}-{v['chunk']}-{v['links']}")
def test_build__kubo_vector__gives_kubos_cid(vector: dict[str, object]) -> None:
    size, chunk, links = int(str(vector["bytes"])), int(str(vector["chunk"])), int(str(vector["links"]))
    layout = Layout(chunk, links)
    root = unixfs.build(input_chunks(str(vector["input"]), size, chunk), lambda _c, _b: None, layout)
    assert (str(root.cid), root.size) == (vector["cid"], size)


@given(st.sampled_from([0, 1, 16, 64, 256, 1024]), st.integers(-2, 2), st.integers(0, 255))
def test_read__any_size_around_an_edge__gives_the_bytes_back(edge: int, off: int, salt: int) -> None:
    data = bytes((i * 7 + salt) % 251 for i in range(max(0, edge + off)))
    root, blocks = blocks_of(data)
    assert b"".join(unixfs.read(root, blocks.__getitem__, Budget(max_depth=6))) == data
    assert unixfs.size_of(root, blocks.__getitem__) == len(data)


@settings(max_examples=15)
@given(st.integers(-3, 3), st.integers(0, 2))
def test_read__profile_layout_around_a_chunk__gives_the_bytes_back(off: int, chunks: int) -> None:
    data = numbers(max(0, chunks * unixfs.CHUNK_BYTES + off))
    root, blocks = blocks_of(data, unixfs.PROFILE)
    assert unixfs.read_all(root, blocks.__getitem__, len(data)) == data
    assert root.is_raw == (len(data) <= unixfs.CHUNK_BYTES)


class Dribble(io.RawIOBase):
    """A stream whose reads come back short."""

    def __init__(self, data: bytes) -> None:
        self._inner = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._inner.read(min(size, 3) if size >= 0 else 3)


def test_cut__short_reads__are_joined_into_full_chunks() -> None:
    chunks = list(unixfs.cut(Dribble(b"x" * 40), 16))  # type: ignore[arg-type]
    assert [len(chunk) for chunk in chunks] == [16, 16, 8]


# --- nodes ---


@given(
    st.lists(st.tuples(st.binary(max_size=4), st.integers(1, 1 << 40), st.integers(0, 1 << 41)), min_size=1, max_size=9)
)
def test_decode_node__what_encode_wrote__round_trips(parts: list[tuple[bytes, int, int]]) -> None:
    children = tuple(Child(Cid.of(seed), size, tsize) for seed, size, tsize in parts)
    assert decode_node(encode_node(children)) == children


@given(st.integers(0, 400), st.integers(0, 255))
def test_decode_node__one_byte_changed__is_refused_or_still_canonical(at: int, value: int) -> None:
    good = bytearray(encode_node([LEAF, Child(Cid.of(b"x", DAG_PB), 300, 400)]))
    good[at % len(good)] = value
    try:
        again = encode_node(decode_node(bytes(good)))
    except MalformedBlock:
        return
    assert again == good


@given(st.binary(max_size=200))
def test_decode_node__any_bytes__never_raise_anything_else(block: bytes) -> None:
    try:
        again = encode_node(decode_node(block))
    except MalformedBlock:
        return
    assert again == block


LINK = b"\x0a\x24" + LEAF.cid.binary + b"\x12\x00\x18\x04"
DATA = b"\x08\x02\x18\x04\x20\x04"


def node(link: bytes = LINK, data: bytes = DATA, *, tail: bytes = b"", data_first: bool = False) -> bytes:
    fields = [b"\x12" + bytes([len(link)]) + link, b"\x0a" + bytes([len(data)]) + data]
    return b"".join(reversed(fields) if data_first else fields) + tail


MALFORMED = {
    "empty": (b"", "no UnixFS data"),
    "no links": (b"\x0a\x04\x08\x02\x18\x00", "0 links"),
    "data before links": (node(data_first=True), "0 links, but 1"),
    "trailing bytes": (node(tail=b"\x00"), "1 unexpected bytes at the end of node"),
    "named link": (node(link=LINK.replace(b"\x12\x00", b"\x12\x01a")), "link 0 has a name"),
    "no name": (node(link=LINK.replace(b"\x12\x00", b"")), "name of link 0"),
    "no Tsize": (node(link=LINK[:-2]), "Tsize of link 0"),
    "CIDv0 link": (node(link=b"\x0a\x22" + LEAF.cid.binary[2:] + b"\x12\x00\x18\x04"), "not a CIDv1"),
    "foreign codec": (node(link=LINK.replace(b"\x01\x55", b"\x01\x71", 1)), "dag-cbor"),
    "directory": (node(data=b"\x08\x01"), "directory"),
    "symlink": (node(data=b"\x08\x04\x12\x01a"), "symlink"),
    "HAMT": (node(data=b"\x08\x05"), "HAMT"),
    "inline bytes": (node(data=b"\x08\x02\x12\x01a\x18\x05\x20\x04"), "raw leaves are required"),
    "no file size": (node(data=b"\x08\x02\x20\x04"), "file size is absent"),
    "packed sizes": (node(data=b"\x08\x02\x18\x04\x22\x01\x04"), "1 links, but 0"),
    "mode": (node(data=DATA + b"\x38\xa4\x03"), "mode and mtime are not allowed"),
    "too many sizes": (node(data=b"\x08\x02\x18\x04\x20\x02\x20\x02"), "1 links, but 2"),
    "sum": (node(data=b"\x08\x02\x18\x05\x20\x04"), "file size 5, but block sizes add up to 4"),
    "zero child": (node(data=b"\x08\x02\x18\x00\x20\x00"), "a child of no bytes"),
    "long number": (node(data=b"\x08\x02\x18\x84\x00\x20\x04"), "not minimally encoded"),
    "endless number": (node(data=b"\x08\x02\x18" + b"\xff" * 12), "longer than 9 bytes"),
    "truncated link": (b"\x12\x7f" + LINK, "truncated"),
    "truncated number": (b"\x12\xff", "truncated"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_decode_node__not_canonical__says_why(case: str) -> None:
    block, reason = MALFORMED[case]
    with pytest.raises(MalformedBlock) as caught:
        decode_node(block)
    assert reason in caught.value.reason


def test_decode_node__more_links_than_the_profile__is_refused() -> None:
    assert len(decode_node(encode_node([LEAF] * MAX_LINKS))) == MAX_LINKS
    with pytest.raises(MalformedBlock, match="more than 1024 links"):
        decode_node(encode_node([LEAF] * (MAX_LINKS + 1)))


# --- the reader ---


class Counting(dict[Cid, bytes]):
    """Blocks that remember who was asked for."""

    def __init__(self, blocks: dict[Cid, bytes]) -> None:
        super().__init__(blocks)
        self.loads: list[Cid] = []

    def load(self, cid: Cid) -> bytes:
        self.loads.append(cid)
        return self[cid]


def test_read__flipped_byte_in_a_late_leaf__stops_before_it() -> None:
    data = numbers(100)
    root, blocks = blocks_of(data)
    leaf = Cid.of(data[48:64])
    blocks[leaf] = b"\xff" + blocks[leaf][1:]
    reading = unixfs.read(root, lambda cid: cid.verify(blocks[cid]))
    assert b"".join(itertools.islice(reading, 3)) == data[:48]
    with pytest.raises(WrongBytes):
        next(reading)


def test_read__larger_than_max_bytes__is_known_from_the_root() -> None:
    root, blocks = blocks_of(numbers(100))
    counting = Counting(blocks)
    with pytest.raises(BudgetExceeded) as caught:
        list(unixfs.read(root, counting.load, Budget(max_bytes=99)))
    assert (caught.value.what, caught.value.limit, caught.value.found) == ("bytes", 99, 100)
    assert counting.loads == [root]
    assert b"".join(unixfs.read(root, blocks.__getitem__, Budget(max_bytes=100))) == numbers(100)


def test_read__one_raw_block_over_max_bytes__is_refused() -> None:
    with pytest.raises(BudgetExceeded):
        list(unixfs.read(Cid.of(b"12345"), lambda _: b"12345", Budget(max_bytes=4)))


def test_read__one_level_too_deep__is_refused_before_the_node_is_loaded() -> None:
    root, blocks = blocks_of(numbers(257))  # 16-byte leaves under three levels of nodes
    assert b"".join(unixfs.read(root, blocks.__getitem__, Budget(max_depth=3))) == numbers(257)
    counting = Counting(blocks)
    with pytest.raises(BudgetExceeded) as caught:
        list(unixfs.read(root, counting.load, Budget(max_depth=2)))
    assert (caught.value.what, caught.value.limit, caught.value.found) == ("depth", 2, 3)
    assert len(counting.loads) == 2


def test_read__more_blocks_than_allowed__is_refused() -> None:
    root, blocks = blocks_of(numbers(64))
    assert len(list(unixfs.read(root, blocks.__getitem__, Budget(max_blocks=5)))) == 4
    with pytest.raises(BudgetExceeded) as caught:
        list(unixfs.read(root, blocks.__getitem__, Budget(max_blocks=4)))
    assert (caught.value.what, caught.value.found) == ("blocks", 5)


def test_read__tree_of_one_byte_leaves__ends_by_the_default_block_budget() -> None:
    root, blocks = blocks_of(bytes(1000), Layout(chunk_bytes=1, max_links=1000))
    with pytest.raises(BudgetExceeded, match="blocks"):
        list(unixfs.read(root, blocks.__getitem__, Budget(max_bytes=1000)))


@pytest.mark.parametrize(("size", "tsize"), [(3, 4), (5, 4), (4, 5), (4, 3)])
def test_read__child_unlike_what_its_parent_declares__is_refused(size: int, tsize: int) -> None:
    block = encode_node([Child(LEAF.cid, size, tsize)])
    root = Cid.of(block, DAG_PB)
    with pytest.raises(MalformedBlock, match=f"declares {size} .Tsize {tsize}."):
        list(unixfs.read(root, {root: block, LEAF.cid: b"leaf"}.__getitem__))


def test_read__node_unlike_what_its_parent_declares__is_refused() -> None:
    inner = encode_node([LEAF])
    cid = Cid.of(inner, DAG_PB)
    block = encode_node([Child(cid, 4, len(inner) + 5)])
    root = Cid.of(block, DAG_PB)
    with pytest.raises(MalformedBlock, match="its parent declares"):
        list(unixfs.read(root, {root: block, cid: inner, LEAF.cid: b"leaf"}.__getitem__))


def test_read__block_over_two_mebibytes__is_refused() -> None:
    block = bytes(unixfs.MAX_BLOCK_BYTES + 1)
    with pytest.raises(MalformedBlock, match="at most 2097152"):
        list(unixfs.read(Cid.of(block), lambda _: block))


@pytest.mark.parametrize(("chunk", "links"), [(0, 4), (unixfs.MAX_BLOCK_BYTES + 1, 4), (16, 1), (16, MAX_LINKS + 1)])
def test_layout__out_of_range__is_refused(chunk: int, links: int) -> None:
    with pytest.raises(ValueError, match="expected"):
        Layout(chunk, links)


def test_build__blocks__come_children_first_and_each_once_per_use() -> None:
    seen: list[Cid] = []
    root = unixfs.build(unixfs.cut(io.BytesIO(numbers(100)), 16), lambda cid, _b: seen.append(cid), SMALL)
    assert seen[-1] == root.cid and len(seen) == 7 + 2 + 1


def test_walk__leaf_declared_larger_than_a_block__is_refused_at_its_node() -> None:
    leaf = Cid.of(b"x")
    node = encode_node([Child(leaf, 1 << 40, 1 << 40)])
    root, asked = Cid.of(node, DAG_PB), list[Cid]()

    def load(cid: Cid) -> bytes:
        asked.append(cid)
        return node if cid == root else b"x"

    with pytest.raises(MalformedBlock, match="one block"):
        list(unixfs.walk(root, load, Budget(max_bytes=1 << 50)))
    assert asked == [root]


def test_walk__once__a_file_costs_no_more_than_its_blocks() -> None:
    leaf = b"y" * 20_000
    blocks = {Cid.of(leaf): leaf}
    child = Child(Cid.of(leaf), len(leaf), len(leaf))
    for _ in range(3):
        node = encode_node([child] * 1024)
        blocks[Cid.of(node, DAG_PB)] = node
        child = Child(Cid.of(node, DAG_PB), 1024 * child.size, len(node) + 1024 * child.tsize)
    walked = [cid for cid, _ in unixfs.walk(child.cid, blocks.__getitem__, Budget(max_bytes=1 << 50), once=True)]
    assert sorted(map(str, walked)) == sorted(map(str, blocks))


def test_walk__once_and_a_span__each_part_of_a_node_used_twice() -> None:
    """The first half of a node, and later its second half: both are asked for."""
    leaves = [bytes([n]) * 10 for n in range(4)]
    blocks = {Cid.of(leaf): leaf for leaf in leaves}
    node = encode_node([Child(cid, 10, 10) for cid in blocks])
    below = Child(Cid.of(node, DAG_PB), 40, len(node) + 40)
    root = encode_node([below, below])
    blocks |= {below.cid: node, Cid.of(root, DAG_PB): root}
    walk = unixfs.walk(Cid.of(root, DAG_PB), blocks.__getitem__, span=(25, 50), once=True)
    assert {cid for cid, _ in walk} == set(blocks)
