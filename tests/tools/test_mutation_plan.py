"""How mutants are sampled, which tests run first, and what is remembered.

order ......... a prefix is stratified; the same seed gives the same order; every operator is in it
nearest ....... tests of the function, then of its callers; what killed before comes first
State ......... goes on; forgets what other contracts gave; tries survivors again with new tests
Plan.records .. a mutant that does not compile does not count, the next takes its place
judge ......... what forge's exit and output mean
score ......... equivalent ones are in the sample and not in the share
"""

from __future__ import annotations

import json
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tools.mutation import report, sampling
from tools.mutation.equivalence import listed_as, read_list
from tools.mutation.forge import Outcome, judge
from tools.mutation.mutants import Mutant
from tools.mutation.nearness import Nearness
from tools.mutation.records import Record, State
from tools.mutation.run import Plan
from tools.mutation.sources import Source
from tools.mutation.trial import stages
from tools.mutation.workspace import Baseline, BaselineError, read_baseline, seconds

TEXT = b"a" * 1_000


def mutant(number: int, file: str = "contracts/A.sol", operator: str = "boundary", function: str = "f") -> Mutant:
    return Mutant(file, number, number + 1, "b", "a", operator, function, 1)


def record(key: str, status: str = "killed", **changes: Any) -> Record:
    base = Record(key, "C", "T", status, "contracts/A.sol", 1, "boundary", "f", "-a\n+b", "near", "", 1.0, 1.0)
    return replace(base, **changes)


MANY = (
    [mutant(n, "contracts/A.sol", "constant") for n in range(400)]
    + [mutant(n, "contracts/A.sol", "boundary") for n in range(400, 500)]
    + [mutant(n, "contracts/B.sol", "constant") for n in range(90)]
    + [mutant(n, "contracts/C.sol", "rare") for n in range(3)]
)


def test_order__prefix__takes_each_stratum_by_its_size() -> None:
    prefix = sampling.order(MANY, seed=7)[:100]
    counts = Counter((one.file[10], one.operator) for one in prefix)
    shares = {("A", "constant"): 67.5, ("A", "boundary"): 16.9, ("B", "constant"): 15.2, ("C", "rare"): 0.5}
    assert all(abs(counts[stratum] - share) <= 2 for stratum, share in shares.items()), counts


def test_order__same_seed__is_the_same_and_complete() -> None:
    assert sampling.order(MANY, seed=7) == sampling.order(MANY, seed=7)
    assert sampling.order(MANY, seed=7) != sampling.order(MANY, seed=8)
    assert Counter(sampling.order(MANY, seed=7)) == Counter(MANY)


def test_order__small_sample__holds_every_file_and_operator() -> None:
    first = sampling.order(MANY, seed=3)[:6]
    assert {one.file for one in first} == {"contracts/A.sol", "contracts/B.sol", "contracts/C.sol"}
    assert {one.operator for one in first} == {"constant", "boundary", "rare"}


@pytest.fixture
def near(tmp_path: Path) -> Nearness:
    for name, functions in {"Pay": ["pay", "pay"], "Roll": ["roll"], "Other": ["other"]}.items():
        body = "".join(
            f"function test_{function}__case{n}__works() public {{}}" for n, function in enumerate(functions)
        )
        imported = "../../contracts/interfaces/IPay.sol" if name == "Pay" else "../../contracts/libraries/Rolls.sol"
        tests = tmp_path / "tests" / ("contracts" if name == "Pay" else "libraries")
        tests.mkdir(parents=True, exist_ok=True)
        (tests / f"{name}.t.sol").write_text(f'import {{X}} from "{imported}";\n{body}')
    for folder in ("libraries", "interfaces"):
        (tmp_path / "contracts" / folder).mkdir(parents=True)
    (tmp_path / "contracts" / "interfaces" / "IPay.sol").write_text('import {Rolls} from "../libraries/Rolls.sol";')
    (tmp_path / "contracts" / "libraries" / "Rolls.sol").write_text("")
    call = {"nodeType": "Identifier", "name": "_inner", "src": "0:1:0"}
    caller = {"nodeType": "FunctionDefinition", "name": "pay", "src": "0:1:0", "body": call}
    return Nearness(tmp_path, [Source("contracts/A.sol", TEXT, {"nodeType": "SourceUnit", "nodes": [caller]})])


def test_nearest__own_tests_and_callers__come_first(near: Nearness) -> None:
    assert near.nearest(mutant(1, function="roll")) == ["tests/libraries/Roll.t.sol"]
    assert near.nearest(mutant(1, function="_inner")) == ["tests/contracts/Pay.t.sol"]
    assert near.nearest(mutant(1, function="unknown")) == []


def test_nearest__after_a_kill__prefers_the_killer(near: Nearness) -> None:
    near.learn(mutant(1, function="_inner"), "tests/libraries/Other.t.sol")
    assert near.nearest(mutant(2, function="_inner"))[0] == "tests/libraries/Other.t.sol"


def test_units__tests_that_deploy_nothing__are_those_of_the_library(near: Nearness) -> None:
    units = near.units(mutant(1, file="contracts/libraries/Rolls.sol"))
    assert units == ["tests/libraries/Other.t.sol", "tests/libraries/Roll.t.sol"]
    assert near.units(mutant(1, file="contracts/interfaces/IPay.sol")) == []


def test_state__second_run__knows_what_the_first_found(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "state.jsonl"
    first = State(file, "C", "T")
    for one in (record("k"), record("s", "survived"), record("b", "broken")):
        first.add(one)
    with file.open("a") as stream:
        stream.write('{"key": "cut of')
    assert set(State(file, "C", "T").records) == {"k", "s"}
    assert set(State(file, "C", "T2").records) == {"k"}
    assert set(State(file, "C2", "T").records) == set()


def test_plan__stillborn__is_not_counted(tmp_path: Path) -> None:
    order = [mutant(n) for n in range(5)]
    plan = Plan(order, {"contracts/A.sol": TEXT}, 2, "C", "T")
    state = State(tmp_path / "state.jsonl", "C", "T")
    for one, status in zip(order, ["killed", "stillborn", "survived", "killed", "killed"], strict=True):
        state.add(record(plan.key(one), status))
    assert [one.status for one in plan.records(state)] == ["killed", "stillborn", "survived"]


FAILED = """
Ran 2 tests for tests/contracts/A.t.sol:ATest
[PASS] test_a__b__c() (gas: 1)
Ran 3 tests for tests/contracts/B.t.sol:BTest
[FAIL: UnknownJob(0)] test_settle__dissenter__isUnpaid() (gas: 2324549)
Ran 3 tests for tests/contracts/C.t.sol:CTest
"""


@pytest.mark.parametrize(
    ("code", "output", "expected"),
    [
        (0, "", ("passed", "", "")),
        (1, FAILED, ("failed", "tests/contracts/B.t.sol", "test_settle__dissenter__isUnpaid")),
        (1, "Compiler run failed:\nError (1)", ("uncompiled", "", "")),
        (-signal.SIGXCPU, "Ran 2 tests for", ("exhausted", "", "")),
        (1, "Error: No tests to run", ("broken", "", "")),
    ],
)
def test_judge__each_end__has_its_verdict(code: int, output: str, expected: tuple[str, str, str]) -> None:
    assert judge(code, output) == expected


def test_stages__baseline__leaves_failing_tests_out_of_all_and_slow_ones_out_of_the_first() -> None:
    baseline = Baseline(left_out=("test_gas",), slow=("testFuzz_slow",), tests=9, cpu=10.0)
    unit, near, quick, whole = stages(
        ["tests/contracts/U.t.sol"], ["tests/contracts/A.t.sol", "tests/contracts/B.t.sol"], baseline
    )
    assert unit[1][1] == "tests/contracts/U.t.sol"
    assert unit[2]["FOUNDRY_SRC"] == "tests/none" and "FOUNDRY_SRC" not in near[2]
    assert near[1][1] == "{tests/contracts/A.t.sol,tests/contracts/B.t.sol}"
    assert near[1][3] == quick[1][3] == r"^(test_gas|testFuzz_slow)\b"
    assert whole[1] == ["--no-match-test", r"^(test_gas)\b"]
    assert whole[2] == {"FOUNDRY_FUZZ_RUNS": "48", "FOUNDRY_INVARIANT_DEPTH": "600"}


def answer(**statuses: str) -> Outcome:
    results = {f"{name}()": {"status": status, "duration": "1ms"} for name, status in statuses.items()}
    report_ = {"tests/contracts/A.t.sol:ATest": {"test_results": results}}
    return Outcome("failed", "", "", "Compiling…\n" + json.dumps(report_) + "\n", 1.0, 1.0)


def test_read_baseline__few_failures__are_left_out() -> None:
    passing = {f"test_{n}": "Success" for n in range(98)}
    baseline = read_baseline(answer(**passing, test_gas="Failure"))
    assert baseline.left_out == ("test_gas",)
    assert baseline.tests == 99


def test_read_baseline__many_failures_or_none_run__is_an_error() -> None:
    with pytest.raises(BaselineError, match="test_bad"):
        read_baseline(answer(test_good="Success", test_bad="Failure"))
    with pytest.raises(BaselineError, match="did not finish"):
        read_baseline(Outcome("uncompiled", "", "", "Compiler run failed", 1.0, 1.0))


@pytest.mark.parametrize(("text", "expected"), [("1m 2s 30ms", 62.03), ("4us 5ns", 4.005e-6), ("1h", 3600.0)])
def test_seconds__forge_duration__is_read(text: str, expected: float) -> None:
    assert seconds(text) == pytest.approx(expected)


def test_score__equivalent__counts_neither_way() -> None:
    statuses = ["killed"] * 9 + ["survived"] + ["equivalent"] * 2 + ["stillborn"] * 3
    got = report.score(record(str(n), status) for n, status in enumerate(statuses))
    assert (got.sample, got.share) == (12, 0.9)
    assert report.score([]).share == 0.0


LIST = """
[[equivalent]]
file = "contracts/A.sol"
operator = "boundary"
before = "a"
after = "b"
test = "testFuzz_equivalent__a__b"
reason = "same"
"""


def test_read_list__entry__names_its_mutant(tmp_path: Path) -> None:
    file = tmp_path / "equivalent.toml"
    file.write_text(LIST)
    entries = read_list(file)
    assert listed_as(record("k", "survived", diff="-    a\n+    b"), entries) == entries[0]
    assert listed_as(record("k", "survived", diff="-    a\n+    c"), entries) is None
    assert listed_as(record("k", "survived", operator="constant", diff="-    a\n+    b"), entries) is None
    file.write_text(LIST.replace('reason = "same"', ""))
    with pytest.raises(ValueError, match="reason"):
        read_list(file)
