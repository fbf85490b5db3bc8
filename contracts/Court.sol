// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {JobId, NodeId, ShardStatus} from "./interfaces/Types.sol";
import {ICommitLedger} from "./interfaces/ICommitLedger.sol";
import {ICourt} from "./interfaces/ICourt.sol";
import {IJobMarket} from "./interfaces/IJobMarket.sol";
import {INodeRegistry} from "./interfaces/INodeRegistry.sol";
import {Epochs} from "./libraries/Epochs.sol";
import {JobWord} from "./libraries/JobWord.sol";
import {Payout} from "./libraries/Payout.sol";
import {Sortition} from "./libraries/Sortition.sol";
import {Transfers} from "./libraries/Transfers.sol";
import {Trees} from "./libraries/Trees.sol";
import {Members} from "./market/Members.sol";
import {Openings} from "./market/Openings.sol";
import {Clock} from "./Clock.sol";

/// @title Court
/// @notice Appeals; every promise is in ICourt.
/// @dev A case's money is never here. The bond is the escrow of its job in the market; the market pays the judges from
/// it. What is forfeited and what comes back is owed to the Court by the market for the length of one call, in which it
/// is assigned: to the accuser until he is whole, then to the requester, the rest to nobody.
contract Court is ICourt, Clock, ReentrancyGuardTransient {
    using JobWord for uint256;

    /// @dev Six words a case; all but the verdict's are written by `appeal`.
    struct Case {
        // slot 0
        address accuser;
        JobId caseJob;
        uint32 last;
        // slot 1
        bytes32 settledRoot;
        // slot 2
        bytes32 verdict;
        // slot 3
        uint88 accuserDue;
        uint88 requesterDue;
        uint32 ended;
        uint16 paidSlots;
        uint8 attempt;
        bool burned;
        // slots 4, 5: the appealed committee; seats held before `heldBefore` may judge
        uint256 low;
        uint224 high;
        uint32 heldBefore;
    }

    /// @notice Where what nobody may keep goes: a payment token need not know how to burn.
    address public constant BURNED = 0x000000000000000000000000000000000000dEaD;

    INodeRegistry public immutable registry;
    ICommitLedger public immutable ledger;
    /// @inheritdoc ICourt
    uint8 public immutable override JUDGES;
    /// @inheritdoc ICourt
    uint16 public immutable override WRONG_BPS;

    mapping(JobId job => mapping(uint32 shard => Case)) private _cases;
    /// @dev `job << 32 | shard` that a case job is about.
    mapping(JobId caseJob => uint256 key) private _about;

    constructor(INodeRegistry registry_, ICommitLedger ledger_, uint8 judges, uint16 wrongBps)
        Clock(registry_.EPOCH_BLOCKS(), registry_.RING(), registry_.LEAD())
    {
        checkRange("JUDGES", 1, Sortition.MAX_COMMITTEE, judges);
        checkRange("WRONG_BPS", 1, 10_000, wrongBps);
        (registry, ledger) = (registry_, ledger_);
        (JUDGES, WRONG_BPS) = (judges, wrongBps);
    }

    // --- appeal ---------------------------------------------------------------------------------------------------

    /// @inheritdoc ICourt
    // slither-disable-next-line reentrancy-no-eth guarded, and the token is called last
    function appeal(JobId job, uint32 shard, IJobMarket.Receipt calldata receipt)
        external
        nonReentrant
        returns (JobId caseJob)
    {
        IJobMarket market_ = _market();
        Case storage c = _cases[job][shard];
        if (JobId.unwrap(c.caseJob) != 0) revert AlreadyAppealed(job, shard, c.caseJob);
        uint256 word = market_.jobWord(job);
        uint256 settledAt = _settledAt(market_, job, shard, receipt);
        if (settledAt == 0) revert IJobMarket.NotSettled(job, shard);
        if (word.appealEpochs() == 0) revert NotAppealable(job);
        uint256 counting = _countingEpoch();
        uint256 until = settledAt + word.appealEpochs();
        if (counting > until) revert IJobMarket.TooLate(job, shard, uint32(until), uint32(counting));

        _remember(c, job, word, shard, receipt);
        uint256 bond;
        (caseJob, bond) = market_.postCase(job, shard, JUDGES, uint8((2 * uint256(JUDGES) + 2) / 3));
        c.caseJob = caseJob;
        c.last = uint32(Epochs.lastOf(counting + 1, word.maxAttempts(), word.work(), market_.SETTLE_GRACE()));
        c.accuserDue = uint88(bond);
        _about[caseJob] = _key(job, shard);
        c.accuser = registry.payeeOf(msg.sender);
        emit Appealed(
            job, shard, caseJob, c.accuser, bond, receipt.resultRoot, c.low, uint256(c.high) << 32, c.heldBefore
        );
        Transfers.pull(market_.paymentToken(), c.accuser, address(market_), bond);
    }

    /// @dev What is appealed: the answer, who was paid for it, and who sat on its committee.
    function _remember(Case storage c, JobId job, uint256 word, uint32 shard, IJobMarket.Receipt calldata receipt)
        private
    {
        uint256 start = word.startOf(shard, receipt.attempt);
        (uint256 low, uint256 high) = Members.committee(registry, ledger, word, _key(job, shard), start);
        (c.settledRoot, c.attempt, c.paidSlots) = (receipt.resultRoot, receipt.attempt, receipt.paidSlots);
        // Bits 32 and up: the eighth to fifteenth slots fill 224 bits from the left.
        (c.low, c.high, c.heldBefore) = (low, uint224(high >> 32), uint32(start));
    }

    // --- resolve --------------------------------------------------------------------------------------------------

    /// @inheritdoc ICourt
    function resolve(JobId job, uint32 shard, IJobMarket.Receipt calldata verdict) external {
        Case storage c = _existing(job, shard);
        if (c.ended != 0 || c.burned) revert AlreadyResolved(job, shard);
        IJobMarket market_ = _market();
        JobId caseJob = c.caseJob;
        if (market_.isSettled(caseJob, 0)) {
            uint256 ended = _settledAt(market_, caseJob, 0, verdict);
            if (ended == 0) revert IJobMarket.NotSettled(caseJob, 0);
            return _judge(market_, c, job, shard, verdict.resultRoot, uint32(ended));
        }
        if (_epoch() <= c.last) revert CaseOpen(job, shard, caseJob, c.last);
        c.burned = true;
        (c.accuserDue, c.requesterDue) = (0, 0);
        uint256 amount = market_.close(caseJob);
        emit EndedWithoutVerdict(job, shard, caseJob, amount);
        market_.assign(BURNED, amount);
    }

    function _judge(IJobMarket market_, Case storage c, JobId job, uint32 shard, bytes32 verdict, uint32 ended)
        private
    {
        (c.verdict, c.ended) = (verdict, ended);
        bool overturned = verdict != c.settledRoot;
        // slither-disable-next-line uninitialized-local zero is where it begins
        uint256 forfeited;
        if (overturned) {
            (uint256 low, uint256 high) = (c.low, uint256(c.high) << 32);
            // slither-disable-next-line uninitialized-local zero is where it begins
            uint256 paid;
            for (uint256 slot; slot < Sortition.MAX_COMMITTEE; ++slot) {
                if (c.paidSlots >> slot & 1 == 0) continue;
                ++paid;
                forfeited += market_.forfeit(NodeId.wrap(uint32(Sortition.slot(low, high, slot))));
            }
            c.requesterDue = uint88(_shardPrice(market_, job, shard, paid));
        }
        emit Resolved(job, shard, c.caseJob, verdict, overturned, forfeited);
        _pour(market_, c, job, forfeited);
    }

    /// @inheritdoc ICourt
    function closeCase(JobId job, uint32 shard) external returns (uint256 refund) {
        Case storage c = _existing(job, shard);
        if (c.ended == 0) revert NoVerdict(job, shard);
        IJobMarket market_ = _market();
        refund = market_.close(c.caseJob);
        emit CaseClosed(job, shard, c.caseJob, refund);
        _pour(market_, c, job, refund);
    }

    /// @dev Money of a case, first to the accuser, then to the requester, until each is whole; what is over is burned.
    /// The accuser is due his whole bond, of which what the judges did not earn comes back later by the same way: so he
    /// never gets more than it, nor less while there is money.
    function _pour(IJobMarket market_, Case storage c, JobId job, uint256 amount) private {
        if (amount == 0) return;
        uint256 part = Math.min(amount, c.accuserDue);
        c.accuserDue -= uint88(part);
        market_.assign(c.accuser, part);
        amount -= part;
        part = Math.min(amount, c.requesterDue);
        c.requesterDue -= uint88(part);
        if (part != 0) market_.assign(market_.jobView(job).requester, part);
        market_.assign(BURNED, amount - part);
    }

    /// @dev What a settled shard took out of the job's escrow.
    function _shardPrice(IJobMarket market_, JobId job, uint32 shard, uint256 paid) private view returns (uint256) {
        uint256 word = market_.jobWord(job);
        uint256 pay = word.taskPrice() * word.tasksIn(shard) * paid;
        return
            pay + Payout.share(pay, market_.SETTLE_FEE_BPS()) + Payout.share(pay, market_.jobView(job).protocolFeeBps);
    }

    // --- wrong answers --------------------------------------------------------------------------------------------

    /// @inheritdoc ICourt
    // slither-disable-next-line unused-return the amount is in the registry's event
    function reportWrong(JobId job, uint32 shard, uint8 attempt, uint8 slot, bytes32 resultRoot, bytes calldata opening)
        external
    {
        Case storage c = _existing(job, shard);
        if (c.ended == 0) revert NoVerdict(job, shard);
        if (resultRoot == c.verdict) revert MatchesVerdict(job, shard, c.verdict);
        IJobMarket market_ = _market();
        uint256 word = market_.jobWord(job);
        if (attempt >= word.maxAttempts()) revert IJobMarket.UnknownAttempt(job, shard, attempt);
        (NodeId node, uint32 commitEpoch) = Members.drawnFor(registry, ledger, word, _key(job, shard), attempt, slot);
        Openings.requireHeld(
            ledger, node, commitEpoch, Trees.batchLeaf(_key(job, shard), resultRoot), opening, type(uint8).max
        );
        ledger.markWrong(node, commitEpoch);
        bool overturned = c.verdict != c.settledRoot;
        // Who brought the truth out has some epochs to report first. Then it is anybody's: else whoever appeals his own lie
        // would keep everybody from proving it. After a verdict that changed nothing nobody else earns: it may be a
        // captured court's.
        bool anybodys = overturned && _epoch() > uint256(c.ended) + market_.REPORT_EPOCHS();
        registry.slash(node, WRONG_BPS, anybodys ? msg.sender : c.accuser, 0);
        uint256 forfeited = market_.forfeit(node);
        emit WrongReported(job, shard, node, attempt, msg.sender, forfeited);
        // An accuser who was wrong himself gets no pay out of somebody else's fault.
        if (overturned) _pour(market_, c, job, forfeited);
        else market_.assign(BURNED, forfeited);
    }

    // --- views ----------------------------------------------------------------------------------------------------

    /// @inheritdoc ICourt
    function status(JobId job, uint32 shard) external view returns (ShardStatus, bytes32, uint32) {
        Case storage c = _cases[job][shard];
        if (JobId.unwrap(c.caseJob) == 0) return (ShardStatus.NONE, 0, 0);
        if (c.ended != 0) return (ShardStatus.FINAL, c.verdict, c.ended);
        if (_epoch() <= c.last || _market().isSettled(c.caseJob, 0)) return (ShardStatus.APPEALED, 0, 0);
        return (ShardStatus.CONTESTED, 0, c.last);
    }

    /// @inheritdoc ICourt
    function caseOf(JobId job, uint32 shard) external view returns (CaseView memory v) {
        Case storage c = _existing(job, shard);
        (v.caseJob, v.accuser, v.settledRoot, v.verdict) = (c.caseJob, c.accuser, c.settledRoot, c.verdict);
        (v.last, v.ended, v.attempt, v.paidSlots, v.burned) = (c.last, c.ended, c.attempt, c.paidSlots, c.burned);
        (v.accuserDue, v.requesterDue) = (c.accuserDue, c.requesterDue);
    }

    /// @inheritdoc ICourt
    function bondOf(JobId job, uint32 shard) external view returns (uint256) {
        IJobMarket market_ = _market();
        uint256 word = market_.jobWord(job);
        if (shard >= word.shards()) revert IJobMarket.UnknownShard(job, shard);
        return Payout.escrow(word.tasksIn(shard), JUDGES, word.taskPrice(), market_.SETTLE_FEE_BPS(), 0);
    }

    /// @inheritdoc ICourt
    function exclusions(JobId caseJob) external view returns (uint256, uint256, uint256) {
        uint256 key = _about[caseJob];
        if (key == 0) revert NotACase(caseJob);
        Case storage c = _cases[JobId.wrap(uint64(key >> 32))][uint32(key)];
        return (c.heldBefore, c.low, uint256(c.high) << 32);
    }

    /// @inheritdoc ICourt
    function market() external view returns (address) {
        return address(_market());
    }

    // --- inside ---------------------------------------------------------------------------------------------------

    /// @dev The registry's wiring is sealed, so this never changes.
    function _market() private view returns (IJobMarket) {
        return IJobMarket(registry.market());
    }

    function _existing(JobId job, uint32 shard) private view returns (Case storage c) {
        c = _cases[job][shard];
        if (JobId.unwrap(c.caseJob) == 0) revert NoCase(job, shard);
    }

    /// @dev Epoch in which a receipt's settlement was recorded, 0 if there is none.
    function _settledAt(IJobMarket market_, JobId job, uint256 shard, IJobMarket.Receipt calldata receipt)
        private
        view
        returns (uint256)
    {
        return market_.settlementEpoch(Members.settlementRoot(job, shard, receipt));
    }

    function _key(JobId job, uint256 shard) private pure returns (uint256) {
        return uint256(JobId.unwrap(job)) << 32 | shard;
    }
}
