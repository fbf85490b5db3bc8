"""Files that are attacks by themselves, by name: every block has the right hash, whoever serves it."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from nodeagent.content import Cid, varint
from nodeagent.content.cid import DAG_PB
from nodeagent.content.dagpb import MAX_LINKS, Child, encode_node
from nodeagent.content.errors import BudgetExceeded, ContentFault, MalformedBlock
from nodeagent.content.unixfs import DEFAULT_MAX_DEPTH, MIB

ONE_BYTE: Final = b"\x01\x70\x12\x01"
"""How a CID begins that has one byte of a node's sha256."""
HALF: Final = b"\x01\x70\x12\x10"
IDENTITY: Final = b"\x01\x70\x00\x20"


@dataclass(frozen=True, slots=True)
class Dag:
    """What ``build`` makes ends in ``error``, told as ``reason``, after ``asks`` different blocks, within a budget."""

    build: Callable[[Growing], Child]
    error: type[ContentFault]
    reason: str
    asks: int
    max_bytes: int = MIB


class Growing(dict[Cid, bytes]):
    """Blocks on their way to be a file."""

    def leaf(self, data: bytes, size: int | None = None) -> Child:
        """A leaf; its parent is told that it has ``size`` bytes."""
        self[cid := Cid.of(data)] = data
        told = len(data) if size is None else size
        return Child(cid, told, told)

    def node(self, *children: Child) -> Child:
        below = sum(child.tsize for child in children)
        return self.block(encode_node(children), sum(child.size for child in children), below)

    def block(self, block: bytes, size: int = 1, below: int = 1) -> Child:
        self[cid := Cid.of(block, DAG_PB)] = block
        return Child(cid, size, len(block) + below)


def linking(binary: bytes, tsize: int = 1) -> bytes:
    """A node over one byte, whose only link has the hash ``binary``, whatever that is."""
    link = b"\x0a" + varint.encode(len(binary)) + binary + b"\x12\x00\x18" + varint.encode(tsize)
    return b"\x12" + varint.encode(len(link)) + link + b"\x0a\x06\x08\x02\x18\x01\x20\x01"


def cycle(grow: Growing) -> Child:
    """A node that links to itself, by the first byte of its sha256."""
    nodes = (linking(ONE_BYTE + b"\x00", tsize) for tsize in itertools.count(1))
    return grow.block(next(node for node in nodes if hashlib.sha256(node).digest()[0] == 0))


def inlined(grow: Growing) -> Child:
    """A node that links to its own beginning, spelled out where the hash would be."""
    beginning = linking(IDENTITY + bytes(32))[:32]
    return grow.block(linking(IDENTITY + beginning))


def deep(grow: Growing) -> Child:
    node = grow.leaf(b"a")
    for _ in range(1000):
        node = grow.node(node)
    return node


def wide(grow: Growing) -> Child:
    """A million leaves in three blocks."""
    return grow.node(*[grow.node(*[grow.leaf(b"a")] * MAX_LINKS)] * MAX_LINKS)


def tiny_leaves(grow: Growing) -> Child:
    return grow.node(*[grow.leaf(b"%04d" % number) for number in range(MAX_LINKS)])


def fan(links: int, told: int | None = None) -> Callable[[Growing], Child]:
    """One node over ``links`` leaves of 8 KiB, which it says are of ``told`` bytes."""
    return lambda grow: grow.node(*[grow.leaf(b"%08d" % number * 1024, told) for number in range(links)])


def two_parents(grow: Growing) -> Child:
    """A node over a node that it says is larger than what that one says itself."""
    inner = grow.node(grow.leaf(b"a"))
    return grow.node(Child(inner.cid, 1000, inner.tsize))


DAGS: Final[Mapping[str, Dag]] = {
    "deep DAG": Dag(deep, BudgetExceeded, f"depth {DEFAULT_MAX_DEPTH + 1}", DEFAULT_MAX_DEPTH),
    "wide DAG": Dag(wide, BudgetExceeded, "blocks 129", 3),
    "wide DAG, small purse": Dag(wide, BudgetExceeded, f"bytes {MIB}", 1, MIB - 1),
    "tree of tiny leaves": Dag(tiny_leaves, BudgetExceeded, "blocks 65", 64, 4096),
    "size beyond all": Dag(fan(1, 1 << 62), BudgetExceeded, f"bytes {1 << 62}", 1),
    "sizes that overflow": Dag(fan(2, 1 << 62), MalformedBlock, "longer than 9 bytes", 1),
    "node of one link too many": Dag(fan(MAX_LINKS + 1, 1), MalformedBlock, f"more than {MAX_LINKS} links", 1),
    "sizes told too small": Dag(fan(200, 1), MalformedBlock, "its parent declares 1 ", 2),
    "sizes told too large": Dag(fan(100, 9000), MalformedBlock, "its parent declares 9000 ", 2),
    "child told too large": Dag(two_parents, MalformedBlock, "its parent declares 1000 ", 2),
    "children of no bytes": Dag(fan(100, 0), MalformedBlock, "a child of no bytes", 1),
    "cycle by truncated hash": Dag(cycle, MalformedBlock, "link 0 is not a CIDv1 of sha2-256", 1),
    "half a hash at full length": Dag(
        lambda grow: grow.block(linking(HALF + bytes(32))), MalformedBlock, "digest length 16, expected 32", 1
    ),
    "itself by identity hash": Dag(inlined, MalformedBlock, "hash function 0x0 (identity)", 1),
    "no node at all": Dag(lambda grow: grow.block(b"not a node"), MalformedBlock, "no UnixFS data", 1),
}
