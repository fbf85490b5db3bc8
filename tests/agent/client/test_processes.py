"""Processes are stopped by pid and start time: exactly ours, and all of ours."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodeagent.devnet import processes
from nodeagent.devnet.processes import Process, StartFailed, alive, spawn, start_time, stop, wait_until

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
PARENT = (
    "import signal, subprocess, sys, time;"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
    "print(child.pid, flush=True); time.sleep(600)"
)


@pytest.fixture
def started() -> Iterator[list[Process]]:
    mine: list[Process] = []
    yield mine
    stop(mine, grace_s=0)


def test_stop__running__ends_it(tmp_path: Path, started: list[Process]) -> None:
    process = spawn(SLEEPER, tmp_path / "log")
    started.append(process)
    assert alive(process)
    assert stop([process]) == []
    assert not alive(process)


def test_stop__ignores_the_request__is_killed(tmp_path: Path, started: list[Process]) -> None:
    log = tmp_path / "log"
    process = spawn([sys.executable, "-c", DEAF], log)
    started.append(process)
    wait_until(lambda: b"deaf" in log.read_bytes(), process, "it", log, 30)
    assert stop([process], grace_s=0.1) == [process]
    assert not alive(process)


def test_stop__left_a_child__ends_the_child_too(tmp_path: Path, started: list[Process]) -> None:
    log = tmp_path / "log"
    process = spawn([sys.executable, "-c", PARENT], log)
    started.append(process)
    wait_until(lambda: log.read_bytes().strip().isdigit(), process, "it", log, 30)
    child = int(log.read_bytes())
    assert start_time(child) is not None
    stop([process])
    wait_until(lambda: start_time(child) is None, None, "the child's end", log, 30)


def test_stop__pid_taken_by_another__leaves_it_alone(tmp_path: Path) -> None:
    other = subprocess.Popen(SLEEPER, start_new_session=True)
    try:
        recorded = Process(other.pid, "long ago")
        assert not alive(recorded)
        assert stop([recorded]) == []
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_spawn__no_such_program__says_so(tmp_path: Path) -> None:
    with pytest.raises(StartFailed, match="cannot start nothing-like-it"):
        spawn(["nothing-like-it"], tmp_path / "log")


def test_wait_until__process_ends__shows_the_end_of_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = spawn([sys.executable, "-c", "print('no chain here'); raise SystemExit(3)"], log)
    with pytest.raises(StartFailed, match=r"the agent ended:\n  no chain here"):
        wait_until(lambda: False, process, "the agent", log, 30)


def test_start_time__this_process__is_stable_and_not_anothers() -> None:
    assert start_time(os.getpid()) == start_time(os.getpid())
    assert start_time(2**22 + 1) is None


def test_tail__long_log__shows_the_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("".join(f"line {n}\n" for n in range(100)))
    assert processes.tail(log, 2) == "  line 98\n  line 99"
    assert processes.tail(tmp_path / "absent") == "  (no log)"
