// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Calls between our own contracts without copies
/// @dev The compiler encodes and decodes arrays word by word; here the array goes out from where it lies and the answer
/// is used where it arrives. Only for contracts fixed at construction whose answers have the declared shape. Tests
/// compare with calls through the interfaces.
library Asks {
    /// @notice An array with room before it for the call that sends it.
    function room(uint256 length) internal pure returns (uint256[] memory array) {
        assembly ("memory-safe") {
            array := add(mload(0x40), 64)
            mstore(array, length)
            mstore(0x40, add(array, add(32, shl(5, length))))
        }
    }

    /// @notice `target.selector(uint256[])` with an array made by `room`; answers a `uint256[]`.
    function words(address target, bytes4 selector, uint256[] memory array)
        internal
        view
        returns (uint256[] memory answer)
    {
        assembly ("memory-safe") {
            mstore(sub(array, 64), shr(224, selector))
            mstore(sub(array, 32), 32)
            let ok := staticcall(gas(), target, sub(array, 36), add(68, shl(5, mload(array))), 0, 0)
            answer := mload(0x40)
            returndatacopy(answer, 0, returndatasize())
            if iszero(ok) { revert(answer, returndatasize()) }
            mstore(0x40, add(answer, returndatasize()))
            answer := add(answer, 32)
        }
    }

    /// @notice `target.selector(bytes)` with calldata; answers a `uint256[]`.
    function words(address target, bytes4 selector, bytes calldata data)
        internal
        view
        returns (uint256[] memory answer)
    {
        assembly ("memory-safe") {
            answer := mload(0x40)
            mstore(answer, selector)
            mstore(add(answer, 4), 32)
            mstore(add(answer, 36), data.length)
            calldatacopy(add(answer, 68), data.offset, data.length)
            let size := add(68, and(add(data.length, 31), not(31)))
            let ok := staticcall(gas(), target, answer, size, 0, 0)
            returndatacopy(answer, 0, returndatasize())
            if iszero(ok) { revert(answer, returndatasize()) }
            mstore(0x40, add(answer, returndatasize()))
            answer := add(answer, 32)
        }
    }

    /// @notice Ends the call with an array made by `room` as its answer.
    function answerWith(uint256[] memory array) internal pure {
        assembly ("memory-safe") {
            mstore(sub(array, 32), 32)
            return(sub(array, 32), add(64, shl(5, mload(array))))
        }
    }
}
