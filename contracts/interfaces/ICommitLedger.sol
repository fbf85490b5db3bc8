// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {NodeId} from "./Types.sol";

/// @title Sealed answers: one salted commitment a node and epoch, opened in the next, and the seeds of the draw
/// @notice A node seals everything it did in an epoch as one digest and opens it at most `REVEAL_GRACE` epochs later.
/// A lane that stays sealed can be punished by anyone: withholding always costs.
/// @dev Lane word: `epoch << 224 | state << 216 | digest or root` (216 bits, the leftmost of the hash). State, low four
/// bits: 0 sealed, else the delay of the reveal in epochs; then flags 0x10 unrevealed punished, 0x20 absent punished,
/// 0x40 wrong punished.
/// A lane is reused every `RING` epochs, never over one that is sealed and unpunished.
///
/// Not promised: that an opened batch is right, or that its result bytes can be had.
interface ICommitLedger {
    event SeedRecorded(uint32 indexed epoch, bytes32 seed);
    /// @param leaves 44 bytes each: job 8, shard 4, result root 32
    /// @param manifest sha256 of the batch manifest, which says where the result bytes are
    event Revealed(NodeId indexed node, uint32 indexed epoch, bytes leaves, bytes32 manifest);
    event UnrevealedReported(NodeId indexed node, uint32 indexed epoch, address indexed reporter);
    event AbsentMarked(NodeId indexed node, uint32 indexed epoch);
    event WrongMarked(NodeId indexed node, uint32 indexed epoch);

    error NotRegistry(address caller);
    error NotMarket(address caller);
    error NotCourt(address caller);
    error NotANode(address key);
    error WrongEpoch(uint32 expected, uint32 actual);
    error AlreadyCommitted(NodeId node, uint32 epoch);
    error LaneSealed(NodeId node, uint32 sealedEpoch);
    error NotSealed(NodeId node, uint32 epoch);
    error RevealOutOfTime(uint32 first, uint32 last, uint32 actual);
    error WrongOpening(bytes27 expected, bytes27 actual);
    error BadLeaves(uint256 length);
    error LeavesNotAscending(uint256 index);
    error TooManyLeaves(uint256 expectedAtMost, uint256 actual);
    error NothingToTurn(NodeId node, uint32 epoch);
    error GraceNotOver(uint32 lastEpoch, uint32 actual);
    error AlreadyPunished(NodeId node, uint32 epoch);
    error NotAbsent(NodeId node, uint32 epoch, uint32 laneEpoch);
    error BadHeader();
    error NotASeedBlock(uint256 blockNumber);
    error SeedKnown(uint32 epoch);
    error SeedOverwritten(uint32 epoch, uint32 newer);
    error SeedUnknown(uint32 epoch);

    /// @notice Records the seed of an epoch from the RLP header of its second block (`epoch * EPOCH_BLOCKS + 1`).
    function recordSeed(bytes calldata header) external returns (uint32 epoch, bytes32 seed);

    /// @notice Seals the caller's batch of the current epoch.
    /// @param digest leftmost 216 bits of `keccak256(abi.encode(TYPE, chainId, ledger, node, epoch, keccak256(leaves),
    /// manifest, salt))`
    function commit(uint32 epoch, bytes27 digest) external;

    /// @notice Opens a node's sealed batch. `leaves` ascend strictly by (job, shard). Whoever knows the opening may send
    /// it: a node whose key has run out of gas loses nothing, and a copied one opens the same batch.
    function reveal(NodeId node, uint32 epoch, bytes calldata leaves, bytes32 manifest, bytes32 salt) external;

    /// @notice Opens the caller's `epoch - 1` and seals `epoch` in one transaction; a half that is not allowed is skipped, and it
    /// reverts only if both are.
    function turn(uint32 epoch, bytes calldata leaves, bytes32 manifest, bytes32 salt, bytes27 digest) external;

    /// @notice Proves that a batch was never opened, after its grace. The reporter is rewarded by the registry.
    function reportUnrevealed(NodeId node, uint32 epoch) external;

    /// @notice Called by the market for a drawn node whose lane never carried `epoch`.
    function markAbsent(NodeId node, uint32 epoch) external;

    /// @notice Called by the Court for a lane whose opened batch holds another answer than a verdict, which it has checked.
    function markWrong(NodeId node, uint32 epoch) external;

    /// @notice Called by the registry: `key` acts for `node` from now on (zero node: for nobody).
    function bind(address key, NodeId node) external;

    /// @notice Lane words of `(node uint32, epoch uint32)` pairs, eight bytes each: the word in the ring slot of that
    /// epoch, whatever epoch it carries.
    function lanes(bytes calldata pairs) external view returns (uint256[] memory words);

    function digestOf(NodeId node, uint32 epoch, bytes calldata leaves, bytes32 manifest, bytes32 salt)
        external
        view
        returns (bytes27);
    /// @notice Reverts with `SeedUnknown` unless recorded and still in the ring.
    function seedOf(uint32 epoch) external view returns (bytes32);
    function nodeOf(address key) external view returns (NodeId);
    function REVEAL_GRACE() external view returns (uint32);
    function UNREVEALED_BPS() external view returns (uint16);
    function MAX_LEAVES() external view returns (uint256);
}
