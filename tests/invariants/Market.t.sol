// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Assertions} from "../contracts/support/Assertions.sol";
import {MarketHandler} from "./MarketHandler.sol";

interface GasVm {
    function pauseGasMetering() external;
}

// The market, whatever anyone does in whatever order (numbers: protocol section 12)
// ├── 1. its balance is what it holds, owes and lets mature, plus donations
// ├── 2. of every job: escrow in = paid + fees + refunded + held
// ├── 3. a shard settles at most once, a slot is paid at most once (the handler checks it at every settle and claim)
// ├── 4. no payment without a quorum of one attempt (likewise)
// ├── 11. in the end every job closes and everybody takes out what is his
// └── the handler does all of it: a run in a fixed order counts a success of every action
contract MarketInvariants is Assertions {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    MarketHandler internal handler;

    function setUp() public {
        handler = new MarketHandler();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    /// @dev What moves the story on is there more than once, so that runs come to something.
    function targetSelectors() external view returns (FuzzSelector[] memory selectors) {
        selectors = new FuzzSelector[](1);
        selectors[0] = FuzzSelector(address(handler), _selectors());
    }

    function _selectors() private pure returns (bytes4[] memory s) {
        s = new bytes4[](20);
        (s[0], s[1], s[2]) = (MarketHandler.post.selector, MarketHandler.cancel.selector, MarketHandler.close.selector);
        (s[3], s[4]) = (MarketHandler.work.selector, MarketHandler.reveal.selector);
        (s[5], s[6]) = (MarketHandler.settle.selector, MarketHandler.settleUnfounded.selector);
        (s[7], s[8]) = (MarketHandler.claim.selector, MarketHandler.reportAbsent.selector);
        (s[9], s[10]) = (MarketHandler.reportUnrevealed.selector, MarketHandler.withdraw.selector);
        (s[11], s[12]) = (MarketHandler.collect.selector, MarketHandler.donate.selector);
        (s[13], s[14]) = (MarketHandler.advance.selector, MarketHandler.administer.selector);
        (s[15], s[16]) = (MarketHandler.resume.selector, MarketHandler.turn.selector);
        (s[17], s[18], s[19]) = (s[16], s[16], MarketHandler.post.selector);
    }

    // --- invariants -----------------------------------------------------------------------------------------------

    function _assertSolvent() private view {
        assertEq(handler.balance(), handler.owes() + handler.donated(), "property 1: balance is what is owed");
    }

    function _assertBooks() private view {
        for (uint256 job = 1; job <= handler.jobs(); ++job) {
            uint256 out = handler.paid(job) + handler.fees(job) + handler.refunded(job) + handler.held(job);
            assertEq(out, handler.escrowed(job), "property 2: in = paid + fees + refunded + held");
        }
    }

    function _assertRecords() private view {
        for (uint256 i; i < handler.recordCount(); ++i) {
            (uint256 job, uint256 shard) = handler.shardOf(i);
            assertEq(handler.settledTimes(job, shard), 1, "property 3: a shard settles at most once");
            assertTrue(handler.recordStands(i), "a settlement stands for ever");
        }
    }

    /// forge-config: default.invariant.runs = 16
    /// forge-config: default.invariant.fail-on-revert = true
    function invariant_property1__balanceIsWhatIsOwed() external view {
        _assertSolvent();
    }

    /// forge-config: default.invariant.runs = 16
    /// forge-config: default.invariant.fail-on-revert = true
    function invariant_property2__everyJobsBooksBalance() external view {
        _assertBooks();
    }

    /// forge-config: default.invariant.runs = 16
    /// forge-config: default.invariant.fail-on-revert = true
    function invariant_property3__settlementsStandAndAreSingle() external view {
        _assertRecords();
    }

    /// @dev Property 11, at the end of every run.
    function afterInvariant() external {
        _assertEnd();
    }

    function _assertEnd() private {
        handler.finish();
        _assertBooks();
        assertEq(handler.balance(), handler.donated(), "property 11: everything can be taken out");
    }

    // --- the same in a fixed order --------------------------------------------------------------------------------

    /// @dev One epoch of the story: two thirds of the time what an epoch needs, else anything.
    function _epoch(uint256 seed) private {
        bytes4[] memory s = _selectors();
        bytes4[9] memory story = [s[0], s[3], s[4], s[5], s[5], s[7], s[8], s[9], s[15]];
        for (uint256 i; i < 13; ++i) {
            uint256 pick = uint256(keccak256(abi.encode(seed, i)));
            bytes4 selector = i < 9 ? story[i] : s[(pick >> 192) % s.length];
            if (selector == s[0] && pick >> 128 & 3 > 1) continue; // a post in every second epoch
            if (selector == s[14] && pick >> 128 & 1 == 1) pick -= pick % 3; // the fee, not a pause
            (bool ok, bytes memory reason) = address(handler).call(abi.encodeWithSelector(selector, pick));
            if (!ok) {
                assembly ("memory-safe") {
                    revert(add(reason, 32), mload(reason))
                }
            }
        }
        handler.advance(7);
    }

    function test_market__fixedOrderOfEverything__everyActionSucceedsAndBooksBalance() external {
        GasVm(address(vm)).pauseGasMetering();
        for (uint256 i; i < 90; ++i) {
            _epoch(uint256(keccak256(abi.encode("market", i))));
            if (i % 10 == 0) {
                _assertSolvent();
                _assertBooks();
                _assertRecords();
            }
        }
        string[19] memory actions = [
            "post",
            "post refused",
            "cancel",
            "close",
            "commit",
            "reveal",
            "resume",
            "settle",
            "settle many",
            "settle without some",
            "settle refused",
            "claim",
            "claim refused",
            "report absent",
            "report refused",
            "report unrevealed",
            "withdraw",
            "collect",
            "donate"
        ];
        for (uint256 i; i < actions.length; ++i) {
            assertGt(handler.done(actions[i]), 0, string.concat("never done: ", actions[i]));
        }
        _assertSolvent();
        _assertRecords();
        _assertEnd();
    }
}
