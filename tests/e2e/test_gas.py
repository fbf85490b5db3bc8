"""Gas is exact and gated: the design's bars, and no step more than 2 % above the accepted table.

``python -m bench.gas --accept`` writes a new table; the change that needs it says why.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from bench import gas

TOLERANCE = 1.02
SIZE_ROOM = 256  # bytes under the limit of every contract

BARS = {
    ("1/3/3", "total_separate"): 318_000,
    ("1/3/3", "total_turn"): 252_000,
    ("64/3/3", "per_shard"): 21_000,
    ("256/3/3", "per_shard"): 19_000,
    ("1/3/3", "post"): 109_000,
    ("1/3/3", "record_seed"): 60_000,
    ("1/15/15", "settle"): 400_000,
}


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    return gas.run(gas.GATED)


@pytest.mark.parametrize(("case", "step"), BARS)
def test_gas__of_each_barred_step__is_under_its_bar(report: dict[str, Any], case: str, step: str) -> None:
    assert gas.table(report)[case][step] <= BARS[case, step]


def test_gas__of_every_step__has_not_grown(report: dict[str, Any]) -> None:
    accepted = json.loads(gas.BASELINE.read_text())
    measured = gas.table(report)
    assert measured.keys() == accepted.keys()
    grown = {
        (case, step): (was, measured[case][step])
        for case, steps in accepted.items()
        for step, was in steps.items()
        if measured[case][step] > was * TOLERANCE
    }
    assert grown == {}


def test_settle__of_any_size__makes_one_new_slot(report: dict[str, Any]) -> None:
    assert [case["new_slots"] for case in report["cases"]] == [1] * len(report["cases"])


def test_gas__of_appeals_and_reports__is_measured_with_their_slashes(report: dict[str, Any]) -> None:
    assert set(report["appeals"]) == {
        "appeal",
        "resolve_overturned",
        "resolve_upheld",
        "resolve_no_verdict",
        "report_wrong",
        "report_absent",
        "report_unrevealed",
        "claim_after_overturn",
        "close_case",
    }


def test_contracts__as_deployed__leave_room_under_the_size_limit(report: dict[str, Any]) -> None:
    assert max(report["sizes"].values()) + SIZE_ROOM <= gas.SIZE_LIMIT
