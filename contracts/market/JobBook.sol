// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {AnswerClass, JobId, NodeId, PoolId} from "../interfaces/Types.sol";
import {IJobMarket} from "../interfaces/IJobMarket.sol";
import {ICourt} from "../interfaces/ICourt.sol";
import {INodeRegistry} from "../interfaces/INodeRegistry.sol";
import {Epochs} from "../libraries/Epochs.sol";
import {JobWord} from "../libraries/JobWord.sol";
import {Payout} from "../libraries/Payout.sol";
import {Sortition} from "../libraries/Sortition.sol";
import {Transfers} from "../libraries/Transfers.sol";
import {Earnings} from "./Earnings.sol";

/// @title Jobs and their escrow: post, cancel, close
/// @dev A job is two words, three when it has something rare. Its price, shape and clock never change after `post`,
/// except that `cancel` lowers its tasks.
abstract contract JobBook is Earnings, Pausable {
    using JobWord for uint256;

    struct Job {
        // slot 0: see JobWord
        uint256 word;
        // slot 1: whose it is, what is left of its escrow, and the settled bits of a job of at most 8 shards
        address requester;
        uint88 held;
        uint8 settledBits;
        // slot 2: rare
        uint16 protocolFeeBps;
    }

    uint256 internal constant MAX_WORK = 8;
    uint256 internal constant MAX_ATTEMPTS = 4;
    uint256 internal constant MAX_PROTOCOL_FEE_BPS = 1_000;
    /// @dev Most epochs over which a job's shards start: epochs stay far below their 32 bits.
    uint256 internal constant MAX_SPREAD = 1 << 24;
    /// @dev A job of at most that many shards keeps its settled bits in its own word.
    uint256 internal constant SHORT = 8;

    /// @inheritdoc IJobMarket
    address public immutable override court;
    /// @inheritdoc IJobMarket
    uint32 public immutable override SETTLE_GRACE;
    /// @inheritdoc IJobMarket
    uint32 public immutable override REPORT_EPOCHS;
    /// @inheritdoc IJobMarket
    uint16 public immutable override SETTLE_FEE_BPS;

    /// @dev Nodes that judge a case; 0 without a court.
    uint256 private immutable _judges;

    /// @inheritdoc IJobMarket
    uint64 public override jobCount;
    uint16 public protocolFeeBps;
    address public feeRecipient;

    mapping(JobId job => Job) internal _jobs;
    /// @dev Settled bits of jobs of more than `SHORT` shards, 256 to a word.
    mapping(JobId job => mapping(uint256 group => uint256)) internal _settledBits;

    constructor(address court_, uint32 settleGrace, uint32 reportEpochs, uint16 settleFeeBps) {
        checkRange("SETTLE_GRACE", 1, RING / 4, settleGrace);
        checkRange("REPORT_EPOCHS", 1, RING / 4, reportEpochs);
        checkRange("SETTLE_FEE_BPS", 0, MAX_PROTOCOL_FEE_BPS, settleFeeBps);
        court = court_;
        _judges = court_ == address(0) ? 0 : ICourt(court_).JUDGES();
        SETTLE_GRACE = settleGrace;
        REPORT_EPOCHS = reportEpochs;
        SETTLE_FEE_BPS = settleFeeBps;
    }

    // --- post -----------------------------------------------------------------------------------------------------

    /// @inheritdoc IJobMarket
    function post(JobSpec calldata spec) external returns (JobId job) {
        return _post(spec);
    }

    /// @inheritdoc IJobMarket
    function postWithPermit(JobSpec calldata spec, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
        returns (JobId job)
    {
        // Whoever saw the permit in the mempool may have used it already; then the allowance is there.
        try IERC20Permit(paymentToken).permit(msg.sender, address(this), _quote(spec), deadline, v, r, s) {} catch {}
        return _post(spec);
    }

    /// @inheritdoc IJobMarket
    function announce(string calldata endpoint) external {
        emit EndpointAnnounced(msg.sender, endpoint);
    }

    /// @inheritdoc IJobMarket
    function quoteEscrow(JobSpec calldata spec) external view returns (uint256) {
        return _quote(spec);
    }

    function _quote(JobSpec calldata spec) private view returns (uint256) {
        return
            Payout.escrow(
                spec.tasks, spec.committee, uint256(spec.units) * spec.unitPrice, SETTLE_FEE_BPS, protocolFeeBps
            );
    }

    function _post(JobSpec calldata spec) private nonReentrant whenNotPaused returns (JobId job) {
        uint256 word = _checkedWord(spec);
        uint256 amount = _quote(spec);
        if (amount > type(uint88).max) _fail("escrow", 1, type(uint88).max, amount);
        uint64 id = ++jobCount;
        job = JobId.wrap(id);
        Job storage stored = _jobs[job];
        if (protocolFeeBps != 0) {
            word |= JobWord.RARE;
            stored.protocolFeeBps = protocolFeeBps;
        }
        stored.word = word;
        (stored.requester, stored.held) = (msg.sender, uint88(amount));
        emit JobPosted(job, msg.sender, spec.manifest, word, spec.units, spec.unitPrice);
        Transfers.pull(paymentToken, msg.sender, address(this), amount);
    }

    /// @inheritdoc IJobMarket
    function postCase(JobId job, uint32 shard, uint8 judges, uint8 quorum)
        external
        returns (JobId caseJob, uint256 bond)
    {
        _onlyCourt();
        uint256 word = _jobs[job].word;
        bond = Payout.escrow(word.tasksIn(shard), judges, word.taskPrice(), SETTLE_FEE_BPS, 0);
        // The pool's maxShardPay leaves room for fifteen judges and the highest fee.
        word = word.caseWord(shard, _countingEpoch(), judges, quorum);
        caseJob = JobId.wrap(++jobCount);
        Job storage stored = _jobs[caseJob];
        stored.word = word;
        (stored.requester, stored.held) = (msg.sender, uint88(bond));
        emit CasePosted(caseJob, job, shard, word);
    }

    /// @inheritdoc IJobMarket
    function forfeit(NodeId node) external returns (uint256 amount) {
        _onlyCourt();
        amount = _forfeit(node);
        if (amount == 0) return 0;
        _owe(msg.sender, amount);
        emit Forfeited(node, amount);
    }

    function _onlyCourt() private view {
        if (msg.sender != court) revert NotCourt(msg.sender);
    }

    /// @dev Everything `post` refuses, and the job's word.
    function _checkedWord(JobSpec calldata spec) private view returns (uint256) {
        if (spec.class != AnswerClass.EXACT) revert ClassNotSupported(spec.class);
        if (spec.appealEpochs != 0 && court == address(0)) revert NoCourt(spec.appealEpochs);
        if (spec.tasks == 0) _fail("tasks", 1, type(uint32).max, 0);
        if (spec.shardSize == 0) _fail("shardSize", 1, type(uint24).max, 0);
        if (spec.committee == 0 || spec.committee > Sortition.MAX_COMMITTEE) {
            _fail("committee", 1, Sortition.MAX_COMMITTEE, spec.committee);
        }
        if (spec.quorum <= spec.committee / 2 || spec.quorum > spec.committee) {
            _fail("quorum", spec.committee / 2 + 1, spec.committee, spec.quorum);
        }
        if (spec.work == 0 || spec.work > MAX_WORK) _fail("work", 1, MAX_WORK, spec.work);
        if (spec.maxAttempts == 0 || spec.maxAttempts > MAX_ATTEMPTS) {
            _fail("maxAttempts", 1, MAX_ATTEMPTS, spec.maxAttempts);
        }
        if (spec.units == 0) _fail("units", 1, type(uint32).max, 0);
        uint256 life = Epochs.lifeOf(spec.maxAttempts, spec.work, SETTLE_GRACE, spec.appealEpochs, REPORT_EPOCHS);
        if (life >= RING) revert JobTooLong(RING - 1, life);
        uint256 price = uint256(spec.units) * spec.unitPrice;
        if (price == 0 || price > type(uint88).max) _fail("taskPrice", 1, type(uint88).max, price);
        uint256 pace = _checkedAgainstPool(spec, price);
        uint256 spread;
        unchecked {
            spread = (uint256(spec.tasks) - 1) / spec.shardSize / pace + 1;
        }
        if (spread > MAX_SPREAD) _fail("epochs of shards", 1, MAX_SPREAD, spread);
        uint256 postEpoch = _countingEpoch();
        return price << 168 | uint256(spec.tasks) << 136 | uint256(spec.shardSize) << 112 | postEpoch << 80 | pace << 64
            | uint256(PoolId.unwrap(spec.pool)) << 48 | uint256(spec.committee) << 40 | uint256(spec.quorum) << 32
            | uint256(spec.work) << 24 | uint256(spec.maxAttempts) << 16 | uint256(spec.class) << 8 | spec.appealEpochs;
    }

    function _checkedAgainstPool(JobSpec calldata spec, uint256 price) private view returns (uint256 pace) {
        uint256 inShard = spec.tasks < spec.shardSize ? spec.tasks : spec.shardSize;
        uint256 nodes = spec.committee + (spec.appealEpochs == 0 ? 0 : _judges);
        uint256 bound = 2 * registry.admit(spec.pool, nodes, spec.unitPrice, price * inShard) / spec.committee;
        if (bound > type(uint16).max) bound = type(uint16).max;
        if (spec.pace > bound) _fail("pace", 0, bound, spec.pace);
        return spec.pace == 0 ? bound : spec.pace;
    }

    // --- cancel and close -----------------------------------------------------------------------------------------

    /// @inheritdoc IJobMarket
    function cancel(JobId job) external returns (uint256 refund) {
        Job storage stored = _mine(job);
        uint256 word = stored.word;
        uint256 kept = (_countingEpoch() + 1 - word.postEpoch()) * word.pace();
        if (kept >= word.shards()) revert NothingToCancel(job);
        uint256 left = word.withTasks(kept * word.shardSize());
        refund = _escrowOf(word, stored) - _escrowOf(left, stored);
        // A job that becomes short moves its bits to where a short one keeps them.
        if (word.shards() > SHORT && kept <= SHORT) stored.settledBits = uint8(_settledBits[job][0]);
        stored.word = left;
        stored.held -= uint88(refund);
        _owe(msg.sender, refund);
        emit JobCancelled(job, uint32(left.tasks()), refund);
    }

    /// @inheritdoc IJobMarket
    function close(JobId job) external returns (uint256 refund) {
        Job storage stored = _known(job);
        uint256 from = _closableFrom(stored.word);
        if (stored.word & JobWord.CASE != 0) {
            // The Court passes on what comes back. Without a settlement there is nothing to claim.
            _onlyCourt();
            if (stored.settledBits == 0) from -= REPORT_EPOCHS;
        }
        if (_epoch() < from) revert NotClosable(job, uint32(from), uint32(_epoch()));
        refund = stored.held;
        if (refund == 0) revert AlreadyClosed(job);
        stored.held = 0;
        _owe(stored.requester, refund);
        emit JobClosed(job, refund);
    }

    // --- administration -------------------------------------------------------------------------------------------

    /// @inheritdoc IJobMarket
    function setProtocolFee(uint16 bps, address recipient) external restricted {
        if (bps > MAX_PROTOCOL_FEE_BPS) _fail("protocolFeeBps", 0, MAX_PROTOCOL_FEE_BPS, bps);
        // Jobs posted before keep their fee, so a recipient once set is only replaced.
        if (recipient == address(0) && (bps != 0 || feeRecipient != address(0))) {
            _fail("recipient", 1, type(uint160).max, 0);
        }
        (protocolFeeBps, feeRecipient) = (bps, recipient);
        emit ProtocolFeeSet(bps, recipient);
    }

    /// @inheritdoc IJobMarket
    function pause() external restricted {
        _pause();
    }

    /// @inheritdoc IJobMarket
    function unpause() external restricted {
        _unpause();
    }

    // --- inside ---------------------------------------------------------------------------------------------------

    /// @inheritdoc IJobMarket
    function jobView(JobId job) external view returns (JobView memory v) {
        Job storage stored = _known(job);
        uint256 word = stored.word;
        v.requester = stored.requester;
        v.pool = PoolId.wrap(uint16(word.pool()));
        v.class = word.class();
        v.tasks = uint32(word.tasks());
        v.shardSize = uint24(word.shardSize());
        v.postEpoch = uint32(word.postEpoch());
        v.pace = uint16(word.pace());
        v.committee = uint8(word.committee());
        v.quorum = uint8(word.quorum());
        v.work = uint8(word.work());
        v.maxAttempts = uint8(word.maxAttempts());
        v.appealEpochs = uint8(word.appealEpochs());
        v.taskPrice = uint88(word.taskPrice());
        v.held = stored.held;
        v.protocolFeeBps = stored.protocolFeeBps;
        v.closableFrom = uint32(_closableFrom(word));
    }

    /// @inheritdoc IJobMarket
    function jobWord(JobId job) external view returns (uint256) {
        return _known(job).word;
    }

    function _known(JobId job) internal view returns (Job storage stored) {
        stored = _jobs[job];
        if (stored.word == 0) revert UnknownJob(job);
    }

    function _mine(JobId job) private view returns (Job storage stored) {
        stored = _known(job);
        if (stored.requester != msg.sender) revert NotRequester(job, stored.requester, msg.sender);
    }

    function _escrowOf(uint256 word, Job storage stored) private view returns (uint256) {
        return Payout.escrow(word.tasks(), word.committee(), word.taskPrice(), SETTLE_FEE_BPS, stored.protocolFeeBps);
    }

    /// @dev Last epoch in which an attempt of a shard may be settled.
    function _lastOf(uint256 word, uint256 shard) internal view returns (uint256) {
        return Epochs.lastOf(
            Epochs.firstOf(word.postEpoch(), shard, word.pace()), word.maxAttempts(), word.work(), SETTLE_GRACE
        );
    }

    function _closableFrom(uint256 word) private view returns (uint256) {
        return Epochs.closableFrom(
            _lastOf(word, word.shards() - 1),
            word.maxAttempts(),
            word.work(),
            SETTLE_GRACE,
            word.appealEpochs(),
            REPORT_EPOCHS
        );
    }

    function _fail(string memory field, uint256 min, uint256 max, uint256 actual) private pure {
        revert OutOfRange(field, min, max, actual);
    }
}
