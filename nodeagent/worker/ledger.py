"""The node's memory: one SQLite file in WAL mode, synced on every commit.

Events are kept as raw logs by block, so that a reorganisation is a delete and the world is folded again. A batch (its
leaves and salt) is on disk before its digest leaves; an epoch has at most one, for ever.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from nodeagent.chain.decoding import decode_at
from nodeagent.chain.events import At, Event
from nodeagent.chain.scan import Cursor
from nodeagent.errors import Fatal
from nodeagent.protocol.types import Epoch, JobId, Shard
from nodeagent.schema import add_column
from nodeagent.worker.lifecycle import Lane

MARKS_KEPT = 256
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS marks(block INTEGER PRIMARY KEY, hash TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS events(
  block INTEGER NOT NULL, idx INTEGER NOT NULL, tx TEXT NOT NULL, kind TEXT NOT NULL, job INTEGER,
  topics BLOB NOT NULL, data BLOB NOT NULL, PRIMARY KEY(block, idx));
CREATE TABLE IF NOT EXISTS results(
  job INTEGER NOT NULL, shard INTEGER NOT NULL, root BLOB NOT NULL, cid TEXT NOT NULL, bytes INTEGER NOT NULL,
  tasks INTEGER NOT NULL, question BLOB NOT NULL DEFAULT x'', PRIMARY KEY(job, shard));
CREATE TABLE IF NOT EXISTS lanes(epoch INTEGER PRIMARY KEY, opened INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS batches(
  epoch INTEGER PRIMARY KEY, leaves BLOB NOT NULL, manifest BLOB NOT NULL, manifest_digest BLOB NOT NULL,
  salt BLOB NOT NULL, digest BLOB NOT NULL);
"""
_FORGET = """
DELETE FROM events WHERE job = ?
  AND kind NOT IN ('CasePosted', 'Appealed', 'Resolved', 'EndedWithoutVerdict', 'WrongReported', 'CaseClosed')
"""


@dataclass(frozen=True, slots=True)
class Result:
    """A computed shard: result root, and the results file kept aside until the reveal.

    ``question`` is the ``Job.question`` it answers: after a reorganisation a number may be another job's.
    """

    job: JobId
    shard: Shard
    root: bytes
    question: bytes
    cid: str
    bytes: int
    tasks: int


@dataclass(frozen=True, slots=True)
class Batch:
    """An opening: ``leaves`` packed, ``manifest`` the batch manifest's bytes, ``salt`` 32 bytes, ``digest`` 27."""

    epoch: Epoch
    leaves: bytes
    manifest: bytes
    manifest_digest: bytes
    salt: bytes
    digest: bytes


class Ledger:
    """Opens or creates the file. Raises Fatal when it belongs to another node, chain or deployment."""

    def __init__(self, path: Path | str) -> None:
        self.connection = sqlite3.connect(path, timeout=30.0)
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = FULL")
        self.connection.executescript(_SCHEMA)
        add_column(self.connection, "results", "question", "BLOB NOT NULL DEFAULT x''")

    def close(self) -> None:
        self.connection.close()

    # --- identity -----------------------------------------------------------------------------------------------

    def bind(self, identity: dict[str, str]) -> None:
        """Ties the file to a chain, a ledger contract and a node; a second tie must be the same."""
        for name, value in identity.items():
            known = self.meta(name)
            if known is not None and known != value:
                raise Fatal(
                    f"this home's records are for {name} {known}, the configuration says {value}",
                    hint="use another --home for another chain or node",
                )
            self.set_meta(name, value)

    def meta(self, name: str) -> str | None:
        row = self.connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return cast(str, row[0]) if row else None

    def set_meta(self, name: str, value: str) -> None:
        with self.connection:
            self.connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def add_inferences(self, count: int) -> None:
        """Counts tasks that were run."""
        self.set_meta("inferences", str(int(self.meta("inferences") or 0) + count))

    # --- events (ScanStore) -------------------------------------------------------------------------------------

    def marks(self) -> Sequence[Cursor]:
        rows = self.connection.execute("SELECT block, hash FROM marks ORDER BY block DESC")
        return [Cursor(*row) for row in rows]

    def apply(self, events: Sequence[Event], cursor: Cursor) -> None:
        with self.connection:
            self.connection.executemany(
                "INSERT OR REPLACE INTO events VALUES (?,?,?,?,?,?,?)",
                [
                    (e.at.block, e.at.index, e.at.tx, type(e).__name__, getattr(e, "job", None), e.at.topics, e.at.data)
                    for e in events
                ],
            )
            self.connection.execute("INSERT OR REPLACE INTO marks VALUES (?, ?)", (cursor.block, cursor.hash))
            self.connection.execute(
                "DELETE FROM marks WHERE block NOT IN (SELECT block FROM marks ORDER BY block DESC LIMIT ?)",
                (MARKS_KEPT,),
            )

    def rewind(self, block: int) -> None:
        with self.connection:
            self.connection.execute("DELETE FROM events WHERE block > ?", (block,))
            self.connection.execute("DELETE FROM marks WHERE block > ?", (block,))

    def events(self) -> Iterator[Event]:
        """Everything kept, in chain order."""
        rows = self.connection.execute("SELECT block, idx, tx, topics, data FROM events ORDER BY block, idx")
        for row in rows:
            event = decode_at(At(*row))
            if event is not None:
                yield event

    def prune(self, before_block: int, dead_jobs: Iterable[JobId]) -> None:
        """Drops batches, seeds and settlements older than a block, and jobs that are over. What the Court did stays."""
        with self.connection:
            self.connection.execute(
                "DELETE FROM events WHERE block < ? AND kind IN ('SeedRecorded', 'Settled', 'Claimed', 'Revealed')",
                (before_block,),
            )
            for job in dead_jobs:
                self.connection.execute(_FORGET, (job,))
                self.connection.execute("DELETE FROM results WHERE job = ?", (job,))

    # --- results and batches ------------------------------------------------------------------------------------

    def add_result(self, result: Result) -> None:
        with self.connection:
            self.connection.execute(
                "INSERT OR REPLACE INTO results(job, shard, root, question, cid, bytes, tasks) VALUES (?,?,?,?,?,?,?)",
                (result.job, result.shard, result.root, result.question, result.cid, result.bytes, result.tasks),
            )

    def results(self) -> dict[tuple[JobId, Shard], Result]:
        rows = self.connection.execute("SELECT job, shard, root, question, cid, bytes, tasks FROM results")
        return {(r[0], r[1]): Result(*r) for r in rows}

    def seal(self, batch: Batch) -> Batch:
        """Writes the batch of an epoch, on disk when this returns. One that is there already stays and is returned."""
        with self.connection:
            self.connection.execute(
                "INSERT OR IGNORE INTO batches VALUES (?,?,?,?,?,?)",
                (batch.epoch, batch.leaves, batch.manifest, batch.manifest_digest, batch.salt, batch.digest),
            )
        return cast(Batch, self.batch(batch.epoch))

    def batch(self, epoch: Epoch) -> Batch | None:
        row = self.connection.execute(
            "SELECT epoch, leaves, manifest, manifest_digest, salt, digest FROM batches WHERE epoch = ?", (epoch,)
        ).fetchone()
        return Batch(*row) if row else None

    def note_lanes(self, lanes: Mapping[Epoch, Lane]) -> None:
        """Remembers which epochs' lanes the chain has carried for this node; for counting only."""
        known = dict(self.connection.execute("SELECT epoch, opened FROM lanes ORDER BY epoch DESC LIMIT 64"))
        fresh = [(e, int(lane is Lane.OPEN)) for e, lane in lanes.items() if known.get(e) != int(lane is Lane.OPEN)]
        if fresh:
            with self.connection:
                self.connection.executemany("INSERT OR REPLACE INTO lanes VALUES (?, ?)", fresh)

    def batch_epochs(self, since: Epoch) -> frozenset[Epoch]:
        rows = self.connection.execute("SELECT epoch FROM batches WHERE epoch >= ?", (since,))
        return frozenset(Epoch(row[0]) for row in rows)
