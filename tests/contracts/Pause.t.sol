// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {INodeRegistry} from "../../contracts/interfaces/INodeRegistry.sol";
import {NodeId, PoolId} from "../../contracts/interfaces/Types.sol";
import {Base} from "./support/Base.sol";

// pauseNode
// ├── neither operator nor key: NotOperatorOrKey(node, caller); unknown: UnknownNode(node)
// ├── paused: AlreadyPaused(node)
// ├── four intervals, the oldest ended within RING epochs: the seats end instead
// └── else: out of the draw from the counted epoch + 1 on; the running duties stand
// resumeNode
// ├── neither operator nor key
// ├── not paused: NotPaused(node)
// ├── stake under the requirement: StakeBelowRequirement(expected, actual)
// └── else: in the draw again from the counted epoch + 1 on
//     └── pausing again in the same epoch uses no interval
// seats taken or left while paused: counted when it resumes
// pause, unpause of the registry
// ├── no role: AccessManagedUnauthorized(caller)
// └── else: stops register, and nothing else (invariant 18)
contract PauseTest is Base {
    event NodePaused(NodeId indexed node, uint32 fromEpoch);
    event NodeResumed(NodeId indexed node, uint32 fromEpoch);
    event SeatEnded(PoolId indexed pool, NodeId indexed node, uint32 seat, uint32 until);

    NodeId internal node;

    function setUp() public override {
        super.setUp();
        node = _register(operator, 2);
        _rollTo(START + 1);
    }

    function _pause() private {
        vm.prank(keyOf[node]);
        registry.pauseNode(node);
    }

    function _resume() private {
        vm.prank(operator);
        registry.resumeNode(node);
    }

    /// @dev Alone in the pool: drawn or nobody is.
    function _isDrawn(uint256 epoch) private view returns (bool) {
        return _draw("seed", 1, 0, epoch, pool, 1)[0] == _id(node);
    }

    function _interval(uint256 index) private view returns (uint256 start, uint256 end) {
        uint64 pause = registry.nodeView(node).pauses[index];
        return (pause >> 32, uint32(pause));
    }

    function _assertInterval(uint256 index, uint256 start, uint256 end) private view {
        (uint256 from, uint256 to) = _interval(index);
        assertEq(from, start, "start");
        assertEq(to, end, "end");
    }

    // --- pause a node ---------------------------------------------------------------------------------------------

    function test_pauseNode__anotherCaller__reverts() public {
        address[3] memory callers = [rival, owner, stranger];
        for (uint256 i; i < callers.length; ++i) {
            bytes memory reason = abi.encodeWithSelector(INodeRegistry.NotOperatorOrKey.selector, node, callers[i]);
            vm.startPrank(callers[i]);
            vm.expectRevert(reason);
            registry.pauseNode(node);
            vm.expectRevert(reason);
            registry.resumeNode(node);
            vm.stopPrank();
        }
    }

    function test_pauseNode__unknown__reverts() public {
        bytes memory reason = abi.encodeWithSelector(INodeRegistry.UnknownNode.selector, _node(9));
        vm.expectRevert(reason);
        registry.pauseNode(_node(9));
        vm.expectRevert(reason);
        registry.resumeNode(_node(9));
    }

    function test_pauseNode__key__leavesTheDrawFromTheNextEpoch() public {
        uint32 now_ = START + 1;
        vm.expectEmit(address(registry));
        emit NodePaused(node, now_ + 1);
        _pause();
        assertTrue(registry.nodeView(node).paused, "paused");
        assertEq(registry.poolView(pool).nodes, 0, "distinct nodes");
        assertTrue(_isDrawn(now_), "running duties stand");
        assertFalse(_isDrawn(now_ + 1), "from the next on");
        _assertInterval(0, now_ + 1, OPEN);
    }

    function test_pauseNode__inTheLead__countsForTheNext() public {
        _rollTo(START + 1, shape.epochBlocks - shape.lead);
        _pause();
        _rollTo(START + 2);
        assertTrue(_isDrawn(START + 2), "the coming epoch's seed may be foreseen");
        assertFalse(_isDrawn(START + 3), "the one after");
    }

    function test_pauseNode__twice__reverts() public {
        _pause();
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.AlreadyPaused.selector, node));
        _pause();
    }

    // --- resume ---------------------------------------------------------------------------------------------------

    function test_resumeNode__notPaused__reverts() public {
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NotPaused.selector, node));
        _resume();
    }

    function test_resumeNode__paused__joinsFromTheNextEpoch() public {
        _pause();
        _rollTo(START + 9);
        vm.expectEmit(address(registry));
        emit NodeResumed(node, START + 10);
        _resume();
        assertFalse(registry.nodeView(node).paused, "paused");
        assertEq(registry.poolView(pool).nodes, 1, "distinct nodes");
        assertFalse(_isDrawn(START + 9), "not yet");
        assertTrue(_isDrawn(START + 10), "next");
        _assertInterval(0, START + 2, START + 10);
    }

    function test_resumeNode__stakeBelowRequirement__revertsUntilAdded() public {
        vm.prank(registry.market());
        uint96 lost = registry.slash(node, 1, stranger, 0);
        uint256 required = 2 * uint256(shape.seatStake);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.StakeBelowRequirement.selector, required, required - lost));
        _resume();
        vm.prank(operator);
        registry.addStake(node, lost);
        _resume();
        assertFalse(registry.nodeView(node).paused, "back");
    }

    function test_resumeNode__stakeBelowRequirement__fewerSeatsHelpToo() public {
        vm.startPrank(registry.market());
        registry.slash(node, 4_000, stranger, 0);
        vm.stopPrank();
        vm.prank(operator);
        registry.leaveSeats(node, 1);
        _resume();
        assertEq(registry.poolView(pool).nodes, 1, "one seat is covered");
    }

    // --- toggling -------------------------------------------------------------------------------------------------

    function test_pauseNode__toggledWithinAnEpoch__usesOneInterval() public {
        for (uint256 i; i < 9; ++i) {
            _pause();
            _resume();
        }
        _assertInterval(0, START + 2, START + 2);
        _assertInterval(1, 0, 0);
        assertTrue(_isDrawn(START + 2), "an empty interval pauses nothing");
        assertEq(registry.poolView(pool).nodes, 1, "count");
    }

    function test_pauseNode__againWhereItResumed__goesOn() public {
        _pause();
        _rollTo(START + 5);
        _resume();
        _pause();
        _assertInterval(0, START + 2, OPEN);
        _assertInterval(1, 0, 0);
        assertFalse(_isDrawn(START + 6), "one long pause");
    }

    /// @dev Four pauses, each of one epoch, two epochs apart; the first ends in START + 4.
    function _fourPauses() private {
        for (uint256 i; i < 4; ++i) {
            _rollTo(START + 2 + 2 * i);
            _pause();
            _rollTo(START + 3 + 2 * i);
            _resume();
        }
        _assertInterval(3, START + 3, START + 4);
        _assertInterval(0, START + 9, START + 10);
    }

    function test_pauseNode__fifthWithinTheRing__endsTheSeatsInstead() public {
        _fourPauses();
        _rollTo(START + 10);
        vm.expectEmit(address(registry));
        emit SeatEnded(pool, node, 1, START + 11);
        vm.expectEmit(address(registry));
        emit SeatEnded(pool, node, 0, START + 11);
        _pause();
        INodeRegistry.NodeView memory v = registry.nodeView(node);
        assertEq(v.seats.length, 0, "seats");
        assertEq(v.unbonding, 2 * uint256(shape.seatStake), "stake leaves");
        assertFalse(v.paused, "not paused");
        assertEq(registry.poolView(pool).nodes, 0, "distinct nodes");
        _assertInterval(3, START + 3, START + 4);
        for (uint256 e = START + 2; e <= START + 11; ++e) {
            bool rests = e == START + 3 || e == START + 5 || e == START + 7 || e == START + 9 || e == START + 11;
            assertEq(_isDrawn(e), !rests, "the past is still known");
        }
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NotPaused.selector, node));
        _resume();
    }

    /// @dev The fifth pause starts in `until + RING`: still needed; one later: not.
    function test_pauseNode__edgeOfTheRing__isRingEpochsAfterTheOldestEnd() public {
        _fourPauses();
        uint256 edge = START + 4 + shape.ring; // epoch from which the fifth counts
        uint256 id = vm.snapshotState();
        _rollTo(edge - 1);
        _pause();
        assertEq(registry.nodeView(node).seats.length, 0, "the oldest is still read");
        vm.revertToState(id);
        _rollTo(edge);
        _pause();
        assertEq(registry.nodeView(node).seats.length, 2, "the oldest is not read any more");
        _assertInterval(0, edge + 1, OPEN);
        _assertInterval(3, START + 5, START + 6);
    }

    function test_pauseNode__fifthWithoutSeats__doesNothing() public {
        _fourPauses();
        _rollTo(START + 10);
        vm.prank(operator);
        registry.leaveSeats(node, 2);
        _pause();
        assertFalse(registry.nodeView(node).paused, "nothing to pause");
    }

    // --- seats while paused ---------------------------------------------------------------------------------------

    function test_takeSeats__whilePaused__countWhenItResumes() public {
        NodeId second = _register(rival, 1);
        vm.startPrank(rival);
        registry.leaveSeats(second, 1);
        registry.pauseNode(second);
        registry.takeSeats(second, 2);
        assertEq(registry.poolView(pool).nodes, 1, "paused: not counted");
        _rollTo(START + 4);
        uint256[] memory members = _draw("seed", 1, 0, START + 4, pool, 15);
        assertEq(members[0], _id(node), "the other only");
        assertEq(members[1], 0, "the other only");
        registry.resumeNode(second);
        vm.stopPrank();
        assertEq(registry.poolView(pool).nodes, 2, "counted");
    }

    function test_leaveSeats__whilePaused__isNotCountedTwice() public {
        _pause();
        vm.prank(operator);
        registry.leaveSeats(node, 2);
        assertEq(registry.poolView(pool).nodes, 0, "zero, not below");
        _resume();
        assertEq(registry.poolView(pool).nodes, 0, "no seat, not counted");
    }

    // --- the registry's own pause ---------------------------------------------------------------------------------

    function test_pause__noRole__reverts() public {
        bytes memory reason = abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, operator);
        vm.startPrank(operator);
        vm.expectRevert(reason);
        registry.pause();
        vm.expectRevert(reason);
        registry.unpause();
        vm.stopPrank();
    }

    function test_pause__paused__stopsRegisterUntilUnpaused() public {
        vm.prank(owner);
        registry.pause();
        uint256 secret = 0xABCD;
        bytes memory consent = _consent(secret, rival, block.timestamp);
        vm.expectRevert(Pausable.EnforcedPause.selector);
        vm.prank(rival);
        registry.register(pool, 1, vm.addr(secret), block.timestamp, consent, "", bytes32(0));
        vm.prank(owner);
        registry.unpause();
        vm.prank(rival);
        registry.register(pool, 1, vm.addr(secret), block.timestamp, consent, "", bytes32(0));
    }

    function test_invariant18__paused__everythingElseGoesOn() public {
        NodeId second = _register(rival, 2);
        _commit(second, "");
        vm.prank(owner);
        registry.pause();

        _daily();
        _rollTo(START + 1 + shape.revealGrace + 1);
        ledger.reportUnrevealed(second, START + 1);
        registry.collectReward(address(this));
        vm.prank(registry.market());
        registry.slash(node, 10, stranger, uint32(_epoch()));
        registry.collectReward(stranger);

        vm.startPrank(operator);
        registry.leaveSeats(node, 2);
        vm.stopPrank();
        _rollTo(_epoch() + registry.UNBONDING());
        registry.withdrawStake(node);
        registry.relocate(pool);
        assertEq(registry.nodeView(node).unbonding, 0, "out");
    }

    function _daily() private {
        _commit(node, "");
        vm.startPrank(operator);
        registry.takeSeats(node, 2);
        registry.leaveSeats(node, 1);
        registry.addStake(node, 5);
        registry.unbondExcess(node);
        registry.pauseNode(node);
        registry.resumeNode(node);
        registry.announce(node, "http://c.example", bytes32(0));
        bytes memory consent = _consent(0xFEED, operator, block.timestamp);
        registry.replaceKey(node, vm.addr(0xFEED), block.timestamp, consent);
        vm.stopPrank();
        keyOf[node] = vm.addr(0xFEED);
        _rollTo(START + 2);
        _reveal(node, START + 1);
        _recordSeed(START + 1);
    }
}
