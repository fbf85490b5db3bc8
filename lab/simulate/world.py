"""What a simulated network is made of, and what the steps of the story share."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field

import numpy as np

from lab.simulate.books import Books
from lab.simulate.draws import Ints, Nodes, Seats, seed_of
from lab.simulate.expected import Chances, Pool, Theory
from lab.simulate.kinds import BadMix, Kind, Population
from lab.simulate.purses import Rules
from nodeagent.protocol.constants import MAX_ATTEMPTS, MAX_COMMITTEE, MAX_WORK
from nodeagent.protocol.epochs import job_life
from nodeagent.protocol.types import AnswerClass, Epoch, JobTerms, PoolId

JOB = 1
"""The one job; its cases count on from there."""
POST_EPOCH = 100
STARTS = 20
"""Epochs over which shards start unless the pace is given."""
REQUESTER, REPORTERS = "requester", "reporters"
"""Accounts besides the operators', which have their node's number."""


@dataclass(frozen=True, slots=True)
class Options:
    """One population and one job. Money in payment-token units, stake in the same.

    :param price: what one member earns for one task
    :param every: a flip-flopper is wrong on every so many-th answer
    :param appeals: chance that an outvoted honest member appeals
    :param requester_appeals: chance that the requester appeals a wrong result that no member did
    :param false_appeals: chance that an outvoted member of a cartel appeals a right result
    :param fishing: chance that fishers appeal a right result of a committee without their own
    :param restock: whoever is slashed tops its stake up at once and stays, so that shares stay what they are
    """

    nodes: int
    shards: int
    mix: Mapping[Kind, float]
    seats: Mapping[int, float]
    shard_size: int = 1
    committee: int = 3
    quorum: int = 2
    judges: int = 5
    attempts: int = 3
    work: int = 1
    appeal_epochs: int = 7
    pace: int = 0
    price: int = 10_000
    seat_stake: int = 100_000_000
    every: int = 5
    appeals: float = 1.0
    requester_appeals: float = 0.0
    false_appeals: float = 0.0
    fishing: float = 1.0
    restock: bool = True
    seed: int = 1

    @property
    def rules(self) -> Rules:
        return Rules(judges=self.judges)

    @property
    def theory(self) -> Theory:
        return Theory(
            self.committee, self.quorum, self.judges, self.rules.case_quorum, self.attempts, 1 / self.every,
            self.appeal_epochs > 0, self.appeals, self.requester_appeals, self.false_appeals,
            self.fishing,
        )  # fmt: skip

    def checked(self) -> Options:
        """Itself. Raises BadMix for terms that the market would refuse, with the reason."""
        for name, low, high in (
            ("committee", 2, MAX_COMMITTEE),
            ("judges", 2, MAX_COMMITTEE),
            ("quorum", self.committee // 2 + 1, self.committee),
            ("attempts", 1, MAX_ATTEMPTS),
            ("work", 1, MAX_WORK),
            ("every", 2, 1 << 30),
        ):
            if not low <= getattr(self, name) <= high:
                raise BadMix(f"{name} {getattr(self, name)} is not from {low} to {high}")
        needed = self.committee + (self.judges if self.appeal_epochs else 0)
        if self.nodes < needed:
            raise BadMix(
                f"a committee of {self.committee} and {needed - self.committee} judges need {needed} nodes: "
                f"{needed - self.nodes} are missing"
            )
        rules = self.rules
        life = job_life(self.terms(self.nodes), rules.settle_grace, rules.report_epochs)
        if life >= rules.ring:
            raise BadMix(
                f"a shard may live {life} epochs, it must be under {rules.ring}", hint="fewer attempts or work"
            )
        return self

    def terms(self, all_seats: int) -> JobTerms:
        """The job's terms in a pool of so many seats."""
        bound = min(max(1, 2 * all_seats // self.committee), (1 << 16) - 1)
        pace = self.pace or min(-(-self.shards // STARTS), bound)
        if pace > bound:
            raise BadMix(f"pace {pace} is over {bound}, two shards a seat and member or 65,535")
        return JobTerms(
            task_price=self.price, tasks=self.shards * self.shard_size, shard_size=self.shard_size,
            post_epoch=Epoch(POST_EPOCH), pace=pace, pool=PoolId(1), committee=self.committee, quorum=self.quorum,
            work=self.work, max_attempts=self.attempts, answer_class=AnswerClass.EXACT,
            appeal_epochs=self.appeal_epochs,
        )  # fmt: skip


Step = Callable[[int], None]


@dataclass(slots=True)
class World:
    """The network: who is there, whose seats, the money, and what is to happen in which epoch."""

    options: Options
    rng: np.random.Generator
    people: Population
    seats: Seats
    books: Books
    terms: JobTerms
    duties: Ints
    agenda: defaultdict[int, list[Step]] = field(default_factory=lambda: defaultdict(list))
    counts: Counter[str] = field(default_factory=Counter)
    slashes: Counter[Kind] = field(default_factory=Counter)
    progress: Callable[[int], None] | None = None
    _gone: set[int] = field(default_factory=set)
    _seed: tuple[int, bytes] = (-1, b"")
    _table: tuple[int, Nodes] | None = None
    _known: dict[frozenset[tuple[tuple[Kind, int], int]], Chances] = field(default_factory=dict)

    @classmethod
    def make(cls, options: Options) -> World:
        """A network with everybody's stake in place and the job posted."""
        options.checked()
        rng = np.random.default_rng(options.seed)
        people = Population.make(options.nodes, options.mix, options.seats, options.every, rng)
        books = Books(options.nodes, options.rules)
        books.at(POST_EPOCH)
        books.stake[:] = people.seats.astype(object) * options.seat_stake
        books.staked = int(books.stake.sum())
        terms = options.terms(int(people.seats.sum()))
        books.post(JOB, terms, REQUESTER)
        return cls(options, rng, people, Seats.filled(people.seats[1:]), books, terms, np.zeros_like(people.seats))

    def seed(self, epoch: int) -> bytes:
        """Seed of an epoch."""
        if self._seed[0] != epoch:
            self._seed = (epoch, seed_of(self.options.seed, epoch))
        return self._seed[1]

    def table(self, epoch: int) -> Nodes:
        """The seats that draws of an epoch fall on."""
        if self._table is None or self._table[0] != epoch:
            self._table = (epoch, self.seats.table(epoch))
        return self._table[1]

    def chances(self, epoch: int) -> tuple[Pool, Chances]:
        """Who can be drawn in an epoch, and what theory says of them."""
        here = np.unique(self.table(epoch))
        here = here[here != 0]
        keys, amounts = np.unique(
            self.people.kinds[here].astype(int) * 100 + self.people.seats[here], return_counts=True
        )
        pool = {(Kind(int(k) // 100), int(k) % 100): int(n) for k, n in zip(keys, amounts, strict=True)}
        known = frozenset(pool.items())
        if known not in self._known:
            self._known[known] = self.options.theory.chances(pool)
        return pool, self._known[known]

    def punish(self, node: int, commit_epoch: int, row: int, now: int, reporter: Hashable) -> None:
        """Slashes a lane; see ``slashed``."""
        self.slashed(node, self.books.punish(node, commit_epoch, row, reporter), now)

    def slashed(self, node: int, amount: int, now: int) -> None:
        """Lets the operator of a slashed node top up, or the node fall out of the draw."""
        if not amount:
            return
        self.slashes[Kind(int(self.people.kinds[node]))] += 1
        if self.options.restock:
            self.books.add_stake(node, amount)
        elif self.books.stake[node] < int(self.people.seats[node]) * self.options.seat_stake:
            self.leave(node, now)

    def leave(self, node: int, now: int) -> None:
        """Pauses a node from the next epoch on, unless it is."""
        if node not in self._gone:
            self._gone.add(node)
            self.seats.pause(node, now + 1)
