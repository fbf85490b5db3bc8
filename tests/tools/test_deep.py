"""What the deep run reads out of forge's reports, and when it says that something was too seldom.

read_counts ........ adds runs up; the number of calls is not an action
add_invariants ..... calls and reverts add up; a suite that counts nothing has forge's successes
failures_of ........ every test that did not pass, with the seed that shows it
too_seldom ......... each action's share of its ten-millionth
load_state ......... goes on; starts anew for other code and after a failure
piece_shape ........ whole runs; fewer calls when fewer are left
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

Tool = Callable[[str], ModuleType]


def report(status: str = "Success") -> dict[str, Any]:
    metrics = {"tests/invariants/Garbage.t.sol:Garbler.wait": {"calls": 9, "reverts": 2, "discards": 1}}

    def of(name: str, kind: Any) -> dict[str, Any]:
        return {name: {"status": status, "reason": "why", "kind": kind}}

    def run(calls: int) -> dict[str, Any]:
        return {"Invariant": {"runs": 1, "calls": calls, "reverts": 2, "metrics": metrics}}

    return {
        "tests/invariants/Garbage.t.sol:GarbageInvariants": {
            "test_results": of("invariant_01_a()", run(9)) | of("invariant_03_b()", run(9))
        },
        "tests/invariants/Invariants.t.sol:ProtocolInvariants": {
            "test_results": of("invariant_01_a()", run(50)) | of("test_b()", {"Unit": {"gas": 1}})
        },
    }


def test_read_counts__manyRuns__addUp(tool: Tool) -> None:
    text = "calls=10;post=2;resolve: upheld=0\ncalls=10;post=3;resolve: upheld=1\n"
    assert tool("deep").read_counts(text) == {"post": 5, "resolve: upheld": 1}


def test_read_counts__lineTwice__isOneRunPlayedAgain(tool: Tool) -> None:
    assert tool("deep").read_counts("calls=9;post=2\ncalls=9;post=2\ncalls=9;post=3\n") == {"post": 5}


def test_read_counts__nothing__isNothing(tool: Tool) -> None:
    assert tool("deep").read_counts("") == {}


def test_add_invariants__twoPieces__addUp(tool: Tool) -> None:
    deep = tool("deep")
    state = deep.State("mark")
    for _ in range(2):
        deep.add_invariants(state, report(), {"post": 7})
    assert state.calls == 2 * (9 + 9 + 50)
    garbage, protocol = state.suites["GarbageInvariants"], state.suites["ProtocolInvariants"]
    assert (garbage.calls, garbage.reverts, garbage.actions) == (36, 8, {"wait": 24})
    assert (protocol.calls, protocol.actions) == (100, {"post": 14})


def test_failures_of__failedTests__areNamedWithTheSeed(tool: Tool) -> None:
    deep = tool("deep")
    assert deep.failures_of(report(), 5) == []
    failed = deep.failures_of(report("Failure"), 5)
    assert len(failed) == 4
    assert failed[0] == "GarbageInvariants.invariant_01_a(): why (--fuzz-seed 5)"


def test_too_seldom__rareAction__isNamed(tool: Tool) -> None:
    deep = tool("deep")
    suite = deep.Suite("S", calls=5_000_000, actions={"seldom": 149, "enough": 150})
    assert deep.too_seldom(suite, []) == ["S: 'seldom' succeeded 149 times in 5000000 calls, not 150"]


def test_too_seldom__shortRun__wantsEachOnce(tool: Tool) -> None:
    deep = tool("deep")
    suite = deep.Suite("S", calls=1_000, actions={"never": 0, "once": 1})
    assert deep.too_seldom(suite, []) == ["S: 'never' succeeded 0 times in 1000 calls, not 1"]


def test_too_seldom__actionThatWasNeverCounted__isNamed(tool: Tool) -> None:
    deep = tool("deep")
    assert len(deep.too_seldom(deep.Suite("S", calls=10_000_000), ["post", "settle"])) == 2


def test_counted_actions__theSuitesOwnTable__hasEveryRow(tool: Tool) -> None:
    deep = tool("deep")
    source = deep.COUNTED.read_text()
    names = deep.counted_actions(source)
    assert len(names) == source.count("= Row(") == len(set(names)) > 60 and "resolve: overturned" in names


def test_shortcomings__silentSuiteOrNoTable__isNamed(tool: Tool) -> None:
    deep = tool("deep")
    state = deep.State(
        "mark", suites={"GarbageInvariants": deep.Suite("GarbageInvariants", 10**7, 0, {"spoiled": 299})}
    )
    found = deep.shortcomings(state, ["GarbageInvariants", "ProtocolInvariants"], [])
    assert found == [
        "ProtocolInvariants: not a call was made",
        "Counts.sol has no row that can be read",
        "GarbageInvariants: 'spoiled' succeeded 299 times in 10000000 calls, not 300",
    ]


def test_fingerprint__changedTest__isAnother(tool: Tool, tmp_path: Path) -> None:
    deep = tool("deep")
    (tmp_path / "foundry.toml").write_text("[profile.default]\n")
    (tmp_path / "contracts").mkdir()
    (tmp_path / "tests").mkdir()
    before = deep.fingerprint(tmp_path)
    (tmp_path / "tests" / "A.t.sol").write_text("contract A {}\n")
    assert deep.fingerprint(tmp_path) != before


def test_piece_shape__muchLeft__isWholeRuns(tool: Tool) -> None:
    deep = tool("deep")
    runs, depth = deep.piece_shape(10_000_000, 20)
    assert (runs, depth) == (10, deep.DEPTH)


def test_piece_shape__littleLeft__isShorter(tool: Tool) -> None:
    deep = tool("deep")
    assert deep.piece_shape(60_000, 20) == (1, 3_000)
    assert deep.piece_shape(10, 20) == (1, 1_000)
