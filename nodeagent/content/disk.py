"""Files on disk the careful way: no links followed, no half-written file under its name, errors typed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import stat
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from nodeagent.content.errors import StoreFailed, UnreadableFile
from nodeagent.content.unixfs import MAX_BLOCK_BYTES

CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_USED_S: Final = 3600.0  # how exactly the last use of a block is known
_FOREIGN: Final = secrets.token_bytes(32)  # stands for what is no block; no CID anybody asks for can name it


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading; raises ``UnreadableFile`` for anything else (folder, pipe, no permission)."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise UnreadableFile(str(path), error.strerror or str(error)) from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise UnreadableFile(str(path), "it is not a regular file")
    return os.fdopen(handle, "rb")


def read_block(path: Path) -> bytes | None:
    """The bytes at ``path``; none when absent; bytes no CID names when it is a link, a pipe or too large.

    Its time of modification tells the hour of its last use.
    """
    try:
        handle = os.open(path, _READ)
    except FileNotFoundError:
        return None
    except OSError:
        if path.is_symlink():
            return _FOREIGN
        raise
    kind = os.fstat(handle)
    if not stat.S_ISREG(kind.st_mode) or kind.st_size > MAX_BLOCK_BYTES:
        os.close(handle)
        return _FOREIGN
    with os.fdopen(handle, "rb") as stream:
        if time.time() - kind.st_mtime > _USED_S:
            with contextlib.suppress(OSError):  # a disk that only reads
                os.utime(handle)
        return stream.read()


def refuse_link(folder: Path) -> None:
    """Raise ``StoreFailed`` when ``folder`` is a symbolic link."""
    if folder.is_symlink():
        raise StoreFailed(f"{folder} is a symbolic link", hint="the store's own folders must be real; move it back")


def sync_file(out: BinaryIO) -> None:
    """Flush ``out`` to the disk itself."""
    out.flush()
    os.fsync(out.fileno())


def sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` survive a power cut."""
    _sync(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def sync_all(files: Iterable[Path]) -> None:
    """Make files and their names survive a power cut. All at once costs a third of one after each write."""
    paths = set(files)
    for path in paths:
        with contextlib.suppress(FileNotFoundError):  # found rotten and expelled meanwhile
            _sync(path, _READ)
    for folder in {path.parent for path in paths}:
        sync_folder(folder)


def _sync(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def removed_on_error(partial: Path) -> Iterator[None]:
    """Leave no partial file behind, whatever ended the write."""
    try:
        yield
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def move(partial: Path, path: Path) -> None:
    """Put a file in its place, whose folder is made when it is the first there."""
    try:
        os.replace(partial, path)
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        os.replace(partial, path)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file beside ``path`` to write into; it takes the place of what is there only when all of it is on disk."""
    path = Path(os.path.abspath(path))
    partial = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    with removed_on_error(partial):
        with os.fdopen(os.open(partial, CREATE, 0o644), "wb") as out:
            yield out
            sync_file(out)
        os.replace(partial, path)
    sync_folder(path.parent)


def remove_older(folder: Path, seconds: float) -> None:
    """Remove the files of ``folder`` that were not written to for so long."""
    oldest = time.time() - seconds
    for left in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if left.lstat().st_mtime < oldest:
                left.unlink()


@contextlib.contextmanager
def locked(path: Path, mode: int, patience_s: float | None = None) -> Iterator[None]:
    """Hold a lock among processes and threads: ``fcntl.LOCK_SH`` with others of its kind, ``LOCK_EX`` alone.

    With ``patience_s`` it raises ``BlockingIOError`` when others have not let go by then.
    """
    with disk_errors(f"lock {path}"):
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        _take(lock, mode, patience_s)
        yield
    finally:
        os.close(lock)


def _take(lock: int, mode: int, patience_s: float | None) -> None:
    if patience_s is None:
        fcntl.flock(lock, mode)
        return
    until = time.monotonic() + patience_s
    while True:
        try:
            return fcntl.flock(lock, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise
            time.sleep(0.02)


@contextlib.contextmanager
def disk_errors(action: str) -> Iterator[None]:
    """Turn ``OSError`` into ``StoreFailed`` that names ``action``."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise StoreFailed(f"cannot {action}: {reason}", hint="check disk space and permissions") from error
