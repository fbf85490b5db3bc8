"""When a run of the proofs is a failure, and what is read out of Halmos's report.

proofs.result_of ... proved only with every path explored; what Halmos left out was not run
proofs.complaints .. a proof that does not hold, a control that is not refuted, a file without one, too few proofs
the stubs .......... answer everything that the contracts in front of them ask for
proofs.collect ..... every function that the sources declare, by file and contract
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
Tool = Callable[[str], ModuleType]


@pytest.fixture
def proofs(tool: Tool) -> ModuleType:
    return tool("proofs")


def raw(name: str, exitcode: int = 0, bounded: int = 0) -> dict[str, Any]:
    return {
        "name": f"{name}(uint256)",
        "exitcode": exitcode,
        "num_paths": [7, 6, 0],
        "time": [1.234, 1.0, 0.2],
        "num_bounded_loops": bounded,
    }


def some(proofs: ModuleType, file: str, count: int, control: str | None = "refuted") -> list[Any]:
    found = [proofs.Result(file, "AProof", f"check_{i}", "proved", 0.1, 1) for i in range(count)]
    return found if control is None else [*found, proofs.Result(file, "AProof", "refute_a", control, 0.1, 1)]


@pytest.mark.parametrize(
    ("exitcode", "bounded", "expected"),
    [
        (0, 0, "proved"),
        (0, 1, "not all paths"),
        (1, 0, "refuted"),
        (2, 0, "timed out"),
        (3, 0, "stuck"),
        (4, 0, "all paths revert"),
        (5, 0, "error"),
        (99, 0, "error"),
    ],
)
def test_result_of__halmos_row__says_what_became_of_it(
    proofs: ModuleType, exitcode: int, bounded: int, expected: str
) -> None:
    found = proofs.result_of("a.t.sol", "AProof", "check_a", raw("check_a", exitcode, bounded))
    assert (found.result, found.seconds, found.paths) == (expected, 1.23, 7)
    assert found.good == (expected == "proved")


def test_result_of__no_row__was_not_run(proofs: ModuleType) -> None:
    found = proofs.result_of("a.t.sol", "AProof", "refute_a", None)
    assert (found.result, found.good) == ("not run", False)


def test_complaints__enough_that_hold_and_a_control_refuted__none(proofs: ModuleType) -> None:
    assert proofs.complaints(some(proofs, "a.t.sol", proofs.LEAST)) == []


def test_complaints__control_that_holds__is_named(proofs: ModuleType) -> None:
    assert proofs.complaints(some(proofs, "a.t.sol", proofs.LEAST, "proved")) == ["AProof.refute_a: proved"]


def test_complaints__one_too_few__says_how_many(proofs: ModuleType) -> None:
    found = proofs.complaints(some(proofs, "a.t.sol", proofs.LEAST - 1))
    assert found == [f"{proofs.LEAST - 1} proofs, at least {proofs.LEAST} are wanted"]


def test_complaints__file_without_control__is_named(proofs: ModuleType) -> None:
    results = some(proofs, "a.t.sol", proofs.LEAST) + some(proofs, "b.t.sol", 1, None)
    assert proofs.complaints(results) == ["b.t.sol: no control"]


def test_collect__report_that_leaves_one_out__has_every_declared_function(
    proofs: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "A.t.sol").write_text(
        "contract Harness {}\ncontract AProof is Proof {\n"
        "    function check_a(uint256) public {}\n    function check_b(\n    ) public {}\n"
        "    function refute_c() public {}\n    function _check_d() private {}\n}\n"
    )
    monkeypatch.setattr(proofs, "PROOFS", tmp_path)
    rows = [raw("check_a"), raw("refute_c", 1)]
    found = proofs.collect({"test_results": {"tests/proofs/A.t.sol:AProof": rows}})
    assert [(one.name, one.result) for one in found] == [
        ("check_a", "proved"),
        ("check_b", "not run"),
        ("refute_c", "refuted"),
    ]


@pytest.mark.parametrize(("door", "stub"), [("registry", "Registry"), ("ledger", "Ledger"), ("market_", "Market")])
def test_stubs__whatTheContractsAsk__isAnsweredByEach(door: str, stub: str) -> None:
    """The proofs run seldom: a stub that lacks what a contract has come to ask for must be seen before they do."""
    names = ("Court.sol", "market/Members.sol", "market/Earnings.sol")
    sources = [(ROOT / "contracts" / name).read_text() for name in names]
    asked = {name for text in sources for name in re.findall(rf"\b{door}(?:\(\))?\.(\w+)\(", text)}
    text = (ROOT / "tests" / "proofs" / "Stubs.sol").read_text()
    body = text[text.index(f"contract {stub}Stub") :].split("\ncontract ")[0]
    answered = set(re.findall(r"(?:function|constant|public) (?!constant)(\w+)", body))
    assert asked and asked <= answered
