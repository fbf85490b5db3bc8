// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title Money, as pure arithmetic (protocol sections 6, 7 and 10)
/// @dev Payouts round down, slashes round up, what is left over is the requester's. Mirrored in
/// nodeagent/protocol/payout.py.
library Payout {
    uint256 internal constant BPS = 10_000;
    /// @notice Share of a slash that its reporter earns; the rest is burned.
    uint256 internal constant REPORTER_BPS = 1_000;

    /// @notice What `post` pulls: every slot of every task, and both fees on all of it.
    function escrow(uint256 tasks, uint256 committee, uint256 taskPrice, uint256 settleFeeBps, uint256 protocolFeeBps)
        internal
        pure
        returns (uint256)
    {
        unchecked {
            // At most 2^32 * 15 * 2^96: nothing overflows.
            uint256 gross = tasks * committee * taskPrice;
            return gross + share(gross, settleFeeBps) + share(gross, protocolFeeBps);
        }
    }

    /// @notice `bps` of `amount`, rounded down. Amounts are sums of uint88 and uint96: they stay below 2^240.
    function share(uint256 amount, uint256 bps) internal pure returns (uint256) {
        unchecked {
            return amount * bps / BPS;
        }
    }

    /// @notice What a fault costs: `bps` of `stake`, rounded up, and the reporter's part of it, rounded down.
    function penalty(uint256 stake, uint256 bps) internal pure returns (uint256 amount, uint256 reward) {
        amount = Math.ceilDiv(stake * bps, BPS);
        reward = share(amount, REPORTER_BPS);
    }

    // --- balances: kept one above their value once they were used -------------------------------------------------

    /// @notice A balance after a deposit. Emptying one leaves a 1, so that the next deposit updates a slot and never
    /// makes a new one: new slots are what coming gas prices make dear.
    function deposit(uint256 stored, uint256 amount) internal pure returns (uint256) {
        return (stored == 0 ? 1 : stored) + amount;
    }

    function balance(uint256 stored) internal pure returns (uint256) {
        return stored == 0 ? 0 : stored - 1;
    }

    // --- pay matures: one word a node, `index << 224 | current << 112 | previous` ---------------------------------

    /// @notice Moves a node's word to bucket `bucket`: what is then two buckets behind has matured.
    function roll(uint256 word, uint256 bucket) internal pure returns (uint256 rolled, uint256 matured) {
        uint256 index = word >> 224;
        if (bucket <= index) return (word, 0);
        uint256 current = (word >> 112) & type(uint112).max;
        uint256 previous = word & type(uint112).max;
        if (bucket == index + 1) return (bucket << 224 | current, previous);
        return (bucket << 224, current + previous);
    }

    /// @notice Adds to the current bucket of a rolled word.
    function credit(uint256 word, uint256 amount) internal pure returns (uint256) {
        return word + (amount << 112);
    }

    /// @notice What has not matured yet.
    function maturing(uint256 word) internal pure returns (uint256) {
        return ((word >> 112) & type(uint112).max) + (word & type(uint112).max);
    }
}
