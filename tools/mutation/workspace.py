"""Copies of contracts and tests in which mutants are compiled and tested.

`template` is compiled once and tested once as it is (the baseline); each worker gets a copy of it.
Its compiler settings are made for speed: via-IR, which the contracts need, with the optimiser
doing no more than moving variables out of the way of the stack. Tests that fail without the
optimiser (bounds on gas) are left out, by name, for every mutant alike; the names are reported.
"""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tomli_w

from tools.mutation.forge import Compiler, Outcome, forge_test
from tools.mutation.sources import digest

FOLDERS = ("contracts", "tests/contracts", "tests/libraries", "tests/invariants", "tests/vectors")
NO_OPTIMISER = dict.fromkeys(
    ("peephole", "inliner", "jumpdestRemover", "orderLiterals", "deduplicate", "cse", "constantOptimizer"), False
)
FEWER_RUNS = {"FOUNDRY_FUZZ_RUNS": "48"}
SHORT_STORIES = {"FOUNDRY_INVARIANT_DEPTH": "600"}  # for each of the invariants: a survivor plays them all
OWN_RUNS = re.compile(r"(forge-config: default\.fuzz\.runs = )\d+")
SLOW_SHARE = 0.01  # a test that takes more than this of the whole is run only at the end
MOST_BROKEN = 0.02  # of the tests may fail without the optimiser


@dataclass(frozen=True, slots=True)
class Baseline:
    """Tests left out, tests that are slow, how many there are in all, and processor time of all in seconds."""

    left_out: tuple[str, ...]
    slow: tuple[str, ...]
    tests: int
    cpu: float

    @property
    def limit(self) -> int:
        """Seconds of processor time after which a mutant is taken to run for ever."""
        return int(600 + 3 * self.cpu)


class BaselineError(RuntimeError):
    """The tests do not pass before anything is mutated, or do not compile."""


def settings(config: dict[str, Any], root: Path) -> dict[str, Any]:
    """Forge's settings in a copy, from those of the checkout."""
    profile = dict(config["profile"]["default"])
    profile |= {
        "solc": str(root / profile["solc"]),
        "optimizer": True,
        "optimizer_runs": 1,
        "optimizer_details": NO_OPTIMISER
        | {"yul": True, "yulDetails": {"stackAllocation": True, "optimizerSteps": "u:"}},
        "via_ir": True,
        "bytecode_hash": "none",
        "cbor_metadata": False,
        "fs_permissions": [{"access": "read", "path": "./tests/vectors"}],
    }
    # Ten thousand cases a mutant would take days; a survivor is looked at with more (equivalence.py).
    profile["fuzz"] = dict(profile.get("fuzz", {})) | {"runs": 256, "failure_persist_dir": "build/forge/cache/fuzz"}
    profile["invariant"] = dict(profile.get("invariant", {})) | {"failure_persist_dir": "build/forge/cache/invariant"}
    # The other profiles stay: tests name them in comments, and forge refuses names it does not know.
    return {"profile": config["profile"] | {"default": profile}, "lint": {"lint_on_build": False}}


def few_stories(test: str) -> str:
    """A test's source in which fuzz tests that play a whole story a case play few of them."""
    return OWN_RUNS.sub(r"\g<1>16", test)


def populate(root: Path, work: Path, folders: Sequence[str], config: dict[str, Any]) -> None:
    """Copy folders of sources and tests into a work folder, with these settings; what is compiled there already stays.

    Fuzz tests that play a whole story a case play few of them there.
    """
    work.mkdir(parents=True, exist_ok=True)
    for folder in folders:
        shutil.rmtree(work / folder, ignore_errors=True)
        if (root / folder).is_dir():
            shutil.copytree(root / folder, work / folder, ignore=shutil.ignore_patterns(".cache", "__pycache__"))
    for test in (work / "tests").rglob("*.t.sol"):
        test.write_text(few_stories(test.read_text()))
    if not (work / "node_modules").is_symlink():
        (work / "node_modules").symlink_to(root / "node_modules")
    (work / "foundry.toml").write_text(tomli_w.dumps(config))


def make_template(root: Path, home: Path, compiler: Compiler, say: Callable[[str], None]) -> Baseline:
    """The compiled and tested template, made again only when contracts, tests or settings changed.

    Raises BaselineError.
    """
    template, stamp = home / "template", home / "baseline.json"
    wanted = digest(root, FOLDERS) + digest(root, ["foundry.toml"])
    if stamp.is_file() and (kept := json.loads(stamp.read_text()))["digest"] == wanted and template.is_dir():
        return Baseline(tuple(kept["left_out"]), tuple(kept["slow"]), kept["tests"], kept["cpu"])
    say("compiling contracts and tests for mutation (minutes) and testing them as they are")
    stamp.unlink(missing_ok=True)
    populate(root, template, FOLDERS, settings(tomllib.loads((root / "foundry.toml").read_text()), root))
    outcome = forge_test(template, ["--json"], compiler.environment())
    baseline = read_baseline(outcome)
    stamp.write_text(json.dumps({"digest": wanted} | asdict(baseline)))
    return baseline


def read_baseline(outcome: Outcome) -> Baseline:
    """What a `forge test --json` of unmutated contracts shows.

    Raises BaselineError.
    """
    start = outcome.output.find('{"tests/')
    if start < 0:
        said = outcome.output[-3000:] or "nothing; was it killed?"
        raise BaselineError(f"forge did not finish testing the unmutated contracts ({outcome.verdict}): {said}")
    report, _ = json.JSONDecoder().raw_decode(outcome.output[start:])
    durations: dict[str, float] = {}
    failed: dict[str, str] = {}
    for suite in report.values():
        for signature, result in suite["test_results"].items():
            name = signature.split("(")[0]
            durations[name] = max(durations.get(name, 0.0), seconds(result["duration"]))
            if result["status"] == "Failure":
                failed[name] = str(result.get("reason") or "no reason given")
    if len(failed) > MOST_BROKEN * len(durations) or "setUp" in failed:
        reasons = "".join(f"\n  {name}: {reason[:200]}" for name, reason in failed.items())
        raise BaselineError(f"tests fail before anything is mutated; mend them first:{reasons}")
    whole = sum(durations.values())
    slow = [name for name, took in durations.items() if took > SLOW_SHARE * whole and name not in failed]
    return Baseline(tuple(sorted(failed)), tuple(sorted(slow)), len(durations), outcome.cpu)


def seconds(duration: str) -> float:
    """Seconds in a duration as forge writes it: `1m 2s 30ms 4us 5ns`, any parts of it."""
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
    total = 0.0
    for part in duration.split():
        number = part.rstrip("hmsunµ")
        total += float(number) * units[part[len(number) :]]
    return total


class Workspace:
    """A worker's copy of the template; holds one mutant at a time."""

    def __init__(self, home: Path, name: str) -> None:
        self.path = home / name
        self._template = home / "template"
        shutil.rmtree(self.path, ignore_errors=True)
        shutil.copytree(self._template, self.path, symlinks=True)

    def put(self, file: str, text: bytes) -> None:
        """Write a mutated file."""
        (self.path / file).write_bytes(text)

    def restore(self, file: str) -> None:
        """Make file and compiled artifacts again what they are in the template."""
        shutil.copy2(self._template / file, self.path / file)
        shutil.rmtree(self.path / "build")
        shutil.copytree(self._template / "build" / "forge", self.path / "build" / "forge")
