// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICommitLedger} from "../../contracts/interfaces/ICommitLedger.sol";
import {ICourt} from "../../contracts/interfaces/ICourt.sol";
import {IJobMarket} from "../../contracts/interfaces/IJobMarket.sol";
import {INodeRegistry} from "../../contracts/interfaces/INodeRegistry.sol";
import {NodeId} from "../../contracts/interfaces/Types.sol";
import {CourtScenes} from "./support/CourtScenes.sol";
import {SettleCalls} from "./support/SettleCalls.sol";

// reportWrong
// ├── an opening of the shard that is not the verdict
// │   ├── costs wrongBps of the stake: a tenth to the accuser, whoever reports; the rest is burned; and all immature pay
// │   ├── overturned, and REPORT_EPOCHS since the verdict are over: the tenth is the reporter's, the pay still the accuser's
// │   ├── overturned: that pay goes to the accuser, the requester, nobody; upheld: it is burned
// │   ├── of any attempt, also one that did not settle; paid or not; opened late; while its stake is leaving
// │   └── as long as the draw is known: the last epoch in which it can be reported, the first in which it cannot
// ├── refused
// │   ├── no case, no verdict yet, no verdict ever
// │   ├── the verdict itself; a root that is not in the batch; another node's opening; an opening of nothing
// │   ├── an attempt or slot beyond, a void slot, an attempt that never began
// │   ├── a batch that was empty, sealed, never sealed, or whose lane is taken over
// │   └── twice, also for another shard of the same batch
// ├── judges are never wrong: a case has no case
// └── a lane marked wrong still settles its other answers
contract ReportWrongTest is CourtScenes {
    uint256 internal constant PENALTY = 500 ether;

    function _report(uint256 attempt, uint256 slot, bytes32 root) internal {
        NodeId node = _member(_id(job), SHARD, attempt, slot);
        bytes memory opening = _ownOpening(job, SHARD, attempt, root, node);
        vm.prank(stranger);
        court.reportWrong(job, SHARD, uint8(attempt), uint8(slot), root, opening);
    }

    /// @dev The guilty accuses himself, with his operator's money, and is overturned.
    function _guiltyAppealed() internal {
        _lieSettled();
        _appealAsMember(0, PURSE);
        _judged(TRUTH);
        _resolve();
    }

    function _refused(uint256 attempt, uint256 slot, bytes32 root, bytes memory opening, bytes memory reason) internal {
        vm.prank(stranger);
        vm.expectRevert(reason);
        court.reportWrong(job, SHARD, uint8(attempt), uint8(slot), root, opening);
    }

    function _stake(NodeId node) internal view returns (uint256) {
        return registry.nodeView(node).stake;
    }

    function _commitEpoch(uint256 attempt) internal view returns (uint32) {
        return uint32(_commitEpochOf(_id(job), SHARD, attempt));
    }

    // --- what it costs --------------------------------------------------------------------------------------------

    function test_reportWrong__liar__losesHalfItsStake() public {
        _lieSettled();
        _ruled(TRUTH);
        NodeId liar = _seat(0);
        uint32 epoch = _commitEpoch(0);
        uint256 lane = _lane(liar, epoch);
        uint256 supply = stakeToken.totalSupply();
        bytes memory opening = _ownOpening(job, SHARD, 0, LIE, liar);
        vm.expectEmit(true, true, true, true, address(ledger));
        emit ICommitLedger.WrongMarked(liar, epoch);
        vm.expectEmit(true, true, true, true, address(registry));
        emit INodeRegistry.Slashed(liar, uint96(PENALTY), accuser, uint96(PENALTY / 10));
        vm.expectEmit(true, true, true, true, address(court));
        emit ICourt.WrongReported(job, SHARD, liar, 0, stranger, 0);
        vm.prank(stranger);
        court.reportWrong(job, SHARD, 0, 0, LIE, opening);
        assertEq(_stake(liar), 1_000 ether - PENALTY, "half");
        assertEq(registry.rewardOf(accuser), PENALTY / 10, "a tenth to the accuser");
        assertEq(registry.rewardOf(stranger), 0, "nothing to the reporter");
        assertEq(supply - stakeToken.totalSupply(), PENALTY - PENALTY / 10, "the rest is burned");
        assertTrue(registry.nodeView(liar).paused, "it no longer covers its seat");
        assertEq(_lane(liar, epoch), lane | uint256(0x40) << 216, "the lane says so, and nothing else");
        assertEq(_stake(_seat(1)), 1_000 ether, "the other liar has its own report");
        _report(0, 1, LIE);
        assertEq(_stake(_seat(1)), 1_000 ether - PENALTY, "likewise");
        registry.collectReward(accuser);
        assertEq(stakeToken.balanceOf(accuser), 2 * PENALTY / 10, "both tenths");
    }

    /// @dev New immature pay after `resolve`, and a wrong member that was not paid in the first place.
    function test_reportWrong__overturned__payGoesToAccuserRequesterNobody() public {
        _fortune(150_000);
        _settled(_spec(), _mix(3, 2, LIE, keccak256("another lie")), LIE, 0);
        _ruled(TRUTH);
        _assertOwed(BOND, 48_480, 2 * (PAY + 150_000) - BOND - 48_480, "by resolve");
        uint256 burned = market.owedTo(BURNED);
        uint256 supply = stakeToken.totalSupply();
        _report(0, 2, keccak256("another lie"));
        assertEq(_maturing(_seat(2)), 0, "its pay is gone as well");
        _assertOwed(BOND, 48_480, burned + 150_000, "both are whole");
        assertEq(supply - stakeToken.totalSupply(), PENALTY * 9 / 10, "stake");
        _assertSolvent();
    }

    function test_reportWrong__overturnedAccuserNotWhole__isPaidFirst() public {
        _lieSettled();
        _ruled(TRUTH);
        _assertOwed(2 * PAY, 0, 0, "what resolve took");
        _fortune(40_000);
        _report(0, 0, LIE);
        _assertOwed(2 * PAY + 40_000, 0, 0, "all to the accuser");
        _report(0, 1, LIE);
        _assertOwed(BOND, 2 * PAY + 80_000 - BOND, 0, "until he is whole, then to the requester");
        (uint256 toAccuser, uint256 toRequester) = _due();
        assertEq(toAccuser, 0, "whole");
        assertEq(toRequester, 48_480 - (2 * PAY + 80_000 - BOND), "due");
        _assertSolvent();
    }

    function test_reportWrong__upheld__payIsBurned() public {
        _fortune(70_000);
        _truthSettled();
        _ruled(TRUTH);
        NodeId liar = _seat(2);
        bytes memory opening = _ownOpening(job, SHARD, 0, LIE, liar);
        vm.expectEmit(true, true, true, true, address(court));
        emit ICourt.WrongReported(job, SHARD, liar, 0, stranger, 70_000);
        vm.prank(stranger);
        court.reportWrong(job, SHARD, 0, 2, LIE, opening);
        _assertOwed(0, 0, 70_000, "a wrong accuser gets nothing out of it");
        assertEq(registry.rewardOf(accuser), PENALTY / 10, "but the tenth of the stake");
        assertEq(_maturing(_seat(0)), PAY + 70_000, "honest pay is untouched");
        _assertSolvent();
    }

    function test_reportWrong__byTheAccuserOrTheGuilty__nobodyGains() public {
        _guiltyAppealed();
        NodeId liar = _seat(0);
        bytes memory opening = _ownOpening(job, SHARD, 0, LIE, liar);
        vm.prank(keyOf[liar]);
        court.reportWrong(job, SHARD, 0, 0, LIE, opening);
        assertEq(registry.rewardOf(operator), PENALTY / 10, "a tenth comes back");
        assertEq(_stake(liar), 1_000 ether - PENALTY, "nine tenths do not");
    }

    function test_reportWrong__accusersTurn__lastBlockAndFirstAfter() public {
        _lieSettled();
        _ruled(TRUTH);
        _fortune(40_000);
        uint256 ended = court.caseOf(job, SHARD).ended;
        _rollTo(ended + market.REPORT_EPOCHS(), shape.epochBlocks - 1);
        _report(0, 0, LIE);
        assertEq(registry.rewardOf(accuser), PENALTY / 10, "the accuser's, to the last block");
        assertEq(registry.rewardOf(stranger), 0, "not the reporter's");
        vm.roll(block.number + 1);
        _report(0, 1, LIE);
        assertEq(registry.rewardOf(accuser), PENALTY / 10, "no second tenth");
        assertEq(registry.rewardOf(stranger), PENALTY / 10, "the reporter's from the next block on");
        _assertOwed(BOND, 2 * PAY + 80_000 - BOND, 0, "the accuser is made whole all the same");
    }

    /// @dev The guilty appeals his own lie, so that nobody would earn by proving it, and then leaves it alone.
    function test_reportWrong__theGuiltyAppealedAndKeepsStill__anybodyEarnsByIt() public {
        _guiltyAppealed();
        _rollTo(uint256(court.caseOf(job, SHARD).ended) + market.REPORT_EPOCHS() + 1);
        _report(0, 0, LIE);
        _report(0, 1, LIE);
        assertEq(registry.rewardOf(stranger), 2 * PENALTY / 10, "both tenths");
        assertEq(registry.rewardOf(operator), 0, "nothing for the guilty");
        assertEq(_stake(_seat(0)) + _stake(_seat(1)), 2_000 ether - 2 * PENALTY, "both halves");
    }

    /// @dev Who was outvoted and then judged wrong by a captured court is nobody's prey.
    function test_reportWrong__upheldAndLate__staysTheAccusers() public {
        _truthSettled();
        _ruled(TRUTH);
        _rollTo(uint256(court.caseOf(job, SHARD).ended) + market.REPORT_EPOCHS() + 1);
        _report(0, 2, LIE);
        assertEq(registry.rewardOf(stranger), 0, "nothing for others");
        assertEq(registry.rewardOf(accuser), PENALTY / 10, "a tenth");
    }

    // --- any attempt, any time ------------------------------------------------------------------------------------

    function test_reportWrong__attemptThatDidNotSettle__counts() public {
        job = _post(_spec());
        _answerWith(job, SHARD, 0, _mix(3, 1, LIE, SHY));
        _answerWith(job, SHARD, 1, _mix(3, 2, TRUTH, PASS));
        (settled, receipt) = _settleAs(job, SHARD, 1, TRUTH, 0);
        _appeal();
        _judged(TRUTH);
        _resolve();
        NodeId liar = _member(_id(job), SHARD, 0, 0);
        _report(0, 0, LIE);
        assertEq(_stake(liar), 1_000 ether - PENALTY, "of an attempt without quorum");
    }

    function test_reportWrong__openedLate__counts() public {
        job = _post(_spec());
        uint256 commitEpoch = _commitEpochOf(_id(job), SHARD, 0);
        _rollTo(commitEpoch, 2);
        NodeId liar = _member(_id(job), SHARD, 0, 2);
        _answerWith(job, SHARD, 0, _mix(3, 2, TRUTH, ABSENT));
        vm.roll(commitEpoch * shape.epochBlocks + 3);
        _commit(liar, _leaf(_id(job), SHARD, LIE));
        _rollTo(commitEpoch + 2, 2);
        (settled, receipt) = _settleAs(job, SHARD, 0, TRUTH, 0);
        _rollTo(commitEpoch + shape.revealGrace, shape.epochBlocks - shape.lead - 1);
        _reveal(liar, commitEpoch); // eight epochs late: unpaid, and still an opening
        _appeal();
        _judged(TRUTH);
        _resolve();
        _report(0, 2, LIE);
        assertEq(_stake(liar), 1_000 ether - PENALTY, "late openings count");
    }

    function test_reportWrong__stakeIsLeaving__isTakenFromIt() public {
        _lieSettled();
        NodeId liar = _seat(0);
        vm.prank(operator);
        registry.leaveSeats(liar, 1);
        _ruled(TRUTH);
        _report(0, 0, LIE);
        assertEq(registry.nodeView(liar).unbonding, 1_000 ether - PENALTY, "half of what leaves");
    }

    function test_reportWrong__lastEpochOfTheDraw__stakeIsStillThere() public {
        _lieSettled();
        NodeId liar = _seat(0);
        vm.prank(operator);
        registry.leaveSeats(liar, 1); // at once, to be gone as early as possible
        _ruled(TRUTH);
        uint32 start = uint32(_startOf(_id(job), SHARD, 0));
        bytes memory opening = _ownOpening(job, SHARD, 0, LIE, liar);
        uint32 last = start + shape.ring - 2;
        _rollTo(last + 1);
        _refused(
            0,
            0,
            LIE,
            opening,
            abi.encodeWithSelector(INodeRegistry.DrawOutOfRange.selector, start + 1, last + 2, start)
        );
        assertEq(registry.nodeView(liar).unbonding, 1_000 ether, "stake outlives what can be proven");
        _rollTo(last, shape.epochBlocks - 1);
        court.reportWrong(job, SHARD, 0, 0, LIE, opening);
        assertEq(registry.nodeView(liar).unbonding, 1_000 ether - PENALTY, "in the last block");
    }

    function test_reportWrong__seedLost__reverts() public {
        _lieSettled();
        _ruled(TRUTH);
        uint32 start = uint32(_startOf(_id(job), SHARD, 0));
        bytes memory opening = _ownOpening(job, SHARD, 0, LIE, _seat(0));
        _rollTo(start + shape.ring, 2);
        _recordSeed(start + shape.ring);
        _refused(0, 0, LIE, opening, abi.encodeWithSelector(ICommitLedger.SeedUnknown.selector, start));
    }

    // --- refused --------------------------------------------------------------------------------------------------

    function test_reportWrong__noVerdict__reverts() public {
        _lieSettled();
        bytes memory opening = _ownOpening(job, SHARD, 0, LIE, _seat(0));
        _refused(0, 0, LIE, opening, abi.encodeWithSelector(ICourt.NoCase.selector, job, SHARD));
        bytes memory reason = abi.encodeWithSelector(ICourt.NoVerdict.selector, job, SHARD);
        _appeal();
        _refused(0, 0, LIE, opening, reason);
        uint256 id = vm.snapshotState();
        _judged(TRUTH);
        _refused(0, 0, LIE, opening, reason);
        vm.revertToState(id);
        _rollTo(uint256(court.caseOf(job, SHARD).last) + 1);
        _refused(0, 0, LIE, opening, reason);
        _resolve();
        _refused(0, 0, LIE, opening, reason); // contested: nobody is proven wrong
    }

    function test_reportWrong__honestMember__cannotBeMadeWrong() public {
        _lieSettled();
        _ruled(TRUTH);
        NodeId honest = _seat(2);
        bytes memory own = _ownOpening(job, SHARD, 0, TRUTH, honest);
        _refused(0, 2, TRUTH, own, abi.encodeWithSelector(ICourt.MatchesVerdict.selector, job, SHARD, TRUTH));
        bytes memory wrong = abi.encodeWithSelector(IJobMarket.WrongOpening.selector, honest, _commitEpoch(0));
        _refused(0, 2, LIE, own, wrong);
        _refused(0, 2, LIE, _ownOpening(job, SHARD, 0, LIE, _seat(0)), wrong);
        // Its own leaf as a foreign hash: its batch, but not this answer.
        SettleCalls.Segment[] memory segments = new SettleCalls.Segment[](1);
        segments[0] = SettleCalls.Segment(SettleCalls.FOREIGN, 1, _hashes(batchOf[honest][_commitEpoch(0)]));
        bytes memory foreign = SettleCalls.encode(SettleCalls.Opening(0, 1, 0, segments, new bytes32[](0)));
        bytes memory nothing = abi.encodeWithSelector(IJobMarket.MalformedCall.selector, "opening", 0);
        _refused(0, 2, LIE, foreign, nothing);
        _refused(0, 2, LIE, "", nothing);
        assertEq(_stake(honest), 1_000 ether, "untouched");
    }

    function test_reportWrong__attemptOrSlotBeyond__reverts() public {
        _lieSettled();
        _ruled(TRUTH);
        bytes memory opening = _ownOpening(job, SHARD, 0, LIE, _seat(0));
        _refused(3, 0, LIE, opening, abi.encodeWithSelector(IJobMarket.UnknownAttempt.selector, job, SHARD, 3));
        _refused(255, 0, LIE, opening, abi.encodeWithSelector(IJobMarket.UnknownAttempt.selector, job, SHARD, 255));
        _refused(0, 3, LIE, opening, abi.encodeWithSelector(IJobMarket.SlotVoid.selector, job, SHARD, 3));
        _refused(0, 255, LIE, opening, abi.encodeWithSelector(IJobMarket.SlotVoid.selector, job, SHARD, 255));
        uint32 second = uint32(_startOf(_id(job), SHARD, 2));
        assertLt(_epoch(), second, "scene: not begun");
        _refused(2, 0, LIE, opening, abi.encodeWithSelector(ICommitLedger.SeedUnknown.selector, second));
    }

    function test_reportWrong__notInTheBatchOrNotOpen__reverts() public {
        job = _post(_spec());
        _answerWith(job, SHARD, 0, _mix(3, 1, PASS, SHY)); // empty, sealed, sealed
        _answerWith(job, SHARD, 1, _mix(3, 2, TRUTH, ABSENT));
        (settled, receipt) = _settleAs(job, SHARD, 1, TRUTH, 0);
        _appeal();
        _judged(TRUTH);
        _resolve();
        bytes memory opening = hex"000001000000010000000100"; // one leaf, this one
        for (uint256 i; i < 4; ++i) {
            (uint256 attempt, uint256 slot) = i == 3 ? (1, 2) : (0, i);
            NodeId node = _member(_id(job), SHARD, attempt, slot);
            bytes4 selector = i == 0 ? IJobMarket.WrongOpening.selector : IJobMarket.LaneNotOpen.selector;
            _refused(attempt, slot, LIE, opening, abi.encodeWithSelector(selector, node, _commitEpoch(attempt)));
            assertEq(_stake(node), 1_000 ether, "nothing is proven");
        }
    }

    function test_reportWrong__laneTakenOver__reverts() public {
        _lieSettled();
        _ruled(TRUTH);
        NodeId liar = _seat(0);
        bytes memory opening = _ownOpening(job, SHARD, 0, LIE, liar);
        uint32 epoch = _commitEpoch(0);
        _rollTo(epoch + shape.ring, 2);
        _commit(liar, "");
        // The lane outlives the draw: before its slot of the ring is used again nothing could be proven any more.
        _refused(
            0,
            0,
            LIE,
            opening,
            abi.encodeWithSelector(INodeRegistry.DrawOutOfRange.selector, epoch + 2, epoch + shape.ring + 1, epoch)
        );
        assertEq(_lane(liar, epoch) >> 224, epoch + shape.ring, "taken over");
        assertEq(_stake(liar), 1_000 ether, "too late");
    }

    function test_reportWrong__twice__reverts() public {
        _lieSettled();
        _ruled(TRUTH);
        NodeId liar = _seat(0);
        _report(0, 0, LIE);
        bytes memory opening = _ownOpening(job, SHARD, 0, LIE, liar);
        _refused(
            0, 0, LIE, opening, abi.encodeWithSelector(ICommitLedger.AlreadyPunished.selector, liar, _commitEpoch(0))
        );
        assertEq(_stake(liar), 1_000 ether - PENALTY, "once");
    }

    // --- judges ---------------------------------------------------------------------------------------------------

    function test_reportWrong__judgeInTheMinority__isNeverWrong() public {
        _lieSettled();
        _appeal();
        _judged(0, TRUTH, 4, LIE, 0);
        _resolve();
        NodeId judge = _judge(4);
        bytes memory opening = _ownOpening(caseJob, 0, 0, LIE, judge);
        vm.expectRevert(abi.encodeWithSelector(ICourt.NoCase.selector, caseJob, 0));
        court.reportWrong(caseJob, 0, 0, 4, LIE, opening);
        assertEq(_stake(judge), 1_000 ether, "a judge risks his pay only");
    }
}
