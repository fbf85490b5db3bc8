// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICourt} from "../../contracts/interfaces/ICourt.sol";
import {IJobMarket} from "../../contracts/interfaces/IJobMarket.sol";
import {NodeId, ShardStatus} from "../../contracts/interfaces/Types.sol";
import {HonestScenes} from "./support/HonestScenes.sol";

// an honest node is never charged, whatever comes before the Court
// ├── as an accuser: censored; before judges who are offline; its appeal reorganised by three blocks, it is sent again
// └── as a member: appealed and stalled; outvoted by liars, before and after the verdict; the verdict and its claim
//     reorganised by three blocks
contract HonestCourtTest is HonestScenes {
    // --- as an accuser --------------------------------------------------------------------------------------------

    /// @dev The outvoted member itself appeals.
    function _appealAsMember() private {
        _appealAsMember(2, BOND);
        accuser = operator;
    }

    /// @dev Nothing of it is included for `REVEAL_GRACE - 1` epochs, twice: its appeal counts in the last block, and it
    /// need not send anything to have its bond back.
    function test_honest__accuserCensored__isMadeWholeAndNeverCharged() public {
        _lieSettled();
        _rollTo(_epoch() + shape.revealGrace - 1, shape.epochBlocks - shape.lead - 1);
        _appealAsMember();
        _judged(TRUTH);
        _rollTo(_epoch() + shape.revealGrace - 1, shape.epochBlocks - 1);
        _resolve();
        (uint256 missing,) = _due();
        assertEq(market.owedTo(operator) + missing, BOND, "whole, or to be made whole");
        _assertNeverCharged(2);
    }

    function test_honest__accuserBeforeNoJudges__losesItsBondAndNoStake() public {
        _lieSettled();
        _appealAsMember();
        _rollTo(uint256(court.caseOf(job, SHARD).last) + 1);
        _resolve();
        _assertOwed(0, 0, BOND, "contesting is not free");
        _assertNeverCharged(2);
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

    // --- as a member ----------------------------------------------------------------------------------------------

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

    /// @dev Both stood in blocks that are gone: sent again, they move the same money once.
    function test_honest__verdictAndClaimReorganised__isPaidOnce() public {
        _lieSettled();
        NodeId honest = _seat(2);
        bytes memory own = _ownOpening(job, SHARD, 0, TRUTH, honest);
        _appeal();
        _judged(TRUTH);
        uint256 sent = vm.getBlockNumber();
        uint256 id = vm.snapshotState();
        _resolve();
        market.claim(job, SHARD, receipt, 2, own);
        uint256[3] memory owed = [market.owedTo(accuser), market.owedTo(requester), market.owedTo(BURNED)];
        vm.roll(sent + 3);
        vm.revertToState(id);
        vm.roll(sent + 3);
        assertEq(_matured(honest), 0, "not paid yet");
        vm.expectRevert(abi.encodeWithSelector(IJobMarket.NotFinal.selector, job, SHARD));
        market.claim(job, SHARD, receipt, 2, own);
        _resolve();
        market.claim(job, SHARD, receipt, 2, own);
        _assertOwed(owed[0], owed[1], owed[2], "the same");
        assertEq(_matured(honest), PAY, "paid");
        vm.expectRevert(abi.encodeWithSelector(IJobMarket.SlotPaid.selector, job, SHARD, 2));
        market.claim(job, SHARD, receipt, 2, own);
        _assertNeverCharged(2);
    }
}
