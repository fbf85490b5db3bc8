"""Survivors that are no faults: proven by the compiler, or backed by a differential fuzz test.

1. The release compiler makes the same bytecode of every deployed contract: nothing changed.
2. `equivalent.toml` lists it with the name of a forge test that compares the function with its
   mutated twin; the test is run with 100,000 cases and must pass. A line of the list:

       [[equivalent]]
       file = "contracts/libraries/Example.sol"
       operator = "boundary"
       before = "if (a > b) return a;"      # the source lines, stripped, without the mutation …
       after = "if (a >= b) return a;"      # … and with it
       test = "testFuzz_equivalent__max__atEqualSides"
       reason = "both sides are equal there"
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.mutation.forge import Compiler, forge_test
from tools.mutation.records import Record
from tools.mutation.sources import NOT_MUTATED, CompileError, ask, closure, contract_files

RUNS = 100_000
SAME_BYTECODE = "the release compiler makes the same bytecode of it"
OTHER_BYTECODE = "the release compiler makes other bytecode of it"


@dataclass(frozen=True, slots=True)
class Listed:
    """One entry of `equivalent.toml`."""

    file: str
    operator: str
    before: str
    after: str
    test: str
    reason: str


def read_list(path: Path) -> list[Listed]:
    """The entries of the list.

    Raises ValueError for an entry that lacks a field or has one too many.
    """
    entries = tomllib.loads(path.read_text()).get("equivalent", []) if path.is_file() else []
    try:
        return [Listed(**entry) for entry in entries]
    except TypeError as error:
        raise ValueError(
            f"{path.name}: an entry needs file, operator, before, after, test and reason: {error}"
        ) from None


def listed_as(record: Record, entries: list[Listed]) -> Listed | None:
    """The entry that names this mutant."""
    sides: dict[str, list[str]] = {"-": [], "+": []}
    for line in record.diff.splitlines():
        sides[line[:1]].append(line[1:].strip())
    before, after = " ".join(sides["-"]), " ".join(sides["+"])
    for entry in entries:
        there = (" ".join(entry.before.split()), " ".join(entry.after.split()))
        if (entry.file, entry.operator) == (record.file, record.operator) and there == (before, after):
            return entry
    return None


class Differential:
    """Runs the differential tests, each once."""

    def __init__(self, template: Path, compiler: Compiler) -> None:
        self._template = template
        self._compiler = compiler
        self._known: dict[str, str] = {}

    def proof(self, test: str) -> str:
        """What the test shows, or "" when it does not exist, fails or runs fewer cases."""
        if test not in self._known:
            variables = self._compiler.environment() | {"FOUNDRY_FUZZ_RUNS": str(RUNS)}
            outcome = forge_test(self._template, ["--match-test", rf"^{re.escape(test)}\b"], variables)
            runs = [int(found) for found in re.findall(r"\(runs: (\d+)", outcome.output)]
            passed = outcome.verdict == "passed" and len(runs) > 0 and min(runs) >= RUNS
            self._known[test] = f"{test} finds no difference in {RUNS:,} cases" if passed else ""
        return self._known[test]


class Bytecode:
    """Compares what the release settings make of the deployed contracts."""

    def __init__(self, root: Path, solc: Path, config: Mapping[str, Any]) -> None:
        own = config["profile"]["default"]
        self._root, self._solc = root, solc
        self._unchanged: dict[tuple[str, ...], dict[str, str]] = {}
        self._settings = {
            "viaIR": own["via_ir"],
            "optimizer": {"enabled": own["optimizer"], "runs": own["optimizer_runs"]},
            "metadata": {"bytecodeHash": "none", "appendCBOR": False},
        }

    def same(self, file: str, text: bytes) -> bool:
        """Whether a file's other text changes no deployed contract, of those that contain it."""
        deployed = [name for name in contract_files(self._root) if name.count("/") == 1]
        users = [name for name in deployed if not name.startswith(NOT_MUTATED) and file in closure(self._root, [name])]
        if not users:
            return False
        if tuple(users) not in self._unchanged:
            self._unchanged[tuple(users)] = self._compile(users, {})
        return self._unchanged[tuple(users)] == self._compile(users, {file: text})

    def _compile(self, users: list[str], changed: dict[str, bytes]) -> dict[str, str]:
        outputs = {name: {"*": ["evm.bytecode.object"]} for name in users}
        try:
            answer = ask(self._solc, self._root, users, outputs, self._settings, changed)
        except CompileError:
            return {"does not compile": json.dumps(sorted(changed))}
        return {
            f"{name}:{contract}": made["evm"]["bytecode"]["object"]
            for name in users
            for contract, made in answer["contracts"][name].items()
        }
