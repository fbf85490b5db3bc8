// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The clock of a job, as pure arithmetic (protocol section 3)
/// @dev All values are epochs unless said, and far below 2^64: nothing here can overflow. Mirrored in nodeagent/protocol/epochs.py; one vector file for both.
library Epochs {
    /// @notice Openings of an EXACT attempt count when revealed at most this many epochs after their commit.
    uint256 internal constant OPEN_WITHIN = 2;

    /// @notice First epoch of attempt 0 of a shard.
    function firstOf(uint256 postEpoch, uint256 shard, uint256 pace) internal pure returns (uint256) {
        unchecked {
            return postEpoch + 1 + shard / pace;
        }
    }

    /// @notice Epochs from one attempt to the next: work, reveal, settle.
    function stride(uint256 work) internal pure returns (uint256) {
        unchecked {
            return work + 2;
        }
    }

    /// @notice Epoch in which the work of an attempt that starts in `start` is committed.
    function commitOf(uint256 start, uint256 work) internal pure returns (uint256) {
        unchecked {
            return start + work - 1;
        }
    }

    /// @notice Last epoch in which any attempt of a shard may be settled.
    function lastOf(uint256 first, uint256 maxAttempts, uint256 work, uint256 settleGrace)
        internal
        pure
        returns (uint256)
    {
        unchecked {
            return first + maxAttempts * stride(work) - 1 + settleGrace;
        }
    }

    /// @notice Longest life of a shard from its first attempt, a case with work epochs `work` included.
    function lifeOf(uint256 maxAttempts, uint256 work, uint256 settleGrace, uint256 appealEpochs, uint256 reportEpochs)
        internal
        pure
        returns (uint256)
    {
        unchecked {
            return maxAttempts * (stride(work) + work + 2) + 2 * settleGrace + appealEpochs + reportEpochs;
        }
    }

    /// @notice First epoch in which nothing can happen to a shard any more that moves the job's escrow.
    function closableFrom(
        uint256 last,
        uint256 maxAttempts,
        uint256 work,
        uint256 settleGrace,
        uint256 appealEpochs,
        uint256 reportEpochs
    ) internal pure returns (uint256) {
        unchecked {
            uint256 caseEpochs = appealEpochs == 0 ? 0 : maxAttempts * stride(work) + settleGrace;
            return last + appealEpochs + caseEpochs + reportEpochs + 1;
        }
    }
}
