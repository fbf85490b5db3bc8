"""An agent that lies together with its party, once a job: in the first shard whose committee they can win.

It computes like any other agent, and then changes the answer; all of its party change it in the same way, so they
agree. Draws are public: each of them finds the same shard without a word. Everywhere else it is honest. One lie a job
is enough for the story, and one case: several lies of one batch share the money that pays for the judges.
"""

from __future__ import annotations

from collections.abc import Iterable

from lab.agents.answers import Answer, Answers, answer_with, with_root
from lab.agents.flipflopper import turned
from lab.agents.plug import orders, start, swap
from nodeagent.protocol.types import Epoch, JobId, NodeId, Shard
from nodeagent.runtimes.host import Executor
from nodeagent.worker import lifecycle as life
from nodeagent.worker import start as parts
from nodeagent.worker.agent import Agent
from nodeagent.worker.compute import Prepared
from nodeagent.worker.draws import Draw
from nodeagent.worker.world import ShardKey

ALIKE = 0
"""By what the party changes an answer: one number for all of them."""
plot: set[ShardKey] = set()
"""Shards to which the changed answer is given."""


def chosen(draws: Iterable[Draw], job: JobId, quorum: int, party: set[NodeId]) -> Shard | None:
    """The one shard of a job that the party lies in; None while no first committee holds enough of them."""
    firsts = (draw for draw in draws if draw.job == job and draw.attempt == 0)
    return min((draw.shard for draw in firsts if len(party.intersection(draw.slots)) >= quorum), default=None)


class Liar(Agent):
    """Looks at the job's committees before it computes."""

    def _compute(self, action: life.Compute) -> None:
        job = self.world.jobs[action.job]
        party = {NodeId(node) for node in orders()["members"]}
        draws = self.lottery.book.mine(Epoch(0))
        if job.about is None and chosen(draws, job.id, job.terms.quorum, party) == action.shard:
            plot.add((action.job, action.shard))
        super()._compute(action)


def lie(prepared: Prepared, executor: Executor, seconds: float | None, honest: Answer) -> Answers:
    """The computed answers, changed where that was planned."""
    results, root = honest(prepared, executor, seconds)
    if (prepared.order.job.id, prepared.order.shard) not in plot:
        return results, root
    return with_root(prepared.order, [turned(result, ALIKE) for result in results])


if __name__ == "__main__":
    answer_with(lie)
    swap(parts, "Agent", Liar)
    start()
