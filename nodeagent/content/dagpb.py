"""dag-pb: the link, which files and directories share, and the one kind of block a file needs over its leaves.

Bytes, in this order and no other (source: dag-pb and UnixFS specifications, profile ``unixfs-v1-2025``)::

    for each child   12 len { 0a 24 <cid: 36 bytes>  12 00  18 <tsize> }
    then             0a len { 08 02  18 <file size>  then 20 <block size> for each child }

A link in a directory has a name: ``12 len <name>`` in place of ``12 00``. ``tsize`` counts the child's block and
everything below it; ``block size`` counts file bytes only. Decoding accepts exactly what encoding produces; anything
else is ``MalformedBlock``.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from nodeagent.content import varint
from nodeagent.content.cid import CID_BYTES, Cid
from nodeagent.content.errors import BadCid, MalformedBlock

MAX_LINKS: Final = 1024
FILE: Final = 2
DIRECTORY: Final = 1
SHARD: Final = 5
_KINDS: Final = {0: "raw", DIRECTORY: "directory", FILE: "file", 3: "metadata", 4: "symlink", SHARD: "HAMT directory"}


@dataclass(frozen=True, slots=True)
class Child:
    """A link: ``size`` file bytes below it, ``tsize`` bytes of blocks at and below it."""

    cid: Cid
    size: int
    tsize: int


def encode_link(cid: Cid, tsize: int, name: bytes = b"") -> bytes:
    """One link as it stands in a block; a file's has no name."""
    link = b"\x0a\x24" + cid.binary + b"\x12" + varint.encode(len(name)) + name + b"\x18" + varint.encode(tsize)
    return b"\x12" + varint.encode(len(link)) + link


def encode_node(children: Sequence[Child]) -> bytes:
    """The block of an intermediate node over ``children`` (at least one)."""
    links = bytearray()
    data = bytearray(b"\x08\x02\x18" + varint.encode(sum(child.size for child in children)))
    for child in children:
        links += encode_link(child.cid, child.tsize)
        data += b"\x20" + varint.encode(child.size)
    return bytes(links + b"\x0a" + varint.encode(len(data)) + data)


@functools.lru_cache(maxsize=8)  # a gateway is asked for one part of a file after the other
def decode_node(block: bytes) -> tuple[Child, ...]:
    """The children of an intermediate file node, in file order; raises ``MalformedBlock``."""
    cursor = Cursor(block)
    links: list[tuple[Cid, int]] = []
    while cursor.next_is(0x12):
        if len(links) == MAX_LINKS:
            raise MalformedBlock(f"more than {MAX_LINKS} links in one node")
        cid, name, tsize = read_link(cursor, len(links))
        if name:
            raise MalformedBlock(f"link {len(links)} has a name: this is no file")
        links.append((cid, tsize))
    if not cursor.next_is(0x0A):
        raise MalformedBlock("no UnixFS data after the links, or fields out of order")
    sizes = _file_sizes(cursor.nested("UnixFS data"), len(links))
    cursor.end("node")
    children = tuple(Child(cid, size, tsize) for (cid, tsize), size in zip(links, sizes, strict=True))
    if any(child.size == 0 for child in children):
        raise MalformedBlock("a child of no bytes")
    if encode_node(children) != block:
        raise MalformedBlock("not the canonical encoding")
    return children


@functools.lru_cache(maxsize=8)
def kind_of(block: bytes) -> int | None:
    """The UnixFS type that a dag-pb block claims (``FILE``, ``DIRECTORY``, ``SHARD``, …); none when it has none."""
    cursor = Cursor(block)
    try:
        while cursor.next_is(0x12):
            cursor.nested("link")
        cursor.expect(0x0A, "UnixFS data")
        data = cursor.nested("UnixFS data")
        data.expect(0x08, "UnixFS type")
        return data.varint()
    except MalformedBlock:
        return None


def links_of(block: bytes) -> list[Cid]:
    """What a dag-pb block links to, whatever else is wrong with it; raises ``MalformedBlock``."""
    cursor, found = Cursor(block), list[Cid]()
    while cursor.next_is(0x12):
        found.append(read_link(cursor, len(found))[0])
    return found


def read_link(cursor: Cursor, index: int) -> tuple[Cid, bytes, int]:
    """The link at ``cursor``, its tag already taken: CID, name, Tsize. ``index`` is what an error quotes."""
    cursor = cursor.nested("link")
    cursor.expect(0x0A, f"hash of link {index}")
    if cursor.varint() != CID_BYTES:
        raise MalformedBlock(f"link {index} is not a CIDv1 of sha2-256")
    try:
        cid = Cid.from_bytes(cursor.take(CID_BYTES))
    except BadCid as error:
        raise MalformedBlock(f"link {index}: {error.reason}") from error
    cursor.expect(0x12, f"name of link {index}")
    name = cursor.take(cursor.varint())
    cursor.expect(0x18, f"Tsize of link {index}")
    tsize = cursor.varint()
    cursor.end(f"link {index}")
    return cid, name, tsize


def expect_kind(data: Cursor, kind: int) -> None:
    """Take the UnixFS type at the head of a node's data; raises ``MalformedBlock`` for another than ``kind``."""
    data.expect(0x08, "UnixFS type")
    if (found := data.varint()) != kind:
        told = _KINDS.get(found, "unknown")
        raise MalformedBlock(f"UnixFS type {found} ({told}), expected {kind} ({_KINDS[kind]})")


def _file_sizes(cursor: Cursor, links: int) -> list[int]:
    expect_kind(cursor, FILE)
    if cursor.next_is(0x12, take=False):
        raise MalformedBlock("file bytes inside a dag-pb node: raw leaves are required")
    cursor.expect(0x18, "file size")
    total = cursor.varint()
    sizes = []
    while cursor.next_is(0x20):
        sizes.append(cursor.varint())
        if len(sizes) > links:
            break
    if not links or len(sizes) != links:
        raise MalformedBlock(f"{links} links, but {len(sizes)} or more block sizes")
    cursor.end("UnixFS data (packed sizes, mode and mtime are not allowed)")
    if sum(sizes) != total:
        raise MalformedBlock(f"file size {total}, but block sizes add up to {sum(sizes)}")
    return sizes


class Cursor:
    """A read position inside one bounded span of a block."""

    __slots__ = ("_data", "_end", "_pos")

    def __init__(self, data: bytes, start: int = 0, end: int | None = None) -> None:
        self._data, self._pos, self._end = data, start, len(data) if end is None else end

    def next_is(self, tag: int, *, take: bool = True) -> bool:
        found = self._pos < self._end and self._data[self._pos] == tag
        if found and take:
            self._pos += 1
        return found

    def expect(self, tag: int, what: str) -> None:
        if not self.next_is(tag):
            raise MalformedBlock(f"{what} is absent or out of order at byte {self._pos}")

    def varint(self) -> int:
        value = 0
        for shift in range(0, 63, 7):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if byte == 0 and shift:
                    raise MalformedBlock(f"number not minimally encoded before byte {self._pos}")
                return value
        raise MalformedBlock(f"number longer than 9 bytes before byte {self._pos}")

    def take(self, count: int) -> bytes:
        if count > self._end - self._pos:
            left = self._end - self._pos
            raise MalformedBlock(f"truncated: {count} bytes announced at byte {self._pos}, {left} left")
        self._pos += count
        return self._data[self._pos - count : self._pos]

    def nested(self, what: str) -> Cursor:
        length = self.varint()
        start = self._pos
        if length > self._end - start:
            raise MalformedBlock(f"truncated: {what} of {length} bytes at byte {start}, {self._end - start} left")
        self._pos += length
        return Cursor(self._data, start, self._pos)

    def end(self, what: str) -> None:
        if self._pos != self._end:
            raise MalformedBlock(f"{self._end - self._pos} unexpected bytes at the end of {what}")
