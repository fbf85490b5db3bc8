// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {INodeRegistry} from "../../contracts/interfaces/INodeRegistry.sol";
import {NodeId, PoolId} from "../../contracts/interfaces/Types.sol";
import {Base} from "./support/Base.sol";

// relocate, by anyone
// ├── no list, no hole, a hole that is not dead yet, or only holes behind the last live seat: NothingToRelocate(pool)
// ├── the list ends in dead entries: it is shortened over them, at most 16 a call
// │   ├── draws of past epochs use the old length
// │   └── positions behind the end are forgotten by the queue of holes
// └── else: the last live seat ends where it is and begins in the oldest dead hole, in the same coming epoch
//     ├── its node has exactly one valid seat in every epoch
//     └── its node's own index follows, whichever of its seats it was
contract RelocateTest is Base {
    event SeatTaken(PoolId indexed pool, NodeId indexed node, uint32 seat, uint32 since, uint32 heldSince);
    event SeatEnded(PoolId indexed pool, NodeId indexed node, uint32 seat, uint32 until);
    event ListResized(PoolId indexed pool, uint32 length, uint32 fromEpoch);

    NodeId internal first;
    NodeId internal second;

    /// @dev Entries: first 0, 1; second 2, 3.
    function setUp() public override {
        super.setUp();
        first = _register(operator, 2);
        second = _register(rival, 2);
    }

    function _leave(NodeId node, uint8 seats) private {
        vm.prank(registry.operatorOf(node));
        registry.leaveSeats(node, seats);
    }

    /// @dev To where entries that ended now are dead.
    function _untilDead() private {
        _rollTo(_counting() + 2 + shape.ring);
    }

    function _relocate() private {
        vm.prank(stranger);
        registry.relocate(pool);
    }

    function _expectNothing() private {
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NothingToRelocate.selector, pool));
        _relocate();
    }

    // --- nothing to do --------------------------------------------------------------------------------------------

    function test_relocate__unknownPool__reverts() public {
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NothingToRelocate.selector, _pool(9)));
        registry.relocate(_pool(9));
    }

    function test_relocate__noHole__reverts() public {
        _expectNothing();
    }

    function test_relocate__holeNotDead__reverts() public {
        _leave(first, 1);
        _rollTo(START + 1 + shape.ring);
        _expectNothing();
        _rollTo(START + 1 + shape.ring, shape.epochBlocks - shape.lead - 1);
        _expectNothing();
        // From here on the counting epoch is one more.
        _rollTo(START + 1 + shape.ring, shape.epochBlocks - shape.lead);
        _relocate();
    }

    function test_relocate__tailNotDeadAndHolesBehindTheLastLive__reverts() public {
        _leave(second, 1);
        _rollTo(START + 100);
        _leave(second, 1);
        _rollTo(START + 2 + shape.ring);
        // 3 is dead, 2 ended later: shortened by one, then nothing is left to do.
        _relocate();
        assertEq(registry.poolView(pool).length, 3, "shortened");
        _expectNothing();
    }

    function test_relocate__onlyDeadHoleIsBehindTheLastLive__reverts() public {
        _leave(second, 2); // 3, then 2
        _rollTo(START + 10);
        NodeId third = _register(rival, 1); // 4
        _rollTo(START + 20);
        _leave(third, 1);
        _rollTo(START + 3 + shape.ring);
        _expectNothing();
        assertEq(registry.poolView(pool).length, 5, "its tail is not dead");
    }

    // --- shorten --------------------------------------------------------------------------------------------------

    function test_relocate__deadTail__shortensTheList() public {
        _leave(second, 2);
        _untilDead();
        vm.expectEmit(address(registry));
        emit ListResized(pool, 2, uint32(_epoch()) + 1);
        _relocate();
        assertEq(registry.poolView(pool).length, 2, "length");
        assertEq(registry.lengthAt(pool, uint32(_epoch())), 4, "this epoch's draws keep the old length");
        assertEq(registry.lengthAt(pool, uint32(_epoch()) + 1), 2, "the next use the new one");
        _expectNothing();
    }

    function test_relocate__everybodyGone__shortensToNothing() public {
        _leave(first, 2);
        _leave(second, 2);
        _untilDead();
        _relocate();
        assertEq(registry.poolView(pool).length, 0, "empty");
        _expectNothing();
    }

    function test_relocate__longDeadTail__shortensSixteenACall() public {
        for (uint256 i; i < 9; ++i) {
            _leave(_register(operator, 2), 2);
        }
        assertEq(registry.poolView(pool).length, 22, "list");
        _untilDead();
        _relocate();
        assertEq(registry.poolView(pool).length, 6, "sixteen fewer");
        _relocate();
        assertEq(registry.poolView(pool).length, 4, "the rest");
    }

    function test_relocate__grownAgainAfterShortening__staleHolesAreDropped() public {
        _leave(second, 2);
        _untilDead();
        _relocate();
        NodeId third = _register(operator, 3); // 2, 3, 4
        assertEq(registry.poolView(pool).length, 5, "grown again");
        uint32[] memory seats = registry.nodeView(third).seats;
        for (uint256 i; i < 3; ++i) {
            assertEq(seats[i], 2 + i, "appended");
        }
        // The queue still names 3 and 2: they are live now and must not be given away.
        NodeId fourth = _register(rival, 2);
        seats = registry.nodeView(fourth).seats;
        assertEq(seats[0], 5, "no live seat is overwritten");
        assertEq(seats[1], 6, "no live seat is overwritten");
    }

    // --- move -----------------------------------------------------------------------------------------------------

    function test_relocate__deadHole__movesTheLastLiveSeat() public {
        _leave(first, 1);
        _untilDead();
        uint32 from = uint32(_epoch()) + 1;
        vm.expectEmit(address(registry));
        emit SeatEnded(pool, second, 3, from);
        vm.expectEmit(address(registry));
        emit SeatTaken(pool, second, 1, from, START + 1);
        _relocate();
        (NodeId node, uint32 since, uint32 until, uint32 heldSince) = registry.seatAt(pool, 1);
        assertEq(node, second, "new entry");
        assertEq(since, from, "since");
        assertEq(until, OPEN, "open");
        assertEq(heldSince, START + 1, "held since it was taken, elsewhere");
        (node, since, until,) = registry.seatAt(pool, 3);
        assertEq(node, second, "old entry");
        assertEq(since, START + 1, "its own past");
        assertEq(until, from, "until");
        assertEq(registry.poolView(pool).length, 4, "shorter only when the tail is dead");
    }

    function test_relocate__moved__nodeHasOneOfTheTwoSeatsInEveryEpoch() public {
        _leave(first, 1);
        _leave(second, 1); // 3 ends; 2 is the last live one
        _untilDead();
        uint256 epoch = _epoch();
        _rollTo(epoch, 4);
        _relocate(); // shortens over 3
        _relocate(); // moves 2 into 1
        for (uint256 e = epoch - 3; e <= epoch + 4; ++e) {
            uint256 valid;
            for (uint32 i; i < 4; ++i) {
                (NodeId node, uint32 since, uint32 until,) = registry.seatAt(pool, i);
                if (_id(node) == _id(second) && since <= e && e < until) ++valid;
            }
            assertEq(valid, 1, "one seat, one ticket");
        }
    }

    function test_relocate__moved__itsNodesIndexFollows() public {
        _leave(first, 1);
        _untilDead();
        _relocate();
        uint32[] memory seats = registry.nodeView(second).seats;
        assertEq(seats[0], 2, "older");
        assertEq(seats[1], 1, "moved");
        _leave(second, 1);
        (,, uint32 until,) = registry.seatAt(pool, 1);
        assertEq(until, _epoch() + 1, "leaving ends the new entry");
    }

    /// @dev The node's oldest seat moves, not its newest.
    function test_relocate__anOlderSeatOfItsNode__isReplacedInItsPlace() public {
        _leave(first, 1); // hole 1
        _untilDead();
        vm.prank(operator);
        registry.takeSeats(first, 1); // takes 1 again
        NodeId third = _register(operator, 1); // 4
        _leave(second, 2); // holes 3, 2
        _untilDead();
        vm.prank(operator);
        registry.takeSeats(third, 1); // fills 3
        assertEq(registry.nodeView(third).seats[1], 3, "newest");
        _relocate(); // the last live seat is 4, third's oldest; the hole is 2
        uint32[] memory seats = registry.nodeView(third).seats;
        assertEq(seats[0], 2, "the oldest moved");
        assertEq(seats[1], 3, "the newest did not");
    }

    function test_relocate__movedAndDead__listShrinks() public {
        _leave(first, 1);
        _untilDead();
        _relocate();
        _expectNothing();
        _untilDead();
        _relocate();
        assertEq(registry.poolView(pool).length, 3, "length");
        assertEq(registry.poolView(pool).nodes, 2, "nobody is lost");
    }

    function test_relocate__stakeAndRights__stayAsTheyWere() public {
        _leave(first, 1);
        _untilDead();
        bytes memory before = abi.encode(registry.nodeView(first));
        uint96 stake = registry.nodeView(second).stake;
        _relocate();
        assertEq(abi.encode(registry.nodeView(first)), before, "first");
        assertEq(registry.nodeView(second).stake, stake, "second");
    }

    /// @dev Entries 4 … 3 + `seats` that end, but are not dead yet, behind the last live one; a dead hole at 1.
    function _dyingTail(uint256 seats) private {
        NodeId[] memory tail = new NodeId[](seats);
        for (uint256 i; i < seats; ++i) {
            tail[i] = _register(rival, 1);
        }
        _leave(first, 1);
        _rollTo(START + 20);
        for (uint256 i; i < seats; ++i) {
            _leave(tail[i], 1);
        }
        _rollTo(START + 3 + shape.ring);
    }

    function test_relocate__lastLiveSeatSixteenthFromTheEnd__isMoved() public {
        _dyingTail(15);
        _relocate();
        assertEq(registry.nodeView(second).seats[1], 1, "the last live seat went into the hole");
    }

    function test_relocate__sixteenDyingBehindTheLastLiveSeat__reverts() public {
        _dyingTail(16);
        _expectNothing();
    }

    /// @dev Whatever is relocated, the draw of the running epoch is untouched.
    function testFuzz_relocate__anyTime__runningDrawStays(uint256 offset, bytes32 seed) public {
        _leave(first, 1);
        _untilDead();
        uint256 epoch = _epoch();
        _rollTo(epoch, bound(offset, 0, shape.epochBlocks - 1));
        uint256[] memory before = _draw(seed, 1, 0, epoch, pool, 15);
        _relocate();
        assertEq(_draw(seed, 1, 0, epoch, pool, 15), before, "draw");
    }
}
