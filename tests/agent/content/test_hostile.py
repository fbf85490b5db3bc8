"""Fetching from real loopback servers that lie, stall, flood, redirect and reset, and files that are attacks.

Fetcher.fetch, a source's attack ....... alone: a typed error, nothing on disk, bytes and memory within bounds
                                         before an honest source: that one serves, and is asked first in later calls
Fetcher.fetch, an attack where several leaves are asked for in one answer: the file comes, whoever did harm is lowered
Fetcher.fetch, a file that is one ...... the job's fault, within its budgets; no source is blamed

What happened is written to build/content/hostile.json.
"""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from content_attacks import ATTACKS, BLOCKS, DATA, EVIL, PATIENT, ROOT, Attack
from content_dags import DAGS, Growing
from content_faults import FaultServer, files_under, resets, running, says, serves, unverified_bytes
from content_runs import CHUNK, LARGE, RUN_ATTACKS, runs
from content_runs import ROOT as LARGE_ROOT

from nodeagent.content import Cid, LocalStore
from nodeagent.content.ahead import WIDTH, Run
from nodeagent.content.dagpb import MAX_LINKS
from nodeagent.content.errors import AllSourcesFailed, SourceLacksBlock
from nodeagent.content.fetch import Fetcher
from nodeagent.content.transport import Transport
from nodeagent.content.unixfs import MAX_BLOCK_BYTES, MIB
from nodeagent.content.watch import Cut
from nodeagent.errors import JobFault, Transient

REPOSITORY: Final = Path(__file__).resolve().parents[3]
LATER: Final = b"another file"
HEAD_BYTES: Final = 256  # of an answer
RUN_BYTES: Final = 2 * (8 * CHUNK + MAX_BLOCK_BYTES) + 65_536  # of an answer with eight leaves
AHEAD: Final = 32  # blocks that a fetcher may have asked for when it finds that a file is bad
RUN_S: Final = 0.3  # how long the hostile source may take for a leaf
MEMORY_BYTES: Final = 4 * MAX_BLOCK_BYTES
NAMED: Final = {
    "wrong bytes",
    "valid block of another CID",
    "missing block",
    "endless body",
    "one byte a second",
    "redirect to another host",
    "gzip bomb",
    "deep DAG",
    "wide DAG",
    "cycle by truncated hash",
    "5xx",
    "reset mid-block",
}
FIELDS: Final = (
    "name",
    "error",
    "next_source_served",
    "health_lowered",
    "unverified_bytes_on_disk",
    "bytes_sent",
    "bytes_on_disk",
)
Log = Callable[..., None]


class Sided:
    """Little patience for the hostile source, much for all others; notes who was asked."""

    def __init__(self, hostile: str, attack: Attack) -> None:
        clock = {} if attack.clock is None else {"clock": attack.clock()}
        self._hostile, self._hasty, self._patient = hostile, Transport(attack.limits, **clock), Transport(PATIENT)
        self.asked: list[str] = []

    def block(self, source: str, cid: Cid, cut: Cut | None = None) -> bytes:
        self.asked.append(source)
        return (self._hasty if source == self._hostile else self._patient).block(source, cid, cut)

    def run(self, source: str, run: Run, patience_s: float, cut: Cut | None = None) -> Iterator[tuple[Cid, bytes]]:
        return self._patient.run(source, run, RUN_S if source == self._hostile else patience_s, cut)


@pytest.fixture(scope="session")
def log() -> Iterator[Log]:
    """Collects what is found out about each attack and writes it at the end; null is what was not tried."""
    rows: dict[str, dict[str, Any]] = {}

    def add(name: str, **found: Any) -> None:
        rows.setdefault(name, {**dict.fromkeys(FIELDS), "name": name}).update(found)

    yield add
    place = REPOSITORY / "build" / "content" / "hostile.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(list(rows.values()), indent=1) + "\n")


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "content")


@pytest.fixture
def honest() -> Iterator[FaultServer]:
    with FaultServer(serves({**BLOCKS, Cid.of(LATER): LATER})) as server:
        yield server


@pytest.fixture(scope="module")
def on_the_way() -> int:
    """Bytes that a server may have sent and its client not read: they are in the kernel."""
    sizes = [Path(f"/proc/sys/net/ipv4/tcp_{way}mem").read_text().split() for way in "rw"]
    return sum(int(most) for _, _, most in sizes)


@pytest.fixture
def peak() -> Iterator[Callable[[], int]]:
    """The most memory that Python held at once since the test began, bytes."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()


def bytes_under(root: Path) -> int:
    return sum(map(len, files_under(root).values()))


def test_attacks__names__hold_all_that_were_asked_for() -> None:
    assert not NAMED - (ATTACKS.keys() | DAGS.keys())
    assert len(ATTACKS.keys() | DAGS.keys() | RUN_ATTACKS.keys()) == len(ATTACKS) + len(DAGS) + len(RUN_ATTACKS)


# --- a source's attack ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ATTACKS)
def test_fetch__only_a_hostile_source__raises_within_bounds_and_leaves_nothing_on_disk(
    store: LocalStore, name: str, on_the_way: int, peak: Callable[[], int], log: Log
) -> None:
    attack = ATTACKS[name]
    with running(attack.behave) as (hostile,):
        fetcher = Fetcher(store, PATIENT, transport=Sided(hostile.url, attack))
        with pytest.raises(AllSourcesFailed) as caught:
            fetcher.fetch(ROOT, [hostile.url], max_bytes=1000)
    failures, disk = caught.value.failures, bytes_under(store.root)
    log(name, error=type(failures[0]).__name__, bytes_sent=hostile.sent, bytes_on_disk=disk)
    assert [type(failure) for failure in failures] == [attack.error]
    assert attack.reason in failures[0].reason
    assert caught.value.cid == str(ROOT)
    assert isinstance(caught.value, Transient)
    assert files_under(store.root) == {}
    assert hostile.sent <= attack.max_sent + on_the_way
    assert peak() <= MEMORY_BYTES


@pytest.mark.parametrize("name", ATTACKS)
def test_fetch__hostile_source_first__the_next_one_serves_and_is_asked_first_later(
    store: LocalStore, honest: FaultServer, name: str, log: Log
) -> None:
    attack = ATTACKS[name]
    with running(attack.behave) as (hostile,):
        sources, sided = [hostile.url, honest.url], Sided(hostile.url, attack)
        fetcher = Fetcher(store, PATIENT, transport=sided)
        report = fetcher.fetch(ROOT, sources, max_bytes=1000)
        served = report.blocks_fetched == len(BLOCKS) and store.get_bytes(ROOT, 1000) == DATA
        lowered = fetcher.health.order(sources) == [honest.url, hostile.url]
        before = len(sided.asked)
        fetcher.fetch(Cid.of(LATER), sources, max_bytes=1000)
    unverified = unverified_bytes(store.root)
    log(name, next_source_served=served, health_lowered=lowered, unverified_bytes_on_disk=unverified)
    assert {(type(failure), failure.source) for failure in report.failures} == {(attack.error, hostile.url)}
    assert attack.reason in report.failures[0].reason
    assert served
    assert unverified == 0
    assert lowered is (attack.error is not SourceLacksBlock), "not to hold a block is no offence"
    assert not lowered or sided.asked[before:] == [honest.url]


def test_fetch__every_source_fails__one_error_names_each_with_its_reason(store: LocalStore) -> None:
    with running(says(EVIL), says(b"", "404 Not Found"), resets) as servers:
        with pytest.raises(AllSourcesFailed) as caught:
            Fetcher(store, PATIENT).fetch(ROOT, [server.url for server in servers], max_bytes=1000)
        for server, reason in zip(servers, ["hash to", "HTTP 404", "connection dropped"], strict=True):
            assert f"{server.url}: " in str(caught.value) and reason in str(caught.value)
    assert [f.source for f in caught.value.failures] == [server.url for server in servers]


def test_fetch__redirect__is_not_followed(store: LocalStore, honest: FaultServer) -> None:
    for status in ("301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"):
        target = f"{honest.url}/ipfs/{ROOT}?format=raw"
        redirect = says(b"", status, {"Location": target})
        with running(redirect) as (hostile,), pytest.raises(AllSourcesFailed) as caught:
            Fetcher(store, PATIENT).fetch(ROOT, [hostile.url], max_bytes=1000)
        assert "redirects are not followed" in caught.value.failures[0].reason
    assert honest.paths == []


# --- several leaves in one answer -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RUN_ATTACKS)
def test_fetch__hostile_answer_for_several_leaves__the_file_comes_all_the_same(
    store: LocalStore, name: str, on_the_way: int, log: Log
) -> None:
    attack = RUN_ATTACKS[name]
    with running(runs(attack.answer), runs(says)) as (hostile, honest):
        sources = [hostile.url, honest.url]
        fetcher = Fetcher(store, PATIENT, transport=Sided(hostile.url, Attack(says(b""), SourceLacksBlock)))
        report = fetcher.fetch(LARGE_ROOT, sources, max_bytes=len(LARGE))
        lowered = fetcher.health.order(sources) == [honest.url, hostile.url]
    tried = sum("entity-bytes" in path for path in hostile.paths)
    unverified, served = unverified_bytes(store.root), store.get_bytes(LARGE_ROOT, len(LARGE)) == LARGE
    log(name, error=attack.error and attack.error.__name__, next_source_served=served, health_lowered=lowered)
    log(name, unverified_bytes_on_disk=unverified, bytes_sent=hostile.sent, bytes_on_disk=bytes_under(store.root))
    assert served and unverified == 0
    assert {(type(failure), failure.source) for failure in report.failures} == (
        {(attack.error, hostile.url)} if attack.error else set()
    )
    assert all(attack.reason in failure.reason for failure in report.failures)
    assert lowered is (attack.error is not None)
    assert 1 <= tried <= WIDTH, "it is not tried again and again"
    assert hostile.sent <= 2 * len(LARGE) + tried * (RUN_BYTES + on_the_way)


# --- a file that is the attack ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DAGS)
def test_fetch__hostile_file__is_the_jobs_fault_within_its_budgets(
    store: LocalStore, honest: FaultServer, name: str, log: Log
) -> None:
    dag, blocks = DAGS[name], Growing()
    root = dag.build(blocks).cid
    with running(serves(blocks), serves(blocks)) as (hostile, mirror):
        sources, fetcher = [hostile.url, mirror.url], Fetcher(store, PATIENT)
        with pytest.raises(dag.error, match=re.escape(dag.reason)) as caught:
            fetcher.fetch(root, sources, max_bytes=dag.max_bytes)
        disk, lowered = bytes_under(store.root), fetcher.health.order(sources) != sources
        fetcher.fetch(ROOT, [hostile.url, honest.url], max_bytes=1000)
    sent, asked = hostile.sent + mirror.sent, len(hostile.paths) + len(mirror.paths)
    unverified = unverified_bytes(store.root)
    log(name, error=type(caught.value).__name__, bytes_sent=sent, bytes_on_disk=disk)
    log(name, next_source_served=store.get_bytes(ROOT, 1000) == DATA, health_lowered=lowered)
    log(name, unverified_bytes_on_disk=unverified)
    assert isinstance(caught.value, JobFault)
    largest = sum(sorted(map(len, blocks.values()))[-dag.asks - AHEAD :])
    assert disk <= largest
    assert sent <= largest + HEAD_BYTES * asked
    assert unverified == 0
    assert not lowered, "who delivered what was asked for is not to blame"
    assert store.get_bytes(ROOT, 1000) == DATA


def test_fetch__node_of_as_many_links_as_allowed__arrives(store: LocalStore) -> None:
    blocks = Growing()
    root = blocks.node(*[blocks.leaf(b"a" * 20_000)] * MAX_LINKS).cid
    with running(serves(blocks)) as (server,):
        assert Fetcher(store, PATIENT).fetch(root, [server.url], max_bytes=32 * MIB).blocks_fetched == 2
    assert store.file_size(root) == 20_000 * MAX_LINKS
