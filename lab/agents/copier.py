"""Computes nothing: waits until others have opened their answers, copies them, and commits late."""

from __future__ import annotations

from collections import Counter

from lab.agents.plug import start, swap
from nodeagent.chain.scan import Head
from nodeagent.content.cid import Cid
from nodeagent.protocol.types import Epoch
from nodeagent.worker import lifecycle as life
from nodeagent.worker import start as parts
from nodeagent.worker.agent import Agent
from nodeagent.worker.draws import Draw
from nodeagent.worker.ledger import Result
from nodeagent.worker.settling import openings_of

FORCED_GAS = 120_000  # sent without asking the chain first, which would refuse
honest = life.decide


def wait(state: life.State, facts: life.Facts, now: life.Clock) -> list[life.Action]:
    """What an honest node does, without computing, and without sealing what it has nothing to copy for."""
    actions = honest(state, facts, now)
    unready = {action.epoch for action in actions if isinstance(action, life.Seal)}
    found: list[life.Action] = []
    for action in actions:
        if isinstance(action, life.Turn) and action.epoch in unready:
            opened = Epoch(action.epoch - 1)
            found.append(life.Reveal(opened, now.last(Epoch(opened + now.reveal_grace))))
        elif not isinstance(action, life.Compute) and not (
            isinstance(action, life.Seal | life.Commit) and action.epoch in unready
        ):
            found.append(action)
    return found


class Copier(Agent):
    """Seals, in the epoch after the one it should have committed in, what the others opened."""

    def _act(self, head: Head) -> None:
        super()._act(head)
        now = self.clock(head.block).epoch
        if self.hands.ledger.batch(now) is None:
            copied = [draw for draw in self.lottery.book.mine(Epoch(now - 1)) if self._copy(draw, now)]
            if copied:
                batch = self.hands.seal(life.Seal(now, tuple((draw.job, draw.shard) for draw in copied)))
                late = self.hands.doors.ledger.commit(Epoch(now - 1), batch.digest)
                self.hands.outbox.submit(f"late:{now - 1}", late, block=head.block, gas=FORCED_GAS)

    def _copy(self, draw: Draw, now: Epoch) -> bool:
        """Takes over what most others opened, as if it were an own result."""
        roots = Counter(openings_of(self.world, draw).values())
        if draw.commit != now - 1 or not roots:
            return False
        root = roots.most_common(1)[0][0]
        question, cid = self.world.jobs[draw.job].question(draw.shard), str(Cid.from_digest(root))
        self.hands.ledger.add_result(Result(draw.job, draw.shard, root, question, cid, 1, 1))
        return True


if __name__ == "__main__":
    swap(life, "decide", wait)
    swap(parts, "Agent", Copier)
    start()
