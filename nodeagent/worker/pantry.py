"""The payload of shards: fetched, checked against the job's terms, kept while somebody may need it.

Whatever is fetched is verified against its CID by the content store. What cannot be had or kept is a pass.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from nodeagent.content import LayeredStore
from nodeagent.content.backends import Backends
from nodeagent.content.cid import Cid
from nodeagent.content.disk import removed_on_error, sync_file
from nodeagent.content.fetch import Fetcher
from nodeagent.content.unixfs import MIB, Budget
from nodeagent.errors import JobFault, QuorateError
from nodeagent.protocol.documents import Content
from nodeagent.protocol.manifest import JobManifest, parse_job_manifest
from nodeagent.runtimes.types import CANONICAL, MAX_INPUT_BYTES, MAX_MODEL_BYTES, ShardSpec, TensorSpec
from nodeagent.worker.admission import Admission
from nodeagent.worker.compute import Order, Over, Prepared, Warm, disk_may_refuse, payload_label
from nodeagent.worker.shelf import Room, Shelf
from nodeagent.worker.world import Job


class Mismatch(JobFault):
    """The manifest is not the one the job's terms promise, or asks for what this node does not have or may not run."""


def check_manifest(manifest: JobManifest, job: Job, runtimes: dict[str, bytes]) -> None:
    """Raises Mismatch with the first field that does not fit the job as it was posted."""
    expected = {
        "tasks": (job.posted_tasks, manifest.tasks),
        "shardSize": (job.terms.shard_size, manifest.shard_size),
        "units": (job.units, manifest.units),
        "class": (job.terms.answer_class.name, manifest.answer_class),
    }
    for field, (posted, told) in expected.items():
        if posted != told:
            raise Mismatch(f"job {job.id}: {field} is {posted} on chain and {told} in the manifest")
    if manifest.runtime.name != CANONICAL:
        raise Mismatch(f"job {job.id}: runtime {manifest.runtime.name!r} is not one this node runs")
    ours = runtimes.get(CANONICAL)
    if ours is None or manifest.runtime.id != "0x" + ours.hex():
        raise Mismatch(f"job {job.id}: runtime id {manifest.runtime.id} is not this release's")


class Pantry:
    """Fetches what shards need. ``folder`` keeps models by CID, within ``room``, and the rest while it is used."""

    def __init__(
        self,
        store: LayeredStore,
        fetcher: Fetcher,
        folder: Path,
        runtimes: dict[str, bytes],
        room: Room | None = None,
        admission: Admission | None = None,
        backends: Backends | None = None,
    ) -> None:
        self._store, self._fetcher, self._folder, self._runtimes = store, fetcher, folder, runtimes
        for part in ("inputs", "again"):
            (folder / part).mkdir(parents=True, exist_ok=True)
            for left in (folder / part).iterdir():
                left.unlink()
        self._admission, self._backends = admission or Admission(), backends or Backends()
        self._shelf = Shelf(folder / "models", room or Room(), spare=store.local.spare)
        self._users: dict[str, set[bytes]] = {}  # manifests by their model's CID, as far as they were seen here
        self._digests: dict[str, bytes] = {}  # sha256 of models by CID, as they came out of the store

    def prepare(self, order: Order, cancel: Callable[[], bool]) -> Prepared:
        """Raises Transient when the payload cannot be had or kept, JobFault when it does not fit the job."""
        with disk_may_refuse(), contextlib.ExitStack() as stack:
            manifest, model, sources = stack.enter_context(self.model(order, cancel))
            inputs = self._folder / ("again" if order.again else "inputs") / f"{order.job.id}-{order.shard}.npz"
            stack.callback(inputs.unlink, missing_ok=True)
            content = self._needed(order, manifest.shards[order.payload[1]], MAX_INPUT_BYTES)
            self._bring(content, sources, cancel, inputs)
            spec = ShardSpec(
                runtime=manifest.runtime.name,
                model_path=model,
                model_sha256=self._digests[manifest.model.cid],
                inputs_path=inputs,
                first=order.first,
                count=order.job.terms.tasks_in(order.shard),
                inputs=tuple(TensorSpec(t.name, t.dtype, t.shape) for t in manifest.inputs),
                outputs=tuple(t.name for t in manifest.outputs),
                units=manifest.units,
                max_output_bytes=manifest.max_output_bytes,
            )
            return Prepared(order, spec, stack.pop_all().close)

    @contextlib.contextmanager
    def model(self, order: Order | Warm, cancel: Callable[[], bool]) -> Iterator[tuple[JobManifest, Path, list[str]]]:
        """A job's manifest, its model on disk as long as this lasts, and everywhere its payload may be.

        Raises as ``prepare``. What is brought ahead takes no other model's place.
        """
        job, evict = order.payload[0], isinstance(order, Order)
        with disk_may_refuse():
            with self._shelf.writing(MIB, evict=evict):
                self._need(order, Cid.from_digest(job.manifest))
                first = self._backends.line(order.sources)
                manifest = parse_job_manifest(self._fetcher.fetch_digest(job.manifest, first, cancel=cancel))
            check_manifest(manifest, job, self._runtimes)
            if (refused := self._admission.manifest(manifest)) is not None:
                raise Mismatch(f"job {job.id}: {refused}")
            sources = self._backends.line([*order.sources, *(manifest.endpoints or ())])
            content = self._needed(order, manifest.model, MAX_MODEL_BYTES)
            with self._place(order, content, evict) as path:
                # what rotted on disk would be a wrong answer; after a start nobody knows what is there
                known = self._digests.get(content.cid)
                if known is None or not path.exists() or _sha256(path) != known:
                    self._bring(content, sources, cancel, path, evict=evict)
                    self._digests[content.cid] = _sha256(path)
                yield manifest, path, sources

    def forget(self, over: Over) -> None:
        """What was brought for jobs that are over is needed no more, but for models that other jobs use.

        It stays in the store as long as there is room, and so do results.
        """
        for digest in over.manifests:
            with contextlib.suppress(QuorateError):  # never brought, or no manifest
                manifest = parse_job_manifest(self._store.local.get_bytes(Cid.from_digest(digest), MIB))
                if not self._used(manifest.model.cid, digest):
                    self._shelf.drop(manifest.model.cid)
                    self._digests.pop(manifest.model.cid, None)
        self._store.keep_labels(over.needed)

    def _needed(self, order: Order | Warm, content: Content, most: int) -> Content:
        """Has the store keep what a job's manifest names; raises Mismatch when this node takes no file so large."""
        if content.bytes > most:
            raise Mismatch(f"{content.cid} has {content.bytes} bytes, this node takes {most}")
        self._need(order, Cid.parse(content.cid))
        return content

    def _need(self, order: Order | Warm, cid: Cid) -> None:
        """What is brought ahead is not needed yet: it takes no place from what is."""
        if isinstance(order, Order):
            self._store.local.pin(cid, payload_label(order.payload[0].manifest))

    def _used(self, model: str, but_by: bytes) -> bool:
        users = self._users.get(model, set())
        users.discard(but_by)
        if not users:
            self._users.pop(model, None)
        return bool(users)

    @contextlib.contextmanager
    def _place(self, order: Order | Warm, content: Content, evict: bool) -> Iterator[Path]:
        """Where an order's model is kept: a second computation has a copy of its own."""
        if isinstance(order, Order) and order.again:
            path = self._folder / "again" / f"{order.job.id}-{order.shard}-{content.cid}"
            try:
                yield path
            finally:
                path.unlink(missing_ok=True)
            return
        self._users.setdefault(content.cid, set()).add(order.payload[0].manifest)
        with self._shelf.using(content.cid, content.bytes, evict=evict) as path:
            yield path

    def _bring(
        self, content: Content, sources: Sequence[str], cancel: Callable[[], bool], path: Path, *, evict: bool = True
    ) -> None:
        """Fetches a file into the store and copies it to ``path``, whole or not at all."""
        cid = Cid.parse(content.cid)
        part = path.with_name(f"{path.name}.{secrets.token_hex(6)}.part")  # two fetchers may bring the same model
        with self._shelf.writing(2 * content.bytes, evict=evict), removed_on_error(part):
            self._fetcher.fetch(cid, sources, max_bytes=content.bytes, cancel=cancel)
            with part.open("wb") as file:
                for block in self._store.read(cid, Budget(max_bytes=content.bytes)):
                    file.write(block)
                sync_file(file)
            size = part.stat().st_size
            if size != content.bytes:
                raise Mismatch(f"{content.cid} has {size} bytes, the manifest says {content.bytes}")
            part.replace(path)


def _sha256(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
