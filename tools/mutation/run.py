"""Works through a sample with several workers, each with its copy and its loaded compiler."""

from __future__ import annotations

import dataclasses
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tools.mutation.equivalence import OTHER_BYTECODE, RUNS, SAME_BYTECODE, Bytecode, Differential, Listed, listed_as
from tools.mutation.forge import Compiler
from tools.mutation.mutants import Mutant
from tools.mutation.nearness import Nearness
from tools.mutation.records import Record, State
from tools.mutation.trial import Trial, suite_of, try_mutant
from tools.mutation.workspace import Baseline, Workspace

COUNTED = ("killed", "survived", "equivalent")


@dataclass(frozen=True, slots=True)
class Plan:
    """Mutants in the order of the sample, the texts they change, and how many must count."""

    order: list[Mutant]
    texts: dict[str, bytes]
    wanted: int
    contracts: str
    tests: str

    def key(self, mutant: Mutant) -> str:
        return mutant.key(self.texts[mutant.file])

    def records(self, state: State) -> list[Record]:
        """Results of the sample so far, in its order; those that did not compile among them."""
        found: list[Record] = []
        counted = 0
        for mutant in self.order:
            if counted == self.wanted:
                break
            if record := state.records.get(self.key(mutant)):
                found.append(record)
                counted += record.status in COUNTED
        return found


class Run:
    """Hands out mutants until enough count, time is up or somebody stops it."""

    def __init__(
        self,
        root: Path,
        solc: Path,
        plan: Plan,
        state: State,
        near: Nearness,
        baseline: Baseline,
        deadline: float | None,
    ) -> None:
        self._root, self._solc = root, solc
        self._plan, self._state, self._near, self._baseline = plan, state, near, baseline
        self._deadline = deadline
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._position = 0
        self._running = 0
        self._counted = 0
        self._broken = 0

    def work(self, workers: int, say: Callable[[str], None]) -> None:
        """Return when the sample is complete, the deadline passed, or after an interrupt."""
        previous = signal.signal(signal.SIGINT, self._stop)
        try:
            with ThreadPoolExecutor(workers) as pool:
                for done in [pool.submit(self._work_one, number, say) for number in range(workers)]:
                    done.result()
        finally:
            signal.signal(signal.SIGINT, previous)

    def _stop(self, *_: object) -> None:
        self._stopped.set()  # a second one ends the program at once
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def _work_one(self, number: int, say: Callable[[str], None]) -> None:
        mutant = self._next()
        if mutant is None:
            return
        workspace = Workspace(self._root / "build" / "mutation" / "work", f"worker{number}")
        compiler = Compiler(self._root, self._solc, jobs=1)
        try:
            while mutant is not None:
                text = mutant.apply(self._plan.texts[mutant.file])
                trial = try_mutant(mutant, text, self._near, self._baseline, workspace, compiler)
                self._finish(mutant, trial, say)
                mutant = self._next()
        except BaseException:
            self._stopped.set()
            raise
        finally:
            compiler.close()

    def _next(self) -> Mutant | None:
        """The next mutant that has no result, if one more may count."""
        with self._lock:
            while self._position < len(self._plan.order):
                if self._counted + self._running >= self._plan.wanted:
                    return None
                if self._stopped.is_set() or (self._deadline and time.monotonic() > self._deadline):
                    return None
                mutant = self._plan.order[self._position]
                self._position += 1
                known = self._state.records.get(self._plan.key(mutant))
                if known is None:
                    self._running += 1
                    return mutant
                self._counted += known.status in COUNTED
        return None

    def _finish(self, mutant: Mutant, trial: Trial, say: Callable[[str], None]) -> None:
        record = Record(
            key=self._plan.key(mutant),
            contracts=self._plan.contracts,
            tests=self._plan.tests,
            status=trial.status,
            file=mutant.file,
            line=mutant.line,
            operator=mutant.operator,
            function=mutant.function,
            diff=mutant.diff(self._plan.texts[mutant.file]),
            stage=trial.stage,
            killer=trial.killer,
            seconds=round(trial.seconds, 2),
            cpu=round(trial.cpu, 2),
            note=trial.note,
        )
        with self._lock:
            self._state.add(record)
            self._running -= 1
            self._counted += trial.status in COUNTED
            if suite := suite_of(trial):
                self._near.learn(mutant, suite)
            where = f"{mutant.file}:{mutant.line} {mutant.operator}"
            say(f"{self._counted}/{self._plan.wanted} {trial.status} ({trial.stage}, {trial.seconds:.0f} s) {where}")
            if trial.status == "broken":
                say(f"forge itself failed:\n{trial.note}")
                self._broken += 1
                if self._broken > 5:
                    raise ValueError("forge itself failed more than five times; see above")


def settle_survivors(
    plan: Plan,
    state: State,
    entries: list[Listed],
    differential: Differential,
    bytecode: Bytecode,
    say: Callable[[str], None],
) -> None:
    """Mark survivors that are proven to be no faults as equivalent."""
    mutants = {plan.key(mutant): mutant for mutant in plan.order}
    for record in plan.records(state):
        if record.status != "survived":
            continue
        mutant = mutants[record.key]
        entry = listed_as(record, entries)
        proof = differential.proof(entry.test) if entry else ""
        if entry and not proof:
            say(f"equivalent.toml: {entry.test} does not run {RUNS:,} cases without a difference")
        if not proof and record.note != OTHER_BYTECODE:
            same = bytecode.same(mutant.file, mutant.apply(plan.texts[mutant.file]))
            proof = SAME_BYTECODE if same else ""
            record = dataclasses.replace(record, note="" if same else OTHER_BYTECODE)
        if proof:
            record = dataclasses.replace(record, status="equivalent", proof=proof)
        if record != state.records[record.key]:
            state.add(record)
