"""A node's batch: one leaf per shard it answers in an epoch, sealed as one salted digest.

A leaf is 44 bytes: job (8), shard (4), result root (32), integers big-endian. Leaves ascend strictly by (job,
shard), so a node cannot give two answers to one question.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from .constants import BATCH_TYPE_TEXT, LEAF_BYTES, MAX_LEAVES, TRUNCATED_BYTES
from .keccak import keccak, word, words
from .trees import batch_root
from .types import Epoch, JobId, Malformed, NodeId, Shard

BATCH_TYPE: Final = keccak(BATCH_TYPE_TEXT)
"""First word under the digest: a digest of this protocol version can be nothing else."""


class Leaf(NamedTuple):
    """A node's answer to one shard. ``root`` is the 32-byte root of its result tree."""

    job: JobId
    shard: Shard
    root: bytes

    def pack(self) -> bytes:
        """The leaf's 44 bytes."""
        return self.job.to_bytes(8, "big") + self.shard.to_bytes(4, "big") + self.root

    def hash(self) -> bytes:
        """The leaf's hash in the batch tree."""
        return keccak(self.pack())


def pack_leaves(leaves: Sequence[Leaf]) -> bytes:
    """The bytes that ``reveal`` takes, ``44 * len(leaves)``.

    Raises ``ValueError`` unless leaves ascend strictly by (job, shard), are at most 512 and have 32-byte
    roots: a batch that breaks a rule could be sealed but never opened.
    """
    if len(leaves) > MAX_LEAVES:
        raise ValueError(f"a batch holds at most {MAX_LEAVES} leaves, got {len(leaves)}")
    for i, leaf in enumerate(leaves):
        if len(leaf.root) != 32:
            raise ValueError(f"leaf {i}: a result root has 32 bytes, got {len(leaf.root)}")
        if i and (leaf.job, leaf.shard) <= (leaves[i - 1].job, leaves[i - 1].shard):
            raise ValueError(f"leaf {i} (job {leaf.job}, shard {leaf.shard}) does not ascend")
    return b"".join(leaf.pack() for leaf in leaves)


def parse_leaves(data: bytes) -> tuple[Leaf, ...]:
    """Leaves in the bytes of a ``Revealed`` event.

    Raises :class:`Malformed` for a length that is not a multiple of 44, too many leaves, or an order that
    does not ascend strictly. The contract refuses the same.
    """
    if len(data) % LEAF_BYTES:
        raise Malformed(f"leaves have {LEAF_BYTES} bytes each, got {len(data)} in all")
    if len(data) // LEAF_BYTES > MAX_LEAVES:
        raise Malformed(f"a batch holds at most {MAX_LEAVES} leaves, got {len(data) // LEAF_BYTES}")
    leaves = []
    before = -1
    for at in range(0, len(data), LEAF_BYTES):
        key = int.from_bytes(data[at : at + 12], "big")
        if key <= before:
            raise Malformed(f"leaf {at // LEAF_BYTES} does not ascend by job and shard")
        before = key
        leaves.append(Leaf(JobId(key >> 32), Shard(key & 0xFFFFFFFF), data[at + 12 : at + LEAF_BYTES]))
    return tuple(leaves)


def leaf_hashes(data: bytes) -> list[bytes]:
    """Leaf hashes of packed leaves, in order."""
    return [keccak(data[at : at + LEAF_BYTES]) for at in range(0, len(data), LEAF_BYTES)]


def leaves_root(data: bytes) -> bytes:
    """Batch root (32 bytes) of packed leaves; a lane keeps its leftmost 27."""
    return batch_root(leaf_hashes(data))


def commit_digest(
    chain_id: int, ledger: bytes, node: NodeId, epoch: Epoch, leaves: bytes, manifest: bytes, salt: bytes
) -> bytes:
    """The 27 bytes that ``commit`` takes.

    ``ledger`` is the 20-byte address of the commit ledger, ``leaves`` the packed leaves, ``manifest`` the
    sha256 of the batch manifest, ``salt`` 32 secret random bytes, fresh for every batch.
    """
    if len(ledger) != 20:
        raise ValueError(f"an address has 20 bytes, got {len(ledger)}")
    data = words(BATCH_TYPE, chain_id, word(int.from_bytes(ledger, "big")), node, epoch, keccak(leaves), manifest, salt)
    return keccak(data)[:TRUNCATED_BYTES]
