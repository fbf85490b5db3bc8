"""post → commit → reveal → settle, for all shards of the job at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from lab.simulate.draws import Ints, Nodes, draw_committees
from lab.simulate.foresight import Foresight
from lab.simulate.kinds import CARTEL_ROOT, NOTHING, OWN_ROOT, RIGHT, Codes, Kind
from lab.simulate.purses import ABSENT, UNREVEALED
from lab.simulate.world import JOB, REPORTERS, World
from nodeagent.protocol.constants import COUNTED_DELAY
from nodeagent.protocol.epochs import first_epoch, stride
from nodeagent.protocol.types import Shard

Flags = NDArray[np.bool_]


def outcome(codes: Codes, quorum: int) -> Codes:
    """Which answer has a quorum in each row, 0 for none."""
    right = (codes == RIGHT).sum(axis=1) >= quorum
    wrong = (codes == CARTEL_ROOT).sum(axis=1) >= quorum
    return np.where(right, RIGHT, np.where(wrong, CARTEL_ROOT, NOTHING)).astype(np.uint8)


class Shards:
    """Every shard's attempts: who was drawn, what they opened, which answer settled and when."""

    def __init__(self, world: World) -> None:
        self.world = world
        options = world.options
        shape = (options.attempts, options.shards, options.committee)
        self.committees: Nodes = np.zeros(shape, np.uint32)
        self.codes: Codes = np.zeros(shape, np.uint8)
        self.root: Codes = np.zeros(options.shards, np.uint8)
        self.attempt: NDArray[np.int8] = np.full(options.shards, -1, np.int8)
        self.foresight = Foresight(options.theory, stride(world.terms), options.work + 1, world.chances)
        self._sealed: defaultdict[int, list[Nodes]] = defaultdict(list)
        self.on_settled: Callable[[int, Ints], None] | None = None

    def first(self, row: int) -> int:
        """Epoch in which attempt 0 of a shard starts."""
        return first_epoch(self.world.terms, Shard(row))

    def commit_epoch(self, row: int, attempt: int) -> int:
        """Epoch in which the members of an attempt commit."""
        return self.first(row) + attempt * stride(self.world.terms) + self.world.options.work - 1

    def schedule(self) -> None:
        """Puts every first attempt on the agenda."""
        count, pace = self.world.options.shards, self.world.terms.pace
        for low in range(0, count, pace):
            rows = np.arange(low, min(low + pace, count))
            epoch = self.first(low)
            self.foresight.expect(epoch, len(rows))
            self.world.agenda[epoch].append(partial(self._start, 0, rows))

    # --- draw, commit, reveal -----------------------------------------------------------------------------------

    def _start(self, attempt: int, rows: Ints, epoch: int) -> None:
        world = self.world
        numbers: list[int] = rows.tolist()
        drawn = draw_committees(
            world.seed(epoch), [JOB] * len(rows), numbers, world.options.committee, world.table(epoch)
        )
        codes = world.people.answers(drawn, OWN_ROOT + 16 * attempt)
        self.committees[attempt][rows], self.codes[attempt][rows] = drawn, codes
        world.counts["attempts"] += len(rows)
        commit = epoch + world.options.work - 1
        late = self.seal(drawn, commit)
        roots = outcome(codes, world.options.quorum)
        settles = roots != NOTHING
        self.root[rows[settles]], self.attempt[rows[settles]] = roots[settles], attempt
        for delay, now in ((1, settles & ~late), (COUNTED_DELAY, settles & late)):
            if now.any():
                world.agenda[commit + delay].append(partial(self._settle, attempt, rows[now]))
        again = rows[~settles]
        if world.progress and attempt == 0:
            world.progress(len(rows))
        if attempt + 1 < world.options.attempts:
            if len(again):
                world.agenda[epoch + stride(world.terms)].append(partial(self._start, attempt + 1, again))
        else:
            world.counts["expired"] += len(again)

    def seal(self, drawn: Nodes, commit: int) -> Flags:
        """Notes duties and lanes that stay sealed; whether a row has one, which holds its settlement up."""
        world = self.world
        world.duties += np.bincount(drawn.ravel(), minlength=len(world.duties))
        held = world.people.kinds[drawn] == Kind.WITHHOLDER
        if held.any():
            if commit not in self._sealed:
                due = commit + world.books.rules.reveal_grace + 1
                world.agenda[due].append(partial(self._report_unrevealed, commit))
            self._sealed[commit].append(drawn[held])
        return np.asarray(held.any(axis=1), np.bool_)

    def _report_unrevealed(self, commit: int, epoch: int) -> None:
        for node in np.unique(np.concatenate(self._sealed.pop(commit))).tolist():
            self.world.punish(node, commit, UNREVEALED, epoch, REPORTERS)

    # --- settle -------------------------------------------------------------------------------------------------

    def _settle(self, attempt: int, rows: Ints, epoch: int) -> None:
        world = self.world
        drawn = self.committees[attempt][rows]
        paid = self.codes[attempt][rows] == self.root[rows][:, None]
        sizes = np.full(len(rows), world.options.shard_size)
        payees = drawn[np.arange(len(rows)), paid.argmax(axis=1)]  # the first of the paid sends the transaction
        world.books.settle(JOB, sizes, drawn, paid, payees)
        world.counts["settled"] += len(rows)
        world.counts["wrong_settled"] += int((self.root[rows] != RIGHT).sum())
        self._report_absent(attempt, rows, drawn, epoch)
        if self.on_settled:
            self.on_settled(epoch, rows)

    def _report_absent(self, attempt: int, rows: Ints, drawn: Nodes, epoch: int) -> None:
        ghosts = self.world.people.kinds[drawn] == Kind.GHOST
        for at in np.flatnonzero(ghosts.any(axis=1)).tolist():
            commit = self.commit_epoch(int(rows[at]), attempt)
            for node in drawn[at][ghosts[at]].tolist():
                self.world.punish(node, commit, ABSENT, epoch, REPORTERS)
                self.world.leave(node, epoch)
