"""Prints what a test run skipped, with the reasons, and fails on a skip that is not allowed.

Reads pytest's JUnit reports (`.xml`) and forge's output (`.log`). `allowed-skips.txt` beside this
file lists, one a line, `reason :: prerequisite`: a skip is allowed when its reason contains the
text before `::` and the prerequisite after it is absent here. A prerequisite is `program:NAME`
(on PATH), `module:NAME` (importable by this Python), `env:NAME` (a variable that is set), `runs:COMMAND` (exits 0) or
`landlock:VERSION` (of the kernel's).
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ALLOWED = Path(__file__).resolve().parent / "allowed-skips.txt"
FORGE_SKIP = re.compile(r"^\[SKIP(?:: (?P<reason>.*?))?\] (?P<test>\S+)")


@dataclass(frozen=True, slots=True)
class Skip:
    test: str
    reason: str


@dataclass(frozen=True, slots=True)
class Rule:
    text: str
    prerequisite: str

    def present(self) -> bool:
        kind, _, name = self.prerequisite.partition(":")
        if kind == "program":
            return shutil.which(name) is not None
        if kind == "module":
            return importlib.util.find_spec(name) is not None
        if kind == "env":
            return bool(os.environ.get(name))
        if kind == "runs":
            return (
                shutil.which(name.split()[0]) is not None and not subprocess.run(name.split(), check=False).returncode
            )
        if kind == "landlock":
            from nodeagent.runtimes.jail import landlock

            return landlock.version() >= int(name)
        raise SystemExit(f"{ALLOWED.name}: '{self.prerequisite}': use program:, module:, env:, runs: or landlock:")


def read_rules(path: Path) -> list[Rule]:
    rules = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        text, separator, prerequisite = (part.strip() for part in line.partition("::"))
        if not (text and separator and prerequisite):
            raise SystemExit(f"{path.name}:{number}: write 'reason :: prerequisite'")
        rules.append(Rule(text, prerequisite))
    return rules


def skips_of(report: Path) -> Iterator[Skip]:
    if report.suffix == ".xml":
        for case in ElementTree.parse(report).iter("testcase"):
            name = f"{case.get('classname')}.{case.get('name')}"
            for skipped in case.iter("skipped"):
                yield Skip(name, skipped.get("message") or "(no reason given)")
    else:
        for line in report.read_text(errors="replace").splitlines():
            if found := FORGE_SKIP.match(line.strip()):
                yield Skip(found["test"], found["reason"] or "(no reason given)")


def complaint(skip: Skip, rules: list[Rule]) -> str | None:
    """Return why the skip is not allowed, or None when it is."""
    matching = [rule for rule in rules if rule.text in skip.reason]
    if not matching:
        return f"not on {ALLOWED.name}"
    if all(rule.present() for rule in matching):
        return f"{matching[0].prerequisite} is present, so it must run"
    return None


def main(reports: list[Path]) -> int:
    rules = read_rules(ALLOWED)
    failed = False
    for report in reports:
        if not report.is_file():
            print(f"skips: there is no report {report}: the run did not get far enough to write it")
            return 1
        for skip in sorted(skips_of(report), key=lambda skip: skip.test):
            why = complaint(skip, rules)
            failed |= why is not None
            print(f"skipped {skip.test}: {skip.reason}" + (f"  <-- NOT ALLOWED: {why}" if why else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main([Path(name) for name in sys.argv[1:]]))
