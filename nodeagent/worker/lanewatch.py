"""Lanes, read once a block: the own ones of every epoch that can still be opened, and who committed in past epochs.

A commit leaves no event: the lane word is all there is. Once an epoch is over nobody can commit in it any more, so who
did is read once and kept in the world.
"""

from __future__ import annotations

from nodeagent.chain.doors import Ledger
from nodeagent.protocol.lanes import ABSENT_PUNISHED, unpack_lane
from nodeagent.protocol.types import Epoch, NodeId
from nodeagent.worker.draws import DrawBook
from nodeagent.worker.lifecycle import Clock, Lane
from nodeagent.worker.views import own_lanes
from nodeagent.worker.world import World

HORIZON = 24
"""Epochs back to which other nodes' commits are of interest to a member: attempts and grace of an unpaced job."""
MOST_PAIRS = 1_000


def read_lanes(door: Ledger, world: World, book: DrawBook, clock: Clock, horizon: int = HORIZON) -> dict[Epoch, Lane]:
    """The own lanes up to the current epoch; fills ``world.committed`` for past epochs with draws.

    :param horizon: epochs back to which it does: for who reports faults, as long as they can be proven
    Raises Transient faults of the endpoint.
    """
    own = [Epoch(e) for e in range(max(0, clock.epoch - clock.reveal_grace), clock.epoch + 1)]
    missing = sorted(
        commit
        for commit in book.commits()
        if clock.epoch - horizon <= commit < clock.epoch and commit not in world.committed
    )
    others = [(node, commit) for commit in missing for node in sorted(book.drawn(commit))]
    pairs: list[tuple[NodeId, Epoch]] = [*((world.node, epoch) for epoch in own), *others]
    words: list[int] = []
    for start in range(0, len(pairs), MOST_PAIRS):
        words.extend(door.lanes(pairs[start : start + MOST_PAIRS]))
    for commit in missing:
        world.committed[commit] = set()
    for (node, commit), word in zip(others, words[len(own) :], strict=True):
        lane = unpack_lane(word)
        # Marked absent, the lane carries the epoch in which its node did not commit.
        if lane.epoch == commit and not lane.empty and not lane.has(ABSENT_PUNISHED):
            world.committed[commit].add(node)
    return own_lanes(dict(zip(own, words, strict=False)))
