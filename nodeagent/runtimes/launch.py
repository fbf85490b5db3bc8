"""Starting a child that will touch untrusted bytes. The one place a stronger jail will wrap."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from .types import ExecutorLimits

_PACKAGES = Path(__file__).resolve().parents[2]


def environment(scratch: Path, path: str | None = None) -> dict[str, str]:
    """The child's whole environment: nothing inherited, so no key, token, home or proxy leaks."""
    return {
        "HOME": str(scratch),
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PATH": path if path is not None else os.defpath,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(_PACKAGES),
        "TMPDIR": str(scratch),
    }


def launch(argv: Sequence[str], limits: ExecutorLimits, scratch: Path) -> subprocess.Popen[bytes]:
    """Start ``argv`` in its own session and process group, with pipes, a clean environment and resource
    limits.

    Limits are set on the new process before a byte is sent to it, so it cannot have used untrusted data
    without them; its children inherit them. Where the system has no ``prlimit`` only the wall-clock kill
    binds.
    """
    child = subprocess.Popen(
        list(argv),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=scratch,
        env=environment(scratch),
        start_new_session=True,
        close_fds=True,
        bufsize=0,
    )
    wanted = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_CPU: limits.cpu_s,
        resource.RLIMIT_DATA: limits.data_bytes,
        resource.RLIMIT_FSIZE: 1 << 20,
        resource.RLIMIT_NOFILE: limits.files,
        resource.RLIMIT_NPROC: limits.processes,
    }
    prlimit = getattr(resource, "prlimit", None)
    if prlimit is not None:
        for kind, value in wanted.items():
            _, hard = prlimit(child.pid, kind)
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)
            with suppress(ProcessLookupError):
                prlimit(child.pid, kind, (value, value))
    return child


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
