// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {INodeRegistry} from "../../contracts/interfaces/INodeRegistry.sol";
import {NodeId, PoolId} from "../../contracts/interfaces/Types.sol";
import {Base} from "./support/Base.sol";

// takeSeats
// ├── not the operator, the key included: NotOperator(node, expected, actual); unknown: UnknownNode(node)
// ├── none, or more than the pool allows with those held: BadSeatCount(most, seats)
// ├── pool closed: PoolClosed(pool)
// └── else: seats from the counted epoch + 1 on; only the stake that is missing is pulled
//     ├── a hole that ended more than RING epochs before: filled first, oldest first
//     └── else: a new entry at the end
// leaveSeats
// ├── not the operator
// ├── none, or more than held: BadSeatCount(held, seats)
// └── else: the newest end with the counted epoch; their stake unbonds for UNBONDING epochs
// addStake, unbondExcess
// ├── not the operator; nothing over the requirement: NothingToWithdraw
// └── else: stake grows; what is over the requirement starts to leave, and what was leaving waits with it
// withdrawStake
// ├── unknown: UnknownNode(node); nothing leaving: NothingToWithdraw
// ├── before its epoch: StillUnbonding(unlock, now)
// └── else: to the operator, by anyone
contract SeatsTest is Base {
    event SeatTaken(PoolId indexed pool, NodeId indexed node, uint32 seat, uint32 since, uint32 heldSince);
    event SeatEnded(PoolId indexed pool, NodeId indexed node, uint32 seat, uint32 until);
    event ListResized(PoolId indexed pool, uint32 length, uint32 fromEpoch);
    event StakeAdded(NodeId indexed node, uint96 amount);
    event StakeUnbonding(NodeId indexed node, uint96 amount, uint32 unlockEpoch);
    event StakeWithdrawn(NodeId indexed node, address indexed operator, uint96 amount);

    NodeId internal node;

    function setUp() public override {
        super.setUp();
        node = _register(operator, 2);
    }

    function _take(uint8 seats) private {
        vm.prank(operator);
        registry.takeSeats(node, seats);
    }

    function _leave(uint8 seats) private {
        vm.prank(operator);
        registry.leaveSeats(node, seats);
    }

    function _entry(uint256 index) private view returns (uint256, uint256, uint256) {
        (NodeId holder, uint32 since, uint32 until,) = registry.seatAt(pool, uint32(index));
        return (NodeId.unwrap(holder), since, until);
    }

    function _assertEntry(uint256 index, NodeId holder, uint256 since, uint256 until) private view {
        (uint256 actual, uint256 from, uint256 to) = _entry(index);
        assertEq(actual, _id(holder), "holder");
        assertEq(from, since, "since");
        assertEq(to, until, "until");
    }

    function _stakes() private view returns (uint256 stake, uint256 unbonding, uint256 unlock) {
        INodeRegistry.NodeView memory v = registry.nodeView(node);
        return (v.stake, v.unbonding, v.unlockEpoch);
    }

    // --- who ------------------------------------------------------------------------------------------------------

    function test_operatorsOnly__anotherCaller__reverts() public {
        address[3] memory callers = [rival, keyOf[node], owner];
        for (uint256 i; i < callers.length; ++i) {
            bytes memory reason = abi.encodeWithSelector(INodeRegistry.NotOperator.selector, node, operator, callers[i]);
            vm.startPrank(callers[i]);
            vm.expectRevert(reason);
            registry.takeSeats(node, 1);
            vm.expectRevert(reason);
            registry.leaveSeats(node, 1);
            vm.expectRevert(reason);
            registry.addStake(node, 1);
            vm.expectRevert(reason);
            registry.unbondExcess(node);
            vm.stopPrank();
        }
    }

    function test_operatorsOnly__unknownNode__reverts() public {
        bytes memory reason = abi.encodeWithSelector(INodeRegistry.UnknownNode.selector, _node(9));
        vm.startPrank(operator);
        vm.expectRevert(reason);
        registry.takeSeats(_node(9), 1);
        vm.expectRevert(reason);
        registry.leaveSeats(_node(9), 1);
        vm.expectRevert(reason);
        registry.withdrawStake(_node(9));
        vm.stopPrank();
    }

    // --- take -----------------------------------------------------------------------------------------------------

    function test_takeSeats__roomLeft__appendsAndPullsTheMissingStake() public {
        uint256 before = stakeToken.balanceOf(operator);
        vm.expectEmit(address(registry));
        emit ListResized(pool, 3, START + 1);
        vm.expectEmit(address(registry));
        emit SeatTaken(pool, node, 2, START + 1, START + 1);
        vm.expectEmit(address(registry));
        emit StakeAdded(node, shape.seatStake);
        _take(1);
        _assertEntry(2, node, START + 1, OPEN);
        assertEq(before - stakeToken.balanceOf(operator), shape.seatStake, "one seat's stake");
        assertEq(registry.nodeView(node).seats.length, 3, "held");
        assertEq(registry.poolView(pool).nodes, 1, "still one node");
    }

    function test_takeSeats__countOutOfRange__reverts() public {
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.BadSeatCount.selector, 2, 0));
        _take(0);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.BadSeatCount.selector, 2, 3));
        _take(3);
        _take(2);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.BadSeatCount.selector, 0, 1));
        _take(1);
    }

    function test_takeSeats__poolAllowsFewerSince__reverts() public {
        INodeRegistry.PoolTerms memory terms = _terms();
        terms.maxSeatsPerNode = 1;
        vm.prank(owner);
        registry.tunePool(pool, terms);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.BadSeatCount.selector, 0, 1));
        _take(1);
        assertEq(registry.nodeView(node).seats.length, 2, "what is held stays");
    }

    function test_takeSeats__closedPool__reverts() public {
        INodeRegistry.PoolTerms memory terms = _terms();
        terms.open = false;
        vm.prank(owner);
        registry.tunePool(pool, terms);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.PoolClosed.selector, pool));
        _take(1);
        _leave(1);
    }

    /// @dev Eight seats fill the word of indices; the ninth is refused by the terms.
    function test_takeSeats__mostSeats__areAllKept() public {
        INodeRegistry.PoolTerms memory terms = _terms();
        terms.maxSeatsPerNode = 8;
        vm.prank(owner);
        registry.tunePool(pool, terms);
        _take(6);
        uint32[] memory seats = registry.nodeView(node).seats;
        assertEq(seats.length, 8, "held");
        for (uint256 i; i < 8; ++i) {
            assertEq(seats[i], i, "oldest first");
        }
        _leave(8);
        assertEq(registry.nodeView(node).seats.length, 0, "all ended");
        for (uint256 i; i < 8; ++i) {
            _assertEntry(i, node, START + 1, START + 1);
        }
    }

    function test_takeSeats__edgeOfTheLead__countsForTheNextEpoch() public {
        _rollTo(START + 1, shape.epochBlocks - shape.lead - 1);
        _take(1);
        _rollTo(START + 1, shape.epochBlocks - shape.lead);
        _take(1);
        _assertEntry(2, node, START + 2, OPEN);
        _assertEntry(3, node, START + 3, OPEN);
    }

    function test_takeSeats__stakeOverRequirement__pullsNothing() public {
        vm.prank(operator);
        registry.addStake(node, shape.seatStake);
        uint256 before = stakeToken.balanceOf(operator);
        _take(1);
        assertEq(stakeToken.balanceOf(operator), before, "covered already");
    }

    function test_takeSeats__slashed__pullsWhatIsMissingForAll() public {
        vm.prank(registry.market());
        uint256 lost = registry.slash(node, 1_000, stranger, 0);
        uint256 before = stakeToken.balanceOf(operator);
        _take(1);
        assertEq(before - stakeToken.balanceOf(operator), shape.seatStake + lost, "requirement of three");
    }

    // --- holes ----------------------------------------------------------------------------------------------------

    function test_takeSeats__holeNotDead__appends() public {
        _rollTo(START + 5);
        _leave(1);
        // It ended with START + 5; dead when more than RING epochs lie behind its `until`.
        _rollTo(START + 6 + shape.ring);
        _take(1);
        assertEq(registry.poolView(pool).length, 3, "appended");
    }

    function test_takeSeats__holeJustDead__isFilled() public {
        _rollTo(START + 5);
        _leave(1);
        _rollTo(START + 7 + shape.ring);
        vm.expectEmit(address(registry));
        emit SeatTaken(pool, node, 1, uint32(_epoch()) + 1, uint32(_epoch()) + 1);
        _take(1);
        assertEq(registry.poolView(pool).length, 2, "no longer list");
        _assertEntry(1, node, _epoch() + 1, OPEN);
    }

    function test_takeSeats__manyHoles__oldestFirstThenAppended() public {
        NodeId second = _register(rival, 3);
        _leave(1); // entry 1
        _rollTo(START + 2);
        vm.prank(rival);
        registry.leaveSeats(second, 2); // entries 4, 3
        _rollTo(START + 4 + shape.ring);
        _take(3);
        uint32[] memory seats = registry.nodeView(node).seats;
        assertEq(seats[1], 1, "oldest hole");
        assertEq(seats[2], 4, "next");
        assertEq(seats[3], 3, "last");
        vm.prank(rival);
        registry.takeSeats(second, 1);
        assertEq(registry.nodeView(second).seats[1], 5, "appended");
    }

    function test_takeSeats__emptiedHole__isNotOfferedTwice() public {
        _leave(1);
        _rollTo(START + 2 + shape.ring);
        _take(2);
        uint32[] memory seats = registry.nodeView(node).seats;
        assertEq(seats[1], 1, "hole");
        assertEq(seats[2], 2, "appended");
    }

    // --- leave ----------------------------------------------------------------------------------------------------

    function test_leaveSeats__one__endsTheNewest() public {
        vm.expectEmit(address(registry));
        emit SeatEnded(pool, node, 1, START + 1);
        vm.expectEmit(address(registry));
        emit StakeUnbonding(node, shape.seatStake, START + 2 * shape.ring);
        _leave(1);
        _assertEntry(1, node, START + 1, START + 1);
        _assertEntry(0, node, START + 1, OPEN);
        (uint256 stake, uint256 unbonding, uint256 unlock) = _stakes();
        assertEq(stake, shape.seatStake, "stake");
        assertEq(unbonding, shape.seatStake, "unbonding");
        assertEq(unlock, START + registry.UNBONDING(), "unlock");
        assertEq(registry.poolView(pool).length, 2, "the list keeps the hole");
    }

    function test_leaveSeats__all__leavesThePool() public {
        _leave(2);
        assertEq(registry.poolView(pool).nodes, 0, "nodes");
        assertEq(registry.nodeView(node).seats.length, 0, "seats");
        _take(1);
        assertEq(registry.poolView(pool).nodes, 1, "back");
    }

    function test_leaveSeats__countOutOfRange__reverts() public {
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.BadSeatCount.selector, 2, 0));
        _leave(0);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.BadSeatCount.selector, 2, 3));
        _leave(3);
    }

    function test_leaveSeats__later__makesAllWaitAgain() public {
        _leave(1);
        _rollTo(START + 50);
        _leave(1);
        (, uint256 unbonding, uint256 unlock) = _stakes();
        assertEq(unbonding, 2 * uint256(shape.seatStake), "together");
        assertEq(unlock, START + 50 + registry.UNBONDING(), "from the last");
    }

    function test_leaveSeats__slashedUnderRequirement__unbondsOnlyTheRest() public {
        vm.prank(registry.market());
        registry.slash(node, 6_000, stranger, 0);
        _leave(1);
        (uint256 stake, uint256 unbonding,) = _stakes();
        assertEq(stake, 2 * uint256(shape.seatStake) * 4 / 10, "under one seat's: stays");
        assertEq(unbonding, 0, "nothing over");
        _leave(1);
        (stake, unbonding,) = _stakes();
        assertEq(stake, 0, "all leaves");
        assertEq(unbonding, 2 * uint256(shape.seatStake) * 4 / 10, "what is left");
    }

    // --- stake without seats --------------------------------------------------------------------------------------

    function test_addStake__any__growsTheStake() public {
        vm.expectEmit(address(registry));
        emit StakeAdded(node, 5);
        vm.prank(operator);
        registry.addStake(node, 5);
        (uint256 stake,,) = _stakes();
        assertEq(stake, 2 * uint256(shape.seatStake) + 5, "stake");
    }

    function test_unbondExcess__nothingOver__reverts() public {
        vm.expectRevert(INodeRegistry.NothingToWithdraw.selector);
        vm.prank(operator);
        registry.unbondExcess(node);
    }

    function test_unbondExcess__something__unbondsExactlyThat() public {
        vm.startPrank(operator);
        registry.addStake(node, 77);
        vm.expectEmit(address(registry));
        emit StakeUnbonding(node, 77, START + 2 * shape.ring);
        registry.unbondExcess(node);
        vm.stopPrank();
        (uint256 stake, uint256 unbonding,) = _stakes();
        assertEq(stake, 2 * uint256(shape.seatStake), "requirement");
        assertEq(unbonding, 77, "excess");
    }

    // --- withdraw -------------------------------------------------------------------------------------------------

    function test_withdrawStake__nothingLeaving__reverts() public {
        vm.expectRevert(INodeRegistry.NothingToWithdraw.selector);
        registry.withdrawStake(node);
    }

    function test_withdrawStake__lastBlockBefore__reverts() public {
        _leave(1);
        uint256 unlock = START + registry.UNBONDING();
        _rollTo(unlock - 1, shape.epochBlocks - 1);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.StillUnbonding.selector, unlock, unlock - 1));
        registry.withdrawStake(node);
    }

    function test_withdrawStake__firstBlock__paysTheOperatorOnce() public {
        _leave(1);
        _rollTo(START + registry.UNBONDING());
        uint256 before = stakeToken.balanceOf(operator);
        vm.expectEmit(address(registry));
        emit StakeWithdrawn(node, operator, shape.seatStake);
        vm.prank(stranger);
        assertEq(registry.withdrawStake(node), shape.seatStake, "amount");
        assertEq(stakeToken.balanceOf(operator) - before, shape.seatStake, "to the operator");
        vm.expectRevert(INodeRegistry.NothingToWithdraw.selector);
        registry.withdrawStake(node);
    }

    function test_withdrawStake__everythingLeft__leavesNothingBehind() public {
        _leave(2);
        _rollTo(START + registry.UNBONDING());
        registry.withdrawStake(node);
        assertEq(stakeToken.balanceOf(address(registry)), 0, "empty");
    }
}
