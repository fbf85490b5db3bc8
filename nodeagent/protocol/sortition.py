"""The draw: which nodes compute a shard.

Mirror of ``contracts/libraries/Sortition.sol``. A committee follows from the seed of the epoch in which the
attempt starts, the job, the shard, and the pool's seats and pauses as of that epoch; the past never changes.
:class:`SeatList` holds the latter, fed from the registry's events or from calls, so that a node draws tens of
thousands of shards without asking anybody.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Sequence
from struct import unpack

from sha3 import keccak_256

from .constants import MAX_PROBES, OPEN_ENDED
from .keccak import keccak, words
from .types import VOID, Epoch, JobId, NodeId, PoolId, Shard

Valid = Callable[[int], NodeId | None]
"""Node of the seat at an index if it can be drawn, else None (or ``VOID``)."""


def seed_from_randao(epoch: Epoch, prev_randao: bytes) -> bytes:
    """Seed of an epoch from ``prevRandao`` (32 bytes) in the header of its second block."""
    return keccak(words(epoch, prev_randao))


def draw(
    seed: bytes,
    job: JobId,
    shard: Shard,
    committee: int,
    seats: int,
    valid: Valid,
    excluded: Collection[NodeId] = frozenset(),
) -> tuple[NodeId, ...]:
    """Slots of a committee: ``committee`` distinct nodes, ``VOID`` at the end where the probes ran out.

    ``seats`` is the length of the pool's list as of the epoch, holes included. A word that hits a hole, a
    paused node, one already drawn or one of ``excluded`` (who may not judge a case) is spent, and the next one is
    taken.
    """
    digest = keccak_256
    head = digest(seed + job.to_bytes(32, "big") + shard.to_bytes(32, "big")).digest()
    drawn: list[NodeId] = []
    if seats and committee:
        for k in range(MAX_PROBES // 8):
            stream = digest(head + k.to_bytes(32, "big")).digest()
            for value in unpack(">8I", stream):
                node = valid(value * seats >> 32)
                if node and node not in drawn and node not in excluded:
                    drawn.append(node)
                    if len(drawn) == committee:
                        return tuple(drawn)
    return tuple(drawn) + (VOID,) * (committee - len(drawn))


# --- the registry's view ``committees`` ---------------------------------------------------------------------


def draw_words(
    seed: bytes, job: JobId, shard: Shard, epoch: Epoch, pool: PoolId, committee: int, case: bool = False
) -> tuple[int, int]:
    """The two words that ask ``NodeRegistry.committees`` for one draw. For a ``case`` the registry asks the Court who
    may not judge it, so ``job`` must be a case of that Court."""
    request = job << 192 | shard << 160 | epoch << 128 | pool << 112 | committee << 104 | int(case)
    return int.from_bytes(seed, "big"), request


def parse_slots(answer: Sequence[int], committee: int) -> tuple[NodeId, ...]:
    """Slots in the two words that ``NodeRegistry.committees`` answers per draw."""
    if len(answer) != 2:
        raise ValueError(f"a draw is answered by 2 words, got {len(answer)}")
    packed = answer[0].to_bytes(32, "big") + answer[1].to_bytes(32, "big")
    return tuple(NodeId(node) for node in unpack(">16I", packed)[:committee])


def pack_slots(slots: Sequence[NodeId]) -> tuple[int, int]:
    """The two words that hold at most fifteen slots: 0–7 and 8–14 as uint32 from the left, the rest 0."""
    packed = b"".join(node.to_bytes(4, "big") for node in slots).ljust(64, b"\0")
    return int.from_bytes(packed[:32], "big"), int.from_bytes(packed[32:], "big")


# --- seats --------------------------------------------------------------------------------------------------


class SeatList:
    """Seats, length and pauses of one pool over time, as the registry's events tell them.

    Apply events in chain order. Every question names an epoch and can be asked for any epoch not older than
    the first event applied; an answer about an epoch that has begun never changes. Instances are mutable and
    not thread-safe.
    """

    __slots__ = ("_entries", "_lengths", "_pauses", "_starts", "_tables")

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._lengths: list[int] = []
        # index -> entries (node, since, until, held since), oldest first; a dead one stays for draws of the past
        self._entries: dict[int, list[tuple[NodeId, int, int, int]]] = {}
        self._pauses: dict[NodeId, list[tuple[int, int]]] = {}
        self._tables: dict[tuple[int, int], list[NodeId]] = {}

    # events, in chain order

    def seat_taken(self, node: NodeId, seat: int, since: Epoch, held_since: Epoch | None = None) -> None:
        """``SeatTaken``, or a relocated seat's new place: then ``held_since`` is older than ``since``."""
        entries = self._entries.setdefault(seat, [])
        if entries and entries[-1][2] > since:
            raise ValueError(f"seat {seat} is held until {entries[-1][2]}, cannot be taken from {since}")
        entries.append((node, since, OPEN_ENDED, since if held_since is None else held_since))
        self._tables.clear()

    def seat_ended(self, seat: int, until: Epoch) -> None:
        """``SeatEnded``: the seat's latest entry is valid only before ``until``."""
        if seat not in self._entries:
            raise ValueError(f"seat {seat} was never taken")
        node, since, _, held_since = self._entries[seat][-1]
        self._entries[seat][-1] = (node, since, until, held_since)
        self._tables.clear()

    def resized(self, length: int, from_epoch: Epoch) -> None:
        """``ListResized``: draws of ``from_epoch`` and later use ``length``."""
        if self._starts and self._starts[-1] > from_epoch:
            raise ValueError(f"length of epoch {from_epoch} came after that of epoch {self._starts[-1]}")
        if self._starts and self._starts[-1] == from_epoch:
            self._lengths[-1] = length
        else:
            self._starts.append(from_epoch)
            self._lengths.append(length)
        self._tables.clear()

    def paused(self, node: NodeId, from_epoch: Epoch) -> None:
        """``NodePaused``: the node is not drawn from ``from_epoch`` on."""
        self._pauses.setdefault(node, []).append((from_epoch, OPEN_ENDED))
        self._tables.clear()

    def resumed(self, node: NodeId, from_epoch: Epoch) -> None:
        """``NodeResumed``: the node is drawn again from ``from_epoch`` on."""
        intervals = self._pauses.get(node)
        if not intervals or intervals[-1][1] != OPEN_ENDED:
            raise ValueError(f"node {node} is not paused")
        intervals[-1] = (intervals[-1][0], from_epoch)
        self._tables.clear()

    def set_pauses(self, node: NodeId, packed: Sequence[int]) -> None:
        """Pauses as ``NodeView.pauses`` gives them: ``start << 32 | end``, newest first, 0 for none."""
        self._pauses[node] = [(word >> 32, word & OPEN_ENDED) for word in reversed(packed) if word]
        self._tables.clear()

    # questions

    def length_at(self, epoch: Epoch) -> int:
        """Length of the list, holes included, that draws of ``epoch`` use."""
        at = bisect_right(self._starts, epoch)
        return self._lengths[at - 1] if at else 0

    def is_paused(self, node: NodeId, epoch: Epoch) -> bool:
        """Whether a pause of the node covers ``epoch``."""
        return any(start <= epoch < end for start, end in self._pauses.get(node, ()))

    def node_at(self, seat: int, epoch: Epoch, held_before: Epoch | None = None) -> NodeId:
        """Node that a draw of ``epoch`` finds at an index; ``VOID`` for a hole or a paused node, and with
        ``held_before`` for a seat that was not held before that epoch, here or elsewhere in the list.
        """
        for node, since, until, held_since in reversed(self._entries.get(seat, ())):
            if since <= epoch < until:
                too_new = held_before is not None and held_since >= held_before
                return VOID if too_new or self.is_paused(node, epoch) else node
        return VOID

    def table(self, epoch: Epoch, held_before: Epoch | None = None) -> Sequence[NodeId]:
        """``node_at`` of every index of an epoch; kept until the next event."""
        key = (epoch, -1 if held_before is None else held_before)
        table = self._tables.get(key)
        if table is None:
            # Judges are drawn over the list as it was: seats taken since cannot dilute it.
            length = self.length_at(epoch if held_before is None else held_before)
            table = [self.node_at(seat, epoch, held_before) for seat in range(length)]
            if len(self._tables) >= 16:
                self._tables.clear()
            self._tables[key] = table
        return table

    def nodes_at(self, epoch: Epoch) -> set[NodeId]:
        """Distinct nodes that can be drawn in ``epoch``."""
        return set(self.table(epoch)) - {VOID}

    def committee(
        self,
        seed: bytes,
        job: JobId,
        shard: Shard,
        size: int,
        epoch: Epoch,
        *,
        excluded: Collection[NodeId] = frozenset(),
        held_before: Epoch | None = None,
    ) -> tuple[NodeId, ...]:
        """Slots of the committee of a shard whose attempt starts in ``epoch``.

        For a case ``excluded`` is the appealed committee and ``held_before`` the epoch in which its attempt started
        (``Appealed`` carries both).
        """
        table = self.table(epoch, held_before)
        return draw(seed, job, shard, size, len(table), table.__getitem__, excluded)
