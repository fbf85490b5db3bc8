// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICommitLedger} from "../../contracts/interfaces/ICommitLedger.sol";
import {ICourt} from "../../contracts/interfaces/ICourt.sol";
import {IJobMarket} from "../../contracts/interfaces/IJobMarket.sol";
import {NodeId, ShardStatus} from "../../contracts/interfaces/Types.sol";
import {HonestScenes} from "./support/HonestScenes.sol";

// an honest judge, in slot 4, is never charged, and paid from the bond when it was in time
// ├── late: it commits and opens in the last blocks
// ├── censored: for REVEAL_GRACE - 1 epochs
// ├── reorganised by three blocks
// │   ├── its commit falls out of its epoch: absentBps, and no more
// │   └── its opening and the verdict: opened by another, left out, claimed
// ├── others offline: it alone answers, in every attempt
// ├── others malicious: four liars outvote it
// └── its own restart: the first digest stands and opens
contract HonestJudgeTest is HonestScenes {
    uint8 private constant SLOT = 4;
    uint32 private epoch; // in which judges commit

    function setUp() public override {
        super.setUp();
        _lieSettled();
        _appeal();
        verdict = Answer(_id(caseJob), 0, 0, TRUTH);
        epoch = uint32(_commitEpochOf(_id(caseJob), 0, 0));
        _rollTo(epoch, 2);
    }

    // --- scenes ---------------------------------------------------------------------------------------------------

    function _sealUpTo(uint256 count) private {
        for (uint256 slot; slot < count; ++slot) {
            _commit(_judge(slot), _leaf(_id(caseJob), 0, TRUTH));
        }
    }

    function _openUpTo(uint256 count) private {
        for (uint256 slot; slot < count; ++slot) {
            _reveal(_judge(slot), epoch);
        }
    }

    /// @dev Settles the case with what has been opened in time, but for the hidden, and resolves it.
    function _rule(uint16 hidden) private {
        _seeds(_one(verdict));
        (verdict, verdictReceipt) = _settleAs(caseJob, 0, 0, TRUTH, hidden);
        _resolve();
        _assertCase(ShardStatus.FINAL, TRUTH, _epoch(), "scene: overturned");
    }

    function _assertClaims(string memory why) private {
        NodeId node = _judge(SLOT);
        uint256 bond = _held(caseJob);
        market.claim(caseJob, 0, verdictReceipt, SLOT, _ownOpening(caseJob, 0, 0, TRUTH, node));
        assertEq(_matured(node), PAY, why);
        assertEq(bond - _held(caseJob), PAY, "from the bond");
    }

    function _assertNeverCharged() private {
        _assertNeverCharged(caseJob, 0, verdictReceipt, SLOT);
    }

    // --- late and censored ----------------------------------------------------------------------------------------

    function test_honest__judgeInLastBlocks__isPaidAndNeverCharged() public {
        _sealUpTo(SLOT);
        _rollTo(epoch, shape.epochBlocks - 1);
        _commit(_judge(SLOT), _leaf(_id(caseJob), 0, TRUTH));
        _rollTo(epoch + 1, 2);
        _openUpTo(SLOT);
        _rollTo(epoch + 2);
        _rule(0);
        assertEq(verdictReceipt.paidSlots, 15, "scene: ruled without it");
        _rollTo(epoch + 2, shape.epochBlocks - 1);
        _reveal(_judge(SLOT), epoch);
        _assertClaims("the last block that counts");
        _assertNeverCharged();
    }

    function test_honest__judgeCensored__isUnpaidAndNeverCharged() public {
        _sealUpTo(5);
        _rollTo(epoch + 1, 2);
        _openUpTo(SLOT);
        _rollTo(epoch + 2);
        _rule(0);
        _rollTo(epoch + shape.revealGrace, shape.epochBlocks - 1);
        _reveal(_judge(SLOT), epoch);
        assertEq(_matured(_judge(SLOT)), 0, "unpaid");
        _assertNeverCharged();
    }

    // --- reorganised ----------------------------------------------------------------------------------------------

    function test_honest__judgesCommitReorganisedOutOfItsEpoch__costsAbsentBpsAndNoMore() public {
        _sealUpTo(SLOT);
        _commitReorganised(_judge(SLOT), epoch, _leaf(_id(caseJob), 0, TRUTH));
        _openUpTo(SLOT);
        _rollTo(epoch + 1, 2);
        _rule(0);
        market.reportAbsent(caseJob, 0, verdictReceipt, SLOT);
        _assertOnlyAbsent(caseJob, 0, verdictReceipt, SLOT);
    }

    /// @dev Its opening and the verdict stood in blocks that are gone; a stranger copied the opening, and the settler
    /// leaves it out.
    function test_honest__judgesOpeningAndVerdictReorganised__isPaidByItsClaim() public {
        _sealUpTo(5);
        _rollTo(epoch + 1, 2);
        uint256 id = vm.snapshotState();
        _openUpTo(5);
        _rule(0);
        NodeId node = _judge(SLOT);
        assertEq(_matured(node), PAY, "paid, and then not");
        _rollTo(epoch + 1, 5);
        vm.revertToState(id);
        _rollTo(epoch + 1, 6);
        _openUpTo(SLOT);
        vm.prank(stranger);
        ledger.reveal(node, epoch, _leaf(_id(caseJob), 0, TRUTH), _manifest(node, epoch), _salt(node, epoch));
        _rule(16);
        assertEq(_matured(node), 0, "left out");
        _assertClaims("claimed");
        _assertNeverCharged();
    }

    // --- others offline or malicious ------------------------------------------------------------------------------

    function test_honest__otherJudgesOffline__isUnpaidAndNeverCharged() public {
        for (uint256 attempt; attempt < 3; ++attempt) {
            _answerWith(caseJob, 0, attempt, _mix(5, 1, TRUTH, ABSENT));
        }
        _rollTo(uint256(court.caseOf(job, SHARD).last) + 1);
        _resolve();
        for (uint8 attempt; attempt < 3; ++attempt) {
            verdictReceipt = IJobMarket.Receipt(attempt, 31, TRUTH, new bytes32[](0));
            for (uint8 slot; slot < 5; ++slot) {
                NodeId node = _member(_id(caseJob), 0, attempt, slot);
                vm.expectRevert(abi.encodeWithSelector(IJobMarket.NotSettled.selector, caseJob, 0));
                market.reportAbsent(caseJob, 0, verdictReceipt, slot);
                _assertWhole(node);
            }
        }
    }

    /// @dev A captured court upholds the lie: who told the truth there earns nothing and loses nothing.
    function test_honest__judgeOutvotedByLiars__isUnpaidAndNeverCharged() public {
        _answerWith(caseJob, 0, 0, _mix(5, 4, LIE, TRUTH));
        (verdict, verdictReceipt) = _settleAs(caseJob, 0, 0, LIE, 0);
        _resolve();
        _assertCase(ShardStatus.FINAL, LIE, _epoch(), "scene: captured");
        NodeId node = _judge(SLOT);
        bytes memory own = _ownOpening(caseJob, 0, 0, TRUTH, node);
        vm.expectRevert(abi.encodeWithSelector(ICourt.NoCase.selector, caseJob, 0));
        court.reportWrong(caseJob, 0, 0, SLOT, TRUTH, own);
        assertEq(_matured(node), 0, "unpaid");
        _assertNeverCharged();
    }

    // --- its own restart ------------------------------------------------------------------------------------------

    function test_honest__judgeRestarted__firstDigestStandsAndOpens() public {
        _sealUpTo(5);
        NodeId node = _judge(SLOT);
        vm.prank(keyOf[node]);
        vm.expectRevert(abi.encodeWithSelector(ICommitLedger.AlreadyCommitted.selector, node, epoch));
        ledger.commit(epoch, bytes27(keccak256("another salt")));
        _rollTo(epoch + 1, 2);
        _openUpTo(5);
        _rule(0);
        assertEq(_matured(node), PAY, "what was on its disk opens");
        _assertNeverCharged();
    }
}
