// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICourt} from "../../contracts/interfaces/ICourt.sol";
import {IJobMarket} from "../../contracts/interfaces/IJobMarket.sol";
import {NodeId} from "../../contracts/interfaces/Types.sol";
import {CourtScenes} from "./support/CourtScenes.sol";

// closeCase
// ├── upheld: what the judges did not earn comes back to the accuser, to the unit
// ├── overturned: the same way as what was forfeited, so that the accuser ends whole exactly and never above
// │   ├── not whole yet: to him; whole already: to the requester up to the shard's price; both whole: burned
// │   └── a fault reported afterwards goes the same way
// ├── a judge that was left out claims first, like any member, for REPORT_EPOCHS
// ├── when: from the case's closable epoch on, by anyone, once
// └── refused: no case, no verdict yet or ever, too early, twice, nothing left; by the market's own close
contract CloseCaseTest is CourtScenes {
    uint256 internal constant PRICE_OF_SHARD = 2 * PAY + 2 * PAY / 100;
    /// @dev Of a judge that did not earn his slot.
    uint256 internal constant SLOT = PAY + PAY / 100;

    function _refused(bytes memory reason) internal {
        vm.prank(stranger);
        vm.expectRevert(reason);
        court.closeCase(job, SHARD);
    }

    /// @dev Appealed, four judges agree, resolved, and its claims are over.
    function _ruledByFour(bytes32 root) internal {
        _appeal();
        _judged(0, root, 4, PASS, 0);
        _resolve();
        _rollTo(market.jobView(caseJob).closableFrom);
    }

    function _close(uint256 expected) internal {
        vm.expectEmit(true, true, true, true, address(court));
        emit ICourt.CaseClosed(job, SHARD, caseJob, expected);
        vm.prank(stranger);
        assertEq(court.closeCase(job, SHARD), expected, "what comes back");
        assertEq(_held(caseJob), 0, "nothing is left");
        _assertSolvent();
    }

    // --- upheld ---------------------------------------------------------------------------------------------------

    function test_closeCase__upheld__accuserPaysWhatTheJudgesEarned() public {
        _truthSettled();
        _ruledByFour(TRUTH);
        _close(SLOT);
        _assertOwed(SLOT, 0, 0, "to the accuser");
        market.collect(accuser);
        assertEq(PURSE - payToken.balanceOf(accuser), 4 * PAY + 4 * PAY / 100, "judges' pay and settle fee, no more");
        (uint256 toAccuser,) = _due();
        assertEq(toAccuser, BOND - SLOT, "what he was not given");
    }

    function test_closeCase__allJudgesPaid__nothingIsLeft() public {
        _truthSettled();
        _ruled(TRUTH);
        _rollTo(market.jobView(caseJob).closableFrom);
        _refused(abi.encodeWithSelector(IJobMarket.AlreadyClosed.selector, caseJob));
        _assertOwed(0, 0, 0, "the bond has paid the judges");
    }

    // --- overturned -----------------------------------------------------------------------------------------------

    function test_closeCase__overturnedAccuserNotWhole__goesToHim() public {
        _lieSettled();
        _ruledByFour(TRUTH);
        _assertOwed(2 * PAY, 0, 0, "from the liars");
        _close(SLOT);
        _assertOwed(2 * PAY + SLOT, 0, 0, "and from the bond");
    }

    /// @dev He is owed a few units less than a slot when the case closes: those, and the requester the rest.
    function test_closeCase__overturnedNearlyWhole__splitsToTheUnit() public {
        _fortune(uint64((BOND - 10) / 2 - PAY));
        _lieSettled();
        _ruledByFour(TRUTH);
        _assertOwed(BOND - 10, 0, 0, "ten short");
        _close(SLOT);
        _assertOwed(BOND, SLOT - 10, 0, "whole exactly; the requester next");
        (uint256 toAccuser, uint256 toRequester) = _due();
        assertEq(toAccuser, 0, "he is whole");
        assertEq(toRequester, PRICE_OF_SHARD - SLOT + 10, "the requester not yet");
        market.collect(accuser);
        assertEq(payToken.balanceOf(accuser), PURSE, "never above");
    }

    function test_closeCase__overturnedRequesterNearlyWhole__restIsBurned() public {
        _fortune(uint64((BOND + PRICE_OF_SHARD - 10) / 2 - PAY));
        _lieSettled();
        _ruledByFour(TRUTH);
        _assertOwed(BOND, PRICE_OF_SHARD - 10, 0, "ten short");
        _close(SLOT);
        _assertOwed(BOND, PRICE_OF_SHARD, SLOT - 10, "both whole; the rest is nobody's");
    }

    function test_closeCase__overturnedBothWhole__allIsBurned() public {
        _fortune(1_000_000);
        _lieSettled();
        _ruledByFour(TRUTH);
        uint256 burned = market.owedTo(BURNED);
        _close(SLOT);
        _assertOwed(BOND, PRICE_OF_SHARD, burned + SLOT, "all of it");
    }

    function test_closeCase__faultReportedAfterwards__goesTheSameWay() public {
        _fortune(20_000);
        _lieSettled();
        _ruledByFour(TRUTH);
        uint256 first = 2 * (PAY + 20_000);
        _close(SLOT);
        _assertOwed(first + SLOT, 0, 0, "not whole");
        // New work of the liars, immature when their answer is reported.
        _fortune(200_000);
        NodeId liar = _seat(0);
        assertEq(_maturing(liar), 200_000, "scene: new pay");
        bytes memory opening = _ownOpening(job, SHARD, 0, LIE, liar);
        court.reportWrong(job, SHARD, 0, 0, LIE, opening);
        uint256 missing = BOND - first - SLOT;
        uint256 second = 200_000 - missing < PRICE_OF_SHARD ? 200_000 - missing : PRICE_OF_SHARD;
        _assertOwed(BOND, second, 200_000 - missing - second, "accuser, requester, nobody");
    }

    // --- a judge's claim ------------------------------------------------------------------------------------------

    function test_closeCase__judgeLeftOut__claimsFirst() public {
        _truthSettled();
        _appeal();
        _judged(0, TRUTH, 5, TRUTH, 16); // the fifth is not shown
        _resolve();
        NodeId judge = _judge(4);
        bytes memory opening = _claimOpening(verdict, judge);
        uint256 last = _epoch() + market.REPORT_EPOCHS();
        _rollTo(last, shape.epochBlocks - 1);
        market.claim(caseJob, 0, verdictReceipt, 4, opening);
        assertEq(_matured(judge), PAY, "paid like the others, withdrawable at once");
        _rollTo(market.jobView(caseJob).closableFrom);
        _close(PAY / 100);
        _assertOwed(PAY / 100, 0, 0, "only the fee of the claimed slot comes back");
    }

    // --- when -----------------------------------------------------------------------------------------------------

    function test_closeCase__beforeItsEpoch__reverts() public {
        _truthSettled();
        _appeal();
        _judged(0, TRUTH, 4, PASS, 0);
        _resolve();
        uint32 from = market.jobView(caseJob).closableFrom;
        assertEq(from, uint256(court.caseOf(job, SHARD).last) + 4 + 1, "after any settlement's claims");
        _rollTo(from - 1, shape.epochBlocks - 1);
        _refused(abi.encodeWithSelector(IJobMarket.NotClosable.selector, caseJob, from, from - 1));
        _rollTo(from);
        _close(SLOT);
        _refused(abi.encodeWithSelector(IJobMarket.AlreadyClosed.selector, caseJob));
        _assertOwed(SLOT, 0, 0, "once");
    }

    function test_closeCase__settledButNotResolved__waitsForResolve() public {
        _truthSettled();
        _appeal();
        _judged(0, TRUTH, 4, PASS, 0);
        _rollTo(uint256(market.jobView(caseJob).closableFrom) + 30);
        _refused(abi.encodeWithSelector(ICourt.NoVerdict.selector, job, SHARD));
        _resolve();
        _close(SLOT);
    }

    function test_closeCase__noCaseOrNoVerdict__reverts() public {
        _truthSettled();
        _refused(abi.encodeWithSelector(ICourt.NoCase.selector, job, SHARD));
        _unjudged();
        _refused(abi.encodeWithSelector(ICourt.NoVerdict.selector, job, SHARD));
        _resolve();
        _refused(abi.encodeWithSelector(ICourt.NoVerdict.selector, job, SHARD));
    }

    /// @dev Only the Court knows whose a case's money is.
    function test_close__ofACaseByAnybodyElse__reverts() public {
        _truthSettled();
        _ruledByFour(TRUTH);
        address[4] memory callers = [stranger, accuser, requester, owner];
        for (uint256 i; i < callers.length; ++i) {
            vm.prank(callers[i]);
            vm.expectRevert(abi.encodeWithSelector(IJobMarket.NotCourt.selector, callers[i]));
            market.close(caseJob);
            vm.prank(callers[i]);
            vm.expectRevert(
                abi.encodeWithSelector(IJobMarket.NotRequester.selector, caseJob, address(court), callers[i])
            );
            market.cancel(caseJob);
        }
        _close(SLOT);
        _rollTo(market.jobView(job).closableFrom);
        vm.prank(stranger);
        market.close(job); // the job itself like any other
    }
}
