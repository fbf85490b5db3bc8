"""The loop: read the chain, learn seeds, draw, decide, act, settle. Fetching and computing have their own threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from nodeagent.chain.rpc import Rpc
from nodeagent.chain.scan import Head, Scanner
from nodeagent.errors import Fatal, QuorateError
from nodeagent.protocol.epochs import epoch_of
from nodeagent.protocol.types import Epoch, JobId
from nodeagent.worker import lifecycle as life
from nodeagent.worker.admission import Admission, Machine
from nodeagent.worker.bench import Again, Bench, Done
from nodeagent.worker.compute import Order, Warm
from nodeagent.worker.courtroom import Courtroom
from nodeagent.worker.draws import DrawBook
from nodeagent.worker.hands import ENDED, Hands
from nodeagent.worker.lanewatch import HORIZON, read_lanes
from nodeagent.worker.lottery import Lottery
from nodeagent.worker.reporter import Reporter
from nodeagent.worker.sender import Sender
from nodeagent.worker.settler import Settler
from nodeagent.worker.views import Pace, Passes, PassLog, answered, duties, needed, sources, spent
from nodeagent.worker.world import World

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Habits:
    """Numbers of the configuration that the loop uses."""

    poll_seconds: float = 0.0
    admission: Admission = field(default_factory=Admission)
    auto_resume: bool = True
    reveal_depth: int = 2
    margin_blocks: int = 3
    margin_seconds: float = 0.5


class Agent:
    """One node. ``run`` returns after ``stop``; a second call of it is not meant."""

    def __init__(
        self,
        rpc: Rpc,
        hands: Hands,
        scanner: Scanner,
        bench: Bench,
        sender: Sender,
        settler: Settler,
        reporter: Reporter,
        courtroom: Courtroom | None,
        fresh_world: Callable[[], World],
        habits: Habits,
        *,
        own_url: str = "",
        machine: Machine | None = None,
        wake: threading.Event | None = None,
        report: Callable[[Agent], None] = lambda _: None,
    ) -> None:
        self.rpc, self.hands, self.scanner, self.bench = rpc, hands, scanner, bench
        self.sender, self.settler, self.reporter, self.courtroom = sender, settler, reporter, courtroom
        self.habits, self.own_url = habits, own_url
        self.machine = machine or Machine()
        self._fresh_world, self._report = fresh_world, report
        self._wake = wake or threading.Event()
        self._stopping = False
        self.world = fresh_world()
        self.lottery = Lottery(rpc, hands.doors.registry, hands.deployment, self.world, reporter.watch)
        self.passes = Passes()
        self.pace = Pace()
        self.head: Head | None = None
        self.problems: dict[str, str] = {}
        self.passed = PassLog()
        self.resting: str | None = None
        self._acted = ""
        self._warmed: set[JobId] = set()
        self._pruned_epoch = -1
        self.inferences = int(hands.ledger.meta("inferences") or 0)

    # --- the loop -----------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Works until ``stop``. Raises Fatal when a person must act."""
        self._fold()
        while not self._stopping:
            wait = self.pace.poll(self.habits.poll_seconds)
            try:
                if not self.step():
                    wait = 0.0
                self.problems.pop("chain", None)
            except Fatal:
                raise
            except QuorateError as fault:
                self._complain("chain", str(fault))
                wait = max(wait, 0.25)
            if wait:
                self._wake.wait(wait)
            self._wake.clear()
        log.info("agent_stopped", block=self.head.block if self.head else None)

    def stop(self) -> None:
        """Ends ``run`` after the step at hand. Safe from a signal handler."""
        self._stopping = True
        self._wake.set()

    def step(self) -> bool:
        """One look at the chain and what follows from it. False while it is behind and should look again at once."""
        progress = self.scanner.step()
        if progress.rewound_to is not None:
            log.warning("chain_reorganised", back_to=progress.rewound_to)
            self._fold()
            self.lottery.rewind(progress.rewound_to)
        else:
            self.world.apply(progress.events)
        if not progress.caught_up:
            return False
        self.head = progress.head
        self.pace.saw(progress.head.block, time.monotonic())
        arrived = self._harvest(progress.head.block)
        if arrived or progress.head.hash != self._acted:
            self._act(progress.head)
            self._acted = progress.head.hash
        return True

    def _act(self, head: Head) -> None:
        self.hands.block = head.block
        if self._prune_due(head.block):
            self._prune(head.block)
        self.resting = self.machine.resting()
        self._warm(head.block)
        known = self.lottery.update(head.block)
        clock = self.clock(head.block)
        for action in life.decide(self._state(clock), self._facts(clock, known), clock):
            self._do(action)
        self._send(head)  # before what is optional is looked for: a commit or a reveal waits for nothing
        self._serve(head)
        if any(intent.state == "new" for intent in self.hands.outbox.pending()):
            self._send(head)
        if not self.world.paused:
            self.problems.pop("stake", None)
        self._report(self)

    def _send(self, head: Head) -> None:
        for intent in self.hands.outbox.tick(head.block, head.base_fee):
            if intent.state in ENDED:
                log.warning("intent_ended", intent=intent.key, state=intent.state, reason=intent.reason)
            if intent.refusal is not None and intent.refusal.name == "StakeBelowRequirement":
                self._complain("stake", "out of the draw: the stake is less than its seats need; take or leave seats")

    def _serve(self, head: Head) -> None:
        """What is due beside the own work. None of it is a reason to hold back a commit or a reveal, or each other."""
        self.sender.turn(head.block, head.base_fee)
        world, book = self.world, self.lottery.book
        for name, tick in (("settle", self.settler.tick), ("court", self._court), ("report", self.reporter.tick)):
            try:
                tick(world, book, head.block)
                self.problems.pop(name, None)
            except QuorateError as fault:
                self._complain(name, str(fault))

    def clock(self, block: int) -> life.Clock:
        deployment = self.hands.deployment
        margin = self.pace.margin(self.habits.margin_blocks, self.habits.margin_seconds, deployment.epoch_blocks)
        return life.Clock(block, deployment.epoch_blocks, margin, self.habits.reveal_depth, deployment.reveal_grace)

    # --- reading ------------------------------------------------------------------------------------------------

    @property
    def _epoch_blocks(self) -> int:
        return self.hands.deployment.epoch_blocks

    def _fold(self) -> None:
        """Builds the world anew from the events on disk."""
        self.world = self._fresh_world()
        self.world.apply(self.hands.ledger.events())
        self.lottery.restart(self.world)
        self.passes = Passes()  # what was passed may be another job now

    # --- acting -------------------------------------------------------------------------------------------------

    def _facts(self, clock: life.Clock, draws_known: bool) -> life.Facts:
        horizon = self.hands.deployment.ring - 2 if self.reporter.watch else HORIZON
        lanes = read_lanes(self.hands.doors.ledger, self.world, self.lottery.book, clock, horizon)
        self.hands.ledger.note_lanes(lanes)
        return life.Facts(
            duties=duties(self.world, self.lottery.book, clock.epoch, self.habits.admission),
            draws_known=draws_known,
            lanes=lanes,
            commit_blocks={epoch: self.hands.commit_block(epoch) for epoch in lanes},
            paused_for_fault=self.world.paused_for_fault,
            auto_resume=self.habits.auto_resume,
        )

    def _state(self, clock: life.Clock) -> life.State:
        ledger, outbox = self.hands.ledger, self.hands.outbox
        flying = {intent.key for intent in outbox.pending()}
        if outbox.get(life.resume_key(clock.epoch)) is not None:
            flying.add(life.resume_key(clock.epoch))  # once an epoch, whatever became of it
        return life.State(
            done=answered(self.world, ledger.results()),
            given_up=self.passes.given_up(clock.block),
            batches=ledger.batch_epochs(Epoch(clock.epoch - clock.reveal_grace - 1)),
            in_flight=frozenset(flying),
        )

    def _do(self, action: life.Action) -> None:
        match action:
            case life.Compute():
                self._compute(action)
            case life.Seal():
                self.hands.seal(action)
            case life.Commit():
                self.hands.commit(action)
            case life.Reveal():
                self.hands.reveal(action)
            case life.Turn():
                self.hands.turn(action)
            case life.Resume():
                self.hands.resume(action)

    def _compute(self, action: life.Compute) -> None:
        job = self.world.jobs[action.job]
        if self.resting is not None:
            self.passed.note((action.job, action.shard), self.resting)
        elif not self.passes.resting((action.job, action.shard), self.hands.block):
            self.bench.offer(Order(job, action.shard, action.deadline, sources(self.world, job, self.own_url)))

    def _court(self, world: World, book: DrawBook, block: int) -> None:
        for again in self.courtroom.tick(world, book, block) if self.courtroom is not None else ():
            key, job = (again.job, again.shard), world.jobs[again.job]
            if self.resting is not None:
                self.passed.note(key, self.resting)
            elif key not in self.passes.given_up(block) and not self.passes.resting(key, block):
                found = sources(world, job, self.own_url)
                self.bench.offer(Order(job, again.shard, again.deadline, found, again=True))

    def _warm(self, block: int) -> None:
        """Has the models of new jobs brought before their first draw."""
        for job in [job for job in self.world.jobs.values() if job.id not in self._warmed]:
            self._warmed.add(job.id)
            if (refused := self.habits.admission.job(job)) is not None:
                self.passed.note((job.id, None), refused)
            elif block < (start := (job.terms.post_epoch + 1) * self._epoch_blocks) and self.resting is None:
                self.bench.warm(Warm(job, start, sources(self.world, job, self.own_url)))

    def _harvest(self, block: int) -> bool:
        """Takes finished shards from the bench to disk. Whether there were any."""
        outcomes = self.bench.tick(block, self.pace.block_s)
        for outcome in outcomes:
            if isinstance(outcome, Done):
                self.hands.ledger.add_result(outcome.result)
                self.hands.ledger.add_inferences(outcome.ran)
                self.inferences += outcome.ran
            elif isinstance(outcome, Again):
                key = outcome.job, outcome.shard
                if self.courtroom is not None and not self.courtroom.computed(key, outcome.root):
                    words = "computed again, its answer is another one: check this machine and its runtime"
                    self._complain("machine", f"job {outcome.job}, shard {outcome.shard}: {words}")
            else:
                self.passes.add((outcome.job, outcome.shard), outcome.reason, outcome.final, block, outcome.deadline)
                self.passed.note((outcome.job, outcome.shard), outcome.reason)
                if outcome.fatal is not None:
                    self._complain("work", str(outcome.fatal))
        return bool(outcomes)

    def _complain(self, what: str, message: str) -> None:
        if self.problems.get(what) != message:
            log.warning("problem", about=what, message=message)
        self.problems[what] = message

    # --- forgetting ---------------------------------------------------------------------------------------------

    def _prune_due(self, block: int) -> bool:
        return epoch_of(block, self._epoch_blocks) != self._pruned_epoch

    def _prune(self, block: int) -> None:
        """Once an epoch: drops what no deadline is left for."""
        deployment = self.hands.deployment
        self._pruned_epoch = now = epoch_of(block, self._epoch_blocks)
        before = Epoch(max(0, now - deployment.ring - 2))
        dead = self.world.finished(now, deployment.settle_grace, deployment.report_epochs, deployment.ring)
        self.hands.give_up(dead)
        over = spent(self.world, dead)
        self.hands.ledger.prune(before * self._epoch_blocks, dead)
        self.hands.outbox.prune(before * self._epoch_blocks)
        self.world.prune(before, dead)
        self.bench.forget(over, needed(self.world))
        self.passes.forget(dead)
        self.lottery.forget(before)
        self._warmed.intersection_update(self.world.jobs)
