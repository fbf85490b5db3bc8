"""One shard from its payload to its result root: run, hash. Runs on the bench's threads, never in the loop.

What breaks the manifest is an answer and comes from the runtime; what this machine cannot do is a pass, raised as an
error here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from nodeagent.content.disk import removed_on_error, sync_file
from nodeagent.content.unixfs import file_cid
from nodeagent.protocol.manifest import JobManifest
from nodeagent.protocol.results import ResultTree, TaskResult, encode_results
from nodeagent.protocol.types import Shard, Task
from nodeagent.runtimes.errors import Pass
from nodeagent.runtimes.host import Executor
from nodeagent.runtimes.types import ShardSpec
from nodeagent.worker.ledger import Result
from nodeagent.worker.world import Job


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
    """What nobody needs any more: payloads of jobs, by their manifests' sha256, and pins but for ``needed`` labels."""

    manifests: frozenset[bytes]
    needed: frozenset[str]


@dataclass(frozen=True, slots=True)
class Prepared:
    """An order whose payload is on disk, until ``free`` is called."""

    order: Order
    spec: ShardSpec
    free: Callable[[], None] = lambda: None


@contextlib.contextmanager
def disk_may_refuse() -> Iterator[None]:
    """A disk that refuses is a Pass: it says nothing about the job."""
    try:
        yield
    except OSError as error:
        raise Pass(f"the disk refuses: {error.strerror or error}") from error


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
    with disk_may_refuse(), removed_on_error(part):
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


def payload_label(manifest: bytes) -> str:
    """Of the pins of what a job's manifest, by its sha256, names."""
    return f"payload-{manifest.hex()}"


def results_label(job: int) -> str:
    """Of the pins of what was published for a job."""
    return f"results-{job}"
