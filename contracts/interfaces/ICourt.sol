// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {JobId, NodeId, ShardStatus} from "./Types.sol";
import {IJobMarket} from "./IJobMarket.sol";

/// @title Appeals: a bigger, fresh committee computes a settled shard again
/// @notice Within a job's `appealEpochs` of a shard's settlement anyone may appeal it for a bond that pays the judges. The
/// case is an ordinary job of one shard with the same tasks, posted in the market with the Court as its requester. Once it
/// settles, its root is the verdict and the shard takes its result from it. Nobody loses stake on a quorum's word; after
/// a verdict every opening of the shard that is not the verdict can be reported as wrong.
/// @dev The Court holds no money: bonds go to the market, and what is taken or comes back is assigned there to whom it
/// belongs. A case is one per shard; it depends on nobody's permission and on no pause.
///
/// Not promised: that judges are right. Two thirds of a court can overturn a right answer; what that takes is printed by
/// `quote` from the pool's real seats.
interface ICourt {
    /// @notice A case as stored.
    /// @param caseJob the job that the judges serve; 0 when there is no case
    /// @param accuser who paid the bond and is made whole first
    /// @param settledRoot the answer that was appealed
    /// @param verdict the case's root once resolved, else 0
    /// @param last last epoch in which the case may settle
    /// @param ended epoch in which the verdict settled; 0 before `resolve`
    /// @param attempt the attempt that settled, and its paid slots
    /// @param burned whether it ended without verdict and its bond was burned
    /// @param accuserDue what is still to come to the accuser before anybody else gets any
    /// @param requesterDue what is still to come to the requester after that
    struct CaseView {
        JobId caseJob;
        address accuser;
        bytes32 settledRoot;
        bytes32 verdict;
        uint32 last;
        uint32 ended;
        uint8 attempt;
        uint16 paidSlots;
        bool burned;
        uint88 accuserDue;
        uint88 requesterDue;
    }

    /// @param low the appealed committee, slots 0–7 as uint32 from the left: excluded from judging
    /// @param high slots 8–14 likewise
    /// @param heldBefore judges' seats were held before this epoch
    event Appealed(
        JobId indexed job,
        uint32 indexed shard,
        JobId indexed caseJob,
        address accuser,
        uint256 bond,
        bytes32 settledRoot,
        uint256 low,
        uint256 high,
        uint32 heldBefore
    );
    /// @param forfeited immature pay taken from the members that were paid for another answer
    event Resolved(
        JobId indexed job,
        uint32 indexed shard,
        JobId indexed caseJob,
        bytes32 verdict,
        bool overturned,
        uint256 forfeited
    );
    event EndedWithoutVerdict(JobId indexed job, uint32 indexed shard, JobId indexed caseJob, uint256 burned);
    event WrongReported(
        JobId indexed job, uint32 indexed shard, NodeId indexed node, uint8 attempt, address reporter, uint256 forfeited
    );
    /// @param refund what the judges did not earn
    event CaseClosed(JobId indexed job, uint32 indexed shard, JobId indexed caseJob, uint256 refund);

    error NotAppealable(JobId job);
    error AlreadyAppealed(JobId job, uint32 shard, JobId caseJob);
    error NoCase(JobId job, uint32 shard);
    error CaseOpen(JobId job, uint32 shard, JobId caseJob, uint32 last);
    error AlreadyResolved(JobId job, uint32 shard);
    error NoVerdict(JobId job, uint32 shard);
    error NotACase(JobId job);
    error MatchesVerdict(JobId job, uint32 shard, bytes32 verdict);

    // --- appeal ---------------------------------------------------------------------------------------------------

    /// @notice Appeals a settled shard. A node's key pulls the bond from its operator, who has to allow the Court to
    /// spend it and is the accuser; anybody else pays it himself.
    /// @param receipt the shard's settlement path
    function appeal(JobId job, uint32 shard, IJobMarket.Receipt calldata receipt) external returns (JobId caseJob);

    /// @notice Ends a case and moves the money. Callable by anyone, once the case has settled or cannot any more.
    /// @param verdict the case's settlement path; not looked at when the case ended without verdict
    function resolve(JobId job, uint32 shard, IJobMarket.Receipt calldata verdict) external;

    /// @notice Gives back what the judges of an ended case did not earn, when their claims are over. Callable by anyone.
    function closeCase(JobId job, uint32 shard) external returns (uint256 refund);

    /// @notice Proves that a drawn node opened another answer than the verdict, in any attempt of the shard. The tenth of
    /// the slash that is not burned is the accuser's; after an overturn, once `REPORT_EPOCHS` have passed since the verdict
    /// settled, the caller's. A lane is punished once, by whichever verdict is shown first.
    /// @param resultRoot the answer in its batch
    /// @param opening as in `settle`, its one lane (0) being this slot's and its one entry (0) this shard
    function reportWrong(JobId job, uint32 shard, uint8 attempt, uint8 slot, bytes32 resultRoot, bytes calldata opening)
        external;

    // --- views ----------------------------------------------------------------------------------------------------

    /// @notice Where a shard's case stands: NONE without one; APPEALED until it is resolved; CONTESTED when it can settle
    /// no more; FINAL with its verdict.
    /// @return ended epoch in which the verdict settled, or after which the case could settle no more
    function status(JobId job, uint32 shard) external view returns (ShardStatus, bytes32 verdict, uint32 ended);

    function caseOf(JobId job, uint32 shard) external view returns (CaseView memory);

    /// @notice What an appeal of this shard costs at most.
    function bondOf(JobId job, uint32 shard) external view returns (uint256);

    /// @notice Who may not judge a case: nodes in `low` and `high`, and seats not held before `heldBefore`.
    function exclusions(JobId caseJob) external view returns (uint256 heldBefore, uint256 low, uint256 high);

    function market() external view returns (address);
    function JUDGES() external view returns (uint8);
    function WRONG_BPS() external view returns (uint16);
}
