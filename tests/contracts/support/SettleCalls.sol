// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The packed calldata of `settle` and `claim`
library SettleCalls {
    uint8 internal constant NO_LANE = 0xff;
    uint16 internal constant FOREIGN = 0xffff;

    struct Entry {
        uint64 job;
        uint32 shard;
        uint8 attempt;
        bytes32 root;
        uint8[] hints;
    }

    /// @dev `foreign` holds the leaf hashes of a segment whose `entry` is FOREIGN.
    struct Segment {
        uint16 entry;
        uint16 length;
        bytes32[] foreign;
    }

    struct Opening {
        uint8 lane;
        uint16 size;
        uint16 first;
        Segment[] segments;
        bytes32[] proof;
    }

    struct Call {
        bytes entries;
        bytes lanes;
        bytes openings;
    }

    function encode(Entry memory entry) internal pure returns (bytes memory out) {
        out = abi.encodePacked(entry.job, entry.shard, entry.attempt, entry.root);
        for (uint256 i; i < entry.hints.length; ++i) {
            out = abi.encodePacked(out, entry.hints[i]);
        }
    }

    /// @notice As `settle` and `claim` read it.
    function encode(Opening memory opening) internal pure returns (bytes memory out) {
        out = abi.encodePacked(opening.lane, opening.size, opening.first, uint16(opening.segments.length));
        for (uint256 i; i < opening.segments.length; ++i) {
            Segment memory segment = opening.segments[i];
            out = abi.encodePacked(out, segment.entry, segment.length, segment.foreign);
        }
        out = abi.encodePacked(out, uint8(opening.proof.length), opening.proof);
    }
}
