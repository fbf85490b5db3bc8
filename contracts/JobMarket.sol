// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {JobId, NodeId, ShardStatus} from "./interfaces/Types.sol";
import {ICommitLedger} from "./interfaces/ICommitLedger.sol";
import {ICourt} from "./interfaces/ICourt.sol";
import {IJobMarket} from "./interfaces/IJobMarket.sol";
import {INodeRegistry} from "./interfaces/INodeRegistry.sol";
import {Epochs} from "./libraries/Epochs.sol";
import {JobWord} from "./libraries/JobWord.sol";
import {Trees} from "./libraries/Trees.sol";
import {Clock} from "./Clock.sol";
import {Earnings} from "./market/Earnings.sol";
import {JobBook} from "./market/JobBook.sol";
import {Members} from "./market/Members.sol";
import {Openings} from "./market/Openings.sol";
import {Settling} from "./market/Settling.sol";

/// @title JobMarket
/// @notice Jobs, escrow, settlements and pay; every promise is in IJobMarket. Earnings, jobs and `settle` are in the
/// contracts it is made of; here is what happens to a settled shard: claims, absences, verification, status.
contract JobMarket is Settling {
    using JobWord for uint256;

    struct Params {
        uint32 settleGrace;
        uint32 reportEpochs;
        uint16 settleFeeBps;
        uint16 absentBps;
    }

    /// @inheritdoc IJobMarket
    uint16 public immutable override ABSENT_BPS;

    /// @dev Slots paid by `claim`: 16 bits a shard, 16 shards to a word; only claims write here.
    mapping(JobId job => mapping(uint256 group => uint256)) private _claimed;

    constructor(
        address authority,
        INodeRegistry registry_,
        ICommitLedger ledger_,
        address paymentToken_,
        address court_,
        Params memory params
    )
        AccessManaged(authority)
        Clock(registry_.EPOCH_BLOCKS(), registry_.RING(), registry_.LEAD())
        Earnings(registry_, paymentToken_)
        JobBook(court_, params.settleGrace, params.reportEpochs, params.settleFeeBps)
        Settling(ledger_)
    {
        checkRange("ABSENT_BPS", 1, 1_000, params.absentBps);
        ABSENT_BPS = params.absentBps;
        // The shortest life of a shard, its case included, must fit the ring, or nothing could be posted.
        checkRange("RING", Epochs.lifeOf(1, 1, params.settleGrace, 1, params.reportEpochs) + 1, type(uint32).max, RING);
    }

    // --- claim and report -----------------------------------------------------------------------------------------

    /// @inheritdoc IJobMarket
    // slither-disable-next-line incorrect-equality our own epochs, flags and numbers, no balance that others can move
    function claim(JobId job, uint32 shard, Receipt calldata receipt, uint8 slot, bytes calldata opening) external {
        Job storage stored = _known(job);
        uint256 word = stored.word;
        bytes32 root = _claimable(job, word, shard, receipt);
        (NodeId node, uint32 commitEpoch) =
            Members.drawnFor(registry, ledger, word, _key(job, shard), receipt.attempt, slot);
        uint256 bit = 1 << ((shard & 15) * 16 + slot);
        uint256 claimed = _claimed[job][shard >> 4];
        if (claimed & bit != 0 || (root == receipt.resultRoot && receipt.paidSlots >> slot & 1 != 0)) {
            revert SlotPaid(job, shard, slot);
        }
        Openings.requireHeld(
            ledger, node, commitEpoch, Trees.batchLeaf(_key(job, shard), root), opening, Epochs.OPEN_WITHIN
        );

        uint256 pay = word.taskPrice() * word.tasksIn(shard);
        _claimed[job][shard >> 4] = claimed | bit;
        stored.held -= uint88(pay);
        _credit(node, pay, 0);
        emit Claimed(job, shard, node, slot, pay);
    }

    /// @inheritdoc IJobMarket
    // slither-disable-next-line incorrect-equality,unused-return our own numbers; the amount is in the registry's event
    function reportAbsent(JobId job, uint32 shard, Receipt calldata receipt, uint8 slot) external {
        if (_settledAt(job, shard, receipt) == 0) revert NotSettled(job, shard);
        (NodeId node, uint32 commitEpoch) =
            Members.drawnFor(registry, ledger, _jobs[job].word, _key(job, shard), receipt.attempt, slot);
        emit AbsentReported(job, shard, node, msg.sender);
        ledger.markAbsent(node, commitEpoch);
        registry.slash(node, ABSENT_BPS, msg.sender, commitEpoch);
    }

    /// @dev Claims are open from when the shard is final or contested, for `REPORT_EPOCHS`.
    /// @return root the shard's answer
    // slither-disable-next-line incorrect-equality our own epochs, flags and numbers, no balance that others can move
    function _claimable(JobId job, uint256 word, uint32 shard, Receipt calldata receipt)
        private
        view
        returns (bytes32 root)
    {
        ShardStatus status;
        uint256 last;
        (status, root, last) = _standing(job, word, shard, receipt);
        if (status == ShardStatus.NONE) revert NotSettled(job, shard);
        if (status < ShardStatus.CONTESTED) revert NotFinal(job, shard);
        last += REPORT_EPOCHS;
        if (_epoch() > last) revert TooLate(job, shard, uint32(last), uint32(_epoch()));
    }

    // --- verify ---------------------------------------------------------------------------------------------------

    /// @inheritdoc IJobMarket
    // slither-disable-next-line incorrect-equality our own epochs, flags and numbers, no balance that others can move
    function verifyTask(JobId job, uint32 task, TaskResult calldata result, TaskProof calldata proof)
        external
        view
        returns (bool)
    {
        return taskStatus(job, task, result, proof) == ShardStatus.FINAL;
    }

    /// @inheritdoc IJobMarket
    function taskStatus(JobId job, uint32 task, TaskResult calldata result, TaskProof calldata proof)
        public
        view
        returns (ShardStatus)
    {
        bytes32 leaf = Trees.taskLeaf(task, result.status, result.data.length, Trees.chunkRoot(result.data));
        return _verify(job, task, leaf, proof.path, proof.receipt);
    }

    /// @inheritdoc IJobMarket
    // slither-disable-next-line incorrect-equality our own epochs, flags and numbers, no balance that others can move
    function verifyChunk(JobId job, uint32 task, uint32 chunkIndex, bytes calldata chunk, ChunkProof calldata proof)
        external
        view
        returns (bool)
    {
        bytes32 chunkRoot = MerkleProof.processProofCalldata(proof.chunkPath, Trees.chunkLeaf(chunkIndex, chunk));
        bytes32 leaf = Trees.taskLeaf(task, proof.status, proof.byteLength, chunkRoot);
        return _verify(job, task, leaf, proof.taskPath, proof.receipt) == ShardStatus.FINAL;
    }

    // slither-disable-next-line incorrect-equality our own epochs, flags and numbers, no balance that others can move
    function _verify(JobId job, uint32 task, bytes32 leaf, bytes32[] calldata path, Receipt calldata receipt)
        private
        view
        returns (ShardStatus status)
    {
        uint256 word = _jobs[job].word;
        if (word == 0 || task >= word.tasks()) return ShardStatus.NONE;
        bytes32 root;
        (status, root,) = _standing(job, word, uint32(task / word.shardSize()), receipt);
        if (!MerkleProof.verifyCalldata(path, root, leaf)) return ShardStatus.NONE;
    }

    // --- status ---------------------------------------------------------------------------------------------------

    /// @inheritdoc IJobMarket
    // slither-disable-next-line incorrect-equality our own epochs, flags and numbers, no balance that others can move
    function shardStatus(JobId job, uint32 shard) external view returns (ShardStatus) {
        uint256 word = _jobs[job].word;
        if (word == 0) return ShardStatus.NONE;
        if (shard >= word.shards()) return ShardStatus.CANCELLED;
        uint256 now_ = _epoch();
        uint256 last = _lastOf(word, shard);
        if (_isSettled(job, word, shard)) {
            (ShardStatus status,,) = _finality(job, word, shard, last, 0);
            return status;
        }
        uint256 first = word.startOf(shard, 0);
        if (now_ < first) return ShardStatus.SCHEDULED;
        uint256 stride = Epochs.stride(word.work());
        if ((now_ - first) / stride < word.maxAttempts()) {
            uint256 phase = (now_ - first) % stride;
            if (phase < word.work()) return ShardStatus.WORKING;
            return phase == word.work() ? ShardStatus.REVEALING : ShardStatus.SETTLING;
        }
        return now_ <= last ? ShardStatus.SETTLEABLE : ShardStatus.EXPIRED;
    }

    /// @inheritdoc IJobMarket
    // slither-disable-next-line incorrect-equality our own epochs, flags and numbers, no balance that others can move
    function shardStatus(JobId job, uint32 shard, Receipt calldata receipt) external view returns (ShardStatus status) {
        (status,,) = _standing(job, _jobs[job].word, shard, receipt);
        if (status == ShardStatus.NONE) revert NotSettled(job, shard);
    }

    /// @inheritdoc IJobMarket
    function isSettled(JobId job, uint32 shard) external view returns (bool) {
        uint256 word = _jobs[job].word;
        return word != 0 && shard < word.shards() && _isSettled(job, word, shard);
    }

    /// @inheritdoc IJobMarket
    function settlementEpoch(bytes32 root) external view returns (uint32) {
        return uint32(_settlements[root]);
    }

    /// @dev Epoch in which the receipt's settlement was recorded, 0 if there is none.
    function _settledAt(JobId job, uint256 shard, Receipt calldata receipt) private view returns (uint256) {
        return _settlements[Members.settlementRoot(job, shard, receipt)];
    }

    /// @dev What a receipt is worth: status (NONE when nothing was settled so), the shard's answer, and the epoch after
    /// which, or in which by a verdict, it could change no more.
    // slither-disable-next-line incorrect-equality our own epochs, flags and numbers, no balance that others can move
    function _standing(JobId job, uint256 word, uint32 shard, Receipt calldata receipt)
        private
        view
        returns (ShardStatus status, bytes32 root, uint256 ended)
    {
        uint256 settledAt = _settledAt(job, shard, receipt);
        if (settledAt == 0) return (ShardStatus.NONE, 0, 0);
        return _finality(job, word, shard, settledAt, receipt.resultRoot);
    }

    /// @dev Derived from the clock and the Court. `root` is `settledRoot` unless there is a verdict.
    // slither-disable-next-line incorrect-equality our own epochs, flags and numbers, no balance that others can move
    function _finality(JobId job, uint256 word, uint32 shard, uint256 settledAt, bytes32 settledRoot)
        private
        view
        returns (ShardStatus status, bytes32 root, uint256 ended)
    {
        root = settledRoot;
        uint256 appealEpochs = word.appealEpochs();
        if (appealEpochs != 0) {
            bytes32 verdict;
            (status, verdict, ended) = ICourt(court).status(job, shard);
            if (status == ShardStatus.FINAL) root = verdict;
        }
        if (status != ShardStatus.NONE) return (status, root, ended);
        ended = settledAt + appealEpochs;
        status = appealEpochs == 0 || _epoch() > ended ? ShardStatus.FINAL : ShardStatus.SETTLED;
    }

    function _key(JobId job, uint256 shard) private pure returns (uint256) {
        return uint256(JobId.unwrap(job)) << 32 | shard;
    }
}
