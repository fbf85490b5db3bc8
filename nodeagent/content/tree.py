"""Files and folders by one address: what lies below a root, checked and within a budget.

A root is a file (``unixfs``), a directory of one block (``directory``) or a sharded one (``hamt``). Nothing a block
says about another is believed: sizes, names and slots are compared with what is found there. Memory: the links of the
directory blocks between the root and the place that was reached.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from nodeagent.content import unixfs
from nodeagent.content.cid import Cid
from nodeagent.content.dagpb import DIRECTORY, SHARD, decode_node, kind_of, links_of
from nodeagent.content.directory import MAX_NODE_BYTES, Entry, decode_directory, encoded_size
from nodeagent.content.errors import BlockMissing, BudgetExceeded, MalformedBlock, NotAFolder
from nodeagent.content.hamt import check_slot, decode_shard
from nodeagent.content.unixfs import DEFAULT_BUDGET, MAX_BLOCK_BYTES, Budget, Coming, Expect, Load

_FOLDERS: Final = (DIRECTORY, SHARD)


@dataclass(frozen=True, slots=True)
class Item:
    """A file or folder: ``path`` below the root, its parts joined by ``/``; ``size`` file bytes, none for a folder."""

    path: str
    cid: Cid
    size: int | None

    @property
    def is_folder(self) -> bool:
        return self.size is None


@dataclass(frozen=True, slots=True)
class Node:
    """A verified block of a directory."""

    cid: Cid
    block: bytes


def is_folder(root: Cid, load: Load) -> bool:
    """Whether ``root`` is a directory of any kind, as its block says (loaded unless it is raw)."""
    return not root.is_raw and kind_of(root.verify(load(root))) in _FOLDERS


def walk(
    root: Cid, load: Load, budget: Budget = DEFAULT_BUDGET, expect: Expect | None = None, *, once: bool = False
) -> Iterator[tuple[Cid, bytes]]:
    """Every block of the file or folder with its CID, a node before its children; one used twice comes twice.

    For a file this is ``unixfs.walk``; for a folder it raises the same errors. ``once``: what was walked before is
    not walked again.
    """
    if not is_folder(root, load):
        yield from unixfs.walk(root, load, budget, expect, once=once)
        return
    tree = Tree(load, budget, expect, once=once)
    for found in tree.visit(root):
        if isinstance(found, Node):
            yield found.cid, found.block
        elif not found.is_folder:
            yield from tree.blocks(found)


def contents(root: Cid, load: Load, budget: Budget = DEFAULT_BUDGET, *, deep: bool = True) -> Iterator[Item]:
    """The files and folders in the folder ``root``, and, when ``deep``, in those; a folder before what is in it.

    Leaves are not loaded. In a directory of one block names come sorted by their bytes, in a sharded one by their
    hashes. Raises ``NotAFolder`` and what ``walk`` raises.
    """
    return (found for found in Tree(load, budget).visit(root, deep=deep) if isinstance(found, Item))


def size_of(root: Cid, load: Load, budget: Budget = DEFAULT_BUDGET) -> int:
    """Bytes in the file, or in all files of the folder, as their nodes say (no leaf is loaded)."""
    if not is_folder(root, load):
        return unixfs.size_of(root, load)
    return sum(item.size or 0 for item in contents(root, load, budget))


def reachable(roots: Iterable[Cid], load: Load) -> set[Cid]:
    """The roots and every block below them, as far as blocks are here and can be read; ``load`` as in a store."""
    seen: set[Cid] = set()
    queue = list(roots)
    while queue:
        cid = queue.pop()
        if cid in seen:
            continue
        seen.add(cid)
        if not cid.is_raw:
            try:
                queue.extend(links_of(load(cid)))
            except (BlockMissing, MalformedBlock):  # strangers' blocks are stored before they are read
                continue
    return seen


@dataclass(slots=True)
class _Folder:
    """A directory that is being read: what its entries' paths begin with, and bytes if it were one block."""

    prefix: str
    depth: int
    encoded: int = encoded_size(())


@dataclass(frozen=True, slots=True)
class _Task:
    """A link to follow: an entry of ``folder``, or, without a name, its shard behind the slots ``trail``."""

    entry: Entry
    folder: _Folder
    trail: bytes = b""


class Tree:
    """One reading of one tree; it counts what it has spent of ``budget``.

    ``load(cid)`` gives a block from anywhere; each is checked against its CID before a byte of it is used. ``once``
    passes over entries whose CID was there before, so that folders within folders cost no more than their blocks.
    """

    def __init__(
        self, load: Load, budget: Budget = DEFAULT_BUDGET, expect: Expect | None = None, *, once: bool = False
    ) -> None:
        self._load, self._budget, self._expect, self._once = load, budget, expect, once
        self._seen: dict[Cid, int] = {}  # the Tsize declared first; when that is a lie, reading on raises
        self._file_budget = replace(budget, max_blocks=budget.tree_blocks)
        self._spent = {"blocks": 0, "entries": 0, "bytes": 0}
        self._stack: list[_Task | _Folder] = []

    def visit(self, root: Cid, *, deep: bool = True) -> Iterator[Node | Item]:
        """The blocks of the folder ``root`` and of those below it, and every file and folder there, in link order.

        A folder's item comes just before its first block. When not ``deep``, folders in the root are not opened.
        """
        if root.is_raw or kind_of(block := self._verified(root)) not in _FOLDERS:
            raise NotAFolder(str(root))
        yield self._open(Entry("", root, 0), block, _Folder("", 0), is_root=True)
        while self._stack:
            task = self._stack.pop()
            if isinstance(task, _Folder):  # all its shards were read
                if task.encoded <= MAX_NODE_BYTES:
                    raise MalformedBlock(f"sharded directory that fits in one block of {task.encoded} bytes")
            elif not task.entry.name:
                yield self._open(task.entry, self._verified(task.entry.cid), task.folder, task.trail)
            else:
                yield from self._enter(task.entry, task.folder, deep)

    def blocks(self, item: Item) -> Iterator[tuple[Cid, bytes]]:
        """Every block of a file that ``visit`` gave."""
        for cid, block in unixfs.walk(item.cid, self._load, self._file_budget, self._expect, once=self._once):
            if item.cid.is_raw and len(block) != item.size:
                raise MalformedBlock(f"{cid} has {len(block)} bytes, its directory declares Tsize {item.size}")
            self._spend("blocks", 1, self._budget.tree_blocks)
            yield cid, block

    def _enter(self, entry: Entry, folder: _Folder, deep: bool) -> Iterator[Node | Item]:
        path = folder.prefix + entry.name
        self._spend("entries", 1, self._budget.max_entries)
        if self._once and entry.cid in self._seen:
            _check_tsize(entry, self._seen[entry.cid])
            return
        if self._once:
            self._seen[entry.cid] = entry.tsize
        if entry.cid.is_raw:
            self._spend("bytes", entry.tsize, self._budget.max_bytes)
            yield Item(path, entry.cid, entry.tsize)
            return
        block = self._verified(entry.cid)
        if kind_of(block) not in _FOLDERS:
            children = decode_node(block)
            _check_tsize(entry, len(block) + sum(child.tsize for child in children))
            size = sum(child.size for child in children)
            self._spend("bytes", size, self._budget.max_bytes)
            yield Item(path, entry.cid, size)
            return
        if deep and folder.depth >= self._budget.max_folders:
            raise BudgetExceeded("depth", self._budget.max_folders, folder.depth + 1)
        yield Item(path, entry.cid, None)
        if deep:
            yield self._open(entry, block, _Folder(path + "/", folder.depth + 1))

    def _open(self, entry: Entry, block: bytes, folder: _Folder, trail: bytes = b"", *, is_root: bool = False) -> Node:
        """Read the block of a directory, or of one of its shards, and put what it links to on the stack."""
        self._spend("blocks", 1, self._budget.tree_blocks)
        if not trail and kind_of(block) == DIRECTORY:
            tasks = [_Task(below, folder) for below in decode_directory(block)]
        else:
            tasks = self._open_shard(block, folder, trail)
        if not is_root:
            _check_tsize(entry, len(block) + sum(task.entry.tsize for task in tasks))
        if self._expect:
            self._expect([Coming(task.entry.cid) for task in tasks])
        self._stack.extend(reversed(tasks))
        return Node(entry.cid, block)

    def _open_shard(self, block: bytes, folder: _Folder, trail: bytes) -> list[_Task]:
        slots = decode_shard(block)
        if not trail:
            self._stack.append(folder)
        elif len(slots) == 1 and not slots[0].is_shard:
            raise MalformedBlock(f"a shard of one entry, {slots[0].entry.name!r}: it belongs into the shard above")
        for slot in slots:
            check_slot(slot, trail)
            if not slot.is_shard:
                folder.encoded += len(slot.entry.encoded)
        return [_Task(slot.entry, folder, trail + bytes([slot.index])) for slot in slots]

    def _verified(self, cid: Cid) -> bytes:
        block = cid.verify(self._load(cid))
        if len(block) > MAX_BLOCK_BYTES:
            raise MalformedBlock(f"block {cid} has {len(block)} bytes, at most {MAX_BLOCK_BYTES} allowed")
        return block

    def _spend(self, what: str, count: int, limit: int) -> None:
        self._spent[what] += count
        if self._spent[what] > limit:
            raise BudgetExceeded(what, limit, self._spent[what])


def _check_tsize(entry: Entry, found: int) -> None:
    if found != entry.tsize:
        raise MalformedBlock(f"{entry.cid} has Tsize {found}, its directory declares {entry.tsize}")
