// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Pauses} from "../../contracts/registry/Pauses.sol";
import {Proof} from "./Proof.sol";

/// @title A node's pauses
contract PausesProof is Proof {
    uint256 private constant OPEN = type(uint32).max;

    /// @dev The interval in place `i`, newest first.
    function _holds(uint256 word, uint256 i, uint256 epoch) private pure returns (bool) {
        uint256 interval = uint64(word >> (64 * i));
        return both(interval >> 32 <= epoch, epoch < uint32(interval));
    }

    /// @dev What `open` and `close` leave: intervals ordered in time, each behind the one before; none open but the newest.
    function _wellFormed(uint256 word) private pure returns (bool ok) {
        ok = true;
        for (uint256 i; i < 3; ++i) {
            uint256 newer = uint64(word >> (64 * i));
            uint256 older = uint64(word >> (64 * (i + 1)));
            // All older places are empty, or the older one ended before the newer began.
            ok = both(ok, either(older == 0, uint32(older) < newer >> 32));
        }
        for (uint256 i; i < 4; ++i) {
            uint256 interval = uint64(word >> (64 * i));
            bool sound = both(interval >> 32 != 0, interval >> 32 <= uint32(interval));
            ok = both(ok, either(interval == 0, sound));
        }
    }

    function check_isPaused__fourIntervals__isAnyOfThem(uint256 word, uint32 epoch) public pure {
        vm.assume(epoch != OPEN);
        bool newer = either(_holds(word, 0, epoch), _holds(word, 1, epoch));
        bool older = either(_holds(word, 2, epoch), _holds(word, 3, epoch));
        assert(Pauses.isPaused(word, epoch) == either(newer, older));
    }

    function check_open__fromThenOn__isPaused(uint256 word, uint32 from, uint16 ring, uint32 epoch) public pure {
        vm.assume(_wellFormed(word) && !Pauses.isOpen(word) && from != 0 && epoch >= from && epoch != OPEN);
        (uint256 next, bool lost) = Pauses.open(word, from, ring);
        vm.assume(!lost);
        assert(Pauses.isOpen(next));
        assert(Pauses.isPaused(next, epoch));
    }

    /// @dev No epoch that a draw may still read changes: draws reach back less than `ring` epochs.
    function check_open__epochsBefore__stayAsTheyWere(uint256 word, uint32 from, uint16 ring, uint32 epoch)
        public
        pure
    {
        vm.assume(_wellFormed(word) && !Pauses.isOpen(word));
        vm.assume(from >= Pauses.lastEnd(word) && epoch < from && uint256(epoch) + ring >= from);
        (uint256 next, bool lost) = Pauses.open(word, from, ring);
        vm.assume(!lost);
        assert(Pauses.isPaused(next, epoch) == Pauses.isPaused(word, epoch));
    }

    function check_open__intervalThatCouldBeRead__isNeverLost(uint256 word, uint32 from, uint16 ring) public pure {
        vm.assume(!Pauses.isOpen(word));
        (uint256 next, bool lost) = Pauses.open(word, from, ring);
        if (lost) {
            // Only the oldest can fall out, and only one that a draw may still read is refused.
            assert(next == word);
            assert(uint256(uint32(word >> 192)) + ring >= from && uint32(word >> 192) != 0);
        } else if (next >> 64 == word << 64 >> 64) {
            uint256 end = uint32(word >> 192);
            assert(end == 0 || end + ring < from || uint32(word) == from);
        } else {
            assert(uint32(word) == from && next >> 32 == word >> 32);
        }
    }

    function check_open__whereThePauseBeforeEnds__goesOnWithoutAnother(uint256 word, uint32 from, uint16 ring)
        public
        pure
    {
        vm.assume(from != OPEN && Pauses.lastEnd(word) == from);
        (uint256 next, bool lost) = Pauses.open(word, from, ring);
        assert(!lost && Pauses.isOpen(next));
        assert(next >> 32 == word >> 32);
        assert(Pauses.close(next, from) == word);
    }

    function check_close__openInterval__endsThere(uint256 word, uint32 from, uint32 end, uint16 ring, uint32 epoch)
        public
        pure
    {
        vm.assume(_wellFormed(word) && !Pauses.isOpen(word) && Pauses.lastEnd(word) < from);
        vm.assume(from <= end && end != OPEN);
        (uint256 next, bool lost) = Pauses.open(word, from, ring);
        vm.assume(!lost);
        next = Pauses.close(next, end);
        assert(!Pauses.isOpen(next) && Pauses.lastEnd(next) == end);
        if (epoch >= end) assert(!Pauses.isPaused(next, epoch));
        else if (epoch >= from) assert(Pauses.isPaused(next, epoch));
    }

    function check_open__wellFormed__staysSo(uint256 word, uint32 from, uint32 end, uint16 ring) public pure {
        vm.assume(_wellFormed(word) && !Pauses.isOpen(word));
        vm.assume(from != 0 && from >= Pauses.lastEnd(word) && from <= end && end != OPEN);
        (uint256 next, bool lost) = Pauses.open(word, from, ring);
        vm.assume(!lost);
        assert(_wellFormed(next));
        assert(_wellFormed(Pauses.close(next, end)));
    }

    function refute_open__anyEpochBefore__staysAsItWas(uint256 word, uint32 from, uint16 ring, uint32 epoch)
        public
        pure
    {
        vm.assume(_wellFormed(word) && !Pauses.isOpen(word) && from >= Pauses.lastEnd(word) && epoch < from);
        (uint256 next, bool lost) = Pauses.open(word, from, ring);
        vm.assume(!lost);
        assert(Pauses.isPaused(next, epoch) == Pauses.isPaused(word, epoch));
    }
}
