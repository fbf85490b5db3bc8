// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICommitLedger} from "../../contracts/interfaces/ICommitLedger.sol";
import {ICourt} from "../../contracts/interfaces/ICourt.sol";
import {IJobMarket} from "../../contracts/interfaces/IJobMarket.sol";
import {INodeRegistry} from "../../contracts/interfaces/INodeRegistry.sol";
import {SettleCalls} from "../contracts/support/SettleCalls.sol";
import {Estates} from "./Estates.sol";

/// @title What nobody may do, tried in earnest: every try must be refused, by the name of what is wrong
abstract contract Refusals is Estates {
    function _refused(address target, bytes memory data, bytes4 expected, string memory action) private {
        vm.prank(stranger);
        _refusedAsSent(target, data, expected, action);
    }

    function _refusedAsSent(address target, bytes memory data, bytes4 expected, string memory action) private {
        (bool ok, bytes memory reason) = target.call(data);
        assertFalse(ok, string.concat("must be refused: ", action));
        if (bytes4(reason) != expected) vm.assertEq(bytes32(bytes4(reason)), bytes32(expected), action);
        _did(action);
    }

    function _doForbidden(uint256 seed) internal returns (bool) {
        uint256 what = (seed >> 8) % 4;
        if (what == 0) return _badBatch(seed >> 16);
        if (what == 1) return _badReport(seed >> 16);
        if (live.length == 0) return false;
        uint256 number = live[(seed >> 16) % live.length];
        Piece storage p = pieces[number];
        lastPiece = number;
        return what == 2 ? _badMoney(p, number, seed >> 32) : _badCase(p, number, seed >> 32);
    }

    // --- settle, claim, close -------------------------------------------------------------------------------------

    function _badMoney(Piece storage p, uint256 number, uint256 seed) private returns (bool) {
        if (!p.settled) return _unfounded(p, number, seed);
        if (books[p.job].closableFrom > _now() && seed % 3 == 0) {
            bytes4 reason = p.isCase ? IJobMarket.NotCourt.selector : IJobMarket.NotClosable.selector;
            _refused(address(market), abi.encodeCall(market.close, (_job(p.job))), reason, "close refused");
            return true;
        }
        bytes32 root = _claimable(p);
        uint256 slots = _matching(p, p.attempt, p.root);
        for (uint256 s; s < p.committee && _isInReach(p, p.attempt); ++s) {
            if (slots >> s & 1 == 0 || (root != 0 && (root != p.root || _isUnpaid(p, s, root)))) continue;
            bytes4 reason = IJobMarket.SlotPaid.selector;
            if (root == 0) {
                reason = _now() <= _claimsFrom(p) ? IJobMarket.NotFinal.selector : IJobMarket.TooLate.selector;
            }
            bytes memory opening = _openingFor(p, number, p.attempt, s, p.root);
            bytes memory data = abi.encodeCall(market.claim, (_job(p.job), p.shard, _receiptOf(p), uint8(s), opening));
            _refused(address(market), data, reason, "claim refused");
            return true;
        }
        return false;
    }

    /// @dev Last epoch in which the shard is not final yet; for ever while a case is open.
    function _claimsFrom(Piece storage p) private view returns (uint256) {
        if (p.caseAt == 0) return p.appealEpochs == 0 ? 0 : uint256(p.settledAt) + p.appealEpochs;
        if (p.ended != 0) return 0;
        return pieces[p.caseAt].settled ? type(uint256).max : _lastAt(pieces[p.caseAt]);
    }

    /// @dev No quorum of one attempt, shown with all there is.
    function _unfounded(Piece storage p, uint256 number, uint256 seed) private returns (bool) {
        if (p.drawn == 0 || _now() > _lastAt(p)) return false;
        uint256 a = seed % p.drawn;
        bytes32 root = (seed >> 8) % 2 == 0 ? _right(_subject(p)) : _false(_subject(p));
        uint256 slots = _matching(p, a, root);
        uint256 epoch = _commitAt(p, a);
        bytes4 reason = IJobMarket.NoQuorum.selector;
        if (_now() <= epoch) reason = IJobMarket.NotYet.selector;
        else if (_now() == epoch + 1 && !_ripe(p, a)) reason = IJobMarket.StillSealed.selector;
        else if (_bits(slots) >= p.quorum) return false;
        Claim[] memory claims = new Claim[](1);
        claims[0] = Claim(number, a, root, slots);
        SettleCalls.Call memory plan = _planOf(claims);
        bytes memory data = abi.encodeCall(market.settle, (plan.entries, plan.lanes, plan.openings, _node(0)));
        _refused(address(market), data, reason, "settle refused");
        return true;
    }

    // --- cases ----------------------------------------------------------------------------------------------------

    function _badCase(Piece storage p, uint256 number, uint256 seed) private returns (bool) {
        if (!p.settled || p.isCase) return false;
        if (seed % 2 == 0 && !_mayAppeal(p)) {
            bytes4 reason = IJobMarket.TooLate.selector;
            if (p.caseAt != 0) reason = ICourt.AlreadyAppealed.selector;
            else if (p.appealEpochs == 0) reason = ICourt.NotAppealable.selector;
            bytes memory data = abi.encodeCall(court.appeal, (_job(p.job), p.shard, _receiptOf(p)));
            _refused(address(court), data, reason, "appeal refused");
            return true;
        }
        if (p.caseAt == 0) return false;
        if (seed % 4 == 1 && _badWrong(p, number, seed >> 8)) return true;
        if (!_mayResolve(p)) {
            bytes memory data = abi.encodeCall(court.resolve, (_job(p.job), p.shard, _receiptOf(pieces[p.caseAt])));
            bytes4 reason = p.resolved ? ICourt.AlreadyResolved.selector : ICourt.CaseOpen.selector;
            _refused(address(court), data, reason, "resolve refused");
            return true;
        }
        return _badWrong(p, number, seed >> 8);
    }

    /// @dev An answer that is the verdict, one that was reported before, one without a verdict.
    function _badWrong(Piece storage p, uint256 number, uint256 seed) private returns (bool) {
        uint256 a = p.attempt;
        if (!_isInReach(p, a)) return false;
        for (uint256 i; i < p.committee; ++i) {
            uint256 s = (i + seed) % p.committee;
            uint256 lane = _laneAt(_slot(p.slots[a], s), _commitAt(p, a));
            bytes32 root = answerOf[lane][_key(p)];
            if (laneOf[lane] != Lane.OPENED || root == 0) continue;
            bytes4 reason = ICommitLedger.AlreadyPunished.selector;
            if (p.ended == 0) reason = ICourt.NoVerdict.selector;
            else if (root == p.verdict) reason = ICourt.MatchesVerdict.selector;
            else if (!wrongMarked[lane]) continue;
            bytes memory opening = _openingFor(p, number, a, s, root);
            bytes memory data =
                abi.encodeCall(court.reportWrong, (_job(p.job), p.shard, uint8(a), uint8(s), root, opening));
            _refused(address(court), data, reason, "reportWrong refused");
            return true;
        }
        return false;
    }

    // --- reports and batches --------------------------------------------------------------------------------------

    function _badReport(uint256 seed) private returns (bool) {
        if (seed % 3 == 0 && neverOpened.length > 0) {
            uint256 lane = neverOpened[(seed >> 8) % neverOpened.length];
            if (_now() > uint32(lane) + GRACE) return false;
            bytes memory data = abi.encodeCall(ledger.reportUnrevealed, (_node(lane >> 32), uint32(lane)));
            _refused(address(ledger), data, ICommitLedger.GraceNotOver.selector, "reportUnrevealed refused");
            return true;
        }
        if (live.length == 0) return false;
        Piece storage p = pieces[live[(seed >> 8) % live.length]];
        if (!p.settled || !_isInReach(p, p.attempt)) return false;
        uint256 s = (seed >> 16) % p.committee;
        uint256 member = _laneAt(_slot(p.slots[p.attempt], s), _commitAt(p, p.attempt));
        bytes4 reason = ICommitLedger.NotAbsent.selector;
        if (member >> 32 == 0) reason = IJobMarket.SlotVoid.selector;
        else if (laneOf[member] == Lane.ABSENT) reason = ICommitLedger.AlreadyPunished.selector;
        else if (laneOf[member] == Lane.NONE) return false;
        bytes memory call_ = abi.encodeCall(market.reportAbsent, (_job(p.job), p.shard, _receiptOf(p), uint8(s)));
        _refused(address(market), call_, reason, "reportAbsent refused");
        if (seed % 3 == 1 && laneOf[member] == Lane.OPENED) {
            call_ = abi.encodeCall(ledger.reportUnrevealed, (_node(member >> 32), uint32(member)));
            _refused(address(ledger), call_, ICommitLedger.NotSealed.selector, "reportUnrevealed refused");
        }
        return true;
    }

    /// @dev Another epoch's commitment; another node's, another batch's, an early opening.
    function _badBatch(uint256 seed) private returns (bool) {
        uint256 node = 1 + seed % nodes;
        if ((seed >> 8) % 2 == 0) {
            uint32 epoch = uint32((seed >> 16) % 2 == 0 ? _now() - 1 : _now() + 1);
            bytes memory data = abi.encodeCall(ledger.commit, (epoch, bytes27(keccak256("digest"))));
            vm.prank(keyOf[_node(node)]);
            _refusedAsSent(address(ledger), data, ICommitLedger.WrongEpoch.selector, "commit refused");
            return true;
        }
        if (toOpen.length == 0) return false;
        uint256 lane = toOpen[(seed >> 16) % toOpen.length];
        if (laneOf[lane] != Lane.SEALED) return false;
        uint256 from = uint32(lane);
        bytes4 reason = from == _now() ? ICommitLedger.RevealOutOfTime.selector : ICommitLedger.WrongOpening.selector;
        bytes memory leaves = batchOf[_node(lane >> 32)][from];
        // Another answer to the first question, or one more.
        if (leaves.length != 0) leaves[43] = bytes1(uint8(leaves[43]) ^ 1);
        else leaves = _leaf(1, 0, keccak256("another"));
        bytes memory opening = abi.encodeCall(
            ledger.reveal,
            (
                _node(lane >> 32),
                uint32(from),
                leaves,
                _manifest(_node(lane >> 32), from),
                _salt(_node(lane >> 32), from)
            )
        );
        _refused(address(ledger), opening, reason, "reveal refused");
        return true;
    }

    // --- stake ----------------------------------------------------------------------------------------------------

    function _badExit(uint256 seed) internal returns (bool) {
        for (uint256 i; i < nodes; ++i) {
            uint256 node = 1 + (i + seed % nodes) % nodes;
            if (estates[node].unbonding == 0 || _now() >= estates[node].unlock) continue;
            bytes memory data = abi.encodeCall(registry.withdrawStake, (_node(node)));
            _refused(address(registry), data, INodeRegistry.StillUnbonding.selector, "withdrawStake refused");
            return true;
        }
        return false;
    }
}
