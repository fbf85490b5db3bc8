"""Clock: blocks to epochs, attempts, deadlines, and the status of a shard in every epoch of its life."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeagent.protocol import epochs
from nodeagent.protocol.jobword import case_terms
from nodeagent.protocol.types import AnswerClass, Epoch, JobTerms, PoolId, Shard, ShardStatus

GRACE = 8


def terms(**changes: object) -> JobTerms:
    values: dict[str, object] = {
        "task_price": 12,
        "tasks": 10,
        "shard_size": 2,
        "post_epoch": Epoch(100),
        "pace": 2,
        "pool": PoolId(1),
        "committee": 3,
        "quorum": 2,
        "work": 1,
        "max_attempts": 3,
        "answer_class": AnswerClass.EXACT,
        "appeal_epochs": 0,
    }
    return JobTerms(**(values | changes))  # type: ignore[arg-type]


JOBS = st.builds(
    terms,
    tasks=st.integers(1, 500),
    shard_size=st.integers(1, 20),
    post_epoch=st.integers(0, 10**6).map(Epoch),
    pace=st.integers(1, 50),
    work=st.integers(1, 8),
    max_attempts=st.integers(1, 4),
    appeal_epochs=st.integers(0, 14),
)


@pytest.mark.parametrize(
    ("block", "epoch", "counting"), [(1003, 100, 100), (1005, 100, 100), (1006, 100, 101), (1010, 101, 101)]
)
def test_counting_epoch__around_the_lead__moves_before_the_epoch_does(block: int, epoch: int, counting: int) -> None:
    assert epochs.epoch_of(block, 10) == epoch
    assert epochs.counting_epoch(block, 10, 4) == counting


def test_attempts__worked_example__start_every_third_epoch() -> None:
    job = terms()
    assert [epochs.attempt_start(job, Shard(0), a) for a in range(3)] == [101, 104, 107]
    assert [epochs.commit_epoch(job, Shard(0), a) for a in range(3)] == [101, 104, 107]
    assert epochs.last_epoch(job, Shard(0), GRACE) == 117
    assert epochs.seed_block(Epoch(101), 10) == 1011


def test_stride__tolerant__has_two_epochs_more() -> None:
    assert epochs.stride(terms(answer_class=AnswerClass.TOLERANT)) == epochs.stride(terms()) + 2


def test_first_epoch__paced__delays_later_shards() -> None:
    assert [epochs.first_epoch(terms(), Shard(s)) for s in range(5)] == [101, 101, 102, 102, 103]


def test_shard_status__every_epoch_of_the_worked_example__walks_the_story() -> None:
    job = terms()
    walk = [epochs.shard_status(job, Shard(0), Epoch(now), GRACE).name for now in range(100, 119)]
    attempt = ["WORKING", "REVEALING", "SETTLING"]
    assert walk == ["SCHEDULED", *attempt * 3, *["SETTLEABLE"] * 8, "EXPIRED"]


def test_shard_status__beyond_the_lowered_tasks__is_cancelled() -> None:
    assert epochs.shard_status(terms(), Shard(5), Epoch(99), GRACE) is ShardStatus.CANCELLED


@pytest.mark.parametrize(("appeal", "now", "status"), [
    (0, 103, ShardStatus.FINAL),
    (7, 103, ShardStatus.SETTLED),
    (7, 110, ShardStatus.SETTLED),
    (7, 111, ShardStatus.FINAL),
])  # fmt: skip
def test_shard_status__settled__is_final_after_the_window(appeal: int, now: int, status: ShardStatus) -> None:
    job = terms(appeal_epochs=appeal)
    assert epochs.shard_status(job, Shard(0), Epoch(now), GRACE, Epoch(103)) is status


def test_shard_status__settled_and_cancelled_later__stays_settled() -> None:
    assert epochs.shard_status(terms(), Shard(7), Epoch(103), GRACE, Epoch(103)) is ShardStatus.FINAL


@pytest.mark.parametrize("case", [ShardStatus.APPEALED, ShardStatus.CONTESTED, ShardStatus.FINAL])
def test_shard_status__case__overrides_the_window(case: ShardStatus) -> None:
    job = terms(appeal_epochs=7)
    for now in (103, 110, 111, 150):
        assert epochs.shard_status(job, Shard(0), Epoch(now), GRACE, Epoch(103), case) is case


@pytest.mark.parametrize(("settled", "resolved", "now", "status"), [
    (False, False, 127, ShardStatus.APPEALED),
    (False, False, 128, ShardStatus.CONTESTED),
    (False, False, 10_000, ShardStatus.CONTESTED),
    (True, False, 128, ShardStatus.APPEALED),
    (True, False, 10_000, ShardStatus.APPEALED),
    (True, True, 113, ShardStatus.FINAL),
])  # fmt: skip
def test_case_status__every_branch__is_what_the_court_says(
    settled: bool, resolved: bool, now: int, status: ShardStatus
) -> None:
    case = case_terms(terms(appeal_epochs=7), Shard(0), Epoch(110), 5)
    assert epochs.last_epoch(case, Shard(0), GRACE) == 127
    assert epochs.case_status(case, Epoch(now), GRACE, settled, resolved) is status


@pytest.mark.parametrize(("appeal", "case", "ended", "first", "last"), [
    (0, ShardStatus.NONE, None, 103, 107),
    (7, ShardStatus.NONE, None, 111, 114),
    (7, ShardStatus.FINAL, 113, 113, 117),
    (7, ShardStatus.CONTESTED, 127, 128, 131),
])  # fmt: skip
def test_claims_open__settled_in_103__lasts_for_the_report_epochs(
    appeal: int, case: ShardStatus, ended: int | None, first: int, last: int
) -> None:
    at = None if ended is None else Epoch(ended)
    found = epochs.claims_open(terms(appeal_epochs=appeal), 4, Epoch(103), case, at)
    assert (found[0], found[-1]) == (first, last)


def test_claims_open__case_open__never() -> None:
    assert not epochs.claims_open(terms(appeal_epochs=7), 4, Epoch(103), ShardStatus.APPEALED)


@given(JOBS, st.integers(0, 14), st.sampled_from([5, 7]))
def test_closable_from__longest_case__is_after_every_claim_about_it(job: JobTerms, later: int, judges: int) -> None:
    """Settled in its last epoch, appealed in the window's last counting epoch, its case settled in its last epoch."""
    if job.appeal_epochs == 0:
        return
    shard = Shard(job.shards - 1)
    settled_at = epochs.last_epoch(job, shard, GRACE)
    posted = Epoch(min(settled_at + later, epochs.appeal_until(job, settled_at)))
    case = case_terms(job, shard, posted, judges)
    ended = epochs.last_epoch(case, Shard(0), GRACE)
    for status in (ShardStatus.FINAL, ShardStatus.CONTESTED):
        assert epochs.claims_open(job, 4, settled_at, status, ended)[-1] < epochs.closable_from(job, GRACE, 4)
    assert epochs.closable_from(case, GRACE, 4, settled=False) == ended + 1
    assert epochs.closable_from(case, GRACE, 4) == ended + 5


@given(JOBS, st.data())
def test_attempt_at__any_epoch__agrees_with_starts_and_status(job: JobTerms, data: st.DataObject) -> None:
    shard = Shard(data.draw(st.integers(0, job.shards - 1)))
    now = Epoch(data.draw(st.integers(job.post_epoch, epochs.last_epoch(job, shard, GRACE) + 2)))
    attempt = epochs.attempt_at(job, shard, now)
    status = epochs.shard_status(job, shard, now, GRACE)
    if attempt is None:
        assert status in (ShardStatus.SCHEDULED, ShardStatus.SETTLEABLE, ShardStatus.EXPIRED)
        return
    start = epochs.attempt_start(job, shard, attempt)
    commit = epochs.commit_epoch(job, shard, attempt)
    assert start <= now < start + epochs.stride(job)
    assert (status is ShardStatus.WORKING) == (now <= commit)
    assert (status is ShardStatus.REVEALING) == (now == epochs.settle_from(job, shard, attempt))


@given(JOBS)
def test_closable_from__any_job__is_after_every_deadline(job: JobTerms) -> None:
    report = 4
    closable = epochs.closable_from(job, GRACE, report)
    for shard in range(job.shards):
        last = epochs.last_epoch(job, Shard(shard), GRACE)
        assert epochs.shard_status(job, Shard(shard), closable, GRACE) is ShardStatus.EXPIRED
        assert closable > last + job.appeal_epochs + report
    if job.appeal_epochs == 0:
        assert closable == max(epochs.last_epoch(job, Shard(s), GRACE) for s in range(job.shards)) + report + 1


@given(JOBS)
def test_job_life__any_job__covers_first_attempt_to_closing(job: JobTerms) -> None:
    one = terms(**{f: getattr(job, f) for f in ("work", "max_attempts", "appeal_epochs", "post_epoch")}, tasks=1)
    life = epochs.job_life(one, GRACE, 4)
    assert epochs.closable_from(one, GRACE, 4) - epochs.first_epoch(one, Shard(0)) <= life


@given(JOBS, st.integers(0, 60))
def test_shards_kept__cancelled_later__are_those_that_start_by_the_next_epoch(job: JobTerms, later: int) -> None:
    counting = Epoch(job.post_epoch + later)
    kept = epochs.shards_kept(job, counting)
    starts = [epochs.first_epoch(job, Shard(s)) for s in range(job.shards)]
    assert kept == sum(start <= counting + 1 for start in starts)
    assert kept >= 1


def test_tasks_in__last_shard__is_shorter() -> None:
    job = terms(tasks=9, shard_size=4)
    assert [job.tasks_in(Shard(s)) for s in range(job.shards)] == [4, 4, 1]
    with pytest.raises(ValueError, match="shard 3 is not one of 3"):
        job.tasks_in(Shard(3))
