"""A real Kubo of its own: loopback only, no peers, no network to search."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from nodeagent.content.kubo import KuboStore


@dataclass(frozen=True, slots=True)
class Ipfs:
    """The ``ipfs`` command of one repository."""

    program: str
    repo: Path

    def __call__(self, *arguments: object, stdin: bytes = b"") -> bytes:
        """What it prints; raises ``CalledProcessError``."""
        command = [self.program, *map(str, arguments)]
        return subprocess.run(command, env=self.environment, input=stdin, check=True, capture_output=True).stdout

    def add(self, path: Path, *options: str) -> str:
        """The root of a file or folder, added as the profile says."""
        return self("add", "--recursive", "--quieter", "--hidden", *options, str(path)).decode().strip()

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.repo.parent), "IPFS_PATH": str(self.repo)}


@dataclass(frozen=True, slots=True)
class Daemon:
    ipfs: Ipfs
    api: str
    gateway: str


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    program = shutil.which("ipfs")
    if program is None:
        pytest.skip("ipfs not on PATH")
    ipfs = Ipfs(program, tmp_path_factory.mktemp("ipfs") / "repo")
    ipfs("init", "--profile=test,unixfs-v1-2025")
    ipfs("config", "Routing.Type", "none")
    process = subprocess.Popen(
        [program, "daemon"], env=ipfs.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if "Daemon is ready" in line:
            break
    else:
        pytest.fail("ipfs daemon ended:\n" + "".join(said))
    threading.Thread(target=process.stdout.read, daemon=True).start()
    try:
        yield Daemon(ipfs, (ipfs.repo / "api").read_text().strip(), (ipfs.repo / "gateway").read_text().strip())
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def ipfs(daemon: Daemon) -> Ipfs:
    return daemon.ipfs


@pytest.fixture
def kubo(daemon: Daemon) -> KuboStore:
    return KuboStore(daemon.api)
