"""Fetching from real loopback servers: addresses, turns of sources, what is here already, budgets, documents."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from content_attacks import TickingClock
from content_faults import (
    SMALL,
    FaultServer,
    answers_in_cars,
    blocks_of,
    files_under,
    numbers,
    resets,
    running,
    says,
    serves,
    unverified_bytes,
)

from nodeagent.content import Cid, LocalStore
from nodeagent.content.car import header, section
from nodeagent.content.errors import (
    AllSourcesFailed,
    BudgetExceeded,
    FetchCancelled,
    MalformedBlock,
    SourceLacksBlock,
    SourceStalled,
    SourceUnreachable,
)
from nodeagent.content.fetch import Fetcher
from nodeagent.content.gateway import Gateway
from nodeagent.content.transport import FetchLimits, Transport

DATA = numbers(100)
ROOT, BLOCKS = blocks_of(DATA)
EVIL = b"never ask me to be stored"
QUICK = FetchLimits(connect_s=5.0, stall_s=0.2, block_s=20.0)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "content", layout=SMALL)


@pytest.fixture
def honest() -> Iterator[FaultServer]:
    with FaultServer(serves(BLOCKS)) as server:
        yield server


def test_fetch__no_source_at_all__says_so_unless_all_is_here(store: LocalStore) -> None:
    with pytest.raises(AllSourcesFailed, match="none was given"):
        Fetcher(store).fetch(ROOT, [], max_bytes=1000)
    store.put_bytes(DATA)
    report = Fetcher(store).fetch(ROOT, [], max_bytes=1000)
    assert (report.blocks_held, report.blocks_fetched) == (len(BLOCKS), 0)


def test_block__slow_by_the_clock__is_stalled_by_the_minimum_rate() -> None:
    with running(says(bytes(200_000))) as (server,):
        transport = Transport(FetchLimits(stall_s=0.5, min_rate=1_000_000), clock=TickingClock())
        with pytest.raises(SourceStalled, match="at least 1000000 a second"):
            transport.block(server.url, ROOT)


def test_block__rate_just_kept__is_taken() -> None:
    data = bytes(200_000)
    with running(says(data)) as (server,):
        limits = FetchLimits(stall_s=0.5, min_rate=1)
        assert Transport(limits, clock=TickingClock()).block(server.url, Cid.of(data)) == data


def test_fetch__proxy_in_the_environment__is_not_used(
    store: LocalStore, honest: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(says(EVIL)) as (proxy,):
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        Fetcher(store).fetch(ROOT, [honest.url], max_bytes=1000)
        assert proxy.paths == []


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("", "not http(s)"),
        ("ftp://127.0.0.1", "not http(s)"),
        ("file:///etc/passwd", "not http(s)"),
        ("http://", "not http(s)"),
        ("http://127.0.0.1:0", "not http(s)"),
        ("http://127.0.0.1:99999", "unreadable"),
        ("http://[::1", "unreadable"),
        ("http://user:secret@127.0.0.1", "user, query or fragment"),
        ("http://127.0.0.1/?a=b", "user, query or fragment"),
        ("http://127.0.0.1#x", "user, query or fragment"),
        ("http://127.0.0.1/a b", "blanks"),
        ("http://127.0.0.1\r\nX: y", "blanks"),
        ("http://" + "a" * 600, "longer than 512"),
        ("http://127.0.0.1:9", "NewConnectionError"),
        ("http://no-such-host.invalid", "NameResolutionError"),
    ],
)
def test_fetch__unusable_address__is_that_sources_failure(
    store: LocalStore, honest: FaultServer, source: str, reason: str
) -> None:
    report = Fetcher(store, QUICK).fetch(ROOT, [source, honest.url], max_bytes=1000)
    assert [type(failure) for failure in report.failures] == [SourceUnreachable]
    assert reason in report.failures[0].reason
    assert "secret" not in report.failures[0].reason


def test_fetch__source_with_prefix_and_slash__is_asked_below_it(store: LocalStore, honest: FaultServer) -> None:
    with running(says(BLOCKS[ROOT])) as (server,):
        Transport().block(server.url + "/gate/way/", ROOT)
        assert server.paths == [f"/gate/way/ipfs/{ROOT}?format=raw"]


# --- rotation ---


def test_fetch__source_that_lied__is_not_asked_again(store: LocalStore, honest: FaultServer) -> None:
    with running(says(EVIL)) as (liar,):
        fetcher = Fetcher(store, QUICK)
        report = fetcher.fetch(ROOT, [liar.url, honest.url], max_bytes=1000)
        assert len(liar.paths) == 1 and len(report.failures) == 1
        other = b"another file"
        with running(serves({Cid.of(other): other})) as (second,):
            fetcher.fetch(Cid.of(other), [liar.url, second.url], max_bytes=1000)
        assert len(liar.paths) == 1, "nor before the others in the next one"


def test_fetch__each_source_has_half_the_blocks__both_are_used(store: LocalStore) -> None:
    cids = list(BLOCKS)
    halves = [{c: BLOCKS[c] for c in cids[i::2]} for i in range(2)]
    with running(*map(serves, halves)) as servers:
        report = Fetcher(store, QUICK).fetch(ROOT, [server.url for server in servers], max_bytes=1000)
        assert all(type(failure) is SourceLacksBlock for failure in report.failures)
        assert all(server.paths for server in servers)
    assert store.has_all(ROOT)


def car_of(path: str) -> bytes:
    cid = Cid.parse(path.removeprefix("/ipfs/").split("?")[0])
    return header([cid]) + section(cid, BLOCKS[cid])


def test_fetch__source_that_serves_cars_alone__is_asked_for_a_car_of_each_block(store: LocalStore) -> None:
    with running(answers_in_cars(car_of)) as (server,):
        report = Fetcher(store, QUICK).fetch(ROOT, [server.url], max_bytes=1000)
    assert (report.blocks_fetched, report.failures) == (len(BLOCKS), ())
    assert store.get_bytes(ROOT, 1000) == DATA


def test_fetch__same_source_twice__is_asked_once_per_block(store: LocalStore, honest: FaultServer) -> None:
    Fetcher(store).fetch(ROOT, [honest.url, honest.url + "/", honest.url], max_bytes=1000)
    assert len(honest.paths) == len(BLOCKS)


def test_fetch__connection_dropped_once__is_tried_afresh_on_the_same_source(store: LocalStore) -> None:
    turns = iter([resets])

    def once(connection, path, stopped):  # type: ignore[no-untyped-def]
        next(turns, serves(BLOCKS))(connection, path, stopped)

    with running(once) as (server,):
        report = Fetcher(store, QUICK).fetch(ROOT, [server.url], max_bytes=1000)
    assert report.failures == () and store.has_all(ROOT)


# --- what is here, and what rots ---


def test_fetch__interrupted_and_started_again__asks_only_for_the_rest(store: LocalStore) -> None:
    missing = Cid.of(DATA[96:])
    with running(serves({c: b for c, b in BLOCKS.items() if c != missing}), serves(BLOCKS)) as (partial, full):
        with pytest.raises(AllSourcesFailed) as caught:
            Fetcher(store).fetch(ROOT, [partial.url], max_bytes=1000)
        assert caught.value.cid == str(missing)
        report = Fetcher(store).fetch(ROOT, [full.url], max_bytes=1000)
        assert full.paths == [f"/ipfs/{missing}?format=raw"]
    assert (report.blocks_fetched, report.bytes_fetched) == (1, 4)


def test_fetch__flipped_byte_on_disk__is_detected_and_fetched_again(tmp_path: Path) -> None:
    told: list[Cid] = []
    store = LocalStore(tmp_path / "mine", layout=SMALL, on_corrupt=told.append)
    other = LocalStore(tmp_path / "theirs", layout=SMALL)
    cid, leaf = other.put_bytes(DATA), Cid.of(DATA[32:48])
    with Gateway(other) as gateway:
        fetcher = Fetcher(store)
        fetcher.fetch(cid, [gateway.url], max_bytes=1000)
        (path,) = (store.root / "blocks").rglob(str(leaf))
        path.write_bytes(b"\0" + path.read_bytes()[1:])
        report = fetcher.fetch(cid, [gateway.url], max_bytes=1000)
    assert told == [leaf]
    assert (report.blocks_fetched, report.blocks_held) == (1, len(BLOCKS) - 1)
    assert store.get_bytes(cid, 1000) == DATA


def test_fetch__large_file_through_a_real_gateway__arrives_whole(tmp_path: Path) -> None:
    data = numbers(5_500_000)
    mine, theirs = LocalStore(tmp_path / "mine"), LocalStore(tmp_path / "theirs")
    cid = theirs.put_bytes(data)
    with Gateway(theirs) as gateway:
        report = Fetcher(mine).fetch(cid, [gateway.url], max_bytes=len(data))
    assert report.blocks_fetched == 7
    assert mine.get_bytes(cid, len(data)) == data


def test_fetch__many_threads_one_fetcher__all_arrive(tmp_path: Path) -> None:
    mine, theirs = LocalStore(tmp_path / "mine", layout=SMALL), LocalStore(tmp_path / "theirs", layout=SMALL)
    cids = [theirs.put_bytes(numbers(64) + b"%d" % i) for i in range(16)]
    with Gateway(theirs) as gateway, ThreadPoolExecutor(6) as threads:
        fetcher = Fetcher(mine)
        list(threads.map(lambda cid: fetcher.fetch(cid, [gateway.url], max_bytes=1000), cids))
    assert all(mine.has_all(cid) for cid in cids)
    assert unverified_bytes(mine.root) == 0


# --- budgets, cancel, documents ---


def test_fetch__larger_than_max_bytes__stops_at_the_root(store: LocalStore, honest: FaultServer) -> None:
    with pytest.raises(BudgetExceeded) as caught:
        Fetcher(store).fetch(ROOT, [honest.url], max_bytes=99)
    assert (caught.value.what, caught.value.found) == ("bytes", 100)
    assert len(honest.paths) == 1


def test_fetch__deeper_than_max_depth__is_refused(store: LocalStore, honest: FaultServer) -> None:
    with pytest.raises(BudgetExceeded, match="depth"):
        Fetcher(store).fetch(ROOT, [honest.url], max_bytes=1000, max_depth=1)


def test_fetch__right_hash_but_no_file_node__is_a_job_fault(store: LocalStore) -> None:
    block = b"\x0a\x02\x08\x01"  # an empty UnixFS directory
    directory = Cid(0x70, Cid.of(block).digest)
    with running(serves({directory: block})) as (server,), pytest.raises(MalformedBlock, match="UnixFS"):
        Fetcher(store).fetch(directory, [server.url], max_bytes=1000)


def test_fetch__cancelled_between_blocks__stops_and_keeps_what_it_has(store: LocalStore, honest: FaultServer) -> None:
    with pytest.raises(FetchCancelled):
        Fetcher(store).fetch(ROOT, [honest.url], max_bytes=1000, cancel=lambda: len(honest.paths) >= 3)
    assert 0 < len(list(store.block_cids())) <= len(honest.paths) < len(BLOCKS)


def test_fetch_digest__document__returns_its_bytes_and_stores_it(store: LocalStore) -> None:
    document = b'{"version":1}'
    cid = Cid.of(document)
    with running(says(EVIL), serves({cid: document})) as servers:
        sources = [server.url for server in servers]
        assert Fetcher(store).fetch_digest(cid.digest, sources) == document
    assert Fetcher(store).fetch_digest(cid.digest, []) == document


def test_fetch_digest__true_document_too_large__is_a_job_fault_and_not_stored(store: LocalStore) -> None:
    document = bytes(1001)
    with running(says(document)) as (server,), pytest.raises(BudgetExceeded) as caught:
        Fetcher(store).fetch_digest(Cid.of(document).digest, [server.url], max_bytes=1000)
    assert (caught.value.limit, caught.value.found) == (1000, 1001)
    assert files_under(store.root) == {}


def test_fetch__tls_asked_of_a_plain_server__is_that_sources_failure(store: LocalStore, honest: FaultServer) -> None:
    source = honest.url.replace("http://", "https://")
    with pytest.raises(AllSourcesFailed, match="SSLError"):
        Fetcher(store, QUICK).fetch(ROOT, [source], max_bytes=1000)
    assert files_under(store.root) == {}
