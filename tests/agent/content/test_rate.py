"""A share of the network: over time no more than it, without waiting while there is room; in fetcher and gateway."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodeagent.config import BadConfig, parse_config
from nodeagent.content import LocalStore
from nodeagent.content.fetch import Fetcher
from nodeagent.content.gateway import Gateway
from nodeagent.content.rate import Rate


class Time:
    """A clock that a sleep moves."""

    def __init__(self) -> None:
        self.now, self.slept = 0.0, 0.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += seconds


def test_take__more_than_the_share__waits_for_what_was_taken_before() -> None:
    time = Time()
    rate = Rate(100, time.clock, time.sleep)
    rate.take(50)
    assert time.now == 0.0, "nothing was owed"
    rate.take(100)
    assert time.now == 0.5
    rate.take(1)
    assert time.now == 1.5
    time.now = 10.0
    rate.take(1_000)
    assert time.now == 10.0, "time without traffic is not saved up, but owes nothing"
    rate.take(1)
    assert time.now == 20.0


def test_take__no_limit__never_waits() -> None:
    time = Time()
    rate = Rate(0, time.clock, time.sleep)
    for _ in range(10):
        rate.take(1 << 40)
    assert time.slept == 0.0


def test_fetch_and_serve__both_keep_their_shares(tmp_path: Path) -> None:
    theirs, ours = LocalStore(tmp_path / "theirs"), LocalStore(tmp_path / "ours")
    data = b"".join(bytes([leaf]) * (1 << 20) for leaf in range(4))  # four leaves, a MiB each, and a root
    cid = theirs.put_bytes(data)
    up, down = Time(), Time()
    with Gateway(theirs, rate=Rate(1 << 20, up.clock, up.sleep)) as gateway:
        fetcher = Fetcher(ours, rate=Rate(1 << 20, down.clock, down.sleep))
        fetcher.fetch(cid, [gateway.url], max_bytes=1 << 23)
    assert ours.get_bytes(cid, 1 << 23) == data
    for time in (up, down):
        assert 2.0 <= time.slept <= 3.5, "the last block's debt is not waited for"


@pytest.mark.parametrize("name", ["upload_kib_s", "download_kib_s"])
def test_parse_config__share_that_others_take_for_a_stall__is_refused(name: str) -> None:
    assert parse_config({"deployment": "x.json", name: 64}, "here")
    with pytest.raises(BadConfig, match=name):
        parse_config({"deployment": "x.json", name: 63}, "here")


def test_take__cancelled_while_it_waits__returns_soon() -> None:
    time = Time()
    rate = Rate(1, time.clock, time.sleep)
    rate.take(1_000)
    before = time.clock()
    rate.take(1, lambda: time.clock() >= before + 3)
    assert time.clock() - before == 3
