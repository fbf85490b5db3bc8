"""One agent a home: the lock it holds while it runs, and what it last said of itself."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import structlog

from nodeagent.config import Home
from nodeagent.errors import Fatal
from nodeagent.runtimes.jail.walls import Jail
from nodeagent.worker.agent import Agent

log = structlog.get_logger(__name__)


class AlreadyRunning(Fatal):
    """Another agent works in this home; two would seal one epoch twice."""


@contextlib.contextmanager
def only_one(home: Home) -> Iterator[None]:
    """Holds the home's lock. Raises AlreadyRunning."""
    home.path.mkdir(parents=True, exist_ok=True, mode=0o700)
    with home.lock.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise AlreadyRunning(
                f"an agent already runs in {home.path}", hint="stop it first, or use another --home"
            ) from None
        _write_pid(file)
        yield


def running_pid(home: Home) -> int | None:
    """Process id of the agent that holds the home's lock, else None."""
    try:
        with home.lock.open("r+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return int(file.read().strip() or 0) or None
            return None
    except (FileNotFoundError, ValueError):
        return None


def _write_pid(file: IO[str]) -> None:
    file.seek(0)
    file.truncate()
    file.write(str(os.getpid()))
    file.flush()


def write_live(home: Home, agent: Agent, jail: Jail) -> None:
    """What ``nodeagent status`` shows of a running agent; replaced whole, not synced. A full disk leaves it old."""
    head = agent.head
    live = {
        "pid": os.getpid(),
        "node": agent.world.node,
        "pool": agent.world.pool,
        "block": head.block if head else None,
        "block_seconds": round(agent.pace.block_s, 3),
        "gateway": agent.own_url,
        "jail": str(jail),
        "open_work": agent.bench.open_work,
        "jobs": len(agent.world.jobs),
        "paused": agent.world.paused,
        "resting": agent.resting,
        "passed": agent.passed.shown(),
        "problems": dict(agent.problems),
    }
    part = home.live.with_suffix(".new")
    try:
        part.write_text(json.dumps(live))
        os.replace(part, home.live)
    except OSError as fault:
        log.warning("status_not_written", reason=fault.strerror)


def read_live(home: Home) -> dict[str, Any]:
    """The last ``write_live``; empty when there was none."""
    try:
        found: dict[str, Any] = json.loads(Path(home.live).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found
