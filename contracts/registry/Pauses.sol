// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title A node's last four pause intervals in one word
/// @dev Newest in the lowest 64 bits, each `start32 | end32`, `end` all ones while open. A node is paused in `e` when
/// `start <= e < end`.
library Pauses {
    uint256 internal constant OPEN = type(uint32).max;

    function isPaused(uint256 word, uint256 epoch) internal pure returns (bool) {
        unchecked {
            for (; word != 0; word >>= 64) {
                if (epoch < (word & OPEN) && epoch >= ((word >> 32) & OPEN)) return true;
            }
        }
        return false;
    }

    function isOpen(uint256 word) internal pure returns (bool) {
        return word & OPEN == OPEN;
    }

    /// @notice Epoch in which the newest interval ends: 0 if there is none, `OPEN` while it is open.
    function lastEnd(uint256 word) internal pure returns (uint256) {
        return word & OPEN;
    }

    /// @notice Opens an interval from `from`.
    /// @return next the new word
    /// @return lost whether an interval that draws may still read would fall out; then the word is unchanged
    function open(uint256 word, uint256 from, uint256 ring) internal pure returns (uint256 next, bool lost) {
        // A pause that ends where this one starts simply goes on: toggling within an epoch uses no interval.
        if (word & OPEN == from) return (word | OPEN, false);
        uint256 oldestEnd = (word >> 192) & OPEN;
        if (oldestEnd != 0 && oldestEnd + ring >= from) return (word, true);
        return (word << 64 | from << 32 | OPEN, false);
    }

    /// @notice Ends the open interval at `end`.
    function close(uint256 word, uint256 end) internal pure returns (uint256) {
        return (word & ~OPEN) | end;
    }
}
