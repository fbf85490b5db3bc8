"""Attempts of a shard as the chain has them: which are told, whose openings can be proven, and what is not known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from eth_abi.abi import encode

from nodeagent.chain.court import CourtDoor
from nodeagent.chain.decoding import TOPIC_OF
from nodeagent.chain.deployment import Deployment
from nodeagent.chain.doors import Doors
from nodeagent.chain.errors import Reverted
from nodeagent.chain.events import At
from nodeagent.chain.scan import Head
from nodeagent.client.cases import Answer, Case, Settlement
from nodeagent.client.history import History
from nodeagent.client.reporting import NothingToReport, plan_report
from nodeagent.client.why import gather, tell
from nodeagent.protocol.lanes import WRONG_PUNISHED, Lane, pack_lane
from nodeagent.protocol.leaves import Leaf, pack_leaves
from nodeagent.protocol.settlement import SettledLeaf
from nodeagent.protocol.sortition import pack_slots
from nodeagent.protocol.types import Epoch, JobId, NodeId, Shard
from tests.agent.client.conftest import Chain

JOB, SHARD = JobId(7), 1
RIGHT, LIE = b"\x0a" * 32, b"\x66" * 32
COMMITTEES = {101: (1, 2, 3), 104: (4, 5, 6), 107: (7, 8, 9)}
"""Of the three attempts of shard 1, by the epoch in which each starts and commits."""


class Registry:
    def __init__(self, oldest: int = 0) -> None:
        self.oldest = oldest

    def committees(self, words: list[int]) -> list[int]:
        epoch = words[1] >> 128 & 0xFFFFFFFF
        if epoch < self.oldest:
            raise Reverted("EpochTooOld", {}, what="committees")
        return list(pack_slots([NodeId(n) for n in COMMITTEES[epoch]]))


@dataclass
class Lanes:
    """Every lane was opened an epoch after its commit; ``marked`` are those that were proven wrong."""

    marked: frozenset[tuple[int, int]] = frozenset()

    def lanes(self, pairs: list[tuple[NodeId, Epoch]]) -> list[int]:
        return [pack_lane(Lane(e, 1 | (WRONG_PUNISHED if (n, e) in self.marked else 0), bytes(27))) for n, e in pairs]

    def seed_of(self, epoch: Epoch) -> bytes:
        return epoch.to_bytes(32, "big")

    def record_seed(self, header: bytes) -> None:
        raise AssertionError(f"every seed is known, and {len(header)} bytes of a header were sent")


class Currency:
    def describe(self) -> tuple[str, int]:
        return "TUSD", 6


class Headers(Chain):
    def _answer(self, method: str, params: list[Any]) -> Any:
        if method == "eth_getBlockByNumber":
            return {"mixHash": "0x" + bytes(32).hex()}
        return super()._answer(method, params)


@pytest.fixture
def doors(monkeypatch: pytest.MonkeyPatch) -> Doors:
    made = Doors(Registry(), Lanes(), None, None, Currency(), CourtDoor(Chain(), "0x" + "05" * 20))  # type: ignore[arg-type]
    monkeypatch.setattr(Doors, "of", lambda *_: made)
    return made


def late(history: History, *answers: tuple[int, int, bytes]) -> History:
    """Shard 1, settled in 106 by attempt 0 and upheld; ``answers`` are (node, epoch, root) besides those that paid."""
    posted = replace(history.posted, terms=replace(history.posted.terms, appeal_epochs=7))
    leaf = SettledLeaf(JOB, Shard(SHARD), 0, 0b011, RIGHT)
    where = Settlement(leaf, bytes(32), 106, (leaf,), At(1_061, 0, "0x" + "33" * 32))
    verdict = Settlement(leaf._replace(job=JobId(12), shard=Shard(0)), bytes(32), 110, (), At(1_101, 0, "0x"))
    case = Case(JobId(12), SHARD, posted.terms, At(1_070, 0, "0x"), "0x" + "cc" * 20, 121, RIGHT, (), verdict, RIGHT)
    said = ((1, 101, RIGHT), (2, 101, RIGHT), *answers)
    given = tuple(Answer(NodeId(n), epoch, SHARD, root, bytes(32)) for n, epoch, root in said)
    head = Head(1_115, "0x" + "44" * 32, 0, 0)
    return replace(history, posted=posted, settled={SHARD: where}, cases={SHARD: case}, answers=given, head=head)


def revealed(node: int, epoch: int, root: bytes) -> dict[str, Any]:
    words = TOPIC_OF["Revealed"], node.to_bytes(32, "big"), epoch.to_bytes(32, "big")
    leaves = pack_leaves([Leaf(JOB, Shard(SHARD), root)])
    return {
        "topics": ["0x" + word.hex() for word in words],
        "data": "0x" + encode(["bytes", "bytes32"], [leaves, bytes(32)]).hex(),
        "blockNumber": hex(epoch * 10 + 12), "logIndex": "0x0", "transactionHash": "0x" + "55" * 32,
    }  # fmt: skip


# --- attempts after the settled one -------------------------------------------------------------------------------


@pytest.mark.usefixtures("doors")
def test_plan_report__settled_late__wrong_openings_of_later_attempts_count(
    history: History, deployment: Deployment
) -> None:
    """The Court takes any attempt below the job's ``maxAttempts``, and so does the agent."""
    chain = Headers(1_115, [revealed(5, 104, LIE)])
    found = plan_report(chain, deployment, late(history, (5, 104, LIE), (6, 104, RIGHT)), SHARD)
    assert [(int(w.node), w.attempt, w.slot, w.root) for w in found.wrong] == [(5, 1, 1, LIE)]


def test_plan_report__later_opening_was_reported__nothing_is_left(
    history: History, deployment: Deployment, doors: Doors
) -> None:
    doors.ledger.marked = frozenset({(5, 104)})  # type: ignore[attr-defined]
    with pytest.raises(NothingToReport, match="no opening that is wrong and was not reported"):
        plan_report(Headers(), deployment, late(history, (5, 104, LIE)), SHARD)


@pytest.mark.usefixtures("doors")
def test_tell__settled_late__tells_of_later_attempts_that_a_member_answered(
    history: History, deployment: Deployment
) -> None:
    facts = gather(Headers(), deployment, late(history, (5, 104, LIE), (2, 107, LIE)), SHARD)
    assert [attempt.number for attempt in facts.attempts] == [0, 1], "node 2 did not sit in attempt 2"
    told = "\n".join(tell(facts))
    assert "Attempt 1 began in epoch 104" in told
    assert f"1 opened 0x{LIE.hex()[:16]}…, 2 were needed: node 5." in told
    assert "Attempt 2 began" not in told


# --- draws that are lost ------------------------------------------------------------------------------------------


def test_tell__draw_is_out_of_the_ring__counts_nobody_as_a_member(
    history: History, deployment: Deployment, doors: Doors
) -> None:
    doors.registry.oldest = 200  # type: ignore[attr-defined]
    strangers = tuple((node, 101, LIE) for node in (11, 12, 13))
    told = "\n".join(tell(gather(Headers(), deployment, late(history, *strangers), SHARD)))
    assert "needed" not in told
    assert f"0x{LIE.hex()[:16]}… was opened by nodes 11, 12, 13" in told
    assert f"0x{RIGHT.hex()[:16]}… was opened by nodes 1, 2" in told
    assert "whether they were drawn can no longer be verified" in told
    assert "can no longer be repeated on chain" in told and "not known yet" not in told


class NoSeedYet(Headers):
    def _answer(self, method: str, params: list[Any]) -> Any:
        return None if method == "eth_getBlockByNumber" else super()._answer(method, params)


@pytest.mark.usefixtures("doors")
def test_tell__seed_block_is_still_to_come__says_so(history: History, deployment: Deployment) -> None:
    early = replace(history, head=replace(history.head, block=1_010), settled={}, cases={}, answers=())
    told = "\n".join(tell(gather(NoSeedYet(), deployment, early, SHARD)))
    assert "Its seed is not known yet" in told and "can no longer" not in told


@pytest.mark.usefixtures("doors")
def test_tell__draw_is_known__counts_members_alone(history: History, deployment: Deployment) -> None:
    told = "\n".join(tell(gather(Headers(), deployment, late(history, (11, 101, LIE)), SHARD)))
    assert f"2 opened 0x{RIGHT.hex()[:16]}…, 2 were needed: nodes 1, 2." in told
    assert "11" not in told.split("Attempt 0 was settled")[0].split("Drawn:")[1]
