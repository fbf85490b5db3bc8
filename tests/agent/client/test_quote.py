"""The quote: money to the unit, time in epochs, and every refusal before money moves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nodeagent.client.quote import BadTerms, quote
from nodeagent.protocol.payout import escrow
from tests.agent.client.facts import FACTS, TERMS


def test_quote__money__is_what_the_market_pulls() -> None:
    made = quote(TERMS, FACTS)
    assert made.escrow == escrow(300, 3, 7, 3, 100, 25).total
    assert made.escrow == made.members + made.settle_fee + made.protocol_fee
    assert (made.members, made.settle_fee, made.protocol_fee) == (18_900, 189, 47)


def test_quote__pace__counts_holes_like_the_market_does() -> None:
    assert quote(TERMS, FACTS).pace == 2 * 21 // 3
    assert quote(replace(TERMS, pace=2), FACTS).pace == 2


def test_quote__time__follows_the_protocols_worked_example() -> None:
    one = quote(replace(TERMS, tasks=1), FACTS)  # counted in epoch 100, drawn in 101, settled in 102
    assert one.epochs == 2
    assert one.epochs_at_most == 1 + 3 * 3 - 1 + 8
    assert one.seconds == (3 * 10 - 7) * 12.0


def test_quote__paced_job__takes_longer() -> None:
    assert quote(replace(TERMS, pace=2), FACTS).epochs == 1 + 4 // 2 + 1


def test_quote__odds__name_the_largest_operators_of_the_real_pool() -> None:
    rows = {row.who: row for row in quote(TERMS, FACTS).odds}
    assert rows["the largest operator"].share == pytest.approx(8 / 20)
    assert 0 < rows["the largest operator"].shard < rows["the 2 largest operators together"].shard
    assert "the 3 largest operators together" not in rows  # that is everybody
    assert rows["30% of the stake"].shard == pytest.approx(3 * 0.09 - 2 * 0.027)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"committee": 16}, "committee 16 is out of range: expected 1 to 15"),
        ({"quorum": 1}, "quorum 1 is out of range: expected 2 to 3"),
        ({"quorum": 4}, "quorum 4 is out of range: expected 2 to 3"),
        ({"work": 9}, "work epochs 9 is out of range: expected 1 to 8"),
        ({"attempts": 5}, "attempts 5 is out of range: expected 1 to 4"),
        ({"unit_price": 1}, "unit price 1 is out of range: expected 2 to"),
        ({"unit_price": 0}, "unit price 0 is out of range: expected 2 to"),
        ({"pace": 15}, "pace 15 is out of range: expected 0 to 14"),
        ({"shard_size": 0}, "shard size 0 is out of range"),
        ({"committee": 7, "quorum": 4}, "has 5 nodes that can be drawn, 2 too few: 7 for a committee"),
        ({"appeal_epochs": 7}, "this market has no court"),
        ({"unit_price": 10_000}, "one member would earn 4480000 for one shard: the pool allows at most 1000000"),
        ({"units": 2**32}, "units 4294967296 is out of range"),
        ({"attempts": 4, "work": 8}, None),
    ],
)
def test_quote__terms_the_market_refuses__say_expected_and_actual(change: dict[str, int], words: str | None) -> None:
    terms = replace(TERMS, **change)
    if words is None:
        assert quote(terms, FACTS).terms == terms  # 4 * 2 * 10 + 20 epochs are under the ring
        return
    with pytest.raises(BadTerms, match=words):
        quote(terms, FACTS)


def test_quote__auto_appeal__needs_nodes_for_committee_and_judges() -> None:
    auto = replace(TERMS, appeal_epochs=None, work=2)
    assert quote(auto, replace(FACTS, judges=2)).appeal_epochs == 6 + 2
    assert quote(auto, replace(FACTS, judges=3)).appeal_epochs == 0  # five nodes seat three and two
    assert quote(auto, FACTS).appeal_epochs == 0


def test_quote__appeal_in_a_small_pool__says_how_many_are_missing() -> None:
    with pytest.raises(BadTerms, match="3 too few: 3 for a committee and 5 who could judge an appeal"):
        quote(replace(TERMS, appeal_epochs=7), replace(FACTS, judges=5))


def test_quote__bond__is_the_escrow_of_one_shard_for_the_judges() -> None:
    made = quote(replace(TERMS, appeal_epochs=7), replace(FACTS, judges=2))
    assert made.bond == escrow(64, 2, 7, 3, 100, 0).total
    assert quote(TERMS, FACTS).bond == 0


def test_quote__odds_with_a_court__a_wrong_answer_stays_less_often_than_it_settles() -> None:
    for row in quote(replace(TERMS, appeal_epochs=7), replace(FACTS, judges=2)).odds:
        assert row.final <= row.shard
        assert 0 < row.captured < 1 or row.who.endswith("operator")
    assert all((row.final, row.captured) == (row.shard, 0.0) for row in quote(TERMS, FACTS).odds)


@pytest.mark.parametrize(
    ("facts", "words"),
    [({"pool_open": False}, "pool 1 is closed"), ({"ring": 38}, "could take 38 epochs: expected less than 38")],
)
def test_quote__pool_or_ring_in_the_way__says_so(facts: dict[str, Any], words: str) -> None:
    with pytest.raises(BadTerms, match=words):
        quote(TERMS, replace(FACTS, **facts))
