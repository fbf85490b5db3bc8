"""Files as trees of blocks: a streaming builder and a streaming, budgeted reader.

Profile ``unixfs-v1-2025``: 1 MiB raw leaves, at most 1,024 links a node, balanced (every leaf equally deep),
CIDv1. A file of at most one chunk is one raw block. Memory is one chunk plus one partly filled node a level.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final, NamedTuple

from nodeagent.content.cid import DAG_PB, Cid
from nodeagent.content.dagpb import MAX_LINKS, Child, decode_node, encode_node
from nodeagent.content.errors import BudgetExceeded, MalformedBlock

MIB: Final = 1 << 20
CHUNK_BYTES: Final = MIB
MAX_BLOCK_BYTES: Final = 2 * MIB
DEFAULT_MAX_DEPTH: Final = 3
MAX_FOLDERS: Final = 64

Emit = Callable[[Cid, bytes], None]
Load = Callable[[Cid], bytes]  # gives the block after it verified it against its CID, or raises
Span = tuple[int, int]  # the first and the last byte of a part of a file


class Coming(NamedTuple):
    """A block whose turn comes. Of a file: the node that links to it, and where among that node's file bytes."""

    cid: Cid
    node: Cid | None = None
    start: int = 0
    size: int = 0


Expect = Callable[[Sequence[Coming]], None]


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is cut: bytes per leaf and links per node. The default is the profile."""

    chunk_bytes: int = CHUNK_BYTES
    max_links: int = MAX_LINKS

    def __post_init__(self) -> None:
        if not 1 <= self.chunk_bytes <= MAX_BLOCK_BYTES:
            raise ValueError(f"chunk_bytes {self.chunk_bytes}, expected 1 to {MAX_BLOCK_BYTES}")
        if not 2 <= self.max_links <= MAX_LINKS:
            raise ValueError(f"max_links {self.max_links}, expected 2 to {MAX_LINKS}")


PROFILE: Final = Layout()


@dataclass(frozen=True, slots=True)
class Budget:
    """What a reader may spend: file bytes, levels of nodes above the leaves, blocks of any kind.

    ``max_blocks`` defaults to what leaves of 16 KiB need, so that a tree of tiny leaves cannot cost a read each. Below
    a directory the bytes are those of all files, and there are entries and folders within folders to count.
    """

    max_bytes: int = 1 << 30
    max_depth: int = DEFAULT_MAX_DEPTH
    max_blocks: int | None = None
    max_entries: int = 1 << 18
    max_folders: int = MAX_FOLDERS

    @property
    def blocks(self) -> int:
        return self.max_blocks if self.max_blocks is not None else 64 + self.max_bytes // 16_384

    @property
    def tree_blocks(self) -> int:
        """As ``blocks``, for a folder: a small file each entry, and as many directories and shards."""
        return self.max_blocks if self.max_blocks is not None else self.blocks + 2 * self.max_entries


DEFAULT_BUDGET: Final = Budget()


def cut(stream: BinaryIO, chunk_bytes: int = CHUNK_BYTES) -> Iterator[bytes]:
    """The bytes of ``stream`` in chunks of ``chunk_bytes``, only the last one shorter; short reads are joined."""
    while chunk := read_up_to(stream, chunk_bytes):
        yield chunk
        if len(chunk) < chunk_bytes:
            return


def read_up_to(stream: BinaryIO, count: int) -> bytes:
    """``count`` bytes, fewer only at the end; short reads (pipes, sockets) are joined."""
    data = stream.read(count)
    while data and len(data) < count and (more := stream.read(count - len(data))):
        data += more
    return data


def grow(chunks: Iterable[bytes], layout: Layout = PROFILE) -> Iterator[tuple[Child, bytes]]:
    """Every block of the tree over ``chunks`` (as ``cut`` gives them): children before parents, the root last."""
    levels: list[list[Child]] = [[]]

    def push(level: int, child: Child) -> Iterator[tuple[Child, bytes]]:
        if level == len(levels):
            levels.append([])
        if len(levels[level]) == layout.max_links:
            yield from close(level)
        levels[level].append(child)

    def close(level: int) -> Iterator[tuple[Child, bytes]]:
        children, levels[level] = levels[level], []
        block = encode_node(children)
        size, tsize = sum(c.size for c in children), len(block) + sum(c.tsize for c in children)
        node = Child(Cid.of(block, DAG_PB), size, tsize)
        yield node, block
        yield from push(level + 1, node)

    for chunk in chunks:
        leaf = Child(Cid.of(chunk), len(chunk), len(chunk))
        yield leaf, chunk
        yield from push(0, leaf)
    if not levels[0]:
        yield Child(Cid.of(b""), 0, 0), b""
        return
    level = 0
    while level + 1 < len(levels) or len(levels[level]) > 1:
        yield from close(level)
        level += 1


def build(chunks: Iterable[bytes], emit: Emit, layout: Layout = PROFILE) -> Child:
    """Build the tree over ``chunks`` and return its root with both sizes.

    ``emit(cid, block)`` is called once per block, children before parents, the root last.
    """
    for child, block in grow(chunks, layout):
        emit(child.cid, block)
    return child


def file_cid(stream: BinaryIO, layout: Layout = PROFILE) -> Cid:
    """The CID a file would have, storing nothing."""
    return build(cut(stream, layout.chunk_bytes), lambda _cid, _block: None, layout).cid


def walk(
    root: Cid,
    load: Load,
    budget: Budget = DEFAULT_BUDGET,
    expect: Expect | None = None,
    *,
    span: Span | None = None,
    once: bool = False,
) -> Iterator[tuple[Cid, bytes]]:
    """Every block of the file with its CID, a node before its children, in file order; one used twice comes twice.

    Each block is checked against the sizes its parent declared. Raises ``MalformedBlock``, ``BudgetExceeded`` and
    whatever ``load`` raises. Sizes too large are known from the root, before any leaf is loaded. ``expect`` is told
    which blocks come next, before those it was told of earlier. ``span``: only the root and what has some of its bytes.
    ``once``: what was walked before, declared alike and as deep, is passed over, so that a file costs no more than its
    blocks however often they are used.
    """
    blocks, seen = 0, set[tuple[Child, int, Span]]()
    stack: list[tuple[Cid, Child | None, int, int]] = [(root, None, 0, 0)]
    while stack:
        cid, declared, depth, begin = stack.pop()
        if once and declared is not None:
            if (key := (declared, depth, _part(declared, begin, span))) in seen:
                continue
            seen.add(key)
        blocks += 1
        if blocks > budget.blocks:
            raise BudgetExceeded("blocks", budget.blocks, blocks)
        if not cid.is_raw and depth >= budget.max_depth:
            raise BudgetExceeded("depth", budget.max_depth, depth + 1)
        children, found = _read_block(cid, block := load(cid))
        if declared is None and found.size > budget.max_bytes:
            raise BudgetExceeded("bytes", budget.max_bytes, found.size)
        if declared is not None and found != declared:
            raise MalformedBlock(
                f"{cid} holds {found.size} file bytes (Tsize {found.tsize}), "
                f"its parent declares {declared.size} (Tsize {declared.tsize})"
            )
        _check_leaves(cid, children)
        below = list(zip(_starts(children), children, strict=True))
        if expect and below:
            expect([Coming(child.cid, cid, start, child.size) for start, child in below])
        for start, child in reversed(below):
            if span is None or (begin + start <= span[1] and begin + start + child.size > span[0]):
                stack.append((child.cid, child, depth + 1, begin + start))
        yield cid, block


def read(root: Cid, load: Load, budget: Budget = DEFAULT_BUDGET) -> Iterator[bytes]:
    """The file's bytes, leaf by leaf, in order; raises as ``walk`` does."""
    return (block for cid, block in walk(root, load, budget) if cid.is_raw)


def read_all(root: Cid, load: Load, max_bytes: int) -> bytes:
    """The whole file in memory, at most ``max_bytes`` long; raises as ``read`` does."""
    return b"".join(read(root, load, Budget(max_bytes=max_bytes)))


def size_of(root: Cid, load: Load) -> int:
    """Bytes in the file, as its root block says (one block is loaded)."""
    block = load(root)
    return len(block) if root.is_raw else sum(child.size for child in decode_node(block))


def _starts(children: Sequence[Child]) -> Iterator[int]:
    """Where the bytes of each child begin."""
    start = 0
    for child in children:
        yield start
        start += child.size


def _part(child: Child, begin: int, span: Span | None) -> Span:
    """Which of its own bytes a child has in ``span``; it begins at ``begin``."""
    first, last = span or (begin, begin + child.size - 1)
    return max(0, first - begin), min(child.size - 1, last - begin)


def _read_block(cid: Cid, block: bytes) -> tuple[tuple[Child, ...], Child]:
    """What a block links to, and what it is found to be itself."""
    if len(block) > MAX_BLOCK_BYTES:
        raise MalformedBlock(f"block {cid} has {len(block)} bytes, at most {MAX_BLOCK_BYTES} allowed")
    if cid.is_raw:
        return (), Child(cid, len(block), len(block))
    children = decode_node(block)
    return children, Child(cid, sum(c.size for c in children), len(block) + sum(c.tsize for c in children))


def _check_leaves(node: Cid, children: Sequence[Child]) -> None:
    """That none is declared larger than a block may be: who asks for several at once must know how much may come."""
    for child in children:
        if child.cid.is_raw and child.size > MAX_BLOCK_BYTES:
            raise MalformedBlock(f"{child.cid} is one block, {node} declares {child.size} bytes for it")
