// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IJobMarket} from "../../contracts/interfaces/IJobMarket.sol";
import {JobId, NodeId, ShardStatus} from "../../contracts/interfaces/Types.sol";
import {ManyScenes} from "./support/ManyScenes.sol";
import {PlainTrees} from "./support/PlainTrees.sol";
import {SettleCalls} from "./support/SettleCalls.sol";

// settle, many shards of many jobs
// ├── one record, one path for each shard, each slot paid
// │   ├── shards of one job, of jobs of other committees, of different commit epochs
// │   └── 1 … 9 shards: every receipt leads to the record, a changed one does not
// ├── what it writes: one new slot a call, one more per 256 shards of a long job, else updates
// ├── racing settlers: the second skips what is settled, earns only for the rest, and its tree holds only the rest
// ├── one failing entry: nothing settles
// ├── entries not ascending, twice the same: EntriesNotAscending
// └── lanes not ascending, twice the same, not a whole number, 255: refused; 254 are read
contract SettleManyTest is ManyScenes {
    // --- what is settled ------------------------------------------------------------------------------------------

    function test_settle__twoJobs__paysEverySlot() public {
        Answer[] memory answers = _four();
        uint16[] memory paid = _slotsPaid(answers);
        assertEq(_settle(answers), 4, "four shards");
        assertEq(_paid(), 2 * 3 * PAY + 2 * 2 * PAY, "all slots of both jobs");
        assertEq(market.owedTo(stranger), _paid() / 100, "one percent");
        assertEq(_held(_job(1)), 0, "first job is spent");
        assertEq(_held(_job(2)), 0, "second job is spent");
        bytes32 root = PlainTrees.sortedRoot(_settlementLeaves(answers, paid));
        assertEq(market.settlementEpoch(root), _epoch(), "one record");
        for (uint256 i; i < 4; ++i) {
            IJobMarket.Receipt memory receipt = _receipt(answers, paid, i);
            JobId job = _job(answers[i].job);
            assertEq(
                uint256(market.shardStatus(job, uint32(answers[i].shard), receipt)),
                uint256(ShardStatus.FINAL),
                "by its receipt"
            );
        }
    }

    function test_settle__differentCommitEpochs__settlesTogether() public {
        JobId job = _jobOf(4, 3, 1);
        Answer[] memory answers = _answers(job, 0, 4);
        for (uint256 i; i < 4; ++i) {
            _play(answers[i]);
        }
        assertEq(_settle(answers), 4, "four epochs' shards in one call");
        assertEq(_paid(), 12 * PAY, "all paid");
    }

    function test_settle__oneToNineShards__everyReceiptLeadsToTheRecord() public {
        for (uint32 count = 1; count <= 9; ++count) {
            JobId job = _jobOf(count, 1, 6);
            Answer[] memory answers = _answers(job, 0, count);
            for (uint256 i; i < count; i += 6) {
                _play(_answers(job, i, count - i < 6 ? count - i : 6));
            }
            uint16[] memory paid = _slotsPaid(answers);
            assertEq(_settle(answers), count, "all");
            for (uint256 i; i < count; ++i) {
                IJobMarket.Receipt memory receipt = _receipt(answers, paid, i);
                market.shardStatus(job, uint32(i), receipt);
                receipt.attempt = 1;
                vm.expectRevert(abi.encodeWithSelector(IJobMarket.NotSettled.selector, job, uint32(i)));
                market.shardStatus(job, uint32(i), receipt);
            }
        }
    }

    function test_settle__shortJobs__writeOneNewSlot() public {
        _settle(_four()); // everybody has been paid once
        _rollTo(_epoch() + 1);
        Answer[] memory answers = _four();
        (uint256 newSlots, uint256 changed) = _sendCounting(_plan(answers), stranger);
        assertEq(newSlots, 1, "the record");
        assertEq(changed, 1 + 2 + 3 + 1, "the record, two jobs, three nodes, the settler");
    }

    function test_settle__longJob__writesOneMoreFor256Shards() public {
        JobId job = _jobOf(600, 1, 6);
        Answer[] memory answers = _answers(job, 0, 6);
        _play(answers);
        _settle(answers); // the nodes' slots, the settler's and the first bits
        answers = _answers(job, 252, 6); // shards 252 … 257: two words of bits
        _play(answers);
        (uint256 newSlots, uint256 changed) = _sendCounting(_plan(answers), stranger);
        assertEq(newSlots, 2, "the record and the second 256 bits");
        assertLe(changed, 2 + 1 + 1 + 3 + 1, "and updates");
        assertTrue(market.isSettled(job, 255) && market.isSettled(job, 256), "both words");
        assertFalse(market.isSettled(job, 258) || market.isSettled(job, 251), "only these");
        assertEq(_settle(answers), 0, "not twice");
        answers = _answers(job, 258, 6);
        _play(answers);
        (newSlots,) = _sendCounting(_plan(answers), stranger);
        assertEq(newSlots, 1, "only the record from then on");
    }

    // --- races ----------------------------------------------------------------------------------------------------

    function test_settle__racingSettlers__secondEarnsOnlyForTheRest() public {
        Answer[] memory answers = _four();
        SettleCalls.Call memory all = _plan(answers);
        Answer[] memory mine = _join(_one(answers[0]), _one(answers[2]));
        Answer[] memory rest = _join(_one(answers[1]), _one(answers[3]));
        uint16[] memory paid = _slotsPaid(rest);
        assertEq(_send(_plan(mine), stranger), 2, "the first");
        assertEq(market.owedTo(stranger), 5 * PAY / 100, "five slots");
        assertEq(_send(all, rival), 2, "the second settles the rest");
        assertEq(market.owedTo(rival), 5 * PAY / 100, "and earns for it alone");
        assertEq(_paid(), 10 * PAY, "every slot once");
        market.shardStatus(_job(1), 1, _receipt(rest, paid, 0));
        market.shardStatus(_job(2), 1, _receipt(rest, paid, 1));
        assertEq(_send(all, rival), 0, "a third finds nothing");
        assertEq(market.owedTo(rival), 5 * PAY / 100, "and earns nothing");
    }

    function test_settle__oneEntryFails__nothingSettles() public {
        Answer[] memory answers = _four();
        answers[2].root = keccak256("nobody's");
        SettleCalls.Call memory plan = _plan(answers);
        _refused(plan, abi.encodeWithSelector(IJobMarket.NoQuorum.selector, _job(2), 0, 2, 0));
        assertFalse(market.isSettled(_job(1), 0), "nothing");
        assertEq(_paid(), 0, "unpaid");
    }

    // --- entries and lanes ----------------------------------------------------------------------------------------

    function test_settle__entriesNotAscending__reverts() public {
        Answer[] memory answers = _four();
        (answers[0], answers[1]) = (answers[1], answers[0]);
        _refused(_plan(answers), abi.encodeWithSelector(IJobMarket.EntriesNotAscending.selector, 1));
        answers[1] = answers[0];
        _refused(_plan(answers), abi.encodeWithSelector(IJobMarket.EntriesNotAscending.selector, 1));
        (answers[0], answers[1]) = (_answer(_job(1), 0, 0), _answer(_job(1), 1, 0));
        (answers[2], answers[3]) = (answers[3], answers[1]);
        _refused(_plan(answers), abi.encodeWithSelector(IJobMarket.EntriesNotAscending.selector, 3));
    }

    function test_settle__sameShardOfTwoAttempts__reverts() public {
        Answer memory first = _answer(_jobOf(1, 3, 0), 0, 0);
        _play(first);
        Answer memory second = _answer(_job(1), 0, 1);
        _play(second);
        _refused(
            _plan(_join(_one(first), _one(second))), abi.encodeWithSelector(IJobMarket.EntriesNotAscending.selector, 1)
        );
    }

    function test_settle__lanesNotAscending__reverts() public {
        Answer[] memory answers = _four();
        SettleCalls.Call memory plan = _plan(answers);
        bytes memory last = _cut(plan.lanes, plan.lanes.length - 8, 8);
        plan.lanes = abi.encodePacked(plan.lanes, last);
        _refused(plan, abi.encodeWithSelector(IJobMarket.LanesNotAscending.selector, 3));
        plan.lanes = abi.encodePacked(last, _cut(plan.lanes, 0, 16));
        _refused(plan, abi.encodeWithSelector(IJobMarket.LanesNotAscending.selector, 1));
    }

    function test_settle__tooManyOrBrokenLanes__reverts() public {
        Answer[] memory answers = _four();
        SettleCalls.Call memory plan = _plan(answers);
        SettleCalls.Call memory bad =
            SettleCalls.Call(plan.entries, abi.encodePacked(plan.lanes, hex"00"), plan.openings);
        _refused(bad, _malformed("lanes", 3));
        // Strangers' lanes behind the three that are needed do no harm: up to 254 in all.
        for (uint32 n = 4; n <= 254; ++n) {
            plan.lanes = abi.encodePacked(plan.lanes, n, uint32(1));
        }
        uint256 id = vm.snapshotState();
        assertEq(_send(plan, stranger), 4, "254 lanes");
        vm.revertToState(id);
        plan.lanes = abi.encodePacked(plan.lanes, uint32(255), uint32(1));
        _refused(plan, _malformed("lanes", 255));
    }

    function test_settle__entriesCutOrLonger__reverts() public {
        Answer[] memory answers = _four();
        SettleCalls.Call memory plan = _plan(answers);
        bytes memory entries = plan.entries;
        plan.entries = _cut(entries, 0, entries.length - 1);
        _refused(plan, _malformed("entries", 3));
        plan.entries = _cut(entries, 0, 47);
        _refused(plan, _malformed("entries", 0));
    }

    function test_settle__moreThan256Entries__reverts() public {
        vm.startPrank(operator);
        for (uint256 n = 1; n <= 3; ++n) {
            registry.takeSeats(_node(n), 3);
        }
        vm.stopPrank();
        JobId job = _jobOf(257, 1, 24); // over eleven epochs, all of which can be settled in the twelfth
        uint256 first = _startOf(_id(job), 0, 0);
        _rollTo(first + 11, 2);
        bytes memory entries;
        for (uint256 shard; shard < 257; ++shard) {
            if (shard % 24 == 0) _recordSeed(first + shard / 24);
            entries = abi.encodePacked(entries, uint64(_id(job)), uint32(shard), uint8(0), _root(1, shard), hex"ff");
        }
        _refused(SettleCalls.Call(entries, "", ""), _malformed("entries", 256));
        entries = _cut(entries, 0, 256 * 46);
        _refused(SettleCalls.Call(entries, "", ""), abi.encodeWithSelector(IJobMarket.NoQuorum.selector, job, 0, 1, 0));
    }

    function test_settle__nothingAtAll__settlesNothing() public {
        assertEq(market.settle("", "", "", NodeId.wrap(0)), 0, "nothing");
    }
}
