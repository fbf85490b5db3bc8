"""Puts the fake chain on the path, and leaves out what this shell says of a node."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "chain"))


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NODEAGENT_HOME", "NODEAGENT_PASSWORD_FILE", "NODEAGENT_RPC_URL", "NODEAGENT_DEPLOYMENT"):
        monkeypatch.delenv(name, raising=False)
