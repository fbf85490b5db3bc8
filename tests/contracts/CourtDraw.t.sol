// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IJobMarket} from "../../contracts/interfaces/IJobMarket.sol";
import {JobId, NodeId} from "../../contracts/interfaces/Types.sol";
import {ILibraries} from "../../contracts/mocks/ILibraries.sol";
import {CourtScenes} from "./support/CourtScenes.sol";

// the draw of judges
// ├── barred nodes: the draw is the plain one that skips them, for any list, seed, size and set of up to 15
// ├── a real case: the registry draws what the page says, from seats of all ages, paused and left ones
// │   ├── nobody of the appealed committee, all 15 slots of it; nobody whose seat is not older than the attempt
// │   ├── a seat taken in the attempt's first epoch is not, one taken the epoch before is
// │   └── a seat that `relocate` moved is as old as it was
// ├── a draw that is no case is the plain one as before
// └── a committee of 15: slots 8 to 14 are excluded, forfeited, claimed and reported like the others
contract CourtDrawTest is CourtScenes {
    ILibraries private libraries;

    function setUp() public override {
        super.setUp();
        libraries = _newLibraries();
    }

    // --- any list -------------------------------------------------------------------------------------------------

    /// @dev The draw in the page's words.
    function _plain(bytes32 seed, uint256 size, uint256[] memory table, uint256[] memory barred)
        private
        pure
        returns (uint256[] memory members)
    {
        members = new uint256[](15);
        bytes32 head = keccak256(abi.encode(seed, 7, 1));
        uint256 found;
        for (uint256 i; i < 64 && found < size; ++i) {
            uint256 word = uint32(uint256(keccak256(abi.encode(head, i / 8))) >> (32 * (7 - i % 8)));
            uint256 node = table[word * table.length >> 32];
            if (node == 0 || _isIn(members, node) || _isIn(barred, node)) continue;
            members[found++] = node;
        }
    }

    function _isIn(uint256[] memory list, uint256 node) private pure returns (bool) {
        for (uint256 i; i < list.length; ++i) {
            if (list[i] == node) return true;
        }
        return false;
    }

    function _pack(uint256[] memory nodes) private pure returns (uint256 low, uint256 high) {
        for (uint256 i; i < nodes.length; ++i) {
            if (i < 8) low |= nodes[i] << (224 - 32 * i);
            else high |= nodes[i] << (224 - 32 * (i - 8));
        }
    }

    function testFuzz_draw__barredNodes__isThePlainDrawWithoutThem(
        bytes32 seed,
        uint8 size,
        uint8 length,
        uint8 count,
        uint8 spread
    ) public view {
        uint256[] memory table = new uint256[](bound(length, 1, 60));
        for (uint256 i; i < table.length; ++i) {
            // Some seats are nobody's, some nodes have several; ids up to the largest.
            uint256 pick = uint256(keccak256(abi.encode(seed, "table", i)));
            table[i] = pick % 7 == 0 ? 0 : type(uint32).max - (pick >> 8) % bound(spread, 1, 80);
        }
        uint256[] memory barred = new uint256[](bound(count, 0, 15));
        for (uint256 i; i < barred.length; ++i) {
            barred[i] = table[uint256(keccak256(abi.encode(seed, "barred", i))) % table.length];
        }
        (uint256 barredLow, uint256 barredHigh) = _pack(barred);
        // The registry hands over a drawn committee: its first slot is somebody.
        if (barred.length != 0 && barred[0] == 0) (barredLow, barredHigh, barred) = (0, 0, new uint256[](0));
        size = uint8(bound(size, 1, 15));
        (uint256 low, uint256 high) = libraries.draw(seed, 7, 1, size, table, barredLow, barredHigh);
        uint256[] memory expected = _plain(seed, size, table, barred);
        for (uint256 slot; slot < 15; ++slot) {
            assertEq(libraries.slot(low, high, slot), expected[slot], "slot");
        }
    }

    // --- real cases -----------------------------------------------------------------------------------------------

    /// @dev Node that may judge from seat `index` in `epoch`, by public views.
    function _judgeAt(uint256 index, uint256 epoch, uint256 before) private view returns (uint256) {
        (NodeId node, uint32 since, uint32 until, uint32 heldSince) = registry.seatAt(pool, uint32(index));
        if (_id(node) == 0 || epoch < since || epoch >= until || heldSince >= before) return 0;
        uint64[4] memory pauses = registry.nodeView(node).pauses;
        for (uint256 i; i < 4; ++i) {
            if (epoch >= pauses[i] >> 32 && epoch < uint32(pauses[i])) return 0;
        }
        return _id(node);
    }

    /// @dev Draws judges of the case for `epoch` with many seeds: each equals the plain draw. Who was ever drawn?
    function _assertDraws(uint256 epoch, uint256 draws) private view returns (bool[] memory seen) {
        seen = new bool[](registry.nodeCount() + 1);
        uint256 before = _startOf(_id(job), SHARD, settled.attempt);
        uint256[] memory table = new uint256[](registry.lengthAt(pool, uint32(before)));
        uint256[] memory barred = _committee(_id(job), SHARD, settled.attempt);
        for (uint256 i; i < table.length; ++i) {
            table[i] = _judgeAt(i, epoch, before);
        }
        for (uint256 k; k < draws; ++k) {
            bytes32 seed = keccak256(abi.encode("seed", k));
            uint256[] memory judges = _draw(seed, _id(caseJob), 0, epoch, pool, 5, true);
            assertEq(judges, _plainCase(seed, table, barred), "as the page says");
            for (uint256 i; i < 5; ++i) {
                seen[judges[i]] = true;
            }
        }
        for (uint256 i; i < barred.length; ++i) {
            assertFalse(barred[i] != 0 && seen[barred[i]], "nobody judges himself");
        }
    }

    function _plainCase(bytes32 seed, uint256[] memory table, uint256[] memory barred)
        private
        view
        returns (uint256[] memory members)
    {
        members = new uint256[](15);
        bytes32 head = keccak256(abi.encode(seed, _id(caseJob), 0));
        uint256 found;
        for (uint256 i; i < 64 && found < 5; ++i) {
            uint256 word = uint32(uint256(keccak256(abi.encode(head, i / 8))) >> (32 * (7 - i % 8)));
            uint256 node = table[word * table.length >> 32];
            if (node != 0 && !_isIn(members, node) && !_isIn(barred, node)) members[found++] = node;
        }
    }

    function test_committees__case__drawsOlderSeatsOfOthers() public {
        (NodeId older, NodeId old) = (_register(rival, 1), _register(rival, 1)); // from the epoch before the attempt on
        _rollTo(_counting() + 1);
        NodeId young = _register(rival, 1); // from the attempt's first epoch on
        _lieSettled();
        NodeId late = _register(rival, 4);
        vm.prank(operator);
        registry.pauseNode(_node(4));
        vm.prank(operator);
        registry.leaveSeats(_node(5), 1);
        _appeal();
        _rollTo(_counting() + 1, 2);
        bool[] memory seen = _assertDraws(_epoch(), 150);
        assertTrue(seen[_id(older)] || seen[_id(old)], "held in the epoch before the attempt");
        assertFalse(seen[_id(young)] || seen[_id(late)], "since the attempt or later");
        assertFalse(seen[4] || seen[5], "paused and gone");
        for (uint256 n = 1; n <= 10; ++n) {
            bool out = n == 4 || n == 5 || _isIn(_committee(_id(job), SHARD, 0), n);
            assertEq(seen[n], !out, "everybody else");
        }
    }

    /// @dev A node that was there before and takes another seat judges with the old one only.
    function test_committees__case__newSeatOfAnOldNodeDoesNotCount() public {
        _lieSettled();
        for (uint256 n = 1; n <= 10; ++n) {
            vm.prank(operator);
            registry.takeSeats(_node(n), 3);
        }
        _appeal();
        _rollTo(_counting() + 1, 2);
        _assertDraws(_epoch(), 60);
        (,,, uint32 heldSince) = registry.seatAt(pool, 39);
        assertGe(heldSince, _startOf(_id(job), SHARD, 0), "scene: thirty seats are too young");
    }

    function test_committees__case__relocatedSeatIsAsOldAsItWas() public {
        NodeId gone = _register(rival, 1); // seat 10
        NodeId moved = _register(rival, 1); // seat 11
        _rollTo(_counting() + 1);
        vm.prank(rival);
        registry.leaveSeats(gone, 1);
        _rollTo(_counting() + shape.ring + 3);
        _lieSettled();
        _appeal();
        registry.relocate(pool);
        (NodeId node, uint32 since,, uint32 heldSince) = registry.seatAt(pool, 10);
        assertEq(node, moved, "scene: moved");
        assertGe(since, _startOf(_id(job), SHARD, 0), "scene: after the attempt began");
        assertLt(heldSince, START + 5, "held as long as before");
        _rollTo(since, 2);
        if (_isIn(_committee(_id(job), SHARD, 0), _id(moved))) revert("scene: it was a member");
        assertTrue(_assertDraws(_epoch(), 60)[_id(moved)], "it may judge");
    }

    function test_committees__noCase__isThePlainDraw() public {
        _lieSettled();
        _appeal();
        for (uint256 k; k < 20; ++k) {
            bytes32 seed = keccak256(abi.encode(k));
            uint256[] memory plain = _draw(seed, _id(caseJob), 0, _epoch(), pool, 10);
            assertNotEq(plain[9], 0, "all ten");
        }
    }

    // --- a committee of fifteen -----------------------------------------------------------------------------------

    /// @dev Slots 0 to 6 are right; 7 to 14 lie together. Everybody has earned before.
    function _fifteen() private returns (uint256[] memory slots) {
        for (uint256 i; i < 14; ++i) {
            _register(operator, 1);
        }
        _rollTo(_counting() + 1);
        IJobMarket.JobSpec memory spec = _spec();
        (spec.committee, spec.quorum) = (15, 8);
        _settled(spec, _mix(15, 15, TRUTH, TRUTH), TRUTH, 0);
        _rollTo(_counting() + 1);
        _settled(spec, _mix(15, 7, TRUTH, LIE), LIE, 0);
        assertEq(receipt.paidSlots, 0x7f80, "scene: slots 7 to 14 are paid");
        slots = _committee(_id(job), SHARD, 0);
    }

    function test_case__committeeOf15__allSlotsAreExcludedAndForfeited() public {
        uint256[] memory slots = _fifteen();
        _appeal();
        (uint256 low, uint256 high) = _pack(slots);
        (, uint256 exLow, uint256 exHigh) = court.exclusions(caseJob);
        assertEq(exLow, low, "slots 0 to 7");
        assertEq(exHigh, high, "slots 8 to 14");
        _rollTo(_counting() + 1, 2);
        _assertDraws(_epoch(), 60);
        _judged(TRUTH);
        uint256[] memory before = new uint256[](15);
        uint256 total;
        for (uint256 slot; slot < 15; ++slot) {
            before[slot] = _maturing(_node(slots[slot]));
            if (slot >= 7) total += before[slot];
        }
        assertGe(total, 8 * PAY, "scene: there is something to take");
        _resolve();
        for (uint256 slot; slot < 15; ++slot) {
            assertEq(_maturing(_node(slots[slot])), slot < 7 ? before[slot] : 0, "from the paid slots, exactly");
        }
        (uint256 toAccuser, uint256 toRequester) = _due();
        uint256 price = 8 * PAY + 8 * PAY / 100;
        uint256 paid = BOND - toAccuser + price - toRequester;
        assertEq(paid + market.owedTo(BURNED), total, "all of it is passed on");
        _assertSolvent();
    }

    function test_case__committeeOf15__lastSlotsClaimAndAreReported() public {
        uint256[] memory slots = _fifteen();
        _ruled(TRUTH);
        for (uint8 slot; slot < 7; ++slot) {
            NodeId node = _node(slots[slot]);
            uint256 matured = _matured(node);
            market.claim(job, SHARD, receipt, slot, _ownOpening(job, SHARD, 0, TRUTH, node));
            assertEq(_matured(node), matured + PAY, "members that match the verdict");
        }
        for (uint8 slot = 7; slot < 15; ++slot) {
            NodeId node = _node(slots[slot]);
            court.reportWrong(job, SHARD, 0, slot, LIE, _ownOpening(job, SHARD, 0, LIE, node));
            assertEq(registry.nodeView(node).stake, 500 ether, "those that do not");
        }
    }
}
