// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IJobMarket} from "../../contracts/interfaces/IJobMarket.sol";
import {JobId, ShardStatus} from "../../contracts/interfaces/Types.sol";
import {PlainTrees} from "./support/PlainTrees.sol";
import {Scenes} from "./support/Scenes.sol";

// verifyTask
// ├── the answer of a settled, final shard: true
// │   ├── empty, of one byte, of 1,023, 1,024, 1,025, 2,048 and 5,000 bytes
// │   ├── of any status: a faulty payload has an answer too
// │   ├── in a shard of one task, the last of a short shard, one shard of many settled
// │   └── the shard settled alone or with others
// ├── settled but not final: false until the window is over
// ├── not settled, unknown job, task beyond the job, task of another shard, cancelled: false
// └── anything flipped: status, data, its length, task, path, any field of the receipt: false
// verifyChunk
// ├── every chunk of a final answer: true
// └── anything flipped: chunk, index, task, status, length, either path, receipt; an empty answer: false
contract VerifyTest is Scenes {
    JobId internal job;
    IJobMarket.TaskResult[] internal results;
    Answer[] internal answers;
    uint16[] internal paid;

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
        _result(0, 5_000);
        _result(0, 0);
        _result(3, 1);
        _result(0, 1_023);
        _result(4, 1_024);
        _result(0, 1_025);
        _result(255, 2_048);
    }

    function _result(uint8 status, uint256 length) private {
        bytes memory data = new bytes(length);
        for (uint256 i; i < length; ++i) {
            data[i] = bytes1(uint8((i * 7 + length) % 251));
        }
        results.push(IJobMarket.TaskResult(status, data));
    }

    /// @dev Leaves of a shard of three tasks; the last shard has one.
    function _leaves(uint256 shard) private view returns (bytes32[] memory leaves) {
        uint256 first = shard * 3;
        leaves = new bytes32[](results.length - first < 3 ? results.length - first : 3);
        for (uint256 i; i < leaves.length; ++i) {
            leaves[i] = PlainTrees.taskLeaf(first + i, results[first + i].status, results[first + i].data);
        }
    }

    /// @dev Seven tasks in shards of three, settled in one call.
    function _settleResults(uint8 appealEpochs) private {
        IJobMarket.JobSpec memory spec = _spec();
        (spec.tasks, spec.shardSize, spec.pace, spec.appealEpochs) = (7, 3, 2, appealEpochs);
        (spec.committee, spec.quorum) = (2, 2);
        spec.pace = 3;
        job = _postAmongFew(spec);
        delete answers;
        delete paid;
        for (uint256 shard; shard < 3; ++shard) {
            answers.push(Answer(_id(job), shard, 0, PlainTrees.sortedRoot(_leaves(shard))));
        }
        _play(answers);
        for (uint256 shard; shard < 3; ++shard) {
            paid.push(_paidSlots(answers[shard]));
        }
        assertEq(_settle(answers), 3, "settles");
    }

    function _taskProof(uint256 task) private view returns (IJobMarket.TaskProof memory) {
        return
            IJobMarket.TaskProof(_receipt(answers, paid, task / 3), PlainTrees.sortedPath(_leaves(task / 3), task % 3));
    }

    function _chunkProof(uint256 task, uint256 chunk) private view returns (IJobMarket.ChunkProof memory proof) {
        proof.receipt = _receipt(answers, paid, task / 3);
        proof.taskPath = PlainTrees.sortedPath(_leaves(task / 3), task % 3);
        proof.chunkPath = PlainTrees.sortedPath(PlainTrees.chunkLeaves(results[task].data), chunk);
        (proof.status, proof.byteLength) = (results[task].status, uint32(results[task].data.length));
    }

    function _verify(uint256 task) private view returns (bool) {
        return market.verifyTask(job, uint32(task), results[task], _taskProof(task));
    }

    function _false(
        uint32 task,
        IJobMarket.TaskResult memory result,
        IJobMarket.TaskProof memory proof,
        string memory why
    ) private view {
        assertFalse(market.verifyTask(job, task, result, proof), why);
    }

    // --- tasks ----------------------------------------------------------------------------------------------------

    function test_verifyTask__finalAnswers__areTrue() public {
        _settleResults(0);
        for (uint256 task; task < 7; ++task) {
            assertTrue(_verify(task), "every answer, whatever its status and size");
        }
    }

    function test_verifyTask__shardSettledAlone__isTrue() public {
        JobId one = _post(_spec());
        bytes memory data = "forty-two";
        Answer memory answer = Answer(_id(one), 0, 0, PlainTrees.taskLeaf(0, 0, data));
        _play(answer);
        uint16 slots = _paidSlots(answer);
        IJobMarket.TaskProof memory proof = IJobMarket.TaskProof(_receipt(answer, slots), new bytes32[](0));
        assertFalse(market.verifyTask(one, 0, IJobMarket.TaskResult(0, data), proof), "not settled");
        _settle(_one(answer));
        assertTrue(market.verifyTask(one, 0, IJobMarket.TaskResult(0, data), proof), "no path is needed");
        _rollTo(_epoch() + 100_000);
        assertTrue(market.verifyTask(one, 0, IJobMarket.TaskResult(0, data), proof), "for ever");
    }

    function test_verifyTask__appealWindow__falseUntilItIsOver() public {
        _settleResults(7);
        uint256 settledAt = _epoch();
        for (uint256 epoch = settledAt; epoch <= settledAt + 7; ++epoch) {
            _rollTo(epoch, epoch == settledAt ? 3 : shape.epochBlocks - 1);
            assertFalse(_verify(0), "settled, not final");
            assertEq(
                uint256(market.shardStatus(job, 0, _receipt(answers, paid, 0))),
                uint256(ShardStatus.SETTLED),
                "so its status says"
            );
        }
        _rollTo(settledAt + 8);
        assertTrue(_verify(0), "final");
        assertEq(
            uint256(market.shardStatus(job, 0, _receipt(answers, paid, 0))), uint256(ShardStatus.FINAL), "status too"
        );
    }

    function test_verifyTask__anythingFlipped__isFalse() public {
        _settleResults(0);
        IJobMarket.TaskResult memory r = results[3];
        IJobMarket.TaskProof memory proof = _taskProof(3);
        assertTrue(market.verifyTask(job, 3, r, proof), "as it is");
        r.status ^= 1;
        _false(3, r, proof, "status");
        r = results[3];
        r.data[500] ^= 0x01;
        _false(3, r, proof, "data");
        r.data = abi.encodePacked(results[3].data, uint8(0));
        _false(3, r, proof, "longer");
        r.data = _cut(results[3].data, 0, 1_022);
        _false(3, r, proof, "shorter");
        r = results[3];
        _false(4, r, proof, "another task");
        _false(0, r, proof, "a task of another shard");
        _false(7, r, proof, "beyond the job");
        _false(type(uint32).max, r, proof, "far beyond");
        assertFalse(market.verifyTask(_job(0), 3, r, proof), "no job");
        assertFalse(market.verifyTask(_job(99), 3, r, proof), "another job");
        proof.path[0] ^= bytes32(uint256(1));
        _false(3, r, proof, "path");
        proof.path = new bytes32[](0);
        _false(3, r, proof, "no path");
        proof = _taskProof(3);
        proof.receipt.attempt = 1;
        _false(3, r, proof, "attempt");
        proof = _taskProof(3);
        proof.receipt.paidSlots ^= 1;
        _false(3, r, proof, "paid slots");
        proof = _taskProof(3);
        proof.receipt.resultRoot ^= bytes32(uint256(1));
        _false(3, r, proof, "root");
        proof = _taskProof(3);
        proof.receipt.path[0] ^= bytes32(uint256(1));
        _false(3, r, proof, "path of the receipt");
        proof.receipt.path = new bytes32[](0);
        _false(3, r, proof, "no path of the receipt");
        proof = _taskProof(3);
        proof.receipt = _receipt(answers, paid, 0);
        _false(3, r, proof, "another shard's receipt");
    }

    function test_verifyTask__leafThatIsANode__isFalse() public {
        // The settlement tree's inner nodes and other leaves must not pass for a shard's receipt.
        _settleResults(0);
        IJobMarket.TaskProof memory proof = _taskProof(0);
        bytes32 root = PlainTrees.sortedRoot(_settlementLeaves(answers, paid));
        proof.receipt = IJobMarket.Receipt(0, 0, root, new bytes32[](0));
        _false(0, results[0], proof, "the record itself is nobody's result");
    }

    function test_verifyTask__cancelledShard__isFalse() public {
        IJobMarket.JobSpec memory spec = _spec();
        (spec.tasks, spec.pace) = (9, 1);
        job = _post(spec);
        vm.prank(requester);
        market.cancel(job);
        IJobMarket.TaskProof memory proof;
        _false(5, IJobMarket.TaskResult(0, ""), proof, "cancelled");
    }

    // --- chunks ---------------------------------------------------------------------------------------------------

    function test_verifyChunk__everyChunkOfFinalAnswers__isTrue() public {
        _settleResults(0);
        for (uint256 task; task < 7; ++task) {
            bytes memory data = results[task].data;
            for (uint256 i; i * 1_024 < data.length; ++i) {
                bool sound =
                    market.verifyChunk(job, uint32(task), uint32(i), PlainTrees.chunk(data, i), _chunkProof(task, i));
                assertTrue(sound, "every chunk");
            }
        }
    }

    function test_verifyChunk__appealWindow__falseUntilItIsOver() public {
        _settleResults(7);
        bytes memory chunk = PlainTrees.chunk(results[0].data, 2);
        assertFalse(market.verifyChunk(job, 0, 2, chunk, _chunkProof(0, 2)), "not final");
        _rollTo(_epoch() + 8);
        assertTrue(market.verifyChunk(job, 0, 2, chunk, _chunkProof(0, 2)), "final");
    }

    function test_verifyChunk__anythingFlipped__isFalse() public {
        _settleResults(0);
        IJobMarket.ChunkProof memory proof = _chunkProof(0, 2);
        bytes memory chunk = PlainTrees.chunk(results[0].data, 2);
        assertTrue(market.verifyChunk(job, 0, 2, chunk, proof), "as it is");
        assertFalse(market.verifyChunk(job, 0, 1, chunk, proof), "index");
        assertFalse(market.verifyChunk(job, 1, 2, chunk, proof), "task");
        assertFalse(market.verifyChunk(job, 7, 2, chunk, proof), "beyond the job");
        assertFalse(market.verifyChunk(_job(99), 0, 2, chunk, proof), "job");
        assertFalse(market.verifyChunk(job, 0, 2, _cut(chunk, 0, 1_023), proof), "cut");
        chunk[7] ^= 0x80;
        assertFalse(market.verifyChunk(job, 0, 2, chunk, proof), "chunk");
        chunk[7] ^= 0x80;
        proof.status = 1;
        assertFalse(market.verifyChunk(job, 0, 2, chunk, proof), "status");
        (proof.status, proof.byteLength) = (0, 5_001);
        assertFalse(market.verifyChunk(job, 0, 2, chunk, proof), "length");
        proof.byteLength = 5_000;
        proof.chunkPath[1] ^= bytes32(uint256(1));
        assertFalse(market.verifyChunk(job, 0, 2, chunk, proof), "path of the chunk");
        proof = _chunkProof(0, 2);
        proof.taskPath[0] ^= bytes32(uint256(1));
        assertFalse(market.verifyChunk(job, 0, 2, chunk, proof), "path of the task");
        proof = _chunkProof(0, 2);
        proof.receipt.paidSlots ^= 1;
        assertFalse(market.verifyChunk(job, 0, 2, chunk, proof), "receipt");
    }

    function test_verifyChunk__emptyAnswer__hasNoChunk() public {
        _settleResults(0);
        IJobMarket.ChunkProof memory proof;
        proof.receipt = _receipt(answers, paid, 0);
        proof.taskPath = PlainTrees.sortedPath(_leaves(0), 1);
        assertFalse(market.verifyChunk(job, 1, 0, "", proof), "nothing to show");
    }

    /// forge-config: default.fuzz.runs = 1000
    /// forge-config: deep.fuzz.runs = 1000
    function testFuzz_verifyTask__anyBytes__onlyTheseBytes(bytes memory data, uint8 status, bytes memory other) public {
        JobId one = _post(_spec());
        Answer memory answer = Answer(_id(one), 0, 0, PlainTrees.taskLeaf(0, status, data));
        _play(answer);
        uint16 slots = _paidSlots(answer);
        _settle(_one(answer));
        IJobMarket.TaskProof memory proof = IJobMarket.TaskProof(_receipt(answer, slots), new bytes32[](0));
        assertTrue(market.verifyTask(one, 0, IJobMarket.TaskResult(status, data), proof), "these");
        assertEq(
            market.verifyTask(one, 0, IJobMarket.TaskResult(status, other), proof),
            keccak256(data) == keccak256(other),
            "no others"
        );
    }
}
