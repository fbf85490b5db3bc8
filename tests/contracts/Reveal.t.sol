// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICommitLedger} from "../../contracts/interfaces/ICommitLedger.sol";
import {NodeId} from "../../contracts/interfaces/Types.sol";
import {Base} from "./support/Base.sol";
import {PlainTrees} from "./support/PlainTrees.sol";

// reveal
// ├── caller is no node's key: opens all the same
// ├── nothing sealed for that epoch, opened before, punished, absent, or another round of the ring: NotSealed(node, epoch)
// ├── in its own epoch, or more than REVEAL_GRACE later: RevealOutOfTime(first, last, now)
// ├── another batch, manifest or salt: WrongOpening(expected, actual)
// ├── the sealed batch breaks a rule, so it can never be opened
// │   ├── not a multiple of 44 bytes: BadLeaves(length)
// │   ├── more than 512 leaves: TooManyLeaves(512, count)
// │   └── (job, shard) equal or descending: LeavesNotAscending(index)
// └── else: the lane is `epoch | delay | root`, first and last epoch of grace included
//     ├── the empty batch: root of nothing
//     └── by the key that replaced the one that sealed
// invariant 7: opens only for its node, epoch, chain and ledger, to one root a shard
// invariant 8: nothing sealed after its epoch; nothing opened in it
contract RevealTest is Base {
    event Revealed(NodeId indexed node, uint32 indexed epoch, bytes leaves, bytes32 manifest);

    NodeId internal node;
    bytes internal leaves;

    function setUp() public override {
        super.setUp();
        node = _register(operator, 1);
        leaves = abi.encodePacked(_leaf(1, 0, "a"), _leaf(1, 1, "b"), _leaf(2, 0, "c"));
    }

    function _expect(bytes memory reason) private {
        vm.expectRevert(reason);
        _reveal(node, START);
    }

    function _leafHashes(bytes memory packed) private pure returns (bytes32[] memory hashes) {
        hashes = new bytes32[](packed.length / 44);
        for (uint256 i; i < hashes.length; ++i) {
            bytes memory one = new bytes(44);
            for (uint256 k; k < 44; ++k) {
                one[k] = packed[i * 44 + k];
            }
            hashes[i] = keccak256(one);
        }
    }

    function _open(uint256 delay, bytes memory packed) private pure returns (uint256) {
        bytes32 root = PlainTrees.batchRoot(_leafHashes(packed));
        return uint256(START) << 224 | delay << 216 | uint216(bytes27(root));
    }

    // --- time -----------------------------------------------------------------------------------------------------

    function test_reveal__nextEpoch__opensTheLane() public {
        _commit(node, leaves);
        _rollTo(START + 1);
        vm.expectEmit(address(ledger));
        emit Revealed(node, START, leaves, _manifest(node, START));
        _reveal(node, START);
        assertEq(_lane(node, START), _open(1, leaves), "lane");
    }

    function test_invariant8__lastBlockOfItsEpoch__cannotBeOpened() public {
        _commit(node, leaves);
        _rollTo(START, shape.epochBlocks - 1);
        _expect(
            abi.encodeWithSelector(ICommitLedger.RevealOutOfTime.selector, START + 1, START + shape.revealGrace, START)
        );
    }

    function test_invariant8__firstRevealPossible__nothingMoreIsSealed() public {
        NodeId copier = _register(operator, 1);
        _commit(node, leaves);
        _rollTo(START + 1);
        _reveal(node, START);
        vm.expectRevert(abi.encodeWithSelector(ICommitLedger.WrongEpoch.selector, START + 1, START));
        vm.prank(keyOf[copier]);
        ledger.commit(START, _digest(copier, START, leaves));
    }

    function test_reveal__lastBlockOfGrace__opensTheLane() public {
        _commit(node, leaves);
        _rollTo(START + shape.revealGrace, shape.epochBlocks - 1);
        _reveal(node, START);
        assertEq(_lane(node, START), _open(shape.revealGrace, leaves), "lane");
    }

    function test_reveal__firstBlockAfterGrace__reverts() public {
        _commit(node, leaves);
        _rollTo(START + shape.revealGrace + 1);
        _expect(
            abi.encodeWithSelector(
                ICommitLedger.RevealOutOfTime.selector,
                START + 1,
                START + shape.revealGrace,
                START + shape.revealGrace + 1
            )
        );
    }

    function testFuzz_reveal__anyEpochOfGrace__storesTheDelay(uint256 delay) public {
        delay = bound(delay, 1, shape.revealGrace);
        _commit(node, leaves);
        _rollTo(START + delay, 5);
        _reveal(node, START);
        assertEq(_lane(node, START), _open(delay, leaves), "lane");
    }

    // --- nothing to open ------------------------------------------------------------------------------------------

    function test_reveal__byAStrangerWhoKnowsTheOpening__opens() public {
        _commit(node, leaves);
        _rollTo(START + 1);
        vm.prank(stranger);
        ledger.reveal(node, START, leaves, _manifest(node, START), _salt(node, START));
        assertEq(_lane(node, START), _open(1, leaves), "lane");
    }

    function test_reveal__neverSealed__reverts() public {
        _rollTo(START + 1);
        _expect(abi.encodeWithSelector(ICommitLedger.NotSealed.selector, node, START));
    }

    function test_reveal__twice__reverts() public {
        _commit(node, leaves);
        _rollTo(START + 1);
        _reveal(node, START);
        _expect(abi.encodeWithSelector(ICommitLedger.NotSealed.selector, node, START));
    }

    function test_reveal__punished__reverts() public {
        _commit(node, leaves);
        _rollTo(START + shape.revealGrace + 1);
        ledger.reportUnrevealed(node, START);
        _expect(abi.encodeWithSelector(ICommitLedger.NotSealed.selector, node, START));
    }

    function test_reveal__markedAbsent__reverts() public {
        _rollTo(START + 1);
        vm.prank(_actor("market"));
        ledger.markAbsent(node, START);
        _expect(abi.encodeWithSelector(ICommitLedger.NotSealed.selector, node, START));
    }

    function test_reveal__anotherRoundOfTheRing__reverts() public {
        _rollTo(START + shape.ring);
        _commit(node, leaves);
        _rollTo(START + shape.ring + 1);
        batchOf[node][START] = leaves;
        _expect(abi.encodeWithSelector(ICommitLedger.NotSealed.selector, node, START));
    }

    // --- another opening ------------------------------------------------------------------------------------------

    function _expectWrong(NodeId by, bytes memory packed, bytes32 manifest, bytes32 salt) private {
        bytes27 sealed_ = _digest(node, START, leaves);
        bytes27 actual = _digest(by, START, packed, manifest, salt);
        vm.expectRevert(abi.encodeWithSelector(ICommitLedger.WrongOpening.selector, sealed_, actual));
        ledger.reveal(by, START, packed, manifest, salt);
    }

    function test_invariant7__anotherOpening__reverts() public {
        _commit(node, leaves);
        _rollTo(START + 1);
        (bytes32 manifest, bytes32 salt) = (_manifest(node, START), _salt(node, START));
        _expectWrong(node, _leaf(1, 0, "other"), manifest, salt);
        _expectWrong(node, "", manifest, salt);
        _expectWrong(node, leaves, "other", salt);
        _expectWrong(node, leaves, manifest, "other");
    }

    function test_invariant7__copiedDigest__opensForNobodyElse() public {
        NodeId copier = _register(operator, 1);
        _commit(node, leaves);
        vm.prank(keyOf[copier]);
        ledger.commit(START, _digest(node, START, leaves));
        _rollTo(START + 1);
        _reveal(node, START);
        _expectWrong(copier, leaves, _manifest(node, START), _salt(node, START));
    }

    function test_invariant7__anotherChain__doesNotOpen() public {
        _commit(node, leaves);
        bytes27 sealed_ = _digest(node, START, leaves);
        vm.chainId(5);
        _rollTo(START + 1);
        vm.expectRevert(
            abi.encodeWithSelector(ICommitLedger.WrongOpening.selector, sealed_, _digest(node, START, leaves))
        );
        _reveal(node, START);
    }

    function test_reveal__replacedKey__opensUnderTheNewOne() public {
        _commit(node, leaves);
        bytes memory consent = _consent(0xFEED, operator, block.timestamp);
        vm.prank(operator);
        registry.replaceKey(node, vm.addr(0xFEED), block.timestamp, consent);
        keyOf[node] = vm.addr(0xFEED);
        _rollTo(START + 1);
        _reveal(node, START);
        assertEq(_lane(node, START), _open(1, leaves), "duties go on");
    }

    // --- the batch ------------------------------------------------------------------------------------------------

    function test_reveal__emptyBatch__opensToTheRootOfNothing() public {
        _commit(node, "");
        _rollTo(START + 1);
        _reveal(node, START);
        assertEq(uint216(_lane(node, START)), uint216(bytes27(keccak256(""))), "root");
    }

    function test_reveal__brokenLength__reverts() public {
        uint256[3] memory lengths = [uint256(1), 43, 45];
        for (uint256 i; i < lengths.length; ++i) {
            uint256 id = vm.snapshotState();
            _commit(node, new bytes(lengths[i]));
            _rollTo(START + 1);
            _expect(abi.encodeWithSelector(ICommitLedger.BadLeaves.selector, lengths[i]));
            vm.revertToState(id);
        }
    }

    function _ascending(uint256 count) private pure returns (bytes memory packed) {
        packed = new bytes(count * 44);
        for (uint256 i; i < count; ++i) {
            packed[i * 44 + 7] = bytes1(uint8(i >> 8));
            packed[i * 44 + 11] = bytes1(uint8(i));
        }
    }

    function test_reveal__mostLeaves__opens() public {
        bytes memory most = _ascending(512);
        _commit(node, most);
        _rollTo(START + 1);
        _reveal(node, START);
        assertEq(_lane(node, START), _open(1, most), "lane");
    }

    function test_reveal__oneLeafMore__reverts() public {
        _commit(node, _ascending(513));
        _rollTo(START + 1);
        _expect(abi.encodeWithSelector(ICommitLedger.TooManyLeaves.selector, 512, 513));
    }

    function test_invariant7__twoAnswersToOneShard__cannotBeOpened() public {
        _commit(node, abi.encodePacked(_leaf(1, 0, "a"), _leaf(1, 1, "b"), _leaf(1, 1, "c")));
        _rollTo(START + 1);
        _expect(abi.encodeWithSelector(ICommitLedger.LeavesNotAscending.selector, 2));
    }

    function test_reveal__descendingLeaves__reverts() public {
        bytes[3] memory batches = [
            abi.encodePacked(_leaf(1, 1, "a"), _leaf(1, 0, "b")),
            abi.encodePacked(_leaf(2, 0, "a"), _leaf(1, 5, "b")),
            abi.encodePacked(_leaf(1, type(uint32).max, "a"), _leaf(1, 0, "b"))
        ];
        for (uint256 i; i < batches.length; ++i) {
            uint256 id = vm.snapshotState();
            _commit(node, batches[i]);
            _rollTo(START + 1);
            _expect(abi.encodeWithSelector(ICommitLedger.LeavesNotAscending.selector, 1));
            vm.revertToState(id);
        }
    }

    function test_reveal__highestKey__opens() public {
        bytes memory packed = abi.encodePacked(_leaf(0, 0, "a"), _leaf(type(uint64).max, type(uint32).max, "b"));
        _commit(node, packed);
        _rollTo(START + 1);
        _reveal(node, START);
        assertEq(_lane(node, START), _open(1, packed), "lane");
    }

    function testFuzz_reveal__anyAscendingBatch__opensToThePlainRoot(uint256 seed, uint256 count) public {
        count = bound(count, 1, 24);
        bytes memory packed;
        uint256 key;
        for (uint256 i; i < count; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            key += 1 + seed % (1 << 34);
            packed = abi.encodePacked(packed, uint96(key), keccak256(abi.encode(seed, i)));
        }
        _commit(node, packed);
        _rollTo(START + 1);
        _reveal(node, START);
        assertEq(_lane(node, START), _open(1, packed), "lane");
    }
}
