"""What this node decided about appeals: a table in its SQLite file, so that a restart neither forgets nor repeats."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from nodeagent.protocol.types import Epoch, JobId, Shard
from nodeagent.schema import add_column
from nodeagent.worker.cases import NEVER, Case, ShardKey

_SCHEMA = """
CREATE TABLE IF NOT EXISTS appeals(
  job INTEGER NOT NULL, shard INTEGER NOT NULL, own BLOB NOT NULL, again BLOB, state TEXT NOT NULL, why TEXT NOT NULL,
  ended INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(job, shard));
"""
_SELECT = "SELECT job, shard, own, again, state, why, ended FROM appeals"
STATES = OUTVOTED, SENT, WON, LOST, TAKEN = "outvoted", "sent", "won", "lost", "taken"


@dataclass(frozen=True, slots=True)
class Appeal:
    """A shard in which this node was outvoted. ``again`` is the root of the second computation, None before it.

    ``state`` is outvoted, sent, won, lost, or taken by another accuser; ``why`` the last reason, in words; ``ended`` is
    the epoch in which this node learned how its own case ended.
    """

    job: JobId
    shard: Shard
    own: bytes
    again: bytes | None = None
    state: str = OUTVOTED
    why: str = ""
    ended: Epoch = NEVER

    @property
    def key(self) -> ShardKey:
        return self.job, self.shard


class AppealBook:
    """Makes its table where it is missing; every change is on disk when a method returns."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        with connection:
            connection.executescript(_SCHEMA)
            add_column(connection, "appeals", "ended", "INTEGER NOT NULL DEFAULT 0")

    def all(self) -> dict[ShardKey, Appeal]:
        rows = self._connection.execute(f"{_SELECT} ORDER BY job, shard")
        return {(row[0], row[1]): Appeal(*row) for row in rows}

    def get(self, key: ShardKey) -> Appeal | None:
        row = self._connection.execute(f"{_SELECT} WHERE job = ? AND shard = ?", key).fetchone()
        return Appeal(*row) if row else None

    def put(self, appeal: Appeal) -> None:
        row = (appeal.job, appeal.shard, appeal.own, appeal.again, appeal.state, appeal.why, appeal.ended)
        with self._connection:
            self._connection.execute("INSERT OR REPLACE INTO appeals VALUES (?,?,?,?,?,?,?)", row)

    def lost(self, since: Epoch) -> set[ShardKey]:
        """Own appeals that ended in ``since`` or later and did not win, by verdict or without one."""
        query = "SELECT job, shard FROM appeals WHERE state = ? AND ended >= ?"
        return {(row[0], row[1]) for row in self._connection.execute(query, (LOST, since))}


def recorded(database: Path) -> list[Appeal]:
    """What an agent's file says, read beside the agent; nothing where there is no file or no table yet."""
    if not database.exists():
        return []
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        try:
            return [Appeal(*row) for row in connection.execute(f"{_SELECT} ORDER BY job, shard")]
        except sqlite3.OperationalError:
            return []


def state_after(appeal: Appeal, case: Case, operator: str) -> str:
    """What the chain made of an appeal: its state now that there is a case."""
    if not case.by(operator):
        return TAKEN
    if case.open:
        return SENT
    return WON if case.verdict == appeal.own else LOST
