// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AnswerClass, JobId, NodeId, PoolId, ShardStatus} from "./Types.sol";

/// @title Jobs, escrow, settlements and pay
/// @notice post → commit → reveal → settle → (appeal) → final. A job is `tasks` equal pieces in shards of `shardSize`;
/// a committee of `committee` nodes is drawn for each shard and attempt; `quorum` equal openings of one attempt settle
/// it. Everything after `post` can be done by anyone once its time has come.
/// @dev No new slot per worker, job or shard is written by `settle`: it stores one Merkle root over all the shards it
/// settles. What is later claimed or verified shows its path.
///
/// Not promised: that inputs stay private; that members did not talk to each other. A consumer must only trust jobs that
/// it posted itself or whose requester it trusts, since anyone can post a job to himself.
interface IJobMarket {
    /// @notice What a requester asks for.
    /// @param pace shards that start per epoch; 0 takes the pool's bound `2 * seats / committee`
    /// @param units millions of metered operations a task may use
    /// @param unitPrice payment-token units for one unit and member
    /// @param manifest sha256 of the job manifest
    struct JobSpec {
        PoolId pool;
        AnswerClass class;
        uint32 tasks;
        uint24 shardSize;
        uint16 pace;
        uint8 committee;
        uint8 quorum;
        uint8 work;
        uint8 maxAttempts;
        uint8 appealEpochs;
        uint32 units;
        uint64 unitPrice;
        bytes32 manifest;
    }

    /// @notice A job as stored.
    struct JobView {
        address requester;
        PoolId pool;
        AnswerClass class;
        uint32 tasks;
        uint24 shardSize;
        uint32 postEpoch;
        uint16 pace;
        uint8 committee;
        uint8 quorum;
        uint8 work;
        uint8 maxAttempts;
        uint8 appealEpochs;
        uint88 taskPrice;
        uint88 held;
        uint16 protocolFeeBps;
        uint32 closableFrom;
    }

    /// @notice Ties a shard to the settlement that holds it.
    /// @param paidSlots bit `s` is set when slot `s` was paid
    /// @param path sorted-pair Merkle path from the shard's settlement leaf to the settlement root
    struct Receipt {
        uint8 attempt;
        uint16 paidSlots;
        bytes32 resultRoot;
        bytes32[] path;
    }

    /// @notice A task's answer. Status 0 is a computed answer; any other is an answer about a faulty payload.
    struct TaskResult {
        uint8 status;
        bytes data;
    }

    /// @param path sorted-pair path from the task leaf to the shard's result root
    struct TaskProof {
        Receipt receipt;
        bytes32[] path;
    }

    /// @param taskPath from the task leaf to the shard's result root
    /// @param chunkPath from the chunk leaf to the task's chunk root
    struct ChunkProof {
        Receipt receipt;
        bytes32[] taskPath;
        bytes32[] chunkPath;
        uint8 status;
        uint32 byteLength;
    }

    /// @param word the job as stored, see JobWord; its escrow is `quoteEscrow` of its numbers
    event JobPosted(
        JobId indexed job, address indexed requester, bytes32 manifest, uint256 word, uint32 units, uint64 unitPrice
    );
    /// @notice A case of the Court about a shard of another job: the same tasks, and that job's manifest.
    event CasePosted(JobId indexed caseJob, JobId indexed job, uint32 indexed shard, uint256 word);
    event EndpointAnnounced(address indexed requester, string endpoint);
    event JobCancelled(JobId indexed job, uint32 tasksLeft, uint256 refund);
    event JobClosed(JobId indexed job, uint256 refund);
    /// @param payee node that earned the settle fee, 0 when the sender did
    /// @param leaves 47 bytes each: job 8, shard 4, attempt 1, paid slots 2, result root 32
    event Settled(bytes32 indexed root, uint32 indexed epoch, NodeId indexed payee, uint256 fee, bytes leaves);
    event Claimed(JobId indexed job, uint32 indexed shard, NodeId indexed node, uint8 slot, uint256 amount);
    event AbsentReported(JobId indexed job, uint32 indexed shard, NodeId indexed node, address reporter);
    event Forfeited(NodeId indexed node, uint256 amount);
    event Assigned(address indexed from, address indexed to, uint256 amount);
    event EarningsWithdrawn(NodeId indexed node, address indexed operator, uint256 amount);
    event Collected(address indexed account, uint256 amount);
    event ProtocolFeeSet(uint16 bps, address recipient);

    error OutOfRange(string field, uint256 min, uint256 max, uint256 actual);
    error ClassNotSupported(AnswerClass class);
    error NoCourt(uint8 appealEpochs);
    error JobTooLong(uint256 maxEpochs, uint256 actual);
    error NotCourt(address caller);
    error WrongTransfer(uint256 expected, uint256 actual);
    error UnknownJob(JobId job);
    error NotRequester(JobId job, address expected, address actual);
    error NothingToCancel(JobId job);
    error NotClosable(JobId job, uint32 from, uint32 epoch);
    error AlreadyClosed(JobId job);
    error MalformedCall(string part, uint256 index);
    error EntriesNotAscending(uint256 index);
    error LanesNotAscending(uint256 index);
    error UnknownShard(JobId job, uint32 shard);
    error UnknownAttempt(JobId job, uint32 shard, uint8 attempt);
    error NotYet(JobId job, uint32 shard, uint32 from, uint32 epoch);
    error TooLate(JobId job, uint32 shard, uint32 last, uint32 epoch);
    error StillSealed(JobId job, uint32 shard, NodeId node);
    error LaneMissing(JobId job, uint32 shard, uint8 slot);
    error WrongLane(JobId job, uint32 shard, uint8 slot, NodeId expected, NodeId actual);
    error LaneNotOpen(NodeId node, uint32 epoch);
    error RevealedTooLate(NodeId node, uint32 epoch, uint8 delay);
    error WrongOpening(NodeId node, uint32 epoch);
    error NoQuorum(JobId job, uint32 shard, uint8 expected, uint8 actual);
    error NotSettled(JobId job, uint32 shard);
    error NotFinal(JobId job, uint32 shard);
    error SlotPaid(JobId job, uint32 shard, uint8 slot);
    error SlotVoid(JobId job, uint32 shard, uint8 slot);
    error NothingToWithdraw();

    // --- post -----------------------------------------------------------------------------------------------------

    /// @notice Posts a job and pulls its whole escrow: every shard, all slots, settle and protocol fee.
    function post(JobSpec calldata spec) external returns (JobId job);

    /// @notice `post` with an EIP-2612 permit for exactly the escrow. A permit that was already used is not an error.
    function postWithPermit(JobSpec calldata spec, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
        returns (JobId job);

    /// @notice Publishes the base URL at which the caller serves the payloads of its jobs.
    function announce(string calldata endpoint) external;

    /// @notice Ends the shards that start later than the next counted epoch and refunds them.
    function cancel(JobId job) external returns (uint256 refund);

    // --- settle ---------------------------------------------------------------------------------------------------

    /// @notice Settles many shards of many jobs at once; entries settled meanwhile are skipped.
    /// @param entries ascending strictly by (job, shard): job 8, shard 4, attempt 1, result root 32, then one byte per
    /// slot of the job's committee: the index in `lanes` of that slot's node, or 0xff when it is not shown
    /// @param lanes ascending strictly: node 4, commit epoch 4
    /// @param openings per opened lane: lane index 1, batch size 2, first position 2, segments 2, then the segments
    /// (entry 2, length 2: the leaves of that many entries; entry 0xffff: that many foreign leaf hashes of 32 follow),
    /// then proof length 1 and that many hashes of 32
    /// @param payee node that earns the settle fee with its pay; 0: the sender earns it
    /// @return settled number of shards settled by this call
    function settle(bytes calldata entries, bytes calldata lanes, bytes calldata openings, NodeId payee)
        external
        returns (uint256 settled);

    /// @notice Pays a slot of the settled attempt whose opening matches the result but was not shown in time.
    /// @param opening as in `settle`, its one lane (0) being this slot's and its one entry (0) this shard
    function claim(JobId job, uint32 shard, Receipt calldata receipt, uint8 slot, bytes calldata opening) external;

    /// @notice Proves that a slot of the settled attempt never committed.
    function reportAbsent(JobId job, uint32 shard, Receipt calldata receipt, uint8 slot) external;

    /// @notice Refunds what is left of a job when none of its deadlines is. Callable by anyone; a case only by the Court.
    function close(JobId job) external returns (uint256 refund);

    // --- pay ------------------------------------------------------------------------------------------------------

    /// @notice Pays a node's matured earnings to its operator. Callable by anyone.
    function withdraw(NodeId node) external returns (uint256 amount);

    /// @notice Makes what is owed to the caller owed to `account`.
    function assign(address account, uint256 amount) external;

    /// @notice Pays refunds and fees owed to `account`. Callable by anyone.
    function collect(address account) external returns (uint256 amount);

    // --- the Court ------------------------------------------------------------------------------------------------

    /// @notice Called by the Court: posts a shard of a job again, for `judges` nodes that were not asked before. What the
    /// Court excludes is not drawn. The Court brings the bond within the same call.
    /// @return caseJob the new job
    /// @return bond its escrow
    function postCase(JobId job, uint32 shard, uint8 judges, uint8 quorum)
        external
        returns (JobId caseJob, uint256 bond);

    /// @notice Called by the Court: takes all of a node's pay that has not matured, which is then owed to the Court. Takes
    /// what there is and never reverts for having too little.
    function forfeit(NodeId node) external returns (uint256 amount);

    // --- administration -------------------------------------------------------------------------------------------

    /// @notice Protocol fee of jobs posted from now on, at most 10 %.
    function setProtocolFee(uint16 bps, address recipient) external;

    /// @notice Stops `post` and nothing else.
    function pause() external;
    function unpause() external;

    // --- views ----------------------------------------------------------------------------------------------------

    /// @notice Whether this is the final, verified answer of a task. False for a result that is settled but not final.
    function verifyTask(JobId job, uint32 task, TaskResult calldata result, TaskProof calldata proof)
        external
        view
        returns (bool);

    /// @notice What is known of a task's answer: NONE when the proof does not lead to it, SETTLED while it can be appealed,
    /// APPEALED, CONTESTED for ever without verdict, or FINAL. After a verdict the path leads to the verdict's root; the
    /// receipt stays the shard's own.
    function taskStatus(JobId job, uint32 task, TaskResult calldata result, TaskProof calldata proof)
        external
        view
        returns (ShardStatus);

    /// @notice `verifyTask` for one 1 KiB chunk of a large answer.
    function verifyChunk(JobId job, uint32 task, uint32 chunkIndex, bytes calldata chunk, ChunkProof calldata proof)
        external
        view
        returns (bool);

    /// @notice Status without a path: a settled shard is FINAL here only when no path could say otherwise.
    function shardStatus(JobId job, uint32 shard) external view returns (ShardStatus);

    /// @notice Status of a settled shard by its receipt.
    function shardStatus(JobId job, uint32 shard, Receipt calldata receipt) external view returns (ShardStatus);

    function jobView(JobId job) external view returns (JobView memory);
    /// @notice The job as stored, see JobWord.
    function jobWord(JobId job) external view returns (uint256);
    function isSettled(JobId job, uint32 shard) external view returns (bool);
    /// @notice Epoch of a settlement, 0 if there is none with this root.
    function settlementEpoch(bytes32 root) external view returns (uint32);
    /// @return matured withdrawable now; maturing not yet
    function earningsOf(NodeId node) external view returns (uint256 matured, uint256 maturing);
    function owedTo(address account) external view returns (uint256);
    /// @notice Escrow that `post` would pull now.
    function quoteEscrow(JobSpec calldata spec) external view returns (uint256);
    function jobCount() external view returns (uint64);
    function paymentToken() external view returns (address);
    function court() external view returns (address);
    function SETTLE_GRACE() external view returns (uint32);
    function REPORT_EPOCHS() external view returns (uint32);
    function SETTLE_FEE_BPS() external view returns (uint16);
    function ABSENT_BPS() external view returns (uint16);
}
