"""Vectors of appeals: words of cases, draws of judges, bonds, pours and forfeits, and where a case stands.

Draws of judges come twice: with the list's entries (``seat…``, which say since when a seat was held) for whoever keeps
a list, and with the ``table`` of nodes that could be drawn for tests of the library alone, exclusion left to it.
"""

from __future__ import annotations

import random
from dataclasses import replace

from draw_vectors import SLOTS, seed_of

from nodeagent.protocol import epochs, payout
from nodeagent.protocol.constants import (
    DEFAULT_REPORT_EPOCHS,
    DEFAULT_RING,
    DEFAULT_SETTLE_FEE_BPS,
    DEFAULT_SETTLE_GRACE,
    OPEN_ENDED,
)
from nodeagent.protocol.jobword import case_terms, case_word, pack_job_word
from nodeagent.protocol.lanes import ABSENT_PUNISHED, UNREVEALED_PUNISHED, WRONG_PUNISHED, Lane, pack_lane
from nodeagent.protocol.sortition import SeatList, draw_words, pack_slots
from nodeagent.protocol.types import AnswerClass, Epoch, JobId, JobTerms, NodeId, PoolId, Shard

Vectors = dict[str, object]
EPOCH = 200
GRACE = DEFAULT_SETTLE_GRACE


def build() -> Vectors:
    """All of ``court.json``."""
    rng = random.Random("Quorate court vectors")
    return {
        "settleGrace": GRACE,
        "reportEpochs": DEFAULT_REPORT_EPOCHS,
        "settleFeeBps": DEFAULT_SETTLE_FEE_BPS,
        "maturity": DEFAULT_RING,
        **_cases(rng),
        **_money(rng),
        **_forfeits(rng),
        **_standings(),
        **_lanes(),
        **_draws(rng),
    }


def _word(value: int) -> str:
    return f"0x{value:064x}"


# --- cases ------------------------------------------------------------------------------------------------------------


def _job(rng: random.Random) -> JobTerms:
    committee, size = rng.randrange(1, 16), rng.randrange(1, 5_000)
    return JobTerms(
        task_price=rng.randrange(1, 10**12), tasks=rng.randrange(1, 20 * size), shard_size=size,
        post_epoch=Epoch(rng.randrange(1, 10**6)), pace=rng.randrange(1, 1_000), pool=PoolId(rng.randrange(1, 1 << 16)),
        committee=committee, quorum=committee // 2 + 1, work=rng.randrange(1, 9), max_attempts=rng.randrange(1, 5),
        answer_class=AnswerClass.EXACT, appeal_epochs=rng.randrange(1, 15), has_rare_word=rng.random() < 0.5,
    )  # fmt: skip


def _cases(rng: random.Random) -> Vectors:
    """Per case: the appealed job's word, the case's own, its bond, its last epoch, and until when one could appeal."""
    found = []
    for _ in range(40):
        job = _job(rng)
        shard = Shard(rng.choice([0, job.shards - 1, rng.randrange(job.shards)]))
        settled_at = Epoch(rng.randrange(job.post_epoch + 2, epochs.last_epoch(job, shard, GRACE) + 1))
        posted = Epoch(rng.randrange(settled_at, epochs.appeal_until(job, settled_at) + 1))
        found.append((job, shard, settled_at, posted, rng.randrange(1, 16)))
    terms = [case_terms(job, shard, posted, judges) for job, shard, _, posted, judges in found]
    return {
        "jobWord": [_word(pack_job_word(job)) for job, *_ in found],
        "shard": [shard for _, shard, *_ in found],
        "settledAt": [at for _, _, at, *_ in found],
        "appealUntil": [epochs.appeal_until(job, at) for job, _, at, *_ in found],
        "caseEpoch": [posted for *_, posted, _ in found],
        "caseJudges": [judges for *_, judges in found],
        "caseQuorum": [case.quorum for case in terms],
        "caseWord": [_word(case_word(pack_job_word(job), s, posted, judges)) for job, s, _, posted, judges in found],
        "caseTasks": [case.tasks for case in terms],
        "caseBond": [
            _word(payout.bond(job, s, judges, DEFAULT_SETTLE_FEE_BPS)) for job, s, _, _, judges in found
        ],
        "caseLast": [epochs.last_epoch(case, Shard(0), GRACE) for case in terms],
        "caseStart": [epochs.attempt_start(case, Shard(0), case.max_attempts - 1) for case in terms],
    }  # fmt: skip


# --- money ------------------------------------------------------------------------------------------------------------


def _money(rng: random.Random) -> Vectors:
    prices = [(99, 1, 100, 250), (6_000, 2, 100, 0)]
    prices += [
        (rng.randrange(1, 10**12), rng.randrange(1, 16), rng.randrange(1001), rng.randrange(1001)) for _ in range(30)
    ]
    edges = [0, 1, 29, 30, 31, 99, 100, 101, 129, 130, 131, 10**24]
    pours = [(amount, 100, 30) for amount in edges] + [(7, 0, 0), (7, 0, 9), (7, 9, 0), (0, 9, 9)]
    pours += [(rng.randrange(10**9), rng.randrange(10**9), rng.randrange(10**9)) for _ in range(30)]
    poured = [payout.pour(*each) for each in pours]
    return {
        "pricePay": [p[0] for p in prices],
        "pricePaid": [p[1] for p in prices],
        "priceSettleBps": [p[2] for p in prices],
        "priceProtocolBps": [p[3] for p in prices],
        "price": [_word(payout.shard_price(*p)) for p in prices],
        "pourAmount": [_word(p[0]) for p in pours],
        "pourAccuserDue": [_word(p[1]) for p in pours],
        "pourRequesterDue": [_word(p[2]) for p in pours],
        "pourAccuser": [_word(p.accuser) for p in poured],
        "pourRequester": [_word(p.requester) for p in poured],
        "pourBurned": [_word(p.burned) for p in poured],
    }


def _forfeits(rng: random.Random) -> Vectors:
    """A node's word before, the epoch in which it forfeits, and what becomes of the word."""
    rows = []
    for gap in (0, 1, 127, 128, 129, 255, 256, 257, 1_000):
        for _ in range(3):
            before = payout.Buckets(rng.randrange(1, 100), rng.randrange(10**12), rng.randrange(10**12))
            now = Epoch(before.index * DEFAULT_RING + gap)
            rows.append((before, now, *payout.forfeit(before, now, DEFAULT_RING)))
    return {
        "forfeitWord": [_word(row[0].pack()) for row in rows],
        "forfeitEpoch": [row[1] for row in rows],
        "forfeitAfter": [_word(row[2].pack()) for row in rows],
        "forfeitTaken": [_word(row[3]) for row in rows],
        "forfeitMatured": [_word(row[4]) for row in rows],
    }


# --- standing ---------------------------------------------------------------------------------------------------------


def _standings() -> Vectors:
    """One case over its whole life: not settled, settled, resolved."""
    job = JobTerms(12, 10, 2, Epoch(100), 2, PoolId(1), 3, 2, 1, 3, AnswerClass.EXACT, 7)
    case = case_terms(job, Shard(1), Epoch(110), 5)
    rows = [
        (now, settled, resolved, epochs.case_status(case, Epoch(now), GRACE, settled, resolved))
        for settled, resolved in ((False, False), (True, False), (True, True))
        for now in range(110, 131)
    ]
    return {
        "standingWord": _word(pack_job_word(case)),
        "standingNow": [row[0] for row in rows],
        "standingSettled": [int(row[1]) for row in rows],
        "standingResolved": [int(row[2]) for row in rows],
        "standing": [int(row[3]) for row in rows],
    }


def _lanes() -> Vectors:
    """Lane words before and after ``markWrong``."""
    states = [1, 2, 8, 1 | ABSENT_PUNISHED, 5 | UNREVEALED_PUNISHED]
    lanes = [Lane(Epoch(101 + i), state, bytes([i + 1]) * 27) for i, state in enumerate(states)]
    marked = [replace(lane, state=lane.state | WRONG_PUNISHED) for lane in lanes]
    return {
        "laneBefore": [_word(pack_lane(lane)) for lane in lanes],
        "laneWrong": [_word(pack_lane(lane)) for lane in marked],
    }


# --- judges -----------------------------------------------------------------------------------------------------------

Seat = tuple[int, int, int, int]  # node, since, until, held since


def _lists(rng: random.Random) -> list[list[Seat]]:
    """Lists with old and new seats, moved ones and holes."""
    mixed = [
        (rng.randrange(1, 60), since, OPEN_ENDED, since - rng.choice([0, 0, 0, 3, 40]))
        for since in (rng.randrange(170, 203) for _ in range(120))
    ]
    return [
        [(node, 1, OPEN_ENDED, 1) for node in range(1, 21)],
        [(node, 1, OPEN_ENDED, 1) for node in range(1, 9)] + [(node, 190, OPEN_ENDED, 190) for node in range(9, 17)],
        [(1, 1, 195, 1), (1, 195, OPEN_ENDED, 1), (2, 195, OPEN_ENDED, 195), (3, 194, OPEN_ENDED, 193), (0, 0, 0, 0)]
        + [(node, 150, OPEN_ENDED, 100) for node in range(4, 12)],
        mixed,
        [(node, 196, OPEN_ENDED, 196) for node in range(1, 21)],
    ]  # fmt: skip


def _model(seats: list[Seat]) -> SeatList:
    model = SeatList()
    model.resized(len(seats), Epoch(1))
    for index, (node, since, until, held_since) in enumerate(seats):
        if node:
            model.seat_taken(NodeId(node), index, Epoch(since), Epoch(held_since))
            if until != OPEN_ENDED:
                model.seat_ended(index, Epoch(until))
    return model


def _draws(rng: random.Random) -> Vectors:
    lists = _lists(rng)
    models = [_model(seats) for seats in lists]
    cases = []
    for at in range(len(lists)):
        for i in range(8):
            barred = rng.sample(range(1, 21), rng.choice([1, 3, 3, 8, 9, 15]))
            cases.append(
                (at, EPOCH - 2 + i % 5, EPOCH - 5 + i % 4, 1_000 + i * 977, barred, rng.choice([1, 5, 5, 9, 15]))
            )
    asked: list[int] = []
    words: list[int] = []
    tables, drawn = [], []
    for at, epoch, held_before, job, barred, size in cases:
        excluded, before = [NodeId(node) for node in barred], Epoch(held_before)
        seed = seed_of(epoch)
        slots = models[at].committee(
            seed, JobId(job), Shard(0), size, Epoch(epoch), excluded=excluded, held_before=before
        )  # fmt: skip
        drawn.append(slots)
        tables.append(list(models[at].table(Epoch(epoch), before)))
        asked += draw_words(seed, JobId(job), Shard(0), Epoch(epoch), PoolId(at + 1), size, case=True)
        words += pack_slots(slots)
    barred_words = [pack_slots([NodeId(node) for node in case[4]]) for case in cases]
    return {
        "listSeats": [len(seats) for seats in lists],
        "seatNode": [seat[0] for seats in lists for seat in seats],
        "seatSince": [seat[1] for seats in lists for seat in seats],
        "seatUntil": [seat[2] for seats in lists for seat in seats],
        "seatHeldSince": [seat[3] for seats in lists for seat in seats],
        "drawList": [case[0] for case in cases],
        "drawEpoch": [case[1] for case in cases],
        "drawHeldBefore": [case[2] for case in cases],
        "drawSeed": ["0x" + seed_of(case[1]).hex() for case in cases],
        "drawJob": [case[3] for case in cases],
        "drawSize": [case[5] for case in cases],
        "barredLow": [_word(low) for low, _ in barred_words],
        "barredHigh": [_word(high) for _, high in barred_words],
        "drawWords": [_word(word) for word in asked],
        "tableLength": [len(table) for table in tables],
        "table": [node for table in tables for node in table],
        "slots": [node for slots in drawn for node in [*slots, *[0] * (SLOTS - len(slots))]],
        "slotWords": [_word(word) for word in words],
    }
