// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IJobMarket} from "../../../contracts/interfaces/IJobMarket.sol";
import {JobId, NodeId, ShardStatus} from "../../../contracts/interfaces/Types.sol";
import {Scenes} from "./Scenes.sol";
import {SettleCalls} from "./SettleCalls.sol";

/// @title A shard that settled, rightly or not, its appeal and its judges
/// @dev Ten nodes of one seat. The job has five tasks in shards of three: what is appealed is its second shard, of two
/// tasks, so that nothing depends on shard 0 or on full shards. A case has five judges, of whom four must agree.
abstract contract CourtScenes is Scenes {
    bytes32 internal constant TRUTH = keccak256("truth");
    bytes32 internal constant LIE = keccak256("lie");
    /// @dev In place of an answer: an empty batch; a batch that is never opened; none at all.
    bytes32 internal constant PASS = 0;
    bytes32 internal constant SHY = bytes32(uint256(1));
    bytes32 internal constant ABSENT = bytes32(uint256(2));

    uint32 internal constant SHARD = 1;
    uint256 internal constant PRICE = 12_000;
    uint256 internal constant PAY = 2 * PRICE;
    uint256 internal constant BOND = 5 * PAY + 5 * PAY / 100;
    uint256 internal constant PURSE = 1e18;
    address internal constant BURNED = 0x000000000000000000000000000000000000dEaD;

    address internal accuser = _actor("accuser");
    JobId internal job;
    Answer internal settled; // what settled, with its receipt
    IJobMarket.Receipt internal receipt;
    JobId internal caseJob;
    Answer internal verdict; // what the case settled with, and its receipt
    IJobMarket.Receipt internal verdictReceipt;
    NodeId[] private standIns;

    function _courtOf() internal virtual override returns (address) {
        return _newCourt();
    }

    function setUp() public virtual override {
        super.setUp();
        _cast(10);
        _purse();
    }

    function _purse() internal virtual {
        vm.prank(requester);
        payToken.transfer(accuser, PURSE);
        vm.prank(accuser);
        payToken.approve(address(court), type(uint256).max);
    }

    function _spec() internal view virtual override returns (IJobMarket.JobSpec memory spec) {
        spec = super._spec();
        (spec.tasks, spec.shardSize, spec.pace, spec.appealEpochs) = (5, 3, 2, 7);
    }

    // --- answers slot by slot -------------------------------------------------------------------------------------

    /// @dev `count` times `first`, then `second`.
    function _mix(uint256 size, uint256 count, bytes32 first, bytes32 second)
        internal
        pure
        returns (bytes32[] memory roots)
    {
        roots = new bytes32[](size);
        for (uint256 i; i < size; ++i) {
            roots[i] = i < count ? first : second;
        }
    }

    /// @dev Plays an attempt with an answer for each slot; ends in block 2 of the reveal epoch, ready to settle.
    function _answerWith(JobId on, uint256 shard, uint256 attempt, bytes32[] memory roots) internal {
        uint256 commitEpoch = _commitEpochOf(_id(on), shard, attempt);
        _rollTo(commitEpoch, 2);
        uint256[] memory slots = _committee(_id(on), shard, attempt);
        for (uint256 i; i < slots.length; ++i) {
            if (slots[i] == 0 || roots[i] == ABSENT) continue;
            bytes32 root = roots[i] == SHY ? TRUTH : roots[i];
            _commit(_node(slots[i]), roots[i] == PASS ? bytes("") : _leaf(_id(on), shard, root));
        }
        _rollTo(commitEpoch + 1, 2);
        for (uint256 i; i < slots.length; ++i) {
            if (slots[i] == 0 || roots[i] == ABSENT || roots[i] == SHY) continue;
            _reveal(_node(slots[i]), commitEpoch);
        }
        _seeds(_one(Answer(_id(on), shard, attempt, 0)));
    }

    // --- a settled shard ------------------------------------------------------------------------------------------

    /// @dev Settles what was opened for `root`, but for the hidden slots (then an epoch later, when nobody is waited for).
    function _settleAs(JobId on, uint256 shard, uint256 attempt, bytes32 root, uint16 hidden)
        internal
        returns (Answer memory answer, IJobMarket.Receipt memory receipt_)
    {
        answer = Answer(_id(on), shard, attempt, root);
        if (hidden != 0) _rollTo(_epoch() + 1, 2);
        uint16 paid = _paidSlots(answer) & ~hidden;
        assertEq(_send(_planWithout(answer, hidden), stranger), 1, "scene: settles");
        receipt_ = _receipt(answer, paid);
    }

    /// @dev The job of `spec`, whose shard settles with `root` in attempt 0.
    function _settled(IJobMarket.JobSpec memory spec, bytes32[] memory roots, bytes32 root, uint16 hidden) internal {
        job = _post(spec);
        _answerWith(job, SHARD, 0, roots);
        (settled, receipt) = _settleAs(job, SHARD, 0, root, hidden);
    }

    /// @dev Two liars outvote an honest member, in slot 2.
    function _lieSettled() internal {
        _settled(_spec(), _mix(3, 2, LIE, TRUTH), LIE, 0);
    }

    /// @dev Two honest members outvote a liar, in slot 2.
    function _truthSettled() internal {
        _settled(_spec(), _mix(3, 2, TRUTH, LIE), TRUTH, 0);
    }

    // --- a case ---------------------------------------------------------------------------------------------------

    function _appeal() internal {
        vm.prank(accuser);
        caseJob = court.appeal(job, SHARD, receipt);
    }

    /// @dev The member in a slot itself appeals, with its key and what its operator has and allows.
    function _appealAsMember(uint256 slot, uint256 purse) internal {
        vm.prank(requester);
        payToken.transfer(operator, purse);
        vm.prank(operator);
        payToken.approve(address(court), purse);
        vm.prank(keyOf[_seat(slot)]);
        caseJob = court.appeal(job, SHARD, receipt);
    }

    /// @dev `agreeing` of five judges answer `root` in an attempt of the case, the others `other`; it settles.
    function _judged(uint256 attempt, bytes32 root, uint256 agreeing, bytes32 other, uint16 hidden) internal {
        _answerWith(caseJob, 0, attempt, _mix(5, agreeing, root, other));
        (verdict, verdictReceipt) = _settleAs(caseJob, 0, attempt, root, hidden);
    }

    /// @dev All five judges say so.
    function _judged(bytes32 root) internal {
        _judged(0, root, 5, root, 0);
    }

    function _resolve() internal {
        vm.prank(stranger);
        court.resolve(job, SHARD, verdictReceipt);
    }

    /// @dev Appealed, judged and resolved; ends in the epoch in which the case settled.
    function _ruled(bytes32 root) internal {
        _appeal();
        _judged(root);
        _resolve();
    }

    /// @dev Appealed, and no judge ever answers: the first block after the case.
    function _unjudged() internal {
        _appeal();
        _rollTo(uint256(court.caseOf(job, SHARD).last) + 1);
    }

    // --- what is asked --------------------------------------------------------------------------------------------

    function _seat(uint256 slot) internal view returns (NodeId) {
        return _member(_id(job), SHARD, settled.attempt, slot);
    }

    function _judge(uint256 slot) internal view returns (NodeId) {
        return _member(_id(caseJob), 0, verdict.attempt, slot);
    }

    function _due() internal view returns (uint256 toAccuser, uint256 toRequester) {
        return (court.caseOf(job, SHARD).accuserDue, court.caseOf(job, SHARD).requesterDue);
    }

    function _assertOwed(uint256 toAccuser, uint256 toRequester, uint256 burned, string memory why) internal view {
        assertEq(market.owedTo(accuser), toAccuser, string.concat(why, ": accuser"));
        assertEq(market.owedTo(requester), toRequester, string.concat(why, ": requester"));
        assertEq(market.owedTo(BURNED), burned, string.concat(why, ": burned"));
        assertEq(market.owedTo(address(court)), 0, string.concat(why, ": the Court keeps nothing"));
        assertEq(payToken.balanceOf(address(court)), 0, string.concat(why, ": nor holds anything"));
    }

    /// @dev Every token of the market is somebody's, and nobody's twice.
    function _assertSolvent() internal view {
        address[] memory accounts = new address[](6);
        (accounts[0], accounts[1], accounts[2]) = (requester, accuser, stranger);
        (accounts[3], accounts[4], accounts[5]) = (BURNED, address(court), rival);
        assertEq(payToken.balanceOf(address(market)), _marketOwes(accounts), "balance is what is owed");
    }

    function _assertCase(ShardStatus expected, bytes32 root, uint256 ended, string memory why) internal view {
        (ShardStatus status, bytes32 verdict_, uint32 ended_) = court.status(job, SHARD);
        assertEq(uint256(status), uint256(expected), why);
        assertEq(verdict_, root, string.concat(why, ": verdict"));
        assertEq(ended_, ended, string.concat(why, ": ended"));
    }

    /// @dev An opening as `reportWrong` reads it: the node's own answer to the shard, in its batch of that attempt.
    function _ownOpening(JobId on, uint256 shard, uint256 attempt, bytes32 root, NodeId node)
        internal
        view
        returns (bytes memory)
    {
        return _claimOpening(Answer(_id(on), shard, attempt, root), node);
    }

    /// @dev Nodes that come back for a post, which asks for judges beside the committee, and never for a draw: pausing
    /// where a pause ended goes on with it.
    function _standIns(bool present) private {
        if (standIns.length == 0) {
            for (uint256 i; i < _judges(); ++i) {
                standIns.push(_register(rival, 1));
            }
        } else if (present) {
            for (uint256 i; i < standIns.length; ++i) {
                vm.prank(rival);
                registry.resumeNode(standIns[i]);
            }
        }
        for (uint256 i; !present && i < standIns.length; ++i) {
            vm.prank(rival);
            registry.pauseNode(standIns[i]);
        }
    }

    /// @dev All ten nodes earn the same, immature, with one job for all of them.
    function _fortune(uint64 unitPrice) internal {
        IJobMarket.JobSpec memory spec = super._spec();
        (spec.committee, spec.quorum, spec.appealEpochs) = (10, 6, 1);
        (spec.units, spec.unitPrice) = (1, unitPrice);
        _standIns(true);
        JobId big = _post(spec);
        _standIns(false);
        _answerWith(big, 0, 0, _mix(10, 10, TRUTH, TRUTH));
        _settleAs(big, 0, 0, TRUTH, 0);
        _rollTo(_counting() + 1);
    }
}
