"""The on-disk block store: one file per block, named by its CID, safe for several threads and processes.

::

    <root>/blocks/<xx>/<cid>   xx: the two characters before the last, 1,024 folders
    <root>/pins/<cid>[.label]  empty; the file is needed. All else is a cache, whose least recently used blocks may go
    <root>/tmp/                a block on its way in, already verified
    <root>/lock                shared by writers of files, exclusive for collection

Nothing unverified is ever written, not even to ``tmp``. Every read verifies; a block that rotted, or that a power cut
tore, is removed and reported as missing, so that a fetcher gets it again. Whole files that were put or imported are
safely on disk before they are pinned: nobody else may have them.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import secrets
import stat
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

import structlog

from nodeagent.content import folder, tree, unixfs
from nodeagent.content.allowance import Allowance
from nodeagent.content.car import CarReader, sections
from nodeagent.content.cid import Cid
from nodeagent.content.disk import (
    CREATE,
    disk_errors,
    locked,
    move,
    open_regular,
    read_block,
    refuse_link,
    remove_older,
    removed_on_error,
    replacing,
    sync_all,
)
from nodeagent.content.errors import BlockMissing, ContentUnavailable, WrongBytes
from nodeagent.content.pins import Pins
from nodeagent.content.sweep import Held, named, victims
from nodeagent.content.unixfs import DEFAULT_BUDGET, MAX_BLOCK_BYTES, PROFILE, Budget, Layout

_STALE_TMP_S: Final = 3600.0
_PATIENCE_S: Final = 2.0  # with writers of files, while others wait for a collection

log = structlog.get_logger(__name__)


class LocalStore:
    """Blocks under ``root``, which is created when absent. Raises ``StoreFailed`` when the disk refuses.

    ``on_corrupt(cid)`` is told of every block found rotten, after it was removed. Single blocks that come must fit into
    ``max_bytes`` (0: no limit) together with what is here, of which the least recently used makes room.
    """

    def __init__(
        self,
        root: Path,
        *,
        layout: Layout = PROFILE,
        on_corrupt: Callable[[Cid], None] | None = None,
        max_bytes: int = 0,
    ) -> None:
        self.root = Path(os.path.abspath(root))
        self._layout, self._on_corrupt, self._lock = layout, on_corrupt, self.root / "lock"
        self._blocks, pins, self._tmp = (self.root / name for name in ("blocks", "pins", "tmp"))
        self._pins = Pins(pins)
        self._allowance = Allowance(max_bytes, self.total_bytes, partial(self.collect, wait=False))
        with disk_errors("open the store"):
            for place in (self.root, self._blocks, pins, self._tmp):
                place.mkdir(mode=0o700, parents=True, exist_ok=True)
            for place in (self._blocks, pins, self._tmp):
                refuse_link(place)
            remove_older(self._tmp, _STALE_TMP_S)

    # --- whole files and folders ---

    def put_bytes(self, data: bytes, label: str = "") -> Cid:
        """Store and pin ``data`` as a file; returns its CID."""
        return self._put(io.BytesIO(data), label)

    def put_file(self, path: Path, label: str = "") -> Cid:
        """Store and pin the regular file at ``path``, a chunk at a time. Raises ``UnreadableFile``."""
        with open_regular(path) as stream:
            return self._put(stream, label)

    def put_folder(self, path: Path, label: str = "") -> Cid:
        """Store and pin the folder at ``path`` with all that is in it, as ``folder.grow`` says."""
        with locked(self._lock, fcntl.LOCK_SH):
            written = []
            for cid, block in folder.grow(path, self._layout):
                written.append(self._write(cid, block))
            self._save(written, [cid], label)
        return cid

    def read(self, cid: Cid, budget: Budget = DEFAULT_BUDGET) -> Iterator[bytes]:
        """The file's bytes, leaf by leaf. Raises ``BlockMissing`` and what ``unixfs.read`` raises."""
        return unixfs.read(cid, self.load, budget)

    def get_bytes(self, cid: Cid, max_bytes: int) -> bytes:
        """The whole file, at most ``max_bytes`` long."""
        return unixfs.read_all(cid, self.load, max_bytes)

    def file_size(self, cid: Cid, budget: Budget = DEFAULT_BUDGET) -> int:
        """Bytes in the file as its root block says, or in all files of the folder as theirs do."""
        return tree.size_of(cid, self.load, budget)

    def export(self, cid: Cid, path: Path, budget: Budget = DEFAULT_BUDGET) -> None:
        """Write the file to ``path``, replacing what is there only when it is complete and verified.

        A folder replaces nothing but an empty one: raises ``TargetInUse``.
        """
        with disk_errors(f"export to {path}"):
            if tree.is_folder(cid, self.load):
                folder.export(cid, path, self.load, budget)
                return
            with replacing(path) as out:
                for chunk in self.read(cid, budget):
                    out.write(chunk)

    def export_car(self, cid: Cid, path: Path, budget: Budget = DEFAULT_BUDGET) -> None:
        """Write the blocks of a file or folder as a CAR to ``path``, as ``export`` writes a file."""
        with disk_errors(f"export to {path}"), replacing(path) as out:
            for piece in sections(cid, self.load, budget):
                out.write(piece)

    def import_car(self, stream: BinaryIO, budget: Budget = DEFAULT_BUDGET) -> tuple[Cid, ...]:
        """Store a CAR's blocks and pin its roots; returns them.

        Raises ``MalformedCar``; ``BlockMissing`` and what ``read`` raises when a root is not whole then. Verified
        blocks that came before stay, unpinned.
        """
        reader = CarReader(stream)
        with locked(self._lock, fcntl.LOCK_SH):
            written = [self._write(cid, block) for cid, block in reader]
            for root in reader.roots:
                for _ in tree.walk(root, self.load, budget):
                    pass
            self._save(written, reader.roots)
        return reader.roots

    def has_all(self, cid: Cid, budget: Budget = DEFAULT_BUDGET) -> bool:
        """Whether every block of the file or folder is here and intact (reads all of it)."""
        try:
            for _ in tree.walk(cid, self.load, budget):
                pass
        except ContentUnavailable:
            return False
        return True

    def pin(self, cid: Cid, label: str = "") -> None:
        """Keep the file's blocks; one file may have pins of several labels, ``[a-z0-9-]{0,80}``."""
        with locked(self._lock, fcntl.LOCK_SH):  # a collection that does not know of it has ended then
            self._pins.add(cid, label)

    def unpin(self, cid: Cid, label: str = "") -> None:
        """Undo ``pin`` of that label; nothing is removed."""
        self._pins.remove(cid, label)

    def keep_labels(self, labels: Collection[str]) -> frozenset[Cid]:
        """Undo every pin that has a label but none of these; returns the files that are not pinned any more."""
        return self._pins.keep(labels)

    def pins(self) -> dict[Cid, list[str]]:
        """Every pinned file with the labels of its pins; a person's or a publisher's own has the label "" (none)."""
        return self._pins.labels()

    def collect(self, most: int = 0, *, wait: bool = True) -> int:
        """Remove blocks that no pinned file uses, least recently used first, until at most ``most`` bytes are left.

        Returns how many bytes went; none without ``wait`` when others write files for longer. A fetch of an unpinned
        file that is going on may find a block gone; it then fetches it again.
        """
        with contextlib.suppress(BlockingIOError), locked(self._lock, fcntl.LOCK_EX, None if wait else _PATIENCE_S):
            gone = victims(list(self._held()), tree.reachable(self._pins.labels(), self.load), most)
            for block in gone:
                with disk_errors(f"delete {block.cid}"), contextlib.suppress(FileNotFoundError):
                    os.unlink(self._path(block.cid))
            return sum(block.size for block in gone)
        return 0

    def spare(self, size: int) -> int:
        """Remove at least ``size`` bytes of what nobody needs, as far as that goes; returns how many."""
        return self.collect(max(0, self.total_bytes() - size), wait=False)

    # --- single blocks ---

    def load(self, cid: Cid) -> bytes:
        """One verified block; raises ``BlockMissing``, also when it was here but rotten (it is then removed)."""
        path = self._path(cid)
        with disk_errors(f"read {cid}"):
            block = read_block(path)
            if block is None:
                raise BlockMissing(str(cid))
            with contextlib.suppress(WrongBytes):
                return cid.verify(block)
            return self._expel(cid, path)

    def put_block(self, cid: Cid, block: bytes) -> None:
        """Store one block, unsynced; raises ``WrongBytes`` when it is not the one ``cid`` names, and ``StoreFull``."""
        if len(block) > MAX_BLOCK_BYTES:
            raise ValueError(f"block of {len(block)} bytes, at most {MAX_BLOCK_BYTES} allowed")
        cid.verify(block)
        self.keep(cid, block)

    def keep(self, cid: Cid, block: bytes) -> None:
        """As ``put_block``, of a block that the caller has verified: hashing costs as much as writing."""
        self._write(cid, block, self._allowance.ask)

    def has(self, cid: Cid) -> bool:
        """Whether the block named ``cid`` is here; not whether it is intact, nor the rest of its file."""
        with disk_errors(f"look for {cid}"), contextlib.suppress(FileNotFoundError):
            return stat.S_ISREG(os.lstat(self._path(cid)).st_mode)
        return False

    def block_cids(self) -> Iterator[Cid]:
        """Every block held, in no order."""
        with disk_errors("list blocks"):
            for shard in os.listdir(self._blocks):
                if not (self._blocks / shard).is_dir():
                    continue
                yield from named(os.listdir(self._blocks / shard))

    def total_bytes(self) -> int:
        """Bytes of all blocks held."""
        return sum(block.size for block in self._held())

    # --- inside ---

    def _put(self, stream: BinaryIO, label: str) -> Cid:
        with locked(self._lock, fcntl.LOCK_SH):
            written = []
            for root, block in unixfs.grow(unixfs.cut(stream, self._layout.chunk_bytes), self._layout):
                written.append(self._write(root.cid, block))
            self._save(written, [root.cid], label)
        return root.cid

    def _path(self, cid: Cid) -> Path:
        name = str(cid)  # only base32 characters: no separator, no dot
        return self._blocks / name[-3:-1] / name

    def _write(self, cid: Cid, block: bytes, ask: Callable[[int], None] | None = None) -> Path:
        """Puts a block in its place unless it is there; ``ask`` is told its size before, and may refuse."""
        path = self._path(cid)
        with disk_errors(f"store {cid}"):
            refuse_link(path.parent)
            if read_block(path) == block:
                return path
        if ask:
            ask(len(block))
        with disk_errors(f"store {cid}"):
            partial = self._tmp / secrets.token_hex(12)
            with removed_on_error(partial):
                with os.fdopen(os.open(partial, CREATE, 0o600), "wb") as out:
                    out.write(block)
                move(partial, path)
            self._allowance.note(len(block))
        return path

    def _save(self, written: Iterable[Path], roots: Iterable[Cid], label: str = "") -> None:
        """See blocks safely onto the disk, then pin the files they are."""
        with disk_errors("store a file"):
            sync_all(written)
            for root in roots:
                self._pins.add(root, label)
            self._pins.sync()

    def _expel(self, cid: Cid, path: Path) -> bytes:
        """Take a rotten block away. A good one may have replaced it meanwhile: that one goes back."""
        aside = self._tmp / secrets.token_hex(12)
        try:
            os.rename(path, aside)
        except FileNotFoundError:
            raise BlockMissing(str(cid)) from None
        block = read_block(aside)
        if block is not None and Cid.of(block, cid.codec) == cid:
            os.rename(aside, path)
            return block
        os.unlink(aside)
        log.warning("content.block_corrupt", cid=str(cid))
        if self._on_corrupt:
            self._on_corrupt(cid)
        raise BlockMissing(str(cid))

    def _held(self) -> Iterator[Held]:
        for cid in self.block_cids():
            with contextlib.suppress(FileNotFoundError):
                found = os.lstat(self._path(cid))
                yield Held(found.st_mtime, found.st_size, cid)
