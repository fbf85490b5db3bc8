// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICommitLedger} from "../../contracts/interfaces/ICommitLedger.sol";
import {NodeId} from "../../contracts/interfaces/Types.sol";
import {Base} from "./support/Base.sol";

// turn(epoch): opens epoch - 1, seals epoch
// ├── caller is no node's key: NotANode(caller)
// ├── reveal half allowed
// │   ├── commit half allowed: both
// │   └── commit half not (epoch over, committed before, lane of the last round sealed): opens only
// ├── reveal half not (nothing sealed, opened before, wrong opening, too late)
// │   ├── commit half allowed: seals only
// │   └── commit half not: NothingToTurn(node, epoch)
// └── reveal half opens a batch that breaks a rule: its error, since nothing but a lone commit can help
// epoch 0 has no epoch before it
contract TurnTest is Base {
    event Revealed(NodeId indexed node, uint32 indexed epoch, bytes leaves, bytes32 manifest);

    uint32 internal constant NOW = START + 1;

    NodeId internal node;
    bytes internal leaves;
    bytes27 internal next = bytes27(keccak256("next"));

    function setUp() public override {
        super.setUp();
        node = _register(operator, 1);
        leaves = _leaf(1, 0, "root");
    }

    function _turn(uint32 epoch) private {
        vm.prank(keyOf[node]);
        ledger.turn(epoch, leaves, _manifest(node, epoch - 1), _salt(node, epoch - 1), next);
    }

    function _expectNothing(uint32 epoch) private {
        vm.expectRevert(abi.encodeWithSelector(ICommitLedger.NothingToTurn.selector, node, epoch));
        _turn(epoch);
    }

    function _isOpen(uint32 epoch) private view returns (bool) {
        uint256 lane = _lane(node, epoch);
        return lane >> 224 == epoch && (lane >> 216) & 0x0f != 0;
    }

    function _isSealed(uint32 epoch) private view returns (bool) {
        uint256 lane = _lane(node, epoch);
        return lane >> 224 == epoch && (lane >> 216) & 0xff == 0;
    }

    // --- both ------------------------------------------------------------------------------------------------------

    function test_turn__bothAllowed__opensAndSeals() public {
        _commit(node, leaves);
        _rollTo(NOW, 3);
        vm.expectEmit(address(ledger));
        emit Revealed(node, START, leaves, _manifest(node, START));
        _turn(NOW);
        bytes27 root = bytes27(keccak256(leaves));
        assertEq(_lane(node, START), uint256(START) << 224 | uint256(1) << 216 | uint216(root), "opened");
        assertEq(_lane(node, NOW), uint256(NOW) << 224 | uint216(next), "sealed");
    }

    function test_turn__edgesOfTheEpoch__areAllowed() public {
        _commit(node, leaves);
        _rollTo(NOW);
        uint256 id = vm.snapshotState();
        _turn(NOW);
        assertTrue(_isOpen(START) && _isSealed(NOW), "first block");
        vm.revertToState(id);
        _rollTo(NOW, shape.epochBlocks - 1);
        _turn(NOW);
        assertTrue(_isOpen(START) && _isSealed(NOW), "last block");
    }

    // --- only the reveal -------------------------------------------------------------------------------------------

    function test_turn__epochOver__opensOnly() public {
        _commit(node, leaves);
        _rollTo(NOW + 1);
        _turn(NOW);
        assertTrue(_isOpen(START), "opened");
        assertEq((_lane(node, START) >> 216) & 0x0f, 2, "one epoch late");
        assertEq(_lane(node, NOW), 0, "not sealed");
    }

    function test_turn__committedBefore__opensOnly() public {
        _commit(node, leaves);
        _rollTo(NOW);
        _commit(node, "other");
        _turn(NOW);
        assertTrue(_isOpen(START), "opened");
        assertEq(uint216(_lane(node, NOW)), uint216(_digest(node, NOW, "other")), "first seal stands");
    }

    function test_turn__laneOfTheLastRoundSealed__opensOnlyAndKeepsTheEvidence() public {
        uint32 old = NOW - shape.ring;
        _rollTo(old);
        _commit(node, "withheld");
        _rollTo(START);
        _commit(node, leaves);
        _rollTo(NOW);
        _turn(NOW);
        assertTrue(_isOpen(START), "opened");
        assertEq(_lane(node, NOW) >> 224, old, "never overwritten while sealed");
    }

    function test_turn__lastBlockOfGrace__opensOnly() public {
        _commit(node, leaves);
        _rollTo(START + shape.revealGrace, shape.epochBlocks - 1);
        _turn(NOW);
        assertEq((_lane(node, START) >> 216) & 0x0f, shape.revealGrace, "delay");
    }

    // --- only the commit -------------------------------------------------------------------------------------------

    function test_turn__nothingSealed__sealsOnly() public {
        _rollTo(NOW);
        _turn(NOW);
        assertEq(_lane(node, START), 0, "not opened");
        assertTrue(_isSealed(NOW), "sealed");
    }

    function test_turn__openedBefore__sealsOnly() public {
        _commit(node, leaves);
        _rollTo(NOW);
        _reveal(node, START);
        uint256 before = _lane(node, START);
        _turn(NOW);
        assertEq(_lane(node, START), before, "opened once");
        assertTrue(_isSealed(NOW), "sealed");
    }

    function test_turn__wrongOpening__sealsOnly() public {
        _commit(node, "");
        _rollTo(NOW);
        _turn(NOW);
        assertTrue(_isSealed(START), "still sealed");
        assertTrue(_isSealed(NOW), "sealed");
    }

    function test_turn__otherRoundInTheSlotBefore__sealsOnly() public {
        uint32 old = START - shape.ring;
        _rollTo(old);
        _commit(node, leaves);
        _rollTo(NOW);
        _turn(NOW);
        assertEq(_lane(node, START) >> 224, old, "untouched");
        assertTrue(_isSealed(NOW), "sealed");
    }

    // --- neither ---------------------------------------------------------------------------------------------------

    function test_turn__notAKey__reverts() public {
        vm.expectRevert(abi.encodeWithSelector(ICommitLedger.NotANode.selector, operator));
        vm.prank(operator);
        ledger.turn(NOW, leaves, "m", "s", next);
    }

    function test_turn__futureEpoch__reverts() public {
        _expectNothing(START + 1);
        _commit(node, leaves);
        // Its own epoch is not over: neither half.
        _expectNothing(START + 1);
    }

    function test_turn__afterGrace__reverts() public {
        _commit(node, leaves);
        _rollTo(START + shape.revealGrace + 1);
        _expectNothing(NOW);
        assertTrue(_isSealed(START), "evidence stays");
    }

    function test_turn__wrongOpeningAndCommitted__reverts() public {
        _commit(node, "");
        _rollTo(NOW);
        _commit(node, "");
        _expectNothing(NOW);
    }

    function test_turn__twice__reverts() public {
        _commit(node, leaves);
        _rollTo(NOW);
        _turn(NOW);
        _expectNothing(NOW);
    }

    function test_turn__brokenBatch__revertsWithItsRule() public {
        leaves = abi.encodePacked(_leaf(1, 0, "a"), _leaf(1, 0, "b"));
        _commit(node, leaves);
        _rollTo(NOW);
        vm.expectRevert(abi.encodeWithSelector(ICommitLedger.LeavesNotAscending.selector, 1));
        _turn(NOW);
        // The node is not stuck: it seals alone, and the broken batch costs.
        vm.prank(keyOf[node]);
        ledger.commit(NOW, next);
        assertTrue(_isSealed(NOW), "sealed");
    }

    function test_turn__epochZero__hasNothingBeforeIt() public {
        vm.expectRevert(abi.encodeWithSelector(ICommitLedger.NothingToTurn.selector, node, 0));
        vm.prank(keyOf[node]);
        ledger.turn(0, leaves, "m", "s", next);
    }

    /// @dev Every turn is what reveal and commit would have done, tried one after the other.
    function testFuzz_turn__anyState__equalsRevealThenCommit(uint256 seed) public {
        _rollTo(START - 1 + seed % 3);
        if (seed & 8 != 0) _commit(node, seed & 16 != 0 ? leaves : bytes("x"));
        _rollTo(START + (seed >> 8) % 11);
        uint32 epoch = uint32(_epoch()) - uint32((seed >> 16) % 2);
        if (seed & 32 != 0 && _lane(node, _epoch()) >> 224 != _epoch()) _commit(node, leaves);

        uint256 id = vm.snapshotState();
        vm.prank(keyOf[node]);
        (bool revealed,) = address(ledger)
            .call(
                abi.encodeCall(
                    ICommitLedger.reveal, (node, epoch - 1, leaves, _manifest(node, epoch - 1), _salt(node, epoch - 1))
                )
            );
        vm.prank(keyOf[node]);
        (bool committed,) = address(ledger).call(abi.encodeCall(ICommitLedger.commit, (epoch, next)));
        uint256[2] memory lanes = [_lane(node, epoch - 1), _lane(node, epoch)];
        vm.revertToState(id);

        if (!revealed && !committed) return _expectNothing(epoch);
        _turn(epoch);
        assertEq(_lane(node, epoch - 1), lanes[0], "reveal half");
        assertEq(_lane(node, epoch), lanes[1], "commit half");
    }
}
