// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICommitLedger} from "../../contracts/interfaces/ICommitLedger.sol";
import {IJobMarket} from "../../contracts/interfaces/IJobMarket.sol";
import {INodeRegistry} from "../../contracts/interfaces/INodeRegistry.sol";
import {JobId, NodeId} from "../../contracts/interfaces/Types.sol";
import {Scenes} from "./support/Scenes.sol";

// reportAbsent
// ├── a drawn node of the settled attempt whose lane never carried its epoch
// │   ├── loses absentBps, rounded up, a tenth to the reporter, the rest burned, and is paused
// │   ├── also when its lane carries an older epoch that was opened
// │   ├── from settlement on, long after, as long as the seed and the lane are there
// │   ├── can resume itself, and is drawn again
// │   └── reports held back pause it once, not after every resume
// ├── refused
// │   ├── a shard that is not settled; a receipt that is not the settled one
// │   ├── a slot beyond the committee, a void slot
// │   ├── a member that committed: opened, sealed, empty, wrong
// │   ├── twice, by the same shard or another of that epoch
// │   ├── a member of an attempt that did not settle
// │   ├── over a sealed old lane: that fault first
// │   ├── a lane that a later epoch took over
// │   └── a seed that the ring lost
// ├── an absent node is not paid later: its lane is spent, and it cannot commit the epoch any more
// └── paused market: reports all the same
contract AbsentTest is Scenes {
    JobId internal job;
    Answer internal answer;
    NodeId internal ghost;
    uint8 internal slot;
    uint32 internal commitEpoch;
    IJobMarket.Receipt internal receipt;

    function setUp() public override {
        super.setUp();
        _cast(3);
        ghost = _node(2);
        _absence();
    }

    /// @dev A settled shard for which `ghost` never came.
    function _absence() internal {
        mannerOf[ghost] = Manner.ABSENT;
        job = _post(_spec());
        answer = _answer(job, 0, 0);
        _play(answer);
        _settle(_one(answer));
        slot = _slotOf(_id(job), 0, 0, ghost);
        commitEpoch = uint32(_commitEpochOf(_id(job), 0, 0));
        receipt = _receipt(answer, _paidSlots(answer));
    }

    function _report() internal {
        vm.prank(stranger);
        market.reportAbsent(job, 0, receipt, slot);
    }

    function _refused(bytes memory reason) internal {
        vm.prank(stranger);
        vm.expectRevert(reason);
        market.reportAbsent(job, 0, receipt, slot);
    }

    function test_reportAbsent__absentMember__isSlashedAndPaused() public {
        uint256 stake = registry.nodeView(ghost).stake;
        uint256 supply = stakeToken.totalSupply();
        uint256 penalty = (stake * 10 + 9_999) / 10_000;
        vm.expectEmit(true, true, true, true, address(market));
        emit IJobMarket.AbsentReported(job, 0, ghost, stranger);
        vm.expectEmit(true, true, true, true, address(ledger));
        emit ICommitLedger.AbsentMarked(ghost, commitEpoch);
        vm.expectEmit(true, true, true, true, address(registry));
        emit INodeRegistry.Slashed(ghost, uint96(penalty), stranger, uint96(penalty / 10));
        _report();
        INodeRegistry.NodeView memory v = registry.nodeView(ghost);
        assertEq(v.stake, stake - penalty, "stake");
        assertTrue(v.paused, "ghosts leave the draw");
        assertEq(registry.rewardOf(stranger), penalty / 10, "a tenth");
        assertEq(supply - stakeToken.totalSupply(), penalty - penalty / 10, "the rest is burned");
        assertEq(registry.poolView(pool).nodes, 2, "one fewer");
        assertEq(_lane(ghost, commitEpoch), uint256(commitEpoch) << 224 | 0x20 << 216, "marked");
    }

    function test_reportAbsent__afterItsReport__nodeResumesItself() public {
        _report();
        vm.startPrank(operator);
        uint96 missing = uint96(uint256(shape.seatStake) - registry.nodeView(ghost).stake);
        registry.addStake(ghost, missing);
        registry.resumeNode(ghost);
        vm.stopPrank();
        assertEq(registry.poolView(pool).nodes, 3, "back");
        mannerOf[ghost] = Manner.HONEST;
        _rollTo(_counting() + 1);
        (JobId next,,) = _settledJob(_spec());
        _slotOf(_id(next), 0, 0, ghost); // reverts if it was not drawn
        assertEq(_matured(ghost), 12_000, "earns again");
    }

    function test_reportAbsent__fiveHeldBack__pauseOnlyOnce() public {
        vm.prank(operator);
        registry.addStake(ghost, 100 ether); // so that no penalty pauses by itself
        JobId[] memory jobs = new JobId[](5);
        IJobMarket.Receipt[] memory receipts = new IJobMarket.Receipt[](5);
        uint8[] memory slots = new uint8[](5);
        for (uint256 i; i < 5; ++i) {
            if (i != 0) {
                _rollTo(_counting() + 1);
                _absence();
            }
            (jobs[i], receipts[i], slots[i]) = (job, receipt, slot);
        }
        uint256 stake = registry.nodeView(ghost).stake;
        for (uint256 i; i < 5; ++i) {
            market.reportAbsent(jobs[i], 0, receipts[i], slots[i]);
            assertLt(registry.nodeView(ghost).stake, stake, "each costs");
            stake = registry.nodeView(ghost).stake;
            assertEq(registry.nodeView(ghost).paused, i == 0, "only the first pauses: it has come back since");
            if (i != 0) continue;
            vm.prank(operator);
            registry.resumeNode(ghost);
        }
        _rollTo(_counting() + 1);
        _absence();
        _report();
        assertTrue(registry.nodeView(ghost).paused, "an absence after it came back does");
    }

    function test_reportAbsent__olderOpenLane__isAbsent() public {
        // The same slot of the ring holds a batch that was opened one ring ago.
        _rollTo(_counting() + 1, 2);
        mannerOf[ghost] = Manner.HONEST;
        uint256 old = _epoch();
        _commit(ghost, "");
        _rollTo(old + 1, 2);
        _reveal(ghost, old);
        _rollTo(old + shape.ring - 1, 2);
        _absence();
        assertEq(commitEpoch, old + shape.ring, "the same slot");
        _report();
        assertTrue(registry.nodeView(ghost).paused, "paused");
    }

    function test_reportAbsent__longAfter__stillCounts() public {
        // The draw is readable for RING - 2 epochs.
        _rollTo(uint256(commitEpoch) + shape.ring - 2, 5);
        _report();
        assertTrue(registry.nodeView(ghost).paused, "paused");
    }

    function test_reportAbsent__seedLost__reverts() public {
        _rollTo(uint256(commitEpoch) + shape.ring, 2);
        _recordSeed(_epoch());
        _refused(abi.encodeWithSelector(ICommitLedger.SeedUnknown.selector, commitEpoch));
    }

    function test_reportAbsent__drawOutOfRing__reverts() public {
        _rollTo(uint256(commitEpoch) + shape.ring - 1);
        uint32 now_ = uint32(_epoch());
        _refused(
            abi.encodeWithSelector(INodeRegistry.DrawOutOfRange.selector, now_ + 2 - shape.ring, now_ + 1, commitEpoch)
        );
    }

    function test_reportAbsent__notSettled__reverts() public {
        bytes memory reason = abi.encodeWithSelector(IJobMarket.NotSettled.selector, job, 0);
        IJobMarket.Receipt memory good = receipt;
        receipt.paidSlots ^= 1;
        _refused(reason);
        receipt = good;
        receipt.attempt = 1;
        _refused(reason);
        receipt = good;
        vm.expectRevert(abi.encodeWithSelector(IJobMarket.NotSettled.selector, _job(9), 0));
        market.reportAbsent(_job(9), 0, good, slot);
        vm.expectRevert(abi.encodeWithSelector(IJobMarket.NotSettled.selector, job, 1));
        market.reportAbsent(job, 1, good, slot);
    }

    function test_reportAbsent__slotBeyondOrVoid__reverts() public {
        slot = 3;
        _refused(abi.encodeWithSelector(IJobMarket.SlotVoid.selector, job, 0, 3));
        slot = 255;
        _refused(abi.encodeWithSelector(IJobMarket.SlotVoid.selector, job, 0, 255));
        // The next job is drawn without the ghost, which is paused by its report.
        slot = _slotOf(_id(job), 0, 0, ghost);
        IJobMarket.JobSpec memory spec = _spec();
        job = _post(spec);
        IJobMarket.Receipt memory first = receipt;
        vm.prank(operator);
        registry.pauseNode(ghost);
        Answer memory next = _answer(job, 0, 0);
        _play(next);
        _settle(_one(next));
        receipt = _receipt(next, 3);
        slot = 2;
        _refused(abi.encodeWithSelector(IJobMarket.SlotVoid.selector, job, 0, 2));
        receipt = first;
    }

    function test_reportAbsent__memberThatCommitted__reverts() public {
        Manner[4] memory manners = [Manner.HONEST, Manner.WRONG, Manner.PASS, Manner.SHY];
        for (uint256 i; i < 4; ++i) {
            mannerOf[ghost] = manners[i];
            job = _post(_spec());
            answer = _answer(job, 0, 0);
            _play(answer);
            _rollTo(_epoch() + 1, 2);
            receipt = _receipt(answer, _paidSlots(answer));
            _settle(_one(answer));
            slot = _slotOf(_id(job), 0, 0, ghost);
            uint32 epoch = uint32(_commitEpochOf(_id(job), 0, 0));
            _refused(abi.encodeWithSelector(ICommitLedger.NotAbsent.selector, ghost, epoch, epoch));
        }
    }

    function test_reportAbsent__twice__reverts() public {
        _report();
        _refused(abi.encodeWithSelector(ICommitLedger.AlreadyPunished.selector, ghost, commitEpoch));
    }

    function test_reportAbsent__twoShardsOfOneEpoch__punishedOnce() public {
        IJobMarket.JobSpec memory spec = _spec();
        (spec.tasks, spec.pace) = (2, 2);
        job = _post(spec);
        Answer[] memory answers = _answers(job, 0, 2);
        _play(answers);
        uint16[] memory paid = new uint16[](2);
        (paid[0], paid[1]) = (_paidSlots(answers[0]), _paidSlots(answers[1]));
        _settle(answers);
        market.reportAbsent(job, 0, _receipt(answers, paid, 0), _slotOf(_id(job), 0, 0, ghost));
        IJobMarket.Receipt memory second = _receipt(answers, paid, 1);
        uint8 other = _slotOf(_id(job), 1, 0, ghost);
        uint32 epoch = uint32(_commitEpochOf(_id(job), 1, 0));
        vm.expectRevert(abi.encodeWithSelector(ICommitLedger.AlreadyPunished.selector, ghost, epoch));
        market.reportAbsent(job, 1, second, other);
    }

    function test_reportAbsent__attemptThatDidNotSettle__isNoFault() public {
        // Absent in attempt 0, there in attempt 1, which settles: nothing can be reported.
        job = _post(_spec());
        _rollTo(_commitEpochOf(_id(job), 0, 0) + 1, 2);
        _recordSeed(_startOf(_id(job), 0, 0));
        mannerOf[ghost] = Manner.HONEST;
        answer = _answer(job, 0, 1);
        _play(answer);
        _settle(_one(answer));
        receipt = _receipt(answer, 7);
        slot = _slotOf(_id(job), 0, 1, ghost);
        uint32 epoch = uint32(_commitEpochOf(_id(job), 0, 1));
        _refused(abi.encodeWithSelector(ICommitLedger.NotAbsent.selector, ghost, epoch, epoch));
        receipt.attempt = 0;
        _refused(abi.encodeWithSelector(IJobMarket.NotSettled.selector, job, 0));
    }

    function test_reportAbsent__sealedOldLane__thatFaultFirst() public {
        _rollTo(_counting() + 1, 2);
        uint256 old = _epoch();
        _commit(ghost, "");
        _rollTo(old + shape.ring - 1, 2);
        _absence();
        _refused(abi.encodeWithSelector(ICommitLedger.LaneSealed.selector, ghost, uint32(old)));
        ledger.reportUnrevealed(ghost, uint32(old));
        _report();
        assertEq(_lane(ghost, commitEpoch) >> 224, commitEpoch, "marked");
    }

    function test_reportAbsent__laneTakenByLaterEpoch__reverts() public {
        mannerOf[ghost] = Manner.HONEST;
        _rollTo(uint256(commitEpoch) + shape.ring, 2);
        _commit(ghost, "");
        // The draw is out of reach by then, whatever the lane says.
        uint256 start = _startOf(_id(job), 0, 0);
        vm.expectRevert(
            abi.encodeWithSelector(
                INodeRegistry.DrawOutOfRange.selector, _epoch() + 2 - shape.ring, _epoch() + 1, start
            )
        );
        market.reportAbsent(job, 0, receipt, slot);
        assertEq(_lane(ghost, commitEpoch) >> 224, uint256(commitEpoch) + shape.ring, "the later batch is untouched");
    }

    function test_reportAbsent__paused__reports() public {
        vm.startPrank(owner);
        market.pause();
        registry.pause();
        vm.stopPrank();
        _report();
        assertTrue(registry.nodeView(ghost).paused, "reported");
    }

    function testFuzz_reportAbsent__anyStake__neverTakesMoreThanThereIs(uint96 extra) public {
        extra = uint96(bound(extra, 1, 9e23));
        vm.prank(operator);
        registry.addStake(ghost, extra);
        uint256 stake = registry.nodeView(ghost).stake;
        _report();
        uint256 left = registry.nodeView(ghost).stake;
        uint256 penalty = stake - left;
        assertEq(penalty, (stake * 10 + 9_999) / 10_000, "rounded up");
        assertLe(registry.rewardOf(stranger), penalty / 10, "the reporter's part is rounded down");
        assertGe(stakeToken.balanceOf(address(registry)), _liabilities() + registry.rewardOf(stranger), "solvent");
    }
}
