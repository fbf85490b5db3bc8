"""Starting a child that will touch untrusted bytes, in the jail that this machine has."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path

from .jail.cell import Cell, Limits, environment
from .jail.walls import Jail
from .types import ExecutorLimits

_NODE_S = 30


def cell_limits(limits: ExecutorLimits) -> Limits:
    """The part of an executor's limits that the kernel keeps."""
    return Limits(limits.data_bytes, limits.cpu_s, limits.files, limits.processes, niceness=limits.niceness)


def launch(program: Sequence[str], jail: Jail, cell: Cell) -> subprocess.Popen[bytes]:
    """Start ``program`` (``-m module`` or a command line) in its own session and process group, with pipes, a clean
    environment, and behind the jail's walls before it has read a byte."""
    command, folder = jail.command(program, cell), jail.folder(cell)

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=cell.scratch,
            env=environment(folder),
            start_new_session=True,
            close_fds=True,
            bufsize=0,
        )

    return _starter(os.getpid()).submit(start).result()


def first_to_go(child: subprocess.Popen[bytes]) -> None:
    """Has the kernel end the child, and what it has started, before the agent when memory is short."""
    pids = [child.pid]
    while pids:
        place = Path("/proc") / str(pids.pop())
        with suppress(OSError):
            pids += map(int, (place / "task" / place.name / "children").read_text().split())
            (place / "oom_score_adj").write_text("1000")


@cache
def _starter(_pid: int) -> ThreadPoolExecutor:
    """One thread of this process that starts all children: those die with the *thread* that is their parent."""
    return ThreadPoolExecutor(1, thread_name_prefix="launch")


@cache
def node_program() -> Path | None:
    """The program behind the ``node`` on PATH, which may be a version manager's wrapper; None without one."""
    found = shutil.which("node")
    if found is None:
        return None
    try:
        said = subprocess.run(
            [found, "-p", "process.execPath"], capture_output=True, text=True, timeout=_NODE_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return Path(said.stdout.strip()).resolve()


def kill(child: subprocess.Popen[bytes]) -> None:
    """Kill the child's whole process group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)


def end(child: subprocess.Popen[bytes]) -> None:
    """Kill the child's whole process group, close its pipes and reap it."""
    kill(child)
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
    child.wait()
