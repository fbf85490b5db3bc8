"""Who did what and what became of their money, party by party: events for the parts, balances for the whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from lab.chainlog import ChainLog, late_commits
from lab.stage import Purse, Stage
from nodeagent.chain import events as ev
from nodeagent.protocol.types import JobId, NodeId, Shard
from nodeagent.worker.settling import openings_of

COIN, STAKE_UNIT, ETHER = 10**6, 10**18, 10**18
STAKE_PRICE = 1.0
"""Coins that one whole stake token counts as, as in ``quorate simulate``."""
ETHER_PRICE = 2_000.0
"""Coins that one ether of gas counts as."""


@dataclass(slots=True)
class Party:
    """Sums over a party's nodes. ``drawn`` and the rest are slots of shards and cases; amounts in smallest units.

    ``claimed`` is part of ``earned``; ``change`` is what balances say. ``unrevealed`` and ``absent`` are the lanes that
    were slashed as never opened and as never committed; ``refused``: commits for an epoch that was over, mined and
    reverted.
    """

    name: str
    nodes: int = 0
    seats: int = 0
    drawn: int = 0
    judged: int = 0
    opened: int = 0
    paid: int = 0
    earned: int = 0
    fees: int = 0
    claimed: int = 0
    immature: int = 0
    forfeited: int = 0
    slashes: int = 0
    slashed: int = 0
    unrevealed: int = 0
    absent: int = 0
    refused: int = 0
    rewards: int = 0
    bonds: int = 0
    returned: int = 0
    change: Purse = field(default_factory=lambda: Purse(0, 0, 0))

    @property
    def net(self) -> float:
        """Coins gained or lost, everything counted."""
        return worth(self.change)

    @property
    def net_per_seat(self) -> float:
        return self.net / self.seats if self.seats else 0.0

    @property
    def adds_up(self) -> bool:
        """Whether what events say is what balances say."""
        payment = self.earned + self.fees - self.forfeited - self.bonds + self.returned
        return (payment, self.rewards - self.slashed) == (self.change.payment, self.change.stake)


def worth(change: Purse) -> float:
    """Coins that a change of all three balances is."""
    return change.payment / COIN + STAKE_PRICE * change.stake / STAKE_UNIT + ETHER_PRICE * change.wei / ETHER


def tally(
    stage: Stage, log: ChainLog, before: Mapping[int, Purse], after: Mapping[int, Purse], since: int
) -> list[Party]:
    """Every party, the honest first. ``since``: block of ``before``; only what came later counts."""
    found: dict[str, Party] = {}
    mine: dict[NodeId, Party] = {}
    accounts: dict[str, Party] = {}
    for number, agent in stage.net.agents.items():
        name = stage.scenario.party(number)
        party = found.setdefault(name, Party(name))
        mine[NodeId(stage.net.node(number))] = party
        accounts |= {str(agent.operator).lower(): party, stage.net.key_of(number).lower(): party}
        party.nodes, party.seats = party.nodes + 1, party.seats + stage.net.seats[number - 1]
        change, had = after[number] - before[number], party.change
        party.change = Purse(had.payment + change.payment, had.stake + change.stake, had.wei + change.wei)
        party.immature += stage.net.doors.market.earnings_of(NodeId(stage.net.node(number)))[1]
    _count_work(log, mine)
    for event in log.events:
        if event.at.block > since:
            _count_money(log, event, mine, accounts)
            _count_faults(event, mine)
    for sender in late_commits(log.rpc, log.deployment, since + 1, log.head):
        if sender in accounts:
            accounts[sender].refused += 1
    return sorted(found.values(), key=lambda party: (party.name != "honest", party.name))


def _count_work(log: ChainLog, mine: Mapping[NodeId, Party]) -> None:
    for job in log.world.jobs.values():
        for number in range(job.terms.shards):
            shard = Shard(number)
            for attempt in range(log.begun(job, shard)):
                draw = log.draw(job, shard, attempt)
                opened = openings_of(log.world, draw)
                for node in filter(None, draw.slots):
                    mine[node].drawn += 1
                    mine[node].judged += job.about is not None
                    mine[node].opened += node in opened


def _count_money(log: ChainLog, event: ev.Event, mine: Mapping[NodeId, Party], accounts: Mapping[str, Party]) -> None:
    match event:
        case ev.Settled():
            for leaf in event.shards:
                _pay(log, leaf.job, leaf.shard, leaf.attempt, leaf.paid_slots, mine)
            if event.payee in mine:
                mine[event.payee].fees += event.fee
        case ev.Claimed():
            party = mine[event.node]
            party.paid, party.claimed = party.paid + 1, party.claimed + event.amount
            party.earned += event.amount
        case ev.Forfeited():
            mine[event.node].forfeited += event.amount
        case ev.Slashed():
            party = mine[event.node]
            party.slashes, party.slashed = party.slashes + 1, party.slashed + event.amount
            if event.reporter.lower() in accounts:
                accounts[event.reporter.lower()].rewards += event.reward
        case ev.Appealed():
            if event.accuser.lower() in accounts:
                accounts[event.accuser.lower()].bonds += event.bond
        case ev.Assigned():
            if event.to.lower() in accounts:
                accounts[event.to.lower()].returned += event.amount


def _count_faults(event: ev.Event, mine: Mapping[NodeId, Party]) -> None:
    match event:
        case ev.UnrevealedReported():
            mine[event.node].unrevealed += 1
        case ev.AbsentMarked():
            mine[event.node].absent += 1


def _pay(log: ChainLog, job: JobId, shard: Shard, attempt: int, slots: int, mine: Mapping[NodeId, Party]) -> None:
    stored = log.world.jobs[job]
    pay = stored.terms.task_price * stored.terms.tasks_in(shard)
    for slot, node in enumerate(log.draw(stored, shard, attempt).slots):
        if slots >> slot & 1:
            mine[node].paid += 1
            mine[node].earned += pay


@dataclass(frozen=True, slots=True)
class Results:
    """What became of the job's shards. ``left_out_by_adversary`` and ``forgone_fees``, the fees that these would have
    brought, are of the settle calls that earned for the adversary; ``left_out`` is of everybody's.
    """

    shards: int
    settled: int
    wrong_settled: int
    wrong_final: int
    contested: int
    appeals: int
    overturned: int
    expired: int
    forgone_fees: int
    left_out: int
    unclaimed: int
    left_out_by_adversary: int = 0


def results(stage: Stage, log: ChainLog, adversaries: Collection[NodeId] = ()) -> Results:
    """Of the scenario's own job; ``adversaries`` are the nodes that are not honest.

    ``left_out``: members who opened the settled answer in time and were not paid by the call; ``unclaimed``: those who
    opened the right answer in time, of a shard for which it stands, and were never paid.
    """
    job, right = log.world.jobs[stage.jobs["main"]], stage.payload.right if stage.payload else ()
    bps = stage.net.deployment.settle_fee_bps
    payees = {(leaf.job, leaf.shard): e.payee for e in log.events if isinstance(e, ev.Settled) for leaf in e.shards}
    count: Counter[str] = Counter()
    for number in range(job.terms.shards):
        shard = Shard(number)
        where = log.world.settled.get((job.id, shard))
        if where is None:
            count["expired"] += 1
            continue
        case, settled = log.world.cases.get((job.id, shard)), where.leaf.root
        stands = case.verdict or settled if case is not None else settled
        burned = case is not None and case.burned
        count["settled"] += 1
        count["wrong_settled"] += settled != right[number]
        count["contested"] += burned
        count["wrong_final"] += stands != right[number] and not burned
        count["appeals"] += case is not None
        count["overturned"] += case is not None and case.overturned
        draw = log.draw(job, shard, where.leaf.attempt)
        opened = openings_of(log.world, draw)
        unpaid = {slot: opened.get(n) for slot, n in enumerate(draw.slots) if not where.leaf.paid_slots >> slot & 1}
        out = [slot for slot, root in unpaid.items() if root == settled]
        owed = [slot for slot, root in unpaid.items() if root == right[number] == stands]
        pay = job.terms.task_price * job.terms.tasks_in(shard)
        count["left_out"] += len(out)
        if payees.get((job.id, shard)) in adversaries:
            count["left_out_by_adversary"] += len(out)
            count["forgone_fees"] += pay * len(out) * bps // 10_000
        count["unclaimed"] += sum((job.id, shard, slot) not in log.world.claimed for slot in owed)
    names = ("settled", "wrong_settled", "wrong_final", "contested", "appeals", "overturned", "expired")
    rest = ("forgone_fees", "left_out", "unclaimed", "left_out_by_adversary")
    return Results(job.terms.shards, *(count[name] for name in (*names, *rest)))
