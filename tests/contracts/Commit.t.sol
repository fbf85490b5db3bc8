// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IClock} from "../../contracts/interfaces/IClock.sol";
import {ICommitLedger} from "../../contracts/interfaces/ICommitLedger.sol";
import {NodeId} from "../../contracts/interfaces/Types.sol";
import {Base} from "./support/Base.sol";
import {IDeployedLedger} from "./support/Deployments.sol";

// constructor
// └── grace outside 2 … 15, share outside 1 … 10000: BadParameter
// commit
// ├── caller is no node's key, or was replaced: NotANode(caller)
// ├── epoch is not the running one, at both of its edges: WrongEpoch(now, epoch)
// ├── second of the epoch, the first sealed or opened: AlreadyCommitted(node, epoch)
// ├── the ring slot holds a sealed, unpunished lane: LaneSealed(node, its epoch)
// └── else: the lane is `epoch | 0 | digest`
//     └── ring slot of RING epochs before reused when it was opened, punished or marked absent
// bind
// └── not the registry: NotRegistry(caller)
// markAbsent
// ├── not the market: NotMarket(caller)
// ├── marked already: AlreadyPunished(node, epoch)
// ├── the lane carries that epoch or a later one: NotAbsent(node, epoch, lane's epoch)
// ├── an older lane is sealed and unpunished: LaneSealed(node, its epoch)
// └── else: the lane is `epoch | 0x20 | 0`
// digestOf, lanes
// └── bytes as the protocol page and the story vector have them; a trailing part of a pair is ignored
contract CommitTest is Base {
    event AbsentMarked(NodeId indexed node, uint32 indexed epoch);

    NodeId internal node;
    IDeployedLedger internal other; // of the same registry
    bytes27 internal digest = bytes27(keccak256("digest"));

    function setUp() public override {
        super.setUp();
        node = _register(operator, 1);
        other = _newLedger(registry, 8, 1_000);
    }

    function _commitAs(address key, uint256 epoch) private {
        vm.prank(key);
        ledger.commit(uint32(epoch), digest);
    }

    function _market_() private returns (address) {
        return _actor("market");
    }

    // --- constructor ----------------------------------------------------------------------------------------------

    function test_constructor__numberOutOfRange__reverts() public {
        _expectBad("REVEAL_GRACE", 2, 15, 1);
        _newLedger(registry, 1, 1_000);
        _expectBad("REVEAL_GRACE", 2, 15, 16);
        _newLedger(registry, 16, 1_000);
        _expectBad("UNREVEALED_BPS", 1, 10_000, 0);
        _newLedger(registry, 8, 0);
        _expectBad("UNREVEALED_BPS", 1, 10_000, 10_001);
        _newLedger(registry, 8, 10_001);
    }

    function _expectBad(string memory name, uint256 min, uint256 max, uint256 actual) private {
        vm.expectRevert(abi.encodeWithSelector(IClock.BadParameter.selector, name, min, max, actual));
    }

    function test_constructor__registry__givesTheClock() public view {
        assertEq(ledger.EPOCH_BLOCKS(), registry.EPOCH_BLOCKS(), "blocks");
        assertEq(ledger.RING(), registry.RING(), "ring");
        assertEq(ledger.LEAD(), registry.LEAD(), "lead");
        assertEq(address(ledger.registry()), address(registry), "registry");
    }

    // --- commit ---------------------------------------------------------------------------------------------------

    function test_commit__runningEpoch__sealsTheLane() public {
        _commitAs(keyOf[node], START);
        assertEq(_lane(node, START), uint256(START) << 224 | uint216(digest), "lane");
    }

    function test_commit__notAKey__reverts() public {
        address[3] memory callers = [stranger, operator, owner];
        for (uint256 i; i < callers.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(ICommitLedger.NotANode.selector, callers[i]));
            _commitAs(callers[i], START);
        }
    }

    function test_commit__replacedKey__reverts() public {
        address old = keyOf[node];
        bytes memory consent = _consent(0xFEED, operator, block.timestamp);
        vm.prank(operator);
        registry.replaceKey(node, vm.addr(0xFEED), block.timestamp, consent);
        vm.expectRevert(abi.encodeWithSelector(ICommitLedger.NotANode.selector, old));
        _commitAs(old, START);
        _commitAs(vm.addr(0xFEED), START);
        assertEq(_lane(node, START) >> 224, START, "the new key seals");
    }

    function test_commit__anotherEpoch__reverts() public {
        uint32[3] memory epochs = [START - 1, START + 1, START + shape.ring];
        for (uint256 i; i < epochs.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(ICommitLedger.WrongEpoch.selector, START, epochs[i]));
            _commitAs(keyOf[node], epochs[i]);
        }
    }

    /// @dev First and last block of the epoch, and the blocks beside them.
    function test_commit__edgesOfTheEpoch__areItsBlocks() public {
        uint256 epoch = START + 2;
        _rollTo(epoch - 1, shape.epochBlocks - 1);
        vm.expectRevert(abi.encodeWithSelector(ICommitLedger.WrongEpoch.selector, epoch - 1, epoch));
        _commitAs(keyOf[node], epoch);
        _rollTo(epoch);
        _commitAs(keyOf[node], epoch);
        _rollTo(epoch + 1, shape.epochBlocks - 1);
        _commitAs(keyOf[node], epoch + 1);
        _rollTo(epoch + 2);
        vm.expectRevert(abi.encodeWithSelector(ICommitLedger.WrongEpoch.selector, epoch + 2, epoch + 1));
        _commitAs(keyOf[node], epoch + 1);
    }

    function test_commit__twice__reverts() public {
        _commitAs(keyOf[node], START);
        vm.expectRevert(abi.encodeWithSelector(ICommitLedger.AlreadyCommitted.selector, node, START));
        _commitAs(keyOf[node], START);
    }

    function test_commit__sealedLaneOfTheLastRound__reverts() public {
        _commitAs(keyOf[node], START);
        _rollTo(START + shape.ring);
        uint256 before = _lane(node, START);
        vm.expectRevert(abi.encodeWithSelector(ICommitLedger.LaneSealed.selector, node, START));
        _commitAs(keyOf[node], START + shape.ring);
        assertEq(_lane(node, START), before, "never overwritten");
    }

    /// @dev A digest of zero is sealed like any other.
    function test_commit__zeroDigest__sealsToo() public {
        digest = bytes27(0);
        _commitAs(keyOf[node], START);
        _rollTo(START + shape.ring);
        vm.expectRevert(abi.encodeWithSelector(ICommitLedger.LaneSealed.selector, node, START));
        _commitAs(keyOf[node], START + shape.ring);
    }

    function test_commit__openedLaneOfTheLastRound__reusesTheSlot() public {
        _commit(node, _leaf(1, 0, "root"));
        _rollTo(START + 1);
        _reveal(node, START);
        _rollTo(START + shape.ring);
        _commitAs(keyOf[node], START + shape.ring);
        assertEq(_lane(node, START), _lane(node, START + shape.ring), "one slot");
        assertEq(_lane(node, START) >> 224, START + shape.ring, "the later epoch");
    }

    function test_commit__punishedLaneOfTheLastRound__reusesTheSlot() public {
        _commitAs(keyOf[node], START);
        _rollTo(START + shape.ring);
        ledger.reportUnrevealed(node, START);
        _commitAs(keyOf[node], START + shape.ring);
        assertEq(_lane(node, START) >> 224, START + shape.ring, "the later epoch");
    }

    function test_commit__absentLaneOfTheLastRound__reusesTheSlot() public {
        _rollTo(START + 1);
        vm.prank(_market_());
        ledger.markAbsent(node, START);
        _rollTo(START + shape.ring);
        _commitAs(keyOf[node], START + shape.ring);
        assertEq(_lane(node, START) >> 224, START + shape.ring, "the later epoch");
    }

    function test_commit__everyEpochOfARing__keepsEveryLane() public {
        for (uint256 i; i < shape.ring; ++i) {
            _rollTo(START + i, 3);
            _commit(node, _leaf(1, i, "root"));
            _rollTo(START + i + 1);
            _reveal(node, START + i);
        }
        for (uint256 i; i < shape.ring; ++i) {
            uint256 lane = _lane(node, START + i);
            assertEq(lane >> 224, START + i, "epoch");
            assertEq((lane >> 216) & 0xff, 1, "opened in the next");
            bytes27 root = bytes27(keccak256(_leaf(1, i, "root")));
            assertEq(uint216(lane), uint216(root), "root of one leaf");
        }
    }

    function test_commit__pausedNode__stillMay() public {
        vm.prank(operator);
        registry.pauseNode(node);
        _rollTo(START + 2);
        _commitAs(keyOf[node], START + 2);
        assertEq(_lane(node, START + 2) >> 224, START + 2, "duties already drawn stand");
    }

    // --- bind -----------------------------------------------------------------------------------------------------

    function test_bind__notTheRegistry__reverts() public {
        address[4] memory callers = [stranger, operator, owner, keyOf[node]];
        for (uint256 i; i < callers.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(ICommitLedger.NotRegistry.selector, callers[i]));
            vm.prank(callers[i]);
            ledger.bind(callers[i], node);
        }
    }

    function test_bind__registered__knowsTheKey() public view {
        assertEq(ledger.nodeOf(keyOf[node]), node, "key");
        assertEq(NodeId.unwrap(ledger.nodeOf(operator)), 0, "operator is no key");
    }

    // --- markAbsent -----------------------------------------------------------------------------------------------

    function test_markAbsent__notTheMarket__reverts() public {
        address[4] memory callers = [stranger, owner, keyOf[node], address(registry)];
        for (uint256 i; i < callers.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(ICommitLedger.NotMarket.selector, callers[i]));
            vm.prank(callers[i]);
            ledger.markAbsent(node, START);
        }
    }

    function test_markAbsent__neverCommitted__marksTheLane() public {
        vm.expectEmit(address(ledger));
        emit AbsentMarked(node, START);
        vm.prank(_market_());
        ledger.markAbsent(node, START);
        assertEq(_lane(node, START), uint256(START) << 224 | uint256(0x20) << 216, "lane");
    }

    function test_markAbsent__twice__reverts() public {
        vm.startPrank(_market_());
        ledger.markAbsent(node, START);
        vm.expectRevert(abi.encodeWithSelector(ICommitLedger.AlreadyPunished.selector, node, START));
        ledger.markAbsent(node, START);
        vm.stopPrank();
    }

    function test_markAbsent__sealedOpenedOrPunished__reverts() public {
        _commit(node, "");
        _expectNotAbsent(START, START);
        _rollTo(START + 1);
        _reveal(node, START);
        _expectNotAbsent(START, START);
        _commit(node, "");
        _rollTo(START + 2 + shape.revealGrace);
        ledger.reportUnrevealed(node, START + 1);
        _expectNotAbsent(START + 1, START + 1);
    }

    function _expectNotAbsent(uint256 epoch, uint256 laneEpoch) private {
        vm.expectRevert(abi.encodeWithSelector(ICommitLedger.NotAbsent.selector, node, epoch, laneEpoch));
        vm.prank(_market_());
        ledger.markAbsent(node, uint32(epoch));
    }

    function test_markAbsent__slotReusedSince__reverts() public {
        _rollTo(START + shape.ring);
        _commit(node, "");
        _expectNotAbsent(START, START + shape.ring);
    }

    function test_markAbsent__olderFaultUnreported__revertsUntilItIs() public {
        _commit(node, "");
        uint32 later = START + shape.ring;
        _rollTo(later + 1);
        vm.expectRevert(abi.encodeWithSelector(ICommitLedger.LaneSealed.selector, node, START));
        vm.prank(_market_());
        ledger.markAbsent(node, later);
        ledger.reportUnrevealed(node, START);
        vm.prank(_market_());
        ledger.markAbsent(node, later);
        assertEq(_lane(node, later) >> 216, uint256(later) << 8 | 0x20, "marked");
    }

    // --- views ----------------------------------------------------------------------------------------------------

    function testFuzz_digestOf__anyBatch__isAsThePageSays(bytes memory leaves, bytes32 manifest, bytes32 salt)
        public
        view
    {
        assertEq(
            bytes32(ledger.digestOf(node, START, leaves, manifest, salt)),
            bytes32(_digest(node, START, leaves, manifest, salt)),
            "digest"
        );
    }

    function testFuzz_invariant7__anotherNodeEpochChainOrLedger__isAnotherDigest(bytes memory leaves) public {
        bytes32 own = ledger.digestOf(node, START, leaves, "m", "s");
        assertNotEq(ledger.digestOf(_node(2), START, leaves, "m", "s"), own, "node");
        assertNotEq(ledger.digestOf(node, START + 1, leaves, "m", "s"), own, "epoch");
        assertNotEq(ledger.digestOf(node, START, abi.encodePacked(leaves, hex"00"), "m", "s"), own, "leaves");
        assertNotEq(ledger.digestOf(node, START, leaves, "n", "s"), own, "manifest");
        assertNotEq(ledger.digestOf(node, START, leaves, "m", "t"), own, "salt");
        assertNotEq(other.digestOf(node, START, leaves, "m", "s"), own, "ledger");
        vm.chainId(5);
        assertNotEq(ledger.digestOf(node, START, leaves, "m", "s"), own, "chain");
    }

    function test_lanes__manyPairs__inOrderAndWholePairsOnly() public {
        NodeId second = _register(operator, 1);
        _commit(node, "");
        _commit(second, "x");
        uint32 id = NodeId.unwrap(node);
        bytes memory pairs = abi.encodePacked(NodeId.unwrap(second), START, id, START, id, START + 1);
        uint256[] memory words = ledger.lanes(abi.encodePacked(pairs, hex"01020304050607"));
        assertEq(words.length, 3, "a broken pair is ignored");
        assertEq(uint216(words[0]), uint216(_digest(second, START, "x")), "first");
        assertEq(uint216(words[1]), uint216(_digest(node, START, "")), "second");
        assertEq(words[2], 0, "never used");
        assertEq(ledger.lanes("").length, 0, "none");
    }
}
