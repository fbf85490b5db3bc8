// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Payout} from "../../contracts/libraries/Payout.sol";
import {Assertions} from "../contracts/support/Assertions.sol";

// escrow
// └── gross and both fees, each rounded down: enough for any way of settling it (golden vectors)
// share
// └── rounded down, never over the amount
// penalty
// ├── rounded up, never over the stake
// └── reward: a tenth, rounded down
// deposit | balance
// └── a balance is what was put in since it was emptied; a slot once used never becomes zero again
// roll | credit | maturing
// ├── same bucket: nothing matures
// ├── next bucket: the previous one matures
// ├── later: both mature
// └── nothing is lost or made, and nothing matures before a whole bucket has passed (golden vectors)
contract PayoutTest is Assertions {
    uint256 internal constant MATURITY = 128;

    // --- escrow and shares ----------------------------------------------------------------------------------------

    function testFuzz_escrow__anyWayOfSettling__isEnough(
        uint256 tasks,
        uint256 size,
        uint256 committee,
        uint256 price,
        uint256 settleBps,
        uint256 protocolBps,
        uint256 paid
    ) public pure {
        tasks = bound(tasks, 1, 400);
        size = bound(size, 1, 60);
        committee = bound(committee, 1, 15);
        price = bound(price, 1, 1e20);
        (settleBps, protocolBps) = (bound(settleBps, 0, 1_000), bound(protocolBps, 0, 1_000));
        uint256 held = Payout.escrow(tasks, committee, price, settleBps, protocolBps);
        uint256 spent;
        for (uint256 from; from < tasks; from += size) {
            uint256 inShard = tasks - from < size ? tasks - from : size;
            uint256 slots = uint256(keccak256(abi.encode(paid, from))) % committee + 1;
            uint256 total = price * inShard * slots;
            spent += total + Payout.share(total, settleBps) + Payout.share(total, protocolBps);
        }
        assertLe(spent, held, "escrow runs dry");
    }

    function testFuzz_share__anyAmount__roundsDown(uint256 amount, uint256 bps) public pure {
        amount = bound(amount, 0, 1e36);
        bps = bound(bps, 0, 10_000);
        uint256 part = Payout.share(amount, bps);
        assertLe(part, amount, "more than all");
        assertLe(part * 10_000, amount * bps, "rounded up");
        assertGt((part + 1) * 10_000, amount * bps, "rounded down too far");
    }

    // --- penalties ------------------------------------------------------------------------------------------------

    function testFuzz_penalty__anyStake__roundsUpAndNeverPassesIt(uint256 stake, uint256 bps) public pure {
        stake = bound(stake, 0, type(uint96).max);
        bps = bound(bps, 1, 10_000);
        (uint256 amount, uint256 reward) = Payout.penalty(stake, bps);
        assertLe(amount, stake, "more than the stake");
        assertGe(amount * 10_000, stake * bps, "rounded down");
        assertEq(reward, amount / 10, "a tenth");
        if (stake != 0) assertGt(amount, 0, "a fault always costs");
    }

    // --- balances -------------------------------------------------------------------------------------------------

    function testFuzz_deposit__anySequence__balanceIsTheSumAndTheSlotStaysUsed(uint256 seed) public pure {
        uint256 stored;
        uint256 sum;
        assertEq(Payout.balance(stored), 0, "never used");
        for (uint256 i; i < 20; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            if (seed & 3 == 0) {
                assertEq(Payout.balance(stored), sum, "taken out");
                (stored, sum) = (Payout.deposit(0, 0), 0);
            } else {
                uint256 amount = (seed >> 8) % 1e30;
                stored = Payout.deposit(stored, amount);
                sum += amount;
            }
            assertEq(Payout.balance(stored), sum, "balance");
            assertGt(stored, 0, "the slot stays used");
        }
    }

    // --- buckets --------------------------------------------------------------------------------------------------

    function testFuzz_roll__anySequence__losesAndMakesNothing(uint256 seed) public pure {
        uint256 word;
        uint256 epoch = 1;
        uint256 put;
        uint256 got;
        for (uint256 i; i < 24; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            epoch += seed % 300;
            uint256 amount = (seed >> 64) % 1e24;
            uint256 matured;
            (word, matured) = Payout.roll(word, epoch / MATURITY);
            word = Payout.credit(word, amount);
            put += amount;
            got += matured;
            assertEq(got + Payout.maturing(word), put, "lost or made");
            assertEq(word >> 224, epoch / MATURITY, "bucket");
        }
        uint256 rest;
        (word, rest) = Payout.roll(word, epoch / MATURITY + 2);
        assertEq(got + rest, put, "two buckets later all is there");
        assertEq(Payout.maturing(word), 0, "nothing left");
    }

    function testFuzz_roll__creditedInOneEpoch__waitsAWholeBucketAndAtMostTwo(uint256 start, uint256 wait) public pure {
        start = bound(start, 0, 1e6);
        wait = bound(wait, 0, 3 * MATURITY);
        (uint256 word,) = Payout.roll(0, start / MATURITY);
        word = Payout.credit(word, 77);
        (, uint256 matured) = Payout.roll(word, (start + wait) / MATURITY);
        if (wait <= MATURITY) assertEq(matured, 0, "matured too early");
        if (wait >= 2 * MATURITY) assertEq(matured, 77, "not matured");
    }

    function test_roll__earlierBucket__changesNothing() public pure {
        uint256 word = Payout.credit(uint256(9) << 224, 5);
        (uint256 rolled, uint256 matured) = Payout.roll(word, 8);
        assertEq(rolled, word, "word");
        assertEq(matured, 0, "matured");
    }

    function test_roll__nextBucket__maturesOnlyThePrevious() public pure {
        uint256 word = uint256(9) << 224 | uint256(50) << 112 | 7;
        (uint256 rolled, uint256 matured) = Payout.roll(word, 10);
        assertEq(rolled, uint256(10) << 224 | 50, "current becomes previous");
        assertEq(matured, 7, "previous");
    }

    function test_roll__twoBucketsOn__maturesBoth() public pure {
        uint256 word = uint256(9) << 224 | uint256(50) << 112 | 7;
        (uint256 rolled, uint256 matured) = Payout.roll(word, 11);
        assertEq(rolled, uint256(11) << 224, "empty");
        assertEq(matured, 57, "both");
    }

    // --- golden vectors -------------------------------------------------------------------------------------------

    function _json() private view returns (string memory) {
        return vm.readFile("tests/vectors/payout.json");
    }

    function test_vectors__escrow__isTheSame() public view {
        string memory json = _json();
        uint256[] memory tasks = vm.parseJsonUintArray(json, ".escrowTasks");
        uint256[] memory committee = vm.parseJsonUintArray(json, ".escrowCommittee");
        uint256[] memory units = vm.parseJsonUintArray(json, ".escrowUnits");
        uint256[] memory prices = vm.parseJsonUintArray(json, ".escrowUnitPrice");
        uint256[] memory settle = vm.parseJsonUintArray(json, ".escrowSettleBps");
        uint256[] memory protocol = vm.parseJsonUintArray(json, ".escrowProtocolBps");
        bytes32[] memory totals = vm.parseJsonBytes32Array(json, ".escrowTotal");
        assertGt(tasks.length, 40, "vectors");
        for (uint256 i; i < tasks.length; ++i) {
            uint256 total = Payout.escrow(tasks[i], committee[i], units[i] * prices[i], settle[i], protocol[i]);
            assertEq(bytes32(total), totals[i], "escrow");
        }
    }

    function test_vectors__fees__areTheSame() public view {
        string memory json = _json();
        uint256[] memory pay = vm.parseJsonUintArray(json, ".feePay");
        uint256[] memory slots = vm.parseJsonUintArray(json, ".feePaidSlots");
        uint256[] memory bps = vm.parseJsonUintArray(json, ".feeBps");
        uint256[] memory fees = vm.parseJsonUintArray(json, ".fee");
        for (uint256 i; i < pay.length; ++i) {
            assertEq(Payout.share(pay[i] * slots[i], bps[i]), fees[i], "fee");
        }
    }

    function test_vectors__penalties__areTheSame() public view {
        string memory json = _json();
        bytes32[] memory stakes = vm.parseJsonBytes32Array(json, ".penaltyStake");
        uint256[] memory bps = vm.parseJsonUintArray(json, ".penaltyBps");
        bytes32[] memory amounts = vm.parseJsonBytes32Array(json, ".penaltyAmount");
        bytes32[] memory rewards = vm.parseJsonBytes32Array(json, ".penaltyReward");
        for (uint256 i; i < stakes.length; ++i) {
            (uint256 amount, uint256 reward) = Payout.penalty(uint256(stakes[i]), bps[i]);
            assertEq(bytes32(amount), amounts[i], "penalty");
            assertEq(bytes32(reward), rewards[i], "reward");
        }
    }

    function test_vectors__buckets__areTheSame() public view {
        string memory json = _json();
        uint256 maturity = vm.parseJsonUint(json, ".maturity");
        uint256[] memory epochs = vm.parseJsonUintArray(json, ".bucketEpoch");
        uint256[] memory credits = vm.parseJsonUintArray(json, ".bucketCredit");
        uint256[] memory matured = vm.parseJsonUintArray(json, ".bucketMatured");
        bytes32[] memory words = vm.parseJsonBytes32Array(json, ".bucketWord");
        uint256 word;
        for (uint256 i; i < epochs.length; ++i) {
            uint256 rolled;
            (word, rolled) = Payout.roll(word, epochs[i] / maturity);
            word = Payout.credit(word, credits[i]);
            assertEq(rolled, matured[i], "matured");
            assertEq(bytes32(word), words[i], "word");
        }
    }
}
