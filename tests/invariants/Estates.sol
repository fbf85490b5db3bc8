// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {INodeRegistry} from "../../contracts/interfaces/INodeRegistry.sol";
import {Cases} from "./Cases.sol";

/// @title Operators, governors, and everybody's money on its way out
abstract contract Estates is Cases {
    // --- operators ------------------------------------------------------------------------------------------------

    function _doOperate(uint256 seed) internal returns (bool) {
        uint256 node = 1 + (seed >> 8) % nodes;
        lastNode = node;
        uint256 what = seed % 16;
        if (what == 0) return _takeSeat(node);
        if (what == 1) return _leaveSeat(node);
        if (what == 2) return _addStake(node, 1 + (seed >> 16) % 50 ether);
        if (what == 3) return _unbondExcess(node);
        if (what == 4) return _replaceKey(node);
        if (what == 5) return _pauseNode(node, (seed >> 16) % 2 == 0);
        if (what == 6) return _relocateSeat();
        if (what == 7) return _registerOne(seed >> 16);
        if (what == 8) return _resumeAny(seed >> 16);
        return _flicker();
    }

    /// @dev Somebody comes back, or sits down again.
    function _refill(uint256 seed) internal returns (bool) {
        if (_resumeAny(seed)) return true;
        for (uint256 node = 1; node <= nodes; ++node) {
            if (estates[node].seats == 0 && _takeSeat(node)) return true;
        }
        return false;
    }

    /// @dev One of the dishonest pauses and resumes all the time: in the end its pauses do not fit its history.
    function _flicker() private returns (bool) {
        uint256 node = HONEST + 1 + _now() / 128 % (nodes - HONEST);
        if (estates[node].seats == 0 || registry.nodeView(_node(node)).paused) return false;
        vm.startPrank(keyOf[_node(node)]);
        registry.pauseNode(_node(node));
        _afterPause(node);
        if (estates[node].seats != 0 && estates[node].stake >= estates[node].seats * shape.seatStake) {
            registry.resumeNode(_node(node));
        }
        vm.stopPrank();
        _did("pauses on and off");
        return true;
    }

    function _takeSeat(uint256 node) private returns (bool) {
        if (!poolOpen || estates[node].seats >= 2) return false;
        vm.prank(_operator(node));
        registry.takeSeats(_node(node), 1);
        _ghostSeats(node, 1);
        _did("takeSeats");
        return true;
    }

    /// @dev A pool that is never too small for a committee and its judges by this alone.
    function _leaveSeat(uint256 node) private returns (bool) {
        Estate storage e = estates[node];
        if (e.seats == 0 || (e.seats == 1 && registry.poolView(pool).nodes < 13)) return false;
        vm.prank(_operator(node));
        registry.leaveSeats(_node(node), 1);
        --e.seats;
        _ghostUnbond(node);
        _did(e.seats == 0 ? "leaveSeats, all" : "leaveSeats");
        return true;
    }

    function _addStake(uint256 node, uint256 amount) private returns (bool) {
        vm.prank(_operator(node));
        registry.addStake(_node(node), uint96(amount));
        estates[node].stake += uint96(amount);
        estates[node].deposited += uint128(amount);
        _did("addStake");
        return true;
    }

    function _unbondExcess(uint256 node) private returns (bool) {
        if (estates[node].stake <= uint256(estates[node].seats) * shape.seatStake) return false;
        vm.prank(_operator(node));
        registry.unbondExcess(_node(node));
        _ghostUnbond(node);
        _did("unbondExcess");
        return true;
    }

    function _replaceKey(uint256 node) private returns (bool) {
        uint256 secret = _secret();
        bytes memory consent = _consent(secret, _operator(node), block.timestamp);
        vm.prank(_operator(node));
        registry.replaceKey(_node(node), vm.addr(secret), block.timestamp, consent);
        (secretOf[_node(node)], keyOf[_node(node)]) = (secret, vm.addr(secret));
        _did("replaceKey");
        return true;
    }

    /// @dev Duties already drawn stand: the honest go on serving them.
    function _pauseNode(uint256 node, bool byKey) private returns (bool) {
        if (registry.nodeView(_node(node)).paused || registry.poolView(pool).nodes < 13) return false;
        vm.prank(byKey ? keyOf[_node(node)] : _operator(node));
        registry.pauseNode(_node(node));
        _afterPause(node);
        _did("pauseNode");
        return true;
    }

    function _relocateSeat() private returns (bool) {
        try registry.relocate(pool) {
            _did("relocate");
            return true;
        } catch {
            return false;
        }
    }

    function _registerOne(uint256 seed) private returns (bool) {
        if (!poolOpen || nodes >= MOST_NODES) return false;
        if (registryPaused) return false;
        _enlist(rival, uint8(1 + seed % 2));
        lastNode = nodes;
        _did("register");
        return true;
    }

    /// @dev Whoever is paused comes back, with what it lacks.
    function _resumeAny(uint256 seed) internal returns (bool) {
        for (uint256 i; i < nodes; ++i) {
            uint256 node = 1 + (i + seed % nodes) % nodes;
            INodeRegistry.NodeView memory v = registry.nodeView(_node(node));
            if (!v.paused) continue;
            uint256 required = v.seats.length * shape.seatStake;
            if (v.stake < required) _addStake(node, required - v.stake);
            vm.prank(seed % 2 == 0 ? _operator(node) : keyOf[_node(node)]);
            registry.resumeNode(_node(node));
            lastNode = node;
            _did("resumeNode");
            return true;
        }
        return false;
    }

    // --- governors ------------------------------------------------------------------------------------------------

    function _doGovern(uint256 seed) internal returns (bool) {
        uint256 what = seed % 6;
        // What was stopped does not stay so for long.
        if ((seed >> 32) % 2 == 0 && (paused || !poolOpen)) what = paused ? 1 : 4;
        vm.startPrank(owner);
        if (what == 0) {
            (feeBps, feeRecipient) = (uint16((seed >> 8) % 1_001), accounts[3 + (seed >> 24) % 3]);
            market.setProtocolFee(feeBps, feeRecipient);
            _did("setProtocolFee");
        } else if (what < 3) {
            if (paused) market.unpause();
            else if ((seed >> 8) % 4 == 0) market.pause();
            paused = market.paused();
            _did("pause or unpause the market");
        } else if (what == 3) {
            if (registryPaused) registry.unpause();
            else registry.pause();
            registryPaused = !registryPaused;
            _did("pause or unpause the registry");
        } else {
            INodeRegistry.PoolTerms memory terms = registry.poolView(pool).terms;
            poolOpen = !poolOpen || (seed >> 8) % 4 != 0;
            (terms.open, terms.floor) = (poolOpen, uint64(1));
            registry.tunePool(pool, terms);
            _did("tunePool");
        }
        vm.stopPrank();
        return true;
    }

    // --- money out ------------------------------------------------------------------------------------------------

    function _doEarn(uint256 seed) internal returns (bool) {
        for (uint256 i; i < 4; ++i) {
            uint256 what = (seed + i) % 4;
            if (what == 0 && _withdrawAny(seed >> 8)) return true;
            if (what == 1 && _collectAny(seed >> 8)) return true;
            if (what == 2 && _withdrawStakeAny(seed >> 8)) return true;
            if (what == 3 && _rewardAny(seed >> 8)) return true;
        }
        return false;
    }

    function _withdrawAny(uint256 seed) private returns (bool) {
        for (uint256 i; i < nodes; ++i) {
            uint256 node = 1 + (i + seed % nodes) % nodes;
            if (_matured(node) == 0) continue;
            _withdrawOf(node);
            return true;
        }
        return false;
    }

    function _withdrawOf(uint256 node) internal {
        uint256 amount = _fold(node);
        if (amount == 0) return;
        uint256 before = payToken.balanceOf(_operator(node));
        vm.prank(stranger);
        assertEq(market.withdraw(_node(node)), amount, "all that has matured and nothing that waits");
        assertEq(payToken.balanceOf(_operator(node)) - before, amount, "to the operator");
        free[node] = 0;
        inMarket -= amount;
        lastNode = node;
        _did("withdraw");
    }

    function _collectAny(uint256 seed) private returns (bool) {
        for (uint256 i; i < accounts.length; ++i) {
            address account = accounts[(i + seed % accounts.length) % accounts.length];
            if (owed[account] == 0) continue;
            _collectOf(account);
            return true;
        }
        return false;
    }

    function _collectOf(address account) internal {
        uint256 amount = owed[account];
        if (amount == 0) return;
        uint256 before = payToken.balanceOf(account);
        vm.prank(stranger);
        assertEq(market.collect(account), amount, "all that is owed");
        assertEq(payToken.balanceOf(account) - before, amount, "to whom it is owed");
        owed[account] = 0;
        inMarket -= amount;
        _did("collect");
    }

    function _withdrawStakeAny(uint256 seed) private returns (bool) {
        for (uint256 i; i < nodes; ++i) {
            uint256 node = 1 + (i + seed % nodes) % nodes;
            if (estates[node].unbonding == 0 || _now() < estates[node].unlock) continue;
            _withdrawStakeOf(node);
            return true;
        }
        return false;
    }

    function _withdrawStakeOf(uint256 node) internal {
        Estate storage e = estates[node];
        if (e.unbonding == 0) return;
        uint256 before = stakeToken.balanceOf(_operator(node));
        assertEq(registry.withdrawStake(_node(node)), e.unbonding, "all that was leaving");
        assertEq(stakeToken.balanceOf(_operator(node)) - before, e.unbonding, "to the operator");
        e.withdrawn += e.unbonding;
        e.unbonding = 0;
        lastNode = node;
        _did("withdrawStake");
    }

    function _rewardAny(uint256 seed) private returns (bool) {
        for (uint256 i; i < accounts.length; ++i) {
            address account = accounts[(i + seed % accounts.length) % accounts.length];
            if (rewards[account] == 0) continue;
            _rewardOf(account);
            return true;
        }
        return false;
    }

    function _rewardOf(address account) internal {
        if (rewards[account] == 0) return;
        assertEq(registry.collectReward(account), rewards[account], "all that was earned by reports");
        rewards[account] = 0;
        _did("collectReward");
    }

    function _doDonate(uint256 seed) internal returns (bool) {
        uint256 amount = 1 + (seed >> 8) % 1_000;
        spender = requester;
        vm.startPrank(requester);
        if (seed % 2 == 0) {
            payToken.transfer(address(market), amount);
            donated += amount;
        }
        vm.stopPrank();
        if (seed % 2 == 1) {
            vm.prank(rival);
            stakeToken.transfer(address(registry), amount);
            stakeDonated += amount;
        }
        _did("donate");
        return true;
    }
}
