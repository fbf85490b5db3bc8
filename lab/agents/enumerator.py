"""Tries to sell several answers to one question, in every way the ledger could be talked into.

``way`` is ``leaves`` (two answers in one batch), or ``roots`` (a second commit in the same epoch, and then an opening
of that instead of what was sealed first). It computes nothing: it guesses, and would name the right answer later.
"""

from __future__ import annotations

import secrets

from lab.agents.answers import Answer, Answers, answer_with, random_answers
from lab.agents.plug import orders, start, swap
from nodeagent.chain.rpc import to_bytes
from nodeagent.protocol.leaves import commit_digest, parse_leaves
from nodeagent.protocol.types import Epoch
from nodeagent.runtimes.host import Executor
from nodeagent.worker import lifecycle as life
from nodeagent.worker import start as parts
from nodeagent.worker.compute import Prepared
from nodeagent.worker.hands import Hands
from nodeagent.worker.ledger import Batch

FORCED_GAS = 200_000  # sent without asking the chain first, which would refuse


class TwoLeaves(Hands):
    """Seals two leaves for every shard, a guess each."""

    def seal(self, action: life.Seal) -> Batch:
        known = self.ledger.batch(action.epoch)
        if known is not None:
            return known
        one = Hands.seal(self, action)
        leaves = b"".join(
            leaf.pack() + leaf._replace(root=secrets.token_bytes(32)).pack() for leaf in parse_leaves(one.leaves)
        )
        batch = Batch(one.epoch, leaves, one.manifest, one.manifest_digest, one.salt, self._digest(one, leaves))
        with self.ledger.connection as connection:
            connection.execute(
                "UPDATE batches SET leaves = ?, digest = ? WHERE epoch = ?", (leaves, batch.digest, batch.epoch)
            )
        return batch

    def _digest(self, batch: Batch, leaves: bytes) -> bytes:
        chain, ledger = self.deployment.chain_id, to_bytes(self.deployment.ledger)
        return commit_digest(chain, ledger, self.node, batch.epoch, leaves, batch.manifest_digest, batch.salt)


class TwoRoots(TwoLeaves):
    """Commits a second batch of guesses over the first, and opens that one first."""

    def seal(self, action: life.Seal) -> Batch:
        return Hands.seal(self, action)

    def commit(self, action: life.Commit) -> None:
        Hands.commit(self, action)
        self._second(action.epoch)

    def turn(self, action: life.Turn) -> None:
        self._other(Epoch(action.epoch - 1))
        Hands.turn(self, action)
        self._second(action.epoch)

    def reveal(self, action: life.Reveal) -> None:
        self._other(action.epoch)
        Hands.reveal(self, action)

    def _guesses(self, batch: Batch) -> bytes:
        return b"".join(leaf._replace(root=bytes(31) + b"\1").pack() for leaf in parse_leaves(batch.leaves))

    def _second(self, epoch: Epoch) -> None:
        batch = self._batch(epoch)
        call = self.doors.ledger.commit(epoch, self._digest(batch, self._guesses(batch)))
        self.outbox.submit(f"second:{epoch}", call, block=self.block, gas=FORCED_GAS)

    def _other(self, epoch: Epoch) -> None:
        batch = self._batch(epoch)
        call = self.doors.ledger.reveal(self.node, epoch, self._guesses(batch), batch.manifest_digest, batch.salt)
        self.outbox.submit(f"other:{epoch}", call, block=self.block, gas=FORCED_GAS)


def guess(prepared: Prepared, executor: Executor, seconds: float | None, honest: Answer) -> Answers:
    """A guess."""
    del executor, seconds, honest
    return random_answers(prepared.order, prepared.spec.count)


if __name__ == "__main__":
    answer_with(guess)
    swap(parts, "Hands", TwoLeaves if orders()["way"] == "leaves" else TwoRoots)
    start()
