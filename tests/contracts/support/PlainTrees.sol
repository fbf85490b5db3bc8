// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The trees in the plainest words, and the proofs that an agent makes
/// @dev Shares no code with contracts/libraries/Trees.sol: the tests compare both.
library PlainTrees {
    // --- batches: positional, leaf i of n at n + i ---

    /// @notice Every node of a batch tree, by position; position 0 is unused.
    function batchNodes(bytes32[] memory leaves) internal pure returns (bytes32[] memory nodes) {
        uint256 n = leaves.length;
        nodes = new bytes32[](2 * n);
        for (uint256 i; i < n; ++i) {
            nodes[n + i] = leaves[i];
        }
        for (uint256 p = n - 1; p > 0; --p) {
            nodes[p] = keccak256(abi.encodePacked(nodes[2 * p], nodes[2 * p + 1]));
        }
    }

    function batchRoot(bytes32[] memory leaves) internal pure returns (bytes32) {
        return leaves.length == 0 ? keccak256("") : batchNodes(leaves)[1];
    }

    /// @notice Proof of leaves `first … first + count - 1`, in the order in which the verifier asks for siblings.
    function rangeProof(bytes32[] memory leaves, uint256 first, uint256 count)
        internal
        pure
        returns (bytes32[] memory proof)
    {
        uint256 n = leaves.length;
        bytes32[] memory nodes = batchNodes(leaves);
        bool[] memory known = new bool[](2 * n);
        for (uint256 i; i < count; ++i) {
            known[n + first + i] = true;
        }
        proof = new bytes32[](64);
        uint256 used;
        for (uint256 p = 2 * n - 1; p > 1; --p) {
            if (!known[p]) continue;
            if (!known[p ^ 1]) proof[used++] = nodes[p ^ 1];
            known[p ^ 1] = false;
            known[p] = false;
            known[p >> 1] = true;
        }
        assembly ("memory-safe") {
            mstore(proof, used)
        }
    }

    // --- results and settlements: sorted pairs, an odd node moves up ---

    function sortedRoot(bytes32[] memory leaves) internal pure returns (bytes32) {
        bytes32[] memory level = leaves;
        while (level.length > 1) {
            level = above(level);
        }
        return level[0];
    }

    function sortedPath(bytes32[] memory leaves, uint256 index) internal pure returns (bytes32[] memory path) {
        bytes32[] memory level = leaves;
        path = new bytes32[](64);
        uint256 used;
        while (level.length > 1) {
            uint256 sibling = index ^ 1;
            if (sibling < level.length) path[used++] = level[sibling];
            level = above(level);
            index >>= 1;
        }
        assembly ("memory-safe") {
            mstore(path, used)
        }
    }

    function above(bytes32[] memory level) internal pure returns (bytes32[] memory next) {
        next = new bytes32[]((level.length + 1) / 2);
        for (uint256 i; i < next.length; ++i) {
            next[i] = 2 * i + 1 < level.length ? pair(level[2 * i], level[2 * i + 1]) : level[2 * i];
        }
    }

    function pair(bytes32 a, bytes32 b) internal pure returns (bytes32) {
        return a < b ? keccak256(abi.encodePacked(a, b)) : keccak256(abi.encodePacked(b, a));
    }

    // --- leaves ---

    function batchLeaf(uint256 job, uint256 shard, bytes32 root) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(uint64(job), uint32(shard), root));
    }

    function settlementLeaf(uint256 job, uint256 shard, uint256 attempt, uint256 paidSlots, bytes32 root)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(keccak256(abi.encode(job, shard, attempt, paidSlots, root))));
    }

    function chunkLeaves(bytes memory data) internal pure returns (bytes32[] memory leaves) {
        leaves = new bytes32[]((data.length + 1023) / 1024);
        for (uint256 i; i < leaves.length; ++i) {
            leaves[i] = keccak256(abi.encode(keccak256(abi.encode(i, chunk(data, i)))));
        }
    }

    function chunk(bytes memory data, uint256 index) internal pure returns (bytes memory piece) {
        uint256 from = index * 1024;
        uint256 to = from + 1024 < data.length ? from + 1024 : data.length;
        piece = new bytes(to - from);
        for (uint256 i; i < piece.length; ++i) {
            piece[i] = data[from + i];
        }
    }

    function chunkRoot(bytes memory data) internal pure returns (bytes32) {
        return data.length == 0 ? bytes32(0) : sortedRoot(chunkLeaves(data));
    }

    function taskLeaf(uint256 task, uint256 status, bytes memory data) internal pure returns (bytes32) {
        return keccak256(abi.encode(keccak256(abi.encode(task, status, data.length, chunkRoot(data)))));
    }
}
