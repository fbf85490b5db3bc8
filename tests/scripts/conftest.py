"""One real anvil for the whole session; ape's own runner attaches to it, and so do the scripts, as child processes.

The story's fixtures build on each other and time only moves forward, so ape's snapshots per test are switched off.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from support import ROOT as _ROOT  # noqa: E402
from support import Anvil, Run, ape  # noqa: E402

assert _ROOT == ROOT
_anvil: Anvil | None = None


def pytest_configure(config: pytest.Config) -> None:
    global _anvil
    config.option.disable_isolation = True
    _anvil = Anvil()
    os.environ["APE_FOUNDRY_HOST"] = _anvil.url


def pytest_unconfigure(config: pytest.Config) -> None:
    if _anvil is not None:
        _anvil.stop()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The stories first: they mine more than a thousand blocks, which takes anvil longer the more has been deployed."""
    items.sort(key=lambda item: not item.path.name.startswith("test_story"))


@pytest.fixture(scope="session")
def url() -> str:
    """The session's chain."""
    assert _anvil is not None
    return _anvil.url


@pytest.fixture(scope="session")
def other_anvil() -> Iterator[Any]:
    """Starts further chains; ``other_anvil("--hardfork", "cancun")`` returns one."""
    started: list[Anvil] = []

    def start(*options: str) -> Anvil:
        started.append(Anvil(*options))
        return started[-1]

    yield start
    for anvil in started:
        anvil.stop()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the session's deployment is recorded."""
    return tmp_path_factory.mktemp("deployments")


@pytest.fixture(scope="session")
def deployed(url: str, folder: Path) -> Run:
    """The session's deployment, by ``ape run deploy`` as a user types it."""
    return ape(url, "run", "deploy", "--network", "ethereum:local:foundry", "--yes", "--record", folder).checked()


@pytest.fixture(scope="session")
def record(deployed: Run, folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "31337.json").read_text())
    return found


@pytest.fixture(scope="session")
def artifacts() -> Any:
    from scripts._lib import artifacts as module

    module.build()
    return module.load_all()


@pytest.fixture(scope="session")
def interfaces(artifacts: Any) -> Any:
    from scripts._lib.abi import Interface

    return {name: Interface(name, artifact.abi) for name, artifact in artifacts.items()}


@pytest.fixture
def local_toml() -> str:
    return (ROOT / "scripts" / "params" / "local.toml").read_text()


@pytest.fixture
def local_params(local_toml: str) -> dict[str, Any]:
    return tomllib.loads(local_toml)


@pytest.fixture
def own_folder(tmp_path: Path, folder: Path, record: dict[str, Any]) -> Path:
    """A copy of the session's record that a test may spoil."""
    shutil.copy(folder / "31337.json", tmp_path / "31337.json")
    return tmp_path
