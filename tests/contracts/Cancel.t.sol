// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IJobMarket} from "../../contracts/interfaces/IJobMarket.sol";
import {JobId, NodeId, ShardStatus} from "../../contracts/interfaces/Types.sol";
import {SettleCalls} from "./support/SettleCalls.sol";
import {Scenes} from "./support/Scenes.sol";

// cancel
// ├── refuses
// │   ├── an unknown job
// │   ├── anyone but the requester
// │   └── a job of which every shard may still run, at once, later, or after a cancel
// ├── keeps the shards that start up to the epoch after the counted one
// │   ├── last block before the lead: up to the next epoch
// │   ├── first block of the lead: one pace more
// │   ├── kept shards settle, cancelled ones are unknown to settle and CANCELLED
// │   └── the last kept shard is a whole one, even where the job's last was short
// ├── refunds exactly the escrow of what ends, owed at once; fees included
// ├── a long job (more than 8 shards)
// │   ├── that stays long keeps its bits
// │   ├── that keeps exactly 8 or fewer keeps what is settled, settles the rest, and settles nothing twice
// │   └── at 9 stays long
// ├── closable earlier than before
// ├── a paused market cancels
// └── any job and moment: escrow = held + refund; cancelling in steps gains nothing
contract CancelTest is Scenes {
    function setUp() public override {
        super.setUp();
        _cast(3);
    }

    function _long(uint32 tasks, uint16 pace) private view returns (IJobMarket.JobSpec memory spec) {
        spec = _spec();
        (spec.tasks, spec.shardSize, spec.pace) = (tasks, 1, pace);
    }

    function _cancel(JobId job) private returns (uint256) {
        vm.prank(requester);
        return market.cancel(job);
    }

    function _nothing(JobId job) private {
        vm.prank(requester);
        vm.expectRevert(abi.encodeWithSelector(IJobMarket.NothingToCancel.selector, job));
        market.cancel(job);
    }

    // --- refused --------------------------------------------------------------------------------------------------

    function test_cancel__unknownJob__reverts() public {
        vm.expectRevert(abi.encodeWithSelector(IJobMarket.UnknownJob.selector, _job(7)));
        market.cancel(_job(7));
    }

    function test_cancel__notRequester__reverts() public {
        JobId job = _post(_long(20, 1));
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IJobMarket.NotRequester.selector, job, requester, stranger));
        market.cancel(job);
    }

    function test_cancel__everyShardMayRun__reverts() public {
        _nothing(_post(_long(2, 2)));
        JobId job = _post(_long(6, 2)); // three epochs of shards
        _rollTo(_epoch() + 1, 5);
        assertEq(_counting(), uint256(market.jobView(job).postEpoch) + 1, "one epoch later");
        _cancel(job);
        _nothing(job);
        job = _post(_long(6, 2));
        _rollTo(_epoch() + 2, 0);
        _nothing(job);
    }

    // --- what is kept ---------------------------------------------------------------------------------------------

    function test_cancel__aroundTheLead__keepsOnePaceMore() public {
        _rollTo(_epoch() + 1, 0);
        IJobMarket.JobSpec memory spec = _long(40, 2);
        JobId early = _post(spec);
        JobId late = _post(spec);
        _rollTo(_epoch() + 2, shape.epochBlocks - shape.lead - 1);
        _cancel(early);
        assertEq(market.jobView(early).tasks, 6, "epochs 1, 2 and 3 of the job");
        _rollTo(_epoch(), shape.epochBlocks - shape.lead);
        _cancel(late);
        assertEq(market.jobView(late).tasks, 8, "and 4");
    }

    function test_cancel__atOnce__keepsTheFirstEpochsShards() public {
        IJobMarket.JobSpec memory spec = _long(20, 2);
        uint256 escrow = market.quoteEscrow(spec);
        JobId job = _post(spec);
        uint32 closable = market.jobView(job).closableFrom;
        spec.tasks = 2;
        uint256 kept = market.quoteEscrow(spec);
        vm.expectEmit(true, true, true, true, address(market));
        emit IJobMarket.JobCancelled(job, 2, escrow - kept);
        assertEq(_cancel(job), escrow - kept, "refund");
        assertEq(market.jobView(job).tasks, 2, "tasks");
        assertEq(_held(job), kept, "held");
        assertEq(market.owedTo(requester), escrow - kept, "owed");
        assertEq(market.jobView(job).closableFrom, closable - 9, "closable nine epochs earlier");
        _assertStatus(job, 1, ShardStatus.SCHEDULED, "kept");
        _assertStatus(job, 2, ShardStatus.CANCELLED, "ended");
        assertFalse(market.isSettled(job, 2), "not settled");

        _play(_answers(job, 0, 2));
        assertEq(_settle(_answers(job, 0, 2)), 2, "kept shards settle");
        Answer memory ended = _answer(job, 2, 0);
        SettleCalls.Entry memory entry = SettleCalls.Entry(uint64(_id(job)), 2, 0, ended.root, new uint8[](3));
        vm.expectRevert(abi.encodeWithSelector(IJobMarket.UnknownShard.selector, job, 2));
        market.settle(SettleCalls.encode(entry), "", "", NodeId.wrap(0));
    }

    function test_cancel__shortLastShard__refundsItAtItsSize() public {
        IJobMarket.JobSpec memory spec = _spec();
        (spec.tasks, spec.shardSize, spec.pace) = (11, 4, 1); // 4, 4, 3
        JobId job = _post(spec);
        uint256 escrow = _held(job);
        spec.tasks = 4;
        assertEq(_cancel(job), escrow - market.quoteEscrow(spec), "seven tasks");
        assertEq(market.jobView(job).tasks, 4, "one whole shard");
    }

    function test_cancel__protocolFeeSet__refundsItToo() public {
        vm.prank(owner);
        market.setProtocolFee(333, rival);
        IJobMarket.JobSpec memory spec = _long(9, 1);
        (spec.units, spec.unitPrice) = (7, 13);
        uint256 escrow = market.quoteEscrow(spec);
        JobId job = _post(spec);
        spec.tasks = 1;
        uint256 kept = market.quoteEscrow(spec);
        vm.prank(owner);
        market.setProtocolFee(0, rival); // what is set now does not matter
        assertEq(_cancel(job), escrow - kept, "refund");
    }

    // --- bits of long jobs ----------------------------------------------------------------------------------------

    /// @dev Settles shards 0 and 1 of a job of 20 in the first epoch possible, then cancels `wait` epochs after it.
    function _cancelledLong(uint256 wait) private returns (JobId job) {
        job = _post(_long(20, 2));
        _play(_answers(job, 0, 2));
        assertEq(_settle(_answers(job, 0, 2)), 2, "settles two");
        _rollTo(_epoch() + wait, 2);
        _cancel(job);
    }

    function _checkBits(JobId job, uint32 tasks) private {
        assertEq(market.jobView(job).tasks, tasks, "tasks");
        assertTrue(market.isSettled(job, 0) && market.isSettled(job, 1), "settled bits are kept");
        for (uint32 i = 2; i < 20; ++i) {
            assertFalse(market.isSettled(job, i), "others are not set");
        }
        _assertStatus(job, 1, ShardStatus.FINAL, "final");
        assertEq(_settle(_answers(job, 0, 2)), 0, "nothing settles twice");
        // A shard of the last kept epoch still runs and settles.
        Answer[] memory rest = _answers(job, tasks - 2, 2);
        _play(rest);
        assertEq(_settle(rest), 2, "kept shards settle");
        assertTrue(market.isSettled(job, tasks - 1) && market.isSettled(job, 0), "all bits in one place");
        assertEq(_settle(rest), 0, "and not twice");
    }

    function test_cancel__longBecomesShort__keepsSettledBits() public {
        _checkBits(_cancelledLong(0), 6);
    }

    function test_cancel__longKeepsExactlyEight__keepsSettledBits() public {
        _checkBits(_cancelledLong(1), 8);
    }

    function test_cancel__longStaysLong__keepsSettledBits() public {
        _checkBits(_cancelledLong(2), 10);
    }

    function test_cancel__keepsNine__staysLong() public {
        IJobMarket.JobSpec memory spec = _long(30, 1);
        JobId job = _post(spec);
        Answer memory first = _answer(job, 0, 0);
        _play(first);
        _settle(_one(first));
        _rollTo(uint256(market.jobView(job).postEpoch) + 8, 2);
        _cancel(job);
        assertEq(market.jobView(job).tasks, 9, "nine");
        assertTrue(market.isSettled(job, 0), "kept");
        _play(_answer(job, 8, 0));
        assertEq(_settle(_one(_answer(job, 8, 0))), 1, "the ninth settles");
        assertTrue(market.isSettled(job, 8), "ninth bit");
    }

    // --- always ---------------------------------------------------------------------------------------------------

    function test_cancel__paused__cancels() public {
        JobId job = _post(_long(20, 2));
        vm.prank(owner);
        market.pause();
        assertGt(_cancel(job), 0, "refund");
    }

    function testFuzz_cancel__anyMoment__splitsTheEscrowExactly(
        uint16 tasks,
        uint8 size,
        uint8 pace,
        uint64 price,
        uint16 feeBps,
        uint8 wait
    ) public {
        vm.prank(owner);
        market.setProtocolFee(uint16(bound(feeBps, 0, 1_000)), rival);
        IJobMarket.JobSpec memory spec = _spec();
        (spec.tasks, spec.shardSize) = (uint32(bound(tasks, 1, 5_000)), uint24(bound(size, 1, 40)));
        (spec.pace, spec.units, spec.unitPrice) = (uint16(bound(pace, 1, 2)), 1, uint64(bound(price, 1, 1e12)));
        JobId job = _post(spec);
        uint256 escrow = _held(job);
        vm.roll(vm.getBlockNumber() + wait);
        uint256 epochs = _counting() + 1 - market.jobView(job).postEpoch;
        uint256 shards = (uint256(spec.tasks) + spec.shardSize - 1) / spec.shardSize;
        if (epochs * spec.pace >= shards) return _nothing(job);
        uint256 refund = _cancel(job);
        spec.tasks = uint32(epochs * spec.pace * spec.shardSize);
        assertEq(_held(job), market.quoteEscrow(spec), "held is the escrow of what is kept");
        assertEq(_held(job) + refund, escrow, "nothing is lost");
        assertEq(market.owedTo(requester), refund, "owed");
        _nothing(job);
    }
}
