// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IJobMarket} from "../../contracts/interfaces/IJobMarket.sol";
import {INodeRegistry} from "../../contracts/interfaces/INodeRegistry.sol";
import {JobId, NodeId} from "../../contracts/interfaces/Types.sol";
import {PlainTrees} from "../contracts/support/PlainTrees.sol";
import {SettleCalls} from "../contracts/support/SettleCalls.sol";
import {MarketCast} from "./MarketCast.sol";

/// @title Everything that anyone may do to the market, honestly or not, in any order
/// @dev Each action knows beforehand whether the market must accept it, and fails the run when it does the other thing.
contract MarketHandler is MarketCast {
    // --- requesters -----------------------------------------------------------------------------------------------

    function post(uint256 seed) external act {
        IJobMarket.JobSpec memory spec = _spec();
        (spec.tasks, spec.shardSize) = (uint32(1 + seed % 9), uint24(1 + (seed >> 8) % 3));
        spec.committee = uint8(1 + (seed >> 16) % NODES);
        spec.quorum = spec.committee / 2 + 1;
        if ((seed >> 24) % 4 == 0) spec.quorum = spec.committee;
        (spec.work, spec.maxAttempts) = (uint8(1 + (seed >> 32) % 2), uint8(1 + (seed >> 40) % 3));
        (spec.pace, spec.appealEpochs) = (uint16((seed >> 48) % 3), (seed >> 56) % 2 == 0 ? 0 : 3);
        (spec.units, spec.unitPrice) = (1, uint64((seed >> 64) % 4 == 0 ? 1 : 1 + (seed >> 72) % 1e9));
        uint256 quote = market.quoteEscrow(spec);
        vm.prank(requester);
        try market.post(spec) returns (JobId job) {
            escrowed[_id(job)] = quote;
            _did("post");
        } catch (bytes memory reason) {
            // Paused, or too few nodes just now.
            assertTrue(
                market.paused() || bytes4(reason) == INodeRegistry.TooFewNodes.selector, "a sound job is accepted"
            );
            _did("post refused");
        }
    }

    function cancel(uint256 seed) external act {
        JobId job = _anyJob(seed);
        if (_id(job) == 0) return;
        IJobMarket.JobView memory v = market.jobView(job);
        bool due = (_counting() + 1 - v.postEpoch) * v.pace < _shards(v);
        vm.prank(requester);
        try market.cancel(job) returns (uint256 refund) {
            assertTrue(due, "only what starts later is cancelled");
            refunded[_id(job)] += refund;
            _did("cancel");
        } catch {
            assertFalse(due, "what starts later can be cancelled");
        }
    }

    function close(uint256 seed) external act {
        if (market.jobCount() == 0) return;
        _close(_job(1 + seed % market.jobCount()));
    }

    function _close(JobId job) internal {
        IJobMarket.JobView memory v = market.jobView(job);
        bool due = v.held != 0 && _epoch() >= v.closableFrom;
        vm.prank(stranger);
        try market.close(job) returns (uint256 refund) {
            assertTrue(due, "only when nothing can happen any more");
            refunded[_id(job)] += refund;
            _did("close");
        } catch {
            assertFalse(due, "property 11: what is over can be closed");
        }
    }

    // --- nodes ----------------------------------------------------------------------------------------------------

    /// @dev Everybody seals this epoch's batch: right, wrong together, empty, or not at all.
    function work(uint256 seed) public act {
        if (vm.getBlockNumber() % shape.epochBlocks < 2) _rollTo(_epoch(), 2);
        for (uint256 n = 1; n <= NODES; ++n) {
            NodeId node = _node(n);
            uint256 manner = (seed >> (8 * n)) & 0xff;
            uint256 lane = _lane(node, _epoch());
            if (manner % 10 == 9 || lane >> 224 == _epoch() || (lane != 0 && lane >> 216 & 0xff == 0)) continue;
            _commit(node, manner % 10 == 8 ? bytes("") : _leavesOf(node, manner));
            _did("commit");
        }
    }

    /// @dev Whoever has a sealed batch that is still in time opens it, most of the time.
    function reveal(uint256 seed) public act {
        uint256 now_ = _epoch();
        for (uint256 n = 1; n <= NODES; ++n) {
            for (uint256 epoch = now_ - 4; epoch < now_; ++epoch) {
                if (_lane(_node(n), epoch) >> 216 != epoch << 8) continue;
                // Late by chance; one batch in sixteen is never opened.
                if ((seed >> (8 * n)) % 5 == 0 || uint256(keccak256(abi.encode(n, epoch))) % 16 == 0) continue;
                _reveal(_node(n), epoch);
                _did("reveal");
            }
        }
    }

    /// @dev Paused nodes come back, all but sometimes one.
    function resume(uint256 seed) external act {
        for (uint256 n = 1; n <= NODES; ++n) {
            NodeId node = _node(n);
            if (!registry.nodeView(node).paused || n == seed % (2 * NODES)) continue;
            vm.startPrank(registry.operatorOf(node));
            uint256 stake = registry.nodeView(node).stake;
            if (stake < shape.seatStake) registry.addStake(node, uint96(shape.seatStake - stake));
            registry.resumeNode(node);
            vm.stopPrank();
            _did("resume");
        }
    }

    // --- settlers -------------------------------------------------------------------------------------------------

    /// @dev Up to three shards that have a quorum, of whichever jobs, attempts and roots.
    function settle(uint256 seed) public act {
        Answer[] memory answers = _settleable(seed, 1 + seed % 3);
        if (answers.length == 0) return;
        _seeds(answers);
        uint16[] memory slots = new uint16[](answers.length);
        for (uint256 i; i < answers.length; ++i) {
            slots[i] = _paidSlots(answers[i]);
        }
        SettleCalls.Call memory plan = _plan(answers);
        if (answers.length == 1) {
            uint256 quorum = market.jobView(_job(answers[0].job)).quorum;
            for (uint256 slot; slot < 15 && _ones(slots[0]) > quorum; ++slot) {
                if (slots[0] >> slot & 1 == 1) _did("settle without some");
                slots[0] &= ~uint16(1 << slot);
            }
            plan = _planWithout(answers[0], ~slots[0]);
        }
        vm.prank(accounts[(seed >> 16) % accounts.length]);
        uint256 settled = market.settle(plan.entries, plan.lanes, plan.openings, _node((seed >> 24) % (NODES + 1)));
        assertEq(settled, answers.length, "all of them");
        bytes32[] memory leaves = _settlementLeaves(answers, slots);
        assertEq(market.settlementEpoch(PlainTrees.sortedRoot(leaves)), _epoch(), "recorded as foreseen");
        for (uint256 i; i < answers.length; ++i) {
            _book(answers[i], slots[i], PlainTrees.sortedPath(leaves, i));
        }
        _did(answers.length > 1 ? "settle many" : "settle");
        _again(plan);
    }

    /// @dev The same call by a slower settler.
    function _again(SettleCalls.Call memory plan) private {
        uint256 owed = market.owedTo(rival);
        vm.prank(rival);
        assertEq(market.settle(plan.entries, plan.lanes, plan.openings, NodeId.wrap(0)), 0, "nothing settles twice");
        assertEq(market.owedTo(rival), owed, "and earns nothing");
    }

    function _settleable(uint256 seed, uint256 most) private view returns (Answer[] memory answers) {
        answers = new Answer[](most);
        uint256 count;
        for (uint256 j = _firstJob(); j <= market.jobCount() && count < most; ++j) {
            IJobMarket.JobView memory v = market.jobView(_job(j));
            for (uint256 s; s < _shards(v) && count < most; ++s) {
                if (market.isSettled(_job(j), uint32(s)) || (seed >> (32 + (j * 7 + s) % 64)) % 4 == 0) continue;
                (bool found, Answer memory answer) = _quorumOf(v, j, s);
                if (found) answers[count++] = answer;
            }
        }
        assembly ("memory-safe") {
            mstore(answers, count)
        }
    }

    function _quorumOf(IJobMarket.JobView memory v, uint256 job, uint256 shard)
        private
        view
        returns (bool, Answer memory answer)
    {
        for (uint256 a; a < v.maxAttempts; ++a) {
            if (!_timely(v, shard, a)) continue;
            answer = Answer(job, shard, a, _root(job, shard));
            if (_ones(_paidSlots(answer)) < v.quorum) answer.root = _wrong(job, shard);
            if (_ones(_paidSlots(answer)) >= v.quorum && _ripe(answer)) return (true, answer);
        }
        return (false, answer);
    }

    /// @dev A shard that has no quorum for this root, shown with all there is: refused. So is one out of time.
    function settleUnfounded(uint256 seed) external act {
        JobId job = _anyJob(seed);
        if (_id(job) == 0) return;
        IJobMarket.JobView memory v = market.jobView(job);
        uint256 shard = (seed >> 8) % _shards(v);
        Answer memory answer = Answer(_id(job), shard, (seed >> 16) % v.maxAttempts, _root(_id(job), shard));
        if ((seed >> 24) % 3 == 0) answer.root = _wrong(_id(job), shard);
        if ((seed >> 24) % 3 == 1) answer.root = keccak256(abi.encode(seed));
        if (market.isSettled(job, uint32(shard)) || _start(v, shard, answer.attempt) > _epoch()) return;
        if (_epoch() > _last(v, shard) || vm.getBlockNumber() % shape.epochBlocks < 2) return;
        bool founded = _timely(v, shard, answer.attempt) && _ones(_paidSlots(answer)) >= v.quorum && _ripe(answer);
        if (founded) return;
        _seeds(_one(answer));
        SettleCalls.Call memory plan = _plan(_one(answer));
        try market.settle(plan.entries, plan.lanes, plan.openings, NodeId.wrap(0)) {
            assertTrue(false, "property 4: no payment without a quorum of one attempt");
        } catch {
            _did("settle refused");
        }
    }

    // --- members and reporters ------------------------------------------------------------------------------------

    function claim(uint256 seed) external act {
        for (uint256 i; i < records.length && i < 12; ++i) {
            Record storage r = records[records.length - 1 - i];
            if (_claimOne(r, seed)) return;
        }
    }

    /// @dev The first slot that matches; paid ones, too, are tried, and must be refused.
    function _claimOne(Record storage r, uint256 seed) private returns (bool) {
        Answer memory answer = r.answer;
        IJobMarket.JobView memory v = market.jobView(_job(answer.job));
        if (_epoch() > r.settledAt + 60) return false; // its draw leaves the ring
        uint256[] memory pairs = _pairs(answer);
        for (uint256 k; k < pairs.length; ++k) {
            uint256 slot = (k + seed) % pairs.length;
            if (!_matches(answer, pairs[slot])) continue;
            bool paidBefore = slotsPaid[answer.job][answer.shard] >> slot & 1 == 1;
            if (paidBefore && seed % 4 != 0) continue;
            bool inWindow = _epoch() <= r.settledAt + v.appealEpochs + market.REPORT_EPOCHS()
                && (v.appealEpochs == 0 || _epoch() > r.settledAt + v.appealEpochs);
            if (!inWindow && seed % 4 != 1) continue;
            bytes memory opening = _claimOpening(answer, _node(pairs[slot] >> 32));
            IJobMarket.Receipt memory receipt = _receiptOf(r);
            try market.claim(_job(answer.job), uint32(answer.shard), receipt, uint8(slot), opening) {
                assertTrue(inWindow && !paidBefore, "property 3: a slot is paid at most once, and in time");
                slotsPaid[answer.job][answer.shard] |= 1 << slot;
                paid[answer.job] += uint256(v.taskPrice) * _tasksIn(v, answer.shard);
                _did("claim");
            } catch {
                assertTrue(!inWindow || paidBefore, "property 11: who was left out is paid");
                _did("claim refused");
            }
            return true;
        }
        return false;
    }

    function reportAbsent(uint256 seed) external act {
        for (uint256 i; i < records.length && i < 12; ++i) {
            Record storage r = records[records.length - 1 - (seed + i) % records.length];
            if (_epoch() > r.settledAt + 60) continue;
            uint256[] memory pairs = _pairs(r.answer);
            for (uint256 slot; slot < pairs.length; ++slot) {
                uint256 lane = _lane(_node(pairs[slot] >> 32), uint32(pairs[slot]));
                bool absent = pairs[slot] != 0 && lane >> 224 < uint32(pairs[slot]);
                if (!absent && seed % 4 != 0) continue;
                _reportOne(r, uint8(slot), absent && (lane == 0 || (lane >> 216) & 0xff != 0));
                return;
            }
        }
    }

    function _reportOne(Record storage r, uint8 slot, bool due) private {
        JobId job = _job(r.answer.job);
        IJobMarket.Receipt memory receipt = _receiptOf(r);
        vm.prank(stranger);
        try market.reportAbsent(job, uint32(r.answer.shard), receipt, slot) {
            assertTrue(due, "only who never came is absent");
            _did("report absent");
        } catch {
            assertFalse(due, "who never came can be reported");
            _did("report refused");
        }
    }

    function reportUnrevealed(uint256 seed) external act {
        for (uint256 n = 1; n <= NODES; ++n) {
            for (uint256 back = 5; back < 40; ++back) {
                uint256 epoch = _epoch() - back;
                if (_lane(_node(n), epoch) >> 216 != epoch << 8) continue;
                bool due = back > shape.revealGrace;
                vm.prank(accounts[seed % accounts.length]);
                try ledger.reportUnrevealed(_node(n), uint32(epoch)) {
                    assertTrue(due, "not within its grace");
                    _did("report unrevealed");
                } catch {
                    assertFalse(due, "a sealed lane past its grace can be punished");
                }
            }
        }
    }

    // --- money ----------------------------------------------------------------------------------------------------

    function withdraw(uint256 seed) external act {
        _withdraw(_node(1 + seed % NODES));
    }

    function _withdraw(NodeId node) internal {
        (uint256 matured, uint256 maturing) = market.earningsOf(node);
        address to = registry.operatorOf(node);
        uint256 before = payToken.balanceOf(to);
        vm.prank(stranger);
        try market.withdraw(node) returns (uint256 amount) {
            assertEq(amount, matured, "all that has matured");
            assertEq(payToken.balanceOf(to) - before, matured, "to the operator");
            assertEq(_maturing(node), maturing, "property 14: what waits stays");
            _did("withdraw");
        } catch {
            assertEq(matured, 0, "property 11: what has matured can be taken");
        }
    }

    function collect(uint256 seed) external act {
        _collect(accounts[seed % accounts.length]);
    }

    function _collect(address account) internal {
        uint256 owed = market.owedTo(account);
        uint256 before = payToken.balanceOf(account);
        vm.prank(rival);
        try market.collect(account) returns (uint256 amount) {
            assertEq(amount, owed, "all that is owed");
            assertEq(payToken.balanceOf(account) - before, owed, "to the account");
            _did("collect");
        } catch {
            assertEq(owed, 0, "property 11: what is owed can be taken");
        }
    }

    function donate(uint256 seed) external act {
        uint256 amount = 1 + seed % 1_000;
        vm.prank(requester);
        payToken.transfer(address(market), amount);
        donated += amount;
        _did("donate");
    }

    // --- the clock and the owner ----------------------------------------------------------------------------------

    function advance(uint256 seed) external act {
        vm.roll(vm.getBlockNumber() + 1 + seed % 15);
    }

    /// @dev What an epoch is for: seal, open in the next, settle.
    function turn(uint256 seed) external {
        work(seed);
        block_ = (_epoch() + 1) * shape.epochBlocks + 2;
        reveal(seed >> 8);
        settle(seed >> 16);
    }

    function administer(uint256 seed) external act {
        vm.startPrank(owner);
        if (seed % 3 == 0) market.setProtocolFee(uint16((seed >> 8) % 1_001), accounts[(seed >> 24) % 5]);
        else if (market.paused()) market.unpause();
        else if (seed % 3 == 1) market.pause();
        vm.stopPrank();
        _did("administer");
    }

    /// @dev Long after: every job is closed, every node and account takes what is its.
    function finish() external act {
        _rollTo(_epoch() + 4 * uint256(shape.ring));
        for (uint64 j = 1; j <= market.jobCount(); ++j) {
            _close(_job(j));
        }
        for (uint256 n = 1; n <= NODES; ++n) {
            _withdraw(_node(n));
        }
        for (uint256 i; i < accounts.length; ++i) {
            _collect(accounts[i]);
        }
    }
}
