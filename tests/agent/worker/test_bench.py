"""The bench: earliest deadline first, bounded, and never brought down by a job."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from scene import posted, world

from nodeagent.errors import Fatal, JobFault, QuorateError, Transient
from nodeagent.protocol.types import JobId, Shard
from nodeagent.runtimes.types import ShardSpec, TaskResult, TensorSpec
from nodeagent.worker.bench import FETCHERS, Again, Bench, Done, Outcome, Passed
from nodeagent.worker.compute import Order, Over, Prepared, Warm, results_path
from nodeagent.worker.shelf import NoRoom

JOB = world([posted(1, tasks=8, shard_size=2)]).jobs[JobId(1)]
CASE = replace(JOB, id=JobId(9), about=(JOB, Shard(0)))


class Kitchen:
    """Stands where the pantry does: gives every order a spec, or the fault it was told to raise."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.faults = folder, dict[int, Exception]()
        self.freed: list[int] = []
        self.warmed: list[Exception | None] = []  # what to raise for each model brought ahead
        self.asked = threading.Semaphore(0)
        self.over: list[Over] = []
        self.manifest: Any = None
        self.stalling, self.stalled = threading.Event(), threading.Semaphore(0)
        self.let_go = threading.Event()

    def prepare(self, order: Order, cancel: Any) -> Prepared:
        if self.stalling.is_set() and order.job.about is None and not order.again:
            self.stalled.release()
            assert self.let_go.wait(30)
        if order.shard in self.faults:
            raise self.faults[order.shard]
        inputs = self.folder / f"{order.shard}.npz"
        inputs.write_bytes(b"x")
        spec = ShardSpec(
            "onnx-canonical", inputs, bytes(32), inputs, order.first, 2, (TensorSpec("x", "int8", ()),), (), 1, 9
        )
        return Prepared(order, spec, lambda: self.freed.append(order.shard))

    @contextlib.contextmanager
    def model(self, order: Warm, cancel: Any) -> Iterator[tuple[Any, Path, list[str]]]:
        fault = self.warmed.pop(0)
        if fault is not None:
            raise fault
        yield self.manifest, self.folder, []

    def forget(self, over: Over) -> None:
        self.over.append(over)
        self.asked.release()
        raise PermissionError("read only")


class Oven:
    """Stands where the executor does; remembers the order in which shards came."""

    inferences = 0
    owner: str | None = None

    def __init__(self) -> None:
        self.owners: list[str] = []
        self.inspected: list[Path] = []
        self.firsts: list[int] = []
        self.gate = threading.Event()
        self.entered = threading.Event()

    def start(self) -> None:
        pass

    def turn_to(self, owner: str) -> None:
        self.owner = owner
        self.owners.append(owner)

    def inspect(self, path: Path, *_: Any, **__: Any) -> None:
        self.inspected.append(path)

    def run(self, spec: ShardSpec, *, seconds: float | None) -> list[TaskResult]:
        self.firsts.append(spec.first)
        self.entered.set()
        assert self.gate.wait(30)
        self.inferences += spec.count
        return [TaskResult(spec.first + i, 0, bytes([i])) for i in range(spec.count)]

    def close(self) -> None:
        self.gate.set()


def order(shard: int, deadline: int) -> Order:
    return Order(JOB, Shard(shard), deadline, ())


def collect(bench: Bench, wake: threading.Event, count: int, block: int = 100) -> list[Outcome]:
    found: list[Outcome] = []
    while len(found) < count:
        assert wake.wait(30), "the bench went silent"
        wake.clear()
        found += bench.tick(block, 1.0)
    return found


@pytest.fixture
def parts(tmp_path: Path) -> Any:
    kitchen, oven, wake = Kitchen(tmp_path), Oven(), threading.Event()
    bench = Bench(kitchen, [oven], tmp_path / "pending", wake)  # type: ignore[arg-type, list-item]
    bench.tick(100, 1.0)
    yield kitchen, oven, bench, wake
    bench.close()


def test_bench__orders_behind_a_running_one__earliest_deadline_next(parts: Any, tmp_path: Path) -> None:
    _, oven, bench, wake = parts
    assert bench.offer(order(0, 500))
    assert oven.entered.wait(30)
    for shard, deadline in ((3, 400), (1, 200), (2, 300)):
        bench.offer(order(shard, deadline))
    while len(bench._to_run) < 3:  # all fetched
        threading.Event().wait(0.001)
    oven.gate.set()
    done = collect(bench, wake, 4)
    assert oven.firsts == [0, 2, 4, 6] and all(isinstance(d, Done) for d in done) and bench.open_work == 0
    for outcome in done:
        path = results_path(tmp_path / "pending", 1, outcome.result.shard)
        assert path.read_bytes() == b"\x00\x00\x00\x00\x01\x00" + b"\x00\x00\x00\x00\x01\x01" and outcome.ran == 2


def test_bench__same_order_twice__once(parts: Any) -> None:
    _, oven, bench, wake = parts
    assert bench.offer(order(0, 500)) and bench.offer(order(0, 500))
    oven.gate.set()
    collect(bench, wake, 1)
    assert oven.firsts == [0] and bench.offer(order(0, 500)), "finished: it may be ordered again"


@pytest.mark.parametrize(
    ("fault", "final"),
    [
        (JobFault("manifest"), True),
        (Transient("no source"), False),
        (Fatal("disk full"), False),
        (QuorateError("odd"), False),
        (OSError(28, "No space left on device"), False),
        (FileNotFoundError(2, "No such file or directory"), False),
        (ZeroDivisionError("bug"), True),
    ],
)
def test_bench__anything_goes_wrong__a_pass_and_the_next_shard_runs(parts: Any, fault: Exception, final: bool) -> None:
    kitchen, oven, bench, wake = parts
    kitchen.faults[0] = fault
    oven.gate.set()
    bench.offer(order(0, 500))
    (passed,) = collect(bench, wake, 1)
    assert isinstance(passed, Passed) and passed.final is final and passed.deadline == 500
    assert (passed.fatal is fault) is isinstance(fault, Fatal)
    bench.offer(order(1, 500))
    assert isinstance(collect(bench, wake, 1)[0], Done)


def test_bench__deadline_over_before_it_runs__a_pass(parts: Any) -> None:
    _, oven, bench, wake = parts
    bench.offer(order(0, 100))
    (passed,) = collect(bench, wake, 1)
    assert isinstance(passed, Passed) and "time is over" in passed.reason and oven.firsts == []


@pytest.mark.parametrize("judge", [replace(order(7, 500), job=CASE), replace(order(7, 500), again=True)])
def test_bench__sources_stall_every_drawn_shard__a_judges_is_brought_all_the_same(
    parts: Any, tmp_path: Path, judge: Order
) -> None:
    kitchen, oven, bench, wake = parts
    oven.gate.set()
    kitchen.stalling.set()
    for shard in range(6):
        bench.offer(order(shard, 200))
    for _ in range(FETCHERS["drawn"]):
        assert kitchen.stalled.acquire(timeout=30)
    bench.offer(judge)
    (outcome,) = collect(bench, wake, 1)
    assert bench.open_work == 6 and (outcome.again if judge.again else outcome.result.shard == 7)
    kitchen.let_go.set()
    collect(bench, wake, 6)


def test_bench__computed_or_not__its_payload_is_freed_before_the_outcome_is_told(parts: Any) -> None:
    kitchen, oven, bench, wake = parts
    oven.gate.set()
    for shard, deadline in ((0, 500), (1, 100)):
        bench.offer(order(shard, deadline))
        collect(bench, wake, 1)
        assert kitchen.freed.pop() == shard
    bench._to_run.close()
    bench.offer(order(2, 500))
    (passed,) = collect(bench, wake, 1)
    assert isinstance(passed, Passed) and "no room on the bench" in passed.reason and kitchen.freed == [2]


# --- ahead of a draw, and when a job is over --------------------------------------------------------------------------


def test_warm__no_room__said_once_until_there_is_again(parts: Any) -> None:
    kitchen, oven, bench, wake = parts
    oven.gate.set()
    full = NoRoom("the budget")
    kitchen.warmed = [full, full, Transient("no source"), full, None, full]
    with structlog.testing.capture_logs() as logs:
        for _ in range(len(kitchen.warmed)):
            bench._fetch_ahead(Warm(JOB, 500, ()))
    said = [(entry["job"], entry["reason"]) for entry in logs if entry["event"] == "warming_stopped"]
    assert said == [(1, "the budget")] * 2
    bench.offer(order(0, 500))
    assert isinstance(collect(bench, wake, 1)[0], Done), "whatever a model does to who loads it"


def test_run__job_of_another_requester__turns_the_executor_to_it(parts: Any) -> None:
    _, oven, bench, wake = parts
    oven.gate.set()
    rival = replace(JOB, id=JobId(2), requester="0x" + "9" * 40)
    for one in (JOB, rival, replace(CASE, requester="0x" + "5" * 40)):
        bench.offer(Order(one, Shard(0), 500, ()))
        assert isinstance(collect(bench, wake, 1)[0], Done)
    assert oven.owners == [JOB.requester, rival.requester, JOB.requester], "a case is about the appealed job's payload"


def test_warm__model_of_another_requester__waits_for_its_draw(parts: Any, tmp_path: Path) -> None:
    kitchen, oven, bench, wake = parts
    oven.gate.set()
    kitchen.warmed = [None] * 3
    manifest: Any = SimpleNamespace(inputs=(), runtime=SimpleNamespace(name="onnx-canonical"))
    kitchen.manifest = manifest
    rival = replace(JOB, id=JobId(2), requester="0x" + "9" * 40)
    for one in (JOB, rival, JOB):
        bench._fetch_ahead(Warm(one, 500, ()))
    bench.offer(order(0, 900))
    collect(bench, wake, 1)
    assert oven.owners == [JOB.requester] * 3 and len(oven.inspected) == 2


def test_forget__given_to_the_pantry_and_its_trouble_stops_nothing(parts: Any) -> None:
    kitchen, oven, bench, wake = parts
    oven.gate.set()
    for _ in range(8):  # more than there are fetchers
        bench.forget(frozenset([bytes(32)]), frozenset(["results-1"]))
        assert kitchen.asked.acquire(timeout=30)
    assert kitchen.over == [Over(frozenset([bytes(32)]), frozenset(["results-1"]))] * 8
    bench.offer(order(0, 500))
    assert isinstance(collect(bench, wake, 1)[0], Done)


# --- a second computation ---------------------------------------------------------------------------------------------


def test_bench__again__a_new_executor_that_is_closed_and_nothing_written(tmp_path: Path) -> None:
    made: list[Oven] = []

    def fresh() -> Oven:
        made.append(Oven())
        made[-1].gate.set()
        return made[-1]

    kitchen, oven, wake = Kitchen(tmp_path), Oven(), threading.Event()
    oven.gate.set()
    bench = Bench(kitchen, [oven], tmp_path / "pending", wake, fresh)  # type: ignore[arg-type, list-item]
    try:
        bench.tick(100, 1.0)
        bench.offer(order(1, 500))
        (first,) = collect(bench, wake, 1)
        results_path(tmp_path / "pending", 1, 1).unlink()
        for _ in range(2):
            bench.offer(replace(order(1, 500), again=True))
            (second,) = collect(bench, wake, 1)
            assert isinstance(first, Done) and second == Again(JobId(1), Shard(1), first.result.root)
    finally:
        bench.close()
    assert oven.firsts == [2] and [o.firsts for o in made] == [[2], [2]], "a process of its own each time"
    assert not list((tmp_path / "pending").iterdir()), "the first answer stays what was sealed"


def test_bench__again_beside_the_first__two_orders(parts: Any) -> None:
    _, oven, bench, wake = parts
    oven.gate.set()
    assert bench.offer(order(0, 500)) and bench.offer(replace(order(0, 500), again=True)) and bench.open_work == 2
    found = collect(bench, wake, 2)
    passed = next(o for o in found if isinstance(o, Passed))
    assert passed.again and "no second executor" in passed.reason and bench.open_work == 0
