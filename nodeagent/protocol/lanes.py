"""The lane word: what a node's ring slot says about the batch of one epoch.

``epoch << 224 | state << 216 | digest or root``, the last being the leftmost 216 bits of the hash. A lane is
reused every ``RING`` epochs, so a word must be read together with the epoch it carries.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from .constants import COUNTED_DELAY, TRUNCATED_BYTES
from .types import Epoch, NodeId

UNREVEALED_PUNISHED: Final = 0x10
ABSENT_PUNISHED: Final = 0x20
WRONG_PUNISHED: Final = 0x40
CONTRADICTION_PUNISHED: Final = 0x80


@dataclass(frozen=True, slots=True)
class Lane:
    """A lane word taken apart. ``value`` (27 bytes) is the digest while sealed, the batch root once open."""

    epoch: Epoch
    state: int
    value: bytes

    @property
    def delay(self) -> int:
        """Epochs from commit to reveal; 0 while sealed."""
        return self.state & 0x0F

    @property
    def empty(self) -> bool:
        """Whether the slot was never written."""
        return self.epoch == 0 and self.state == 0 and not any(self.value)

    def sealed_for(self, epoch: Epoch) -> bool:
        """Whether the lane carries ``epoch``, and was neither opened nor marked with a fault."""
        return self.epoch == epoch and self.state == 0 and not self.empty

    def counts_for(self, epoch: Epoch) -> bool:
        """Whether the lane's opening counts for the settlement of an attempt that committed in ``epoch``."""
        return self.epoch == epoch and 1 <= self.delay <= COUNTED_DELAY

    def has(self, flag: int) -> bool:
        """Whether a fault of this kind was punished."""
        return bool(self.state & flag)


def unpack_lane(word: int) -> Lane:
    """Takes a 256-bit lane word apart."""
    value = (word & ((1 << 216) - 1)).to_bytes(TRUNCATED_BYTES, "big")
    return Lane(Epoch(word >> 224), word >> 216 & 0xFF, value)


def pack_lane(lane: Lane) -> int:
    """The 256-bit word of a lane."""
    return lane.epoch << 224 | lane.state << 216 | int.from_bytes(lane.value, "big")


def lane_pairs(pairs: Iterable[tuple[NodeId, Epoch]]) -> bytes:
    """The argument of ``CommitLedger.lanes``: node (4) and epoch (4) of each pair."""
    return b"".join((node << 32 | epoch).to_bytes(8, "big") for node, epoch in pairs)
