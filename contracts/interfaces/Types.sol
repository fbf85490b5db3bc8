// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Identifiers and shared enums
/// @notice Typed so that a job cannot be passed where a node is meant. In packed calldata they keep their width.
type JobId is uint64;
type NodeId is uint32;
type PoolId is uint16;

/// @notice What a mismatch between answers means (protocol section 8).
/// @dev Only EXACT is accepted by `post` today; the others hold their numbers for later.
enum AnswerClass {
    EXACT,
    INT,
    TOLERANT,
    OPAQUE
}

/// @notice Where a shard stands; derived from stored facts and the clock, never stored.
enum ShardStatus {
    NONE,
    SCHEDULED,
    WORKING,
    REVEALING,
    SETTLING,
    SETTLEABLE,
    SETTLED,
    APPEALED,
    CONTESTED,
    FINAL,
    EXPIRED,
    CANCELLED
}
