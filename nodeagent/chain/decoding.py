"""Logs into events by slicing bytes: topics and static words sit at known offsets, so no generic decoder is needed.

Unknown topics give None; a log that does not fit its event raises ValueError (it cannot come from our contracts).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nodeagent.chain.errors import RpcGarbled
from nodeagent.chain.events import (
    AbsentMarked,
    AbsentReported,
    Appealed,
    Assigned,
    At,
    CaseClosed,
    CasePosted,
    Claimed,
    EarningsWithdrawn,
    EndedWithoutVerdict,
    EndpointAnnounced,
    Event,
    Forfeited,
    JobCancelled,
    JobClosed,
    JobPosted,
    KeyReplaced,
    ListResized,
    NodeAnnounced,
    NodePaused,
    NodeRegistered,
    NodeResumed,
    PoolSet,
    Resolved,
    Revealed,
    SeatEnded,
    SeatTaken,
    SeedRecorded,
    Settled,
    Slashed,
    UnrevealedReported,
    WrongMarked,
    WrongReported,
)
from nodeagent.chain.rpc import to_bytes
from nodeagent.protocol.constants import MAX_COMMITTEE
from nodeagent.protocol.jobword import unpack_job_word
from nodeagent.protocol.keccak import keccak
from nodeagent.protocol.settlement import parse_settled
from nodeagent.protocol.sortition import parse_slots
from nodeagent.protocol.types import VOID, Epoch, JobId, NodeId, PoolId, Shard


class _Log:
    """Topics and data of one log as words. Topic 0 is the first indexed argument."""

    __slots__ = ("at", "data")

    def __init__(self, at: At) -> None:
        self.at, self.data = at, at.data

    def topic32(self, index: int) -> bytes:
        word = self.at.topics[32 * index + 32 : 32 * index + 64]
        if len(word) != 32:
            raise ValueError(f"log has {len(self.at.topics) // 32} topics, topic {index + 1} is missing")
        return word

    def topic(self, index: int) -> int:
        return int.from_bytes(self.topic32(index), "big")

    def address(self, index: int) -> str:
        return "0x" + self.topic32(index)[12:].hex()

    def address_at(self, index: int) -> str:
        return "0x" + self.bytes32(index)[12:].hex()

    def word(self, index: int) -> int:
        return int.from_bytes(self.bytes32(index), "big")

    def bytes32(self, index: int) -> bytes:
        word = self.data[32 * index : 32 * index + 32]
        if len(word) != 32:
            raise ValueError(f"log has {len(self.data)} bytes, word {index} is missing")
        return word

    def tail(self, index: int) -> bytes:
        """The dynamic bytes whose offset is word ``index``."""
        start = self.word(index)
        length = int.from_bytes(self.data[start : start + 32], "big")
        found = self.data[start + 32 : start + 32 + length]
        if len(found) != length:
            raise ValueError(f"log promises {length} bytes and has {len(found)}")
        return found

    def text(self, index: int) -> str:
        return self.tail(index).decode("utf-8", "replace")


def _pool(log: _Log) -> PoolSet:
    return PoolSet(log.at, PoolId(log.topic(0)), log.word(0), log.word(1), log.word(2), log.word(3), log.word(4) != 0)


def _posted(log: _Log) -> JobPosted:
    return JobPosted(
        log.at,
        job=JobId(log.topic(0)),
        requester=log.address(1),
        manifest=log.bytes32(0),
        terms=unpack_job_word(log.word(1)),
        units=log.word(2),
        unit_price=log.word(3),
    )


def _case(log: _Log) -> tuple[JobId, Shard, JobId]:
    return JobId(log.topic(0)), Shard(log.topic(1)), JobId(log.topic(2))


def _appealed(log: _Log) -> Appealed:
    slots = parse_slots((log.word(3), log.word(4)), MAX_COMMITTEE)
    return Appealed(
        log.at,
        *_case(log),
        accuser=log.address_at(0),
        bond=log.word(1),
        settled_root=log.bytes32(2),
        committee=tuple(node for node in slots if node != VOID),
        held_before=Epoch(log.word(5)),
    )


_TERMS = "(uint96,uint64,uint96,uint8,bool)"
_DECODERS: dict[str, Callable[[_Log], Event]] = {
    f"PoolCreated(uint16,{_TERMS})": _pool,
    f"PoolTuned(uint16,{_TERMS})": _pool,
    "NodeRegistered(uint32,address,uint16,address)": lambda e: NodeRegistered(
        e.at, NodeId(e.topic(0)), e.address(1), PoolId(e.topic(2)), e.address_at(0)
    ),
    "NodeAnnounced(uint32,string,bytes32)": lambda e: NodeAnnounced(e.at, NodeId(e.topic(0)), e.text(0), e.bytes32(1)),
    "KeyReplaced(uint32,address,address)": lambda e: KeyReplaced(e.at, NodeId(e.topic(0)), e.address(1), e.address(2)),
    "SeatTaken(uint16,uint32,uint32,uint32,uint32)": lambda e: SeatTaken(
        e.at, PoolId(e.topic(0)), NodeId(e.topic(1)), e.word(0), Epoch(e.word(1)), Epoch(e.word(2))
    ),
    "SeatEnded(uint16,uint32,uint32,uint32)": lambda e: SeatEnded(
        e.at, PoolId(e.topic(0)), NodeId(e.topic(1)), e.word(0), Epoch(e.word(1))
    ),
    "ListResized(uint16,uint32,uint32)": lambda e: ListResized(e.at, PoolId(e.topic(0)), e.word(0), Epoch(e.word(1))),
    "NodePaused(uint32,uint32)": lambda e: NodePaused(e.at, NodeId(e.topic(0)), Epoch(e.word(0))),
    "NodeResumed(uint32,uint32)": lambda e: NodeResumed(e.at, NodeId(e.topic(0)), Epoch(e.word(0))),
    "Slashed(uint32,uint96,address,uint96)": lambda e: Slashed(
        e.at, NodeId(e.topic(0)), e.word(0), e.address(1), e.word(1)
    ),
    "SeedRecorded(uint32,bytes32)": lambda e: SeedRecorded(e.at, Epoch(e.topic(0)), e.bytes32(0)),
    "Revealed(uint32,uint32,bytes,bytes32)": lambda e: Revealed(
        e.at, NodeId(e.topic(0)), Epoch(e.topic(1)), e.tail(0), e.bytes32(1)
    ),
    "UnrevealedReported(uint32,uint32,address)": lambda e: UnrevealedReported(
        e.at, NodeId(e.topic(0)), Epoch(e.topic(1)), e.address(2)
    ),
    "AbsentMarked(uint32,uint32)": lambda e: AbsentMarked(e.at, NodeId(e.topic(0)), Epoch(e.topic(1))),
    "WrongMarked(uint32,uint32)": lambda e: WrongMarked(e.at, NodeId(e.topic(0)), Epoch(e.topic(1))),
    "JobPosted(uint64,address,bytes32,uint256,uint32,uint64)": _posted,
    "CasePosted(uint64,uint64,uint32,uint256)": lambda e: CasePosted(
        e.at, JobId(e.topic(0)), JobId(e.topic(1)), Shard(e.topic(2)), unpack_job_word(e.word(0))
    ),
    "EndpointAnnounced(address,string)": lambda e: EndpointAnnounced(e.at, e.address(0), e.text(0)),
    "JobCancelled(uint64,uint32,uint256)": lambda e: JobCancelled(e.at, JobId(e.topic(0)), e.word(0), e.word(1)),
    "JobClosed(uint64,uint256)": lambda e: JobClosed(e.at, JobId(e.topic(0)), e.word(0)),
    "Settled(bytes32,uint32,uint32,uint256,bytes)": lambda e: Settled(
        e.at, e.topic32(0), Epoch(e.topic(1)), NodeId(e.topic(2)), e.word(0), parse_settled(e.tail(1))
    ),
    "Claimed(uint64,uint32,uint32,uint8,uint256)": lambda e: Claimed(
        e.at, JobId(e.topic(0)), Shard(e.topic(1)), NodeId(e.topic(2)), e.word(0), e.word(1)
    ),
    "AbsentReported(uint64,uint32,uint32,address)": lambda e: AbsentReported(
        e.at, JobId(e.topic(0)), Shard(e.topic(1)), NodeId(e.topic(2)), e.address_at(0)
    ),
    "EarningsWithdrawn(uint32,address,uint256)": lambda e: EarningsWithdrawn(
        e.at, NodeId(e.topic(0)), e.address(1), e.word(0)
    ),
    "Forfeited(uint32,uint256)": lambda e: Forfeited(e.at, NodeId(e.topic(0)), e.word(0)),
    "Assigned(address,address,uint256)": lambda e: Assigned(e.at, e.address(0), e.address(1), e.word(0)),
    "Appealed(uint64,uint32,uint64,address,uint256,bytes32,uint256,uint256,uint32)": _appealed,
    "Resolved(uint64,uint32,uint64,bytes32,bool,uint256)": lambda e: Resolved(
        e.at, *_case(e), e.bytes32(0), e.word(1) != 0, e.word(2)
    ),
    "EndedWithoutVerdict(uint64,uint32,uint64,uint256)": lambda e: EndedWithoutVerdict(e.at, *_case(e), e.word(0)),
    "WrongReported(uint64,uint32,uint32,uint8,address,uint256)": lambda e: WrongReported(
        e.at, JobId(e.topic(0)), Shard(e.topic(1)), NodeId(e.topic(2)), e.word(0), e.address_at(1), e.word(2)
    ),
    "CaseClosed(uint64,uint32,uint64,uint256)": lambda e: CaseClosed(e.at, *_case(e), e.word(0)),
}
TOPICS: dict[bytes, Callable[[_Log], Event]] = {keccak(s.encode()): decoder for s, decoder in _DECODERS.items()}
TOPIC_OF: dict[str, bytes] = {s.split("(")[0]: keccak(s.encode()) for s in _DECODERS}


def decode_log(raw: dict[str, Any]) -> Event | None:
    """One entry of ``eth_getLogs``. None for an event this package has no use for.

    Raises RpcGarbled for what no chain can have logged: contracts write their events in one form.
    """
    try:
        topics = b"".join(to_bytes(topic) for topic in raw["topics"])
        where = int(raw["blockNumber"], 16), int(raw["logIndex"], 16)
        at = At(*where, raw["transactionHash"], topics, to_bytes(raw["data"]))
        return decode_at(at)
    except (KeyError, ValueError, TypeError, IndexError, OverflowError) as fault:
        raise RpcGarbled(f"the endpoint sent a log that cannot be one: {type(fault).__name__}: {fault}") from fault


def decode_at(at: At) -> Event | None:
    """The event in a log that was kept. None for an event this package has no use for."""
    decoder = TOPICS.get(at.topics[:32])
    return decoder(_Log(at)) if decoder else None
