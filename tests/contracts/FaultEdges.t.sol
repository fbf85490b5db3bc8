// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICommitLedger} from "../../contracts/interfaces/ICommitLedger.sol";
import {IJobMarket} from "../../contracts/interfaces/IJobMarket.sol";
import {INodeRegistry} from "../../contracts/interfaces/INodeRegistry.sol";
import {NodeId} from "../../contracts/interfaces/Types.sol";
import {Base} from "./support/Base.sol";
import {CourtScenes} from "./support/CourtScenes.sol";

// the last block in which a fault can be reported, the first in which it cannot, and that the money was there in the
// last; the guilty leaves as early as it can, in the epoch in which it is drawn for eight epochs of work
// ├── unrevealed: to the last block of the unbonding; a block later it may be gone, and the report takes nothing
// ├── absent: as long as the draw is known, a judge's as long as that of the appealed attempt
// ├── wrong: see ReportWrong and CourtRing
// └── overturned: the pay is there in the last block of the longest life, however its buckets lie, and to the last
//     block before it matures
contract FaultEdgesTest is CourtScenes {
    uint256 internal constant STAKE = 1_000 ether;

    function _spec() internal view override returns (IJobMarket.JobSpec memory spec) {
        spec = super._spec();
        spec.work = 8;
    }

    function _lastBlock(uint256 epoch) private {
        _rollTo(epoch, shape.epochBlocks - 1);
    }

    /// @dev A job whose member in slot 2 leaves in the epoch in which it is drawn; returns that epoch.
    function _drawnAndGone(bytes32 itsAnswer) private returns (uint256 start) {
        job = _post(_spec());
        start = _startOf(_id(job), SHARD, 0);
        _rollTo(start, 2);
        NodeId node = _member(_id(job), SHARD, 0, 2);
        vm.prank(operator);
        registry.leaveSeats(node, 1);
        _answerWith(job, SHARD, 0, _mix(3, 2, TRUTH, itsAnswer));
        (settled, receipt) = _settleAs(job, SHARD, 0, TRUTH, itsAnswer == SHY ? 4 : 0);
    }

    function _assertTaken(NodeId node, uint256 penalty, string memory why) private view {
        INodeRegistry.NodeView memory v = registry.nodeView(node);
        assertEq(uint256(v.stake) + v.unbonding, STAKE - penalty, why);
        assertEq(registry.rewardOf(address(this)), penalty / 10, string.concat(why, ": a tenth of it"));
    }

    // --- unrevealed -----------------------------------------------------------------------------------------------

    function test_reportUnrevealed__stakeLeavesAtOnce__isThereToTheLastBlock() public {
        uint32 unlock = uint32(_drawnAndGone(SHY)) + 2 * shape.ring;
        NodeId node = _seat(2);
        uint32 epoch = uint32(_commitEpochOf(_id(job), SHARD, 0));
        uint32 grace = epoch + shape.revealGrace;
        _lastBlock(grace);
        vm.expectRevert(abi.encodeWithSelector(ICommitLedger.GraceNotOver.selector, grace, grace));
        ledger.reportUnrevealed(node, epoch);
        uint256 id = vm.snapshotState();
        _rollTo(grace + 1);
        ledger.reportUnrevealed(node, epoch);
        _assertTaken(node, STAKE / 10, "the first block");
        vm.revertToState(id);
        _lastBlock(unlock - 1);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.StillUnbonding.selector, unlock, unlock - 1));
        registry.withdrawStake(node);
        ledger.reportUnrevealed(node, epoch);
        _assertTaken(node, STAKE / 10, "the last block in which it cannot be gone");
        _rollTo(unlock);
        assertEq(registry.withdrawStake(node), STAKE - STAKE / 10, "the rest, a block later");
        vm.revertToState(id);
        _rollTo(unlock);
        assertEq(registry.withdrawStake(node), STAKE, "nobody reported for two rings");
        uint256 supply = stakeToken.totalSupply();
        ledger.reportUnrevealed(node, epoch);
        assertEq(registry.rewardOf(address(this)), 0, "nothing to take");
        assertEq(stakeToken.totalSupply(), supply, "nothing to burn");
    }

    function test_reportUnrevealed__judge__paysLikeAnyNode() public {
        _lieSettled();
        _appeal();
        _judged(0, TRUTH, 4, SHY, 16);
        _resolve();
        uint32 epoch = uint32(_commitEpochOf(_id(caseJob), 0, 0));
        _rollTo(epoch + shape.revealGrace + 1);
        ledger.reportUnrevealed(_judge(4), epoch);
        _assertTaken(_judge(4), STAKE / 10, "a judge that never opened");
        for (uint256 slot; slot < 4; ++slot) {
            NodeId judge = _judge(slot);
            vm.expectRevert(abi.encodeWithSelector(ICommitLedger.NotSealed.selector, judge, epoch));
            ledger.reportUnrevealed(judge, epoch);
        }
    }

    // --- absent ---------------------------------------------------------------------------------------------------

    /// @dev Reported in the last block of `start + RING - 2`, refused in the next.
    function _assertAbsentUntil(uint256 start, uint32 drawnIn, NodeId ghost, bytes memory report) private {
        uint32 last = uint32(start) + shape.ring - 2;
        uint256 id = vm.snapshotState();
        _rollTo(last + 1);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.DrawOutOfRange.selector, drawnIn + 1, last + 2, drawnIn));
        this.send(report);
        vm.revertToState(id);
        _lastBlock(last);
        this.send(report);
        _assertTaken(ghost, 1 ether, "in the last block");
    }

    /// @dev So that a report may come from anywhere and its reason is passed on.
    function send(bytes calldata report) external {
        (bool ok, bytes memory reason) = address(market).call(report);
        if (ok) return;
        assembly ("memory-safe") {
            revert(add(reason, 32), mload(reason))
        }
    }

    function test_reportAbsent__stakeLeavesAtOnce__isThereToTheLastBlock() public {
        uint256 start = _drawnAndGone(ABSENT);
        NodeId ghost = _seat(2);
        assertEq(registry.nodeView(ghost).unbonding, STAKE, "all of it is leaving");
        bytes memory report = abi.encodeCall(IJobMarket.reportAbsent, (job, SHARD, receipt, 2));
        _assertAbsentUntil(start, uint32(start), ghost, report);
    }

    /// @dev A case is drawn over the list as it was before the appealed attempt: that limits what is known of judges.
    function test_reportAbsent__judge__isKnownAsLongAsTheAppealedDraw() public {
        _lieSettled();
        uint256 start = _startOf(_id(job), SHARD, 0);
        _appeal();
        _judged(0, TRUTH, 4, ABSENT, 0);
        _resolve();
        uint32 epoch = uint32(_commitEpochOf(_id(caseJob), 0, 0));
        for (uint8 slot; slot < 4; ++slot) {
            vm.expectRevert(abi.encodeWithSelector(ICommitLedger.NotAbsent.selector, _judge(slot), epoch, epoch));
            market.reportAbsent(caseJob, 0, verdictReceipt, slot);
        }
        bytes memory report = abi.encodeCall(IJobMarket.reportAbsent, (caseJob, 0, verdictReceipt, 4));
        _assertAbsentUntil(start, uint32(start), _judge(4), report);
    }

    // --- immature pay ---------------------------------------------------------------------------------------------

    /// @dev Credited as early as a shard can settle, in the last epoch of a bucket: the shortest wait there is.
    function test_resolve__shortestMaturity__outlastsTheLongestLife() public {
        uint256 maturesIn = 9 * uint256(shape.ring);
        uint256 settledAt = maturesIn - shape.ring - 1;
        IJobMarket.JobSpec memory spec = _spec();
        (spec.maxAttempts, spec.appealEpochs) = (4, 27); // not an epoch more fits the ring
        _rollTo(settledAt - 9);
        _settled(spec, _mix(3, 2, LIE, TRUTH), LIE, 0);
        assertEq(_epoch(), settledAt, "scene: the last epoch of its bucket");
        _appeal();
        _judged(TRUTH);
        (NodeId liar, NodeId other) = (_seat(0), _seat(1));
        _lastBlock(_startOf(_id(job), SHARD, 0) + shape.ring - 2);
        uint256 id = vm.snapshotState();
        _resolve();
        _assertOwed(2 * PAY, 0, 0, "in the last block of the longest life");
        vm.revertToState(id);
        _lastBlock(maturesIn - 1);
        vm.expectRevert(IJobMarket.NothingToWithdraw.selector);
        market.withdraw(liar);
        _resolve();
        _assertOwed(2 * PAY, 0, 0, "in the last block in which it cannot be gone");
        vm.revertToState(id);
        _rollTo(maturesIn);
        assertEq(market.withdraw(liar), PAY, "a block later it is");
        _resolve();
        _assertOwed(0, 0, 0, "nothing of either liar");
        assertEq(_matured(other), PAY, "it had matured");
    }

    // --- claims of judges -----------------------------------------------------------------------------------------

    function test_claim__judgeLeftOut__windowEdges() public {
        _truthSettled();
        _appeal();
        _judged(0, TRUTH, 5, TRUTH, 16);
        NodeId judge = _judge(4);
        bytes memory opening = _claimOpening(verdict, judge);
        uint32 last = uint32(_epoch() + market.REPORT_EPOCHS());
        _rollTo(last + 1);
        vm.expectRevert(abi.encodeWithSelector(IJobMarket.TooLate.selector, caseJob, 0, last, last + 1));
        market.claim(caseJob, 0, verdictReceipt, 4, opening);
        _lastBlock(last);
        market.claim(caseJob, 0, verdictReceipt, 4, opening);
        assertEq(_matured(judge), PAY, "in the last block, resolved or not");
    }
}

// the longest grace in the shortest ring: a fault can be proven from the epoch on in which its slot comes round
contract GraceInRingTest is Base {
    function _shape() internal view override returns (Shape memory shape_) {
        shape_ = super._shape();
        (shape_.ring, shape_.revealGrace) = (16, 15);
    }

    function test_reportUnrevealed__longestGrace__comesBeforeTheSlotIsReused() public {
        NodeId node = _register(operator, 1);
        _commit(node, "");
        _rollTo(START + 15, shape.epochBlocks - 1);
        vm.expectRevert(abi.encodeWithSelector(ICommitLedger.GraceNotOver.selector, START + 15, START + 15));
        ledger.reportUnrevealed(node, START);
        uint256 id = vm.snapshotState();
        _reveal(node, START);
        assertEq((_lane(node, START) >> 216) & 0xff, 15, "the last block to open it");
        vm.revertToState(id);
        _rollTo(START + 16);
        vm.prank(keyOf[node]);
        vm.expectRevert(abi.encodeWithSelector(ICommitLedger.LaneSealed.selector, node, START));
        ledger.commit(START + 16, "x");
        ledger.reportUnrevealed(node, START);
        assertEq(registry.nodeView(node).stake, 900 ether, "reported in the first block of the slot's next epoch");
        _commit(node, "");
        assertEq(_lane(node, START + 16) >> 216, uint256(START + 16) << 8, "which takes a batch only now");
    }
}
