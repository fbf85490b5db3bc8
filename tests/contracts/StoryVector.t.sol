// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IJobMarket} from "../../contracts/interfaces/IJobMarket.sol";
import {JobId, NodeId} from "../../contracts/interfaces/Types.sol";
import {IDeployedLedger} from "./support/Deployments.sol";
import {PlainTrees} from "./support/PlainTrees.sol";
import {Story} from "./support/Story.sol";

// The worked example of docs/protocol.md, byte for byte, through the contracts: the draw, the lanes, the settlement, the
// pay and the proofs are those that the vector file says. Three nodes in a pool of four entries, one of them a hole; the
// third node answers the first shard differently.
contract StoryVectorTest is Story {
    event JobPosted(
        JobId indexed job, address indexed requester, bytes32 manifest, uint256 word, uint32 units, uint64 unitPrice
    );

    string internal json;
    uint32 internal epoch; // of the attempt, and of its commit

    function setUp() public override {
        json = vm.readFile("tests/vectors/story.json");
        epoch = uint32(_number(".attemptEpoch"));
        super.setUp();
        _rollTo(90);
        _seats();
    }

    // --- the vector -----------------------------------------------------------------------------------------------

    function _number(string memory key) private view returns (uint256) {
        return vm.parseJsonUint(json, key);
    }

    function _word(string memory key) private view returns (bytes32) {
        return vm.parseJsonBytes32(json, key);
    }

    function _words(string memory key) private view returns (bytes32[] memory) {
        return vm.parseJsonBytes32Array(json, key);
    }

    function _data(string memory key) private view returns (bytes memory) {
        return vm.parseJsonBytes(json, key);
    }

    function _datas(string memory key) private view returns (bytes[] memory) {
        return vm.parseJsonBytesArray(json, key);
    }

    function _randao(uint256 epoch_) internal view override returns (bytes32) {
        return epoch_ == epoch ? _word(".prevRandao") : super._randao(epoch_);
    }

    /// @dev The digests bind the ledger's address: its code goes to where the vector has it.
    function _market() internal override returns (address, address) {
        address there = vm.parseJsonAddress(json, ".ledger");
        vm.etch(there, address(ledger).code);
        ledger = IDeployedLedger(there);
        return super._market();
    }

    /// @dev Entries 1, 2, a hole, 3.
    function _seats() private {
        _register(operator, 1);
        NodeId second = _register(operator, 2);
        vm.prank(operator);
        registry.leaveSeats(second, 1);
        _register(operator, 1);
    }

    // --- the story ------------------------------------------------------------------------------------------------

    function _postVector() private returns (JobId job) {
        vm.roll(_number(".postBlock"));
        IJobMarket.JobSpec memory spec = _spec();
        spec.tasks = uint32(_number(".tasks"));
        spec.shardSize = uint24(_number(".shardSize"));
        spec.pace = uint16(_number(".pace"));
        spec.manifest = sha256(bytes(vm.parseJsonString(json, ".jobManifest")));
        vm.expectEmit(address(market));
        emit JobPosted(
            _job(_number(".job")),
            requester,
            _word(".jobManifestDigest"),
            uint256(_word(".jobWord")),
            uint32(_number(".units")),
            uint64(_number(".unitPrice"))
        );
        return _post(spec);
    }

    function _commitAll() private {
        _rollTo(epoch, 2);
        _recordSeed(epoch);
        bytes[] memory digests = _datas(".digests");
        for (uint256 i; i < 3; ++i) {
            vm.prank(keyOf[_node(i + 1)]);
            ledger.commit(epoch, bytes27(digests[i]));
        }
    }

    function _revealAll() private {
        _rollTo(_number(".revealEpoch"));
        bytes[] memory leaves = _datas(".leaves");
        bytes32[] memory manifests = _words(".manifestDigests");
        bytes32[] memory salts = _words(".salts");
        for (uint256 i; i < 3; ++i) {
            ledger.reveal(_node(i + 1), epoch, leaves[i], manifests[i], salts[i]);
        }
    }

    function _settleVector() private {
        _postVector();
        _commitAll();
        _revealAll();
        _rollTo(_number(".settleEpoch"), 1);
        (bool ok, bytes memory answer) = address(market).call(_data(".settleCalldata"));
        assertTrue(ok, "settle call of the vector");
        assertEq(abi.decode(answer, (uint256)), 2, "both shards");
    }

    function test_post__vector__hasTheJobWordAndEscrow() public {
        JobId job = _postVector();
        IJobMarket.JobView memory v = market.jobView(job);
        assertEq(v.held, _number(".escrow"), "escrow");
        assertEq(v.closableFrom, _number(".closableFrom"), "closable from");
        assertEq(_lastOf(1, 0), _number(".lastEpoch"), "last");
        assertEq(_commitEpochOf(1, 1, 0), _number(".commitEpoch"), "commit epoch");
    }

    function test_draw__vector__givesTheCommittees() public {
        _postVector();
        _rollTo(epoch, 2);
        assertEq(_recordSeed(epoch), _word(".seed"), "seed");
        uint256[] memory slots = vm.parseJsonUintArray(json, ".slots");
        for (uint256 shard; shard < 2; ++shard) {
            uint256[] memory drawn = _committee(1, shard, 0);
            for (uint256 i; i < 3; ++i) {
                assertEq(drawn[i], slots[3 * shard + i], "slot");
            }
        }
    }

    function test_trees__vector__leadFromResultsToRoots() public view {
        bytes[] memory results = _datas(".resultData");
        uint256[] memory statuses = vm.parseJsonUintArray(json, ".resultStatus");
        bytes32[] memory chunkRoots = _words(".chunkRoots");
        bytes32[] memory taskLeaves = _words(".taskLeaves");
        for (uint256 i; i < 3; ++i) {
            assertEq(PlainTrees.chunkRoot(results[i]), chunkRoots[i], "chunk root");
            assertEq(PlainTrees.taskLeaf(i, statuses[i], results[i]), taskLeaves[i], "task leaf");
        }
        bytes32[] memory roots = _words(".resultRoots");
        assertEq(PlainTrees.pair(taskLeaves[0], taskLeaves[1]), roots[0], "shard 0");
        assertEq(taskLeaves[2], roots[1], "shard 1");
    }

    function test_lanes__vector__sealAndOpen() public {
        _postVector();
        _commitAll();
        bytes32[] memory lanes = _words(".lanesSealed");
        for (uint256 i; i < 3; ++i) {
            assertEq(bytes32(_lane(_node(i + 1), epoch)), lanes[i], "sealed");
        }
        _revealAll();
        lanes = _words(".lanesOpen");
        bytes32[] memory roots = _words(".batchRoots");
        for (uint256 i; i < 3; ++i) {
            assertEq(bytes32(_lane(_node(i + 1), epoch)), lanes[i], "open");
            assertEq(uint216(uint256(lanes[i])), uint216(bytes27(roots[i])), "root");
        }
    }

    function test_settle__vector__recordsItsRoot() public {
        _settleVector();
        assertEq(market.settlementEpoch(_word(".settlementRoot")), _number(".settleEpoch"), "settlement");
        assertTrue(market.isSettled(_job(1), 0) && market.isSettled(_job(1), 1), "settled bits");
    }

    function test_settle__vector__paysAsItSays() public {
        _settleVector();
        uint256[] memory pay = vm.parseJsonUintArray(json, ".memberPay");
        uint256[] memory fees = vm.parseJsonUintArray(json, ".settleFees");
        uint256[] memory paidSlots = vm.parseJsonUintArray(json, ".paidSlots");
        uint256[] memory slots = vm.parseJsonUintArray(json, ".slots");
        uint256 earned;
        uint256 paid;
        for (uint256 id = 1; id <= 3; ++id) {
            (uint256 matured, uint256 maturing) = market.earningsOf(_node(id));
            assertEq(maturing, 0, "at once");
            earned += matured;
            for (uint256 s; s < 6; ++s) {
                if (slots[s] == id && paidSlots[s / 3] >> (s % 3) & 1 == 1) paid += pay[s / 3];
            }
        }
        uint256 fee = fees[0] + fees[1];
        uint256 owed = market.owedTo(address(this));
        assertEq(earned + owed, paid + fee, "members and settler");
        assertEq(market.jobView(_job(1)).held, _number(".escrow") - paid - fee, "what is left of the escrow");
    }

    function _receiptOf(uint256 shard) private view returns (IJobMarket.Receipt memory receipt) {
        bytes32[] memory leaves = _words(".settlementLeaves");
        bytes32[] memory path = new bytes32[](1);
        path[0] = leaves[1 - shard];
        uint256[] memory paidSlots = vm.parseJsonUintArray(json, ".paidSlots");
        return IJobMarket.Receipt(0, uint16(paidSlots[shard]), _words(".resultRoots")[shard], path);
    }

    function test_verify__vector__acceptsEveryTaskAndChunk() public {
        _settleVector();
        bytes[] memory results = _datas(".resultData");
        bytes32[] memory leaves = _words(".taskLeaves");
        for (uint256 task; task < 3; ++task) {
            IJobMarket.TaskProof memory proof;
            proof.receipt = _receiptOf(task / 2);
            proof.path = new bytes32[](task < 2 ? 1 : 0);
            if (task < 2) proof.path[0] = leaves[1 - task];
            IJobMarket.TaskResult memory result =
                IJobMarket.TaskResult(uint8(vm.parseJsonUintArray(json, ".resultStatus")[task]), results[task]);
            assertTrue(market.verifyTask(_job(1), uint32(task), result, proof), "task");
            result.status ^= 1;
            assertFalse(market.verifyTask(_job(1), uint32(task), result, proof), "another status");
        }
        IJobMarket.ChunkProof memory chunk;
        chunk.receipt = _receiptOf(0);
        chunk.receipt.path = _words(".proofSettlementPath");
        chunk.taskPath = _words(".proofTaskPath");
        chunk.chunkPath = _words(".proofChunkPath");
        chunk.byteLength = uint32(results[0].length);
        assertTrue(market.verifyChunk(_job(1), 0, 1, PlainTrees.chunk(results[0], 1), chunk), "chunk");
        assertFalse(market.verifyChunk(_job(1), 0, 0, PlainTrees.chunk(results[0], 1), chunk), "another index");
    }
}
