"""appeal → judges → verdict → forfeits, slashes, claims; or no verdict."""

from __future__ import annotations

from functools import partial

import numpy as np

from lab.simulate.books import Case
from lab.simulate.draws import Ints, Nodes, draw_committees
from lab.simulate.kinds import JUDGE_ROOT, NOTHING, RIGHT, Codes, Kind
from lab.simulate.shards import Shards, outcome
from lab.simulate.world import JOB, REQUESTER, World
from nodeagent.protocol.constants import COUNTED_DELAY
from nodeagent.protocol.epochs import closable_from, stride


class Courts:
    """Cases, by the row of the shard they are about: one per shard."""

    def __init__(self, world: World, shards: Shards) -> None:
        self.world, self.shards = world, shards
        self.cases: dict[int, Case] = {}
        self._numbers: Ints = np.zeros(world.options.shards, np.int64)
        self._jobs = JOB

    # --- appeal -------------------------------------------------------------------------------------------------

    def consider(self, epoch: int, rows: Ints) -> None:
        """Lets those who were outvoted in freshly settled shards, and the requester, appeal."""
        options = self.world.options
        wrong = self.shards.root[rows] != RIGHT
        accused = self._outvoted(rows[wrong], Kind.HONEST, options.appeals)
        by_requester = (accused == 0) & (self.world.rng.random(len(accused)) < options.requester_appeals)
        false = self._outvoted(rows[~wrong], Kind.CARTEL, options.false_appeals)
        false = np.where(false == 0, self._fished(rows[~wrong]), false)
        appealed, accusers = np.r_[rows[wrong], rows[~wrong]], np.r_[accused, false]
        asks = np.r_[by_requester, np.zeros(len(false), bool)]
        chosen = (accusers != 0) | asks
        if chosen.any():
            self._appeal(epoch, appealed[chosen], accusers[chosen].tolist())

    def _outvoted(self, rows: Ints, kind: Kind, chance: float) -> Nodes:
        """First member of a kind, by slot, that was outvoted and decides to appeal; 0 for none."""
        drawn, codes, roots = self._settled(rows)
        could = (self.world.people.kinds[drawn] == kind) & (codes != roots[:, None])
        could &= self.world.rng.random(could.shape) < chance
        first = could.argmax(axis=1)
        at = np.arange(len(rows))
        return np.where(could[at, first], drawn[at, first], 0).astype(np.uint32)

    def _fished(self, rows: Ints) -> Nodes:
        """A fisher for each shard whose committee has none of its own and that it decides to appeal; 0 for none."""
        fishers = np.flatnonzero(self.world.people.of(Kind.FISHER))
        if not len(fishers):
            return np.zeros(len(rows), np.uint32)
        spared = (self.world.people.kinds[self._settled(rows)[0]] == Kind.FISHER).any(axis=1)
        chosen = ~spared & (self.world.rng.random(len(rows)) < self.world.options.fishing)
        return np.where(chosen, fishers[0], 0).astype(np.uint32)

    def _settled(self, rows: Ints) -> tuple[Nodes, Codes, Codes]:
        attempts = self.shards.attempt[rows]
        return self.shards.committees[attempts, rows], self.shards.codes[attempts, rows], self.shards.root[rows]

    def _appeal(self, epoch: int, rows: Ints, accusers: list[int]) -> None:
        world = self.world
        drawn, codes, roots = self._settled(rows)
        paid = codes == roots[:, None]
        for at, row in enumerate(rows.tolist()):
            self.cases[row] = world.books.appeal(
                JOB, row, epoch, accusers[at] or REQUESTER, int(roots[at]),
                tuple(drawn[at][paid[at]].tolist()),
            )  # fmt: skip
        self._numbers[rows] = np.arange(self._jobs + 1, self._jobs + 1 + len(rows))
        self._jobs += len(rows)
        world.counts["appeals"] += len(rows)
        world.agenda[epoch + 1].append(partial(self._start, 0, rows))

    # --- judges -------------------------------------------------------------------------------------------------

    def _start(self, attempt: int, rows: Ints, epoch: int) -> None:
        world = self.world
        numbers: list[int] = self._numbers[rows].tolist()
        judges = draw_committees(
            world.seed(epoch),
            numbers,
            [0] * len(rows),
            world.options.judges,
            world.table(epoch),
            self._settled(rows)[0],
        )
        codes = world.people.answers(judges, JUDGE_ROOT + 16 * attempt, world.books.rules.case_quorum)
        commit = epoch + world.options.work - 1
        late = self.shards.seal(judges, commit)
        verdicts = outcome(codes, world.books.rules.case_quorum)
        settles = verdicts != NOTHING
        for delay, now in ((1, settles & ~late), (COUNTED_DELAY, settles & late)):
            if now.any():
                found = partial(self._settle, rows[now], judges[now], codes[now], verdicts[now])
                world.agenda[commit + delay].append(found)
        again = rows[~settles]
        if not len(again):
            return
        if attempt + 1 < world.options.attempts:
            world.agenda[epoch + stride(world.terms)].append(partial(self._start, attempt + 1, again))
        else:
            over = epoch + stride(world.terms) + world.books.rules.settle_grace
            world.agenda[over].append(partial(self._give_up, again))

    def _give_up(self, rows: Ints, epoch: int) -> None:  # noqa: ARG002
        for row in rows.tolist():
            self.world.books.no_verdict(self.cases[row])
        self.world.counts["contested"] += len(rows)

    # --- verdict ------------------------------------------------------------------------------------------------

    def _settle(self, rows: Ints, judges: Nodes, codes: Codes, verdicts: Codes, epoch: int) -> None:
        world, rules = self.world, self.world.books.rules
        paid = codes == verdicts[:, None]
        for at, row in enumerate(rows.tolist()):
            case, verdict = self.cases[row], int(verdicts[at])
            nodes: list[int] = judges[at][paid[at]].tolist()
            world.books.settle_one(case, case.terms.tasks, nodes, nodes[0])
            overturned = world.books.resolve(case, verdict, epoch)
            world.counts["overturned" if overturned else "upheld"] += 1
            world.counts["wrong_verdicts"] += verdict != RIGHT
            self._report_wrong(row, case, verdict, epoch)
            if overturned:
                self._claim(row, case, verdict)
        for start in {self.cases[row].terms.post_epoch for row in rows.tolist()}:
            mine = rows[[self.cases[row].terms.post_epoch == start for row in rows.tolist()]]
            terms = self.cases[int(mine[0])].terms
            over = closable_from(terms, rules.settle_grace, rules.report_epochs)
            world.agenda[max(over, epoch + 1)].append(partial(self._close, mine))

    def _report_wrong(self, row: int, case: Case, verdict: int, epoch: int) -> None:
        """Every opening of any attempt that is not the verdict, as soon as it can be: the tenth is the accuser's."""
        shards, world = self.shards, self.world
        for attempt in range(int(shards.attempt[row]) + 1):
            codes = shards.codes[attempt, row].tolist()
            if all(code in (NOTHING, verdict) for code in codes):
                continue
            commit = shards.commit_epoch(row, attempt)
            for node, code in zip(shards.committees[attempt, row].tolist(), codes, strict=True):
                if code not in (NOTHING, verdict):
                    lost = world.books.report_wrong(case, node, commit, case.accuser, epoch)
                    world.slashed(node, lost, epoch)

    def _claim(self, row: int, case: Case, verdict: int) -> None:
        drawn, codes, _ = self._settled(np.array([row]))
        for node in drawn[0][codes[0] == verdict].tolist():
            self.world.books.claim(self.world.books.jobs[JOB], case.terms.tasks, node)

    def _close(self, rows: Ints, epoch: int) -> None:  # noqa: ARG002
        for row in rows.tolist():
            self.world.books.close_case(self.cases[row])

    # --- what became of the results -----------------------------------------------------------------------------

    def wrong_final(self) -> int:
        """Shards whose final result is wrong: settled wrong and never appealed, or judged wrong."""
        settled_wrong = set(np.flatnonzero((self.shards.root != RIGHT) & (self.shards.attempt >= 0)).tolist())
        judged = sum(1 for case in self.cases.values() if case.verdict is not None and case.verdict != RIGHT)
        return len(settled_wrong - self.cases.keys()) + judged
