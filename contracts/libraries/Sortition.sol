// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";

/// @title The draw of a committee (protocol section 4)
/// @dev Mirrored in nodeagent/protocol/sortition.py; one vector file for both. A seat that cannot serve is redrawn from
/// the stream: stepping to its neighbour would favour whoever sits behind a gap.
library Sortition {
    /// @notice 32-bit words looked at for one committee; slots still empty then stay void.
    uint256 internal constant MAX_PROBES = 64;
    uint256 internal constant MAX_COMMITTEE = 15;

    /// @dev One in each 32-bit lane, and each lane's top bit.
    uint256 private constant ONES = 0x0000000100000001000000010000000100000001000000010000000100000001;
    uint256 private constant TOPS = 0x8000000080000000800000008000000080000000800000008000000080000000;

    /// @param size slots wanted, at most `MAX_COMMITTEE`
    /// @param seats length of the seat list as of the drawn epoch
    /// @param list handed to `nodeAt` unchanged
    /// @param when handed to `nodeAt` and `serves` unchanged
    /// @param barredLow nodes that are not drawn, eight uint32 as in `low`; `barredHigh` likewise, all 0 in most draws
    /// @param nodeAt node whose seat at an index is valid then, or 0; bit 32 says that `serves` must be asked
    /// @param serves whether a node is not paused then
    /// @return low slots 0–7 as uint32 from the left
    /// @return high slots 8–14 likewise
    function draw(
        bytes32 seed,
        uint256 jobId,
        uint256 shard,
        uint256 size,
        uint256 seats,
        uint256 list,
        uint256 when,
        uint256 barredLow,
        uint256 barredHigh,
        function(uint256, uint256, uint256) view returns (uint256) nodeAt,
        function(uint256, uint256) view returns (bool) serves
    ) internal view returns (uint256 low, uint256 high) {
        if (seats == 0) return (0, 0);
        bytes32 start;
        assembly ("memory-safe") {
            let free := mload(0x40) // not allocated: read once and left
            mstore(free, seed)
            mstore(add(free, 32), jobId)
            mstore(add(free, 64), shard)
            start := keccak256(free, 96)
        }
        uint256 found;
        uint256 word;
        unchecked {
            for (uint256 probe; probe < MAX_PROBES && found < size; ++probe) {
                if (probe & 7 == 0) word = uint256(Hashes.efficientKeccak256(start, bytes32(probe >> 3)));
                else word <<= 32;
                uint256 seat = nodeAt(list, when, ((word >> 224) * seats) >> 32);
                uint256 node = uint32(seat);
                if (node == 0 || contains(low, node) || (found > 8 && contains(high, node))) continue;
                if (barredLow != 0 && (contains(barredLow, node) || contains(barredHigh, node))) continue;
                if (seat >> 32 != 0 && !serves(node, when)) continue;
                if (found < 8) low |= node << (224 - (found << 5));
                else high |= node << (224 - ((found - 8) << 5));
                ++found;
            }
        }
    }

    /// @notice Node in a slot of a drawn committee, 0 when void.
    function slot(uint256 low, uint256 high, uint256 index) internal pure returns (uint256) {
        unchecked {
            return index < 8
                ? (low >> (224 - (index << 5))) & type(uint32).max
                : (high >> (224 - ((index - 8) << 5))) & type(uint32).max;
        }
    }

    /// @notice Whether one of the eight uint32 in `word` is `node`, which is not 0.
    /// @dev A lane is zero exactly where the difference is; subtracting one then borrows into its top bit.
    function contains(uint256 word, uint256 node) internal pure returns (bool) {
        unchecked {
            uint256 difference = word ^ (node * ONES);
            return (difference - ONES) & ~difference & TOPS != 0;
        }
    }
}
