// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Sortition} from "../../contracts/libraries/Sortition.sol";
import {Assertions} from "../contracts/support/Assertions.sol";

// draw
// ├── no seats: all void
// ├── fewer nodes than slots: the rest void after MAX_PROBES words
// ├── seats that cannot be drawn and nodes that do not serve: never drawn, and nobody beside them is favoured
// └── else: distinct nodes of the list, slot by slot as the plain twin finds them (golden vectors)
// invariant 16, first half: the same in Solidity as in the vectors that Python wrote
contract SortitionTest is Assertions {
    /// @dev The epoch of every draw here; the library only hands it on.
    uint256 internal constant EPOCH = 77;
    /// @dev Nodes that have a valid seat and do not serve, a bit each.
    uint256 internal resting;
    /// @dev Says of every seat that its node must be asked, as a registry may.
    uint256 internal constant ASK = 1 << 32;

    // --- the list under test lives in memory; `list` is where -----------------------------------------------------

    function _at(uint256 list, uint256 epoch, uint256 index) private pure returns (uint256 node) {
        assert(epoch == EPOCH);
        uint256[] memory table;
        assembly ("memory-safe") {
            table := list
        }
        return table[index] == 0 ? 0 : table[index] | ASK;
    }

    /// @dev Nodes that were never paused: nobody has to be asked.
    function _unasked(uint256 list, uint256 epoch, uint256 index) private pure returns (uint256) {
        return uint32(_at(list, epoch, index));
    }

    function _nobody(uint256, uint256) private pure returns (bool) {
        assert(false);
        return false;
    }

    function _serves(uint256 node, uint256 epoch) private view returns (bool) {
        assert(epoch == EPOCH);
        return node > 255 || (resting >> node) & 1 == 0;
    }

    function _draw(bytes32 seed, uint256 job, uint256 shard, uint256 size, uint256[] memory table)
        private
        view
        returns (uint256 low, uint256 high)
    {
        uint256 list;
        assembly ("memory-safe") {
            list := table
        }
        return Sortition.draw(seed, job, shard, size, table.length, list, EPOCH, 0, 0, _at, _serves);
    }

    /// @dev The draw as the protocol page writes it.
    function _plain(bytes32 seed, uint256 job, uint256 shard, uint256 size, uint256[] memory table)
        private
        view
        returns (uint256[] memory committee)
    {
        committee = new uint256[](15);
        uint256 found;
        bytes32 head = keccak256(abi.encode(seed, job, shard));
        for (uint256 i; i < 64 && found < size && table.length != 0; ++i) {
            bytes memory stream = abi.encode(keccak256(abi.encode(head, i / 8)));
            uint256 word;
            for (uint256 k; k < 4; ++k) {
                word = word * 256 + uint8(stream[(i % 8) * 4 + k]);
            }
            uint256 node = table[word * table.length / (1 << 32)];
            bool fresh = node != 0 && _serves(node, EPOCH);
            for (uint256 k; k < found; ++k) {
                if (committee[k] == node) fresh = false;
            }
            if (fresh) committee[found++] = node;
        }
    }

    function _list(uint256 seats, uint256 nodes, uint256 holes) private pure returns (uint256[] memory table) {
        table = new uint256[](seats);
        for (uint256 i; i < seats; ++i) {
            table[i] = (holes >> (i % 256)) & 1 == 1 ? 0 : i % nodes + 1;
        }
    }

    // --- properties -----------------------------------------------------------------------------------------------

    function testFuzz_draw__anyList__equalsPlainTwin(
        bytes32 seed,
        uint64 job,
        uint32 shard,
        uint256 size,
        uint256 seats,
        uint256 nodes,
        uint256 holes,
        uint256 rest
    ) public {
        resting = rest;
        size = bound(size, 1, 15);
        uint256[] memory table = _list(bound(seats, 0, 80), bound(nodes, 1, 60), holes);
        uint256[] memory plain = _plain(seed, job, shard, size, table);
        (uint256 low, uint256 high) = _draw(seed, job, shard, size, table);
        for (uint256 i; i < 15; ++i) {
            assertEq(Sortition.slot(low, high, i), plain[i], "slot");
        }
        assertEq(high & type(uint32).max, 0, "a sixteenth slot is never filled");
    }

    function testFuzz_draw__anyList__nodesAreDistinctAndOfTheList(bytes32 seed, uint256 size, uint256 nodes)
        public
        view
    {
        size = bound(size, 1, 15);
        nodes = bound(nodes, 1, 40);
        (uint256 low, uint256 high) = _draw(seed, 1, 0, size, _list(nodes * 4, nodes, 0));
        bool[] memory seen = new bool[](nodes + 1);
        bool ended;
        for (uint256 i; i < 15; ++i) {
            uint256 node = Sortition.slot(low, high, i);
            if (node == 0) {
                ended = true;
                continue;
            }
            assertFalse(ended, "void slots come last");
            assertLe(node, nodes, "of the list");
            assertFalse(seen[node], "twice");
            assertLt(i, size, "over size");
            seen[node] = true;
        }
    }

    function testFuzz_draw__anotherInput__isAnotherStream(bytes32 seed) public view {
        uint256[] memory table = _list(256, 256, 0);
        (uint256 low,) = _draw(seed, 1, 0, 8, table);
        (uint256 byJob,) = _draw(seed, 2, 0, 8, table);
        (uint256 byShard,) = _draw(seed, 1, 1, 8, table);
        (uint256 bySeed,) = _draw(keccak256(abi.encode(seed)), 1, 0, 8, table);
        assertNotEq(low, byJob, "job");
        assertNotEq(low, byShard, "shard");
        assertNotEq(low, bySeed, "seed");
        (uint256 again,) = _draw(seed, 1, 0, 8, table);
        assertEq(low, again, "same input, same draw");
    }

    function testFuzz_draw__nobodyMustBeAsked__asksNobodyAndDrawsTheSame(bytes32 seed) public view {
        uint256[] memory table = _list(24, 20, 0);
        uint256 list;
        assembly ("memory-safe") {
            list := table
        }
        (uint256 low, uint256 high) = Sortition.draw(seed, 1, 0, 15, 24, list, EPOCH, 0, 0, _unasked, _nobody);
        (uint256 askedLow, uint256 askedHigh) = _draw(seed, 1, 0, 15, table);
        assertEq(low, askedLow, "low");
        assertEq(high, askedHigh, "high");
    }

    function test_draw__noSeats__isVoid() public view {
        (uint256 low, uint256 high) = _draw("seed", 1, 0, 3, new uint256[](0));
        assertEq(low | high, 0, "void");
    }

    function test_draw__onlyHoles__isVoid() public view {
        (uint256 low, uint256 high) = _draw("seed", 1, 0, 15, new uint256[](12));
        assertEq(low | high, 0, "void");
    }

    function test_draw__fewerNodesThanSlots__leavesTheRestVoid() public view {
        (uint256 low, uint256 high) = _draw("seed", 1, 0, 15, _list(8, 2, 0));
        assertEq(Sortition.slot(low, high, 0) + Sortition.slot(low, high, 1), 3, "both nodes");
        assertEq(Sortition.slot(low, high, 2), 0, "third");
        assertEq(high, 0, "high");
    }

    function test_draw__fifteenOfFifteen__fillsBothWords() public view {
        (uint256 low, uint256 high) = _draw("fifteen", 1, 0, 15, _list(15, 15, 0));
        assertNotEq(low & type(uint32).max, 0, "slot 7");
        assertNotEq(high >> 224, 0, "slot 8");
    }

    /// @dev 4 equal nodes, committees of 1: each within 5 sigma of a quarter.
    function test_draw__equalNodes__areDrawnEvenly() public view {
        uint256[] memory table = _list(12, 4, 0);
        uint256[5] memory drawn;
        for (uint256 i; i < 2_000; ++i) {
            (uint256 low,) = _draw(bytes32(i), i, i % 7, 1, table);
            ++drawn[low >> 224];
        }
        for (uint256 node = 1; node <= 4; ++node) {
            // sigma = sqrt(2000 * 0.25 * 0.75) < 20
            assertGt(drawn[node], 400, "too seldom");
            assertLt(drawn[node], 600, "too often");
        }
    }

    /// @dev Seats weigh: three seats against one.
    function test_draw__moreSeats__areDrawnInProportion() public view {
        uint256[] memory table = new uint256[](8);
        for (uint256 i; i < 8; ++i) {
            table[i] = i < 6 ? 1 : 2;
        }
        uint256 first;
        for (uint256 i; i < 2_000; ++i) {
            (uint256 low,) = _draw(bytes32(i), 5, 0, 1, table);
            if (low >> 224 == 1) ++first;
        }
        assertGt(first, 1_400, "three quarters of 2000, less five sigma");
        assertLt(first, 1_600, "three quarters of 2000, and five sigma");
    }

    /// @dev A gap of six seats before node 2: stepping on would give it seven tickets of nine.
    function test_draw__gapInTheList__favoursNobodyBehindIt() public view {
        uint256[] memory table = new uint256[](9);
        (table[0], table[7], table[8]) = (1, 2, 3);
        uint256[4] memory drawn;
        for (uint256 i; i < 1_500; ++i) {
            (uint256 low,) = _draw(bytes32(i), 6, 0, 1, table);
            ++drawn[low >> 224];
        }
        assertEq(drawn[0], 0, "64 probes find one of three");
        for (uint256 node = 1; node <= 3; ++node) {
            assertGt(drawn[node], 400, "too seldom");
            assertLt(drawn[node], 600, "too often");
        }
    }

    function testFuzz_contains__anyWord__equalsPlainSearch(uint256 word, uint256 lane, uint32 other) public pure {
        bool found;
        for (uint256 i; i < 8; ++i) {
            if (uint32(word >> (32 * i)) == other) found = true;
        }
        if (other != 0) assertEq(Sortition.contains(word, other), found, "any node");
        uint256 held = uint32(word >> (32 * (lane % 8)));
        if (held != 0) assertTrue(Sortition.contains(word, held), "a node that is there");
        if (held > 1) {
            uint256 near = word & ~(uint256(type(uint32).max) << (32 * (lane % 8))) | (held ^ 1) << (32 * (lane % 8));
            found = false;
            for (uint256 i; i < 8; ++i) {
                if (uint32(near >> (32 * i)) == held) found = true;
            }
            assertEq(Sortition.contains(near, held), found, "one bit off is another node");
        }
    }

    function test_draw__restingNode__isRedrawnNotReplacedByItsNeighbour() public {
        uint256[] memory table = _list(9, 3, 0);
        resting = 1 << 2;
        uint256[4] memory drawn;
        for (uint256 i; i < 1_000; ++i) {
            (uint256 low,) = _draw(bytes32(i), 8, 0, 1, table);
            ++drawn[low >> 224];
        }
        assertEq(drawn[2], 0, "rests");
        assertGt(drawn[1], 400, "half each");
        assertGt(drawn[3], 400, "half each");
    }

    // --- golden vectors -------------------------------------------------------------------------------------------

    struct Vectors {
        bytes32[] seeds;
        uint256[] jobs;
        uint256[] shards;
        uint256[] sizes;
        uint256[] lengths;
        uint256[] table;
        uint256[] slots;
        bytes32[] words;
    }

    function _vectors() private view returns (Vectors memory v) {
        string memory json = vm.readFile("tests/vectors/sortition.json");
        v.seeds = vm.parseJsonBytes32Array(json, ".drawSeed");
        v.jobs = vm.parseJsonUintArray(json, ".drawJob");
        v.shards = vm.parseJsonUintArray(json, ".drawShard");
        v.sizes = vm.parseJsonUintArray(json, ".drawSize");
        v.lengths = vm.parseJsonUintArray(json, ".tableLength");
        v.table = vm.parseJsonUintArray(json, ".table");
        v.slots = vm.parseJsonUintArray(json, ".slots");
        v.words = vm.parseJsonBytes32Array(json, ".slotWords");
    }

    function test_invariant16__goldenVectors__areTheSameInSolidity() public view {
        Vectors memory v = _vectors();
        assertGt(v.seeds.length, 50, "vectors");
        uint256 used;
        for (uint256 d; d < v.seeds.length; ++d) {
            uint256[] memory table = new uint256[](v.lengths[d]);
            for (uint256 i; i < table.length; ++i) {
                table[i] = v.table[used++];
            }
            (uint256 low, uint256 high) = _draw(v.seeds[d], v.jobs[d], v.shards[d], v.sizes[d], table);
            assertEq(bytes32(low), v.words[2 * d], "slots 0 to 7");
            assertEq(bytes32(high), v.words[2 * d + 1], "slots 8 to 14");
            for (uint256 i; i < 15; ++i) {
                assertEq(Sortition.slot(low, high, i), v.slots[15 * d + i], "slot");
            }
        }
        assertEq(used, v.table.length, "every table was used");
    }
}
