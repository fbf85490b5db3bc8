"""What misbehaving agents do otherwise than the honest code they are made of."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.agents import censor, copier, withholder
from lab.agents.answers import agreed_results, agreed_root
from lab.agents.flipflopper import turned
from lab.agents.plug import swap
from nodeagent.protocol.results import ResultTree, TaskResult
from nodeagent.protocol.types import Epoch, JobId, NodeId, Shard, Task
from nodeagent.worker import lifecycle as life
from nodeagent.worker.draws import Draw
from nodeagent.worker.settling import Candidate

NOW = Epoch(20)
CLOCK = life.Clock(block=205, epoch_blocks=10, margin=2, reveal_depth=2, reveal_grace=8)
KEY = (JobId(1), Shard(0))
BUSY = life.State(done=frozenset({KEY}), batches=frozenset({Epoch(19)}))
DRAWN = life.Facts(duties=(life.Duty(*KEY, NOW),), lanes={Epoch(19): life.Lane.SEALED})


def test_withhold__a_batch_to_open_and_one_to_seal__only_seals() -> None:
    assert any(isinstance(action, life.Turn) for action in life.decide(BUSY, DRAWN, CLOCK))
    actions = withholder.withhold(BUSY, DRAWN, CLOCK)
    assert [type(action) for action in actions] == [life.Seal, life.Commit]


def test_withhold__every_older_lane_sealed__opens_none() -> None:
    epochs = [Epoch(e) for e in range(12, 20)]
    state = life.State(batches=frozenset(epochs))
    facts = life.Facts(lanes=dict.fromkeys(epochs, life.Lane.SEALED))
    assert life.decide(state, facts, CLOCK)
    assert withholder.withhold(state, facts, CLOCK) == []


def test_wait__work_to_do__computes_and_seals_nothing() -> None:
    state = replace(BUSY, done=frozenset())
    late = replace(CLOCK, block=208)
    assert {type(a) for a in life.decide(state, DRAWN, CLOCK)} == {life.Compute}
    assert copier.wait(state, DRAWN, CLOCK) == []
    assert any(isinstance(a, life.Seal) for a in life.decide(state, DRAWN, late))
    assert [type(a) for a in copier.wait(state, DRAWN, late)] == [life.Reveal]


def test_wait__a_copied_batch_on_disk__commits_it() -> None:
    state = life.State(batches=frozenset({NOW}))
    facts = life.Facts(duties=DRAWN.duties)
    assert copier.wait(state, facts, CLOCK) == [life.Commit(NOW, CLOCK.last(NOW))]


@pytest.mark.parametrize("data", [b"", b"\0", b"\xff" * 12])
def test_turned__any_answer__is_another_for_every_node(data: bytes) -> None:
    found = {turned(TaskResult(0, data), node) for node in range(1, 10)}
    assert len(found) == 9, "two nodes that err alike would be a cartel"
    assert {result.status for result in found} == {0}
    assert data not in {result.data for result in found}


def test_agreed_results__two_conspirators__say_the_same_and_strangers_do_not() -> None:
    first, count = Task(4), 2
    assert agreed_results(7, 1, first, count) == agreed_results(7, 1, first, count)
    assert agreed_results(8, 1, first, count) != agreed_results(7, 1, first, count)
    assert agreed_root(7, 1, first, count) == ResultTree(first, agreed_results(7, 1, first, count)).root


def test_censored__three_agree__shows_a_bare_quorum_with_its_own_first(monkeypatch: pytest.MonkeyPatch) -> None:
    slots = (NodeId(5), NodeId(6), NodeId(2))
    draw = Draw(*KEY, 0, NOW, NOW, slots)
    monkeypatch.setattr(censor, "honest", lambda *_: Candidate(draw, b"r" * 32, slots, early=True))
    monkeypatch.setattr(censor, "orders", lambda: {"members": [2]})

    class Job:
        class terms:  # noqa: N801
            quorum = 2

    found = censor.censored(None, None, Job, Shard(0), 0, Epoch(21))  # type: ignore[arg-type]
    assert found is not None
    assert found.agreeing == (5, 2)


def test_swap__no_such_part__is_refused() -> None:
    with pytest.raises(AttributeError):
        swap(life, "dither", None)
