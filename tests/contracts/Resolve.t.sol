// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICourt} from "../../contracts/interfaces/ICourt.sol";
import {IJobMarket} from "../../contracts/interfaces/IJobMarket.sol";
import {JobId, NodeId, ShardStatus} from "../../contracts/interfaces/Types.sol";
import {CourtScenes} from "./support/CourtScenes.sol";
import {SettleCalls} from "./support/SettleCalls.sol";

// resolve
// ├── upheld: judges have their pay, members keep theirs, the accuser is due what comes back
// ├── overturned: the paid members' immature pay, exactly
// │   ├── to the accuser up to the bond, then to the requester up to the shard's price, the rest is burned; to the unit
// │   ├── the price holds settle and protocol fee of the slots that were paid
// │   ├── matured pay is out of reach; other nodes' pay is untouched
// │   └── nothing there, taken by another case, matured meanwhile: no revert
// ├── by a later attempt of the case, by any quorum of judges: the minority is unpaid, never slashed
// ├── no verdict: from the first block after the case's last epoch the whole bond is burned, members keep their pay
// └── refused: no case, too early, another receipt than the case's, twice
contract ResolveTest is CourtScenes {
    uint256 internal constant PRICE_OF_SHARD = 2 * PAY + 2 * PAY / 100;

    function _refused(bytes memory reason) internal {
        vm.prank(stranger);
        vm.expectRevert(reason);
        court.resolve(job, SHARD, verdictReceipt);
    }

    function _stakes() internal view returns (uint256[] memory stakes) {
        stakes = new uint256[](10);
        for (uint256 i; i < 10; ++i) {
            stakes[i] = registry.nodeView(_node(i + 1)).stake;
        }
    }

    // --- upheld ---------------------------------------------------------------------------------------------------

    function test_resolve__upheld__membersKeepTheirPay() public {
        _truthSettled();
        uint256[] memory stakes = _stakes();
        _appeal();
        _judged(0, TRUTH, 4, LIE, 0);
        vm.expectEmit(true, true, true, true, address(court));
        emit ICourt.Resolved(job, SHARD, caseJob, TRUTH, false, 0);
        _resolve();
        for (uint256 slot; slot < 2; ++slot) {
            assertEq(_maturing(_seat(slot)), PAY, "members keep their pay");
        }
        for (uint256 slot; slot < 4; ++slot) {
            assertEq(_matured(_judge(slot)), PAY, "judges are paid at once");
        }
        assertEq(_matured(_judge(4)), 0, "the minority is unpaid");
        assertEq(_stakes(), stakes, "and nobody is slashed");
        assertEq(market.owedTo(stranger), (2 + 4) * PAY / 100, "both settle fees");
        assertEq(_held(caseJob), PAY + PAY / 100, "what is left of the bond");
        _assertOwed(0, 0, 0, "nothing moves yet");
        (uint256 toAccuser, uint256 toRequester) = _due();
        assertEq(toAccuser, BOND, "the accuser waits for what comes back");
        assertEq(toRequester, 0, "the requester has nothing to come");
        _assertCase(ShardStatus.FINAL, TRUTH, _epoch(), "final");
        _assertSolvent();
    }

    // --- overturned -----------------------------------------------------------------------------------------------

    function test_resolve__overturned__takesExactlyTheImmaturePay() public {
        _lieSettled();
        uint256[] memory stakes = _stakes();
        _appeal();
        _judged(TRUTH);
        uint256[] memory before = new uint256[](11);
        for (uint256 n = 1; n <= 10; ++n) {
            before[n] = _matured(_node(n));
        }
        (NodeId first, NodeId second) = (_seat(0), _seat(1));
        vm.expectEmit(true, true, true, true, address(market));
        emit IJobMarket.Forfeited(first, PAY);
        vm.expectEmit(true, true, true, true, address(market));
        emit IJobMarket.Forfeited(second, PAY);
        vm.expectEmit(true, true, true, true, address(court));
        emit ICourt.Resolved(job, SHARD, caseJob, TRUTH, true, 2 * PAY);
        vm.expectEmit(true, true, true, true, address(market));
        emit IJobMarket.Assigned(address(court), accuser, 2 * PAY);
        _resolve();
        for (uint256 n = 1; n <= 10; ++n) {
            assertEq(_maturing(_node(n)), 0, "nothing immature is left");
            assertEq(_matured(_node(n)), before[n], "nothing matured is touched");
        }
        _assertOwed(2 * PAY, 0, 0, "all to the accuser");
        (uint256 toAccuser, uint256 toRequester) = _due();
        assertEq(toAccuser, BOND - 2 * PAY, "still due");
        assertEq(toRequester, PRICE_OF_SHARD, "then the shard's price");
        assertEq(_stakes(), stakes, "stake is another matter");
        _assertCase(ShardStatus.FINAL, TRUTH, _epoch(), "final");
        _assertSolvent();
    }

    /// @dev Overturns with `fortune` more for each of the two liars.
    function _overturnedWith(uint64 fortune, uint16 protocolBps) internal returns (uint256 forfeited) {
        _fortune(fortune);
        if (protocolBps != 0) {
            vm.prank(owner);
            market.setProtocolFee(protocolBps, rival);
        }
        _lieSettled();
        _appeal();
        _judged(TRUTH);
        forfeited = _maturing(_seat(0)) + _maturing(_seat(1));
        assertEq(forfeited, 2 * (PAY + fortune), "scene: what there is to take");
        uint256 honest = _maturing(_seat(2));
        _resolve();
        assertEq(_maturing(_seat(0)) + _maturing(_seat(1)), 0, "all is taken");
        assertEq(_maturing(_seat(2)), honest, "from nobody else");
    }

    function _assertWaterfall(uint256 forfeited, uint256 price) internal view {
        uint256 first = forfeited < BOND ? forfeited : BOND;
        uint256 second = forfeited - first < price ? forfeited - first : price;
        _assertOwed(first, second, forfeited - first - second, "accuser, requester, nobody");
        (uint256 toAccuser, uint256 toRequester) = _due();
        assertEq(toAccuser, BOND - first, "accuser due");
        assertEq(toRequester, price - second, "requester due");
        _assertSolvent();
    }

    /// forge-config: default.fuzz.runs = 1000
    /// forge-config: deep.fuzz.runs = 1000
    function testFuzz_resolve__overturned__waterfallToTheUnit(uint64 fortune, uint16 protocolBps) public {
        protocolBps = uint16(bound(protocolBps, 0, 1_000));
        uint256 forfeited = _overturnedWith(uint64(bound(fortune, 1, 120_000)), protocolBps);
        _assertWaterfall(forfeited, PRICE_OF_SHARD + 2 * PAY * protocolBps / 10_000);
    }

    function test_resolve__overturnedExactlyTheBond__accuserIsWhole() public {
        _assertWaterfall(_overturnedWith(uint64(BOND / 2 - PAY), 0), PRICE_OF_SHARD);
        _assertOwed(BOND, 0, 0, "exactly");
    }

    function test_resolve__overturnedBondAndPrice__requesterIsWhole() public {
        _assertWaterfall(_overturnedWith(uint64((BOND + PRICE_OF_SHARD) / 2 - PAY), 0), PRICE_OF_SHARD);
        _assertOwed(BOND, PRICE_OF_SHARD, 0, "exactly");
    }

    function test_resolve__overturnedMoreThanBoth__theRestIsBurned() public {
        _assertWaterfall(_overturnedWith(uint64((BOND + PRICE_OF_SHARD) / 2 - PAY + 1), 0), PRICE_OF_SHARD);
        _assertOwed(BOND, PRICE_OF_SHARD, 2, "what is over");
        assertEq(market.collect(accuser), BOND, "the accuser collects");
        assertEq(market.collect(BURNED), 2, "anyone sends the rest where nobody has it");
        assertEq(payToken.balanceOf(BURNED), 2, "there");
    }

    function test_resolve__overturnedAllThreePaid__priceOfThreeSlots() public {
        _fortune(1_000_000);
        _settled(_spec(), _mix(3, 3, LIE, LIE), LIE, 0);
        _ruled(TRUTH);
        uint256 forfeited = 3 * (PAY + 1_000_000);
        _assertOwed(BOND, 3 * PAY + 3 * PAY / 100, forfeited - BOND - 3 * PAY - 3 * PAY / 100, "three slots");
    }

    /// @dev Pay of jobs without appeals is never immature.
    function test_resolve__overturned__maturedPayIsOutOfReach() public {
        IJobMarket.JobSpec memory spec = _spec();
        (spec.committee, spec.quorum, spec.appealEpochs, spec.pace) = (10, 6, 0, 0);
        JobId other = _post(spec);
        _answerWith(other, SHARD, 0, _mix(10, 10, TRUTH, TRUTH));
        _settleAs(other, SHARD, 0, TRUTH, 0);
        _rollTo(_counting() + 1);
        _lieSettled();
        assertEq(_matured(_seat(0)), PAY, "withdrawable before");
        uint256 all = _matured(_seat(0)) + _matured(_seat(1));
        _ruled(TRUTH);
        assertEq(_matured(_seat(0)) + _matured(_seat(1)), all, "and after");
        _assertOwed(2 * PAY, 0, 0, "only what had not matured");
        assertEq(market.withdraw(_seat(0)), PAY, "it is paid out");
    }

    function test_resolve__afterMaturity__takesNothingAndDoesNotRevert() public {
        _lieSettled();
        _appeal();
        _judged(TRUTH);
        uint256 ended = _epoch();
        NodeId liar = _seat(0);
        _rollTo(ended + 2 * uint256(shape.ring));
        vm.expectEmit(true, true, true, true, address(court));
        emit ICourt.Resolved(job, SHARD, caseJob, TRUTH, true, 0);
        _resolve();
        assertEq(_matured(liar), PAY, "what has matured stays");
        _assertOwed(0, 0, 0, "nothing");
        _assertCase(ShardStatus.FINAL, TRUTH, ended, "the verdict stands all the same");
    }

    /// @dev Anybody can resolve in time: to the last epoch of the longest life the pay is still there.
    function test_resolve__latestCase__payIsStillImmature() public {
        job = _post(_spec());
        _answerWith(job, SHARD, 2, _mix(3, 2, LIE, TRUTH));
        _rollTo(_lastOf(_id(job), SHARD));
        (settled, receipt) = _settleAs(job, SHARD, 2, LIE, 0);
        _rollTo(_epoch() + 7);
        _appeal();
        _answerWith(caseJob, 0, 2, _mix(5, 5, TRUTH, TRUTH));
        _rollTo(court.caseOf(job, SHARD).last, shape.epochBlocks - 1);
        (verdict, verdictReceipt) = _settleAs(caseJob, 0, 2, TRUTH, 0);
        _rollTo(uint256(market.jobView(job).closableFrom) - 1, shape.epochBlocks - 1);
        _resolve();
        _assertOwed(2 * PAY, 0, 0, "taken in the last block before the job closes");
    }

    function test_resolve__twoCasesAboutTheSameNodes__secondTakesWhatIsLeft() public {
        _lieSettled();
        IJobMarket.Receipt memory first = receipt;
        JobId firstJob = job;
        _rollTo(_counting() + 1);
        _settled(_spec(), _mix(3, 3, LIE, LIE), LIE, 0);
        JobId secondJob = job;
        (job, receipt) = (firstJob, first);
        settled.job = _id(job);
        _ruled(TRUTH);
        uint256 owed = market.owedTo(accuser);
        (job, receipt) = (secondJob, _receipt(Answer(_id(secondJob), SHARD, 0, LIE), 7));
        settled.job = _id(job);
        uint256 left;
        for (uint256 slot; slot < 3; ++slot) {
            left += _maturing(_seat(slot));
        }
        assertLt(left, 3 * PAY, "scene: they share a node");
        _rollTo(_epoch() + 1, 2);
        _ruled(TRUTH);
        assertEq(market.owedTo(accuser), owed + left, "what is left and no more");
        assertEq(left + owed, (3 + 2) * PAY, "all that the liars had earned, once");
        _assertSolvent();
    }

    // --- the case as a job ----------------------------------------------------------------------------------------

    function test_resolve__laterAttempt__isAVerdictToo() public {
        _lieSettled();
        _appeal();
        _answerWith(caseJob, 0, 0, _mix(5, 3, TRUTH, LIE)); // three of five are no verdict
        SettleCalls.Call memory three = _plan(_one(Answer(_id(caseJob), 0, 0, TRUTH)));
        vm.expectRevert(abi.encodeWithSelector(IJobMarket.NoQuorum.selector, caseJob, 0, 4, 3));
        market.settle(three.entries, three.lanes, three.openings, NodeId.wrap(0));
        _refused(abi.encodeWithSelector(ICourt.CaseOpen.selector, job, SHARD, caseJob, court.caseOf(job, SHARD).last));
        _judged(1, TRUTH, 4, PASS, 0);
        _resolve();
        _assertCase(ShardStatus.FINAL, TRUTH, _epoch(), "from attempt 1");
        _assertOwed(2 * PAY, 0, 0, "overturned");
    }

    // --- no verdict -----------------------------------------------------------------------------------------------

    function test_resolve__noVerdict__burnsTheBond() public {
        _lieSettled();
        _appeal();
        uint32 last = court.caseOf(job, SHARD).last;
        _rollTo(last, shape.epochBlocks - 1);
        _assertCase(ShardStatus.APPEALED, 0, 0, "to the last block");
        _refused(abi.encodeWithSelector(ICourt.CaseOpen.selector, job, SHARD, caseJob, last));
        _rollTo(last + 1);
        _assertCase(ShardStatus.CONTESTED, 0, last, "before anybody resolves");
        vm.expectEmit(true, true, true, true, address(court));
        emit ICourt.EndedWithoutVerdict(job, SHARD, caseJob, BOND);
        vm.expectEmit(true, true, true, true, address(market));
        emit IJobMarket.Assigned(address(court), BURNED, BOND);
        _resolve();
        _assertOwed(0, 0, BOND, "the whole bond");
        assertEq(_held(caseJob), 0, "nothing left in the case");
        for (uint256 slot; slot < 2; ++slot) {
            assertEq(_maturing(_seat(slot)), PAY, "members keep their pay");
        }
        (uint256 toAccuser, uint256 toRequester) = _due();
        assertEq(toAccuser + toRequester, 0, "nobody is due anything");
        assertTrue(court.caseOf(job, SHARD).burned, "burned");
        _assertCase(ShardStatus.CONTESTED, 0, last, "for ever");
        _refused(abi.encodeWithSelector(ICourt.AlreadyResolved.selector, job, SHARD));
        vm.expectRevert(abi.encodeWithSelector(ICourt.NoVerdict.selector, job, SHARD));
        court.closeCase(job, SHARD);
        _assertSolvent();
    }

    function test_resolve__settledInItsLastBlock__isAVerdictNotContested() public {
        _lieSettled();
        _appeal();
        _answerWith(caseJob, 0, 2, _mix(5, 4, TRUTH, LIE));
        uint32 last = court.caseOf(job, SHARD).last;
        _rollTo(last, shape.epochBlocks - 1);
        (verdict, verdictReceipt) = _settleAs(caseJob, 0, 2, TRUTH, 0);
        _rollTo(uint256(last) + 50);
        _assertCase(ShardStatus.APPEALED, 0, 0, "until somebody shows it");
        _resolve();
        _assertCase(ShardStatus.FINAL, TRUTH, last, "ended when it settled");
    }

    // --- refused --------------------------------------------------------------------------------------------------

    function test_resolve__noCase__reverts() public {
        _lieSettled();
        _refused(abi.encodeWithSelector(ICourt.NoCase.selector, job, SHARD));
        vm.expectRevert(abi.encodeWithSelector(ICourt.NoCase.selector, _job(99), 0));
        court.resolve(_job(99), 0, receipt);
    }

    function test_resolve__otherReceipt__reverts() public {
        _lieSettled();
        _appeal();
        _judged(0, TRUTH, 4, LIE, 0);
        IJobMarket.Receipt memory good = verdictReceipt;
        bytes memory reason = abi.encodeWithSelector(IJobMarket.NotSettled.selector, caseJob, 0);
        verdictReceipt = receipt; // the appealed shard's own
        _refused(reason);
        verdictReceipt = good;
        verdictReceipt.resultRoot = LIE;
        _refused(reason);
        verdictReceipt = good;
        verdictReceipt.paidSlots = 31;
        _refused(reason);
        verdictReceipt = good;
        verdictReceipt.attempt = 1;
        _refused(reason);
        verdictReceipt = good;
        verdictReceipt.path.push(TRUTH);
        _refused(reason);
        verdictReceipt = good;
        _resolve();
        _refused(abi.encodeWithSelector(ICourt.AlreadyResolved.selector, job, SHARD));
        verdictReceipt = receipt;
        _refused(abi.encodeWithSelector(ICourt.AlreadyResolved.selector, job, SHARD));
    }
}
