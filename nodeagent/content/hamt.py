"""A directory in many blocks: a hash array mapped trie over the names, 256 slots a shard.

A name's slot at level n is byte n of its murmur3 hash. A slot holds one entry, or a shard of those whose hashes
agree so far. Bytes of a shard, in this order and no other (source: UnixFS specification, HAMTDirectory)::

    for each slot taken, in order   12 len { 0a 24 <cid>  12 len <slot: 2 upper-case hex digits> <name>  18 <tsize> }
    then                            0a len { 08 05  12 len <bitfield>  28 22  30 80 02 }

The link to another shard has no name behind its slot. The bitfield has bit n set when slot n is taken; it is
big-endian without leading zero bytes. Decoding accepts exactly what encoding produces, else ``MalformedBlock``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from nodeagent.content import murmur3, varint
from nodeagent.content.cid import DAG_PB, Cid
from nodeagent.content.dagpb import SHARD, Cursor, encode_link, expect_kind, read_link
from nodeagent.content.directory import MAX_NODE_BYTES, Entry, encode_directory, encoded_size, read_name
from nodeagent.content.errors import MalformedBlock, UnreadableFile

MAX_LEVELS: Final = murmur3.HASH_BYTES
_TAIL: Final = b"\x28\x22\x30\x80\x02"  # murmur3-x64-64, 256 slots


@dataclass(frozen=True, slots=True)
class Slot:
    """What a shard holds at ``index`` (0 to 255): an entry, or a shard when ``entry`` has no name."""

    index: int
    entry: Entry

    @property
    def is_shard(self) -> bool:
        return not self.entry.name


def grow_directory(entries: Sequence[Entry]) -> Iterator[tuple[Entry, bytes]]:
    """Every block of a directory: children before parents, the root last, each as an entry without a name.

    Names are as ``directory.name_fault`` allows, no two the same. Raises ``UnreadableFile`` when a sharded one has two
    names of the same hash.
    """
    if encoded_size(entries) <= MAX_NODE_BYTES:
        block = encode_directory(entries)
        yield _node(block, entries), block
        return
    yield from _grow_shard([(murmur3.digest(entry.name.encode()), entry) for entry in entries], 0)


def encode_shard(slots: Sequence[Slot]) -> bytes:
    """The block of a shard over ``slots``, sorted by index (at least one)."""
    links = b"".join(
        encode_link(slot.entry.cid, slot.entry.tsize, b"%02X" % slot.index + slot.entry.name.encode()) for slot in slots
    )
    taken = sum(1 << slot.index for slot in slots)
    bitfield = taken.to_bytes((taken.bit_length() + 7) // 8, "big")
    data = b"\x08\x05\x12" + varint.encode(len(bitfield)) + bitfield + _TAIL
    return links + b"\x0a" + varint.encode(len(data)) + data


def decode_shard(block: bytes) -> tuple[Slot, ...]:
    """What a shard holds, in its order; raises ``MalformedBlock``. ``check_slot`` tells whether it belongs there."""
    cursor, slots = Cursor(block), list[Slot]()
    while cursor.next_is(0x12):
        cid, label, tsize = read_link(cursor, len(slots))
        slot = _read_slot(label, cid, tsize, len(slots))
        if slots and slot.index <= slots[-1].index:
            raise MalformedBlock(f"link {len(slots)} is not in the order of its slots")
        slots.append(slot)
    cursor.expect(0x0A, "UnixFS data")
    data = cursor.nested("UnixFS data")
    expect_kind(data, SHARD)
    data.expect(0x12, "bitfield")
    bitfield = data.take(data.varint())
    if int.from_bytes(bitfield, "big") != sum(1 << slot.index for slot in slots):
        raise MalformedBlock(f"the bitfield is not that of the {len(slots)} links")
    if not slots or encode_shard(slots) != block:
        raise MalformedBlock("not the canonical encoding of a shard of 256 slots by murmur3-x64-64")
    return tuple(slots)


def check_slot(slot: Slot, trail: bytes) -> None:
    """Raise ``MalformedBlock`` unless ``slot`` belongs into the shard reached by the slots ``trail`` from the root."""
    if slot.is_shard:
        if len(trail) + 1 >= MAX_LEVELS:
            raise MalformedBlock(f"shards more than {MAX_LEVELS} levels deep")
        return
    if murmur3.digest(slot.entry.name.encode())[: len(trail) + 1] != trail + bytes([slot.index]):
        raise MalformedBlock(f"{slot.entry.name!r} is not in the slot of its hash")


def _grow_shard(hashed: Sequence[tuple[bytes, Entry]], level: int) -> Iterator[tuple[Entry, bytes]]:
    if level == MAX_LEVELS:
        names = [entry.name for _, entry in hashed[:2]]
        raise UnreadableFile(names[0], f"its name and {names[1]!r} have the same murmur3 hash, one shard has no room")
    taken: dict[int, list[tuple[bytes, Entry]]] = {}
    for digest, entry in hashed:
        taken.setdefault(digest[level], []).append((digest, entry))
    slots = []
    for index, below in sorted(taken.items()):
        entry = below[0][1]
        if len(below) > 1:
            for entry, block in _grow_shard(below, level + 1):  # the last one is the shard
                yield entry, block
        slots.append(Slot(index, entry))
    block = encode_shard(slots)
    yield _node(block, [slot.entry for slot in slots]), block


def _node(block: bytes, entries: Sequence[Entry]) -> Entry:
    return Entry("", Cid.of(block, DAG_PB), len(block) + sum(entry.tsize for entry in entries))


def _read_slot(label: bytes, cid: Cid, tsize: int, index: int) -> Slot:
    digits = label[:2]
    if len(digits) < 2 or any(digit not in b"0123456789ABCDEF" for digit in digits):
        raise MalformedBlock(f"the name of link {index} does not begin with a slot of two upper-case hex digits")
    return Slot(int(digits, 16), Entry(read_name(label[2:], index) if label[2:] else "", cid, tsize))
