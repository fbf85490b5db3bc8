// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IJobMarket} from "../../contracts/interfaces/IJobMarket.sol";
import {JobId} from "../../contracts/interfaces/Types.sol";
import {Works} from "./Works.sol";

/// @title Accusers, right and false, members who were left out, and everybody who reports a fault
abstract contract Cases is Works {
    // --- appeal ---------------------------------------------------------------------------------------------------

    function _mayAppeal(Piece storage p) internal view returns (bool) {
        return p.settled && !p.isCase && p.appealEpochs != 0 && p.caseAt == 0
            && _count() <= uint256(p.settledAt) + p.appealEpochs;
    }

    /// @dev Wrong answers are mostly appealed, right ones seldom; by an account, or by a node for its operator.
    function _doAppeal(uint256 seed) internal returns (bool) {
        if (live.length > MOST_LIVE + 3) return false;
        for (uint256 i; i < live.length; ++i) {
            uint256 number = live[(i + seed % live.length) % live.length];
            Piece storage p = pieces[number];
            bool wrong = p.root != _right(_key(p));
            if (!_mayAppeal(p) || _hash(seed, number) % 8 >= (wrong ? 7 : 3)) continue;
            _appealOf(p, number, seed >> 64);
            _did(wrong ? "appeal of a wrong answer" : "appeal of a right answer");
            return true;
        }
        return false;
    }

    function _appealOf(Piece storage p, uint256 number, uint256 seed) private {
        uint256 node = seed % 3 == 0 ? 1 + (seed >> 8) % nodes : 0;
        spender = node == 0 ? accounts[(seed >> 8) % 5] : _operator(node);
        uint256 gross = uint256(p.pay) * JUDGES;
        uint256 bond = gross + gross / 100;
        IJobMarket.Receipt memory receipt = _receiptOf(p);
        uint256 before = payToken.balanceOf(spender);
        vm.prank(node == 0 ? spender : keyOf[_node(node)]);
        JobId id = court.appeal(_job(p.job), p.shard, receipt);
        assertEq(_id(id), ++jobs, "a case is a job");
        assertEq(before - payToken.balanceOf(spender), bond, "the bond is the judges' pay and the settler's fee");
        inMarket += bond;
        (p.accuser, p.accuserDue, p.caseAt) = (spender, uint64(bond), uint32(pieces.length));
        Book storage b = books[jobs];
        (b.escrowed, b.requester, b.postEpoch, b.pace) = (uint128(bond), address(court), uint32(_count()), 1);
        Piece storage c = _newPiece(jobs, 0, _count() + 1);
        (c.work, c.attempts, c.committee, c.quorum) = (p.work, p.attempts, uint8(JUDGES), 4);
        (c.isCase, c.about, c.pay) = (true, uint32(number), p.pay);
        c.mode = _mode("\x00\x00\x00\x01\x01\x01\x01\x01\x02\x03", seed >> 32);
        b.closableFrom = uint32(_lastAt(c) + REPORT + 1);
    }

    function _receiptOf(Piece storage p) internal view returns (IJobMarket.Receipt memory) {
        return IJobMarket.Receipt(p.attempt, p.paid, p.root, p.path);
    }

    // --- resolve --------------------------------------------------------------------------------------------------

    function _mayResolve(Piece storage p) internal view returns (bool) {
        if (p.caseAt == 0 || p.resolved) return false;
        Piece storage c = pieces[p.caseAt];
        return c.settled || _now() > _lastAt(c);
    }

    function _doResolve(uint256 seed) internal returns (bool) {
        for (uint256 i; i < live.length; ++i) {
            uint256 number = live[(i + seed % live.length) % live.length];
            Piece storage p = pieces[number];
            if (!_mayResolve(p)) continue;
            _resolveOf(p, pieces[p.caseAt]);
            lastPiece = number;
            return true;
        }
        return false;
    }

    function _resolveOf(Piece storage p, Piece storage c) internal {
        IJobMarket.Receipt memory verdict = _receiptOf(c);
        vm.prank(stranger);
        court.resolve(_job(p.job), p.shard, verdict);
        p.resolved = true;
        if (!c.settled) {
            p.caseClosed = true;
            books[c.job].closed = true;
            (p.accuserDue, p.requesterDue) = (0, 0);
            uint256 bond = _heldOf(c.job);
            books[c.job].refunded += uint128(bond);
            owed[BURNED] += bond;
            return _did("resolve without verdict");
        }
        (p.verdict, p.ended) = (c.root, c.settledAt);
        bool right = c.root == _right(_key(p));
        if (c.root == p.root) return _did(right ? "resolve: upheld" : "resolve: upheld though wrong");
        uint256 taken;
        for (uint256 s; s < p.committee; ++s) {
            if (p.paid >> s & 1 == 1) taken += _forfeitOf(_slot(p.slots[p.attempt], s));
        }
        uint256 pay = p.pay * _bits(p.paid);
        p.requesterDue = uint64(pay + pay / 100 + pay * books[p.job].feeBps / 10_000);
        _pour(p, taken);
        _did(right ? "resolve: overturned" : "resolve: overturned by a captured court");
    }

    /// @dev What the judges did not earn comes back once their claims are over.
    function _doCloseCase(uint256 seed) internal returns (bool) {
        for (uint256 i; i < live.length; ++i) {
            uint256 number = live[(i + seed % live.length) % live.length];
            Piece storage p = pieces[number];
            if (p.caseAt == 0 || p.ended == 0 || p.caseClosed) continue;
            uint256 caseJob = pieces[p.caseAt].job;
            if (_now() < books[caseJob].closableFrom) continue;
            lastPiece = number;
            p.caseClosed = true;
            books[caseJob].closed = true;
            uint256 left = _heldOf(caseJob);
            if (left == 0) {
                _did("close of an empty case");
                return true;
            }
            assertEq(court.closeCase(_job(p.job), p.shard), left, "all that judges did not earn");
            books[caseJob].refunded += uint128(left);
            _pour(p, left);
            _did("closeCase");
            return true;
        }
        return false;
    }

    /// @dev Cases that are over leave the list; so they do not count as live.
    function _retireCases() internal {
        for (uint256 i = live.length; i > 0; --i) {
            Piece storage p = pieces[live[i - 1]];
            if (p.isCase && books[p.job].closed) _retire(i - 1);
        }
    }

    // --- claims ---------------------------------------------------------------------------------------------------

    /// @dev The shard's answer while claims are open, else 0.
    function _claimable(Piece storage p) internal view returns (bytes32 root) {
        if (!p.settled) return 0;
        uint256 from = uint256(p.settledAt) + p.appealEpochs;
        root = p.root;
        if (p.caseAt == 0) {
            if (p.appealEpochs != 0 && _now() <= from) return 0;
        } else if (p.ended != 0) {
            (root, from) = (p.verdict, p.ended);
        } else {
            Piece storage c = pieces[p.caseAt];
            from = _lastAt(c);
            if (c.settled || _now() <= from) return 0;
        }
        if (_now() > from + REPORT || !_isInReach(p, p.attempt)) return 0;
    }

    function _isUnpaid(Piece storage p, uint256 slot, bytes32 root) internal view returns (bool) {
        return p.claimed >> slot & 1 == 0 && (root != p.root || p.paid >> slot & 1 == 0);
    }

    function _doClaim(uint256 seed) internal returns (bool) {
        for (uint256 i; i < live.length; ++i) {
            uint256 number = live[(i + seed % live.length) % live.length];
            Piece storage p = pieces[number];
            bytes32 root = _claimable(p);
            if (root == 0) continue;
            uint256 slots = _matching(p, p.attempt, root);
            for (uint256 s; s < p.committee; ++s) {
                if (slots >> s & 1 == 0 || !_isUnpaid(p, s, root)) continue;
                _claimOf(p, number, s, root);
                return true;
            }
        }
        return false;
    }

    function _claimOf(Piece storage p, uint256 number, uint256 slot, bytes32 root) private {
        bytes memory opening = _openingFor(p, number, p.attempt, slot, root);
        vm.prank(stranger);
        market.claim(_job(p.job), p.shard, _receiptOf(p), uint8(slot), opening);
        (lastPiece, lastNode) = (number, _slot(p.slots[p.attempt], slot));
        p.claimed |= uint16(1 << slot);
        books[p.job].paid += p.pay;
        _credit(lastNode, p.pay, 0);
        if (p.isCase) _did("claim of a judge");
        else _did(root == p.root ? "claim" : "claim after an overturn");
    }

    function _openingFor(Piece storage p, uint256 number, uint256 attempt, uint256 slot, bytes32 root)
        internal
        view
        returns (bytes memory)
    {
        Claim[] memory claims = new Claim[](1);
        claims[0] = Claim(number, attempt, root, 1 << slot);
        return _openingOf(claims, _laneAt(_slot(p.slots[attempt], slot), _commitAt(p, attempt)), 0);
    }

    // --- faults ---------------------------------------------------------------------------------------------------

    /// @dev Any opening of any attempt that is not the verdict, however late it was opened.
    function _doReportWrong(uint256 seed) internal returns (bool) {
        for (uint256 i; i < live.length; ++i) {
            uint256 number = live[(i + seed % live.length) % live.length];
            Piece storage p = pieces[number];
            if (p.ended == 0) continue;
            for (uint256 a; a < p.drawn; ++a) {
                if (!_isInReach(p, a)) continue;
                for (uint256 s; s < p.committee; ++s) {
                    uint256 lane = _laneAt(_slot(p.slots[a], s), _commitAt(p, a));
                    bytes32 root = answerOf[lane][_key(p)];
                    if (laneOf[lane] != Lane.OPENED || root == 0 || root == p.verdict || wrongMarked[lane]) continue;
                    _wrongOf(p, number, a, s, root);
                    return true;
                }
            }
        }
        return false;
    }

    function _wrongOf(Piece storage p, uint256 number, uint256 attempt, uint256 slot, bytes32 root) private {
        bytes memory opening = _openingFor(p, number, attempt, slot, root);
        uint256 node = _slot(p.slots[attempt], slot);
        vm.prank(stranger);
        court.reportWrong(_job(p.job), p.shard, uint8(attempt), uint8(slot), root, opening);
        wrongMarked[_laneAt(node, _commitAt(p, attempt))] = true;
        uint256 before = estates[node].slashed;
        bool late = p.verdict != p.root && _now() > uint256(p.ended) + REPORT;
        _ghostSlash(node, 5_000, late ? stranger : p.accuser);
        if (late) _did("reportWrong after the accuser's turn");
        if (_isHonest(node)) {
            assertTrue(p.verdict != _right(_key(p)), "invariant 10: only a captured court can charge the honest");
            estates[node].courtLoss += uint128(estates[node].slashed - before);
            _did("reportWrong by a captured court");
        }
        uint256 taken = _forfeitOf(node);
        if (p.verdict == p.root) owed[BURNED] += taken;
        else _pour(p, taken);
        (lastPiece, lastNode) = (number, node);
        if (attempt != p.attempt) _did("reportWrong of another attempt");
        _did("reportWrong");
    }

    /// @dev A sealed batch past its grace, however long ago: some are kept for more than a ring.
    function _doReportUnrevealed(uint256 seed) internal returns (bool) {
        for (uint256 i; i < neverOpened.length; ++i) {
            uint256 place = (i + seed % neverOpened.length) % neverOpened.length;
            uint256 lane = neverOpened[place];
            if (_now() <= uint32(lane) + (_hash(lane, 5) % 6 == 0 ? RING : GRACE)) continue;
            address reporter = accounts[(seed >> 16) % 6];
            vm.prank(reporter);
            ledger.reportUnrevealed(_node(lane >> 32), uint32(lane));
            _holds(lane, Lane.PUNISHED);
            neverOpened[place] = neverOpened[neverOpened.length - 1];
            neverOpened.pop();
            _ghostSlash(lane >> 32, 1_000, reporter);
            if (_now() > uint32(lane) + RING) _did("reportUnrevealed a ring later");
            _did("reportUnrevealed");
            return true;
        }
        return false;
    }

    /// @dev Drawn for the attempt that settled, and never came.
    function _doReportAbsent(uint256 seed) internal returns (bool) {
        for (uint256 i; i < live.length; ++i) {
            uint256 number = live[(i + seed % live.length) % live.length];
            Piece storage p = pieces[number];
            if (!p.settled || !_isInReach(p, p.attempt)) continue;
            for (uint256 s; s < p.committee; ++s) {
                uint256 node = _slot(p.slots[p.attempt], s);
                if (node == 0 || !_isAbsent(_laneAt(node, _commitAt(p, p.attempt)))) continue;
                _absentOf(p, s, node, accounts[(seed >> 16) % 6]);
                lastPiece = number;
                return true;
            }
        }
        return false;
    }

    function _isAbsent(uint256 lane) internal view returns (bool) {
        uint256 older = holder[lane >> 32][uint32(lane) % RING];
        return laneOf[lane] == Lane.NONE && older < uint32(lane)
            && (older == 0 || laneOf[_laneAt(lane >> 32, older)] != Lane.SEALED);
    }

    function _absentOf(Piece storage p, uint256 slot, uint256 node, address reporter) private {
        assertFalse(_isHonest(node), "invariant 10: the punctual are never absent");
        vm.prank(reporter);
        market.reportAbsent(_job(p.job), p.shard, _receiptOf(p), uint8(slot));
        _holds(_laneAt(node, _commitAt(p, p.attempt)), Lane.ABSENT);
        _ghostSlash(node, 10, reporter);
        _did("reportAbsent");
    }
}
