"""Runs the Halmos proofs of ``tests/proofs`` and writes ``build/proofs.json``; ``make test-proofs`` calls it.

A function ``check_…`` is a proof: it passes when no arguments lead to a failed assertion or another panic, with every
path explored and every question decided. A function ``refute_…`` is a control, false on purpose: every file has one and
it must be refuted, or the proofs beside it could not have failed either. Exit code 1 on any other outcome, a time-out
included.

Halmos (AGPL) is a program of its own, in ``.venv-proofs``; nothing here or elsewhere imports it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PROOFS = ROOT / "tests" / "proofs"
ENVIRONMENT = ROOT / ".venv-proofs" / "bin"
RAW = ROOT / "build" / "halmos.json"
OUT = ROOT / "build" / "proofs.json"

LEAST = 40
#: For one question to a solver, and for the whole run, in seconds: far above what they take.
QUESTION_LIMIT, RUN_LIMIT = 180, 3_000
#: Most iterations of a loop whose end is symbolic; reaching it fails the proof.
LOOP_LIMIT = 256
DECLARED = re.compile(r"^    function ((?:check|refute)_\w+)\(", re.MULTILINE)
CONTRACT = re.compile(r"^contract (\w+)", re.MULTILINE)
PROVED, REFUTED = "proved", "refuted"
#: Halmos's exit codes of one function.
RESULTS = {0: PROVED, 1: REFUTED, 2: "timed out", 3: "stuck", 4: "all paths revert", 5: "error"}


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one function; ``seconds`` is wall time, ``paths`` how many Halmos explored."""

    file: str
    contract: str
    name: str
    result: str
    seconds: float
    paths: int

    @property
    def control(self) -> bool:
        return self.name.startswith("refute_")

    @property
    def good(self) -> bool:
        return self.result == (REFUTED if self.control else PROVED)


def declared() -> dict[tuple[str, str], list[str]]:
    """Functions by file and contract, as the sources have them: what Halmos leaves out must not go unseen."""
    found = {}
    for path in sorted(PROOFS.glob("*.t.sol")):
        text = path.read_text()
        contracts = [name for name in CONTRACT.findall(text) if name.endswith("Proof")]
        if len(contracts) != 1:
            raise SystemExit(f"{path.name}: give it one contract named …Proof, it has {contracts or 'none'}")
        found[(f"tests/proofs/{path.name}", contracts[0])] = DECLARED.findall(text)
    return found


def halmos_command() -> list[str]:
    solver = shlex.join([str(ENVIRONMENT / "python"), str(ROOT / "tools" / "proof_solver.py")])
    options = {
        "--root": ROOT,
        "--forge-build-out": "build/forge/proofs",
        "--function": "(check|refute)_",
        "--panic-error-codes": "*",
        "--loop": LOOP_LIMIT,
        "--solver-command": solver,
        "--solver-timeout-assertion": f"{QUESTION_LIMIT}s",
        "--solver-threads": os.cpu_count() or 1,
        "--json-output": RAW,
    }
    return [str(ENVIRONMENT / "halmos"), "--no-status", *(str(part) for pair in options.items() for part in pair)]


def run_halmos() -> dict[str, Any]:
    """Halmos's own report. Its output is shown only when there is none."""
    RAW.parent.mkdir(exist_ok=True)
    RAW.unlink(missing_ok=True)
    environment = {**os.environ, "FOUNDRY_PROFILE": "proofs"}
    try:
        done = subprocess.run(
            halmos_command(), cwd=ROOT, env=environment, capture_output=True, text=True, timeout=RUN_LIMIT, check=False
        )
    except FileNotFoundError:
        raise SystemExit("proofs: .venv-proofs is not there; run tools/setup.sh proofs") from None
    except subprocess.TimeoutExpired:
        raise SystemExit(f"proofs: halmos ran longer than {RUN_LIMIT} s") from None
    if not RAW.exists():
        raise SystemExit(f"proofs: halmos wrote no report:\n{done.stdout}\n{done.stderr}")
    report: dict[str, Any] = json.loads(RAW.read_text())
    return report


def result_of(file: str, contract: str, name: str, raw: dict[str, Any] | None) -> Result:
    if raw is None:
        return Result(file, contract, name, "not run", 0.0, 0)
    result = RESULTS.get(raw["exitcode"], "error")
    if result == PROVED and raw["num_bounded_loops"]:
        result = "not all paths"
    seconds = raw["time"][0] if raw["time"] else 0.0
    return Result(file, contract, name, result, round(seconds, 2), raw["num_paths"][0] if raw["num_paths"] else 0)


def collect(report: dict[str, Any]) -> list[Result]:
    results = []
    for (file, contract), names in declared().items():
        rows = report["test_results"].get(f"{file}:{contract}", [])
        ran = {row["name"].partition("(")[0]: row for row in rows}
        results += [result_of(file, contract, name, ran.get(name)) for name in names]
    return results


def print_table(results: list[Result]) -> None:
    width = max(len(result.name) for result in results)
    file = ""
    for result in results:
        if result.file != file:
            file = result.file
            print(f"\n{file}")
        mark = "  " if result.good else "! "
        print(f"{mark}{result.name:{width}}  {result.result:9} {result.seconds:7.2f} s {result.paths:6} paths")


def complaints(results: list[Result]) -> list[str]:
    """Everything that makes the run a failure, in words."""
    wrong = [f"{r.contract}.{r.name}: {r.result}" for r in results if not r.good]
    proofs = sum(not r.control for r in results)
    if proofs < LEAST:
        wrong.append(f"{proofs} proofs, at least {LEAST} are wanted")
    files = {r.file for r in results}
    wrong += [f"{file}: no control" for file in sorted(files - {r.file for r in results if r.control})]
    return wrong


def main() -> int:
    results = collect(run_halmos())
    proofs = [r for r in results if not r.control]
    controls = [r for r in results if r.control]
    passed = sum(r.good for r in proofs)
    refuted = sum(r.good for r in controls)
    summary = {
        "proofs": [asdict(r) for r in proofs],
        "controls": [asdict(r) for r in controls],
        "passed": passed,
        "failed": len(proofs) - passed,
        "controls_refuted": refuted,
    }
    OUT.write_text(json.dumps(summary, indent=2) + "\n")
    print_table(results)
    print(f"\n{passed} of {len(proofs)} proofs hold, {refuted} of {len(controls)} controls are refuted")
    wrong = complaints(results)
    for line in wrong:
        print(f"proofs: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
