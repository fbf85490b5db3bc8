"""The contracts' events as values. Source: ``contracts/interfaces``; ``decoding.py`` makes them from logs."""

from __future__ import annotations

from dataclasses import dataclass, field

from nodeagent.protocol.settlement import SettledLeaf
from nodeagent.protocol.types import Epoch, JobId, JobTerms, NodeId, PoolId, Shard


@dataclass(frozen=True, slots=True)
class At:
    """Where an event happened, and the log itself, so that it can be kept and decoded again.

    ``index`` is the log's place in its block; ``topics`` are 32 bytes each, the first included.
    """

    block: int
    index: int
    tx: str
    topics: bytes = field(default=b"", repr=False, compare=False)
    data: bytes = field(default=b"", repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Event:
    at: At


# --- registry ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PoolSet(Event):
    """PoolCreated or PoolTuned."""

    pool: PoolId
    seat_stake: int
    floor: int
    max_shard_pay: int
    max_seats_per_node: int
    open: bool


@dataclass(frozen=True, slots=True)
class NodeRegistered(Event):
    node: NodeId
    operator: str
    pool: PoolId
    key: str


@dataclass(frozen=True, slots=True)
class NodeAnnounced(Event):
    node: NodeId
    endpoint: str
    metadata: bytes


@dataclass(frozen=True, slots=True)
class KeyReplaced(Event):
    node: NodeId
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class SeatTaken(Event):
    """``held_since`` is older than ``since`` for a seat that was moved within the list."""

    pool: PoolId
    node: NodeId
    seat: int
    since: Epoch
    held_since: Epoch


@dataclass(frozen=True, slots=True)
class SeatEnded(Event):
    pool: PoolId
    node: NodeId
    seat: int
    until: Epoch


@dataclass(frozen=True, slots=True)
class ListResized(Event):
    pool: PoolId
    length: int
    from_epoch: Epoch


@dataclass(frozen=True, slots=True)
class NodePaused(Event):
    node: NodeId
    from_epoch: Epoch


@dataclass(frozen=True, slots=True)
class NodeResumed(Event):
    node: NodeId
    from_epoch: Epoch


@dataclass(frozen=True, slots=True)
class Slashed(Event):
    node: NodeId
    amount: int
    reporter: str
    reward: int


# --- ledger -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SeedRecorded(Event):
    epoch: Epoch
    seed: bytes


@dataclass(frozen=True, slots=True)
class Revealed(Event):
    """``leaves`` are packed batch leaves, see ``nodeagent.protocol.leaves``."""

    node: NodeId
    epoch: Epoch
    leaves: bytes
    manifest: bytes


@dataclass(frozen=True, slots=True)
class UnrevealedReported(Event):
    node: NodeId
    epoch: Epoch
    reporter: str


@dataclass(frozen=True, slots=True)
class AbsentMarked(Event):
    node: NodeId
    epoch: Epoch


@dataclass(frozen=True, slots=True)
class WrongMarked(Event):
    node: NodeId
    epoch: Epoch


# --- market -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class JobPosted(Event):
    job: JobId
    requester: str
    manifest: bytes
    terms: JobTerms
    units: int
    unit_price: int


@dataclass(frozen=True, slots=True)
class CasePosted(Event):
    """A case about one shard of ``job``: what it computes is in that job's manifest."""

    case_job: JobId
    job: JobId
    shard: Shard
    terms: JobTerms


@dataclass(frozen=True, slots=True)
class EndpointAnnounced(Event):
    requester: str
    endpoint: str


@dataclass(frozen=True, slots=True)
class JobCancelled(Event):
    job: JobId
    tasks_left: int
    refund: int


@dataclass(frozen=True, slots=True)
class JobClosed(Event):
    job: JobId
    refund: int


@dataclass(frozen=True, slots=True)
class Settled(Event):
    """``payee`` is the node that earned the fee, 0 when the sender did."""

    root: bytes
    epoch: Epoch
    payee: NodeId
    fee: int
    shards: tuple[SettledLeaf, ...]


@dataclass(frozen=True, slots=True)
class Claimed(Event):
    job: JobId
    shard: Shard
    node: NodeId
    slot: int
    amount: int


@dataclass(frozen=True, slots=True)
class AbsentReported(Event):
    job: JobId
    shard: Shard
    node: NodeId
    reporter: str


@dataclass(frozen=True, slots=True)
class EarningsWithdrawn(Event):
    node: NodeId
    operator: str
    amount: int


@dataclass(frozen=True, slots=True)
class Forfeited(Event):
    node: NodeId
    amount: int


@dataclass(frozen=True, slots=True)
class Assigned(Event):
    sender: str
    to: str
    amount: int


# --- court ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Appealed(Event):
    """``committee`` sat in the appealed attempt, slot by slot; it may not judge, nor may seats not held before
    ``held_before``."""

    job: JobId
    shard: Shard
    case_job: JobId
    accuser: str
    bond: int
    settled_root: bytes
    committee: tuple[NodeId, ...]
    held_before: Epoch


@dataclass(frozen=True, slots=True)
class Resolved(Event):
    """``forfeited`` is the immature pay taken from the members that were paid for another answer."""

    job: JobId
    shard: Shard
    case_job: JobId
    verdict: bytes
    overturned: bool
    forfeited: int


@dataclass(frozen=True, slots=True)
class EndedWithoutVerdict(Event):
    job: JobId
    shard: Shard
    case_job: JobId
    burned: int


@dataclass(frozen=True, slots=True)
class WrongReported(Event):
    job: JobId
    shard: Shard
    node: NodeId
    attempt: int
    reporter: str
    forfeited: int


@dataclass(frozen=True, slots=True)
class CaseClosed(Event):
    """``refund`` is what the judges did not earn."""

    job: JobId
    shard: Shard
    case_job: JobId
    refund: int
