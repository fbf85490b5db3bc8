"""CAR v1: the blocks of a file or folder in one stream, written and read with one block in memory.

::

    varint n   { dag-cbor {"roots": [cid, …], "version": 1} : n bytes }
    then for each block   varint n   { cid: 36 bytes, block }

Written depth first, a node before its children, each block once (``order=dfs; dups=n``). Source: the IPLD CARv1
specification.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO, Final

from nodeagent.content import unixfs, varint
from nodeagent.content.cid import CID_BYTES, Cid
from nodeagent.content.errors import BadCid, MalformedCar, WrongBytes
from nodeagent.content.tree import walk
from nodeagent.content.unixfs import DEFAULT_BUDGET, MAX_BLOCK_BYTES, Budget, Load, Span, read_up_to

RAW_TYPE: Final = "application/vnd.ipld.raw"  # of a block in an answer over HTTP
CAR_TYPE: Final = "application/vnd.ipld.car"
MAX_ROOTS: Final = 16
_ROOTS: Final = b"\xa2\x65roots"  # a map of two; its keys are in dag-cbor's order, the shorter one first
_CID: Final = b"\xd8\x2a\x58\x25\x00"  # tag 42, a byte string of 37: a zero and the CID
_VERSION: Final = b"\x67version\x01"
_LINK_BYTES: Final = len(_CID) + CID_BYTES
_MAX_SECTION: Final = CID_BYTES + MAX_BLOCK_BYTES


def header(roots: Sequence[Cid]) -> bytes:
    """What a CAR begins with, its length included; at most 16 roots."""
    if not 1 <= len(roots) <= MAX_ROOTS:
        raise ValueError(f"{len(roots)} roots, expected 1 to {MAX_ROOTS}")
    body = _ROOTS + bytes((0x80 + len(roots),)) + b"".join(_CID + cid.binary for cid in roots) + _VERSION
    return varint.encode(len(body)) + body


def section(cid: Cid, block: bytes) -> bytes:
    """One block as a CAR holds it."""
    return varint.encode(CID_BYTES + len(block)) + cid.binary + block


def sections(root: Cid, load: Load, budget: Budget = DEFAULT_BUDGET, span: Span | None = None) -> Iterator[bytes]:
    """A CAR of what is below ``root``: its header once that was read, then each block behind its length and CID.

    ``span``: only of those bytes of the file ``root``. Raises what ``tree.walk`` raises. Memory: a block, and 36 bytes
    for each one that was written.
    """
    written: set[Cid] = set()
    if span is None:
        blocks = walk(root, load, budget, once=True)
    else:
        blocks = unixfs.walk(root, load, budget, span=span, once=True)
    for cid, block in blocks:
        if not written:
            yield header([root])
        if cid not in written:
            written.add(cid)
            yield section(cid, block)


class CarReader:
    """Reads a CAR from ``stream``: ``roots`` at once, then ``(cid, block)`` by iterating, each block verified.

    Raises ``MalformedCar``, also for a block of another kind than ours or one that is not what its CID says.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        length = self._length("header", _LINK_BYTES * MAX_ROOTS + 64)
        self.roots = _read_header(self._bytes("header", length or 0))
        self.blocks = 0

    def __iter__(self) -> Iterator[tuple[Cid, bytes]]:
        while (length := self._length(what := f"block {self.blocks}", _MAX_SECTION)) is not None:
            cid = self._cid(self._bytes(what, min(length, CID_BYTES)))
            block = self._bytes(what, length - CID_BYTES)
            try:
                yield cid, cid.verify(block)
            except WrongBytes as error:
                raise MalformedCar(f"the bytes of block {self.blocks} are not those of {cid}") from error
            self.blocks += 1

    def _cid(self, binary: bytes) -> Cid:
        try:
            return Cid.from_bytes(binary)
        except BadCid as error:
            raise MalformedCar(f"block {self.blocks}: {error.reason}") from error

    def _bytes(self, what: str, count: int) -> bytes:
        found = read_up_to(self._stream, count)
        if len(found) < count:
            raise MalformedCar(f"it ends inside {what}, {count - len(found)} bytes short")
        return found

    def _length(self, what: str, most: int) -> int | None:
        """The length of the next piece, at most so large; none at the stream's end."""
        value = 0
        for shift in range(0, 35, 7):
            byte = self._stream.read(1)
            if not byte:
                if shift == 0:
                    return None
                raise MalformedCar(f"it ends inside the length of {what}")
            value |= (byte[0] & 0x7F) << shift
            if byte[0] < 0x80:
                if value > most:
                    raise MalformedCar(f"{what} has {value} bytes, at most {most} allowed")
                return value
        raise MalformedCar(f"the length of {what} is longer than 5 bytes")


def _read_header(body: bytes) -> tuple[Cid, ...]:
    """The roots; only version 1 in its one dag-cbor spelling is taken."""
    count = body[len(_ROOTS)] - 0x80 if body.startswith(_ROOTS) and len(body) > len(_ROOTS) else -1
    links = body[len(_ROOTS) + 1 : -len(_VERSION)]
    spelled = body.endswith(_VERSION) and 1 <= count <= MAX_ROOTS and len(links) == count * _LINK_BYTES
    if not spelled or any(links[i : i + len(_CID)] != _CID for i in range(0, len(links), _LINK_BYTES)):
        told = "it is empty" if not body else f"its header is not that of version 1 with 1 to {MAX_ROOTS} CIDv1 roots"
        raise MalformedCar(told)
    try:
        return tuple(Cid.from_bytes(links[i + len(_CID) : i + _LINK_BYTES]) for i in range(0, len(links), _LINK_BYTES))
    except BadCid as error:
        raise MalformedCar(f"root: {error.reason}") from error
