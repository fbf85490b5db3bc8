// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IJobMarket} from "../../contracts/interfaces/IJobMarket.sol";
import {JobId, NodeId} from "../../contracts/interfaces/Types.sol";
import {Scenes} from "./support/Scenes.sol";

// withdraw
// ├── appealEpochs 0: at once, by anyone's call, to the operator
// ├── appealEpochs > 0: pay waits in the bucket epoch / RING
// │   ├── earned in the first or the last epoch of a bucket: out when that bucket is two behind, not an epoch sooner
// │   ├── two buckets in a row: the older comes out first
// │   ├── a bucket in between without pay, or many: all of it comes out
// │   └── touched or not in between: the same
// ├── both kinds: what is at once is not held up by what waits
// ├── nothing matured, nothing at all, twice: NothingToWithdraw
// ├── the key replaced, the node paused, slashed, left: still paid to the operator
// ├── paused market: pays
// └── any order of earning and withdrawing: nothing lost, nothing early
contract WithdrawTest is Scenes {
    uint256 internal constant PAY = 12_000;
    uint256 internal constant RING = 128;

    function _courtOf() internal override returns (address) {
        return _newCourt();
    }

    /// @dev One judge, so that few nodes are enough to post what can be appealed.
    function _judges() internal pure override returns (uint8) {
        return 1;
    }

    function setUp() public override {
        super.setUp();
        _cast(3);
    }

    function _maturingSpec() internal view returns (IJobMarket.JobSpec memory spec) {
        spec = _spec();
        spec.appealEpochs = 7;
    }

    /// @dev Settles a job in `epoch`, played as late as that allows.
    function _earnIn(uint256 epoch) internal {
        if (_epoch() + 3 < epoch) _rollTo(epoch - 3, 0);
        Answer memory answer = _answer(_postAmongFew(_maturingSpec()), 0, 0);
        _play(answer);
        _rollTo(epoch, 3);
        assertEq(_settle(_one(answer)), 1, "settles");
    }

    function _nothing(NodeId node) internal {
        vm.expectRevert(IJobMarket.NothingToWithdraw.selector);
        market.withdraw(node);
    }

    function _assertEarnings(uint256 matured, uint256 maturing, string memory why) internal view {
        assertEq(_matured(_node(1)), matured, why);
        assertEq(_maturing(_node(1)), maturing, why);
    }

    // --- at once --------------------------------------------------------------------------------------------------

    function test_withdraw__noAppeal__paysOperatorAtOnce() public {
        _settledJob(_spec());
        _assertEarnings(PAY, 0, "matured");
        vm.expectEmit(true, true, true, true, address(market));
        emit IJobMarket.EarningsWithdrawn(_node(1), operator, PAY);
        vm.prank(stranger);
        assertEq(market.withdraw(_node(1)), PAY, "amount");
        assertEq(payToken.balanceOf(operator), PAY, "to the operator");
        assertEq(payToken.balanceOf(stranger), 0, "not to the caller");
        _nothing(_node(1));
    }

    function test_withdraw__nothingEarned__reverts() public {
        _nothing(_node(1));
        _nothing(_node(77));
    }

    function test_withdraw__again__isNotOffByOne() public {
        for (uint256 i = 1; i <= 3; ++i) {
            _settledJob(_spec());
            assertEq(market.withdraw(_node(1)), PAY, "each time its pay");
        }
        assertEq(payToken.balanceOf(operator), 3 * PAY, "three times");
    }

    // --- maturity -------------------------------------------------------------------------------------------------

    function test_withdraw__lastEpochOfBucket__maturesWhenItIsTwoBehind() public {
        uint256 bucket = 8;
        _earnIn(bucket * RING - 1); // the last epoch of bucket 7
        _assertEarnings(0, PAY, "waits");
        _nothing(_node(1));
        _rollTo((bucket + 1) * RING - 1, shape.epochBlocks - 1);
        _assertEarnings(0, PAY, "waits to the last block");
        _nothing(_node(1));
        _rollTo((bucket + 1) * RING);
        _assertEarnings(PAY, 0, "matured");
        assertEq(market.withdraw(_node(1)), PAY, "paid");
        _nothing(_node(1));
    }

    function test_withdraw__firstEpochOfBucket__waitsAlmostTwo() public {
        _earnIn(8 * RING);
        _rollTo(10 * RING - 1, shape.epochBlocks - 1);
        _nothing(_node(1));
        _rollTo(10 * RING);
        assertEq(market.withdraw(_node(1)), PAY, "paid");
    }

    function test_withdraw__twoBucketsInARow__olderComesFirst() public {
        _earnIn(8 * RING - 1);
        _earnIn(8 * RING + 5);
        _assertEarnings(0, 2 * PAY, "both wait");
        _rollTo(9 * RING);
        _assertEarnings(PAY, PAY, "the older is out");
        assertEq(market.withdraw(_node(1)), PAY, "one");
        _assertEarnings(0, PAY, "one waits");
        _rollTo(10 * RING - 1, shape.epochBlocks - 1);
        _nothing(_node(1));
        _rollTo(10 * RING);
        assertEq(market.withdraw(_node(1)), PAY, "the other");
    }

    function test_withdraw__threeBucketsUntouched__creditRollsThem() public {
        _earnIn(8 * RING - 1);
        _earnIn(8 * RING + 5);
        _earnIn(9 * RING + 5);
        _assertEarnings(PAY, 2 * PAY, "the credit moved the oldest");
        assertEq(market.withdraw(_node(1)), PAY, "one");
    }

    function test_withdraw__bucketsWithoutPayBetween__allComesOut() public {
        _earnIn(8 * RING - 1);
        _earnIn(8 * RING + 5);
        _rollTo(40 * RING, 3);
        _assertEarnings(2 * PAY, 0, "all");
        assertEq(market.withdraw(_node(1)), 2 * PAY, "at once");
        _earnIn(40 * RING + 9);
        _assertEarnings(0, PAY, "the next waits again");
    }

    function test_withdraw__bothKinds__atOnceIsNotHeldUp() public {
        _earnIn(1_010);
        _settledJob(_spec());
        _assertEarnings(PAY, PAY, "one of each");
        assertEq(market.withdraw(_node(1)), PAY, "at once");
        _nothing(_node(1));
        _assertEarnings(0, PAY, "the other waits");
    }

    function test_withdraw__settleFeeOfAMaturingJob__isAtOnce() public {
        Answer memory answer = _answer(_postAmongFew(_maturingSpec()), 0, 0);
        _play(answer);
        uint16 paid = _paidSlots(answer);
        assertEq(paid, 7, "all");
        bytes memory entries = _plan(_one(answer)).entries;
        market.settle(entries, _plan(_one(answer)).lanes, _plan(_one(answer)).openings, _node(1));
        _assertEarnings(3 * PAY / 100, PAY, "the fee is for the call, not for the answer");
    }

    // --- whatever becomes of the node -----------------------------------------------------------------------------

    function test_withdraw__nodePausedSlashedOrGone__paysOperator() public {
        _settledJob(_spec());
        vm.startPrank(operator);
        registry.pauseNode(_node(1));
        registry.leaveSeats(_node(2), 1);
        vm.stopPrank();
        vm.prank(address(ledger));
        registry.slash(_node(3), 10_000, stranger, uint32(_epoch()));
        for (uint256 n = 1; n <= 3; ++n) {
            assertEq(market.withdraw(_node(n)), PAY, "paid");
        }
        assertEq(payToken.balanceOf(operator), 3 * PAY, "to the operator");
    }

    function test_withdraw__paused__pays() public {
        _settledJob(_spec());
        vm.prank(owner);
        market.pause();
        assertEq(market.withdraw(_node(1)), PAY, "paid");
    }

    // --- always ---------------------------------------------------------------------------------------------------

    /// @dev A plain twin keeps every credit with its epoch; what it says is out must be what the market says.
    /// forge-config: default.fuzz.runs = 1000
    /// forge-config: deep.fuzz.runs = 1000
    function testFuzz_withdraw__anyTimes__nothingEarlyNothingLost(uint16[5] memory waits, uint8 withdrawals) public {
        uint256[] memory earnedIn = new uint256[](5);
        uint256 taken;
        uint256 epoch = _epoch() + 4;
        for (uint256 i; i < 5; ++i) {
            epoch += bound(waits[i], 3, 200);
            _earnIn(epoch);
            earnedIn[i] = epoch;
            uint256 out;
            for (uint256 k; k <= i; ++k) {
                if (earnedIn[k] / RING + 2 <= epoch / RING) out += PAY;
            }
            _assertEarnings(out - taken, (i + 1) * PAY - out, "as the twin says");
            if (withdrawals >> i & 1 == 1 && out != taken) {
                taken += market.withdraw(_node(1));
                assertEq(taken, out, "all that is out");
            }
        }
        _rollTo(epoch + 2 * RING);
        if (taken != 5 * PAY) taken += market.withdraw(_node(1));
        assertEq(taken, 5 * PAY, "in the end everything");
    }
}
