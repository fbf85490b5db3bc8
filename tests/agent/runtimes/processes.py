"""What runs below a process, seen from outside."""

from __future__ import annotations

import os
import select
from pathlib import Path


def descendants(pid: int) -> list[int]:
    """Everything a process has started, nearest first."""
    direct = [int(item) for item in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [*direct, *(below for child in direct for below in descendants(child))]


def node_of(pid: int) -> int:
    """The Node worker below an executor, whatever is between them."""
    (found,) = (p for p in descendants(pid) if b"/worker.mjs" in Path(f"/proc/{p}/cmdline").read_bytes())
    return found


def alive(pid: int) -> bool:
    """Whether the process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_end(pid: int) -> None:
    """Block until the process, which need not be our child, has ended."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return

    poll = select.poll()
    poll.register(handle, select.POLLIN)
    assert poll.poll(20_000), f"process {pid} still runs"
    os.close(handle)
