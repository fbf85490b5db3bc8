"""The outbox on disk: what was meant to be sent, and every signed form of it."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast

from nodeagent.chain.doors import Call
from nodeagent.chain.errors import Reverted
from nodeagent.schema import add_column

_SCHEMA = """
CREATE TABLE IF NOT EXISTS intents(
  key TEXT PRIMARY KEY, what TEXT NOT NULL, target TEXT NOT NULL, data BLOB NOT NULL, value TEXT NOT NULL, gas INTEGER,
  deadline INTEGER, state TEXT NOT NULL, nonce INTEGER, created INTEGER NOT NULL, tx TEXT, mined_block INTEGER,
  gas_used INTEGER, reason TEXT, max_fee INTEGER);
CREATE TABLE IF NOT EXISTS attempts(
  tx TEXT PRIMARY KEY, key TEXT NOT NULL, raw BLOB NOT NULL, nonce INTEGER NOT NULL, max_fee INTEGER NOT NULL,
  tip INTEGER NOT NULL, sent_block INTEGER NOT NULL, cancel INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS intents_state ON intents(state);
CREATE INDEX IF NOT EXISTS attempts_key ON attempts(key);
"""
_SELECT = """
SELECT key, what, state, tx, nonce, mined_block, gas_used, reason, target, data, value, gas, deadline, max_fee
FROM intents {}
"""
_ATTEMPTS = """
SELECT a.tx, a.key, a.raw, a.nonce, a.max_fee, a.tip, a.sent_block, a.cancel FROM attempts a
JOIN intents i ON i.key = a.key AND i.nonce = a.nonce WHERE i.state IN ({}) ORDER BY a.nonce, a.rowid
"""


@dataclass(frozen=True, slots=True)
class Intent:
    """What became of one submitted call.

    States: ``new`` (no nonce yet) → ``sent`` → ``mined`` → ``final``; or ``failed`` (refused before sending, or mined
    with status 0), ``expired`` (unmined when its deadline passed, or when gas cost more than it is worth), ``lost``
    (another transaction took the nonce). ``max_fee``: most wei per gas that this one may cost; None for no limit of its
    own.
    """

    key: str
    what: str
    state: str
    tx: str | None
    nonce: int | None
    mined_block: int | None
    gas_used: int | None
    reason: str | None
    target: str
    data: bytes
    value: str  # wei, too large for an SQLite integer
    gas: int | None
    deadline: int | None
    max_fee: int | None

    @property
    def done(self) -> bool:
        return self.state not in ("new", "sent")

    @property
    def succeeded(self) -> bool:
        return self.state in ("mined", "final")

    @property
    def refusal(self) -> Reverted | None:
        """The contract's error when that is why it failed."""
        if self.state != "failed" or not self.reason:
            return None
        told = json.loads(self.reason)
        return Reverted(told["name"], told["fields"], what=self.what)


class Attempt(NamedTuple):
    """One signed form of an intent. Fees are wei per gas."""

    tx: str
    key: str
    raw: bytes
    nonce: int
    max_fee: int
    tip: int
    sent_block: int
    cancel: int


class IntentBook:
    """Reads and writes of the two tables. Not thread-safe."""

    def __init__(self, database: Path | str | sqlite3.Connection) -> None:
        self._db = database if isinstance(database, sqlite3.Connection) else _open(database)
        self._db.executescript(_SCHEMA)
        add_column(self._db, "intents", "max_fee", "INTEGER")

    def add(
        self, key: str, call: Call, gas: int | None, deadline: int | None, block: int, max_fee: int | None = None
    ) -> None:
        """Writes a new intent; a known key is left as it is."""
        with self._db:
            self._db.execute(
                "INSERT OR IGNORE INTO intents(key, what, target, data, value, gas, deadline, state, created, max_fee)"
                " VALUES (?,?,?,?,?,?,?, 'new', ?, ?)",
                (key, call.what, call.to, call.data, str(call.value), gas, deadline, block, max_fee),
            )

    def get(self, key: str) -> Intent | None:
        found = self._select("WHERE key = ?", (key,))
        return found[0] if found else None

    def in_states(self, *states: str) -> list[Intent]:
        """Oldest first."""
        return self._select(f"WHERE state IN ({','.join('?' * len(states))}) ORDER BY created, rowid", states)

    def all(self, what: str | None = None) -> list[Intent]:
        """Oldest first, optionally of one kind."""
        return self._select("WHERE what = ? ORDER BY rowid", (what,)) if what else self._select("ORDER BY rowid", ())

    def forget(self, key: str) -> None:
        """Drops an intent that ended without effect, so that its key can be used again."""
        with self._db:
            self._db.execute("DELETE FROM intents WHERE key = ? AND state IN ('failed', 'expired', 'lost')", (key,))

    def attempts(self, *states: str) -> list[Attempt]:
        """Every signed form of the intents in these states, by nonce and age."""
        rows = self._db.execute(_ATTEMPTS.format(",".join("?" * len(states))), states)
        return [Attempt(*row) for row in rows]

    def signed(self, attempt: Attempt, gas: int | None) -> None:
        """Writes a signed form and marks its intent as sent, in one transaction, before it leaves."""
        with self._db:
            self._db.execute("INSERT OR REPLACE INTO attempts VALUES (?,?,?,?,?,?,?,?)", attempt)
            self._db.execute(
                "UPDATE intents SET state = 'sent', tx = ?, nonce = ?, gas = COALESCE(gas, ?) WHERE key = ?",
                (attempt.tx, attempt.nonce, gas, attempt.key),
            )

    def pushed_again(self, tx: str, block: int) -> None:
        with self._db:
            self._db.execute("UPDATE attempts SET sent_block = ? WHERE tx = ?", (block, tx))

    def set(self, key: str, **fields: Any) -> None:
        names = ", ".join(f"{name} = ?" for name in fields)
        with self._db:
            self._db.execute(f"UPDATE intents SET {names} WHERE key = ?", (*fields.values(), key))  # noqa: S608 - own names

    def refuse(self, key: str, fault: Reverted) -> None:
        """Marks an intent as failed with the contract's error."""
        fields = {k: "0x" + v.hex() if isinstance(v, bytes) else v for k, v in fault.fields.items()}
        self.set(key, state="failed", reason=json.dumps({"name": fault.name, "fields": fields}))

    def prune(self, before: int) -> None:
        """Drops what was mined before a block and is final."""
        with self._db:
            self._db.execute("DELETE FROM intents WHERE state = 'final' AND mined_block < ?", (before,))
            self._db.execute("DELETE FROM attempts WHERE key NOT IN (SELECT key FROM intents)")

    def highest_nonce(self) -> int | None:
        """Among the intents that hold one."""
        row = self._db.execute("SELECT MAX(nonce) FROM intents WHERE state IN ('sent', 'mined')").fetchone()
        return cast("int | None", row[0])

    def _select(self, rest: str, args: tuple[Any, ...]) -> list[Intent]:
        rows = self._db.execute(_SELECT.format(rest), args)
        return [Intent(*row) for row in rows]


def _open(path: Path | str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection
