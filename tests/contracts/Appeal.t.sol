// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {ICourt} from "../../contracts/interfaces/ICourt.sol";
import {IJobMarket} from "../../contracts/interfaces/IJobMarket.sol";
import {INodeRegistry} from "../../contracts/interfaces/INodeRegistry.sol";
import {JobId, NodeId, ShardStatus} from "../../contracts/interfaces/Types.sol";
import {CourtScenes} from "./support/CourtScenes.sol";

// appeal
// ├── a settled shard: a case is posted with the shard's tasks, price, pool, work and attempts, five judges, four agreeing
// │   ├── the bond moves from the payer to the market, the Court holds nothing; both events; the shard is APPEALED
// │   └── each shard of a job has its own case
// ├── who pays
// │   ├── the requester, a stranger: they themselves
// │   ├── a node's key: its operator, by its allowance to the Court; once replaced, the key's own account
// │   └── allowance or balance missing or too small: the token's error, nothing is left behind
// ├── when: from the block of settlement; the last block that counts for settledAt + appealEpochs; then TooLate
// ├── refused: unknown job, not settled, another receipt, no appeals, a case, twice, also after it ended
// └── market and registry paused, pool closed, floor raised, maxShardPay lowered: goes through to its verdict
contract AppealTest is CourtScenes {
    function _refused(bytes memory reason) internal {
        uint256 balance = payToken.balanceOf(accuser);
        uint64 jobs = market.jobCount();
        vm.prank(accuser);
        vm.expectRevert(reason);
        court.appeal(job, SHARD, receipt);
        assertEq(payToken.balanceOf(accuser), balance, "nothing is taken");
        assertEq(market.jobCount(), jobs, "nothing is posted");
    }

    // --- what it does ---------------------------------------------------------------------------------------------

    /// @dev The word of the case, written out.
    function _caseWord() private view returns (uint256 word) {
        IJobMarket.JobView memory v = market.jobView(job);
        word = PRICE << 168 | 2 << 136 | 2 << 112 | _counting() << 80 | 1 << 64;
        word |= 1 << 48 | 5 << 40 | 4 << 32 | uint256(v.work) << 24 | uint256(v.maxAttempts) << 16 | 0x4000;
    }

    function test_appeal__settledShard__postsTheCase() public {
        _lieSettled();
        uint256[] memory slots = _committee(_id(job), SHARD, 0);
        uint256 low = slots[0] << 224 | slots[1] << 192 | slots[2] << 160;
        uint32 start = uint32(_startOf(_id(job), SHARD, 0));
        JobId next = _job(market.jobCount() + 1);
        uint256 held = payToken.balanceOf(address(market));
        uint256 word = _caseWord();
        assertEq(court.bondOf(job, SHARD), BOND, "bond");
        vm.expectEmit(true, true, true, true, address(market));
        emit IJobMarket.CasePosted(next, job, SHARD, word);
        vm.expectEmit(true, true, true, true, address(court));
        emit ICourt.Appealed(job, SHARD, next, accuser, BOND, LIE, low, 0, start);
        _appeal();
        assertEq(_id(caseJob), _id(next), "the case's job");
        assertEq(market.jobWord(caseJob), word, "its word");
        assertEq(payToken.balanceOf(accuser), PURSE - BOND, "the accuser pays");
        assertEq(payToken.balanceOf(address(market)), held + BOND, "the market holds it");
        assertEq(_held(caseJob), BOND, "as the case's escrow");
        _assertOwed(0, 0, 0, "nobody is owed anything yet");
        (uint256 before, uint256 exLow, uint256 exHigh) = court.exclusions(caseJob);
        assertEq(before, start, "held before the appealed attempt");
        assertEq(exLow, low, "its committee");
        assertEq(exHigh, 0, "three slots");
        _assertSolvent();
    }

    function test_appeal__case__isAnOrdinaryJobOfTheSameTasks() public {
        IJobMarket.JobSpec memory spec = _spec();
        (spec.work, spec.maxAttempts, spec.appealEpochs) = (3, 2, 9);
        _settled(spec, _mix(3, 3, TRUTH, TRUTH), TRUTH, 0);
        _appeal();
        IJobMarket.JobView memory v = market.jobView(caseJob);
        assertEq(v.requester, address(court), "requester");
        assertEq(uint256(v.tasks) << 32 | v.shardSize, 2 << 32 | 2, "one shard of the appealed shard's tasks");
        assertEq(v.postEpoch, _counting(), "post epoch");
        assertEq(uint256(v.pace) << 16 | uint256(v.committee) << 8 | v.quorum, 0x10504, "pace, judges, quorum");
        assertEq(
            uint256(v.work) << 16 | uint256(v.maxAttempts) << 8 | v.appealEpochs, 0x30200, "work, attempts, no appeal"
        );
        assertEq(v.taskPrice, PRICE, "price");
        assertEq(v.protocolFeeBps, 0, "no protocol fee");
        ICourt.CaseView memory c = court.caseOf(job, SHARD);
        assertEq(c.last, _lastOf(_id(caseJob), 0), "its last epoch is the market's");
        assertEq(uint256(c.attempt) << 16 | c.paidSlots, 7, "attempt and paid slots");
        assertEq(c.settledRoot, TRUTH, "what is appealed");
        assertEq(c.verdict, 0, "no verdict");
        assertEq(uint256(c.ended), 0, "not ended");
        assertEq(c.accuserDue, BOND, "the accuser is due his bond");
        assertEq(c.requesterDue, 0, "nothing is due to the requester");
        _assertCase(ShardStatus.APPEALED, 0, 0, "open");
        _assertStatus(job, SHARD, ShardStatus.APPEALED, "without a path");
        assertEq(uint256(market.shardStatus(job, SHARD, receipt)), uint256(ShardStatus.APPEALED), "by receipt");
    }

    function test_appeal__twoShardsOfAJob__haveACaseEach() public {
        JobId both = _post(_spec());
        Answer[] memory answers = _answers(both, 0, 2);
        _play(answers);
        uint16[] memory paid = new uint16[](2);
        (paid[0], paid[1]) = (_paidSlots(answers[0]), _paidSlots(answers[1]));
        assertEq(_settle(answers), 2, "settles");
        uint256 longer = 5 * 3 * PRICE + 5 * 3 * PRICE / 100;
        assertEq(court.bondOf(both, 0), longer, "a full shard has three tasks");
        vm.startPrank(accuser);
        JobId first = court.appeal(both, 0, _receipt(answers, paid, 0));
        JobId second = court.appeal(both, 1, _receipt(answers, paid, 1));
        vm.stopPrank();
        assertEq(_held(first), longer, "bond of the first");
        assertEq(_held(second), BOND, "bond of the second");
        assertEq(_id(court.caseOf(both, 0).caseJob), _id(first), "first");
        assertEq(_id(court.caseOf(both, 1).caseJob), _id(second), "second");
        (, uint256 low,) = court.exclusions(first);
        (, uint256 other,) = court.exclusions(second);
        assertNotEq(low, other, "each excludes its own committee");
    }

    // --- who pays -------------------------------------------------------------------------------------------------

    function test_appeal__requester__paysHimself() public {
        _lieSettled();
        vm.prank(requester);
        payToken.approve(address(court), BOND);
        uint256 balance = payToken.balanceOf(requester);
        vm.prank(requester);
        caseJob = court.appeal(job, SHARD, receipt);
        assertEq(balance - payToken.balanceOf(requester), BOND, "the bond");
        assertEq(court.caseOf(job, SHARD).accuser, requester, "accuser");
    }

    function test_appeal__nodeKey__pullsFromItsOperatorsAllowance() public {
        _lieSettled();
        vm.prank(requester);
        payToken.transfer(operator, BOND);
        address key = keyOf[_seat(2)];
        vm.prank(key);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(court), 0, BOND)
        );
        court.appeal(job, SHARD, receipt);
        vm.prank(operator);
        payToken.approve(address(court), BOND);
        vm.prank(key);
        caseJob = court.appeal(job, SHARD, receipt);
        assertEq(payToken.balanceOf(operator), 0, "the operator pays");
        assertEq(payToken.allowance(operator, address(court)), 0, "by its allowance");
        assertEq(court.caseOf(job, SHARD).accuser, operator, "and is the accuser");
    }

    function test_appeal__replacedKey__paysItself() public {
        _lieSettled();
        address old = keyOf[_seat(2)];
        bytes memory consent = _consent(0xFEED, operator, block.timestamp);
        NodeId node = _seat(2);
        vm.startPrank(operator);
        registry.replaceKey(node, vm.addr(0xFEED), block.timestamp, consent);
        payToken.approve(address(court), type(uint256).max);
        vm.stopPrank();
        vm.prank(requester);
        payToken.transfer(operator, BOND);
        vm.prank(old);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(court), 0, BOND)
        );
        court.appeal(job, SHARD, receipt);
        vm.prank(vm.addr(0xFEED));
        court.appeal(job, SHARD, receipt);
        assertEq(court.caseOf(job, SHARD).accuser, operator, "the new key speaks for the operator");
    }

    function test_appeal__allowanceOrBalanceTooSmall__leavesNothingBehind() public {
        _lieSettled();
        vm.prank(accuser);
        payToken.approve(address(court), BOND - 1);
        _refused(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(court), BOND - 1, BOND)
        );
        vm.startPrank(accuser);
        payToken.approve(address(court), BOND);
        payToken.transfer(rival, PURSE - BOND + 1);
        vm.stopPrank();
        _refused(abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, accuser, BOND - 1, BOND));
        _assertCase(ShardStatus.NONE, 0, 0, "no case");
        vm.expectRevert(abi.encodeWithSelector(ICourt.NoCase.selector, job, SHARD));
        court.caseOf(job, SHARD);
        JobId next = _job(market.jobCount() + 1);
        vm.expectRevert(abi.encodeWithSelector(ICourt.NotACase.selector, next));
        court.exclusions(next);
        _assertStatus(job, SHARD, ShardStatus.SETTLED, "only settled");
        vm.prank(rival);
        payToken.transfer(accuser, 1);
        _appeal();
        assertEq(payToken.balanceOf(accuser), 0, "to the unit");
    }

    // --- when -----------------------------------------------------------------------------------------------------

    function test_appeal__windowEdges__byBlock() public {
        _lieSettled();
        uint256 settledAt = _epoch();
        uint256 id = vm.snapshotState();
        _appeal();
        vm.revertToState(id);
        // A block counts for the next epoch from LEAD blocks before it on.
        _rollTo(settledAt + 7, shape.epochBlocks - shape.lead);
        uint32 until = uint32(settledAt + 7);
        _refused(abi.encodeWithSelector(IJobMarket.TooLate.selector, job, SHARD, until, until + 1));
        assertEq(uint256(market.shardStatus(job, SHARD, receipt)), uint256(ShardStatus.SETTLED), "not yet final");
        _rollTo(settledAt + 8);
        _refused(abi.encodeWithSelector(IJobMarket.TooLate.selector, job, SHARD, until, until + 1));
        _rollTo(settledAt + 90);
        _refused(abi.encodeWithSelector(IJobMarket.TooLate.selector, job, SHARD, until, uint32(settledAt + 90)));
        _rollTo(settledAt + 7, shape.epochBlocks - shape.lead - 1);
        _appeal();
        assertEq(market.jobView(caseJob).postEpoch, until, "in the last block");
        // All that follows fits: it is over before the job can be closed.
        uint256 last = court.caseOf(job, SHARD).last;
        assertLe(last + market.REPORT_EPOCHS() + 1, market.jobView(job).closableFrom, "before the job's close");
    }

    function test_appeal__lastSettleLastAppeal__closesExactlyWithTheCase() public {
        job = _post(_spec());
        _answerWith(job, SHARD, 2, _mix(3, 3, TRUTH, TRUTH));
        _rollTo(_lastOf(_id(job), SHARD), shape.epochBlocks - 1);
        (settled, receipt) = _settleAs(job, SHARD, 2, TRUTH, 0);
        _rollTo(_epoch() + 7, shape.epochBlocks - shape.lead - 1);
        _appeal();
        uint256 last = court.caseOf(job, SHARD).last;
        assertEq(last + market.REPORT_EPOCHS() + 1, market.jobView(job).closableFrom, "not an epoch to spare");
    }

    // --- refused --------------------------------------------------------------------------------------------------

    function test_appeal__notSettledSo__reverts() public {
        _lieSettled();
        (JobId good, IJobMarket.Receipt memory whole) = (job, receipt);
        job = _job(99);
        _refused(abi.encodeWithSelector(IJobMarket.UnknownJob.selector, job));
        job = good;
        vm.prank(accuser);
        vm.expectRevert(abi.encodeWithSelector(IJobMarket.NotSettled.selector, job, 0));
        court.appeal(job, 0, receipt); // another shard's receipt
        vm.prank(accuser);
        vm.expectRevert(abi.encodeWithSelector(IJobMarket.NotSettled.selector, job, 2));
        court.appeal(job, 2, receipt); // beyond the job
        bytes memory reason = abi.encodeWithSelector(IJobMarket.NotSettled.selector, job, SHARD);
        receipt.attempt = 1;
        _refused(reason);
        receipt = whole;
        receipt.paidSlots = 7;
        _refused(reason);
        receipt = whole;
        receipt.resultRoot = TRUTH;
        _refused(reason);
        receipt = whole;
        receipt.path.push(LIE);
        _refused(reason);
        receipt = whole;
        _appeal();
    }

    function test_appeal__jobWithoutAppeals__reverts() public {
        IJobMarket.JobSpec memory spec = _spec();
        spec.appealEpochs = 0;
        _settled(spec, _mix(3, 3, TRUTH, TRUTH), TRUTH, 0);
        _refused(abi.encodeWithSelector(ICourt.NotAppealable.selector, job));
    }

    function test_appeal__caseItself__reverts() public {
        _lieSettled();
        _appeal();
        _judged(TRUTH);
        vm.prank(accuser);
        vm.expectRevert(abi.encodeWithSelector(ICourt.NotAppealable.selector, caseJob));
        court.appeal(caseJob, 0, verdictReceipt);
    }

    function test_appeal__twice__revertsAlsoAfterItEnded() public {
        _lieSettled();
        _appeal();
        bytes memory reason = abi.encodeWithSelector(ICourt.AlreadyAppealed.selector, job, SHARD, caseJob);
        _refused(reason);
        _judged(TRUTH);
        _refused(reason);
        _resolve();
        _refused(reason);
        assertLe(_counting(), _startOf(_id(caseJob), 0, 0) + 7, "within the window still");
    }

    function test_bondOf__unknownShardOrJob__reverts() public {
        _lieSettled();
        vm.expectRevert(abi.encodeWithSelector(IJobMarket.UnknownShard.selector, job, 2));
        court.bondOf(job, 2);
        vm.expectRevert(abi.encodeWithSelector(IJobMarket.UnknownJob.selector, _job(9)));
        court.bondOf(_job(9), 0);
    }

    // --- nobody's permission --------------------------------------------------------------------------------------

    function test_appeal__everythingShut__goesThroughToItsVerdict() public {
        _lieSettled();
        INodeRegistry.PoolTerms memory terms = _terms();
        (terms.open, terms.floor, terms.maxShardPay) = (false, type(uint64).max, 1);
        vm.startPrank(owner);
        market.pause();
        registry.pause();
        registry.tunePool(pool, terms);
        vm.stopPrank();
        _ruled(TRUTH);
        _assertCase(ShardStatus.FINAL, TRUTH, _epoch(), "judged and resolved");
        assertEq(_matured(_judge(0)), PAY, "the judges are paid");
        _rollTo(market.jobView(caseJob).closableFrom);
        vm.expectRevert(abi.encodeWithSelector(IJobMarket.AlreadyClosed.selector, caseJob));
        court.closeCase(job, SHARD); // five judges took the whole bond
    }
}
