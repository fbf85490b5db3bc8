"""post → commit → reveal → settle → appeal → resolve, over RPC, on what ``ape run deploy`` deployed.

Two of three members sell one wrong answer. The third appeals with its operator's money; five judges that were not in
that committee compute the shard again; the verdict overturns it. Everything is read by the agent's scan and sent by its
doors. Each step is a fixture on the one before.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from bench_of_judges import MANIFEST, POOL, SEAT_STAKE, Bench
from eth_account import Account
from support import DEPLOYER, Run

from nodeagent.chain import events as ev
from nodeagent.chain.deployment import load_deployment, verify_deployment
from nodeagent.chain.doors import Doors, Receipt
from nodeagent.chain.errors import Reverted
from nodeagent.chain.rpc import Rpc
from nodeagent.protocol import epochs, payout
from nodeagent.protocol.jobword import case_terms, unpack_job_word
from nodeagent.protocol.lanes import WRONG_PUNISHED, unpack_lane
from nodeagent.protocol.leaves import Leaf
from nodeagent.protocol.results import ResultTree, TaskResult
from nodeagent.protocol.settlement import build_claim_opening
from nodeagent.protocol.sortition import draw_words, parse_slots
from nodeagent.protocol.types import Epoch, JobId, NodeId, Shard, ShardStatus, Task

OPERATOR = Account.from_key(b"\x01" * 32).address
REQUESTER = Account.from_key(b"\x02" * 32).address
NOBODY = Account.from_key(b"\x03" * 32).address
BURNED = "0x" + "00" * 18 + "dEaD"
PRICE, TASKS, COMMITTEE = 3_000, 3, 3
PAY = PRICE * TASKS
ONLY = Shard(0)


@pytest.fixture(scope="module")
def bench(deployed: Run, folder: Path, url: str) -> Bench:
    """Nine nodes: a committee, five judges and one over."""
    deployment = verify_deployment(Rpc(url), load_deployment(folder / "31337.json"))
    found = Bench(url, Doors.of(Rpc(url), deployment), deployment, OPERATOR)
    found.found_pool(9)
    found.to_epoch(found.epoch() + 2)
    return found


@pytest.fixture(scope="module")
def trees() -> SimpleNamespace:
    right = [TaskResult(0, bytes([task]) * 40) for task in range(TASKS)]
    return SimpleNamespace(
        right=ResultTree(Task(0), right),
        wrong=ResultTree(Task(0), [*right[:2], TaskResult(0, b"cheap")]),
    )


def spec(**changes: Any) -> dict[str, Any]:
    return {
        "pool": POOL, "class": 0, "tasks": TASKS, "shardSize": TASKS, "pace": 1, "committee": COMMITTEE, "quorum": 2,
        "work": 1, "maxAttempts": 3, "appealEpochs": 7, "units": 3, "unitPrice": 1_000, "manifest": MANIFEST, **changes,
    }  # fmt: skip


@pytest.fixture(scope="module")
def posted(bench: Bench) -> ev.JobPosted:
    market, payment = bench.doors.market, bench.doors.payment_token
    escrow = market.quote_escrow(spec())
    bench.send(DEPLOYER, payment.call("transfer", REQUESTER, escrow))
    bench.send(REQUESTER, payment.call("approve", market.address, escrow))
    (event,) = bench.send(REQUESTER, market.post(spec()))
    assert isinstance(event, ev.JobPosted)
    return event


@pytest.fixture(scope="module")
def settled(bench: Bench, posted: ev.JobPosted, trees: SimpleNamespace) -> SimpleNamespace:
    """Slots 0 and 1 agree on the wrong root and are paid; slot 2 is outvoted."""
    start = epochs.attempt_start(posted.terms, ONLY, 0)
    bench.to_epoch(start)
    seed = bench.seed(start)
    slots = bench.seats().committee(seed, posted.job, ONLY, COMMITTEE, start)
    answers = [Leaf(posted.job, ONLY, tree.root) for tree in (trees.wrong, trees.wrong, trees.right)]
    for node, leaf in zip(slots, answers, strict=True):
        bench.commit(node, start, leaf)
    bench.to_epoch(start + 1)
    for node in slots:
        bench.reveal(node, start)
    leaf = bench.settle(answers[0], 0, slots, start)
    receipt = Receipt(leaf.attempt, leaf.paid_slots, leaf.root, ())
    return SimpleNamespace(receipt=receipt, slots=slots, start=start, epoch=Epoch(start + 1))


@pytest.fixture(scope="module")
def appealed(bench: Bench, posted: ev.JobPosted, settled: SimpleNamespace) -> ev.Appealed:
    """By the outvoted node's key, with its operator's money."""
    court, payment = bench.doors.court, bench.doors.payment_token
    assert court is not None
    bond = court.bond_of(posted.job, ONLY)
    bench.send(DEPLOYER, payment.call("transfer", OPERATOR, bond))
    bench.send(OPERATOR, payment.call("approve", court.address, bond))
    key = bench.keys[settled.slots[2]].address
    found = bench.send(key, court.appeal(posted.job, ONLY, settled.receipt))
    (event,) = (e for e in found if isinstance(e, ev.Appealed))
    return event


@pytest.fixture(scope="module")
def judged(bench: Bench, appealed: ev.Appealed, trees: SimpleNamespace) -> SimpleNamespace:
    """Four judges compute the right root and one is absent; their case settles."""
    (case,) = (e for e in bench.scan() if isinstance(e, ev.CasePosted) and e.case_job == appealed.case_job)
    start = epochs.attempt_start(case.terms, ONLY, 0)
    bench.to_epoch(start)
    seed = bench.seed(start)
    slots = bench.seats().committee(
        seed, case.case_job, ONLY, 5, start, excluded=appealed.committee, held_before=appealed.held_before
    )
    words = draw_words(seed, case.case_job, ONLY, start, POOL, 5, case=True)
    on_chain = parse_slots(bench.doors.registry.committees(words), 5)
    answer = Leaf(case.case_job, ONLY, trees.right.root)
    for node in slots[:4]:
        bench.commit(node, start, answer)
    bench.to_epoch(start + 1)
    for node in slots[:4]:
        bench.reveal(node, start)
    leaf = bench.settle(answer, 0, slots, start)
    receipt = Receipt(leaf.attempt, leaf.paid_slots, leaf.root, ())
    return SimpleNamespace(case=case, slots=slots, on_chain=on_chain, receipt=receipt, epoch=Epoch(start + 1))


@pytest.fixture(scope="module")
def resolved(bench: Bench, posted: ev.JobPosted, judged: SimpleNamespace) -> list[ev.Event]:
    assert bench.doors.court is not None
    return bench.send(NOBODY, bench.doors.court.resolve(posted.job, ONLY, judged.receipt))


def status(bench: Bench, job: JobId) -> tuple[Any, ...]:
    assert bench.doors.court is not None
    return bench.doors.court.status(job, ONLY)


def test_post__pool_too_small_for_judges__says_how_many_it_takes(bench: Bench) -> None:
    with pytest.raises(Reverted) as caught:
        bench.doors.market.read("post", spec(committee=5, quorum=3), sender=REQUESTER)
    assert (caught.value.name, caught.value.fields) == ("TooFewNodes", {"expected": 10, "actual": 9})


def test_settle__wrong_majority__is_settled_and_not_final(
    bench: Bench, posted: ev.JobPosted, settled: SimpleNamespace, trees: SimpleNamespace
) -> None:
    assert settled.receipt.paid_slots == 0b011
    result = trees.wrong.result(Task(2))
    path = trees.wrong.proof(Task(2))
    told = bench.doors.market.task_status(posted.job, Task(2), result.status, result.data, settled.receipt, path)
    assert told is ShardStatus.SETTLED
    assert [bench.doors.market.earnings_of(node)[1] for node in settled.slots] == [PAY, PAY, 0]
    assert status(bench, posted.job) == (ShardStatus.NONE, None, None)


def test_appeal__by_a_nodes_key__posts_the_case_with_the_operators_bond(
    bench: Bench, posted: ev.JobPosted, settled: SimpleNamespace, appealed: ev.Appealed
) -> None:
    court = bench.doors.court
    assert court is not None
    (case,) = (e for e in bench.scan() if isinstance(e, ev.CasePosted) and e.case_job == appealed.case_job)
    assert case.terms == case_terms(posted.terms, ONLY, case.terms.post_epoch, 5)
    assert unpack_job_word(bench.doors.market.job_word(case.case_job)) == case.terms
    assert appealed.bond == payout.bond(posted.terms, ONLY, 5, 100) == PAY * 5 + PAY * 5 // 100
    assert (appealed.job, appealed.shard, appealed.case_job) == (posted.job, ONLY, case.case_job)
    assert appealed.accuser.lower() == OPERATOR.lower()
    assert (appealed.committee, appealed.held_before) == (settled.slots, settled.start)
    excluded = court.exclusions(case.case_job)
    assert (excluded.held_before, excluded.nodes) == (settled.start, set(settled.slots))
    assert bench.doors.payment_token.balance_of(court.address) == 0


def test_draw__judges__are_those_of_the_mirror_and_sat_on_no_bench_before(
    judged: SimpleNamespace, settled: SimpleNamespace
) -> None:
    assert judged.slots == judged.on_chain
    assert len(set(judged.slots) - {0}) == 5
    assert not set(judged.slots) & set(settled.slots)


def test_resolve__verdict_differs__pours_what_the_paid_members_forfeit(
    bench: Bench, posted: ev.JobPosted, judged: SimpleNamespace, appealed: ev.Appealed, resolved: list[ev.Event],
    settled: SimpleNamespace, trees: SimpleNamespace,
) -> None:  # fmt: skip
    (event,) = (e for e in resolved if isinstance(e, ev.Resolved))
    assert (event.verdict, event.overturned, event.forfeited) == (trees.right.root, True, 2 * PAY)
    forfeits = {e.node: e.amount for e in resolved if isinstance(e, ev.Forfeited)}
    assert forfeits == {settled.slots[0]: PAY, settled.slots[1]: PAY}
    poured = payout.pour(2 * PAY, appealed.bond, payout.shard_price(PAY, 2, 100, 0))
    assert (poured.accuser, poured.requester, poured.burned) == (2 * PAY, 0, 0)
    assert bench.doors.market.owed_to(OPERATOR) == poured.accuser
    assert status(bench, posted.job) == (ShardStatus.FINAL, trees.right.root, judged.epoch)


def test_verify_task__after_the_verdict__the_right_answer_is_final_and_the_sold_one_is_nothing(
    bench: Bench, posted: ev.JobPosted, settled: SimpleNamespace, resolved: list[ev.Event], trees: SimpleNamespace
) -> None:
    market = bench.doors.market
    for tree, told in ((trees.right, ShardStatus.FINAL), (trees.wrong, ShardStatus.NONE)):
        result, path = tree.result(Task(2)), tree.proof(Task(2))
        found = market.task_status(posted.job, Task(2), result.status, result.data, settled.receipt, path)
        assert found is told


def test_claim__outvoted_member_that_was_right__is_paid(
    bench: Bench, posted: ev.JobPosted, settled: SimpleNamespace, resolved: list[ev.Event], trees: SimpleNamespace
) -> None:
    node = settled.slots[2]
    before = bench.doors.market.earnings_of(node)[0]
    leaf = Leaf(posted.job, ONLY, trees.right.root)
    call = bench.doors.market.claim(posted.job, ONLY, settled.receipt, 2, build_claim_opening(leaf, [leaf]))
    bench.send(NOBODY, call)
    assert bench.doors.market.earnings_of(node)[0] - before == PAY


def test_report_wrong__member_that_sold_it__loses_half_its_stake_once(
    bench: Bench, posted: ev.JobPosted, settled: SimpleNamespace, resolved: list[ev.Event], trees: SimpleNamespace
) -> None:
    court, node = bench.doors.court, settled.slots[0]
    assert court is not None
    leaf = Leaf(posted.job, ONLY, trees.wrong.root)
    call = court.report_wrong(posted.job, ONLY, 0, 0, leaf.root, build_claim_opening(leaf, [leaf]))
    found = bench.send(NOBODY, call)
    (slashed,) = (e for e in found if isinstance(e, ev.Slashed))
    assert (slashed.node, slashed.amount, slashed.reward) == (node, *payout.penalty(SEAT_STAKE, court.wrong_bps()))
    assert slashed.reporter.lower() == OPERATOR.lower()
    (word,) = bench.doors.ledger.lanes([(NodeId(node), settled.start)])
    assert unpack_lane(word).has(WRONG_PUNISHED)
    with pytest.raises(Reverted, match="AlreadyPunished"):
        court.read("reportWrong", posted.job, ONLY, 0, 0, leaf.root, build_claim_opening(leaf, [leaf]), sender=NOBODY)


def test_close_case__claims_over__what_judges_did_not_earn_is_poured(
    bench: Bench, posted: ev.JobPosted, judged: SimpleNamespace, resolved: list[ev.Event], appealed: ev.Appealed
) -> None:
    court = bench.doors.court
    assert court is not None
    terms = judged.case.terms
    from_ = epochs.closable_from(terms, bench.deployment.settle_grace, bench.deployment.report_epochs)
    with pytest.raises(Reverted, match="NotClosable"):
        court.read("closeCase", posted.job, ONLY, sender=NOBODY)
    bench.to_epoch(from_)
    rest = appealed.bond - 4 * PAY - 4 * PAY // 100
    before = bench.doors.market.owed_to(OPERATOR)
    (closed,) = (e for e in bench.send(NOBODY, court.close_case(posted.job, ONLY)) if isinstance(e, ev.CaseClosed))
    assert closed.refund == rest == PAY + PAY // 100
    assert bench.doors.market.owed_to(OPERATOR) - before == rest
    view = court.case_of(posted.job, ONLY)
    assert view is not None
    assert (view.accuser_due, view.requester_due) == (
        appealed.bond - 2 * PAY - rest,
        payout.shard_price(PAY, 2, 100, 0),
    )
    assert bench.doors.market.owed_to(BURNED) == 0
    with pytest.raises(Reverted, match="AlreadyClosed"):
        court.read("closeCase", posted.job, ONLY, sender=NOBODY)
