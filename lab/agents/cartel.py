"""Signs one wrong root together with its party, wherever enough of them were drawn to settle it; else it is honest.

As judge it stands by that root, with ``judge`` = ``sign`` (to win the case) or ``pass`` (to keep it from a verdict).
"""

from __future__ import annotations

from lab.agents.answers import Answer, Answers, agreed_results, agreed_root, answer_with, with_root
from lab.agents.plug import orders, start, swap
from nodeagent.protocol.types import Shard, Task
from nodeagent.runtimes.host import Executor
from nodeagent.worker import lifecycle as life
from nodeagent.worker import start as parts
from nodeagent.worker.agent import Agent
from nodeagent.worker.compute import Prepared
from nodeagent.worker.world import Job, ShardKey

plot: set[ShardKey] = set()
"""Shards and cases to which the agreed answer is given."""


class Conspirator(Agent):
    """Looks at a committee before it answers: draws are public."""

    def _compute(self, action: life.Compute) -> None:
        job = self.world.jobs[action.job]
        if job.about is not None:
            if self._ours(*job.about):
                if orders()["judge"] == "pass":
                    return
                plot.add((action.job, action.shard))
        elif self._enough(job, action.shard):
            plot.add((action.job, action.shard))
        super()._compute(action)

    def _enough(self, job: Job, shard: Shard) -> bool:
        members = set(orders()["members"])
        now = self.clock(self.hands.block).epoch
        drawn = (d for d in self.lottery.book.mine(now) if (d.job, d.shard) == (job.id, shard))
        return any(len(members.intersection(draw.slots)) >= job.terms.quorum for draw in drawn)

    def _ours(self, job: Job, shard: Shard) -> bool:
        """Whether a shard settled with this party's answer."""
        first, count = Task(shard * job.terms.shard_size), job.terms.tasks_in(shard)
        settled = self.world.settled.get((job.id, shard))
        return settled is not None and settled.leaf.root == agreed_root(orders()["seed"], job.id, first, count)


def conspire(prepared: Prepared, executor: Executor, seconds: float | None, honest: Answer) -> Answers:
    """The agreed answer where it was planned, else the honest one."""
    order = prepared.order
    if (order.job.id, order.shard) not in plot:
        return honest(prepared, executor, seconds)
    job, _ = order.payload
    return with_root(order, agreed_results(orders()["seed"], job.id, order.first, prepared.spec.count))


if __name__ == "__main__":
    answer_with(conspire)
    swap(parts, "Agent", Conspirator)
    start()
