// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AnswerClass} from "../interfaces/Types.sol";
import {Epochs} from "./Epochs.sol";

/// @title A job in one word
/// @dev Everything `settle` must know of a job costs one storage read:
/// `taskPrice88 | tasks32 | shardSize24 | postEpoch32 | pace16 | pool16 | committee8 | quorum8 | work8 | attempts8 |
/// class8 | appealEpochs8` from the left. Bit 7 of the class byte says that the job has a word of rare things, bit 6 that it
/// is a case of the Court.
library JobWord {
    uint256 internal constant RARE = 0x8000;
    uint256 internal constant CASE = 0x4000;

    function taskPrice(uint256 word) internal pure returns (uint256) {
        return word >> 168;
    }

    function tasks(uint256 word) internal pure returns (uint256) {
        return (word >> 136) & type(uint32).max;
    }

    function shardSize(uint256 word) internal pure returns (uint256) {
        return (word >> 112) & type(uint24).max;
    }

    function postEpoch(uint256 word) internal pure returns (uint256) {
        return (word >> 80) & type(uint32).max;
    }

    function pace(uint256 word) internal pure returns (uint256) {
        return (word >> 64) & type(uint16).max;
    }

    function pool(uint256 word) internal pure returns (uint256) {
        return (word >> 48) & type(uint16).max;
    }

    function committee(uint256 word) internal pure returns (uint256) {
        return (word >> 40) & type(uint8).max;
    }

    function quorum(uint256 word) internal pure returns (uint256) {
        return (word >> 32) & type(uint8).max;
    }

    function work(uint256 word) internal pure returns (uint256) {
        return (word >> 24) & type(uint8).max;
    }

    function maxAttempts(uint256 word) internal pure returns (uint256) {
        return (word >> 16) & type(uint8).max;
    }

    function class(uint256 word) internal pure returns (AnswerClass) {
        return AnswerClass((word >> 8) & 0x0f);
    }

    function appealEpochs(uint256 word) internal pure returns (uint256) {
        return word & type(uint8).max;
    }

    /// @notice Number of shards.
    function shards(uint256 word) internal pure returns (uint256) {
        uint256 size = shardSize(word);
        unchecked {
            return (tasks(word) + size - 1) / size;
        }
    }

    /// @notice Tasks of one shard: the last may be shorter.
    function tasksIn(uint256 word, uint256 shard) internal pure returns (uint256) {
        uint256 size = shardSize(word);
        unchecked {
            uint256 left = tasks(word) - shard * size;
            return left < size ? left : size;
        }
    }

    /// @notice Word of the case about one shard of a job: the same tasks, price, pool and clock, posted in `postEpoch_`.
    function caseWord(uint256 word, uint256 shard, uint256 postEpoch_, uint256 judges, uint256 quorum_)
        internal
        pure
        returns (uint256)
    {
        uint256 size = tasksIn(word, shard);
        return word >> 168 << 168 | size << 136 | size << 112 | postEpoch_ << 80 | 1 << 64 | pool(word) << 48 | judges
            << 40 | quorum_ << 32 | ((word >> 16) & 0xffff) << 16 | (word & 0x0f00) | CASE;
    }

    /// @notice First epoch of an attempt.
    function startOf(uint256 word, uint256 shard, uint256 attempt) internal pure returns (uint256) {
        unchecked {
            return Epochs.firstOf(postEpoch(word), shard, pace(word)) + attempt * Epochs.stride(work(word));
        }
    }

    /// @notice What the registry draws a committee from, beside the seed; `key` is `job << 32 | shard`.
    function drawWord(uint256 word, uint256 key, uint256 start) internal pure returns (uint256) {
        return key << 160 | start << 128 | pool(word) << 112 | committee(word) << 104 | ((word & CASE) >> 14);
    }

    function withTasks(uint256 word, uint256 tasks_) internal pure returns (uint256) {
        return (word & ~(uint256(type(uint32).max) << 136)) | tasks_ << 136;
    }
}
