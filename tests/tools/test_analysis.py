"""What is read out of Slither's and forge's reports.

slither.findings ...... only high and medium; those entirely in dependencies and mocks are elsewhere
slither.suppressions .. the detector and its reason; without one, or as a block, the reason is empty
coverage.read_lcov .... counts add up; `-` is a branch that was not reached
coverage.report_of .... our own contracts only
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Tool = Callable[[str], ModuleType]


def result(file: str, impact: str = "High") -> dict[str, Any]:
    place = {"filename_relative": file, "lines": [7, 8]}
    return {
        "impact": impact,
        "confidence": "Medium",
        "check": "reentrancy-eth",
        "description": f"bad\n\tthing in {file}",
        "elements": [{"source_mapping": place}],
    }


def test_findings__impacts_and_places__are_sorted_out(tool: Tool) -> None:
    slither = tool("slither")
    results = [
        result("contracts/A.sol", "Medium"),
        result("contracts/B.sol"),
        result("contracts/B.sol", "Low"),
        result("contracts/mocks/M.sol"),
        result("node_modules/x/X.sol"),
    ]
    found, elsewhere = slither.findings({"results": {"detectors": results}})
    assert [(one.impact, one.file, one.line) for one in found] == [
        ("High", "contracts/B.sol", 7),
        ("Medium", "contracts/A.sol", 7),
    ]
    assert found[0].what == "bad thing in contracts/B.sol"
    assert elsewhere == 2


def test_findings__touching_ours_and_a_library__is_ours(tool: Tool) -> None:
    mixed = result("node_modules/x/X.sol")
    mixed["elements"] += result("contracts/A.sol")["elements"]
    found, elsewhere = tool("slither").findings({"results": {"detectors": [mixed]}})
    assert [one.file for one in found] == ["contracts/A.sol"]
    assert elsewhere == 0


def test_suppressions__comments__carry_their_reasons(tool: Tool, tmp_path: Path) -> None:
    (tmp_path / "mocks").mkdir()
    (tmp_path / "mocks" / "M.sol").write_text("// slither-disable-next-line a mocks may\n")
    (tmp_path / "A.sol").write_text(
        "contract A {\n"
        "    // slither-disable-next-line incorrect-equality,unused-return the clock is whole\n"
        "    // slither-disable-next-line weak-prng\n"
        "    // slither-disable-start timestamp all of it\n"
        "}\n"
    )
    found = list(tool("slither").suppressions(tmp_path))
    assert [(one.file, one.line, one.detector, one.reason) for one in found] == [
        ("contracts/A.sol", 2, "incorrect-equality", "the clock is whole"),
        ("contracts/A.sol", 2, "unused-return", "the clock is whole"),
        ("contracts/A.sol", 3, "weak-prng", ""),
        ("contracts/A.sol", 4, "timestamp", ""),
    ]


LCOV = """TN:
SF:contracts/A.sol
DA:3,2
DA:4,0
FNDA:1,A.f
BRDA:4,0,0,-
BRDA:4,0,1,5
end_of_record
SF:contracts/mocks/M.sol
DA:1,0
BRDA:1,0,0,0
end_of_record
SF:contracts/A.sol
DA:4,0
BRDA:4,0,1,1
end_of_record
"""


def test_read_lcov__repeated_records__add_up(tool: Tool) -> None:
    found = tool("coverage").read_lcov(LCOV)["contracts/A.sol"]
    assert found.lines == {3: 2, 4: 0}
    assert found.branches == {(4, 0, 0): 0, (4, 0, 1): 6}
    assert found.functions == {"A.f": 1}


def test_report_of__mocks__are_not_part(tool: Tool) -> None:
    coverage = tool("coverage")
    report = coverage.report_of(coverage.read_lcov(LCOV), ["test_gas"])
    assert list(report["contracts"]) == ["contracts/A.sol"]
    assert report["contracts"]["contracts/A.sol"]["missed_branches"] == [4]
    assert report["contracts"]["contracts/A.sol"]["missed_lines"] == [4]
    assert (report["lines_total_pct"], report["branches_total_pct"]) == (50.0, 50.0)
    assert report["tests_left_out"] == ["test_gas"]


def test_report_of__nothing__is_no_success(tool: Tool) -> None:
    assert tool("coverage").report_of({}, [])["branches_total_pct"] == pytest.approx(0.0)
