"""Appeals of a job, from events to what stands, what is fetched, what receipts say, and the story in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from nodeagent.chain.deployment import Deployment
from nodeagent.chain.events import (
    Appealed,
    At,
    CaseClosed,
    CasePosted,
    EndedWithoutVerdict,
    Event,
    Resolved,
    Revealed,
    Settled,
    WrongReported,
)
from nodeagent.client.appealing import Appellant, NotAppealable, NothingToResolve
from nodeagent.client.cases import Settlement, fold_cases, standing
from nodeagent.client.fetching import ShardResults, holders
from nodeagent.client.history import History, IsACase, NoSuchJob, NoSuchShard, find_job
from nodeagent.client.outputs import make_receipts
from nodeagent.client.progress import progress_of
from nodeagent.client.reporting import plan_report
from nodeagent.client.verifying import check_offline
from nodeagent.client.why import Attempt, Facts, Member, gather, tell
from nodeagent.protocol.lanes import Lane
from nodeagent.protocol.leaves import Leaf, pack_leaves
from nodeagent.protocol.results import ResultTree, encode_results
from nodeagent.protocol.settlement import SettledLeaf, settlement_tree
from nodeagent.protocol.trees import root_from_proof
from nodeagent.protocol.types import Epoch, JobId, JobTerms, NodeId, Shard, ShardStatus, Task
from tests.agent.client.conftest import Chain, case_log, posted_log, results_of

JOB, CASE, SHARD = JobId(7), JobId(12), Shard(1)
ACCUSER = "0x" + "cc" * 20
LIE = b"\x66" * 32
GRACE = 8


@pytest.fixture
def appealable(history: History) -> History:
    """Job 7 with a window of seven epochs, whose shard 1 settled with a lie by nodes 2 and 3; node 1 was right."""
    posted = replace(history.posted, terms=replace(history.posted.terms, appeal_epochs=7))
    leaf = history.settled[1].entry._replace(root=LIE)
    lie = Settlement(leaf, settlement_tree([leaf]).root, 103, (leaf,), history.settled[1].at)
    answers = tuple(
        replace(a, root=history.settled[1].entry.root if a.node == 1 else LIE) if a.shard == 1 else a
        for a in history.answers
    )
    return replace(history, posted=posted, settled={**history.settled, 1: lie}, answers=answers)


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


def test_fold_cases__the_whole_story__is_one_case(appealable: History) -> None:
    events = [
        *opening(appealable), *judged(right()), resolved(right(), True),
        WrongReported(at(1_065), JOB, SHARD, NodeId(3), 0, ACCUSER, 0),
        CaseClosed(at(1_300), JOB, SHARD, CASE, 24),
    ]  # fmt: skip
    case = fold_cases(JOB, events)[1]
    assert (case.job, case.accuser, case.bond, case.settled_root) == (CASE, ACCUSER, 121, LIE)
    assert [int(a.node) for a in case.answers] == [4, 5, 6, 8]
    assert (case.verdict, case.overturned, case.forfeited, case.refund) == (right(), True, 48, 24)
    assert [int(w.node) for w in case.wrong] == [3]


def test_fold_cases__a_judge_opens_shards_that_do_not_exist__one_answer_counts(appealable: History) -> None:
    leaves = pack_leaves([Leaf(CASE, Shard(n), bytes([n]) * 32) for n in (0, 1, 7)])
    many = Revealed(at(1_062), NodeId(4), Epoch(105), leaves, b"\x04" * 32)
    case = fold_cases(JOB, [*opening(appealable), many])[1]
    assert [(int(a.node), a.root) for a in case.answers] == [(4, bytes(32))]


def test_fold_cases__another_jobs_case__is_not_ours(appealable: History) -> None:
    foreign = [replace(e, job=JobId(8)) for e in opening(appealable) if isinstance(e, CasePosted | Appealed)]
    assert fold_cases(JOB, [*foreign, *judged(right())]) == {}


@pytest.mark.parametrize(
    ("tail", "now", "expected"),
    [
        ([], 104, ShardStatus.APPEALED),
        ([], 121, ShardStatus.APPEALED),  # 104 + 1 + 3 * 3 - 1 + 8
        ([], 122, ShardStatus.CONTESTED),
        ([EndedWithoutVerdict(at(1_230), JOB, SHARD, CASE, 121)], 123, ShardStatus.CONTESTED),
        (judged(LIE), 122, ShardStatus.APPEALED),  # a verdict that nobody has resolved yet
        ([*judged(LIE), resolved(LIE, False)], 106, ShardStatus.FINAL),
    ],
)
def test_standing__a_case__overrides_the_window(
    appealable: History, tail: list[Event], now: int, expected: ShardStatus
) -> None:
    history = with_cases(appealable, [*opening(appealable), *tail])
    found = standing(history.terms, 1, Epoch(now), GRACE, history.settled[1], history.cases[1])
    assert found is expected
    assert standing(history.terms, 0, Epoch(now), GRACE, history.settled[0], None) is (
        ShardStatus.SETTLED if now <= 110 else ShardStatus.FINAL
    )


def test_progress_of__appealed_shard__has_not_ended(appealable: History, deployment: Deployment) -> None:
    progress = progress_of(with_cases(appealable, opening(appealable)), deployment)
    assert progress.shards[1].status is ShardStatus.APPEALED
    assert not progress.ended


def test_holders__after_an_overturn__are_the_judges_and_the_member_that_was_right(appealable: History) -> None:
    history = with_cases(appealable, [*opening(appealable), *judged(right()), resolved(right(), True)])
    assert history.answer_root(1) == right()
    assert [(job, int(a.node)) for job, a in holders(history, 1)] == [(7, 1), (12, 4), (12, 5), (12, 6), (12, 8)]


def test_make_receipts__after_an_overturn__tasks_lead_to_the_verdict(
    appealable: History, deployment: Deployment
) -> None:
    history = with_cases(appealable, [*opening(appealable), *judged(right()), resolved(right(), True)])
    results = results_of(1)
    tree = ResultTree(Task(2), results)
    shard = ShardResults(1, history.settled[1], right(), encode_results(results), results, tree, 4, ())
    receipts, _ = make_receipts(deployment, history, [shard])
    row = receipts.shards[0]
    assert (row.result_root, row.verdict_root) == ("0x" + LIE.hex(), "0x" + right().hex())
    found = dict(zip((2, 3), results, strict=True))
    assert [v.problem for v in check_offline(receipts, found)] == [None, None]
    plain = receipts.model_copy(update={"shards": (row.model_copy(update={"verdict_root": None}),)})
    assert all(v.problem for v in check_offline(plain, found))


def test_receipt__settlement__has_the_path_the_chain_checks(history: History) -> None:
    settlement = history.settled[2]
    receipt = settlement.receipt()
    assert root_from_proof(settlement.entry.hash(), list(receipt.path)) == settlement.root


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"settled": {}}, "is not settled"),
        ({"block": 1_107}, "closed with epoch 110: it is epoch 111"),  # counts for the next epoch: LEAD is 4
        ({"appealed": True}, "was appealed already, as job 12"),
        ({"appeal_epochs": 0}, "without appeals"),
        ({"court": None}, "no court"),
    ],
)
def test_plan__shard_that_cannot_be_appealed__says_why(
    appealable: History, deployment: Deployment, change: dict[str, object], words: str
) -> None:
    history = replace(appealable, settled=change.get("settled", appealable.settled))  # type: ignore[arg-type]
    if "block" in change:
        history = replace(history, head=replace(history.head, block=change["block"]))  # type: ignore[arg-type]
    if "appealed" in change:
        history = with_cases(history, opening(history))
    if "appeal_epochs" in change:
        terms = replace(history.posted.terms, appeal_epochs=0)
        history = replace(history, posted=replace(history.posted, terms=terms))
    court = None if "court" in change else "0x" + "05" * 20
    with pytest.raises(NotAppealable, match=words):
        Appellant(Chain(), replace(deployment, court=court)).plan(history, 1)


def test_find_job__number_of_a_case__names_the_shard_it_is_about(deployment: Deployment) -> None:
    chain = Chain(logs=[posted_log(7), case_log(12, 7, 1)])
    with pytest.raises(IsACase, match="job 12 is the case about job 7, shard 1") as refused:
        find_job(chain, deployment, 12)
    assert refused.value.hint == "quorate job why 7 1"
    assert find_job(chain, deployment, 7).job == 7
    with pytest.raises(NoSuchJob, match="there is no job 13"):
        find_job(chain, deployment, 13)


@pytest.mark.parametrize("ask", ["appeal", "resolve", "report", "why"])
def test_shard__out_of_range__every_command_says_which_there_are(
    appealable: History, deployment: Deployment, ask: str
) -> None:
    appellant = Appellant(Chain(), replace(deployment, court="0x" + "05" * 20))
    doors = Chain(), deployment, appealable
    asks: dict[str, Callable[[int], object]] = {
        "appeal": lambda shard: appellant.plan(appealable, shard),
        "resolve": lambda shard: appellant.resolve(appealable, shard, None),  # type: ignore[arg-type]
        "report": lambda shard: plan_report(*doors, shard),
        "why": lambda shard: gather(*doors, shard),
    }
    with pytest.raises(NoSuchShard, match="job 7 has shards 0 to 2, not 3") as refused:
        asks[ask](3)
    assert refused.value.hint == "a task's shard is its index divided by 2"


def test_resolve__case_still_open__is_refused_before_anything_is_sent(
    appealable: History, deployment: Deployment
) -> None:
    appellant = Appellant(Chain(), replace(deployment, court="0x" + "05" * 20))
    with pytest.raises(NothingToResolve, match="was not appealed"):
        appellant.resolve(appealable, 1, None)  # type: ignore[arg-type]
    with pytest.raises(NothingToResolve, match="judges of job 12 have not agreed") as open_case:
        appellant.resolve(with_cases(appealable, opening(appealable)), 1, None)  # type: ignore[arg-type]
    assert open_case.value.hint == "quorate job why 7 1", "job 12 is nothing to watch"


@pytest.mark.parametrize(
    ("tail", "epoch", "words"),
    [
        ([EndedWithoutVerdict(at(1_230), JOB, SHARD, CASE, 121)], 200, "without a verdict"),
        ([*judged(LIE), resolved(LIE, False)], 110, "resolved already"),
        ([*judged(LIE), resolved(LIE, False), CaseClosed(at(1_300), JOB, SHARD, CASE, 24)], 200, "closed already"),
    ],
)
def test_resolve__nothing_left_or_not_yet__says_so(
    appealable: History, deployment: Deployment, tail: list[Event], epoch: int, words: str
) -> None:
    appellant = Appellant(Chain(), replace(deployment, court="0x" + "05" * 20))
    history = with_cases(appealable, [*opening(appealable), *tail])
    history = replace(history, head=replace(history.head, block=epoch * 10))
    with pytest.raises(NothingToResolve, match=words):
        appellant.resolve(history, 1, None)  # type: ignore[arg-type]


def test_resolve__resolved_and_its_deadlines_over__takes_the_rest_back(
    appealable: History, deployment: Deployment
) -> None:
    class Sends:
        def send(self, call: Any) -> str:
            return str(call.what)

    appellant = Appellant(Chain(), replace(deployment, court="0x" + "05" * 20))
    history = with_cases(appealable, [*opening(appealable), *judged(LIE), resolved(LIE, False)])
    history = replace(history, head=replace(history.head, block=1_400))
    assert appellant.resolve(history, 1, Sends()) == "closeCase"  # type: ignore[arg-type]


def story(history: History, now: int = 107) -> str:
    lanes = {1: Lane(Epoch(101), 1, bytes(27)), 2: Lane(Epoch(101), 1, bytes(27)), 3: Lane(Epoch(101), 0, b"\1" * 27)}
    members = tuple(Member(n - 1, NodeId(n), lanes[n]) for n in (1, 2, 3))
    answers = tuple(a for a in history.answers if a.shard == 1 and a.node != 3)
    attempt = Attempt(0, Epoch(101), Epoch(101), members, answers)
    settled = history.settled.get(1)
    status = standing(history.terms, 1, Epoch(now), GRACE, settled, history.cases.get(1))
    return "\n".join(tell(Facts(history, 1, Epoch(now), status, (attempt,), (), GRACE)))


def test_tell__attempt__names_who_answered_what_and_who_did_not(appealable: History) -> None:
    told = story(appealable)
    assert "tasks 2 to 3" in told
    assert "Drawn: 1, 2, 3." in told
    assert "node 2" in told and LIE.hex()[:16] in told
    assert "Node 3 sealed a batch and has not opened it" in told
    assert "It can be appealed until epoch 110." in told


@pytest.mark.parametrize(
    ("tail", "words"),
    [
        ([], "The case is open until epoch 121"),
        (judged(LIE), "the verdict stands once somebody resolves it"),
        ([*judged(LIE), resolved(LIE, False)], "the settled root is UPHELD"),
        ([*judged(b"\x07" * 32), resolved(b"\x07" * 32, True)], "OVERTURNED"),
        ([EndedWithoutVerdict(at(1_230), JOB, SHARD, CASE, 121)], "the bond of 121 units was burned"),
    ],
)
def test_tell__case__says_how_it_ended(appealable: History, tail: list[Event], words: str) -> None:
    history = with_cases(appealable, [*opening(appealable), *tail])
    now = 130 if any(isinstance(e, EndedWithoutVerdict) for e in tail) else 107
    told = story(history, now)
    assert f"{ACCUSER} appealed it for a bond of 121 units" in told
    assert words in told


def test_tell__unsettled_and_late__says_that_the_price_comes_back(history: History) -> None:
    told = story(replace(history, settled={}), 130)
    assert "it expired, its price comes back" in told
