// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {NodeId} from "../interfaces/Types.sol";
import {ICommitLedger} from "../interfaces/ICommitLedger.sol";
import {IJobMarket} from "../interfaces/IJobMarket.sol";
import {Trees} from "../libraries/Trees.sol";
import {Words} from "../libraries/Words.sol";

/// @title What members opened, as `settle` and `claim` are shown it
/// @dev An opening is a contiguous range of a revealed batch. It proves, for the entries it names, that the node's batch
/// of that epoch holds exactly that answer. Offsets run ahead unchecked and are compared with the end of the data when
/// all is read: what lies beyond it cannot lead to a lane's root.
library Openings {
    /// @dev Most entries of a call: a lane keeps one bit for each.
    uint256 internal constant MAX_ENTRIES = 256;
    uint256 internal constant NO_LANE = 0xff;
    uint256 private constant FOREIGN = 0xffff;

    /// @dev A lane is four words of memory, see Words: node32 | commitEpoch32; the ledger's word of that ring slot; a bit
    /// per entry that a checked opening of this lane covers; the pay it gathers, maturing128 | at once128.
    uint256 internal constant PAIR = 0;
    uint256 internal constant WORD = 1;
    uint256 internal constant SHOWN = 2;
    uint256 internal constant PURSE = 3;
    uint256 internal constant LANE_WORDS = 4;

    /// @notice Lanes of a call, strictly ascending, with their words.
    /// @return begin where they begin in memory, see `at`
    function read(bytes calldata packed, uint256[] memory words) internal pure returns (uint256 begin) {
        uint256 count = words.length;
        if (count << 3 != packed.length || count >= NO_LANE) revert IJobMarket.MalformedCall("lanes", count);
        begin = Words.room(count * LANE_WORDS);
        uint256 next; // lowest pair allowed
        unchecked {
            for (uint256 i; i < count; ++i) {
                uint256 pair;
                assembly ("memory-safe") {
                    pair := shr(192, calldataload(add(packed.offset, shl(3, i))))
                }
                if (pair < next) revert IJobMarket.LanesNotAscending(i);
                next = pair + 1;
                uint256 lane = at(begin, i);
                Words.set(lane, PAIR, pair);
                Words.set(lane, WORD, Words.get(Words.begin(words), i));
                Words.set(lane, SHOWN, 0);
                Words.set(lane, PURSE, 0);
            }
        }
    }

    /// @notice One of the lanes that begin at `begin`.
    function at(uint256 begin, uint256 index) internal pure returns (uint256 lane) {
        unchecked {
            return begin + (index << 7);
        }
    }

    /// @notice Checks every opening against its lane and marks the entries it covers.
    /// @param begin where `count` lanes begin
    /// @param hashes where the batch leaves of `entries` entries begin
    /// @param within epochs after the commit in which a batch must have been opened
    function check(
        uint256 begin,
        uint256 count,
        uint256 hashes,
        uint256 entries,
        bytes calldata openings,
        uint256 within
    ) internal pure {
        uint256 offset;
        while (offset < openings.length) {
            uint256 index = _load(openings, offset) >> 248;
            if (index >= count) revert IJobMarket.MalformedCall("lane of opening", offset);
            uint256 lane = at(begin, index);
            (uint256 pair, uint256 word) = (Words.get(lane, PAIR), Words.get(lane, WORD));
            uint256 delay = (word >> 216) & 0x0f;
            if (word >> 224 != uint32(pair) || delay == 0) revert IJobMarket.LaneNotOpen(nodeOf(pair), uint32(pair));
            if (delay > within) {
                revert IJobMarket.RevealedTooLate(nodeOf(pair), uint32(pair), uint8(delay));
            }
            bytes32 root;
            (root, offset) = _root(lane, hashes, entries, openings, offset);
            if (uint216(bytes27(root)) != uint216(word)) revert IJobMarket.WrongOpening(nodeOf(pair), uint32(pair));
        }
        if (offset != openings.length) revert IJobMarket.MalformedCall("openings", offset);
    }

    /// @notice Reverts unless a node's opened batch of an epoch holds one leaf: one lane, one entry.
    function requireHeld(
        ICommitLedger ledger,
        NodeId node,
        uint256 commitEpoch,
        bytes32 leaf,
        bytes calldata opening,
        uint256 within
    ) internal view {
        uint256 pair = uint256(NodeId.unwrap(node)) << 32 | commitEpoch;
        uint256[] memory words = ledger.lanes(abi.encodePacked(uint64(pair)));
        uint256 hashes = Words.room(1);
        Words.set(hashes, 0, uint256(leaf));
        uint256 lane = Words.room(LANE_WORDS);
        Words.set(lane, PAIR, pair);
        Words.set(lane, WORD, words[0]);
        Words.set(lane, SHOWN, 0);
        // The length, which is one, and not a literal: the compiler would make a second copy of `check` for that.
        check(lane, words.length, hashes, words.length, opening, within);
        if (Words.get(lane, SHOWN) == 0) revert IJobMarket.MalformedCall("opening", 0);
    }

    function nodeOf(uint256 pair) internal pure returns (NodeId) {
        return NodeId.wrap(uint32(pair >> 32));
    }

    /// @dev Root that an opening shows, and the offset behind it.
    function _root(uint256 lane, uint256 hashes, uint256 entries, bytes calldata data, uint256 offset)
        private
        pure
        returns (bytes32 root, uint256 end)
    {
        unchecked {
            uint256 head = _load(data, offset) << 8; // behind the lane: size 2, first 2, segments 2
            uint256 n = head >> 240;
            bytes32[] memory range = _array(n);
            uint256 size;
            (size, offset) = _segments(lane, hashes, entries, data, offset + 7, (head >> 208) & 0xffff, range);
            uint256 length = _load(data, offset) >> 248;
            end = offset + 1 + (length << 5);
            uint256 first = (head >> 224) & 0xffff;
            if (size == n && first == 0 && length == 0) return (Trees.batchRoot(Words.begin(range), n), end);
            assembly ("memory-safe") {
                mstore(range, size)
            }
            bytes32[] memory proof = _array(length);
            _copy(data, offset + 1, proof, 0, length);
            return (Trees.rangeRoot(n, first, range, proof), end);
        }
    }

    /// @dev Fills `range`, which has the batch's length, with what the segments give; returns how much that is.
    function _segments(
        uint256 lane,
        uint256 hashes,
        uint256 entries,
        bytes calldata data,
        uint256 offset,
        uint256 segments,
        bytes32[] memory range
    ) private pure returns (uint256 size, uint256) {
        unchecked {
            for (; segments != 0; --segments) {
                uint256 head = _load(data, offset); // entry 2, length 2
                uint256 entry = head >> 240;
                uint256 length = (head >> 224) & 0xffff;
                if (offset > data.length || size + length > range.length) {
                    revert IJobMarket.MalformedCall("segment", offset);
                }
                offset += 4;
                if (entry == FOREIGN) {
                    _copy(data, offset, range, size, length);
                    offset += length << 5;
                } else {
                    if (entry + length > entries) revert IJobMarket.MalformedCall("segment", offset - 4);
                    assembly ("memory-safe") {
                        mcopy(add(add(range, 32), shl(5, size)), add(hashes, shl(5, entry)), shl(5, length))
                    }
                    // `length` ones from bit `entry` on; a shift by 256 gives 0.
                    Words.set(lane, SHOWN, Words.get(lane, SHOWN) | ((1 << length) - 1) << entry);
                }
                size += length;
            }
        }
        return (size, offset);
    }

    /// @dev An array that is filled at once, and so not zeroed.
    function _array(uint256 length) private pure returns (bytes32[] memory array) {
        assembly ("memory-safe") {
            array := mload(0x40)
            mstore(array, length)
            mstore(0x40, add(array, add(32, shl(5, length))))
        }
    }

    /// @dev Copies hashes out of calldata; `into` has room for them.
    function _copy(bytes calldata data, uint256 offset, bytes32[] memory into, uint256 start, uint256 count)
        private
        pure
    {
        unchecked {
            if (offset + (count << 5) > data.length) revert IJobMarket.MalformedCall("hashes", offset);
        }
        assembly ("memory-safe") {
            calldatacopy(add(add(into, 32), shl(5, start)), add(data.offset, offset), shl(5, count))
        }
    }

    /// @dev The 32 bytes from `offset` on, whatever lies there.
    function _load(bytes calldata data, uint256 offset) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := calldataload(add(data.offset, offset))
        }
    }
}
