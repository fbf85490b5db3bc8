// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IJobMarket} from "../../contracts/interfaces/IJobMarket.sol";
import {JobId, NodeId, ShardStatus} from "../../contracts/interfaces/Types.sol";
import {Scenes} from "./support/Scenes.sol";

// close
// ├── refused
// │   ├── an unknown job
// │   ├── before the last shard's last + REPORT_EPOCHS + 1 (and, with appeals, the windows of a case)
// │   └── twice, or with nothing left
// ├── by anyone, to the requester
// ├── refunds escrow - paid - fees, exactly
// │   ├── nothing settled: everything
// │   ├── some settled, some expired; void and unclaimed slots; a claimed one
// │   └── after a cancel, by the shards that were kept
// ├── nothing that moves its escrow can come after it: the last claim and the last settle lie before
// └── paused market: closes
// collect
// ├── pays what is owed to the account, by anyone's call, once
// └── nothing owed: NothingToWithdraw
contract CloseTest is Scenes {
    uint256 internal constant PAY = 12_000;

    /// @dev A court, so that jobs may ask for appeals; those that do not are the same without.
    function _courtOf() internal override returns (address) {
        return _newCourt();
    }

    /// @dev One judge, so that few nodes are enough to post what can be appealed.
    function _judges() internal pure override returns (uint8) {
        return 1;
    }

    function setUp() public override {
        super.setUp();
        _cast(3);
    }

    function _closableFrom(JobId job) internal view returns (uint256) {
        return market.jobView(job).closableFrom;
    }

    function _refused(JobId job, bytes memory reason) internal {
        vm.expectRevert(reason);
        market.close(job);
    }

    function test_close__unknownJob__reverts() public {
        _refused(_job(3), abi.encodeWithSelector(IJobMarket.UnknownJob.selector, _job(3)));
    }

    function test_close__beforeItsEpoch__reverts() public {
        IJobMarket.JobSpec memory spec = _spec();
        (spec.tasks, spec.pace, spec.work, spec.maxAttempts) = (5, 2, 2, 2);
        JobId job = _post(spec);
        uint256 from = _lastOf(_id(job), 4) + 4 + 1;
        assertEq(_closableFrom(job), from, "after the last shard's last, and the time for claims");
        _rollTo(from - 1, shape.epochBlocks - 1);
        _refused(job, abi.encodeWithSelector(IJobMarket.NotClosable.selector, job, uint32(from), uint32(from - 1)));
        _rollTo(from);
        assertEq(market.close(job), market.quoteEscrow(spec), "everything");
    }

    function test_close__nothingSettled__refundsEverythingToRequester() public {
        JobId job = _post(_spec());
        uint256 escrow = _held(job);
        _rollTo(_closableFrom(job));
        _assertStatus(job, 0, ShardStatus.EXPIRED, "expired");
        vm.expectEmit(true, true, true, true, address(market));
        emit IJobMarket.JobClosed(job, escrow);
        vm.prank(stranger);
        assertEq(market.close(job), escrow, "refund");
        assertEq(market.owedTo(requester), escrow, "to the requester");
        assertEq(market.owedTo(stranger), 0, "not to the caller");
        assertEq(_held(job), 0, "nothing held");
        _refused(job, abi.encodeWithSelector(IJobMarket.AlreadyClosed.selector, job));
    }

    function test_close__allPaid__hasNothingLeft() public {
        (JobId job,,) = _settledJob(_spec());
        assertEq(_held(job), 0, "all is paid");
        _rollTo(_closableFrom(job));
        _refused(job, abi.encodeWithSelector(IJobMarket.AlreadyClosed.selector, job));
    }

    /// @dev The one shard of a job settles with `paid` slots of `committee`; what closing gives back.
    function _closedAfter(uint8 committee, uint8 quorum, uint16 hidden, uint256 paid) private {
        IJobMarket.JobSpec memory spec = _spec();
        (spec.committee, spec.quorum) = (committee, quorum);
        JobId job = _postAmong(spec, committee - 3); // no others than three will be there to be drawn
        uint256 escrow = _held(job);
        assertEq(escrow, committee * PAY + committee * PAY / 100, "scene: every slot and its fee");
        Answer memory answer = _answer(job, 0, 0);
        _play(answer);
        if (hidden != 0) _rollTo(_epoch() + 1, 2);
        assertEq(_send(_planWithout(answer, hidden), stranger), 1, "scene: settles");
        _rollTo(_closableFrom(job));
        assertEq(market.close(job), escrow - paid * PAY - paid * PAY / 100, "what was not paid, and its fee");
        assertEq(market.owedTo(requester), escrow - paid * PAY - paid * PAY / 100, "to the requester");
    }

    function test_close__voidSlots__payAndFeeComeBack() public {
        _closedAfter(5, 3, 0, 3);
    }

    function test_close__slotNotClaimedInTime__payAndFeeComeBack() public {
        _closedAfter(3, 2, 1, 2);
    }

    function test_close__partlySettled__refundsTheRestExactly() public {
        vm.prank(owner);
        market.setProtocolFee(250, owner);
        IJobMarket.JobSpec memory spec = _spec();
        (spec.tasks, spec.shardSize, spec.pace, spec.units, spec.unitPrice) = (11, 4, 2, 7, 33);
        JobId job = _post(spec);
        uint256 escrow = _held(job);
        uint256 price = 7 * 33;
        // Shard 0: two of three are paid, the third claims. Shard 1: one dissents. Shard 2 (three tasks) expires.
        _rollTo(_startOf(_id(job), 0, 0), 2);
        mannerOf[_member(_id(job), 1, 0, 0)] = Manner.WRONG;
        Answer[] memory answers = _answers(job, 0, 2);
        _play(answers);
        _rollTo(_epoch() + 1, 2);
        uint16 all0 = _paidSlots(answers[0]);
        uint16 hidden = all0 == 7 ? 1 : 0;
        assertEq(_send(_planWithout(answers[0], hidden), stranger), 1, "shard 0");
        assertEq(_settle(_one(answers[1])), 1, "shard 1");
        if (hidden == 1) {
            NodeId left = _member(_id(job), 0, 0, 0);
            market.claim(job, 0, _receipt(answers[0], 6), 0, _claimOpening(answers[0], left));
        }
        uint256 two = 2 * 4 * price;
        uint256 fees = 2 * (two / 100 + two * 250 / 10_000);
        uint256 claimed = hidden == 1 ? 4 * price : 0;
        _rollTo(_closableFrom(job));
        assertEq(market.close(job), escrow - 2 * two - fees - claimed, "escrow - paid - fees");
        uint256 paid = _matured(_node(1)) + _matured(_node(2)) + _matured(_node(3));
        assertEq(paid, 2 * two + claimed, "what members earned");
        assertEq(
            paid + market.owedTo(stranger) + market.owedTo(owner) + market.owedTo(requester), escrow, "to the unit"
        );
    }

    function test_close__afterCancel__byTheKeptShards() public {
        IJobMarket.JobSpec memory spec = _spec();
        (spec.tasks, spec.pace) = (20, 1);
        JobId job = _post(spec);
        uint256 escrow = _held(job);
        vm.prank(requester);
        uint256 refund = market.cancel(job);
        _rollTo(_lastOf(_id(job), 0) + 4 + 1);
        assertEq(market.close(job), escrow - refund, "the rest");
        assertEq(market.owedTo(requester), escrow, "all came back");
        market.collect(requester);
        assertEq(payToken.balanceOf(requester), 1e24, "in tokens");
    }

    function test_close__lastMomentOfOthers__liesBefore() public {
        JobId job = _post(_spec());
        Answer memory answer = _answer(job, 0, 0);
        _play(answer);
        uint256 last = _lastOf(_id(job), 0);
        _rollTo(last, shape.epochBlocks - 1);
        _send(_planWithout(answer, 1), stranger); // settled as late as can be
        _rollTo(_closableFrom(job) - 1, shape.epochBlocks - 1);
        NodeId node = _member(_id(job), 0, 0, 0);
        bytes memory opening = _claimOpening(answer, node);
        uint256 id = vm.snapshotState();
        market.claim(job, 0, _receipt(answer, 6), 0, opening); // claimed as late as can be
        assertEq(_matured(node), PAY, "paid");
        vm.revertToState(id);
        _rollTo(_closableFrom(job));
        market.close(job);
        vm.expectRevert(abi.encodeWithSelector(IJobMarket.TooLate.selector, job, 0, uint32(last + 4), uint32(last + 5)));
        market.claim(job, 0, _receipt(answer, 6), 0, opening);
    }

    function test_close__paused__closes() public {
        JobId job = _post(_spec());
        vm.prank(owner);
        market.pause();
        _rollTo(_closableFrom(job));
        assertGt(market.close(job), 0, "refund");
        market.collect(requester);
        assertEq(payToken.balanceOf(requester), 1e24, "and collects");
    }

    function test_close__appealEpochs__waitsForACase() public {
        IJobMarket.JobSpec memory spec = _spec();
        spec.appealEpochs = 7;
        JobId job = _postAmongFew(spec);
        uint256 last = _lastOf(_id(job), 0);
        uint256 from = last + 7 + (3 * 3 + 8) + 4 + 1;
        assertEq(market.jobView(job).closableFrom, from, "window, case, claims");
        _rollTo(from - 1, shape.epochBlocks - 1);
        vm.expectRevert(abi.encodeWithSelector(IJobMarket.NotClosable.selector, job, uint32(from), uint32(from - 1)));
        market.close(job);
        _rollTo(from);
        assertEq(market.close(job), market.quoteEscrow(spec), "everything");
    }

    // --- collect --------------------------------------------------------------------------------------------------

    function test_collect__owed__paysOnce() public {
        JobId job = _post(_spec());
        _rollTo(_closableFrom(job));
        uint256 refund = market.close(job);
        vm.expectEmit(true, true, true, true, address(market));
        emit IJobMarket.Collected(requester, refund);
        vm.prank(stranger);
        assertEq(market.collect(requester), refund, "amount");
        assertEq(payToken.balanceOf(requester), 1e24, "to the account");
        assertEq(market.owedTo(requester), 0, "nothing is owed");
        vm.expectRevert(IJobMarket.NothingToWithdraw.selector);
        market.collect(requester);
    }

    function test_collect__neverOwed__reverts() public {
        vm.expectRevert(IJobMarket.NothingToWithdraw.selector);
        market.collect(stranger);
    }

    function test_collect__again__isNotOffByOne() public {
        for (uint256 i = 1; i <= 3; ++i) {
            JobId job = _post(_spec());
            _rollTo(_closableFrom(job));
            uint256 refund = market.close(job);
            assertEq(market.owedTo(requester), refund, "owed");
            assertEq(market.collect(requester), refund, "collected");
        }
        assertEq(payToken.balanceOf(address(market)), 0, "the market holds nothing");
    }
}
