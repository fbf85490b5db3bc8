"""What a job costs, how long it takes and what its answer is worth, before any money moves. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from nodeagent.client import odds
from nodeagent.errors import JobFault
from nodeagent.protocol.payout import Escrow, escrow

MAX_COMMITTEE = 15
MAX_WORK = 8
MAX_ATTEMPTS = 4
DEFAULT_APPEAL = 6  # epochs beyond the work epochs
SHARES = (0.1, 0.2, 0.3)  # of dishonest stake, for which the odds are printed


class BadTerms(JobFault):
    """The market would refuse this job. Says which number, what is allowed and what was asked."""


@dataclass(frozen=True, slots=True)
class JobTerms:
    """What the requester chooses. ``pace`` 0 takes the pool's bound.

    :param appeal_epochs: window for appeals; None takes the default where the pool can fill a court, else none
    :param units: millions of metered operations a task may use
    :param unit_price: payment-token units for one unit and member
    """

    pool: int
    tasks: int
    shard_size: int
    committee: int
    quorum: int
    pace: int
    work: int
    attempts: int
    appeal_epochs: int | None
    units: int
    unit_price: int

    @property
    def shards(self) -> int:
        return -(-self.tasks // self.shard_size)

    @property
    def task_price(self) -> int:
        return self.units * self.unit_price


@dataclass(frozen=True, slots=True)
class Seating:
    """One node that can be drawn."""

    node: int
    operator: str
    seats: int


@dataclass(frozen=True, slots=True)
class MarketFacts:
    """What the chain says about the pool and the market, all at one block."""

    block: int
    block_seconds: float
    epoch_blocks: int
    ring: int
    lead: int
    settle_grace: int
    report_epochs: int
    settle_fee_bps: int
    protocol_fee_bps: int
    judges: int  # nodes that judge a case; 0 where there is no court
    pool_open: bool
    seat_stake: int
    floor: int
    max_shard_pay: int
    list_length: int
    seating: tuple[Seating, ...]

    @property
    def seats(self) -> int:
        return sum(s.seats for s in self.seating)


@dataclass(frozen=True, slots=True)
class Odds:
    """Chances that a wrong root settles one shard, and at least one of the job's, under some dishonesty; that it
    becomes final, if an honest member that was outvoted appeals; and that a court, whoever calls it, rules for a wrong
    root: then a right answer is overturned and its members pay."""

    who: str
    share: float
    shard: float
    job: float
    final: float
    captured: float


@dataclass(frozen=True, slots=True)
class Quote:
    """Everything a requester is shown. Money in payment-token units, stake in stake-token units.

    :param escrow: what ``post`` pulls; ``members``, ``settle_fee`` and ``protocol_fee`` add up to it
    :param epochs: from the posting epoch to the one in which the last shard can be settled, if first attempts succeed
    :param seconds: until that one is over
    :param epochs_at_most: until the last attempt of the last shard can no longer be settled
    :param appeal_epochs: window for appeals of each settled shard
    :param bond: what an appeal of a whole shard costs at most
    :param corrupt_seats: seats that new one-seat nodes need for an even chance at a given shard
    """

    terms: JobTerms
    pace: int
    members: int
    settle_fee: int
    protocol_fee: int
    escrow: int
    epochs: int
    epochs_at_most: int
    seconds: float
    appeal_epochs: int
    bond: int
    nodes: int
    seats: int
    odds: tuple[Odds, ...]
    corrupt_seats: int
    corrupt_stake: int


def pace_of(terms: JobTerms, facts: MarketFacts) -> int:
    """Shards that start per epoch: the asked pace, or the pool's bound ``2 * seats / committee``."""
    return terms.pace or min(2**16 - 1, 2 * facts.list_length // terms.committee)


def appeal_window(terms: JobTerms, facts: MarketFacts) -> int:
    """Epochs in which a settled shard may be appealed: as asked, or ``6 + work`` where there are nodes to judge."""
    if terms.appeal_epochs is not None:
        return terms.appeal_epochs
    enough = facts.judges and len(facts.seating) >= terms.committee + facts.judges
    return DEFAULT_APPEAL + terms.work if enough else 0


def check_terms(terms: JobTerms, facts: MarketFacts) -> None:
    """Refuses what the market would refuse.

    :raises BadTerms: naming the number, what is allowed and what was asked
    """
    if not facts.pool_open:
        raise BadTerms(f"pool {terms.pool} is closed to new jobs", hint="choose another --pool")
    _within("tasks", 1, 2**32 - 1, terms.tasks)
    _within("shard size", 1, 2**24 - 1, terms.shard_size)
    _within("committee", 1, MAX_COMMITTEE, terms.committee)
    _within("quorum", terms.committee // 2 + 1, terms.committee, terms.quorum)
    _within("work epochs", 1, MAX_WORK, terms.work)
    _within("attempts", 1, MAX_ATTEMPTS, terms.attempts)
    _within("units", 1, 2**32 - 1, terms.units)
    _within("unit price", max(1, facts.floor), 2**64 - 1, terms.unit_price)
    _within("task price", 1, 2**88 - 1, terms.task_price)
    window = appeal_window(terms, facts)
    if window and not facts.judges:
        raise BadTerms(f"this market has no court: expected 0 appeal epochs, asked {window}")
    _enough_nodes(terms, facts, facts.judges if window else 0)
    shard_pay = terms.task_price * min(terms.shard_size, terms.tasks)
    if shard_pay > facts.max_shard_pay:
        raise BadTerms(
            f"one member would earn {shard_pay} for one shard: the pool allows at most {facts.max_shard_pay}",
            hint="use a smaller --shard-size or --unit-price",
        )
    _within("pace", 0, min(2**16 - 1, 2 * facts.list_length // terms.committee), terms.pace)
    life = terms.attempts * 2 * (terms.work + 2) + 2 * facts.settle_grace + window
    life += facts.report_epochs
    if life >= facts.ring:
        raise BadTerms(
            f"the job could take {life} epochs: expected less than {facts.ring}",
            hint="use fewer --attempts or --work epochs",
        )


def _enough_nodes(terms: JobTerms, facts: MarketFacts, judges: int) -> None:
    have, need = len(facts.seating), terms.committee + judges
    if have >= need:
        return
    needed = f"{terms.committee} for a committee" + (f" and {judges} who could judge an appeal" if judges else "")
    raise BadTerms(
        f"pool {terms.pool} has {have} nodes that can be drawn, {need - have} too few: {needed}",
        hint="ask for a smaller --committee"
        + (", --appeal-epochs 0," if judges and have >= terms.committee else "")
        + " or wait for more nodes",
    )


def _within(name: str, low: int, high: int, actual: int) -> None:
    if not low <= actual <= high:
        raise BadTerms(f"{name} {actual} is out of range: expected {low} to {high}")


def quote(terms: JobTerms, facts: MarketFacts) -> Quote:
    """Cost, time and odds of a job.

    :raises BadTerms: the market would refuse it
    """
    check_terms(terms, facts)
    price = _escrow(terms, facts, terms.tasks, terms.committee, facts.protocol_fee_bps)
    pace, stride = pace_of(terms, facts), terms.work + 2
    last_start = 1 + (terms.shards - 1) // pace
    epochs = last_start + terms.work
    block_in_epoch = (facts.block + facts.lead) % facts.epoch_blocks
    per_node = [s.seats for s in facts.seating]
    corrupt = odds.seats_to_corrupt(per_node, terms.committee, terms.quorum)
    return Quote(
        terms=terms,
        pace=pace,
        members=price.gross,
        settle_fee=price.settle_fee,
        protocol_fee=price.protocol_fee,
        escrow=price.total,
        epochs=epochs,
        epochs_at_most=last_start + terms.attempts * stride - 1 + facts.settle_grace,
        appeal_epochs=appeal_window(terms, facts),
        bond=_bond(terms, facts),
        seconds=((epochs + 1) * facts.epoch_blocks - block_in_epoch) * facts.block_seconds,
        nodes=len(per_node),
        seats=facts.seats,
        odds=tuple(_odds(terms, facts)),
        corrupt_seats=corrupt,
        corrupt_stake=corrupt * facts.seat_stake,
    )


def _escrow(terms: JobTerms, facts: MarketFacts, tasks: int, nodes: int, protocol_fee_bps: int) -> Escrow:
    return escrow(tasks, nodes, terms.units, terms.unit_price, facts.settle_fee_bps, protocol_fee_bps)


def _bond(terms: JobTerms, facts: MarketFacts) -> int:
    """A case is a job of one shard for the judges, without protocol fee."""
    if not appeal_window(terms, facts):
        return 0
    return _escrow(terms, facts, min(terms.tasks, terms.shard_size), facts.judges, 0).total


def _odds(terms: JobTerms, facts: MarketFacts) -> list[Odds]:
    rows, seating = [], facts.seating
    judges = facts.judges if appeal_window(terms, facts) else 0
    for share in SHARES:
        shard = odds.wrong_shard_binomial(share, terms.committee, terms.quorum)
        final = odds.wrong_final_binomial(share, terms.committee, terms.quorum, judges, terms.attempts)
        court = odds.captured_binomial(share, judges, terms.attempts) if judges else 0.0
        rows.append(Odds(f"{share:.0%} of the stake", share, shard, odds.any_wrong(shard, terms.shards), final, court))
    seats = sum(s.seats for s in seating)
    by_operator: Counter[str] = Counter()
    for s in seating:
        by_operator[s.operator] += s.seats
    ranked = sorted(by_operator, key=lambda who: (-by_operator[who], who))
    for count in (1, 2, 3):
        if count > len(ranked):
            break
        bad = set(ranked[:count])
        if len(bad) == len(ranked) and count > 1:
            break  # all of them: nobody is left to tell
        good = [s.seats for s in seating if s.operator not in bad]
        evil = [s.seats for s in seating if s.operator in bad]
        shard = odds.wrong_shard(good, evil, terms.committee, terms.quorum)
        final = odds.wrong_final(good, evil, terms.committee, terms.quorum, judges, terms.attempts)
        who = "the largest operator" if count == 1 else f"the {count} largest operators together"
        share = sum(by_operator[o] for o in bad) / seats
        court = odds.captured(good, evil, judges, terms.attempts) if judges else 0.0
        rows.append(Odds(who, share, shard, odds.any_wrong(shard, terms.shards), final, court))
    return rows
