"""What the chain says of one job: its events, folded into facts. Reading is one log scan; folding is pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nodeagent.chain.decoding import TOPIC_OF, decode_log
from nodeagent.chain.deployment import Deployment
from nodeagent.chain.errors import RpcError
from nodeagent.chain.events import (
    AbsentReported,
    CasePosted,
    Claimed,
    EndpointAnnounced,
    Event,
    JobCancelled,
    JobClosed,
    JobPosted,
    NodeAnnounced,
    Revealed,
    Settled,
)
from nodeagent.chain.rpc import RpcLike
from nodeagent.chain.scan import Cursor, Head, Scanner
from nodeagent.client.cases import Answer, Case, Settlement, fold_cases
from nodeagent.errors import JobFault
from nodeagent.protocol.leaves import Leaf, parse_leaves
from nodeagent.protocol.types import JobTerms

FOLLOWED = ("Revealed", "Settled", "Claimed", "AbsentReported", "JobCancelled", "JobClosed", "CasePosted")
OF_THE_COURT = ("Appealed", "Resolved", "EndedWithoutVerdict", "WrongReported", "CaseClosed")
KEPT_MARKS = 64


class NoSuchJob(JobFault):
    """The market never posted a job with this number."""


class IsACase(JobFault):
    """The number is a case's: its judges serve it as a job, but the market never sold it. Names what it is about."""


class NoSuchShard(JobFault):
    """The job has no shard with this number."""


@dataclass(frozen=True, slots=True)
class History:
    """Facts of one job up to a block.

    :param tasks: tasks that are left of the posted ones, fewer after a cancel
    :param cases: appeals, by shard
    :param absences: drawn members that were proven never to have committed
    """

    posted: JobPosted
    tasks: int
    settled: dict[int, Settlement]
    answers: tuple[Answer, ...]
    claims: tuple[Claimed, ...]
    closed: JobClosed | None
    head: Head
    cases: dict[int, Case] = field(default_factory=dict)
    absences: tuple[AbsentReported, ...] = ()

    @property
    def terms(self) -> JobTerms:
        """The job's terms as the market holds them now."""
        return replace(self.posted.terms, tasks=self.tasks)

    @property
    def done(self) -> bool:
        """Whether every shard that is left is settled."""
        return len(self.settled) >= self.terms.shards

    def check_shard(self, shard: int) -> None:
        """Raises NoSuchShard unless the job was posted with this shard."""
        terms = self.posted.terms
        if not 0 <= shard < terms.shards:
            raise NoSuchShard(
                f"job {self.posted.job} has shards 0 to {terms.shards - 1}, not {shard}",
                hint=f"a task's shard is its index divided by {terms.shard_size}",
            )

    def answer_root(self, shard: int) -> bytes:
        """The result root that stands for a settled shard: the verdict's if there is one."""
        case = self.cases.get(shard)
        return self.settled[shard].entry.root if case is None or case.verdict is None else case.verdict


def fold(posted: JobPosted, events: Iterable[Event], head: Head) -> History:
    """Facts of the job from events of any job, in chain order."""
    events = list(events)
    tasks, closed = posted.terms.tasks, None
    settled: dict[int, Settlement] = {}
    answers: list[Answer] = []
    claims: list[Claimed] = []
    absences: list[AbsentReported] = []
    for event in events:
        match event:
            case Revealed(node=node, epoch=epoch, leaves=leaves, manifest=manifest):
                for leaf in parse_leaves(leaves):
                    if leaf.job == posted.job:
                        answers.append(Answer(node, epoch, leaf.shard, leaf.root, manifest))
            case Settled():
                for entry in event.shards:
                    if entry.job == posted.job:
                        made = Settlement(entry, event.root, event.epoch, event.shards, event.at, event.payee)
                        settled[entry.shard] = made
            case Claimed(job=job) if job == posted.job:
                claims.append(event)
            case AbsentReported(job=job) if job == posted.job:
                absences.append(event)
            case JobCancelled(job=job) if job == posted.job:
                tasks = event.tasks_left
            case JobClosed(job=job) if job == posted.job:
                closed = event
            case _:
                pass
    cases = fold_cases(posted.job, events)
    return History(posted, tasks, settled, tuple(answers), tuple(claims), closed, head, cases, tuple(absences))


class Follower:
    """Reads one job's history, each time from where it stopped, through reorganisations."""

    def __init__(self, rpc: RpcLike, deployment: Deployment, posted: JobPosted) -> None:
        self.posted = posted
        self._memory = _Memory()
        topics = [TOPIC_OF[name] for name in (*FOLLOWED, *OF_THE_COURT)]
        addresses = [deployment.ledger, deployment.market, *([deployment.court] if deployment.court else [])]
        self._scanner = Scanner(rpc, addresses, self._memory, start=posted.at.block, topics=topics)

    def read(self) -> History:
        """The history up to the tip. Raises the endpoint's Transient faults."""
        done = self._scanner.catch_up()
        return fold(self.posted, self._memory.events, done.head)


class _Memory:
    """A scan store for one command's life."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._marks: list[Cursor] = []

    def marks(self) -> Sequence[Cursor]:
        return self._marks[::-1]

    def apply(self, events: Sequence[Event], cursor: Cursor) -> None:
        self.events.extend(events)
        self._marks = [*self._marks, cursor][-KEPT_MARKS:]

    def rewind(self, block: int) -> None:
        self.events = [e for e in self.events if e.at.block <= block]
        self._marks = [m for m in self._marks if m.block <= block]


def find_jobs(rpc: RpcLike, deployment: Deployment, requester: str) -> list[JobPosted]:
    """Every job this account posted, oldest first."""
    topic = "0x" + bytes(12).hex() + requester.lower().removeprefix("0x")
    found = _logs(rpc, deployment.market, deployment.start_block, ["JobPosted"], [None, topic])
    return [e for e in found if isinstance(e, JobPosted)]


def find_job(rpc: RpcLike, deployment: Deployment, job: int) -> JobPosted:
    """The posting of one job. Raises NoSuchJob, IsACase."""
    found = _logs(rpc, deployment.market, deployment.start_block, ["JobPosted", "CasePosted"], [f"0x{job:064x}"])
    for event in found:
        if isinstance(event, JobPosted):
            return event
        if isinstance(event, CasePosted):
            raise IsACase(
                f"job {job} is the case about job {event.job}, shard {event.shard}",
                hint=f"quorate job why {event.job} {event.shard}",
            )
    raise NoSuchJob(f"there is no job {job} on chain {deployment.chain_id}", hint="quorate job list shows yours")


def announced_endpoint(rpc: RpcLike, deployment: Deployment, requester: str) -> str | None:
    """The base URL a requester announced last, or None."""
    topic = "0x" + bytes(12).hex() + requester.lower().removeprefix("0x")
    found = _logs(rpc, deployment.market, deployment.start_block, ["EndpointAnnounced"], [topic])
    ours = [e.endpoint for e in found if isinstance(e, EndpointAnnounced)]
    return ours[-1] if ours else None


def node_endpoints(rpc: RpcLike, deployment: Deployment) -> dict[int, str]:
    """The base URL each node announced last, empty ones left out."""
    found = _logs(rpc, deployment.registry, deployment.start_block, ["NodeAnnounced"], [])
    latest = {e.node: e.endpoint for e in found if isinstance(e, NodeAnnounced)}
    return {int(node): endpoint for node, endpoint in latest.items() if endpoint}


def opened_batch(rpc: RpcLike, deployment: Deployment, node: int, epoch: int) -> tuple[Leaf, ...]:
    """The answers that a node opened for an epoch; none before it does."""
    indexed = [f"0x{node:064x}", f"0x{epoch:064x}"]
    found = _logs(rpc, deployment.ledger, deployment.start_block, ["Revealed"], indexed)
    return tuple(parse_leaves(found[-1].leaves)) if found and isinstance(found[-1], Revealed) else ()


def _logs(rpc: RpcLike, address: str, start: int, events: Sequence[str], indexed: Sequence[str | None]) -> list[Event]:
    """All logs of some events with given indexed values; ranges an endpoint finds too wide are halved."""
    topics: list[Any] = [["0x" + TOPIC_OF[name].hex() for name in events], *indexed]
    ranges = [(start, int(rpc.call("eth_blockNumber"), 16))]
    found: list[Event] = []
    while ranges:
        first, last = ranges.pop()
        query = {"address": address, "topics": topics, "fromBlock": hex(first), "toBlock": hex(last)}
        try:
            logs = rpc.call("eth_getLogs", [query])
        except RpcError:
            if first >= last:
                raise
            middle = (first + last) // 2
            ranges += [(middle + 1, last), (first, middle)]
            continue
        decoded = [decode_log(log) for log in logs]
        found.extend(e for e in decoded if e is not None)
    return sorted(found, key=lambda e: (e.at.block, e.at.index))
