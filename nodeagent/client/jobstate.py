"""What this requester knows of its jobs across restarts: one small file each, written before money moves.

A file is named by market, requester and manifest digest, so the same call finds its job again. It is a
memory, not a truth: whatever it says is checked on chain before it is believed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from nodeagent.errors import Fatal


class BadJobState(Fatal):
    """A job's file in the home cannot be read or written."""


@dataclass(frozen=True, slots=True)
class JobState:
    """:param manifest: sha256 as hex, without prefix
    :param tx: hash of the ``post`` that was sent last, before it is known to be mined
    :param job: its number once it is known
    :param out: where results were asked to go
    """

    chain_id: int
    market: str
    requester: str
    manifest: str
    tx: str | None = None
    job: int | None = None
    title: str | None = None
    out: str | None = None

    @property
    def name(self) -> str:
        return f"{self.chain_id}-{self.market[2:10].lower()}-{self.requester[2:10].lower()}-{self.manifest}.json"


class _File(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)
    chain_id: int
    market: str
    requester: str
    manifest: str
    tx: str | None = None
    job: int | None = None
    title: str | None = None
    out: str | None = None


class JobStates:
    """The folder of these files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, fresh: JobState) -> JobState:
        """What is remembered of the job ``fresh`` names, or ``fresh`` itself. Raises BadJobState."""
        path = self.folder / fresh.name
        return self._read(path) if path.exists() else fresh

    def save(self, state: JobState) -> None:
        """Safely on disk when this returns. Raises BadJobState."""
        path = self.folder / state.name
        partial = path.with_suffix(".new")
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with partial.open("w") as out:
                json.dump(asdict(state), out, indent=1)
                out.flush()
                os.fsync(out.fileno())
            os.replace(partial, path)
        except OSError as error:
            raise BadJobState(
                f"cannot write {path}: {error.strerror}", hint="check disk space and permissions"
            ) from None

    def all(self) -> Iterator[JobState]:
        """Every job remembered."""
        for path in sorted(self.folder.glob("*.json")):
            yield self._read(path)

    def find(self, chain_id: int, market: str, job: int) -> JobState | None:
        """The state of a job by its number."""
        for state in self.all():
            if (state.chain_id, state.market.lower(), state.job) == (chain_id, market.lower(), job):
                return state
        return None

    def _read(self, path: Path) -> JobState:
        try:
            return JobState(**_File.model_validate_json(path.read_text()).model_dump())
        except (OSError, ValidationError) as error:
            raise BadJobState(
                f"{path} is not a job's state: {error}",
                hint="move it away; running jobs are found on chain again",
            ) from None
