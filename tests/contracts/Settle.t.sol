// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IJobMarket} from "../../contracts/interfaces/IJobMarket.sol";
import {INodeRegistry} from "../../contracts/interfaces/INodeRegistry.sol";
import {JobId, NodeId, ShardStatus} from "../../contracts/interfaces/Types.sol";
import {SettleCalls} from "./support/SettleCalls.sol";
import {SettleScenes} from "./support/SettleScenes.sol";

// settle, one shard
// ├── when
// │   ├── in or before the commit epoch: NotYet
// │   ├── C+1
// │   │   ├── every drawn lane listed, none sealed: settles (an absent node's lane is listed with its old word)
// │   │   ├── a drawn lane not listed: LaneMissing
// │   │   ├── a drawn lane still sealed: StillSealed
// │   │   └── a void slot need not be listed
// │   ├── C+2 on: q lanes are enough, sealed ones do not matter
// │   ├── any attempt with a quorum, also an earlier one, up to and in `last`
// │   └── after `last`: TooLate
// └── who is paid
//     ├── q of c: the others are not
//     ├── a dissenter, a pass, an absent node: not
//     ├── the last, shorter shard: for its tasks
//     └── the settler: the fee of what was paid
contract SettleTest is SettleScenes {
    // --- when -----------------------------------------------------------------------------------------------------

    function test_settle__inOrBeforeCommitEpoch__reverts() public {
        uint256 commitEpoch = _commitEpochOf(_id(job), 0, 0);
        SettleCalls.Call memory plan = _plan(_one(answer));
        for (uint256 now_ = commitEpoch - 1; now_ <= commitEpoch; ++now_) {
            _rollTo(now_, shape.epochBlocks - 1);
            _refused(
                plan, abi.encodeWithSelector(IJobMarket.NotYet.selector, job, 0, uint32(commitEpoch + 1), uint32(now_))
            );
        }
    }

    function test_settle__revealEpochAllOpen__paysAll() public {
        _play(answer);
        bytes32 root = _settlementLeaves(_one(answer), _one(uint16(7)))[0];
        bytes memory leaves = abi.encodePacked(uint64(1), uint32(0), uint8(0), uint16(7), answer.root);
        SettleCalls.Call memory plan = _plan(_one(answer));
        uint256 escrow = _held(job);
        vm.expectEmit(true, true, true, true, address(market));
        emit IJobMarket.Settled(root, uint32(_epoch()), _node(0), 3 * PAY / 100, leaves);
        assertEq(_send(plan, rival), 1, "settled one");
        for (uint256 n = 1; n <= 3; ++n) {
            assertEq(_matured(_node(n)), PAY, "paid");
        }
        assertEq(market.owedTo(rival), 3 * PAY / 100, "fee to the sender");
        assertEq(_held(job), escrow - 3 * PAY - 3 * PAY / 100, "held");
        assertEq(market.settlementEpoch(root), _epoch(), "recorded");
        assertTrue(market.isSettled(job, 0), "settled");
        _assertStatus(job, 0, ShardStatus.FINAL, "final at once");
    }

    function test_settle__revealEpochLaneMissing__reverts() public {
        _play(answer);
        for (uint8 slot; slot < 3; ++slot) {
            SettleCalls.Call memory plan = _plan(_one(answer), _lanesOfSlots(7 ^ (1 << slot)));
            _refused(plan, abi.encodeWithSelector(IJobMarket.LaneMissing.selector, job, 0, slot));
        }
    }

    function test_settle__revealEpochLaneSealed__reverts() public {
        mannerOf[_node(2)] = Manner.SHY;
        _play(answer);
        bytes memory reason = abi.encodeWithSelector(IJobMarket.StillSealed.selector, job, 0, _node(2));
        _refused(_plan(_one(answer)), reason);
        _rollTo(_epoch(), shape.epochBlocks - 1);
        _refused(_plan(_one(answer)), reason);
        _rollTo(_epoch() + 1, 0);
        assertEq(_settle(_one(answer)), 1, "an epoch later nobody waits");
        assertEq(_matured(_node(2)), 0, "unpaid");
    }

    function test_settle__revealEpochAbsentListed__settles() public {
        mannerOf[_node(3)] = Manner.ABSENT;
        _play(answer);
        assertEq(_settle(_one(answer)), 1, "absence is not waited for");
        assertEq(_matured(_node(3)), 0, "unpaid");
        assertEq(_matured(_node(1)) + _matured(_node(2)), 2 * PAY, "the others are paid");
    }

    function test_settle__revealEpochAbsentNotListed__reverts() public {
        mannerOf[_node(3)] = Manner.ABSENT;
        _play(answer);
        uint8 slot = _slotOf(_id(job), 0, 0, _node(3));
        _refused(
            _plan(_one(answer), _lanesOfSlots(7 ^ (1 << slot))),
            abi.encodeWithSelector(IJobMarket.LaneMissing.selector, job, 0, slot)
        );
    }

    function test_settle__revealEpochAbsentSinceARing__isNotTakenForSealed() public {
        // A sealed lane of the same ring slot, one ring ago, is absent, not sealed, for this shard.
        _rollTo(_epoch() + 1, 2);
        uint256 old = _epoch();
        _commit(_node(3), "");
        _rollTo(old + shape.ring - 1, 2);
        job = _post(_spec());
        answer = _answer(job, 0, 0);
        assertEq(_commitEpochOf(_id(job), 0, 0), old + shape.ring, "the same slot of the ring");
        mannerOf[_node(3)] = Manner.ABSENT;
        _play(answer);
        assertEq(_settle(_one(answer)), 1, "settles");
    }

    function test_settle__laterQuorumOnlyListed__settles() public {
        _play(answer);
        _rollTo(_commitEpochOf(_id(job), 0, 0) + 2);
        SettleCalls.Call memory plan = _plan(_one(answer), _lanesOfSlots(5));
        assertEq(_send(plan, stranger), 1, "two of three are shown");
        uint256[] memory slots = _committee(_id(job), 0, 0);
        assertEq(_matured(_node(slots[0])), PAY, "slot 0");
        assertEq(_matured(_node(slots[1])), 0, "slot 1 was not shown");
        assertEq(_matured(_node(slots[2])), PAY, "slot 2");
    }

    function test_settle__inLast__settlesAndAfterReverts() public {
        _play(answer);
        uint256 last = _lastOf(_id(job), 0);
        assertEq(last, _startOf(_id(job), 0, 0) + 3 * 3 - 1 + 8, "as the page says");
        SettleCalls.Call memory plan = _plan(_one(answer));
        _rollTo(last + 1);
        _refused(plan, abi.encodeWithSelector(IJobMarket.TooLate.selector, job, 0, uint32(last), uint32(last + 1)));
        _rollTo(last, shape.epochBlocks - 1);
        assertEq(_send(plan, stranger), 1, "in its last block");
    }

    function test_settle__laterAttempt__settles() public {
        for (uint256 attempt = 1; attempt < 3; ++attempt) {
            uint256 id = vm.snapshotState();
            answer.attempt = attempt;
            _play(answer);
            assertEq(_settle(_one(answer)), 1, "settles");
            assertEq(_matured(_node(1)), PAY, "paid");
            assertEq(
                market.settlementEpoch(_settlementLeaves(_one(answer), _one(uint16(7)))[0]), _epoch(), "by its attempt"
            );
            vm.revertToState(id);
        }
    }

    function test_settle__earlierAttemptDuringALaterOne__settles() public {
        _play(answer);
        Answer memory second = answer;
        second.attempt = 1;
        _rollTo(_commitEpochOf(_id(job), 0, 1), 2);
        _seal(_one(second));
        answer.attempt = 0;
        assertEq(_settle(_one(answer)), 1, "attempt 0 has a quorum");
        _rollTo(_epoch() + 1, 2);
        _openAll(_one(second));
        second.attempt = 1;
        assertEq(_settle(_one(second)), 0, "attempt 1 is skipped");
        assertEq(_matured(_node(1)), PAY, "paid once");
    }

    // --- who is paid ----------------------------------------------------------------------------------------------

    function test_settle__dissenter__isUnpaid() public {
        mannerOf[_node(1)] = Manner.WRONG;
        _play(answer);
        assertEq(_settle(_one(answer)), 1, "two agree");
        assertEq(_matured(_node(1)), 0, "the dissenter");
        assertEq(_matured(_node(2)) + _matured(_node(3)), 2 * PAY, "the others");
        assertEq(market.owedTo(stranger), 2 * PAY / 100, "fee of two");
    }

    function test_settle__onePasses__isUnpaid() public {
        mannerOf[_node(1)] = Manner.PASS;
        _play(answer);
        assertEq(_settle(_one(answer)), 1, "two agree, in the reveal epoch");
        assertEq(_matured(_node(1)), 0, "a pass");
    }

    function test_settle__shorterLastShard__paysItsTasks() public {
        IJobMarket.JobSpec memory spec = _spec();
        (spec.tasks, spec.shardSize, spec.pace) = (7, 5, 2);
        job = _post(spec);
        Answer[] memory answers = _answers(job, 0, 2);
        _play(answers);
        assertEq(_settle(answers), 2, "both shards");
        assertEq(_matured(_node(1)), 7 * PAY, "five tasks and two");
        assertEq(_held(job), 0, "the whole escrow is spent");
    }

    function test_settle__wrongMajority__settlesItsRoot() public {
        bytes32 wrong = keccak256("wrong");
        _rollTo(_commitEpochOf(_id(job), 0, 0), 2);
        for (uint256 n = 1; n <= 3; ++n) {
            _commit(_node(n), _leaf(_id(job), 0, n == 3 ? answer.root : wrong));
        }
        _rollTo(_epoch() + 1, 2);
        _openAll(_one(answer));
        _seeds(_one(answer));
        _refused(_plan(_one(answer)), _noQuorum(1));
        answer.root = wrong;
        assertEq(_settle(_one(answer)), 1, "what q members say");
        assertEq(_matured(_node(3)), 0, "the honest one is unpaid, and loses nothing");
    }

    function test_settle__payeeNode__earnsTheFeeWithItsPay() public {
        mannerOf[_node(3)] = Manner.PASS;
        _play(answer);
        SettleCalls.Call memory plan = _plan(_one(answer));
        uint256 id = vm.snapshotState();
        vm.expectEmit(true, true, true, false, address(market));
        emit IJobMarket.Settled(
            _settlementLeaves(_one(answer), _one(_paidSlots(answer)))[0], uint32(_epoch()), _node(1), 2 * PAY / 100, ""
        );
        market.settle(plan.entries, plan.lanes, plan.openings, _node(1));
        assertEq(_matured(_node(1)), PAY + 2 * PAY / 100, "a paid member");
        vm.revertToState(id);
        market.settle(plan.entries, plan.lanes, plan.openings, _node(3));
        assertEq(_matured(_node(3)), 2 * PAY / 100, "a member that is not paid");
        vm.revertToState(id);
        NodeId other = _register(rival, 1);
        market.settle(plan.entries, plan.lanes, plan.openings, other);
        assertEq(_matured(other), 2 * PAY / 100, "a node that has nothing to do with it");
        vm.revertToState(id);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.UnknownNode.selector, _node(99)));
        market.settle(plan.entries, plan.lanes, plan.openings, _node(99));
    }
}
