"""Landlock: a process gives up the file system but for some paths, and signals to whoever is outside.

``landlock(7)`` and ``linux/landlock.h``. What a kernel does not know yet is left out of the rules; version 3 (Linux
6.2) is the first that keeps files from being truncated, so nothing older counts as a wall.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from .system import prctl, syscall

MIN_VERSION = 3
SCOPED_VERSION = 6  # signals and abstract sockets end at the wall
_CREATE, _ADD, _RESTRICT = 444, 445, 446  # the same on every architecture
_PATH_BENEATH = 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_ALL = {3: (1 << 15) - 1, 5: (1 << 16) - 1}  # rights of files by the version that brought the last of them
_TCP = 3
_SCOPES = 3
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_NO_NEW_PRIVS = 38
RIGHTS = {
    "run": _EXECUTE | _READ_FILE | _READ_DIR,
    "read": _READ_FILE | _READ_DIR,
    "list": _READ_DIR,
    "device": _READ_FILE | _WRITE_FILE,
    "write": _ALL[3] & ~_EXECUTE & ~_REFER,
}


class _Ruleset(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def version() -> int:
    """Version of Landlock in this kernel; 0 when it has none or does not use it."""
    try:
        return syscall(_CREATE, None, 0, 1)
    except OSError:
        return 0


def restrict(paths: Mapping[str, Sequence[str]]) -> None:
    """Leave this thread, and what it starts, nothing but ``paths``: lists by what is allowed (``RIGHTS``).

    Paths that are not there are left out. Raises OSError.
    """
    known = version()
    handled = _ALL[5] if known >= 5 else _ALL[3]
    rules = _Ruleset(handled, _TCP if known >= 4 else 0, _SCOPES if known >= SCOPED_VERSION else 0)
    size = 24 if known >= SCOPED_VERSION else 16 if known >= 4 else 8
    ruleset = syscall(_CREATE, ctypes.byref(rules), size, 0)
    try:
        for kind, places in paths.items():
            for place in places:
                if Path(place).exists():
                    _allow(ruleset, place, RIGHTS[kind] & handled)
        prctl(_NO_NEW_PRIVS, 1)
        syscall(_RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, place: str, rights: int) -> None:
    handle = os.open(place, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = _Beneath(rights if Path(place).is_dir() else rights & _FILE_RIGHTS, handle)
        syscall(_ADD, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(handle)
