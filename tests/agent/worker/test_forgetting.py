"""What of a job is needed, and what may go when it is over."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from pantry_scene import Oven, Place, never, order, put_job

from nodeagent.content import Cid
from nodeagent.content.gateway import Gateway
from nodeagent.worker.compute import Over, Warm, payload_label, run_again


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def over(*manifests: bytes, needed: Sequence[bytes] = ()) -> Over:
    """Told of jobs that are over, while those with the manifests ``needed`` are not."""
    return Over(frozenset(manifests), frozenset(map(payload_label, needed)))


def free(place: Place) -> None:
    """Has go what nobody needs."""
    place.store.local.collect()


def test_prepare__job_is_open__its_payload_is_needed(place: Place) -> None:
    job, model, shards = put_job(place.theirs, b"model")
    with Gateway(place.theirs.local) as gateway:
        place.pantry.prepare(order(job, 1, gateway.url), never).free()
    free(place)
    needed = {Cid.from_digest(job.manifest), model, shards[1]}
    assert set(place.store.local.block_cids()) == needed


def test_forget__job_is_over__its_payload_may_go_and_what_else_is_needed_stays(place: Place) -> None:
    job, model, shards = put_job(place.theirs, b"model")
    with Gateway(place.theirs.local) as gateway:
        place.pantry.prepare(order(job, 1, gateway.url), never).free()
    result = place.store.put_bytes(b"a result to be served")
    place.store.put_bytes(b"inputs 1 of 1")  # ours as well: pinned
    place.pantry.forget(over(job.manifest, bytes(32)))
    assert place.held() == set() and place.store.has(model), "as long as there is room"
    free(place)
    assert set(place.store.local.block_cids()) == {result, shards[1]}


def test_forget__another_job_has_the_model__it_stays_until_that_one_is_over(place: Place) -> None:
    (first, model, _), (second, _, _) = (put_job(place.theirs, b"model", n) for n in (1, 2))
    with Gateway(place.theirs.local) as gateway:
        for job in (first, second):
            place.pantry.prepare(order(job, 0, gateway.url), never).free()
    place.pantry.forget(over(first.manifest, needed=[second.manifest]))
    free(place)
    assert place.held() == {str(model)} and place.store.has(model)
    place.pantry.forget(over(second.manifest))
    free(place)
    assert place.held() == set() and not place.store.has(model)


def test_model__brought_ahead__is_a_cache_until_the_job_is_drawn(place: Place) -> None:
    job, _, shards = put_job(place.theirs, b"model")
    with Gateway(place.theirs.local) as gateway:
        with place.pantry.model(Warm(job, 100, (gateway.url,)), never):
            assert place.store.local.pins() == {}
        place.pantry.prepare(order(job, 1, gateway.url), never).free()
    assert shards[1] in place.store.local.pins() and len(place.store.local.pins()) == 3


def test_forget__what_an_earlier_run_left_pinned__ends_with_the_next_word_of_what_is_needed(place: Place) -> None:
    kept, lost = (place.store.put_bytes(data, label) for data, label in ((b"mine", ""), (b"lost", "payload-00")))
    ours = place.store.put_bytes(b"result", "results-7")
    place.opened().forget(Over(frozenset(), frozenset(["results-7"])))
    assert place.store.local.pins() == {kept: [""], ours: ["results-7"]}
    assert place.store.has(lost)


def test_forget__after_a_restart__finds_what_an_earlier_run_brought(place: Place) -> None:
    job, _, _ = put_job(place.theirs, b"model")
    with Gateway(place.theirs.local) as gateway:
        place.pantry.prepare(order(job, 0, gateway.url), never).free()
    place.opened().forget(over(job.manifest))
    free(place)
    assert place.held() == set() and list(place.store.local.block_cids()) == []


def test_forget__shard_is_running__its_model_stays(place: Place) -> None:
    job, model, _ = put_job(place.store, b"model")
    prepared = place.pantry.prepare(order(job), never)
    place.pantry.forget(over(job.manifest))
    assert place.held() == {str(model)} and run_again(prepared, Oven(), None)  # type: ignore[arg-type]
