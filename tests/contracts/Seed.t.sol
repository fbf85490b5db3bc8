// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BlockHeader} from "@openzeppelin/contracts/utils/BlockHeader.sol";
import {ICommitLedger} from "../../contracts/interfaces/ICommitLedger.sol";
import {ILibraries} from "../../contracts/mocks/ILibraries.sol";
import {Base} from "./support/Base.sol";
import {HeaderBytes} from "./support/HeaderBytes.sol";

// recordSeed
// ├── bytes that are no header: a revert
// ├── hash is not the chain's
// │   ├── another header of that block, one bit off: BadHeader
// │   ├── block not yet there, or the running one: BadHeader
// │   └── older than 8191 blocks: BadHeader
// ├── not the second block of its epoch: NotASeedBlock(number)
// ├── recorded already: SeedKnown(epoch)
// ├── its slot holds a later epoch: SeedOverwritten(epoch, newer)
// └── else: seed = keccak(epoch, prevRandao), by anyone
//     ├── within 256 blocks: by blockhash
//     ├── within 8191 blocks: by the history contract
//     └── a later epoch takes the slot of one RING epochs before
// Headers.proven
// └── equals OpenZeppelin's BlockHeader, whatever the sizes of the fields
// seedOf
// ├── never recorded, or overwritten: SeedUnknown(epoch)
// └── else: the seed
contract SeedTest is Base {
    ILibraries private libraries;

    function setUp() public override {
        super.setUp();
        libraries = _newLibraries();
    }

    event SeedRecorded(uint32 indexed epoch, bytes32 seed);

    function _secondBlock(uint256 epoch) private view returns (uint256) {
        return epoch * shape.epochBlocks + 1;
    }

    function _expect(bytes memory reason, bytes memory header) private {
        vm.expectRevert(reason);
        ledger.recordSeed(header);
    }

    function test_recordSeed__nextBlock__recordsByBlockhash() public {
        vm.roll(_secondBlock(START) + 1);
        bytes memory header = _header(START);
        _publish(_secondBlock(START), header);
        bytes32 seed = keccak256(abi.encode(uint256(START), _randao(START)));
        vm.expectEmit(address(ledger));
        emit SeedRecorded(START, seed);
        vm.prank(stranger);
        (uint32 epoch, bytes32 actual) = ledger.recordSeed(header);
        assertEq(epoch, START, "epoch");
        assertEq(actual, seed, "seed");
        assertEq(ledger.seedOf(START), seed, "stored");
    }

    function test_recordSeed__runningBlock__reverts() public {
        vm.roll(_secondBlock(START));
        _expect(abi.encodeWithSelector(ICommitLedger.BadHeader.selector), _header(START));
    }

    function test_recordSeed__futureBlock__reverts() public {
        _expect(abi.encodeWithSelector(ICommitLedger.BadHeader.selector), _header(START + 5));
    }

    function test_recordSeed__anotherHeaderOfThatBlock__reverts() public {
        vm.roll(_secondBlock(START) + 1);
        _publish(_secondBlock(START), _header(START));
        bytes memory forged = HeaderBytes.encode(_secondBlock(START), keccak256("chosen"));
        _expect(abi.encodeWithSelector(ICommitLedger.BadHeader.selector), forged);
    }

    function testFuzz_recordSeed__flippedBit__reverts(uint256 bit) public {
        vm.roll(_secondBlock(START) + 1);
        bytes memory header = _header(START);
        _publish(_secondBlock(START), header);
        bit = bound(bit, 0, header.length * 8 - 1);
        header[bit / 8] ^= bytes1(uint8(1 << bit % 8));
        vm.expectRevert();
        ledger.recordSeed(header);
    }

    function test_recordSeed__noHeader__reverts() public {
        bytes[4] memory junk = [bytes(""), hex"c0", hex"80", hex"f90200"];
        for (uint256 i; i < junk.length; ++i) {
            vm.expectRevert();
            ledger.recordSeed(junk[i]);
        }
    }

    function test_recordSeed__everyOtherBlockOfTheEpoch__reverts() public {
        for (uint256 i; i < shape.epochBlocks; ++i) {
            if (i == 1) continue;
            uint256 number = uint256(START) * shape.epochBlocks + i;
            vm.roll(number + 1);
            bytes memory header = HeaderBytes.encode(number, keccak256("randao"));
            _publish(number, header);
            _expect(abi.encodeWithSelector(ICommitLedger.NotASeedBlock.selector, number), header);
        }
    }

    function test_recordSeed__twice__reverts() public {
        vm.roll(_secondBlock(START) + 1);
        _recordSeed(START);
        _expect(abi.encodeWithSelector(ICommitLedger.SeedKnown.selector, START), _header(START));
    }

    function test_recordSeed__256BlocksLater__recordsByBlockhash() public {
        vm.roll(_secondBlock(START) + 256);
        // Only the native source knows it.
        vm.setBlockhash(_secondBlock(START), keccak256(_header(START)));
        ledger.recordSeed(_header(START));
        assertEq(ledger.seedOf(START), _seedOf(START), "seed");
    }

    function test_recordSeed__after256Blocks__recordsByHistory() public {
        vm.roll(_secondBlock(START) + 257);
        assertEq(blockhash(_secondBlock(START)), bytes32(0), "native source is over");
        vm.store(HeaderBytes.HISTORY, bytes32(_secondBlock(START) % 8_191), keccak256(_header(START)));
        ledger.recordSeed(_header(START));
        assertEq(ledger.seedOf(START), _seedOf(START), "seed");
    }

    /// @dev The slot of the ring still holds its hash at 8191 blocks, and another block's at 8192.
    function test_recordSeed__edgeOfHistory__is8191Blocks() public {
        vm.store(HeaderBytes.HISTORY, bytes32(_secondBlock(START) % 8_191), keccak256(_header(START)));
        vm.roll(_secondBlock(START) + 8_192);
        _expect(abi.encodeWithSelector(ICommitLedger.BadHeader.selector), _header(START));
        vm.roll(_secondBlock(START) + 8_191);
        ledger.recordSeed(_header(START));
        assertEq(ledger.seedOf(START), _seedOf(START), "seed");
    }

    function test_recordSeed__unknownHashInHistory__reverts() public {
        vm.roll(_secondBlock(START) + 300);
        _expect(abi.encodeWithSelector(ICommitLedger.BadHeader.selector), _header(START));
    }

    function test_recordSeed__noHistoryContract__reverts() public {
        vm.etch(HeaderBytes.HISTORY, "");
        vm.roll(_secondBlock(START) + 300);
        _expect(abi.encodeWithSelector(ICommitLedger.BadHeader.selector), _header(START));
    }

    function test_recordSeed__laterEpochOfTheSlot__takesIt() public {
        vm.roll(_secondBlock(START) + 1);
        _recordSeed(START);
        uint32 later = START + shape.ring;
        vm.roll(_secondBlock(later) + 1);
        _recordSeed(later);
        assertEq(ledger.seedOf(later), _seedOf(later), "later");
        vm.expectRevert(abi.encodeWithSelector(ICommitLedger.SeedUnknown.selector, START));
        ledger.seedOf(START);
    }

    function test_recordSeed__olderThanRing__reverts() public {
        uint32 later = START + shape.ring;
        vm.roll(_secondBlock(later) + 1);
        _recordSeed(later);
        _publish(_secondBlock(START), _header(START));
        _expect(abi.encodeWithSelector(ICommitLedger.SeedOverwritten.selector, START, later), _header(START));
    }

    function testFuzz_recordSeed__anyOrder__keepsTheLatestOfEachSlot(uint256 order) public {
        vm.roll(_secondBlock(START + 300) + 1);
        uint32[128] memory newest;
        for (uint256 i; i < 10; ++i) {
            order = uint256(keccak256(abi.encode(order)));
            uint32 epoch = START + uint32(order % 3 * 128 + (order >> 8) % 3); // three slots, three epochs each
            uint32 held = newest[epoch % 128];
            bytes memory header = _header(epoch);
            _publish(_secondBlock(epoch), header);
            if (held == epoch) {
                vm.expectRevert(abi.encodeWithSelector(ICommitLedger.SeedKnown.selector, epoch));
            } else if (held > epoch) {
                vm.expectRevert(abi.encodeWithSelector(ICommitLedger.SeedOverwritten.selector, epoch, held));
            } else {
                newest[epoch % 128] = epoch;
            }
            ledger.recordSeed(header);
        }
        for (uint256 i; i < 128; ++i) {
            if (newest[i] != 0) assertEq(ledger.seedOf(newest[i]), _seedOf(newest[i]), "seed");
        }
    }

    function test_seedOf__neverRecorded__reverts() public {
        vm.expectRevert(abi.encodeWithSelector(ICommitLedger.SeedUnknown.selector, START));
        ledger.seedOf(START);
    }

    function test_seed__storyVector__isTheSame() public view {
        string memory json = vm.readFile("tests/vectors/story.json");
        uint256 epoch = vm.parseJsonUint(json, ".attemptEpoch");
        bytes32 seed = keccak256(abi.encode(epoch, vm.parseJsonBytes32(json, ".prevRandao")));
        assertEq(seed, vm.parseJsonBytes32(json, ".seed"), "seed");
        assertEq(vm.parseJsonUint(json, ".seedBlock"), _secondBlock(epoch), "block");
    }

    // --- the header reader and its plain twin ---------------------------------------------------------------------

    /// @dev Every field whose size can differ differs, over the whole range it has on any chain.
    function testFuzz_proven__anyHeader__equalsOpenZeppelins(
        uint256 number,
        uint256 gas,
        uint256 time,
        uint256 extra,
        bytes32 randao,
        bool later
    ) public {
        number = bound(number, 1, 1 << (number % 40 + 1));
        bytes memory header =
            HeaderBytes.encode(number, randao, gas >> (gas % 256), time >> (time % 256), new bytes(extra % 33));
        vm.roll(number + 1);
        vm.setBlockhash(number, later ? keccak256("other") : keccak256(header));
        (bool known, uint256 read, bytes32 mix) = libraries.proven(header);
        assertEq(known, BlockHeader.verifyBlockHeader(header), "known");
        assertEq(known, !later, "known as published");
        if (!known) return;
        assertEq(read, BlockHeader.getNumber(header), "number");
        assertEq(mix, BlockHeader.getPrevRandao(header), "randao");
        assertEq(read, number, "number as built");
        assertEq(mix, randao, "randao as built");
    }

    function testFuzz_proven__junk__isNeverKnown(bytes memory junk, uint256 longer) public view {
        junk = abi.encodePacked(hex"f90250", junk, new bytes(bound(longer, 0, 700)), junk);
        try libraries.proven(junk) returns (bool known, uint256, bytes32) {
            assertFalse(known, "junk");
        } catch {}
    }
}
