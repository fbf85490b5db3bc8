// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IJobMarket} from "../../../contracts/interfaces/IJobMarket.sol";
import {JobId, NodeId, ShardStatus} from "../../../contracts/interfaces/Types.sol";
import {IDeployedMarket} from "./Deployments.sol";
import {SettleCalls} from "./SettleCalls.sol";
import {Story} from "./Story.sol";

/// @title Cheatcodes that only look at storage and gas
interface StorageVm {
    function record() external;
    function accesses(address target) external returns (bytes32[] memory reads, bytes32[] memory writes);
    function cool(address target) external;
}

/// @title Scenes that many tests of the market play: who answers how, and what a call left behind
/// @dev `_shape` gives nodes one to four seats; `_cast` makes a pool of exactly that many nodes.
abstract contract Scenes is Story {
    /// @dev How a node serves: with the answer, another one of its own, an empty batch, a batch that it never opens, or
    /// not at all.
    enum Manner {
        HONEST,
        WRONG,
        PASS,
        SHY,
        ABSENT
    }

    StorageVm internal constant storageVm = StorageVm(address(uint160(uint256(keccak256("hevm cheat code")))));

    mapping(NodeId node => Manner) internal mannerOf;

    // --- cast -----------------------------------------------------------------------------------------------------

    /// @dev Nodes 1 … count with one seat each, drawable now.
    function _cast(uint256 count) internal {
        _registerMany(count, 1);
    }

    /// @dev The node in a slot of attempt `attempt` of a shard; the committee must be full.
    function _member(uint256 job, uint256 shard, uint256 attempt, uint256 slot) internal view returns (NodeId) {
        uint256 node = _committee(job, shard, attempt)[slot];
        assertNotEq(node, 0, "this scene needs a full committee");
        return _node(node);
    }

    // --- answers --------------------------------------------------------------------------------------------------

    function _root(uint256 job, uint256 shard) internal pure returns (bytes32) {
        return keccak256(abi.encode("answer", job, shard));
    }

    /// @dev What a wrong node answers: its own, so that two wrong ones do not agree.
    function _lie(bytes32 root, NodeId node) internal pure returns (bytes32) {
        return keccak256(abi.encode("lie", root, node));
    }

    function _answer(JobId job, uint256 shard, uint256 attempt) internal pure returns (Answer memory) {
        return Answer(_id(job), shard, attempt, _root(_id(job), shard));
    }

    /// @dev Answers to shards `first … first + count - 1`, attempt 0.
    function _answers(JobId job, uint256 first, uint256 count) internal pure returns (Answer[] memory answers) {
        answers = new Answer[](count);
        for (uint256 i; i < count; ++i) {
            answers[i] = _answer(job, first + i, 0);
        }
    }

    function _join(Answer[] memory a, Answer[] memory b) internal pure returns (Answer[] memory all) {
        all = new Answer[](a.length + b.length);
        for (uint256 i; i < all.length; ++i) {
            all[i] = i < a.length ? a[i] : b[i - a.length];
        }
    }

    // --- play -----------------------------------------------------------------------------------------------------

    /// @dev In the commit epoch of all these answers: every drawn node seals a batch in its manner.
    function _seal(Answer[] memory answers) internal {
        uint256[] memory lanes = _lanesOf(answers);
        for (uint256 i; i < lanes.length; ++i) {
            NodeId node = _node(lanes[i] >> 32);
            if (mannerOf[node] == Manner.ABSENT) continue;
            _commit(node, _batch(answers, node));
        }
    }

    /// @dev The node's leaves for the answers that it was drawn for.
    function _batch(Answer[] memory answers, NodeId node) internal view returns (bytes memory leaves) {
        if (mannerOf[node] == Manner.PASS) return "";
        for (uint256 a; a < answers.length; ++a) {
            uint256[] memory slots = _committee(answers[a].job, answers[a].shard, answers[a].attempt);
            for (uint256 i; i < slots.length; ++i) {
                if (slots[i] != _id(node)) continue;
                bytes32 root = answers[a].root;
                if (mannerOf[node] == Manner.WRONG) root = _lie(root, node);
                leaves = abi.encodePacked(leaves, _leaf(answers[a].job, answers[a].shard, root));
            }
        }
    }

    /// @dev Every drawn node that sealed and is not shy opens.
    function _openAll(Answer[] memory answers) internal {
        uint256[] memory lanes = _lanesOf(answers);
        for (uint256 i; i < lanes.length; ++i) {
            NodeId node = _node(lanes[i] >> 32);
            if (mannerOf[node] == Manner.ABSENT || mannerOf[node] == Manner.SHY) continue;
            _reveal(node, uint32(lanes[i]));
        }
    }

    /// @dev Records every seed that settling these answers needs.
    function _seeds(Answer[] memory answers) internal {
        for (uint256 i; i < answers.length; ++i) {
            uint256 start = _startOf(answers[i].job, answers[i].shard, answers[i].attempt);
            try ledger.seedOf(uint32(start)) {}
            catch {
                _recordSeed(start);
            }
        }
    }

    /// @dev Commit epoch and reveal epoch of answers that share them; ends in block 2 of the reveal epoch.
    function _play(Answer[] memory answers) internal {
        uint256 commitEpoch = _commitEpochOf(answers[0].job, answers[0].shard, answers[0].attempt);
        _rollTo(commitEpoch, 2);
        _seal(answers);
        _rollTo(commitEpoch + 1, 2);
        _openAll(answers);
        _seeds(answers);
    }

    function _play(Answer memory answer) internal {
        _play(_one(answer));
    }

    /// @dev Posts a job that can be appealed to a pool that has only its committees' nodes: judges join for the post and
    /// are gone before the next draw.
    function _postAmongFew(IJobMarket.JobSpec memory spec) internal returns (JobId) {
        return _postAmong(spec, spec.appealEpochs == 0 ? 0 : _judges());
    }

    /// @dev With this many others in the pool when it is posted, and not there any more when it is drawn.
    function _postAmong(IJobMarket.JobSpec memory spec, uint256 more) internal returns (JobId job) {
        NodeId[] memory extras = new NodeId[](more);
        for (uint256 i; i < extras.length; ++i) {
            extras[i] = _register(rival, 1);
        }
        job = _post(spec);
        for (uint256 i; i < extras.length; ++i) {
            vm.prank(rival);
            registry.pauseNode(extras[i]);
        }
    }

    /// @dev A job of one shard, posted, played and settled by `stranger` with all that matches.
    function _settledJob(IJobMarket.JobSpec memory spec)
        internal
        returns (JobId job, Answer memory answer, IJobMarket.Receipt memory receipt)
    {
        job = _postAmongFew(spec);
        answer = _answer(job, 0, 0);
        _play(answer);
        uint16 paid = _paidSlots(answer);
        assertEq(_settle(_one(answer)), 1, "scene: settles");
        receipt = _receipt(answer, paid);
    }

    /// @dev The same call with the openings of these slots left out: their members are left out of the pay.
    function _planWithout(Answer memory answer, uint16 hidden) internal view returns (SettleCalls.Call memory plan) {
        uint256[] memory lanes = _lanesOf(_one(answer));
        uint256[] memory pairs = _pairs(answer);
        plan.entries = SettleCalls.encode(_entryOf(answer, lanes));
        for (uint256 i; i < lanes.length; ++i) {
            plan.lanes = abi.encodePacked(plan.lanes, uint64(lanes[i]));
            bool hide;
            for (uint256 s; s < pairs.length; ++s) {
                if (pairs[s] == lanes[i] && hidden >> s & 1 == 1) hide = true;
            }
            if (hide || !_matches(answer, lanes[i])) continue;
            plan.openings =
                abi.encodePacked(plan.openings, SettleCalls.encode(_openingOf(_one(answer), lanes[i], uint8(i))));
        }
    }

    /// @dev Bits of the slots that these nodes hold.
    function _slotsOf(Answer memory answer, NodeId node) internal view returns (uint16) {
        return uint16(1 << _slotOf(answer.job, answer.shard, answer.attempt, node));
    }

    function _ones(uint256 bits) internal pure returns (uint256 count) {
        for (; bits != 0; bits >>= 1) {
            count += bits & 1;
        }
    }

    // --- what is asked --------------------------------------------------------------------------------------------

    function _matured(NodeId node) internal view returns (uint256 matured) {
        (matured,) = market.earningsOf(node);
    }

    function _maturing(NodeId node) internal view returns (uint256 maturing) {
        (, maturing) = market.earningsOf(node);
    }

    function _held(JobId job) internal view returns (uint256) {
        return market.jobView(job).held;
    }

    function _assertStatus(JobId job, uint256 shard, ShardStatus expected, string memory why) internal view {
        assertEq(uint256(market.shardStatus(job, uint32(shard))), uint256(expected), why);
    }

    /// @dev What the market owes by its public views: escrow, refunds and fees of these accounts, all earnings.
    function _marketOwes(address[] memory accounts) internal view returns (uint256 total) {
        for (uint64 j = 1; j <= market.jobCount(); ++j) {
            total += _held(_job(j));
        }
        for (uint256 i; i < accounts.length; ++i) {
            total += market.owedTo(accounts[i]);
        }
        for (uint256 n = 1; n <= registry.nodeCount(); ++n) {
            (uint256 matured, uint256 maturing) = market.earningsOf(_node(n));
            total += matured + maturing;
        }
    }

    /// @dev Sends the call and counts the slots of the market that it took from zero, and those it changed.
    function _sendCounting(SettleCalls.Call memory plan, address settler)
        internal
        returns (uint256 newSlots, uint256 changed)
    {
        uint256 id = vm.snapshotState();
        storageVm.record();
        _send(plan, settler);
        (, bytes32[] memory writes) = storageVm.accesses(address(market));
        bytes32[] memory afterwards = _values(writes);
        vm.revertToState(id);
        (newSlots, changed) = _compare(writes, _values(writes), afterwards);
        _send(plan, settler);
    }

    function _values(bytes32[] memory slots) private view returns (bytes32[] memory values) {
        values = new bytes32[](slots.length);
        for (uint256 i; i < slots.length; ++i) {
            values[i] = vm.load(address(market), slots[i]);
        }
    }

    function _compare(bytes32[] memory slots, bytes32[] memory before, bytes32[] memory afterwards)
        private
        pure
        returns (uint256 newSlots, uint256 changed)
    {
        for (uint256 i; i < slots.length; ++i) {
            if (before[i] == afterwards[i] || _isSeen(slots, i)) continue;
            ++changed;
            if (before[i] == 0) ++newSlots;
        }
    }

    function _isSeen(bytes32[] memory slots, uint256 index) private pure returns (bool) {
        for (uint256 i; i < index; ++i) {
            if (slots[i] == slots[index]) return true;
        }
        return false;
    }

    /// @dev Gas of the call alone with everything cold, as the first call of a transaction finds it.
    function _sendMetered(SettleCalls.Call memory plan, NodeId payee) internal returns (uint256 gas) {
        storageVm.cool(address(market));
        storageVm.cool(address(registry));
        storageVm.cool(address(ledger));
        IDeployedMarket target = market;
        gas = gasleft();
        target.settle(plan.entries, plan.lanes, plan.openings, payee);
        gas -= gasleft();
    }
}
