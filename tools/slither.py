"""Runs Slither over the contracts and holds every high and medium finding against the code.

Slither is a separate program in an environment of its own (`.venv-analysis`); it is started, never
imported. It reads a copy under `build/slither/work`, so that no configuration lying in the checkout
can hide a finding. A finding is accepted only where the code says so, with the reason, on the line
above it:

    // slither-disable-next-line detector-name the reason in one line

Findings that lie entirely in dependencies, in hostile mocks or in the devnet's coin are counted as
`elsewhere` and do not fail: none of that is deployed by us as part of the protocol.

Writes `build/slither.json`: {"high", "medium", "elsewhere", "suppressed": [{"file", "line",
"detector", "reason"}], "findings": [{"impact", "confidence", "detector", "file", "line", "what"}]}.
Exit 0 when nothing remains, 1 when a finding remains or a suppression has no reason or hides
nothing, 2 when Slither did not run.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tomli_w

ROOT = Path(__file__).resolve().parent.parent
SLITHER = ROOT / ".venv-analysis" / "bin" / "slither"
WORK = ROOT / "build" / "slither" / "work"
REPORT = ROOT / "build" / "slither.json"
OUTSIDE = ("contracts/mocks/", "contracts/devnet/")
IMPACTS = ("High", "Medium")
DISABLE = re.compile(r"^\s*//\s*slither-disable-(next-line|start|end)\s+([a-zA-Z0-9_,-]+)[ \t]*(.*)$")
UNUSED = re.compile(r"Unused slither-disable\S* directive for (\S+) at \S*?slither[/]work[/](\S+\.sol)#(\d+)")


@dataclass(frozen=True, slots=True)
class Suppression:
    """A comment in the code that accepts a finding of the next line."""

    file: str
    line: int
    detector: str
    reason: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What Slither says about a place in our own code."""

    impact: str
    confidence: str
    detector: str
    file: str
    line: int
    what: str


def settings(config: dict[str, Any], root: Path) -> dict[str, Any]:
    """Forge's settings for the copy: the release's sources and EVM, but no optimiser, which Slither does not see."""
    own = config["profile"]["default"]
    kept = {name: own[name] for name in ("src", "remappings", "auto_detect_remappings", "evm_version", "via_ir")}
    paths = {"libs": ["node_modules"], "out": "out", "cache_path": "cache", "test": "none", "script": "none"}
    compiler = {"solc": str(root / own["solc"]), "optimizer": False, "offline": True}
    return {"profile": {"default": kept | paths | compiler}, "lint": {"lint_on_build": False}}


def prepare(root: Path, work: Path) -> None:
    """Copy what is compiled; keep what the compiler made before."""
    work.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(work / "contracts", ignore_errors=True)
    shutil.copytree(root / "contracts", work / "contracts", ignore=shutil.ignore_patterns(".cache"))
    if not (work / "node_modules").is_symlink():
        (work / "node_modules").symlink_to(root / "node_modules")
    config = tomllib.loads((root / "foundry.toml").read_text())
    (work / "foundry.toml").write_text(tomli_w.dumps(settings(config, root)))


def suppressions(contracts: Path) -> Iterator[Suppression]:
    """Every suppression in the sources, one per detector named; blocks carry `block` as their reason's lack."""
    for path in sorted(contracts.rglob("*.sol")):
        name = f"contracts/{path.relative_to(contracts).as_posix()}"
        if ".cache/" in name or name.startswith(OUTSIDE):
            continue
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            if not (match := DISABLE.match(line)):
                continue
            kind, detectors, reason = match.groups()
            for detector in filter(None, detectors.split(",")):
                yield Suppression(name, number, detector, reason.strip(" -:") if kind == "next-line" else "")


def findings(report: dict[str, Any]) -> tuple[list[Finding], int]:
    """High and medium findings that touch our code, and how many lie entirely elsewhere."""
    own: list[Finding] = []
    elsewhere = 0
    for result in report["results"].get("detectors", []):
        if result["impact"] not in IMPACTS:
            continue
        places = [element["source_mapping"] for element in result["elements"] if element.get("source_mapping")]
        ours = [place for place in places if is_ours(place["filename_relative"])]
        if not ours:
            elsewhere += 1
            continue
        line = ours[0]["lines"][0] if ours[0]["lines"] else 0
        what = " ".join(result["description"].split())
        own.append(
            Finding(
                impact=result["impact"],
                confidence=result["confidence"],
                detector=result["check"],
                file=ours[0]["filename_relative"],
                line=line,
                what=what,
            )
        )
    own.sort(key=lambda found: (IMPACTS.index(found.impact), found.file, found.line, found.detector))
    return own, elsewhere


def is_ours(name: str) -> bool:
    """Whether a file is part of the deployed protocol."""
    return name.startswith("contracts/") and not name.startswith(OUTSIDE)


def run_slither(work: Path) -> tuple[dict[str, Any], list[str]]:
    """Return Slither's report and its warnings about suppressions that hide nothing.

    Raises RuntimeError, with the end of what it printed, when it did not run to the end.
    """
    answer = work.parent / "slither-output.json"
    answer.unlink(missing_ok=True)
    command = [
        str(SLITHER),
        ".",
        "--json",
        str(answer),
        "--fail-none",
        "--warn-unused-ignores",
        "--config-file",
        "none.json",
    ]
    path = f"{ROOT / 'build' / 'bin'}:{SLITHER.parent}:/usr/bin:/bin"
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, env=environment(path))
    printed = done.stdout + done.stderr
    if not answer.is_file() or not (report := json.loads(answer.read_text())).get("success"):
        raise RuntimeError(f"Slither did not finish (exit {done.returncode}):\n{printed[-3000:]}")
    places = {f"{file}:{line}: {detector}" for detector, file, line in UNUSED.findall(printed) if is_ours(file)}
    return report, sorted(places)


def environment(path: str) -> dict[str, str]:
    """The caller's environment with our forge first on PATH and without a chosen forge profile."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FOUNDRY_")}
    return kept | {"PATH": f"{path}:{kept.get('PATH', '')}"}


def write(found: list[Finding], elsewhere: int, accepted: Iterable[Suppression]) -> None:
    report = {
        "high": sum(finding.impact == "High" for finding in found),
        "medium": sum(finding.impact == "Medium" for finding in found),
        "elsewhere": elsewhere,
        "suppressed": [asdict(one) for one in accepted],
        "findings": [asdict(finding) for finding in found],
    }
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(report, indent=2) + "\n")


def main() -> int:
    if not SLITHER.is_file():
        print("slither: .venv-analysis is missing; run `tools/setup.sh analysis`", file=sys.stderr)
        return 2
    prepare(ROOT, WORK)
    try:
        report, unused = run_slither(WORK)
    except RuntimeError as error:
        print(f"slither: {error}", file=sys.stderr)
        return 2
    found, elsewhere = findings(report)
    accepted = list(suppressions(ROOT / "contracts"))
    write(found, elsewhere, accepted)

    for finding in found:
        print(f"{finding.file}:{finding.line}: {finding.impact.lower()}: {finding.detector}: {finding.what}")
    silent = [one for one in accepted if not one.reason]
    for one in silent:
        print(f"{one.file}:{one.line}: {one.detector} is disabled without a reason; write it behind the name, one line")
    for line in unused:
        print(f"{line} is disabled where nothing is found; delete the comment")
    print(f"slither: {len(found)} high or medium, {len(accepted)} accepted in the code, {elsewhere} elsewhere")
    return 1 if found or silent or unused else 0


if __name__ == "__main__":
    sys.exit(main())
