// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICommitLedger} from "../../contracts/interfaces/ICommitLedger.sol";
import {INodeRegistry} from "../../contracts/interfaces/INodeRegistry.sol";
import {NodeId} from "../../contracts/interfaces/Types.sol";
import {Base} from "./support/Base.sol";

// reportUnrevealed
// ├── nothing was sealed, it was opened, marked absent, or the slot went to a later epoch: NotSealed(node, epoch)
// ├── within grace: GraceNotOver(last, now)
// ├── reported before: AlreadyPunished(node, epoch)
// └── else, by anyone: flag 0x10, stake falls by UNREVEALED_BPS, a tenth for the reporter
//     └── invariant 9: at any time after grace, until it is or the slot dies unused
contract ReportUnrevealedTest is Base {
    event UnrevealedReported(NodeId indexed node, uint32 indexed epoch, address indexed reporter);

    NodeId internal node;

    function setUp() public override {
        super.setUp();
        node = _register(operator, 2);
    }

    function _report(uint256 epoch) private {
        vm.prank(stranger);
        ledger.reportUnrevealed(node, uint32(epoch));
    }

    function _expect(bytes memory reason) private {
        vm.expectRevert(reason);
        _report(START);
    }

    function test_reportUnrevealed__neverSealed__reverts() public {
        _rollTo(START + shape.revealGrace + 1);
        _expect(abi.encodeWithSelector(ICommitLedger.NotSealed.selector, node, START));
    }

    function test_reportUnrevealed__unknownNode__reverts() public {
        vm.expectRevert(abi.encodeWithSelector(ICommitLedger.NotSealed.selector, _node(99), START));
        ledger.reportUnrevealed(_node(99), START);
    }

    function test_reportUnrevealed__opened__reverts() public {
        _commit(node, "");
        _rollTo(START + shape.revealGrace);
        _reveal(node, START);
        _rollTo(START + shape.revealGrace + 1);
        _expect(abi.encodeWithSelector(ICommitLedger.NotSealed.selector, node, START));
    }

    function test_reportUnrevealed__markedAbsent__reverts() public {
        _rollTo(START + 1);
        vm.prank(_actor("market"));
        ledger.markAbsent(node, START);
        _rollTo(START + shape.revealGrace + 1);
        _expect(abi.encodeWithSelector(ICommitLedger.NotSealed.selector, node, START));
    }

    function test_reportUnrevealed__lastBlockOfGrace__reverts() public {
        _commit(node, "");
        _rollTo(START + shape.revealGrace, shape.epochBlocks - 1);
        _expect(
            abi.encodeWithSelector(
                ICommitLedger.GraceNotOver.selector, START + shape.revealGrace, START + shape.revealGrace
            )
        );
    }

    function test_reportUnrevealed__ownEpoch__reverts() public {
        _commit(node, "");
        _expect(abi.encodeWithSelector(ICommitLedger.GraceNotOver.selector, START + shape.revealGrace, START));
    }

    function test_reportUnrevealed__firstBlockAfterGrace__costsStake() public {
        _commit(node, "");
        uint256 sealed_ = _lane(node, START);
        _rollTo(START + shape.revealGrace + 1);
        uint256 supply = stakeToken.totalSupply();
        vm.expectEmit(address(ledger));
        emit UnrevealedReported(node, START, stranger);
        _report(START);
        uint256 stake = 2 * uint256(shape.seatStake);
        INodeRegistry.NodeView memory v = registry.nodeView(node);
        assertEq(v.stake, stake - stake / 10, "a tenth of the stake");
        assertEq(registry.rewardOf(stranger), stake / 100, "a tenth of that");
        assertEq(supply - stakeToken.totalSupply(), stake / 10 - stake / 100, "the rest is burned");
        assertTrue(v.paused, "under its requirement");
        assertEq(_lane(node, START), sealed_ | uint256(0x10) << 216, "flag, digest kept");
    }

    function test_reportUnrevealed__twice__reverts() public {
        _commit(node, "");
        _rollTo(START + shape.revealGrace + 1);
        _report(START);
        _expect(abi.encodeWithSelector(ICommitLedger.AlreadyPunished.selector, node, START));
    }

    function test_reportUnrevealed__twoLanes__costTwice() public {
        _commit(node, "");
        _rollTo(START + 1);
        _commit(node, "");
        _rollTo(START + shape.revealGrace + 2);
        _report(START);
        _report(START + 1);
        assertEq(registry.nodeView(node).stake, 2 * uint256(shape.seatStake) * 81 / 100, "a tenth of the rest");
    }

    function test_reportUnrevealed__slotWentToALaterEpoch__reverts() public {
        _commit(node, "");
        _rollTo(START + 1);
        _reveal(node, START);
        _rollTo(START + shape.ring);
        _commit(node, "");
        _rollTo(START + shape.ring + shape.revealGrace + 1);
        _expect(abi.encodeWithSelector(ICommitLedger.NotSealed.selector, node, START));
        _report(START + shape.ring);
    }

    function testFuzz_invariant9__anyTimeAfterGrace__canBePunished(uint256 wait, uint256 offset) public {
        _commit(node, "");
        wait = bound(wait, shape.revealGrace + 1, 10 * shape.ring);
        _rollTo(START + wait, bound(offset, 0, 9));
        // The node cannot get rid of the evidence: its slot takes nothing new.
        if (wait % shape.ring == 0) {
            vm.expectRevert(abi.encodeWithSelector(ICommitLedger.LaneSealed.selector, node, START));
            vm.prank(keyOf[node]);
            ledger.commit(uint32(START + wait), "x");
        }
        _report(START);
        assertEq((_lane(node, START) >> 216) & 0x10, 0x10, "punished");
    }

    function test_reportUnrevealed__leftLongAgo__takesWhatIsStillThere() public {
        _commit(node, "");
        vm.prank(operator);
        registry.leaveSeats(node, 2);
        _rollTo(START + shape.revealGrace + 1);
        _report(START);
        uint256 stake = 2 * uint256(shape.seatStake);
        assertEq(registry.nodeView(node).unbonding, stake - stake / 10, "unbonding stake is slashable");
    }

    /// @dev A batch that breaks a rule cannot be opened, and costs like any sealed lane.
    function test_reportUnrevealed__brokenBatch__costsStake() public {
        _commit(node, abi.encodePacked(_leaf(1, 0, "a"), _leaf(1, 0, "b")));
        _rollTo(START + 1);
        vm.expectRevert(abi.encodeWithSelector(ICommitLedger.LeavesNotAscending.selector, 1));
        _reveal(node, START);
        _rollTo(START + shape.revealGrace + 1);
        _report(START);
        assertLt(registry.nodeView(node).stake, 2 * uint256(shape.seatStake), "slashed");
    }

    function test_reportUnrevealed__ownOperator__earnsLessThanItLoses() public {
        _commit(node, "");
        _rollTo(START + shape.revealGrace + 1);
        vm.prank(operator);
        ledger.reportUnrevealed(node, START);
        uint256 lost = 2 * uint256(shape.seatStake) - registry.nodeView(node).stake;
        assertEq(registry.rewardOf(operator), lost / 10, "a tenth comes back, the rest is gone");
    }
}
