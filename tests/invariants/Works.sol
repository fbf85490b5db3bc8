// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IJobMarket} from "../../contracts/interfaces/IJobMarket.sol";
import {JobId, NodeId} from "../../contracts/interfaces/Types.sol";
import {PlainTrees} from "../contracts/support/PlainTrees.sol";
import {SettleCalls} from "../contracts/support/SettleCalls.sol";
import {Duties} from "./Duties.sol";

/// @title Requesters and settlers: post, cancel, settle, close
abstract contract Works is Duties {
    uint256 internal constant MOST_LIVE = 10;

    /// @dev What a settle call says of one piece.
    struct Claim {
        uint256 number;
        uint256 attempt;
        bytes32 root;
        uint256 slots;
    }

    // --- post -----------------------------------------------------------------------------------------------------

    function _doPost(uint256 seed) internal returns (bool) {
        if (live.length >= MOST_LIVE) return false;
        IJobMarket.JobSpec memory spec = _anySpec(seed);
        address who = (seed >> 64) % 3 == 0 ? rival : requester;
        uint256 nodesNow = registry.poolView(pool).nodes;
        if (paused || !poolOpen || nodesNow < spec.committee + (spec.appealEpochs == 0 ? 0 : JUDGES)) {
            vm.prank(who);
            (bool ok,) = address(market).call(abi.encodeCall(market.post, (spec)));
            assertFalse(ok, "invariant 18: a pause, a closed pool and a pool too small stop posts");
            _did(paused ? "post refused by pause" : "post refused by pool");
            return true;
        }
        _posted(spec, who, seed);
        return true;
    }

    function _anySpec(uint256 seed) private view returns (IJobMarket.JobSpec memory spec) {
        spec = _spec();
        (spec.tasks, spec.shardSize) = (uint32(1 + seed % 4), uint24(1 + (seed >> 8) % 2));
        if (spec.tasks > 3 * spec.shardSize) spec.tasks = 3 * spec.shardSize;
        spec.committee = (seed >> 16) % 8 == 0 ? 1 : (seed >> 16) % 8 < 3 ? 5 : 3;
        spec.quorum = uint8(spec.committee / 2 + 1);
        if ((seed >> 24) % 8 == 0) spec.quorum = spec.committee;
        (spec.work, spec.maxAttempts) = (uint8(1 + ((seed >> 32) % 4) / 3), uint8(1 + (seed >> 40) % 2));
        (spec.pace, spec.appealEpochs) = (uint16((seed >> 48) % 2), (seed >> 56) % 5 == 0 ? 0 : 2);
        // Every fourth job is dust: both fees round to nothing.
        (spec.units, spec.unitPrice) =
        (1, uint64((seed >> 72) % 4 == 0 ? 1 + (seed >> 80) % 60 : 1 + (seed >> 80) % 1e12));
    }

    function _posted(IJobMarket.JobSpec memory spec, address who, uint256 seed) private {
        uint256 gross = uint256(spec.tasks) * spec.committee * spec.unitPrice;
        uint256 price = gross + gross / 100 + gross * feeBps / 10_000;
        spender = who;
        vm.prank(who);
        JobId id = market.post(spec);
        assertEq(_id(id), ++jobs, "jobs are numbered");
        inMarket += price;
        IJobMarket.JobView memory v = market.jobView(id);
        Book storage b = books[jobs];
        (b.escrowed, b.requester, b.feeBps) = (uint128(price), who, feeBps);
        (b.closableFrom, b.pace, b.postEpoch) = (v.closableFrom, v.pace, v.postEpoch);
        assertEq(b.postEpoch, _count(), "posts count for the counting epoch");
        uint256 shards = (uint256(spec.tasks) + spec.shardSize - 1) / spec.shardSize;
        b.pieces = uint8(shards);
        for (uint256 s; s < shards; ++s) {
            Piece storage p = _newPiece(jobs, s, _count() + 1 + s / v.pace);
            (p.work, p.attempts, p.committee, p.quorum) = (spec.work, spec.maxAttempts, spec.committee, spec.quorum);
            p.appealEpochs = spec.appealEpochs;
            p.mode = _mode("\x01\x01\x01\x01\x01\x00\x02\x03\x04\x04", seed >> (100 + 8 * s));
            uint256 left = spec.tasks - s * spec.shardSize;
            p.pay = uint128(spec.unitPrice * (left < spec.shardSize ? left : spec.shardSize));
        }
        _did("post");
    }

    /// @dev How the dishonest act on a piece: right, one wrong root, each its own, all pass, anyhow.
    function _mode(bytes memory modes, uint256 seed) internal pure returns (uint8) {
        return uint8(modes[seed % modes.length]);
    }

    function _newPiece(uint256 job, uint256 shard, uint256 first) internal returns (Piece storage p) {
        live.push(pieces.length);
        lastPiece = pieces.length;
        p = pieces.push();
        (p.job, p.shard, p.first) = (uint64(job), uint32(shard), uint32(first));
    }

    // --- cancel and close -----------------------------------------------------------------------------------------

    /// @dev The requester ends what starts later than the next epoch.
    function _doCancel(uint256 seed) internal returns (bool) {
        for (uint256 i; i < live.length; ++i) {
            Piece storage p = pieces[live[(i + seed % live.length) % live.length]];
            if (p.isCase || p.shard == 0 || p.first <= _count() + 1) continue;
            _cancelJob(p.job);
            return true;
        }
        return false;
    }

    function _cancelJob(uint256 job) private {
        Book storage b = books[job];
        uint256 whole = _priceOf(job);
        vm.prank(b.requester);
        uint256 refund = market.cancel(_job(job));
        b.refunded += uint128(refund);
        owed[b.requester] += refund;
        b.closableFrom = market.jobView(_job(job)).closableFrom;
        for (uint256 i = live.length; i > 0; --i) {
            Piece storage p = pieces[live[i - 1]];
            if (p.job != job) continue;
            if (p.first > _count() + 1) _retire(i - 1);
            else lastPiece = live[i - 1];
        }
        assertEq(refund, whole - _priceOf(job), "the escrow of what is cancelled comes back, and no more");
        _did("cancel");
    }

    /// @dev Escrow of the job's shards that are not cancelled.
    function _priceOf(uint256 job) private view returns (uint256) {
        uint256 gross;
        for (uint256 i; i < live.length; ++i) {
            Piece storage p = pieces[live[i]];
            if (p.job == job) gross += uint256(p.pay) * p.committee;
        }
        return gross + gross / 100 + gross * books[job].feeBps / 10_000;
    }

    function _heldOf(uint256 job) internal view returns (uint256) {
        Book storage b = books[job];
        return b.escrowed - b.paid - b.fees - b.refunded;
    }

    /// @dev Ends a job whose deadlines are over; its pieces can change no more.
    function _doClose(uint256 seed) internal returns (bool) {
        for (uint256 i; i < live.length; ++i) {
            uint256 place = (i + seed % live.length) % live.length;
            Piece storage p = pieces[live[place]];
            Book storage b = books[p.job];
            if (p.isCase || _now() < b.closableFrom) continue;
            lastPiece = live[place];
            if (!b.closed) _closeJob(p.job);
            if (p.caseAt != 0 && !p.caseClosed) continue;
            _retire(place);
            return true;
        }
        return false;
    }

    function _closeJob(uint256 job) private {
        Book storage b = books[job];
        b.closed = true;
        uint256 left = _heldOf(job);
        if (left == 0) return _did("close of an empty job");
        vm.prank(stranger);
        assertEq(market.close(_job(job)), left, "all that is left");
        b.refunded += uint128(left);
        owed[b.requester] += left;
        _did("close");
    }

    // --- settle ---------------------------------------------------------------------------------------------------

    /// @dev The root that has a quorum in some attempt, in time.
    function _quorumOf(Piece storage p, uint256 number) internal view returns (bool, Claim memory c) {
        if (p.settled || _now() > _lastAt(p)) return (false, c);
        for (uint256 a; a < p.drawn; ++a) {
            uint256 epoch = _commitAt(p, a);
            if (_now() <= epoch || (_now() == epoch + 1 && !_ripe(p, a))) continue;
            for (uint256 i; i < p.committee; ++i) {
                bytes32 root = _shown(p, a, i);
                if (root == 0) continue;
                uint256 slots = _matching(p, a, root);
                if (_bits(slots) >= p.quorum) return (true, Claim(number, a, root, slots));
            }
        }
    }

    /// @dev What a slot opened in time.
    function _shown(Piece storage p, uint256 attempt, uint256 slot) internal view returns (bytes32) {
        uint256 lane = _laneAt(_slot(p.slots[attempt], slot), _commitAt(p, attempt));
        return laneOf[lane] == Lane.OPENED && delayOf[lane] <= 2 ? answerOf[lane][_key(p)] : bytes32(0);
    }

    function _matching(Piece storage p, uint256 attempt, bytes32 root) internal view returns (uint256 slots) {
        for (uint256 i; i < p.committee; ++i) {
            if (_shown(p, attempt, i) == root) slots |= 1 << i;
        }
    }

    /// @dev In the epoch after the commit nobody's lane may be sealed.
    function _ripe(Piece storage p, uint256 attempt) internal view returns (bool) {
        uint256 epoch = _commitAt(p, attempt);
        for (uint256 i; i < p.committee; ++i) {
            if (laneOf[_laneAt(_slot(p.slots[attempt], i), epoch)] == Lane.SEALED) return false;
        }
        return true;
    }

    function _doSettle(uint256 seed) internal returns (bool) {
        Claim[] memory claims = new Claim[](1 + (seed >> 8) % 3);
        uint256 count;
        for (uint256 i; i < live.length && count < claims.length; ++i) {
            uint256 number = live[(i + seed % live.length) % live.length];
            (bool found, Claim memory c) = _quorumOf(pieces[number], number);
            if (!found) continue;
            uint256 to = count++;
            for (; to > 0 && _key(pieces[claims[to - 1].number]) > _key(pieces[number]); --to) {
                claims[to] = claims[to - 1];
            }
            claims[to] = c;
        }
        if (count == 0) return false;
        assembly ("memory-safe") {
            mstore(claims, count)
        }
        if (count == 1) _leaveOut(claims[0], seed >> 16);
        _sendSettle(claims, seed >> 32);
        return true;
    }

    /// @dev A settler that shows no more than it must.
    function _leaveOut(Claim memory c, uint256 seed) private {
        if (seed % 4 == 0) return;
        uint256 quorum = pieces[c.number].quorum;
        for (uint256 slot; slot < 8 && _bits(c.slots) > quorum; ++slot) {
            if (c.slots >> slot & 1 == 1) _did("settle that leaves a member out");
            c.slots &= ~(1 << slot);
        }
    }

    function _sendSettle(Claim[] memory claims, uint256 seed) private {
        SettleCalls.Call memory plan = _planOf(claims);
        uint256 payee = (seed % 3 == 0) ? 1 + (seed >> 8) % nodes : 0;
        address settler = accounts[(seed >> 16) % 5];
        vm.prank(settler);
        uint256 settled = market.settle(plan.entries, plan.lanes, plan.openings, _node(payee));
        assertEq(settled, claims.length, "every entry with a quorum settles");
        bytes32[] memory leaves = new bytes32[](claims.length);
        for (uint256 i; i < leaves.length; ++i) {
            Claim memory c = claims[i];
            Piece storage p = pieces[c.number];
            leaves[i] = PlainTrees.settlementLeaf(p.job, p.shard, c.attempt, c.slots, c.root);
        }
        (splitIn, splitOut) = (0, 0);
        uint256 fees;
        for (uint256 i; i < claims.length; ++i) {
            pieces[claims[i].number].path = PlainTrees.sortedPath(leaves, i);
            fees += _bookSettled(claims[i]);
        }
        splitOut += fees;
        if (payee == 0) owed[settler] += fees;
        else _credit(payee, fees, 0);
        if (claims.length > 1) _did("settle of many");
        vm.prank(settler);
        settled = market.settle(plan.entries, plan.lanes, plan.openings, _node(payee));
        assertEq(settled, 0, "invariant 3: nothing settles twice");
    }

    function _bookSettled(Claim memory c) private returns (uint256 fee) {
        Piece storage p = pieces[c.number];
        lastPiece = c.number;
        (p.settled, p.attempt, p.paid) = (true, uint8(c.attempt), uint16(c.slots));
        (p.settledAt, p.root) = (uint32(_now()), c.root);
        Book storage b = books[p.job];
        uint256 pay = p.pay * _bits(c.slots);
        fee = pay / 100;
        uint256 protocolFee = pay * b.feeBps / 10_000;
        b.paid += uint128(pay);
        b.fees += uint128(fee + protocolFee);
        splitIn += pay + fee + protocolFee;
        splitOut += pay + protocolFee;
        if (protocolFee != 0) owed[feeRecipient] += protocolFee;
        for (uint256 i; i < p.committee; ++i) {
            if (c.slots >> i & 1 == 0) continue;
            uint256 node = _slot(p.slots[c.attempt], i);
            if (p.appealEpochs == 0) _credit(node, p.pay, 0);
            else _credit(node, 0, p.pay);
            lastNode = node;
        }
        if (p.isCase) _did(c.root == _right(_subject(p)) ? "settle of a case, right" : "settle of a case, wrong");
        else _did(c.root == _right(_key(p)) ? "settle" : "settle of a wrong majority");
    }

    // --- calls ----------------------------------------------------------------------------------------------------

    function _planOf(Claim[] memory claims) internal view returns (SettleCalls.Call memory plan) {
        uint256[] memory lanes = _lanesFor(claims);
        for (uint256 i; i < claims.length; ++i) {
            Piece storage p = pieces[claims[i].number];
            bytes memory entry = abi.encodePacked(p.job, p.shard, uint8(claims[i].attempt), claims[i].root);
            uint256 epoch = _commitAt(p, claims[i].attempt);
            for (uint256 s; s < p.committee; ++s) {
                uint256 node = _slot(p.slots[claims[i].attempt], s);
                entry = abi.encodePacked(entry, node == 0 ? 0xff : _indexOf(lanes, _laneAt(node, epoch)));
            }
            plan.entries = abi.encodePacked(plan.entries, entry);
        }
        for (uint256 i; i < lanes.length; ++i) {
            plan.lanes = abi.encodePacked(plan.lanes, uint64(lanes[i]));
            if (laneOf[lanes[i]] != Lane.OPENED || delayOf[lanes[i]] > 2) continue;
            plan.openings = abi.encodePacked(plan.openings, _openingOf(claims, lanes[i], i));
        }
    }

    /// @dev Every drawn lane, ascending and once.
    function _lanesFor(Claim[] memory claims) private view returns (uint256[] memory lanes) {
        lanes = new uint256[](claims.length * 5);
        uint256 count;
        for (uint256 i; i < claims.length; ++i) {
            Piece storage p = pieces[claims[i].number];
            for (uint256 s; s < p.committee; ++s) {
                uint256 node = _slot(p.slots[claims[i].attempt], s);
                if (node == 0) continue;
                uint256 lane = _laneAt(node, _commitAt(p, claims[i].attempt));
                uint256 to = count;
                for (; to > 0 && lanes[to - 1] > lane; --to) {}
                if (to > 0 && lanes[to - 1] == lane) continue;
                for (uint256 k = count++; k > to; --k) {
                    lanes[k] = lanes[k - 1];
                }
                lanes[to] = lane;
            }
        }
        assembly ("memory-safe") {
            mstore(lanes, count)
        }
    }

    /// @dev The whole batch, leaf by leaf; or, when it shows one entry, that leaf alone with its proof.
    function _openingOf(Claim[] memory claims, uint256 lane, uint256 index) internal view returns (bytes memory) {
        bytes32[] memory hashes = _leafHashes(lane);
        SettleCalls.Opening memory o;
        (o.lane, o.size) = (uint8(index), uint16(hashes.length));
        o.segments = new SettleCalls.Segment[](hashes.length);
        uint256 shown;
        uint256 place;
        for (uint256 i; i < hashes.length; ++i) {
            uint256 entry = _entryOf(claims, lane, todo[lane][i]);
            o.segments[i] = SettleCalls.Segment(uint16(entry), 1, new bytes32[](0));
            if (entry == SettleCalls.FOREIGN) {
                o.segments[i].foreign = new bytes32[](1);
                o.segments[i].foreign[0] = hashes[i];
            } else {
                ++shown;
                place = i;
            }
        }
        if (shown == 0) return "";
        if (shown == 1 && lane % 2 == 0) {
            SettleCalls.Segment memory only = o.segments[place];
            o.segments = new SettleCalls.Segment[](1);
            (o.segments[0], o.first, o.proof) = (only, uint16(place), PlainTrees.rangeProof(hashes, place, 1));
        }
        return SettleCalls.encode(o);
    }

    /// @dev Which entry a leaf of a lane is shown for: only those of slots that this settler pays.
    function _entryOf(Claim[] memory claims, uint256 lane, uint256 key) private view returns (uint256) {
        for (uint256 i; i < claims.length; ++i) {
            Piece storage p = pieces[claims[i].number];
            if (_key(p) != key || answerOf[lane][key] != claims[i].root) continue;
            if (_commitAt(p, claims[i].attempt) != uint32(lane)) continue;
            for (uint256 s; s < p.committee; ++s) {
                if (claims[i].slots >> s & 1 == 1 && _slot(p.slots[claims[i].attempt], s) == lane >> 32) return i;
            }
        }
        return SettleCalls.FOREIGN;
    }
}
