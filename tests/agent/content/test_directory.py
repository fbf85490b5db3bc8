"""Directories as blocks: Kubo's CIDs, round trips, and readers that take no other spelling.

grow_directory
├── Kubo's vectors      → Kubo's root CID, on both sides of 262,144 bytes and eight levels deep
└── two names, one hash → UnreadableFile when sharded, fine in one block
decode_directory, decode_shard
├── what was encoded    → the same entries
└── anything else       → MalformedBlock with its reason
"""

from __future__ import annotations

import pytest
from directory_cases import CASES, LONG, SAME_HASH, SEVEN_BYTES_SAME, SIX_BYTES_SAME, VECTORS, Files, built
from hypothesis import given
from hypothesis import strategies as st

from nodeagent.content import Cid, murmur3, varint
from nodeagent.content.cid import DAG_PB
from nodeagent.content.dagpb import encode_link
from nodeagent.content.directory import (
    MAX_NODE_BYTES,
    Entry,
    decode_directory,
    encode_directory,
    encoded_size,
    name_fault,
)
from nodeagent.content.errors import MalformedBlock, UnreadableFile
from nodeagent.content.hamt import Slot, check_slot, decode_shard, encode_shard, grow_directory

LEAF = Cid.of(b"leaf")
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=60).filter(
    lambda name: name_fault(name.encode()) is None
)
ENTRIES = st.dictionaries(
    NAMES, st.tuples(st.binary(max_size=3), st.sampled_from([0x55, DAG_PB]), st.integers(0, 1 << 50))
).map(lambda found: [Entry(name, Cid.of(seed, codec), tsize) for name, (seed, codec, tsize) in found.items()])


def node(*links: bytes, data: bytes = b"\x08\x01", tail: bytes = b"") -> bytes:
    return b"".join(links) + b"\x0a" + varint.encode(len(data)) + data + tail


def link(name: bytes, cid: Cid = LEAF, tsize: int = 4) -> bytes:
    return encode_link(cid, tsize, name)


# --- murmur3 ---


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("", "0000000000000000"),
        ("hello", "cbd8a7b341bd9b02"),
        ("hello, world", "342fac623a5ebc8e"),
        ("19 Jan 2038 at 3:14:07 AM", "b89e5988b737affc"),
        ("The quick brown fox jumps over the lazy dog.", "cd99481f9ee902c9"),
        (SAME_HASH[0], "0102030405060700"),
        (SAME_HASH[1], "0102030405060700"),
        (SEVEN_BYTES_SAME, "0102030405060701"),
        (SIX_BYTES_SAME, "0102030405060800"),
    ],
)
def test_digest__vector_of_the_library_that_kubo_uses__is_the_same(data: str, expected: str) -> None:
    assert murmur3.digest(data.encode()).hex() == expected


# --- growing ---


@pytest.mark.parametrize("name", CASES)
def test_grow_directory__kubo_vector__gives_kubos_cid(name: str) -> None:
    assert str(built(CASES[name])[0]) == VECTORS[name]


def test_vectors__every_case__has_one() -> None:
    assert list(VECTORS) == list(CASES)


@pytest.mark.parametrize(("name", "blocks"), [("262144 bytes", 2), ("262145 bytes", 258)])
def test_grow_directory__at_the_threshold__one_block_or_shards(name: str, blocks: int) -> None:
    files = CASES[name]
    root, found = built(files)
    assert encoded_size([Entry(path, LEAF, 1) for path in files]) == int(name.split()[0])
    assert len(found) == blocks or (len(found) > 200 and blocks > 2)
    assert (len(found[root]) == MAX_NODE_BYTES) == (blocks == 2)


def test_grow_directory__hashes_the_same_for_seven_bytes__eight_levels_of_shards() -> None:
    root, blocks = built(CASES["eight levels"])
    trail, cid = bytes.fromhex("01020304050607"), root
    for index in trail:
        (slot,) = [slot for slot in decode_shard(blocks[cid]) if slot.index == index]
        assert slot.is_shard
        cid = slot.entry.cid
    assert [slot.entry.name for slot in decode_shard(blocks[cid])] == [SAME_HASH[0], SEVEN_BYTES_SAME]


def test_grow_directory__two_names_of_one_hash__refused_only_when_sharded() -> None:
    files: Files = {**LONG, **dict.fromkeys(SAME_HASH, b"a")}
    with pytest.raises(UnreadableFile) as caught:
        built(files)
    assert caught.value.path == SAME_HASH[0] and SAME_HASH[1] in caught.value.reason
    assert "same murmur3 hash" in caught.value.reason


# --- one block ---


@given(ENTRIES)
def test_decode_directory__what_encode_wrote__round_trips_sorted_by_bytes(entries: list[Entry]) -> None:
    block = encode_directory(entries)
    assert len(block) == encoded_size(entries)
    assert decode_directory(block) == tuple(sorted(entries, key=lambda entry: entry.name.encode()))
    assert [found for _, found in grow_directory(entries)] == [block]


@given(st.integers(0, 400), st.integers(0, 255))
def test_decode_directory__one_byte_changed__is_refused_or_still_canonical(at: int, value: int) -> None:
    good = bytearray(encode_directory([Entry("a", LEAF, 4), Entry("b" * 130, Cid.of(b"x", DAG_PB), 300)]))
    good[at % len(good)] = value
    try:
        again = encode_directory(decode_directory(bytes(good)))
    except MalformedBlock:
        return
    assert again == good


@given(st.binary(max_size=200))
def test_decode_directory__any_bytes__never_raise_anything_else(block: bytes) -> None:
    for decode in (decode_directory, decode_shard):
        with pytest.raises(MalformedBlock):
            decode(block + b"\xff")


BAD_DIRECTORIES = {
    "empty": (b"", "UnixFS data is absent"),
    "unsorted": (node(link(b"b"), link(b"a")), "name of link 1 is not in order"),
    "sorted by text, not by bytes": (node(link("\U00010000".encode()), link("\uffff".encode())), "not in order"),
    "twice": (node(link(b"a"), link(b"a")), "name of link 1 is twice there"),
    "slash": (node(link(b"a/b")), r"link 0 contains '/'"),
    "zero": (node(link(b"a\0")), r"link 0 contains '\\x00'"),
    "no name": (node(link(b"")), "link 0 is empty"),
    "dot": (node(link(b".")), r"link 0 is '\.'"),
    "dots": (node(link(b"..")), r"link 0 is '\.\.'"),
    "not UTF-8": (node(link(b"\xff")), "link 0 is not UTF-8"),
    "surrogate": (node(link(b"\xed\xa0\x80")), "link 0 is not UTF-8"),
    "long name": (node(link(b"a" * 256)), "link 0 has 256 bytes, at most 255"),
    "mode": (node(link(b"a"), data=b"\x08\x01\x38\xa4\x03"), "3 unexpected bytes"),
    "file": (node(data=b"\x08\x02"), r"type 2 \(file\), expected 1 \(directory\)"),
    "symlink": (node(data=b"\x08\x04\x12\x01a"), r"type 4 \(symlink\)"),
    "shard": (node(data=b"\x08\x05"), r"type 5 \(HAMT directory\)"),
    "tail": (node(link(b"a"), tail=b"\0"), "1 unexpected bytes at the end of node"),
    "links behind the data": (node() + link(b"a"), "unexpected bytes at the end of node"),
    "long number": (b"\x12" + bytes([len(link(b"a")) - 1]) + link(b"a")[2:-1] + b"\x84\x00" + node(), "minimally"),
    "too large": (encode_directory([Entry(name, LEAF, 0) for name in LONG]), "above 262144 it is sharded"),
}


@pytest.mark.parametrize("name", BAD_DIRECTORIES)
def test_decode_directory__hostile_block__is_refused_with_the_reason(name: str) -> None:
    block, reason = BAD_DIRECTORIES[name]
    with pytest.raises(MalformedBlock, match=reason):
        decode_directory(block)


# --- shards ---


def shard(*links: bytes, bits: bytes, tail: bytes = b"\x28\x22\x30\x80\x02") -> bytes:
    return node(*links, data=b"\x08\x05\x12" + varint.encode(len(bits)) + bits + tail)


@given(
    st.dictionaries(st.integers(0, 255), st.tuples(st.one_of(st.just(""), NAMES), st.integers(0, 1 << 50)), min_size=1)
)
def test_decode_shard__what_encode_wrote__round_trips(slots: dict[int, tuple[str, int]]) -> None:
    wanted = tuple(Slot(index, Entry(name, LEAF, tsize)) for index, (name, tsize) in sorted(slots.items()))
    assert decode_shard(encode_shard(wanted)) == wanted


@given(st.integers(0, 400), st.integers(0, 255))
def test_decode_shard__one_byte_changed__is_refused_or_still_canonical(at: int, value: int) -> None:
    good = bytearray(encode_shard([Slot(1, Entry("a", LEAF, 4)), Slot(200, Entry("", Cid.of(b"x", DAG_PB), 300))]))
    good[at % len(good)] = value
    try:
        again = encode_shard(decode_shard(bytes(good)))
    except MalformedBlock:
        return
    assert again == good


BAD_SHARDS = {
    "empty": (shard(bits=b""), "not the canonical"),
    "lower case": (shard(link(b"0aname"), bits=b"\x04\x00"), "two upper-case hex digits"),
    "prefix of one digit": (shard(link(b"A"), bits=b"\x04\x00"), "two upper-case hex digits"),
    "no prefix": (shard(link(b""), bits=b"\x01"), "two upper-case hex digits"),
    "prefix of three digits": (
        shard(link(b"00Aname"), bits=b"\x04\x00", tail=b"\x28\x22\x30\x80\x20"),
        "the bitfield is not that of the 1 links",
    ),
    "slash": (shard(link(b"00a/b"), bits=b"\x01"), r"link 0 contains '/'"),
    "dots": (shard(link(b"00.."), bits=b"\x01"), r"link 0 is '\.\.'"),
    "unsorted": (shard(link(b"01a"), link(b"00b"), bits=b"\x03"), "link 1 is not in the order of its slots"),
    "slot twice": (shard(link(b"00a"), link(b"00b"), bits=b"\x01"), "link 1 is not in the order of its slots"),
    "bit without a link": (shard(link(b"00a"), bits=b"\x03"), "bitfield is not that of the 1 links"),
    "link without a bit": (shard(link(b"00a"), link(b"01b"), bits=b"\x01"), "bitfield is not that of the 2 links"),
    "bitfield with zeros ahead": (shard(link(b"00a"), bits=bytes(31) + b"\x01"), "not the canonical"),
    "bitfield too long": (shard(link(b"00a"), bits=b"\x01" + bytes(32)), "bitfield is not that"),
    "bitfield cut": (node(link(b"00a"), data=b"\x08\x05\x12\x7f\x01"), "truncated"),
    "no bitfield": (node(link(b"00a"), data=b"\x08\x05\x28\x22\x30\x80\x02"), "bitfield is absent"),
    "other hash": (shard(link(b"00a"), bits=b"\x01", tail=b"\x28\x12\x30\x80\x02"), "not the canonical"),
    "sixteen slots": (shard(link(b"00a"), bits=b"\x01", tail=b"\x28\x22\x30\x10"), "not the canonical"),
    "mode": (shard(link(b"00a"), bits=b"\x01", tail=b"\x28\x22\x30\x80\x02\x38\xa4\x03"), "not the canonical"),
    "directory": (node(link(b"00a")), r"type 1 \(directory\), expected 5"),
}


@pytest.mark.parametrize("name", BAD_SHARDS)
def test_decode_shard__hostile_block__is_refused_with_the_reason(name: str) -> None:
    block, reason = BAD_SHARDS[name]
    with pytest.raises(MalformedBlock, match=reason):
        decode_shard(block)


def test_check_slot__name_in_another_slot_or_a_ninth_level__is_refused() -> None:
    named, deeper = Entry(SAME_HASH[0], LEAF, 0), Entry("", LEAF, 0)
    trail = bytes.fromhex("01020304050607")
    check_slot(Slot(0, named), trail)
    check_slot(Slot(7, deeper), trail[:6])
    for slot, wrong in ((Slot(1, named), trail), (Slot(0, named), trail[:6] + b"\x08"), (Slot(2, named), b"")):
        with pytest.raises(MalformedBlock, match="not in the slot of its hash"):
            check_slot(slot, wrong)
    with pytest.raises(MalformedBlock, match="more than 8 levels deep"):
        check_slot(Slot(0, deeper), trail)
