"""The loop's small duties: what is handed on when a job is over."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from scene import EB, posted, world

from nodeagent.protocol.types import JobId, Shard
from nodeagent.worker import lifecycle as life
from nodeagent.worker.admission import Admission
from nodeagent.worker.agent import Agent, Habits
from nodeagent.worker.bench import Passed
from nodeagent.worker.ledger import Ledger
from nodeagent.worker.views import Passes, PassLog


class Anything:
    """Takes whatever is called."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


def test_prune__job_is_over__its_payload_is_given_up_and_others_are_not(tmp_path: Path) -> None:
    given: list[Any] = []
    ended: list[Any] = []
    agent: Any = SimpleNamespace(
        hands=SimpleNamespace(
            deployment=SimpleNamespace(ring=128, settle_grace=8, report_epochs=4),
            ledger=Ledger(tmp_path / "agent.db"),
            outbox=Anything(),
            pending=tmp_path,
            give_up=ended.append,
        ),
        world=world([posted(1), posted(2, post_epoch=500)]),
        bench=SimpleNamespace(forget=lambda over, needed: given.append((over, needed))),
        passes=Passes(),
        lottery=Anything(),
        _epoch_blocks=EB,
        _warmed={JobId(1), JobId(2)},
    )
    Agent._prune(agent, 400 * EB)
    assert given == [({bytes([1]) * 32}, {f"payload-{bytes([2]).hex() * 32}", "results-2"})] and [
        set(jobs) for jobs in ended
    ] == [{JobId(1)}]
    assert set(agent.world.jobs) == agent._warmed == {JobId(2)}


class Offers:
    """A bench that only remembers."""

    def __init__(self, *outcomes: Any) -> None:
        self.offered: list[Any] = []
        self.warmed: list[Any] = []
        self.outcomes = list(outcomes)

    def offer(self, order: Any) -> None:
        self.offered.append(order)

    def warm(self, order: Any) -> None:
        self.warmed.append(order)

    def tick(self, block: int, block_s: float) -> list[Any]:
        return self.outcomes


def working(bench: Offers, **parts: Any) -> Any:
    """An agent as far as it gives work to its bench."""
    fields: dict[str, Any] = {
        "world": world([posted(1, price=5)]),
        "bench": bench,
        "passes": Passes(),
        "passed": PassLog(),
        "resting": None,
        "own_url": "",
        "habits": Habits(),
        "hands": SimpleNamespace(block=100),
        "pace": SimpleNamespace(block_s=1.0),
        "courtroom": None,
        "_epoch_blocks": EB,
        "_warmed": set(),
    }
    return SimpleNamespace(**{**fields, **parts})


def test_compute__machine_rests__nothing_is_begun_and_the_reason_is_told() -> None:
    bench = Offers()
    agent = working(bench, resting="it is 12:00, outside work_hours")
    Agent._compute(agent, life.Compute(JobId(1), Shard(2), 500))
    Agent._warm(agent, 0)
    assert bench.offered == bench.warmed == []
    assert agent.passed.shown() == [{"job": 1, "shard": 2, "reason": "it is 12:00, outside work_hours"}]
    agent.resting = None
    Agent._compute(agent, life.Compute(JobId(1), Shard(2), 500))
    assert [order.shard for order in bench.offered] == [2]


def test_warm__job_that_is_refused__is_not_brought_and_the_reason_is_told() -> None:
    bench = Offers()
    agent = working(bench, habits=Habits(admission=Admission(9)))
    Agent._warm(agent, 0)
    assert bench.warmed == []
    assert agent.passed.shown() == [{"job": 1, "shard": None, "reason": "it pays 5 a unit, min_unit_price is 9"}]


def test_harvest__shard_that_could_not_be_answered__its_reason_is_told() -> None:
    agent = working(Offers(Passed(JobId(1), Shard(0), "out of memory", 500)))
    assert Agent._harvest(agent, 100)
    assert agent.passed.shown() == [{"job": 1, "shard": 0, "reason": "out of memory"}]
