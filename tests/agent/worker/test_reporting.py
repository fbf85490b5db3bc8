"""Faults that may be reported: whose, from when, and until when."""

from __future__ import annotations

from scene import ME, ROOT, committed, pool_of, posted, revealed, seeds, settled, world

from nodeagent.protocol.settlement import SettledLeaf
from nodeagent.protocol.trees import root_from_proof
from nodeagent.protocol.types import Epoch, JobId, NodeId, Shard
from nodeagent.worker.draws import DrawBook
from nodeagent.worker.reporting import Unrevealed, absent, unrevealed
from nodeagent.worker.world import World

C = 10
LEAF = SettledLeaf(JobId(1), Shard(0), 0, 3, ROOT)


def scene(*nodes: int) -> tuple[World, DrawBook]:
    """A settled shard of a committee of three, of whom ``nodes`` committed and opened."""
    w = world([*pool_of(3), posted(1), settled(1125, LEAF)])
    w.apply([revealed(node, C, {(1, 0): ROOT}) for node in nodes])
    committed(w, C, *nodes)
    return w, DrawBook(w, seeds(*range(9, 30)))


def test_unrevealed__past_its_grace__others_only() -> None:
    w, _ = scene(2)
    committed(w, C, 1, 3)
    assert unrevealed(w, Epoch(C + 8), 8) == []
    assert unrevealed(w, Epoch(C + 9), 8) == [Unrevealed(NodeId(3), Epoch(C))], "its own lane is not its business"


def test_absent__never_committed__a_slot_with_a_path_that_proves() -> None:
    w, book = scene(1, 2)
    (found,) = absent(w, book, Epoch(112), 4)
    draw = book.get(w.jobs[JobId(1)], Shard(0), 0)
    assert draw is not None and draw.slots[found.slot] == found.node == 3 and found.epoch == C
    assert root_from_proof(LEAF.hash(), found.receipt.path) == LEAF.hash()


def test_absent__lanes_not_read_or_window_over_or_oneself__none() -> None:
    w, book = scene(1, 2)
    assert absent(w, book, Epoch(116), 4) and not absent(w, book, Epoch(117), 4)
    w, book = scene(2, 3)
    assert absent(w, book, Epoch(112), 4) == [] and w.node == ME
    w.committed.clear()
    assert absent(w, book, Epoch(112), 4) == []
