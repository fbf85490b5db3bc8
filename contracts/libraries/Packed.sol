// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Bounded reads of packed calldata
/// @dev The compiler's own slices cost twice as much in `settle`'s loops; a fuzz test compares both.
library Packed {
    error OutOfBytes(uint256 expected, uint256 actual);

    function u8(bytes calldata data, uint256 offset) internal pure returns (uint256) {
        return _word(data, offset, 1) >> 248;
    }

    function u16(bytes calldata data, uint256 offset) internal pure returns (uint256) {
        return _word(data, offset, 2) >> 240;
    }

    function u64(bytes calldata data, uint256 offset) internal pure returns (uint256) {
        return _word(data, offset, 8) >> 192;
    }

    function u96(bytes calldata data, uint256 offset) internal pure returns (uint256) {
        return _word(data, offset, 12) >> 160;
    }

    function b32(bytes calldata data, uint256 offset) internal pure returns (bytes32) {
        return bytes32(_word(data, offset, 32));
    }

    function _word(bytes calldata data, uint256 offset, uint256 size) private pure returns (uint256 word) {
        unchecked {
            // Offsets are sums of calldata-bounded numbers and cannot wrap.
            if (offset + size > data.length) revert OutOfBytes(offset + size, data.length);
        }
        assembly ("memory-safe") {
            word := calldataload(add(data.offset, offset))
        }
    }
}
