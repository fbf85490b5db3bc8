"""Proving, as anybody, which openings of a shard its verdict calls wrong."""

from __future__ import annotations

from dataclasses import dataclass

from nodeagent.chain.deployment import Deployment
from nodeagent.chain.doors import Call, Doors
from nodeagent.chain.headers import header_rlp
from nodeagent.chain.rpc import Rpc
from nodeagent.client.attempts import Attempt, Member
from nodeagent.client.history import History, opened_batch
from nodeagent.client.why import gather
from nodeagent.errors import JobFault
from nodeagent.protocol.epochs import accuser_until, epoch_of, seed_block
from nodeagent.protocol.lanes import WRONG_PUNISHED
from nodeagent.protocol.leaves import Leaf
from nodeagent.protocol.settlement import build_claim_opening
from nodeagent.protocol.types import Epoch, JobId, NodeId, Shard


class NothingToReport(JobFault):
    """No opening of the shard can be proven wrong (any more). Says why."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """A drawn node's opening that is not the verdict, and the call that proves it."""

    node: NodeId
    attempt: int
    slot: int
    root: bytes
    call: Call


@dataclass(frozen=True, slots=True)
class Report:
    """All that can be proven of a shard now.

    :param seeds: calls to send first: the Court draws these attempts again
    :param accuser: who appealed
    :param accuser_until: last epoch in which the tenth of each slash is the accuser's; then it is the sender's
    """

    wrong: tuple[Wrong, ...]
    seeds: tuple[Call, ...]
    accuser: str
    accuser_until: Epoch
    now: Epoch

    def earns(self, address: str) -> bool:
        """Whether a report that this account sends now pays it."""
        return self.now > self.accuser_until or address.lower() == self.accuser.lower()


def plan_report(rpc: Rpc, deployment: Deployment, history: History, shard: int) -> Report:
    """Finds what to report. Raises NoSuchShard, NothingToReport."""
    history.check_shard(shard)
    case, job = history.cases.get(shard), history.posted.job
    doors = Doors.of(rpc, deployment)
    if case is None or doors.court is None:
        raise NothingToReport(f"shard {shard} of job {job} was not appealed: nothing is proven of its answers")
    if case.verdict is None or case.settlement is None:
        hint = f"quorate job resolve {job} {shard}" if case.settlement is not None else None
        raise NothingToReport(f"the case about shard {shard} has no verdict", hint=hint)
    attempts = gather(rpc, deployment, history, shard).attempts
    wrong: list[Wrong] = []
    starts: set[Epoch] = set()
    for attempt, member, root in _openings(attempts, case.verdict):
        leaves = opened_batch(rpc, deployment, member.node, attempt.commit)
        opening = build_claim_opening(Leaf(JobId(job), Shard(shard), root), leaves)
        call = doors.court.report_wrong(JobId(job), shard, attempt.number, member.slot, root, opening)
        wrong.append(Wrong(member.node, attempt.number, member.slot, root, call))
        starts.add(attempt.start)
    if not wrong:
        lost = any(attempt.members is None for attempt in attempts)
        why = "can no longer be drawn again" if lost else "holds no opening that is wrong and was not reported"
        raise NothingToReport(f"shard {shard} of job {job} {why}", hint=f"quorate job why {job} {shard}")
    unknown = [start for start in sorted(starts) if doors.ledger.seed_of(start) is None]
    headers = [header_rlp(rpc.block(seed_block(start, deployment.epoch_blocks))) for start in unknown]
    until = accuser_until(case.overturned, Epoch(case.settlement.epoch), deployment.report_epochs)
    now = epoch_of(history.head.block + 1, deployment.epoch_blocks)
    return Report(tuple(wrong), tuple(map(doors.ledger.record_seed, headers)), case.accuser, until, now)


def _openings(attempts: tuple[Attempt, ...], verdict: bytes) -> list[tuple[Attempt, Member, bytes]]:
    found = []
    for attempt in attempts:
        answers = {answer.node: answer.root for answer in attempt.answers}
        for member in attempt.members or ():
            root = answers.get(member.node, verdict)
            punished = member.lane is None or member.lane.state & WRONG_PUNISHED
            if member.node and root != verdict and not punished:
                found.append((attempt, member, root))
    return found
