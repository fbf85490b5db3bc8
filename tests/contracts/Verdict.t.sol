// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IJobMarket} from "../../contracts/interfaces/IJobMarket.sol";
import {NodeId, ShardStatus} from "../../contracts/interfaces/Types.sol";
import {CourtScenes} from "./support/CourtScenes.sol";
import {PlainTrees} from "./support/PlainTrees.sol";

// what a verdict means for results
// ├── verifyTask, verifyChunk, taskStatus and shardStatus, of the settled answer and of the verdict's
// │   ├── settled: only the settled answer, SETTLED; after its window FINAL
// │   ├── appealed, also while judged and until resolved: the settled answer, APPEALED
// │   ├── overturned: only the verdict's, FINAL at once, with the shard's own receipt and a path to the verdict's root
// │   ├── upheld: the settled answer, FINAL at once
// │   └── no verdict: the settled answer, CONTESTED, never final
// └── claims: NotFinal while the case is open, then for REPORT_EPOCHS by block
//     ├── overturned: members of the settled attempt that match the verdict, from the case's settlement on
//     ├── upheld: members that match and were left out, from the case's settlement on
//     ├── contested: members that match the settled root and were left out, from the case's end on
//     └── nobody with another answer, no paid slot again, no slot twice; resolved too late: never
contract VerdictTest is CourtScenes {
    IJobMarket.TaskResult[2] internal truths;
    IJobMarket.TaskResult[2] internal lies;
    bytes32 internal trueRoot;
    bytes32 internal falseRoot;

    function setUp() public override {
        super.setUp();
        truths[0] = IJobMarket.TaskResult(0, "forty-two");
        truths[1] = IJobMarket.TaskResult(0, new bytes(2_000));
        lies[0] = IJobMarket.TaskResult(0, "forty-one");
        lies[1] = IJobMarket.TaskResult(3, new bytes(2_000));
        trueRoot = PlainTrees.sortedRoot(_leaves(truths));
        falseRoot = PlainTrees.sortedRoot(_leaves(lies));
    }

    /// @dev Shard 1 of shards of three: tasks 3 and 4, by their index in the whole job, in the case as well.
    function _leaves(IJobMarket.TaskResult[2] memory results) internal pure returns (bytes32[] memory leaves) {
        leaves = new bytes32[](2);
        for (uint256 i; i < 2; ++i) {
            leaves[i] = PlainTrees.taskLeaf(3 + i, results[i].status, results[i].data);
        }
    }

    function _lied() internal {
        _settled(_spec(), _mix(3, 2, falseRoot, trueRoot), falseRoot, 0);
    }

    // --- results --------------------------------------------------------------------------------------------------

    function _assertTask(IJobMarket.TaskResult[2] memory results, uint256 i, ShardStatus expected, string memory why)
        internal
        view
    {
        bytes32[] memory path = PlainTrees.sortedPath(_leaves(results), i);
        IJobMarket.TaskProof memory proof = IJobMarket.TaskProof(receipt, path);
        uint32 task = uint32(3 + i);
        assertEq(uint256(market.taskStatus(job, task, results[i], proof)), uint256(expected), why);
        assertEq(market.verifyTask(job, task, results[i], proof), expected == ShardStatus.FINAL, why);
        if (i == 0) return;
        IJobMarket.ChunkProof memory chunk;
        (chunk.receipt, chunk.taskPath, chunk.status, chunk.byteLength) = (receipt, path, results[1].status, 2_000);
        chunk.chunkPath = PlainTrees.sortedPath(PlainTrees.chunkLeaves(results[1].data), 1);
        assertEq(
            market.verifyChunk(job, task, 1, PlainTrees.chunk(results[1].data, 1), chunk),
            expected == ShardStatus.FINAL,
            why
        );
    }

    /// @dev What is known of each answer, and of the shard.
    function _assertKnown(ShardStatus truth, ShardStatus lie, ShardStatus shard, string memory why) internal view {
        for (uint256 i; i < 2; ++i) {
            _assertTask(truths, i, truth, string.concat(why, ": truth"));
            _assertTask(lies, i, lie, string.concat(why, ": lie"));
        }
        assertEq(uint256(market.shardStatus(job, SHARD, receipt)), uint256(shard), string.concat(why, ": by receipt"));
        _assertStatus(job, SHARD, shard, string.concat(why, ": without"));
    }

    function test_verify__overturned__theShardTakesItsResultFromTheVerdict() public {
        ShardStatus none = ShardStatus.NONE;
        _lied();
        _assertKnown(none, ShardStatus.SETTLED, ShardStatus.SETTLED, "settled");
        _appeal();
        _assertKnown(none, ShardStatus.APPEALED, ShardStatus.APPEALED, "appealed");
        _judged(trueRoot);
        _assertKnown(none, ShardStatus.APPEALED, ShardStatus.APPEALED, "judged");
        _resolve();
        _assertKnown(ShardStatus.FINAL, none, ShardStatus.FINAL, "overturned");
        _rollTo(_epoch() + 100);
        _assertKnown(ShardStatus.FINAL, none, ShardStatus.FINAL, "for ever");
    }

    function test_verify__judgedLongAgoButNotResolved__isNotFinal() public {
        _lied();
        _appeal();
        _judged(trueRoot);
        _rollTo(_epoch() + 500);
        _assertKnown(ShardStatus.NONE, ShardStatus.APPEALED, ShardStatus.APPEALED, "not before resolve");
        _resolve();
        _assertKnown(ShardStatus.FINAL, ShardStatus.NONE, ShardStatus.FINAL, "then at once");
    }

    function test_verify__upheld__isFinalBeforeItsWindowIsOver() public {
        _settled(_spec(), _mix(3, 2, trueRoot, falseRoot), trueRoot, 0);
        uint256 settledAt = _epoch();
        _ruled(trueRoot);
        assertLe(_epoch(), settledAt + 7, "scene: the window is open");
        _assertKnown(ShardStatus.FINAL, ShardStatus.NONE, ShardStatus.FINAL, "upheld");
    }

    function test_verify__noVerdict__isContestedForEver() public {
        ShardStatus contested = ShardStatus.CONTESTED;
        _lied();
        _appeal();
        uint256 last = court.caseOf(job, SHARD).last;
        _rollTo(last, shape.epochBlocks - 1);
        _assertKnown(ShardStatus.NONE, ShardStatus.APPEALED, ShardStatus.APPEALED, "to its last block");
        _rollTo(last + 1);
        _assertKnown(ShardStatus.NONE, contested, contested, "by the clock alone");
        _resolve();
        _assertKnown(ShardStatus.NONE, contested, contested, "resolved");
        _rollTo(last + 1_000);
        _assertKnown(ShardStatus.NONE, contested, contested, "never final");
    }

    function test_verify__notAppealed__isFinalAfterItsWindow() public {
        _lied();
        uint256 settledAt = _epoch();
        _rollTo(settledAt + 7, shape.epochBlocks - 1);
        bytes32[] memory path = PlainTrees.sortedPath(_leaves(lies), 0);
        IJobMarket.TaskProof memory proof = IJobMarket.TaskProof(receipt, path);
        assertEq(uint256(market.taskStatus(job, 3, lies[0], proof)), uint256(ShardStatus.SETTLED), "the last block");
        _rollTo(settledAt + 8);
        assertEq(uint256(market.taskStatus(job, 3, lies[0], proof)), uint256(ShardStatus.FINAL), "the first after");
    }

    function test_verify__receiptOfTheCase__provesNothingOfTheShard() public {
        _lied();
        _ruled(trueRoot);
        bytes32[] memory path = PlainTrees.sortedPath(_leaves(truths), 0);
        assertFalse(
            market.verifyTask(job, 3, truths[0], IJobMarket.TaskProof(verdictReceipt, path)), "the shard's own receipt"
        );
        assertFalse(
            market.verifyTask(caseJob, 3, truths[0], IJobMarket.TaskProof(verdictReceipt, path)), "a case has two tasks"
        );
        assertTrue(market.verifyTask(job, 3, truths[0], IJobMarket.TaskProof(receipt, path)), "that one does");
    }

    // --- claims ---------------------------------------------------------------------------------------------------

    function _claimOf(uint8 slot, bytes32 root) internal view returns (bytes memory) {
        return _ownOpening(job, SHARD, settled.attempt, root, _seat(slot));
    }

    function _refused(uint8 slot, bytes32 root, bytes memory reason) internal {
        bytes memory opening = _claimOf(slot, root);
        vm.expectRevert(reason);
        market.claim(job, SHARD, receipt, slot, opening);
    }

    /// @dev Refused after `last`, paid in its last block and in block `first`, once.
    function _assertClaimed(uint8 slot, bytes32 root, uint256 first, uint256 last) internal {
        NodeId node = _seat(slot);
        uint256 held = _held(job);
        uint256 before = _matured(node);
        bytes memory opening = _claimOf(slot, root);
        uint256 id = vm.snapshotState();
        _rollTo(last + 1);
        _refused(
            slot, root, abi.encodeWithSelector(IJobMarket.TooLate.selector, job, SHARD, uint32(last), uint32(last + 1))
        );
        _rollTo(last, shape.epochBlocks - 1);
        market.claim(job, SHARD, receipt, slot, opening);
        assertEq(_matured(node), before + PAY, "in the last block");
        vm.revertToState(id);
        vm.roll(first);
        market.claim(job, SHARD, receipt, slot, opening);
        assertEq(_matured(node), before + PAY, "in the first");
        assertEq(_held(job), held - PAY, "from the job's escrow");
        _refused(slot, root, abi.encodeWithSelector(IJobMarket.SlotPaid.selector, job, SHARD, slot));
        _assertSolvent();
    }

    function test_claim__overturned__memberThatMatchesTheVerdictIsPaid() public {
        _lied();
        bytes memory notFinal = abi.encodeWithSelector(IJobMarket.NotFinal.selector, job, SHARD);
        _refused(2, trueRoot, notFinal);
        _appeal();
        _refused(2, trueRoot, notFinal);
        _judged(trueRoot);
        uint256 ended = _epoch();
        _refused(2, trueRoot, notFinal);
        _resolve();
        _assertClaimed(2, trueRoot, vm.getBlockNumber(), ended + 4);
        assertEq(_maturing(_seat(2)), 0, "withdrawable at once");
    }

    function test_claim__overturned__liarsHaveNothingToClaim() public {
        _lied();
        _ruled(trueRoot);
        uint32 commitEpoch = uint32(_commitEpochOf(_id(job), SHARD, 0));
        for (uint8 slot; slot < 2; ++slot) {
            NodeId liar = _seat(slot);
            _refused(slot, falseRoot, abi.encodeWithSelector(IJobMarket.WrongOpening.selector, liar, commitEpoch));
        }
        // Honest members of other attempts were not of the settled one.
        receipt.attempt = 1;
        vm.expectRevert(abi.encodeWithSelector(IJobMarket.NotSettled.selector, job, SHARD));
        market.claim(job, SHARD, receipt, 2, "");
    }

    function test_claim__upheld__memberLeftOutIsPaid() public {
        _settled(_spec(), _mix(3, 3, trueRoot, trueRoot), trueRoot, 2);
        _appeal();
        _judged(trueRoot);
        uint256 ended = _epoch();
        _resolve();
        uint256 maturing = _maturing(_seat(0));
        _refused(0, trueRoot, abi.encodeWithSelector(IJobMarket.SlotPaid.selector, job, SHARD, 0));
        _assertClaimed(1, trueRoot, vm.getBlockNumber(), ended + 4);
        assertEq(_maturing(_seat(0)), maturing, "the paid keep theirs");
    }

    function test_claim__contested__memberLeftOutIsPaidFromTheEndOn() public {
        _settled(_spec(), _mix(3, 3, falseRoot, trueRoot), falseRoot, 2);
        _appeal();
        uint256 last = court.caseOf(job, SHARD).last;
        _rollTo(last, shape.epochBlocks - 1);
        _refused(1, falseRoot, abi.encodeWithSelector(IJobMarket.NotFinal.selector, job, SHARD));
        _rollTo(last + 1);
        _refused(0, falseRoot, abi.encodeWithSelector(IJobMarket.SlotPaid.selector, job, SHARD, 0));
        // Before anybody resolves, by the clock; resolving changes nothing.
        uint256 id = vm.snapshotState();
        _assertClaimed(1, falseRoot, vm.getBlockNumber(), last + 4);
        vm.revertToState(id);
        _resolve();
        _assertClaimed(1, falseRoot, vm.getBlockNumber(), last + 4);
    }

    function test_claim__contested__dissenterIsNotPaid() public {
        _lied();
        NodeId dissenter = _seat(2);
        uint32 commitEpoch = uint32(_commitEpochOf(_id(job), SHARD, 0));
        _unjudged();
        _refused(2, trueRoot, abi.encodeWithSelector(IJobMarket.WrongOpening.selector, dissenter, commitEpoch));
    }

    function test_claim__resolvedAfterItsTime__isTooLate() public {
        _lied();
        _appeal();
        _judged(trueRoot);
        uint32 last = uint32(_epoch() + 4);
        _rollTo(last, shape.epochBlocks - 1);
        uint256 id = vm.snapshotState();
        _resolve(); // whoever has something to claim resolves himself
        bytes memory opening = _claimOf(2, trueRoot);
        market.claim(job, SHARD, receipt, 2, opening);
        assertEq(_matured(_seat(2)), PAY, "in the last block");
        vm.revertToState(id);
        _rollTo(last + 1);
        _resolve();
        _refused(2, trueRoot, abi.encodeWithSelector(IJobMarket.TooLate.selector, job, SHARD, last, last + 1));
    }

    /// @dev Escrow of the job: in = paid + fees + claims + refund, whatever the Court did with forfeits.
    function test_close__afterAnOverturn__refundsWhatNobodyEarned() public {
        _lied();
        uint256 quote = market.quoteEscrow(_spec());
        _ruled(trueRoot);
        bytes memory opening = _claimOf(2, trueRoot);
        market.claim(job, SHARD, receipt, 2, opening);
        _rollTo(market.jobView(job).closableFrom);
        uint256 owed = market.owedTo(requester);
        uint256 refund = market.close(job);
        assertEq(refund, quote - 3 * PAY - 2 * PAY / 100, "all but three slots and the fee of two");
        assertEq(market.owedTo(requester), owed + refund, "to the requester");
        _assertSolvent();
    }
}
