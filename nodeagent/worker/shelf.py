"""Models on disk by CID, within the operator's budget. The least recently used makes room, never one in use."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog

from nodeagent.runtimes.errors import Pass

log = structlog.get_logger(__name__)


class NoRoom(Pass):
    """The operator's limits, or the disk, leave no room for a payload."""


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes: how many the models may take together, and how many of the disk no payload may touch."""

    max_bytes: int = 20 << 30
    min_free_bytes: int = 1 << 30


@dataclass(slots=True)
class _Place:
    size: int
    users: int = 0


def free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


class Shelf:
    """Thread-safe. ``folder`` holds one file a model; what a crash left half written is removed.

    ``spare(size)`` frees so many bytes elsewhere on the disk, as far as it can, before a model has to go.
    """

    def __init__(
        self,
        folder: Path,
        room: Room,
        free: Callable[[Path], int] = free_bytes,
        spare: Callable[[int], object] = lambda _: None,
    ) -> None:
        self._folder, self._room, self._free, self._spare = folder, room, free, spare
        self._lock = threading.Lock()
        self._writing = 0  # bytes that are about to be written anywhere
        folder.mkdir(parents=True, exist_ok=True)
        found = [(file.stat(), file) for file in folder.iterdir()]
        for _, file in found:
            if file.suffix == ".part":
                file.unlink()
        kept = sorted((stat.st_mtime, file.name, stat.st_size) for stat, file in found if file.suffix != ".part")
        self._places = {name: _Place(size) for _, name, size in kept}  # least recently used first
        self._make_room(0, evict=True)

    @contextlib.contextmanager
    def using(self, cid: str, size: int, *, evict: bool) -> Iterator[Path]:
        """A model's place, there or to be filled by a rename, which nothing takes away meanwhile. Raises NoRoom.

        Only with ``evict`` others make room for it.
        """
        path = self._folder / cid
        with self._lock:
            place = self._places.pop(cid, None)
            if place is None:
                self._make_room(size, evict=evict)
                place = _Place(size)
            place.users += 1
            self._places[cid] = place  # the most recent is the last
        try:
            with contextlib.suppress(OSError):
                os.utime(path)  # a restart finds the same order
            yield path
        finally:
            with self._lock:
                place.users -= 1
                if path.exists():
                    place.size = path.stat().st_size
                elif not place.users:
                    del self._places[cid]

    @contextlib.contextmanager
    def writing(self, size: int, *, evict: bool) -> Iterator[None]:
        """Raises NoRoom unless ``size`` more bytes leave the disk enough. With ``evict`` models make room."""
        if (short := self._short(size)) > 0:
            self._spare(short)  # may wait for others: not under the lock
        with self._lock:
            idle = self._idle() if evict else []
            short = self._short(size)
            if short > sum(self._places[cid].size for cid in idle):
                raise NoRoom(f"the disk is {short} bytes short of the {self._room.min_free_bytes} to be left free")
            for cid in idle:
                if short <= 0:
                    break
                short -= self._remove(cid)
            self._writing += size
        try:
            yield
        finally:
            with self._lock:
                self._writing -= size

    def drop(self, cid: str) -> None:
        """Removes a model of no use any more, unless somebody uses it."""
        with self._lock:
            if cid in self._idle():
                self._remove(cid)

    def _short(self, size: int) -> int:
        return self._room.min_free_bytes + self._writing + size - self._free(self._folder)

    def _idle(self) -> list[str]:
        return [cid for cid, place in self._places.items() if not place.users]

    def _make_room(self, size: int, *, evict: bool) -> None:
        idle = self._idle() if evict else []
        over = sum(place.size for place in self._places.values()) + size - self._room.max_bytes
        if over > sum(self._places[cid].size for cid in idle):
            raise NoRoom(
                f"a model of {size} bytes is {over} bytes over the {self._room.max_bytes} that models may take"
            )
        for cid in idle:
            if over <= 0:
                return
            over -= self._remove(cid)

    def _remove(self, cid: str) -> int:
        size = self._places.pop(cid).size
        (self._folder / cid).unlink(missing_ok=True)
        log.info("model_removed", cid=cid, bytes=size)
        return size
