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

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def runtimes_dir() -> Path:
    """Installed once per checkout; what is already there is verified by hash and reused."""
    dest = ROOT / "build" / "runtimes"
    install(dest)
    return dest


@pytest.fixture(scope="session")
def executor(runtimes_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    with Executor(runtimes_dir, scratch=tmp_path_factory.mktemp("executor")) as running:
        yield running


@pytest.fixture
def bench(executor: Executor, tmp_path: Path) -> Bench:
    return Bench(executor, tmp_path)
