// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {Trees} from "../../contracts/libraries/Trees.sol";
import {Assertions} from "../contracts/support/Assertions.sol";
import {PlainTrees} from "../contracts/support/PlainTrees.sol";

// batchRoot
// ├── no leaves: keccak of nothing
// └── else: the root of the positional tree (golden vectors, plain twin)
// rangeRoot
// ├── no leaf, more leaves than the batch, or a range that ends behind it: BadRange(n, first, count)
// ├── proof too short: BadProofLength(one more, actual)
// ├── proof too long: BadProofLength(used, actual)
// ├── right range and proof: the batch's root (every n ≤ 64, golden vectors)
// └── one flipped bit in a leaf or proof, another first, another n: another root, or a revert
// sortedRoot
// └── equals the plain twin; OpenZeppelin's MerkleProof accepts each leaf's path (golden vectors)
// batchLeaf | settlementLeaf | chunkLeaf | chunkRoot | taskLeaf
// └── equal the plain twin (golden vectors at every chunk boundary)
contract TreesTest is Assertions {
    function batchRoot(bytes32[] memory leaves) public pure returns (bytes32) {
        return Trees.batchRoot(leaves);
    }

    function rangeRoot(uint256 n, uint256 first, bytes32[] memory hashes, bytes32[] memory proof)
        public
        pure
        returns (bytes32)
    {
        return Trees.rangeRoot(n, first, hashes, proof);
    }

    function chunkRoot(bytes calldata data) public pure returns (bytes32) {
        return Trees.chunkRoot(data);
    }

    function verify(bytes32[] calldata path, bytes32 root, bytes32 leaf) public pure returns (bool) {
        return MerkleProof.verifyCalldata(path, root, leaf);
    }

    function _leaves(uint256 n, uint256 seed) private pure returns (bytes32[] memory leaves) {
        leaves = new bytes32[](n);
        for (uint256 i; i < n; ++i) {
            leaves[i] = keccak256(abi.encode(seed, i));
        }
    }

    function _part(bytes32[] memory all, uint256 first, uint256 count) private pure returns (bytes32[] memory part) {
        part = new bytes32[](count);
        for (uint256 i; i < count; ++i) {
            part[i] = all[first + i];
        }
    }

    /// @dev A legal (n, first, count) with n ≤ 64.
    function _range(uint256 a, uint256 b, uint256 c) private pure returns (uint256 n, uint256 first, uint256 count) {
        n = bound(a, 1, 64);
        first = bound(b, 0, n - 1);
        count = bound(c, 1, n - first);
    }

    // --- batches --------------------------------------------------------------------------------------------------

    function test_batchRoot__noLeaves__isHashOfNothing() public view {
        assertEq(this.batchRoot(new bytes32[](0)), keccak256(""), "empty");
    }

    function test_batchRoot__oneLeaf__isTheLeaf() public view {
        assertEq(this.batchRoot(_leaves(1, 9)), keccak256(abi.encode(9, 0)), "leaf");
    }

    function testFuzz_batchRoot__anySize__equalsPlainTree(uint256 n, uint256 seed) public view {
        bytes32[] memory leaves = _leaves(bound(n, 1, 130), seed);
        assertEq(this.batchRoot(leaves), PlainTrees.batchRoot(leaves), "root");
    }

    function test_batchRoot__mostLeaves__equalsPlainTree() public view {
        bytes32[] memory leaves = _leaves(512, 1);
        assertEq(this.batchRoot(leaves), PlainTrees.batchRoot(leaves), "512");
    }

    function test_rangeRoot__everyRangeOfSmallBatches__isTheBatchRoot() public pure {
        for (uint256 n = 1; n <= 12; ++n) {
            bytes32[] memory leaves = _leaves(n, n);
            bytes32 root = PlainTrees.batchRoot(leaves);
            for (uint256 first; first < n; ++first) {
                for (uint256 count = 1; count <= n - first; ++count) {
                    bytes32[] memory proof = PlainTrees.rangeProof(leaves, first, count);
                    assertEq(Trees.rangeRoot(n, first, _part(leaves, first, count), proof), root, "range");
                }
            }
        }
    }

    function testFuzz_rangeRoot__anyRange__isTheBatchRoot(uint256 a, uint256 b, uint256 c, uint256 seed) public view {
        (uint256 n, uint256 first, uint256 count) = _range(a, b, c);
        bytes32[] memory leaves = _leaves(n, seed);
        bytes32[] memory proof = PlainTrees.rangeProof(leaves, first, count);
        bytes32 root = this.rangeRoot(n, first, _part(leaves, first, count), proof);
        assertEq(root, PlainTrees.batchRoot(leaves), "range");
        if (count == n) assertEq(proof.length, 0, "a whole batch needs no proof");
    }

    function testFuzz_rangeRoot__flippedBit__isAnotherRoot(uint256 a, uint256 b, uint256 c, uint256 d) public view {
        (uint256 n, uint256 first, uint256 count) = _range(a, b, c);
        bytes32[] memory leaves = _leaves(n, d);
        bytes32[] memory proof = PlainTrees.rangeProof(leaves, first, count);
        bytes32[] memory part = _part(leaves, first, count);
        bytes32 flip = bytes32(1 << (d >> 8) % 256);
        uint256 which = (d & 255) % (count + proof.length);
        if (which < count) part[which] ^= flip;
        else proof[which - count] ^= flip;
        assertNotEq(this.rangeRoot(n, first, part, proof), PlainTrees.batchRoot(leaves), "flipped");
    }

    function testFuzz_rangeRoot__anotherPlaceOrSize__isNotTheBatchRoot(uint256 a, uint256 b, uint256 c, uint256 d)
        public
        view
    {
        (uint256 n, uint256 first, uint256 count) = _range(a, b, c);
        bytes32[] memory leaves = _leaves(n, d);
        (uint256 wrongN, uint256 wrongFirst) = (bound(d, 1, 64), bound(d >> 64, 0, 63));
        vm.assume(wrongN != n || wrongFirst != first);
        bytes32[] memory proof = PlainTrees.rangeProof(leaves, first, count);
        try this.rangeRoot(wrongN, wrongFirst, _part(leaves, first, count), proof) returns (bytes32 root) {
            // Two sizes may give one leaf the same path; then only its place in the tree may be the same.
            if (root == PlainTrees.batchRoot(leaves)) {
                assertTrue(_samePaths(n, first, wrongN, wrongFirst, count), "accepted elsewhere");
            }
        } catch {}
    }

    /// @dev The same turns from leaf to root for every leaf of the range.
    function _samePaths(uint256 n, uint256 first, uint256 m, uint256 other, uint256 count) private pure returns (bool) {
        for (uint256 i; i < count; ++i) {
            if (n + first + i != m + other + i) return false;
        }
        return true;
    }

    function test_rangeRoot__badRange__reverts() public {
        bytes32[] memory two = _leaves(2, 1);
        bytes32[] memory none = new bytes32[](0);
        uint256[3][4] memory cases = [[uint256(5), 0, 0], [uint256(1), 0, 2], [uint256(5), 4, 2], [uint256(0), 0, 0]];
        for (uint256 i; i < cases.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(Trees.BadRange.selector, cases[i][0], cases[i][1], cases[i][2]));
            this.rangeRoot(cases[i][0], cases[i][1], cases[i][2] == 2 ? two : none, none);
        }
        vm.expectRevert(abi.encodeWithSelector(Trees.BadRange.selector, 5, type(uint256).max, 2));
        this.rangeRoot(5, type(uint256).max, two, none);
    }

    function testFuzz_rangeRoot__proofTooShortOrLong__reverts(uint256 a, uint256 b, uint256 c) public {
        (uint256 n, uint256 first, uint256 count) = _range(a, b, c);
        bytes32[] memory leaves = _leaves(n, 3);
        bytes32[] memory proof = PlainTrees.rangeProof(leaves, first, count);
        bytes32[] memory long = new bytes32[](proof.length + 1);
        for (uint256 i; i < proof.length; ++i) {
            long[i] = proof[i];
        }
        vm.expectRevert(abi.encodeWithSelector(Trees.BadProofLength.selector, proof.length, long.length));
        this.rangeRoot(n, first, _part(leaves, first, count), long);
        if (proof.length == 0) return;
        bytes32[] memory short = _part(proof, 0, proof.length - 1);
        vm.expectRevert(abi.encodeWithSelector(Trees.BadProofLength.selector, proof.length, short.length));
        this.rangeRoot(n, first, _part(leaves, first, count), short);
    }

    function testFuzz_batchRoot__anySize__leavesItsInputAsItIs(uint256 n, uint256 seed) public pure {
        bytes32[] memory leaves = _leaves(bound(n, 1, 64), seed);
        bytes32 root = Trees.batchRoot(leaves);
        assertEq(leaves, _leaves(leaves.length, seed), "input");
        assertEq(Trees.batchRoot(leaves), root, "again");
    }

    // --- sorted pairs ---------------------------------------------------------------------------------------------

    function testFuzz_sortedRoot__anySize__equalsPlainTreeAndEveryPathVerifies(uint256 n, uint256 seed) public view {
        n = bound(n, 1, 64);
        bytes32[] memory leaves = _leaves(n, seed);
        bytes32 root = PlainTrees.sortedRoot(leaves);
        bytes32[] memory scratch = _part(leaves, 0, n);
        assertEq(Trees.sortedRoot(scratch, n), root, "root");
        uint256 index = seed % n;
        bytes32[] memory path = PlainTrees.sortedPath(leaves, index);
        assertTrue(this.verify(path, root, leaves[index]), "path");
        assertFalse(this.verify(path, root, leaves[index] ^ bytes32(uint256(1))), "flipped leaf");
        if (path.length != 0) {
            path[seed % path.length] ^= bytes32(1 << (seed >> 8) % 256);
            assertFalse(this.verify(path, root, leaves[index]), "flipped path");
        }
    }

    function testFuzz_sortedRoot__countBelowLength__readsOnlyCount(uint256 n, uint256 more) public pure {
        n = bound(n, 1, 40);
        bytes32[] memory leaves = _leaves(n + bound(more, 1, 9), 5);
        assertEq(Trees.sortedRoot(leaves, n), PlainTrees.sortedRoot(_leaves(n, 5)), "first n");
    }

    // --- leaves ---------------------------------------------------------------------------------------------------

    function testFuzz_leaves__anyValues__equalPlainOnes(
        uint64 job,
        uint32 shard,
        uint8 attempt,
        uint16 slots,
        bytes32 root
    ) public pure {
        assertEq(Trees.batchLeaf(uint256(job) << 32 | shard, root), PlainTrees.batchLeaf(job, shard, root), "batch");
        assertEq(
            Trees.settlementLeaf(job, shard, attempt, slots, root),
            PlainTrees.settlementLeaf(job, shard, attempt, slots, root),
            "settlement"
        );
    }

    function testFuzz_chunkRoot__anyData__equalsPlainOne(uint256 length, uint256 seed, uint32 task, uint8 status)
        public
        view
    {
        bytes memory data = new bytes(bound(length, 0, 3_100));
        for (uint256 i = 32; i <= data.length; i += 32) {
            bytes32 word = keccak256(abi.encode(seed, i));
            assembly ("memory-safe") {
                mstore(add(data, i), word)
            }
        }
        for (uint256 i = data.length & ~uint256(31); i < data.length; ++i) {
            data[i] = bytes1(uint8(seed >> (i & 31)));
        }
        bytes32 root = this.chunkRoot(data);
        assertEq(root, PlainTrees.chunkRoot(data), "chunks");
        assertEq(Trees.taskLeaf(task, status, data.length, root), PlainTrees.taskLeaf(task, status, data), "task");
    }

    function _data(uint256 length) private pure returns (bytes memory data) {
        data = new bytes(length);
        for (uint256 i; i < length; ++i) {
            data[i] = bytes1(uint8(i % 251));
        }
    }

    // --- golden vectors -------------------------------------------------------------------------------------------

    function _trees() private view returns (string memory) {
        return vm.readFile("tests/vectors/trees.json");
    }

    function test_vectors__batchRoots__areTheSame() public view {
        string memory json = _trees();
        bytes32[] memory leaves = vm.parseJsonBytes32Array(json, ".leaves");
        uint256[] memory counts = vm.parseJsonUintArray(json, ".batchCount");
        bytes32[] memory roots = vm.parseJsonBytes32Array(json, ".batchRoots");
        assertGt(counts.length, 40, "vectors");
        for (uint256 i; i < counts.length; ++i) {
            assertEq(Trees.batchRoot(_part(leaves, 0, counts[i])), roots[i], "batch root");
        }
    }

    function test_vectors__ranges__areTheSame() public view {
        string memory json = _trees();
        bytes32[] memory leaves = vm.parseJsonBytes32Array(json, ".leaves");
        uint256[] memory counts = vm.parseJsonUintArray(json, ".rangeCount");
        uint256[] memory firsts = vm.parseJsonUintArray(json, ".rangeFirst");
        uint256[] memory lengths = vm.parseJsonUintArray(json, ".rangeLength");
        bytes32[] memory roots = vm.parseJsonBytes32Array(json, ".rangeRoots");
        uint256[] memory proofLengths = vm.parseJsonUintArray(json, ".rangeProofLength");
        bytes32[] memory proofs = vm.parseJsonBytes32Array(json, ".rangeProofs");
        uint256 used;
        for (uint256 i; i < counts.length; ++i) {
            bytes32[] memory proof = _part(proofs, used, proofLengths[i]);
            used += proofLengths[i];
            bytes32[] memory part = _part(leaves, firsts[i], lengths[i]);
            bytes32[] memory mine = PlainTrees.rangeProof(_part(leaves, 0, counts[i]), firsts[i], lengths[i]);
            assertEq(mine, proof, "proof");
            assertEq(Trees.rangeRoot(counts[i], firsts[i], part, proof), roots[i], "range root");
        }
        assertEq(used, proofs.length, "every proof was used");
    }

    function test_vectors__sortedPaths__verify() public view {
        string memory json = _trees();
        bytes32[] memory leaves = vm.parseJsonBytes32Array(json, ".leaves");
        bytes32[] memory roots = vm.parseJsonBytes32Array(json, ".sortedRoots");
        uint256[] memory counts = vm.parseJsonUintArray(json, ".sortedCount");
        uint256[] memory indices = vm.parseJsonUintArray(json, ".sortedIndex");
        uint256[] memory lengths = vm.parseJsonUintArray(json, ".sortedProofLength");
        bytes32[] memory proofs = vm.parseJsonBytes32Array(json, ".sortedProofs");
        for (uint256 n = 1; n <= roots.length; ++n) {
            assertEq(Trees.sortedRoot(_part(leaves, 0, n), n), roots[n - 1], "sorted root");
        }
        uint256 used;
        for (uint256 i; i < counts.length; ++i) {
            bytes32[] memory path = _part(proofs, used, lengths[i]);
            used += lengths[i];
            assertTrue(this.verify(path, roots[counts[i] - 1], leaves[indices[i]]), "path");
        }
        assertEq(used, proofs.length, "every path was used");
    }

    function test_vectors__results__areTheSame() public view {
        string memory json = vm.readFile("tests/vectors/results.json");
        uint256[] memory tasks = vm.parseJsonUintArray(json, ".task");
        uint256[] memory statuses = vm.parseJsonUintArray(json, ".status");
        uint256[] memory lengths = vm.parseJsonUintArray(json, ".byteLength");
        bytes32[] memory roots = vm.parseJsonBytes32Array(json, ".chunkRoots");
        bytes32[] memory leaves = vm.parseJsonBytes32Array(json, ".taskLeaves");
        assertGt(tasks.length, 10, "vectors");
        for (uint256 i; i < tasks.length; ++i) {
            assertEq(this.chunkRoot(_data(lengths[i])), roots[i], "chunk root");
            assertEq(Trees.taskLeaf(tasks[i], statuses[i], lengths[i], roots[i]), leaves[i], "task leaf");
        }
        bytes32[] memory chunks = vm.parseJsonBytes32Array(json, ".chunkLeavesOfLast");
        bytes memory last = _data(lengths[lengths.length - 1]);
        for (uint256 i; i < chunks.length; ++i) {
            assertEq(Trees.chunkLeaf(i, PlainTrees.chunk(last, i)), chunks[i], "chunk leaf");
        }
    }
}
