"""Whether to appeal. Pure: what is at stake and what the operator allows go in, a step comes out.

A node that was outvoted asks first whether it was wrong itself: it computes the shard again, in a new process and from
a new copy of the model. Only an answer that stands is worth a bond, and only where the operator lets the Court take it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from nodeagent.chain import events as ev
from nodeagent.chain.doors import Receipt
from nodeagent.protocol.constants import COUNTED_DELAY
from nodeagent.protocol.epochs import appeal_until
from nodeagent.protocol.payout import member_pay
from nodeagent.protocol.types import Epoch, JobId, NodeId, Shard
from nodeagent.worker.cases import NEVER, ShardKey
from nodeagent.worker.claims import receipt_of
from nodeagent.worker.draws import Draw, DrawBook
from nodeagent.worker.settling import root_in
from nodeagent.worker.world import SettledIn, World

Lane = tuple[NodeId, Epoch]
"""A node's batch of one commit epoch: it is slashed for wrong answers once."""


@dataclass(frozen=True, slots=True)
class Outvoted:
    """A settled shard to which this node, one of its committee, opened another answer.

    ``until`` is the last epoch in which an appeal counts, ``pay`` what this node may claim once it is overturned;
    ``paid`` are the members that were paid, ``unmarked`` those whose lane of epoch ``commit`` nobody proved wrong yet.
    """

    job: JobId
    shard: Shard
    own: bytes
    until: Epoch
    pay: int
    receipt: Receipt
    paid: tuple[NodeId, ...] = ()
    unmarked: tuple[NodeId, ...] = ()
    commit: Epoch = NEVER

    @property
    def key(self) -> ShardKey:
        return self.job, self.shard

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """What a verdict against the shard may still slash."""
        return tuple((node, self.commit) for node in self.unmarked)


def outvoted(world: World, book: DrawBook, counting: Epoch) -> list[Outvoted]:
    """What this node could appeal by a transaction that counts for ``counting``, cases of others included."""
    found = []
    for (job_id, shard), where in sorted(world.settled.items(), key=lambda item: item[0]):
        job = world.jobs.get(job_id)
        if job is None or not job.terms.appeal_epochs or counting > (until := appeal_until(job.terms, where.epoch)):
            continue
        draw = book.get(job, shard, where.leaf.attempt)
        if draw is None or world.node not in draw.slots:
            continue
        batch = world.opened.get(draw.commit, {}).get(world.node)
        own = root_in(batch.leaves, job_id, shard) if batch is not None else None
        if batch is not None and own is not None and own != where.leaf.root:
            pay = member_pay(job.terms, shard) if batch.delay <= COUNTED_DELAY else 0
            paid, unmarked = _accused(world, draw, where)
            found.append(Outvoted(job_id, shard, own, until, pay, receipt_of(where), paid, unmarked, draw.commit))
    return found


def _accused(world: World, draw: Draw, where: SettledIn) -> tuple[tuple[NodeId, ...], tuple[NodeId, ...]]:
    """The members that were paid for a settled shard, and those of them whose lane nobody proved wrong yet."""
    paid = tuple(node for slot, node in enumerate(draw.slots) if where.leaf.paid_slots >> slot & 1)
    return paid, tuple(node for node in paid if (ev.WrongMarked, node, draw.commit) not in world.punished)


@dataclass(slots=True)
class Spoken:
    """What earlier appeals will take if they win, and what those on their way cost: no later one may count on it.

    The first verdict takes all of a node's immature pay, from ``nodes``, and a lane of ``lanes`` is slashed once.
    ``bonds`` are of own appeals that the chain does not show yet; ``at_risk`` counts these and the own open cases.
    """

    nodes: set[NodeId] = field(default_factory=set)
    lanes: set[Lane] = field(default_factory=set)
    bonds: int = 0
    at_risk: int = 0

    def send(self, one: Outvoted, bond: int) -> None:
        """Takes in an own appeal that is on its way."""
        self.nodes.update(one.paid)
        self.lanes.update(one.lanes)
        self.bonds += bond
        self.at_risk += 1

    def slashes(self, node: NodeId) -> int:
        """Lanes of a node that will be slashed before; each leaves less to take a part of."""
        return sum(node == slashed for slashed, _ in self.lanes)


def spoken_for(world: World, book: DrawBook) -> Spoken:
    """What the known cases will take, whoever the accuser is. One that was overturned has forfeited the pay already."""
    spoken = Spoken()
    for case in world.cases.values():
        spoken.at_risk += case.open and case.by(world.operator)
        where, job = world.settled.get(case.key), world.jobs.get(case.job)
        draw = book.get(job, case.shard, where.leaf.attempt) if where is not None and job is not None else None
        if where is None or draw is None or not (case.open or case.overturned):
            continue
        paid, unmarked = _accused(world, draw, where)
        spoken.lanes.update((node, draw.commit) for node in unmarked)
        if case.open:
            spoken.nodes.update(paid)
    return spoken


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator allows. ``confidence`` is the chance that an answer which stands will be the verdict.

    In payment-token units: ``max_bond``, 0 for no limit but the allowance; ``max_cost``, what an appeal may cost on
    average: above 0, wrong answers are appealed that no money of the wrong members pays for any more. ``max_lost``:
    most own appeals that are open or were lost of late, before no more are made. ``stake_price``: whole payment tokens
    that one whole stake token is worth; ``ether_price``: ether that it is worth, so that gas and money can be compared.
    """

    auto: bool = True
    max_bond: int = 0
    max_cost: int = 0
    confidence: float = 0.95
    max_lost: int = 1
    stake_price: float = 1.0
    ether_price: float = 0.001


@dataclass(frozen=True, slots=True)
class AppealFacts:
    """One ``Outvoted`` as the chain and the records have it. Amounts in payment-token units.

    ``immature`` is what the paid members would forfeit, ``reward`` the accuser's part of their stake, both without what
    is spoken for; ``risk`` what this node itself would lose if it was wrong, besides the bond; ``allowance`` and
    ``balance`` are what bonds on their way leave. ``again`` is the root that the second computation found, None before
    it; ``taken`` whether the shard has a case; ``lost`` counts own appeals that did not win of late, ``at_risk`` those
    that are open or on their way.
    """

    own: bytes
    pay: int
    immature: int
    reward: int
    risk: int
    bond: int
    allowance: int
    balance: int
    again: bytes | None = None
    taken: bool = False
    lost: int = 0
    at_risk: int = 0


class Step(Enum):
    """``WAIT``: not now, and it may change; ``REST``: never."""

    CHECK = "check"
    APPEAL = "appeal"
    WAIT = "wait"
    REST = "rest"


@dataclass(frozen=True, slots=True)
class Decision:
    step: Step
    why: str


def expected_return(facts: AppealFacts, confidence: float) -> float:
    """Payment-token units that an appeal brings on average, before gas.

    Won, the bond has paid the judges and comes back as far as the wrong members' immature pay reaches, with the own pay
    and a share of their stake. Lost, it is gone, and the own stake suffers.
    """
    won = facts.pay + facts.reward + min(facts.immature, facts.bond) - facts.bond
    return confidence * won - (1 - confidence) * (facts.bond + facts.risk)


def decide_appeal(facts: AppealFacts, policy: Policy) -> Decision:
    """The next step. Total; what costs nothing to know is asked before anything is computed."""
    if facts.taken:
        return Decision(Step.REST, "somebody appealed already")
    if facts.again is not None and facts.again != facts.own:
        return Decision(Step.REST, "computed again, the answer is another one: this machine was wrong")
    if not policy.auto:
        return Decision(Step.WAIT, "appeals are off in the configuration")
    if facts.lost + facts.at_risk >= policy.max_lost:
        counted = f"{facts.lost} appeals were lost of late and {facts.at_risk} are open"
        return Decision(Step.WAIT, f"{counted}, appeal_max_lost is {policy.max_lost}")
    if policy.max_bond and facts.bond > policy.max_bond:
        return Decision(Step.WAIT, f"the bond of {facts.bond} is over appeal_max_bond, {policy.max_bond}")
    brings = expected_return(facts, policy.confidence)
    if brings + policy.max_cost <= 0:
        return Decision(Step.WAIT, f"not worth a bond of {facts.bond}: on average an appeal brings {brings:.0f}")
    if facts.allowance < facts.bond:
        return Decision(Step.WAIT, f"the operator lets the Court take {facts.allowance}, the bond is {facts.bond}")
    if facts.balance < facts.bond:
        return Decision(Step.WAIT, f"the operator has {facts.balance}, the bond is {facts.bond}")
    if facts.again is None:
        return Decision(Step.CHECK, "outvoted: computing it again")
    return Decision(Step.APPEAL, "the answer stands")
