// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Rows of words in memory, by where they begin
/// @dev For the loops of `settle` and `reveal`: an array's bounds check and zeroing cost more there than the work. Each
/// function is small enough to be inlined. The caller keeps indices below the length it asked for.
library Words {
    /// @notice Room for `count` words, not zeroed.
    function room(uint256 count) internal pure returns (uint256 first) {
        assembly ("memory-safe") {
            first := mload(0x40)
            mstore(0x40, add(first, shl(5, count)))
        }
    }

    function get(uint256 first, uint256 i) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := mload(add(first, shl(5, i)))
        }
    }

    function set(uint256 first, uint256 i, uint256 value) internal pure {
        assembly ("memory-safe") {
            mstore(add(first, shl(5, i)), value)
        }
    }

    /// @notice Where an array's items begin.
    function begin(bytes32[] memory array) internal pure returns (uint256 first) {
        assembly ("memory-safe") {
            first := add(array, 32)
        }
    }

    function begin(uint256[] memory array) internal pure returns (uint256 first) {
        assembly ("memory-safe") {
            first := add(array, 32)
        }
    }
}
