"""The two Merkle trees of the protocol, over 32-byte leaf hashes.

- *Sorted pairs* (results, settlements): level by level, parent = keccak(smaller ‖ larger), an odd last node
  moves up unchanged. Proofs are what OpenZeppelin's ``MerkleProof`` reads. Leaves must be hashed twice by the
  caller.
- *Positional* (batches): ``n`` leaves at heap positions ``n … 2n-1``, node ``p`` over ``2p`` and ``2p+1``,
  root at 1. One proof covers a contiguous range of leaves.

Mirror of ``contracts/libraries/Trees.sol``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from sha3 import keccak_256

from .keccak import keccak
from .types import Malformed

EMPTY_BATCH_ROOT = keccak(b"")
"""Root of a batch without leaves: a node that passes on everything may still commit."""

# --- sorted pairs -------------------------------------------------------------------------------------------


class SortedTree:
    """A sorted-pair tree with all its levels, for many proofs. Building costs one hash per leaf.

    Raises ``ValueError`` without leaves: such a tree has no root.
    """

    __slots__ = ("_levels",)

    def __init__(self, leaves: Sequence[bytes]) -> None:
        if not leaves:
            raise ValueError("a sorted-pair tree needs at least one leaf")
        level = list(leaves)
        self._levels = [level]
        while len(level) > 1:
            level = _parents(level)
            self._levels.append(level)

    @property
    def root(self) -> bytes:
        """The 32-byte root."""
        return self._levels[-1][0]

    def proof(self, index: int) -> list[bytes]:
        """Siblings of leaf ``index`` from the bottom up; a node that moves up unchanged adds none."""
        if not 0 <= index < len(self._levels[0]):
            raise ValueError(f"leaf {index} is not one of {len(self._levels[0])}")
        path = []
        for level in self._levels[:-1]:
            sibling = index ^ 1
            if sibling < len(level):
                path.append(level[sibling])
            index >>= 1
        return path


def _parents(level: list[bytes]) -> list[bytes]:
    """The level above, in order."""
    digest = keccak_256
    above: list[bytes] = [
        digest(a + b if a < b else b + a).digest() for a, b in zip(level[::2], level[1::2], strict=False)
    ]
    if len(level) & 1:
        above.append(level[-1])
    return above


def sorted_root(leaves: Sequence[bytes]) -> bytes:
    """Root of the sorted-pair tree. Raises ``ValueError`` without leaves."""
    if not leaves:
        raise ValueError("a sorted-pair tree needs at least one leaf")
    level = list(leaves)
    while len(level) > 1:
        level = _parents(level)
    return level[0]


def sorted_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Proof of one leaf; build a :class:`SortedTree` for many."""
    return SortedTree(leaves).proof(index)


def root_from_proof(leaf: bytes, proof: Sequence[bytes]) -> bytes:
    """Root that a leaf and its proof lead to."""
    node = leaf
    for sibling in proof:
        node = keccak(node + sibling if node < sibling else sibling + node)
    return node


def sorted_verify(leaf: bytes, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether the proof leads from ``leaf`` to ``root``."""
    return root_from_proof(leaf, proof) == root


# --- positional ---------------------------------------------------------------------------------------------


def _heap(hashes: Sequence[bytes]) -> list[bytes]:
    """All nodes by heap position; position 0 is unused."""
    n = len(hashes)
    digest = keccak_256
    nodes: list[bytes] = [b""] * n + list(hashes)
    for p in range(n - 1, 0, -1):
        nodes[p] = digest(nodes[2 * p] + nodes[2 * p + 1]).digest()
    return nodes


def batch_root(hashes: Sequence[bytes]) -> bytes:
    """Root over a batch's leaf hashes, in order. Without leaves :data:`EMPTY_BATCH_ROOT`."""
    if not hashes:
        return EMPTY_BATCH_ROOT
    return _heap(hashes)[1]


def range_proof(hashes: Sequence[bytes], first: int, count: int) -> list[bytes]:
    """Hashes that :func:`range_root` needs beside leaves ``first … first+count-1``, in the order it takes
    them.

    Raises ``ValueError`` for an empty range or one beyond the batch.
    """
    n = len(hashes)
    _check_range(n, first, count)
    nodes = _heap(hashes)
    proof = []
    queue = deque(range(n + first + count - 1, n + first - 1, -1))
    while queue[0] != 1:
        p = queue.popleft()
        if queue and queue[0] == p ^ 1:
            queue.popleft()
        else:
            proof.append(nodes[p ^ 1])
        queue.append(p >> 1)
    return proof


def range_root(n: int, first: int, hashes: Sequence[bytes], proof: Sequence[bytes]) -> bytes:
    """Root of a batch of ``n`` leaves of which ``hashes`` are those from position ``first`` on.

    Known nodes are taken from the highest heap position down; a node whose sibling is not the next one known
    takes the next hash of the proof instead. Raises :class:`Malformed` unless the proof is used up exactly.
    """
    try:
        _check_range(n, first, len(hashes))
    except ValueError as error:
        raise Malformed(f"range opening: {error}") from None
    digest = keccak_256
    top = n + first + len(hashes) - 1
    queue: deque[tuple[int, bytes]] = deque((top - i, h) for i, h in enumerate(reversed(hashes)))
    rest = iter(proof)
    while True:
        p, node = queue.popleft()
        if p == 1:
            break
        if queue and queue[0][0] == p ^ 1:
            sibling = queue.popleft()[1]
        else:
            taken = next(rest, None)
            if taken is None:
                raise Malformed(f"range opening: proof of {len(proof)} hashes is too short")
            sibling = taken
        pair = sibling + node if p & 1 else node + sibling
        queue.append((p >> 1, digest(pair).digest()))
    if queue or next(rest, None) is not None:
        raise Malformed(f"range opening: proof of {len(proof)} hashes is too long")
    return node


def _check_range(n: int, first: int, count: int) -> None:
    if count < 1 or first < 0 or first + count > n:
        raise ValueError(f"positions {first} to {first + count - 1} are not a range of {n} leaves")
