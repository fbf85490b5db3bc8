// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {NodeId} from "../../contracts/interfaces/Types.sol";
import {ICommitLedger} from "../../contracts/interfaces/ICommitLedger.sol";
import {Trees} from "../../contracts/libraries/Trees.sol";
import {Openings} from "../../contracts/market/Openings.sol";
import {Proof} from "./Proof.sol";

/// @title What an opening shows
/// @dev This contract stands for the ledger: it answers with one lane's word, which is what a claim or a report reads.
contract OpeningsProof is Proof {
    uint32 private constant NODE = 9;
    uint32 private constant EPOCH = 300;

    uint256 private _word;

    function lanes(bytes calldata) external view returns (uint256[] memory words) {
        words = new uint256[](1);
        words[0] = _word;
    }

    function requireHeld(bytes32 leaf, bytes calldata opening, uint256 within) external view {
        Openings.requireHeld(ICommitLedger(address(this)), NodeId.wrap(NODE), EPOCH, leaf, opening, within);
    }

    function _held(bytes32 leaf, bytes memory opening, uint256 within) private view returns (bool held) {
        (held,) = address(this).staticcall(abi.encodeCall(this.requireHeld, (leaf, opening, within)));
    }

    function _opened(uint256 delay, bytes32 root) private {
        _word = uint256(EPOCH) << 224 | delay << 216 | uint216(bytes27(root));
    }

    /// @dev Lane 0; a batch of `n`; the range from `first` is entry 0 alone.
    function _opening(uint16 n, uint16 first, bytes memory proof) private pure returns (bytes memory) {
        return abi.encodePacked(uint8(0), n, first, uint16(1), uint16(0), uint16(1), uint8(proof.length / 32), proof);
    }

    /// @dev The assumption that the left 27 bytes of hashes do not collide, for the two roots that are compared.
    function _apart(bytes32 left, bytes32 right) private pure {
        vm.assume(either(left == right, bytes27(left) != bytes27(right)));
    }

    function check_requireHeld__leafOfTwoAndItsSibling__isHeld(bytes32 leaf, bytes32 sibling, bool second) public {
        bytes32 root = second ? keccak256(abi.encode(sibling, leaf)) : keccak256(abi.encode(leaf, sibling));
        _opened(1, root);
        assert(_held(leaf, _opening(2, second ? 1 : 0, abi.encodePacked(sibling)), 2));
    }

    function check_requireHeld__anyProofOfTwo__holdsOnlyTheLeafThatIsThere(
        bytes32 left,
        bytes32 right,
        bytes32 shown,
        bytes32 sibling
    ) public {
        bytes32 root = keccak256(abi.encode(left, right));
        _opened(1, root);
        _apart(root, keccak256(abi.encode(shown, sibling)));
        _apart(root, keccak256(abi.encode(sibling, shown)));
        bool first = _held(shown, _opening(2, 0, abi.encodePacked(sibling)), 2);
        bool second = _held(shown, _opening(2, 1, abi.encodePacked(sibling)), 2);
        assert(either(!first, both(shown == left, sibling == right)));
        assert(either(!second, both(shown == right, sibling == left)));
    }

    function check_requireHeld__wholeBatchOfOne__holdsItsLeafOnly(bytes32 leaf, bytes32 shown) public {
        _opened(2, leaf);
        _apart(leaf, shown);
        assert(_held(shown, _opening(1, 0, ""), 2) == (shown == leaf));
    }

    function check_requireHeld__anyLane__isOpenInTimeAndOfItsEpoch(uint256 word, bytes32 leaf, uint8 within) public {
        _word = word;
        bool held = _held(leaf, _opening(1, 0, ""), within);
        uint256 delay = (word >> 216) & 0x0f;
        bool open = both(word >> 224 == EPOCH, both(delay != 0, delay <= within));
        assert(held == both(open, uint216(word) == uint216(bytes27(leaf))));
    }

    function check_requireHeld__faultFlags__doNotMatter(uint8 state, bytes32 leaf) public {
        vm.assume(state & 0x0f == 1);
        _opened(state, leaf);
        assert(_held(leaf, _opening(1, 0, ""), 2));
    }

    function check_requireHeld__openingThatNamesNoEntry__isRefused(bytes32 leaf, bytes32 other) public {
        _opened(1, other);
        // The one hash is foreign: it may well be the root, and shows nothing of the entry.
        bytes memory foreign =
            abi.encodePacked(uint8(0), uint16(1), uint16(0), uint16(1), uint16(0xffff), uint16(1), other, uint8(0));
        assert(!_held(leaf, foreign, 2));
        assert(!_held(leaf, "", 2));
    }

    function refute_requireHeld__anyProofOfTwo__holdsNothing(bytes32 left, bytes32 right, bytes32 shown) public {
        _opened(1, keccak256(abi.encode(left, right)));
        assert(!_held(shown, _opening(2, 0, abi.encodePacked(right)), 2));
    }

    // --- lanes of a call ------------------------------------------------------------------------------------------

    function readLanes(bytes calldata packed, uint256[] memory words) external pure returns (uint256[8] memory rows) {
        uint256 begin = Openings.read(packed, words);
        for (uint256 i; i < words.length * 4; ++i) {
            uint256 row;
            assembly ("memory-safe") {
                row := mload(add(begin, shl(5, i)))
            }
            rows[i] = row;
        }
    }

    function check_read__twoLanes__ascendAndCarryTheirWords(uint64 first, uint64 second, uint256 a, uint256 b)
        public
        view
    {
        uint256[] memory words = new uint256[](2);
        (words[0], words[1]) = (a, b);
        bytes memory call = abi.encodeCall(this.readLanes, (abi.encodePacked(first, second), words));
        (bool done, bytes memory answer) = address(this).staticcall(call);
        assert(done == (first < second));
        if (!done) return;
        uint256[8] memory rows = abi.decode(answer, (uint256[8]));
        assert(rows[0] == first && rows[1] == a && rows[2] == 0 && rows[3] == 0);
        assert(rows[4] == second && rows[5] == b && rows[6] == 0 && rows[7] == 0);
    }

    function check_nodeOf__anyPair__isItsLeftHalf(uint32 node, uint32 epoch) public pure {
        assert(NodeId.unwrap(Openings.nodeOf(uint256(node) << 32 | epoch)) == node);
    }
}
