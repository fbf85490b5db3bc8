"""Honest as a member, and appeals right answers: every ``every``-th shard that settles, whoever computed it."""

from __future__ import annotations

from lab.agents.plug import orders, start, swap
from nodeagent.protocol.epochs import appeal_until
from nodeagent.protocol.types import Epoch
from nodeagent.worker import appeals
from nodeagent.worker.appeals import AppealFacts, Decision, Outvoted, Policy, Step
from nodeagent.worker.claims import receipt_of
from nodeagent.worker.draws import DrawBook
from nodeagent.worker.world import World

CLAIMED = bytes(31) + b"\1"
"""What it says the answer should have been."""


def aggrieved(world: World, book: DrawBook, counting: Epoch) -> list[Outvoted]:
    """Settled shards of its choice, as if it had been outvoted in them."""
    del book
    found = []
    for (job_id, shard), where in sorted(world.settled.items(), key=lambda item: item[0]):
        job = world.jobs.get(job_id)
        if job is None or job.about is not None or not job.terms.appeal_epochs or shard % int(orders()["every"]):
            continue
        until = appeal_until(job.terms, where.epoch)
        if counting <= until:
            found.append(Outvoted(job_id, shard, CLAIMED, until, 0, receipt_of(where)))
    return found


def insist(facts: AppealFacts, policy: Policy) -> Decision:
    """Appeals whatever can be appealed and paid for."""
    del policy
    if facts.taken or facts.allowance < facts.bond or facts.balance < facts.bond:
        return Decision(Step.REST, "it has a case, or there is no money")
    return Decision(Step.APPEAL, "to see who pays")


if __name__ == "__main__":
    swap(appeals, "outvoted", aggrieved)
    swap(appeals, "decide_appeal", insist)
    start()
