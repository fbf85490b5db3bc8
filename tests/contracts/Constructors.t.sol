// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IClock} from "../../contracts/interfaces/IClock.sol";
import {IDeployedLedger, IDeployedMarket, IDeployedRegistry} from "./support/Deployments.sol";
import {Scenes} from "./support/Scenes.sol";

// every parameter: one under its least and one over its most are refused with both, the edges are accepted
// ├── clock: EPOCH_BLOCKS, LEAD under the epoch, RING of at least 16 and within the 8,191 known hashes
// ├── ledger: REVEAL_GRACE, UNREVEALED_BPS; the registry's clock
// └── market: SETTLE_GRACE and REPORT_EPOCHS within a quarter of the ring, SETTLE_FEE_BPS, ABSENT_BPS;
//     the shortest job must fit the ring; the registry's clock
contract ConstructorsTest is Scenes {
    function _expectBad(string memory name, uint256 min, uint256 max, uint256 actual) private {
        vm.expectRevert(abi.encodeWithSelector(IClock.BadParameter.selector, name, min, max, actual));
    }

    function _freshRegistry(uint32 epochBlocks, uint32 ring, uint32 lead) private returns (IDeployedRegistry) {
        return _newRegistry(address(authority), address(stakeToken), epochBlocks, ring, lead);
    }

    function _freshMarket(IDeployedRegistry registry_, MarketParams memory params) private returns (IDeployedMarket) {
        return _newMarket(address(authority), registry_, ledger, address(payToken), address(0), params);
    }

    function test_constructor__clock__relationsAtTheirEdges() public {
        _expectBad("EPOCH_BLOCKS", 3, 3_600, 2);
        _freshRegistry(2, 16, 1);
        _expectBad("EPOCH_BLOCKS", 3, 3_600, 3_601);
        _freshRegistry(3_601, 16, 1);
        assertEq(_freshRegistry(3, 16, 1).EPOCH_BLOCKS(), 3, "shortest epoch");
        _expectBad("LEAD", 1, 9, 0);
        _freshRegistry(10, 128, 0);
        _expectBad("LEAD", 1, 9, 10);
        _freshRegistry(10, 128, 10);
        assertEq(_freshRegistry(10, 128, 9).LEAD(), 9, "longest lead");
        _expectBad("RING", 16, 818, 15);
        _freshRegistry(10, 15, 4);
        _expectBad("RING", 16, 818, 819);
        _freshRegistry(10, 819, 4);
        IDeployedRegistry longest = _freshRegistry(10, 818, 4);
        assertEq(longest.RING(), 818, "longest ring");
        assertLe((uint256(longest.RING()) + 1) * longest.EPOCH_BLOCKS(), 8_191, "every seed can be proven");
        assertEq(longest.UNBONDING(), 2 * 818, "unbonding is two rings");
        // The longest epoch that a ring of 16 still fits.
        assertEq(_freshRegistry(481, 16, 4).RING(), 16, "8191 / 481 - 1");
        _expectBad("RING", 16, 15, 16);
        _freshRegistry(482, 16, 4);
    }

    function test_constructor__ledger__relationsAtTheirEdges() public {
        _expectBad("REVEAL_GRACE", 2, 15, 1);
        _newLedger(registry, 1, 1_000);
        _expectBad("REVEAL_GRACE", 2, 15, 16);
        _newLedger(registry, 16, 1_000);
        _expectBad("UNREVEALED_BPS", 1, 10_000, 0);
        _newLedger(registry, 8, 0);
        _expectBad("UNREVEALED_BPS", 1, 10_000, 10_001);
        _newLedger(registry, 8, 10_001);
        IDeployedLedger least = _newLedger(registry, 2, 1);
        IDeployedLedger most = _newLedger(registry, 15, 10_000);
        assertEq(uint256(least.REVEAL_GRACE()) << 16 | least.UNREVEALED_BPS(), 2 << 16 | 1, "least");
        assertEq(uint256(most.REVEAL_GRACE()) << 16 | most.UNREVEALED_BPS(), 15 << 16 | 10_000, "most");
        assertEq(
            uint256(least.EPOCH_BLOCKS()) << 16 | least.RING() << 8 | least.LEAD(), 10 << 16 | 128 << 8 | 4, "clock"
        );
    }

    function test_constructor__market__relationsAtTheirEdges() public {
        MarketParams memory p = _params();
        p.settleGrace = 0;
        _expectBad("SETTLE_GRACE", 1, 32, 0);
        _freshMarket(registry, p);
        p.settleGrace = 33;
        _expectBad("SETTLE_GRACE", 1, 32, 33);
        _freshMarket(registry, p);
        p = _params();
        p.reportEpochs = 0;
        _expectBad("REPORT_EPOCHS", 1, 32, 0);
        _freshMarket(registry, p);
        p.reportEpochs = 33;
        _expectBad("REPORT_EPOCHS", 1, 32, 33);
        _freshMarket(registry, p);
        p = _params();
        p.settleFeeBps = 1_001;
        _expectBad("SETTLE_FEE_BPS", 0, 1_000, 1_001);
        _freshMarket(registry, p);
        p = _params();
        p.absentBps = 0;
        _expectBad("ABSENT_BPS", 1, 1_000, 0);
        _freshMarket(registry, p);
        p.absentBps = 1_001;
        _expectBad("ABSENT_BPS", 1, 1_000, 1_001);
        _freshMarket(registry, p);
    }

    function test_constructor__market__edgesAreAccepted() public {
        IDeployedMarket most = _freshMarket(registry, MarketParams(32, 32, 1_000, 1_000));
        assertEq(most.SETTLE_GRACE(), 32, "grace");
        assertEq(most.REPORT_EPOCHS(), 32, "report");
        assertEq(most.SETTLE_FEE_BPS(), 1_000, "fee");
        assertEq(most.ABSENT_BPS(), 1_000, "absent");
        IDeployedMarket least = _freshMarket(registry, MarketParams(1, 1, 0, 1));
        assertEq(least.REPORT_EPOCHS(), 1, "report");
        assertEq(least.SETTLE_FEE_BPS(), 0, "no fee");
        assertEq(
            uint256(least.EPOCH_BLOCKS()) << 16 | least.RING() << 8 | least.LEAD(), 10 << 16 | 128 << 8 | 4, "clock"
        );
        assertEq(address(least.registry()), address(registry), "registry");
        assertEq(address(least.ledger()), address(ledger), "ledger");
        assertEq(least.paymentToken(), address(payToken), "token");
        assertEq(least.court(), address(0), "no court");
    }

    function test_constructor__shortestJobAgainstRing__mustFit() public {
        // One attempt of one epoch with its case: 1 * (3 + 1 + 2) + 2 * grace + 1 to appeal + report, plus one.
        IDeployedRegistry small = _freshRegistry(10, 16, 4);
        _expectBad("RING", 6 + 6 + 1 + 3 + 1, type(uint32).max, 16);
        _freshMarket(small, MarketParams(3, 3, 100, 10));
        assertEq(_freshMarket(small, MarketParams(3, 2, 100, 10)).RING(), 16, "exactly");
    }

    /// @dev In a ring of 20: each grace against its quarter, and both together against the ring.
    function test_constructor__gracesAgainstRing__areAQuarterEach() public {
        IDeployedRegistry small = _freshRegistry(10, 20, 4);
        _expectBad("SETTLE_GRACE", 1, 5, 6);
        _freshMarket(small, MarketParams(6, 1, 100, 10));
        _expectBad("REPORT_EPOCHS", 1, 5, 6);
        _freshMarket(small, MarketParams(1, 6, 100, 10));
        _expectBad("RING", 6 + 10 + 1 + 3 + 1, type(uint32).max, 20);
        _freshMarket(small, MarketParams(5, 3, 100, 10));
        assertEq(_freshMarket(small, MarketParams(5, 2, 100, 10)).SETTLE_GRACE(), 5, "the longest grace that fits");
        assertEq(_freshMarket(small, MarketParams(1, 5, 100, 10)).REPORT_EPOCHS(), 5, "the longest report that fits");
    }
}
