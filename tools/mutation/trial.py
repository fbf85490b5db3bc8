"""Tests one mutant: unit tests of a library, the nearest test files, all quick tests, everything."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tools.mutation.forge import Compiler, Outcome, forge_test
from tools.mutation.mutants import Mutant
from tools.mutation.nearness import Nearness
from tools.mutation.workspace import FEWER_RUNS, SHORT_STORIES, Baseline, Workspace

CONTRACT_TESTS = "tests/{contracts,libraries}/**"
# Unit tests deploy nothing: what the library's other users are compiled to does not matter to them. Forge compiles all
# sources besides the tests that were asked for: here there are none.
ALONE = {"FOUNDRY_OUT": "build/unit/out", "FOUNDRY_CACHE_PATH": "build/unit/cache", "FOUNDRY_SRC": "tests/none"}


@dataclass(frozen=True, slots=True)
class Trial:
    """`status`: killed, survived, stillborn or broken; `stage`: unit, near, quick or whole.

    `killer` is `file:test`, or a reason such as `processor time`; `note` is the end of what forge
    printed when it broke.
    """

    status: str
    stage: str
    killer: str
    seconds: float
    cpu: float
    note: str = ""


def only(names: tuple[str, ...]) -> str:
    """A regular expression for exactly these test names."""
    return rf"^({'|'.join(names)})\b"


def matching(files: list[str]) -> str:
    """A glob for exactly these files."""
    return files[0] if len(files) == 1 else "{" + ",".join(files) + "}"


def stages(units: list[str], near: list[str], baseline: Baseline) -> list[tuple[str, list[str], dict[str, str]]]:
    """Name, forge's arguments and variables of each stage, from the quickest kill to the surest."""
    out = ["--no-match-test", only(baseline.left_out)] if baseline.left_out else []
    quick = baseline.left_out + baseline.slow
    fast = ["--no-match-test", only(quick)] if quick else []
    found: list[tuple[str, list[str], dict[str, str]]] = []
    if units:
        found.append(("unit", ["--match-path", matching(units), *fast], FEWER_RUNS | ALONE))
    if near:
        found.append(("near", ["--match-path", matching(near), *fast], FEWER_RUNS))
    found.append(("quick", ["--match-path", CONTRACT_TESTS, *fast], FEWER_RUNS))
    found.append(("whole", out, FEWER_RUNS | SHORT_STORIES))
    return found


def try_mutant(
    mutant: Mutant, text: bytes, near: Nearness, baseline: Baseline, workspace: Workspace, compiler: Compiler
) -> Trial:
    """Run the stages until one fails; the workspace is as before when this returns."""
    workspace.put(mutant.file, text)
    spent, cpu = 0.0, 0.0
    stage = ""
    try:
        for stage, arguments, variables in stages(near.units(mutant), near.nearest(mutant), baseline):
            environment = compiler.environment() | variables
            outcome = forge_test(workspace.path, ["--fail-fast", *arguments], environment, baseline.limit)
            spent, cpu = spent + outcome.seconds, cpu + outcome.cpu
            if outcome.verdict != "passed":
                return Trial(status_of(outcome), stage, killer_of(outcome), spent, cpu, note_of(outcome))
        return Trial("survived", stage, "", spent, cpu)
    finally:
        workspace.restore(mutant.file)


def status_of(outcome: Outcome) -> str:
    return {"failed": "killed", "exhausted": "killed", "uncompiled": "stillborn"}.get(outcome.verdict, "broken")


def killer_of(outcome: Outcome) -> str:
    if outcome.verdict == "exhausted":
        return "processor time"
    return f"{outcome.suite}:{outcome.test}" if outcome.verdict == "failed" else ""


def note_of(outcome: Outcome) -> str:
    return outcome.output[-1500:] if outcome.verdict == "broken" else ""


def suite_of(trial: Trial) -> str:
    """The test file that killed, or an empty string."""
    file = trial.killer.split(":")[0]
    return file if Path(file).suffix == ".sol" else ""
