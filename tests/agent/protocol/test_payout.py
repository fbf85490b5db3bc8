"""Money: escrow covers everything that can be paid, splits sum, earnings mature two buckets later."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeagent.protocol import payout
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


@given(st.integers(0, 600), st.integers(0, 300), st.integers(0, 300), st.integers(0, 100), st.integers(0, 100))
def test_take_back__any_time__takes_at_most_what_the_bucket_holds(
    at: int, wait: int, later: int, amount: int, wanted: int
) -> None:
    buckets, _ = payout.credit(payout.Buckets(), amount, Epoch(at), RING)
    buckets, _ = payout.credit(buckets, 1000, Epoch(at + wait), RING)
    before = payout.roll(buckets, Epoch(at + wait + later), RING)[0].maturing
    after, taken, _ = payout.take_back(buckets, wanted, Epoch(at), Epoch(at + wait + later), RING)
    assert 0 <= taken <= wanted
    assert after.maturing == before - taken
    if (at + wait + later) // RING - at // RING >= 2:
        assert taken == 0
    elif wait == 0 and later == 0:
        assert taken == min(wanted, amount + 1000)
