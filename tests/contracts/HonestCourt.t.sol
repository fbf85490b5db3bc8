// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICourt} from "../../contracts/interfaces/ICourt.sol";
import {NodeId, ShardStatus} from "../../contracts/interfaces/Types.sol";
import {HonestScenes} from "./support/HonestScenes.sol";

// an honest node is never charged, whatever comes before the Court
// ├── as a judge: censored for REVEAL_GRACE - 1 epochs
// ├── as an accuser: its appeal reorganised by three blocks, it is sent again
// └── as a member: appealed and stalled; outvoted by liars, before and after the verdict
contract HonestCourtTest is HonestScenes {
    function test_honest__judgeCensored__isUnpaidAndNeverCharged() public {
        _lieSettled();
        _appeal();
        _judged(0, TRUTH, 4, SHY, 16);
        _resolve();
        uint32 epoch = uint32(_commitEpochOf(_id(caseJob), 0, 0));
        _rollTo(epoch + shape.revealGrace, shape.epochBlocks - 1);
        _reveal(_judge(4), epoch);
        _assertNeverCharged(caseJob, 0, verdictReceipt, 4);
        assertEq(_matured(_judge(4)), 0, "unpaid");
    }

    /// @dev The bond is back as if nothing had been sent; sent again, it buys the same case.
    function test_honest__appealReorganised__costsNothingAndIsSentAgain() public {
        _lieSettled();
        uint256 purse = payToken.balanceOf(accuser);
        uint256 sent = vm.getBlockNumber();
        uint256 id = vm.snapshotState();
        _appeal();
        vm.roll(sent + 3);
        vm.revertToState(id);
        vm.roll(sent + 3);
        assertEq(payToken.balanceOf(accuser), purse, "nothing paid");
        _ruled(TRUTH);
        (uint256 missing,) = _due();
        assertEq(market.owedTo(accuser) + missing, purse - payToken.balanceOf(accuser), "whole, or to be made whole");
        _assertNeverCharged(2);
    }

    /// @dev Appealed for nothing before judges who block: the shard stays contested, and its members are paid.
    function test_honest__appealedAndStalled__keepsItsPay() public {
        _truthSettled();
        NodeId[2] memory members = [_seat(0), _seat(1)];
        _unjudged();
        _resolve();
        _assertCase(ShardStatus.CONTESTED, 0, _epoch() - 1, "no verdict");
        for (uint8 slot; slot < 2; ++slot) {
            assertEq(_maturing(members[slot]), PAY, "still to mature");
            _assertNeverCharged(slot);
        }
        _rollTo(_epoch() + 2 * uint256(shape.ring));
        for (uint8 slot; slot < 2; ++slot) {
            assertEq(market.withdraw(members[slot]), PAY, "paid in the end");
        }
    }

    /// @dev Two liars settle their answer: whatever becomes of the appeal, the third is not to blame.
    function test_honest__outvotedByLiars__isNeverChargedWhateverTheCourtDoes() public {
        _lieSettled();
        NodeId honest = _seat(2);
        bytes memory own = _ownOpening(job, SHARD, 0, TRUTH, honest);
        bytes memory noVerdict = abi.encodeWithSelector(ICourt.NoVerdict.selector, job, SHARD);
        vm.expectRevert(abi.encodeWithSelector(ICourt.NoCase.selector, job, SHARD));
        court.reportWrong(job, SHARD, 0, 2, TRUTH, own);
        _appeal();
        vm.expectRevert(noVerdict);
        court.reportWrong(job, SHARD, 0, 2, TRUTH, own);
        uint256 id = vm.snapshotState();
        _rollTo(uint256(court.caseOf(job, SHARD).last) + 1);
        _resolve();
        vm.expectRevert(noVerdict);
        court.reportWrong(job, SHARD, 0, 2, TRUTH, own);
        _assertNeverCharged(2);
        vm.revertToState(id);
        _judged(0, TRUTH, 4, LIE, 0);
        _resolve();
        vm.expectRevert(abi.encodeWithSelector(ICourt.MatchesVerdict.selector, job, SHARD, TRUTH));
        court.reportWrong(job, SHARD, 0, 2, TRUTH, own);
        uint256 before = _matured(honest);
        market.claim(job, SHARD, receipt, 2, own);
        assertEq(_matured(honest) - before, PAY, "paid by its claim");
        _assertNeverCharged(2);
    }
}
