"""The pantry: a disk that refuses, copies of a second computation."""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from scene import posted, world

from nodeagent.content import Cid, LayeredStore, open_content
from nodeagent.content.fetch import Fetcher
from nodeagent.protocol.types import JobId, Shard
from nodeagent.runtimes.errors import Pass
from nodeagent.runtimes.types import CANONICAL, ShardSpec, TaskResult
from nodeagent.worker.compute import Order, Pantry, run_again, run_shard
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
    """An agent's folder and store."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store = folder, open_content(folder / "ours")
        self.pantry = Pantry(self.store, Fetcher(self.store), folder / "pantry", {CANONICAL: RUNTIME})

    def held(self, part: str = "models") -> set[str]:
        return {file.name for file in (self.folder / "pantry" / part).iterdir()}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


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


def test_prepare__freed__inputs_gone_model_kept(place: Place) -> None:
    job, model, _ = put_job(place.store, b"model")
    prepared = place.pantry.prepare(order(job), never)
    assert place.held("inputs") == {"1-0.npz"}
    prepared.free()
    assert place.held("inputs") == set() and place.held() == {str(model)}


# --- a disk that refuses ----------------------------------------------------------------------------------------------


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("again", [False, True])
def test_prepare__disk_is_full__a_pass_and_no_half_file(
    place: Place, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    job, _, _ = put_job(place.store, b"model")
    monkeypatch.setattr("nodeagent.worker.compute.sync_file", full)
    with pytest.raises(Pass, match="No space left"):
        place.pantry.prepare(order(job, again=again), never)
    assert place.held() == place.held("again") == place.held("inputs") == set()
    monkeypatch.undo()
    place.pantry.prepare(order(job, again=again), never).free()


def test_run_shard__disk_is_full__a_pass_and_no_half_file(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    job, _, _ = put_job(place.store, b"model")
    prepared = place.pantry.prepare(order(job), never)
    (place.folder / "pending").mkdir()
    monkeypatch.setattr("nodeagent.worker.compute.sync_file", full)
    with pytest.raises(Pass, match="No space left"):
        run_shard(prepared, Oven(), place.folder / "pending", None)  # type: ignore[arg-type]
    assert list((place.folder / "pending").iterdir()) == []


@pytest.mark.parametrize("again", [False, True])
def test_prepare__model_goes_before_it_is_opened__a_pass(
    place: Place, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    job, _, _ = put_job(place.store, b"model")
    bring: Callable[..., None] = place.pantry._bring

    def snatched(*args: object, **named: object) -> None:
        bring(*args, **named)
        for part in ("models", "again"):
            for file in (place.folder / "pantry" / part).iterdir():
                if file.suffix != ".npz":
                    file.unlink()

    monkeypatch.setattr(place.pantry, "_bring", snatched)
    with pytest.raises(Pass, match="No such file"):
        place.pantry.prepare(order(job, again=again), never)


# --- a second computation ---------------------------------------------------------------------------------------------


def test_run_again__two_shards_of_one_job__neither_takes_the_others_model(place: Place) -> None:
    job, _, _ = put_job(place.store, b"model")
    one, two = (place.pantry.prepare(order(job, shard, again=True), never) for shard in (0, 1))
    assert one.spec.model_path != two.spec.model_path
    for prepared in (one, two):
        assert len(run_again(prepared, Oven(), None)) == 32  # type: ignore[arg-type]
        prepared.free()
    assert place.held("again") == set()
