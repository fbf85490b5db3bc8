// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Payout} from "../../contracts/libraries/Payout.sol";
import {Proof} from "./Proof.sol";

/// @title Shares, escrow, penalties and balances
contract PayoutProof is Proof {
    uint256 private constant MOST_FEE = 1_000;

    // --- share ----------------------------------------------------------------------------------------------------

    function check_share__anyAmount__roundsDown(uint96 amount, uint16 bps) public pure {
        uint256 part = Payout.share(amount, bps);
        uint256 exact = uint256(amount) * bps;
        assert(part * 10_000 <= exact);
        assert(exact < (part + 1) * 10_000);
    }

    function check_share__bpsUpToAll__isAtMostTheAmount(uint96 amount, uint16 bps) public pure {
        vm.assume(bps <= 10_000);
        assert(Payout.share(amount, bps) <= amount);
    }

    function check_share__moreAmount__isNotLess(uint96 less, uint96 more, uint16 bps) public pure {
        vm.assume(less <= more && bps <= MOST_FEE);
        assert(Payout.share(less, bps) <= Payout.share(more, bps));
    }

    /// @dev Only the product of amount and rate matters: what holds for `share(x, 1)` of any `x` holds for all rates.
    function check_share__anyAmount__dependsOnTheProductOnly(uint96 amount, uint16 bps) public pure {
        unchecked {
            assert(Payout.share(amount, bps) == Payout.share(uint256(amount) * bps, 1));
        }
    }

    function check_share__sumOfAmounts__isTheShareOfTheSumOfProducts(uint88 a, uint88 b, uint16 bps) public pure {
        vm.assume(bps <= MOST_FEE);
        unchecked {
            uint256 products = uint256(a) * bps + uint256(b) * bps;
            assert((uint256(a) + b) * bps == products);
            assert(Payout.share(uint256(a) + b, bps) == Payout.share(products, 1));
        }
    }

    function check_share__twoParts__areAtMostTheShareOfTheWhole(uint128 a, uint128 b) public pure {
        assert(Payout.share(a, 1) + Payout.share(b, 1) <= Payout.share(uint256(a) + b, 1));
    }

    function check_share__fourParts__areAtMostTheShareOfTheWhole(uint120 a, uint120 b, uint120 c, uint120 d)
        public
        pure
    {
        uint256 parts = Payout.share(a, 1) + Payout.share(b, 1) + Payout.share(c, 1) + Payout.share(d, 1);
        uint256 whole = Payout.share(uint256(a) + b + c + d, 1);
        assert(parts <= whole);
        assert(whole <= parts + 3);
    }

    function refute_share__anyAmount__isExact(uint96 amount, uint16 bps) public pure {
        vm.assume(bps <= 3 && amount < 10_000);
        assert(Payout.share(amount, bps) * 10_000 == uint256(amount) * bps);
    }

    // --- penalty --------------------------------------------------------------------------------------------------

    /// @dev As for `share`: what holds for the penalty `(x, 1)` of any `x` holds for all stakes and rates.
    function check_penalty__anyStake__dependsOnTheProductOnly(uint96 stake, uint16 bps) public pure {
        vm.assume(bps <= 10_000);
        unchecked {
            (uint256 amount,) = Payout.penalty(stake, bps);
            (uint256 same,) = Payout.penalty(uint256(stake) * bps, 1);
            assert(amount == same);
        }
    }

    /// @dev `below` is one less than the product, so that the solver meets no bound at zero.
    function check_penalty__anyProduct__isTheQuotientOfOneLessAndOne(uint112 below) public pure {
        unchecked {
            (uint256 amount,) = Payout.penalty(uint256(below) + 1, 1);
            assert(amount == uint256(below) / 10_000 + 1);
            (amount,) = Payout.penalty(0, 1);
            assert(amount == 0);
        }
    }

    function check_penalty__quotientOfOneLessAndOne__roundsUp(uint112 below) public pure {
        unchecked {
            uint256 amount = Payout.share(below, 1) + 1;
            assert(amount * 10_000 >= uint256(below) + 1);
            assert(amount * 10_000 < uint256(below) + 1 + 10_000);
        }
    }

    /// @dev `product <= stake * 10,000`, so the penalty is at most the stake.
    function check_penalty__bpsUpToAll__isAtMostTheStake(uint96 stake, uint16 bps, uint112 below) public pure {
        vm.assume(bps <= 10_000 && stake != 0);
        unchecked {
            assert(uint256(stake) * bps <= uint256(stake) * 10_000);
            vm.assume(uint256(below) + 1 <= uint256(stake) * 10_000);
            assert(Payout.share(below, 1) + 1 <= stake);
        }
    }

    function check_penalty__anyStake__rewardIsATenthOfItRoundedDown(uint96 stake, uint16 bps) public pure {
        vm.assume(bps <= 10_000);
        (uint256 amount, uint256 reward) = Payout.penalty(stake, bps);
        assert(reward == Payout.share(amount, Payout.REPORTER_BPS));
    }

    function check_penalty__anyAmount__rewardIsBelowThePenalty(uint96 amount) public pure {
        uint256 reward = Payout.share(amount, Payout.REPORTER_BPS);
        assert(reward * 10 <= amount);
        assert(amount < (reward + 1) * 10);
        assert(amount == 0 || reward < amount);
    }

    function check_penalty__anyFault__costsSomething(uint96 stake, uint16 bps) public pure {
        vm.assume(bps != 0 && stake != 0 && bps <= 10_000);
        (uint256 amount,) = Payout.penalty(stake, bps);
        assert(amount != 0);
    }

    function refute_penalty__quotientOfOneLessAndOne__roundsDown(uint16 below) public pure {
        (uint256 amount,) = Payout.penalty(uint256(below) + 1, 1);
        assert(amount * 10_000 <= uint256(below) + 1);
    }

    // --- escrow ---------------------------------------------------------------------------------------------------

    /// @dev Every number of paid slots, one by one: the solver then only compares multiples.
    function check_escrow__anySlotsOfAnyTasks__areWithinAllSlotsOfAll(uint32 tasks, uint32 all) public pure {
        vm.assume(tasks <= all);
        bool within = true;
        unchecked {
            for (uint256 paid; paid < 15; ++paid) {
                within = both(within, uint256(tasks) * paid <= uint256(all) * paid);
                within = both(within, uint256(all) * paid <= uint256(all) * (paid + 1));
            }
        }
        assert(within);
    }

    function check_escrow__fewerTaskSlots__costNotMore(uint40 paid, uint40 most, uint88 price) public pure {
        vm.assume(paid <= most);
        unchecked {
            assert(uint256(paid) * price <= uint256(most) * price);
            assert(Payout.escrow(paid, 1, price, 0, 0) <= Payout.escrow(most, 1, price, 0, 0));
        }
    }

    /// @dev One shard of a job, or the job itself: pay within the gross, both fees with it.
    function check_escrow__payWithinTheGross__coversPayAndBothFees(
        uint128 pay,
        uint128 gross,
        uint16 settleBps,
        uint16 protocolBps
    ) public pure {
        vm.assume(pay <= gross && settleBps <= MOST_FEE && protocolBps <= MOST_FEE);
        (uint256 settle, uint256 protocol) = (Payout.share(gross, settleBps), Payout.share(gross, protocolBps));
        assert(Payout.share(pay, settleBps) <= settle);
        assert(Payout.share(pay, protocolBps) <= protocol);
        uint256 spent = pay + Payout.share(pay, settleBps) + Payout.share(pay, protocolBps);
        assert(spent <= gross + settle + protocol);
    }

    /// @dev Fees are taken shard by shard, each rounded down; the escrow's fee is rounded down once, over all.
    function check_escrow__fourShards__coversEveryPayAndFee(uint112 a, uint112 b, uint112 c, uint112 d) public pure {
        uint256 gross = uint256(a) + b + c + d;
        uint256 fees = Payout.share(a, 1) + Payout.share(b, 1) + Payout.share(c, 1) + Payout.share(d, 1);
        assert(gross + fees <= Payout.escrow(1, 1, gross, 1, 0));
    }

    /// @dev What `cancel` gives back and what it keeps are the escrow, and what it keeps is the smaller job's escrow.
    function check_escrow__fewerTasks__isNotMore(uint128 less, uint128 more, uint16 settleBps, uint16 protocolBps)
        public
        pure
    {
        vm.assume(less <= more && settleBps <= MOST_FEE && protocolBps <= MOST_FEE);
        uint256 kept = Payout.escrow(1, 1, less, settleBps, protocolBps);
        uint256 held = Payout.escrow(1, 1, more, settleBps, protocolBps);
        assert(Payout.share(less, settleBps) <= Payout.share(more, settleBps));
        assert(Payout.share(less, protocolBps) <= Payout.share(more, protocolBps));
        uint256 refund = held - kept;
        assert(refund + kept == held);
    }

    /// @dev Members, settler, protocol and what is left over are the escrow.
    function check_escrow__settledShard__splitsSumExactly(
        uint96 pay,
        uint96 gross,
        uint16 settleBps,
        uint16 protocolBps
    ) public pure {
        vm.assume(pay <= gross && settleBps <= MOST_FEE && protocolBps <= MOST_FEE);
        uint256 held = Payout.escrow(1, 1, gross, settleBps, protocolBps);
        uint256 settler = Payout.share(pay, settleBps);
        uint256 protocol = Payout.share(pay, protocolBps);
        assert(settler <= Payout.share(gross, settleBps));
        assert(protocol <= Payout.share(gross, protocolBps));
        uint256 refund = held - pay - settler - protocol;
        assert(refund >= uint256(gross) - pay);
        assert(uint256(pay) + settler + protocol + refund == held);
    }

    function refute_escrow__bothFees__areOneFeeOfTheirSum(uint96 gross, uint16 settleBps, uint16 protocolBps)
        public
        pure
    {
        vm.assume(settleBps <= 3 && protocolBps <= 3 && gross < 10_000);
        uint256 both = uint256(settleBps) + protocolBps;
        assert(Payout.escrow(1, 1, gross, settleBps, protocolBps) == Payout.escrow(1, 1, gross, both, 0));
    }

    // --- balances: kept one above ---------------------------------------------------------------------------------

    function check_deposit__anyBalance__addsExactly(uint128 stored, uint128 amount) public pure {
        assert(Payout.balance(Payout.deposit(stored, amount)) == Payout.balance(stored) + amount);
    }

    function check_deposit__anyBalance__leavesTheSlotUsed(uint128 stored, uint128 amount) public pure {
        assert(Payout.deposit(stored, amount) != 0);
        assert(Payout.balance(Payout.deposit(0, 0)) == 0);
    }

    function refute_deposit__anyBalance__storesTheBalance(uint128 stored, uint128 amount) public pure {
        uint256 next = Payout.deposit(stored, amount);
        assert(Payout.balance(next) == next);
    }
}
