"""When the story is over, what it waits for, and when it gives up: by the chain's clock, never by the wall's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from lab.story import following
from lab.story.following import last_of, looks, missing_of
from nodeagent.chain.errors import RpcError
from nodeagent.client.cases import Case
from nodeagent.errors import Transient
from nodeagent.protocol.epochs import last_epoch
from nodeagent.protocol.types import JobId, Shard
from tests.agent.client.conftest import TERMS

LIARS = {8, 9}
LIE, TRUTH = b"\x01" * 32, b"\x02" * 32
DEPLOYMENT: Any = SimpleNamespace(settle_grace=8, report_epochs=4, epoch_blocks=10)


def history(case: Case | None, claimed: bool = False, block: int = 0) -> Any:
    cases = {} if case is None else {1: case}
    claims = (SimpleNamespace(shard=1 if claimed else 2),)
    settled = {1: SimpleNamespace(epoch=104)}
    terms = SimpleNamespace(appeal_epochs=8)
    return SimpleNamespace(cases=cases, claims=claims, settled=settled, terms=terms, head=SimpleNamespace(block=block))


def case(verdict: bytes | None = None, wrong: tuple[int, ...] = (), settled: int | None = None) -> Any:
    settlement: Any = None if settled is None else SimpleNamespace(epoch=settled)
    reports: Any = tuple(SimpleNamespace(node=node) for node in wrong)
    return Case(JobId(5), 1, TERMS, SimpleNamespace(), "0xaa", 60, LIE, (), settlement, verdict, wrong=reports)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "claimed", "missing"),
    [
        (None, False, ["nobody appealed"]),
        (case(), False, ["case 5 has no verdict"]),
        (case(LIE), False, []),
        (
            case(TRUTH, (9,)),
            False,
            ["node 8 was not reported for its wrong answer", "the member that was right did not claim its pay"],
        ),
        (case(TRUTH, (8, 9)), False, ["the member that was right did not claim its pay"]),
        (case(TRUTH, (8,)), True, ["node 9 was not reported for its wrong answer"]),
        (case(TRUTH, (9, 8)), True, []),
    ],
)
def test_missing_of__each_stage__says_what_is_to_come(found: Case | None, claimed: bool, missing: list[str]) -> None:
    assert missing_of(history(found, claimed), 1, LIARS) == missing


def test_last_of__each_stage__is_the_chains_own_deadline() -> None:
    assert last_of(history(None), 1, DEPLOYMENT) == 104 + 8
    assert last_of(history(case()), 1, DEPLOYMENT) == last_epoch(TERMS, Shard(0), 8)
    assert last_of(history(case(TRUTH, settled=120)), 1, DEPLOYMENT) == 120 + 4


class Follower:
    """Blocks, or faults, one a look; the last for ever."""

    def __init__(self, *seen: int | Exception) -> None:
        self.seen, self.asked = list(seen), 0

    def read(self) -> Any:
        self.asked += 1
        found = self.seen.pop(0) if len(self.seen) > 1 else self.seen[0]
        if isinstance(found, Exception):
            raise found
        return history(None, block=found)


def never(seconds: float) -> None:
    del seconds


def test_looks__a_chain_that_moves__goes_on_past_faults() -> None:
    follower: Any = Follower(1, Transient("away"), 1, RpcError("eth_getLogs", -1, "no"), 2, 3)
    seen = looks(follower, never)
    assert [next(seen).head.block for _ in range(4)] == [1, 1, 2, 3]


@pytest.mark.parametrize(
    ("end", "words"), [(7, "stands still at block 7 "), (Transient("gone"), "stands still at block 7: gone")]
)
def test_looks__a_chain_that_stopped__is_said(end: int | Exception, words: str) -> None:
    follower: Any = Follower(6, 7, end)
    with pytest.raises(Transient, match=words):
        list(looks(follower, never))
    assert follower.asked == 2 + following.STUCK


class Cast:
    """Nine operators; node 2's agent computed again."""

    rpc, deployment, liars = None, DEPLOYMENT, LIARS

    def __init__(self, again: bytes | None = TRUTH) -> None:
        self.again = again

    def node_of(self, operator: str) -> int | None:
        return 2 if operator == "0xaa" else None

    def appeal_of(self, node: int, job: int, shard: int) -> Any:
        assert (node, job, shard) == (2, 3, 1)
        return SimpleNamespace(own=TRUTH, again=self.again)


def told(monkeypatch: pytest.MonkeyPatch, cast: Cast, *stages: Any) -> list[str]:
    monkeypatch.setattr(following, "looks", lambda _: iter(stages))
    monkeypatch.setattr(following, "gather", lambda _, __, history, ___: history)
    monkeypatch.setattr(following, "tell", lambda history: ["head", "0xaa appealed it", "  It is computing"])
    said: list[str] = []
    following.follow(cast, None, 1, said.append)  # type: ignore[arg-type]
    return said


def staged(found: Case | None, claimed: bool, block: int) -> Any:
    made = history(found, claimed, block)
    made.posted = SimpleNamespace(job=JobId(3))
    return made


def test_follow__to_the_end__names_the_accuser_and_what_its_agent_did_first(monkeypatch: pytest.MonkeyPatch) -> None:
    said = told(monkeypatch, Cast(), staged(case(settled=120), False, 1_060), staged(case(TRUTH, (8, 9)), True, 1_200))
    again = f"computed the shard again in a fresh process from a fresh copy of the model: 0x{TRUTH.hex()[:16]}…"
    assert said == [
        f"  epoch 106: The agent of node 2, outvoted, had {again}, the same as before.",
        "  epoch 106: The operator of node 2, 0xaa, appealed it",
    ]


def test_follow__too_late_for_the_rest__says_what_did_not_happen(monkeypatch: pytest.MonkeyPatch) -> None:
    late = staged(case(TRUTH, (8,), settled=120), True, 1_250)
    with pytest.raises(Transient, match=r"by epoch 125: node 9 was not reported"):
        told(monkeypatch, Cast(None), late)
