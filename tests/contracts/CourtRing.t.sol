// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IJobMarket} from "../../contracts/interfaces/IJobMarket.sol";
import {NodeId, ShardStatus} from "../../contracts/interfaces/Types.sol";
import {CourtScenes} from "./support/CourtScenes.sol";

// the longest life that fits the ring, with everything as late as it may be: attempt 0 settles in its last block, is
// appealed in the last, judged by the last attempt in the last, and then, in the last block of the last epoch,
// ├── the verdict can be shown, the liars' pay is immature still and taken
// ├── the honest member and the judge that was left out claim
// ├── the liars are reported: seed, draw, lane and stake are all there
// └── an epoch later: claims are over, the job and the case close, everything is somebody's
contract CourtRingTest is CourtScenes {
    uint256 private start;

    function _spec() internal view override returns (IJobMarket.JobSpec memory spec) {
        spec = super._spec();
        (spec.work, spec.maxAttempts, spec.appealEpochs) = (8, 4, 27);
    }

    function setUp() public override {
        super.setUp();
        job = _post(_spec());
        start = _startOf(_id(job), SHARD, 0);
        _answerWith(job, SHARD, 0, _mix(3, 2, LIE, TRUTH));
        _lastBlock(_lastOf(_id(job), SHARD));
        (settled, receipt) = _settleAs(job, SHARD, 0, LIE, 0);
        _rollTo(_epoch() + 27, shape.epochBlocks - shape.lead - 1);
        _appeal();
        _answerWith(caseJob, 0, 3, _mix(5, 5, TRUTH, TRUTH));
        uint256 last = court.caseOf(job, SHARD).last;
        verdict = Answer(_id(caseJob), 0, 3, TRUTH);
        _lastBlock(last);
        assertEq(_send(_planWithout(verdict, 16), stranger), 1, "scene: settles without the fifth judge");
        verdictReceipt = _receipt(verdict, 15);
        _lastBlock(last + market.REPORT_EPOCHS());
        assertEq(_epoch(), start + shape.ring - 2, "scene: the last epoch whose draws can reach back so far");
    }

    function _lastBlock(uint256 epoch) private {
        _rollTo(epoch, shape.epochBlocks - 1);
    }

    function test_lastBlock__everythingIsStillThere() public {
        _resolve();
        _assertCase(ShardStatus.FINAL, TRUTH, _epoch() - 4, "overturned");
        _assertOwed(2 * PAY, 0, 0, "the liars' pay was immature");
        NodeId honest = _seat(2);
        market.claim(job, SHARD, receipt, 2, _ownOpening(job, SHARD, 0, TRUTH, honest));
        NodeId judge = _judge(4);
        uint256 before = _matured(judge);
        market.claim(caseJob, 0, verdictReceipt, 4, _claimOpening(verdict, judge));
        assertEq(_matured(judge), before + PAY, "the judge that was left out");
        assertGe(_matured(honest), PAY, "the member that was outvoted");
        for (uint8 slot; slot < 2; ++slot) {
            NodeId liar = _seat(slot);
            court.reportWrong(job, SHARD, 0, slot, LIE, _ownOpening(job, SHARD, 0, LIE, liar));
            assertEq(registry.nodeView(liar).stake, 500 ether, "reported");
        }
        _assertSolvent();
        _rollTo(_epoch() + 1);
        uint256 owed = market.owedTo(requester);
        uint256 refund = market.close(job);
        assertEq(market.owedTo(requester), owed + refund, "the job closes");
        court.closeCase(job, SHARD);
        assertEq(_held(job) + _held(caseJob), 0, "no escrow is left");
        _assertSolvent();
    }

    function test_epochAfter__claimsAreOverButTheVerdictIsNot() public {
        bytes memory opening = _ownOpening(job, SHARD, 0, TRUTH, _seat(2));
        uint32 last = uint32(_epoch());
        _rollTo(uint256(last) + 1);
        _resolve();
        vm.expectRevert(abi.encodeWithSelector(IJobMarket.TooLate.selector, job, SHARD, last, last + 1));
        market.claim(job, SHARD, receipt, 2, opening);
        _assertCase(ShardStatus.FINAL, TRUTH, last - 4, "a verdict can be shown at any time");
        market.close(job);
        court.closeCase(job, SHARD);
        _assertSolvent();
    }
}
