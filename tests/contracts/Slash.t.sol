// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {INodeRegistry} from "../../contracts/interfaces/INodeRegistry.sol";
import {NodeId} from "../../contracts/interfaces/Types.sol";
import {Base} from "./support/Base.sol";

// slash
// ├── caller is none of the wired contracts: NotSlasher(caller)
// ├── unknown node: UnknownNode(node)
// └── else: a share of stake and unbonding, rounded up
//     ├── what is leaving pays first
//     ├── a tenth, rounded down, is the reporter's, or its operator's where a node's key reports; the rest is burned
//     ├── under the requirement: paused; covered and not asked: not paused; asked: paused; paused: stays so
//     └── a pause that would lose an interval ends the seats
// collectReward
// ├── nothing: NothingToWithdraw
// └── else: to the reporter, by anyone, once
// invariant 6: unbonding stake is slashable until it is paid out
contract SlashTest is Base {
    event Slashed(NodeId indexed node, uint96 amount, address indexed reporter, uint96 reward);
    event NodePaused(NodeId indexed node, uint32 fromEpoch);
    event RewardCollected(address indexed reporter, uint256 amount);

    NodeId internal node;
    address internal market_;
    address internal court_;

    function setUp() public override {
        super.setUp();
        node = _register(operator, 2);
    }

    function _market() internal override returns (address, address) {
        (market_, court_) = (_actor("market"), _actor("court"));
        return (market_, court_);
    }

    function _slash(uint16 bps, uint32 absentIn) private returns (uint96) {
        vm.prank(market_);
        return registry.slash(node, bps, stranger, absentIn);
    }

    function _stake() private view returns (uint256) {
        return registry.nodeView(node).stake;
    }

    function _leave(uint8 seats) private {
        vm.prank(operator);
        registry.leaveSeats(node, seats);
    }

    // --- who ------------------------------------------------------------------------------------------------------

    function test_slash__notWired__reverts() public {
        address[7] memory callers =
            [stranger, operator, rival, owner, keyOf[node], address(registry), address(authority)];
        for (uint256 i; i < callers.length; ++i) {
            assertFalse(registry.maySlash(callers[i]), "may not");
            vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NotSlasher.selector, callers[i]));
            vm.prank(callers[i]);
            registry.slash(node, 1, callers[i], 0);
        }
    }

    function test_slash__eachWiredContract__may() public {
        address[3] memory callers = [address(ledger), market_, court_];
        for (uint256 i; i < callers.length; ++i) {
            uint256 before = _stake();
            vm.prank(callers[i]);
            registry.slash(node, 100, stranger, 0);
            assertLt(_stake(), before, "slashed");
        }
    }

    function test_slash__unknownNode__reverts() public {
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.UnknownNode.selector, _node(9)));
        vm.prank(market_);
        registry.slash(_node(9), 1, stranger, 0);
    }

    // --- how much -------------------------------------------------------------------------------------------------

    function test_slash__share__splitsIntoRewardAndBurn() public {
        uint256 before = _stake();
        uint256 supply = stakeToken.totalSupply();
        uint96 amount = uint96(before / 2);
        vm.expectEmit(address(registry));
        emit Slashed(node, amount, stranger, amount / 10);
        assertEq(_slash(5_000, 0), amount, "half");
        assertEq(_stake(), before - amount, "stake");
        assertEq(registry.rewardOf(stranger), amount / 10, "reward");
        assertEq(supply - stakeToken.totalSupply(), amount - amount / 10, "burned");
        assertEq(stakeToken.balanceOf(address(registry)), _stake() + amount / 10, "solvent");
    }

    function test_slash__oddStake__roundsUp() public {
        vm.prank(operator);
        registry.addStake(node, 1);
        uint256 stake = 2 * uint256(shape.seatStake) + 1;
        assertEq(_slash(1, 0), stake / 10_000 + 1, "up");
    }

    function test_slash__everything__leavesZero() public {
        assertEq(_slash(10_000, 0), 2 * uint256(shape.seatStake), "all");
        assertEq(_stake(), 0, "nothing left");
        assertEq(_slash(10_000, 0), 0, "and nothing more");
        assertEq(registry.rewardOf(stranger), 2 * uint256(shape.seatStake) / 10, "one reward");
    }

    function test_slash__unbonding__paysFirst() public {
        _leave(1);
        uint256 seat = shape.seatStake;
        assertEq(_slash(1_000, 0), 2 * seat / 10, "a share of both");
        INodeRegistry.NodeView memory v = registry.nodeView(node);
        assertEq(v.unbonding, seat - 2 * seat / 10, "unbonding paid");
        assertEq(v.stake, seat, "stake untouched");
        assertFalse(v.paused, "it still covers its seat");
    }

    function test_slash__moreThanUnbonding__takesTheRestFromTheStake() public {
        _leave(1);
        _slash(7_500, 0);
        INodeRegistry.NodeView memory v = registry.nodeView(node);
        assertEq(v.unbonding, 0, "unbonding gone");
        assertEq(v.stake, uint256(shape.seatStake) / 2, "the rest from the stake");
        assertTrue(v.paused, "under its requirement");
    }

    // --- pausing --------------------------------------------------------------------------------------------------

    function test_slash__underRequirement__pauses() public {
        vm.expectEmit(address(registry));
        emit NodePaused(node, START + 1);
        _slash(1, 0);
        assertTrue(registry.nodeView(node).paused, "paused");
        assertEq(registry.poolView(pool).nodes, 0, "distinct nodes");
    }

    function test_slash__stillCovered__doesNotPauseUnlessAsked() public {
        vm.prank(operator);
        registry.addStake(node, shape.seatStake);
        _slash(10, 0);
        assertFalse(registry.nodeView(node).paused, "covered");
        _slash(10, uint32(_epoch()));
        assertTrue(registry.nodeView(node).paused, "asked");
    }

    function test_slash__pausedAlready__staysPaused() public {
        vm.prank(operator);
        registry.pauseNode(node);
        _rollTo(START + 5);
        _slash(100, uint32(_epoch()));
        uint64 pause = registry.nodeView(node).pauses[0];
        assertEq(pause >> 32, START + 1, "the same interval");
        assertEq(uint32(pause), OPEN, "open");
        assertEq(registry.poolView(pool).nodes, 0, "counted once");
    }

    function test_slash__pauseWouldLoseAnInterval__endsTheSeats() public {
        for (uint256 i; i < 4; ++i) {
            _rollTo(START + 2 + 2 * i);
            vm.prank(operator);
            registry.pauseNode(node);
            _rollTo(START + 3 + 2 * i);
            vm.prank(operator);
            registry.resumeNode(node);
        }
        _rollTo(START + 12);
        uint96 amount = _slash(10, uint32(_epoch()));
        INodeRegistry.NodeView memory v = registry.nodeView(node);
        assertEq(v.seats.length, 0, "seats ended");
        assertFalse(v.paused, "not paused");
        assertEq(v.unbonding, 2 * uint256(shape.seatStake) - amount, "the rest leaves, slashable");
        assertEq(v.stake, 0, "stake");
    }

    // --- unbonding ------------------------------------------------------------------------------------------------

    function test_invariant6__unbonding__isSlashableUntilItIsPaidOut() public {
        _leave(2);
        uint256 left = 2 * uint256(shape.seatStake);
        // In the middle, in the last epoch, and after it while nobody has withdrawn.
        uint256[3] memory waits = [uint256(shape.ring), 2 * shape.ring - 1, 2 * shape.ring + 40];
        for (uint256 i; i < waits.length; ++i) {
            _rollTo(START + waits[i]);
            left -= _slash(1_000, 0);
            assertEq(registry.nodeView(node).unbonding, left, "slashed");
        }
        uint256 before = stakeToken.balanceOf(operator);
        registry.withdrawStake(node);
        assertEq(stakeToken.balanceOf(operator) - before, left, "what is left is paid");
        assertEq(_slash(10_000, 0), 0, "then there is nothing to take");
    }

    function testFuzz_invariant6__anyTimeBeforePayment__losesItsShare(uint256 wait, uint16 bps) public {
        _leave(2);
        _rollTo(START + bound(wait, 0, 3 * shape.ring));
        bps = uint16(bound(bps, 1, 10_000));
        uint256 total = 2 * uint256(shape.seatStake);
        assertEq(_slash(bps, 0), (total * bps + 9_999) / 10_000, "rounded up");
    }

    // --- rewards --------------------------------------------------------------------------------------------------

    function test_slash__reportedByANodesKey__rewardIsItsOperators() public {
        NodeId other = _register(rival, 1);
        address key = registry.nodeView(other).key;
        uint96 loss = 2 * shape.seatStake / 10;
        vm.expectEmit(address(registry));
        emit Slashed(node, loss, rival, loss / 10);
        vm.prank(market_);
        registry.slash(node, 1_000, key, 0);
        assertEq(registry.rewardOf(rival), loss / 10, "its operator's");
        assertEq(registry.rewardOf(key), 0, "nothing for the key");
    }

    function test_collectReward__nothing__reverts() public {
        vm.expectRevert(INodeRegistry.NothingToWithdraw.selector);
        registry.collectReward(stranger);
    }

    function test_collectReward__something__paysTheReporterOnce() public {
        _slash(1_000, 0);
        uint256 reward = registry.rewardOf(stranger);
        vm.expectEmit(address(registry));
        emit RewardCollected(stranger, reward);
        vm.prank(rival);
        assertEq(registry.collectReward(stranger), reward, "amount");
        assertEq(stakeToken.balanceOf(stranger), reward, "to the reporter");
        vm.expectRevert(INodeRegistry.NothingToWithdraw.selector);
        registry.collectReward(stranger);
    }
}
