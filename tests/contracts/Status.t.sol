// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IJobMarket} from "../../contracts/interfaces/IJobMarket.sol";
import {JobId, NodeId, ShardStatus} from "../../contracts/interfaces/Types.sol";
import {SettleCalls} from "./support/SettleCalls.sol";
import {Scenes} from "./support/Scenes.sol";

// shardStatus(job, shard)
// ├── unknown job: NONE; beyond the job's shards: CANCELLED
// ├── the grid of tests/vectors/epochs.json: every job, shard and epoch of it
// ├── every epoch of one shard's life, with what settle says in it: NotYet, settles, TooLate
// ├── settled in each of its epochs: SETTLED, or FINAL at once without appeals
// └── without a receipt a settled shard is final no earlier than any receipt could say
// shardStatus(job, shard, receipt)
// ├── SETTLED through settledAt + appealEpochs, FINAL after
// └── a receipt of nothing: NotSettled
contract StatusTest is Scenes {
    string private json;

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

    // --- the grid -------------------------------------------------------------------------------------------------

    /// @dev Where the market keeps a job's word: the mapping's slot is found by the word that a post left.
    function _wordSlot(JobId job) private view returns (bytes32) {
        IJobMarket.JobView memory v = market.jobView(job);
        for (uint256 slot; slot < 64; ++slot) {
            bytes32 where = keccak256(abi.encode(_id(job), slot));
            if (uint256(vm.load(address(market), where)) >> 168 == v.taskPrice) return where;
        }
        revert("Status: the job's word was not found");
    }

    function test_shardStatus__vectorGrid__isTheSame() public {
        json = vm.readFile("tests/vectors/epochs.json");
        bytes32[] memory words = vm.parseJsonBytes32Array(json, ".jobWords");
        uint256[] memory jobs = vm.parseJsonUintArray(json, ".statusJob");
        uint256[] memory shards = vm.parseJsonUintArray(json, ".statusShard");
        uint256[] memory nows = vm.parseJsonUintArray(json, ".statusNow");
        uint256[] memory settledAts = vm.parseJsonUintArray(json, ".statusSettledAt");
        uint256[] memory statuses = vm.parseJsonUintArray(json, ".status");
        assertEq(vm.parseJsonUint(json, ".settleGrace"), market.SETTLE_GRACE(), "the grid's grace is the market's");
        for (uint256 j; j < words.length; ++j) {
            JobId job = _post(_spec());
            vm.store(address(market), _wordSlot(job), words[j]);
        }
        assertGt(jobs.length, 400, "a grid, not a corner");
        for (uint256 i; i < jobs.length; ++i) {
            if (settledAts[i] != 0) continue; // by receipt, below
            _rollTo(nows[i], i % shape.epochBlocks);
            assertEq(uint256(market.shardStatus(_job(jobs[i] + 1), uint32(shards[i]))), statuses[i], _caseName(i));
        }
    }

    function _caseName(uint256 i) private pure returns (string memory) {
        return string.concat("case ", vm.toString(i));
    }

    struct Grid {
        uint256[] jobs;
        uint256[] shards;
        uint256[] nows;
        uint256[] settledAts;
        uint256[] statuses;
        uint256 slot; // of the market's records
    }

    /// @dev The settled cases: a record at the root of one leaf says when, the job's word says the window.
    function test_shardStatus__vectorGridOfSettled__isTheSameByReceipt() public {
        json = vm.readFile("tests/vectors/epochs.json");
        Grid memory grid;
        grid.jobs = vm.parseJsonUintArray(json, ".statusJob");
        grid.shards = vm.parseJsonUintArray(json, ".statusShard");
        grid.nows = vm.parseJsonUintArray(json, ".statusNow");
        grid.settledAts = vm.parseJsonUintArray(json, ".statusSettledAt");
        grid.statuses = vm.parseJsonUintArray(json, ".status");
        (, Answer memory probe,) = _settledJob(_spec());
        grid.slot = _recordsSlot(_settlementLeaves(_one(probe), _one(uint16(7)))[0]);
        _storeJobs();
        uint256 seen;
        for (uint256 i; i < grid.jobs.length; ++i) {
            if (grid.settledAts[i] == 0) continue;
            this.assertSettledCase(grid, i);
            ++seen;
        }
        assertGt(seen, 10, "settled cases");
    }

    function _storeJobs() private {
        bytes32[] memory words = vm.parseJsonBytes32Array(json, ".jobWords");
        for (uint256 j; j < words.length; ++j) {
            JobId job = _post(_spec());
            vm.store(address(market), _wordSlot(job), words[j]);
        }
    }

    /// @dev External, so that the compiler does not inline it into the loop and run out of stack.
    function assertSettledCase(Grid calldata grid, uint256 i) external {
        Answer memory a = Answer(grid.jobs[i] + 2, grid.shards[i], 0, bytes32(i));
        bytes32 leaf = _settlementLeaves(_one(a), _one(uint16(3)))[0];
        vm.store(address(market), keccak256(abi.encode(leaf, grid.slot)), bytes32(grid.settledAts[i]));
        _rollTo(grid.nows[i]);
        ShardStatus status = market.shardStatus(_job(a.job), uint32(a.shard), _receipt(a, 3));
        assertEq(uint256(status), grid.statuses[i], _caseName(i));
    }

    function _recordsSlot(bytes32 root) private view returns (uint256 slot) {
        for (; slot < 64; ++slot) {
            bytes32 where = keccak256(abi.encode(root, slot));
            if (uint256(vm.load(address(market), where)) == market.settlementEpoch(root)) return slot;
        }
        revert("Status: the record was not found");
    }

    // --- through the public entry points --------------------------------------------------------------------------

    function test_shardStatus__unknownAndBeyond__noneAndCancelled() public {
        _assertStatus(_job(1), 0, ShardStatus.NONE, "no job");
        _assertStatus(_job(0), 0, ShardStatus.NONE, "never a job");
        JobId job = _post(_spec());
        _assertStatus(job, 1, ShardStatus.CANCELLED, "beyond");
        _assertStatus(job, type(uint32).max, ShardStatus.CANCELLED, "far beyond");
        assertFalse(market.isSettled(job, 1) || market.isSettled(_job(9), 0), "not settled");
    }

    /// @dev What each epoch of an unsettled shard is called, from its post on.
    function _expected(uint256 n, uint256 work, uint256 attempts) private pure returns (ShardStatus) {
        if (n == 0) return ShardStatus.SCHEDULED;
        uint256 stride = work + 2;
        uint256 since = n - 1;
        if (since / stride >= attempts) {
            return since < attempts * stride + 8 ? ShardStatus.SETTLEABLE : ShardStatus.EXPIRED;
        }
        uint256 phase = since % stride;
        if (phase < work) return ShardStatus.WORKING;
        return phase == work ? ShardStatus.REVEALING : ShardStatus.SETTLING;
    }

    /// @dev In every epoch: the status, and whether settle of attempt 0, which has a quorum, goes through.
    function _walk(uint8 work, uint8 attempts) private {
        IJobMarket.JobSpec memory spec = _spec();
        (spec.work, spec.maxAttempts) = (work, attempts);
        JobId job = _post(spec);
        uint256 postEpoch = market.jobView(job).postEpoch;
        Answer memory answer = _answer(job, 0, 0);
        uint256 last = _lastOf(_id(job), 0);
        assertEq(last, postEpoch + 1 + uint256(attempts) * (work + 2) - 1 + 8, "last");
        uint256 played = vm.snapshotState();
        for (uint256 n; n <= last + 2 - postEpoch; ++n) {
            uint256 epoch = postEpoch + n;
            vm.revertToState(played);
            played = vm.snapshotState();
            if (n > work) _play(answer);
            ShardStatus expected = _expected(n, work, attempts);
            if (n != 0 && n != work + 1) _atEdge(answer, epoch, 0, expected, last); // opened in its block 2
            _atEdge(answer, epoch, shape.epochBlocks - 1, expected, last);
        }
    }

    function _atEdge(Answer memory answer, uint256 epoch, uint256 offset, ShardStatus expected, uint256 last) private {
        _rollTo(epoch, offset);
        JobId job = _job(answer.job);
        _assertStatus(job, 0, expected, "status");
        _trySettle(job, answer, epoch, _commitEpochOf(answer.job, 0, 0), last);
    }

    function _trySettle(JobId job, Answer memory answer, uint256 epoch, uint256 commitEpoch, uint256 last) private {
        uint256 id = vm.snapshotState();
        SettleCalls.Call memory plan;
        uint256[] memory lanes = new uint256[](0);
        if (epoch > commitEpoch) {
            plan = _plan(_one(answer));
        } else {
            plan.entries = abi.encodePacked(uint64(_id(job)), uint32(0), uint8(0), answer.root, hex"ffffff");
            assertEq(lanes.length, 0, "no lane yet");
        }
        if (epoch <= commitEpoch) {
            vm.expectRevert(
                abi.encodeWithSelector(IJobMarket.NotYet.selector, job, 0, uint32(commitEpoch + 1), uint32(epoch))
            );
        }
        if (epoch > last) {
            vm.expectRevert(abi.encodeWithSelector(IJobMarket.TooLate.selector, job, 0, uint32(last), uint32(epoch)));
        }
        uint256 settled = market.settle(plan.entries, plan.lanes, plan.openings, NodeId.wrap(0));
        if (epoch > commitEpoch && epoch <= last) {
            assertEq(settled, 1, "settles in every epoch between");
            _assertStatus(job, 0, ShardStatus.FINAL, "final at once");
            assertTrue(market.isSettled(job, 0), "settled");
        }
        vm.revertToState(id);
    }

    function test_shardStatus__everyEpochOfThreeAttempts__matchesWhatSettleSays() public {
        _walk(1, 3);
    }

    function test_shardStatus__everyEpochOfOneAttempt__matchesWhatSettleSays() public {
        _walk(1, 1);
    }

    function test_shardStatus__everyEpochOfLongWork__matchesWhatSettleSays() public {
        _walk(3, 2);
    }

    function test_shardStatus__pacedShards__startOnePaceLater() public {
        IJobMarket.JobSpec memory spec = _spec();
        (spec.tasks, spec.pace) = (6, 2);
        JobId job = _post(spec);
        uint256 first = uint256(market.jobView(job).postEpoch) + 1;
        for (uint256 i; i < 3; ++i) {
            _rollTo(first + i);
            for (uint256 shard; shard < 6; ++shard) {
                ShardStatus expected = shard / 2 > i ? ShardStatus.SCHEDULED : _expected(i - shard / 2 + 1, 1, 3);
                _assertStatus(job, shard, expected, "by its own start");
            }
        }
    }

    // --- settled --------------------------------------------------------------------------------------------------

    function test_shardStatus__appeals__settledThenFinal() public {
        IJobMarket.JobSpec memory spec = _spec();
        spec.appealEpochs = 7;
        (JobId job, Answer memory answer, IJobMarket.Receipt memory receipt) = _settledJob(spec);
        uint256 settledAt = _epoch();
        uint256 last = _lastOf(_id(job), 0);
        for (uint256 epoch = settledAt; epoch <= last + 9; ++epoch) {
            _rollTo(epoch, epoch == settledAt ? 5 : 0);
            bool byReceipt = epoch > settledAt + 7;
            bool without = epoch > last + 7;
            assertEq(
                uint256(market.shardStatus(job, 0, receipt)),
                uint256(byReceipt ? ShardStatus.FINAL : ShardStatus.SETTLED),
                "by receipt"
            );
            _assertStatus(job, 0, without ? ShardStatus.FINAL : ShardStatus.SETTLED, "without");
            assertTrue(byReceipt || !without, "never final without what is not final by receipt");
        }
        receipt.resultRoot = keccak256(abi.encode(answer.root));
        vm.expectRevert(abi.encodeWithSelector(IJobMarket.NotSettled.selector, job, 0));
        market.shardStatus(job, 0, receipt);
    }
}
