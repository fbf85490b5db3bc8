"""Results: from a settled shard to the exact bytes behind its root, whoever holds them.

A settled root names its results; the openings of the settled attempt say which nodes hold them, their batch manifests
say under which CID. Nothing is believed: a file counts when the tree over it has the settled root.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from nodeagent.client.cases import ONLY, Answer, Settlement
from nodeagent.client.history import History
from nodeagent.content import Cid, ContentStore
from nodeagent.content.backends import Backends
from nodeagent.content.errors import ContentFault, ContentUnavailable
from nodeagent.content.fetch import Fetcher
from nodeagent.errors import Transient
from nodeagent.protocol.constants import MAX_MANIFEST_BYTES
from nodeagent.protocol.epochs import commit_epoch
from nodeagent.protocol.manifest import JobManifest, parse_batch_manifest, parse_job_manifest
from nodeagent.protocol.results import ResultTree, TaskResult, parse_results
from nodeagent.protocol.types import JobTerms, Malformed, Shard, Task

RECORD_BYTES = 5  # status and length before each task's data


class ResultsUnavailable(Transient):
    """No node gave the results of a settled shard. Carries why, per node."""

    def __init__(self, job: int, shard: int, reasons: Sequence[str]) -> None:
        told = "; ".join(reasons) or "no opening of the settled attempt names them"
        super().__init__(
            f"the results of job {job}, shard {shard} cannot be had: {told}",
            hint="nodes may be away; run quorate job fetch again later",
        )
        self.shard, self.reasons = shard, tuple(reasons)


@dataclass(frozen=True, slots=True)
class ShardResults:
    """A shard's verified answer.

    :param root: the result root that stands for it: settled, or a verdict's
    :param source: the node whose file was used
    :param rejected: nodes whose bytes or manifests were wrong, with the reason
    """

    shard: int
    settlement: Settlement
    root: bytes
    file: bytes
    results: tuple[TaskResult, ...]
    tree: ResultTree
    source: int
    rejected: tuple[str, ...]


class ResultFetcher:
    """Fetches through ``store``; ``endpoints`` are base URLs by node id, ``extra`` are asked after a node's own."""

    def __init__(
        self,
        store: ContentStore,
        fetcher: Fetcher,
        endpoints: dict[int, str],
        extra: Sequence[str] = (),
        backends: Backends | None = None,
    ) -> None:
        self._store, self._fetcher, self._endpoints, self._extra = store, fetcher, endpoints, list(extra)
        self._backends = backends or Backends()

    def manifest(self, digest: bytes) -> JobManifest:
        """The job's manifest, from its requester or a node that worked on it. Raises ContentUnavailable, Malformed."""
        sources = self._backends.line([*self._extra, *(url for _, url in sorted(self._endpoints.items()))])
        return parse_job_manifest(self._fetcher.fetch_digest(digest, sources))

    def shard(self, history: History, manifest: JobManifest, number: int) -> ShardResults:
        """The verified results of one settled shard.

        :raises ResultsUnavailable: no holder gave bytes that have the settled root
        """
        settlement, terms, root = history.settled[number], history.terms, history.answer_root(number)
        shard = Shard(number)
        reasons: list[str] = []
        for job, answer in holders(history, number):
            try:
                file = self._file(answer, job, manifest, terms.tasks_in(shard))
                results = parse_results(file, terms.tasks_in(shard))
                tree = ResultTree(Task(number * terms.shard_size), results)
                if tree.root != root:
                    raise Malformed(f"the results lead to root 0x{tree.root.hex()}, not to the one that stands")
            except (ContentUnavailable, ContentFault, Malformed) as error:
                reasons.append(f"node {answer.node}: {error.message}")
                continue
            return ShardResults(number, settlement, root, file, results, tree, int(answer.node), tuple(reasons))
        raise ResultsUnavailable(int(history.posted.job), number, reasons)

    def _file(self, answer: Answer, job: int, manifest: JobManifest, tasks: int) -> bytes:
        sources = self._sources(int(answer.node))
        batch = parse_batch_manifest(self._fetcher.fetch_digest(answer.manifest, sources, max_bytes=MAX_MANIFEST_BYTES))
        entry = next((e for e in batch.leaves if (e.job, e.shard) == (job, answer.shard)), None)
        if entry is None:
            raise Malformed("its batch manifest does not name the shard")
        most = tasks * (RECORD_BYTES + manifest.max_output_bytes)
        if entry.results.bytes > most:
            raise Malformed(f"its results file has {entry.results.bytes} bytes, at most {most} are possible")
        cid = Cid.parse(entry.results.cid)
        self._fetcher.fetch(cid, sources, max_bytes=entry.results.bytes)
        return self._store.get_bytes(cid, entry.results.bytes)

    def _sources(self, node: int) -> list[str]:
        own = self._endpoints.get(node)
        others = [url for who, url in sorted(self._endpoints.items()) if who != node]
        return self._backends.line([*([own] if own else []), *self._extra, *others])


def holders(history: History, number: int) -> list[tuple[int, Answer]]:
    """Openings that carry the root that stands, each with the job it answers: of the settled attempt, or after an
    overturning verdict of the judges, in the order they were made."""
    settlement, terms, root = history.settled[number], history.terms, history.answer_root(number)
    epoch = commit_epoch(terms, Shard(number), settlement.entry.attempt)
    own = [a for a in history.answers if (a.shard, a.epoch, a.root) == (number, epoch, root)]
    case = history.cases.get(number)
    judged = [] if case is None else [a for a in case.answers if (a.shard, a.root) == (ONLY, root)]
    job = int(history.posted.job)
    return [*((job, a) for a in own), *((int(case.job), a) for a in judged if case)]


def fetch_all(
    fetcher: ResultFetcher,
    history: History,
    manifest: JobManifest,
    each: Callable[[ShardResults], None],
    contested: Collection[int] = (),
) -> list[ShardResults]:
    """Every settled shard, ascending, but those whose case ended ``contested``: no answer stands for them.

    ``each`` is told as they come. Raises ResultsUnavailable.
    """
    out = []
    for number in sorted(history.settled):
        if number in contested:
            continue
        found = fetcher.shard(history, manifest, number)
        each(found)
        out.append(found)
    return out


def tasks_of(terms: JobTerms, number: int) -> range:
    """Global indices of a shard's tasks."""
    first = number * terms.shard_size
    return range(first, first + terms.tasks_in(Shard(number)))
