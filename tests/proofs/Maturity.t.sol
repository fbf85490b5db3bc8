// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Payout} from "../../contracts/libraries/Payout.sol";
import {Proof} from "./Proof.sol";

/// @title Pay matures: a node's word of two buckets
contract MaturityProof is Proof {
    function _word(uint32 index, uint112 current, uint112 previous) private pure returns (uint256) {
        return uint256(index) << 224 | uint256(current) << 112 | previous;
    }

    function check_roll__anyBucket__losesAndMakesNothing(uint256 word, uint32 bucket) public pure {
        (uint256 rolled, uint256 matured) = Payout.roll(word, bucket);
        assert(Payout.maturing(rolled) + matured == Payout.maturing(word));
    }

    function check_roll__sameOrOlderBucket__changesNothing(uint256 word, uint32 bucket) public pure {
        vm.assume(bucket <= word >> 224);
        (uint256 rolled, uint256 matured) = Payout.roll(word, bucket);
        assert(rolled == word && matured == 0);
    }

    function check_roll__nextBucket__onlyThePreviousMatures(uint32 index, uint112 current, uint112 previous)
        public
        pure
    {
        vm.assume(index != type(uint32).max);
        (uint256 rolled, uint256 matured) = Payout.roll(_word(index, current, previous), uint256(index) + 1);
        assert(matured == previous);
        assert(rolled == _word(index + 1, 0, current));
    }

    function check_roll__twoBucketsOn__everythingMatures(uint256 word, uint32 bucket) public pure {
        vm.assume(bucket >= (word >> 224) + 2);
        (uint256 rolled, uint256 matured) = Payout.roll(word, bucket);
        assert(matured == Payout.maturing(word) && Payout.maturing(rolled) == 0);
        assert(rolled >> 224 == bucket);
    }

    function check_roll__twice__isRollOnce(uint256 word, uint32 bucket) public pure {
        (uint256 once,) = Payout.roll(word, bucket);
        (uint256 twice, uint256 more) = Payout.roll(once, bucket);
        assert(twice == once && more == 0);
    }

    function check_roll__inTwoSteps__isRollInOne(uint256 word, uint32 middle, uint32 bucket) public pure {
        vm.assume(middle <= bucket);
        (uint256 direct, uint256 atOnce) = Payout.roll(word, bucket);
        (uint256 part, uint256 early) = Payout.roll(word, middle);
        (uint256 whole, uint256 late) = Payout.roll(part, bucket);
        assert(early + late == atOnce);
        assert(Payout.maturing(whole) == Payout.maturing(direct));
        assert(atOnce == 0 || whole == direct);
    }

    function check_roll__laterBucket__maturesNoLess(uint256 word, uint32 sooner, uint32 later) public pure {
        vm.assume(sooner <= later);
        (, uint256 less) = Payout.roll(word, sooner);
        (, uint256 more) = Payout.roll(word, later);
        assert(less <= more);
    }

    function check_credit__roomLeft__addsToTheCurrentBucketOnly(
        uint32 index,
        uint112 current,
        uint112 previous,
        uint112 amount
    ) public pure {
        vm.assume(uint256(current) + amount <= type(uint112).max);
        assert(Payout.credit(_word(index, current, previous), amount) == _word(index, current + amount, previous));
    }

    /// @dev Credited in bucket `b`: whole in `b + 1`, whatever was there before, and gone out in `b + 2`.
    function check_credit__anyPayBefore__maturesExactlyTwoBucketsOn(uint256 word, uint32 bucket, uint96 amount)
        public
        pure
    {
        vm.assume(bucket >= word >> 224 && bucket < type(uint32).max - 1);
        vm.assume((word >> 112) & type(uint112).max <= type(uint96).max);
        (uint256 rolled,) = Payout.roll(word, bucket);
        uint256 before = Payout.maturing(rolled);
        uint256 paid = Payout.credit(rolled, amount);
        (uint256 next, uint256 matured) = Payout.roll(paid, uint256(bucket) + 1);
        assert(Payout.maturing(next) >= amount && matured <= before);
        (uint256 last, uint256 rest) = Payout.roll(next, uint256(bucket) + 2);
        assert(Payout.maturing(last) == 0 && matured + rest == before + amount);
    }

    function refute_credit__nextBucket__matures(uint256 word, uint32 bucket, uint96 amount) public pure {
        vm.assume(bucket < type(uint32).max && amount != 0);
        (uint256 rolled,) = Payout.roll(word, bucket);
        (, uint256 matured) = Payout.roll(Payout.credit(rolled, amount), uint256(bucket) + 1);
        assert(matured >= amount);
    }
}
