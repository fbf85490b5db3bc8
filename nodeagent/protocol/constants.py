"""Every number of the protocol, in one place.

The first group is fixed by the rules; the second is what a deployment chooses (constructor parameters), here
with the defaults of the deploy script. Read a deployment's own numbers from its contracts or its record,
never from here.
"""

from __future__ import annotations

from typing import Final

# --- fixed --------------------------------------------------------------------------------------------------

BATCH_TYPE_TEXT: Final = b"Quorate batch v1"
"""Preimage of the first word under a commitment's digest."""

MAX_PROBES: Final = 64
"""Words of 32 bits one committee may use before its remaining slots stay void."""
MAX_COMMITTEE: Final = 15
MAX_WORK: Final = 8
MAX_ATTEMPTS: Final = 4
MAX_LEAVES: Final = 512
"""Leaves in one batch."""
MAX_LANES: Final = 254
"""Lanes one settle call may list."""
MAX_ENTRIES: Final = 256
"""Entries of one settle call: a lane keeps a bit for each."""

LEAF_BYTES: Final = 44
"""job 8, shard 4, result root 32."""
SETTLED_LEAF_BYTES: Final = 47
"""job 8, shard 4, attempt 1, paid slots 2, result root 32."""
ENTRY_HEAD_BYTES: Final = 45
"""job 8, shard 4, attempt 1, result root 32; one byte per slot follows."""
LANE_KEY_BYTES: Final = 8
"""node 4, commit epoch 4."""
NOT_SHOWN: Final = 0xFF
"""Slot hint: this slot's lane is not listed."""
FOREIGN: Final = 0xFFFF
"""Segment entry: leaf hashes of shards outside this call follow."""

TRUNCATED_BYTES: Final = 27
"""Digests and batch roots keep their leftmost 216 bits in a lane word."""
CHUNK_BYTES: Final = 1024
"""Results are hashed in chunks of this size."""
MAX_MANIFEST_BYTES: Final = 1 << 20
"""A manifest is one raw block."""
COUNTED_DELAY: Final = 2
"""An opening counts for settlement if revealed at most this many epochs after its commit."""
OPEN_ENDED: Final = (1 << 32) - 1
"""``until`` of a seat held, ``end`` of a pause in force."""
BPS: Final = 10_000
REPORTER_BPS: Final = 1_000
"""Share of a slash that its reporter earns; the rest is burned."""

# --- chosen by a deployment ---------------------------------------------------------------------------------

DEFAULT_EPOCH_BLOCKS: Final = 10
DEFAULT_RING: Final = 128
DEFAULT_LEAD: Final = 4
DEFAULT_REVEAL_GRACE: Final = 8
DEFAULT_SETTLE_GRACE: Final = 8
DEFAULT_REPORT_EPOCHS: Final = 4
DEFAULT_SETTLE_FEE_BPS: Final = 100
DEFAULT_UNREVEALED_BPS: Final = 1_000
DEFAULT_ABSENT_BPS: Final = 10
DEFAULT_JUDGES: Final = 5
DEFAULT_WRONG_BPS: Final = 5_000
