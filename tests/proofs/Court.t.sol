// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {JobId, NodeId} from "../../contracts/interfaces/Types.sol";
import {ICommitLedger} from "../../contracts/interfaces/ICommitLedger.sol";
import {IJobMarket} from "../../contracts/interfaces/IJobMarket.sol";
import {INodeRegistry} from "../../contracts/interfaces/INodeRegistry.sol";
import {Trees} from "../../contracts/libraries/Trees.sol";
import {Court} from "../../contracts/Court.sol";
import {Proof} from "./Proof.sol";
import {LedgerStub, MarketStub, RegistryStub} from "./Stubs.sol";

/// @title Where a case's money goes
/// @dev The real Court, on a market that says anything about bond, forfeited pay and refund.
contract CourtProof is Proof {
    JobId private constant JOB = JobId.wrap(1);
    uint32 private constant SETTLED = 104;
    /// @dev Settled in epoch 104 and at once appealed: the case starts in 105; 3 attempts of 3 epochs, and the grace.
    uint32 private constant LAST = 105 + 9 - 1 + 8;
    bytes32 private constant ROOT = keccak256("settled");
    /// @dev Two paid slots of five tasks at 1,000, and the settle fee.
    uint256 private constant PRICE = 10_100;
    address private constant BURNED = 0x000000000000000000000000000000000000dEaD;

    RegistryStub private _registry;
    LedgerStub private _ledger;
    MarketStub private _market;
    Court private _court;

    function setUp() public {
        _registry = new RegistryStub();
        _ledger = new LedgerStub();
        _market = new MarketStub();
        _court = new Court(INodeRegistry(address(_registry)), ICommitLedger(address(_ledger)), 5, 5_000);
        _registry.wire(address(_market), address(_court));
        _registry.seat(11 << 224 | 12 << 192 | 13 << 160, 0);
    }

    /// @dev price 1,000; tasks 5; shard size 5; posted in 100; pace 1; pool 1; c 3; q 2; work 1; attempts 3; appeals 7.
    function _word() private pure returns (uint256) {
        return uint256(1_000) << 168 | uint256(5) << 136 | uint256(5) << 112 | uint256(100) << 80 | 1 << 64 | 1 << 48
            | 3 << 40 | 2 << 32 | 1 << 24 | 3 << 16 | 7;
    }

    function _receipt(bytes32 root) private pure returns (IJobMarket.Receipt memory receipt) {
        receipt.paidSlots = 3;
        receipt.resultRoot = root;
    }

    function _appeal(uint88 bond) private {
        _market.appealed(_word(), bond, SETTLED);
        vm.roll(uint256(SETTLED) * 10);
        _court.appeal(JOB, 0, _receipt(ROOT));
    }

    function _resolve(bytes32 verdict, uint112 first, uint112 second) private {
        _market.ended(true, 0);
        _market.owe(11, first);
        _market.owe(12, second);
        _court.resolve(JOB, 0, _receipt(verdict));
    }

    function _got(address account) private view returns (uint256) {
        return _market.assigned(account);
    }

    function _node(uint32 node) private pure returns (NodeId) {
        return NodeId.wrap(node);
    }

    function _min(uint256 a, uint256 b) private pure returns (uint256) {
        return a < b ? a : b;
    }

    // --- appeal ---------------------------------------------------------------------------------------------------

    function check_appeal__anyBlock__isTakenUntilTheWindowIsOver(uint24 number) public {
        _market.appealed(_word(), 1, SETTLED);
        vm.roll(number);
        (bool done,) = address(_court).call(abi.encodeCall(_court.appeal, (JOB, 0, _receipt(ROOT))));
        assert(done == ((uint256(number) + 4) / 10 <= SETTLED + 7));
    }

    function check_appeal__anyBond__isPulledAndOnlyOnce(uint88 bond) public {
        _appeal(bond);
        assert(_market.balanceOf(address(_market)) == bond);
        (bool done,) = address(_court).call(abi.encodeCall(_court.appeal, (JOB, 0, _receipt(ROOT))));
        assert(!done);
    }

    function check_exclusions__anyCommittee__areItsMembersAndItsStart(uint256 low, uint224 high) public {
        _registry.seat(low, uint256(high) << 32);
        _appeal(1);
        (uint256 heldBefore, uint256 barredLow, uint256 barredHigh) = _court.exclusions(JobId.wrap(2));
        assert(heldBefore == 101);
        assert(both(barredLow == low, barredHigh == uint256(high) << 32));
    }

    // --- verdicts -------------------------------------------------------------------------------------------------

    function check_resolve__overturned__paysAccuserThenRequesterThenNobody(
        uint88 bond,
        uint112 first,
        uint112 second,
        bytes32 verdict
    ) public {
        vm.assume(verdict != ROOT);
        _appeal(bond);
        _resolve(verdict, first, second);
        uint256 taken = uint256(first) + second;
        uint256 accuser = _min(taken, bond);
        uint256 requester = _min(taken - accuser, PRICE);
        assert(_got(address(this)) == accuser);
        assert(_got(_market.REQUESTER()) == requester);
        assert(_got(BURNED) == taken - accuser - requester);
    }

    function check_closeCase__overturned__makesTheAccuserWholeAndNeverMore(
        uint88 bond,
        uint112 forfeited,
        uint88 refund
    ) public {
        vm.assume(refund <= bond);
        _appeal(bond);
        _resolve(keccak256("verdict"), forfeited, 0);
        _market.ended(true, refund);
        _court.closeCase(JOB, 0);
        uint256 money = uint256(forfeited) + refund;
        assert(_got(address(this)) == _min(money, bond));
        assert(_got(_market.REQUESTER()) <= PRICE);
        assert(_got(address(this)) + _got(_market.REQUESTER()) + _got(BURNED) == money);
    }

    function check_resolve__upheld__takesNothing(uint88 bond, uint112 first, uint112 second) public {
        _appeal(bond);
        _resolve(ROOT, first, second);
        assert(_got(address(this)) == 0 && _got(_market.REQUESTER()) == 0 && _got(BURNED) == 0);
        assert(_market.forfeit(_node(11)) == first && _market.forfeit(_node(12)) == second);
    }

    function check_closeCase__upheld__givesWhatTheJudgesDidNotEarnBack(uint88 bond, uint88 refund) public {
        vm.assume(refund <= bond);
        _appeal(bond);
        _resolve(ROOT, 1, 1);
        _market.ended(true, refund);
        _court.closeCase(JOB, 0);
        assert(_got(address(this)) == refund && _got(_market.REQUESTER()) == 0 && _got(BURNED) == 0);
    }

    function check_resolve__noVerdict__burnsTheBondOnlyAfterTheLastEpoch(uint88 bond, uint24 number) public {
        _appeal(bond);
        _market.ended(false, bond);
        vm.roll(number);
        (bool done,) = address(_court).call(abi.encodeCall(_court.resolve, (JOB, 0, _receipt(ROOT))));
        assert(done == (number / 10 > LAST));
        assert(_got(BURNED) == (done ? bond : 0));
        assert(_got(address(this)) == 0 && _got(_market.REQUESTER()) == 0);
    }

    function check_resolve__anyVerdict__standsOnce(bytes32 verdict, bytes32 second) public {
        _appeal(5);
        _resolve(verdict, 1, 1);
        (bool done,) = address(_court).call(abi.encodeCall(_court.resolve, (JOB, 0, _receipt(second))));
        assert(!done);
        (, bytes32 stands,) = _court.status(JOB, 0);
        assert(stands == verdict);
    }

    function refute_resolve__overturned__paysTheRequesterInFull(uint88 bond, uint112 forfeited) public {
        _appeal(bond);
        _resolve(keccak256("verdict"), forfeited, 0);
        assert(_got(_market.REQUESTER()) == PRICE);
    }

    // --- wrong answers --------------------------------------------------------------------------------------------

    /// @dev Slot 2 of attempt 0 committed in epoch 101, a batch of that one leaf.
    function _report(bytes32 root) private returns (bool done) {
        bytes32 leaf = Trees.batchLeaf(1 << 32, root);
        _ledger.open(uint256(101) << 224 | uint256(1) << 216 | uint216(bytes27(leaf)));
        bytes memory opening =
            abi.encodePacked(uint8(0), uint16(1), uint16(0), uint16(1), uint16(0), uint16(1), uint8(0));
        (done,) = address(_court).call(abi.encodeCall(_court.reportWrong, (JOB, 0, 0, 2, root, opening)));
    }

    function check_reportWrong__anyAnswer__isWrongIfItIsNotTheVerdict(bytes32 root) public {
        _appeal(5);
        _resolve(keccak256("verdict"), 1, 1);
        bool done = _report(root);
        assert(done == (root != keccak256("verdict")));
        assert(_registry.slashes() == (done ? 1 : 0) && _ledger.marks() == (done ? 1 : 0));
    }

    function check_reportWrong__upheldVerdict__burnsAllThatIsForfeited(uint88 bond, uint112 forfeited) public {
        _appeal(bond);
        _resolve(ROOT, 0, 0);
        _market.owe(13, forfeited);
        assert(_report(keccak256("wrong")));
        assert(_got(BURNED) == forfeited && _got(address(this)) == 0 && _got(_market.REQUESTER()) == 0);
    }

    function check_reportWrong__overturned__goesOnWhereTheVerdictLeftOff(uint88 bond, uint96 first, uint96 later)
        public
    {
        _appeal(bond);
        _resolve(keccak256("verdict"), first, 0);
        _market.owe(13, later);
        assert(_report(keccak256("wrong")));
        uint256 money = uint256(first) + later;
        assert(_got(address(this)) == _min(money, bond));
        assert(_got(_market.REQUESTER()) == _min(money - _min(money, bond), PRICE));
        assert(_got(address(this)) + _got(_market.REQUESTER()) + _got(BURNED) == money);
    }
}
