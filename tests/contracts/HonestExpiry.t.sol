// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICommitLedger} from "../../contracts/interfaces/ICommitLedger.sol";
import {IJobMarket} from "../../contracts/interfaces/IJobMarket.sol";
import {NodeId, ShardStatus} from "../../contracts/interfaces/Types.sol";
import {HonestScenes} from "./support/HonestScenes.sol";
import {SettleCalls} from "./support/SettleCalls.sol";

// a shard expires: nobody who was honest is charged for it, and the requester has everything back
// ├── others offline: absent in every attempt
// ├── censored: nothing opened for REVEAL_GRACE - 1 epochs, in every attempt
// ├── reorganised by three blocks: its settlement, out of the last epoch
// └── others malicious: each tells another lie in every attempt
contract HonestExpiryTest is HonestScenes {
    uint256 private escrow;

    function setUp() public override {
        super.setUp();
        job = _post(_spec());
        escrow = _held(job);
    }

    function _assertNobodyChargedAndAllRefunded() private {
        _rollTo(_lastOf(_id(job), SHARD) + 1);
        _assertStatus(job, SHARD, ShardStatus.EXPIRED, "no quorum");
        for (uint8 attempt; attempt < 3; ++attempt) {
            NodeId node = _member(_id(job), SHARD, attempt, 0);
            uint32 epoch = uint32(_commitEpochOf(_id(job), SHARD, attempt));
            vm.expectRevert(abi.encodeWithSelector(ICommitLedger.NotSealed.selector, node, epoch));
            ledger.reportUnrevealed(node, epoch);
            for (uint8 slot; slot < 3; ++slot) {
                vm.expectRevert(abi.encodeWithSelector(IJobMarket.NotSettled.selector, job, SHARD));
                market.reportAbsent(job, SHARD, IJobMarket.Receipt(attempt, 7, TRUTH, new bytes32[](0)), slot);
            }
        }
        for (uint256 n = 1; n <= 10; ++n) {
            _assertWhole(_node(n));
        }
        _rollTo(market.jobView(job).closableFrom);
        assertEq(market.close(job), escrow, "slots and settle fee");
    }

    function test_honest__othersAbsentInEveryAttempt__nobodyIsChargedAndAllIsRefunded() public {
        for (uint256 attempt; attempt < 3; ++attempt) {
            _answerWith(job, SHARD, attempt, _mix(3, 1, TRUTH, ABSENT));
        }
        _assertNobodyChargedAndAllRefunded();
    }

    function test_honest__othersLieInEveryAttempt__nobodyIsChargedAndAllIsRefunded() public {
        for (uint256 attempt; attempt < 3; ++attempt) {
            bytes32[] memory roots = _mix(3, 1, TRUTH, LIE);
            roots[2] = keccak256("another lie");
            _answerWith(job, SHARD, attempt, roots);
        }
        _assertNobodyChargedAndAllRefunded();
    }

    function test_honest__allCensoredInEveryAttempt__nobodyIsChargedAndAllIsRefunded() public {
        uint256[3] memory epochs;
        for (uint256 attempt; attempt < 3; ++attempt) {
            epochs[attempt] = _commitEpochOf(_id(job), SHARD, attempt);
            _rollTo(epochs[attempt], 2);
            for (uint256 slot; slot < 3; ++slot) {
                _commit(_member(_id(job), SHARD, attempt, slot), _leaf(_id(job), SHARD, TRUTH));
            }
        }
        for (uint256 attempt; attempt < 3; ++attempt) {
            _rollTo(epochs[attempt] + shape.revealGrace, shape.epochBlocks - 1);
            for (uint256 slot; slot < 3; ++slot) {
                _reveal(_member(_id(job), SHARD, attempt, slot), epochs[attempt]);
            }
        }
        _assertNobodyChargedAndAllRefunded();
    }

    /// @dev Its members were in time, and settled in the last block: it is not in the chain that stays.
    function test_honest__settlementReorganisedOutOfItsLastEpoch__nobodyIsChargedAndAllIsRefunded() public {
        _answerWith(job, SHARD, 0, _mix(3, 3, TRUTH, TRUTH));
        settled = Answer(_id(job), SHARD, 0, TRUTH);
        uint32 last = uint32(_lastOf(_id(job), SHARD));
        SettleCalls.Call memory plan = _plan(_one(settled));
        _rollTo(last, shape.epochBlocks - 3);
        uint256 id = vm.snapshotState();
        _rollTo(last, shape.epochBlocks - 1);
        assertEq(_send(plan, stranger), 1, "settled, and then not");
        vm.revertToState(id);
        _rollTo(last + 1);
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IJobMarket.TooLate.selector, job, SHARD, last, last + 1));
        market.settle(plan.entries, plan.lanes, plan.openings, NodeId.wrap(0));
        for (uint256 slot; slot < 3; ++slot) {
            assertEq(_maturing(_seat(slot)), 0, "unpaid");
        }
        _assertNobodyChargedAndAllRefunded();
    }
}
