// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IJobMarket} from "../../contracts/interfaces/IJobMarket.sol";
import {JobId, NodeId, ShardStatus} from "../../contracts/interfaces/Types.sol";
import {ILibraries} from "../../contracts/mocks/ILibraries.sol";
import {CourtScenes} from "./support/CourtScenes.sol";
import {PlainTrees} from "./support/PlainTrees.sol";

// The golden vectors of appeals, which the agent's mirror wrote, put into storage where a view finds it
// ├── cases: until when one may appeal; the case's word, tasks, quorum, bond, last attempt and last epoch
// ├── money: a shard's price, what is poured to whom, what a node forfeits
// ├── where a case stands over its life; a lane before and after it is marked wrong
// └── draws of judges: by the library from a table, by the registry from its list and what the Court excludes
contract CourtVectorTest is CourtScenes {
    uint256 private constant CASE = 0x4000; // the bit of a word that says it is a case's

    string private json;
    ILibraries private libraries;

    function setUp() public override {
        json = vm.readFile("tests/vectors/court.json");
        super.setUp();
        libraries = _newLibraries();
    }

    // --- the vectors ----------------------------------------------------------------------------------------------

    function _numbers(string memory key) private view returns (uint256[] memory) {
        return vm.parseJsonUintArray(json, key);
    }

    /// @dev Numbers that a JSON reader may not hold are written as words.
    function _words(string memory key) private view returns (uint256[] memory words) {
        bytes32[] memory read = vm.parseJsonBytes32Array(json, key);
        assembly ("memory-safe") {
            words := read
        }
    }

    // --- storage --------------------------------------------------------------------------------------------------

    /// @dev The slot that a view reads first, whether or not it then reverts.
    function _slotOf(address target, bytes memory view_) private returns (uint256) {
        storageVm.record();
        (bool ok,) = target.staticcall(view_);
        (bytes32[] memory reads,) = storageVm.accesses(target);
        assertTrue(ok || reads.length != 0, "scene: it reads");
        return uint256(reads[0]);
    }

    function _store(address target, uint256 slot, uint256 value) private {
        vm.store(target, bytes32(slot), bytes32(value));
    }

    function _load(address target, uint256 slot) private view returns (uint256) {
        return uint256(vm.load(target, bytes32(slot)));
    }

    /// @dev First of a job's slots: its word; `requester160 | held88 | settled8` from the right; what is rare.
    function _jobSlot(JobId id) private returns (uint256) {
        return _slotOf(address(market), abi.encodeCall(market.jobWord, (id)));
    }

    /// @dev A case's first slot; the fourth from the right: `accuserDue88 | requesterDue88 | ended32 | paidSlots16`.
    function _caseSlot(JobId id, uint32 shard) private returns (uint256) {
        return _slotOf(address(court), abi.encodeCall(court.caseOf, (id, shard)));
    }

    // --- cases ----------------------------------------------------------------------------------------------------

    function test_vectors__numbers__areTheMarkets() public view {
        assertEq(market.SETTLE_GRACE(), vm.parseJsonUint(json, ".settleGrace"), "grace");
        assertEq(market.REPORT_EPOCHS(), vm.parseJsonUint(json, ".reportEpochs"), "report");
        assertEq(market.SETTLE_FEE_BPS(), vm.parseJsonUint(json, ".settleFeeBps"), "fee");
        assertEq(market.RING(), vm.parseJsonUint(json, ".maturity"), "maturity");
    }

    struct Cases {
        uint256[] words;
        uint256[] shards;
        uint256[] settledAt;
        uint256[] until;
        uint256[] epochs;
        uint256[] judges;
        uint256[] quorums;
        uint256[] caseWords;
        uint256[] tasks;
        uint256[] bonds;
        uint256[] lasts;
        uint256[] starts;
    }

    function test_vectors__cases__areTheSame() public {
        Cases memory v;
        (v.words, v.shards, v.settledAt) = (_words(".jobWord"), _numbers(".shard"), _numbers(".settledAt"));
        (v.until, v.epochs, v.judges) = (_numbers(".appealUntil"), _numbers(".caseEpoch"), _numbers(".caseJudges"));
        (v.quorums, v.caseWords, v.tasks) = (_numbers(".caseQuorum"), _words(".caseWord"), _numbers(".caseTasks"));
        (v.bonds, v.lasts, v.starts) = (_words(".caseBond"), _numbers(".caseLast"), _numbers(".caseStart"));
        assertGe(v.words.length, 40, "vectors");
        uint256 id = vm.snapshotState();
        for (uint256 i; i < v.words.length; ++i) {
            assertEq(
                libraries.caseWord(v.words[i], v.shards[i], v.epochs[i], v.judges[i], v.quorums[i]),
                v.caseWords[i],
                "library"
            );
            _assertCaseOf(v, i);
            vm.revertToState(id);
        }
    }

    /// @dev The job of the vector, its shard settled in attempt 0, and a court of that many judges.
    function _givenJob(Cases memory v, uint256 i) private {
        (job, settled) = (_job(7_000 + i), Answer(7_000 + i, v.shards[i], 0, LIE));
        receipt = IJobMarket.Receipt(0, 1, LIE, new bytes32[](0));
        _store(address(market), _jobSlot(job), v.words[i]);
        bytes32 root = PlainTrees.settlementLeaf(_id(job), v.shards[i], 0, 1, LIE);
        uint256 slot = _slotOf(address(market), abi.encodeCall(market.settlementEpoch, (root)));
        _store(address(market), slot, v.settledAt[i]);
        vm.etch(address(court), address(_newCourt(registry, ledger, uint8(v.judges[i]), 5_000)).code);
    }

    function _appealVector(uint32 shard) private returns (JobId) {
        vm.prank(accuser);
        return court.appeal(job, shard, receipt);
    }

    function _assertCaseOf(Cases memory v, uint256 i) private {
        _givenJob(v, i);
        uint32 shard = uint32(v.shards[i]);
        uint32 until = uint32(v.until[i]);
        _rollTo(until, shape.epochBlocks - shape.lead - 1);
        _recordSeed(_startOf(_id(job), shard, 0));
        uint256 id = vm.snapshotState();
        _appealVector(shard); // in the last block
        vm.revertToState(id);
        vm.roll(vm.getBlockNumber() + 1);
        vm.expectRevert(abi.encodeWithSelector(IJobMarket.TooLate.selector, job, shard, until, until + 1));
        _appealVector(shard);

        _rollTo(v.epochs[i]);
        assertEq(court.bondOf(job, shard), v.bonds[i], "bond asked");
        caseJob = _appealVector(shard);
        assertEq(market.jobWord(caseJob), v.caseWords[i], "word");
        assertEq(_held(caseJob), v.bonds[i], "bond");
        IJobMarket.JobView memory c = market.jobView(caseJob);
        assertEq(c.quorum, v.quorums[i], "quorum");
        assertEq(c.tasks, v.tasks[i], "tasks");
        assertEq(c.shardSize, v.tasks[i], "in one shard");
        assertEq(court.caseOf(job, shard).last, v.lasts[i], "last epoch");
        assertEq(_startOf(_id(caseJob), 0, uint256(c.maxAttempts) - 1), v.starts[i], "start of the last attempt");
    }

    // --- money ----------------------------------------------------------------------------------------------------

    function _givenSettleFee(uint256 bps) private {
        MarketParams memory params = _params();
        params.settleFeeBps = uint16(bps);
        address other =
            address(_newMarket(address(authority), registry, ledger, address(payToken), address(court), params));
        vm.etch(address(market), other.code);
    }

    function _givenPay(uint256 pay, uint256 protocolBps) private {
        uint256 slot = _jobSlot(job);
        _store(address(market), slot, pay << 168 | 2 << 136 | 1 << 112 | uint112(_load(address(market), slot)));
        _store(address(market), slot + 2, protocolBps);
    }

    function _givenPaid(uint256 slots) private {
        uint256 slot = _caseSlot(job, SHARD) + 3;
        _store(address(court), slot, uint208(_load(address(court), slot)) | ((1 << slots) - 1) << 208);
    }

    /// @dev An overturned shard of one task, with the vector's pay, paid slots and fees.
    function test_vectors__prices__areTheSame() public {
        uint256[] memory pays = _numbers(".pricePay");
        uint256[] memory paid = _numbers(".pricePaid");
        uint256[] memory settleBps = _numbers(".priceSettleBps");
        uint256[] memory protocolBps = _numbers(".priceProtocolBps");
        uint256[] memory prices = _words(".price");
        assertGt(prices.length, 30, "vectors");
        _lieSettled();
        _appeal();
        _judged(TRUTH);
        uint256 id = vm.snapshotState();
        for (uint256 i; i < prices.length; ++i) {
            _givenPay(pays[i], protocolBps[i]);
            _givenPaid(paid[i]);
            _givenSettleFee(settleBps[i]);
            _resolve();
            (, uint256 toRequester) = _due();
            assertEq(toRequester, prices[i], "price");
            vm.revertToState(id);
        }
    }

    struct Pours {
        uint256[] amounts;
        uint256[] accuserDue;
        uint256[] requesterDue;
        uint256[] accuser;
        uint256[] requester;
        uint256[] burned;
    }

    /// @dev What is left of a case's escrow, poured when it closes. A case with nothing left has nothing to close.
    function test_vectors__pours__areTheSame() public {
        Pours memory v;
        (v.amounts, v.accuserDue) = (_words(".pourAmount"), _words(".pourAccuserDue"));
        (v.requesterDue, v.accuser) = (_words(".pourRequesterDue"), _words(".pourAccuser"));
        (v.requester, v.burned) = (_words(".pourRequester"), _words(".pourBurned"));
        assertGt(v.amounts.length, 40, "vectors");
        _lieSettled();
        _ruled(TRUTH);
        _rollTo(market.jobView(caseJob).closableFrom);
        market.collect(accuser);
        uint256 heldSlot = _jobSlot(caseJob) + 1;
        uint256 dueSlot = _caseSlot(job, SHARD) + 3;
        uint256 id = vm.snapshotState();
        for (uint256 i; i < v.amounts.length; ++i) {
            uint256 kept = _load(address(market), heldSlot) & ~(uint256(type(uint88).max) << 160);
            _store(address(market), heldSlot, kept | v.amounts[i] << 160);
            kept = _load(address(court), dueSlot) >> 176 << 176;
            _store(address(court), dueSlot, kept | v.requesterDue[i] << 88 | v.accuserDue[i]);
            if (v.amounts[i] == 0) vm.expectRevert(abi.encodeWithSelector(IJobMarket.AlreadyClosed.selector, caseJob));
            court.closeCase(job, SHARD);
            _assertOwed(v.accuser[i], v.requester[i], v.burned[i], "poured");
            (uint256 toAccuser, uint256 toRequester) = _due();
            assertEq(toAccuser, v.accuserDue[i] - v.accuser[i], "accuser due");
            assertEq(toRequester, v.requesterDue[i] - v.requester[i], "requester due");
            vm.revertToState(id);
        }
    }

    function test_vectors__forfeits__areTheSame() public {
        uint256[] memory words = _words(".forfeitWord");
        uint256[] memory epochs = _numbers(".forfeitEpoch");
        uint256[] memory afterwards = _words(".forfeitAfter");
        uint256[] memory taken = _words(".forfeitTaken");
        uint256[] memory matured = _words(".forfeitMatured");
        assertGt(words.length, 20, "vectors");
        NodeId node = _node(1);
        uint256 slot = _slotOf(address(market), abi.encodeCall(market.earningsOf, (node)));
        uint256 id = vm.snapshotState();
        for (uint256 i; i < words.length; ++i) {
            (uint256 fresh, uint256 old) = libraries.roll(words[i], epochs[i] / shape.ring);
            assertEq(fresh, taken[i], "library: what has not matured");
            assertEq(old, matured[i], "library: what has");
            _store(address(market), slot, words[i]);
            _rollTo(epochs[i]);
            vm.prank(address(court));
            assertEq(market.forfeit(node), taken[i], "taken");
            assertEq(_load(address(market), slot), afterwards[i], "word");
            assertEq(_matured(node), matured[i], "matured");
            vm.revertToState(id);
        }
    }

    // --- standing -------------------------------------------------------------------------------------------------

    function test_vectors__standings__areTheSame() public {
        uint256[] memory nows = _numbers(".standingNow");
        uint256[] memory settledBits = _numbers(".standingSettled");
        uint256[] memory resolved = _numbers(".standingResolved");
        uint256[] memory standings = _numbers(".standing");
        assertGt(nows.length, 60, "vectors");
        (job, caseJob) = (_job(7_000), _job(7_001));
        uint256 word = uint256(vm.parseJsonBytes32(json, ".standingWord"));
        uint256 jobSlot = _jobSlot(caseJob);
        _store(address(market), jobSlot, word);
        uint256 last = libraries.lastOf(word, market.SETTLE_GRACE());
        uint256 slot = _caseSlot(job, SHARD);
        _store(address(court), slot, last << 224 | _id(caseJob) << 160 | uint160(accuser));
        for (uint256 i; i < nows.length; ++i) {
            _store(address(market), jobSlot + 1, settledBits[i] << 248);
            _store(address(court), slot + 3, resolved[i] * nows[i] << 176);
            _rollTo(nows[i], i % shape.epochBlocks);
            (ShardStatus status,,) = court.status(job, SHARD);
            assertEq(uint256(status), standings[i], "standing");
        }
    }

    function test_vectors__lanes__areTheSame() public {
        uint256[] memory before = _words(".laneBefore");
        uint256[] memory afterwards = _words(".laneWrong");
        assertGt(before.length, 4, "vectors");
        for (uint256 i; i < before.length; ++i) {
            uint32 epoch = uint32(before[i] >> 224);
            bytes memory pair = abi.encodePacked(uint32(1), epoch);
            _store(address(ledger), _slotOf(address(ledger), abi.encodeCall(ledger.lanes, (pair))), before[i]);
            assertEq(_lane(_node(1), epoch), before[i], "scene: there it is");
            vm.prank(address(court));
            ledger.markWrong(_node(1), epoch);
            assertEq(_lane(_node(1), epoch), afterwards[i], "wrong");
        }
    }

    // --- judges ---------------------------------------------------------------------------------------------------

    struct Draws {
        uint256[] list;
        uint256[] epochs;
        uint256[] heldBefore;
        uint256[] seeds;
        uint256[] jobs;
        uint256[] sizes;
        uint256[] barredLow;
        uint256[] barredHigh;
        uint256[] asked;
        uint256[] lengths;
        uint256[] table;
        uint256[] slots;
        uint256[] words;
    }

    function _draws() private view returns (Draws memory v) {
        (v.list, v.epochs) = (_numbers(".drawList"), _numbers(".drawEpoch"));
        (v.heldBefore, v.seeds) = (_numbers(".drawHeldBefore"), _words(".drawSeed"));
        (v.jobs, v.sizes) = (_numbers(".drawJob"), _numbers(".drawSize"));
        (v.barredLow, v.barredHigh) = (_words(".barredLow"), _words(".barredHigh"));
        (v.asked, v.words) = (_words(".drawWords"), _words(".slotWords"));
        (v.lengths, v.table, v.slots) = (_numbers(".tableLength"), _numbers(".table"), _numbers(".slots"));
        assertGe(v.list.length, 40, "vectors");
    }

    function _tableOf(Draws memory v, uint256 d, uint256 used) private pure returns (uint256[] memory table) {
        table = new uint256[](v.lengths[d]);
        for (uint256 i; i < table.length; ++i) {
            table[i] = v.table[used + i];
        }
    }

    function _drawn(Draws memory v, uint256 d, uint256[] memory table) private view returns (uint256, uint256) {
        return libraries.draw(bytes32(v.seeds[d]), v.jobs[d], 0, v.sizes[d], table, v.barredLow[d], v.barredHigh[d]);
    }

    function test_vectors__tables__areDrawnTheSame() public view {
        Draws memory v = _draws();
        uint256 used;
        for (uint256 d; d < v.list.length; ++d) {
            uint256[] memory table = _tableOf(v, d, used);
            used += table.length;
            (uint256 low, uint256 high) = _drawn(v, d, table);
            assertEq(low, v.words[2 * d], "slots 0 to 7");
            assertEq(high, v.words[2 * d + 1], "slots 8 to 14");
            for (uint256 i; i < 15; ++i) {
                assertEq(libraries.slot(low, high, i), v.slots[15 * d + i], "slot");
            }
        }
        assertEq(used, v.table.length, "every table was used");
    }

    /// @dev List `n` becomes pool `n + 1`: two seats a word, `node32 | since32 | until32 | age31 | paused1`.
    function _givenLists() private {
        uint256[] memory lengths = _numbers(".listSeats");
        uint256[] memory nodes = _numbers(".seatNode");
        uint256[] memory since = _numbers(".seatSince");
        uint256[] memory until = _numbers(".seatUntil");
        uint256[] memory heldSince = _numbers(".seatHeldSince");
        uint256 k;
        for (uint256 list; list < lengths.length; ++list) {
            uint256 slot =
                _slotOf(address(registry), abi.encodeCall(registry.lengthAt, (_pool(list + 1), uint32(_epoch()))));
            _store(address(registry), slot, 1 << 32 | lengths[list]); // grown in epoch 1
            for (uint256 i; i < lengths[list]; ++i) {
                slot = _slotOf(address(registry), abi.encodeCall(registry.seatAt, (_pool(list + 1), uint32(i))));
                uint256 entry = nodes[k] << 96 | since[k] << 64 | until[k] << 32 | (since[k] - heldSince[k]) << 1;
                uint256 left = _load(address(registry), slot) >> 128 << 128;
                _store(address(registry), slot, i & 1 == 0 ? entry << 128 : left | entry);
                ++k;
            }
        }
        assertEq(k, nodes.length, "every seat was used");
    }

    function test_vectors__lists__areDrawnTheSame() public {
        Draws memory v = _draws();
        _rollTo(201);
        _givenLists();
        uint256 caseSlot = _caseSlot(_job(1), SHARD);
        for (uint256 d; d < v.list.length; ++d) {
            uint256 word = (v.list[d] + 1) << 48 | v.sizes[d] << 40 | CASE;
            assertEq(v.asked[2 * d], v.seeds[d], "seed");
            assertEq(v.asked[2 * d + 1], libraries.drawWord(word, v.jobs[d] << 32, v.epochs[d]), "draw word");
            // What the case is about leads to whom it excludes: the last two slots of a case.
            uint256 about = _slotOf(address(court), abi.encodeCall(court.exclusions, (_job(v.jobs[d]))));
            _store(address(court), about, 1 << 32 | SHARD);
            _store(address(court), caseSlot + 4, v.barredLow[d]);
            _store(address(court), caseSlot + 5, v.heldBefore[d] << 224 | v.barredHigh[d] >> 32);
            uint256[] memory draws = new uint256[](2);
            (draws[0], draws[1]) = (v.asked[2 * d], v.asked[2 * d + 1]);
            uint256[] memory drawn = registry.committees(draws);
            assertEq(drawn[0], v.words[2 * d], "slots 0 to 7");
            assertEq(drawn[1], v.words[2 * d + 1], "slots 8 to 14");
        }
    }
}
