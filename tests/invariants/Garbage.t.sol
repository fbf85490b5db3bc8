// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Assertions} from "../contracts/support/Assertions.sol";
import {Handler} from "./Handler.sol";

/// @title Anybody, at any time, with calls that were sound until something in them was changed
/// @dev The story is played for a while and then left alone: nobody serves any more. A call that the contracts refuse
/// reverts here, too; what they accept is all right as long as the invariants hold.
contract Garbler is Assertions {
    Handler internal handler;
    uint256 internal block_;
    uint256 internal calls;

    constructor(Handler handler_) {
        handler = handler_;
        block_ = handler_.blockNow();
    }

    function _begin(uint256 seed) private returns (uint256) {
        vm.roll(block_);
        return uint256(keccak256(abi.encode(seed, ++calls)));
    }

    function _send(address target, bytes memory data, uint256 seed) private {
        vm.prank(seed % 3 == 0 ? handler.keyAt(seed >> 8) : handler.accountAt(seed >> 8));
        (bool ok, bytes memory reason) = target.call(data);
        if (ok) return;
        assembly ("memory-safe") {
            revert(add(reason, 32), mload(reason))
        }
    }

    function outOfPlace(uint256 seed) external {
        seed = _begin(seed);
        (address target, bytes memory data) = handler.someCall(seed);
        _send(target, data, seed >> 64);
    }

    function spoiled(uint256 seed) external {
        seed = _begin(seed);
        (address target, bytes memory data) = handler.someCall(seed);
        for (uint256 i; i <= (seed >> 96) % 3; ++i) {
            uint256 chance = uint256(keccak256(abi.encode(seed, i)));
            data[chance % data.length] = bytes1(uint8(chance >> 248));
        }
        _send(target, data, seed >> 64);
    }

    function cutShort(uint256 seed) external {
        seed = _begin(seed);
        (address target, bytes memory data) = handler.someCall(seed);
        uint256 length = 4 + (seed >> 96) % (data.length - 3);
        assembly ("memory-safe") {
            mstore(data, length)
        }
        _send(target, data, seed >> 64);
    }

    /// @dev One call's arguments under another's name.
    function misdirected(uint256 seed) external {
        seed = _begin(seed);
        (address target, bytes memory data) = handler.someCall(seed);
        (address other, bytes memory named) = handler.someCall(seed >> 128);
        for (uint256 i; i < 4; ++i) {
            data[i] = named[i];
        }
        _send((seed >> 96) % 2 == 0 ? target : other, data, seed >> 64);
    }

    function wait(uint256 seed) external {
        seed = _begin(seed);
        block_ += 1 + seed % 25;
    }
}

// Invariants 1, 3 and 15 under garbage
contract GarbageInvariants is Assertions {
    Handler internal handler;
    Garbler internal garbler;
    IERC20 internal payToken;
    IERC20 internal stakeToken;
    address internal market;
    address internal registry;
    address internal court;

    function setUp() public {
        handler = new Handler();
        handler.play(700);
        garbler = new Garbler(handler);
        (market, registry,, court) = handler.contracts();
        (address pay, address stake) = handler.tokens();
        (payToken, stakeToken) = (IERC20(pay), IERC20(stake));
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(garbler);
    }

    /// forge-config: default.invariant.fail-on-revert = false
    /// forge-config: deep.invariant.fail-on-revert = false
    /// forge-config: default.invariant.check-interval = 8
    /// forge-config: deep.invariant.check-interval = 8
    function invariant_01_underGarbage__balancesCoverWhatIsOwed() external view {
        uint256 owes = handler.owesByViews();
        assertEq(payToken.balanceOf(market), owes + handler.donated(), "invariant 1: the market");
        uint256 staked = handler.stakedByViews();
        assertEq(stakeToken.balanceOf(registry), staked + handler.stakeDonated(), "invariant 1: the registry");
    }

    /// forge-config: default.invariant.fail-on-revert = false
    /// forge-config: deep.invariant.fail-on-revert = false
    /// forge-config: default.invariant.check-interval = 8
    /// forge-config: deep.invariant.check-interval = 8
    function invariant_03_underGarbage__settlementsStand() external view {
        assertTrue(handler.settlementsStand(), "invariant 3: what is settled stays settled");
    }

    /// forge-config: default.invariant.fail-on-revert = false
    /// forge-config: deep.invariant.fail-on-revert = false
    /// forge-config: default.invariant.check-interval = 8
    /// forge-config: deep.invariant.check-interval = 8
    function invariant_15_underGarbage__nothingIsMade() external view {
        address[] memory everybody = handler.everybody();
        uint256 all = payToken.balanceOf(market) + payToken.balanceOf(court);
        for (uint256 i; i < everybody.length; ++i) {
            all += payToken.balanceOf(everybody[i]);
        }
        assertEq(all, payToken.totalSupply(), "invariant 15: everybody together has what there is");
    }
}
