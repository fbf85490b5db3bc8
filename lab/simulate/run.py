"""One population over the whole life of one job."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lab.simulate.courts import Courts
from lab.simulate.expected import binomial_interval
from lab.simulate.kinds import Kind
from lab.simulate.shards import Shards
from lab.simulate.world import JOB, POST_EPOCH, REQUESTER, Options, World
from nodeagent.client.odds import wrong_shard_binomial
from nodeagent.protocol.epochs import closable_from

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Party:
    """One kind of node. Money in payment-token units; ``net`` adds pay and stake, which count alike.

    ``paid``: pay and settle fees credited; ``forfeited``: of that, taken back before it matured; ``appeals_cost``:
    bonds less what came back of them; ``rewards``: tenths of others' stake; ``slashes``: penalties, by count.
    """

    kind: str
    nodes: int
    seats: int
    duties: int
    paid: int
    forfeited: int
    slashed: int
    slashes: int
    appeals_cost: int
    rewards: int
    net: int

    @property
    def net_per_seat(self) -> float:
        """Net of one seat."""
        return self.net / self.seats if self.seats else 0.0


@dataclass(frozen=True, slots=True)
class Count:
    """Something counted, what was expected, and the middle 99.9 % of the binomial distribution around that."""

    measured: int
    expected: float
    low: int
    high: int

    @classmethod
    def of(cls, measured: int, expected: float, trials: int) -> Count:
        return cls(measured, expected, *binomial_interval(trials, min(1.0, expected / trials)))

    @property
    def inside(self) -> bool:
        """Whether it came out within the interval."""
        return self.low <= self.measured <= self.high


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run came to. ``closed`` are the protocol page's formulas at the cartel's share of seats."""

    options: Options
    cartel_share: float
    shards: int
    wrong_settled: Count
    wrong_final: Count
    contested: Count
    expired: Count
    counts: dict[str, int]
    closed: dict[str, float]
    parties: list[Party]
    money: dict[str, int]
    requester_net: int
    honest_slashed: int
    expected_wrong_verdicts: float
    epochs: int
    seconds: float


def simulate(options: Options, progress: Progress | None = None) -> Outcome:
    """Plays a job to its end: until every case is closed and every escrow returned.

    :param progress: told how many shards more have got their first committee
    :raises BadMix: terms that the market would refuse
    """
    began = time.perf_counter()
    world = World.make(options)
    world.progress = progress
    shards = Shards(world)
    courts = Courts(world, shards)
    if options.appeal_epochs:
        shards.on_settled = courts.consider
    shards.schedule()
    last = closable_from(world.terms, world.books.rules.settle_grace, world.books.rules.report_epochs)
    world.agenda[last].append(lambda epoch: world.books.close(JOB))  # noqa: ARG005
    epoch = POST_EPOCH
    while world.agenda:
        epoch = min((*world.agenda, *shards.foresight.epochs()))
        world.books.at(epoch)
        shards.foresight.look(epoch)
        for step in world.agenda.pop(epoch, ()):
            step(epoch)
    return _outcome(world, shards, courts, epoch, time.perf_counter() - began)


def _outcome(world: World, shards: Shards, courts: Courts, epoch: int, seconds: float) -> Outcome:
    options, expected, total = world.options, shards.foresight.counts, world.options.shards
    money = world.books.check()
    share = float(world.people.seats[world.people.of(Kind.CARTEL)].sum() / world.people.seats.sum())
    kinds = [kind for kind in Kind if kind is not Kind.NOBODY and world.people.of(kind).any()]
    tally = world.books.tally
    return Outcome(
        options=options,
        cartel_share=share,
        shards=total,
        wrong_settled=Count.of(world.counts["wrong_settled"], expected["wrong_settled"], total),
        wrong_final=Count.of(courts.wrong_final(), expected["wrong_final"], total),
        contested=Count.of(world.counts["contested"], expected["contested"], total),
        expired=Count.of(world.counts["expired"], expected["expired"], total),
        counts=dict(sorted(world.counts.items())),
        closed=closed_forms(share, options),
        parties=[_party(world, kind) for kind in kinds],
        money=money,
        requester_net=tally.received[REQUESTER] - tally.spent[REQUESTER],
        honest_slashed=world.slashes[Kind.HONEST],
        expected_wrong_verdicts=expected["wrong_verdicts"],
        epochs=epoch - POST_EPOCH,
        seconds=seconds,
    )


def closed_forms(share: float, options: Options) -> dict[str, float]:
    """Protocol section 11 in an endless pool where all but the cartel are honest: chances of one shard.

    For three members and a quorum of two ``3a²-2a³`` and ``a³ + 3a²(1-a)·P(court captured or nobody appeals)``;
    the appeal chances of ``options`` say who appeals. ``court_captured`` is over all attempts of a case.
    """
    c, q, rules = options.committee, options.quorum, options.rules
    settled = wrong_shard_binomial(share, c, q)
    bad = wrong_shard_binomial(share, rules.judges, rules.case_quorum)
    fail = max(0.0, 1 - bad - wrong_shard_binomial(1 - share, rules.judges, rules.case_quorum))
    captured = bad * sum(fail**attempt for attempt in range(options.attempts))
    final = settled
    if options.appeal_epochs:
        final = 0.0
        for wrong in range(q, c + 1):
            more = wrong_shard_binomial(share, c, wrong + 1) if wrong < c else 0.0
            silent = (1 - options.appeals) ** (c - wrong) * (1 - options.requester_appeals)
            final += (wrong_shard_binomial(share, c, wrong) - more) * (silent + (1 - silent) * captured)
    return {"wrong_settled": settled, "wrong_final": final, "court_captured": captured}


def _party(world: World, kind: Kind) -> Party:
    books, mask = world.books, world.people.of(kind)
    tally, nodes = books.tally, np.flatnonzero(mask).tolist()
    paid = int(tally.earned[mask].sum() + tally.fees[mask].sum())
    forfeited, slashed = int(tally.forfeited[mask].sum()), int(tally.slashed[mask].sum())
    cost = sum(tally.spent.get(n, 0) - tally.received.get(n, 0) for n in nodes)
    rewards = sum(books.rewards.get(n, 0) for n in nodes)
    return Party(
        kind=kind.title, nodes=len(nodes), seats=int(world.people.seats[mask].sum()),
        duties=int(world.duties[mask].sum()), paid=paid, forfeited=forfeited, slashed=slashed,
        slashes=world.slashes[kind], appeals_cost=cost, rewards=rewards,
        net=paid - forfeited - slashed - cost + rewards,
    )  # fmt: skip
