// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {NodeId} from "../../contracts/interfaces/Types.sol";
import {PlainTrees} from "../contracts/support/PlainTrees.sol";
import {Money} from "./Money.sol";

/// @title What nodes do: drawn, they seal and open, honestly or not
/// @dev Honest nodes never miss a commit epoch and open within the grace, sometimes on its last epoch; now and then they
/// pass. The others agree on a wrong root, invent their own, pass, seal nothing, open late or never: by shard and epoch.
abstract contract Duties is Money {
    // --- draws ----------------------------------------------------------------------------------------------------

    /// @dev Once the running epoch's seed is known: who serves what begins in it.
    function _enter() internal {
        uint256 epoch = _now();
        if (drawnFor == epoch || block_ % EPOCH < 2) return;
        drawnFor = epoch;
        for (uint256 i; i < live.length; ++i) {
            Piece storage p = pieces[live[i]];
            if (p.settled || p.drawn == p.attempts || _startAt(p, p.drawn) != epoch) continue;
            _drawPiece(p, live[i]);
        }
    }

    function _drawPiece(Piece storage p, uint256 number) private {
        uint256 start = _now();
        if (seedFor != start) {
            _recordSeed(start);
            seedFor = start;
            _did("recordSeed");
        }
        uint256 slots = _redraw(p, start);
        uint256 attempt = p.drawn++;
        p.slots[attempt] = slots;
        uint256 epoch = _commitAt(p, attempt);
        for (uint256 i; i < p.committee; ++i) {
            uint256 node = _slot(slots, i);
            if (node != 0) _assign(p, number, node, epoch);
        }
    }

    /// @dev The draw of an epoch, asked again.
    function _redraw(Piece storage p, uint256 start) internal view returns (uint256) {
        uint256[] memory draws = new uint256[](2);
        draws[0] = uint256(_seedOf(start));
        draws[1] = _key(p) << 160 | start << 128 | 1 << 112 | uint256(p.committee) << 104 | (p.isCase ? 1 : 0);
        return registry.committees(draws)[0];
    }

    function _assign(Piece storage p, uint256 number, uint256 node, uint256 epoch) private {
        uint256 lane = _laneAt(node, epoch);
        if (!isDue[lane]) {
            isDue[lane] = true;
            due[epoch].push(node);
        }
        bytes32 root = _rootOf(p, number, node);
        if (root == 0) return;
        uint256 key = _key(p);
        answerOf[lane][key] = root;
        uint256[] storage keys = todo[lane];
        keys.push(key);
        for (uint256 i = keys.length - 1; i > 0 && keys[i - 1] > key; --i) {
            (keys[i], keys[i - 1]) = (keys[i - 1], key);
        }
    }

    /// @dev What the node answers, 0 when it passes.
    function _rootOf(Piece storage p, uint256 number, uint256 node) private view returns (bytes32) {
        uint256 subject = _subject(p);
        uint256 chance = _hash(number, node);
        if (_isHonest(node)) return chance % 32 == 0 ? bytes32(0) : _right(subject);
        uint256 mode = p.mode == 4 ? (chance >> 8) % 4 : p.mode;
        if (mode == 0) return _right(subject);
        if (mode == 1) return _false(subject);
        return mode == 2 ? bytes32(_hash(subject, node)) : bytes32(0);
    }

    // --- batches --------------------------------------------------------------------------------------------------

    /// @dev How many epochs after its commit a lane is opened: 0 never, 99 not even sealed.
    function _manner(uint256 lane) internal pure returns (uint256) {
        uint256 chance = _hash(lane, 3) % 24;
        if (chance == 0) return GRACE; // as long as it can be censored
        if (chance == 1) return 3;
        if (chance < 4) return 2;
        if (_isHonest(lane >> 32) || chance > 6) return 1;
        return chance == 4 ? 0 : chance == 5 ? 99 : GRACE;
    }

    function _batch(uint256 lane) internal view returns (bytes memory leaves) {
        uint256[] storage keys = todo[lane];
        for (uint256 i; i < keys.length; ++i) {
            leaves = abi.encodePacked(leaves, uint96(keys[i]), answerOf[lane][keys[i]]);
        }
    }

    function _leafHashes(uint256 lane) internal view returns (bytes32[] memory hashes) {
        uint256[] storage keys = todo[lane];
        hashes = new bytes32[](keys.length);
        for (uint256 i; i < keys.length; ++i) {
            hashes[i] = PlainTrees.batchLeaf(keys[i] >> 32, uint32(keys[i]), answerOf[lane][keys[i]]);
        }
    }

    /// @dev Whether the node may seal: not twice, not over a sealed lane that nobody has punished.
    function _maySeal(uint256 lane) internal view returns (bool) {
        if (laneOf[lane] != Lane.NONE) return false;
        uint256 node = lane >> 32;
        uint256 older = holder[node][uint32(lane) % RING];
        return older == 0 || laneOf[_laneAt(node, older)] != Lane.SEALED;
    }

    function _holds(uint256 lane, Lane state) internal {
        laneOf[lane] = state;
        holder[lane >> 32][uint32(lane) % RING] = uint32(lane);
        lastLane = lane;
    }

    function _sealLane(uint256 lane) internal {
        _commit(_node(lane >> 32), _batch(lane));
        _sealed(lane);
        _did("commit");
    }

    function _sealed(uint256 lane) private {
        _holds(lane, Lane.SEALED);
        if (_manner(lane) == 0) neverOpened.push(lane);
        else toOpen.push(lane);
    }

    function _openLane(uint256 lane) internal {
        _reveal(_node(lane >> 32), uint32(lane));
        _opened(lane);
        _did("reveal");
    }

    function _opened(uint256 lane) private {
        _holds(lane, Lane.OPENED);
        delayOf[lane] = _now() - uint32(lane);
        if (delayOf[lane] == GRACE) _did("reveal on the last epoch");
    }

    /// @dev Opens the epoch before and seals this one, in one transaction.
    function _turnLane(uint256 lane) internal {
        uint256 before = lane - 1;
        NodeId node = _node(lane >> 32);
        bytes memory leaves = _batch(lane);
        batchOf[node][uint32(lane)] = leaves;
        vm.prank(keyOf[node]);
        ledger.turn(
            uint32(lane),
            batchOf[node][uint32(before)],
            _manifest(node, uint32(before)),
            _salt(node, uint32(before)),
            _digest(node, uint32(lane), leaves)
        );
        _opened(before);
        _sealed(lane);
        _did("turn");
    }

    // --- what is due ----------------------------------------------------------------------------------------------

    /// @dev A drawn node's duty of this epoch; false when there is nothing (more) to do, or its draws are not known yet.
    function _serve(uint256 node) internal returns (bool) {
        uint256 lane = _laneAt(node, _now());
        if (drawnFor != _now() || _manner(lane) == 99 || !_maySeal(lane)) return false;
        uint256 before = lane - 1;
        if (laneOf[before] == Lane.SEALED && _manner(before) == 1) _turnLane(lane);
        else _sealLane(lane);
        return true;
    }

    /// @dev Opens the `at`-th waiting batch if its time has come.
    function _openAt(uint256 place) internal returns (bool) {
        uint256 lane = toOpen[place];
        bool isOpen = laneOf[lane] != Lane.SEALED;
        if (!isOpen && uint32(lane) + _manner(lane) > _now()) return false;
        if (!isOpen) _openLane(lane);
        toOpen[place] = toOpen[toOpen.length - 1];
        toOpen.pop();
        return true;
    }

    /// @dev Nobody honest leaves an epoch without having done what was due in it. The others do as they mean to.
    function _leave() internal {
        _enter();
        uint256[] storage served = due[_now()];
        for (uint256 i; i < served.length; ++i) {
            _serve(served[i]);
        }
        for (uint256 i = toOpen.length; i > 0; --i) {
            _openAt(i - 1);
        }
    }

    /// @dev To a block of the next epoch.
    function _next(uint256 offset) internal {
        if (block_ % EPOCH < 2) _to(_now() * EPOCH + 2);
        _leave();
        _to((_now() + 1) * EPOCH + offset);
        _enter();
    }
}
