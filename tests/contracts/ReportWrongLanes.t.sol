// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICommitLedger} from "../../contracts/interfaces/ICommitLedger.sol";
import {IJobMarket} from "../../contracts/interfaces/IJobMarket.sol";
import {JobId, NodeId} from "../../contracts/interfaces/Types.sol";
import {CourtScenes} from "./support/CourtScenes.sol";

// a wrong answer among others in one batch; a case among other jobs in one call
// ├── two wrong answers in a batch are punished once, the second shard's report is refused
// ├── wrong answers in two batches are punished twice, each with a share of what is left
// ├── a lane marked wrong still settles and pays its other answers, and cannot be reported as sealed or absent
// ├── a void slot cannot be reported
// └── a case and jobs that are none settle in one call, each with its own committee
contract ReportWrongLanesTest is CourtScenes {
    IJobMarket.Receipt[2] private receipts;
    uint16[] private paid;

    /// @dev Both shards of a job for all ten nodes: everybody has both in one batch. Two liars in each.
    function _twoShards() private returns (Answer[] memory answers) {
        IJobMarket.JobSpec memory spec = _spec();
        (spec.committee, spec.quorum, spec.pace) = (3, 2, 2);
        job = _post(spec);
        answers = _answers(job, 0, 2);
        uint256 commitEpoch = _commitEpochOf(_id(job), 0, 0);
        _rollTo(commitEpoch, 2);
        (NodeId liar, bool found) = _shared();
        assertTrue(found, "scene: a node is drawn for both");
        mannerOf[liar] = Manner.WRONG;
        _play(answers);
        paid.push(_paidSlots(answers[0]));
        paid.push(_paidSlots(answers[1]));
        assertEq(_settle(answers), 2, "settles");
        receipts[0] = _receipt(answers, paid, 0);
        receipts[1] = _receipt(answers, paid, 1);
    }

    /// @dev A node drawn for shards 0 and 1.
    function _shared() private view returns (NodeId, bool) {
        NodeId node = _first(_committee(_id(job), 0, 0), _committee(_id(job), 1, 0));
        return (node, _id(node) != 0);
    }

    function _first(uint256[] memory committee, uint256[] memory other) private pure returns (NodeId) {
        for (uint256 i; i < committee.length; ++i) {
            for (uint256 k; k < other.length; ++k) {
                if (committee[i] == other[k]) return _node(committee[i]);
            }
        }
        return _node(0);
    }

    /// @dev Appeals shard `shard` of the scene; it is upheld.
    function _uphold(uint32 shard) private {
        vm.prank(accuser);
        caseJob = court.appeal(job, shard, receipts[shard]);
        bytes32 root = _root(_id(job), shard);
        _judged(root);
        court.resolve(job, shard, verdictReceipt);
    }

    function _wrong(uint32 shard, NodeId liar) private view returns (uint8 slot, bytes32 root, bytes memory opening) {
        slot = _slotOf(_id(job), shard, 0, liar);
        root = _lie(_root(_id(job), shard), liar);
        opening = _ownOpening(job, shard, 0, root, liar);
    }

    function test_reportWrong__twoShardsOfOneBatch__punishedOnce() public {
        _twoShards();
        (NodeId liar,) = _shared();
        _uphold(0);
        _rollTo(_epoch() + 1, 2);
        _uphold(1);
        (uint8 slot, bytes32 root, bytes memory opening) = _wrong(1, liar);
        court.reportWrong(job, 1, 0, slot, root, opening);
        assertEq(registry.nodeView(liar).stake, 500 ether, "once");
        (slot, root, opening) = _wrong(0, liar);
        uint32 commitEpoch = uint32(_commitEpochOf(_id(job), 0, 0));
        vm.expectRevert(abi.encodeWithSelector(ICommitLedger.AlreadyPunished.selector, liar, commitEpoch));
        court.reportWrong(job, 0, 0, slot, root, opening);
        assertEq(registry.nodeView(liar).stake, 500 ether, "not again");
    }

    function test_reportWrong__twoBatches__punishedTwice() public {
        job = _post(_spec());
        uint256 start = _startOf(_id(job), SHARD, 0);
        _rollTo(start, 2);
        // All of attempt 0 lie apart, all of attempt 1 as well, attempt 2 settles.
        for (uint256 attempt; attempt < 2; ++attempt) {
            _answerWith(job, SHARD, attempt, _mix(3, 1, LIE, PASS));
        }
        _answerWith(job, SHARD, 2, _mix(3, 3, TRUTH, TRUTH));
        (settled, receipt) = _settleAs(job, SHARD, 2, TRUTH, 0);
        _ruled(TRUTH);
        uint256[11] memory expected;
        for (uint256 n = 1; n <= 10; ++n) {
            expected[n] = 1_000 ether;
        }
        for (uint256 attempt; attempt < 2; ++attempt) {
            NodeId liar = _member(_id(job), SHARD, attempt, 0);
            court.reportWrong(job, SHARD, uint8(attempt), 0, LIE, _ownOpening(job, SHARD, attempt, LIE, liar));
            expected[_id(liar)] /= 2;
        }
        for (uint256 n = 1; n <= 10; ++n) {
            assertEq(registry.nodeView(_node(n)).stake, expected[n], "half of what is left, for each batch");
        }
    }

    /// @dev One node lies to `job` and is right about the other, in one batch; all others are right about both.
    function _playHalfALie(Answer[] memory both, NodeId liar, JobId other, uint256 commitEpoch) private {
        _rollTo(commitEpoch, 2);
        for (uint256 n = 1; n <= 10; ++n) {
            bytes memory leaves = _batch(both, _node(n));
            if (n == _id(liar)) {
                leaves =
                    abi.encodePacked(_leaf(_id(job), SHARD, LIE), _leaf(_id(other), SHARD, _root(_id(other), SHARD)));
            }
            _commit(_node(n), leaves);
        }
        _rollTo(commitEpoch + 1, 2);
        for (uint256 n = 1; n <= 10; ++n) {
            _reveal(_node(n), commitEpoch);
        }
        _seeds(both);
    }

    function _report(NodeId liar) private {
        uint256[] memory members = _committee(_id(job), SHARD, 0);
        for (uint8 slot; slot < 5; ++slot) {
            if (members[slot] != _id(liar)) continue;
            court.reportWrong(job, SHARD, 0, slot, LIE, _ownOpening(job, SHARD, 0, LIE, liar));
        }
    }

    function test_reportWrong__otherAnswersOfTheBatch__settleAndArePaid() public {
        IJobMarket.JobSpec memory spec = _spec();
        (spec.committee, spec.quorum) = (5, 3); // of ten: some node sits on both
        job = _post(spec);
        JobId other = _post(spec);
        Answer[] memory both = _join(_answers(job, SHARD, 1), _answers(other, SHARD, 1));
        uint256 commitEpoch = _commitEpochOf(_id(job), SHARD, 0);
        NodeId liar = _first(_committee(_id(job), SHARD, 0), _committee(_id(other), SHARD, 0));
        _playHalfALie(both, liar, other, commitEpoch);
        Answer memory first = both[0];
        uint16 slots = _paidSlots(first);
        _settle(_one(first));
        (receipt, settled) = (_receipt(first, slots), first);
        _ruled(first.root);
        _report(liar);
        assertEq(registry.nodeView(liar).stake, 500 ether, "scene: reported");
        uint256 before = _maturing(liar);
        assertEq(_settle(_one(both[1])), 1, "the other answer settles");
        assertEq(_maturing(liar), before + PAY, "and is paid");
        vm.expectRevert(abi.encodeWithSelector(ICommitLedger.NotSealed.selector, liar, uint32(commitEpoch)));
        ledger.reportUnrevealed(liar, uint32(commitEpoch));
    }

    function test_reportWrong__voidSlot__reverts() public {
        // Only four nodes serve: a committee of five has a void slot.
        IJobMarket.JobSpec memory spec = _spec();
        (spec.committee, spec.quorum) = (5, 3);
        job = _post(spec);
        for (uint256 n = 5; n <= 10; ++n) {
            vm.prank(operator);
            registry.pauseNode(_node(n));
        }
        _answerWith(job, SHARD, 0, _mix(5, 3, TRUTH, LIE));
        for (uint256 n = 5; n <= 10; ++n) {
            vm.prank(operator);
            registry.resumeNode(_node(n)); // they judge
        }
        (settled, receipt) = _settleAs(job, SHARD, 0, TRUTH, 0);
        _ruled(TRUTH);
        assertEq(_committee(_id(job), SHARD, 0)[4], 0, "scene: void");
        vm.expectRevert(abi.encodeWithSelector(IJobMarket.SlotVoid.selector, job, SHARD, 4));
        court.reportWrong(job, SHARD, 0, 4, LIE, "");
    }

    // --- one call -------------------------------------------------------------------------------------------------

    function test_settle__caseAmongJobs__eachWithItsOwnCommittee() public {
        _lieSettled();
        _rollTo(_counting() + 1, 2);
        JobId before = _post(_spec());
        _appeal();
        JobId behind = _post(_spec());
        Answer[] memory answers = _join(_answers(before, 0, 1), _answers(caseJob, 0, 1));
        answers = _join(answers, _answers(behind, 0, 1));
        _play(answers);
        assertEq(_commitEpochOf(_id(before), 0, 0), _commitEpochOf(_id(caseJob), 0, 0), "scene: the same epoch");
        for (uint256 i; i < 3; ++i) {
            paid.push(_paidSlots(answers[i]));
        }
        assertEq(_settle(answers), 3, "one call");
        assertEq(_ones(paid[1]), 5, "five judges");
        verdictReceipt = _receipt(answers, paid, 1);
        _resolve();
        assertEq(court.caseOf(job, SHARD).verdict, answers[1].root, "by its path");
        _assertOwed(2 * PAY, 0, 0, "overturned");
        _assertSolvent();
    }
}
