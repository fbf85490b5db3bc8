"""What is remembered of sources: in which order they are asked, and for how long a stall or a lie counts."""

from __future__ import annotations

from nodeagent.content.health import MAX_KNOWN, NEVER, Health


def test_health__order__quick_then_slow_by_seconds_then_who_stalled() -> None:
    now = [1_000.0]
    health = Health(0.5, 300.0, lambda: now[0])
    for source, cost in (("stalled", NEVER), ("slower", 2.0), ("slow", 1.0), ("quick", 0.1)):
        health.note(source, cost)
    assert health.order(["stalled", "slower", "slow", "new", "quick"]) == ["new", "quick", "slow", "slower", "stalled"]
    health.note("slow", 0.2)
    health.note("stalled", 0.2)
    assert health.order(["stalled", "slower", "slow"]) == ["slow", "slower", "stalled"], "no answer undoes a stall"
    now[0] += 300.0
    assert health.order(["stalled", "slower", "slow"]) == ["stalled", "slower", "slow"]


def test_health__strangers_name_many_addresses__only_so_many_are_remembered() -> None:
    health = Health(0.5, 300.0, lambda: 1_000.0)
    for number in range(MAX_KNOWN + 10):
        health.note(f"http://{number}", NEVER)
    last, first = f"http://{MAX_KNOWN + 9}", "http://0"
    assert health.order([last, first]) == [first, last] and len(health._marks) == MAX_KNOWN
