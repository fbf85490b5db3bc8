"""Appeals of a job, from events to what stands, what is fetched, what receipts say, and the story in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from nodeagent.chain.deployment import Deployment
from nodeagent.chain.events import (
    Appealed,
    CaseClosed,
    CasePosted,
    EndedWithoutVerdict,
    Event,
    Revealed,
    WrongReported,
)
from nodeagent.client.appealing import Appellant, NotAppealable, NothingToResolve
from nodeagent.client.cases import fold_cases, standing
from nodeagent.client.fetching import ShardResults, holders
from nodeagent.client.history import History, IsACase, NoSuchJob, NoSuchShard, find_job
from nodeagent.client.outputs import make_receipts
from nodeagent.client.progress import progress_of
from nodeagent.client.reporting import plan_report
from nodeagent.client.verifying import check_offline
from nodeagent.client.why import Facts, gather, tell
from nodeagent.protocol.leaves import Leaf, pack_leaves
from nodeagent.protocol.results import ResultTree, encode_results
from nodeagent.protocol.trees import root_from_proof
from nodeagent.protocol.types import Epoch, JobId, NodeId, Shard, ShardStatus, Task
from tests.agent.client.conftest import LIE, Chain, case_log, posted_log, results_of
from tests.agent.client.courtscene import (
    ACCUSER,
    CASE,
    GRACE,
    JOB,
    SHARD,
    at,
    committee,
    judged,
    opening,
    resolved,
    right,
    with_cases,
)


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


def story(history: History, deployment: Deployment, now: int = 107) -> str:
    answers = tuple(a for a in history.answers if a.shard == 1 and a.node != 3)
    attempt = replace(committee(), answers=answers)
    settled = history.settled.get(1)
    status = standing(history.terms, 1, Epoch(now), GRACE, settled, history.cases.get(1))
    return "\n".join(tell(Facts(history, 1, Epoch(now), status, (attempt,), (), deployment, ("TUSD", 6))))


def test_tell__attempt__names_who_answered_what_and_who_did_not(appealable: History, deployment: Deployment) -> None:
    told = story(appealable, deployment)
    assert "tasks 2 to 3" in told
    assert "Drawn: 1, 2, 3." in told
    assert "node 2" in told and LIE.hex()[:16] in told
    assert "Node 3 sealed a batch and has not opened it" in told
    assert "It can be appealed until epoch 110." in told


@pytest.mark.parametrize(
    ("tail", "words"),
    [
        ([], "The case is open until epoch 121"),
        (judged(LIE), "the verdict stands once somebody resolves it: quorate job resolve 7 1."),
        ([*judged(LIE), resolved(LIE, False)], "the settled root is UPHELD"),
        ([*judged(b"\x07" * 32), resolved(b"\x07" * 32, True)], "OVERTURNED"),
        ([EndedWithoutVerdict(at(1_230), JOB, SHARD, CASE, 121)], "the bond of 0.000121 TUSD was burned"),
    ],
)
def test_tell__case__says_how_it_ended(
    appealable: History, deployment: Deployment, tail: list[Event], words: str
) -> None:
    history = with_cases(appealable, [*opening(appealable), *tail])
    now = 130 if any(isinstance(e, EndedWithoutVerdict) for e in tail) else 107
    told = story(history, deployment, now)
    assert f"{ACCUSER} appealed it for a bond of 0.000121 TUSD" in told
    assert words in told


def test_tell__unsettled_and_late__says_that_the_price_comes_back(history: History, deployment: Deployment) -> None:
    told = story(replace(history, settled={}), deployment, 130)
    assert "it expired, its price comes back" in told
