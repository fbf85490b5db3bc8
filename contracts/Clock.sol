// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IClock} from "./interfaces/IClock.sol";

/// @title Clock
/// @notice The beat everything happens on; see IClock.
/// @dev The registry fixes the numbers; ledger and market read them from it in their constructors, so they cannot differ.
abstract contract Clock is IClock {
    /// @inheritdoc IClock
    uint32 public immutable override EPOCH_BLOCKS;
    /// @inheritdoc IClock
    uint32 public immutable override RING;
    /// @inheritdoc IClock
    uint32 public immutable override LEAD;

    /// @dev EIP-2935 serves that many block hashes.
    uint256 private constant HISTORY = 8_191;

    constructor(uint32 epochBlocks, uint32 ring, uint32 lead) {
        // The seed's block is the second of an epoch, so an epoch has at least two besides those of the lead.
        checkRange("EPOCH_BLOCKS", 3, 3_600, epochBlocks);
        checkRange("LEAD", 1, epochBlocks - 1, lead);
        // Every seed of the ring must still be provable.
        checkRange("RING", 16, HISTORY / epochBlocks - 1, ring);
        EPOCH_BLOCKS = epochBlocks;
        RING = ring;
        LEAD = lead;
    }

    function checkRange(string memory name, uint256 min, uint256 max, uint256 actual) internal pure {
        if (actual < min || actual > max) revert BadParameter(name, min, max, actual);
    }

    /// @dev The running epoch.
    function _epoch() internal view returns (uint256) {
        unchecked {
            return block.number / EPOCH_BLOCKS;
        }
    }

    /// @dev The epoch that what happens now counts for; it takes effect in the one after.
    function _countingEpoch() internal view returns (uint256) {
        unchecked {
            return (block.number + LEAD) / EPOCH_BLOCKS;
        }
    }
}
