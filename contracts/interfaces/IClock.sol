// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The beat everything happens on
interface IClock {
    error BadParameter(string name, uint256 min, uint256 max, uint256 actual);

    /// @notice Blocks in an epoch.
    function EPOCH_BLOCKS() external view returns (uint32);

    /// @notice Slots of every ring: how many epochs back facts are kept.
    function RING() external view returns (uint32);

    /// @notice Blocks before an epoch's end from which actions count for the next one.
    function LEAD() external view returns (uint32);
}
