"""This node before the Court: appeals where it was outvoted and is sure, and moves cases on when they are over."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import structlog

from nodeagent.chain.court import CourtDoor
from nodeagent.protocol.epochs import closable_from, counting_epoch, epoch_of, first_block
from nodeagent.protocol.payout import penalty
from nodeagent.protocol.types import Epoch, JobId, NodeId, Shard
from nodeagent.worker import appeals
from nodeagent.worker.appealbook import LOST, OUTVOTED, SENT, WON, Appeal, AppealBook, state_after
from nodeagent.worker.appeals import AppealFacts, Outvoted, Policy, Spoken, Step
from nodeagent.worker.cases import NEVER, Case, ShardKey
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
        deployment = self.hands.deployment
        now = epoch_of(block, deployment.epoch_blocks)
        self._learn(world, now)
        self._end(world, block)
        known = appeals.outvoted(world, draws, counting_epoch(block + 1, deployment.epoch_blocks, deployment.lead))
        # once an epoch, and when something was computed
        self._weighed = {key: epoch for key, epoch in self._weighed.items() if epoch == now}
        due = [outvoted for outvoted in known if outvoted.key not in self._weighed]
        spoken = self._spoken(world, draws, known) if due else Spoken()
        found = []
        for outvoted in due:
            self._weighed[outvoted.key] = now
            found.append(self._weigh(world, outvoted, spoken, now))
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

    def _spoken(self, world: World, draws: DrawBook, known: list[Outvoted]) -> Spoken:
        """What open cases, and appeals that left but are not on the chain yet, will take and cost."""
        spoken = appeals.spoken_for(world, draws)
        for outvoted in known:
            if outvoted.key not in world.cases and self._flying(outvoted.key):
                spoken.send(outvoted, self.court.bond_of(outvoted.job, outvoted.shard))
        return spoken

    def _weigh(self, world: World, outvoted: Outvoted, spoken: Spoken, now: Epoch) -> Recheck | None:
        known = self.book.get(outvoted.key)
        if known is None or known.own != outvoted.own:
            log.warning("outvoted", job=outvoted.job, shard=outvoted.shard)
            known = Appeal(outvoted.job, outvoted.shard, outvoted.own)
        if known.state == SENT and self._flying(outvoted.key):
            return None
        facts = self._facts(world, outvoted, known, spoken, now)
        decision = appeals.decide_appeal(facts, self.policy)
        if decision.why != known.why or known.state == SENT:
            step = decision.step.value
            log.info("appeal_decided", job=outvoted.job, shard=outvoted.shard, step=step, why=decision.why)
            known = replace(known, why=decision.why)
            self.book.put(known)
        if decision.step is Step.CHECK:
            return Recheck(outvoted.job, outvoted.shard, self._last_block(outvoted))
        if decision.step is Step.APPEAL and self.sender.waits(appeal_key(outvoted.key), world.rank):
            self._weighed.pop(outvoted.key)  # looked at again in every block until it is this node's turn
        elif decision.step is Step.APPEAL:
            worth = appeals.expected_return(facts, self.policy.confidence) + self.policy.max_cost
            if self._appeal(outvoted, known, self._in_wei(worth)):
                spoken.send(outvoted, facts.bond)
        return None

    def _facts(self, world: World, outvoted: Outvoted, known: Appeal, spoken: Spoken, now: Epoch) -> AppealFacts:
        token, market = self.hands.doors.payment_token, self.hands.doors.market
        taken = outvoted.key in world.cases
        if taken or not self.policy.auto:
            return AppealFacts(outvoted.own, outvoted.pay, 0, 0, 0, 0, 0, 0, known.again, taken)
        fresh = [lane for lane in outvoted.lanes if lane not in spoken.lanes]
        return AppealFacts(
            own=outvoted.own,
            pay=outvoted.pay,
            immature=sum(market.earnings_of(node)[1] for node in outvoted.paid if node not in spoken.nodes),
            reward=sum(self._loss(node, spoken.slashes(node))[1] for node, _ in fresh),
            risk=self._loss(world.node)[0],
            bond=self.court.bond_of(outvoted.job, outvoted.shard),
            allowance=max(0, token.allowance(world.operator, self.court.address) - spoken.bonds),
            balance=max(0, token.balance_of(world.operator) - spoken.bonds),
            again=known.again,
            lost=self._lost(world, Epoch(now - self.hands.deployment.ring + 1)),
            at_risk=spoken.at_risk,
        )

    def _lost(self, world: World, since: Epoch) -> int:
        """Own appeals, and those of the operator's other nodes, that ended in ``since`` or later and did not win."""
        ended = (case for case in world.cases.values() if case.by(world.operator) and not case.open)
        return len(self.book.lost(since) | {c.key for c in ended if not c.overturned and c.resolved >= since})

    def _loss(self, node: NodeId, earlier: int = 0) -> tuple[int, int]:
        """What a node's fault costs it and brings its accuser, in payment-token units at the operator's price, after
        ``earlier`` slashes for other faults."""
        view, scale = self.hands.doors.registry.node_view(node), self._stake_scale()
        stake, bps = view["stake"] + view["unbonding"], self.hands.deployment.parameters["WRONG_BPS"]
        for _ in range(earlier):
            stake -= penalty(stake, bps)[0]
        amount, reward = penalty(stake, bps)
        return int(amount * scale), int(reward * scale)

    def _stake_scale(self) -> float:
        if self._scale is None:
            doors = self.hands.doors
            stake, payment = doors.stake_token.describe()[1], doors.payment_token.describe()[1]
            self._scale = float(self.policy.stake_price * 10.0 ** (payment - stake))
        return self._scale

    def _in_wei(self, amount: float) -> int | None:
        """Payment-token units by the operator's two prices of stake; None where one of them says nothing."""
        scale, price = self._stake_scale(), self.policy.ether_price
        return self.hands.stake_in_wei(int(amount / scale), price) if scale and price else None

    def _appeal(self, outvoted: Outvoted, known: Appeal, worth: int | None) -> bool:
        """The decision is on disk before the call can leave; one that ended without effect is decided anew. Whether it
        leaves."""
        key = appeal_key(outvoted.key)
        ended = self.hands.outbox.get(key)
        if ended is not None and ended.state in ENDED:
            self.hands.outbox.forget(key)
        self.book.put(replace(known, state=SENT))
        call = self.court.appeal(outvoted.job, outvoted.shard, outvoted.receipt)
        sent = self.sender.send(key, call, worth, deadline=self._last_block(outvoted))
        if not sent:
            why = "the answer stands, but the Court refuses the call or its gas is worth more; asked again next epoch"
            self.book.put(replace(known, state=OUTVOTED, why=why))
        return sent

    def _last_block(self, outvoted: Outvoted) -> int:
        """The last block in which an appeal counts."""
        deployment = self.hands.deployment
        return first_block(Epoch(outvoted.until + 1), deployment.epoch_blocks) - deployment.lead - 1

    def _flying(self, key: ShardKey) -> bool:
        intent = self.hands.outbox.get(appeal_key(key))
        return intent is not None and intent.state not in ENDED

    def _learn(self, world: World, now: Epoch) -> None:
        """Writes down what became of appeals."""
        for case in world.cases.values():
            known = self.book.get(case.key)
            state = state_after(known, case, world.operator) if known is not None else None
            if known is not None and state is not None and state != known.state:
                log.info("appeal_is", job=known.job, shard=known.shard, state=state, case=case.case_job)
                self.book.put(replace(known, state=state, ended=now if state in (WON, LOST) else NEVER))

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
                close = self.court.close_case(case.job, case.shard)
                self.sender.send(f"close:{case.case_job}", close, rank=world.rank)


def ready_block(world: World, case: Case, settle_grace: int, epoch_blocks: int) -> int:
    """First block in which a case can be resolved: at once when its job is settled, else when it can settle no more."""
    where = world.settled.get(case.case_key)
    return where.block if where is not None else (case.last(settle_grace) + 1) * epoch_blocks


def resolve_rank(world: World, case: Case) -> int:
    """Whose turn it is to resolve: the accuser's nodes', then the pool's others, in an order of each case's own."""
    if case.by(world.operator):
        return world.rank
    nodes, first = sorted(world.members), max(1, len(world.nodes_of(case.accuser)))
    turn = (nodes.index(world.node) - case.case_job) % len(nodes) if world.node in world.members else len(nodes)
    return first + turn


def appeal_key(key: ShardKey) -> str:
    return f"appeal:{key[0]}:{key[1]}"
