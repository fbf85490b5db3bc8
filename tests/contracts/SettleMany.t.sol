// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IJobMarket} from "../../contracts/interfaces/IJobMarket.sol";
import {JobId, NodeId, ShardStatus} from "../../contracts/interfaces/Types.sol";
import {PlainTrees} from "./support/PlainTrees.sol";
import {SettleCalls} from "./support/SettleCalls.sol";
import {Scenes} from "./support/Scenes.sol";

// settle, many shards of many jobs
// ├── one record, one path for each shard, each slot paid
// │   ├── shards of one job, of jobs of other committees, of different commit epochs
// │   └── 1 … 9 shards: every receipt leads to the record, a changed one does not
// ├── what it writes: one new slot a call, one more per 256 shards of a long job, else updates
// ├── racing settlers: the second skips what is settled, earns only for the rest, and its tree holds only the rest
// ├── one failing entry: nothing settles
// ├── entries not ascending, twice the same: EntriesNotAscending
// ├── lanes not ascending, twice the same, not a whole number, 255: refused; 254 are read
// ├── openings
// │   ├── whole batch, one leaf of many, a range with foreign leaves between, several for one lane
// │   ├── flipped proof, flipped foreign leaf, shifted range, wrong size, proof too short or too long: refused
// │   ├── a lane beyond the list, not opened, opened after two epochs
// │   └── an entry beyond the list, more leaves than the batch
// └── any cut or flipped byte: refused by a named error, or what is paid is what the openings show
contract SettleManyTest is Scenes {
    uint256 internal constant PAY = 12_000;

    function setUp() public override {
        super.setUp();
        _cast(3);
    }

    function _jobOf(uint32 tasks, uint8 committee, uint16 pace) internal returns (JobId) {
        IJobMarket.JobSpec memory spec = _spec();
        (spec.tasks, spec.committee, spec.quorum, spec.pace) = (tasks, committee, committee / 2 + 1, pace);
        return _post(spec);
    }

    /// @dev Two jobs of two shards each, played: batches of four leaves or fewer.
    function _four() internal returns (Answer[] memory answers) {
        answers = _join(_answers(_jobOf(2, 3, 2), 0, 2), _answers(_jobOf(2, 2, 2), 0, 2));
        _play(answers);
    }

    function _refused(SettleCalls.Call memory plan, bytes memory reason) internal {
        vm.expectRevert(reason);
        market.settle(plan.entries, plan.lanes, plan.openings, NodeId.wrap(0));
    }

    function _malformed(string memory part, uint256 index) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IJobMarket.MalformedCall.selector, part, index);
    }

    function _paid() internal view returns (uint256 total) {
        for (uint256 n = 1; n <= 3; ++n) {
            total += _matured(_node(n));
        }
    }

    function _slotsPaid(Answer[] memory answers) internal view returns (uint16[] memory paid) {
        paid = new uint16[](answers.length);
        for (uint256 i; i < answers.length; ++i) {
            paid[i] = _paidSlots(answers[i]);
        }
    }

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

    // --- openings -------------------------------------------------------------------------------------------------

    /// @dev Node 1's batch of nine leaves of which four are settled here: the others are of a job that is not.
    function _nine() internal returns (Answer[] memory some, Answer[] memory all) {
        JobId first = _jobOf(5, 3, 2);
        all = _join(_answers(first, 0, 2), _answers(_jobOf(2, 3, 2), 0, 2));
        all = _join(all, _answers(_jobOf(2, 3, 2), 0, 2));
        all = _join(all, _answers(_jobOf(3, 2, 3), 0, 3));
        _play(all);
        some = new Answer[](4);
        (some[0], some[1], some[2], some[3]) = (all[1], all[3], all[4], all[6]);
    }

    function test_settle__rangesWithForeignLeaves__settle() public {
        (Answer[] memory some, Answer[] memory all) = _nine();
        assertEq(_settle(some), 4, "leaves between and around are foreign");
        assertEq(_settle(all), 5, "the others, the same way");
        assertEq(_paid(), (6 * 3 + 3 * 2) * PAY, "every slot");
    }

    function test_settle__eachLeafAlone__settles() public {
        (, Answer[] memory all) = _nine();
        for (uint256 i; i < all.length; ++i) {
            assertEq(_settle(_one(all[i])), 1, "one leaf and its proof");
        }
        assertEq(_paid(), (6 * 3 + 3 * 2) * PAY, "every slot");
    }

    function test_settle__severalOpeningsOfOneLane__payOnce() public {
        (Answer[] memory some,) = _nine();
        uint256[] memory lanes = _lanesOf(some);
        SettleCalls.Call memory plan = _plan(some);
        // Each lane again, leaf by leaf.
        for (uint8 i; i < lanes.length; ++i) {
            for (uint256 a; a < some.length; ++a) {
                SettleCalls.Opening memory opening = _openingOf(_one(some[a]), lanes[i], i);
                if (opening.segments.length == 0) continue;
                opening.segments[0].entry = uint16(a);
                plan.openings = abi.encodePacked(plan.openings, SettleCalls.encode(opening));
            }
        }
        assertEq(_send(plan, stranger), 4, "settles");
        assertEq(_paid(), (3 * 3 + 2) * PAY, "once");
    }

    function _withOpening(Answer[] memory some, SettleCalls.Opening memory opening)
        internal
        view
        returns (SettleCalls.Call memory plan)
    {
        plan = _plan(some);
        plan.openings = SettleCalls.encode(opening);
    }

    function _flip(bytes32 value) internal pure returns (bytes32) {
        return value ^ bytes32(uint256(1) << 77);
    }

    function test_settle__openingOfAnotherTree__reverts() public {
        (Answer[] memory some,) = _nine();
        uint256[] memory lanes = _lanesOf(some);
        SettleCalls.Opening memory good = _openingOf(some, lanes[0], 0);
        assertGt(good.proof.length, 0, "the range has a proof");
        bytes memory reason =
            abi.encodeWithSelector(IJobMarket.WrongOpening.selector, _node(lanes[0] >> 32), uint32(lanes[0]));
        SettleCalls.Opening memory bad = _openingOf(some, lanes[0], 0);
        bad.proof[0] = _flip(bad.proof[0]);
        _refused(_withOpening(some, bad), reason);
        bad = _openingOf(some, lanes[0], 0);
        for (uint256 i; i < bad.segments.length; ++i) {
            if (bad.segments[i].entry != SettleCalls.FOREIGN) continue;
            bad.segments[i].foreign[0] = _flip(bad.segments[i].foreign[0]);
            _refused(_withOpening(some, bad), reason);
            break;
        }
        // Another lane's opening, the right leaf named as another entry.
        bad = _openingOf(some, lanes[1], 1);
        bad.lane = 0;
        if (keccak256(batchOf[_node(1)][uint32(lanes[0])]) != keccak256(batchOf[_node(2)][uint32(lanes[0])])) {
            _refused(_withOpening(some, bad), reason);
        }
        bad = _openingOf(some, lanes[0], 0);
        bad.segments[0].entry = bad.segments[0].entry == 0 ? 1 : 0;
        _refused(_withOpening(some, bad), reason);
    }

    function test_settle__openingOfALaneThatIsNot__reverts() public {
        (Answer[] memory some,) = _nine();
        SettleCalls.Opening memory opening = _openingOf(some, _lanesOf(some)[0], 3);
        _refused(_withOpening(some, opening), _malformed("lane of opening", 0));
    }

    function test_settle__openingsSegmentOutOfList__reverts() public {
        (Answer[] memory some,) = _nine();
        SettleCalls.Opening memory opening = _openingOf(some, _lanesOf(some)[0], 0);
        opening.segments[0].entry = 4; // there are four entries
        _refused(_withOpening(some, opening), _malformed("segment", 7));
        opening = _openingOf(some, _lanesOf(some)[0], 0);
        opening.segments[0].length = 600; // more leaves than the batch has
        _refused(_withOpening(some, opening), _malformed("segment", 7));
    }

    function test_settle__laneNotOpen__reverts() public {
        mannerOf[_node(1)] = Manner.SHY;
        (Answer[] memory some,) = _nine();
        uint256 pair = _lanesOf(some)[0];
        bytes memory reason = abi.encodeWithSelector(IJobMarket.LaneNotOpen.selector, _node(1), uint32(pair));
        _rollTo(_epoch() + 1);
        _refused(_withOpening(some, _openingOf(some, pair, 0)), reason);
        _reveal(_node(1), uint32(pair));
        assertEq(_settle(some), 4, "opened two epochs after its commit, it counts");
    }

    function test_settle__absentLaneShown__reverts() public {
        Answer memory answer = _answer(_jobOf(1, 3, 0), 0, 0);
        mannerOf[_node(3)] = Manner.ABSENT;
        _play(answer);
        uint256[] memory lanes = _lanesOf(_one(answer));
        SettleCalls.Opening memory opening = _openingOf(_one(answer), lanes[0], 2);
        SettleCalls.Call memory plan = _withOpening(_one(answer), opening);
        _refused(plan, abi.encodeWithSelector(IJobMarket.LaneNotOpen.selector, _node(3), uint32(lanes[2])));
    }

    function test_settle__openedAfterTwoEpochs__doesNotCount() public {
        mannerOf[_node(1)] = Manner.SHY;
        Answer memory answer = _answer(_jobOf(1, 3, 0), 0, 0);
        _play(answer);
        uint256 pair = _lanesOf(_one(answer))[0];
        for (uint8 delay = 3; delay <= 4; ++delay) {
            uint256 id = vm.snapshotState();
            _rollTo(uint32(pair) + uint256(delay));
            _reveal(_node(1), uint32(pair));
            SettleCalls.Call memory plan = _withOpening(_one(answer), _openingOf(_one(answer), pair, 0));
            _refused(plan, abi.encodeWithSelector(IJobMarket.RevealedTooLate.selector, _node(1), uint32(pair), delay));
            assertEq(_settle(_one(answer)), 1, "the others settle");
            assertEq(_matured(_node(1)), 0, "unpaid");
            vm.revertToState(id);
        }
    }

    function test_settle__openingWithWrongNumbers__reverts() public {
        (Answer[] memory some,) = _nine();
        uint256 pair = _lanesOf(some)[0];
        SettleCalls.Opening memory opening = _openingOf(some, pair, 0);
        SettleCalls.Call memory plan = _withOpening(some, opening);
        bytes memory rest = _cut(plan.openings, 5, plan.openings.length - 5);
        for (uint16 n; n <= opening.size + 2; ++n) {
            for (uint16 first; first <= opening.size + 1; ++first) {
                if (n == opening.size && first == opening.first) continue;
                plan.openings = abi.encodePacked(uint8(0), n, first, rest);
                _expectNamedError(plan);
            }
        }
        opening = _openingOf(some, pair, 0);
        bytes32[] memory longer = new bytes32[](opening.proof.length + 1);
        bytes32[] memory shorter = new bytes32[](opening.proof.length - 1);
        for (uint256 i; i < opening.proof.length; ++i) {
            longer[i] = opening.proof[i];
            if (i < shorter.length) shorter[i] = opening.proof[i];
        }
        opening.proof = longer;
        _expectNamedError(_withOpening(some, opening));
        opening.proof = shorter;
        _expectNamedError(_withOpening(some, opening));
    }

    // --- any bytes ------------------------------------------------------------------------------------------------

    /// @dev Fails if the call succeeds, panics, or reverts without a reason.
    function _expectNamedError(SettleCalls.Call memory plan) internal {
        try market.settle(plan.entries, plan.lanes, plan.openings, NodeId.wrap(0)) {
            assertTrue(false, "a broken call was accepted");
        } catch (bytes memory reason) {
            _assertNamed(reason);
        }
    }

    function _assertNamed(bytes memory reason) internal pure {
        assertTrue(reason.length >= 4, "a reason is given");
        assertTrue(bytes4(reason) != bytes4(0x4e487b71), "not a panic");
    }

    function test_settle__cutAnywhere__isRefusedByName() public {
        Answer[] memory answers = _four();
        SettleCalls.Call memory good = _plan(answers);
        for (uint256 part; part < 3; ++part) {
            bytes memory whole = part == 0 ? good.entries : part == 1 ? good.lanes : good.openings;
            for (uint256 length; length < whole.length; ++length) {
                SettleCalls.Call memory plan = SettleCalls.Call(good.entries, good.lanes, good.openings);
                bytes memory piece = _cut(whole, 0, length);
                if (part == 0) plan.entries = piece;
                if (part == 1) plan.lanes = piece;
                if (part == 2) plan.openings = piece;
                // A cut between two entries is a smaller call, between two openings one with fewer: both may be fine.
                uint256 id = vm.snapshotState();
                try market.settle(plan.entries, plan.lanes, plan.openings, NodeId.wrap(0)) returns (uint256 settled) {
                    assertTrue(part == 0, "only entries can be cut and still settle");
                    assertTrue(length % 48 == 0 || length == 2 * 48 + 47, "between entries");
                    assertEq(settled, length / 47, "settles those that are there");
                } catch (bytes memory reason) {
                    _assertNamed(reason);
                }
                vm.revertToState(id);
            }
        }
    }

    /// forge-config: default.fuzz.runs = 96
    function testFuzz_settle__flippedByte__isRefusedOrPaysWhatIsShown(uint256 where, uint8 with) public {
        vm.assume(with != 0);
        Answer[] memory answers = _four();
        SettleCalls.Call memory plan = _plan(answers);
        uint256 total = plan.entries.length + plan.lanes.length + plan.openings.length;
        where = bound(where, 0, total - 1);
        if (where < plan.entries.length) {
            plan.entries[where] ^= bytes1(with);
        } else if (where < plan.entries.length + plan.lanes.length) {
            plan.lanes[where - plan.entries.length] ^= bytes1(with);
        } else {
            plan.openings[where - plan.entries.length - plan.lanes.length] ^= bytes1(with);
        }
        uint256 before = payToken.balanceOf(address(market));
        // Every drawn lane must be listed now, so that no flip can leave a member out.
        try market.settle(plan.entries, plan.lanes, plan.openings, NodeId.wrap(0)) {
            assertTrue(false, "no byte is without meaning");
        } catch (bytes memory reason) {
            _assertNamed(reason);
        }
        assertEq(_paid(), 0, "nothing is paid");
        assertEq(payToken.balanceOf(address(market)), before, "nothing moves");
    }
}
