// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IJobMarket} from "../../contracts/interfaces/IJobMarket.sol";
import {JobId, NodeId} from "../../contracts/interfaces/Types.sol";
import {Scenes} from "../contracts/support/Scenes.sol";

/// @title Who acts in the market's invariant runs, what they know, and the books that are kept beside the market's
/// @dev Five nodes of two operators; a court's address, so that jobs may ask for pay that matures. The books use nothing
/// that the market computes except what a call moved out of `held`.
abstract contract MarketCast is Scenes {
    uint256 internal constant NODES = 5;

    struct Record {
        Answer answer;
        uint16 paid;
        uint256 settledAt;
        bytes32[] path;
    }

    /// @dev Of each job: what came in, and where it went.
    mapping(uint256 job => uint256) public escrowed;
    mapping(uint256 job => uint256) public paid;
    mapping(uint256 job => uint256) public fees;
    mapping(uint256 job => uint256) public refunded;
    /// @dev Of each shard: how often it settled; bit per slot that was paid, by settle or claim.
    mapping(uint256 job => mapping(uint256 shard => uint256)) public settledTimes;
    mapping(uint256 job => mapping(uint256 shard => uint256)) public slotsPaid;
    mapping(string action => uint256) public done;
    uint256 public donated;

    Record[] internal records;
    address[] internal accounts;
    uint256 internal block_;

    constructor() {
        setUp();
        for (uint256 i; i < NODES; ++i) {
            _register(i < 3 ? operator : rival, 1);
        }
        _rollTo(_counting() + 1, 1);
        accounts = [requester, stranger, rival, owner, operator];
        block_ = vm.getBlockNumber();
    }

    function _courtOf() internal override returns (address) {
        return _newCourt();
    }

    /// @dev Cheats of one call are gone in the next: the block is set again at the start of every action.
    modifier act() {
        vm.roll(block_);
        _;
        block_ = vm.getBlockNumber();
    }

    function _did(string memory action) internal {
        ++done[action];
    }

    // --- what everybody can know ----------------------------------------------------------------------------------

    /// @dev The youngest ten jobs are enough to look at.
    function _firstJob() internal view returns (uint256) {
        uint256 count = market.jobCount();
        return count > 10 ? count - 9 : 1;
    }

    function _anyJob(uint256 seed) internal view returns (JobId) {
        uint256 count = market.jobCount();
        return _job(count == 0 ? 0 : _firstJob() + seed % (count - _firstJob() + 1));
    }

    function _shards(IJobMarket.JobView memory v) internal pure returns (uint256) {
        return (uint256(v.tasks) + v.shardSize - 1) / v.shardSize;
    }

    function _tasksIn(IJobMarket.JobView memory v, uint256 shard) internal pure returns (uint256) {
        uint256 left = v.tasks - shard * v.shardSize;
        return left < v.shardSize ? left : v.shardSize;
    }

    /// @dev What the dishonest agree on.
    function _wrong(uint256 job, uint256 shard) internal pure returns (bytes32) {
        return keccak256(abi.encode("wrong", job, shard));
    }

    function _start(IJobMarket.JobView memory v, uint256 shard, uint256 attempt) internal pure returns (uint256) {
        return uint256(v.postEpoch) + 1 + shard / v.pace + attempt * (uint256(v.work) + 2);
    }

    function _last(IJobMarket.JobView memory v, uint256 shard) internal view returns (uint256) {
        return _start(v, shard, v.maxAttempts) - 1 + market.SETTLE_GRACE();
    }

    /// @dev An answer may be settled by the clock alone.
    function _timely(IJobMarket.JobView memory v, uint256 shard, uint256 attempt) internal view returns (bool) {
        return _epoch() > _start(v, shard, attempt) + v.work - 1 && _epoch() <= _last(v, shard);
    }

    /// @dev In the epoch after the commit nobody's lane may be sealed.
    function _ripe(Answer memory answer) internal view returns (bool) {
        uint256[] memory pairs = _pairs(answer);
        for (uint256 i; i < pairs.length; ++i) {
            if (pairs[i] == 0 || _epoch() != uint32(pairs[i]) + 1) continue;
            if (_lane(_node(pairs[i] >> 32), uint32(pairs[i])) >> 216 == uint256(uint32(pairs[i])) << 8) return false;
        }
        return true;
    }

    /// @dev Leaves of a node's batch of this epoch, by its manner for it.
    function _leavesOf(NodeId node, uint256 seed) internal view returns (bytes memory leaves) {
        for (uint256 j = _firstJob(); j <= market.jobCount(); ++j) {
            IJobMarket.JobView memory v = market.jobView(_job(j));
            for (uint256 s; s < _shards(v); ++s) {
                for (uint256 a; a < v.maxAttempts; ++a) {
                    if (_start(v, s, a) + v.work - 1 != _epoch() || !_isDrawn(j, s, a, node)) continue;
                    bytes32 root = seed % 8 == 0 ? _wrong(j, s) : _root(j, s);
                    leaves = abi.encodePacked(leaves, _leaf(j, s, root));
                }
            }
        }
    }

    function _isDrawn(uint256 job, uint256 shard, uint256 attempt, NodeId node) internal view returns (bool) {
        uint256[] memory slots = _committee(job, shard, attempt);
        for (uint256 i; i < slots.length; ++i) {
            if (slots[i] == _id(node)) return true;
        }
        return false;
    }

    // --- the books ------------------------------------------------------------------------------------------------

    /// @dev One shard settled with these slots paid.
    function _book(Answer memory answer, uint16 slots, bytes32[] memory path) internal {
        IJobMarket.JobView memory v = market.jobView(_job(answer.job));
        uint256 pay = uint256(v.taskPrice) * _tasksIn(v, answer.shard) * _ones(slots);
        paid[answer.job] += pay;
        fees[answer.job] += pay * market.SETTLE_FEE_BPS() / 10_000 + pay * v.protocolFeeBps / 10_000;
        ++settledTimes[answer.job][answer.shard];
        assertEq(slotsPaid[answer.job][answer.shard], 0, "property 3: nothing was paid before");
        assertGe(_ones(slots), v.quorum, "property 4: a quorum of one attempt");
        assertLe(_ones(slots), v.committee, "no more than the committee");
        slotsPaid[answer.job][answer.shard] = slots;
        records.push();
        Record storage r = records[records.length - 1];
        (r.answer, r.paid, r.settledAt, r.path) = (answer, slots, _epoch(), path);
    }

    function _receiptOf(Record storage r) internal view returns (IJobMarket.Receipt memory) {
        return IJobMarket.Receipt(uint8(r.answer.attempt), r.paid, r.answer.root, r.path);
    }

    function owes() public view returns (uint256) {
        return _marketOwes(accounts);
    }

    function balance() external view returns (uint256) {
        return payToken.balanceOf(address(market));
    }

    function jobs() external view returns (uint256) {
        return market.jobCount();
    }

    function held(uint256 job) external view returns (uint256) {
        return _held(_job(job));
    }

    /// @dev What is stored of a settlement is what its receipt says.
    function recordStands(uint256 index) public view returns (bool) {
        Record storage r = records[index];
        if (!market.isSettled(_job(r.answer.job), uint32(r.answer.shard))) return false;
        try market.shardStatus(_job(r.answer.job), uint32(r.answer.shard), _receiptOf(r)) {
            return true;
        } catch {
            return false;
        }
    }

    function recordCount() external view returns (uint256) {
        return records.length;
    }

    function shardOf(uint256 index) external view returns (uint256 job, uint256 shard) {
        return (records[index].answer.job, records[index].answer.shard);
    }
}
