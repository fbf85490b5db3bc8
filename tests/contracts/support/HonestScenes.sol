// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICommitLedger} from "../../../contracts/interfaces/ICommitLedger.sol";
import {ICourt} from "../../../contracts/interfaces/ICourt.sol";
import {IJobMarket} from "../../../contracts/interfaces/IJobMarket.sol";
import {INodeRegistry} from "../../../contracts/interfaces/INodeRegistry.sol";
import {JobId, NodeId} from "../../../contracts/interfaces/Types.sol";
import {CourtScenes} from "./CourtScenes.sol";

/// @title What is asked of everybody who was honest: that nobody can charge it
abstract contract HonestScenes is CourtScenes {
    uint256 internal constant STAKE = 1_000 ether;

    /// @dev Now, when every grace is over, and in the last block in which its draw is known.
    function _assertNeverCharged(JobId on, uint32 shard, IJobMarket.Receipt memory receipt_, uint8 slot) internal {
        NodeId node = _member(_id(on), shard, receipt_.attempt, slot);
        uint32 epoch = uint32(_commitEpochOf(_id(on), shard, receipt_.attempt));
        uint256 lastDraw = _startOf(_id(job), SHARD, settled.attempt) + shape.ring - 2;
        uint256[3] memory blocks = [
            vm.getBlockNumber(),
            (uint256(epoch) + shape.revealGrace + 1) * shape.epochBlocks,
            (lastDraw + 1) * shape.epochBlocks - 1
        ];
        for (uint256 i; i < 3; ++i) {
            if (blocks[i] > vm.getBlockNumber()) vm.roll(blocks[i]);
            vm.expectRevert(abi.encodeWithSelector(ICommitLedger.NotSealed.selector, node, epoch));
            ledger.reportUnrevealed(node, epoch);
            vm.expectRevert(abi.encodeWithSelector(ICommitLedger.NotAbsent.selector, node, epoch, epoch));
            market.reportAbsent(on, shard, receipt_, slot);
        }
        _assertWhole(node);
    }

    function _assertNeverCharged(uint8 slot) internal {
        _assertNeverCharged(job, SHARD, receipt, slot);
    }

    /// @dev Whatever the Court makes of its shard, what a node that was right has opened proves nothing against it.
    function _assertNeverWrong(uint8 slot) internal {
        NodeId node = _seat(slot);
        bytes memory own = _ownOpening(job, SHARD, settled.attempt, TRUTH, node);
        uint256 id = vm.snapshotState();
        _unjudged();
        vm.expectRevert(abi.encodeWithSelector(ICourt.NoVerdict.selector, job, SHARD));
        court.reportWrong(job, SHARD, receipt.attempt, slot, TRUTH, own);
        _resolve();
        _assertWhole(node);
        vm.revertToState(id);
        _ruled(TRUTH);
        vm.expectRevert(abi.encodeWithSelector(ICourt.MatchesVerdict.selector, job, SHARD, TRUTH));
        court.reportWrong(job, SHARD, receipt.attempt, slot, TRUTH, own);
        uint32 epoch = uint32(_commitEpochOf(_id(job), SHARD, settled.attempt));
        vm.expectRevert(abi.encodeWithSelector(IJobMarket.WrongOpening.selector, node, epoch));
        court.reportWrong(job, SHARD, receipt.attempt, slot, LIE, own);
        _assertWhole(node);
        vm.revertToState(id);
    }

    /// @dev The last two blocks of an epoch and the first of the next are replaced, without the node's commit; ends in
    /// the first that stays, in which it counts no more.
    function _commitReorganised(NodeId node, uint32 epoch, bytes memory leaves) internal {
        _rollTo(epoch, shape.epochBlocks - 3);
        uint256 id = vm.snapshotState();
        _rollTo(epoch, shape.epochBlocks - 2);
        _commit(node, leaves);
        _rollTo(epoch + 1);
        vm.revertToState(id);
        _rollTo(epoch + 1);
        bytes27 digest = _digest(node, epoch, leaves);
        vm.prank(keyOf[node]);
        vm.expectRevert(abi.encodeWithSelector(ICommitLedger.WrongEpoch.selector, epoch + 1, epoch));
        ledger.commit(epoch, digest);
    }

    /// @dev It was reported as absent: never again, nor for anything else, and what it lost lets it serve on.
    function _assertOnlyAbsent(JobId on, uint32 shard, IJobMarket.Receipt memory receipt_, uint8 slot) internal {
        NodeId node = _member(_id(on), shard, receipt_.attempt, slot);
        uint32 epoch = uint32(_commitEpochOf(_id(on), shard, receipt_.attempt));
        assertEq(registry.nodeView(node).stake, STAKE - 1 ether, "absentBps");
        vm.expectRevert(abi.encodeWithSelector(ICommitLedger.AlreadyPunished.selector, node, epoch));
        market.reportAbsent(on, shard, receipt_, slot);
        _rollTo(epoch + shape.revealGrace + 1);
        vm.expectRevert(abi.encodeWithSelector(ICommitLedger.NotSealed.selector, node, epoch));
        ledger.reportUnrevealed(node, epoch);
        vm.startPrank(operator);
        registry.addStake(node, 1 ether);
        registry.resumeNode(node);
        vm.stopPrank();
        _assertWhole(node);
    }

    function _assertWhole(NodeId node) internal view {
        INodeRegistry.NodeView memory v = registry.nodeView(node);
        assertEq(v.stake, STAKE, "its whole stake");
        assertFalse(v.paused, "and it serves on");
    }
}
