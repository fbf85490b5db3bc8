// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {NodeId} from "../../contracts/interfaces/Types.sol";
import {Cast} from "./Cast.sol";

/// @title The books that are kept beside the contracts', by the words of protocol section 10 alone
/// @dev Pay waits in the bucket of its epoch and is free two buckets later.
abstract contract Money is Cast {
    mapping(address account => uint256) internal owed;
    mapping(uint256 node => uint256) internal free;
    mapping(uint256 node => mapping(uint256 bucket => uint256)) internal waiting;
    mapping(uint256 node => uint256 bucket) internal folded;
    mapping(address account => uint256) internal rewards;
    uint256 internal inMarket;
    uint256 public donated;
    uint256 public stakeDonated;
    uint256 internal burnedStake;
    /// @dev What a settle call took out of escrow and what it gave.
    uint256 public splitIn;
    uint256 public splitOut;

    // --- pay ------------------------------------------------------------------------------------------------------

    function _credit(uint256 node, uint256 atOnce, uint256 later) internal {
        free[node] = _fold(node) + atOnce;
        waiting[node][_now() / RING] += later;
    }

    function _waits(uint256 node) internal view returns (uint256) {
        uint256 bucket = _now() / RING;
        return waiting[node][bucket] + waiting[node][bucket - 1];
    }

    function _matured(uint256 node) internal view returns (uint256 total) {
        total = free[node];
        for (uint256 bucket = folded[node]; bucket + 2 <= _now() / RING; ++bucket) {
            total += waiting[node][bucket];
        }
    }

    /// @dev The same, and remembers how far it looked.
    function _fold(uint256 node) internal returns (uint256 total) {
        total = _matured(node);
        folded[node] = _now() / RING - 1;
    }

    function _forfeitOf(uint256 node) internal returns (uint256 amount) {
        uint256 bucket = _now() / RING;
        amount = _waits(node);
        (waiting[node][bucket], waiting[node][bucket - 1]) = (0, 0);
        forfeiting = true;
    }

    /// @dev A case's money: first the accuser until he is whole, then the requester, the rest to nobody.
    function _pour(Piece storage p, uint256 amount) internal {
        uint256 part = amount < p.accuserDue ? amount : p.accuserDue;
        p.accuserDue -= uint64(part);
        owed[p.accuser] += part;
        amount -= part;
        part = amount < p.requesterDue ? amount : p.requesterDue;
        p.requesterDue -= uint64(part);
        owed[books[p.job].requester] += part;
        owed[BURNED] += amount - part;
    }

    // --- stake ----------------------------------------------------------------------------------------------------

    /// @dev A penalty, rounded up, unbonding stake first; the reporter's tenth, rounded down; the rest is burned.
    function _ghostSlash(uint256 node, uint256 bps, address reporter) internal {
        Estate storage e = estates[node];
        uint256 amount = ((uint256(e.stake) + e.unbonding) * bps + 9_999) / 10_000;
        uint256 first = amount < e.unbonding ? amount : e.unbonding;
        e.unbonding -= uint96(first);
        e.stake -= uint96(amount - first);
        e.slashed += uint128(amount);
        rewards[reporter] += amount / 10;
        burnedStake += amount - amount / 10;
        _afterPause(node);
    }

    /// @dev A pause that finds no room in the node's history ends its seats instead.
    function _afterPause(uint256 node) internal {
        lastNode = node;
        Estate storage e = estates[node];
        if (e.seats == 0 || registry.nodeView(_node(node)).seats.length != 0) return;
        e.seats = 0;
        _ghostUnbond(node);
        _did("seats ended by a pause");
    }

    // --- what the contracts say -----------------------------------------------------------------------------------

    /// @dev Everything that the market owes by its views. Closed jobs hold nothing.
    function marketOwes() public view returns (uint256 total) {
        for (uint256 i; i < live.length; ++i) {
            total += _heldOnce(i);
        }
        for (uint256 i; i < accounts.length; ++i) {
            total += market.owedTo(accounts[i]);
        }
        total += market.owedTo(address(court));
        for (uint256 n = 1; n <= nodes; ++n) {
            (uint256 matured, uint256 maturing) = market.earningsOf(_node(n));
            total += matured + maturing;
        }
    }

    /// @dev What the job of a live piece holds, counted at its first piece of the list.
    function _heldOnce(uint256 place) private view returns (uint256) {
        uint256 job = pieces[live[place]].job;
        for (uint256 i; i < place; ++i) {
            if (pieces[live[i]].job == job) return 0;
        }
        return market.jobView(_job(job)).held;
    }

    /// @dev The same by our own books.
    function marketShouldHold() public view returns (uint256) {
        return inMarket;
    }

    function registryOwes() public view returns (uint256 total) {
        for (uint256 n = 1; n <= nodes; ++n) {
            Estate storage e = estates[n];
            total += uint256(e.stake) + e.unbonding;
        }
        for (uint256 i; i < accounts.length; ++i) {
            total += registry.rewardOf(accounts[i]);
        }
    }

    /// @dev What somebody has or can claim in the payment token.
    function _wealth(address account) internal view returns (uint256) {
        return payToken.balanceOf(account) + market.owedTo(account);
    }

    function _earnings(uint256 node) internal view returns (uint256) {
        (uint256 matured, uint256 maturing) = market.earningsOf(_node(node));
        return matured + maturing;
    }
}
