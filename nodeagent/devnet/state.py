"""What a devnet is made of, on disk: enough to stop it, to go on after an interruption, and to find everything."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from nodeagent.devnet.processes import Process
from nodeagent.errors import Fatal

STATE = "devnet.json"


class DevnetFault(Fatal):
    """The devnet's folder is not one, is in use, or lacks what a step needs."""


class Running(BaseModel):
    """A process by pid and start time."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    pid: int
    started: str

    @property
    def process(self) -> Process:
        return Process(self.pid, self.started)

    @classmethod
    def of(cls, process: Process) -> Running:
        return cls(pid=process.pid, started=process.started)


class AgentState(BaseModel):
    """One node: its home is its own, and so are its keys, store, runtime files and processes."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    home: Path
    operator: str | None = None
    node: int | None = None
    process: Running | None = None


class DevnetState(BaseModel):
    """:param epoch_blocks: blocks of an epoch on this chain; ``block_time`` is in seconds"""

    model_config = ConfigDict(extra="forbid", frozen=True)
    version: int = 1
    chain_id: int
    block_time: float
    rpc_url: str | None = None
    anvil: Running | None = None
    deployment: Path | None = None
    requester: str | None = None
    requester_home: Path
    password_file: Path
    agents: tuple[AgentState, ...] = ()

    @property
    def processes(self) -> list[Process]:
        """All of them, the chain last."""
        running = [a.process for a in self.agents] + [self.anvil]
        return [r.process for r in running if r is not None]


def load_state(home: Path) -> DevnetState | None:
    """The devnet in this folder, or None. Raises DevnetFault."""
    path = home / STATE
    try:
        return DevnetState.model_validate_json(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise DevnetFault(f"{path} is not a devnet's state: {error}", hint="remove the folder by hand") from None


def save_state(home: Path, state: DevnetState) -> None:
    """Whole or not at all."""
    partial = home / f".{STATE}.new"
    partial.write_text(state.model_dump_json(indent=1))
    os.replace(partial, home / STATE)


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """One command at a time in this folder. Raises DevnetFault when another is at work."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(home / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise DevnetFault(f"another command is at work in {home}", hint="wait for it, or stop it") from None
    try:
        yield
    finally:
        os.close(handle)
