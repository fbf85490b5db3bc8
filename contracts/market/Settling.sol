// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {JobId, NodeId} from "../interfaces/Types.sol";
import {ICommitLedger} from "../interfaces/ICommitLedger.sol";
import {IJobMarket} from "../interfaces/IJobMarket.sol";
import {Epochs} from "../libraries/Epochs.sol";
import {JobWord} from "../libraries/JobWord.sol";
import {Packed} from "../libraries/Packed.sol";
import {Payout} from "../libraries/Payout.sol";
import {Sortition} from "../libraries/Sortition.sol";
import {Trees} from "../libraries/Trees.sol";
import {JobBook} from "./JobBook.sol";

/// @title Settle: many shards of many jobs, one new word
/// @dev Four passes: read the entries (and ask the registry for their committees), read the lanes, check the openings,
/// then count, pay and record entry by entry. Nothing is written before every opening is checked.
abstract contract Settling is JobBook {
    using JobWord for uint256;
    using Packed for bytes;

    /// @dev One entry in memory: `job64 | shard32 | commitEpoch32 | attempt8 | skip8 | … | offset32`.
    uint256 private constant SKIP = 1 << 112;
    uint256 private constant ENTRY_BYTES = 45; // and one hint per slot
    uint256 private constant EVENT_BYTES = 47;
    uint256 private constant NO_LANE = 0xff;
    uint256 private constant FOREIGN = 0xffff;

    /// @dev What one settle call adds up, in memory.
    struct Tally {
        uint256[] pairs; // node32 | commitEpoch32 of each lane
        uint256[] words; // its lane word
        uint256[] shown; // bit per entry and lane: covered by a checked opening
        uint256 stride; // words of `shown` per lane
        uint256[] payNow; // per lane
        uint256[] payLater;
        uint256 fee;
        uint256 protocolFee;
        bytes32[] leaves; // settlement leaves
        bytes log; // the event's leaves
        uint256 settled;
        // the job at hand
        uint256 job;
        uint256 word;
        uint256 protocolFeeBps;
        uint256 spent;
        uint256 bits;
    }

    ICommitLedger public immutable ledger;

    mapping(bytes32 root => uint256 epoch) internal _settlements;

    constructor(ICommitLedger ledger_) {
        ledger = ledger_;
    }

    /// @inheritdoc IJobMarket
    function settle(bytes calldata entries, bytes calldata lanes, bytes calldata openings, address payee)
        external
        returns (uint256)
    {
        (uint256[] memory rows, bytes32[] memory hashes, uint256[] memory draws) = _readEntries(entries);
        Tally memory t;
        _readLanes(t, lanes, rows.length);
        _checkOpenings(t, openings, hashes);
        uint256[] memory slots = registry.committees(draws);
        t.leaves = new bytes32[](rows.length);
        t.log = new bytes(rows.length * EVENT_BYTES + 32);
        unchecked {
            for (uint256 i; i < rows.length; ++i) {
                if (rows[i] & SKIP == 0) _settleRow(t, entries, rows[i], i, slots[i << 1], slots[(i << 1) + 1]);
            }
        }
        if (t.settled == 0) return 0;
        _flushJob(t);
        _record(t, payee);
        return t.settled;
    }

    // --- pass 1: entries ------------------------------------------------------------------------------------------

    function _readEntries(bytes calldata entries)
        private
        view
        returns (uint256[] memory rows, bytes32[] memory hashes, uint256[] memory draws)
    {
        uint256 most = entries.length / (ENTRY_BYTES + 1);
        rows = new uint256[](most);
        hashes = new bytes32[](most);
        draws = new uint256[](most << 1);
        uint256 count;
        uint256 offset;
        uint256 next; // lowest (job, shard) allowed
        uint256 job;
        uint256 word;
        uint256 seedEpoch;
        uint256 seed;
        while (offset < entries.length) {
            uint256 key = entries.u96(offset);
            if (key < next || count == most) revert EntriesNotAscending(count);
            next = key + 1;
            if (key >> 32 != job) {
                job = key >> 32;
                word = _known(JobId.wrap(uint64(job))).word;
            }
            uint256 start;
            (start, rows[count]) = _readRow(word, key, entries.u8(offset + 12), offset);
            if (rows[count] & SKIP == 0) {
                if (seedEpoch != start) {
                    seed = uint256(ledger.seedOf(uint32(start)));
                    seedEpoch = start;
                }
                draws[count << 1] = seed;
                draws[(count << 1) + 1] = _drawWord(word, key, start);
            }
            hashes[count] = Trees.batchLeaf(key, entries.b32(offset + 13));
            unchecked {
                offset += ENTRY_BYTES + word.committee();
                ++count;
            }
        }
        if (offset != entries.length) revert MalformedCall("entries", count);
        assembly ("memory-safe") {
            mstore(rows, count)
            mstore(hashes, count)
            mstore(draws, shl(1, count))
        }
    }

    /// @dev Checks one entry against the clock. Skipped when the shard is settled.
    function _readRow(uint256 word, uint256 key, uint256 attempt, uint256 offset)
        private
        view
        returns (uint256 start, uint256 row)
    {
        JobId job = JobId.wrap(uint64(key >> 32));
        uint32 shard = uint32(key);
        if (shard >= word.shards()) revert UnknownShard(job, shard);
        if (attempt >= word.maxAttempts()) revert UnknownAttempt(job, shard, uint8(attempt));
        row = key << 160 | attempt << 120 | offset;
        if (_isSettled(job, word, shard)) return (0, row | SKIP);
        start = _startOf(word, shard, attempt);
        uint256 commitEpoch = Epochs.commitOf(start, word.work());
        uint256 now_ = _epoch();
        if (now_ <= commitEpoch) revert NotYet(job, shard, uint32(commitEpoch + 1), uint32(now_));
        uint256 last = _lastOf(word, shard);
        if (now_ > last) revert TooLate(job, shard, uint32(last), uint32(now_));
        row |= commitEpoch << 128;
    }

    // --- pass 2: lanes --------------------------------------------------------------------------------------------

    function _readLanes(Tally memory t, bytes calldata lanes, uint256 rows) private view {
        uint256 count = lanes.length >> 3;
        if (count << 3 != lanes.length || count >= NO_LANE) revert MalformedCall("lanes", count);
        t.words = ledger.lanes(lanes);
        t.pairs = new uint256[](count);
        unchecked {
            for (uint256 i; i < count; ++i) {
                t.pairs[i] = lanes.u64(i << 3);
                if (i != 0 && t.pairs[i] <= t.pairs[i - 1]) revert LanesNotAscending(i);
            }
            t.stride = (rows + 255) >> 8;
            t.shown = new uint256[](count * t.stride);
        }
        t.payNow = new uint256[](count);
        t.payLater = new uint256[](count);
    }

    // --- pass 3: openings -----------------------------------------------------------------------------------------

    /// @dev Each opening must lead to what its lane holds. Entries it covers are marked in `shown`.
    function _checkOpenings(Tally memory t, bytes calldata openings, bytes32[] memory hashes) internal pure {
        uint256 offset;
        while (offset < openings.length) {
            uint256 lane = openings.u8(offset);
            if (lane >= t.pairs.length) revert MalformedCall("lane of opening", offset);
            NodeId node = NodeId.wrap(uint32(t.pairs[lane] >> 32));
            uint32 epoch = uint32(t.pairs[lane]);
            uint256 word = t.words[lane];
            uint256 delay = (word >> 216) & 0x0f;
            if (word >> 224 != epoch || delay == 0) revert LaneNotOpen(node, epoch);
            if (delay > Epochs.OPEN_WITHIN) revert RevealedTooLate(node, epoch, uint8(delay));
            bytes32 root;
            (root, offset) = _readOpening(openings, offset + 1, hashes, t.shown, lane * t.stride);
            if (uint216(bytes27(root)) != uint216(word)) revert WrongOpening(node, epoch);
        }
    }

    /// @dev Root that an opening shows, and the offset behind it.
    function _readOpening(
        bytes calldata data,
        uint256 offset,
        bytes32[] memory hashes,
        uint256[] memory shown,
        uint256 base
    ) private pure returns (bytes32 root, uint256 end) {
        uint256 n = data.u16(offset);
        uint256 first = data.u16(offset + 2);
        bytes32[] memory range;
        (range, offset) = _readSegments(data, offset + 4, n, hashes, shown, base);
        uint256 length = data.u8(offset++);
        bytes32[] memory proof = new bytes32[](length);
        unchecked {
            for (uint256 i; i < length; ++i) {
                proof[i] = data.b32(offset + (i << 5));
            }
            return (Trees.rangeRoot(n, first, range, proof), offset + (length << 5));
        }
    }

    function _readSegments(
        bytes calldata data,
        uint256 offset,
        uint256 n,
        bytes32[] memory hashes,
        uint256[] memory shown,
        uint256 base
    ) private pure returns (bytes32[] memory range, uint256 end) {
        range = new bytes32[](n);
        uint256 size;
        uint256 segments = data.u16(offset);
        offset += 2;
        unchecked {
            for (; segments != 0; --segments) {
                uint256 entry = data.u16(offset);
                uint256 length = data.u16(offset + 2);
                offset += 4;
                if (size + length > n) revert MalformedCall("segment", offset - 4);
                if (entry == FOREIGN) {
                    for (uint256 i; i < length; ++i) {
                        range[size++] = data.b32(offset);
                        offset += 32;
                    }
                    continue;
                }
                if (entry + length > hashes.length) revert MalformedCall("segment", offset - 4);
                for (uint256 i = entry; i < entry + length; ++i) {
                    range[size++] = hashes[i];
                    shown[base + (i >> 8)] |= 1 << (i & 255);
                }
            }
        }
        assembly ("memory-safe") {
            mstore(range, size)
        }
        end = offset;
    }

    // --- pass 4: count and pay ------------------------------------------------------------------------------------

    function _settleRow(
        Tally memory t,
        bytes calldata entries,
        uint256 row,
        uint256 index,
        uint256 low,
        uint256 high
    ) private {
        uint256 job = row >> 192;
        if (job != t.job) {
            _flushJob(t);
            _loadJob(t, job);
        }
        uint256 word = t.word;
        uint256 shard = (row >> 160) & type(uint32).max;
        uint256 pay = word.taskPrice() * word.tasksIn(shard);
        (uint256 paidSlots, uint256 count) = _countSlots(t, entries, row, index, low, high, pay);
        if (count < word.quorum()) {
            revert NoQuorum(JobId.wrap(uint64(job)), uint32(shard), uint8(word.quorum()), uint8(count));
        }
        unchecked {
            uint256 total = pay * count;
            uint256 fee = Payout.share(total, SETTLE_FEE_BPS);
            uint256 protocolFee = Payout.share(total, t.protocolFeeBps);
            t.fee += fee;
            t.protocolFee += protocolFee;
            t.spent += total + fee + protocolFee;
        }
        if (word.shards() > SHORT) _settledBits[JobId.wrap(uint64(job))][shard >> 8] |= 1 << (shard & 255);
        else t.bits |= 1 << shard;
        uint256 attempt = (row >> 120) & type(uint8).max;
        bytes32 root = entries.b32((row & type(uint32).max) + 13);
        uint256 k = t.settled++;
        t.leaves[k] = Trees.settlementLeaf(job, shard, attempt, paidSlots, root);
        _appendLog(t.log, k, (row >> 160) << 24 | attempt << 16 | paidSlots, root);
    }

    /// @dev Which slots of an entry are paid, and their pay. In the epoch after the commit every drawn slot must be
    /// listed and none may be sealed, so that nobody is left out by haste.
    function _countSlots(
        Tally memory t,
        bytes calldata entries,
        uint256 row,
        uint256 index,
        uint256 low,
        uint256 high,
        uint256 pay
    ) private view returns (uint256 paidSlots, uint256 count) {
        uint256 commitEpoch = (row >> 128) & type(uint32).max;
        bool early = _epoch() == commitEpoch + 1;
        uint256[] memory purse = t.word.appealEpochs() == 0 ? t.payNow : t.payLater;
        uint256 committee = t.word.committee();
        uint256 hints = (row & type(uint32).max) + ENTRY_BYTES;
        unchecked {
            for (uint256 slot; slot < committee; ++slot) {
                uint256 lane = entries.u8(hints + slot);
                uint256 node = Sortition.slot(low, high, slot);
                if (lane == NO_LANE) {
                    if (early && node != 0) {
                        revert LaneMissing(JobId.wrap(uint64(row >> 192)), uint32(row >> 160), uint8(slot));
                    }
                    continue;
                }
                _requireLane(t, row, slot, lane, node << 32 | commitEpoch);
                if (early && _isSealed(t.words[lane], commitEpoch)) {
                    revert StillSealed(JobId.wrap(uint64(row >> 192)), uint32(row >> 160), NodeId.wrap(uint32(node)));
                }
                if ((t.shown[lane * t.stride + (index >> 8)] >> (index & 255)) & 1 == 0) continue;
                paidSlots |= 1 << slot;
                purse[lane] += pay;
                ++count;
            }
        }
    }

    function _requireLane(Tally memory t, uint256 row, uint256 slot, uint256 lane, uint256 pair) private pure {
        uint256 actual = lane < t.pairs.length ? t.pairs[lane] : 0;
        if (actual == pair && pair >> 32 != 0) return;
        revert WrongLane(
            JobId.wrap(uint64(row >> 192)),
            uint32(row >> 160),
            uint8(slot),
            NodeId.wrap(uint32(pair >> 32)),
            NodeId.wrap(uint32(actual >> 32))
        );
    }

    function _loadJob(Tally memory t, uint256 job) private view {
        Job storage stored = _jobs[JobId.wrap(uint64(job))];
        t.job = job;
        t.word = stored.word;
        t.bits = 0;
        t.spent = 0;
        t.protocolFeeBps = t.word & JobWord.RARE == 0 ? 0 : stored.protocolFeeBps;
    }

    /// @dev Writes what changed in the job at hand: one word.
    function _flushJob(Tally memory t) private {
        if (t.spent == 0) return;
        Job storage stored = _jobs[JobId.wrap(uint64(t.job))];
        stored.held -= uint88(t.spent);
        stored.settledBits |= uint8(t.bits);
    }

    function _record(Tally memory t, address payee) private {
        bytes32 root = Trees.sortedRoot(t.leaves, t.settled);
        uint256 now_ = _epoch();
        _settlements[root] = now_;
        unchecked {
            for (uint256 i; i < t.pairs.length; ++i) {
                if (t.payNow[i] | t.payLater[i] != 0) {
                    _credit(NodeId.wrap(uint32(t.pairs[i] >> 32)), t.payNow[i], t.payLater[i]);
                }
            }
        }
        if (t.fee != 0) _owed[payee] += t.fee;
        if (t.protocolFee != 0) _owed[feeRecipient] += t.protocolFee;
        bytes memory log = t.log;
        uint256 length = t.settled * EVENT_BYTES;
        assembly ("memory-safe") {
            mstore(log, length)
        }
        emit Settled(root, uint32(now_), payee, t.fee, log);
    }

    /// @dev `log` was allocated with a spare word: the second store of the last leaf stays inside it.
    function _appendLog(bytes memory log, uint256 index, uint256 head, bytes32 root) private pure {
        assembly ("memory-safe") {
            let at_ := add(add(log, 32), mul(index, 47))
            mstore(at_, shl(136, head))
            mstore(add(at_, 15), root)
        }
    }

    // --- shared with claims and reports ---------------------------------------------------------------------------

    function _startOf(uint256 word, uint256 shard, uint256 attempt) internal pure returns (uint256) {
        return Epochs.firstOf(word.postEpoch(), shard, word.pace()) + attempt * Epochs.stride(word.work());
    }

    function _drawWord(uint256 word, uint256 key, uint256 start) internal pure returns (uint256) {
        return key << 160 | start << 128 | word.pool() << 112 | word.committee() << 104;
    }

    function _isSettled(JobId job, uint256 word, uint256 shard) internal view returns (bool) {
        return word.shards() > SHORT
            ? (_settledBits[job][shard >> 8] >> (shard & 255)) & 1 != 0
            : (_jobs[job].settledBits >> shard) & 1 != 0;
    }

    function _isSealed(uint256 lane, uint256 epoch) private pure returns (bool) {
        return lane >> 224 == epoch && (lane >> 216) & type(uint8).max == 0;
    }
}
