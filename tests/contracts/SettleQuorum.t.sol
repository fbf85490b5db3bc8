// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICommitLedger} from "../../contracts/interfaces/ICommitLedger.sol";
import {IJobMarket} from "../../contracts/interfaces/IJobMarket.sol";
import {JobId, NodeId} from "../../contracts/interfaces/Types.sol";
import {SettleCalls} from "./support/SettleCalls.sol";
import {SettleScenes} from "./support/SettleScenes.sol";

// settle, one shard: what makes a quorum
// ├── quorum
// │   ├── q - 1 openings, none, all wrong but one: NoQuorum
// │   ├── a wrong majority settles its root (content is the court's business)
// │   └── openings of two attempts do not add up
// ├── what is named
// │   ├── unknown job, shard, attempt
// │   ├── seed not recorded
// │   └── a slot's lane: of another node, another epoch, beyond the list, for a void slot: WrongLane
// ├── settled already: skipped, earns nothing, stores nothing
// └── 15 members: under 400,000 gas
contract SettleQuorumTest is SettleScenes {
    // --- quorum ---------------------------------------------------------------------------------------------------

    function test_settle__oneShortOfQuorum__reverts() public {
        mannerOf[_node(1)] = Manner.WRONG;
        mannerOf[_node(2)] = Manner.PASS;
        _play(answer);
        _refused(_plan(_one(answer)), _noQuorum(1));
    }

    function test_settle__nothingShown__reverts() public {
        _play(answer);
        SettleCalls.Call memory plan = _plan(_one(answer));
        plan.openings = "";
        _refused(plan, _noQuorum(0));
        _rollTo(_epoch() + 1);
        plan = _plan(_one(answer), new uint256[](0));
        _refused(plan, _noQuorum(0));
    }

    function test_settle__emptyBatches__reverts() public {
        for (uint256 n = 1; n <= 3; ++n) {
            mannerOf[_node(n)] = Manner.PASS;
        }
        _play(answer);
        _refused(_plan(_one(answer)), _noQuorum(0));
    }

    function test_settle__quorumsOfTwoAttempts__doNotAddUp() public {
        // Attempt 0: node 1 alone is right. Attempt 1: node 2 alone is.
        (mannerOf[_node(2)], mannerOf[_node(3)]) = (Manner.PASS, Manner.PASS);
        _play(answer);
        _refused(_plan(_one(answer)), _noQuorum(1));
        Answer memory second = answer;
        second.attempt = 1;
        (mannerOf[_node(1)], mannerOf[_node(2)]) = (Manner.PASS, Manner.HONEST);
        _play(second);
        _rollTo(_epoch() + 1);
        _refused(_plan(_one(second)), _noQuorum(1));

        // Hints of the other attempt's lanes are refused, openings of them mark nothing for this one.
        second.attempt = 1;
        Answer memory first = answer;
        first.attempt = 0;
        uint256[] memory lanes = _lanesOf(_join(_one(first), _one(second)));
        second.attempt = 1;
        SettleCalls.Call memory plan = _plan(_one(second), lanes);
        uint256 right = uint256(1) << 32 | _commitEpochOf(_id(job), 0, 0);
        SettleCalls.Opening memory opening = _openingOf(_one(first), right, _indexOf(lanes, right));
        first.attempt = 0;
        plan.openings = abi.encodePacked(SettleCalls.encode(opening), plan.openings);
        _refused(plan, _noQuorum(1));
        SettleCalls.Entry memory entry = _entryOf(second, lanes);
        uint8 slot = _slotOf(_id(job), 0, 1, _node(1));
        entry.hints[slot] = _indexOf(lanes, right);
        plan.entries = SettleCalls.encode(entry);
        _refused(plan, abi.encodeWithSelector(IJobMarket.WrongLane.selector, job, 0, slot, _node(1), _node(1)));
    }

    // --- what is named --------------------------------------------------------------------------------------------

    function test_settle__unknownJobShardOrAttempt__reverts() public {
        _play(answer);
        SettleCalls.Call memory plan = _plan(_one(answer));
        SettleCalls.Entry memory entry = SettleCalls.Entry(9, 0, 0, answer.root, new uint8[](3));
        plan.entries = SettleCalls.encode(entry);
        _refused(plan, abi.encodeWithSelector(IJobMarket.UnknownJob.selector, _job(9)));
        entry.job = 0;
        plan.entries = SettleCalls.encode(entry);
        _refused(plan, abi.encodeWithSelector(IJobMarket.UnknownJob.selector, _job(0)));
        (entry.job, entry.shard) = (1, 1);
        plan.entries = SettleCalls.encode(entry);
        _refused(plan, abi.encodeWithSelector(IJobMarket.UnknownShard.selector, job, 1));
        (entry.shard, entry.attempt) = (0, 3);
        plan.entries = SettleCalls.encode(entry);
        _refused(plan, abi.encodeWithSelector(IJobMarket.UnknownAttempt.selector, job, 0, 3));
    }

    function test_settle__seedNotRecorded__reverts() public {
        uint256 start = _startOf(_id(job), 0, 0);
        _rollTo(start, 2);
        _seal(_one(answer));
        _rollTo(start + 1, 2);
        _openAll(_one(answer));
        _refused(_plan(_one(answer)), abi.encodeWithSelector(ICommitLedger.SeedUnknown.selector, uint32(start)));
        _recordSeed(start);
        assertEq(_settle(_one(answer)), 1, "then it settles");
    }

    function test_settle__wrongLaneHint__reverts() public {
        _play(answer);
        uint256[] memory lanes = _lanesOf(_one(answer));
        uint256[] memory slots = _committee(_id(job), 0, 0);
        SettleCalls.Call memory plan = _plan(_one(answer));
        SettleCalls.Entry memory entry = _entryOf(answer, lanes);
        (entry.hints[0], entry.hints[1]) = (entry.hints[1], entry.hints[0]);
        plan.entries = SettleCalls.encode(entry);
        bytes4 wrong = IJobMarket.WrongLane.selector;
        _refused(plan, abi.encodeWithSelector(wrong, job, 0, 0, _node(slots[0]), _node(slots[1])));
        entry = _entryOf(answer, lanes);
        entry.hints[2] = 3; // beyond the list
        plan.entries = SettleCalls.encode(entry);
        _refused(plan, abi.encodeWithSelector(wrong, job, 0, 2, _node(slots[2]), _node(0)));
        // A member's lane used for two slots.
        entry = _entryOf(answer, lanes);
        entry.hints[1] = entry.hints[0];
        plan.entries = SettleCalls.encode(entry);
        _refused(plan, abi.encodeWithSelector(wrong, job, 0, 1, _node(slots[1]), _node(slots[0])));
    }

    function test_settle__voidSlot__needsNoLaneAndTakesNone() public {
        // Node 3 pauses in the epoch of the post: two are left to draw, and the third slot is void.
        vm.prank(operator);
        registry.pauseNode(_node(3));
        _rollTo(_startOf(_id(job), 0, 0), 2);
        assertEq(_committee(_id(job), 0, 0)[2], 0, "the last slot is void");
        _play(answer);
        uint256[] memory lanes = _lanesOf(_one(answer));
        SettleCalls.Call memory plan = _plan(_one(answer));
        SettleCalls.Entry memory entry = _entryOf(answer, lanes);
        entry.hints[2] = 0;
        SettleCalls.Call memory bad = SettleCalls.Call(SettleCalls.encode(entry), plan.lanes, plan.openings);
        _refused(
            bad,
            abi.encodeWithSelector(
                IJobMarket.WrongLane.selector, job, 0, 2, _node(0), NodeId.wrap(uint32(lanes[0] >> 32))
            )
        );
        assertEq(_send(plan, stranger), 1, "in the reveal epoch, the void slot unlisted");
        assertEq(_matured(_node(1)) + _matured(_node(2)), 2 * PAY, "two are paid");
    }

    // --- again ----------------------------------------------------------------------------------------------------

    function test_settle__settledAlready__isSkippedAndStoresNothing() public {
        _play(answer);
        SettleCalls.Call memory plan = _plan(_one(answer));
        _send(plan, stranger);
        storageVm.record();
        vm.recordLogs();
        assertEq(_send(plan, rival), 0, "nothing settles");
        (, bytes32[] memory writes) = storageVm.accesses(address(market));
        assertEq(writes.length, 0, "no write");
        assertEq(vm.getRecordedLogs().length, 0, "no event");
        assertEq(market.owedTo(rival), 0, "earns nothing");
        _rollTo(_lastOf(_id(job), 0) + 1);
        assertEq(_send(plan, rival), 0, "skipped even when it would be too late");
    }

    function test_settle__settledWithAnotherRoot__isSkippedAllTheSame() public {
        _play(answer);
        _settle(_one(answer));
        answer.root = keccak256("other");
        assertEq(_settle(_one(answer)), 0, "a shard settles once");
    }

    function test_settle__unknownSlotsOfRegistry__drawIsTheSettledOne() public {
        // A node that joins after the seed is known is not drawn for it.
        _rollTo(_commitEpochOf(_id(job), 0, 0), 2);
        NodeId late = _register(rival, 4);
        _play2(answer);
        uint256[] memory slots = _committee(_id(job), 0, 0);
        for (uint256 i; i < 3; ++i) {
            assertNotEq(slots[i], _id(late), "not drawn");
        }
        assertEq(_settle(_one(answer)), 1, "settles");
    }

    function _play2(Answer memory a) private {
        _seal(_one(a));
        _rollTo(_epoch() + 1, 2);
        _openAll(_one(a));
        _seeds(_one(a));
    }

    function test_settle__paused__settles() public {
        vm.startPrank(owner);
        market.pause();
        registry.pause();
        vm.stopPrank();
        _play(answer);
        assertEq(_settle(_one(answer)), 1, "settles");
    }

    /// @dev In a pool of 60 nodes.
    function test_settle__committeeOf15__staysUnder400kGas() public {
        _cast(57);
        IJobMarket.JobSpec memory spec = _spec();
        (spec.committee, spec.quorum) = (15, 8);
        job = _post(spec);
        answer = _answer(job, 0, 0);
        _play(answer);
        assertEq(_ones(_paidSlots(answer)), 15, "all are drawn and right");
        uint256 gas = _sendMetered(_plan(_one(answer)), _member(_id(job), 0, 0, 0));
        assertTrue(market.isSettled(job, 0), "settled");
        // A node's first pay makes its slot, 17,100 gas more than the update that it is ever after.
        assertLe(gas - 15 * 17_100, 400_000, "steady state");
        for (uint256 i; i < 15; ++i) {
            uint256 fee = i == 0 ? 15 * 12_000 / 100 : 0;
            assertEq(_matured(_member(_id(job), 0, 0, i)), 12_000 + fee, "paid");
        }
    }
}
