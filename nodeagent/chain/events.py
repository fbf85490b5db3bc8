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
    pool: PoolId
    node: NodeId
    seat: int
    since: Epoch


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
