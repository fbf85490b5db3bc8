"""The skip checker: which skips fail a run.

check_skips
├── a report without skips ............................ passes
├── a skip whose reason is on no line ................. fails
├── a skip on the list, its prerequisite absent ....... passes, printed
├── a skip on the list, its prerequisite present ...... fails
├── an expected failure ............................... counts as a skip
├── forge's skips, with and without a reason .......... read from its output
└── no report at all .................................. fails
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

Load = Callable[[str], ModuleType]

CASE = '<testsuites><testsuite><testcase classname="m" name="t">{}</testcase></testsuite></testsuites>'
RULES = """# a comment
needs absent :: program:no-such-program-xyz
needs python :: module:sys
needs failing :: runs:false
needs running :: runs:true
needs old :: landlock:0
needs new :: landlock:999
"""


@pytest.fixture
def check(tool: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    module = tool("check_skips")
    allowed = tmp_path / "allowed.txt"
    allowed.write_text(RULES)
    monkeypatch.setattr(module, "ALLOWED", allowed)

    def run(text: str | None, suffix: str = ".xml") -> int:
        report = tmp_path / f"report{suffix}"
        if text is not None:
            report.write_text(text)
        return int(module.main([report]))

    return run


def skipped(reason: str, kind: str = "pytest.skip") -> str:
    return CASE.format(f'<skipped type="{kind}" message="{reason}">x</skipped>')


def test_check_skips__no_skip__passes(check: Callable[..., int]) -> None:
    assert check(CASE.format("")) == 0


def test_check_skips__unlisted_reason__fails(check: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert check(skipped("too lazy")) == 1
    assert "skipped m.t: too lazy  <-- NOT ALLOWED: not on allowed.txt" in capsys.readouterr().out


def test_check_skips__prerequisite_absent__passes_and_prints(
    check: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(skipped("needs absent here")) == 0
    assert capsys.readouterr().out == "skipped m.t: needs absent here\n"


def test_check_skips__prerequisite_present__fails(
    check: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(skipped("needs python")) == 1
    assert "module:sys is present, so it must run" in capsys.readouterr().out


@pytest.mark.parametrize(("reason", "code"), [("failing", 0), ("running", 1), ("old", 1), ("new", 0)])
def test_check_skips__prerequisite_found_by_trying__decides(check: Callable[..., int], reason: str, code: int) -> None:
    assert check(skipped(f"needs {reason}")) == code


def test_check_skips__expected_failure__fails(check: Callable[..., int]) -> None:
    assert check(skipped("known bug", "pytest.xfail")) == 1


@pytest.mark.parametrize("line", ["[SKIP] test_x__y__z()", "[SKIP: later] test_x__y__z() (gas: 0)"])
def test_check_skips__forge_output__fails(check: Callable[..., int], line: str) -> None:
    assert check(f"[PASS] test_a() (gas: 1)\n{line}\n", ".log") == 1
    assert check("[PASS] test_a() (gas: 1)\n", ".log") == 0


def test_check_skips__no_report__fails(check: Callable[..., int]) -> None:
    assert check(None) == 1


def test_read_rules__line_without_prerequisite__exits_with_place(tool: Load, tmp_path: Path) -> None:
    path = tmp_path / "rules.txt"
    path.write_text("\nsome reason\n")
    with pytest.raises(SystemExit, match=r"rules.txt:2: write 'reason :: prerequisite'"):
        tool("check_skips").read_rules(path)
