"""What theory expects of a whole run, epoch by epoch, each from the seats that its draws use.

Nothing of a draw's outcome goes in. As long as nobody leaves the pool the seats are known before the run starts,
and so are these numbers; when ghosts leave, each epoch's expectation is made from who is left.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from lab.simulate.expected import Chances, Committee, Pool, Theory
from lab.simulate.kinds import Kind


class Foresight:
    """Expected counts, and the expected numbers of shards and cases that have still to be tried again.

    :param theory: the run's terms
    :param stride: epochs from one attempt to the next
    :param case_after: epochs from an attempt's start to the start of the case about its result, settled at once
    :param at: pool of an epoch and what theory says of it
    """

    def __init__(self, theory: Theory, stride: int, case_after: int, at: Callable[[int], tuple[Pool, Chances]]) -> None:
        self._theory, self._stride, self._case_after, self._at = theory, stride, case_after, at
        self._shards: defaultdict[int, defaultdict[int, float]] = defaultdict(lambda: defaultdict(float))
        self._cases: defaultdict[int, defaultdict[tuple[int, Committee], float]] = defaultdict(
            lambda: defaultdict(float)
        )
        self._courts: dict[tuple[frozenset[tuple[tuple[Kind, int], int]], Committee], tuple[float, float]] = {}
        self.counts: defaultdict[str, float] = defaultdict(float)

    def expect(self, epoch: int, shards: int) -> None:
        """Notes shards whose first attempt starts in an epoch."""
        self._shards[epoch][0] += shards

    def epochs(self) -> list[int]:
        """Epochs in which something is expected."""
        return [*self._shards, *self._cases]

    def look(self, epoch: int) -> None:
        """Adds what is expected of the attempts that start in an epoch. To be called for ascending epochs."""
        for attempt, pending in sorted(self._shards.pop(epoch, {}).items()):
            self._shard(epoch, attempt, pending)
        for (attempt, committee), pending in self._cases.pop(epoch, {}).items():
            self._case(epoch, attempt, committee, pending)

    def _shard(self, epoch: int, attempt: int, pending: float) -> None:
        chances = self._at(epoch)[1]
        self.counts["wrong_settled"] += pending * chances.wrong
        self.counts["wrong_final"] += pending * chances.unappealed
        for committee, chance in chances.appealed:
            self.counts["appeals"] += pending * chance
            self._cases[epoch + self._case_after][0, committee] += pending * chance
        failed = pending * chances.failed
        if attempt + 1 == self._theory.attempts:
            self.counts["expired"] += failed
        elif failed:
            self._shards[epoch + self._stride][attempt + 1] += failed

    def _case(self, epoch: int, attempt: int, committee: Committee, pending: float) -> None:
        bad, fail = self._court(self._at(epoch)[0], committee)
        self.counts["wrong_verdicts"] += pending * bad
        self.counts["wrong_final"] += pending * bad
        if attempt + 1 == self._theory.attempts:
            self.counts["contested"] += pending * fail
        elif fail:
            self._cases[epoch + self._stride][attempt + 1, committee] += pending * fail

    def _court(self, pool: Pool, committee: Committee) -> tuple[float, float]:
        """Chances of a wrong verdict and of none in one attempt; a pool that stays is asked about once."""
        key = (frozenset(pool.items()), committee)
        if key not in self._courts:
            bad, _, fail = self._theory.court(pool, committee)
            self._courts[key] = (bad, fail)
        return self._courts[key]
