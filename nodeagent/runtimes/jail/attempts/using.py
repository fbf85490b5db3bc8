"""What it must not use up."""

from __future__ import annotations

import mmap
import os
import signal
import time
from pathlib import Path

from .common import MIB, Targets, attempt, fail


@attempt("memory-bomb")
def memory_bomb(targets: Targets) -> str:
    """More memory than a task may have, touched page by page."""
    held = []
    for _ in range(0, targets["memory"] + 64 * MIB, 16 * MIB):
        block = bytearray(16 * MIB)
        block[:: mmap.PAGESIZE] = b"\1" * len(block[:: mmap.PAGESIZE])
        held.append(block)
    return f"{len(held) * 16} MiB"


@attempt("shared-memory-bomb")
def shared_memory_bomb(targets: Targets) -> str:
    """The same in memory that processes could share, which the limit does not count."""
    held = mmap.mmap(-1, targets["memory"] + 64 * MIB, flags=mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)
    for at in range(0, len(held), mmap.PAGESIZE):
        held[at] = 1
    return f"{len(held) // MIB} MiB"


@attempt("device-memory-bomb")
def device_memory_bomb(targets: Targets) -> str:
    """The same by a device whose shared memory is anonymous."""
    with open("/dev/zero", "r+b") as zero, mmap.mmap(zero.fileno(), targets["memory"] + 64 * MIB) as held:
        for at in range(0, len(held), mmap.PAGESIZE):
            held[at] = 1
        return f"{len(held) // MIB} MiB"


@attempt("fork-bomb")
def fork_bomb(targets: Targets) -> str:
    """More processes than a task may have."""
    children: list[int] = []
    try:
        for _ in range(targets["processes"] + 8):
            child = os.fork()
            if child == 0:
                signal.pause()
                os._exit(0)
            children.append(child)
        return f"{len(children)} processes"
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


@attempt("disk-fill")
def disk_fill(targets: Targets) -> str:
    """More files than a task may write, wherever it may write."""
    written = 0
    for number in range(targets["disk"] // MIB + 8):
        with open(Path(targets["folder"]) / f"fill-{os.getpid()}-{number}", "wb", buffering=0) as file:
            written += file.write(bytes(MIB // 2)) + file.write(bytes(MIB // 2))
    return f"{written // MIB} MiB"


@attempt("large-file")
def large_file(targets: Targets) -> str:
    """One file larger than a task's may be."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with open(Path(targets["folder"]) / f"large-{os.getpid()}", "wb", buffering=0) as file:
        for _ in range(4):
            if file.write(bytes(MIB // 2)) < MIB // 2:
                return fail("the file ends there")
    return "2 MiB"


@attempt("memory-files")
def memory_files(_: Targets) -> str:
    """Files in memory, which no limit on memory counts."""
    return f"descriptor {os.memfd_create('fill')}"


@attempt("cpu-spin")
def cpu_spin(targets: Targets) -> str:
    """More processor time than a task may have."""
    while time.process_time() < targets["cpu"] + 1:
        pass
    return f"{time.process_time():.1f} s"


@attempt("open-files")
def open_files(targets: Targets) -> str:
    """More descriptors than a task may have."""
    held = [os.open("/dev/null", os.O_RDONLY) for _ in range(targets["files"] + 8)]
    return f"{len(held)} descriptors"


@attempt("new-session")
def new_session(_: Targets) -> str:
    """A session of its own, so that the agent's kill does not find it: by a child, as leaders cannot."""
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            os._exit(0)
        except OSError:
            os._exit(1)
    return "away" if os.waitpid(child, 0)[1] == 0 else fail("refused")
