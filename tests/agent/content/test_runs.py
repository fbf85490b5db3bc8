"""Several leaves in one answer: when they are asked for, what of them is taken, and when it ends."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from content_faults import pours, running, says, serves
from content_runs import BLOCKS, CHUNK, LARGE, ROOT, runs

from nodeagent.content import Cid, LocalStore
from nodeagent.content.ahead import Run
from nodeagent.content.backends import KUBO
from nodeagent.content.car import header, section
from nodeagent.content.errors import FetchCancelled, SourceStalled, SourceUnreachable
from nodeagent.content.fetch import Fetcher
from nodeagent.content.transport import FetchLimits, Transport
from nodeagent.content.unixfs import Layout
from nodeagent.content.watch import Cut

LIMITS = FetchLimits(hedge_s=600.0, slow_s=600.0)  # nothing is late
LEAVES = sum(cid.is_raw for cid in BLOCKS)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Source:
    """Gives leaves in runs of which each takes ``leaf_s``; notes what it was asked for."""

    def __init__(self, clock: Clock, leaf_s: float = 0.0) -> None:
        self.clock, self.leaf_s = clock, leaf_s
        self.runs: list[Run] = []
        self.given: list[Cid] = []
        self.blocks: list[Cid] = []

    def block(self, source: str, cid: Cid, cut: Cut | None = None) -> bytes:
        self.blocks.append(cid)
        return BLOCKS[cid]

    def run(self, source: str, run: Run, patience_s: float, cut: Cut | None = None) -> Iterator[tuple[Cid, bytes]]:
        self.runs.append(run)
        for cid in [cid for cid in BLOCKS if cid in run.leaves]:
            self.clock.now += self.leaf_s
            self.given.append(cid)
            yield cid, BLOCKS[cid]


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "content", layout=Layout(chunk_bytes=CHUNK))


def test_fetch__all_is_quick__most_leaves_come_in_runs_and_each_once(store: LocalStore) -> None:
    source = Source(clock := Clock())
    report = Fetcher(store, LIMITS, transport=source, clock=clock).fetch(ROOT, ["http://a"], max_bytes=len(LARGE))
    assert sorted(map(str, source.given + source.blocks)) == sorted(map(str, BLOCKS))
    assert len(source.given) > LEAVES // 2 and all(len(run.leaves) <= 8 for run in source.runs)
    assert report.blocks_fetched == len(BLOCKS) and store.get_bytes(ROOT, len(LARGE)) == LARGE


def test_fetch__leaves_get_slow__single_blocks_again(store: LocalStore) -> None:
    source = Source(clock := Clock(), leaf_s=301.0)
    Fetcher(store, LIMITS, transport=source, clock=clock).fetch(ROOT, ["http://a"], max_bytes=len(LARGE))
    assert len(BLOCKS) - len(source.blocks) == len(source.runs) > 0, "a run ends with its first slow leaf"
    assert store.get_bytes(ROOT, len(LARGE)) == LARGE


def test_fetch__some_leaves_are_here__only_the_others_are_asked_for(store: LocalStore) -> None:
    held = [cid for n, cid in enumerate(BLOCKS) if n % 5 == 0]
    for cid in held:
        store.put_block(cid, BLOCKS[cid])
    source = Source(clock := Clock())
    report = Fetcher(store, LIMITS, transport=source, clock=clock).fetch(ROOT, ["http://a"], max_bytes=len(LARGE))
    assert not set(held) & {*source.given, *source.blocks, *(cid for run in source.runs for cid in run.leaves)}
    assert source.runs and report.blocks_held == len(held)


def test_fetch__a_kubo_daemon_or_small_leaves__no_runs(store: LocalStore) -> None:
    source = Source(clock := Clock())
    Fetcher(store, LIMITS, transport=source, clock=clock).fetch(ROOT, [KUBO], max_bytes=len(LARGE))
    assert source.runs == [] and len(source.blocks) == len(BLOCKS)


def test_fetch__no_runs_served__asked_for_once_and_not_by_later_fetches(tmp_path: Path) -> None:
    with running(serves(BLOCKS)) as (server,):
        fetcher = Fetcher(LocalStore(tmp_path / "one"), LIMITS)
        for name in ("one", "two"):
            fetcher.store = store = LocalStore(tmp_path / name)
            report = fetcher.fetch(ROOT, [server.url], max_bytes=len(LARGE))
            assert report.failures == () and store.has_all(ROOT)
        asked = [path for path in server.paths if "entity-bytes" in path]
    assert 1 <= len(asked) <= 4, "by each thread that had begun at most"


class Broken(Source):
    def run(self, source: str, run: Run, patience_s: float, cut: Cut | None = None) -> Iterator[tuple[Cid, bytes]]:
        yield next(super().run(source, run, patience_s, cut))
        raise SourceUnreachable(source, "gone")


def test_fetch__run_breaks_off__what_came_is_kept_and_the_rest_asked_for(store: LocalStore) -> None:
    source = Broken(clock := Clock())
    report = Fetcher(store, LIMITS, transport=source, clock=clock).fetch(ROOT, ["http://a"], max_bytes=len(LARGE))
    assert report.failures == () and report.blocks_fetched == len(BLOCKS)
    assert sorted(map(str, source.given + source.blocks)) == sorted(map(str, BLOCKS))


def test_fetch__cancelled_while_a_run_is_silent__ends_at_once_and_blames_nobody(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nodeagent.content.ahead.LOOK_S", 0.01)
    fetcher = Fetcher(store, LIMITS)
    with running(runs(lambda _: says(b"", headers={"Content-Length": "1000"}))) as (server,):  # and then nothing
        with pytest.raises(FetchCancelled):
            fetcher.fetch(
                ROOT,
                [server.url],
                max_bytes=len(LARGE),
                cancel=lambda: any("entity-bytes" in path for path in server.paths),
            )
        assert not fetcher.health.failed(server.url) and not fetcher.runless.failed(server.url)


# --- what hostile sources tried ---------------------------------------------------------------------------------------


def test_run__connecting_takes_for_ever__the_fetch_goes_on_without(store: LocalStore) -> None:
    """A name of many dead addresses holds a thread up, wherever that is: it is left behind."""
    let, clock = threading.Event(), Clock()

    class Deaf(Source):
        def run(self, source: str, run: Run, patience_s: float, cut: Cut | None = None) -> Iterator[tuple[Cid, bytes]]:
            self.clock.now += patience_s  # and nothing comes, nor can it be cut
            let.wait()
            yield from ()

    source = Deaf(clock)
    report = Fetcher(store, LIMITS, transport=source, clock=clock).fetch(ROOT, ["http://a"], max_bytes=len(LARGE))
    let.set()
    assert report.blocks_fetched == len(BLOCKS) and store.get_bytes(ROOT, len(LARGE)) == LARGE
    assert {type(failure) for failure in report.failures} == {SourceStalled}


def test_run__node_again_and_again__buys_no_time(store: LocalStore) -> None:
    node = section(ROOT, BLOCKS[ROOT])
    behave = runs(lambda _: pours(b"HTTP/1.1 200 OK\r\n\r\n" + header([ROOT]), node, 0.05))
    with running(behave) as (server,):
        run = Run(ROOT, 0, 9, frozenset(cid for cid in BLOCKS if cid.is_raw))
        with pytest.raises(SourceStalled, match="in time"):
            list(Transport(LIMITS).run(server.url, run, 0.3))


def test_run__head_at_the_last_moment__the_leaf_has_its_own_time() -> None:
    """The time for one read must grow again with that for the leaf."""
    cid, block = next((cid, block) for cid, block in BLOCKS.items() if cid.is_raw)

    def late(connection: socket.socket, path: str, stopped: threading.Event) -> None:
        stopped.wait(0.9)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + header([ROOT]) + section(ROOT, BLOCKS[ROOT]))
        stopped.wait(0.6)
        connection.sendall(section(cid, block))
        connection.shutdown(socket.SHUT_RDWR)

    with running(late) as (server,):
        found = list(Transport(LIMITS).run(server.url, Run(ROOT, 0, 9, frozenset([cid])), 1.4))
    assert found == [(cid, block)]
