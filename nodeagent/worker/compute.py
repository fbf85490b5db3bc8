"""One shard from manifest to result root: fetch, check, run, hash. Runs on the bench's threads, never in the loop.

What breaks the manifest is an answer and comes from the runtime; what this machine cannot get or do is a pass, raised
as an error here. Whatever is fetched is verified against its CID by the content store.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from nodeagent.content import LayeredStore
from nodeagent.content.cid import Cid
from nodeagent.content.disk import removed_on_error, sync_file
from nodeagent.content.fetch import Fetcher
from nodeagent.content.unixfs import MIB, Budget, file_cid
from nodeagent.errors import JobFault, QuorateError
from nodeagent.protocol.documents import Content
from nodeagent.protocol.manifest import JobManifest, parse_job_manifest
from nodeagent.protocol.results import ResultTree, TaskResult, encode_results
from nodeagent.protocol.types import Shard, Task
from nodeagent.runtimes.errors import Pass
from nodeagent.runtimes.host import Executor
from nodeagent.runtimes.types import CANONICAL, MAX_INPUT_BYTES, MAX_MODEL_BYTES, ShardSpec, TensorSpec
from nodeagent.worker.admission import Admission
from nodeagent.worker.ledger import Result
from nodeagent.worker.shelf import Room, Shelf
from nodeagent.worker.world import Job


class Mismatch(JobFault):
    """The manifest is not the one the job's terms promise, or asks for what this node does not have or may not run."""


@dataclass(frozen=True, slots=True)
class Order:
    """A shard to compute. ``sources`` are base URLs, tried in order; ``deadline`` is a block.

    With ``again`` it is computed a second time, by a new process from a new copy of the model, to see whether the
    first answer stands.
    """

    job: Job
    shard: Shard
    deadline: int
    sources: tuple[str, ...]
    again: bool = False

    @property
    def payload(self) -> tuple[Job, Shard]:
        return self.job.payload(self.shard)

    @property
    def first(self) -> Task:
        job, shard = self.payload
        return Task(shard * job.terms.shard_size)


@dataclass(frozen=True, slots=True)
class Warm:
    """A job that may be drawn soon: its model is brought and loaded ahead, so that the first shard need not wait."""

    job: Job
    deadline: int
    sources: tuple[str, ...]
    again: ClassVar[bool] = False

    @property
    def payload(self) -> tuple[Job, Shard]:
        return self.job.payload(Shard(0))


@dataclass(frozen=True, slots=True)
class Over:
    """Jobs whose payload nobody needs any more, by their manifests' sha256."""

    manifests: frozenset[bytes]


@dataclass(frozen=True, slots=True)
class Prepared:
    """An order whose payload is on disk, until ``free`` is called."""

    order: Order
    spec: ShardSpec
    free: Callable[[], None] = lambda: None


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
    """Fetches what shards need. ``folder`` keeps models by CID, within ``room``, and the rest while it is used.

    A disk that refuses is a Pass: it says nothing about the job.
    """

    def __init__(
        self,
        store: LayeredStore,
        fetcher: Fetcher,
        folder: Path,
        runtimes: dict[str, bytes],
        room: Room | None = None,
        admission: Admission | None = None,
        gateways: Sequence[str] = (),
    ) -> None:
        self._store, self._fetcher, self._folder, self._runtimes = store, fetcher, folder, runtimes
        for part in ("inputs", "again"):
            (folder / part).mkdir(parents=True, exist_ok=True)
            for left in (folder / part).iterdir():
                left.unlink()
        self._admission, self._gateways = admission or Admission(), tuple(gateways)
        self._shelf = Shelf(folder / "models", room or Room())
        self._users: dict[str, set[bytes]] = {}  # manifests by their model's CID, as far as they were seen here
        self._digests: dict[str, bytes] = {}  # sha256 of models by CID, as they came out of the store

    def prepare(self, order: Order, cancel: Callable[[], bool]) -> Prepared:
        """Raises Transient when the payload cannot be had or kept, JobFault when it does not fit the job."""
        with _disk_may_refuse(), contextlib.ExitStack() as stack:
            manifest, model, sources = stack.enter_context(self.model(order, cancel))
            inputs = self._folder / ("again" if order.again else "inputs") / f"{order.job.id}-{order.shard}.npz"
            stack.callback(inputs.unlink, missing_ok=True)
            self._bring(_fits(manifest.shards[order.payload[1]], MAX_INPUT_BYTES), sources, cancel, inputs)
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
        with _disk_may_refuse():
            with self._shelf.writing(MIB, evict=evict):
                first = [*order.sources, *self._gateways]
                manifest = parse_job_manifest(self._fetcher.fetch_digest(job.manifest, first, cancel=cancel))
            check_manifest(manifest, job, self._runtimes)
            if (refused := self._admission.manifest(manifest)) is not None:
                raise Mismatch(f"job {job.id}: {refused}")
            sources = list(dict.fromkeys([*order.sources, *(manifest.endpoints or ()), *self._gateways]))
            content = _fits(manifest.model, MAX_MODEL_BYTES)
            with self._place(order, content, evict) as path:
                # what rotted on disk would be a wrong answer; after a start nobody knows what is there
                known = self._digests.get(content.cid)
                if known is None or not path.exists() or _sha256(path) != known:
                    self._bring(content, sources, cancel, path, evict=evict)
                    self._digests[content.cid] = _sha256(path)
                yield manifest, path, sources

    def forget(self, over: Over) -> None:
        """Removes what was brought for jobs that are over, but for models that other jobs use and pinned files.

        Manifests stay: whoever fetches results later needs them, and they are small.
        """
        gone: set[Cid] = set()
        for digest in over.manifests:
            with contextlib.suppress(QuorateError):  # never brought, or no manifest
                manifest = parse_job_manifest(self._store.local.get_bytes(Cid.from_digest(digest), MIB))
                gone |= {Cid.parse(content.cid) for content in manifest.shards}
                if not self._used(manifest.model.cid, digest):
                    self._shelf.drop(manifest.model.cid)
                    self._digests.pop(manifest.model.cid, None)
                    gone.add(Cid.parse(manifest.model.cid))
        self._store.local.discard(gone)

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


def _fits(content: Content, most: int) -> Content:
    if content.bytes > most:
        raise Mismatch(f"{content.cid} has {content.bytes} bytes, this node takes {most}")
    return content


@contextlib.contextmanager
def _disk_may_refuse() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Pass(f"the disk refuses: {error.strerror or error}") from error


def _sha256(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def warm_up(manifest: JobManifest, model: Path, executor: Executor) -> None:
    """Lets the runtime load a model. What it says of it does not matter yet."""
    shapes = {tensor.name: tensor.shape for tensor in manifest.inputs}
    executor.inspect(model, shapes, runtime=manifest.runtime.name)


def run_shard(prepared: Prepared, executor: Executor, pending: Path, seconds: float | None) -> tuple[Result, int]:
    """Computes a shard and writes its results file under ``pending``, synced. Also the tasks that were run.

    Raises Pass (a Transient) when this machine has no answer.
    """
    order = prepared.order
    before = executor.inferences
    results, root = _answers(prepared, executor, seconds)
    path = results_path(pending, order.job.id, order.shard)
    part = path.with_suffix(".part")
    with _disk_may_refuse(), removed_on_error(part):
        with part.open("wb") as file:
            file.write(encode_results(results))
            sync_file(file)
        part.replace(path)
        with path.open("rb") as file:
            cid = file_cid(file)
        size = path.stat().st_size
    question = order.job.question(order.shard)
    found = Result(order.job.id, order.shard, root, question, str(cid), size, len(results))
    return found, executor.inferences - before


def run_again(prepared: Prepared, executor: Executor, seconds: float | None) -> bytes:
    """The result root that ``executor``, a new process, finds. Writes nothing. Raises Pass as ``run_shard``."""
    return _answers(prepared, executor, seconds)[1]


def _answers(prepared: Prepared, executor: Executor, seconds: float | None) -> tuple[list[TaskResult], bytes]:
    answers = executor.run(prepared.spec, seconds=seconds)
    results = [TaskResult(answer.status, answer.data) for answer in answers]
    return results, ResultTree(prepared.order.first, results).root


def results_path(pending: Path, job: int, shard: int) -> Path:
    """Where a results file waits until its reveal: outside the served store, so that nobody can copy it."""
    return pending / f"{job}-{shard}.results"
