"""Reading a settle call back: the strict parser of its three blobs, and the root an opening leads to.

Mirror of what ``JobMarket.settle`` reads. Used to check a call before it is sent, and to decode one from the
chain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from .constants import ENTRY_HEAD_BYTES, FOREIGN, LANE_KEY_BYTES, MAX_ENTRIES, MAX_LANES, NOT_SHOWN, TRUNCATED_BYTES
from .leaves import Leaf
from .settlement import SETTLE_SELECTOR, LaneKey, SettleCall
from .trees import range_root
from .types import Epoch, JobId, Malformed, NodeId, Shard


@dataclass(frozen=True, slots=True)
class ParsedEntry:
    """An entry as packed. ``hints`` has an index into the lanes per slot, or None for a slot not shown."""

    job: JobId
    shard: Shard
    attempt: int
    root: bytes
    hints: tuple[int | None, ...]

    @property
    def leaf(self) -> Leaf:
        """The batch leaf that agrees with this entry."""
        return Leaf(self.job, self.shard, self.root)


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of leaves: of entries ``entry … entry+count-1``, or foreign ones (``entry`` None) given as
    ``hashes``.
    """

    entry: int | None
    count: int
    hashes: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Opening:
    """One contiguous range of a batch of ``size`` leaves, with its proof. ``lane`` is an index into the
    lanes.
    """

    lane: int
    size: int
    first: int
    segments: tuple[Segment, ...]
    proof: tuple[bytes, ...]

    @property
    def entries(self) -> tuple[int, ...]:
        """Indices of the entries this opening agrees with."""
        return tuple(s.entry + i for s in self.segments if s.entry is not None for i in range(s.count))


@dataclass(frozen=True, slots=True)
class ParsedSettle:
    """A settle call taken apart."""

    entries: tuple[ParsedEntry, ...]
    lanes: tuple[LaneKey, ...]
    openings: tuple[Opening, ...]


class _Reader:
    """Takes integers and bytes from a blob; :class:`Malformed` where it ends too early."""

    __slots__ = ("_at", "_data", "_name")

    def __init__(self, name: str, data: bytes) -> None:
        self._name = name
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        if self._at + size > len(self._data):
            raise Malformed(f"{self._name} end at byte {len(self._data)}, inside a field that starts at {self._at}")
        self._at += size
        return self._data[self._at - size : self._at]

    def int(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    @property
    def done(self) -> bool:
        return self._at == len(self._data)


def parse_settle(call: SettleCall, committee_of: Callable[[JobId], int]) -> ParsedSettle:
    """Takes a settle call apart. ``committee_of`` gives a job's number of slots.

    Raises :class:`Malformed` naming the blob and the item that breaks the format.
    """
    lanes = _parse_lanes(call.lanes)
    entries = _parse_entries(call.entries, committee_of, len(lanes))
    reader = _Reader("openings", call.openings)
    openings: list[Opening] = []
    while not reader.done:
        lane = reader.int(1)
        if lane >= len(lanes):
            raise Malformed(f"opening {len(openings)} names lane {lane} of {len(lanes)}")
        openings.append(_parse_opening(reader, lane, len(entries)))
    return ParsedSettle(entries, lanes, tuple(openings))


def parse_claim_opening(data: bytes) -> Opening:
    """The opening of a ``claim``: its one lane being the slot's and its one entry the shard."""
    reader = _Reader("opening", data)
    lane = reader.int(1)
    if lane:
        raise Malformed(f"a claim has one lane, 0, got {lane}")
    opening = _parse_opening(reader, lane, 1)
    if not reader.done:
        raise Malformed("bytes follow the opening")
    return opening


def parse_calldata(data: bytes) -> tuple[SettleCall, NodeId]:
    """The blobs and the payee (a node, or 0) in the input of a settle transaction.

    Raises :class:`Malformed` for another function's input or one that ABI encoders do not make.
    """
    if data[:4] != SETTLE_SELECTOR:
        raise Malformed(f"input starts with {data[:4].hex()}, settle with {SETTLE_SELECTOR.hex()}")
    body = data[4:]
    blobs = []
    for i in range(3):
        offset = int.from_bytes(body[32 * i : 32 * i + 32], "big")
        length = int.from_bytes(body[offset : offset + 32], "big")
        if offset + 32 + length > len(body):
            raise Malformed(f"argument {i} of settle ends beyond its input")
        blobs.append(body[offset + 32 : offset + 32 + length])
    call, payee = SettleCall(*blobs), NodeId(int.from_bytes(body[96:128], "big"))
    if call.calldata(payee) != data:
        raise Malformed("input is not the canonical encoding of its arguments")
    return call, payee


def opening_root(opening: Opening, entries: Sequence[ParsedEntry]) -> bytes:
    """The leftmost 27 bytes of the batch root that an opening leads to: what its lane must hold.

    Raises :class:`Malformed` for a range or proof that does not fit the batch.
    """
    hashes: list[bytes] = []
    for segment in opening.segments:
        if segment.entry is None:
            hashes.extend(segment.hashes)
        else:
            hashes.extend(entries[segment.entry + i].leaf.hash() for i in range(segment.count))
    return range_root(opening.size, opening.first, hashes, opening.proof)[:TRUNCATED_BYTES]


def _parse_lanes(data: bytes) -> tuple[LaneKey, ...]:
    if len(data) % LANE_KEY_BYTES or len(data) // LANE_KEY_BYTES > MAX_LANES:
        raise Malformed(f"lanes have {LANE_KEY_BYTES} bytes each and are at most {MAX_LANES}, got {len(data)} bytes")
    keys = [int.from_bytes(data[at : at + LANE_KEY_BYTES], "big") for at in range(0, len(data), LANE_KEY_BYTES)]
    for i, (before, key) in enumerate(pairwise(keys), 1):
        if key <= before:
            raise Malformed(f"lane {i} does not ascend")
    return tuple(LaneKey(NodeId(key >> 32), Epoch(key & 0xFFFFFFFF)) for key in keys)


def _parse_entries(data: bytes, committee_of: Callable[[JobId], int], lanes: int) -> tuple[ParsedEntry, ...]:
    reader = _Reader("entries", data)
    entries: list[ParsedEntry] = []
    before = -1
    while not reader.done:
        if len(entries) == MAX_ENTRIES:
            raise Malformed(f"a call settles at most {MAX_ENTRIES} shards, more follow")
        head = reader.take(ENTRY_HEAD_BYTES)
        key = int.from_bytes(head[:12], "big")
        if key <= before:
            raise Malformed(f"entry {len(entries)} does not ascend by job and shard")
        before = key
        job = JobId(key >> 32)
        hints = tuple(None if hint == NOT_SHOWN else hint for hint in reader.take(committee_of(job)))
        if any(hint is not None and hint >= lanes for hint in hints):
            raise Malformed(f"entry {len(entries)} names a lane beyond the {lanes} listed")
        entries.append(ParsedEntry(job, Shard(key & 0xFFFFFFFF), head[12], head[13:], hints))
    return tuple(entries)


def _parse_opening(reader: _Reader, lane: int, entries: int) -> Opening:
    size, first = reader.int(2), reader.int(2)
    segments = []
    for _ in range(reader.int(2)):
        entry, count = reader.int(2), reader.int(2)
        if entry == FOREIGN:
            segments.append(Segment(None, count, tuple(reader.take(32) for _ in range(count))))
        elif entry + count > entries:
            raise Malformed(f"a segment of lane {lane} names entries {entry} to {entry + count - 1} of {entries}")
        else:
            segments.append(Segment(entry, count))
    proof = tuple(reader.take(32) for _ in range(reader.int(1)))
    return Opening(lane, size, first, tuple(segments), proof)
