// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Clock} from "../Clock.sol";

/// @title The clock alone, with its inside shown
/// @notice For tests only, never deployed.
contract ClockHarness is Clock {
    constructor(uint32 epochBlocks, uint32 ring, uint32 lead) Clock(epochBlocks, ring, lead) {}

    function epoch() external view returns (uint256) {
        return _epoch();
    }

    function countingEpoch() external view returns (uint256) {
        return _countingEpoch();
    }
}
