"""Job 7, whose shard 1 settled with a lie, and the events of the case about it."""

from __future__ import annotations

from dataclasses import replace

from nodeagent.chain.events import Appealed, At, CasePosted, Event, Resolved, Revealed, Settled
from nodeagent.client.attempts import Attempt, Member
from nodeagent.client.cases import fold_cases
from nodeagent.client.history import History
from nodeagent.protocol.lanes import Lane
from nodeagent.protocol.leaves import Leaf, pack_leaves
from nodeagent.protocol.results import ResultTree
from nodeagent.protocol.settlement import SettledLeaf, settlement_tree
from nodeagent.protocol.types import Epoch, JobId, JobTerms, NodeId, Shard, Task
from tests.agent.client.conftest import LIE, results_of

JOB, CASE, SHARD = JobId(7), JobId(12), Shard(1)
ACCUSER = "0x" + "cc" * 20
GRACE = 8


def right() -> bytes:
    return ResultTree(Task(2), results_of(1)).root


def case_terms(history: History) -> JobTerms:
    return replace(
        history.posted.terms,
        tasks=2, shard_size=2, post_epoch=Epoch(104), pace=1, committee=5, quorum=4, appeal_epochs=0, is_case=True,
    )  # fmt: skip


def at(block: int) -> At:
    return At(block, 0, f"0x{block:064x}")


def opening(history: History, settled_root: bytes = LIE) -> list[Event]:
    """The appeal: posted as job 12 by the accuser, about shard 1."""
    return [
        CasePosted(at(1_045), CASE, JOB, SHARD, case_terms(history)),
        Appealed(
            at(1_045), JOB, SHARD, CASE, ACCUSER, 121, settled_root, (NodeId(1), NodeId(2), NodeId(3)), Epoch(101)
        ),
    ]


def judged(root: bytes) -> list[Event]:
    """Four judges open a root and it settles."""
    leaf = SettledLeaf(CASE, Shard(0), 0, 0b1111, root)
    opened: list[Event] = [
        Revealed(at(1_062), NodeId(n), Epoch(105), pack_leaves([Leaf(CASE, Shard(0), root)]), bytes([n]) * 32)
        for n in (4, 5, 6, 8)
    ]
    return [*opened, Settled(at(1_063), settlement_tree([leaf]).root, Epoch(106), NodeId(4), 1, (leaf,))]


def resolved(root: bytes, overturned: bool) -> Resolved:
    return Resolved(at(1_064), JOB, SHARD, CASE, root, overturned, 48)


def with_cases(history: History, events: list[Event]) -> History:
    return replace(history, cases=fold_cases(JOB, events))


def committee() -> Attempt:
    """Nodes 1, 2 and 3, of which the third never opened."""
    lanes = {1: Lane(Epoch(101), 1, bytes(27)), 2: Lane(Epoch(101), 1, bytes(27)), 3: Lane(Epoch(101), 0, b"\1" * 27)}
    members = tuple(Member(n - 1, NodeId(n), lanes[n]) for n in (1, 2, 3))
    return Attempt(0, Epoch(101), Epoch(101), members, ())


def court() -> Attempt:
    """Nodes 4, 5, 6, 8 and 9, who judge."""
    members = tuple(Member(slot, NodeId(n), Lane(Epoch(105), 1, bytes(27))) for slot, n in enumerate((4, 5, 6, 8, 9)))
    return Attempt(0, Epoch(105), Epoch(105), members, ())
