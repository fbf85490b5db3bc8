"""Sources that dawdle: the next one is asked beside them, they are cut, and they are remembered for a while."""

from __future__ import annotations

import socket
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from content_faults import (
    SMALL,
    Behaviour,
    blocks_of,
    files_under,
    numbers,
    running,
    says,
    serves,
    stalls,
    trickles_head,
)

from nodeagent.content import Cid, LocalStore
from nodeagent.content.errors import (
    AllSourcesFailed,
    BudgetExceeded,
    FetchCancelled,
    SourceLacksBlock,
    SourceSentWrongBytes,
    SourceServesNone,
    SourceStalled,
)
from nodeagent.content.fetch import Fetcher
from nodeagent.content.transport import FetchLimits
from nodeagent.content.watch import Cut

DATA = numbers(100)
ROOT, BLOCKS = blocks_of(DATA)
ONE = b"one block"
EAGER = FetchLimits(hedge_s=1 / 16, slow_s=60.0)
PATIENT = FetchLimits(hedge_s=600.0)  # nobody is asked beside another
WAIT = 30.0
Part = Callable[[Cid, Cut], bytes]


class Clock:
    """Stands still but for those who dawdle, so that nobody else is ever late, however slow the machine."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def dawdles(self, cid: Cid, cut: Cut) -> bytes:
        """As a real connection: its time goes by, and nothing comes until it is cut."""
        self.now += EAGER.hedge_s
        return silent(cid, cut)


class Cast:
    """Sources by name, each a function; notes who was asked, and how many ran at once."""

    def __init__(self, **parts: Part) -> None:
        self.parts, self.asked = parts, list[str]()
        self.cuts: dict[str, Cut] = {}
        self.most = 0
        self._lock = threading.Lock()

    def block(self, source: str, cid: Cid, cut: Cut | None = None) -> bytes:
        assert cut is not None
        with self._lock:
            self.asked.append(source)
            self.cuts[source] = cut
            self.most = max(self.most, sum(not one.done for one in self.cuts.values()))
        return self.parts[source](cid, cut)

    def run(self, source: str, *_: object) -> Iterator[tuple[Cid, bytes]]:
        raise SourceServesNone(source, "one block at a time")


def gives(cid: Cid, cut: Cut) -> bytes:
    return BLOCKS[cid]


def silent(cid: Cid, cut: Cut) -> bytes:
    never = threading.Event()
    while not cut.done:
        never.wait(0.005)
    raise SourceStalled("silent", "cut")


def lacks(cid: Cid, cut: Cut) -> bytes:
    raise SourceLacksBlock("lacks", "HTTP 404")


def lies(cid: Cid, cut: Cut) -> bytes:
    raise SourceSentWrongBytes("liar", "hash")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "content", layout=SMALL)


def fetcher(store: LocalStore, cast: Cast, clock: Clock, limits: FetchLimits = EAGER) -> Fetcher:
    return Fetcher(store, limits, transport=cast, clock=clock)


# --- beside each other ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("behave", [stalls, trickles_head])
def test_fetch__first_source_dawdles__the_next_is_asked_beside_it_and_wins(
    store: LocalStore, behave: Behaviour
) -> None:
    left = threading.Event()

    def until_closed(connection: socket.socket) -> None:
        if not connection.recv(1):
            left.set()

    def watched(connection: socket.socket, path: str, stopped: threading.Event) -> None:
        threading.Thread(target=until_closed, args=(connection,), daemon=True).start()
        behave(connection, path, stopped)

    with running(watched, serves(BLOCKS)) as (slow, honest):
        report = Fetcher(store, EAGER).fetch(ROOT, [slow.url, honest.url], max_bytes=1000)
        assert left.wait(WAIT), "the loser's connection is closed"
    assert {(type(f), f.source) for f in report.failures} == {(SourceStalled, slow.url)}
    assert store.get_bytes(ROOT, 1000) == DATA


def test_fetch__many_dawdle__an_honest_one_is_reached_and_few_run_at_once(store: LocalStore, clock: Clock) -> None:
    cast = Cast(a=clock.dawdles, b=clock.dawdles, c=clock.dawdles, d=clock.dawdles, e=clock.dawdles, honest=gives)
    report = fetcher(store, cast, clock).fetch(ROOT, ["a", "b", "c", "d", "e", "honest"], max_bytes=1000)
    assert store.has_all(ROOT) and {f.source for f in report.failures} <= set("abcde")
    assert cast.most == EAGER.parallel
    assert all(cast.cuts[name].done for name in "abcde") and cast.asked.count("honest") == len(BLOCKS)


def test_fetch__slow_one_is_the_only_one_who_has_it__it_is_waited_for(store: LocalStore, clock: Clock) -> None:
    others = defaultdict[Cid, threading.Event](threading.Event)

    def slow(cid: Cid, cut: Cut) -> bytes:
        clock.now += 8 * EAGER.hedge_s  # enough for a race beside others, too
        assert others[cid].wait(WAIT) and not cut.done
        return BLOCKS[cid]

    def empty(cid: Cid, cut: Cut) -> bytes:
        others[cid].set()
        raise SourceLacksBlock("empty", "HTTP 404")

    cast = Cast(slow=slow, empty=empty)
    report = fetcher(store, cast, clock).fetch(ROOT, ["slow", "empty"], max_bytes=1000)
    assert store.has_all(ROOT) and {type(f) for f in report.failures} <= {SourceLacksBlock}


def test_fetch__loser_that_had_less_than_its_time__is_not_blamed(store: LocalStore, clock: Clock) -> None:
    second_runs, cid = threading.Event(), Cid.of(ONE)

    def first(cid: Cid, cut: Cut) -> bytes:
        clock.now += EAGER.hedge_s
        assert second_runs.wait(WAIT)
        return ONE

    def second(cid: Cid, cut: Cut) -> bytes:
        second_runs.set()
        return silent(cid, cut)

    cast = Cast(first=first, second=second)
    report = fetcher(store, cast, clock).fetch(cid, ["first", "second"], max_bytes=100)
    assert report.failures == () and cast.cuts["second"].done


def test_fetch__a_lie_beside_a_stall__only_verified_bytes_on_disk(store: LocalStore) -> None:
    with running(trickles_head, says(b"evil"), serves(BLOCKS)) as servers:
        Fetcher(store, EAGER).fetch(ROOT, [server.url for server in servers], max_bytes=1000)
    for name, data in files_under(store.root).items():
        assert data == b"" or Cid.parse(Path(name).name).verify(data) == data


def test_fetch__several_at_once__the_budget_holds(store: LocalStore, clock: Clock) -> None:
    with pytest.raises(BudgetExceeded):
        fetcher(store, Cast(a=clock.dawdles, b=gives), clock).fetch(ROOT, ["a", "b"], max_bytes=99)
    with pytest.raises(BudgetExceeded):
        fetcher(store, Cast(a=clock.dawdles, b=gives), clock).fetch_digest(
            Cid.of(DATA[:16]).digest, ["a", "b"], max_bytes=3
        )
    assert store.total_bytes() <= len(BLOCKS[ROOT])


def test_fetch__cancelled_while_all_dawdle__stops_and_cuts_them(store: LocalStore, clock: Clock) -> None:
    cast = Cast(a=clock.dawdles, b=clock.dawdles)
    with pytest.raises(FetchCancelled):
        fetcher(store, cast, clock).fetch(ROOT, ["a", "b"], max_bytes=1000, cancel=lambda: len(cast.asked) == 2)
    assert all(cut.done for cut in cast.cuts.values())


def test_fetch__a_bug_in_the_transport__is_not_taken_for_a_source_failure(store: LocalStore, clock: Clock) -> None:
    def broken(cid: Cid, cut: Cut) -> bytes:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fetcher(store, Cast(a=broken), clock).fetch(ROOT, ["a"], max_bytes=1000)


# --- memory -----------------------------------------------------------------------------------------------------------


def test_fetch__a_later_call__the_one_that_stalled_is_asked_last(store: LocalStore, clock: Clock) -> None:
    cast = Cast(slow=clock.dawdles, honest=gives)
    made = fetcher(store, cast, clock)
    made.fetch(Cid.of(DATA[:16]), ["slow", "honest"], max_bytes=1000)
    assert cast.asked == ["slow", "honest"]
    made.fetch(ROOT, ["slow", "honest"], max_bytes=1000)
    assert cast.asked.count("slow") == 1, "what it cost is remembered from one call to the next"


def test_fetch__liar_in_an_earlier_call__is_asked_last_until_it_has_rested(store: LocalStore, clock: Clock) -> None:
    cast = Cast(liar=lies, honest=gives)
    made = fetcher(store, cast, clock, PATIENT)
    leaves = [Cid.of(DATA[at : at + 16]) for at in range(0, 64, 16)]
    for leaf in leaves[:2]:
        made.fetch(leaf, ["liar", "honest"], max_bytes=100)
    assert cast.asked == ["liar", "honest", "honest"]
    clock.now += PATIENT.rest_s
    made.fetch(leaves[2], ["liar", "honest"], max_bytes=100)
    assert cast.asked[3:] == ["liar", "honest"]


def test_fetch__nobody_else_has_it__one_that_rests_is_asked_all_the_same(store: LocalStore, clock: Clock) -> None:
    turns = [clock.dawdles, gives]
    cast = Cast(moody=lambda cid, cut: (turns.pop(0) if len(turns) > 1 else turns[0])(cid, cut), empty=lacks)
    cast.parts["helper"] = gives
    made = fetcher(store, cast, clock)
    made.fetch(Cid.of(DATA[:16]), ["moody", "helper"], max_bytes=100)
    made.fetch(ROOT, ["moody", "empty"], max_bytes=1000)
    assert store.has_all(ROOT)


def test_fetch__slow_but_always_just_in_time__the_quick_are_asked_first(store: LocalStore, clock: Clock) -> None:
    def slow(cid: Cid, cut: Cut) -> bytes:
        clock.now += 2.9
        return BLOCKS[cid]

    cast = Cast(slow=slow, honest=gives)
    report = fetcher(store, cast, clock, PATIENT).fetch(ROOT, ["slow", "honest"], max_bytes=1000)
    assert report.failures == () and cast.asked == ["slow"] + ["honest"] * (len(BLOCKS) - 1)


def test_fetch__all_fail__every_failure_is_told_and_each_was_asked_once(store: LocalStore, clock: Clock) -> None:
    cast = Cast(liar=lies, empty=lacks)
    with pytest.raises(AllSourcesFailed) as caught:
        fetcher(store, cast, clock).fetch(ROOT, ["liar", "empty"], max_bytes=1000)
    assert len(caught.value.failures) == 2 and sorted(cast.asked) == ["empty", "liar"]


def test_fetch__cancelled_while_the_only_source_is_at_work__says_nothing_against_it(
    store: LocalStore, clock: Clock
) -> None:
    def dawdles(cid: Cid, cut: Cut) -> bytes:
        clock.now += 100 * EAGER.hedge_s
        return silent(cid, cut)

    cast = Cast(a=dawdles, b=gives)
    one = fetcher(store, cast, clock)
    with pytest.raises(FetchCancelled):
        one.fetch(ROOT, ["a"], max_bytes=1000, cancel=lambda: bool(cast.asked))
    assert one.health.order(["a", "b"]) == ["a", "b"]
