// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICommitLedger} from "../interfaces/ICommitLedger.sol";
import {INodeRegistry} from "../interfaces/INodeRegistry.sol";

/// @title Libraries as calls, for tests that hold them against whole contracts
/// @notice For tests only, never deployed.
interface ILibraries {
    // --- words ----------------------------------------------------------------------------------------------------

    function caseWord(uint256 word, uint256 shard, uint256 postEpoch, uint256 judges, uint256 quorum)
        external
        pure
        returns (uint256);

    function drawWord(uint256 word, uint256 key, uint256 start) external pure returns (uint256);

    /// @notice Last epoch of a job's first shard.
    function lastOf(uint256 word, uint256 settleGrace) external pure returns (uint256);

    /// @notice What an earnings word has that has not matured and what has, at a bucket.
    function roll(uint256 word, uint256 bucket) external pure returns (uint256 maturing, uint256 matured);

    // --- draws ----------------------------------------------------------------------------------------------------

    /// @notice A draw from a list of nodes all of which serve.
    function draw(
        bytes32 seed,
        uint256 job,
        uint256 shard,
        uint256 size,
        uint256[] memory table,
        uint256 barredLow,
        uint256 barredHigh
    ) external view returns (uint256 low, uint256 high);

    function slot(uint256 low, uint256 high, uint256 index) external pure returns (uint256);

    // --- calls without copies -------------------------------------------------------------------------------------

    function committees(INodeRegistry registry, uint256[] calldata draws) external view returns (uint256[] memory);

    function lanes(ICommitLedger ledger, bytes calldata pairs) external view returns (uint256[] memory);

    function proven(bytes calldata header) external view returns (bool known, uint256 number, bytes32 prevRandao);
}
