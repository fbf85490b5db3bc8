"""A market and a job's terms that fit it, for tests of quotes."""

from __future__ import annotations

from nodeagent.client.quote import JobTerms, MarketFacts, Seating

FACTS = MarketFacts(
    block=1_003,
    block_seconds=12.0,
    epoch_blocks=10,
    ring=128,
    lead=4,
    settle_grace=8,
    report_epochs=4,
    settle_fee_bps=100,
    protocol_fee_bps=25,
    judges=0,
    pool_open=True,
    seat_stake=100,
    floor=2,
    max_shard_pay=1_000_000,
    list_length=21,
    seating=tuple(Seating(n, f"0x{n // 2:040x}", 4) for n in range(5)),
)
TERMS = JobTerms(1, 300, 64, 3, 2, 0, 1, 3, 0, 7, 3)
