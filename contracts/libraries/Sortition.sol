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

    /// @param size slots wanted, at most `MAX_COMMITTEE`
    /// @param seats length of the seat list as of the drawn epoch
    /// @param context handed to `nodeAt` unchanged
    /// @param nodeAt node that holds a seat and may be drawn, or 0
    /// @return low slots 0–7 as uint32 from the left
    /// @return high slots 8–14 likewise
    function draw(
        bytes32 seed,
        uint256 jobId,
        uint256 shard,
        uint256 size,
        uint256 seats,
        uint256 context,
        function(uint256, uint256) view returns (uint256) nodeAt
    ) internal view returns (uint256 low, uint256 high) {
        if (seats == 0) return (0, 0);
        bytes32 start = keccak256(abi.encode(seed, jobId, shard));
        uint256 found;
        uint256 word;
        unchecked {
            for (uint256 probe; probe < MAX_PROBES && found < size; ++probe) {
                uint256 lane = probe & 7;
                if (lane == 0) word = uint256(Hashes.efficientKeccak256(start, bytes32(probe >> 3)));
                uint256 ticket = (word >> (224 - (lane << 5))) & type(uint32).max;
                uint256 node = nodeAt(context, (ticket * seats) >> 32);
                if (node == 0 || contains(low, high, found, node)) continue;
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

    function contains(uint256 low, uint256 high, uint256 found, uint256 node) internal pure returns (bool) {
        unchecked {
            for (uint256 i; i < found; ++i) {
                if (slot(low, high, i) == node) return true;
            }
        }
        return false;
    }
}
