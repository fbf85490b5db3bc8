"""A requester's store, an agent's folder, and jobs between them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

from scene import posted, world

from nodeagent.content import Cid, LayeredStore, open_content
from nodeagent.content.backends import Backends
from nodeagent.content.fetch import Fetcher
from nodeagent.protocol.types import JobId, Shard
from nodeagent.runtimes.errors import Pass
from nodeagent.runtimes.types import CANONICAL, ShardSpec, TaskResult
from nodeagent.worker.admission import Admission
from nodeagent.worker.compute import Order
from nodeagent.worker.pantry import Pantry
from nodeagent.worker.shelf import Room
from nodeagent.worker.world import Job

RUNTIME = b"\x11" * 32


def never() -> bool:
    return False


def put_job(store: LayeredStore, model: bytes, number: int = 1, told: int | None = None) -> tuple[Job, Cid, list[Cid]]:
    """A job of four shards whose payload is in ``store``; ``told`` is the model's size in the manifest."""
    cid = store.put_bytes(model)
    shards = [store.put_bytes(b"inputs %d of %d" % (shard, number)) for shard in range(4)]
    document = {
        "class": "EXACT",
        "inputs": [{"dtype": "float32", "name": "x", "shape": [1]}],
        "maxOutputBytes": 64,
        "model": {"bytes": len(model) if told is None else told, "cid": str(cid)},
        "outputs": [{"dtype": "float32", "name": "y"}],
        "runtime": {"id": "0x" + RUNTIME.hex(), "name": CANONICAL},
        "shardSize": 2,
        "shards": [{"bytes": 13, "cid": str(shard)} for shard in shards],
        "tasks": 8,
        "units": 12,
        "version": "quorate/job/1",
    }
    raw = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    store.put_bytes(raw)
    job = world([posted(number)]).jobs[JobId(number)]
    return replace(job, manifest=hashlib.sha256(raw).digest()), cid, shards


class Place:
    """An agent's folder beside a requester's store, and the gateway between them."""

    def __init__(
        self, folder: Path, room: Room | None = None, admission: Admission | None = None, *gateways: str
    ) -> None:
        self.folder, self.room, self.admission = folder, room or Room(1 << 30, 0), admission
        self.gateways = gateways
        self.theirs, self.store = open_content(folder / "theirs"), open_content(folder / "ours")
        self.pantry = self.opened()

    def opened(self) -> Pantry:
        fetcher, runtimes = Fetcher(self.store), {CANONICAL: RUNTIME}
        pantry = self.folder / "pantry"
        return Pantry(
            self.store, fetcher, pantry, runtimes, self.room, self.admission, Backends(gateways=self.gateways)
        )

    def held(self, part: str = "models") -> set[str]:
        return {file.name for file in (self.folder / "pantry" / part).iterdir()}


def order(job: Job, shard: int = 0, *sources: str, again: bool = False) -> Order:
    return Order(job, Shard(shard), 500, sources, again)


class Oven:
    """Answers when model and inputs are there, as the executor does."""

    inferences = 0

    def run(self, spec: ShardSpec, *, seconds: float | None = None) -> list[TaskResult]:
        for path in (spec.model_path, spec.inputs_path):
            if not path.exists():
                raise Pass(f"{path.name} cannot be read")
        return [TaskResult(spec.first + i, 0, b"x") for i in range(spec.count)]
