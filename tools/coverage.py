"""Line and branch coverage of `contracts/` by the forge tests.

    python -m tools.coverage [--bar 95] [--fuzz-runs 64]

Forge measures; it compiles through IR with as little optimisation as it can (`--ir-minimum`),
because the contracts do not compile otherwise. Limits, so that the numbers are read rightly:
branches inside `assembly` are not counted, nor are `&&`, `||` and loops' conditions (no tool for
Solidity counts them; mutation testing covers both); tests that hold a bound on gas fail without
the optimiser and are left out, by name. The invariant suites are not run: what only random play
reaches does not count as covered.

Measures a copy under `build/coverage/work` and writes `build/coverage.json`: {"contracts": {file:
{"lines", "lines_hit", "branches", "branches_hit", "functions", "functions_hit", "missed_lines",
"missed_branches"}}, "lines_total_pct", "branches_total_pct", "tests_left_out"}. Mocks, interfaces
and the devnet's coin are not part of it. Exit 0 at the bar or above, 1 below it, 2 when the tests
fail or forge does not run.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.mutation.workspace import populate

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / "build" / "coverage"
REPORT = ROOT / "build" / "coverage.json"
OUTSIDE = ("contracts/mocks/", "contracts/interfaces/", "contracts/devnet/", "contracts/.cache/")
FOLDERS = ("contracts", "tests/contracts", "tests/libraries", "tests/vectors")
FAILURE = re.compile(r"^\[FAIL[^\n]*?\] (\w+)\(", re.MULTILINE)
GAS_TEST = re.compile(r"gas|dear", re.IGNORECASE)


@dataclass(slots=True)
class FileCoverage:
    """How often each line, function and branch of a file was run; a branch is (line, block, arm)."""

    lines: dict[int, int] = field(default_factory=dict)
    functions: dict[str, int] = field(default_factory=dict)
    branches: dict[tuple[int, int, int], int] = field(default_factory=dict)

    def summary(self) -> dict[str, Any]:
        return {
            "lines": len(self.lines),
            "lines_hit": sum(count > 0 for count in self.lines.values()),
            "functions": len(self.functions),
            "functions_hit": sum(count > 0 for count in self.functions.values()),
            "branches": len(self.branches),
            "branches_hit": sum(count > 0 for count in self.branches.values()),
            "missed_lines": sorted(line for line, count in self.lines.items() if count == 0),
            "missed_branches": sorted({place[0] for place, count in self.branches.items() if count == 0}),
        }


def read_lcov(text: str) -> dict[str, FileCoverage]:
    """Coverage of each file of an LCOV tracefile, counts of repeated records added up."""
    files: dict[str, FileCoverage] = defaultdict(FileCoverage)
    current = FileCoverage()
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name == "SF":
            current = files[value]
        elif name == "DA":
            number, count = value.split(",")[:2]
            current.lines[int(number)] = current.lines.get(int(number), 0) + int(count)
        elif name == "FNDA":
            runs, function = value.split(",", 1)
            current.functions[function] = current.functions.get(function, 0) + int(runs)
        elif name == "BRDA":
            place, block, arm, taken = value.split(",")
            key = (int(place), int(block), int(arm))
            current.branches[key] = current.branches.get(key, 0) + (0 if taken == "-" else int(taken))
    return dict(files)


def report_of(files: dict[str, FileCoverage], left_out: list[str]) -> dict[str, Any]:
    """The report over our own contracts."""
    contracts = {
        name: found.summary()
        for name, found in sorted(files.items())
        if name.startswith("contracts/") and not name.startswith(OUTSIDE)
    }
    return {
        "contracts": contracts,
        "lines_total_pct": percent(contracts, "lines"),
        "branches_total_pct": percent(contracts, "branches"),
        "tests_left_out": left_out,
    }


def percent(contracts: dict[str, dict[str, Any]], what: str) -> float:
    whole = sum(found[what] for found in contracts.values())
    return round(100 * sum(found[f"{what}_hit"] for found in contracts.values()) / whole, 2) if whole else 0.0


def settings() -> dict[str, Any]:
    """The checkout's, for a copy in which everything is compiled alike."""
    config = tomllib.loads((ROOT / "foundry.toml").read_text())
    profile = config["profile"]["default"]
    profile["solc"] = str(ROOT / profile["solc"])
    for setting in ("additional_compiler_profiles", "compilation_restrictions"):
        profile.pop(setting, None)  # forge mixes up the sources of two compilations when it counts
    return {"profile": config["profile"]}


def measure(work: Path, fuzz_runs: int, left_out: list[str]) -> tuple[int, str]:
    """Run forge; its exit code and what it printed. The tracefile is `lcov.info` in the folder."""
    (work / "lcov.info").unlink(missing_ok=True)
    command = ["forge", "coverage", "--ir-minimum", "--exclude-tests", "--report", "lcov", "--report-file", "lcov.info"]
    if left_out:
        command += ["--no-match-test", rf"^({'|'.join(left_out)})\b"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FOUNDRY_")}
    settings = {"FOUNDRY_FUZZ_RUNS": str(fuzz_runs), "NO_COLOR": "1"}
    path = f"{ROOT / 'build' / 'bin'}{os.pathsep}{kept.get('PATH', '')}"
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, env=kept | settings | {"PATH": path})
    return done.returncode, done.stdout + done.stderr


def run(work: Path, fuzz_runs: int) -> list[str]:
    """Measure; once more without tests of gas when only those fail. Returns the tests left out.

    Raises RuntimeError when another test fails or forge does not run.
    """
    code, printed = measure(work, fuzz_runs, [])
    failed = sorted(set(FAILURE.findall(printed)))
    about_gas = [line for line in printed.splitlines() if line.startswith("[FAIL") and GAS_TEST.search(line)]
    if failed and len(failed) == len({name for line in about_gas for name in FAILURE.findall(line)}):
        print(f"coverage: left out, they fail without the optimiser: {', '.join(failed)}", flush=True)
        code, printed = measure(work, fuzz_runs, failed)
    if code != 0 or not (work / "lcov.info").is_file():
        raise RuntimeError(f"forge coverage failed (exit {code}):\n{printed[-3000:]}")
    return failed


def show(report: dict[str, Any], bar: float) -> None:
    width = max(len(name) for name in report["contracts"])
    for name, found in report["contracts"].items():
        missed = f"  missed: {', '.join(map(str, found['missed_branches']))}" if found["missed_branches"] else ""
        lines, branches = (f"{found[f'{what}_hit']}/{found[what]}" for what in ("lines", "branches"))
        print(f"{name:<{width}}  lines {lines:>9}  branches {branches:>9}{missed}")
    print(f"lines {report['lines_total_pct']} %, branches {report['branches_total_pct']} % (bar {bar:g} %)")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bar", type=float, default=95.0, help="least branch coverage in percent (default 95)")
    parser.add_argument("--fuzz-runs", type=int, default=64)
    options = parser.parse_args()
    work = HOME / "work"
    populate(ROOT, work, FOLDERS, settings())
    try:
        left_out = run(work, options.fuzz_runs)
    except RuntimeError as error:
        print(f"coverage: {error}", file=sys.stderr)
        return 2
    report = report_of(read_lcov((work / "lcov.info").read_text()), left_out)
    if not report["contracts"]:
        print("coverage: forge counted nothing of contracts/", file=sys.stderr)
        return 2
    REPORT.write_text(json.dumps(report, indent=2) + "\n")
    show(report, options.bar)
    return 0 if report["branches_total_pct"] >= options.bar else 1


if __name__ == "__main__":
    sys.exit(main())
