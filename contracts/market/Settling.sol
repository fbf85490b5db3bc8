// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {JobId, NodeId} from "../interfaces/Types.sol";
import {ICommitLedger} from "../interfaces/ICommitLedger.sol";
import {IJobMarket} from "../interfaces/IJobMarket.sol";
import {INodeRegistry} from "../interfaces/INodeRegistry.sol";
import {Asks} from "../libraries/Asks.sol";
import {Epochs} from "../libraries/Epochs.sol";
import {JobWord} from "../libraries/JobWord.sol";
import {Payout} from "../libraries/Payout.sol";
import {Sortition} from "../libraries/Sortition.sol";
import {Trees} from "../libraries/Trees.sol";
import {Words} from "../libraries/Words.sol";
import {JobBook} from "./JobBook.sol";
import {Openings} from "./Openings.sol";

/// @title Settle: many shards of many jobs, one new word
/// @dev Three passes: read the entries and what their committees are drawn from; read the lanes and check the openings
/// (Openings); then count, pay and record entry by entry. Nothing is written before every opening is checked.
abstract contract Settling is JobBook {
    using JobWord for uint256;

    /// @dev One entry in memory: `job64 | shard32 | commitEpoch32 | attempt8 | … | skip | offset32`.
    uint256 private constant SKIP = 1 << 32;
    uint256 private constant ENTRY_BYTES = 45; // and one hint per slot
    uint256 private constant EVENT_BYTES = 47;

    /// @dev The job at hand while entries are read or settled.
    struct Current {
        uint256 job;
        uint256 word;
        uint256 shards;
        uint256 group; // which word of settled bits, and the bits
        uint256 bits;
        uint256 spent;
        uint256 protocolFeeBps;
        uint256 epoch; // now
        uint256 seedEpoch;
        uint256 seed;
    }

    /// @dev What one settle call gathers and adds up, in memory.
    struct Tally {
        uint256 count; // entries
        uint256 rows; // where one word an entry begins
        uint256 hashes; // where its batch leaf is; settlement leaves from the left as entries are settled
        uint256[] draws; // two words an entry, see INodeRegistry.committees
        uint256 lanes; // where the lanes begin
        uint256 laneCount;
        uint256 fee;
        uint256 protocolFee;
        bytes log; // the event's leaves
        uint256 settled;
    }

    ICommitLedger public immutable ledger;

    mapping(bytes32 root => uint256 epoch) internal _settlements;

    constructor(ICommitLedger ledger_) {
        ledger = ledger_;
    }

    /// @inheritdoc IJobMarket
    function settle(bytes calldata entries, bytes calldata lanes, bytes calldata openings, NodeId payee)
        external
        returns (uint256)
    {
        // slither-disable-next-line uninitialized-local zero is where it begins
        Tally memory t;
        // slither-disable-next-line uninitialized-local zero is where it begins
        Current memory c;
        c.epoch = _epoch();
        _readEntries(t, c, entries);
        t.laneCount = lanes.length >> 3;
        t.lanes = Openings.read(lanes, Asks.words(address(ledger), ICommitLedger.lanes.selector, lanes));
        Openings.check(t.lanes, t.laneCount, t.hashes, t.count, openings, Epochs.OPEN_WITHIN);
        _settleRows(t, c, entries);
        if (t.settled != 0) _record(t, c.epoch, payee);
        return t.settled;
    }

    // --- pass 1: entries ------------------------------------------------------------------------------------------

    // slither-disable-next-line incorrect-equality our own epochs, flags and numbers, no balance that others can move
    function _readEntries(Tally memory t, Current memory c, bytes calldata entries) private view {
        uint256 most = entries.length / (ENTRY_BYTES + 1);
        if (most > Openings.MAX_ENTRIES) most = Openings.MAX_ENTRIES;
        t.rows = Words.room(most);
        t.hashes = Words.room(most);
        t.draws = Asks.room(most << 1);
        uint256 count;
        uint256 offset;
        uint256 next; // lowest (job, shard) allowed
        unchecked {
            while (offset < entries.length) {
                if (count == most) revert MalformedCall("entries", count);
                uint256 head;
                bytes32 root;
                assembly ("memory-safe") {
                    head := calldataload(add(entries.offset, offset)) // job 8, shard 4, attempt 1
                    root := calldataload(add(entries.offset, add(offset, 13)))
                }
                uint256 key = head >> 160;
                if (key < next) revert EntriesNotAscending(count);
                next = key + 1;
                if (key >> 32 != c.job || c.word == 0) _loadJob(c, key >> 32);
                uint256 end = offset + ENTRY_BYTES + c.word.committee();
                if (end > entries.length) revert MalformedCall("entries", count);
                Words.set(t.rows, count, _readRow(t, c, key, (head >> 152) & 0xff, count) | offset);
                Words.set(t.hashes, count, uint256(Trees.batchLeaf(key, root)));
                offset = end;
                ++count;
            }
        }
        t.count = count;
        uint256[] memory draws = t.draws;
        assembly ("memory-safe") {
            mstore(draws, shl(1, count))
        }
    }

    /// @dev Checks one entry against the clock and asks for its committee. Skipped when the shard is settled.
    function _readRow(Tally memory t, Current memory c, uint256 key, uint256 attempt, uint256 index)
        private
        view
        returns (uint256 row)
    {
        uint256 word = c.word;
        uint256 shard = uint32(key);
        if (shard >= c.shards) revert UnknownShard(JobId.wrap(uint64(c.job)), uint32(shard));
        if (attempt >= word.maxAttempts()) {
            revert UnknownAttempt(JobId.wrap(uint64(c.job)), uint32(shard), uint8(attempt));
        }
        row = key << 160 | attempt << 120;
        _loadBits(c, shard);
        unchecked {
            uint256 draw = Words.begin(t.draws) + (index << 6);
            if ((c.bits >> (shard & 255)) & 1 != 0) {
                Words.set(draw, 0, 0);
                Words.set(draw, 1, 0); // asks for nobody
                return row | SKIP;
            }
            uint256 first = Epochs.firstOf(word.postEpoch(), shard, word.pace());
            uint256 start = first + attempt * Epochs.stride(word.work());
            uint256 commitEpoch = Epochs.commitOf(start, word.work());
            if (c.epoch <= commitEpoch) {
                revert NotYet(JobId.wrap(uint64(c.job)), uint32(shard), uint32(commitEpoch + 1), uint32(c.epoch));
            }
            uint256 last = Epochs.lastOf(first, word.maxAttempts(), word.work(), SETTLE_GRACE);
            if (c.epoch > last) {
                revert TooLate(JobId.wrap(uint64(c.job)), uint32(shard), uint32(last), uint32(c.epoch));
            }
            if (c.seedEpoch != start) {
                c.seed = uint256(ledger.seedOf(uint32(start)));
                c.seedEpoch = start;
            }
            Words.set(draw, 0, c.seed);
            Words.set(draw, 1, word.drawWord(key, start));
            row |= commitEpoch << 128;
        }
    }

    // --- pass 3: count and pay ------------------------------------------------------------------------------------

    function _settleRows(Tally memory t, Current memory c, bytes calldata entries) private {
        uint256 slots = Words.begin(Asks.words(address(registry), INodeRegistry.committees.selector, t.draws));
        uint256 rows = t.count;
        t.log = new bytes(rows * EVENT_BYTES + 32);
        unchecked {
            for (uint256 i; i < rows; ++i) {
                uint256 row = Words.get(t.rows, i);
                if (row & SKIP != 0) continue;
                if (row >> 192 != c.job) {
                    _flush(c);
                    _loadJob(c, row >> 192);
                }
                _settleRow(t, c, entries, row, i, Words.get(slots, i << 1), Words.get(slots, (i << 1) + 1));
            }
        }
        _flush(c);
    }

    function _settleRow(
        Tally memory t,
        Current memory c,
        bytes calldata entries,
        uint256 row,
        uint256 index,
        uint256 low,
        uint256 high
    ) private {
        uint256 word = c.word;
        uint256 shard = (row >> 160) & type(uint32).max;
        uint256 group = shard >> 8;
        if (group != c.group && c.shards > SHORT) {
            _flush(c);
            _loadBits(c, shard);
        }
        unchecked {
            uint256 pay = word.taskPrice() * word.tasksIn(shard);
            (uint256 paidSlots, uint256 count) = _countSlots(t, c, entries, row, index, low, high, pay);
            if (count < word.quorum()) {
                revert NoQuorum(JobId.wrap(uint64(c.job)), uint32(shard), uint8(word.quorum()), uint8(count));
            }
            pay *= count;
            uint256 fee = Payout.share(pay, SETTLE_FEE_BPS);
            t.fee += fee;
            c.spent += pay + fee;
            if (c.protocolFeeBps != 0) {
                fee = Payout.share(pay, c.protocolFeeBps);
                t.protocolFee += fee;
                c.spent += fee;
            }
            c.bits |= 1 << (shard & 255);
            uint256 attempt = (row >> 120) & type(uint8).max;
            bytes32 root;
            assembly ("memory-safe") {
                root := calldataload(add(entries.offset, add(and(row, 0xffffffff), 13)))
            }
            uint256 k = t.settled++;
            Words.set(t.hashes, k, uint256(Trees.settlementLeaf(c.job, shard, attempt, paidSlots, root)));
            _appendLog(t.log, k, (row >> 160) << 24 | attempt << 16 | paidSlots, root);
        }
    }

    /// @dev Which slots of an entry are paid, and their pay. In the epoch after the commit every drawn slot must be
    /// listed and none may be sealed, so that nobody is left out by haste.
    // slither-disable-next-line incorrect-equality our own epochs, flags and numbers, no balance that others can move
    function _countSlots(
        Tally memory t,
        Current memory c,
        bytes calldata entries,
        uint256 row,
        uint256 index,
        uint256 low,
        uint256 high,
        uint256 pay
    ) private pure returns (uint256 paidSlots, uint256 count) {
        uint256 commitEpoch = (row >> 128) & type(uint32).max;
        if (c.word.appealEpochs() != 0) pay <<= 128; // into the half that matures
        uint256 committee = c.word.committee();
        uint256 hints; // one byte a slot, behind the entry
        assembly ("memory-safe") {
            hints := calldataload(add(entries.offset, add(and(row, 0xffffffff), 45)))
        }
        unchecked {
            bool early = c.epoch == commitEpoch + 1;
            for (uint256 slot; slot < committee; ++slot) {
                uint256 hint = hints >> 248;
                hints <<= 8;
                uint256 node = Sortition.slot(low, high, slot);
                if (hint == Openings.NO_LANE) {
                    if (early && node != 0) revert LaneMissing(_job(row), _shard(row), uint8(slot));
                    continue;
                }
                uint256 pair = node << 32 | commitEpoch;
                if (hint >= t.laneCount) _wrongLane(row, slot, pair, 0);
                uint256 lane = Openings.at(t.lanes, hint);
                uint256 actual = Words.get(lane, Openings.PAIR);
                if (node == 0 || actual != pair) _wrongLane(row, slot, pair, actual);
                // Sealed: the word carries the epoch and state 0.
                if (early && Words.get(lane, Openings.WORD) >> 216 == commitEpoch << 8) {
                    revert StillSealed(_job(row), _shard(row), Openings.nodeOf(pair));
                }
                if ((Words.get(lane, Openings.SHOWN) >> index) & 1 == 0) continue;
                paidSlots |= 1 << slot;
                Words.set(lane, Openings.PURSE, Words.get(lane, Openings.PURSE) + pay);
                ++count;
            }
        }
    }

    function _wrongLane(uint256 row, uint256 slot, uint256 pair, uint256 actual) private pure {
        revert WrongLane(_job(row), _shard(row), uint8(slot), Openings.nodeOf(pair), Openings.nodeOf(actual));
    }

    // slither-disable-next-line incorrect-equality our own epochs, flags and numbers, no balance that others can move
    function _loadJob(Current memory c, uint256 job) private view {
        Job storage stored = _jobs[JobId.wrap(uint64(job))];
        c.job = job;
        c.word = stored.word;
        if (c.word == 0) revert UnknownJob(JobId.wrap(uint64(job)));
        c.shards = c.word.shards();
        c.spent = 0;
        c.protocolFeeBps = c.word & JobWord.RARE == 0 ? 0 : stored.protocolFeeBps;
        // A long job's bits are loaded with its first shard.
        (c.group, c.bits) = c.shards > SHORT ? (type(uint256).max, 0) : (0, stored.settledBits);
    }

    /// @dev Settled bits of the word that holds `shard`.
    // slither-disable-next-line incorrect-equality our own epochs, flags and numbers, no balance that others can move
    function _loadBits(Current memory c, uint256 shard) private view {
        if (c.shards <= SHORT || c.group == shard >> 8) return;
        c.group = shard >> 8;
        c.bits = _settledBits[JobId.wrap(uint64(c.job))][c.group];
    }

    /// @dev Writes what changed in the job at hand: one word, and one per 256 shards of a long job.
    // slither-disable-next-line incorrect-equality our own epochs, flags and numbers, no balance that others can move
    function _flush(Current memory c) private {
        if (c.spent == 0) return;
        Job storage stored = _jobs[JobId.wrap(uint64(c.job))];
        stored.held -= uint88(c.spent); // checked: escrow covers every slot and fee
        c.spent = 0;
        if (c.shards > SHORT) _settledBits[JobId.wrap(uint64(c.job))][c.group] = c.bits;
        else stored.settledBits = uint8(c.bits);
    }

    function _record(Tally memory t, uint256 now_, NodeId payee) private {
        bytes32 root = Trees.sortedRoot(t.hashes, t.settled);
        _settlements[root] = now_;
        uint256 fee = t.fee;
        uint256 unpaid = fee;
        unchecked {
            for (uint256 i; i < t.laneCount; ++i) {
                uint256 lane = Openings.at(t.lanes, i);
                uint256 purse = Words.get(lane, Openings.PURSE);
                if (purse == 0) continue;
                NodeId node = Openings.nodeOf(Words.get(lane, Openings.PAIR));
                if (unpaid != 0 && NodeId.unwrap(node) == NodeId.unwrap(payee)) {
                    purse += unpaid;
                    unpaid = 0;
                }
                _credit(node, uint128(purse), purse >> 128);
            }
        }
        if (unpaid != 0) _payFee(payee, unpaid);
        if (t.protocolFee != 0) _owe(feeRecipient, t.protocolFee);
        bytes memory log = t.log;
        uint256 length = t.settled * EVENT_BYTES;
        assembly ("memory-safe") {
            mstore(log, length)
        }
        emit Settled(root, uint32(now_), payee, fee, log);
    }

    /// @dev The fee of a settler that was not paid for a slot of this call.
    // slither-disable-next-line unused-return only asked so that it refuses an unknown node
    function _payFee(NodeId payee, uint256 fee) private {
        if (NodeId.unwrap(payee) == 0) return _owe(msg.sender, fee);
        registry.operatorOf(payee); // reverts for a node that does not exist
        _credit(payee, fee, 0);
    }

    /// @dev `log` was allocated with a spare word: the second store of the last leaf stays inside it.
    function _appendLog(bytes memory log, uint256 index, uint256 head, bytes32 root) private pure {
        assembly ("memory-safe") {
            let leaf := add(add(log, 32), mul(index, 47))
            mstore(leaf, shl(136, head))
            mstore(add(leaf, 15), root)
        }
    }

    function _job(uint256 row) private pure returns (JobId) {
        return JobId.wrap(uint64(row >> 192));
    }

    function _shard(uint256 row) private pure returns (uint32) {
        return uint32(row >> 160);
    }

    // --- shared with what happens to a settled shard --------------------------------------------------------------

    function _isSettled(JobId job, uint256 word, uint256 shard) internal view returns (bool) {
        return word.shards() > SHORT
            ? (_settledBits[job][shard >> 8] >> (shard & 255)) & 1 != 0
            : (_jobs[job].settledBits >> shard) & 1 != 0;
    }
}
