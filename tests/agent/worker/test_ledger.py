"""Ledger: what is on disk, and when."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from nodeagent.chain import events as ev
from nodeagent.chain.decoding import TOPIC_OF, decode_at
from nodeagent.chain.scan import Cursor
from nodeagent.errors import Fatal
from nodeagent.protocol.types import Epoch, JobId, NodeId, Shard
from nodeagent.worker.ledger import MARKS_KEPT, Batch, Ledger, Result
from nodeagent.worker.lifecycle import Lane

ME = NodeId(7)


def paused(block: int, epoch: int) -> ev.Event:
    return _event("NodePaused", block, ME, epoch.to_bytes(32, "big"))


def recorded(block: int, epoch: int) -> ev.Event:
    return _event("SeedRecorded", block, epoch, bytes(32))


def _event(name: str, block: int, topic: int, data: bytes) -> ev.Event:
    event = decode_at(ev.At(block, 0, f"0x{block:064x}", TOPIC_OF[name] + topic.to_bytes(32, "big"), data))
    assert event is not None
    return event


def batch(epoch: int, salt: bytes = b"\x01" * 32) -> Batch:
    return Batch(Epoch(epoch), b"leaves", b"{}", b"\x02" * 32, salt, b"\x03" * 27)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "agent.db")


def test_apply__reopened__same_events_and_cursor(ledger: Ledger, tmp_path: Path) -> None:
    ledger.apply([paused(5, 1), paused(6, 2)], Cursor(6, "0x6"))
    again = Ledger(tmp_path / "agent.db")
    assert list(again.events()) == [paused(5, 1), paused(6, 2)]
    assert again.marks()[0] == Cursor(6, "0x6")


def test_apply__event_refused_by_the_disk__cursor_does_not_move(ledger: Ledger) -> None:
    ledger.apply([paused(5, 1)], Cursor(5, "0x5"))
    broken = ev.NodePaused(ev.At(6, 0, None, b"", b""), ME, Epoch(2))  # type: ignore[arg-type]
    with pytest.raises(sqlite3.IntegrityError):
        ledger.apply([paused(6, 1), broken], Cursor(6, "0x6"))
    assert ledger.marks()[0].block == 5 and len(list(ledger.events())) == 1


def test_rewind__later_blocks__gone_with_their_marks(ledger: Ledger) -> None:
    for block in (5, 6, 7):
        ledger.apply([paused(block, block)], Cursor(block, hex(block)))
    ledger.rewind(5)
    assert [e.at.block for e in ledger.events()] == [5] and [m.block for m in ledger.marks()] == [5]


def test_apply__many_marks__only_the_newest_kept(ledger: Ledger) -> None:
    for block in range(MARKS_KEPT + 40):
        ledger.apply([], Cursor(block, hex(block)))
    marks = ledger.marks()
    assert len(marks) == MARKS_KEPT and marks[0].block == MARKS_KEPT + 39


def test_seal__returned__another_process_finds_it(ledger: Ledger, tmp_path: Path) -> None:
    ledger.seal(batch(101))
    other = sqlite3.connect(tmp_path / "agent.db")
    assert other.execute("SELECT salt, digest FROM batches WHERE epoch = 101").fetchone() == (
        b"\x01" * 32,
        b"\x03" * 27,
    )


def test_seal__second_batch_for_an_epoch__the_first_stays(ledger: Ledger, tmp_path: Path) -> None:
    first = ledger.seal(batch(101))
    assert ledger.seal(batch(101, salt=b"\x09" * 32)) == first
    assert Ledger(tmp_path / "agent.db").batch(Epoch(101)) == first
    assert ledger.batch_epochs(Epoch(100)) == {101} and ledger.batch_epochs(Epoch(102)) == set()


def test_synchronous__every_commit__is_synced(ledger: Ledger) -> None:
    assert ledger.connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert ledger.connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_results__same_shard_again__replaced(ledger: Ledger) -> None:
    ledger.add_result(Result(JobId(1), Shard(2), b"\x01" * 32, b"q", "bafk", 10, 2))
    ledger.add_result(Result(JobId(1), Shard(2), b"\x02" * 32, b"q", "bafk", 10, 2))
    assert {k: r.root for k, r in ledger.results().items()} == {(1, 2): b"\x02" * 32}


def test_prune__old_seeds_and_dead_jobs__gone_but_seats_and_pauses_stay(ledger: Ledger) -> None:
    ledger.apply([paused(5, 1), recorded(6, 1), recorded(50, 5)], Cursor(50, "0x"))
    ledger.add_result(Result(JobId(1), Shard(0), b"\x01" * 32, b"q", "bafk", 10, 2))
    ledger.prune(40, [JobId(1)])
    assert [(type(e).__name__, e.at.block) for e in ledger.events()] == [("NodePaused", 5), ("SeedRecorded", 50)]
    assert ledger.results() == {}


def test_note_lanes__sealed_then_opened__counted_once(ledger: Ledger) -> None:
    for lanes in (
        {Epoch(100): Lane.SEALED},
        {Epoch(100): Lane.OPEN, Epoch(101): Lane.SEALED},
        {Epoch(101): Lane.SEALED},
    ):
        ledger.note_lanes(lanes)
    assert ledger.connection.execute("SELECT COUNT(*), SUM(opened) FROM lanes").fetchone() == (2, 1)


def test_bind__another_node__fatal(ledger: Ledger) -> None:
    ledger.bind({"chain": "1", "node": "7"})
    ledger.bind({"chain": "1", "node": "7"})
    with pytest.raises(Fatal, match="node 7, the configuration says 8"):
        ledger.bind({"chain": "1", "node": "8"})


def test_add_inferences__restarts__adds_up(ledger: Ledger, tmp_path: Path) -> None:
    ledger.add_inferences(5)
    Ledger(tmp_path / "agent.db").add_inferences(7)
    assert ledger.meta("inferences") == "12"
