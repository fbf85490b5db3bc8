"""Folders on disk, to blocks and back.

A folder is added with everything in it, hidden files too, and nothing but names and bytes is kept: no modes, owners or
times. Symbolic links, pipes, sockets, devices and names that are not UTF-8 are refused before the first block. The
folder that is named may itself be a link; below it no link is followed, whatever changes while it is read. Source of
the blocks: ``ipfs add -r --hidden`` of Kubo with the profile ``unixfs-v1-2025`` gives the same.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
from collections import deque
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final

from nodeagent.content import unixfs
from nodeagent.content.cid import Cid
from nodeagent.content.directory import Entry, name_fault
from nodeagent.content.disk import CREATE, sync_folder
from nodeagent.content.errors import TargetInUse, UnreadableFile
from nodeagent.content.hamt import grow_directory
from nodeagent.content.tree import Item, Tree
from nodeagent.content.unixfs import DEFAULT_BUDGET, MAX_FOLDERS, PROFILE, Budget, Layout, Load

_OPEN: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_REFUSED: Final = (
    (stat.S_ISLNK, "it is a symbolic link"),
    (stat.S_ISFIFO, "it is a pipe"),
    (stat.S_ISSOCK, "it is a socket"),
    (stat.S_ISBLK, "it is a device"),
    (stat.S_ISCHR, "it is a device"),
)


def grow(path: Path, layout: Layout = PROFILE) -> Iterator[tuple[Cid, bytes]]:
    """Every block of the folder at ``path``: children before parents, the root last.

    The whole tree is looked through before the first block is read. Raises ``UnreadableFile``. Memory: a chunk, and the
    entries of the folders between the root and the file that is read.
    """
    where = str(path)
    with _opened(path, where, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) as handle:
        _survey(handle, where, 0)
        yield from _grow(handle, where, layout)


def folder_cid(path: Path, layout: Layout = PROFILE) -> Cid:
    """The CID a folder would have, storing nothing."""
    (last,) = deque(grow(path, layout), maxlen=1)
    return last[0]


def export(root: Cid, path: Path, load: Load, budget: Budget = DEFAULT_BUDGET) -> None:
    """Write the folder ``root`` to ``path``, which appears only when all of it is verified and on disk.

    Nothing is replaced but an empty folder: raises ``TargetInUse``, and what ``tree.walk`` raises. Names were checked
    when they were read: nothing is written outside.
    """
    path = Path(os.path.abspath(path))
    _refuse_used(path)
    partial = path.with_name(f".{path.name[:40]}.{secrets.token_hex(6)}")
    try:
        partial.mkdir()
        tree = Tree(load, budget)
        for item in tree.visit(root):
            if isinstance(item, Item):
                _write(item, tree, partial)
        os.sync()  # once for all: a file each costs milliseconds, thousands of times
        _refuse_used(path)
        os.rename(partial, path)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    sync_folder(path.parent)


def _write(item: Item, tree: Tree, folder: Path) -> None:
    if item.is_folder:
        (folder / item.path).mkdir()
        return
    with os.fdopen(os.open(folder / item.path, CREATE, 0o644), "wb") as out:
        for cid, block in tree.blocks(item):
            if cid.is_raw:
                out.write(block)


def _refuse_used(path: Path) -> None:
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise TargetInUse(str(path), "it is there and no folder")
    if path.exists() and any(path.iterdir()):
        raise TargetInUse(str(path), "it is there and not empty")


def _survey(handle: int, where: str, depth: int) -> None:
    """Raise ``UnreadableFile`` for the first thing in the folder, and in those below, that cannot be added."""
    if depth > MAX_FOLDERS:
        raise UnreadableFile(where, f"it is more than {MAX_FOLDERS} folders deep")
    for name in _names(handle, where):
        with _opened_in(handle, where, name) as (below, is_folder):
            if is_folder:
                _survey(below, f"{where}/{name}", depth + 1)


def _grow(handle: int, where: str, layout: Layout) -> Generator[tuple[Cid, bytes], None, tuple[Cid, int]]:
    entries = []
    for name in _names(handle, where):
        with _opened_in(handle, where, name) as (below, is_folder):
            grown = (_grow if is_folder else _grow_file)(below, f"{where}/{name}", layout)
            cid, tsize = yield from grown
        entries.append(Entry(name, cid, tsize))
    try:
        for root, block in grow_directory(entries):
            yield root.cid, block
    except UnreadableFile as error:
        raise UnreadableFile(f"{where}/{error.path}", error.reason) from error
    return root.cid, root.tsize


def _grow_file(handle: int, where: str, layout: Layout) -> Generator[tuple[Cid, bytes], None, tuple[Cid, int]]:
    with os.fdopen(handle, "rb", closefd=False) as stream, _reading(where):
        for child, block in unixfs.grow(unixfs.cut(stream, layout.chunk_bytes), layout):
            yield child.cid, block
    return child.cid, child.tsize


def _names(handle: int, where: str) -> list[str]:
    with _reading(where):
        names = sorted(map(os.fsencode, os.listdir(handle)))
    for name in names:
        if fault := name_fault(name):
            raise UnreadableFile(f"{where}/{name.decode(errors='backslashreplace')}", f"its name {fault}")
    return [name.decode() for name in names]


@contextlib.contextmanager
def _opened_in(folder: int, where: str, name: str) -> Iterator[tuple[int, bool]]:
    """A handle on ``name`` in ``folder``, and whether it is a folder; raises ``UnreadableFile`` for what is no file."""
    where = f"{where}/{name}"
    with _reading(where):
        _refuse_special(os.stat(name.encode(), dir_fd=folder, follow_symlinks=False).st_mode, where)
    with _opened(name.encode(), where, _OPEN, folder) as handle:
        mode = os.fstat(handle).st_mode
        _refuse_special(mode, where)  # it may have been exchanged meanwhile
        yield handle, stat.S_ISDIR(mode)


def _refuse_special(mode: int, where: str) -> None:
    for is_one, reason in _REFUSED:
        if is_one(mode):
            raise UnreadableFile(where, reason)


@contextlib.contextmanager
def _opened(path: Path | bytes, where: str, flags: int, folder: int | None = None) -> Iterator[int]:
    with _reading(where):
        handle = os.open(path, flags, dir_fd=folder)
    try:
        yield handle
    finally:
        os.close(handle)


@contextlib.contextmanager
def _reading(where: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnreadableFile(where, error.strerror or str(error)) from error
