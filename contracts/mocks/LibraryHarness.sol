// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICommitLedger} from "../interfaces/ICommitLedger.sol";
import {INodeRegistry} from "../interfaces/INodeRegistry.sol";
import {Asks} from "../libraries/Asks.sol";
import {Epochs} from "../libraries/Epochs.sol";
import {Headers} from "../libraries/Headers.sol";
import {JobWord} from "../libraries/JobWord.sol";
import {Payout} from "../libraries/Payout.sol";
import {Sortition} from "../libraries/Sortition.sol";
import {ILibraries} from "./ILibraries.sol";

/// @title ILibraries, compiled as contracts are that use them
/// @notice For tests only, never deployed.
contract LibraryHarness is ILibraries {
    using JobWord for uint256;

    // --- words ----------------------------------------------------------------------------------------------------

    function caseWord(uint256 word, uint256 shard, uint256 postEpoch, uint256 judges, uint256 quorum)
        external
        pure
        returns (uint256)
    {
        return word.caseWord(shard, postEpoch, judges, quorum);
    }

    function drawWord(uint256 word, uint256 key, uint256 start) external pure returns (uint256) {
        return word.drawWord(key, start);
    }

    function lastOf(uint256 word, uint256 settleGrace) external pure returns (uint256) {
        return Epochs.lastOf(word.startOf(0, 0), word.maxAttempts(), word.work(), settleGrace);
    }

    function roll(uint256 word, uint256 bucket) external pure returns (uint256 maturing, uint256 matured) {
        (word, matured) = Payout.roll(word, bucket);
        maturing = Payout.maturing(word);
    }

    // --- draws ----------------------------------------------------------------------------------------------------

    function draw(
        bytes32 seed,
        uint256 job,
        uint256 shard,
        uint256 size,
        uint256[] memory table,
        uint256 barredLow,
        uint256 barredHigh
    ) external view returns (uint256 low, uint256 high) {
        uint256 list;
        assembly ("memory-safe") {
            list := table
        }
        return Sortition.draw(seed, job, shard, size, table.length, list, 0, barredLow, barredHigh, _at, _serves);
    }

    function slot(uint256 low, uint256 high, uint256 index) external pure returns (uint256) {
        return Sortition.slot(low, high, index);
    }

    function _at(uint256 list, uint256, uint256 index) private pure returns (uint256 node) {
        assembly ("memory-safe") {
            node := mload(add(add(list, 32), shl(5, index)))
        }
    }

    function _serves(uint256, uint256) private pure returns (bool) {
        return true;
    }

    // --- calls without copies -------------------------------------------------------------------------------------

    function committees(INodeRegistry registry, uint256[] calldata draws) external view returns (uint256[] memory) {
        uint256[] memory room = Asks.room(draws.length);
        for (uint256 i; i < draws.length; ++i) {
            room[i] = draws[i];
        }
        return Asks.words(address(registry), INodeRegistry.committees.selector, room);
    }

    function lanes(ICommitLedger ledger, bytes calldata pairs) external view returns (uint256[] memory) {
        return Asks.words(address(ledger), ICommitLedger.lanes.selector, pairs);
    }

    function proven(bytes calldata header) external view returns (bool known, uint256 number, bytes32 prevRandao) {
        return Headers.proven(header);
    }
}
