"""Plays the invariant suites and the fuzz tests for long, piece by piece.

    python -m tools.deep [--calls 10000000] [--fuzz-runs 100000] [--minutes N] [--fresh]

A piece is one `forge test` with a seed of its own: the suites of `tests/invariants`, or every
`testFuzz_…`. What a piece found is kept in `build/deep/state.json`, so a run may be interrupted and
goes on where it stopped; it starts anew when contracts, tests or settings have changed, or with
`--fresh`. Every run of a suite also fails by itself when a frequent action was too seldom done
(tests/invariants/Counts.sol); here every action of every suite, the rarest too, must have succeeded
`EACH` times in ten million calls, or its share of them. That a suite, an action or all fuzz tests are
not there fails as well.

Writes `build/deep.json`: {"suites": [{"name", "calls", "reverts", "actions": {name: times}}],
"calls_total", "fuzz_runs", "passed"}. `fuzz_runs` are those of each fuzz test, but for
the few that play a whole story a case: they say themselves how many of each ten thousand. Exit 0
when all passed, 1 when something failed, 2 when it stopped before the end (run it again).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tools.deepcounts import CALLS, Suite, counted_actions, read_counts, too_seldom

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / "build" / "deep"
STATE = HOME / "state.json"
COUNTS = Path("build") / "deep" / "counts.txt"  # where the deep profile lets tests write
REPORT = ROOT / "build" / "deep.json"
SUITES = "tests/invariants/*.t.sol"
PROOFS = Path("tests") / "proofs"
COUNTED = ROOT / "tests" / "invariants" / "Counts.sol"
DEPTH = 5_000  # calls of one run: a long story, whose cost still grows little
PIECE = 1_000_000  # calls over all suites
FUZZ_PIECE = 10_000


class ForgeFailed(Exception):
    """Forge gave no result: what it printed last."""


@dataclass(slots=True)
class State:
    """Everything found so far; `seed` is the next piece's."""

    fingerprint: str
    seed: int = 1
    fuzz_runs: int = 0
    suites: dict[str, Suite] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    @property
    def calls(self) -> int:
        return sum(suite.calls for suite in self.suites.values())

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(self)))
        partial.replace(path)


def load_state(path: Path, fingerprint: str) -> State:
    """Return what was kept, or a fresh state when there is nothing or it is about other code."""
    try:
        kept = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return State(fingerprint)
    if kept["fingerprint"] != fingerprint or kept["failures"]:
        return State(fingerprint)
    kept["suites"] = {name: Suite(**suite) for name, suite in kept["suites"].items()}
    return State(**kept)


def fingerprint(root: Path) -> str:
    """Return a hash of all that a piece's outcome depends on."""
    digest = hashlib.sha256((root / "foundry.toml").read_bytes())
    for folder in ("contracts", "tests"):
        for path in sorted((root / folder).rglob("*.sol")):
            if path.is_relative_to(root / PROOFS):  # those are Halmos's
                continue
            digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


# --- one piece ------------------------------------------------------------------------------------


def forge_json(arguments: list[str], extra: dict[str, str]) -> dict[str, Any]:
    """Return forge's report; raises ForgeFailed when there is none."""
    env = {
        **os.environ,
        "FOUNDRY_PROFILE": "deep",
        "PATH": f"{ROOT / 'build' / 'bin'}:{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}",
        **extra,
    }
    command = ["forge", "test", "--json", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    for line in reversed(done.stdout.splitlines()):
        if line.startswith("{"):
            report: dict[str, Any] = json.loads(line)
            return report
    raise ForgeFailed((done.stdout + done.stderr)[-4_000:])


def results(report: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Return (suite, test, result) of every test in forge's report."""
    for place, suite in report.items():
        for test, result in suite["test_results"].items():
            yield place.rpartition(":")[2], test, result


def failures_of(report: dict[str, Any], seed: int) -> list[str]:
    return [
        f"{suite}.{test}: {result['reason']} (--fuzz-seed {seed})"
        for suite, test, result in results(report)
        if result["status"] != "Success"
    ]


def add_invariants(state: State, report: dict[str, Any], counted: dict[str, int]) -> None:
    """Add a piece to the suites; those that count nothing themselves have forge's calls by name."""
    for name, _, result in results(report):
        kind = result["kind"].get("Invariant") if isinstance(result["kind"], dict) else None
        if kind is None:
            continue
        suite = state.suites.setdefault(name, Suite(name))
        actions = {}
        if name != "ProtocolInvariants":
            for target, metric in kind["metrics"].items():
                action = target.rpartition(".")[2]
                actions[action] = metric["calls"] - metric["reverts"] - metric["discards"]
        suite.add(kind["calls"], kind["reverts"], actions)
    if counted:
        state.suites["ProtocolInvariants"].add(0, 0, counted)


def play(state: State, runs: int, depth: int) -> None:
    """One piece of the invariant suites: `runs` runs of each invariant."""
    counts = ROOT / COUNTS
    counts.unlink(missing_ok=True)
    settings = {
        "QUORATE_COUNTS": str(COUNTS),
        "FOUNDRY_INVARIANT_RUNS": str(runs),
        "FOUNDRY_INVARIANT_DEPTH": str(depth),
    }
    chosen = ["--match-path", SUITES, "--match-test", "^invariant_"]
    report = forge_json([*chosen, "--fuzz-seed", str(state.seed)], settings)
    add_invariants(state, report, read_counts(counts.read_text()) if counts.exists() else {})
    state.failures += failures_of(report, state.seed)


def fuzz(state: State, runs: int) -> None:
    """One piece of the fuzz tests: `runs` cases of each."""
    report = forge_json(
        ["--match-test", "^testFuzz_", "--fuzz-seed", str(state.seed)],
        {"FOUNDRY_FUZZ_RUNS": str(runs)},
    )
    if not list(results(report)):
        raise ForgeFailed("there is no test whose name begins with testFuzz_")
    state.failures += failures_of(report, state.seed)
    state.fuzz_runs += runs


# --- all of it ------------------------------------------------------------------------------------


def shortcomings(state: State, suites: Iterable[str], counted: Iterable[str]) -> list[str]:
    """Return what a finished run lacks: `suites` that did nothing, actions too seldom done."""
    silent = [f"{name}: not a call was made" for name in suites if not state.suites.get(name, Suite(name)).calls]
    if not counted:
        silent.append(f"{COUNTED.name} has no row that can be read")
    seldom = [
        line
        for suite in state.suites.values()
        for line in too_seldom(suite, counted if suite.name == "ProtocolInvariants" else suite.actions)
    ]
    return silent + seldom


def piece_shape(left: int, invariants: int) -> tuple[int, int]:
    """Return (runs, depth) of the next piece: about a million calls, fewer when fewer are left.

    Forge plays one run more than it counts, so few runs a piece would be slow.
    """
    share = max(1, -(-left // max(1, invariants)))
    if share < DEPTH:
        return 1, max(1_000, share)
    return max(1, min(share, PIECE // max(1, invariants)) // DEPTH), DEPTH


def listed() -> dict[str, int]:
    """Return every suite with how many invariants it has."""
    found = forge_json(["--list", "--match-path", SUITES, "--match-test", "^invariant_"], {})
    return {name: len(tests) for suites in found.values() for name, tests in suites.items()}


def go_on(state: State, invariants: int, calls: int, fuzz_runs: int, deadline: float) -> bool:
    """Play pieces until both goals are reached; False when time ran out before."""
    while not state.failures and (state.calls < calls or state.fuzz_runs < fuzz_runs):
        if time.monotonic() > deadline:
            return False
        if state.calls < calls:
            play(state, *piece_shape(calls - state.calls, invariants))
        else:
            fuzz(state, min(FUZZ_PIECE, fuzz_runs - state.fuzz_runs))
        state.seed += 1
        state.save(STATE)
        print(
            f"deep: {state.calls:,} of {calls:,} calls, {state.fuzz_runs:,} of {fuzz_runs:,} cases of each fuzz test",
            flush=True,
        )
    return True


def write_report(state: State, path: Path, passed: bool) -> None:
    suites = sorted(state.suites.values(), key=lambda suite: suite.name)
    path.write_text(
        json.dumps(
            {
                "suites": [asdict(suite) for suite in suites],
                "calls_total": state.calls,
                "fuzz_runs": state.fuzz_runs,
                "passed": passed,
            },
            indent=1,
        )
        + "\n"
    )
    for suite in suites:
        print(f"\n{suite.name}: {suite.calls:,} calls, {suite.reverts:,} of them refused")
        for action, times in suite.actions.items():
            print(f"  {action:<44}{times:>12,}")
    print(f"\n{state.calls:,} calls, {state.fuzz_runs:,} cases of each fuzz test")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tools.deep", description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=CALLS, help="calls over all suites")
    parser.add_argument("--fuzz-runs", type=int, default=100_000, help="cases of each fuzz test")
    parser.add_argument("--minutes", type=float, default=None, help="stop after about that long")
    parser.add_argument("--fresh", action="store_true", help="forget what was found before")
    chosen = parser.parse_args(arguments)
    mark = fingerprint(ROOT)
    state = State(mark) if chosen.fresh else load_state(STATE, mark)
    deadline = float("inf") if chosen.minutes is None else time.monotonic() + 60 * chosen.minutes
    HOME.mkdir(parents=True, exist_ok=True)
    try:
        suites = listed()
        finished = go_on(state, sum(suites.values()), chosen.calls, chosen.fuzz_runs, deadline)
    except ForgeFailed as failure:
        print(f"deep: forge gave no result; its last words:\n{failure}", file=sys.stderr)
        return 1
    counted = counted_actions(COUNTED.read_text())
    wrong = state.failures + (shortcomings(state, suites, counted) if finished else [])
    write_report(state, REPORT, finished and not wrong)
    for line in wrong:
        print(f"deep: {line}", file=sys.stderr)
    if wrong:
        return 1
    if not finished:
        print("deep: stopped before the end; run it again to go on", file=sys.stderr)
    return 0 if finished else 2


if __name__ == "__main__":
    raise SystemExit(main())
