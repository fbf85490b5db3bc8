// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {JobId, NodeId} from "../interfaces/Types.sol";
import {ICommitLedger} from "../interfaces/ICommitLedger.sol";
import {IJobMarket} from "../interfaces/IJobMarket.sol";
import {INodeRegistry} from "../interfaces/INodeRegistry.sol";
import {Epochs} from "../libraries/Epochs.sol";
import {JobWord} from "../libraries/JobWord.sol";
import {Sortition} from "../libraries/Sortition.sol";
import {Trees} from "../libraries/Trees.sol";

/// @title Who sat where, for what happens to one settled shard
/// @dev Market and Court ask the same: a receipt's settlement, a committee, a slot's node. `key` is `job << 32 | shard`.
library Members {
    using JobWord for uint256;

    /// @notice Settlement root that a receipt leads to.
    function settlementRoot(JobId job, uint256 shard, IJobMarket.Receipt calldata receipt)
        internal
        pure
        returns (bytes32)
    {
        bytes32 leaf =
            Trees.settlementLeaf(JobId.unwrap(job), shard, receipt.attempt, receipt.paidSlots, receipt.resultRoot);
        return MerkleProof.processProofCalldata(receipt.path, leaf);
    }

    /// @notice The committee of the attempt that starts in `start`, as `Sortition.slot` reads it.
    function committee(INodeRegistry registry, ICommitLedger ledger, uint256 word, uint256 key, uint256 start)
        internal
        view
        returns (uint256 low, uint256 high)
    {
        uint256[] memory draws = new uint256[](2);
        draws[0] = uint256(ledger.seedOf(uint32(start)));
        draws[1] = word.drawWord(key, start);
        uint256[] memory slots = registry.committees(draws);
        return (slots[0], slots[1]);
    }

    /// @notice Node that was drawn for a slot of an attempt, and the epoch in which it had to commit.
    function drawnFor(
        INodeRegistry registry,
        ICommitLedger ledger,
        uint256 word,
        uint256 key,
        uint256 attempt,
        uint8 slot
    ) internal view returns (NodeId node, uint32 commitEpoch) {
        if (slot < word.committee()) {
            uint256 start = word.startOf(uint32(key), attempt);
            (uint256 low, uint256 high) = committee(registry, ledger, word, key, start);
            node = NodeId.wrap(uint32(Sortition.slot(low, high, slot)));
            commitEpoch = uint32(Epochs.commitOf(start, word.work()));
        }
        if (NodeId.unwrap(node) == 0) revert IJobMarket.SlotVoid(JobId.wrap(uint64(key >> 32)), uint32(key), slot);
    }
}
