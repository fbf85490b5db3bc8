// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICommitLedger} from "../../contracts/interfaces/ICommitLedger.sol";
import {ICourt} from "../../contracts/interfaces/ICourt.sol";
import {IJobMarket} from "../../contracts/interfaces/IJobMarket.sol";
import {NodeId} from "../../contracts/interfaces/Types.sol";
import {HonestScenes} from "./support/HonestScenes.sol";

// an honest node is never charged, and paid when it was in time
// ├── late: it commits and opens in the last blocks, a day late on the wall clock
// ├── censored: for REVEAL_GRACE - 1 epochs
// ├── reorganised by three blocks
// │   ├── the seed changes: the same digest is sent again, drawn elsewhere or not at all
// │   ├── its commit falls out of its epoch: absentBps, and no more
// │   └── its opening and the settlement: opened by another, left out, claimed
// ├── others offline: sealed for ever
// ├── others malicious: left out by the settler
// ├── its own restart: the first digest stands and opens
// └── whatever a verdict says of its shard, its right opening proves nothing against it
contract HonestTest is HonestScenes {
    /// @dev What the second block of an epoch holds after a reorganisation.
    mapping(uint256 epoch => bytes32) private forked;

    function _randao(uint256 epoch) internal view override returns (bytes32) {
        return forked[epoch] == 0 ? super._randao(epoch) : forked[epoch];
    }

    // --- scenes ---------------------------------------------------------------------------------------------------

    /// @dev A job in the commit epoch of its shard.
    function _posted() private returns (uint32 epoch) {
        job = _post(_spec());
        epoch = uint32(_commitEpochOf(_id(job), SHARD, 0));
        settled = Answer(_id(job), SHARD, 0, TRUTH);
        _rollTo(epoch, 2);
    }

    function _seal(uint256 slot) private {
        _commit(_seat(slot), _leaf(_id(job), SHARD, TRUTH));
    }

    function _open(uint256 slot) private {
        _reveal(_seat(slot), _commitEpochOf(_id(job), SHARD, 0));
    }

    /// @dev Settles what has been opened in time, but for the hidden.
    function _settleNow(uint16 hidden) private {
        _seeds(_one(settled));
        (settled, receipt) = _settleAs(job, SHARD, 0, TRUTH, hidden);
    }

    /// @dev In the first block in which the shard is final and not appealed.
    function _claim(uint8 slot) private returns (uint256) {
        NodeId node = _seat(slot);
        bytes memory opening = _ownOpening(job, SHARD, 0, TRUTH, node);
        _rollTo(uint256(market.settlementEpoch(_settlementLeaves(_one(settled), _one(receipt.paidSlots))[0])) + 8);
        uint256 before = _matured(node);
        market.claim(job, SHARD, receipt, slot, opening);
        return _matured(node) - before;
    }

    // --- late -----------------------------------------------------------------------------------------------------

    function test_honest__lastBlocks__isPaidAndNeverCharged() public {
        uint32 epoch = _posted();
        _seal(1);
        _seal(2);
        _rollTo(epoch, shape.epochBlocks - 1);
        _seal(0);
        vm.warp(block.timestamp + 1 days); // a late block: the clock counts blocks
        _rollTo(epoch + 1, 2);
        _open(1);
        _open(2);
        _rollTo(epoch + 2);
        _settleNow(0);
        assertEq(receipt.paidSlots, 6, "scene: settled without it");
        _rollTo(epoch + 2, shape.epochBlocks - 1);
        _open(0);
        _assertNeverWrong(0);
        assertEq(_claim(0), PAY, "the last block that counts");
        _assertNeverCharged(0);
    }

    // --- censored -------------------------------------------------------------------------------------------------

    /// @dev Nothing of it is included from its reveal epoch on, but in the last block of the grace.
    function test_honest__censoredForAllOfGraceButOneEpoch__isUnpaidAndNeverCharged() public {
        uint32 epoch = _posted();
        for (uint256 slot; slot < 3; ++slot) {
            _seal(slot);
        }
        _rollTo(epoch + 1, 2);
        _open(1);
        _open(2);
        _rollTo(epoch + 2);
        _settleNow(0);
        uint32 last = epoch + shape.revealGrace;
        _rollTo(last, shape.epochBlocks - 1);
        NodeId node = _seat(0);
        vm.expectRevert(abi.encodeWithSelector(ICommitLedger.GraceNotOver.selector, last, last));
        ledger.reportUnrevealed(node, epoch);
        _open(0);
        _assertNeverWrong(0);
        bytes memory opening = _ownOpening(job, SHARD, 0, TRUTH, node);
        _rollTo(uint256(epoch) + 2 + 8);
        vm.expectRevert(abi.encodeWithSelector(IJobMarket.RevealedTooLate.selector, node, epoch, 8));
        market.claim(job, SHARD, receipt, 0, opening);
        _assertNeverCharged(0);
    }

    // --- reorganised ----------------------------------------------------------------------------------------------

    function _slotIn(uint256[] memory slots, NodeId node) private pure returns (uint256 slot) {
        while (slot < slots.length && slots[slot] != _id(node)) {
            ++slot;
        }
    }

    /// @dev Blocks 1 to 3 of the commit epoch are replaced, and with them the seed: a node that was in slot 0 is then
    /// in another, or in none. It sends the same digest again.
    function _reseeded(bool drawn) private returns (NodeId node, uint256 slot) {
        uint32 epoch = _posted();
        _rollTo(epoch);
        uint256 id = vm.snapshotState();
        _rollTo(epoch, 2);
        node = _seat(0);
        _seal(0);
        uint256 lane = _lane(node, epoch);
        _rollTo(epoch, 3);
        vm.revertToState(id);
        do {
            forked[epoch] = keccak256(abi.encode(forked[epoch]));
            slot = _slotIn(_committee(_id(job), SHARD, 0), node);
        } while (slot == 0 || (slot < 3) != drawn);
        _rollTo(epoch, 4);
        _commit(node, _leaf(_id(job), SHARD, TRUTH));
        assertEq(_lane(node, epoch), lane, "the same digest");
        for (uint256 i; i < 3; ++i) {
            if (i != slot) _seal(i);
        }
        _rollTo(epoch + 1, 2);
        _reveal(node, epoch);
        for (uint256 i; i < 3; ++i) {
            if (i != slot) _open(i);
        }
        _settleNow(0);
    }

    function test_honest__seedReorganised__isPaidInItsNewSlot() public {
        (NodeId node, uint256 slot) = _reseeded(true);
        assertEq(_maturing(node), PAY, "whatever slot it is in");
        _assertNeverWrong(uint8(slot));
        _assertNeverCharged(uint8(slot));
    }

    function test_honest__reorganisedOutOfTheDraw__isUnpaidAndNeverCharged() public {
        (NodeId node,) = _reseeded(false);
        assertEq(_maturing(node), 0, "nobody asked it");
        uint32 epoch = uint32(_commitEpochOf(_id(job), SHARD, 0));
        bytes memory opening = _ownOpening(job, SHARD, 0, TRUTH, node);
        vm.expectRevert(abi.encodeWithSelector(ICommitLedger.NotSealed.selector, node, epoch));
        ledger.reportUnrevealed(node, epoch);
        for (uint8 slot; slot < 3; ++slot) {
            bytes memory reason = abi.encodeWithSelector(ICommitLedger.NotAbsent.selector, _seat(slot), epoch, epoch);
            vm.expectRevert(reason);
            market.reportAbsent(job, SHARD, receipt, slot);
        }
        // Not even a verdict against its answer concerns it: no slot is its own.
        _ruled(LIE);
        for (uint8 slot; slot < 3; ++slot) {
            vm.expectRevert(abi.encodeWithSelector(ICourt.MatchesVerdict.selector, job, SHARD, LIE));
            court.reportWrong(job, SHARD, 0, slot, LIE, opening);
        }
        _assertWhole(node);
    }

    function test_honest__commitReorganisedOutOfItsEpoch__costsAbsentBpsAndNoMore() public {
        uint32 epoch = _posted();
        _seal(1);
        _seal(2);
        _commitReorganised(_seat(0), epoch, _leaf(_id(job), SHARD, TRUTH));
        _open(1);
        _open(2);
        _rollTo(epoch + 1, 2);
        _settleNow(0);
        uint256 supply = stakeToken.totalSupply();
        vm.prank(stranger);
        market.reportAbsent(job, SHARD, receipt, 0);
        assertEq(registry.rewardOf(stranger), 0.1 ether, "a tenth");
        assertEq(supply - stakeToken.totalSupply(), 0.9 ether, "the rest");
        _assertOnlyAbsent(job, SHARD, receipt, 0);
    }

    /// @dev Its opening stood in a block that is gone; a stranger copied it, and the settler leaves it out.
    function test_honest__openingAndSettlementReorganised__isPaidByItsClaim() public {
        uint32 epoch = _posted();
        for (uint256 slot; slot < 3; ++slot) {
            _seal(slot);
        }
        _rollTo(epoch + 1, 2);
        uint256 id = vm.snapshotState();
        for (uint256 slot; slot < 3; ++slot) {
            _open(slot);
        }
        _settleNow(0);
        assertEq(_maturing(_seat(0)), PAY, "paid, and then not");
        _rollTo(epoch + 1, 5);
        vm.revertToState(id);
        _rollTo(epoch + 1, 6);
        NodeId node = _seat(0);
        bytes memory leaves = _leaf(_id(job), SHARD, TRUTH);
        vm.prank(stranger);
        ledger.reveal(node, epoch, leaves, _manifest(node, epoch), _salt(node, epoch));
        vm.expectRevert(abi.encodeWithSelector(ICommitLedger.NotSealed.selector, node, epoch));
        ledger.reveal(node, epoch, leaves, _manifest(node, epoch), _salt(node, epoch));
        _open(1);
        _open(2);
        _settleNow(1);
        assertEq(_maturing(node), 0, "left out");
        _assertNeverWrong(0);
        assertEq(_claim(0), PAY, "claimed");
        _assertNeverCharged(0);
    }

    // --- others offline -------------------------------------------------------------------------------------------

    function test_honest__othersNeverOpen__onlyTheyAreCharged() public {
        job = _post(_spec());
        settled.job = _id(job);
        settled.shard = SHARD;
        _answerWith(job, SHARD, 0, _mix(3, 1, TRUTH, SHY));
        uint32 epoch = uint32(_commitEpochOf(_id(job), SHARD, 0));
        _rollTo(epoch + shape.revealGrace + 1);
        for (uint256 slot = 1; slot < 3; ++slot) {
            ledger.reportUnrevealed(_seat(slot), epoch);
            assertEq(registry.nodeView(_seat(slot)).stake, STAKE * 9 / 10, "whatever became of the job");
        }
        NodeId honest = _seat(0);
        vm.expectRevert(abi.encodeWithSelector(ICommitLedger.NotSealed.selector, honest, epoch));
        ledger.reportUnrevealed(honest, epoch);
        _assertWhole(honest);
    }

    // --- others malicious -----------------------------------------------------------------------------------------

    function test_honest__leftOutBySettler__isPaidByItsClaim() public {
        _settled(_spec(), _mix(3, 3, TRUTH, TRUTH), TRUTH, 1);
        assertEq(_maturing(_seat(0)), 0, "scene: left out");
        _assertNeverWrong(0);
        assertEq(_claim(0), PAY, "all of it");
        _assertNeverCharged(0);
    }

    // --- its own restart ------------------------------------------------------------------------------------------

    /// @dev Restarted before it knew whether its commit was in: it sends another one and the turn again.
    function test_honest__restarted__firstDigestStandsAndOpens() public {
        uint32 epoch = _posted();
        for (uint256 slot; slot < 3; ++slot) {
            _seal(slot);
        }
        NodeId node = _seat(0);
        uint256 lane = _lane(node, epoch);
        vm.startPrank(keyOf[node]);
        vm.expectRevert(abi.encodeWithSelector(ICommitLedger.AlreadyCommitted.selector, node, epoch));
        ledger.commit(epoch, bytes27(keccak256("another salt")));
        vm.expectRevert(abi.encodeWithSelector(ICommitLedger.NothingToTurn.selector, node, epoch));
        ledger.turn(epoch, "", 0, 0, bytes27(keccak256("another salt")));
        vm.stopPrank();
        assertEq(_lane(node, epoch), lane, "the first");
        _rollTo(epoch + 1, 2);
        for (uint256 slot; slot < 3; ++slot) {
            _open(slot);
        }
        _settleNow(0);
        assertEq(_maturing(node), PAY, "what was on its disk opens");
        _assertNeverWrong(0);
        _assertNeverCharged(0);
    }
}
