"""Calls of the kernel for which Python has no name."""

from __future__ import annotations

import ctypes
import os
from typing import Any

_libc = ctypes.CDLL(None, use_errno=True)


def syscall(number: int, *arguments: Any) -> int:
    """Raises OSError."""
    return _checked(_libc.syscall(ctypes.c_long(number), *map(_word, arguments)))


def prctl(option: int, *arguments: Any) -> int:
    """Raises OSError."""
    words = [*map(_word, arguments), *(ctypes.c_ulong(0),) * (4 - len(arguments))]
    return _checked(_libc.prctl(ctypes.c_int(option), *words))


def _word(value: Any) -> Any:
    return ctypes.c_ulong(value) if isinstance(value, int) else value


def _checked(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


_CAPABILITIES_3 = 0x20080522
_READING = (2, 1)
"""Capabilities to read whatever the walls leave: DAC_READ_SEARCH, else DAC_OVERRIDE, which containers' root has."""
_KEEPCAPS, _AMBIENT, _AMBIENT_RAISE = 8, 47, 2


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def drop_root(uid: int | None) -> None:
    """Become ``uid`` without groups or capabilities, but that of reading what the walls leave, whoever owns it.

    Without it neither an interpreter below root's home nor a payload in a private folder could be read. With None only
    the capabilities go. Raises OSError.
    """
    if uid is not None:
        prctl(_KEEPCAPS, 1)
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    held = permitted_capabilities()
    reading = next((capability for capability in _READING if held >> capability & 1), None)
    keep = 0 if reading is None else 1 << reading
    header, sets = _Header(_CAPABILITIES_3, 0), (_Sets * 2)(_Sets(keep, keep, keep))
    _checked(_libc.capset(ctypes.byref(header), ctypes.byref(sets)))
    if reading is not None:
        prctl(_AMBIENT, _AMBIENT_RAISE, reading)


def permitted_capabilities() -> int:
    """The capabilities this process may use, a bit each."""
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith("CapPrm:"))
    return int(line.split()[1], 16)
