// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {JobId, NodeId, PoolId} from "../interfaces/Types.sol";
import {ICourt} from "../interfaces/ICourt.sol";
import {INodeRegistry} from "../interfaces/INodeRegistry.sol";
import {Asks} from "../libraries/Asks.sol";
import {Sortition} from "../libraries/Sortition.sol";
import {Words} from "../libraries/Words.sol";
import {Clock} from "../Clock.sol";
import {Pauses} from "./Pauses.sol";

/// @title Pools as lists of seats, and the draw over them
/// @dev A draw of epoch `e` reads the list's length as of the end of `e - 1`, seat entries and pause intervals. Nothing
/// it reads is overwritten while it is allowed (`RING - 2` epochs): an entry is dead, and may be reused, when its `until`
/// lies more than `RING` epochs back.
abstract contract SeatList is INodeRegistry, Clock {
    struct Pool {
        // slot 0: what a draw reads
        uint32 length; // entries, holes included
        uint32 grownAt; // counting epoch of the last change of length
        uint32 nodes; // distinct nodes with a seat and not paused
        uint96 seatStake;
        uint64 floor;
        // slot 1: what posts and operators read
        uint96 maxShardPay;
        uint8 maxSeatsPerNode;
        bool open;
        uint32 holeHead;
        uint32 holeTail;
    }

    uint256 private constant OPEN = type(uint32).max;
    /// @dev Most list entries looked at by one call that searches.
    uint256 private constant SEARCH = 16;
    /// @dev Most seats of a node: its indices share one word.
    uint256 internal constant SEATS_LIMIT = 8;

    /// @inheritdoc INodeRegistry
    address public override court;

    mapping(PoolId pool => Pool) internal _pools;
    /// @dev Two entries to a word, the even one on the left: `node32 | since32 | until32 | age31 | paused1`. The last says
    /// that the node has been paused before and the draw must read its pauses: that saves a cold read a member. `age` is for
    /// how many epochs before `since` the seat was held elsewhere in the list: `relocate` does not make it new to a court.
    mapping(PoolId pool => uint256[1 << 31]) private _seats;
    /// @dev Length checkpoints: `epoch % RING => lengthBefore32 | previousGrownAt32`, linked backwards from `grownAt`.
    mapping(PoolId pool => uint256[1 << 16]) private _growth;
    /// @dev Queue of ended seats, in the order in which they ended.
    mapping(PoolId pool => mapping(uint32 position => uint32 seat)) private _holes;
    mapping(NodeId node => uint256) internal _pauses;
    /// @dev Seat indices of a node, `index + 1` in 32 bits each, newest lowest, so that zero means none.
    mapping(NodeId node => uint256) internal _held;

    // --- the draw -------------------------------------------------------------------------------------------------

    /// @inheritdoc INodeRegistry
    function committees(uint256[] calldata draws) external view returns (uint256[] memory) {
        uint256 count = draws.length & ~uint256(1);
        uint256[] memory slots = Asks.room(count);
        uint256 begin = Words.begin(slots);
        uint256 context = type(uint256).max; // epoch and pool of the draw before
        uint256 length;
        uint256 list;
        unchecked {
            for (uint256 i; i < count; i += 2) {
                (uint256 seed, uint256 packed) = _drawAt(draws, i);
                uint256 size = (packed >> 104) & type(uint8).max;
                if (size == 0) {
                    Words.set(begin, i, 0);
                    Words.set(begin, i + 1, 0);
                    continue;
                }
                uint256 next = (packed >> 112) & type(uint48).max;
                if (next != context) {
                    context = next;
                    PoolId pool = PoolId.wrap(uint16(next));
                    length = _lengthAt(pool, next >> 16);
                    uint256[1 << 31] storage seats = _seats[pool];
                    assembly ("memory-safe") {
                        list := seats.slot
                    }
                }
                (uint256 low, uint256 high) = packed & 1 == 0
                    ? Sortition.draw(
                        bytes32(seed),
                        packed >> 192,
                        (packed >> 160) & type(uint32).max,
                        size,
                        length,
                        list,
                        next >> 16,
                        0,
                        0,
                        _seated,
                        _serves
                    )
                    : _drawJudges(seed, packed, list);
                Words.set(begin, i, low);
                Words.set(begin, i + 1, high);
            }
        }
        Asks.answerWith(slots);
    }

    /// @dev The draw of a case: the Court says who may not judge it. It goes over the list as it was before the appealed
    /// attempt: every seat held then is in it, and seats taken since cannot dilute it.
    function _drawJudges(uint256 seed, uint256 packed, uint256 list) private view returns (uint256 low, uint256 high) {
        uint256 heldBefore;
        (heldBefore, low, high) = ICourt(court).exclusions(JobId.wrap(uint64(packed >> 192)));
        return Sortition.draw(
            bytes32(seed),
            packed >> 192,
            (packed >> 160) & type(uint32).max,
            (packed >> 104) & type(uint8).max,
            _lengthAt(PoolId.wrap(uint16(packed >> 112)), heldBefore),
            list,
            heldBefore << 32 | ((packed >> 128) & type(uint32).max),
            low,
            high,
            _mayJudge,
            _serves
        );
    }

    function _drawAt(uint256[] calldata draws, uint256 i) private pure returns (uint256 seed, uint256 packed) {
        assembly ("memory-safe") {
            let from := add(draws.offset, shl(5, i))
            seed := calldataload(from)
            packed := calldataload(add(from, 32))
        }
    }

    /// @inheritdoc INodeRegistry
    function lengthAt(PoolId pool, uint32 epoch) external view returns (uint32) {
        return uint32(_lengthAt(pool, epoch));
    }

    /// @inheritdoc INodeRegistry
    function seatAt(PoolId pool, uint32 index)
        external
        view
        returns (NodeId node, uint32 since, uint32 until, uint32 heldSince)
    {
        uint256 entry = _seat(pool, index);
        return (NodeId.wrap(uint32(entry >> 96)), uint32(entry >> 64), uint32(entry >> 32), uint32(_heldSince(entry)));
    }

    /// @dev Node whose seat at `index` is valid in the epoch and was held before `heldBefore`, here or elsewhere in the list.
    /// @param when `heldBefore << 32 | epoch`
    function _mayJudge(uint256 list, uint256 when, uint256 index) private view returns (uint256 node) {
        uint256 word;
        assembly ("memory-safe") {
            word := sload(add(list, shr(1, index)))
        }
        uint256 entry = index & 1 == 0 ? word >> 128 : word & type(uint128).max;
        return _heldSince(entry) < when >> 32 ? _seated(list, uint32(when), index) : 0;
    }

    /// @dev Node whose seat at `index` is valid in `epoch`, or 0, with bit 32 set if its pauses must be read. `list` is
    /// where the pool's seats begin.
    function _seated(uint256 list, uint256 epoch, uint256 index) private view returns (uint256 node) {
        assembly ("memory-safe") {
            // An even entry is the left half of its word; then since <= epoch < until.
            let entry := shr(shl(7, iszero(and(index, 1))), sload(add(list, shr(1, index))))
            let valid := gt(and(shr(32, entry), 0xffffffff), epoch)
            valid := and(valid, iszero(gt(and(shr(64, entry), 0xffffffff), epoch)))
            node := mul(valid, or(shl(32, and(entry, 1)), and(shr(96, entry), 0xffffffff)))
        }
    }

    function _serves(uint256 node, uint256 when) private view returns (bool) {
        return !Pauses.isPaused(_pauses[NodeId.wrap(uint32(node))], uint32(when));
    }

    /// @dev Walks the checkpoints back from the newest change to the length as of the end of `epoch - 1`.
    function _lengthAt(PoolId pool, uint256 epoch) private view returns (uint256 length) {
        uint256 now_ = _epoch();
        uint256 oldest = now_ + 2 > RING ? now_ + 2 - RING : 0;
        if (epoch < oldest || epoch > now_ + 1) {
            revert DrawOutOfRange(uint32(oldest), uint32(now_ + 1), uint32(epoch));
        }
        length = _pools[pool].length;
        uint256 grownAt = _pools[pool].grownAt;
        while (grownAt >= epoch && grownAt != 0) {
            uint256 checkpoint = _growth[pool][grownAt % RING];
            length = checkpoint >> 32;
            grownAt = checkpoint & OPEN;
        }
    }

    // --- changes of the list --------------------------------------------------------------------------------------

    /// @dev Gives `node` one more seat: the oldest dead hole, or a new entry.
    function _takeSeat(PoolId pool, NodeId node) internal {
        uint256 counting = _countingEpoch();
        (bool found, uint256 index) = _popHole(pool, counting);
        if (!found) {
            index = _pools[pool].length;
            _resize(pool, counting, index + 1);
        }
        _beginSeat(pool, node, index, counting + 1, counting + 1);
        _held[node] = _held[node] << 32 | (index + 1);
    }

    /// @dev Ends the node's newest seat.
    function _endSeat(PoolId pool, NodeId node) internal {
        uint256 held = _held[node];
        _endEntry(pool, node, (held & OPEN) - 1, _countingEpoch() + 1);
        _held[node] = held >> 32;
    }

    /// @inheritdoc INodeRegistry
    function relocate(PoolId pool) external {
        uint256 counting = _countingEpoch();
        uint256 length = _pools[pool].length;
        uint256 shortened = length;
        for (uint256 i; i < SEARCH && shortened > 0 && _isDead(_seat(pool, shortened - 1), counting); ++i) {
            --shortened;
        }
        if (shortened != length) return _resize(pool, counting, shortened);

        (bool live, uint256 from) = _lastLive(pool, length);
        uint256 head = _pools[pool].holeHead;
        (bool found, uint256 to) = _popHole(pool, counting);
        // A whole search of stale positions stays dropped: holes behind them could never be reached otherwise.
        if (!found && _pools[pool].holeHead == head + SEARCH) return;
        if (!live || !found || to >= from) revert NothingToRelocate(pool);
        uint256 entry = _seat(pool, from);
        NodeId node = NodeId.wrap(uint32(entry >> 96));
        _endEntry(pool, node, from, counting + 1);
        _beginSeat(pool, node, to, counting + 1, _heldSince(entry));
        uint256 held = _held[node];
        for (uint256 shift; shift < 256; shift += 32) {
            if ((held >> shift) & OPEN == from + 1) held = held ^ ((from + 1) ^ (to + 1)) << shift;
        }
        _held[node] = held;
    }

    function _lastLive(PoolId pool, uint256 length) private view returns (bool, uint256) {
        for (uint256 i = 1; i <= SEARCH && i <= length; ++i) {
            if ((_seat(pool, length - i) >> 32) & OPEN == OPEN) return (true, length - i);
        }
        return (false, 0);
    }

    /// @dev Takes the oldest hole if it is dead. Stale positions (refilled, or beyond a shortened list) are dropped.
    function _popHole(PoolId pool, uint256 counting) private returns (bool found, uint256 index) {
        uint32 head = _pools[pool].holeHead;
        uint32 tail = _pools[pool].holeTail;
        for (uint256 i; i < SEARCH && head != tail && !found; ++i) {
            index = _holes[pool][head];
            if (index < _pools[pool].length) {
                uint256 entry = _seat(pool, index);
                found = _isDead(entry, counting);
                if (!found && (entry >> 32) & OPEN != OPEN) break;
            }
            delete _holes[pool][head++];
        }
        _pools[pool].holeHead = head;
    }

    // slither-disable-next-line incorrect-equality our own epochs, flags and numbers, no balance that others can move
    function _beginSeat(PoolId pool, NodeId node, uint256 index, uint256 since, uint256 heldSince) private {
        uint256 flags = (since - heldSince) << 1 | (_pauses[node] == 0 ? 0 : 1);
        _setSeat(pool, index, uint256(NodeId.unwrap(node)) << 96 | since << 64 | OPEN << 32 | uint32(flags));
        emit SeatTaken(pool, node, uint32(index), uint32(since), uint32(heldSince));
    }

    /// @dev With a node's first pause: its seats say from now on that its pauses must be read.
    function _flagSeats(PoolId pool, NodeId node) internal {
        for (uint256 held = _held[node]; held != 0; held >>= 32) {
            uint256 index = (held & OPEN) - 1;
            _setSeat(pool, index, _seat(pool, index) | 1);
        }
    }

    function _endEntry(PoolId pool, NodeId node, uint256 index, uint256 until) private {
        uint256 entry = _seat(pool, index);
        _setSeat(pool, index, (entry & ~(OPEN << 32)) | until << 32);
        _holes[pool][_pools[pool].holeTail++] = uint32(index);
        emit SeatEnded(pool, node, uint32(index), uint32(until));
    }

    function _resize(PoolId pool, uint256 counting, uint256 length) private {
        Pool storage p = _pools[pool];
        if (p.grownAt != counting) {
            _growth[pool][counting % RING] = uint256(p.length) << 32 | p.grownAt;
            p.grownAt = uint32(counting);
        }
        p.length = uint32(length);
        emit ListResized(pool, uint32(length), uint32(counting + 1));
    }

    // --- entries --------------------------------------------------------------------------------------------------

    /// @dev Dead: ended so long ago that no draw that is still allowed can find it valid.
    function _isDead(uint256 entry, uint256 counting) private view returns (bool) {
        uint256 until = (entry >> 32) & OPEN;
        return until != OPEN && until + RING < counting;
    }

    function _heldSince(uint256 entry) private pure returns (uint256) {
        return uint32(entry >> 64) - ((entry >> 1) & (OPEN >> 1));
    }

    /// @dev `node32 | since32 | until32 | age31 | paused1` in the low 128 bits.
    // slither-disable-next-line incorrect-equality our own epochs, flags and numbers, no balance that others can move
    function _seat(PoolId pool, uint256 index) private view returns (uint256) {
        unchecked {
            uint256 word = _seats[pool][index >> 1];
            return index & 1 == 0 ? word >> 128 : word & type(uint128).max;
        }
    }

    // slither-disable-next-line incorrect-equality our own epochs, flags and numbers, no balance that others can move
    function _setSeat(PoolId pool, uint256 index, uint256 entry) private {
        uint256 word = _seats[pool][index >> 1];
        _seats[pool][index >> 1] =
            index & 1 == 0 ? (word & type(uint128).max) | entry << 128 : (word >> 128 << 128) | entry;
    }
}
