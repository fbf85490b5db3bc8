"""The installed runtime, one executor for the folder, and a bench that turns a model and arrays into a shard."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from shardbench import Bench

from nodeagent.runtimes.host import Executor
from nodeagent.runtimes.install import install
from nodeagent.runtimes.jail import walls
from nodeagent.runtimes.jail.walls import Jail, NoJail

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def runtimes_dir() -> Path:
    """Installed once per checkout; what is already there is verified by hash and reused."""
    dest = ROOT / "build" / "runtimes"
    install(dest)
    return dest


@pytest.fixture(scope="session", params=["bubblewrap", "landlock"])
def jail(request: pytest.FixtureRequest) -> Jail:
    """Each kind that this machine can build."""
    try:
        return walls.choose(request.param)
    except NoJail as fault:  # allowed only where the machine has no such thing (tools/allowed-skips.txt)
        pytest.skip(f"no {request.param} jail: {fault.message}")


@pytest.fixture(scope="session")
def executor(runtimes_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    payload = [tmp_path_factory.getbasetemp()]
    with Executor(runtimes_dir, scratch=tmp_path_factory.mktemp("executor"), payload=payload) as running:
        yield running


@pytest.fixture
def bench(executor: Executor, tmp_path: Path) -> Bench:
    return Bench(executor, tmp_path)
