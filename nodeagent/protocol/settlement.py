"""Settling: many shards of many jobs in one call, and the record the call leaves.

``settle`` takes three packed blobs (integers big-endian):

- *entries*, strictly ascending by (job, shard): job 8, shard 4, attempt 1, result root 32, then a byte per
  slot of the job's committee: the index of that slot's lane, or 0xff when it is not shown;
- *lanes*, strictly ascending: node 4, commit epoch 4;
- *openings*, one per opened lane: lane index 1, batch size 2, first position 2, segments 2, the segments
  (entry 2, length 2; entry 0xffff: that many leaf hashes follow), proof length 1, the proof.

:func:`build_settle` makes them from typed facts; ``openings`` parses and checks them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from .constants import FOREIGN, LANE_KEY_BYTES, MAX_ENTRIES, MAX_LANES, NOT_SHOWN, SETTLED_LEAF_BYTES
from .keccak import double_keccak, keccak, word, words
from .leaves import Leaf
from .trees import SortedTree, range_proof
from .types import Epoch, JobId, Malformed, NodeId, Shard

SETTLE_SELECTOR = keccak(b"settle(bytes,bytes,bytes,uint32)")[:4]

# --- building a call ----------------------------------------------------------------------------------------


class LaneKey(NamedTuple):
    """A node's ring slot of one commit epoch."""

    node: NodeId
    epoch: Epoch


@dataclass(frozen=True, slots=True)
class SettleEntry:
    """A shard to settle. ``slots`` has one item per slot of the committee: the lane to show, or None.

    In the epoch right after the commit every slot that is not void must be shown, opened or not; later only
    those whose opening is to be paid.
    """

    job: JobId
    shard: Shard
    attempt: int
    root: bytes
    slots: tuple[LaneKey | None, ...]

    @property
    def leaf(self) -> Leaf:
        """The batch leaf that agrees with this entry."""
        return Leaf(self.job, self.shard, self.root)


@dataclass(frozen=True, slots=True)
class OpenBatch:
    """A revealed batch: all leaves, in order, of one node and epoch."""

    lane: LaneKey
    leaves: tuple[Leaf, ...]


@dataclass(frozen=True, slots=True)
class SettleCall:
    """The three blobs of a settle call."""

    entries: bytes
    lanes: bytes
    openings: bytes

    def calldata(self, payee: NodeId) -> bytes:
        """Selector and ABI-encoded arguments of ``settle``; ``payee`` is the node that earns the fee, or 0."""
        tails = [word(len(blob)) + blob + bytes(-len(blob) % 32) for blob in (self.entries, self.lanes, self.openings)]
        offsets = [128, 128 + len(tails[0]), 128 + len(tails[0]) + len(tails[1])]
        head = words(*offsets, payee)
        return SETTLE_SELECTOR + head + b"".join(tails)


def build_settle(entries: Sequence[SettleEntry], batches: Sequence[OpenBatch]) -> SettleCall:
    """The call that settles ``entries``, which ascend strictly by (job, shard).

    Every lane that an entry names is listed; those in ``batches`` are opened, each with one range from its
    first to its last leaf that agrees with an entry that shows this lane. Raises ``ValueError`` for entries
    out of order, more than 256 entries or 254 lanes, two batches of one lane, or a batch none of whose leaves
    agrees with an entry.
    """
    for before, entry in pairwise(entries):
        if (before.job, before.shard) >= (entry.job, entry.shard):
            raise ValueError(f"entry (job {entry.job}, shard {entry.shard}) does not ascend")
    if len(entries) > MAX_ENTRIES:
        raise ValueError(f"a call settles at most {MAX_ENTRIES} shards, got {len(entries)}: settle them in parts")
    lanes = sorted({lane for entry in entries for lane in entry.slots if lane is not None})
    if len(lanes) > MAX_LANES:
        raise ValueError(f"a call lists at most {MAX_LANES} lanes, got {len(lanes)}: settle fewer shards at once")
    index = {lane: i for i, lane in enumerate(lanes)}
    openings = []
    for batch in sorted(batches, key=lambda item: item.lane):
        if batch.lane not in index:
            raise ValueError(f"no entry shows node {batch.lane.node} in epoch {batch.lane.epoch}")
        openings.append(bytes((index.pop(batch.lane),)) + _opening(entries, batch))
    hints = {lane: i for i, lane in enumerate(lanes)}
    return SettleCall(
        entries=b"".join(_pack_entry(entry, hints) for entry in entries),
        lanes=b"".join(pack_lane_key(lane) for lane in lanes),
        openings=b"".join(openings),
    )


def build_claim_opening(leaf: Leaf, leaves: Sequence[Leaf]) -> bytes:
    """The opening that ``claim`` takes: one leaf of a revealed batch, as lane 0 and entry 0."""
    position = list(leaves).index(leaf)
    proof = range_proof([item.hash() for item in leaves], position, 1)
    return b"\0" + _pack_opening(len(leaves), position, [(0, 1, b"")], proof)


def pack_lane_key(lane: LaneKey) -> bytes:
    """A lane's 8 bytes: node, commit epoch."""
    return (lane.node << 32 | lane.epoch).to_bytes(LANE_KEY_BYTES, "big")


def _pack_entry(entry: SettleEntry, hints: dict[LaneKey, int]) -> bytes:
    head = entry.job.to_bytes(8, "big") + entry.shard.to_bytes(4, "big") + bytes((entry.attempt,)) + entry.root
    return head + bytes(NOT_SHOWN if lane is None else hints[lane] for lane in entry.slots)


def _opening(entries: Sequence[SettleEntry], batch: OpenBatch) -> bytes:
    """One opening without its lane index: the range from the first to the last leaf that agrees with an
    entry.
    """
    agreeing = {entry.leaf: i for i, entry in enumerate(entries) if batch.lane in entry.slots}
    found = [agreeing.get(leaf) for leaf in batch.leaves]
    positions = [i for i, entry in enumerate(found) if entry is not None]
    if not positions:
        raise ValueError(f"batch of node {batch.lane.node}, epoch {batch.lane.epoch} agrees with no entry")
    first, last = positions[0], positions[-1]
    hashes = [leaf.hash() for leaf in batch.leaves]
    segments: list[tuple[int, int, bytes]] = []
    for i in range(first, last + 1):
        entry = found[i]
        if entry is None:
            if segments and segments[-1][0] == FOREIGN:
                _, length, data = segments.pop()
                segments.append((FOREIGN, length + 1, data + hashes[i]))
            else:
                segments.append((FOREIGN, 1, hashes[i]))
        elif segments and segments[-1][0] != FOREIGN and sum(segments[-1][:2]) == entry:
            start, length, _ = segments.pop()
            segments.append((start, length + 1, b""))
        else:
            segments.append((entry, 1, b""))
    return _pack_opening(len(hashes), first, segments, range_proof(hashes, first, last - first + 1))


def _pack_opening(n: int, first: int, segments: Sequence[tuple[int, int, bytes]], proof: Sequence[bytes]) -> bytes:
    parts = [n.to_bytes(2, "big"), first.to_bytes(2, "big"), len(segments).to_bytes(2, "big")]
    for entry, length, data in segments:
        parts.append(entry.to_bytes(2, "big") + length.to_bytes(2, "big") + data)
    parts.append(bytes((len(proof),)))
    parts.extend(proof)
    return b"".join(parts)


# --- the record ---------------------------------------------------------------------------------------------


class SettledLeaf(NamedTuple):
    """A settled shard, as the ``Settled`` event carries it (47 bytes). Bit ``s`` of ``paid_slots`` is slot
    ``s``.
    """

    job: JobId
    shard: Shard
    attempt: int
    paid_slots: int
    root: bytes

    def pack(self) -> bytes:
        """job 8, shard 4, attempt 1, paid slots 2, result root 32."""
        head = self.job.to_bytes(8, "big") + self.shard.to_bytes(4, "big") + bytes((self.attempt,))
        return head + self.paid_slots.to_bytes(2, "big") + self.root

    def hash(self) -> bytes:
        """Leaf in the settlement tree."""
        return double_keccak(words(self.job, self.shard, self.attempt, self.paid_slots, self.root))


def parse_settled(data: bytes) -> tuple[SettledLeaf, ...]:
    """Leaves of a ``Settled`` event. Raises :class:`Malformed` for a length that is not a positive multiple
    of 47.
    """
    if not data or len(data) % SETTLED_LEAF_BYTES:
        raise Malformed(f"settled leaves have {SETTLED_LEAF_BYTES} bytes each, got {len(data)} in all")
    return tuple(
        SettledLeaf(
            JobId(int.from_bytes(data[at : at + 8], "big")),
            Shard(int.from_bytes(data[at + 8 : at + 12], "big")),
            data[at + 12],
            int.from_bytes(data[at + 13 : at + 15], "big"),
            data[at + 15 : at + SETTLED_LEAF_BYTES],
        )
        for at in range(0, len(data), SETTLED_LEAF_BYTES)
    )


def settlement_tree(leaves: Sequence[SettledLeaf]) -> SortedTree:
    """Tree of one settle call, over the shards it settled in their order; proofs are the receipts' paths."""
    return SortedTree([leaf.hash() for leaf in leaves])
