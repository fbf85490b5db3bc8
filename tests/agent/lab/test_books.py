"""Every row of the money table, to the unit, and that nothing is ever lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.simulate.books import Books, Case, Unbalanced
from lab.simulate.purses import ABSENT, UNREVEALED, WRONG, Rules
from nodeagent.protocol import payout
from nodeagent.protocol.types import AnswerClass, Epoch, JobTerms, PoolId

PRICE = 12_347  # odd on purpose: fees round
RULES = Rules()


def terms(tasks: int = 5, shard_size: int = 2, appeal_epochs: int = 7) -> JobTerms:
    return JobTerms(
        task_price=PRICE, tasks=tasks, shard_size=shard_size, post_epoch=Epoch(100), pace=1, pool=PoolId(1),
        committee=3, quorum=2, work=1, max_attempts=3, answer_class=AnswerClass.EXACT, appeal_epochs=appeal_epochs,
    )  # fmt: skip


def opened(appeal_epochs: int = 7, protocol_fee_bps: int = 0) -> Books:
    books = Books(9, RULES)
    books.at(100)
    books.post(1, terms(appeal_epochs=appeal_epochs), "requester", protocol_fee_bps)
    for node in range(1, 10):
        books.add_stake(node, 1_000_003)
    return books


def settled(books: Books) -> None:
    """Shards 0, 1 (two tasks) and 2 (one task): node 1 and 2 paid, node 3 in the first too."""
    committees = np.array([[1, 2, 3]] * 3, np.uint32)
    paid = np.array([[1, 1, 1], [1, 1, 0], [1, 1, 0]], bool)
    books.settle(1, np.array([2, 2, 1]), committees, paid, np.array([1, 2, 2], np.uint32))


def fee(count: int, tasks: int) -> int:
    return PRICE * tasks * count * 100 // 10_000


# --- pay ------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 10**30), st.booleans()), max_size=12))
def test_purses__credits_over_any_epochs__are_the_protocols_buckets(steps: list[tuple[int, int, bool]]) -> None:
    books, mine, matured, now = Books(1, RULES), payout.Buckets(), 0, 0
    for wait, amount, forfeits in steps:
        now += wait
        books.at(now)
        if forfeits:
            mine, more = payout.roll(mine, Epoch(now), RULES.ring)
            assert books.forfeit(1) == mine.maturing
            mine, matured = payout.Buckets(mine.index), matured + more
        else:
            books.credit_one(1, amount, True)
            mine, more = payout.credit(mine, amount, Epoch(now), RULES.ring)
            matured += more
        assert (books.matured[1], books.current[1], books.previous[1]) == (matured, mine.current, mine.previous)


def test_settle__three_shards__pays_members_later_and_settlers_at_once() -> None:
    books = opened()
    settled(books)
    assert [books.current[n] for n in (1, 2, 3)] == [5 * PRICE, 5 * PRICE, 2 * PRICE]
    assert [books.matured[n] for n in (1, 2, 3)] == [fee(3, 2), fee(2, 2) + fee(2, 1), 0]
    spent = 12 * PRICE + fee(3, 2) + fee(2, 2) + fee(2, 1)
    assert books.jobs[1].held == payout.escrow(5, 3, 1, PRICE, 100).total - spent
    books.check()


def test_settle__without_appeals__pays_at_once() -> None:
    books = opened(appeal_epochs=0)
    settled(books)
    assert [books.matured[n] for n in (1, 2, 3)] == [
        5 * PRICE + fee(3, 2),
        5 * PRICE + fee(2, 2) + fee(2, 1),
        2 * PRICE,
    ]
    assert not books.current.any()


def test_settle_one__same_shards_one_by_one__equals_settle_in_bulk() -> None:
    bulk, single = opened(protocol_fee_bps=30), opened(protocol_fee_bps=30)
    settled(bulk)
    for tasks, nodes, payee in ((2, (1, 2, 3), 1), (2, (1, 2), 2), (1, (1, 2), 2)):
        single.settle_one(single.jobs[1], tasks, nodes, payee)
    assert bulk.holdings() == single.holdings()
    assert (bulk.matured == single.matured).all() and (bulk.current == single.current).all()
    assert bulk.owed["protocol"] == sum(PRICE * n * 30 // 10_000 for n in (6, 4, 2))


def test_settle_one__by_a_stranger__owes_the_fee_to_his_account() -> None:
    books = opened()
    books.settle_one(books.jobs[1], 2, (1, 2), "stranger")
    assert books.owed["stranger"] == fee(2, 2)


def test_close__after_settling__returns_void_slots_and_dust() -> None:
    books = opened()
    settled(books)
    books.close(1)
    total = payout.escrow(5, 3, 1, PRICE, 100).total
    assert books.owed["requester"] == total - 12 * PRICE - fee(3, 2) - fee(2, 2) - fee(2, 1)
    assert books.check()["escrow"] == 0


def test_withdraw_and_collect__after_two_buckets__pay_everything_out() -> None:
    books = opened()
    settled(books)
    books.close(1)
    books.at(100 + 2 * RULES.ring)
    assert [books.withdraw(n) for n in (1, 2, 3)][2] == 2 * PRICE
    books.collect("requester")
    held = books.check()
    assert held["paid_out"] == held["paid_in"] and held["owed"] == held["matured"] == held["maturing"] == 0


# --- stake ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("row", "bps"), [(UNREVEALED, 1_000), (ABSENT, 10), (WRONG, 5_000)])
def test_punish__each_row__rounds_up_once_per_lane(row: int, bps: int) -> None:
    books = opened()
    amount = -(-1_000_003 * bps // 10_000)
    assert books.punish(4, 101, row, "reporter") == amount
    assert books.punish(4, 101, row, "reporter") == 0
    assert books.rewards["reporter"] == amount // 10 and books.burned_stake == amount - amount // 10
    assert books.stake[4] == 1_000_003 - amount
    assert books.punish(4, 102, row, "reporter") == -(-(1_000_003 - amount) * bps // 10_000)
    books.check()


def test_punish__stake_that_leaves__pays_first() -> None:
    books = opened()
    books.unbond(4, 400_000)
    books.punish(4, 101, WRONG, "reporter")
    assert (books.stake[4], books.unbonding[4]) == (1_000_003 - 500_002, 0)
    books.unbond(4, 100)
    books.unstake(4)
    books.collect_reward("reporter")
    assert books.check()["unstaked"] == 100 + 50_000


# --- court ----------------------------------------------------------------------------------------------------


def case_of(books: Books) -> tuple[Case, int]:
    """Shard 1 (nodes 1 and 2 were paid for two tasks) is appealed; the bond."""
    settled(books)
    case = books.appeal(1, 1, 103, "accuser", "wrong", (1, 2))
    return case, payout.escrow(2, 5, 1, PRICE, 100).total


def test_resolve__overturned__makes_accuser_then_requester_whole_and_burns_the_rest() -> None:
    books = opened()
    case, bond = case_of(books)
    assert case.held == bond == books.tally.spent["accuser"]
    books.settle_one(case, 2, (5, 6, 7, 8), 5)
    assert books.resolve(case, "right", 106)
    forfeited = 10 * PRICE
    assert books.owed["accuser"] == min(forfeited, bond)
    assert books.tally.forfeited[1] == books.tally.forfeited[2] == 5 * PRICE and not books.current[1]
    books.claim(books.jobs[1], 2, 3)
    assert books.matured[3] == 2 * PRICE
    before = books.owed["requester"], books.burned
    left = bond - 8 * PRICE - fee(4, 2)
    owed = books.owed["accuser"]
    books.close_case(case)
    assert books.owed["accuser"] == bond  # made whole exactly, never more
    price = 4 * PRICE + fee(2, 2)
    rest = left - (bond - owed)
    assert books.owed["requester"] - before[0] == min(rest, price)
    assert books.burned - before[1] == max(0, rest - price)
    books.check()


def test_resolve__overturned_with_much_immature_pay__burns_what_nobody_is_due() -> None:
    books = opened()
    case, bond = case_of(books)
    books.post(2, terms(tasks=200), "other")
    for _ in range(20):
        books.settle_one(books.jobs[2], 2, (1, 2), "stranger")
    books.resolve(case, "right", 106)
    price = 4 * PRICE + fee(2, 2)
    assert books.owed["accuser"] == bond and books.owed["requester"] == price
    assert books.burned == (5 + 5 + 80) * PRICE - bond - price
    books.check()


def test_resolve__upheld__costs_the_accuser_what_the_judges_earned() -> None:
    books = opened()
    case, bond = case_of(books)
    books.settle_one(case, 2, (5, 6, 7, 8), 5)
    assert not books.resolve(case, "wrong", 106)
    books.close_case(case)
    assert books.owed["accuser"] == bond - 8 * PRICE - fee(4, 2)
    assert books.current[1] == 5 * PRICE and books.burned == 0
    assert books.matured[5] == 2 * PRICE + fee(4, 2) and books.current[5] == 0  # judges can withdraw at once
    books.check()


def test_no_verdict__members_keep_their_pay__and_the_bond_burns() -> None:
    books = opened()
    case, bond = case_of(books)
    books.no_verdict(case)
    assert books.burned == bond and books.owed["accuser"] == 0 and books.current[1] == 5 * PRICE
    books.close_case(case)
    assert books.check()["burned"] == bond


def test_report_wrong__after_an_overturn__pays_the_tenth_and_the_immature_pay_to_the_accuser_first() -> None:
    books = opened()
    case, bond = case_of(books)
    books.resolve(case, "right", 106)
    due = case.accuser_due
    books.post(2, terms(), "other")
    books.settle_one(books.jobs[2], 2, (3, 4), "stranger")
    owed = books.owed["accuser"]
    slash = books.report_wrong(case, 3, 101, "reporter", 110)
    assert slash == 500_002 and books.rewards["accuser"] == 50_000
    assert books.owed["accuser"] - owed == min(due, 4 * PRICE)
    assert books.report_wrong(case, 3, 101, "reporter", 110) == 0
    assert books.owed["accuser"] <= bond
    books.check()


@pytest.mark.parametrize(("epoch", "whose"), [(110, "accuser"), (111, "reporter")])
def test_report_wrong__the_accuser_let_his_epochs_pass__the_tenth_is_the_reporters(epoch: int, whose: str) -> None:
    books = opened()
    case, _ = case_of(books)
    books.resolve(case, "right", 106)
    books.report_wrong(case, 3, 101, "reporter", epoch)
    assert books.rewards == {whose: 50_000}


def test_report_wrong__after_upholding__the_tenth_stays_the_accusers() -> None:
    books = opened()
    case, _ = case_of(books)
    books.resolve(case, "wrong", 106)
    books.report_wrong(case, 3, 101, "reporter", 120)
    assert books.rewards == {"accuser": 50_000}


def test_report_wrong__after_upholding__burns_the_immature_pay() -> None:
    books = opened()
    case, _ = case_of(books)
    books.resolve(case, "wrong", 106)
    books.report_wrong(case, 3, 101, "reporter", 110)
    assert books.burned == 2 * PRICE and books.owed["accuser"] == 0
    books.check()


def test_check__money_from_nowhere__raises() -> None:
    books = opened()
    books.matured[3] += 1
    with pytest.raises(Unbalanced, match="paid_in"):
        books.check()
    books.matured[3] -= 1
    books.stake[3] += 1
    with pytest.raises(Unbalanced, match="staked"):
        books.check()


def test_check__an_account_below_zero__raises() -> None:
    books = opened()
    books.stake[3] -= 2_000_000
    books.stake[4] += 2_000_000
    with pytest.raises(Unbalanced, match="below zero"):
        books.check()
