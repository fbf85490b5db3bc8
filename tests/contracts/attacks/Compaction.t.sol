// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {INodeRegistry} from "../../../contracts/interfaces/INodeRegistry.sol";
import {NodeId} from "../../../contracts/interfaces/Types.sol";
import {Base} from "../support/Base.sol";

// Slowing a pool for good: the queue of holes is stuffed so that nobody can close a hole any more
// └── more positions than one call looks at, all behind the list's end: the next call goes on where this one stopped
contract CompactionAttackTest is Base {
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

    /// @dev A rival takes forty seats at the list's end and leaves; the list is shortened over them, the queue keeps them.
    function test_attack__queueOfHolesStuffed__fails() public {
        NodeId early = _register(operator, 2); // 0, 1
        NodeId honest = _register(operator, 2); // 2, 3
        for (uint256 i; i < 10; ++i) {
            _leave(_register(rival, 4), 4);
        }
        _untilDead();
        for (uint256 i; i < 3; ++i) {
            _relocate();
        }
        assertEq(registry.poolView(pool).length, 4, "shortened over the rival's entries");
        _leave(early, 2); // holes 1, then 0, behind forty positions that are none any more
        _untilDead();
        for (uint256 i; i < 4; ++i) {
            _relocate();
        }
        uint32[] memory seats = registry.nodeView(honest).seats;
        assertEq(seats[0] + seats[1], 1, "both live seats moved into the holes");
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NothingToRelocate.selector, pool));
        _relocate();
        _untilDead();
        _relocate();
        assertEq(registry.poolView(pool).length, 2, "no hole is left");
    }
}
