"""A directory in one dag-pb block: its entries sorted by the bytes of their names.

Bytes, in this order and no other (source: UnixFS specification, profile ``unixfs-v1-2025`` of IPIP-499)::

    for each entry   12 len { 0a 24 <cid: 36 bytes>  12 len <name>  18 <tsize> }
    then             0a 02 { 08 01 }

One whose block would be larger than 256 KiB is sharded instead (``content.hamt``); 262,144 bytes still are one block.
Decoding accepts exactly what encoding produces; anything else is ``MalformedBlock``. Kubo 0.42 breaks the rule when a
directory with many folders in it is larger by less than a name: it may leave that in one block, which is refused here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from nodeagent.content.cid import Cid
from nodeagent.content.dagpb import DIRECTORY, Cursor, encode_link, expect_kind, read_link
from nodeagent.content.errors import MalformedBlock

MAX_NAME_BYTES: Final = 255
MAX_NODE_BYTES: Final = 256 * 1024
_DATA: Final = b"\x0a\x02\x08\x01"


@dataclass(frozen=True, slots=True)
class Entry:
    """A name in a directory: ``tsize`` bytes of blocks at and below ``cid``, for a raw block its length."""

    name: str
    cid: Cid
    tsize: int

    @property
    def encoded(self) -> bytes:
        """The link as it stands in a directory of one block."""
        return encode_link(self.cid, self.tsize, self.name.encode())


def encoded_size(entries: Sequence[Entry]) -> int:
    """Bytes of the block ``encode_directory`` would give."""
    return len(_DATA) + sum(len(entry.encoded) for entry in entries)


def encode_directory(entries: Sequence[Entry]) -> bytes:
    """The block of a directory of ``entries``, in any order, with names as ``name_fault`` allows, no two the same."""
    links = sorted((entry.name.encode(), entry.encoded) for entry in entries)
    return b"".join(link for _, link in links) + _DATA


def decode_directory(block: bytes) -> tuple[Entry, ...]:
    """The entries of a directory of one block, in its order; raises ``MalformedBlock``."""
    if len(block) > MAX_NODE_BYTES:
        raise MalformedBlock(f"directory of {len(block)} bytes in one block: above {MAX_NODE_BYTES} it is sharded")
    cursor, links = Cursor(block), list[tuple[Cid, bytes, int]]()
    while cursor.next_is(0x12):
        links.append(read_link(cursor, len(links)))
    cursor.expect(0x0A, "UnixFS data")
    data = cursor.nested("UnixFS data")
    expect_kind(data, DIRECTORY)
    data.end("UnixFS data (sizes, mode and mtime are not allowed)")
    cursor.end("node")
    for index, ((_, before, _), (_, name, _)) in enumerate(pairwise(links), 1):
        if before >= name:
            raise MalformedBlock(f"the name of link {index} is {'twice there' if before == name else 'not in order'}")
    entries = tuple(Entry(read_name(name, index), cid, tsize) for index, (cid, name, tsize) in enumerate(links))
    if encode_directory(entries) != block:
        raise MalformedBlock("not the canonical encoding")
    return entries


def read_name(name: bytes, index: int) -> str:
    """The text of link ``index``'s name; raises ``MalformedBlock`` for one that no file in a folder can have."""
    if fault := name_fault(name):
        raise MalformedBlock(f"the name of link {index} {fault}")
    return name.decode()


def name_fault(name: bytes) -> str | None:
    """Why ``name`` cannot be an entry's, as the end of a sentence; none when it can."""
    if not name:
        return "is empty"
    if len(name) > MAX_NAME_BYTES:
        return f"has {len(name)} bytes, at most {MAX_NAME_BYTES} allowed"
    if name in (b".", b".."):
        return f"is {name.decode()!r}"
    if stray := next((sign for sign in (b"/", b"\0") if sign in name), None):
        return f"contains {stray.decode()!r}"
    try:
        name.decode()
    except UnicodeDecodeError:
        return "is not UTF-8"
    return None
