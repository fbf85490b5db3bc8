"""What is counted of a run: faults by their kind, late commits by their revert, pay by what is right and stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from lab.stage import Purse
from lab.tally import Party, Results, results, tally
from nodeagent.chain import events as ev
from nodeagent.chain.abi import load_abi
from nodeagent.protocol.settlement import SettledLeaf
from nodeagent.protocol.types import Epoch, JobId, NodeId, Shard
from nodeagent.worker.draws import Draw
from nodeagent.worker.world import Job, World
from tests.agent.worker.scene import (
    EB,
    appealed,
    at,
    judged,
    operator,
    pool_of,
    posted,
    resolved,
    revealed,
    settled,
    world,
)

RIGHT, LIE = b"\x0a" * 32, b"\x0b" * 32
LEDGER = "0x" + "1e" * 20
COMMIT = 10  # first epoch of job 1
PAY, FEE_BPS = 24, 1_000


class Log:
    """A run's chain: nodes 1, 2, 3 sat in every attempt."""

    def __init__(self, w: World, events: Sequence[ev.Event] = (), rpc: Any = None) -> None:
        self.world, self.events, self.rpc, self.head = w, events, rpc, 200
        self.deployment = SimpleNamespace(ledger=LEDGER, epoch_blocks=EB)

    def draw(self, job: Job, shard: Shard, attempt: int) -> Draw:
        return Draw(job.id, shard, attempt, Epoch(COMMIT), Epoch(COMMIT), (NodeId(1), NodeId(2), NodeId(3)))

    def begun(self, job: Job, shard: Shard) -> int:
        del job, shard
        return 0


# --- whoever was right was paid -----------------------------------------------------------------------------------


def outcome(
    *roots: bytes, paid: int, verdict: bytes | None = None, claimed: tuple[int, ...] = (), payee: int = 1
) -> Results:
    """Of a job with one shard; ``roots`` are what nodes 1, 2, 3 opened, of which those in ``paid`` agreed.

    Node 1 is the adversary; ``payee`` earned the fee.
    """
    root = next(root for slot, root in enumerate(roots) if paid >> slot & 1)
    w = world([*pool_of(9), posted(tasks=2, appeal_epochs=4)])
    w.apply(revealed(node, COMMIT, {(1, 0): said}) for node, said in enumerate(roots, 1))
    call = replace(settled(115, SettledLeaf(JobId(1), Shard(0), 0, paid, root)), payee=NodeId(payee))
    w.apply([call])
    if verdict is not None:
        w.apply(appealed(w, 116, shard=0))
        w.apply([judged(131, verdict), resolved(132, verdict, verdict != root, shard=0)])
    w.apply(ev.Claimed(at(133), JobId(1), Shard(0), NodeId(slot + 1), slot, PAY) for slot in claimed)
    net = SimpleNamespace(deployment=SimpleNamespace(settle_fee_bps=FEE_BPS))
    stage = SimpleNamespace(jobs={"main": JobId(1)}, payload=SimpleNamespace(right=(RIGHT,)), net=net)
    return results(stage, Log(w, [call]), [NodeId(1)])  # type: ignore[arg-type]


def test_results__all_right_and_shown__nobody_is_owed() -> None:
    found = outcome(RIGHT, RIGHT, RIGHT, paid=0b111)
    assert (found.left_out, found.unclaimed, found.wrong_settled) == (0, 0, 0)


def test_results__right_and_left_out__is_owed_until_it_claims() -> None:
    assert outcome(RIGHT, RIGHT, RIGHT, paid=0b011).unclaimed == 1
    found = outcome(RIGHT, RIGHT, RIGHT, paid=0b011, claimed=(2,))
    assert (found.left_out, found.unclaimed) == (1, 0)


@pytest.mark.parametrize(("payee", "counted"), [(1, 1), (2, 0), (0, 0)])
def test_results__left_out__is_the_adversarys_where_the_call_paid_it(payee: int, counted: int) -> None:
    found = outcome(RIGHT, RIGHT, RIGHT, paid=0b011, payee=payee)
    assert (found.left_out, found.left_out_by_adversary) == (1, counted)
    assert found.forgone_fees == counted * PAY * FEE_BPS // 10_000


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


# --- faults and refusals ------------------------------------------------------------------------------------------


class Blocks:
    """Transactions by block, each with whether it was mined without a revert."""

    def __init__(self, *sent: tuple[int, str, str, bytes, bool]) -> None:
        self.sent = [(*one, f"0x{n:064x}") for n, one in enumerate(sent)]

    def batch(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        return [self._answer(method, params[0]) for method, params in calls]

    def _answer(self, method: str, asked: str) -> Any:
        if method == "eth_getTransactionReceipt":
            return next({"status": hex(ok)} for *_, ok, tx in self.sent if tx == asked)
        assert method == "eth_getBlockByNumber"
        there = [one for one in self.sent if hex(one[0]) == asked]
        found = [{"hash": one[5], "from": one[1], "to": one[2], "input": "0x" + one[3].hex()} for one in there]
        return {"number": asked, "transactions": found}


def counted(*events: ev.Event, sent: Blocks | None = None) -> Party:
    """What a run makes of node 1, with operator and key, against an honest node 2. Blocks up to 100 were before it."""
    agents = {number: SimpleNamespace(operator=operator(number)) for number in (1, 2)}
    net = SimpleNamespace(
        agents=agents,
        node=lambda number: number,
        key_of=lambda number: f"0xKEY{number}",
        seats=(2, 2),
        doors=SimpleNamespace(market=SimpleNamespace(earnings_of=lambda _: (0, 0))),
    )
    scenario = SimpleNamespace(party=lambda number: "bad" if number == 1 else "honest")
    none = {number: Purse(0, 0, 0) for number in agents}
    log = Log(world([posted()]), events, sent or Blocks())
    found = tally(SimpleNamespace(net=net, scenario=scenario), log, none, none, 100)  # type: ignore[arg-type]
    return next(party for party in found if party.name == "bad")


def test_tally__faults_of_a_party__by_kind() -> None:
    slash = ev.Slashed(at(150), NodeId(1), 50, operator(2), 5)
    never = counted(ev.UnrevealedReported(at(150), NodeId(1), Epoch(10), operator(2)), slash)
    away = counted(ev.AbsentMarked(at(150), NodeId(1), Epoch(10)), slash)
    assert (never.slashes, never.unrevealed, never.absent) == (1, 1, 0)
    assert (away.slashes, away.unrevealed, away.absent) == (1, 0, 1)


def test_tally__faults_of_others_and_from_before__are_not_a_partys() -> None:
    others = ev.UnrevealedReported(at(150), NodeId(2), Epoch(10), operator(1))
    before = ev.AbsentMarked(at(100), NodeId(1), Epoch(9))
    found = counted(others, before)
    assert (found.unrevealed, found.absent) == (0, 0)


def committing(epoch: int) -> bytes:
    return load_abi("CommitLedger").encode("commit", epoch, bytes(27))


def test_tally__commits_for_an_epoch_that_is_over__count_where_they_reverted() -> None:
    sent = Blocks(
        (152, "0xkey1", LEDGER, committing(14), False),
        (163, "0xKEY1", LEDGER.upper().replace("0X", "0x"), committing(15), False),
    )
    assert counted(sent=sent).refused == 2


@pytest.mark.parametrize(
    "sent",
    [
        (100, "0xkey1", LEDGER, committing(9), False),  # before the run
        (152, "0xkey2", LEDGER, committing(14), False),  # an honest node's
        (152, "0xkey1", LEDGER, committing(15), False),  # in time: refused for another reason
        (152, "0xkey1", "0x" + "ee" * 20, committing(14), False),  # another contract
        (152, "0xkey1", None, b"", False),  # no call at all
        (152, "0xkey1", LEDGER, load_abi("CommitLedger").encode("reportUnrevealed", 2, 10), False),
        (152, "0xkey1", LEDGER, committing(14), True),
    ],
)
def test_tally__any_other_transaction__is_no_refused_commit(sent: tuple[int, str, str, bytes, bool]) -> None:
    assert counted(sent=Blocks(sent)).refused == 0
