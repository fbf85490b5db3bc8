// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IJobMarket} from "../../../contracts/interfaces/IJobMarket.sol";
import {AnswerClass, JobId, NodeId} from "../../../contracts/interfaces/Types.sol";
import {Base} from "./Base.sol";
import {IDeployedCourt, IDeployedMarket} from "./Deployments.sol";
import {PlainTrees} from "./PlainTrees.sol";
import {SettleCalls} from "./SettleCalls.sol";

/// @title A market on top, and the whole story: post, commit, reveal, settle, receipts
/// @dev `_courtOf` gives the court (zero unless overridden with `_newCourt`: then jobs may ask for appeals).
abstract contract Story is Base {
    /// @dev What a settle call claims of a shard: that `root` is the answer of `attempt`.
    struct Answer {
        uint256 job;
        uint256 shard;
        uint256 attempt;
        bytes32 root;
    }

    IDeployedMarket internal market;
    IDeployedCourt internal court;
    IERC20 internal payToken;

    function setUp() public virtual override {
        super.setUp();
        vm.prank(requester);
        payToken.approve(address(market), type(uint256).max);
    }

    // --- what a test may change -----------------------------------------------------------------------------------

    function _params() internal view virtual returns (MarketParams memory) {
        return MarketParams({settleGrace: 8, reportEpochs: 4, settleFeeBps: 100, absentBps: 10});
    }

    function _courtOf() internal virtual returns (address) {
        return address(0);
    }

    function _newCourt() internal returns (address) {
        return address(_newCourt(registry, ledger, _judges(), 5_000));
    }

    function _judges() internal view virtual returns (uint8) {
        return 5;
    }

    /// @dev The payment token; the requester must hold enough of it.
    function _payToken() internal virtual returns (address) {
        return address(_newStablecoin(requester, 1e24));
    }

    function _market() internal virtual override returns (address, address) {
        payToken = IERC20(_payToken());
        court = IDeployedCourt(_courtOf());
        market = _newMarket(address(authority), registry, ledger, address(payToken), address(court), _params());
        return (address(market), address(court));
    }

    // --- jobs -----------------------------------------------------------------------------------------------------

    /// @dev One shard of one task for three nodes, two of whom must agree.
    function _spec() internal view virtual returns (IJobMarket.JobSpec memory) {
        return IJobMarket.JobSpec({
            pool: pool,
            class: AnswerClass.EXACT,
            tasks: 1,
            shardSize: 1,
            pace: 0,
            committee: 3,
            quorum: 2,
            work: 1,
            maxAttempts: 3,
            appealEpochs: 0,
            units: 12,
            unitPrice: 1_000,
            manifest: keccak256("manifest")
        });
    }

    function _post(IJobMarket.JobSpec memory spec) internal returns (JobId) {
        vm.prank(requester);
        return market.post(spec);
    }

    function _startOf(uint256 job, uint256 shard, uint256 attempt) internal view returns (uint256) {
        IJobMarket.JobView memory v = market.jobView(_job(job));
        return uint256(v.postEpoch) + 1 + shard / v.pace + attempt * (uint256(v.work) + 2);
    }

    function _commitEpochOf(uint256 job, uint256 shard, uint256 attempt) internal view returns (uint256) {
        return _startOf(job, shard, attempt) + market.jobView(_job(job)).work - 1;
    }

    /// @dev Last epoch in which a shard may be settled.
    function _lastOf(uint256 job, uint256 shard) internal view returns (uint256) {
        IJobMarket.JobView memory v = market.jobView(_job(job));
        return _startOf(job, shard, 0) + uint256(v.maxAttempts) * (uint256(v.work) + 2) - 1 + market.SETTLE_GRACE();
    }

    function _isPast(uint256 epoch) internal view returns (bool) {
        return vm.getBlockNumber() > epoch * shape.epochBlocks + 1;
    }

    /// @dev The slots of a shard's attempt, by the seed whether or not it is recorded.
    function _committee(uint256 job, uint256 shard, uint256 attempt) internal view returns (uint256[] memory slots) {
        IJobMarket.JobView memory v = market.jobView(_job(job));
        uint256 start = _startOf(job, shard, attempt);
        bool isCase = (market.jobWord(_job(job)) >> 14) & 1 != 0;
        slots = _draw(_seedOf(start), job, shard, start, v.pool, v.committee, isCase);
        uint256 size = v.committee;
        assembly ("memory-safe") {
            mstore(slots, size)
        }
    }

    function _slotOf(uint256 job, uint256 shard, uint256 attempt, NodeId node) internal view returns (uint8) {
        uint256[] memory slots = _committee(job, shard, attempt);
        for (uint256 i; i < slots.length; ++i) {
            if (slots[i] == _id(node)) return uint8(i);
        }
        revert("Story: node was not drawn");
    }

    // --- batches as facts -----------------------------------------------------------------------------------------

    function _hashes(bytes memory leaves) internal pure returns (bytes32[] memory hashes) {
        hashes = new bytes32[](leaves.length / 44);
        for (uint256 i; i < hashes.length; ++i) {
            hashes[i] = keccak256(_cut(leaves, i * 44, 44));
        }
    }

    function _cut(bytes memory data, uint256 from, uint256 length) internal pure returns (bytes memory piece) {
        piece = new bytes(length);
        for (uint256 i; i < length; ++i) {
            piece[i] = data[from + i];
        }
    }

    /// @dev The lane of this pair was opened in time to count.
    function _counts(uint256 pair) internal view returns (bool) {
        uint256 lane = _lane(_node(pair >> 32), uint32(pair));
        uint256 delay = (lane >> 216) & 0x0f;
        return lane >> 224 == uint32(pair) && delay != 0 && delay <= 2;
    }

    /// @dev Position of the answer's leaf in the pair's batch, or its size when it is not there.
    function _positionOf(Answer memory answer, uint256 pair) internal view returns (uint256 position) {
        bytes32[] memory hashes = _hashes(batchOf[_node(pair >> 32)][uint32(pair)]);
        bytes32 leaf = PlainTrees.batchLeaf(answer.job, answer.shard, answer.root);
        while (position < hashes.length && hashes[position] != leaf) {
            ++position;
        }
    }

    function _pairs(Answer memory answer) internal view returns (uint256[] memory pairs) {
        pairs = _committee(answer.job, answer.shard, answer.attempt);
        uint256 commitEpoch = _commitEpochOf(answer.job, answer.shard, answer.attempt);
        for (uint256 i; i < pairs.length; ++i) {
            if (pairs[i] != 0) pairs[i] = pairs[i] << 32 | commitEpoch;
        }
    }

    function _matches(Answer memory answer, uint256 pair) internal view returns (bool) {
        if (pair == 0 || !_counts(pair)) return false;
        return _positionOf(answer, pair) < batchOf[_node(pair >> 32)][uint32(pair)].length / 44;
    }

    /// @dev Slots that a settle call with everything shown pays now.
    function _paidSlots(Answer memory answer) internal view returns (uint16 slots) {
        uint256[] memory pairs = _pairs(answer);
        for (uint256 i; i < pairs.length; ++i) {
            if (_matches(answer, pairs[i])) slots |= uint16(1 << i);
        }
    }

    // --- settle calls ---------------------------------------------------------------------------------------------

    /// @dev Every drawn node's lane, ascending and once.
    function _lanesOf(Answer[] memory answers) internal view returns (uint256[] memory lanes) {
        lanes = new uint256[](answers.length * 15);
        uint256 count;
        for (uint256 a; a < answers.length; ++a) {
            uint256[] memory pairs = _pairs(answers[a]);
            for (uint256 i; i < pairs.length; ++i) {
                if (pairs[i] != 0) count = _insert(lanes, count, pairs[i]);
            }
        }
        assembly ("memory-safe") {
            mstore(lanes, count)
        }
    }

    function _insert(uint256[] memory sorted, uint256 count, uint256 value) private pure returns (uint256) {
        uint256 to = count;
        while (to > 0 && sorted[to - 1] > value) {
            --to;
        }
        if (to > 0 && sorted[to - 1] == value) return count;
        for (uint256 i = count; i > to; --i) {
            sorted[i] = sorted[i - 1];
        }
        sorted[to] = value;
        return count + 1;
    }

    function _indexOf(uint256[] memory lanes, uint256 pair) internal pure returns (uint8) {
        for (uint256 i; i < lanes.length; ++i) {
            if (lanes[i] == pair) return uint8(i);
        }
        return SettleCalls.NO_LANE;
    }

    function _entryOf(Answer memory answer, uint256[] memory lanes)
        internal
        view
        returns (SettleCalls.Entry memory entry)
    {
        uint256[] memory pairs = _pairs(answer);
        entry = SettleCalls.Entry(
            uint64(answer.job), uint32(answer.shard), uint8(answer.attempt), answer.root, new uint8[](pairs.length)
        );
        for (uint256 i; i < pairs.length; ++i) {
            entry.hints[i] = pairs[i] == 0 ? SettleCalls.NO_LANE : _indexOf(lanes, pairs[i]);
        }
    }

    /// @dev The shortest range of the lane's batch that shows every answer in it; no segments when there is none.
    function _openingOf(Answer[] memory answers, uint256 pair, uint8 lane)
        internal
        view
        returns (SettleCalls.Opening memory opening)
    {
        bytes32[] memory hashes = _hashes(batchOf[_node(pair >> 32)][uint32(pair)]);
        // Answer at each position, plus one.
        uint256[] memory shows = new uint256[](hashes.length);
        uint256 first = hashes.length;
        uint256 last;
        for (uint256 a; a < answers.length; ++a) {
            if (_commitEpochOf(answers[a].job, answers[a].shard, answers[a].attempt) != uint32(pair)) continue;
            uint256 position = _positionOf(answers[a], pair);
            if (position == hashes.length) continue;
            shows[position] = a + 1;
            if (position < first) first = position;
            if (position > last) last = position;
        }
        if (first == hashes.length) return opening;
        opening.lane = lane;
        opening.size = uint16(hashes.length);
        opening.first = uint16(first);
        opening.segments = _segments(hashes, shows, first, last);
        opening.proof = PlainTrees.rangeProof(hashes, first, last - first + 1);
    }

    function _segments(bytes32[] memory hashes, uint256[] memory shows, uint256 first, uint256 last)
        private
        pure
        returns (SettleCalls.Segment[] memory segments)
    {
        segments = new SettleCalls.Segment[](last - first + 1);
        uint256 count;
        for (uint256 p = first; p <= last;) {
            uint256 end = p + 1;
            if (shows[p] != 0) {
                while (end <= last && shows[end] == shows[p] + end - p) ++end;
                segments[count++] = SettleCalls.Segment(uint16(shows[p] - 1), uint16(end - p), new bytes32[](0));
            } else {
                while (end <= last && shows[end] == 0) ++end;
                bytes32[] memory foreign = new bytes32[](end - p);
                for (uint256 i; i < foreign.length; ++i) {
                    foreign[i] = hashes[p + i];
                }
                segments[count++] = SettleCalls.Segment(SettleCalls.FOREIGN, uint16(end - p), foreign);
            }
            p = end;
        }
        assembly ("memory-safe") {
            mstore(segments, count)
        }
    }

    /// @dev The whole call of an agent that shows all it can: every drawn lane, every opening that matches.
    function _plan(Answer[] memory answers) internal view returns (SettleCalls.Call memory plan) {
        return _plan(answers, _lanesOf(answers));
    }

    /// @dev The same with only these lanes listed.
    function _plan(Answer[] memory answers, uint256[] memory lanes)
        internal
        view
        returns (SettleCalls.Call memory plan)
    {
        for (uint256 a; a < answers.length; ++a) {
            plan.entries = abi.encodePacked(plan.entries, SettleCalls.encode(_entryOf(answers[a], lanes)));
        }
        for (uint256 i; i < lanes.length; ++i) {
            plan.lanes = abi.encodePacked(plan.lanes, uint64(lanes[i]));
            if (!_counts(lanes[i])) continue;
            SettleCalls.Opening memory opening = _openingOf(answers, lanes[i], uint8(i));
            if (opening.segments.length != 0) {
                plan.openings = abi.encodePacked(plan.openings, SettleCalls.encode(opening));
            }
        }
    }

    function _settle(Answer[] memory answers) internal returns (uint256) {
        return _send(_plan(answers), stranger);
    }

    /// @dev `settler` sends the call and earns its fee.
    function _send(SettleCalls.Call memory plan, address settler) internal returns (uint256) {
        vm.prank(settler);
        return market.settle(plan.entries, plan.lanes, plan.openings, NodeId.wrap(0));
    }

    /// @dev Opening of one answer as `claim` reads it.
    function _claimOpening(Answer memory answer, NodeId node) internal view returns (bytes memory) {
        uint256 pair = _id(node) << 32 | _commitEpochOf(answer.job, answer.shard, answer.attempt);
        return SettleCalls.encode(_openingOf(_one(answer), pair, 0));
    }

    // --- receipts -------------------------------------------------------------------------------------------------

    function _one(Answer memory answer) internal pure returns (Answer[] memory answers) {
        answers = new Answer[](1);
        answers[0] = answer;
    }

    function _one(uint16 value) internal pure returns (uint16[] memory values) {
        values = new uint16[](1);
        values[0] = value;
    }

    function _settlementLeaves(Answer[] memory settled, uint16[] memory paidSlots)
        internal
        pure
        returns (bytes32[] memory leaves)
    {
        leaves = new bytes32[](settled.length);
        for (uint256 i; i < settled.length; ++i) {
            Answer memory a = settled[i];
            leaves[i] = PlainTrees.settlementLeaf(a.job, a.shard, a.attempt, paidSlots[i], a.root);
        }
    }

    /// @dev Receipt of the `index`-th of the shards that one call settled.
    function _receipt(Answer[] memory settled, uint16[] memory paidSlots, uint256 index)
        internal
        pure
        returns (IJobMarket.Receipt memory)
    {
        bytes32[] memory path = PlainTrees.sortedPath(_settlementLeaves(settled, paidSlots), index);
        return IJobMarket.Receipt(uint8(settled[index].attempt), paidSlots[index], settled[index].root, path);
    }

    /// @dev Receipt of a call that settled one shard.
    function _receipt(Answer memory settled, uint16 paidSlots) internal pure returns (IJobMarket.Receipt memory) {
        return IJobMarket.Receipt(uint8(settled.attempt), paidSlots, settled.root, new bytes32[](0));
    }

    // --- shortcuts ------------------------------------------------------------------------------------------------

    /// @dev Every drawn node of attempt 0 of shard 0 seals `root` alone and opens it; ends in the reveal epoch, seed
    /// recorded, ready to settle.
    function _answerAll(JobId job, bytes32 root) internal returns (Answer memory answer) {
        answer = Answer(_id(job), 0, 0, root);
        uint256 commitEpoch = _commitEpochOf(answer.job, 0, 0);
        _rollTo(commitEpoch, 2);
        uint256[] memory slots = _committee(answer.job, 0, 0);
        for (uint256 i; i < slots.length; ++i) {
            if (slots[i] != 0) _commit(_node(slots[i]), _leaf(answer.job, 0, root));
        }
        _rollTo(commitEpoch + 1, 2);
        for (uint256 i; i < slots.length; ++i) {
            if (slots[i] != 0) _reveal(_node(slots[i]), commitEpoch);
        }
        _recordSeed(_startOf(answer.job, 0, 0));
    }
}
