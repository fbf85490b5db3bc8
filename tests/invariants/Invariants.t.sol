// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Assertions} from "../contracts/support/Assertions.sol";
import {Counts} from "./Counts.sol";
import {Handler} from "./Handler.sol";

interface Gas {
    function pauseGasMetering() external;
}

// Protocol section 12, over any order of calls by all parties, honest or not (Handler). Every call is built valid and must
// succeed; what is forbidden is tried, too, and must be refused by name.
//
// No.  here                                                  elsewhere
//  1   invariant_01_balancesCoverWhatIsOwed                  contracts/Solvency, contracts/Fees (donations)
//  2   invariant_02_everyJobsMoneyAddsUp                     contracts/Fees
//  3   invariant_03_shardsSettleAndSlotsArePaidOnce          contracts/Claim, contracts/attacks
//  4   invariant_04_nothingIsPaidWithoutAQuorum              contracts/SettleQuorum
//  5   invariant_05_noPenaltyExceedsTheStake                 contracts/Solvency
//  6   invariant_06_unbondingStakePays                       contracts/Slash
//  7   invariant_07_aCommitmentOpensToOneAnswerAShard        contracts/Commit, contracts/Reveal
//  8   invariant_08_nothingSealedAfterTheFirstRevealCounts   contracts/Reveal
//  9   invariant_09_sealedLanesStayPunishable                contracts/ReportUnrevealed
// 10   invariant_10_honestyIsNeverPunished                   contracts/attacks
// 11   invariant_11_everybodyCanMoveOn, and the end of every run: all that was put in comes out
// 12                                                         contracts/SettleQuorum (gas of 15), bench/gas
// 13   a consumer's behaviour: there is no `deliver` yet
// 14   invariant_14_nobodyElseLowersAClaim                   contracts/Withdraw
// 15   invariant_15_aClosedGroupGainsNothing                 contracts/Fees (dust)
// 16   invariant_16_pastDrawsNeverChange                     contracts/Draw, contracts/Sortition (vectors, with Python)
// 17   invariant_17_newSeatsAreNotDrawn                      contracts/Draw
// 18   invariant_18_pausesStopOnlyNewWork                    contracts/Pause
// 19   invariant_19_splitsSumToTheTotal                      contracts/Fees, proofs
// 20                                                         agent/worker, agent/chain (outbox)
contract ProtocolInvariants is Assertions {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    Handler internal handler;

    function setUp() public {
        handler = new Handler();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function targetSelectors() external view returns (FuzzSelector[] memory selectors) {
        selectors = new FuzzSelector[](1);
        selectors[0] = FuzzSelector(address(handler), handler.doors());
    }

    function invariant_01_balancesCoverWhatIsOwed() external view {
        handler.check01();
    }

    function invariant_02_everyJobsMoneyAddsUp() external view {
        handler.check02();
    }

    function invariant_03_shardsSettleAndSlotsArePaidOnce() external view {
        handler.check03();
    }

    function invariant_04_nothingIsPaidWithoutAQuorum() external view {
        handler.check04();
    }

    function invariant_05_noPenaltyExceedsTheStake() external view {
        handler.check05();
    }

    function invariant_06_unbondingStakePays() external view {
        handler.check06();
    }

    function invariant_07_aCommitmentOpensToOneAnswerAShard() external view {
        handler.check07();
    }

    function invariant_08_nothingSealedAfterTheFirstRevealCounts() external view {
        handler.check08();
    }

    function invariant_09_sealedLanesStayPunishable() external view {
        handler.check09();
    }

    function invariant_10_honestyIsNeverPunished() external view {
        handler.check10();
    }

    function invariant_11_everybodyCanMoveOn() external view {
        handler.check11();
    }

    function invariant_14_nobodyElseLowersAClaim() external view {
        handler.check14();
    }

    function invariant_15_aClosedGroupGainsNothing() external view {
        handler.check15();
    }

    function invariant_16_pastDrawsNeverChange() external view {
        handler.check16();
    }

    function invariant_17_newSeatsAreNotDrawn() external view {
        handler.check17();
    }

    function invariant_18_pausesStopOnlyNewWork() external view {
        handler.check18();
    }

    function invariant_19_splitsSumToTheTotal() external view {
        handler.check19();
    }

    /// @dev One long run in an order of our own, the same everywhere.
    function test_protocol__fixedOrderOfEverything__everyActionSucceedsOften() external {
        Gas(address(vm)).pauseGasMetering();
        for (uint256 i; i < 1_600; ++i) {
            handler.play(25);
            handler.checkAll();
        }
        Counts.report(handler);
        Counts.requireEach(handler, 6);
        Counts.requirePaused(handler, 1);
        handler.finish();
    }

    /// @dev Every run says how often each action succeeded and fails when that was too seldom; then everybody takes out
    /// what is his.
    function afterInvariant() external {
        Counts.report(handler);
        handler.finish();
    }
}
