"""The queue of the bench: earliest deadline first, bounded, and closed for good."""

from __future__ import annotations

import threading

from nodeagent.worker.bench import EdfQueue


def test_edf_queue__mixed_deadlines__earliest_first_then_first_come() -> None:
    queue: EdfQueue[str] = EdfQueue(10)
    for deadline, name in ((30, "c"), (10, "a"), (20, "b"), (10, "a2")):
        assert queue.put(deadline, name)
    assert [queue.get() for _ in range(4)] == ["a", "a2", "b", "c"]


def test_edf_queue__full__refuses() -> None:
    queue: EdfQueue[str] = EdfQueue(2)
    assert queue.put(1, "a") and queue.put(1, "b") and not queue.put(0, "c") and len(queue) == 2


def test_edf_queue__closed__wakes_who_waits() -> None:
    queue: EdfQueue[str] = EdfQueue(2)
    found: list[str | None] = ["unset"]
    waiting = threading.Thread(target=lambda: found.__setitem__(0, queue.get()))
    waiting.start()
    queue.close()
    waiting.join(10)
    assert found == [None] and not queue.put(1, "late")
