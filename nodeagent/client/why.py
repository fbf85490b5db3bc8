"""What happened to one shard, attempt by attempt, in sentences. Reading is thin, telling is pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from nodeagent.chain.deployment import Deployment
from nodeagent.chain.doors import Doors
from nodeagent.chain.errors import Reverted
from nodeagent.chain.headers import prev_randao
from nodeagent.chain.rpc import Rpc
from nodeagent.client.cases import ONLY, Answer, Case, Settlement, standing
from nodeagent.client.history import History
from nodeagent.protocol.constants import COUNTED_DELAY
from nodeagent.protocol.epochs import attempt_start, commit_epoch, epoch_of, first_epoch, last_epoch, seed_block
from nodeagent.protocol.lanes import UNREVEALED_PUNISHED, Lane, unpack_lane
from nodeagent.protocol.sortition import draw_words, parse_slots, seed_from_randao
from nodeagent.protocol.types import VOID, Epoch, JobId, JobTerms, NodeId, Shard, ShardStatus


@dataclass(frozen=True, slots=True)
class Member:
    """A slot of a committee, and what its lane says of the commit epoch; ``lane`` is None once it was reused."""

    slot: int
    node: NodeId
    lane: Lane | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One drawn attempt. ``members`` is None where the draw is no longer (or not yet) to be had."""

    number: int
    start: Epoch
    commit: Epoch
    members: tuple[Member, ...] | None
    answers: tuple[Answer, ...]

    @property
    def by_members(self) -> tuple[Answer, ...]:
        """Answers of those who were drawn (anybody may open a leaf for any shard); all where no draw is known."""
        if self.members is None:
            return self.answers
        drawn = {member.node for member in self.members}
        return tuple(answer for answer in self.answers if answer.node in drawn)


@dataclass(frozen=True, slots=True)
class Facts:
    """All there is to tell of a shard."""

    history: History
    shard: int
    now: Epoch
    status: ShardStatus
    attempts: tuple[Attempt, ...]
    trials: tuple[Attempt, ...]  # the case's attempts
    settle_grace: int


def gather(rpc: Rpc, deployment: Deployment, history: History, shard: int) -> Facts:
    """Reads committees and lanes of every attempt that has begun.

    :raises NoSuchShard: the job has fewer shards
    """
    terms = history.posted.terms
    history.check_shard(shard)
    now = epoch_of(history.head.block, deployment.epoch_blocks)
    settled, case = history.settled.get(shard), history.cases.get(shard)
    reader = _Reader(rpc, Doors.of(rpc, deployment), deployment.epoch_blocks, now)
    own = [a for a in history.answers if a.shard == shard]
    attempts = reader.attempts(history.posted.job, terms, Shard(shard), own, settled)
    trials: tuple[Attempt, ...] = ()
    if case is not None:
        trials = reader.attempts(case.job, case.terms, ONLY, case.answers, case.settlement)
    status = standing(history.terms, shard, now, deployment.settle_grace, settled, case)
    return Facts(history, shard, now, status, attempts, trials, deployment.settle_grace)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads what was drawn, and what the lanes say of it, up to the epoch ``now``."""

    rpc: Rpc
    doors: Doors
    epoch_blocks: int
    now: Epoch

    def attempts(
        self, job: JobId, terms: JobTerms, shard: Shard, answers: Sequence[Answer], settled: Settlement | None
    ) -> tuple[Attempt, ...]:
        """Those of a shard that have begun, up to the one that settled; later ones where a member opened an answer all
        the same, which a verdict may call wrong."""
        found = []
        for number in range(terms.max_attempts):
            start, commit = attempt_start(terms, shard, number), commit_epoch(terms, shard, number)
            if start > self.now:
                break
            mine = tuple(a for a in answers if a.epoch == commit)
            late = settled is not None and number > settled.entry.attempt
            if late and not mine:
                continue
            attempt = Attempt(number, start, commit, self._members(job, terms, shard, start, commit), mine)
            if attempt.by_members or not late:
                found.append(attempt)
        return tuple(found)

    def _members(
        self, job: JobId, terms: JobTerms, shard: Shard, start: Epoch, commit: Epoch
    ) -> tuple[Member, ...] | None:
        block = self.rpc.call("eth_getBlockByNumber", [hex(seed_block(start, self.epoch_blocks)), False])
        if block is None:
            return None
        seed = seed_from_randao(start, prev_randao(block))
        words = draw_words(seed, job, shard, start, terms.pool, terms.committee, case=terms.is_case)
        try:
            slots = parse_slots(self.doors.registry.committees(words), terms.committee)
        except Reverted:
            return None  # older than the ring
        lanes = map(unpack_lane, self.doors.ledger.lanes([(node, commit) for node in slots]))
        drawn = enumerate(zip(slots, lanes, strict=True))
        return tuple(Member(slot, node, None if lane.epoch > commit else lane) for slot, (node, lane) in drawn)


# --- telling ----------------------------------------------------------------------------------------------------


def tell(facts: Facts) -> list[str]:
    """The story of the shard, one sentence a line."""
    history, shard = facts.history, facts.shard
    terms, settled, case = history.posted.terms, history.settled.get(shard), history.cases.get(shard)
    first = shard * terms.shard_size
    lines = [
        f"Job {history.posted.job}, shard {shard}: tasks {first} to {first + terms.tasks_in(Shard(shard)) - 1}, "
        f"posted in epoch {terms.post_epoch}, first attempt in epoch {first_epoch(terms, Shard(shard))}. "
        f"It is {facts.status.name} in epoch {facts.now}."
    ]
    if shard >= history.terms.shards:
        return [*lines, "The requester cancelled it before it started; its price went back."]
    for attempt in facts.attempts:
        lines += _tell_attempt(attempt, terms.quorum, facts.now, "Attempt")
    lines += _tell_end(facts, settled)
    if case is not None and settled is not None:
        lines += _tell_case(facts, case)
    for claim in (c for c in history.claims if c.shard == shard):
        lines.append(f"Node {claim.node} claimed slot {claim.slot}, which had not been shown: {claim.amount} units.")
    for absence in (a for a in history.absences if a.shard == shard):
        lines.append(f"Node {absence.node} was reported absent by {absence.reporter}.")
    return lines


def _tell_attempt(attempt: Attempt, quorum: int, now: Epoch, what: str) -> list[str]:
    lines = [f"{what} {attempt.number} began in epoch {attempt.start}, to be committed in {attempt.commit}."]
    drawn = attempt.members
    if drawn is None:
        lines.append("  Its draw can no longer be repeated on chain, or its seed is not known yet.")
    else:
        names = ", ".join("void" if m.node == VOID else str(m.node) for m in drawn)
        lines.append(f"  Drawn: {names}.")
    by_root: dict[bytes, list[NodeId]] = defaultdict(list)
    for answer in attempt.by_members:
        by_root[answer.root].append(answer.node)
    for root, nodes in sorted(by_root.items(), key=lambda item: -len(item[1])):
        who, short = f"{_nodes(nodes)} {', '.join(map(str, nodes))}", f"0x{root.hex()[:16]}…"
        if drawn is None:
            lines.append(f"  {short} was opened by {who}; whether they were drawn can no longer be verified.")
        else:
            lines.append(f"  {len(nodes)} of {quorum} needed opened {short}: {who}.")
    answered = {a.node for a in attempt.answers}
    for member in drawn or ():
        if member.node != VOID and member.node not in answered:
            lines.append(f"  Node {member.node} {_silence(member.lane, attempt.commit, now)}.")
        elif member.lane is not None and member.lane.delay > COUNTED_DELAY:
            lines.append(f"  Node {member.node} opened {member.lane.delay} epochs late: it is not counted.")
    return lines


def _nodes(nodes: Sequence[NodeId]) -> str:
    return "node" if len(nodes) == 1 else "nodes"


def _silence(lane: Lane | None, commit: Epoch, now: Epoch) -> str:
    if now < commit or (now == commit and (lane is None or lane.epoch != commit)):
        return "is computing"
    if lane is None:
        return "gave no answer; its lane has been used again since"
    if lane.epoch != commit:
        return "never committed in that epoch"
    if lane.sealed_for(commit):
        return "has sealed a batch" if now == commit else "sealed a batch and has not opened it"
    if lane.has(UNREVEALED_PUNISHED):
        return "sealed a batch, never opened it, and was punished for that"
    if lane.delay == 0:
        return "never committed, and was punished for that"
    return "opened a batch without an answer to this shard: a pass"


def _tell_end(facts: Facts, settled: Settlement | None) -> list[str]:
    terms, shard = facts.history.posted.terms, Shard(facts.shard)
    if settled is None:
        last = last_epoch(terms, shard, facts.settle_grace)
        if facts.now > last:
            return [f"No attempt found {terms.quorum} equal answers by epoch {last}: it expired, its price comes back."]
        return [f"It is not settled yet; an attempt with a quorum may be settled until epoch {last}."]
    entry = settled.entry
    paid = ", ".join(str(slot) for slot in range(terms.committee) if entry.paid_slots >> slot & 1)
    lines = [
        f"Attempt {entry.attempt} was settled in epoch {settled.epoch} (transaction {settled.at.tx}) with root "
        f"0x{entry.root.hex()[:16]}…; slots {paid} were paid."
    ]
    if terms.appeal_epochs == 0:
        lines.append("The job has no appeals: that was final at once.")
    elif facts.shard not in facts.history.cases:
        until = settled.epoch + terms.appeal_epochs
        word = "can be appealed until" if facts.now <= until else "was not appealed by"
        lines.append(f"It {word} epoch {until}.")
    return lines


def _tell_case(facts: Facts, case: Case) -> list[str]:
    lines = [
        f"{case.accuser} appealed it for a bond of {case.bond} units (transaction {case.at.tx}): "
        f"{case.terms.committee} judges compute it again as job {case.job}, {case.terms.quorum} must agree."
    ]
    for trial in facts.trials:
        lines += _tell_attempt(trial, case.terms.quorum, facts.now, "Court, attempt")
    if case.verdict is not None:
        how = "OVERTURNED" if case.overturned else "UPHELD"
        lines.append(f"Verdict: the settled root is {how}; 0x{case.verdict.hex()[:16]}… stands.")
        if case.overturned:
            lines.append(f"Members that were paid for the other root forfeited {case.forfeited} units of immature pay.")
    elif case.settlement is not None:
        lines.append("The judges agreed; the verdict stands once somebody resolves it: quorate job resolve.")
    elif case.status(facts.now, facts.settle_grace) is ShardStatus.CONTESTED:
        burned = f", and the bond of {case.burned} units was burned" if case.burned else ""
        lines.append(f"No verdict came{burned}: the result is contested and never final.")
    else:
        last = last_epoch(case.terms, ONLY, facts.settle_grace)
        lines.append(f"The case is open until epoch {last} at the latest.")
    for wrong in case.wrong:
        lines.append(f"Node {wrong.node} was reported for its wrong answer in attempt {wrong.attempt} and slashed.")
    if case.refund is not None:
        lines.append(f"The case is closed; {case.refund} units that no judge earned went back.")
    return lines
