// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Epochs} from "../../contracts/libraries/Epochs.sol";
import {Payout} from "../../contracts/libraries/Payout.sol";
import {Proof} from "./Proof.sol";

/// @title The clock of a job
contract EpochsProof is Proof {
    uint256 private constant MAX_WORK = 8;
    uint256 private constant MAX_ATTEMPTS = 4;

    function check_attempts__oneAfterTheOther__doNotOverlap(uint32 start, uint8 work) public pure {
        vm.assume(work != 0 && work <= MAX_WORK);
        uint256 commitEpoch = Epochs.commitOf(start, work);
        uint256 next = uint256(start) + Epochs.stride(work);
        assert(start <= commitEpoch);
        // Whatever counts for this attempt is revealed before the next begins.
        assert(commitEpoch + Epochs.OPEN_WITHIN < next);
    }

    /// @dev All attempts and work epochs that `post` takes, one by one: the solver then only adds.
    function check_attempts__anyTwo__haveWindowsApart(uint32 first) public pure {
        bool apart = true;
        unchecked {
            for (uint256 work = 1; work <= MAX_WORK; ++work) {
                for (uint256 attempt; attempt + 1 < MAX_ATTEMPTS; ++attempt) {
                    uint256 start = uint256(first) + attempt * Epochs.stride(work);
                    uint256 next = uint256(first) + (attempt + 1) * Epochs.stride(work);
                    apart = both(apart, Epochs.commitOf(start, work) + Epochs.OPEN_WITHIN < next);
                }
            }
        }
        assert(apart);
    }

    function check_lastOf__anyAttempt__isAfterItsRevealsByTheGrace(uint32 first, uint8 grace) public pure {
        bool after_ = true;
        unchecked {
            for (uint256 work = 1; work <= MAX_WORK; ++work) {
                for (uint256 attempts = 1; attempts <= MAX_ATTEMPTS; ++attempts) {
                    uint256 last = Epochs.lastOf(first, attempts, work, grace);
                    uint256 newest = uint256(first) + (attempts - 1) * Epochs.stride(work);
                    uint256 commitEpoch = Epochs.commitOf(newest, work);
                    after_ = both(after_, commitEpoch < last);
                    after_ = both(after_, commitEpoch + Epochs.OPEN_WITHIN + grace == last);
                }
            }
        }
        assert(after_);
    }

    function check_firstOf__laterShard__isNotEarlier(uint32 postEpoch, uint32 shard, uint32 later) public pure {
        vm.assume(shard <= later);
        unchecked {
            for (uint256 pace = 1; pace <= 4; ++pace) {
                assert(Epochs.firstOf(postEpoch, shard, pace) > postEpoch);
                assert(Epochs.firstOf(postEpoch, shard, pace) <= Epochs.firstOf(postEpoch, later, pace));
                // `pace` shards begin in one epoch, the one after them in the next.
                assert(Epochs.firstOf(postEpoch, shard + pace, pace) == Epochs.firstOf(postEpoch, shard, pace) + 1);
            }
        }
    }

    /// @dev A shard settled in its last epoch and appealed in the last epoch for it; a case posted then ends at `caseLast`.
    function check_closableFrom__lastCaseAndItsClaims__areOver(
        uint32 last,
        uint32 settledAt,
        uint32 postedAt,
        uint8 grace,
        uint8 appeal,
        uint8 report
    ) public pure {
        vm.assume(appeal != 0 && settledAt <= last && postedAt <= uint256(settledAt) + appeal);
        bool over = true;
        unchecked {
            for (uint256 work = 1; work <= MAX_WORK; ++work) {
                for (uint256 attempts = 1; attempts <= MAX_ATTEMPTS; ++attempts) {
                    uint256 from = Epochs.closableFrom(last, attempts, work, grace, appeal, report);
                    uint256 caseLast = Epochs.lastOf(uint256(postedAt) + 1, attempts, work, grace);
                    over = both(over, from > uint256(settledAt) + appeal + report);
                    over = both(over, from > caseLast + report);
                }
            }
        }
        assert(over);
    }

    function check_closableFrom__withoutAppeals__isRightAfterTheClaims(
        uint32 last,
        uint8 attempts,
        uint8 work,
        uint8 grace,
        uint8 report
    ) public pure {
        assert(Epochs.closableFrom(last, attempts, work, grace, 0, report) == uint256(last) + report + 1);
    }

    function check_lifeOf__anyJob__reachesToWhereItCanBeClosed(
        uint32 first,
        uint8 attempts,
        uint8 work,
        uint8 grace,
        uint8 appeal,
        uint8 report
    ) public pure {
        vm.assume(attempts <= MAX_ATTEMPTS && work != 0 && work <= MAX_WORK);
        uint256 last = Epochs.lastOf(first, attempts, work, grace);
        uint256 from = Epochs.closableFrom(last, attempts, work, grace, appeal, report);
        uint256 life = Epochs.lifeOf(attempts, work, grace, appeal, report);
        assert(from - first <= life);
        assert(appeal == 0 || from - first == life);
    }

    /// @dev `post` takes only jobs whose life is below `RING`: then no seed or lane of a shard is out of reach before its
    /// escrow is, and what was paid for it is immature, and can be taken back, as long as its case may end.
    function check_lifeOf__belowTheRing__payIsImmatureUntilItsCaseIsOver(uint32 settledAt, uint32 later, uint96 amount)
        public
        pure
    {
        vm.assume(later >= settledAt && uint256(later) - settledAt < 128);
        unchecked {
            uint256 bucket = settledAt / uint256(128);
            (, uint256 matured) = Payout.roll(Payout.credit(bucket << 224, amount), later / uint256(128));
            assert(matured == 0);
        }
    }

    /// @dev The shortest ring, the default one, and the longest for epochs of ten and of three blocks.
    function check_lifeOf__belowAnyRing__isWithinTwoBuckets(uint32 settledAt, uint32 later) public pure {
        vm.assume(later >= settledAt);
        uint256[4] memory rings = [uint256(16), 128, 818, 2_729];
        unchecked {
            for (uint256 i; i < 4; ++i) {
                bool over = uint256(later) - settledAt >= rings[i];
                assert(either(over, later / rings[i] <= settledAt / rings[i] + 1));
            }
        }
    }

    function refute_attempts__openedThreeEpochsLate__doNotOverlap(uint32 start, uint8 work) public pure {
        vm.assume(work != 0 && work <= MAX_WORK);
        assert(Epochs.commitOf(start, work) + Epochs.OPEN_WITHIN + 1 < uint256(start) + Epochs.stride(work));
    }
}
