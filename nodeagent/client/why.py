"""What happened to one shard, attempt by attempt, in sentences. Reading is thin, telling is pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from nodeagent.amounts import priced
from nodeagent.chain.deployment import Deployment
from nodeagent.chain.doors import Doors
from nodeagent.chain.events import Claimed
from nodeagent.chain.rpc import Rpc
from nodeagent.client.attempts import Attempt, Draws
from nodeagent.client.cases import ONLY, Case, Settlement, standing
from nodeagent.client.history import History
from nodeagent.client.payments import Bond, Wages, bond, judges_wages, wages
from nodeagent.protocol.constants import COUNTED_DELAY
from nodeagent.protocol.epochs import closable_from, epoch_of, first_epoch, last_epoch
from nodeagent.protocol.lanes import UNREVEALED_PUNISHED, Lane
from nodeagent.protocol.types import VOID, Epoch, NodeId, Shard, ShardStatus


@dataclass(frozen=True, slots=True)
class Facts:
    """All there is to tell of a shard.

    :param trials: the case's attempts
    :param token: (symbol, decimals) of the payment token
    :param protocol_fee_bps: the job's, read where a verdict gives its requester something back
    """

    history: History
    shard: int
    now: Epoch
    status: ShardStatus
    attempts: tuple[Attempt, ...]
    trials: tuple[Attempt, ...]
    deployment: Deployment
    token: tuple[str, int]
    protocol_fee_bps: int = 0

    @property
    def settlement(self) -> Settlement | None:
        return self.history.settled.get(self.shard)

    @property
    def case(self) -> Case | None:
        return self.history.cases.get(self.shard)

    @property
    def claims(self) -> tuple[Claimed, ...]:
        return tuple(claim for claim in self.history.claims if claim.shard == self.shard)

    @property
    def wages(self) -> Wages | None:
        """What the shard earned those who computed it; None while it is not settled."""
        if self.settlement is None:
            return None
        terms, fee = self.history.posted.terms, self.deployment.settle_fee_bps
        return wages(terms, Shard(self.shard), self.settlement, self.attempts, self.claims, fee)

    @property
    def judging(self) -> Wages | None:
        """The same of its case."""
        return None if self.case is None else judges_wages(self.case, self.trials, self.deployment.settle_fee_bps)

    @property
    def bond(self) -> Bond | None:
        """None without a case."""
        if self.case is None or self.wages is None:
            return None
        fees = self.deployment.settle_fee_bps, self.protocol_fee_bps
        return bond(self.case, self.history.posted.terms, self.wages, self.judging, fees)

    @property
    def closable(self) -> Epoch | None:
        """First epoch in which a resolved case can be closed."""
        if self.case is None or self.case.verdict is None:
            return None
        return closable_from(self.case.terms, self.deployment.settle_grace, self.deployment.report_epochs)

    def money(self, amount: int) -> str:
        """A payment-token amount as a person reads it."""
        return priced(amount, self.token)


def gather(rpc: Rpc, deployment: Deployment, history: History, shard: int) -> Facts:
    """Reads committees and lanes of every attempt that has begun, and what money is called.

    :raises NoSuchShard: the job has fewer shards
    """
    terms = history.posted.terms
    history.check_shard(shard)
    now = epoch_of(history.head.block, deployment.epoch_blocks)
    settled, case = history.settled.get(shard), history.cases.get(shard)
    doors = Doors.of(rpc, deployment)
    draws = Draws(rpc, doors, deployment.epoch_blocks, now)
    own = [a for a in history.answers if a.shard == shard]
    attempts = draws.of(history.posted.job, terms, Shard(shard), own, settled)
    trials: tuple[Attempt, ...] = ()
    if case is not None:
        trials = draws.of(case.job, case.terms, ONLY, case.answers, case.settlement)
    status = standing(history.terms, shard, now, deployment.settle_grace, settled, case)
    fee = doors.market.job_view(history.posted.job)["protocolFeeBps"] if case is not None and case.overturned else 0
    return Facts(history, shard, now, status, attempts, trials, deployment, doors.payment_token.describe(), fee)


# --- telling ----------------------------------------------------------------------------------------------------


def tell(facts: Facts) -> list[str]:
    """The story of the shard, one sentence a line."""
    history, shard = facts.history, facts.shard
    terms, case = history.posted.terms, facts.case
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
    lines += _tell_end(facts)
    if case is not None and facts.wages is not None:
        lines += _tell_case(facts, case)
    overturned = case is not None and case.overturned
    for claim in facts.claims:
        why = "had given the verdict's answer" if overturned else "had given that answer too and was left out"
        lines.append(f"Node {claim.node} {why}: it claimed its pay for slot {claim.slot}, {facts.money(claim.amount)}.")
    for absence in (a for a in history.absences if a.shard == shard):
        lines.append(f"Node {absence.node} was reported absent by {absence.reporter}.")
    return lines


def _tell_attempt(attempt: Attempt, quorum: int, now: Epoch, what: str) -> list[str]:
    lines = [f"{what} {attempt.number} began in epoch {attempt.start}, to be committed in {attempt.commit}."]
    drawn = attempt.members
    if drawn is None:
        unborn = now <= attempt.start  # its seed comes with the second block of that epoch
        lines.append(f"  {'Its seed is not known yet' if unborn else 'Its draw can no longer be repeated on chain'}.")
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
            lines.append(f"  {len(nodes)} opened {short}, {quorum} {'was' if quorum == 1 else 'were'} needed: {who}.")
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


def _tell_end(facts: Facts) -> list[str]:
    terms, settled, wages = facts.history.posted.terms, facts.settlement, facts.wages
    if settled is None or wages is None:
        last = last_epoch(terms, Shard(facts.shard), facts.deployment.settle_grace)
        if facts.now > last:
            return [f"No attempt found {terms.quorum} equal answers by epoch {last}: it expired, its price comes back."]
        return [f"It is not settled yet; an attempt with a quorum may be settled until epoch {last}."]
    entry = settled.entry
    lines = [
        f"Attempt {entry.attempt} was settled in epoch {settled.epoch} (transaction {settled.at.tx}) with root "
        f"0x{entry.root.hex()[:16]}….",
        _tell_wages(facts, wages),
    ]
    if terms.appeal_epochs == 0:
        lines.append("The job has no appeals: that was final at once.")
    elif facts.case is None:
        until = settled.epoch + terms.appeal_epochs
        word = "can be appealed until" if facts.now <= until else "was not appealed by"
        lines.append(f"It {word} epoch {until}.")
    return lines


def _tell_wages(facts: Facts, wages: Wages) -> str:
    known = [f"{p.node} (slot {p.slot})" for p in wages.paid if p.node is not None]
    lost = [str(p.slot) for p in wages.paid if p.node is None]
    who = f"{'node' if len(known) == 1 else 'nodes'} {', '.join(known)}" if known else ""
    if lost:
        who = f"slots {', '.join(lost)}, whose nodes can no longer be drawn"
    each = f"{facts.money(wages.paid[0].amount)}{' each' if len(wages.paid) > 1 else ''}" if wages.paid else ""
    settler = "the account that sent it" if wages.settler == VOID else f"node {wages.settler}"
    return f"  Paid: {who}: {each}; {facts.money(wages.fee)} to {settler} for settling it."


def _tell_case(facts: Facts, case: Case) -> list[str]:
    lines = [
        f"{case.accuser} appealed it for a bond of {facts.money(case.bond)} (transaction {case.at.tx}): "
        f"{case.terms.committee} judges compute it again as job {case.job}, {case.terms.quorum} must agree."
    ]
    for trial in facts.trials:
        lines += _tell_attempt(trial, case.terms.quorum, facts.now, "Court, attempt")
    if case.settlement is not None and facts.judging is not None:
        agreed = case.settlement
        lines.append(f"The judges' answer was settled in epoch {agreed.epoch} (transaction {agreed.at.tx}).")
        lines.append(_tell_wages(facts, facts.judging))
        for claim in case.claims:
            lines.append(f"  Judge {claim.node} was left out and claimed its pay, {facts.money(claim.amount)}.")
    if case.verdict is not None:
        how = "OVERTURNED" if case.overturned else "UPHELD"
        lines.append(f"Verdict: the settled root is {how}; 0x{case.verdict.hex()[:16]}… stands.")
        if case.overturned:
            taken = facts.money(case.forfeited)
            lines.append(f"Members that were paid for the other root forfeited {taken} of immature pay.")
    elif case.settlement is not None:
        resolve = f"quorate job resolve {facts.history.posted.job} {case.shard}"
        lines.append(f"The judges agreed; the verdict stands once somebody resolves it: {resolve}.")
    elif case.status(facts.now, facts.deployment.settle_grace) is ShardStatus.CONTESTED:
        burned = f", and the bond of {facts.money(case.burned)} was burned" if case.burned else ""
        lines.append(f"No verdict came{burned}: the result is contested and never final.")
    else:
        last = last_epoch(case.terms, ONLY, facts.deployment.settle_grace)
        lines.append(f"The case is open until epoch {last} at the latest.")
    for wrong in case.wrong:
        more = f"; it forfeited {facts.money(wrong.forfeited)} of immature pay" if wrong.forfeited else ""
        answer = f"its wrong answer in attempt {wrong.attempt}"
        lines.append(f"Node {wrong.node} was reported for {answer} and slashed{more}.")
    return lines if case.verdict is None or facts.bond is None else [*lines, *_tell_bond(facts, case, facts.bond)]


def _tell_bond(facts: Facts, case: Case, bond: Bond) -> list[str]:
    """What a resolved case's money came to."""
    money, job = facts.money, facts.history.posted.job
    lines = [f"Of the bond of {money(case.bond)}, judges and settler earned {money(bond.earned)}."]
    back = [("accuser", bond.returned.accuser, bond.to_come.accuser)]
    if case.overturned:
        back.append((f"requester, who paid {money(bond.price)},", bond.returned.requester, bond.to_come.requester))
    for who, had, coming in back:
        since = f"from epoch {facts.closable} on: quorate job resolve {job} {case.shard}"
        more = f" so far; {money(coming)} can come back {since}" if coming else ""
        lines.append(f"The {who} got back {money(had) if had else 'nothing'}{more}.")
    return lines if case.refund is None else [*lines, "The case is closed."]
