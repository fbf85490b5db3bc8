"""What is counted of a run: pay by what is right and stands."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from lab.tally import Results, results
from nodeagent.chain import events as ev
from nodeagent.protocol.settlement import SettledLeaf
from nodeagent.protocol.types import Epoch, JobId, NodeId, Shard
from nodeagent.worker.draws import Draw
from nodeagent.worker.world import Job, World
from tests.agent.worker.scene import (
    appealed,
    at,
    judged,
    pool_of,
    posted,
    resolved,
    revealed,
    settled,
    world,
)

RIGHT, LIE = b"\x0a" * 32, b"\x0b" * 32
COMMIT = 10  # first epoch of job 1


class Log:
    """A run's chain: nodes 1, 2, 3 sat in every attempt."""

    def __init__(self, w: World) -> None:
        self.world = w

    def draw(self, job: Job, shard: Shard, attempt: int) -> Draw:
        return Draw(job.id, shard, attempt, Epoch(COMMIT), Epoch(COMMIT), (NodeId(1), NodeId(2), NodeId(3)))


# --- whoever was right was paid -----------------------------------------------------------------------------------


def outcome(*roots: bytes, paid: int, verdict: bytes | None = None, claimed: tuple[int, ...] = ()) -> Results:
    """Of a job with one shard; ``roots`` are what nodes 1, 2, 3 opened, of which those in ``paid`` agreed."""
    root = next(root for slot, root in enumerate(roots) if paid >> slot & 1)
    w = world([*pool_of(9), posted(tasks=2, appeal_epochs=4)])
    w.apply(revealed(node, COMMIT, {(1, 0): said}) for node, said in enumerate(roots, 1))
    w.apply([settled(115, SettledLeaf(JobId(1), Shard(0), 0, paid, root))])
    if verdict is not None:
        w.apply(appealed(w, 116, shard=0))
        w.apply([judged(131, verdict), resolved(132, verdict, verdict != root, shard=0)])
    w.apply(ev.Claimed(at(133), JobId(1), Shard(0), NodeId(slot + 1), slot, 24) for slot in claimed)
    net = SimpleNamespace(deployment=SimpleNamespace(parameters={"SETTLE_FEE_BPS": 100}))
    stage = SimpleNamespace(jobs={"main": JobId(1)}, payload=SimpleNamespace(right=(RIGHT,)), net=net)
    return results(stage, Log(w))  # type: ignore[arg-type]


def test_results__all_right_and_shown__nobody_is_owed() -> None:
    found = outcome(RIGHT, RIGHT, RIGHT, paid=0b111)
    assert (found.left_out, found.unclaimed, found.wrong_settled) == (0, 0, 0)


def test_results__right_and_left_out__is_owed_until_it_claims() -> None:
    assert outcome(RIGHT, RIGHT, RIGHT, paid=0b011).unclaimed == 1
    found = outcome(RIGHT, RIGHT, RIGHT, paid=0b011, claimed=(2,))
    assert (found.left_out, found.unclaimed, found.forgone_fees) == (1, 0, 24 * 100 // 10_000)


def test_results__outvoted_and_then_right__is_owed_until_it_claims() -> None:
    assert outcome(LIE, LIE, RIGHT, paid=0b011, verdict=RIGHT).unclaimed == 1
    assert outcome(LIE, LIE, RIGHT, paid=0b011, verdict=RIGHT, claimed=(2,)).unclaimed == 0


def test_results__settled_wrong__liars_who_were_left_out_are_owed_nothing() -> None:
    found = outcome(LIE, LIE, LIE, paid=0b011, verdict=RIGHT)
    assert (found.left_out, found.unclaimed, found.overturned) == (1, 0, 1)


@pytest.mark.parametrize("verdict", [LIE, None])
def test_results__wrong_answer_stands__who_was_right_cannot_be_paid(verdict: bytes | None) -> None:
    found = outcome(LIE, LIE, RIGHT, paid=0b011, verdict=verdict)
    assert (found.wrong_final, found.unclaimed) == (1, 0)


def test_results__upheld__a_member_who_was_right_and_left_out_is_owed() -> None:
    assert outcome(RIGHT, RIGHT, RIGHT, paid=0b011, verdict=RIGHT).unclaimed == 1
