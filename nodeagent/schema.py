"""Tables of an SQLite file that an older agent made."""

from __future__ import annotations

import sqlite3


def add_column(connection: sqlite3.Connection, table: str, column: str, declared: str) -> None:
    """Gives a table a column that it lacks; ``declared`` is its type with its default."""
    if column not in {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}:
        connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} {declared}")
