"""A job whose payload was added with ``ipfs add`` and is nowhere else: the agent's pantry brings it from Kubo."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from content_faults import numbers

from nodeagent.content import LayeredStore, LocalStore
from nodeagent.content.backends import Backends
from nodeagent.content.fetch import Fetcher
from nodeagent.content.kubo import KuboStore
from nodeagent.protocol.types import JobId, Shard
from nodeagent.runtimes.types import CANONICAL
from nodeagent.worker.compute import Order
from nodeagent.worker.pantry import Pantry
from nodeagent.worker.shelf import Room
from nodeagent.worker.world import Job

if TYPE_CHECKING:
    from conftest import Daemon, Ipfs

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "worker"))
from scene import posted, world

RUNTIME = b"\x11" * 32
pytestmark = pytest.mark.filterwarnings("ignore:The 'strict' parameter:FutureWarning")
MODEL, INPUTS = numbers(2_500_000), b"inputs of shard 0"
OLD_OPTIONS = ("--cid-version=1", "--raw-leaves", "--chunker=size-262144", "--max-file-links=174")


def added(ipfs: Ipfs, folder: Path, data: bytes, *options: str) -> dict[str, object]:
    path = folder / hashlib.sha256(data).hexdigest()[:8]
    path.write_bytes(data)
    return {"bytes": len(data), "cid": ipfs.add(path, *options)}


def job_in(ipfs: Ipfs, folder: Path, *options: str) -> Job:
    """A job of four shards, as the chain tells it; everything that it names was added with ``ipfs add``."""
    inputs = added(ipfs, folder, INPUTS, *options)
    document = {
        "class": "EXACT",
        "inputs": [{"dtype": "float32", "name": "x", "shape": [1]}],
        "maxOutputBytes": 64,
        "model": added(ipfs, folder, MODEL, *options),
        "outputs": [{"dtype": "float32", "name": "y"}],
        "runtime": {"id": "0x" + RUNTIME.hex(), "name": CANONICAL},
        "shardSize": 2,
        "shards": [inputs] * 4,
        "tasks": 8,
        "units": 12,
        "version": "quorate/job/1",
    }
    manifest = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    added(ipfs, folder, manifest)
    return replace(world([posted(1)]).jobs[JobId(1)], manifest=hashlib.sha256(manifest).digest())


@pytest.mark.parametrize("options", [(), OLD_OPTIONS], ids=["profile", "small chunks"])
@pytest.mark.parametrize("way", ["api", "gateway"])
def test_prepare__payload_added_with_ipfs_add__comes_from_kubo(
    daemon: Daemon, tmp_path: Path, options: tuple[str, ...], way: str
) -> None:
    job = job_in(daemon.ipfs, tmp_path, *options)
    kubo = KuboStore(daemon.api) if way == "api" else None
    store = LayeredStore(LocalStore(tmp_path / "store"), kubo)
    backends = Backends(gateways=[daemon.gateway], kubo=True) if kubo else Backends(gateways=[daemon.gateway])
    order = ("kubo",) if kubo else ("gateways",)
    pantry = Pantry(
        store,
        Fetcher(store, kubo=kubo),
        tmp_path / "pantry",
        {CANONICAL: RUNTIME},
        Room(1 << 30, 0),
        backends=replace(backends, order=order),
    )
    prepared = pantry.prepare(Order(job, Shard(0), 500, ()), lambda: False)
    assert prepared.spec.model_path.read_bytes() == MODEL
    assert prepared.spec.inputs_path.read_bytes() == INPUTS
    prepared.free()
