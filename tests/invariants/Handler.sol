// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Refusals} from "./Refusals.sol";
import {Calls} from "./Calls.sol";
import {Checks} from "./Checks.sol";

/// @title The doors that the fuzzer knocks at: one for each kind of party, and the clock
/// @dev A party does one of the things that it can do just now; when there is none, time passes. So no call is idle, and
/// none may revert.
contract Handler is Refusals, Checks, Calls {
    /// @dev Whose wealth is watched over this call (invariant 14).
    modifier watched(uint256 seed) {
        uint256 chance = _hash(seed, calls);
        address account = accounts[(chance >> 3) % 5];
        uint256 node = 1 + (chance >> 11) % nodes;
        bool watching = chance % 8 == 0;
        uint256 has = watching ? _wealth(account) : 0;
        uint256 earns = watching ? _earnings(node) + payToken.balanceOf(_operator(node)) : 0;
        _;
        if (watching) {
            if (spender != account && _wealth(account) < has) ++lowered;
            uint256 left = _earnings(node) + payToken.balanceOf(_operator(node));
            if (!forfeiting && spender != _operator(node) && left < earns) ++lowered;
            _did("wealth watched");
        }
    }

    /// @dev The fuzzer likes small numbers and ones it has seen; here every bit of a seed counts.
    function _mix(uint256 seed) private view returns (uint256) {
        return _hash(seed, ~calls);
    }

    function request(uint256 seed) external act watched(seed) {
        seed = _mix(seed);
        if (seed % 4 == 3 && _doCancel(seed >> 3)) return;
        if (seed % 8 == 6 && _doClose(seed >> 3)) return;
        if (!_doPost(seed >> 3)) _else(seed);
    }

    /// @dev One drawn node seals, or one batch is opened, before anybody is late.
    function serve(uint256 seed) external act watched(seed) {
        seed = _mix(seed);
        uint256[] storage drawn = due[_now()];
        for (uint256 i; i < drawn.length; ++i) {
            if (_serve(drawn[(i + (seed >> 8) % drawn.length) % drawn.length])) return;
        }
        for (uint256 i; i < toOpen.length; ++i) {
            if (_openAt((i + (seed >> 8) % toOpen.length) % toOpen.length)) return;
        }
        _else(seed);
    }

    function settle(uint256 seed) external act watched(seed) {
        seed = _mix(seed);
        if (!_doSettle(seed)) _else(seed);
    }

    function accuse(uint256 seed) external act watched(seed) {
        seed = _mix(seed);
        if (!_doAppeal(seed)) _else(seed);
    }

    function judge(uint256 seed) external act watched(seed) {
        seed = _mix(seed);
        if (!_doResolve(seed) && !_doCloseCase(seed)) _else(seed);
    }

    function claim(uint256 seed) external act watched(seed) {
        seed = _mix(seed);
        if (!_doClaim(seed)) _else(seed);
    }

    function report(uint256 seed) external act watched(seed) {
        seed = _mix(seed);
        if (!_report(seed >> 8, seed % 3) && !_report(seed >> 8, (seed + 1) % 3)) _else(seed);
    }

    function _report(uint256 seed, uint256 what) private returns (bool) {
        if (what == 0) return _doReportWrong(seed);
        return what == 1 ? _doReportAbsent(seed) : _doReportUnrevealed(seed);
    }

    function operate(uint256 seed) external act watched(seed) {
        seed = _mix(seed);
        // A pool that shrinks is refilled: the story needs a committee and its judges.
        if (registry.poolView(pool).nodes < 13 && _refill(seed >> 8)) return;
        if (!_doOperate(seed >> 8)) _else(seed);
    }

    function govern(uint256 seed) external act watched(seed) {
        seed = _mix(seed);
        if (!_doGovern(seed >> 8)) _else(seed);
    }

    function earn(uint256 seed) external act watched(seed) {
        seed = _mix(seed);
        if (!_doEarn(seed)) _else(seed);
    }

    function donate(uint256 seed) external act watched(seed) {
        seed = _mix(seed);
        if (seed % 4 == 0) _doDonate(seed >> 8);
        else _else(seed);
    }

    function tryForbidden(uint256 seed) external act watched(seed) {
        seed = _mix(seed);
        if (seed % 16 == 0 ? !_badExit(seed >> 8) : !_doForbidden(seed)) _else(seed);
    }

    function pass(uint256 seed) external act watched(seed) {
        _pass(_mix(seed));
    }

    /// @dev Nothing to do for this party: some other moves the story on, or time does.
    function _else(uint256 seed) private {
        uint256 what = (seed >> 240) % 9;
        if (what == 0 && _doPost(seed >> 16)) return;
        if (what == 1 && _doSettle(seed >> 16)) return;
        if (what == 2 && _doAppeal(seed >> 16)) return;
        if (what == 3 && _doResolve(seed >> 16)) return;
        if (what == 4 && _doClaim(seed >> 16)) return;
        if (what == 5 && _doReportWrong(seed >> 16)) return;
        if (what == 6 && _doForbidden(seed >> 16)) return;
        if (what == 7 && _doClose(seed >> 16)) return;
        _pass(seed);
    }

    /// @dev Some blocks further or into the next epoch; when nothing is going on, now and then far.
    function _pass(uint256 seed) private {
        _retireCases();
        uint256 within = block_ % EPOCH;
        uint256 steps = 1;
        if (live.length == 0 && seed % 16 == 0) steps = 1 + (seed >> 8) % 40;
        if (steps == 1 && within < 8 && (seed >> 16) % 2 == 0) {
            _to(block_ + 1 + (seed >> 24) % (9 - within));
            _enter();
            return _did("time passes");
        }
        for (uint256 i; i < steps; ++i) {
            uint256 chance = (seed >> (32 + i)) % 8;
            _next(chance == 0 ? 0 : chance < 6 ? 2 : chance);
        }
        _did("an epoch begins");
    }

    /// @dev The doors, those that move the story on more than once.
    function doors() public pure returns (bytes4[] memory s) {
        s = new bytes4[](16);
        (s[0], s[1], s[2], s[3]) =
        (this.request.selector, this.serve.selector, this.settle.selector, this.accuse.selector);
        (s[4], s[5], s[6], s[7]) =
        (this.judge.selector, this.claim.selector, this.report.selector, this.operate.selector);
        (s[8], s[9], s[10], s[11]) =
        (this.govern.selector, this.earn.selector, this.donate.selector, this.tryForbidden.selector);
        (s[12], s[13], s[14], s[15]) = (this.pass.selector, s[0], s[2], s[6]);
    }

    /// @dev A run in an order of our own, the same everywhere.
    function play(uint256 count) external {
        bytes4[] memory s = doors();
        for (uint256 i; i < count; ++i) {
            uint256 seed = uint256(keccak256(abi.encode("protocol", calls)));
            (bool ok, bytes memory reason) = address(this).call(abi.encodeWithSelector(s[seed % s.length], seed));
            if (ok) continue;
            assembly ("memory-safe") {
                revert(add(reason, 32), mload(reason))
            }
        }
    }

    // --- the end --------------------------------------------------------------------------------------------------

    /// @dev Long after (invariant 11): every case is resolved, every job closed, every fault reported; everybody takes
    /// everything out.
    function finish() external act {
        for (uint256 i; i < RING; ++i) {
            _next(2);
            while (_doResolve(i)) {}
        }
        for (bool more = true; more;) {
            more = _doResolve(0) || _doCloseCase(0);
            _retireCases();
            more = more || _doClose(0);
        }
        assertEq(live.length, 0, "invariant 11: everything comes to its end");
        _to((_now() + RING + 1) * EPOCH);
        while (_doReportUnrevealed(0)) {}
        assertEq(neverOpened.length, 0, "invariant 9: every sealed lane is punished, a ring later, too");
        for (uint256 n = 1; n <= nodes; ++n) {
            uint8 seats = estates[n].seats;
            if (seats != 0) {
                vm.prank(_operator(n));
                registry.leaveSeats(_node(n), seats);
                estates[n].seats = 0;
                _ghostUnbond(n);
            } else if (estates[n].stake != 0) {
                vm.prank(_operator(n));
                registry.unbondExcess(_node(n));
                _ghostUnbond(n);
            }
        }
        _to((_now() + 2 * RING) * EPOCH);
        for (uint256 n = 1; n <= nodes; ++n) {
            _withdrawOf(n);
            _withdrawStakeOf(n);
        }
        for (uint256 i; i < accounts.length; ++i) {
            _collectOf(accounts[i]);
            _rewardOf(accounts[i]);
        }
        assertEq(payToken.balanceOf(address(market)), donated, "invariant 11: the market gives everything back");
        assertEq(stakeToken.balanceOf(address(registry)), stakeDonated, "invariant 11: so does the registry");
    }
}
