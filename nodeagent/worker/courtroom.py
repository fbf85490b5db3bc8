"""This node before the Court: appeals where it was outvoted and is sure, and moves cases on when they are over."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import structlog

from nodeagent.chain.court import CourtDoor
from nodeagent.protocol.epochs import closable_from, counting_epoch
from nodeagent.protocol.payout import penalty
from nodeagent.protocol.types import Epoch, JobId, NodeId, Shard
from nodeagent.worker import appeals
from nodeagent.worker.appealbook import OUTVOTED, SENT, Appeal, AppealBook, state_after
from nodeagent.worker.appeals import AppealFacts, Outvoted, Policy, Step
from nodeagent.worker.cases import Case, ShardKey
from nodeagent.worker.claims import receipt_of
from nodeagent.worker.draws import DrawBook
from nodeagent.worker.hands import ENDED, Hands
from nodeagent.worker.sender import Sender
from nodeagent.worker.world import World

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Recheck:
    """A shard to compute again before ``deadline`` (a block)."""

    job: JobId
    shard: Shard
    deadline: int


@dataclass(slots=True)
class Courtroom:
    """``serve``: resolve others' cases when nobody else does; ``stagger`` blocks pass between nodes' turns at it."""

    hands: Hands
    sender: Sender
    court: CourtDoor
    book: AppealBook
    policy: Policy
    stagger: int = 2
    serve: bool = True
    _weighed: dict[ShardKey, Epoch] = field(default_factory=dict)
    _scale: float | None = None  # payment-token units that a unit of stake is worth

    def tick(self, world: World, draws: DrawBook, block: int) -> list[Recheck]:
        """One round at the head ``block``; returns what has to be computed again first."""
        self._learn(world)
        self._end(world, block)
        deployment = self.hands.deployment
        counting = counting_epoch(block + 1, deployment.epoch_blocks, deployment.lead)
        now = Epoch(block // deployment.epoch_blocks)
        found = []
        for outvoted in appeals.outvoted(world, draws, counting):
            if self._weighed.get(outvoted.key) != now:  # once an epoch, and when something was computed
                self._weighed[outvoted.key] = now
                found.append(self._weigh(world, outvoted))
        return [recheck for recheck in found if recheck is not None]

    def computed(self, key: ShardKey, root: bytes) -> bool:
        """Takes in what a second computation found. Whether the first answer stands."""
        known = self.book.get(key)
        self._weighed.pop(key, None)
        if known is None:
            return True
        stands = root == known.own
        (log.info if stands else log.error)("computed_again", job=key[0], shard=key[1], stands=stands)
        self.book.put(replace(known, again=root))
        return stands

    # --- appeal -------------------------------------------------------------------------------------------------

    def _weigh(self, world: World, outvoted: Outvoted) -> Recheck | None:
        known = self.book.get(outvoted.key)
        if known is None or known.own != outvoted.own:
            log.warning("outvoted", job=outvoted.job, shard=outvoted.shard)
            known = Appeal(outvoted.job, outvoted.shard, outvoted.own)
        if known.state == SENT and self._flying(outvoted.key):
            return None
        decision = appeals.decide_appeal(self._facts(world, outvoted, known), self.policy)
        if decision.why != known.why or known.state == SENT:
            step = decision.step.value
            log.info("appeal_decided", job=outvoted.job, shard=outvoted.shard, step=step, why=decision.why)
            known = replace(known, why=decision.why)
            self.book.put(known)
        if decision.step is Step.CHECK:
            deployment = self.hands.deployment
            end = (outvoted.until + 1) * deployment.epoch_blocks - deployment.lead
            return Recheck(outvoted.job, outvoted.shard, end - 1)
        if decision.step is Step.APPEAL:
            self._appeal(outvoted, known)
        return None

    def _facts(self, world: World, outvoted: Outvoted, known: Appeal) -> AppealFacts:
        token, market = self.hands.doors.payment_token, self.hands.doors.market
        taken = outvoted.key in world.cases
        if taken or not self.policy.auto:
            return AppealFacts(outvoted.own, outvoted.pay, 0, 0, 0, 0, 0, 0, known.again, taken)
        return AppealFacts(
            own=outvoted.own,
            pay=outvoted.pay,
            immature=sum(market.earnings_of(node)[1] for node in outvoted.paid),
            reward=sum(self._loss(node)[1] for node in outvoted.unmarked),
            risk=self._loss(world.node)[0],
            bond=self.court.bond_of(outvoted.job, outvoted.shard),
            allowance=token.allowance(world.operator, self.court.address),
            balance=token.balance_of(world.operator),
            again=known.again,
            lost=self.book.lost(),
        )

    def _loss(self, node: NodeId) -> tuple[int, int]:
        """What a node's fault costs it and brings its accuser, in payment-token units at the operator's price."""
        doors = self.hands.doors
        if self._scale is None:
            stake, payment = doors.stake_token.describe()[1], doors.payment_token.describe()[1]
            self._scale = float(self.policy.stake_price * 10.0 ** (payment - stake))
        view = doors.registry.node_view(node)
        amount, reward = penalty(view["stake"] + view["unbonding"], self.hands.deployment.parameters["WRONG_BPS"])
        return int(amount * self._scale), int(reward * self._scale)

    def _appeal(self, outvoted: Outvoted, known: Appeal) -> None:
        """The decision is on disk before the call can leave; one that ended without effect is decided anew."""
        key = appeal_key(outvoted.key)
        ended = self.hands.outbox.get(key)
        if ended is not None and ended.state in ENDED:
            self.hands.outbox.forget(key)
        self.book.put(replace(known, state=SENT))
        if not self.sender.send(key, self.court.appeal(outvoted.job, outvoted.shard, outvoted.receipt)):
            self.book.put(replace(known, state=OUTVOTED))

    def _flying(self, key: ShardKey) -> bool:
        intent = self.hands.outbox.get(appeal_key(key))
        return intent is not None and intent.state not in ENDED

    def _learn(self, world: World) -> None:
        """Writes down what became of appeals."""
        for known in self.book.all().values():
            case = world.cases.get(known.key)
            if case is None:
                continue
            state = state_after(known, case, world.operator)
            if state != known.state:
                log.info("appeal_is", job=known.job, shard=known.shard, state=state, case=case.case_job)
                self.book.put(replace(known, state=state))

    # --- the end of a case --------------------------------------------------------------------------------------

    def _end(self, world: World, block: int) -> None:
        deployment = self.hands.deployment
        now = Epoch(block // deployment.epoch_blocks)
        for case in list(world.cases.values()):
            ready = ready_block(world, case, deployment.settle_grace, deployment.epoch_blocks)
            ours = case.by(world.operator)
            if case.open and (ours or self.serve) and block >= ready + resolve_rank(world, case) * self.stagger:
                verdict = world.settled.get(case.case_key)
                receipt = receipt_of(verdict) if verdict is not None else None
                self.sender.send(f"resolve:{case.case_job}", self.court.resolve(case.job, case.shard, receipt))
            due = closable_from(case.terms, deployment.settle_grace, deployment.report_epochs)
            if case.verdict is not None and not case.closed and now >= due and ours:
                self.sender.send(f"close:{case.case_job}", self.court.close_case(case.job, case.shard))


def ready_block(world: World, case: Case, settle_grace: int, epoch_blocks: int) -> int:
    """First block in which a case can be resolved: at once when its job is settled, else when it can settle no more."""
    where = world.settled.get(case.case_key)
    return where.block if where is not None else (case.last(settle_grace) + 1) * epoch_blocks


def resolve_rank(world: World, case: Case) -> int:
    """Whose turn it is to resolve: the accuser's, then the pool's other nodes, in an order of each case's own."""
    if case.by(world.operator):
        return 0
    nodes = sorted(world.members)
    return 1 + (nodes.index(world.node) - case.case_job) % len(nodes) if world.node in world.members else 1 + len(nodes)


def appeal_key(key: ShardKey) -> str:
    return f"appeal:{key[0]}:{key[1]}"
