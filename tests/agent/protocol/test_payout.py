"""Money: escrow covers everything that can be paid, splits sum, earnings mature two buckets later."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeagent.protocol import payout
from nodeagent.protocol.jobword import case_terms
from nodeagent.protocol.types import AnswerClass, Epoch, JobTerms, PoolId, Shard

BPS = st.integers(0, 1000)


def test_escrow__worked_example__sums_pay_and_fee() -> None:
    cost = payout.escrow(3, 3, 12, 1000, 100)
    assert (cost.gross, cost.settle_fee, cost.protocol_fee, cost.total) == (108_000, 1_080, 0, 109_080)


@given(
    st.integers(1, 200), st.integers(1, 30), st.integers(1, 15), st.integers(1, 10**6), st.integers(1, 10**6), BPS, BPS,
    st.data(),
)  # fmt: skip
def test_escrow__any_job_paid_in_any_way__covers_pay_and_fees(
    tasks: int, size: int, committee: int, units: int, price: int, settle: int, protocol: int, data: st.DataObject
) -> None:
    job = JobTerms(
        units * price, tasks, size, Epoch(1), 1, PoolId(1), committee, committee // 2 + 1, 1, 1, AnswerClass.EXACT, 0
    )
    held = payout.escrow(tasks, committee, units, price, settle, protocol).total
    for shard in range(job.shards):
        pay = payout.member_pay(job, Shard(shard))
        paid = data.draw(st.integers(0, committee))
        held -= pay * paid + payout.settle_fee(pay, paid, settle) + payout.share(pay * paid, protocol)
    assert held >= 0


@given(st.integers(1, 10**5), st.integers(1, 10**5), st.integers(1, 15), st.integers(1, 10**6), BPS, BPS)
def test_escrow__of_a_part__never_exceeds_the_whole(
    kept: int, ended: int, committee: int, price: int, settle: int, protocol: int
) -> None:
    whole = payout.escrow(kept + ended, committee, 1, price, settle, protocol).total
    assert whole - payout.escrow(kept, committee, 1, price, settle, protocol).total >= ended * committee * price


@given(st.integers(0, 10**30), st.integers(0, 10_000))
def test_share__any_amount__rounds_down(amount: int, bps: int) -> None:
    part = payout.share(amount, bps)
    assert part * 10_000 <= amount * bps < (part + 1) * 10_000


@given(st.integers(1, 10**30), st.integers(1, 10_000))
def test_penalty__any_stake__rounds_up_and_never_exceeds_it(stake: int, bps: int) -> None:
    amount, reward = payout.penalty(stake, bps)
    assert 0 < amount <= stake
    assert (amount - 1) * 10_000 < stake * bps <= amount * 10_000
    assert reward * 10 <= amount


# --- maturity ---------------------------------------------------------------------------------------------------------

RING = 128


@pytest.mark.parametrize(("now", "matured"), [(100, 0), (127, 0), (128, 0), (255, 0), (256, 7), (10_000, 7)])
def test_roll__credit_of_bucket_0__matures_when_it_is_two_behind(now: int, matured: int) -> None:
    buckets, _ = payout.credit(payout.Buckets(), 7, Epoch(100), RING)
    assert payout.roll(buckets, Epoch(now), RING)[1] == matured


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 10**9)), max_size=30))
def test_credit__any_sequence__loses_nothing_and_matures_no_sooner_than_a_ring(steps: list[tuple[int, int]]) -> None:
    now, total = 0, 0
    buckets = payout.Buckets()
    credited: list[tuple[int, int]] = []
    for step, amount in steps:
        now += step
        buckets, matured = payout.credit(buckets, amount, Epoch(now), RING)
        credited.append((now, amount))
        total += matured
        young = sum(value for at, value in credited if now - at <= RING)
        assert buckets.maturing >= young
        assert total + buckets.maturing == sum(value for _, value in credited)
        assert payout.unpack_buckets(buckets.pack()) == buckets
    _, rest = payout.roll(buckets, Epoch(now + 2 * RING), RING)
    assert total + rest == sum(value for _, value in credited)


@given(st.integers(0, 600), st.integers(0, 300), st.integers(0, 300), st.integers(0, 100))
def test_forfeit__any_time__takes_what_has_not_matured_and_no_more(at: int, wait: int, later: int, amount: int) -> None:
    buckets, _ = payout.credit(payout.Buckets(), amount, Epoch(at), RING)
    buckets, first = payout.credit(buckets, 1000, Epoch(at + wait), RING)
    now = at + wait + later
    after, taken, matured = payout.forfeit(buckets, Epoch(now), RING)
    assert (after.maturing, after.index) == (0, now // RING)
    assert first + matured + taken == amount + 1000
    young = (amount if now - at <= RING else 0) + (1000 if later <= RING else 0)
    assert taken >= young
    if later >= 2 * RING:
        assert taken == 0
    assert payout.forfeit(after, Epoch(now), RING)[1] == 0


# --- a case -----------------------------------------------------------------------------------------------------------


def case_job(**changes: int) -> JobTerms:
    values = {"task_price": 3_000, "tasks": 5, "shard_size": 2, "committee": 3, "quorum": 2} | changes
    return JobTerms(
        post_epoch=Epoch(100), pace=1, pool=PoolId(1), work=1, max_attempts=3, answer_class=AnswerClass.EXACT,
        appeal_epochs=7, **values,
    )  # fmt: skip


@pytest.mark.parametrize(("shard", "expected"), [(0, 30_000 + 300), (1, 30_000 + 300), (2, 15_000 + 150)])
def test_bond__whole_and_short_shard__is_the_escrow_of_the_case(shard: int, expected: int) -> None:
    assert payout.bond(case_job(), Shard(shard), 5, 100) == expected
    case = case_terms(case_job(), Shard(shard), Epoch(110), 5)
    assert payout.escrow(case.tasks, case.committee, case.task_price, 1, 100).total == expected


def test_shard_price__fees__round_down_one_by_one() -> None:
    assert payout.shard_price(99, 1, 100, 250) == 99 + 0 + 2
    assert payout.shard_price(6_000, 2, 100, 0) == 12_000 + 120


@pytest.mark.parametrize(("amount", "told"), [
    (0, (0, 0, 0)), (60, (60, 0, 0)), (100, (100, 0, 0)), (101, (100, 1, 0)), (130, (100, 30, 0)), (131, (100, 30, 1)),
])  # fmt: skip
def test_pour__accuser_100_requester_30__fills_one_after_the_other(amount: int, told: tuple[int, int, int]) -> None:
    poured = payout.pour(amount, 100, 30)
    assert (poured.accuser, poured.requester, poured.burned) == told


@given(st.lists(st.integers(0, 10**6), max_size=12), st.integers(0, 10**6), st.integers(0, 10**6))
def test_pour__any_sums__nobody_gets_more_than_his_due_and_order_does_not_matter(
    amounts: list[int], accuser_due: int, requester_due: int
) -> None:
    accuser, requester, burned = 0, 0, 0
    for amount in amounts:
        poured = payout.pour(amount, accuser_due - accuser, requester_due - requester)
        assert poured.accuser + poured.requester + poured.burned == amount
        accuser, requester, burned = accuser + poured.accuser, requester + poured.requester, burned + poured.burned
    whole = payout.pour(sum(amounts), accuser_due, requester_due)
    assert (whole.accuser, whole.requester, whole.burned) == (accuser, requester, burned)
