// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IClock} from "../../contracts/interfaces/IClock.sol";
import {Epochs} from "../../contracts/libraries/Epochs.sol";
import {JobWord} from "../../contracts/libraries/JobWord.sol";
import {ClockHarness} from "../../contracts/mocks/ClockHarness.sol";
import {Assertions} from "../contracts/support/Assertions.sol";

// Clock
// ├── constructor: each number out of its range, and the ring against EIP-2935's 8191: BadParameter(name, min, max, actual)
// └── epoch, counting epoch: golden vectors, and the counting epoch is the epoch of LEAD blocks later
// Epochs
// ├── first, stride, commit, last, life, closable from: golden vectors and the page's worked example
// └── attempts of a shard never overlap, and all of them end before the last epoch
// JobWord
// └── fields of the golden job words; shards and tasks of each shard add up
contract EpochsTest is Assertions {
    using JobWord for uint256;

    // --- clock ----------------------------------------------------------------------------------------------------

    function test_constructor__numberOutOfRange__reverts() public {
        _expect("EPOCH_BLOCKS", 3, 3_600, 2);
        new ClockHarness(2, 128, 1);
        _expect("EPOCH_BLOCKS", 3, 3_600, 3_601);
        new ClockHarness(3_601, 128, 1);
        _expect("LEAD", 1, 9, 0);
        new ClockHarness(10, 128, 0);
        _expect("LEAD", 1, 9, 10);
        new ClockHarness(10, 128, 10);
        _expect("RING", 16, 818, 15);
        new ClockHarness(10, 15, 4);
        _expect("RING", 16, 818, 819);
        new ClockHarness(10, 819, 4);
    }

    function _expect(string memory name, uint256 min, uint256 max, uint256 actual) private {
        vm.expectRevert(abi.encodeWithSelector(IClock.BadParameter.selector, name, min, max, actual));
    }

    function test_constructor__numbersAtTheirEdges__areKept() public {
        ClockHarness clock = new ClockHarness(10, 818, 9);
        assertLe((uint256(clock.RING()) + 1) * clock.EPOCH_BLOCKS(), 8_191, "every seed is provable");
        clock = new ClockHarness(3, 16, 1);
        assertEq(clock.LEAD(), 1, "lead");
    }

    function testFuzz_countingEpoch__anyBlock__isTheEpochOfLeadBlocksLater(uint256 number, uint256 lead) public {
        number = bound(number, 0, 1 << 40);
        lead = bound(lead, 1, 9);
        ClockHarness clock = new ClockHarness(10, 128, uint32(lead));
        vm.roll(number);
        uint256 counting = clock.countingEpoch();
        vm.roll(number + lead);
        assertEq(counting, clock.epoch(), "counting");
    }

    function test_vectors__blocks__areTheSame() public {
        string memory json = vm.readFile("tests/vectors/epochs.json");
        ClockHarness clock = new ClockHarness(
            uint32(vm.parseJsonUint(json, ".epochBlocks")), 128, uint32(vm.parseJsonUint(json, ".lead"))
        );
        uint256[] memory blocks = vm.parseJsonUintArray(json, ".block");
        uint256[] memory epochs = vm.parseJsonUintArray(json, ".epoch");
        uint256[] memory counting = vm.parseJsonUintArray(json, ".countingEpoch");
        assertGt(blocks.length, 10, "vectors");
        for (uint256 i; i < blocks.length; ++i) {
            vm.roll(blocks[i]);
            assertEq(clock.epoch(), epochs[i], "epoch");
            assertEq(clock.countingEpoch(), counting[i], "counting");
        }
    }

    // --- attempts -------------------------------------------------------------------------------------------------

    /// @dev Posted in block 1003, w = 1: drawn and committed in 101, revealed 102, next attempt 104.
    function test_attempts__workedExample__areAsThePageSays() public pure {
        uint256 first = Epochs.firstOf(100, 0, 2);
        assertEq(first, 101, "first");
        assertEq(Epochs.commitOf(first, 1), 101, "commit");
        assertEq(first + Epochs.stride(1), 104, "attempt 1");
        assertEq(Epochs.lastOf(first, 3, 1, 8), 117, "last");
        assertEq(Epochs.closableFrom(117, 3, 1, 8, 0, 4), 122, "closable");
    }

    function testFuzz_attempts__anyShape__followEachOtherAndEndInTime(
        uint256 post,
        uint256 shard,
        uint256 pace,
        uint256 work,
        uint256 attempts
    ) public pure {
        post = bound(post, 0, 1 << 30);
        shard = bound(shard, 0, 1 << 20);
        pace = bound(pace, 1, 65_535);
        work = bound(work, 1, 8);
        attempts = bound(attempts, 1, 4);
        uint256 first = Epochs.firstOf(post, shard, pace);
        uint256 last = Epochs.lastOf(first, attempts, work, 8);
        assertGt(first, post, "never drawn by a seed known at post");
        for (uint256 a; a < attempts; ++a) {
            uint256 start = first + a * Epochs.stride(work);
            uint256 commit_ = Epochs.commitOf(start, work);
            assertEq(commit_, start + work - 1, "work epochs");
            assertLt(commit_ + Epochs.OPEN_WITHIN, start + Epochs.stride(work) + 1, "opened before the next starts");
            assertLe(commit_ + Epochs.OPEN_WITHIN, last, "settleable");
        }
        assertLe(last - first + 1, Epochs.lifeOf(attempts, work, 8, 0, 4), "life covers it");
        assertGt(Epochs.closableFrom(last, attempts, work, 8, 0, 4), last + 4, "reports end before close");
        assertGe(
            Epochs.closableFrom(last, attempts, work, 8, 6, 4),
            Epochs.closableFrom(last, attempts, work, 8, 0, 4) + 6,
            "an appeal makes it longer"
        );
    }

    struct JobVectors {
        bytes32[] words;
        uint256[] shards;
        uint256[] stride;
        uint256[] life;
        uint256[] closable;
        uint256 settleGrace;
        uint256 reportEpochs;
    }

    function _jobs(string memory json) private pure returns (JobVectors memory v) {
        v.words = vm.parseJsonBytes32Array(json, ".jobWords");
        v.shards = vm.parseJsonUintArray(json, ".jobShards");
        v.stride = vm.parseJsonUintArray(json, ".jobStride");
        v.life = vm.parseJsonUintArray(json, ".jobLife");
        v.closable = vm.parseJsonUintArray(json, ".jobClosableFrom");
        v.settleGrace = vm.parseJsonUint(json, ".settleGrace");
        v.reportEpochs = vm.parseJsonUint(json, ".reportEpochs");
    }

    function test_vectors__jobs__areTheSame() public view {
        JobVectors memory v = _jobs(vm.readFile("tests/vectors/epochs.json"));
        assertGt(v.words.length, 3, "vectors");
        for (uint256 i; i < v.words.length; ++i) {
            uint256 w = uint256(v.words[i]);
            assertEq(w.shards(), v.shards[i], "shards");
            assertEq(Epochs.stride(w.work()), v.stride[i], "stride");
            assertEq(
                Epochs.lifeOf(w.maxAttempts(), w.work(), v.settleGrace, w.appealEpochs(), v.reportEpochs),
                v.life[i],
                "life"
            );
            uint256 first = Epochs.firstOf(w.postEpoch(), w.shards() - 1, w.pace());
            uint256 last = Epochs.lastOf(first, w.maxAttempts(), w.work(), v.settleGrace);
            assertEq(
                Epochs.closableFrom(last, w.maxAttempts(), w.work(), v.settleGrace, w.appealEpochs(), v.reportEpochs),
                v.closable[i],
                "closable"
            );
        }
    }

    function test_vectors__attempts__areTheSame() public view {
        string memory json = vm.readFile("tests/vectors/epochs.json");
        bytes32[] memory words = vm.parseJsonBytes32Array(json, ".jobWords");
        uint256[] memory jobs = vm.parseJsonUintArray(json, ".attemptJob");
        uint256[] memory shards = vm.parseJsonUintArray(json, ".attemptShard");
        uint256[] memory attempts = vm.parseJsonUintArray(json, ".attempt");
        uint256[] memory starts = vm.parseJsonUintArray(json, ".attemptStart");
        uint256[] memory commits = vm.parseJsonUintArray(json, ".attemptCommit");
        uint256[] memory lasts = vm.parseJsonUintArray(json, ".attemptLast");
        uint256 grace = vm.parseJsonUint(json, ".settleGrace");
        for (uint256 i; i < jobs.length; ++i) {
            uint256 w = uint256(words[jobs[i]]);
            uint256 first = Epochs.firstOf(w.postEpoch(), shards[i], w.pace());
            uint256 start = first + attempts[i] * Epochs.stride(w.work());
            assertEq(start, starts[i], "start");
            assertEq(Epochs.commitOf(start, w.work()), commits[i], "commit");
            assertEq(Epochs.lastOf(first, w.maxAttempts(), w.work(), grace), lasts[i], "last");
        }
    }

    // --- job words ------------------------------------------------------------------------------------------------

    function test_jobWord__storyVector__hasItsFields() public view {
        string memory json = vm.readFile("tests/vectors/story.json");
        uint256 w = uint256(vm.parseJsonBytes32(json, ".jobWord"));
        assertEq(w.taskPrice(), vm.parseJsonUint(json, ".units") * vm.parseJsonUint(json, ".unitPrice"), "price");
        assertEq(w.tasks(), vm.parseJsonUint(json, ".tasks"), "tasks");
        assertEq(w.shardSize(), vm.parseJsonUint(json, ".shardSize"), "shard size");
        assertEq(w.postEpoch(), vm.parseJsonUint(json, ".postEpoch"), "post epoch");
        assertEq(w.pace(), vm.parseJsonUint(json, ".pace"), "pace");
        assertEq(w.pool(), vm.parseJsonUint(json, ".pool"), "pool");
        assertEq(w.committee(), vm.parseJsonUint(json, ".committee"), "committee");
        assertEq(w.quorum(), vm.parseJsonUint(json, ".quorum"), "quorum");
        assertEq(w.work(), vm.parseJsonUint(json, ".work"), "work");
        assertEq(w.maxAttempts(), vm.parseJsonUint(json, ".maxAttempts"), "attempts");
        assertEq(uint256(w.class()), 0, "exact");
        assertEq(w.appealEpochs(), 0, "appeal epochs");
    }

    function testFuzz_jobWord__anyTasks__shardsAddUp(uint256 tasks, uint256 size, uint256 rest) public pure {
        tasks = bound(tasks, 1, 2_000);
        size = bound(size, 1, 2_000);
        uint256 w = (rest & ~(uint256(type(uint56).max) << 112)) | tasks << 136 | size << 112;
        assertEq(w.shards(), (tasks + size - 1) / size, "shards");
        uint256 sum;
        for (uint256 s; s < w.shards(); ++s) {
            assertGt(w.tasksIn(s), 0, "empty shard");
            assertLe(w.tasksIn(s), size, "too many");
            sum += w.tasksIn(s);
        }
        assertEq(sum, tasks, "sum");
        uint256 fewer = w.withTasks(tasks - 1);
        assertEq(fewer.tasks(), tasks - 1, "lowered");
        assertEq(fewer ^ w, (tasks ^ (tasks - 1)) << 136, "nothing else changed");
    }
}
