"""``export_abi``: writes, is idempotent, and ``--check`` finds a stale, a missing and a superfluous file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from support import ROOT

from scripts.export_abi import cli

NAMES = {"AccessManager", "CommitLedger", "Court", "JobMarket", "NodeRegistry", "QuorateToken", "TestStablecoin"}


def export(target: Path, *options: str) -> Result:
    return CliRunner().invoke(cli, ["--target", str(target), "--no-build", *options])


@pytest.fixture
def exported(artifacts: Any, tmp_path: Path) -> Path:
    assert export(tmp_path).exit_code == 0
    return tmp_path


def test_export_abi__empty_folder__writes_every_contract_with_its_errors(exported: Path) -> None:
    assert {path.stem for path in exported.glob("*")} == NAMES
    market = json.loads((exported / "JobMarket.json").read_text())
    assert {"type": "error", "name": "UnknownJob"}.items() <= next(
        e for e in market if e.get("name") == "UnknownJob"
    ).items()
    assert "internalType" not in (exported / "JobMarket.json").read_text()
    assert "7 ABI files are up to date" in export(exported, "--check").output


def test_export_abi__again__writes_nothing(exported: Path) -> None:
    assert "wrote 0, removed 0, kept 7 ABI files" in export(exported).output


def test_export_abi__check_of_stale_file__fails_with_what_differs(exported: Path) -> None:
    path = exported / "NodeRegistry.json"
    text = path.read_text().replace('"name": "relocate"', '"name": "relocated"')
    path.write_text(text)
    run = export(exported, "--check")
    assert run.exit_code == 1
    assert "NodeRegistry.json: - function relocated(uint16)" in run.output
    assert "NodeRegistry.json: + function relocate(uint16)" in run.output
    assert "next: python scripts/export_abi.py" in run.output
    assert path.read_text() == text


def test_export_abi__check_of_changed_result__is_marked_as_changed(exported: Path) -> None:
    path = exported / "NodeRegistry.json"
    path.write_text(path.read_text().replace('"outputs": [{"name": "", "type": "uint32"}]', '"outputs": []'))
    run = export(exported, "--check")
    assert run.exit_code == 1
    assert "NodeRegistry.json: ~ function nodeCount()" in run.output


def test_export_abi__check_of_missing_and_superfluous_file__fails(exported: Path) -> None:
    (exported / "CommitLedger.json").rename(exported / "Ledger.json")
    run = export(exported, "--check")
    assert run.exit_code == 1
    assert "CommitLedger.json: + function commit(uint32, bytes27)" in run.output
    assert "Ledger.json: no such contract" in run.output
    assert "wrote 1, removed 1, kept 6 ABI files" in export(exported).output


def test_export_abi__files_of_this_repository__are_up_to_date() -> None:
    run = subprocess.run(
        [sys.executable, "scripts/export_abi.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")
