// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {Words} from "./Words.sol";

/// @title The three trees: results, batches, settlements
/// @dev Results and settlements are sorted-pair trees, an odd node moving up unchanged, so that OpenZeppelin's
/// `MerkleProof` reads them. Batches are positional (leaf `i` of `n` at `n + i`, node `p` over `2p` and `2p + 1`), so that
/// a contiguous range has one proof. Mirrored in nodeagent/protocol/trees.py.
library Trees {
    uint256 internal constant CHUNK = 1024;
    uint256 internal constant LEAF_BYTES = 44;

    error BadRange(uint256 leaves, uint256 first, uint256 count);
    error BadProofLength(uint256 expectedAtLeast, uint256 actual);

    /// @notice Leaf of the result tree of a shard.
    function taskLeaf(uint256 task, uint256 status, uint256 byteLength, bytes32 chunkRoot_)
        internal
        pure
        returns (bytes32)
    {
        return _twice(keccak256(abi.encode(task, status, byteLength, chunkRoot_)));
    }

    function chunkLeaf(uint256 index, bytes memory chunk) internal pure returns (bytes32) {
        return _twice(keccak256(abi.encode(index, chunk)));
    }

    /// @notice Root over the 1 KiB chunks of a result, zero for an empty one.
    function chunkRoot(bytes calldata data) internal pure returns (bytes32) {
        if (data.length == 0) return bytes32(0);
        uint256 count = (data.length + CHUNK - 1) / CHUNK;
        bytes32[] memory leaves = new bytes32[](count);
        for (uint256 i; i < count; ++i) {
            uint256 end = (i + 1) * CHUNK;
            leaves[i] = chunkLeaf(i, data[i * CHUNK:end > data.length ? data.length : end]);
        }
        return sortedRoot(leaves, count);
    }

    function settlementLeaf(uint256 job, uint256 shard, uint256 attempt, uint256 paidSlots, bytes32 resultRoot)
        internal
        pure
        returns (bytes32 hash)
    {
        assembly ("memory-safe") {
            let free := mload(0x40) // not allocated: read once and left
            mstore(free, job)
            mstore(add(free, 32), shard)
            mstore(add(free, 64), attempt)
            mstore(add(free, 96), paidSlots)
            mstore(add(free, 128), resultRoot)
            mstore(0x00, keccak256(free, 160))
            hash := keccak256(0x00, 32)
        }
    }

    /// @notice Root of a sorted-pair tree over the first `count` leaves, at least one, which are used as scratch space.
    function sortedRoot(bytes32[] memory leaves, uint256 count) internal pure returns (bytes32) {
        return sortedRoot(Words.begin(leaves), count);
    }

    /// @notice The same over `count` words of memory from `begin` on.
    function sortedRoot(uint256 begin, uint256 count) internal pure returns (bytes32 root) {
        assembly ("memory-safe") {
            for {} gt(count, 1) {} {
                let half := shr(1, count)
                for { let i := 0 } lt(i, half) { i := add(i, 1) } {
                    let pair := add(begin, shl(6, i))
                    let left := mload(pair)
                    let right := mload(add(pair, 32))
                    switch lt(right, left)
                    case 0 {
                        mstore(0x00, left)
                        mstore(0x20, right)
                    }
                    default {
                        mstore(0x00, right)
                        mstore(0x20, left)
                    }
                    mstore(add(begin, shl(5, i)), keccak256(0x00, 0x40))
                }
                // An odd node moves up unchanged.
                if and(count, 1) {
                    mstore(add(begin, shl(5, half)), mload(add(begin, shl(5, sub(count, 1)))))
                    half := add(half, 1)
                }
                count := half
            }
            root := mload(begin)
        }
    }

    /// @notice Hash of one packed batch leaf: job 8, shard 4, result root 32.
    function batchLeaf(uint256 jobAndShard, bytes32 resultRoot) internal pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            mstore(0x00, shl(160, jobAndShard))
            mstore(0x0c, resultRoot)
            hash := keccak256(0x00, 44)
        }
    }

    /// @notice Root of a whole batch; of the empty one if it has no leaves.
    function batchRoot(bytes32[] memory leaves) internal pure returns (bytes32) {
        return batchRoot(Words.begin(leaves), leaves.length);
    }

    /// @notice The same over `n` words of memory from `begin` on, which stay as they are.
    function batchRoot(uint256 begin, uint256 n) internal pure returns (bytes32 root) {
        if (n == 0) return keccak256("");
        assembly ("memory-safe") {
            root := mload(begin)
            if gt(n, 1) {
                // The heap, in memory that is not kept: leaves in its upper half, node `p` made from its neighbours
                // `2p` and `2p + 1`, downwards to 1.
                let heap := mload(0x40)
                mcopy(add(heap, shl(5, n)), begin, shl(5, n))
                for { let p := sub(n, 1) } p { p := sub(p, 1) } {
                    mstore(add(heap, shl(5, p)), keccak256(add(heap, shl(6, p)), 64))
                }
                root := mload(add(heap, 32))
            }
        }
    }

    /// @notice Root of a batch of `n` leaves from a contiguous range of them and the proof of the rest.
    /// @dev Known nodes form a queue in descending heap position. The front is joined with its sibling, which is next in
    /// the queue or else next in the proof, and their parent goes to the back. Two nodes leave for one that enters, so
    /// the queue lives in the range's own memory, read from its end.
    /// @param hashes leaf hashes at positions `n + first …` in order; used as scratch space
    function rangeRoot(uint256 n, uint256 first, bytes32[] memory hashes, bytes32[] memory proof)
        internal
        pure
        returns (bytes32)
    {
        uint256 size = hashes.length;
        if (size == 0 || n < size || first > n - size) revert BadRange(n, first, size);
        uint256[] memory positions = new uint256[](size);
        unchecked {
            for (uint256 i; i < size; ++i) {
                positions[i] = n + first + i;
            }
        }
        return _fold(hashes, positions, proof);
    }

    /// @dev The ring runs backwards: `head` and `tail` go from `size - 1` to 0 and wrap.
    function _fold(bytes32[] memory hashes, uint256[] memory positions, bytes32[] memory proof)
        private
        pure
        returns (bytes32 root)
    {
        unchecked {
            uint256 size = hashes.length;
            uint256 head = size - 1;
            uint256 tail = head;
            uint256 used;
            while (true) {
                uint256 position = positions[head];
                bytes32 node = hashes[head];
                if (position == 1) {
                    root = node;
                    break;
                }
                head = head == 0 ? size - 1 : head - 1;
                // The next in the queue is the sibling only of a right child: positions descend.
                if (position & 1 == 1 && positions[head] == position - 1) {
                    node = Hashes.efficientKeccak256(hashes[head], node);
                    head = head == 0 ? size - 1 : head - 1;
                } else {
                    if (used == proof.length) revert BadProofLength(used + 1, proof.length);
                    bytes32 sibling = proof[used++];
                    node = position & 1 == 1
                        ? Hashes.efficientKeccak256(sibling, node)
                        : Hashes.efficientKeccak256(node, sibling);
                }
                hashes[tail] = node;
                positions[tail] = position >> 1;
                tail = tail == 0 ? size - 1 : tail - 1;
            }
            if (used != proof.length) revert BadProofLength(used, proof.length);
        }
    }

    function _twice(bytes32 hash) private pure returns (bytes32 value) {
        assembly ("memory-safe") {
            mstore(0x00, hash)
            value := keccak256(0x00, 0x20)
        }
    }
}
