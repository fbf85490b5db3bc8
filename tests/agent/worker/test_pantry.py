"""The pantry: payloads within the operator's limits, a disk that refuses, copies of a second computation."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest
from pantry_scene import Oven, Place, never, order, put_job

from nodeagent.content import open_content
from nodeagent.content.gateway import Gateway
from nodeagent.runtimes.errors import Pass
from nodeagent.worker.admission import Admission
from nodeagent.worker.compute import Warm, run_again, run_shard
from nodeagent.worker.pantry import Mismatch
from nodeagent.worker.shelf import NoRoom, Room


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


# --- limits -----------------------------------------------------------------------------------------------------------


def test_model__repeated_leaf__the_budget_counts_what_lies_on_disk(tmp_path: Path) -> None:
    place = Place(tmp_path, Room(5 << 20, 0))
    jobs = [put_job(place.theirs, bytes([n]) * (3 << 20), n) for n in (1, 2)]
    with Gateway(place.theirs.local) as gateway:
        with place.pantry.model(Warm(jobs[0][0], 100, (gateway.url,)), never):
            pass
        with pytest.raises(NoRoom), place.pantry.model(Warm(jobs[1][0], 100, (gateway.url,)), never):
            pass
        assert place.held() == {str(jobs[0][1])} and not place.store.has(jobs[1][1]), "nothing was even fetched"
        place.pantry.prepare(order(jobs[1][0], 0, gateway.url), never).free()
        assert place.held() == {str(jobs[1][1])}, "drawn work takes the place of what is idle"


def test_prepare__models_in_use_fill_the_budget__a_pass_with_its_reason(tmp_path: Path) -> None:
    place = Place(tmp_path, Room(10, 0))
    first, second = (put_job(place.store, bytes([n]) * 8, n)[0] for n in (1, 2))
    prepared = place.pantry.prepare(order(first), never)
    with pytest.raises(Pass, match="over the 10 that models may take"):
        place.pantry.prepare(order(second), never)
    assert run_again(prepared, Oven(), None), "the one in use was left alone"  # type: ignore[arg-type]
    prepared.free()
    place.pantry.prepare(order(second), never).free()


def test_prepare__disk_nearly_full__a_pass_and_nothing_written(tmp_path: Path) -> None:
    place = Place(tmp_path, Room(1 << 30, 1 << 62))
    job, _, _ = put_job(place.store, b"model")
    with pytest.raises(Pass, match="to be left free"):
        place.pantry.prepare(order(job), never)
    assert place.held() == place.held("inputs") == set()


def test_prepare__manifest_tells_another_size__the_job_is_at_fault_and_no_room_is_taken(tmp_path: Path) -> None:
    place = Place(tmp_path, Room(10, 0))
    wrong, right = put_job(place.store, b"model", 1, told=9)[0], put_job(place.store, b"other", 2)[0]
    with pytest.raises(Mismatch, match="has 5 bytes, the manifest says 9"):
        place.pantry.prepare(order(wrong), never)
    with place.pantry.model(Warm(right, 100, ()), never):
        assert len(place.held()) == 1


def test_prepare__model_the_operator_denies__a_pass_before_the_model_is_brought(tmp_path: Path) -> None:
    theirs = open_content(tmp_path / "shown")
    job, model, _ = put_job(theirs, b"model")
    place = Place(tmp_path, admission=Admission(deny_models=frozenset([str(model)])))
    with Gateway(theirs.local) as gateway, pytest.raises(Mismatch, match="is in deny_models"):
        place.pantry.prepare(order(job, 0, gateway.url), never)
    assert not place.store.has(model)


def test_prepare__peers_have_nothing__the_configured_gateway_is_asked(tmp_path: Path) -> None:
    theirs, empty = open_content(tmp_path / "shown"), open_content(tmp_path / "empty")
    job, model, _ = put_job(theirs, b"model")
    with Gateway(theirs.local) as gateway, Gateway(empty.local) as peer:
        place = Place(tmp_path, None, None, gateway.url)
        place.pantry.prepare(order(job, 0, peer.url), never).free()
    assert place.held() == {str(model)}


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
    monkeypatch.setattr("nodeagent.worker.pantry.sync_file", full)
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


@pytest.mark.parametrize("restarted", [False, True])
def test_prepare__model_rotted_on_disk__is_brought_out_of_the_store_again(place: Place, restarted: bool) -> None:
    job, _, _ = put_job(place.store, b"model")
    first = place.pantry.prepare(order(job), never)
    first.free()
    first.spec.model_path.write_bytes(b"rotte")
    pantry = place.opened() if restarted else place.pantry
    second = pantry.prepare(order(job, 1), never)
    assert second.spec.model_path.read_bytes() == b"model" and second.spec.model_sha256 == first.spec.model_sha256


# --- a second computation ---------------------------------------------------------------------------------------------


def test_run_again__two_shards_of_one_job__neither_takes_the_others_model(place: Place) -> None:
    job, _, _ = put_job(place.store, b"model")
    one, two = (place.pantry.prepare(order(job, shard, again=True), never) for shard in (0, 1))
    assert one.spec.model_path != two.spec.model_path
    for prepared in (one, two):
        assert len(run_again(prepared, Oven(), None)) == 32  # type: ignore[arg-type]
        prepared.free()
    assert place.held("again") == set()
