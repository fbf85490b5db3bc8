// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {INodeRegistry} from "../../../contracts/interfaces/INodeRegistry.sol";
import {NodeId} from "../../../contracts/interfaces/Types.sol";
import {Base} from "./Base.sol";

/// @title Any sequence of what operators, reporters and time can do to a registry
/// @dev A small ring, so that holes die, pauses wrap and the list shrinks within one test.
abstract contract Churn is Base {
    uint256 internal done; // actions that succeeded

    function _shape() internal view virtual override returns (Shape memory shape_) {
        shape_ = super._shape();
        shape_.ring = 16;
    }

    function _next(uint256 seed) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode(seed)));
    }

    function _try(address sender, bytes memory data) private {
        vm.prank(sender);
        (bool ok, bytes memory answer) = address(registry).call(data);
        if (ok) {
            ++done;
            return;
        }
        // Refusals are named; a panic or a bare revert is a bug.
        assertGe(answer.length, 4, "reverted without a reason");
        assertTrue(bytes4(answer) != bytes4(0x4e487b71), "panicked");
    }

    /// @dev One action, chosen by the seed; refused ones do nothing.
    function _act(uint256 seed) internal {
        uint256 count = registry.nodeCount();
        uint256 kind = seed % 16;
        uint8 seats = uint8((seed >> 16) % 4 + 1);
        if (count < 3 || (kind == 0 && count < 10)) {
            _register((seed >> 8) & 1 == 0 ? operator : rival, seats);
            return;
        }
        NodeId node = _node((seed >> 24) % count + 1);
        address who = registry.operatorOf(node);
        if (kind < 4) _try(who, abi.encodeCall(registry.takeSeats, (node, seats)));
        else if (kind < 6) _try(who, abi.encodeCall(registry.leaveSeats, (node, seats)));
        else if (kind < 8) _try(stranger, abi.encodeCall(registry.relocate, (pool)));
        else if (kind < 10) _try(keyOf[node], abi.encodeCall(registry.pauseNode, (node)));
        else if (kind < 12) _try(who, abi.encodeCall(registry.resumeNode, (node)));
        else if (kind == 12) _slash(node, seed >> 64);
        else if (kind == 13) _try(who, abi.encodeCall(registry.addStake, (node, uint96(seed >> 64) % 500 ether)));
        else if (kind == 14) _try(who, abi.encodeCall(registry.unbondExcess, (node)));
        else _payOut(node);
    }

    function _slash(NodeId node, uint256 seed) private {
        uint16 bps = uint16(seed % 3_000 + 1);
        _try(
            registry.market(),
            abi.encodeCall(registry.slash, (node, bps, stranger, (seed >> 32) % 3 == 0 ? uint32(_epoch()) : 0))
        );
    }

    function _payOut(NodeId node) private {
        _try(stranger, abi.encodeCall(registry.withdrawStake, (node)));
        _try(stranger, abi.encodeCall(registry.collectReward, (stranger)));
    }

    /// @dev Mostly a part of an epoch, now and then half a ring.
    function _wait(uint256 seed) internal {
        uint256 blocks = seed % 40 == 0 ? 80 : seed % 9;
        vm.roll(vm.getBlockNumber() + blocks);
    }

    /// @dev Everything the registry says of itself agrees with everything else.
    function _checkBooks() internal view {
        INodeRegistry.PoolView memory p = registry.poolView(pool);
        uint256 live;
        for (uint32 i; i < p.length; ++i) {
            (,, uint32 until,) = registry.seatAt(pool, i);
            if (until == OPEN) ++live;
        }
        uint256 held;
        uint256 active;
        uint32 count = registry.nodeCount();
        for (uint32 id = 1; id <= count; ++id) {
            INodeRegistry.NodeView memory v = registry.nodeView(NodeId.wrap(id));
            held += v.seats.length;
            if (v.seats.length != 0 && !v.paused) ++active;
            for (uint256 i; i < v.seats.length; ++i) {
                (NodeId owner_,, uint32 until,) = registry.seatAt(pool, v.seats[i]);
                assertEq(owner_, NodeId.wrap(id), "a node's seat is in its name");
                assertEq(until, OPEN, "and open");
                assertLt(v.seats[i], p.length, "and in the list");
            }
        }
        assertEq(held, live, "seats held are the live entries");
        assertEq(p.nodes, active, "distinct nodes");
        assertEq(
            stakeToken.balanceOf(address(registry)),
            _liabilities() + registry.rewardOf(stranger),
            "balance is stake, unbonding and rewards"
        );
    }

    // --- the draw as the protocol page writes it, from public views ------------------------------------------------

    function _valid(uint256 index, uint256 epoch) internal view returns (uint256) {
        (NodeId node, uint32 since, uint32 until,) = registry.seatAt(pool, uint32(index));
        if (_id(node) == 0 || epoch < since || epoch >= until) return 0;
        uint64[4] memory pauses = registry.nodeView(node).pauses;
        for (uint256 i; i < 4; ++i) {
            if (epoch >= pauses[i] >> 32 && epoch < uint32(pauses[i])) return 0;
        }
        return _id(node);
    }

    function _plainDraw(bytes32 seed, uint256 job, uint256 shard, uint256 epoch, uint256 size)
        internal
        view
        returns (uint256[] memory members)
    {
        members = new uint256[](15);
        uint256 length = registry.lengthAt(pool, uint32(epoch));
        if (length == 0) return members;
        bytes32 head = keccak256(abi.encode(seed, job, shard));
        uint256 found;
        for (uint256 i; i < 64 && found < size; ++i) {
            uint256 word = uint256(keccak256(abi.encode(head, i / 8))) >> (32 * (7 - i % 8));
            uint256 node = _valid(uint32(word) * length >> 32, epoch);
            bool fresh = node != 0;
            for (uint256 k; k < found; ++k) {
                if (members[k] == node) fresh = false;
            }
            if (fresh) members[found++] = node;
        }
    }
}
