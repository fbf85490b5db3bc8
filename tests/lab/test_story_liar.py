"""The story's liars lie once a job, where both know that they win, and alike."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from lab.story import liar
from lab.story.appeal import lie_in
from nodeagent.protocol.results import ResultTree, TaskResult
from nodeagent.protocol.types import Epoch, JobId, NodeId, Shard, Task
from nodeagent.worker.draws import Draw

PARTY = {NodeId(8), NodeId(9)}
JOB, OTHER = JobId(3), JobId(4)


def draw(shard: int, *slots: int, job: JobId = JOB, attempt: int = 0) -> Draw:
    return Draw(job, Shard(shard), attempt, Epoch(10), Epoch(11), tuple(map(NodeId, slots)))


@pytest.mark.parametrize(
    ("draws", "found"),
    [
        ([draw(5, 9, 1, 8), draw(2, 8, 9, 4), draw(7, 8, 9, 1)], 2),
        ([draw(1, 8, 2, 3), draw(4, 1, 8, 9)], 4),
        ([draw(1, 8, 2, 3), draw(2, 9, 2, 3)], None),
        ([draw(0, 8, 9, 1, job=OTHER), draw(3, 8, 9, 1)], 3),
        ([draw(0, 8, 9, 1, attempt=1)], None),
        ([], None),
    ],
)
def test_chosen__committees_of_a_job__is_the_first_that_the_party_wins(draws: list[Draw], found: int | None) -> None:
    assert liar.chosen(draws, JOB, 2, PARTY) == found


def test_lie__planned__changes_every_answer_alike_and_others_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liar, "plot", {(JOB, Shard(1))})
    true = [TaskResult(0, b"abcd"), TaskResult(1, b"")]

    def said(shard: int) -> Any:
        order = SimpleNamespace(job=SimpleNamespace(id=JOB), shard=Shard(shard), first=Task(2))
        prepared: Any = SimpleNamespace(order=order)
        return liar.lie(prepared, None, None, lambda *_: (true, ResultTree(Task(2), true).root))  # type: ignore[arg-type]

    honest, lie = said(0), said(1)
    assert honest[0] == true
    assert lie == said(1) and all(a != b for a, b in zip(lie[0], true, strict=True))
    assert lie[1] == ResultTree(Task(2), lie[0]).root != honest[1]


@pytest.mark.parametrize(("begun", "found"), [((1, 1, 1), 1), ((1, 0, 1), 2), ((1, 0, 0), None)])
def test_lie_in__a_job__is_the_shard_that_the_liars_find(begun: tuple[int, ...], found: int | None) -> None:
    slots = ((1, 2, 9), (9, 3, 8), (8, 9, 4))
    job = SimpleNamespace(id=JOB, terms=SimpleNamespace(shards=3, quorum=2))
    log: Any = SimpleNamespace(
        world=SimpleNamespace(jobs={JOB: job}),
        begun=lambda _, shard: begun[shard],
        draw=lambda _, shard, attempt: draw(shard, *slots[shard], attempt=attempt),
    )
    assert lie_in(log, JOB, {8, 9}) == found
