"""Processes this program started, remembered so that exactly they are stopped: by pid and start time.

A pid alone may meanwhile belong to someone else's process; the pair never does.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nodeagent.errors import Fatal

TERM_GRACE_S = 10.0
POLL_S = 0.05


class StartFailed(Fatal):
    """A process ended, or was not ready in time. Carries the end of its log."""


@dataclass(frozen=True, slots=True)
class Process:
    """:param started: what the system says about when it began; opaque, compared for equality"""

    pid: int
    started: str


def spawn(argv: Sequence[str], log: Path, *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Process:
    """Starts a process in a session of its own, its output appended to ``log``.

    :raises StartFailed: the program cannot be executed
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        try:
            child = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env=None if env is None else dict(env),
                start_new_session=True,
            )
        except OSError as error:
            raise StartFailed(f"cannot start {argv[0]}: {error.strerror}") from error
    child.returncode = 0  # not waited for by Popen: this module reaps it
    return Process(child.pid, start_time(child.pid) or "gone")


def start_time(pid: int) -> str | None:
    """When the process began, or None when there is none. A zombie counts as none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return _start_time_by_ps(pid) if not Path("/proc/self/stat").exists() else None
    except ProcessLookupError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def _start_time_by_ps(pid: int) -> str | None:
    answer = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    state, _, began = answer.stdout.strip().partition(" ")
    return None if not began or state.startswith("Z") else began.strip()


def alive(process: Process) -> bool:
    """Whether that very process still runs."""
    _reap(process.pid)
    return start_time(process.pid) == process.started


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass  # started by an earlier command, or already reaped


def stop(processes: Sequence[Process], grace_s: float = TERM_GRACE_S) -> list[Process]:
    """Asks all of them to end, waits, then kills the rest with whatever they left in their sessions.

    :returns: those that had to be killed
    """
    ours = [p for p in processes if alive(p)]
    for process in ours:
        _signal(process, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while any(alive(p) for p in ours) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    killed = [p for p in ours if alive(p)]
    for process in killed:
        _signal(process, signal.SIGKILL)
    while any(alive(p) for p in killed):
        time.sleep(POLL_S)
    for process in ours:  # a session leader's pid is not given away while its group has members
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
    return killed


def _signal(process: Process, number: signal.Signals) -> None:
    try:
        os.kill(process.pid, number)
    except ProcessLookupError:
        pass


def wait_until(ready: Callable[[], bool], process: Process | None, what: str, log: Path, timeout_s: float) -> None:
    """Polls ``ready`` while ``process`` runs.

    :raises StartFailed: it ended, or ``timeout_s`` passed; with the last lines of ``log``
    """
    deadline = time.monotonic() + timeout_s
    while not ready():
        ended = process is not None and not alive(process)
        if ended or time.monotonic() > deadline:
            why = "ended" if ended else f"was not ready within {timeout_s:.0f} s"
            raise StartFailed(f"{what} {why}:\n{tail(log)}", hint=f"its whole log is {log}")
        time.sleep(POLL_S)


def tail(log: Path, lines: int = 15) -> str:
    """The end of a log, indented; what a person needs to see of a failure."""
    try:
        text = log.read_bytes()[-20_000:].decode(errors="replace")
    except OSError:
        return "  (no log)"
    return "\n".join("  " + line for line in text.splitlines()[-lines:]) or "  (empty log)"
