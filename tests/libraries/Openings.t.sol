// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IJobMarket} from "../../contracts/interfaces/IJobMarket.sol";
import {Words} from "../../contracts/libraries/Words.sol";
import {Openings} from "../../contracts/market/Openings.sol";
import {Assertions} from "../contracts/support/Assertions.sol";
import {PlainTrees} from "../contracts/support/PlainTrees.sol";
import {SettleCalls} from "../contracts/support/SettleCalls.sol";

// The unchecked reads of openings against plain ones; every rule through `settle` is in the market's tests.
//
// read
// ├── not eight bytes a word, or 255 lanes: MalformedCall("lanes", count)
// ├── equal or descending pairs: LanesNotAscending(index)
// └── else: pairs and words side by side
// check
// ├── lane not listed: MalformedCall("lane of opening", offset)
// ├── lane of another epoch, sealed, punished or absent: LaneNotOpen(node, epoch)
// ├── opened three epochs late or more: RevealedTooLate(node, epoch, delay)
// ├── a segment beyond the batch, the entries or the data; hashes beyond the data; bytes left over: MalformedCall
// ├── another root: WrongOpening(node, epoch)
// └── else: exactly the entries that the segments name are shown
// Whatever bit is flipped and wherever the data is cut: nothing is shown that is not in the batch
contract OpeningsTest is Assertions {
    uint256 internal constant PAIR = uint256(7) << 32 | 1_000;

    // --- what is under test ---------------------------------------------------------------------------------------

    function read(bytes calldata packed, uint256[] memory words)
        public
        pure
        returns (uint256[] memory pairs, uint256[] memory kept)
    {
        _dirty();
        uint256 begin = Openings.read(packed, words);
        (pairs, kept) = (new uint256[](words.length), new uint256[](words.length));
        for (uint256 i; i < words.length; ++i) {
            uint256 lane = Openings.at(begin, i);
            (pairs[i], kept[i]) = (Words.get(lane, Openings.PAIR), Words.get(lane, Openings.WORD));
            assert(Words.get(lane, Openings.SHOWN) == 0 && Words.get(lane, Openings.PURSE) == 0);
        }
    }

    /// @dev Leaves ones in free memory: whatever relies on zeros there reads them.
    function _dirty() private pure {
        bytes memory dirt = new bytes(4_096);
        for (uint256 i = 32; i <= 4_096; i += 32) {
            assembly ("memory-safe") {
                mstore(add(dirt, i), not(0))
            }
        }
        assembly ("memory-safe") {
            mstore(0x40, dirt)
        }
    }

    /// @dev One lane, in memory that was dirty before; what lies beside it must stay as it is.
    function check(uint256 word, bytes32[] memory hashes, bytes calldata openings) public pure returns (uint256 shown) {
        _dirty();
        uint256 before = Words.room(1);
        uint256 lane = Words.room(Openings.LANE_WORDS);
        uint256 behind = Words.room(1);
        Words.set(before, 0, 0x1111);
        Words.set(behind, 0, 0x2222);
        Words.set(lane, Openings.PAIR, PAIR);
        Words.set(lane, Openings.WORD, word);
        Words.set(lane, Openings.SHOWN, 0);
        Words.set(lane, Openings.PURSE, 0x3333);
        Openings.check(lane, 1, Words.begin(hashes), hashes.length, openings, 2);
        assert(Words.get(before, 0) == 0x1111 && Words.get(behind, 0) == 0x2222);
        assert(Words.get(lane, Openings.PAIR) == PAIR && Words.get(lane, Openings.WORD) == word);
        assert(Words.get(lane, Openings.PURSE) == 0x3333);
        return Words.get(lane, Openings.SHOWN);
    }

    // --- a batch, and a call that names some of its leaves and some that are not in it ------------------------------

    struct Case {
        bytes32[] batch;
        bytes32[] hashes; // of the entries, batch order, lies in between
        uint256 truth; // bit per entry: it is in the batch
        uint256 named; // bit per entry: the opening names it
        SettleCalls.Opening opening;
    }

    function _word(bytes32[] memory batch, uint256 delay) private pure returns (uint256) {
        return uint256(1_000) << 224 | delay << 216 | uint216(bytes27(PlainTrees.batchRoot(batch)));
    }

    function _random(uint256 seed, uint256 i) private pure returns (uint256) {
        return uint256(keccak256(abi.encode(seed, i)));
    }

    function _case(uint256 seed) private pure returns (Case memory c) {
        uint256 n = seed % 24 + 1;
        c.batch = new bytes32[](n);
        c.hashes = new bytes32[](2 * n);
        uint256[] memory entryAt = new uint256[](n); // plus one
        uint256 count;
        for (uint256 i; i < n; ++i) {
            uint256 dice = _random(seed, i);
            c.batch[i] = bytes32(_random(dice, 1));
            if (dice & 3 == 0) c.hashes[count++] = bytes32(_random(dice, 2)); // a lie
            if (dice & 12 == 0) continue; // a leaf that the call does not name
            c.truth |= 1 << count;
            c.hashes[count++] = c.batch[i];
            entryAt[i] = count;
        }
        bytes32[] memory hashes = c.hashes;
        assembly ("memory-safe") {
            mstore(hashes, count)
        }
        uint256 first = (seed >> 16) % n;
        _fill(c, entryAt, first, (seed >> 32) % (n - first) + 1);
    }

    /// @dev Shows `length` positions from `first` on; neighbours that are neighbouring entries share a segment.
    function _fill(Case memory c, uint256[] memory entryAt, uint256 first, uint256 length) private pure {
        SettleCalls.Opening memory o = c.opening;
        (o.size, o.first) = (uint16(c.batch.length), uint16(first));
        o.proof = PlainTrees.rangeProof(c.batch, first, length);
        o.segments = new SettleCalls.Segment[](length);
        uint256 count;
        for (uint256 i = first; i < first + length; ++i) {
            uint256 entry = entryAt[i];
            if (entry == 0) {
                bytes32[] memory foreign = new bytes32[](1);
                foreign[0] = c.batch[i];
                o.segments[count++] = SettleCalls.Segment(SettleCalls.FOREIGN, 1, foreign);
                continue;
            }
            c.named |= 1 << (entry - 1);
            bool joins = i > first && entryAt[i - 1] != 0 && entryAt[i - 1] + 1 == entry;
            if (joins) ++o.segments[count - 1].length;
            else o.segments[count++] = SettleCalls.Segment(uint16(entry - 1), 1, new bytes32[](0));
        }
        SettleCalls.Segment[] memory segments = o.segments;
        assembly ("memory-safe") {
            mstore(segments, count)
        }
    }

    // --- check: what is right -------------------------------------------------------------------------------------

    function testFuzz_check__rightOpening__showsExactlyWhatItNames(uint256 seed) public view {
        Case memory c = _case(seed);
        uint256 shown = this.check(_word(c.batch, seed % 2 + 1), c.hashes, SettleCalls.encode(c.opening));
        assertEq(shown, c.named, "shown");
        assertEq(shown & ~c.truth, 0, "only what is in the batch");
    }

    function testFuzz_check__twoOpeningsOfALane__showBoth(uint256 seed, uint256 other) public view {
        Case memory c = _case(seed);
        Case memory d = _case(seed % (1 << 16) | (other >> 16) << 16);
        vm.assume(keccak256(abi.encode(c.batch)) == keccak256(abi.encode(d.batch)));
        bytes memory both = abi.encodePacked(SettleCalls.encode(c.opening), SettleCalls.encode(d.opening));
        assertEq(this.check(_word(c.batch, 1), c.hashes, both), c.named | d.named, "shown");
    }

    function test_check__256Entries__showsThemAll() public view {
        Case memory c;
        c.batch = new bytes32[](256);
        for (uint256 i; i < 256; ++i) {
            c.batch[i] = bytes32(_random(1, i));
        }
        c.opening.size = 256;
        c.opening.segments = new SettleCalls.Segment[](1);
        c.opening.segments[0] = SettleCalls.Segment(0, 256, new bytes32[](0));
        uint256 shown = this.check(_word(c.batch, 1), c.batch, SettleCalls.encode(c.opening));
        assertEq(shown, type(uint256).max, "shown");
    }

    function test_check__noOpenings__showsNothing() public view {
        assertEq(this.check(0, new bytes32[](3), ""), 0, "shown");
    }

    // --- check: what is wrong -------------------------------------------------------------------------------------

    /// @dev The heart of it: whoever changes a bit gets a refusal, or shows what is true anyway.
    function testFuzz_check__flippedBit__neverShowsALie(uint256 seed, uint256 bit) public view {
        Case memory c = _case(seed);
        bytes memory packed = SettleCalls.encode(c.opening);
        bit = bound(bit, 0, packed.length * 8 - 1);
        packed[bit / 8] ^= bytes1(uint8(1 << bit % 8));
        try this.check(_word(c.batch, 1), c.hashes, packed) returns (uint256 shown) {
            assertEq(shown & ~c.truth, 0, "shows what is not in the batch");
        } catch (bytes memory reason) {
            assertGe(reason.length, 4, "reverted without a reason");
            assertTrue(bytes4(reason) != bytes4(0x4e487b71), "panicked");
        }
    }

    /// @dev Cut anywhere, with other calldata behind it: the reader must not go on there.
    function testFuzz_check__cutAnywhere__reverts(uint256 seed, uint256 length) public {
        Case memory c = _case(seed);
        bytes memory packed = SettleCalls.encode(c.opening);
        length = bound(length, 1, packed.length - 1);
        assembly ("memory-safe") {
            mstore(packed, length)
        }
        vm.expectRevert();
        this.check(_word(c.batch, 1), c.hashes, packed);
    }

    function testFuzz_check__somethingLeftOver__reverts(uint256 seed, uint8 rest) public {
        Case memory c = _case(seed);
        bytes memory packed = abi.encodePacked(SettleCalls.encode(c.opening), bytes1(rest));
        vm.expectRevert();
        this.check(_word(c.batch, 1), c.hashes, packed);
    }

    function testFuzz_check__namesALie__isAnotherRoot(uint256 seed) public {
        Case memory c = _case(seed);
        uint256 lie;
        while (lie < c.hashes.length && (c.truth >> lie) & 1 == 1) ++lie;
        vm.assume(lie < c.hashes.length);
        // One position, and a lie in its place.
        c.opening.first = 0;
        c.opening.segments = new SettleCalls.Segment[](1);
        c.opening.segments[0] = SettleCalls.Segment(uint16(lie), 1, new bytes32[](0));
        c.opening.proof = PlainTrees.rangeProof(c.batch, 0, 1);
        vm.expectRevert(abi.encodeWithSelector(IJobMarket.WrongOpening.selector, _node(7), 1_000));
        this.check(_word(c.batch, 1), c.hashes, SettleCalls.encode(c.opening));
    }

    function test_check__anotherRoot__reverts() public {
        Case memory c = _case(5);
        c.batch[0] ^= bytes32(uint256(1));
        vm.expectRevert(abi.encodeWithSelector(IJobMarket.WrongOpening.selector, _node(7), 1_000));
        this.check(_word(c.batch, 1), c.hashes, SettleCalls.encode(c.opening));
    }

    function test_check__laneNotListed__reverts() public {
        Case memory c = _case(5);
        c.opening.lane = 1;
        vm.expectRevert(abi.encodeWithSelector(IJobMarket.MalformedCall.selector, "lane of opening", 0));
        this.check(_word(c.batch, 1), c.hashes, SettleCalls.encode(c.opening));
    }

    /// @dev A whole batch of two in one segment, to be changed.
    function _two() private pure returns (Case memory c) {
        c.batch = new bytes32[](2);
        (c.batch[0], c.batch[1]) = (keccak256("a"), keccak256("b"));
        c.opening.size = 2;
        c.opening.segments = new SettleCalls.Segment[](1);
        c.opening.segments[0] = SettleCalls.Segment(0, 2, new bytes32[](0));
    }

    function _expectMalformed(Case memory c, string memory part, uint256 index) private {
        bytes memory packed = SettleCalls.encode(c.opening);
        vm.expectRevert(abi.encodeWithSelector(IJobMarket.MalformedCall.selector, part, index));
        this.check(_word(c.batch, 1), c.batch, packed);
    }

    function test_check__segmentBeyondTheEntries__reverts() public {
        Case memory c = _two();
        assertEq(this.check(_word(c.batch, 1), c.batch, SettleCalls.encode(c.opening)), 3, "as it should be");
        c.opening.segments[0].entry = 1;
        _expectMalformed(c, "segment", 7);
        c.opening.segments[0].entry = 2;
        _expectMalformed(c, "segment", 7);
        c.opening.segments[0].entry = 0xfffe;
        _expectMalformed(c, "segment", 7);
        (c.opening.segments[0].entry, c.opening.segments[0].length) = (2, 1);
        _expectMalformed(c, "segment", 7);
    }

    function test_check__segmentBeyondTheBatch__reverts() public {
        Case memory c = _two();
        c.opening.segments[0].length = 3;
        _expectMalformed(c, "segment", 7);
        c.opening.segments = new SettleCalls.Segment[](2);
        c.opening.segments[0] = SettleCalls.Segment(0, 1, new bytes32[](0));
        c.opening.segments[1] = SettleCalls.Segment(0, 2, new bytes32[](0));
        _expectMalformed(c, "segment", 11);
    }

    function test_check__hashesBeyondTheData__reverts() public {
        Case memory c = _two();
        c.opening.segments[0] = SettleCalls.Segment(SettleCalls.FOREIGN, 2, new bytes32[](1));
        _expectMalformed(c, "hashes", 11);
        bytes memory packed = abi.encodePacked(SettleCalls.encode(_two().opening));
        packed[packed.length - 1] = 0x01; // a proof of one hash that is not there
        vm.expectRevert(abi.encodeWithSelector(IJobMarket.MalformedCall.selector, "hashes", packed.length));
        this.check(_word(c.batch, 1), c.batch, packed);
    }

    function test_check__laneNotOpen__reverts() public {
        Case memory c = _case(5);
        bytes memory packed = SettleCalls.encode(c.opening);
        uint256[4] memory words = [
            uint256(0),
            _word(c.batch, 0), // sealed
            _word(c.batch, 0x20), // absent
            _word(c.batch, 1) + (1 << 224) // another epoch
        ];
        for (uint256 i; i < words.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IJobMarket.LaneNotOpen.selector, _node(7), 1_000));
            this.check(words[i], c.hashes, packed);
        }
    }

    function test_check__openedLate__reverts() public {
        Case memory c = _case(5);
        bytes memory packed = SettleCalls.encode(c.opening);
        for (uint256 delay = 3; delay < 16; ++delay) {
            vm.expectRevert(abi.encodeWithSelector(IJobMarket.RevealedTooLate.selector, _node(7), 1_000, delay));
            this.check(_word(c.batch, delay), c.hashes, packed);
        }
        this.check(_word(c.batch, 2), c.hashes, packed);
    }

    // --- read -----------------------------------------------------------------------------------------------------

    function testFuzz_read__ascendingPairs__areKeptInOrder(uint256 seed, uint256 count) public view {
        count = bound(count, 0, 254);
        bytes memory packed;
        uint256[] memory expected = new uint256[](count);
        uint256[] memory words = new uint256[](count);
        uint256 pair;
        for (uint256 i; i < count; ++i) {
            pair += _random(seed, i) % (1 << 40) + 1;
            (expected[i], words[i]) = (pair, _random(seed, i + 1_000));
            packed = abi.encodePacked(packed, uint64(pair));
        }
        (uint256[] memory pairs, uint256[] memory kept) = this.read(packed, words);
        assertEq(pairs, expected, "pairs");
        assertEq(kept, words, "words");
    }

    function test_read__notAscending__reverts() public {
        uint256[] memory words = new uint256[](3);
        vm.expectRevert(abi.encodeWithSelector(IJobMarket.LanesNotAscending.selector, 2));
        this.read(abi.encodePacked(uint64(1), uint64(5), uint64(5)), words);
        vm.expectRevert(abi.encodeWithSelector(IJobMarket.LanesNotAscending.selector, 1));
        this.read(abi.encodePacked(uint64(5), uint64(4), uint64(6)), words);
    }

    function test_read__brokenLengthOrTooMany__reverts() public {
        uint256[] memory words = new uint256[](2);
        for (uint256 i = 1; i < 8; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IJobMarket.MalformedCall.selector, "lanes", 2));
            this.read(abi.encodePacked(uint64(1), uint64(2), new bytes(i)), words);
        }
        vm.expectRevert(abi.encodeWithSelector(IJobMarket.MalformedCall.selector, "lanes", 255));
        this.read(new bytes(255 * 8), new uint256[](255));
    }
}
