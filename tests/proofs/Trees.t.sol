// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Trees} from "../../contracts/libraries/Trees.sol";
import {Proof} from "./Proof.sol";

/// @title The three trees
/// @dev Halmos takes keccak for a function without collisions, over all lengths: exactly what the trees rely on.
contract TreesProof is Proof {
    // --- plain twins ----------------------------------------------------------------------------------------------

    /// @dev All nodes of the positional tree: `heap[n + i]` are the leaves, `heap[1]` the root.
    function _heap(bytes32[] memory leaves) private pure returns (bytes32[] memory heap) {
        uint256 n = leaves.length;
        heap = new bytes32[](2 * n);
        for (uint256 i; i < n; ++i) {
            heap[n + i] = leaves[i];
        }
        for (uint256 p = n - 1; p > 0; --p) {
            heap[p] = keccak256(abi.encode(heap[2 * p], heap[2 * p + 1]));
        }
    }

    /// @dev Siblings that a range does not give itself, from the highest position to the lowest.
    function _rangeProof(bytes32[] memory heap, uint256 first, uint256 count)
        private
        pure
        returns (bytes32[] memory proof)
    {
        bool[] memory known = new bool[](heap.length);
        for (uint256 i; i < count; ++i) {
            known[heap.length / 2 + first + i] = true;
        }
        proof = new bytes32[](heap.length);
        uint256 used;
        for (uint256 p = heap.length - 1; p > 1; --p) {
            if (!known[p]) continue;
            known[p >> 1] = true;
            if (!known[p ^ 1]) {
                known[p ^ 1] = true;
                proof[used++] = heap[p ^ 1];
            }
        }
        assembly ("memory-safe") {
            mstore(proof, used)
        }
    }

    function _leaves(uint256 n, bytes32[8] memory values) private pure returns (bytes32[] memory leaves) {
        leaves = new bytes32[](n);
        for (uint256 i; i < n; ++i) {
            leaves[i] = values[i];
        }
    }

    function _slice(bytes32[] memory from, uint256 first, uint256 count) private pure returns (bytes32[] memory part) {
        part = new bytes32[](count);
        for (uint256 i; i < count; ++i) {
            part[i] = from[first + i];
        }
    }

    // --- batches --------------------------------------------------------------------------------------------------

    function check_batchRoot__upToEightLeaves__isThePlainTree(bytes32[8] memory values) public pure {
        for (uint256 n = 1; n <= 8; ++n) {
            bytes32[] memory leaves = _leaves(n, values);
            assert(Trees.batchRoot(leaves) == _heap(leaves)[1]);
            // The leaves stay as they were.
            for (uint256 i; i < n; ++i) {
                assert(leaves[i] == values[i]);
            }
        }
        assert(Trees.batchRoot(new bytes32[](0)) == keccak256(""));
    }

    function check_batchRoot__fourEqualRoots__haveEqualLeaves(bytes32[8] memory values, bytes32[8] memory others)
        public
        pure
    {
        for (uint256 n = 1; n <= 4; ++n) {
            bool equal = true;
            for (uint256 i; i < n; ++i) {
                equal = both(equal, values[i] == others[i]);
            }
            assert(either(equal, Trees.batchRoot(_leaves(n, values)) != Trees.batchRoot(_leaves(n, others))));
        }
    }

    function check_rangeRoot__everyRangeOfUpToSix__isTheBatchRoot(bytes32[8] memory values) public pure {
        for (uint256 n = 1; n <= 6; ++n) {
            bytes32[] memory leaves = _leaves(n, values);
            bytes32[] memory heap = _heap(leaves);
            for (uint256 first; first < n; ++first) {
                for (uint256 count = 1; first + count <= n; ++count) {
                    bytes32[] memory proof = _rangeProof(heap, first, count);
                    assert(Trees.rangeRoot(n, first, _slice(leaves, first, count), proof) == heap[1]);
                }
            }
        }
    }

    /// @dev Whatever proof is shown: a range that leads to the root is the batch's own.
    function check_rangeRoot__anyProofOfOneOfFour__showsTheLeafThatIsThere(
        bytes32[8] memory values,
        bytes32 shown,
        bytes32[8] memory path
    ) public pure {
        bytes32[] memory leaves = _leaves(4, values);
        bytes32 root = Trees.batchRoot(leaves);
        for (uint256 first; first < 4; ++first) {
            bytes32[] memory range = new bytes32[](1);
            range[0] = shown;
            bytes32 found = Trees.rangeRoot(4, first, range, _leaves(2, path));
            assert(either(found != root, shown == values[first]));
        }
    }

    function check_rangeRoot__anyProofOfTwoOfFive__showsTheLeavesThatAreThere(
        bytes32[8] memory values,
        bytes32[8] memory shown,
        bytes32[8] memory path
    ) public pure {
        bytes32 root = Trees.batchRoot(_leaves(5, values));
        for (uint256 first; first < 4; ++first) {
            uint256 needed = _rangeProof(new bytes32[](10), first, 2).length;
            bytes32 found = Trees.rangeRoot(5, first, _leaves(2, shown), _leaves(needed, path));
            bool same = both(shown[0] == values[first], shown[1] == values[first + 1]);
            assert(either(found != root, same));
        }
    }

    /// @dev The length is the prover's to say: a node of the tree must not pass for a leaf.
    function check_rangeRoot__anotherLength__showsNoLeafThatIsNotThere(
        uint96[3] memory keys,
        bytes32[3] memory roots,
        uint96 key,
        bytes32 resultRoot,
        bytes32[8] memory path
    ) public pure {
        bytes32[] memory leaves = new bytes32[](3);
        bool there;
        for (uint256 i; i < 3; ++i) {
            leaves[i] = Trees.batchLeaf(keys[i], roots[i]);
            there = either(there, both(keys[i] == key, roots[i] == resultRoot));
        }
        bytes32 root = Trees.batchRoot(leaves);
        bytes32[] memory range = new bytes32[](1);
        bool sound = true;
        for (uint256 n = 1; n <= 5; ++n) {
            for (uint256 first; first < n; ++first) {
                range[0] = Trees.batchLeaf(key, resultRoot);
                // Steps from position `n + first` up to 1.
                bytes32[] memory proof = _leaves(Math.log2(n + first), path);
                sound = both(sound, Trees.rangeRoot(n, first, range, proof) != root);
            }
        }
        assert(either(there, sound));
    }

    function refute_rangeRoot__anotherLength__showsNoHashThatIsNoLeaf(
        bytes32[8] memory values,
        bytes32 shown,
        bytes32[8] memory path
    ) public pure {
        bytes32 root = Trees.batchRoot(_leaves(4, values));
        bytes32[] memory range = new bytes32[](1);
        range[0] = shown;
        bool there;
        for (uint256 i; i < 4; ++i) {
            there = either(there, shown == values[i]);
        }
        assert(either(there, Trees.rangeRoot(2, 0, range, _leaves(1, path)) != root));
    }

    // --- results and settlements ----------------------------------------------------------------------------------

    function check_sortedRoot__twoAndThreeLeaves__areReadByMerkleProof(bytes32[8] memory values) public pure {
        bytes32[] memory proof = new bytes32[](1);
        proof[0] = values[1];
        assert(MerkleProof.processProof(proof, values[0]) == Trees.sortedRoot(_leaves(2, values), 2));
        proof = new bytes32[](2);
        (proof[0], proof[1]) = (values[1], values[2]);
        assert(MerkleProof.processProof(proof, values[0]) == Trees.sortedRoot(_leaves(3, values), 3));
    }

    function check_sortedRoot__fourLeaves__areReadByMerkleProof(bytes32[8] memory values) public pure {
        bytes32[] memory proof = new bytes32[](2);
        proof[0] = values[1];
        proof[1] = Trees.sortedRoot(_slice(_leaves(4, values), 2, 2), 2);
        assert(MerkleProof.processProof(proof, values[0]) == Trees.sortedRoot(_leaves(4, values), 4));
    }

    /// @dev Whatever path is shown: what OpenZeppelin accepts of two leaves is one of them.
    function check_sortedRoot__anyPathOfTwo__showsALeafThatIsThere(
        bytes32[8] memory values,
        bytes32 shown,
        bytes32 with
    ) public pure {
        bytes32[] memory proof = new bytes32[](1);
        proof[0] = with;
        vm.assume(MerkleProof.processProof(proof, shown) == Trees.sortedRoot(_leaves(2, values), 2));
        assert(either(shown == values[0], shown == values[1]));
    }

    function check_sortedRoot__oddLeaf__movesUpUnchanged(bytes32[8] memory values) public pure {
        bytes32[] memory proof = new bytes32[](1);
        proof[0] = Trees.sortedRoot(_leaves(2, values), 2);
        assert(MerkleProof.processProof(proof, values[2]) == Trees.sortedRoot(_leaves(3, values), 3));
    }

    function refute_sortedRoot__threeLeaves__isThePositionalTree(bytes32[8] memory values) public pure {
        assert(Trees.sortedRoot(_leaves(3, values), 3) == Trees.batchRoot(_leaves(3, values)));
    }

    // --- leaves ---------------------------------------------------------------------------------------------------

    function check_batchLeaf__anyAnswer__isTheHashOfItsBytes(uint64 job, uint32 shard, bytes32 root) public pure {
        uint256 key = uint256(job) << 32 | shard;
        assert(Trees.batchLeaf(key, root) == keccak256(abi.encodePacked(job, shard, root)));
    }

    function check_batchLeaf__equalLeaves__areOneAnswerToOneQuestion(
        uint96 key,
        uint96 other,
        bytes32 root,
        bytes32 otherRoot
    ) public pure {
        vm.assume(Trees.batchLeaf(key, root) == Trees.batchLeaf(other, otherRoot));
        assert(key == other && root == otherRoot);
    }

    function check_settlementLeaf__anySettlement__isTheDoubleHashOfItsWords(
        uint64 job,
        uint32 shard,
        uint8 attempt,
        uint16 paidSlots,
        bytes32 root
    ) public pure {
        bytes32 inner = keccak256(abi.encode(job, shard, attempt, paidSlots, root));
        assert(Trees.settlementLeaf(job, shard, attempt, paidSlots, root) == keccak256(abi.encode(inner)));
    }

    function check_settlementLeaf__equalLeaves__areOneSettlement(uint256[5] memory a, uint256[5] memory b) public pure {
        vm.assume(
            Trees.settlementLeaf(a[0], a[1], a[2], a[3], bytes32(a[4]))
                == Trees.settlementLeaf(b[0], b[1], b[2], b[3], bytes32(b[4]))
        );
        for (uint256 i; i < 5; ++i) {
            assert(a[i] == b[i]);
        }
    }

    function check_taskLeaf__equalLeaves__areOneResult(uint256[3] memory a, uint256[3] memory b, bytes32 x, bytes32 y)
        public
        pure
    {
        vm.assume(Trees.taskLeaf(a[0], a[1], a[2], x) == Trees.taskLeaf(b[0], b[1], b[2], y));
        assert(a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && x == y);
    }

    /// @dev An inner node of one tree is no leaf of another, and no settlement is a task.
    function check_leaves__threeKinds__areNeverEqual(uint256[5] memory a, uint96 key, bytes32 left, bytes32 right)
        public
        pure
    {
        bytes32 settlement = Trees.settlementLeaf(a[0], a[1], a[2], a[3], bytes32(a[4]));
        bytes32 task = Trees.taskLeaf(a[0], a[1], a[2], bytes32(a[3]));
        bytes32 batch = Trees.batchLeaf(key, bytes32(a[4]));
        bytes32 node = keccak256(abi.encode(left, right));
        assert(settlement != task && settlement != batch && task != batch);
        assert(node != settlement && node != task && node != batch);
    }

    function refute_batchLeaf__equalRoots__areEqualLeaves(uint96 key, uint96 other, bytes32 root) public pure {
        assert(Trees.batchLeaf(key, root) == Trees.batchLeaf(other, root));
    }
}
