"""The attack lab with real processes: one short scenario by the command people type.

quorate lab --scenario withholder
├── the report: the adversary below honest, nothing wrong, no honest node slashed
├── the withholders paid the penalty that the page says, to whom it says
└── the recording replays to the same committees and balances
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lab.simulate.compare import differences
from lab.simulate.record import read_record
from lab.simulate.replay import Replay
from tests.e2e.support.world import PATIENCE_S, PROJECT, environment

EPOCHS, PACE = 2, 6
ARGV = [sys.executable, "-m", "nodeagent.cli.requester", "lab"]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a run of two epochs wrote its report and its recording."""
    folder = tmp_path_factory.mktemp("lab")
    words = ["--scenario", "withholder", "--epochs", str(EPOCHS), "--out", str(folder), "--json"]
    done = subprocess.run(
        [*ARGV, *words], cwd=PROJECT, env=environment(), capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert json.loads(done.stdout) == json.loads((folder / "report.json").read_text())
    return folder


@pytest.fixture(scope="module")
def found(out: Path) -> dict[str, Any]:
    scenarios: list[dict[str, Any]] = json.loads((out / "report.json").read_text())["scenarios"]
    assert [s["name"] for s in scenarios] == ["withholder"]
    return scenarios[0]


def test_lab__withholders__end_below_honest_and_settle_nothing_wrong(found: dict[str, Any]) -> None:
    assert found["adversary_net"] < 0 < found["honest_net"]
    assert found["shards"] == EPOCHS * PACE
    assert (found["wrong_settled"], found["wrong_final"], found["honest_slashed"]) == (0, 0, 0)
    assert (found["expected_wrong_settled"], found["expected_wrong_final"]) == (0.0, 0.0)
    assert found["passed"] and all(found["checks"].values())


def test_lab__withholders__lose_a_tenth_for_every_lane_and_a_reporter_earns_a_tenth_of_that(
    found: dict[str, Any],
) -> None:
    parties = {party["name"]: party for party in found["parties"]}
    bad, good = parties["withholder"], parties["honest"]
    assert (bad["opened"], bad["paid"], bad["earned"]) == (0, 0, 0)
    assert bad["drawn"] > 0 and bad["slashes"] > 0
    assert good["rewards"] == pytest.approx(bad["slashed"] / 10, rel=1e-12)
    assert bad["stake_change"] == -bad["slashed"]
    assert good["payment_change"] == good["earned"] + good["fees"] > 0
    assert good["opened"] == good["drawn"]


def test_lab__recording__replays_to_the_same_committees_and_balances(out: Path) -> None:
    record = read_record(out / "withholder.record.json")
    assert len(record.committees) >= EPOCHS * PACE
    assert any(batch.delay is None for batch in record.batches)
    assert differences(record, Replay(record).play()) == []


def test_lab__unknown_scenario__is_refused_before_anything_starts(tmp_path: Path) -> None:
    words = ["--scenario", "nonesuch", "--out", str(tmp_path / "lab")]
    done = subprocess.run([*ARGV, *words], cwd=PROJECT, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "no scenario 'nonesuch'" in done.stderr
    assert not (tmp_path / "lab").exists()
