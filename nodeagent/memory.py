"""How the C library deals with memory that was freed."""

from __future__ import annotations

import ctypes
from typing import Final

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_KEPT_BYTES: Final = 32 << 20
_MAPPED_BYTES: Final = 4 << 20  # larger pieces are mapped each by itself; a block has at most 2 MiB


def keep_freed_memory() -> None:
    """Has this process keep up to 32 MiB that it freed, where the C library is glibc.

    Else each block of 1 MiB that comes and goes is mapped, zeroed and unmapped anew, 256 page faults a block: in a
    virtual machine a quarter of what a fetch costs the processor (``make bench-content``).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_MMAP_THRESHOLD, _MAPPED_BYTES)
