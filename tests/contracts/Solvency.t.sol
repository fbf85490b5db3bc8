// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {INodeRegistry} from "../../contracts/interfaces/INodeRegistry.sol";
import {NodeId} from "../../contracts/interfaces/Types.sol";
import {Churn} from "./support/Churn.sol";

// invariant 1, registry's half: balance = stake + unbonding + rewards after any sequence; donations only add
// invariant 5: a slash never exceeds the stake, which is never negative
// and the registry's own counts agree with each other
contract SolvencyTest is Churn {
    /// forge-config: default.fuzz.runs = 24
    /// forge-config: deep.fuzz.runs = 24
    function testFuzz_invariant1__anySequence__registryIsSolvent(uint256 seed) public {
        for (uint256 step; step < 80; ++step) {
            seed = _next(seed);
            _act(seed);
            _wait(seed >> 128);
            if (step % 4 == 3) _checkBooks();
        }
        assertGt(done, 10, "something happened");
    }

    function test_invariant1__donation__isNobodys() public {
        _registerMany(2, 2);
        vm.prank(rival);
        stakeToken.transfer(address(registry), 7 ether);
        assertEq(stakeToken.balanceOf(address(registry)), _liabilities() + 7 ether, "balance over what is owed");
    }

    /// forge-config: default.fuzz.runs = 24
    /// forge-config: deep.fuzz.runs = 24
    function testFuzz_invariant5__anySlashes__neverExceedTheStake(uint256 seed) public {
        _register(operator, 4);
        NodeId node = _node(1);
        address market_ = registry.market();
        for (uint256 i; i < 30; ++i) {
            seed = _next(seed);
            INodeRegistry.NodeView memory v = registry.nodeView(node);
            if (seed & 3 == 0 && v.seats.length != 0) {
                vm.prank(operator);
                registry.leaveSeats(node, 1);
                v = registry.nodeView(node);
            }
            uint256 before = uint256(v.stake) + v.unbonding;
            uint256 rewards = registry.rewardOf(stranger);
            uint256 supply = stakeToken.totalSupply();
            vm.prank(market_);
            uint256 amount =
                registry.slash(node, uint16((seed >> 8) % 10_000 + 1), stranger, seed & 4 == 0 ? uint32(_epoch()) : 0);
            v = registry.nodeView(node);
            assertLe(amount, before, "more than there was");
            assertEq(uint256(v.stake) + v.unbonding, before - amount, "stake");
            uint256 reward = registry.rewardOf(stranger) - rewards;
            assertEq(reward, amount / 10, "reporter's tenth");
            assertEq(supply - stakeToken.totalSupply(), amount - reward, "the rest is burned: splits sum");
        }
    }

    /// @dev Everybody leaves, waits and takes everything out: nothing stays behind.
    /// forge-config: default.fuzz.runs = 24
    /// forge-config: deep.fuzz.runs = 24
    function testFuzz_invariant11__afterAnySequence__everybodyCanTakeHisStakeOut(uint256 seed) public {
        for (uint256 step; step < 50; ++step) {
            seed = _next(seed);
            _act(seed);
            _wait(seed >> 128);
        }
        uint32 count = registry.nodeCount();
        for (uint32 id = 1; id <= count; ++id) {
            NodeId node = NodeId.wrap(id);
            address who = registry.operatorOf(node);
            uint256 seats = registry.nodeView(node).seats.length;
            vm.startPrank(who);
            if (seats != 0) registry.leaveSeats(node, uint8(seats));
            if (registry.nodeView(node).stake != 0) registry.unbondExcess(node);
            vm.stopPrank();
        }
        _rollTo(_epoch() + registry.UNBONDING());
        for (uint32 id = 1; id <= count; ++id) {
            if (registry.nodeView(NodeId.wrap(id)).unbonding != 0) registry.withdrawStake(NodeId.wrap(id));
        }
        if (registry.rewardOf(stranger) != 0) registry.collectReward(stranger);
        assertEq(stakeToken.balanceOf(address(registry)), 0, "nothing left");
    }
}
